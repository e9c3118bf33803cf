/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/verdict.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/notebook.h"
#include "protocol/text.h"

static const char *const names[] = {
    [VERDICT_PASSED] = "passed",   [VERDICT_FAILED] = "failed",
    [VERDICT_ERROR] = "error",     [VERDICT_SKIPPED] = "skipped",
    [VERDICT_NOT_RUN] = "not_run",
};

static_assert(N_ELEMENTS(names) == VERDICT_STATUS_END, "each status has a name");

const char *
verdict_status_name(enum verdict_status status)
{
    return names[status];
}

/* What others have written may be cut within a character, or be no text at all. */
static int
replace_ill_formed(char **text)
{
    CLEANUP(buffer_fini) struct buffer whole;
    size_t length = strlen(*text);
    int r;

    buffer_init(&whole, 3 * length + 1); /* U+FFFD has three bytes */
    if (text_is_utf8(*text, length))
        return 0;
    r = text_append_utf8(&whole, *text, length);
    if (r == 0)
        r = buffer_append(&whole, "", 1);
    if (r != 0)
        return -ENOMEM;
    free(*text);
    *text = (char *)whole.data;
    whole.data = NULL;
    return 0;
}

json_t *
verdict_text(const char *text)
{
    CLEANUP(freep) char *copy = strdup(text != NULL ? text : "");

    if (copy == NULL || replace_ill_formed(&copy) != 0)
        return NULL;
    return json_string(copy);
}

int
verdict_set(struct verdict *verdict, enum verdict_status status, const char *kind,
            const char *format, ...)
{
    va_list ap;
    int r;

    if (verdict->status != VERDICT_PASSED)
        return 0;
    va_start(ap, format);
    r = vasprintf(&verdict->text, format, ap);
    va_end(ap);
    if (r < 0) {
        verdict->text = NULL;
        return -ENOMEM;
    }
    if (replace_ill_formed(&verdict->text) != 0)
        return -ENOMEM;
    verdict->status = status;
    verdict->kind = kind;
    return 0;
}

void
verdict_fini(struct verdict *verdict)
{
    free(verdict->text);
    free(verdict->stderr_tail);
    free(verdict->printed);
    json_decref(verdict->traceback);
    json_decref(verdict->differences);
}

json_t *
verdict_reason(const char *kind, const char *text)
{
    if (kind == NULL)
        return json_null();
    return json_pack("{s:s, s:o}", "kind", kind, "text", verdict_text(text));
}

static json_t *
text_of(struct slice text)
{
    return json_stringn(text.length > 0 ? (const char *)text.data : "", text.length);
}

json_t *
verdict_event(const struct verdict *verdict, const char *path,
              const struct notebook *notebook, size_t cell, size_t number,
              const char *status)
{
    const struct notebook_cell *of = &notebook->cells[cell];
    json_t *event = json_pack(
        "{s:s, s:o, s:I, s:I, s:o, s:I, s:o, s:s, s:b, s:o, s:o, s:o, s:o}", "event",
        "cell", "path", verdict_text(path), "cell", (json_int_t)number, "position",
        (json_int_t)cell, "id", of->id.length > 0 ? text_of(of->id) : json_null(), "line",
        (json_int_t)of->line, "source", text_of(of->source), "status",
        status != NULL ? status : names[verdict->status], "compared", verdict->compared,
        "seconds", verdict->seconds >= 0 ? json_real(verdict->seconds) : json_null(),
        "execution_count",
        verdict->execution_count >= 0 ? json_integer(verdict->execution_count)
                                      : json_null(),
        "reason", verdict_reason(verdict->kind, verdict->text), "differences",
        verdict->differences != NULL ? json_incref(verdict->differences) : json_array());

    if (event == NULL)
        return NULL;
    if (verdict->traceback != NULL)
        json_object_set(event, "traceback", verdict->traceback);
    if (verdict->printed != NULL)
        json_object_set_new(event, "printed", verdict_text(verdict->printed));
    if (verdict->stderr_tail != NULL)
        json_object_set_new(event, "stderr_tail", verdict_text(verdict->stderr_tail));
    return event;
}

json_t *
verdict_counts_object(const struct verdict_counts *counts)
{
    json_t *object = json_object();

    for (size_t i = 0; i < VERDICT_STATUS_END; i++) {
        if (counts->of[i] > 0)
            json_object_set_new(object, names[i],
                                json_integer((json_int_t)counts->of[i]));
    }
    return object;
}

enum verdict_status
verdict_worst(const struct verdict_counts *counts)
{
    if (counts->of[VERDICT_FAILED] > 0)
        return VERDICT_FAILED;
    if (counts->of[VERDICT_ERROR] > 0)
        return VERDICT_ERROR;
    return counts->of[VERDICT_NOT_RUN] > 0 ? VERDICT_FAILED : VERDICT_PASSED;
}
