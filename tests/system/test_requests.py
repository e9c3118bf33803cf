# SPDX-License-Identifier: MIT
"""The requests beside execute: what they answer, and that they answer while code runs."""

from __future__ import annotations

import os
import re

import pytest

from tests.system.rawclient import CHANNELS, Client, KernelProcess


def test_kernel_info_has_every_field(client: Client) -> None:
    info = client.request("kernel_info_request").content

    assert info["status"] == "ok"
    assert re.fullmatch(r"5\.\d+", info["protocol_version"])
    for name in ("implementation", "implementation_version", "banner"):
        assert isinstance(info[name], str)
        assert info[name]
    language = info["language_info"]
    assert language["name"] == "python"
    assert language["file_extension"] == ".py"
    assert language["mimetype"] == "text/x-python"
    assert re.fullmatch(r"3\.\d+\.\d+.*", language["version"])
    assert all({"text", "url"} <= link.keys() for link in info["help_links"])


@pytest.mark.cellwall
def test_kernel_info_says_5_5_and_only_features_that_exist(client: Client) -> None:
    info = client.request("kernel_info_request").content

    assert info["protocol_version"] == "5.5"
    assert "debugger" not in info["supported_features"]
    assert "kernel subshells" not in info["supported_features"]
    assert not info.get("debugger", False)


def test_connect_tells_the_ports(shared_kernel: KernelProcess, client: Client) -> None:
    content = client.request("connect_request").content

    for channel in CHANNELS:
        assert content[f"{channel}_port"] == shared_kernel.info[f"{channel}_port"]


def test_usage_tells_figures_of_the_kernel(client: Client) -> None:
    usage = client.request("usage_request", channel="control").content

    assert usage["hostname"] == os.uname().nodename
    assert usage["kernel_memory"] > 1_000_000
    assert usage["kernel_cpu"] >= 0
    assert usage["cpu_count"] == os.cpu_count()
    assert 0 < usage["host_virtual_memory"]["percent"] <= 100
    assert usage["host_virtual_memory"]["total"] > usage["kernel_memory"]


@pytest.mark.cellwall
def test_usage_counts_the_memory_of_the_interpreter(client: Client) -> None:
    before = client.request("usage_request", channel="control").content
    client.execute("ballast = b'x' * 100_000_000")
    after = client.request("usage_request", channel="control").content
    client.execute("del ballast")

    assert after["kernel_memory"] - before["kernel_memory"] > 80_000_000


# --- completion, inspection, is_complete ----------------------------------------------


def complete(client: Client, code: str, cursor: int | None = None) -> dict:
    cursor = len(code) if cursor is None else cursor
    return client.request(
        "complete_request", {"code": code, "cursor_pos": cursor}
    ).content


def test_completion_of_a_name_tells_range_and_types(client: Client) -> None:
    client.execute("completable_number = 1\ndef completable_function(a, b=2): pass")
    got = complete(client, "x = completable_")

    assert set(got["matches"]) == {"completable_number", "completable_function"}
    assert (got["cursor_start"], got["cursor_end"]) == (4, 16)
    types = got["metadata"]["_jupyter_types_experimental"]
    assert [t["text"] for t in types] == got["matches"]
    kinds = {t["text"]: t["type"] for t in types}
    assert kinds["completable_function"] == "function"


def test_completion_of_an_attribute_and_of_a_magic(client: Client) -> None:
    client.execute("import os")
    assert "getcwd" in "".join(complete(client, "os.getc")["matches"])
    assert "%timeit" in complete(client, "%timei")["matches"]


def test_cursor_counts_code_points(client: Client) -> None:
    client.execute("codepoint_name = 1")
    code = "'𝒳𝒳é👩‍🚀'; codepoint_n + 1"
    at = code.index(" +")
    got = complete(client, code, at)

    assert got["matches"] == ["codepoint_name"]
    assert code[got["cursor_start"] : got["cursor_end"]] == "codepoint_n"


def test_completion_of_nothing_is_answered(client: Client) -> None:
    for code, cursor in [("", 0), ("(", 1), ("nosuchname_at_all.", 18)]:
        assert complete(client, code, cursor)["status"] == "ok"


@pytest.mark.cellwall
@pytest.mark.parametrize("cursor", [-1, 4, 2**31, 2**63])
def test_cursor_outside_of_the_code_is_harmless(client: Client, cursor: int) -> None:
    assert complete(client, "abc", cursor)["status"] in ("ok", "error")
    assert client.evaluate("1 + 1") == 2


def test_inspection_finds_what_exists(client: Client) -> None:
    client.execute('def inspectable(a):\n    """Says so."""\n    return a')
    content = {"code": "inspectable(", "cursor_pos": 5, "detail_level": 0}
    brief = client.request("inspect_request", content).content
    full = client.request("inspect_request", {**content, "detail_level": 1}).content

    assert brief["status"] == "ok"
    assert brief["found"] is True
    assert "Says so." in brief["data"]["text/plain"]
    assert "return a" not in brief["data"]["text/plain"]
    assert "return a" in re.sub(r"\x1b\[[0-9;]*m", "", full["data"]["text/plain"])


def test_inspection_says_when_there_is_nothing(client: Client) -> None:
    content = {"code": "no_such_name_here", "cursor_pos": 5, "detail_level": 0}
    got = client.request("inspect_request", content).content

    assert got["status"] == "ok"
    assert got["found"] is False
    assert got["data"] == {}


@pytest.mark.parametrize(
    ("code", "status", "indent"),
    [
        ("x = 1", "complete", None),
        ("print('a'\n", "incomplete", ""),
        ("for i in range(3):", "incomplete", "    "),
        ("def f():\n    if True:", "incomplete", "        "),
        ("import = 7q", "invalid", None),
        ("", "complete", None),
        ("%%bash\necho", "incomplete", None),
    ],
)
def test_is_complete(client: Client, code: str, status: str, indent: str | None) -> None:
    got = client.request("is_complete_request", {"code": code}).content

    assert got["status"] == status
    if indent:
        assert got["indent"] == indent


# --- history --------------------------------------------------------------------------


def history(client: Client, **content: object) -> list:
    content = {"output": False, "raw": True, "n": 10, **content}
    run = client.request("history_request", content)
    assert run.content["status"] == "ok"
    return run.content["history"]


def test_history_tail_gives_the_last_inputs(client: Client) -> None:
    client.execute("history_a = 1")
    client.execute("history_b = 2\nhistory_b")
    tail = history(client, hist_access_type="tail", n=2)

    assert [entry[2] for entry in tail] == ["history_a = 1", "history_b = 2\nhistory_b"]
    assert tail[1][1] == tail[0][1] + 1


def test_history_with_output_pairs_input_and_output(client: Client) -> None:
    client.execute("6 * 7")
    ((_, _, pair),) = history(client, hist_access_type="tail", n=1, output=True)

    assert pair[0] == "6 * 7"
    assert pair[1] in ("42", None)  # ipykernel keeps outputs only when configured to


def test_history_range_of_this_session(client: Client) -> None:
    count = client.execute("ranged = 1").content["execution_count"]
    client.execute("ranged = 2")
    got = history(
        client, hist_access_type="range", session=0, start=count, stop=count + 2
    )

    assert [(line, code) for _, line, code in got] == [
        (count, "ranged = 1"),
        (count + 1, "ranged = 2"),
    ]


def test_history_search_takes_patterns_and_unique(client: Client) -> None:
    for code in ["searched_1 = 1", "searched_2 = 2", "searched_2 = 2", "other"]:
        client.execute(code, stop_on_error=False)
    found = history(client, hist_access_type="search", pattern="searched_?*")
    unique = history(client, hist_access_type="search", pattern="searched*", unique=True)
    last = history(client, hist_access_type="search", pattern="searched*", n=1)

    assert [e[2] for e in found] == ["searched_1 = 1", "searched_2 = 2", "searched_2 = 2"]
    assert sorted(e[2] for e in unique) == ["searched_1 = 1", "searched_2 = 2"]
    assert [e[2] for e in last] == ["searched_2 = 2"]


# --- while code runs ------------------------------------------------------------------


def test_heartbeat_and_control_answer_while_code_spins(client: Client) -> None:
    asked = client.start("print('spinning')\nspin = True\nwhile spin: pass")
    client.until_text("spinning")
    for i in range(20):
        client.hb.send(b"beat %d" % i)
        assert client.hb.poll(10_000)
        assert client.hb.recv() == b"beat %d" % i
    info = client.request("kernel_info_request", channel="control")
    usage = client.request("usage_request", channel="control")
    interrupted = client.request("interrupt_request", channel="control")
    run = client.finish(asked)

    assert info.content["status"] == "ok"
    assert usage.content["kernel_memory"] > 0
    assert interrupted.content["status"] == "ok"
    assert run.content["ename"] == "KeyboardInterrupt"


@pytest.mark.cellwall
def test_shell_requests_are_answered_while_code_runs(client: Client) -> None:
    asked = client.start("import time\nprint('running')\nwhile True: time.sleep(0.01)")
    client.until_text("running")
    for msg_type, content in [
        ("kernel_info_request", {}),
        ("comm_info_request", {}),
        ("connect_request", {}),
        ("history_request", {"hist_access_type": "tail", "n": 1, "raw": True}),
        ("complete_request", {"code": "pri", "cursor_pos": 3}),
        ("inspect_request", {"code": "print", "cursor_pos": 3, "detail_level": 0}),
    ]:
        assert client.request(msg_type, content).content["status"] == "ok", msg_type
    client.request("interrupt_request", channel="control")

    assert client.finish(asked).content["ename"] == "KeyboardInterrupt"


def test_heartbeat_echoes_any_bytes(client: Client) -> None:
    for beat in (b"", b"\0" * 100, bytes(range(256)), b"x" * 1000):
        client.hb.send(beat)
        assert client.hb.poll(10_000)
        assert client.hb.recv() == beat


# --- comms ----------------------------------------------------------------------------

COMM_TARGET = """
from comm import get_comm_manager
comm_log = []
def on_open(comm, message):
    comm_log.append(("open", message["content"]["data"], len(message["buffers"])))
    @comm.on_msg
    def on_msg(message):
        data = message["content"]["data"]
        comm_log.append(("msg", data))
        sums = [sum(bytes(b)) for b in message["buffers"]]
        comm.send({"sums": sums, "back": data}, metadata={"m": 1},
                  buffers=[bytes(b)[::-1] for b in message["buffers"]])
    @comm.on_close
    def on_close(message):
        comm_log.append(("close",))
get_comm_manager().register_target("test.target", on_open)
"""


def comm(
    client: Client, kind: str, content: dict, buffers: tuple[bytes, ...] = ()
) -> list:
    asked = client.send("shell", kind, content, buffers=buffers)
    return client.until_idle(asked)


def test_comm_carries_data_and_buffers_both_ways(client: Client) -> None:
    client.execute(COMM_TARGET)
    opening = {"comm_id": "c1", "target_name": "test.target", "data": {"hello": "é"}}
    assert [m.type for m in comm(client, "comm_open", opening, (b"b",))] == ["status"] * 2
    listed = client.request("comm_info_request", {"target_name": "test.target"})
    buffers = (b"\0\1\2\xff", b"", b"x" * 300_000)
    heard = comm(client, "comm_msg", {"comm_id": "c1", "data": {"n": [1, None]}}, buffers)
    comm(client, "comm_close", {"comm_id": "c1", "data": {}})
    unlisted = client.request("comm_info_request", {"target_name": "test.target"})

    assert listed.content["comms"] == {"c1": {"target_name": "test.target"}}
    (answer,) = [m for m in heard if m.type == "comm_msg"]
    assert answer.content["comm_id"] == "c1"
    assert answer.content["data"] == {
        "sums": [sum(b) for b in buffers],
        "back": {"n": [1, None]},
    }
    assert answer.metadata == {"m": 1}
    assert answer.buffers == [b[::-1] for b in buffers]
    assert unlisted.content["comms"] == {}
    assert client.evaluate("comm_log") == [
        ("open", {"hello": "é"}, 1),
        ("msg", {"n": [1, None]}),
        ("close",),
    ]
    assert not client.shell.poll(0)


def test_comm_of_an_unknown_target_is_closed(client: Client) -> None:
    heard = comm(
        client, "comm_open", {"comm_id": "c2", "target_name": "no.such", "data": {}}
    )

    assert [m.content["comm_id"] for m in heard if m.type == "comm_close"] == ["c2"]
    assert "c2" not in client.request("comm_info_request", {}).content["comms"]


def test_comm_opened_by_code_is_published_and_listed(client: Client) -> None:
    run = client.execute(
        "from comm import create_comm\n"
        "mine = create_comm(target_name='front.end', data={'a': 1}, buffers=[b'raw'])"
    )
    (opened,) = run.of("comm_open")
    listed = client.request("comm_info_request", {"target_name": "front.end"})
    closed = client.execute("mine.close()").of("comm_close")

    assert opened.content["target_name"] == "front.end"
    assert opened.content["data"] == {"a": 1}
    assert opened.buffers == [b"raw"]
    assert list(listed.content["comms"]) == [opened.content["comm_id"]]
    assert [m.content["comm_id"] for m in closed] == [opened.content["comm_id"]]


def test_comm_message_for_nobody_is_harmless(client: Client) -> None:
    heard = comm(client, "comm_msg", {"comm_id": "nobody", "data": {}})
    heard += comm(client, "comm_close", {"comm_id": "nobody"})

    assert {m.type for m in heard} <= {"status", "stream"}
    assert client.evaluate("1 + 1") == 2


def test_output_of_a_comm_handler_belongs_to_the_comm_message(client: Client) -> None:
    client.execute(
        "from comm import get_comm_manager\n"
        "def talk(comm, message): print('handler speaks')\n"
        "get_comm_manager().register_target('talker', talk)"
    )
    heard = comm(
        client, "comm_open", {"comm_id": "t", "target_name": "talker", "data": {}}
    )

    said = "".join(m.content["text"] for m in heard if m.type == "stream")
    assert said == "handler speaks\n"
