/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A copy of member KEY of EVENT in place of *TEXT, if there is one. */
static int
take(char **text, const json_t *event, const char *key)
{
    const char *value = json_string_value(json_object_get(event, key));
    char *copy;

    if (value == NULL)
        return 0;
    copy = strndup(value, strlen(value));
    if (copy == NULL)
        return -ENOMEM;
    free(*text);
    *text = copy;
    return 0;
}

static struct report_open *
create(const char *path)
{
    struct report_open *one = calloc(1, sizeof *one);

    if (one == NULL)
        return NULL;
    buffer_init(&one->text, REPORT_OPEN_BYTES_MAX);
    one->path = strndup(path, strlen(path));
    if (one->path == NULL) {
        free(one);
        return NULL;
    }
    return one;
}

int
report_open_find(struct report_open **list, const json_t *event, struct report_open **ret)
{
    const char *path = json_string_value(json_object_get(event, "path"));
    struct report_open **at = list;
    int r;

    if (path == NULL)
        path = "";
    while (*at != NULL && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    if (*at == NULL)
        *at = create(path);
    if (*at == NULL)
        return -ENOMEM;
    r = take(&(*at)->kernel, event, "kernel");
    if (r == 0)
        r = take(&(*at)->language, event, "language");
    if (r == 0)
        *ret = *at;
    return r;
}

void
report_open_close(struct report_open **list, struct report_open *one)
{
    while (*list != one)
        list = &(*list)->next;
    *list = one->next;
    free(one->path);
    free(one->kernel);
    free(one->language);
    buffer_fini(&one->text);
    free(one);
}

void
report_open_fini(struct report_open **list)
{
    while (*list != NULL)
        report_open_close(list, *list);
}
