/* SPDX-License-Identifier: MIT */
/* The content of an agent's request: members of every kind, and the limits of a context.
 */
#include <string.h>

#include "kernel/agent/bounds.h"
#include "kernel/agent/fields.h"
#include "kernel/agent/refusal.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"
#include "tests/fuzz/fuzz.h"

static const struct json_limits limits = { 1 << 20, 64 };

static const struct field fields[] = {
    { .name = "code", .kind = FIELD_TEXT, .min = 1, .max = 16 },
    { .name = "name", .kind = FIELD_NAME, .min = 1, .max = 8 },
    { .name = "silent", .kind = FIELD_BOOL },
    { .name = "offset", .kind = FIELD_INTEGER, .min = -1, .max = INT64_MAX / 2 },
    { .name = "seconds", .kind = FIELD_NUMBER, .max = INT32_MAX },
    { .name = "mode", .kind = FIELD_CHOICE, .choices = "replace|append|new" },
    { .name = "env", .kind = FIELD_STRINGS, .max = 3 },
    { .name = "limits", .kind = FIELD_OBJECT },
    { .name = "context", .kind = FIELD_HANDLE, .required = true },
    { .name = NULL },
};

/* Whatever is refused can be told, and of which member. */
static void
check_refusal(const struct refusal *no)
{
    CLEANUP(tree_decrefp) json_t *reply = NULL;
    struct buffer out;

    CHECK(no->code == REFUSAL_INVALID_ARGUMENT);
    CHECK(memchr(no->message, '\0', sizeof no->message) != NULL);
    CHECK(json_is_string(json_object_get(no->details, "field")));
    buffer_init(&out, 1 << 22);
    CHECK(refusal_append(no, &out) == 0);
    CHECK(tree_load_object(&reply, buffer_slice(&out), &limits, NULL) == 0);
    CHECK(json_object_size(reply) == 5);
    buffer_fini(&out);
}

/* What was taken is what the rows say. */
static void
check_taken(const json_t *content)
{
    const char *name = fields_text(content, "name", "x");
    const char *mode = fields_text(content, "mode", "new");
    const char *code = fields_text(content, "code", "x");
    int64_t offset = fields_integer(content, "offset", 0);
    double seconds = json_number_value(json_object_get(content, "seconds"));
    const char *key;
    json_t *value;

    CHECK(json_object_get(content, "context") != NULL);
    CHECK(json_object_size(content) < N_ELEMENTS(fields));
    CHECK(strlen(name) >= 1 && strlen(name) <= 8 && code != NULL);
    CHECK(strcmp(mode, "replace") == 0 || strcmp(mode, "append") == 0 ||
          strcmp(mode, "new") == 0);
    CHECK(offset >= -1 && offset <= INT64_MAX / 2);
    CHECK(seconds >= 0 && seconds <= INT32_MAX);
    CHECK(json_object_size(json_object_get(content, "env")) <= 3);
    json_object_foreach(json_object_get(content, "env"), key, value)
        CHECK(strlen(json_string_value(value)) == json_string_length(value));
    json_object_foreach((json_t *)content, key, value) CHECK(!json_is_null(value));
}

/* What is taken stays below the ceilings, and is told as it was taken. */
static void
check_limits(const json_t *wish)
{
    const struct context_limits usual = context_limits_of(CONTEXT_PROFILE_AGENT);
    struct context_limits taken = usual, again = usual;
    CLEANUP(tree_decrefp) json_t *told = NULL;
    struct error err = { 0 };
    const char *high = NULL;

    if (bounds_take_limits(&taken, wish, &usual, &high, &err) != 0) {
        CHECK(err.code == BOUNDS_E_INVALID && err.text[0] != '\0');
        return;
    }
    CHECK(high == NULL);
    CHECK(taken.sandbox.processes >= 1);
    CHECK(taken.sandbox.processes <= usual.sandbox.processes);
    CHECK(taken.disk_bytes >= 1 && taken.disk_bytes <= usual.disk_bytes);
    CHECK(usual.sandbox.memory_bytes == 0 ||
          (taken.sandbox.memory_bytes >= 1 &&
           taken.sandbox.memory_bytes <= usual.sandbox.memory_bytes));
    told = bounds_describe_limits(&taken);
    CHECK(bounds_take_limits(&again, told, &usual, NULL, NULL) == 0);
    CHECK(memcmp(&taken, &again, sizeof taken) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(tree_decrefp) json_t *content = NULL;
    CLEANUP(refusal_fini) struct refusal no = { .details = NULL };

    if (tree_load_object(&content, (struct slice){ data, size }, &limits, NULL) != 0)
        return 0;
    check_limits(content);
    if (fields_check(fields, content, &no) != 0) {
        check_refusal(&no);
        return 0;
    }
    CHECK(no.details == NULL);
    check_taken(content);
    if (json_object_get(content, "limits") != NULL)
        check_limits(json_object_get(content, "limits"));
    return 0;
}
