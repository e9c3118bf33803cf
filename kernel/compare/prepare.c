/* SPDX-License-Identifier: MIT */
/*
 * The user's rules come before the built-in ones, and before HTML is parsed: they are
 * written for the text that the notebook shows.
 */
#include "kernel/compare/prepare.h"

#include <errno.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/html.h"
#include "kernel/compare/settings.h"
#include "kernel/compare/svg.h"
#include "protocol/error.h"
#include "protocol/text.h"

/* The text goes from one room to the other, step by step. */
struct work {
    struct settings *settings; /* borrowed */
    const struct policy *policy; /* borrowed */
    struct error *err;
    struct slice text;
    struct buffer rooms[2]; /* owned */
    unsigned turn;
};

static struct buffer *
next_room(struct work *work)
{
    struct buffer *room = &work->rooms[work->turn];

    buffer_clear(room, room->capacity);
    return room;
}

/* What is in the room is the text now; R is the result of putting it there. */
static int
finish(struct work *work, int r)
{
    if (r > 0)
        return error_set(work->err, COMPARE_E_INVALID, "the text becomes too large");
    work->text = buffer_slice(&work->rooms[work->turn]);
    work->turn = 1 - work->turn;
    return r;
}

static int
apply_normaliser(struct work *work, enum normaliser one)
{
    if ((work->policy->normalise & (1u << one)) == 0)
        return 0;
    return finish(work, normalise(work->settings->normalisers, one, work->text,
                                  next_room(work), work->err));
}

static int
apply_rules(struct work *work)
{
    struct settings *settings = work->settings;
    int r = 0;

    for (size_t i = 0; r == 0 && i < settings->n_rules; i++)
        if (settings_rule_applies(&settings->rules[i], work->policy))
            r = finish(work,
                       pattern_replace(settings->rules[i].pattern, work->text,
                                       &settings->steps, next_room(work), work->err));
    return r;
}

static int
canonicalise(struct work *work)
{
    if (work->policy->kind == POLICY_HTML)
        return finish(work, html_canonical(work->text, next_room(work), work->err));
    if (work->policy->kind == POLICY_SVG)
        return finish(work, svg_canonical(work->text, next_room(work), work->err));
    return 0;
}

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\v' || byte == '\f';
}

static int
trim_lines(struct slice text, struct buffer *ret)
{
    const uint8_t *at = text.data, *end = at + text.length, *newline, *last;
    int r = buffer_reserve(ret, text.length);

    while (r == 0 && at < end) {
        newline = memchr(at, '\n', (size_t)(end - at));
        last = newline != NULL ? newline : end;
        while (last > at && is_blank(last[-1]))
            last--;
        r = buffer_append(ret, at, (size_t)(last - at));
        if (r == 0 && newline != NULL)
            r = buffer_append_text(ret, "\n");
        at = newline != NULL ? newline + 1 : end;
    }
    while (ret->length > 0 && ret->data[ret->length - 1] == '\n')
        ret->length--;
    return r;
}

static int
collapse(struct slice text, struct buffer *ret)
{
    bool pending = false;
    int r = buffer_reserve(ret, text.length);

    for (size_t i = 0; r == 0 && i < text.length; i++) {
        if (is_blank(text.data[i]) || text.data[i] == '\n') {
            pending = ret->length > 0;
            continue;
        }
        if (pending)
            r = buffer_append_text(ret, " ");
        if (r == 0)
            r = buffer_append(ret, text.data + i, 1);
        pending = false;
    }
    return r;
}

static int
apply_whitespace(struct work *work)
{
    if (work->text.length == 0 || work->policy->whitespace == WHITESPACE_EXACT)
        return 0;
    if (work->policy->whitespace == WHITESPACE_TRAILING)
        return finish(work, trim_lines(work->text, next_room(work)));
    return finish(work, collapse(work->text, next_room(work)));
}

static int
run(struct work *work)
{
    bool is_shown = work->policy->kind != POLICY_HTML && work->policy->kind != POLICY_SVG;
    int r = 0;

    if (is_shown)
        r = apply_normaliser(work, NORMALISE_ANSI);
    if (is_shown && r == 0)
        r = apply_normaliser(work, NORMALISE_CARRIAGE);
    if (r == 0)
        r = apply_rules(work);
    if (r == 0)
        r = canonicalise(work);
    for (unsigned i = NORMALISE_CARRIAGE + 1; r == 0 && i < N_NORMALISERS; i++)
        r = apply_normaliser(work, (enum normaliser)i);
    if (r == 0)
        r = apply_whitespace(work);
    return r;
}

int
prepare_text(struct settings *settings, const struct policy *policy, struct slice raw,
             struct buffer *ret, struct error *err)
{
    struct work work = {
        .settings = settings, .policy = policy, .err = err, .text = raw
    };
    int r = 0;

    if (raw.length > 0 && !text_is_utf8(raw.data, raw.length))
        return error_set(err, COMPARE_E_INVALID, "this is no text in UTF-8");
    buffer_init(&work.rooms[0], COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&work.rooms[1], COMPARE_MESSAGE_BYTES_MAX);
    r = run(&work);
    if (r == 0 && work.text.length > 0)
        r = buffer_append(ret, work.text.data, work.text.length);
    if (r > 0)
        r = error_set(err, COMPARE_E_INVALID, "the text becomes too large");
    buffer_fini(&work.rooms[0]);
    buffer_fini(&work.rooms[1]);
    return r;
}
