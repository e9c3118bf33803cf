/* SPDX-License-Identifier: MIT */
/* libuv's declarations are as https://docs.libuv.org has them; its ABI is the same in all
 * versions 1 (uv/version.h). */
#include "runtimes/node/ext/loop.h"

#include <errno.h>
#include <stdlib.h>

#include "protocol/error.h"

enum { UV_CHECK = 2, UV_PREPARE = 9 };

struct uv_handle; /* opaque: what a watcher is, too */
typedef void uv_watcher_cb(struct uv_handle *watcher);

size_t uv_handle_size(int type);
int uv_check_init(struct uv_loop *loop, struct uv_handle *check);
int uv_check_start(struct uv_handle *check, uv_watcher_cb *cb);
int uv_prepare_init(struct uv_loop *loop, struct uv_handle *prepare);
int uv_prepare_start(struct uv_handle *prepare, uv_watcher_cb *cb);
void uv_unref(struct uv_handle *handle);

static loop_turn_fn *on_turn;

/* Before Node's own, which calls immediates: the last watcher is called first. */
static void
on_check(struct uv_handle *check)
{
    (void)check;
    on_turn(true);
}

static void
on_prepare(struct uv_handle *prepare)
{
    (void)prepare;
    on_turn(false);
}

int
loop_watch(napi_env env, loop_turn_fn *turn, struct error *err)
{
    struct uv_handle *check = malloc(uv_handle_size(UV_CHECK));
    struct uv_handle *prepare = malloc(uv_handle_size(UV_PREPARE));
    struct uv_loop *loop = NULL;

    if (check == NULL || prepare == NULL)
        abort(); /* as V8 does */
    if (napi_get_uv_event_loop(env, &loop) != NAPI_OK) {
        free(check);
        free(prepare);
        return error_set(err, -ENOSYS, "this Node has no event loop");
    }
    on_turn = turn;
    uv_check_init(loop, check);
    uv_check_start(check, on_check);
    uv_prepare_init(loop, prepare);
    uv_prepare_start(prepare, on_prepare);
    uv_unref(check);
    uv_unref(prepare);
    return 0;
}
