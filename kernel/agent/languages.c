/* SPDX-License-Identifier: MIT */
#include "kernel/agent/languages.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "contexts/runtime.h"
#include "kernel/agent/refusal.h"
#include "kernel/probe.h"

int
languages_add(struct languages *languages, struct runtime *runtime,
              struct environment *environment)
{
    if (languages->count == LANGUAGES_MAX) {
        environment_destroy(environment);
        runtime_destroy(runtime);
        return -ENOSPC;
    }
    languages->items[languages->count++] = (struct language){ runtime, environment };
    return 0;
}

void
languages_fini(struct languages *languages)
{
    while (languages->count > 0) {
        struct language *language = &languages->items[--languages->count];

        environment_destroy(language->environment);
        runtime_destroy(language->runtime);
    }
}

const struct language *
languages_find(const struct languages *languages, const char *language,
               const char *runtime)
{
    for (size_t i = 0; i < languages->count; i++) {
        const struct language *item = &languages->items[i];

        if ((language == NULL ||
             strcasecmp(item->environment->language, language) == 0) &&
            (runtime == NULL || strcmp(item->environment->name, runtime) == 0 ||
             strcmp(item->runtime->name, runtime) == 0))
            return item;
    }
    return NULL;
}

int
languages_refuse(const struct languages *languages, const char *name, struct refusal *no)
{
    json_t *names = json_array();

    for (size_t i = 0; i < languages->count; i++)
        json_array_append_new(names,
                              json_string(languages->items[i].environment->language));
    refusal_set(no, REFUSAL_LANGUAGE_NOT_FOUND, "there is no runtime for \"%.64s\"",
                name);
    return refusal_detail(no, "languages", names);
}
