# SPDX-License-Identifier: MIT
"""Rows: what one execute and one create are made of.

The product is measured as it is, with nothing added to it: what can be told apart is
measured alone, and what is left is said to be left.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

from tests.bench.contexts import IMPORTS, ONE, fleet, touch
from tests.bench.drive import Program
from tests.bench.kernels import CELLWALL, ECHO, Bench, turns
from tests.bench.results import Results, Spec

EXECUTE = "Where the time of 1+1 goes (medians)"
CREATE = "Where the time of a create goes (medians)"
WARM_UP = 100

# Of the runs of one cell, the median: times the interpreter's part inside of it.
TIMED = """
def bench(function, count=300):
    import statistics, time
    times = []
    for _ in range(count):
        began = time.perf_counter()
        function()
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)
"""
RUN_CELL = "bench(lambda: get_ipython().run_cell('1+1', store_history=True))"
PLAIN = "bench(lambda: eval(compile('1+1', '<bench>', 'eval')))"


def evaluate(program: Program, code: str) -> float:
    result = program.ask("eval", code=code)["result"]
    return float(result["data"]["text/plain"])


def median_trips(bench: Bench, ours: Program) -> dict[str, float]:
    """Of 1+1: of a kernel, of the echo, of a context alone; in turns."""
    samples: dict[str, list[float]] = {}
    with bench.kernel(CELLWALL) as kernel, bench.kernel(ECHO) as echo:
        for program in (kernel, echo):
            program.ask("start")
            program.ask("run", WARM_UP, "-", code="1+1")
        ours.ask("run", WARM_UP, code="1+1")
        for name in turns([CELLWALL, ECHO, "context", "ask"], bench.rounds(50, 10)):
            if name == "context":
                done = ours.ask("run", 20, code="1+1")
            elif name == "ask":
                done = ours.ask("ask", 20)
            else:
                program = kernel if name == CELLWALL else echo
                done = program.ask("run", 20, "-", code="1+1")
            samples.setdefault(name, []).extend(done["us"])
    return {name: statistics.median(values) for name, values in samples.items()}


def measure_execute(bench: Bench, results: Results, parts: dict[str, float]) -> None:
    # By exec, as the interpreter of the kernel's process.
    with fleet(bench, "exec") as ours:
        ours.ask("grow", 1, code=TIMED)
        trips = median_trips(bench, ours)
        cell, plain = evaluate(ours, RUN_CELL), evaluate(ours, PLAIN)
    whole, floor, context = trips[CELLWALL], trips[ECHO], trips["context"]
    rest = context - cell - parts["wake"]

    def note(label: str, us: float) -> None:
        results.note(f"execute.{label}", Spec(EXECUTE, label, "us"), "time", us)

    note("the whole: client to client", whole)
    note("= the same messages, echoed", floor)
    note("    of it, ZeroMQ there and back, one small message", parts["zmq"])
    note("+ the context, without ZeroMQ", context)
    note("    of it, IPython's run_cell, its result sent", cell)
    note("        of it, compile and eval", plain)
    note("    of it, two processes waking each other", parts["wake"])
    note("    of it, what is left: frames, request and reply in Python", rest)
    note("    for comparison, a request that runs no cell", trips["ask"])
    note("+ what is left: the server's own work", whole - floor - context)


def python_start_us(code: str, count: int) -> float:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times)


def median_creates(bench: Bench) -> dict[str, dict[str, float]]:
    """Of a context, of one whose runner is a small program in C, of a plain fork."""
    samples: dict[str, dict[str, list[float]]] = {}
    codes = {"zygote": ONE, "example": "", "fork": "1+1"}
    forker = Program(sys.executable, "-m", "tests.bench.forker")
    example = fleet(bench, "exec", "example")
    with fleet(bench) as zygote, example, forker:
        programs = {"zygote": zygote, "example": example, "fork": forker}
        for name, program in programs.items():
            create(program, name, 3, codes[name])
        for name in turns(list(programs), bench.rounds(20, 4)):
            times = create(programs[name], name, 5, codes[name])
            for key, values in times.items():
                samples.setdefault(name, {}).setdefault(key, []).extend(values)
    return {
        name: {key: statistics.median(values) for key, values in times.items()}
        for name, times in samples.items()
    }


def create(program: Program, name: str, count: int, code: str) -> Any:
    pause = () if name == "fork" else (0,)
    return program.ask("create", count, *pause, code=code)


def measure_create(bench: Bench, results: Results, parts: dict[str, float]) -> None:
    done = median_creates(bench)
    hello, first = done["zygote"]["hello"], done["zygote"]["first"]
    fork, empty = done["fork"]["hello"], done["example"]["hello"]
    python = python_start_us("pass", bench.rounds(20, 5))
    ipython = python_start_us("import IPython", bench.rounds(8, 2))
    imports = python_start_us(IMPORTS, bench.rounds(8, 2))

    def note(label: str, us: float) -> None:
        results.note(f"create.{label}", Spec(CREATE, label, "us"), "time", us)

    namespaces = parts["all"] - parts["clone"]
    mounts = parts["root"] + parts["binds"] + parts["proc"] + parts["private"]
    known = parts["clone"] + namespaces + parts["map"] + mounts
    known += parts["pivot"] + parts["seccomp"] + fork
    note("the whole: until the first result", first)
    note("= until hello, forked by a zygote", hello)
    note("    of it, a fork of a small process and its end", parts["clone"])
    note("    of it, seven namespaces, made and ended", namespaces)
    note("        of them, the network's", parts["net"] - parts["user"])
    note("    of it, mapping the ids", parts["map"])
    note("    of it, mounts: tmpfs, proc, 20 read-only binds", mounts)
    note("    of it, entering the new root", parts["pivot"])
    note("    of it, the system call filter", parts["seccomp"])
    note("    of it, the fork of a warm python", fork)
    note("    of it, what is left: requests, Landlock, files, hello", hello - known)
    note("+ the first cell", first - hello)
    note("its end, until nothing is left", done["zygote"]["gone"])
    note("for comparison, the same until hello, by exec of a runner in C", empty)
    note("for comparison, python -c pass, with no sandbox", python)
    note("for comparison, python that imports IPython", ipython)
    note("for comparison, python that imports numpy, pandas, matplotlib", imports)


def measure(bench: Bench, results: Results) -> None:
    with fleet(bench, "exec", "example") as program:
        touch(program, bench)
    output = subprocess.run(
        [bench.program("bench-parts"), str(bench.rounds(500, 100))],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    samples: dict[str, Any] = json.loads(output)
    parts = {name: statistics.median(values) for name, values in samples.items()}
    measure_execute(bench, results, parts)
    measure_create(bench, results, parts)
