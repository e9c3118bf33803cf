/* SPDX-License-Identifier: MIT */
#include "contexts/reserve.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "contexts/birth.h"
#include "contexts/loop.h"
#include "contexts/wish.h"
#include "contexts/zygote.h"
#include "contexts/zygotes.h"
#include "protocol/cleanup.h"

#define QUIET_US 10000 /* of no request, before a spare is made */
#define STALE_US ((uint64_t)10 * 60 * 1000000) /* a kind that nobody wants is dropped */
#define FOLDERS_MAX 8 /* writable ones; wishes with more get no spares */

/* A folder can be replaced by another of the same name; a spare has the old one. */
struct folder {
    dev_t device;
    ino_t inode;
};

struct spare {
    struct spare *next;
    struct spawner_child child; /* owned */
    uint64_t zygote_us; /* which zygote has made it */
    struct folder folders[FOLDERS_MAX];
};

struct stock {
    struct stock *next;
    struct reserve *reserve; /* borrowed */
    struct wish key; /* owned */
    struct wish_copy copy; /* owned: the same, decoded */
    struct spare *spares; /* owned */
    unsigned count;
    uint64_t used_us;
};

struct reserve {
    struct loop *loop; /* borrowed */
    struct launches *launches; /* borrowed */
    struct zygotes *zygotes; /* borrowed */
    unsigned size;
    struct stock *stocks; /* owned, the last used first */
    struct loop_timer *quiet; /* owned */
    struct birth *birth; /* owned: the spare in the making */
    struct stock *birth_stock; /* borrowed: whose; NULL: dropped meanwhile */
    struct spare *birth_spare; /* owned */
};

CLEANUP_DEFINE(struct reserve, reserve_destroy);

static void
spare_destroy(struct spare *spare)
{
    if (spare == NULL)
        return;
    spawner_child_fini(&spare->child); /* its init ends it */
    free(spare);
}

CLEANUP_DEFINE(struct spare, spare_destroy);

static void
stock_empty(struct stock *stock)
{
    while (stock->spares != NULL) {
        struct spare *spare = stock->spares;

        stock->spares = spare->next;
        spare_destroy(spare);
    }
    stock->count = 0;
}

static void
stock_destroy(struct stock *stock)
{
    if (stock == NULL)
        return;
    if (stock->reserve->birth_stock == stock)
        stock->reserve->birth_stock = NULL;
    stock_empty(stock);
    wish_copy_fini(&stock->copy);
    wish_fini(&stock->key);
    free(stock);
}

CLEANUP_DEFINE(struct stock, stock_destroy);

/* False: there are too many, or one is not there. */
static bool
look_at_folders(const struct sandbox_spec *spec, struct folder ret[FOLDERS_MAX])
{
    size_t count = 0;

    memset(ret, 0, FOLDERS_MAX * sizeof *ret);
    for (size_t i = 0; i < spec->mount_count; i++) {
        struct stat st;

        if (spec->mounts[i].kind != SANDBOX_MOUNT_BIND_RW)
            continue;
        if (count == FOLDERS_MAX || stat(spec->mounts[i].source, &st) < 0)
            return false;
        ret[count].device = st.st_dev;
        ret[count].inode = st.st_ino;
        count++;
    }
    return true;
}

static bool
folders_equal(const struct folder *a, const struct folder *b)
{
    for (int i = 0; i < FOLDERS_MAX; i++)
        if (a[i].device != b[i].device || a[i].inode != b[i].inode)
            return false;
    return true;
}

/* Moves it to the front. */
static struct stock *
find_stock(struct reserve *reserve, const struct wish *key)
{
    struct stock **at = &reserve->stocks, *stock;

    while (*at != NULL && !wish_equals(&(*at)->key, key))
        at = &(*at)->next;
    stock = *at;
    if (stock == NULL)
        return NULL;
    *at = stock->next;
    stock->next = reserve->stocks;
    reserve->stocks = stock;
    return stock;
}

static void
drop_stocks(struct reserve *reserve)
{
    struct stock **at = &reserve->stocks;
    uint64_t now = loop_now_us(reserve->loop);

    for (int i = 0; *at != NULL; i++) {
        struct stock *stock = *at;

        if (i < RESERVE_KINDS_MAX && now - stock->used_us < STALE_US) {
            at = &stock->next;
            continue;
        }
        *at = stock->next;
        stock_destroy(stock);
    }
}

/* Takes KEY's bytes. */
static int
stock_create(struct stock **ret, struct reserve *reserve, struct wish *key)
{
    CLEANUP(stock_destroyp) struct stock *stock = calloc(1, sizeof *stock);
    int r;

    if (stock == NULL)
        return -ENOMEM;
    stock->reserve = reserve;
    r = wish_copy_init(&stock->copy, buffer_slice(&key->bytes), key->first_length, NULL);
    if (r != 0)
        return r;
    stock->key = *key;
    *key = (struct wish){ 0 };
    *ret = stock;
    stock = NULL;
    return 0;
}

static void
plan(struct reserve *reserve)
{
    if (reserve->birth == NULL && reserve->size > 0)
        loop_timer_arm(reserve->quiet, QUIET_US);
}

void
reserve_wake(struct reserve *reserve)
{
    if (reserve->stocks != NULL)
        plan(reserve);
}

void
reserve_note(struct reserve *reserve, const struct spawner_wish *wish)
{
    CLEANUP(wish_fini) struct wish key = { 0 };
    struct stock *stock = NULL;

    if (reserve->size == 0 || wish_init(&key, wish, NULL) != 0)
        return;
    stock = find_stock(reserve, &key);
    if (stock == NULL) {
        if (stock_create(&stock, reserve, &key) != 0)
            return;
        stock->next = reserve->stocks;
        reserve->stocks = stock;
    }
    stock->used_us = loop_now_us(reserve->loop);
    drop_stocks(reserve);
    plan(reserve);
}

/* What it was made of is still so, and it lives. */
static bool
is_good(struct stock *stock, const struct spare *spare, const struct zygote *zygote)
{
    struct pollfd init = { .fd = spare->child.init_pidfd, .events = POLLIN };
    struct folder folders[FOLDERS_MAX];

    return zygote != NULL && spare->zygote_us == zygote_started_us(zygote) &&
           look_at_folders(stock->copy.wish.spec, folders) &&
           folders_equal(folders, spare->folders) && poll(&init, 1, 0) == 0;
}

bool
reserve_take(struct reserve *reserve, const struct spawner_wish *wish,
             struct spawner_child *ret)
{
    CLEANUP(wish_fini) struct wish key = { 0 };
    const struct zygote *zygote;
    struct stock *stock;
    bool taken = false;

    if (reserve->size == 0 || wish_init(&key, wish, NULL) != 0)
        return false;
    stock = find_stock(reserve, &key);
    zygote = zygotes_find(reserve->zygotes, wish->zygote);
    while (stock != NULL && stock->spares != NULL && !taken) {
        struct spare *spare = stock->spares;

        stock->spares = spare->next;
        stock->count--;
        taken = is_good(stock, spare, zygote);
        if (taken) {
            *ret = spare->child;
            spare->child = (struct spawner_child)SPAWNER_CHILD_NONE;
        }
        spare_destroy(spare);
    }
    return taken;
}

static int
on_born(struct spawner_child *child, const struct error *err, void *arg)
{
    struct reserve *reserve = arg;
    struct stock *stock = reserve->birth_stock;
    struct spare *spare = reserve->birth_spare;

    (void)err; /* a spare that cannot be had is missed by nobody */
    reserve->birth = NULL;
    reserve->birth_spare = NULL;
    if (child == NULL || stock == NULL) {
        spare_destroy(spare);
        return 0;
    }
    spare->child = *child;
    *child = (struct spawner_child)SPAWNER_CHILD_NONE;
    spare->next = stock->spares;
    stock->spares = spare;
    stock->count++;
    plan(reserve);
    return 0;
}

/* True when one is in the making. */
static bool
make_spare(struct reserve *reserve, struct stock *stock)
{
    CLEANUP(spare_destroyp) struct spare *spare = NULL;
    struct zygote *zygote = zygotes_find(reserve->zygotes, stock->copy.wish.zygote);

    if (zygote == NULL)
        return false;
    spare = calloc(1, sizeof *spare);
    if (spare == NULL)
        return false;
    spare->child = (struct spawner_child)SPAWNER_CHILD_NONE;
    spare->zygote_us = zygote_started_us(zygote);
    if (!look_at_folders(stock->copy.wish.spec, spare->folders) ||
        birth_begin(&reserve->birth, reserve->launches, stock->copy.wish.spec,
                    zygote_fds(zygote), on_born, reserve, NULL) != 0)
        return false;
    reserve->birth_stock = stock;
    reserve->birth_spare = spare;
    spare = NULL;
    return true;
}

static void
drop_bad_spares(struct reserve *reserve, struct stock *stock)
{
    const struct zygote *zygote = zygotes_find(reserve->zygotes, stock->copy.wish.zygote);
    struct spare **at = &stock->spares;

    while (*at != NULL) {
        struct spare *spare = *at;

        if (is_good(stock, spare, zygote)) {
            at = &spare->next;
            continue;
        }
        *at = spare->next;
        stock->count--;
        spare_destroy(spare);
    }
}

static int
on_quiet(void *arg)
{
    struct reserve *reserve = arg;
    bool making = false;

    drop_stocks(reserve);
    for (struct stock *stock = reserve->stocks; stock != NULL; stock = stock->next) {
        drop_bad_spares(reserve, stock);
        if (!making && stock->count < reserve->size)
            making = make_spare(reserve, stock);
    }
    if (!making && reserve->stocks != NULL) /* those that nobody wants go some day */
        loop_timer_arm(reserve->quiet, STALE_US);
    return 0;
}

int
reserve_create(struct reserve **ret, struct loop *loop, struct launches *launches,
               struct zygotes *zygotes, unsigned size)
{
    CLEANUP(reserve_destroyp) struct reserve *reserve = calloc(1, sizeof *reserve);
    int r;

    if (reserve == NULL)
        return -ENOMEM;
    reserve->loop = loop;
    reserve->launches = launches;
    reserve->zygotes = zygotes;
    reserve->size = size < RESERVE_SIZE_MAX ? size : RESERVE_SIZE_MAX;
    r = loop_add_timer(&reserve->quiet, loop, on_quiet, reserve);
    if (r < 0)
        return r;
    *ret = reserve;
    reserve = NULL;
    return 0;
}

void
reserve_destroy(struct reserve *reserve)
{
    if (reserve == NULL)
        return;
    if (reserve->birth != NULL)
        birth_cancel(reserve->birth);
    spare_destroy(reserve->birth_spare);
    while (reserve->stocks != NULL) {
        struct stock *stock = reserve->stocks;

        reserve->stocks = stock->next;
        stock_destroy(stock);
    }
    loop_timer_destroy(reserve->quiet);
    free(reserve);
}
