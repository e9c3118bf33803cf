# SPDX-License-Identifier: MIT
"""What a client does, written once for threads and for asyncio.

An operation is a generator. It yields what is to be waited for (a ticket, or a callback
of the user's) and is sent what came of it; a driver of a few lines does the waiting.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Callable, TypeVar, Union

from ._core import Call, Item
from ._errors import CellwallError, ProtocolError, refusal
from ._events import (
    Display,
    ErrorEvent,
    Event,
    InputRequest,
    ResultEvent,
    Stderr,
    Stdout,
    parse_event,
)
from ._execution import Execution, ExecutionError, Result
from ._fields import Fields
from ._link import Link
from ._models import (
    Completeness,
    Completions,
    ContextInfo,
    ContextState,
    ExecutionInfo,
    FileInfo,
    Inspection,
    JupyterConnection,
    ServerInfo,
)
from ._wire import Message

if TYPE_CHECKING:
    from typing_extensions import Literal, TypedDict

    class RunOptions(TypedDict, total=False):
        """What a run may be given beside its code; see docs/agent-protocol.md.

        env: environment variables for this run alone.
        on_timeout: `interrupt` (keeps the variables if it can) or `restart`.
        on_disconnect: `interrupt` or `continue`, when this client vanishes.
        reject_if_busy: ContextBusy instead of a wait.
        allow_stdin: the code may ask for input.
        store_history: count it, and keep the result as `_`.
        silent: no result, not counted.
        stop_on_error: when it fails, what then waits is refused.
        user_expressions: evaluated after the code.
        """

        env: Mapping[str, str]
        on_timeout: Literal["interrupt", "restart"]
        on_disconnect: Literal["interrupt", "continue"]
        reject_if_busy: bool
        allow_stdin: bool
        store_history: bool
        silent: bool
        stop_on_error: bool
        user_expressions: Mapping[str, str]

else:
    RunOptions = dict

RUN_OPTIONS = frozenset(
    {
        "env",
        "on_timeout",
        "on_disconnect",
        "reject_if_busy",
        "allow_stdin",
        "store_history",
        "silent",
        "stop_on_error",
        "user_expressions",
    }
)
CHUNK_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


class Ticket:
    """A request under way; a driver's subclass can wait for its next item."""

    call: Call


@dataclass(frozen=True)
class Invoke:
    """A callback of the user's, to be called with ARGUMENT."""

    function: Callable[[Any], Any]
    argument: Any


Effect = Union[Ticket, Invoke]
Operation = Generator[Effect, Any, T]


class Port:
    """How operations reach the link; a driver's subclass makes the tickets."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.watched: set[str] = set()

    def prepare(
        self,
        kind: str,
        content: dict[str, Any],
        buffers: Sequence[bytes] = (),
        *,
        wants_events: bool = True,
    ) -> Ticket:
        """A request that is not sent yet: who sends it must be able to abandon it, for a
        Ctrl-C may come as soon as it is on its way."""
        raise NotImplementedError

    def begin(self, ticket: Ticket) -> None:
        self.link.begin(ticket.call)

    def abandon(self, ticket: Ticket) -> None:
        self.link.abandon(ticket.call)

    def send_input(self, execution: str, value: str) -> None:
        self.link.send("input_reply", {"value": value, "execution": execution})


class Handle:
    """A context as this client knows it: what `Context` and `AsyncContext` share."""

    def __init__(self, info: ContextInfo) -> None:
        self.info = info
        self._epoch = info.epoch

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def epoch(self) -> int:
        """The interpreter that is meant. A run that was told to have lost the variables,
        `restart` and `refresh` move it on; else a fresh one is a StaleContext."""
        return self._epoch

    @property
    def name(self) -> str | None:
        return self.info.name

    @property
    def language(self) -> str:
        return self.info.language

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<{type(self).__name__} {self.id}{name}, {self.language}>"

    def _learn(self, info: ContextInfo) -> None:
        self.info = info
        self._epoch = info.epoch

    def _ran(self, state: ContextState) -> None:
        if state.id == self.id:
            self._epoch = state.epoch


ContextLike = Union[str, Handle]


def handle_of(context: ContextLike) -> str | dict[str, Any]:
    if isinstance(context, Handle):
        return {"id": context.id, "epoch": context.epoch}
    return context


def name_of(context: ContextLike) -> str:
    """For requests that mean the context, whatever has become of its variables."""
    return context.id if isinstance(context, Handle) else context


# Requests with one answer.


def _reply(item: Item) -> Message:
    if isinstance(item, CellwallError):
        raise item
    if item.content.get("status") == "error" and "code" in item.content:
        raise refusal(item.content)
    return item


def ask(
    port: Port, kind: str, content: dict[str, Any], buffers: Sequence[bytes] = ()
) -> Operation[Message]:
    """The reply to a request, which may be refused."""
    ticket = port.prepare(kind, content, buffers)
    try:
        port.begin(ticket)
        while True:
            item: Item = yield ticket
            if isinstance(item, CellwallError) or item.type == ticket.call.reply_type:
                return _reply(item)
    except BaseException:
        port.abandon(ticket)
        raise


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def server_info(port: Port) -> Operation[ServerInfo]:
    reply = yield from ask(port, "server_info_request", {})
    return ServerInfo.parse(reply.content)


def create_context(port: Port, **members: Any) -> Operation[ContextInfo]:
    content = _without_none(**members)
    reply = yield from ask(port, "create_context_request", content)
    return ContextInfo.parse(reply.content.get("context"))


def list_contexts(
    port: Port, labels: Mapping[str, str] | None
) -> Operation[list[ContextInfo]]:
    content = _without_none(labels=labels)
    reply = yield from ask(port, "list_contexts_request", content)
    contexts = Fields(reply.content, reply.type).array("contexts")
    return [ContextInfo.parse(item) for item in contexts]


def get_context(port: Port, context: ContextLike) -> Operation[ContextInfo]:
    content = {"context": name_of(context)}
    reply = yield from ask(port, "get_context_request", content)
    return ContextInfo.parse(reply.content.get("context"))


def list_executions(port: Port, context: ContextLike) -> Operation[list[ExecutionInfo]]:
    content = {"context": name_of(context)}
    reply = yield from ask(port, "get_context_request", content)
    executions = Fields(reply.content, reply.type).array("executions", [])
    return [ExecutionInfo.parse(item) for item in executions]


def delete_context(port: Port, context: ContextLike) -> Operation[None]:
    yield from ask(port, "delete_context_request", {"context": name_of(context)})


def restart_context(port: Port, context: ContextLike) -> Operation[ContextInfo]:
    content = {"context": name_of(context)}
    reply = yield from ask(port, "restart_context_request", content)
    return ContextInfo.parse(reply.content.get("context"))


def interrupt_context(port: Port, context: ContextLike, force: bool) -> Operation[bool]:
    content: dict[str, Any] = {"context": handle_of(context)}
    if force:
        content["force"] = True
    reply = yield from ask(port, "interrupt_context_request", content)
    return bool(Fields(reply.content, reply.type).boolean("interrupted"))


def complete(
    port: Port, context: ContextLike, code: str, cursor_pos: int | None
) -> Operation[Completions]:
    cursor_pos = len(code) if cursor_pos is None else cursor_pos
    content = {"context": handle_of(context), "code": code, "cursor_pos": cursor_pos}
    reply = yield from ask(port, "complete_request", content)
    return Completions.parse(reply.content)


def inspect(
    port: Port, context: ContextLike, code: str, cursor_pos: int | None, level: int
) -> Operation[Inspection]:
    content = {
        "context": handle_of(context),
        "code": code,
        "cursor_pos": len(code) if cursor_pos is None else cursor_pos,
        "detail_level": level,
    }
    reply = yield from ask(port, "inspect_request", content)
    return Inspection.parse(reply.content)


def is_complete(port: Port, context: ContextLike, code: str) -> Operation[Completeness]:
    content = {"context": handle_of(context), "code": code}
    reply = yield from ask(port, "is_complete_request", content)
    return Completeness.parse(reply.content)


def open_jupyter(port: Port, context: ContextLike) -> Operation[JupyterConnection]:
    content = {"context": name_of(context)}
    reply = yield from ask(port, "open_jupyter_request", content)
    return JupyterConnection.parse(reply.content)


def close_jupyter(port: Port, context: ContextLike) -> Operation[None]:
    yield from ask(port, "close_jupyter_request", {"context": name_of(context)})


# Runs.


@dataclass(frozen=True)
class Callbacks:
    """What the user wants to be told while code runs."""

    on_stdout: Callable[[Stdout], Any] | None = None
    on_stderr: Callable[[Stderr], Any] | None = None
    on_result: Callable[[Result], Any] | None = None
    on_error: Callable[[ExecutionError], Any] | None = None
    on_input: Callable[[InputRequest], Any] | None = None
    on_event: Callable[[Event], Any] | None = None

    @property
    def are_none(self) -> bool:
        return all(function is None for function in vars(self).values())

    def of(self, event: Event) -> list[Invoke]:
        found: list[tuple[Callable[[Any], Any] | None, Any]] = [(self.on_event, event)]
        if isinstance(event, Stdout):
            found.append((self.on_stdout, event))
        elif isinstance(event, Stderr):
            found.append((self.on_stderr, event))
        elif isinstance(event, (Display, ResultEvent)):
            found.append((self.on_result, event.result))
        elif isinstance(event, ErrorEvent):
            found.append((self.on_error, event.error))
        return [Invoke(function, about) for function, about in found if function]


class Run:
    """An execution that this client follows: its events, then its outcome."""

    def __init__(self, port: Port, ticket: Ticket, context: Handle | None) -> None:
        self._port = port
        self._ticket = ticket
        self._context = context
        self._is_begun = False
        self.is_over = False
        self.execution: Execution | None = None
        self.id = ""

    def begin(self) -> Run:
        self._is_begun = True
        try:
            self._port.begin(self._ticket)
            return self
        except BaseException:
            self.abandon()
            raise

    def next(self) -> Operation[Event | None]:
        """The next event; None: there are no more, and `execution` is there."""
        try:
            while not self.is_over:
                item: Item = yield self._ticket
                event = self._take(item)
                if event is not None:
                    return event
        except BaseException:
            self.abandon()
            raise
        return None

    def _take(self, item: Item) -> Event | None:
        if isinstance(item, Message) and item.type != self._ticket.call.reply_type:
            event = parse_event(item, self._port.send_input)
            if event is not None:
                self.id = self.id or event.execution_id
            return event
        self.is_over = True
        self.execution = Execution.parse(_reply(item).content)
        self.id = self.execution.id or self.id
        if self._context is not None:
            self._context._ran(self.execution.context)
        return None

    def follow(self, callbacks: Callbacks) -> Operation[Execution]:
        """Sends what was not sent yet, tells CALLBACKS what happens, and returns the
        outcome."""
        try:
            if not self._is_begun:
                self.begin()
            while True:
                event = yield from self.next()
                if event is None:
                    break
                yield from callbacks.of(event)
                if isinstance(event, InputRequest) and callbacks.on_input:
                    event.reply(str((yield Invoke(callbacks.on_input, event))))
        except BaseException:
            self.abandon()
            raise
        assert self.execution is not None
        return self.execution

    def abandon(self) -> None:
        """Nobody follows it any more. Code that this very request runs is interrupted."""
        if not self.is_over:
            self.is_over = True
            self._port.abandon(self._ticket)

    def __del__(self) -> None:
        self.abandon()


def _run_content(
    code: str,
    language: str | None,
    context: ContextLike | None,
    timeout: float | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    unknown = set(options) - RUN_OPTIONS
    if unknown:
        raise TypeError(f"a run has no option {', '.join(sorted(unknown))}")
    if language is not None and context is not None:
        raise TypeError("a run has a language or a context, not both: a context has one")
    content: dict[str, Any] = {"code": code, **_without_none(**options)}
    if context is not None:
        content["context"] = handle_of(context)
    elif language is not None:
        content["language"] = language
    if timeout is not None:
        content["timeout_ms"] = max(1, round(timeout * 1000)) if timeout else 0
    return content


def make_run(
    port: Port,
    code: str,
    language: str | None,
    context: ContextLike | None,
    timeout: float | None,
    options: Mapping[str, Any],
    *,
    wants_events: bool = True,
) -> Run:
    """Not sent yet. Always as a stream: its first event has the execution's name, by
    which exactly this run can be cancelled."""
    content = _run_content(code, language, context, timeout, options)
    ticket = port.prepare(
        "run_code_request", {**content, "stream": True}, wants_events=wants_events
    )
    return Run(port, ticket, context if isinstance(context, Handle) else None)


def run_code(
    port: Port,
    code: str,
    language: str | None,
    context: ContextLike | None,
    timeout: float | None,
    callbacks: Callbacks,
    options: Mapping[str, Any],
) -> Operation[Execution]:
    if callbacks.on_input is not None:
        options = {"allow_stdin": True, **options}
    wants_events = not callbacks.are_none
    run = make_run(
        port, code, language, context, timeout, options, wants_events=wants_events
    )
    return (yield from run.follow(callbacks))


def detach(
    port: Port,
    code: str,
    language: str | None,
    context: ContextLike | None,
    timeout: float | None,
    options: Mapping[str, Any],
) -> Operation[ExecutionInfo]:
    content = _run_content(code, language, context, timeout, options)
    reply = yield from ask(port, "run_code_request", {**content, "detach": True})
    return ExecutionInfo.parse(reply.content.get("execution"))


# Executions that are known by their id.


def begin_attach(port: Port, execution: str, after_seq: int) -> Run:
    content = {"execution": execution, "after_seq": after_seq}
    return Run(port, port.prepare("attach_request", content), None).begin()


def wait_for(port: Port, execution: str) -> Operation[Execution]:
    content = {"execution": execution, "stream": False}
    reply = yield from ask(port, "attach_request", content)
    return Execution.parse(reply.content)


def execution_status(port: Port, execution: str) -> Operation[ExecutionInfo]:
    content = {"execution": execution, "stream": False, "wait": False}
    reply = yield from ask(port, "attach_request", content)
    if "execution" in reply.content:
        return ExecutionInfo.parse(reply.content["execution"])
    done = Execution.parse(reply.content)
    return ExecutionInfo(execution, done.context.id, done.context.epoch, "done")


def cancel(port: Port, execution: str, force: bool) -> Operation[str]:
    content: dict[str, Any] = {"execution": execution}
    if force:
        content["force"] = True
    reply = yield from ask(port, "cancel_request", content)
    return str(Fields(reply.content, reply.type).text("was"))


class Watching:
    """The events of what others run in a context."""

    def __init__(self, port: Port, context: ContextLike) -> None:
        self._port = port
        self._context = name_of(context)
        self._ticket: Ticket | None = None
        self._is_closed = False

    def next(self) -> Operation[Event | None]:
        """The next event; None: it was closed."""
        ticket = yield from self.begin()
        while not self._is_closed:
            item: Item = yield ticket
            if isinstance(item, Message) and item.type != ticket.call.reply_type:
                event = parse_event(item, self._port.send_input)
                if event is not None:
                    return event
            elif not self._is_closed:
                _reply(item)
        return None

    def begin(self) -> Operation[Ticket]:
        """Asks for the events; when it returns, none is missed any more."""
        if self._ticket is not None:
            return self._ticket
        if self._context in self._port.watched:
            raise CellwallError(f"this client watches {self._context} already")
        content = {"context": self._context}
        ticket = self._port.prepare("watch_context_request", content)
        try:
            self._port.begin(ticket)
            item: Item = yield ticket
            while isinstance(item, Message) and item.type != ticket.call.reply_type:
                item = yield ticket
            _reply(item)
        except BaseException:
            self._port.abandon(ticket)
            raise
        self._port.watched.add(self._context)
        self._ticket = ticket
        return ticket

    def close(self) -> Operation[None]:
        """Ends the events."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._ticket is not None:
            self._port.abandon(self._ticket)
            self._ticket.call.deliver(CellwallError("closed"))  # wakes who waits
            self._port.watched.discard(self._context)
            content = {"context": self._context, "on": False}
            yield from ask(self._port, "watch_context_request", content)


# Files.

Source = Union[bytes, bytearray, memoryview, str, IO[bytes]]


def write_file(
    port: Port, context: ContextLike, path: str, data: Source, mode: str
) -> Operation[int]:
    """Writes DATA in pieces that fit into messages. Returns the file's size."""
    if isinstance(data, str):
        data = data.encode("utf-8")
    source: IO[bytes]
    is_bytes = isinstance(data, (bytes, bytearray, memoryview))
    source = io.BytesIO(data) if is_bytes else data  # type: ignore[arg-type,assignment]
    members: dict[str, Any] = {"context": name_of(context), "path": path, "mode": mode}
    size = -1
    while True:
        chunk = source.read(CHUNK_BYTES)
        if not chunk and size >= 0:
            return size
        reply = yield from ask(port, "write_file_request", members, [chunk])
        size = Fields(reply.content, reply.type).integer("size")
        members.update(mode="at", offset=size)


def read_file(
    port: Port, context: ContextLike, path: str, offset: int, length: int | None
) -> Operation[bytes]:
    """LENGTH bytes of a file from OFFSET on, or fewer at its end; None: all."""
    pieces: list[bytes] = []
    left = length
    while left is None or left > 0:
        content = {
            "context": name_of(context),
            "path": path,
            "offset": offset,
            "length": CHUNK_BYTES if left is None else min(left, CHUNK_BYTES),
        }
        reply = yield from ask(port, "read_file_request", content)
        if len(reply.buffers) != 1:
            raise ProtocolError("read_file_reply has no buffer")
        pieces.append(reply.buffers[0])
        offset += len(pieces[-1])
        left = None if left is None else left - len(pieces[-1])
        if Fields(reply.content, reply.type).boolean("eof") or not pieces[-1]:
            break
    return b"".join(pieces)


def list_files(
    port: Port, context: ContextLike, path: str, recursive: bool
) -> Operation[list[FileInfo]]:
    content: dict[str, Any] = {"context": name_of(context), "path": path}
    if recursive:
        content["recursive"] = True
    reply = yield from ask(port, "list_files_request", content)
    entries = Fields(reply.content, reply.type).array("entries")
    return [FileInfo.parse(item) for item in entries]


def remove_file(
    port: Port, context: ContextLike, path: str, recursive: bool
) -> Operation[None]:
    content: dict[str, Any] = {"context": name_of(context), "path": path}
    if recursive:
        content["recursive"] = True
    yield from ask(port, "remove_file_request", content)


def make_directory(port: Port, context: ContextLike, path: str) -> Operation[None]:
    content = {"context": name_of(context), "path": path}
    yield from ask(port, "make_directory_request", content)
