# SPDX-License-Identifier: MIT
"""The programs that run notebooks without a person: nbclient, papermill, nbconvert."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode
from PIL import Image

from tests.system.compare_notebooks import merged
from tests.system.conftest import marked_processes, wait_for_no_process

RICH = {
    "frame": "import pandas as pd\npd.DataFrame({'planet': ['Mars'], 'moons': [2]})",
    "plot": "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);",
    "math": "from IPython.display import Math\nMath(r'\\sqrt{2}')",
    "json": "from IPython.display import JSON\nJSON({'deep': [1, {'er': None}]})",
}


@pytest.fixture(autouse=True)
def no_process_stays_after_the_client() -> Iterator[None]:
    before = set(marked_processes())
    yield
    assert wait_for_no_process(before) == {}


@pytest.fixture
def client_of(kernel_name: str, tmp_path: Path) -> Any:
    def make(notebook: NotebookNode, **options: Any) -> NotebookClient:
        resources = {"metadata": {"path": str(tmp_path)}}
        options = {"timeout": 60, "kernel_name": kernel_name, **options}
        return NotebookClient(notebook, resources=resources, **options)

    return make


def notebook_of(*sources: str, **named: str) -> NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells += [nbformat.v4.new_code_cell(s, id=name) for name, s in named.items()]
    return nbformat.v4.new_notebook(cells=cells)


def data_of(notebook: NotebookNode, cell: str) -> dict[str, Any]:
    """The MIME bundle of the only output of the cell with the id CELL."""
    [found] = [c for c in notebook.cells if c.id == cell]
    [output] = [o for o in found.outputs if "data" in o]
    return output.data


def stdout_of(cell: NotebookNode) -> str:
    texts = (o.text for o in cell.outputs if o.output_type == "stream")
    return "".join(texts)


def size_of_png(data: str) -> tuple[int, int]:
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    image.load()
    assert image.format == "PNG"
    assert len(image.convert("RGB").getcolors(1 << 24)) > 1  # it is not blank
    return image.size


def check_rich(notebook: NotebookNode) -> None:
    assert "<td>Mars</td>" in data_of(notebook, "frame")["text/html"]
    assert min(size_of_png(data_of(notebook, "plot")["image/png"])) > 100
    assert "\\sqrt{2}" in data_of(notebook, "math")["text/latex"]
    tree = data_of(notebook, "json")["application/json"]
    assert tree == {"deep": [1, {"er": None}]}
    assert all("text/plain" in data_of(notebook, name) for name in RICH)


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a Jupyter program of this environment."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=150,
    )


def written(path: Path, notebook: NotebookNode) -> Path:
    nbformat.write(notebook, path)
    return path


# --- nbclient --------------------------------------------------------------------------


def test_nbclient_collects_rich_outputs(client_of: Any) -> None:
    notebook = notebook_of(**RICH)

    client_of(notebook).execute()

    check_rich(notebook)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3, 4]
    assert notebook.metadata.language_info.name == "python"
    nbformat.validate(notebook)


def test_nbclient_stops_at_an_error_with_its_traceback(client_of: Any) -> None:
    notebook = notebook_of("1 + 1", "def f():\n    return 1 / 0\n\nf()", "2 + 2")

    with pytest.raises(CellExecutionError) as caught:
        client_of(notebook).execute()

    assert caught.value.ename == "ZeroDivisionError"
    assert caught.value.evalue == "division by zero"
    [error] = notebook.cells[1].outputs
    assert error.output_type == "error"
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    assert "Cell In[2]" in text
    assert "----> 2     return 1 / 0" in text
    assert notebook.cells[2].execution_count is None


@pytest.mark.parametrize("how", ["allow_errors", "tag"])
def test_nbclient_goes_on_after_an_error_that_is_allowed(
    client_of: Any, how: str
) -> None:
    notebook = notebook_of("kept = 5", "raise ValueError('on purpose')", "kept + 1")
    if how == "tag":
        notebook.cells[1].metadata.tags = ["raises-exception"]

    client_of(notebook, allow_errors=how == "allow_errors").execute()

    assert notebook.cells[1].outputs[0].ename == "ValueError"
    assert notebook.cells[2].outputs[0].data["text/plain"] == "6"


@pytest.mark.cellwall  # ipykernel merges each stream, whatever the order
def test_nbclient_keeps_the_order_of_the_streams(client_of: Any) -> None:
    notebook = notebook_of(
        "import sys\nfor i in range(20):\n"
        "    print('out', i)\n    print('err', i, file=sys.stderr)"
    )

    client_of(notebook).execute()

    texts = [(o["name"], o["text"]) for o in merged(notebook.cells[0].outputs)]
    expected = [(s, f"{s[3:]} {i}\n") for i in range(20) for s in ("stdout", "stderr")]
    assert texts == expected


def test_nbclient_applies_updates_of_displays_across_cells(client_of: Any) -> None:
    notebook = notebook_of(
        "h = display('first', display_id='d')",
        "h.update('second')",
        "from IPython.display import clear_output\n"
        "print('gone')\nclear_output(wait=True)\nprint('stays')",
    )

    client_of(notebook).execute()

    assert notebook.cells[0].outputs[0].data["text/plain"] == "'second'"
    assert notebook.cells[1].outputs == []
    assert [o["text"] for o in merged(notebook.cells[2].outputs)] == ["stays\n"]


def test_nbclient_interrupts_a_cell_that_takes_too_long(client_of: Any) -> None:
    endless = "print('began', flush=True)\nwhile True:\n    pass"
    notebook = notebook_of("kept = 7", endless, "kept")

    client_of(
        notebook,
        timeout_func=lambda cell: 2 if cell.source == endless else 60,
        interrupt_on_timeout=True,
        allow_errors=True,
    ).execute()

    assert notebook.cells[1].outputs[-1].ename == "KeyboardInterrupt"
    assert notebook.cells[2].outputs[0].data["text/plain"] == "7"


def test_nbclient_gives_up_on_a_cell_that_takes_too_long(client_of: Any) -> None:
    with pytest.raises(CellTimeoutError):
        client_of(notebook_of("import time\ntime.sleep(600)"), timeout=1).execute()


def test_nbclient_works_in_the_folder_of_the_notebook(
    client_of: Any, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("from outside")
    notebook = notebook_of("open('out.txt', 'w').write(open('in.txt').read() + '!')")

    client_of(notebook).execute()

    assert (tmp_path / "out.txt").read_text() == "from outside!"


def test_nbclient_runs_notebooks_side_by_side(client_of: Any) -> None:
    notebooks = [notebook_of(f"mine = {n}", "mine * 10") for n in range(4)]

    async def all_of_them() -> None:
        await asyncio.gather(*(client_of(nb).async_execute() for nb in notebooks))

    asyncio.run(all_of_them())

    results = [nb.cells[1].outputs[0].data["text/plain"] for nb in notebooks]
    assert results == ["0", "10", "20", "30"]


@pytest.mark.cellwall
@pytest.mark.parametrize(
    ("end", "said"),
    [("os._exit(3)", "status 3"), ("os.kill(os.getpid(), 11)", "Segmentation fault")],
)
def test_nbclient_survives_the_death_of_the_interpreter(
    client_of: Any, end: str, said: str
) -> None:
    notebook = notebook_of("x = 1", f"import os\n{end}", "'x' in globals()", "6 * 7")
    notebook.cells[1].metadata.tags = ["raises-exception"]

    client_of(notebook).execute()

    assert notebook.cells[1].outputs[-1].output_type == "error"
    assert said in notebook.cells[1].outputs[-1].evalue
    assert notebook.cells[2].outputs[0].data["text/plain"] == "False"
    assert notebook.cells[3].outputs[0].data["text/plain"] == "42"


# --- jupyter_client --------------------------------------------------------------------


def test_jupyter_client_starts_asks_restarts_and_ends(kernel_name: str) -> None:
    manager, client = start_new_kernel(kernel_name=kernel_name)
    try:
        prompts: list[str] = []

        def answer(message: dict[str, Any]) -> None:
            prompts.append(message["content"]["prompt"])
            client.input("Ada")

        reply = client.execute_interactive(
            "name = input('Who? ')", allow_stdin=True, stdin_hook=answer, timeout=60
        )
        assert reply["content"]["status"] == "ok"
        assert prompts == ["Who? "]
        assert evaluated(client, "name") == "'Ada'"

        manager.interrupt_kernel()
        manager.restart_kernel()
        client.wait_for_ready(timeout=60)
        assert client.is_alive()  # its heart beats
        assert evaluated(client, "'name' in globals()") == "False"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert not manager.is_alive()


def evaluated(client: Any, expression: str) -> str:
    reply = client.execute_interactive(
        "", silent=True, user_expressions={"it": expression}, timeout=60
    )
    return reply["content"]["user_expressions"]["it"]["data"]["text/plain"]


def test_a_killed_kernel_leaves_no_process(kernel_name: str) -> None:
    manager: KernelManager
    manager, client = start_new_kernel(kernel_name=kernel_name)
    client.execute_interactive(
        "import subprocess\np = subprocess.Popen(['sleep', '600'])", timeout=60
    )
    client.stop_channels()

    manager.shutdown_kernel(now=True)

    assert not manager.is_alive()


# --- papermill -------------------------------------------------------------------------


def parametrised() -> NotebookNode:
    notebook = notebook_of("count = 1\nname = 'nobody'", "print(name * count)", **RICH)
    notebook.cells[0].metadata.tags = ["parameters"]
    notebook.metadata.kernelspec = {
        "name": "another",
        "display_name": "Another",
        "language": "python",
    }
    return notebook


def test_papermill_injects_parameters(kernel_name: str, tmp_path: Path) -> None:
    written(tmp_path / "in.ipynb", parametrised())

    done = run(
        *("papermill", "in.ipynb", "out.ipynb", "-k", kernel_name),
        *("-p", "count", "3", "-p", "name", "ha", "--no-progress-bar"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    injected = notebook.cells[1]
    assert injected.metadata.tags == ["injected-parameters"]
    assert stdout_of(notebook.cells[2]) == "hahaha\n"
    check_rich(notebook)
    assert notebook.metadata.papermill.exception is None


def test_papermill_reports_an_error_and_keeps_the_outputs(
    kernel_name: str, tmp_path: Path
) -> None:
    written(tmp_path / "in.ipynb", notebook_of("print('before')", "{}['key']", "1"))

    done = run(
        *("papermill", "in.ipynb", "out.ipynb", "-k", kernel_name, "--no-progress-bar"),
        cwd=tmp_path,
    )

    assert done.returncode != 0
    assert "KeyError" in done.stderr
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    by_source = {cell.source: cell for cell in notebook.cells}
    assert stdout_of(by_source["print('before')"]) == "before\n"
    assert by_source["{}['key']"].outputs[-1].ename == "KeyError"
    assert by_source["1"].execution_count is None


# --- nbconvert and the commands of jupyter ---------------------------------------------


def test_nbconvert_executes_to_html(kernel_name: str, tmp_path: Path) -> None:
    written(tmp_path / "page.ipynb", notebook_of("print('a < b')", **RICH))

    done = run(
        *("nbconvert", "--execute", "--to", "html", "page.ipynb"),
        f"--ExecutePreprocessor.kernel_name={kernel_name}",
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    html = (tmp_path / "page.html").read_text()
    assert "a &lt; b" in html
    assert "<td>Mars</td>" in html
    assert "\\sqrt{2}" in html
    [png] = re.findall(r'src="data:image/png;base64,([A-Za-z0-9+/=\s]+)"', html)
    assert min(size_of_png(png)) > 100


def test_nbconvert_fails_on_an_error_unless_it_is_allowed(
    kernel_name: str, tmp_path: Path
) -> None:
    written(tmp_path / "page.ipynb", notebook_of("1 / 0", "print('after', 'all')"))
    command = (
        *("nbconvert", "--execute", "--to", "html", "page.ipynb"),
        f"--ExecutePreprocessor.kernel_name={kernel_name}",
    )

    refused = run(*command, cwd=tmp_path)
    allowed = run(*command, "--allow-errors", cwd=tmp_path)

    assert refused.returncode != 0
    assert "ZeroDivisionError" in refused.stderr
    assert allowed.returncode == 0, allowed.stderr
    html = (tmp_path / "page.html").read_text()
    assert "ZeroDivisionError" in html
    assert "after all" in html


def test_jupyter_execute_writes_the_outputs(kernel_name: str, tmp_path: Path) -> None:
    written(tmp_path / "page.ipynb", notebook_of("print(6 * 7)", **RICH))

    done = run(
        *("jupyter", "execute", "--inplace", f"--kernel_name={kernel_name}"),
        "page.ipynb",
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(tmp_path / "page.ipynb", as_version=4)
    assert stdout_of(notebook.cells[0]) == "42\n"
    check_rich(notebook)


def test_jupyter_run_runs_a_script(kernel_name: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('from', 'a script')\n")

    done = run("jupyter", "run", f"--kernel={kernel_name}", "script.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "from a script" in done.stdout


def test_the_kernelspec_is_found_by_its_name(kernel_name: str, tmp_path: Path) -> None:
    done = run("jupyter", "kernelspec", "list", "--json", cwd=tmp_path)

    spec = json.loads(done.stdout)["kernelspecs"][kernel_name]
    assert spec["spec"]["language"] == "python"
    for logo in ("logo-32x32.png", "logo-64x64.png"):
        image = Image.open(Path(spec["resource_dir"], logo))
        assert f"logo-{image.width}x{image.height}.png" == logo
