# SPDX-License-Identifier: MIT
"""The client for asyncio. All that it does is in `_operations`."""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Generator, Mapping, Sequence
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
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Item] = asyncio.Queue()

    def put(self, item: Item) -> None:
        """For the link's thread."""
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            pass  # the loop is closed: nobody waits

    async def wait(self) -> Item:
        return await self._items.get()


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


async def _perform(effect: ops.Effect) -> Any:
    if isinstance(effect, ops.Invoke):
        value = effect.function(effect.argument)
        return await value if inspect.isawaitable(value) else value
    assert isinstance(effect, _Ticket)
    return await effect.wait()


async def drive(operation: ops.Operation[T]) -> T:
    """Does OPERATION in this task."""
    try:
        effect = next(operation)
        while True:
            try:
                answer = await _perform(effect)
            except BaseException as error:
                effect = operation.throw(error)
            else:
                effect = operation.send(answer)
    except StopIteration as stop:
        value: T = stop.value
        return value


class AsyncClient:
    """A connection to a server, for any number of tasks at once.

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

    async def close(self) -> None:
        """Ends the connection, and a server that `local` has started. What others run and
        contexts stay. May be repeated."""
        await asyncio.to_thread(self._end)
        if self._local is not None:
            await asyncio.to_thread(self._local.stop)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def server_file(self) -> ServerFile:
        """Where the server was found."""
        return self._link.server

    @property
    def server_log(self) -> list[str]:
        """The last lines that a server of `local` has logged; else none."""
        return self._local.log if self._local is not None else []

    async def server_info(self) -> ServerInfo:
        """What the server is and allows."""
        return await drive(ops.server_info(self._port))

    # Contexts.

    async def create_context(
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
    ) -> AsyncContext:
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
        return AsyncContext(self, await drive(operation))

    async def list_contexts(
        self, labels: Mapping[str, str] | None = None
    ) -> list[AsyncContext]:
        """This owner's contexts; with LABELS those that have all of them."""
        found = await drive(ops.list_contexts(self._port, labels))
        return [AsyncContext(self, info) for info in found]

    async def get_context(self, context: ContextLike) -> AsyncContext:
        """The context of this id or name. Raises ContextNotFound."""
        return AsyncContext(self, await drive(ops.get_context(self._port, context)))

    async def delete_context(self, context: ContextLike) -> None:
        """Ends a context and what runs in it; returns when it is gone."""
        await drive(ops.delete_context(self._port, context))

    # Code.

    async def run_code(
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
        on_input: Callable[[InputRequest], str | Awaitable[str]] | None = None,
        on_event: Callable[[Event], Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> Execution:
        """Runs code to its end: in CONTEXT, else in the default context of LANGUAGE.

        Neither an exception of the code nor the end of TIMEOUT (seconds of the run
        itself; 0: the longest that the server allows) is an exception here: see
        `Execution`. The end of this task interrupts the code on the server, too. The
        callbacks are called while the code runs, and awaited if they are coroutines;
        ON_INPUT returns the answer to a question of the code.
        OPTIONS are those of `RunOptions`, such as `env`.

        Raises RefusedError (StaleContext, QueueFull, ContextDeleted, ...) and
        ConnectionLost.
        """
        callbacks = ops.Callbacks(
            on_stdout, on_stderr, on_result, on_error, on_input, on_event
        )
        return await drive(
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
    ) -> AsyncStream:
        """As `run_code`, but the events are iterated over; `execution` is there at the
        end. A stream that is closed or dropped before its end interrupts the code."""
        return AsyncStream(
            ops.make_run(self._port, code, language, context, timeout, options).begin()
        )

    async def detach(
        self,
        code: str,
        language: str | None = None,
        *,
        context: ContextLike | None = None,
        timeout: float | None = None,
        **options: Unpack[RunOptions],
    ) -> AsyncJob:
        """Has code run without this client: it may end, and come back with `attach`."""
        info = await drive(
            ops.detach(self._port, code, language, context, timeout, options)
        )
        return AsyncJob(self, info)

    async def attach(self, execution_id: str) -> AsyncJob:
        """An execution that was begun earlier, here or elsewhere. ExecutionNotFound."""
        return AsyncJob(self, await drive(ops.execution_status(self._port, execution_id)))


class AsyncStream:
    """The events of a run, in order. Iterate to its end, or use it in an `async with`."""

    def __init__(self, run: ops.Run) -> None:
        self._run = run

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await drive(self._run.next())
        if event is None:
            raise StopAsyncIteration
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

    async def finish(self) -> Execution:
        """Reads what is left of the stream, and returns the outcome."""
        async for _ in self:
            pass
        return self.execution

    def close(self) -> None:
        """Follows the run no longer: code that `stream` has begun is interrupted."""
        self._run.abandon()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class AsyncJob:
    """An execution that does not need this client; `info` is what was last known."""

    def __init__(self, client: AsyncClient, info: ExecutionInfo) -> None:
        self._client = client
        self.info = info

    @property
    def id(self) -> str:
        return self.info.id

    def __repr__(self) -> str:
        return f"<Job {self.id}, {self.info.state}>"

    async def wait(self) -> Execution:
        """The outcome, when there is one. Raises Cancelled, ExecutionNotFound."""
        return await drive(ops.wait_for(self._client._port, self.id))

    def stream(self, after_seq: int = 0) -> AsyncStream:
        """The events from the one after AFTER_SEQ on, then the live ones. Closing this
        stream does not interrupt the code."""
        return AsyncStream(ops.begin_attach(self._client._port, self.id, after_seq))

    async def status(self) -> ExecutionInfo:
        """Whether it is `queued`, `running` or `done`, without a wait."""
        self.info = await drive(ops.execution_status(self._client._port, self.id))
        return self.info

    async def cancel(self, *, force: bool = False) -> str:
        """Takes it from the queue or interrupts it, with FORCE in any case. Returns what
        it was: `queued`, `running` or `done`."""
        return await drive(ops.cancel(self._client._port, self.id, force))


class AsyncWatch:
    """The events of what others run in a context. Use it in an `async with`: it has
    begun when that is entered."""

    def __init__(self, port: _Port, context: ContextLike) -> None:
        self._watching = ops.Watching(port, context)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await drive(self._watching.next())
        if event is None:
            raise StopAsyncIteration
        return event

    async def close(self) -> None:
        await drive(self._watching.close())

    async def __aenter__(self) -> Self:
        await drive(self._watching.begin())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncFiles:
    """The files of a context's workspace. Paths are relative to it."""

    def __init__(self, context: AsyncContext) -> None:
        self._context = context
        self._port = context._client._port

    async def write(self, path: str, data: Source, *, mode: str = "replace") -> int:
        """Writes DATA (bytes, text as UTF-8, or a file that is open for bytes) of any
        size. MODE: `replace`, `create` or `append`. Returns the size of the file. Raises
        NoSpace, FileExists, PathInvalid."""
        return await drive(ops.write_file(self._port, self._context, path, data, mode))

    async def read(
        self, path: str, *, offset: int = 0, length: int | None = None
    ) -> bytes:
        """The bytes of a file, or LENGTH of them from OFFSET on. Raises FileNotFound."""
        return await drive(ops.read_file(self._port, self._context, path, offset, length))

    async def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """The text of a file."""
        return (await self.read(path)).decode(encoding)

    async def list(self, path: str = ".", *, recursive: bool = False) -> _FileList:
        """What a directory has, up to 10,000 entries."""
        return await drive(ops.list_files(self._port, self._context, path, recursive))

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file, or a directory."""
        await drive(ops.remove_file(self._port, self._context, path, recursive))

    async def mkdir(self, path: str) -> None:
        """Makes a directory and those above it."""
        await drive(ops.make_directory(self._port, self._context, path))


class AsyncContext(ops.Handle):
    """A persistent interpreter. As a context manager it is deleted at the end."""

    def __init__(self, client: AsyncClient, info: ContextInfo) -> None:
        super().__init__(info)
        self._client = client
        self.files = AsyncFiles(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.delete()
        except (ContextNotFound, ContextDeleted):
            pass  # it has ended already
        except CellwallError:
            if error is None:
                raise

    async def delete(self) -> None:
        """Ends it and what runs in it; returns when it is gone."""
        await self._client.delete_context(self)

    async def refresh(self) -> ContextInfo:
        """Asks for its present state, and accepts a fresh interpreter."""
        self._learn(await drive(ops.get_context(self._client._port, self)))
        return self.info

    async def executions(self) -> list[ExecutionInfo]:
        """What waits and runs in it, whoever began it."""
        return await drive(ops.list_executions(self._client._port, self))

    async def restart(self) -> None:
        """Gives it a fresh interpreter, without variables and with the same files."""
        self._learn(await drive(ops.restart_context(self._client._port, self)))

    async def interrupt(self, *, force: bool = False) -> bool:
        """Interrupts what runs; with FORCE the interpreter is ended if that does not
        help. Returns whether something ran."""
        return await drive(ops.interrupt_context(self._client._port, self, force))

    async def run_code(
        self,
        code: str,
        *,
        timeout: float | None = None,
        on_stdout: Callable[[Stdout], Any] | None = None,
        on_stderr: Callable[[Stderr], Any] | None = None,
        on_result: Callable[[Result], Any] | None = None,
        on_error: Callable[[ExecutionError], Any] | None = None,
        on_input: Callable[[InputRequest], str | Awaitable[str]] | None = None,
        on_event: Callable[[Event], Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> Execution:
        """Runs code to its end, here; see `Client.run_code`."""
        return await self._client.run_code(
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
    ) -> AsyncStream:
        """The events of a run, here; see `Client.stream`."""
        return self._client.stream(code, context=self, timeout=timeout, **options)

    async def detach(
        self, code: str, *, timeout: float | None = None, **options: Unpack[RunOptions]
    ) -> AsyncJob:
        """Has code run without this client, here; see `Client.detach`."""
        return await self._client.detach(code, context=self, timeout=timeout, **options)

    async def complete(self, code: str, cursor_pos: int | None = None) -> Completions:
        """What can be written at CURSOR_POS, a count of characters; default: the end."""
        return await drive(ops.complete(self._client._port, self, code, cursor_pos))

    async def inspect(
        self, code: str, cursor_pos: int | None = None, detail_level: int = 0
    ) -> Inspection:
        """What is known of the name at CURSOR_POS."""
        port = self._client._port
        return await drive(ops.inspect(port, self, code, cursor_pos, detail_level))

    async def is_complete(self, code: str) -> Completeness:
        """Whether a person would want to write more lines."""
        return await drive(ops.is_complete(self._client._port, self, code))

    def watch(self) -> AsyncWatch:
        """The events of what others run here, from now on: other clients, or a person in
        JupyterLab. One watch of a context for each client."""
        return AsyncWatch(self._client._port, self)

    async def open_jupyter(self) -> JupyterConnection:
        """Lets Jupyter's front ends into this context. Raises NotAllowed."""
        return await drive(ops.open_jupyter(self._client._port, self))

    async def close_jupyter(self) -> None:
        """Ends what `open_jupyter` has begun."""
        await drive(ops.close_jupyter(self._client._port, self))


class _Opening:
    """`await` it for a client, or use it in an `async with`."""

    def __init__(self, open_one: Callable[[], Awaitable[AsyncClient]]) -> None:
        self._open_one = open_one
        self._client: AsyncClient | None = None

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self._open_one().__await__()

    async def __aenter__(self) -> AsyncClient:
        self._client = await self
        return self._client

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.close()


def local_async(
    program: str | os.PathLike[str] | None = None,
    *,
    python: str | os.PathLike[str] | None = None,
    options: Sequence[str] = (),
    start_timeout: float = 60.0,
    request_timeout: float = 30.0,
) -> _Opening:
    """As `local`, for asyncio: `async with local_async() as client`, or `await` it."""

    async def start() -> AsyncClient:
        server = LocalServer(program, python, options, start_timeout)
        try:
            file = await asyncio.to_thread(server.start)
            client = AsyncClient(file, request_timeout=request_timeout)
        except BaseException:
            server.stop()
            raise
        client._local = server
        client._link.why_lost = server.why_lost
        return client

    return _Opening(start)


def connect_async(
    server: str | os.PathLike[str] | None = None, **local_options: Any
) -> _Opening:
    """As `connect`, for asyncio."""

    async def open_one() -> AsyncClient:
        try:
            return AsyncClient(server)
        except ServerNotFound:
            if server is not None:
                raise
        return await local_async(**local_options)

    return _Opening(open_one)
