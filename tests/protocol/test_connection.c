/* SPDX-License-Identifier: MIT */
#include "protocol/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define PORTS                                                                            \
    "\"shell_port\":1001,\"iopub_port\":1002,\"stdin_port\":1003,\"control_port\":1004," \
    "\"hb_port\":1005"
#define REST "\"key\":\"k\",\"signature_scheme\":\"hmac-sha256\""
#define TCP "\"ip\":\"127.0.0.1\",\"transport\":\"tcp\""
#define Z85 "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static int
read_file(struct connection *c, const char *text)
{
    struct error err = { 0 };
    int r = connection_init(c, slice_text(text), &err);

    if (r != 0)
        assert_int_equal(err.code, r);
    return r;
}

static void
assert_refused(const char *text, const char *expected)
{
    struct error err = { 0 };
    struct connection c;

    if (connection_init(&c, slice_text(text), &err) != CONNECTION_E_INVALID)
        fail_msg("%s was taken", text);
    assert_string_equal(err.text, expected);
}

static void
assert_endpoint(const char *text, const char *expected)
{
    char endpoint[CONNECTION_ENDPOINT_BYTES];
    struct connection c;

    assert_int_equal(read_file(&c, text), 0);
    assert_int_equal(connection_endpoint(&c, CONNECTION_SHELL, endpoint, NULL), 0);
    assert_string_equal(endpoint, expected);
    connection_fini(&c);
}

static void
test_a_file_of_jupyter_client_is_read(void **state)
{
    struct connection c;

    (void)state;
    assert_int_equal(read_file(&c, "{" PORTS "," TCP "," REST
                                   ",\"kernel_name\":\"python3\",\"jupyter_session\":"
                                   "\"/home/u/a.ipynb\"}"),
                     0);
    assert_false(c.ipc);
    assert_string_equal(c.ip, "127.0.0.1");
    assert_int_equal(c.ports[CONNECTION_SHELL], 1001);
    assert_int_equal(c.ports[CONNECTION_IOPUB], 1002);
    assert_int_equal(c.ports[CONNECTION_STDIN], 1003);
    assert_int_equal(c.ports[CONNECTION_CONTROL], 1004);
    assert_int_equal(c.ports[CONNECTION_HB], 1005);
    assert_true(slice_equals_text(c.key, "k"));
    assert_string_equal(c.kernel_name, "python3");
    assert_false(c.curve);
    connection_fini(&c);
}

static void
test_ports_may_be_strings_absent_or_zero(void **state)
{
    struct connection c;

    (void)state;
    assert_int_equal(read_file(&c, "{" TCP "," REST ",\"shell_port\":\"65535\","
                                   "\"iopub_port\":\"0\",\"hb_port\":0}"),
                     0);
    assert_int_equal(c.ports[CONNECTION_SHELL], 65535);
    assert_int_equal(c.ports[CONNECTION_IOPUB], 0);
    assert_int_equal(c.ports[CONNECTION_HB], 0);
    assert_int_equal(c.ports[CONNECTION_CONTROL], 0);
    connection_fini(&c);
}

static void
test_what_is_no_port_is_refused(void **state)
{
    static const char *const ports[] = {
        "65536",     "-1",     "1.5",  "\"\"", "\"x\"",      "\"-1\"",
        "\"65536\"", "\" 1\"", "true", "[]",   "\"000001\"", "\"1\\u0000\""
    };
    char text[300];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(ports); i++) {
        snprintf(text, sizeof text, "{" TCP "," REST ",\"hb_port\":%s}", ports[i]);
        assert_refused(text, "connection file: hb_port is not a port (0 to 65535)");
    }
}

static void
test_two_equal_ports_are_refused(void **state)
{
    (void)state;
    assert_refused("{" TCP "," REST ",\"shell_port\":5,\"hb_port\":\"5\"}",
                   "connection file: shell_port and hb_port are both 5");
}

static void
test_only_tcp_and_ipc_are_transports(void **state)
{
    (void)state;
    assert_refused("{\"transport\":\"udp\"," REST "}",
                   "connection file: transport is neither tcp nor ipc");
    assert_refused("{\"transport\":7," REST "}",
                   "connection file: transport is not a string");
    assert_refused("{\"transport\":\"tcp\\u0000\"," REST "}",
                   "connection file: transport has 4 bytes, at most 7, or a NUL");
}

static void
test_an_ip_that_would_change_the_endpoint_is_refused(void **state)
{
    static const char *const ips[] = { "1.2.3.4/", "a b", "x\\n", "127.0.0.1;x",
                                       "[::1]" };
    char text[300];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(ips); i++) {
        snprintf(text, sizeof text, "{\"ip\":\"%s\"," REST "}", ips[i]);
        assert_refused(text, "connection file: ip is not an address");
    }
}

static void
test_a_missing_key_is_refused_but_an_empty_one_turns_signing_off(void **state)
{
    struct connection c;

    (void)state;
    assert_refused("{" TCP "}", "connection file: key is missing (an empty one turns "
                                "signing off)");
    assert_refused("{" TCP ",\"key\":1}", "connection file: key is not a string");
    assert_int_equal(read_file(&c, "{\"key\":\"\"}"), 0);
    assert_int_equal(c.key.length, 0);
    assert_string_equal(c.ip, "127.0.0.1");
    connection_fini(&c);
}

static void
test_a_key_may_hold_any_bytes(void **state)
{
    struct connection c;

    (void)state;
    assert_int_equal(read_file(&c, "{\"key\":\"a\\u0000b\"}"), 0);
    assert_int_equal(c.key.length, 3);
    assert_memory_equal(c.key.data, "a\0b", 3);
    connection_fini(&c);
}

static void
test_another_scheme_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"key\":\"k\",\"signature_scheme\":\"hmac-md5\"}",
                   "connection file: signature_scheme is not hmac-sha256, the only one "
                   "supported");
}

static void
test_curve_needs_both_keys(void **state)
{
    struct connection c;

    (void)state;
    assert_int_equal(read_file(&c, "{\"key\":\"\",\"curve_publickey\":\"" Z85
                                   "\",\"curve_secretkey\":\"" Z85 "\"}"),
                     0);
    assert_true(c.curve);
    assert_string_equal(c.curve_public_key, Z85);
    assert_string_equal(c.curve_secret_key, Z85);
    connection_fini(&c);
    assert_refused("{\"key\":\"\",\"curve_publickey\":\"" Z85 "\"}",
                   "connection file: curve_publickey is there without curve_secretkey: "
                   "both are needed, or neither");
    assert_refused("{\"key\":\"\",\"curve_secretkey\":\"" Z85 "\"}",
                   "connection file: curve_secretkey is there without curve_publickey: "
                   "both are needed, or neither");
}

static void
test_a_curve_key_is_40_characters_of_z85(void **state)
{
    (void)state;
    assert_refused("{\"key\":\"\",\"curve_publickey\":\"short\"}",
                   "connection file: curve_publickey is not a key of 40 Z85 characters");
    assert_refused("{\"key\":\"\",\"curve_publickey\":\"" Z85 "x\"}",
                   "connection file: curve_publickey has 41 bytes, at most 40, or a NUL");
    assert_refused("{\"key\":\"\",\"curve_publickey\":\"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*"
                   "[IaLV{hI~\"}",
                   "connection file: curve_publickey is not a key of 40 Z85 characters");
}

static void
test_a_registration_file_is_told_apart(void **state)
{
    struct error err = { 0 };
    struct connection c;

    (void)state;
    assert_int_equal(
        connection_init(&c,
                        slice_text("{\"registration_port\":5555,\"registration_ip\":"
                                   "\"127.0.0.1\",\"key\":\"k\"}"),
                        &err),
        CONNECTION_E_REGISTRATION);
    assert_string_equal(err.text,
                        "connection file: this is a registration file (it has "
                        "registration_port): only connection files are supported");
}

static void
test_what_is_no_json_object_is_refused(void **state)
{
    (void)state;
    assert_refused("", "connection file: JSON of no bytes");
    assert_refused("[]", "connection file: expected an object, got an array");
    assert_refused("{", "connection file: JSON ends too early, at byte 1");
}

static void
test_a_file_has_a_largest_size(void **state)
{
    CLEANUP(freep) uint8_t *text = malloc(CONNECTION_BYTES_MAX + 1);
    struct connection c;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', CONNECTION_BYTES_MAX + 1);
    memcpy(text, "{\"key\":\"\"}", 10);
    assert_int_equal(
        connection_init(&c, (struct slice){ text, CONNECTION_BYTES_MAX }, NULL), 0);
    connection_fini(&c);
    assert_int_equal(
        connection_init(&c, (struct slice){ text, CONNECTION_BYTES_MAX + 1 }, NULL),
        CONNECTION_E_INVALID);
}

static void
test_endpoints_of_tcp(void **state)
{
    (void)state;
    assert_endpoint("{" TCP "," PORTS "," REST "}", "tcp://127.0.0.1:1001");
    assert_endpoint("{" REST "}", "tcp://127.0.0.1:*");
    assert_endpoint("{\"ip\":\"::1\",\"shell_port\":7," REST "}", "tcp://[::1]:7");
    assert_endpoint("{\"ip\":\"*\",\"shell_port\":7," REST "}", "tcp://*:7");
}

static void
test_endpoints_of_ipc_are_paths_with_a_number(void **state)
{
    (void)state;
    assert_endpoint("{\"transport\":\"ipc\",\"ip\":\"/run/u/kernel 1-ipc\","
                    "\"shell_port\":3," REST "}",
                    "ipc:///run/u/kernel 1-ipc-3");
    assert_refused("{\"transport\":\"ipc\",\"shell_port\":3," REST "}",
                   "connection file: ip is missing: for ipc it is the beginning of a "
                   "path");
}

static void
test_an_ipc_path_must_fit_into_a_socket_address(void **state)
{
    char endpoint[CONNECTION_ENDPOINT_BYTES], text[400], ip[200];
    struct connection c;

    (void)state;
    memset(ip, 'x', sizeof ip);
    for (int length = 105; length <= 106; length++) {
        snprintf(text, sizeof text,
                 "{\"transport\":\"ipc\",\"ip\":\"%.*s\",\"shell_port\":3," REST "}",
                 length, ip);
        assert_int_equal(read_file(&c, text), 0);
        assert_int_equal(connection_endpoint(&c, CONNECTION_SHELL, endpoint, NULL),
                         length == 105 ? 0 : CONNECTION_E_INVALID);
        assert_int_equal(connection_endpoint(&c, CONNECTION_HB, endpoint, NULL),
                         CONNECTION_E_INVALID); /* its port is 0 */
        connection_fini(&c);
    }
}

static void
test_chosen_ports_are_written_and_unknown_members_kept(void **state)
{
    struct connection c;
    struct buffer out;

    (void)state;
    assert_int_equal(
        read_file(&c, "{\"future\":{\"x\":[1,0.1]},\"shell_port\":\"0\",\"key\":\"k\"}"),
        0);
    assert_int_equal(connection_set_port(&c, CONNECTION_SHELL, 40000), 0);
    assert_int_equal(connection_set_port(&c, CONNECTION_HB, 40001), 0);
    assert_int_equal(c.ports[CONNECTION_SHELL], 40000);
    buffer_init(&out, 10000);
    assert_int_equal(connection_append(&c, &out), 0);
    assert_true(slice_equals_text(buffer_slice(&out), "{\n"
                                                      "  \"future\": {\n"
                                                      "    \"x\": [\n"
                                                      "      1,\n"
                                                      "      0.1\n"
                                                      "    ]\n"
                                                      "  },\n"
                                                      "  \"shell_port\": 40000,\n"
                                                      "  \"key\": \"k\",\n"
                                                      "  \"hb_port\": 40001\n"
                                                      "}\n"));
    connection_fini(&c);
    assert_int_equal(connection_init(&c, buffer_slice(&out), NULL), 0);
    assert_int_equal(c.ports[CONNECTION_HB], 40001);
    connection_fini(&c);
    buffer_fini(&out);
}

static void
test_ports_have_names(void **state)
{
    (void)state;
    assert_string_equal(connection_port_name(CONNECTION_SHELL), "shell");
    assert_string_equal(connection_port_name(CONNECTION_IOPUB), "iopub");
    assert_string_equal(connection_port_name(CONNECTION_STDIN), "stdin");
    assert_string_equal(connection_port_name(CONNECTION_CONTROL), "control");
    assert_string_equal(connection_port_name(CONNECTION_HB), "hb");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_of_jupyter_client_is_read),
        cmocka_unit_test(test_ports_may_be_strings_absent_or_zero),
        cmocka_unit_test(test_what_is_no_port_is_refused),
        cmocka_unit_test(test_two_equal_ports_are_refused),
        cmocka_unit_test(test_only_tcp_and_ipc_are_transports),
        cmocka_unit_test(test_an_ip_that_would_change_the_endpoint_is_refused),
        cmocka_unit_test(
            test_a_missing_key_is_refused_but_an_empty_one_turns_signing_off),
        cmocka_unit_test(test_a_key_may_hold_any_bytes),
        cmocka_unit_test(test_another_scheme_is_refused),
        cmocka_unit_test(test_curve_needs_both_keys),
        cmocka_unit_test(test_a_curve_key_is_40_characters_of_z85),
        cmocka_unit_test(test_a_registration_file_is_told_apart),
        cmocka_unit_test(test_what_is_no_json_object_is_refused),
        cmocka_unit_test(test_a_file_has_a_largest_size),
        cmocka_unit_test(test_endpoints_of_tcp),
        cmocka_unit_test(test_endpoints_of_ipc_are_paths_with_a_number),
        cmocka_unit_test(test_an_ipc_path_must_fit_into_a_socket_address),
        cmocka_unit_test(test_chosen_ports_are_written_and_unknown_members_kept),
        cmocka_unit_test(test_ports_have_names),
    };

    return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
