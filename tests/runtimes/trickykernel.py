# SPDX-License-Identifier: MIT
"""A Jupyter kernel that does precisely what its cells say, wrong things included.

A cell is Python, run with the functions of `Cell` as its globals. What it does not say is
done as a kernel should: busy, execute_input, the reply, idle.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import sys
import time
import uuid
from typing import Any

import zmq

SOCKETS = {
    "shell": zmq.ROUTER,
    "control": zmq.ROUTER,
    "stdin": zmq.ROUTER,
    "iopub": zmq.PUB,
    "hb": zmq.REP,
}
HOW = os.environ.get("TRICKY", "")


class Kernel:
    def __init__(self, path: str) -> None:
        with open(path) as file:
            self.connection = json.load(file)
        if HOW == "tcp" and self.connection["transport"] != "tcp":
            sys.exit("this kernel knows only tcp")
        context = zmq.Context()
        self.sockets = {}
        for name, kind in SOCKETS.items():
            socket = context.socket(kind)
            socket.linger = 1000
            socket.bind(self._endpoint(self.connection[f"{name}_port"]))
            self.sockets[name] = socket
        self.count = 0
        self.interrupts = 0
        self.requests = 0
        self.parents: list[dict[str, Any]] = []

    def _endpoint(self, port: int) -> str:
        transport, ip = self.connection["transport"], self.connection["ip"]
        mark = ":" if transport == "tcp" or HOW == "colon" else "-"
        return f"{transport}://{ip}{mark}{port}"

    def sign(self, parts: list[bytes]) -> bytes:
        key = self.connection["key"].encode()
        return hmac.new(key, b"".join(parts), hashlib.sha256).hexdigest().encode()

    def frames(
        self,
        kind: str,
        content: Any,
        parent: dict[str, Any],
        metadata: Any = None,
        buffers: tuple[bytes, ...] = (),
    ) -> list[bytes]:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": "tricky",
            "username": "kernel",
            "date": "2026-01-01T00:00:00Z",
            "version": "5.0",
        }
        parts = [
            part if isinstance(part, bytes) else json.dumps(part).encode()
            for part in (header, parent, {} if metadata is None else metadata, content)
        ]
        return [b"<IDS|MSG>", self.sign(parts), *parts, *buffers]

    def receive(self, name: str) -> tuple[list[bytes], dict[str, Any], Any, Any, Any]:
        frames = self.sockets[name].recv_multipart()
        at = frames.index(b"<IDS|MSG>")
        assert frames[at + 1] == self.sign(frames[at + 2 : at + 6])
        header, _, metadata, content = map(json.loads, frames[at + 2 : at + 6])
        return frames[:at], header, content, metadata, frames[at + 6 :]

    def publish(self, kind: str, content: Any, parent: Any, **more: Any) -> None:
        self.sockets["iopub"].send_multipart(
            [kind.encode(), *self.frames(kind, content, parent, **more)]
        )

    def serve(self) -> None:
        poller = zmq.Poller()
        for name in ("shell", "control"):
            poller.register(self.sockets[name], zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                name = "shell" if socket is self.sockets["shell"] else "control"
                self.answer(name, *self.receive(name))

    def answer(
        self,
        name: str,
        identities: list[bytes],
        header: dict[str, Any],
        content: Any,
        metadata: Any,
        buffers: list[bytes],
    ) -> None:
        cell = Cell(self, name, identities, header, content, metadata, buffers)
        kind = header["msg_type"]
        if kind == "shutdown_request":
            if HOW == "stay":
                return
            cell.reply({"status": "ok", "restart": False})
            sys.exit(0)
        if kind == "interrupt_request":
            self.interrupts += 1
            cell.reply({"status": "ok"})
            return
        if HOW == "deaf" and kind not in ("kernel_info_request", "execute_request"):
            return
        cell.run()


class Cell:
    """One request; its methods are what a cell can say."""

    def __init__(
        self,
        kernel: Kernel,
        channel: str,
        identities: list[bytes],
        header: dict[str, Any],
        content: Any,
        metadata: Any,
        buffers: list[bytes],
    ) -> None:
        self.kernel = kernel
        self.channel = channel
        self.identities = identities
        self.header = header
        self.content = content
        self.metadata = metadata
        self.buffers = buffers
        self.kind = header["msg_type"]
        self.will_reply = self.will_idle = True
        self.rest = {"status": "ok", "payload": [], "user_expressions": {}}

    def publish(self, kind: str, content: Any, parent: Any = None, **more: Any) -> None:
        parent = self.header if parent is None else parent
        self.kernel.publish(kind, content, parent, **more)

    def say(self, text: str, name: str = "stdout", parent: Any = None) -> None:
        self.publish("stream", {"name": name, "text": text}, parent)

    def raw(self, *frames: bytes, channel: str = "iopub") -> None:
        identities = self.identities if channel != "iopub" else []
        self.kernel.sockets[channel].send_multipart([*identities, *frames])

    def reply(self, content: Any, kind: str | None = None) -> None:
        kind = kind or self.kind.replace("_request", "_reply")
        frames = self.kernel.frames(kind, content, self.header)
        self.kernel.sockets[self.channel].send_multipart([*self.identities, *frames])
        self.will_reply = False

    def idle(self) -> None:
        self.publish("status", {"execution_state": "idle"})
        self.will_idle = False

    def no_reply(self) -> None:
        self.will_reply = False

    def no_idle(self) -> None:
        self.will_idle = False

    def question(self, prompt: str = "", **more: Any) -> None:
        content = {"prompt": prompt, **more}
        frames = self.kernel.frames("input_request", content, self.header)
        self.kernel.sockets["stdin"].send_multipart([*self.identities, *frames])

    def ask(self, prompt: str = "", **more: Any) -> str:
        self.question(prompt, **more)
        return self.answer()

    def answer(self) -> str:
        return str(self.kernel.receive("stdin")[2]["value"])

    def result(self, value: Any) -> None:
        content = {
            "execution_count": 1000 + self.kernel.count,
            "data": {"text/plain": repr(value)},
            "metadata": {},
        }
        self.publish("execute_result", content)

    def run(self) -> None:
        self.kernel.requests += 1
        is_heard = HOW != "halfheard" or self.kernel.requests > 1
        if is_heard:
            self.publish("status", {"execution_state": "busy"})
        if self.kind == "execute_request":
            self.execute()
        elif self.kind == "kernel_info_request":
            if HOW in ("chatty", "halfheard") and is_heard:
                self.say("welcome\n")
            self.rest = {
                "status": "ok",
                "protocol_version": "5.0",
                "implementation": "tricky",
                "implementation_version": "1",
                "language_info": {"name": "tricky", "version": "1"},
                "banner": "Tricky",
            }
        elif self.kind == "complete_request":
            self.rest = {
                "status": "ok",
                "matches": [json.dumps(self.content)],
                "cursor_start": 0,
                "cursor_end": 0,
                "metadata": {},
            }
        elif self.kind.startswith("comm_"):
            self.no_reply()
            content = {"comm_id": "echo", "data": self.content}
            self.publish("comm_msg", content, buffers=tuple(self.buffers))
        elif self.kind not in ("is_complete_request", "inspect_request"):
            self.no_reply()
        if self.will_reply:
            self.reply(self.rest)
        if self.will_idle:
            self.idle()

    def execute(self) -> None:
        code = self.content["code"]
        if not self.content["silent"]:
            self.kernel.count += 1
            count = 1000 + self.kernel.count
            self.publish("execute_input", {"code": code, "execution_count": count})
        self.kernel.parents.append(self.header)
        names = {name: getattr(self, name) for name in dir(self) if name[0] != "_"}
        exec(code, {**globals(), **names, "cell": self})


def main() -> None:
    if HOW == "mute":
        time.sleep(1000)
    if HOW == "dies":
        print("cannot find my library", file=sys.stderr)
        sys.exit(3)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if HOW == "chatty":
        print("starting", flush=True)
    Kernel(sys.argv[1]).serve()


if __name__ == "__main__":
    main()
