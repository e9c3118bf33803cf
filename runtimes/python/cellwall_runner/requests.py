# SPDX-License-Identifier: MIT
"""Which request the running code belongs to.

Output carries the number of its request. A task belongs to the cell that created it, by a
context variable; a thread to the cell that started it, or that gave it its present work;
all else to the last request.
"""

from __future__ import annotations

import contextvars
import functools
import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable


class Request:
    """One request of the server."""

    def __init__(
        self,
        type_name: str,
        number: int,
        execution_count: int,
        header: bytes,
        metadata: bytes,
        content: bytes,
        buffers: list[bytes],
    ) -> None:
        self.type_name = type_name
        self.number = number
        self.execution_count = execution_count
        self.content: dict[str, Any] = json.loads(content) if content else {}
        self._header = header
        self._metadata = metadata
        self._buffers = buffers
        self._message: dict[str, Any] | None = None

    @property
    def message(self) -> dict[str, Any]:
        """The request as a Jupyter message, for libraries that ask for the parent."""
        if self._message is None:
            header = json.loads(self._header) if self._header else {}
            self._message = {
                "header": header,
                "msg_id": header.get("msg_id", ""),
                "msg_type": header.get("msg_type", self.type_name),
                "parent_header": {},
                "metadata": json.loads(self._metadata) if self._metadata else {},
                "content": self.content,
                "buffers": [memoryview(buffer) for buffer in self._buffers],
            }
        return self._message


_context: contextvars.ContextVar[Request] = contextvars.ContextVar("cellwall_request")
_thread = threading.local()
_nobodys = Request("", 0, 0, b"", b"", b"", [])
_last = _nobodys


def current() -> Request:
    """The request of the running task or thread."""
    request = _context.get(None)
    if request is None:
        request = getattr(_thread, "request", None)
    return request or _last


def begin(request: Request) -> None:
    """Makes REQUEST the current one, and the last one."""
    global _last
    _last = request
    _context.set(request)


def forget() -> None:
    """Makes what runs now nobody's."""
    global _last
    _last = _nobodys


def _run_for(
    request: Request, function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    before = getattr(_thread, "request", None)
    _thread.request = request
    try:
        return function(*args, **kwargs)
    finally:
        _thread.request = before


def _follow_submitted_work() -> None:
    """The threads of a pool outlive the cell that has started them."""
    submit = ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submit_with_request(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        return submit(self, _run_for, current(), fn, *args, **kwargs)

    ThreadPoolExecutor.submit = submit_with_request  # type: ignore[method-assign]


def install() -> None:
    """Lets threads inherit the request of the thread that starts them."""
    _follow_submitted_work()
    start = threading.Thread.start
    bootstrap = threading.Thread._bootstrap  # type: ignore[attr-defined]

    def start_with_request(self: threading.Thread) -> None:
        self._cellwall_request = current()  # type: ignore[attr-defined]
        start(self)

    def bootstrap_with_request(self: threading.Thread) -> None:
        _thread.request = self.__dict__.pop("_cellwall_request", None)
        bootstrap(self)

    start_with_request.__doc__ = start.__doc__
    threading.Thread.start = start_with_request  # type: ignore[method-assign]
    threading.Thread._bootstrap = bootstrap_with_request  # type: ignore[attr-defined]
