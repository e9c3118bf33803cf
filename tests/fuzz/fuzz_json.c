/* SPDX-License-Identifier: MIT */
/*
 * The scanner against jansson's reader: they must agree, but for what the scan says that
 * parsers differ about, for the depth, and for a raw NUL, which jansson 2.14 overlooks
 * behind a number.
 */
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/mime.h"
#include "protocol/tree.h"
#include "tests/fuzz/fuzz.h"

#define NAME_BYTES 64

static const struct json_limits limits = { 1 << 20, 64 };

/* All values found within VALUE must be JSON themselves, and found again by name. */
static void
check_parts(struct slice value)
{
    struct json_iterator iterator;
    struct slice key, part, found;
    char name[NAME_BYTES];

    if (json_iterate(&iterator, value) != 0)
        return;
    while (json_next(&iterator, &key, &part)) {
        CHECK(json_scan(part, &limits, NULL) == 0);
        if (iterator.kind == JSON_KIND_ARRAY)
            continue;
        CHECK(json_scan(key, &limits, NULL) == 0);
        if (json_get_string(key, name, sizeof name) != 0)
            continue;
        CHECK(json_member(value, name, &found) == 0);
        CHECK(found.data >= part.data);
    }
}

static void
check_getters(struct slice value)
{
    enum json_kind kind = json_kind(value);
    struct buffer decoded;
    int64_t integer;
    bool flag;
    int r;

    buffer_init(&decoded, value.length);
    r = json_decode_string(value, &decoded);
    CHECK(r == (kind == JSON_KIND_STRING ? 0 : JSON_E_TYPE));
    buffer_fini(&decoded);
    CHECK((json_get_bool(value, &flag) == 0) == (kind == JSON_KIND_BOOL));
    r = json_get_int(value, &integer);
    CHECK(kind == JSON_KIND_NUMBER || r == JSON_E_TYPE);
}

static void
check_accepted(struct slice text, const struct json_facts *facts)
{
    CLEANUP(tree_decrefp) json_t *ours = NULL;
    CLEANUP(tree_decrefp) json_t *theirs = NULL;
    struct error err = { 0 };
    int r;

    CHECK(tree_load(&ours, text, &limits, NULL) == 0);
    theirs = json_loadb((const char *)text.data, text.length,
                        JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (facts->has == 0) {
        CHECK(theirs != NULL);
        CHECK(json_equal(ours, theirs));
    }
    check_parts(text);
    check_getters(text);
    r = mime_check_content(text, &err);
    CHECK((r == MIME_E_INVALID) == (err.code != 0));
}

/* What we would write must be JSON for us. */
static void
check_written(struct slice text)
{
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    CLEANUP(tree_decrefp) json_t *again = NULL;
    struct buffer out;

    CHECK(tree_load(&tree, text, &limits, NULL) == 0);
    buffer_init(&out, 1 << 24);
    CHECK(tree_append(&out, tree, JSON_COMPACT) == 0);
    CHECK(tree_load(&again, buffer_slice(&out),
                    &(struct json_limits){ 1 << 24, limits.max_depth }, NULL) == 0);
    buffer_fini(&out);
}

/* The reader must stay within the bytes, and come to an end, whatever they are. */
static void
read_unchecked(struct slice text)
{
    struct json_iterator iterator;
    struct slice key, value;
    char name[NAME_BYTES];

    if (json_iterate(&iterator, text) == 0) {
        while (json_next(&iterator, &key, &value)) {
            json_get_string(key, name, sizeof name);
            json_get_string(value, name, sizeof name);
        }
    }
    json_walk(&iterator, text);
    while (json_next_event(&iterator, &value) != JSON_EVENT_END)
        json_kind(value);
    json_member(text, "data", &value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { data, size };
    struct json_facts facts;
    struct error err = { 0 };
    json_t *theirs;
    int r;

    read_unchecked(text);
    r = json_scan_facts(text, &limits, &facts, &err);
    CHECK(err.code == r);
    if (r == 0) {
        check_accepted(text, &facts);
        check_written(text);
    } else if (r == JSON_E_INVALID && size > 0 && memchr(data, '\0', size) == NULL) {
        theirs =
            json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        CHECK(theirs == NULL);
    }
    return 0;
}
