# SPDX-License-Identifier: MIT
"""docs/agent-protocol.md says what the server does: its examples, tables and shapes."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.agentclient import Agent, Refused, gate
from tests.system.agentserver import DOCUMENT, documented_requests, start
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall

EXAMPLES = re.findall(r"^```json\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
IMAGE = """
from IPython.display import display
display({"image/png": b"\\x89PNG", "application/json": {"a": [1]}}, raw=True,
        display_id="one")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start(tmp_path_factory.mktemp("doc")) as server:
        yield server


def example(*members: str) -> dict[str, Any]:
    """The one that has MEMBERS."""
    found = [e for e in map(json.loads, EXAMPLES) if set(members) <= set(e)]
    assert len(found) == 1, members
    return found[0]


def inline(begin: str) -> set[str]:
    """Names of the members of the object that begins so in the text; it has no other in
    it."""
    (found,) = re.findall(rf"`(\{{{re.escape(begin)}[^}}]*\}})`", DOCUMENT)
    values = r':\s*"[^"]*"(\s*\\?\|\s*"[^"]*")*'
    return set(re.findall(r'"([a-z_]+)"', re.sub(values, "", found)))


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return type(value).__name__


# Objects whose members are anybody's, or not all in the example.
OPEN = {"labels", "data", "metadata", "details", "user_expressions", "jupyter"}
SHORTENED = {"defaults", "ceilings"}


def compare(documented: Any, real: Any, where: str = "") -> None:
    """REAL has what the example has, and nothing else. Null may be anything."""
    if documented is None or real is None:
        return
    assert kind(documented) == kind(real), (where, documented, real)
    if isinstance(documented, list):
        for item in real:
            compare(documented[0], item, where)
    elif isinstance(documented, dict) and where.rpartition(".")[2] not in OPEN:
        missing = set(documented) - set(real)
        unknown = set(real) - set(documented)
        assert not missing, f"{where}: {missing}"
        assert where.rpartition(".")[2] in SHORTENED or not unknown, f"{where}: {unknown}"
        for name, value in documented.items():
            compare(value, real[name], f"{where}.{name}")


# Examples.


def test_each_example_is_json() -> None:
    assert len(EXAMPLES) == 4
    for text in EXAMPLES:
        assert isinstance(json.loads(text), dict)


def test_an_error_is_as_in_the_example(agent: Agent) -> None:
    documented = example("code")
    real = agent.ask("get_context_request", context="ctx_9f")
    compare(documented, real)
    assert real["code"] == documented["code"]
    assert real["message"] == documented["message"]


def test_a_context_is_as_in_the_example(agent: Agent, context: str) -> None:
    documented = example("labels")
    named = agent.get(
        "create_context_request",
        name="all",
        workspace="w",
        labels={"a": "b"},
        idle_timeout_s=0.5e3,
        jupyter=True,
    )
    assert named["created"] is True
    compare(documented, named["context"])
    assert set(named["context"]["jupyter"]) == {"connection", "file"}
    for real in agent.get("list_contexts_request")["contexts"]:
        compare(documented, real)
        assert re.fullmatch("ctx_[a-z0-9]{20}", real["id"])
        assert real["id"] != documented["id"]
    agent.get("delete_context_request", context="all")


def test_the_limits_of_a_context_are_those_of_the_server(agent: Agent) -> None:
    documented = set(example("labels")["limits"])
    limits = agent.get("server_info_request")["limits"]
    assert set(limits["defaults"]) == set(limits["ceilings"]) == documented


@pytest.mark.parametrize(
    "code",
    ["2 + 2", "1/0", IMAGE, "print('x' * 70000)\nIMAGE = 1", "import os; os._exit(3)"],
)
def test_an_outcome_is_as_in_the_example(agent: Agent, context: str, code: str) -> None:
    documented = example("execution_id")
    documented["results"][0].setdefault("display_id", None)
    reply = agent.run(code, context=context, user_expressions={"a": "1"})
    for result in reply["results"]:
        result.setdefault("display_id", None)
    compare(documented, reply)
    assert re.fullmatch("run_[a-z0-9]{20}", reply["execution_id"])
    if reply["error"] is not None:
        names = inline('"ename"')
        assert set(reply["error"]) == names == {"ename", "evalue", "traceback"}
    if reply["reason"] is not None:
        assert {"kind", "state", "text"} <= set(reply["reason"]) <= inline('"kind"')


def test_the_servers_description_is_as_in_the_example(agent: Agent) -> None:
    real = agent.get("server_info_request")
    compare(example("isolation", "languages"), real)
    assert real["protocol"] == 1
    assert real["isolation"] == {"tier": "full", "missing": None}


# Shapes that the text says.


def test_an_execution_is_as_in_the_text(agent: Agent, context: str) -> None:
    names = inline('"id": "run_...", "context"')
    assert len(names) == 7
    asked = agent.start(gate("go"), context=context)
    waiting = agent.get("run_code_request", context=context, code="1", detach=True)
    assert set(waiting) == {"status", "execution"}
    executions = agent.get("get_context_request", context=context)["executions"]
    assert [(e["state"], e["position"]) for e in executions] == [
        ("running", 0),
        ("queued", 1),
    ]
    told = agent.event(asked, "execution_queued").content
    for execution in (waiting["execution"], *executions, told["execution"]):
        assert set(execution) == names
        assert execution["context"] == context and execution["epoch"] == 1
    agent.open_gate(context)
    agent.reply(asked)
    reply = agent.outcome(waiting["execution"]["id"])
    assert reply["missed_events"] == 0


def test_a_question_is_as_in_the_text(agent: Agent, context: str) -> None:
    assert inline('"prompt"') == {"prompt", "password"}
    asked = agent.start("input('a? ')", context=context, allow_stdin=True)
    question = agent.event(asked, "input_request")
    assert question.content == {"prompt": "a? ", "password": False}
    assert set(question.metadata["cellwall"]) == {"context", "epoch", "execution", "seq"}
    agent.send("input_reply", {"value": "b", "execution": question.execution})
    assert agent.reply(asked).content["status"] == "ok"


def test_a_listed_file_is_as_in_the_text(agent: Agent, context: str) -> None:
    names = inline('"path"')
    assert len(names) == 5
    agent.run(
        "import os; os.mkdir('d'); os.mkfifo('f'); os.symlink('d', 'l')", context=context
    )
    agent.write(context, "r", b"1")
    entries = agent.get("list_files_request", context=context)["entries"]
    assert {e["path"]: e["type"] for e in entries} == {
        "d": "directory",
        "f": "other",
        "l": "link",
        "r": "file",
    }
    assert all(set(entry) == names for entry in entries)


def test_truncation_is_as_in_the_text(agent: Agent) -> None:
    small = agent.create(limits={"output_bytes": 65536})
    reply = agent.run("print('x' * 1000000)", context=small)
    (shape,) = set(re.findall(r'`(\{"total_bytes"[^`]*)`', DOCUMENT))
    assert set(reply["truncated"]) == {"stdout"}
    assert set(reply["truncated"]["stdout"]) == set(re.findall(r'"([a-z_]+)"', shape))
    agent.get("delete_context_request", context=small)


# The conversation of the last section.


def conversation() -> list[bytes]:
    (text,) = re.findall(r"<!-- example: signed -->\n```\n(.*?)```", DOCUMENT, re.DOTALL)
    return text.encode().splitlines()


def test_the_signature_of_the_example_is_right() -> None:
    delimiter, signature, *parts = conversation()
    assert delimiter == b"<IDS|MSG>" and len(parts) == 4
    made = hmac.new(b"secret", b"".join(parts), hashlib.sha256).hexdigest()
    assert signature.decode() == made


def test_the_conversation_is_held_as_written(agent: Agent) -> None:
    """Signed with the key that the server has."""
    _, _, *parts = conversation()
    msg_id = agent.send_parts(parts)
    reply = agent.reply(msg_id)
    assert reply.type == "run_code_reply"
    assert reply.content["results"][0]["data"] == {"text/plain": "2"}
    default = reply.content["context"]["id"]
    agent.send_parts(parts)  # a repeated one is dropped
    agent.get("server_info_request")
    agent.get("delete_context_request", context=default)


# Tables.


def table(heading: str) -> dict[str, str]:
    """Members of a request, and their types."""
    section = DOCUMENT.split(f"### `{heading}`")[1].split("\n#")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", section, re.MULTILINE)
    assert len(rows) > 10
    return dict(rows)


WRONG: dict[str, list[Any]] = {
    "string": [1, {}, True],
    "boolean": [0, "true", []],
    "integer": ["1", 1.5, -1, True],
    "number": ["1", -1, True],
    "object": [[], "a", 1],
    "object of strings": [[], "a", {"a": 1}, {"a": None}],
    "handle": [1, [], {}, {"id": 1}],
}


def wrong_values(type_: str) -> list[Any]:
    if type_.startswith("`"):
        return ["", "nonsense", 1, [], type_]
    return WRONG[type_.strip()]


@pytest.mark.parametrize("request_", ["create_context_request", "run_code_request"])
def test_members_have_the_types_of_the_table(agent: Agent, request_: str) -> None:
    base = {"code": "1"} if request_ == "run_code_request" else {}
    for name, type_ in table(request_).items():
        for value in wrong_values(type_):
            reply = agent.ask(request_, **{**base, name: value})
            assert reply.get("code") == "INVALID_ARGUMENT", (name, value, reply)
            assert reply["details"]["field"] == name
    assert agent.get("list_contexts_request")["contexts"] == []


@pytest.mark.parametrize("request_", sorted(documented_requests()))
def test_unknown_members_are_refused(agent: Agent, request_: str) -> None:
    reply = agent.ask(request_, contxt="ctx_1")
    assert reply["code"] == "INVALID_ARGUMENT"
    assert reply["details"]["field"] == "contxt"
    assert "contxt" in reply["message"]


REQUIRED = {
    "code": "run_code complete inspect is_complete",
    "context": "get_context delete_context restart_context interrupt_context "
    "watch_context list_files open_jupyter close_jupyter",
    "path": "write_file read_file remove_file make_directory",
    "execution": "attach cancel",
}


@pytest.mark.parametrize("member", REQUIRED)
def test_missing_members_are_named(agent: Agent, member: str) -> None:
    for request in REQUIRED[member].split():
        for content in ({}, {member: None}):
            reply = agent.ask(f"{request}_request", **content)
            assert reply["code"] == "INVALID_ARGUMENT", request
            assert reply["details"]["field"] == member


# What the replies of the tables have besides "status".
REPLIES: dict[str, tuple[dict[str, Any], str]] = {
    "list_contexts_request": ({}, "contexts"),
    "get_context_request": ({"context": "c"}, "context executions"),
    "restart_context_request": ({"context": "c"}, "context"),
    "interrupt_context_request": ({"context": "c"}, "context interrupted"),
    "watch_context_request": ({"context": "c", "on": False}, "context"),
    "complete_request": (
        {"context": "c", "code": "impo", "cursor_pos": 4},
        "matches cursor_start cursor_end metadata",
    ),
    "inspect_request": ({"context": "c", "code": "print"}, "found data metadata"),
    "is_complete_request": ({"context": "c", "code": "if x:"}, "indent"),
    "write_file_request": ({"context": "c", "path": "f"}, "path bytes_written size"),
    "read_file_request": ({"context": "c", "path": "f"}, "path size offset eof"),
    "list_files_request": ({"context": "c"}, "entries truncated"),
    "make_directory_request": ({"context": "c", "path": "d"}, "path"),
    "remove_file_request": ({"context": "c", "path": "f"}, "path"),
    "open_jupyter_request": ({"context": "c"}, "connection file"),
    "close_jupyter_request": ({"context": "c"}, "context"),
    "delete_context_request": ({"context": "c"}, "context"),
}


def test_replies_have_what_the_tables_say(agent: Agent) -> None:
    agent.create(name="c")
    for request, (content, members) in REPLIES.items():
        buffers = [b"12345"] if request == "write_file_request" else []
        reply = agent.get(request, buffers, **content)
        assert set(reply) == {"status", *members.split()}, request
    execution = agent.detach("1")
    agent.outcome(execution)
    reply = agent.get("cancel_request", execution=execution)
    assert set(reply) == {"status", "execution", "was"} and reply["was"] == "done"
    with pytest.raises(Refused, match="CONTEXT_NOT_FOUND"):
        agent.get("get_context_request", context="c")
    others = {"server_info_request", "create_context_request", "run_code_request"}
    others |= {"attach_request", "cancel_request"}
    assert documented_requests() == {*REPLIES, *others}
