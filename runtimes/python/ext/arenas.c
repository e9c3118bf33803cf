/* SPDX-License-Identifier: MIT */
#include "runtimes/python/ext/arenas.h"

#include <dlfcn.h>
#include <stdint.h>
#include <sys/mman.h>

#define REGION_BYTES ((size_t)256 * 1024 * 1024) /* of addresses, not of memory */
#define HUGE_PAGE ((uintptr_t)2 * 1024 * 1024)

/* As in CPython's pymem.h; exported, but not part of the limited API. */
struct arena_allocator {
    void *context;
    void *(*alloc)(void *context, size_t size);
    void (*free)(void *context, void *arena, size_t size);
};
typedef void arena_hook(struct arena_allocator *allocator);

/* Guarded by the interpreter's lock. What is given back to the region is not used again,
 * but its memory is the system's at once. */
static struct {
    struct arena_allocator before;
    char *start, *next, *end;
} region;

static void *
region_alloc(void *context, size_t size)
{
    void *arena = region.next;

    (void)context;
    if (size > (size_t)(region.end - region.next))
        return region.before.alloc(region.before.context, size);
    region.next += size;
    return arena;
}

static void
region_free(void *context, void *arena, size_t size)
{
    (void)context;
    if ((char *)arena >= region.start && (char *)arena < region.end)
        (void)madvise(arena, size, MADV_DONTNEED);
    else
        region.before.free(region.before.context, arena, size);
}

PyObject *
arenas_gather(PyObject *module, PyObject *unused)
{
    /* Conversion by way of void: dlsym has no other. */
    arena_hook *get =
        (arena_hook *)(uintptr_t)dlsym(RTLD_DEFAULT, "PyObject_GetArenaAllocator");
    arena_hook *set =
        (arena_hook *)(uintptr_t)dlsym(RTLD_DEFAULT, "PyObject_SetArenaAllocator");
    char *start;

    (void)module, (void)unused;
    if (get == NULL || set == NULL || region.start != NULL)
        Py_RETURN_NONE;
    start = mmap(NULL, REGION_BYTES + HUGE_PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        Py_RETURN_NONE;
    region.start = start + (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;
    region.next = region.start;
    region.end = region.start + REGION_BYTES;
    get(&region.before);
    set(&(struct arena_allocator){ .alloc = region_alloc, .free = region_free });
    Py_RETURN_NONE;
}
