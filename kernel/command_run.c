/* SPDX-License-Identifier: MIT */
/* cellwall run: code from a file, an argument or stdin, in a sandbox, and its outputs. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/cli/connect.h"
#include "kernel/cli/console.h"
#include "kernel/cli/embedded.h"
#include "kernel/cli/pairs.h"
#include "kernel/cli/run.h"
#include "kernel/cli/source.h"
#include "kernel/client.h"
#include "kernel/command.h"
#include "kernel/limits.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define ABANDONED_S 60 /* until a fresh context goes that nobody has deleted */

enum { RUN_E_USAGE = 1 };

struct arguments {
    const char *context;
    const char *language;
    const char *timeout;
    const char *folder;
    const char *limits;
    const char *server;
    const char *tier;
    const char *python;
    struct option_list codes;
    struct option_list env;
    struct option_list words;
    bool json;
    bool no_stdin;
};

static const struct option_spec options[] = {
    { "FILE", 0, OPTION_WORDS, NULL, NULL, offsetof(struct arguments, words),
      "The code to run; - is stdin." },
    { "code", 'e', OPTION_LIST, "CODE", NULL, offsetof(struct arguments, codes),
      "Run this code instead of a file. It is one argument, of several lines perhaps." },
    { "context", 'c', OPTION_TEXT, "NAME", NULL, offsetof(struct arguments, context),
      "Run in the context NAME of the running server and keep it, with its variables\n"
      "and files. It is made when there is none; --language and --limits count then.\n"
      "Without this option the code runs in a fresh context that ends with it." },
    { "language", 'l', OPTION_TEXT, "NAME", NULL, offsetof(struct arguments, language),
      "The language. The default is told by the file's suffix, else it is python." },
    { "timeout", 't', OPTION_TEXT, "SECONDS", NULL, offsetof(struct arguments, timeout),
      "Interrupt the code when it has run for so long. The default, and the most in\n"
      "a context that is there already, is its limit \"time\"." },
    { "limits", 0, OPTION_TEXT, "LIST", NULL, offsetof(struct arguments, limits),
      "Other limits than the server's defaults: memory=2G,cpus=1.5 and so on, as for\n"
      "\"cellwall kernel --help\"." },
    { "env", 0, OPTION_LIST, "NAME=VALUE", NULL, offsetof(struct arguments, env),
      "An environment variable for the code. May be given several times." },
    { "json", 0, OPTION_FLAG, NULL, NULL, offsetof(struct arguments, json),
      "Print one JSON document when it has ended, the content of run_code_reply, and\n"
      "nothing else." },
    { "image-dir", 0, OPTION_TEXT, "DIR", NULL, offsetof(struct arguments, folder),
      "Save images there, and HTML and JSON results, too. Without this option images\n"
      "are shown by the terminal, if it is known to be able to, or saved in the\n"
      "working directory. A file that exists is never replaced." },
    { "no-stdin", 0, OPTION_FLAG, NULL, NULL, offsetof(struct arguments, no_stdin),
      "Code that asks for input gets an error. Otherwise it reads lines from stdin,\n"
      "unless the code itself came from there." },
    { "server", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, server),
      "The server.json of the server, or a client's own file made by \"cellwall\n"
      "keygen\". none: start one for this call, whatever runs." },
    { "tier", 0, OPTION_CHOICE, NULL, "full|nested", offsetof(struct arguments, tier),
      "For a server that is started for this call: the weakest sandbox that will do\n"
      "(see \"cellwall kernel --help\")." },
    { "python", 0, OPTION_TEXT, "PATH", NULL, offsetof(struct arguments, python),
      "For a server that is started for this call: the interpreter of Python." },
};

static int
check(const struct arguments *arguments, struct error *err)
{
    size_t sources = arguments->words.count + arguments->codes.count;
    const struct {
        const char *name, *value;
    } texts[] = { { "--context", arguments->context },
                  { "--language", arguments->language } };

    if (sources != 1)
        return error_set(err, RUN_E_USAGE,
                         sources == 0 ? "what is to be run is missing: FILE, -e CODE or -"
                                      : "one FILE or -e CODE, not several");
    if (arguments->words.count > 0 && arguments->words.items[0][0] == '\0')
        return error_set(err, RUN_E_USAGE, "the name of the file is empty");
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        const char *value = texts[i].value;

        if (value != NULL && value[0] == '\0')
            return error_set(err, RUN_E_USAGE, "%s: the name is empty", texts[i].name);
        if (value != NULL && !text_is_utf8(value, strlen(value)))
            return error_set(err, RUN_E_USAGE, "%s %s: the name is not UTF-8 text",
                             texts[i].name, value);
    }
    return 0;
}

static int
read_timeout(const char *text, json_int_t *ret_ms, struct error *err)
{
    char *end;
    double seconds;

    errno = 0;
    seconds = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(seconds >= 0) || seconds > 1e9)
        return error_set(err, RUN_E_USAGE, "--timeout %s: it must be seconds, such as 30",
                         text);
    *ret_ms = (json_int_t)(seconds * 1000 + 0.999); /* 0 is no limit of ours */
    return 0;
}

static const char *
choose_language(const struct arguments *arguments)
{
    const char *told =
        arguments->words.count > 0 ? source_language(arguments->words.items[0]) : NULL;

    if (arguments->language != NULL)
        return arguments->language;
    return told != NULL ? told : "python";
}

static bool
reads_code_from_stdin(const struct arguments *arguments)
{
    return arguments->words.count > 0 && strcmp(arguments->words.items[0], "-") == 0;
}

/* The code, and what is for this run alone. */
static int
make_content(json_t *content, const struct arguments *arguments, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    json_int_t timeout_ms = 0;
    int r;

    buffer_init(&text, SOURCE_BYTES_MAX);
    if (reads_code_from_stdin(arguments) && isatty(STDIN_FILENO) == 1)
        log_line("run: type the code, and Ctrl-D at the end");
    if (arguments->codes.count > 0)
        r = buffer_append_text(&text, arguments->codes.items[0]) == 0 ? 0 : RUN_E_USAGE;
    else
        r = source_read(arguments->words.items[0], &text, err);
    if (r == 0 &&
        json_object_set_new(
            content, "code",
            json_stringn(text.length > 0 ? (char *)text.data : "", text.length)) < 0)
        r = error_set(err, RUN_E_USAGE, "the code is not UTF-8 text");
    if (r == 0 && arguments->timeout != NULL) {
        r = read_timeout(arguments->timeout, &timeout_ms, err);
        if (r == 0)
            json_object_set_new(content, "timeout_ms", json_integer(timeout_ms));
    }
    if (r == 0 && arguments->context != NULL && arguments->env.count > 0)
        r = pairs_add(content, "env", &arguments->env, err);
    return r <= 0 ? r : RUN_E_USAGE;
}

static int
make_creation(json_t *creation, const struct arguments *arguments, const json_t *content,
              struct error *err)
{
    json_t *timeout = json_object_get(content, "timeout_ms");
    json_t *limits = json_object();
    int r = 0;

    json_object_set_new(creation, "limits", limits);
    if (arguments->limits != NULL) {
        r = limits_parse_members(limits, arguments->limits, err);
        if (r > 0)
            r = error_wrap(err, RUN_E_USAGE, "--limits");
    }
    /* A fresh context is for this run: it may take as long as it was given. */
    if (r == 0 && timeout != NULL && json_integer_value(timeout) > 0 &&
        json_object_get(limits, "run_ms") == NULL && arguments->context == NULL)
        json_object_set(limits, "run_ms", timeout);
    json_object_set_new(creation, "language", json_string(choose_language(arguments)));
    if (arguments->context != NULL) {
        json_object_set_new(creation, "name", json_string(arguments->context));
        json_object_set_new(creation, "if_exists", json_string("use"));
        return r;
    }
    json_object_set_new(creation, "idle_timeout_s", json_integer(ABANDONED_S));
    if (r == 0 && arguments->env.count > 0)
        r = pairs_add(creation, "env", &arguments->env, err);
    return r <= 0 ? r : RUN_E_USAGE;
}

static int
start_server(struct embedded **ret, const struct arguments *arguments, int signals,
             struct error *err)
{
    const char *words[] = { NULL, NULL, NULL, NULL, NULL };
    size_t count = 0;

    if (arguments->tier != NULL) {
        words[count++] = "--tier";
        words[count++] = arguments->tier;
    }
    if (arguments->python != NULL) {
        words[count++] = "--python";
        words[count++] = arguments->python;
    }
    return embedded_start(ret, words, signals, err);
}

/* The running server, or one for this call. */
static int
connect_any(struct client **ret, struct embedded **ret_embedded,
            const struct arguments *arguments, const struct console *console,
            struct error *err)
{
    const char *variable = getenv("CELLWALL_SERVER");
    bool forbidden = connect_forbids_server(arguments->server);
    bool chosen = arguments->server != NULL || (variable != NULL && variable[0] != '\0');
    int r = CLIENT_E_NONE;

    if (!forbidden) {
        r = connect_server(ret, arguments->server, err);
        if (r == CLIENT_E_NONE && chosen) {
            const struct error why = *err;

            *err = (struct error){ 0 };
            return error_set(err, r, "%.400s: start it with \"cellwall serve\"",
                             why.text);
        }
        if (r != CLIENT_E_NONE)
            return r;
        *err = (struct error){ 0 };
    }
    if (arguments->context != NULL)
        return error_set(err, CLIENT_E_NONE,
                         "no server runs that could keep context %.64s: start one with "
                         "\"cellwall serve\"",
                         arguments->context);
    r = start_server(ret_embedded, arguments, console->signals, err);
    if (r == 0)
        r = connect_server(ret, embedded_file(*ret_embedded), err);
    else if (r == EMBEDDED_E_INTERRUPTED)
        return CLIENT_E_STOPPED;
    return r <= 0 ? r : CLIENT_E_FAILED;
}

static int
run_at_server(const struct arguments *arguments, struct run_options *wanted)
{
    CLEANUP(console_fini) struct console console = { .signals = -1 };
    CLEANUP(embedded_stopp) struct embedded *embedded = NULL;
    struct client *client = NULL;
    struct error err = { 0 };
    int status, r = console_init(&console, CLIENT_E_STOPPED, &err);

    if (r == 0)
        r = connect_any(&client, &embedded, arguments, &console, &err);
    if (r == CLIENT_E_STOPPED)
        return EXIT_STATUS_INTERRUPTED;
    if (r != 0) {
        log_line("run: %s", err.text[0] != '\0' ? err.text : strerror(-r));
        return EXIT_STATUS_NOT_STARTED;
    }
    wanted->delete_context = arguments->context == NULL && embedded == NULL;
    if (console.screen.options.is_terminal[SCREEN_OUT] && arguments->folder == NULL)
        wanted->pictures->protocol = pictures_detect(getenv);
    status = run_code(client, &console, wanted);
    client_destroy(client);
    return status;
}

static int
run(char *const *argv)
{
    CLEANUP(tree_decrefp) json_t *content = json_object();
    CLEANUP(tree_decrefp) json_t *creation = json_object();
    struct arguments arguments = { 0 };
    struct pictures pictures = { .folder = "" };
    struct run_options wanted = { .content = content,
                                  .creation = creation,
                                  .pictures = &pictures };
    struct error err = { 0 };
    int r, status = command_parse(&command_run, &arguments, argv, NULL);

    if (status >= 0)
        return status;
    r = check(&arguments, &err);
    if (r == 0)
        r = make_content(content, &arguments, &err);
    if (r == 0)
        r = make_creation(creation, &arguments, content, &err);
    if (r != 0) {
        log_line("run: %s", err.text[0] != '\0' ? err.text : strerror(-r));
        return r > 0 ? EXIT_STATUS_USAGE : EXIT_STATUS_NOT_STARTED;
    }
    if (arguments.folder != NULL)
        pictures.folder = arguments.folder;
    wanted.context = arguments.context;
    wanted.json = arguments.json;
    wanted.save_all = arguments.folder != NULL;
    wanted.allow_stdin = !arguments.no_stdin && !reads_code_from_stdin(&arguments);
    return run_at_server(&arguments, &wanted);
}

const struct command command_run = {
    .name = "run",
    .summary = "run code in a sandbox and print what it says",
    .synopsis = "[OPTION]... (FILE | -e CODE | -)",
    .description =
        "      Runs code of any size in a persistent interpreter within a sandbox. What\n"
        "      it prints comes as it is printed, stdout to stdout and stderr to stderr.\n"
        "      The value of the last expression, and what is displayed, go to stdout as\n"
        "      text; images become files. On a terminal displays are replaced where "
        "they\n"
        "      stand, and escape sequences other than colours have no effect.\n"
        "\n"
        "      The code runs at the server of this user (see \"cellwall serve "
        "--help\").\n"
        "      When none runs, one is started for this call and ended with it.\n"
        "\n"
        "      Ctrl-C interrupts the code, a second one within two seconds kills its\n"
        "      interpreter, a third one leaves at once. Ctrl-Z stops this command, but\n"
        "      not the code, nor its limit of time.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes =
        "EXAMPLES\n"
        "      cellwall run -e '1 + 1'\n"
        "      cellwall run --timeout 10 --limits memory=512M script.py\n"
        "      cellwall run --context notes -e 'x = 41'\n"
        "      cellwall run --context notes -e 'x + 1'\n"
        "      echo 'print(6 * 7)' | cellwall run -\n"
        "      cellwall run --json -e '1 / 0' | jq -r .error.ename\n"
        "\n"
        "EXIT STATUS\n"
        "      0    the code ran to its end\n"
        "      1    it raised an exception, or what it printed or displayed could "
        "not be\n"
        "           written. Python's sys.exit(N) gives N\n"
        "      2    wrong usage; the server has no such language; a limit too high\n"
        "      124  it ran for longer than it may\n"
        "      125  no server, or the interpreter could not be started\n"
        "      130  interrupted, by Ctrl-C or by somebody else\n"
        "      137  killed by another limit than time, or crashed\n"
        "      141  the reader of stdout has gone\n"
        "\n"
        "ENVIRONMENT\n"
        "      CELLWALL_SERVER   as --server\n"
        "      XDG_RUNTIME_DIR   where the server of this user is looked for\n"
        "      CELLWALL_RUNTIMES folder of the runtimes, for a server of this call\n"
        "      NO_COLOR          if not empty: no colours but those of the code\n"
        "      TERM, TERM_PROGRAM\n"
        "                        what the terminal can do: colours (unless dumb) and\n"
        "                        images (kitty, ghostty, WezTerm, iTerm2)\n",
    .run = run,
};
