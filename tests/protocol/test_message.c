/* SPDX-License-Identifier: MIT */
#include "protocol/message.h"

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
#include "protocol/json.h"
#include "protocol/replay.h"

#define HEADER                                                                           \
    "{\"msg_id\":\"m1\",\"msg_type\":\"execute_request\",\"session\":\"s1\","            \
    "\"username\":\"u1\",\"version\":\"5.3\",\"date\":\"2026-01-01T00:00:00Z\"}"

static int
init(struct message *message, const char *header, const char *parent, struct error *err)
{
    struct wire wire = { .header = slice_text(header),
                         .parent_header = slice_text(parent),
                         .metadata = slice_text("{}"),
                         .content = slice_text("{\"code\":\"1\"}") };

    return message_init_wire(message, &wire, err);
}

static int
check(const char *type, const char *metadata, const char *content, struct error *err)
{
    struct message message;
    char header[200];
    int r;

    snprintf(header, sizeof header, "{\"msg_id\":\"1\",\"msg_type\":\"%s\"}", type);
    assert_int_equal(init(&message, header, "{}", NULL), 0);
    message.wire.metadata = slice_text(metadata);
    message.wire.content = slice_text(content);
    r = message_check(&message, err);
    assert_int_equal(r == 0, message.content != NULL);
    message_fini(&message);
    message_fini(&message);
    return r;
}

static void
test_the_header_s_members_are_read(void **state)
{
    struct message message;

    (void)state;
    assert_int_equal(init(&message, HEADER, "{}", NULL), 0);
    assert_string_equal(message.id, "m1");
    assert_string_equal(message.type, "execute_request");
    assert_string_equal(message.session, "s1");
    assert_string_equal(message.username, "u1");
    assert_string_equal(message.subshell_id, "");
    assert_string_equal(message.parent_id, "");
    assert_null(message.content);
    assert_true(slice_equals_text(message.wire.header, HEADER));
}

static void
test_session_and_user_name_may_be_absent_or_null(void **state)
{
    struct message message;

    (void)state;
    assert_int_equal(init(&message,
                          "{\"msg_id\":\"1\",\"msg_type\":\"x\",\"username\":null,"
                          "\"subshell_id\":\"sub\"}",
                          "{\"msg_id\":\"p1\"}", NULL),
                     0);
    assert_string_equal(message.session, "");
    assert_string_equal(message.username, "");
    assert_string_equal(message.subshell_id, "sub");
    assert_string_equal(message.parent_id, "p1");
}

static void
test_a_header_that_nobody_can_be_answered_by_is_bad(void **state)
{
    static const char *const headers[] = {
        "",
        "[]",
        "{",
        "null",
        "{}",
        "{\"msg_id\":\"1\"}",
        "{\"msg_type\":\"x\"}",
        "{\"msg_id\":\"\",\"msg_type\":\"x\"}",
        "{\"msg_id\":1,\"msg_type\":\"x\"}",
        "{\"msg_id\":\"1\",\"msg_type\":null}",
        "{\"msg_id\":\"1\",\"msg_type\":\"x\\u0000y\"}",
        "{\"msg_id\":\"1\",\"msg_type\":\"x\",\"session\":7}",
        "{\"msg_id\":\"1\",\"msg_type\":\"x\",\"username\":{}}",
        "{\"msg_id\":\"1\",\"msg_type\":\"x\",\"subshell_id\":[]}",
        "{\"msg_id\":\"1\",\"msg_type\":\"x\"} ,",
        "{\"msg_id\":\"1\",\"msg_type\":\"\xff\"}",
    };
    struct message message;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(headers); i++) {
        struct error err = { 0 };

        if (init(&message, headers[i], "{}", &err) != WIRE_E_BAD_HEADER)
            fail_msg("%s", headers[i]);
        assert_int_equal(err.code, WIRE_E_BAD_HEADER);
    }
}

static void
test_ids_are_bounded(void **state)
{
    char header[1000], id[MESSAGE_ID_BYTES + 1];
    struct message message;

    (void)state;
    memset(id, 'x', sizeof id);
    for (int length = MESSAGE_ID_BYTES - 1; length <= MESSAGE_ID_BYTES; length++) {
        snprintf(header, sizeof header, "{\"msg_id\":\"%.*s\",\"msg_type\":\"x\"}",
                 length, id);
        assert_int_equal(init(&message, header, "{}", NULL),
                         length < MESSAGE_ID_BYTES ? 0 : WIRE_E_BAD_HEADER);
    }
    for (int length = MESSAGE_TYPE_BYTES - 1; length <= MESSAGE_TYPE_BYTES; length++) {
        snprintf(header, sizeof header, "{\"msg_id\":\"1\",\"msg_type\":\"%.*s\"}",
                 length, id);
        assert_int_equal(init(&message, header, "{}", NULL),
                         length < MESSAGE_TYPE_BYTES ? 0 : WIRE_E_BAD_HEADER);
    }
}

static void
test_a_parent_must_be_an_object_but_its_id_may_be_anything(void **state)
{
    struct message message;

    (void)state;
    assert_int_equal(init(&message, HEADER, "null", NULL), WIRE_E_BAD_HEADER);
    assert_int_equal(init(&message, HEADER, "", NULL), WIRE_E_BAD_HEADER);
    assert_int_equal(init(&message, HEADER, "{\"msg_id\":7}", NULL), 0);
    assert_string_equal(message.parent_id, "");
}

static void
test_a_header_nested_too_deep_is_bad(void **state)
{
    char header[1000] = "{\"msg_id\":\"1\",\"msg_type\":\"x\",\"a\":";
    struct message message;
    size_t used = strlen(header);

    (void)state;
    memset(header + used, '[', MESSAGE_DEPTH_MAX);
    memset(header + used + MESSAGE_DEPTH_MAX, ']', MESSAGE_DEPTH_MAX);
    header[used + 2 * MESSAGE_DEPTH_MAX] = '}';
    assert_int_equal(init(&message, header, "{}", NULL), WIRE_E_BAD_HEADER);
}

static void
test_frames_are_opened_and_read_in_one(void **state)
{
    const struct slice parts[] = { slice_text(HEADER), { 0 }, { 0 }, slice_text("{}") };
    char signature[SIGNATURE_HEX_BYTES + 1];
    struct slice frames[WIRE_FIXED_FRAMES];
    struct signature_key *key = NULL;
    struct replay *replay = NULL;
    struct message message;

    (void)state;
    assert_int_equal(signature_key_create(&key, slice_text("k")), 0);
    assert_int_equal(replay_create(&replay, 4), 0);
    wire_compose(frames, signature, key, parts);
    assert_int_equal(
        message_init(&message, frames, N_ELEMENTS(frames), key, replay, NULL), 0);
    assert_string_equal(message.id, "m1");
    assert_int_equal(
        message_init(&message, frames, N_ELEMENTS(frames), key, replay, NULL),
        WIRE_E_REPLAYED);
    replay_destroy(replay);
    signature_key_destroy(key);
}

static void
test_content_is_parsed_and_its_defaults_filled_in(void **state)
{
    struct message message;

    (void)state;
    assert_int_equal(init(&message, HEADER, "{}", NULL), 0);
    assert_int_equal(message_check(&message, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(message.content, "code")), "1");
    assert_true(json_is_true(json_object_get(message.content, "stop_on_error")));
    assert_int_equal(message_check(&message, NULL), 0); /* again: nothing leaks */
    message_fini(&message);
    assert_null(message.content);
}

static void
test_an_unknown_type_is_told_before_its_content_is_looked_at(void **state)
{
    (void)state;
    assert_int_equal(check("no_such_request", "{}", "garbage", NULL),
                     MESSAGE_E_UNKNOWN_TYPE);
    assert_int_equal(check("execute_reply", "{}", "{}", NULL), MESSAGE_E_UNKNOWN_TYPE);
}

static void
test_bad_content_or_metadata_is_invalid_and_named(void **state)
{
    static const struct {
        const char *metadata, *content, *text;
    } rows[] = {
        { "{}", "{\"code\":7}",
          "execute_request: field code: expected a string, got an integer" },
        { "{}", "[]", "content: expected an object, got an array" },
        { "{}", "", "content: JSON of no bytes" },
        { "{}", "{\"code\":\"\xff\"}", "content: not JSON at byte 9: not UTF-8" },
        { "[]", "{\"code\":\"\"}", "metadata: expected an object, got an array" },
        { "", "{\"code\":\"\"}", "metadata: JSON of no bytes" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        struct error err = { 0 };

        assert_int_equal(
            check("execute_request", rows[i].metadata, rows[i].content, &err),
            MESSAGE_E_INVALID);
        assert_string_equal(err.text, rows[i].text);
    }
}

static void
test_content_that_jansson_would_refuse_is_taken(void **state)
{
    (void)state;
    assert_int_equal(check("execute_request", "{}", "{\"code\":\"'\\ud800'\"}", NULL), 0);
    assert_int_equal(check("execute_request", "{}", "{\"code\":\"'\\u0000'\"}", NULL), 0);
    assert_int_equal(check("comm_msg", "{}",
                           "{\"comm_id\":\"1\",\"data\":{\"a\\u0000\":"
                           "1180591620717411303424}}",
                           NULL),
                     0);
}

static void
test_content_of_a_foreign_type_must_only_be_an_object(void **state)
{
    struct message message;

    (void)state;
    assert_int_equal(init(&message,
                          "{\"msg_id\":\"1\",\"msg_type\":\"run_code_request\"}", "{}",
                          NULL),
                     0);
    assert_int_equal(message_check(&message, NULL), MESSAGE_E_UNKNOWN_TYPE);
    assert_int_equal(message_check_object(&message, NULL), 0);
    assert_non_null(message.content);
    message_fini(&message);
    message.wire.content = slice_text("7");
    assert_int_equal(message_check_object(&message, NULL), MESSAGE_E_INVALID);
}

static void
test_our_headers_have_all_members(void **state)
{
    struct message_header header = {
        .id = "i\"d", .session = "s", .username = "u\xff", .type = "status", .time_us = 1
    };
    struct buffer out;

    (void)state;
    buffer_init(&out, 1000);
    assert_int_equal(message_append_header(&out, &header), 0);
    assert_true(slice_equals_text(
        buffer_slice(&out),
        "{\"msg_id\":\"i\\\"d\",\"session\":\"s\",\"username\":\"u\xef\xbf\xbd\","
        "\"date\":\"1970-01-01T00:00:00.000001Z\",\"msg_type\":\"status\","
        "\"version\":\"5.5\"}"));
    buffer_clear(&out, 0);
    header.subshell_id = "sub";
    assert_int_equal(message_append_header(&out, &header), 0);
    assert_int_equal(
        json_scan_object(buffer_slice(&out), &(struct json_limits){ 1000, 1 }, NULL), 0);
    buffer_fini(&out);
}

static void
test_a_header_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    struct message_header header = { "i", "s", "u", "t", 0, "x" };
    size_t whole;
    struct buffer out;

    (void)state;
    buffer_init(&out, 1000);
    assert_int_equal(message_append_header(&out, &header), 0);
    whole = out.length;
    buffer_fini(&out);
    for (size_t limit = 2; limit < whole + 2; limit++) {
        buffer_init(&out, limit);
        assert_int_equal(buffer_append_text(&out, "ab"), 0);
        assert_int_equal(message_append_header(&out, &header), BUFFER_E_FULL);
        assert_int_equal(out.length, 2);
        buffer_fini(&out);
    }
}

static void
test_ids_are_the_session_and_a_counter(void **state)
{
    char id[MESSAGE_ID_BYTES], session[300];

    (void)state;
    message_make_id(id, "abc", UINT64_MAX);
    assert_string_equal(id, "abc_18446744073709551615");
    memset(session, 's', sizeof session - 1);
    session[sizeof session - 1] = '\0';
    message_make_id(id, session, 7);
    assert_int_equal(strlen(id), 202);
    assert_string_equal(id + 200, "_7");
}

static void
test_dates_are_iso_8601_in_utc_with_microseconds(void **state)
{
    static const struct {
        int64_t time_us;
        const char *date;
    } rows[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { INT64_C(951827696) * 1000000 + 123456, "2000-02-29T12:34:56.123456Z" },
        { INT64_C(1767225599) * 1000000 + 999999, "2025-12-31T23:59:59.999999Z" },
        { INT64_C(253402300799) * 1000000 + 999999, "9999-12-31T23:59:59.999999Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999999Z" },
        { -1, "1970-01-01T00:00:00.000000Z" },
        { INT64_MIN, "1970-01-01T00:00:00.000000Z" },
    };
    char date[MESSAGE_DATE_BYTES];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
        message_format_date(date, rows[i].time_us);
        assert_string_equal(date, rows[i].date);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_header_s_members_are_read),
        cmocka_unit_test(test_session_and_user_name_may_be_absent_or_null),
        cmocka_unit_test(test_a_header_that_nobody_can_be_answered_by_is_bad),
        cmocka_unit_test(test_ids_are_bounded),
        cmocka_unit_test(test_a_parent_must_be_an_object_but_its_id_may_be_anything),
        cmocka_unit_test(test_a_header_nested_too_deep_is_bad),
        cmocka_unit_test(test_frames_are_opened_and_read_in_one),
        cmocka_unit_test(test_content_is_parsed_and_its_defaults_filled_in),
        cmocka_unit_test(test_an_unknown_type_is_told_before_its_content_is_looked_at),
        cmocka_unit_test(test_bad_content_or_metadata_is_invalid_and_named),
        cmocka_unit_test(test_content_that_jansson_would_refuse_is_taken),
        cmocka_unit_test(test_content_of_a_foreign_type_must_only_be_an_object),
        cmocka_unit_test(test_our_headers_have_all_members),
        cmocka_unit_test(test_a_header_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(test_ids_are_the_session_and_a_counter),
        cmocka_unit_test(test_dates_are_iso_8601_in_utc_with_microseconds),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
