# SPDX-License-Identifier: MIT
"""Waits for the next frame, and lets the user's tasks run meanwhile.

As long as asyncio has nothing to do the runner sits in a plain read of the channel. It
wakes when the loop's own file descriptor says that a task of the user's can go on.
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import selectors
import socket
import traceback
from collections.abc import Coroutine
from typing import Any

import _cellwall

from . import inputs, interrupts

_PRIVATE_FD_MIN = 100
"""User code closes small numbers, in the belief that they are its own."""


def _duplicate(fd: int) -> int:
    """A duplicate of FD, out of reach."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _PRIVATE_FD_MIN)


def _make_selector() -> selectors.BaseSelector:
    selector: Any = selectors.EpollSelector()
    epoll, selector._selector = (
        selector._selector,
        select.epoll.fromfd(_duplicate(selector.fileno())),
    )
    epoll.close()
    return selector


def _move(end: socket.socket) -> socket.socket:
    with end:
        moved = socket.socket(end.family, end.type, end.proto, _duplicate(end.fileno()))
    moved.setblocking(False)
    return moved


class Loop(asyncio.SelectorEventLoop):
    """The one loop, in which all cells run.

    Its descriptors are always there: an idle epoll and socket are harmless to a fork of
    user code, which makes a loop of its own. Who forks to go on with this loop must have
    them made anew: parent and child would share what the epoll watches.
    """

    def __init__(self) -> None:
        super().__init__(_make_selector())

    def _make_self_pipe(self) -> None:
        # As the base class does, but out of reach.
        self._ssock, self._csock = (_move(end) for end in socket.socketpair())
        self._internal_fds += 1
        self._add_reader(self._ssock.fileno(), self._read_from_self)

    def release_fds(self) -> None:
        """Closes the loop's descriptors; it cannot run until it has new ones."""
        self._close_self_pipe()  # type: ignore[attr-defined]
        self._selector.close()

    def make_fds(self) -> None:
        """Gives the loop descriptors after `release_fds`, and the thread this loop."""
        self._selector = _make_selector()
        self._make_self_pipe()
        asyncio.set_event_loop(self)

    def run(self, serve: Coroutine[Any, Any, None]) -> None:
        """Runs the coroutine that serves requests to its end."""
        # With a name: the numbers are for the user's tasks.
        task = self.create_task(serve, name="cellwall")
        interrupts.serve(self, task)
        while not task.done():
            try:
                self.run_until_complete(task)
            except KeyboardInterrupt:
                interrupts.escaped()
            except BaseException:
                # A callback of the user's has stopped the loop, or raised what stops it.
                if not task.done():
                    traceback.print_exc()
        task.result()  # raises what is a fault of ours


# Some libraries look at the name, or show it.
Loop.__name__ = Loop.__qualname__ = asyncio.SelectorEventLoop.__name__


@interrupts.own_callback
def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _run_others(loop: asyncio.AbstractEventLoop) -> None:
    """Runs the loop until a frame can be read."""
    future = loop.create_future()
    loop.add_reader(_cellwall.fd(), _wake, future)
    try:
        await future
    except asyncio.CancelledError:
        pass  # user code cancels all tasks that it finds, this one too
    finally:
        loop.remove_reader(_cellwall.fd())


def _has_work(loop: Any) -> bool:
    """Whether the loop has callbacks that are due, or timers."""
    return bool(loop._ready or loop._scheduled)


async def next_frame() -> Any:
    """What `_cellwall.receive` returns: a frame, or False when the server is gone."""
    if inputs.deferred:
        return inputs.deferred.popleft()
    loop: Any = asyncio.get_running_loop()
    frame: Any = True
    if not _has_work(loop):
        frame = _cellwall.receive(loop._selector.fileno())
    while frame is True:
        await _run_others(loop)
        if _cellwall.readable():
            frame = _cellwall.receive()
    return frame
