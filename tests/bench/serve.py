# SPDX-License-Identifier: MIT
"""A `cellwall serve` for the time of a run."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.kernels import SERVED, Bench
from tests.bench.results import Results

READY_S = 30.0
ZYGOTE_S = 60.0


def can_serve(bench: Bench) -> bool:
    said = subprocess.run(
        [bench.build / "cellwall", "--help"], check=True, capture_output=True, text=True
    )
    return any(line.split()[:1] == ["serve"] for line in said.stdout.splitlines())


def wait_line(process: subprocess.Popen[bytes], word: bytes, seconds: float) -> bool:
    """Reads what PROCESS says until WORD is in it."""
    assert process.stdout
    end, said = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while word not in said:
            if not selector.select(max(0.0, end - time.monotonic())):
                return False
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                return False
            said += part
    return True


@contextmanager
def serving(bench: Bench, results: Results) -> Iterator[None]:
    """Lets the kernels of the column SERVED find a server; without one, drops it."""
    if not can_serve(bench):
        results.remark('this cellwall has no "serve": rows that need it are left out')
        del bench.names[SERVED]
        yield
        return
    process = subprocess.Popen(
        [bench.build / "cellwall", "serve"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **bench.env[SERVED]},
    )
    try:
        if not wait_line(process, b"\n", READY_S):
            raise RuntimeError("cellwall serve does not get ready")
        # The first kernel makes the server start a zygote of its environment.
        with bench.kernel(SERVED) as kernel:
            kernel.ask("start")
            kernel.execute("1+1")
            if not wait_line(process, b"ready with", ZYGOTE_S):
                raise RuntimeError("cellwall serve has no zygote of this environment")
        yield
    finally:
        process.terminate()
        process.communicate()  # what it logs is nobody's by now
