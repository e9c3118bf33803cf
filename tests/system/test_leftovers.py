# SPDX-License-Identifier: MIT
"""Nothing is left behind: by contexts that end at any moment, nor by a server that does.

What is random comes from a seed, which a failure shows; CELLWALL_SEED sets it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.conftest import BINARY, KERNEL
from tests.system.rawclient import Client, KernelProcess, NothingCame
from tests.system.servers import READY, READY_FOR_AGENTS, Server, groups_of, wait_until

pytestmark = pytest.mark.cellwall

SEED = int(os.environ.get("CELLWALL_SEED", random.SystemRandom().randint(1, 2**32)))
CHURN = BINARY.parent / "tests/churn"
RUNTIMES = BINARY.parent / "runtimes"
ORDINARY_USER = 1000
OWN_MARK = "CELLWALL_LEFTOVERS_MARK"
DEADLINE_S = 30.0  # until all is gone; never reached when all is well

# Children that nobody waits for: in the background, of a session of their own, deaf to
# signals, and one that goes on forking.
DAEMONS = """
import os, signal, subprocess
subprocess.Popen(["sleep", "1000"])
subprocess.Popen(["sh", "-c", "trap '' HUP TERM INT; sleep 1000 & sleep 1000"],
                 start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            if os.fork() == 0: os._exit(0)
            os.wait()
    os._exit(0)
open("left-%d" % os.getpid(), "w").close()
"""
EXAMPLE = "print some text"


@pytest.fixture(autouse=True)
def seed_is_told() -> None:
    print(f"CELLWALL_SEED={SEED}")  # shown when the test fails


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


# --- contexts that end at any moment --------------------------------------------------


@dataclass(frozen=True)
class Way:
    name: str
    count: int
    runtime: str = "python"
    origin: str = "zygote"
    user: int | None = None


# 2,000 in all.
WAYS = [
    Way("exec", 800, runtime="example", origin="exec"),
    Way("zygote", 300),
    Way("served", 250, origin="server"),
    Way("user-exec", 400, runtime="example", origin="exec", user=ORDINARY_USER),
    Way("user-zygote", 250, user=ORDINARY_USER),
]


class Churn:
    """The program that makes contexts; see tests/system/leftovers/churn.c."""

    def __init__(self, way: Way, folder: Path, origin: str) -> None:
        self.runtime = way.runtime
        self.errors = (folder / "errors").open("w+")
        drop = []
        if way.user is not None:
            drop = ["setpriv", f"--reuid={way.user}", f"--regid={way.user}"]
            drop += ["--clear-groups"]
        python = sys.executable if way.runtime == "python" else "-"
        self.process = subprocess.Popen(
            [*drop, CHURN, RUNTIMES, way.runtime, python, folder / "work", origin],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder / "tmp")},
            text=True,
        )
        assert self.read() == "ready\n", self.said()

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def end_contexts(self, count: int, seed: int) -> str:
        code = DAEMONS if self.runtime == "python" else EXAMPLE
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count} {seed} {json.dumps(code)}\n")
        self.process.stdin.flush()
        answer = self.read()
        assert answer, self.said()
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(60)
        self.process.stdout.close()
        said = self.said()
        self.errors.close()
        assert status == 0, said


def resources(pids: list[int], folder: Path) -> dict[str, Any]:
    """What the servers PIDS, and all that they have started, use."""
    members = [p for pid in pids for p in [psutil.Process(pid), *descendants(pid)]]
    found: dict[str, Any] = {}
    kinds: Counter[str] = Counter()
    for p in members:
        try:
            kinds[p.name() + (" (zombie)" if p.status() == "zombie" else "")] += 1
        except psutil.Error:
            continue  # it has just ended
    found["processes"] = dict(kinds)
    for pid in pids:
        process = psutil.Process(pid)
        found[f"fds of {process.name()}"] = process.num_fds()
        found[f"threads of {process.name()}"] = process.num_threads()
        for child in process.children():
            found.setdefault("fds of launchers", []).append(child.num_fds())
    found["groups"] = len(groups_of({p.pid for p in members}))
    found["temporary files"] = sorted(p.name for p in (folder / "tmp").iterdir())
    return found


def settled(pids: list[int], folder: Path) -> dict[str, Any]:
    """Once nothing changes any more: reserves are filled by and by."""
    last: list[dict[str, Any]] = []

    def is_settled() -> bool:
        try:
            last.append(resources(pids, folder))
        except psutil.Error:
            last.clear()
        return len(last) > 25 and all(now == last[-1] for now in last[-25:])

    assert wait_until(is_settled), last[-3:]
    return last[-1]


def no_more(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Fewer descriptors are none too many: a connection may have ended since."""
    fds = [name for name in before if name.startswith("fds")]
    return all(
        now.get(name, value) <= value if name in fds else now[name] == value
        for name, value in before.items()
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that any user can reach."""
    with ExitStack() as stack:
        made = Path(tempfile.mkdtemp(prefix="cellwall-left-"))
        stack.callback(shutil.rmtree, made)
        made.chmod(0o755)
        for name in ("work", "tmp", "mark"):
            (made / name).mkdir()
        yield made


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_contexts_that_end_at_any_moment_leave_nothing(way: Way, folder: Path) -> None:
    if way.user is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, way.user, way.user)
    with ExitStack() as stack:
        pids, origin = [], way.origin
        if origin == "server":
            server = stack.enter_context(Server(BINARY, "--python", sys.executable))
            server.wait_said(READY)
            server.wait_said(READY_FOR_AGENTS)
            origin = str(server.runtime / "cellwall/contexts.sock")
            pids.append(server.pid)
        churn = Churn(way, folder, origin)
        stack.callback(churn.close)
        pids.append(churn.process.pid)
        churn.end_contexts(30, SEED + 1)  # so that all that is made once is made
        if way.origin == "server":
            server.wait_said(READY, 2)  # of churn's own home
        churn.end_contexts(1, 0)
        before = settled(pids, folder)

        ended = churn.end_contexts(way.count, SEED)

        def is_as_before() -> bool:
            now = resources(pids, folder)
            if "python" not in now["processes"]:
                churn.end_contexts(1, 0)  # so that a zygote that was lost comes back
            return no_more(now, before)

        assert wait_until(is_as_before), (
            f"before: {before}\nafter: {resources(pids, folder)}\n{ended}{churn.said()}"
        )


# --- servers that end at any moment ----------------------------------------------------


def environment_with(folder: Path, stack: ExitStack) -> Path:
    """A kernelspec whose contexts, and zygote, have FOLDER's mark among their mounts."""
    subprocess.run(
        [BINARY, "install-kernelspec", "--python", sys.executable]
        + ["--prefix", str(folder)],
        check=True,
        timeout=120,
    )
    spec = folder / "share/jupyter/kernels" / KERNEL
    environment = json.loads((spec / "environment.json").read_text())
    environment["mounts"].append(str(folder / "mark"))
    (spec / "environment.json").write_text(json.dumps(environment))
    return spec


def processes_of(folder: Path) -> dict[int, str]:
    """Those that were started with the mark, and those that see it among their mounts."""
    mark = str(folder).encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            started = f"{OWN_MARK}=".encode() + mark in (entry / "environ").read_bytes()
            if started or mark in (entry / "mountinfo").read_bytes():
                name = (entry / "comm").read_text().strip()
                found[int(entry.name)] = f"{name} {(entry / 'status').read_text()[:60]!r}"
        except OSError:
            continue  # it has ended
    return found


def kill_at_once(process: subprocess.Popen, chance: random.Random) -> set[int]:
    """By SIGKILL, now and then with its launcher, in either order. Returns their ids."""
    launchers = {p.pid for p in psutil.Process(process.pid).children()}
    victims = [process.pid]
    if chance.random() < 0.3:
        victims += launchers
        chance.shuffle(victims)
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):  # whose server died may have ended
            os.kill(pid, signal.SIGKILL)
    process.wait()
    return launchers | {process.pid}


def start_daemons(client: Client, chance: random.Random) -> None:
    """Not waiting for its end, mostly."""
    asked = client.start(DAEMONS)
    if chance.random() < 0.5:
        try:
            client.finish(asked, 20)
        except NothingCame:
            pytest.fail("the cell has not ended")


@pytest.mark.parametrize("profile", ["notebook", "agent"])
def test_a_kernel_that_is_killed_at_any_moment_leaves_no_process(
    folder: Path, profile: str
) -> None:
    chance = random.Random(f"{SEED} {profile}")
    with ExitStack() as stack:
        spec = environment_with(folder, stack)
        argv = json.loads((spec / "kernel.json").read_text())["argv"]
        argv = [word.replace("{resource_dir}", str(spec)) for word in argv]
        started: set[int] = set()
        for round_ in range(15):
            kernel = KernelProcess(
                argv,
                folder,
                cwd=folder / "work",
                env={OWN_MARK: str(folder)},
                extra=["--server", "none", "--profile", profile],
            )
            if round_ % 3 == 0:
                with Client(kernel.info) as client:
                    client.wait_ready()
                    start_daemons(client, chance)
                    time.sleep(chance.random() * 0.05)  # the random moment
                    started |= kill_at_once(kernel.process, chance)
            else:
                time.sleep(chance.random() * 0.3)
                started |= kill_at_once(kernel.process, chance)
            left = processes_of(folder)
            assert wait_until(lambda: not processes_of(folder)), (round_, left)

        next_one = stack.enter_context(
            KernelProcess(argv, folder, cwd=folder / "work", extra=["--server", "none"])
        )
        with Client(next_one.info) as client:
            client.wait_ready()
            assert client.evaluate("6 * 7") == 42
        assert groups_of(started - set(psutil.pids())) == set()


def test_a_server_that_is_killed_at_any_moment_leaves_nothing(folder: Path) -> None:
    chance = random.Random(SEED)
    with ExitStack() as stack:
        spec = environment_with(folder, stack)
        argv = json.loads((spec / "kernel.json").read_text())["argv"]
        argv = [word.replace("{resource_dir}", str(spec)) for word in argv]
        options = ["--environment", str(spec / "environment.json")]
        (folder / "run").mkdir(mode=0o700)
        started: set[int] = set()
        for round_ in range(15):
            server = Server(
                BINARY,
                *options,
                folder=folder / "run",
                env={OWN_MARK: str(folder)},
                expect_start=round_ % 5 != 0,
            )
            kernels = []
            if round_ % 5 != 0:
                if round_ % 5 > 1:
                    server.wait_said(READY)
                    server.wait_said(READY_FOR_AGENTS)
                kernels = [
                    stack.enter_context(
                        KernelProcess(
                            argv,
                            folder,
                            cwd=folder / "work",
                            extra=["--server", str(server.file)],
                        )
                    )
                    for _ in range(2)
                ]
            if round_ % 5 == 4:
                with Client(kernels[0].info) as client:
                    client.wait_ready()
                    start_daemons(client, chance)
            time.sleep(chance.random() * 0.1)  # the random moment
            started |= kill_at_once(server.process, chance)
            server.wait()
            for kernel in kernels:
                kernel.close()
            left = processes_of(folder)
            assert wait_until(lambda: not processes_of(folder)), (round_, left)

        with Server(BINARY, *options, folder=folder / "run") as server:
            server.wait_said(READY)
            server.wait_said(READY_FOR_AGENTS)
            assert groups_of(started - set(psutil.pids())) == set()
            assert sorted(p.name for p in server.file.parent.iterdir()) == sorted(
                ["agent.sock", "contexts.sock", "jupyter", "server.json"]
            )
