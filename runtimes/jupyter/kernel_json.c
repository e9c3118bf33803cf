/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/kernel_json.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define WORD_BYTES_MAX ((size_t)64 * 1024) /* of one, filled in */
#define NAME_BYTES_MAX 64
#define KERNELS "/share/jupyter/kernels"
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

void
kernel_json_destroy(struct kernel_json *spec)
{
    if (spec == NULL)
        return;
    free(spec->path);
    free(spec->folder);
    free(spec->name);
    free(spec->prefix);
    free(spec->program);
    json_decref(spec->document);
    free(spec);
}

void
kernel_json_destroyp(struct kernel_json **spec)
{
    kernel_json_destroy(*spec);
}

void
kernel_json_free_words(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        free(words[i]);
    free(words);
}

void
kernel_json_free_wordsp(char ***words)
{
    kernel_json_free_words(*words);
}

static int
invalid(struct error *err, const struct kernel_json *spec, const char *what)
{
    return error_set(err, KERNEL_JSON_E_INVALID, "%.300s: %s", spec->path, what);
}

/* Names end up in file names and in what users type. */
static bool
is_name(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
            return false;
    }
    return length > 0 && length <= NAME_BYTES_MAX && name[0] != '.';
}

static int
take_place(struct kernel_json *spec, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/'), *name;
    size_t length;

    spec->path = strdup(path);
    if (spec->path == NULL)
        return -ENOMEM;
    if (slash == NULL || path[0] != '/' || slash == path)
        return invalid(err, spec, "a kernelspec is a folder with a kernel.json");
    spec->folder = strndup(path, (size_t)(slash - path));
    if (spec->folder == NULL)
        return -ENOMEM;
    name = strrchr(spec->folder, '/') + 1;
    if (!is_name(name))
        return invalid(err, spec,
                       "a kernelspec's folder has a name of up to 64 letters, digits, "
                       "\".\", \"_\" and \"-\"");
    spec->name = strdup(name);
    length = (size_t)(name - 1 - spec->folder);
    if (length > strlen(KERNELS) &&
        strncmp(spec->folder + length - strlen(KERNELS), KERNELS, strlen(KERNELS)) == 0)
        spec->prefix = strndup(spec->folder, length - strlen(KERNELS));
    return spec->name == NULL ? -ENOMEM : 0;
}

static bool
are_strings(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i)))
            return false;
    }
    return json_is_array(array) && json_array_size(array) <= KERNEL_JSON_WORDS_MAX;
}

static bool
are_variables(json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value) || name[0] == '\0' || strchr(name, '=') != NULL)
            return false;
    }
    return json_is_object(object) && json_object_size(object) <= KERNEL_JSON_WORDS_MAX;
}

static int
take_own(struct kernel_json *spec, const json_t *own, struct error *err)
{
    const json_t *transport = json_object_get(own, "transport");
    const json_t *limit = json_object_get(own, "start_timeout_s");
    const char *name = json_string_value(transport);

    spec->start_s = KERNEL_JSON_START_S;
    spec->mounts = json_object_get(own, "mounts");
    if (spec->mounts != NULL && !are_strings(spec->mounts))
        return invalid(err, spec, "metadata.cellwall.mounts must be an array of paths");
    if (transport != NULL &&
        (name == NULL || (strcmp(name, "ipc") != 0 && strcmp(name, "tcp") != 0)))
        return invalid(err, spec,
                       "metadata.cellwall.transport must be \"ipc\" or \"tcp\"");
    spec->tcp = name != NULL && strcmp(name, "tcp") == 0;
    if (limit == NULL)
        return 0;
    if (!json_is_integer(limit) || json_integer_value(limit) < 1 ||
        json_integer_value(limit) > KERNEL_JSON_START_S)
        return invalid(err, spec, "metadata.cellwall.start_timeout_s must be 1 to 55");
    spec->start_s = (int)json_integer_value(limit);
    return 0;
}

static int
take_members(struct kernel_json *spec, struct error *err)
{
    json_t *env = json_object_get(spec->document, "env");
    const char *mode =
        json_string_value(json_object_get(spec->document, "interrupt_mode"));

    spec->argv = json_object_get(spec->document, "argv");
    if (json_array_size(spec->argv) == 0 || !are_strings(spec->argv) ||
        json_string_length(json_array_get(spec->argv, 0)) == 0)
        return invalid(err, spec,
                       "\"argv\" must be an array of 1 to 256 strings: the "
                       "command of the kernel");
    if (json_is_null(env))
        env = NULL;
    if (env != NULL && !are_variables(env))
        return invalid(err, spec, "\"env\" must be an object of up to 256 strings");
    spec->env = env;
    spec->display_name =
        json_string_value(json_object_get(spec->document, "display_name"));
    spec->language = json_string_value(json_object_get(spec->document, "language"));
    if (spec->display_name == NULL || spec->display_name[0] == '\0')
        spec->display_name = spec->name;
    if (spec->language == NULL || spec->language[0] == '\0')
        spec->language = spec->name;
    spec->interrupt_by_message = mode != NULL && strcmp(mode, "message") == 0;
    return take_own(
        spec, json_object_get(json_object_get(spec->document, "metadata"), "cellwall"),
        err);
}

int
kernel_json_parse(struct kernel_json **ret, const char *path, struct slice text,
                  struct error *err)
{
    const struct json_limits limits = { KERNEL_JSON_BYTES_MAX, 32 };
    CLEANUP(kernel_json_destroyp) struct kernel_json *spec = calloc(1, sizeof *spec);
    struct error why = { 0 };
    int r;

    if (spec == NULL)
        return -ENOMEM;
    r = take_place(spec, path, err);
    if (r != 0)
        return r;
    r = tree_load_object(&spec->document, text, &limits, &why);
    if (r != 0)
        return r < 0
                   ? r
                   : error_set(err, KERNEL_JSON_E_INVALID, "%.300s: %s", path, why.text);
    r = take_members(spec, err);
    if (r != 0)
        return r;
    *ret = spec;
    spec = NULL;
    return 0;
}

static bool
is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* In the prefix's own bin first: "python" is then the one that has the kernel. */
static int
search(char **ret, const struct kernel_json *spec, const char *name)
{
    const char *path = getenv("PATH"), *at = path != NULL ? path : DEFAULT_PATH;

    if (spec->prefix != NULL) {
        if (asprintf(ret, "%s/bin/%s", spec->prefix, name) < 0)
            return *ret = NULL, -ENOMEM;
        if (is_program(*ret))
            return 0;
        free(*ret);
        *ret = NULL;
    }
    while (*at != '\0') {
        size_t length = strcspn(at, ":");

        if (asprintf(ret, "%.*s/%s", (int)length, at, name) < 0)
            return *ret = NULL, -ENOMEM;
        if ((*ret)[0] == '/' && is_program(*ret))
            return 0;
        free(*ret);
        *ret = NULL;
        at += length + (at[length] == ':');
    }
    return 0;
}

static int
find_program(struct kernel_json *spec, struct error *err)
{
    const char *name = json_string_value(json_array_get(spec->argv, 0));
    int r = 0;

    if (name[0] == '/')
        spec->program = is_program(name) ? strdup(name) : NULL;
    else if (strchr(name, '/') == NULL)
        r = search(&spec->program, spec, name);
    if (r == 0 && spec->program == NULL && strcmp(name, "python") == 0)
        r = search(&spec->program, spec, "python3");
    if (r == 0 && spec->program == NULL)
        return error_set(err, KERNEL_JSON_E_INVALID,
                         "%.300s: its program %.200s is not there", spec->path, name);
    return r;
}

static int
read_file(struct buffer *ret, const char *path, struct error *err)
{
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, KERNEL_JSON_E_INVALID, "%.300s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || (uintmax_t)st.st_size > KERNEL_JSON_BYTES_MAX)
        return error_set(err, KERNEL_JSON_E_INVALID, "%.300s: not a file of a usual size",
                         path);
    do {
        if (buffer_reserve(ret, 4096) != 0)
            return error_set(err, KERNEL_JSON_E_INVALID, "%.300s: too large", path);
        n = read(fd, ret->data + ret->length, ret->capacity - ret->length);
        if (n > 0)
            ret->length += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? error_set(err, KERNEL_JSON_E_INVALID, "%.300s: %s", path,
                             strerror(errno))
                 : 0;
}

int
kernel_json_load(struct kernel_json **ret, const char *path, struct error *err)
{
    CLEANUP(kernel_json_destroyp) struct kernel_json *spec = NULL;
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, 2 * KERNEL_JSON_BYTES_MAX);
    r = read_file(&text, path, err);
    if (r == 0)
        r = kernel_json_parse(&spec, path, buffer_slice(&text), err);
    if (r == 0)
        r = find_program(spec, err);
    if (r != 0)
        return r;
    *ret = spec;
    spec = NULL;
    return 0;
}

struct place {
    const char *name, *value;
};

static int
fill_in(char **ret, const char *text, const struct place *places, size_t count)
{
    struct buffer filled;
    int r = 0;

    buffer_init(&filled, WORD_BYTES_MAX);
    while (r == 0 && *text != '\0') {
        size_t length = 1, i = 0;

        while (i < count && (places[i].value == NULL ||
                             strncmp(text, places[i].name, strlen(places[i].name)) != 0))
            i++;
        if (i == count) {
            r = buffer_append(&filled, text, 1);
        } else {
            length = strlen(places[i].name);
            r = buffer_append_text(&filled, places[i].value);
        }
        text += length;
    }
    if (r == 0)
        r = buffer_append(&filled, "", 1);
    if (r != 0) {
        buffer_fini(&filled);
        return -ENOMEM;
    }
    *ret = (char *)filled.data;
    return 0;
}

int
kernel_json_command(char ***ret, const struct kernel_json *spec,
                    const char *connection_file)
{
    const struct place places[] = { { "{connection_file}", connection_file },
                                    { "{resource_dir}", spec->folder },
                                    { "{prefix}", spec->prefix } };
    size_t count = json_array_size(spec->argv);
    CLEANUP(kernel_json_free_wordsp) char **words = calloc(count + 1, sizeof *words);

    if (words == NULL)
        return -ENOMEM;
    words[0] = strdup(spec->program);
    for (size_t i = 1; words[i - 1] != NULL && i < count; i++) {
        const char *word = json_string_value(json_array_get(spec->argv, i));

        if (fill_in(&words[i], word, places, N_ELEMENTS(places)) != 0)
            return -ENOMEM;
    }
    if (words[0] == NULL)
        return -ENOMEM;
    *ret = words;
    words = NULL;
    return 0;
}

/* TEXT with ${NAME} replaced by the variable's value; what is not set stays as it is. */
static int
expand_variables(struct buffer *ret, const char *text)
{
    int r = 0;

    while (r == 0 && *text != '\0') {
        const char *end = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
        char name[128];
        const char *value = NULL;

        if (end != NULL && (size_t)(end - text) < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)(end - text - 2), text + 2);
            value = getenv(name);
        }
        if (value != NULL) {
            r = buffer_append_text(ret, value);
            text = end + 1;
        } else {
            r = buffer_append(ret, text++, 1);
        }
    }
    return r == 0 ? 0 : -ENOMEM;
}

/* Sets NAME in WORDS, which has room for one more. Takes VARIABLE. */
static void
put_variable(char **words, char *variable)
{
    size_t length = strcspn(variable, "=") + 1, i = 0;

    while (words[i] != NULL && strncmp(words[i], variable, length) != 0)
        i++;
    free(words[i]);
    words[i] = variable;
}

static int
put_path(char **words, const struct kernel_json *spec)
{
    const char *path = getenv("PATH");
    char *variable;

    if (spec->prefix == NULL)
        return 0;
    if (asprintf(&variable, "PATH=%s/bin:%s", spec->prefix,
                 path != NULL ? path : DEFAULT_PATH) < 0)
        return -ENOMEM;
    put_variable(words, variable);
    return 0;
}

int
kernel_json_environment(char ***ret, const struct kernel_json *spec)
{
    size_t count = 0;
    CLEANUP(kernel_json_free_wordsp) char **words = NULL;
    const char *name;
    json_t *value;

    while (environ[count] != NULL)
        count++;
    words = calloc(count + json_object_size(spec->env) + 2, sizeof *words);
    if (words == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        words[i] = strdup(environ[i]);
        if (words[i] == NULL)
            return -ENOMEM;
    }
    if (put_path(words, spec) != 0)
        return -ENOMEM;
    json_object_foreach((json_t *)spec->env, name, value)
    {
        struct buffer variable;

        buffer_init(&variable, WORD_BYTES_MAX);
        if (buffer_append_format(&variable, "%s=", name) != 0 ||
            expand_variables(&variable, json_string_value(value)) != 0 ||
            buffer_append(&variable, "", 1) != 0) {
            buffer_fini(&variable);
            return -ENOMEM;
        }
        put_variable(words, (char *)variable.data);
    }
    *ret = words;
    words = NULL;
    return 0;
}
