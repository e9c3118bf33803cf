/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/translate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/mime.h"

#define HELLO_BYTES_MAX ((size_t)60 * 1024)

/* How a member of an object comes out. */
enum edit_mode {
    EDIT_DEFAULT, /* as it is; VALUE if it is not there, or null */
    EDIT_REPLACE, /* VALUE, whatever is there */
    EDIT_OBJECT, /* as EDIT_DEFAULT, also for what is no object: an empty list, say */
    EDIT_DROP_NULL /* as it is, but not as null */
};

struct edit {
    const char *name;
    enum edit_mode mode;
    const char *value; /* JSON */
};

#define EDITS_MAX 8

static int
unfit(struct error *err, const char *what)
{
    return error_set(err, TRANSLATE_E_UNFIT, "%s", what);
}

static int
result_of(int r, struct error *err)
{
    return r > 0 ? unfit(err, "it is too large") : r;
}

static bool
takes_place(const struct edit *edit, struct slice value)
{
    enum json_kind kind = json_kind(value);

    switch (edit->mode) {
    case EDIT_DEFAULT:
    case EDIT_DROP_NULL:
        return kind == JSON_KIND_NULL;
    case EDIT_OBJECT:
        return kind != JSON_KIND_OBJECT;
    default:
        return true;
    }
}

static int
append_member(struct buffer *ret, bool *first, struct slice key, struct slice value)
{
    int r = *first ? 0 : buffer_append_text(ret, ",");

    *first = false;
    if (r == 0)
        r = buffer_append(ret, key.data, key.length);
    if (r == 0)
        r = buffer_append_text(ret, ":");
    return r != 0 ? r : buffer_append(ret, value.data, value.length);
}

/* Appends OBJECT with EDITS made; the other members keep their place and their bytes. */
static int
edit_object(struct buffer *ret, struct slice object, const struct edit *edits,
            size_t count, struct error *err)
{
    struct json_iterator iterator;
    struct slice key, value;
    bool seen[EDITS_MAX] = { false }, first = true;
    int r = json_iterate(&iterator, object) != 0 ? JSON_E_TYPE : 0;

    if (r != 0)
        return unfit(err, "it is no object");
    r = buffer_append_text(ret, "{");
    while (r == 0 && json_next(&iterator, &key, &value)) {
        size_t i = 0;

        while (i < count && !json_string_equals(key, edits[i].name))
            i++;
        if (i < count && takes_place(&edits[i], value))
            continue;
        if (i < count)
            seen[i] = true;
        r = append_member(ret, &first, key, value);
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        char name[64];

        if (seen[i] || edits[i].mode == EDIT_DROP_NULL)
            continue;
        snprintf(name, sizeof name, "\"%s\"", edits[i].name);
        r = append_member(ret, &first, slice_text(name), slice_text(edits[i].value));
    }
    if (r == 0)
        r = buffer_append_text(ret, "}");
    return result_of(r, err);
}

/* Jupyter counts characters, of which CODE has one for each byte that begins one. */
static int
count_characters(struct slice content, char ret[24], struct error *err)
{
    CLEANUP(buffer_fini) struct buffer code;
    struct slice value;
    size_t count = 0;
    int r = 0;

    buffer_init(&code, TRANSLATE_BYTES_MAX);
    if (json_member(content, "code", &value) == 0)
        r = json_decode_string(value, &code);
    if (r < 0)
        return r;
    if (r > 0)
        return unfit(err, "code must be a string");
    for (size_t i = 0; i < code.length; i++)
        count += (code.data[i] & 0xc0) != 0x80;
    snprintf(ret, 24, "%zu", count);
    return 0;
}

int
translate_request(struct buffer *ret, enum frame_type type, struct slice content,
                  struct error *err)
{
    char length[24] = "0";
    bool silent = false;
    /* No kernel shall abort what comes behind a failure: the server knows the queue. */
    const struct edit execute[] = { { "silent", EDIT_DEFAULT, "false" },
                                    { "store_history", EDIT_DEFAULT, "true" },
                                    { "user_expressions", EDIT_OBJECT, "{}" },
                                    { "allow_stdin", EDIT_DEFAULT, "false" },
                                    { "stop_on_error", EDIT_REPLACE, "false" } };
    const struct edit inspect[] = { { "cursor_pos", EDIT_DEFAULT, length },
                                    { "detail_level", EDIT_DEFAULT, "0" } };
    int r;

    (void)json_member_bool(content, "silent", &silent);
    if (silent) {
        struct edit quiet[N_ELEMENTS(execute)];

        memcpy(quiet, execute, sizeof execute);
        quiet[1] = (struct edit){ "store_history", EDIT_REPLACE, "false" };
        return edit_object(ret, content, quiet, N_ELEMENTS(quiet), err);
    }
    switch (type) {
    case FRAME_EXECUTE_REQUEST:
        return edit_object(ret, content, execute, N_ELEMENTS(execute), err);
    case FRAME_COMPLETE_REQUEST:
    case FRAME_INSPECT_REQUEST:
        r = count_characters(content, length, err);
        if (r != 0)
            return r;
        return edit_object(ret, content, inspect,
                           type == FRAME_COMPLETE_REQUEST ? 1 : N_ELEMENTS(inspect), err);
    default:
        return edit_object(ret, content, NULL, 0, err);
    }
}

const char *
translate_answer_of_none(enum frame_type type)
{
    switch (type) {
    case FRAME_EXECUTE_REQUEST:
        return "{\"status\":\"error\",\"ename\":\"KernelError\","
               "\"evalue\":\"the kernel has sent no reply\",\"traceback\":"
               "[\"KernelError: the kernel has sent no reply\"]}";
    case FRAME_COMPLETE_REQUEST:
        return "{\"status\":\"ok\",\"matches\":[],\"cursor_start\":0,\"cursor_end\":0,"
               "\"metadata\":{}}";
    case FRAME_INSPECT_REQUEST:
        return "{\"status\":\"ok\",\"found\":false,\"data\":{},\"metadata\":{}}";
    case FRAME_IS_COMPLETE_REQUEST:
        return "{\"status\":\"unknown\"}";
    default:
        return "{}";
    }
}

static int
execute_reply(struct buffer *ret, struct slice content, uint32_t execution_count, bool ok,
              struct error *err)
{
    char count[16];
    const struct edit edits[] = {
        { "execution_count", EDIT_REPLACE, count },
        { "status", EDIT_REPLACE, ok ? "\"ok\"" : "\"error\"" },
        { "user_expressions", EDIT_OBJECT, "{}" },
        { "payload", EDIT_DEFAULT, "[]" },
    };

    snprintf(count, sizeof count, "%" PRIu32, execution_count);
    return edit_object(ret, content, edits, N_ELEMENTS(edits), err);
}

int
translate_reply(struct buffer *ret, enum frame_type type, struct slice content,
                uint32_t execution_count, bool *ret_ok, struct error *err)
{
    char status[32] = "";

    if (type < FRAME_EXECUTE_REQUEST || type > FRAME_IS_COMPLETE_REQUEST) {
        *ret_ok = true;
        return result_of(buffer_append_text(ret, "{}"), err);
    }
    (void)json_member_string(content, "status", status, sizeof status);
    *ret_ok = type == FRAME_IS_COMPLETE_REQUEST || strcmp(status, "ok") == 0;
    if (type == FRAME_EXECUTE_REQUEST)
        return execute_reply(ret, content, execution_count, *ret_ok, err);
    return edit_object(ret, content, NULL, 0, err);
}

static struct slice
member_or(struct slice content, const char *name, enum json_kind kind,
          const char *instead)
{
    struct slice value;

    if (json_member(content, name, &value) != 0 || json_kind(value) != kind)
        return slice_text(instead);
    return value;
}

int
translate_error(struct buffer *ret, struct slice content, bool interrupted,
                struct error *err)
{
    const struct {
        const char *name;
        enum json_kind kind;
        const char *instead;
    } members[] = {
        { "ename", JSON_KIND_STRING, interrupted ? "\"Interrupted\"" : "\"Error\"" },
        { "evalue", JSON_KIND_STRING,
          interrupted ? "\"the code was interrupted\"" : "\"\"" },
        { "traceback", JSON_KIND_ARRAY,
          interrupted ? "[\"Interrupted: the code was interrupted\"]" : "[]" },
    };
    bool first = true;
    int r = buffer_append_text(ret, "{");

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(members); i++) {
        char name[32];

        snprintf(name, sizeof name, "\"%s\"", members[i].name);
        r = append_member(
            ret, &first, slice_text(name),
            member_or(content, members[i].name, members[i].kind, members[i].instead));
    }
    if (r == 0)
        r = buffer_append_text(ret, "}");
    return result_of(r, err);
}

int
translate_traceback(struct buffer *ret, struct slice content, struct error *err)
{
    struct slice lines = member_or(content, "traceback", JSON_KIND_ARRAY, "[]"), line;
    struct json_iterator iterator;
    int r = 0;

    (void)json_iterate(&iterator, lines);
    while (r == 0 && json_next(&iterator, NULL, &line)) {
        if (json_kind(line) != JSON_KIND_STRING)
            continue;
        r = json_decode_string(line, ret);
        if (r == 0)
            r = buffer_append_text(ret, "\n");
    }
    return result_of(r, err);
}

int
translate_bundle(struct buffer *ret, struct slice content, uint32_t execution_count,
                 struct error *err)
{
    char count[16];
    const struct edit edits[] = {
        { "data", EDIT_OBJECT, "{}" },
        { "metadata", EDIT_OBJECT, "{}" },
        { "transient", EDIT_DROP_NULL, NULL },
        { "execution_count", EDIT_REPLACE, count },
    };
    int r;

    snprintf(count, sizeof count, "%" PRIu32, execution_count);
    r = edit_object(ret, content, edits, N_ELEMENTS(edits) - (execution_count == 0), err);
    if (r == 0 && mime_check_content(buffer_slice(ret), err) != 0)
        r = TRANSLATE_E_UNFIT;
    return r;
}

int
translate_stream(struct buffer *ret, struct slice content, bool *ret_stderr,
                 struct error *err)
{
    char name[16] = "";
    struct slice text;
    int r;

    (void)json_member_string(content, "name", name, sizeof name);
    *ret_stderr = strcmp(name, "stderr") == 0;
    if (json_member(content, "text", &text) != 0 || json_kind(text) != JSON_KIND_STRING)
        return unfit(err, "its text is no string");
    r = json_decode_string(text, ret);
    return result_of(r, err);
}

int
translate_input(struct buffer *ret, struct slice content, struct error *err)
{
    const struct edit edits[] = { { "prompt", EDIT_DEFAULT, "\"\"" },
                                  { "password", EDIT_DEFAULT, "false" } };

    return edit_object(ret, content, edits, N_ELEMENTS(edits), err);
}

int
translate_hello(struct buffer *ret, struct slice content, struct error *err)
{
    static const struct {
        const char *name, *key;
        enum json_kind kind;
    } members[] = {
        { "language_info", "\"language_info\"", JSON_KIND_OBJECT },
        { "implementation_version", "\"implementation_version\"", JSON_KIND_STRING },
        { "banner", "\"banner\"", JSON_KIND_STRING },
    };
    bool first = false;
    int r = buffer_append_format(ret, "{\"frame_version\":%d,\"build\":\"%s\"",
                                 FRAME_VERSION, CELLWALL_VERSION);

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(members); i++) {
        struct slice value;

        if (json_member(content, members[i].name, &value) == 0 &&
            json_kind(value) == members[i].kind &&
            value.length <= HELLO_BYTES_MAX - ret->length)
            r = append_member(ret, &first, slice_text(members[i].key), value);
    }
    if (r == 0)
        r = buffer_append_text(ret, "}");
    return result_of(r, err);
}
