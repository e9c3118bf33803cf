# SPDX-License-Identifier: MIT
"""Serves the requests of the server, one at a time."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from typing import Any, Callable

import _cellwall
import IPython
from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.utils.tokenutil import token_at_cursor

from . import (
    comms,
    content,
    describe,
    forks,
    inputs,
    interrupts,
    requests,
    streams,
    variables,
    waiting,
)
from .zmqshell import make_shell

_MAY_COMPUTE = re.compile(r"import|exec|load|run|%")
"""In a cell that can be the first to use a library, by whatever way."""

_TYPES_KEY = "_jupyter_types_experimental"

Reply = dict[str, Any]


class Kernel:
    """What `get_ipython().kernel` is: the part of ipykernel's that libraries use."""

    def __init__(self) -> None:
        self.loop = waiting.Loop()
        asyncio.set_event_loop(self.loop)
        self.streams = streams.Streams(lambda: inputs.ask(""))
        self.hello = _hello()
        self.shell = make_shell()
        self.shell.kernel = self
        self.release_threads: Callable[[], None] | None = None
        """Lets libraries have more than one thread, if they have not yet."""
        self.comm_manager = comms.install(self)
        self._handlers: dict[int, tuple[str, Callable[[requests.Request], Any]]] = {
            _cellwall.EXECUTE_REQUEST: ("execute_request", self._execute),
            _cellwall.COMPLETE_REQUEST: ("complete_request", self._complete),
            _cellwall.INSPECT_REQUEST: ("inspect_request", self._inspect),
            _cellwall.IS_COMPLETE_REQUEST: ("is_complete_request", self._is_complete),
            _cellwall.COMM_OPEN: ("comm_open", self._comm),
            _cellwall.COMM_MSG: ("comm_msg", self._comm),
            _cellwall.COMM_CLOSE: ("comm_close", self._comm),
            _cellwall.PING: ("ping", self._ping),
        }

    def get_parent(self, channel: str | None = None) -> dict[str, Any]:
        """The request under way, as a Jupyter message."""
        return requests.current().message

    @property
    def _parent_header(self) -> dict[str, Any]:
        return self.get_parent()

    async def serve(self) -> None:
        """Answers requests until the server is gone or wants the runner to end."""
        while True:
            frame = await waiting.next_frame()
            if not frame or frame[0] == _cellwall.SHUTDOWN:
                return
            if frame[0] in self._handlers:  # else a late answer to a question
                await self._answer(frame)

    async def _answer(self, frame: tuple[Any, ...]) -> None:
        name, handler = self._handlers[frame[0]]
        flags = 0
        try:
            request = requests.Request(name, *frame[1:])
            requests.begin(request)
            delivered = interrupts.delivered
            reply = handler(request)
            if not isinstance(reply, dict):
                reply, failure = await reply
                if _is_interrupt(failure, interrupts.delivered != delivered):
                    flags |= _cellwall.FLAG_INTERRUPTED
        except BaseException as error:
            reply = self._failed(error)
            if isinstance(error, KeyboardInterrupt):
                flags |= _cellwall.FLAG_INTERRUPTED
        if forks.is_child:
            forks.leave_child(None)
        self._tidy()
        if reply.get("status", "ok") != "ok":
            flags |= _cellwall.FLAG_ERROR
        _cellwall.end_request()
        _send_reply(frame[1], flags, reply)

    def _tidy(self) -> None:
        """Leaves the process to the next cell as this one found it."""
        inputs.asker = None
        for stream in (sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()  # type: ignore[union-attr]
            except (AttributeError, OSError, ValueError):
                pass  # user code has closed or removed it
        _cellwall.flush()
        _cellwall.restore_output()
        interrupts.install()

    def _failed(self, error: BaseException) -> Reply:
        """The reply for ERROR, which user code raised where no cell was run."""
        if self.shell.shown_error is not error:
            self.shell.show_plain(error)
        return self._error_reply(error)

    def _error_reply(self, error: BaseException) -> Reply:
        return {
            "status": "error",
            **content.error_content(
                type(error).__name__,
                content.describe(error),
                self.shell.shown_traceback,
            ),
        }

    # Cells.

    async def _execute(
        self, request: requests.Request
    ) -> tuple[Reply, BaseException | None]:
        asked = request.content
        silent = bool(asked.get("silent", False))
        metadata = request.message["metadata"]
        inputs.asker = request if asked.get("allow_stdin", False) else None
        if self.release_threads is not None and _MAY_COMPUTE.search(asked["code"]):
            self.release_threads()
            self.release_threads = None
        self._take_payload()
        reply: Reply = {"status": "ok", "user_expressions": {}}
        with variables.given(variables.wanted(metadata)):
            failure = await self.shell.run_request(
                asked["code"],
                execution_count=request.execution_count,
                store_history=bool(asked.get("store_history", True)) and not silent,
                silent=silent,
                cell_id=metadata.get("cellId"),
            )
            if failure is None:
                expressions = asked.get("user_expressions") or {}
                try:
                    reply["user_expressions"] = self._evaluate(expressions)
                except KeyboardInterrupt as error:
                    failure = error
        if failure is not None:
            reply.update(self._failed(failure))
        reply["execution_count"] = request.execution_count
        reply["payload"] = self._take_payload()
        return reply, failure

    def _take_payload(self) -> list[Any]:
        payload = self.shell.payload_manager.read_payload()
        if payload:
            self.shell.payload_manager.clear_payload()
        return payload

    def _evaluate(self, expressions: dict[str, str]) -> dict[str, Any]:
        if not expressions:
            return {}
        values = interrupts.call(self.shell.user_expressions, expressions)
        for value in values.values():
            if "data" in value:
                value["data"] = content.encode_bundle(value["data"])
        return values

    # Questions about code.

    def _complete(self, request: requests.Request) -> Reply:
        code = request.content["code"]
        cursor = request.content.get("cursor_pos", len(code))
        reply: Reply = {
            "status": "ok",
            "matches": [],
            "cursor_start": cursor,
            "cursor_end": cursor,
            "metadata": {},
        }
        for use_jedi in (self.shell.Completer.use_jedi, False):
            try:
                self.shell.Completer.use_jedi = use_jedi
                found = interrupts.call(self._completions, code, cursor)
            except KeyboardInterrupt:
                break
            except Exception:
                continue  # jedi does not know all of what IPython is asked
            if found:
                reply["cursor_start"] = found[0].start
                reply["cursor_end"] = found[0].end
                reply["matches"] = [completion.text for completion in found]
                reply["metadata"] = {_TYPES_KEY: [_described(item) for item in found]}
            break
        return reply

    def _completions(self, code: str, cursor: int) -> list[Any]:
        with provisionalcompleter():
            raw = self.shell.Completer.completions(code, cursor)
            return list(rectify_completions(code, raw))

    def _inspect(self, request: requests.Request) -> Reply:
        asked = request.content
        code = asked["code"]
        name = token_at_cursor(code, asked.get("cursor_pos", len(code)))
        options: dict[str, Any] = {"detail_level": asked.get("detail_level", 0)}
        if "omit_sections" in asked:
            options["omit_sections"] = asked["omit_sections"]
        reply: Reply = {"status": "ok", "found": False, "data": {}, "metadata": {}}
        try:
            bundle = interrupts.call(self.shell.object_inspect_mime, name, **options)
        except (Exception, KeyboardInterrupt):
            return reply  # as a rule: there is no such name
        if not self.shell.enable_html_pager:
            bundle.pop("text/html", None)
        reply.update(found=True, data=content.encode_bundle(bundle))
        return reply

    def _is_complete(self, request: requests.Request) -> Reply:
        manager = self.shell.input_transformer_manager
        status, indent = manager.check_complete(request.content["code"])
        reply: Reply = {"status": status}
        if status == "incomplete":
            reply["indent"] = " " * (indent or 0)
        return reply

    # The rest.

    def _comm(self, request: requests.Request) -> Reply:
        if self.comm_manager is not None:
            self.comm_manager.handle(request)
        elif request.type_name == "comm_open":
            comms.refuse(request)
        return {}

    def _ping(self, request: requests.Request) -> Reply:
        return {}


def _described(completion: Any) -> dict[str, Any]:
    return {
        "start": completion.start,
        "end": completion.end,
        "text": completion.text,
        "type": completion.type,
        "signature": completion.signature,
    }


def _is_interrupt(failure: BaseException | None, delivered: bool) -> bool:
    """Whether FAILURE comes from an interrupt; `%%bash` tells it in its own way."""
    return isinstance(failure, KeyboardInterrupt) or (
        delivered and isinstance(failure, subprocess.CalledProcessError)
    )


def _send_reply(number: int, flags: int, reply: Reply) -> None:
    try:
        _cellwall.send(_cellwall.REPLY, number, content.encode(reply), flags=flags)
    except (ValueError, TypeError) as error:
        message = f"the reply cannot be sent: {content.describe(error)}"
        instead = {
            "status": "error",
            **content.error_content(type(error).__name__, message, [message]),
        }
        if "execution_count" in reply:
            instead["execution_count"] = reply["execution_count"]
        _cellwall.send(
            _cellwall.REPLY,
            number,
            content.encode(instead),
            flags=flags | _cellwall.FLAG_ERROR,
        )


def _hello() -> bytes:
    """The content of the frame that tells the server that requests may come."""
    return json.dumps(
        {
            "frame_version": _cellwall.FRAME_VERSION,
            "build": _cellwall.VERSION,
            "language_info": describe.language_info(),
            "banner": describe.banner(),
            "implementation_version": IPython.__version__,
        }
    ).encode()
