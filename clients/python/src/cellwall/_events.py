# SPDX-License-Identifier: MIT
"""What happens while code runs, one class for each kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Callable

from ._errors import ProtocolError
from ._execution import ExecutionError, Result
from ._fields import Fields
from ._models import ExecutionInfo
from ._wire import Message


@dataclass(frozen=True)
class Event:
    """Base of all events.

    Attributes:
        seq: 1, 2, ... without gaps within an execution; 0 when it has none.
        execution_id, context_id, epoch: where it happened.
    """

    seq: int
    execution_id: str
    context_id: str
    epoch: int


@dataclass(frozen=True)
class Queued(Event):
    """The server has taken the code; `execution.position` are before it."""

    execution: ExecutionInfo


@dataclass(frozen=True)
class Status(Event):
    """The interpreter is `busy` with the code, or `idle` again."""

    state: str


@dataclass(frozen=True)
class Input(Event):
    """The code begins to run."""

    code: str
    execution_count: int


@dataclass(frozen=True)
class _Text(Event):
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Stdout(_Text):
    """Text that was written to stdout."""


@dataclass(frozen=True)
class Stderr(_Text):
    """Text that was written to stderr."""


@dataclass(frozen=True)
class _HasResult(Event):
    result: Result


@dataclass(frozen=True)
class Display(_HasResult):
    """Something was displayed."""


@dataclass(frozen=True)
class UpdateDisplay(_HasResult):
    """What was displayed with this `result.display_id` is this from now on."""


@dataclass(frozen=True)
class ResultEvent(_HasResult):
    """The value of the last expression."""


@dataclass(frozen=True)
class ClearOutput(Event):
    """All output so far is to be removed; with `wait` when the next one comes."""

    wait: bool


@dataclass(frozen=True)
class ErrorEvent(Event):
    """The code raised an exception."""

    error: ExecutionError


@dataclass(frozen=True)
class InputRequest(Event):
    """The code waits for a line of text: answer with `reply`."""

    prompt: str
    password: bool
    _send: Callable[[str], None] = field(repr=False, compare=False)

    def reply(self, value: str) -> None:
        """Answers with VALUE, without a newline. "\\x04" is the end of the input."""
        self._send(value)


def parse_event(message: Message, send_input: Callable[[str, str], None]) -> Event | None:
    """The event that MESSAGE is; None: of a kind that this package does not know.
    SEND_INPUT sends an answer (execution, value). ProtocolError: it is malformed."""
    parser = _PARSERS.get(message.type)
    if parser is None and message.type != "input_request":
        return None
    ours = message.metadata.get("cellwall")
    where = Fields(ours if isinstance(ours, dict) else {}, "metadata.cellwall")
    execution = where.text("execution", "")
    head = (
        where.integer("seq", 0),
        execution,
        where.text("context", ""),
        where.integer("epoch", 0),
    )
    fields = Fields(message.content, message.type)
    if parser is not None:
        return parser(head, fields)
    prompt, password = fields.text("prompt", ""), fields.boolean("password", False)
    return InputRequest(*head, prompt, password, partial(send_input, execution))


_Head = tuple[int, str, str, int]


def _parse_stream(head: _Head, fields: Fields) -> Event:
    name, text = fields.text("name"), fields.text("text")
    if name not in ("stdout", "stderr"):
        raise ProtocolError(f"there is no stream {name!r:.100}")
    return Stdout(*head, text) if name == "stdout" else Stderr(*head, text)


def _parse_queued(head: _Head, fields: Fields) -> Event:
    return Queued(*head, ExecutionInfo.parse(fields.object("execution")))


def _parse_input(head: _Head, fields: Fields) -> Event:
    return Input(*head, fields.text("code", ""), fields.integer("execution_count", 0))


_PARSERS: dict[str, Callable[[_Head, Fields], Event]] = {
    "execution_queued": _parse_queued,
    "status": lambda head, f: Status(*head, f.text("execution_state")),
    "execute_input": _parse_input,
    "stream": _parse_stream,
    "display_data": lambda head, f: Display(
        *head, Result.parse(f.all, is_main_result=False)
    ),
    "update_display_data": lambda head, f: UpdateDisplay(
        *head, Result.parse(f.all, is_main_result=False)
    ),
    "execute_result": lambda head, f: ResultEvent(
        *head, Result.parse(f.all, is_main_result=True)
    ),
    "clear_output": lambda head, f: ClearOutput(*head, f.boolean("wait", False)),
    "error": lambda head, f: ErrorEvent(*head, ExecutionError.parse(f.all)),
}
