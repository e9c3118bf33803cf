/* SPDX-License-Identifier: MIT */
/*
 * A zygote that means harm: zygote MODE CANARY
 *
 * MODE is what it does with a call, see the table. Besides, on its socket, "sweep" makes
 * it look for ways into other processes, "stop" makes it stop all it can; the answer is a
 * packet with what it has reached. CANARY is a file of the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contexts/sandbox/call.h"
#include "contexts/sandbox/join.h"
#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/steps.h"

#define SOCKET_FD 3
#define PIDS_MAX 1024

static const char *canary;
static char reached[4096];

static void
note(const char *what, int pid)
{
    size_t length = strlen(reached);

    snprintf(reached + length, sizeof reached - length, "%s of %d\n", what, pid);
}

static bool
opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void
try_process(int pid)
{
    char path[512];
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pidfd >= 0) {
        note("a descriptor", pid);
        close(pidfd);
    }
    snprintf(path, sizeof path, "/proc/%d/root%s", pid, canary);
    if (opens(path, O_RDONLY))
        note("the host's file, by the root", pid);
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    if (opens(path, O_RDWR))
        note("the memory", pid);
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", pid);
    if (opens(path, O_RDONLY))
        note("the mounts", pid);
}

static void
sweep(void)
{
    for (int pid = 1; pid < PIDS_MAX; pid++)
        if (pid != getpid())
            try_process(pid);
    if (opens(canary, O_RDONLY))
        note("the host's file", getpid());
}

/* Serves the call as many times as given. */
static void
serve(const uint8_t *packet, const struct passing *passing, int times)
{
    const struct sandbox_join_hooks hooks = { 0 };
    struct sandbox_spec_copy copy;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        exit(1);
    while (times-- > 0)
        passing_send(ends[1], (struct slice){ packet, passing->length },
                     (struct slice){ 0 }, passing->fds, passing->fd_count, 0);
    close(ends[1]);
    if (sandbox_join_serve(ends[0], &hooks, &copy, NULL) == SANDBOX_JOIN_RUNNER) {
        execve(copy.spec.argv[0], (char *const *)copy.spec.argv,
               (char *const *)copy.spec.env);
        exit(127);
    }
    close(ends[0]);
}

static void
say(const struct passing *passing, struct sandbox_failure word, size_t length)
{
    send(passing->fds[SANDBOX_CALL_STATUS], &word, length, MSG_NOSIGNAL);
}

static void
obey(const uint8_t *packet, struct passing *passing)
{
    serve(packet, passing, 1);
}

static void
obey_once(const uint8_t *packet, struct passing *passing)
{
    serve(packet, passing, 1);
    passing_fini(passing);
    for (;;)
        pause();
}

static void
obey_twice(const uint8_t *packet, struct passing *passing)
{
    serve(packet, passing, 2);
}

static void
drop(const uint8_t *packet, struct passing *passing)
{
    (void)packet, (void)passing;
}

static void
lie(const uint8_t *packet, struct passing *passing)
{
    (void)packet;
    say(passing, (struct sandbox_failure){ .pid = 3 }, 5);
}

static void
keep(const uint8_t *packet, struct passing *passing)
{
    (void)packet;
    passing->fd_count = 0; /* nobody closes them */
}

/* As if a runner were there and could not stop saying so. */
static void
chatter(const uint8_t *packet, struct passing *passing)
{
    const struct sandbox_failure ready = { 0 };

    (void)packet;
    if (fork() != 0)
        return;
    say(passing, (struct sandbox_failure){ .pid = 3 }, sizeof ready);
    while (send(passing->fds[SANDBOX_CALL_STATUS], &ready, sizeof ready, MSG_NOSIGNAL) >
           0)
        continue;
    _exit(0);
}

/* Tells of a runner that is not there. */
static void
make_up(const uint8_t *packet, struct passing *passing)
{
    const struct sandbox_failure ready = { 0 };
    char go;

    (void)packet;
    say(passing, (struct sandbox_failure){ .pid = 1 }, sizeof ready);
    (void)!recv(passing->fds[SANDBOX_CALL_STATUS], &go, sizeof go, 0);
    say(passing, ready, sizeof ready);
}

static const struct {
    const char *name;
    void (*on_call)(const uint8_t *packet, struct passing *passing);
} modes[] = {
    { "obey", obey },       { "once", obey_once },  { "twice", obey_twice },
    { "drop", drop },       { "lie", lie },         { "keep", keep },
    { "chatter", chatter }, { "make-up", make_up }, { "deaf", NULL },
};

static bool
is_word(const uint8_t *packet, const struct passing *passing, const char *word)
{
    return passing->length == strlen(word) && memcmp(packet, word, passing->length) == 0;
}

int
main(int argc, char **argv)
{
    static uint8_t packet[SANDBOX_CALL_BYTES_MAX];
    size_t mode = 0;

    if (argc != 3)
        return 2;
    canary = argv[2];
    while (strcmp(modes[mode].name, argv[1]) != 0)
        if (++mode == sizeof modes / sizeof modes[0])
            return 2;
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        struct passing passing;

        if (modes[mode].on_call == NULL)
            pause();
        if (passing_receive(SOCKET_FD, packet, sizeof packet, 0, &passing) < 0 ||
            passing.length == 0)
            return 0;
        strcpy(reached, "");
        if (is_word(packet, &passing, "sweep"))
            sweep();
        else if (is_word(packet, &passing, "stop"))
            kill(-1, SIGSTOP);
        else
            modes[mode].on_call(packet, &passing);
        if (passing.length <= strlen("sweep"))
            send(SOCKET_FD, reached, sizeof reached, MSG_NOSIGNAL);
        passing_fini(&passing);
    }
}
