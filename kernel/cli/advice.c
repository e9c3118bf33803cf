/* SPDX-License-Identifier: MIT */
#include "kernel/cli/advice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cli/printable.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"

static const struct row {
    const char *request, *command;
} rows[] = {
    { "see the request's members in the protocol", "\"--help\" tells what may be said" },
    { "see the protocol's requests; the server may be older than the client",
      "the server is older than this program: start it again" },
    { "server_info_request lists the languages; ", "" },
    { "say \"if_exists\": \"use\"", "give --use" },
    { "say \"recursive\": true", "give --recursive" },
    { "list_contexts_request", "\"cellwall context list\"" },
    { "get_context_request", "\"cellwall context show\"" },
    { "create_context_request", "\"cellwall context create\"" },
    { "delete_context_request", "\"cellwall context delete\"" },
    { "restart_context_request", "\"cellwall context restart\"" },
    { "interrupt_context_request", "\"cellwall context interrupt\"" },
    { "open_jupyter_request", "\"cellwall context jupyter\"" },
    { "list_files_request", "\"cellwall context files\"" },
    { "remove_file_request", "\"cellwall context rm\"" },
    { "server_info_request", "\"cellwall doctor\"" },
};

static const struct row *
find_first(const char *text, const char **ret_at)
{
    const struct row *first = NULL;

    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        const char *at = strstr(text, rows[i].request);

        if (at != NULL && (first == NULL || at < *ret_at)) {
            first = &rows[i];
            *ret_at = at;
        }
    }
    return first;
}

int
advice_append(struct buffer *ret, const char *text)
{
    const struct row *row;
    const char *at;
    int r = 0;

    while (r == 0 && (row = find_first(text, &at)) != NULL) {
        CLEANUP(freep) char *before = strndup(text, (size_t)(at - text));

        r = before == NULL ? -ENOMEM : printable_append_line(ret, before);
        if (r == 0)
            r = buffer_append_text(ret, row->command);
        text = at + strlen(row->request);
    }
    return r != 0 ? r : printable_append_line(ret, text);
}

void
advice_tell(const char *name, const char *text)
{
    CLEANUP(buffer_fini) struct buffer line;

    buffer_init(&line, (size_t)8 * LOG_LINE_BYTES);
    if (advice_append(&line, text) == 0 && buffer_append(&line, "", 1) == 0)
        log_line("%s: %s", name, (char *)line.data);
}
