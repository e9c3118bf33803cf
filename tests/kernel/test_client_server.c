/* SPDX-License-Identifier: MIT */
#include "kernel/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/kernel/folder.h"

static int
read_text(struct client_server *ret, const char *text, struct error *err)
{
    return client_server_read(ret, slice_text(text), err);
}

static void
test_members_are_read(void **state)
{
    struct client_server server;

    (void)state;
    assert_int_equal(read_text(&server,
                               "{\"endpoint\": \"tcp://h:1\", \"key\": \"k\", "
                               "\"signature_scheme\": \"hmac-sha256\", "
                               "\"server_public_key\": \"s\", \"public_key\": \"p\", "
                               "\"secret_key\": \"q\", \"pid\": 1, \"future\": {}}",
                               NULL),
                     0);
    assert_string_equal(server.endpoint, "tcp://h:1");
    assert_string_equal(server.key, "k");
    assert_string_equal(server.server_public_key, "s");
    assert_string_equal(server.public_key, "p");
    assert_string_equal(server.secret_key, "q");
    client_server_fini(&server);
    assert_string_equal(server.secret_key, "");
}

static void
test_what_cannot_be_used_is_refused(void **state)
{
    static const char *const texts[][2] = {
        { "[]", "" },
        { "{}", "no endpoint" },
        { "{\"endpoint\": 1}", "endpoint is not a string" },
        { "{\"endpoint\": \"http://x\"}", "ipc:// or tcp://" },
        { "{\"endpoint\": \"ipc:///x\", \"signature_scheme\": \"md5\"}", "md5" },
        { "{\"endpoint\": \"tcp://x\", \"public_key\": \"p\"}", "come together" },
        { "{\"endpoint\": \"tcp://x\", \"public_key\": "
          "\"01234567890123456789012345678901234567890\"}",
          "less than 41 bytes" },
        { "{\"endpoint\": \"ipc:///a\\u0000b\"}", "endpoint is not a string" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct client_server server;
        struct error err = { 0 };

        assert_int_equal(read_text(&server, texts[i][0], &err), CLIENT_E_FAILED);
        assert_non_null(strstr(err.text, texts[i][1]));
    }
}

static void
test_a_server_that_has_ended_is_none(void **state)
{
    CLEANUP(close_fdp) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct folder folder;
    struct client_server server;
    char path[PATH_MAX + 32], text[PATH_MAX + 64];

    (void)state;
    folder_init(&folder, "{}");
    snprintf(path, sizeof path, "%s/server.json", folder.path);
    assert_int_equal(client_server_find(&server, path, NULL), CLIENT_E_NONE);
    snprintf(address.sun_path, sizeof address.sun_path, "%.90s/agent.sock", folder.path);
    snprintf(text, sizeof text, "{\"endpoint\": \"ipc://%s\"}", address.sun_path);
    assert_int_equal(file_write(path, slice_text(text), 0600, NULL), 0);
    assert_int_equal(client_server_find(&server, path, NULL), CLIENT_E_NONE);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(client_server_find(&server, path, NULL), CLIENT_E_NONE);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(client_server_find(&server, path, NULL), 0);
    folder_fini(&folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_read),
        cmocka_unit_test(test_what_cannot_be_used_is_refused),
        cmocka_unit_test(test_a_server_that_has_ended_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
