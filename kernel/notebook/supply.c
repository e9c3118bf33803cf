/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/supply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "contexts/spawner.h"
#include "contexts/tier.h"
#include "kernel/notebook/suite.h"
#include "kernel/server.h"
#include "protocol/error.h"

struct supply {
    struct spawner *spawner; /* owned */
    struct loop *loop; /* borrowed */
    struct server_found server; /* owned; its address is "": none is asked */
    size_t told; /* how many zygotes were told of */
};

static int
look_for_server(struct supply *supply, const char *named, struct error *err)
{
    const char *variable = getenv("CELLWALL_SERVER");
    int r;

    if (named == NULL && variable != NULL && variable[0] != '\0')
        named = variable;
    if (named != NULL && strcmp(named, SERVER_NOWHERE) == 0)
        return 0;
    r = server_find(&supply->server, named, err);
    if (r == 0 && named != NULL && access(supply->server.address, F_OK) < 0)
        return error_set(err, SUPPLY_E_FAILED, "no server listens at %s",
                         supply->server.address);
    if (r <= 0)
        return r;
    supply->server.address[0] = '\0';
    if (named != NULL)
        return SUPPLY_E_FAILED;
    *err = (struct error){ 0 }; /* one that is no use is none */
    return 0;
}

int
supply_create(struct supply **ret, const char *server, struct error *err)
{
    CLEANUP(supply_destroyp) struct supply *supply = calloc(1, sizeof *supply);
    int r = supply != NULL ? spawner_create(&supply->spawner, err) : -ENOMEM;

    if (r > 0)
        r = SUPPLY_E_FAILED;
    if (r == 0)
        r = look_for_server(supply, server, err);
    if (r != 0)
        return r;
    *ret = supply;
    supply = NULL;
    return 0;
}

void
supply_destroy(struct supply *supply)
{
    if (supply == NULL)
        return;
    spawner_destroy(supply->spawner);
    server_found_fini(&supply->server);
    free(supply);
}

int
supply_attach(struct supply *supply, struct loop *loop)
{
    supply->loop = loop;
    return spawner_attach(supply->spawner, loop);
}

struct spawner *
supply_spawner(const struct supply *supply)
{
    return supply->spawner;
}

json_t *
supply_preload(const struct supply *supply)
{
    return json_object_get(supply->server.document, "preload");
}

/* Of a zygote: that it is ready, or cannot be had. What else matters is told by cells. */
static void
on_told(const char *text, void *arg)
{
    struct supply *supply = arg;

    (void)text;
    supply->told++;
}

static int
find_server(char ret[SPAWNER_ADDRESS_BYTES], void *arg)
{
    const struct supply *supply = arg;

    memcpy(ret, supply->server.address, sizeof supply->server.address);
    return 0;
}

struct finding {
    bool done, works;
    char refusal[2 * ERROR_TEXT_BYTES];
};

static int
on_tier(const struct tier_report *report, void *arg)
{
    struct finding *finding = arg;

    finding->done = true;
    finding->works = report->works;
    if (!report->works)
        tier_refusal(finding->refusal, sizeof finding->refusal, report);
    return 0;
}

/* Whether full sandboxes can be had, before each cell says that they cannot. */
static int
check_tier(struct supply *supply, bool needs_full, bool *ret_full, struct error *err)
{
    struct finding finding = { 0 };
    struct tier_probe *probe;
    int r = tier_probe_begin(&probe, supply->loop, supply->spawner, SANDBOX_TIER_FULL,
                             NULL, on_tier, &finding, err);

    while (r == 0 && !finding.done)
        r = loop_wait(supply->loop, -1);
    if (r != 0)
        return r < 0 ? r : SUPPLY_E_FAILED;
    *ret_full = finding.works;
    if (!finding.works && needs_full)
        return error_set(err, SUPPLY_E_FAILED, "%s", finding.refusal);
    return 0;
}

/* Until they are ready: what is started by exec meanwhile would import the same again,
 * beside them. */
static int
warm_zygotes(struct supply *supply, struct suite *suite, const bool *stopped)
{
    size_t begun;
    int r = spawner_use_zygotes(supply->spawner, 1, on_told, supply);

    if (r == 0)
        r = suite_warm(suite, SUPPLY_ZYGOTE_RUNS, &begun);
    while (r == 0 && supply->told < begun && !*stopped)
        r = loop_wait(supply->loop, -1);
    return r;
}

int
supply_prepare(struct supply *supply, struct suite *suite, const struct supply_wish *wish,
               struct error *err)
{
    bool has_server = supply->server.address[0] != '\0' && wish->may_fork, full = false;
    int r = 0;

    if (has_server)
        r = spawner_use_server(supply->spawner, find_server, on_told, supply);
    if (r == 0)
        r = check_tier(supply, wish->tier == SANDBOX_TIER_FULL, &full, err);
    return r == 0 && full && !has_server && wish->may_fork
               ? warm_zygotes(supply, suite, wish->stopped)
               : r;
}
