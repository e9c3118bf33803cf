/* SPDX-License-Identifier: MIT */
/* Who has what. Nobody finds what is not theirs: all lookups begin with an owner. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "protocol/cleanup.h"

#define ID_CHARACTERS 20

int
owner_get(struct owner **ret, struct agent *agent, const char *name)
{
    struct owner *owner;

    for (owner = agent->owners; owner != NULL; owner = owner->next) {
        if (strcmp(owner->name, name) == 0) {
            *ret = owner;
            return 0;
        }
    }
    owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return -ENOMEM;
    snprintf(owner->name, sizeof owner->name, "%s", name);
    owner->tokens = 2.0 * (double)agent->bounds->requests_per_second;
    owner->tokens_us = loop_now_us(agent->loop);
    owner->next = agent->owners;
    agent->owners = owner;
    *ret = owner;
    return 0;
}

/* A bucket of tokens: requests_per_second flow in, twice as many fit. */
bool
owner_may_ask(struct agent *agent, struct owner *owner, uint64_t *ret_wait_ms)
{
    double rate = (double)agent->bounds->requests_per_second;
    uint64_t now = loop_now_us(agent->loop);

    owner->tokens += rate * (double)(now - owner->tokens_us) / 1e6;
    owner->tokens_us = now;
    if (owner->tokens > 2 * rate)
        owner->tokens = 2 * rate;
    if (owner->tokens < 1) {
        *ret_wait_ms = (uint64_t)((1 - owner->tokens) * 1000 / rate) + 1;
        return false;
    }
    owner->tokens -= 1;
    return true;
}

void
agent_make_id(char ret[AGENT_ID_BYTES], const char *prefix)
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    size_t length = strlen(prefix);

    memcpy(ret, prefix, length);
    for (int i = 0; i < ID_CHARACTERS; i++)
        ret[length++] = alphabet[randombytes_uniform(sizeof alphabet - 1)];
    ret[length] = '\0';
}

struct agent_context *
owner_find_context(const struct owner *owner, const char *name)
{
    for (struct agent_context *context = owner->contexts; context != NULL;
         context = context->next) {
        if (!context->deleted && (strcmp(context->id, name) == 0 ||
                                  (*name != '\0' && strcmp(context->name, name) == 0)))
            return context;
    }
    return NULL;
}

struct run *
owner_find_run(const struct owner *owner, const char *id)
{
    for (struct run *run = owner->runs; run != NULL; run = run->next_of_owner) {
        if (strcmp(run->id, id) == 0)
            return run;
    }
    return NULL;
}
