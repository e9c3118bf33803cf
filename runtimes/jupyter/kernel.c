/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/kernel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "runtimes/jupyter/kernel_json.h"
#include "runtimes/jupyter/link.h"
#include "runtimes/jupyter/outputs.h"
#include "runtimes/jupyter/process.h"
#include "runtimes/jupyter/translate.h"

#define LOOK_MS 5 /* between two looks for the kernel's sockets */
#define ASK_MS                                                                           \
    250 /* between two requests, for what is published before we listen is lost */
#define QUIET_MS                                                                         \
    3000 /* a kernel that has answered, and publishes nothing, is taken so               \
          */

struct start {
    struct kernel *kernel;
    const struct kernel_json *spec;
    int64_t limit; /* when to give up */
    bool answered;
    bool busy, published; /* the beginning of an answer was published, and all of it */
};

int64_t
kernel_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
kernel_fini(struct kernel *kernel)
{
    link_destroy(kernel->link);
    process_destroy(kernel->process);
    buffer_fini(&kernel->info);
}

static int
late(const struct start *start, struct error *err)
{
    return error_set(err, KERNEL_E_LATE, "the kernel %s has not %s within %d s",
                     start->spec->name,
                     start->kernel->link == NULL ? "made its sockets"
                     : start->answered           ? "published anything"
                                                 : "said what it is",
                     start->spec->start_s);
}

static int
wait_for_sockets(const struct start *start, struct error *err)
{
    struct kernel *kernel = start->kernel;
    struct pollfd wait = { .fd = process_fd(kernel->process), .events = POLLIN };
    char endpoint[PROCESS_PATH_BYTES + 8];
    int i = 0;

    while (i < LINK_CHANNELS) {
        if (process_endpoint(kernel->process, (enum process_socket)i, endpoint,
                             sizeof endpoint)) {
            i++;
            continue;
        }
        (void)poll(&wait, 1, LOOK_MS);
        process_pass_output(kernel->process);
        if (process_has_ended(kernel->process, &kernel->status))
            return KERNEL_E_ENDED;
        if (kernel_clock_ms() > start->limit)
            return late(start, err);
    }
    return 0;
}

static void
print(struct slice content)
{
    CLEANUP(buffer_fini) struct buffer text;
    size_t done = 0;
    bool is_stderr;

    buffer_init(&text, TRANSLATE_BYTES_MAX);
    if (translate_stream(&text, content, &is_stderr, NULL) != 0)
        return;
    while (done < text.length) {
        ssize_t n = write(is_stderr ? STDERR_FILENO : STDOUT_FILENO, text.data + done,
                          text.length - done);

        if (n < 0 && errno != EINTR)
            return;
        done += n > 0 ? (size_t)n : 0;
    }
}

/* Who sees an idle without its busy began to listen within an answer: what was published
 * in between may be lost. */
static void
note_status(struct start *start, struct slice content)
{
    char state[16] = "";

    (void)json_member_string(content, "execution_state", state, sizeof state);
    start->busy |= strcmp(state, "busy") == 0;
    start->published |= start->busy && strcmp(state, "idle") == 0;
}

static int
take_published(struct start *start, struct error *err)
{
    struct message message;
    int r;

    for (;;) {
        r = link_receive(start->kernel->link, PROCESS_IOPUB, &message, err);
        if (r == LINK_E_AGAIN || r < 0)
            return r < 0 ? r : 0;
        if (r == LINK_E_DROPPED)
            continue;
        if (strcmp(message.type, "stream") == 0)
            print(message.wire.content);
        else if (strcmp(message.type, "status") == 0)
            note_status(start, message.wire.content);
    }
}

static int
take_answers(struct start *start, struct error *err)
{
    struct buffer *info = &start->kernel->info;
    struct message message;
    int r;

    for (;;) {
        r = link_receive(start->kernel->link, PROCESS_SHELL, &message, err);
        if (r == LINK_E_AGAIN || r < 0)
            return r < 0 ? r : 0;
        if (r == LINK_E_DROPPED || start->answered ||
            strcmp(message.type, "kernel_info_reply") != 0)
            continue;
        start->answered = true;
        r = buffer_append(info, message.wire.content.data, message.wire.content.length);
        if (r != 0)
            return r < 0 ? r : -EMSGSIZE;
    }
}

static int
turn(struct start *start, int64_t until, struct error *err)
{
    struct kernel *kernel = start->kernel;
    struct link *link = kernel->link;
    zmq_pollitem_t items[] = {
        { .socket = link_socket(link, PROCESS_SHELL), .events = ZMQ_POLLIN },
        { .socket = link_socket(link, PROCESS_IOPUB), .events = ZMQ_POLLIN },
        { .fd = process_fd(kernel->process), .events = ZMQ_POLLIN },
        { .fd = outputs_fd(process_outputs(kernel->process), 0), .events = ZMQ_POLLIN },
        { .fd = outputs_fd(process_outputs(kernel->process), 1), .events = ZMQ_POLLIN },
    };
    int64_t left = until - kernel_clock_ms();
    int r;

    if (zmq_poll(items, N_ELEMENTS(items), left > 0 ? (long)left : 0) < 0 &&
        errno != EINTR)
        return error_errno(err, "waiting for the kernel");
    process_pass_output(kernel->process);
    r = take_published(start, err);
    if (r == 0)
        r = take_answers(start, err);
    if (r == 0 && process_has_ended(kernel->process, &kernel->status))
        r = KERNEL_E_ENDED;
    return r;
}

/* Asks again until an answer came and all of one was seen to be published. */
static int
ask(struct start *start, struct error *err)
{
    const struct link_wish wish = { .type = "kernel_info_request" };
    int64_t patience = 0;
    int r = 0;

    while (r == 0 && !(start->answered && start->published)) {
        int64_t now = kernel_clock_ms();

        if (start->answered && patience == 0)
            patience = now + QUIET_MS;
        if (patience != 0 && now > patience)
            return 0;
        if (now > start->limit)
            return late(start, err);
        r = link_send(start->kernel->link, PROCESS_SHELL, &wish, err);
        r = r > 0 ? 0 : r;
        while (r == 0 && kernel_clock_ms() < now + ASK_MS &&
               !(start->answered && start->published))
            r = turn(start, now + ASK_MS, err);
    }
    return r;
}

int
kernel_start(struct kernel *kernel, const struct kernel_json *spec, const char *session,
             struct error *err)
{
    struct start start = { .kernel = kernel, .spec = spec };
    int r;

    buffer_init(&kernel->info, WIRE_CONTENT_BYTES_MAX);
    start.limit = kernel_clock_ms() + (int64_t)spec->start_s * 1000;
    r = process_create(&kernel->process, spec, session, err);
    if (r == 0)
        r = wait_for_sockets(&start, err);
    if (r == 0)
        r = link_create(&kernel->link, kernel->process, err);
    if (r == 0)
        r = ask(&start, err);
    if (r == 0)
        process_judge_output(kernel->process);
    else if (kernel->process != NULL)
        process_pass_output(kernel->process);
    return r;
}
