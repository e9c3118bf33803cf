# SPDX-License-Identifier: MIT
"""The server's side of a runner's channel, for tests.

Starts a runner without server and sandbox: a socketpair at fd 3, pipes at fds 1 and 2. It
puts raw output and frames in order by their markers, as the server does, and fails when
there is anything that the markers do not allow.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

VERSION = 1
PACKET_BYTES = 128 * 1024
TYPES = (
    "configure",
    "execute_request",
    "complete_request",
    "inspect_request",
    "is_complete_request",
    "input_reply",
    "ping",
    "shutdown",
    "comm_open",
    "comm_msg",
    "comm_close",
    "hello",
    "reply",
    "stream",
    "display_data",
    "update_display_data",
    "execute_result",
    "error",
    "clear_output",
    "input_request",
)
NUMBERS = {name: number for number, name in enumerate(TYPES, 1)}
FLAG_STDERR, FLAG_ERROR, FLAG_INTERRUPTED = 1, 2, 4
_HEAD = struct.Struct("<BBHIQQIIIIII")
_CHANNEL_FD = 3
_PR_SET_CHILD_SUBREAPER = 36
TIMEOUT_SECONDS = 60.0


@dataclass
class Frame:
    """One frame; CONTENT and METADATA are decoded JSON."""

    type: str
    number: int
    content: Any = None
    metadata: Any = None
    flags: int = 0
    execution_count: int = 0
    sequence: int = 0
    buffers: list[bytes] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What a stream frame prints."""
        assert self.type == "stream"
        return self.buffers[0].decode("utf-8")

    @property
    def stream(self) -> str:
        return "stderr" if self.flags & FLAG_STDERR else "stdout"


@dataclass
class Raw:
    """Bytes that came through a pipe."""

    fd: int
    data: bytes


def encode(frame: Frame, header: bytes = b"") -> list[bytes]:
    """FRAME as packets."""
    metadata = b"" if frame.metadata is None else json.dumps(frame.metadata).encode()
    content = b"" if frame.content is None else json.dumps(frame.content).encode()
    head = _HEAD.pack(
        VERSION,
        NUMBERS[frame.type],
        frame.flags,
        0,
        frame.number,
        frame.sequence,
        frame.execution_count,
        len(header),
        len(metadata),
        len(content),
        len(frame.buffers),
        0,
    )
    lengths = b"".join(struct.pack("<I", len(buffer)) for buffer in frame.buffers)
    data = b"".join([head, lengths, header, metadata, content, *frame.buffers])
    return [data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)]


def _total(packet: bytes) -> int:
    head = _HEAD.unpack_from(packet)
    lengths = struct.unpack_from(f"<{head[10]}I", packet, _HEAD.size)
    return _HEAD.size + 4 * head[10] + head[7] + head[8] + head[9] + sum(lengths)


def decode(data: bytes) -> Frame:
    """The frame that DATA is; nothing may be left over."""
    head = _HEAD.unpack_from(data)
    version, type_number, flags, lane, number, sequence, count, *sizes, zero = head
    assert (version, lane, zero) == (VERSION, 0, 0)
    lengths = struct.unpack_from(f"<{sizes[3]}I", data, _HEAD.size)
    at = _HEAD.size + 4 * sizes[3]
    parts = []
    for length in (*sizes[:3], *lengths):
        parts.append(data[at : at + length])
        at += length
    assert at == len(data)
    return Frame(
        type=TYPES[type_number - 1],
        number=number,
        content=json.loads(parts[2].decode("utf-8")) if parts[2] else None,
        metadata=json.loads(parts[1].decode("utf-8")) if parts[1] else None,
        flags=flags,
        execution_count=count,
        sequence=sequence,
        buffers=parts[3:],
    )


class _Pipe:
    """One output pipe: its bytes, cut at the markers."""

    def __init__(self, fd: int, ours: int, nonce: bytes) -> None:
        self.fd = fd
        self.ours = ours
        self._nonce = nonce
        self._bytes = bytearray()
        self.is_open = True

    def read(self) -> None:
        try:
            data = os.read(self.ours, 1 << 20)
        except BlockingIOError:
            return
        self.is_open = bool(data)
        self._bytes += data

    def take_until(self, sequence: int) -> bytes | None:
        """What was written before marker SEQUENCE; None: it has not come yet."""
        marker = self._nonce + struct.pack("<Q", sequence)
        at = self._bytes.find(marker)
        if at < 0:
            return None
        data = bytes(self._bytes[:at])
        del self._bytes[: at + len(marker)]
        assert self._nonce not in data, "a marker is out of order"
        return data

    def take_rest(self) -> bytes:
        data, self._bytes = bytes(self._bytes), bytearray()
        return data


@dataclass
class Outcome:
    """What a request led to, in order."""

    reply: Frame
    items: list[Frame | Raw]

    def frames(self, *types: str) -> list[Frame]:
        return [
            item
            for item in self.items
            if isinstance(item, Frame) and (not types or item.type in types)
        ]

    def _text(self, stream: str, fd: int) -> str:
        pieces = []
        for item in self.items:
            if isinstance(item, Raw):
                pieces.append(item.data.decode() if item.fd == fd else "")
            elif item.type == "stream" and item.stream == stream:
                pieces.append(item.text)
        return "".join(pieces)

    @property
    def stdout(self) -> str:
        return self._text("stdout", 1)

    @property
    def stderr(self) -> str:
        return self._text("stderr", 2)

    @property
    def both(self) -> str:
        """All text in order, whichever stream it went to."""
        return "".join(
            item.data.decode() if isinstance(item, Raw) else item.text
            for item in self.items
            if isinstance(item, Raw) or item.type == "stream"
        )

    @property
    def error(self) -> Frame:
        (error,) = self.frames("error")
        return error

    @property
    def result(self) -> dict[str, Any]:
        (result,) = self.frames("execute_result")
        return result.content["data"]

    @property
    def displays(self) -> list[dict[str, Any]]:
        return [frame.content["data"] for frame in self.frames("display_data")]

    @property
    def status(self) -> str:
        return self.reply.content["status"]

    @property
    def interrupted(self) -> bool:
        return bool(self.reply.flags & FLAG_INTERRUPTED)


class _Fork:
    """A process that a zygote has made: what is used of a Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status; negative: the signal that ended it."""
        if self.returncode is None:
            if not select.select([self._pidfd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            status = os.waitpid(self.pid, 0)[1]
            self.returncode = os.waitstatus_to_exitcode(status)
            os.close(self._pidfd)
        return self.returncode


class Zygote:
    """A zygote whose runners are plain forks, adopted by this process."""

    def __init__(
        self,
        *,
        interpreter: str | None = None,
        env: dict[str, str] | None = None,
        preload: Sequence[str] = ("numpy", "pandas", "matplotlib.pyplot"),
    ) -> None:
        _adopt_orphans()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = dict(os.environ if env is None else env)
        environment["CELLWALL_PRELOAD"] = ",".join(preload)
        argv = python_argv(interpreter, "zygote")
        forkserver = Path(__file__).with_name("forkserver.py")
        argv[2] = argv[2].replace(
            "import cellwall_runner",
            f"import runpy; runpy.run_path({str(forkserver)!r}); import cellwall_runner",
        )
        self.process = _spawn(argv, theirs, [1, 2], None, environment)
        theirs.close()
        self.said = json.loads(self.socket.recv(1 << 16))

    def fork(
        self,
        channel: socket.socket,
        outputs: Sequence[int],
        cwd: Path | str | None,
        env: dict[str, str] | None,
    ) -> _Fork:
        """A runner with these fds, as _spawn starts one."""
        variables = os.environ if env is None else env
        request = {
            "cwd": str(cwd or os.getcwd()),
            "env": [f"{name}={value}" for name, value in variables.items()],
        }
        with open(os.devnull) as null:
            fds = [null.fileno(), *outputs, channel.fileno()]
            socket.send_fds(self.socket, [json.dumps(request).encode()], fds)
        return _Fork(int(self.socket.recv(64)))

    def close(self) -> int:
        """Ends it; its runners live on."""
        self.socket.close()
        return self.process.wait(TIMEOUT_SECONDS)


def _adopt_orphans() -> None:
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class Runner:
    """A runner process and the server's end of its channel."""

    def __init__(
        self,
        source: Sequence[str] | Zygote,
        *,
        cwd: Path | str | None = None,
        env: dict[str, str] | None = None,
        configure: dict[str, Any] | None = None,
        late: bool = False,
    ) -> None:
        nonce = secrets.token_bytes(16)
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipes = [os.pipe(), os.pipe()]
        self._pipes = []
        for fd, (ours, _) in enumerate(pipes, 1):
            os.set_blocking(ours, False)
            self._pipes.append(_Pipe(fd, ours, nonce))
        make = source.fork if isinstance(source, Zygote) else partial(_spawn, source)
        self.process = make(theirs, [pipe[1] for pipe in pipes], cwd, env)
        theirs.close()
        for _, end in pipes:
            os.close(end)
        self._packets: list[bytes] = []
        self._received: list[bytes] = []
        self._missing = 0
        self._sequence = 0
        self._number = 0
        self.count = 0
        self.greeting: dict[str, Any] = {}
        self._configuration = {
            "nonce": nonce.hex(),
            "frame_version": VERSION,
            "runtime": "python",
            **(configure or {}),
        }
        if not late:
            self.configure()

    def configure(self) -> None:
        """Sends what a runner waits for before its hello, if it is still there."""
        with contextlib.suppress(BrokenPipeError):
            self.send(Frame("configure", 0, self._configuration))

    # Frames.

    def send(self, frame: Frame, header: bytes = b"") -> None:
        for packet in encode(frame, header):
            self.channel.sendall(packet)

    def _take_packet(self, packet: bytes) -> None:
        if not self._packets:
            self._missing = _total(packet)
        self._packets.append(packet)
        self._missing -= len(packet)
        assert self._missing >= 0
        if self._missing == 0:
            self._received.append(b"".join(self._packets))
            self._packets.clear()

    def _read(self, deadline: float) -> bool:
        """Reads what there is, from everywhere. False: all is closed."""
        sources: list[Any] = [pipe.ours for pipe in self._pipes if pipe.is_open]
        sources.append(self.channel)
        readable, _, _ = select.select(sources, [], [], max(0, deadline - time.time()))
        if not readable:
            raise TimeoutError("the runner sends nothing")
        for pipe in self._pipes:
            if pipe.ours in readable:
                pipe.read()
        if self.channel in readable:
            try:
                packet = self.channel.recv(PACKET_BYTES)
            except ConnectionResetError:  # it ended with something unread
                return False
            if not packet:
                return False
            self._take_packet(packet)
        return True

    def items(self, timeout: float = TIMEOUT_SECONDS) -> Iterator[Frame | Raw]:
        """What the runner sends, in the program's order, until it ends."""
        deadline = time.time() + timeout
        is_open = True
        while is_open or self._received:
            while is_open and not self._received:
                is_open = self._read(deadline)
            if not self._received:
                break
            frame = decode(self._received.pop(0))
            self._sequence += 1
            assert frame.sequence == self._sequence
            for pipe in self._pipes:
                data = pipe.take_until(self._sequence)
                while data is None:
                    assert pipe.is_open, "the pipe ended before its marker"
                    pipe.read()
                    data = pipe.take_until(self._sequence)
                if data:
                    yield Raw(pipe.fd, data)
            yield frame
        for pipe in self._pipes:
            while pipe.is_open:
                select.select([pipe.ours], [], [], max(0, deadline - time.time()))
                pipe.read()
            rest = pipe.take_rest()
            if rest:
                yield Raw(pipe.fd, rest)

    # Requests.

    def hello(self) -> Frame:
        text: list[str] = []
        for item in self.items():
            if isinstance(item, Frame):
                assert item.type == "hello", item
                self.greeting = item.content
                return item
            text.append(item.data.decode("utf-8", "replace"))
        raise AssertionError(f"the runner ended without a hello: {''.join(text)}")

    def begin(
        self,
        kind: str,
        content: Any,
        *,
        metadata: Any = None,
        buffers: Sequence[bytes] = (),
        count: int = 0,
    ) -> int:
        """Sends a request and returns its number."""
        self._number += 1
        header = {"msg_id": f"m{self._number}", "msg_type": kind, "session": "s"}
        frame = Frame(
            kind,
            self._number,
            content,
            metadata,
            execution_count=count,
            buffers=list(buffers),
        )
        self.send(frame, json.dumps(header).encode())
        return self._number

    def finish(self, number: int, timeout: float = TIMEOUT_SECONDS) -> Outcome:
        """Collects output until the reply to NUMBER."""
        items: list[Frame | Raw] = []
        for item in self.items(timeout):
            if isinstance(item, Frame) and item.type == "reply":
                assert item.number == number
                return Outcome(item, items)
            items.append(item)
        raise AssertionError(f"the runner ended: {items!r:.2000}")

    def until(
        self, number: int, kind: str, passed: list[Frame | Raw] | None = None
    ) -> Frame:
        """The next frame of type KIND; what comes before it is added to PASSED."""
        for item in self.items():
            if isinstance(item, Frame):
                assert item.type != "reply", item
                if item.type == kind:
                    assert item.number == number
                    return item
            if passed is not None:
                passed.append(item)
        raise AssertionError("the runner ended")

    def begin_run(self, code: str, **options: Any) -> int:
        metadata = options.pop("metadata", None)
        stored = options.get("store_history", True) and not options.get("silent", False)
        self.count += bool(stored)
        return self.begin(
            "execute_request",
            {"code": code, **options},
            metadata=metadata,
            count=self.count,
        )

    def run(self, code: str, **options: Any) -> Outcome:
        """Runs a cell to its end."""
        return self.finish(self.begin_run(code, **options))

    def request(self, kind: str, content: Any, **options: Any) -> Outcome:
        return self.finish(self.begin(kind, content, **options))

    def ping(self) -> Outcome:
        return self.request("ping", None)

    def interrupt(self) -> None:
        """As the server does: SIGINT to the runner's process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)

    def close(self) -> int:
        """Ends the runner and all that it has started; returns its exit status."""
        self.channel.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in self._pipes:
            os.close(pipe.ours)
        return self.process.wait()


def _spawn(
    argv: Sequence[str],
    channel: socket.socket,
    outputs: Sequence[int],
    cwd: Path | str | None,
    env: dict[str, str] | None,
) -> subprocess.Popen[bytes]:
    """Starts ARGV with the channel at fd 3, as leader of a process group."""

    def put_channel() -> None:
        # Behind Popen's own pipe of errors, which may sit at fd 3 itself.
        os.dup2(channel.fileno(), _CHANNEL_FD)

    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=outputs[0],
        stderr=outputs[1],
        cwd=cwd,
        env=env,
        start_new_session=True,
        preexec_fn=put_channel,
        pass_fds=(_CHANNEL_FD,),
    )


def runtimes_folder() -> Path:
    """Where the assembled runtimes are."""
    named = os.environ.get("CELLWALL_RUNTIMES")
    if named:
        return Path(named)
    root = Path(__file__).resolve().parents[2]
    for build in ("debug", "asan", "release"):
        if (root / "build" / build / "runtimes/python/runtime.json").exists():
            return root / "build" / build / "runtimes"
    raise FileNotFoundError(
        "no assembled runtimes: build first, or set CELLWALL_RUNTIMES"
    )


def runtime_argv(name: str, interpreter: str, kind: str = "argv") -> list[str]:
    """A command of a runtime's descriptor."""
    folder = runtimes_folder() / name
    document = json.loads((folder / "runtime.json").read_text())
    return [
        word.replace("{interpreter}", interpreter).replace("{runtime}", str(folder))
        for word in document[kind]
    ]


def bash_argv() -> list[str]:
    """The command of the bash runtime's descriptor, for the bash in PATH."""
    interpreter = shutil.which("bash")
    assert interpreter is not None
    return runtime_argv("bash", interpreter)


def python_argv(interpreter: str | None = None, kind: str = "argv") -> list[str]:
    """A command of the Python runtime's descriptor."""
    named = interpreter or os.environ.get("CELLWALL_TEST_PYTHON", sys.executable)
    return runtime_argv("python", named, kind)
