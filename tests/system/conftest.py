# SPDX-License-Identifier: MIT
"""What all system tests share: kernelspecs in a folder of their own, kernels, clients.

CELLWALL names the binary under test (default: build/asan/cellwall). With --reference the
tests run against ipykernel instead, which shows that they ask for what Jupyter does and
not for what Cellwall happens to do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import nodejs
from tests.system.agentclient import Agent
from tests.system.rawclient import Client, KernelProcess
from tests.system.servers import READY, Server

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("CELLWALL", ROOT / "build/asan/cellwall")).resolve()
KERNEL = "cellwall-python"
SERVED_KERNEL = "cellwall-served"
BRIDGED_R = "cellwall-ir"
BRIDGED_PYTHON = "cellwall-ipykernel"
MARK = "CELLWALL_TEST_MARK"
# Their kernels get ports that Jupyter's clients found free. Two of those at once may find
# the same ones.
JUPYTER_FINDS_PORTS = {
    *("test_agent_lab.py", "test_attached_lab.py", "test_bash_kernel.py"),
    *("test_clients.py", "test_conformance.py", "test_jupyter_bridge.py"),
    *("test_jupyterlab.py", "test_notebook_languages.py", "test_notebooks.py"),
    *("test_server.py", "test_widgets.py"),
}

# A quarantine of the default size would hide whether memory is bounded.
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16:malloc_context_size=5")
# No kernel of the tests asks a developer's server. A short path: it holds sockets.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="cellwall-run-")
os.environ.pop("CELLWALL_SERVER", None)
# Every process that the tests start inherits this, so that stray ones can be told.
os.environ[MARK] = uuid.uuid4().hex


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reference",
        action="store_true",
        help="run against ipykernel, without the tests marked cellwall",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if not config.getoption("--reference"):
        return
    ours = [item for item in items if item.get_closest_marker("cellwall")]
    config.hook.pytest_deselected(items=ours)
    items[:] = [item for item in items if item not in ours]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file share what they start, and go to one process."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "jupyter" if Path(file).name in JUPYTER_FINDS_PORTS else file

    return Scheduling(config, log)


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)


def marked_processes(value: str | None = None) -> dict[int, str]:
    """Processes other than this one that were started by this test run, or with VALUE as
    their mark."""
    mark = f"{MARK}={value or os.environ[MARK]}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                )
        except OSError:
            continue  # it ended while we looked, or is a zombie of someone else
    return found


def wait_for_no_process(
    allowed: set[int], timeout: float = 20.0, mark: str | None = None
) -> dict[int, str]:
    """What is left when everything had TIMEOUT seconds to end."""
    end = time.monotonic() + timeout
    while True:
        left = {p: c for p, c in marked_processes(mark).items() if p not in allowed}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    left = wait_for_no_process(set())
    assert left == {}, "processes are left behind"


@pytest.fixture(scope="session")
def is_reference(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--reference")


@pytest.fixture(scope="session")
def kernelspecs(
    tmp_path_factory: pytest.TempPathFactory, is_reference: bool
) -> Iterator[Path]:
    """A prefix with our kernelspec, which every Jupyter program started here finds."""
    prefix = tmp_path_factory.mktemp("prefix")
    for name, folder in {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }.items():
        os.environ[name] = str(prefix / folder)
        (prefix / folder).mkdir(mode=0o700)
    os.environ["JUPYTER_PATH"] = str(prefix / "share/jupyter")
    if not is_reference:
        subprocess.run(
            [BINARY, "install-kernelspec", "--python", sys.executable]
            + ["--prefix", str(prefix)],
            check=True,
            timeout=120,
        )
    yield prefix


def need_node() -> dict[str, str]:
    """For programs that use Node, with which the runtimes were built; skips without."""
    try:
        env = nodejs.environment()
    except nodejs.Unusable as why:
        pytest.skip(str(why))
    if not (BINARY.parent / "runtimes/typescript/node_modules").exists():
        pytest.skip("npm's packages were not there when the runtimes were built")
    return env


@pytest.fixture(scope="session")
def node_kernelspecs(kernelspecs: Path) -> Path:
    """The same prefix, also with the kernelspecs of JavaScript and TypeScript."""
    env = need_node()
    subprocess.run(
        [BINARY, "install-kernelspec", "--runtime", "javascript"]
        + ["--runtime", "typescript", "--prefix", str(kernelspecs)],
        env=env,
        check=True,
        timeout=120,
    )
    return kernelspecs


@pytest.fixture(scope="session")
def bash_kernelspec(kernelspecs: Path) -> None:
    subprocess.run(
        [BINARY, "install-kernelspec", "--runtime", "bash", "--prefix", kernelspecs],
        check=True,
        timeout=120,
    )


@pytest.fixture(scope="session")
def kernel_name(kernelspecs: Path, is_reference: bool) -> str:
    return "python3" if is_reference else KERNEL


@pytest.fixture(scope="session")
def kernel_argv(kernelspecs: Path, is_reference: bool) -> list[str]:
    if is_reference:
        return [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    folder = kernelspecs / "share/jupyter/kernels" / KERNEL
    argv = json.loads((folder / "kernel.json").read_text())["argv"]
    return [a.replace("{resource_dir}", str(folder)) for a in argv]


@pytest.fixture(scope="session")
def served_kernelspec(
    kernelspecs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A kernelspec whose interpreters are forked by a server's zygote; its folder."""
    kernels = kernelspecs / "share/jupyter/kernels"
    environment = kernels / KERNEL / "environment.json"
    with Server(BINARY, "--environment", str(environment)) as server:
        server.wait_said(READY)
        shutil.copytree(kernels / KERNEL, kernels / SERVED_KERNEL)
        file = kernels / SERVED_KERNEL / "kernel.json"
        spec = json.loads(file.read_text())
        spec["argv"] += ["--server", str(server.file)]
        file.write_text(json.dumps(spec))
        yield file.parent
        shutil.rmtree(file.parent)


def install_bridged(prefix: Path, interpreter: str | Path) -> str:
    """Installs a kernelspec for another's kernel, and returns the line that says so."""
    return subprocess.run(
        [BINARY, "install-kernelspec", "--runtime", "jupyter"]
        + ["--interpreter", str(interpreter), "--prefix", str(prefix)],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture(scope="session")
def bridged_kernelspecs(kernelspecs: Path) -> dict[str, Path]:
    """Of kernels that the bridge runs, by the name of the kernelspec: its folder."""
    kernels = kernelspecs / "share/jupyter/kernels"
    own = kernels / "ipykernel"
    own.mkdir()
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python (ipykernel)",
        "language": "python",
    }
    (own / "kernel.json").write_text(json.dumps(spec))
    for interpreter in ("ir", own):
        install_bridged(kernelspecs, interpreter)
    return {name: kernels / name for name in (BRIDGED_R, BRIDGED_PYTHON)}


StartKernel = Callable[..., KernelProcess]


@pytest.fixture
def start_kernel(kernel_argv: list[str], tmp_path: Path) -> Iterator[StartKernel]:
    """Starts kernels of the test's own; they end with it."""
    started: list[KernelProcess] = []

    def start(**kw: object) -> KernelProcess:
        kernel = KernelProcess(kernel_argv, tmp_path, **kw)
        started.append(kernel)
        return kernel

    yield start
    for kernel in started:
        kernel.close()


@pytest.fixture(scope="module")
def shared_kernel(
    kernel_argv: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KernelProcess]:
    """One kernel for all tests of a module that leave it as they found it."""
    with KernelProcess(kernel_argv, tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def client(shared_kernel: KernelProcess) -> Iterator[Client]:
    """A front end of its own on the module's kernel."""
    with Client(shared_kernel.info) as c:
        c.wait_ready()
        yield c


@pytest.fixture
def fresh(start_kernel: StartKernel) -> Iterator[tuple[KernelProcess, Client]]:
    """A kernel of the test's own and a front end on it, ready."""
    kernel = start_kernel()
    with Client(kernel.info) as c:
        c.wait_ready()
        yield kernel, c


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment that has the packages of this one, and room for its own."""
    folder = tmp_path / "project/.venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    shared = [p for p in sys.path if p.endswith("site-packages")]
    (site / "shared.pth").write_text("\n".join(shared) + "\n")
    return folder


@pytest.fixture
def agent(server: Server) -> Iterator[Agent]:
    """A client of the `server` of the test's file."""
    with Agent(server.file) as agent:
        yield agent


@pytest.fixture
def context(agent: Agent) -> Iterator[str]:
    """The id of a context of Python's own, which ends with the test."""
    context = agent.create()
    yield context
    agent.ask("delete_context_request", context=context)
