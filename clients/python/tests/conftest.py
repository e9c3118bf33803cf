# SPDX-License-Identifier: MIT
"""A server's side of the wire for units of the client. What a server does is tested with
the real one, in tests/system."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import zmq

import cellwall
from cellwall._wire import Message, Wire

KEY = "secret"


class Peer:
    """A ROUTER that says what a test has written down, in a thread of its own.

    SCRIPT gets the peer and each request in turn.
    """

    def __init__(self, script: Callable[[Peer, Message], None]) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="cw-")
        self.endpoint = f"ipc://{self.folder.name}/agent.sock"
        self.file = Path(self.folder.name, "server.json")
        self.file.touch(0o600)
        self.file.write_text(
            json.dumps(
                {
                    "endpoint": self.endpoint,
                    "key": KEY,
                    "signature_scheme": "hmac-sha256",
                    "version": "0.1.0",
                }
            )
        )
        self.wire = Wire(KEY.encode())
        self.requests: list[Message] = []
        self.failure: BaseException | None = None
        self._script = script
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.bind(self.endpoint)
        self._end = self._context.socket(zmq.PAIR)
        self._end.bind("inproc://end")
        heard = self._context.socket(zmq.PAIR)
        heard.connect("inproc://end")
        self._identity = b""
        self._header: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._serve, args=[heard])
        self._thread.start()

    def _serve(self, end: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(end, zmq.POLLIN)
        try:
            while end not in dict(poller.poll()):
                self._identity, *frames = self._socket.recv_multipart()
                self._header = json.loads(frames[2])
                message = self.wire.parse(frames)
                self.requests.append(message)
                self._script(self, message)
        except BaseException as error:
            self.failure = error
        end.close(0)
        self._socket.close(0)

    def parent(self) -> dict[str, Any]:
        """The header of the request under way: for an answer that is given later."""
        return self._header

    def say(
        self,
        kind: str,
        content: object,
        *buffers: bytes,
        parent: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Sends a message for the request under way, or for PARENT's."""
        header = {"msg_id": "x", "msg_type": kind}
        told = self._header if parent is None else parent
        signed = [
            json.dumps(part).encode() for part in (header, told, metadata or {}, content)
        ]
        self.send([b"<IDS|MSG>", self.wire.sign(signed), *signed, *buffers])

    def send(self, frames: list[bytes]) -> None:
        self._socket.send_multipart([self._identity, *frames])

    def close(self) -> None:
        with contextlib.suppress(zmq.Again):  # it has ended by itself
            self._end.send(b"", zmq.NOBLOCK)
        self._thread.join()
        self._end.close(0)
        self._context.term()
        self.folder.cleanup()


@pytest.fixture
def connect() -> Iterator[Callable[..., tuple[Peer, cellwall.Client]]]:
    """Makes a peer that follows a script, and a client of it; both end with the test."""
    made: list[tuple[Peer, cellwall.Client]] = []

    def make(
        script: Callable[[Peer, Message], None], **options: Any
    ) -> tuple[Peer, cellwall.Client]:
        peer = Peer(script)
        client = cellwall.Client(peer.file, **options)
        made.append((peer, client))
        return peer, client

    yield make
    for peer, client in made:
        client.close()
        peer.close()
        assert peer.failure is None, peer.failure


def context(**members: Any) -> dict[str, Any]:
    return {
        "id": "ctx_5mqk2v8w1t0c3hx7r9ba",
        "epoch": 1,
        "state": "idle",
        "language": "python",
        **members,
    }


def outcome(**members: Any) -> dict[str, Any]:
    """The content of a run_code_reply."""
    return {
        "status": "ok",
        "execution_id": "run_1",
        "execution_count": 1,
        "results": [],
        "logs": {"stdout": "", "stderr": ""},
        "error": None,
        "reason": None,
        "user_expressions": {},
        "usage": {"wall_ms": 1.5, "queued_ms": 0, "cpu_ms": None},
        "truncated": None,
        "context": {"id": context()["id"], "epoch": 1, "state": "idle"},
        **members,
    }
