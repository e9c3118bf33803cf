/* SPDX-License-Identifier: MIT */
/* Input for a running cell. Only the client that ran the cell is asked, and only its
 * answer counts; waiting is a state of the context, so nothing here waits. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"

#define AGAIN_US 10000 /* doubles with each time */
#define AGAIN_US_MAX 500000

/* A client's sockets connect one by one: its cell can ask before it can be asked. */
int
stdin_ask_again(void *arg)
{
    struct kernel *kernel = arg;
    struct kernel_input *input = &kernel->input;
    const struct parent *parent = parents_find(kernel->parents, input->number);
    int r;

    if (input->number == 0 || parent == NULL)
        return 0; /* it has ended meanwhile */
    r = kernel_send(kernel, CONNECTION_STDIN, &parent->origin, "input_request",
                    buffer_slice(&input->question));
    if (r > 0) {
        if (input->again_us == 0)
            log_line("a client that must be asked for input is not there (stdin): it "
                     "will be asked when it is");
        input->again_us = input->again_us == 0 ? AGAIN_US : 2 * input->again_us;
        if (input->again_us > AGAIN_US_MAX)
            input->again_us = AGAIN_US_MAX;
        loop_timer_arm(input->again, input->again_us);
        return 0;
    }
    snprintf(input->id, sizeof input->id, "%s", session_last_id(kernel->session));
    buffer_clear(&input->question, 0);
    return r;
}

int
stdin_ask(struct kernel *kernel, const struct frame *frame)
{
    struct kernel_input *input = &kernel->input;
    const struct parent *parent = parents_find(kernel->parents, frame->number);
    int r;

    if (parent == NULL || parent->adopted)
        return 0; /* somebody else is asked */
    input->number = frame->number;
    input->id[0] = '\0';
    input->again_us = 0;
    buffer_clear(&input->question, 0);
    r = buffer_append(&input->question, frame->content.data, frame->content.length);
    return r != 0 ? (r < 0 ? r : -EMSGSIZE) : stdin_ask_again(kernel);
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
