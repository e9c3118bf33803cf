/* SPDX-License-Identifier: MIT */
/*
 * The spawner's side: makes the child, gives it its ids, and lets it go. What goes wrong
 * after the clone is sent to the child as a failure, so that every failure of a sandbox
 * is told in one way: by init, on the control socket.
 */
#include "contexts/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

/* A child's ids are the base + 2 * pid and the next: unique while it lives, since its pid
 * is. A zygote's are of a block of their own, for the block of all others exists in its
 * user namespace, for those inside. */
#define OWN_ID_BASE SANDBOX_OWN_ID_BASE
#define ZYGOTE_ID_BASE 0x60000000U
#define OWN_ID_COUNT (2U * 4194304 + 2) /* for the largest pid there can be */

#define BETWEEN_S 10 /* longest life of a go-between */

#define NAMESPACES                                                                       \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)

/* A function of its own, so that a child by vfork keeps its hands off its parent's frame.
 */
#define OWN_FRAME __attribute__((noinline))

/* True when every id of both blocks exists in this user namespace. */
static bool
blocks_are_mapped(const char *map)
{
    unsigned inside, outside, count;
    bool found = false;
    FILE *file = fopen(map, "re");

    if (file == NULL)
        return false;
    while (!found && fscanf(file, "%u %u %u", &inside, &outside, &count) == 3)
        found = inside <= ZYGOTE_ID_BASE &&
                (uint64_t)inside + count >= (uint64_t)OWN_ID_BASE + OWN_ID_COUNT;
    fclose(file);
    return found;
}

bool
sandbox_has_capabilities(uint64_t wanted)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { 0 };

    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    return (wanted & ~(data[0].effective | (uint64_t)data[1].effective << 32)) == 0;
}

bool
sandbox_can_give_own_ids(void)
{
    const uint64_t wanted = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SETUID |
                            UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_CHOWN;

    return geteuid() == 0 && sandbox_has_capabilities(wanted) &&
           blocks_are_mapped("/proc/self/uid_map") &&
           blocks_are_mapped("/proc/self/gid_map");
}

static void
work_init(struct sandbox_work *work, const struct sandbox_shell *shell)
{
    *work = (struct sandbox_work){ .role = shell->role,
                                   .network = shell->network,
                                   .own_ids = shell->own_ids,
                                   .by_zygote = shell->by_zygote,
                                   .zygote = -1,
                                   .namespaces = { -1, -1 },
                                   .outer_uid = geteuid(),
                                   .outer_gid = getegid(),
                                   .sync = -1,
                                   .root = -1,
                                   .proc = -1,
                                   .empty = -1,
                                   .status = -1,
                                   .signals = -1 };
    for (size_t i = 0; i < N_ELEMENTS(work->trees); i++)
        work->trees[i] = -1;
    for (size_t i = 0; i < N_ELEMENTS(work->entries); i++)
        work->entries[i] = -1;
    work->umask = umask(0);
    umask(work->umask);
}

static int
write_proc(pid_t pid, const char *name, const char *text)
{
    char path[64];
    CLEANUP(close_fdp) int fd = -1;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = sys_openat(AT_FDCWD, path, O_WRONLY, 0);
    if (fd < 0 || sys_write_file(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

/* Inside, pid 1 is 0 while it builds in all cases: devpts wants that id to exist. Ids
 * outside are meant as the writer sees them: in an ordinary user's zygote they are 0. */
static int
write_map(const struct sandbox_work *work, pid_t pid, const char *name, unsigned outer)
{
    char text[128];

    if (!work->own_ids)
        snprintf(text, sizeof text, "0 %u 1\n", work->by_zygote ? 0 : outer);
    else if (work->role == SANDBOX_ROLE_ZYGOTE)
        snprintf(text, sizeof text, "0 %u 1\n%d %u 1\n%u %u %u\n", outer,
                 SANDBOX_RUNNER_ID, outer + 1, OWN_ID_BASE, OWN_ID_BASE, OWN_ID_COUNT);
    else
        snprintf(text, sizeof text, "0 %u 1\n%d %u 1\n", outer, SANDBOX_RUNNER_ID,
                 outer + 1);
    return write_proc(pid, name, text);
}

static int
write_maps(const struct sandbox_work *work, pid_t pid)
{
    int r = work->own_ids ? 0 : write_proc(pid, "setgroups", "deny");

    if (r == 0)
        r = write_map(work, pid, "gid_map", work->outer_gid);
    return r < 0 ? r : write_map(work, pid, "uid_map", work->outer_uid);
}

/* Programs open /dev/stdout, which is the pipe: it must be the runner's own. */
int
sandbox_own_pipes(struct sandbox_work *work)
{
    for (int i = SANDBOX_STDIN; i <= SANDBOX_STDERR; i++) {
        struct stat st;

        if (fstat(work->fds[i], &st) < 0)
            return -errno;
        if (S_ISFIFO(st.st_mode) &&
            sys_fchown(work->fds[i], work->outer_uid + 1, work->outer_gid + 1) < 0)
            return -errno;
    }
    return 0;
}

static void
choose_ids(struct sandbox_work *work, pid_t pid)
{
    bool is_zygote = work->role == SANDBOX_ROLE_ZYGOTE;

    if (!work->own_ids)
        return;
    work->outer_uid = (is_zygote ? ZYGOTE_ID_BASE : OWN_ID_BASE) + 2 * (uid_t)pid;
    work->outer_gid = work->outer_uid;
}

static _Noreturn void
child_main(struct sandbox_work *work)
{
    sandbox_child_run(work);
    sys_execve(work->spec->argv[0], work->spec->argv, work->spec->env);
    sandbox_child_failed(work, errno, "run", work->spec->argv[0]);
}

static pid_t
clone_here(const struct sandbox_work *work, int *ret_pidfd)
{
    uint64_t flags = NAMESPACES | CLONE_CLEAR_SIGHAND;

    if (work->network == SANDBOX_NETWORK_NONE)
        flags |= CLONE_NEWNET;
    /* A child that may not be dumped has files in /proc that its user cannot write. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return sys_clone(flags, ret_pidfd);
}

/* The zygote may enter what its own id has made inside its user namespace: nothing else
 * gives it a right to the new sandbox. */
static int
become_zygote(const struct sandbox_work *work, const struct sandbox_zygote *zygote)
{
    if (sys_setns(zygote->namespaces[SANDBOX_NAMESPACE_USER], CLONE_NEWUSER) < 0 ||
        sys_setns(zygote->namespaces[SANDBOX_NAMESPACE_PID], CLONE_NEWPID) < 0)
        return -errno;
    if (work->own_ids &&
        (sys_setresgid(SANDBOX_RUNNER_ID) < 0 || sys_setresuid(SANDBOX_RUNNER_ID) < 0))
        return -errno;
    return 0;
}

/* The process id as this process's /proc has it, which is not the one that clone returns
 * in another pid namespace. */
static pid_t
pid_of(int pidfd)
{
    char path[64], line[64];
    int pid = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    file = fopen(path, "re");
    while (file != NULL && pid < 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pid: %d", &pid) != 1)
            pid = -1;
    if (file != NULL)
        fclose(file);
    return pid;
}

/* What the go-betweens tell the spawner; with a child comes its pidfd. */
struct between {
    pid_t child; /* 0: there is none */
    int result;
};

static _Noreturn void
between_end(const struct sandbox_work *work, struct between between, int pidfd)
{
    const struct slice word = { .data = (const uint8_t *)&between,
                                .length = sizeof between };

    passing_send(work->sync, word, (struct slice){ 0 }, &pidfd, between.child > 0, 0);
    _exit(0);
}

/* In the second one: makes the child and gives it its ids, which only somebody in the
 * zygote's user namespace may. Returns in the child. */
static OWN_FRAME void
clone_inside(struct sandbox_work *work)
{
    int pidfd = -1;
    pid_t pid;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid = clone_here(work, &pidfd);
    if (pid == 0)
        return;
    if (pid < 0)
        between_end(work, (struct between){ .result = -errno }, -1);
    pid = pid_of(pidfd);
    if (pid <= 0)
        between_end(work, (struct between){ .result = -ESRCH }, -1);
    choose_ids(work, pid);
    between_end(work, (struct between){ .child = pid, .result = write_maps(work, pid) },
                pidfd);
}

static void
wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* What a child by vfork may do is to the letter of the standard next to nothing; here it
 * calls one function that has its own frame, and ends by _exit. */
/* NOLINTBEGIN(*vfork,*Vfork,bugprone-unsafe-functions) */
/* In the first one, which enters the zygote's namespaces: only a child of it is in its
 * pid namespace. Returns in the sandbox's pid 1. */
static void
enter_and_clone(struct sandbox_work *work, const struct sandbox_zygote *zygote)
{
    int r = become_zygote(work, zygote);
    pid_t pid;

    alarm(BETWEEN_S); /* the zygote's own id can stop the second one */
    if (r < 0)
        between_end(work, (struct between){ .result = r }, -1);
    pid = vfork();
    if (pid == 0) {
        clone_inside(work);
        return;
    }
    if (pid < 0)
        between_end(work, (struct between){ .result = -errno }, -1);
    wait_for(pid);
    _exit(0);
}
/* NOLINTEND(*vfork,*Vfork,bugprone-unsafe-functions) */

/* As clone_here, within the zygote's sandbox: its init is there for the child's end.
 * OURS: the other end of work->sync. *RET_RESULT: how the ids were given. */
static pid_t
clone_by_zygote(struct sandbox_work *work, const struct sandbox_zygote *zygote, int ours,
                int *ret_pidfd, int *ret_result)
{
    struct between between = { .result = -ECHILD }; /* nobody said a word */
    struct passing passing = { 0 };
    pid_t pid = sys_fork();

    if (pid == 0) {
        enter_and_clone(work, zygote);
        return 0;
    }
    if (pid < 0)
        return -1;
    wait_for(pid);
    passing_receive(ours, &between, sizeof between, MSG_DONTWAIT, &passing);
    if (between.child == 0 || passing.fd_count != 1) {
        passing_fini(&passing);
        errno = between.result < 0 ? -between.result : EMFILE;
        return -1; /* without our word the child ends */
    }
    *ret_result = between.result;
    *ret_pidfd = passing.fds[0];
    return between.child;
}

static pid_t
clone_child(struct sandbox_work *work, const struct sandbox_zygote *zygote, int ours,
            int *ret_pidfd, int *ret_result)
{
    int dumpable = prctl(PR_GET_DUMPABLE);
    pid_t pid;

    pid = zygote == NULL ? clone_here(work, ret_pidfd)
                         : clone_by_zygote(work, zygote, ours, ret_pidfd, ret_result);
    if (pid != 0)
        prctl(PR_SET_DUMPABLE, dumpable == 1, 0, 0, 0);
    return pid;
}

/* The child waits for its ids. */
static int
give_ids(struct sandbox_work *work, pid_t pid, int ours)
{
    int r;

    choose_ids(work, pid);
    r = work->by_zygote ? 0 : write_maps(work, pid);
    if (r == 0 && send(ours, "", 1, MSG_NOSIGNAL) < 0)
        r = -errno;
    return r;
}

/* One that nobody will use. */
static void
discard(struct sandbox_shell *shell)
{
    const struct cgroups *groups = shell->groups;
    uint64_t group = shell->group.id;

    sandbox_shell_fini(shell);
    if (groups != NULL && group != 0)
        cgroup_remove(groups, group);
}

int
sandbox_shell_create(struct sandbox_shell *ret, enum sandbox_role role,
                     enum sandbox_network network, const struct sandbox_zygote *zygote,
                     struct cgroups *groups, struct error *err)
{
    CLEANUP(discard) struct sandbox_shell shell = SANDBOX_SHELL_NONE;
    CLEANUP(close_fdp) int theirs = -1;
    struct sandbox_work work;
    int pair[2], ids = 0, r = 0;

    shell.own_ids = sandbox_can_give_own_ids();
    shell.by_zygote = zygote != NULL;
    shell.role = role;
    shell.network = network;
    if (role == SANDBOX_ROLE_RUNNER)
        shell.groups = groups;
    if (zygote != NULL &&
        (role != SANDBOX_ROLE_RUNNER || network != SANDBOX_NETWORK_NONE))
        return error_set(err, -EINVAL,
                         "sandbox: a zygote makes runners, without network");
    if (shell.groups != NULL)
        r = cgroup_create(&shell.group, groups);
    if (r < 0)
        return error_set(err, r, "sandbox: control group: %s", strerror(-r));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_errno(err, "sandbox: socketpair");
    shell.socket = pair[0];
    theirs = pair[1];
    work_init(&work, &shell);
    work.sync = theirs;
    shell.pid = clone_child(&work, zygote, shell.socket, &shell.pidfd, &ids);
    if (shell.pid == 0) {
        close(shell.socket);
        child_main(&work);
    }
    if (shell.pid < 0)
        return error_errno(err, "sandbox: new namespaces");
    r = cgroup_put(&shell.group, shell.pid);
    if (r < 0)
        return error_set(err, r, "sandbox: enter its control group: %s", strerror(-r));
    if (ids == 0)
        ids = give_ids(&work, shell.pid, shell.socket);
    if (ids < 0)
        return error_set(err, ids, "sandbox: user ids: %s", strerror(-ids));
    *ret = shell;
    shell = (struct sandbox_shell)SANDBOX_SHELL_NONE;
    return 0;
}

static int
set_group(struct sandbox_work *work, const struct sandbox_shell *shell)
{
    int r = 0;

    if (shell->groups == NULL)
        return 0;
    r = cgroup_limit(&shell->group, shell->groups, &work->spec->limits);
    if (r == 0 && work->by_zygote)
        r = cgroup_open_doors(&shell->group, work->doors);
    if (r == 0 && work->by_zygote)
        work->door_count = shell->group.count;
    return r;
}

/* What a shell with ids of its own could not open by itself, though root can. */
static int
open_sources(struct sandbox_work *work, struct sandbox_failure *failure)
{
    int r;

    if (!work->own_ids)
        return 0;
    r = sandbox_sources_open(work);
    if (r < 0) {
        sandbox_failure_set(failure, -r, "open", work->object);
        return r;
    }
    r = sandbox_sources_map_owners(work);
    if (r < 0) {
        sandbox_failure_set(failure, -r, "keep the owner of the files of", work->object);
        return r;
    }
    return 0;
}

static int
send_trees(const struct sandbox_work *work, int socket)
{
    uint16_t indices[PASSING_FDS_MAX];
    int fds[PASSING_FDS_MAX], r = 0;
    size_t count = 0;

    for (size_t i = 0; r == 0 && i <= N_ELEMENTS(work->trees); i++) {
        if (count == PASSING_FDS_MAX || (i == N_ELEMENTS(work->trees) && count > 0)) {
            r = passing_send(socket,
                             (struct slice){ .data = (const uint8_t *)indices,
                                             .length = count * sizeof *indices },
                             (struct slice){ 0 }, fds, count, 0);
            count = 0;
        }
        if (i < N_ELEMENTS(work->trees) && work->trees[i] >= 0) {
            indices[count] = (uint16_t)i;
            fds[count++] = work->trees[i];
        }
    }
    return r;
}

/* Without it the step that wants it fails. */
static void
place_given(struct sandbox_work *work, struct sandbox_shell *shell)
{
    for (size_t i = work->mount_from; i < work->mount_to; i++) {
        if (work->spec->mounts[i].kind != SANDBOX_MOUNT_GIVEN)
            continue;
        work->trees[i] = shell->given;
        shell->given = -1;
    }
}

/* A child that is gone already needs no answer: its control socket tells. */
static int
send_order(const struct sandbox_work *work, const struct sandbox_failure *failure,
           bool is_last, int socket, struct error *err)
{
    struct sandbox_order order = { .is_last = is_last,
                                   .mount_from = (uint32_t)work->mount_from,
                                   .mount_to = (uint32_t)work->mount_to,
                                   .failure = *failure,
                                   .outer_uid = work->outer_uid,
                                   .outer_gid = work->outer_gid,
                                   .umask = work->umask };
    CLEANUP(buffer_fini) struct buffer spec;
    int fds[SANDBOX_FD_COUNT + 1 + CGROUP_HIERARCHIES_MAX], r;

    memcpy(fds, work->fds, sizeof work->fds);
    fds[SANDBOX_FD_COUNT] = work->zygote;
    memcpy(&fds[SANDBOX_FD_COUNT + 1], work->doors, sizeof work->doors);
    for (size_t i = 0; i < N_ELEMENTS(work->trees); i++)
        order.tree_count += work->trees[i] >= 0;
    buffer_init(&spec, SANDBOX_SPEC_BYTES_MAX);
    r = sandbox_spec_encode(&spec, work->spec, err);
    if (r != 0)
        return r < 0 ? r : -EINVAL;
    r = passing_send(
        socket, (struct slice){ .data = (const uint8_t *)&order, .length = sizeof order },
        buffer_slice(&spec), fds,
        is_last ? SANDBOX_FD_COUNT + work->by_zygote + work->door_count : 0, 0);
    if (r == 0)
        r = send_trees(work, socket);
    if (r < 0 && r != -EPIPE && r != -ECONNRESET)
        return error_set(err, r, "sandbox: to its init: %s", strerror(-r));
    return 0;
}

int
sandbox_shell_mount(struct sandbox_shell *shell, const struct sandbox_spec *spec,
                    struct error *err)
{
    struct sandbox_failure failure = { 0 };
    struct sandbox_work work;
    int r;

    work_init(&work, shell);
    work.spec = spec;
    while (work.mount_to < spec->mount_count &&
           spec->mounts[work.mount_to].kind != SANDBOX_MOUNT_BIND_RW &&
           spec->mounts[work.mount_to].kind != SANDBOX_MOUNT_GIVEN)
        work.mount_to++;
    choose_ids(&work, shell->pid);
    r = open_sources(&work, &failure);
    if (r < 0)
        error_set(err, r, "sandbox: %s: %s", failure.step, strerror(-r));
    else
        r = send_order(&work, &failure, false, shell->socket, err);
    sandbox_sources_close(&work);
    shell->mount_count = work.mount_to;
    if (r < 0)
        sandbox_shell_fini(shell);
    return r;
}

int
sandbox_shell_use(struct sandbox_shell *shell, const struct sandbox_spec *spec,
                  const int fds[SANDBOX_FD_COUNT], const struct sandbox_zygote *zygote,
                  struct sandbox_child *ret, struct error *err)
{
    struct sandbox_failure failure = { 0 };
    struct sandbox_work work;
    int r;

    if (spec->mount_count > SANDBOX_MOUNTS_MAX) {
        sandbox_shell_fini(shell);
        return error_set(err, -EINVAL, "sandbox: too many mounts");
    }
    work_init(&work, shell);
    work.spec = spec;
    memcpy(work.fds, fds, sizeof work.fds);
    work.mount_from = shell->mount_count;
    work.mount_to = spec->mount_count;
    place_given(&work, shell);
    if (zygote != NULL)
        work.zygote = zygote->socket;
    choose_ids(&work, shell->pid);
    /* What goes wrong is init's to tell. */
    r = open_sources(&work, &failure);
    if (r == 0 && work.own_ids)
        r = sandbox_own_pipes(&work);
    if (r < 0 && failure.error == 0)
        sandbox_failure_set(&failure, -r, "own pipes", "");
    r = set_group(&work, shell);
    if (r < 0 && failure.error == 0)
        sandbox_failure_set(&failure, -r, "control group", "");
    r = send_order(&work, &failure, true, shell->socket, err);
    sandbox_sources_close(&work);
    for (size_t i = 0; i < work.door_count; i++)
        close(work.doors[i]);
    if (r == 0) {
        *ret = (struct sandbox_child){ .pidfd = shell->pidfd, .group = shell->group };
        shell->pidfd = -1;
        shell->group.count = 0;
    }
    sandbox_shell_fini(shell);
    return r;
}

void
sandbox_shell_fini(struct sandbox_shell *shell)
{
    cgroup_fini(&shell->group);
    close_fdp(&shell->socket);
    close_fdp(&shell->given);
    if (shell->pidfd >= 0) {
        sys_pidfd_kill(shell->pidfd);
        wait_for(shell->pid); /* if it is ours */
        close(shell->pidfd);
    }
    *shell = (struct sandbox_shell)SANDBOX_SHELL_NONE;
}
