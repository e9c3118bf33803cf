/* SPDX-License-Identifier: MIT */
/* The death of an interpreter, in words: what happened, what it last said, what now. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"

#define LOSS_BYTES_MAX ((size_t)64 * 1024)

static const char *const names[] = {
    [CONTEXT_REASON_NONE] = "KernelDied",
    [CONTEXT_REASON_TIMEOUT] = "TimeLimit",
    [CONTEXT_REASON_MEMORY] = "OutOfMemory",
    [CONTEXT_REASON_CPU] = "CpuLimit",
    [CONTEXT_REASON_PIDS] = "ProcessLimit",
    [CONTEXT_REASON_DISK] = "DiskLimit",
    [CONTEXT_REASON_KILLED] = "KernelDied",
    [CONTEXT_REASON_CRASHED] = "KernelDied",
    [CONTEXT_REASON_INTERRUPTED] = "KernelDied",
    [CONTEXT_REASON_PROTOCOL] = "ProtocolError",
    [CONTEXT_REASON_START] = "KernelStartFailed",
};
static_assert(N_ELEMENTS(names) == CONTEXT_REASON_END, "each reason has a name");

static const char *
name_of(const struct context_reason *reason)
{
    if (reason->kind != CONTEXT_REASON_CRASHED)
        return names[reason->kind];
    switch (reason->signal) {
    case SIGSEGV:
    case SIGBUS:
        return "SegmentationFault";
    case SIGABRT:
        return "Aborted";
    case SIGFPE:
        return "FloatingPointException";
    case SIGILL:
        return "IllegalInstruction";
    default:
        return "KernelDied";
    }
}

static int
add_line(struct buffer *traceback, const void *text, size_t length)
{
    int r = traceback->length > 1 ? buffer_append_text(traceback, ",") : 0;

    return r != 0 ? r : text_append_json(traceback, text, length);
}

static int
add_stderr(struct buffer *traceback, const char *text)
{
    static const char title[] = "The last lines on its stderr:";
    int r = 0;

    if (text == NULL || *text == '\0')
        return 0;
    r = add_line(traceback, title, strlen(title));
    while (r == 0 && *text != '\0') {
        size_t length = strcspn(text, "\n");
        char line[CONTEXT_STDERR_TAIL_BYTES + 4] = "  ";

        if (length > CONTEXT_STDERR_TAIL_BYTES)
            length = CONTEXT_STDERR_TAIL_BYTES;
        memcpy(line + 2, text, length);
        r = add_line(traceback, line, length + 2);
        text += length;
        if (*text == '\n')
            text++;
    }
    return r;
}

enum loss_outlook
loss_outlook_of(const struct kernel *kernel)
{
    if (kernel->stopping)
        return LOSS_AT_SHUTDOWN;
    return kernel->options->die_with_child ? LOSS_ENDS_ALL : LOSS_GOES_ON;
}

/* What the person can count on now. */
static int
add_outlook(struct buffer *traceback, enum loss_outlook outlook,
            const struct context_reason *reason, uint64_t next_epoch)
{
    CLEANUP(buffer_fini) struct buffer line;
    int r;

    buffer_init(&line, LOSS_BYTES_MAX);
    if (outlook == LOSS_AT_SHUTDOWN)
        r = buffer_append_text(&line, "The kernel is shutting down.");
    else if (outlook == LOSS_DELETED)
        r = buffer_append_text(&line, "Its context is gone.");
    else if (outlook == LOSS_ENDS_ALL)
        r = buffer_append_text(&line, "The kernel ends with it, as it was told to.");
    else if (next_epoch == 0)
        r = buffer_append_text(&line, "The next cell tries to start it again.");
    else if (reason->kind == CONTEXT_REASON_START)
        r = buffer_append_text(&line, "It is being started once more.");
    else
        r = buffer_append_format(&line,
                                 "A fresh interpreter (epoch %" PRIu64
                                 ") takes over: all variables and imports are lost. Run "
                                 "the cells again that make them.",
                                 next_epoch);
    if (r == 0)
        r = add_line(traceback, line.data, line.length);
    return r;
}

static int
build(struct loss *loss, enum loss_outlook outlook, const struct context_reason *reason,
      uint64_t next_epoch)
{
    CLEANUP(buffer_fini) struct buffer headline;
    int r = buffer_append_text(
        &loss->value, reason->text != NULL ? reason->text : "the interpreter has ended");

    buffer_init(&headline, LOSS_BYTES_MAX);
    if (r == 0 && reason->peak_bytes != 0 && reason->kind == CONTEXT_REASON_MEMORY)
        r = buffer_append_format(&loss->value, " (peak %" PRIu64 " MiB)",
                                 reason->peak_bytes >> 20);
    if (r == 0)
        r = buffer_append_format(&headline, "%s: ", loss->name);
    if (r == 0)
        r = buffer_append(&headline, loss->value.data, loss->value.length);
    if (r == 0)
        r = buffer_append_text(&loss->traceback, "[");
    if (r == 0)
        r = add_line(&loss->traceback, headline.data, headline.length);
    if (r == 0)
        r = add_stderr(&loss->traceback, reason->stderr_tail);
    if (r == 0)
        r = add_outlook(&loss->traceback, outlook, reason, next_epoch);
    return r != 0 ? r : buffer_append_text(&loss->traceback, "]");
}

int
loss_init(struct loss *ret, enum loss_outlook outlook,
          const struct context_reason *reason, uint64_t next_epoch)
{
    int r;

    *ret = (struct loss){ .name = name_of(reason) };
    buffer_init(&ret->value, LOSS_BYTES_MAX);
    buffer_init(&ret->traceback, LOSS_BYTES_MAX);
    buffer_init(&ret->metadata, LOSS_BYTES_MAX);
    r = metadata_append_error(&ret->metadata, reason);
    if (r == 0)
        r = build(ret, outlook, reason, next_epoch);
    return r <= 0 ? r : -EMSGSIZE;
}

void
loss_fini(struct loss *loss)
{
    buffer_fini(&loss->value);
    buffer_fini(&loss->traceback);
    buffer_fini(&loss->metadata);
}

int
loss_append(const struct loss *loss, struct buffer *ret)
{
    int r = buffer_append_format(ret, "\"ename\":\"%s\",\"evalue\":", loss->name);

    if (r == 0)
        r = text_append_json(ret, loss->value.data, loss->value.length);
    if (r == 0)
        r = buffer_append_text(ret, ",\"traceback\":");
    if (r == 0)
        r = buffer_append(ret, loss->traceback.data, loss->traceback.length);
    return r;
}

int
loss_publish(struct kernel *kernel, const struct loss *loss, struct slice parent_header)
{
    CLEANUP(buffer_fini) struct buffer content;
    int r;

    buffer_init(&content, KERNEL_CONTENT_BYTES_MAX);
    r = buffer_append_text(&content, "{");
    if (r == 0)
        r = loss_append(loss, &content);
    if (r == 0)
        r = buffer_append_text(&content, "}");
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return kernel_publish(kernel, &(struct kernel_broadcast){
                                      .parent_header = parent_header,
                                      .type = "error",
                                      .metadata = buffer_slice(&loss->metadata),
                                      .content = buffer_slice(&content),
                                  });
}
