# SPDX-License-Identifier: MIT
"""The Python zygote, and how its forks differ from each other and from nothing else.

Every other test of the runtime runs in forks too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes import framelib
from tests.runtimes.framelib import Frame, Runner, Zygote

PYTHON = os.environ.get("CELLWALL_TEST_PYTHON", sys.executable)
LIBRARIES = ("numpy", "pandas", "matplotlib.pyplot")

MakeZygote = Callable[..., Zygote]


@pytest.fixture
def make_zygote() -> Iterator[MakeZygote]:
    """Starts zygotes that end with the test."""
    zygotes: list[Zygote] = []

    def make(**options: Any) -> Zygote:
        zygotes.append(Zygote(**options))
        return zygotes[-1]

    yield make
    for zygote in zygotes:
        zygote.close()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    one = Zygote()
    yield one
    assert one.close() == 0


def has(name: str) -> bool:
    command = [PYTHON, "-c", f"import {name}"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def run_in(source: Any, code: str, **options: Any) -> framelib.Outcome:
    """Runs CODE as the first cell of a fresh runner."""
    runner = Runner(source, **options)
    try:
        runner.hello()
        return runner.run(code)
    finally:
        runner.close()


def module_folder(tmp_path: Path, **modules: str) -> dict[str, str]:
    """An environment that finds MODULES, by name and text."""
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


# Getting ready.


def test_zygote_says_what_it_has_and_what_to_watch(zygote: Zygote) -> None:
    said = zygote.said
    assert said["ready"] is True
    assert said["left_out"] == []
    assert said["preloaded"] == [name for name in LIBRARIES if has(name)]
    assert PYTHON in said["paths"]
    assert all(os.path.isabs(path) and os.path.exists(path) for path in said["paths"])
    assert any(path.endswith("site-packages") for path in said["paths"])


def test_what_is_not_there_is_passed_over(make_zygote: MakeZygote) -> None:
    said = make_zygote(preload=["no_such_module", "no.such", "json"]).said
    assert (said["preloaded"], said["left_out"]) == (["json"], [])


def test_what_cannot_be_imported_is_left_out(
    make_zygote: MakeZygote, tmp_path: Path
) -> None:
    env = module_folder(tmp_path, broken="raise OSError('no luck')", leaves="exit(3)")
    said = make_zygote(preload=["broken", "leaves", "json"], env=env).said
    assert said["left_out"] == [
        ["broken", "OSError: no luck"],
        ["leaves", "SystemExit: 3"],
    ]
    assert said["preloaded"] == ["json"]


def test_what_spoils_a_fork_is_left_out(make_zygote: MakeZygote, tmp_path: Path) -> None:
    env = module_folder(
        tmp_path,
        threads="import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        files="kept = open(__file__)",
    )
    zygote = make_zygote(preload=["threads", "json", "files"], env=env)
    assert zygote.said["left_out"] == [
        ["threads", "it starts threads"],
        ["files", "it leaves files open"],
    ]
    assert zygote.said["preloaded"] == ["json"]
    shown = run_in(zygote, "import sys\n{'threads', 'files'} & {*sys.modules}", env=env)
    assert shown.result["text/plain"] == "set()"


def test_zygote_has_one_thread_and_its_own_files_alone(zygote: Zygote) -> None:
    process = Path(f"/proc/{zygote.process.pid}")
    assert len(list((process / "task").iterdir())) == 1
    assert {entry.name for entry in (process / "fd").iterdir()} == {"0", "1", "2", "3"}


def test_zygote_that_cannot_be_says_why(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    command = [PYTHON, "-m", "venv", "--without-pip", str(venv)]
    subprocess.run(command, check=True)
    python = str(venv / "bin/python")
    zygote = Zygote(interpreter=python)
    assert zygote.close() == 1
    assert zygote.said == {
        "ready": False,
        "error": f"IPython is not installed for {python}: "
        f"run {python} -m pip install ipython",
    }


def test_zygote_does_not_mind_interrupts(zygote: Zygote) -> None:
    zygote.process.send_signal(signal.SIGINT)
    assert run_in(zygote, "1 + 1").result["text/plain"] == "2"


# What a fork is.

DUMP = r"""
import re
def dump():
    import asyncio, gc, locale, os, signal, sys, tempfile, threading, linecache
    shell, found = get_ipython(), []
    for part in ("history_manager displayhook display_pub display_trap builtin_trap "
                 "compile Completer events input_transformer_manager inspector "
                 "payload_manager InteractiveTB SyntaxTB kernel hooks").split():
        values = dict(vars(getattr(shell, part)))
        values.update(values.pop("_trait_values", {}))
        found.append((part, sorted(values.items())))
    for name, value in sorted(vars(shell).items()):
        if not name.startswith("_trait"):
            found.append((name, value))
    found += sorted(shell.user_ns.items())
    for name, value in sorted(vars(sys).items()):
        if name not in ("modules", "orig_argv", "stdlib_module_names",
                        "builtin_module_names", "path_importer_cache",
                        "meta_path"):
            found.append((name, value))
    found += [
        sorted(os.environ.items()),
        [name for name in linecache.cache if "ipykernel" in name],
        threading.main_thread().name, threading.current_thread().name,
        threading.Thread().name,
        asyncio.current_task().get_name(), asyncio.ensure_future(asyncio.sleep(0)),
        tempfile.tempdir, locale.setlocale(locale.LC_ALL),
        gc.isenabled(), gc.get_threshold(),
        [signal.getsignal(number) for number in range(1, 32)],
        re.findall("Sig(?:Blk|Ign):.*", open("/proc/self/status").read()),
        sorted(os.listdir("/proc/self/fd"))[:4], os.getcwd(), os.getpgrp() == os.getpid(),
    ]
    for line in found:
        changing = r"0x[0-9a-f]+|at [0-9a-f]{12}|ipykernel_\d+|'version': \d+"
        line = re.sub(r"'__pybind11[^,]*, ", "", repr(line))  # a library's, in builtins
        print(re.sub(changing, "-", line))
dump()
"""


def test_fork_is_as_if_started_by_itself(zygote: Zygote, tmp_path: Path) -> None:
    env = {**os.environ, "EXTRA": "1", "TZ": "Asia/Tokyo"}
    runners = (framelib.python_argv(), zygote)
    dumps = [run_in(source, DUMP, env=env, cwd=tmp_path) for source in runners]
    alone, fork = (dump.stdout.splitlines() for dump in dumps)
    magics = re.compile("IPython.core.magics")  # those that were used were looked up
    for one, other in zip(alone, fork, strict=True):
        assert magics.search(one) or one == other


def test_fork_comes_from_the_zygote(zygote: Zygote) -> None:
    shown = run_in(zygote, "import sys\n'pandas' in sys.modules")
    assert shown.result["text/plain"] == str("pandas" in zygote.said["preloaded"])


def test_environment_is_the_forks_for_c_too(make_zygote: MakeZygote) -> None:
    env = {**os.environ, "GONE": "1", "OTHER": "1", "OPENBLAS_CORETYPE": ""}
    zygote = make_zygote(preload=["json"], env=env)
    code = (
        "import ctypes, os, time\n"
        "get = ctypes.CDLL(None).getenv; get.restype = ctypes.c_char_p\n"
        "names = 'GONE', 'OTHER', 'NEW', 'OMP_NUM_THREADS', 'CELLWALL_PRELOAD', 'PAGER'\n"
        "[(os.environ.get(n), (get(n.encode()) or b'-').decode()) for n in names], "
        "time.tzname[0]"
    )
    wanted = {"OTHER": "2", "NEW": "a=ü", "PATH": "/bin", "TZ": "Asia/Tokyo"}
    missing = (None, "-")
    assert eval(run_in(zygote, code, env=wanted).result["text/plain"]) == (
        [missing, ("2", "2"), ("a=ü", "a=ü"), missing, missing, ("cat", "cat")],
        "JST",
    )


def test_forks_draw_random_numbers_of_their_own(zygote: Zygote) -> None:
    code = (
        "import random, tempfile, uuid, multiprocessing\n"
        "found = [random.random(), uuid.uuid1().hex, uuid.uuid4().hex,\n"
        "         next(tempfile._get_candidate_names()),\n"
        "         bytes(multiprocessing.current_process().authkey)]\n"
        "try: import numpy as np\n"
        "except ImportError: pass\n"
        "else: found += [np.random.rand(), np.random.default_rng().random(),\n"
        "                np.random.randn()]\n"
        "found"
    )
    drawn = [eval(run_in(zygote, code).result["text/plain"]) for _ in range(3)]
    for values in zip(*drawn, strict=True):
        assert len(set(values)) == 3


def test_session_comes_with_the_configuration(zygote: Zygote) -> None:
    code = "import os\n__session__, os.environ['JPY_SESSION_NAME']"
    for source in (zygote, framelib.python_argv()):
        outcome = run_in(source, code, configure={"session": "/x/ü.ipynb"})
        assert eval(outcome.result["text/plain"]) == ("/x/ü.ipynb", "/x/ü.ipynb")


def test_configuration_may_come_late(zygote: Zygote, tmp_path: Path) -> None:
    runner = Runner(zygote, late=True, cwd=tmp_path, configure={"session": "s"})
    try:
        while not is_asleep(runner.process.pid):  # it has rehearsed
            pass
        runner.configure()
        assert [type(item) for item in first_items(runner)] == [Frame]
        outcome = runner.run("In, Out, __session__")
        shown = outcome.result["text/plain"].replace("\n", "")
        assert shown == "(['', 'In, Out, __session__'], {}, 's')"
    finally:
        runner.close()


def is_asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/wchan").read_text().startswith("__skb_wait")


def first_items(runner: Runner) -> list[Any]:
    """All up to the hello."""
    found = []
    for item in runner.items():
        found.append(item)
        if isinstance(item, Frame) and item.type == "hello":
            return found
    raise AssertionError("no hello")


def test_runner_at_rest_has_one_thread(zygote: Zygote) -> None:
    for source in (zygote, framelib.python_argv()):
        runner = Runner(source)
        try:
            runner.hello()
            runner.run("1 + 1")
            runner.request("complete_request", {"code": "pri", "cursor_pos": 3})
            runner.ping()
            assert len(os.listdir(f"/proc/{runner.process.pid}/task")) == 1
        finally:
            runner.close()


# Where a fork does not fit.

IS_FORK = "b'm.zygote()' in open('/proc/self/cmdline', 'rb').read()"


@pytest.mark.skipif(not has("matplotlib"), reason="needs matplotlib")
def test_context_with_settings_of_its_own_starts_anew(
    zygote: Zygote, tmp_path: Path
) -> None:
    assert run_in(zygote, IS_FORK, cwd=tmp_path).result["text/plain"] == "True"
    packages = tmp_path / "packages"
    env = {**os.environ, "PIP_TARGET": str(packages)}
    (packages / "other").mkdir(parents=True)
    assert run_in(zygote, IS_FORK, env=env).result["text/plain"] == "True"
    (packages / "pandas").mkdir()
    (packages / "pandas/__init__.py").write_text("version = 'mine'")
    outcome = run_in(zygote, f"import pandas\npandas.version, {IS_FORK}", env=env)
    assert outcome.result["text/plain"] == "('mine', False)"
    env = {**os.environ, "MPLBACKEND": "svg"}
    outcome = run_in(zygote, "import matplotlib\nmatplotlib.get_backend()", env=env)
    assert outcome.result["text/plain"] == "'svg'"
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7\n")
    code = "import matplotlib\nmatplotlib.rcParams['lines.linewidth']"
    assert run_in(zygote, code, cwd=tmp_path).result["text/plain"] == "7.0"


# Numbers.

THREADS = "import os\nprint(len(os.listdir('/proc/self/task')))"


@pytest.mark.skipif(not has("numpy"), reason="needs numpy")
@pytest.mark.parametrize("variables", [{}, {"OPENBLAS_NUM_THREADS": "3"}])
def test_libraries_get_as_many_threads_as_by_themselves(
    make_zygote: MakeZygote, variables: dict[str, str]
) -> None:
    env = {**os.environ, **variables}
    zygote = make_zygote(preload=["numpy"], env=env)
    code = "import numpy\n" + THREADS
    alone = run_in(framelib.python_argv(), code, env=env).stdout
    assert run_in(zygote, code, env=env).stdout == alone


@pytest.mark.skipif(not has("numpy"), reason="needs numpy")
def test_linear_algebra_works_in_a_fork_and_in_its_forks(zygote: Zygote) -> None:
    outcome = run_in(
        zygote,
        "import multiprocessing, numpy as np\n"
        "def work(seed):\n"
        "    a = np.random.default_rng(seed).random((300, 300))\n"
        "    return bool(np.allclose(a @ np.linalg.inv(a), np.eye(300)))\n"
        "first = work(1)\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    print(first, pool.map(work, range(4)), work(2))",
    )
    assert outcome.stdout == "True [True, True, True, True] True\n"


def test_descriptor_names_the_zygote() -> None:
    path = framelib.runtimes_folder() / "python/runtime.json"
    described = json.loads(path.read_text())
    assert described["zygote"][0] == "{interpreter}"
    assert described["preload"] == list(LIBRARIES)
