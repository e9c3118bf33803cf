/* SPDX-License-Identifier: MIT */
#include "tests/fault/allocation.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#define ALLOCATIONS_MAX 10000 /* of one path: more would be a path that never ends */

static struct {
    size_t until; /* allocations until one fails, 0: none will */
    bool failed;
    long live;
} state;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *pointer);
char *__real_strndup(const char *text, size_t length);
int __real_vasprintf(char **ret, const char *format, va_list ap);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *pointer);
char *__wrap_strndup(const char *text, size_t length);
__attribute__((format(printf, 2, 0))) int __wrap_vasprintf(char **ret, const char *format,
                                                           va_list ap);

static bool
fails(void)
{
    if (state.until == 0 || --state.until > 0)
        return false;
    state.failed = true;
    errno = ENOMEM;
    return true;
}

static void *
counted(void *pointer)
{
    if (pointer != NULL)
        state.live++;
    return pointer;
}

void *
__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *
__wrap_realloc(void *old, size_t size)
{
    if (fails())
        return NULL;
    return old == NULL ? counted(__real_malloc(size)) : __real_realloc(old, size);
}

void
__wrap_free(void *pointer)
{
    if (pointer != NULL)
        state.live--;
    __real_free(pointer);
}

char *
__wrap_strndup(const char *text, size_t length)
{
    return fails() ? NULL : counted(__real_strndup(text, length));
}

int
__wrap_vasprintf(char **ret, const char *format, va_list ap)
{
    int n;

    if (fails())
        return -1;
    n = __real_vasprintf(ret, format, ap);
    if (n >= 0)
        state.live++;
    return n;
}

void
allocation_hook_jansson(void)
{
    json_set_alloc_funcs(__wrap_malloc, __wrap_free);
}

void
allocation_fail(size_t number)
{
    state.until = number;
    state.failed = false;
}

bool
allocation_failed(void)
{
    return state.failed;
}

long
allocation_live(void)
{
    return state.live;
}

void
allocation_fail_each(int (*path)(void), bool may_be_less)
{
    for (size_t number = 1; number < ALLOCATIONS_MAX; number++) {
        long before = allocation_live();
        int r;

        allocation_fail(number);
        r = path();
        if (allocation_live() != before)
            fail_msg("allocation %zu: %ld leaked", number, allocation_live() - before);
        if (!allocation_failed()) {
            allocation_fail(0);
            assert_int_equal(r, 0);
            assert_true(number > 1);
            return;
        }
        if (r != -ENOMEM && !(may_be_less && r == 0))
            fail_msg("allocation %zu: result %d", number, r);
    }
    fail_msg("the path never ends");
}
