/* SPDX-License-Identifier: MIT */
#include "kernel/compare/base64.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "kernel/compare/compare.h"
#include "protocol/cleanup.h"

int
base64_decode(struct slice text, struct buffer *ret)
{
    size_t most = text.length / 4 * 3 + 3, length = 0;
    int r;

    if (text.length == 0)
        return 0;
    r = buffer_reserve(ret, most);
    if (r != 0)
        return r < 0 ? r : COMPARE_E_INVALID;
    if (sodium_base642bin(ret->data + ret->length, most, (const char *)text.data,
                          text.length, " \t\r\n", &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return COMPARE_E_INVALID;
    ret->length += length;
    return 0;
}

int
base64_encode(json_t **ret, struct slice bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.length, sodium_base64_VARIANT_ORIGINAL);
    CLEANUP(freep) char *text = malloc(size);
    json_t *made;

    if (text == NULL)
        return -ENOMEM;
    sodium_bin2base64(text, size, bytes.length > 0 ? bytes.data : (const uint8_t *)"",
                      bytes.length, sodium_base64_VARIANT_ORIGINAL);
    made = json_stringn_nocheck(text, size - 1);
    if (made == NULL)
        return -ENOMEM;
    *ret = made;
    return 0;
}
