/* SPDX-License-Identifier: MIT */
#include "contexts/graves.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contexts/sandbox/cgroup.h"
#include "protocol/cleanup.h"

#define EVENTS_MAX 64

int
graves_init(struct graves *ret, const struct cgroups *groups)
{
    *ret = (struct graves){ .groups = groups, .epoll = epoll_create1(EPOLL_CLOEXEC) };
    return ret->epoll < 0 ? -errno : 0;
}

void
graves_fini(struct graves *graves)
{
    for (size_t i = 0; i < graves->count; i++)
        close_fdp(&graves->items[i].pidfd);
    free(graves->items);
    close_fdp(&graves->epoll);
    *graves = (struct graves){ .epoll = -1 };
}

static bool
make_room(struct graves *graves)
{
    size_t capacity = graves->capacity == 0 ? 16 : 2 * graves->capacity;
    struct grave *items;

    if (graves->count < graves->capacity)
        return true;
    items = reallocarray(graves->items, capacity, sizeof *items);
    if (items == NULL)
        return false;
    graves->items = items;
    graves->capacity = capacity;
    return true;
}

void
graves_dig(struct graves *graves, int pidfd, uint64_t group)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = group };
    int copy;

    if (graves->groups->count == 0 || !make_room(graves))
        return;
    copy = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0 || epoll_ctl(graves->epoll, EPOLL_CTL_ADD, copy, &event) < 0) {
        close_fdp(&copy);
        copy = -1; /* tried again with each that ends */
    }
    graves->items[graves->count++] = (struct grave){ .pidfd = copy, .group = group };
}

static void
note_end(struct graves *graves, uint64_t group)
{
    for (size_t i = 0; i < graves->count; i++) {
        struct grave *grave = &graves->items[i];

        if (grave->group != group)
            continue;
        /* A copy of it elsewhere would keep it in the set. */
        epoll_ctl(graves->epoll, EPOLL_CTL_DEL, grave->pidfd, NULL);
        close_fdp(&grave->pidfd);
        grave->pidfd = -1;
    }
}

void
graves_fill(struct graves *graves)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(graves->epoll, events, EVENTS_MAX, 0);

    for (int i = 0; i < n; i++)
        note_end(graves, events[i].data.u64);
    for (size_t i = 0; i < graves->count;) {
        if (graves->items[i].pidfd < 0 &&
            cgroup_remove(graves->groups, graves->items[i].group))
            graves->items[i] = graves->items[--graves->count];
        else
            i++;
    }
}
