/* SPDX-License-Identifier: MIT */
/* A real context of the example runtime whose host lets a Jupyter kernel stand in front
 * of it. tests/system/test_attached.py has the same with stock clients. */
#include "kernel/agent/jupyter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "contexts/runtime.h"
#include "kernel/agent/jupyter_files.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/replay.h"
#include "protocol/signature.h"
#include "tests/support/contexts.h"

#define PARTS_MAX 16
#define PAUSE_MS 2 /* between looks at the client's sockets, which the loop has not */

struct fixture {
    struct contexts *c; /* the host's context */
    struct context_observer base; /* what the context's own support does with events */
    struct environment environment;
    struct jupyter *jupyter; /* NULL: not open */
    unsigned restarts, ends;
    int pressure; /* how often high more than low */
    char seen_code[64]; /* of the client's run that started last */
    /* A front end. */
    void *zmq, *shell, *control, *iopub;
    struct signature_key *key;
    struct replay *replay;
    struct session *session;
};

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    struct fixture *f = arg;
    struct kernel_run run;

    if (f->jupyter == NULL)
        return f->base.on_started(number, execution_count, f->c);
    if (jupyter_find_run(f->jupyter, number, &run))
        snprintf(f->seen_code, sizeof f->seen_code, "%.*s", (int)run.code.length,
                 (const char *)run.code.data);
    assert_int_equal(jupyter_observer.on_started(number, execution_count, f->jupyter), 0);
    return f->base.on_started(number, execution_count, f->c);
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct fixture *f = arg;

    if (f->jupyter != NULL)
        jupyter_observer.on_stream(number, is_stderr, text, f->jupyter);
    return f->base.on_stream(number, is_stderr, text, f->c);
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct fixture *f = arg;

    if (f->jupyter != NULL)
        jupyter_observer.on_frame(frame, f->jupyter);
    return f->base.on_frame(frame, f->c);
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    struct fixture *f = arg;

    if (f->jupyter != NULL)
        jupyter_observer.on_done(number, outcome, f->jupyter);
    return f->base.on_done(number, outcome, f->c);
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct fixture *f = arg;

    if (f->jupyter != NULL)
        jupyter_observer.on_state(state, epoch, reason, f->jupyter);
    return f->base.on_state(state, epoch, reason, f->c);
}

static int
on_stuck(uint64_t number, void *arg)
{
    struct fixture *f = arg;

    if (f->jupyter != NULL)
        jupyter_observer.on_stuck(number, f->jupyter);
    return f->base.on_stuck(number, f->c);
}

static const struct context_observer observer = { .on_started = on_started,
                                                  .on_stream = on_stream,
                                                  .on_frame = on_frame,
                                                  .on_done = on_done,
                                                  .on_state = on_state,
                                                  .on_stuck = on_stuck };

static int
on_restart(void *arg)
{
    struct fixture *f = arg;

    f->restarts++;
    return context_restart(f->c->ctx);
}

static int
on_pressure(bool high, void *arg)
{
    struct fixture *f = arg;

    f->pressure += high ? 1 : -1;
    context_pause_output(f->c->ctx, high);
    return 0;
}

static int
on_end(void *arg)
{
    struct fixture *f = arg;

    f->ends++;
    return 0;
}

static const struct kernel_host host = { .on_restart = on_restart,
                                         .on_pressure = on_pressure,
                                         .on_end = on_end };

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *contexts;

    assert_non_null(f);
    assert_int_equal(contexts_setup(&contexts), 0);
    f->c = contexts;
    f->base = *f->c->options.observer;
    f->c->options.observer = &observer;
    f->c->options.arg = f;
    f->environment.language_info = f->c->runtime->language_info;
    assert_int_equal(setenv("XDG_RUNTIME_DIR", f->c->directory, 1), 0);
    contexts_start(f->c);
    *state = f;
    return 0;
}

static void
disconnect(struct fixture *f)
{
    if (f->zmq == NULL)
        return;
    zmq_close(f->shell);
    zmq_close(f->control);
    zmq_close(f->iopub);
    zmq_ctx_term(f->zmq);
    session_destroy(f->session);
    replay_destroy(f->replay);
    signature_key_destroy(f->key);
    f->zmq = NULL;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    void *contexts = f->c;

    disconnect(f);
    jupyter_close(f->jupyter);
    contexts_teardown(&contexts);
    free(f);
    return 0;
}

static struct jupyter_options
options_of(struct fixture *f)
{
    return (struct jupyter_options){
        .loop = f->c->loop,
        .context = f->c->ctx,
        .runtime = f->c->runtime,
        .environment = &f->environment,
        .host = &host,
        .host_arg = f,
        .id = "ctx_1",
        .name = "analysis",
        .profile = CONTEXT_PROFILE_AGENT,
        .limits = f->c->options.limits,
    };
}

static void *
connect_to(struct fixture *f, const json_t *connection, const char *channel, int type)
{
    void *socket = zmq_socket(f->zmq, type);
    char name[32], address[256];
    int none = 0;

    snprintf(name, sizeof name, "%s_port", channel);
    snprintf(address, sizeof address, "ipc://%s-%d",
             json_string_value(json_object_get(connection, "ip")),
             (int)json_integer_value(json_object_get(connection, name)));
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    assert_int_equal(zmq_connect(socket, address), 0);
    return socket;
}

static void
turn(struct fixture *f)
{
    assert_int_equal(jupyter_read(f->jupyter), 0);
    assert_int_equal(loop_wait(f->c->loop, jupyter_may_wait(f->jupyter) ? PAUSE_MS : 0),
                     0);
}

static void
send_request(struct fixture *f, void *socket, const char *type, const char *content)
{
    const struct slice *frames;
    size_t count;

    assert_int_equal(session_compose(f->session,
                                     &(struct outgoing){ .type = type,
                                                         .content = slice_text(content) },
                                     &frames, &count),
                     0);
    for (size_t i = 0; i < count; i++)
        assert_true(zmq_send(socket, frames[i].data, frames[i].length,
                             i + 1 < count ? ZMQ_SNDMORE : 0) >= 0);
}

/* "TYPE PARENT CONTENT" of the next message, in RET. */
static void
receive(struct fixture *f, void *socket, char ret[4096])
{
    zmq_msg_t parts[PARTS_MAX];
    struct slice frames[PARTS_MAX];
    struct message message;
    size_t count = 0;
    bool more = true;

    while (more) {
        zmq_msg_init(&parts[count]);
        while (zmq_msg_recv(&parts[count], socket, ZMQ_DONTWAIT) < 0)
            turn(f);
        frames[count] =
            (struct slice){ zmq_msg_data(&parts[count]), zmq_msg_size(&parts[count]) };
        more = zmq_msg_more(&parts[count]);
        assert_true(++count < PARTS_MAX);
    }
    assert_int_equal(message_init(&message, frames, count, f->key, f->replay, NULL), 0);
    snprintf(ret, 4096, "%s %s %.*s", message.type, message.parent_id,
             (int)message.wire.content.length, (const char *)message.wire.content.data);
    while (count > 0)
        zmq_msg_close(&parts[--count]);
}

static void
assert_next(struct fixture *f, void *socket, const char *wanted)
{
    char got[4096];

    receive(f, socket, got);
    assert_string_equal(got, wanted);
}

/* Opens the kernel, and a front end that hears it. */
static void
open_kernel(struct fixture *f)
{
    const struct jupyter_options options = options_of(f);
    struct error err = { 0 };
    json_t *connection;
    char got[4096] = "";

    if (jupyter_open(&f->jupyter, &options, &err) != 0)
        fail_msg("%s", err.text);
    connection = jupyter_connection(f->jupyter);
    assert_int_equal(
        signature_key_create(
            &f->key, slice_text(json_string_value(json_object_get(connection, "key")))),
        0);
    assert_int_equal(session_create(&f->session, f->key), 0);
    assert_int_equal(replay_create(&f->replay, REPLAY_CAPACITY), 0);
    f->zmq = zmq_ctx_new();
    f->shell = connect_to(f, connection, "shell", ZMQ_DEALER);
    f->control = connect_to(f, connection, "control", ZMQ_DEALER);
    f->iopub = connect_to(f, connection, "iopub", ZMQ_SUB);
    json_decref(connection);
    while (strncmp(got, "status", 6) != 0) /* "starting", behind the welcome */
        receive(f, f->iopub, got);
}

/* A run of the host's own. */
static uint64_t
submit(struct fixture *f, const char *content, struct kernel_adoption adoption)
{
    struct context_request request = { .type = FRAME_EXECUTE_REQUEST,
                                       .header = slice_text("{\"msg_id\":\"agent\"}"),
                                       .content = slice_text(content),
                                       .silent = adoption.silent,
                                       .store_history = adoption.store_history };
    uint64_t number;

    assert_int_equal(context_submit(f->c->ctx, &request, &number, NULL), 0);
    adoption.header = request.header;
    assert_int_equal(jupyter_adopt(f->jupyter, number, &adoption), 0);
    return number;
}

static void
wait_done(struct fixture *f, uint64_t number)
{
    while (contexts_find(f->c, TOLD_DONE, number) == NULL)
        turn(f);
}

static void
test_an_adopted_run_is_shown_and_not_replied_to(void **state)
{
    struct fixture *f = *state;
    struct kernel_adoption adoption = { .code = slice_text("\"print a\\nresult b\""),
                                        .store_history = true };
    struct kernel_run run;
    uint64_t number;
    char got[4096];

    open_kernel(f);
    number = submit(f, "{\"code\":\"print a\\nresult b\"}", adoption);
    assert_next(f, f->iopub, "status agent {\"execution_state\":\"busy\"}");
    assert_next(f, f->iopub,
                "execute_input agent "
                "{\"code\":\"print a\\nresult b\",\"execution_count\":1}");
    assert_next(f, f->iopub, "stream agent {\"name\":\"stdout\",\"text\":\"a\\n\"}");
    receive(f, f->iopub, got);
    assert_memory_equal(got, "execute_result agent ", 21);
    assert_next(f, f->iopub, "status agent {\"execution_state\":\"idle\"}");
    assert_false(jupyter_find_run(f->jupyter, number, &run));

    send_request(f, f->shell, "comm_info_request", "{}");
    receive(f, f->shell, got);
    assert_memory_equal(got, "comm_info_reply ", 16); /* nothing came before it */
}

static void
test_a_silent_adopted_run_shows_no_input(void **state)
{
    struct fixture *f = *state;
    struct kernel_adoption adoption = { .code = slice_text("\"print a\""),
                                        .silent = true };

    open_kernel(f);
    submit(f, "{\"code\":\"print a\",\"silent\":true}", adoption);
    assert_next(f, f->iopub, "status agent {\"execution_state\":\"busy\"}");
    assert_next(f, f->iopub, "stream agent {\"name\":\"stdout\",\"text\":\"a\\n\"}");
    assert_next(f, f->iopub, "status agent {\"execution_state\":\"idle\"}");
}

static void
test_an_adopted_run_that_is_lost_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct kernel_adoption adoption = { .code = slice_text("\"exit 3\"") };
    char got[4096];

    open_kernel(f);
    submit(f, "{\"code\":\"exit 3\"}", adoption);
    assert_next(f, f->iopub, "status agent {\"execution_state\":\"busy\"}");
    receive(f, f->iopub, got); /* execute_input */
    receive(f, f->iopub, got);
    assert_memory_equal(got, "error agent ", 12);
    assert_non_null(strstr(got, "status 3"));
    assert_next(f, f->iopub, "status agent {\"execution_state\":\"idle\"}");
    submit(f, "{\"code\":\"print a\"}",
           (struct kernel_adoption){ .code = slice_text("\"print a\"") });
    assert_next(f, f->iopub, "status agent {\"execution_state\":\"busy\"}");
}

static void
test_a_clients_run_can_be_found_with_its_code_until_it_starts(void **state)
{
    struct fixture *f = *state;
    struct kernel_run run = { .code = slice_text("") };
    char got[4096];

    open_kernel(f);
    send_request(f, f->shell, "execute_request", "{\"code\":\"result 1\"}");
    receive(f, f->shell, got);
    assert_memory_equal(got, "execute_reply ", 14);
    assert_string_equal(f->seen_code, "\"result 1\"");
    assert_true(jupyter_find_run(f->jupyter, 1, &run));
    assert_int_equal(run.code.length, 0);
    assert_true(run.header.length > 0);
}

static void
test_runs_that_nobody_adopted_are_borne(void **state)
{
    struct fixture *f = *state;
    uint64_t number;

    open_kernel(f);
    number = contexts_submit(f->c, "print a\nresult b\nraise c");
    wait_done(f, number);
    assert_next(f, f->iopub, "stream  {\"name\":\"stdout\",\"text\":\"a\\n\"}");
    assert_false(jupyter_has_ended(f->jupyter));
}

static void
test_a_shutdown_ends_the_kernel_alone(void **state)
{
    struct fixture *f = *state;
    char got[4096];
    struct stat st;

    open_kernel(f);
    assert_int_equal(stat(jupyter_file(f->jupyter), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    send_request(f, f->control, "shutdown_request", "{\"restart\":false}");
    receive(f, f->control, got);
    assert_memory_equal(got, "shutdown_reply ", 15);
    assert_true(jupyter_has_ended(f->jupyter));
    assert_int_equal(f->ends, 1);
    assert_string_equal(jupyter_file(f->jupyter), "");
    assert_true(jupyter_may_wait(f->jupyter));
    assert_int_equal(contexts_run(f->c, "print a")->flags, 0);
    assert_int_equal(context_epoch(f->c->ctx), 1);
}

static void
test_a_restart_is_asked_of_the_host(void **state)
{
    struct fixture *f = *state;
    char got[4096];

    open_kernel(f);
    send_request(f, f->control, "shutdown_request", "{\"restart\":true}");
    receive(f, f->control, got);
    assert_non_null(strstr(got, "\"restart\":true"));
    while (context_epoch(f->c->ctx) != 2)
        turn(f);
    assert_int_equal(f->restarts, 1);
    assert_int_equal(f->ends, 0);
}

/* The client hears its first message and reads no more. */
static void
test_pressure_is_told_and_taken_back_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct kernel_adoption adoption = { .code = slice_text("\"mix 100000\"") };
    uint64_t number;

    open_kernel(f);
    number = submit(f, "{\"code\":\"mix 100000\"}", adoption);
    while (f->pressure == 0)
        turn(f);
    assert_null(contexts_find(f->c, TOLD_DONE, number));
    jupyter_close(f->jupyter);
    f->jupyter = NULL;
    assert_int_equal(f->pressure, 0);
    contexts_wait_done(f->c, number);
}

static void
test_a_cell_that_waits_for_input_is_interrupted_at_the_end(void **state)
{
    struct fixture *f = *state;

    open_kernel(f);
    send_request(f, f->shell, "execute_request",
                 "{\"code\":\"input x\",\"allow_stdin\":true}");
    while (!context_input_is_open(f->c->ctx))
        turn(f);
    jupyter_close(f->jupyter);
    f->jupyter = NULL;
    assert_true(contexts_wait_done(f->c, 1)->flags & FRAME_FLAG_INTERRUPTED);
}

static void
test_a_path_that_is_too_long_for_a_socket_is_an_error(void **state)
{
    struct fixture *f = *state;
    const struct jupyter_options options = options_of(f);
    struct error err = { 0 };
    char folder[256];

    snprintf(folder, sizeof folder, "%s/%0100d", f->c->directory, 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
    assert_int_equal(jupyter_open(&f->jupyter, &options, &err), JUPYTER_E_FAILED);
    assert_non_null(strstr(err.text, "107"));
    assert_null(f->jupyter);
}

static void
test_a_folder_for_files_is_an_absolute_path(void **state)
{
    struct fixture *f = *state;
    struct jupyter_options options = options_of(f);
    struct error err = { 0 };

    options.connection_dir = "here";
    assert_int_equal(jupyter_open(&f->jupyter, &options, &err), JUPYTER_E_FAILED);
    assert_non_null(strstr(err.text, "here is not an absolute path"));
}

static void
test_a_folder_that_others_may_enter_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct jupyter_options options = options_of(f);
    struct error err = { 0 };
    char folder[PATH_MAX];

    assert_int_equal(jupyter_files_folder(folder, &err), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(jupyter_open(&f->jupyter, &options, &err), JUPYTER_E_FAILED);
    assert_non_null(strstr(err.text, folder));
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_adopted_run_is_shown_and_not_replied_to),
        TEST(test_a_silent_adopted_run_shows_no_input),
        TEST(test_an_adopted_run_that_is_lost_is_told_once),
        TEST(test_a_clients_run_can_be_found_with_its_code_until_it_starts),
        TEST(test_runs_that_nobody_adopted_are_borne),
        TEST(test_a_shutdown_ends_the_kernel_alone),
        TEST(test_a_restart_is_asked_of_the_host),
        TEST(test_pressure_is_told_and_taken_back_at_the_end),
        TEST(test_a_cell_that_waits_for_input_is_interrupted_at_the_end),
        TEST(test_a_path_that_is_too_long_for_a_socket_is_an_error),
        TEST(test_a_folder_for_files_is_an_absolute_path),
        TEST(test_a_folder_that_others_may_enter_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
