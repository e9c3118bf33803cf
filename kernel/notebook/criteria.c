/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/criteria.h"

#include <errno.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define TYPE_CHARACTERS                                                                  \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&^_.+*-"
#define TOLERANCE_MAX 1e300
#define SAMPLE_MAX 255

typedef int check_fn(const char *name, const json_t *value, struct error *err);

static int
invalid(struct error *err, const char *name, const char *what)
{
    return error_set(err, CRITERIA_E_INVALID, "%.200s: it must be %s", name, what);
}

static bool
is_one_of(const json_t *value, const char *const *words)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text != NULL && words[i] != NULL; i++)
        if (strcmp(text, words[i]) == 0)
            return strlen(text) == json_string_length(value);
    return false;
}

/* A string without NUL, of a bounded length. */
static bool
is_text(const json_t *value)
{
    return json_is_string(value) &&
           json_string_length(value) <= CRITERIA_TEXT_BYTES_MAX &&
           strlen(json_string_value(value)) == json_string_length(value);
}

static bool
is_between(const json_t *value, double least, double most)
{
    return json_is_number(value) && json_number_value(value) >= least &&
           json_number_value(value) <= most;
}

static int
check_tolerance(const char *name, const json_t *value, struct error *err)
{
    return is_between(value, 0, TOLERANCE_MAX)
               ? 0
               : invalid(err, name, "a number, not negative");
}

static int
check_rms(const char *name, const json_t *value, struct error *err)
{
    return is_between(value, 0, SAMPLE_MAX)
               ? 0
               : invalid(err, name, "a number from 0 to 255");
}

static int
check_share(const char *name, const json_t *value, struct error *err)
{
    return is_between(value, 0, 1) ? 0 : invalid(err, name, "a number from 0 to 1");
}

static int
check_whitespace(const char *name, const json_t *value, struct error *err)
{
    static const char *const words[] = { "exact", "trailing", "collapse", NULL };

    return is_one_of(value, words)
               ? 0
               : invalid(err, name, "\"exact\", \"trailing\" or \"collapse\"");
}

static int
check_decide(const char *name, const json_t *value, struct error *err)
{
    static const char *const words[] = { "richest", "all", NULL };

    return is_one_of(value, words) ? 0 : invalid(err, name, "\"richest\" or \"all\"");
}

static bool
is_pointer(const json_t *value)
{
    const char *text = json_string_value(value);

    if (!is_text(value) || (text[0] != '\0' && text[0] != '/'))
        return false;
    for (; *text != '\0'; text++)
        if (text[0] == '~' && text[1] != '0' && text[1] != '1')
            return false;
    return true;
}

static int
check_ignore(const char *name, const json_t *value, struct error *err)
{
    if (!json_is_array(value) || json_array_size(value) > CRITERIA_RULES_MAX)
        return invalid(err, name, "an array of at most 256 JSON pointers");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_pointer(json_array_get(value, i)))
            return invalid(err, name, "an array of JSON pointers, such as \"/a/*/b\"");
    return 0;
}

static int
check_rule_types(const json_t *types, const char *name, struct error *err)
{
    if (!json_is_array(types) || json_array_size(types) > CRITERIA_TYPES_MAX)
        return invalid(err, name, "rules whose \"types\" are an array");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const json_t *type = json_array_get(types, i);

        if (!is_text(type) || !criteria_is_type(json_string_value(type)))
            return invalid(err, name,
                           "rules whose \"types\" are MIME types, \"stdout\", "
                           "\"stderr\" or \"error\"");
    }
    return 0;
}

static int
check_rule(const json_t *rule, const char *name, struct error *err)
{
    const json_t *types = json_object_get(rule, "types");

    if (!is_text(json_object_get(rule, "pattern")) ||
        !is_text(json_object_get(rule, "replace")))
        return invalid(err, name, "objects with the strings \"pattern\" and \"replace\"");
    if (json_object_size(rule) != (types != NULL ? 3u : 2u))
        return invalid(err, name,
                       "objects of \"pattern\", \"replace\" and \"types\" alone");
    return types != NULL ? check_rule_types(types, name, err) : 0;
}

static int
check_sanitize(const char *name, const json_t *value, struct error *err)
{
    int r = 0;

    if (!json_is_array(value) || json_array_size(value) > CRITERIA_RULES_MAX)
        return invalid(err, name, "an array of at most 256 rules");
    for (size_t i = 0; r == 0 && i < json_array_size(value); i++)
        r = check_rule(json_array_get(value, i), name, err);
    return r;
}

static int
check_normalise(const char *name, const json_t *value, struct error *err)
{
    static const char *const rules[] = { "ansi",      "carriage", "addresses",
                                         "figures",   "cells",    "timings",
                                         "temporary", "widgets",  "order" };
    size_t known = 0;

    if (!json_is_object(value))
        return invalid(err, name, "an object of bools");
    for (size_t i = 0; i < N_ELEMENTS(rules); i++) {
        const json_t *flag = json_object_get(value, rules[i]);

        known += flag != NULL;
        if (flag != NULL && !json_is_boolean(flag))
            return error_set(err, CRITERIA_E_INVALID, "%s.%s: it must be true or false",
                             name, rules[i]);
    }
    if (known != json_object_size(value))
        return invalid(err, name,
                       "an object of: ansi, carriage, addresses, figures, cells, "
                       "timings, temporary, widgets, order");
    return 0;
}

static bool
is_policy(const json_t *value)
{
    static const char *const policies[] = { "ignore", "exact", "text",  "json", "html",
                                            "svg",    "image", "error", NULL };

    return is_one_of(value, policies);
}

static check_fn check_types;

/* All members. OF_TYPE: it may also stand at a type. */
static const struct member {
    const char *name;
    bool of_type;
    check_fn *check;
} members[] = {
    { "types", false, check_types },        { "rtol", true, check_tolerance },
    { "atol", true, check_tolerance },      { "rms", true, check_rms },
    { "pixels", true, check_share },        { "whitespace", true, check_whitespace },
    { "ignore", true, check_ignore },       { "sanitize", true, check_sanitize },
    { "normalise", true, check_normalise }, { "decide", false, check_decide },
};

static const struct member *
find_member(const char *name)
{
    for (size_t i = 0; i < N_ELEMENTS(members); i++)
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    return NULL;
}

static int
check_type_option(const char *name, const json_t *value, struct error *err)
{
    static const char policies[] =
        "ignore, exact, text, json, html, svg, image or error, as a string";
    const struct member *member = find_member(name);

    if (strcmp(name, "policy") == 0)
        return is_policy(value) ? 0 : invalid(err, name, policies);
    if (member == NULL || !member->of_type)
        return error_set(err, CRITERIA_E_INVALID, "%.100s: a type has no such setting",
                         name);
    return member->check(name, value, err);
}

static int
check_type(const json_t *value, struct error *err)
{
    const char *name;
    json_t *option;

    if (json_is_string(value))
        return is_policy(value)
                   ? 0
                   : error_set(err, CRITERIA_E_INVALID, "there is no policy \"%.100s\"",
                               json_string_value(value));
    if (!json_is_object(value))
        return error_set(err, CRITERIA_E_INVALID,
                         "it must be the name of a policy, or an object");
    json_object_foreach((json_t *)value, name, option)
    {
        int r = check_type_option(name, option, err);

        if (r != 0)
            return r;
    }
    return 0;
}

static int
check_types(const char *name, const json_t *value, struct error *err)
{
    const char *type;
    json_t *setting;

    if (!json_is_object(value) || json_object_size(value) > CRITERIA_TYPES_MAX)
        return invalid(err, name, "an object of at most 1000 types");
    json_object_foreach((json_t *)value, type, setting)
    {
        if (!criteria_is_type(type))
            return error_set(err, CRITERIA_E_INVALID,
                             "%s: \"%.100s\" is no MIME type, nor \"stdout\", "
                             "\"stderr\" or \"error\"",
                             name, type);
        if (check_type(setting, err) != 0)
            return error_wrap(err, CRITERIA_E_INVALID, "%s.%.100s", name, type);
    }
    return 0;
}

int
criteria_check_member(const char *name, const json_t *value, struct error *err)
{
    const struct member *member = find_member(name);

    return member == NULL ? CRITERIA_E_UNKNOWN : member->check(name, value, err);
}

int
criteria_check(const json_t *settings, struct error *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(settings))
        return error_set(err, CRITERIA_E_INVALID, "settings must be an object");
    json_object_foreach((json_t *)settings, name, value)
    {
        int r = criteria_check_member(name, value, err);

        if (r == CRITERIA_E_UNKNOWN)
            return error_set(err, CRITERIA_E_INVALID, "%.200s: there is no such setting",
                             name);
        if (r != 0)
            return r;
    }
    return 0;
}

bool
criteria_is_type(const char *text)
{
    static const char *const words[] = { "stdout", "stderr", "error", "*" };
    size_t before = strspn(text, TYPE_CHARACTERS), after;

    for (size_t i = 0; i < N_ELEMENTS(words); i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    if (before == 0 || text[before] != '/')
        return false;
    after = strspn(text + before + 1, TYPE_CHARACTERS);
    return after > 0 && text[before + 1 + after] == '\0' &&
           before + 1 + after <= CRITERIA_TYPE_BYTES_MAX;
}

/* A copy of VALUE over what INTO has under NAME. */
static int
replace(json_t *into, const char *name, const json_t *value)
{
    return json_object_set_new(into, name, json_deep_copy(value)) == 0 ? 0 : -ENOMEM;
}

static int
append(json_t *into, const json_t *from)
{
    for (size_t i = 0; i < json_array_size(from); i++)
        if (json_array_append_new(into, json_deep_copy(json_array_get(from, i))) < 0)
            return -ENOMEM;
    return 0;
}

int
criteria_merge(json_t *into, const json_t *from)
{
    const char *name, *key;
    json_t *value, *part;
    int r = 0;

    json_object_foreach((json_t *)from, name, value)
    {
        json_t *there = json_object_get(into, name);
        bool by_key = strcmp(name, "types") == 0 || strcmp(name, "normalise") == 0;

        if (there != NULL && by_key && json_is_object(value)) {
            json_object_foreach(value, key, part)
            {
                r = r == 0 ? replace(there, key, part) : r;
            }
        } else if (there != NULL && strcmp(name, "sanitize") == 0) {
            r = append(there, value);
        } else {
            r = replace(into, name, value);
        }
        if (r < 0)
            return r;
    }
    return 0;
}
