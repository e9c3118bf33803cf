# SPDX-License-Identifier: MIT
"""Cellwall beside ipykernel: start, first result and round trips, in one run.

Both kernels run the same interpreter with the same packages, are measured by the same
client in the same process, and take turns: first one, then the other, over and over, so
that whatever else the machine does at the time meets both. Nothing is left out or
corrected; percentiles are by nearest rank over all samples. The load of the machine is
printed, because times on a busy machine say little: run it on an idle one.

lean client: bare pyzmq sockets that try to connect once a millisecond. The clock starts
just before the kernel's process is started.
  kernel_info   until kernel_info is answered. Cellwall answers while its interpreter is
                not up yet, ipykernel after: what a user waits for is the next line.
  first result  until `1+1` is answered too.
  with imports  until numpy, pandas and matplotlib.pyplot are imported too.

stock client: jupyter_client as every Jupyter program uses it.
  ready         start_kernel() to the return of wait_for_ready(), then the reply to `1+1`.
                The client itself connects again only each 100 ms and listens 200 ms for
                silence, so no kernel comes below about 0.2 s here.
  1+1           one request: until both the reply and IOPub's idle are received, in
                kernels that are warm. About 1 ms of it is the client's own work.

memory: PSS of the kernel and all its children after `1+1`; one sample each.

The figures are also written to build/bench.json, one object for each line and kernel.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from tests.bench.kernels import (
    LeanClient,
    install,
    memory_mib,
    stock_execute,
    stock_kernel,
)

ROOT = Path(__file__).resolve().parents[2]
KERNELS = {"cellwall": "cellwall-python", "ipykernel": "python3"}
IMPORTS = "import numpy, pandas, matplotlib.pyplot"
WARM_UP = 50

# Line of the table -> kernel -> samples.
Samples = dict[str, dict[str, list[float]]]


def percentile(samples: list[float], part: float) -> float:
    return sorted(samples)[max(0, math.ceil(part * len(samples)) - 1)]


def note(samples: Samples, line: str, kernel: str, value: float) -> None:
    samples.setdefault(line, {}).setdefault(kernel, []).append(value)


def in_turns(rounds: int, measure: Callable[[str, str], None], what: str) -> None:
    print(f"{rounds} {what}", file=sys.stderr)
    for number in range(rounds):
        # Who begins changes, so that none always has the other's caches.
        for kernel in sorted(KERNELS, reverse=bool(number % 2)):
            measure(kernel, KERNELS[kernel])


def measure_starts(samples: Samples, rounds: int, folder: Path) -> None:
    def lean(kernel: str, name: str) -> None:
        with LeanClient(name, folder) as client:
            client.ask("kernel_info_request", {})
            note(samples, "lean: kernel_info, ms", kernel, client.elapsed_ms())
            client.execute("1+1")
            note(samples, "lean: first result, ms", kernel, client.elapsed_ms())
            client.execute(IMPORTS)
            note(samples, "lean: with imports, ms", kernel, client.elapsed_ms())

    def stock(kernel: str, name: str) -> None:
        began = time.perf_counter()
        with stock_kernel(name) as (_, client):
            stock_execute(client, "1+1")
            elapsed = (time.perf_counter() - began) * 1000
            note(samples, "stock: ready and 1+1, ms", kernel, elapsed)

    in_turns(rounds, lean, "starts, lean client")
    in_turns(rounds, stock, "starts, stock client")


def measure_round_trips(samples: Samples, count: int) -> None:
    with stock_kernel(KERNELS["cellwall"]) as ours, stock_kernel("python3") as theirs:
        clients = {"cellwall": ours[1], "ipykernel": theirs[1]}
        for _ in range(WARM_UP):
            for client in clients.values():
                stock_execute(client, "1+1")

        def once(kernel: str, _: str) -> None:
            elapsed = stock_execute(clients[kernel], "1+1")
            note(samples, "stock: 1+1, warm, ms", kernel, elapsed)

        in_turns(count, once, "round trips")
        for kernel, (manager, _) in (("cellwall", ours), ("ipykernel", theirs)):
            pid = manager.provisioner.pid
            note(samples, "memory, MiB", kernel, memory_mib(pid))


def summary(samples: list[float]) -> dict[str, float]:
    return {
        "n": len(samples),
        "min": round(min(samples), 3),
        "p50": round(percentile(samples, 0.50), 3),
        "p99": round(percentile(samples, 0.99), 3),
        "max": round(max(samples), 3),
    }


def print_table(lines: dict[str, dict[str, dict[str, float]]]) -> None:
    columns = [f"{kernel} {part}" for kernel in KERNELS for part in ("p50", "p99")]
    print(f"{'':26}" + "".join(f"{column:>15}" for column in columns) + f"{'ratio':>8}")
    for line, kernels in lines.items():
        values = [kernels[kernel][part] for kernel in KERNELS for part in ("p50", "p99")]
        ratio = kernels["ipykernel"]["p50"] / kernels["cellwall"]["p50"]
        row = "".join(f"{value:>15.2f}" for value in values)
        print(f"{line:26}{row}{ratio:>7.1f}x")


def machine() -> dict[str, object]:
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("ipykernel", "jupyter_client", "pyzmq")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--starts", type=int, default=20, help="kernels started per line (default 20)"
    )
    parser.add_argument(
        "--requests", type=int, default=1000, help="round trips (default 1000)"
    )
    parser.add_argument(
        "--binary",
        type=Path,
        default=ROOT / "build/release/cellwall",
        help="the cellwall to measure (default: build/release/cellwall)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=ROOT / "build/bench.json",
        help="where the figures go (default: build/bench.json)",
    )
    arguments = parser.parse_args()
    if arguments.starts < 1 or arguments.requests < 1:
        parser.error("at least one start and one request")

    before = machine()
    if os.getloadavg()[0] > 0.5:
        print("bench: the machine is busy: the times will mislead", file=sys.stderr)
    samples: Samples = {}
    with tempfile.TemporaryDirectory(prefix="cellwall-bench-") as folder:
        install(arguments.binary.resolve(), sys.executable, Path(folder))
        measure_starts(samples, arguments.starts, Path(folder))
        measure_round_trips(samples, arguments.requests)
    lines = {
        line: {kernel: summary(values) for kernel, values in kernels.items()}
        for line, kernels in samples.items()
    }
    print(", ".join(f"{key} {value}" for key, value in before.items()))
    print_table(lines)
    report = {"machine": before, "results": lines}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
