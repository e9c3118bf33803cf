/* SPDX-License-Identifier: MIT */
/* What the agent service keeps of executions, and its answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/agent/bounds.h"
#include "kernel/agent/events.h"
#include "kernel/agent/fields.h"
#include "kernel/agent/refusal.h"
#include "kernel/agent/tally.h"
#include "protocol/cleanup.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/tree.h"
#include "tests/fault/allocation.h"

static int
run_events(void)
{
    const struct slice buffers[] = { slice_text("one"), slice_text("two") };
    const struct event_parts parts = { .type = "stream",
                                       .content = slice_text("{}"),
                                       .buffers = buffers,
                                       .buffer_count = 2 };
    struct events *events = NULL;
    int r = events_create(&events, 1 << 20);

    for (uint64_t i = 1; r == 0 && i <= 20; i++) { /* its ring grows on the way */
        r = events_add(events, &parts);
        assert_int_equal(events_next_seq(events), r == 0 ? i + 1 : i);
        assert_int_equal(events_missed(events, 0), 0);
    }
    events_destroy(events);
    return r;
}

static int
tell(struct tally *tally, enum frame_type type, const char *content)
{
    const struct frame frame = { .type = type, .content = slice_text(content) };

    return tally_add_frame(tally, &frame);
}

static int
fill(struct tally *tally)
{
    int r = tally_add_text(tally, false, slice_text("out"));

    if (r == 0)
        r = tally_add_text(tally, true, slice_text("err"));
    for (int i = 0; r == 0 && i < 10; i++)
        r = tell(tally, FRAME_DISPLAY_DATA,
                 "{\"data\":1,\"transient\":{\"display_id\":\"a\"}}");
    if (r == 0)
        r = tell(tally, FRAME_UPDATE_DISPLAY_DATA,
                 "{\"data\":22,\"transient\":{\"display_id\":\"a\"}}");
    return r;
}

/* It can be told of what it has, and be cleared, whatever it could not take. */
static int
run_tally(void)
{
    static const struct json_limits limits = { 1 << 20, 8 };
    struct tally *tally = NULL;
    struct buffer out;
    int r = tally_create(&tally, 1 << 20), r2;

    if (r < 0)
        return r;
    buffer_init(&out, 1 << 20);
    r = fill(tally);
    r2 = buffer_append_text(&out, "{");
    if (r2 == 0)
        r2 = tally_append(tally, &out);
    if (r2 == 0)
        r2 = buffer_append_text(&out, "}");
    if (r2 == 0)
        assert_int_equal(json_scan_object(buffer_slice(&out), &limits, NULL), 0);
    assert_int_equal(tell(tally, FRAME_CLEAR_OUTPUT, "{}"), 0);
    buffer_fini(&out);
    tally_destroy(tally);
    return r != 0 ? r : r2;
}

/* The code and the sentence are always there. */
static int
run_refusal(void)
{
    static const struct json_limits limits = { 1 << 20, 8 };
    static const struct field fields[] = { { .name = NULL } };
    CLEANUP(tree_decrefp) json_t *content = NULL;
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };
    struct slice code;
    struct buffer out;
    int r = tree_load_object(&content, slice_text("{\"a\":1}"), &limits, NULL);

    if (r != 0)
        return r;
    assert_int_equal(fields_check(fields, content, &no), AGENT_E_REFUSED);
    refusal_detail(&no, "more", json_integer(2));
    assert_int_equal(no.code, REFUSAL_INVALID_ARGUMENT);
    assert_string_equal(no.message, "\"a\" is not a member of this request");
    buffer_init(&out, 1 << 20);
    r = refusal_append(&no, &out);
    if (r == 0) {
        assert_int_equal(json_scan_object(buffer_slice(&out), &limits, NULL), 0);
        assert_int_equal(json_member(buffer_slice(&out), "code", &code), 0);
        assert_true(slice_equals_text(code, "\"INVALID_ARGUMENT\""));
    }
    buffer_fini(&out);
    return r;
}

static int
run_bounds(void)
{
    struct agent_bounds bounds;
    CLEANUP(tree_decrefp) json_t *told = NULL;
    CLEANUP(tree_decrefp) json_t *limits = NULL;

    bounds_init(&bounds);
    told = bounds_describe(&bounds);
    limits = bounds_describe_limits(&bounds.defaults);
    return told == NULL || limits == NULL ? -ENOMEM : 0;
}

static void
test_a_log_survives_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_events, false);
}

static void
test_results_survive_every_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_tally, false);
}

static void
test_a_refusal_is_told_with_less_after_a_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_refusal, true);
}

static void
test_bounds_are_told_with_less_after_a_failing_allocation(void **state)
{
    (void)state;
    allocation_fail_each(run_bounds, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_log_survives_every_failing_allocation),
        cmocka_unit_test(test_results_survive_every_failing_allocation),
        cmocka_unit_test(test_a_refusal_is_told_with_less_after_a_failing_allocation),
        cmocka_unit_test(test_bounds_are_told_with_less_after_a_failing_allocation),
    };

    allocation_hook_jansson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
