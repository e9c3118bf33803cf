/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t
sys_clone(uint64_t flags, int *ret_pidfd)
{
    int pidfd = -1;
    struct clone_args args = { .flags = flags | CLONE_PIDFD,
                               .pidfd = (uintptr_t)&pidfd,
                               .exit_signal = SIGCHLD };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);

    if (pid > 0)
        *ret_pidfd = pidfd;
    return pid;
}

pid_t
sys_clone_plain(int *ret_pidfd)
{
    int pidfd = -1;
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);

    if (pid > 0)
        *ret_pidfd = pidfd;
    return pid;
}

int
sys_unshare(int flags)
{
    return (int)syscall(SYS_unshare, flags);
}

int
sys_setns(int fd, int namespaces)
{
    return (int)syscall(SYS_setns, fd, namespaces);
}

int
sys_mount(const char *source, const char *target, const char *type, unsigned long flags)
{
    return (int)syscall(SYS_mount, source, target, type, flags, NULL);
}

int
sys_umount(const char *target, int flags)
{
    return (int)syscall(SYS_umount2, target, flags);
}

int
sys_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int
sys_open_tree(int dir, const char *path, unsigned flags)
{
    return (int)syscall(SYS_open_tree, dir, path, flags);
}

int
sys_move_mount(int from, int to)
{
    return (int)syscall(SYS_move_mount, from, "", to, "",
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int
sys_mount_setattr(int mount, unsigned flags, const struct mount_attr *attr)
{
    return (int)syscall(SYS_mount_setattr, mount, "", flags | AT_EMPTY_PATH, attr,
                        sizeof *attr);
}

int
sys_fsopen(const char *type)
{
    return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

int
sys_fsconfig(int fs, unsigned command, const char *key, const char *value)
{
    return (int)syscall(SYS_fsconfig, fs, command, key, value, 0);
}

int
sys_fsmount(int fs, unsigned attributes)
{
    return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
}

int
sys_openat2(int dir, const char *path, const struct open_how *how)
{
    return (int)syscall(SYS_openat2, dir, path, how, sizeof *how);
}

int
sys_openat(int dir, const char *path, int flags, mode_t mode)
{
    return openat(dir, path, flags | O_CLOEXEC, mode);
}

int
sys_mkdirat(int dir, const char *path, mode_t mode)
{
    return mkdirat(dir, path, mode);
}

int
sys_symlinkat(const char *text, int dir, const char *path)
{
    return symlinkat(text, dir, path);
}

int
sys_unlinkat(int dir, const char *path)
{
    return unlinkat(dir, path, 0);
}

int
sys_fchdir(int dir)
{
    return fchdir(dir);
}

int
sys_chdir(const char *path)
{
    return chdir(path);
}

int
sys_write_file(int fd, const void *data, size_t length)
{
    ssize_t n;

    do
        n = write(fd, data, length);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    if ((size_t)n != length) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int
sys_setgroups_none(void)
{
    return setgroups(0, NULL);
}

int
sys_setresgid(gid_t gid)
{
    return setresgid(gid, gid, gid);
}

int
sys_setresuid(uid_t uid)
{
    return setresuid(uid, uid, uid);
}

int
sys_capset(uint64_t permitted_and_effective)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    uint32_t low = (uint32_t)permitted_and_effective;
    uint32_t high = (uint32_t)(permitted_and_effective >> 32);
    struct __user_cap_data_struct data[2] = { { .effective = low, .permitted = low },
                                              { .effective = high, .permitted = high } };

    return (int)syscall(SYS_capset, &header, data);
}

int
sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c)
{
    return prctl(option, a, b, c, 0UL);
}

int
sys_setsid(void)
{
    return setsid() < 0 ? -1 : 0;
}

int
sys_keyctl_join_session(void)
{
    return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ? -1 : 0;
}

int
sys_set_rlimit(int resource, uint64_t limit)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return -1;
    if (now.rlim_max == RLIM_INFINITY || limit < now.rlim_max)
        now.rlim_max = limit;
    now.rlim_cur = now.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &now);
}

int
sys_sethostname(const char *name, size_t length)
{
    return sethostname(name, length);
}

int
sys_ioctl(int fd, unsigned long request, void *arg)
{
    return ioctl(fd, request, arg);
}

int
sys_socket(int domain, int type, int protocol)
{
    return socket(domain, type | SOCK_CLOEXEC, protocol);
}

int
sys_fchown(int fd, uid_t uid, gid_t gid)
{
    return fchown(fd, uid, gid);
}

int
sys_fchownat(int dir, const char *path, uid_t uid, gid_t gid)
{
    return fchownat(dir, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int
sys_dup_at_least(int fd, int least)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, least);
}

int
sys_dup_onto(int fd, int target, int flags)
{
    return dup3(fd, target, flags) < 0 ? -1 : 0;
}

int
sys_close_from(unsigned first)
{
    return (int)syscall(SYS_close_range, first, ~0U, 0);
}

int
sys_close_range(unsigned first, unsigned last)
{
    return (int)syscall(SYS_close_range, first, last, 0);
}

int
sys_seccomp(const struct sock_fprog *program)
{
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
}

pid_t
sys_fork(void)
{
    return fork();
}

int
sys_execve(const char *path, const char *const *argv, const char *const *env)
{
    return execve(path, (char *const *)argv, (char *const *)env);
}

int
sys_landlock_create(const void *attr, size_t size, uint32_t flags)
{
    return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

int
sys_landlock_add_path(int ruleset, uint64_t access, int path)
{
    struct landlock_path_beneath_attr rule = { .allowed_access = access,
                                               .parent_fd = path };

    return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
                        0);
}

int
sys_landlock_restrict(int ruleset)
{
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

int
sys_pidfd_kill(int pidfd)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}
