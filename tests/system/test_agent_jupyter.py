# SPDX-License-Identifier: MIT
"""People in Jupyter in the contexts of agents: a real server, and clients of both kinds.

The kernel itself, in front of a program of the tests' own, is in test_attached.py.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.system.agentclient import Agent, Refused, gate, main_text
from tests.system.conftest import BINARY
from tests.system.rawclient import Client, Message
from tests.system.servers import Server, wait_until

pytestmark = pytest.mark.cellwall


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the connection files are; made by the server."""
    return tmp_path_factory.mktemp("connections") / "files"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    options = ["--python", sys.executable, "--connection-dir", str(folder)]
    with Server(BINARY, *options) as one:
        yield one


@pytest.fixture
def agent(server: Server) -> Iterator[Agent]:
    with Agent(server.file) as one:
        yield one


@pytest.fixture
def context(agent: Agent) -> Iterator[str]:
    """The id of a fresh one."""
    one = agent.create()
    yield one
    listed = agent.get("list_contexts_request")["contexts"]
    if one in [c["id"] for c in listed]:
        agent.get("delete_context_request", context=one)


def open_jupyter(agent: Agent, context: str) -> dict[str, Any]:
    """The members of the connection."""
    return agent.get("open_jupyter_request", context=context)["connection"]


@pytest.fixture
def client(agent: Agent, context: str) -> Iterator[Client]:
    with Client(open_jupyter(agent, context)) as one:
        one.wait_ready()
        yield one


def types(messages: list[Message]) -> list[str]:
    return [
        m.content["execution_state"] if m.type == "status" else m.type for m in messages
    ]


def text(messages: list[Message]) -> str:
    return "".join(m.content["text"] for m in messages if m.type == "stream")


def value(agent: Agent, context: str, code: str) -> str:
    return main_text(agent.run(code, context=context))


def read_by_now(client: Client, may_have_ended: bool = False) -> None:
    """Returns when the server has read all requests that CLIENT has sent. None has ended,
    or one may have."""
    asked = client.send("shell", "comm_info_request")
    replies = [client.receive("shell")]
    while replies[-1].parent_id != asked:
        replies.append(client.receive("shell"))
    assert len(replies) == 1 or may_have_ended


def block(client: Client, name: str = "go") -> str:
    """Starts a cell that runs until the gate NAME is open."""
    asked = client.start(f"print('blocked', flush=True){gate(name)}")
    client.until_text("blocked\n")
    return asked


def positions(agent: Agent, *executions: str) -> list[int]:
    replies = [
        agent.get("attach_request", execution=e, wait=False)["execution"]
        for e in executions
    ]
    return [reply["position"] for reply in replies]


# What is under way when a kernel is opened.


def test_run_under_way_is_seen_as_of_a_front_end_that_joined_late(
    agent: Agent, context: str
) -> None:
    code = f"print('early', flush=True){gate('go')}print('late'); 6 * 7"
    asked = agent.start(code, context=context)
    agent.event(asked, "stream", text="early")
    with Client(open_jupyter(agent, context)) as client:
        client.wait_ready()
        early = [m for m in client.started_with if m.parent_id == asked]
        agent.open_gate(context)
        seen = client.until_idle(asked)
        told = client.request(
            "history_request",
            {"hist_access_type": "tail", "n": 9, "output": True, "raw": True},
        )

    # Who subscribes later than a second after the opening misses what begins it.
    assert types(early) in ([], ["busy", "execute_input"])
    assert types(seen)[-3:] == ["stream", "execute_result", "idle"]
    assert text(seen) == "late\n"
    assert {m.parent["session"] for m in seen} == {agent.session}
    assert told.content["history"] == [[1, 1, [code, "42"]]]


def test_run_that_has_not_begun_is_seen_from_its_beginning(
    agent: Agent, context: str
) -> None:
    agent.start(gate("go"), context=context)
    asked = agent.send(
        "run_code_request", {"code": "'next'", "context": context, "stream": True}
    )
    with Client(open_jupyter(agent, context)) as client:
        client.wait_ready()
        agent.open_gate(context)
        seen = client.until_idle(asked)

    assert types(seen) == ["busy", "execute_input", "execute_result", "idle"]
    assert seen[1].content == {"code": "'next'", "execution_count": 2}


def test_cell_that_goes_on_is_seen_by_who_opens_the_kernel_again(
    agent: Agent, context: str, client: Client
) -> None:
    code = f"print('before', flush=True){gate('go')}print('after')"
    asked = client.start(code)
    client.until_text("before\n")
    agent.get("close_jupyter_request", context=context)
    with Client(open_jupyter(agent, context)) as again:
        again.wait_ready()
        agent.open_gate(context)
        seen = again.until_idle(asked)
        assert text(seen) == "after\n"
        assert again.evaluate("len(In)") == 3


# What goes on when a kernel is closed.


def test_cells_that_wait_never_run_when_their_kernel_is_closed(
    agent: Agent, context: str, client: Client
) -> None:
    agent.run("ran = []", context=context)
    block(client)
    for n in range(5):
        client.start(f"ran.append({n})")
    read_by_now(client)
    agent.get("close_jupyter_request", context=context)
    agent.open_gate(context)

    assert value(agent, context, "ran") == "[]"


ASKS = """
try:
    input("never answered")
except BaseException as error:
    told = type(error).__name__
    raise
"""


def test_question_that_is_open_is_interrupted_when_the_kernel_is_closed(
    agent: Agent, context: str, client: Client
) -> None:
    client.start(ASKS, allow_stdin=True)
    client.receive("stdin")
    agent.get("close_jupyter_request", context=context)

    assert value(agent, context, "told") == "'KeyboardInterrupt'"


def test_question_after_the_kernel_was_closed_is_interrupted(
    agent: Agent, context: str, client: Client
) -> None:
    client.start(f"print('on', flush=True){gate('go')}{ASKS}", allow_stdin=True)
    client.until_text("on\n")
    client.request("shutdown_request", {"restart": False}, channel="control")
    agent.open_gate(context)

    assert value(agent, context, "told") == "'KeyboardInterrupt'"


def test_question_to_who_was_there_before_is_not_put_to_others(
    agent: Agent, context: str, client: Client
) -> None:
    code = f"print('on', flush=True){gate('go')}{ASKS}"
    asked = client.start(code, allow_stdin=True)
    client.until_text("on\n")
    agent.get("close_jupyter_request", context=context)
    with Client(open_jupyter(agent, context), identity=client.identity) as again:
        again.wait_ready()
        agent.open_gate(context)
        seen = again.until_idle(asked)
        assert types(seen)[-2:] == ["error", "idle"]
        assert not again.stdin.poll(0)
    assert value(agent, context, "told") == "'KeyboardInterrupt'"


# Whose turn it is.


def test_both_sides_take_turns(agent: Agent, context: str, client: Client) -> None:
    agent.run("order = ''", context=context)
    block(client)
    cells = [client.start("order += 'p'") for _ in range(20)]
    read_by_now(client)
    runs = [agent.detach("order += 'a'", context=context) for _ in range(3)]
    assert positions(agent, *runs) == [1, 3, 5]
    agent.open_gate(context)
    for run in runs:
        assert agent.outcome(run)["status"] == "ok"
    client.receive("shell")
    for cell in cells:
        assert client.reply_to("shell", cell).content["status"] == "ok"

    assert value(agent, context, "order") == repr("apapap" + "p" * 17)


def test_cell_does_not_wait_for_all_that_an_agent_has(
    agent: Agent, context: str, client: Client
) -> None:
    agent.start(f"order = ''{gate('go')}", context=context)
    for _ in range(10):
        agent.detach("order += 'a'", context=context)
    cell = client.start("order")
    read_by_now(client)
    agent.open_gate(context)

    assert client.finish(cell).result() == "''"


def test_run_that_waits_behind_a_cell_can_be_cancelled(
    agent: Agent, context: str, client: Client
) -> None:
    cell = block(client)
    first, second = (agent.detach(f"{n}", context=context) for n in (1, 2))
    assert agent.get("cancel_request", execution=first)["was"] == "queued"
    with pytest.raises(Refused) as refused:
        agent.outcome(first)
    assert refused.value.code == "CANCELLED"
    assert positions(agent, second) == [1]
    agent.open_gate(context)

    assert main_text(agent.outcome(second)) == "2"
    assert client.finish(cell).content["status"] == "ok"  # it was not interrupted
    assert not [m for m in client.kept if m.type == "execute_input" and "1" in m.content]


def test_run_whose_client_vanishes_behind_a_cell_leaves_the_cell_alone(
    server: Server, agent: Agent, context: str, client: Client
) -> None:
    cell = block(client)
    with Agent(server.file) as other:
        run = other.send("run_code_request", {"code": "vanished = 1", "context": context})
        other.ask("server_info_request")
        assert run not in other.replies
    end = agent.detach("'vanished' in globals()", context=context)
    while positions(agent, end) != [1]:  # the server has noticed that it has gone
        pass
    agent.open_gate(context)

    assert main_text(agent.outcome(end)) == "False"
    assert client.finish(cell).content["status"] == "ok"


def test_flood_of_cells_leaves_the_agent_its_turn(
    agent: Agent, context: str, client: Client
) -> None:
    block(client)
    for _ in range(1500):
        client.start("1")
    refused = [client.receive("shell") for _ in range(1500 - 511)]
    assert {m.content["ename"] for m in refused} == {"QueueFull"}
    run = agent.detach("'served'", context=context)
    assert positions(agent, run) == [1]
    agent.open_gate(context)

    assert main_text(agent.outcome(run)) == "'served'"
    agent.get("close_jupyter_request", context=context)


def test_failure_of_one_side_takes_nothing_of_the_other_along(
    agent: Agent, context: str, client: Client
) -> None:
    asked = agent.start(f"{gate('go')}1 / 0", context=context, stop_on_error=True)
    cell = client.start("'cell'")
    read_by_now(client)
    agent.open_gate(context)
    assert agent.reply(asked).content["status"] == "error"
    assert client.finish(cell).result() == "'cell'"

    block(client, "second")
    failing, after = client.start("1 / 0"), client.start("'after'")
    read_by_now(client)
    runs = [agent.detach(f"{n}", context=context) for n in range(2)]
    agent.open_gate(context, "second")
    assert [main_text(agent.outcome(run)) for run in runs] == ["0", "1"]
    client.receive("shell")
    assert client.reply_to("shell", failing).content["status"] == "error"
    assert client.reply_to("shell", after).content["status"] == "aborted"


# What each side sees of the other.


def test_run_of_the_agent_is_shown_to_every_front_end(
    agent: Agent, context: str, client: Client
) -> None:
    with Client(client.info) as second:
        second.wait_ready()
        content = {"code": "print('hello')\n6 * 7", "context": context}
        asked = agent.send("run_code_request", content)
        agent.reply(asked)
        for one in (client, second):
            seen = one.until_idle(asked)
            kinds = ["busy", "execute_input", "stream", "execute_result", "idle"]
            assert [kind for kind, _ in groupby(types(seen))] == kinds
            assert text(seen) == "hello\n"
            assert all(m.parent == json.loads(agent.asked[asked]) for m in seen)
            expected = {"code": "print('hello')\n6 * 7", "execution_count": 1}
            assert seen[1].content == expected


def test_cell_is_shown_to_who_watches_the_context(
    agent: Agent, context: str, client: Client
) -> None:
    watch = agent.send("watch_context_request", {"context": context})
    agent.reply(watch)
    client.execute("print('hello')\n1 / 0")
    agent.run("'own'", context=context)

    seen = agent.events[watch]
    kinds = [m.content.get("execution_state", m.type) for m in seen]
    expected = ["busy", "execute_input", "stream", "error", "idle"]
    assert [kind for kind, _ in groupby(kinds)] == expected
    assert seen[1].content == {"code": "print('hello')\n1 / 0", "execution_count": 1}
    assert [m.seq for m in seen] == list(range(1, len(seen) + 1))
    assert {m.metadata["cellwall"]["context"] for m in seen} == {context}


def test_cell_that_runs_is_among_the_executions_of_the_context(
    agent: Agent, context: str, client: Client
) -> None:
    cell = block(client)
    listed = agent.get("get_context_request", context=context)["executions"]
    assert [(e["state"], e["position"]) for e in listed] == [("running", 0)]
    agent.open_gate(context)
    client.finish(cell)


def test_question_of_a_run_is_the_agents_alone(
    agent: Agent, context: str, client: Client
) -> None:
    code = "print('got', input('for the agent: '))"
    asked = agent.start(code, context=context, allow_stdin=True)
    question = agent.event(asked, "input_request")
    client.send("stdin", "input_reply", {"value": "from a stranger"})
    read_by_now(client)
    answer = {"value": "from the agent", "execution": question.execution}
    agent.send("input_reply", answer)

    assert agent.reply(asked).content["logs"]["stdout"] == "got from the agent\n"
    assert "input_request" not in types(client.until_idle(asked))
    assert not client.stdin.poll(0)


def test_question_of_a_cell_is_that_persons_alone(
    agent: Agent, context: str, client: Client
) -> None:
    cell = client.start("input('name? ')", allow_stdin=True)
    question = client.receive("stdin")
    (listed,) = agent.get("get_context_request", context=context)["executions"]
    agent.send("input_reply", {"value": "agent", "execution": listed["id"]})
    agent.get("server_info_request")
    client.send("stdin", "input_reply", {"value": "Ann"}, parent=question.header)

    assert client.finish(cell).result() == "'Ann'"


def test_both_sides_complete_what_the_other_has_defined(
    agent: Agent, context: str, client: Client
) -> None:
    agent.run("from_the_agent = 1", context=context)
    client.execute("from_the_person = 2")
    asked = {"code": "from_the", "cursor_pos": 8}
    theirs = client.request("complete_request", asked).content["matches"]
    own = agent.get("complete_request", context=context, **asked)["matches"]

    assert set(theirs) == set(own) == {"from_the_agent", "from_the_person"}


def test_each_side_can_interrupt_the_other(
    agent: Agent, context: str, client: Client
) -> None:
    cell = client.start("print('on', flush=True)\nwhile True: pass")
    client.until_text("on\n")
    reply = agent.get("interrupt_context_request", context=context)
    assert reply["interrupted"] is True
    assert client.finish(cell).content["ename"] == "KeyboardInterrupt"

    asked = agent.start("print('on', flush=True)\nwhile True: pass", context=context)
    agent.event(asked, "stream")
    client.send("control", "interrupt_request")
    outcome = agent.reply(asked).content
    assert outcome["reason"]["kind"] == "interrupted"
    assert outcome["reason"]["state"] == "kept"


# A fresh interpreter.


def test_restart_by_a_person_ends_what_the_agent_has(
    agent: Agent, context: str, client: Client
) -> None:
    handle = {"id": context, "epoch": 1}
    asked = agent.start("gone = 1; import time; time.sleep(600)", context=handle)
    waiting = [agent.detach("gone", context=context) for _ in range(3)]
    client.send("control", "shutdown_request", {"restart": True})

    outcome = agent.reply(asked).content
    assert outcome["reason"]["kind"] == "killed"
    assert outcome["reason"]["state"] == "lost"
    for run in waiting:
        with pytest.raises(Refused) as refused:
            agent.outcome(run)
        assert refused.value.code == "ABORTED"
    with pytest.raises(Refused) as refused:
        agent.run("1", context=handle)
    assert refused.value.code == "STALE_CONTEXT"
    assert refused.value.details == {"epoch": 2}
    assert client.execute("gone").content["ename"] == "NameError"
    assert client.evaluate("1 + 1") == 2


def test_restart_by_the_agent_is_told_to_people_once(
    agent: Agent, context: str, client: Client
) -> None:
    file = Path(agent.get("open_jupyter_request", context=context)["file"])
    before = file.read_text()
    cell = client.start("gone = 1; import time; time.sleep(600)")
    waiting = client.start("gone")
    read_by_now(client)
    reply = agent.get("restart_context_request", context=context)
    assert reply["context"]["epoch"] == 2

    lost = client.finish(cell)
    assert lost.content["status"] == "error"
    assert client.finish(waiting).content["status"] == "aborted"
    assert client.evaluate("1 + 1") == 2
    assert [m for m in client.kept if m.type == "error"] == []
    assert lost.types().count("error") == 1
    assert file.read_text() == before
    with Client(json.loads(before)) as another:
        another.wait_ready()
        assert another.evaluate("2 + 2") == 4


def test_what_is_sent_after_a_restart_is_for_the_fresh_interpreter(
    agent: Agent, context: str, client: Client
) -> None:
    asked = agent.start("import time; time.sleep(600)", context=context)
    restart = agent.send("restart_context_request", {"context": context})
    runs = [
        agent.send("run_code_request", {"code": f"{n}", "context": context})
        for n in range(3)
    ]

    assert agent.reply(asked).content["reason"]["kind"] == "killed"
    assert agent.reply(restart).content["context"]["epoch"] == 2
    assert [main_text(agent.reply(run).content) for run in runs] == ["0", "1", "2"]
    assert client.evaluate("1 + 1") == 2


def test_context_that_is_still_starting_can_be_restarted(agent: Agent) -> None:
    create = agent.send("create_context_request", {"name": "early"})
    restart = agent.send("restart_context_request", {"context": "early"})

    assert agent.reply(restart).content["status"] == "ok"
    assert agent.reply(create).content["status"] == "ok"
    assert value(agent, "early", "1 + 1") == "2"
    agent.get("delete_context_request", context="early")


def test_cell_that_kills_the_interpreter_aborts_what_waits(
    agent: Agent, context: str, client: Client
) -> None:
    agent.run("kept = 1", context=context)
    cell = client.start(f"print('blocked', flush=True){gate('go')}os._exit(3)")
    client.until_text("blocked\n")
    waiting = [agent.detach("kept", context=context) for _ in range(3)]
    agent.open_gate(context)
    for run in waiting:
        with pytest.raises(Refused) as refused:
            agent.outcome(run)
        assert refused.value.code == "ABORTED"

    assert client.finish(cell).content["status"] == "error"
    assert agent.run("kept", context=context)["context"]["epoch"] == 2


# Its end.


def test_shutdown_by_a_person_leaves_the_context_to_the_agent(
    agent: Agent, context: str, client: Client
) -> None:
    file = Path(agent.get("open_jupyter_request", context=context)["file"])
    client.execute("kept = 1")
    reply = client.request("shutdown_request", {"restart": False}, channel="control")

    assert reply.content == {"status": "ok", "restart": False}
    assert value(agent, context, "kept") == "1"
    assert agent.get("get_context_request", context=context)["context"]["jupyter"] is None
    assert not file.exists()
    with Client(open_jupyter(agent, context)) as again:
        again.wait_ready()
        assert again.evaluate("kept") == 1


@pytest.mark.parametrize("request_type", ["close_jupyter", "delete_context"])
def test_end_by_the_agent_is_told_and_leaves_no_file(
    request_type: str, server: Server, agent: Agent, context: str, client: Client
) -> None:
    file = Path(agent.get("open_jupyter_request", context=context)["file"])
    sockets = Path(client.info["ip"])
    assert len(list(sockets.parent.glob(f"{sockets.name}-*"))) == 5
    agent.get(f"{request_type}_request", context=context)
    told = client.iopub_until(lambda m: m.type == "shutdown_reply")

    assert told[-1].content == {"status": "ok", "restart": False}
    assert not file.exists()
    agent.get("server_info_request")
    assert list(sockets.parent.glob(f"{sockets.name}-*")) == []


def test_watcher_is_told_the_end_of_a_cell_whose_context_is_deleted(
    agent: Agent, context: str, client: Client
) -> None:
    watch = agent.send("watch_context_request", {"context": context})
    agent.reply(watch)
    block(client)
    agent.get("delete_context_request", context=context)
    agent.get("server_info_request")

    kinds = [m.content.get("execution_state", m.type) for m in agent.events[watch]]
    expected = ["busy", "execute_input", "stream", "error", "idle"]
    assert [kind for kind, _ in groupby(kinds)] == expected


# Clients that mean harm, or have gone.


def test_garbage_of_a_client_harms_nobody(
    agent: Agent, context: str, client: Client
) -> None:
    good = client.frames("execute_request", client.execute_content("1"))
    spoilt = [
        [b"\0" * 100],
        [b""] * 50,
        [good[0], b"0" * 64, *good[2:]],
        [*good[:2], b"{", *good[3:]],
        good[:4],
        [b"x" * (1 << 20)],
    ]
    for _ in range(200):
        for frames in spoilt:
            for channel in ("shell", "control", "stdin"):
                client.send_frames(channel, frames)
    asked = agent.send("run_code_request", {"code": "'still'", "context": context})
    assert main_text(agent.reply(asked).content) == "'still'"

    assert client.evaluate("1 + 1") == 2
    assert types(client.kept) == ["busy", "execute_input", "execute_result", "idle"]


def test_client_that_vanishes_leaves_the_context_in_order(
    agent: Agent, context: str
) -> None:
    info = open_jupyter(agent, context)
    for code in ("print('x' * 1000000)", "input()", "1 / 0"):
        with Client(info) as client:
            client.wait_ready()
            client.start(code, allow_stdin=True)
            read_by_now(client, may_have_ended=True)
    while agent.get("interrupt_context_request", context=context)["interrupted"]:
        pass

    assert value(agent, context, "'served'") == "'served'"
    with Client(info) as client:
        client.wait_ready()
        assert client.evaluate("1 + 1") == 2


def test_key_opens_one_context_alone(agent: Agent, context: str, client: Client) -> None:
    other = agent.create()
    with Client({**open_jupyter(agent, other), "key": client.info["key"]}) as stranger:
        stranger.send("shell", "execute_request", stranger.execute_content("1"))
        stranger.send("control", "shutdown_request", {"restart": False})
        assert value(agent, other, "1") == "1"
        assert not stranger.shell.poll(0)
    assert agent.get("get_context_request", context=other)["context"]["jupyter"]
    agent.get("delete_context_request", context=other)


# Files.


def test_stock_client_finds_its_way_by_the_file(
    agent: Agent, context: str, folder: Path
) -> None:
    agent.run("shared = [1, 2]", context=context)
    file = agent.get("open_jupyter_request", context=context)["file"]
    client = BlockingKernelClient(connection_file=file)
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        said: list[dict[str, Any]] = []
        reply = client.execute_interactive(
            "shared", output_hook=said.append, timeout=60, allow_stdin=False
        )
        assert reply["content"]["status"] == "ok"
        (result,) = (m for m in said if m["msg_type"] == "execute_result")
        assert result["content"]["data"]["text/plain"] == "[1, 2]"
        assert wait_until(client.is_alive)
    finally:
        client.stop_channels()


def test_file_is_this_users_alone(agent: Agent, folder: Path) -> None:
    context = agent.create(name="looked-into", jupyter=True)
    described = agent.get("get_context_request", context=context)["context"]["jupyter"]
    file = Path(described["file"])

    assert file.parent == folder
    assert re.fullmatch("kernel-cellwall-looked-into-[0-9a-f]{8}.json", file.name)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == described["connection"]
    assert described["connection"]["cellwall"] == {
        "context": context,
        "name": "looked-into",
    }
    sockets = Path(described["connection"]["ip"])
    assert stat.S_IMODE(sockets.parent.stat().st_mode) == 0o700
    agent.get("delete_context_request", context=context)


def serve_one(folder: Path, runtime: Path | None = None) -> tuple[Server, Path]:
    """A server with one context that has a kernel; its connection file."""
    options = ["--python", sys.executable, "--connection-dir", str(folder)]
    server = Server(BINARY, *options, "--no-zygote", folder=runtime)
    with Agent(server.file) as agent:
        context = agent.create(jupyter=True)
        described = agent.get("get_context_request", context=context)["context"]
    return server, Path(described["jupyter"]["file"])


def test_server_that_ends_leaves_no_file(tmp_path: Path) -> None:
    server, file = serve_one(tmp_path)
    with server:
        assert file.exists()
        assert server.close() == 0
        assert list(tmp_path.iterdir()) == []
        assert list((server.runtime / "cellwall/jupyter").iterdir()) == []


def test_next_server_removes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    foreign = tmp_path / "kernel-cellwall-of-somebody.json"
    server, file = serve_one(tmp_path)
    with server:
        server.kill()
        foreign.write_text(json.dumps({"transport": "ipc", "ip": "/elsewhere"}))
        assert file.exists()
        assert len(os.listdir(server.runtime / "cellwall/jupyter")) == 5
        after, new = serve_one(tmp_path, server.runtime)
        assert sorted(tmp_path.iterdir()) == sorted([foreign, new])
        assert len(os.listdir(server.runtime / "cellwall/jupyter")) == 5
        assert after.close() == 0
