/* SPDX-License-Identifier: MIT */
/* Input for a running cell. Only the client that ran the cell is asked, and only its
 * answer counts; waiting is a state of the context, so nothing here waits. */
#include <stdio.h>
#include <string.h>

#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"

int
stdin_ask(struct kernel *kernel, const struct frame *frame)
{
    const struct parent *parent = parents_find(kernel->parents, frame->number);
    int r;

    if (parent == NULL)
        return 0;
    r = kernel_send(kernel, CONNECTION_STDIN, &parent->origin, "input_request",
                    frame->content);
    if (r < 0)
        return r;
    kernel->input.number = frame->number;
    snprintf(kernel->input.id, sizeof kernel->input.id, "%s",
             session_last_id(kernel->session));
    return 0;
}

static bool
is_asked_client(const struct parent *parent, const struct wire *wire)
{
    if (wire->identity_count != parent->origin.identity_count)
        return false;
    for (size_t i = 0; i < wire->identity_count; i++) {
        struct slice theirs = wire->identities[i], asked = parent->origin.identities[i];

        if (theirs.length != asked.length ||
            memcmp(theirs.data, asked.data, asked.length) != 0)
            return false;
    }
    return true;
}

/* A client that names the request it answers must name the open one: an answer to an
 * earlier, interrupted one may still come. Some name the cell, some nothing. */
static bool
is_about(const struct kernel *kernel, const struct parent *parent,
         const struct message *message)
{
    char cell[MESSAGE_ID_BYTES];

    if (message->parent_id[0] == '\0' ||
        strcmp(message->parent_id, kernel->input.id) == 0)
        return true;
    return json_member_string(parent->origin.header, "msg_id", cell, sizeof cell) == 0 &&
           strcmp(message->parent_id, cell) == 0;
}

int
stdin_receive(struct kernel *kernel, struct message *message)
{
    const struct parent *parent = parents_find(kernel->parents, kernel->input.number);
    int r;

    if (strcmp(message->type, "input_reply") != 0 || kernel->input.number == 0 ||
        parent == NULL || !is_asked_client(parent, &message->wire) ||
        !is_about(kernel, parent, message))
        return 0;
    r = message_check(message, NULL);
    if (r != 0)
        return r < 0 ? r : 0; /* malformed: we go on waiting */
    r = context_input_reply(kernel->context, message->wire.content);
    if (r != CONTEXT_E_TOO_LARGE)
        kernel->input.number = 0;
    return r < 0 ? r : 0;
}
