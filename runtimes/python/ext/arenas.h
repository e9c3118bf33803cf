/* SPDX-License-Identifier: MIT */
/*
 * arenas - Python's small objects side by side, for huge pages
 */
#ifndef RUNTIMES_PYTHON_EXT_ARENAS_H
#define RUNTIMES_PYTHON_EXT_ARENAS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* From now on arenas for small objects come from one region of memory, as long as there
 * is room in it: else they lie between mapped libraries, a megabyte here and there, which
 * no huge page can hold. Without effect where the interpreter has no such hook. Call it
 * before the large imports, with one thread. Returns None. */
PyObject *arenas_gather(PyObject *module, PyObject *unused);

#endif
