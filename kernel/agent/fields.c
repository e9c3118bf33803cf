/* SPDX-License-Identifier: MIT */
#include "kernel/agent/fields.h"

#include <inttypes.h>
#include <string.h>

#include "kernel/agent/refusal.h"

int
fields_refuse(struct refusal *no, const char *name, const char *what)
{
    refusal_set(no, REFUSAL_INVALID_ARGUMENT, "\"%.64s\" %s", name, what);
    return refusal_detail(no, "field", json_string(name));
}

static int
check_text(const struct field *field, const json_t *value, struct refusal *no)
{
    size_t length = json_string_length(value);

    if (!json_is_string(value))
        return fields_refuse(no, field->name, "must be a string");
    if (field->kind == FIELD_NAME && strlen(json_string_value(value)) != length)
        return fields_refuse(no, field->name, "must not have a NUL character");
    if (length >= (size_t)field->min && length <= (size_t)field->max)
        return 0;
    refusal_set(no, REFUSAL_INVALID_ARGUMENT,
                "\"%s\" must have from %" PRId64 " to %" PRId64 " bytes, and has %zu",
                field->name, field->min, field->max, length);
    return refusal_detail(no, "field", json_string(field->name));
}

static int
check_number(const struct field *field, const json_t *value, struct refusal *no)
{
    double number = json_number_value(value);
    json_int_t integer = json_integer_value(value);

    if (!json_is_number(value) ||
        (field->kind == FIELD_INTEGER && !json_is_integer(value)))
        return fields_refuse(no, field->name,
                             field->kind == FIELD_INTEGER ? "must be an integer"
                                                          : "must be a number");
    if (json_is_integer(value)
            ? integer >= field->min && integer <= field->max /* all digits */
            : number >= (double)field->min && number <= (double)field->max)
        return 0;
    refusal_set(no, REFUSAL_INVALID_ARGUMENT,
                "\"%s\" must be from %" PRId64 " to %" PRId64, field->name, field->min,
                field->max);
    return refusal_detail(no, "field", json_string(field->name));
}

static bool
is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);

    while (*choices != '\0') {
        size_t n = strcspn(choices, "|");

        if (n == length && memcmp(choices, value, n) == 0)
            return true;
        choices += choices[n] == '|' ? n + 1 : n;
    }
    return false;
}

static int
check_choice(const struct field *field, const json_t *value, struct refusal *no)
{
    if (json_is_string(value) && is_choice(field->choices, json_string_value(value)) &&
        strlen(json_string_value(value)) == json_string_length(value))
        return 0;
    refusal_set(no, REFUSAL_INVALID_ARGUMENT, "\"%s\" must be one of %s", field->name,
                field->choices);
    return refusal_detail(no, "field", json_string(field->name));
}

static int
check_strings(const struct field *field, json_t *value, struct refusal *no)
{
    const char *name;
    json_t *item;

    if (!json_is_object(value))
        return fields_refuse(no, field->name, "must be an object of strings");
    if (json_object_size(value) > (size_t)field->max)
        return fields_refuse(no, field->name, "has too many members");
    json_object_foreach(value, name, item)
    {
        if (!json_is_string(item) || json_string_length(item) > FIELDS_STRING_BYTES_MAX ||
            strlen(name) > FIELDS_STRING_BYTES_MAX ||
            strlen(json_string_value(item)) != json_string_length(item))
            return fields_refuse(
                no, field->name,
                "must have strings alone, of up to 64 KiB and without NUL");
    }
    return 0;
}

static int
check_field(const struct field *field, json_t *value, struct refusal *no)
{
    switch (field->kind) {
    case FIELD_TEXT:
    case FIELD_NAME:
        return check_text(field, value, no);
    case FIELD_BOOL:
        return json_is_boolean(value)
                   ? 0
                   : fields_refuse(no, field->name, "must be true or false");
    case FIELD_INTEGER:
    case FIELD_NUMBER:
        return check_number(field, value, no);
    case FIELD_CHOICE:
        return check_choice(field, value, no);
    case FIELD_STRINGS:
        return check_strings(field, value, no);
    case FIELD_OBJECT:
        return json_is_object(value)
                   ? 0
                   : fields_refuse(no, field->name, "must be an object");
    case FIELD_HANDLE:
        return json_is_object(value) || json_is_string(value)
                   ? 0
                   : fields_refuse(no, field->name, "must be a string or an object");
    }
    return 0;
}

static const struct field *
find(const struct field *fields, const char *name)
{
    for (; fields->name != NULL; fields++) {
        if (strcmp(fields->name, name) == 0)
            return fields;
    }
    return NULL;
}

int
fields_check(const struct field *fields, json_t *content, struct refusal *no)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(content, next, name, value)
    {
        const struct field *field = find(fields, name);
        int r;

        if (field == NULL)
            return fields_refuse(no, name, "is not a member of this request");
        if (json_is_null(value)) {
            json_object_del(content, name);
            continue;
        }
        r = check_field(field, value, no);
        if (r != 0)
            return r;
    }
    for (; fields->name != NULL; fields++) {
        if (fields->required && json_object_get(content, fields->name) == NULL)
            return fields_refuse(no, fields->name, "is missing");
    }
    return 0;
}

bool
fields_flag(const json_t *content, const char *name, bool fallback)
{
    const json_t *value = json_object_get(content, name);

    return value == NULL ? fallback : json_is_true(value);
}

const char *
fields_text(const json_t *content, const char *name, const char *fallback)
{
    const char *text = json_string_value(json_object_get(content, name));

    return text == NULL ? fallback : text;
}

int64_t
fields_integer(const json_t *content, const char *name, int64_t fallback)
{
    const json_t *value = json_object_get(content, name);

    return value == NULL ? fallback : (int64_t)json_integer_value(value);
}
