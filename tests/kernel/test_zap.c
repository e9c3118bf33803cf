/* SPDX-License-Identifier: MIT */
/* Requests as ZeroMQ never sends them: only a program with this ZeroMQ context in its
 * own memory can reach the address, so nobody outside can send any. */
#include "kernel/agent/zap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "kernel/keys.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/kernel/keyring.h"

#define FRAMES_MAX 10

struct fixture {
    struct keyring keyring;
    struct keys *keys;
    struct loop *loop;
    void *context;
    void *asker;
    struct zap *zap;
    uint8_t key[KEYS_BINARY_BYTES]; /* ann's */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error err = { 0 };

    keyring_init(&f->keyring);
    keyring_authorise(&f->keyring, "ann");
    zmq_z85_decode(f->key, keyring_pair(&f->keyring, "ann")->public_key);
    assert_int_equal(
        keys_create(&f->keys, f->keyring.server, f->keyring.authorised, &err), 0);
    assert_int_equal(loop_create(&f->loop), 0);
    f->context = zmq_ctx_new();
    assert_int_equal(zap_create(&f->zap, f->context, f->loop, f->keys, &err), 0);
    f->asker = zmq_socket(f->context, ZMQ_DEALER);
    assert_int_equal(zmq_connect(f->asker, "inproc://zeromq.zap.01"), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    zmq_close(f->asker);
    zap_destroy(f->zap);
    zmq_ctx_term(f->context);
    keys_destroy(f->keys);
    loop_destroy(f->loop);
    keyring_fini(&f->keyring);
    free(f);
    return 0;
}

/* Begins with a delimiter, as ZeroMQ's own do. */
static void
ask(struct fixture *f, const struct slice *frames, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(zmq_send(f->asker, frames[i].data, frames[i].length,
                                  i + 1 < count ? ZMQ_SNDMORE : 0),
                         frames[i].length);
}

static void
expect_answer(struct fixture *f, const char *status, const char *user)
{
    const char *const frames[] = { "", "1.0", "request", status, NULL, user, "" };
    int more = 1;
    size_t size = sizeof more;

    assert_int_equal(loop_wait(f->loop, -1), 0);
    for (size_t i = 0; i < N_ELEMENTS(frames); i++) {
        char text[128];
        int n = zmq_recv(f->asker, text, sizeof text, 0);

        assert_true(more != 0 && n >= 0);
        if (frames[i] != NULL) {
            assert_int_equal(n, strlen(frames[i]));
            assert_memory_equal(text, frames[i], strlen(frames[i]));
        }
        assert_int_equal(zmq_getsockopt(f->asker, ZMQ_RCVMORE, &more, &size), 0);
    }
    assert_int_equal(more, 0);
}

static void
fill(struct fixture *f, struct slice frames[FRAMES_MAX])
{
    frames[0] = slice_text("");
    frames[1] = slice_text("1.0");
    frames[2] = slice_text("request");
    frames[3] = slice_text(ZAP_DOMAIN);
    frames[4] = slice_text("192.0.2.1");
    frames[5] = slice_text("");
    frames[6] = slice_text("CURVE");
    frames[7] = (struct slice){ f->key, sizeof f->key };
    frames[8] = slice_text("more");
    frames[9] = slice_text("more");
}

static void
fill_ipc(struct slice frames[FRAMES_MAX], const char *address)
{
    frames[0] = slice_text("");
    frames[1] = slice_text("1.0");
    frames[2] = slice_text("request");
    frames[3] = slice_text(ZAP_DOMAIN_IPC);
    frames[4] = slice_text(address);
    frames[5] = slice_text("");
    frames[6] = slice_text("NULL");
}

static void
test_on_ipc_a_process_of_these_users_is_let_in(void **state)
{
    struct fixture *f = *state;
    struct slice frames[FRAMES_MAX];
    char address[64];

    snprintf(address, sizeof address, "localhost:0:0:%d", (int)getpid());
    fill_ipc(frames, address);
    ask(f, frames, 7);
    expect_answer(f, "200", "");
    assert_int_equal(zap_refused(f->zap), 0);
}

/* The last one is beyond the largest process id. */
static void
test_on_ipc_who_cannot_be_looked_at_is_refused(void **state)
{
    static const char *const addresses[] = { "",
                                             ":",
                                             "1",
                                             "::1",
                                             "0:0:1",
                                             ":0:0:",
                                             ":0:0:x",
                                             ":0:0:-1",
                                             ":0:0:0",
                                             ":0:0:99999999999",
                                             ":x:0:1",
                                             ":0::1",
                                             ":0:0:1 ",
                                             ":0:0:2147483648",
                                             ":4294967296:0:1",
                                             ":0:0:4194305" };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(addresses); i++) {
        struct slice frames[FRAMES_MAX];

        fill_ipc(frames, addresses[i]);
        ask(f, frames, 7);
        expect_answer(f, "400", "");
        assert_int_equal(zap_refused(f->zap), i + 1);
    }
}

static void
test_an_authorised_key_is_let_in_under_its_text(void **state)
{
    struct fixture *f = *state;
    struct slice frames[FRAMES_MAX];

    fill(f, frames);
    ask(f, frames, 8);
    expect_answer(f, "200", keyring_pair(&f->keyring, "ann")->public_key);
    assert_int_equal(zap_refused(f->zap), 0);
}

static void
test_what_is_not_such_a_request_is_refused(void **state)
{
    static const struct {
        size_t frame;
        const char *text;
    } cases[] = {
        { 0, "no delimiter" },
        { 1, "1.1" },
        { 1, "" },
        { 3, "global" },
        { 3, "" },
        { 6, "NULL" },
        { 6, "PLAIN" },
        { 6, "" },
        { 7, "short" },
        { 7, "" },
        { 7, "a key of 33 bytes, which is one" }, /* 31 */
        { 7, "a key of 33 bytes, which are ones" },
        { 7, "another key of 32 bytes, theirs." },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct slice frames[FRAMES_MAX];

        fill(f, frames);
        frames[cases[i].frame] = slice_text(cases[i].text);
        ask(f, frames, 8);
        expect_answer(f, "400", "");
        assert_int_equal(zap_refused(f->zap), i + 1);
    }
}

static void
test_requests_of_too_few_or_too_many_frames_let_nobody_in(void **state)
{
    struct fixture *f = *state;
    struct slice frames[FRAMES_MAX];

    fill(f, frames);
    for (size_t count = 3; count < 8; count++) {
        ask(f, frames, count);
        expect_answer(f, "400", "");
    }
    ask(f, frames, 1); /* these cannot be answered */
    ask(f, frames, 2);
    ask(f, frames, 9);
    ask(f, frames, 10);
    ask(f, frames, 8);
    expect_answer(f, "200", keyring_pair(&f->keyring, "ann")->public_key);
}

static void
test_many_questions_at_once_are_all_answered(void **state)
{
    struct fixture *f = *state;
    struct slice frames[FRAMES_MAX];
    char text[64];

    fill(f, frames);
    for (int i = 0; i < 500; i++)
        ask(f, frames, 8);
    for (int i = 0; i < 500; i++) {
        zmq_pollitem_t item = { .socket = f->asker, .events = ZMQ_POLLIN };

        while (zmq_poll(&item, 1, 0) == 0)
            assert_int_equal(loop_wait(f->loop, -1), 0);
        for (int frame = 0; frame < 7; frame++) {
            int n = zmq_recv(f->asker, text, sizeof text, 0);

            if (frame == 3)
                assert_true(n == 3 && memcmp(text, "200", 3) == 0);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_authorised_key_is_let_in_under_its_text),
        TEST(test_on_ipc_a_process_of_these_users_is_let_in),
        TEST(test_on_ipc_who_cannot_be_looked_at_is_refused),
        TEST(test_what_is_not_such_a_request_is_refused),
        TEST(test_requests_of_too_few_or_too_many_frames_let_nobody_in),
        TEST(test_many_questions_at_once_are_all_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
