/* SPDX-License-Identifier: MIT */
#include "kernel/cli/visit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/cli/advice.h"
#include "kernel/cli/connect.h"
#include "kernel/cli/run.h"
#include "kernel/cli/table.h"
#include "kernel/command.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define TEXT_BYTES_MAX ((size_t)256 * 1024 * 1024)

static int
on_signal(int number, void *arg)
{
    (void)number, (void)arg;
    return CLIENT_E_STOPPED;
}

static int
on_signals_readable(void *arg)
{
    return console_take_signal(&((struct visit *)arg)->console);
}

int
visit_fail(struct visit *visit, int status, const char *format, ...)
{
    char text[2 * ERROR_TEXT_BYTES];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    advice_tell(visit->name, text);
    visit->status = status;
    return VISIT_E_FAILED;
}

/* What ended a call or a write, as our own kind of result. */
static int
answer(struct visit *visit, int result, int status, const struct error *err)
{
    if (result == 0)
        return 0;
    if (result == CLIENT_E_STOPPED && visit->console.failure == EPIPE) {
        visit->status = EXIT_STATUS_PIPE_CLOSED;
        return VISIT_E_FAILED;
    }
    if (result == CLIENT_E_STOPPED && visit->console.failure != 0)
        return visit_fail(visit, EXIT_STATUS_FAILED, "cannot write to stdout: %s",
                          strerror(visit->console.failure));
    if (result == CLIENT_E_STOPPED) {
        visit->status = EXIT_STATUS_INTERRUPTED;
        return VISIT_E_FAILED;
    }
    return visit_fail(visit, status, "%s",
                      err->text[0] != '\0' ? err->text : strerror(-result));
}

int
visit_init(struct visit *visit, const char *name, const char *server)
{
    struct error err = { 0 };
    int r;

    *visit = (struct visit){ .name = name };
    r = console_init(&visit->console, CLIENT_E_STOPPED, &err);
    if (r == 0)
        r = connect_server(&visit->client, server, &err);
    if (r == CLIENT_E_NONE)
        return visit_fail(visit, EXIT_STATUS_NOT_STARTED,
                          "%s: start one with \"cellwall serve\"", err.text);
    if (r != 0)
        return answer(visit, r, EXIT_STATUS_NOT_STARTED, &err);
    visit->console.on_signal = on_signal;
    return 0;
}

int
visit_begin(struct visit *visit, const struct command *command, void *arguments,
            const struct visit_arguments *common, char *const *argv, size_t least,
            size_t most)
{
    int status = command_parse(command, arguments, argv, NULL);
    size_t count = common->words.count;

    if (status >= 0)
        return status;
    if (count < least || count > most) {
        log_line("%s: %s; see: cellwall %s --help", command->name,
                 count > most ? "too many arguments"
                 : count == 0 ? "the name or id of a context is missing"
                              : "an argument is missing",
                 command->name);
        return EXIT_STATUS_USAGE;
    }
    return visit_init(visit, command->name, common->server) == 0 ? -1 : visit_fini(visit);
}

int
visit_fini(struct visit *visit)
{
    client_destroy(visit->client);
    console_fini(&visit->console);
    return visit->status;
}

int
visit_ask(struct visit *visit, const char *type, json_t *content, struct slice buffer,
          struct client_reply *ret)
{
    CLEANUP(tree_decrefp) json_t *owned = content;
    const struct client_request request = { .type = type,
                                            .content = owned,
                                            .buffer = buffer };
    const struct client_watch watch = { visit->console.signals, on_signals_readable,
                                        visit };
    struct client_reply reply = { 0 };
    struct error err = { 0 };
    int r, status = EXIT_STATUS_NOT_STARTED;

    if (content == NULL)
        return visit_fail(visit, EXIT_STATUS_USAGE, "an argument is not UTF-8 text");
    client_watch(visit->client, &watch, 1);
    r = client_ask(visit->client, &request, &reply, &err);
    client_watch(visit->client, NULL, 0);
    if (r == 0) {
        *ret = reply;
        return 0;
    }
    if (r == CLIENT_E_REFUSED) {
        status = run_status(reply.content);
        if (status == EXIT_STATUS_NOT_STARTED &&
            strcmp(client_refusal(reply.content), "START_FAILED") != 0)
            status = EXIT_STATUS_FAILED;
    }
    json_decref(reply.content);
    return answer(visit, r, status, &err);
}

int
visit_print(struct visit *visit, struct slice text)
{
    struct error err = { 0 };

    return answer(visit, screen_print(&visit->console.screen, SCREEN_OUT, text),
                  EXIT_STATUS_FAILED, &err);
}

int
visit_print_json(struct visit *visit, const json_t *value)
{
    bool terminal = visit->console.screen.options.is_terminal[SCREEN_OUT];
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, TEXT_BYTES_MAX);
    r = tree_append(&text, value,
                    JSON_INDENT(2) | JSON_ENCODE_ANY |
                        (terminal ? JSON_ENSURE_ASCII : 0));
    if (r == 0)
        r = buffer_append_text(&text, "\n");
    if (r != 0)
        return visit_fail(visit, EXIT_STATUS_FAILED, "cannot print the reply");
    return visit_print(visit, buffer_slice(&text));
}

int
visit_print_table(struct visit *visit, const struct table *table)
{
    CLEANUP(buffer_fini) struct buffer text;

    buffer_init(&text, TEXT_BYTES_MAX);
    if (table_append(table, &text) != 0)
        return visit_fail(visit, EXIT_STATUS_FAILED, "cannot print so much");
    return visit_print(visit, buffer_slice(&text));
}
