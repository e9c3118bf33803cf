# SPDX-License-Identifier: MIT
"""Notebooks as pytest's files, and their cells of code as its items.

They have the names that nbval gives them, so that lists of node ids stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import TerminalRepr

from ._cells import Cell
from ._options import command
from ._runs import RunFailed, Runs
from ._show import CellReport

_PENDING = ".pending.ipynb"  # what `cellwall test --record` writes
_REPORT = "$cellwall_cell"


class CellFailed(Exception):
    """A cell's status is another than passed."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell.summary())
        self.cell = cell


class CellwallNote(pytest.PytestWarning):
    """What `cellwall test` has to say of a notebook that is no failure."""


class NotebookFile(pytest.File):
    """A notebook."""

    runs: Runs

    def collect(self) -> Iterator[CellItem]:
        try:
            cells = self.runs.listed(str(self.path))
        except RunFailed as error:
            raise self.CollectError(str(error)) from None
        for cell in cells:
            yield CellItem.from_parent(self, name=f"Cell {cell.number}", cell=cell)


class CellItem(pytest.Item):
    """A cell of code. Its test is what `cellwall test` says of it."""

    def __init__(self, *, cell: Cell, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._number = cell.number
        self._line = cell.line
        self._was_run = False
        self.seconds: float | None = None

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._line - 1, f"{self._shown_path()}, cell {self._number}"

    def runtest(self) -> None:
        file = self.parent
        assert isinstance(file, NotebookFile)
        path = str(self.path)
        if self._was_run:  # another plugin asks for another try
            file.runs.forget(path)
        self._was_run = True
        try:
            notebook = file.runs.notebook(path)
            for note in notebook.take_notes():
                self.warn(CellwallNote(note))
            cell = notebook.cell(self._number)
        except RunFailed as error:
            if file.runs.has_told(str(error)):
                pytest.skip("was not run: " + str(error).partition("\n")[0])
            raise
        self.seconds = cell.seconds
        if cell.status in ("skipped", "not_run"):
            pytest.skip(cell.reason or cell.status)
        if cell.status != "passed":
            raise CellFailed(cell)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        error = excinfo.value
        if isinstance(error, CellFailed):
            return CellReport(self._shown_path(), error.cell)
        if isinstance(error, RunFailed):
            return str(error)
        return super().repr_failure(excinfo, style)

    def _shown_path(self) -> str:
        return os.path.relpath(self.path, self.config.invocation_params.dir)


class Notebooks:
    """The plugin, where it is asked for. Owns the child programs."""

    def __init__(self, config: pytest.Config, is_lax: bool) -> None:
        if any(config.getoption(name, False) for name in ("nbval", "nbval_lax")):
            raise pytest.UsageError("--cellwall and --nbval: the same cells twice")
        self._command = command(config, is_lax)
        self._runs = Runs(self._command)
        # A worker of pytest-xdist does not know what it is to run.
        self._may_plan = not hasattr(config, "workerinput")

    def pytest_report_header(self) -> str:
        return f"cellwall: {self._command[0]}"

    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        if file_path.suffix != ".ipynb":
            return None
        is_named = parent.session.isinitpath(file_path)
        if file_path.name.endswith(_PENDING) and not is_named:
            return None
        file = NotebookFile.from_parent(parent, path=file_path)
        file.runs = self._runs
        return file

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._may_plan:
            items = (item for item in session.items if isinstance(item, CellItem))
            self._runs.plan(str(item.path) for item in items)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        outcome = yield
        if not isinstance(item, CellItem) or call.when != "call":
            return
        report = outcome.get_result()
        if item.seconds is not None:
            report.duration = item.seconds  # of the cell, not of waiting for it
        if report.skipped and isinstance(report.longrepr, tuple):
            path, line, _ = item.reportinfo()
            report.longrepr = (os.fspath(path), line + 1, report.longrepr[2])

    # How a failure gets from a worker of pytest-xdist to its master.

    @pytest.hookimpl(hookwrapper=True)
    def pytest_report_to_serializable(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> Generator[None, Any, None]:
        outcome = yield
        if isinstance(report.longrepr, CellReport):
            outcome.get_result()[_REPORT] = report.longrepr.to_json()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_report_from_serializable(
        self, data: dict[str, Any]
    ) -> Generator[None, Any, None]:
        told = data.pop(_REPORT, None)
        outcome = yield
        if told is not None:
            outcome.get_result().longrepr = CellReport.from_json(told)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._runs.close()

    def pytest_unconfigure(self) -> None:
        self._runs.close()
