# SPDX-License-Identifier: MIT
"""A server that ends, in order or at once, answers whom it can and leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.agentclient import Agent, gate, main_text
from tests.system.conftest import BINARY
from tests.system.servers import Server, groups_of, wait_until

pytestmark = pytest.mark.cellwall

# With children in sessions of their own that are deaf to signals.
DAEMONS = """
import signal, subprocess
subprocess.Popen(["sleep", "1000"])
subprocess.Popen(["sh", "-c", "trap '' HUP TERM INT; sleep 1000 & sleep 1000"],
                 start_new_session=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("/workspace/file", "w").write("x")
print("on")
while True: len("")
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="cellwall-run-"))
    yield made
    shutil.rmtree(made)


@contextmanager
def started(folder: Path) -> Iterator[Server]:
    """What it leaves in FOLDER stays there."""
    server = Server(BINARY, "--python", sys.executable, folder=folder)
    try:
        yield server
    finally:
        server.close()


def mounts() -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line for line in lines if "cellwall" in line}


def fill(agent: Agent) -> list[str]:
    """Contexts that run something: each with its processes and its workspace."""
    asked = []
    for n in range(3):
        context = agent.create(workspace="shared" if n else None, jupyter=n == 1)
        members = {"context": context, "on_disconnect": "continue"}
        asked.append(agent.start(DAEMONS, **members))
        agent.event(asked[-1], "stream", text="on")
    return asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_that_ends_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    temporary = set(Path(tempfile.gettempdir()).glob("cellwall*"))
    before = mounts()
    with started(folder) as server, Agent(server.file) as agent:
        fill(agent)
        family = psutil.Process(server.pid).children(recursive=True)
        assert len(family) > 15
        launcher = psutil.Process(server.pid).children()[0].pid
        assert groups_of({launcher})
        os.kill(server.pid, number)
        status = server.wait()
        assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert wait_until(lambda: not any(p.is_running() for p in family)), [
            p for p in family if p.is_running()
        ]
        if number == signal.SIGTERM:
            assert not server.file.exists()
            assert not list(folder.rglob("*.sock"))
            assert not list(folder.rglob("*.json"))

    # The next one cleans up after one that was killed.
    with started(folder) as server, Agent(server.file) as agent:
        assert agent.get("list_contexts_request")["contexts"] == []
        assert main_text(agent.run("6 * 7")) == "42"
        assert groups_of({launcher}) == set()
        left = {p.name for p in server.file.parent.rglob("*") if not p.is_dir()}
        assert left == {"agent.sock", "contexts.sock", "server.json"}
    assert mounts() == before
    left = set(Path(tempfile.gettempdir()).glob("cellwall*")) - temporary
    assert {p for p in left if str(launcher) in p.name} == set()


def test_a_server_that_ends_answers_what_waits(folder: Path) -> None:
    with started(folder) as server, Agent(server.file) as agent:
        context = agent.create()
        running = agent.start(gate("never"), context=context)
        members = {"code": "1", "context": context, "stream": True}
        queued = agent.send("run_code_request", members)
        agent.event(queued, "execution_queued")
        server.process.terminate()
        reply = agent.reply(running).content
        assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("killed", "lost")
        assert agent.reply(queued).content["code"] == "CONTEXT_DELETED"
        assert server.wait() == 0


def test_a_request_to_a_server_that_ends_is_refused(folder: Path) -> None:
    """While another client has not read what the server has for it."""
    with (
        started(folder) as server,
        Agent(server.file) as agent,
        Agent(server.file, hwm=1) as lazy,
    ):
        for _ in range(3000):
            lazy.send("server_info_request")
        # The server reads from both in turn.
        for msg_id in [agent.send("server_info_request") for _ in range(3000)]:
            assert agent.reply(msg_id).content["status"] == "ok"
        os.kill(server.pid, signal.SIGSTOP)
        server.process.terminate()
        # It may read the first ones before it sees the signal.
        asked = [agent.send("server_info_request") for _ in range(60)]
        os.kill(server.pid, signal.SIGCONT)
        reply: dict[str, Any] = {"status": "ok"}
        while reply["status"] == "ok":
            reply = agent.reply(asked.pop(0)).content
        assert reply["code"] == "SERVER_STOPPING"
        assert server.wait() == 0
