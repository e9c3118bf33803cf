# SPDX-License-Identifier: MIT
"""In which order things are said, and what is left out: execute requests."""

from __future__ import annotations

import pytest

from tests.system.rawclient import TIMEOUT_S, Client, Run, merged


def states(run: Run) -> list[str]:
    return [m.content["execution_state"] for m in run.of("status")]


@pytest.mark.cellwall
def test_order_of_everything_an_execution_says(client: Client) -> None:
    run = client.execute(
        "import sys\n"
        "from IPython.display import display\n"
        "print('one')\n"
        "display(2)\n"
        "print('three', file=sys.stderr)\n"
        "print('four')\n"
        "5"
    )

    said = [
        (m.type, m.content.get("text") or m.content.get("data", {}).get("text/plain"))
        for m in merged(run.iopub)
        if m.type in ("stream", "display_data", "execute_result")
    ]
    assert said == [
        ("stream", "one\n"),
        ("display_data", "2"),
        ("stream", "three\n"),
        ("stream", "four\n"),
        ("execute_result", "5"),
    ]
    assert run.types()[:2] == ["status", "execute_input"]
    assert run.types()[-1] == "status"
    assert states(run) == ["busy", "idle"]


def test_execute_input_repeats_code_and_count(client: Client) -> None:
    before = client.execute("None").content["execution_count"]
    run = client.execute("  # a comment\n1 + 1")

    (said,) = run.of("execute_input")
    assert said.content["code"] == "  # a comment\n1 + 1"
    assert said.content["execution_count"] == before + 1
    assert run.content["execution_count"] == before + 1
    assert run.of("execute_result")[0].content["execution_count"] == before + 1


def test_ok_reply_has_every_field(client: Client) -> None:
    run = client.execute("1")

    assert run.reply.type == "execute_reply"
    assert run.content["status"] == "ok"
    assert run.content["user_expressions"] == {}
    assert run.content["payload"] == []
    assert run.reply.metadata["started"]


def test_error_reply_and_error_message_agree(client: Client) -> None:
    run = client.execute("print('before')\n1 / 0")

    assert run.content["status"] == "error"
    (error,) = run.of("error")
    assert error.content["ename"] == run.content["ename"] == "ZeroDivisionError"
    assert error.content["evalue"] == run.content["evalue"] == "division by zero"
    assert error.content["traceback"] == run.content["traceback"]
    assert run.types() == [
        "status",
        "execute_input",
        "stream",
        "error",
        "status",
    ]


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_every_request_is_framed_by_busy_and_idle(client: Client, channel: str) -> None:
    for msg_type, content in [
        ("kernel_info_request", {}),
        ("comm_info_request", {}),
        ("is_complete_request", {"code": "1"}),
        ("complete_request", {"code": "pri", "cursor_pos": 3}),
        ("inspect_request", {"code": "print", "cursor_pos": 3}),
        (
            "history_request",
            {"hist_access_type": "tail", "n": 1, "raw": True, "output": False},
        ),
    ]:
        if channel == "control" and msg_type != "kernel_info_request":
            continue
        run = client.request(msg_type, content, channel=channel)
        assert run.reply.type == msg_type.replace("_request", "_reply")
        assert run.content["status"] in ("ok", "complete")
        assert states(run) == ["busy", "idle"]
        assert run.types() == ["status", "status"]


# --- silent, store_history ------------------------------------------------------------


def test_silent_execution_says_nothing_and_counts_nothing(client: Client) -> None:
    before = client.execute("None").content["execution_count"]
    run = client.execute("silent_ran = 41 + 1; silent_ran", silent=True)

    assert run.types() == ["status", "status"]
    assert run.content["status"] == "ok"
    assert client.execute("None").content["execution_count"] == before + 1
    assert client.evaluate("silent_ran") == 42


def test_silent_empty_code_reads_the_counter(client: Client) -> None:
    before = client.execute("None").content["execution_count"]
    run = client.execute("", silent=True)

    assert run.content["status"] == "ok"
    assert run.content["execution_count"] in (before, before + 1)


def test_execution_without_history_is_shown_but_not_counted(client: Client) -> None:
    before = client.execute("None").content["execution_count"]
    run = client.execute("print('unstored'); 7", store_history=False)

    assert run.types()[:2] == ["status", "execute_input"]
    assert run.stream() == "unstored\n"
    assert run.result() == "7"
    assert client.execute("None").content["execution_count"] == before + 1
    tail = client.request(
        "history_request",
        {"hist_access_type": "tail", "n": 5, "raw": True, "output": False},
    )
    assert not any("unstored" in entry[2] for entry in tail.content["history"])


def test_error_in_silent_execution_is_replied(client: Client) -> None:
    run = client.execute("1 / 0", silent=True)

    assert run.content["status"] == "error"
    assert run.content["ename"] == "ZeroDivisionError"
    assert not run.of("execute_input", "execute_result")


# --- user expressions -----------------------------------------------------------------


def test_user_expressions_are_evaluated_each_for_itself(client: Client) -> None:
    run = client.execute(
        "ue = 20", user_expressions={"good": "ue + 1", "bad": "1 / 0", "odd": "(("}
    )

    told = run.content["user_expressions"]
    assert told["good"]["status"] == "ok"
    assert told["good"]["data"]["text/plain"] == "21"
    assert told["good"]["metadata"] == {}
    assert told["bad"]["status"] == "error"
    assert told["bad"]["ename"] == "ZeroDivisionError"
    assert told["odd"]["status"] == "error"
    assert told["odd"]["ename"] == "SyntaxError"
    assert run.content["status"] == "ok"
    assert not run.of("error")


def test_user_expressions_are_left_out_after_an_error(client: Client) -> None:
    run = client.execute("ue_never = 1; 1 / 0", user_expressions={"a": "ue_never"})

    assert run.content["status"] == "error"
    assert run.content["user_expressions"] == {}


# --- abort ----------------------------------------------------------------------------


def queue_behind_a_failure(client: Client, **failing: bool) -> list[str]:
    """Ids of: the failing cell, a cell, kernel_info, a comm_info, another cell."""
    first = client.start("import time; time.sleep(0.7); 1 / 0", **failing)
    return [
        first,
        client.start("queued = 1"),
        client.send("shell", "kernel_info_request"),
        client.send("shell", "comm_info_request", {}),
        client.send("shell", "is_complete_request", {"code": "1"}),
        client.start("queued = 2"),
    ]


def replies(client: Client, ids: list[str]) -> dict[str, dict]:
    got = {}
    while len(got) < len(ids):
        reply = client.receive("shell", TIMEOUT_S)
        got[reply.parent_id] = reply.content
    return got


def test_failure_aborts_the_queued_cells_and_nothing_else(client: Client) -> None:
    client.execute("queued = 0")
    count = client.execute("None").content["execution_count"]
    ids = queue_behind_a_failure(client)
    got = replies(client, ids)
    heard = {i: client.until_idle(i) for i in ids}

    assert got[ids[0]]["status"] == "error"
    for aborted in (ids[1], ids[5]):
        assert got[aborted]["status"] == "aborted"
        assert [m.type for m in heard[aborted]] == ["status", "status"]
    for served in ids[2:5]:
        assert got[served]["status"] in ("ok", "complete", "unknown")
    assert client.evaluate("queued") == 0
    assert client.execute("None").content["execution_count"] == count + 3


def test_without_stop_on_error_the_queue_goes_on(client: Client) -> None:
    client.execute("queued = 0")
    ids = queue_behind_a_failure(client, stop_on_error=False)
    got = replies(client, ids)
    for i in ids:
        client.until_idle(i)

    assert got[ids[0]]["status"] == "error"
    assert got[ids[1]]["status"] == got[ids[5]]["status"] == "ok"
    assert client.evaluate("queued") == 2


def test_failure_of_a_silent_cell_aborts_nothing(client: Client) -> None:
    client.execute("queued = 0")
    ids = queue_behind_a_failure(client, silent=True)
    got = replies(client, ids)
    for i in ids:
        client.until_idle(i)

    assert got[ids[5]]["status"] == "ok"
    assert client.evaluate("queued") == 2


def test_cell_sent_after_the_failure_was_told_is_executed(client: Client) -> None:
    assert client.execute("1 / 0").content["status"] == "error"
    assert client.execute("queued = 5").content["status"] == "ok"
    assert client.evaluate("queued") == 5


def test_requests_are_executed_in_the_order_sent(client: Client) -> None:
    client.execute("seen = []")
    ids = [client.start(f"seen.append({i})") for i in range(100)]
    assert [client.receive("shell").parent_id for _ in ids] == ids
    for i in ids:
        client.until_idle(i)

    assert client.evaluate("seen") == list(range(100))


# --- output of what comes later -------------------------------------------------------


@pytest.mark.cellwall
def test_output_of_a_thread_belongs_to_the_cell_that_started_it(client: Client) -> None:
    asked = client.start(
        "import threading\n"
        "go = threading.Event()\n"
        "def late():\n"
        "    go.wait()\n"
        "    print('late words', flush=True)\n"
        "thread = threading.Thread(target=late); thread.start()"
    )
    client.finish(asked)
    other = client.start("go.set(); thread.join()")
    heard = client.iopub_until(lambda m: "late words" in m.content.get("text", ""))
    client.kept = heard + client.kept

    (said,) = [m for m in heard if m.type == "stream"]
    assert said.parent_id == asked
    client.kept = [m for m in client.kept if m is not said]
    client.finish(other)


def test_output_of_many_lines_is_complete_and_in_order(client: Client) -> None:
    run = client.execute("for i in range(20000): print(i)")

    assert run.stream() == "".join(f"{i}\n" for i in range(20000))


@pytest.mark.cellwall
def test_streams_are_interleaved_as_written(client: Client) -> None:
    run = client.execute(
        "import sys\n"
        "for i in range(50):\n"
        "    print('o', i)\n"
        "    print('e', i, file=sys.stderr)"
    )

    assert run.output() == "".join(f"o {i}\ne {i}\n" for i in range(50))
