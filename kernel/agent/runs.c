/* SPDX-License-Identifier: MIT */
/* An execution, from its request to its outcome: what it says is numbered and kept in its
 * log, from which all who follow it are served. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/events.h"
#include "kernel/agent/jupyter.h"
#include "kernel/agent/tally.h"
#include "kernel/handlers.h"
#include "kernel/session.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/text.h"

static int
make_parts(struct run *run, const struct agent_bounds *bounds)
{
    int r = events_create(&run->events, (size_t)bounds->log_bytes);

    buffer_init(&run->header, AGENT_REPLY_BYTES_MAX);
    buffer_init(&run->metadata, AGENT_REPLY_BYTES_MAX);
    buffer_init(&run->content, AGENT_REPLY_BYTES_MAX);
    buffer_init(&run->outcome, AGENT_REPLY_BYTES_MAX);
    return r < 0 ? r : tally_create(&run->tally, (size_t)bounds->results_bytes);
}

int
run_create(struct run **ret, struct agent_context *context)
{
    struct run *run = calloc(1, sizeof *run);
    int r;

    if (run == NULL)
        return -ENOMEM;
    run->agent = context->agent;
    run->context = context;
    run->owner = context->owner;
    run->epoch = context_epoch(context->context);
    run->created_us = loop_now_us(context->agent->loop);
    run->created_real_us = session_time_us();
    strcpy(run->context_id, context->id);
    agent_make_id(run->id, "run_");
    r = make_parts(run, context->agent->bounds);
    if (r < 0) {
        run_free(run);
        return r;
    }
    *ret = run;
    return 0;
}

void
run_free(struct run *run)
{
    run_remove_viewers(run);
    events_destroy(run->events);
    tally_destroy(run->tally);
    buffer_fini(&run->header);
    buffer_fini(&run->metadata);
    buffer_fini(&run->content);
    buffer_fini(&run->outcome);
    free(run);
}

static size_t
kept_bytes(const struct run *run)
{
    return events_bytes(run->events) + run->outcome.length + sizeof *run;
}

static bool
is_kept(const struct owner *owner, const struct run *run, uint64_t now_us)
{
    return run->state != RUN_DONE || run->viewers != NULL ||
           (owner->ended_runs <= AGENT_ENDED_MAX &&
            owner->ended_bytes <= AGENT_ENDED_BYTES &&
            now_us - run->ended_us < AGENT_ENDED_US);
}

/* The newest are first, so the oldest go: each time the last one that may. */
void
runs_forget(struct agent *agent, struct owner *owner)
{
    uint64_t now = loop_now_us(agent->loop);
    struct run **last;

    do {
        last = NULL;
        for (struct run **at = &owner->runs; *at != NULL; at = &(*at)->next_of_owner) {
            if (!is_kept(owner, *at, now))
                last = at;
        }
        if (last != NULL) {
            struct run *run = *last;

            *last = run->next_of_owner;
            owner->ended_runs--;
            owner->ended_bytes -= kept_bytes(run);
            run_free(run);
        }
    } while (last != NULL);
}

/* Of people's cells those count that have their turn before it. */
size_t
run_position(const struct run *run)
{
    size_t position = 0, theirs;

    if (run->context == NULL || run->foreign)
        return 0;
    for (const struct run *at = run->context->queue; at != NULL && at != run;
         at = at->next)
        position++;
    theirs = context_waiting_runs(run->context->context, KERNEL_GROUP);
    if (theirs > position)
        theirs = position;
    return position + theirs + (run->context->foreign != NULL);
}

static void
leave_queue(struct run *run)
{
    struct agent_context *context = run->context;
    struct run **at = &context->queue;

    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    if (*at == NULL)
        context->last = at;
    context->queued--;
}

/* One thing at a time: the others wait here, where they can be cancelled. */
int
run_submit_next(struct agent_context *context)
{
    struct run *run = context->queue;
    struct context_request wish = { .type = FRAME_EXECUTE_REQUEST };
    struct refusal no = { .details = NULL };
    struct error err = { 0 };
    int r;

    if (run == NULL || run->number != 0 || context->deleted)
        return 0;
    wish.header = buffer_slice(&run->header);
    wish.metadata = buffer_slice(&run->metadata);
    wish.content = buffer_slice(&run->content);
    wish.silent = run->silent;
    wish.store_history = run->store_history;
    wish.timeout_ms = run->timeout_ms;
    wish.kill_on_timeout = run->kill_on_timeout;
    r = context_submit(context->context, &wish, &run->number, &err);
    if (r < 0)
        return r;
    if (r > 0) {
        leave_queue(run);
        refusal_set(&no,
                    r == CONTEXT_E_TOO_LARGE ? REFUSAL_TOO_LARGE : REFUSAL_QUEUE_FULL,
                    "%s", err.text);
        r = run_refuse(run, &no);
        return r < 0 ? r : run_submit_next(context);
    }
    return 0;
}

static bool
has_members(struct slice object)
{
    struct json_iterator iterator;
    struct slice value;

    return json_iterate(&iterator, object) == 0 && json_next(&iterator, NULL, &value);
}

static int
append_metadata(struct buffer *ret, const struct run *run, struct slice metadata,
                const struct context_reason *reason)
{
    struct slice inner = metadata;
    int r;

    /* Ours is the last member of that name, which is the one that counts. */
    while (inner.length > 0 && inner.data[inner.length - 1] != '}')
        inner.length--;
    if (inner.length > 0)
        inner.length--;
    r = inner.length == 0 ? buffer_append_text(ret, "{")
                          : buffer_append(ret, inner.data, inner.length);
    if (r == 0 && inner.length > 0 && has_members(metadata))
        r = buffer_append_text(ret, ",");
    if (r == 0)
        r = buffer_append_format(ret,
                                 "\"cellwall\":{\"context\":\"%s\",\"epoch\":%" PRIu64
                                 ",\"execution\":\"%s\",\"seq\":%" PRIu64,
                                 run->context_id, run->epoch, run->id,
                                 events_next_seq(run->events));
    if (r == 0 && reason != NULL) {
        r = buffer_append_text(ret, ",\"reason\":");
        if (r == 0)
            r = metadata_append_reason(ret, reason);
    }
    return r != 0 ? r : buffer_append_text(ret, "}}");
}

/* Watchers miss what they have no room for: seq shows it. */
static int
tell_watchers(struct run *run, const struct event *event)
{
    int r = 0;

    for (struct watcher *watcher = run->context->watchers; r >= 0 && watcher != NULL;
         watcher = watcher->next) {
        bool follows = false;

        for (const struct viewer *viewer = run->viewers; viewer != NULL;
             viewer = viewer->next)
            follows |= viewer->client == watcher->client;
        if (!follows)
            r = client_tell(
                run->agent, watcher->client,
                &(struct client_message){ .type = event->type,
                                          .header = watcher->header,
                                          .metadata = event->metadata,
                                          .content = event->content,
                                          .buffers = event->buffers,
                                          .buffer_count = event->buffer_count });
    }
    return r < 0 ? r : 0;
}

static int
tell(struct run *run, const char *type, struct slice content, const struct frame *frame,
     const struct context_reason *reason)
{
    CLEANUP(buffer_fini) struct buffer metadata;
    uint64_t seq = events_next_seq(run->events);
    struct event_parts parts = { .type = type, .content = content };
    int r;

    buffer_init(&metadata, AGENT_REPLY_BYTES_MAX);
    if (run->context == NULL)
        return 0;
    r = append_metadata(&metadata, run,
                        frame != NULL ? frame->metadata : (struct slice){ 0 }, reason);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    parts.metadata = buffer_slice(&metadata);
    if (frame != NULL) {
        parts.buffers = frame->buffers;
        parts.buffer_count = frame->buffer_count;
    }
    r = events_add(run->events, &parts);
    if (r == 0)
        r = tell_watchers(run, events_after(run->events, seq - 1));
    return r < 0 ? r : run_pump(run);
}

static int
tell_status(struct run *run, const char *state)
{
    char content[64];

    snprintf(content, sizeof content, "{\"execution_state\":\"%s\"}", state);
    return tell(run, "status", slice_text(content), NULL, NULL);
}

int
run_tell(struct run *run, const char *type, struct slice content)
{
    return tell(run, type, content, NULL, NULL);
}

static int
tell_input(struct run *run, uint32_t count)
{
    CLEANUP(buffer_fini) struct buffer content;
    struct slice code = slice_text("\"\"");
    int r;

    buffer_init(&content, AGENT_REPLY_BYTES_MAX);
    (void)json_member(buffer_slice(&run->content), "code", &code);
    r = buffer_append_text(&content, "{\"code\":");
    if (r == 0)
        r = buffer_append(&content, code.data, code.length);
    if (r == 0)
        r = buffer_append_format(&content, ",\"execution_count\":%u}", (unsigned)count);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return tell(run, "execute_input", buffer_slice(&content), NULL, NULL);
}

int
run_started(struct run *run, uint32_t count)
{
    struct context_use use = context_use(run->context->context);
    int r;

    run->state = RUN_RUNNING;
    run->epoch = context_epoch(run->context->context);
    run->started_us = loop_now_us(run->agent->loop);
    run->cpu_us = use.cpu_us;
    run->count = count;
    r = tell_status(run, "busy");
    if (r == 0 && !run->silent)
        r = tell_input(run, count);
    return r;
}

/* Its content was kept for this. */
int
run_show(struct run *run)
{
    struct jupyter *jupyter = run->context->jupyter;
    struct kernel_adoption adoption = { .header = buffer_slice(&run->header),
                                        .silent = run->silent,
                                        .store_history = run->store_history };
    int r;

    if (jupyter == NULL)
        return 0;
    (void)json_member(buffer_slice(&run->content), "code", &adoption.code);
    r = jupyter_adopt(jupyter, run->number, &adoption);
    return r < 0 ? r : jupyter_observer.on_started(run->number, run->count, jupyter);
}

int
run_told_text(struct run *run, bool is_stderr, struct slice text)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r = run->tally != NULL ? tally_add_text(run->tally, is_stderr, text) : 0;

    buffer_init(&content, AGENT_REPLY_BYTES_MAX);
    if (r == 0)
        r = buffer_append_format(
            &content, "{\"name\":\"%s\",\"text\":", is_stderr ? "stderr" : "stdout");
    if (r == 0)
        r = text_append_json(&content, text.data, text.length);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return tell(run, "stream", buffer_slice(&content), NULL, NULL);
}

int
run_told_frame(struct run *run, const struct frame *frame,
               const struct context_reason *reason)
{
    int r = run->tally != NULL ? tally_add_frame(run->tally, frame) : 0;

    if (frame->type == FRAME_INPUT_REQUEST)
        run->input_open = true;
    return r < 0 ? r
                 : tell(run, frame_type_name(frame->type), frame->content, frame, reason);
}

static void
end(struct run *run)
{
    struct owner *owner = run->owner;

    run->state = RUN_DONE;
    run->input_open = false;
    run->ended_us = loop_now_us(run->agent->loop);
    tally_destroy(run->tally);
    run->tally = NULL;
    buffer_fini(&run->content);
    buffer_fini(&run->metadata);
    buffer_init(&run->content, AGENT_REPLY_BYTES_MAX);
    buffer_init(&run->metadata, AGENT_REPLY_BYTES_MAX);
    if (run->foreign)
        return;
    owner->open_runs--;
    owner->ended_runs++;
    owner->ended_bytes += kept_bytes(run);
}

/* All of it in its place, or none. */
static int
make_outcome(struct run *run, const struct context_outcome *outcome)
{
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };
    int r = outcome_append(&run->outcome, run, outcome);

    if (r != BUFFER_E_FULL)
        return r;
    buffer_clear(&run->outcome, 0);
    refusal_set(&no, REFUSAL_TOO_LARGE,
                "it has run, but its outcome has more than %zu "
                "bytes as JSON",
                run->outcome.limit);
    return refusal_append(&no, &run->outcome);
}

int
run_done(struct run *run, const struct context_outcome *outcome)
{
    int r;

    if (outcome->end == CONTEXT_END_LOST) {
        CLEANUP(buffer_fini) struct buffer content;

        buffer_init(&content, AGENT_REPLY_BYTES_MAX);
        r = outcome_append_loss(&content, run, &outcome->reason);
        if (r == 0)
            r = tell(run, "error", buffer_slice(&content), NULL, &outcome->reason);
        if (r != 0)
            return r < 0 ? r : -EMSGSIZE;
    }
    r = tell_status(run, "idle");
    if (r == 0)
        r = make_outcome(run, outcome);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    end(run);
    return run_pump(run);
}

int
run_cancel(struct run *run, const struct refusal *no, bool force)
{
    struct agent_context *context = run->context;
    int r;

    if (run->state == RUN_DONE || context == NULL)
        return 0;
    if (run->state == RUN_RUNNING)
        return context_interrupt(context->context, force);
    if (run->number == 0) {
        leave_queue(run);
        return run_refuse(run, no);
    }
    if (!context_withdraw(context->context, run->number))
        return 0; /* its end is just being told */
    leave_queue(run);
    r = run_refuse(run, no);
    return r < 0 ? r : run_submit_next(context);
}

/* The first one last, so that none is submitted meanwhile. */
int
runs_refuse(struct agent_context *context, const struct refusal *no)
{
    struct run *first = context->queue;
    int r = 0;

    while (r == 0 && first != NULL && first->next != NULL)
        r = run_cancel(first->next, no, false);
    if (r == 0 && first != NULL && first->state == RUN_QUEUED)
        r = run_cancel(first, no, false);
    return r;
}

int
run_refuse(struct run *run, const struct refusal *no)
{
    int r = refusal_append(no, &run->outcome);

    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    end(run);
    return run_pump(run);
}
