# SPDX-License-Identifier: MIT
"""Starts the zygote, and says on fd 3 what has become of it."""

from __future__ import annotations

import json
import os
from typing import Any, Callable

import _cellwall

_SOCKET = 3
_ANSWER_BYTES_MAX = 64 * 1024


def _tell(answer: dict[str, Any]) -> None:
    text = json.dumps(answer).encode()
    while len(text) > _ANSWER_BYTES_MAX:
        longest = max(answer, key=lambda name: len(json.dumps(answer[name])))
        answer[longest] = answer[longest][: len(answer[longest]) // 2]
        text = json.dumps(answer).encode()
    os.write(_SOCKET, text)


def run(begin: Callable[[], None]) -> None:
    """Gets ready, says so, and forks runners until nobody can ask for them."""
    try:
        begin()

        from .zygote import Zygote

        zygote = Zygote()
        answer = zygote.describe()
    except BaseException as error:
        words = error.args[0] if isinstance(error, SystemExit) else repr(error)
        _tell({"ready": False, "error": str(words)})
        raise
    _tell(answer)
    variables = _cellwall.serve_forks()
    if variables is not None:
        zygote.live(variables)
