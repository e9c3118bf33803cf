/* SPDX-License-Identifier: MIT */
#include "kernel/agent/spares.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/languages.h"
#include "protocol/cleanup.h"

#define NOBODY "" /* no client has this name */
#define SOON_US UINT64_C(20000) /* whoever has got one uses it meanwhile */
#define LATER_US UINT64_C(1000000)
#define WANTED_US UINT64_C(900000000) /* after the last request for a language */
#define FAILED_US UINT64_C(60000000) /* until the next try */

struct demand {
    uint64_t asked_us; /* 0: never */
    uint64_t failed_us; /* 0: not lately */
};

struct spares {
    struct agent *agent; /* borrowed */
    struct owner *owner; /* borrowed: of the agent */
    struct loop_timer *timer; /* owned */
    unsigned count;
    struct demand demands[LANGUAGES_MAX];
};

CLEANUP_DEFINE(struct spares, spares_destroy);

static struct demand *
demand_of(struct spares *spares, const struct language *language)
{
    return &spares->demands[language - spares->agent->options->languages->items];
}

static bool
is_recent(const struct demand *demand, uint64_t now)
{
    return demand->asked_us != 0 && now - demand->asked_us < WANTED_US;
}

static bool
is_wanted(const struct demand *demand, uint64_t now)
{
    return is_recent(demand, now) &&
           (demand->failed_us == 0 || now - demand->failed_us >= FAILED_US);
}

/* Throws away what nobody wants any more, and what has died; how many there are. */
static unsigned
look_after(struct spares *spares, const struct language *language, bool wanted,
           uint64_t now)
{
    unsigned count = 0;

    for (struct agent_context *context = spares->owner->contexts; context != NULL;
         context = context->next) {
        bool dead = context_state(context->context) == CONTEXT_DEAD;

        if (context->language != language || context->deleted)
            continue;
        if (dead)
            demand_of(spares, language)->failed_us = now;
        if (dead || !wanted)
            agent_context_delete(context);
        else
            count++;
    }
    return count;
}

static int
make_one(struct spares *spares, const struct language *language, uint64_t now)
{
    const struct context_wish wish = { .language = language,
                                       .limits = spares->agent->bounds->defaults,
                                       .network = SANDBOX_NETWORK_NONE };
    struct refusal no = { .details = NULL };
    struct agent_context *context;
    int r = agent_context_create(&context, spares->agent, spares->owner, &wish, &no);

    refusal_fini(&no);
    if (r > 0)
        demand_of(spares, language)->failed_us = now;
    if (r == 0)
        context->generation = context_generation(context->context);
    return r < 0 ? r : 0;
}

/* One of each language at a time: those who work go first. */
static int
on_timer(void *arg)
{
    struct spares *spares = arg;
    const struct languages *languages = spares->agent->options->languages;
    uint64_t now = loop_now_us(spares->agent->loop);
    bool missing = false, used = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < languages->count; i++) {
        const struct language *language = &languages->items[i];
        const struct demand *demand = &spares->demands[i];
        bool wanted = is_wanted(demand, now);
        unsigned count = look_after(spares, language, wanted, now);

        if (wanted && count < spares->count && !spares->agent->stopping)
            r = make_one(spares, language, now);
        missing = missing || (wanted && count + 1 < spares->count);
        used = used || count > 0 || is_recent(demand, now);
    }
    if (used)
        loop_timer_arm(spares->timer, missing ? SOON_US : LATER_US);
    return r;
}

int
spares_create(struct spares **ret, struct agent *agent, unsigned count)
{
    CLEANUP(spares_destroyp) struct spares *spares = calloc(1, sizeof *spares);
    int r;

    if (spares == NULL)
        return -ENOMEM;
    spares->agent = agent;
    spares->count = count;
    r = owner_get(&spares->owner, agent, NOBODY);
    if (r == 0)
        r = loop_add_timer(&spares->timer, agent->loop, on_timer, spares);
    if (r != 0)
        return r;
    *ret = spares;
    spares = NULL;
    return 0;
}

void
spares_destroy(struct spares *spares)
{
    if (spares == NULL)
        return;
    loop_timer_destroy(spares->timer);
    free(spares);
}

static bool
is_ordinary(const struct context_wish *wish)
{
    return wish->env == NULL && wish->cwd == NULL && wish->workspace == NULL &&
           !wish->has_limits && wish->network == SANDBOX_NETWORK_NONE;
}

struct agent_context *
spares_find(struct spares *spares, const struct owner *owner,
            const struct context_wish *wish)
{
    struct agent_context *found = NULL;

    if (spares->count == 0 || owner == spares->owner)
        return NULL;
    demand_of(spares, wish->language)->asked_us = loop_now_us(spares->agent->loop);
    loop_timer_arm(spares->timer, SOON_US);
    if (!is_ordinary(wish))
        return NULL;
    for (struct agent_context *context = spares->owner->contexts; context != NULL;
         context = context->next) {
        if (context->language != wish->language || context->deleted)
            continue;
        if (context_generation(context->context) != context->generation ||
            context_epoch(context->context) > 1)
            agent_context_delete(context);
        else if (found == NULL || context_state(context->context) == CONTEXT_IDLE)
            found = context;
    }
    return found;
}

size_t
spares_count(const struct spares *spares)
{
    return spares->owner->context_count;
}
