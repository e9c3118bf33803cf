# SPDX-License-Identifier: MIT
"""How a kernel starts, is interrupted, and ends; its transports and connection files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from tests.system.conftest import StartKernel, marked_processes, wait_for_no_process
from tests.system.rawclient import Client, KernelProcess, connection_info

Fresh = tuple[KernelProcess, Client]

# --- start ----------------------------------------------------------------------------


@pytest.mark.cellwall
def test_each_subscriber_is_welcomed_and_starting_is_said_once(
    start_kernel: StartKernel,
) -> None:
    kernel = start_kernel()
    with Client(kernel.info) as first, Client(kernel.info) as second:
        for c in (first, second):
            c.wait_ready()
        for c in (first, second):
            welcome = c.started_with[0]
            assert welcome.type == "iopub_welcome"
            assert welcome.content == {"subscription": ""}
            assert welcome.parent == {}
            assert welcome.header["session"]
        session = first.request("kernel_info_request").reply.header["session"]
        assert first.started_with[0].header["session"] == session
        starting = [
            m
            for m in first.started_with
            if m.content.get("execution_state") == "starting"
        ]
        assert len(starting) <= 1


@pytest.mark.cellwall
def test_late_subscriber_is_welcomed_first(fresh: Fresh) -> None:
    kernel, client = fresh
    client.execute("1")
    with Client(kernel.info) as late:
        assert late.receive("iopub").type == "iopub_welcome"


@pytest.mark.cellwall
def test_kernel_info_is_answered_before_the_interpreter_is_up(
    start_kernel: StartKernel,
) -> None:
    kernel = start_kernel()
    with Client(kernel.info) as c:
        asked = [c.start("first = 1"), c.send("shell", "kernel_info_request")]
        got = {m.parent_id: m for m in (c.receive("shell"), c.receive("shell"))}

        assert got[asked[0]].content["status"] == "ok"
        assert got[asked[1]].content["language_info"]["name"] == "python"
        assert got[asked[0]].content["execution_count"] == 1


def test_unknown_arguments_are_tolerated(start_kernel: StartKernel) -> None:
    kernel = start_kernel(extra=["--HistoryManager.hist_file=:memory:"])
    with Client(kernel.info) as c:
        c.wait_ready()
        assert c.evaluate("1 + 1") == 2


def test_working_directory_is_where_the_kernel_was_started(
    start_kernel: StartKernel, tmp_path: Path
) -> None:
    folder = tmp_path / "notebooks é"
    folder.mkdir()
    kernel = start_kernel(cwd=folder)
    with Client(kernel.info) as c:
        c.wait_ready()
        assert c.evaluate("import os; os.getcwd()") == str(folder)


# --- transports -----------------------------------------------------------------------


def test_ipc_transport(start_kernel: StartKernel, tmp_path: Path) -> None:
    ports = {f"{c}_port": i for i, c in enumerate(("shell", "control", "stdin"), 1)}
    info = connection_info(
        transport="ipc", ip=str(tmp_path / "k"), **ports, iopub_port=4, hb_port=5
    )
    kernel = start_kernel(info=info)
    with Client(info) as c:
        c.wait_ready()
        assert c.evaluate("1 + 1") == 2
        assert c.execute("print('ipc')").stream() == "ipc\n"
        c.hb.send(b"x")
        assert c.hb.poll(10_000)
    kernel.close()


def test_curve_transport(start_kernel: StartKernel) -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    info = connection_info(curve_publickey=public, curve_secretkey=secret)
    start_kernel(info=info)
    with Client(info) as c:
        c.wait_ready()
        assert c.evaluate("1 + 1") == 2
        assert c.execute("print('secret')").stream() == "secret\n"
    plain = {k: v for k, v in info.items() if not k.startswith("curve")}
    with Client(plain) as c:
        c.send("shell", "kernel_info_request")
        assert not c.shell.poll(500)


def test_ports_of_zero_are_chosen_and_written_back(start_kernel: StartKernel) -> None:
    names = ("shell", "control", "stdin", "hb", "iopub")
    info = connection_info(**{f"{n}_port": 0 for n in names})
    kernel = start_kernel(info=info)
    written = wait_for_ports(kernel)

    assert written["key"] == info["key"]
    assert len({written[f"{n}_port"] for n in names}) == 5
    assert kernel.file.stat().st_mode & 0o777 == 0o600
    with Client(written) as c:
        c.wait_ready()
        assert c.evaluate("1 + 1") == 2


def wait_for_ports(kernel: KernelProcess) -> dict:
    import time

    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            written = json.loads(kernel.file.read_text())
            if all(v for k, v in written.items() if k.endswith("_port")):
                return written
        except json.JSONDecodeError:
            pass  # read while it was being written
        assert kernel.alive(), kernel.stderr()
        time.sleep(0.02)
    raise AssertionError("no ports were written")


# --- connection files -----------------------------------------------------------------

BAD_FILES = {
    "empty": b"",
    "no_json": b"{",
    "a_list": b"[]",
    "nothing_in_it": b"{}",
    "binary": bytes(range(256)),
    "too_large": b'{"x": "' + b"y" * 10_000_000 + b'"}',
}


def refused(argv: list[str], path: Path) -> str:
    """The one line that a kernel says which does not start."""
    command = [a.replace("{connection_file}", str(path)) for a in argv]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 125, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert done.stdout == ""
    return lines[0]


@pytest.mark.cellwall
@pytest.mark.parametrize("data", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_connection_file_is_refused_in_one_line(
    kernel_argv: list[str], tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(data)

    assert "bad.json" in refused(kernel_argv, path)


@pytest.mark.cellwall
def test_missing_connection_file_is_refused_in_one_line(
    kernel_argv: list[str], tmp_path: Path
) -> None:
    assert "missing.json" in refused(kernel_argv, tmp_path / "missing.json")


@pytest.mark.cellwall
@pytest.mark.parametrize(
    "changes",
    [
        {"shell_port": 70_000},
        {"shell_port": -1},
        {"hb_port": "many"},
        {"transport": "udp"},
        {"signature_scheme": "hmac-rot13"},
        {"signature_scheme": "plain"},
        {"ip": "not an address"},
        {"ip": 5},
        {"key": 5},
        {"curve_publickey": "x" * 40},
        {"curve_publickey": "short", "curve_secretkey": "short"},
    ],
    ids=str,
)
def test_connection_file_with_a_bad_field_is_refused_in_one_line(
    kernel_argv: list[str], tmp_path: Path, changes: dict
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(connection_info(**changes)))

    assert refused(kernel_argv, path)


@pytest.mark.cellwall
def test_port_in_use_is_refused_in_one_line(
    kernel_argv: list[str], tmp_path: Path
) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = tmp_path / "taken.json"
        port = taken.getsockname()[1]
        path.write_text(json.dumps(connection_info(control_port=port)))

        assert str(port) in refused(kernel_argv, path)


# --- interrupts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(1000)",
        "import subprocess; subprocess.run(['sleep', '1000'])",
        pytest.param(
            "import asyncio; await asyncio.sleep(1000)", marks=pytest.mark.cellwall
        ),
        "import threading; threading.Event().wait()",
    ],
)
def test_interrupt_stops_code_and_keeps_variables(client: Client, code: str) -> None:
    client.execute("kept = 'this'")
    asked = client.start(f"print('started', flush=True)\n{code}")
    client.until_text("started")
    reply = client.request("interrupt_request", channel="control")
    run = client.finish(asked)

    assert reply.content["status"] == "ok"
    assert run.content["status"] == "error"
    assert run.content["ename"] in ("KeyboardInterrupt", "CancelledError")
    assert client.evaluate("kept") == "this"


def test_sigint_to_the_kernel_is_an_interrupt(fresh: Fresh) -> None:
    kernel, client = fresh
    asked = client.start("kept = 1\nprint('started')\nwhile True: pass")
    client.until_text("started")
    kernel.signal(signal.SIGINT)
    run = client.finish(asked)

    assert run.content["ename"] == "KeyboardInterrupt"
    assert client.evaluate("kept") == 1


def test_interrupt_while_nothing_runs_changes_nothing(client: Client) -> None:
    client.execute("kept = 2")
    for _ in range(20):
        reply = client.request("interrupt_request", channel="control")
        assert reply.content["status"] == "ok"
        assert client.evaluate("kept") == 2


# --- end ------------------------------------------------------------------------------


def own_processes() -> set[int]:
    return set(marked_processes())


@pytest.mark.cellwall
@pytest.mark.parametrize("channel", ["control", "shell"])
@pytest.mark.parametrize("restart", [False, True])
def test_shutdown_is_replied_and_nothing_stays(
    start_kernel: StartKernel, restart: bool, channel: str
) -> None:
    before = own_processes()
    kernel = start_kernel()
    with Client(kernel.info) as c:
        c.wait_ready()
        c.execute("import subprocess; subprocess.Popen(['sleep', '1000'])")
        asked = c.send(channel, "shutdown_request", {"restart": restart})
        reply = c.reply_to(channel, asked)
        heard = c.iopub_until(lambda m: m.type == "shutdown_reply")

        assert reply.content == {"status": "ok", "restart": restart}
        assert heard[-1].content["restart"] is restart
        assert kernel.wait() == 0
    assert wait_for_no_process(before) == {}


@pytest.mark.cellwall
def test_shutdown_ends_a_busy_kernel(fresh: Fresh) -> None:
    kernel, client = fresh
    client.start("print('started')\nwhile True:\n  try: pass\n  except: pass")
    client.until_text("started")
    client.send("control", "shutdown_request", {"restart": False})

    assert kernel.wait() == 0


def test_sigterm_ends_kernel_and_all_its_processes(start_kernel: StartKernel) -> None:
    before = own_processes()
    kernel = start_kernel()
    with Client(kernel.info) as c:
        c.wait_ready()
        c.start(
            "import subprocess\n"
            "subprocess.Popen(['sh', '-c', 'trap \"\" TERM INT HUP; sleep 1000'])\n"
            "print('started')\n"
            "while True: pass"
        )
        c.until_text("started")
        kernel.signal(signal.SIGTERM)
        kernel.wait()
    if "ipykernel" not in " ".join(kernel.process.args):
        assert wait_for_no_process(before) == {}
    else:  # the reference leaves it behind: do not let it stay
        for pid in own_processes() - before:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.cellwall
def test_killed_kernel_takes_all_its_processes_along(start_kernel: StartKernel) -> None:
    before = own_processes()
    kernel = start_kernel()
    with Client(kernel.info) as c:
        c.wait_ready()
        c.execute(
            "import subprocess\n"
            "subprocess.Popen(['sleep', '1000'], start_new_session=True)"
        )
        kernel.signal(signal.SIGKILL)
        kernel.wait()
    assert wait_for_no_process(before) == {}


def test_kernel_ends_when_its_parent_does(kernel_argv: list[str], tmp_path: Path) -> None:
    before = own_processes()
    info = connection_info()
    path = tmp_path / "parent.json"
    path.write_text(json.dumps(info))
    command = [a.replace("{connection_file}", str(path)) for a in kernel_argv]
    program = (
        "import os, subprocess, sys\n"
        "os.environ['JPY_PARENT_PID'] = str(os.getpid())\n"
        "subprocess.Popen(sys.argv[1:], start_new_session=True,\n"
        "                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,\n"
        "                 stderr=subprocess.DEVNULL)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, *command], stdin=subprocess.PIPE, cwd=tmp_path
    )
    with Client(info) as c:
        c.wait_ready()
        assert c.evaluate("1 + 1") == 2
        parent.stdin.close()
        parent.wait()
    assert wait_for_no_process(before) == {}


@pytest.mark.cellwall
def test_connection_file_is_left_to_who_made_it(fresh: Fresh) -> None:
    kernel, client = fresh
    client.send("control", "shutdown_request", {"restart": False})
    kernel.wait()

    assert json.loads(kernel.file.read_text()) == kernel.info


@pytest.mark.cellwall
def test_a_kernel_says_nothing_on_its_own_output(fresh: Fresh) -> None:
    kernel, client = fresh
    client.execute("print('to the client'); import os; os.system('echo too')")
    client.send("control", "shutdown_request", {"restart": False})
    kernel.wait()

    assert "client" not in kernel.stderr()
    assert "too" not in kernel.stderr()
