/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "protocol/cleanup.h"
#include "tests/kernel/desk.h"

#define LARGE ((size_t)1 << 16) /* ZeroMQ takes some 1000 messages before it is full */

static int
reply(struct desk *desk, struct client *client, const char *content)
{
    return client_reply(&desk->agent, client,
                        &(struct client_message){ .type = "some_reply",
                                                  .header = slice_text("{}"),
                                                  .content = slice_text(content) });
}

static int
tell(struct desk *desk, struct client *client, const char *content)
{
    return client_tell(&desk->agent, client,
                       &(struct client_message){ .type = "stream",
                                                 .header = slice_text("{}"),
                                                 .content = slice_text(content) });
}

/* Replies of BYTES each, the first with the number FROM, until one has to wait. Returns
 * the number of the next. */
static unsigned
reply_until_one_waits(struct desk *desk, struct client *client, size_t bytes)
{
    CLEANUP(freep) char *text = malloc(bytes + 1);
    unsigned number = 0;

    assert_non_null(text);
    while (client->letters == NULL && !client->gone) {
        snprintf(text, bytes + 1, "%0*u", (int)bytes, number++);
        assert_int_equal(reply(desk, client, text), 0);
    }
    return number;
}

static void
test_a_client_is_known_while_something_of_it_waits(void **state)
{
    struct desk *desk = *state;
    void *socket = doorway_enter(desk->doorway, DOORWAY_ME);
    struct client *client = desk_meet(desk, socket);

    assert_int_equal(desk_count_clients(desk), 1);
    assert_ptr_equal(desk_meet(desk, socket), client);
    client_use(client);
    assert_int_equal(client->uses, 3);
    client_leave(&desk->agent, client);
    client_leave(&desk->agent, client);
    assert_int_equal(desk_count_clients(desk), 1);
    client_leave(&desk->agent, client);
    assert_int_equal(desk_count_clients(desk), 0);
}

static void
test_a_reply_goes_to_its_client_alone(void **state)
{
    struct desk *desk = *state;
    void *a = doorway_enter(desk->doorway, DOORWAY_ME);
    void *b = doorway_enter(desk->doorway, NULL);
    struct client *ann = desk_meet(desk, a), *bob = desk_meet(desk, b);

    assert_ptr_not_equal(ann, bob);
    assert_int_equal(reply(desk, bob, "{\"to\":\"b\"}"), 0);
    assert_int_equal(tell(desk, ann, "{\"to\":\"a\"}"), 0);
    desk_hear(a, "stream", "{\"to\":\"a\"}");
    desk_hear(b, "some_reply", "{\"to\":\"b\"}");
    client_leave(&desk->agent, ann);
    client_leave(&desk->agent, bob);
}

/* The same identity, on another connection: it must not hear what was meant for the one
 * before it. */
static void
test_another_owner_under_an_identity_is_another_client(void **state)
{
    struct desk *desk = *state;
    void *socket = doorway_enter(desk->doorway, DOORWAY_ME);
    struct client *first = desk_meet(desk, socket), *second = NULL;
    struct door_message message = desk->doorway->message;

    message.owner = "key:eve";
    assert_int_equal(client_get(&second, &desk->agent, &message), 0);
    assert_ptr_not_equal(second, first);
    assert_true(first->gone);
    assert_int_equal(reply(desk, first, "{\"secret\":1}"), 0);
    assert_int_equal(tell(desk, first, "{\"secret\":2}"), DOOR_E_GONE);
    assert_int_equal(reply(desk, second, "{}"), 0);
    desk_hear(socket, "some_reply", "{}");
    client_leave(&desk->agent, first);
    client_leave(&desk->agent, second);
    assert_int_equal(desk_count_clients(desk), 0);
}

static void
test_replies_that_cannot_be_delivered_wait_and_come_in_order(void **state)
{
    struct desk *desk = *state;
    void *socket = desk_deaf(desk, DOORWAY_ME);
    struct client *client = desk_meet(desk, socket);
    CLEANUP(buffer_fini) struct buffer content;
    unsigned count = reply_until_one_waits(desk, client, LARGE);
    char type[64];

    assert_int_equal(reply(desk, client, "1000000"), 0);
    assert_int_equal(desk->agent.letters, 2);
    assert_int_equal(tell(desk, client, "{}"), DOOR_E_AGAIN); /* not before them */
    client_leave(&desk->agent, client); /* it is known as long as they wait */
    assert_int_equal(desk_count_clients(desk), 1);
    buffer_init(&content, 2 * LARGE);
    for (unsigned i = 0; i < count + 2; i++) {
        if (i == count - 1) { /* there is room again: this one waits behind the others */
            assert_int_equal(reply(desk, client, "1000001"), 0);
            assert_int_equal(clients_flush(&desk->agent), 0);
        }
        desk_hear_any(socket, type, &content);
        assert_string_equal(type, "some_reply");
        assert_int_equal(strtoul((const char *)content.data, NULL, 10),
                         i < count ? i : 1000000 + i - count);
    }
    assert_int_equal(clients_flush(&desk->agent), 0);
    assert_int_equal(desk->agent.letters, 0);
    assert_int_equal(desk_count_clients(desk), 0);
}

static void
test_one_that_lets_too_many_replies_wait_is_gone(void **state)
{
    struct desk *desk = *state;
    void *b = doorway_enter(desk->doorway, DOORWAY_OTHER);
    struct client *deaf = desk_meet(desk, desk_deaf(desk, DOORWAY_ME));
    struct client *bob = desk_meet(desk, b);

    reply_until_one_waits(desk, deaf, 4096);
    while (deaf->letter_count < AGENT_OUTBOX_MESSAGES)
        assert_int_equal(reply(desk, deaf, "{}"), 0);
    assert_false(deaf->gone);
    assert_int_equal(reply(desk, deaf, "{}"), 0); /* the one too many */
    assert_true(deaf->gone);
    assert_int_equal(desk->agent.letters, 0);
    assert_int_equal(reply(desk, deaf, "{}"), 0);
    assert_int_equal(desk->agent.letters, 0);
    assert_int_equal(reply(desk, bob, "{}"), 0);
    desk_hear(b, "some_reply", "{}");
    client_leave(&desk->agent, deaf);
    client_leave(&desk->agent, bob);
    assert_int_equal(desk_count_clients(desk), 0);
}

static void
test_one_that_lets_too_many_bytes_wait_is_gone(void **state)
{
    struct desk *desk = *state;
    struct client *deaf = desk_meet(desk, desk_deaf(desk, DOORWAY_ME));
    CLEANUP(freep) char *text = calloc(1, LARGE + 1);
    size_t most = 0;

    assert_non_null(text);
    memset(text, '1', LARGE);
    for (int i = 0; i < 10000 && !deaf->gone; i++) {
        assert_int_equal(reply(desk, deaf, text), 0);
        if (deaf->letter_bytes > most)
            most = deaf->letter_bytes;
    }
    assert_true(deaf->gone);
    assert_true(most <= AGENT_OUTBOX_BYTES && most > AGENT_OUTBOX_BYTES - 2 * LARGE);
    assert_int_equal(desk->agent.letters, 0);
    client_leave(&desk->agent, deaf);
}

/* The first may be as large as it likes: a large outcome is delivered. */
static void
test_one_reply_larger_than_all_that_may_wait_waits(void **state)
{
    struct desk *desk = *state;
    struct client *deaf = desk_meet(desk, desk_deaf(desk, DOORWAY_ME));
    CLEANUP(freep) char *text = calloc(1, AGENT_OUTBOX_BYTES + 1);

    assert_non_null(text);
    memset(text, '1', AGENT_OUTBOX_BYTES);
    while (tell(desk, deaf, text + AGENT_OUTBOX_BYTES - LARGE) ==
           0) /* until it is full */
        continue;
    assert_int_equal(reply(desk, deaf, text), 0);
    assert_int_equal(deaf->letter_count, 1);
    assert_false(deaf->gone);
    assert_int_equal(reply(desk, deaf, "{}"), 0);
    assert_true(deaf->gone);
    client_leave(&desk->agent, deaf);
}

static void
test_one_that_waits_for_long_is_told_that_we_live(void **state)
{
    struct desk *desk = *state;
    void *socket = doorway_enter(desk->doorway, DOORWAY_ME);
    struct client *client = desk_meet(desk, socket);

    client->since_us -= 10 * AGENT_KEEPALIVE_US;
    assert_int_equal(clients_keep_alive(&desk->agent), 0); /* it waits for nothing */
    client_wait(&desk->agent, client);
    client_wait(&desk->agent, client);
    client->since_us -= AGENT_KEEPALIVE_US;
    assert_int_equal(clients_keep_alive(&desk->agent), 0);
    client_answered(client);
    assert_int_equal(clients_keep_alive(&desk->agent), 0);
    client_answered(client);
    assert_int_equal(clients_keep_alive(&desk->agent), 0);
    assert_int_equal(reply(desk, client, "{}"), 0);
    desk_hear(socket, "keepalive", "{}");
    desk_hear(socket, "keepalive", "{}");
    desk_hear(socket, "some_reply", "{}");
    client_leave(&desk->agent, client);
}

static void
test_one_that_has_left_is_found_out_and_forgotten(void **state)
{
    struct desk *desk = *state;
    void *socket = doorway_enter(desk->doorway, DOORWAY_ME);
    struct client *client = desk_meet(desk, socket);
    int r;

    doorway_leave(desk->doorway, socket);
    do { /* until the news is here, which a receive takes in */
        assert_int_equal(door_receive(desk->agent.door, &desk->doorway->message),
                         DOOR_E_AGAIN);
        r = tell(desk, client, "{}");
    } while (r == 0 || r == DOOR_E_AGAIN);
    assert_int_equal(r, DOOR_E_GONE);
    assert_true(client->gone);
    assert_int_equal(reply(desk, client, "{}"), 0);
    assert_int_equal(clients_keep_alive(&desk->agent), 0);
    client_leave(&desk->agent, client);
    assert_int_equal(desk_count_clients(desk), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_client_is_known_while_something_of_it_waits),
        TEST(test_a_reply_goes_to_its_client_alone),
        TEST(test_another_owner_under_an_identity_is_another_client),
        TEST(test_replies_that_cannot_be_delivered_wait_and_come_in_order),
        TEST(test_one_that_lets_too_many_replies_wait_is_gone),
        TEST(test_one_that_lets_too_many_bytes_wait_is_gone),
        TEST(test_one_reply_larger_than_all_that_may_wait_waits),
        TEST(test_one_that_waits_for_long_is_told_that_we_live),
        TEST(test_one_that_has_left_is_found_out_and_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
