# SPDX-License-Identifier: MIT
"""Runners for the tests.

CELLWALL_TEST_PYTHON names another interpreter, CELLWALL_TEST_NODE another Node.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import nodejs
from tests.runtimes import framelib

StartRunner = Callable[..., framelib.Runner]
Source = list[str] | framelib.Zygote


@pytest.fixture(scope="session", params=["exec", "fork"])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    """Where runners come from. Whatever it is, they are the same."""
    if request.param == "exec":
        yield framelib.python_argv()
        return
    zygote = framelib.Zygote()
    assert zygote.said["ready"], zygote.said
    yield zygote
    assert zygote.close() == 0


@pytest.fixture
def start(source: Source, tmp_path: Path) -> Iterator[StartRunner]:
    """Starts runners that end with the test; each has said hello."""
    runners: list[framelib.Runner] = []

    def start_one(**options: Any) -> framelib.Runner:
        options.setdefault("cwd", tmp_path)
        runner = framelib.Runner(source, **options)
        runners.append(runner)
        runner.hello()
        return runner

    yield start_one
    for runner in runners:
        runner.close()


@pytest.fixture
def runner(start: StartRunner) -> framelib.Runner:
    """A fresh runner in an empty folder."""
    return start()


@pytest.fixture(scope="module")
def shared(
    source: Source, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[framelib.Runner]:
    """One runner for all tests of a file: they may not depend on its variables."""
    runner = framelib.Runner(source, cwd=tmp_path_factory.mktemp("cwd"))
    runner.hello()
    yield runner
    runner.close()


def _end_with_jobs(runner: framelib.Runner) -> None:
    """Ends RUNNER and the jobs that its shell has left, as a sandbox would."""
    sessions = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, parent, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(parent) == runner.process.pid:
                sessions.add(int(session))
    runner.close()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(folder.name)) in sessions:
                os.kill(int(folder.name), signal.SIGKILL)


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[framelib.Runner]:
    """A fresh runner of bash in an empty folder."""
    runner = framelib.Runner(framelib.bash_argv(), cwd=tmp_path)
    runner.hello()
    yield runner
    _end_with_jobs(runner)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[framelib.Runner]:
    """One runner of bash for all tests of a file."""
    runner = framelib.Runner(framelib.bash_argv(), cwd=tmp_path_factory.mktemp("cwd"))
    runner.hello()
    yield runner
    _end_with_jobs(runner)


def node_argv(language: str) -> list[str]:
    """The command of a runtime on Node; skips what cannot be tested here."""
    try:
        path = nodejs.environment()["PATH"]
    except nodejs.Unusable as why:
        pytest.skip(str(why))
    packages = framelib.runtimes_folder() / language / "node_modules"
    if not packages.exists():
        pytest.skip("npm's packages were not there when the runtime was built")
    node = os.environ.get("CELLWALL_TEST_NODE") or shutil.which("node", path=path)
    assert node is not None
    return framelib.runtime_argv(language, node)


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartRunner]:
    """Starts runners of JavaScript, or of `language`, that end with the test."""
    runners: list[framelib.Runner] = []

    def start_one(language: str = "javascript", **options: Any) -> framelib.Runner:
        options.setdefault("cwd", tmp_path)
        runner = framelib.Runner(node_argv(language), **options)
        runners.append(runner)
        runner.hello()
        return runner

    yield start_one
    for runner in runners:
        runner.close()


@pytest.fixture
def node(start_node: StartRunner) -> framelib.Runner:
    """A fresh runner of JavaScript in an empty folder."""
    return start_node()


def _shared_node(language: str, folder: Path) -> Iterator[framelib.Runner]:
    runner = framelib.Runner(node_argv(language), cwd=folder)
    runner.hello()
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[framelib.Runner]:
    """One runner for all tests of a file: they may not depend on its variables."""
    yield from _shared_node("javascript", tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[framelib.Runner]:
    """The same for TypeScript."""
    yield from _shared_node("typescript", tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="module", params=["javascript", "typescript"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[framelib.Runner]:
    """Both languages on Node, one after the other."""
    yield from _shared_node(request.param, tmp_path_factory.mktemp("cwd"))
