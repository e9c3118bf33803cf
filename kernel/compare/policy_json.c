/* SPDX-License-Identifier: MIT */
/*
 * JSON by its meaning. Depth is bounded: requests have at most COMPARE_DEPTH_MAX levels.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/difference.h"
#include "kernel/compare/lines.h"
#include "kernel/compare/numbers.h"
#include "kernel/compare/policies.h"
#include "kernel/compare/prepare.h"
#include "kernel/compare/settings.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define PATH_BYTES_MAX 256
#define WHAT_BYTES_MAX 120
#define SEGMENT_BYTES_MAX 256

struct walk {
    struct findings *findings; /* borrowed */
    const struct policy *policy; /* borrowed */
    char path[PATH_BYTES_MAX]; /* of what is being compared; cut when it is longer */
    size_t path_length;
    size_t count; /* of values that differ */
    char first[4 * PATH_BYTES_MAX]; /* the first of them, in words */
    json_t *numbers; /* borrowed */
    unsigned depth;
};

/* The first segment of a JSON pointer, unescaped, and what follows; false: too long. */
static bool
next_segment(const char **pointer, char *ret)
{
    const char *at = *pointer + 1;
    size_t n = 0;

    for (; *at != '\0' && *at != '/'; at++) {
        if (n + 1 == SEGMENT_BYTES_MAX)
            return false;
        ret[n++] = *at;
        if (*at == '~' && (at[1] == '0' || at[1] == '1'))
            ret[n - 1] = *++at == '0' ? '~' : '/';
    }
    ret[n] = '\0';
    *pointer = at;
    return true;
}

static void prune(json_t *value, const char *pointer);

static void
prune_member(json_t *object, const char *name, const char *rest)
{
    if (*rest == '\0')
        json_object_del(object, name);
    else
        prune(json_object_get(object, name), rest);
}

/* What stands for an element stays, as null: the places of the others count. */
static void
prune_element(json_t *array, size_t i, const char *rest)
{
    if (*rest == '\0')
        json_array_set_new(array, i, json_null());
    else
        prune(json_array_get(array, i), rest);
}

static void
prune(json_t *value, const char *pointer)
{
    char name[SEGMENT_BYTES_MAX], number[32];
    const char *key;
    json_t *member;
    void *safe;
    size_t i;

    if (*pointer != '/' || !next_segment(&pointer, name))
        return;
    if (strcmp(name, "*") == 0 && *pointer == '\0') {
        json_object_clear(value);
        json_array_clear(value);
    } else if (strcmp(name, "*") == 0) {
        json_object_foreach_safe(value, safe, key, member) prune(member, pointer);
        json_array_foreach(value, i, member) prune(member, pointer);
    } else if (json_is_object(value)) {
        prune_member(value, name, pointer);
    } else {
        for (i = 0; i < json_array_size(value) && strlen(name) < sizeof number; i++) {
            snprintf(number, sizeof number, "%zu", i);
            if (strcmp(number, name) == 0)
                prune_element(value, i, pointer);
        }
    }
}

/* A copy of VALUE without what is ignored; an empty pointer ignores all. */
static json_t *
pruned(const json_t *value, const struct policy *policy)
{
    json_t *copy = json_deep_copy(value), *pointer;
    size_t j;

    for (size_t i = 0; copy != NULL && i < policy->n_places; i++) {
        const json_t *pointers = json_object_get(policy->places[i], "ignore");

        json_array_foreach(pointers, j, pointer)
        {
            if (json_string_length(pointer) == 0) {
                json_decref(copy);
                return json_null();
            }
            prune(copy, json_string_value(pointer));
        }
    }
    return copy;
}

static void
say(char ret[WHAT_BYTES_MAX], const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    if (value == NULL)
        snprintf(ret, WHAT_BYTES_MAX, "nothing");
    else if (json_is_integer(value))
        snprintf(ret, WHAT_BYTES_MAX, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(ret, WHAT_BYTES_MAX, "%.15g", json_real_value(value));
    else if (json_is_string(value))
        snprintf(ret, WHAT_BYTES_MAX, "\"%.60s\"%s", json_string_value(value),
                 json_string_length(value) > 60 ? " (cut)" : "");
    else
        snprintf(ret, WHAT_BYTES_MAX, "%s", names[json_typeof(value)]);
}

static int
note(struct walk *walk, const json_t *expected, const json_t *actual)
{
    char was[WHAT_BYTES_MAX], is[WHAT_BYTES_MAX];

    if (walk->count++ == 0) {
        say(was, expected);
        say(is, actual);
        snprintf(walk->first, sizeof walk->first, "at \"%s\": %s instead of %s",
                 walk->path, is, was);
    }
    if (json_is_number(expected) && json_is_number(actual))
        return numbers_add(walk->numbers, json_number_value(expected),
                           json_number_value(actual));
    return 0;
}

/* Strings that differ may be equal after all rules. */
static int
compare_strings(struct walk *walk, const json_t *expected, const json_t *actual,
                bool *ret_agree)
{
    const struct slice raw[2] = {
        { (const uint8_t *)json_string_value(expected), json_string_length(expected) },
        { (const uint8_t *)json_string_value(actual), json_string_length(actual) }
    };
    struct buffer rooms[2];
    int r = 0;

    *ret_agree = json_equal(expected, actual);
    if (*ret_agree)
        return 0;
    buffer_init(&rooms[0], COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&rooms[1], COMPARE_MESSAGE_BYTES_MAX);
    for (int i = 0; r == 0 && i < 2; i++)
        r = prepare_text(walk->findings->settings, walk->policy, raw[i], &rooms[i], NULL);
    *ret_agree = r == 0 && rooms[0].length == rooms[1].length &&
                 (rooms[0].length == 0 ||
                  memcmp(rooms[0].data, rooms[1].data, rooms[0].length) == 0);
    buffer_fini(&rooms[0]);
    buffer_fini(&rooms[1]);
    return r < 0 ? r : 0;
}

static int compare_values(struct walk *walk, const json_t *expected,
                          const json_t *actual);

/* Goes down to NAME, or to element INDEX when it is NULL. */
static int
compare_inside(struct walk *walk, const char *name, size_t index, const json_t *expected,
               const json_t *actual)
{
    size_t length = walk->path_length, left = sizeof walk->path - length;
    int written = name != NULL ? snprintf(walk->path + length, left, "/%.64s", name)
                               : snprintf(walk->path + length, left, "/%zu", index);
    int r;

    if (written > 0)
        walk->path_length += (size_t)written < left ? (size_t)written : left - 1;
    r = expected == NULL || actual == NULL ? note(walk, expected, actual)
                                           : compare_values(walk, expected, actual);
    walk->path_length = length;
    walk->path[length] = '\0';
    return r;
}

static int
compare_objects(struct walk *walk, const json_t *expected, const json_t *actual)
{
    const char *name;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)expected, name, value)
    {
        r = compare_inside(walk, name, 0, value, json_object_get(actual, name));
        if (r < 0)
            return r;
    }
    json_object_foreach((json_t *)actual, name, value)
    {
        if (json_object_get(expected, name) == NULL)
            r = compare_inside(walk, name, 0, NULL, value);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
compare_arrays(struct walk *walk, const json_t *expected, const json_t *actual)
{
    size_t n = json_array_size(expected), m = json_array_size(actual);
    int r = 0;

    for (size_t i = 0; r == 0 && i < (n > m ? n : m); i++)
        r = compare_inside(walk, NULL, i, json_array_get(expected, i),
                           json_array_get(actual, i));
    return r;
}

static bool
numbers_agree(const json_t *expected, const json_t *actual,
              const struct tolerance *tolerance)
{
    static const struct tolerance none = { 0, 0 };

    if (json_is_integer(expected) && json_is_integer(actual))
        return json_integer_value(expected) == json_integer_value(actual);
    /* 1 is 1.0, but not nearly 1.0 */
    return numbers_near(json_number_value(expected), json_number_value(actual),
                        json_is_real(expected) && json_is_real(actual) ? tolerance
                                                                       : &none);
}

static int
compare_values(struct walk *walk, const json_t *expected, const json_t *actual)
{
    bool agree;
    int r = 0;

    if (walk->depth >= COMPARE_DEPTH_MAX)
        return note(walk, expected, actual);
    walk->depth++;
    if (json_is_object(expected) && json_is_object(actual)) {
        r = compare_objects(walk, expected, actual);
    } else if (json_is_array(expected) && json_is_array(actual)) {
        r = compare_arrays(walk, expected, actual);
    } else {
        if (json_is_number(expected) && json_is_number(actual))
            agree = numbers_agree(expected, actual, &walk->policy->tolerance);
        else if (json_is_string(expected) && json_is_string(actual))
            r = compare_strings(walk, expected, actual, &agree);
        else
            agree = json_typeof(expected) == json_typeof(actual);
        if (r == 0 && !agree)
            r = note(walk, expected, actual);
    }
    walk->depth--;
    return r;
}

static int
write_out(struct buffer *ret, const json_t *tree)
{
    int r = tree_append(ret, tree, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_ENCODE_ANY);

    return r > 0 ? buffer_append_text(ret, "\n") : r; /* cut */
}

static int
add(struct walk *walk, json_int_t output, const json_t *expected, const json_t *actual)
{
    struct lines_difference lines = { .lines = NULL };
    struct difference difference;
    struct buffer texts[2];
    int r;

    buffer_init(&texts[0], COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&texts[1], COMPARE_MESSAGE_BYTES_MAX);
    r = write_out(&texts[0], expected);
    if (r == 0)
        r = write_out(&texts[1], actual);
    if (r == 0)
        r = lines_compare(&lines, buffer_slice(&texts[0]), buffer_slice(&texts[1]),
                          &walk->policy->tolerance);
    if (r == 0) {
        difference_init(&difference, walk->policy, output, "differs", "%s", walk->first);
        if (walk->count > 1)
            snprintf(difference.message, sizeof difference.message,
                     "%.400s, and %zu more values differ", walk->first, walk->count - 1);
        difference.expected = buffer_slice(&texts[0]);
        difference.actual = buffer_slice(&texts[1]);
        difference.lines = json_incref(lines.lines);
        difference.numbers = json_incref(walk->numbers);
        r = findings_add(walk->findings, &difference);
    }
    lines_difference_fini(&lines);
    buffer_fini(&texts[0]);
    buffer_fini(&texts[1]);
    return r < 0 ? r : 0;
}

int
policy_compare_json(struct findings *findings, const struct policy *policy,
                    json_int_t output, const json_t *expected, const json_t *actual)
{
    CLEANUP(tree_decrefp) json_t *was = NULL, *is = NULL, *numbers = json_array();
    struct walk walk = { .findings = findings, .policy = policy, .numbers = numbers };
    int r;

    was = pruned(expected, policy);
    is = pruned(actual, policy);
    if (was == NULL || is == NULL || numbers == NULL)
        return -ENOMEM;
    r = compare_values(&walk, was, is);
    if (r == 0 && walk.count > 0)
        r = add(&walk, output, was, is);
    return r;
}
