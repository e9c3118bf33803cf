# SPDX-License-Identifier: MIT
"""Stock Jupyter programs run notebooks on this kernel as they do on any other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from jupyter_client.manager import KernelManager

BIN = Path(sys.executable).parent


def notebook(kernel_name: str, *cells: str) -> nbformat.NotebookNode:
    nb = nbformat.v4.new_notebook()
    nb.metadata.kernelspec = {
        "name": kernel_name,
        "display_name": "",
        "language": "python",
    }
    nb.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    return nb


def texts(cell: nbformat.NotebookNode) -> list[str]:
    return [o["text"] if "text" in o else o["data"]["text/plain"] for o in cell.outputs]


# --- nbclient -------------------------------------------------------------------------


def run_notebook(nb: nbformat.NotebookNode, path: Path, **options: Any) -> None:
    options = {"timeout": 60, "kernel_name": nb.metadata.kernelspec.name, **options}
    nbclient.NotebookClient(
        nb, resources={"metadata": {"path": str(path)}}, **options
    ).execute()


def test_nbclient_runs_a_notebook(kernel_name: str, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("from the notebook's folder")
    nb = notebook(
        kernel_name,
        "x = 20",
        "print(open('data.txt').read())\nx + 1",
        "from IPython.display import HTML, clear_output\nHTML('<b>x</b>')",
        "print('gone'); clear_output(); print('stays')",
        "await __import__('asyncio').sleep(0)",
    )
    run_notebook(nb, tmp_path)

    assert [c.execution_count for c in nb.cells] == [1, 2, 3, 4, 5]
    assert texts(nb.cells[1]) == ["from the notebook's folder\n", "21"]
    assert nb.cells[2].outputs[0].data["text/html"] == "<b>x</b>"
    assert texts(nb.cells[3]) == ["stays\n"]


def test_nbclient_stops_at_an_error(kernel_name: str, tmp_path: Path) -> None:
    nb = notebook(kernel_name, "a = 1", "a / 0", "print('never')")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        run_notebook(nb, tmp_path)

    assert nb.cells[1].outputs[0].ename == "ZeroDivisionError"
    assert nb.cells[2].outputs == []


def test_nbclient_allows_errors_when_told(kernel_name: str, tmp_path: Path) -> None:
    nb = notebook(kernel_name, "1 / 0", "print('goes on')")
    run_notebook(nb, tmp_path, allow_errors=True)

    assert texts(nb.cells[1]) == ["goes on\n"]


def test_nbclient_interrupts_at_a_timeout(kernel_name: str, tmp_path: Path) -> None:
    nb = notebook(kernel_name, "kept = 1\nwhile True: pass", "print(kept)")
    run_notebook(nb, tmp_path, timeout=2, interrupt_on_timeout=True, allow_errors=True)

    assert nb.cells[0].outputs[0].ename == "KeyboardInterrupt"
    assert texts(nb.cells[1]) == ["1\n"]


@pytest.mark.cellwall
def test_nbclient_reports_a_crash_and_goes_on(kernel_name: str, tmp_path: Path) -> None:
    nb = notebook(kernel_name, "import os; os.kill(os.getpid(), 11)", "1 + 1")
    run_notebook(nb, tmp_path, allow_errors=True)

    assert "SIGSEGV" in json.dumps(nb.cells[0].outputs)
    assert texts(nb.cells[1]) == ["2"]


def test_nbclient_stores_the_state_of_widgets(kernel_name: str, tmp_path: Path) -> None:
    nb = notebook(
        kernel_name,
        "import ipywidgets as w\n"
        "slider = w.IntSlider(value=3, description='n')\n"
        "label = w.Label('first')\n"
        "def follow(change): label.value = str(change.new)\n"
        "slider.observe(follow, 'value')\n"
        "w.VBox([slider, label])",
        "slider.value = 7",
        "out = w.Output()\nwith out:\n    print('captured')\nout",
        "@w.interact(x=5)\ndef show(x): print('x is', x)",
    )
    run_notebook(nb, tmp_path, store_widget_state=True)
    stored = nb.metadata.widgets["application/vnd.jupyter.widget-state+json"]
    states = {s["model_name"]: s["state"] for s in stored["state"].values()}
    view = nb.cells[0].outputs[0].data["application/vnd.jupyter.widget-view+json"]

    assert view["model_id"] in stored["state"]
    assert states["LabelModel"]["value"] == "7"
    sliders = [
        s["state"]
        for s in stored["state"].values()
        if s["model_name"] == "IntSliderModel"
    ]
    assert 7 in [s["value"] for s in sliders]
    outputs = [
        s["state"]["outputs"]
        for s in stored["state"].values()
        if s["model_name"] == "OutputModel"
    ]
    assert "captured\n" in [o["text"] for outs in outputs for o in outs]
    assert "x is 5\n" in [o["text"] for outs in outputs for o in outs]


# --- jupyter_client -------------------------------------------------------------------


def test_jupyter_client_restarts_and_shuts_down(
    kernel_name: str, kernelspecs: Path
) -> None:
    manager = KernelManager(kernel_name=kernel_name)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        client.execute_interactive("a = 1", timeout=30)
        manager.interrupt_kernel()
        manager.restart_kernel()
        client.wait_for_ready(timeout=30)
        reply = client.execute_interactive("a", timeout=30, output_hook=lambda m: None)
        assert reply["content"]["ename"] == "NameError"
        assert manager.is_alive()
        assert client.is_alive()
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert not manager.is_alive()


# --- command lines --------------------------------------------------------------------


def command(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    done = subprocess.run(
        args, cwd=cwd, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_papermill_runs_a_notebook_with_parameters(
    kernel_name: str, tmp_path: Path
) -> None:
    nb = notebook(kernel_name, "n = 1", "print('n is', n)")
    nb.cells[0].metadata.tags = ["parameters"]
    nbformat.write(nb, tmp_path / "in.ipynb")
    command(
        *(sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb"),
        *("-p", "n", "42", "--no-progress-bar"),
        cwd=tmp_path,
    )
    done = nbformat.read(tmp_path / "out.ipynb", as_version=4)

    assert texts(done.cells[-1]) == ["n is 42\n"]


def test_nbconvert_executes_and_converts(kernel_name: str, tmp_path: Path) -> None:
    nb = notebook(
        kernel_name, "from IPython.display import HTML\nHTML('<b>made here</b>')"
    )
    nbformat.write(nb, tmp_path / "in.ipynb")
    command(
        *(sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "in.ipynb"),
        cwd=tmp_path,
    )

    assert "<b>made here</b>" in (tmp_path / "in.html").read_text()


def test_jupyter_kernelspec_lists_it(kernel_name: str, kernelspecs: Path) -> None:
    done = subprocess.run(
        [BIN / "jupyter-kernelspec", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert kernel_name in json.loads(done.stdout)["kernelspecs"]
