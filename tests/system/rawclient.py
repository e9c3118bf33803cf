# SPDX-License-Identifier: MIT
"""A small Jupyter client on bare ZeroMQ, for tests that look at the wire itself.

It hides nothing: every frame can be forged, and everything received is kept with its raw
frames. The processes it starts end with it.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"
CHANNELS = ("shell", "control", "stdin", "hb", "iopub")
TIMEOUT_S = 30.0  # for what must come; never reached when all is well


class NothingCame(AssertionError):
    """What a test waited for did not arrive."""


@dataclass
class Message:
    """One message as received; FRAMES are all of its frames, identities included."""

    header: dict[str, Any]
    parent: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]
    buffers: list[bytes]
    frames: list[bytes] = field(repr=False)

    @property
    def type(self) -> str:
        return self.header["msg_type"]

    @property
    def identities(self) -> list[bytes]:
        return self.frames[: self.frames.index(DELIMITER)]

    @property
    def parent_id(self) -> str | None:
        return self.parent.get("msg_id")


def merged(messages: list[Message]) -> list[Message]:
    """Neighbouring texts of one stream made one: how they are cut is chance."""
    result: list[Message] = []
    for message in messages:
        last = result[-1] if result else None
        if (
            last is not None
            and message.type == last.type == "stream"
            and message.content["name"] == last.content["name"]
            and message.parent == last.parent
        ):
            text = last.content["text"] + message.content["text"]
            result[-1] = replace(last, content={**last.content, "text": text})
        else:
            result.append(message)
    return result


@dataclass
class Run:
    """What one request brought: its reply and its IOPub messages up to idle."""

    reply: Message | None
    iopub: list[Message]

    @property
    def content(self) -> dict[str, Any]:
        assert self.reply is not None
        return self.reply.content

    def of(self, *types: str) -> list[Message]:
        return [m for m in self.iopub if m.type in types]

    def types(self) -> list[str]:
        return [m.type for m in merged(self.iopub)]

    def stream(self, name: str = "stdout") -> str:
        return "".join(
            m.content["text"] for m in self.of("stream") if m.content["name"] == name
        )

    def output(self) -> str:
        return "".join(m.content["text"] for m in self.of("stream"))

    def result(self, mime: str = "text/plain") -> Any:
        results = self.of("execute_result")
        assert len(results) == 1, self.types()
        return results[0].content["data"][mime]


def ports_to_try() -> Iterator[int]:
    """Ports that no other process of this test run tries, again and again. The system
    gives none of them to those who ask for any, unless its own begin below 20,000."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(10_000 + worker, max(int(given[0]), 20_000), workers)
    start = random.randrange(len(ports))
    return itertools.cycle([*ports[start:], *ports[:start]])


untried_ports = ports_to_try()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses at this moment."""
    free: list[int] = []
    while len(free) < count:
        port = next(untried_ports)
        with socket.socket() as s, suppress(OSError):
            s.bind(("127.0.0.1", port))
            free.append(port)
    return free


def connection_info(**changes: Any) -> dict[str, Any]:
    """A connection file's content on free ports, with a key of its own."""
    ports = free_ports(5)
    info: dict[str, Any] = {
        "ip": "127.0.0.1",
        "transport": "tcp",
        "key": uuid.uuid4().hex,
        "signature_scheme": "hmac-sha256",
        "kernel_name": "test",
    }
    info.update(
        {f"{name}_port": port for name, port in zip(CHANNELS, ports, strict=True)}
    )
    info.update(changes)
    return {name: value for name, value in info.items() if value is not None}


class KernelProcess:
    """A kernel started from its kernelspec's argv, in a session of its own."""

    def __init__(
        self,
        argv: list[str],
        directory: Path,
        *,
        info: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        extra: Iterable[str] = (),
        owner: int | None = None,
    ) -> None:
        """OWNER: who reads the connection file, if it is not who runs the tests."""
        self.info = connection_info() if info is None else info
        self.file = directory / f"kernel-{uuid.uuid4().hex[:8]}.json"
        self.file.write_text(json.dumps(self.info))
        self.file.chmod(0o600)
        if owner is not None:
            os.chown(self.file, owner, owner)
        self.errors = directory / (self.file.stem + ".stderr")
        command = [a.replace("{connection_file}", str(self.file)) for a in argv]
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, *extra],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                # Whatever becomes of the tests, their kernels end with them.
                env={**os.environ, "JPY_PARENT_PID": str(os.getpid()), **(env or {})},
                cwd=cwd or directory,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def stderr(self) -> str:
        return self.errors.read_text(errors="replace")

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, timeout: float = TIMEOUT_S) -> int:
        """Its exit status, once it ended by itself."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NothingCame(f"the kernel has not ended: {self.stderr()}") from None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.process.wait(20)
                raise AssertionError(
                    f"SIGTERM did not end {shlex.join(self.process.args)}"
                ) from None
        self.file.unlink(missing_ok=True)

    def __enter__(self) -> KernelProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def port_address(info: dict[str, Any], channel: str) -> str:
    port = info[f"{channel}_port"]
    if info["transport"] == "ipc":
        return f"ipc://{info['ip']}-{port}"
    return f"tcp://{info['ip']}:{port}"


class Client:
    """One front end: five sockets, one session."""

    def __init__(self, info: dict[str, Any], *, identity: bytes | None = None) -> None:
        self.info = info
        self.key = info.get("key", "").encode()
        self.session = uuid.uuid4().hex
        self.identity = identity or self.session.encode()
        self.context = zmq.Context()
        self.curve: tuple[bytes, bytes] | None = None
        if "curve_publickey" in info:
            self.curve = (
                info["curve_publickey"].encode(),
                info["curve_secretkey"].encode(),
            )
        self.shell = self._socket(zmq.DEALER, "shell")
        self.control = self._socket(zmq.DEALER, "control")
        self.stdin = self._socket(zmq.DEALER, "stdin")
        self.iopub = self._socket(zmq.SUB, "iopub")
        self.hb = self._socket(zmq.REQ, "hb")
        self.kept: list[Message] = []  # IOPub messages read while looking for others
        self.started_with: list[Message] = []  # what IOPub said while getting ready

    def _socket(self, kind: int, channel: str) -> zmq.Socket:
        s = self.context.socket(kind)
        s.linger = 0
        s.rcvhwm = 0
        if self.curve is not None:
            s.curve_serverkey = self.curve[0]
            s.curve_publickey, s.curve_secretkey = self.curve
        if kind == zmq.DEALER:
            s.identity = self.identity
        elif kind == zmq.SUB:
            s.subscribe(b"")
        s.connect(port_address(self.info, channel))
        return s

    def close(self) -> None:
        self.context.destroy(linger=0)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- building and sending --------------------------------------------------------

    def header(self, msg_type: str, **changes: Any) -> dict[str, Any]:
        return {
            "msg_id": uuid.uuid4().hex,
            "session": self.session,
            "username": "tester",
            "date": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
            "msg_type": msg_type,
            "version": "5.5",
            **changes,
        }

    def sign(self, parts: Iterable[bytes]) -> bytes:
        if not self.key:
            return b""
        scheme = self.info.get("signature_scheme", "hmac-sha256").removeprefix("hmac-")
        mac = hmac.new(self.key, digestmod=getattr(hashlib, scheme))
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode()

    def frames(
        self,
        msg_type: str,
        content: Any = None,
        *,
        header: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Iterable[bytes] = (),
    ) -> list[bytes]:
        """All frames of a correct message, ready to be sent or spoilt."""
        parts = [
            json.dumps(part).encode()
            for part in (
                header or self.header(msg_type),
                parent or {},
                metadata or {},
                {} if content is None else content,
            )
        ]
        return [DELIMITER, self.sign(parts), *parts, *buffers]

    def send(self, channel: str, msg_type: str, content: Any = None, **kw: Any) -> str:
        """Sends a correct message and returns its msg_id."""
        frames = self.frames(msg_type, content, **kw)
        getattr(self, channel).send_multipart(frames)
        return json.loads(frames[2])["msg_id"]

    def send_frames(self, channel: str, frames: list[bytes]) -> None:
        getattr(self, channel).send_multipart(frames)

    # --- receiving -------------------------------------------------------------------

    def parse(self, frames: list[bytes]) -> Message:
        at = frames.index(DELIMITER)
        signature, *parts = frames[at + 1 : at + 6]
        assert signature == self.sign(parts), "the kernel's signature is wrong"
        header, parent, metadata, content = (json.loads(part) for part in parts)
        return Message(header, parent, metadata, content, frames[at + 6 :], frames)

    def receive(self, channel: str, timeout: float = TIMEOUT_S) -> Message:
        s = getattr(self, channel)
        if not s.poll(timeout * 1000):
            raise NothingCame(f"nothing on {channel}")
        return self.parse(s.recv_multipart())

    def reply_to(self, channel: str, msg_id: str, timeout: float = TIMEOUT_S) -> Message:
        message = self.receive(channel, timeout)
        assert message.parent_id == msg_id, message
        return message

    def iopub_until(
        self, wanted: Callable[[Message], bool], timeout: float = TIMEOUT_S
    ) -> list[Message]:
        """IOPub messages up to and with the first WANTED one, old ones first."""
        got: list[Message] = []
        end = time.monotonic() + timeout
        while True:
            if self.kept:
                message = self.kept.pop(0)
            else:
                left = end - time.monotonic()
                if left <= 0 or not self.iopub.poll(left * 1000):
                    self.kept = got  # they may be what somebody else looks for
                    raise NothingCame(f"on iopub; so far {[m.type for m in got]}")
                message = self.parse(self.iopub.recv_multipart())
            got.append(message)
            if wanted(message):
                return got

    def until_idle(self, msg_id: str, timeout: float = TIMEOUT_S) -> list[Message]:
        """IOPub messages of one request up to its idle; others are kept for later."""

        def is_idle(m: Message) -> bool:
            return (
                m.parent_id == msg_id
                and m.type == "status"
                and m.content["execution_state"] == "idle"
            )

        got = self.iopub_until(is_idle, timeout)
        self.kept = [m for m in got if m.parent_id != msg_id] + self.kept
        return [m for m in got if m.parent_id == msg_id]

    # --- conversations ---------------------------------------------------------------

    def wait_ready(self, timeout: float = TIMEOUT_S) -> Message:
        """Until kernel_info is answered and this client hears IOPub."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            asked = self.send("shell", "kernel_info_request")
            while self.shell.poll(min(1.0, timeout) * 1000):
                reply = self.parse(self.shell.recv_multipart())
                if reply.parent_id == asked:
                    try:
                        self.until_idle(asked, 0.3)
                    except NothingCame:
                        break  # subscribed too late: ask again
                    self.started_with, self.kept = self.kept, []
                    return reply
        raise NothingCame("the kernel does not become ready")

    def request(self, msg_type: str, content: Any = None, **kw: Any) -> Run:
        channel = kw.pop("channel", "shell")
        timeout = kw.pop("timeout", TIMEOUT_S)
        asked = self.send(channel, msg_type, content, **kw)
        reply = self.reply_to(channel, asked, timeout)
        return Run(reply, self.until_idle(asked, timeout))

    def execute_content(self, code: str, **changes: Any) -> dict[str, Any]:
        return {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
            **changes,
        }

    def start(self, code: str, **changes: Any) -> str:
        """Sends an execute request and waits for nothing."""
        return self.send(
            "shell", "execute_request", self.execute_content(code, **changes)
        )

    def finish(self, msg_id: str, timeout: float = TIMEOUT_S) -> Run:
        reply = self.reply_to("shell", msg_id, timeout)
        return Run(reply, self.until_idle(msg_id, timeout))

    def execute(self, code: str, *, timeout: float = TIMEOUT_S, **changes: Any) -> Run:
        return self.finish(self.start(code, **changes), timeout)

    def evaluate(self, expression: str) -> Any:
        """The value of a Python expression whose repr is a literal."""
        import ast

        run = self.execute(expression)
        assert run.content["status"] == "ok", run.content
        return ast.literal_eval(run.result())

    def until_text(self, text: str, timeout: float = TIMEOUT_S) -> list[Message]:
        """IOPub messages until the streams have said TEXT; they are not given again."""
        said = ""

        def told(m: Message) -> bool:
            nonlocal said
            if m.type == "stream":
                said += m.content["text"]
            return text in said

        return self.iopub_until(told, timeout)
