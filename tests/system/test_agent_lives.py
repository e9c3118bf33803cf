# SPDX-License-Identifier: MIT
"""What ends code and interpreters, and whether the reply says truly what survived."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.agentclient import Agent, Refused, gate, main_text
from tests.system.agentserver import start
from tests.system.servers import Server, no_launcher, wait_until

pytestmark = pytest.mark.cellwall

# Deaf before it says that it is there: no interrupt can find it between the two.
STUBBORN = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("on", flush=True)
sum(range(10**14))
"""
LEAK = "kept = []\nwhile True: kept.append(bytearray(8 << 20))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start(tmp_path_factory.mktemp("lives")) as server:
        yield server


@pytest.fixture
def context(agent: Agent) -> Iterator[str]:
    """One with a variable, and a file."""
    context = agent.create()
    agent.run("x = 5", context=context)
    agent.write(context, "file", b"kept")
    yield context
    agent.ask("delete_context_request", context=context)


def is_kept(agent: Agent, context: str, reply: dict[str, Any], kind: str) -> None:
    """The variables are there, as the reply says."""
    assert reply["status"] == "error" and reply["error"] is not None
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == (kind, "kept")
    assert reply["reason"]["text"]
    assert reply["context"] == {"id": context, "epoch": 1, "state": "idle"}
    handle = {"id": context, "epoch": 1}
    assert main_text(agent.run("x", context=handle)) == "5"


def is_lost(agent: Agent, context: str, reply: dict[str, Any], kind: str) -> None:
    """They are not, as it says; files are."""
    assert reply["status"] == "error" and reply["error"] is not None
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == (kind, "lost")
    assert reply["reason"]["text"]
    epoch = reply["context"]["epoch"]
    assert epoch == 2
    with pytest.raises(Refused) as refused:
        agent.run("x", context={"id": context, "epoch": 1})
    assert refused.value.code == "STALE_CONTEXT"
    assert refused.value.details == {"epoch": 2}
    handle = {"id": context, "epoch": 2}
    assert main_text(agent.run("'x' in globals()", context=handle)) == "False"
    assert agent.read(context, "file") == b"kept"
    described = agent.get("get_context_request", context=context)["context"]
    assert (described["epoch"], described["state"]) == (2, "idle")


# Timeouts.


@pytest.mark.parametrize(
    "code",
    ["while True: pass", "import time; time.sleep(1000)", "input()"],
    ids=["computes", "sleeps", "asks"],
)
@pytest.mark.parametrize("streams", [True, False])
def test_a_timeout_stops_code_and_keeps_variables(
    agent: Agent, context: str, code: str, streams: bool
) -> None:
    if code == "input()" and not streams:
        code = "import threading; threading.Event().wait()"
    reply = agent.run(
        "print('before')\n" + code,
        context=context,
        timeout_ms=3000,
        stream=streams,
        allow_stdin=True,
    )
    is_kept(agent, context, reply, "timeout")
    assert reply["logs"]["stdout"] == "before\n"
    assert reply["reason"]["limit"] == 3000
    assert reply["reason"]["observed"] >= 3000
    assert reply["usage"]["wall_ms"] >= 3000


def test_code_that_is_deaf_to_the_interrupt_is_replaced(
    agent: Agent, context: str
) -> None:
    reply = agent.run(STUBBORN, context=context, timeout_ms=3000)
    is_lost(agent, context, reply, "timeout")


def test_a_timeout_can_replace_the_interpreter_at_once(
    agent: Agent, context: str
) -> None:
    reply = agent.run(
        "while True: pass", context=context, timeout_ms=200, on_timeout="restart"
    )
    is_lost(agent, context, reply, "timeout")


def test_the_wait_in_the_queue_is_not_of_the_timeout(agent: Agent, context: str) -> None:
    first = agent.start(gate("go"), context=context)
    members = {"code": "x", "context": context, "timeout_ms": 2000}
    second = agent.send("run_code_request", members)
    agent.get("server_info_request")
    before = agent.keepalives
    while agent.keepalives < before + 3:  # it waits for longer than its timeout
        agent.receive()
    agent.open_gate(context)
    assert agent.reply(first).content["status"] == "ok"
    reply = agent.reply(second).content
    assert main_text(reply) == "5" and reply["usage"]["queued_ms"] > 2000


def test_what_waits_behind_a_timeout_runs(agent: Agent, context: str) -> None:
    members = {"code": "while True: pass", "context": context, "timeout_ms": 200}
    slow = agent.send("run_code_request", members)
    behind = [
        agent.send("run_code_request", {"code": "x", "context": context})
        for _ in range(3)
    ]
    assert agent.reply(slow).content["reason"]["kind"] == "timeout"
    assert [main_text(agent.reply(msg_id).content) for msg_id in behind] == ["5"] * 3


def test_the_timeout_of_a_context_is_that_of_its_runs(agent: Agent) -> None:
    context = agent.create(limits={"run_ms": 300})
    reply = agent.run("while True: pass", context=context)
    assert (reply["reason"]["kind"], reply["reason"]["limit"]) == ("timeout", 300)
    agent.get("delete_context_request", context=context)


# Interrupts.


def test_an_interrupt_keeps_variables(agent: Agent, context: str) -> None:
    asked = agent.start("print('on')\nwhile True: pass", context=context)
    agent.event(asked, "stream")
    assert agent.get("interrupt_context_request", context=context)["interrupted"]
    reply = agent.reply(asked).content
    is_kept(agent, context, reply, "interrupted")
    assert reply["error"]["ename"] == "KeyboardInterrupt"


def test_a_forced_interrupt_replaces_what_is_deaf(agent: Agent, context: str) -> None:
    asked = agent.start(STUBBORN, context=context)
    agent.event(asked, "stream")
    agent.get("interrupt_context_request", context=context, force=True)
    reply = agent.reply(asked).content
    is_lost(agent, context, reply, reply["reason"]["kind"])
    assert reply["reason"]["kind"] in ("interrupted", "killed")


def test_an_interrupt_of_code_that_catches_it_is_no_loss(
    agent: Agent, context: str
) -> None:
    code = """
try:
    print('on')
    while True: len("")  # Python does not catch it in a loop of nothing
except KeyboardInterrupt:
    x = 5
'caught'
"""
    asked = agent.start(code, context=context)
    agent.event(asked, "stream")
    agent.get("interrupt_context_request", context=context)
    reply = agent.reply(asked).content
    assert reply["status"] == "ok" and main_text(reply) == "'caught'"
    assert main_text(agent.run("x", context=context)) == "5"


# Interpreters that end.


@pytest.mark.parametrize(
    "code, kind, expected",
    [
        ("import os; os._exit(3)", "crashed", {"exit_status": 3}),
        ("import os; os._exit(0)", "crashed", {"exit_status": 0}),
        ("import os; os.kill(os.getpid(), 9)", "killed", {"signal": 9}),
        ("import os; os.abort()", "crashed", {"signal": 6}),
        ("import ctypes; ctypes.string_at(0)", "crashed", {"signal": 11}),
    ],
)
def test_the_end_of_an_interpreter_is_told(
    agent: Agent, context: str, code: str, kind: str, expected: dict[str, int]
) -> None:
    reply = agent.run("print('last words', flush=True)\n" + code, context=context)
    is_lost(agent, context, reply, kind)
    assert reply["logs"]["stdout"] == "last words\n"
    for name, value in expected.items():
        assert reply["reason"][name] == value


def test_exit_ends_a_run_as_the_language_does(agent: Agent, context: str) -> None:
    """Who ends a context is its client, not its code."""
    reply = agent.run("raise SystemExit(3)", context=context)
    assert reply["status"] == "error" and reply["error"]["ename"] == "SystemExit"
    reply = agent.run("exit()", context=context)
    assert (reply["status"], reply["reason"]) == ("ok", None)
    assert reply["context"]["epoch"] == 1
    assert main_text(agent.run("x", context=context)) == "5"


def test_too_much_memory_is_told(agent: Agent) -> None:
    context = agent.create(limits={"memory_bytes": 256 << 20})
    agent.run("x = 5", context=context)
    agent.write(context, "file", b"kept")
    reply = agent.run(LEAK, context=context)
    if reply["reason"] is None:  # the language has noticed it first
        assert reply["error"]["ename"] == "MemoryError"
    else:
        is_lost(agent, context, reply, "memory")
        assert reply["reason"]["limit"] == 256 << 20
        assert reply["reason"]["peak_bytes"] > 128 << 20
    agent.get("delete_context_request", context=context)


def test_the_loss_is_told_to_who_streams(agent: Agent, context: str) -> None:
    asked = agent.start("import os; os._exit(3)", context=context)
    reply = agent.reply(asked).content
    events = agent.events[asked]
    (error,) = [e for e in events if e.type == "error"]
    assert error.metadata["cellwall"]["reason"] == reply["reason"]
    assert error.content == reply["error"]
    assert events[-1].content == {"execution_state": "idle"}


def test_what_waits_is_not_run_in_a_fresh_interpreter(agent: Agent, context: str) -> None:
    code = gate("go") + "os._exit(3)"
    dying = agent.send("run_code_request", {"code": code, "context": context})
    waiting = [
        agent.send("run_code_request", {"code": "x", "context": context})
        for _ in range(3)
    ]
    agent.open_gate(context)
    assert agent.reply(dying).content["reason"]["kind"] == "crashed"
    assert [agent.reply(m).content["code"] for m in waiting] == ["ABORTED"] * 3
    assert main_text(agent.run("1", context=context)) == "1"


# Restarts.


def test_a_restart_loses_variables_and_keeps_files(agent: Agent, context: str) -> None:
    reply = agent.get("restart_context_request", context=context)
    assert (reply["context"]["epoch"], reply["context"]["state"]) == (2, "idle")
    with pytest.raises(Refused, match="STALE_CONTEXT"):
        agent.get("restart_context_request", context={"id": context, "epoch": 1})
    code = "['x' in globals(), open('file').read()]"
    assert main_text(agent.run(code, context=context)) == "[False, 'kept']"
    execution = agent.run("1", context=context)["execution_id"]
    asked = agent.send("attach_request", {"execution": execution})
    agent.reply(asked)
    assert {e.metadata["cellwall"]["epoch"] for e in agent.events[asked]} == {2}


def test_a_restart_ends_what_runs_and_waits(agent: Agent, context: str) -> None:
    asked = agent.start(gate("never"), context=context)
    waiting = agent.send("run_code_request", {"code": "1", "context": context})
    reply = agent.get("restart_context_request", context=context)
    assert reply["context"]["epoch"] == 2
    reply = agent.reply(asked).content
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("killed", "lost")
    assert agent.reply(waiting).content["code"] == "ABORTED"
    assert main_text(agent.run("1", context=context)) == "1"


def test_restarts_at_the_same_time_are_all_answered(agent: Agent, context: str) -> None:
    asked = [agent.send("restart_context_request", {"context": context}) for _ in "abcde"]
    epochs = [agent.reply(m).content["context"]["epoch"] for m in asked]
    assert all(epoch >= 2 for epoch in epochs)
    assert main_text(agent.run("'x' in globals()", context=context)) == "False"


# Deletion.


def test_a_deleted_context_ends_what_is_in_it(agent: Agent) -> None:
    context = agent.create(name="gone")
    asked = agent.start(gate("never"), context=context)
    detached = agent.detach("1", context=context)
    restart = agent.send("complete_request", {"context": context, "code": "a"})
    assert agent.get("delete_context_request", context="gone")["context"] == context
    reply = agent.reply(asked).content
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("killed", "lost")
    assert reply["context"] == {"id": context, "epoch": 1, "state": "dead"}
    assert agent.ask("attach_request", execution=detached)["code"] == "CONTEXT_DELETED"
    assert "status" in agent.reply(restart).content
    for handle in (context, "gone", {"id": context, "epoch": 1}):
        reply = agent.ask("get_context_request", context=handle)
        assert reply["code"] == "CONTEXT_NOT_FOUND"
    assert agent.create(name="gone") != context
    agent.get("delete_context_request", context="gone")


def test_a_context_that_is_deleted_in_the_making_answers_its_maker(agent: Agent) -> None:
    create = agent.send("create_context_request", {"name": "brief"})
    agent.get("delete_context_request", context="brief")
    reply = agent.reply(create).content
    assert reply["status"] == "ok" or reply["code"] == "CONTEXT_DELETED"
    assert agent.get("list_contexts_request")["contexts"] == []


def test_an_idle_context_goes_and_a_busy_one_stays(agent: Agent) -> None:
    idle = agent.create(idle_timeout_s=1)
    members = {"name": "busy", "idle_timeout_s": 1}
    create = agent.send("create_context_request", members)
    asked = agent.start(gate("go"), context="busy")
    busy = agent.reply(create).content["context"]["id"]

    def contexts() -> list[str]:
        return [c["id"] for c in agent.get("list_contexts_request")["contexts"]]

    assert wait_until(lambda: contexts() == [busy])
    reply = agent.ask("run_code_request", code="1", context=idle)
    assert reply["code"] == "CONTEXT_NOT_FOUND"
    agent.open_gate(busy)
    assert agent.reply(asked).content["status"] == "ok"
    assert wait_until(lambda: contexts() == [])


def test_a_context_is_not_idle_before_its_maker_has_it(
    server: Server, agent: Agent
) -> None:
    members = {"idle_timeout_s": 0.5, "env": {"A": "b"}}  # as none is in reserve
    with no_launcher(server):
        create = agent.send("create_context_request", members)
        # It is in the making for longer than its timeout.
        while agent.keepalives < 3 and create not in agent.replies:
            agent.receive()
    assert agent.reply(create).content["status"] == "ok"
    assert wait_until(lambda: agent.get("list_contexts_request")["contexts"] == [])


def test_a_context_that_cannot_start_is_none(agent: Agent) -> None:
    reply = agent.ask("create_context_request", name="n", limits={"open_files": 1})
    assert reply["code"] == "START_FAILED"
    assert wait_until(lambda: agent.get("list_contexts_request")["contexts"] == [])
    assert agent.create(name="n")
    agent.get("delete_context_request", context="n")
