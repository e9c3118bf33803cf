# SPDX-License-Identifier: MIT
"""How the Python runtime starts and ends, and what its probe tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtimes import framelib
from tests.runtimes.conftest import StartRunner
from tests.runtimes.framelib import Frame, Raw, Runner

PYTHON = os.environ.get("CELLWALL_TEST_PYTHON", sys.executable)
PROBE = framelib.runtimes_folder() / "python/probe.py"


def test_hello_describes_the_interpreter(tmp_path: Path) -> None:
    runner = framelib.Runner(framelib.python_argv(), cwd=tmp_path)
    try:
        content = runner.hello().content
        assert content["frame_version"] == framelib.VERSION
        assert content["build"]
        assert content["language_info"]["name"] == "python"
        assert content["language_info"]["pygments_lexer"] == "ipython3"
        assert "IPython" in content["banner"]
        assert content["implementation_version"]
    finally:
        assert runner.close() == 0


def test_main_looks_like_a_notebooks(runner: Runner) -> None:
    shown = runner.run(
        "import sys, __main__\n"
        "[sys.argv, sys.path[0], __name__, __main__.__dict__ is globals(),\n"
        " hasattr(__main__, '__file__'), __main__.__spec__,\n"
        " any('cellwall' in name for name in dir()),\n"
        " any('runtimes' in path for path in sys.path)]"
    ).result["text/plain"]
    assert eval(shown) == [[""], "", "__main__", True, False, None, False, False]
    assert runner.run("%who").stdout == "sys\t \n"


def test_modules_beside_the_notebook_are_imported(
    start: StartRunner, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("value = 3\n")
    # Names of modules that the runner itself needs.
    for name in ("json", "asyncio", "traitlets", "content", "_cellwall", "forks"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('taken')\n")
    runner = start()
    assert runner.run("import mine; mine.value").result["text/plain"] == "3"


def test_little_is_needed_of_the_environment(start: StartRunner, tmp_path: Path) -> None:
    runner = start(env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "none")})
    outcome = runner.run("open('ü.txt', 'w').write('ü'); 'ü'")
    assert outcome.result["text/plain"] == "'ü'"
    assert (tmp_path / "ü.txt").read_bytes() == "ü".encode()
    runner = start(env={"SHELL": "/no/such/shell"})
    assert runner.run("!echo works").stdout == "works\n"


def test_session_name_is_told(start: StartRunner) -> None:
    runner = start(env={**os.environ, "JPY_SESSION_NAME": "/x/book.ipynb"})
    assert runner.run("__session__").result["text/plain"] == "'/x/book.ipynb'"


def test_subprocesses_know_that_colours_are_shown(runner: Runner) -> None:
    assert runner.run("!echo $TERM $PAGER $FORCE_COLOR").stdout == "xterm-color cat 1\n"


def test_descriptors_of_the_runner_are_out_of_the_way(runner: Runner) -> None:
    shown = runner.run(
        "import os\nsorted(int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) == 3)"
    )
    listed = runner.run("!ls -l /proc/self/fd")
    assert "socket:" not in listed.stdout
    assert shown.status == "ok"


def test_shutdown_ends_in_order(runner: Runner) -> None:
    runner.run("import atexit; atexit.register(print, 'goodbye')")
    runner.send(Frame("shutdown", 0))
    rest = list(runner.items())
    text = "".join(
        item.data.decode() if isinstance(item, Raw) else item.text for item in rest
    )
    assert text == "goodbye\n"
    assert runner.process.wait(20) == 0


def test_runner_ends_when_the_server_is_gone(runner: Runner) -> None:
    runner.channel.close()
    assert runner.process.wait(20) == 0


def test_exit_in_a_cell_ends_with_that_status(runner: Runner) -> None:
    runner.begin_run("import os; os._exit(7)")
    assert list(runner.items()) == []
    assert runner.process.wait(20) == 7


def test_crash_leaves_a_traceback(runner: Runner) -> None:
    runner.begin_run("import ctypes; ctypes.string_at(0)")
    text = b"".join(item.data for item in runner.items() if isinstance(item, Raw))
    assert b"Segmentation fault" in text
    assert b"string_at" in text


def test_missing_ipython_is_told_in_one_line(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    command = [PYTHON, "-m", "venv", "--without-pip", str(venv)]
    subprocess.run(command, check=True)
    python = str(venv / "bin/python")
    runner = framelib.Runner(framelib.python_argv(python), cwd=tmp_path)
    items = list(runner.items())
    assert runner.close() == 1
    text = "".join(item.data.decode() for item in items if isinstance(item, Raw))
    expected = (
        f"IPython is not installed for {python}: run {python} -m pip install ipython\n"
    )
    assert text == expected
    told = json.loads(subprocess.check_output([python, str(PROBE)]))
    assert told["error"] + "\n" == expected
    assert told["ipython"] is None
    assert str(venv) in told["mounts"]


def test_probe_describes_the_interpreter() -> None:
    told = json.loads(subprocess.check_output([PYTHON, str(PROBE)], cwd="/"))
    assert told["error"] is None
    assert told["executable"] == PYTHON
    assert told["ipython"]
    assert "IPython" in told["banner"]
    assert told["language_info"]["version"] == told["version"]
    for path in told["mounts"]:
        assert os.path.isabs(path)
        assert Path(path).is_dir()
        assert not path.startswith("/usr")
        assert str(PROBE.parent) != path


@pytest.mark.parametrize("kind", ["pth", "hook", "url"])
def test_probe_finds_editable_installs(tmp_path: Path, kind: str) -> None:
    venv, project = tmp_path / "venv", tmp_path / "project"
    command = [PYTHON, "-m", "venv", "--without-pip", str(venv)]
    subprocess.run(command, check=True)
    (project / "src/package").mkdir(parents=True)
    (site,) = venv.glob("lib/python*/site-packages")
    wanted = project
    if kind == "pth":
        (site / "mine.pth").write_text(f"{project}/src\n")
        wanted = project / "src"
    elif kind == "hook":
        (site / "mine.pth").write_text("import __editable___mine_finder\n")
        (site / "__editable___mine_finder.py").write_text(
            f"MAPPING = {{'package': '{project}/src/package'}}\n"
        )
        wanted = project / "src/package"
    info = site / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: mine\nVersion: 1\n")
    url = {"url": f"file://{project}", "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(url))
    told = json.loads(subprocess.check_output([venv / "bin/python", str(PROBE)]))
    assert str(wanted) in told["mounts"]
    assert str(project.parent) not in told["mounts"]


def test_probe_never_names_the_home_folder(tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": f"{tmp_path}:/:relative"}
    told = json.loads(subprocess.check_output([PYTHON, str(PROBE)], env=env))
    assert str(tmp_path) not in told["mounts"]
    assert "/" not in told["mounts"]
