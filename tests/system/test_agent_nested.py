# SPDX-License-Identifier: MIT
"""The agent service in an ordinary container, where sandboxes are nested ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.agentclient import Agent, Refused, main_text
from tests.system.conftest import BINARY
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall

CONTAINER = BINARY.parent / "tests/sandbox/sandbox_container"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    script = tmp_path / "cellwall"
    script.write_text(f'#!/bin/sh\nexec {CONTAINER} {BINARY} "$@"\n')
    script.chmod(0o755)
    # Leaks are found by tracing, which takes a capability that containers lack.
    env = {"ASAN_OPTIONS": os.environ["ASAN_OPTIONS"] + ":detect_leaks=0"}
    options = ["--tier", "nested", "--python", sys.executable]
    # At ipc nobody comes in from outside of the container.
    options += ["--endpoint", "tcp://127.0.0.1:*"]
    options += ["--tcp-without-keys-anyone-can-run-code"]
    with Server(script, *options, env=env) as server, Agent(server.file) as agent:
        yield agent


def test_what_a_nested_sandbox_lacks_is_said(agent: Agent) -> None:
    info = agent.get("server_info_request")
    assert info["isolation"]["tier"] == "nested" and info["isolation"]["missing"]
    assert info["owner"] == "anyone"
    reply = agent.get("create_context_request")
    assert reply["context"]["isolation"] == "nested"
    context = reply["context"]["id"]
    assert main_text(agent.run("6 * 7", context=context)) == "42"
    for request, members in (
        ("list_files_request", {}),
        ("read_file_request", {"path": "a"}),
        ("remove_file_request", {"path": "a"}),
        ("make_directory_request", {"path": "a"}),
    ):
        with pytest.raises(Refused, match="FILES_UNAVAILABLE"):
            agent.get(request, context=context, **members)
    with pytest.raises(Refused, match="FILES_UNAVAILABLE"):
        agent.write(context, "a", b"1")
    with pytest.raises(Refused, match="FILES_UNAVAILABLE"):
        agent.create(workspace="shared")
    reply = agent.run("while True: pass", context=context, timeout_ms=200)
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("timeout", "kept")
    reply = agent.run("import os; os._exit(1)", context=context)
    assert reply["reason"]["state"] == "lost"
    assert main_text(agent.run("1", context=context)) == "1"
