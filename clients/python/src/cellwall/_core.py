# SPDX-License-Identifier: MIT
"""The state of one connection: which requests wait, and what a message means for them.

No I/O, no clock and no locks: whoever owns the socket owns this, hands in what has come
and the time, and sends what is returned.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Callable, Union

from ._errors import CellwallError, ConnectionLost, ProtocolError
from ._wire import Message, Wire

Item = Union[Message, CellwallError]
"""What a call is told: an event, its reply, or why there will be none."""

Frames = list[bytes]


class Call:
    """One request, and whoever waits for what it leads to.

    DELIVER is called by the owner of the socket, with each item in order; without
    WANTS_EVENTS with the last one only.
    """

    def __init__(
        self,
        kind: str,
        id: str,
        frames: Frames,
        deliver: Callable[[Item], None],
        *,
        wants_events: bool = True,
    ) -> None:
        self.id = id
        self.frames = frames
        self.deliver = deliver
        self._wants_events = wants_events
        self.reply_type = kind[: -len("request")] + "reply"
        self.runs_code = kind == "run_code_request"
        self.lasts = kind == "watch_context_request"  # events come after the reply
        self.execution = ""
        self.is_answered = False
        self.is_abandoned = False
        self.waits_since = 0.0

    def wants(self, message: Message) -> bool:
        """Whether somebody is to be woken up for MESSAGE."""
        is_reply = message.type == self.reply_type
        return not self.is_abandoned and (is_reply or self._wants_events)


class Core:
    """All calls of one connection."""

    def __init__(self, wire: Wire, silence_max: float) -> None:
        self._wire = wire
        self._silence_max = silence_max
        self._calls: dict[str, Call] = {}
        self._heard = 0.0

    @property
    def wire(self) -> Wire:
        return self._wire

    def begin(self, call: Call, now: float) -> None:
        """CALL's frames are being sent."""
        call.waits_since = now
        self._calls[call.id] = call

    def receive(self, frames: Sequence[bytes], now: float) -> list[Frames]:
        """Hands a message to the call that it belongs to. Returns what is to be sent."""
        try:
            message = self._wire.parse(frames)
        except ProtocolError:
            return []  # not the server's, as far as anybody can tell
        self._heard = now
        call = self._calls.get(message.parent_id)
        if call is None:
            return []  # a keepalive, or late
        to_send = []
        if message.type == "execution_queued" and call.runs_code:
            call.execution = _execution_of(message)
            if call.is_abandoned:
                to_send = self._cancel(call)
        if message.type == call.reply_type:
            call.is_answered = True
            if not call.lasts or message.content.get("status") != "ok":
                del self._calls[call.id]
        if call.wants(message):
            call.deliver(message)
        return to_send

    def abandon(self, call: Call) -> list[Frames]:
        """Nobody waits for CALL any more. Code that it runs is to be interrupted, or
        never begun: at once, or when the server has told its name."""
        if self._calls.get(call.id) is not call or call.is_abandoned:
            return []
        call.is_abandoned = True
        if call.lasts or not call.runs_code:
            del self._calls[call.id]
            return []
        return self._cancel(call) if call.execution else []

    def _cancel(self, call: Call) -> list[Frames]:
        return [self._wire.build("cancel_request", {"execution": call.execution})[1]]

    def deadline(self) -> float | None:
        """When the server will have been silent for too long; None: nobody waits."""
        calls = self._calls.values()
        since = [call.waits_since for call in calls if not call.is_answered]
        return max(min(since), self._heard) + self._silence_max if since else None

    def expire(self, now: float) -> None:
        """Fails all calls when the deadline is over."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            self.fail(
                ConnectionLost(
                    f"the server has been silent for {self._silence_max:g} s",
                    suggestion="it may be stopped or overloaded, or the network is down",
                )
            )

    def fail(self, error: CellwallError) -> None:
        """Ends all calls with ERROR."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if not call.is_abandoned:
                call.deliver(copy.copy(error))  # each is raised elsewhere

    @property
    def is_idle(self) -> bool:
        return not self._calls


def _execution_of(message: Message) -> str:
    told: Any = message.content.get("execution")
    name = told.get("id") if isinstance(told, dict) else None
    return name if isinstance(name, str) else ""
