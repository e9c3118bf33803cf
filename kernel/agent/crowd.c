/* SPDX-License-Identifier: MIT */
/*
 * A filter of the socket drops what comes for the listening socket alone; ZeroMQ knows
 * nothing of it. (zmq_unbind would end the connections, too, that came by the socket.)
 */
#include "kernel/agent/crowd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"

#define LOOK_AGAIN_US UINT64_C(500000)

struct entrance {
    int fd; /* owned: another descriptor of the same socket */
    struct loop_source *source; /* owned */
};

struct crowd {
    struct loop *loop; /* borrowed */
    struct loop_timer *timer; /* owned */
    struct entrance entrances[CROWD_SOCKETS_MAX];
    size_t count;
    bool shut;
    struct log_limit limit;
};

CLEANUP_DEFINE(struct crowd, crowd_destroy);

void
crowd_destroy(struct crowd *crowd)
{
    if (crowd == NULL)
        return;
    for (size_t i = 0; i < crowd->count; i++) {
        loop_source_destroy(crowd->entrances[i].source);
        close(crowd->entrances[i].fd);
    }
    loop_timer_destroy(crowd->timer);
    free(crowd);
}

bool
crowd_is_shut(const struct crowd *crowd)
{
    return crowd->shut;
}

/* How many descriptors are in use: Linux says it since 6.2. Before, the lowest that is
 * free tells it well enough, for the lowest is what is given next. */
static uint64_t
count_descriptors(void)
{
    struct stat st;
    int fd;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return errno == EMFILE ? UINT64_MAX : 0;
    close(fd);
    return (uint64_t)fd;
}

/* SHUT: opens later than it shuts, so as not to do both all the time. */
static bool
is_crowded(bool shut)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return false;
    return count_descriptors() >= limit.rlim_cur / 8 * (shut ? 5 : 6);
}

/* Without memory for the filter it stays open: ZeroMQ goes on as it would without us. */
static void
shut(struct crowd *crowd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog filter = { .len = 1, .filter = &drop };
    uint64_t held;

    for (size_t i = 0; i < crowd->count; i++)
        (void)setsockopt(crowd->entrances[i].fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                         sizeof filter);
    if (log_allows(&crowd->limit, loop_now_us(crowd->loop), &held))
        log_line("too many connections and files are open: nobody new comes in over tcp "
                 "until there are fewer; \"ulimit -n\" is the limit");
    crowd->shut = true;
}

static int
reopen(struct crowd *crowd)
{
    const int unused = 0; /* but required */

    for (size_t i = 0; i < crowd->count; i++) {
        if (setsockopt(crowd->entrances[i].fd, SOL_SOCKET, SO_DETACH_FILTER, &unused,
                       sizeof unused) < 0 &&
            errno != ENOENT)
            return -errno;
    }
    crowd->shut = false;
    return 0;
}

static int
on_time(void *arg)
{
    struct crowd *crowd = arg;

    if (!is_crowded(true))
        return reopen(crowd);
    loop_timer_arm(crowd->timer, LOOK_AGAIN_US);
    return 0;
}

/* Somebody has connected. ZeroMQ accepts it, in its own thread, and if it does that
 * before we look, we are not told: then the next connection tells, at the latest the
 * first one for which ZeroMQ has no descriptor. */
static int
on_edge(int fd, uint32_t events, void *arg)
{
    struct crowd *crowd = arg;

    (void)fd, (void)events;
    if (crowd->shut || !is_crowded(false))
        return 0;
    shut(crowd);
    loop_timer_arm(crowd->timer, LOOK_AGAIN_US);
    return 0;
}

int
crowd_create(struct crowd **ret, struct loop *loop)
{
    CLEANUP(crowd_destroyp) struct crowd *crowd = calloc(1, sizeof *crowd);
    int r;

    if (crowd == NULL)
        return -ENOMEM;
    crowd->loop = loop;
    r = loop_add_timer(&crowd->timer, loop, on_time, crowd);
    if (r < 0)
        return r;
    *ret = crowd;
    crowd = NULL;
    return 0;
}

int
crowd_add(struct crowd *crowd, int fd)
{
    struct entrance *entrance = &crowd->entrances[crowd->count];
    int r;

    assert(crowd->count < CROWD_SOCKETS_MAX);
    entrance->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (entrance->fd < 0)
        return -errno;
    r = loop_add_fd(&entrance->source, crowd->loop, entrance->fd, EPOLLIN | EPOLLET,
                    on_edge, crowd);
    if (r < 0) {
        close(entrance->fd);
        return r;
    }
    crowd->count++;
    return 0;
}
