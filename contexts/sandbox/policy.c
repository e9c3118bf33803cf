/* SPDX-License-Identifier: MIT */
/*
 * The allow-list, as tables. What is not in them answers ENOSYS, as does a system call
 * that is newer than this file.
 */
#include "contexts/sandbox/policy.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define NAME_BYTES 40
#define BINARY_TREE 2 /* of SCMP_FLTATR_CTL_OPTIMIZE: a quarter of the time to load */

/* Not a zygote's: by a number it would have a hold on an init that is not built yet, and
 * it has the right to go in. Its forks lose this, too. */
#define HOLDING "pidfd_open"

/* Names are separated by spaces. */
struct names {
    const char *reason;
    const char *names;
};

static const struct names allowed[] = {
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
      "getpgid getpgrp getpid getppid getsid gettid kill restart_syscall rseq "
      "set_robust_list set_thread_area set_tid_address setpgid setsid tgkill tkill vfork "
      "wait4 waitid" },
    { "processes, to wait for", HOLDING },
    { "who am I; without capabilities these change nothing",
      "capget getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid "
      "setfsuid setgid setregid setresgid setresuid setreuid setuid" },
    { "scheduling; numerical libraries pin their threads",
      "getcpu getpriority ioprio_get sched_get_priority_max sched_get_priority_min "
      "sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
      "sched_rr_get_interval sched_yield" },
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
      "eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake pipe pipe2 poll "
      "ppoll pselect6 select" },
    { "sockets, once made",
      "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom "
      "recvmmsg recvmsg sendmmsg sendmsg sendto setsockopt shutdown" },
};

/* What only namespaces make harmless. */
static const struct names allowed_in_full[] = {
    { "scheduling of one's own processes, of which alone one knows",
      "sched_setaffinity setpriority" },
    { "watching files, of which one sees one's own",
      "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch" },
    { "shared memory and semaphores, of the sandbox's own ipc namespace",
      "semctl semget semop semtimedop shmat shmctl shmdt shmget" },
};

/* What a zygote's fork needs to enter its sandbox and to confine itself there. No mount:
 * that is init's work. */
#define JOINING "setns"
static const char confining[] = "capset landlock_add_rule landlock_create_ruleset "
                                "landlock_restrict_self seccomp " JOINING;
static const unsigned confining_options[] = { PR_CAPBSET_DROP, PR_CAP_AMBIENT,
                                              PR_SET_DUMPABLE, PR_SET_SECUREBITS };

/* Refused with an error that programs and their users understand. */
static const struct {
    const char *reason;
    int error;
    const char *names;
} refused[] = {
    { "libc then makes threads by clone, whose flags can be checked", ENOSYS, "clone3" },
    { "mounts, namespaces and roots", EPERM, "chroot mount pivot_root umount2 unshare" },
    { "namespaces of others", EPERM, JOINING },
    { "other processes' memory", EPERM, "process_vm_readv process_vm_writev ptrace" },
    { "the machine's settings", EPERM,
      "acct clock_settime reboot setdomainname sethostname settimeofday swapoff swapon" },
    { "kernel code and introspection", EPERM,
      "bpf delete_module finit_module init_module perf_event_open syslog" },
    { "files by handle, past the mounts", EPERM, "open_by_handle_at" },
    { "real-time priority", EPERM, "sched_setattr sched_setparam" },
    { "supplementary groups", EPERM, "setgroups" },
};

/* Sockets that may be made. */
static const struct {
    unsigned family, type;
    unsigned protocols[2]; /* Unix has one, netlink only that which tells of interfaces */
} sockets[] = {
    { AF_UNIX, SOCK_STREAM, { 0, 0 } },
    { AF_UNIX, SOCK_DGRAM, { 0, 0 } },
    { AF_UNIX, SOCK_SEQPACKET, { 0, 0 } },
    { AF_INET, SOCK_STREAM, { 0, IPPROTO_TCP } },
    { AF_INET, SOCK_DGRAM, { 0, IPPROTO_UDP } },
    { AF_INET6, SOCK_STREAM, { 0, IPPROTO_TCP } },
    { AF_INET6, SOCK_DGRAM, { 0, IPPROTO_UDP } },
    { AF_NETLINK, SOCK_RAW, { NETLINK_ROUTE, NETLINK_ROUTE } },
    { AF_NETLINK, SOCK_DGRAM, { NETLINK_ROUTE, NETLINK_ROUTE } },
};

/* Conditions. The kernel looks at the low half only, so the filter must, too. */
#define LOW_HALF 0xffffffff
#define IS(argument, value) { argument, SCMP_CMP_MASKED_EQ, LOW_HALF, value }
#define HAS(argument, mask, value) { argument, SCMP_CMP_MASKED_EQ, mask, value }
#define ABOVE(argument, value) { argument, SCMP_CMP_GT, value, 0 }

#define TYPE_MASK 0xf /* the rest of a socket's type is flags */
#define NEW_NAMESPACES 0x7e020000 /* every CLONE_NEW* that clone knows */
#define MPTCP 262
#define LAST_FAMILY AF_NETLINK /* of those that are allowed */

/* Allowed or refused by argument. */
struct conditional {
    const char *reason;
    const char *name;
    int error; /* 0: allowed */
    unsigned count;
    struct scmp_arg_cmp conditions[2];
};

static const struct conditional conditional[] = {
    { "raw packets",
      "socket",
      EPERM,
      2,
      { IS(0, AF_INET), HAS(1, TYPE_MASK, SOCK_RAW) } },
    { "raw packets",
      "socket",
      EPERM,
      2,
      { IS(0, AF_INET6), HAS(1, TYPE_MASK, SOCK_RAW) } },
    { "programs try this one first",
      "socket",
      EPROTONOSUPPORT,
      2,
      { IS(0, AF_INET), IS(2, MPTCP) } },
    { "programs try this one first",
      "socket",
      EPROTONOSUPPORT,
      2,
      { IS(0, AF_INET6), IS(2, MPTCP) } },
    { "rare families, where the kernel is weakest",
      "socket",
      EAFNOSUPPORT,
      1,
      { ABOVE(0, LAST_FAMILY) } },
    { "threads and processes, no namespaces",
      "clone",
      0,
      1,
      { HAS(0, NEW_NAMESPACES, 0) } },
    { "the ordinary policy, which ZeroMQ sets for each of its threads, or aborts",
      "sched_setscheduler",
      0,
      1,
      { IS(1, SCHED_OTHER) } },
    { "real-time priority", "sched_setscheduler", EPERM, 1, { ABOVE(1, SCHED_OTHER) } },
    { "one's own limits, which only go down", "prlimit64", 0, 1, { IS(0, 0) } },
    { "the ordinary personality", "personality", 0, 1, { IS(0, 0) } },
    { "asking for the personality", "personality", 0, 1, { IS(0, LOW_HALF) } },
    { "named pipes", "mknod", 0, 1, { HAS(1, S_IFMT, S_IFIFO) } },
    { "devices", "mknod", EPERM, 1, { HAS(1, S_IFMT, S_IFCHR) } },
    { "devices", "mknod", EPERM, 1, { HAS(1, S_IFMT, S_IFBLK) } },
    { "named pipes", "mknodat", 0, 1, { HAS(2, S_IFMT, S_IFIFO) } },
    { "devices", "mknodat", EPERM, 1, { HAS(2, S_IFMT, S_IFCHR) } },
    { "devices", "mknodat", EPERM, 1, { HAS(2, S_IFMT, S_IFBLK) } },
};

static const struct conditional conditional_in_full[] = {
    { "pairs reach nobody else", "socketpair", 0, 1, { IS(0, AF_UNIX) } },
};

static const struct conditional conditional_in_nested[] = {
    { "pairs that cannot be sent elsewhere, as datagrams can",
      "socketpair",
      0,
      2,
      { IS(0, AF_UNIX), HAS(1, TYPE_MASK, SOCK_STREAM) } },
    { "pairs that cannot be sent elsewhere, as datagrams can",
      "socketpair",
      0,
      2,
      { IS(0, AF_UNIX), HAS(1, TYPE_MASK, SOCK_SEQPACKET) } },
    { "one's own processors", "sched_setaffinity", 0, 1, { IS(0, 0) } },
    { "one's own priority", "setpriority", 0, 2, { IS(0, PRIO_PROCESS), IS(1, 0) } },
};

/* Commands of the calls that take many kinds. Never here: TIOCSTI and TIOCLINUX, which
 * type for another program, and TIOCSETD, which loads kernel code. */
#define COMMANDS_MAX 32
static const struct {
    const char *reason;
    const char *name;
    unsigned argument; /* the command's position */
    unsigned values[COMMANDS_MAX]; /* ends with 0 */
} commands[] = {
    { "terminals: modes, flushing, breaks",
      "ioctl",
      1,
      { TCGETS, TCSETS, TCSETSW, TCSETSF, TCGETA, TCSETA, TCSETAW, TCSETAF, TCSBRK,
        TCXONC, TCFLSH, TCSBRKP, TCGETS2, TCSETS2, TCSETSW2, TCSETSF2 } },
    { "terminals: sessions, groups, sizes, queues",
      "ioctl",
      1,
      { TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID,
        TIOCOUTQ, TIOCGWINSZ, TIOCSWINSZ, TIOCGETD } },
    { "pseudo-terminals",
      "ioctl",
      1,
      { TIOCPKT, TIOCGPTN, TIOCSPTLCK, TIOCGPKT, TIOCGPTLCK, TIOCGPTPEER } },
    { "any descriptor: bytes waiting, blocking, close-on-exec",
      "ioctl",
      1,
      { FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FIOASYNC, FIOQSIZE } },
    { "interfaces: names, flags, addresses, sizes",
      "ioctl",
      1,
      { SIOCATMARK, SIOCGIFNAME, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFDSTADDR,
        SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX,
        SIOCGIFTXQLEN } },
    { "files: flags, to read", "ioctl", 1, { FS_IOC_GETFLAGS } },
    { "threads' names, parents' deaths, reaping, timer slack",
      "prctl",
      0,
      { PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_NAME, PR_GET_NAME, PR_SET_TIMERSLACK,
        PR_GET_TIMERSLACK, PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER,
        PR_GET_TID_ADDRESS } },
    { "huge pages, names of mappings",
      "prctl",
      0,
      { PR_SET_THP_DISABLE, PR_GET_THP_DISABLE, PR_SET_VMA } },
    { "asking; no new privileges, which is so already",
      "prctl",
      0,
      { PR_GET_DUMPABLE, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_TSC, PR_GET_SECUREBITS,
        PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_SPECULATION_CTRL } },
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
    if (r < 0 && r != -EEXIST)
        return error_set(err, r, "seccomp: rule for %s: %s", name, strerror(-r));
    return 0;
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

/* What a program is for. */
struct purpose {
    enum sandbox_role role;
    enum sandbox_tier tier;
    enum sandbox_network network;
};

/* Without namespaces a socket reaches whatever listens on the machine: by a path even
 * what would run programs for the user. */
static bool
may_have_socket(const struct purpose *purpose, unsigned family)
{
    return purpose->tier == SANDBOX_TIER_FULL ||
           (purpose->network == SANDBOX_NETWORK_HOST && family != AF_UNIX);
}

static int
add_sockets(scmp_filter_ctx filter, const struct purpose *purpose, struct error *err)
{
    bool known[LAST_FAMILY + 1] = { false };
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(sockets); i++) {
        if (!may_have_socket(purpose, sockets[i].family))
            continue;
        known[sockets[i].family] = true;
        for (size_t j = 0; r == 0 && j < N_ELEMENTS(sockets[i].protocols); j++) {
            const struct scmp_arg_cmp conditions[] = {
                IS(0, sockets[i].family),
                HAS(1, TYPE_MASK, sockets[i].type),
                IS(2, sockets[i].protocols[j]),
            };

            r = add_rule(filter, SCMP_ACT_ALLOW, "socket", 3, conditions, err);
        }
    }
    for (unsigned family = 0; r == 0 && family <= LAST_FAMILY; family++) {
        const struct scmp_arg_cmp condition = IS(0, family);

        if (!known[family])
            r = add_rule(filter, action_for(EAFNOSUPPORT), "socket", 1, &condition, err);
    }
    return r;
}

static int
add_confining(scmp_filter_ctx filter, struct error *err)
{
    int r = add_names(filter, SCMP_ACT_ALLOW, confining, err);

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(confining_options); i++) {
        const struct scmp_arg_cmp condition = IS(0, confining_options[i]);

        r = add_rule(filter, SCMP_ACT_ALLOW, "prctl", 1, &condition, err);
    }
    return r;
}

static int
add_allowed(scmp_filter_ctx filter, const struct names *rows, size_t count,
            const struct purpose *purpose, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        if (purpose->role != SANDBOX_ROLE_ZYGOTE || strcmp(rows[i].names, HOLDING) != 0)
            r = add_names(filter, SCMP_ACT_ALLOW, rows[i].names, err);
    return r;
}

static int
add_refused(scmp_filter_ctx filter, const struct purpose *purpose, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(refused); i++)
        if (refused[i].error != ENOSYS && /* the default needs no rule */
            (purpose->role != SANDBOX_ROLE_ZYGOTE ||
             strcmp(refused[i].names, JOINING) != 0))
            r = add_names(filter, action_for(refused[i].error), refused[i].names, err);
    return r;
}

/* A family that is refused as a whole needs no finer rule. */
static bool
is_moot(const struct conditional *row, const struct purpose *purpose)
{
    return strcmp(row->name, "socket") == 0 &&
           row->conditions[0].op == SCMP_CMP_MASKED_EQ &&
           !may_have_socket(purpose, (unsigned)row->conditions[0].datum_b);
}

static int
add_conditional(scmp_filter_ctx filter, const struct conditional *rows, size_t count,
                const struct purpose *purpose, struct error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        if (!is_moot(&rows[i], purpose))
            r = add_rule(filter, action_for(rows[i].error), rows[i].name, rows[i].count,
                         rows[i].conditions, err);
    return r;
}

/* Those of one tier alone. */
static int
add_tier(scmp_filter_ctx filter, const struct purpose *purpose, struct error *err)
{
    int r;

    if (purpose->tier == SANDBOX_TIER_NESTED)
        return add_conditional(filter, conditional_in_nested,
                               N_ELEMENTS(conditional_in_nested), purpose, err);
    r = add_allowed(filter, allowed_in_full, N_ELEMENTS(allowed_in_full), purpose, err);
    return r != 0 ? r
                  : add_conditional(filter, conditional_in_full,
                                    N_ELEMENTS(conditional_in_full), purpose, err);
}

static int
add_tables(scmp_filter_ctx filter, const struct purpose *purpose, struct error *err)
{
    int r = purpose->role == SANDBOX_ROLE_ZYGOTE ? add_confining(filter, err) : 0;

    if (r == 0)
        r = add_allowed(filter, allowed, N_ELEMENTS(allowed), purpose, err);
    if (r == 0)
        r = add_refused(filter, purpose, err);
    if (r == 0)
        r = add_conditional(filter, conditional, N_ELEMENTS(conditional), purpose, err);
    if (r == 0)
        r = add_tier(filter, purpose, err);
    if (r == 0)
        r = add_sockets(filter, purpose, err);
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

static int
compile(struct buffer *ret, const struct purpose *purpose, struct error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int r;

    if (filter == NULL)
        return error_set(err, -ENOMEM, "seccomp: out of memory");
    r = set_attributes(filter, err);
    if (r == 0)
        r = add_tables(filter, purpose, err);
    if (r == 0)
        r = export_program(ret, filter, err);
    seccomp_release(filter);
    return r;
}

int
sandbox_policy_compile(struct buffer *ret, enum sandbox_role role, struct error *err)
{
    const struct purpose purpose = { .role = role };

    return compile(ret, &purpose, err);
}

int
sandbox_policy_compile_nested(struct buffer *ret, enum sandbox_network network,
                              struct error *err)
{
    const struct purpose purpose = { .tier = SANDBOX_TIER_NESTED, .network = network };

    return compile(ret, &purpose, err);
}
