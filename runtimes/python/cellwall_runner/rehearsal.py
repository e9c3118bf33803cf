# SPDX-License-Identifier: MIT
"""Requests that nobody has sent, so that the first real one finds all at hand.

They go the whole way of a real one, over a channel of our own: in a zygote, so that what
is done once is done before the fork and code that Python rewrites while it is young is
old; in a runner that nobody waits for, so that the pages which a cell writes are copied.
Then everything is as it was before.
"""

from __future__ import annotations

import json
import linecache
import sys
import tempfile
from collections import deque
from collections.abc import Iterable
from typing import Any

import _cellwall

from . import compiler, inputs, requests
from .kernel import Kernel

_HEADER = json.dumps(
    {
        "msg_id": "00000000-0000000000000000_1_1",
        "msg_type": "execute_request",
        "username": "",
        "session": "00000000-0000000000000000",
        "date": "2000-01-01T00:00:00.000000Z",
        "version": "5.4",
    }
).encode()
_CONTAINERS = (dict, list, set, deque)
_LAST = ("last_type", "last_value", "last_traceback", "last_exc")

Request = tuple[int, dict[str, Any]]


def cell(code: str) -> Request:
    """A cell as a notebook sends it."""
    return _cellwall.EXECUTE_REQUEST, {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": True,
        "stop_on_error": True,
    }


FIRST = (cell("1+1"),)
"""What a runner does in advance of its first cell."""

ALL = (
    cell("1+1"),
    cell("cellwall_value = [1, 2.5, 'three']"),
    cell("print(cellwall_value)"),
    cell("import os"),
    cell("def cellwall_fails(): raise ValueError('rehearsed')\ncellwall_fails()"),
    cell("{'a': (None, True), 'b': cellwall_value}"),
    cell("%who"),
    (_cellwall.COMPLETE_REQUEST, {"code": "cellwall_value.app", "cursor_pos": 18}),
    (_cellwall.INSPECT_REQUEST, {"code": "print", "cursor_pos": 5, "detail_level": 0}),
    (_cellwall.IS_COMPLETE_REQUEST, {"code": "for i in range(3):"}),
    (_cellwall.PING, {}),
)


class State:
    """All that cells change without being asked to, to be put back later.

    Contents of containers are kept, those of containers in them too, and what exactly
    built-in containers hold; other objects are kept as they are.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kept: dict[int, tuple[Any, Any]] = {}
        self._changing: set[int] = set()
        for root in self._roots(kernel.shell):
            self._keep(root)
        self._registries = {id(names) for names in _registries()}

    @staticmethod
    def _roots(shell: Any) -> Iterable[Any]:
        yield shell.user_ns
        yield shell.user_ns_hidden
        yield linecache.cache
        parts = [
            shell,
            shell.history_manager,
            shell.displayhook,
            shell.display_pub,
            shell.display_formatter,
            *shell.display_formatter.formatters.values(),
            shell.display_trap,
            shell.builtin_trap,
            shell.compile,
            shell.Completer,
            shell.events,
            shell.input_transformer_manager,
            shell.inspector,
            shell.payload_manager,
            shell.InteractiveTB,
            shell.SyntaxTB,
        ]
        for part in parts:
            yield part.__dict__

    def _keep(self, container: Any) -> None:
        if type(container) not in _CONTAINERS or id(container) in self._kept:
            return
        self._kept[id(container)] = container, container.copy()
        values = container.values() if isinstance(container, dict) else container
        for value in list(values):
            self._keep(value)

    def restore(self) -> None:
        """Puts everything back, and forgets what else the cells left behind."""
        for identity, (container, copy) in self._kept.items():
            if not _is_same(container, copy):
                self._changing.add(identity)
                container.clear()
                _fill(container, copy)
        for name in _LAST:
            vars(sys).pop(name, None)
        inputs.deferred.clear()
        inputs.asker = None
        requests.forget()

    def narrow(self) -> None:
        """Looks from now on only after what has needed to be put back."""
        self._kept = {one: self._kept[one] for one in self._changing}

    def forget_process(self) -> None:
        """Forgets what depends on this process: a fork shall find out for itself."""
        for names in _registries():
            if id(names) not in self._registries:
                names.clear()
        compiler.CellCompiler.forget_folder()
        tempfile.tempdir = None
        tempfile._name_sequence = None  # type: ignore[attr-defined]


def play(kernel: Kernel, wanted: Iterable[Request], state: State | None = None) -> None:
    """Answers the requests, and goes back to STATE or what was before.

    They must be few: nobody reads the frames that they lead to. Interrupts that come
    meanwhile wait.
    """
    state = state or State(kernel)
    _cellwall.begin_rehearsal()
    try:
        kernel.streams.install()
        for number, (kind, asked) in enumerate(wanted, 1):
            text = json.dumps(asked).encode() if asked else b""
            _cellwall.rehearse(kind, number, number, _HEADER, text)
        _cellwall.rehearse(_cellwall.SHUTDOWN, 0, 0, b"", b"")
        kernel.loop.run(kernel.serve())
    finally:
        kernel.streams.remove()
        _cellwall.end_rehearsal()
        state.restore()


def _registries() -> list[dict[Any, Any]]:
    """Where modules remember which of their warnings were shown."""
    found = (vars(module).get("__warningregistry__") for module in _modules())
    return [registry for registry in found if registry is not None]


def _modules() -> list[Any]:
    return [
        module for module in list(sys.modules.values()) if hasattr(module, "__dict__")
    ]


def _fill(container: Any, copy: Any) -> None:
    if isinstance(container, (dict, set)):
        container.update(copy)
    else:
        container.extend(copy)


def _is_same(container: Any, copy: Any) -> bool:
    """Whether CONTAINER holds the same objects as COPY."""
    if len(container) != len(copy):
        return False
    if isinstance(container, dict):
        missing = object()
        return all(container.get(key, missing) is value for key, value in copy.items())
    if isinstance(container, set):
        return bool(container == copy)
    return all(one is other for one, other in zip(container, copy))
