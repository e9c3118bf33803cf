# SPDX-License-Identifier: MIT
"""The state of a connection, without one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from clients.python.tests.conftest import outcome

from cellwall import CellwallError, ConnectionLost
from cellwall._core import Call, Core, Item
from cellwall._wire import Message, Wire

SILENCE = 10.0


class Bench:
    """A core, its server's wire, and what its calls were told."""

    def __init__(self) -> None:
        self.wire = Wire(b"k")
        self.core = Core(Wire(b"k"), SILENCE)
        self.told: dict[str, list[Item]] = {}

    def call(self, kind: str, now: float = 0.0, **options: bool) -> Call:
        id, frames = self.wire.build(kind, {})
        items = self.told.setdefault(id, [])
        call = Call(kind, id, frames, items.append, **options)
        self.core.begin(call, now)
        return call

    def say(
        self, parent: str, kind: str, content: Any, now: float = 0.0
    ) -> list[dict[str, Any]]:
        """Hands a message to the core; the contents of what is to be sent."""
        header = {"msg_type": kind}
        parts = (header, {"msg_id": parent} if parent else {}, {}, content)
        signed = [json.dumps(part).encode() for part in parts]
        frames = [b"<IDS|MSG>", self.wire.sign(signed), *signed]
        return [self._read(sent) for sent in self.core.receive(frames, now)]

    def _read(self, frames: list[bytes]) -> dict[str, Any]:
        message = self.wire.parse(frames)
        return {"type": message.type, **message.content}

    def types(self, call: Call) -> list[str]:
        return [
            item.type if isinstance(item, Message) else item.code
            for item in self.told[call.id]
        ]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_items_go_to_the_call_that_they_belong_to(bench: Bench) -> None:
    one, two = bench.call("run_code_request"), bench.call("server_info_request")
    bench.say(one.id, "stream", {"name": "stdout", "text": "x"})
    bench.say(two.id, "server_info_reply", {})
    bench.say(one.id, "run_code_reply", outcome())
    assert bench.types(one) == ["stream", "run_code_reply"]
    assert bench.types(two) == ["server_info_reply"]
    assert bench.core.is_idle


def test_call_without_events_is_told_its_reply_alone(bench: Bench) -> None:
    call = bench.call("run_code_request", wants_events=False)
    bench.say(call.id, "execution_queued", {"execution": {"id": "run_7"}})
    bench.say(call.id, "stream", {"name": "stdout", "text": "x"})
    assert bench.types(call) == []
    assert call.execution == "run_7"  # it can still be cancelled
    bench.say(call.id, "run_code_reply", outcome())
    assert bench.types(call) == ["run_code_reply"]


def test_what_comes_after_the_reply_is_dropped(bench: Bench) -> None:
    call = bench.call("server_info_request")
    for _ in range(3):
        bench.say(call.id, "server_info_reply", {})
    bench.say("unknown", "server_info_reply", {})
    assert bench.types(call) == ["server_info_reply"]


def test_reply_of_another_type_is_not_the_reply(bench: Bench) -> None:
    call = bench.call("server_info_request")
    bench.say(call.id, "run_code_reply", {})
    assert not bench.core.is_idle


def test_silence_ends_all_calls(bench: Bench) -> None:
    early, late = bench.call("run_code_request", 0), bench.call("complete_request", 8)
    assert bench.core.deadline() == SILENCE
    bench.core.expire(9.9)
    assert bench.types(early) == []
    bench.core.expire(10)
    for call in (early, late):
        (error,) = bench.told[call.id]
        assert isinstance(error, ConnectionLost)
    assert bench.core.deadline() is None


def test_calls_do_not_share_an_exception(bench: Bench) -> None:
    calls = [bench.call("run_code_request") for _ in range(2)]
    bench.core.fail(CellwallError("m", suggestion="s", details={"a": 1}))
    (one,), (two,) = (bench.told[call.id] for call in calls)
    assert one is not two
    assert str(one) == str(two) == "m (s)"


def test_keepalive_shows_that_the_server_lives(bench: Bench) -> None:
    call = bench.call("run_code_request", 0)
    for now in range(1, 1000):
        bench.say("", "keepalive", {}, now)
        bench.core.expire(now)
    assert bench.types(call) == []
    assert bench.core.deadline() == 999 + SILENCE


def test_message_that_is_not_signed_shows_nothing(bench: Bench) -> None:
    bench.call("run_code_request", 0)
    _, frames = Wire(b"other").build("keepalive", {})
    bench.core.receive(frames, 9)
    assert bench.core.deadline() == SILENCE


def test_idle_client_waits_for_nothing(bench: Bench) -> None:
    assert bench.core.deadline() is None
    bench.core.expire(1e9)


def test_abandoned_run_is_cancelled_by_its_name(bench: Bench) -> None:
    call = bench.call("run_code_request")
    bench.say(call.id, "execution_queued", {"execution": {"id": "run_7"}})
    (frames,) = bench.core.abandon(call)
    assert bench._read(frames) == {"type": "cancel_request", "execution": "run_7"}
    assert bench.core.abandon(call) == []  # once
    bench.say(call.id, "run_code_reply", outcome())
    assert bench.types(call) == ["execution_queued"]
    assert bench.core.is_idle


def test_run_that_is_abandoned_early_is_cancelled_when_its_name_comes(
    bench: Bench,
) -> None:
    call = bench.call("run_code_request")
    assert bench.core.abandon(call) == []
    content = {"execution": {"id": "run_7"}}
    assert bench.say(call.id, "execution_queued", content) == [
        {"type": "cancel_request", "execution": "run_7"}
    ]
    assert bench.types(call) == []


def test_abandoned_run_that_has_ended_is_left_alone(bench: Bench) -> None:
    call = bench.call("run_code_request")
    bench.say(call.id, "run_code_reply", outcome())
    assert bench.core.abandon(call) == []


@pytest.mark.parametrize("kind", ["attach_request", "get_context_request"])
def test_other_abandoned_calls_are_forgotten(bench: Bench, kind: str) -> None:
    call = bench.call(kind)
    assert bench.core.abandon(call) == []
    assert bench.core.is_idle


def test_events_of_a_watch_come_after_its_reply(bench: Bench) -> None:
    call = bench.call("watch_context_request")
    bench.say(call.id, "watch_context_reply", {"status": "ok"})
    bench.say(call.id, "stream", {})
    assert bench.types(call) == ["watch_context_reply", "stream"]
    assert bench.core.deadline() is None  # it need not say anything
    bench.core.fail(ConnectionLost("m"))
    assert bench.types(call)[-1] == "CONNECTION_LOST"


def test_refused_watch_is_over(bench: Bench) -> None:
    call = bench.call("watch_context_request")
    bench.say(call.id, "watch_context_reply", {"status": "error", "code": "X"})
    assert bench.core.is_idle


@pytest.mark.parametrize("content", [{}, {"execution": []}, {"execution": {"id": 5}}])
def test_odd_name_of_an_execution_is_none(bench: Bench, content: Any) -> None:
    call = bench.call("run_code_request")
    bench.say(call.id, "execution_queued", content)
    assert bench.core.abandon(call) == []
