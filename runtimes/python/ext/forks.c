/* SPDX-License-Identifier: MIT */
#include "runtimes/python/ext/forks.h"

#include <signal.h>

#include "contexts/sandbox/join.h"
#include "protocol/error.h"
#include "runtimes/lib/runner.h"

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
