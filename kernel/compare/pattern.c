/* SPDX-License-Identifier: MIT */
/*
 * PCRE2 understands nearly all that Python's re does; the few differences are translated
 * before it compiles. Its substitution has another syntax, so that is done here.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "kernel/compare/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "protocol/error.h"

#define MATCH_LIMIT 1000000
#define DEPTH_LIMIT 10000
#define HEAP_LIMIT_KIB ((uint32_t)64 * 1024)
#define PARTS_MAX 64
#define GROUP_MAX 99
#define NAME_BYTES_MAX 32

/* Of a replacement: bytes as they are, or what a group has matched. */
struct part {
    bool is_group;
    uint32_t group;
    size_t start, length; /* of literals */
};

struct pattern {
    pcre2_code *code; /* owned */
    struct part parts[PARTS_MAX];
    size_t n_parts;
    struct buffer literals; /* owned */
};

/* Where \Z, \uXXXX and {,n} mean something else, or nothing, to PCRE2. */
static int
translate(struct buffer *ret, const char *pattern)
{
    bool in_class = false;
    int r = 0;

    for (const char *at = pattern; r == 0 && *at != '\0'; at++) {
        if (*at == '\\' && at[1] == 'Z' && !in_class) {
            r = buffer_append_text(ret, "\\z");
            at++;
        } else if (*at == '\\' && at[1] == 'u' &&
                   strspn(at + 2, "0123456789abcdefABCDEF") >= 4) {
            r = buffer_append_format(ret, "\\x{%.4s}", at + 2);
            at += 5;
        } else if (*at == '\\' && at[1] != '\0') {
            r = buffer_append(ret, at, 2);
            at++;
        } else if (*at == '{' && at[1] == ',' && isdigit((unsigned char)at[2]) &&
                   !in_class) {
            r = buffer_append_text(ret, "{0");
        } else {
            if (*at == '[' || *at == ']')
                in_class = *at == '[';
            r = buffer_append(ret, at, 1);
        }
    }
    return r == 0 ? buffer_append(ret, "", 1) : r;
}

static int
compile(struct pattern *pattern, const char *text, uint32_t flags, struct error *err)
{
    struct buffer translated;
    PCRE2_SIZE offset = 0;
    PCRE2_UCHAR why[200];
    int code = 0, r;

    buffer_init(&translated, (size_t)8 * PATTERN_BYTES_MAX);
    r = translate(&translated, text);
    if (r == 0) {
        pattern->code = pcre2_compile(translated.data, translated.length - 1,
                                      PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | flags, &code,
                                      &offset, NULL);
        if (pattern->code == NULL && code != PCRE2_ERROR_HEAP_FAILED) {
            pcre2_get_error_message(code, why, sizeof why);
            r = error_set(err, COMPARE_E_SETTINGS,
                          "\"%s\" is not a regular expression: %s at character %zu", text,
                          (const char *)why, (size_t)offset);
        } else if (pattern->code == NULL) {
            r = -ENOMEM;
        }
    }
    buffer_fini(&translated);
    return r;
}

static int
add_literal(struct pattern *pattern, const char *data, size_t length)
{
    struct part *last =
        pattern->n_parts > 0 ? &pattern->parts[pattern->n_parts - 1] : NULL;
    size_t start = pattern->literals.length;
    int r = buffer_append(&pattern->literals, data, length);

    if (r < 0)
        return r;
    if (r == 0 && last != NULL && !last->is_group) {
        last->length += length;
        return 0;
    }
    if (r > 0 || pattern->n_parts == PARTS_MAX)
        return COMPARE_E_SETTINGS;
    pattern->parts[pattern->n_parts++] =
        (struct part){ .start = start, .length = length };
    return 0;
}

static int
add_group(struct pattern *pattern, long group)
{
    uint32_t count = 0;

    pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &count);
    if (group < 0 || group > (long)count || pattern->n_parts == PARTS_MAX)
        return COMPARE_E_SETTINGS;
    pattern->parts[pattern->n_parts++] =
        (struct part){ .is_group = true, .group = (uint32_t)group };
    return 0;
}

/* The group that <...> names; *AT is behind the "<", then behind the ">". */
static int
add_named_group(struct pattern *pattern, const char **at)
{
    const char *end = strchr(*at, '>');
    char name[NAME_BYTES_MAX + 1];
    size_t length = end != NULL ? (size_t)(end - *at) : 0;
    long group;

    if (length == 0 || length > NAME_BYTES_MAX)
        return COMPARE_E_SETTINGS;
    memcpy(name, *at, length);
    name[length] = '\0';
    *at = end + 1;
    if (strspn(name, "0123456789") == length)
        group = length <= 2 ? strtol(name, NULL, 10) : GROUP_MAX + 1;
    else
        group = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)name);
    return add_group(pattern, group);
}

/* What follows a backslash; *AT is on it, then behind it. */
static int
add_escape(struct pattern *pattern, const char **at)
{
    static const char names[] = "ntrafv\\", values[] = "\n\t\r\a\f\v\\";
    const char *found;
    long group;

    if (isdigit((unsigned char)**at) && **at != '0') {
        group = *(*at)++ - '0';
        if (isdigit((unsigned char)**at))
            group = group * 10 + (*(*at)++ - '0');
        return add_group(pattern, group);
    }
    if (**at == 'g' && (*at)[1] == '<') {
        *at += 2;
        return add_named_group(pattern, at);
    }
    found = **at != '\0' ? strchr(names, **at) : NULL;
    if (found != NULL) {
        (*at)++;
        return add_literal(pattern, values + (found - names), 1);
    }
    if (**at == '\0' || isalnum((unsigned char)**at))
        return COMPARE_E_SETTINGS;
    return add_literal(pattern, "\\", 1);
}

static int
read_replacement(struct pattern *pattern, const char *replace, struct error *err)
{
    const char *at = replace;
    size_t length;
    int r = 0;

    while (r == 0 && *at != '\0') {
        length = strcspn(at, "\\");
        if (length > 0) {
            r = add_literal(pattern, at, length);
            at += length;
        } else {
            at++;
            r = add_escape(pattern, &at);
        }
    }
    if (r == COMPARE_E_SETTINGS)
        error_set(err, r, "\"%s\" is not a replacement: what is at character %zu?",
                  replace, (size_t)(at - replace));
    return r;
}

static int
create(struct pattern **ret, const char *pattern, const char *replace, uint32_t flags,
       struct error *err)
{
    CLEANUP(pattern_destroyp) struct pattern *made = NULL;
    int r;

    if (strlen(pattern) > PATTERN_BYTES_MAX || strlen(replace) > PATTERN_BYTES_MAX)
        return error_set(err, COMPARE_E_SETTINGS,
                         "a regular expression has more than %d bytes",
                         PATTERN_BYTES_MAX);
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    buffer_init(&made->literals, PATTERN_BYTES_MAX);
    r = compile(made, pattern, flags, err);
    if (r == 0)
        r = read_replacement(made, replace, err);
    if (r == 0) {
        *ret = made;
        made = NULL;
    }
    return r;
}

int
pattern_create(struct pattern **ret, const char *pattern, const char *replace,
               struct error *err)
{
    return create(ret, pattern, replace, PCRE2_UCP | PCRE2_AUTO_CALLOUT, err);
}

int
pattern_create_trusted(struct pattern **ret, const char *pattern, const char *replace,
                       struct error *err)
{
    return create(ret, pattern, replace, 0, err);
}

void
pattern_destroy(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_code_free(pattern->code);
    buffer_fini(&pattern->literals);
    free(pattern);
}

/* PCRE2's own limits begin anew at each place of the text; this one does not. */
static int
on_step(pcre2_callout_block *block, void *arg)
{
    uint64_t *steps = arg;

    (void)block;
    if (*steps == 0)
        return PCRE2_ERROR_MATCHLIMIT;
    --*steps;
    return 0;
}

static int
append_replacement(const struct pattern *pattern, struct slice text,
                   const PCRE2_SIZE *found, uint32_t n_found, struct buffer *ret)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < pattern->n_parts; i++) {
        const struct part *part = &pattern->parts[i];

        if (!part->is_group) {
            r = buffer_append(ret, pattern->literals.data + part->start, part->length);
        } else if (part->group < n_found && found[2 * part->group] != PCRE2_UNSET &&
                   found[2 * part->group] <= found[2 * part->group + 1]) {
            r = buffer_append(ret, text.data + found[2 * part->group],
                              found[2 * part->group + 1] - found[2 * part->group]);
        }
    }
    return r;
}

/* As Python since 3.7: an empty match may follow another match, but not stand where an
 * empty one was. */
static int
replace_all(const struct pattern *pattern, struct slice text, pcre2_match_data *data,
            pcre2_match_context *context, struct buffer *ret)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(data);
    uint32_t flags = PCRE2_NO_UTF_CHECK;
    size_t at = 0, copied = 0;
    int count, r = 0;

    while (r == 0) {
        count =
            pcre2_match(pattern->code, text.data, text.length, at, flags, data, context);
        if (count == PCRE2_ERROR_NOMATCH)
            return buffer_append(ret, text.data + copied, text.length - copied);
        if (count == PCRE2_ERROR_NOMEMORY)
            return -ENOMEM;
        /* \K in a look-around can put the ends in disorder */
        if (count < 0 || found[0] > found[1] || found[0] < copied)
            return COMPARE_E_INVALID;
        r = buffer_append(ret, text.data + copied, found[0] - copied);
        if (r == 0)
            r = append_replacement(pattern, text, found, (uint32_t)count, ret);
        at = copied = found[1];
        flags = PCRE2_NO_UTF_CHECK | (found[0] == found[1] ? PCRE2_NOTEMPTY_ATSTART : 0);
    }
    return r;
}

int
pattern_replace(const struct pattern *pattern, struct slice text, uint64_t *steps,
                struct buffer *ret, struct error *err)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    struct slice subject = text.length > 0 ? text : slice_text("");
    int r = -ENOMEM;

    if (data != NULL && context != NULL) {
        pcre2_set_match_limit(context, MATCH_LIMIT);
        pcre2_set_depth_limit(context, DEPTH_LIMIT);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        pcre2_set_callout(context, on_step, steps);
        r = replace_all(pattern, subject, data, context, ret);
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    if (r > 0)
        r = error_set(
            err, COMPARE_E_INVALID,
            "a regular expression takes too many steps, or makes too much text");
    return r;
}

size_t
pattern_match_at(const struct pattern *pattern, struct slice text, size_t at)
{
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    const PCRE2_SIZE *found;
    size_t length = 0;

    if (data != NULL && text.length > 0 &&
        pcre2_match(pattern->code, text.data, text.length, at,
                    PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, data, NULL) >= 0) {
        found = pcre2_get_ovector_pointer(data);
        length = found[1] - found[0];
    }
    pcre2_match_data_free(data);
    return length;
}

int
pattern_append_escaped(struct buffer *ret, struct slice text)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < text.length; i++) {
        uint8_t byte = text.data[i];

        if (byte != 0 && strchr("\\.^$*+?{}[]()|", byte) != NULL)
            r = buffer_append(ret, "\\", 1);
        if (r == 0)
            r = buffer_append(ret, &byte, 1);
    }
    return r;
}

int
pattern_append_replacement(struct buffer *ret, struct slice text)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < text.length; i++)
        r = text.data[i] == '\\' ? buffer_append_text(ret, "\\\\")
                                 : buffer_append(ret, text.data + i, 1);
    return r;
}
