# SPDX-License-Identifier: MIT
"""Rows: one request and its answer, in kernels that are warm."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

from tests.bench.drive import Kernel
from tests.bench.kernels import (
    CELLWALL,
    ECHO,
    IPYKERNEL,
    Bench,
    stock_execute,
    stock_kernel,
    turns,
)
from tests.bench.results import Budget, Results, Spec

GROUP = "Round trips in a warm kernel (tcp, HMAC)"
PREPARE = """
%matplotlib inline
import numpy, pandas
import matplotlib.pyplot as plt
frame = pandas.DataFrame(numpy.arange(120.0).reshape(20, 6), columns=list("abcdef"))
text = "x" * 1_000_000
"""
FIGURE = "plt.plot(range(100)); plt.show()"
BACK_TO_BACK = 1000
WARM_UP = 50


class Trip(NamedTuple):
    key: str
    spec: Spec
    code: str
    expect: str  # what its output must show; "-": nothing
    turns: tuple[int, int]  # full, quick
    each: int  # requests in one turn


TRIPS = (
    Trip(
        "trip.one",
        Spec(
            GROUP,
            "1+1",
            budgets=(
                Budget(CELLWALL, 0.6),
                Budget(CELLWALL, 6, theirs=IPYKERNEL),
            ),
        ),
        "1+1",
        "text/plain",
        (100, 10),
        20,
    ),
    Trip(
        "trip.frame",
        Spec(GROUP, "a DataFrame, 20 x 6, as HTML"),
        "frame",
        "text/html",
        (20, 5),
        10,
    ),
    Trip("trip.text", Spec(GROUP, "a string of 1 MB"), "text", "xxx", (20, 5), 5),
    Trip("trip.figure", Spec(GROUP, "a figure, as PNG"), FIGURE, "image/png", (12, 3), 5),
)
SEQUENCE = Spec(GROUP, f"{BACK_TO_BACK:,} x 1+1, one after another")
PIPELINE = Spec(GROUP, f"{BACK_TO_BACK:,} x 1+1, all sent at once")
STOCK = Spec(
    GROUP,
    "1+1, stock jupyter_client",
    budgets=(Budget(CELLWALL, 2.5, theirs=IPYKERNEL),),
)


def warm(kernel: Kernel) -> None:
    kernel.ask("start")
    kernel.execute(PREPARE)
    for trip in TRIPS:
        kernel.ask("run", 3, "-", code=trip.code)
    kernel.ask("run", WARM_UP, "-", code="1+1")


def measure_lean(bench: Bench, results: Results) -> None:
    columns = bench.columns()
    with ExitStack() as stack:
        kernels = {c: stack.enter_context(bench.kernel(c)) for c in [*columns, ECHO]}
        for column in columns:
            warm(kernels[column])
        kernels[ECHO].ask("start")
        kernels[ECHO].ask("run", WARM_UP, "-", code="1+1")
        for trip in TRIPS:
            # The echo answers 1+1, and nothing else.
            of = [*columns, ECHO] if trip.code == "1+1" else columns
            for column in turns(of, bench.rounds(*trip.turns)):
                done = kernels[column].ask("run", trip.each, trip.expect, code=trip.code)
                times = (us / 1000 for us in done["us"])
                results.note(trip.key, trip.spec, column, *times)
        for column in turns(columns, bench.rounds(3, 1)):
            done = kernels[column].ask("run", BACK_TO_BACK, "-", code="1+1")
            results.note("trip.sequence", SEQUENCE, column, sum(done["us"]) / 1000)
            done = kernels[column].ask("pipeline", BACK_TO_BACK, code="1+1")
            results.note("trip.pipeline", PIPELINE, column, done["us"] / 1000)


def measure_stock(bench: Bench, results: Results) -> None:
    columns = bench.columns(CELLWALL, IPYKERNEL, ECHO)
    with ExitStack() as stack:
        clients = {c: stack.enter_context(stock_kernel(bench, c))[1] for c in columns}
        for column in turns(columns, WARM_UP):
            stock_execute(clients[column], "1+1")
        for column in turns(columns, bench.rounds(1000, 100)):
            elapsed = stock_execute(clients[column], "1+1")
            results.note("trip.stock", STOCK, column, elapsed)


def measure(bench: Bench, results: Results) -> None:
    measure_lean(bench, results)
    measure_stock(bench, results)
