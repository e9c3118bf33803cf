/* SPDX-License-Identifier: MIT */
/* From a message to its handler. Here alone handles become pointers: a request reaches
 * only what its owner has. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/fields.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/tree.h"

#define FIELDS_MAX 16
#define CODE_BYTES_MAX (INT64_C(64) << 20)
#define ENV_MAX 256
#define LABELS_MAX 32
#define PATH_BYTES_MAX 4096
#define TIMEOUT_MS_MAX INT64_C(1000000000)

/* Members that several requests have. */
#define CONTEXT .name = "context", .kind = FIELD_HANDLE
#define EXECUTION .name = "execution", .kind = FIELD_NAME, .max = AGENT_ID_BYTES
#define CODE .name = "code", .kind = FIELD_TEXT, .required = true, .max = CODE_BYTES_MAX
#define ENV .name = "env", .kind = FIELD_STRINGS, .max = ENV_MAX
#define LABELS .name = "labels", .kind = FIELD_STRINGS, .max = LABELS_MAX
#define NAME(what) .name = what, .kind = FIELD_NAME, .min = 1, .max = AGENT_NAME_BYTES - 1
#define FLAG(what) { .name = what, .kind = FIELD_BOOL }
#define FILE_PATH                                                                        \
    .name = "path", .kind = FIELD_NAME, .required = true, .min = 1, .max = PATH_BYTES_MAX
#define CURSOR .name = "cursor_pos", .kind = FIELD_INTEGER, .max = INT32_MAX
#define BYTES(what) .name = what, .kind = FIELD_INTEGER, .max = INT64_MAX / 2

enum need { NEEDS_NOTHING, NEEDS_CONTEXT, NEEDS_RUN };

static const struct request_row {
    const char *type;
    const char *reply; /* NULL: it is the one message that has none */
    request_fn *fn;
    enum need need;
    struct field fields[FIELDS_MAX];
} rows[] = {
    { "server_info_request",
      "server_info_reply",
      request_server_info,
      NEEDS_NOTHING,
      { { 0 } } },
    { "create_context_request",
      "create_context_reply",
      request_create_context,
      NEEDS_NOTHING,
      { { NAME("language") },
        { NAME("runtime") },
        { NAME("name") },
        { .name = "if_exists", .kind = FIELD_CHOICE, .choices = "error|use" },
        { .name = "cwd", .kind = FIELD_NAME, .min = 1, .max = PATH_BYTES_MAX },
        { ENV },
        { .name = "limits", .kind = FIELD_OBJECT },
        { .name = "network", .kind = FIELD_CHOICE, .choices = "none|host" },
        { LABELS },
        { .name = "idle_timeout_s", .kind = FIELD_NUMBER, .max = INT32_MAX },
        { NAME("workspace") },
        FLAG("jupyter") } },
    { "list_contexts_request",
      "list_contexts_reply",
      request_list_contexts,
      NEEDS_NOTHING,
      { { LABELS } } },
    { "get_context_request",
      "get_context_reply",
      request_get_context,
      NEEDS_CONTEXT,
      { { CONTEXT } } },
    { "delete_context_request",
      "delete_context_reply",
      request_delete_context,
      NEEDS_CONTEXT,
      { { CONTEXT } } },
    { "restart_context_request",
      "restart_context_reply",
      request_restart_context,
      NEEDS_CONTEXT,
      { { CONTEXT } } },
    { "interrupt_context_request",
      "interrupt_context_reply",
      request_interrupt_context,
      NEEDS_CONTEXT,
      { { CONTEXT }, FLAG("force") } },
    { "run_code_request",
      "run_code_reply",
      request_run_code,
      NEEDS_NOTHING,
      { { CODE },
        { CONTEXT },
        { NAME("language") },
        { .name = "timeout_ms", .kind = FIELD_INTEGER, .max = TIMEOUT_MS_MAX },
        { .name = "on_timeout", .kind = FIELD_CHOICE, .choices = "interrupt|restart" },
        FLAG("stream"),
        FLAG("detach"),
        { .name = "on_disconnect",
          .kind = FIELD_CHOICE,
          .choices = "interrupt|continue" },
        FLAG("reject_if_busy"),
        FLAG("allow_stdin"),
        FLAG("store_history"),
        FLAG("silent"),
        FLAG("stop_on_error"),
        { ENV },
        { .name = "user_expressions", .kind = FIELD_STRINGS, .max = ENV_MAX } } },
    { "attach_request",
      "attach_reply",
      request_attach,
      NEEDS_RUN,
      { { EXECUTION }, { BYTES("after_seq") }, FLAG("stream"), FLAG("wait") } },
    { "cancel_request",
      "cancel_reply",
      request_cancel,
      NEEDS_RUN,
      { { EXECUTION }, FLAG("force") } },
    { "watch_context_request",
      "watch_context_reply",
      request_watch_context,
      NEEDS_CONTEXT,
      { { CONTEXT }, FLAG("on") } },
    { "complete_request",
      "complete_reply",
      request_complete,
      NEEDS_CONTEXT,
      { { CONTEXT }, { CODE }, { CURSOR } } },
    { "inspect_request",
      "inspect_reply",
      request_inspect,
      NEEDS_CONTEXT,
      { { CONTEXT },
        { CODE },
        { CURSOR },
        { .name = "detail_level", .kind = FIELD_INTEGER, .max = 1 } } },
    { "is_complete_request",
      "is_complete_reply",
      request_is_complete,
      NEEDS_CONTEXT,
      { { CONTEXT }, { CODE } } },
    { "input_reply",
      NULL,
      request_input_reply,
      NEEDS_RUN,
      { { EXECUTION },
        { .name = "value",
          .kind = FIELD_TEXT,
          .required = true,
          .max = CODE_BYTES_MAX } } },
    { "write_file_request",
      "write_file_reply",
      request_write_file,
      NEEDS_CONTEXT,
      { { CONTEXT },
        { FILE_PATH },
        { .name = "mode", .kind = FIELD_CHOICE, .choices = "replace|create|append|at" },
        { BYTES("offset") } } },
    { "read_file_request",
      "read_file_reply",
      request_read_file,
      NEEDS_CONTEXT,
      { { CONTEXT }, { FILE_PATH }, { BYTES("offset") }, { BYTES("length") } } },
    { "list_files_request",
      "list_files_reply",
      request_list_files,
      NEEDS_CONTEXT,
      { { CONTEXT },
        { .name = "path", .kind = FIELD_NAME, .max = PATH_BYTES_MAX },
        FLAG("recursive") } },
    { "remove_file_request",
      "remove_file_reply",
      request_remove_file,
      NEEDS_CONTEXT,
      { { CONTEXT }, { FILE_PATH }, FLAG("recursive") } },
    { "make_directory_request",
      "make_directory_reply",
      request_make_directory,
      NEEDS_CONTEXT,
      { { CONTEXT }, { FILE_PATH } } },
    { "open_jupyter_request",
      "open_jupyter_reply",
      request_open_jupyter,
      NEEDS_CONTEXT,
      { { CONTEXT } } },
    { "close_jupyter_request",
      "close_jupyter_reply",
      request_close_jupyter,
      NEEDS_CONTEXT,
      { { CONTEXT } } },
};

static const struct request_row *
find_row(const char *type)
{
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        if (strcmp(rows[i].type, type) == 0)
            return &rows[i];
    }
    return NULL;
}

static int
check_epoch(const struct agent_context *context, const json_t *epoch, struct refusal *no)
{
    json_int_t now = (json_int_t)context_epoch(context->context);

    if (epoch == NULL)
        return 0;
    if (!json_is_integer(epoch))
        return fields_refuse(no, "context", "must have an integer as its epoch");
    if (json_integer_value(epoch) == now)
        return 0;
    refusal_set(no, REFUSAL_STALE_CONTEXT,
                "the context's interpreter of epoch %" JSON_INTEGER_FORMAT
                " is gone; it is in epoch %" JSON_INTEGER_FORMAT " now",
                json_integer_value(epoch), now);
    return refusal_detail(no, "epoch", json_integer(now));
}

/* A handle is an id, a name, or an object with an id and an epoch. */
static int
find_context(struct call *call, struct refusal *no)
{
    const json_t *handle = json_object_get(call->message->content, "context");
    const json_t *id = json_is_object(handle) ? json_object_get(handle, "id") : handle;

    if (handle == NULL)
        return call->row->need == NEEDS_CONTEXT
                   ? fields_refuse(no, "context", "is missing")
                   : 0;
    if (!json_is_string(id))
        return fields_refuse(no, "context", "must have a string as its id");
    call->context = owner_find_context(call->owner, json_string_value(id));
    if (call->context == NULL)
        return refusal_set(no, REFUSAL_CONTEXT_NOT_FOUND,
                           "there is no context \"%.64s\" of yours",
                           json_string_value(id));
    return json_is_object(handle)
               ? check_epoch(call->context, json_object_get(handle, "epoch"), no)
               : 0;
}

static int
find_run(struct call *call, struct refusal *no)
{
    const char *id = fields_text(call->message->content, "execution", NULL);

    if (call->row->need != NEEDS_RUN)
        return 0;
    if (id == NULL)
        return fields_refuse(no, "execution", "is missing");
    call->run = owner_find_run(call->owner, id);
    if (call->run == NULL)
        return refusal_set(no, REFUSAL_EXECUTION_NOT_FOUND,
                           "there is no execution \"%.64s\" of yours", id);
    return 0;
}

static int
serve(struct agent *agent, struct call *call, struct refusal *no)
{
    struct error err = { 0 };
    uint64_t wait_ms;
    int r;

    if (!owner_may_ask(agent, call->owner, &wait_ms)) {
        refusal_set(no, REFUSAL_RATE_LIMITED, "more than %" PRId64 " requests a second",
                    agent->bounds->requests_per_second);
        return refusal_detail(no, "retry_after_ms", json_integer((json_int_t)wait_ms));
    }
    if (agent->stopping)
        return refusal_set(no, REFUSAL_SERVER_STOPPING, "the server ends");
    if (call->row == NULL)
        return refusal_set(no, REFUSAL_UNKNOWN_REQUEST, "there is no request \"%s\"",
                           call->message->type);
    r = message_check_object(call->message, &err);
    if (r > 0)
        return refusal_set(no, REFUSAL_INVALID_ARGUMENT, "%s", err.text);
    if (r == 0)
        r = fields_check(call->row->fields, call->message->content, no);
    if (r == 0)
        r = find_context(call, no);
    if (r == 0)
        r = find_run(call, no);
    return r != 0 ? r : call->row->fn(agent, call, no);
}

/* Of a request that is not known the reply has the type that its sender expects. */
static void
reply_type(const struct call *call, char ret[MESSAGE_TYPE_BYTES + 8])
{
    static const char ending[] = "_request";
    size_t length = strlen(call->message->type), end = sizeof ending - 1;

    strcpy(ret, call->message->type);
    if (length >= end && strcmp(ret + length - end, ending) == 0)
        ret[length - end] = '\0';
    strcat(ret, "_reply");
}

static int
reply(struct agent *agent, const struct call *call, struct slice content)
{
    char type[MESSAGE_TYPE_BYTES + 8];

    reply_type(call, type);
    return client_reply(agent, call->client,
                        &(struct client_message){
                            .type = call->row != NULL ? call->row->reply : type,
                            .header = call->message->wire.header,
                            .content = content,
                        });
}

static int
answer_refusal(struct agent *agent, const struct call *call, const struct refusal *no)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, AGENT_REPLY_BYTES_MAX);
    if (call->row != NULL && call->row->reply == NULL)
        return 0;
    r = refusal_append(no, &content);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return reply(agent, call, buffer_slice(&content));
}

int
call_reply(struct agent *agent, const struct call *call, struct slice content)
{
    return reply(agent, call, content);
}

int
call_reply_tree(struct agent *agent, const struct call *call, const json_t *content)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, AGENT_REPLY_BYTES_MAX);
    if (content == NULL)
        return -ENOMEM;
    r = tree_append(&text, content, JSON_COMPACT);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return reply(agent, call, buffer_slice(&text));
}

static int
serve_call(struct agent *agent, struct call *call)
{
    struct refusal no = { .details = NULL };
    int r = serve(agent, call, &no);

    if (r > 0)
        r = answer_refusal(agent, call, &no);
    refusal_fini(&no);
    return r;
}

/* Counted by kind, and told now and then. */
static void
drop(struct agent *agent, int why, const char *owner)
{
    uint64_t held;

    agent->dropped[why]++;
    if (log_allows(&agent->drop_limit, loop_now_us(agent->loop), &held))
        log_line("dropped a message of %s: %s (%llu more since the last such line)",
                 owner, wire_drop_name(why), (unsigned long long)held);
}

int
agent_serve_message(struct agent *agent, const struct door_message *from)
{
    struct message message;
    struct call call = { .message = &message };
    int r = message_init(&message, from->frames, from->count, agent->key, agent->replay,
                         NULL);

    if (r != 0) {
        if (r > 0)
            drop(agent, r, from->owner);
        return r < 0 ? r : 0;
    }
    r = client_get(&call.client, agent, from);
    if (r == 0) {
        call.owner = call.client->owner;
        call.row = find_row(message.type);
        call.reply = call.row != NULL ? call.row->reply : NULL;
        r = serve_call(agent, &call);
        client_leave(agent, call.client);
    }
    message_fini(&message);
    return r;
}
