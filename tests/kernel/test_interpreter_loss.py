# SPDX-License-Identifier: MIT
"""What a front end is told when an interpreter ends, on the example runtime.

CELLWALL names the binary under test (default: build/asan/cellwall).
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.rawclient import Client, KernelProcess, Message

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("CELLWALL", ROOT / "build/asan/cellwall")).resolve()
ARGV = [str(BINARY), "kernel", "-f", "{connection_file}", "--runtime"]

Start = Callable[..., KernelProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[KernelProcess] = []

    def start_one(*extra: str, runtime: str = "example", **kw: object) -> KernelProcess:
        kernel = KernelProcess([*ARGV, runtime, *extra], tmp_path, **kw)
        started.append(kernel)
        return kernel

    yield start_one
    for kernel in started:
        kernel.close()


@pytest.fixture
def client(start: Start) -> Iterator[Client]:
    with Client(start().info) as c:
        c.wait_ready()
        yield c


def reason(message: Message) -> dict[str, object]:
    return message.metadata["cellwall"]["reason"]


def runner_of(kernel: KernelProcess) -> int:
    """Process id, as seen here, of the one example runner below KERNEL."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # it has just ended
        names[int(entry.name)] = stat[stat.index("(") + 1 : stat.rindex(")")]
        parents[int(entry.name)] = int(stat[stat.rindex(")") + 2 :].split()[1])

    def is_below(pid: int) -> bool:
        while pid in parents and pid != kernel.pid:
            pid = parents[pid]
        return pid == kernel.pid

    runners = [p for p, n in names.items() if n == "example-runner" and is_below(p)]
    assert len(runners) == 1, runners
    return runners[0]


def test_a_signal_is_told_by_name_and_a_fresh_interpreter_follows(client: Client) -> None:
    client.execute("set a 1")
    run = client.execute("signal 11")
    error = run.of("error")[0]

    assert run.types() == ["status", "execute_input", "error", "status"]
    assert run.content["status"] == "error"
    assert run.content["ename"] == error.content["ename"] == "SegmentationFault"
    assert "signal 11" in error.content["evalue"]
    assert "epoch 2" in error.content["traceback"][-1]
    assert reason(run.reply)["kind"] == "crashed"
    assert reason(run.reply)["signal"] == 11
    assert reason(run.reply)["state"] == "lost"
    assert run.reply.metadata["cellwall"]["context"]["epoch"] == 1

    again = client.execute("get a")
    assert again.content["ename"] == "NameError"
    assert again.content["execution_count"] == 1
    assert again.reply.metadata["cellwall"]["context"]["epoch"] == 2


def test_an_exit_status_is_told(client: Client) -> None:
    run = client.execute("exit 3")

    assert run.content["ename"] == "KernelDied"
    assert "status 3" in run.content["evalue"]
    assert reason(run.reply)["exit_status"] == 3


def test_its_last_words_are_quoted(client: Client) -> None:
    client.execute("rawerr out of cheese")
    run = client.execute("signal 9")

    assert any("out of cheese" in line for line in run.content["traceback"])


def test_cells_that_wait_are_aborted_by_a_death(start: Start) -> None:
    kernel = start()
    with Client(kernel.info) as c:
        c.wait_ready()
        c.execute("print 0")  # the interpreter is up
        asked = [c.start(code) for code in ("block", "print 1", "print 2")]
        c.reply_to("shell", c.send("shell", "kernel_info_request"))  # all have come
        os.kill(runner_of(kernel), signal.SIGKILL)
        runs = [c.finish(i) for i in asked]

        assert [r.content["status"] for r in runs] == ["error", "aborted", "aborted"]
        assert runs[1].types() == runs[2].types() == ["status", "status"]
        assert c.execute("print 3").stream() == "3\n"


def test_comms_of_a_dead_interpreter_are_closed(client: Client) -> None:
    client.execute("comm one")
    client.execute("comm two")
    assert len(client.request("comm_info_request").content["comms"]) == 2
    run = client.execute("exit 0")

    closed = {m.content["comm_id"] for m in run.of("comm_close")}
    assert closed == {"one", "two"}
    assert client.request("comm_info_request").content["comms"] == {}


def test_a_death_between_two_cells_is_told(start: Start) -> None:
    kernel = start()
    with Client(kernel.info) as c:
        c.wait_ready()
        c.execute("set a 1")
        os.kill(runner_of(kernel), signal.SIGKILL)
        error = c.iopub_until(lambda m: m.type == "error")[-1]

        assert error.content["ename"] == "KernelDied"
        assert c.execute("get a").content["ename"] == "NameError"


def test_die_with_child_ends_the_kernel_after_it_has_told_why(start: Start) -> None:
    kernel = start("--die-with-child")
    with Client(kernel.info) as c:
        c.wait_ready()
        run = c.execute("signal 11")

        assert run.content["ename"] == "SegmentationFault"
        assert "ends with it" in run.content["traceback"][-1]
        assert kernel.wait() == 1


def test_an_interpreter_that_cannot_be_started_is_told(
    start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "runtimes/broken"
    folder.mkdir(parents=True)
    (folder / "runtime.json").write_text(
        json.dumps(
            {
                "name": "broken",
                "display_name": "Broken",
                "language": "none",
                "argv": ["{runtime}/no-such-runner"],
                "spawner": "launcher",
                "language_info": {"name": "none"},
            }
        )
    )
    env = {"CELLWALL_RUNTIMES": str(folder.parent)}
    kernel = start(runtime="broken", env=env)
    with Client(kernel.info) as c:
        c.wait_ready()
        run = c.execute("print 1")

        assert run.content["status"] == "error"
        assert run.content["ename"] == "KernelStartFailed"
        assert run.of("error")
        assert reason(run.reply)["kind"] == "start"
        assert c.request("kernel_info_request").content["status"] == "ok"


def test_code_that_ignores_an_interrupt_is_told_about(client: Client) -> None:
    asked = client.start("stubborn")
    client.iopub_until(lambda m: m.content.get("text") == "stubborn\n")
    client.send("control", "interrupt_request")
    told = client.iopub_until(lambda m: m.content.get("name") == "stderr")[-1]

    assert told.parent_id == asked
    assert "restart" in told.content["text"].lower()


def test_what_was_left_out_of_an_output_is_counted(client: Client) -> None:
    run = client.execute("flood 80000000", timeout=120)
    cut = run.reply.metadata["cellwall"]["truncated"]["stdout"]

    assert cut["total_bytes"] >= 80_000_000
    assert cut["kept_bytes"] < cut["total_bytes"]
    assert "stderr" not in run.reply.metadata["cellwall"]["truncated"]


def test_all_front_ends_hear_of_a_death(start: Start) -> None:
    kernel = start()
    with Client(kernel.info) as first, Client(kernel.info) as second:
        first.wait_ready()
        second.wait_ready()
        asked = first.start("signal 11")
        first.finish(asked)
        heard = second.until_idle(asked)

        assert [m.type for m in heard] == ["status", "execute_input", "error", "status"]
