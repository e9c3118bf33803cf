/* SPDX-License-Identifier: MIT */
#include "contexts/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contexts/channel.h"
#include "contexts/launches.h"
#include "protocol/cleanup.h"

struct birth {
    struct launches *launches; /* borrowed */
    uint64_t ticket;
    struct spawner_child child; /* owned */
    spawner_done_fn *fn;
    void *arg;
};

static void
birth_destroy(struct birth *birth)
{
    if (birth == NULL)
        return;
    spawner_child_fini(&birth->child);
    free(birth);
}

CLEANUP_DEFINE(struct birth, birth_destroy);

void
spawner_child_fini(struct spawner_child *child)
{
    close_fdp(&child->init_pidfd);
    close_fdp(&child->control);
    close_fdp(&child->out);
    close_fdp(&child->err);
    close_fdp(&child->channel);
    cgroup_fini(&child->group);
}

static int
on_launched(const struct sandbox_child *child, const struct error *err, void *arg)
{
    struct birth *birth = arg;
    int r;

    if (child != NULL) {
        birth->child.init_pidfd = child->pidfd;
        birth->child.group = child->group;
    }
    r = birth->fn(err == NULL ? &birth->child : NULL, err, birth->arg);
    birth_destroy(birth);
    return r;
}

/* Ours, read without blocking, and the child's. */
static int
make_pipe(int *ret_ours, int *ret_theirs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int
make_control(int *ret_ours, int *ret_theirs)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return 0;
}

/* The child's ends; what is not -1 is closed. */
struct theirs {
    int fds[SANDBOX_FD_COUNT];
};

static void
theirs_fini(struct theirs *theirs)
{
    for (int i = 0; i < SANDBOX_FD_COUNT; i++)
        close_fdp(&theirs->fds[i]);
}

static int
open_ends(struct spawner_child *ours, struct theirs *theirs)
{
    int r;

    theirs->fds[SANDBOX_STDIN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (theirs->fds[SANDBOX_STDIN] < 0)
        return -errno;
    r = make_pipe(&ours->out, &theirs->fds[SANDBOX_STDOUT]);
    if (r == 0)
        r = make_pipe(&ours->err, &theirs->fds[SANDBOX_STDERR]);
    if (r == 0)
        r = channel_pair(&ours->channel, &theirs->fds[SANDBOX_CHANNEL]);
    if (r == 0)
        r = make_control(&ours->control, &theirs->fds[SANDBOX_CONTROL]);
    return r;
}

int
birth_begin(struct birth **ret, struct launches *launches,
            const struct sandbox_spec *spec, const struct sandbox_zygote *zygote,
            spawner_done_fn *fn, void *arg, struct error *err)
{
    CLEANUP(theirs_fini) struct theirs theirs = { { -1, -1, -1, -1, -1 } };
    CLEANUP(birth_destroyp) struct birth *birth = malloc(sizeof *birth);
    int r;

    if (birth == NULL)
        return -ENOMEM;
    *birth = (struct birth){
        .launches = launches, .child = SPAWNER_CHILD_NONE, .fn = fn, .arg = arg
    };
    r = open_ends(&birth->child, &theirs);
    if (r == 0)
        r = launches_spawn(launches, spec, theirs.fds, zygote, on_launched, birth,
                           &birth->ticket, err);
    if (r != 0)
        return r;
    *ret = birth;
    birth = NULL;
    return 0;
}

void
birth_cancel(struct birth *birth)
{
    launches_cancel(birth->launches, birth->ticket);
    birth_destroy(birth);
}
