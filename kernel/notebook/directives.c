/* SPDX-License-Identifier: MIT */
/*
 * A cell's marks are read in the order in which they count: its metadata, its tags, its
 * comments. What each of them sets is remembered, so that a contradiction can be told.
 */
#include "kernel/notebook/directives.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/notebook/criteria.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/notebook.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define METADATA_BYTES_MAX ((size_t)1024 * 1024) /* of "cellwall" */
#define METADATA_DEPTH_MAX 32
#define WORD_BYTES_MAX 256 /* a tag that is longer is none of ours */
#define SHOWN_BYTES 64
#define NOTES_MAX 100
#define TIMEOUT_MAX_S 1e6
#define PREFIX "cellwall-"
#define INTRODUCTION "cellwall:"

struct reading {
    struct directives *directives;
    json_t *said; /* owned: by what is set, [value, who said it] */
    json_t *only; /* owned: types */
    json_t *notes; /* borrowed, or NULL */
    struct error *err;
    const char *place; /* "tag" or "comment" */
};

/* One word, without our prefix. */
struct word {
    const char *whole; /* as it stands there */
    char name[WORD_BYTES_MAX];
    const char *value; /* NULL: none */
};

typedef int apply_fn(struct reading *reading, const struct word *word);

/* TEXT as it can stand in a sentence. */
static void
show(char ret[SHOWN_BYTES + 1], const char *text)
{
    size_t length = strnlen(text, SHOWN_BYTES);

    length = text_utf8_whole(text, length);
    for (size_t i = 0; i < length; i++)
        ret[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    ret[length] = '\0';
}

static int
add_note(json_t *notes, const char *text)
{
    if (notes == NULL || json_array_size(notes) >= NOTES_MAX)
        return 0;
    return json_array_append_new(notes, json_string(text)) == 0 ? 0 : -ENOMEM;
}

static int
refuse(struct reading *reading, const struct word *word, const char *why)
{
    char shown[SHOWN_BYTES + 1];

    show(shown, word->whole);
    return error_set(reading->err, DIRECTIVES_E_INVALID, "%s \"%s\": %s", reading->place,
                     shown, why);
}

/* That WORD sets KEY to VALUE; a note when something else was said before. */
static int
say(struct reading *reading, const char *key, const char *value, const struct word *word)
{
    char shown[SHOWN_BYTES + 1], who[SHOWN_BYTES + 16], text[256];
    const json_t *before = json_object_get(reading->said, key);
    int r = 0;

    show(shown, word->whole);
    snprintf(who, sizeof who, "%s \"%s\"", reading->place, shown);
    if (before != NULL &&
        strcmp(json_string_value(json_array_get(before, 0)), value) != 0) {
        snprintf(text, sizeof text, "%s contradicts %s, and counts", who,
                 json_string_value(json_array_get(before, 1)));
        r = add_note(reading->notes, text);
    }
    if (r == 0 &&
        json_object_set_new(reading->said, key, json_pack("[s,s]", value, who)) < 0)
        r = -ENOMEM;
    return r;
}

static int
apply_skip(struct reading *reading, const struct word *word)
{
    reading->directives->skip = true;
    return say(reading, "skip", "true", word);
}

static int
apply_raises(struct reading *reading, const struct word *word)
{
    reading->directives->raises = DIRECTIVES_MUST_RAISE;
    return say(reading, "raises", "must", word);
}

static int
apply_may_raise(struct reading *reading, const struct word *word)
{
    reading->directives->raises = DIRECTIVES_MAY_RAISE;
    return say(reading, "raises", "may", word);
}

static int
apply_check(struct reading *reading, const struct word *word)
{
    reading->directives->compare = DIRECTIVES_COMPARE;
    return say(reading, "compare", "true", word);
}

/* The object that the settings for this cell are in. NULL: no memory. */
static json_t *
comparison(struct directives *directives)
{
    if (directives->comparison == NULL)
        directives->comparison = json_object();
    return directives->comparison;
}

static int
set_type(struct directives *directives, const char *type, const char *policy)
{
    json_t *settings = comparison(directives);
    json_t *types = json_object_get(settings, "types");

    if (types == NULL) {
        types = json_object();
        if (json_object_set_new(settings, "types", types) < 0)
            return -ENOMEM;
    }
    return json_object_set_new(types, type, json_string(policy)) == 0 ? 0 : -ENOMEM;
}

static int
apply_type(struct reading *reading, const struct word *word, const char *policy)
{
    char key[WORD_BYTES_MAX + 8];
    int r;

    if (!criteria_is_type(word->value))
        return refuse(reading, word,
                      "the type must be a MIME type, stdout, stderr or error");
    r = set_type(reading->directives, word->value, policy);
    snprintf(key, sizeof key, "types.%s", word->value);
    return r == 0 ? say(reading, key, policy, word) : r;
}

static int
apply_ignore(struct reading *reading, const struct word *word)
{
    if (word->value != NULL)
        return apply_type(reading, word, "ignore");
    reading->directives->compare = DIRECTIVES_IGNORE;
    return say(reading, "compare", "false", word);
}

static int
apply_exact(struct reading *reading, const struct word *word)
{
    return apply_type(reading, word, "exact");
}

static int
apply_only(struct reading *reading, const struct word *word)
{
    if (!criteria_is_type(word->value))
        return refuse(reading, word,
                      "the type must be a MIME type, stdout, stderr or error");
    return json_array_append_new(reading->only, json_string(word->value)) == 0 ? 0
                                                                               : -ENOMEM;
}

static bool
read_number(const char *text, double *ret)
{
    char *end;

    /* No "inf", "nan", hexadecimal or white space. */
    if (text[0] == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0')
        return false;
    *ret = strtod(text, &end);
    return *end == '\0';
}

static int
apply_timeout(struct reading *reading, const struct word *word)
{
    double seconds;

    if (!read_number(word->value, &seconds) || !(seconds > 0) || seconds > TIMEOUT_MAX_S)
        return refuse(reading, word, "it must be seconds, such as 30, at most 1000000");
    reading->directives->timeout_s = seconds;
    return say(reading, "timeout", word->value, word);
}

static int
apply_number(struct reading *reading, const struct word *word)
{
    CLEANUP(tree_decrefp) json_t *value = NULL;
    struct error why = { 0 };
    double number;

    if (!read_number(word->value, &number))
        return refuse(reading, word, "it must be a number");
    if (!isfinite(number))
        return refuse(reading, word, "it is too large");
    value = json_real(number);
    if (value != NULL && criteria_check_member(word->name, value, &why) != 0)
        return refuse(reading, word, why.text);
    if (json_object_set(comparison(reading->directives), word->name, value) < 0)
        return -ENOMEM;
    return say(reading, word->name, word->value, word);
}

enum value { VALUE_NONE, VALUE_NEEDED, VALUE_ALLOWED };

static const struct ours {
    const char *name;
    enum value value;
    apply_fn *apply;
} ours[] = {
    { "skip", VALUE_NONE, apply_skip },
    { "ignore", VALUE_ALLOWED, apply_ignore }, /* outputs, or those of a type */
    { "check", VALUE_NONE, apply_check },
    { "raises", VALUE_NONE, apply_raises },
    { "timeout", VALUE_NEEDED, apply_timeout },
    { "rtol", VALUE_NEEDED, apply_number },
    { "atol", VALUE_NEEDED, apply_number },
    { "rms", VALUE_NEEDED, apply_number },
    { "pixels", VALUE_NEEDED, apply_number },
    { "only", VALUE_NEEDED, apply_only },
    { "exact", VALUE_NEEDED, apply_exact },
};

/* Those of nbval and nbclient. */
static const struct theirs {
    const char *comment, *tag; /* or NULL */
    apply_fn *apply;
} theirs[] = {
    { "PYTEST_VALIDATE_IGNORE_OUTPUT", "pytest-validate-ignore-output", apply_ignore },
    { "NBVAL_IGNORE_OUTPUT", "nbval-ignore-output", apply_ignore },
    { "NBVAL_CHECK_OUTPUT", "nbval-check-output", apply_check },
    { "NBVAL_RAISES_EXCEPTION", "nbval-raises-exception", apply_may_raise },
    { "NBVAL_SKIP", "nbval-skip", apply_skip },
    { NULL, "raises-exception", apply_may_raise },
    { NULL, "skip-execution", apply_skip },
};

/* WHOLE: "NAME" or "NAME=VALUE" behind SKIPPED bytes. */
static int
apply_ours(struct reading *reading, const char *whole, size_t skipped)
{
    struct word word = { .whole = whole };
    char *equals;

    snprintf(word.name, sizeof word.name, "%s", whole + skipped);
    equals = strchr(word.name, '=');
    if (equals != NULL) {
        *equals = '\0';
        word.value = equals + 1;
    }
    for (size_t i = 0; i < N_ELEMENTS(ours); i++) {
        if (strcmp(ours[i].name, word.name) != 0)
            continue;
        if (ours[i].value == VALUE_NONE && word.value != NULL)
            return refuse(reading, &word, "it takes no value");
        if (ours[i].value == VALUE_NEEDED && word.value == NULL)
            return refuse(reading, &word, "its value is missing, as in NAME=VALUE");
        return ours[i].apply(reading, &word);
    }
    return refuse(reading, &word,
                  "there is no such directive; there are skip, ignore, check, raises, "
                  "timeout, rtol, atol, rms, pixels, only and exact");
}

static int
apply_theirs(struct reading *reading, const char *text, bool is_tag)
{
    for (size_t i = 0; i < N_ELEMENTS(theirs); i++) {
        const char *name = is_tag ? theirs[i].tag : theirs[i].comment;
        const struct word word = { .whole = text };

        if (name != NULL && strcmp(name, text) == 0)
            return theirs[i].apply(reading, &word);
    }
    return 0;
}

static int
read_tag(struct reading *reading, const char *tag)
{
    size_t length = strlen(PREFIX);

    if (strncmp(tag, PREFIX, length) == 0)
        return apply_ours(reading, tag, length);
    return apply_theirs(reading, tag, true);
}

static int
read_tags(struct reading *reading, struct slice metadata)
{
    struct json_iterator iterator;
    struct slice tags, tag;
    char text[WORD_BYTES_MAX];
    int r = 0;

    if (json_member(metadata, "tags", &tags) != 0)
        return 0;
    if (json_kind(tags) != JSON_KIND_ARRAY || json_iterate(&iterator, tags) != 0)
        return add_note(reading->notes, "the cell's tags are not a list: they are not "
                                        "looked at");
    reading->place = "tag";
    while (r == 0 && json_next(&iterator, NULL, &tag)) {
        int got = json_get_string(tag, text, sizeof text);

        if (got == 0)
            r = read_tag(reading, text);
    }
    return r;
}

static int
read_metadata(struct reading *reading, struct slice metadata)
{
    static const struct json_limits limits = { METADATA_BYTES_MAX, METADATA_DEPTH_MAX };
    CLEANUP(tree_decrefp) json_t *settings = NULL;
    struct slice value;
    int r;

    if (json_member(metadata, "cellwall", &value) != 0)
        return 0;
    r = tree_load_object(&settings, value, &limits, reading->err);
    if (r == 0 && criteria_check(settings, reading->err) != 0)
        r = DIRECTIVES_E_INVALID;
    if (r > 0)
        return error_wrap(reading->err, DIRECTIVES_E_INVALID, "metadata.cellwall");
    if (r < 0)
        return r;
    reading->directives->comparison = settings;
    settings = NULL;
    return 0;
}

static const char *
comment_sign(const char *language)
{
    static const struct {
        const char *language, *sign;
    } rows[] = {
        { "javascript", "//" }, { "typescript", "//" }, { "java", "//" },
        { "kotlin", "//" },     { "scala", "//" },      { "c++", "//" },
        { "c", "//" },          { "go", "//" },         { "rust", "//" },
        { "c#", "//" },         { "f#", "//" },         { "swift", "//" },
    };

    for (size_t i = 0; language != NULL && i < N_ELEMENTS(rows); i++)
        if (strcasecmp(rows[i].language, language) == 0)
            return rows[i].sign;
    return "#";
}

static bool
is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static bool
is_line_end(uint8_t c)
{
    return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e);
}

static struct slice
strip(struct slice text)
{
    while (text.length > 0 && is_space(text.data[0]))
        text = (struct slice){ text.data + 1, text.length - 1 };
    while (text.length > 0 && is_space(text.data[text.length - 1]))
        text.length--;
    return text;
}

static bool
starts_with(struct slice text, const char *start)
{
    size_t length = strlen(start);

    return text.length >= length && memcmp(text.data, start, length) == 0;
}

/* Copies TEXT; false: it is too long to be a word of ours, or has a NUL inside. */
static bool
get_word(char ret[WORD_BYTES_MAX], struct slice text)
{
    if (text.length >= WORD_BYTES_MAX || memchr(text.data, 0, text.length) != NULL)
        return false;
    memcpy(ret, text.data, text.length);
    ret[text.length] = '\0';
    return true;
}

/* "NAME=VALUE NAME ..." */
static int
read_words(struct reading *reading, struct slice text)
{
    char word[WORD_BYTES_MAX];
    int r = 0;

    for (text = strip(text); r == 0 && text.length > 0; text = strip(text)) {
        size_t length = 0;

        while (length < text.length && !is_space(text.data[length]))
            length++;
        if (!get_word(word, (struct slice){ text.data, length }))
            return error_set(reading->err, DIRECTIVES_E_INVALID,
                             "comment \"# cellwall:\": a word is too long");
        r = apply_ours(reading, word, 0);
        text = (struct slice){ text.data + length, text.length - length };
    }
    return r;
}

static int
read_comment(struct reading *reading, struct slice line, const char *sign)
{
    char text[WORD_BYTES_MAX];

    line = strip(line);
    if (!starts_with(line, sign))
        return 0;
    while (line.length > 0 && line.data[0] == (uint8_t)sign[0])
        line = (struct slice){ line.data + 1, line.length - 1 };
    line = strip(line);
    if (starts_with(line, INTRODUCTION))
        return read_words(reading, (struct slice){ line.data + strlen(INTRODUCTION),
                                                   line.length - strlen(INTRODUCTION) });
    return get_word(text, line) ? apply_theirs(reading, text, false) : 0;
}

static int
read_comments(struct reading *reading, struct slice source, const char *sign)
{
    int r = 0;

    reading->place = "comment";
    while (r == 0 && source.length > 0) {
        size_t length = 0;

        while (length < source.length && !is_line_end(source.data[length]))
            length++;
        if (length > 0)
            r = read_comment(reading, (struct slice){ source.data, length }, sign);
        length += length < source.length;
        source = (struct slice){ source.data + length, source.length - length };
    }
    return r;
}

static bool
has_text(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (strcmp(json_string_value(json_array_get(array, i)), text) == 0)
            return true;
    return false;
}

/* All types but those of "only" are ignored; how those are compared stays as it is. What
 * a word has set itself stays, too. */
static int
apply_scope(struct reading *reading)
{
    char key[CRITERIA_TYPE_BYTES_MAX + 8];
    const char *type;
    json_t *types, *setting;
    int r;

    if (json_array_size(reading->only) == 0)
        return 0;
    r = set_type(reading->directives, "*", "ignore");
    types = json_object_get(reading->directives->comparison, "types");
    json_object_foreach(types, type, setting)
    {
        snprintf(key, sizeof key, "types.%s", type);
        if (r == 0 && !has_text(reading->only, type) &&
            json_object_get(reading->said, key) == NULL)
            r = set_type(reading->directives, type, "ignore");
    }
    for (size_t i = 0; r == 0 && i < json_array_size(reading->only); i++) {
        type = json_string_value(json_array_get(reading->only, i));
        if (json_object_get(types, type) == NULL &&
            json_object_set_new(types, type, json_object()) < 0)
            r = -ENOMEM;
    }
    return r;
}

int
directives_read(struct directives *ret, const struct notebook_cell *cell,
                const char *language, json_t *notes, struct error *err)
{
    CLEANUP(tree_decrefp) json_t *said = json_object();
    CLEANUP(tree_decrefp) json_t *only = json_array();
    CLEANUP(directives_fini) struct directives directives = { 0 };
    struct reading reading = {
        .directives = &directives, .said = said, .only = only, .notes = notes, .err = err
    };
    int r;

    if (said == NULL || only == NULL)
        return -ENOMEM;
    r = read_metadata(&reading, cell->metadata);
    if (r == 0)
        r = read_tags(&reading, cell->metadata);
    if (r == 0)
        r = read_comments(&reading, cell->source, comment_sign(language));
    if (r == 0)
        r = apply_scope(&reading);
    if (r != 0)
        return r;
    *ret = directives;
    directives = (struct directives){ 0 }; /* the caller's now */
    return 0;
}

void
directives_fini(struct directives *directives)
{
    json_decref(directives->comparison);
    *directives = (struct directives){ 0 };
}
