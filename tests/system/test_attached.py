# SPDX-License-Identifier: MIT
"""People in Jupyter look into the context of an agent, and work in it."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.blocking.client import BlockingKernelClient

from tests.system.attachedhost import Host
from tests.system.conftest import BINARY
from tests.system.rawclient import Client, Message, merged
from tests.system.servers import wait_until

pytestmark = pytest.mark.cellwall
BUILD = BINARY.parent


@pytest.fixture
def host() -> Iterator[Host]:
    """With an interpreter that is ready, and no Jupyter kernel yet."""
    with Host(BUILD, python=sys.executable) as one:
        one.until("state", lambda told: told["state"] == "idle")
        yield one


@pytest.fixture
def client(host: Host) -> Iterator[Client]:
    with Client(host.open()) as one:
        one.wait_ready()
        yield one


def types(messages: list[Message]) -> list[str]:
    return [
        m.content["execution_state"] if m.type == "status" else m.type for m in messages
    ]


def text(messages: list[Message]) -> str:
    return "".join(m.content["text"] for m in messages if m.type == "stream")


def test_both_work_with_the_same_variables(host: Host, client: Client) -> None:
    host.run("agent = 40")

    assert client.evaluate("agent + 2") == 42
    client.execute("person = 'here'")
    host.run("assert person == 'here'")


def test_a_run_of_the_agent_looks_like_one_of_another_client(
    host: Host, client: Client
) -> None:
    asked = host.run("print('hello')\n6 * 7")

    seen = merged(client.until_idle(asked))
    assert types(seen) == ["busy", "execute_input", "stream", "execute_result", "idle"]
    assert {m.parent["session"] for m in seen} == {"agent"}
    assert seen[1].content == {"code": "print('hello')\n6 * 7", "execution_count": 1}
    assert seen[3].content["data"]["text/plain"] == "42"


def test_execution_counts_are_shared(host: Host, client: Client) -> None:
    host.run("1")
    first = client.execute("2")
    host.run("3")
    second = client.execute("4")

    assert first.content["execution_count"] == 2
    assert second.content["execution_count"] == 4


def test_the_history_has_the_runs_of_both(host: Host, client: Client) -> None:
    host.run("'agent'")
    client.execute("'person'")
    reply = client.request(
        "history_request",
        {"hist_access_type": "tail", "n": 9, "output": True, "raw": True},
    )

    assert [entry[1:] for entry in reply.content["history"]] == [
        [1, ["'agent'", "'agent'"]],
        [2, ["'person'", "'person'"]],
    ]


def test_the_agent_is_told_what_a_person_runs(host: Host, client: Client) -> None:
    asked = client.start("'from the notebook'")
    run = host.until("theirs")

    assert run["header"]["msg_id"] == asked
    assert run["code"] == "'from the notebook'"
    assert run["count"] == 1
    client.finish(asked)
    host.finish(run["number"])


def test_a_silent_run_shows_nothing_but_its_output(host: Host, client: Client) -> None:
    asked = host.run("print('quiet')", silent=True, store_history=False)

    assert types(merged(client.until_idle(asked))) == ["busy", "stream", "idle"]


def test_an_error_of_the_agent_is_shown(host: Host, client: Client) -> None:
    asked, number = host.start("1 / 0")
    host.finish(number)
    seen = client.until_idle(asked)

    assert types(seen) == ["busy", "execute_input", "error", "idle"]
    assert seen[2].content["ename"] == "ZeroDivisionError"


def test_a_run_that_is_not_adopted_confuses_nobody(host: Host, client: Client) -> None:
    client.execute("1")
    _, number = host.start("print('unadopted'); 5", adopt=False)
    host.finish(number)
    host.do("complete", content={"code": "pri", "cursor_pos": 3})
    host.finish(host.until("submitted")["number"])

    assert client.evaluate("2 + 2") == 4


def test_a_run_under_way_can_be_taken_over_late(host: Host) -> None:
    _, number = host.start("print('before', flush=True)\ninput()", allow_stdin=True)
    host.until("frame", lambda told: told["type"] == "input_request")
    with Client(host.open()) as client:
        client.wait_ready()
        host.do("input", content={"value": "go"})
        host.finish(number)
        assert client.evaluate("1 + 1") == 2


def test_input_of_the_agents_run_is_not_asked_of_people(
    host: Host, client: Client
) -> None:
    asked, number = host.start("print('got', input('for the agent: '))", allow_stdin=True)
    host.until("frame", lambda told: told["type"] == "input_request")
    client.send("stdin", "input_reply", {"value": "from a stranger"})
    client.request("comm_info_request")  # the reply above was read before
    host.do("input", content={"value": "from the agent"})
    host.finish(number)

    seen = client.until_idle(asked)
    assert text(seen) == "got from the agent\n"
    assert not client.stdin.poll(0)


def test_input_of_a_persons_cell_is_asked_of_that_person(
    host: Host, client: Client
) -> None:
    asked = client.start("input('name? ')", allow_stdin=True)
    question = client.receive("stdin")

    assert question.content["prompt"] == "name? "
    client.send("stdin", "input_reply", {"value": "Ann"}, parent=question.header)
    assert client.finish(asked).result() == "'Ann'"


def test_a_late_answer_does_not_reach_the_agents_question(
    host: Host, client: Client
) -> None:
    asked = client.start("input('first? ')", allow_stdin=True)
    question = client.receive("stdin")
    host.do("interrupt")
    assert client.finish(asked).content["ename"] == "KeyboardInterrupt"
    asked, number = host.start("print('got', input('second? '))", allow_stdin=True)
    host.until("frame", lambda told: told["number"] == number and "input" in told["type"])
    client.send("stdin", "input_reply", {"value": "late"}, parent=question.header)
    client.request("comm_info_request")
    host.do("input", content={"value": "right"})
    host.finish(number)

    assert text(client.until_idle(asked)) == "got right\n"


def test_many_clients_see_the_same(host: Host) -> None:
    info = host.open()
    clients = [Client(info) for _ in range(8)]
    for one in clients:
        one.wait_ready()
    asked = host.run("print('to all')")

    for one in clients:
        assert text(one.until_idle(asked)) == "to all\n"
        one.close()


def test_a_shutdown_leaves_the_context_alive(host: Host, client: Client) -> None:
    client.execute("kept = 1")
    reply = client.request("shutdown_request", {"restart": False}, channel="control")

    assert reply.content == {"status": "ok", "restart": False}
    host.until("ended")
    host.until("closed")
    assert not host.file.exists()
    host.run("assert kept == 1")
    with Client(host.open()) as again:
        again.wait_ready()
        assert again.evaluate("kept") == 1


def test_the_files_are_private_and_go_with_the_kernel(host: Host) -> None:
    info = host.open()
    file = host.file

    assert re.fullmatch("kernel-cellwall-ann-[0-9a-f]{8}.json", file.name)
    assert json.loads(file.read_text()) == info
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(host.sockets.stat().st_mode) == 0o700
    assert info["kernel_name"] == "cellwall-python"
    host.do("close")
    host.until("closed")
    assert list(host.sockets.iterdir()) == []


def test_a_file_never_has_the_name_of_an_earlier_one(host: Host) -> None:
    """A Jupyter server would take it for the earlier kernel."""
    names = set()
    for _ in range(3):
        host.open()
        names.add(host.file.name)
        host.do("close")
        host.until("closed")

    assert len(names) == 3


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    with Host(BUILD, "example", name="../../etc/x y", connection_dir=tmp_path) as host:
        host.open()
        assert host.file.parent == tmp_path
        assert host.file.name.startswith("kernel-cellwall-.._.._etc_x_y-")


def test_a_restart_by_a_person_is_a_fresh_interpreter(host: Host, client: Client) -> None:
    host.run("gone = 1")
    reply = client.request("shutdown_request", {"restart": True}, channel="control")
    host.until("restart wanted")
    host.until("state", lambda told: told["epoch"] == 2 and told["state"] == "idle")

    assert reply.content["restart"] is True
    assert client.execute("gone").content["ename"] == "NameError"


def test_a_restart_by_the_agent_is_told_once_and_comms_are_closed(
    host: Host, client: Client
) -> None:
    host.run("from comm import create_comm\nc = create_comm(target_name='x')")
    comms = client.request("comm_info_request").content["comms"]
    assert len(comms) == 1
    host.do("restart")
    host.until("state", lambda told: told["epoch"] == 2 and told["state"] == "idle")

    assert client.evaluate("1 + 1") == 2
    kept = [m.type for m in client.kept]
    assert kept.count("error") == 1
    assert kept.count("comm_close") == 1
    assert client.request("comm_info_request").content["comms"] == {}


def test_a_death_during_the_agents_run_is_told_once(host: Host, client: Client) -> None:
    asked, number = host.start("import os; os._exit(3)")
    assert host.finish(number)["end"] == "lost"
    seen = client.until_idle(asked)
    assert types(seen) == ["busy", "execute_input", "error", "idle"]
    assert "exited with status 3" in seen[2].content["evalue"]

    assert client.evaluate("1 + 1") == 2
    assert [m for m in client.kept if m.type == "error"] == []


def test_a_person_can_interrupt_the_agent(host: Host, client: Client) -> None:
    asked, number = host.start("print('going', flush=True)\nwhile True: pass")
    client.until_text("going")
    client.send("control", "interrupt_request")
    done = host.finish(number)

    assert done["reply"]["ename"] == "KeyboardInterrupt"
    client.until_idle(asked)


def test_a_failed_cell_does_not_abort_the_agents_runs(host: Host, client: Client) -> None:
    first = client.start("import time; print('go', flush=True); time.sleep(.5); 1/0")
    client.until_text("go")
    second = client.start("2")
    client.request("comm_info_request", channel="control")
    _, number = host.start("3", stop_on_error=True)

    assert host.finish(number)["end"] == "reply"
    assert client.reply_to("shell", first).content["status"] == "error"
    client.reply_to("shell", second)


def test_a_cell_that_waits_for_input_ends_with_its_kernel(
    host: Host, client: Client
) -> None:
    client.start("input('never answered')", allow_stdin=True)
    client.receive("stdin")
    host.do("close")
    host.until("closed")
    host.run("1 + 1")


def test_a_flood_of_cells_leaves_room_for_the_agent(host: Host, client: Client) -> None:
    blocker = client.start("input()", allow_stdin=True)
    question = client.receive("stdin")
    asked = [client.start("1") for _ in range(1500)]
    replies = [client.receive("shell") for _ in range(1500 - 511)]
    assert {m.content["ename"] for m in replies} == {"QueueFull"}
    _, number = host.start("'still served'")

    client.send("stdin", "input_reply", {"value": ""}, parent=question.header)
    host.finish(number)
    served = [client.receive("shell") for _ in range(512)]
    assert [m.parent_id for m in served] == [blocker, *asked[:511]]
    assert {m.content["status"] for m in served} == {"ok"}


def test_a_client_that_stands_still_does_not_stop_the_agent_for_good(
    host: Host,
) -> None:
    """It is waited for for ten seconds, once, and then loses what it has no room for."""
    info = host.open()
    with Client(info) as client:
        client.wait_ready()
        stopped = client.context.socket(zmq.SUB)
        stopped.rcvhwm = 1
        stopped.subscribe(b"")
        stopped.connect(f"ipc://{info['ip']}-{info['iopub_port']}")
        client.evaluate("1")
        code = "for i in range(3000): print('x' * 1000, flush=True); display(i)"
        asked, number = host.start(code)
        host.until("pressure", lambda told: told["high"])
        client.until_idle(asked)
        done = host.finish(number)

    assert done["reply"]["status"] == "ok"


def test_stock_clients_work_over_ipc(host: Host) -> None:
    host.open()
    client = BlockingKernelClient(connection_file=str(host.file))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        host.run("shared = [1, 2]")
        said: list[dict[str, Any]] = []
        reply = client.execute_interactive(
            "shared", output_hook=said.append, timeout=60, allow_stdin=False
        )
        assert reply["content"]["status"] == "ok"
        results = [m for m in said if m["msg_type"] == "execute_result"]
        assert results[0]["content"]["data"]["text/plain"] == "[1, 2]"
        assert wait_until(client.is_alive)
    finally:
        client.stop_channels()


def test_what_a_killed_server_has_left_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    with Host(BUILD, "example", connection_dir=folder) as host:
        other = folder / "kernel-cellwall-other.json"
        host.open()
        other.write_text(json.dumps({"transport": "ipc", "ip": "/elsewhere", "key": ""}))
        os.kill(host.process.pid, signal.SIGKILL)
        host.process.wait()
        assert host.file.exists()
        assert len(list(host.sockets.iterdir())) == 5
        with Host(
            BUILD, "example", connection_dir=folder, folder=host.runtime_dir
        ) as next_host:
            next_host.do("sweep")
            next_host.until("swept")
            assert list(host.sockets.iterdir()) == []
            assert list(folder.iterdir()) == [other]
        host.close()
