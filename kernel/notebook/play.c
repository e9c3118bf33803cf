/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/play.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/languages.h"
#include "kernel/notebook/directives.h"
#include "kernel/notebook/outputs.h"
#include "kernel/probe.h"
#include "protocol/error.h"
#include "protocol/frame.h"
#include "protocol/notebook.h"
#include "protocol/text.h"

#define REQUEST_BYTES_MAX (NOTEBOOK_BYTES_MAX + 4096)

struct play {
    struct play_options options;
    char *directory; /* owned */
    struct context *context; /* owned */
    struct outputs *outputs; /* owned */
    struct play_cell *cells; /* owned: of all cells of the notebook */
    size_t at; /* the cell that runs */
    uint64_t number; /* of its request, 0: none runs */
    size_t *cell_of; /* owned: the cells of requests 1, 2, ... */
    size_t submitted, started;
    bool full; /* some of its output had no room */
    struct loop_timer *timer; /* owned: the notebook's time, then the end */
    bool ending;
    int result;
};

static const struct context_observer observer;

static int on_timer(void *arg);
static int run_next(struct play *play);

static int
create_context(struct play *play, struct error *err)
{
    const struct play_options *options = &play->options;
    const struct context_options wish = {
        .runtime = options->language->runtime,
        .spawner = options->spawner,
        .interpreter = options->language->environment->interpreter,
        .profile = CONTEXT_PROFILE_NOTEBOOK,
        .directory = play->directory,
        .shown = options->shown,
        .mounts = options->language->environment->mounts,
        .tier = options->tier,
        .network = options->network,
        .limits = *options->limits,
        .die_with_child = true,
        .observer = &observer,
        .arg = play,
    };
    int r = context_create(&play->context, options->loop, &wish, err);

    return r <= 0 ? r : PLAY_E_START;
}

int
play_create(struct play **ret, const struct play_options *options, struct error *err)
{
    CLEANUP(play_destroyp) struct play *play = calloc(1, sizeof *play);
    size_t count = options->notebook->cell_count;
    int r;

    if (play == NULL)
        return -ENOMEM;
    play->options = *options;
    play->directory = strdup(options->directory);
    play->cells = calloc(count + 1, sizeof *play->cells);
    play->cell_of = calloc(count + 1, sizeof *play->cell_of);
    if (play->directory == NULL || play->cells == NULL || play->cell_of == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        play->cells[i] = (struct play_cell){ .execution_count = -1, .seconds = -1 };
    r = outputs_create(&play->outputs, count);
    if (r == 0)
        r = loop_add_timer(&play->timer, options->loop, on_timer, play);
    if (r == 0)
        r = create_context(play, err);
    if (r == 0)
        r = run_next(play);
    if (r != 0)
        return r;
    if (options->notebook_ms > 0 && !play->ending)
        loop_timer_arm(play->timer, options->notebook_ms * 1000);
    *ret = play;
    play = NULL;
    return 0;
}

void
play_destroy(struct play *play)
{
    if (play == NULL)
        return;
    context_destroy(play->context);
    loop_timer_destroy(play->timer);
    outputs_destroy(play->outputs);
    for (size_t i = 0; play->cells != NULL && i < play->options.notebook->cell_count;
         i++) {
        free(play->cells[i].text);
        free(play->cells[i].stderr_tail);
    }
    free(play->cells);
    free(play->cell_of);
    free(play->directory);
    free(play);
}

int
play_result(const struct play *play)
{
    return play->result;
}

const struct play_cell *
play_cell(const struct play *play, size_t cell)
{
    return &play->cells[cell];
}

const struct outputs *
play_outputs(const struct play *play)
{
    return play->outputs;
}

size_t
play_position(const struct play *play)
{
    return play->ending ? play->options.notebook->cell_count : play->at;
}

/* The end is told from the timer: a context cannot be destroyed from its own callback.
 * The interpreter is not asked to tidy up, which takes longer than most notebooks. */
static int
finish(struct play *play)
{
    play->ending = true;
    loop_timer_arm(play->timer, 0);
    return 0;
}

static int
break_cell(struct play *play, const char *kind, const char *text, const char *tail)
{
    struct play_cell *cell = &play->cells[play->at];

    cell->status = PLAY_BROKEN;
    cell->reason = kind;
    cell->text = strdup(text);
    if (tail != NULL && tail[0] != '\0')
        cell->stderr_tail = strdup(tail);
    return cell->text == NULL ? -ENOMEM : 0;
}

static int
on_timer(void *arg)
{
    struct play *play = arg;
    char text[128];
    int r;

    if (!play->ending) {
        snprintf(text, sizeof text, "the notebook ran for longer than %g s",
                 (double)play->options.notebook_ms / 1000);
        r = break_cell(play, "notebook_timeout", text, NULL);
        if (r < 0)
            play->result = r;
    }
    play->ending = true;
    context_destroy(play->context);
    play->context = NULL;
    play->options.on_ended(play->options.arg);
    return 0;
}

static bool
is_blank(struct slice source)
{
    size_t i = 0;

    while (i < source.length && isspace(source.data[i]))
        i++;
    return i == source.length;
}

static int
append_request(struct buffer *ret, struct slice source)
{
    int r = buffer_append_text(ret, "{\"code\":");

    if (r == 0)
        r = text_append_json(ret, source.data, source.length);
    if (r == 0)
        r = buffer_append_text(ret, ",\"silent\":false,\"store_history\":true,"
                                    "\"user_expressions\":{},\"allow_stdin\":false,"
                                    "\"stop_on_error\":false}");
    return r;
}

static int
submit(struct play *play, const struct notebook_cell *cell, uint64_t timeout_ms)
{
    CLEANUP(buffer_fini) struct buffer content;
    struct context_request wish = {
        .type = FRAME_EXECUTE_REQUEST,
        .metadata = slice_text("{}"),
        .store_history = true,
        .timeout_ms = timeout_ms,
    };
    char header[160];
    struct error err = { 0 };
    int r;

    buffer_init(&content, REQUEST_BYTES_MAX);
    snprintf(header, sizeof header,
             "{\"msg_id\":\"cell-%zu\",\"msg_type\":\"execute_request\",\"session\":"
             "\"test\",\"username\":\"cellwall\",\"version\":\"5.5\"}",
             play->at);
    r = append_request(&content, cell->source);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    wish.header = slice_text(header);
    wish.content = buffer_slice(&content);
    play->full = false;
    r = context_submit(play->context, &wish, &play->number, &err);
    if (r > 0) { /* too large, or the interpreter has gone between two cells */
        r = break_cell(play, r == CONTEXT_E_GONE ? "died" : "start",
                       err.text[0] != '\0' ? err.text : "the interpreter has ended",
                       NULL);
        return r != 0 ? r : finish(play);
    }
    if (r == 0)
        play->cell_of[play->submitted++] = play->at;
    return r;
}

/* Submits the next cell of code that is to be run, or ends. */
static int
run_next(struct play *play)
{
    const struct notebook *notebook = play->options.notebook;

    for (; play->at < notebook->cell_count; play->at++) {
        const struct notebook_cell *cell = &notebook->cells[play->at];
        const struct directives *directives = &play->options.directives[play->at];
        uint64_t timeout_ms = play->options.cell_ms;

        if (cell->type != NOTEBOOK_CODE || directives->skip || is_blank(cell->source)) {
            play->cells[play->at].status = PLAY_SKIPPED;
            continue;
        }
        if (directives->timeout_s > 0)
            timeout_ms = (uint64_t)(directives->timeout_s * 1000);
        return submit(play, cell, timeout_ms);
    }
    return finish(play);
}

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    struct play *play = arg;

    (void)number, (void)execution_count;
    play->started = play->submitted; /* one is submitted at a time */
    return 0;
}

static int
note(struct play *play, int r)
{
    if (r == OUTPUTS_E_FULL)
        play->full = true;
    return r < 0 ? r : 0;
}

/* Output may come late, of a cell that has ended; what belongs to none is the present
 * one's, or the last one's. False: there is none yet, and an interpreter talks while it
 * starts. */
static bool
find_cell(const struct play *play, uint64_t number, size_t *ret)
{
    if (play->started == 0)
        return false;
    *ret = play->cell_of[play->started - 1];
    if (number > 0 && number <= play->submitted)
        *ret = play->cell_of[number - 1];
    return true;
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct play *play = arg;
    size_t cell;

    if (!find_cell(play, number, &cell))
        return 0;
    return note(play, outputs_add_text(play->outputs, cell, is_stderr, text));
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct play *play = arg;
    size_t cell;

    if (!find_cell(play, frame->number, &cell))
        return 0;
    return note(play, outputs_add_frame(play->outputs, cell, frame));
}

/* As events name it. */
static const char *
kind_of(enum context_reason_kind kind)
{
    return kind == CONTEXT_REASON_KILLED || kind == CONTEXT_REASON_CRASHED
               ? "died"
               : context_reason_name(kind);
}

/* What the platform did to the cell, if it did something. */
static int
judge(struct play *play, const struct context_outcome *outcome)
{
    const struct context_reason *reason = &outcome->reason;
    uint64_t total = outcome->out.total_bytes + outcome->err.total_bytes;
    uint64_t kept = outcome->out.kept_bytes + outcome->err.kept_bytes;
    char text[160];

    if (outcome->end != CONTEXT_END_REPLY || reason->kind != CONTEXT_REASON_NONE) {
        bool said = reason->text != NULL && reason->text[0] != '\0';

        return break_cell(
            play, reason->kind != CONTEXT_REASON_NONE ? kind_of(reason->kind) : "died",
            said ? reason->text : "the interpreter ended before it ran",
            reason->stderr_tail);
    }
    if (total == kept && !play->full)
        return 0;
    if (total != kept)
        snprintf(text, sizeof text,
                 "it printed %llu bytes, of which the limit let %llu through: "
                 "\"--limits output=...\" sets another",
                 (unsigned long long)total, (unsigned long long)kept);
    else
        snprintf(text, sizeof text, "it displayed more than %zu MiB, or %d outputs",
                 OUTPUTS_CELL_BYTES_MAX >> 20, OUTPUTS_CELL_MAX);
    return break_cell(play, "output", text, NULL);
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    struct play *play = arg;
    struct play_cell *cell = &play->cells[play->at];
    int r;

    if (number != play->number || play->ending)
        return 0;
    play->number = 0;
    cell->status = PLAY_RAN;
    cell->seconds = (double)outcome->usage.wall_us / 1e6;
    if (outcome->end == CONTEXT_END_REPLY) {
        cell->execution_count = outcome->execution_count;
        cell->raised = (outcome->reply->flags & FRAME_FLAG_ERROR) != 0;
    }
    r = judge(play, outcome);
    if (r < 0)
        return r;
    if (cell->status == PLAY_BROKEN)
        return finish(play);
    play->at++;
    return run_next(play);
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    (void)state, (void)epoch, (void)reason, (void)arg;
    return 0; /* what it means for a cell is told by on_done */
}

static int
on_stuck(uint64_t number, void *arg)
{
    (void)number, (void)arg;
    return 0; /* the time limit's ladder goes on by itself */
}

static const struct context_observer observer = {
    .on_started = on_started,
    .on_stream = on_stream,
    .on_frame = on_frame,
    .on_done = on_done,
    .on_state = on_state,
    .on_stuck = on_stuck,
};
