# SPDX-License-Identifier: MIT
"""Everything that a client could have too much of is bounded, by the server's settings,
and what is malformed disturbs nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.agentclient import Agent, Refused, gate, main_text
from tests.system.agentserver import Keyed, start
from tests.system.conftest import BINARY
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall

BOUNDS = {
    "contexts_per_owner": 5,
    "executions_per_owner": 6,
    "queue_per_context": 3,
    "results_bytes": 4096,
    "log_bytes": 4096,
    "jupyter": 1,
    "idle_timeout_s": 50,
    "idle_timeout_max_s": 100,
}
LIMITS = {"run_ms": 20000, "memory_bytes": 512 << 20, "output_bytes": 65536}
CEILINGS = {
    "memory_bytes": 768 << 20,
    "cpus": 2.5,
    "processes": 200,
    "open_files": 2000,
    "file_bytes": 1 << 30,
    "disk_bytes": 512 << 20,
    "disk_files": 20000,
    "tmp_bytes": 512 << 20,
    "tmp_files": 20000,
    "output_bytes": 1 << 20,
    "run_ms": 40000,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bounds")
    with start(folder, bounds=BOUNDS, limits=LIMITS, ceilings=CEILINGS) as server:
        yield server


@pytest.fixture
def agent(server: Server) -> Iterator[Agent]:
    """Which has nothing but what a test makes."""
    with Agent(server.file) as agent:
        yield agent
        for context in agent.get("list_contexts_request")["contexts"]:
            agent.ask("delete_context_request", context=context["id"])  # or it is gone


def refusal(agent: Agent, request: str, **members: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        agent.get(request, **members)
    return refused.value


# What one owner may have.


def test_the_settings_are_told(agent: Agent) -> None:
    info = agent.get("server_info_request")
    assert {n: info["bounds"][n] for n in BOUNDS} == BOUNDS
    assert info["limits"]["ceilings"] == CEILINGS
    assert {n: info["limits"]["defaults"][n] for n in LIMITS} == LIMITS


def test_contexts_of_an_owner_are_bounded(agent: Agent) -> None:
    contexts = [agent.create() for _ in range(5)]
    no = refusal(agent, "create_context_request")
    assert (no.code, no.details) == ("QUOTA_EXCEEDED", {"limit": 5})
    no = refusal(agent, "run_code_request", code="1")  # in a default context
    assert no.code == "QUOTA_EXCEEDED"
    agent.get("delete_context_request", context=contexts.pop())
    assert agent.get("create_context_request", name="a")["created"]
    again = agent.get("create_context_request", name="a", if_exists="use")
    assert not again["created"]


def test_a_deleted_context_counts_no_more(agent: Agent) -> None:
    """Though the next request comes at the same time as that which deletes."""
    contexts = [agent.create() for _ in range(5)]
    for context in contexts:
        asked = [
            agent.send("delete_context_request", {"context": context}),
            agent.send("create_context_request", {}),
        ]
        for msg_id in asked:
            assert agent.reply(msg_id).content["status"] == "ok", agent.replies[msg_id]


def test_executions_of_an_owner_are_bounded(agent: Agent) -> None:
    contexts = [agent.create() for _ in range(2)]
    for context in contexts:
        for _ in range(3):
            agent.detach(gate("go"), context=context)
    assert agent.get("server_info_request")["executions"] == 6
    no = refusal(agent, "run_code_request", code="1", context=contexts[0])
    assert (no.code, no.details) == ("QUOTA_EXCEEDED", {"limit": 6})
    agent.open_gate(contexts[0])
    executions = agent.get("get_context_request", context=contexts[0])["executions"]
    for execution in executions:
        agent.outcome(execution["id"])
    assert agent.get("server_info_request")["executions"] == 3
    assert main_text(agent.run("1", context=contexts[0])) == "1"


def test_a_queue_is_bounded(agent: Agent) -> None:
    context = agent.create()
    asked = [
        agent.send("run_code_request", {"code": code, "context": context})
        for code in (gate("go"), "1", "2", "3", "4")
    ]
    no = agent.reply(asked.pop()).content
    assert (no["code"], no["details"]) == ("QUEUE_FULL", {"limit": 3})
    agent.open_gate(context)
    assert [len(agent.reply(msg_id).content["results"]) for msg_id in asked] == [
        0,
        1,
        1,
        1,
    ]


def test_jupyter_endpoints_are_bounded(agent: Agent) -> None:
    one, other = agent.create(jupyter=True), agent.create()
    no = refusal(agent, "open_jupyter_request", context=other)
    assert (no.code, no.details) == ("QUOTA_EXCEEDED", {"limit": 1})
    no = refusal(agent, "create_context_request", jupyter=True)
    assert no.code == "QUOTA_EXCEEDED"
    agent.get("delete_context_request", context=one)
    assert agent.get("open_jupyter_request", context=other)["connection"]


def test_requests_a_second_are_bounded(tmp_path: Path) -> None:
    with start(tmp_path, bounds={"requests_per_second": 1}) as server:
        with Agent(server.file) as agent:
            asked = [agent.send("server_info_request") for _ in range(50)]
            replies = [agent.reply(msg_id).content for msg_id in asked]
            refused = [r for r in replies if r["status"] == "error"]
            assert refused and {r["code"] for r in refused} == {"RATE_LIMITED"}
            assert all(0 < r["details"]["retry_after_ms"] <= 1001 for r in refused)
            assert replies[0]["status"] == replies[1]["status"] == "ok"


def test_contexts_of_all_owners_are_bounded(tmp_path: Path) -> None:
    with Keyed(tmp_path, bounds={"contexts": 2}) as keyed:
        with keyed.connect("ann") as ann, keyed.connect("bob") as bob:
            ann.create()
            bob.create()
            assert refusal(ann, "create_context_request").code == "QUOTA_EXCEEDED"


def test_a_server_without_jupyter_says_so(tmp_path: Path) -> None:
    with start(tmp_path, bounds={"jupyter": 0}) as server, Agent(server.file) as agent:
        assert agent.get("server_info_request")["jupyter"] is False
        no = refusal(agent, "create_context_request", jupyter=True)
        assert no.code == "NOT_ALLOWED"
        assert agent.get("list_contexts_request")["contexts"] == []


def test_the_hosts_network_must_be_allowed(tmp_path: Path, agent: Agent) -> None:
    assert refusal(agent, "create_context_request", network="host").code == "NOT_ALLOWED"
    with start(tmp_path, network="host") as server, Agent(server.file) as other:
        assert other.get("server_info_request")["network"] == "host"
        reply = other.get("create_context_request", network="host")
        assert reply["context"]["network"] == "host"


# Limits.


@pytest.mark.parametrize("name", CEILINGS)
def test_a_limit_above_its_ceiling_is_refused(agent: Agent, name: str) -> None:
    most = CEILINGS[name]
    no = refusal(agent, "create_context_request", limits={name: most + 1})
    assert no.code == "LIMIT_TOO_HIGH" and f'"{name}"' in str(no)
    assert no.details["ceiling"][name] == most
    reply = agent.get("create_context_request", limits={name: most})
    assert reply["context"]["limits"][name] == most
    no = refusal(agent, "create_context_request", limits={name: 0})  # is none
    assert no.code in ("LIMIT_TOO_HIGH", "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "limits",
    [
        {"memory_byte": 1},
        {"memory_bytes": -1},
        {"memory_bytes": 1.5},
        {"memory_bytes": "1"},
        {"memory_bytes": True},
        {"memory_bytes": 10**300},
        {"cpus": 1e300},
        {"cpus": -0.5},
        {"cpus": 0.0001},
        {"processes": 0},
        {"open_files": []},
    ],
    ids=str,
)
def test_a_limit_that_is_none_is_refused(agent: Agent, limits: dict[str, Any]) -> None:
    no = refusal(agent, "create_context_request", limits=limits)
    assert no.code in ("INVALID_ARGUMENT", "LIMIT_TOO_HIGH")
    assert agent.get("list_contexts_request")["contexts"] == []


def test_a_timeout_is_bounded_by_the_context(agent: Agent) -> None:
    context = agent.create(limits={"run_ms": 30000})
    no = refusal(agent, "run_code_request", code="1", context=context, timeout_ms=30001)
    assert (no.code, no.details) == ("LIMIT_TOO_HIGH", {"ceiling": 30000})
    assert main_text(agent.run("1", context=context, timeout_ms=30000)) == "1"
    assert main_text(agent.run("1", context=context, timeout_ms=0)) == "1"


def test_idle_timeouts_are_bounded(agent: Agent) -> None:
    for wanted in (101, 0):
        no = refusal(agent, "create_context_request", idle_timeout_s=wanted)
        assert (no.code, no.details) == ("LIMIT_TOO_HIGH", {"ceiling": 100})
    for wanted in (100, 0.5):
        reply = agent.get("create_context_request", idle_timeout_s=wanted)
        assert reply["context"]["idle_timeout_s"] == wanted
    assert agent.get("create_context_request")["context"]["idle_timeout_s"] == 50


def test_a_default_context_has_no_more_than_others(tmp_path: Path) -> None:
    """The default is above the ceiling here."""
    bounds = {"idle_timeout_s": 3600, "idle_timeout_max_s": 60}
    with start(tmp_path, bounds=bounds) as server, Agent(server.file) as agent:
        agent.create()
        agent.run("1")
        contexts = agent.get("list_contexts_request")["contexts"]
        assert [c["idle_timeout_s"] for c in contexts] == [60, 60]


def test_too_many_labels_and_variables_are_refused(agent: Agent) -> None:
    for member, most in (("labels", 32), ("env", 256)):
        many = {f"n{i}": "x" for i in range(most + 1)}
        no = refusal(agent, "create_context_request", **{member: many})
        assert (no.code, no.details) == ("INVALID_ARGUMENT", {"field": member})
        del many["n0"]
        assert agent.get("create_context_request", **{member: many})["created"]
    for bad in ({"a=b": "c"}, {"": "c"}, {"a": "b\0c"}):
        no = refusal(agent, "create_context_request", env=bad)
        assert (no.code, no.details["field"]) == ("INVALID_ARGUMENT", "env")


@pytest.mark.parametrize(
    "name", ["ctx_mine", "", "a b", "a/b", "é", "a" * 65, "a\nb", "a\0b"], ids=repr
)
def test_a_name_that_is_none_is_refused(agent: Agent, name: str) -> None:
    for member in ("name", "workspace"):
        no = refusal(agent, "create_context_request", **{member: name})
        assert (no.code, no.details) == ("INVALID_ARGUMENT", {"field": member})


@pytest.mark.parametrize("cwd", ["/", "/etc", "../..", "/workspace/../etc", "a/../../b"])
def test_a_working_directory_is_within_the_workspace(agent: Agent, cwd: str) -> None:
    refused = refusal(agent, "create_context_request", cwd=cwd)
    assert (refused.code, refused.details) == ("INVALID_ARGUMENT", {"field": "cwd"})
    assert agent.get("list_contexts_request")["contexts"] == []


# Output.


def test_long_output_is_cut_and_the_cut_told(agent: Agent) -> None:
    context = agent.create()
    code = "print('head'); print('x' * 1000000); print('end')"
    reply = agent.run(code, context=context)
    cut = reply["truncated"]["stdout"]
    text = reply["logs"]["stdout"]
    assert set(reply["truncated"]) == {"stdout"}
    assert cut["total_bytes"] == len("head\n" + "\n" + "end\n") + 1000000
    assert cut["kept_bytes"] <= 65536
    assert text.startswith("head\n") and text.endswith("end\n")
    assert len(text) < 70000
    assert reply["status"] == "ok"
    code = "import sys; sys.stderr.write('e' * 200000)"
    assert set(agent.run(code, context=context)["truncated"]) == {"stderr"}
    assert agent.run("print(1)", context=context)["truncated"] is None


def test_large_results_are_left_out_and_that_is_told(agent: Agent) -> None:
    context = agent.create()
    code = "for i in range(5): display('r' * 1000)\n'main'"
    reply = agent.run(code, context=context)
    cut = reply["truncated"]["results"]
    assert set(reply["truncated"]) == {"results"}
    assert cut["kept_bytes"] <= 4096 < cut["total_bytes"]
    assert 3 <= len(reply["results"]) <= 4
    assert agent.run("1", context=context)["truncated"] is None


def test_an_old_event_goes_when_the_log_is_full(agent: Agent) -> None:
    context = agent.create()
    code = "for i in range(50): display('d%d' % i)"
    execution = agent.run(code, context=context)["execution_id"]
    asked = agent.send("attach_request", {"execution": execution})
    reply = agent.reply(asked).content
    events = agent.events[asked]
    first, last = events[0].seq, events[-1].seq
    assert [e.seq for e in events] == list(range(first, last + 1))
    assert events[-1].content == {"execution_state": "idle"}
    assert reply["missed_events"] == first - 1 > 0
    assert reply["status"] == "ok"
    # From there on nothing is missed.
    reply = agent.get("attach_request", execution=execution, after_seq=last - 2)
    assert reply["missed_events"] == 0


# Requests.


def test_code_of_many_megabytes_is_run(agent: Agent) -> None:
    context = agent.create()
    reply = agent.run("#" * (8 << 20) + "\n'end'", context=context)
    assert main_text(reply) == "'end'"


def test_too_much_code_is_refused_or_not_taken_at_all(
    server: Server, agent: Agent
) -> None:
    """A frame above 32 MiB ends the connection of its sender; others go on."""
    context = agent.create()
    with Agent(server.file) as other:
        other.send("run_code_request", {"code": "#" * (33 << 20), "context": context})
        assert main_text(agent.run("1", context=context)) == "1"
        # The connection is made again.
        assert other.get("server_info_request")["status"] == "ok"
        assert len(other.replies) == 1


def test_a_message_of_too_many_bytes_is_dropped(server: Server, agent: Agent) -> None:
    context = agent.create()
    content = {"context": context, "path": "big"}
    agent.send("write_file_request", content, [bytes(30 << 20)] * 3)
    assert agent.get("list_files_request", context=context)["entries"] == []
    server.wait_said("dropped a message: it is too large")
    for count in (0, 2, 3):
        asked = agent.send("write_file_request", content, [b""] * count)
        assert agent.reply(asked).content["code"] == "INVALID_ARGUMENT"
    agent.send("write_file_request", content, [b""] * 3000)
    assert agent.get("list_files_request", context=context)["entries"] == []


def test_who_does_not_read_gets_all_replies_later(server: Server) -> None:
    with Agent(server.file, hwm=1) as lazy, Agent(server.file) as other:
        asked = [lazy.send("server_info_request") for _ in range(4000)]
        for _ in range(10):
            assert other.get("server_info_request")["status"] == "ok"
        for msg_id in asked:
            assert lazy.reply(msg_id).content["status"] == "ok"


@pytest.mark.parametrize(
    "content, said",
    [
        (b"[]", "object"),
        (b"1", "object"),
        (b"", ""),
        (b"{", ""),
        (b'{"code": 1', ""),
        (b'{"code": "\xff"}', ""),
        (b'{"code": "1", "code": 2}', ""),
        (b'{"code": NaN}', ""),
        (b'{"code":' + b"[" * 100000 + b"]" * 100000 + b"}", ""),
        (b'{"labels":' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}", ""),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_content_that_is_wrong_is_refused(
    agent: Agent, content: bytes, said: str
) -> None:
    head = json.dumps(agent.header("run_code_request")).encode()
    reply = agent.reply(agent.send_parts([head, b"{}", b"{}", content]))
    assert reply.content["code"] == "INVALID_ARGUMENT", reply
    assert said in reply.content["message"]
    assert agent.get("list_contexts_request")["contexts"] == []


def test_a_handle_of_any_characters_is_answered(agent: Agent) -> None:
    for handle in ("é" * 100, "\0", "\ud83d\ude00" * 40, "a" * 100000, "%s%n", '"}'):
        handle = handle.encode("utf-16", "surrogatepass").decode("utf-16")
        no = refusal(agent, "get_context_request", context=handle)
        assert no.code in ("CONTEXT_NOT_FOUND", "INVALID_ARGUMENT")
        no = refusal(agent, "attach_request", execution=handle)
        assert no.code in ("EXECUTION_NOT_FOUND", "INVALID_ARGUMENT")


MALFORMED: dict[str, list[bytes] | None] = {
    "nothing": [b""],
    "delimiter alone": [b"<IDS|MSG>"],
    "another delimiter": [b"<IDS|MSH>", b"", b"{}", b"{}", b"{}", b"{}"],
    "too few frames": [b"<IDS|MSG>", b"", b"{}", b"{}", b"{}"],
    "no signature": [b"<IDS|MSG>", b"", b"H", b"{}", b"{}", b"{}"],
    "wrong signature": [b"<IDS|MSG>", b"0" * 64, b"H", b"{}", b"{}", b"{}"],
    "short signature": [b"<IDS|MSG>", b"0", b"H", b"{}", b"{}", b"{}"],
    "long signature": [b"<IDS|MSG>", b"0" * 100000, b"H", b"{}", b"{}", b"{}"],
    "random": [os.urandom(1000) for _ in range(6)],
    "many frames": [b"x"] * 5000,
}


@pytest.mark.parametrize("how", MALFORMED)
def test_a_message_that_is_none_has_no_answer(agent: Agent, how: str) -> None:
    head = json.dumps(agent.header("server_info_request")).encode()
    frames = [head if frame == b"H" else frame for frame in MALFORMED[how]]
    agent.socket.send_multipart(frames)
    # Agent takes nothing but answers to what it has asked rightly.
    for _ in range(2):
        assert agent.get("server_info_request")["status"] == "ok"


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b"[]",
        b"{",
        b"",
        b'{"msg_id": "", "msg_type": "server_info_request"}',
        b'{"msg_id": 1, "msg_type": "server_info_request"}',
        b'{"msg_id": "a"}',
        b'{"msg_id": "b", "msg_type": ""}',
        b'{"msg_id": "c", "msg_type": 5}',
        b'{"msg_id": "d", "msg_type": "' + b"x" * 1000 + b'"}',
        b'{"msg_id": "e", "msg_type": "x", "a": ' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"msg_id": "f", "msg_type": "x", "a": "' + b"x" * 100000 + b'"}',
    ],
    ids=lambda header: header[:45].decode(),
)
def test_a_header_that_is_none_has_no_answer(agent: Agent, header: bytes) -> None:
    parts = [header, b"{}", b"{}", b"{}"]
    agent.socket.send_multipart([b"<IDS|MSG>", agent.sign(parts), *parts])
    for _ in range(2):
        assert agent.get("server_info_request")["status"] == "ok"


def test_of_a_member_that_is_there_twice_the_last_one_counts(agent: Agent) -> None:
    head = json.dumps(agent.header("run_code_request")).encode()
    content = b'{"code": 1, "code": "2", "timeout_ms": "no", "timeout_ms": 20000}'
    reply = agent.reply(agent.send_parts([head, b"{}", b"{}", content]))
    assert main_text(reply.content) == "2"


def test_a_routing_id_that_could_be_guessed_is_not_heard(tmp_path: Path) -> None:
    with (
        start(tmp_path) as server,
        Agent(server.file, identity=b"short") as short,
        Agent(server.file, identity=b"") as chosen_by_zeromq,
    ):
        short.send("server_info_request")
        server.wait_said("its sender is a stranger, or has an identity of less than 16")
        assert chosen_by_zeromq.get("server_info_request")["status"] == "ok"
        assert short.socket.poll(0) == 0


def test_settings_that_are_none_keep_a_server_from_starting(tmp_path: Path) -> None:
    for settings, said in (
        ({"bounds": {"queue": 1}}, '"queue" is not known'),
        ({"bounds": {"queue_per_context": 0}}, '"queue_per_context" must be'),
        ({"bounds": {"log_bytes": "1"}}, '"log_bytes" must be'),
        ({"limits": {"memory": 1}}, '"memory" is no limit'),
        ({"ceilings": {"cpus": -1}}, '"cpus" is out of bounds'),
    ):
        (tmp_path / "config").write_text(json.dumps(settings))
        with Server(
            BINARY, "--config", str(tmp_path / "config"), expect_start=False
        ) as server:
            server.wait_said(said)
            assert server.wait() == 2
