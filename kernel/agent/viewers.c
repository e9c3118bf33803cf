/* SPDX-License-Identifier: MIT */
/* Those who follow executions. Each reads the log at its own speed: one that is slow
 * slows the code, one that stands still loses the stream, but never the reply. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/events.h"
#include "protocol/cleanup.h"

#define MEMBER_BYTES 64 /* of what an outcome gets besides */

int
run_add_viewer(struct run *run, const struct call *call, bool streams, uint64_t after,
               bool attached)
{
    struct slice header = call->message->wire.header;
    struct viewer *viewer = calloc(1, sizeof *viewer + header.length);

    if (viewer == NULL)
        return -ENOMEM;
    memcpy(viewer + 1, header.data, header.length);
    viewer->header = (struct slice){ (const uint8_t *)(viewer + 1), header.length };
    viewer->client = call->client;
    viewer->reply = call->reply;
    viewer->streams = streams;
    viewer->seq = after;
    viewer->attached = attached;
    viewer->next = run->viewers; /* who came last is asked for input */
    run->viewers = viewer;
    client_use(call->client);
    client_wait(run->agent, call->client);
    return 0;
}

static void
remove_viewer(struct agent *agent, struct viewer **at)
{
    struct viewer *viewer = *at;

    *at = viewer->next;
    client_answered(viewer->client);
    client_leave(agent, viewer->client);
    free(viewer);
}

void
run_remove_viewers(struct run *run)
{
    while (run->viewers != NULL)
        remove_viewer(run->agent, &run->viewers);
}

/* Only the one who came last is asked for input. */
static bool
is_for(const struct run *run, const struct viewer *viewer, const struct event *event)
{
    const struct viewer *newest = run->viewers;

    if (strcmp(event->type, "input_request") != 0)
        return true;
    while (newest != NULL && (!newest->streams || newest->client->gone))
        newest = newest->next;
    return viewer == newest && run->input_open;
}

static int
tell_event(const struct run *run, const struct viewer *viewer, const struct event *event)
{
    if (!is_for(run, viewer, event))
        return 0;
    return client_tell(run->agent, viewer->client,
                       &(struct client_message){ .type = event->type,
                                                 .header = viewer->header,
                                                 .metadata = event->metadata,
                                                 .content = event->content,
                                                 .buffers = event->buffers,
                                                 .buffer_count = event->buffer_count });
}

/* 0: it has all there is, or cannot be told. DOOR_E_AGAIN: it does not read. */
static int
tell_events(const struct run *run, struct viewer *viewer)
{
    uint64_t now = loop_now_us(run->agent->loop);
    const struct event *event;
    int r = 0;

    while (r == 0 && viewer->streams &&
           (event = events_after(run->events, viewer->seq)) != NULL) {
        r = tell_event(run, viewer, event);
        if (r != 0)
            break;
        viewer->missed += events_missed(run->events, viewer->seq);
        viewer->seq = event->seq;
        viewer->blocked_us = 0;
    }
    if (r != DOOR_E_AGAIN)
        return r < 0 ? r : 0;
    if (viewer->blocked_us == 0)
        viewer->blocked_us = now;
    if (now - viewer->blocked_us < AGENT_STALL_US)
        return r;
    viewer->streams = false;
    return 0;
}

static int
reply(const struct run *run, const struct viewer *viewer)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, AGENT_REPLY_BYTES_MAX + MEMBER_BYTES);
    if (!viewer->attached)
        return client_reply(
            run->agent, viewer->client,
            &(struct client_message){ .type = viewer->reply,
                                      .header = viewer->header,
                                      .content = buffer_slice(&run->outcome) });
    r = buffer_append(&content, run->outcome.data, run->outcome.length - 1);
    if (r == 0)
        r = buffer_append_format(&content, ",\"missed_events\":%" PRIu64 "}",
                                 viewer->missed);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return client_reply(run->agent, viewer->client,
                        &(struct client_message){ .type = viewer->reply,
                                                  .header = viewer->header,
                                                  .content = buffer_slice(&content) });
}

/* A slow reader slows the code. */
static int
slow_down(const struct run *run, bool slow)
{
    struct agent_context *context = run->context;

    if (context == NULL || context->queue != run || context->slow_readers == slow)
        return 0;
    context->slow_readers = slow;
    return agent_context_pressure(context);
}

int
run_pump(struct run *run)
{
    struct viewer **at = &run->viewers;
    bool slow = false;

    while (*at != NULL) {
        struct viewer *viewer = *at;
        int r = viewer->client->gone ? 0 : tell_events(run, viewer);

        if (r < 0)
            return r;
        if (r == DOOR_E_AGAIN) {
            clients_try_again(run->agent);
            slow |= events_bytes_after(run->events, viewer->seq) > AGENT_LAG_BYTES;
        } else if (run->state == RUN_DONE) {
            r = reply(run, viewer);
            remove_viewer(run->agent, at);
            if (r < 0)
                return r;
            continue;
        }
        at = &viewer->next;
    }
    return slow_down(run, slow && run->state == RUN_RUNNING);
}

int
runs_pump(struct agent *agent)
{
    int r = 0;

    for (struct owner *owner = agent->owners; r == 0 && owner != NULL;
         owner = owner->next) {
        for (struct run *run = owner->runs; r == 0 && run != NULL;
             run = run->next_of_owner) {
            if (run->viewers != NULL)
                r = run_pump(run);
        }
    }
    return r;
}

/* Code that nobody waits for any more ends, unless it was to go on. */
int
run_lose_client(struct run *run, const struct client *client)
{
    struct refusal no = { .details = NULL };
    struct viewer **at = &run->viewers;
    bool lost = false;

    while (*at != NULL) {
        if ((*at)->client == client) {
            remove_viewer(run->agent, at);
            lost = true;
        } else {
            at = &(*at)->next;
        }
    }
    if (!lost || run->viewers != NULL || run->continues)
        return 0;
    refusal_set(&no, REFUSAL_CANCELLED, "its client has gone");
    return run_cancel(run, &no, false);
}
