# SPDX-License-Identifier: MIT
"""What ordinary people run, runs: docs/compatibility.md, made true.

Each program of tests/system/compatibility is a cell that prints what is written beside
it. All of them run in one kernel of each way: both profiles, as root and as an ordinary
user, forked by a server's zygote, and, as a check of what is written, in ipykernel
without a sandbox.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.compatibility import files, processes, science, system, tools
from tests.system.compatibility.program import Program
from tests.system.conftest import BINARY, KERNEL
from tests.system.rawclient import Client, KernelProcess, NothingCame, Run
from tests.system.servers import READY, Server
from tests.system.test_server import FORKED

pytestmark = pytest.mark.cellwall

ORDINARY_USER = 1000
PROGRAMS = [
    program
    for group in (science, processes, files, system, tools)
    for program in group.PROGRAMS
]
TIMEOUT_S = 120.0

# Everything that a program may have left, but for what it has imported.
EMPTY = """
import os as _os, shutil as _shutil
for _entry in _os.scandir("."):
    if _entry.is_dir(follow_symlinks=False): _shutil.rmtree(_entry)
    else: _os.unlink(_entry)
"""
# Which of these words are not programs, modules or headers that the context sees.
PROBE = """
def _is_here(word):
    import importlib.util, os, shutil, sysconfig
    if word.startswith("import "): return importlib.util.find_spec(word[7:]) is not None
    folder = sysconfig.get_path("include")
    return shutil.which(word) is not None or os.path.exists(f"{{folder}}/{{word}}")
print(*[word for word in {words!r} if not _is_here(word)], sep=", ")
"""


@dataclass(frozen=True)
class Way:
    """How a kernel is started."""

    name: str
    options: tuple[str, ...] = ()
    user: int | None = None  # None: as these tests, root
    served: bool = False
    confined: bool = True


WAYS = [
    Way("unconfined", user=ORDINARY_USER, confined=False),
    Way("notebook", ()),
    Way("notebook-user", (), user=ORDINARY_USER),
    Way("notebook-served", (), served=True),
    Way("agent", ("--profile", "agent")),
    Way("agent-user", ("--profile", "agent"), user=ORDINARY_USER),
]


@dataclass
class FrontEnd:
    """A kernel and a client on it, which is of no more use after a program that hangs."""

    kernel: KernelProcess
    client: Client
    stopped_at: str = ""

    def execute(self, program: Program, code: str) -> Run:
        assert self.kernel.alive() and not self.stopped_at, f"since {self.stopped_at}"
        try:
            return self.client.execute(code, timeout=TIMEOUT_S)
        except NothingCame:
            self.stopped_at = program.name
            raise


def drop(user: int | None) -> list[str]:
    if user is None:
        return []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def give(path: Path, user: int | None) -> Path:
    if user is not None:
        os.chown(path, user, user)
    return path


def kernel_of(way: Way, folder: Path, stack: ExitStack) -> KernelProcess:
    """FOLDER is the way's own, and its user's."""
    home = give(folder / "home", way.user)
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(give(folder / "run", way.user))}
    if not way.confined:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        env["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        env |= {"IPYTHONDIR": str(home), "MPLCONFIGDIR": str(home)}
    else:
        command = [BINARY, "install-kernelspec", "--python", sys.executable]
        subprocess.run([*command, "--prefix", str(folder)], check=True, timeout=120)
        spec = folder / "share/jupyter/kernels" / KERNEL
        argv = json.loads((spec / "kernel.json").read_text())["argv"]
        argv = [word.replace("{resource_dir}", str(spec)) for word in argv]
        if way.served:
            options = ["--environment", str(spec / "environment.json")]
            # Of one home: a zygote of another would not do.
            server = stack.enter_context(
                Server(BINARY, *options, env={"HOME": str(home)})
            )
            server.wait_said(READY)
            argv += ["--server", str(server.file)]
    return stack.enter_context(
        KernelProcess(
            [*drop(way.user), *argv],
            folder / "files",
            env=env,
            cwd=give(folder / "work", way.user),
            extra=way.options,
            owner=way.user,
        )
    )


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    if os.geteuid() != 0 and request.param.user is not None:
        pytest.skip("only root can become another user")
    return request.param


@pytest.fixture(scope="module")
def front_end(way: Way) -> Iterator[FrontEnd]:
    """A kernel for all programs of one way. Its folder is one that any user can reach."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="cellwall-compat-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for name in ("home", "run", "work", "files"):
            (folder / name).mkdir(mode=0o755 if name == "files" else 0o700)
        kernel = kernel_of(way, folder, stack)
        client = stack.enter_context(Client(kernel.info))
        client.wait_ready(60)
        if way.confined:
            assert client.evaluate(FORKED) is way.served
        yield FrontEnd(kernel, client)


def plain(text: str) -> str:
    """Without colours, a terminal's ends of lines, and blanks there."""
    return re.sub(r"\x1b\[[0-9;]*m|[ \r]+(?=\n)", "", text).rstrip(" \n")


def told(run: Run) -> str:
    """For a person whose program failed."""
    error = "\n".join(run.content.get("traceback", []))
    return f"stdout:\n{run.stream()}\nstderr:\n{run.stream('stderr')}\n{error}"


def skip_if_it_cannot_run(front_end: FrontEnd, program: Program) -> None:
    missing = front_end.execute(program, PROBE.format(words=program.needs)).stream()
    if missing != "\n":
        pytest.skip(f"not on this machine: {missing.strip()}")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_what_ordinary_people_run(
    way: Way, front_end: FrontEnd, program: Program
) -> None:
    expected = program.expected(way.confined)
    if expected is None:
        return  # what it would do out there is its business: see WHY
    if program.needs:
        skip_if_it_cannot_run(front_end, program)
    cleared = front_end.execute(program, EMPTY)
    assert cleared.content["status"] == "ok", told(cleared)

    run = front_end.execute(program, program.cell)

    assert run.content["status"] == "ok", told(run)
    assert plain(run.stream()) == expected, told(run)
