/* SPDX-License-Identifier: MIT */
/*
 * jansson holds the trees but does not read the text: its reader refuses some JSON that
 * clients do send (lone surrogates, NUL in names, integers beyond 64 bits), and when
 * memory runs out it can lose a character without a word.
 */
#include "protocol/tree.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define SHORT_NUMBER_BYTES 64

/* What is being built: the open arrays and objects, and the name that waits for a value.
 */
struct build {
    json_t *open[JSON_DEPTH_MAX]; /* borrowed: by the one before, the first by root */
    size_t depth;
    json_t *root; /* owned */
    struct buffer name; /* owned: with a NUL behind it */
    bool has_name;
    struct buffer text; /* owned: a decoded string */
};

static int
decode(struct buffer *ret, struct slice value)
{
    int r;

    buffer_clear(ret, ret->capacity);
    r = json_decode_string(value, ret);
    assert(r <= 0); /* it is a string, and no longer than the whole text */
    return r;
}

static int
read_name(struct build *build, struct slice value)
{
    int r;

    r = decode(&build->text, value);
    buffer_clear(&build->name, build->name.capacity);
    for (size_t i = 0; r == 0 && i < build->text.length; i++) {
        if (build->text.data[i] == '\0')
            r = buffer_append_text(&build->name, REPLACEMENT);
        else
            r = buffer_append(&build->name, build->text.data + i, 1);
    }
    if (r == 0)
        r = buffer_append(&build->name, "", 1);
    build->has_name = r == 0;
    return r;
}

static int
make_string(struct build *build, json_t **ret, struct slice value)
{
    int r = decode(&build->text, value);

    if (r == 0)
        *ret = json_stringn_nocheck(
            build->text.length > 0 ? (const char *)build->text.data : "",
            build->text.length);
    return r;
}

static int
make_number(json_t **ret, struct slice value)
{
    CLEANUP(freep) char *copy = NULL;
    char room[SHORT_NUMBER_BYTES], *text = room;
    double real;
    int64_t integer;

    if (json_get_int(value, &integer) == 0) {
        *ret = json_integer(integer);
        return 0;
    }
    if (value.length < sizeof room) {
        memcpy(room, value.data, value.length);
        room[value.length] = '\0';
    } else {
        text = copy = strndup((const char *)value.data, value.length);
        if (copy == NULL)
            return -ENOMEM;
    }
    real = strtod(text, NULL);
    if (!isfinite(real))
        real = real > 0 ? DBL_MAX : -DBL_MAX;
    *ret = json_real(real);
    return 0;
}

static int
make_scalar(struct build *build, json_t **ret, struct slice value)
{
    bool flag;

    switch (json_kind(value)) {
    case JSON_KIND_STRING:
        return make_string(build, ret, value);
    case JSON_KIND_NUMBER:
        return make_number(ret, value);
    case JSON_KIND_BOOL:
        *ret = json_get_bool(value, &flag) == 0 && flag ? json_true() : json_false();
        return 0;
    default:
        *ret = json_null();
        return 0;
    }
}

/* Takes VALUE, which may be NULL: then there was no memory for it. */
static int
add(struct build *build, json_t *value)
{
    json_t *parent = build->depth > 0 ? build->open[build->depth - 1] : NULL;
    int r;

    if (value == NULL)
        return -ENOMEM;
    if (parent == NULL) {
        assert(build->root == NULL);
        build->root = value;
        return 0;
    }
    if (json_is_array(parent)) {
        r = json_array_append_new(parent, value);
    } else {
        r = json_object_set_new_nocheck(parent, (const char *)build->name.data, value);
        build->has_name = false;
    }
    return r == 0 ? 0 : -ENOMEM;
}

static int
open_container(struct build *build, struct slice value)
{
    json_t *container = value.data[0] == '{' ? json_object() : json_array();
    int r = add(build, container);

    if (r == 0)
        build->open[build->depth++] = container;
    return r;
}

static int
add_scalar(struct build *build, struct slice value)
{
    json_t *scalar = NULL;
    int r;

    if (build->depth > 0 && json_is_object(build->open[build->depth - 1]) &&
        !build->has_name)
        return read_name(build, value);
    r = make_scalar(build, &scalar, value);
    return r != 0 ? r : add(build, scalar);
}

static int
build_tree(struct build *build, struct slice text)
{
    struct json_iterator iterator;
    struct slice value;
    int r = 0;

    json_walk(&iterator, text);
    while (r == 0) {
        switch (json_next_event(&iterator, &value)) {
        case JSON_EVENT_OPEN:
            r = open_container(build, value);
            break;
        case JSON_EVENT_CLOSE:
            build->depth--;
            break;
        case JSON_EVENT_SCALAR:
            r = add_scalar(build, value);
            break;
        case JSON_EVENT_END:
            return 0;
        }
    }
    return r;
}

int
tree_load(json_t **ret, struct slice text, const struct json_limits *limits,
          struct error *err)
{
    struct build build = { 0 };
    struct json_facts facts;
    int r;

    r = json_scan_facts(text, limits, &facts, err);
    if (r != 0)
        return r;
    if (facts.values > TREE_VALUES_MAX)
        return error_set(err, JSON_E_TOO_LARGE, "JSON of %zu values, at most %d",
                         facts.values, TREE_VALUES_MAX);
    buffer_init(&build.text, text.length);
    buffer_init(&build.name, text.length + 1); /* an escaped NUL is longer than U+FFFD */
    r = build_tree(&build, text);
    buffer_fini(&build.text);
    buffer_fini(&build.name);
    if (r != 0) {
        json_decref(build.root);
        return r;
    }
    *ret = build.root;
    return 0;
}

int
tree_load_object(json_t **ret, struct slice text, const struct json_limits *limits,
                 struct error *err)
{
    CLEANUP(tree_decrefp) json_t *tree = NULL;
    int r;

    r = tree_load(&tree, text, limits, err);
    if (r != 0)
        return r;
    if (!json_is_object(tree))
        return error_set(err, JSON_E_TYPE, "expected an object, got %s",
                         json_kind_name(json_kind(text)));
    *ret = tree;
    tree = NULL;
    return 0;
}

struct sink {
    struct buffer *buffer;
    int result;
};

/* jansson goes on when a member's name could not be written. */
static int
on_dumped(const char *data, size_t length, void *arg)
{
    struct sink *sink = arg;

    if (sink->result == 0)
        sink->result = buffer_append(sink->buffer, data, length);
    return sink->result == 0 ? 0 : -1;
}

int
tree_append(struct buffer *ret, const json_t *tree, size_t flags)
{
    struct sink sink = { .buffer = ret };
    int r = json_dump_callback(tree, on_dumped, &sink,
                               flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    if (sink.result != 0)
        return sink.result;
    return r == 0 ? 0 : -ENOMEM;
}
