# SPDX-License-Identifier: MIT
"""Messages of the agent protocol as frames, and back. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ._errors import ProtocolError

DELIMITER = b"<IDS|MSG>"
VERSION = "5.5"
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
_JSON_FRAMES = 4


@dataclass(frozen=True)
class Message:
    """One message that has come; its signature is right."""

    type: str
    parent_id: str
    content: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()


def encode(value: object) -> bytes:
    """VALUE as JSON. A lone surrogate becomes its escape, which the server judges."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


class Wire:
    """Builds, signs, checks and reads the messages of one session."""

    def __init__(self, key: bytes, session: str = "", username: str = "") -> None:
        self._key = key
        self._session = session or uuid.uuid4().hex
        self._username = username or str(os.getuid() if hasattr(os, "getuid") else "")

    def sign(self, frames: Sequence[bytes]) -> bytes:
        """The signature frame for the four frames FRAMES."""
        if not self._key:
            return b""
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for frame in frames:
            digest.update(frame)
        return digest.hexdigest().encode("ascii")

    def build(
        self, kind: str, content: dict[str, Any], buffers: Sequence[bytes] = ()
    ) -> tuple[str, list[bytes]]:
        """A new message: its id and its frames."""
        message_id = uuid.uuid4().hex
        date = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
        header = {
            "msg_id": message_id,
            "msg_type": kind,
            "session": self._session,
            "username": self._username,
            "date": date,
            "version": VERSION,
        }
        signed = [encode(header), b"{}", b"{}", encode(content)]
        return message_id, [DELIMITER, self.sign(signed), *signed, *buffers]

    def parse(self, frames: Sequence[bytes]) -> Message:
        """The message that FRAMES are. ProtocolError: they are none of the server's."""
        if len(frames) < 2 + _JSON_FRAMES or frames[0] != DELIMITER:
            raise ProtocolError("a message has too few frames, or no delimiter")
        signed = frames[2 : 2 + _JSON_FRAMES]
        if not hmac.compare_digest(self.sign(signed), bytes(frames[1])):
            raise ProtocolError("a message is not signed with the server's key")
        header, parent, metadata, content = (_read(frame) for frame in signed)
        kind, parent_id = header.get("msg_type"), parent.get("msg_id", "")
        if not isinstance(kind, str) or not isinstance(parent_id, str):
            raise ProtocolError("a message has no type, or an odd parent")
        return Message(
            kind, parent_id, content, metadata, tuple(frames[2 + _JSON_FRAMES :])
        )


def _read(frame: bytes) -> dict[str, Any]:
    try:
        value = json.loads(frame.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ProtocolError("a frame is not a JSON object")
    return value
