# SPDX-License-Identifier: MIT
"""The kernels that are measured, and Jupyter's own client."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client import BlockingKernelClient, KernelManager

from tests.bench.drive import Kernel

TIMEOUT_S = 120.0
CELLWALL, SERVED = "cellwall", "cellwall + serve"
IPYKERNEL, XEUS, ECHO = "ipykernel", "xeus-python", "echo"


@dataclass
class Bench:
    """Where everything is, and which kernels there are."""

    build: Path  # of the release preset
    folder: Path  # for this run's files; is removed at the end
    quick: bool
    names: dict[str, str] = field(default_factory=dict)  # column -> Jupyter's name
    env: dict[str, dict[str, str]] = field(default_factory=dict)  # by column
    server: str | None = None  # the address of `cellwall serve`

    def rounds(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def program(self, name: str) -> Path:
        return self.build / "bench" / name

    def kernel(self, column: str) -> Kernel:
        """Started by its command `start`."""
        return Kernel(
            self.program("bench-client"),
            self.names[column],
            self.folder,
            self.env.get(column),
        )

    def columns(self, *wanted: str) -> list[str]:
        """Those of WANTED (none: all but the echo) that there are here."""
        wanted = wanted or (CELLWALL, SERVED, IPYKERNEL, XEUS)
        return [column for column in wanted if column in self.names]


def turns(columns: list[str], count: int) -> Iterator[str]:
    """Each column COUNT times; who begins changes, so that none has always the caches of
    the same other."""
    for number in range(count):
        start = number % len(columns)
        yield from columns[start:] + columns[:start]


def prepare(bench: Bench) -> None:
    """Installs the kernelspecs into the run's folder; lets Jupyter look there only."""
    prefix = bench.folder / "jupyter"
    (bench.folder / "work").mkdir()
    kernels = prefix / "share/jupyter/kernels"
    os.environ["JUPYTER_PATH"] = str(prefix / "share/jupyter")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        os.environ[name] = str(bench.folder / name.lower())
    # Caches that a user has after the first start.
    os.environ["IPYTHONDIR"] = str(bench.folder / "ipython")
    os.environ["MPLCONFIGDIR"] = str(bench.folder / "matplotlib")
    (bench.folder / "matplotlib").mkdir()
    subprocess.run(
        [bench.build / "cellwall", "install-kernelspec"]
        + ["--python", sys.executable, "--prefix", str(prefix)],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    )
    echo = {"argv": [str(bench.program("bench-echo")), "{connection_file}"]}
    (kernels / "echo").mkdir(parents=True)
    (kernels / "echo/kernel.json").write_text(
        json.dumps({**echo, "display_name": "Echo", "language": "echo"})
    )
    bench.names = {
        CELLWALL: "cellwall-python",
        SERVED: "cellwall-python",
        IPYKERNEL: "python3",
        XEUS: "xpython",
        ECHO: "echo",
    }
    theirs = Path(sys.prefix) / "share/jupyter/kernels"
    for column in (IPYKERNEL, XEUS):
        name = bench.names[column]
        if (theirs / name / "kernel.json").exists():
            (kernels / name).symlink_to(theirs / name)
        else:
            del bench.names[column]
    for column in (CELLWALL, SERVED):
        runtime = bench.folder / column.replace(" + ", "-")
        runtime.mkdir(mode=0o700)
        bench.env[column] = {"XDG_RUNTIME_DIR": str(runtime)}
    bench.env[CELLWALL]["CELLWALL_SERVER"] = "none"


@contextmanager
def stock_kernel(
    bench: Bench, column: str
) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A kernel as jupyter_client starts it; ready when its own client says so."""
    manager = KernelManager(kernel_name=bench.names[column])
    manager.start_kernel(
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=str(bench.folder / "work"),
        env={**os.environ, **bench.env.get(column, {})},
    )
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT_S)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def stock_execute(client: BlockingKernelClient, code: str) -> float:
    """Milliseconds until the reply and IOPub's idle have come."""
    began = time.perf_counter()
    asked = client.execute(code)
    # wait_for_ready may have left the answers to some of its own questions.
    while True:
        reply = client.get_shell_msg(timeout=TIMEOUT_S)
        if reply["parent_header"].get("msg_id") == asked:
            break
    if reply["content"]["status"] != "ok":
        raise RuntimeError(json.dumps(reply["content"]))
    while True:
        try:
            message = client.get_iopub_msg(timeout=TIMEOUT_S)
        except queue.Empty:
            raise TimeoutError("idle did not come") from None
        if (
            message["parent_header"].get("msg_id") == asked
            and message["content"].get("execution_state") == "idle"
        ):
            return (time.perf_counter() - began) * 1000
