/* SPDX-License-Identifier: MIT */
/*
 * The allow-list, as tables. What is not in them answers ENOSYS, as does a system call
 * that is newer than this file.
 */
#include "contexts/sandbox/policy.h"

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define NAME_BYTES 40
#define BINARY_TREE 2 /* of SCMP_FLTATR_CTL_OPTIMIZE: a quarter of the time to load */

/* Names are separated by spaces. */
static const struct {
    const char *reason;
    const char *names;
} allowed[] = {
    { "files, by name",
      "access chdir chmod chown creat faccessat faccessat2 fchmodat fchmodat2 fchownat "
      "futimesat getcwd lchown link linkat lstat mkdir mkdirat newfstatat open openat "
      "openat2 readlink readlinkat rename renameat renameat2 rmdir stat statfs statx "
      "symlink symlinkat truncate umask unlink unlinkat utime utimensat utimes" },
    { "files, by descriptor",
      "close close_range copy_file_range dup dup2 dup3 fadvise64 fallocate fchdir fchmod "
      "fchown fcntl fdatasync flock fstat fstatfs fsync ftruncate getdents getdents64 "
      "lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv "
      "sendfile splice sync_file_range tee write writev" },
    { "extended attributes",
      "fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr "
      "llistxattr lremovexattr lsetxattr removexattr setxattr" },
    { "memory; just-in-time compilers need mprotect and the keys",
      "brk madvise membarrier memfd_create mincore mlock mlock2 mmap mprotect mremap "
      "mseal msync munlock munmap pkey_alloc pkey_free pkey_mprotect map_shadow_stack" },
    { "processes and threads",
      "arch_prctl execve execveat exit exit_group fork get_robust_list get_thread_area "
      "getpgid getpgrp getpid getppid getsid gettid kill pidfd_open restart_syscall rseq "
      "set_robust_list set_thread_area set_tid_address setpgid setsid tgkill tkill vfork "
      "wait4 waitid" },
    { "who am I; without capabilities these change nothing",
      "capget getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid "
      "setfsuid setgid setregid setresgid setresuid setreuid setuid" },
    { "scheduling; numerical libraries pin their threads",
      "getcpu getpriority ioprio_get sched_get_priority_max sched_get_priority_min "
      "sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
      "sched_rr_get_interval sched_setaffinity sched_yield setpriority" },
    { "limits and facts", "getrandom getrlimit getrusage setrlimit sysinfo times uname" },
    { "signals",
      "alarm getitimer pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
      "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer "
      "sigaltstack signalfd signalfd4" },
    { "time", "clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep time "
              "timer_create timer_delete timer_getoverrun timer_gettime timer_settime "
              "timerfd_create timerfd_gettime timerfd_settime" },
    { "waiting and waking",
      "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd "
      "eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake inotify_add_watch "
      "inotify_init inotify_init1 inotify_rm_watch pipe pipe2 poll ppoll pselect6 "
      "select" },
    { "shared memory and semaphores, of the sandbox's own ipc namespace",
      "semctl semget semop semtimedop shmat shmctl shmdt shmget" },
    { "sockets, once made",
      "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom "
      "recvmmsg recvmsg sendmmsg sendmsg sendto setsockopt shutdown" },
};

/* Refused with an error that programs and their users understand. */
static const struct {
    const char *reason;
    int error;
    const char *names;
} refused[] = {
    { "libc then makes threads by clone, whose flags can be checked", ENOSYS, "clone3" },
    { "mounts, namespaces and roots", EPERM,
      "chroot mount pivot_root setns umount2 unshare" },
    { "other processes' memory", EPERM, "process_vm_readv process_vm_writev ptrace" },
    { "the machine's settings", EPERM,
      "acct clock_settime reboot setdomainname sethostname settimeofday swapoff swapon" },
    { "kernel code and introspection", EPERM,
      "bpf delete_module finit_module init_module perf_event_open syslog" },
    { "files by handle, past the mounts", EPERM, "open_by_handle_at" },
    { "real-time priority", EPERM, "sched_setattr sched_setparam sched_setscheduler" },
    { "supplementary groups", EPERM, "setgroups" },
};

/* Conditions. The kernel looks at the low half only, so the filter must, too. */
#define IS(argument, value) { argument, SCMP_CMP_MASKED_EQ, 0xffffffff, value }
#define HAS(argument, mask, value) { argument, SCMP_CMP_MASKED_EQ, mask, value }
#define ABOVE(argument, value) { argument, SCMP_CMP_GT, value, 0 }

#define TYPE_MASK 0xf /* the rest of a socket's type is flags */
#define NETLINK_ROUTE 0
#define TCP 6
#define UDP 17
#define MPTCP 262
#define NEW_NAMESPACES 0x7e020000 /* every CLONE_NEW* that clone knows */

#define SOCKET_ROWS(family)                                                              \
    { "socket", 0, 3, { IS(0, family), HAS(1, TYPE_MASK, SOCK_STREAM), IS(2, 0) } },     \
        { "socket",                                                                      \
          0,                                                                             \
          3,                                                                             \
          { IS(0, family), HAS(1, TYPE_MASK, SOCK_STREAM), IS(2, TCP) } },               \
        { "socket", 0, 3, { IS(0, family), HAS(1, TYPE_MASK, SOCK_DGRAM), IS(2, 0) } },  \
        { "socket",                                                                      \
          0,                                                                             \
          3,                                                                             \
          { IS(0, family), HAS(1, TYPE_MASK, SOCK_DGRAM), IS(2, UDP) } },                \
        { "socket", EPROTONOSUPPORT, 2, { IS(0, family), IS(2, MPTCP) } },               \
    {                                                                                    \
        "socket", EPERM, 2,                                                              \
        {                                                                                \
            IS(0, family), HAS(1, TYPE_MASK, SOCK_RAW)                                   \
        }                                                                                \
    }
#define NO_FAMILY(family)                                                                \
    {                                                                                    \
        "socket", EAFNOSUPPORT, 1,                                                       \
        {                                                                                \
            IS(0, family)                                                                \
        }                                                                                \
    }

/* Allowed or refused by argument. */
static const struct {
    const char *name;
    int error; /* 0: allowed */
    unsigned count;
    struct scmp_arg_cmp conditions[3];
} conditional[] = {
    /* Unix, IPv4, IPv6, and netlink to ask for interfaces. */
    { "socket", 0, 2, { IS(0, AF_UNIX), HAS(1, TYPE_MASK, SOCK_STREAM) } },
    { "socket", 0, 2, { IS(0, AF_UNIX), HAS(1, TYPE_MASK, SOCK_DGRAM) } },
    { "socket", 0, 2, { IS(0, AF_UNIX), HAS(1, TYPE_MASK, SOCK_SEQPACKET) } },
    SOCKET_ROWS(AF_INET),
    SOCKET_ROWS(AF_INET6),
    { "socket", 0, 2, { IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE) } },
    { "socket", EAFNOSUPPORT, 1, { ABOVE(0, AF_NETLINK) } },
    NO_FAMILY(0),
    NO_FAMILY(3),
    NO_FAMILY(4),
    NO_FAMILY(5),
    NO_FAMILY(6),
    NO_FAMILY(7),
    NO_FAMILY(8),
    NO_FAMILY(9),
    NO_FAMILY(11),
    NO_FAMILY(12),
    NO_FAMILY(13),
    NO_FAMILY(14),
    NO_FAMILY(15),
    { "socketpair", 0, 1, { IS(0, AF_UNIX) } },
    /* Threads and processes, but no namespaces. */
    { "clone", 0, 1, { HAS(0, NEW_NAMESPACES, 0) } },
    /* One's own limits, which can only go down. */
    { "prlimit64", 0, 1, { IS(0, 0) } },
    /* Asking, and back to normal. */
    { "personality", 0, 1, { IS(0, 0) } },
    { "personality", 0, 1, { IS(0, 0xffffffff) } },
    /* Named pipes, but no devices. */
    { "mknod", 0, 1, { HAS(1, S_IFMT, S_IFIFO) } },
    { "mknod", EPERM, 1, { HAS(1, S_IFMT, S_IFCHR) } },
    { "mknod", EPERM, 1, { HAS(1, S_IFMT, S_IFBLK) } },
    { "mknodat", 0, 1, { HAS(2, S_IFMT, S_IFIFO) } },
    { "mknodat", EPERM, 1, { HAS(2, S_IFMT, S_IFCHR) } },
    { "mknodat", EPERM, 1, { HAS(2, S_IFMT, S_IFBLK) } },
};

/* Commands of calls that take many kinds, each with its first argument's position. */
static const struct {
    const char *reason;
    const char *name;
    unsigned argument;
    unsigned values[32]; /* ends with 0 */
} commands[] = {
    { "terminals: modes, flushing, breaks",
      "ioctl",
      1,
      { 0x5401, 0x5402, 0x5403, 0x5404, 0x5405, 0x5406, 0x5407, 0x5408, 0x5409, 0x540a,
        0x540b, 0x5425, 0x802c542a, 0x402c542b, 0x402c542c, 0x402c542d } },
    { "terminals: sessions, groups, sizes, queues",
      "ioctl",
      1,
      { 0x540c, 0x540d, 0x540e, 0x540f, 0x5410, 0x5411, 0x5413, 0x5414, 0x5422, 0x5424,
        0x5429 } },
    { "pseudo-terminals",
      "ioctl",
      1,
      { 0x5420, 0x80045430, 0x40045431, 0x80045438, 0x80045439, 0x5441 } },
    { "any descriptor: bytes waiting, blocking, close-on-exec",
      "ioctl",
      1,
      { 0x541b, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460 } },
    { "interfaces: names, flags, addresses, sizes",
      "ioctl",
      1,
      { 0x8905, 0x8910, 0x8912, 0x8913, 0x8915, 0x8917, 0x8919, 0x891b, 0x8921, 0x8927,
        0x8933, 0x8942 } },
    { "files: flags, to read", "ioctl", 1, { 0x80086601 } },
    { "threads' names, parents' deaths, reaping, timer slack",
      "prctl",
      0,
      { 1, 2, 15, 16, 29, 30, 36, 37, 40 } },
    { "huge pages, names of mappings", "prctl", 0, { 41, 42, 0x53564d41 } },
    { "asking: dumpable, seccomp, capabilities, secure bits, mitigations; no new "
      "privileges, which is so already",
      "prctl",
      0,
      { 3, 21, 23, 25, 27, 38, 39, 52 } },
};

/* Calls that this machine, or this libseccomp, does not know stay refused. */
static int
add_rule(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
         const struct scmp_arg_cmp *conditions, struct error *err)
{
    int number = seccomp_syscall_resolve_name(name);
    int r;

    if (number == __NR_SCMP_ERROR || number < 0)
        return 0;
    r = seccomp_rule_add_array(filter, action, number, count, conditions);
    return r < 0 ? error_set(err, r, "seccomp: rule for %s: %s", name, strerror(-r)) : 0;
}

static int
add_names(scmp_filter_ctx filter, uint32_t action, const char *names, struct error *err)
{
    char name[NAME_BYTES];
    int r = 0;

    while (r == 0 && *names != '\0') {
        size_t length = strcspn(names, " ");

        if (length >= sizeof name)
            return error_set(err, -EINVAL, "seccomp: name too long: %s", names);
        memcpy(name, names, length);
        name[length] = '\0';
        r = add_rule(filter, action, name, 0, NULL, err);
        names += length;
        names += strspn(names, " ");
    }
    return r;
}

static uint32_t
action_for(int error)
{
    return error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint32_t)error);
}

static int
add_commands(scmp_filter_ctx filter, size_t row, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(commands[row].values); i++) {
        const struct scmp_arg_cmp condition =
            IS(commands[row].argument, commands[row].values[i]);

        if (commands[row].values[i] == 0)
            break;
        r = add_rule(filter, SCMP_ACT_ALLOW, commands[row].name, 1, &condition, err);
    }
    return r;
}

static int
add_tables(scmp_filter_ctx filter, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(allowed); i++)
        r = add_names(filter, SCMP_ACT_ALLOW, allowed[i].names, err);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(refused); i++)
        if (refused[i].error != ENOSYS) /* the default needs no rule */
            r = add_names(filter, action_for(refused[i].error), refused[i].names, err);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(conditional); i++)
        r = add_rule(filter, action_for(conditional[i].error), conditional[i].name,
                     conditional[i].count, conditional[i].conditions, err);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(commands); i++)
        r = add_commands(filter, i, err);
    return r;
}

static int
set_attributes(scmp_filter_ctx filter, struct error *err)
{
    int r;

    /* 32-bit and x32 calls have other numbers: none of them is on the list. */
    r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE);
    return r < 0 ? error_set(err, r, "seccomp: attributes: %s", strerror(-r)) : 0;
}

static int
export_program(struct buffer *ret, scmp_filter_ctx filter, struct error *err)
{
    CLEANUP(close_fdp) int fd = memfd_create("seccomp", MFD_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0)
        return error_errno(err, "seccomp: memfd");
    r = seccomp_export_bpf(filter, fd);
    if (r < 0)
        return error_set(err, r, "seccomp: export: %s", strerror(-r));
    if (fstat(fd, &st) < 0)
        return error_errno(err, "seccomp: export");
    if (st.st_size <= 0 || (size_t)st.st_size > BPF_MAXINSNS * sizeof(struct sock_filter))
        return error_set(err, -E2BIG, "seccomp: program of %lld bytes",
                         (long long)st.st_size);
    r = buffer_reserve(ret, (size_t)st.st_size);
    if (r != 0)
        return error_set(err, r < 0 ? r : -ENOSPC, "seccomp: no room for the program");
    if (pread(fd, ret->data + ret->length, (size_t)st.st_size, 0) != st.st_size)
        return error_set(err, -EIO, "seccomp: cannot read the program back");
    ret->length += (size_t)st.st_size;
    return 0;
}

int
sandbox_policy_compile(struct buffer *ret, struct error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int r;

    if (filter == NULL)
        return error_set(err, -ENOMEM, "seccomp: out of memory");
    r = set_attributes(filter, err);
    if (r == 0)
        r = add_tables(filter, err);
    if (r == 0)
        r = export_program(ret, filter, err);
    seccomp_release(filter);
    return r;
}
