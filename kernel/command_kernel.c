/* SPDX-License-Identifier: MIT */
/* cellwall kernel: brings the parts together, in the order that keeps secrets and threads
 * out of the launcher. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "kernel/command.h"
#include "kernel/file.h"
#include "kernel/kernel.h"
#include "kernel/limits.h"
#include "kernel/log.h"
#include "kernel/probe.h"
#include "kernel/server.h"
#include "kernel/watch.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define KEY_BYTES 32

struct arguments {
    const char *file;
    const char *runtime;
    const char *python;
    const char *network;
    const char *environment;
    const char *server;
    const char *profile;
    const char *limits;
    const char *tier;
    bool die_with_child;
};

static const struct option_spec options[] = {
    { "connection-file", 'f', OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, file),
      "The Jupyter connection file to serve: addresses, ports and key. A port of 0 is\n"
      "replaced by a free one, and the file rewritten. Without this option the kernel\n"
      "makes kernel-PID.json in Jupyter's runtime folder and removes it at its end." },
    { "runtime", 0, OPTION_TEXT, "NAME", NULL, offsetof(struct arguments, runtime),
      "The runtime to serve. The default is python." },
    { "python", 0, OPTION_TEXT, "PATH", NULL, offsetof(struct arguments, python),
      "The interpreter, for runtimes that need one: its environment, with all\n"
      "packages, comes with it. The default is the runtime's own, looked up in PATH." },
    { "interpreter", 0, OPTION_TEXT, "NAME", NULL, offsetof(struct arguments, python),
      "The same, for runtimes that serve more than one language: with --runtime jupyter\n"
      "the name of an installed kernelspec, or its path." },
    { "network", 0, OPTION_CHOICE, NULL, "none|host", offsetof(struct arguments, network),
      "Whether code in the sandbox sees the host's network. The default is none." },
    { "profile", 0, OPTION_CHOICE, NULL, "notebook|agent",
      offsetof(struct arguments, profile),
      "notebook: the working directory is shown and writable, limits are generous.\n"
      "agent: no file of yours is shown, the interpreter has an empty workspace of its\n"
      "own, and limits are tight. The default is notebook." },
    { "limits", 0, OPTION_TEXT, "LIST", NULL, offsetof(struct arguments, limits),
      "Other limits than the profile's: NAME=VALUE with commas between them. memory=2G,\n"
      "cpus=1.5, processes=256, files=1024 (open at once), file=1G (the size of one),\n"
      "tmp=512M and tmp-files=20000 (of each temporary folder), disk=1G and\n"
      "disk-files=20000 (of an agent's workspace), output=8M (of one run), time=30 (of\n"
      "one run, in seconds). memory, cpus, file and time can be none." },
    { "tier", 0, OPTION_CHOICE, NULL, "full|nested", offsetof(struct arguments, tier),
      "The weakest sandbox that will do. full: namespaces, Landlock and seccomp. "
      "nested:\n"
      "also one without namespaces, where a container denies them; what it lacks is in\n"
      "docs/sandbox.md. \"cellwall doctor\" says what this machine gives. The default "
      "is\n"
      "full." },
    { "environment", 0, OPTION_TEXT, "FILE", NULL,
      offsetof(struct arguments, environment),
      "What install-kernelspec has learnt of the interpreter, so that it need not be\n"
      "asked again. It is asked when FILE is missing or of another interpreter." },
    { "server", 0, OPTION_TEXT, "ADDRESS", NULL, offsetof(struct arguments, server),
      "Have the interpreter made by this server, and by nobody else: the path of its\n"
      "server.json or of its socket. none: by no server. Without this option it is the\n"
      "server of CELLWALL_SERVER or else the one that this user runs (see \"cellwall\n"
      "serve --help\"), and the kernel itself when that one cannot." },
    { "die-with-child", 0, OPTION_FLAG, NULL, NULL,
      offsetof(struct arguments, die_with_child),
      "End with status 1 when the interpreter ends, as other kernels do. Without it the\n"
      "kernel says why the interpreter ended and goes on with a fresh one." },
};

/* All that has to be given back, in the order of its making. */
struct program {
    struct spawner *spawner;
    const char *server; /* borrowed: its address, NULL: whichever there is */
    struct loop *loop;
    struct runtime *runtime;
    struct environment *environment;
    struct connection connection;
    bool has_connection;
    struct kernel_options options;
    struct kernel *kernel;
    struct watch *watch;
    char directory[PATH_MAX];
    char file[PATH_MAX];
    bool file_is_ours;
};

static void
program_fini(struct program *program)
{
    watch_destroy(program->watch);
    kernel_destroy(program->kernel);
    if (program->has_connection)
        connection_fini(&program->connection);
    if (program->file_is_ours)
        unlink(program->file);
    environment_destroy(program->environment);
    runtime_destroy(program->runtime);
    spawner_destroy(program->spawner);
    loop_destroy(program->loop);
}

static int
load_environment(struct program *program, const struct arguments *arguments,
                 struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    struct error why = { 0 };
    int r;

    buffer_init(&text, PROBE_BYTES_MAX);
    if (arguments->environment != NULL &&
        file_read(arguments->environment, &text, &why) == 0) {
        r = environment_load(&program->environment, buffer_slice(&text), program->runtime,
                             arguments->python, err);
        if (r != PROBE_E_STALE)
            return r;
        *err = (struct error){ 0 };
    }
    return environment_probe(&program->environment, program->runtime, arguments->python,
                             err);
}

static int
load_runtime(struct program *program, const struct arguments *arguments,
             struct error *err)
{
    char folder[PATH_MAX];
    int r = file_runtimes(folder, err);

    if (r == 0)
        r = runtime_load(&program->runtime, folder, arguments->runtime, err);
    return r != 0 ? r : load_environment(program, arguments, err);
}

static void
on_told(const char *text, void *arg)
{
    (void)arg;
    log_line("%s", text);
}

/* Called each time one is needed: the server may have ended, or another have begun. */
static int
find_server(char ret[SPAWNER_ADDRESS_BYTES], void *arg)
{
    const struct program *program = arg;
    struct server_found found = { 0 };
    struct error err = { 0 };
    int r = server_find(&found, program->server, &err);

    if (r < 0)
        return r;
    if (r == 0)
        memcpy(ret, found.address, sizeof found.address);
    if (r == SERVER_E_FAILED)
        log_line("%s; the interpreter is started without a server", err.text);
    server_found_fini(&found);
    return r == 0 ? 0 : SPAWNER_E_GONE;
}

/* The only server that will do. */
static int
connect_server(struct program *program, const char *named, struct error *err)
{
    struct server_found found = { 0 };
    int r = server_find(&found, named, err);

    if (r == 0)
        r = spawner_connect(&program->spawner, found.address, err);
    server_found_fini(&found);
    return r;
}

/* Where interpreters come from. The launcher is there even when a server is: that may end
 * at any time, and a process with threads must not fork. */
static int
make_spawner(struct program *program, const struct arguments *arguments,
             struct error *err)
{
    const char *named = getenv("CELLWALL_SERVER");

    if (arguments->server != NULL && strcmp(arguments->server, SERVER_NOWHERE) != 0)
        return connect_server(program, arguments->server, err);
    program->server = arguments->server;
    if (program->server == NULL && named != NULL && named[0] != '\0')
        program->server = named;
    return spawner_create(&program->spawner, err);
}

static int
attach_spawner(struct program *program, const struct arguments *arguments)
{
    int r = spawner_attach(program->spawner, program->loop);
    bool is_chosen = arguments->server != NULL; /* as a server, or as none */

    if (r != 0 || is_chosen ||
        (program->server != NULL && strcmp(program->server, SERVER_NOWHERE) == 0))
        return r;
    return spawner_use_server(program->spawner, find_server, on_told, program);
}

/* What the server's zygotes import is the server's to say: it has them ready. */
static int
adopt_preload(struct program *program, const struct arguments *arguments,
              struct error *err)
{
    const char *named = arguments->server != NULL ? arguments->server : program->server;
    struct server_found found = { 0 };
    const json_t *preload;
    int r = 0;

    if (named != NULL && strcmp(named, SERVER_NOWHERE) == 0)
        return 0;
    if (server_find(&found, named, NULL) == 0) {
        preload = json_object_get(json_object_get(found.document, "preload"),
                                  program->runtime->name);
        if (preload != NULL)
            r = runtime_set_preload(program->runtime, preload, err);
    }
    server_found_fini(&found);
    return r;
}

/* A connection of our own making: free ports, a new key. */
static int
make_connection(struct program *program, struct buffer *text, struct error *err)
{
    char folder[PATH_MAX], name[64], hex[2 * KEY_BYTES + 1];
    uint8_t key[KEY_BYTES];
    int r = file_jupyter_runtime(folder, err);

    snprintf(name, sizeof name, "kernel-%d.json", (int)getpid());
    if (r == 0)
        r = file_make_directories(folder, 0700, err);
    if (r == 0)
        r = file_join(program->file, folder, name, err);
    if (r != 0)
        return r;
    if (sodium_init() < 0)
        return error_set(err, -ENOSYS, "libsodium does not start");
    randombytes_buf(key, sizeof key);
    text_hex(hex, key, sizeof key);
    sodium_memzero(key, sizeof key);
    r = buffer_append_format(
        text,
        "{\"transport\": \"tcp\", \"ip\": \"127.0.0.1\", \"shell_port\": 0, "
        "\"iopub_port\": 0, \"stdin_port\": 0, \"control_port\": 0, \"hb_port\": 0, "
        "\"signature_scheme\": \"hmac-sha256\", \"key\": \"%s\", "
        "\"kernel_name\": \"cellwall-%s\"}",
        hex, program->environment->name);
    sodium_memzero(hex, sizeof hex);
    return r;
}

static int
load_connection(struct program *program, const struct arguments *arguments,
                struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, CONNECTION_BYTES_MAX);
    if (arguments->file == NULL) {
        r = make_connection(program, &text, err);
    } else {
        r = file_read(arguments->file, &text, err);
        snprintf(program->file, sizeof program->file, "%s", arguments->file);
    }
    if (r == 0)
        r = connection_init(&program->connection, buffer_slice(&text), err);
    if (text.data != NULL)
        sodium_memzero(text.data, text.length);
    if (r > 0)
        return error_wrap(err, r, "connection file %s", program->file);
    program->has_connection = r == 0;
    return r;
}

/* When a port was chosen here, clients learn it from the file. */
static int
save_connection(struct program *program, const uint16_t before[CONNECTION_PORTS],
                struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = { 0 };
    int r;

    if (memcmp(before, program->connection.ports, sizeof program->connection.ports) == 0)
        return 0;
    buffer_init(&text, CONNECTION_BYTES_MAX);
    r = connection_append(&program->connection, &text);
    if (r == 0)
        r = file_write(program->file, buffer_slice(&text), 0600, err);
    if (text.data != NULL)
        sodium_memzero(text.data, text.length);
    return r;
}

static enum context_profile
profile_of(const struct arguments *arguments)
{
    return strcmp(arguments->profile, "agent") == 0 ? CONTEXT_PROFILE_AGENT
                                                    : CONTEXT_PROFILE_NOTEBOOK;
}

static int
set_limits(struct kernel_options *ret, const struct arguments *arguments,
           struct error *err)
{
    int r;

    ret->limits = context_limits_of(ret->profile);
    if (arguments->limits == NULL)
        return 0;
    r = limits_parse(&ret->limits, arguments->limits, err);
    return r <= 0 ? r : error_wrap(err, r, "--limits");
}

static int
start_kernel(struct program *program, const struct arguments *arguments,
             struct error *err)
{
    uint16_t before[CONNECTION_PORTS];
    int r;

    memcpy(before, program->connection.ports, sizeof before);
    program->options = (struct kernel_options){
        .loop = program->loop,
        .spawner = program->spawner,
        .runtime = program->runtime,
        .environment = program->environment,
        .directory = program->directory,
        .network = strcmp(arguments->network, "host") == 0 ? SANDBOX_NETWORK_HOST
                                                           : SANDBOX_NETWORK_NONE,
        .tier = strcmp(arguments->tier, "nested") == 0 ? SANDBOX_TIER_NESTED
                                                       : SANDBOX_TIER_FULL,
        .profile = profile_of(arguments),
        .die_with_child = arguments->die_with_child,
    };
    r = set_limits(&program->options, arguments, err);
    if (r == 0)
        r = attach_spawner(program, arguments);
    if (r == 0)
        r = kernel_create(&program->kernel, &program->options, &program->connection, err);
    if (r == 0)
        r = watch_create(&program->watch, program->loop, program->kernel, err);
    if (r != 0)
        return r;
    program->file_is_ours = arguments->file == NULL;
    r = save_connection(program, before, err);
    if (r == 0 && program->file_is_ours)
        log_line("serving %s; connect with: jupyter console --existing %s", program->file,
                 strrchr(program->file, '/') + 1);
    return r;
}

/* The order matters: the launcher is forked before there is anything to leak. */
static int
start(struct program *program, const struct arguments *arguments, struct error *err)
{
    int r = make_spawner(program, arguments, err);

    watch_prepare();
    umask(0077); /* ipc sockets are for their owner */
    if (r == 0 && getcwd(program->directory, sizeof program->directory) == NULL)
        r = error_errno(err, "getcwd");
    if (r == 0)
        r = load_runtime(program, arguments, err);
    if (r == 0)
        r = adopt_preload(program, arguments, err);
    if (r == 0)
        r = loop_create(&program->loop);
    if (r == 0)
        r = load_connection(program, arguments, err);
    return r != 0 ? r : start_kernel(program, arguments, err);
}

static int
run(char *const *argv)
{
    CLEANUP(program_fini) struct program program = { 0 };
    struct arguments arguments = {
        .runtime = "python", .network = "none", .profile = "notebook", .tier = "full"
    };
    struct error err = { 0 };
    size_t unknown = 0;
    int r, status = command_parse(&command_kernel, &arguments, argv, &unknown);

    if (status >= 0)
        return status;
    r = start(&program, &arguments, &err);
    if (r != 0) {
        log_line("kernel: %s", err.text[0] != '\0' ? err.text : strerror(-r));
        return EXIT_STATUS_NOT_STARTED;
    }
    r = kernel_serve(program.kernel);
    if (r < 0) {
        log_line("kernel: ended by a failure of its own: %s", strerror(-r));
        return EXIT_STATUS_FAILED;
    }
    return kernel_exit_status(program.kernel);
}

const struct command command_kernel = {
    .name = "kernel",
    .summary = "serve one Jupyter kernel",
    .synopsis = "[-f FILE] [--runtime NAME] [--python PATH] [--network none|host]\n"
                "                      [--profile notebook|agent] [--limits LIST]\n"
                "                      [--tier full|nested]\n"
                "                      [--environment FILE] [--server ADDRESS] "
                "[--die-with-child]",
    .description =
        "      Speaks the Jupyter messaging protocol 5.5 on the five sockets of a "
        "connection\n"
        "      file, in front of one interpreter in a sandbox. The working directory is "
        "the\n"
        "      notebook's: code can read and write it, sees the system and the\n"
        "      interpreter's environment read-only, and sees nothing else of the "
        "machine.\n"
        "      Jupyter starts this command by itself, from a kernelspec; see\n"
        "      \"cellwall install-kernelspec --help\".\n"
        "\n"
        "      When the interpreter dies, the running cell ends with an error that says "
        "why,\n"
        "      and the next one runs in a fresh interpreter.\n"
        "\n"
        "      Where a server of this user runs (\"cellwall serve\"), it makes the "
        "interpreter,\n"
        "      which is the same but there sooner. If the server ends, so does the\n"
        "      interpreter; a fresh one comes from the next server, or from the kernel.\n"
        "\n"
        "      Unknown arguments are ignored, because some clients add options of other\n"
        "      kernels.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes =
        "SIGNALS\n"
        "      SIGINT            interrupts the running cell; the kernel goes on\n"
        "      SIGTERM, SIGHUP   end the interpreter and the kernel\n"
        "\n"
        "ENVIRONMENT\n"
        "      CELLWALL_RUNTIMES    folder of the runtimes; else \"runtimes\" beside "
        "the\n"
        "                           program, else ../share/cellwall/runtimes from there\n"
        "      CELLWALL_SERVER      as --server, but the kernel goes on without it; "
        "none: no\n"
        "                           server is asked\n"
        "      JPY_PARENT_PID       the kernel ends when this process does\n"
        "      JUPYTER_RUNTIME_DIR  folder of connection files\n"
        "\n"
        "EXIT STATUS\n"
        "      0    after a shutdown request\n"
        "      1    the interpreter ended (--die-with-child), or an internal failure\n"
        "      2    wrong usage\n"
        "      125  it could not start: no such runtime, interpreter or server, a port "
        "in\n"
        "           use, ...\n"
        "      130  ended by SIGTERM or SIGHUP, or because the parent ended\n"
        "\n"
        "EXAMPLES\n"
        "      cellwall kernel\n"
        "      cellwall kernel -f kernel-1.json --python .venv/bin/python\n",
    .run = run,
};
