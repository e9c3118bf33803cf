/* SPDX-License-Identifier: MIT */
/*
 * What must be refused. Nothing here harms the machine, should it not be.
 */
#include "tests/sandbox/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

const char *probe_host_port = "1", *probe_host_name = "", *probe_canary = "";

static long
refuse_abstract_socket(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t length = strlen(probe_host_name);
    int r;

    memcpy(address.sun_path + 1, probe_host_name, length);
    r = connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
    close(fd);
    return r;
}

PROBE(refuse_host_tcp4, probe_connect(AF_INET, "127.0.0.1", atoi(probe_host_port)))
PROBE(refuse_host_tcp6, probe_connect(AF_INET6, "::1", atoi(probe_host_port)))
PROBE(refuse_internet, probe_connect(AF_INET, "1.1.1.1", 53))
PROBE(refuse_metadata, probe_connect(AF_INET, "169.254.169.254", 80))
PROBE(refuse_alg, probe_socket(38, SOCK_SEQPACKET, 0))
PROBE(refuse_packet, probe_socket(17, SOCK_RAW, 0))
PROBE(refuse_vsock, probe_socket(40, SOCK_STREAM, 0))
PROBE(refuse_key, probe_socket(15, SOCK_RAW, 2))
PROBE(refuse_rxrpc, probe_socket(33, SOCK_DGRAM, 2))
PROBE(refuse_xdp, probe_socket(44, SOCK_RAW, 0))
PROBE(refuse_bluetooth, probe_socket(31, SOCK_RAW, 0))
PROBE(refuse_tipc, probe_socket(30, SOCK_DGRAM, 0))
PROBE(refuse_raw, probe_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))
PROBE(refuse_raw6, probe_socket(AF_INET6, SOCK_RAW, 58))
PROBE(refuse_sctp, probe_socket(AF_INET, SOCK_STREAM, 132))
PROBE(refuse_mptcp, probe_socket(AF_INET, SOCK_STREAM, 262))
PROBE(refuse_xfrm, probe_socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM))
PROBE(refuse_audit, probe_socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT))
/* The kernel takes the low half of the family: 38 again. */
PROBE(refuse_alg_high, syscall(SYS_socket, (1L << 32) | 38, SOCK_SEQPACKET, 0))
PROBE(refuse_xfrm_high, syscall(SYS_socket, AF_NETLINK, SOCK_RAW, (1L << 32) | 6))

/* Namespaces, mounts, roots. */

PROBE(refuse_mount, mount("none", "/tmp", "tmpfs", 0, NULL))
PROBE(refuse_remount, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL))
PROBE(refuse_umount, umount2("/tmp", MNT_DETACH))
PROBE(refuse_chroot, chroot("/tmp"))
PROBE(refuse_pivot_root, syscall(SYS_pivot_root, "/tmp", "/tmp"))
PROBE(refuse_open_tree, syscall(SYS_open_tree, AT_FDCWD, "/", 1))
PROBE(refuse_move_mount, syscall(SYS_move_mount, 0, "", 0, "", 0))
PROBE(refuse_fsopen, syscall(SYS_fsopen, "tmpfs", 0))
PROBE(refuse_mount_setattr, syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, NULL, 0))
PROBE(refuse_unshare_user, unshare(CLONE_NEWUSER))
PROBE(refuse_unshare_net, unshare(CLONE_NEWNET))
PROBE(refuse_clone_user, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))
PROBE(refuse_clone3, syscall(SYS_clone3, NULL, 0))
PROBE(refuse_setns, setns(open("/proc/self/ns/net", O_RDONLY), 0))

/* Other processes. */

static long
refuse_process_vm(void)
{
    char byte;
    struct iovec iov = { &byte, 1 };

    return process_vm_readv(1, &iov, 1, &iov, 1, 0);
}

static long
refuse_prlimit_init(void)
{
    struct rlimit limit;

    return prlimit(1, RLIMIT_NOFILE, NULL, &limit);
}

PROBE(refuse_ptrace_me, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
PROBE(refuse_ptrace_init, ptrace(PTRACE_ATTACH, 1, NULL, NULL))
PROBE(refuse_init_memory, probe_open("/proc/1/mem", O_RDONLY))
PROBE(refuse_init_environment, probe_open("/proc/1/environ", O_RDONLY))
PROBE(refuse_init_root, probe_open("/proc/1/root/etc", O_RDONLY))
PROBE(refuse_init_fd, probe_open("/proc/1/fd/0", O_RDONLY))
PROBE(refuse_kcmp, syscall(SYS_kcmp, 1, getpid(), 0, 0, 0))
PROBE(refuse_pidfd_getfd, syscall(SYS_pidfd_getfd, 0, 0, 0))
PROBE(refuse_kill_init, kill(1, SIGKILL))

/* The kernel's large interfaces. */

PROBE(refuse_bpf, syscall(SYS_bpf, 0, NULL, 0))
PROBE(refuse_perf, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0))
PROBE(refuse_io_uring, syscall(SYS_io_uring_setup, 1, NULL))
PROBE(refuse_userfaultfd, syscall(SYS_userfaultfd, 0))
PROBE(refuse_keyctl, syscall(SYS_keyctl, 0, -3, 0))
PROBE(refuse_add_key, syscall(SYS_add_key, "user", "x", "y", 1, -3))
PROBE(refuse_request_key, syscall(SYS_request_key, "user", "x", NULL, -3))
PROBE(refuse_memfd_secret, syscall(SYS_memfd_secret, 0))
PROBE(refuse_vmsplice, syscall(SYS_vmsplice, 1, NULL, 0, 0))
PROBE(refuse_aio, syscall(SYS_io_setup, 1, NULL))
PROBE(refuse_mq, syscall(SYS_mq_open, "/q", O_CREAT, 0600, NULL))
PROBE(refuse_fanotify, syscall(SYS_fanotify_init, 0, 0))
PROBE(refuse_seccomp, syscall(SYS_seccomp, 0, 0, NULL))
PROBE(refuse_prctl_seccomp, prctl(PR_SET_SECCOMP, 1))
PROBE(refuse_landlock, syscall(SYS_landlock_create_ruleset, NULL, 0, 1))
PROBE(refuse_init_module, syscall(SYS_init_module, NULL, 0, ""))
PROBE(refuse_kexec, syscall(SYS_kexec_load, 0, 0, NULL, 0))
PROBE(refuse_syslog, syscall(SYS_syslog, 10, NULL, 0))
PROBE(refuse_handle, syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0))
PROBE(refuse_mempolicy, syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0))
PROBE(refuse_unknown_call, syscall(1000))
PROBE(refuse_personality, personality(READ_IMPLIES_EXEC))
PROBE(refuse_dumpable, prctl(PR_SET_DUMPABLE, 0))
PROBE(refuse_securebits, prctl(PR_SET_SECUREBITS, 0))
PROBE(refuse_ptracer, prctl(0x59616d61, -1L))
PROBE(refuse_mm, prctl(PR_SET_MM, 1, 0, 0, 0))

#ifdef __x86_64__
PROBE(refuse_modify_ldt, syscall(SYS_modify_ldt, 0, NULL, 0))
PROBE(refuse_iopl, syscall(SYS_iopl, 3))
PROBE(refuse_x32, syscall(0x40000000 | SYS_getpid))

static long
refuse_int80(void)
{
    long r = 20; /* getpid in the 32-bit table */

    __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
    if (r < 0 && r > -4096) {
        errno = (int)-r;
        return -1;
    }
    return r;
}
#endif

/* The machine. */

PROBE(refuse_hostname, sethostname("x", 1))
PROBE(refuse_reboot, syscall(SYS_reboot, 0, 0, 0, NULL))
PROBE(refuse_swap, swapon("/tmp/x", 0))
PROBE(refuse_settime, syscall(SYS_clock_settime, 0, NULL))
PROBE(refuse_adjtime, syscall(SYS_adjtimex, NULL))
PROBE(refuse_sysctl, probe_open("/proc/sys/kernel/hostname", O_WRONLY))
PROBE(refuse_core_pattern, probe_open("/proc/sys/kernel/core_pattern", O_WRONLY))
PROBE(refuse_userns_sysctl, probe_open("/proc/sys/user/max_user_namespaces", O_WRONLY))
PROBE(refuse_sysrq, probe_open("/proc/sysrq-trigger", O_WRONLY))
PROBE(refuse_sys, probe_open("/sys/kernel", O_RDONLY))
PROBE(refuse_cgroup, probe_open("/sys/fs/cgroup", O_RDONLY))

/* Files and devices. */

static long
refuse_keys_listing(void)
{
    char byte;
    int fd = open("/proc/keys", O_RDONLY);
    long n = fd < 0 ? -1 : read(fd, &byte, 1);

    if (n == 0) {
        errno = ENODATA; /* there, and empty */
        return -1;
    }
    return n;
}

PROBE(refuse_canary, probe_open(probe_canary, O_RDONLY))
PROBE(refuse_canary_dots, probe_open("/box/../../../../../../etc/shadow", O_RDONLY))
PROBE(refuse_write_usr, probe_open("/usr/probe", O_WRONLY | O_CREAT))
PROBE(refuse_write_root, probe_open("/probe2", O_WRONLY | O_CREAT))
PROBE(refuse_write_self, probe_open("/proc/self/exe", O_WRONLY))
PROBE(refuse_write_file, probe_open("/etc/made-up", O_WRONLY))
PROBE(refuse_chmod_file, chmod("/etc/made-up", 0666))
PROBE(refuse_remove_file, unlink("/etc/made-up"))
PROBE(refuse_chmod_null, chmod("/dev/null", 0))
PROBE(refuse_remove_null, unlink("/dev/null"))
PROBE(refuse_rename_work, rename("/box", "/tmp/box"))
PROBE(refuse_link_out, link("/probe", "/box/probe"))
PROBE(refuse_mknod_char, mknod("/box/null", S_IFCHR | 0666, makedev(1, 3)))
PROBE(refuse_mknod_block, mknod("/box/disk", S_IFBLK | 0666, makedev(8, 0)))
PROBE(refuse_dev_mem, probe_open("/dev/mem", O_RDONLY))
PROBE(refuse_dev_kvm, probe_open("/dev/kvm", O_RDWR))
PROBE(refuse_dev_kmsg, probe_open("/dev/kmsg", O_RDONLY))
PROBE(refuse_dev_tty, probe_open("/dev/tty", O_RDWR))
PROBE(refuse_dev_fuse, probe_open("/dev/fuse", O_RDWR))

/* Where the kernel has it, it is covered by an empty file. */
static long
refuse_kcore(void)
{
    int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
    char byte;

    if (fd < 0)
        return -1;
    if (read(fd, &byte, 1) > 0)
        return 0;
    close(fd);
    errno = EACCES;
    return -1;
}

PROBE(refuse_masked_directory, probe_open("/usr/share/doc/x", O_RDWR | O_CREAT))

/* Ids, limits, terminals. */

static long
refuse_raise_limit(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NPROC, &limit);
    limit.rlim_max += 1000;
    return setrlimit(RLIMIT_NPROC, &limit);
}

static long
refuse_realtime(void)
{
    struct sched_param param = { .sched_priority = 1 };

    return sched_setscheduler(0, SCHED_FIFO, &param);
}

static long
terminal_ioctl(unsigned long command)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char key = 'x';
    long r;

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return 0;
    r = syscall(SYS_ioctl, master, command, &key);
    close(master);
    return r;
}

PROBE(refuse_setuid, setuid(0))
PROBE(refuse_setuid_other, setuid(getuid() + 1))
PROBE(refuse_setgid, setgid(getgid() + 1))
PROBE(refuse_setgroups, syscall(SYS_setgroups, 0, NULL))
PROBE(refuse_nice, setpriority(PRIO_PROCESS, 0, -5))
PROBE(refuse_tiocsti, terminal_ioctl(TIOCSTI))
PROBE(refuse_tiocsti_high, terminal_ioctl(TIOCSTI | 1UL << 32))
PROBE(refuse_tioclinux, terminal_ioctl(TIOCLINUX))
PROBE(refuse_tiocsetd, terminal_ioctl(TIOCSETD))

static const struct probe rows[] = {
    ROW(refuse_host_tcp4),
    ROW(refuse_host_tcp6),
    ROW(refuse_internet),
    ROW(refuse_metadata),
    ROW(refuse_abstract_socket),
    ROW(refuse_alg),
    ROW(refuse_packet),
    ROW(refuse_vsock),
    ROW(refuse_key),
    ROW(refuse_rxrpc),
    ROW(refuse_xdp),
    ROW(refuse_bluetooth),
    ROW(refuse_tipc),
    ROW(refuse_raw),
    ROW(refuse_raw6),
    ROW(refuse_sctp),
    ROW(refuse_mptcp),
    ROW(refuse_xfrm),
    ROW(refuse_audit),
    ROW(refuse_alg_high),
    ROW(refuse_xfrm_high),
    ROW(refuse_mount),
    ROW(refuse_remount),
    ROW(refuse_umount),
    ROW(refuse_chroot),
    ROW(refuse_pivot_root),
    ROW(refuse_open_tree),
    ROW(refuse_move_mount),
    ROW(refuse_fsopen),
    ROW(refuse_mount_setattr),
    ROW(refuse_unshare_user),
    ROW(refuse_unshare_net),
    ROW(refuse_clone_user),
    ROW(refuse_clone3),
    ROW(refuse_setns),
    ROW(refuse_process_vm),
    ROW(refuse_prlimit_init),
    ROW(refuse_ptrace_me),
    ROW(refuse_ptrace_init),
    ROW(refuse_init_memory),
    ROW(refuse_init_environment),
    ROW(refuse_init_root),
    ROW(refuse_init_fd),
    ROW(refuse_kcmp),
    ROW(refuse_pidfd_getfd),
    ROW(refuse_kill_init),
    ROW(refuse_bpf),
    ROW(refuse_perf),
    ROW(refuse_io_uring),
    ROW(refuse_userfaultfd),
    ROW(refuse_keyctl),
    ROW(refuse_add_key),
    ROW(refuse_request_key),
    ROW(refuse_memfd_secret),
    ROW(refuse_vmsplice),
    ROW(refuse_aio),
    ROW(refuse_mq),
    ROW(refuse_fanotify),
    ROW(refuse_seccomp),
    ROW(refuse_prctl_seccomp),
    ROW(refuse_landlock),
    ROW(refuse_init_module),
    ROW(refuse_kexec),
    ROW(refuse_syslog),
    ROW(refuse_handle),
    ROW(refuse_mempolicy),
    ROW(refuse_unknown_call),
    ROW(refuse_personality),
    ROW(refuse_dumpable),
    ROW(refuse_securebits),
    ROW(refuse_ptracer),
    ROW(refuse_mm),
#ifdef __x86_64__
    ROW(refuse_modify_ldt),
    ROW(refuse_iopl),
    ROW(refuse_x32),
    ROW(refuse_int80),
#endif
    ROW(refuse_hostname),
    ROW(refuse_reboot),
    ROW(refuse_swap),
    ROW(refuse_settime),
    ROW(refuse_adjtime),
    ROW(refuse_sysctl),
    ROW(refuse_core_pattern),
    ROW(refuse_userns_sysctl),
    ROW(refuse_sysrq),
    ROW(refuse_sys),
    ROW(refuse_cgroup),
    ROW(refuse_keys_listing),
    ROW(refuse_canary),
    ROW(refuse_canary_dots),
    ROW(refuse_write_usr),
    ROW(refuse_write_root),
    ROW(refuse_write_self),
    ROW(refuse_write_file),
    ROW(refuse_chmod_file),
    ROW(refuse_remove_file),
    ROW(refuse_chmod_null),
    ROW(refuse_remove_null),
    ROW(refuse_rename_work),
    ROW(refuse_link_out),
    ROW(refuse_mknod_char),
    ROW(refuse_mknod_block),
    ROW(refuse_dev_mem),
    ROW(refuse_dev_kvm),
    ROW(refuse_dev_kmsg),
    ROW(refuse_dev_tty),
    ROW(refuse_dev_fuse),
    ROW(refuse_kcore),
    ROW(refuse_masked_directory),
    ROW(refuse_raise_limit),
    ROW(refuse_realtime),
    ROW(refuse_setuid),
    ROW(refuse_setuid_other),
    ROW(refuse_setgid),
    ROW(refuse_setgroups),
    ROW(refuse_nice),
    ROW(refuse_tiocsti),
    ROW(refuse_tiocsti_high),
    ROW(refuse_tioclinux),
    ROW(refuse_tiocsetd),
};

const struct probes probe_refusals = { rows, sizeof rows / sizeof rows[0] };
