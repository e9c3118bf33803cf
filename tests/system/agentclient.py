# SPDX-License-Identifier: MIT
"""A client of the agent service, written from docs/agent-protocol.md alone.

Strict where a user's client would be lenient: each message that comes must be signed,
answer a request that was sent, byte for byte, and no request may be answered twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

TIMEOUT_S = 60.0  # for what must come; never reached when all is well
DELIMITER = b"<IDS|MSG>"

# Code that goes on when a file of this name is there: see Agent.open_gate().
GATE = """
import os, time
while not os.path.exists({name!r}):
    time.sleep(0.005)
"""


def gate(name: str) -> str:
    return GATE.format(name=f"/workspace/{name}")


class NothingCame(Exception):
    """A message that must come has not come."""


@dataclass
class Message:
    type: str
    header: dict[str, Any]
    parent: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)

    @property
    def seq(self) -> int:
        return self.metadata["cellwall"]["seq"]

    @property
    def execution(self) -> str:
        return self.metadata["cellwall"]["execution"]


class Refused(Exception):
    """The request was refused; the content of its reply."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(f"{content['code']}: {content['message']}")
        self.content = content
        self.code: str = content["code"]
        self.details: dict[str, Any] = content["details"]


class Agent:
    """One connection. FILE: server.json, or a client's own file."""

    def __init__(self, file: Path, identity: bytes | None = None, hwm: int = 0) -> None:
        info = json.loads(file.read_text())
        assert info["signature_scheme"] == "hmac-sha256"
        self.key = info["key"].encode()
        self.identity = os.urandom(16) if identity is None else identity
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvhwm = hwm
        self.socket.sndhwm = 0
        self.socket.rcvtimeo = int(TIMEOUT_S * 1000)
        if self.identity:
            self.socket.routing_id = self.identity
        if "secret_key" in info:
            self.socket.curve_serverkey = info["server_public_key"].encode()
            self.socket.curve_publickey = info["public_key"].encode()
            self.socket.curve_secretkey = info["secret_key"].encode()
        self.socket.connect(info["endpoint"])
        self.session = uuid.uuid4().hex
        self.asked: dict[str, bytes] = {}  # headers by their msg_id
        self.replies: dict[str, Message] = {}
        self.events: defaultdict[str, list[Message]] = defaultdict(list)
        self.keepalives = 0

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Without a farewell."""
        self.context.destroy(linger=0)

    # Sending.

    def header(self, msg_type: str) -> dict[str, Any]:
        return {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "session": self.session,
            "username": "tester",
            "date": "2026-01-31T12:00:00.000000Z",
            "version": "5.5",
        }

    def sign(self, parts: Iterable[bytes]) -> bytes:
        if not self.key:
            return b""
        return hmac.new(self.key, b"".join(parts), hashlib.sha256).hexdigest().encode()

    def send_parts(self, parts: list[bytes], buffers: Iterable[bytes] = ()) -> str:
        """HEADER, PARENT, METADATA and CONTENT as they are. Returns the msg_id."""
        msg_id: str = json.loads(parts[0])["msg_id"]
        self.asked[msg_id] = parts[0]
        self.socket.send_multipart([DELIMITER, self.sign(parts), *parts, *buffers])
        return msg_id

    def send(
        self, msg_type: str, content: Any = None, buffers: Iterable[bytes] = ()
    ) -> str:
        head = json.dumps(self.header(msg_type)).encode()
        body = json.dumps({} if content is None else content).encode()
        return self.send_parts([head, b"{}", b"{}", body], buffers)

    # Receiving.

    def receive(self) -> Message:
        """The next message, whatever it is."""
        try:
            frames: list[bytes] = self.socket.recv_multipart()
        except zmq.Again:
            raise NothingCame(f"for {TIMEOUT_S} s") from None
        assert frames[0] == DELIMITER and len(frames) >= 6, frames[:6]
        assert hmac.compare_digest(frames[1], self.sign(frames[2:6])), "wrong signature"
        header, parent, metadata, content = map(json.loads, frames[2:6])
        assert header["version"] == "5.5" and header["msg_id"] and header["session"]
        message = Message(
            header["msg_type"], header, parent, metadata, content, frames[6:]
        )
        self._file(message, frames[3])
        return message

    def _file(self, message: Message, parent: bytes) -> None:
        if message.type == "keepalive":
            assert message.parent == {} and message.content == {}
            self.keepalives += 1
            return
        asked = message.parent["msg_id"]
        assert self.asked.get(asked) == parent, f"{message} answers nothing that we asked"
        request = message.parent["msg_type"]
        if message.type != request.removesuffix("_request") + "_reply":
            self.events[asked].append(message)
            return
        assert asked not in self.replies, f"a second reply: {message}"
        self.replies[asked] = message

    def reply(self, msg_id: str) -> Message:
        """The reply to the request; what comes before it is filed."""
        while msg_id not in self.replies:
            self.receive()
        return self.replies[msg_id]

    def coming(self, msg_id: str) -> Iterator[Message]:
        """The events of the request, from its first one on; those that come are waited
        for until its reply is there, or for ever if it watches."""
        events = self.events[msg_id]
        seen = 0
        while True:
            while seen < len(events):
                yield events[seen]
                seen += 1
            reply = self.replies.get(msg_id)
            if reply is not None and reply.type != "watch_context_reply":
                return
            self.receive()

    def event(self, msg_id: str, *types: str, text: str | None = None) -> Message:
        """The first event of the request of one of these types, that has TEXT."""
        for event in self.coming(msg_id):
            if event.type in types and (text is None or text in str(event.content)):
                return event
        raise NothingCame(f"before {self.replies[msg_id]}")

    def until_text(self, msg_id: str, text: str) -> Message:
        """The event of the request with which the streams have said TEXT."""
        said = ""
        for event in self.coming(msg_id):
            if event.type == "stream":
                said += event.content["text"]
            if text in said:
                return event
        raise NothingCame(f"{text!r} before {self.replies[msg_id]}")

    # Asking.

    def ask(
        self, msg_type: str, buffers: Iterable[bytes] = (), **content: Any
    ) -> dict[str, Any]:
        """The content of the reply, whatever it is."""
        return self.reply(self.send(msg_type, content, buffers)).content

    def get(
        self, msg_type: str, buffers: Iterable[bytes] = (), **content: Any
    ) -> dict[str, Any]:
        """The content of the reply. Raises Refused."""
        reply = self.ask(msg_type, buffers, **content)
        if "code" in reply:
            raise Refused(reply)
        return reply

    def create(self, **members: Any) -> str:
        """The id of a new context."""
        return self.get("create_context_request", **members)["context"]["id"]

    def run(self, code: str, **members: Any) -> dict[str, Any]:
        return self.get("run_code_request", code=code, **members)

    def start(self, code: str, **members: Any) -> str:
        """The id of a request that streams, once its code has begun."""
        asked = self.send("run_code_request", {"code": code, "stream": True, **members})
        self.event(asked, "status")
        return asked

    def detach(self, code: str, **members: Any) -> str:
        """The id of an execution."""
        reply = self.get("run_code_request", code=code, detach=True, **members)
        return reply["execution"]["id"]

    def outcome(self, execution: str, **members: Any) -> dict[str, Any]:
        """Of an execution, when it has ended."""
        return self.get("attach_request", execution=execution, stream=False, **members)

    def write(self, context: str, path: str, data: bytes, **members: Any) -> None:
        members.update(context=context, path=path)
        self.get("write_file_request", [data], **members)

    def read(self, context: str, path: str, **members: Any) -> bytes:
        members.update(context=context, path=path)
        message = self.reply(self.send("read_file_request", members))
        if "code" in message.content:
            raise Refused(message.content)
        (data,) = message.buffers
        return data

    def open_gate(self, context: str, name: str = "go") -> None:
        """Lets code go on that waits at gate(NAME)."""
        self.write(context, name, b"")


def main_text(reply: dict[str, Any]) -> str:
    """The value of the last expression."""
    (main,) = (r for r in reply["results"] if r["is_main_result"])
    return main["data"]["text/plain"]
