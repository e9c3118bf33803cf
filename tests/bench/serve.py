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

READY_S = 60.0
LISTENS = "kernels find it at "


def can_serve(bench: Bench) -> bool:
    said = subprocess.run(
        [bench.build / "cellwall", "--help"], check=True, capture_output=True, text=True
    )
    return any(line.split()[:1] == ["serve"] for line in said.stdout.splitlines())


def wait_words(
    process: subprocess.Popen[bytes], words: tuple[bytes, ...], seconds: float
) -> str:
    """Reads what PROCESS says until all WORDS are in it; what it said."""
    assert process.stdout
    end, said = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not all(word in said for word in words):
            ready = selector.select(max(0.0, end - time.monotonic()))
            part = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not part:
                raise RuntimeError(f"cellwall serve is not ready: {said.decode()}")
            said += part
    return said.decode()


@contextmanager
def serving(bench: Bench, results: Results) -> Iterator[None]:
    """Lets the kernels of the column SERVED find a server; without one, drops it."""
    if not can_serve(bench):
        results.remark('this cellwall has no "serve": rows that need it are left out')
        del bench.names[SERVED]
        yield
        return
    spec = bench.folder / "jupyter/share/jupyter/kernels" / bench.names[SERVED]
    process = subprocess.Popen(
        [bench.build / "cellwall", "serve"]
        + ["--environment", spec / "environment.json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **bench.env[SERVED]},
    )
    try:
        said = wait_words(process, (LISTENS.encode(), b"ready with"), READY_S)
        bench.server = said.partition(LISTENS)[2].splitlines()[0].strip()
        yield
    finally:
        process.terminate()
        process.communicate()  # what it logs is nobody's by now
