# SPDX-License-Identifier: MIT
"""Waits for the next frame, and lets the user's tasks run meanwhile.

As long as asyncio has nothing to do the runner sits in a plain read of the channel. It
wakes when the loop's own file descriptor says that a task of the user's can go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Any

import _cellwall

from . import inputs, interrupts

_PRIVATE_FD_MIN = 100
"""User code closes small numbers, in the belief that they are its own."""


@contextlib.contextmanager
def _small_fds_taken() -> Iterator[None]:
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < _PRIVATE_FD_MIN:
        taken.append(os.dup(taken[0]))
    try:
        yield
    finally:
        for fd in taken:
            os.close(fd)


def make_loop() -> asyncio.AbstractEventLoop:
    """The one loop, in which all cells run."""
    with _small_fds_taken():
        loop = asyncio.SelectorEventLoop()
    asyncio.set_event_loop(loop)
    return loop


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
