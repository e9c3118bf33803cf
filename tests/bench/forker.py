# SPDX-License-Identifier: MIT
"""A peer: a plain fork of a warm Python, with no sandbox, no protocol and no IPython.

Obeys the same kind of commands as the programs in C:

    create COUNT CODE    forks, evaluates CODE in the child, reads its repr; COUNT times
    grow COUNT CODE      the same in COUNT children at once
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import Any

IMPORTS = "import numpy, pandas, matplotlib.pyplot"


def fork(code: str, names: dict[str, Any]) -> tuple[int, int]:
    """The child's id, and the pipe on which it says "ready", then its result."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(theirs, b"+")
            exec(IMPORTS, names)
            os.write(theirs, repr(eval(code, names)).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    return pid, ours


def read_all(pipe: int) -> bytes:
    found = b""
    while part := os.read(pipe, 4096):
        found += part
    os.close(pipe)
    return found


def create(count: int, code: str, names: dict[str, Any]) -> dict[str, list[float]]:
    """Microseconds until the child is there, until its result, and for its end."""
    times: dict[str, list[float]] = {"hello": [], "first": [], "gone": []}
    for _ in range(count):
        began = time.perf_counter()
        pid, pipe = fork(code, names)
        os.read(pipe, 1)
        hello = time.perf_counter()
        result = read_all(pipe)
        first = time.perf_counter()
        os.waitpid(pid, 0)
        if not result:
            raise RuntimeError(f"no result of {code}")
        times["hello"].append((hello - began) * 1e6)
        times["first"].append((first - began) * 1e6)
        times["gone"].append((time.perf_counter() - first) * 1e6)
    return times


def grow(count: int, code: str, names: dict[str, Any]) -> dict[str, float]:
    began = time.perf_counter()
    children = [fork(code, names) for _ in range(count)]
    for pid, pipe in children:
        if len(read_all(pipe)) < 2:
            raise RuntimeError(f"no result of {code}")
        os.waitpid(pid, 0)
    return {"us": (time.perf_counter() - began) * 1e6}


def main() -> None:
    names: dict[str, Any] = {}
    exec(IMPORTS, names)
    eval("1+1", names)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        name, count, code = line.split(" ", 2)
        fn = {"create": create, "grow": grow}[name]
        print(json.dumps(fn(int(count), json.loads(code), names)), flush=True)


if __name__ == "__main__":
    main()
