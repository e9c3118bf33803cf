/* SPDX-License-Identifier: MIT */
#include "kernel/agent/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/text.h"
#include "protocol/tree.h"

static const struct row {
    const char *name;
    const char *suggestion;
} rows[] = {
    [REFUSAL_INVALID_ARGUMENT] = { "INVALID_ARGUMENT",
                                   "see the request's members in the protocol" },
    [REFUSAL_UNKNOWN_REQUEST] = { "UNKNOWN_REQUEST",
                                  "see the protocol's requests; the server may be older "
                                  "than the client" },
    [REFUSAL_CONTEXT_NOT_FOUND] = { "CONTEXT_NOT_FOUND",
                                    "list_contexts_request lists yours; one that was not "
                                    "used for its idle timeout is deleted" },
    [REFUSAL_STALE_CONTEXT] = { "STALE_CONTEXT",
                                "its interpreter was replaced: make the variables again, "
                                "and use the present epoch" },
    [REFUSAL_CONTEXT_DELETED] = { "CONTEXT_DELETED", "create another context" },
    [REFUSAL_EXECUTION_NOT_FOUND] = { "EXECUTION_NOT_FOUND",
                                      "ended executions are remembered for some minutes "
                                      "only" },
    [REFUSAL_LANGUAGE_NOT_FOUND] = { "LANGUAGE_NOT_FOUND",
                                     "server_info_request lists the languages; "
                                     "\"cellwall doctor\" says what is missing" },
    [REFUSAL_NAME_TAKEN] = { "NAME_TAKEN",
                             "choose another name, or say \"if_exists\": \"use\"" },
    [REFUSAL_LIMIT_TOO_HIGH] = { "LIMIT_TOO_HIGH",
                                 "ask for less, or raise the server's ceilings" },
    [REFUSAL_QUOTA_EXCEEDED] = { "QUOTA_EXCEEDED",
                                 "delete what is not needed any more, or raise the "
                                 "server's bounds" },
    [REFUSAL_QUEUE_FULL] = { "QUEUE_FULL",
                             "wait for an execution to end, or use another context" },
    [REFUSAL_CONTEXT_BUSY] = { "CONTEXT_BUSY",
                               "wait, interrupt it, or leave reject_if_busy out" },
    [REFUSAL_RATE_LIMITED] = { "RATE_LIMITED", "wait and send it again" },
    [REFUSAL_TOO_LARGE] = { "TOO_LARGE", "send or ask for less at once" },
    [REFUSAL_START_FAILED] = { "START_FAILED",
                               "\"cellwall doctor\" on the server's machine tells more" },
    [REFUSAL_CANCELLED] = { "CANCELLED", "run it again if it is still wanted" },
    [REFUSAL_ABORTED] = { "ABORTED",
                          "run it again if it does not need what came before" },
    [REFUSAL_NOT_ALLOWED] = { "NOT_ALLOWED",
                              "whoever runs the server can allow it: \"cellwall serve "
                              "--help\"" },
    [REFUSAL_NOT_WAITING] = { "NOT_WAITING", "answer only an input_request" },
    [REFUSAL_FILE_NOT_FOUND] = { "FILE_NOT_FOUND",
                                 "list_files_request lists the files there are" },
    [REFUSAL_FILE_EXISTS] = { "FILE_EXISTS", "use mode \"replace\", or another path" },
    [REFUSAL_NOT_A_FILE] = { "NOT_A_FILE",
                             "only regular files and directories can be reached, and no "
                             "links" },
    [REFUSAL_IS_A_DIRECTORY] = { "IS_A_DIRECTORY", "name a file in it" },
    [REFUSAL_NOT_EMPTY] = { "NOT_EMPTY", "say \"recursive\": true" },
    [REFUSAL_PATH_INVALID] = { "PATH_INVALID",
                               "paths are relative to the workspace, without \"..\"" },
    [REFUSAL_NO_SPACE] = { "NO_SPACE",
                           "remove files, or create a context with a higher limit of "
                           "disk_bytes or disk_files" },
    [REFUSAL_PERMISSION_DENIED] = { "PERMISSION_DENIED",
                                    "code in the context can change the mode" },
    [REFUSAL_FILES_UNAVAILABLE] = { "FILES_UNAVAILABLE",
                                    "let code in the context read and write the files" },
    [REFUSAL_SERVER_STOPPING] = { "SERVER_STOPPING", "connect again later" },
    [REFUSAL_INTERNAL_ERROR] = { "INTERNAL_ERROR", "the server's log tells more" },
};
static_assert(N_ELEMENTS(rows) == REFUSAL_END, "each code has a row");

int
refusal_set(struct refusal *ret, enum refusal_code code, const char *format, ...)
{
    va_list arguments;

    ret->code = code;
    va_start(arguments, format);
    vsnprintf(ret->message, sizeof ret->message, format, arguments);
    va_end(arguments);
    return AGENT_E_REFUSED;
}

int
refusal_detail(struct refusal *ret, const char *name, json_t *value)
{
    if (ret->details == NULL)
        ret->details = json_object();
    json_object_set_new(ret->details, name, value);
    return AGENT_E_REFUSED;
}

const char *
refusal_name(enum refusal_code code)
{
    return rows[code].name;
}

int
refusal_append(const struct refusal *refusal, struct buffer *ret)
{
    const struct row *row = &rows[refusal->code];
    int r = buffer_append_format(
        ret, "{\"status\":\"error\",\"code\":\"%s\",\"message\":", row->name);

    if (r == 0)
        r = text_append_json(ret, refusal->message, strlen(refusal->message));
    if (r == 0)
        r = buffer_append_text(ret, ",\"suggestion\":");
    if (r == 0)
        r = text_append_json(ret, row->suggestion, strlen(row->suggestion));
    if (r == 0)
        r = buffer_append_text(ret, ",\"details\":");
    if (r == 0 && refusal->details != NULL)
        r = tree_append(ret, refusal->details, JSON_COMPACT);
    else if (r == 0)
        r = buffer_append_text(ret, "{}");
    return r != 0 ? r : buffer_append_text(ret, "}");
}

void
refusal_fini(struct refusal *refusal)
{
    json_decref(refusal->details);
    refusal->details = NULL;
}
