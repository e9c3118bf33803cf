# SPDX-License-Identifier: MIT
"""Nobody reaches, sees or disturbs what another owner of the agent service has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.agentclient import Agent, Refused, gate, main_text
from tests.system.agentserver import (
    ORDINARY_USER,
    Keyed,
    as_ordinary_user,
    documented_requests,
    ordinary,
)

pytestmark = pytest.mark.cellwall

NO_ID = "0" * 20  # of no context and no execution: its characters are random

CODE = {"code": "secret"}
FILE = {"path": "secret.txt"}
# Requests that have a context, with what they need besides.
OF_CONTEXTS: dict[str, dict[str, Any]] = {
    "get_context_request": {},
    "delete_context_request": {},
    "restart_context_request": {},
    "interrupt_context_request": {"force": True},
    "run_code_request": CODE,
    "complete_request": CODE,
    "inspect_request": CODE,
    "is_complete_request": CODE,
    "watch_context_request": {},
    "write_file_request": FILE,
    "read_file_request": FILE,
    "list_files_request": {},
    "remove_file_request": FILE,
    "make_directory_request": {"path": "folder"},
    "open_jupyter_request": {},
    "close_jupyter_request": {},
}
OF_EXECUTIONS: dict[str, dict[str, Any]] = {
    "attach_request": {"wait": False},
    "cancel_request": {"force": True},
}
# Those that name nothing of anybody; each has a test of its own below.
OF_NOBODY = {"server_info_request", "list_contexts_request", "create_context_request"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("owners")
    bounds = {"contexts_per_owner": 4, "executions_per_owner": 4}
    limits = {"run_ms": 600000}  # the victim's code runs for as long as the tests
    with Keyed(folder, bounds=bounds, limits=limits) as keyed:
        yield keyed


@dataclass
class Victim:
    """ann: with a context that runs something, an execution that waits, and one that has
    ended, and a file."""

    agent: Agent
    context: str
    done: str
    running: str
    queued: str
    asked: str

    def state(self) -> dict[str, Any]:
        """All that could be changed by somebody else."""
        info = self.agent.get("server_info_request")
        return {
            "context": self.agent.get("get_context_request", context=self.context),
            "contexts": self.agent.get("list_contexts_request")["contexts"],
            "counts": (info["contexts"], info["executions"]),
            "done": self.agent.get("attach_request", execution=self.done, wait=False),
            "running": self.agent.get(
                "attach_request", execution=self.running, wait=False
            ),
            "queued": self.agent.get("attach_request", execution=self.queued, wait=False),
            "events": [e.type for e in self.agent.events[self.asked]],
        }

    def files(self) -> list[dict[str, Any]]:
        return self.agent.get("list_files_request", context=self.context)["entries"]


@pytest.fixture(scope="module")
def victim(keyed: Keyed) -> Iterator[Victim]:
    with keyed.connect("ann") as ann:
        context = ann.create(name="mine", workspace="ours", labels={"of": "ann"})
        ann.write(context, "secret.txt", b"ann's")
        done = ann.run("secret = 'ann'; secret", context=context)["execution_id"]
        asked = ann.start(gate("go") + "secret", context=context)
        running = ann.events[asked][0].content["execution"]["id"]
        queued = ann.detach("secret * 2", context=context)
        victim = Victim(ann, context, done, running, queued, asked)
        yield victim
        # It was not disturbed.
        assert [file["path"] for file in victim.files()] == ["secret.txt"]
        assert ann.read(context, "secret.txt") == b"ann's"
        ann.open_gate(context)
        assert main_text(ann.reply(asked).content) == "'ann'"
        assert main_text(ann.outcome(queued)) == "'annann'"


@pytest.fixture(scope="module", params=["key", "user"])
def stranger(request: pytest.FixtureRequest, keyed: Keyed) -> Iterator[Agent]:
    """One with a key of its own at tcp, and the server's user at ipc."""
    file = keyed.add("bob") if request.param == "key" else keyed.server.file
    with Agent(file) as agent:
        yield agent


def test_each_request_is_here() -> None:
    assert documented_requests() == {*OF_CONTEXTS, *OF_EXECUTIONS, *OF_NOBODY}


def same_but_for(handle: Any, other: Any, answer: Any, reference: Any) -> bool:
    """Whether the two answers differ in what was asked for alone."""
    assert set(answer) == set(reference), (answer, reference)
    for name in answer:
        mine, theirs = answer[name], reference[name]
        if name == "message":
            mine, theirs = mine.replace(handle, "-"), theirs.replace(other, "-")
        if mine != theirs:
            return False
    return True


@pytest.mark.parametrize("kind", ["id", "name", "object", "old epoch"])
@pytest.mark.parametrize("request_", OF_CONTEXTS)
def test_a_context_of_another_owner_is_none(
    victim: Victim, stranger: Agent, request_: str, kind: str
) -> None:
    before = victim.state()
    name = "mine" if kind == "name" else victim.context
    other = "none" if kind == "name" else "ctx_" + NO_ID
    buffers = [b"bob's"] if request_ == "write_file_request" else []

    def ask(handle: str) -> dict[str, Any]:
        if kind in ("object", "old epoch"):
            epoch = 1 if kind == "object" else 77
            what: Any = {"id": handle, "epoch": epoch}
        else:
            what = handle
        members = {"context": what, **OF_CONTEXTS[request_]}
        return stranger.ask(request_, buffers, **members)

    answer, reference = ask(name), ask(other)
    assert answer["code"] == reference["code"] == "CONTEXT_NOT_FOUND"
    assert same_but_for(name, other, answer, reference), (answer, reference)
    assert victim.state() == before


@pytest.mark.parametrize("which", ["done", "running", "queued"])
@pytest.mark.parametrize("request_", OF_EXECUTIONS)
def test_an_execution_of_another_owner_is_none(
    victim: Victim, stranger: Agent, request_: str, which: str
) -> None:
    before = victim.state()
    execution, other = getattr(victim, which), "run_" + NO_ID
    members = OF_EXECUTIONS[request_]
    answer = stranger.ask(request_, execution=execution, **members)
    reference = stranger.ask(request_, execution=other, **members)
    assert answer["code"] == reference["code"] == "EXECUTION_NOT_FOUND"
    assert same_but_for(execution, other, answer, reference), (answer, reference)
    assert victim.state() == before


def test_lists_and_counts_are_of_ones_own(victim: Victim, stranger: Agent) -> None:
    before = victim.state()
    assert before["counts"] == (1, 2)
    for labels in ({}, {"of": "ann"}):
        assert stranger.get("list_contexts_request", labels=labels)["contexts"] == []
    info = stranger.get("server_info_request")
    assert (info["contexts"], info["executions"]) == (0, 0)
    assert info["owner"] in ("key:bob", f"uid:{os.getuid()}")
    assert "ann" not in str(info)
    assert victim.state() == before


def test_names_are_of_ones_own(victim: Victim, stranger: Agent) -> None:
    before = victim.state()
    for if_exists in ("error", "use"):
        reply = stranger.get("create_context_request", name="mine", if_exists=if_exists)
        assert reply["created"] and reply["context"]["id"] != victim.context
        stranger.get("delete_context_request", context="mine")
    assert victim.state() == before


def test_workspaces_are_of_ones_own(victim: Victim, stranger: Agent) -> None:
    before = victim.files()
    own = stranger.create(workspace="ours")
    assert stranger.get("list_files_request", context=own)["entries"] == []
    stranger.write(own, "secret.txt", b"bob's")
    stranger.write(own, "other.txt", b"bob's")
    assert victim.files() == before
    assert victim.agent.read(victim.context, "secret.txt") == b"ann's"
    stranger.get("delete_context_request", context=own)
    assert victim.files() == before


def test_default_contexts_are_of_ones_own(victim: Victim, stranger: Agent) -> None:
    before = victim.state()
    reply = stranger.run("'secret' in globals()")
    assert main_text(reply) == "False"
    assert reply["context"]["id"] != victim.context
    stranger.get("delete_context_request", context=reply["context"]["id"])
    assert victim.state() == before


def test_input_is_not_taken_from_another_owner(keyed: Keyed, stranger: Agent) -> None:
    with keyed.connect("carl") as carl:
        asked = carl.start("input('who? ')", allow_stdin=True)
        execution = carl.event(asked, "input_request").execution
        stranger.send("input_reply", {"value": "mallory", "execution": execution})
        stranger.get("server_info_request")  # so that the one before has been read
        carl.send("input_reply", {"value": "carl", "execution": execution})
        assert main_text(carl.reply(asked).content) == "'carl'"


def test_a_stranger_with_the_identity_of_another_gets_nothing_of_it(
    keyed: Keyed, stranger: Agent
) -> None:
    identity = b"not random at all"
    with keyed.connect("dora", identity=identity) as dora:
        context = dora.create()
        asked = dora.start(
            "print('of dora')" + gate("go") + "'of dora'",
            context=context,
            on_disconnect="continue",
        )
        execution = dora.event(asked, "stream").execution
    for _ in range(3):
        stranger.get("server_info_request")  # by then the server has seen dora go
    with (
        keyed.connect("eve", identity=identity) as eve,
        keyed.connect("dora") as dora,
    ):
        assert eve.get("server_info_request")["owner"] == "key:eve"
        dora.open_gate(context)
        assert main_text(dora.outcome(execution)) == "'of dora'"
        # Agent takes nothing but answers to what it has asked itself.
        assert eve.get("server_info_request")["owner"] == "key:eve"
        assert eve.events == {}


def test_two_connections_of_one_identity_do_not_mix(keyed: Keyed) -> None:
    identity = b"one for two of them"
    with (
        keyed.connect("fay", identity=identity) as fay,
        keyed.connect("gus") as gus,
    ):
        asked = fay.start("import os" + gate("go") + "'of fay'")
        with keyed.connect("gus", identity=identity) as impostor:
            impostor.send("server_info_request")
            context = fay.events[asked][0].metadata["cellwall"]["context"]
            fay.open_gate(context)
            assert main_text(fay.reply(asked).content) == "'of fay'"
            gus.get("server_info_request")
            assert impostor.socket.poll(0) == 0


def test_quotas_are_of_ones_own(keyed: Keyed) -> None:
    with keyed.connect("hal") as hal, keyed.connect("ida") as ida:
        contexts = [hal.create() for _ in range(4)]
        with pytest.raises(Refused) as refused:
            hal.create()
        assert refused.value.code == "QUOTA_EXCEEDED"
        assert refused.value.details == {"limit": 4}
        assert hal.get("server_info_request")["contexts"] == 4
        for context in contexts:
            hal.detach("input()", context=context, allow_stdin=True)
        with pytest.raises(Refused, match="QUOTA_EXCEEDED"):
            hal.run("1", context=contexts[0])
        # Another one's is whole.
        info = ida.get("server_info_request")
        assert (info["contexts"], info["executions"]) == (0, 0)
        mine = [ida.create() for _ in range(4)]
        assert main_text(ida.run("1", context=mine[0])) == "1"
        for agent in (hal, ida):
            for context in agent.get("list_contexts_request")["contexts"]:
                agent.get("delete_context_request", context=context["id"])


def test_a_flood_of_one_owner_does_not_limit_another(keyed: Keyed) -> None:
    with keyed.connect("jan") as jan, keyed.connect("kim") as kim:
        per_second = jan.get("server_info_request")["bounds"]["requests_per_second"]
        asked = [jan.send("no_such_request") for _ in range(2 * per_second)]
        for _ in range(20):
            assert kim.get("server_info_request")["status"] == "ok"
        codes = {jan.reply(msg_id).content["code"] for msg_id in asked}
        assert codes <= {"UNKNOWN_REQUEST", "RATE_LIMITED"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_another_user_is_not_heard_at_ipc() -> None:
    """Not even root, who could open the socket."""
    with ordinary() as server, Agent(server.file) as root:
        root.send("server_info_request")
        # What root said has come long before the last answer.
        expression = "[agent.get('server_info_request')['owner'] for _ in range(3)]"
        owners = as_ordinary_user(server, expression)
        assert owners == [f"uid:{ORDINARY_USER}"] * 3
        assert root.socket.poll(0) == 0
