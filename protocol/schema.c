/* SPDX-License-Identifier: MIT */
#include "protocol/schema.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define FIELDS_MAX 9
#define NAME_BYTES 1024 /* the longest id or name */
#define PATTERN_BYTES 65536
#define CODE_BYTES INT32_MAX /* what the wire allows is less */
#define SECTIONS_MAX 64

enum kind {
    KIND_ANY = 1,
    KIND_BOOL,
    KIND_INTEGER, /* min to max */
    KIND_TEXT, /* min to max bytes */
    KIND_NAME, /* text without NUL, because it is kept as a C string */
    KIND_CHOICE, /* one of choices */
    KIND_OBJECT,
    KIND_NAMES /* array of up to max names */
};

struct field {
    const char *name; /* NULL ends the list */
    enum kind kind;
    bool required;
    int64_t min, max;
    const char *fallback; /* the default as JSON, NULL: none */
    const char *const *choices; /* NULL ends the list */
};

struct rule {
    const char *type;
    struct field fields[FIELDS_MAX + 1];
    int (*derive)(json_t *content); /* after the other defaults; NULL: none */
};

static int derive_store_history(json_t *content);
static int derive_cursor(json_t *content);

static const char *const access_types[] = { "tail", "range", "search", NULL };

/* Rows that several types share. */
#define CODE .name = "code", .kind = KIND_TEXT, .required = true, .max = CODE_BYTES
#define CURSOR .name = "cursor_pos", .kind = KIND_INTEGER, .max = INT32_MAX
#define COMM_ID                                                                          \
    .name = "comm_id", .kind = KIND_NAME, .required = true, .min = 1, .max = NAME_BYTES
#define COMM_DATA .name = "data", .kind = KIND_ANY, .fallback = "{}"

static const struct rule rules[] = {
    { .type = "execute_request",
      .derive = derive_store_history,
      .fields = { { CODE },
                  { .name = "silent", .kind = KIND_BOOL, .fallback = "false" },
                  { .name = "store_history", .kind = KIND_BOOL, .fallback = "true" },
                  { .name = "user_expressions", .kind = KIND_OBJECT, .fallback = "{}" },
                  { .name = "allow_stdin", .kind = KIND_BOOL, .fallback = "false" },
                  { .name = "stop_on_error", .kind = KIND_BOOL, .fallback = "true" } } },
    { .type = "complete_request",
      .derive = derive_cursor,
      .fields = { { CODE }, { CURSOR } } },
    { .type = "inspect_request",
      .derive = derive_cursor,
      .fields = { { CODE },
                  { CURSOR },
                  { .name = "detail_level",
                    .kind = KIND_INTEGER,
                    .max = 1,
                    .fallback = "0" },
                  { .name = "omit_sections",
                    .kind = KIND_NAMES,
                    .max = SECTIONS_MAX,
                    .fallback = "[]" } } },
    { .type = "is_complete_request", .fields = { { CODE } } },
    { .type = "history_request",
      .fields = { { .name = "hist_access_type",
                    .kind = KIND_CHOICE,
                    .required = true,
                    .choices = access_types },
                  { .name = "output", .kind = KIND_BOOL, .fallback = "false" },
                  { .name = "raw", .kind = KIND_BOOL, .fallback = "true" },
                  { .name = "unique", .kind = KIND_BOOL, .fallback = "false" },
                  /* 0 is the current session, negative ones count back. */
                  { .name = "session",
                    .kind = KIND_INTEGER,
                    .min = INT32_MIN,
                    .max = INT32_MAX,
                    .fallback = "0" },
                  { .name = "start",
                    .kind = KIND_INTEGER,
                    .min = INT32_MIN,
                    .max = INT32_MAX,
                    .fallback = "0" },
                  { .name = "stop",
                    .kind = KIND_INTEGER,
                    .min = INT32_MIN,
                    .max = INT32_MAX },
                  { .name = "n", .kind = KIND_INTEGER, .max = INT32_MAX },
                  { .name = "pattern",
                    .kind = KIND_TEXT,
                    .max = PATTERN_BYTES,
                    .fallback = "\"*\"" } } },
    { .type = "comm_open",
      .fields = { { COMM_ID },
                  { .name = "target_name",
                    .kind = KIND_NAME,
                    .required = true,
                    .min = 1,
                    .max = NAME_BYTES },
                  { .name = "target_module", .kind = KIND_NAME, .max = NAME_BYTES },
                  { COMM_DATA } } },
    { .type = "comm_msg", .fields = { { COMM_ID }, { COMM_DATA } } },
    { .type = "comm_close", .fields = { { COMM_ID }, { COMM_DATA } } },
    { .type = "comm_info_request",
      .fields = { { .name = "target_name", .kind = KIND_NAME, .max = NAME_BYTES } } },
    { .type = "kernel_info_request" },
    { .type = "connect_request" },
    { .type = "shutdown_request",
      .fields = { { .name = "restart", .kind = KIND_BOOL, .fallback = "false" } } },
    { .type = "interrupt_request" },
    { .type = "usage_request" },
    { .type = "debug_request",
      .fields = { { .name = "command",
                    .kind = KIND_NAME,
                    .required = true,
                    .min = 1,
                    .max = NAME_BYTES },
                  { .name = "seq",
                    .kind = KIND_INTEGER,
                    .max = INT64_MAX,
                    .fallback = "0" },
                  { .name = "arguments", .kind = KIND_OBJECT, .fallback = "{}" } } },
    { .type = "input_reply",
      .fields = { { .name = "value",
                    .kind = KIND_TEXT,
                    .required = true,
                    .max = CODE_BYTES } } },
    { .type = "create_subshell_request" },
    { .type = "delete_subshell_request",
      .fields = { { .name = "subshell_id",
                    .kind = KIND_NAME,
                    .required = true,
                    .min = 1,
                    .max = NAME_BYTES } } },
    { .type = "list_subshell_request" },
};

static const struct rule *
rule_of(const char *type)
{
    for (size_t i = 0; i < N_ELEMENTS(rules); i++) {
        if (strcmp(rules[i].type, type) == 0)
            return &rules[i];
    }
    return NULL;
}

bool
schema_knows(const char *type)
{
    return rule_of(type) != NULL;
}

static const char *
name_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number that is no 64-bit integer";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int
mismatch(const struct field *field, const char *expected, const char *got,
         struct error *err)
{
    return error_set(err, SCHEMA_E_INVALID, "field %s: expected %s, got %s", field->name,
                     expected, got);
}

static int
check_integer(const struct field *field, const json_t *value, struct error *err)
{
    int64_t number;

    if (!json_is_integer(value))
        return mismatch(field, "an integer", name_of(value), err);
    number = json_integer_value(value);
    if (number < field->min || number > field->max)
        return error_set(err, SCHEMA_E_INVALID,
                         "field %s: expected an integer from %" PRId64 " to %" PRId64
                         ", got %" PRId64,
                         field->name, field->min, field->max, number);
    return 0;
}

static int
check_text(const struct field *field, const json_t *value, int64_t min, int64_t max,
           bool nul_allowed, struct error *err)
{
    size_t length;

    if (!json_is_string(value))
        return mismatch(field, "a string", name_of(value), err);
    length = json_string_length(value);
    if (length < (size_t)min || length > (size_t)max)
        return error_set(err, SCHEMA_E_INVALID,
                         "field %s: expected a string of %" PRId64 " to %" PRId64
                         " bytes, got %zu",
                         field->name, min, max, length);
    if (!nul_allowed && strlen(json_string_value(value)) != length)
        return mismatch(field, "a string without NUL", "one with it", err);
    return 0;
}

static int
check_choice(const struct field *field, const json_t *value, struct error *err)
{
    char expected[128] = "one of";

    if (!json_is_string(value))
        return mismatch(field, "a string", name_of(value), err);
    for (const char *const *choice = field->choices; *choice != NULL; choice++) {
        size_t used = strlen(expected);

        if (strlen(*choice) == json_string_length(value) &&
            strcmp(*choice, json_string_value(value)) == 0)
            return 0;
        snprintf(expected + used, sizeof expected - used, " \"%s\"", *choice);
    }
    return mismatch(field, expected, "another string", err);
}

static int
check_names(const struct field *field, const json_t *value, struct error *err)
{
    int r = 0;

    if (!json_is_array(value))
        return mismatch(field, "an array of strings", name_of(value), err);
    if (json_array_size(value) > (size_t)field->max)
        return error_set(err, SCHEMA_E_INVALID,
                         "field %s: expected up to %" PRId64 " strings, got %zu",
                         field->name, field->max, json_array_size(value));
    for (size_t i = 0; r == 0 && i < json_array_size(value); i++)
        r = check_text(field, json_array_get(value, i), 0, NAME_BYTES, false, err);
    return r;
}

static int
check_field(const struct field *field, const json_t *value, struct error *err)
{
    switch (field->kind) {
    case KIND_ANY:
        return 0;
    case KIND_BOOL:
        return json_is_boolean(value) ? 0
                                      : mismatch(field, "a boolean", name_of(value), err);
    case KIND_INTEGER:
        return check_integer(field, value, err);
    case KIND_TEXT:
        return check_text(field, value, field->min, field->max, true, err);
    case KIND_NAME:
        return check_text(field, value, field->min, field->max, false, err);
    case KIND_CHOICE:
        return check_choice(field, value, err);
    case KIND_OBJECT:
        return json_is_object(value) ? 0
                                     : mismatch(field, "an object", name_of(value), err);
    case KIND_NAMES:
        break;
    }
    return check_names(field, value, err);
}

int
schema_check(const char *type, const json_t *content, struct error *err)
{
    const struct rule *rule = rule_of(type);
    int r;

    if (rule == NULL)
        return error_set(err, SCHEMA_E_UNKNOWN_TYPE, "unknown message type");
    if (!json_is_object(content))
        return error_set(err, SCHEMA_E_INVALID, "expected an object, got %s",
                         content != NULL ? name_of(content) : "nothing");
    for (const struct field *field = rule->fields; field->name != NULL; field++) {
        const json_t *value = json_object_get(content, field->name);

        if (value == NULL || (json_is_null(value) && !field->required)) {
            if (field->required)
                return error_set(err, SCHEMA_E_INVALID, "field %s is missing",
                                 field->name);
            continue;
        }
        r = check_field(field, value, err);
        if (r != 0)
            return r;
    }
    return 0;
}

static int
derive_store_history(json_t *content)
{
    if (!json_is_true(json_object_get(content, "silent")))
        return 0;
    return json_object_set_new(content, "store_history", json_false()) == 0 ? 0 : -ENOMEM;
}

static json_int_t
code_points(const json_t *text)
{
    const char *bytes = json_string_value(text);
    json_int_t count = 0;

    for (size_t i = 0; i < json_string_length(text); i++)
        count += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    return count;
}

static int
derive_cursor(json_t *content)
{
    const json_t *cursor = json_object_get(content, "cursor_pos");
    json_int_t end = code_points(json_object_get(content, "code"));

    if (cursor != NULL && json_integer_value(cursor) <= end)
        return 0;
    return json_object_set_new(content, "cursor_pos", json_integer(end)) == 0 ? 0
                                                                              : -ENOMEM;
}

int
schema_fill(const char *type, json_t *content)
{
    const struct rule *rule = rule_of(type);

    assert(rule != NULL); /* schema_check came first */
    for (const struct field *field = rule->fields; field->name != NULL; field++) {
        const json_t *value = json_object_get(content, field->name);

        if (value != NULL && (field->required || !json_is_null(value)))
            continue;
        if (field->fallback == NULL) {
            json_object_del(content, field->name);
        } else if (json_object_set_new(
                       content, field->name,
                       json_loads(field->fallback, JSON_DECODE_ANY, NULL)) != 0) {
            return -ENOMEM;
        }
    }
    return rule->derive != NULL ? rule->derive(content) : 0;
}
