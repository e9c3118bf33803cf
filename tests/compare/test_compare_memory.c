/* SPDX-License-Identifier: MIT */
/* Each allocation of a tree fails in turn: that is told, and nothing is lost. */
#include "tests/compare/ask.h"

#include <errno.h>
#include <stdlib.h>

#define ALLOCATIONS_MAX 100000

static long left; /* allocations that succeed, -1: all of them */

static void *
allocate(size_t size)
{
    if (left == 0)
        return NULL;
    if (left > 0)
        left--;
    return malloc(size);
}

static const char *const requests[] = {
    "{\"settings\": {\"sanitize\": [{\"pattern\": \"z\", \"replace\": \"\"}]}, "
    "\"propose\": "
    "true, \"expected\": [{\"output_type\": \"stream\", \"name\": \"stdout\", \"text\": "
    "[\"took 1.5 s\\n\", \"b\"]}], \"actual\": [{\"output_type\": \"stream\", \"name\": "
    "\"stdout\", \"text\": \"took 2.5 s\\nb\"}]}",
    "{\"settings\": {\"ignore\": [\"/x\"]}, \"expected\": [{\"output_type\": "
    "\"display_data\", \"data\": {\"application/json\": {\"x\": 1, \"a\": [1, 2.5]}, "
    "\"text/html\": \"<p>a\"}}], \"actual\": [{\"output_type\": \"display_data\", "
    "\"data\": {\"application/json\": {\"x\": 2, \"a\": [1, 3.5, null]}, \"text/html\": "
    "\"<p>b\"}}]}",
    "{\"settings\": {}, \"expected\": [{\"output_type\": \"error\", \"ename\": \"E\", "
    "\"evalue\": [\"a\", \"b\"]}], \"actual\": [{\"output_type\": \"display_data\", "
    "\"data\": {\"text/plain\": [\"a\", \"b\"]}}, {\"output_type\": \"error\"}]}",
    "{\"settings\": {\"rtol\": -1}, \"expected\": [], \"actual\": []}",
};

/* The number of allocations that it takes. */
static long
check_request(const json_t *request, const json_t *wanted)
{
    for (long n = 0; n < ALLOCATIONS_MAX; n++) {
        json_t *answer = NULL;
        int r;

        left = n;
        r = compare_answer(&answer, request);
        left = -1;
        if (r == 0) {
            assert_true(json_equal(answer, wanted));
            json_decref(answer);
            return n;
        }
        assert_int_equal(r, -ENOMEM);
        assert_null(answer);
    }
    return ALLOCATIONS_MAX;
}

static void
test_memory_that_runs_out_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(requests); i++) {
        json_t *request = ask_parse(requests[i]), *wanted = NULL;

        assert_int_equal(compare_answer(&wanted, request), 0);
        assert_in_range(check_request(request, wanted), 5, ALLOCATIONS_MAX - 1);
        json_decref(wanted);
        json_decref(request);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_that_runs_out_is_told),
    };

    left = -1;
    json_set_alloc_funcs(allocate, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
