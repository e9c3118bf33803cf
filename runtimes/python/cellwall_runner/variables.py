# SPDX-License-Identifier: MIT
"""Environment variables that one run alone has."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

_COUNT_MAX = 256

_environ = os.environ
"""The process's own, whatever user code binds to that name."""


def wanted(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What METADATA, a request's, has as `{"cellwall": {"env": {"NAME": "value"}}}`.

    ValueError, TypeError: it cannot be had, and the code must not run without it.
    """
    ours = metadata.get("cellwall")
    variables = ours.get("env") if isinstance(ours, dict) else None
    if variables is None:
        return {}
    if not isinstance(variables, dict):
        raise TypeError("the environment variables of a run must be an object")
    if len(variables) > _COUNT_MAX:
        raise ValueError(f"a run may have {_COUNT_MAX} environment variables")
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r:.200} cannot name an environment variable")
        if not isinstance(value, str):
            raise TypeError(f"environment variable {name!r:.200}: not a string")
        if "\0" in value:
            raise ValueError(f"environment variable {name!r:.200}: has a NUL")
        os.fsencode(name + value)  # UnicodeEncodeError: it has no bytes
    return variables


def _apply(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            _environ.pop(name, None)
        else:
            _environ[name] = value
    if "TZ" in variables:
        time.tzset()


@contextlib.contextmanager
def given(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets VARIABLES, for C code too, and puts just these back to what they were,
    whatever the code has done to them meanwhile."""
    if not variables:
        yield
        return
    before = {name: _environ.get(name) for name in variables}
    _apply(variables)
    try:
        yield
    finally:
        _apply(before)
