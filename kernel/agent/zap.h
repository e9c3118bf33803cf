/* SPDX-License-Identifier: MIT */
/*
 * zap - answers ZeroMQ's question who may come in (ZAP 1.0,
 * https://rfc.zeromq.org/spec/27)
 *
 * ZeroMQ asks once for each connection, over a socket inside of the process: nobody
 * outside can ask, or answer. The loop answers: with CURVE from the keys that are
 * authorised at that moment, and on ipc by the user namespace of the process that has
 * connected, for what runs in a context may be the same user, and see the socket.
 */
#ifndef KERNEL_AGENT_ZAP_H
#define KERNEL_AGENT_ZAP_H

#include <stdint.h>

/* Of the sockets that shall be asked for: with keys, and on ipc. */
#define ZAP_DOMAIN "cellwall"
#define ZAP_DOMAIN_IPC "cellwall-ipc"

struct error;
struct keys;
struct loop;
struct zap; /* opaque */

/* To be made before the first socket of CONTEXT is bound. All are borrowed and outlive
 * it. KEYS: NULL, there are none. A connection with CURVE that it lets in has as User-Id
 * the client's public key, in Z85. 0 or < 0. */
int zap_create(struct zap **ret, void *context, struct loop *loop, struct keys *keys,
               struct error *err);
void zap_destroy(struct zap *zap); /* NULL is allowed */

/* How many connections were not let in. */
uint64_t zap_refused(const struct zap *zap);

#endif
