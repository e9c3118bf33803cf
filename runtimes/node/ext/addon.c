/* SPDX-License-Identifier: MIT */
/*
 * The module that the JavaScript part of the runner loads. It turns values into frames
 * and back; what it throws are the runner's own mistakes and what user code made too
 * large. All functions are for the main thread.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/frame.h"
#include "runtimes/node/ext/engine.h"
#include "runtimes/node/ext/link.h"
#include "runtimes/node/ext/loop.h"
#include "runtimes/node/ext/napi.h"

#define ARGUMENTS_MAX 5
#define CONFIGURE_BYTES_MAX ((size_t)64 * 1024)
#define HEAP_STEP_BYTES ((size_t)32 * 1024 * 1024) /* to unwind in, once it is full */

static struct {
    struct link *link;
    napi_threadsafe_function post;
    double heap_bytes_max;
} addon;

struct arguments {
    size_t count;
    napi_value values[ARGUMENTS_MAX];
};

static struct arguments
arguments_of(napi_env env, napi_callback_info info)
{
    struct arguments arguments = { .count = ARGUMENTS_MAX };

    napi_get_cb_info(env, info, &arguments.count, arguments.values, NULL, NULL);
    return arguments;
}

static double
to_number(napi_env env, napi_value value)
{
    double number = 0;

    napi_get_value_double(env, value, &number);
    return number;
}

static napi_value
from_bool(napi_env env, bool value)
{
    napi_value ret = NULL;

    napi_get_boolean(env, value, &ret);
    return ret;
}

static napi_value
from_number(napi_env env, double value)
{
    napi_value ret = NULL;

    napi_create_double(env, value, &ret);
    return ret;
}

static napi_value
from_text(napi_env env, const char *text, size_t length)
{
    napi_value ret = NULL;

    napi_create_string_utf8(env, text, length, &ret);
    return ret;
}

/* The UTF-8 of a string; *OWNED is to be freed. Empty for what is no string. */
static struct slice
to_text(napi_env env, napi_value value, char **owned)
{
    size_t length = 0;

    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != NAPI_OK)
        return (struct slice){ NULL, 0 };
    *owned = malloc(length + 1);
    if (*owned == NULL)
        abort(); /* as V8 does */
    napi_get_value_string_utf8(env, value, *owned, length + 1, &length);
    return (struct slice){ (const uint8_t *)*owned, length };
}

/* Answers the result of sending. Without a server there is nobody left to tell. */
static napi_value
check(napi_env env, int r, const struct error *err)
{
    if (r > 0)
        napi_throw_error(env, "ERR_CELLWALL_FRAME", err->text);
    else if (r < 0)
        _exit(0);
    return NULL;
}

/* connect() -> the content of the configure frame */
static napi_value
addon_connect(napi_env env, napi_callback_info info)
{
    CLEANUP(buffer_fini) struct buffer configure;
    struct error err = { 0 };
    int r;

    (void)info;
    buffer_init(&configure, CONFIGURE_BYTES_MAX);
    r = engine_find(&err);
    if (r == 0)
        r = link_create(&addon.link, &configure, &err);
    if (r != 0) {
        napi_throw_error(env, NULL, err.text);
        return NULL;
    }
    return from_text(env, (const char *)configure.data, configure.length);
}

static void
post(struct link_event *event, void *arg)
{
    (void)arg;
    if (napi_call_threadsafe_function(addon.post, event, NAPI_TSFN_NONBLOCKING) !=
        NAPI_OK)
        free(event); /* the program is ending */
}

/* Calls `listener(kind, ...)`: a request with its fields, a stop with its reason. Node
 * drains its queues after each call. */
static void
on_event(napi_env env, napi_value listener, void *context, void *data)
{
    CLEANUP(freep) struct link_event *event = data;
    napi_value arguments[7], this_value, ignored;
    const char *text = event->texts;
    enum link_stop stop = LINK_STOP_NONE;

    (void)context;
    if (env == NULL)
        return; /* the program is ending */
    if (event->kind == LINK_REQUEST)
        link_begin(addon.link);
    if (event->kind == LINK_CLOSED)
        engine_cancel(); /* what was to be stopped has been */
    if (event->kind == LINK_STOPPED) {
        stop = link_stopped(addon.link, event);
        if (stop == LINK_STOP_NONE)
            return;
    }
    if (event->kind == LINK_DRAINED && !link_drained(addon.link, event))
        return;
    arguments[0] = from_number(env, event->kind);
    arguments[1] = from_number(env, event->kind == LINK_REQUEST ? (double)event->type
                                                                : (double)stop);
    arguments[2] = from_number(env, (double)event->number);
    arguments[3] = from_number(env, event->execution_count);
    arguments[4] = from_text(env, text, event->header_bytes);
    text += event->header_bytes;
    arguments[5] = from_text(env, text, event->metadata_bytes);
    text += event->metadata_bytes;
    arguments[6] = from_text(env, text, event->content_bytes);
    napi_get_undefined(env, &this_value);
    if (napi_call_function(env, this_value, listener, 7, arguments, &ignored) != NAPI_OK)
        napi_get_and_clear_last_exception(env, &ignored);
}

/* Immediates and timers are those of all requests. */
static void
on_turn(bool is_timers)
{
    (void)engine_shelter(is_timers);
}

/* start(listener): from now on requests come. */
static napi_value
addon_start(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    struct error err = { 0 };

    if (napi_create_threadsafe_function(env, arguments.values[0], NULL,
                                        from_text(env, "cellwall", 8), 0, 1, NULL, NULL,
                                        NULL, on_event, &addon.post) != NAPI_OK ||
        loop_watch(env, on_turn, &err) != 0 ||
        link_start(addon.link, post, NULL, &err) != 0)
        napi_throw_error(env, NULL, err.text);
    return NULL;
}

/* send(type, number, flags, content, metadata) */
static napi_value
addon_send(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    CLEANUP(freep) char *content = NULL;
    CLEANUP(freep) char *metadata = NULL;
    struct error err = { 0 };
    struct frame frame = {
        .type = (enum frame_type)to_number(env, arguments.values[0]),
        .number = (uint64_t)to_number(env, arguments.values[1]),
        .flags = (uint16_t)to_number(env, arguments.values[2]),
        .content = to_text(env, arguments.values[3], &content),
        .metadata = to_text(env, arguments.values[4], &metadata),
    };

    return check(env, link_send(addon.link, &frame, &err), &err);
}

/* stream(number, isStderr, text or buffer) */
static napi_value
addon_stream(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    CLEANUP(freep) char *owned = NULL;
    struct error err = { 0 };
    struct slice text = { NULL, 0 };
    struct frame frame = { .type = FRAME_STREAM,
                           .number = (uint64_t)to_number(env, arguments.values[0]),
                           .buffer_count = 1,
                           .buffers = &text };
    bool is_stderr = false, is_buffer = false;
    void *data = NULL;

    napi_get_value_bool(env, arguments.values[1], &is_stderr);
    napi_is_buffer(env, arguments.values[2], &is_buffer);
    if (is_buffer) {
        napi_get_buffer_info(env, arguments.values[2], &data, &text.length);
        text.data = data;
    } else {
        text = to_text(env, arguments.values[2], &owned);
    }
    if (text.length == 0)
        return NULL;
    frame.flags = is_stderr ? FRAME_FLAG_STDERR : 0;
    return check(env, link_send(addon.link, &frame, &err), &err);
}

/* enter() -> whether user code may run */
static napi_value
addon_enter(napi_env env, napi_callback_info info)
{
    (void)info;
    return from_bool(env, link_enter(addon.link));
}

/* leave() -> why user code was stopped */
static napi_value
addon_leave(napi_env env, napi_callback_info info)
{
    (void)info;
    return from_number(env, link_leave(addon.link));
}

/* drain(): what stopped code has left runs as soon as its caller has returned */
static napi_value
addon_drain(napi_env env, napi_callback_info info)
{
    (void)env, (void)info;
    link_drain(addon.link);
    return NULL;
}

/* shelter(whether) -> whether it was so before */
static napi_value
addon_shelter(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    bool is_sheltered = false;

    napi_get_value_bool(env, arguments.values[0], &is_sheltered);
    return from_bool(env, engine_shelter(is_sheltered));
}

/* obey(whether a stop is coming) -> false if what called it was not stopped; else it is
 * unwound */
static napi_value
addon_obey(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    bool is_coming = false;

    napi_get_value_bool(env, arguments.values[0], &is_coming);
    return from_bool(env, link_obey(addon.link, is_coming));
}

/* stop(why) -> false if no user code was entered; else what called it is unwound */
static napi_value
addon_stop(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    enum link_stop why = (enum link_stop)to_number(env, arguments.values[0]);

    return from_bool(env, link_stop(addon.link, why));
}

/* ask(number, content) -> the content of the answer; undefined: there is none */
static napi_value
addon_ask(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    CLEANUP(freep) char *content = NULL;
    CLEANUP(freep) char *answer = NULL;
    struct error err = { 0 };
    size_t length = 0;
    int r;

    r = link_ask(addon.link, (uint64_t)to_number(env, arguments.values[0]),
                 to_text(env, arguments.values[1], &content), &answer, &length, &err);
    if (r != 0)
        return check(env, r, &err);
    return answer == NULL ? NULL : from_text(env, answer, length);
}

/* restore(): undoes what user code did to signals and to fds 1 and 2 */
static napi_value
addon_restore(napi_env env, napi_callback_info info)
{
    (void)env, (void)info;
    link_restore(addon.link);
    return NULL;
}

/* A heap that is full may grow up to the maximum. Beyond that, what runs is stopped, and
 * gets the little more that unwinding takes. */
static size_t
on_full_heap(void *arg, size_t limit, size_t initial)
{
    (void)arg, (void)initial;
    if ((double)limit + HEAP_STEP_BYTES <= addon.heap_bytes_max)
        return (size_t)fmin(addon.heap_bytes_max, (double)limit * 2);
    link_stop(addon.link, LINK_STOP_HEAP);
    return limit + HEAP_STEP_BYTES;
}

/* keepContext(depths, at, ids): Node's numbers of the asynchronous context */
static napi_value
addon_keep_context(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);
    void *depths = NULL, *ids = NULL;
    size_t depth_count = 0, id_count = 0;
    double at = to_number(env, arguments.values[1]);

    napi_get_typedarray_info(env, arguments.values[0], NULL, &depth_count, &depths, NULL,
                             NULL);
    napi_get_typedarray_info(env, arguments.values[2], NULL, &id_count, &ids, NULL, NULL);
    if (at < 0 || at >= (double)depth_count || id_count < 2)
        napi_throw_error(env, NULL,
                         "this Node keeps its asynchronous contexts elsewhere");
    else
        engine_keep_context((uint32_t *)depths + (size_t)at, ids);
    return NULL;
}

/* watchHeap(bytes): what the heap may grow to */
static napi_value
addon_watch_heap(napi_env env, napi_callback_info info)
{
    struct arguments arguments = arguments_of(env, info);

    addon.heap_bytes_max = to_number(env, arguments.values[0]);
    engine_watch_heap(on_full_heap, NULL);
    return NULL;
}

static const struct function {
    const char *name;
    napi_callback *function;
} functions[] = {
    { "connect", addon_connect },
    { "start", addon_start },
    { "send", addon_send },
    { "stream", addon_stream },
    { "enter", addon_enter },
    { "leave", addon_leave },
    { "drain", addon_drain },
    { "shelter", addon_shelter },
    { "obey", addon_obey },
    { "stop", addon_stop },
    { "ask", addon_ask },
    { "restore", addon_restore },
    { "watchHeap", addon_watch_heap },
    { "keepContext", addon_keep_context },
};

static const struct constant {
    const char *name;
    unsigned value;
} constants[] = {
    { "FRAME_VERSION", FRAME_VERSION },
    { "EXECUTE_REQUEST", FRAME_EXECUTE_REQUEST },
    { "COMPLETE_REQUEST", FRAME_COMPLETE_REQUEST },
    { "INSPECT_REQUEST", FRAME_INSPECT_REQUEST },
    { "IS_COMPLETE_REQUEST", FRAME_IS_COMPLETE_REQUEST },
    { "PING", FRAME_PING },
    { "COMM_OPEN", FRAME_COMM_OPEN },
    { "COMM_MSG", FRAME_COMM_MSG },
    { "COMM_CLOSE", FRAME_COMM_CLOSE },
    { "HELLO", FRAME_HELLO },
    { "REPLY", FRAME_REPLY },
    { "DISPLAY_DATA", FRAME_DISPLAY_DATA },
    { "UPDATE_DISPLAY_DATA", FRAME_UPDATE_DISPLAY_DATA },
    { "EXECUTE_RESULT", FRAME_EXECUTE_RESULT },
    { "ERROR", FRAME_ERROR },
    { "CLEAR_OUTPUT", FRAME_CLEAR_OUTPUT },
    { "FLAG_ERROR", FRAME_FLAG_ERROR },
    { "FLAG_INTERRUPTED", FRAME_FLAG_INTERRUPTED },
    { "REQUEST", LINK_REQUEST },
    { "STOPPED", LINK_STOPPED },
    { "DRAINED", LINK_DRAINED },
    { "CLOSED", LINK_CLOSED },
    { "STOP_NONE", LINK_STOP_NONE },
    { "STOP_INTERRUPT", LINK_STOP_INTERRUPT },
    { "STOP_EXIT", LINK_STOP_EXIT },
    { "STOP_HEAP", LINK_STOP_HEAP },
};

/* Node calls this when the module is loaded. */
__attribute__((visibility("default"))) napi_value
napi_register_module_v1(napi_env env, napi_value exports);

napi_value
napi_register_module_v1(napi_env env, napi_value exports)
{
    for (size_t i = 0; i < N_ELEMENTS(functions); i++) {
        napi_value function = NULL;

        napi_create_function(env, functions[i].name, strlen(functions[i].name),
                             functions[i].function, NULL, &function);
        napi_set_named_property(env, exports, functions[i].name, function);
    }
    for (size_t i = 0; i < N_ELEMENTS(constants); i++)
        napi_set_named_property(env, exports, constants[i].name,
                                from_number(env, constants[i].value));
    napi_set_named_property(env, exports, "VERSION",
                            from_text(env, CELLWALL_VERSION, strlen(CELLWALL_VERSION)));
    return exports;
}
