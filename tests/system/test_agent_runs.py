# SPDX-License-Identifier: MIT
"""Executions over the wire: what is told while code runs, what its reply says, and who
waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from tests.system.agentclient import Agent, Message, gate, main_text
from tests.system.agentserver import start
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall

MIXED = """
import sys
from IPython.display import display, clear_output
print("out")
print("err", file=sys.stderr)
h = display("first", display_id="d")
h.update("second")
display({"image/png": b"\\x89PNG\\r\\n", "text/plain": "p"}, raw=True)
"main"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start(tmp_path_factory.mktemp("runs")) as server:
        yield server


def stream(agent: Agent, code: str, **members: Any) -> tuple[list[Message], dict]:
    """The events of a run, and its reply."""
    asked = agent.send("run_code_request", {"code": code, "stream": True, **members})
    reply = agent.reply(asked)
    return agent.events[asked], reply.content


def texts(events: list[Message], name: str) -> str:
    return "".join(
        e.content["text"]
        for e in events
        if e.type == "stream" and e.content["name"] == name
    )


# What is told, and in which order.


def test_events_come_in_order_and_are_numbered(agent: Agent, context: str) -> None:
    events, reply = stream(agent, MIXED, context=context)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert {e.execution for e in events} == {reply["execution_id"]}
    for event in events:
        assert event.metadata["cellwall"]["context"] == context
        assert event.metadata["cellwall"]["epoch"] == 1
    types = [kind for kind, _ in groupby(e.type for e in events)]  # a print may be two
    assert types[:3] == ["execution_queued", "status", "execute_input"]
    assert events[1].content == {"execution_state": "busy"}
    assert events[2].content == {"code": MIXED, "execution_count": 1}
    assert types[3:-1] == [
        "stream",
        "display_data",
        "update_display_data",
        "display_data",
        "execute_result",
    ]
    assert events[-1].content == {"execution_state": "idle"}
    assert texts(events, "stdout") == "out\n" and texts(events, "stderr") == "err\n"
    result = events[-2].content
    assert result["data"]["text/plain"] == "'main'" and result["execution_count"] == 1


def test_streamed_and_collected_replies_are_the_same(agent: Agent, context: str) -> None:
    _, streamed = stream(agent, MIXED, context=context)
    collected = agent.run(MIXED, context=context)
    for reply in (streamed, collected):
        for own in ("execution_id", "execution_count", "usage"):
            del reply[own]
    assert streamed == collected
    assert streamed["logs"] == {"stdout": "out\n", "stderr": "err\n"}
    display, image, main = streamed["results"]
    assert display["data"] == {"text/plain": "'second'"}
    assert display["display_id"] == "d" and not display["is_main_result"]
    assert image["data"]["image/png"].strip() == "iVBORw0K"
    assert main["is_main_result"] and "display_id" not in main


def test_without_stream_there_is_nothing_but_the_reply(
    agent: Agent, context: str
) -> None:
    asked = agent.send("run_code_request", {"code": MIXED, "context": context})
    agent.reply(asked)
    assert agent.events == {}


@pytest.mark.parametrize(
    "code, shown",
    [
        ("print(1); clear_output(); print(2)", "2\n"),
        ("print(1); clear_output(wait=True)", "1\n"),
        ("print(1); clear_output(wait=True); print(2)", "2\n"),
    ],
)
def test_clear_output_is_applied(
    agent: Agent, context: str, code: str, shown: str
) -> None:
    code = "from IPython.display import clear_output, display\n" + code
    events, reply = stream(agent, code, context=context)
    assert reply["logs"]["stdout"] == shown
    assert [e.type for e in events].count("clear_output") == 1
    code = "from IPython.display import clear_output, display\n"
    code += "display('a'); clear_output(); display('b')"
    (result,) = agent.run(code, context=context)["results"]
    assert result["data"]["text/plain"] == "'b'"


def test_an_update_of_a_display_of_an_earlier_run_is_told(
    agent: Agent, context: str
) -> None:
    agent.run("h = display(1, display_id='x')", context=context)
    events, reply = stream(
        agent, "h.update(2); display(3, display_id='x'); None", context=context
    )
    (update,) = [e for e in events if e.type == "update_display_data"]
    assert update.content["transient"] == {"display_id": "x"}
    assert [r["data"]["text/plain"] for r in reply["results"]] == ["3"]


def test_user_expressions_are_in_the_reply(agent: Agent, context: str) -> None:
    reply = agent.run("x = 4", context=context, user_expressions={"a": "x+1", "b": "1/0"})
    found = reply["user_expressions"]
    assert found["a"]["status"] == "ok" and found["a"]["data"]["text/plain"] == "5"
    assert found["b"]["status"] == "error" and found["b"]["ename"] == "ZeroDivisionError"
    assert reply["status"] == "ok"


def test_an_exception_is_an_outcome(agent: Agent, context: str) -> None:
    events, reply = stream(agent, "print('before')\n1/0", context=context)
    assert reply["status"] == "error" and "code" not in reply
    assert reply["error"]["ename"] == "ZeroDivisionError"
    assert reply["error"]["evalue"] == "division by zero"
    assert reply["reason"] is None
    assert reply["logs"]["stdout"] == "before\n"
    (error,) = [e for e in events if e.type == "error"]
    assert error.content == reply["error"]
    assert agent.run("1 +", context=context)["error"]["ename"] == "SyntaxError"


def test_what_is_counted_and_kept(agent: Agent, context: str) -> None:
    assert agent.run("7", context=context)["execution_count"] == 1
    assert agent.run("8", context=context, store_history=False)["execution_count"] == 1
    events, reply = stream(agent, "9", context=context, silent=True)
    assert reply["results"] == [] and reply["execution_count"] == 1
    assert "execute_input" not in [e.type for e in events]
    reply = agent.run("_", context=context)
    assert (reply["execution_count"], main_text(reply)) == (2, "8")
    described = agent.get("get_context_request", context=context)["context"]
    assert described["execution_count"] == 2


def test_environment_variables(agent: Agent) -> None:
    context = agent.create(env={"A": "1", "B": "2"})
    read = "import os; [os.environ.get(n) for n in 'ABC']"
    reply = agent.run(read, context=context, env={"B": "3", "C": "4"})
    assert main_text(reply) == "['1', '3', '4']"
    assert main_text(agent.run(read, context=context)) == "['1', '2', None]"
    agent.get("restart_context_request", context=context)
    assert main_text(agent.run(read, context=context)) == "['1', '2', None]"
    agent.get("delete_context_request", context=context)


def test_usage_is_told(agent: Agent, context: str) -> None:
    usage = agent.run("sum(range(10**5))", context=context)["usage"]
    assert usage["wall_ms"] > 0 and usage["queued_ms"] >= 0
    assert usage["peak_memory_bytes"] is None or usage["peak_memory_bytes"] > 1 << 20


# Input.


def test_input_is_asked_for_and_given(agent: Agent, context: str) -> None:
    code = "import getpass\na = input('a? ')" + gate("go")
    code += "b = getpass.getpass('b? ')\n[a, b]"
    asked = agent.start(code, context=context, allow_stdin=True)
    for prompt, password, answer in (("a? ", False, "é\n\"'"), ("b? ", True, "")):
        question = agent.event(asked, "input_request", text=prompt)
        assert question.content == {"prompt": prompt, "password": password}
        content = {"value": answer, "execution": question.execution}
        agent.send("input_reply", content)
        agent.send("input_reply", {**content, "value": "too late"})
        agent.open_gate(context)  # both have been read by then
    assert main_text(agent.reply(asked).content) == repr(["é\n\"'", ""])


@pytest.mark.parametrize("members", [{}, {"allow_stdin": True}, {"stream": True}])
def test_input_that_cannot_be_asked_for_is_an_error(
    agent: Agent, context: str, members: dict[str, bool]
) -> None:
    reply = agent.run("input()", context=context, **members)
    assert reply["error"]["ename"] == "StdinNotImplementedError"


def test_an_interrupt_ends_the_wait_for_input(agent: Agent, context: str) -> None:
    asked = agent.start("x = 1\ninput()", context=context, allow_stdin=True)
    question = agent.event(asked, "input_request")
    reply = agent.get("interrupt_context_request", context=context)
    assert reply["interrupted"] is True
    reply = agent.reply(asked).content
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("interrupted", "kept")
    agent.send("input_reply", {"value": "1", "execution": question.execution})
    assert main_text(agent.run("x", context=context)) == "1"
    reply = agent.get("interrupt_context_request", context=context)
    assert reply["interrupted"] is False


# Who waits for whom.


def test_a_queue_is_in_order_and_seen(agent: Agent, context: str) -> None:
    first = agent.start("order = [1]" + gate("go"), context=context)
    asked = [
        agent.send(
            "run_code_request",
            {"code": f"order.append({n}); order", "context": context, "stream": True},
        )
        for n in range(2, 6)
    ]
    queued = [agent.event(msg_id, "execution_queued").content for msg_id in asked]
    assert [q["execution"]["position"] for q in queued] == [1, 2, 3, 4]
    assert {q["execution"]["state"] for q in queued} == {"queued"}
    reply = agent.get("get_context_request", context=context)
    assert reply["context"]["state"] == "busy" and reply["context"]["queued"] == 4
    assert [e["position"] for e in reply["executions"]] == [0, 1, 2, 3, 4]
    agent.open_gate(context)
    assert agent.reply(first).content["status"] == "ok"
    for n, msg_id in enumerate(asked, 2):
        assert main_text(agent.reply(msg_id).content) == str(list(range(1, n + 1)))
    counts = [agent.replies[msg_id].content["execution_count"] for msg_id in asked]
    assert counts == [2, 3, 4, 5]


def test_what_waits_is_cancelled_alone(agent: Agent, context: str) -> None:
    agent.detach(gate("go"), context=context)
    asked = [
        agent.send(
            "run_code_request",
            {"code": f"'{name}'", "context": context, "stream": True},
        )
        for name in "abc"
    ]
    queued = [agent.event(msg_id, "execution_queued") for msg_id in asked]
    execution = queued[1].content["execution"]["id"]
    reply = agent.get("cancel_request", execution=execution)
    assert reply["was"] == "queued" and reply["execution"]["state"] == "done"
    assert agent.reply(asked[1]).content["code"] == "CANCELLED"
    assert agent.get("cancel_request", execution=execution)["was"] == "done"
    agent.open_gate(context)
    assert main_text(agent.reply(asked[0]).content) == "'a'"
    assert main_text(agent.reply(asked[2]).content) == "'c'"


def test_what_is_cancelled_before_its_interpreter_is_there_never_runs(
    agent: Agent,
) -> None:
    """All four messages are sent before the interpreter can have started."""
    create = agent.send("create_context_request", {"name": "young"})
    run = {"code": "open('ran', 'w')", "context": "young", "detach": True}
    ran = agent.send("run_code_request", run)
    execution = agent.reply(ran).content["execution"]["id"]
    was = agent.get("cancel_request", execution=execution)["was"]
    outcome = agent.ask("attach_request", execution=execution)
    assert agent.reply(create).content["status"] == "ok"
    entries = agent.get("list_files_request", context="young")["entries"]
    if was == "queued":
        assert outcome["code"] == "CANCELLED"
        assert entries == []
    agent.get("delete_context_request", context="young")


def test_what_runs_is_cancelled(agent: Agent, context: str) -> None:
    code = "kept = 1\nprint('on')\nwhile True: pass"
    asked = agent.start(code, context=context)
    agent.event(asked, "stream")
    execution = agent.events[asked][0].content["execution"]["id"]
    assert agent.get("cancel_request", execution=execution)["was"] == "running"
    reply = agent.reply(asked).content
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("interrupted", "kept")
    assert reply["error"]["ename"] == "KeyboardInterrupt"
    assert main_text(agent.run("kept", context=context)) == "1"


def test_a_busy_context_can_be_refused(agent: Agent, context: str) -> None:
    asked = agent.start(gate("go"), context=context)
    reply = agent.ask("run_code_request", code="1", context=context, reject_if_busy=True)
    assert reply["code"] == "CONTEXT_BUSY"
    agent.open_gate(context)
    agent.reply(asked)
    assert agent.run("1", context=context, reject_if_busy=True)["status"] == "ok"


def test_stop_on_error_refuses_what_waits(agent: Agent, context: str) -> None:
    def send(code: str, **members: Any) -> str:
        return agent.send(
            "run_code_request", {"code": code, "context": context, **members}
        )

    failing = send(gate("go") + "1/0", stop_on_error=True)
    waiting = [send("ran = 1") for _ in range(3)]
    agent.open_gate(context)
    assert agent.reply(failing).content["error"]["ename"] == "ZeroDivisionError"
    for msg_id in waiting:
        assert agent.reply(msg_id).content["code"] == "ABORTED"
    assert main_text(agent.run("'ran' in globals()", context=context)) == "False"
    # Without it, they run.
    failing = send(gate("go2") + "1/0")
    waiting = [send("2") for _ in range(3)]
    agent.open_gate(context, "go2")
    assert agent.reply(failing).content["status"] == "error"
    assert [main_text(agent.reply(m).content) for m in waiting] == ["2"] * 3


def test_contexts_do_not_wait_for_each_other(agent: Agent) -> None:
    """Each waits for a file that the client makes only after the other has answered."""
    one, other = agent.create(), agent.create()
    slow = agent.start(gate("go") + "'slow'", context=one)
    assert main_text(agent.run("'fast'", context=other)) == "'fast'"
    again = agent.start(gate("go") + "'again'", context=other)
    agent.open_gate(one)
    assert main_text(agent.reply(slow).content) == "'slow'"
    agent.open_gate(other)
    assert main_text(agent.reply(again).content) == "'again'"
    for context in (one, other):
        agent.get("delete_context_request", context=context)


def test_questions_about_code_do_not_wait_for_a_busy_context(
    agent: Agent, context: str
) -> None:
    agent.run("alphabet = 1", context=context)
    reply = agent.get("complete_request", context=context, code="alph", cursor_pos=4)
    assert "alphabet" in reply["matches"]
    asked = agent.start(gate("go"), context=context)
    reply = agent.get("complete_request", context=context, code="alph", cursor_pos=4)
    assert (reply["matches"], reply["cursor_start"], reply["cursor_end"]) == ([], 4, 4)
    reply = agent.get("inspect_request", context=context, code="alphabet", cursor_pos=4)
    assert reply["found"] is False
    reply = agent.get("is_complete_request", context=context, code="if x:")
    assert reply["status"] == "unknown"
    agent.open_gate(context)
    assert agent.reply(asked).content["status"] == "ok"


# Default contexts.


def test_an_owner_has_one_default_context_of_each_language(agent: Agent) -> None:
    first = agent.run("mine = 1")["context"]["id"]
    assert agent.run("mine", language="python")["context"]["id"] == first
    with_context = agent.create()
    assert with_context != first
    assert main_text(agent.run("mine")) == "1"
    languages = agent.get("server_info_request")["languages"]
    other = next(row["language"] for row in languages if row["language"] != "python")
    reply = agent.ask("run_code_request", code="text", language=other)
    assert reply["context"]["id"] not in (first, with_context)
    reply = agent.ask("run_code_request", code="1", language="cobol")
    assert reply["code"] == "LANGUAGE_NOT_FOUND"
    agent.get("delete_context_request", context=first)
    fresh = agent.run("'mine' in globals()")
    assert main_text(fresh) == "False" and fresh["context"]["id"] != first
    for context in agent.get("list_contexts_request")["contexts"]:
        agent.get("delete_context_request", context=context["id"])


def test_a_question_that_was_interrupted_may_be_followed_by_another(
    agent: Agent, context: str
) -> None:
    code = """
try:
    input("one? ")
except KeyboardInterrupt:
    print("caught,", input("two? "))
"""
    members = {"context": context, "stream": True, "allow_stdin": True}
    asked = agent.send("run_code_request", {"code": code, **members})
    agent.event(asked, "input_request", text="one?")
    assert agent.get("interrupt_context_request", context=context)["interrupted"]
    question = agent.event(asked, "input_request", text="two?")
    agent.send("input_reply", {"value": "asked", "execution": question.execution})
    assert agent.reply(asked).content["logs"]["stdout"] == "caught, asked\n"
