/* SPDX-License-Identifier: MIT */
/*
 * zap - answers ZeroMQ's question who may come in (ZAP 1.0,
 * https://rfc.zeromq.org/spec/27)
 *
 * ZeroMQ asks once for each connection with CURVE, over a socket inside of the process:
 * nobody outside can ask, or answer. The loop answers, from the keys that are authorised
 * at that moment.
 */
#ifndef KERNEL_AGENT_ZAP_H
#define KERNEL_AGENT_ZAP_H

#include <stdint.h>

#define ZAP_DOMAIN "cellwall" /* of the sockets that shall be asked for */

struct error;
struct keys;
struct loop;
struct zap; /* opaque */

/* To be made before the first socket of CONTEXT is bound. All are borrowed and outlive
 * it. A connection that it lets in has as User-Id the client's public key, in Z85. 0 or
 * < 0. */
int zap_create(struct zap **ret, void *context, struct loop *loop, struct keys *keys,
               struct error *err);
void zap_destroy(struct zap *zap); /* NULL is allowed */

/* How many connections were not let in. */
uint64_t zap_refused(const struct zap *zap);

#endif
