/* SPDX-License-Identifier: MIT */
/*
 * nbformat 3, as IPython wrote it until 2014, in the form of 4.
 */
#include <string.h>

#include "protocol/json.h"
#include "protocol/notebook_parts.h"

#define LEVEL_MAX 6
#define DEPTH_MAX (NOTEBOOK_DEPTH_MAX / 2) /* of JSON that was kept as text */
#define JSON_TYPE "application/json"

static int
append(struct buffer *ret, struct slice value)
{
    return buffer_append(ret, value.data, value.length);
}

/* The members of OBJECT, a comma before each, but for those that SKIP (NULL at its end)
 * names. */
static int
append_members(struct buffer *ret, struct slice object, const char *const *skip)
{
    struct json_iterator iterator;
    struct slice key, value;
    int r = json_iterate(&iterator, object);

    while (r == 0 && json_next(&iterator, &key, &value)) {
        bool skipped = false;

        for (size_t i = 0; skip[i] != NULL; i++)
            skipped = skipped || json_string_equals(key, skip[i]);
        if (skipped)
            continue;
        r = buffer_append_text(ret, ",");
        if (r == 0)
            r = append(ret, key);
        if (r == 0)
            r = buffer_append_text(ret, ":");
        if (r == 0)
            r = append(ret, value);
    }
    return r;
}

/* A type's name: a short one that stands for a MIME type, or one itself. */
static int
append_type(struct buffer *ret, struct slice key, bool *ret_is_json)
{
    static const struct {
        const char *alias;
        const char *type;
    } types[] = {
        { "text", "\"text/plain\"" },    { "html", "\"text/html\"" },
        { "svg", "\"image/svg+xml\"" },  { "png", "\"image/png\"" },
        { "jpeg", "\"image/jpeg\"" },    { "latex", "\"text/latex\"" },
        { "json", "\"" JSON_TYPE "\"" }, { "javascript", "\"application/javascript\"" },
    };

    *ret_is_json = json_string_equals(key, "json") || json_string_equals(key, JSON_TYPE);
    for (size_t i = 0; i < N_ELEMENTS(types); i++) {
        if (json_string_equals(key, types[i].alias))
            return buffer_append_text(ret, types[i].type);
    }
    return append(ret, key);
}

/* JSON was kept as text; text that is not JSON stays text. */
static int
append_json(struct buffer *ret, struct slice value)
{
    static const struct json_limits limits = { NOTEBOOK_BYTES_MAX, DEPTH_MAX };
    struct buffer text;
    int r;

    buffer_init(&text, value.length);
    r = notebook_decode_lines(value, &text);
    if (r == 0 && json_scan(buffer_slice(&text), &limits, NULL) == 0)
        r = append(ret, buffer_slice(&text));
    else if (r >= 0)
        r = append(ret, value);
    buffer_fini(&text);
    return r;
}

/* Appends ",\"NAME\":{...}" of the members that are, or are about, MIME types. */
static int
append_bundle(struct buffer *ret, const char *name, struct slice object,
              const char *const *skip)
{
    struct json_iterator iterator;
    const char *comma = "";
    struct slice key, value;
    int r = buffer_append_format(ret, ",\"%s\":{", name);

    if (json_kind(object) == JSON_KIND_OBJECT && json_iterate(&iterator, object) == 0) {
        while (r == 0 && json_next(&iterator, &key, &value)) {
            bool skipped = false, is_json = false;

            for (size_t i = 0; skip[i] != NULL; i++)
                skipped = skipped || json_string_equals(key, skip[i]);
            if (skipped)
                continue;
            r = buffer_append_text(ret, comma);
            comma = ",";
            if (r == 0)
                r = append_type(ret, key, &is_json);
            if (r == 0)
                r = buffer_append_text(ret, ":");
            if (r == 0)
                r = is_json && skip[0] != NULL ? append_json(ret, value)
                                               : append(ret, value);
        }
    }
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
upgrade_bundle(struct slice output, bool is_result, struct buffer *ret)
{
    static const char *const others[] = { "output_type", "prompt_number",
                                          "execution_count", "metadata", NULL };
    static const char *const none[] = { NULL };
    struct slice count = slice_text("null"), metadata = slice_text("{}");
    int r;

    json_member(output, "prompt_number", &count);
    json_member(output, "metadata", &metadata);
    if (is_result)
        r = buffer_append_text(
            ret, "{\"output_type\":\"execute_result\",\"execution_count\":");
    else
        r = buffer_append_text(ret, "{\"output_type\":\"display_data\"");
    if (r == 0 && is_result)
        r = append(ret, count);
    if (r == 0)
        r = append_bundle(ret, "metadata", metadata, none);
    if (r == 0)
        r = append_bundle(ret, "data", output, others);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
upgrade_stream(struct slice output, struct buffer *ret)
{
    static const char *const skip[] = { "output_type", "stream", "name", "metadata",
                                        NULL };
    struct slice name = slice_text("\"stdout\"");
    int r;

    json_member(output, "stream", &name);
    r = buffer_append_text(ret, "{\"output_type\":\"stream\",\"name\":");
    if (r == 0)
        r = append(ret, name);
    if (r == 0)
        r = append_members(ret, output, skip);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
upgrade_error(struct slice output, struct buffer *ret)
{
    static const char *const skip[] = { "output_type", "prompt_number", "metadata",
                                        NULL };
    int r = buffer_append_text(ret, "{\"output_type\":\"error\"");

    if (r == 0)
        r = append_members(ret, output, skip);
    return r != 0 ? r : buffer_append_text(ret, "}");
}

static int
keep(struct slice output, struct buffer *ret)
{
    return append(ret, output);
}

static int
upgrade_result(struct slice output, struct buffer *ret)
{
    return upgrade_bundle(output, true, ret);
}

static int
upgrade_display(struct slice output, struct buffer *ret)
{
    return upgrade_bundle(output, false, ret);
}

int
notebook_upgrade_output(struct slice output, struct buffer *ret)
{
    static const struct {
        const char *type;
        int (*upgrade)(struct slice output, struct buffer *ret);
    } types[] = {
        { "pyout", upgrade_result },
        { "display_data", upgrade_display },
        { "stream", upgrade_stream },
        { "pyerr", upgrade_error },
    };
    int (*upgrade)(struct slice output, struct buffer *) = keep;
    struct slice type;
    int r;

    if (json_kind(output) == JSON_KIND_OBJECT &&
        json_member(output, "output_type", &type) == 0) {
        for (size_t i = 0; i < N_ELEMENTS(types); i++) {
            if (json_string_equals(type, types[i].type))
                upgrade = types[i].upgrade;
        }
    }
    r = upgrade(output, ret);
    return r > 0 ? NOTEBOOK_E_TOO_LARGE : r;
}

int
notebook_upgrade_heading(struct slice source, int64_t level, struct buffer *ret)
{
    size_t from;
    int r;

    level = level < 1 ? 1 : level > LEVEL_MAX ? LEVEL_MAX : level;
    r = buffer_append_format(ret, "%.*s ", (int)level, "######");
    if (r > 0)
        return JSON_E_TOO_LARGE;
    from = ret->length;
    if (r == 0)
        r = notebook_decode_lines(source, ret);
    while (r == 0 && ret->length > from &&
           (ret->data[ret->length - 1] == '\n' || ret->data[ret->length - 1] == '\r'))
        ret->length--;
    for (size_t i = from; r == 0 && i < ret->length; i++) {
        if (ret->data[i] == '\n' || ret->data[i] == '\r')
            ret->data[i] = ' ';
    }
    return r;
}
