# SPDX-License-Identifier: MIT
"""Kernels to be measured, and the two clients that measure them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import zmq
from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.connect import write_connection_file
from jupyter_client.session import Session

TIMEOUT_S = 120.0


def install(binary: Path, python: str, prefix: Path) -> None:
    """Installs our kernelspec into PREFIX and lets Jupyter look there only."""
    os.environ["JUPYTER_PATH"] = str(prefix / "share/jupyter")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        os.environ[name] = str(prefix / name.lower())
    os.environ["IPYTHONDIR"] = str(prefix / "ipython")
    subprocess.run(
        [binary, "install-kernelspec", "--python", python, "--prefix", str(prefix)],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    )


class LeanClient:
    """Three bare sockets that connect again each millisecond, signing by jupyter_client.

    What is measured with it is the kernel's time, as far as a client can.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.file = folder / f"lean-{name}.json"
        manager = KernelManager(kernel_name=name, connection_file=str(self.file))
        _, info = write_connection_file(str(self.file), key=os.urandom(16).hex().encode())
        self.session = Session(key=info["key"].encode(), signature_scheme="hmac-sha256")
        self.context = zmq.Context()
        self.sockets = {}
        for channel, kind in (("shell", zmq.DEALER), ("iopub", zmq.SUB)):
            socket = self.context.socket(kind)
            socket.linger = 0
            socket.reconnect_ivl = 1
            if kind == zmq.SUB:
                socket.subscribe(b"")
            socket.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
            self.sockets[channel] = socket
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            manager.format_kernel_cmd(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **manager.kernel_spec.env},
            start_new_session=True,
        )

    def receive(self, channel: str, wanted: str, asked: str) -> dict[str, Any]:
        """The next message of the type WANTED that belongs to the request ASKED."""
        socket = self.sockets[channel]
        while True:
            if not socket.poll(TIMEOUT_S * 1000 if self.process.poll() is None else 0):
                raise TimeoutError(f"no {wanted} from {self.process.args}")
            _, frames = self.session.feed_identities(socket.recv_multipart())
            message = self.session.deserialize(frames)
            if (message["msg_type"], message["parent_header"].get("msg_id")) == (
                wanted,
                asked,
            ):
                return message["content"]

    def ask(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        request = self.session.send(self.sockets["shell"], kind, content)
        reply = kind.replace("_request", "_reply")
        return self.receive("shell", reply, request["header"]["msg_id"])

    def execute(self, code: str) -> None:
        content = self.ask("execute_request", {"code": code, "silent": False})
        if content["status"] != "ok":
            raise RuntimeError(content["evalue"])

    def elapsed_ms(self) -> float:
        """Since just before the process was started."""
        return (time.perf_counter() - self.started) * 1000

    def close(self) -> None:
        self.context.destroy(linger=0)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.file.unlink(missing_ok=True)

    def __enter__(self) -> LeanClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def stock_kernel(name: str) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A kernel as jupyter_client starts it; ready when its own client says so."""
    manager = KernelManager(kernel_name=name)
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
        if reply["parent_header"]["msg_id"] == asked:
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


def memory_mib(pid: int) -> float:
    """Proportional share of memory (PSS) of a kernel and all its children."""
    kernel = psutil.Process(pid)
    processes = [kernel, *kernel.children(recursive=True)]
    return sum(p.memory_full_info().pss for p in processes) / 2**20
