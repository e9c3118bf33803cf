/* SPDX-License-Identifier: MIT */
#include "kernel/compare/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/difference.h"
#include "kernel/compare/policies.h"
#include "kernel/compare/settings.h"
#include "protocol/cleanup.h"
#include "protocol/tree.h"

#define TYPES_MAX 100 /* of a bundle; Jupyter's have less than ten */

/* How much of an output a type tells. The first that matches counts. */
static const struct {
    const char *type;
    unsigned rank;
} richness[] = {
    { "application/vnd.*json", 100 },
    { "image/svg+xml", 90 },
    { "image/png", 80 },
    { "image/jpeg", 70 },
    { "image/*", 65 },
    { "text/html", 60 },
    { "text/latex", 50 },
    { "text/markdown", 40 },
    { "application/json", 30 },
    { "application/*+json", 30 },
    { "application/*", 25 },
    { "text/plain", 10 },
    { "*", 20 },
};

static unsigned
rank_of(const char *type)
{
    for (size_t i = 0; i < N_ELEMENTS(richness); i++)
        if (type_matches(richness[i].type, type))
            return richness[i].rank;
    return 0;
}

/* The richest first; of equal ones, by name. */
static int
compare_types(const void *one, const void *other)
{
    const char *a = *(const char *const *)one, *b = *(const char *const *)other;
    unsigned rank_a = rank_of(a), rank_b = rank_of(b);

    return rank_a != rank_b ? (rank_a < rank_b) - (rank_a > rank_b) : strcmp(a, b);
}

/* The types of both (ACTUAL may be NULL), sorted. */
static size_t
collect_types(const char *ret[TYPES_MAX], const json_t *expected, const json_t *actual)
{
    const char *type;
    json_t *value;
    size_t count = 0;

    json_object_foreach((json_t *)expected, type, value)
    {
        if (count < TYPES_MAX)
            ret[count++] = type;
    }
    json_object_foreach((json_t *)actual, type, value)
    {
        if (count < TYPES_MAX && json_object_get(expected, type) == NULL)
            ret[count++] = type;
    }
    qsort(ret, count, sizeof *ret, compare_types);
    return count;
}

bool
bundle_counts(const struct settings *settings, const json_t *bundle)
{
    struct policy policy;
    const char *type;
    json_t *value;

    json_object_foreach((json_t *)bundle, type, value)
    {
        settings_policy(settings, type, &policy);
        if (policy.kind != POLICY_IGNORE)
            return true;
    }
    return false;
}

void
bundle_describe(const json_t *bundle, char *text, size_t size)
{
    const char *types[TYPES_MAX];
    size_t count = collect_types(types, bundle, NULL), used = 0;

    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%.64s", i > 0 ? ", " : "",
                                 types[i]);
}

int
bundle_join(json_t **ret, const json_t *value)
{
    struct buffer joined;
    json_t *piece, *made;
    size_t i;
    int r = 0;

    *ret = NULL;
    if (json_is_string(value))
        *ret = json_incref((json_t *)value);
    if (!json_is_array(value))
        return 0;
    buffer_init(&joined, COMPARE_MESSAGE_BYTES_MAX);
    json_array_foreach(value, i, piece)
    {
        if (r == 0 && json_is_string(piece))
            r = buffer_append(&joined, json_string_value(piece),
                              json_string_length(piece));
        else if (r == 0)
            r = COMPARE_E_INVALID;
    }
    if (r == 0) {
        made = json_stringn_nocheck(joined.length > 0 ? (char *)joined.data : "",
                                    joined.length);
        *ret = made;
        r = made == NULL ? -ENOMEM : 0;
    }
    buffer_fini(&joined);
    return r < 0 ? r : 0;
}

static struct slice
text_of(const json_t *string)
{
    return (struct slice){ (const uint8_t *)json_string_value(string),
                           json_string_length(string) };
}

static int
compare_joined(struct findings *findings, const struct policy *policy, json_int_t output,
               struct slice expected, struct slice actual)
{
    switch (policy->kind) {
    case POLICY_IMAGE:
        return policy_compare_image(findings, policy, output, expected, actual);
    case POLICY_EXACT:
        return policy_compare_exact(findings, policy, output, expected, actual);
    default:
        return policy_compare_text(findings, policy, output, expected, actual);
    }
}

/* What is no text can still be compared: as the JSON that it is. */
static int
compare_type(struct findings *findings, const struct policy *policy, json_int_t output,
             const json_t *expected, const json_t *actual)
{
    CLEANUP(tree_decrefp) json_t *was = NULL, *is = NULL;
    int r;

    if (json_equal(expected, actual))
        return 0;
    if (policy->kind == POLICY_JSON)
        return policy_compare_json(findings, policy, output, expected, actual);
    r = bundle_join(&was, expected);
    if (r == 0)
        r = bundle_join(&is, actual);
    if (r < 0)
        return r;
    if (was == NULL || is == NULL)
        return policy_compare_json(findings, policy, output, expected, actual);
    return compare_joined(findings, policy, output, text_of(was), text_of(is));
}

static int
add_one_sided(struct findings *findings, const struct policy *policy, json_int_t output,
              const json_t *expected, const json_t *actual)
{
    CLEANUP(tree_decrefp) json_t *text = NULL;
    struct difference difference;
    int r = bundle_join(&text, expected != NULL ? expected : actual);

    if (r < 0)
        return r;
    difference_init(&difference, policy, output, expected != NULL ? "missing" : "extra",
                    expected != NULL ? "%.100s is expected and did not come"
                                     : "%.100s came and is not expected",
                    policy->type);
    if (text != NULL && policy->kind != POLICY_IMAGE && expected != NULL)
        difference.expected = text_of(text);
    else if (text != NULL && policy->kind != POLICY_IMAGE)
        difference.actual = text_of(text);
    return findings_add(findings, &difference);
}

int
bundle_compare(struct findings *findings, json_int_t output, const json_t *expected,
               const json_t *actual)
{
    const char *types[TYPES_MAX];
    size_t count, before;
    struct policy policy;
    bool decided = false;
    int r = 0;

    if (json_equal(expected, actual))
        return 0;
    count = collect_types(types, expected, actual);
    for (size_t i = 0; r == 0 && i < count && !decided; i++) {
        const json_t *was = json_object_get(expected, types[i]);
        const json_t *is = json_object_get(actual, types[i]);

        settings_policy(findings->settings, types[i], &policy);
        if (policy.kind == POLICY_IGNORE)
            continue;
        if (was == NULL || is == NULL) {
            r = add_one_sided(findings, &policy, output, was, is);
            continue;
        }
        before = json_array_size(findings->differences);
        r = compare_type(findings, &policy, output, was, is);
        decided = !findings->settings->all_types &&
                  before == json_array_size(findings->differences);
    }
    return r;
}
