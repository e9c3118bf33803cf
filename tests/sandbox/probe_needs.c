/* SPDX-License-Identifier: MIT */
#include "tests/sandbox/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static long
allow_fork(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(7);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WEXITSTATUS(status) == 7 ? 0 : -1;
}

static void *
thread_main(void *arg)
{
    return arg;
}

static long
allow_thread(void)
{
    pthread_t thread;

    errno = pthread_create(&thread, NULL, thread_main, NULL);
    return errno != 0 ? -1 : pthread_join(thread, NULL);
}

static long
allow_shell(void)
{
    return system("echo x > /dev/null && test -z \"$(cat < /dev/null)\"") == 0 ? 0 : -1;
}

static long
allow_stdout_by_name(void)
{
    return probe_open("/dev/stdout", O_WRONLY | O_APPEND);
}

static long
allow_loopback(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        return -1;
    return probe_connect(AF_INET, "127.0.0.1", ntohs(address.sin_port));
}

static long
allow_terminal(void)
{
    struct winsize size = { .ws_row = 20 };
    struct termios modes;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    int slave;

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -1;
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0 || tcgetattr(slave, &modes) < 0 ||
        tcsetattr(slave, TCSANOW, &modes) < 0)
        return -1;
    return ioctl(master, TIOCSWINSZ, &size);
}

static long
allow_workspace(void)
{
    if (mkdir("/box/a", 0755) < 0 || mkdir("/box/b", 0755) < 0 ||
        probe_open("/box/a/file", O_WRONLY | O_CREAT) < 0 ||
        rename("/box/a/file", "/box/b/file") < 0 ||
        link("/box/b/file", "/box/b/link") < 0 || symlink("file", "/box/b/symlink") < 0 ||
        chmod("/box/b/file", 0640) < 0 || truncate("/box/b/file", 10) < 0)
        return -1;
    return unlink("/box/b/link");
}

static long
allow_limits(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -1 : setrlimit(RLIMIT_NOFILE, &limit);
}

static long
allow_affinity(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) < 0
               ? -1
               : sched_setaffinity(0, sizeof set, &set);
}

/* As ZeroMQ does for each of its threads: without, it aborts. */
static long
allow_ordinary_scheduling(void)
{
    struct sched_param param = { .sched_priority = 0 };

    return sched_setscheduler((pid_t)syscall(SYS_gettid), SCHED_OTHER, &param);
}

PROBE(allow_memfd, memfd_create("x", MFD_CLOEXEC))
PROBE(allow_fifo, mkfifo("/box/fifo", 0600))
PROBE(allow_random, probe_open("/dev/urandom", O_RDONLY))
PROBE(allow_shm, probe_open("/dev/shm/x", O_RDWR | O_CREAT))
PROBE(allow_tmp, probe_open("/tmp/x", O_RDWR | O_CREAT))
PROBE(allow_netlink_route, probe_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE))
PROBE(allow_unix, probe_socket(AF_UNIX, SOCK_SEQPACKET, 0))
PROBE(allow_udp, probe_socket(AF_INET, SOCK_DGRAM, 0))
PROBE(allow_name, prctl(PR_SET_NAME, "probe"))
PROBE(allow_personality, personality(0xffffffff))
PROBE(allow_setuid_same, setuid(getuid()))
PROBE(allow_own_memory, probe_open("/proc/self/maps", O_RDONLY))
PROBE(allow_cpuinfo, probe_open("/proc/cpuinfo", O_RDONLY))
PROBE(allow_own_comm, probe_open("/proc/self/comm", O_WRONLY))
PROBE(allow_pkey, pkey_alloc(0, 0) >= 0 || errno != ENOSYS ? 0 : -1)

static const struct probe rows[] = {
    ROW(allow_fork),
    ROW(allow_thread),
    ROW(allow_shell),
    ROW(allow_stdout_by_name),
    ROW(allow_loopback),
    ROW(allow_terminal),
    ROW(allow_workspace),
    ROW(allow_limits),
    ROW(allow_affinity),
    ROW(allow_memfd),
    ROW(allow_fifo),
    ROW(allow_random),
    ROW(allow_shm),
    ROW(allow_tmp),
    ROW(allow_netlink_route),
    ROW(allow_unix),
    ROW(allow_udp),
    ROW(allow_name),
    ROW(allow_personality),
    ROW(allow_setuid_same),
    ROW(allow_own_memory),
    ROW(allow_cpuinfo),
    ROW(allow_own_comm),
    ROW(allow_pkey),
    ROW(allow_ordinary_scheduling),
};

const struct probes probe_needs = { rows, sizeof rows / sizeof rows[0] };
