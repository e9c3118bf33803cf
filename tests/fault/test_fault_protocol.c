/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/connection.h"
#include "protocol/error.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/message.h"
#include "protocol/replay.h"
#include "protocol/schema.h"
#include "protocol/text.h"
#include "protocol/tree.h"
#include "tests/fault/allocation.h"

static int
run_frame(void)
{
    const struct slice buffers[] = { slice_text("one"), slice_text("two") };
    const struct frame frame = { .type = FRAME_DISPLAY_DATA,
                                 .sequence = 1,
                                 .content = slice_text("{}"),
                                 .buffers = buffers,
                                 .buffer_count = 2 };
    struct frame_reader reader;
    struct buffer bytes;
    struct frame got;
    int r;

    buffer_init(&bytes, FRAME_BYTES_MAX);
    frame_reader_init(&reader, FRAME_FROM_RUNNER);
    r = frame_encode(&bytes, &frame, FRAME_FROM_RUNNER, NULL);
    if (r == 0)
        r = frame_reader_take(&reader, bytes.data, bytes.length, &got, NULL);
    frame_reader_fini(&reader);
    buffer_fini(&bytes);
    return r;
}

static int
run_text(void)
{
    struct buffer out;
    int r;

    buffer_init(&out, 100000);
    r = text_append_json(&out, "a\n\xff", 3);
    if (r == 0)
        r = text_append_utf8(&out, "a\xff", 2);
    if (r == 0)
        r = buffer_append_format(&out, "%1000d", 7);
    buffer_fini(&out);
    return r;
}

static int
run_decode(void)
{
    struct buffer out;
    int r;

    buffer_init(&out, 100);
    r = json_decode_string(slice_text("\"a\\n\\u00e4\""), &out);
    buffer_fini(&out);
    return r;
}

static int
run_tree(void)
{
    static const struct json_limits limits = { 1000, 10 };
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    struct buffer out;
    int r;

    r = tree_load_object(&tree,
                         slice_text("{\"a\\u0000\":[1,2.5,\"x\\ud800\",{\"b\":true}],"
                                    "\"c\":1180591620717411303424,\"d\":-1e999}"),
                         &limits, NULL);
    if (r != 0)
        return r;
    buffer_init(&out, 1000);
    r = tree_append(&out, tree, JSON_COMPACT);
    buffer_fini(&out);
    return r;
}

static int
run_header(void)
{
    static const struct message_header header = { "i", "s", "u", "t", 7, "x" };
    struct buffer out;
    int r;

    buffer_init(&out, 1000);
    r = message_append_header(&out, &header);
    buffer_fini(&out);
    return r;
}

/* A message from its composition to its checked content. */
static int
run_message(const char *type, const char *content)
{
    char header[200], signature[SIGNATURE_HEX_BYTES + 1];
    struct slice frames[WIRE_FIXED_FRAMES], parts[SIGNATURE_PARTS] = { 0 };
    struct signature_key *key = NULL;
    struct replay *replay = NULL;
    struct message message;
    int r;

    snprintf(header, sizeof header, "{\"msg_id\":\"1\",\"msg_type\":\"%s\"}", type);
    parts[0] = slice_text(header);
    parts[3] = slice_text(content);
    r = signature_key_create(&key, slice_text("secret"));
    if (r == 0)
        r = replay_create(&replay, 4);
    if (r == 0) {
        wire_compose(frames, signature, key, parts);
        r = message_init(&message, frames, N_ELEMENTS(frames), key, replay, NULL);
    }
    if (r == 0) {
        r = message_check(&message, NULL);
        message_fini(&message);
    }
    replay_destroy(replay);
    signature_key_destroy(key);
    return r;
}

static int
run_execute_request(void)
{
    return run_message("execute_request",
                       "{\"code\":\"1+1\",\"silent\":true,\"user_expressions\":null}");
}

static int
run_inspect_request(void)
{
    return run_message("inspect_request", "{\"code\":\"abc\",\"omit_sections\":[\"x\"]}");
}

static int
run_history_request(void)
{
    return run_message("history_request",
                       "{\"hist_access_type\":\"search\",\"stop\":null}");
}

static int
run_comm_msg(void)
{
    return run_message("comm_msg", "{\"comm_id\":\"1\",\"data\":{\"a\":[\"\\ud800\"]}}");
}

static int
run_connection(void)
{
    struct connection c;
    struct buffer out;
    int r;

    r = connection_init(&c,
                        slice_text("{\"shell_port\":0,\"key\":\"k\",\"ip\":\"1.2.3.4\","
                                   "\"other\":{\"x\":[1]}}"),
                        NULL);
    if (r != 0)
        return r;
    buffer_init(&out, 10000);
    r = connection_set_port(&c, CONNECTION_HB, 7);
    if (r == 0)
        r = connection_append(&c, &out);
    buffer_fini(&out);
    connection_fini(&c);
    return r;
}

static void
test_frames_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_frame, false);
}

static void
test_text_and_strings_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_text, false);
    allocation_fail_each(run_decode, false);
    allocation_fail_each(run_header, false);
}

static void
test_trees_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_tree, false);
}

static void
test_messages_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_execute_request, false);
    allocation_fail_each(run_inspect_request, false);
    allocation_fail_each(run_history_request, false);
    allocation_fail_each(run_comm_msg, false);
}

static void
test_connection_files_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_connection, false);
}

static int
hook(void **state)
{
    (void)state;
    allocation_hook_jansson();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_survive_every_failing_allocation),
        cmocka_unit_test(test_text_and_strings_survive_every_failing_allocation),
        cmocka_unit_test(test_trees_survive_every_failing_allocation),
        cmocka_unit_test(test_messages_survive_every_failing_allocation),
        cmocka_unit_test(test_connection_files_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("fault_protocol", tests, hook, NULL);
}
