# SPDX-License-Identifier: MIT
"""Executions outlive their clients: detached ones, clients that vanish or come back, that
watch, and that do not read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.agentclient import Agent, Message, gate, main_text
from tests.system.agentserver import start
from tests.system.conftest import ROOT
from tests.system.servers import Server, wait_until

pytestmark = pytest.mark.cellwall

TICKS = """
import os, time
for i in range(3):
    while not os.path.exists(f"/workspace/go{i}"):
        time.sleep(0.005)
    print("tick", i)
'done'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start(tmp_path_factory.mktemp("clients")) as server:
        yield server


def numbers(events: list[Message]) -> list[int]:
    return [event.seq for event in events]


def executions(agent: Agent, context: str) -> list[dict]:
    return agent.get("get_context_request", context=context)["executions"]


# Detached.


def test_a_detached_execution_ends_without_its_client(
    server: Server, agent: Agent, context: str
) -> None:
    with Agent(server.file) as first:
        execution = first.detach("x = 1" + gate("go") + "'end'", context=context)
    agent.open_gate(context)
    with Agent(server.file) as second:
        asked = second.send("attach_request", {"execution": execution})
        reply = second.reply(asked).content
        assert main_text(reply) == "'end'" and reply["missed_events"] == 0
        assert reply["execution_id"] == execution
        events = second.events[asked]
        assert numbers(events) == list(range(1, len(events) + 1))
        assert events[0].type == "execution_queued"
        assert events[-1].content == {"execution_state": "idle"}
        # Again, as often as one likes, and from any event on.
        for after in range(len(events) + 2):
            asked = second.send(
                "attach_request", {"execution": execution, "after_seq": after}
            )
            assert second.reply(asked).content == reply
            assert numbers(second.events[asked]) == numbers(events)[after:]


def test_attach_without_wait_says_how_it_goes(agent: Agent, context: str) -> None:
    execution = agent.detach(gate("go"), context=context)
    members = {"execution": execution, "wait": False}
    reply = agent.get("attach_request", **members)
    assert set(reply) == {"status", "execution"}
    assert reply["execution"]["id"] == execution
    agent.open_gate(context)
    agent.outcome(execution)
    reply = agent.get("attach_request", **members)
    assert reply["execution_id"] == execution and reply["missed_events"] == 0


def test_attached_clients_all_get_what_comes(
    server: Server, agent: Agent, context: str
) -> None:
    execution = agent.detach(TICKS, context=context)
    with Agent(server.file) as one, Agent(server.file) as other:
        asked = [a.send("attach_request", {"execution": execution}) for a in (one, other)]
        for i in range(3):
            agent.open_gate(context, f"go{i}")
            one.until_text(asked[0], f"tick {i}")
            other.until_text(asked[1], f"tick {i}")
        replies = [a.reply(m) for a, m in zip((one, other), asked, strict=True)]
        assert replies[0].content == replies[1].content
        assert numbers(one.events[asked[0]]) == numbers(other.events[asked[1]])


def test_who_comes_back_gets_what_it_has_missed(
    server: Server, agent: Agent, context: str
) -> None:
    with Agent(server.file) as first:
        asked = first.start(TICKS, context=context, on_disconnect="continue")
        agent.open_gate(context, "go0")
        last = first.until_text(asked, "tick 0")
        execution = last.execution
    agent.open_gate(context, "go1")
    with Agent(server.file) as again:
        members = {"execution": execution, "after_seq": last.seq}
        asked = again.send("attach_request", members)
        again.until_text(asked, "tick 1")
        agent.open_gate(context, "go2")
        assert main_text(again.reply(asked).content) == "'done'"
        events = again.events[asked]
        assert numbers(events)[0] == last.seq + 1
        assert numbers(events) == list(range(last.seq + 1, events[-1].seq + 1))


def test_a_detached_execution_waits_with_its_question(
    server: Server, agent: Agent, context: str
) -> None:
    execution = agent.detach("input('who? ')", context=context, allow_stdin=True)
    first = agent.send("attach_request", {"execution": execution})
    agent.event(first, "input_request")
    with Agent(server.file) as last:
        asked = last.send("attach_request", {"execution": execution})
        last.event(asked, "input_request")
        last.send("input_reply", {"value": "last", "execution": execution})
        assert main_text(last.reply(asked).content) == "'last'"
    assert main_text(agent.reply(first).content) == "'last'"


def test_ended_executions_are_remembered_up_to_a_number(
    agent: Agent, context: str
) -> None:
    first = agent.run("'first'", context=context)["execution_id"]
    assert main_text(agent.outcome(first)) == "'first'"
    for _ in range(64):
        last = agent.run("1", context=context)["execution_id"]
    assert agent.outcome(last)["status"] == "ok"
    gone = wait_until(
        lambda: (
            agent.ask("attach_request", execution=first).get("code")
            == "EXECUTION_NOT_FOUND"
        )
    )
    assert gone


# Clients that vanish.


def outcome_of_abandoned(agent: Agent, context: str, execution: str) -> dict:
    assert wait_until(lambda: executions(agent, context) == [])
    return agent.ask("attach_request", execution=execution)


def test_code_of_a_client_that_vanished_is_interrupted(
    server: Server, agent: Agent, context: str
) -> None:
    agent.run("kept = 1", context=context)
    with Agent(server.file) as lost:
        asked = lost.start("while True: pass", context=context)
        running = lost.events[asked][0].content["execution"]["id"]
        members = {"code": "ran = 1", "context": context, "stream": True}
        asked = lost.send("run_code_request", members)
        queued = lost.event(asked, "execution_queued").content["execution"]["id"]
    outcome = outcome_of_abandoned(agent, context, running)
    assert outcome["reason"]["kind"] == "interrupted"
    assert outcome["reason"]["state"] == "kept"
    assert agent.ask("attach_request", execution=queued)["code"] == "CANCELLED"
    assert main_text(agent.run("kept, 'ran' in globals()", context=context)) == (
        "(1, False)"
    )


def test_code_that_is_to_continue_does(
    server: Server, agent: Agent, context: str
) -> None:
    with Agent(server.file) as lost:
        code = gate("go") + "'went on'"
        asked = lost.start(code, context=context, on_disconnect="continue")
        execution = lost.events[asked][0].content["execution"]["id"]
    with Agent(server.file) as other:
        waits = other.send("run_code_request", {"code": gate("go"), "context": context})
        while other.keepalives < 3:  # in this time the server has noticed
            other.receive()
        assert waits not in other.replies
        assert [e["state"] for e in executions(agent, context)] == ["running", "queued"]
    agent.open_gate(context)
    assert main_text(agent.outcome(execution)) == "'went on'"


def test_code_goes_on_while_one_of_its_clients_is_there(
    server: Server, agent: Agent, context: str
) -> None:
    with Agent(server.file) as lost:
        asked = lost.start(gate("go") + "'went on'", context=context)
        execution = lost.events[asked][0].content["execution"]["id"]
        mine = agent.send("attach_request", {"execution": execution})
        agent.event(mine, "status")
    while agent.keepalives < 3:
        agent.receive()
    agent.open_gate(context)
    assert main_text(agent.reply(mine).content) == "'went on'"


CHILD = """
import sys
from pathlib import Path
from tests.system.agentclient import Agent
agent = Agent(Path(sys.argv[1]))
asked = agent.start("while True: pass", context=sys.argv[2])
print(agent.events[asked][0].content["execution"]["id"], flush=True)
agent.reply(asked)
"""


def test_a_client_that_is_killed_is_noticed(
    server: Server, agent: Agent, context: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, server.file, context],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    execution = child.stdout.readline().strip()
    assert [e["id"] for e in executions(agent, context)] == [execution]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    outcome = outcome_of_abandoned(agent, context, execution)
    assert outcome["reason"]["kind"] == "interrupted"


# Watching.


def test_who_watches_sees_what_others_run(
    server: Server, agent: Agent, context: str
) -> None:
    watch = agent.send("watch_context_request", {"context": context})
    assert agent.reply(watch).content["context"]["id"] == context
    with Agent(server.file) as other:
        streamed = other.send(
            "run_code_request",
            {"code": "print('seen'); 1", "context": context, "stream": True},
        )
        reply = other.reply(streamed).content
        quiet = other.run("2", context=context)
        execution = reply["execution_id"]
        agent.event(watch, "execute_result", text="'1'")
        agent.event(watch, "execute_result", text="'2'")
        agent.run("'own'", context=context)
        agent.run("3", context=context, stream=True)
        seen = agent.events[watch]
        assert {e.execution for e in seen} == {execution, quiet["execution_id"]}
        theirs = [e for e in seen if e.execution == execution]
        assert [(e.type, e.seq, e.content) for e in theirs] == [
            (e.type, e.seq, e.content) for e in other.events[streamed]
        ]
        agent.get("watch_context_request", context=context, on=False)
        other.run("'unseen'", context=context)
        agent.get("server_info_request")
        assert "unseen" not in str(agent.events[watch])


def test_a_watcher_that_vanishes_disturbs_nobody(
    server: Server, agent: Agent, context: str
) -> None:
    with Agent(server.file) as watcher:
        watcher.get("watch_context_request", context=context)
        watcher.get("watch_context_request", context=context)  # is one watcher
        agent.run("print(1)", context=context)
    for n in range(20):
        assert agent.run(f"print({n})", context=context)["status"] == "ok"
    with Agent(server.file) as watcher:
        watcher.get("watch_context_request", context=context)
        agent.get("delete_context_request", context=context)
        assert watcher.get("server_info_request")["status"] == "ok"


# Clients that do not read.

PICTURES = """
for i in range({count}):
    display({{"text/plain": "%d" % i, "image/png": "x" * 5000}}, raw=True)
'end'
"""


def test_a_slow_reader_gets_everything(server: Server, context: str) -> None:
    with Agent(server.file, hwm=1) as slow:
        asked = slow.send(
            "run_code_request",
            {"code": PICTURES.format(count=3000), "context": context, "stream": True},
        )
        reply = slow.reply(asked).content
        events = slow.events[asked]
        assert numbers(events) == list(range(1, len(events) + 1))
        assert sum(e.type == "display_data" for e in events) == 3000
        assert main_text(reply) == "'end'" and len(reply["results"]) == 3001


def test_who_does_not_read_holds_up_its_own_code_alone_and_gets_its_reply(
    server: Server, agent: Agent, context: str
) -> None:
    """For 10 s, after which the code goes on without it."""
    other = agent.create()
    with Agent(server.file, hwm=1) as lazy:
        code = PICTURES.format(count=4000)
        asked = lazy.send(
            "run_code_request", {"code": code, "context": context, "stream": True}
        )
        first = lazy.event(asked, "status")
        for n in range(20):
            assert main_text(agent.run(f"{n}", context=other)) == str(n)
        assert [e["state"] for e in executions(agent, context)] == ["running"]
        assert wait_until(lambda: executions(agent, context) == [])
        reply = lazy.reply(asked).content
        events = lazy.events[asked]
        assert numbers(events) == list(range(1, len(events) + 1))
        assert len(events) < 4000
        assert main_text(reply) == "'end'" and len(reply["results"]) == 4001
        # The stream is to be had still, as far as the log goes back.
        members = {"execution": first.execution, "after_seq": events[-1].seq}
        again = lazy.send("attach_request", members)
        missed = lazy.reply(again).content["missed_events"]
        rest = lazy.events[again]
        assert numbers(rest)[0] == events[-1].seq + 1 + missed
        assert rest[-1].content == {"execution_state": "idle"}
    agent.get("delete_context_request", context=other)


def test_what_a_slow_reader_has_missed_is_counted_once(tmp_path: Path) -> None:
    """Its log is short here, so that it goes on while the reader stands still."""
    with start(tmp_path, bounds={"log_bytes": 65536}) as server:
        with Agent(server.file) as agent, Agent(server.file, hwm=1) as slow:
            context = agent.create()
            code = gate("go") + PICTURES.format(count=600)
            execution = agent.detach(code, context=context)
            asked = slow.send("attach_request", {"execution": execution})
            slow.event(asked, "status")
            agent.open_gate(context)
            assert wait_until(lambda: executions(agent, context) == [])
            reply = slow.reply(asked).content
            events = slow.events[asked]
            assert events[-1].content == {"execution_state": "idle"}
            assert reply["missed_events"] == events[-1].seq - len(events) > 0
