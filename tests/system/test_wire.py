# SPDX-License-Identifier: MIT
"""What the kernel does with messages that are forged, broken or repeated.

None of them gets an answer or a status; after each the kernel serves as before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import zmq

from tests.system.rawclient import (
    DELIMITER,
    Client,
    KernelProcess,
    NothingCame,
    connection_info,
)

Spoil = Callable[[list[bytes]], list[bytes]]


def assert_ignored_and_alive(client: Client, frames: list[bytes]) -> None:
    """FRAMES bring nothing at all: the next thing heard belongs to the next request."""
    client.send_frames("shell", frames)
    asked = client.send("shell", "kernel_info_request")
    assert client.receive("shell").parent_id == asked
    heard = client.iopub_until(
        lambda m: m.parent_id == asked and m.content.get("execution_state") == "idle"
    )
    assert {m.parent_id for m in heard} == {asked}


# Each takes correct frames: delimiter, signature, header, parent, metadata, content.
SPOILT: dict[str, Spoil] = {
    "no_signature": lambda f: [f[0], b"", *f[2:]],
    "another_signature": lambda f: [f[0], b"0" * 64, *f[2:]],
    "half_a_signature": lambda f: [f[0], f[1][:32], *f[2:]],
    "a_longer_signature": lambda f: [f[0], f[1] + b"00", *f[2:]],
    "an_upper_case_signature_of_letters": lambda f: [f[0], b"G" * 64, *f[2:]],
    "another_content": lambda f: [*f[:5], b'{"code": "print(666)"}'],
    "another_header": lambda f: [*f[:2], f[2].replace(b"tester", b"other_"), *f[3:]],
    "no_content": lambda f: f[:5],
    "only_delimiter": lambda f: f[:1],
    "only_delimiter_and_signature": lambda f: f[:2],
    "no_delimiter": lambda f: f[1:],
    "an_empty_frame": lambda f: [b""],
    "many_empty_frames": lambda f: [b""] * 1000,
    "garbage": lambda f: [bytes(range(256)) * 16 for _ in range(10)],
    "a_delimiter_at_the_end": lambda f: [*f[1:], f[0]],
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_spoilt_message_is_ignored(client: Client, spoil: Spoil) -> None:
    frames = client.frames("execute_request", client.execute_content("print(666)"))

    assert_ignored_and_alive(client, spoil(frames))


def test_replayed_message_is_ignored(client: Client) -> None:
    content = client.execute_content("replayed = globals().get('replayed', 0) + 1")
    frames = client.frames("execute_request", content)
    client.send_frames("shell", frames)
    client.finish(json.loads(frames[2])["msg_id"])

    assert_ignored_and_alive(client, frames)
    assert client.evaluate("replayed") == 1


def test_message_replayed_on_another_channel_is_ignored(client: Client) -> None:
    frames = client.frames("kernel_info_request")
    client.send_frames("shell", frames)
    client.finish(json.loads(frames[2])["msg_id"])
    client.send_frames("control", frames)

    asked = client.send("control", "kernel_info_request")
    assert client.receive("control").parent_id == asked


def test_message_replayed_after_thousands_is_ignored(client: Client) -> None:
    old = client.frames("kernel_info_request")
    client.send_frames("shell", old)
    client.finish(json.loads(old[2])["msg_id"])
    for _ in range(2000):
        client.request("kernel_info_request")

    assert_ignored_and_alive(client, old)


@pytest.mark.cellwall
def test_message_signed_with_garbage_inside_is_ignored(client: Client) -> None:
    for header in (b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"{}" * 2, b""):
        parts = [header, b"{}", b"{}", b"{}"]
        assert_ignored_and_alive(client, [DELIMITER, client.sign(parts), *parts])


@pytest.mark.cellwall
@pytest.mark.parametrize("missing", ["msg_id", "msg_type"])
def test_header_without_what_is_needed_is_ignored(client: Client, missing: str) -> None:
    header = client.header("kernel_info_request")
    del header[missing]

    assert_ignored_and_alive(client, client.frames("x", header=header))


def test_header_may_carry_unknown_fields_and_comes_back_as_parent(client: Client) -> None:
    header = client.header("kernel_info_request", future={"deep": [1, 2.5, "é", None]})
    run_id = client.send("shell", "kernel_info_request", header=header)
    run = client.finish(run_id)

    assert run.reply.parent["future"] == header["future"]
    assert all(m.parent["future"] == header["future"] for m in run.iopub)


@pytest.mark.cellwall
def test_parent_header_is_the_bytes_of_the_request(client: Client) -> None:
    parts = [
        b'{"msg_type":  "kernel_info_request", "session":"s", "msg_id":"odd-1",'
        b'"username":"u", "date":"2026-01-01T00:00:00Z", "version":"5.5", "x":1.10}',
        b"{}",
        b"{}",
        b"{}",
    ]
    client.send_frames("shell", [DELIMITER, client.sign(parts), *parts])
    run = client.finish("odd-1")

    assert run.reply.frames[run.reply.frames.index(DELIMITER) + 3] == parts[0]
    for m in run.iopub:
        assert m.frames[m.frames.index(DELIMITER) + 3] == parts[0]


@pytest.mark.parametrize("count", [1, 3, 10])
def test_reply_goes_back_through_all_identities(client: Client, count: int) -> None:
    identities = [b"hop-%d\0\xff" % i for i in range(count)]
    frames = client.frames("kernel_info_request")
    client.send_frames("shell", [*identities, *frames])
    reply = client.finish(json.loads(frames[2])["msg_id"]).reply

    assert reply.identities == identities


def test_buffers_are_not_signed(client: Client) -> None:
    asked = client.send("shell", "kernel_info_request", buffers=[b"\0" * 1000, b"x", b""])

    assert client.finish(asked).content["status"] == "ok"


@pytest.mark.cellwall
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"code": None},
        {"code": 7},
        {"code": ["1"]},
        {"code": "1", "silent": "yes"},
        {"code": "1", "store_history": 1.5},
        {"code": "1", "user_expressions": []},
        {"code": "1", "allow_stdin": {}},
        {"code": "1", "stop_on_error": "no"},
        [],
        "text",
        None,
    ],
    ids=repr,
)
def test_execute_request_with_bad_content_gets_an_error_reply(
    client: Client, content: Any
) -> None:
    parts = [
        json.dumps(part).encode()
        for part in (client.header("execute_request"), {}, {}, content)
    ]
    client.send_frames("shell", [DELIMITER, client.sign(parts), *parts])
    run = client.finish(json.loads(parts[0])["msg_id"])

    assert run.content["status"] == "error"
    assert run.content["ename"]
    assert run.content["evalue"]
    assert isinstance(run.content["traceback"], list)
    assert run.types() == ["status", "status"]
    assert client.evaluate("1 + 1") == 2


@pytest.mark.cellwall
@pytest.mark.parametrize(
    ("msg_type", "content"),
    [
        ("complete_request", {"code": "a", "cursor_pos": "1"}),
        ("inspect_request", {"code": 1, "cursor_pos": 0}),
        ("is_complete_request", {}),
        ("history_request", {"hist_access_type": "all"}),
        ("history_request", {"hist_access_type": "tail", "n": "many"}),
        ("comm_info_request", {"target_name": 5}),
    ],
    ids=repr,
)
def test_request_with_bad_content_gets_an_error_reply(
    client: Client, msg_type: str, content: dict[str, Any]
) -> None:
    run = client.request(msg_type, content)

    assert run.reply.type == msg_type.replace("_request", "_reply")
    assert run.content["status"] == "error"
    assert run.types() == ["status", "status"]


@pytest.mark.cellwall
def test_deeply_nested_content_is_refused_and_harmless(client: Client) -> None:
    content = b'{"code": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    parts = [json.dumps(client.header("execute_request")).encode(), b"{}", b"{}", content]
    client.send_frames("shell", [DELIMITER, client.sign(parts), *parts])
    run = client.finish(json.loads(parts[0])["msg_id"])

    assert run.content["status"] == "error"


def test_unknown_message_type_brings_busy_and_idle_and_no_reply(client: Client) -> None:
    asked = client.send("shell", "make_coffee_request", {"sugar": 2})
    states = [m.content for m in client.until_idle(asked)]

    assert states == [{"execution_state": "busy"}, {"execution_state": "idle"}]
    assert not client.shell.poll(0)
    assert client.request("kernel_info_request").content["status"] == "ok"


def test_a_large_message_arrives_whole(client: Client) -> None:
    text = "x" * 5_000_000
    run = client.execute(f"len('{text}')")

    assert run.result() == "5000000"


def test_unicode_survives_both_ways(client: Client) -> None:
    text = "é ☃ 𝒳 👩‍🚀 \u2028 \x7f \x01"

    assert client.evaluate(f"{text!r}") == text
    assert client.execute(f"print({text!r})").stream() == text + "\n"


def test_flood_of_forged_messages_does_not_stop_the_kernel(client: Client) -> None:
    frames = client.frames("kernel_info_request")
    for _ in range(5000):
        client.send_frames(
            "shell", [frames[0], os.urandom(32).hex().encode(), *frames[2:]]
        )

    assert client.evaluate("1 + 1") == 2


def test_client_that_vanishes_in_mid_cell_harms_nobody(
    shared_kernel: KernelProcess, client: Client
) -> None:
    with Client(shared_kernel.info) as other:
        other.wait_ready()
        asked = other.start("import time\nfor i in range(20): time.sleep(0.02); print(i)")
        other.iopub_until(lambda m: m.parent_id == asked and m.type == "stream")

    assert client.evaluate("i") == 19


def test_client_that_comes_back_under_its_identity_gets_its_replies(
    shared_kernel: KernelProcess,
) -> None:
    for _ in range(3):
        with Client(shared_kernel.info, identity=b"the-same-browser") as c:
            c.wait_ready()
            assert c.evaluate("2 + 2") == 4


def test_kernel_without_a_key_takes_unsigned_messages(start_kernel: Any) -> None:
    kernel = start_kernel(info=connection_info(key=""))
    with Client(kernel.info) as c:
        c.wait_ready()
        assert c.evaluate("1 + 1") == 2


def test_two_front_ends_hear_each_other(
    shared_kernel: KernelProcess, client: Client
) -> None:
    with Client(shared_kernel.info) as other:
        other.wait_ready()
        asked = client.start("print('shared')")
        heard = other.until_idle(asked)

        assert [m.type for m in heard][:2] == ["status", "execute_input"]
        assert "".join(m.content["text"] for m in heard if m.type == "stream") == (
            "shared\n"
        )
        client.finish(asked)
        assert not other.shell.poll(0)


def test_iopub_topics_are_never_mistaken_for_frames(client: Client) -> None:
    run = client.execute("print(1); display(2); 3")

    for m in run.iopub:
        assert len(m.identities) <= 1


def test_session_is_one_for_all_channels(client: Client) -> None:
    run = client.execute("1")
    control = client.request("kernel_info_request", channel="control")
    sessions = {m.header["session"] for m in [run.reply, control.reply, *run.iopub]}

    assert len(sessions) == 1
    assert sessions != {client.session}


def test_message_ids_are_unique(client: Client) -> None:
    runs = [client.execute("print(1); 2") for _ in range(5)]
    ids = [m.header["msg_id"] for r in runs for m in [r.reply, *r.iopub]]

    assert len(ids) == len(set(ids))


def test_headers_have_every_field(client: Client) -> None:
    run = client.execute("1")

    for m in [run.reply, *run.iopub]:
        for name in ("msg_id", "session", "username", "date", "msg_type", "version"):
            assert isinstance(m.header[name], str), name
        assert m.header["date"].endswith(("Z", "+00:00"))


def test_a_signed_message_of_too_many_buffers_is_harmless(client: Client) -> None:
    frames = client.frames("comm_msg", {"comm_id": "none", "data": {}})
    client.shell.send_multipart([*frames, *[b""] * 5000])

    assert client.evaluate("1 + 1") == 2


def test_plain_bytes_on_the_port_are_harmless(
    shared_kernel: KernelProcess, client: Client
) -> None:
    import socket

    for channel in ("shell", "control", "stdin", "iopub", "hb"):
        with socket.create_connection(
            ("127.0.0.1", shared_kernel.info[f"{channel}_port"])
        ) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert client.evaluate("1 + 1") == 2


def test_stray_reply_on_stdin_is_harmless(client: Client) -> None:
    client.send("stdin", "input_reply", {"value": "nobody asked"})
    client.stdin.send_multipart([b"garbage"])

    assert client.evaluate("1 + 1") == 2


def test_subscriber_that_never_reads_does_not_stop_the_others(
    shared_kernel: KernelProcess, client: Client
) -> None:
    lazy = client.context.socket(zmq.SUB)
    lazy.rcvhwm = 1
    lazy.subscribe(b"")
    lazy.connect(f"tcp://127.0.0.1:{shared_kernel.info['iopub_port']}")
    run = client.execute("for i in range(2000): print(i)")

    assert run.stream() == "".join(f"{i}\n" for i in range(2000))


def test_nothing_comes_unasked(client: Client) -> None:
    with pytest.raises(NothingCame):
        client.receive("shell", 0.2)
