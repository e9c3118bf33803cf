/* SPDX-License-Identifier: MIT */
/*
 * graves - removes the control groups of children that have ended
 *
 * The launcher is told of no end: its children are reaped by the kernel. So it watches
 * their pidfds, all by one fd.
 */
#ifndef CONTEXTS_GRAVES_H
#define CONTEXTS_GRAVES_H

#include <stddef.h>
#include <stdint.h>

struct cgroups;

struct grave {
    int pidfd; /* owned; -1: it has ended, and yet its group could not be removed */
    uint64_t group;
};

/* Plain data. */
struct graves {
    const struct cgroups *groups; /* borrowed */
    struct grave *items; /* owned */
    size_t count, capacity;
    int epoll; /* owned; readable when one has ended */
};

/* 0 or < 0. */
int graves_init(struct graves *ret, const struct cgroups *groups);
void graves_fini(struct graves *graves);

/* GROUP is removed when the process of PIDFD (borrowed) has ended, or, if there is no
 * memory for that, with all others in the end. */
void graves_dig(struct graves *graves, int pidfd, uint64_t group);

/* Removes what can be. */
void graves_fill(struct graves *graves);

#endif
