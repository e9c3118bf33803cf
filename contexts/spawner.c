/* SPDX-License-Identifier: MIT */
#include "contexts/spawner.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/birth.h"
#include "contexts/launches.h"
#include "contexts/loop.h"
#include "contexts/profile.h"
#include "contexts/remote.h"
#include "contexts/reserve.h"
#include "contexts/sandbox/policy.h"
#include "contexts/wish.h"
#include "contexts/zygote.h"
#include "contexts/zygotes.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define PROGRAM_BYTES_MAX ((size_t)64 * 1024)

struct spawner {
    struct loop *loop; /* borrowed; NULL: not attached */
    struct launches *launches; /* owned; NULL: only the server's, see remote */
    struct zygotes *zygotes; /* owned; NULL: not to be used */
    struct reserve *reserve; /* owned, as zygotes */
    bool full_only; /* no weaker sandbox is made */
    struct remote *remote; /* owned; NULL: no server is asked */
    char address[SPAWNER_ADDRESS_BYTES]; /* the server's, if FIND is NULL */
    spawner_find_fn *find;
    spawner_told_fn *told;
    void *arg; /* of both */
    struct buffer compiled[SANDBOX_ROLE_ZYGOTE + 1]; /* owned */
    struct profile_programs programs; /* what is compiled */
    struct buffer nested[SANDBOX_NETWORK_HOST + 1]; /* owned: by network */
};

/* One of birth, ticket and child is in use. */
struct spawner_order {
    struct spawner *spawner; /* borrowed */
    struct birth *birth; /* owned */
    uint64_t ticket; /* of the remote; 0: none */
    struct wish wish; /* owned: what the remote was asked, to do it here if need be */
    struct spawner_child child; /* owned: a spare, until the timer fires */
    struct loop_timer *timer; /* owned */
    spawner_done_fn *fn;
    void *arg;
};

CLEANUP_DEFINE(struct spawner, spawner_destroy);

static void
order_destroy(struct spawner_order *order)
{
    if (order == NULL)
        return;
    loop_timer_destroy(order->timer);
    spawner_child_fini(&order->child);
    wish_fini(&order->wish);
    free(order);
}

CLEANUP_DEFINE(struct spawner_order, order_destroy);

int
spawner_create(struct spawner **ret, struct error *err)
{
    struct spawner *spawner = calloc(1, sizeof *spawner);
    int r;

    if (spawner == NULL)
        return -ENOMEM;
    r = launches_create(&spawner->launches, err);
    if (r != 0) {
        free(spawner);
        return r;
    }
    *ret = spawner;
    return 0;
}

int
spawner_connect(struct spawner **ret, const char *address, struct error *err)
{
    CLEANUP(spawner_destroyp) struct spawner *spawner = calloc(1, sizeof *spawner);
    int r;

    if (spawner == NULL)
        return -ENOMEM;
    if (strlen(address) >= sizeof spawner->address)
        return error_set(err, SPAWNER_E_GONE, "the address of the server is too long: %s",
                         address);
    strcpy(spawner->address, address);
    r = remote_create(&spawner->remote);
    if (r == 0)
        r = remote_connect(spawner->remote, address, err);
    if (r != 0)
        return r;
    *ret = spawner;
    spawner = NULL;
    return 0;
}

void
spawner_destroy(struct spawner *spawner)
{
    if (spawner == NULL)
        return;
    reserve_destroy(spawner->reserve);
    zygotes_destroy(spawner->zygotes);
    remote_destroy(spawner->remote);
    launches_destroy(spawner->launches);
    for (size_t i = 0; i < N_ELEMENTS(spawner->compiled); i++)
        buffer_fini(&spawner->compiled[i]);
    for (size_t i = 0; i < N_ELEMENTS(spawner->nested); i++)
        buffer_fini(&spawner->nested[i]);
    free(spawner);
}

int
spawner_pid(const struct spawner *spawner)
{
    return spawner->launches == NULL ? 0 : launches_pid(spawner->launches);
}

struct launches *
spawner_launches(const struct spawner *spawner)
{
    return spawner->launches;
}

int
spawner_attach(struct spawner *spawner, struct loop *loop)
{
    assert(spawner->loop == NULL);
    spawner->loop = loop;
    return spawner->remote != NULL ? remote_attach(spawner->remote, loop)
                                   : launches_attach(spawner->launches, loop);
}

int
spawner_use_server(struct spawner *spawner, spawner_find_fn *find, spawner_told_fn *told,
                   void *arg)
{
    int r;

    assert(spawner->loop != NULL && spawner->remote == NULL);
    spawner->find = find;
    spawner->told = told;
    spawner->arg = arg;
    r = remote_create(&spawner->remote);
    return r != 0 ? r : remote_attach(spawner->remote, spawner->loop);
}

int
spawner_programs(struct spawner *spawner, const struct profile_programs **ret,
                 struct error *err)
{
    int r = 0;

    for (int role = 0; r == 0 && role <= SANDBOX_ROLE_ZYGOTE; role++) {
        struct buffer *compiled = &spawner->compiled[role];

        if (compiled->length > 0)
            continue;
        buffer_init(compiled, PROGRAM_BYTES_MAX);
        r = sandbox_policy_compile(compiled, (enum sandbox_role)role, err);
        spawner->programs.of_role[role] = buffer_slice(compiled);
    }
    *ret = &spawner->programs;
    return r;
}

int
spawner_nested_program(struct spawner *spawner, enum sandbox_network network,
                       struct slice *ret, struct error *err)
{
    struct buffer *compiled = &spawner->nested[network];
    int r = 0;

    if (compiled->length == 0) {
        buffer_init(compiled, PROGRAM_BYTES_MAX);
        r = sandbox_policy_compile_nested(compiled, network, err);
    }
    *ret = buffer_slice(compiled);
    return r;
}

void
spawner_require_full(struct spawner *spawner)
{
    spawner->full_only = true;
}

static void
on_zygotes_changed(void *arg)
{
    struct spawner *spawner = arg;

    reserve_wake(spawner->reserve);
}

int
spawner_use_zygotes(struct spawner *spawner, unsigned reserve, spawner_told_fn *fn,
                    void *arg)
{
    int r;

    assert(spawner->loop != NULL && spawner->launches != NULL);
    assert(spawner->zygotes == NULL);
    r = zygotes_create(&spawner->zygotes, spawner->loop, spawner->launches, fn, arg,
                       on_zygotes_changed, spawner);
    if (r == 0)
        r = reserve_create(&spawner->reserve, spawner->loop, spawner->launches,
                           spawner->zygotes, reserve);
    return r;
}

/* A workspace is one context's, or its owner's. */
static bool
can_be_spare(const struct sandbox_spec *spec)
{
    return sandbox_spec_workspace(spec) == 0;
}

void
spawner_prepare(struct spawner *spawner, const struct spawner_wish *wish)
{
    if (spawner->zygotes == NULL || wish->zygote == NULL)
        return;
    (void)zygotes_find(spawner->zygotes, wish->zygote);
    if (wish->spec != NULL && can_be_spare(wish->spec))
        reserve_note(spawner->reserve, wish);
}

uint64_t
spawner_generation(struct spawner *spawner, const struct spawner_wish *wish)
{
    return spawner->zygotes == NULL || wish->zygote == NULL
               ? 0
               : zygotes_generation(spawner->zygotes, wish->zygote);
}

static int
on_done(struct spawner_child *child, const struct error *err, void *arg)
{
    CLEANUP(order_destroyp) struct spawner_order *order = arg;

    order->birth = NULL;
    return order->fn(child, err, order->arg);
}

static int
on_timer(void *arg)
{
    struct spawner_order *order = arg;

    return on_done(&order->child, NULL, order);
}

/* By exec or by a fork, of the launcher's or the zygote's sandbox. */
static int
order_birth(struct spawner_order *order, const struct spawner_wish *wish,
            struct error *err)
{
    struct spawner *spawner = order->spawner;
    const struct zygote *zygote = NULL;
    int r;

    if (spawner->zygotes != NULL && wish->zygote != NULL) {
        if (can_be_spare(wish->spec))
            reserve_note(spawner->reserve, wish);
        zygote = zygotes_find(spawner->zygotes, wish->zygote);
    }
    r = birth_begin(&order->birth, spawner->launches, wish->spec,
                    zygote == NULL ? NULL : zygote_fds(zygote), on_done, order, err);
    if (r == LAUNCHES_E_SPEC)
        return SPAWNER_E_SPEC;
    if (r == LAUNCHES_E_FULL)
        return SPAWNER_E_FULL;
    return r > 0 ? SPAWNER_E_GONE : r;
}

static int
order_spare(struct spawner_order *order, const struct spawner_wish *wish)
{
    int r = loop_add_timer(&order->timer, order->spawner->loop, on_timer, order);

    if (r == 0) {
        reserve_note(order->spawner->reserve, wish);
        loop_timer_arm(order->timer, 0);
    }
    return r;
}

/* By this program's own means. */
static int
order_here(struct spawner_order *order, const struct spawner_wish *wish,
           struct error *err)
{
    struct spawner *spawner = order->spawner;

    if (spawner->full_only && wish->spec->tier != SANDBOX_TIER_FULL)
        return error_set(err, SPAWNER_E_SPEC,
                         "this server makes full sandboxes alone: start it with --tier "
                         "nested");
    if (spawner->zygotes != NULL && wish->zygote != NULL && can_be_spare(wish->spec) &&
        reserve_take(spawner->reserve, wish, &order->child))
        return order_spare(order, wish);
    return order_birth(order, wish, err);
}

static void
tell_failure(const struct spawner *spawner, const char *why)
{
    char line[ERROR_TEXT_BYTES + 64];

    snprintf(line, sizeof line, "%s; the interpreter is started without a server", why);
    spawner->told(line, spawner->arg);
}

/* What the server could not do is done here, if it can be. */
static int
on_remote_done(struct spawner_child *child, const struct error *err, void *arg)
{
    struct spawner_order *order = arg;
    struct wish_copy copy;
    struct error why = { 0 };
    int r;

    order->ticket = 0;
    if (child != NULL || order->spawner->launches == NULL)
        return on_done(child, err, order);
    tell_failure(order->spawner, err->text);
    r = wish_copy_init(&copy, buffer_slice(&order->wish.bytes), order->wish.first_length,
                       &why);
    if (r == 0) {
        r = order_here(order, &copy.wish, &why);
        wish_copy_fini(&copy);
    }
    if (r == 0)
        return 0;
    error_set(&why, r, "%s", strerror(r < 0 ? -r : EIO));
    return on_done(NULL, &why, order);
}

static int
connect_remote(struct spawner *spawner, struct error *err)
{
    int r = 0;

    if (remote_is_connected(spawner->remote))
        return 0;
    if (spawner->find != NULL)
        r = spawner->find(spawner->address, spawner->arg);
    return r != 0 ? r : remote_connect(spawner->remote, spawner->address, err);
}

static int
send_order(struct spawner_order *order, struct error *err)
{
    struct remote *remote = order->spawner->remote;
    bool is_old = remote_is_connected(remote);
    struct error first = { 0 };
    int r = connect_remote(order->spawner, err);

    if (r == 0)
        r = remote_spawn(remote, &order->wish, on_remote_done, order, &order->ticket,
                         is_old ? &first : err);
    if (r != SPAWNER_E_GONE || !is_old)
        return r;
    /* The server has ended since the last wish; there may be another. */
    if (!remote_drop(remote))
        return error_set(err, r, "%s", first.text);
    r = connect_remote(order->spawner, err);
    return r != 0 ? r
                  : remote_spawn(remote, &order->wish, on_remote_done, order,
                                 &order->ticket, err);
}

static int
order_remote(struct spawner_order *order, const struct spawner_wish *wish,
             struct error *err)
{
    struct error why = { 0 };
    int r = wish_init(&order->wish, wish, err);

    if (r != 0)
        return r < 0 ? r : SPAWNER_E_SPEC;
    if (order->spawner->launches == NULL)
        return send_order(order, err);
    r = send_order(order, &why);
    if (r == 0)
        return 0;
    if (why.text[0] != '\0') /* else there is no server */
        tell_failure(order->spawner, why.text);
    return order_here(order, wish, err);
}

int
spawner_spawn(struct spawner_order **ret, struct spawner *spawner,
              const struct spawner_wish *wish, spawner_done_fn *fn, void *arg,
              struct error *err)
{
    CLEANUP(order_destroyp) struct spawner_order *order = malloc(sizeof *order);
    int r;

    assert(spawner->loop != NULL);
    if (order == NULL)
        return -ENOMEM;
    *order = (struct spawner_order){
        .spawner = spawner, .child = SPAWNER_CHILD_NONE, .fn = fn, .arg = arg
    };
    r = spawner->remote != NULL && (spawner->launches == NULL || can_be_spare(wish->spec))
            ? order_remote(order, wish, err)
            : order_here(order, wish, err);
    if (r != 0)
        return r;
    *ret = order;
    order = NULL;
    return 0;
}

void
spawner_cancel(struct spawner_order *order)
{
    if (order == NULL)
        return;
    if (order->birth != NULL)
        birth_cancel(order->birth);
    else if (order->ticket != 0)
        remote_cancel(order->spawner->remote, order->ticket);
    order_destroy(order);
}
