# SPDX-License-Identifier: MIT
"""What a Python user expects of a kernel: IPython in full, and the usual libraries."""

from __future__ import annotations

import base64
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.system.conftest import StartKernel
from tests.system.rawclient import Client, Run

# --- IPython --------------------------------------------------------------------------


def ok(client: Client, code: str) -> Run:
    run = client.execute(code)
    assert run.content["status"] == "ok", run.content
    return run


def test_line_and_cell_magics(client: Client) -> None:
    assert "per loop" in ok(client, "%timeit -n1 -r1 None").stream()
    assert ok(client, "%%capture got\nprint('inside')").stream() == ""
    assert client.evaluate("got.stdout") == "inside\n"
    assert ok(client, "%%time\nprint('x')").stream().startswith("x\n")
    ok(client, "magic_a = 1")
    assert "magic_a" in ok(client, "%who").stream()
    assert "Variable" in ok(client, "%whos").stream()


def test_pwd_and_cd(client: Client, tmp_path: Path) -> None:
    start = client.evaluate("%pwd")
    ok(client, "import os; os.makedirs('below', exist_ok=True)")
    ok(client, "%cd below")

    assert client.evaluate("os.getcwd()") == f"{start}/below"
    ok(client, "%cd ..")


def test_shell_escape(client: Client) -> None:
    assert ok(client, "!echo shell; echo bad >&2").output().split() == ["shell", "bad"]
    ok(client, "lines = !printf 'a\\nb\\n'")
    assert client.evaluate("list(lines)") == ["a", "b"]
    ok(client, "name = 'value'")
    assert ok(client, "!echo {name} $name").stream().strip() == "value value"
    ok(client, "!exit 3")
    assert client.evaluate("_exit_code") == 3


def test_script_magics(client: Client) -> None:
    run = ok(client, "%%bash\nfor i in 1 2; do echo $i; done\necho error >&2")
    assert run.stream("stdout") == "1\n2\n"
    assert run.stream("stderr") == "error\n"
    assert ok(client, "%%sh\necho sh").stream() == "sh\n"
    failed = client.execute("%%bash\nexit 7")
    assert failed.content["ename"] == "CalledProcessError"


def test_writefile_and_run(client: Client) -> None:
    ok(client, "%%writefile script.py\nanswer = 42\nprint('ran', __name__)")
    assert ok(client, "%run script.py").stream() == "ran __main__\n"
    assert client.evaluate("answer") == 42


def test_help_is_a_page(client: Client) -> None:
    ok(client, "def documented():\n    '''Its text.'''")
    (payload,) = ok(client, "documented?").content["payload"]

    assert payload["source"] == "page"
    assert "Its text." in payload["data"]["text/plain"]


def test_load_sets_the_next_input(client: Client) -> None:
    ok(client, "%%writefile loaded.py\nloaded = 1")
    (payload,) = ok(client, "%load loaded.py").content["payload"]

    assert payload["source"] == "set_next_input"
    assert "loaded = 1" in payload["text"]
    assert payload["replace"] is True


def test_results_are_kept_in_out(client: Client) -> None:
    count = ok(client, "123").content["execution_count"]

    assert client.evaluate(f"Out[{count}]") == 123
    assert client.evaluate(f"_{count}") == 123
    assert client.evaluate(f"In[{count}]") == "123"


def test_semicolon_hides_the_result(client: Client) -> None:
    assert ok(client, "5;").of("execute_result") == []


def test_top_level_await(client: Client) -> None:
    run = ok(
        client,
        "import asyncio\n"
        "async def f():\n"
        "    await asyncio.sleep(0)\n"
        "    return 7\n"
        "await f()",
    )
    assert run.result() == "7"
    assert client.evaluate("[await f(), await asyncio.gather(f(), f())]") == [7, [7, 7]]


def test_task_lives_on_between_cells(client: Client) -> None:
    ok(
        client,
        "ticks = 0\n"
        "async def tick():\n"
        "    global ticks\n"
        "    while ticks < 3:\n"
        "        ticks += 1\n"
        "        await asyncio.sleep(0)\n"
        "import asyncio\n"
        "task = asyncio.create_task(tick())",
    )
    ok(client, "await task")
    assert client.evaluate("ticks") == 3


def test_module_of_the_working_directory_is_imported(client: Client) -> None:
    ok(client, "%%writefile nearby.py\nvalue = 'near'")
    assert client.evaluate("__import__('nearby').value") == "near"


def test_main_looks_like_main(client: Client) -> None:
    assert client.evaluate("__name__") == "__main__"
    assert client.evaluate("'__file__' in globals()") is False
    ok(client, "class Thing: pass")
    assert client.evaluate("Thing.__module__") == "__main__"
    assert client.evaluate("type(get_ipython()).__name__") == "ZMQInteractiveShell"


# --- errors ---------------------------------------------------------------------------


def test_traceback_shows_the_lines_of_the_cell(client: Client) -> None:
    run = client.execute("def inner():\n    raise ValueError('told')\ninner()")
    text = "\n".join(run.content["traceback"])

    assert run.content["ename"] == "ValueError"
    assert run.content["evalue"] == "told"
    assert "\x1b[" in text
    assert "inner" in text
    assert "raise" in text


def test_chained_and_grouped_errors(client: Client) -> None:
    chained = client.execute(
        "try:\n  1/0\nexcept Exception as e:\n  raise KeyError(1) from e"
    )
    text = "\n".join(chained.content["traceback"])

    assert chained.content["ename"] == "KeyError"
    assert "ZeroDivisionError" in text


@pytest.mark.parametrize(
    ("code", "ename"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("import sys; sys.exit('bye')", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(): return f()\nf()", "RecursionError"),
        ("undefined_name", "NameError"),
        ("%no_such_magic", None),
        ("raise BaseException('base')", "BaseException"),
    ],
)
def test_error_is_told_and_the_kernel_lives(
    client: Client, code: str, ename: str | None
) -> None:
    ok(client, "lives = 1")
    run = client.execute(code)

    if ename is not None:
        assert run.content["status"] == "error"
        assert run.content["ename"] == ename
    assert client.evaluate("lives") == 1


def test_result_whose_repr_fails_is_told(client: Client) -> None:
    run = client.execute(
        "class R:\n  def __repr__(self): raise ValueError('no repr')\nR()"
    )

    assert "no repr" in run.output() + str(run.of("error"))
    assert client.evaluate("1 + 1") == 2


def test_exit_asks_to_end_but_does_not_end(client: Client) -> None:
    run = client.execute("exit")

    assert [p["source"] for p in run.content["payload"]] == ["ask_exit"]
    assert client.evaluate("1 + 1") == 2


# --- display --------------------------------------------------------------------------


def test_display_of_every_rich_type(client: Client) -> None:
    run = ok(
        client,
        "from IPython.display import *\n"
        "display(HTML('<b>x</b>'), Markdown('*x*'), Latex('$x$'), Math('x'),\n"
        "        SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'), JSON({'a': [1]}),\n"
        "        Javascript('1'))",
    )
    mimes = [set(m.content["data"]) - {"text/plain"} for m in run.of("display_data")]

    assert mimes == [
        {"text/html"},
        {"text/markdown"},
        {"text/latex"},
        {"text/latex"},
        {"image/svg+xml"},
        {"application/json"},
        {"application/javascript"},
    ]
    assert run.of("display_data")[5].content["data"]["application/json"] == {"a": [1]}


def test_display_handle_is_updated_from_another_cell(client: Client) -> None:
    first = ok(client, "handle = display('one', display_id='the-id')").of("display_data")
    update = ok(client, "handle.update('two')").of("update_display_data")

    assert first[0].content["transient"] == {"display_id": "the-id"}
    assert update[0].content["transient"] == {"display_id": "the-id"}
    assert update[0].content["data"] == {"text/plain": "'two'"}


def test_clear_output(client: Client) -> None:
    run = ok(
        client,
        "from IPython.display import clear_output\n"
        "print('a'); clear_output(); print('b'); clear_output(wait=True); print('c')",
    )

    assert [m.content["wait"] for m in run.of("clear_output")] == [False, True]
    assert run.types()[2:-1] == ["stream", "clear_output"] * 2 + ["stream"]


def test_own_reprs_and_mimebundles(client: Client) -> None:
    run = ok(
        client,
        "class Rich:\n"
        "    def _repr_html_(self): return '<i>rich</i>'\n"
        "    def _repr_mimebundle_(self, include=None, exclude=None):\n"
        "        return {'application/x.mine+json': {'deep': [None, True]}}, {'m': 1}\n"
        "    def _repr_png_(self): return b'\\x89PNG'\n"
        "    def __repr__(self): return 'plain'\n"
        "Rich()",
    )
    data = run.of("execute_result")[0].content["data"]

    assert data["text/plain"] == "plain"
    assert data["text/html"] == "<i>rich</i>"
    assert data["application/x.mine+json"] == {"deep": [None, True]}
    assert base64.b64decode(data["image/png"]) == b"\x89PNG"


def test_tqdm_knows_that_it_is_in_a_notebook(client: Client) -> None:
    run = ok(client, "from tqdm import tqdm\nfor _ in tqdm(range(3)): pass")
    assert "3/3" in run.stream("stderr")
    ok(client, "from tqdm.autonotebook import tqdm as auto")
    assert "notebook" in client.evaluate("auto.__module__")


def test_pandas_table_is_html(client: Client) -> None:
    run = ok(client, "import pandas as pd; pd.DataFrame({'a': [1, 2], 'b': ['x', 'é']})")
    data = run.of("execute_result")[0].content["data"]

    assert "<table" in data["text/html"]
    assert "é" in data["text/plain"]


def test_pillow_image_is_a_png(client: Client) -> None:
    run = ok(client, "from PIL import Image; Image.new('RGB', (4, 4), 'red')")

    assert base64.b64decode(run.result("image/png")).startswith(b"\x89PNG")


def test_sympy_is_latex(client: Client) -> None:
    run = ok(
        client, "import sympy as sp; sp.init_printing(); sp.sqrt(sp.Symbol('x')) / 2"
    )

    assert "sqrt" in run.result("text/latex")


def test_matplotlib_is_inline_without_being_asked(client: Client) -> None:
    run = ok(client, "import matplotlib.pyplot as plt\nplt.plot([1, 2]);\nprint('after')")
    (figure,) = run.of("display_data")

    assert base64.b64decode(figure.content["data"]["image/png"]).startswith(b"\x89PNG")
    assert ok(client, "len(plt.get_fignums())").result() == "0"


def test_matplotlib_svg_and_show(client: Client) -> None:
    ok(client, "%config InlineBackend.figure_formats = ['svg']")
    run = ok(client, "plt.plot([2, 1]); plt.show(); print('after')")
    ok(client, "%config InlineBackend.figure_formats = ['png']")

    assert "<svg" in run.of("display_data")[0].content["data"]["image/svg+xml"]
    assert run.types()[2:-1] == ["display_data", "stream"]


def test_floats_and_large_integers_survive_in_json(client: Client) -> None:
    run = ok(client, "from IPython.display import JSON; JSON({'f': 0.1, 'i': 2**70})")
    data = run.result("application/json")

    assert data == {"f": 0.1, "i": 2**70}


# --- output of all origins ------------------------------------------------------------


def test_output_of_all_origins_is_in_program_order(client: Client) -> None:
    run = ok(
        client,
        "import ctypes, os, subprocess, sys\n"
        "libc = ctypes.CDLL(None)\n"
        "for i in range(20):\n"
        "    print('print', i)\n"
        "    os.write(1, b'write %d\\n' % i)\n"
        "    libc.printf(b'printf %d\\n', i); libc.fflush(None)\n"
        "    subprocess.run(['echo', 'child', str(i)])\n"
        "    print('error', i, file=sys.stderr)\n"
        "    sys.stdout.buffer.write(b'buffer %d\\n' % i); sys.stdout.buffer.flush()",
    )

    assert run.output() == "".join(
        f"{word} {i}\n"
        for i in range(20)
        for word in ("print", "write", "printf", "child", "error", "buffer")
    )


def test_streams_look_like_text_streams(client: Client) -> None:
    assert client.evaluate("__import__('sys').stdout.encoding").lower() == "utf-8"
    assert client.evaluate("__import__('sys').stdout.isatty()") is False
    assert client.evaluate("__import__('sys').stdout.writable()") is True
    assert client.evaluate("__import__('sys').stdout.fileno()") >= 0


def test_subprocesses_in_every_way(client: Client) -> None:
    run = ok(
        client,
        "import os, subprocess\n"
        "os.system('echo system')\n"
        "subprocess.run('echo shell', shell=True)\n"
        "print(subprocess.check_output(['echo', 'captured']).decode(), end='')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os.write(1, b'forked\\n'); os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "p = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n"
        "p.communicate(b'piped\\n')",
    )

    assert run.stream() == "system\nshell\ncaptured\nforked\npiped\n"


def test_child_that_does_not_end_does_not_hold_the_cell(client: Client) -> None:
    run = ok(
        client, "import subprocess; p = subprocess.Popen(['sleep', '1000']); p.poll()"
    )

    assert run.content["status"] == "ok"
    ok(client, "p.kill(); p.wait()")


def test_multiprocessing(client: Client) -> None:
    ok(client, "%%writefile worker.py\ndef square(x): return x * x")
    ok(client, "import multiprocessing as mp, worker")
    for method in ("fork", "spawn"):
        code = f"mp.get_context({method!r}).Pool(2).map(worker.square, range(5))"
        assert client.evaluate(code) == [0, 1, 4, 9, 16]
    ok(client, "from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor")
    ok(client, "with ThreadPoolExecutor(4) as pool: got = list(pool.map(str, range(9)))")
    assert client.evaluate("len(got)") == 9


def test_logging_and_warnings_are_on_stderr(client: Client) -> None:
    run = ok(
        client,
        "import logging, warnings\n"
        "logging.getLogger('mine').warning('logged')\n"
        "warnings.warn('warned')",
    )

    assert "logged" in run.stream("stderr")
    assert "warned" in run.stream("stderr")


# --- packages -------------------------------------------------------------------------


def make_wheel(folder: Path) -> Path:
    """A small pure wheel, made by hand: no network, no build."""
    folder.mkdir(exist_ok=True)
    path = folder / "cellwall_demo_package-1.0-py3-none-any.whl"
    info = "cellwall_demo_package-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("cellwall_demo_package.py", "answer = 42\n")
        z.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: cellwall-demo-package\nVersion: 1.0\n",
        )
        z.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        )
        z.writestr(f"{info}/RECORD", "")
    return path


def test_pip_installs_into_the_running_kernel(
    start_kernel: StartKernel, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path / "wheels")
    kernel = start_kernel()
    with Client(kernel.info) as c:
        c.wait_ready()
        run = c.execute(f"%pip install --no-index {wheel}", timeout=90)
        assert "Successfully installed" in run.output(), run.output()
        assert c.evaluate("__import__('cellwall_demo_package').answer") == 42
    left = subprocess.run(
        [sys.executable, "-m", "pip", "uninstall", "-y", "cellwall-demo-package"],
        capture_output=True,
        text=True,
        check=True,
    )
    if "ipykernel" not in " ".join(kernel.process.args):
        assert "Skipping" in left.stderr  # it never reached the real environment
