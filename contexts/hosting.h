/* SPDX-License-Identifier: MIT */
/*
 * hosting - lets other programs of the same user have children of this one's spawner
 *
 * The server's side of remote.h. A client gets all fds of its children and is then their
 * only owner: nothing of them is kept here. It can ask for any sandbox, the compiled
 * seccomp program included, which is no boundary: it is the same user, who can run
 * anything without a sandbox. What a client sends may end its connection, never the
 * server.
 */
#ifndef CONTEXTS_HOSTING_H
#define CONTEXTS_HOSTING_H

struct error;
struct hosting; /* opaque */
struct loop;
struct spawner;

#define HOSTING_CONNECTIONS_MAX 64 /* more are closed at once */

enum { HOSTING_E_ADDRESS = 1 }; /* it cannot listen there; see ERR */

/* Listens at ADDRESS, where there is nothing yet, for this user alone. LOOP and SPAWNER
 * (attached) are borrowed. */
int hosting_create(struct hosting **ret, struct loop *loop, struct spawner *spawner,
                   const char *address, struct error *err);

/* Cancels what its clients wait for. Leaves the address to its maker. NULL is allowed. */
void hosting_destroy(struct hosting *hosting);

#endif
