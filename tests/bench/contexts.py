# SPDX-License-Identifier: MIT
"""Rows: contexts by themselves, without ZeroMQ; and what else makes an interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.drive import Program
from tests.bench.kernels import CELLWALL, IPYKERNEL, SERVED, Bench, turns
from tests.bench.results import Budget, Results, Spec
from tests.bench.starts import IMPORTS, start_once

BWRAP, FORK = "bwrap + python", "fork of a warm python"
GROUP = "Making contexts (sandboxed; numpy, pandas, matplotlib imported)"
LIVING = "Contexts that live"
ONE = f"{IMPORTS}; 1+1"  # a zygote has imported them, but nobody is told to know
ZEROS = "numpy.zeros(5).tolist()"
HUNDRED = 100
MANY = 1000
TRIAL = 8
RESERVE_SIZE = 4
RESERVE_PAUSE_MS = 100
# Of what is free, the part that contexts may fill here.
MEMORY_PART = 0.5

HELLO = Spec(
    GROUP,
    "created, until it says hello",
    budgets=(Budget(CELLWALL, 4), Budget(CELLWALL, 15, "p99")),
)
RESERVE = Spec(
    GROUP,
    "from the reserve: until it says hello",
    budgets=(Budget(CELLWALL, 1),),
)
FIRST = Spec(
    GROUP,
    "created, until its first result",
    budgets=(Budget(CELLWALL, 6), Budget(CELLWALL, 150, theirs=IPYKERNEL)),
)
RESERVE_FIRST = Spec(GROUP, "from the reserve: until its first result")
GONE = Spec(GROUP, "destroyed, until none of its processes is left")
GROWN = Spec(
    GROUP, f"{HUNDRED} from nothing, each {ZEROS}", budgets=(Budget(CELLWALL, 400),)
)
CYCLE = Spec(GROUP, "create, 1+1, destroy, one after another", "1/s", more_is_better=True)


def free_mib() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/meminfo says nothing of MemAvailable")


def fleet(bench: Bench, origin: str = "zygote", runtime: str = "python") -> Program:
    """The program that makes contexts. ORIGIN: see tests/bench/fleet.h."""
    work = bench.folder / "work"
    interpreter = sys.executable if runtime == "python" else "-"
    runtimes = bench.build / "runtimes"
    return Program(
        bench.program("bench-contexts"), runtimes, runtime, interpreter, work, origin
    )


def bwrap_command(code: str) -> list[str]:
    cache = os.environ["MPLCONFIGDIR"]
    return [
        *("bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/"),
        *("--proc", "/proc", "--dev", "/dev", "--bind", cache, cache),
        *(sys.executable, "-c", f"{IMPORTS}\nprint({code})"),
    ]


def bwrap_once(code: str) -> float:
    """Milliseconds until the result is read."""
    began = time.perf_counter()
    with subprocess.Popen(bwrap_command(code), stdout=subprocess.PIPE) as process:
        assert process.stdout
        if not process.stdout.readline():
            raise RuntimeError("bwrap ran no Python")
        return (time.perf_counter() - began) * 1000


def touch(program: Program, bench: Bench) -> None:
    """Brings memory back that a virtual machine's host may have taken: see measure.h."""
    wanted = bench.rounds(6, 2) * 1024
    program.ask("touch", int(min(wanted, free_mib() / 2)))


def note_times(results: Results, column: str, times: dict[str, list[float]]) -> None:
    for key, spec, name in (
        ("ctx.hello", HELLO, "hello"),
        ("ctx.first", FIRST, "first"),
        ("ctx.gone", GONE, "gone"),
    ):
        if column == FORK and name == "gone":
            continue  # it has ended by itself
        results.note(key, spec, column, *(us / 1000 for us in times[name]))


def measure_creation(
    bench: Bench, results: Results, programs: dict[str, Program], forker: Program
) -> None:
    """PROGRAMS make contexts, by column."""
    columns = [*programs, FORK, IPYKERNEL]
    if shutil.which("bwrap"):
        columns.insert(1, BWRAP)
        bwrap_once("1+1")
    else:
        results.remark("bwrap is not installed: its columns are left out")
    forker.ask("create", 5, code="1+1")
    for program in programs.values():
        program.ask("create", 3, 0, code=ONE)
    each = bench.rounds(15, 10)
    for column in turns(columns, bench.rounds(16, 3)):
        if column in programs:
            done = programs[column].ask("create", each, 0, code=ONE)
            note_times(results, column, done)
        elif column == FORK:
            note_times(results, column, forker.ask("create", each, code="1+1"))
        elif column == BWRAP:
            results.note("ctx.first", FIRST, column, bwrap_once("1+1"))
        else:
            times = start_once(bench, IPYKERNEL)
            results.note("ctx.first", FIRST, column, times["imports"])


def measure_reserve(bench: Bench, results: Results) -> None:
    """Each after a pause in which the reserve is filled again."""
    with fleet(bench, f"zygote:{RESERVE_SIZE}") as ours:
        ours.ask("create", 3, RESERVE_PAUSE_MS, code=ONE)
        count = bench.rounds(150, 20)
        done = ours.ask("create", count, RESERVE_PAUSE_MS, code=ONE)
    for key, spec, name in (
        ("ctx.reserve", RESERVE, "hello"),
        ("ctx.reserve_first", RESERVE_FIRST, "first"),
    ):
        results.note(key, spec, CELLWALL, *(us / 1000 for us in done[name]))


def measure_hundred(
    bench: Bench, results: Results, ours: Program, forker: Program
) -> None:
    def bwraps() -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(bwrap_once, [ZEROS] * HUNDRED))
        return (time.perf_counter() - began) * 1e6

    grow = f"import numpy; {ZEROS}"
    for _ in range(bench.rounds(3, 1)):
        us = ours.ask("grow", HUNDRED, code=grow)["us"]
        results.note("ctx.hundred", GROWN, CELLWALL, us / 1000)
        ours.ask("drop")
        us = forker.ask("grow", HUNDRED, code=ZEROS)["us"]
        results.note("ctx.hundred", GROWN, FORK, us / 1000)
    if shutil.which("bwrap") and not bench.quick:
        results.note("ctx.hundred", GROWN, BWRAP, bwraps() / 1000)


def measure_cycle(bench: Bench, results: Results, ours: Program) -> None:
    ms = bench.rounds(60_000, 5_000)
    done = ours.ask("cycle", ms, code="1+1")
    results.note("ctx.cycle", CYCLE, CELLWALL, done["count"] / done["us"] * 1e6)


def live_counts(bench: Bench, results: Results, ours: Program) -> list[int]:
    """How many contexts this machine holds, and the time allows: 1, 10, 100, 1000."""
    us = ours.ask("grow", TRIAL, code=IMPORTS)["us"]
    memory = ours.ask("memory")
    if memory["count"] == 0:
        results.remark("the memory of contexts may not be read by this user")
    mib = (memory["init_private"] + memory["runner_private"]) / 1024 / TRIAL + 1
    ours.ask("drop")
    seconds = bench.rounds(90, 20)
    most = int(min(MANY, free_mib() * MEMORY_PART / mib, seconds / (us / TRIAL / 1e6)))
    if most < MANY:
        results.remark(
            f"only {most} contexts at a time, of {MANY}: {mib:.0f} MiB and "
            f"{us / TRIAL / 1000:.0f} ms each"
        )
    return sorted({count for count in (1, 10, 100, MANY) if count < most} | {most})


def note_memory(results: Results, count: int, memory: dict[str, Any]) -> None:
    if memory["count"] == 0:
        return
    budgets = (Budget(CELLWALL, 6),)
    for key, label, limit in (
        ("private", "private memory of one", budgets),
        ("pss", "proportional memory of one", ()),
    ):
        kib = memory[f"init_{key}"] + memory[f"runner_{key}"]
        spec = Spec(LIVING, f"{count:,} live: {label}", "MiB", budgets=limit)
        results.note(f"live.{count}.{key}", spec, CELLWALL, kib / 1024 / memory["count"])


def measure_at(bench: Bench, results: Results, ours: Program, count: int) -> None:
    """COUNT contexts live; those that are new have run one cell."""
    note_memory(results, count, ours.ask("memory"))
    budgets = (Budget(CELLWALL, 5, "p99"),) if count == MANY else ()
    spec = Spec(LIVING, f"{count:,} live: 1+1 in any of them", budgets=budgets)
    done = ours.ask("run", bench.rounds(2000, 300), code="1+1")
    results.note(f"live.{count}.trip", spec, CELLWALL, *(us / 1000 for us in done["us"]))
    if count <= HUNDRED:
        spec = Spec(LIVING, f"{count:,} live: 1+1 in all at once", "1/s", True)
        done = ours.ask("busy", bench.rounds(5000, 1500), code="1+1")
        rate = done["count"] / done["us"] * 1e6
        results.note(f"live.{count}.rate", spec, CELLWALL, rate)
    spec = Spec(LIVING, f"{count:,} live: one more created, until hello")
    done = ours.ask("create", bench.rounds(100, 8), 0, code="1+1")
    values = (us / 1000 for us in done["hello"])
    results.note(f"live.{count}.create", spec, CELLWALL, *values)


def measure_living(bench: Bench, results: Results, ours: Program) -> None:
    counts = live_counts(bench, results, ours)
    before, alive = free_mib(), 0
    for count in counts:
        ours.ask("grow", count - alive, code=ONE)
        alive = count
        measure_at(bench, results, ours, count)
    budgets = (Budget(CELLWALL, 8192),) if alive == MANY else ()
    spec = Spec(LIVING, f"{alive:,} live: memory of all", "MiB", budgets=budgets)
    results.note(f"live.{alive}.all", spec, CELLWALL, before - free_mib())
    us = ours.ask("drop")["us"]
    spec = Spec(LIVING, f"{alive:,} live: all destroyed")
    results.note(f"live.{alive}.drop", spec, CELLWALL, us / 1000)


def measure(bench: Bench, results: Results) -> None:
    forker = Program(sys.executable, "-m", "tests.bench.forker")
    with fleet(bench) as ours, forker:
        touch(ours, bench)
        with ExitStack() as stack:
            programs = {CELLWALL: ours}
            if bench.server is not None:
                programs[SERVED] = stack.enter_context(fleet(bench, bench.server))
            measure_creation(bench, results, programs, forker)
        measure_reserve(bench, results)
        measure_hundred(bench, results, ours, forker)
        measure_cycle(bench, results, ours)
        touch(ours, bench)
        measure_living(bench, results, ours)
