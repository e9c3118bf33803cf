#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Executes notebooks and compares every output with the one that is stored.

What differs from run to run or from version to version (addresses, times, paths, colours)
is taken out of both sides first; images are compared by size and look, not by bytes.
Prints what differs and exits with 1 then. With --update the outputs that differ are
stored anew, unless a cell raised that is not tagged for it.
"""

from __future__ import annotations

import argparse
import base64
import difflib
import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CELL_TIMEOUT_S = 120
SIZE_TOLERANCE_PIXELS = 4  # fonts and their metrics change with versions
LOOK_TOLERANCE = 12.0  # mean difference of thumbnails, of 255
RAISES = "raises-exception"
IGNORED = "nbval-ignore-output"
SKIPPED = "skip-execution"

# Applied to both sides, in this order.
REPLACEMENTS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\x1b\[[0-9;]*[A-Za-z]"), ""),
    (re.compile(r"\b0x[0-9a-fA-F]{6,16}\b"), "<address>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "<time>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ns|µs|μs|us|ms|s)\b"), "<time>"),
    (re.compile(r"(/[^\s'\"<>:,()]+)*/(site-packages|lib/python3\.\d+|tmp)/[^\s'\"<>:,()]+"),
     "<path>"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "<version>"),
    (re.compile(r"[ \t\r]+$", re.MULTILINE), ""),
]  # fmt: skip
Output = dict[str, Any]


def normalised(text: str) -> str:
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def joined(value: Any) -> str:
    """Text of a MIME bundle, which may be stored as a list of lines."""
    return "".join(value) if isinstance(value, list) else str(value)


def text_difference(old: Any, new: Any) -> str | None:
    before, after = normalised(joined(old)), normalised(joined(new))
    if before == after:
        return None
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "stored", "executed", lineterm="", n=1
    )
    return "\n".join(["text differs", *(f"    {line}" for line in lines)])


def json_difference(old: Any, new: Any) -> str | None:
    if old == new:
        return None
    return f"JSON differs: stored {json.dumps(old)}, executed {json.dumps(new)}"


def image_difference(old: Any, new: Any) -> str | None:
    before, after = (
        Image.open(io.BytesIO(base64.b64decode(joined(data)))).convert("RGB")
        for data in (old, new)
    )
    sizes = zip(before.size, after.size, strict=True)
    if any(abs(a - b) > SIZE_TOLERANCE_PIXELS for a, b in sizes):
        return f"image differs: stored {before.size}, executed {after.size} pixels"
    small = [image.resize((32, 32), Image.Resampling.BOX) for image in (before, after)]
    pairs = zip(small[0].tobytes(), small[1].tobytes(), strict=True)
    difference = sum(abs(a - b) for a, b in pairs) / len(small[0].tobytes())
    if difference > LOOK_TOLERANCE:
        return f"image differs: by {difference:.1f} of 255 in the mean"
    return None


def widget_difference(old: Any, new: Any) -> str | None:
    """The model's id is random."""
    return json_difference(*({**value, "model_id": None} for value in (old, new)))


# The first pattern that matches decides; all other types are text.
POLICIES: list[tuple[str, Callable[[Any, Any], str | None]]] = [
    (r"image/(png|jpeg|gif)$", image_difference),
    (r"application/vnd\.jupyter\.widget-view\+json$", widget_difference),
    (r"application/(.*\+)?json$", json_difference),
]


def policy_of(mime: str) -> Callable[[Any, Any], str | None]:
    for pattern, compare in POLICIES:
        if re.match(pattern, mime):
            return compare
    return text_difference


def merged(outputs: list[Output]) -> list[Output]:
    """OUTPUTS, neighbouring texts of one stream made one: how they are cut is chance."""
    result: list[Output] = []
    for output in outputs:
        last = result[-1] if result else None
        if (
            last is not None
            and output["output_type"] == last["output_type"] == "stream"
            and output["name"] == last["name"]
        ):
            result[-1] = {**last, "text": joined(last["text"]) + joined(output["text"])}
        else:
            result.append(dict(output))
    return result


def own_frames(traceback: list[str]) -> str:
    """TRACEBACK without the frames of libraries, whose lines change with versions."""
    plain = (normalised(entry) for entry in traceback)
    return "\n".join(entry for entry in plain if not entry.startswith("File "))


def output_differences(old: Output, new: Output) -> Iterator[str]:
    kind = old["output_type"]
    if kind != new["output_type"]:
        yield f"is {new['output_type']}, was {kind}"
    elif kind == "stream":
        if old["name"] != new["name"]:
            yield f"is on {new['name']}, was on {old['name']}"
        elif difference := text_difference(old["text"], new["text"]):
            yield f"{old['name']}: {difference}"
    elif kind == "error":
        for key in ("ename", "evalue"):
            if difference := text_difference(old[key], new[key]):
                yield f"{key}: {difference}"
        frames = own_frames(old["traceback"]), own_frames(new["traceback"])
        if difference := text_difference(*frames):
            yield f"traceback: {difference}"
    else:
        yield from bundle_differences(old["data"], new["data"])


def bundle_differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for mime in sorted(old.keys() | new.keys()):
        if mime not in new:
            yield f"{mime} is missing"
        elif mime not in old:
            yield f"{mime} is new"
        elif difference := policy_of(mime)(old[mime], new[mime]):
            yield f"{mime}: {difference}"


def tags_of(cell: dict[str, Any]) -> list[str]:
    return cell.get("metadata", {}).get("tags", [])


def cell_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between the outputs of one code cell as stored and as executed."""
    found = []
    if old["execution_count"] != new["execution_count"]:
        found.append(f"count is {new['execution_count']}, was {old['execution_count']}")
    if IGNORED in tags_of(old):
        return found
    before, after = merged(old["outputs"]), merged(new["outputs"])
    for number, (a, b) in enumerate(zip(before, after, strict=False), 1):
        found += [f"output {number}: {text}" for text in output_differences(a, b)]
    found += [f"an output is missing: {shown(output)}" for output in before[len(after) :]]
    found += [f"an output is new: {shown(output)}" for output in after[len(before) :]]
    return found


def shown(output: Output) -> str:
    kinds = {"stream": ("name", "text"), "error": ("ename", "evalue")}
    keys = kinds.get(output["output_type"])
    return f"{output['output_type']} " + (
        ", ".join(repr(joined(output[key])) for key in keys)
        if keys
        else ", ".join(sorted(output["data"]))
    )


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def executed(path: Path, kernel: str | None) -> Any:
    """The notebook PATH with fresh outputs, executed in a copy of its folder.

    Raises DeadKernelError or CellTimeoutError of nbclient."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="cellwall-notebooks-") as scratch:
        folder = Path(scratch, "notebooks")
        shutil.copytree(path.resolve().parent, folder)
        NotebookClient(
            notebook,
            kernel_name=kernel or notebook.metadata.kernelspec.name,
            resources={"metadata": {"path": str(folder)}},
            timeout=CELL_TIMEOUT_S,
            allow_errors=True,  # what was not expected differs from what is stored
            record_timing=False,
            store_widget_state=False,
        ).execute()
    return notebook


def differences(path: Path, kernel: str | None) -> tuple[list[str], Any]:
    """What differs in PATH, a text for each, and the executed notebook if it ended."""
    stored = nbformat.read(path, as_version=4)
    found: list[str] = []
    try:
        fresh = executed(path, kernel)
    except (DeadKernelError, CellTimeoutError) as error:
        return [f"{path.name}: {type(error).__name__}: {error}"], None
    for old, new in zip(code_cells(stored), code_cells(fresh), strict=True):
        found += [f"{path.name}, {old.id}: {text}" for text in cell_differences(old, new)]
    return found, fresh


def unexpected_errors(notebook: Any) -> list[str]:
    return [
        f"{cell.id}: {output.ename}: {output.evalue}"
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error" and RAISES not in tags_of(cell)
    ]


def update(path: Path, fresh: Any) -> None:
    """Stores the outputs of FRESH that differ; everything else keeps its bytes."""
    notebook = nbformat.read(path, as_version=4)
    for old, new in zip(code_cells(notebook), code_cells(fresh), strict=True):
        if cell_differences(old, new):
            old.outputs = [nbformat.from_dict(output) for output in merged(new.outputs)]
            old.execution_count = new.execution_count
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--kernel", help="default: the one that the notebook names")
    parser.add_argument("--update", action="store_true", help="store what differs")
    arguments = parser.parse_args()
    status = 0
    for path in arguments.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        found, fresh = differences(path, arguments.kernel)
        errors = unexpected_errors(fresh) if fresh is not None else []
        if arguments.update and found and fresh is not None and not errors:
            update(path, fresh)
            print(f"{path.name}: stored anew, {len(found)} differences")
            continue
        print("\n".join([*found, *errors]) or f"{path.name}: as stored")
        status = 1 if found or errors else status
    return status


if __name__ == "__main__":
    sys.exit(main())
