# SPDX-License-Identifier: MIT
"""Hostile commands that every language can run: each is contained, and told truly."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.agentclient import Agent
from tests.system.agentserver import start
from tests.system.conftest import need_node
from tests.system.servers import Server, processes_below, wait_until
from tests.system.test_agent_languages import LANGUAGES, ON_NODE

pytestmark = pytest.mark.cellwall

MIB = 1 << 20
LIMITS = {"disk_bytes": 32 * MIB, "output_bytes": MIB, "processes": 64, "run_ms": 20_000}
SHELLS: dict[str, Callable[[str], str]] = {
    "python": lambda line: f"import os; os.system({line!r})",
    "javascript": lambda line: (
        f"try {{ require('child_process').execSync({json.dumps(line)},"
        " { stdio: 'inherit' }) } catch {}"
    ),
    "bash": lambda line: line,
    "R": lambda line: f"invisible(system({json.dumps(line)}))",
}
SHELLS["typescript"] = SHELLS["javascript"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    with start(folder, interpreters={"jupyter": ["ir"]}, reserve=0) as server:
        yield server


Try = Callable[..., dict[str, Any]]


@pytest.fixture(params=LANGUAGES)
def attempt(
    request: pytest.FixtureRequest, agent: Agent, server: Server
) -> Iterator[Try]:
    """Runs a command in a context of its own. At the end another context is as it was,
    this one can be used again, and nothing of it is left when it is deleted."""
    name = request.param
    if name in ON_NODE:
        need_node()
    bystander = agent.create(language="python")
    agent.run("x = 'untouched'", context=bystander)
    before = len(processes_below(server.pid, "cellwall-init"))
    context = agent.create(language=name, limits=LIMITS)

    def run(line: str) -> dict[str, Any]:
        return agent.run(SHELLS[name](line), context=context)

    yield run
    agent.run(LANGUAGES[name].sets, context=context)
    again = agent.run(LANGUAGES[name].tells, context=context)
    assert again["logs"]["stdout"].endswith("42\n"), again
    assert agent.run("print(x)", context=bystander)["logs"]["stdout"] == "untouched\n"
    agent.get("delete_context_request", context=context)
    assert wait_until(lambda: len(processes_below(server.pid, "cellwall-init")) == before)
    agent.get("delete_context_request", context=bystander)
    # Answered at once; the next test counts when it has ended.
    assert wait_until(
        lambda: len(processes_below(server.pid, "cellwall-init")) == before - 1
    )


def test_a_fork_bomb(attempt: Try) -> None:
    attempt("bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 1")


def test_killing_everybody(attempt: Try) -> None:
    reply = attempt("kill -9 -1")
    if reply["reason"] is not None:
        assert reply["reason"]["state"] == "lost"


def test_a_network(attempt: Try) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reply = attempt(
            f"bash -c 'exec 9<>/dev/tcp/127.0.0.1/{port}' && echo reached || echo refused"
        )
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert "refused" in reply["logs"]["stdout"]


def test_a_file_of_the_host(attempt: Try, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    reply = attempt(f"cat {secret} /etc/shadow /root/.bash_history; ls /home /root")
    assert "canary" not in str(reply)
    assert "root:" not in str(reply["logs"])


def test_a_full_disk(attempt: Try) -> None:
    reply = attempt("head -c 100M /dev/zero >big; wc -c <big; rm big; echo x >small")
    written = int(reply["logs"]["stdout"].split()[0])
    assert 0 < written <= LIMITS["disk_bytes"]


def test_a_flood(attempt: Try) -> None:
    reply = attempt("yes | head -c 20M")
    truncated = reply["truncated"]
    if reply["reason"] is None:
        assert truncated["stdout"]["total_bytes"] >= 20 * MIB
    assert len(reply["logs"]["stdout"]) <= 2 * LIMITS["output_bytes"]


def test_garbage_in_every_descriptor(attempt: Try) -> None:
    attempt(
        "for f in /proc/[0-9]*/fd/*; do [ -p $f ] || [ -S $f ] && "
        "timeout 1 head -c 999 /dev/urandom >$f; done 2>/dev/null"
    )


def test_what_is_left_behind(attempt: Try) -> None:
    attempt("for i in 1 2 3; do setsid sleep 1000 >/dev/null 2>&1 & done")
