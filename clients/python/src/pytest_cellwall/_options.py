# SPDX-License-Identifier: MIT
"""What the user has asked for, as the words of a `cellwall test`."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import pytest

from cellwall import CellwallError
from cellwall._local import find_program


def _get(config: pytest.Config, name: str) -> tuple[str, Path]:
    """The value of option NAME, empty: there is none; and what paths are relative to."""
    given = config.getoption(f"cellwall_{name}")
    if given is not None:
        return str(given), config.invocation_params.dir
    folder = config.inipath.parent if config.inipath else config.rootpath
    return str(config.getini(f"cellwall_{name}") or ""), folder


def _file(config: pytest.Config, name: str, words: list[str]) -> list[str]:
    value, folder = _get(config, name)
    if not value:
        return []
    path = folder / value
    if not path.is_file():
        raise pytest.UsageError(
            f"--cellwall-{name.replace('_', '-')}: there is no file {path}"
        )
    return [*words, os.fspath(path)]


def _jobs(config: pytest.Config) -> list[str]:
    value, _ = _get(config, "jobs")
    if not value:
        return []
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise pytest.UsageError(f"--cellwall-jobs: {value!r} is not a number from 1")
    return ["--jobs", value]


def _timeout(config: pytest.Config) -> list[str]:
    value, _ = _get(config, "timeout")
    if not value:
        return []
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise pytest.UsageError(
            f"--cellwall-timeout: {value!r} is not a number of seconds"
        )
    return ["--cell-timeout", value]


def _results(config: pytest.Config) -> list[str]:
    """Workers of pytest-xdist may run the same notebook: each has its own pictures."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    return ["--results", f"cellwall-results/{worker}"] if worker else []


def _program(config: pytest.Config) -> str:
    value, folder = _get(config, "program")
    if value and os.sep in value:
        value = os.fspath(folder / value)
    try:
        return find_program(value or None)
    except CellwallError as error:
        raise pytest.UsageError(f"--cellwall: {error}") from None


def _python(config: pytest.Config) -> str:
    value, folder = _get(config, "python")
    return os.fspath(folder / value) if os.sep in value else value or sys.executable


def command(config: pytest.Config, is_lax: bool) -> list[str]:
    """A `cellwall test` that says what happens on its stdout. To it belong the notebooks.
    UsageError: an option has no such value, or there is no such program."""
    return [
        *(
            _program(config),
            "test",
            "--quiet",
            "--die-with-parent",
            "--report",
            "jsonl=-",
        ),
        *("--python", _python(config)),
        *(["--compare", "marked"] if is_lax else []),
        *_jobs(config),
        *_timeout(config),
        *_file(config, "sanitize_with", ["--sanitize"]),
        *_file(config, "config", ["--config"]),
        *_results(config),
    ]
