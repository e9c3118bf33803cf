/* SPDX-License-Identifier: MIT */
/*
 * What a context does when its first sandbox cannot be made: it asks, once, whether the
 * machine gives any, and takes a weaker one if that was accepted.
 */
#include "contexts/context_parts.h"

#include <stdio.h>
#include <string.h>

#include "contexts/child.h"
#include "contexts/output.h"
#include "contexts/profile.h"
#include "contexts/spawner.h"
#include "contexts/tier.h"

/* The start that failed goes on to be a loss. */
static int
go_on(struct context *ctx)
{
    context_give_up(ctx);
    return 0;
}

static int
start_nested(struct context *ctx)
{
    struct error err = { 0 };
    struct slice program;
    int r = spawner_nested_program(ctx->spawner, profile_spec(ctx->profile)->network,
                                   &program, &err);

    if (r != 0)
        return r < 0 ? r : go_on(ctx);
    profile_set_nested(ctx->profile, program);
    child_destroy(ctx->child);
    ctx->child = NULL;
    output_destroy(ctx->output);
    ctx->output = NULL;
    context_start(ctx);
    return 0;
}

static int
on_tier(const struct tier_report *report, void *arg)
{
    struct context *ctx = arg;

    ctx->tier_probe = NULL;
    if (report->works)
        return go_on(ctx); /* it is not the machine's fault */
    if (ctx->tier == SANDBOX_TIER_NESTED) {
        snprintf(ctx->tier_text, sizeof ctx->tier_text, "%s", report->missing);
        return start_nested(ctx);
    }
    tier_refusal(ctx->tier_text, sizeof ctx->tier_text, report);
    return go_on(ctx);
}

static bool
is_about_the_sandbox(const struct context *ctx)
{
    return ctx->state == CONTEXT_STARTING && !ctx->was_ready && !ctx->ended &&
           !ctx->cause.known && ctx->fate.known &&
           ctx->fate.kind == CONTEXT_REASON_START &&
           profile_spec(ctx->profile)->tier == SANDBOX_TIER_FULL;
}

bool
context_asks_tier(struct context *ctx)
{
    struct error err = { 0 };

    tier_probe_cancel(ctx->tier_probe);
    ctx->tier_probe = NULL;
    if (!is_about_the_sandbox(ctx))
        return false;
    if (ctx->tier_asked) {
        if (ctx->tier_text[0] != '\0')
            snprintf(ctx->fate.text, sizeof ctx->fate.text, "%s", ctx->tier_text);
        return false;
    }
    ctx->tier_asked = true;
    if (tier_probe_begin(&ctx->tier_probe, ctx->loop, ctx->spawner, SANDBOX_TIER_FULL,
                         NULL, on_tier, ctx, &err) != 0)
        return false;
    ctx->is_lost = false;
    return true;
}

bool
context_has_workspace(const struct context *ctx)
{
    return sandbox_spec_workspace(profile_spec(ctx->profile)) != 0;
}

enum sandbox_tier
context_tier(const struct context *ctx, const char **ret_missing)
{
    *ret_missing = ctx->tier_text;
    return profile_spec(ctx->profile)->tier;
}
