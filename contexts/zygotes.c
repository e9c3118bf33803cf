/* SPDX-License-Identifier: MIT */
#include "contexts/zygotes.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/launches.h"
#include "contexts/loop.h"
#include "contexts/sandbox/spec.h"
#include "contexts/zygote.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define RETRY_US ((uint64_t)30 * 1000000) /* after a failure; doubles with each more */
#define RETRY_US_MAX ((uint64_t)3600 * 1000000)
#define SOUND_US ((uint64_t)60 * 1000000) /* who lives so long has not failed */
#define LINE_BYTES 4096

/* A zygote, as long as anything of it is left. */
struct resident {
    struct resident *next;
    struct zygotes *zygotes; /* borrowed */
    struct kind *kind; /* borrowed; NULL: it forks no more for anybody */
    struct zygote *zygote; /* owned */
    bool was_ready;
};

/* One environment. */
struct kind {
    struct kind *next;
    struct buffer key; /* owned: the encoded spec */
    char *name; /* owned: its program and home, for the log */
    struct resident *resident; /* borrowed; NULL: none */
    uint64_t used_us;
    uint64_t generation; /* of its resident */
    uint64_t started_us;
    uint64_t retry_us; /* not before */
    unsigned failures; /* in a row */
};

struct zygotes {
    struct loop *loop; /* borrowed */
    struct launches *launches; /* borrowed */
    struct kind *kinds; /* owned */
    size_t kind_count;
    uint64_t generations;
    struct resident *residents; /* owned */
    struct loop_timer *sweep; /* owned: destroys those that are gone */
    spawner_told_fn *told;
    void *told_arg;
    zygotes_changed_fn *changed;
    void *changed_arg;
};

CLEANUP_DEFINE(struct zygotes, zygotes_destroy);

static void
tell(const struct zygotes *zygotes, const struct kind *kind, const char *text,
     const char *more)
{
    char line[LINE_BYTES];

    snprintf(line, sizeof line, "zygote of %s: %s%s", kind->name, text, more);
    zygotes->told(line, zygotes->told_arg);
}

static void
kind_destroy(struct kind *kind)
{
    if (kind == NULL)
        return;
    buffer_fini(&kind->key);
    free(kind->name);
    free(kind);
}

CLEANUP_DEFINE(struct kind, kind_destroy);

/* One that was ready, and ends for the first time, is replaced at once. */
static void
note_failure(struct kind *kind, uint64_t now, bool was_ready)
{
    uint64_t wait = RETRY_US;

    if (now - kind->started_us > SOUND_US)
        kind->failures = 0;
    for (unsigned i = 0; i < kind->failures && wait < RETRY_US_MAX; i++)
        wait *= 2;
    kind->retry_us = was_ready && kind->failures == 0 ? now : now + wait;
    kind->failures++;
}

/* Its contexts may live on in its sandbox. */
static void
dismiss(struct kind *kind)
{
    struct resident *resident = kind->resident;

    if (resident == NULL)
        return;
    kind->resident = NULL;
    resident->kind = NULL;
    zygote_retire(resident->zygote);
    launches_forget_shells(resident->zygotes->launches);
}

/* Called in the middle of a zygote's own work: nothing is destroyed here. */
static int
on_change(struct zygote *zygote, enum zygote_state state, const char *text, void *arg)
{
    struct resident *resident = arg;
    struct zygotes *zygotes = resident->zygotes;
    struct kind *kind = resident->kind;

    (void)zygote;
    if (state == ZYGOTE_GONE)
        loop_timer_arm(zygotes->sweep, 0);
    if (kind == NULL)
        return 0;
    if (state == ZYGOTE_READY) {
        resident->was_ready = true;
        tell(zygotes, kind, text, "");
    }
    if (state >= ZYGOTE_ENDED) {
        note_failure(kind, loop_now_us(zygotes->loop), resident->was_ready);
        tell(zygotes, kind, text == NULL ? "it has ended" : text,
             "; until there is another, interpreters are started by exec");
        dismiss(kind);
    }
    zygotes->changed(zygotes->changed_arg);
    return 0;
}

static int
on_sweep(void *arg)
{
    struct zygotes *zygotes = arg;
    struct resident **at = &zygotes->residents;

    while (*at != NULL) {
        struct resident *resident = *at;

        if (zygote_state(resident->zygote) != ZYGOTE_GONE) {
            at = &resident->next;
            continue;
        }
        *at = resident->next;
        zygote_destroy(resident->zygote);
        free(resident);
    }
    return 0;
}

int
zygotes_create(struct zygotes **ret, struct loop *loop, struct launches *launches,
               spawner_told_fn *told, void *told_arg, zygotes_changed_fn *changed,
               void *changed_arg)
{
    CLEANUP(zygotes_destroyp) struct zygotes *zygotes = malloc(sizeof *zygotes);
    int r;

    if (zygotes == NULL)
        return -ENOMEM;
    *zygotes = (struct zygotes){ .loop = loop,
                                 .launches = launches,
                                 .told = told,
                                 .told_arg = told_arg,
                                 .changed = changed,
                                 .changed_arg = changed_arg };
    r = loop_add_timer(&zygotes->sweep, loop, on_sweep, zygotes);
    if (r < 0)
        return r;
    *ret = zygotes;
    zygotes = NULL;
    return 0;
}

void
zygotes_destroy(struct zygotes *zygotes)
{
    struct resident *resident;
    struct kind *kind;

    if (zygotes == NULL)
        return;
    while ((resident = zygotes->residents) != NULL) {
        zygotes->residents = resident->next;
        zygote_destroy(resident->zygote);
        free(resident);
    }
    while ((kind = zygotes->kinds) != NULL) {
        zygotes->kinds = kind->next;
        kind_destroy(kind);
    }
    loop_timer_destroy(zygotes->sweep);
    free(zygotes);
}

/* Tells a user's notebooks from agents. */
static const char *
home_of(const struct sandbox_spec *spec)
{
    for (const char *const *name = spec->env; *name != NULL; name++)
        if (strncmp(*name, "HOME=", 5) == 0)
            return *name + 5;
    return "not set";
}

static int
kind_create(struct kind **ret, const struct sandbox_spec *spec, const struct buffer *key)
{
    CLEANUP(kind_destroyp) struct kind *kind = calloc(1, sizeof *kind);
    int r;

    if (kind == NULL)
        return -ENOMEM;
    buffer_init(&kind->key, SANDBOX_SPEC_BYTES_MAX);
    if (asprintf(&kind->name, "%s (home %s)", spec->argv[0], home_of(spec)) < 0) {
        kind->name = NULL;
        return -ENOMEM;
    }
    r = buffer_append(&kind->key, key->data, key->length);
    if (r != 0)
        return -ENOMEM;
    *ret = kind;
    kind = NULL;
    return 0;
}

static struct kind *
known_kind(const struct zygotes *zygotes, const struct buffer *key)
{
    struct kind *kind = zygotes->kinds;

    while (kind != NULL && (kind->key.length != key->length ||
                            memcmp(kind->key.data, key->data, key->length) != 0))
        kind = kind->next;
    return kind;
}

static void
forget_oldest(struct zygotes *zygotes)
{
    struct kind **oldest = &zygotes->kinds;
    struct kind *kind;

    for (struct kind **at = &zygotes->kinds; *at != NULL; at = &(*at)->next)
        if ((*at)->used_us < (*oldest)->used_us)
            oldest = at;
    assert(*oldest != NULL); /* called when there are too many */
    kind = *oldest;
    *oldest = kind->next;
    zygotes->kind_count--;
    dismiss(kind);
    kind_destroy(kind);
}

static struct kind *
find_kind(struct zygotes *zygotes, const struct sandbox_spec *spec)
{
    CLEANUP(buffer_fini) struct buffer key;
    struct kind *kind = NULL;

    buffer_init(&key, SANDBOX_SPEC_BYTES_MAX);
    if (sandbox_spec_encode(&key, spec, NULL) != 0)
        return NULL;
    kind = known_kind(zygotes, &key);
    if (kind != NULL)
        return kind;
    if (kind_create(&kind, spec, &key) < 0)
        return NULL;
    if (zygotes->kind_count >= ZYGOTES_MAX)
        forget_oldest(zygotes);
    kind->next = zygotes->kinds;
    zygotes->kinds = kind;
    zygotes->kind_count++;
    return kind;
}

static void
start(struct zygotes *zygotes, struct kind *kind, const struct sandbox_spec *spec)
{
    struct resident *resident = calloc(1, sizeof *resident);
    struct error err = { 0 };

    kind->started_us = loop_now_us(zygotes->loop);
    if (resident == NULL)
        return;
    resident->zygotes = zygotes;
    resident->kind = kind;
    if (zygote_create(&resident->zygote, zygotes->loop, zygotes->launches, spec,
                      on_change, resident, &err) != 0) {
        free(resident);
        note_failure(kind, kind->started_us, false);
        tell(zygotes, kind, err.text[0] == '\0' ? "out of memory" : err.text,
             "; interpreters are started by exec");
        return;
    }
    kind->resident = resident;
    kind->generation = ++zygotes->generations;
    resident->next = zygotes->residents;
    zygotes->residents = resident;
}

/* What there is of SPEC, brought up to date. NULL: no memory. */
static struct kind *
look(struct zygotes *zygotes, const struct sandbox_spec *spec)
{
    struct kind *kind = find_kind(zygotes, spec);
    uint64_t now = loop_now_us(zygotes->loop);

    if (kind == NULL)
        return NULL;
    kind->used_us = now;
    if (kind->resident != NULL && zygote_state(kind->resident->zygote) == ZYGOTE_READY &&
        zygote_is_stale(kind->resident->zygote)) {
        tell(zygotes, kind, "its environment has changed; ", "it is started again");
        dismiss(kind);
    }
    if (kind->resident == NULL && now >= kind->retry_us)
        start(zygotes, kind, spec);
    return kind;
}

struct zygote *
zygotes_find(struct zygotes *zygotes, const struct sandbox_spec *spec)
{
    const struct kind *kind = look(zygotes, spec);

    if (kind == NULL || kind->resident == NULL ||
        zygote_state(kind->resident->zygote) != ZYGOTE_READY)
        return NULL;
    return kind->resident->zygote;
}

uint64_t
zygotes_generation(struct zygotes *zygotes, const struct sandbox_spec *spec)
{
    const struct kind *kind = look(zygotes, spec);

    return kind != NULL ? kind->generation : 0;
}
