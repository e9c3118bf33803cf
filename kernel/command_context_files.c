/* SPDX-License-Identifier: MIT */
/* cellwall context: files of a context, and Jupyter in front of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kernel/cli/context.h"
#include "kernel/cli/table.h"
#include "kernel/cli/visit.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define PIECE_BYTES ((size_t)8 * 1024 * 1024) /* of a file in one message */

struct arguments {
    struct visit_arguments common;
    bool recursive;
    bool close;
};

#define OFFSET(member) offsetof(struct arguments, member)
#define SERVER_ROW                                                                       \
    { "server", 0, OPTION_TEXT, "FILE", NULL, OFFSET(common.server), CONTEXT_SERVER_HELP }
#define JSON_ROW                                                                         \
    { "json", 0, OPTION_FLAG, NULL, NULL, OFFSET(common.json), CONTEXT_JSON_HELP }
#define WORDS_ROW(name, help)                                                            \
    { name, 0, OPTION_WORDS, NULL, NULL, OFFSET(common.words), help }

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static int
print_entries(struct visit *visit, const json_t *reply)
{
    static const char *const headings[] = { "TYPE", "SIZE", "MODIFIED", "PATH", NULL };
    CLEANUP(table_fini) struct table table = { 0 };
    const json_t *entries = json_object_get(reply, "entries"), *entry;
    size_t i;
    int r = table_add(&table, headings);

    json_array_foreach(entries, i, entry)
    {
        time_t modified =
            (time_t)(json_integer_value(json_object_get(entry, "modified_ms")) / 1000);
        const char *type = json_string_value(json_object_get(entry, "type"));
        const char *path = json_string_value(json_object_get(entry, "path"));
        char size[32], date[32] = "?";
        struct tm tm;

        snprintf(size, sizeof size, "%" JSON_INTEGER_FORMAT,
                 json_integer_value(json_object_get(entry, "size")));
        if (localtime_r(&modified, &tm) != NULL)
            strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm);
        if (r == 0)
            r = table_add(&table,
                          (const char *const[]){ type != NULL ? type : "?", size, date,
                                                 path != NULL ? path : "?", NULL });
    }
    if (r == 0)
        r = visit_print_table(visit, &table);
    if (r == 0 && json_is_true(json_object_get(reply, "truncated")))
        log_line("%s: there are more", visit->name);
    return r;
}

static int
run_files(char *const *argv)
{
    struct arguments arguments = { 0 };
    struct client_reply reply = { 0 };
    struct visit visit;
    json_t *content;
    int status = visit_begin(&visit, &command_context_files, &arguments,
                             &arguments.common, argv, 1, 2);

    if (status >= 0)
        return status;
    content = json_pack("{ss sb}", "context", arguments.common.words.items[0],
                        "recursive", arguments.recursive);
    if (content != NULL && arguments.common.words.count > 1)
        json_object_set_new(content, "path",
                            json_string(arguments.common.words.items[1]));
    if (visit_ask(&visit, "list_files_request", content, (struct slice){ 0 }, &reply) ==
        0) {
        if (arguments.common.json)
            visit_print_json(&visit, json_object_get(reply.content, "entries"));
        else
            print_entries(&visit, reply.content);
        json_decref(reply.content);
    }
    return visit_fini(&visit);
}

/* Fills PIECE as far as the file goes. */
static ssize_t
read_piece(int fd, uint8_t *piece)
{
    size_t used = 0;

    while (used < PIECE_BYTES) {
        ssize_t n = read(fd, piece + used, PIECE_BYTES - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    return (ssize_t)used;
}

/* The first piece replaces what was there, the others follow it. */
static int
send_file(struct visit *visit, int fd, const char *from, const char *context,
          const char *to)
{
    CLEANUP(freep) uint8_t *piece = malloc(PIECE_BYTES);
    json_int_t offset = 0;
    ssize_t n;

    if (piece == NULL)
        return visit_fail(visit, EXIT_STATUS_FAILED, "out of memory");
    do {
        struct client_reply reply = { 0 };
        json_t *content;

        n = read_piece(fd, piece);
        if (n < 0)
            return visit_fail(visit, EXIT_STATUS_FAILED, "cannot read %s: %s", from,
                              strerror(errno));
        if (n == 0 && offset > 0)
            break;
        content = json_pack("{ss ss ss}", "context", context, "path", to, "mode",
                            offset == 0 ? "replace" : "at");
        if (content != NULL && offset > 0)
            json_object_set_new(content, "offset", json_integer(offset));
        if (visit_ask(visit, "write_file_request", content,
                      (struct slice){ piece, (size_t)n }, &reply) != 0)
            return VISIT_E_FAILED;
        json_decref(reply.content);
        offset += n;
    } while ((size_t)n == PIECE_BYTES);
    return 0;
}

static int
run_put(char *const *argv)
{
    struct arguments arguments = { 0 };
    CLEANUP(close_fdp) int fd = -1;
    const char *from, *to;
    struct visit visit;
    int status = visit_begin(&visit, &command_context_put, &arguments, &arguments.common,
                             argv, 2, 3);

    if (status >= 0)
        return status;
    from = arguments.common.words.items[1];
    to = arguments.common.words.count > 2 ? arguments.common.words.items[2]
                                          : base_name(from);
    if (strcmp(from, "-") == 0)
        fd = dup(STDIN_FILENO);
    else
        fd = open(from, O_RDONLY | O_CLOEXEC);
    if (strcmp(from, "-") == 0 && arguments.common.words.count < 3)
        visit_fail(&visit, EXIT_STATUS_USAGE, "stdin has no name: give a PATH");
    else if (fd < 0)
        visit_fail(&visit, EXIT_STATUS_FAILED, "cannot open %s: %s", from,
                   strerror(errno));
    else
        (void)send_file(&visit, fd, from, arguments.common.words.items[0], to);
    return visit_fini(&visit);
}

static int
write_piece(struct visit *visit, int fd, const char *path, struct slice piece)
{
    if (fd < 0)
        return visit_print(visit, piece);
    while (piece.length > 0) {
        ssize_t n = write(fd, piece.data, piece.length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return visit_fail(visit, EXIT_STATUS_FAILED, "cannot write %s: %s", path,
                              strerror(errno));
        piece.data += n;
        piece.length -= (size_t)n;
    }
    return 0;
}

/* FD < 0: to stdout. */
static int
fetch_file(struct visit *visit, const char *context, const char *from, int fd,
           const char *to)
{
    json_int_t offset = 0;
    bool ended = false;

    while (!ended) {
        struct client_reply reply = { 0 };
        int r = visit_ask(visit, "read_file_request",
                          json_pack("{ss ss sI sI}", "context", context, "path", from,
                                    "offset", offset, "length", (json_int_t)PIECE_BYTES),
                          (struct slice){ 0 }, &reply);

        if (r != 0)
            return r;
        ended = json_is_true(json_object_get(reply.content, "eof")) ||
                reply.buffer.length == 0;
        json_decref(reply.content);
        r = write_piece(visit, fd, to, reply.buffer);
        if (r != 0)
            return r;
        offset += (json_int_t)reply.buffer.length;
    }
    return 0;
}

/* Whoever looks at TO sees the whole file or what was there before. */
static int
fetch_to_file(struct visit *visit, const char *context, const char *from, const char *to)
{
    char temporary[PATH_MAX];
    CLEANUP(close_fdp) int fd = -1;
    mode_t mask = umask(0);
    int r;

    umask(mask);
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", to) >= PATH_MAX)
        return visit_fail(visit, EXIT_STATUS_FAILED, "%s: the path is too long", to);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return visit_fail(visit, EXIT_STATUS_FAILED, "cannot create %s: %s", to,
                          strerror(errno));
    r = fetch_file(visit, context, from, fd, to);
    if (r == 0 && (fchmod(fd, 0666 & ~mask) < 0 || rename(temporary, to) < 0))
        r = visit_fail(visit, EXIT_STATUS_FAILED, "cannot write %s: %s", to,
                       strerror(errno));
    if (r != 0)
        unlink(temporary);
    return r;
}

static int
run_get(char *const *argv)
{
    struct arguments arguments = { 0 };
    const char *from, *to;
    struct visit visit;
    int status = visit_begin(&visit, &command_context_get, &arguments, &arguments.common,
                             argv, 2, 3);

    if (status >= 0)
        return status;
    from = arguments.common.words.items[1];
    to = arguments.common.words.count > 2 ? arguments.common.words.items[2]
                                          : base_name(from);
    if (strcmp(to, "-") == 0)
        (void)fetch_file(&visit, arguments.common.words.items[0], from, -1, to);
    else if (to[0] == '\0')
        visit_fail(&visit, EXIT_STATUS_USAGE, "%s names no file", from);
    else
        (void)fetch_to_file(&visit, arguments.common.words.items[0], from, to);
    return visit_fini(&visit);
}

static int
run_rm(char *const *argv)
{
    struct arguments arguments = { 0 };
    struct visit visit;
    int status = visit_begin(&visit, &command_context_rm, &arguments, &arguments.common,
                             argv, 2, OPTION_LIST_MAX);

    if (status >= 0)
        return status;
    for (size_t i = 1; i < arguments.common.words.count; i++) {
        struct client_reply reply = { 0 };

        if (visit_ask(&visit, "remove_file_request",
                      json_pack("{ss ss sb}", "context", arguments.common.words.items[0],
                                "path", arguments.common.words.items[i], "recursive",
                                arguments.recursive),
                      (struct slice){ 0 }, &reply) == 0)
            json_decref(reply.content);
    }
    return visit_fini(&visit);
}

static int
print_connection(struct visit *visit, const json_t *reply)
{
    const char *file = json_string_value(json_object_get(reply, "file"));
    CLEANUP(buffer_fini) struct buffer text;

    buffer_init(&text, 4 * (size_t)PATH_MAX);
    if (file == NULL)
        return visit_print_json(visit, json_object_get(reply, "connection"));
    if (buffer_append_format(&text,
                             "%s\n\n"
                             "Connect with: jupyter console --existing %s\n"
                             "In JupyterLab it is an external kernel, where that folder "
                             "is given to it by\n"
                             "--ServerApp.external_connection_dir\n",
                             file, file) != 0)
        return visit_fail(visit, EXIT_STATUS_FAILED, "the path is too long");
    return visit_print(visit, buffer_slice(&text));
}

static int
run_jupyter(char *const *argv)
{
    struct arguments arguments = { 0 };
    struct client_reply reply = { 0 };
    struct visit visit;
    int status = visit_begin(&visit, &command_context_jupyter, &arguments,
                             &arguments.common, argv, 1, 1);

    if (status >= 0)
        return status;
    if (visit_ask(&visit,
                  arguments.close ? "close_jupyter_request" : "open_jupyter_request",
                  json_pack("{ss}", "context", arguments.common.words.items[0]),
                  (struct slice){ 0 }, &reply) == 0) {
        json_object_del(reply.content, "status");
        if (arguments.common.json)
            visit_print_json(&visit, reply.content);
        else if (!arguments.close)
            print_connection(&visit, reply.content);
        json_decref(reply.content);
    }
    return visit_fini(&visit);
}

static const struct option_spec files_options[] = {
    WORDS_ROW("NAME [PATH]", "A context, and a folder in its workspace."),
    { "recursive", 'r', OPTION_FLAG, NULL, NULL, OFFSET(recursive),
      "What is in folders, too." },
    JSON_ROW,
    SERVER_ROW,
};

const struct command command_context_files = {
    .name = "context files",
    .summary = "list the files of a context",
    .synopsis = "[OPTION]... NAME [PATH]",
    .description = "      Lists the files in a context's workspace.\n",
    .options = files_options,
    .option_count = N_ELEMENTS(files_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context files -r notes\n",
    .run = run_files,
};

static const struct option_spec put_options[] = {
    WORDS_ROW("NAME FILE [PATH]",
              "A context, a file of yours (- is stdin), and where to put it in the\n"
              "workspace. The default is its own name, at the top."),
    SERVER_ROW,
};

const struct command command_context_put = {
    .name = "context put",
    .summary = "copy a file into a context",
    .synopsis = "[OPTION]... NAME FILE [PATH]",
    .description =
        "      Copies a file into a context's workspace. Folders are made, and\n"
        "      a file that is there is replaced.\n",
    .options = put_options,
    .option_count = N_ELEMENTS(put_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context put notes data.csv\n"
                           "      seq 10 | cellwall context put notes - in/numbers.txt\n",
    .run = run_put,
};

static const struct option_spec get_options[] = {
    WORDS_ROW("NAME PATH [FILE]",
              "A context, a file in its workspace, and where to put it. The default is\n"
              "its name, in the working directory; - is stdout."),
    SERVER_ROW,
};

const struct command command_context_get = {
    .name = "context get",
    .summary = "copy a file out of a context",
    .synopsis = "[OPTION]... NAME PATH [FILE]",
    .description =
        "      Copies a file out of a context's workspace. A file that is there is\n"
        "      replaced, when the whole has come.\n",
    .options = get_options,
    .option_count = N_ELEMENTS(get_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context get notes out/result.csv\n"
                           "      cellwall context get notes log.txt - | tail\n",
    .run = run_get,
};

static const struct option_spec rm_options[] = {
    WORDS_ROW("NAME PATH...", "A context, and files in its workspace."),
    { "recursive", 'r', OPTION_FLAG, NULL, NULL, OFFSET(recursive),
      "Remove folders with all that is in them." },
    SERVER_ROW,
};

const struct command command_context_rm = {
    .name = "context rm",
    .summary = "remove files of a context",
    .synopsis = "[OPTION]... NAME PATH...",
    .description = "      Removes files from a context's workspace.\n",
    .options = rm_options,
    .option_count = N_ELEMENTS(rm_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context rm -r notes out\n",
    .run = run_rm,
};

static const struct option_spec jupyter_options[] = {
    WORDS_ROW("NAME", "The name or id of a context."),
    { "close", 0, OPTION_FLAG, NULL, NULL, OFFSET(close),
      "Close it: front ends lose their kernel, the context stays." },
    JSON_ROW,
    SERVER_ROW,
};

const struct command command_context_jupyter = {
    .name = "context jupyter",
    .summary = "open a context to Jupyter",
    .synopsis = "[OPTION]... NAME",
    .description =
        "      Opens a Jupyter kernel in front of a context and prints the path of its\n"
        "      connection file. JupyterLab and agents then share the interpreter, its\n"
        "      variables and outputs.\n",
    .options = jupyter_options,
    .option_count = N_ELEMENTS(jupyter_options),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context jupyter notes\n",
    .run = run_jupyter,
};

static const struct command *const parts[] = {
    &command_context_create, &command_context_list,    &command_context_show,
    &command_context_delete, &command_context_restart, &command_context_interrupt,
    &command_context_files,  &command_context_put,     &command_context_get,
    &command_context_rm,     &command_context_jupyter,
};

static int
run(char *const *argv)
{
    return command_run_part(&command_context, argv);
}

const struct command command_context = {
    .name = "context",
    .summary = "make, list, use and end contexts of the running server",
    .synopsis = "COMMAND [ARGUMENT]...",
    .description =
        "      A context is one persistent interpreter with its variables, limits and\n"
        "      files, at the server of this user (see \"cellwall serve --help\"). It is\n"
        "      named by its id or by the name that it was given.\n",
    .parts = parts,
    .part_count = N_ELEMENTS(parts),
    .notes = CONTEXT_NOTES "EXAMPLES\n"
                           "      cellwall context create --name notes\n"
                           "      cellwall run --context notes -e 'x = 41'\n"
                           "      cellwall run --context notes -e 'x + 1'\n"
                           "      cellwall context delete notes\n",
    .run = run,
};
