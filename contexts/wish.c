/* SPDX-License-Identifier: MIT */
#include "contexts/wish.h"

#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

int
wish_init(struct wish *ret, const struct spawner_wish *from, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer bytes;
    size_t first_length;
    int r;

    buffer_init(&bytes, WISH_BYTES_MAX);
    r = sandbox_spec_encode(&bytes, from->spec, err);
    first_length = bytes.length;
    if (r == 0 && from->zygote != NULL)
        r = sandbox_spec_encode(&bytes, from->zygote, err);
    if (r != 0)
        return r < 0 ? r : WISH_E_INVALID;
    *ret = (struct wish){ .bytes = bytes, .first_length = first_length };
    bytes = (struct buffer){ 0 };
    return 0;
}

void
wish_fini(struct wish *wish)
{
    buffer_fini(&wish->bytes);
}

bool
wish_equals(const struct wish *a, const struct wish *b)
{
    return a->first_length == b->first_length && a->bytes.length == b->bytes.length &&
           memcmp(a->bytes.data, b->bytes.data, a->bytes.length) == 0;
}

static int
decode(struct sandbox_spec_copy *ret, struct slice bytes, enum sandbox_role role,
       struct error *err)
{
    int r = sandbox_spec_decode(ret, bytes, err);

    if (r != 0)
        return r < 0 ? r : WISH_E_INVALID;
    if (ret->spec.role == role)
        return 0;
    sandbox_spec_copy_fini(ret);
    return error_set(err, WISH_E_INVALID, "a spec has the wrong role");
}

int
wish_copy_init(struct wish_copy *ret, struct slice bytes, size_t first_length,
               struct error *err)
{
    struct sandbox_spec_copy runner, zygote = { 0 };
    int r;

    if (first_length > bytes.length)
        return error_set(err, WISH_E_INVALID, "a spec is longer than its packet");
    r = decode(&runner, (struct slice){ bytes.data, first_length }, SANDBOX_ROLE_RUNNER,
               err);
    if (r != 0)
        return r;
    bytes.data += first_length;
    bytes.length -= first_length;
    if (bytes.length > 0)
        r = decode(&zygote, bytes, SANDBOX_ROLE_ZYGOTE, err);
    if (r != 0) {
        sandbox_spec_copy_fini(&runner);
        return r;
    }
    *ret = (struct wish_copy){ .runner = runner, .zygote = zygote };
    ret->wish.spec = &ret->runner.spec;
    ret->wish.zygote = bytes.length > 0 ? &ret->zygote.spec : NULL;
    return 0;
}

void
wish_copy_fini(struct wish_copy *copy)
{
    sandbox_spec_copy_fini(&copy->runner);
    sandbox_spec_copy_fini(&copy->zygote);
}
