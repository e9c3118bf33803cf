/* SPDX-License-Identifier: MIT */
#include "tests/contexts/made.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "contexts/context.h"
#include "contexts/loop.h"

static int
on_made(struct workspace *workspace, const struct error *err, void *arg)
{
    struct made *made = arg;

    assert_ptr_equal(workspace, made->workspace);
    made->told++;
    if (err != NULL)
        made->err = *err;
    return 0;
}

void
made_ask_for(struct contexts *c, const struct workspace_limits *limits, struct made *ret)
{
    struct error err = { 0 };

    *ret = (struct made){ 0 };
    if (workspace_create(&ret->workspace, c->spawner, limits, on_made, ret, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(ret->told, 0);
    assert_int_equal(workspace_folder(ret->workspace), -1);
}

void
made_ask(struct contexts *c, struct made *ret)
{
    made_ask_for(
        c, &(struct workspace_limits){ .bytes = MADE_BYTES, .inodes = MADE_INODES }, ret);
}

void
made_make(struct contexts *c, struct made *ret)
{
    made_ask(c, ret);
    while (ret->told == 0)
        assert_int_equal(loop_wait(c->loop, -1), 0);
    assert_string_equal(ret->err.text, "");
    assert_true(workspace_folder(ret->workspace) >= 0);
}

void
made_use(struct contexts *c, struct workspace *workspace)
{
    c->options.profile = CONTEXT_PROFILE_AGENT;
    c->options.limits = context_limits_of(CONTEXT_PROFILE_AGENT);
    c->options.workspace = workspace;
}
