/* SPDX-License-Identifier: MIT */
#include "kernel/cli/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/file.h"
#include "protocol/buffer.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define ARGUMENTS_MAX 16
#define BASE_BYTES_MAX 50 /* sockets with short addresses are in there */
#define END_MS 10000 /* for a server to end in order */
#define SAID_BYTES_MAX ((size_t)16 * 1024)
#define READY "cellwall: ready: "
#define SERVER_FILE "cellwall/server.json"

struct embedded {
    pid_t keeper; /* owned */
    int life; /* owned: the keeper waits for its other end to be closed */
    int said; /* owned: the server's stderr */
    char folder[PATH_MAX];
    char file[PATH_MAX];
};

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    (void)remove(path);
    return 0;
}

static void
wait_ended(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void
run_server(const struct embedded *embedded, const char *const *arguments, int said,
           pid_t keeper)
{
    char self[PATH_MAX];
    sigset_t none;

    /* Also between here and the option's being read. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != keeper ||
        dup2(said, STDERR_FILENO) < 0 ||
        setenv("XDG_RUNTIME_DIR", embedded->folder, 1) < 0 ||
        file_executable(self, NULL) != 0)
        return;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    execv(self, (char *const *)arguments);
}

/* Ends the server when the client has, and cleans up. */
static void
keep(const struct embedded *embedded, pid_t server, int life)
{
    int pidfd = server > 0 ? (int)syscall(SYS_pidfd_open, server, 0) : -1;
    struct pollfd fds[] = { { .fd = life, .events = POLLIN },
                            { .fd = pidfd, .events = POLLIN } };

    while (pidfd >= 0 && poll(fds, N_ELEMENTS(fds), -1) < 0 && errno == EINTR)
        continue;
    if (server > 0) {
        kill(server, SIGTERM);
        if (pidfd < 0 || poll(&fds[1], 1, END_MS) != 1)
            kill(server, SIGKILL);
        wait_ended(server);
    }
    nftw(embedded->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The keeper's life. Nobody's signals reach it: it is in a session of its own, and its
 * end is decided by the pipe. */
_Noreturn static void
run_keeper(const struct embedded *embedded, const char *const *arguments, int life,
           int said)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t server = -1, keeper;
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    keeper = getpid();
    if (null >= 0 && dup2(null, STDIN_FILENO) == 0 && dup2(null, STDOUT_FILENO) == 1 &&
        dup2(null, STDERR_FILENO) == 2 && mkdir(embedded->folder, 0700) == 0)
        server = fork();
    if (server == 0) {
        run_server(embedded, arguments, said, keeper);
        _exit(127);
    }
    close(said);
    keep(embedded, server, life);
    _exit(0);
}

static int
name_folder(struct embedded *embedded, struct error *err)
{
    const char *places[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };
    char name[64] = "cellwall-run-", hex[17];
    uint8_t random[8];

    if (sodium_init() < 0)
        return error_set(err, EMBEDDED_E_FAILED, "libsodium does not start");
    randombytes_buf(random, sizeof random);
    text_hex(hex, random, sizeof random);
    strcat(name, hex);
    for (size_t i = 0; i < N_ELEMENTS(places); i++) {
        struct stat st;

        if (places[i] == NULL || places[i][0] != '/' ||
            strlen(places[i]) > BASE_BYTES_MAX || access(places[i], W_OK | X_OK) < 0 ||
            stat(places[i], &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        if (file_join(embedded->folder, places[i], name, err) == 0 &&
            file_join(embedded->file, embedded->folder, SERVER_FILE, err) == 0)
            return 0;
    }
    return error_set(err, EMBEDDED_E_FAILED,
                     "there is no folder for a server's sockets: set XDG_RUNTIME_DIR");
}

static int
fork_keeper(struct embedded *embedded, const char *const *arguments, struct error *err)
{
    int life[2], said[2];

    if (pipe2(life, O_CLOEXEC) < 0)
        return error_errno(err, "pipe2");
    if (pipe2(said, O_CLOEXEC) < 0) {
        close(life[0]);
        close(life[1]);
        return error_errno(err, "pipe2");
    }
    embedded->life = life[1];
    embedded->said = said[0];
    embedded->keeper = fork();
    if (embedded->keeper == 0) {
        close(life[1]);
        close(said[0]);
        run_keeper(embedded, arguments, life[0], said[1]);
    }
    close(life[0]);
    close(said[1]);
    return embedded->keeper < 0 ? error_errno(err, "fork") : 0;
}

/* What it said last is why it does not start. */
static int
fail(struct buffer *said, struct error *err)
{
    const char *text = "it said nothing", *line;

    if (buffer_append(said, "", 1) == 0 && said->length > 1) {
        if (said->length > 2 && said->data[said->length - 2] == '\n')
            said->data[said->length - 2] = '\0';
        line = strrchr((char *)said->data, '\n');
        text = line != NULL ? line + 1 : (char *)said->data;
        if (strncmp(text, "cellwall: ", strlen("cellwall: ")) == 0)
            text += strlen("cellwall: ");
    }
    return error_set(err, EMBEDDED_E_FAILED, "a server for this call does not start: %s",
                     text);
}

static bool
is_ready(const struct buffer *said)
{
    return memmem(said->data, said->length, READY, strlen(READY)) != NULL;
}

static int
wait_ready(struct embedded *embedded, int stop, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer said;
    struct pollfd fds[] = { { .fd = embedded->said, .events = POLLIN },
                            { .fd = stop, .events = POLLIN } };

    buffer_init(&said, SAID_BYTES_MAX);
    for (;;) {
        char chunk[1024];
        ssize_t n;
        int r;

        if (poll(fds, N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
            return error_errno(err, "poll");
        if (fds[1].revents != 0)
            return error_set(err, EMBEDDED_E_INTERRUPTED, "interrupted");
        if (fds[0].revents == 0)
            continue;
        n = read(embedded->said, chunk, sizeof chunk);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return fail(&said, err);
        r = buffer_append(&said, chunk, (size_t)n);
        if (r < 0)
            return r;
        if (r > 0)
            buffer_clear(&said, 0);
        else if (is_ready(&said))
            return 0;
    }
}

int
embedded_start(struct embedded **ret, const char *const *arguments, int stop,
               struct error *err)
{
    const char *argv[ARGUMENTS_MAX] = { "cellwall",  "serve", "--die-with-parent",
                                        "--reserve", "0",     "--no-zygote" };
    CLEANUP(embedded_stopp) struct embedded *embedded = calloc(1, sizeof *embedded);
    size_t count = 6;
    int r;

    if (embedded == NULL)
        return -ENOMEM;
    embedded->life = embedded->said = -1;
    while (*arguments != NULL && count < ARGUMENTS_MAX - 1)
        argv[count++] = *arguments++;
    r = name_folder(embedded, err);
    if (r == 0)
        r = fork_keeper(embedded, argv, err);
    if (r == 0)
        r = wait_ready(embedded, stop, err);
    if (r != 0)
        return r;
    *ret = embedded;
    embedded = NULL;
    return 0;
}

const char *
embedded_file(const struct embedded *embedded)
{
    return embedded->file;
}

void
embedded_stop(struct embedded *embedded)
{
    if (embedded == NULL)
        return;
    close_fdp(&embedded->life);
    if (embedded->keeper > 0)
        wait_ended(embedded->keeper);
    close_fdp(&embedded->said);
    free(embedded);
}
