/* SPDX-License-Identifier: MIT */
/*
 * What the nested tier, without namespaces, must refuse, and what it cannot. Nothing here
 * harms the machine, should it not be refused.
 */
#include "tests/sandbox/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

const char *probe_socket_path = "", *probe_victim = "";

static pid_t
victim(void)
{
    return (pid_t)atoi(probe_victim);
}

static long
open_of_victim(const char *name, int flags)
{
    char path[128];

    snprintf(path, sizeof path, "/proc/%s/%s", probe_victim, name);
    return probe_open(path, flags);
}

static long
connect_path(int fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    long r;

    if (fd < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", probe_socket_path);
    r = connect(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    return r;
}

static long
pair(int type)
{
    int fds[2];

    if (socketpair(AF_UNIX, type, 0, fds) < 0)
        return -1;
    close(fds[0]);
    return fds[1];
}

static long
read_victim_memory(void)
{
    char byte;
    struct iovec iov = { &byte, 1 };

    return process_vm_readv(victim(), &iov, 1, &iov, 1, 0);
}

static long
limit_victim(void)
{
    struct rlimit limit;

    return prlimit(victim(), RLIMIT_NOFILE, NULL, &limit);
}

static long
pin_victim(void)
{
    cpu_set_t set;

    return sched_getaffinity(victim(), sizeof set, &set) < 0
               ? -1
               : sched_setaffinity(victim(), sizeof set, &set);
}

static long
own_directory(void)
{
    char text[256];

    return getcwd(text, sizeof text) == NULL ? -1 : mkdir("kept", 0700);
}

static long
link_canary(void)
{
    return link(probe_canary, "stolen");
}

static long
rename_canary(void)
{
    return rename(probe_canary, "stolen");
}

static long
mount_here(void)
{
    return mount("none", ".", "tmpfs", 0, NULL);
}

static long
open_dots(void)
{
    return probe_open("../../../../../../../../etc/shadow", O_RDONLY);
}

PROBE(refuse_read_outside, probe_open(probe_canary, O_RDONLY))
PROBE(refuse_write_outside, probe_open(probe_canary, O_WRONLY))
PROBE(refuse_truncate_outside, truncate(probe_canary, 0))
PROBE(refuse_remove_outside, unlink(probe_canary))
PROBE(refuse_make_outside, probe_open("/tmp/cellwall-outside", O_WRONLY | O_CREAT))
PROBE(refuse_make_folder_outside, mkdir("/tmp/cellwall-outside", 0700))
PROBE(refuse_make_socket_outside, mknod("/tmp/cellwall-outside", S_IFSOCK | 0600, 0))
PROBE(refuse_write_usr, probe_open("/usr/cellwall-outside", O_WRONLY | O_CREAT))
PROBE(refuse_etc, probe_open("/etc/machine-id", O_RDONLY))
PROBE(refuse_list_root, probe_open("/", O_RDONLY | O_DIRECTORY))
PROBE(refuse_list_tmp, probe_open("/tmp", O_RDONLY | O_DIRECTORY))
PROBE(refuse_hidden, probe_open("/usr/share/doc", O_RDONLY | O_DIRECTORY))
PROBE(refuse_list_proc, probe_open("/proc", O_RDONLY | O_DIRECTORY))
PROBE(refuse_sys, probe_open("/sys/kernel", O_RDONLY))
PROBE(refuse_terminal, posix_openpt(O_RDWR | O_NOCTTY))
PROBE(refuse_victim_command, open_of_victim("cmdline", O_RDONLY))
PROBE(refuse_victim_environment, open_of_victim("environ", O_RDONLY))
PROBE(refuse_victim_memory, open_of_victim("mem", O_RDWR))
PROBE(refuse_victim_root, open_of_victim("root/etc/passwd", O_RDONLY))
PROBE(refuse_victim_fd, open_of_victim("fd/0", O_RDONLY))
PROBE(refuse_trace_victim, ptrace(PTRACE_ATTACH, victim(), NULL, NULL))
PROBE(refuse_read_victim, read_victim_memory())
PROBE(refuse_limit_victim, limit_victim())
PROBE(refuse_pin_victim, pin_victim())
PROBE(refuse_nice_victim, setpriority(PRIO_PROCESS, (id_t)victim(), 19))
PROBE(refuse_nice_user, setpriority(PRIO_USER, 0, 19))
PROBE(refuse_signal_victim, kill(victim(), 0))
PROBE(refuse_signal_init, kill(getppid(), SIGTERM))
PROBE(refuse_queue_victim, sigqueue(victim(), SIGTERM, (union sigval){ 0 }))
PROBE(refuse_tcp, probe_connect(AF_INET, "127.0.0.1", atoi(probe_host_port)))
PROBE(refuse_udp, probe_socket(AF_INET, SOCK_DGRAM, 0))
PROBE(refuse_ip6, probe_socket(AF_INET6, SOCK_STREAM, 0))
PROBE(refuse_netlink, probe_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE))
PROBE(refuse_raw, probe_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))
PROBE(refuse_unix, probe_socket(AF_UNIX, SOCK_STREAM, 0))
PROBE(refuse_unix_datagrams, probe_socket(AF_UNIX, SOCK_DGRAM, 0))
PROBE(refuse_path_socket, connect_path(socket(AF_UNIX, SOCK_STREAM, 0)))
PROBE(refuse_datagram_pair, connect_path((int)pair(SOCK_DGRAM)))
PROBE(refuse_stream_pair_elsewhere, connect_path((int)pair(SOCK_STREAM)))
PROBE(refuse_shared_memory, shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600))
PROBE(refuse_messages, syscall(SYS_msgget, IPC_PRIVATE, IPC_CREAT | 0600))
PROBE(refuse_watch, inotify_init())
PROBE(refuse_mount, mount_here())
PROBE(refuse_unshare, unshare(CLONE_NEWUSER))
PROBE(refuse_dots, open_dots())
PROBE(refuse_link, link_canary())
PROBE(refuse_rename, rename_canary())
PROBE(refuse_device, mknod("device", S_IFCHR | 0600, 0x103))
PROBE(refuse_setuid, setuid(0))

/* What this tier cannot refuse to a runner with its user's own id. */
PROBE(gap_mode, chmod(probe_canary, 0604))
PROBE(gap_times, utimensat(AT_FDCWD, probe_canary, NULL, 0))
PROBE(gap_attribute, setxattr(probe_canary, "user.gap", "x", 1, 0))
/* Nor to any. */
PROBE(gap_names, access(probe_canary, F_OK))

/* What programs need all the same. */
static long
allow_fork(void)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(7);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0
                                                                                  : -1;
}

static long
allow_shell(void)
{
    return system("echo x > file && test x = \"$(cat < file)\" && rm file") == 0 ? 0 : -1;
}

static long
in_folder_of(const char *variable)
{
    char path[512];

    snprintf(path, sizeof path, "%s/x", getenv(variable));
    return probe_open(path, O_RDWR | O_CREAT);
}

PROBE(allow_workspace, own_directory())
PROBE(allow_home, in_folder_of("HOME"))
PROBE(allow_tmp, in_folder_of("TMPDIR"))
PROBE(allow_pair, pair(SOCK_STREAM))
PROBE(allow_packets, pair(SOCK_SEQPACKET))
PROBE(allow_null, probe_open("/dev/null", O_RDWR))
PROBE(allow_random, probe_open("/dev/urandom", O_RDONLY))
PROBE(allow_cpuinfo, probe_open("/proc/cpuinfo", O_RDONLY))
PROBE(allow_stdout_by_name, probe_open("/dev/stdout", O_WRONLY | O_APPEND))
PROBE(allow_users, probe_open("/etc/passwd", O_RDONLY))
PROBE(allow_signal_self, kill(getpid(), 0))
PROBE(allow_memfd, memfd_create("x", MFD_CLOEXEC))
PROBE(own_semaphore, sem_open("/cellwall-probe", O_CREAT, 0600, 0) == SEM_FAILED ? -1 : 0)

static const struct probe rows[] = {
    ROW(refuse_read_outside),
    ROW(refuse_write_outside),
    ROW(refuse_truncate_outside),
    ROW(refuse_remove_outside),
    ROW(refuse_make_outside),
    ROW(refuse_make_folder_outside),
    ROW(refuse_make_socket_outside),
    ROW(refuse_write_usr),
    ROW(refuse_etc),
    ROW(refuse_list_root),
    ROW(refuse_list_tmp),
    ROW(refuse_hidden),
    ROW(refuse_list_proc),
    ROW(refuse_sys),
    ROW(refuse_terminal),
    ROW(refuse_victim_command),
    ROW(refuse_victim_environment),
    ROW(refuse_victim_memory),
    ROW(refuse_victim_root),
    ROW(refuse_victim_fd),
    ROW(refuse_trace_victim),
    ROW(refuse_read_victim),
    ROW(refuse_limit_victim),
    ROW(refuse_pin_victim),
    ROW(refuse_nice_victim),
    ROW(refuse_nice_user),
    ROW(refuse_signal_victim),
    ROW(refuse_signal_init),
    ROW(refuse_queue_victim),
    ROW(refuse_tcp),
    ROW(refuse_udp),
    ROW(refuse_ip6),
    ROW(refuse_netlink),
    ROW(refuse_raw),
    ROW(refuse_unix),
    ROW(refuse_unix_datagrams),
    ROW(refuse_path_socket),
    ROW(refuse_datagram_pair),
    ROW(refuse_stream_pair_elsewhere),
    ROW(refuse_shared_memory),
    ROW(refuse_messages),
    ROW(refuse_watch),
    ROW(refuse_mount),
    ROW(refuse_unshare),
    ROW(refuse_dots),
    ROW(refuse_link),
    ROW(refuse_rename),
    ROW(refuse_device),
    ROW(refuse_setuid),
    ROW(gap_mode),
    ROW(gap_times),
    ROW(gap_attribute),
    ROW(gap_names),
    ROW(allow_workspace),
    ROW(allow_fork),
    ROW(allow_shell),
    ROW(allow_home),
    ROW(allow_tmp),
    ROW(allow_pair),
    ROW(allow_packets),
    ROW(allow_null),
    ROW(allow_random),
    ROW(allow_cpuinfo),
    ROW(allow_stdout_by_name),
    ROW(allow_users),
    ROW(allow_signal_self),
    ROW(allow_memfd),
    ROW(own_semaphore),
};

const struct probes probe_nested = { rows, sizeof rows / sizeof rows[0] };
