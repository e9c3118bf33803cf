/* SPDX-License-Identifier: MIT */
/* Environment variables that one run alone has. */
#include <stdlib.h>
#include <string.h>

#include "runtimes/bash/shell/bash.h"
#include "runtimes/bash/shell/shell.h"

#define COUNT_MAX 256
#define NEVER (BASH_READONLY | BASH_ARRAY | BASH_ASSOC | BASH_NAMEREF | BASH_NO_ASSIGN)

/* What a variable was before. */
static struct saved {
    char *name; /* owned */
    char *value; /* owned; NULL: it was unset */
    int attributes;
} saved[COUNT_MAX];

static uint32_t saved_count;

static void
bind(struct saved *entry, char *value, int attributes)
{
    struct bash_variable *variable = bind_variable(entry->name, value, 0);

    if (variable != NULL)
        variable->attributes = attributes;
    array_needs_making = 1;
    stupidly_hack_special_variables(entry->name);
}

static bool
set_variable(char *text)
{
    struct saved *entry = &saved[saved_count];
    char *equals = strchr(text, '=');
    const struct bash_variable *variable;

    if (equals == NULL || saved_count == COUNT_MAX)
        return false;
    *entry = (struct saved){ .name = strndup(text, (size_t)(equals - text)) };
    if (entry->name == NULL)
        return false;
    variable = legal_identifier(entry->name) ? find_variable(entry->name) : NULL;
    if (!legal_identifier(entry->name) ||
        (variable != NULL && (variable->attributes & NEVER) != 0)) {
        free(entry->name);
        return false;
    }
    if (variable != NULL && (variable->attributes & BASH_INVISIBLE) == 0 &&
        variable->value != NULL) {
        entry->value = strdup(variable->value);
        entry->attributes = variable->attributes;
    }
    saved_count++;
    bind(entry, equals + 1, BASH_EXPORTED);
    return true;
}

uint32_t
shell_set_variables(const struct shell_order *order)
{
    char *text = shell_first_text(order);
    uint32_t index = 0;

    while ((text = shell_next_text(order, text)) != NULL) {
        index++;
        if (set_variable(text))
            continue;
        shell_restore_variables();
        return index;
    }
    return 0;
}

void
shell_restore_variables(void)
{
    while (saved_count > 0) {
        struct saved *entry = &saved[--saved_count];
        struct bash_variable *variable = find_variable(entry->name);

        if (variable != NULL) {
            variable->attributes &= ~(BASH_READONLY | BASH_NO_UNSET);
            unbind_variable(entry->name);
        }
        if (entry->value != NULL)
            bind(entry, entry->value, entry->attributes);
        else
            stupidly_hack_special_variables(entry->name);
        array_needs_making = 1;
        free(entry->name);
        free(entry->value);
        *entry = (struct saved){ .name = NULL };
    }
}
