/* SPDX-License-Identifier: MIT */
#include "kernel/compare/settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "protocol/error.h"

#define RTOL 1e-6
#define ATOL 1e-12
#define RMS 1.0
#define PIXELS 0.0005

static const char *const policy_names[N_POLICIES] = {
    [POLICY_IGNORE] = "ignore", [POLICY_EXACT] = "exact", [POLICY_TEXT] = "text",
    [POLICY_JSON] = "json",     [POLICY_HTML] = "html",   [POLICY_SVG] = "svg",
    [POLICY_IMAGE] = "image",   [POLICY_ERROR] = "error",
};

/* The most specific counts, as in "types". */
static const struct {
    const char *type;
    enum policy_kind kind;
} builtin[] = {
    { "*", POLICY_EXACT },
    { "stdout", POLICY_TEXT },
    { "stderr", POLICY_TEXT },
    { "error", POLICY_ERROR },
    { "text/*", POLICY_TEXT },
    { "text/html", POLICY_HTML },
    { "image/svg+xml", POLICY_SVG },
    { "image/png", POLICY_IMAGE },
    { "image/jpeg", POLICY_IMAGE },
    { "application/json", POLICY_JSON },
    { "application/*+json", POLICY_JSON },
    { "application/vnd.jupyter.widget-view+json", POLICY_IGNORE },
    { "application/javascript", POLICY_TEXT },
};

const char *
policy_name(enum policy_kind kind)
{
    return policy_names[kind];
}

bool
type_matches(const char *pattern, const char *type)
{
    const char *star = NULL, *retry = NULL;

    while (*type != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = type;
        } else if (*pattern == *type) {
            pattern++;
            type++;
        } else if (star != NULL) {
            pattern = star + 1;
            type = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* How specific PATTERN is, 0: it is not for TYPE. */
static size_t
specificity(const char *pattern, const char *type)
{
    size_t literal = 0;

    if (strcmp(pattern, type) == 0)
        return SIZE_MAX;
    if (!type_matches(pattern, type))
        return 0;
    for (const char *at = pattern; *at != '\0'; at++)
        literal += *at != '*';
    return literal + 1;
}

static int
wrong(struct error *err, const char *name, const char *should)
{
    return error_set(err, COMPARE_E_SETTINGS, "\"%.64s\" must be %s", name, should);
}

static int
take_number(double *ret, const json_t *value, const char *name, struct error *err)
{
    double number = json_number_value(value);

    if (!json_is_number(value) || !isfinite(number) || number < 0)
        return wrong(err, name, "a number that is not negative");
    *ret = number;
    return 0;
}

static int
take_rtol(struct policy *policy, const json_t *value, struct error *err)
{
    return take_number(&policy->tolerance.rtol, value, "rtol", err);
}

static int
take_atol(struct policy *policy, const json_t *value, struct error *err)
{
    return take_number(&policy->tolerance.atol, value, "atol", err);
}

static int
take_rms(struct policy *policy, const json_t *value, struct error *err)
{
    return take_number(&policy->rms, value, "rms", err);
}

static int
take_pixels(struct policy *policy, const json_t *value, struct error *err)
{
    return take_number(&policy->pixels, value, "pixels", err);
}

/* The row of NAMES that VALUE is, or -1. */
static int
choice(const json_t *value, const char *const *names, size_t count)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text != NULL && i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return (int)i;
    return -1;
}

static int
take_policy(struct policy *policy, const json_t *value, struct error *err)
{
    int kind = choice(value, policy_names, N_POLICIES);

    if (kind < 0)
        return wrong(err, "policy",
                     "ignore, exact, text, json, html, svg, image or error");
    policy->kind = (enum policy_kind)kind;
    return 0;
}

static int
take_whitespace(struct policy *policy, const json_t *value, struct error *err)
{
    static const char *const names[] = { "exact", "trailing", "collapse" };
    int kind = choice(value, names, N_ELEMENTS(names));

    if (kind < 0)
        return wrong(err, "whitespace", "exact, trailing or collapse");
    policy->whitespace = (enum whitespace)kind;
    return 0;
}

static int
take_normalise(struct policy *policy, const json_t *value, struct error *err)
{
    enum normaliser one;
    const char *name;
    json_t *on;

    if (!json_is_object(value))
        return wrong(err, "normalise", "an object");
    json_object_foreach((json_t *)value, name, on)
    {
        if (!normaliser_by_name(name, &one))
            return error_set(err, COMPARE_E_SETTINGS,
                             "\"normalise\" knows no rule \"%.64s\"", name);
        if (!json_is_boolean(on))
            return wrong(err, name, "true or false");
        policy->normalise &= ~(1u << one);
        if (json_is_true(on))
            policy->normalise |= 1u << one;
    }
    return 0;
}

static int
take_ignore(struct policy *policy, const json_t *value, struct error *err)
{
    const char *text;
    json_t *pointer;
    size_t i;

    (void)policy;
    if (!json_is_array(value) || json_array_size(value) > SETTINGS_POINTERS_MAX)
        return wrong(err, "ignore", "an array of at most 256 JSON pointers");
    json_array_foreach(value, i, pointer)
    {
        text = json_string_value(pointer);
        if (text == NULL || (*text != '\0' && *text != '/'))
            return wrong(err, "ignore",
                         "an array of JSON pointers, such as \"/data/*/uid\"");
    }
    return 0;
}

static int
take_sanitize(struct policy *policy, const json_t *value, struct error *err)
{
    json_t *rule, *types, *type;
    size_t i, j;

    (void)policy;
    if (!json_is_array(value))
        return wrong(err, "sanitize", "an array");
    json_array_foreach(value, i, rule)
    {
        types = json_object_get(rule, "types");
        if (!json_is_string(json_object_get(rule, "pattern")) ||
            !json_is_string(json_object_get(rule, "replace")) ||
            (types != NULL && !json_is_array(types)))
            return wrong(err, "sanitize",
                         "an array of objects with \"pattern\" and \"replace\", both "
                         "strings, and perhaps \"types\", an array");
        json_array_foreach(types, j, type)
        {
            if (!json_is_string(type))
                return wrong(err, "types", "an array of strings");
        }
    }
    return 0;
}

/* NULL for TAKE: it is not for single types, and taken elsewhere. */
static const struct option {
    const char *name;
    int (*take)(struct policy *policy, const json_t *value, struct error *err);
    bool only_of_types;
} options[] = {
    { "policy", take_policy, true },        { "rtol", take_rtol, false },
    { "atol", take_atol, false },           { "rms", take_rms, false },
    { "pixels", take_pixels, false },       { "whitespace", take_whitespace, false },
    { "normalise", take_normalise, false }, { "ignore", take_ignore, false },
    { "sanitize", take_sanitize, false },
};

/* Takes what PLACE says into POLICY, which holds no more than SETTINGS_PLACES. */
static int
take_place(struct policy *policy, const json_t *place, bool of_type, struct error *err)
{
    const json_t *value;
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(options); i++) {
        value = json_object_get(place, options[i].name);
        if (value != NULL && (of_type || !options[i].only_of_types))
            r = options[i].take(policy, value, err);
    }
    if (r == 0 && policy->n_places < SETTINGS_PLACES)
        policy->places[policy->n_places++] = place;
    return r;
}

static bool
is_option(const char *name)
{
    for (size_t i = 0; i < N_ELEMENTS(options); i++)
        if (strcmp(options[i].name, name) == 0)
            return true;
    return false;
}

static int
check_type(const char *type, const json_t *entry, struct error *err)
{
    struct policy scratch = { .type = type };
    const char *name;
    json_t *value;
    int r;

    if (json_is_string(entry)) {
        r = take_policy(&scratch, entry, err);
    } else if (json_is_object(entry)) {
        json_object_foreach((json_t *)entry, name, value)
        {
            if (!is_option(name)) {
                r = error_set(err, COMPARE_E_SETTINGS, "there is no option \"%.64s\"",
                              name);
                return error_wrap(err, r, "types: \"%.64s\"", type);
            }
        }
        r = take_place(&scratch, entry, true, err);
    } else {
        r = wrong(err, type, "a policy's name or an object");
    }
    return r != 0 ? error_wrap(err, r, "types: \"%.64s\"", type) : 0;
}

static int
compile_rules(struct settings *settings, const json_t *place, struct error *err)
{
    const json_t *rules = json_object_get(place, "sanitize");
    struct settings_rule *rule;
    json_t *row;
    size_t i;
    int r;

    json_array_foreach(rules, i, row)
    {
        if (settings->n_rules == SETTINGS_RULES_MAX)
            return wrong(err, "sanitize", "at most 256 rules in all");
        rule = &settings->rules[settings->n_rules];
        r = pattern_create(&rule->pattern,
                           json_string_value(json_object_get(row, "pattern")),
                           json_string_value(json_object_get(row, "replace")), err);
        if (r != 0)
            return r;
        rule->place = place;
        rule->types = json_object_get(row, "types");
        settings->n_rules++;
    }
    return 0;
}

static int
check_decide(struct settings *settings, const json_t *layer, struct error *err)
{
    static const char *const names[] = { "richest", "all" };
    const json_t *value = json_object_get(layer, "decide");
    int kind = value != NULL ? choice(value, names, N_ELEMENTS(names)) : 0;

    if (kind < 0)
        return wrong(err, "decide", "richest or all");
    if (value != NULL)
        settings->all_types = kind == 1;
    return 0;
}

static int
check_layer(struct settings *settings, const json_t *layer, struct error *err)
{
    const json_t *types = json_object_get(layer, "types");
    struct policy scratch = { .type = "" };
    const char *type;
    json_t *entry;
    int r;

    r = take_place(&scratch, layer, false, err);
    if (r == 0)
        r = check_decide(settings, layer, err);
    if (r == 0)
        r = compile_rules(settings, layer, err);
    if (r == 0 && types != NULL && !json_is_object(types))
        r = wrong(err, "types", "an object");
    if (r != 0)
        return r;
    json_object_foreach((json_t *)types, type, entry)
    {
        r = check_type(type, entry, err);
        if (r == 0)
            r = compile_rules(settings, entry, err);
        if (r != 0)
            return r;
    }
    return 0;
}

int
settings_create(struct settings **ret, const json_t *project, const json_t *cell,
                struct error *err)
{
    static const char *const whose[SETTINGS_LAYERS] = { "settings", "cell" };
    CLEANUP(settings_destroyp) struct settings *made = calloc(1, sizeof *made);
    int r;

    if (made == NULL)
        return -ENOMEM;
    made->steps = PATTERN_STEPS_MAX;
    made->layers[0] = json_is_null(project) ? NULL : project;
    made->layers[1] = json_is_null(cell) ? NULL : cell;
    made->rules = calloc(SETTINGS_RULES_MAX, sizeof *made->rules);
    if (made->rules == NULL)
        return -ENOMEM;
    r = normalisers_create(&made->normalisers);
    for (size_t i = 0; r == 0 && i < SETTINGS_LAYERS; i++) {
        if (made->layers[i] == NULL)
            continue;
        if (!json_is_object(made->layers[i]))
            r = wrong(err, whose[i], "an object");
        else
            r = check_layer(made, made->layers[i], err);
    }
    if (r == 0) {
        *ret = made;
        made = NULL;
    }
    return r;
}

void
settings_destroy(struct settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->n_rules; i++)
        pattern_destroy(settings->rules[i].pattern);
    free(settings->rules);
    normalisers_destroy(settings->normalisers);
    free(settings);
}

static enum policy_kind
builtin_kind(const char *type)
{
    enum policy_kind kind = POLICY_EXACT;
    size_t best = 0, found;

    for (size_t i = 0; i < N_ELEMENTS(builtin); i++) {
        found = specificity(builtin[i].type, type);
        if (found > best) {
            best = found;
            kind = builtin[i].kind;
        }
    }
    return kind;
}

static const json_t *
best_entry(const json_t *layer, const char *type)
{
    const json_t *types = json_object_get(layer, "types"), *best_so_far = NULL;
    size_t best = 0, found;
    const char *pattern;
    json_t *entry;

    json_object_foreach((json_t *)types, pattern, entry)
    {
        found = specificity(pattern, type);
        if (found > best) {
            best = found;
            best_so_far = entry;
        }
    }
    return best_so_far;
}

void
settings_policy(const struct settings *settings, const char *type, struct policy *ret)
{
    *ret = (struct policy){ .type = type,
                            .kind = builtin_kind(type),
                            .tolerance = { .rtol = RTOL, .atol = ATOL },
                            .rms = RMS,
                            .pixels = PIXELS,
                            .whitespace = WHITESPACE_TRAILING,
                            .normalise = NORMALISE_DEFAULT };
    for (size_t i = 0; i < SETTINGS_LAYERS; i++) {
        const json_t *entry = best_entry(settings->layers[i], type);

        if (settings->layers[i] == NULL)
            continue;
        take_place(ret, settings->layers[i], false, NULL); /* checked when it was made */
        if (json_is_string(entry))
            take_policy(ret, entry, NULL);
        else if (entry != NULL)
            take_place(ret, entry, true, NULL);
    }
}

bool
settings_rule_applies(const struct settings_rule *rule, const struct policy *policy)
{
    bool here = false;
    json_t *type;
    size_t i;

    for (i = 0; i < policy->n_places; i++)
        here = here || policy->places[i] == rule->place;
    if (!here || rule->types == NULL)
        return here;
    json_array_foreach(rule->types, i, type)
    {
        if (type_matches(json_string_value(type), policy->type))
            return true;
    }
    return false;
}
