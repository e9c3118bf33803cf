/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "runtimes/jupyter/bridge.h"
#include "runtimes/jupyter/kernel_json.h"
#include "runtimes/jupyter/link.h"
#include "runtimes/jupyter/outputs.h"
#include "runtimes/jupyter/process.h"
#include "runtimes/jupyter/translate.h"
#include "runtimes/lib/runner.h"

#define MESSAGES_PER_TURN 256 /* of one channel: the others have their turn, too */
#define LAST_WORDS_MS 50 /* of silence, after the kernel's end */
#define GOODBYE_MS 1000 /* for a kernel that was told to end */
#define CONFIGURE_BYTES_MAX ((size_t)64 * 1024)
#define SESSION_BYTES 1024

enum { RUN_E_ENDED = 1 }; /* the kernel has; its status is kept */

static void
bridge_fini(struct bridge *bridge)
{
    kernel_fini(&bridge->kernel);
    runner_destroy(bridge->runner);
    buffer_fini(&bridge->request.reply);
    buffer_fini(&bridge->request.input);
    buffer_fini(&bridge->request.input_header);
    if (bridge->signals >= 0)
        close(bridge->signals);
}

/* Takes what CHANNEL has, up to a bound; *RET_ANY: there was something. */
static int
take_messages(struct bridge *bridge, int channel, bool *ret_any, struct error *err)
{
    int r = 0;

    for (int i = 0; r == 0 && i < MESSAGES_PER_TURN; i++) {
        struct message message;
        struct error why = { 0 };

        r = link_receive(bridge->kernel.link, (enum process_socket)channel, &message,
                         &why);
        if (r == LINK_E_AGAIN)
            return 0;
        *ret_any = true;
        process_pass_output(bridge->kernel.process); /* written before it was sent */
        if (r == LINK_E_DROPPED)
            r = bridge_on_drop(bridge, why.text, err);
        else if (r == 0)
            r = bridge_on_message(bridge, channel, &message, err);
    }
    return r;
}

static int
take_all_messages(struct bridge *bridge, bool *ret_any, struct error *err)
{
    static const int order[] = { PROCESS_IOPUB, PROCESS_SHELL, PROCESS_STDIN,
                                 PROCESS_CONTROL };
    int r = 0;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(order); i++)
        r = take_messages(bridge, order[i], ret_any, err);
    return r;
}

static int
take_frame(struct bridge *bridge, struct error *err)
{
    struct frame frame;
    int r = runner_receive(bridge->runner, &frame, err);

    if (r == RUNNER_E_INTERRUPTED)
        return 0;
    if (r == RUNNER_E_CLOSED)
        bridge->ended = true;
    return r != 0 ? (r < 0 ? r : 0) : bridge_on_frame(bridge, &frame, err);
}

static int
take_signal(struct bridge *bridge, struct error *err)
{
    struct signalfd_siginfo info;

    if (read(bridge->signals, &info, sizeof info) != sizeof info)
        return 0;
    return bridge_on_interrupt(bridge, err);
}

/* An interrupt before the frame that came after it, and frames when all that the kernel
 * has sent so far is dealt with. */
static int
turn(struct bridge *bridge, struct error *err)
{
    struct link *link = bridge->kernel.link;
    const struct outputs *outputs = process_outputs(bridge->kernel.process);
    zmq_pollitem_t items[] = {
        { .fd = process_fd(bridge->kernel.process), .events = ZMQ_POLLIN },
        { .fd = bridge->signals, .events = ZMQ_POLLIN },
        { .fd = runner_fd(bridge->runner), .events = ZMQ_POLLIN },
        { .socket = link_socket(link, PROCESS_IOPUB), .events = ZMQ_POLLIN },
        { .socket = link_socket(link, PROCESS_SHELL), .events = ZMQ_POLLIN },
        { .socket = link_socket(link, PROCESS_STDIN), .events = ZMQ_POLLIN },
        { .socket = link_socket(link, PROCESS_CONTROL), .events = ZMQ_POLLIN },
        { .fd = outputs_fd(outputs, 0), .events = ZMQ_POLLIN },
        { .fd = outputs_fd(outputs, 1), .events = ZMQ_POLLIN },
    };
    bool any = false;
    int64_t wait_ms;
    int r = bridge_on_time(bridge, &wait_ms, err);

    if (r != 0)
        return r;
    if (zmq_poll(items, N_ELEMENTS(items), (long)wait_ms) < 0 && errno != EINTR)
        return error_errno(err, "waiting");
    process_pass_output(bridge->kernel.process);
    if (items[1].revents != 0)
        r = take_signal(bridge, err);
    if (r == 0)
        r = take_all_messages(bridge, &any, err);
    if (r == 0 && items[2].revents != 0)
        r = take_frame(bridge, err);
    if (r == 0 && items[0].revents != 0 &&
        process_has_ended(bridge->kernel.process, &bridge->kernel.status))
        r = RUN_E_ENDED;
    return r;
}

/* What the kernel has sent before its end may still be on its way through ZeroMQ. */
static void
take_last_words(struct bridge *bridge)
{
    struct error err = { 0 };
    bool any = true;
    int r = 0;

    while (r == 0 && any) {
        zmq_pollitem_t items[] = {
            { .socket = link_socket(bridge->kernel.link, PROCESS_IOPUB),
              .events = ZMQ_POLLIN },
        };

        any = false;
        (void)zmq_poll(items, 1, LAST_WORDS_MS);
        r = take_messages(bridge, PROCESS_IOPUB, &any, &err);
    }
    process_pass_output(bridge->kernel.process);
    outputs_tell_last_words(process_outputs(bridge->kernel.process));
}

static void
say_goodbye(struct bridge *bridge)
{
    const struct link_wish wish = { .type = "shutdown_request",
                                    .content = slice_text("{\"restart\":false}") };
    zmq_pollitem_t end = { .fd = process_fd(bridge->kernel.process),
                           .events = ZMQ_POLLIN };

    if (link_send(bridge->kernel.link, PROCESS_CONTROL, &wish, NULL) == 0)
        (void)zmq_poll(&end, 1, GOODBYE_MS);
}

static int
say_hello(struct bridge *bridge, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer content;
    struct frame frame = { .type = FRAME_HELLO };
    int r;

    buffer_init(&content, TRANSLATE_BYTES_MAX);
    r = translate_hello(&content, buffer_slice(&bridge->kernel.info), err);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    frame.content = buffer_slice(&content);
    return bridge_send(bridge, &frame, err);
}

static int
serve(struct bridge *bridge, struct error *err)
{
    int r = say_hello(bridge, err);

    while (r == 0 && !bridge->ended)
        r = turn(bridge, err);
    if (r == RUN_E_ENDED)
        take_last_words(bridge);
    else if (r == 0)
        say_goodbye(bridge);
    return r;
}

static int
begin(struct bridge *bridge, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer configure;
    char session[SESSION_BYTES] = "";
    int r;

    buffer_init(&configure, CONFIGURE_BYTES_MAX);
    r = runner_create(&bridge->runner, &configure, err);
    if (r < 0)
        return r;
    (void)json_member_string(buffer_slice(&configure), "session", session,
                             sizeof session);
    r = kernel_start(&bridge->kernel, bridge->spec, session[0] != '\0' ? session : NULL,
                     err);
    if (r == KERNEL_E_ENDED)
        return RUN_E_ENDED;
    return r > 0 ? -ETIMEDOUT : r;
}

/* Ends as the kernel did, so that who watches the bridge learns what befell the kernel.
 */
static int
end_as(int status)
{
    const struct rlimit no_core = { 0, 0 };
    sigset_t set;

    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    setrlimit(RLIMIT_CORE, &no_core);
    signal(WTERMSIG(status), SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, WTERMSIG(status));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

static int
take_signals(struct bridge *bridge, struct error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    bridge->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return bridge->signals < 0 ? error_errno(err, "signalfd") : 0;
}

static void
bridge_init(struct bridge *bridge, const struct kernel_json *spec)
{
    *bridge = (struct bridge){ .spec = spec, .signals = -1 };
    buffer_init(&bridge->request.reply, TRANSLATE_BYTES_MAX);
    buffer_init(&bridge->request.input, TRANSLATE_BYTES_MAX);
    buffer_init(&bridge->request.input_header, WIRE_HEADER_BYTES_MAX);
}

int
run_kernel(const char *path)
{
    CLEANUP(kernel_json_destroyp) struct kernel_json *spec = NULL;
    struct bridge bridge;
    struct error err = { 0 };
    int r = kernel_json_load(&spec, path, &err), status = 0;

    if (r != 0) {
        fprintf(stderr, "jupyter-bridge: %s\n", err.text);
        return EXIT_FAILURE;
    }
    bridge_init(&bridge, spec);
    r = take_signals(&bridge, &err);
    if (r == 0)
        r = begin(&bridge, &err);
    if (r == 0)
        r = serve(&bridge, &err);
    if (r < 0 && !bridge.ended)
        fprintf(stderr, "jupyter-bridge: %s\n",
                err.text[0] != '\0' ? err.text : strerror(-r));
    status = bridge.kernel.status;
    bridge_fini(&bridge);
    if (r == RUN_E_ENDED)
        return end_as(status);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
