# SPDX-License-Identifier: MIT
"""The notebooks in other languages, and the one in several, do what they show."""

from __future__ import annotations

import json
import os

import nbformat
import pytest

from tests.system.compare_notebooks import NOTEBOOKS, differences
from tests.system.conftest import BINARY, BRIDGED_R, ROOT

pytestmark = pytest.mark.cellwall

PATH = NOTEBOOKS / "agents/several-languages.ipynb"


def test_it_is_valid_and_has_outputs() -> None:
    nbformat.validate(nbformat.read(PATH, as_version=4))
    raw = json.loads(PATH.read_text())
    codes = [cell for cell in raw["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in codes] == list(range(1, len(codes) + 1))
    kinds = {kind for c in codes for o in c["outputs"] for kind in o.get("data", {})}
    assert {"text/html", "image/png", "text/plain"} <= kinds


def test_it_does_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLWALL_PROGRAM", os.fspath(BINARY))
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT / "clients/python/src"))
    found, _ = differences(PATH, "python3")
    assert found == []


@pytest.mark.parametrize(
    ("name", "kernelspecs_of", "kernel"),
    [
        ("bash", "bash_kernelspec", "cellwall-bash"),
        ("javascript", "node_kernelspecs", "cellwall-javascript"),
        ("typescript", "node_kernelspecs", "cellwall-typescript"),
        ("r", "bridged_kernelspecs", BRIDGED_R),
    ],
)
def test_a_language_does_what_its_notebook_shows(
    name: str, kernelspecs_of: str, kernel: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(kernelspecs_of)

    found, _ = differences(NOTEBOOKS / f"languages/{name}.ipynb", kernel)

    assert found == []
