/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "contexts/sandbox/call.h"
#include "tests/fuzz/fuzz.h"

/* Decoding is exact, and gives nothing but what a zygote makes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sandbox_spec_copy copy;
    struct sandbox_call call;
    struct buffer out;
    int r = sandbox_call_decode(&call, &copy, (struct slice){ data, size });

    CHECK(r == 0 || r == SANDBOX_SPEC_E_INVALID);
    if (r != 0)
        return 0;
    CHECK(copy.spec.role == SANDBOX_ROLE_RUNNER);
    CHECK(copy.spec.network == SANDBOX_NETWORK_NONE);
    buffer_init(&out, 2 * SANDBOX_CALL_BYTES_MAX);
    CHECK(sandbox_call_encode(&out, &call, &copy.spec) == 0);
    CHECK(out.length == size && memcmp(out.data, data, size) == 0);
    buffer_fini(&out);
    sandbox_spec_copy_fini(&copy);
    return 0;
}
