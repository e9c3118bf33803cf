/* SPDX-License-Identifier: MIT */
/*
 * talk - a lean Jupyter client: bare sockets, signatures, and hardly a parser
 *
 * Signs and verifies each message with the project's protocol library. Of what comes it
 * looks only for the type and for the request's id, as text: so that what is measured is
 * the kernel.
 */
#ifndef TESTS_BENCH_TALK_H
#define TESTS_BENCH_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct talk; /* opaque */

/* Sockets that try to connect each millisecond to what the connection file FILE names;
 * the kernel may start later. */
struct talk *talk_create(const char *file);
void talk_destroy(struct talk *talk);

/* Sends a request on shell; returns its number. CONTENT is JSON. */
uint64_t talk_send(struct talk *talk, const char *type, const char *content);

enum talk_socket { TALK_SHELL, TALK_IOPUB };

/* One message, signature verified. */
struct talk_message {
    enum talk_socket socket;
    uint64_t number; /* of the request it belongs to, 0: of none of ours */
    char type[64];
    bool is_idle; /* a status, which says idle */
    bool is_ok; /* a reply, whose status is ok */
    bool found; /* its content has the text that talk_expect was told */
    size_t bytes; /* of all parts */
    size_t content_bytes;
};

/* Whatever comes next on either socket, within TIMEOUT_MS (-1: no bound). False: none. */
bool talk_receive(struct talk *talk, struct talk_message *ret, int timeout_ms);

/* TEXT (borrowed; NULL: nothing) is looked for in the contents of what comes on IOPub. */
void talk_expect(struct talk *talk, const char *text);

#endif
