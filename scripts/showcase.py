# SPDX-License-Identifier: MIT
"""Runs the showcase through the kernel and leaves the notebook, a page and its plots."""

from __future__ import annotations

import base64
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks/06-showcase.ipynb"
TARGET = ROOT / "build/quickstart"
KERNEL = "cellwall-python"


def write_plots(notebook: nbformat.NotebookNode) -> list[Path]:
    """Writes each PNG among the outputs to a file, numbered in their order."""
    plots = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            image = output.get("data", {}).get("image/png")
            if image is not None:
                plots.append(TARGET / f"plot-{len(plots) + 1}.png")
                plots[-1].write_bytes(base64.b64decode(image))
    return plots


def main() -> int:
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(NOTEBOOK.parent / "data", TARGET / "data")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name=KERNEL,
        resources={"metadata": {"path": str(TARGET)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"showcase: a cell failed: {error}", file=sys.stderr)
        return 1
    files = [TARGET / "executed.ipynb", TARGET / "index.html"]
    nbformat.write(notebook, files[0])
    page, _ = HTMLExporter().from_notebook_node(notebook)
    files[1].write_text(page)
    files += write_plots(notebook)
    print("\nHave a look at:")
    for file in files:
        print(f"    {file.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
