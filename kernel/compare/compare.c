/* SPDX-License-Identifier: MIT */
/*
 * Aligns the outputs of a cell. Text of streams may come in any pieces and anywhere
 * between the others, so each stream is compared as a whole.
 */
#include "kernel/compare/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/compare/bundle.h"
#include "kernel/compare/difference.h"
#include "kernel/compare/policies.h"
#include "kernel/compare/settings.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define OUTPUTS_MAX ((size_t)100000)
#define NAMES_BYTES 200

/* An output that is no stream. Plain data. */
struct output {
    const json_t *data; /* borrowed: its bundle, NULL: an error */
    const json_t *whole; /* borrowed */
    json_int_t number; /* among those that are no streams */
};

/* One side: what is expected, or what came. */
struct side {
    struct buffer streams[2]; /* owned: stdout, stderr */
    struct output *outputs; /* owned: those that count */
    size_t count;
};

static const char *const stream_names[] = { "stdout", "stderr" };

static int
append_text(struct buffer *ret, const json_t *value)
{
    CLEANUP(tree_decrefp) json_t *text = NULL;
    int r = bundle_join(&text, value);

    if (r == 0 && text != NULL)
        r = buffer_append(ret, json_string_value(text), json_string_length(text));
    return r;
}

static bool
is_type(const json_t *output, const char *type)
{
    const char *text = json_string_value(json_object_get(output, "output_type"));

    return text != NULL && strcmp(text, type) == 0;
}

static bool
error_counts(const struct settings *settings)
{
    struct policy policy;

    settings_policy(settings, "error", &policy);
    return policy.kind != POLICY_IGNORE;
}

/* Sorts one output in. COMPARE_E_INVALID: it is none. */
static int
take_output(struct side *side, const json_t *output, const struct settings *settings,
            json_int_t *number)
{
    const json_t *name = json_object_get(output, "name");
    const json_t *data = json_object_get(output, "data");
    bool is_error = is_type(output, "error"), counts;

    if (is_type(output, "stream")) {
        bool is_stderr =
            json_is_string(name) && strcmp(json_string_value(name), stream_names[1]) == 0;

        return append_text(&side->streams[is_stderr], json_object_get(output, "text"));
    }
    if (!is_error && !json_is_object(data))
        return COMPARE_E_INVALID;
    counts = is_error ? error_counts(settings) : bundle_counts(settings, data);
    if (counts)
        side->outputs[side->count++] = (struct output){ .data = is_error ? NULL : data,
                                                        .whole = output,
                                                        .number = *number };
    ++*number;
    return 0;
}

static int
take_outputs(struct side *side, const json_t *outputs, const struct settings *settings,
             struct error *err)
{
    json_int_t number = 0;
    json_t *output;
    size_t i;
    int r;

    if (!json_is_array(outputs) || json_array_size(outputs) > OUTPUTS_MAX)
        return error_set(err, COMPARE_E_INVALID, "outputs must be an array");
    side->outputs = calloc(json_array_size(outputs) + 1, sizeof *side->outputs);
    if (side->outputs == NULL)
        return -ENOMEM;
    json_array_foreach(outputs, i, output)
    {
        r = take_output(side, output, settings, &number);
        if (r != 0)
            return r < 0 ? r
                         : error_set(err, COMPARE_E_INVALID,
                                     "output %zu is none of nbformat 4", i);
    }
    return 0;
}

static void
side_init(struct side *side)
{
    *side = (struct side){ .outputs = NULL };
    for (size_t i = 0; i < N_ELEMENTS(stream_names); i++)
        buffer_init(&side->streams[i], COMPARE_MESSAGE_BYTES_MAX);
}

static void
side_fini(struct side *side)
{
    for (size_t i = 0; i < N_ELEMENTS(stream_names); i++)
        buffer_fini(&side->streams[i]);
    free(side->outputs);
}

static int
compare_stream(struct findings *findings, const char *name, struct slice expected,
               struct slice actual)
{
    struct policy policy;

    settings_policy(findings->settings, name, &policy);
    if (policy.kind == POLICY_IGNORE)
        return 0;
    if (policy.kind == POLICY_EXACT)
        return policy_compare_exact(findings, &policy, DIFFERENCE_OF_STREAM, expected,
                                    actual);
    return policy_compare_text(findings, &policy, DIFFERENCE_OF_STREAM, expected, actual);
}

static int
append_error(struct buffer *ret, const json_t *output)
{
    int r = append_text(ret, json_object_get(output, "ename"));

    if (r == 0)
        r = buffer_append_text(ret, ": ");
    return r == 0 ? append_text(ret, json_object_get(output, "evalue")) : r;
}

static int
compare_errors(struct findings *findings, const struct output *expected,
               const struct output *actual)
{
    struct buffer texts[2];
    struct policy policy;
    int r;

    settings_policy(findings->settings, "error", &policy);
    buffer_init(&texts[0], COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&texts[1], COMPARE_MESSAGE_BYTES_MAX);
    r = append_error(&texts[0], expected->whole);
    if (r == 0)
        r = append_error(&texts[1], actual->whole);
    if (r == 0)
        r = policy_compare_text(findings, &policy, expected->number,
                                buffer_slice(&texts[0]), buffer_slice(&texts[1]));
    buffer_fini(&texts[0]);
    buffer_fini(&texts[1]);
    return r;
}

static void
describe_output(const struct output *output, char text[NAMES_BYTES])
{
    const char *name = json_string_value(json_object_get(output->whole, "ename"));

    text[0] = '\0';
    if (output->data != NULL)
        bundle_describe(output->data, text, NAMES_BYTES);
    else
        snprintf(text, NAMES_BYTES, "%.100s", name != NULL ? name : "an error");
}

static int
add_whole(struct findings *findings, const struct output *output, bool is_actual)
{
    CLEANUP(tree_decrefp) json_t *text = NULL;
    struct difference difference;
    char names[NAMES_BYTES];
    struct slice shown = { NULL, 0 };
    struct buffer error;
    int r = 0;

    buffer_init(&error, COMPARE_MESSAGE_BYTES_MAX);
    describe_output(output, names);
    difference_init(&difference, NULL, output->number, is_actual ? "extra" : "missing",
                    is_actual ? "output %lld came and is not expected: %s"
                              : "output %lld is expected and did not come: %s",
                    (long long)output->number, names);
    if (output->data == NULL) {
        r = append_error(&error, output->whole);
        shown = buffer_slice(&error);
    } else {
        r = bundle_join(&text, json_object_get(output->data, "text/plain"));
        if (text != NULL)
            shown = (struct slice){ (const uint8_t *)json_string_value(text),
                                    json_string_length(text) };
    }
    *(is_actual ? &difference.actual : &difference.expected) = shown;
    if (r >= 0)
        r = findings_add(findings, &difference);
    buffer_fini(&error);
    return r;
}

static int
compare_pair(struct findings *findings, const struct output *expected,
             const struct output *actual)
{
    int r;

    if (expected->data != NULL && actual->data != NULL)
        return bundle_compare(findings, expected->number, expected->data, actual->data);
    if (expected->data == NULL && actual->data == NULL)
        return compare_errors(findings, expected, actual);
    r = add_whole(findings, expected, false);
    return r == 0 ? add_whole(findings, actual, true) : r;
}

static int
pair_agrees(struct findings *findings, const struct output *expected,
            const struct output *actual, bool *ret)
{
    CLEANUP(tree_decrefp) json_t *differences = json_array();
    struct findings scratch = { .settings = findings->settings,
                                .differences = differences };
    int r = differences == NULL ? -ENOMEM : compare_pair(&scratch, expected, actual);

    *ret = r == 0 && json_array_size(differences) == 0;
    return r;
}

/* When one side has more, those that agree at the beginning and at the end belong
 * together: so that one output too many is not a difference for each that follows. */
static int
skip_agreeing(struct findings *findings, const struct side *expected,
              const struct side *actual, size_t *ret_head, size_t *ret_tail)
{
    size_t n = expected->count, m = actual->count, head = 0, tail = 0;
    bool agree = n != m;
    int r = 0;

    while (r == 0 && agree && head < n && head < m) {
        r = pair_agrees(findings, &expected->outputs[head], &actual->outputs[head],
                        &agree);
        head += agree;
    }
    agree = n != m;
    while (r == 0 && agree && head + tail < n && head + tail < m) {
        r = pair_agrees(findings, &expected->outputs[n - 1 - tail],
                        &actual->outputs[m - 1 - tail], &agree);
        tail += agree;
    }
    *ret_head = head;
    *ret_tail = tail;
    return r;
}

static int
compare_sides(struct findings *findings, const struct side *expected,
              const struct side *actual)
{
    size_t head = 0, tail = 0, i;
    int r = 0;

    for (i = 0; r == 0 && i < N_ELEMENTS(stream_names); i++)
        r = compare_stream(findings, stream_names[i], buffer_slice(&expected->streams[i]),
                           buffer_slice(&actual->streams[i]));
    if (r == 0)
        r = skip_agreeing(findings, expected, actual, &head, &tail);
    for (i = head; r == 0 && !findings_are_full(findings); i++) {
        bool was = i < expected->count - tail, is = i < actual->count - tail;

        if (was && is)
            r = compare_pair(findings, &expected->outputs[i], &actual->outputs[i]);
        else if (was || is)
            r = add_whole(findings, was ? &expected->outputs[i] : &actual->outputs[i],
                          is);
        else
            break;
    }
    return r;
}

static int
compare_outputs(struct findings *findings, const json_t *request, struct error *err)
{
    const json_t *expected = json_object_get(request, "expected");
    const json_t *actual = json_object_get(request, "actual");
    struct side sides[2];
    int r;

    if (json_is_array(expected) && json_equal(expected, actual))
        return 0;
    side_init(&sides[0]);
    side_init(&sides[1]);
    r = take_outputs(&sides[0], expected, findings->settings, err);
    if (r > 0)
        error_wrap(err, r, "expected");
    if (r == 0) {
        r = take_outputs(&sides[1], actual, findings->settings, err);
        if (r > 0)
            error_wrap(err, r, "actual");
    }
    if (r == 0)
        r = compare_sides(findings, &sides[0], &sides[1]);
    side_fini(&sides[0]);
    side_fini(&sides[1]);
    return r;
}

static int
answer(json_t **ret, json_t *differences, const struct error *err)
{
    bool agree = err->code == 0 && json_array_size(differences) == 0;
    json_t *made =
        json_pack("{s:b, s:O}", "agree", (int)agree, "differences", differences);

    if (made != NULL && err->code != 0 &&
        json_object_set_new(made, "error", json_string(err->text)) != 0) {
        json_decref(made);
        made = NULL;
    }
    if (made == NULL)
        return -ENOMEM;
    *ret = made;
    return 0;
}

int
compare_answer(json_t **ret, const json_t *request)
{
    CLEANUP(settings_destroyp) struct settings *settings = NULL;
    CLEANUP(tree_decrefp) json_t *differences = json_array();
    struct findings findings = { .differences = differences };
    struct error err = { 0 };
    int r;

    if (differences == NULL)
        return -ENOMEM;
    findings.propose = json_is_true(json_object_get(request, "propose"));
    r = settings_create(&settings, json_object_get(request, "settings"),
                        json_object_get(request, "cell"), &err);
    if (r == 0) {
        findings.settings = settings;
        r = compare_outputs(&findings, request, &err);
    }
    return r < 0 ? r : answer(ret, differences, &err);
}
