/* SPDX-License-Identifier: MIT */
/* The names are those of the Itanium C++ ABI, which Linux uses everywhere: a member
 * function takes the object as its first argument. */
#include "runtimes/node/ext/engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define ISOLATE "_ZN2v87Isolate"
#define RESTORE_BELOW 0.5 /* of the first limit: then that one holds again */

static struct {
    void *isolate; /* borrowed */
    void *(*get_current)(void);
    void (*request_interrupt)(void *isolate, void (*fn)(void *isolate, void *arg),
                              void *arg);
    void (*terminate)(void *isolate);
    void (*cancel)(void *isolate);
    void (*add_heap_callback)(void *isolate, engine_heap_fn *fn, void *arg);
    void (*restore_heap_limit)(void *isolate, double below);
    void (*add_call_completed)(void *isolate, void (*fn)(void *isolate));
    void (*add_microtasks_completed)(void *isolate, void (*fn)(void *isolate, void *arg),
                                     void *arg);
} v8;

static atomic_bool is_wanted; /* a termination, which may have happened */
static atomic_bool is_urgent; /* it waits for nothing */
static bool is_sheltered;
static bool is_unwound; /* since the last cancel: what Node has noted may be wrong */

static struct {
    uint32_t *depth; /* borrowed: Node's */
    double *ids;
} context;

static const struct symbol {
    const char *name;
    void *field; /* a pointer to a function */
} symbols[] = {
    { ISOLATE "10GetCurrentEv", &v8.get_current },
    { ISOLATE "16RequestInterruptEPFvPS0_PvES2_", &v8.request_interrupt },
    { ISOLATE "18TerminateExecutionEv", &v8.terminate },
    { ISOLATE "24CancelTerminateExecutionEv", &v8.cancel },
    { ISOLATE "24AddNearHeapLimitCallbackEPFmPvmmES1_", &v8.add_heap_callback },
    { ISOLATE "24AddCallCompletedCallbackEPFvPS0_E", &v8.add_call_completed },
    { ISOLATE "30AddMicrotasksCompletedCallbackEPFvPS0_PvES2_",
      &v8.add_microtasks_completed },
    { ISOLATE "36AutomaticallyRestoreInitialHeapLimitEd", &v8.restore_heap_limit },
};

int
engine_find(struct error *err)
{
    for (size_t i = 0; i < N_ELEMENTS(symbols); i++) {
        void *found = dlsym(RTLD_DEFAULT, symbols[i].name);

        if (found == NULL)
            return error_set(err, -ENOSYS, "this Node has no %s", symbols[i].name);
        memcpy(symbols[i].field, &found, sizeof found);
    }
    v8.isolate = v8.get_current();
    return v8.isolate == NULL ? error_set(err, -ENOSYS, "no isolate") : 0;
}

/* On the main thread, between two steps of JavaScript. */
static void
terminate_now(void *isolate, void *arg)
{
    (void)arg;
    if (!atomic_load(&is_wanted) || (is_sheltered && !atomic_load(&is_urgent)))
        return;
    is_unwound = true;
    v8.terminate(isolate);
}

/* Not at once: Node's own functions are not made for a termination in their middle. */
void
engine_terminate(void)
{
    atomic_store(&is_wanted, true);
    v8.request_interrupt(v8.isolate, terminate_now, NULL);
}

bool
engine_shelter(bool shelter)
{
    bool before = is_sheltered;

    is_sheltered = shelter;
    if (!shelter && atomic_load(&is_wanted))
        engine_terminate();
    return before;
}

void
engine_insist(void)
{
    atomic_store(&is_urgent, true);
}

void
engine_cancel(void)
{
    atomic_store(&is_wanted, false);
    atomic_store(&is_urgent, false);
    is_unwound = false;
    v8.cancel(v8.isolate);
}

static void
on_call_completed(void *isolate)
{
    (void)isolate;
    if (!is_unwound)
        return;
    *context.depth = 0;
    context.ids[0] = context.ids[1] = 0;
}

static void
on_microtasks_completed(void *isolate, void *arg)
{
    (void)arg;
    on_call_completed(isolate);
}

void
engine_keep_context(uint32_t *depth, double ids[2])
{
    context.depth = depth;
    context.ids = ids;
    v8.add_call_completed(v8.isolate, on_call_completed);
    v8.add_microtasks_completed(v8.isolate, on_microtasks_completed, NULL);
}

void
engine_watch_heap(engine_heap_fn *fn, void *arg)
{
    v8.add_heap_callback(v8.isolate, fn, arg);
    v8.restore_heap_limit(v8.isolate, RESTORE_BELOW);
}
