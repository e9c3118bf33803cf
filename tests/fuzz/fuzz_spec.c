/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "contexts/sandbox/spec.h"
#include "protocol/error.h"
#include "tests/fuzz/fuzz.h"

/* Decoding is exact: there is one encoding of each spec. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sandbox_spec_copy copy;
    struct error err = { 0 };
    struct buffer out;
    int r = sandbox_spec_decode(&copy, (struct slice){ data, size }, &err);

    CHECK(r == 0 || r == SANDBOX_SPEC_E_INVALID);
    if (r != 0)
        return 0;
    buffer_init(&out, 2 * SANDBOX_SPEC_BYTES_MAX);
    CHECK(sandbox_spec_encode(&out, &copy.spec, &err) == 0);
    CHECK(out.length == size && memcmp(out.data, data, size) == 0);
    buffer_fini(&out);
    sandbox_spec_copy_fini(&copy);
    return 0;
}
