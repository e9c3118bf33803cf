# SPDX-License-Identifier: MIT
"""`cellwall test` as a child: what it is asked for, and what it has said so far."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import IO

from cellwall import CellwallError
from cellwall._fields import Fields

from ._cells import Cell, reason_of

_LOG_LINES = 20
_STOP_SECONDS = 10.0
_NAME = "cellwall test"
_NOT_UNDERSTOOD = (CellwallError, ValueError, RecursionError)


def _how(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"


class RunFailed(Exception):
    """There is no word of a cell, and why."""


class Notebook:
    """What was said of one notebook."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.cells: dict[int, Cell] = {}
        self.reason = ""
        self.notes: list[str] = []
        self.has_ended = False

    def cell(self, number: int) -> Cell:
        """RunFailed: nothing was said of it."""
        cell = self.cells.get(number)
        if cell is None:
            why = self.reason or "it has changed since its cells were collected"
            raise RunFailed(f"{self.path}: {why}")
        return cell

    def take_notes(self) -> list[str]:
        """What there is to be said of it, once."""
        notes, self.notes = self.notes, []
        return notes


class _Events:
    """Takes the lines of one `cellwall test`."""

    def __init__(self) -> None:
        self.notebooks: dict[str, Notebook] = {}
        self.has_ended = False

    def take(self, line: str) -> None:
        """CellwallError, ValueError: LINE is no event that docs/notebook-tests.md has."""
        event = Fields(json.loads(line), "an event")
        kind = event.text("event")
        if kind == "end":
            self.has_ended = True
        elif kind in ("cell", "notebook"):
            path = event.text("path")
            notebook = self.notebooks.setdefault(path, Notebook(path))
            if kind == "cell":
                cell = Cell.parse(event.all)
                notebook.cells[cell.number] = cell
            else:
                notebook.reason = reason_of(event)
                notebook.notes = event.texts("notes", [])
                notebook.has_ended = True


class Run:
    """One `cellwall test` of some notebooks. Other threads read what it says, so that it
    never waits for pytest. `close` ends it, if it has not ended yet."""

    def __init__(self, command: Sequence[str]) -> None:
        self._events = _Events()
        self._problem = ""  # why what it says is no longer read
        self._is_silent = False
        self._news = threading.Condition()
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        try:
            # In pytest's own process group: a terminal's Ctrl-C and hang-up reach both.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise RunFailed(f"{command[0]}: {error.strerror}") from None
        assert self._process.stdout is not None and self._process.stderr is not None
        streams = (self._process.stdout, self._process.stderr)
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in zip((self._read_events, self._read_log), streams)
        ]
        for reader in self._readers:
            reader.start()

    def notebook(self, path: str) -> Notebook:
        """Waits until PATH has been run. RunFailed: the program has ended before."""
        with self._news:
            self._news.wait_for(lambda: self._is_silent or self._has_ended(path))
            if self._has_ended(path):
                return self._events.notebooks[path]
        raise RunFailed(self._why_silent())

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(_STOP_SECONDS)

    def _has_ended(self, path: str) -> bool:
        notebook = self._events.notebooks.get(path)
        return notebook is not None and notebook.has_ended

    def _why_silent(self) -> str:
        status = self._process.wait()
        self._readers[1].join(_STOP_SECONDS)
        with self._news:
            said = "\n".join(self._log)
        if self._problem:
            why = f"what {_NAME} said is not understood: {self._problem}"
        elif self._events.has_ended:
            why = f"{_NAME} did not run this notebook"
        else:
            why = f"{_NAME} ended {_how(status)} before it had run this notebook"
        return f"{why}\n{said}".rstrip()

    def _read_events(self, stream: IO[str]) -> None:
        for line in stream:
            with self._news:
                if not self._problem:
                    try:
                        self._events.take(line)
                    except _NOT_UNDERSTOOD as error:
                        self._problem = str(error)
                        self._process.terminate()
                self._news.notify_all()
        stream.close()
        with self._news:
            self._is_silent = True
            self._news.notify_all()

    def _read_log(self, stream: IO[str]) -> None:
        for line in stream:
            with self._news:
                self._log.append(line.rstrip("\n"))
        stream.close()


class Runs:
    """All notebooks of a session. Those that are planned run in one `cellwall test`, that
    is started when the first of them is asked for; each other one in its own."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._planned: list[str] = []
        self._started: list[Run] = []
        self._runs: dict[str, Run] = {}
        self._told: set[str] = set()

    def listed(self, path: str) -> list[Cell]:
        """The cells of code of a notebook, which is not run. RunFailed."""
        events = _Events()
        try:
            done = subprocess.run(
                [*self._command, "--list", "--", path],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
            )
            for line in done.stdout.split("\n")[:-1]:
                events.take(line)
        except OSError as error:
            raise RunFailed(f"{self._command[0]}: {error.strerror}") from None
        except _NOT_UNDERSTOOD as error:
            raise RunFailed(f"what {_NAME} said is not understood: {error}") from None
        notebook = events.notebooks.get(path, Notebook(path))
        if notebook.reason:
            raise RunFailed(notebook.reason)
        if done.returncode != 0:
            said = done.stderr.strip()
            raise RunFailed(said or f"{_NAME} --list ended {_how(done.returncode)}")
        return [notebook.cells[number] for number in sorted(notebook.cells)]

    def plan(self, paths: Iterable[str]) -> None:
        self._planned = list(dict.fromkeys(paths))

    def notebook(self, path: str) -> Notebook:
        """Waits until PATH has been run. RunFailed: it has not, and will not be."""
        if path not in self._runs:
            together = self._planned if path in self._planned else [path]
            run = Run([*self._command, "--", *together])
            self._started.append(run)
            self._runs.update(dict.fromkeys(together, run))
        return self._runs[path].notebook(path)

    def forget(self, path: str) -> None:
        """Has PATH run once more when it is asked for."""
        self._runs.pop(path, None)
        self._planned = [other for other in self._planned if other != path]

    def has_told(self, failure: str) -> bool:
        """Whether this was asked before: one failure is told once."""
        has_told = failure in self._told
        self._told.add(failure)
        return has_told

    def close(self) -> None:
        for run in self._started:
            run.close()
        self._started.clear()
        self._runs.clear()
