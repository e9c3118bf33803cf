# SPDX-License-Identifier: MIT
"""The threads of libraries that compute.

A zygote must have one thread, and OpenBLAS deadlocks in forks of a process that has had a
pool. So the libraries are loaded with one thread each, and a runner makes more, as many
as there would be had it loaded them itself.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Callable

_LIBRARIES = (
    # In a path; what sets the number; the variables that name it, the strongest first.
    (
        r"openblas",
        (
            "openblas_set_num_threads",
            "openblas_set_num_threads64_",
            "scipy_openblas_set_num_threads",
            "scipy_openblas_set_num_threads64_",
        ),
        ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"),
    ),
    (
        r"/libmkl_rt",
        ("MKL_Set_Num_Threads",),
        ("MKL_NUM_THREADS", "OMP_NUM_THREADS"),
    ),
    (
        r"/libblis",
        ("bli_thread_set_num_threads",),
        ("BLIS_NUM_THREADS", "OMP_NUM_THREADS"),
    ),
    (r"/lib(gomp|iomp5|omp)\b", ("omp_set_num_threads",), ("OMP_NUM_THREADS",)),
)
_VARIABLES = sorted({name for *_, names in _LIBRARIES for name in names})
_FOLLOWERS = ("NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Setter = tuple[Callable[[int], Any], tuple[str, ...]]


def restrain() -> None:
    """Lets libraries that will be loaded have one thread, unless they are told a number
    already. For this process: its forks get an environment of their own."""
    for name in (*_VARIABLES, *_FOLLOWERS):
        os.environ.setdefault(name, "1")


def _loaded() -> set[str]:
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        lines = [line.rstrip("\n").split(None, 5) for line in maps]
    return {fields[5] for fields in lines if len(fields) == 6 and ".so" in fields[5]}


def _functions(path: str, names: tuple[str, ...]) -> Iterator[Callable[[int], Any]]:
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return
    for name in names:
        function = getattr(library, name, None)
        if function is not None:
            function.argtypes, function.restype = [ctypes.c_int], None
            yield function


def find_setters() -> list[Setter]:
    """What sets the number of threads of each library that is loaded."""
    numexpr = sys.modules.get("numexpr")
    names = ("NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS")
    modules = [(numexpr.set_num_threads, names)] if numexpr is not None else []
    return modules + [
        (function, variables)
        for path in sorted(_loaded())
        for pattern, names, variables in _LIBRARIES
        if re.search(pattern, path)
        for function in _functions(path, names)
    ]


def _wanted(variables: tuple[str, ...], environment: Mapping[str, str]) -> int:
    for name in variables:
        # OMP_NUM_THREADS may be a list, one for each level of nesting.
        number = environment.get(name, "").split(",")[0].strip()
        if number.isdecimal() and int(number) > 0:
            return int(number)
    return len(os.sched_getaffinity(0))


def release(setters: list[Setter], environment: Mapping[str, str]) -> None:
    """Lets the libraries have as many threads as ENVIRONMENT and the machine give."""
    for function, variables in setters:
        number = _wanted(variables, environment)
        if number > 1:
            function(number)
