/* SPDX-License-Identifier: MIT */
#include "kernel/cli/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

int
pairs_add(json_t *object, const char *name, const struct option_list *list,
          struct error *err)
{
    json_t *pairs = json_object();

    if (json_object_set_new(object, name, pairs) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        CLEANUP(freep) char *key = NULL;

        if (equals == NULL || equals == list->items[i])
            return error_set(err, PAIRS_E_INVALID, "%.100s is not NAME=VALUE",
                             list->items[i]);
        key = strndup(list->items[i], (size_t)(equals - list->items[i]));
        if (key == NULL)
            return -ENOMEM;
        if (json_object_set_new(pairs, key, json_string(equals + 1)) < 0)
            return error_set(err, PAIRS_E_INVALID, "%.100s is not UTF-8 text",
                             list->items[i]);
    }
    return 0;
}
