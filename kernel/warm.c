/* SPDX-License-Identifier: MIT */
#include "kernel/warm.h"

#include "contexts/profile.h"
#include "contexts/spawner.h"
#include "kernel/probe.h"

#define ANY_DIRECTORY "/var/tmp" /* a zygote sees no notebook's directory */

int
warm_zygote(struct spawner *spawner, enum context_profile profile,
            const struct runtime *runtime, const struct environment *environment,
            bool *ret_begun, struct error *err)
{
    const struct context_options wanted = {
        .profile = profile,
        .runtime = runtime,
        .spawner = spawner,
        .interpreter = environment->interpreter,
        .directory = ANY_DIRECTORY,
        .mounts = environment->mounts,
        .network = SANDBOX_NETWORK_NONE,
        .limits = context_limits_of(profile),
    };
    const struct profile_programs *programs;
    struct profile *made;
    struct spawner_wish wish = { 0 };
    int r = spawner_programs(spawner, &programs, err);

    if (r == 0)
        r = profile_create(&made, &wanted, programs, err);
    if (r != 0)
        return r < 0 ? r : WARM_E_FAILED;
    wish.zygote = profile_zygote_spec(made);
    *ret_begun = wish.zygote != NULL;
    if (*ret_begun)
        spawner_prepare(spawner, &wish);
    profile_destroy(made);
    return 0;
}
