/* SPDX-License-Identifier: MIT */
/*
 * engine - what of V8 Node-API does not offer: to stop JavaScript, and to be asked
 * before the heap ends the process
 *
 * The functions are looked up by their names in the running program; these are part of
 * what Node exports to addons.
 */
#ifndef RUNTIMES_NODE_EXT_ENGINE_H
#define RUNTIMES_NODE_EXT_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* Finds the functions and the calling thread's isolate, which all others are about.
 * 0; -ENOSYS: this program has them not. */
int engine_find(struct error *err);

/* Unwinds all JavaScript of the main thread, which no `catch` and no `finally` sees, as
 * soon as it is not sheltered. From any thread. */
void engine_terminate(void);

/* Whether what runs from now on is left alone; returns what was so before. Node's own
 * code is not made for terminations: unwound while it calls an interval, it never calls
 * that again, and while it starts a timer, no other of as many milliseconds ever ends. On
 * the main thread. */
bool engine_shelter(bool is_sheltered);

/* Shelters nothing, up to engine_cancel. From any thread. */
void engine_insist(void);

/* Forgets a termination that has not happened yet. On the main thread. */
void engine_cancel(void);

/* What Node notes of the asynchronous context that runs: how deep it is, and its id and
 * its trigger's. Unwound code leaves it as it was, and Node ends when it finds that; so
 * after a termination it is set to what it is where nothing runs. */
void engine_keep_context(uint32_t *depth, double ids[2]);

/* Called where the heap is full, in the middle of collecting garbage; returns the new
 * limit in bytes. LIMIT is the present one. */
typedef size_t engine_heap_fn(void *arg, size_t limit, size_t initial);

void engine_watch_heap(engine_heap_fn *fn, void *arg);

#endif
