/* SPDX-License-Identifier: MIT */
/*
 * The order of keys and the splitting of text into lines are those of nbformat's writer,
 * so that a notebook that Jupyter saves after us differs in nothing but what changed.
 */
#include "protocol/notebook_layout.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/json.h"
#include "protocol/json_lex.h"
#include "protocol/notebook_parts.h"

#define UNIT_BYTES_MAX 16 /* longer ones are nobody's style */
#define BASE_BYTES_MAX 64
#define COLON_BYTES_MAX 8
#define ESCAPE_BYTES 8 /* of one escaped unit and its NUL */

/* What a value is within an output, and so how it is laid out. */
enum form {
    FORM_PLAIN, /* any JSON */
    FORM_STREAM, /* an output with text */
    FORM_DISPLAY, /* an output with a MIME bundle */
    FORM_BUNDLE,
    FORM_LINES, /* text, as a list of its lines */
    FORM_JOINED /* text in one string */
};

const struct notebook_layout notebook_layout_plain = {
    .compact = true,
    .colon = { (const uint8_t *)":", 1 },
};

struct writer {
    const struct notebook_layout *layout;
    struct buffer *ret;
    struct buffer text; /* owned: the string that is being written */
};

struct member {
    struct slice key, value; /* raw */
    size_t name, name_length; /* the key decoded: where it is among the names */
    const struct buffer *names;
};

static int write_value(struct writer *writer, struct slice value, enum form form,
                       size_t depth);

static int
append(struct buffer *ret, struct slice bytes)
{
    return buffer_append(ret, bytes.data, bytes.length);
}

static struct slice
between(const uint8_t *from, const uint8_t *to)
{
    return (struct slice){ .data = from, .length = (size_t)(to - from) };
}

/* What follows the last line end in SPACE; false: there is no line end. */
static bool
find_indentation(struct slice space, struct slice *ret_newline, struct slice *ret)
{
    const uint8_t *end = space.data + space.length, *at = end;

    while (at > space.data && at[-1] != '\n')
        at--;
    if (at == space.data)
        return false;
    *ret = between(at, end);
    *ret_newline = slice_text(at - space.data >= 2 && at[-2] == '\r' ? "\r\n" : "\n");
    return true;
}

/* Learns from the first members of OBJECT. RET_INDENTATION has it as find_indentation,
 * and so is the result. */
static bool
learn(struct notebook_layout *layout, struct slice object, struct slice *ret_indentation)
{
    struct slice key, value, next, other, space;
    struct json_iterator iterator;

    if (json_iterate(&iterator, object) != 0 || !json_next(&iterator, &key, &value))
        return false;
    space = between(key.data + key.length, value.data);
    if (space.length <= COLON_BYTES_MAX && memchr(space.data, '\n', space.length) == NULL)
        layout->colon = space;
    if (json_next(&iterator, &next, &other)) {
        space = between(value.data + value.length, next.data);
        if (space.length <= 2 && memchr(space.data, '\n', space.length) == NULL &&
            space.data[0] == ',')
            layout->gap = between(space.data + 1, space.data + space.length);
    }
    return find_indentation(between(object.data + 1, key.data), &layout->newline,
                            ret_indentation);
}

void
notebook_layout_find(struct notebook_layout *ret, struct slice file)
{
    const uint8_t *end = file.data + file.length;
    struct slice indentation;

    *ret = (struct notebook_layout){ .newline = slice_text("\n"),
                                     .base = slice_text("   "),
                                     .unit = slice_text(" "),
                                     .colon = slice_text(": "),
                                     .gap = slice_text(" ") };
    if (learn(ret, between(json_skip_space(file.data, end), end), &indentation) &&
        indentation.length <= UNIT_BYTES_MAX)
        ret->unit = indentation;
}

void
notebook_layout_find_cell(struct notebook_layout *ret, const struct notebook_layout *file,
                          struct slice cell)
{
    struct slice indentation;

    *ret = *file;
    if (!learn(ret, cell, &indentation))
        ret->compact = true;
    else if (indentation.length <= BASE_BYTES_MAX)
        ret->base = indentation;
}

static int
break_line(const struct notebook_layout *layout, size_t depth, struct buffer *ret)
{
    int r = append(ret, layout->newline);

    if (r == 0)
        r = append(ret, layout->base);
    for (size_t i = 0; r == 0 && i < depth; i++)
        r = append(ret, layout->unit);
    return r;
}

int
notebook_layout_break(const struct notebook_layout *layout, struct buffer *ret)
{
    return layout->compact ? append(ret, layout->gap) : break_line(layout, 0, ret);
}

/* Goes to where element or member NUMBER (0, 1, ...) at DEPTH begins. */
static int
begin_element(struct writer *writer, size_t number, size_t depth)
{
    int r = number > 0 ? buffer_append_text(writer->ret, ",") : 0;

    if (r != 0)
        return r;
    if (!writer->layout->compact)
        return break_line(writer->layout, depth, writer->ret);
    return number > 0 ? append(writer->ret, writer->layout->gap) : 0;
}

/* CLOSE ends an array or object of COUNT elements. */
static int
end_elements(struct writer *writer, size_t count, size_t depth, const char *close)
{
    int r = 0;

    if (count > 0 && !writer->layout->compact)
        r = break_line(writer->layout, depth, writer->ret);
    return r != 0 ? r : buffer_append_text(writer->ret, close);
}

/* Surrogates too, in the form that UTF-8 would have for them: code points keep their
 * order. */
static size_t
encode(char ret[ESCAPE_BYTES], uint32_t point)
{
    if (point < 0x80) {
        ret[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        ret[0] = (char)(0xc0 | point >> 6);
        ret[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        ret[0] = (char)(0xe0 | point >> 12);
        ret[1] = (char)(0x80 | (point >> 6 & 0x3f));
        ret[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    ret[0] = (char)(0xf0 | point >> 18);
    ret[1] = (char)(0x80 | (point >> 12 & 0x3f));
    ret[2] = (char)(0x80 | (point >> 6 & 0x3f));
    ret[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

/* As Python's json writes a character that it does not leave to ASCII. */
static size_t
escape(char ret[ESCAPE_BYTES], uint32_t point)
{
    static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    const char *byte = point < 0x20 && point != 0 ? strchr(bytes, (int)point) : NULL;
    int n;

    if (byte != NULL)
        n = snprintf(ret, ESCAPE_BYTES, "\\%c", names[byte - bytes]);
    else if (point == '"' || point == '\\')
        n = snprintf(ret, ESCAPE_BYTES, "\\%c", (int)point);
    else if (point < 0x20 || (point >= 0xd800 && point <= 0xdfff))
        n = snprintf(ret, ESCAPE_BYTES, "\\u%04x", (unsigned)point);
    else
        return encode(ret, point);
    assert(n > 0 && n < ESCAPE_BYTES);
    return (size_t)n;
}

/* Appends what the raw string STRING has between its quotes, each escaped character as
 * WRITE_POINT writes it. */
static int
append_inside(struct buffer *ret, struct slice string,
              size_t (*write_point)(char ret[ESCAPE_BYTES], uint32_t point))
{
    static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    const uint8_t *at = string.data + 1, *end = string.data + string.length - 1;
    int r = 0;

    while (r == 0 && at < end) {
        const uint8_t *stop = memchr(at, '\\', (size_t)(end - at));
        char written[ESCAPE_BYTES];
        const char *name;
        uint32_t point;

        r = buffer_append(ret, at, (size_t)((stop != NULL ? stop : end) - at));
        if (r != 0 || stop == NULL)
            break;
        if (stop[1] == 'u') {
            at = json_read_unit(stop + 2, end, &point);
            assert(at != NULL); /* it has been scanned */
        } else {
            name = strchr(names, stop[1]);
            point = name != NULL ? (uint8_t)bytes[name - names] : stop[1];
            at = stop + 2;
        }
        r = buffer_append(ret, written, write_point(written, point));
    }
    return r;
}

static int
write_quoted(struct writer *writer, struct slice inside)
{
    int r = buffer_append_text(writer->ret, "\"");

    if (r == 0)
        r = append(writer->ret, inside);
    return r != 0 ? r : buffer_append_text(writer->ret, "\"");
}

static int
write_string(struct writer *writer, struct slice string)
{
    int r = buffer_append_text(writer->ret, "\"");

    if (r == 0)
        r = append_inside(writer->ret, string, escape);
    return r != 0 ? r : buffer_append_text(writer->ret, "\"");
}

/* The text of VALUE, a string or strings, in one piece, escaped. */
static int
join(struct writer *writer, struct slice value)
{
    struct json_iterator iterator;
    struct slice line;
    int r = 0;

    buffer_clear(&writer->text, SIZE_MAX);
    if (json_kind(value) == JSON_KIND_STRING)
        return append_inside(&writer->text, value, escape);
    if (json_iterate(&iterator, value) != 0)
        return 0;
    while (r == 0 && json_next(&iterator, NULL, &line))
        r = append_inside(&writer->text, line, escape);
    return r;
}

/* The length of the escaped character at AT; RET_IS_END: it ends a line, as Python's
 * splitlines has it. */
static size_t
escaped_character(const uint8_t *at, const uint8_t *end, bool *ret_is_end)
{
    static const char *const ends[] = {
        "\\n",     "\\r",     "\\f",      "\\u000b",      "\\u001c",
        "\\u001d", "\\u001e", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9",
    };
    size_t left = (size_t)(end - at);

    *ret_is_end = false;
    if (*at != '\\' && *at < 0x80)
        return 1;
    if (left >= 4 && memcmp(at, "\\r\\n", 4) == 0) {
        *ret_is_end = true;
        return 4;
    }
    for (size_t i = 0; i < N_ELEMENTS(ends); i++) {
        size_t length = strlen(ends[i]);

        if (left >= length && memcmp(at, ends[i], length) == 0) {
            *ret_is_end = true;
            return length;
        }
    }
    return *at == '\\' ? 2 : 1; /* of "\uXXXX", too: what follows is no escape */
}

static int
write_lines(struct writer *writer, struct slice value, size_t depth)
{
    const uint8_t *at, *end, *from;
    size_t count = 0;
    int r = join(writer, value);

    if (r == 0)
        r = buffer_append_text(writer->ret, "[");
    if (r != 0)
        return r;
    at = from = writer->text.data;
    end = writer->text.length > 0 ? at + writer->text.length : at;
    while (r == 0 && at < end) {
        bool is_end;

        at += escaped_character(at, end, &is_end);
        if (!is_end && at < end)
            continue;
        r = begin_element(writer, count++, depth + 1);
        if (r == 0)
            r = write_quoted(writer, between(from, at));
        from = at;
    }
    return r != 0 ? r : end_elements(writer, count, depth, "]");
}

static int
write_joined(struct writer *writer, struct slice value)
{
    int r = join(writer, value);

    return r != 0 ? r : write_quoted(writer, buffer_slice(&writer->text));
}

static int
write_array(struct writer *writer, struct slice array, size_t depth)
{
    struct json_iterator iterator;
    struct slice element;
    size_t count = 0;
    int r = buffer_append_text(writer->ret, "[");

    if (json_iterate(&iterator, array) != 0)
        return r;
    while (r == 0 && json_next(&iterator, NULL, &element)) {
        r = begin_element(writer, count++, depth + 1);
        if (r == 0)
            r = write_value(writer, element, FORM_PLAIN, depth + 1);
    }
    return r != 0 ? r : end_elements(writer, count, depth, "]");
}

static int
compare_names(const struct member *a, const struct member *b)
{
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = 0;

    if (shorter > 0)
        order = memcmp(a->names->data + a->name, b->names->data + b->name, shorter);
    if (order != 0)
        return order;
    return (a->name_length > b->name_length) - (a->name_length < b->name_length);
}

/* Members of the same name stay in their order. */
static int
compare_members(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    int order = compare_names(left, right);

    return order != 0 ? order : (left->name > right->name) - (left->name < right->name);
}

/* The members of OBJECT, sorted, those that a later one of the same name hides left out.
 * The caller owns *ret. */
static int
sort_members(struct slice object, struct buffer *names, struct member **ret,
             size_t *ret_count)
{
    struct json_iterator iterator;
    struct member *members, member = { .names = names };
    size_t count = 0, kept = 0;
    int r = 0;

    json_iterate(&iterator, object);
    while (json_next(&iterator, &member.key, &member.value))
        count++;
    members = calloc(count > 0 ? count : 1, sizeof *members);
    if (members == NULL)
        return -ENOMEM;
    count = 0;
    json_iterate(&iterator, object);
    while (r == 0 && json_next(&iterator, &member.key, &member.value)) {
        member.name = names->length;
        r = append_inside(names, member.key, encode);
        if (r == 0) /* keeps the places of empty names apart */
            r = buffer_append(names, "", 1);
        member.name_length = names->length - member.name - 1;
        members[count++] = member;
    }
    if (r != 0) {
        free(members);
        return r;
    }
    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 == count || compare_names(&members[i], &members[i + 1]) != 0)
            members[kept++] = members[i];
    }
    *ret = members;
    *ret_count = kept;
    return 0;
}

static bool
begins_with(struct slice text, const char *prefix)
{
    size_t length = strlen(prefix);

    return text.length >= length && memcmp(text.data, prefix, length) == 0;
}

static bool
ends_with(struct slice text, const char *suffix)
{
    size_t length = strlen(suffix);

    return text.length >= length &&
           memcmp(text.data + text.length - length, suffix, length) == 0;
}

static enum form
type_form(struct slice type)
{
    if (begins_with(type, "text/") || slice_equals_text(type, "image/svg+xml") ||
        slice_equals_text(type, "application/javascript"))
        return FORM_LINES;
    if (slice_equals_text(type, "application/json") ||
        (begins_with(type, "application/") && ends_with(type, "+json")))
        return FORM_PLAIN;
    return FORM_JOINED;
}

/* Of the member NAME in an object of FORM. */
static enum form
member_form(enum form form, struct slice name)
{
    if (form == FORM_STREAM && slice_equals_text(name, "text"))
        return FORM_LINES;
    if (form == FORM_DISPLAY && slice_equals_text(name, "data"))
        return FORM_BUNDLE;
    return form == FORM_BUNDLE ? type_form(name) : FORM_PLAIN;
}

static int
write_member(struct writer *writer, const struct member *member, enum form form,
             size_t depth)
{
    struct slice name = { .data = member->names->data + member->name,
                          .length = member->name_length };
    int r = write_string(writer, member->key);

    if (r == 0)
        r = append(writer->ret, writer->layout->colon);
    return r != 0 ? r
                  : write_value(writer, member->value, member_form(form, name), depth);
}

static int
write_object(struct writer *writer, struct slice object, enum form form, size_t depth)
{
    CLEANUP(freep) struct member *members = NULL;
    struct buffer names;
    size_t count = 0;
    int r;

    buffer_init(&names, SIZE_MAX);
    r = sort_members(object, &names, &members, &count);
    if (r == 0)
        r = buffer_append_text(writer->ret, "{");
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = begin_element(writer, i, depth + 1);
        if (r == 0)
            r = write_member(writer, &members[i], form, depth + 1);
    }
    if (r == 0)
        r = end_elements(writer, count, depth, "}");
    buffer_fini(&names);
    return r;
}

/* Recursion is at most as deep as the scan has let pass. */
static int
write_value(struct writer *writer, struct slice value, enum form form, size_t depth)
{
    enum json_kind kind = json_kind(value);

    if (form == FORM_LINES && notebook_is_text(value))
        return write_lines(writer, value, depth);
    if (form == FORM_JOINED && notebook_is_text(value))
        return write_joined(writer, value);
    if (kind == JSON_KIND_OBJECT)
        return write_object(writer, value, form, depth);
    if (kind == JSON_KIND_ARRAY)
        return write_array(writer, value, depth);
    return kind == JSON_KIND_STRING ? write_string(writer, value)
                                    : append(writer->ret, value);
}

static enum form
output_form(struct slice output)
{
    struct slice type;

    if (json_member(output, "output_type", &type) != 0)
        return FORM_PLAIN;
    if (json_string_equals(type, "stream"))
        return FORM_STREAM;
    if (json_string_equals(type, "display_data") ||
        json_string_equals(type, "execute_result"))
        return FORM_DISPLAY;
    return FORM_PLAIN;
}

static int
write_output(struct writer *writer, struct slice output, size_t number)
{
    int r = begin_element(writer, number, 1);

    return r != 0 ? r : write_value(writer, output, output_form(output), 1);
}

int
notebook_layout_outputs(const struct notebook_layout *layout, struct slice outputs,
                        struct buffer *ret)
{
    struct writer writer = { .layout = layout, .ret = ret };
    struct json_iterator iterator;
    struct slice output;
    size_t count = 0;
    int r = buffer_append_text(ret, "[");

    buffer_init(&writer.text, ret->limit);
    if (r == 0 && json_iterate(&iterator, outputs) == 0) {
        while (r == 0 && json_next(&iterator, NULL, &output))
            r = write_output(&writer, output, count++);
    }
    if (r == 0)
        r = end_elements(&writer, count, 0, "]");
    buffer_fini(&writer.text);
    return r;
}

int
notebook_append_outputs(const struct notebook_cell *cell, struct buffer *ret)
{
    struct writer writer = { .layout = &notebook_layout_plain, .ret = ret };
    int r = buffer_append_text(ret, "[");

    buffer_init(&writer.text, ret->limit);
    for (size_t i = 0; r == 0 && i < cell->output_count; i++)
        r = write_output(&writer, cell->outputs[i], i);
    if (r == 0)
        r = end_elements(&writer, cell->output_count, 0, "]");
    buffer_fini(&writer.text);
    return r;
}
