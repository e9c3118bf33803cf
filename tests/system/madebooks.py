# SPDX-License-Identifier: MIT
"""Notebooks made for a test, and what `cellwall test` says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.system.conftest import BINARY

TIMEOUT_S = 300
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}

Cell = Any
Output = Any


def code(
    source: str,
    *outputs: Output,
    tags: Iterable[str] = (),
    metadata: dict[str, Any] | None = None,
    count: int | None = 1,
) -> Cell:
    """A cell of code that was run: COUNT is what the notebook has of that."""
    own: dict[str, Any] = {**(metadata or {})}
    if tags:
        own["tags"] = list(tags)
    return new_code_cell(
        source, outputs=list(outputs), metadata=own, execution_count=count
    )


def stream(text: str, name: str = "stdout") -> Output:
    return new_output("stream", name=name, text=text)


def result(data: str | dict[str, Any]) -> Output:
    bundle = {"text/plain": data} if isinstance(data, str) else data
    return new_output("execute_result", data=bundle, execution_count=1)


def shown(data: str | dict[str, Any]) -> Output:
    bundle = {"text/plain": data} if isinstance(data, str) else data
    return new_output("display_data", data=bundle)


def error(name: str, value: str) -> Output:
    return new_output("error", ename=name, evalue=value, traceback=[f"{name}: {value}"])


def write(path: Path, *cells: Cell, **metadata: Any) -> Path:
    """A valid notebook of Python, unless METADATA says otherwise."""
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    book = new_notebook(cells=list(cells), metadata={"kernelspec": PYTHON, **metadata})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    return path


@dataclass
class Outcome:
    """What a call of the program has left."""

    status: int
    stdout: str
    stderr: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str, name: str | None = None) -> list[dict[str, Any]]:
        """Events of KIND, of the notebook whose file has NAME."""
        return [
            event
            for event in self.events
            if event["event"] == kind
            and (name is None or Path(event["path"]).name == name)
        ]

    def cells(self, name: str) -> list[dict[str, Any]]:
        return self.of("cell", name)

    def cell(self, name: str, number: int = 0) -> dict[str, Any]:
        return next(c for c in self.cells(name) if c["cell"] == number)

    def notebook(self, name: str) -> dict[str, Any]:
        (event,) = self.of("notebook", name)
        return event

    def statuses(self, name: str) -> list[str]:
        return [cell["status"] for cell in self.cells(name)]

    @property
    def end(self) -> dict[str, Any]:
        (event,) = self.of("end")
        return event


def read_events(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def command(*words: str | Path) -> list[str | Path]:
    """`cellwall test WORDS`, with the interpreter that runs the tests."""
    return [BINARY, "test", "--python", sys.executable, *words]


def call_test(env: dict[str, str], folder: Path, *words: str | Path) -> Outcome:
    """Calls it in FOLDER, for the events, too."""
    file = folder / "events.jsonl"
    file.unlink(missing_ok=True)
    done = subprocess.run(
        command("--report", f"jsonl={file}", *words),
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr, read_events(file))
