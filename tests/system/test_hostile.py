# SPDX-License-Identifier: MIT
"""Code that means harm: it may end its own interpreter, never the kernel.

After each of these the same kernel process answers, whatever became of the variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import StartKernel
from tests.system.rawclient import Client, KernelProcess, Run

pytestmark = pytest.mark.cellwall

MIB = 1024 * 1024
# Sanitizers keep freed memory for a while; without them it is a tenth of this.
SERVER_MEMORY_MAX = 400 * MIB
OUTPUT_MAX = 64 * MIB  # well above the budget of one execution


def peak_memory(pid: int) -> int:
    """The largest resident set of process PID so far, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.fixture
def alive(shared_kernel: KernelProcess, client: Client) -> Iterator[Client]:
    """A client; the kernel must live and answer when the test is over."""
    pid = shared_kernel.pid
    yield client
    # An interpreter that the test wounded may end with the next cell, and no later.
    client.execute("None")
    assert client.evaluate("1 + 1") == 2
    assert shared_kernel.alive()
    assert shared_kernel.pid == pid


def assert_lost(run: Run, *words: str) -> None:
    """The run ended with its interpreter, and a sentence says why."""
    assert run.content["status"] == "error"
    (error,) = run.of("error")
    assert error.content["ename"] == run.content["ename"]
    text = run.content["evalue"] + "\n".join(run.content["traceback"])
    for word in words:
        assert word in text, text


# --- output ---------------------------------------------------------------------------


def test_a_gigabyte_of_output_leaves_the_server_small(
    shared_kernel: KernelProcess, alive: Client
) -> None:
    run = alive.execute(
        "line = 'x' * 9_999\nfor i in range(100_000): print(line)", timeout=150
    )
    text = run.stream()

    assert run.content["status"] == "ok"
    assert 1 * MIB < len(text) < OUTPUT_MAX
    assert peak_memory(shared_kernel.pid) < SERVER_MEMORY_MAX


def test_a_gigabyte_from_a_subprocess_leaves_the_server_small(
    shared_kernel: KernelProcess, alive: Client
) -> None:
    run = alive.execute("!head -c 1000000000 /dev/zero", timeout=150)

    assert len(run.stream()) < OUTPUT_MAX
    assert peak_memory(shared_kernel.pid) < SERVER_MEMORY_MAX


def test_what_was_left_out_of_the_output_is_told(alive: Client) -> None:
    run = alive.execute(
        "print('first line')\nprint('y' * 50_000_000)\nprint('last line')"
    )
    text = run.stream()

    assert text.startswith("first line\n")
    assert text.endswith("last line\n")
    assert len(text) < OUTPUT_MAX
    assert (
        run.reply.metadata["cellwall"]["truncated"]["stdout"]["total_bytes"] >= 50_000_000
    )


def test_a_hundred_megabytes_in_one_display(
    shared_kernel: KernelProcess, alive: Client
) -> None:
    run = alive.execute(
        "from IPython.display import display\n"
        "display({'text/plain': 'z' * 100_000_000}, raw=True)",
        timeout=120,
    )

    assert run.content["status"] in ("ok", "error")
    for shown in run.of("display_data"):
        assert len(shown.content["data"]["text/plain"]) == 100_000_000
    assert peak_memory(shared_kernel.pid) < 2048 * MIB


def test_odd_bytes_in_output(alive: Client) -> None:
    run = alive.execute(
        "import os, sys\n"
        "os.write(1, b'a\\0b\\n')\n"
        "os.write(1, b'\\xff\\xfe\\n')\n"
        "os.write(1, b'\\xc3'); os.write(1, b'\\xa9\\n')\n"
        "os.write(2, bytes(range(256)))\n"
        "print('\\ud800 lone')\n"
        "print('end')"
    )

    assert "a\0b\n" in run.stream()
    assert "\ufffd" in run.stream()
    assert "é\n" in run.stream()
    assert run.stream().endswith("end\n")


def test_lone_surrogates_everywhere(alive: Client) -> None:
    for code in (
        "'\\ud800'",
        "raise ValueError('\\udfff')",
        "display('\\ud83d')",
        "from IPython.display import JSON; JSON({'\\ud800': '\\udc00'})",
    ):
        assert alive.execute(code).content["status"] in ("ok", "error")


def test_strange_mime_bundles(alive: Client) -> None:
    for bundle in (
        "{'text/plain': object()}",
        "{'text/plain': float('nan')}",
        "{'no mime': 'x'}",
        "{5: 'x'}",
        "{'text/plain': b'bytes'}",
        "{'application/json': {'a': float('inf')}}",
    ):
        alive.execute(f"display({bundle}, raw=True)")
        assert alive.evaluate("1 + 1") == 2


# --- ends of the interpreter ----------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os._exit(1)", ["1"]),
        ("import os; os._exit(0)", []),
        ("import os; os.kill(os.getpid(), 11)", ["signal 11"]),
        ("import os; os.kill(os.getpid(), 9)", ["signal 9"]),
        ("import os; os.abort()", ["signal 6"]),
        ("import ctypes; ctypes.string_at(0)", ["signal 11"]),
        ("import os; os.execv('/bin/true', ['true'])", []),
    ],
)
def test_end_of_the_interpreter_is_told_and_a_fresh_one_comes(
    alive: Client, code: str, words: list[str]
) -> None:
    alive.execute("before = 1")
    run = alive.execute(f"print('last words', flush=True)\n{code}")

    assert_lost(run, *words)
    assert run.stream() == "last words\n"
    assert alive.evaluate("'before' in globals()") is False


def test_cells_queued_behind_a_crash_are_answered(alive: Client) -> None:
    ids = [alive.start("import os; input(); os._exit(3)", allow_stdin=True)]
    ids += [alive.start(f"never_{i} = 1") for i in range(5)]
    alive.receive("stdin")
    alive.reply_to("shell", alive.send("shell", "kernel_info_request"))  # all have come
    alive.send("stdin", "input_reply", {"value": ""})
    got = {m.parent_id: m.content for m in (alive.receive("shell") for _ in ids)}
    for i in ids:
        alive.until_idle(i)

    assert got[ids[0]]["status"] == "error"
    assert {got[i]["status"] for i in ids[1:]} == {"aborted"}


def test_crash_while_input_is_waited_for(
    shared_kernel: KernelProcess, alive: Client
) -> None:
    asked = alive.start(
        "import os, threading, time\n"
        "def die():\n"
        "    while not os.path.exists('die'): time.sleep(0.01)\n"
        "    os._exit(5)\n"
        "threading.Thread(target=die).start()\n"
        "input('?')",
        allow_stdin=True,
    )
    alive.receive("stdin")
    (shared_kernel.file.parent / "die").touch()
    assert_lost(alive.finish(asked))
    alive.send("stdin", "input_reply", {"value": "too late"})


def test_crash_between_cells(alive: Client) -> None:
    alive.execute(
        "import os, threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), os._exit(1))).start()"
    )
    alive.execute("import time; time.sleep(1)")


def test_memory_without_end(alive: Client) -> None:
    run = alive.execute(
        "hog = []\n"
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "while True: hog.append(bytearray(2**24))",
        timeout=60,
    )

    assert run.content["status"] == "error"
    alive.execute("hog = None; import os; os._exit(0)")


# --- closed and forged channels -------------------------------------------------------


def test_closing_the_standard_fds_and_the_next(alive: Client) -> None:
    alive.execute("kept = 1")
    run = alive.execute("import os; os.closerange(0, 100); print('lost?')")
    assert run.content["status"] == "ok"
    assert run.stream() == "lost?\n"
    assert alive.evaluate("kept") == 1
    assert alive.execute("print('again')").stream() == "again\n"
    assert alive.execute("!echo and from a child").stream() == "and from a child\n"


def test_closing_every_fd(alive: Client) -> None:
    asked = alive.start("import os; os.closerange(0, 100000)")
    run = alive.finish(asked)

    assert run.content["status"] in ("ok", "error")


def test_standard_streams_replaced_or_deleted(alive: Client) -> None:
    for code in (
        "import sys; sys.stdout = None",
        "import sys; sys.stdout = open('/dev/null', 'w')",
        "import sys; del sys.stderr",
        "import sys; sys.stdin.close()",
        "import sys; sys.stdout.close()",
        "import builtins; builtins.print = None",
        "import os; os.dup2(os.open('/dev/null', os.O_RDWR), 1)",
    ):
        alive.execute(code)
        assert alive.evaluate("1 + 1") == 2, code
    alive.execute("import os; os._exit(0)")


@pytest.mark.parametrize(
    "data",
    [
        "b''",
        "b'garbage'",
        "bytes(48)",
        "b'\\xff' * 48",
        "b'\\x01' + bytes(range(47))",
        "bytes([1, 13]) + bytes(46)",
        "bytes([1, 14, 0, 0]) + b'\\xff' * 44",
        "b'\\0' * 100000",
    ],
)
def test_forged_packets_on_the_channel_end_their_own_context_only(
    alive: Client, data: str
) -> None:
    run = alive.execute(
        "import os, socket, stat\n"
        "sent = 0\n"
        "for fd in range(3, 1024):\n"
        "    try:\n"
        "        if stat.S_ISSOCK(os.fstat(fd).st_mode):\n"
        f"            s = socket.socket(fileno=os.dup(fd)); s.send({data}); sent += 1\n"
        "    except OSError: pass"
    )

    assert run.content["status"] in ("ok", "error")


def test_marker_bytes_in_output_do_not_confuse_the_order(alive: Client) -> None:
    run = alive.execute(
        "import os\n"
        "for i in range(1000):\n"
        "    os.write(1, os.urandom(24) + b'.'); os.write(2, bytes(24))\n"
        "print('the end')"
    )

    assert run.stream().endswith("the end\n")


# --- time, processes, disk ------------------------------------------------------------

STUBBORN = (
    "import signal\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
    "print('started', flush=True)\n"
    "sum(range(10**13))"
)


def test_loop_that_ignores_interrupts_is_told_and_restart_works(
    start_kernel: StartKernel,
) -> None:
    kernel = start_kernel()
    with Client(kernel.info) as c:
        c.wait_ready()
        asked = c.start(STUBBORN)
        c.until_text("started\n")
        reply = c.request("interrupt_request", channel="control")
        assert reply.content["status"] == "ok"
        notice = c.iopub_until(lambda m: m.type == "stream")[-1]
        assert notice.parent_id == asked
        assert notice.content["name"] == "stderr"
        assert "restart" in notice.content["text"].lower()
        assert c.request("kernel_info_request").content["status"] == "ok"
        c.send("control", "shutdown_request", {"restart": True})
        assert kernel.wait() == 0


def test_code_that_catches_every_interrupt_is_told(start_kernel: StartKernel) -> None:
    kernel = start_kernel()
    with Client(kernel.info) as c:
        c.wait_ready()
        c.start(
            "told = False\n"
            "while True:\n"
            "    try:\n"
            "        if not told: told = True; print('started', flush=True)\n"
            "        while True: pass\n"
            "    except BaseException: pass"
        )
        c.until_text("started")
        c.request("interrupt_request", channel="control")
        c.iopub_until(lambda m: "restart" in m.content.get("text", "").lower())


def test_fork_bomb_is_bounded(kernel_argv: list[str], tmp_path: Path) -> None:
    argv = [*kernel_argv, "--limits", "processes=512"]
    with KernelProcess(argv, tmp_path) as kernel, Client(kernel.info) as client:
        client.wait_ready()
        run = client.execute(
            "import os\n"
            "made = 0\n"
            "try:\n"
            "    for made in range(100_000):\n"
            "        if os.fork() == 0:\n"
            "            import time; time.sleep(1000); os._exit(0)\n"
            "except OSError as e:\n"
            "    print(made, e)",
            timeout=120,
        )

        assert 400 < int(run.output().split()[0]) < 512
        client.execute("import os; os._exit(0)", timeout=60)
        assert client.evaluate("1 + 1") == 2


def test_threads_without_end(alive: Client) -> None:
    alive.execute(
        "import threading, time\n"
        "try:\n"
        "    for _ in range(100_000):\n"
        "        threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "except RuntimeError as e: print(e)\n"
        "import os; os._exit(0)",
        timeout=120,
    )


def test_disk_of_the_sandbox_is_bounded(alive: Client) -> None:
    run = alive.execute(
        "written = 0\n"
        "try:\n"
        "    with open('/tmp/fill', 'wb') as f:\n"
        "        while written < 20_000: f.write(bytes(2**20)); written += 1\n"
        "except OSError as e: print('refused', e)\n"
        "import os; os.unlink('/tmp/fill')",
        timeout=150,
    )

    assert "refused" in run.output()


def test_signals_at_everything_in_sight(alive: Client) -> None:
    alive.execute("import os, signal; os.kill(-1, signal.SIGKILL)")
    assert alive.evaluate("1 + 1") == 2
    alive.execute("import os, signal; os.kill(1, signal.SIGKILL)")
    assert alive.evaluate("1 + 1") == 2
    alive.execute("import os, signal; os.killpg(0, signal.SIGTERM)")


# --- clients --------------------------------------------------------------------------


def test_client_that_floods_with_requests_is_served_or_refused(
    shared_kernel: KernelProcess, alive: Client
) -> None:
    with Client(shared_kernel.info) as other:
        other.wait_ready()
        asked = {other.start("None", store_history=False) for _ in range(3000)}
        got = [other.receive("shell").parent_id for _ in asked]

        assert set(got) == asked
    assert peak_memory(shared_kernel.pid) < 2048 * MIB


def test_client_that_leaves_while_a_cell_floods(
    shared_kernel: KernelProcess, alive: Client
) -> None:
    with Client(shared_kernel.info) as other:
        other.wait_ready()
        other.start("for i in range(100_000): print('flood', i)")
        other.until_text("flood")
    alive.execute("None", timeout=150)  # its turn comes when the flood is over


def test_comm_messages_of_every_size(alive: Client) -> None:
    for size in (0, 1, 2**16, 2**20, 30 * 2**20):
        asked = alive.send(
            "shell", "comm_msg", {"comm_id": "x", "data": {}}, buffers=[bytes(size)] * 2
        )
        alive.until_idle(asked)
