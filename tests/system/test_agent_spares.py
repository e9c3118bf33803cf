# SPDX-License-Identifier: MIT
"""Contexts that are ready before an agent asks for them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.system.agentclient import Agent, Refused, main_text
from tests.system.agentserver import start
from tests.system.conftest import BINARY
from tests.system.servers import (
    READY,
    READY_FOR_AGENTS,
    Server,
    no_launcher,
    processes_below,
    wait_until,
)

pytestmark = pytest.mark.cellwall


def sandboxes(server: Server) -> set[int]:
    return set(processes_below(server.pid, "cellwall-init"))


def wait_for_sandboxes(server: Server, count: int) -> None:
    assert wait_until(lambda: len(sandboxes(server)) == count), sandboxes(server)


def test_the_next_context_is_there_already(tmp_path: Path) -> None:
    with start(tmp_path, "--no-zygote", reserve=1) as server, Agent(server.file) as agent:
        first = agent.create()
        agent.run("x = 1; open('kept', 'w').close()", context=first)
        wait_for_sandboxes(server, 2)
        with no_launcher(server):
            reply = agent.get("create_context_request", name="next", labels={"a": "b"})
        assert reply["created"] is True
        assert reply["context"]["name"] == "next"
        assert reply["context"]["labels"] == {"a": "b"}
        assert reply["context"]["epoch"] == 1
        assert reply["context"]["state"] == "idle"
        looked = agent.run("'x' in globals(), __import__('os').listdir()", context="next")
        assert main_text(looked) == "(False, [])"
        wait_for_sandboxes(server, 3)  # there is another in its place


def test_a_default_context_is_there_already(tmp_path: Path) -> None:
    with start(tmp_path, "--no-zygote", reserve=1) as server, Agent(server.file) as agent:
        agent.create()
        wait_for_sandboxes(server, 2)
        with no_launcher(server):
            assert main_text(agent.run("6 * 7")) == "42"


def test_what_is_asked_for_specially_is_made(tmp_path: Path) -> None:
    with start(tmp_path, "--no-zygote", reserve=1) as server, Agent(server.file) as agent:
        agent.create()
        wait_for_sandboxes(server, 2)
        special = agent.create(
            env={"A": "b"}, cwd="there", limits={"memory_bytes": 300 << 20}
        )
        look = "import os; os.environ['A'], os.getcwd()"
        assert main_text(agent.run(look, context=special)) == "('b', '/workspace/there')"


def test_spares_are_nobody_s(tmp_path: Path) -> None:
    with start(tmp_path, "--no-zygote", reserve=2, bounds={"contexts": 2}) as server:
        with Agent(server.file) as agent:
            agent.create()
            wait_for_sandboxes(server, 3)
            assert len(agent.get("list_contexts_request")["contexts"]) == 1
            assert agent.get("server_info_request")["contexts"] == 1
            agent.create(env={"A": "b"})
            with pytest.raises(Refused, match="the server has 2 contexts"):
                agent.create()


def test_there_are_none_unless_they_are_wanted(tmp_path: Path) -> None:
    with start(tmp_path, "--no-zygote", reserve=0) as server:
        with Agent(server.file) as agent:
            agent.create()
            agent.create()  # by now one would have been begun
            agent.run("1")
            wait_for_sandboxes(server, 3)


def test_a_spare_has_what_was_changed_in_a_package_since(
    venv: Path, tmp_path: Path
) -> None:
    package = next(venv.glob("lib/python*/site-packages")) / "package"
    package.mkdir()
    (package / "__init__.py").write_text("answer = 'old'\n")
    settings = {"reserve": 1, "preload": {"python": ["package"]}}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings))
    options = ("--python", str(venv / "bin/python"), "--config", str(config))
    look = "__import__('package').answer"
    assert sys.executable != str(venv / "bin/python")
    with Server(BINARY, *options) as server, Agent(server.file) as agent:
        server.wait_said(READY)
        server.wait_said(READY_FOR_AGENTS)
        wait_for_sandboxes(server, 2)  # the zygotes
        assert main_text(agent.run(look, context=agent.create())) == "'old'"
        wait_for_sandboxes(server, 4)
        (package / "__init__.py").write_text("answer = 'changed'\n")
        assert main_text(agent.run(look, context=agent.create())) == "'changed'"
