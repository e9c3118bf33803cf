/* SPDX-License-Identifier: MIT */
/*
 * report_feed - feeds events to a report, and gathers what it writes
 */
#ifndef TESTS_NOTEBOOK_REPORT_FEED_H
#define TESTS_NOTEBOOK_REPORT_FEED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/notebook/report.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define FEED_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define FEED_REFUSED 77 /* what a write that is refused returns */

struct feed {
    const struct report_kind *kind;
    struct report_options options;
    struct buffer out; /* owned */
    void *report; /* owned */
    bool refuses; /* to write */
};

static inline int
feed_write(struct slice text, void *arg)
{
    struct feed *feed = arg;

    if (feed->refuses)
        return FEED_REFUSED;
    return buffer_append(&feed->out, text.data, text.length);
}

static inline void
feed_init(struct feed *feed, const struct report_kind *kind)
{
    *feed = (struct feed){ .kind = kind };
    feed->options = (struct report_options){ .write = feed_write, .arg = feed };
    buffer_init(&feed->out, FEED_BYTES_MAX);
    assert_int_equal(kind->create(&feed->report, &feed->options), 0);
}

static inline void
feed_fini(struct feed *feed)
{
    feed->kind->destroy(feed->report);
    buffer_fini(&feed->out);
}

static inline json_t *
feed_tree(const char *text)
{
    static const struct json_limits limits = { 1 << 28, 64 };
    json_t *tree = NULL;

    assert_int_equal(tree_load(&tree, slice_text(text), &limits, NULL), 0);
    return tree;
}

/* One event, JSON. */
static inline void
feed_event(struct feed *feed, const char *text)
{
    json_t *event = feed_tree(text);

    assert_int_equal(feed->kind->event(feed->report, event), 0);
    json_decref(event);
}

/* How often PART stands in what was written. */
static inline size_t
feed_count(const struct feed *feed, const char *part)
{
    size_t count = 0;

    for (size_t i = 0; i + strlen(part) <= feed->out.length; i++)
        count += memcmp(feed->out.data + i, part, strlen(part)) == 0;
    return count;
}

static inline void
feed_assert_has(const struct feed *feed, const char *part)
{
    if (feed_count(feed, part) == 0)
        fail_msg("no \"%s\" in: %.*s", part, (int)feed->out.length,
                 (const char *)feed->out.data);
}

static inline void
feed_assert_is(const struct feed *feed, const char *text)
{
    if (!slice_equals_text(buffer_slice(&feed->out), text))
        fail_msg("expected: %s\ngot: %.*s", text, (int)feed->out.length,
                 (const char *)feed->out.data);
}

/* Events that no run makes: members missing, of other types, out of order, huge. */
static inline void
feed_hostile(struct feed *feed)
{
    static const char *const events[] = {
        "1",
        "[]",
        "{}",
        "{\"event\":5}",
        "{\"event\":\"unheard-of\"}",
        "{\"event\":\"cell\"}",
        "{\"event\":\"notebook\",\"path\":[],\"status\":{},\"counts\":[],\"notes\":5}",
        "{\"event\":\"begin\",\"notebooks\":{\"a\":1}}",
        "{\"event\":\"notebook_begin\",\"path\":\"x\",\"kernel\":1,\"language\":null}",
        ("{\"event\":\"cell\",\"path\":\"x\",\"cell\":-9223372036854775808,\"id\":"
         "\"\\u0000"
         "\\u0001\\n<&>\\\"'#%\\\\,:\",\"line\":-1,\"status\":\"failed\",\"seconds\":"
         "1e308,"
         "\"source\":7,\"reason\":{\"kind\":\"]]>\",\"text\":\"a]]>b\\r\\n::error::"
         "c\\u2028"
         "not ok 1\\n  ...\\nBail "
         "out!\"},\"traceback\":[\"\\u001b[31mx\\u001b]0;t\\u0007\","
         "\"  ...\",\"    "
         "---\",{},\"\\ud800\"],\"stderr_tail\":\"\\ufffe\\uffff\\u0085\","
         "\"differences\":[[],5,{\"lines\":[[\"-\",\"\\b]]>\"],[],\"x\"],\"numbers\":7,"
         "\"image\":\"i\",\"rules\":[[]]}]}"),
        "{\"event\":\"cell\",\"path\":\"x\",\"status\":\"passed\",\"reason\":[]}",
        ("{\"event\":\"notebook\",\"path\":\"x\",\"status\":\"failed\",\"reason\":null,"
         "\"notes\":[\"a\\nb::c\",{},\"--> ]]>\"],\"pending\":\"p\\n\"}"),
        "{\"event\":\"cell\",\"path\":\"never ended\",\"status\":\"skipped\"}",
    };

    for (size_t i = 0; i < N_ELEMENTS(events); i++)
        feed_event(feed, events[i]);
}

/* A cell that failed with texts of LENGTH bytes wherever there may be some. */
static inline void
feed_giant(struct feed *feed, size_t length)
{
    CLEANUP(freep) char *giant = malloc(length + 1);
    CLEANUP(tree_decrefp) json_t *event = NULL;

    assert_non_null(giant);
    memset(giant, '&', length);
    giant[length] = '\0';
    event = json_pack("{s:s,s:s,s:i,s:s,s:s,s:{s:s,s:s},s:[s],s:s,s:[{s:s,s:s,s:s}]}",
                      "event", "cell", "path", "giant.ipynb", "cell", 0, "status",
                      "failed", "source", giant, "reason", "kind", "differs", "text",
                      giant, "traceback", giant, "stderr_tail", giant, "differences",
                      "message", giant, "expected", giant, "actual", giant);
    assert_non_null(event);
    assert_int_equal(feed->kind->event(feed->report, event), 0);
}

#endif
