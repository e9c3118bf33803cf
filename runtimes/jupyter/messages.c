/* SPDX-License-Identifier: MIT */
/* From the kernel to the server. What cannot be what it says it is, is left out. */
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "runtimes/jupyter/bridge.h"
#include "runtimes/jupyter/link.h"
#include "runtimes/jupyter/translate.h"

#define QUESTION_BYTES_MAX ((size_t)1024 * 1024)

/* A message, and the request that it belongs to. */
struct event {
    const struct message *message;
    uint64_t number; /* 0: nobody's */
    bool is_current;
    enum frame_type frame; /* of published ones: what it becomes */
};

typedef int event_fn(struct bridge *bridge, const struct event *event, struct error *err);

static event_fn on_status, on_begin, on_stream, on_bundle, on_result, on_error, on_clear,
    on_comm;

/* What kernels publish; anything else is none of our business. */
static const struct handler {
    const char *type;
    enum frame_type frame;
    event_fn *fn;
} handlers[] = {
    { "status", 0, on_status },
    { "execute_input", 0, on_begin },
    { "stream", FRAME_STREAM, on_stream },
    { "display_data", FRAME_DISPLAY_DATA, on_bundle },
    { "update_display_data", FRAME_UPDATE_DISPLAY_DATA, on_bundle },
    { "execute_result", FRAME_EXECUTE_RESULT, on_result },
    { "pyout", FRAME_EXECUTE_RESULT, on_result },
    { "error", FRAME_ERROR, on_error },
    { "clear_output", FRAME_CLEAR_OUTPUT, on_clear },
    { "comm_open", FRAME_COMM_OPEN, on_comm },
    { "comm_msg", FRAME_COMM_MSG, on_comm },
    { "comm_close", FRAME_COMM_CLOSE, on_comm },
};

static const struct handler *
find_handler(const char *type)
{
    for (size_t i = 0; i < N_ELEMENTS(handlers); i++) {
        if (strcmp(handlers[i].type, type) == 0)
            return &handlers[i];
    }
    return NULL;
}

/* User code runs soon: an interrupt that came earlier would hit the kernel itself, which
 * may forget it or die of it. */
static void
note_begin(struct bridge *bridge)
{
    if (!bridge->request.begun)
        bridge->request.begin_ms = kernel_clock_ms() + BRIDGE_BEGIN_MS;
}

static int
on_status(struct bridge *bridge, const struct event *event, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    char state[16] = "";

    (void)json_member_string(event->message->wire.content, "execution_state", state,
                             sizeof state);
    if (!event->is_current)
        return 0;
    if (strcmp(state, "busy") == 0 && !request->busy) {
        request->busy = true;
        request->settle_ms = 0;
        note_begin(bridge);
    } else if (strcmp(state, "idle") == 0) {
        request->idle = true;
        return bridge_finish_if_whole(bridge, err);
    }
    return 0;
}

static int
on_begin(struct bridge *bridge, const struct event *event, struct error *err)
{
    (void)err;
    if (event->is_current)
        note_begin(bridge);
    return 0;
}

static int
on_stream(struct bridge *bridge, const struct event *event, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    struct error why = { 0 };
    bool is_stderr = false;
    int r;

    buffer_init(&text, TRANSLATE_BYTES_MAX);
    r = translate_stream(&text, event->message->wire.content, &is_stderr, &why);
    if (r != 0)
        return r < 0 ? r : bridge_on_drop(bridge, why.text, err);
    return bridge_send_text(bridge, event->number, is_stderr, buffer_slice(&text), err);
}

/* Sends CONTENT with the metadata and the buffers of the message. */
static int
forward(struct bridge *bridge, const struct event *event, enum frame_type type,
        struct slice content, struct error *err)
{
    const struct wire *wire = &event->message->wire;
    struct frame frame = { .type = type,
                           .number = event->number,
                           .metadata = wire->metadata,
                           .content = content };

    if (type != FRAME_ERROR && type != FRAME_CLEAR_OUTPUT &&
        type != FRAME_EXECUTE_RESULT) {
        frame.buffers = wire->buffers;
        frame.buffer_count = (uint32_t)wire->buffer_count;
    }
    return bridge_send(bridge, &frame, err);
}

static int
send_bundle(struct bridge *bridge, const struct event *event, enum frame_type type,
            uint32_t execution_count, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content;
    struct error why = { 0 };
    int r;

    buffer_init(&content, TRANSLATE_BYTES_MAX);
    r = translate_bundle(&content, event->message->wire.content, execution_count, &why);
    if (r != 0)
        return r < 0 ? r : bridge_on_drop(bridge, why.text, err);
    return forward(bridge, event, type, buffer_slice(&content), err);
}

static int
on_bundle(struct bridge *bridge, const struct event *event, struct error *err)
{
    return send_bundle(bridge, event, event->frame, 0, err);
}

/* The result of a run that has ended is shown, but is no result any more. */
static int
on_result(struct bridge *bridge, const struct event *event, struct error *err)
{
    const struct bridge_request *request = &bridge->request;

    if (!event->is_current || request->type != FRAME_EXECUTE_REQUEST)
        return send_bundle(bridge, event, FRAME_DISPLAY_DATA, 0, err);
    return send_bundle(bridge, event, FRAME_EXECUTE_RESULT, request->execution_count,
                       err);
}

static int
on_error(struct bridge *bridge, const struct event *event, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    bool is_text = !event->is_current || request->error_told;
    CLEANUP(buffer_fini) struct buffer content;
    struct slice from = event->message->wire.content;
    int r;

    buffer_init(&content, TRANSLATE_BYTES_MAX);
    r = is_text ? translate_traceback(&content, from, NULL)
                : translate_error(&content, from, request->was_interrupted, NULL);
    if (r != 0)
        return r < 0 ? r : bridge_on_drop(bridge, "an error that is too large", err);
    if (is_text)
        return bridge_send_text(bridge, event->number, true, buffer_slice(&content), err);
    request->error_told = true;
    return forward(bridge, event, FRAME_ERROR, buffer_slice(&content), err);
}

static int
on_clear(struct bridge *bridge, const struct event *event, struct error *err)
{
    bool wait = false;

    (void)json_member_bool(event->message->wire.content, "wait", &wait);
    return forward(bridge, event, FRAME_CLEAR_OUTPUT,
                   slice_text(wait ? "{\"wait\":true}" : "{\"wait\":false}"), err);
}

static int
on_comm(struct bridge *bridge, const struct event *event, struct error *err)
{
    return forward(bridge, event, event->frame, event->message->wire.content, err);
}

static int
on_published(struct bridge *bridge, struct event *event, struct error *err)
{
    const struct handler *handler = find_handler(event->message->type);
    struct bridge_request *request = &bridge->request;
    int64_t now = kernel_clock_ms();

    if (request->ask_ms != 0)
        request->ask_ms = now + BRIDGE_INPUT_MS;
    if (request->answered && event->is_current)
        request->settle_ms = now + BRIDGE_SETTLE_MS;
    if (handler == NULL)
        return 0;
    event->frame = handler->frame;
    return handler->fn(bridge, event, err);
}

static int
on_answer(struct bridge *bridge, const struct event *event, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    const struct message *message = event->message;
    struct slice content = message->wire.content;
    size_t length = strlen(message->type);

    if (!event->is_current || request->answered || length < 6 ||
        strcmp(message->type + length - 6, "_reply") != 0)
        return 0;
    if (buffer_append(&request->reply, content.data, content.length) < 0)
        return -ENOMEM;
    request->answered = true;
    return bridge_finish_if_whole(bridge, err);
}

/* Nobody can be asked, or something is being asked already: then it gets no line. */
static int
refuse_question(struct bridge *bridge, const struct message *message, struct error *err)
{
    const struct link_wish wish = { .type = "input_reply",
                                    .parent_header = message->wire.header,
                                    .content = slice_text("{\"value\":\"\"}") };
    int r = link_send(bridge->kernel.link, PROCESS_STDIN, &wish, err);

    return r < 0 ? r : 0;
}

static int
on_question(struct bridge *bridge, const struct event *event, struct error *err)
{
    struct bridge_request *request = &bridge->request;
    const struct wire *wire = &event->message->wire;
    int r;

    if (strcmp(event->message->type, "input_request") != 0)
        return 0;
    if (!event->is_current || request->type != FRAME_EXECUTE_REQUEST ||
        !request->allow_stdin || request->input_is_open || request->ask_ms != 0 ||
        wire->content.length > QUESTION_BYTES_MAX / 2)
        return refuse_question(bridge, event->message, err);
    buffer_clear(&request->input, 0);
    buffer_clear(&request->input_header, 0);
    r = translate_input(&request->input, wire->content, err);
    if (r == 0)
        r = buffer_append(&request->input_header, wire->header.data, wire->header.length);
    if (r != 0)
        return r < 0 ? r : 0;
    request->ask_ms = kernel_clock_ms() + BRIDGE_INPUT_MS;
    return 0;
}

int
bridge_on_message(struct bridge *bridge, int channel, const struct message *message,
                  struct error *err)
{
    uint64_t number = link_number(bridge->kernel.link, message->parent_id);
    struct event event = { .message = message };

    event.number = number <= bridge->last_number ? number : 0;
    event.is_current = bridge->request.type != 0 && event.number != 0 &&
                       event.number == bridge->request.number;
    switch (channel) {
    case PROCESS_IOPUB:
        return on_published(bridge, &event, err);
    case PROCESS_SHELL:
        return on_answer(bridge, &event, err);
    case PROCESS_STDIN:
        return on_question(bridge, &event, err);
    default:
        return 0; /* answers to interrupts */
    }
}
