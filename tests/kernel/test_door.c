/* SPDX-License-Identifier: MIT */
#include "kernel/agent/door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "contexts/loop.h"
#include "kernel/keys.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/kernel/doorway.h"
#include "tests/kernel/keyring.h"

#define TURN_MS 10 /* between two looks at what no loop tells */

static void
test_an_owner_on_ipc_is_the_user_of_the_process(void **state)
{
    struct doorway *f = *state;
    void *a, *b;

    doorway_open_ipc(f);
    a = doorway_enter(f, DOORWAY_ME);
    doorway_say(a, "hello");
    doorway_expect(f, doorway_me(), "hello");
    assert_true(slice_equals_text(f->message.frames[0], DOORWAY_ME));
    assert_int_equal(doorway_answer(f, "world"), 0);
    doorway_hear(a, "world");
    b = doorway_enter(f, NULL); /* under a name that ZeroMQ gives it */
    doorway_say(b, "hello");
    doorway_expect(f, doorway_me(), "hello");
    assert_int_equal(f->message.frames[0].length, 5);
    assert_int_equal(doorway_answer(f, "you"), 0);
    doorway_hear(b, "you");
}

static void
test_an_ipc_socket_is_a_file_of_this_user_alone_that_goes_away(void **state)
{
    struct doorway *f = *state;
    mode_t mask = umask(0);
    struct stat st;

    doorway_open_ipc(f);
    umask(mask);
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
    door_destroy(f->door);
    f->door = NULL;
    assert_int_equal(access(f->path, F_OK), -1);
}

/* The door must be asked meanwhile who may come in. */
static void
read_exactly(struct doorway *f, int fd, uint8_t *ret, size_t length)
{
    struct pollfd entry = { .fd = fd, .events = POLLIN };

    while (length > 0) {
        ssize_t n;

        while (poll(&entry, 1, 0) == 0)
            assert_int_equal(loop_wait(f->loop, TURN_MS), 0);
        n = read(fd, ret, length);
        assert_true(n > 0);
        ret += n;
        length -= (size_t)n;
    }
}

/* Writes ZMTP by hand: what no library lets a client say. */
static void
say_hello(int fd, const char *const *properties)
{
    uint8_t bytes[512] = { [0] = 0xff, [9] = 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
    size_t used = 64, ready;

    bytes[used++] = 4; /* a command */
    ready = used++;
    memcpy(bytes + used, "\5READY", 6);
    used += 6;
    for (; properties[0] != NULL; properties += 2) {
        size_t name = strlen(properties[0]), value = strlen(properties[1]);

        bytes[used++] = (uint8_t)name;
        memcpy(bytes + used, properties[0], name);
        used += name;
        memcpy(bytes + used, "\0\0\0", 3);
        used += 3;
        bytes[used++] = (uint8_t)value;
        memcpy(bytes + used, properties[1], value);
        used += value;
    }
    bytes[ready] = (uint8_t)(used - ready - 1);
    assert_int_equal(write(fd, bytes, used), used);
}

static void
enter_by_hand(struct doorway *f, int fd, const char *const *properties)
{
    uint8_t bytes[256];

    say_hello(fd, properties);
    read_exactly(f, fd, bytes, 64); /* before the server is ready it wants no message */
    read_exactly(f, fd, bytes, 2);
    assert_true(bytes[1] <= sizeof bytes - 2);
    read_exactly(f, fd, bytes + 2, bytes[1]);
    assert_memory_equal(bytes + 2, "\5READY", 6);
    assert_int_equal(write(fd, "\0\6forged", 8), 8);
}

static int
connect_ipc(const struct doorway *f)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void
test_a_client_cannot_say_who_it_is_on_ipc(void **state)
{
    static const char *const lies[] = {
        "Socket-Type",         "DEALER",  "Identity", DOORWAY_ME, "Peer-Address",
        "localhost:12345:1:1", "User-Id", "key:ann",  NULL
    };
    struct doorway *f = *state;
    int fd;

    doorway_open_ipc(f);
    fd = connect_ipc(f);
    assert_true(fd >= 0);
    enter_by_hand(f, fd, lies);
    doorway_expect(f, doorway_me(), "forged");
    close(fd);
}

/* Exits with 0 when the door was shut. */
static void
try_as_a_stranger(const struct doorway *f)
{
    uint8_t byte;
    int fd;

    if (setgid(65534) < 0 || setuid(65534) < 0)
        _exit(2);
    fd = connect_ipc(f);
    _exit(fd < 0 ? 3 : read(fd, &byte, 1) <= 0 ? 0 : 1);
}

/* As code in a context of an ordinary user's: the same user, who sees the socket. Exits
 * with 0 when the door was shut; 3: there are no such namespaces here. */
static void
try_from_a_sandbox(const struct doorway *f)
{
    static const char *const names[] = { "Socket-Type", "DEALER", NULL };
    uint8_t bytes[256];
    size_t used = 0;
    ssize_t n;
    int fd;

    if (unshare(CLONE_NEWUSER) < 0)
        _exit(3);
    fd = connect_ipc(f);
    if (fd < 0)
        _exit(2);
    say_hello(fd, names);
    while ((n = read(fd, bytes + used, sizeof bytes - used)) > 0)
        used += (size_t)n;
    _exit(memmem(bytes, used, "\5READY", 6) == NULL ? 0 : 1);
}

static void
test_a_sandbox_of_the_same_user_is_shown_out(void **state)
{
    struct doorway *f = *state;
    int status;
    pid_t child;
    void *a;

    doorway_open_ipc(f);
    child = fork();
    if (child == 0)
        try_from_a_sandbox(f);
    while (waitpid(child, &status, WNOHANG) == 0)
        assert_int_equal(loop_wait(f->loop, TURN_MS), 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 3)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(door_refused(f->door), 1);
    a = doorway_enter(f, DOORWAY_ME);
    doorway_say(a, "mine");
    doorway_expect(f, doorway_me(), "mine");
}

static void
test_another_user_is_shown_out_even_if_it_reaches_the_socket(void **state)
{
    struct doorway *f = *state;
    int status;
    pid_t child;
    void *a;

    if (geteuid() != 0) /* nobody else can become another user */
        return;
    doorway_open_ipc(f);
    assert_int_equal(chmod(f->folder, 0755), 0);
    assert_int_equal(chmod(f->path, 0666), 0);
    child = fork();
    if (child == 0)
        try_as_a_stranger(f);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    a = doorway_enter(f, DOORWAY_ME);
    doorway_say(a, "mine");
    doorway_expect(f, doorway_me(), "mine");
}

static void
test_a_socket_that_was_left_behind_is_replaced(void **state)
{
    struct doorway *f = *state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    void *a;

    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(access(f->path, F_OK), 0);
    doorway_open_ipc(f);
    a = doorway_enter(f, DOORWAY_ME);
    doorway_say(a, "hello");
    doorway_expect(f, doorway_me(), "hello");
}

static void
test_a_second_door_at_an_address_is_refused(void **state)
{
    struct doorway *f = *state;
    struct door *second = NULL;
    struct error err = { 0 };
    void *a;

    doorway_open_ipc(f);
    assert_int_equal(doorway_try(f, &second, f->address, false, &err), DOOR_E_BIND);
    assert_non_null(strstr(err.text, "another process listens"));
    assert_null(second);
    a = doorway_enter(f, DOORWAY_ME);
    doorway_say(a, "still here");
    doorway_expect(f, doorway_me(), "still here");
}

static void
test_a_second_door_at_a_port_is_refused(void **state)
{
    struct doorway *f = *state;
    struct door *second = NULL;
    struct error err = { 0 };

    doorway_open_curve(f);
    assert_int_equal(doorway_try(f, &second, door_address(f->door, 0), false, &err),
                     DOOR_E_BIND);
    assert_non_null(strstr(err.text, "in use"));
}

static void
test_a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct doorway *f = *state;
    struct door *door = NULL;
    struct error err = { 0 };

    keyring_write(f->path, "precious", 0600);
    assert_int_equal(doorway_try(f, &door, f->address, false, &err), DOOR_E_BIND);
    assert_non_null(strstr(err.text, "not a socket"));
    assert_int_equal(unlink(f->path), 0); /* it was there still */
}

static void
test_a_folder_in_which_others_can_write_is_refused(void **state)
{
    struct doorway *f = *state;
    struct door *door = NULL;
    struct error err = { 0 };

    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(doorway_try(f, &door, f->address, false, &err), DOOR_E_BIND);
    assert_non_null(strstr(err.text, "chmod go-w"));
    assert_int_equal(chmod(f->folder, 01777), 0); /* as /tmp is */
    doorway_open_ipc(f);
}

static void
test_an_owner_with_a_key_has_the_name_of_the_key(void **state)
{
    struct doorway *f = *state;
    void *ann, *bob;

    doorway_open_curve(f);
    ann = doorway_enter_with_key(f, DOORWAY_ME, "ann");
    doorway_say(ann, "hello");
    doorway_expect(f, "key:ann", "hello");
    assert_int_equal(doorway_answer(f, "ann"), 0);
    doorway_hear(ann, "ann");
    bob = doorway_enter_with_key(f, NULL, "bob");
    doorway_say(bob, "hello");
    doorway_expect(f, "key:bob", "hello");
    assert_int_equal(doorway_answer(f, "bob"), 0);
    doorway_hear(bob, "bob");
    assert_int_equal(door_refused(f->door), 0);
}

static void
test_a_key_that_is_not_authorised_stays_outside(void **state)
{
    struct doorway *f = *state;
    void *eve, *ann;

    doorway_open_curve(f);
    eve = doorway_enter_with_key(f, DOORWAY_OTHER, "eve");
    doorway_say(eve, "let me in");
    while (door_refused(f->door) == 0)
        assert_int_equal(loop_wait(f->loop, -1), 0);
    ann = doorway_enter_with_key(f, DOORWAY_ME, "ann");
    doorway_say(ann, "hello");
    doorway_expect(f, "key:ann", "hello");
    assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);
}

/* Connects SOCKET, which says something, and waits until its connection has failed. */
static void
fail_to_enter(struct doorway *f, void *socket, const char *monitor_address)
{
    const int failed = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED;
    void *monitor = doorway_socket(f, ZMQ_PAIR);
    char event[64];

    assert_int_equal(zmq_socket_monitor(socket, monitor_address, failed), 0);
    assert_int_equal(zmq_connect(monitor, monitor_address), 0);
    doorway_connect(f, socket, 0);
    doorway_say(socket, "let me in");
    assert_true(zmq_recv(monitor, event, sizeof event, 0) > 0);
}

static void
test_clients_of_another_server_or_without_a_key_stay_outside(void **state)
{
    struct doorway *f = *state;
    void *lost, *ann;

    doorway_open_curve(f);
    lost = doorway_client(f, DOORWAY_OTHER);
    doorway_use_key(lost, keyring_pair(&f->keyring, "ann"),
                    keyring_pair(&f->keyring, "eve")->public_key);
    fail_to_enter(f, lost, "inproc://lost");
    fail_to_enter(f, doorway_client(f, DOORWAY_OTHER), "inproc://open");
    ann = doorway_enter_with_key(f, DOORWAY_ME, "ann");
    doorway_say(ann, "hello");
    doorway_expect(f, "key:ann", "hello");
}

static void
test_a_key_that_is_taken_away_is_a_stranger_at_once(void **state)
{
    struct doorway *f = *state;
    void *ann, *bob;

    doorway_open_curve(f);
    ann = doorway_enter_with_key(f, DOORWAY_ME, "ann");
    doorway_say(ann, "hello");
    doorway_expect(f, "key:ann", "hello");
    keyring_authorise(&f->keyring, "bob");
    doorway_say(ann, "me again");
    assert_int_equal(doorway_receive(f), DOOR_E_STRANGER);
    bob = doorway_enter_with_key(f, DOORWAY_OTHER, "bob");
    doorway_say(bob, "hello");
    doorway_expect(f, "key:bob", "hello");
    keyring_authorise(&f->keyring, "bob ann");
    doorway_say(ann, "am I back");
    doorway_expect(f, "key:ann", "am I back");
}

/* The name alone is no right: another may have it meanwhile. */
static void
test_a_key_whose_name_another_key_has_now_is_a_stranger(void **state)
{
    struct doorway *f = *state;
    char text[128];
    void *ann;

    doorway_open_curve(f);
    ann = doorway_enter_with_key(f, DOORWAY_ME, "ann");
    doorway_say(ann, "hello");
    doorway_expect(f, "key:ann", "hello");
    snprintf(text, sizeof text, "ann %s\n", keyring_pair(&f->keyring, "new")->public_key);
    keyring_write(f->keyring.authorised, text, 0600);
    doorway_say(ann, "the old one");
    assert_int_equal(doorway_receive(f), DOOR_E_STRANGER);
}

static void
test_a_key_that_is_added_comes_in_without_a_restart(void **state)
{
    struct doorway *f = *state;
    void *eve;

    doorway_open_curve(f);
    keyring_authorise(&f->keyring, "ann eve");
    eve = doorway_enter_with_key(f, DOORWAY_ME, "eve");
    doorway_say(eve, "hello");
    doorway_expect(f, "key:eve", "hello");
}

static void
test_tcp_without_keys_is_refused_with_the_remedy(void **state)
{
    struct doorway *f = *state;
    struct door *door = NULL;
    struct error err = { 0 };

    assert_int_equal(doorway_try(f, &door, "tcp://127.0.0.1:*", false, &err),
                     DOOR_E_BIND);
    assert_non_null(strstr(err.text, "cellwall keygen"));
    assert_non_null(strstr(err.text, "--tcp-without-keys-anyone-can-run-code"));
}

static int
connect_tcp(const char *address)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons((uint16_t)strtol(strrchr(address, ':') + 1, NULL, 10));
    assert_int_equal(connect(fd, (const struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

static void
test_on_tcp_without_keys_everybody_is_anyone(void **state)
{
    static const char *const lies[] = { "Socket-Type", "DEALER",  "Identity", DOORWAY_ME,
                                        "User-Id",     "key:ann", NULL };
    struct doorway *f = *state;
    struct error err = { 0 };
    void *a;
    int fd;

    if (doorway_try(f, &f->door, "tcp://127.0.0.1:*", true, &err) != 0)
        fail_msg("%s", err.text);
    a = doorway_enter(f, DOORWAY_OTHER);
    doorway_say(a, "hello");
    doorway_expect(f, "anyone", "hello");
    fd = connect_tcp(door_address(f->door, 0));
    enter_by_hand(f, fd, lies);
    doorway_expect(f, "anyone", "forged");
    close(fd);
}

static void
test_an_address_of_ipv6_works(void **state)
{
    struct doorway *f = *state;
    struct error err = { 0 };
    void *a = doorway_client(f, DOORWAY_ME);
    int on = 1;

    if (doorway_try(f, &f->door, "tcp://[::1]:*", true, &err) != 0)
        fail_msg("%s", err.text);
    zmq_setsockopt(a, ZMQ_IPV6, &on, sizeof on);
    doorway_connect(f, a, 0);
    doorway_say(a, "hello");
    doorway_expect(f, "anyone", "hello");
}

static void
test_addresses_of_other_kinds_are_refused(void **state)
{
    static const struct {
        const char *address;
        const char *told;
    } cases[] = {
        { "inproc://agent", "neither" },
        { "udp://127.0.0.1:1", "neither" },
        { "/run/agent.sock", "neither" },
        { "", "neither" },
        { "ipc://agent.sock", "absolute" },
        { "ipc://*", "absolute" },
        { "ipc://@abstract", "absolute" },
        { "ipc://", "absolute" },
        { "ipc:///no/such/folder/agent.sock", "/no/such/folder" },
        { "ipc:///etc/passwd/agent.sock", "not a folder" },
        { "ipc:///tmp", "not a socket" },
        { "ipc:///tmp/0123456789012345678901234567890123456789012345678901234567890123456"
          "7890123456789012345678901234567890123456789/agent.sock",
          "at most 107" },
        { "tcp://127.0.0.1", "HOST:PORT" },
        { "tcp://no.such.host.example:1", "HOST:PORT" },
        { "tcp://192.0.2.1:1", "192.0.2.1" },
    };
    struct doorway *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct door *door = NULL;
        struct error err = { 0 };

        assert_int_equal(doorway_try(f, &door, cases[i].address, true, &err),
                         DOOR_E_BIND);
        assert_null(door);
        if (strstr(err.text, cases[i].told) == NULL)
            fail_msg("%s: %s", cases[i].address, err.text);
    }
}

static void
test_one_door_has_several_addresses_in_turns(void **state)
{
    struct doorway *f = *state;
    const char *const addresses[] = { f->address, "tcp://127.0.0.1:*" };
    struct pollfd edge;
    struct error err = { 0 };
    bool heard = false;
    void *a, *b;

    if (keys_create(&f->keys, f->keyring.server, f->keyring.authorised, &err) != 0)
        fail_msg("%s", err.text);
    doorway_open(f, addresses, 2);
    assert_int_equal(door_address_count(f->door), 2);
    assert_null(strchr(door_address(f->door, 1), '*'));
    a = doorway_enter(f, DOORWAY_ME);
    b = doorway_client(f, DOORWAY_OTHER);
    doorway_use_key(b, keyring_pair(&f->keyring, "bob"),
                    f->keyring.server_pair.public_key);
    doorway_connect(f, b, 1);
    doorway_say(a, "hello");
    doorway_expect(f, doorway_me(), "hello");
    doorway_say(b, "hello");
    doorway_expect(f, "key:bob", "hello");
    assert_int_equal(f->message.socket, 1);
    while (!door_is_quiet(f->door))
        assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);

    edge = (struct pollfd){ .fd = loop_fd(f->loop), .events = POLLIN };
    for (int i = 0; i < 50; i++)
        doorway_say(a, "much");
    assert_int_equal(poll(&edge, 1, 60000), 1);
    assert_int_equal(loop_wait(f->loop, 0), 0);
    doorway_say(b, "little");
    assert_int_equal(poll(&edge, 1, 60000), 1);
    assert_int_equal(loop_wait(f->loop, 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(door_receive(f->door, &f->message), 0);
        heard = heard || f->message.socket == 1;
    }
    assert_true(heard);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, doorway_setup, doorway_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_owner_on_ipc_is_the_user_of_the_process),
        TEST(test_an_ipc_socket_is_a_file_of_this_user_alone_that_goes_away),
        TEST(test_a_client_cannot_say_who_it_is_on_ipc),
        TEST(test_a_sandbox_of_the_same_user_is_shown_out),
        TEST(test_another_user_is_shown_out_even_if_it_reaches_the_socket),
        TEST(test_a_socket_that_was_left_behind_is_replaced),
        TEST(test_a_second_door_at_an_address_is_refused),
        TEST(test_a_second_door_at_a_port_is_refused),
        TEST(test_a_file_that_is_no_socket_is_left_alone),
        TEST(test_a_folder_in_which_others_can_write_is_refused),
        TEST(test_an_owner_with_a_key_has_the_name_of_the_key),
        TEST(test_a_key_that_is_not_authorised_stays_outside),
        TEST(test_clients_of_another_server_or_without_a_key_stay_outside),
        TEST(test_a_key_that_is_taken_away_is_a_stranger_at_once),
        TEST(test_a_key_whose_name_another_key_has_now_is_a_stranger),
        TEST(test_a_key_that_is_added_comes_in_without_a_restart),
        TEST(test_tcp_without_keys_is_refused_with_the_remedy),
        TEST(test_on_tcp_without_keys_everybody_is_anyone),
        TEST(test_an_address_of_ipv6_works),
        TEST(test_addresses_of_other_kinds_are_refused),
        TEST(test_one_door_has_several_addresses_in_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
