/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/item.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/agent/languages.h"
#include "kernel/file.h"
#include "kernel/limits.h"
#include "kernel/notebook/criteria.h"
#include "kernel/notebook/engine.h"
#include "kernel/notebook/project.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/json.h"
#include "protocol/notebook.h"
#include "protocol/tree.h"

#define NAME_BYTES_MAX 128 /* of kernelspecs and languages */
#define TIMEOUT_MAX_S 1e6
#define CELL_S 600 /* a cell may take, when nobody says otherwise */

static const struct json_limits metadata_limits = { (size_t)16 << 20,
                                                    NOTEBOOK_DEPTH_MAX };

int
item_fail(struct item *item, const char *kind, const struct error *why)
{
    if (item->trouble == NULL) {
        item->trouble = kind;
        item->why = *why;
    }
    return 1;
}

static int
read_notebook(struct item *item, struct notebook **ret)
{
    CLEANUP(buffer_fini) struct buffer text;
    struct error why = { 0 };
    int r;

    buffer_init(&text, NOTEBOOK_BYTES_MAX);
    r = file_read_regular(item->absolute, &text, &why);
    if (r == 0)
        r = notebook_read(ret, buffer_slice(&text), &why);
    return r <= 0 ? r : item_fail(item, "notebook", &why);
}

/* KEY of OBJECT, if it is a text that can be a name. */
static const char *
name_of(struct slice object, const char *key, char ret[NAME_BYTES_MAX])
{
    return json_member_string(object, key, ret, NAME_BYTES_MAX) == 0 && ret[0] != '\0'
               ? ret
               : NULL;
}

static int
find_languages(struct item *item, const struct notebook *notebook,
               const struct item_options *options)
{
    const char *fixed = json_string_value(json_object_get(item->settings, "language"));
    char kernelspec[NAME_BYTES_MAX], language[NAME_BYTES_MAX], info[NAME_BYTES_MAX];
    struct slice part;
    struct engine_wish wish = { .language = options->language };
    struct error why = { 0 };
    int r;

    if (wish.language == NULL)
        wish.language = fixed;
    if (wish.language == NULL) {
        if (json_member(notebook->metadata, "kernelspec", &part) == 0) {
            wish.kernelspec = name_of(part, "name", kernelspec);
            wish.language = name_of(part, "language", language);
        }
        if (wish.language == NULL &&
            json_member(notebook->metadata, "language_info", &part) == 0)
            wish.language = name_of(part, "name", info);
        if (wish.language == NULL && wish.kernelspec == NULL)
            wish.language = "python"; /* notebooks of old, and bare ones */
    }
    r = engine_find(options->engine, &wish, &item->language, &why);
    if (r == 0 && options->against != NULL)
        r = engine_find_kernelspec(options->engine, options->against, &item->other, &why);
    return r <= 0 ? r : item_fail(item, "start", &why);
}

/* What a notebook says in its metadata: how its outputs are compared, and what nbclient
 * knows. What its code may do is nothing for itself to say. */
static int
read_metadata(struct item *item, const struct notebook *notebook)
{
    CLEANUP(tree_decrefp) json_t *metadata = NULL;
    const json_t *ours, *execution, *timeout;
    struct error why = { 0 };
    int r = tree_load_object(&metadata, notebook->metadata, &metadata_limits, &why);

    if (r != 0)
        return r < 0 ? r : item_fail(item, "notebook", &why);
    execution = json_object_get(metadata, "execution");
    item->allows_errors = json_is_true(json_object_get(execution, "allow_errors"));
    timeout = json_object_get(execution, "timeout");
    if (json_number_value(timeout) > 0 && json_number_value(timeout) <= TIMEOUT_MAX_S)
        json_object_set(item->settings, "cell_timeout", (json_t *)timeout);
    ours = json_object_get(metadata, "cellwall");
    if (ours == NULL)
        return 0;
    r = criteria_check(ours, &why);
    if (r < 0)
        return r;
    if (r > 0) {
        error_wrap(&why, r, "\"cellwall\" of the notebook's metadata");
        return item_fail(item, "settings", &why);
    }
    return criteria_merge(item->settings, ours);
}

static int
read_settings(struct item *item, const struct item_options *options)
{
    CLEANUP(project_destroyp) struct project *project = NULL;
    char found[PATH_MAX];
    const char *path = options->config;
    struct error why = { 0 };
    int r;

    if (path == NULL && project_locate(item->directory, found, sizeof found))
        path = found;
    r = project_read(&project, path, &why);
    if (r == 0 && project_excludes(project, item->absolute))
        return ITEM_E_EXCLUDED;
    if (r == 0 && options->config == NULL)
        r = project_check_found(project, &why);
    if (r == 0) {
        item->settings = project_settings(project, item->absolute);
        return item->settings != NULL ? 0 : -ENOMEM;
    }
    if (r < 0)
        return r;
    item_fail(item, "settings", &why);
    return 0;
}

static uint64_t
milliseconds(const json_t *settings, const char *name, double otherwise)
{
    const json_t *value = json_object_get(settings, name);

    return (uint64_t)((json_is_number(value) ? json_number_value(value) : otherwise) *
                      1000);
}

static void
set_compare(struct item *item)
{
    const char *name = json_string_value(json_object_get(item->settings, "compare"));

    if (name != NULL && strcmp(name, "marked") == 0)
        item->compare = ITEM_COMPARE_MARKED;
    else if (name != NULL && strcmp(name, "none") == 0)
        item->compare = ITEM_COMPARE_NONE;
}

static int
set_shown(struct item *item)
{
    const json_t *paths = json_object_get(item->settings, "show");
    size_t count = json_array_size(paths);

    item->shown = calloc(count + 1, sizeof *item->shown);
    if (item->shown == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        item->shown[i] = json_string_value(json_array_get(paths, i));
    return 0;
}

static int
apply_settings(struct item *item)
{
    const char *limits = json_string_value(json_object_get(item->settings, "limits"));
    const char *network = json_string_value(json_object_get(item->settings, "network"));
    struct error why = { 0 };
    int r = 0;

    r = set_shown(item);
    if (r < 0)
        return r;
    set_compare(item);
    item->cell_ms = milliseconds(item->settings, "cell_timeout", CELL_S);
    item->notebook_ms = milliseconds(item->settings, "notebook_timeout", 0);
    if (network != NULL && strcmp(network, "host") == 0)
        item->network = SANDBOX_NETWORK_HOST;
    item->limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK);
    if (limits != NULL)
        r = limits_parse(&item->limits, limits, &why);
    return r <= 0 ? r : item_fail(item, "settings", &why);
}

static int
look(struct item *item, const struct item_options *options)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    int r = read_notebook(item, &notebook);

    if (r != 0)
        return r;
    for (size_t i = 0; i < notebook->cell_count; i++)
        item->cell_count += notebook->cells[i].type == NOTEBOOK_CODE;
    if (notebook->format < 4)
        json_array_append_new(item->notes,
                              json_sprintf("it is of nbformat %d, and was read as 4: "
                                           "\"jupyter nbconvert --to notebook\" "
                                           "converts it",
                                           notebook->format));
    r = read_metadata(item, notebook);
    if (r == 0)
        r = criteria_merge(item->settings, options->overrides);
    if (r == 0)
        r = apply_settings(item);
    return r == 0 ? find_languages(item, notebook, options) : r;
}

int
item_create(struct item **ret, const char *path, const struct item_options *options)
{
    CLEANUP(item_destroyp) struct item *item = calloc(1, sizeof *item);
    struct error why = { 0 };
    int r;

    if (item == NULL)
        return -ENOMEM;
    item->expected_s = -1;
    item->path = strdup(path);
    item->notes = json_array();
    if (item->path == NULL || item->notes == NULL)
        return -ENOMEM;
    if (realpath(path, item->absolute) == NULL) {
        error_set(&why, 1, "%s: %s", path, strerror(errno));
        item_fail(item, "notebook", &why);
    } else {
        strcpy(item->directory, item->absolute);
        *strrchr(item->directory, '/') = '\0';
        if (item->directory[0] == '\0')
            strcpy(item->directory, "/");
        r = read_settings(item, options);
        if (r == 0 && item->trouble == NULL)
            r = look(item, options);
        if (r < 0 || (r == ITEM_E_EXCLUDED && item->trouble == NULL))
            return r;
    }
    *ret = item;
    item = NULL;
    return 0;
}

void
item_destroy(struct item *item)
{
    if (item == NULL)
        return;
    free(item->shown);
    json_decref(item->settings);
    json_decref(item->notes);
    free(item->path);
    free(item);
}

void
item_free_directives(struct directives *directives, size_t count)
{
    for (size_t i = 0; directives != NULL && i < count; i++)
        directives_fini(&directives[i]);
    free(directives);
}

static int
read_directives(struct item *item, const struct notebook *notebook,
                struct directives *directives)
{
    const char *language = item->language->environment->language;
    struct error why = { 0 };
    size_t number = 0;

    for (size_t i = 0; i < notebook->cell_count; i++) {
        int r;

        if (notebook->cells[i].type != NOTEBOOK_CODE)
            continue;
        r = directives_read(&directives[i], &notebook->cells[i], language, item->notes,
                            &why);
        if (r != 0)
            return r < 0 ? r
                         : item_fail(item, "settings",
                                     (error_wrap(&why, r, "cell %zu", number), &why));
        number++;
    }
    return 0;
}

int
item_check_place(struct item *item)
{
    char real[PATH_MAX];
    struct error why = { 0 };

    if (realpath(item->absolute, real) != NULL && strcmp(real, item->absolute) == 0)
        return 0;
    error_set(&why, 1, "%.300s: it was moved, or a link was put there, during the test",
              item->absolute);
    return item_fail(item, "notebook", &why);
}

int
item_load(struct item *item, struct notebook **ret, struct directives **ret_directives)
{
    CLEANUP(notebook_destroyp) struct notebook *notebook = NULL;
    struct directives *directives;
    int r = item_check_place(item);

    if (r == 0)
        r = read_notebook(item, &notebook);

    if (r != 0)
        return r;
    directives = calloc(notebook->cell_count + 1, sizeof *directives);
    if (directives == NULL)
        return -ENOMEM;
    r = read_directives(item, notebook, directives);
    if (r != 0) {
        item_free_directives(directives, notebook->cell_count);
        return r;
    }
    *ret = notebook;
    *ret_directives = directives;
    notebook = NULL;
    return 0;
}
