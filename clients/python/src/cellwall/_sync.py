# SPDX-License-Identifier: MIT
"""The client for threads. All that it does is in `_operations`."""

from __future__ import annotations

import os
import queue
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _operations as ops
from ._core import Item
from ._errors import CellwallError, ContextDeleted, ContextNotFound, ServerNotFound
from ._events import Event, InputRequest, Stderr, Stdout
from ._execution import Execution, ExecutionError, Result
from ._finding import ServerFile, find_server
from ._link import Link
from ._local import LocalServer
from ._models import (
    Completeness,
    Completions,
    ContextInfo,
    ExecutionInfo,
    FileInfo,
    Inspection,
    JupyterConnection,
    Limits,
    ServerInfo,
)

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._operations import ContextLike, RunOptions, Source

T = TypeVar("T")
_FileList = list[FileInfo]  # a class below has a method of that name


class _Ticket(ops.Ticket):
    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self.put = self._items.put

    def wait(self) -> Item:
        while True:
            try:
                # A Ctrl-C just before the wait begins would be noticed at its end only.
                return self._items.get(timeout=1.0)
            except queue.Empty:
                pass


class _Port(ops.Port):
    def prepare(
        self,
        kind: str,
        content: dict[str, Any],
        buffers: Sequence[bytes] = (),
        *,
        wants_events: bool = True,
    ) -> _Ticket:
        ticket = _Ticket()
        ticket.call = self.link.prepare(
            kind, content, buffers, deliver=ticket.put, wants_events=wants_events
        )
        return ticket


def _perform(effect: ops.Effect) -> Any:
    if isinstance(effect, ops.Invoke):
        return effect.function(effect.argument)
    assert isinstance(effect, _Ticket)
    return effect.wait()


def drive(operation: ops.Operation[T]) -> T:
    """Does OPERATION in this thread."""
    try:
        effect = next(operation)
        while True:
            try:
                answer = _perform(effect)
            except BaseException as error:
                effect = operation.throw(error)
            else:
                effect = operation.send(answer)
    except StopIteration as stop:
        value: T = stop.value
        return value
    except BaseException:
        operation.close()  # Ctrl-C may come between its steps, and keep it alive
        raise


class Client:
    """A connection to a server, for any number of threads at once.

    SERVER is the path of a server.json; else the file that `CELLWALL_SERVER` names, or
    that of this user's own server. A server that is silent for REQUEST_TIMEOUT seconds
    while something is waited for is a ConnectionLost; code may run for as long as it may.

    Raises ServerNotFound.
    """

    def __init__(
        self,
        server: str | os.PathLike[str] | ServerFile | None = None,
        *,
        request_timeout: float = 30.0,
    ) -> None:
        file = server if isinstance(server, ServerFile) else find_server(server)
        self._link = Link(file, request_timeout)
        self._port = _Port(self._link)
        self._local: LocalServer | None = None
        self._end = weakref.finalize(self, self._link.close)

    def close(self) -> None:
        """Ends the connection, and a server that `local` has started. What others run and
        contexts stay. May be repeated."""
        self._end()
        if self._local is not None:
            self._local.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server_file(self) -> ServerFile:
        """Where the server was found."""
        return self._link.server

    @property
    def server_log(self) -> list[str]:
        """The last lines that a server of `local` has logged; else none."""
        return self._local.log if self._local is not None else []

    def server_info(self) -> ServerInfo:
        """What the server is and allows."""
        return drive(ops.server_info(self._port))

    # Contexts.

    def create_context(
        self,
        language: str = "python",
        *,
        name: str | None = None,
        if_exists: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        limits: Limits | Mapping[str, float] | None = None,
        network: str | None = None,
        labels: Mapping[str, str] | None = None,
        idle_timeout: float | None = None,
        workspace: str | None = None,
        runtime: str | None = None,
        jupyter: bool | None = None,
    ) -> Context:
        """Starts an interpreter. As a context manager it is deleted at the end.

        Args:
            language: one of `server_info().languages`.
            name: by which it can be found again; IF_EXISTS `"use"` does so here.
            cwd: its working directory, within the workspace.
            env: environment variables, from its start on.
            limits: see `Limits`; those that are missing are the server's.
            network: `"none"` or `"host"`.
            labels: for `list_contexts`.
            idle_timeout: seconds without use after which it is deleted; 0: never.
            workspace: a name: contexts with the same one share their files.
            runtime: where several have the language.
            jupyter: open a Jupyter endpoint at once.

        Raises LanguageNotFound, NameTaken, LimitTooHigh, QuotaExceeded, StartFailed.
        """
        operation = ops.create_context(
            self._port,
            language=language,
            name=name,
            if_exists=if_exists,
            cwd=cwd,
            env=env,
            limits=limits,
            network=network,
            labels=labels,
            idle_timeout_s=idle_timeout,
            workspace=workspace,
            runtime=runtime,
            jupyter=jupyter,
        )
        return Context(self, drive(operation))

    def list_contexts(self, labels: Mapping[str, str] | None = None) -> list[Context]:
        """This owner's contexts; with LABELS those that have all of them."""
        found = drive(ops.list_contexts(self._port, labels))
        return [Context(self, info) for info in found]

    def get_context(self, context: ContextLike) -> Context:
        """The context of this id or name. Raises ContextNotFound."""
        return Context(self, drive(ops.get_context(self._port, context)))

    def delete_context(self, context: ContextLike) -> None:
        """Ends a context and what runs in it; returns when it is gone."""
        drive(ops.delete_context(self._port, context))

    # Code.

    def run_code(
        self,
        code: str,
        language: str | None = None,
        *,
        context: ContextLike | None = None,
        timeout: float | None = None,
        on_stdout: Callable[[Stdout], Any] | None = None,
        on_stderr: Callable[[Stderr], Any] | None = None,
        on_result: Callable[[Result], Any] | None = None,
        on_error: Callable[[ExecutionError], Any] | None = None,
        on_input: Callable[[InputRequest], str] | None = None,
        on_event: Callable[[Event], Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> Execution:
        """Runs code to its end: in CONTEXT, else in the default context of LANGUAGE.

        Neither an exception of the code nor the end of TIMEOUT (seconds of the run
        itself; 0: the longest that the server allows) is an exception here: see
        `Execution`. Ctrl-C interrupts the code on the server, too. The callbacks are
        called while the code runs, in this thread; ON_INPUT returns the answer to a
        question of the code.
        OPTIONS are those of `RunOptions`, such as `env`.

        Raises RefusedError (StaleContext, QueueFull, ContextDeleted, ...) and
        ConnectionLost.
        """
        callbacks = ops.Callbacks(
            on_stdout, on_stderr, on_result, on_error, on_input, on_event
        )
        return drive(
            ops.run_code(self._port, code, language, context, timeout, callbacks, options)
        )

    def stream(
        self,
        code: str,
        language: str | None = None,
        *,
        context: ContextLike | None = None,
        timeout: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Stream:
        """As `run_code`, but the events are iterated over; `execution` is there at the
        end. A stream that is closed or dropped before its end interrupts the code."""
        return Stream(
            ops.make_run(self._port, code, language, context, timeout, options).begin()
        )

    def detach(
        self,
        code: str,
        language: str | None = None,
        *,
        context: ContextLike | None = None,
        timeout: float | None = None,
        **options: Unpack[RunOptions],
    ) -> Job:
        """Has code run without this client: it may end, and come back with `attach`."""
        info = drive(ops.detach(self._port, code, language, context, timeout, options))
        return Job(self, info)

    def attach(self, execution_id: str) -> Job:
        """An execution that was begun earlier, here or elsewhere. ExecutionNotFound."""
        return Job(self, drive(ops.execution_status(self._port, execution_id)))


class Stream:
    """The events of a run, in order. Iterate to its end, or use it in a `with`."""

    def __init__(self, run: ops.Run) -> None:
        self._run = run

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = drive(self._run.next())
        if event is None:
            raise StopIteration
        return event

    @property
    def id(self) -> str:
        """The execution's name; empty before its first event."""
        return self._run.id

    @property
    def execution(self) -> Execution:
        """The outcome, once the stream has ended."""
        if self._run.execution is None:
            raise CellwallError("the stream has not come to the end of the run")
        return self._run.execution

    def finish(self) -> Execution:
        """Reads what is left of the stream, and returns the outcome."""
        for _ in self:
            pass
        return self.execution

    def close(self) -> None:
        """Follows the run no longer: code that `stream` has begun is interrupted."""
        self._run.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Job:
    """An execution that does not need this client; `info` is what was last known."""

    def __init__(self, client: Client, info: ExecutionInfo) -> None:
        self._client = client
        self.info = info

    @property
    def id(self) -> str:
        return self.info.id

    def __repr__(self) -> str:
        return f"<Job {self.id}, {self.info.state}>"

    def wait(self) -> Execution:
        """The outcome, when there is one. Raises Cancelled, ExecutionNotFound."""
        return drive(ops.wait_for(self._client._port, self.id))

    def stream(self, after_seq: int = 0) -> Stream:
        """The events from the one after AFTER_SEQ on, then the live ones. Closing this
        stream does not interrupt the code."""
        return Stream(ops.begin_attach(self._client._port, self.id, after_seq))

    def status(self) -> ExecutionInfo:
        """Whether it is `queued`, `running` or `done`, without a wait."""
        self.info = drive(ops.execution_status(self._client._port, self.id))
        return self.info

    def cancel(self, *, force: bool = False) -> str:
        """Takes it from the queue or interrupts it, with FORCE in any case. Returns what
        it was: `queued`, `running` or `done`."""
        return drive(ops.cancel(self._client._port, self.id, force))


class Watch:
    """The events of what others run in a context. Use it in a `with`, or close it."""

    def __init__(self, port: _Port, context: ContextLike) -> None:
        self._watching = ops.Watching(port, context)
        drive(self._watching.begin())

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = drive(self._watching.next())
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        drive(self._watching.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Files:
    """The files of a context's workspace. Paths are relative to it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._port = context._client._port

    def write(self, path: str, data: Source, *, mode: str = "replace") -> int:
        """Writes DATA (bytes, text as UTF-8, or a file that is open for bytes) of any
        size. MODE: `replace`, `create` or `append`. Returns the size of the file. Raises
        NoSpace, FileExists, PathInvalid."""
        return drive(ops.write_file(self._port, self._context, path, data, mode))

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file, or LENGTH of them from OFFSET on. Raises FileNotFound."""
        return drive(ops.read_file(self._port, self._context, path, offset, length))

    def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """The text of a file."""
        return self.read(path).decode(encoding)

    def list(self, path: str = ".", *, recursive: bool = False) -> _FileList:
        """What a directory has, up to 10,000 entries."""
        return drive(ops.list_files(self._port, self._context, path, recursive))

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file, or a directory."""
        drive(ops.remove_file(self._port, self._context, path, recursive))

    def mkdir(self, path: str) -> None:
        """Makes a directory and those above it."""
        drive(ops.make_directory(self._port, self._context, path))


class Context(ops.Handle):
    """A persistent interpreter. As a context manager it is deleted at the end."""

    def __init__(self, client: Client, info: ContextInfo) -> None:
        super().__init__(info)
        self._client = client
        self.files = Files(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.delete()
        except (ContextNotFound, ContextDeleted):
            pass  # it has ended already
        except CellwallError:
            if error is None:
                raise

    def delete(self) -> None:
        """Ends it and what runs in it; returns when it is gone."""
        self._client.delete_context(self)

    def refresh(self) -> ContextInfo:
        """Asks for its present state, and accepts a fresh interpreter."""
        self._learn(drive(ops.get_context(self._client._port, self)))
        return self.info

    def executions(self) -> list[ExecutionInfo]:
        """What waits and runs in it, whoever began it."""
        return drive(ops.list_executions(self._client._port, self))

    def restart(self) -> None:
        """Gives it a fresh interpreter, without variables and with the same files."""
        self._learn(drive(ops.restart_context(self._client._port, self)))

    def interrupt(self, *, force: bool = False) -> bool:
        """Interrupts what runs; with FORCE the interpreter is ended if that does not
        help. Returns whether something ran."""
        return drive(ops.interrupt_context(self._client._port, self, force))

    def run_code(
        self,
        code: str,
        *,
        timeout: float | None = None,
        on_stdout: Callable[[Stdout], Any] | None = None,
        on_stderr: Callable[[Stderr], Any] | None = None,
        on_result: Callable[[Result], Any] | None = None,
        on_error: Callable[[ExecutionError], Any] | None = None,
        on_input: Callable[[InputRequest], str] | None = None,
        on_event: Callable[[Event], Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> Execution:
        """Runs code to its end, here; see `Client.run_code`."""
        return self._client.run_code(
            code,
            context=self,
            timeout=timeout,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
            on_result=on_result,
            on_error=on_error,
            on_input=on_input,
            on_event=on_event,
            **options,
        )

    def stream(
        self, code: str, *, timeout: float | None = None, **options: Unpack[RunOptions]
    ) -> Stream:
        """The events of a run, here; see `Client.stream`."""
        return self._client.stream(code, context=self, timeout=timeout, **options)

    def detach(
        self, code: str, *, timeout: float | None = None, **options: Unpack[RunOptions]
    ) -> Job:
        """Has code run without this client, here; see `Client.detach`."""
        return self._client.detach(code, context=self, timeout=timeout, **options)

    def complete(self, code: str, cursor_pos: int | None = None) -> Completions:
        """What can be written at CURSOR_POS, a count of characters; default: the end."""
        return drive(ops.complete(self._client._port, self, code, cursor_pos))

    def inspect(
        self, code: str, cursor_pos: int | None = None, detail_level: int = 0
    ) -> Inspection:
        """What is known of the name at CURSOR_POS."""
        port = self._client._port
        return drive(ops.inspect(port, self, code, cursor_pos, detail_level))

    def is_complete(self, code: str) -> Completeness:
        """Whether a person would want to write more lines."""
        return drive(ops.is_complete(self._client._port, self, code))

    def watch(self) -> Watch:
        """The events of what others run here, from now on: other clients, or a person in
        JupyterLab. One watch of a context for each client."""
        return Watch(self._client._port, self)

    def open_jupyter(self) -> JupyterConnection:
        """Lets Jupyter's front ends into this context. Raises NotAllowed."""
        return drive(ops.open_jupyter(self._client._port, self))

    def close_jupyter(self) -> None:
        """Ends what `open_jupyter` has begun."""
        drive(ops.close_jupyter(self._client._port, self))


def local(
    program: str | os.PathLike[str] | None = None,
    *,
    python: str | os.PathLike[str] | None = None,
    options: Sequence[str] = (),
    start_timeout: float = 60.0,
    request_timeout: float = 30.0,
) -> Client:
    """Starts a server that only this program uses, and that ends with the client or the
    program, in whatever way that ends.

    Args:
        program: the `cellwall` program; else what `CELLWALL_PROGRAM` names; else on PATH.
        python: the interpreter for Python code; else this one, if it has IPython.
        options: of `cellwall serve`, such as `["--config", "settings.json"]`.

    Raises ServerStartFailed.
    """
    server = LocalServer(program, python, options, start_timeout)
    file = server.start()
    try:
        client = Client(file, request_timeout=request_timeout)
    except BaseException:
        server.stop()
        raise
    client._local = server
    client._link.why_lost = server.why_lost
    return client


def connect(server: str | os.PathLike[str] | None = None, **local_options: Any) -> Client:
    """A client of the server that runs for this user; if there is none, of a server of
    `local`, with LOCAL_OPTIONS."""
    try:
        return Client(server)
    except ServerNotFound:
        if server is not None:
            raise
    return local(**local_options)
