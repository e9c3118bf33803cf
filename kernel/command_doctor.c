/* SPDX-License-Identifier: MIT */
/* cellwall doctor: what works on this machine, and how to get the rest. */
#include <dirent.h>
#include <jansson.h>
#include <sodium.h>
#include <stddef.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zmq.h>

#include "contexts/interpreters.h"
#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "contexts/sandbox/layers.h"
#include "contexts/spawner.h"
#include "contexts/tier.h"
#include "kernel/command.h"
#include "kernel/doctor_zygote.h"
#include "kernel/file.h"
#include "kernel/log.h"
#include "kernel/probe.h"
#include "kernel/server.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define NAME_WIDTH 20
#define KERNELSPECS_MAX 64

struct arguments {
    bool json;
    const char *python;
    const char *tier;
};

static const struct option_spec options[] = {
    { "json", 0, OPTION_FLAG, NULL, NULL, offsetof(struct arguments, json),
      "Print one JSON object instead." },
    { "tier", 0, OPTION_CHOICE, NULL, "full|nested", offsetof(struct arguments, tier),
      "The tier that is required, for the exit status. The default is full." },
    { "python", 0, OPTION_TEXT, "PATH", NULL, offsetof(struct arguments, python),
      "The interpreter of the python runtime. The default is the one in PATH." },
};

/* What was found becomes one object, which is printed in one way or the other. */
struct doctor {
    struct spawner *spawner; /* owned */
    struct loop *loop; /* owned */
    json_t *report; /* owned */
    const char *best; /* name of the best tier there is, or NULL */
    bool waiting;
};

static void
doctor_fini(struct doctor *doctor)
{
    json_decref(doctor->report);
    spawner_destroy(doctor->spawner);
    loop_destroy(doctor->loop);
}

static int
put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) < 0 ? -ENOMEM : 0;
}

/* What the program inside has told, as members. */
static json_t *
read_inside(struct slice output)
{
    json_t *inside = json_object();
    CLEANUP(freep)
    char *text =
        output.length == 0 ? NULL : strndup((const char *)output.data, output.length);
    char *line, *rest = text;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        char *space = strchr(line, ' ');

        if (space == NULL)
            continue;
        *space = '\0';
        put(inside, line, json_string(space + 1));
    }
    return inside;
}

/* What it must have told, or not: a sandbox that was made and does not hold is none. */
static const struct fact {
    const char *name;
    const char *value;
    bool is_forbidden;
} facts[] = {
    { "capabilities", "0", false },   { "no_new_privileges", "1", false },
    { "seccomp", "2", false },        { "new_namespaces", "allowed", true },
    { "network", "reachable", true },
};

/* The name of the first fact that is not so; NULL: all are, or the program could not be
 * run there. */
static const char *
find_hole(const json_t *inside)
{
    for (size_t i = 0; i < N_ELEMENTS(facts); i++) {
        const char *told = json_string_value(json_object_get(inside, facts[i].name));

        if (json_object_size(inside) > 0 &&
            (told == NULL ||
             (strcmp(told, facts[i].value) == 0) == facts[i].is_forbidden))
            return facts[i].name;
    }
    return NULL;
}

static int
on_tier(const struct tier_report *report, void *arg)
{
    struct doctor *doctor = arg;
    json_t *found = json_object(), *inside = read_inside(report->output);
    const char *hole = find_hole(inside);
    bool works = report->works && hole == NULL;
    int r = put(found, "works", json_boolean(works));

    doctor->waiting = false;
    if (r == 0 && !works) {
        r = put(found, "missing",
                report->works ? json_sprintf("seen from inside: %s", hole)
                              : json_string(report->missing));
        if (r == 0)
            r = put(found, "remedy",
                    json_string(report->works ? "this is a fault of Cellwall: report it"
                                              : report->remedy));
    }
    if (r == 0)
        r = put(found, "inside", inside);
    else
        json_decref(inside);
    if (works && doctor->best == NULL)
        doctor->best = tier_name(report->tier);
    if (r != 0) {
        json_decref(found);
        return r;
    }
    return put(doctor->report, tier_name(report->tier), found);
}

static int
try_tier(struct doctor *doctor, enum sandbox_tier tier, struct error *err)
{
    char self[PATH_MAX];
    const char *const program[] = { self, "inside", NULL };
    struct tier_probe *probe;
    int r = file_executable(self, err);

    if (r == 0)
        r = tier_probe_begin(&probe, doctor->loop, doctor->spawner, tier, program,
                             on_tier, doctor, err);
    doctor->waiting = r == 0;
    while (r == 0 && doctor->waiting)
        r = loop_wait(doctor->loop, -1);
    return r;
}

static const char *const states[] = {
    [LAYER_OK] = "ok",
    [LAYER_MISSING] = "missing",
    [LAYER_WEAK] = "partly",
};

static int
add_row(json_t *rows, const char *name, const char *state, const char *detail,
        const char *remedy)
{
    json_t *row = json_pack("{ss ss ss ss*}", "name", name, "state", state, "detail",
                            detail, "remedy", remedy);

    return row == NULL || json_array_append_new(rows, row) < 0 ? -ENOMEM : 0;
}

static int
add_layers(struct doctor *doctor)
{
    struct layer layers[LAYERS_MAX];
    char directory[PATH_MAX];
    json_t *rows = json_array();
    int r = put(doctor->report, "layers", rows);
    size_t count;

    if (getcwd(directory, sizeof directory) == NULL)
        strcpy(directory, "/");
    count = layers_find(layers, directory);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_row(rows, layers[i].name, states[layers[i].state], layers[i].detail,
                    layers[i].remedy);
    return r;
}

/* By a launcher of its own: one has the zygotes of one runtime. */
static int
try_zygote(char ret[ERROR_TEXT_BYTES], const struct doctor *doctor,
           const struct runtime *runtime, const struct environment *environment)
{
    struct spawner *spawner = NULL;
    struct loop *loop = NULL;
    int r;

    ret[0] = '\0';
    if (runtime->zygote == NULL || doctor->best == NULL ||
        strcmp(doctor->best, tier_name(SANDBOX_TIER_FULL)) != 0)
        return 0;
    r = spawner_create(&spawner, NULL);
    if (r == 0)
        r = loop_create(&loop);
    if (r == 0)
        r = spawner_attach(spawner, loop);
    if (r == 0)
        r = doctor_try_zygote(ret, loop, spawner, runtime, environment);
    spawner_destroy(spawner);
    loop_destroy(loop);
    return r;
}

/* They are not started: there may be many, and each takes its time. */
static int
add_interpreters(json_t *rows, const struct runtime *runtime)
{
    CLEANUP(interpreters_freep) char **paths = NULL;
    char detail[PATH_MAX] = "";
    int r = interpreters_list(&paths, runtime->interpreters);

    if (r != 0)
        return r;
    for (size_t i = 0; paths[i] != NULL; i++) {
        size_t length = strlen(detail);

        snprintf(detail + length, sizeof detail - length, "%s%s", i > 0 ? ", " : "",
                 paths[i]);
    }
    if (paths[0] == NULL)
        return add_row(rows, runtime->name, "missing", "there is no interpreter for it",
                       "install one");
    return add_row(rows, runtime->name, "ok", detail, NULL);
}

static int
add_runtime(const struct doctor *doctor, json_t *rows, const char *folder,
            const char *name, const char *python)
{
    char zygote[ERROR_TEXT_BYTES];
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    struct error err = { 0 };
    char detail[PATH_MAX + 2 * ERROR_TEXT_BYTES];
    const char *version;
    int r = runtime_load(&runtime, folder, name, &err);

    if (r == 0 && runtime->interpreters != NULL)
        return add_interpreters(rows, runtime);
    if (r == 0)
        r = environment_probe(&environment, runtime, environment_python(runtime, python),
                              &err);
    if (r < 0)
        return r;
    if (r > 0)
        return add_row(rows, name, "missing", err.text,
                       "install what it needs, or name another interpreter");
    r = try_zygote(zygote, doctor, runtime, environment);
    if (r < 0)
        return r;
    version = json_string_value(json_object_get(environment->document, "version"));
    snprintf(detail, sizeof detail, "%s%s%s%s%s",
             environment->interpreter != NULL ? environment->interpreter : "",
             version != NULL ? " " : "", version != NULL ? version : "",
             zygote[0] != '\0' ? ", zygote " : "", zygote);
    if (zygote[0] == '\0' || strncmp(zygote, "ready", strlen("ready")) == 0)
        return add_row(rows, name, "ok", detail, NULL);
    return add_row(rows, name, "partly", detail,
                   "interpreters are started by exec, which takes longer");
}

static int
add_runtimes(struct doctor *doctor, const char *python)
{
    json_t *rows = json_array();
    struct error err = { 0 };
    char folder[PATH_MAX], path[PATH_MAX];
    const struct dirent *entry;
    DIR *directory;
    int r = put(doctor->report, "runtimes", rows);

    if (r != 0)
        return r;
    if (file_runtimes(folder, &err) != 0)
        return add_row(rows, "runtimes", "missing", err.text,
                       "set CELLWALL_RUNTIMES to their folder");
    directory = opendir(folder);
    while (r == 0 && directory != NULL && (entry = readdir(directory)) != NULL) {
        snprintf(path, sizeof path, "%.*s/%s/runtime.json", PATH_MAX - NAME_MAX - 32,
                 folder, entry->d_name);
        if (entry->d_name[0] != '.' && access(path, F_OK) == 0)
            r = add_runtime(doctor, rows, folder, entry->d_name, python);
    }
    if (directory != NULL)
        closedir(directory);
    return r;
}

static int
add_kernelspecs_in(json_t *rows, const char *data)
{
    char folder[PATH_MAX], path[PATH_MAX];
    const struct dirent *entry;
    DIR *directory;
    int r = 0;

    if (file_join(folder, data, "kernels", NULL) != 0 ||
        (directory = opendir(folder)) == NULL)
        return 0;
    while (r == 0 && json_array_size(rows) < KERNELSPECS_MAX &&
           (entry = readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, "cellwall-", strlen("cellwall-")) != 0 ||
            file_join(path, folder, entry->d_name, NULL) != 0)
            continue;
        r = add_row(rows, entry->d_name, "ok", path, NULL);
    }
    closedir(directory);
    return r;
}

/* Where Jupyter looks: the user's, those of JUPYTER_PATH, the machine's. */
static int
add_kernelspecs(struct doctor *doctor)
{
    CLEANUP(freep) char *paths = NULL;
    json_t *rows = json_array();
    char data[PATH_MAX];
    char *rest, *folder;
    int r = put(doctor->report, "kernelspecs", rows);

    paths = strdup(getenv("JUPYTER_PATH") != NULL ? getenv("JUPYTER_PATH") : "");
    if (paths == NULL)
        return -ENOMEM;
    if (r == 0 && file_jupyter_data(data, NULL) == 0)
        r = add_kernelspecs_in(rows, data);
    for (rest = paths; r == 0 && (folder = strsep(&rest, ":")) != NULL;)
        if (folder[0] == '/')
            r = add_kernelspecs_in(rows, folder);
    if (r == 0)
        r = add_kernelspecs_in(rows, "/usr/local/share/jupyter");
    if (r == 0)
        r = add_kernelspecs_in(rows, "/usr/share/jupyter");
    return r;
}

static int
add_server(struct doctor *doctor)
{
    struct server_found found = { 0 };
    struct error err = { 0 };
    struct spawner *spawner = NULL;
    int r = server_find(&found, getenv("CELLWALL_SERVER"), &err);

    if (r == 0)
        r = spawner_connect(&spawner, found.address, &err);
    if (r == 0)
        r = put(doctor->report, "server", json_string(found.address));
    else if (r > 0)
        r = put(doctor->report, "server", json_null());
    spawner_destroy(spawner);
    server_found_fini(&found);
    return r;
}

static int
add_versions(struct doctor *doctor)
{
    const struct scmp_version *filter = seccomp_version();
    struct utsname machine;
    char zmq[32], seccomp[32];
    int major, minor, patch;

    zmq_version(&major, &minor, &patch);
    snprintf(zmq, sizeof zmq, "%d.%d.%d", major, minor, patch);
    snprintf(seccomp, sizeof seccomp, "%u.%u.%u", filter->major, filter->minor,
             filter->micro);
    uname(&machine);
    return put(doctor->report, "versions",
               json_pack("{ss ss ss ss ss ss}", "cellwall", CELLWALL_VERSION, "linux",
                         machine.release, "libzmq", zmq, "jansson", JANSSON_VERSION,
                         "libsodium", sodium_version_string(), "libseccomp", seccomp));
}

/* How what was found looks on a terminal. */
struct look {
    const char *title, *good, *partly, *bad, *end;
};

static const struct look plain = { "", "", "", "", "" };
static const struct look coloured = { "\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[31m",
                                      "\x1b[0m" };

static void
print_state(const struct look *look, const char *state)
{
    const char *begin = strcmp(state, states[LAYER_OK]) == 0        ? look->good
                        : strcmp(state, states[LAYER_MISSING]) == 0 ? look->bad
                                                                    : look->partly;

    printf("%s%s%s", begin, state, look->end);
}

/* A remedy on lines of its own, broken between words. */
static void
print_remedy(const char *text)
{
    size_t column = 0;

    printf("      ");
    while (*text != '\0') {
        size_t length = strcspn(text, " ");

        if (column > 0 && column + length > 76) {
            printf("\n      ");
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column > 0 ? " " : "", (int)length, text);
        text += length + (text[length] == ' ');
    }
    putchar('\n');
}

static void
print_rows(const struct look *look, const char *title, const json_t *rows,
           const char *none)
{
    const char *last = "";
    const json_t *row;
    size_t i;

    printf("\n%s%s%s\n", look->title, title, look->end);
    if (json_array_size(rows) == 0)
        printf("  %s\n", none);
    json_array_foreach(rows, i, row)
    {
        const char *remedy = json_string_value(json_object_get(row, "remedy"));
        const char *detail = json_string_value(json_object_get(row, "detail"));

        printf("  %-*s ", NAME_WIDTH, json_string_value(json_object_get(row, "name")));
        print_state(look, json_string_value(json_object_get(row, "state")));
        printf("%s%s\n", detail[0] != '\0' ? ": " : "", detail);
        if (remedy != NULL && strcmp(remedy, last) != 0)
            print_remedy(remedy);
        last = remedy != NULL ? remedy : "";
    }
}

static void
print_tier(const struct look *look, const char *name, const json_t *found)
{
    const char *missing = json_string_value(json_object_get(found, "missing"));
    const char *member;
    const json_t *value;

    printf("  %-*s ", NAME_WIDTH, name);
    print_state(look, states[missing == NULL ? LAYER_OK : LAYER_MISSING]);
    printf("%s%s\n", missing == NULL ? "" : ": ", missing == NULL ? "" : missing);
    if (missing != NULL)
        print_remedy(json_string_value(json_object_get(found, "remedy")));
    json_object_foreach(json_object_get(found, "inside"), member, value)
        printf("    %-*s %s\n", NAME_WIDTH - 2, member, json_string_value(value));
}

static void
print_report(const struct doctor *doctor)
{
    const json_t *report = doctor->report;
    const json_t *value, *server = json_object_get(report, "server");
    const struct look *look = log_has_colours(STDOUT_FILENO) ? &coloured : &plain;
    const char *name;

    printf("%stier: %s%s\n", look->title, doctor->best != NULL ? doctor->best : "none",
           look->end);
    printf("\n%sA sandbox of each tier, made and looked at from inside%s\n", look->title,
           look->end);
    print_tier(look, "full", json_object_get(report, "full"));
    print_tier(look, "nested", json_object_get(report, "nested"));
    print_rows(look, "Layers", json_object_get(report, "layers"), "");
    print_rows(look, "Runtimes", json_object_get(report, "runtimes"), "none");
    print_rows(look, "Kernelspecs", json_object_get(report, "kernelspecs"),
               "none: cellwall install-kernelspec makes one");
    printf("\n%sServer%s\n  %s\n", look->title, look->end,
           json_is_string(server) ? json_string_value(server)
                                  : "none runs: cellwall serve starts one");
    printf("\n%sVersions%s\n", look->title, look->end);
    json_object_foreach((json_t *)json_object_get(report, "versions"), name, value)
        printf("  %-*s %s\n", NAME_WIDTH, name, json_string_value(value));
}

/* There are no threads here, so anything may fork. */
static int
examine(struct doctor *doctor, const struct arguments *arguments, struct error *err)
{
    int r = spawner_create(&doctor->spawner, err);

    doctor->report = json_object();
    if (r == 0)
        r = put(doctor->report, "tier", json_null()); /* to be the first */
    if (r == 0)
        r = add_layers(doctor);
    if (r == 0)
        r = loop_create(&doctor->loop);
    if (r == 0)
        r = spawner_attach(doctor->spawner, doctor->loop);
    if (r == 0)
        r = try_tier(doctor, SANDBOX_TIER_FULL, err);
    if (r == 0)
        r = try_tier(doctor, SANDBOX_TIER_NESTED, err);
    if (r == 0)
        r = add_runtimes(doctor, arguments->python);
    if (r == 0)
        r = add_kernelspecs(doctor);
    if (r == 0)
        r = add_server(doctor);
    if (r == 0)
        r = add_versions(doctor);
    if (r == 0 && doctor->best != NULL)
        r = put(doctor->report, "tier", json_string(doctor->best));
    return r;
}

static int
run(char *const *argv)
{
    CLEANUP(doctor_fini) struct doctor doctor = { 0 };
    struct arguments arguments = { .tier = "full" };
    struct error err = { 0 };
    int r, status = command_parse(&command_doctor, &arguments, argv, NULL);

    if (status >= 0)
        return status;
    r = examine(&doctor, &arguments, &err);
    if (r != 0) {
        log_line("doctor: %s", err.text[0] != '\0' ? err.text : strerror(-r));
        return EXIT_STATUS_FAILED;
    }
    if (!arguments.json)
        print_report(&doctor);
    else if (json_dumpf(doctor.report, stdout, JSON_INDENT(2)) < 0 ||
             putchar('\n') == EOF)
        return EXIT_STATUS_FAILED;
    if (doctor.best == NULL)
        return EXIT_STATUS_FAILED;
    return strcmp(doctor.best, "full") == 0 || strcmp(arguments.tier, "nested") == 0
               ? EXIT_STATUS_OK
               : EXIT_STATUS_FAILED;
}

static int
run_inside(char *const *argv)
{
    (void)argv;
    return tier_look_around();
}

const struct command command_inside = { .name = "inside", .run = run_inside };

const struct command command_doctor = {
    .name = "doctor",
    .summary = "say what works on this machine, and how to get the rest",
    .synopsis = "[--json] [--tier full|nested] [--python PATH]",
    .description =
        "      Makes a sandbox of each tier, looks at it from inside, and says which "
        "one\n"
        "      this machine gives: full, nested, or none. Then it tries each layer by\n"
        "      itself, asks the runtimes for their interpreters, and lists kernelspecs,\n"
        "      the running server and versions. Under what is missing stands how to get\n"
        "      it. Nothing is changed. Asking a runtime means running its interpreter\n"
        "      outside of the sandbox.\n"
        "\n"
        "      Layers are tried with the rights that doctor is started with, in the\n"
        "      working directory: start it as the kernel will be.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes = "JSON\n"
             "      tier         \"full\", \"nested\" or null\n"
             "      full, nested\n"
             "                   objects: works; inside, what a program there sees; or\n"
             "                   missing and remedy\n"
             "      layers, runtimes, kernelspecs\n"
             "                   arrays of objects: name, state (ok, partly, missing), "
             "detail,\n"
             "                   and remedy if there is one\n"
             "      server       its socket, or null\n"
             "      versions     object of strings\n"
             "\n"
             "EXIT STATUS\n"
             "      0    the required tier works\n"
             "      1    it does not, or stdout cannot be written\n"
             "      2    wrong usage\n"
             "\n"
             "ENVIRONMENT\n"
             "      CELLWALL_RUNTIMES   folder of the runtimes; see \"cellwall kernel "
             "--help\"\n"
             "      CELLWALL_SERVER     the server that is looked for, else this user's\n"
             "      JUPYTER_PATH        where else Jupyter looks for kernelspecs\n"
             "      NO_COLOR            if not empty: no colours on a terminal\n"
             "\n"
             "EXAMPLES\n"
             "      cellwall doctor\n"
             "      cellwall doctor --json --tier nested\n",
    .run = run,
};
