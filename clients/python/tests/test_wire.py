# SPDX-License-Identifier: MIT
"""Messages as frames: what is sent, and what is believed of what comes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cellwall import ProtocolError
from cellwall._wire import Wire, encode

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/agent-protocol.md"


def example() -> list[bytes]:
    text = DOCUMENT.read_text()
    found = re.search(r"<!-- example: signed -->\n```\n(.*?)\n```", text, re.DOTALL)
    assert found is not None
    return [line.encode() for line in found[1].split("\n")]


def test_signature_is_that_of_the_document() -> None:
    frames = example()
    assert Wire(b"secret").sign(frames[2:6]) == frames[1]


def test_message_of_the_document_is_read() -> None:
    message = Wire(b"secret").parse(example())
    assert message.type == "run_code_request"
    assert message.content == {"language": "python", "code": "1 + 1"}


def test_message_is_built_as_the_document_says() -> None:
    wire = Wire(b"secret", "s-1", "ann")
    id, frames = wire.build("run_code_request", {"code": "ü"}, [b"raw"])
    assert frames[0] == b"<IDS|MSG>"
    assert frames[1] == wire.sign(frames[2:6])
    header = json.loads(frames[2])
    assert header["msg_id"] == id
    assert header["version"] == "5.5"
    assert (header["session"], header["username"]) == ("s-1", "ann")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}(\.\d+)?Z", header["date"])
    assert frames[3:5] == [b"{}", b"{}"]
    assert json.loads(frames[5]) == {"code": "ü"}
    assert frames[6:] == [b"raw"]


def test_ids_are_unique() -> None:
    wire = Wire(b"")
    assert len({wire.build("x", {})[0] for _ in range(1000)}) == 1000


def test_without_a_key_nothing_is_signed() -> None:
    _, frames = Wire(b"").build("x", {})
    assert frames[1] == b""
    assert Wire(b"").parse(frames).type == "x"


def test_message_with_another_key_is_refused() -> None:
    _, frames = Wire(b"other").build("x", {})
    with pytest.raises(ProtocolError, match="signed"):
        Wire(b"secret").parse(frames)


@pytest.mark.parametrize("index", [1, 2, 3, 4, 5])
def test_changed_frame_is_refused(index: int) -> None:
    _, frames = Wire(b"secret").build("x", {"a": 1})
    frames[index] = frames[index].replace(b"1", b"2") + b" "
    with pytest.raises(ProtocolError):
        Wire(b"secret").parse(frames)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"msg_type": 1}',
        b"\xff",
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b'{"msg_type": "x", "n": ' + b"9" * 10_000 + b"]",
    ],
)
def test_odd_json_is_refused(header: bytes) -> None:
    wire = Wire(b"secret")
    signed = [header, b"{}", b"{}", b"{}"]
    with pytest.raises(ProtocolError):
        wire.parse([b"<IDS|MSG>", wire.sign(signed), *signed])


@pytest.mark.parametrize("parent", [b"[]", b'{"msg_id": 1}', b'{"msg_id": null}'])
def test_odd_parent_is_refused(parent: bytes) -> None:
    wire = Wire(b"")
    with pytest.raises(ProtocolError):
        wire.parse([b"<IDS|MSG>", b"", b'{"msg_type": "x"}', parent, b"{}", b"{}"])


@pytest.mark.parametrize("count", range(6))
def test_too_few_frames_are_refused(count: int) -> None:
    _, frames = Wire(b"").build("x", {})
    with pytest.raises(ProtocolError):
        Wire(b"").parse(frames[:count])


def test_lone_surrogate_is_sent_as_its_escape() -> None:
    assert encode({"code": "\ud800"}) == b'{"code":"\\ud800"}'


def test_numbers_that_json_has_not_are_refused() -> None:
    with pytest.raises(ValueError):
        encode({"timeout": float("nan")})
