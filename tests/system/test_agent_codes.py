# SPDX-License-Identifier: MIT
"""Each error code of the agent protocol is got from a real server, with its details."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.agentclient import Agent, Refused, gate
from tests.system.agentserver import as_ordinary_user, documented_codes, ordinary, start
from tests.system.conftest import ROOT
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall

# Codes that no client can get here, and why.
NOT_HERE = {
    "NOT_WAITING": "input_reply, the one message that has no reply, is refused with it",
    "PERMISSION_DENIED": "below: root may read all",
    "FILES_UNAVAILABLE": "test_agent_nested.py: a machine without full sandboxes",
    "RATE_LIMITED": "test_agent_bounds.py: of a server that allows few",
    "SERVER_STOPPING": "test_agent_ends.py: of a server that is ending",
    "INTERNAL_ERROR": "below: of a server whose folder for connection files is gone",
}
SETTINGS = {
    "bounds": {"queue_per_context": 2, "contexts_per_owner": 3, "idle_timeout_max_s": 60},
    "limits": {"disk_bytes": 1 << 20, "disk_files": 64},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start(tmp_path_factory.mktemp("codes"), **SETTINGS) as server:
        yield server


Answer = dict[str, Any]
PRODUCERS: dict[str, Callable[[Agent, str], Answer]] = {}


def produces(code: str) -> Callable[[Any], Any]:
    def add(function: Callable[[Agent, str], Answer]) -> Callable[[Agent, str], Answer]:
        PRODUCERS[code] = function
        return function

    return add


def asks(_code: str, request: str, **members: Any) -> None:
    """The code is the answer to this; the context is added where the request has one."""

    def ask(agent: Agent, context: str) -> Answer:
        has_context = "execution" not in members and not request.startswith("create")
        more = {"context": context} if has_context else {}
        return agent.ask(request, **{**more, **members})

    PRODUCERS[_code] = ask


asks("INVALID_ARGUMENT", "run_code_request", code="1", timeout_ms="soon")
asks("UNKNOWN_REQUEST", "no_such_request")
asks("CONTEXT_NOT_FOUND", "get_context_request", context="ctx_0")
asks("EXECUTION_NOT_FOUND", "attach_request", execution="run_0")
asks("LANGUAGE_NOT_FOUND", "create_context_request", language="cobol")
asks("LIMIT_TOO_HIGH", "create_context_request", limits={"cpus": 1e6})
asks("START_FAILED", "create_context_request", limits={"open_files": 1})
asks("NOT_ALLOWED", "create_context_request", network="host")
asks("FILE_NOT_FOUND", "read_file_request", path="none")
asks("IS_A_DIRECTORY", "read_file_request", path="full")
asks("NOT_EMPTY", "remove_file_request", path="full")
asks("NOT_A_FILE", "read_file_request", path="link")
asks("PATH_INVALID", "read_file_request", path="../etc/passwd")


@produces("STALE_CONTEXT")
def stale(agent: Agent, context: str) -> Answer:
    agent.get("restart_context_request", context=context)
    reply = agent.ask("run_code_request", code="1", context={"id": context, "epoch": 1})
    assert reply["details"] == {"epoch": 2}
    return reply


@produces("CONTEXT_DELETED")
def deleted(agent: Agent, context: str) -> Answer:
    running = agent.start("input()", context=context, allow_stdin=True)
    asked = agent.send("run_code_request", {"code": "1", "context": context})
    agent.get("delete_context_request", context=context)
    assert agent.reply(running).content["reason"]["kind"] == "killed"
    return agent.reply(asked).content


@produces("NAME_TAKEN")
def taken(agent: Agent, context: str) -> Answer:
    first = agent.create(name="one")
    reply = agent.ask("create_context_request", name="one")
    assert reply["details"] == {"context": first}
    agent.get("delete_context_request", context=first)
    return reply


@produces("QUOTA_EXCEEDED")
def quota(agent: Agent, context: str) -> Answer:
    more = [agent.create() for _ in range(2)]
    reply = agent.ask("create_context_request")
    assert reply["details"] == {"limit": 3}
    for each in more:
        agent.get("delete_context_request", context=each)
    return reply


@produces("QUEUE_FULL")
def full(agent: Agent, context: str) -> Answer:
    agent.start("input()", context=context, allow_stdin=True)
    for _ in range(2):
        agent.detach("1", context=context)
    reply = agent.ask("run_code_request", code="1", context=context)
    assert reply["details"] == {"limit": 2}
    return reply


@produces("CONTEXT_BUSY")
def busy(agent: Agent, context: str) -> Answer:
    agent.start("input()", context=context, allow_stdin=True)
    return agent.ask("run_code_request", code="1", context=context, reject_if_busy=True)


@produces("TOO_LARGE")
def large(agent: Agent, context: str) -> Answer:
    reply = agent.ask(
        "write_file_request", [bytes((32 << 20) + 1)], context=context, path="big"
    )
    assert reply["details"] == {"limit": 32 << 20}
    return reply


@produces("CANCELLED")
def cancelled(agent: Agent, context: str) -> Answer:
    agent.start("input()", context=context, allow_stdin=True)
    execution = agent.detach("1", context=context)
    reply = agent.get("cancel_request", execution=execution)
    assert reply["was"] == "queued"
    return agent.ask("attach_request", execution=execution)


@produces("ABORTED")
def aborted(agent: Agent, context: str) -> Answer:
    code = gate("go") + "1/0"
    agent.start(code, context=context, stop_on_error=True)
    asked = agent.send("run_code_request", {"code": "1", "context": context})
    agent.open_gate(context)
    return agent.reply(asked).content


@produces("FILE_EXISTS")
def exists(agent: Agent, context: str) -> Answer:
    agent.write(context, "there", b"1")
    return agent.ask(
        "write_file_request", [b"2"], context=context, path="there", mode="create"
    )


@produces("NO_SPACE")
def no_space(agent: Agent, context: str) -> Answer:
    return agent.ask("write_file_request", [bytes(2 << 20)], context=context, path="big")


def prepare(agent: Agent) -> str:
    context = agent.create()
    agent.write(context, "full/file", b"1")
    agent.run("import os; os.symlink('full/file', 'link')", context=context)
    return context


def test_the_servers_codes_are_those_of_the_document() -> None:
    source = (ROOT / "kernel/agent/refusal.c").read_text()
    names = set(re.findall(r'\[REFUSAL_[A-Z_]+\] = \{ "([A-Z_]+)"', source))
    assert names == documented_codes()


def test_each_code_is_here() -> None:
    assert documented_codes() == {*PRODUCERS, *NOT_HERE}
    assert set(PRODUCERS).isdisjoint(NOT_HERE)


@pytest.mark.parametrize("code", sorted(PRODUCERS))
def test_a_code_is_got(agent: Agent, code: str) -> None:
    context = prepare(agent)
    reply = PRODUCERS[code](agent, context)
    agent.ask("delete_context_request", context=context)
    assert reply["code"] == code, reply
    assert set(reply) >= {"status", "code", "message", "suggestion", "details"}
    assert reply["status"] == "error" and isinstance(reply["details"], dict)
    assert reply["message"] and reply["suggestion"]


def test_details_say_what_is_useful(agent: Agent) -> None:
    def details(request: str, **members: Any) -> Any:
        with pytest.raises(Refused) as refused:
            agent.get(request, **members)
        return refused.value.details

    assert details("create_context_request", language="cobol")["languages"]
    ceiling = details("create_context_request", limits={"cpus": 1e6})["ceiling"]
    assert isinstance(ceiling, (int, float, dict))
    assert details("create_context_request", idle_timeout_s=61) == {"ceiling": 60}
    assert details("create_context_request", limit={}) == {"field": "limit"}


def test_a_failure_of_the_servers_own_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "connections"
    folder.mkdir(mode=0o700)
    options = ("--connection-dir", str(folder))
    with start(tmp_path, *options) as server, Agent(server.file) as agent:
        context = agent.create()
        folder.rmdir()
        folder.touch()  # no folder can be made in its place
        reply = agent.ask("open_jupyter_request", context=context)
        assert reply["code"] == "INTERNAL_ERROR", reply
        assert agent.run("1", context=context)["status"] == "ok"


def test_a_file_that_code_has_closed_is_refused() -> None:
    """To an ordinary user's server."""
    expression = """[
        agent.create(name="c"),
        agent.write("c", "closed/file", b"1"),
        agent.run("import os; os.chmod('closed', 0)", context="c"),
        agent.ask("read_file_request", context="c", path="closed/file"),
    ]"""
    with ordinary() as server:
        reply = as_ordinary_user(server, expression)[-1]
        assert reply["code"] == "PERMISSION_DENIED", reply
