/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "runtimes/jupyter/kernel_json.h"
#include "runtimes/jupyter/outputs.h"

#define LOOPBACK "127.0.0.1"
#define EXEC_FAILED 127 /* as a shell has it */

static const char *const port_names[] = {
    [PROCESS_SHELL] = "shell_port",  [PROCESS_IOPUB] = "iopub_port",
    [PROCESS_STDIN] = "stdin_port",  [PROCESS_CONTROL] = "control_port",
    [PROCESS_HEARTBEAT] = "hb_port",
};

struct process {
    pid_t pid; /* owned: of the kernel and its group; 0: none, or reaped */
    int pidfd; /* owned */
    struct outputs *outputs; /* owned */
    bool tcp;
    bool has_folder;
    unsigned ports[PROCESS_SOCKETS];
    char folder[PROCESS_PATH_BYTES - 8];
    char file[PROCESS_PATH_BYTES + 16];
    char key[PROCESS_KEY_BYTES];
};

void
process_signal(const struct process *process, int signal)
{
    if (process->pid > 0)
        (void)kill(-process->pid, signal);
}

static void
remove_folder(const struct process *process)
{
    char path[PROCESS_PATH_BYTES];

    for (int i = 0; i < PROCESS_SOCKETS; i++) {
        for (const char *mark = "-:"; *mark != '\0'; mark++) {
            snprintf(path, sizeof path, "%s/k%c%u", process->folder, *mark,
                     process->ports[i]);
            unlink(path);
        }
    }
    unlink(process->file);
    rmdir(process->folder);
}

void
process_destroy(struct process *process)
{
    if (process == NULL)
        return;
    process_signal(process, SIGKILL);
    if (process->pid > 0)
        while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    if (process->pidfd >= 0)
        close(process->pidfd);
    outputs_destroy(process->outputs);
    if (process->has_folder)
        remove_folder(process);
    free(process);
}

void
process_destroyp(struct process **process)
{
    process_destroy(*process);
}

int
process_fd(const struct process *process)
{
    return process->pidfd;
}

bool
process_has_ended(struct process *process, int *ret_status)
{
    int r;

    if (process->pid == 0)
        return false;
    r = waitpid(process->pid, ret_status, WNOHANG);
    if (r != process->pid)
        return false;
    process_signal(process, SIGKILL); /* what it has left behind in its group */
    process->pid = 0;
    return true;
}

struct outputs *
process_outputs(const struct process *process)
{
    return process->outputs;
}

void
process_pass_output(struct process *process)
{
    outputs_pass(process->outputs, process->pid);
}

void
process_judge_output(struct process *process)
{
    outputs_judge(process->outputs, process->pid);
}

const char *
process_key(const struct process *process)
{
    return process->key;
}

/* Kernels join path and number by "-", as Jupyter says, or by ":", as they do for tcp. */
bool
process_endpoint(const struct process *process, enum process_socket socket, char *ret,
                 size_t size)
{
    char path[PROCESS_PATH_BYTES];

    if (process->tcp) {
        snprintf(ret, size, "tcp://" LOOPBACK ":%u", process->ports[socket]);
        return true;
    }
    for (const char *mark = "-:"; *mark != '\0'; mark++) {
        snprintf(path, sizeof path, "%s/k%c%u", process->folder, *mark,
                 process->ports[socket]);
        if (access(path, F_OK) == 0) {
            snprintf(ret, size, "ipc://%s", path);
            return true;
        }
    }
    return false;
}

/* Holds each port until all are chosen, so that none is chosen twice. */
static int
choose_tcp_ports(struct process *process, struct error *err)
{
    int fds[PROCESS_SOCKETS], r = 0;

    for (int i = 0; i < PROCESS_SOCKETS; i++) {
        struct sockaddr_in address = { .sin_family = AF_INET };
        socklen_t length = sizeof address;

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&address, length) < 0 ||
            getsockname(fds[i], (struct sockaddr *)&address, &length) < 0)
            r = error_errno(err, "choosing a port");
        process->ports[i] = ntohs(address.sin_port);
    }
    for (int i = 0; i < PROCESS_SOCKETS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return r;
}

static int
choose_ports(struct process *process, struct error *err)
{
    if (process->tcp)
        return choose_tcp_ports(process, err);
    for (unsigned i = 0; i < PROCESS_SOCKETS; i++)
        process->ports[i] = i + 1;
    return 0;
}

static int
make_key(struct process *process, struct error *err)
{
    uint8_t bytes[PROCESS_KEY_BYTES / 2];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return error_errno(err, "making a key");
    text_hex(process->key, bytes, sizeof bytes);
    return 0;
}

static int
make_folder(struct process *process, struct error *err)
{
    const char *temporary = getenv("TMPDIR");

    if (temporary == NULL || temporary[0] != '/' || strlen(temporary) > 48)
        temporary = "/tmp";
    snprintf(process->folder, sizeof process->folder, "%s/jupyter-XXXXXX", temporary);
    if (mkdtemp(process->folder) == NULL)
        return error_errno(err, "making %s", process->folder);
    process->has_folder = true;
    snprintf(process->file, sizeof process->file, "%s/kernel.json", process->folder);
    return 0;
}

static int
write_connection_file(const struct process *process, const struct kernel_json *spec,
                      struct error *err)
{
    CLEANUP(freep) char *text = NULL;
    CLEANUP(close_fdp) int fd = -1;
    char ip[PROCESS_PATH_BYTES];
    json_t *document;

    snprintf(ip, sizeof ip, "%s/k", process->folder);
    document =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "transport", process->tcp ? "tcp" : "ipc",
                  "ip", process->tcp ? LOOPBACK : ip, "signature_scheme", "hmac-sha256",
                  "key", process->key, "kernel_name", spec->name);
    for (int i = 0; i < PROCESS_SOCKETS; i++)
        json_object_set_new(document, port_names[i], json_integer(process->ports[i]));
    text = json_dumps(document, JSON_INDENT(1));
    json_decref(document);
    if (text == NULL)
        return -ENOMEM;
    fd = open(process->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return error_errno(err, "writing %s", process->file);
    return 0;
}

/* In the child. The signals that this process has blocked are not the kernel's. */
static void
become_kernel(const struct process *process, char **command, char **environment,
              pid_t parent)
{
    sigset_t none;

    setsid();
    signal(SIGINT, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || outputs_take_place(process->outputs) < 0)
        _exit(EXEC_FAILED);
    execve(command[0], command, environment);
    dprintf(STDERR_FILENO, "%s cannot be started: %s\n", command[0], strerror(errno));
    _exit(EXEC_FAILED);
}

static int
start(struct process *process, const struct kernel_json *spec, const char *session,
      struct error *err)
{
    char **command = NULL, **environment = NULL;
    pid_t parent = getpid();
    int r;

    if (session != NULL)
        setenv("JPY_SESSION_NAME", session, 1);
    r = kernel_json_command(&command, spec, process->file);
    if (r == 0)
        r = kernel_json_environment(&environment, spec);
    if (r == 0) {
        process->pid = fork();
        if (process->pid == 0)
            become_kernel(process, command, environment, parent);
        if (process->pid < 0)
            r = error_errno(err, "fork");
    }
    kernel_json_free_words(command);
    kernel_json_free_words(environment);
    if (r != 0)
        return r;
    process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    return process->pidfd < 0 ? error_errno(err, "pidfd_open") : 0;
}

int
process_create(struct process **ret, const struct kernel_json *spec, const char *session,
               struct error *err)
{
    CLEANUP(process_destroyp) struct process *process = calloc(1, sizeof *process);
    int r;

    if (process == NULL)
        return -ENOMEM;
    process->pidfd = -1;
    process->tcp = spec->tcp;
    r = outputs_create(&process->outputs, err);
    if (r == 0)
        r = choose_ports(process, err);
    if (r == 0)
        r = make_key(process, err);
    if (r == 0)
        r = make_folder(process, err);
    if (r == 0)
        r = write_connection_file(process, spec, err);
    if (r == 0)
        r = start(process, spec, session, err);
    if (r != 0)
        return r;
    *ret = process;
    process = NULL;
    return 0;
}
