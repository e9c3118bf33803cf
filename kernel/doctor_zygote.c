/* SPDX-License-Identifier: MIT */
#include "kernel/doctor_zygote.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "contexts/context.h"
#include "contexts/loop.h"
#include "contexts/profile.h"
#include "contexts/runtime.h"
#include "contexts/spawner.h"
#include "kernel/probe.h"

#define ANY_DIRECTORY "/var/tmp" /* a zygote sees no notebook's directory */

struct word {
    bool said;
    char *text; /* borrowed */
};

/* "zygote of NAME: what": the first word of it is the last. */
static void
on_told(const char *text, void *arg)
{
    struct word *word = arg;
    const char *what = strstr(text, ": ");

    if (word->said)
        return;
    word->said = true;
    snprintf(word->text, ERROR_TEXT_BYTES, "%s", what != NULL ? what + 2 : text);
}

int
doctor_try_zygote(char ret[ERROR_TEXT_BYTES], struct loop *loop, struct spawner *spawner,
                  const struct runtime *runtime, const struct environment *environment)
{
    const struct context_options wanted = {
        .runtime = runtime,
        .spawner = spawner,
        .interpreter = environment->interpreter,
        .directory = ANY_DIRECTORY,
        .mounts = environment->mounts,
        .limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK),
    };
    const struct profile_programs *programs;
    struct spawner_wish wish = { 0 };
    struct word word = { .text = ret };
    struct error err = { 0 };
    struct profile *profile;
    int r = spawner_programs(spawner, &programs, &err);

    ret[0] = '\0';
    if (r == 0)
        r = profile_create(&profile, &wanted, programs, &err);
    if (r > 0)
        snprintf(ret, ERROR_TEXT_BYTES, "%s", err.text);
    if (r != 0)
        return r < 0 ? r : 0;
    wish.zygote = profile_zygote_spec(profile);
    if (wish.zygote != NULL) {
        r = spawner_use_zygotes(spawner, 0, on_told, &word);
        if (r == 0)
            spawner_prepare(spawner, &wish);
        while (r >= 0 && !word.said)
            r = loop_wait(loop, -1);
    }
    profile_destroy(profile);
    return r < 0 ? r : 0;
}
