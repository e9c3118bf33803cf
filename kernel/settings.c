/* SPDX-License-Identifier: MIT */
#include "kernel/settings.h"

#include <stdlib.h>
#include <string.h>

#include "contexts/reserve.h"
#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

static const struct json_limits limits = { SETTINGS_BYTES_MAX, 8 };

static int
take_reserve(struct settings *settings, json_t *value, struct error *err)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || number > RESERVE_SIZE_MAX)
        return error_set(err, SETTINGS_E_INVALID, "must be a number from 0 to %d",
                         RESERVE_SIZE_MAX);
    settings->reserve = (unsigned)number;
    return 0;
}

static bool
is_text(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) > 0 &&
           strlen(json_string_value(value)) == json_string_length(value);
}

static int
take_list(struct option_list *list, const json_t *value, struct error *err)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(value) || json_array_size(value) > OPTION_LIST_MAX)
        return error_set(err, SETTINGS_E_INVALID, "must be an array of up to %d strings",
                         OPTION_LIST_MAX);
    list->count = 0;
    json_array_foreach(value, i, item)
    {
        if (!is_text(item))
            return error_set(err, SETTINGS_E_INVALID, "must have strings alone");
        list->items[list->count++] = json_string_value(item);
    }
    return 0;
}

static int
take_runtimes(struct settings *settings, json_t *value, struct error *err)
{
    return take_list(&settings->runtimes, value, err);
}

static int
take_environments(struct settings *settings, json_t *value, struct error *err)
{
    return take_list(&settings->environments, value, err);
}

static int
take_text(const char **ret, const json_t *value, struct error *err)
{
    if (!is_text(value))
        return error_set(err, SETTINGS_E_INVALID, "must be a string");
    *ret = json_string_value(value);
    return 0;
}

static int
take_python(struct settings *settings, json_t *value, struct error *err)
{
    return take_text(&settings->python, value, err);
}

static int
take_endpoints(struct settings *settings, json_t *value, struct error *err)
{
    return take_list(&settings->endpoints, value, err);
}

static int
take_keys(struct settings *settings, json_t *value, struct error *err)
{
    return take_text(&settings->keys, value, err);
}

static int
take_authorised(struct settings *settings, json_t *value, struct error *err)
{
    return take_text(&settings->authorised, value, err);
}

static int
take_connection_dir(struct settings *settings, json_t *value, struct error *err)
{
    return take_text(&settings->connection_dir, value, err);
}

static int
take_network(struct settings *settings, json_t *value, struct error *err)
{
    const char *network = json_string_value(value);

    if (network == NULL || (strcmp(network, "none") != 0 && strcmp(network, "host") != 0))
        return error_set(err, SETTINGS_E_INVALID, "must be \"none\" or \"host\"");
    settings->bounds.network_host = strcmp(network, "host") == 0;
    return 0;
}

static int
take_limits(struct settings *settings, json_t *value, struct error *err)
{
    return bounds_take_limits(&settings->bounds.defaults, value, NULL, NULL, err);
}

static int
take_ceilings(struct settings *settings, json_t *value, struct error *err)
{
    return bounds_take_limits(&settings->bounds.ceilings, value, NULL, NULL, err);
}

static int
take_bounds(struct settings *settings, json_t *value, struct error *err)
{
    return bounds_take(&settings->bounds, value, err);
}

static int
take_tier(struct settings *settings, json_t *value, struct error *err)
{
    if (!is_text(value) || (strcmp(json_string_value(value), "full") != 0 &&
                            strcmp(json_string_value(value), "nested") != 0))
        return error_set(err, SETTINGS_E_INVALID, "must be \"full\" or \"nested\"");
    settings->tier = json_string_value(value);
    return 0;
}

static int
check_lists(const json_t *value, struct error *err)
{
    const char *name;
    const json_t *names, *item;
    size_t i;

    if (!json_is_object(value))
        return error_set(err, SETTINGS_E_INVALID, "must be an object");
    json_object_foreach((json_t *)value, name, names)
    {
        if (!json_is_array(names))
            return error_set(err, SETTINGS_E_INVALID,
                             "\"%.64s\" must be an array of strings", name);
        json_array_foreach(names, i, item)
        {
            if (!is_text(item))
                return error_set(err, SETTINGS_E_INVALID,
                                 "\"%.64s\" must have strings alone", name);
        }
    }
    return 0;
}

static int
take_preload(struct settings *settings, json_t *value, struct error *err)
{
    settings->preload = value;
    return check_lists(value, err);
}

static int
take_interpreters(struct settings *settings, json_t *value, struct error *err)
{
    settings->interpreters = value;
    return check_lists(value, err);
}

static const struct member {
    const char *name;
    int (*take)(struct settings *settings, json_t *value, struct error *err);
} members[] = {
    { "reserve", take_reserve },           { "runtimes", take_runtimes },
    { "environments", take_environments }, { "python", take_python },
    { "preload", take_preload },           { "tier", take_tier },
    { "endpoints", take_endpoints },       { "keys", take_keys },
    { "authorised", take_authorised },     { "connection_dir", take_connection_dir },
    { "network", take_network },           { "limits", take_limits },
    { "ceilings", take_ceilings },         { "bounds", take_bounds },
    { "interpreters", take_interpreters },
};

static int
take_member(struct settings *settings, const char *name, json_t *value, struct error *err)
{
    for (size_t i = 0; i < N_ELEMENTS(members); i++) {
        int r;

        if (strcmp(members[i].name, name) != 0)
            continue;
        r = members[i].take(settings, value, err);
        return r <= 0 ? r : error_wrap(err, r, "\"%s\"", name);
    }
    return error_set(err, SETTINGS_E_INVALID, "\"%.64s\" is not known", name);
}

void
settings_init(struct settings *settings)
{
    *settings = (struct settings){ .reserve = SETTINGS_RESERVE, .tier = "full" };
    bounds_init(&settings->bounds);
}

void
settings_fini(struct settings *settings)
{
    json_decref(settings->document);
}

int
settings_read(struct settings *settings, const char *path, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    const char *name;
    json_t *value;
    int r;

    buffer_init(&text, SETTINGS_BYTES_MAX);
    r = file_read(path, &text, err);
    if (r != 0)
        return r < 0 ? r : SETTINGS_E_INVALID;
    r = tree_load_object(&settings->document, buffer_slice(&text), &limits, err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, SETTINGS_E_INVALID, "%s", path);
    json_object_foreach(settings->document, name, value)
    {
        r = take_member(settings, name, value, err);
        if (r != 0)
            return r < 0 ? r : error_wrap(err, r, "%s", path);
    }
    return 0;
}

int
settings_set_reserve(struct settings *settings, const char *text, struct error *err)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number > RESERVE_SIZE_MAX)
        return error_set(err, SETTINGS_E_INVALID,
                         "--reserve %s: must be a number from 0 to %d", text,
                         RESERVE_SIZE_MAX);
    settings->reserve = (unsigned)number;
    return 0;
}
