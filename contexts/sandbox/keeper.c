/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define SOCKET_FD 3
#define EVENTS_MAX 16
#define NAME_BYTES 24
#define USABLE                                                                           \
    0700 /* of its owner: else code could lock out its own next interpreter              \
          */

enum keeper_word { KEEPER_MAKE, KEEPER_SHOW };

/* Between two halves of one program; the answer is a struct sandbox_failure and fds. */
struct order {
    enum keeper_word word;
    struct keeper_wish wish; /* MAKE; of SHOW the number */
};

/* In the keeper: one workspace. */
struct kept {
    uint64_t number;
    int lease; /* owned: our end */
};

static int
step_descriptors(struct sandbox_work *work)
{
    if (work->sync != SOCKET_FD && sys_dup_onto(work->sync, SOCKET_FD, O_CLOEXEC) < 0)
        return -errno;
    work->sync = SOCKET_FD;
    return sys_close_from(SOCKET_FD + 1) < 0 ? -errno : 0;
}

/* An fd for each workspace. */
static int
step_limit(struct sandbox_work *work)
{
    struct rlimit files;

    (void)work;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return -errno;
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) < 0 ? -errno : 0;
}

/* Files belong to the user that they belong to outside: the server's hands are in them.
 */
static int
step_namespaces(struct sandbox_work *work)
{
    int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;

    if (!work->own_ids)
        flags |= CLONE_NEWUSER;
    if (sys_unshare(flags) < 0 || sys_prctl(PR_SET_DUMPABLE, 1, 0, 0) < 0)
        return -errno;
    return 0;
}

static int
write_text(struct sandbox_work *work, const char *path, const char *text)
{
    CLEANUP(close_fdp) int fd = -1;

    sandbox_work_object(work, path);
    fd = sys_openat(AT_FDCWD, path, O_WRONLY, 0);
    return fd < 0 || sys_write_file(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int
step_ids(struct sandbox_work *work)
{
    char text[64];
    int r;

    if (work->own_ids)
        return 0;
    r = write_text(work, "/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%u %u 1\n", work->outer_gid, work->outer_gid);
    if (r == 0)
        r = write_text(work, "/proc/self/gid_map", text);
    snprintf(text, sizeof text, "%u %u 1\n", work->outer_uid, work->outer_uid);
    return r == 0 ? write_text(work, "/proc/self/uid_map", text) : r;
}

static int
step_private_mounts(struct sandbox_work *work)
{
    (void)work;
    return sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE) < 0 ? -errno : 0;
}

static int
step_privileges(struct sandbox_work *work)
{
    (void)work;
    if (sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0) < 0 ||
        sys_capset(UINT64_C(1) << CAP_SYS_ADMIN) < 0 ||
        sys_prctl(PR_SET_DUMPABLE, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

static const struct sandbox_step rows[] = {
    { "descriptors", step_descriptors, "the spawner's are not for others" },
    { "limit", step_limit, "each workspace has a lease" },
    { "namespaces", step_namespaces, "mounts of its own, and no network" },
    { "user ids", step_ids, "files keep their owner" },
    { "private mounts", step_private_mounts, "mounts neither come in nor go out" },
    { "new root", sandbox_root_attach, "nothing is there but workspaces" },
    { "leave root", sandbox_root_enter, "the host's files are out of reach" },
    { "privileges", step_privileges, "it can mount, and nothing else" },
};
static const struct sandbox_steps steps = { rows, N_ELEMENTS(rows) };

static void
name_of(char ret[NAME_BYTES], uint64_t number)
{
    snprintf(ret, NAME_BYTES, "%llu", (unsigned long long)number);
}

static int
open_tmpfs(const struct keeper_wish *wish, int *ret)
{
    char size[24], nodes[24];
    const struct sandbox_option options[] = { { "size", size },
                                              { "nr_inodes", nodes },
                                              { "mode", "755" } };

    snprintf(size, sizeof size, "%llu", (unsigned long long)wish->bytes);
    snprintf(nodes, sizeof nodes, "%llu", (unsigned long long)wish->inodes);
    return sandbox_filesystem_open(ret, "tmpfs", options, N_ELEMENTS(options),
                                   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/* The mount point is made and, if need be, removed by the caller. */
static int
attach(const struct sandbox_work *work, const struct keeper_wish *wish, const char *name,
       int *ret_folder)
{
    CLEANUP(close_fdp)
    int target = sys_openat(work->root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    CLEANUP(close_fdp) int tmpfs = -1;
    int r;

    if (target < 0)
        return -errno;
    r = open_tmpfs(wish, &tmpfs);
    if (r < 0)
        return r;
    if (sys_move_mount(tmpfs, target) < 0)
        return -errno;
    *ret_folder = sys_openat(tmpfs, ".", O_RDONLY | O_DIRECTORY, 0);
    return *ret_folder < 0 ? -errno : 0;
}

/* The root is the working directory. */
static void
give_up(const char *name)
{
    sys_umount(name, MNT_DETACH);
    rmdir(name);
}

static int
open_lease(int epoll, uint64_t number, int *ret_theirs)
{
    struct kept *kept = malloc(sizeof *kept);
    struct epoll_event event = { .events = EPOLLRDHUP, .data.ptr = kept };
    int ends[2], r;

    if (kept == NULL)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        r = -errno;
        free(kept);
        return r;
    }
    *kept = (struct kept){ .number = number, .lease = ends[0] };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) < 0) {
        r = -errno;
        close(ends[0]);
        close(ends[1]);
        free(kept);
        return r;
    }
    *ret_theirs = ends[1];
    return 0;
}

static int
make(const struct sandbox_work *work, int epoll, const struct keeper_wish *wish,
     struct passing *ret)
{
    char name[NAME_BYTES];
    int folder = -1, lease = -1, r;

    name_of(name, wish->number);
    if (sys_mkdirat(work->root, name, 0700) < 0)
        return -errno;
    r = attach(work, wish, name, &folder);
    if (r == 0)
        r = open_lease(epoll, wish->number, &lease);
    if (r < 0) {
        close_fdp(&folder);
        give_up(name);
        return r;
    }
    *ret = (struct passing){ .fd_count = 2, .fds = { folder, lease } };
    return 0;
}

static int
show(const struct sandbox_work *work, uint64_t number, struct passing *ret)
{
    char name[NAME_BYTES];
    CLEANUP(close_fdp) int tree = -1;
    struct stat st;

    name_of(name, number);
    tree = sys_open_tree(work->root, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || fstat(tree, &st) < 0)
        return -errno;
    if ((st.st_mode & USABLE) != USABLE &&
        fchmodat(work->root, name, (st.st_mode & 07777) | USABLE, 0) < 0)
        return -errno;
    *ret = (struct passing){ .fd_count = 1, .fds = { tree } };
    tree = -1;
    return 0;
}

static _Noreturn void
end(void)
{
    _exit(0);
}

static void
answer(const struct sandbox_work *work, const struct sandbox_failure *failure,
       struct passing *passing)
{
    int r = passing_send(
        work->sync,
        (struct slice){ .data = (const uint8_t *)failure, .length = sizeof *failure },
        (struct slice){ 0 }, passing->fds, passing->fd_count, 0);

    passing_fini(passing);
    if (r < 0)
        end();
}

static void
serve(const struct sandbox_work *work, int epoll)
{
    struct sandbox_failure failure = { 0 };
    struct passing received, given = { 0 };
    struct order order;
    int r = passing_receive(work->sync, &order, sizeof order, 0, &received);

    if (r < 0 || received.length != sizeof order)
        end(); /* the parent has */
    passing_fini(&received);
    r = order.word == KEEPER_MAKE ? make(work, epoll, &order.wish, &given)
                                  : show(work, order.wish.number, &given);
    if (r < 0)
        sandbox_failure_set(&failure, -r,
                            order.word == KEEPER_MAKE ? "make the tmpfs" : "show it", "");
    answer(work, &failure, &given);
}

static void
let_go(struct kept *kept)
{
    char name[NAME_BYTES];

    name_of(name, kept->number);
    give_up(name);
    close(kept->lease);
    free(kept);
}

static _Noreturn void
keep(const struct sandbox_work *work, int epoll)
{
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                serve(work, epoll);
            else
                let_go(events[i].data.ptr);
        }
    }
}

/* The death signal is set late: changes of identity forget it. */
static _Noreturn void
keeper_main(struct sandbox_work *work, pid_t parent)
{
    struct epoll_event event = { .events = EPOLLIN };
    struct sandbox_failure failure = { 0 };
    struct passing none = { 0 };
    int epoll = -1;

    prctl(PR_SET_NAME, "cellwall-keeper", 0, 0, 0);
    if (sandbox_steps_apply(&steps, work, &failure)) {
        epoll = epoll_create1(EPOLL_CLOEXEC);
        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, work->sync, &event) < 0 ||
            sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0) < 0)
            sandbox_failure_set(&failure, errno, "wait", "");
    }
    answer(work, &failure, &none);
    if (failure.error != 0 || getppid() != parent)
        end();
    keep(work, epoll);
}

/* What the keeper says next. */
static int
hear(struct keeper *keeper, struct passing *ret, struct error *err)
{
    struct sandbox_failure failure;
    int r = passing_receive(keeper->socket, &failure, sizeof failure, 0, ret);

    if (r == 0 && ret->length != sizeof failure) {
        passing_fini(ret);
        r = -ECONNRESET;
    }
    if (r < 0) {
        keeper_fini(keeper);
        return error_set(err, r, "workspaces: their keeper has ended");
    }
    if (failure.error == 0)
        return 0;
    passing_fini(ret);
    failure.step[sizeof failure.step - 1] = '\0';
    return error_set(err, -failure.error, "workspace: %s: %s", failure.step,
                     strerror(failure.error));
}

static int
start(struct keeper *keeper, struct error *err)
{
    struct sandbox_work work = { .own_ids = sandbox_can_give_own_ids(),
                                 .outer_uid = geteuid(),
                                 .outer_gid = getegid(),
                                 .root = -1 };
    pid_t parent = getpid(), pid;
    struct passing none;
    int ends[2], r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, "workspaces: socketpair");
    pid = sys_fork();
    if (pid == 0) {
        close(ends[0]);
        work.sync = ends[1];
        keeper_main(&work, parent);
    }
    if (pid < 0)
        error_errno(err, "workspaces: fork");
    r = pid < 0 ? -errno : 0;
    close(ends[1]);
    keeper->socket = ends[0];
    keeper->pid = pid > 0 ? (int)pid : 0;
    if (r == 0)
        r = hear(keeper, &none, err);
    if (r < 0)
        keeper_fini(keeper);
    return r;
}

/* Both ends block: no question is left without its answer. */
static int
ask(struct keeper *keeper, const struct order *order, size_t fd_count,
    struct passing *ret, struct error *err)
{
    int r = passing_send(
        keeper->socket,
        (struct slice){ .data = (const uint8_t *)order, .length = sizeof *order },
        (struct slice){ 0 }, NULL, 0, 0);

    if (r < 0) {
        keeper_fini(keeper);
        return error_set(err, r, "workspaces: their keeper has ended");
    }
    r = hear(keeper, ret, err);
    if (r == 0 && (ret->fds_lost || ret->fd_count != fd_count)) {
        passing_fini(ret);
        r = error_set(err, -EMFILE, "workspace: too many open files");
    }
    return r;
}

int
keeper_make(struct keeper *keeper, const struct keeper_wish *wish,
            struct keeper_workspace *ret, struct error *err)
{
    const struct order order = { .word = KEEPER_MAKE, .wish = *wish };
    struct passing passing;
    int r;

    if (wish->number == 0 || wish->bytes == 0 || wish->inodes == 0)
        return error_set(err, -EINVAL, "workspace: no bounds");
    r = keeper->socket < 0 ? start(keeper, err) : 0;
    if (r == 0)
        r = ask(keeper, &order, 2, &passing, err);
    if (r == 0)
        *ret = (struct keeper_workspace){ passing.fds[0], passing.fds[1] };
    return r;
}

int
keeper_show(struct keeper *keeper, uint64_t number, int *ret, struct error *err)
{
    const struct order order = { .word = KEEPER_SHOW, .wish = { .number = number } };
    struct passing passing = { .fds = { -1 } };
    int r;

    if (keeper->socket < 0)
        return error_set(err, -ENOENT, "workspace: there is none of this number");
    r = ask(keeper, &order, 1, &passing, err);
    if (r == 0)
        *ret = passing.fds[0];
    return r;
}

void
keeper_fini(struct keeper *keeper)
{
    close_fdp(&keeper->socket);
    keeper->socket = -1;
}
