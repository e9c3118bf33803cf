/* SPDX-License-Identifier: MIT */
#include "contexts/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/graves.h"
#include "contexts/sandbox/cgroup.h"
#include "contexts/sandbox/keeper.h"
#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/sandbox.h"
#include "protocol/cleanup.h"

#define SOCKET_FD 3
#define REST_MS 10 /* without a request, before a shell is made */

enum { LAUNCHER_E_REQUEST = 1 }; /* the result of a request that is none */

static void
on_ignored_signal(int number)
{
    (void)number;
}

/* What is meant for the server must not end the launcher before it. A handler, because an
 * ignored signal would stay ignored in every child, through exec. Children are reaped by
 * the kernel; the flag for that, too, ends with CLONE_CLEAR_SIGHAND. */
static void
set_signals(void)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL); /* fails for some, which have no action to set */
    action.sa_flags = SA_NOCLDWAIT;
    sigaction(SIGCHLD, &action, NULL);
    action.sa_handler = on_ignored_signal;
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
        sigaction(ignored[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Leaves /dev/null at 0 and 1, stderr, and the socket at SOCKET_FD. */
static int
set_fds(int socket)
{
    int null;

    if (socket != SOCKET_FD && dup3(socket, SOCKET_FD, O_CLOEXEC) < 0)
        return -errno;
    if (syscall(SYS_close_range, SOCKET_FD + 1, ~0U, 0) < 0)
        return -errno;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int fd = 0; fd <= 1; fd++) {
        if (dup2(null, fd) < 0)
            return -errno;
    }
    if (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0) /* it was closed */
        return -errno;
    if (null > SOCKET_FD)
        close(null);
    return 0;
}

/* Shells that wait for the next requests by one zygote; and what all children need. */
struct shells {
    struct cgroups groups; /* owned */
    struct graves graves; /* owned */
    bool has_groups; /* they were looked for */
    struct sandbox_shell ready[LAUNCHER_SHELLS];
    size_t count;
    struct stat zygote; /* whose: of its user namespace */
    struct sandbox_spec_copy spec; /* owned: of the last request; its mounts are theirs */
    int mounts; /* /proc/self/mounts, whose readiness tells of changes; -1: not open */
    struct keeper keeper; /* owned */
};

/* What a request asks for. */
struct wanted {
    struct sandbox_spec_copy copy; /* owned */
    const int *fds; /* borrowed */
    const struct sandbox_zygote *zygote; /* borrowed; NULL: none */
    int given; /* owned: the mount of the spec's workspace; -1: it has none */
};

static void
wanted_fini(struct wanted *wanted)
{
    sandbox_spec_copy_fini(&wanted->copy);
    close_fdp(&wanted->given);
}

static void
shells_forget(struct shells *shells)
{
    while (shells->count > 0)
        sandbox_shell_fini(&shells->ready[--shells->count]);
}

/* With the first request: most launchers of kernels never get one. */
static struct cgroups *
find_groups(struct shells *shells)
{
    if (!shells->has_groups)
        cgroups_open(&shells->groups);
    shells->has_groups = true;
    return &shells->groups;
}

static int
create_shell(struct shells *shells, enum sandbox_role role, enum sandbox_network network,
             const struct sandbox_zygote *zygote, struct sandbox_shell *ret,
             struct error *err)
{
    int r = sandbox_shell_create(ret, role, network, zygote, find_groups(shells), err);

    if (r == 0)
        graves_dig(&shells->graves, ret->pidfd, ret->group.id);
    return r;
}

static int
spawn_nested(struct shells *shells, const struct sandbox_spec *spec, const int *fds,
             struct sandbox_child *ret, struct error *err)
{
    int r = sandbox_nested_spawn(spec, fds, find_groups(shells), ret, err);

    if (r == 0)
        graves_dig(&shells->graves, ret->pidfd, ret->group.id);
    return r;
}

/* SHELL is gone then, and the workspace's mount with it. */
static int
use_shell(struct sandbox_shell *shell, struct wanted *wanted, struct sandbox_child *ret,
          struct error *err)
{
    shell->given = wanted->given;
    wanted->given = -1;
    return sandbox_shell_use(shell, &wanted->copy.spec, wanted->fds, wanted->zygote, ret,
                             err);
}

static int
spawn_afresh(struct shells *shells, struct wanted *wanted, struct sandbox_child *ret,
             struct error *err)
{
    const struct sandbox_spec *spec = &wanted->copy.spec;
    struct sandbox_shell shell;
    int r;

    if (spec->tier == SANDBOX_TIER_NESTED)
        return spawn_nested(shells, spec, wanted->fds, ret, err);
    r = create_shell(shells, spec->role, spec->network, wanted->zygote, &shell, err);
    return r < 0 ? r : use_shell(&shell, wanted, ret, err);
}

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A shell has the mounts of its birth: what was mounted since, it cannot show. */
static bool
mounts_have_changed(struct shells *shells)
{
    struct pollfd entry = { .fd = shells->mounts, .events = POLLPRI };

    return poll(&entry, 1, 0) != 0;
}

static bool
is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
mounts_begin_alike(const struct sandbox_spec *a, const struct sandbox_spec *b,
                   size_t count)
{
    if (count > a->mount_count || count > b->mount_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct sandbox_mount *m = &a->mounts[i], *n = &b->mounts[i];

        if (m->kind != n->kind || m->flags != n->flags || m->bytes != n->bytes ||
            m->inodes != n->inodes || m->mode != n->mode || m->number != n->number ||
            !is_same_text(m->target, n->target) || !is_same_text(m->source, n->source))
            return false;
    }
    return true;
}

/* A shell for SPEC, or NULL. */
static struct sandbox_shell *
shells_take(struct shells *shells, const struct sandbox_spec *spec,
            const struct sandbox_zygote *zygote)
{
    struct stat st;

    if (shells->count > 0 &&
        (fstat(zygote->namespaces[SANDBOX_NAMESPACE_USER], &st) < 0 ||
         !is_same_file(&st, &shells->zygote) || mounts_have_changed(shells) ||
         !mounts_begin_alike(spec, &shells->spec.spec,
                             shells->ready[shells->count - 1].mount_count)))
        shells_forget(shells);
    return shells->count == 0 ? NULL : &shells->ready[--shells->count];
}

/* Takes the copy of the spec. */
static int
spawn_by_zygote(struct shells *shells, struct wanted *wanted, struct sandbox_child *ret,
                struct error *err)
{
    struct sandbox_shell *shell = shells_take(shells, &wanted->copy.spec, wanted->zygote);
    int r = shell == NULL ? spawn_afresh(shells, wanted, ret, err)
                          : use_shell(shell, wanted, ret, err);

    sandbox_spec_copy_fini(&shells->spec);
    shells->spec = wanted->copy;
    wanted->copy = (struct sandbox_spec_copy){ 0 };
    return r;
}

/* Ahead of the next request by the zygote of the last one, and not while that one's
 * runner is still being made: it wants the processor too. */
static void
shells_refill(struct shells *shells, const struct sandbox_zygote *zygote)
{
    struct pollfd requests = { .fd = SOCKET_FD, .events = POLLIN };
    struct stat st;

    if (shells->mounts < 0)
        shells->mounts = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
    if (shells->mounts < 0 || fstat(zygote->namespaces[SANDBOX_NAMESPACE_USER], &st) < 0)
        return;
    if (shells->count == 0)
        mounts_have_changed(shells); /* until now */
    shells->zygote = st;
    while (shells->count < LAUNCHER_SHELLS && poll(&requests, 1, REST_MS) == 0) {
        struct sandbox_shell *shell = &shells->ready[shells->count];

        if (create_shell(shells, SANDBOX_ROLE_RUNNER, SANDBOX_NETWORK_NONE, zygote, shell,
                         NULL) < 0 ||
            sandbox_shell_mount(shell, &shells->spec.spec, NULL) < 0)
            return; /* the next request will say why */
        shells->count++;
    }
}

/* False: the request is not for a fork. */
static bool
take_zygote(struct sandbox_zygote *ret, const struct passing *passing)
{
    if (passing->fds_lost ||
        passing->fd_count != SANDBOX_FD_COUNT + LAUNCHER_ZYGOTE_FD_COUNT)
        return false;
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++)
        ret->namespaces[i] = passing->fds[SANDBOX_FD_COUNT + i];
    ret->socket = passing->fds[SANDBOX_FD_COUNT + SANDBOX_NAMESPACE_COUNT];
    return true;
}

/* In the order of the requests: a workspace that was asked for before is there. */
static int
take_workspace(struct shells *shells, struct wanted *wanted, struct error *err)
{
    uint64_t number = sandbox_spec_workspace(&wanted->copy.spec);

    return number == 0 ? 0 : keeper_show(&shells->keeper, number, &wanted->given, err);
}

static int
spawn(struct shells *shells, const uint8_t *packet, const struct passing *passing,
      struct sandbox_child *ret, struct error *err)
{
    CLEANUP(wanted_fini) struct wanted wanted = { .fds = passing->fds, .given = -1 };
    struct sandbox_zygote zygote;
    bool by_zygote = take_zygote(&zygote, passing);
    int r;

    if (passing->cut || passing->fds_lost ||
        (passing->fd_count != SANDBOX_FD_COUNT && !by_zygote))
        return error_set(err, LAUNCHER_E_REQUEST, "not a request: %zu bytes, %zu fds",
                         passing->length, passing->fd_count);
    r = sandbox_spec_decode(
        &wanted.copy,
        (struct slice){ .data = packet + LAUNCHER_ID_BYTES,
                        .length = passing->length - LAUNCHER_ID_BYTES },
        err);
    if (r != 0)
        return r;
    r = take_workspace(shells, &wanted, err);
    if (r < 0)
        return r;
    if (!by_zygote || wanted.copy.spec.tier != SANDBOX_TIER_FULL)
        return spawn_afresh(shells, &wanted, ret, err);
    wanted.zygote = &zygote;
    return spawn_by_zygote(shells, &wanted, ret, err);
}

static uint64_t
get_integer(const uint8_t *data, int size)
{
    uint64_t value = 0;

    for (int i = 0; i < size; i++)
        value |= (uint64_t)data[i] << 8 * i;
    return value;
}

static bool
is_for_workspace(const uint8_t *packet, const struct passing *passing)
{
    return passing->length == LAUNCHER_WORKSPACE_BYTES && passing->fd_count == 0 &&
           get_integer(packet + LAUNCHER_ID_BYTES, 4) == LAUNCHER_WORKSPACE_TAG;
}

static int
send_answer(const uint8_t *packet, int result, const struct error *err, const int *fds,
            size_t fd_count)
{
    uint8_t head[LAUNCHER_ID_BYTES + LAUNCHER_RESULT_BYTES];

    memcpy(head, packet, LAUNCHER_ID_BYTES);
    for (int i = 0; i < LAUNCHER_RESULT_BYTES; i++)
        head[LAUNCHER_ID_BYTES + i] = (uint8_t)((uint32_t)result >> 8 * i);
    return passing_send(SOCKET_FD, (struct slice){ .data = head, .length = sizeof head },
                        slice_text(result == 0 ? "" : err->text), fds, fd_count, 0);
}

static int
answer_workspace(struct shells *shells, const uint8_t *packet)
{
    const uint8_t *bounds = packet + LAUNCHER_ID_BYTES + 4;
    const struct keeper_wish wish = { .number = get_integer(packet, LAUNCHER_ID_BYTES),
                                      .bytes = get_integer(bounds, 8),
                                      .inodes = get_integer(bounds + 8, 8) };
    CLEANUP(close_fdp) int folder = -1;
    CLEANUP(close_fdp) int lease = -1;
    struct keeper_workspace made;
    struct error err = { 0 };
    int r = keeper_make(&shells->keeper, &wish, &made, &err);

    if (r < 0)
        return send_answer(packet, r, &err, NULL, 0);
    folder = made.folder;
    lease = made.lease;
    return send_answer(packet, 0, NULL, (const int[]){ folder, lease },
                       LAUNCHER_WORKSPACE_FDS);
}

/* 0 or < 0: the server is not there any more. */
static int
answer(struct shells *shells, const uint8_t *packet, const struct passing *passing)
{
    struct sandbox_child child = { .pidfd = -1 };
    int fds[LAUNCHER_ANSWER_FDS_MAX];
    struct error err = { 0 };
    size_t fd_count = 0;
    int result = spawn(shells, packet, passing, &child, &err), r;

    if (result == 0) {
        fds[fd_count++] = child.pidfd;
        for (size_t i = 0; i < child.group.count; i++)
            fds[fd_count++] = child.group.dirs[i];
    }
    r = send_answer(packet, result, &err, fds, fd_count);
    close_fdp(&child.pidfd);
    cgroup_fini(&child.group);
    return r;
}

/* 0 or < 0, as answer. */
static int
on_packet(struct shells *shells, const uint8_t *packet, const struct passing *passing)
{
    struct sandbox_zygote zygote;
    int r;

    if (passing->length < LAUNCHER_ID_BYTES)
        return 0;
    if (passing->length == LAUNCHER_ID_BYTES && passing->fd_count == 0) {
        shells_forget(shells);
        return 0;
    }
    if (is_for_workspace(packet, passing))
        return answer_workspace(shells, packet);
    r = answer(shells, packet, passing);
    if (r == 0 && take_zygote(&zygote, passing))
        shells_refill(shells, &zygote);
    return r;
}

/* Meanwhile the dead are buried. */
static void
wait_for_request(struct shells *shells)
{
    struct pollfd fds[] = { { .fd = SOCKET_FD, .events = POLLIN },
                            { .fd = shells->graves.epoll, .events = POLLIN } };

    while (fds[0].revents == 0) {
        if (poll(fds, N_ELEMENTS(fds), -1) < 0)
            continue;
        if (fds[1].revents != 0 && fds[0].revents == 0)
            graves_fill(&shells->graves);
    }
}

static int
serve(struct shells *shells, uint8_t *packet)
{
    for (;;) {
        struct passing passing;
        int r;

        wait_for_request(shells);
        r = passing_receive(SOCKET_FD, packet, LAUNCHER_REQUEST_BYTES_MAX, 0, &passing);
        if (r < 0)
            return r;
        if (passing.length == 0 && passing_is_ended(SOCKET_FD))
            return 0;
        r = on_packet(shells, packet, &passing);
        passing_fini(&passing);
        if (r < 0)
            return r;
    }
}

int
launcher_run(int socket)
{
    uint8_t *packet = malloc(LAUNCHER_REQUEST_BYTES_MAX);
    struct shells shells = { .mounts = -1,
                             .groups = CGROUPS_NONE,
                             .keeper = KEEPER_NONE };

    prctl(PR_SET_NAME, "cellwall-launch", 0, 0, 0);
    set_signals();
    setsid();
    if (packet == NULL || set_fds(socket) < 0 || chdir("/") < 0 ||
        graves_init(&shells.graves, &shells.groups) < 0)
        return EXIT_FAILURE;
    serve(&shells, packet);
    free(packet);
    shells_forget(&shells);
    sandbox_spec_copy_fini(&shells.spec);
    keeper_fini(&shells.keeper);
    close(SOCKET_FD);
    /* As their parent it sees its children off: what adopts them may not reap them. */
    alarm(LAUNCHER_LINGER_S);
    while (wait(NULL) >= 0 || errno == EINTR)
        ;
    graves_fini(&shells.graves);
    cgroups_close(&shells.groups);
    return EXIT_SUCCESS;
}
