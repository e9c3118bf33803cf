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
#include "protocol/wire.h"
#include "tests/kernel/keyring.h"

#define ME "a client of 16 or more bytes"
#define OTHER "another one of 16 or more bytes"
#define CLIENTS 200

struct fixture {
    char folder[64];
    char path[96]; /* of the ipc socket */
    char address[128]; /* ipc */
    struct keyring keyring;
    struct loop *loop;
    struct keys *keys;
    struct door *door;
    void *context; /* of the clients */
    void *sockets[CLIENTS + 8]; /* owned: of the clients, too */
    size_t socket_count;
    struct door_message message;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    snprintf(f->folder, sizeof f->folder, "/tmp/cellwall-door-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/agent.sock", f->folder);
    snprintf(f->address, sizeof f->address, "ipc://%s", f->path);
    keyring_init(&f->keyring);
    keyring_authorise(&f->keyring, "ann bob");
    assert_int_equal(loop_create(&f->loop), 0);
    f->context = zmq_ctx_new();
    zmq_ctx_set(f->context, ZMQ_MAX_SOCKETS, 4 * CLIENTS);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    while (f->socket_count > 0)
        zmq_close(f->sockets[--f->socket_count]);
    zmq_ctx_term(f->context);
    door_destroy(f->door);
    keys_destroy(f->keys);
    loop_destroy(f->loop);
    keyring_fini(&f->keyring);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static int
try_open(struct fixture *f, struct door **ret, const char *address, bool anyone,
         struct error *err)
{
    const struct door_options wanted = {
        .addresses = &address,
        .address_count = 1,
        .keys = f->keys,
        .anyone_may_run_code = anyone,
    };

    return door_create(ret, f->loop, &wanted, err);
}

static void
open_door(struct fixture *f, const char *const *addresses, size_t count)
{
    const struct door_options wanted = { .addresses = addresses,
                                         .address_count = count,
                                         .keys = f->keys };
    struct error err = { 0 };

    if (door_create(&f->door, f->loop, &wanted, &err) != 0)
        fail_msg("%s", err.text);
}

static void
open_ipc(struct fixture *f)
{
    const char *address = f->address;

    open_door(f, &address, 1);
}

static void
open_curve(struct fixture *f)
{
    const char *address = "tcp://127.0.0.1:*";
    struct error err = { 0 };

    if (keys_create(&f->keys, f->keyring.server, f->keyring.authorised, &err) != 0)
        fail_msg("%s", err.text);
    open_door(f, &address, 1);
}

static void *
make_socket(struct fixture *f, int type)
{
    void *socket = zmq_socket(f->context, type);

    assert_non_null(socket);
    assert_true(f->socket_count < N_ELEMENTS(f->sockets));
    f->sockets[f->socket_count++] = socket;
    return socket;
}

/* Closes the socket that was made last. */
static void
leave(struct fixture *f, void *socket)
{
    assert_ptr_equal(f->sockets[f->socket_count - 1], socket);
    zmq_close(f->sockets[--f->socket_count]);
}

static void *
client(struct fixture *f, const char *identity)
{
    void *socket = make_socket(f, ZMQ_DEALER);
    int linger = 0, unbounded = 0;

    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unbounded, sizeof unbounded);
    if (identity != NULL)
        zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, strlen(identity));
    return socket;
}

static void
use_key(void *socket, const struct key_pair *pair, const char *server)
{
    assert_int_equal(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, KEYS_TEXT_BYTES),
                     0);
    assert_int_equal(
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, pair->public_key, KEYS_TEXT_BYTES),
        0);
    assert_int_equal(
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, pair->secret_key, KEYS_TEXT_BYTES),
        0);
}

static void
enter(struct fixture *f, void *socket, size_t address)
{
    assert_int_equal(zmq_connect(socket, door_address(f->door, address)), 0);
}

static void *
enter_as(struct fixture *f, const char *identity)
{
    void *socket = client(f, identity);

    enter(f, socket, 0);
    return socket;
}

static void
say(void *socket, const char *text)
{
    assert_int_equal(zmq_send(socket, text, strlen(text), 0), strlen(text));
}

/* The next message, waited for as a program does that has nothing else to do. */
static int
receive(struct fixture *f)
{
    int r;

    do {
        while (door_is_quiet(f->door))
            assert_int_equal(loop_wait(f->loop, -1), 0);
        r = door_receive(f->door, &f->message);
    } while (r == DOOR_E_AGAIN);
    return r;
}

static void
expect(struct fixture *f, const char *owner, const char *text)
{
    assert_int_equal(receive(f), 0);
    assert_int_equal(f->message.count, 2);
    assert_string_equal(f->message.owner, owner);
    assert_true(slice_equals_text(f->message.frames[1], text));
}

/* To whoever sent the last message. */
static int
answer(struct fixture *f, const char *text)
{
    const struct slice frames[] = { f->message.frames[0], slice_text(text) };

    return door_send(f->door, f->message.socket, frames, 2);
}

static void
hear(void *socket, const char *text)
{
    char heard[64];
    int n = zmq_recv(socket, heard, sizeof heard, 0);

    assert_int_equal(n, strlen(text));
    assert_memory_equal(heard, text, strlen(text));
}

static const char *
me(void)
{
    static char owner[32];

    snprintf(owner, sizeof owner, "uid:%u", (unsigned)geteuid());
    return owner;
}

/* ipc */

static void
test_an_owner_on_ipc_is_the_user_of_the_process(void **state)
{
    struct fixture *f = *state;
    void *a, *b;

    open_ipc(f);
    a = enter_as(f, ME);
    say(a, "hello");
    expect(f, me(), "hello");
    assert_true(slice_equals_text(f->message.frames[0], ME));
    assert_int_equal(answer(f, "world"), 0);
    hear(a, "world");
    b = enter_as(f, NULL); /* under a name that ZeroMQ gives it */
    say(b, "hello");
    expect(f, me(), "hello");
    assert_int_equal(f->message.frames[0].length, 5);
    assert_int_equal(answer(f, "you"), 0);
    hear(b, "you");
}

static void
test_an_ipc_socket_is_a_file_of_this_user_alone_that_goes_away(void **state)
{
    struct fixture *f = *state;
    mode_t mask = umask(0);
    struct stat st;

    open_ipc(f);
    umask(mask);
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
    door_destroy(f->door);
    f->door = NULL;
    assert_int_equal(access(f->path, F_OK), -1);
}

static void
read_exactly(int fd, uint8_t *ret, size_t length)
{
    while (length > 0) {
        ssize_t n = read(fd, ret, length);

        assert_true(n > 0);
        ret += n;
        length -= (size_t)n;
    }
}

/* Writes ZMTP by hand: what no library lets a client say. */
static void
enter_by_hand(int fd, const char *const *properties)
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
    read_exactly(fd, bytes, 64); /* before the server is ready it wants no message */
    read_exactly(fd, bytes, 2);
    read_exactly(fd, bytes + 2, bytes[1]);
    assert_memory_equal(bytes + 2, "\5READY", 6);
    assert_int_equal(write(fd, "\0\6forged", 8), 8);
}

static int
connect_ipc(const struct fixture *f)
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
        "Socket-Type",         "DEALER",  "Identity", ME,  "Peer-Address",
        "localhost:12345:1:1", "User-Id", "key:ann",  NULL
    };
    struct fixture *f = *state;
    int fd;

    open_ipc(f);
    fd = connect_ipc(f);
    assert_true(fd >= 0);
    enter_by_hand(fd, lies);
    expect(f, me(), "forged");
    close(fd);
}

/* Exits with 0 when the door was shut. */
static void
try_as_a_stranger(const struct fixture *f)
{
    uint8_t byte;
    int fd;

    if (setgid(65534) < 0 || setuid(65534) < 0)
        _exit(2);
    fd = connect_ipc(f);
    _exit(fd < 0 ? 3 : read(fd, &byte, 1) <= 0 ? 0 : 1);
}

static void
test_another_user_is_shown_out_even_if_it_reaches_the_socket(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t child;
    void *a;

    if (geteuid() != 0) /* nobody else can become another user */
        return;
    open_ipc(f);
    assert_int_equal(chmod(f->folder, 0755), 0);
    assert_int_equal(chmod(f->path, 0666), 0);
    child = fork();
    if (child == 0)
        try_as_a_stranger(f);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    a = enter_as(f, ME);
    say(a, "mine");
    expect(f, me(), "mine");
}

static void
test_a_socket_that_was_left_behind_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    void *a;

    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(access(f->path, F_OK), 0);
    open_ipc(f);
    a = enter_as(f, ME);
    say(a, "hello");
    expect(f, me(), "hello");
}

static void
test_a_second_door_at_an_address_is_refused(void **state)
{
    struct fixture *f = *state;
    struct door *second = NULL;
    struct error err = { 0 };
    void *a;

    open_ipc(f);
    assert_int_equal(try_open(f, &second, f->address, false, &err), DOOR_E_BIND);
    assert_non_null(strstr(err.text, "another process listens"));
    assert_null(second);
    a = enter_as(f, ME);
    say(a, "still here");
    expect(f, me(), "still here");
}

static void
test_a_second_door_at_a_port_is_refused(void **state)
{
    struct fixture *f = *state;
    struct door *second = NULL;
    struct error err = { 0 };

    open_curve(f);
    assert_int_equal(try_open(f, &second, door_address(f->door, 0), false, &err),
                     DOOR_E_BIND);
    assert_non_null(strstr(err.text, "in use"));
}

static void
test_a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct door *door = NULL;
    struct error err = { 0 };

    keyring_write(f->path, "precious", 0600);
    assert_int_equal(try_open(f, &door, f->address, false, &err), DOOR_E_BIND);
    assert_non_null(strstr(err.text, "not a socket"));
    assert_int_equal(unlink(f->path), 0); /* it was there still */
}

static void
test_a_folder_in_which_others_can_write_is_refused(void **state)
{
    struct fixture *f = *state;
    struct door *door = NULL;
    struct error err = { 0 };

    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(try_open(f, &door, f->address, false, &err), DOOR_E_BIND);
    assert_non_null(strstr(err.text, "chmod go-w"));
    assert_int_equal(chmod(f->folder, 01777), 0); /* as /tmp is */
    open_ipc(f);
}

/* keys */

static void *
enter_with_key(struct fixture *f, const char *identity, const char *name)
{
    void *socket = client(f, identity);

    use_key(socket, keyring_pair(&f->keyring, name), f->keyring.server_pair.public_key);
    enter(f, socket, 0);
    return socket;
}

static void
test_an_owner_with_a_key_has_the_name_of_the_key(void **state)
{
    struct fixture *f = *state;
    void *ann, *bob;

    open_curve(f);
    ann = enter_with_key(f, ME, "ann");
    say(ann, "hello");
    expect(f, "key:ann", "hello");
    assert_int_equal(answer(f, "ann"), 0);
    hear(ann, "ann");
    bob = enter_with_key(f, NULL, "bob");
    say(bob, "hello");
    expect(f, "key:bob", "hello");
    assert_int_equal(answer(f, "bob"), 0);
    hear(bob, "bob");
    assert_int_equal(door_refused(f->door), 0);
}

static void
test_a_key_that_is_not_authorised_stays_outside(void **state)
{
    struct fixture *f = *state;
    void *eve, *ann;

    open_curve(f);
    eve = enter_with_key(f, OTHER, "eve");
    say(eve, "let me in");
    while (door_refused(f->door) == 0)
        assert_int_equal(loop_wait(f->loop, -1), 0);
    ann = enter_with_key(f, ME, "ann");
    say(ann, "hello");
    expect(f, "key:ann", "hello");
    assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);
}

/* Connects SOCKET, which says something, and waits until its connection has failed. */
static void
fail_to_enter(struct fixture *f, void *socket, const char *monitor_address)
{
    const int failed = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                       ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED;
    void *monitor = make_socket(f, ZMQ_PAIR);
    char event[64];

    assert_int_equal(zmq_socket_monitor(socket, monitor_address, failed), 0);
    assert_int_equal(zmq_connect(monitor, monitor_address), 0);
    enter(f, socket, 0);
    say(socket, "let me in");
    assert_true(zmq_recv(monitor, event, sizeof event, 0) > 0);
}

static void
test_clients_of_another_server_or_without_a_key_stay_outside(void **state)
{
    struct fixture *f = *state;
    void *lost, *ann;

    open_curve(f);
    lost = client(f, OTHER);
    use_key(lost, keyring_pair(&f->keyring, "ann"),
            keyring_pair(&f->keyring, "eve")->public_key);
    fail_to_enter(f, lost, "inproc://lost");
    fail_to_enter(f, client(f, OTHER), "inproc://open");
    ann = enter_with_key(f, ME, "ann");
    say(ann, "hello");
    expect(f, "key:ann", "hello");
}

static void
test_a_key_that_is_taken_away_is_a_stranger_at_once(void **state)
{
    struct fixture *f = *state;
    void *ann, *bob;

    open_curve(f);
    ann = enter_with_key(f, ME, "ann");
    say(ann, "hello");
    expect(f, "key:ann", "hello");
    keyring_authorise(&f->keyring, "bob");
    say(ann, "me again");
    assert_int_equal(receive(f), DOOR_E_STRANGER);
    bob = enter_with_key(f, OTHER, "bob");
    say(bob, "hello");
    expect(f, "key:bob", "hello");
    keyring_authorise(&f->keyring, "bob ann");
    say(ann, "am I back");
    expect(f, "key:ann", "am I back");
}

/* The name alone is no right: another may have it meanwhile. */
static void
test_a_key_whose_name_another_key_has_now_is_a_stranger(void **state)
{
    struct fixture *f = *state;
    char text[128];
    void *ann;

    open_curve(f);
    ann = enter_with_key(f, ME, "ann");
    say(ann, "hello");
    expect(f, "key:ann", "hello");
    snprintf(text, sizeof text, "ann %s\n", keyring_pair(&f->keyring, "new")->public_key);
    keyring_write(f->keyring.authorised, text, 0600);
    say(ann, "the old one");
    assert_int_equal(receive(f), DOOR_E_STRANGER);
}

static void
test_a_key_that_is_added_comes_in_without_a_restart(void **state)
{
    struct fixture *f = *state;
    void *eve;

    open_curve(f);
    keyring_authorise(&f->keyring, "ann eve");
    eve = enter_with_key(f, ME, "eve");
    say(eve, "hello");
    expect(f, "key:eve", "hello");
}

/* Addresses */

static void
test_tcp_without_keys_is_refused_with_the_remedy(void **state)
{
    struct fixture *f = *state;
    struct door *door = NULL;
    struct error err = { 0 };

    assert_int_equal(try_open(f, &door, "tcp://127.0.0.1:*", false, &err), DOOR_E_BIND);
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
    static const char *const lies[] = { "Socket-Type", "DEALER",  "Identity", ME,
                                        "User-Id",     "key:ann", NULL };
    struct fixture *f = *state;
    struct error err = { 0 };
    void *a;
    int fd;

    if (try_open(f, &f->door, "tcp://127.0.0.1:*", true, &err) != 0)
        fail_msg("%s", err.text);
    a = enter_as(f, OTHER);
    say(a, "hello");
    expect(f, "anyone", "hello");
    fd = connect_tcp(door_address(f->door, 0));
    enter_by_hand(fd, lies);
    expect(f, "anyone", "forged");
    close(fd);
}

static void
test_an_address_of_ipv6_works(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    void *a = client(f, ME);
    int on = 1;

    if (try_open(f, &f->door, "tcp://[::1]:*", true, &err) != 0)
        fail_msg("%s", err.text);
    zmq_setsockopt(a, ZMQ_IPV6, &on, sizeof on);
    enter(f, a, 0);
    say(a, "hello");
    expect(f, "anyone", "hello");
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
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct door *door = NULL;
        struct error err = { 0 };

        assert_int_equal(try_open(f, &door, cases[i].address, true, &err), DOOR_E_BIND);
        assert_null(door);
        if (strstr(err.text, cases[i].told) == NULL)
            fail_msg("%s: %s", cases[i].address, err.text);
    }
}

static void
test_one_door_has_several_addresses_in_turns(void **state)
{
    struct fixture *f = *state;
    const char *const addresses[] = { f->address, "tcp://127.0.0.1:*" };
    struct pollfd edge;
    struct error err = { 0 };
    bool heard = false;
    void *a, *b;

    if (keys_create(&f->keys, f->keyring.server, f->keyring.authorised, &err) != 0)
        fail_msg("%s", err.text);
    open_door(f, addresses, 2);
    assert_int_equal(door_address_count(f->door), 2);
    assert_null(strchr(door_address(f->door, 1), '*'));
    a = enter_as(f, ME);
    b = client(f, OTHER);
    use_key(b, keyring_pair(&f->keyring, "bob"), f->keyring.server_pair.public_key);
    enter(f, b, 1);
    say(a, "hello");
    expect(f, me(), "hello");
    say(b, "hello");
    expect(f, "key:bob", "hello");
    assert_int_equal(f->message.socket, 1);
    while (!door_is_quiet(f->door))
        assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);

    edge = (struct pollfd){ .fd = loop_fd(f->loop), .events = POLLIN };
    for (int i = 0; i < 50; i++)
        say(a, "much");
    assert_int_equal(poll(&edge, 1, 60000), 1);
    assert_int_equal(loop_wait(f->loop, 0), 0);
    say(b, "little");
    assert_int_equal(poll(&edge, 1, 60000), 1);
    assert_int_equal(loop_wait(f->loop, 0), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(door_receive(f->door, &f->message), 0);
        heard = heard || f->message.socket == 1;
    }
    assert_true(heard);
}

/* Clients that mean harm, or are gone */

static void
test_an_identity_that_can_be_guessed_is_dropped(void **state)
{
    struct fixture *f = *state;
    void *a, *b;

    open_ipc(f);
    a = enter_as(f, "fifteen bytes..");
    say(a, "hello");
    assert_int_equal(receive(f), DOOR_E_STRANGER);
    b = enter_as(f, "sixteen bytes...");
    say(b, "hello");
    expect(f, me(), "hello");
}

static void
test_nobody_gets_the_replies_of_one_who_is_there(void **state)
{
    struct fixture *f = *state;
    void *ann, *eve, *third;

    open_curve(f);
    ann = enter_with_key(f, ME, "ann");
    say(ann, "hello");
    expect(f, "key:ann", "hello");
    eve = enter_with_key(f, ME, "bob");
    say(eve, "I am you");
    third = enter_with_key(f, OTHER, "bob");
    say(third, "hello");
    expect(f, "key:bob", "hello");
    say(ann, "for me");
    expect(f, "key:ann", "for me");
    assert_int_equal(answer(f, "yours"), 0);
    hear(ann, "yours");
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
    struct fixture *f = *state;
    void *a;

    open_ipc(f);
    a = enter_as(f, ME);
    send_frames(a, 4, 17 * 1024 * 1024);
    send_frames(a, WIRE_FRAMES_MAX, 1);
    say(a, "small");
    assert_int_equal(receive(f), DOOR_E_TOO_LARGE);
    assert_int_equal(receive(f), DOOR_E_TOO_LARGE);
    expect(f, me(), "small");
    send_frames(a, 2, 31 * 1024 * 1024);
    assert_int_equal(receive(f), 0);
    assert_int_equal(f->message.count, 3);
}

static void
test_a_frame_that_is_too_large_cuts_off_its_client_alone(void **state)
{
    struct fixture *f = *state;
    void *monitor = make_socket(f, ZMQ_PAIR), *a, *b;
    char event[64];

    open_ipc(f);
    a = client(f, ME);
    assert_int_equal(zmq_socket_monitor(a, "inproc://monitor", ZMQ_EVENT_DISCONNECTED),
                     0);
    assert_int_equal(zmq_connect(monitor, "inproc://monitor"), 0);
    enter(f, a, 0);
    b = enter_as(f, OTHER);
    send_frames(a, 1, (size_t)DOOR_FRAME_BYTES_MAX + 1);
    assert_true(zmq_recv(monitor, event, sizeof event, 0) > 0);
    say(b, "hello");
    expect(f, me(), "hello");
    assert_true(slice_equals_text(f->message.frames[0], OTHER));
}

static void
test_a_client_that_never_reads_holds_up_itself_alone(void **state)
{
    static const uint8_t bytes[16384];
    struct fixture *f = *state;
    struct slice frames[] = { slice_text(ME), { bytes, sizeof bytes } };
    void *deaf = client(f, ME), *b;
    int one = 1, r;

    open_ipc(f);
    zmq_setsockopt(deaf, ZMQ_RCVHWM, &one, sizeof one);
    enter(f, deaf, 0);
    say(deaf, "hello");
    expect(f, me(), "hello");
    do
        r = door_send(f->door, f->message.socket, frames, 2);
    while (r == 0);
    assert_int_equal(r, DOOR_E_AGAIN);
    b = enter_as(f, OTHER);
    say(b, "hello");
    expect(f, me(), "hello");
    assert_int_equal(answer(f, "world"), 0);
    hear(b, "world");
    assert_int_equal(door_send(f->door, f->message.socket, frames, 2), DOOR_E_AGAIN);
}

static void
test_a_client_that_has_gone_is_told(void **state)
{
    struct fixture *f = *state;
    struct slice frames[] = { slice_text(OTHER), slice_text("hello") };
    void *a;
    int r;

    open_ipc(f);
    assert_int_equal(door_send(f->door, 0, frames, 2), DOOR_E_GONE);
    a = enter_as(f, ME);
    say(a, "hello");
    expect(f, me(), "hello");
    leave(f, a);
    frames[0] = slice_text(ME);
    do { /* until the news is here, which a receive takes in */
        assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);
        r = door_send(f->door, 0, frames, 2);
    } while (r == 0 || r == DOOR_E_AGAIN);
    assert_int_equal(r, DOOR_E_GONE);
}

static void
test_many_clients_are_answered_each(void **state)
{
    struct fixture *f = *state;
    void *clients[CLIENTS];
    char text[16];

    open_ipc(f);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = enter_as(f, NULL);
        snprintf(text, sizeof text, "%d", i);
        say(clients[i], text);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct slice frames[2];

        assert_int_equal(receive(f), 0);
        frames[0] = f->message.frames[0];
        frames[1] = f->message.frames[1];
        assert_int_equal(door_send(f->door, f->message.socket, frames, 2), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(text, sizeof text, "%d", i);
        hear(clients[i], text);
    }
}

static void
test_a_door_is_quiet_until_something_comes_or_is_sent(void **state)
{
    struct fixture *f = *state;
    void *a;

    open_ipc(f);
    assert_false(door_is_quiet(f->door)); /* not looked at yet */
    assert_int_equal(door_receive(f->door, &f->message), DOOR_E_AGAIN);
    assert_true(door_is_quiet(f->door));
    a = enter_as(f, ME);
    say(a, "hello");
    expect(f, me(), "hello");
    assert_int_equal(answer(f, "world"), 0);
    assert_false(door_is_quiet(f->door));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_owner_on_ipc_is_the_user_of_the_process),
        TEST(test_an_ipc_socket_is_a_file_of_this_user_alone_that_goes_away),
        TEST(test_a_client_cannot_say_who_it_is_on_ipc),
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
        TEST(test_an_identity_that_can_be_guessed_is_dropped),
        TEST(test_nobody_gets_the_replies_of_one_who_is_there),
        TEST(test_a_message_that_is_too_large_is_dropped_and_the_next_comes),
        TEST(test_a_frame_that_is_too_large_cuts_off_its_client_alone),
        TEST(test_a_client_that_never_reads_holds_up_itself_alone),
        TEST(test_a_client_that_has_gone_is_told),
        TEST(test_many_clients_are_answered_each),
        TEST(test_a_door_is_quiet_until_something_comes_or_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
