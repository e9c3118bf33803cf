# SPDX-License-Identifier: MIT
"""Rows: code run in contexts by programs, through the clients that they would use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from jupyter_client import BlockingKernelClient, KernelManager

from tests import nodejs
from tests.bench.kernels import IPYKERNEL, TIMEOUT_S, Bench, turns
from tests.bench.results import AGENT_NODE, AGENT_PYTHON, AGENT_STOCK, Results, Spec

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python/src"))
import cellwall  # noqa: E402

GROUP = "Agents (contexts of a service, by its clients, over ipc)"
ONE = Spec(GROUP, "1+1, its outcome")
LIFE = Spec(GROUP, "create a context, 1+1, delete it")
LIVES = Spec(GROUP, "10 at once: create, 1+1, delete")
CROWD = Spec(GROUP, "1+1 in 10 contexts at once", "1/s", more_is_better=True)
STREAM = Spec(GROUP, "output, streamed", "MB/s", more_is_better=True)

SEVERAL = 10
RUNS = 50
WARM_UP = 50
FLOOD = (
    "block = ('x' * 99 + '\\n') * 100\nfor i in range(2_000):\n    print(block, end='')"
)
FLOOD_BYTES = 20_000_000
READY = "(home /workspace): ready"


class Peer(Protocol):
    def one(self) -> float:
        """Milliseconds of 1+1 in a context that lives."""

    def life(self) -> float: ...

    def lives(self) -> float: ...

    def crowd(self) -> float:
        """Runs a second, in SEVERAL contexts that live."""

    def stream(self) -> float:
        """MB a second."""


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def at_once(work: Callable[[int], object]) -> float:
    with ThreadPoolExecutor(SEVERAL) as pool:
        return timed(lambda: list(pool.map(work, range(SEVERAL))))


def check(value: object, expected: object) -> None:
    if value != expected:
        raise RuntimeError(f"{value!r} in place of {expected!r}")


class Python:
    """The client of clients/python, with one connection."""

    def __init__(self, client: cellwall.Client) -> None:
        self.client = client
        self.contexts = [client.create_context() for _ in range(SEVERAL)]

    def run(self, context: cellwall.Context) -> None:
        check(context.run_code("1+1").text, "2")

    def one(self) -> float:
        return timed(lambda: self.run(self.contexts[0]))

    def live(self, _: int = 0) -> None:
        with self.client.create_context() as context:
            self.run(context)

    def life(self) -> float:
        return timed(self.live)

    def lives(self) -> float:
        return at_once(self.live)

    def crowd(self) -> float:
        def several(number: int) -> None:
            for _ in range(RUNS):
                self.run(self.contexts[number])

        return SEVERAL * RUNS / at_once(several) * 1000

    def stream(self) -> float:
        read = 0
        limits = {"output_bytes": 64 << 20}
        with self.client.create_context(limits=limits) as context:
            self.run(context)
            began = time.perf_counter()
            with context.stream(FLOOD) as events:
                for event in events:
                    if isinstance(event, cellwall.Stdout):
                        read += len(event.text)
            seconds = time.perf_counter() - began
        check(read, FLOOD_BYTES)
        return read / seconds / 1e6


class Node:
    """The client of clients/node, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, *words: object) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the Node client has ended during {words[0]}")
        return json.loads(line)

    def one(self) -> float:
        return self.ask("one")["ms"]

    def life(self) -> float:
        return self.ask("life")["ms"]

    def lives(self) -> float:
        return self.ask("lives", SEVERAL)["ms"]

    def crowd(self) -> float:
        return SEVERAL * RUNS / self.ask("crowd", SEVERAL, RUNS)["ms"] * 1000

    def stream(self) -> float:
        done = self.ask("stream", FLOOD)
        check(done["bytes"], FLOOD_BYTES)
        return done["bytes"] / done["ms"] / 1e3


class Stock:
    """ipykernel by jupyter_client: what one would write oneself. No sandbox."""

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self.bench = bench
        self.kernels = [stack.enter_context(self.kernel()) for _ in range(SEVERAL)]

    @contextmanager
    def kernel(self) -> Iterator[BlockingKernelClient]:
        sockets = self.bench.folder / os.urandom(4).hex()
        manager = KernelManager(
            kernel_name=self.bench.names[IPYKERNEL], transport="ipc", ip=str(sockets)
        )
        manager.start_kernel(
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=str(self.bench.folder / "work"),
        )
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=TIMEOUT_S)
            yield client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def execute(self, client: BlockingKernelClient, code: str) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = []
        reply = client.execute_interactive(
            code, timeout=TIMEOUT_S, output_hook=outputs.append
        )
        check(reply["content"]["status"], "ok")
        return outputs

    def run(self, client: BlockingKernelClient) -> None:
        for message in self.execute(client, "1+1"):
            if message["msg_type"] == "execute_result":
                check(message["content"]["data"]["text/plain"], "2")

    def one(self) -> float:
        return timed(lambda: self.run(self.kernels[0]))

    def live(self, _: int = 0) -> None:
        with self.kernel() as client:
            self.run(client)

    def life(self) -> float:
        return timed(self.live)

    def lives(self) -> float:
        return at_once(self.live)

    def crowd(self) -> float:
        def several(number: int) -> None:
            for _ in range(RUNS):
                self.run(self.kernels[number])

        return SEVERAL * RUNS / at_once(several) * 1000

    def stream(self) -> float:
        began = time.perf_counter()
        outputs = self.execute(self.kernels[0], FLOOD)
        seconds = time.perf_counter() - began
        streams = (m["content"]["text"] for m in outputs if m["msg_type"] == "stream")
        check(sum(map(len, streams)), FLOOD_BYTES)
        return FLOOD_BYTES / seconds / 1e6


@contextmanager
def server(bench: Bench) -> Iterator[cellwall.Client]:
    """A server for agents, whose zygote is ready."""
    program = bench.build / "cellwall"
    with cellwall.local(program, python=sys.executable) as client:
        end = time.monotonic() + TIMEOUT_S
        while not any(READY in line for line in client.server_log):
            if time.monotonic() > end:
                raise RuntimeError(f"no zygote: {client.server_log}")
            time.sleep(0.05)
        yield client


@contextmanager
def node(client: cellwall.Client) -> Iterator[Node]:
    """nodejs.Unusable: there is no Node."""
    env = nodejs.environment()
    nodejs.install(env)
    npm, program = (shutil.which(name, path=env["PATH"]) for name in ("npm", "node"))
    assert npm and program
    subprocess.run(
        [npm, "run", "build"],
        cwd=nodejs.CLIENT,
        env=env,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    process = subprocess.Popen(
        [program, Path(__file__).with_suffix(".mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "CELLWALL_SERVER": str(client.server_file.path)},
    )
    try:
        yield Node(process)
    finally:
        process.communicate()


def measure(bench: Bench, results: Results) -> None:
    rows: tuple[tuple[str, Spec, int, int], ...] = (
        ("one", ONE, 500, 100),
        ("crowd", CROWD, 5, 2),
        ("stream", STREAM, 5, 2),
        ("life", LIFE, 30, 5),
        ("lives", LIVES, 5, 2),
    )
    with ExitStack() as stack:
        client = stack.enter_context(server(bench))
        peers: dict[str, Peer] = {AGENT_PYTHON: Python(client)}
        try:
            peers[AGENT_NODE] = stack.enter_context(node(client))
        except nodejs.Unusable as why:
            results.remark(f"the Node client is left out: {why}")
        peers[AGENT_STOCK] = Stock(bench, stack)
        for peer in peers.values():
            for _ in range(WARM_UP):
                peer.one()
            peer.life()
        for name, spec, full, quick in rows:
            for column in turns(list(peers), bench.rounds(full, quick)):
                value = getattr(peers[column], name)()
                results.note(f"agent.{name}", spec, column, value)
