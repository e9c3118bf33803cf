/* SPDX-License-Identifier: MIT */
/* A request for a comparison: settings, and outputs of both sides. */
#include <string.h>

#include "kernel/compare/compare.h"
#include "protocol/cleanup.h"
#include "protocol/tree.h"
#include "tests/fuzz/fuzz.h"

static const struct json_limits limits = { 1 << 16, COMPARE_DEPTH_MAX };

static void
check_difference(const json_t *difference)
{
    static const char *const members[] = { "type",    "output",   "kind",   "policy",
                                           "message", "expected", "actual", "lines",
                                           "numbers", "image",    "rules" };

    for (size_t i = 0; i < N_ELEMENTS(members); i++)
        CHECK(json_object_get(difference, members[i]) != NULL);
    CHECK(json_string_length(json_object_get(difference, "message")) > 0);
    CHECK(json_array_size(json_object_get(difference, "lines")) <= COMPARE_LINES_MAX + 1);
}

/* An answer can be told, and says no more than it may. */
static void
check_answer(const json_t *answer)
{
    const json_t *differences = json_object_get(answer, "differences");
    const json_t *error = json_object_get(answer, "error");
    struct buffer text;
    json_t *difference;
    size_t i;

    CHECK(json_is_boolean(json_object_get(answer, "agree")));
    CHECK(json_is_true(json_object_get(answer, "agree")) ==
          (json_array_size(differences) == 0 && error == NULL));
    CHECK(error == NULL || json_string_length(error) > 0);
    CHECK(json_array_size(differences) <= COMPARE_DIFFERENCES_MAX);
    json_array_foreach(differences, i, difference) check_difference(difference);
    buffer_init(&text, (size_t)1 << 28);
    CHECK(tree_append(&text, answer, JSON_COMPACT) == 0);
    buffer_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(tree_decrefp) json_t *request = NULL, *answer = NULL, *same = NULL;

    if (tree_load_object(&request, (struct slice){ data, size }, &limits, NULL) != 0)
        return 0;
    CHECK(compare_answer(&answer, request) == 0);
    check_answer(answer);

    /* what is the same agrees, whatever it is, unless it is not even outputs */
    CHECK(json_object_set(request, "actual", json_object_get(request, "expected")) == 0 ||
          json_object_get(request, "expected") == NULL);
    CHECK(compare_answer(&same, request) == 0);
    check_answer(same);
    CHECK(json_array_size(json_object_get(same, "differences")) == 0);
    return 0;
}
