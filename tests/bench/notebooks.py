# SPDX-License-Identifier: MIT
"""Rows: a folder of notebooks, run and compared with what is stored in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import books
from tests.bench.kernels import CELLWALL, SERVED, Bench, turns
from tests.bench.results import (
    EXECUTE,
    NBMAKE,
    NBMAKE_AUTO,
    NBVAL,
    NBVAL_TWO,
    Results,
    Spec,
)

GROUP = "Notebooks as tests"
COUNT = 30
JOBS = 2
TIMEOUT_S = 900
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
FAILED = 1  # the exit status of all of them


@dataclass(frozen=True)
class Tool:
    column: str
    command: tuple[str, ...]  # what to test comes behind it
    each: bool = False  # takes notebooks, not a folder


def tools(bench: Bench, compares: bool) -> list[Tool]:
    """Those that compare outputs, or those that only run."""
    program = str(bench.build / "cellwall")
    ours = (program, "test", "--jobs", str(JOBS), "--python", sys.executable)
    if not compares:
        ours += ("--compare", "none")
    columns = [column for column in (CELLWALL, SERVED) if column in bench.names]
    found = [Tool(column, ours) for column in columns]
    if compares:
        # nbval's items are cells; those of one notebook must stay together.
        two = ("-n", str(JOBS), "--dist", "loadscope")
        return [
            *found,
            Tool(NBVAL, (*PYTEST, "--nbval")),
            Tool(NBVAL_TWO, (*PYTEST, "--nbval", *two)),
        ]
    return [
        *found,
        Tool(NBMAKE, (*PYTEST, "--nbmake")),
        Tool(NBMAKE_AUTO, (*PYTEST, "--nbmake", "-n", "auto")),
        Tool(EXECUTE, (sys.executable, "-m", "jupyter", "execute"), each=True),
    ]


def run(bench: Bench, tool: Tool, folder: Path) -> tuple[int, float, str]:
    """Exit status, seconds, and what it said, of TOOL on a copy of FOLDER: some leave
    things there."""
    scratch = bench.folder / "scratch"
    shutil.copytree(folder, scratch)
    what = [path.name for path in sorted(scratch.glob("*.ipynb"))] if tool.each else ["."]
    began = time.perf_counter()
    done = subprocess.run(
        [*tool.command, *what],
        cwd=scratch,
        env={**os.environ, **bench.env.get(tool.column, {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    seconds = time.perf_counter() - began
    shutil.rmtree(scratch)
    return done.returncode, seconds, done.stdout


def tampered(bench: Bench, folder: Path) -> Path:
    """A folder with one notebook of FOLDER, in which one stored output is wrong."""
    wrong = bench.folder / "wrong"
    wrong.mkdir()
    notebook = json.loads((folder / "report-04.ipynb").read_text())
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if output["output_type"] == "execute_result":
                output["data"]["text/plain"] = ["something else"]
    (wrong / "wrong.ipynb").write_text(json.dumps(notebook))
    return wrong


def measure(bench: Bench, results: Results) -> None:
    folder = bench.folder / "books"
    folder.mkdir()
    cells = books.write(folder, COUNT)
    wrong = tampered(bench, folder)
    what = f"{COUNT} notebooks, {cells} cells"
    for compares, key, label in (
        (True, "notebooks.compare", f"{what}: run, and compared with what is stored"),
        (False, "notebooks.run", f"{what}: only run"),
    ):
        found = {tool.column: tool for tool in tools(bench, compares)}
        if compares:
            for tool in found.values():
                status, _, said = run(bench, tool, wrong)
                if status != FAILED:
                    raise RuntimeError(f"{tool.column} takes what is wrong: {said}")
        for column in turns(list(found), bench.rounds(3, 1)):
            status, seconds, said = run(bench, found[column], folder)
            if status != 0:
                raise RuntimeError(f"{column} fails: {said}")
            results.note(key, Spec(GROUP, label, "s"), column, seconds)
    results.remark(
        f"notebooks: {JOBS} at a time for cellwall; nbmake's -n auto is one for each of "
        f"{os.cpu_count()} processors"
    )
