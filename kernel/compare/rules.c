/* SPDX-License-Identifier: MIT */
/*
 * Two lines are cut into tokens. Where only tokens of one class differ, the class stands
 * in their place, with what is around them as it is; so the rule is as narrow as can be.
 */
#include "kernel/compare/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/numbers.h"
#include "kernel/compare/prepare.h"
#include "kernel/compare/settings.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define LINE_BYTES_MAX 1000
#define TOKENS_MAX 400
#define CONTEXT_BYTES 30
#define CONTEXT_BYTES_MIN 3 /* fewer, and the rule is bound to the whole line */
#define NUMBER "-?\\d+(?:\\.\\d*)?(?:[eE][+-]?\\d+)?"

/* The first that both sides are counts. The first TOKEN_CLASSES begin tokens; of the
 * others a token is a word. */
static const struct {
    const char *pattern, *replace;
} classes[] = {
    { "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "<uuid>" },
    { "\\d{4}-\\d\\d-\\d\\d[T "
      "]\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d+)?)?(?:Z|[+-]\\d\\d:?\\d\\d)?",
      "<time>" },
    { "\\d{4}-\\d\\d-\\d\\d", "<date>" },
    { "\\d{1,2}:\\d\\d(?::\\d\\d(?:\\.\\d+)?)?", "<time>" },
    { "(?:/[\\w.+-]+){2,}/?", "<path>" },
    { NUMBER "(?!\\w)", "<number>" },
    { "0x[0-9a-fA-F]+", "<hex>" },
    { "[0-9a-fA-F]+", "<hex>" },
    { "\\w+", "<word>" },
};
#define TOKEN_CLASSES 6
#define N_CLASSES N_ELEMENTS(classes)

struct proposer {
    struct pattern *classes[N_CLASSES]; /* owned */
    struct settings *settings; /* borrowed */
    const struct policy *policy; /* borrowed */
    json_t *rules; /* owned */
};

struct tokens {
    struct slice tokens[TOKENS_MAX];
    size_t count;
};

/* Plain data: a line in which something differs. */
struct change {
    struct tokens expected, actual;
    size_t first, last; /* tokens that differ */
};

static size_t
token_length(const struct proposer *proposer, struct slice line, size_t at)
{
    size_t length = 0;

    for (size_t i = 0; length == 0 && i < TOKEN_CLASSES; i++)
        length = pattern_match_at(proposer->classes[i], line, at);
    if (length == 0)
        length = pattern_match_at(proposer->classes[N_CLASSES - 1], line, at);
    if (length == 0)
        length = 1;
    while (at + length < line.length && (line.data[at + length] & 0xc0) == 0x80)
        length++;
    return length;
}

static bool
tokenise(const struct proposer *proposer, struct tokens *ret, struct slice line)
{
    size_t length;

    ret->count = 0;
    for (size_t at = 0; at < line.length; at += length) {
        if (ret->count == TOKENS_MAX)
            return false;
        length = token_length(proposer, line, at);
        ret->tokens[ret->count++] = (struct slice){ line.data + at, length };
    }
    return true;
}

static bool
same(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* The class that both are, N_CLASSES: none. */
static size_t
class_of(const struct proposer *proposer, struct slice a, struct slice b)
{
    size_t i = 0;

    while (i < N_CLASSES && (pattern_match_at(proposer->classes[i], a, 0) != a.length ||
                             pattern_match_at(proposer->classes[i], b, 0) != b.length))
        i++;
    return i;
}

static bool
find_change(const struct proposer *proposer, struct change *ret, struct slice expected,
            struct slice actual)
{
    bool any = false;

    if (expected.length > LINE_BYTES_MAX || actual.length > LINE_BYTES_MAX ||
        !tokenise(proposer, &ret->expected, expected) ||
        !tokenise(proposer, &ret->actual, actual) ||
        ret->expected.count != ret->actual.count)
        return false;
    for (size_t i = 0; i < ret->expected.count; i++) {
        struct slice a = ret->expected.tokens[i], b = ret->actual.tokens[i];

        if (same(a, b))
            continue;
        if (class_of(proposer, a, b) == N_CLASSES)
            return false;
        ret->first = any ? ret->first : i;
        ret->last = i;
        any = true;
    }
    return any;
}

/* What a built-in rule has written is not in the text that the rule will see. */
static bool
is_marked(struct slice token)
{
    size_t length = strlen(NORMALISE_MARK);

    return token.length == length && memcmp(token.data, NORMALISE_MARK, length) == 0;
}

static bool
is_marked_within(const struct change *change)
{
    for (size_t i = change->first; i <= change->last; i++)
        if (is_marked(change->expected.tokens[i]))
            return true;
    return false;
}

static bool
is_space(struct slice token)
{
    return token.length == 1 && (*token.data == ' ' || *token.data == '\t');
}

/* Widens to what is around, as far as CONTEXT_BYTES. *RET_LITERAL: how much that is. */
static void
add_context(const struct change *change, size_t *begin, size_t *end, size_t *ret_literal)
{
    const struct slice *tokens = change->expected.tokens;
    size_t before = 0, after = 0;

    while (*begin > 0 && !is_marked(tokens[*begin - 1]) &&
           before + tokens[*begin - 1].length <= CONTEXT_BYTES)
        before += tokens[--*begin].length;
    while (*end < change->expected.count && !is_marked(tokens[*end]) &&
           after + tokens[*end].length <= CONTEXT_BYTES)
        after += tokens[(*end)++].length;
    /* canonical HTML is indented as the text itself is not */
    while (*begin < change->first && is_space(tokens[*begin]) && before-- > 0)
        ++*begin;
    *ret_literal = before + after;
}

static int
append_tokens(const struct proposer *proposer, const struct change *change, size_t begin,
              size_t end, struct buffer *pattern, struct buffer *replace)
{
    int r = 0;

    for (size_t i = begin; r == 0 && i < end; i++) {
        struct slice a = change->expected.tokens[i], b = change->actual.tokens[i];

        if (same(a, b)) {
            r = pattern_append_escaped(pattern, a);
            if (r == 0)
                r = pattern_append_replacement(replace, a);
        } else {
            size_t class = class_of(proposer, a, b);

            r = buffer_append_text(pattern, classes[class].pattern);
            if (r == 0)
                r = buffer_append_text(replace, classes[class].replace);
        }
    }
    return r;
}

/* Without context a class of letters would take every line of one word. */
static bool
has_words(const struct proposer *proposer, const struct change *change)
{
    for (size_t i = change->first; i <= change->last; i++) {
        struct slice a = change->expected.tokens[i], b = change->actual.tokens[i];

        if (!same(a, b) && class_of(proposer, a, b) >= TOKEN_CLASSES)
            return true;
    }
    return false;
}

/* BUFFER_E_FULL: it is too long, or would be too general. */
static int
write_rule(const struct proposer *proposer, const struct change *change,
           struct buffer *pattern, struct buffer *replace)
{
    size_t begin = change->first, end = change->last + 1, literal = 0;
    bool whole;
    int r = 0;

    add_context(change, &begin, &end, &literal);
    whole = literal < CONTEXT_BYTES_MIN;
    if (whole &&
        (begin > 0 || end < change->expected.count || has_words(proposer, change)))
        return BUFFER_E_FULL;
    if (whole)
        r = buffer_append_text(pattern, "(?m)^");
    if (r == 0)
        r = append_tokens(proposer, change, begin, end, pattern, replace);
    if (r == 0 && whole)
        r = buffer_append_text(pattern, "$");
    return r;
}

static bool
is_known(const json_t *rules, const json_t *rule)
{
    json_t *other;
    size_t i;

    json_array_foreach(rules, i, other)
    {
        if (json_equal(other, rule))
            return true;
    }
    return false;
}

static int
add_rule(struct proposer *proposer, const struct change *change)
{
    CLEANUP(tree_decrefp) json_t *rule = NULL;
    struct buffer pattern, replace;
    int r;

    buffer_init(&pattern, PATTERN_BYTES_MAX);
    buffer_init(&replace, PATTERN_BYTES_MAX);
    r = write_rule(proposer, change, &pattern, &replace);
    if (r == 0) {
        rule = json_pack("{s:s%, s:s%}", "pattern", (char *)pattern.data, pattern.length,
                         "replace", (char *)replace.data, replace.length);
        if (rule == NULL)
            r = -ENOMEM;
        else if (!is_known(proposer->rules, rule))
            r = json_array_append(proposer->rules, rule) != 0 ? -ENOMEM : 0;
    }
    buffer_fini(&pattern);
    buffer_fini(&replace);
    return r < 0 ? r : 0; /* such a rule is none */
}

static struct slice
text_of(const json_t *string)
{
    return (struct slice){ (const uint8_t *)json_string_value(string),
                           json_string_length(string) };
}

static int
read_pairs(struct proposer *proposer, const json_t *pairs)
{
    CLEANUP(freep) struct change *change = malloc(sizeof *change);
    json_t *pair;
    size_t i;
    int r = 0;

    if (change == NULL)
        return -ENOMEM;
    json_array_foreach(pairs, i, pair)
    {
        if (json_array_size(proposer->rules) == RULES_MAX)
            break;
        if (find_change(proposer, change, text_of(json_array_get(pair, 0)),
                        text_of(json_array_get(pair, 1))) &&
            !is_marked_within(change))
            r = add_rule(proposer, change);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether both sides agree when the rules of SETTINGS are applied. */
static int
agree_by(struct settings *settings, const struct policy *policy, struct slice expected,
         struct slice actual, bool *ret)
{
    struct buffer rooms[2];
    int r;

    buffer_init(&rooms[0], COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&rooms[1], COMPARE_MESSAGE_BYTES_MAX);
    r = prepare_text(settings, policy, expected, &rooms[0], NULL);
    if (r == 0)
        r = prepare_text(settings, policy, actual, &rooms[1], NULL);
    *ret = r == 0 && numbers_texts_agree(buffer_slice(&rooms[0]), buffer_slice(&rooms[1]),
                                         &policy->tolerance);
    buffer_fini(&rooms[0]);
    buffer_fini(&rooms[1]);
    return r < 0 ? r : 0;
}

/* Adds the proposed rules to those that there are; *COUNT of PATTERNS are owned. */
static int
extend(struct settings *settings, const json_t *proposed, const json_t *place,
       struct pattern *patterns[RULES_MAX], size_t *count)
{
    struct error err = { 0 };
    json_t *rule;
    size_t i;
    int r;

    json_array_foreach(proposed, i, rule)
    {
        r = pattern_create(&patterns[i],
                           json_string_value(json_object_get(rule, "pattern")),
                           json_string_value(json_object_get(rule, "replace")), &err);
        if (r != 0)
            return r;
        settings->rules[settings->n_rules++] =
            (struct settings_rule){ .pattern = patterns[i], .place = place };
        *count = i + 1;
    }
    return 0;
}

/* Empties the proposals unless they do what they are for. */
static int
verify(struct proposer *proposer, struct slice expected, struct slice actual)
{
    const struct settings *now = proposer->settings;
    struct pattern *patterns[RULES_MAX] = { NULL };
    struct settings extended = *now;
    struct policy policy = *proposer->policy;
    size_t count = 0;
    bool agree = false;
    int r;

    extended.rules = calloc(now->n_rules + RULES_MAX, sizeof *extended.rules);
    if (extended.rules == NULL)
        return -ENOMEM;
    if (now->n_rules > 0)
        memcpy(extended.rules, now->rules, now->n_rules * sizeof *now->rules);
    policy.places[policy.n_places++] = proposer->rules;
    r = extend(&extended, proposer->rules, proposer->rules, patterns, &count);
    if (r == 0)
        r = agree_by(&extended, &policy, expected, actual, &agree);
    proposer->settings->steps = extended.steps;
    while (count > 0)
        pattern_destroy(patterns[--count]);
    free(extended.rules);
    if (!agree)
        json_array_clear(proposer->rules);
    return r < 0 ? r : 0;
}

static int
propose(struct proposer *proposer, const json_t *pairs, struct slice expected,
        struct slice actual)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_CLASSES; i++)
        r = pattern_create_trusted(&proposer->classes[i], classes[i].pattern, "", NULL);
    if (r == 0)
        r = read_pairs(proposer, pairs);
    if (r == 0 && json_array_size(proposer->rules) > 0)
        r = verify(proposer, expected, actual);
    return r;
}

int
rules_propose(json_t **ret, struct settings *settings, const struct policy *policy,
              const json_t *pairs, struct slice expected, struct slice actual)
{
    struct proposer proposer = { .settings = settings,
                                 .policy = policy,
                                 .rules = json_array() };
    int r =
        proposer.rules != NULL ? propose(&proposer, pairs, expected, actual) : -ENOMEM;

    for (size_t i = 0; i < N_CLASSES; i++)
        pattern_destroy(proposer.classes[i]);
    if (r == 0)
        *ret = proposer.rules;
    else
        json_decref(proposer.rules);
    return r;
}
