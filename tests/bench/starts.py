# SPDX-License-Identifier: MIT
"""Rows: how long until a kernel process is of use."""

from __future__ import annotations

import time

from tests.bench.kernels import (
    CELLWALL,
    ECHO,
    SERVED,
    Bench,
    stock_execute,
    stock_kernel,
    turns,
)
from tests.bench.results import Budget, Results, Spec

IMPORTS = "import numpy, pandas, matplotlib.pyplot"
GROUP = "Starting a kernel process"
KERNEL_INFO = Spec(GROUP, "kernel_info answered")
READY = Spec(GROUP, "ready", budgets=(Budget(CELLWALL, 100), Budget(SERVED, 30)))
FIRST = Spec(GROUP, "first result of 1+1")
WITH_IMPORTS = Spec(GROUP, "numpy, pandas, matplotlib imported")
STOCK = Spec(GROUP, "stock client: ready, and 1+1")


def start_once(bench: Bench, column: str) -> dict[str, float]:
    """Milliseconds from just before the process is made."""
    with bench.kernel(column) as kernel:
        start = kernel.ask("start")
        times = {
            "kernel_info": start["kernel_info_us"] / 1000,
            "ready": start["ready_us"] / 1000,
            "first": kernel.execute("1+1"),
            "imports": kernel.execute(IMPORTS),
        }
        kernel.ask("quit")
    return times


def measure(bench: Bench, results: Results) -> None:
    columns = bench.columns()
    for column in columns:  # caches: of bytecode, of fonts, of the page cache
        start_once(bench, column)
    for column in turns(columns, bench.rounds(16, 4)):
        times = start_once(bench, column)
        results.note("start.kernel_info", KERNEL_INFO, column, times["kernel_info"])
        results.note("start.ready", READY, column, times["ready"])
        results.note("start.first", FIRST, column, times["first"])
        results.note("start.imports", WITH_IMPORTS, column, times["imports"])
    for column in turns([*columns, ECHO], bench.rounds(8, 2)):
        began = time.perf_counter()
        with stock_kernel(bench, column) as (_, client):
            stock_execute(client, "1+1")
            elapsed = (time.perf_counter() - began) * 1000
        results.note("start.stock", STOCK, column, elapsed)
