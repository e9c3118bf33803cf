/* SPDX-License-Identifier: MIT */
/* cellwall serve: one process that has warm interpreters for all kernels of a user. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contexts/context.h"
#include "contexts/hosting.h"
#include "contexts/loop.h"
#include "contexts/profile.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "contexts/tier.h"
#include "kernel/command.h"
#include "kernel/file.h"
#include "kernel/log.h"
#include "kernel/probe.h"
#include "kernel/server.h"
#include "kernel/settings.h"
#include "kernel/watch.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define FILES_MAX 65536 /* as many as are allowed, up to this */
#define ANY_DIRECTORY "/var/tmp" /* a zygote sees no notebook's directory */

enum { SERVE_E_START = 1 };

struct arguments {
    const char *config;
    const char *reserve;
    struct option_list runtimes;
    const char *python;
    const char *tier;
    struct option_list environments;
};

static const struct option_spec options[] = {
    { "config", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, config),
      "Settings as a JSON object; the options below take their place. See\n"
      "CONFIGURATION." },
    { "reserve", 0, OPTION_TEXT, "N", NULL, offsetof(struct arguments, reserve),
      "How many interpreters to keep ready for each of the last few kinds of kernels\n"
      "that were started. The default is 1; with 0 each is forked when it is needed." },
    { "runtime", 0, OPTION_LIST, "NAME", NULL, offsetof(struct arguments, runtimes),
      "Have a zygote of this runtime ready before the first kernel asks. May be given\n"
      "several times. The default is python, if it can be used." },
    { "python", 0, OPTION_TEXT, "PATH", NULL, offsetof(struct arguments, python),
      "The interpreter for these. The default is that of the kernelspec that was\n"
      "installed for this user, else the runtime's own, looked up in PATH." },
    { "tier", 0, OPTION_CHOICE, NULL, "full|nested", offsetof(struct arguments, tier),
      "The weakest sandbox that will do: see \"cellwall kernel --help\". Without full\n"
      "ones there are no zygotes. The default is full." },
    { "environment", 0, OPTION_LIST, "FILE", NULL,
      offsetof(struct arguments, environments),
      "The environment.json of a kernelspec: have its zygote ready, too. May be given\n"
      "several times." },
};

struct serve {
    struct settings settings;
    struct spawner *spawner; /* owned */
    struct loop *loop; /* owned */
    struct server_seat *seat; /* owned */
    struct hosting *hosting; /* owned */
    int signals; /* owned */
    int launcher; /* owned: its pidfd */
    struct loop_source *signal_source, *launcher_source; /* owned */
    bool ended;
    int status;
};

static void
serve_fini(struct serve *serve)
{
    hosting_destroy(serve->hosting);
    server_rise(serve->seat); /* nobody shall find what is about to end */
    loop_source_destroy(serve->signal_source);
    loop_source_destroy(serve->launcher_source);
    close_fdp(&serve->signals);
    close_fdp(&serve->launcher);
    spawner_destroy(serve->spawner);
    loop_destroy(serve->loop);
    settings_fini(&serve->settings);
}

static void
on_told(const char *text, void *arg)
{
    (void)arg;
    log_line("%s", text);
}

static int
on_signal(int fd, uint32_t events, void *arg)
{
    struct serve *serve = arg;
    struct signalfd_siginfo info;

    (void)events;
    if (read(fd, &info, sizeof info) == sizeof info)
        serve->ended = true;
    return 0;
}

static int
on_launcher_end(int fd, uint32_t events, void *arg)
{
    struct serve *serve = arg;

    (void)fd, (void)events;
    log_line("serve: the launcher has ended: start the server again");
    serve->ended = true;
    serve->status = EXIT_STATUS_FAILED;
    return 0;
}

static int
watch(struct serve *serve, struct error *err)
{
    int r;

    serve->signals = watch_open_signals(err);
    if (serve->signals < 0)
        return serve->signals;
    serve->launcher = (int)syscall(SYS_pidfd_open, spawner_pid(serve->spawner), 0);
    if (serve->launcher < 0)
        return error_errno(err, "pidfd_open");
    r = loop_add_fd(&serve->signal_source, serve->loop, serve->signals, EPOLLIN,
                    on_signal, serve);
    if (r == 0)
        r = loop_add_fd(&serve->launcher_source, serve->loop, serve->launcher, EPOLLIN,
                        on_launcher_end, serve);
    return r;
}

/* Children in the making and in the reserve have several files each. */
static void
raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_MAX)
        return;
    limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int
load_runtime(struct runtime **ret, const struct serve *serve, const char *name,
             struct error *err)
{
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    const json_t *preload = json_object_get(serve->settings.preload, name);
    char folder[PATH_MAX];
    int r = file_runtimes(folder, err);

    if (r == 0)
        r = runtime_load(&runtime, folder, name, err);
    if (r == 0 && preload != NULL)
        r = runtime_set_preload(runtime, preload, err);
    if (r != 0)
        return r < 0 ? r : SERVE_E_START;
    *ret = runtime;
    runtime = NULL;
    return 0;
}

static int
prepare(struct serve *serve, const struct runtime *runtime,
        const struct environment *environment, struct error *err)
{
    const struct context_options wanted = {
        .runtime = runtime,
        .spawner = serve->spawner,
        .interpreter = environment->interpreter,
        .directory = ANY_DIRECTORY,
        .mounts = environment->mounts,
        .network = SANDBOX_NETWORK_NONE,
        .limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK),
    };
    const struct profile_programs *programs;
    struct profile *profile;
    struct spawner_wish wish = { 0 };
    int r = spawner_programs(serve->spawner, &programs, err);

    if (r == 0)
        r = profile_create(&profile, &wanted, programs, err);
    if (r != 0)
        return r < 0 ? r : SERVE_E_START;
    wish.zygote = profile_zygote_spec(profile);
    if (wish.zygote == NULL)
        log_line("runtime %s has no zygote: its interpreters are started by exec",
                 runtime->name);
    else
        spawner_prepare(serve->spawner, &wish);
    profile_destroy(profile);
    return 0;
}

/* RET: what a kernelspec of this user knows, if there is one for RUNTIME. */
static int
find_environment(struct environment **ret, const struct runtime *runtime)
{
    CLEANUP(buffer_fini) struct buffer text;
    char data[PATH_MAX], path[PATH_MAX], name[PATH_MAX];

    buffer_init(&text, PROBE_BYTES_MAX);
    snprintf(name, sizeof name, "kernels/cellwall-%s/environment.json", runtime->name);
    if (file_jupyter_data(data, NULL) != 0 || file_join(path, data, name, NULL) != 0 ||
        file_read(path, &text, NULL) != 0)
        return PROBE_E_STALE;
    return environment_load(ret, buffer_slice(&text), runtime, NULL, NULL);
}

static int
prepare_runtime(struct serve *serve, const char *name, struct error *err)
{
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    const char *python = serve->settings.python;
    int r = load_runtime(&runtime, serve, name, err);

    if (r != 0)
        return r;
    if (runtime->interpreter == NULL)
        python = NULL; /* meant for the others */
    if (python != NULL || find_environment(&environment, runtime) != 0)
        r = environment_probe(&environment, runtime, python, err);
    if (r == 0)
        r = prepare(serve, runtime, environment, err);
    return r < 0 ? r : r > 0 ? SERVE_E_START : 0;
}

/* The file says itself of which runtime it is. */
static int
name_runtime(char **ret, struct slice text, struct error *err)
{
    const struct json_limits limits = { PROBE_BYTES_MAX, 32 };
    CLEANUP(tree_decrefp) json_t *document = NULL;
    const char *name;
    int r = tree_load_object(&document, text, &limits, err);

    if (r != 0)
        return r < 0 ? r : SERVE_E_START;
    name = json_string_value(
        json_object_get(json_object_get(document, "cellwall"), "runtime"));
    if (name == NULL)
        return error_set(err, SERVE_E_START, "it is not of a kernelspec of Cellwall");
    *ret = strdup(name);
    return *ret == NULL ? -ENOMEM : 0;
}

static int
prepare_environment(struct serve *serve, const char *path, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    CLEANUP(freep) char *name = NULL;
    CLEANUP(runtime_destroyp) struct runtime *runtime = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    int r;

    buffer_init(&text, PROBE_BYTES_MAX);
    r = file_read(path, &text, err);
    if (r != 0)
        return r < 0 ? r : SERVE_E_START;
    r = name_runtime(&name, buffer_slice(&text), err);
    if (r == 0)
        r = load_runtime(&runtime, serve, name, err);
    if (r == 0)
        r = environment_load(&environment, buffer_slice(&text), runtime, NULL, err);
    if (r == 0)
        r = prepare(serve, runtime, environment, err);
    return r <= 0 ? r : error_wrap(err, SERVE_E_START, "%s", path);
}

/* What was asked for must be there; what is only the default need not. */
static int
prepare_all(struct serve *serve, struct error *err)
{
    const struct settings *settings = &serve->settings;
    int r = 0;

    for (size_t i = 0; r == 0 && i < settings->runtimes.count; i++)
        r = prepare_runtime(serve, settings->runtimes.items[i], err);
    for (size_t i = 0; r == 0 && i < settings->environments.count; i++)
        r = prepare_environment(serve, settings->environments.items[i], err);
    if (settings->runtimes.count + settings->environments.count > 0)
        return r;
    if (settings->python != NULL)
        return prepare_runtime(serve, "python", err);
    struct error why = { 0 };

    r = prepare_runtime(serve, "python", &why);
    if (r > 0)
        log_line("no zygote is prepared: %s", why.text);
    return r < 0 ? r : 0;
}

static int
read_settings(struct settings *settings, const struct arguments *arguments,
              struct error *err)
{
    int r = 0;

    if (arguments->config != NULL)
        r = settings_read(settings, arguments->config, err);
    if (r == 0 && arguments->reserve != NULL)
        r = settings_set_reserve(settings, arguments->reserve, err);
    if (arguments->runtimes.count > 0)
        settings->runtimes = arguments->runtimes;
    if (arguments->environments.count > 0)
        settings->environments = arguments->environments;
    if (arguments->tier != NULL)
        settings->tier = arguments->tier;
    if (arguments->python != NULL)
        settings->python = arguments->python;
    return r;
}

/* One that waits for it. */
struct finding {
    bool done;
    bool works;
    char refusal[2 * ERROR_TEXT_BYTES];
    char missing[ERROR_TEXT_BYTES];
};

static int
on_tier(const struct tier_report *report, void *arg)
{
    struct finding *finding = arg;

    finding->done = true;
    finding->works = report->works;
    if (report->works)
        return 0;
    tier_refusal(finding->refusal, sizeof finding->refusal, report);
    snprintf(finding->missing, sizeof finding->missing, "%s", report->missing);
    return 0;
}

/* A server that could make nothing is told so before anybody relies on it. */
static int
prepare_tier(struct serve *serve, struct error *err)
{
    struct finding finding = { 0 };
    struct tier_probe *probe;
    int r = tier_probe_begin(&probe, serve->loop, serve->spawner, SANDBOX_TIER_FULL, NULL,
                             on_tier, &finding, err);

    while (r == 0 && !finding.done)
        r = loop_wait(serve->loop, -1);
    if (r != 0)
        return r;
    if (strcmp(serve->settings.tier, "full") == 0)
        spawner_require_full(serve->spawner);
    if (finding.works) {
        r = spawner_use_zygotes(serve->spawner, serve->settings.reserve, on_told, serve);
        return r != 0 ? r : prepare_all(serve, err);
    }
    if (strcmp(serve->settings.tier, "full") == 0)
        return error_set(err, SERVE_E_START, "%s", finding.refusal);
    log_line(
        "this machine gives no full sandbox: %s; nested ones are made, by exec: there "
        "are no zygotes",
        finding.missing);
    return 0;
}

/* The order matters: the launcher is forked before there is anything to leak, and nobody
 * is told of the server before it can answer. */
static int
start(struct serve *serve, struct error *err)
{
    int r = spawner_create(&serve->spawner, err);

    watch_prepare();
    umask(0077);
    raise_file_limit();
    if (r == 0)
        r = server_sit(&serve->seat, err);
    if (r == 0)
        r = loop_create(&serve->loop);
    if (r == 0)
        r = watch(serve, err);
    if (r == 0)
        r = spawner_attach(serve->spawner, serve->loop);
    if (r == 0)
        r = prepare_tier(serve, err);
    if (r == 0)
        r = hosting_create(&serve->hosting, serve->loop, serve->spawner,
                           server_seat_address(serve->seat), err);
    return r != 0 ? r : server_announce(serve->seat, serve->settings.preload, err);
}

static int
serve_run(struct serve *serve)
{
    struct error err = { 0 };
    int r = start(serve, &err);

    if (r != 0) {
        log_line("serve: %s", err.text[0] != '\0' ? err.text : strerror(-r));
        return EXIT_STATUS_NOT_STARTED;
    }
    log_line("ready: kernels find it at %s", server_seat_address(serve->seat));
    while (r >= 0 && !serve->ended)
        r = loop_wait(serve->loop, -1);
    if (r < 0) {
        log_line("serve: ended by a failure of its own: %s", strerror(-r));
        return EXIT_STATUS_FAILED;
    }
    return serve->status;
}

static int
run(char *const *argv)
{
    CLEANUP(serve_fini) struct serve serve = { .signals = -1, .launcher = -1 };
    struct arguments arguments = { 0 };
    struct error err = { 0 };
    int r, status = command_parse(&command_serve, &arguments, argv, NULL);

    settings_init(&serve.settings);
    if (status >= 0)
        return status;
    r = read_settings(&serve.settings, &arguments, &err);
    if (r != 0) {
        log_line("serve: %s", r < 0 ? strerror(-r) : err.text);
        return EXIT_STATUS_USAGE;
    }
    return serve_run(&serve);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "keep interpreters warm for the kernels of this user",
    .synopsis = "[--config FILE] [--reserve N] [--runtime NAME]... [--python PATH]\n"
                "                     [--environment FILE]... [--tier full|nested]",
    .description =
        "      Makes the interpreters of this user's kernels: each \"cellwall kernel\" "
        "finds\n"
        "      the server by itself, asks it for a sandbox with an interpreter, and is "
        "its\n"
        "      only owner from then on. The kernel is the same as without a server, but "
        "its\n"
        "      interpreter is there in milliseconds: a fork of a zygote, a confined "
        "process\n"
        "      that has imported the usual packages and runs no user code. A zygote is\n"
        "      started for each environment that kernels use, again when the "
        "environment\n"
        "      has changed, as after \"pip install\", and again when it has died; "
        "meanwhile\n"
        "      interpreters are started as without one, and so are those with the host's "
        "network.\n"
        "\n"
        "      One server runs for each user, until it is ended. The interpreters that "
        "it "
        "has\n"
        "      forked end with it; their kernels say so and go on with fresh ones.\n"
        "\n"
        "      An interpreter of the server has the server's umask, scheduling, cgroup "
        "and\n"
        "      limits of the system; all else is as its kernel says.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes = "CONFIGURATION\n"
             "      {\n"
             "        \"reserve\": 2,\n"
             "        \"runtimes\": [\"python\"],\n"
             "        \"python\": \"/home/ann/project/.venv/bin/python\",\n"
             "        \"environments\": "
             "[\"/home/ann/.../cellwall-python/environment.json\"],\n"
             "        \"tier\": \"full\",\n"
             "        \"preload\": {\"python\": [\"numpy\", \"pandas\"]}\n"
             "      }\n"
             "      Each may be left out. \"preload\" says, for each runtime, what its "
             "zygotes\n"
             "      import ahead in place of the runtime's own list.\n"
             "\n"
             "SIGNALS\n"
             "      SIGTERM, SIGINT, SIGHUP   end the server and the interpreters it has "
             "forked\n"
             "\n"
             "FILES\n"
             "      $XDG_RUNTIME_DIR/cellwall, else cellwall-UID in $TMPDIR or /tmp: the "
             "server's\n"
             "      folder, for this user alone, with\n"
             "      server.json     who it is; while it runs\n"
             "      contexts.sock   where kernels ask\n"
             "\n"
             "ENVIRONMENT\n"
             "      CELLWALL_RUNTIMES    folder of the runtimes; see \"cellwall kernel "
             "--help\"\n"
             "\n"
             "EXIT STATUS\n"
             "      0    ended by a signal\n"
             "      1    an internal failure\n"
             "      2    wrong usage, or a wrong configuration\n"
             "      125  it could not start: another one runs, no such runtime, ...\n"
             "\n"
             "EXAMPLES\n"
             "      cellwall serve\n"
             "      cellwall serve --reserve 4 --python .venv/bin/python\n",
    .run = run,
};
