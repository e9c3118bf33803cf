/* SPDX-License-Identifier: MIT */
/*
 * origin - where a request came from: what a reply and its side effects need of it
 */
#ifndef KERNEL_ORIGIN_H
#define KERNEL_ORIGIN_H

#include <stddef.h>

#include "protocol/buffer.h"
#include "protocol/connection.h"

/* Plain data, borrowed. */
struct origin {
    enum connection_port channel; /* shell or control */
    const struct slice *identities; /* of the client, as ROUTER gave them */
    size_t identity_count;
    struct slice header; /* raw; becomes parent_header */
};

#endif
