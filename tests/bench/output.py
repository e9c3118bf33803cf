# SPDX-License-Identifier: MIT
"""Rows: cells that print a lot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.bench.kernels import SERVED, XEUS, Bench, turns
from tests.bench.results import Results, Spec

GROUP = "Much output"


class Flood(NamedTuple):
    key: str
    label: str
    megabytes: float  # that the code prints
    code: str


FLOODS = (
    Flood("lines", "1,000,000 lines", 6.9, "for i in range(1_000_000):\n    print(i)"),
    Flood(
        "bytes",
        "100 MB",
        100.0,
        "block = ('x' * 99 + '\\n') * 100\n"
        "for i in range(10_000):\n    print(block, end='')",
    ),
)


def resident_mib(pid: int, field: str) -> float:
    """VmRSS or VmHWM (the peak) of one process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0.0


def forget_peak(pid: int) -> None:
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        pass  # then the peak is that since the start, which is no lower


def measure(bench: Bench, results: Results) -> None:
    columns = bench.columns()
    if bench.quick and XEUS in columns:
        results.remark(f"{XEUS} takes a minute for a million lines: not with --quick")
    for flood in FLOODS:
        specs = {
            # Who leaves most of it out has less to do.
            "time": Spec(GROUP, f"{flood.label}: time", compare=flood.key == "lines"),
            "messages": Spec(GROUP, "  messages to the client", "", compare=False),
            "received": Spec(GROUP, "  text received", "MB", compare=False),
            "peak": Spec(GROUP, "  peak memory of the kernel's process", "MiB"),
            "growth": Spec(GROUP, "  of it, since before the cell", "MiB", compare=False),
        }
        for number, column in enumerate(turns(columns, bench.rounds(2, 1))):
            slow = column == XEUS and flood.key == "lines"
            if slow and (bench.quick or number >= len(columns)):
                continue  # a message for each line, and a minute for them all
            with bench.kernel(column) as kernel:
                pid = kernel.ask("start")["pid"]
                kernel.execute("1+1")
                forget_peak(pid)
                before = resident_mib(pid, "VmRSS")
                done = kernel.ask("flood", code=flood.code)
                values = {
                    "time": done["us"] / 1000,
                    "messages": done["messages"],
                    "received": done["stream_bytes"] / 1e6,
                    "peak": resident_mib(pid, "VmHWM"),
                }
                values["growth"] = max(0.0, values["peak"] - before)
                kernel.ask("quit")
            if column != SERVED and values["received"] < 0.9 * flood.megabytes:
                results.remark(
                    f"{column} keeps the head and the tail of one cell's output within "
                    f"a budget, and tells what it left out: of {flood.megabytes:g} MB, "
                    f"{values['received']:.0f} MB reached the client"
                )
            for name, value in values.items():
                results.note(f"out.{flood.key}.{name}", specs[name], column, value)
