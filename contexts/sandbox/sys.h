/* SPDX-License-Identifier: MIT */
/*
 * sys - the system calls that confinement is made of
 *
 * One function each, so that libc's age does not matter and tests can make every one of
 * them fail. As system calls: -1 and errno, except where a line says otherwise. Never
 * include <sys/mount.h> beside this: in some versions it clashes with <linux/mount.h>.
 */
#ifndef CONTEXTS_SANDBOX_SYS_H
#define CONTEXTS_SANDBOX_SYS_H

#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

struct sock_fprog;

/* As fork, with FLAGS of clone3; libc's idea of the thread's id is stale in the child
 * until it forks. */
pid_t sys_clone(uint64_t flags, int *ret_pidfd);
/* As sys_clone without flags, where clone3 is refused. */
pid_t sys_clone_plain(int *ret_pidfd);
int sys_unshare(int flags);
int sys_setns(int fd, int namespaces);

int sys_mount(const char *source, const char *target, const char *type,
              unsigned long flags);
int sys_umount(const char *target, int flags);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_open_tree(int dir, const char *path, unsigned flags);
/* Attaches the detached mount FROM on top of what TO refers to. */
int sys_move_mount(int from, int to);
int sys_mount_setattr(int mount, unsigned flags, const struct mount_attr *attr);
int sys_fsopen(const char *type);
int sys_fsconfig(int fs, unsigned command, const char *key, const char *value);
int sys_fsmount(int fs, unsigned attributes);
int sys_openat2(int dir, const char *path, const struct open_how *how);
int sys_openat(int dir, const char *path, int flags, mode_t mode);
int sys_mkdirat(int dir, const char *path, mode_t mode);
int sys_symlinkat(const char *text, int dir, const char *path);
int sys_unlinkat(int dir, const char *path);
int sys_fchdir(int dir);
int sys_chdir(const char *path);
/* Writes all of DATA at once, as the files of /proc want it. */
int sys_write_file(int fd, const void *data, size_t length);

int sys_setgroups_none(void);
int sys_setresgid(gid_t gid);
int sys_setresuid(uid_t uid);
int sys_capset(uint64_t permitted_and_effective);
int sys_prctl(int option, unsigned long a, unsigned long b, unsigned long c);
int sys_setsid(void);
int sys_keyctl_join_session(void);
int sys_set_rlimit(int resource, uint64_t limit); /* hard and soft; never raises hard */
int sys_sethostname(const char *name, size_t length);
int sys_ioctl(int fd, unsigned long request, void *arg);
int sys_socket(int domain, int type, int protocol);
int sys_fchown(int fd, uid_t uid, gid_t gid);
int sys_fchownat(int dir, const char *path, uid_t uid, gid_t gid); /* follows no link */
int sys_dup_at_least(int fd, int least); /* close-on-exec */
int sys_dup_onto(int fd, int target, int flags); /* FD != TARGET */
int sys_close_from(unsigned first);
int sys_close_range(unsigned first, unsigned last);
int sys_seccomp(const struct sock_fprog *program);
pid_t sys_fork(void);
int sys_execve(const char *path, const char *const *argv, const char *const *env);

int sys_landlock_create(const void *attr, size_t size, uint32_t flags);
int sys_landlock_add_path(int ruleset, uint64_t access, int path);
int sys_landlock_restrict(int ruleset);

int sys_pidfd_kill(int pidfd);

#endif
