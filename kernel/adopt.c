/* SPDX-License-Identifier: MIT */
/* Runs that a host submits to the context itself: clients see them as those of another
 * front end, but nobody here is replied to. */
#include "kernel/dispatch.h"
#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/cleanup.h"

static int
done_adopted(struct kernel *kernel, struct parent *parent,
             const struct context_outcome *outcome)
{
    CLEANUP(loss_fini) struct loss loss = { 0 };

    return execute_is_lost(kernel, outcome)
               ? execute_tell_loss(kernel, parent, outcome, &loss)
               : 0;
}

static const struct handler handler = { .type = "execute_request", .done = done_adopted };

int
kernel_adopt(struct kernel *kernel, uint64_t number,
             const struct kernel_adoption *adoption)
{
    const struct origin origin = { .channel = CONNECTION_SHELL,
                                   .header = adoption->header };
    struct parent *parent;
    int r = parents_add(kernel->parents, number, &origin,
                        adoption->silent ? (struct slice){ 0 } : adoption->code, &parent);

    if (r < 0)
        return r;
    parent->handler = &handler;
    parent->is_run = true;
    parent->adopted = true;
    parent->silent = adoption->silent;
    parent->stored = adoption->store_history && !adoption->silent;
    return 0;
}

bool
kernel_find_run(const struct kernel *kernel, uint64_t number, struct kernel_run *ret)
{
    const struct parent *parent = parents_find(kernel->parents, number);

    if (parent == NULL || !parent->is_run || parent->adopted)
        return false;
    *ret = (struct kernel_run){ .header = parent->origin.header,
                                .code = parent->code,
                                .silent = parent->silent,
                                .stored = parent->stored };
    return true;
}
