# SPDX-License-Identifier: MIT
"""Measures Cellwall beside its peers, in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.bench.kernels import Bench
    from tests.bench.results import Results

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "start": "kernel processes: start to kernel_info, to ready, to results",
    "trips": "round trips of warm kernels: 1+1, large and rich results, many requests",
    "output": "cells that print a million lines, and 100 MB",
    "contexts": "contexts without ZeroMQ: create, destroy, memory, many at once",
    "breakdown": "what one execute and one create are made of",
    "layers": "what each step of the sandbox costs",
    "languages": "bash, JavaScript and R beside bash_kernel, Deno and IRkernel",
    "agents": "run_code by the clients of the agent service, beside jupyter_client",
    "notebooks": "30 notebooks as tests, beside nbval, nbmake and jupyter execute",
}
DESCRIPTION = """\
NAME
  scripts/bench - measures Cellwall beside its peers, in one run

DESCRIPTION
  Installs the peers (into build/venv-bench, and bubblewrap by apt-get), builds the
  release preset and small programs in C, measures, and prints a table with the
  median of each row, its p99 in brackets, how many times better Cellwall is than
  the peer, and the project's budgets: met or not. With fewer than 100 samples there is
  no p99 but the maximum, and it says so. The figures also go to build/bench.json.

  All kernels run the same interpreter with the same packages, are measured by the same
  client, and take turns; who begins changes. Each has been started before, so that all
  have their caches. Nothing is left out or corrected. The load of the machine is
  printed, because times on a busy machine say little: run it on an idle one.

  The peers: ipykernel; xeus-python; bubblewrap with a Python that imports the same; a
  plain fork of a warm Python; for agents, ipykernel driven by jupyter_client; for other
  languages bash_kernel, Deno and IRkernel; for notebooks as tests, pytest with nbval and
  nbmake, and jupyter execute. The echo
  kernel answers at once and runs nothing: it is what the client and ZeroMQ cost by
  themselves, under every other kernel's figure.
  docs/benchmarks.md tells what each row is and how it is measured.

  A full run takes about half an hour, --quick about nine minutes; --quick is for a
  first look and for trying changes, not for figures to be told to others.
"""
BUSY = (
    "the machine was busy with other things: the ratios say something, the times do not"
)
NOTES = """\
FILES
  build/bench.json            the figures of the last run
  build/venv-bench            interpreter, packages and peers, by
                              tests/bench/requirements.txt
  build/release               what is measured

ENVIRONMENT
  BENCH_VERBOSE               if set, the kernels' stderr is shown

EXIT STATUS
  0  measured, whether the budgets are met or not
  1  something could not be measured; it says what
  2  wrong usage

EXAMPLES
  scripts/bench --quick
  scripts/bench --groups trips,breakdown
  scripts/bench --write-docs
"""


def parse() -> argparse.Namespace:
    names = "\n".join(f"  {name:10} {text}" for name, text in GROUPS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=DESCRIPTION,
        epilog=f"GROUPS\n{names}\n\n{NOTES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rounds: about nine minutes"
    )
    parser.add_argument(
        "--groups",
        metavar="GROUP,...",
        default=",".join(GROUPS),
        help="measure only these groups of rows (default: all)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=ROOT / "build/bench.json",
        help="where the figures go (default: build/bench.json)",
    )
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="put the figures into docs/benchmarks.md and draw its plots",
    )
    parser.add_argument(
        "--from-json",
        action="store_true",
        help="measure nothing: show (and with --write-docs write) the figures of --json",
    )
    arguments = parser.parse_args()
    arguments.groups = arguments.groups.split(",")
    for name in arguments.groups:
        if name not in GROUPS:
            parser.error(f"no group {name}; there are {', '.join(GROUPS)}")
    return arguments


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def machine() -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in ("ipykernel", "xeus-python", "jupyter_client", "IPython", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    if shutil.which("bwrap"):
        said = subprocess.run(["bwrap", "--version"], capture_output=True, text=True)
        versions["bubblewrap"] = said.stdout.split()[-1]
    with open("/proc/meminfo") as info:
        memory = int(info.readline().split()[1]) / 2**20
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "processor": processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def measure(groups: list[str], quick: bool) -> dict[str, Any]:
    # What --help does not need, and may not be installed yet.
    from tests.bench import (
        agents,
        breakdown,
        contexts,
        languages,
        layers,
        notebooks,
        output,
        starts,
        trips,
    )
    from tests.bench.kernels import Bench, prepare
    from tests.bench.results import Results
    from tests.bench.serve import serving

    functions: dict[str, Callable[[Bench, Results], None]] = {
        "start": starts.measure,
        "trips": trips.measure,
        "output": output.measure,
        "contexts": contexts.measure,
        "breakdown": breakdown.measure,
        "layers": layers.measure,
        "agents": agents.measure,
        "languages": languages.measure,
        "notebooks": notebooks.measure,
    }
    results = Results()
    about = machine()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cellwall-bench-") as folder:
        bench = Bench(ROOT / "build/release", Path(folder), quick)
        prepare(bench)
        if "xeus-python" not in bench.names:
            results.remark(
                "xeus-python has no package for this interpreter: it is left out"
            )
        with serving(bench, results):
            for name in groups:
                print(f"bench: {name}", file=sys.stderr, flush=True)
                functions[name](bench, results)
    about["load_after"] = round(os.getloadavg()[0], 2)
    if about["load_before"] > (os.cpu_count() or 1):
        results.remark(BUSY)
    about["seconds"] = round(time.monotonic() - began)
    about["quick"] = quick
    return {"machine": about, "rows": results.as_json(), "notes": results.notes}


def head(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {text}" for name, text in about["versions"].items())
    return (
        f"{about['time']}, commit {about['commit']}, {about['seconds']} s"
        f"{' (quick)' if about['quick'] else ''}\n"
        f"{about['processors']} processors ({about['processor']}), "
        f"{about['memory_gib']} GiB, {about['system']}, {about['user']} user; "
        f"load {about['load_before']} before, {about['load_after']} after\n"
        f"Python {about['python']}, {versions}\n"
        "medians, in brackets p99 (or the worst); Nx: how many times better the first "
        "column is\n"
    )


def main() -> int:
    arguments = parse()
    from tests.bench import docs
    from tests.bench.results import table

    if arguments.from_json:
        report = json.loads(arguments.json.read_text())
    else:
        if os.getloadavg()[0] > 0.5:
            print("bench: the machine is busy: times will mislead", file=sys.stderr)
        report = measure(arguments.groups, arguments.quick)
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    print(head(report["machine"]))
    print(table(report))
    if arguments.write_docs:
        docs.write(ROOT / "docs", report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
