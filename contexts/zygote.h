/* SPDX-License-Identifier: MIT */
/*
 * zygote - the server's side of one zygote: a warm interpreter that forks runners
 *
 * It is a confined child itself, with role SANDBOX_ROLE_ZYGOTE. On the socket that is its
 * fd 3 it says once, as a JSON object in one packet, that it is ready:
 *
 *     ready      boolean
 *     error      string: why not, when it is not
 *     preloaded  array of strings, or nothing: for a person
 *     left_out   array of [name, reason], or nothing: for a person
 *     paths      array of strings, or nothing: absolute paths of files and folders that
 *                have another time of modification when the environment has changed
 *
 * From then on it serves init's calls (contexts/sandbox/join.h) there. The contexts that
 * it has made live inside its sandbox, which lasts until the last of them has ended.
 */
#ifndef CONTEXTS_ZYGOTE_H
#define CONTEXTS_ZYGOTE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct launches;
struct loop;
struct sandbox_spec;
struct sandbox_zygote;
struct zygote; /* opaque */

#define ZYGOTE_WORD_BYTES_MAX ((size_t)64 * 1024)
#define ZYGOTE_PATHS_MAX 256
#define ZYGOTE_START_MS 60000 /* longest time until it is ready */

enum zygote_state {
    ZYGOTE_STARTING,
    ZYGOTE_READY,
    ZYGOTE_ENDED, /* it forks no more; contexts may live in its sandbox */
    ZYGOTE_GONE /* nothing is left: destroy it */
};

/* TEXT, for the log, is not NULL when the state is READY, or ENDED before that by itself.
 * 0 or < 0, as callbacks of the loop. May not destroy the zygote. */
typedef int zygote_changed_fn(struct zygote *zygote, enum zygote_state state,
                              const char *text, void *arg);

/* Begins to start it. The caller owns *ret. As launches_spawn. */
int zygote_create(struct zygote **ret, struct loop *loop, struct launches *launches,
                  const struct sandbox_spec *spec, zygote_changed_fn *fn, void *arg,
                  struct error *err);

/* Ends it, and all contexts in its sandbox. NULL is allowed. */
void zygote_destroy(struct zygote *zygote);

/* Ends it, but no context: ENDED now, without a call, GONE later. */
void zygote_retire(struct zygote *zygote);

enum zygote_state zygote_state(const struct zygote *zygote);

/* For a READY one. Borrowed. */
const struct sandbox_zygote *zygote_fds(const struct zygote *zygote);

/* When it was started, as loop_now_us: tells it from others. */
uint64_t zygote_started_us(const struct zygote *zygote);

/* Its environment is not what it was when the zygote got ready. */
bool zygote_is_stale(const struct zygote *zygote);

#endif
