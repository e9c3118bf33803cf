/* SPDX-License-Identifier: MIT */
#include "runtimes/python/ext/forks.h"

#include <signal.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "contexts/sandbox/join.h"
#include "protocol/error.h"
#include "runtimes/lib/runner.h"

#define HUGE_PAGE ((uintptr_t)2 * 1024 * 1024)
#define MAPS_LINE_BYTES 512
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* since Linux 6.1 */
#endif

/* Puts what is in memory into huge pages: a fork copies one entry of the page table for
 * each then, instead of 512. What the kernel cannot do stays as it was. */
static void
collapse(char *start, char *end)
{
    char *first = start + (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;

    for (; first + HUGE_PAGE <= end; first += HUGE_PAGE)
        (void)madvise(first, HUGE_PAGE, MADV_COLLAPSE);
}

static void
collapse_all(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[MAPS_LINE_BYTES], rights[5], name[8];
    unsigned long start, end;

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        int fields =
            sscanf(line, "%lx-%lx %4s %*s %*s %*s %7s", &start, &end, rights, name);

        if ((fields == 3 || (fields == 4 && strcmp(name, "[heap]") == 0)) &&
            strcmp(rights, "rw-p") == 0)
            collapse((char *)start, (char *)end);
    }
    if (maps != NULL)
        fclose(maps);
}

static PyObject *
list_of_strings(const char *const *strings)
{
    PyObject *list = PyList_New(0);

    for (; list != NULL && *strings != NULL; strings++) {
        PyObject *string = PyUnicode_DecodeFSDefault(*strings);

        if (string == NULL || PyList_Append(list, string) < 0)
            Py_CLEAR(list);
        Py_XDECREF(string);
    }
    return list;
}

/* What the interpreter does on which signal. A runner's confinement forgets all that its
 * spawner has set, but this is the runner's own. */
static struct sigaction actions[NSIG];

static void
before(void)
{
    for (int i = 1; i < NSIG; i++)
        sigaction(i, NULL, &actions[i]);
    PyOS_BeforeFork();
}

static void
after_in_runner(void)
{
    for (int i = 1; i < NSIG; i++)
        if (actions[i].sa_handler != SIG_DFL) /* a union with the other kind of handler */
            sigaction(i, &actions[i], NULL);
    PyOS_AfterFork_Child();
}

PyObject *
forks_serve(PyObject *module, PyObject *unused)
{
    const struct sandbox_join_hooks hooks = {
        .before = before,
        .after_in_zygote = PyOS_AfterFork_Parent,
        .after_in_runner = after_in_runner,
    };
    struct sandbox_spec_copy copy;
    struct error err = { 0 };
    PyObject *variables;
    int r;

    (void)module, (void)unused;
    collapse_all();
    /* With the interpreter's lock: there is nobody else to run. */
    r = sandbox_join_serve(RUNNER_CHANNEL_FD, &hooks, &copy, &err);
    if (r < 0) {
        PyErr_SetString(PyExc_OSError, err.text);
        return NULL;
    }
    if (r == SANDBOX_JOIN_ENDED)
        Py_RETURN_NONE;
    variables = list_of_strings(copy.spec.env);
    sandbox_spec_copy_fini(&copy);
    return variables;
}
