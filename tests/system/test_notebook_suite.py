# SPDX-License-Identifier: MIT
"""The project's own notebooks pass `cellwall test`, in every runtime."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.system.compare_notebooks import NOTEBOOKS, SKIPPED, tags_of
from tests.system.conftest import BINARY, need_node

pytestmark = pytest.mark.cellwall

LANGUAGES = ("bash", "javascript", "r", "typescript")
TIMEOUT_S = 900


class Run:
    """`cellwall test` of FOLDER, and what it told."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.done = subprocess.run(
            [BINARY, "test", "notebooks", "--python", sys.executable, "--server", "none"]
            + ["--report", "jsonl=events.jsonl", "--report", "junit=junit.xml", *options],
            cwd=folder,
            env=need_node(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        lines = (folder / "events.jsonl").read_text().splitlines()
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == event]


@pytest.fixture(scope="module")
def project(kernelspecs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the notebooks: a test leaves nothing in the project."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    return folder


@pytest.fixture(scope="module")
def run(project: Path) -> Run:
    return Run(project)


def codes(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_all_notebooks_pass(run: Run) -> None:
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    assert run.of("end")[0]["status"] == "passed"
    left_out = json.loads((NOTEBOOKS / "cellwall-test.json").read_text())["exclude"]
    wanted = {
        path.relative_to(NOTEBOOKS.parent).as_posix()
        for path in NOTEBOOKS.rglob("*.ipynb")
        if not any(path.relative_to(NOTEBOOKS).match(pattern) for pattern in left_out)
    }
    assert {event["path"] for event in run.of("notebook")} == wanted
    assert {f"notebooks/languages/{name}.ipynb" for name in LANGUAGES} < wanted


def test_every_runtime_really_runs(run: Run) -> None:
    kernels = {event["path"]: event["kernel"] for event in run.of("notebook_begin")}

    languages = {name: kernels[f"notebooks/languages/{name}.ipynb"] for name in LANGUAGES}
    assert languages == {name: name for name in LANGUAGES} | {"r": "ir"}
    assert set(kernels.values()) == {"python", *languages.values()}


def test_every_cell_of_code_is_run_and_compared(run: Run) -> None:
    told = Counter(event["path"] for event in run.of("cell"))
    for event in run.of("cell"):
        cell = codes(run.folder / event["path"])[event["cell"]]
        where = f"{event['path']}, {event['id']}"
        assert (event["id"], event["source"]) == (cell["id"], "".join(cell["source"]))
        if SKIPPED in tags_of(cell):
            assert event["status"] == "skipped", where
        else:
            assert event["status"] == "passed", where
            assert event["compared"] == ("nbval-ignore-output" not in tags_of(cell)), (
                where
            )
            assert event["execution_count"] == cell["execution_count"], where
    assert told == {path: len(codes(run.folder / path)) for path in told}


def test_junit_has_a_case_for_each_cell(run: Run) -> None:
    cases = ElementTree.parse(run.folder / "junit.xml").getroot().iter("testcase")

    assert len(list(cases)) == len(run.of("cell"))


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_wrong_output_is_found_in_every_language(
    name: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / f"notebooks/{name}.ipynb"
    notebook = json.loads((NOTEBOOKS / f"languages/{name}.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    output = cells[0]["outputs"][0]
    if "text" in output:
        output["text"] = ["something else"]
    else:
        output["data"] = {kind: ["something else"] for kind in output["data"]}
    path.write_text(json.dumps(notebook))

    wrong = Run(tmp_path)

    assert wrong.done.returncode == 1, wrong.done.stdout + wrong.done.stderr
    failed = [event for event in wrong.of("cell") if event["status"] != "passed"]
    assert [(event["id"], event["reason"]["kind"]) for event in failed] == [
        (cells[0]["id"], "differs")
    ]
    assert "something else" in wrong.done.stdout
