# SPDX-License-Identifier: MIT
"""`input` and `getpass`: questions to the user, through the server."""

from __future__ import annotations

import builtins
import getpass
import threading
from collections import deque
from typing import Any

import _cellwall
from IPython.core.error import StdinNotImplementedError

from . import content, forks, requests

_EOF = "\x04"

deferred: deque[Any] = deque()
"""What `receive` returned while an answer was waited for; the loop takes it from here."""

asker: requests.Request | None = None
"""The request under way, if it may ask."""


def _refuse(why: str) -> StdinNotImplementedError:
    return StdinNotImplementedError(f"input was asked for, but {why}")


def _receive_reply() -> requests.Request | None:
    """The next answer, to whatever question. EOFError: none will come any more."""
    frame = _cellwall.receive()
    if frame and frame[0] == _cellwall.INPUT_REPLY:
        return requests.Request("input_reply", *frame[1:])
    deferred.append(frame)
    if not frame or frame[0] == _cellwall.SHUTDOWN:
        raise EOFError
    return None


def ask(prompt: str, *, password: bool = False) -> str:
    """Asks the user one line. EOFError; StdinNotImplementedError: nobody can be asked."""
    if forks.is_child:
        raise _refuse("a forked process cannot ask")
    if threading.current_thread() is not threading.main_thread():
        raise _refuse("only the main thread can ask")
    request = requests.current()
    if request is not asker:
        raise _refuse("this frontend does not support input requests")
    while _cellwall.readable():
        # An answer to a question that was interrupted is not one to this question.
        _receive_reply()
    _cellwall.send(
        _cellwall.INPUT_REQUEST,
        request.number,
        content.encode({"prompt": prompt, "password": password}),
    )
    reply = None
    while reply is None or reply.number != request.number:
        reply = _receive_reply()
    value = str(reply.content.get("value", ""))
    if value == _EOF:
        raise EOFError
    return value


def _input(prompt: object = "", /) -> str:
    """Asks the user for a line of text and returns it without its newline."""
    return ask(str(prompt))


def _getpass(prompt: str = "Password: ", stream: Any = None, **_options: Any) -> str:
    """Asks the user for a password, which is not shown. STREAM is ignored."""
    return ask(str(prompt), password=True)


def install() -> None:
    """Replaces `input` and `getpass.getpass`."""
    _input.__name__ = _input.__qualname__ = "input"
    _getpass.__name__ = _getpass.__qualname__ = "getpass"
    builtins.input = _input
    getpass.getpass = _getpass
