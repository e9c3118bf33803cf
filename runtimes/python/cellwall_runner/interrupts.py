# SPDX-License-Identifier: MIT
"""SIGINT becomes KeyboardInterrupt in user code, and nowhere else.

Raised in the machinery (IPython's, asyncio's, ours) it would leave locks held and state
half changed. So user code is entered through `call`, and the handler looks whether a
frame of `call` is on the stack. An interrupt that comes while there is none is
remembered, if it is for the request under way, and raised by the next `call`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Generator
from types import CodeType, FrameType
from typing import Any, Callable, TypeVar

import _cellwall

Result = TypeVar("Result")

delivered = 0
"""How many interrupts were raised so far, also those that user code caught."""

_loop: asyncio.AbstractEventLoop | None = None
_server: asyncio.Task[Any] | None = None
_awaiting: UserCoroutine | None = None


_own_callbacks: set[CodeType] = set()


def own_callback(function: Callable[..., Result]) -> Callable[..., Result]:
    """Marks a callback of the loop as machinery: it is not the user's."""
    _own_callbacks.add(function.__code__)
    return function


def _deliver() -> KeyboardInterrupt:
    global delivered
    delivered += 1
    return KeyboardInterrupt()


def call(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Calls user code. May raise KeyboardInterrupt at any moment of it, the first too."""
    if _cellwall.take_interrupt():
        raise _deliver()
    return function(*args, **kwargs)


def _in_user_code(frame: FrameType | None) -> bool:
    is_beside = False  # in a callback or a task of the user's, beside the cell
    while frame is not None:
        if frame.f_code is call.__code__:
            return True
        if frame.f_code is asyncio.Handle._run.__code__:  # type: ignore[attr-defined]
            # An interrupted step of asyncio's own would never wake who waits for it.
            return is_beside and asyncio.current_task(_loop) is not _server
        if frame.f_code in _own_callbacks:
            return False
        is_beside |= not frame.f_globals.get("__name__", "").startswith("asyncio.")
        frame = frame.f_back
    return False


def handle_signal(signum: int, frame: FrameType | None) -> None:
    """The handler of SIGINT."""
    if not _cellwall.interrupt_is_meant():
        return  # it is late: the cell has ended
    if _in_user_code(frame):
        raise _deliver()
    _cellwall.note_interrupt()
    if _awaiting is not None and _loop is not None:
        _loop.call_soon_threadsafe(_cancel_awaiting)


@own_callback
def _cancel_awaiting() -> None:
    if _awaiting is not None and _server is not None and _cellwall.take_interrupt():
        _awaiting.interrupt(_server)


def escaped() -> None:
    """An interrupt hit a task or callback beside the cell, and has left the loop.

    The cell, if it waits, is what the user wanted to stop.
    """
    if _awaiting is not None and _server is not None:
        _awaiting.interrupt(_server)


class UserCoroutine:
    """Awaits a coroutine of the user's; an interrupt while it waits cancels it.

    The coroutine sees CancelledError, as under `asyncio.run`, so that its task groups and
    `finally` blocks work; who awaits it sees KeyboardInterrupt.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._interrupted = False
        self._cancelled: asyncio.Task[Any] | None = None

    def interrupt(self, server: asyncio.Task[Any]) -> None:
        """Cancels the coroutine, which waits, by way of SERVER, its task."""
        if self._cancelled is not None:
            return  # on its way: a second one would hit whatever the task awaits next
        self._interrupted = True
        self._cancelled = server
        server.cancel()

    def __await__(self) -> Generator[Any, Any, Any]:
        # All the time, not only while it waits: a signal just before it begins to must
        # find it. Its task pauses nowhere else, so the loop's callback finds it waiting.
        # Cells that other tasks run are not what the server waits for.
        global _awaiting
        before = _awaiting
        if asyncio.current_task() is _server:
            _awaiting = self
        try:
            return (yield from self._steps())
        except asyncio.CancelledError as error:
            if not self._interrupted:
                raise
            raise _deliver().with_traceback(error.__traceback__) from None
        finally:
            if _awaiting is self:
                _awaiting = before
            if self._coroutine.cr_frame is not None:  # type: ignore[attr-defined]
                call(self._coroutine.close)

    def _steps(self) -> Generator[Any, Any, Any]:
        step: tuple[Any, ...] = (self._coroutine.send, None)
        while True:
            try:
                waiting_for = call(*step)
            except StopIteration as stop:
                return stop.value
            try:
                step = (self._coroutine.send, (yield waiting_for))
            except BaseException as error:
                step = (self._coroutine.throw, error)
            finally:
                self._forget_cancellation()

    def _forget_cancellation(self) -> None:
        """The serving task goes on after an interrupt."""
        if hasattr(self._cancelled, "uncancel"):
            self._cancelled.uncancel()
        self._cancelled = None


def serve(loop: asyncio.AbstractEventLoop, server: asyncio.Task[Any]) -> None:
    """Makes SERVER, the task of LOOP that serves requests, what an interrupt ends."""
    global _loop, _server
    _loop, _server = loop, server


def install() -> None:
    """Handles SIGINT, again if user code has set a handler of its own."""
    if signal.getsignal(signal.SIGINT) is not handle_signal:
        signal.signal(signal.SIGINT, handle_signal)
    _cellwall.aim_interrupts()


def is_machinery(code: CodeType) -> bool:
    """Whether a frame of CODE is ours and has no place in a traceback."""
    return code in _MACHINERY


_MACHINERY = {
    call.__code__,
    handle_signal.__code__,
    UserCoroutine.__await__.__code__,
    UserCoroutine._steps.__code__,
}
