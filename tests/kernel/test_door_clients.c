/* SPDX-License-Identifier: MIT */
/* Many clients at a door, and those that mean harm or are gone. */
#include "kernel/agent/door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "protocol/cleanup.h"
#include "protocol/wire.h"
#include "tests/kernel/doorway.h"
#include "tests/kernel/keyring.h"

#define FILES 512

static void
test_an_identity_that_can_be_guessed_is_dropped(void **state)
{
    struct doorway *f = *state;
    void *a, *b;

    doorway_open_ipc(f);
    a = doorway_enter(f, "fifteen bytes..");
    doorway_say(a, "hello");
    assert_int_equal(doorway_receive(f), DOOR_E_STRANGER);
    b = doorway_enter(f, "sixteen bytes...");
    doorway_say(b, "hello");
    doorway_expect(f, doorway_me(), "hello");
}

static void
test_nobody_gets_the_replies_of_one_who_is_there(void **state)
{
    struct doorway *f = *state;
    void *ann, *eve, *third;

    doorway_open_curve(f);
    ann = doorway_enter_with_key(f, DOORWAY_ME, "ann");
    doorway_say(ann, "hello");
    doorway_expect(f, "key:ann", "hello");
    eve = doorway_enter_with_key(f, DOORWAY_ME, "bob");
    doorway_say(eve, "I am you");
    third = doorway_enter_with_key(f, DOORWAY_OTHER, "bob");
    doorway_say(third, "hello");
    doorway_expect(f, "key:bob", "hello");
    doorway_say(ann, "for me");
    doorway_expect(f, "key:ann", "for me");
    assert_int_equal(doorway_answer(f, "yours"), 0);
    doorway_hear(ann, "yours");
}

static void
send_frames(void *socket, size_t count, size_t bytes)
{
    uint8_t *data = calloc(1, bytes);

    assert_non_null(data);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(zmq_send(socket, data, bytes, i + 1 < count ? ZMQ_SNDMORE : 0),
                         bytes);
    free(data);
}

static void
test_a_message_that_is_too_large_is_dropped_and_the_next_comes(void **state)
{
    struct doorway *f = *state;
    void *a;

    doorway_open_ipc(f);
    a = doorway_enter(f, DOORWAY_ME);
    send_frames(a, 4, 17 * 1024 * 1024);
    send_frames(a, WIRE_FRAMES_MAX, 1);
    doorway_say(a, "small");
    assert_int_equal(doorway_receive(f), DOOR_E_TOO_LARGE);
    assert_int_equal(doorway_receive(f), DOOR_E_TOO_LARGE);
    doorway_expect(f, doorway_me(), "small");
    send_frames(a, 2, 31 * 1024 * 1024);
    assert_int_equal(doorway_receive(f), 0);
    assert_int_equal(f->message.count, 3);
}

static void
test_a_frame_that_is_too_large_cuts_off_its_client_alone(void **state)
{
    struct doorway *f = *state;
    void *monitor = doorway_socket(f, ZMQ_PAIR), *a, *b;
    char event[64];

    doorway_open_ipc(f);
    a = doorway_client(f, DOORWAY_ME);
    assert_int_equal(zmq_socket_monitor(a, "inproc://monitor", ZMQ_EVENT_DISCONNECTED),
                     0);
    assert_int_equal(zmq_connect(monitor, "inproc://monitor"), 0);
    doorway_connect(f, a, 0);
    b = doorway_enter(f, DOORWAY_OTHER);
    send_frames(a, 1, (size_t)DOOR_FRAME_BYTES_MAX + 1);
    assert_true(zmq_recv(monitor, event, sizeof event, 0) > 0);
    doorway_say(b, "hello");
    doorway_expect(f, doorway_me(), "hello");
    assert_true(slice_equals_text(f->message.frames[0], DOORWAY_OTHER));
}

static void
test_a_client_that_never_reads_holds_up_itself_alone(void **state)
{
    static const uint8_t bytes[16384];
    struct doorway *f = *state;
    struct slice frames[] = { slice_text(DOORWAY_ME), { bytes, sizeof bytes } };
    void *deaf = doorway_client(f, DOORWAY_ME), *b;
    int one = 1, r;

    doorway_open_ipc(f);
    zmq_setsockopt(deaf, ZMQ_RCVHWM, &one, sizeof one);
    doorway_connect(f, deaf, 0);
    doorway_say(deaf, "hello");
    doorway_expect(f, doorway_me(), "hello");
    do
        r = door_send(f->door, f->message.socket, frames, 2);
    while (r == 0);
    assert_int_equal(r, DOOR_E_AGAIN);
    b = doorway_enter(f, DOORWAY_OTHER);
    doorway_say(b, "hello");
    doorway_expect(f, doorway_me(), "hello");
    assert_int_equal(doorway_answer(f, "world"), 0);
    doorway_hear(b, "world");
    assert_int_equal(door_send(f->door, f->message.socket, frames, 2), DOOR_E_AGAIN);
}

static void
test_a_client_that_has_gone_is_told(void **state)
{
    struct doorway *f = *state;
    struct slice frames[] = { slice_text(DOORWAY_OTHER), slice_text("hello") };
    void *a;
    int r;

    doorway_open_ipc(f);
    assert_int_equal(door_send(f->door, 0, frames, 2), DOOR_E_GONE);
    a = doorway_enter(f, DOORWAY_ME);
    doorway_say(a, "hello");
    doorway_expect(f, doorway_me(), "hello");
    doorway_leave(f, a);
    frames[0] = slice_text(DOORWAY_ME);
    do { /* until the news is here, which a receive takes in */
        assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);
        r = door_send(f->door, 0, frames, 2);
    } while (r == 0 || r == DOOR_E_AGAIN);
    assert_int_equal(r, DOOR_E_GONE);
}

static void
test_many_clients_are_answered_each(void **state)
{
    struct doorway *f = *state;
    void *clients[DOORWAY_CLIENTS];
    char text[16];

    doorway_open_ipc(f);
    for (int i = 0; i < DOORWAY_CLIENTS; i++) {
        clients[i] = doorway_enter(f, NULL);
        snprintf(text, sizeof text, "%d", i);
        doorway_say(clients[i], text);
    }
    for (int i = 0; i < DOORWAY_CLIENTS; i++) {
        struct slice frames[2];

        assert_int_equal(doorway_receive(f), 0);
        frames[0] = f->message.frames[0];
        frames[1] = f->message.frames[1];
        assert_int_equal(door_send(f->door, f->message.socket, frames, 2), 0);
    }
    for (int i = 0; i < DOORWAY_CLIENTS; i++) {
        snprintf(text, sizeof text, "%d", i);
        doorway_hear(clients[i], text);
    }
}

static void
test_a_door_is_quiet_until_something_comes_or_is_sent(void **state)
{
    struct doorway *f = *state;
    void *a;

    doorway_open_ipc(f);
    assert_false(door_is_quiet(f->door)); /* not looked at yet */
    assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);
    assert_true(door_is_quiet(f->door));
    a = doorway_enter(f, DOORWAY_ME);
    doorway_say(a, "hello");
    doorway_expect(f, doorway_me(), "hello");
    assert_int_equal(doorway_answer(f, "world"), 0);
    assert_false(door_is_quiet(f->door));
}

/* Strangers that connect one after the other, say nothing and stay. */
static _Noreturn void
crowd_in(const char *address, const struct rlimit *limit)
{
    struct sockaddr_in in = { .sin_family = AF_INET };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_NOFILE, limit);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons((uint16_t)strtol(strrchr(address, ':') + 1, NULL, 10));
    for (int i = 0; i < 2 * FILES; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (const struct sockaddr *)&in, sizeof in) < 0)
            _exit(1);
    }
    for (;;)
        pause();
}

static void
test_strangers_that_crowd_in_do_not_keep_out_those_who_are_in(void **state)
{
    struct doorway *f = *state;
    struct rlimit limit, few;
    void *ann, *bob;
    pid_t child;

    doorway_open_curve(f);
    ann = doorway_enter_with_key(f, DOORWAY_ME, "ann");
    doorway_say(ann, "hello");
    doorway_expect(f, "key:ann", "hello");
    bob = doorway_client(f, DOORWAY_OTHER); /* while there are descriptors for it */
    doorway_use_key(bob, keyring_pair(&f->keyring, "bob"),
                    f->keyring.server_pair.public_key);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    few.rlim_cur = FILES;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    child = fork();
    if (child == 0)
        crowd_in(door_address(f->door, 0), &limit);
    while (!door_is_crowded(f->door))
        assert_int_equal(loop_wait(f->loop, -1), 0);
    doorway_say(ann, "still here");
    doorway_expect(f, "key:ann", "still here");
    assert_int_equal(doorway_answer(f, "good"), 0);
    doorway_hear(ann, "good");

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (door_is_crowded(f->door))
        assert_int_equal(loop_wait(f->loop, -1), 0);
    doorway_connect(f, bob, 0);
    doorway_say(bob, "hello");
    doorway_expect(f, "key:bob", "hello");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doorway_setup, doorway_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_identity_that_can_be_guessed_is_dropped),
        TEST(test_nobody_gets_the_replies_of_one_who_is_there),
        TEST(test_a_message_that_is_too_large_is_dropped_and_the_next_comes),
        TEST(test_a_frame_that_is_too_large_cuts_off_its_client_alone),
        TEST(test_a_client_that_never_reads_holds_up_itself_alone),
        TEST(test_a_client_that_has_gone_is_told),
        TEST(test_many_clients_are_answered_each),
        TEST(test_strangers_that_crowd_in_do_not_keep_out_those_who_are_in),
        TEST(test_a_door_is_quiet_until_something_comes_or_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
