/* SPDX-License-Identifier: MIT */
/* cellwall serve: one process that has warm interpreters for all kernels of a user. */
#include <errno.h>
#include <sodium.h>
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
#include "kernel/agent/agent.h"
#include "kernel/agent/jupyter_files.h"
#include "kernel/agent/languages.h"
#include "kernel/command.h"
#include "kernel/file.h"
#include "kernel/keys.h"
#include "kernel/log.h"
#include "kernel/probe.h"
#include "kernel/serve_languages.h"
#include "kernel/server.h"
#include "kernel/settings.h"
#include "kernel/warm.h"
#include "kernel/watch.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define FILES_MAX 65536 /* as many as are allowed, up to this */
#define KEY_BYTES 32
#define DRAIN_US 300000 /* at the end, for what clients have not read yet */

enum { SERVE_E_START = 1, SERVE_E_ENDED };

struct arguments {
    const char *config;
    const char *reserve;
    struct option_list runtimes;
    const char *python;
    const char *tier;
    struct option_list environments;
    struct option_list endpoints;
    const char *keys, *authorised, *connection_dir;
    bool anyone, die_with_parent, no_zygote;
};

static const struct option_spec options[] = {
    { "endpoint", 0, OPTION_LIST, "ADDRESS", NULL, offsetof(struct arguments, endpoints),
      "Where agents' clients connect: ipc://PATH or tcp://HOST:PORT (* for a free "
      "port).\n"
      "May be given several times. The default is agent.sock in the server's folder." },
    { "keys", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, keys),
      "The server's keys, made by \"cellwall keygen --server\": needed for tcp." },
    { "authorised", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, authorised),
      "Whose keys may come in over tcp: a name and a key on each line. Read again when\n"
      "it changes." },
    { "connection-dir", 0, OPTION_TEXT, "DIR", NULL,
      offsetof(struct arguments, connection_dir),
      "Where Jupyter's connection files of agents' contexts are put, for JupyterLab's\n"
      "external kernels." },
    { "tcp-without-keys-anyone-can-run-code", 0, OPTION_FLAG, NULL, NULL,
      offsetof(struct arguments, anyone),
      "Accept tcp without CURVE: whoever has the key of server.json can run code, and\n"
      "whoever reaches the port can make the server grow." },
    { "die-with-parent", 0, OPTION_FLAG, NULL, NULL,
      offsetof(struct arguments, die_with_parent),
      "End when the process that has started the server ends." },
    { "no-zygote", 0, OPTION_FLAG, NULL, NULL, offsetof(struct arguments, no_zygote),
      "Start each interpreter by exec." },
    { "config", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, config),
      "Settings as a JSON object; the options below take their place. See\n"
      "CONFIGURATION." },
    { "reserve", 0, OPTION_TEXT, "N", NULL, offsetof(struct arguments, reserve),
      "How many interpreters to keep ready for each of the last few kinds of kernels\n"
      "that were started, and contexts for each language that agents have asked for.\n"
      "The default is 1; with 0 each is made when it is needed." },
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
    struct languages languages; /* owned */
    struct keys *keys; /* owned */
    struct agent_options agent_options;
    struct agent *agent; /* owned */
    const char *default_endpoint;
    char message_key[2 * KEY_BYTES + 1];
    bool anyone, die_with_parent, no_zygote;
    char missing[ERROR_TEXT_BYTES]; /* for full sandboxes */
    int parent; /* owned: its pidfd */
    struct loop_source *parent_source; /* owned */
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
    agent_destroy(serve->agent);
    languages_fini(&serve->languages);
    keys_destroy(serve->keys);
    sodium_memzero(serve->message_key, sizeof serve->message_key);
    loop_source_destroy(serve->parent_source);
    close_fdp(&serve->parent);
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
on_parent_end(int fd, uint32_t events, void *arg)
{
    struct serve *serve = arg;

    (void)fd, (void)events;
    serve->ended = true;
    return 0;
}

static int
watch_parent(struct serve *serve, struct error *err)
{
    serve->parent = watch_open_parent(err);
    if (serve->parent < 0)
        return serve->parent;
    return loop_add_fd(&serve->parent_source, serve->loop, serve->parent, EPOLLIN,
                       on_parent_end, serve);
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
    if (r == 0 && serve->die_with_parent)
        r = watch_parent(serve, err);
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
prepare_profile(struct serve *serve, enum context_profile kind,
                const struct runtime *runtime, const struct environment *environment,
                struct error *err)
{
    bool begun;
    int r = warm_zygote(serve->spawner, kind, runtime, environment, &begun, err);

    if (r == 0 && !begun)
        log_line("runtime %s has no zygote: its interpreters are started by exec",
                 runtime->name);
    return r <= 0 ? r : SERVE_E_START;
}

static int
prepare(struct serve *serve, const struct runtime *runtime,
        const struct environment *environment, struct error *err)
{
    int r = prepare_profile(serve, CONTEXT_PROFILE_AGENT, runtime, environment, err);

    return r != 0 ? r
                  : prepare_profile(serve, CONTEXT_PROFILE_NOTEBOOK, runtime, environment,
                                    err);
}

static int
prepare_runtime(struct serve *serve, const char *name, struct error *err)
{
    const struct language *language = languages_find(&serve->languages, NULL, name);
    int r = 0;

    if (language == NULL) {
        r = serve_load_language(&serve->languages, &serve->settings, name, err);
        language = languages_find(&serve->languages, NULL, name);
    }
    if (r == 0 && language == NULL)
        return error_set(err, SERVE_E_START,
                         "runtime %s: none of its interpreters is named in "
                         "\"interpreters\" or was installed by install-kernelspec",
                         name);
    return r != 0 ? r : prepare(serve, language->runtime, language->environment, err);
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
    r = serve_name_runtime(&name, buffer_slice(&text), err);
    if (r == 0)
        r = serve_load_runtime(&runtime, &serve->settings, name, err);
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
    if (arguments->endpoints.count > 0)
        settings->endpoints = arguments->endpoints;
    if (arguments->keys != NULL)
        settings->keys = arguments->keys;
    if (arguments->authorised != NULL)
        settings->authorised = arguments->authorised;
    if (arguments->connection_dir != NULL)
        settings->connection_dir = arguments->connection_dir;
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
    if (r == 0 && serve->ended)
        r = SERVE_E_ENDED;
    if (r != 0)
        return r;
    if (strcmp(serve->settings.tier, "full") == 0)
        spawner_require_full(serve->spawner);
    if (finding.works && serve->no_zygote)
        return 0;
    if (finding.works) {
        r = spawner_use_zygotes(serve->spawner, serve->settings.reserve, on_told, serve);
        return r != 0 ? r : prepare_all(serve, err);
    }
    if (strcmp(serve->settings.tier, "full") == 0)
        return error_set(err, SERVE_E_START, "%s", finding.refusal);
    snprintf(serve->missing, sizeof serve->missing, "%s", finding.missing);
    log_line(
        "this machine gives no full sandbox: %s; nested ones are made, by exec: there "
        "are no zygotes",
        finding.missing);
    return 0;
}

static int
make_message_key(struct serve *serve, struct error *err)
{
    uint8_t random[KEY_BYTES];

    if (sodium_init() < 0)
        return error_set(err, -ENOSYS, "libsodium does not start");
    if (serve->keys != NULL) {
        snprintf(serve->message_key, sizeof serve->message_key, "%s",
                 keys_message_key(serve->keys));
        return 0;
    }
    randombytes_buf(random, sizeof random);
    text_hex(serve->message_key, random, sizeof random);
    sodium_memzero(random, sizeof random);
    return 0;
}

static int
open_agent(struct serve *serve, struct error *err)
{
    const struct settings *settings = &serve->settings;
    int r = 0;

    serve->default_endpoint = server_seat_endpoint(serve->seat);
    if (settings->keys != NULL)
        r = keys_create(&serve->keys, settings->keys, settings->authorised, err);
    if (r == 0)
        r = make_message_key(serve, err);
    if (r == 0)
        r = jupyter_files_sweep(settings->connection_dir, err);
    if (r != 0)
        return r < 0 ? r : SERVE_E_START;
    serve->agent_options = (struct agent_options){
        .reserve = settings->reserve,
        .loop = serve->loop,
        .spawner = serve->spawner,
        .languages = &serve->languages,
        .bounds = &settings->bounds,
        .addresses = &serve->default_endpoint,
        .address_count = 1,
        .keys = serve->keys,
        .anyone_may_run_code = serve->anyone,
        .message_key = serve->message_key,
        .connection_dir = settings->connection_dir,
        .tier =
            strcmp(settings->tier, "full") == 0 ? SANDBOX_TIER_FULL : SANDBOX_TIER_NESTED,
        .missing = serve->missing[0] != '\0' ? serve->missing : NULL,
    };
    if (settings->endpoints.count > 0) {
        serve->agent_options.addresses = settings->endpoints.items;
        serve->agent_options.address_count = settings->endpoints.count;
    }
    r = agent_create(&serve->agent, &serve->agent_options, err);
    return r <= 0 ? r : SERVE_E_START;
}

static int
announce(struct serve *serve, struct error *err)
{
    const char *endpoints[DOOR_ADDRESSES_MAX];
    struct server_notice notice = {
        .preload = serve->settings.preload,
        .endpoints = endpoints,
        .endpoint_count = agent_address_count(serve->agent),
        .message_key = serve->message_key,
        .public_key = serve->keys != NULL ? keys_public(serve->keys) : NULL,
    };

    for (size_t i = 0; i < notice.endpoint_count; i++)
        endpoints[i] = agent_address(serve->agent, i);
    return server_announce(serve->seat, &notice, err);
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
        r = serve_load_languages(&serve->languages, &serve->settings, err);
    if (r == 0)
        r = prepare_tier(serve, err);
    if (r == 0)
        r = hosting_create(&serve->hosting, serve->loop, serve->spawner,
                           server_seat_address(serve->seat), err);
    if (r == 0)
        r = open_agent(serve, err);
    return r != 0 ? r : announce(serve, err);
}

static int
turn(struct serve *serve, int wait_ms)
{
    int r = agent_read(serve->agent);

    if (r < 0)
        return r;
    return loop_wait(serve->loop, agent_may_wait(serve->agent) ? wait_ms : 0);
}

/* What waits is answered, as far as clients read. */
static int
drain(struct serve *serve)
{
    uint64_t limit = loop_now_us(serve->loop) + DRAIN_US;
    int r = agent_stop(serve->agent);

    while (r >= 0 && !agent_is_drained(serve->agent) && loop_now_us(serve->loop) < limit)
        r = turn(serve, DRAIN_US / 1000);
    return r;
}

static int
serve_run(struct serve *serve)
{
    struct error err = { 0 };
    int r = start(serve, &err);

    if (r == SERVE_E_ENDED) /* before it began */
        return serve->status;
    if (r != 0) {
        log_line("serve: %s", err.text[0] != '\0' ? err.text : strerror(-r));
        return EXIT_STATUS_NOT_STARTED;
    }
    log_line("ready: agents connect to %s; kernels find it at %s",
             agent_address(serve->agent, 0), server_seat_address(serve->seat));
    while (r >= 0 && !serve->ended)
        r = turn(serve, -1);
    if (r >= 0)
        r = drain(serve);
    if (r < 0) {
        log_line("serve: ended by a failure of its own: %s", strerror(-r));
        return EXIT_STATUS_FAILED;
    }
    return serve->status;
}

static int
run(char *const *argv)
{
    CLEANUP(serve_fini)
    struct serve serve = { .signals = -1, .launcher = -1, .parent = -1 };
    struct arguments arguments = { 0 };
    struct error err = { 0 };
    int r, status = command_parse(&command_serve, &arguments, argv, NULL);

    settings_init(&serve.settings);
    if (status >= 0)
        return status;
    serve.anyone = arguments.anyone;
    serve.die_with_parent = arguments.die_with_parent;
    serve.no_zygote = arguments.no_zygote;
    r = read_settings(&serve.settings, &arguments, &err);
    if (r != 0) {
        log_line("serve: %s", r < 0 ? strerror(-r) : err.text);
        return EXIT_STATUS_USAGE;
    }
    return serve_run(&serve);
}

const struct command command_serve = {
    .name = "serve",
    .summary = "serve agents, and keep interpreters warm for kernels",
    .synopsis =
        "[--config FILE] [--reserve N] [--runtime NAME]... [--python PATH]\n"
        "                     [--environment FILE]... [--tier full|nested]\n"
        "                     [--endpoint ADDRESS]... [--keys FILE] [--authorised "
        "FILE]\n"
        "                     [--connection-dir DIR] [--die-with-parent] "
        "[--no-zygote]",
    .description =
        "      Keeps contexts, each a persistent interpreter in a sandbox, for the\n"
        "      programs of this user: \"cellwall run\", \"cellwall context\" and\n"
        "      clients in Python and Node find the server by its file. With --keys\n"
        "      it serves others over tcp.\n"
        "\n"
        "      It also makes the interpreters of this user's kernels: each\n"
        "      \"cellwall kernel\" finds the server by itself, asks it for a sandbox\n"
        "      with an interpreter, and is its only owner from then on. The kernel\n"
        "      is the same as without a server, but its interpreter is there in\n"
        "      milliseconds: a fork of a zygote, a confined process that has\n"
        "      imported the usual packages and runs no user code. A zygote is\n"
        "      started for each environment that kernels use, again when the\n"
        "      environment has changed, as after \"pip install\", and again when it\n"
        "      has died; meanwhile interpreters are started as without one, and so\n"
        "      are those with the host's network.\n"
        "\n"
        "      One server runs for each user, until it is ended. The interpreters\n"
        "      that it has forked end with it; their kernels say so and go on with\n"
        "      fresh ones.\n"
        "\n"
        "      An interpreter of the server has the server's umask, scheduling,\n"
        "      cgroup and limits of the system; all else is as its kernel says.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes =
        "CONFIGURATION\n"
        "      {\n"
        "        \"reserve\": 2,\n"
        "        \"runtimes\": [\"python\"],\n"
        "        \"python\": \"/home/ann/project/.venv/bin/python\",\n"
        "        \"environments\": "
        "[\"/home/ann/.../cellwall-python/environment.json\"],\n"
        "        \"tier\": \"full\",\n"
        "        \"endpoints\": [\"tcp://10.0.0.5:7411\"],\n"
        "        \"keys\": \"server-key.json\", \"authorised\": \"clients\",\n"
        "        \"connection_dir\": \"/home/ann/kernels\", \"network\": \"none\",\n"
        "        \"limits\": {\"memory_bytes\": 536870912},\n"
        "        \"ceilings\": {\"memory_bytes\": 4294967296, \"run_ms\": 600000},\n"
        "        \"bounds\": {\"contexts_per_owner\": 64},\n"
        "        \"preload\": {\"python\": [\"numpy\", \"pandas\"]},\n"
        "        \"interpreters\": {\"jupyter\": [\"ir\", \"/opt/kernels/julia\"]}\n"
        "      }\n"
        "      Each may be left out. \"preload\" says, for each runtime, what its "
        "zygotes\n"
        "      import ahead in place of the runtime's own list. \"interpreters\" "
        "names, for\n"
        "      runtimes that serve many languages, those that agents may use, beside "
        "those\n"
        "      for which this user has installed kernelspecs.\n"
        "\n"
        "SIGNALS\n"
        "      SIGTERM, SIGINT, SIGHUP   end the server and the interpreters it has "
        "forked;\n"
        "                                SIGHUP does not behind nohup\n"
        "\n"
        "FILES\n"
        "      $XDG_RUNTIME_DIR/cellwall, else cellwall-UID in $TMPDIR or /tmp: the "
        "server's\n"
        "      folder, for this user alone, with\n"
        "      server.json     who it is; while it runs\n"
        "      contexts.sock   where kernels ask\n"
        "      agent.sock      where agents' clients connect\n"
        "\n"
        "ENVIRONMENT\n"
        "      CELLWALL_RUNTIMES    folder of the runtimes; see \"cellwall kernel "
        "--help\"\n"
        "      XDG_RUNTIME_DIR      where the server's folder is\n"
        "      NO_COLOR             if not empty: messages without colours\n"
        "\n"
        "EXIT STATUS\n"
        "      0    ended by a signal\n"
        "      1    an internal failure\n"
        "      2    wrong usage, or a wrong configuration\n"
        "      125  it could not start: another one runs, no such runtime, ...\n"
        "\n"
        "EXAMPLES\n"
        "      cellwall serve\n"
        "      cellwall serve --reserve 4 --python .venv/bin/python\n"
        "      cellwall serve --endpoint tcp://127.0.0.1:7777 --keys server.keys \\\n"
        "          --authorised authorised.keys\n",
    .run = run,
};
