/* SPDX-License-Identifier: MIT */
/* cellwall test: notebooks as regression tests. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "kernel/cli/console.h"
#include "kernel/command.h"
#include "kernel/limits.h"
#include "kernel/log.h"
#include "kernel/notebook/accepting.h"
#include "kernel/notebook/artefacts.h"
#include "kernel/notebook/durations.h"
#include "kernel/notebook/engine.h"
#include "kernel/notebook/find.h"
#include "kernel/notebook/item.h"
#include "kernel/notebook/project.h"
#include "kernel/notebook/reporting.h"
#include "kernel/notebook/suite.h"
#include "kernel/notebook/supply.h"
#include "kernel/watch.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define EXIT_STATUS_BROKEN 3 /* nothing failed, but something could not be tested */
#define RESULTS "cellwall-results"

enum {
    TEST_E_USAGE = 1,
    TEST_E_START, /* it cannot begin; see ERR */
    TEST_E_STOPPED = 100 /* by a signal, or since nobody reads */
};

struct arguments {
    struct option_paths paths;
    const char *jobs, *language, *python, *compare, *config;
    const char *cell_timeout, *notebook_timeout, *network, *limits, *tier, *server;
    const char *results, *flaky, *against;
    struct option_list sanitize, reports, shown;
    bool record, accept, list, quiet, verbose, die_with_parent;
};

static const struct option_spec options[] = {
    { "PATH", 0, OPTION_PATHS, NULL, NULL, offsetof(struct arguments, paths),
      "A notebook, or a folder: all *.ipynb below it. With --accept also\n"
      "NOTEBOOK:CELL, with the number or the id of a cell." },
    { "jobs", 'j', OPTION_TEXT, "N", NULL, offsetof(struct arguments, jobs),
      "Test N notebooks at a time. The default is the number of processors." },
    { "compare", 0, OPTION_CHOICE, NULL, "all|marked|none",
      offsetof(struct arguments, compare),
      "Compare the outputs of all cells, of those that are marked for it (nbval's\n"
      "--nbval-lax), or of none: then only exceptions and the like fail." },
    { "config", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, config),
      "The configuration. The default is, for each notebook, the nearest\n"
      "cellwall-test.json in its folder or above." },
    { "sanitize", 0, OPTION_LIST, "FILE", NULL, offsetof(struct arguments, sanitize),
      "Further rules: a file as for nbval's --nbval-sanitize-with. May be given several\n"
      "times." },
    { "report", 0, OPTION_LIST, "KIND=FILE", NULL, offsetof(struct arguments, reports),
      reporting_help },
    { "results", 0, OPTION_TEXT, "DIR", NULL, offsetof(struct arguments, results),
      "Where pictures that differ, and their difference, are written. The default is\n"
      "cellwall-results in the working directory; it is made when it is needed." },
    { "record", 0, OPTION_FLAG, NULL, NULL, offsetof(struct arguments, record),
      "Write what differs, and outputs of cells that never ran, to\n"
      "NAME.pending.ipynb beside the notebook." },
    { "accept", 0, OPTION_FLAG, NULL, NULL, offsetof(struct arguments, accept),
      "Run nothing: take what was recorded over into the notebooks." },
    { "flaky", 0, OPTION_TEXT, "K", NULL, offsetof(struct arguments, flaky),
      "Run each notebook K times, and name the cells whose outputs differ from run to\n"
      "run, with rules that would make them equal. What is stored does not count." },
    { "against", 0, OPTION_TEXT, "KERNELSPEC", NULL, offsetof(struct arguments, against),
      "Run each notebook by this Jupyter kernel, too, and compare the two. What is\n"
      "stored does not count." },
    { "list", 0, OPTION_FLAG, NULL, NULL, offsetof(struct arguments, list),
      "Run nothing: tell the notebooks and their cells to the reports." },
    { "language", 'l', OPTION_TEXT, "NAME", NULL, offsetof(struct arguments, language),
      "The language of all notebooks, whatever their kernelspec says." },
    { "python", 0, OPTION_TEXT, "PATH", NULL, offsetof(struct arguments, python),
      "The interpreter of Python. The default is that of the kernelspec that was\n"
      "installed for this user, else python3 in PATH." },
    { "cell-timeout", 0, OPTION_TEXT, "SECONDS", NULL,
      offsetof(struct arguments, cell_timeout),
      "How long a cell may take. The default is 600." },
    { "notebook-timeout", 0, OPTION_TEXT, "SECONDS", NULL,
      offsetof(struct arguments, notebook_timeout),
      "How long a notebook may take. There is no default." },
    { "network", 0, OPTION_CHOICE, NULL, "none|host", offsetof(struct arguments, network),
      "The network that notebooks may use. The default is none." },
    { "show", 0, OPTION_LIST, "PATH", NULL, offsetof(struct arguments, shown),
      "A file or folder that notebooks see, read-only, besides their own folder. May be\n"
      "given several times." },
    { "limits", 0, OPTION_TEXT, "LIST", NULL, offsetof(struct arguments, limits),
      "memory=2G,cpus=1.5 and so on, as for \"cellwall kernel --help\"." },
    { "tier", 0, OPTION_CHOICE, NULL, "full|nested", offsetof(struct arguments, tier),
      "The weakest sandbox that will do: see \"cellwall kernel --help\"." },
    { "server", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, server),
      "The server.json of a running server, which makes interpreters sooner; none: ask\n"
      "none. The default is this user's, if it runs." },
    { "die-with-parent", 0, OPTION_FLAG, NULL, NULL,
      offsetof(struct arguments, die_with_parent),
      "End when the process that has started the test ends." },
    { "quiet", 'q', OPTION_FLAG, NULL, NULL, offsetof(struct arguments, quiet),
      "Print nothing for a person." },
    { "verbose", 'v', OPTION_FLAG, NULL, NULL, offsetof(struct arguments, verbose),
      "Print cells that passed, too." },
};

/* All that a test run holds. */
struct program {
    struct supply *supply; /* owned */
    struct console console; /* owned */
    struct loop *loop; /* owned */
    struct loop_source *signals; /* owned */
    int parent; /* owned: its pidfd */
    struct loop_source *parent_source; /* owned */
    struct engine *engine; /* owned */
    struct durations *durations; /* owned */
    struct reporting *reporting; /* owned */
    struct suite *suite; /* owned */
    struct artefacts artefacts; /* owned */
    json_t *overrides; /* owned */
    struct found found; /* owned */
    struct item_options items;
    bool has_console, stopped;
};

static void
program_fini(struct program *program)
{
    suite_destroy(program->suite);
    reporting_destroy(program->reporting);
    artefacts_fini(&program->artefacts);
    durations_destroy(program->durations);
    engine_destroy(program->engine);
    loop_source_destroy(program->signals);
    loop_source_destroy(program->parent_source);
    close_fdp(&program->parent);
    if (program->has_console)
        console_fini(&program->console);
    found_fini(&program->found);
    json_decref(program->overrides);
    supply_destroy(program->supply);
    loop_destroy(program->loop);
}

static int
on_signal(int number, void *arg)
{
    struct program *program = arg;

    (void)number;
    program->stopped = true;
    if (program->suite != NULL)
        suite_interrupt(program->suite);
    return TEST_E_STOPPED;
}

static int
on_signals_readable(int fd, uint32_t events, void *arg)
{
    struct program *program = arg;
    int r = console_take_signal(&program->console);

    (void)fd, (void)events;
    return r < 0 ? r : 0;
}

static int
on_parent_end(int fd, uint32_t events, void *arg)
{
    struct program *program = arg;

    (void)fd, (void)events;
    loop_source_destroy(program->parent_source); /* it stays readable */
    program->parent_source = NULL;
    on_signal(SIGTERM, program);
    return 0;
}

static int
watch_parent(struct program *program, struct error *err)
{
    program->parent = watch_open_parent(err);
    if (program->parent < 0)
        return program->parent;
    return loop_add_fd(&program->parent_source, program->loop, program->parent, EPOLLIN,
                       on_parent_end, program);
}

/* --- the command line ----------------------------------------------------------- */

static int
read_number(const char *name, const char *text, double least, double most, double *ret,
            struct error *err)
{
    char *end;

    errno = 0;
    *ret = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(*ret >= least && *ret <= most))
        return error_set(err, TEST_E_USAGE, "--%s %s: it must be a number from %g to %g",
                         name, text, least, most);
    return 0;
}

static int
read_count(const char *name, const char *text, unsigned least, unsigned most,
           unsigned *ret, struct error *err)
{
    double number;
    int r = read_number(name, text, least, most, &number, err);

    if (r == 0 && number != (unsigned)number)
        return error_set(err, TEST_E_USAGE, "--%s %s: it must be a whole number", name,
                         text);
    if (r == 0)
        *ret = (unsigned)number;
    return r;
}

static int
set_seconds(json_t *settings, const char *member, const char *name, const char *text,
            struct error *err)
{
    double seconds;
    int r = text != NULL ? read_number(name, text, 0.001, 1e6, &seconds, err) : 0;

    if (r == 0 && text != NULL)
        json_object_set_new(settings, member, json_real(seconds));
    return r;
}

static int
set_text(json_t *settings, const char *member, const char *text)
{
    return text == NULL || json_object_set_new(settings, member, json_string(text)) == 0
               ? 0
               : -ENOMEM;
}

static int
set_shown(json_t *settings, const struct option_list *shown, struct error *err)
{
    CLEANUP(tree_decrefp) json_t *paths = json_array();
    char real[PATH_MAX];

    for (size_t i = 0; i < shown->count; i++) {
        if (realpath(shown->items[i], real) == NULL)
            return error_set(err, TEST_E_USAGE, "--show %s: %s", shown->items[i],
                             strerror(errno));
        if (json_array_append_new(paths, json_string(real)) < 0)
            return -ENOMEM;
    }
    return shown->count == 0 || json_object_set(settings, "show", paths) == 0 ? 0
                                                                              : -ENOMEM;
}

/* One for all notebooks is told at once, not by each of them. */
static int
check_config(const char *path, struct error *err)
{
    struct project *project = NULL;
    int r = project_read(&project, path, err);

    project_destroy(project);
    return r;
}

/* What the command line says goes over what any configuration does. */
static int
read_overrides(json_t *settings, const struct arguments *arguments, struct error *err)
{
    struct context_limits limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK);
    int r = set_seconds(settings, "cell_timeout", "cell-timeout", arguments->cell_timeout,
                        err);

    if (r == 0)
        r = set_seconds(settings, "notebook_timeout", "notebook-timeout",
                        arguments->notebook_timeout, err);
    if (r == 0)
        r = set_text(settings, "compare", arguments->compare);
    if (r == 0)
        r = set_text(settings, "network", arguments->network);
    if (r == 0 && arguments->limits != NULL) {
        r = limits_parse(&limits, arguments->limits, err);
        if (r > 0)
            return error_wrap(err, TEST_E_USAGE, "--limits");
        if (r == 0)
            r = set_text(settings, "limits", arguments->limits);
    }
    if (r == 0)
        r = set_shown(settings, &arguments->shown, err);
    if (r == 0 && arguments->config != NULL)
        r = check_config(arguments->config, err);
    for (size_t i = 0; r == 0 && i < arguments->sanitize.count; i++)
        r = project_add_sanitize_file(settings, arguments->sanitize.items[i], err);
    return r <= 0 ? r : TEST_E_USAGE;
}

static unsigned
processors(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return count > SUITE_JOBS_MAX ? SUITE_JOBS_MAX : (unsigned)count;
}

static int
read_mode(struct suite_options *ret, const struct arguments *arguments, struct error *err)
{
    int chosen = arguments->record + arguments->list + (arguments->flaky != NULL) +
                 (arguments->against != NULL) + arguments->accept;

    if (chosen > 1)
        return error_set(err, TEST_E_USAGE,
                         "only one of --record, --accept, --list, --flaky and --against");
    if (arguments->record)
        ret->mode = JOB_RECORD;
    if (arguments->against != NULL)
        ret->mode = JOB_AGAINST;
    if (arguments->flaky == NULL)
        return 0;
    ret->mode = JOB_FLAKY;
    return read_count("flaky", arguments->flaky, 2, JOB_RUNS_MAX, &ret->runs, err);
}

/* --- the run --------------------------------------------------------------------- */

static int
find_all(struct program *program, const struct arguments *arguments, struct error *err)
{
    int r = 0;

    if (arguments->paths.count == 0)
        return error_set(err, TEST_E_USAGE, "a notebook or a folder is missing");
    for (size_t i = 0; r == 0 && i < arguments->paths.count; i++)
        r = find_notebooks(&program->found, arguments->paths.items[i], err);
    return r <= 0 ? r : TEST_E_USAGE;
}

static int
add_all(struct program *program)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < program->found.count; i++)
        r = suite_add(program->suite, program->found.paths[i]);
    return r;
}

/* The order matters: the launcher is forked before there is anything to leak. */
static int
open_program(struct program *program, const struct arguments *arguments,
             struct error *err)
{
    int r = arguments->list ? 0 : supply_create(&program->supply, arguments->server, err);

    if (r == 0)
        r = console_init(&program->console, TEST_E_STOPPED, err);
    program->has_console = r == 0;
    if (r == 0)
        r = loop_create(&program->loop);
    if (r != 0)
        return r < 0 ? r : TEST_E_START;
    program->console.on_signal = on_signal;
    program->console.arg = program;
    r = loop_add_fd(&program->signals, program->loop, program->console.signals, EPOLLIN,
                    on_signals_readable, program);
    if (r == 0 && arguments->die_with_parent)
        r = watch_parent(program, err);
    if (r == 0 && program->supply != NULL)
        r = supply_attach(program->supply, program->loop);
    return r;
}

static int
create_suite(struct program *program, const struct arguments *arguments,
             struct suite_options *wanted, struct error *err)
{
    int r =
        reporting_create(&program->reporting, &arguments->reports, &program->console,
                         arguments->quiet || arguments->list, arguments->verbose, err);

    if (r != 0)
        return r < 0 ? r : r == REPORTING_E_USAGE ? TEST_E_USAGE : TEST_E_START;
    r = durations_read(&program->durations, NULL);
    if (r == 0)
        r = artefacts_init(&program->artefacts,
                           arguments->results != NULL ? arguments->results : RESULTS,
                           err);
    if (r != 0)
        return r < 0 ? r : TEST_E_START;
    wanted->artefacts = &program->artefacts;
    wanted->loop = program->loop;
    if (program->supply != NULL)
        wanted->spawner = supply_spawner(program->supply);
    wanted->reporting = program->reporting;
    wanted->durations = program->durations;
    wanted->items = &program->items;
    r = suite_create(&program->suite, wanted);
    return r == 0 ? add_all(program) : r;
}

static int
status_of(const struct program *program, int result, const char *status)
{
    if (program->console.failure == EPIPE)
        return EXIT_STATUS_PIPE_CLOSED;
    if (program->stopped || result == TEST_E_STOPPED)
        return EXIT_STATUS_INTERRUPTED;
    if (result != 0)
        return result == TEST_E_USAGE ? EXIT_STATUS_USAGE : EXIT_STATUS_NOT_STARTED;
    if (strcmp(status, "failed") == 0)
        return EXIT_STATUS_FAILED;
    return strcmp(status, "error") == 0 ? EXIT_STATUS_BROKEN : EXIT_STATUS_OK;
}

static int
test(struct program *program, const struct arguments *arguments,
     struct suite_options *wanted, const char **ret_status, struct error *err)
{
    int r = find_all(program, arguments, err);

    if (r == 0)
        r = open_program(program, arguments, err);
    if (r == 0)
        r = engine_create(
            &program->engine, arguments->python,
            program->supply != NULL ? supply_preload(program->supply) : NULL, err);
    if (r != 0)
        return r < 0 || r == TEST_E_USAGE ? r : TEST_E_START;
    program->items = (struct item_options){ .engine = program->engine,
                                            .language = arguments->language,
                                            .against = arguments->against,
                                            .config = arguments->config,
                                            .overrides = program->overrides };
    r = create_suite(program, arguments, wanted, err);
    if (r == 0 && arguments->list)
        return suite_list(program->suite, err);
    if (r == 0)
        r = supply_prepare(program->supply, program->suite,
                           &(struct supply_wish){ .tier = wanted->tier,
                                                  .may_fork = wanted->mode != JOB_FLAKY,
                                                  .stopped = &program->stopped },
                           err);
    if (r == 0 && program->stopped)
        r = TEST_E_STOPPED;
    if (r == 0) {
        r = suite_run(program->suite, ret_status, err);
        durations_save(program->durations);
        if (r == SUITE_E_FAILED)
            r = TEST_E_START;
    }
    return r;
}

static int
tell(int result, const struct error *err, int status)
{
    if (result != 0 && result != TEST_E_STOPPED)
        log_line("test: %s", err->text[0] != '\0' ? err->text : strerror(-result));
    return status;
}

static int
accept_all(const struct arguments *arguments)
{
    struct error err = { 0 };
    int r = accepting_run(&arguments->paths, &err);

    return tell(r, &err, r == 0 ? EXIT_STATUS_OK : EXIT_STATUS_BROKEN);
}

static int
run_arguments(const struct arguments *arguments)
{
    CLEANUP(program_fini)
    struct program program = { .parent = -1, .artefacts = { .parent = -1, .fd = -1 } };
    struct suite_options wanted = {
        .tier = strcmp(arguments->tier, "nested") == 0 ? SANDBOX_TIER_NESTED
                                                       : SANDBOX_TIER_FULL,
        .runs = 1,
        .jobs = processors(),
    };
    const char *status = "passed";
    struct error err = { 0 };
    int r = read_mode(&wanted, arguments, &err);

    program.overrides = json_object();
    if (r == 0 && arguments->jobs != NULL)
        r = read_count("jobs", arguments->jobs, 1, SUITE_JOBS_MAX, &wanted.jobs, &err);
    if (r == 0)
        r = read_overrides(program.overrides, arguments, &err);
    if (r == 0 && arguments->accept)
        return accept_all(arguments);
    if (r == 0)
        r = test(&program, arguments, &wanted, &status, &err);
    return tell(r, &err, status_of(&program, r, status));
}

static void
arguments_fini(struct arguments *arguments)
{
    option_paths_fini(&arguments->paths);
}

static int
run(char *const *argv)
{
    CLEANUP(arguments_fini) struct arguments arguments = { .tier = "full" };
    int status = command_parse(&command_test, &arguments, argv, NULL);

    return status >= 0 ? status : run_arguments(&arguments);
}

const struct command command_test = {
    .name = "test",
    .summary = "run notebooks, and tell which outputs have changed",
    .synopsis = "[OPTION]... PATH...",
    .description =
        "      Runs each notebook in a fresh interpreter within a sandbox, its cells in\n"
        "      order, and compares what they show with what the notebook has stored:\n"
        "      text by its numbers and without addresses and timings, tables and\n"
        "      pictures by what one sees, JSON by its values. Notebooks are never\n"
        "      changed, but by --accept.\n"
        "\n"
        "      The tags and comments of nbval and of nbclient mean what they mean "
        "there:\n"
        "      nbval-ignore-output, nbval-check-output, nbval-raises-exception,\n"
        "      nbval-skip, raises-exception, skip-execution. Our own are\n"
        "      cellwall-rtol=1e-3, cellwall-ignore=stderr and so on; a comment says the\n"
        "      same as \"# cellwall: rtol=1e-3 ignore=stderr\". docs/notebook-tests.md\n"
        "      has all of them, and how the configuration says how each type of output\n"
        "      is compared.\n"
        "\n"
        "      A cell that takes too long, or is ended by a limit or a crash, fails; "
        "the\n"
        "      rest of its notebook is not run. Other notebooks go on.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes =
        "EXAMPLES\n"
        "      cellwall test notebooks\n"
        "      cellwall test --report html=report.html --report junit=report.xml .\n"
        "      cellwall test --record analysis.ipynb\n"
        "      cellwall test --accept analysis.ipynb:3\n"
        "      cellwall test --flaky 5 analysis.ipynb\n"
        "      cellwall test --against python3 notebooks\n"
        "\n"
        "EXIT STATUS\n"
        "      0    all that was tested is as it should be\n"
        "      1    a cell failed: its outputs differ, it raised an exception, it took "
        "too\n"
        "           long, its interpreter died, ...\n"
        "      2    wrong usage, or there is no such notebook\n"
        "      3    no cell failed, but a notebook could not be tested: it cannot be\n"
        "           read, nothing can run it, ...\n"
        "      125  it could not start\n"
        "      130  interrupted\n"
        "      141  the reader of stdout has gone\n"
        "\n"
        "ENVIRONMENT\n"
        "      CELLWALL_SERVER   as --server\n"
        "      NO_COLOR          no colours on a terminal\n"
        "      XDG_CACHE_HOME    where it is kept how long notebooks take\n",
    .run = run,
};
