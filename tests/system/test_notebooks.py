# SPDX-License-Identifier: MIT
"""The notebooks that teach are well kept; those in Python do what they show."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image

from tests.system.compare_notebooks import (
    IGNORED,
    NOTEBOOKS,
    SKIPPED,
    cell_differences,
    code_cells,
    differences,
    tags_of,
    update,
)

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
KERNELS = {
    "python": ("Python (Cellwall)", "python", "cellwall-python"),
    "bash": ("Bash (Cellwall)", "bash", "cellwall-bash"),
    "javascript": ("JavaScript (Cellwall)", "javascript", "cellwall-javascript"),
    "r": ("R", "R", "ir"),  # it is the bridge that is ours
    "typescript": ("TypeScript (Cellwall)", "typescript", "cellwall-typescript"),
}
ALL = PATHS + [NOTEBOOKS / f"languages/{name}.ipynb" for name in list(KERNELS)[1:]]
# The order of the streams, what dies and what is refused is ours.
OURS = {"01-first-cell", "04-interrupt-and-errors", "05-what-the-sandbox-refuses"}


def test_there_are_notebooks() -> None:
    assert [path.stem[:2] for path in PATHS] == [
        f"{number:02}" for number in range(1, len(PATHS) + 1)
    ]
    assert len(PATHS) >= 7
    assert sorted(NOTEBOOKS.glob("languages/*.ipynb")) == sorted(ALL[len(PATHS) :])


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_names_our_kernel(path: Path) -> None:
    raw = json.loads(path.read_text())

    nbformat.validate(nbformat.read(path, as_version=4))
    assert (raw["nbformat"], raw["nbformat_minor"]) == (4, 5)
    kernel = KERNELS.get(path.stem, KERNELS["python"])
    assert raw["metadata"] == {
        "kernelspec": dict(
            zip(("display_name", "language", "name"), kernel, strict=True)
        ),
        "language_info": {"name": kernel[1]},
    }
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_outputs_and_without_noise(path: Path) -> None:
    raw = json.loads(path.read_text())
    cells = [cell for cell in raw["cells"] if cell["cell_type"] == "code"]

    run = [cell for cell in cells if SKIPPED not in tags_of(cell)]
    counts = [cell["execution_count"] for cell in run]
    assert counts == list(range(1, len(run) + 1))
    assert any(cell["outputs"] for cell in cells)
    for cell in cells:
        assert "execution" not in cell["metadata"]
    assert not re.search(r"(?<![\w.])/(root|home|work)/", path.read_text())
    assert path.stat().st_size < 300_000


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.cellwall] * (path.stem in OURS))
        for path in PATHS
    ],
    ids=lambda path: path.stem,
)
def test_a_notebook_does_what_it_shows(path: Path, kernel_name: str) -> None:
    found, _ = differences(path, kernel_name)

    assert found == []


# --- the comparison itself must see what it is for ------------------------------------


def picture(size: tuple[int, int], colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def shown(**data: Any) -> dict[str, Any]:
    bundle = {key.replace("_", "/"): value for key, value in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def error(*traceback: str, evalue: str = "no") -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": "OSError",
        "evalue": evalue,
        "traceback": list(traceback),
    }


def cell(*outputs: dict[str, Any]) -> dict[str, Any]:
    return {"execution_count": 1, "outputs": list(outputs)}


RED, BLUE = picture((60, 40), "red"), picture((60, 40), "blue")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (cell(stream("a"), stream("b")), cell(stream("ab"))),
        (cell(stream("<x at 0x7f0012345678>")), cell(stream("<x at 0x7fffaa345678>"))),
        (cell(stream("took 12.5 ms")), cell(stream("took 3 ms"))),
        (cell(stream("took 12.5 \u03bcs")), cell(stream("took 3 \u00b5s"))),
        ({**cell(stream("a")), "metadata": {"tags": [IGNORED]}}, cell(stream("b"))),
        (cell(stream("\x1b[31mred\x1b[0m")), cell(stream("red"))),
        (cell(stream("IPython 9.1.0")), cell(stream("IPython 9.2.1"))),
        (cell(shown(image_png=RED)), cell(shown(image_png=RED + "\n"))),
        (cell(shown(text_plain=["a\n", "b"])), cell(shown(text_plain="a\nb"))),
        (cell(error("Cell In[1], line 1", "File /a/b.py:3, in f\n  1 x")),
         cell(error("Cell In[1], line 1", "File /c/b.py:9, in f\n  1 y"))),
    ],
)  # fmt: skip
def test_what_is_chance_is_no_difference(old: dict, new: dict) -> None:
    assert cell_differences(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (cell(stream("a")), cell(stream("b")), "text differs"),
        (cell(stream("a")), cell(stream("a", "stderr")), "is on stderr"),
        (cell(stream("a")), cell(), "missing"),
        (cell(), cell(stream("a")), "is new: stream 'stdout', 'a'"),
        (cell(stream("a")), cell(shown(text_plain="a")), "was stream"),
        (cell(shown(text_plain="a")), cell(shown(text_plain="a", text_html="a")),
         "text/html is new"),
        (cell(shown(text_plain="a", text_html="a")), cell(shown(text_plain="a")),
         "text/html is missing"),
        (cell(shown(image_png=RED)), cell(shown(image_png=BLUE)), "in the mean"),
        (cell(shown(image_png=RED)), cell(shown(image_png=picture((60, 90), "red"))),
         "pixels"),
        (cell(shown(application_json={"a": 1})), cell(shown(application_json={"a": 2})),
         "JSON differs"),
        (cell(error("Cell In[1], line 1")), cell(error("Cell In[1], line 2")),
         "traceback"),
        (cell(error(evalue="no")), cell(error(evalue="yes")), "evalue"),
        (cell(), {**cell(), "execution_count": 2}, "count is 2, was 1"),
    ],
)  # fmt: skip
def test_a_difference_is_found(old: dict, new: dict, said: str) -> None:
    found = cell_differences(old, new)

    assert len(found) == 1
    assert said in found[0]


def test_an_update_stores_what_differs_and_leaves_the_rest(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(f"cell {n}", id=f"c{n}") for n in (1, 2)]
    )
    for number, stored in enumerate(notebook.cells, 1):
        stored.execution_count = number
        stored.outputs = [nbformat.from_dict(stream(f"at 0x{number:012x}"))]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(notebook, path)
    before = json.loads(path.read_text())
    fresh = copy.deepcopy(notebook)
    fresh.cells[0].outputs = [nbformat.from_dict(stream("at 0xffffffffffff"))]
    fresh.cells[1].outputs = [nbformat.from_dict(stream("something else"))]

    update(path, fresh)

    after = json.loads(path.read_text())
    assert after["cells"][0] == before["cells"][0]
    assert after["cells"][1]["outputs"][0]["text"] == ["something else"]
    assert len(code_cells(nbformat.read(path, as_version=4))) == 2
