/* SPDX-License-Identifier: MIT */
/* From the server to the kernel: requests, answers to questions, interrupts. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "runtimes/jupyter/bridge.h"
#include "runtimes/jupyter/kernel_json.h"
#include "runtimes/jupyter/link.h"
#include "runtimes/jupyter/process.h"
#include "runtimes/jupyter/translate.h"
#include "runtimes/lib/runner.h"

#define KEEP_BYTES ((size_t)256 * 1024)

static const char left_out[] = "[cellwall: a message of the kernel was left out: ";

static bool
server_reads(const struct bridge *bridge)
{
    struct pollfd outs[] = { { .fd = runner_fd(bridge->runner), .events = POLLOUT },
                             { .fd = STDOUT_FILENO, .events = POLLOUT },
                             { .fd = STDERR_FILENO, .events = POLLOUT } };

    if (poll(outs, N_ELEMENTS(outs), 0) < 0)
        return true;
    for (size_t i = 0; i < N_ELEMENTS(outs); i++) {
        if (outs[i].revents == 0)
            return false;
    }
    return true;
}

int
bridge_send(struct bridge *bridge, struct frame *frame, struct error *err)
{
    struct error why = { 0 };
    bool stop = !server_reads(bridge);
    int r;

    /* A PUB socket loses what is not taken; a kernel that stands still sends nothing. */
    if (stop)
        process_signal(bridge->kernel.process, SIGSTOP);
    r = runner_send(bridge->runner, frame, &why);
    if (stop)
        process_signal(bridge->kernel.process, SIGCONT);
    if (r > 0)
        return bridge_on_drop(bridge, why.text, err);
    return r < 0 ? error_set(err, r, "%s", why.text) : 0;
}

int
bridge_send_text(struct bridge *bridge, uint64_t number, bool is_stderr,
                 struct slice text, struct error *err)
{
    struct frame frame = { .type = FRAME_STREAM,
                           .flags = is_stderr ? FRAME_FLAG_STDERR : 0,
                           .number = number,
                           .buffers = &text,
                           .buffer_count = 1 };

    return text.length == 0 ? 0 : bridge_send(bridge, &frame, err);
}

int
bridge_on_drop(struct bridge *bridge, const char *why, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;

    buffer_init(&text, 2 * (size_t)ERROR_TEXT_BYTES);
    if (bridge->request.drop_told)
        return 0;
    bridge->request.drop_told = true;
    if (buffer_append_format(&text, "%s%s]\n", left_out, why) != 0)
        return 0;
    return bridge_send_text(bridge, bridge->request.number, true, buffer_slice(&text),
                            err);
}

static int
deliver_interrupt(struct bridge *bridge, struct error *err)
{
    const struct link_wish wish = { .type = "interrupt_request" };
    struct bridge_request *request = &bridge->request;
    int r = 0;

    request->wants_interrupt = false;
    request->was_interrupted = true;
    if (bridge->spec->interrupt_by_message)
        r = link_send(bridge->kernel.link, PROCESS_CONTROL, &wish, err);
    else
        process_signal(bridge->kernel.process, SIGINT);
    return r < 0 ? r : 0;
}

int
bridge_on_interrupt(struct bridge *bridge, struct error *err)
{
    struct bridge_request *request = &bridge->request;

    if (request->type == 0)
        bridge->interrupt_waits = true;
    else if (request->type != FRAME_PING)
        request->wants_interrupt = true;
    return request->wants_interrupt && request->begun ? deliver_interrupt(bridge, err)
                                                      : 0;
}

/* Sends an execute request's error, once. */
static int
tell_error(struct bridge *bridge, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    CLEANUP(buffer_fini) struct buffer content;
    struct frame frame = { .type = FRAME_ERROR, .number = request->number };
    int r;

    buffer_init(&content, TRANSLATE_BYTES_MAX);
    if (request->error_told)
        return 0;
    request->error_told = true;
    r = translate_error(&content, buffer_slice(&request->reply), request->was_interrupted,
                        err);
    if (r != 0)
        return r < 0 ? r : 0;
    frame.content = buffer_slice(&content);
    return bridge_send(bridge, &frame, err);
}

static void
forget_request(struct bridge *bridge)
{
    struct bridge_request *request = &bridge->request;

    buffer_clear(&request->reply, KEEP_BYTES);
    buffer_clear(&request->input, 0);
    buffer_clear(&request->input_header, 0);
    *request = (struct bridge_request){ .reply = request->reply,
                                        .input = request->input,
                                        .input_header = request->input_header };
}

/* Puts the members of an error into a reply that says only that it is one. */
static int
make_reply(struct bridge *bridge, struct buffer *ret, bool *ret_ok, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    struct slice content = buffer_slice(&request->reply), value;
    CLEANUP(buffer_fini) struct buffer whole;
    int r;

    buffer_init(&whole, TRANSLATE_BYTES_MAX);
    r = translate_reply(ret, request->type, content, request->execution_count, ret_ok,
                        err);
    if (r != 0 || *ret_ok || request->type != FRAME_EXECUTE_REQUEST ||
        json_member(buffer_slice(ret), "ename", &value) == 0)
        return r;
    r = translate_error(&whole, content, request->was_interrupted, err);
    if (r == 0 && whole.length > 0) {
        whole.data[whole.length - 1] = ','; /* one object out of two */
        r = buffer_append(&whole, ret->data + 1, ret->length - 1);
    }
    if (r == 0) {
        buffer_clear(ret, 0);
        r = buffer_append(ret, whole.data, whole.length);
    }
    return r;
}

int
bridge_finish(struct bridge *bridge, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    CLEANUP(buffer_fini) struct buffer content;
    struct frame frame = { .type = FRAME_REPLY, .number = request->number };
    bool ok = true;
    int r;

    buffer_init(&content, TRANSLATE_BYTES_MAX);
    r = request->answered ? make_reply(bridge, &content, &ok, err) : TRANSLATE_E_UNFIT;
    if (r > 0) { /* it never came, or is larger than it may be */
        const char *instead = translate_answer_of_none(request->type);

        buffer_clear(&request->reply, 0);
        buffer_clear(&content, 0);
        r = buffer_append_text(&request->reply, instead);
        if (r == 0)
            r = make_reply(bridge, &content, &ok, err);
    }
    if (r == 0 && request->type == FRAME_EXECUTE_REQUEST && !ok)
        r = tell_error(bridge, err);
    if (r != 0)
        return r;
    frame.flags =
        (uint16_t)((ok ? 0 : FRAME_FLAG_ERROR) |
                   (!ok && request->was_interrupted ? FRAME_FLAG_INTERRUPTED : 0));
    frame.content = buffer_slice(&content);
    r = bridge_send(bridge, &frame, err);
    forget_request(bridge);
    runner_restore_output(bridge->runner);
    return r;
}

static bool
is_comm(enum frame_type type)
{
    return type == FRAME_COMM_OPEN || type == FRAME_COMM_MSG || type == FRAME_COMM_CLOSE;
}

int
bridge_finish_if_whole(struct bridge *bridge, struct error *err)
{
    struct bridge_request *request = &bridge->request;

    if (request->type == 0)
        return 0;
    if (request->idle && (request->answered || is_comm(request->type)))
        return bridge_finish(bridge, err);
    request->settle_ms =
        request->idle || request->answered ? kernel_clock_ms() + BRIDGE_SETTLE_MS : 0;
    return 0;
}

static int
send_request(struct bridge *bridge, const struct frame *frame, struct slice content,
             struct error *err)
{
    char id[LINK_ID_BYTES];
    struct link_wish wish = { .type = frame_type_name(frame->type),
                              .id = id,
                              .metadata = frame->metadata,
                              .content = content,
                              .buffers = frame->buffers,
                              .buffer_count = frame->buffer_count };

    link_make_id(bridge->kernel.link, frame->number, id);
    if (frame->type == FRAME_PING)
        wish.type = "kernel_info_request";
    return link_send(bridge->kernel.link, PROCESS_SHELL, &wish, err);
}

static int
on_request(struct bridge *bridge, const struct frame *frame, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    CLEANUP(buffer_fini) struct buffer content;
    struct error why = { 0 };
    int r = 0;

    if (request->type != 0)
        return error_set(err, -EPROTO, "two requests at a time");
    request->type = frame->type;
    request->number = bridge->last_number = frame->number;
    request->execution_count = frame->execution_count;
    request->wants_interrupt = frame->type != FRAME_PING && bridge->interrupt_waits;
    bridge->interrupt_waits = false;
    (void)json_member_bool(frame->content, "allow_stdin", &request->allow_stdin);
    buffer_init(&content, TRANSLATE_BYTES_MAX);
    if (frame->type != FRAME_PING)
        r = translate_request(&content, frame->type, frame->content, &why);
    if (r == 0)
        r = send_request(bridge, frame, buffer_slice(&content), &why);
    if (r < 0)
        return error_set(err, r, "%s", why.text);
    if (r > 0) { /* it is not on its way: there will be no answer */
        r = bridge_on_drop(bridge, why.text, err);
        return r != 0 ? r : bridge_finish(bridge, err);
    }
    if (frame->type != FRAME_EXECUTE_REQUEST && frame->type != FRAME_PING)
        request->settle_ms = kernel_clock_ms() + BRIDGE_TAKE_MS;
    return 0;
}

static int
on_input_reply(struct bridge *bridge, const struct frame *frame, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    struct link_wish wish = { .type = "input_reply",
                              .parent_header = buffer_slice(&request->input_header),
                              .content = frame->content };
    int r;

    if (!request->input_is_open || frame->number != request->number)
        return 0; /* its question was interrupted */
    request->input_is_open = false;
    r = link_send(bridge->kernel.link, PROCESS_STDIN, &wish, err);
    buffer_clear(&request->input_header, 0);
    return r < 0 ? r : 0;
}

int
bridge_on_frame(struct bridge *bridge, const struct frame *frame, struct error *err)
{
    switch (frame->type) {
    case FRAME_INPUT_REPLY:
        return on_input_reply(bridge, frame, err);
    case FRAME_SHUTDOWN:
        bridge->ended = true;
        return 0;
    default:
        return on_request(bridge, frame, err);
    }
}

static int
ask_now(struct bridge *bridge, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    struct frame frame = { .type = FRAME_INPUT_REQUEST,
                           .number = request->number,
                           .content = buffer_slice(&request->input) };
    int r;

    request->ask_ms = 0;
    request->input_is_open = true;
    r = bridge_send(bridge, &frame, err);
    buffer_clear(&request->input, 0);
    return r;
}

int
bridge_on_time(struct bridge *bridge, int64_t *ret_ms, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    int64_t now = kernel_clock_ms(), next = INT64_MAX;
    int64_t *const due[] = { &request->ask_ms, &request->begin_ms, &request->settle_ms };
    int r = 0;

    if (request->ask_ms != 0 && now >= request->ask_ms)
        r = ask_now(bridge, err);
    if (r == 0 && request->begin_ms != 0 && now >= request->begin_ms) {
        request->begin_ms = 0;
        request->begun = true;
    }
    if (r == 0 && request->wants_interrupt && request->begun)
        r = deliver_interrupt(bridge, err);
    if (r == 0 && request->settle_ms != 0 && now >= request->settle_ms)
        r = bridge_finish(bridge, err);
    for (size_t i = 0; i < N_ELEMENTS(due); i++)
        if (*due[i] != 0 && *due[i] < next)
            next = *due[i];
    *ret_ms = next == INT64_MAX ? -1 : next > now ? next - now : 0;
    return r;
}
