/* SPDX-License-Identifier: MIT */
/*
 * crowd - lets nobody more come in while the process is short of file descriptors
 *
 * Connections come before anybody has shown a key. ZeroMQ accepts them all, and when
 * there is no descriptor left for the next it turns in a circle until one is; nothing can
 * be opened or started meanwhile. So new connections on tcp are dropped while a quarter
 * of the descriptors is all that is left. Clients try again by themselves, those that are
 * in stay, and those that never finish their handshake are thrown out by ZeroMQ.
 *
 * No promise: connections that the kernel has completed by then still come in.
 */
#ifndef KERNEL_AGENT_CROWD_H
#define KERNEL_AGENT_CROWD_H

#include <stdbool.h>

#define CROWD_SOCKETS_MAX 16

struct crowd; /* opaque */
struct loop;

/* On success the caller owns *ret, which must end before LOOP. 0 or < 0. */
int crowd_create(struct crowd **ret, struct loop *loop);
void crowd_destroy(struct crowd *crowd); /* NULL is allowed */

/* From now on looks after FD, a listening socket of tcp, which is borrowed for the call.
 * At most CROWD_SOCKETS_MAX. 0 or < 0. */
int crowd_add(struct crowd *crowd, int fd);

/* New connections are being dropped. */
bool crowd_is_shut(const struct crowd *crowd);

#endif
