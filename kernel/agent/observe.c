/* SPDX-License-Identifier: MIT */
/* What an agent's context tells: to its executions, to what waits, and to the kernel in
 * front of it. */
#include <errno.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/jupyter.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/frame.h"

/* The run that NUMBER is; what belongs to nobody is the present one's. */
static struct run *
find(const struct agent_context *context, uint64_t number)
{
    struct run *own = context->queue;

    if (own != NULL && own->state == RUN_RUNNING &&
        (own->number == number || number == 0))
        return own;
    if (context->foreign != NULL && (context->foreign->number == number || number == 0))
        return context->foreign;
    return NULL;
}

/* A person in Jupyter runs something: those who watch the context see it. */
static int
note_foreign(struct agent_context *context, uint64_t number, uint32_t count)
{
    struct kernel_run theirs;
    struct run *run;
    int r;

    if (context->jupyter == NULL || context->foreign != NULL ||
        !jupyter_find_run(context->jupyter, number, &theirs))
        return 0;
    r = run_create(&run, context);
    if (r < 0)
        return r;
    run->foreign = true;
    run->number = number;
    run->silent = theirs.silent || theirs.code.length == 0;
    run->store_history = theirs.stored;
    context->foreign = run;
    r = buffer_append(&run->header, theirs.header.data, theirs.header.length);
    if (r == 0)
        r = buffer_append_text(&run->content, "{\"code\":");
    if (r == 0)
        r = buffer_append(&run->content, theirs.code.data, theirs.code.length);
    if (r == 0)
        r = buffer_append_text(&run->content, run->silent ? "\"\"}" : "}");
    return r != 0 ? (r < 0 ? r : -EMSGSIZE) : run_started(run, count);
}

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    struct agent_context *context = arg;
    struct run *run = context->queue;
    int r = 0;

    agent_context_touch(context);
    if (run != NULL && run->number == number) {
        r = run_started(run, execution_count);
        return r < 0 ? r : run_show(run);
    }
    r = note_foreign(context, number, execution_count);
    if (r == 0 && context->jupyter != NULL)
        r = jupyter_observer.on_started(number, execution_count, context->jupyter);
    return r;
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct agent_context *context = arg;
    struct run *run = find(context, number);
    int r = run != NULL ? run_told_text(run, is_stderr, text) : 0;

    if (r == 0 && context->jupyter != NULL)
        r = jupyter_observer.on_stream(number, is_stderr, text, context->jupyter);
    return r;
}

/* A cell asks the person who ran it, who has closed the kernel since then. */
static bool
asks_nobody(const struct agent_context *context, const struct frame *frame)
{
    const struct run *own = context->queue;
    struct kernel_run theirs;

    if (frame->type != FRAME_INPUT_REQUEST ||
        (own != NULL && own->state == RUN_RUNNING && own->number == frame->number))
        return false;
    return context->jupyter == NULL || jupyter_has_ended(context->jupyter) ||
           !jupyter_find_run(context->jupyter, frame->number, &theirs);
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct agent_context *context = arg;
    struct run *run = find(context, frame->number);
    struct context_reason reason;
    bool late =
        frame->type == FRAME_ERROR && context_is_timing_out(context->context, &reason);
    int r = run != NULL ? run_told_frame(run, frame, late ? &reason : NULL) : 0;

    if (r == 0 && context->jupyter != NULL)
        r = jupyter_observer.on_frame(frame, context->jupyter);
    if (r == 0 && asks_nobody(context, frame))
        r = context_interrupt(context->context, false);
    return r;
}

static int
end_foreign(struct agent_context *context, const struct context_outcome *outcome)
{
    struct run *run = context->foreign;
    int r = run_done(run, outcome);

    context->foreign = NULL;
    run_free(run);
    return r;
}

/* One that never ran is refused; a failure may take those behind it along. */
static int
end_first(struct agent_context *context, const struct context_outcome *outcome)
{
    struct run *run = context->queue;
    bool failed = outcome->end != CONTEXT_END_REPLY ||
                  (outcome->reply->flags & FRAME_FLAG_ERROR) != 0;
    bool aborts = failed && run->stop_on_error;
    struct refusal no = { .details = NULL };
    int r;

    if (outcome->end == CONTEXT_END_ABORTED || outcome->end == CONTEXT_END_EXPIRED) {
        bool start = outcome->reason.kind == CONTEXT_REASON_START;

        refusal_set(&no, start ? REFUSAL_START_FAILED : REFUSAL_ABORTED, "%s",
                    outcome->reason.text != NULL && outcome->reason.text[0] != '\0'
                        ? outcome->reason.text
                        : "the interpreter was replaced before it ran");
        r = run_refuse(run, &no);
    } else {
        r = run_done(run, outcome);
    }
    context->queue = run->next;
    context->queued--;
    if (context->queue == NULL)
        context->last = &context->queue;
    run->context = NULL;
    if (context->slow_readers) {
        context->slow_readers = false;
        agent_context_pressure(context);
    }
    refusal_set(&no, REFUSAL_ABORTED, "the execution %s before it failed", run->id);
    return r == 0 && aborts ? runs_refuse(context, &no) : r;
}

static int
answer_ask(struct agent_context *context, uint64_t number,
           const struct context_outcome *outcome)
{
    for (struct pending **at = &context->pending; *at != NULL; at = &(*at)->next) {
        struct pending *pending = *at;

        if (pending->kind != PENDING_ASK || pending->number != number)
            continue;
        *at = pending->next;
        return ask_done(context, pending, outcome);
    }
    return 0;
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    struct agent_context *context = arg;
    struct owner *owner = context->owner;
    int r;

    agent_context_touch(context);
    if (context->queue != NULL && context->queue->number == number)
        r = end_first(context, outcome);
    else if (context->foreign != NULL && context->foreign->number == number)
        r = end_foreign(context, outcome);
    else
        r = answer_ask(context, number, outcome);
    if (r == 0 && context->jupyter != NULL)
        r = jupyter_observer.on_done(number, outcome, context->jupyter);
    if (r == 0)
        r = run_submit_next(context);
    if (r == 0)
        runs_forget(context->agent, owner);
    return r;
}

/* It can be used from now on, so that it is idle from now on. */
static int
answer_context(struct agent_context *context, struct pending *pending)
{
    json_t *content;
    int r;

    agent_context_touch(context);
    content =
        json_pack("{s:s, s:o}", "status", "ok", "context", describe_context(context));
    if (content == NULL)
        return -ENOMEM;
    if (pending->kind == PENDING_CREATE)
        json_object_set_new(content, "created", json_true());
    r = pending_answer_tree(context->agent, pending, content);
    json_decref(content);
    return r;
}

/* Those that wait for the interpreter: it is there, or will never be. */
static int
answer_waiting(struct agent_context *context, const struct context_reason *reason)
{
    struct pending **at = &context->pending;
    struct refusal no = { .details = NULL };
    int r = 0;

    while (r == 0 && *at != NULL) {
        struct pending *pending = *at;

        if (pending->kind == PENDING_ASK ||
            (reason == NULL && pending->kind == PENDING_RESTART &&
             context_epoch(context->context) < pending->epoch)) {
            at = &pending->next;
            continue;
        }
        *at = pending->next;
        if (reason == NULL) {
            r = answer_context(context, pending);
            continue;
        }
        if (pending->kind == PENDING_CREATE)
            context->unborn = true;
        refusal_set(&no, REFUSAL_START_FAILED, "%s", reason->text);
        r = pending_refuse(context->agent, pending, &no);
    }
    if (r == 0 && context->unborn)
        r = agent_context_delete(context);
    return r;
}

/* What waited was meant for the variables that are gone, whoever has lost them. */
static int
lose_waiting(struct agent_context *context, uint64_t lost_epoch)
{
    struct refusal no = { .details = NULL };

    if (context->replaced == lost_epoch)
        return 0;
    refusal_set(&no, REFUSAL_ABORTED, "the interpreter was replaced before it ran");
    return runs_refuse(context, &no);
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct agent_context *context = arg;
    int r = 0;

    if (reason != NULL && reason->state_lost)
        r = lose_waiting(context, state == CONTEXT_DEAD ? epoch : epoch - 1);
    if (r < 0)
        return r;
    if (state == CONTEXT_IDLE)
        r = answer_waiting(context, NULL);
    else if (state == CONTEXT_DEAD && reason != NULL)
        r = answer_waiting(context, reason);
    if (r == 0 && context->jupyter != NULL)
        r = jupyter_observer.on_state(state, epoch, reason, context->jupyter);
    return r;
}

static int
on_stuck(uint64_t number, void *arg)
{
    const struct agent_context *context = arg;

    return context->jupyter != NULL ? jupyter_observer.on_stuck(number, context->jupyter)
                                    : 0;
}

const struct context_observer agent_observer = {
    .on_started = on_started,
    .on_stream = on_stream,
    .on_frame = on_frame,
    .on_done = on_done,
    .on_state = on_state,
    .on_stuck = on_stuck,
};
