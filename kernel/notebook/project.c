/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/project.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/file.h"
#include "kernel/limits.h"
#include "kernel/notebook/criteria.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define DEPTH_MAX 16 /* of the file's JSON */
#define PATTERN_BYTES_MAX 1024
#define PATTERNS_MAX 1000
#define LANGUAGE_BYTES_MAX 64
#define SHOWN_MAX 64
#define TIMEOUT_MAX_S 1e6

#define SANITIZE_REGEX "regex: "
#define SANITIZE_REPLACE "replace: "

struct project {
    json_t *members; /* owned: the file's, checked */
    char folder[PATH_MAX]; /* where it is, absolute */
    char real[PATH_MAX]; /* the same without links */
};

static int
invalid(struct error *err, const char *name, const char *what)
{
    return error_set(err, PROJECT_E_INVALID, "%.200s: it must be %s", name, what);
}

static int
check_one_of(const char *name, const json_t *value, const char *const *words,
             const char *what, struct error *err)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text != NULL && words[i] != NULL; i++)
        if (strcmp(text, words[i]) == 0)
            return 0;
    return invalid(err, name, what);
}

static int
check_compare(const char *name, const json_t *value, struct error *err)
{
    static const char *const words[] = { "all", "marked", "none", NULL };

    return check_one_of(name, value, words, "\"all\", \"marked\" or \"none\"", err);
}

static int
check_network(const char *name, const json_t *value, struct error *err)
{
    static const char *const words[] = { "none", "host", NULL };

    return check_one_of(name, value, words, "\"none\" or \"host\"", err);
}

static int
check_seconds(const char *name, const json_t *value, struct error *err)
{
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !(seconds > 0) || seconds > TIMEOUT_MAX_S)
        return invalid(err, name, "a number of seconds, more than 0, at most 1000000");
    return 0;
}

/* A string of 1 to MAX bytes without NUL. */
static bool
is_text(const json_t *value, size_t max)
{
    size_t length = json_string_length(value);

    return json_is_string(value) && length > 0 && length <= max &&
           strlen(json_string_value(value)) == length;
}

static int
check_language(const char *name, const json_t *value, struct error *err)
{
    return is_text(value, LANGUAGE_BYTES_MAX)
               ? 0
               : invalid(err, name, "the name of a language, a string");
}

static int
check_limits(const char *name, const json_t *value, struct error *err)
{
    CLEANUP(tree_decrefp) json_t *members = json_object();
    int r;

    if (!is_text(value, PATTERN_BYTES_MAX))
        return invalid(err, name, "a string such as \"memory=2G,time=30\"");
    if (members == NULL)
        return -ENOMEM;
    r = limits_parse_members(members, json_string_value(value), err);
    return r > 0 ? error_wrap(err, PROJECT_E_INVALID, "%s", name) : r;
}

static int
check_show(const char *name, const json_t *value, struct error *err)
{
    bool fits = json_is_array(value) && json_array_size(value) <= SHOWN_MAX;

    for (size_t i = 0; fits && i < json_array_size(value); i++)
        fits = is_text(json_array_get(value, i), PATTERN_BYTES_MAX);
    return fits ? 0 : invalid(err, name, "an array of at most 64 paths");
}

static bool
is_pattern(const char *text)
{
    return text[0] != '\0' && text[0] != '/' && strlen(text) <= PATTERN_BYTES_MAX;
}

static int
check_exclude(const char *name, const json_t *value, struct error *err)
{
    if (!json_is_array(value) || json_array_size(value) > PATTERNS_MAX)
        return invalid(err, name, "an array of at most 1000 patterns");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *pattern = json_array_get(value, i);

        if (!is_text(pattern, PATTERN_BYTES_MAX) ||
            !is_pattern(json_string_value(pattern)))
            return invalid(err, name,
                           "an array of patterns of paths relative to the file's folder");
    }
    return 0;
}

typedef int check_fn(const char *name, const json_t *value, struct error *err);

static check_fn check_notebooks;

/* Members besides those of the comparison. */
static const struct member {
    const char *name;
    bool of_notebook; /* it may stand within "notebooks" */
    check_fn *check;
} members[] = {
    { "compare", true, check_compare },
    { "exclude", false, check_exclude },
    { "language", true, check_language },
    { "cell_timeout", true, check_seconds },
    { "notebook_timeout", true, check_seconds },
    { "network", true, check_network },
    { "limits", true, check_limits },
    { "show", true, check_show },
    { "notebooks", false, check_notebooks },
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
check_members(const json_t *object, bool of_notebook, struct error *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        const struct member *member = find_member(name);
        int r;

        if (member == NULL) {
            r = criteria_check_member(name, value, err);
            if (r == CRITERIA_E_UNKNOWN)
                return error_set(err, PROJECT_E_INVALID,
                                 "%.200s: there is no such member", name);
            if (r != 0)
                return PROJECT_E_INVALID;
            continue;
        }
        if (of_notebook && !member->of_notebook)
            return error_set(err, PROJECT_E_INVALID,
                             "%s: it is for the whole project, not for some notebooks",
                             name);
        r = member->check(name, value, err);
        if (r != 0)
            return r;
    }
    return 0;
}

static int
check_notebooks(const char *name, const json_t *value, struct error *err)
{
    const char *pattern;
    json_t *settings;

    if (!json_is_object(value) || json_object_size(value) > PATTERNS_MAX)
        return invalid(err, name, "an object of at most 1000 patterns");
    json_object_foreach((json_t *)value, pattern, settings)
    {
        int r = 0;

        if (!is_pattern(pattern))
            return error_set(err, PROJECT_E_INVALID,
                             "%s: \"%.100s\" is no pattern of paths relative to the "
                             "file's folder",
                             name, pattern);
        if (!json_is_object(settings))
            r = error_set(err, PROJECT_E_INVALID, "it must be an object");
        else
            r = check_members(settings, true, err);
        if (r > 0)
            return error_wrap(err, PROJECT_E_INVALID, "%s.%.100s", name, pattern);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
read_members(struct project *project, const char *path, struct error *err)
{
    static const struct json_limits limits = { PROJECT_BYTES_MAX, DEPTH_MAX };
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, PROJECT_BYTES_MAX);
    r = file_read(path, &text, err);
    if (r != 0)
        return r < 0 ? r : PROJECT_E_INVALID;
    r = tree_load_object(&project->members, buffer_slice(&text), &limits, err);
    if (r == 0)
        r = check_members(project->members, false, err);
    return r > 0 ? error_wrap(err, PROJECT_E_INVALID, "%.200s", path) : r;
}

/* "." where PATH has no folder. */
static int
find_folder(struct project *project, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX], here[PATH_MAX];
    int n;

    if (slash == NULL)
        n = snprintf(folder, sizeof folder, ".");
    else
        n = snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
    if (n < 0 || (size_t)n >= sizeof folder)
        return error_set(err, PROJECT_E_INVALID, "the path is too long");
    if (realpath(folder, project->real) == NULL ||
        (folder[0] != '/' && getcwd(here, sizeof here) == NULL))
        return error_set(err, PROJECT_E_INVALID, "%.200s: %s", folder, strerror(errno));
    if (folder[0] == '/')
        n = snprintf(project->folder, PATH_MAX, "%s", folder);
    else if (slash == NULL)
        n = snprintf(project->folder, PATH_MAX, "%s", here);
    else
        n = snprintf(project->folder, PATH_MAX, "%s/%s", here, folder);
    if (n < 0 || n >= PATH_MAX)
        return error_set(err, PROJECT_E_INVALID, "the path is too long");
    while (n > 1 && project->folder[n - 1] == '/')
        project->folder[--n] = '\0';
    return 0;
}

int
project_read(struct project **ret, const char *path, struct error *err)
{
    CLEANUP(project_destroyp) struct project *project = calloc(1, sizeof *project);
    int r = 0;

    if (project == NULL)
        return -ENOMEM;
    if (path == NULL) {
        project->members = json_object();
        if (project->members == NULL)
            return -ENOMEM;
    } else {
        r = find_folder(project, path, err);
        if (r == 0)
            r = read_members(project, path, err);
    }
    if (r != 0)
        return r;
    *ret = project;
    project = NULL;
    return 0;
}

void
project_destroy(struct project *project)
{
    if (project == NULL)
        return;
    json_decref(project->members);
    free(project);
}

bool
project_locate(const char *folder, char *ret, size_t size)
{
    char at[PATH_MAX], path[PATH_MAX];
    size_t length = strlen(folder);
    struct stat status;

    if (length == 0 || folder[0] != '/' || length + 1 > sizeof at)
        return false;
    memcpy(at, folder, length + 1);
    for (;;) {
        while (length > 0 && at[length - 1] == '/')
            at[--length] = '\0';
        if (file_join(path, at, PROJECT_FILE, NULL) == 0 && stat(path, &status) == 0 &&
            S_ISREG(status.st_mode)) {
            if (strlen(path) >= size)
                return false;
            strcpy(ret, path);
            return true;
        }
        if (length == 0 ||
            (file_join(path, at, ".git", NULL) == 0 && lstat(path, &status) == 0))
            return false;
        while (length > 0 && at[length - 1] != '/')
            at[--length] = '\0';
    }
}

/* PATH as seen from the project's folder; NULL: it is elsewhere. */
static const char *
relative(const struct project *project, const char *path)
{
    const char *const folders[] = { project->folder, project->real };

    for (size_t i = 0; i < N_ELEMENTS(folders); i++) {
        size_t length = strlen(folders[i]);

        if (length == 0 || strncmp(path, folders[i], length) != 0)
            continue;
        if (folders[i][length - 1] == '/') /* the root */
            return path + length;
        if (path[length] == '/')
            return path + length + 1;
    }
    return NULL;
}

/* Whether C is in the set behind "[" at *PATTERN, which then is behind its "]". A set
 * that does not end is the character "[". */
static bool
match_set(const char **pattern, char c)
{
    const char *at = *pattern + 1;
    bool negated = *at == '!' || *at == '^', found = false;
    const char *first = at += negated;

    while (*at != '\0' && (*at != ']' || at == first)) {
        char from = *at++;
        char to = from;

        if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
            to = at[1];
            at += 2;
        }
        found = found || ((unsigned char)from <= (unsigned char)c &&
                          (unsigned char)c <= (unsigned char)to);
    }
    if (*at == '\0') {
        (*pattern)++;
        return c == '[';
    }
    *pattern = at + 1;
    return found != negated;
}

/* How many bytes of TEXT the first element of *PATTERN, no star, takes; 0: none. */
static size_t
match_one(const char **pattern, const char *text)
{
    size_t length;

    switch (**pattern) {
    case '\0':
        return 0;
    case '?':
        (*pattern)++;
        length = text_utf8_character(text, strnlen(text, 4));
        return length > 0 ? length : 1;
    case '[':
        return match_set(pattern, *text);
    case '\\':
        *pattern += (*pattern)[1] != '\0';
        /* fallthrough */
    default:
        return *(*pattern)++ == *text;
    }
}

/* As fnmatch(3) with stars that match "/", but its time is bounded by the product of the
 * lengths. A pattern that ends at a "/" of TEXT names the folder: it matches. */
static bool
match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    for (;;) {
        const char *next = pattern;
        size_t taken;

        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
            continue;
        }
        if (*pattern == '\0' && (*text == '\0' || *text == '/'))
            return true;
        taken = *text != '\0' ? match_one(&next, text) : 0;
        if (taken > 0) {
            pattern = next;
            text += taken;
            continue;
        }
        if (star == NULL || *resume == '\0')
            return false;
        pattern = star;
        text = ++resume;
    }
}

static bool
matches(const char *pattern, const char *path)
{
    size_t length = strlen(pattern);
    char trimmed[PATTERN_BYTES_MAX + 1];

    memcpy(trimmed, pattern, length + 1);
    while (length > 1 && trimmed[length - 1] == '/')
        trimmed[--length] = '\0';
    if (match(trimmed, path))
        return true;
    return strncmp(trimmed, "**/", 3) == 0 && match(trimmed + 3, path);
}

bool
project_excludes(const struct project *project, const char *path)
{
    const json_t *patterns = json_object_get(project->members, "exclude");
    const char *name = relative(project, path);

    for (size_t i = 0; name != NULL && i < json_array_size(patterns); i++)
        if (matches(json_string_value(json_array_get(patterns, i)), name))
            return true;
    return false;
}

/* PATH of "show", absolute and without links. False: it is not there. */
static bool
resolve(const struct project *project, const json_t *path, char real[PATH_MAX])
{
    const char *text = json_string_value(path);
    char joined[PATH_MAX];

    if (text[0] != '/' && file_join(joined, project->folder, text, NULL) == 0)
        text = joined;
    return realpath(text, real) != NULL;
}

/* Makes the paths of "show" absolute. What is not there is left out. 0 or -ENOMEM. */
static int
resolve_shown(const struct project *project, json_t *settings)
{
    const json_t *paths = json_object_get(settings, "show");
    CLEANUP(tree_decrefp) json_t *resolved = NULL;
    const json_t *path;
    size_t i;

    if (paths == NULL)
        return 0;
    resolved = json_array();
    json_array_foreach(paths, i, path)
    {
        char real[PATH_MAX];

        if (resolve(project, path, real) &&
            json_array_append_new(resolved, json_string(real)) < 0)
            return -ENOMEM;
    }
    return json_object_set(settings, "show", resolved) < 0 ? -ENOMEM : 0;
}

static bool
is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 &&
           (path[length] == '\0' || path[length] == '/' || folder[length - 1] == '/');
}

static int
check_found_part(const struct project *project, const json_t *part, struct error *err)
{
    const char *network = json_string_value(json_object_get(part, "network"));
    const json_t *path;
    size_t i;

    if (network != NULL && strcmp(network, "host") == 0)
        return error_set(err, PROJECT_E_INVALID,
                         "%.200s/" PROJECT_FILE ": \"network\": a configuration that was "
                         "found gives no network: say --network host, or name it with "
                         "--config",
                         project->folder);
    json_array_foreach(json_object_get(part, "show"), i, path)
    {
        char real[PATH_MAX];

        if (resolve(project, path, real) && !is_below(real, project->real))
            return error_set(
                err, PROJECT_E_INVALID,
                "%.200s/" PROJECT_FILE ": \"show\": %.200s: a configuration "
                "that was found shows nothing outside of its folder: name it "
                "with --config, or move it up",
                project->folder, json_string_value(path));
    }
    return 0;
}

int
project_check_found(const struct project *project, struct error *err)
{
    const json_t *part;
    const char *pattern;
    int r = check_found_part(project, project->members, err);

    json_object_foreach(json_object_get(project->members, "notebooks"), pattern, part)
    {
        if (r == 0)
            r = check_found_part(project, part, err);
    }
    return r;
}

json_t *
project_settings(const struct project *project, const char *path)
{
    CLEANUP(tree_decrefp) json_t *settings = json_deep_copy(project->members);
    const char *pattern, *name = relative(project, path);
    json_t *part, *ret;

    if (settings == NULL)
        return NULL;
    json_object_del(settings, "exclude");
    json_object_del(settings, "notebooks");
    json_object_foreach(json_object_get(project->members, "notebooks"), pattern, part)
    {
        if (name != NULL && matches(pattern, name) && criteria_merge(settings, part) < 0)
            return NULL;
    }
    if (resolve_shown(project, settings) < 0)
        return NULL;
    ret = settings;
    settings = NULL;
    return ret;
}

/* The next line of *TEXT, without its end. */
static struct slice
take_line(struct slice *text)
{
    const uint8_t *end = memchr(text->data, '\n', text->length);
    struct slice line = { text->data,
                          end != NULL ? (size_t)(end - text->data) : text->length };
    size_t used = line.length + (end != NULL);

    *text = (struct slice){ text->data + used, text->length - used };
    if (line.length > 0 && line.data[line.length - 1] == '\r')
        line.length--;
    return line;
}

/* What follows START in LINE; false: something else stands there. */
static bool
behind(struct slice line, const char *start, struct slice *ret)
{
    size_t length = strlen(start);

    if (line.length < length || memcmp(line.data, start, length) != 0)
        return false;
    *ret = (struct slice){ line.data + length, line.length - length };
    return true;
}

/* Of rules with the same pattern the last one's replacement counts, at the first one's
 * place. */
static int
add_rule(json_t *rules, struct slice pattern, struct slice replacement)
{
    json_t *rule =
        json_pack("{s:s%,s:s%}", "pattern", (const char *)pattern.data, pattern.length,
                  "replace", (const char *)replacement.data, replacement.length);

    if (rule == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        json_t *other = json_array_get(rules, i);

        if (json_equal(json_object_get(other, "pattern"),
                       json_object_get(rule, "pattern")))
            return json_array_set_new(rules, i, rule) == 0 ? 0 : -ENOMEM;
    }
    return json_array_append_new(rules, rule) == 0 ? 0 : -ENOMEM;
}

static int
read_rules(json_t *rules, struct slice text, struct error *err)
{
    struct slice line, pattern, replacement;
    int r = 0;

    for (size_t number = 1; r == 0 && text.length > 0; number++) {
        line = take_line(&text);
        if (behind(line, SANITIZE_REPLACE, &replacement))
            return error_set(err, PROJECT_E_INVALID,
                             "line %zu: a \"replace: \" line without a \"regex: \" line "
                             "right before it",
                             number);
        if (!behind(line, SANITIZE_REGEX, &pattern))
            continue;
        line = text.length > 0 ? take_line(&text) : (struct slice){ text.data, 0 };
        if (!behind(line, SANITIZE_REPLACE, &replacement))
            return error_set(err, PROJECT_E_INVALID,
                             "line %zu: a \"regex: \" line without a \"replace: \" line "
                             "right behind it",
                             number);
        number++;
        r = add_rule(rules, pattern, replacement);
        if (r == 0 && json_array_size(rules) > CRITERIA_RULES_MAX)
            return error_set(err, PROJECT_E_INVALID, "more than %d rules",
                             CRITERIA_RULES_MAX);
    }
    return r;
}

int
project_add_sanitize_file(json_t *settings, const char *path, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    CLEANUP(tree_decrefp) json_t *rules = json_array();
    CLEANUP(tree_decrefp) json_t *added = json_object();
    int r;

    buffer_init(&text, PROJECT_BYTES_MAX);
    r = file_read(path, &text, err);
    if (r != 0)
        return r < 0 ? r : PROJECT_E_INVALID;
    if (rules == NULL || added == NULL)
        return -ENOMEM;
    if (!text_is_utf8(text.data, text.length))
        return error_set(err, PROJECT_E_INVALID, "%.200s: it is not UTF-8 text", path);
    r = read_rules(rules, buffer_slice(&text), err);
    if (r == 0 && json_object_set(added, "sanitize", rules) < 0)
        return -ENOMEM;
    if (r == 0 && criteria_check(added, err) != 0)
        r = PROJECT_E_INVALID;
    if (r > 0)
        return error_wrap(err, PROJECT_E_INVALID, "%.200s", path);
    return r < 0 ? r : criteria_merge(settings, added);
}
