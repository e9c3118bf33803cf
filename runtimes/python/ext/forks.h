/* SPDX-License-Identifier: MIT */
/*
 * forks - the zygote's loop, as a function for Python
 */
#ifndef RUNTIMES_PYTHON_EXT_FORKS_H
#define RUNTIMES_PYTHON_EXT_FORKS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Serves init's calls on RUNNER_CHANNEL_FD. Returns in a runner, confined, with the list
 * of its environment's "NAME=value" strings; in the zygote, once nobody can call any
 * more, with None. NULL and an OSError on failure. */
PyObject *forks_serve(PyObject *module, PyObject *unused);

#endif
