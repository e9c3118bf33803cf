/* SPDX-License-Identifier: MIT */
/* cellwall test: notebooks as regression tests. */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/spawner.h"
#include "contexts/tier.h"
#include "kernel/cli/console.h"
#include "kernel/command.h"
#include "kernel/limits.h"
#include "kernel/log.h"
#include "kernel/notebook/durations.h"
#include "kernel/notebook/engine.h"
#include "kernel/notebook/find.h"
#include "kernel/notebook/item.h"
#include "kernel/notebook/pending.h"
#include "kernel/notebook/project.h"
#include "kernel/notebook/reporting.h"
#include "kernel/notebook/suite.h"
#include "kernel/server.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define EXIT_STATUS_BROKEN 3 /* nothing failed, but something could not be tested */
#define ZYGOTE_RUNS 3 /* so many are worth a zygote of our own */
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
    struct option_list sanitize, reports;
    bool record, accept, list, quiet, verbose;
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
      "Write a report to FILE; - is stdout, and replaces what a person reads there.\n"
      "May be given several times. KIND is html (one page), junit (XML, a test case\n"
      "for each cell), tap, jsonl (events, one a line) or github (annotations)." },
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
    { "limits", 0, OPTION_TEXT, "LIST", NULL, offsetof(struct arguments, limits),
      "memory=2G,cpus=1.5 and so on, as for \"cellwall kernel --help\"." },
    { "tier", 0, OPTION_CHOICE, NULL, "full|nested", offsetof(struct arguments, tier),
      "The weakest sandbox that will do: see \"cellwall kernel --help\"." },
    { "server", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, server),
      "The server.json of a running server, which makes interpreters sooner; none: ask\n"
      "none. The default is this user's, if it runs." },
    { "quiet", 'q', OPTION_FLAG, NULL, NULL, offsetof(struct arguments, quiet),
      "Print nothing for a person." },
    { "verbose", 'v', OPTION_FLAG, NULL, NULL, offsetof(struct arguments, verbose),
      "Print cells that passed, too." },
};

/* All that a test run holds. */
struct program {
    struct spawner *spawner; /* owned */
    struct console console; /* owned */
    struct loop *loop; /* owned */
    struct loop_source *signals; /* owned */
    struct engine *engine; /* owned */
    struct durations *durations; /* owned */
    struct reporting *reporting; /* owned */
    struct suite *suite; /* owned */
    json_t *overrides; /* owned */
    struct server_found server;
    struct found found; /* owned */
    size_t told; /* of zygotes */
    bool has_console, stopped;
};

static void
program_fini(struct program *program)
{
    suite_destroy(program->suite);
    reporting_destroy(program->reporting);
    durations_destroy(program->durations);
    engine_destroy(program->engine);
    loop_source_destroy(program->signals);
    if (program->has_console)
        console_fini(&program->console);
    server_found_fini(&program->server);
    found_fini(&program->found);
    json_decref(program->overrides);
    spawner_destroy(program->spawner);
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

/* --- where interpreters come from ------------------------------------------------ */

/* Of a zygote: that it is ready, or cannot be had. What else matters is told by cells. */
static void
on_told(const char *text, void *arg)
{
    struct program *program = arg;

    (void)text;
    program->told++;
}

static int
find_server(char ret[SPAWNER_ADDRESS_BYTES], void *arg)
{
    const struct program *program = arg;

    memcpy(ret, program->server.address, sizeof program->server.address);
    return 0;
}

struct finding {
    bool done, works;
    char refusal[2 * ERROR_TEXT_BYTES];
};

static int
on_tier(const struct tier_report *report, void *arg)
{
    struct finding *finding = arg;

    finding->done = true;
    finding->works = report->works;
    if (!report->works)
        tier_refusal(finding->refusal, sizeof finding->refusal, report);
    return 0;
}

/* Whether full sandboxes can be had, before each cell says that they cannot. */
static int
check_tier(struct program *program, bool needs_full, bool *ret_full, struct error *err)
{
    struct finding finding = { 0 };
    struct tier_probe *probe;
    int r = tier_probe_begin(&probe, program->loop, program->spawner, SANDBOX_TIER_FULL,
                             NULL, on_tier, &finding, err);

    while (r == 0 && !finding.done)
        r = loop_wait(program->loop, -1);
    if (r != 0)
        return r < 0 ? r : TEST_E_START;
    *ret_full = finding.works;
    if (!finding.works && needs_full)
        return error_set(err, TEST_E_START, "%s", finding.refusal);
    return 0;
}

/* Until they are ready: what is started by exec meanwhile would import the same again,
 * beside them. */
static int
warm_zygotes(struct program *program)
{
    size_t begun;
    int r = spawner_use_zygotes(program->spawner, 1, on_told, program);

    if (r == 0)
        r = suite_warm(program->suite, ZYGOTE_RUNS, &begun);
    while (r == 0 && program->told < begun && !program->stopped)
        r = loop_wait(program->loop, -1);
    return r;
}

/* A running server has warm interpreters; else zygotes of our own, where there are enough
 * runs to make up for their start. What is to be found flaky gets neither: interpreters
 * that were forked from one have the same hash seed and addresses. */
static int
prepare_spawner(struct program *program, const struct suite_options *wanted,
                struct error *err)
{
    bool has_server = program->server.address[0] != '\0', full = false;
    bool may_fork = wanted->mode != JOB_FLAKY;
    int r = 0;

    if (has_server && may_fork)
        r = spawner_use_server(program->spawner, find_server, on_told, program);
    if (r == 0)
        r = check_tier(program, wanted->tier == SANDBOX_TIER_FULL, &full, err);
    return r == 0 && full && !has_server && may_fork ? warm_zygotes(program) : r;
}

static int
look_for_server(struct program *program, const char *named, struct error *err)
{
    const char *variable = getenv("CELLWALL_SERVER");
    int r;

    if (named == NULL && variable != NULL && variable[0] != '\0')
        named = variable;
    if (named != NULL && strcmp(named, SERVER_NOWHERE) == 0)
        return 0;
    r = server_find(&program->server, named, err);
    if (r == 0 && named != NULL && access(program->server.address, F_OK) < 0)
        return error_set(err, TEST_E_START, "no server listens at %s",
                         program->server.address);
    if (r <= 0)
        return r;
    program->server.address[0] = '\0';
    if (named != NULL)
        return TEST_E_START;
    *err = (struct error){ 0 }; /* one that is no use is none */
    return 0;
}

/* --- accepting ------------------------------------------------------------------- */

static int
accept_one(const char *path, const char *cell, size_t *ret_cells, struct error *err)
{
    struct pending_accepted accepted = { 0 };
    int r = pending_accept(path, cell, &accepted, err);

    if (r != 0)
        return r < 0 ? r : TEST_E_START;
    *ret_cells += accepted.cells;
    printf("%s: %zu accepted", path, accepted.cells);
    if (accepted.left > 0)
        printf(", %zu pending", accepted.left);
    putchar('\n');
    return 0;
}

static bool
has_pending(const char *path)
{
    char pending[PATH_MAX];

    return pending_path(pending, path, NULL) == 0 && access(pending, F_OK) == 0;
}

static int
accept_found(const char *path, size_t *ret_cells, struct error *err)
{
    struct found found = { 0 };
    int r = find_notebooks(&found, path, err);

    for (size_t i = 0; r == 0 && i < found.count; i++) {
        if (found.count == 1 || has_pending(found.paths[i]))
            r = accept_one(found.paths[i], NULL, ret_cells, err);
    }
    found_fini(&found);
    return r <= 0 ? r : TEST_E_START;
}

/* PATH, or PATH:CELL where there is no such file. */
static int
accept_path(const char *path, size_t *ret_cells, struct error *err)
{
    CLEANUP(freep) char *notebook = NULL;
    char *colon;

    if (access(path, F_OK) == 0)
        return accept_found(path, ret_cells, err);
    notebook = strdup(path);
    if (notebook == NULL)
        return -ENOMEM;
    colon = strrchr(notebook, ':');
    if (colon == NULL)
        return accept_found(path, ret_cells, err);
    *colon = '\0';
    return accept_one(notebook, colon + 1, ret_cells, err);
}

static int
accept_all(const struct arguments *arguments)
{
    size_t cells = 0;
    struct error err = { 0 };
    int r = 0;

    if (arguments->paths.count == 0)
        r = accept_found(".", &cells, &err);
    for (size_t i = 0; r == 0 && i < arguments->paths.count; i++)
        r = accept_path(arguments->paths.items[i], &cells, &err);
    if (r == 0 && cells == 0)
        puts("nothing is pending");
    if (r == 0)
        return EXIT_STATUS_OK;
    log_line("test: %s", err.text[0] != '\0' ? err.text : strerror(-r));
    return EXIT_STATUS_BROKEN;
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
    int r = arguments->list ? 0 : spawner_create(&program->spawner, err);

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
    if (r == 0 && program->spawner != NULL)
        r = spawner_attach(program->spawner, program->loop);
    if (r == 0 && !arguments->list)
        r = look_for_server(program, arguments->server, err);
    return r;
}

static int
create_suite(struct program *program, const struct arguments *arguments,
             const struct item_options *items, struct suite_options *wanted,
             struct error *err)
{
    int r =
        reporting_create(&program->reporting, &arguments->reports, &program->console,
                         arguments->quiet || arguments->list, arguments->verbose, err);

    if (r != 0)
        return r < 0 ? r : r == REPORTING_E_USAGE ? TEST_E_USAGE : TEST_E_START;
    r = durations_read(&program->durations, NULL);
    if (r < 0)
        return r;
    wanted->loop = program->loop;
    wanted->spawner = program->spawner;
    wanted->reporting = program->reporting;
    wanted->durations = program->durations;
    wanted->items = items;
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
    struct item_options items = { .language = arguments->language,
                                  .against = arguments->against,
                                  .config = arguments->config,
                                  .overrides = program->overrides };
    int r = find_all(program, arguments, err);

    if (r == 0)
        r = open_program(program, arguments, err);
    if (r == 0)
        r = engine_create(&program->engine, arguments->python,
                          json_object_get(program->server.document, "preload"), err);
    if (r != 0)
        return r < 0 || r == TEST_E_USAGE ? r : TEST_E_START;
    items.engine = program->engine;
    r = create_suite(program, arguments, &items, wanted, err);
    if (r == 0 && arguments->list)
        return suite_list(program->suite, err);
    if (r == 0)
        r = prepare_spawner(program, wanted, err);
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
run_arguments(const struct arguments *arguments)
{
    CLEANUP(program_fini) struct program program = { 0 };
    struct suite_options wanted = {
        .results = arguments->results != NULL ? arguments->results : RESULTS,
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
    if (r != 0 && r != TEST_E_STOPPED)
        log_line("test: %s", err.text[0] != '\0' ? err.text : strerror(-r));
    return status_of(&program, r, status);
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
