# SPDX-License-Identifier: MIT
"""Interrupts of the Python runtime, sent as the server sends them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.conftest import Source
from tests.runtimes.framelib import Frame, Outcome, Raw, Runner

STARTED = "print('started', flush=True)\n"
WHEN_UP = """
import os, threading, time
def tell():
    while not os.path.exists('up'): time.sleep(0.01)
    print('started')
threading.Thread(target=tell).start()
"""


def wait_for_text(runner: Runner, word: str) -> list[Frame | Raw]:
    """What the runner sends until it has printed WORD."""
    items: list[Frame | Raw] = []
    text = ""
    for item in runner.items():
        items.append(item)
        if isinstance(item, Frame) and item.type == "stream":
            text += item.text
        if word in text:
            return items
    raise AssertionError("the runner ended")


def interrupt_when_started(runner: Runner, code: str, **options: Any) -> Outcome:
    """Runs CODE, which prints "started", and interrupts it then."""
    number = runner.begin_run(code, **options)
    items = wait_for_text(runner, "started")
    runner.interrupt()
    outcome = runner.finish(number)
    outcome.items[:0] = items
    return outcome


LONG = {
    "loop": STARTED + "while True: pass",
    "sleep": "import time\n" + STARTED + "time.sleep(600)",
    "lock": "import threading\nlock = threading.Lock(); lock.acquire()\n"
    + STARTED
    + "lock.acquire()",
    "queue": "import queue\n" + STARTED + "queue.Queue().get()",
    "event": "import threading\n" + STARTED + "threading.Event().wait()",
    "join": "import threading, time\n"
    "t = threading.Thread(target=time.sleep, args=(600,), daemon=True); t.start()\n"
    + STARTED
    + "t.join()",
    "await": "import asyncio\n" + STARTED + "await asyncio.sleep(600)",
    "gather": "import asyncio\n"
    + STARTED
    + "await asyncio.gather(asyncio.sleep(600), asyncio.sleep(600))",
    "loop in coroutine": "import asyncio\nasync def f():\n"
    "    await asyncio.sleep(0)\n    print('started')\n    while True: pass\nawait f()",
    "loop in task": "import asyncio\nasync def f():\n"
    "    print('started')\n    while True: pass\nawait asyncio.create_task(f())",
    "subprocess": "import subprocess\n" + STARTED + "subprocess.run(['sleep', '600'])",
    "shell command": STARTED + "!sleep 600",
    "shell output": STARTED + "x = !sleep 600",
    "stubborn command": WHEN_UP + "!trap '' INT; touch up; sleep 600",
    "bash": STARTED + "get_ipython().run_cell_magic('bash', '', 'sleep 600')",
    "print flood": STARTED + "while True: print('x' * 100)",
    "regular expression": "import re\n" + STARTED + "re.match(r'(a+)+$', 'a' * 40 + 'b')",
}


@pytest.mark.parametrize("name", LONG)
def test_long_code_ends_and_variables_stay(runner: Runner, name: str) -> None:
    runner.run("kept = 1")
    outcome = interrupt_when_started(runner, LONG[name])
    assert outcome.status == "error"
    assert outcome.interrupted
    assert len(outcome.frames("error")) == 1
    assert runner.run("kept").result["text/plain"] == "1"


def test_an_interrupt_just_before_a_wait_ends_it(source: Source, tmp_path: Path) -> None:
    """Python has looked for signals, and what it calls does not wait yet. The cell is the
    first, sent at once: a fork on a busy machine has not rehearsed by then."""
    runner = Runner(source, cwd=tmp_path)
    # Of two signals, the handler of the first is entered first, and goes on last.
    number = runner.begin_run(
        "import ctypes, signal, threading\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.signal(signal.SIGHUP, libc.pause)\n"
        "both = [signal.SIGHUP, signal.SIGINT]\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, both)\n"
        "for number in both:\n"
        "    signal.pthread_kill(threading.get_ident(), number)\n"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, both)\n"
    )
    runner.hello()
    outcome = runner.finish(number)
    assert outcome.interrupted
    assert len(outcome.frames("error")) == 1
    assert runner.run("6 * 7").result["text/plain"] == "42"
    runner.close()


TELLS = "def forever():\n    print('started')\n    while True: pass"


def test_long_callback_can_be_interrupted(runner: Runner) -> None:
    runner.run(TELLS)
    code = "get_ipython().events.register('post_execute', forever)"
    outcome = interrupt_when_started(runner, code)
    assert outcome.interrupted
    assert outcome.error.content["ename"] == "KeyboardInterrupt"
    outcome = runner.run("get_ipython().events.unregister('post_execute', forever)")
    assert outcome.status == "ok"


def test_long_user_expression_can_be_interrupted(runner: Runner) -> None:
    runner.run(TELLS)
    asked = {"long": "forever()", "short": "1"}
    outcome = interrupt_when_started(runner, "", user_expressions=asked)
    found = outcome.reply.content["user_expressions"]
    assert found["long"]["ename"] == "KeyboardInterrupt"
    assert found["short"]["status"] == "ok"


def test_interrupted_system_call_of_c_ends_its_command(runner: Runner) -> None:
    code = WHEN_UP + "print('code', os.system('touch up; exec sleep 600'))"
    assert "code" in interrupt_when_started(runner, code).stdout


def test_traceback_shows_where_the_interrupt_hit(runner: Runner) -> None:
    outcome = interrupt_when_started(
        runner, WHEN_UP + "open('up', 'w').close()\nwhile True: pass"
    )
    text = "\n".join(outcome.error.content["traceback"])
    assert "while" in text
    assert "cellwall_runner" not in text
    assert outcome.error.content["ename"] == "KeyboardInterrupt"


def test_interrupted_await_cancels_what_it_waits_for(runner: Runner) -> None:
    outcome = interrupt_when_started(
        runner,
        "import asyncio\n"
        "async def f():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    try: loop.call_soon(print, 'started'); await asyncio.sleep(600)\n"
        "    except asyncio.CancelledError: print('cancelled'); raise\n"
        "await f()",
    )
    assert "cancelled" in outcome.stdout
    assert outcome.error.content["ename"] == "KeyboardInterrupt"
    assert outcome.interrupted
    assert (
        runner.run("await asyncio.sleep(0.001, 'fine')").result["text/plain"] == "'fine'"
    )


def test_interrupt_just_before_a_cell_begins_to_wait_is_delivered(runner: Runner) -> None:
    outcome = runner.run(
        "import asyncio, signal, sys\n"
        "def trace(frame, event, arg):\n"
        "    sys.settrace(None)\n"
        "    frame.f_trace = None\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "async def f():\n"
        "    frame = sys._getframe()\n"
        "    while frame.f_code.co_name != '_steps': frame = frame.f_back\n"
        "    frame.f_trace = trace\n"
        "    sys.settrace(lambda *_: None)\n"
        "    await asyncio.sleep(600)\n"
        "await f()"
    )
    assert outcome.interrupted
    assert outcome.error.content["ename"] == "KeyboardInterrupt"
    assert runner.run("await asyncio.sleep(0, 1)").result["text/plain"] == "1"


def test_interrupt_that_hits_another_thread_wakes_the_main_one(runner: Runner) -> None:
    outcome = runner.run(
        "import os, signal, threading, time\n"
        "def is_asleep():\n"
        "    with open(f'/proc/self/task/{os.getpid()}/wchan') as file:\n"
        "        return 'nanosleep' in file.read()\n"
        "def hit():\n"
        "    while not is_asleep(): pass\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "threading.Thread(target=hit).start()\n"
        "time.sleep(600)"
    )
    assert outcome.interrupted


def test_code_may_catch_the_interrupt(runner: Runner) -> None:
    outcome = interrupt_when_started(
        runner,
        "import time\n"
        "try: print('started'); time.sleep(600)\n"
        "except KeyboardInterrupt: print('caught')",
    )
    assert "caught" in outcome.stdout
    assert outcome.status == "ok"
    assert not outcome.interrupted


def test_second_interrupt_reaches_code_that_caught_the_first(runner: Runner) -> None:
    number = runner.begin_run(
        "import time\n"
        "try: print('one'); time.sleep(600)\n"
        "except KeyboardInterrupt: print('two'); time.sleep(600)"
    )
    for word in ("one", "two"):
        wait_for_text(runner, word)
        runner.interrupt()
    assert runner.finish(number).interrupted


def test_user_handler_of_sigint_lasts_for_its_cell(runner: Runner) -> None:
    outcome = interrupt_when_started(
        runner,
        "import signal, time\n"
        "got = []\n"
        "signal.signal(signal.SIGINT, lambda *a: got.append(1))\n"
        "print('started')\n"
        "while not got: time.sleep(0.01)",
    )
    assert outcome.status == "ok"
    assert interrupt_when_started(runner, LONG["loop"]).interrupted


def test_interrupt_between_cells_is_ignored(runner: Runner) -> None:
    for _ in range(50):
        runner.interrupt()
        runner.ping()
        outcome = runner.run("1")
        assert outcome.status == "ok"


def test_interrupt_right_behind_a_request_stops_it(runner: Runner) -> None:
    for _ in range(100):
        number = runner.begin_run("while True: pass")
        runner.interrupt()
        assert runner.finish(number).interrupted


def test_interrupt_of_a_background_task_between_cells_is_ignored(runner: Runner) -> None:
    runner.run(
        "import asyncio\n"
        "async def tick():\n    while True: await asyncio.sleep(0.001)\n"
        "task = asyncio.create_task(tick())"
    )
    for _ in range(20):
        runner.interrupt()
        runner.ping()
    assert runner.run("task.done()").result["text/plain"] == "False"
    assert runner.run("task.cancel()").status == "ok"


def test_background_task_that_loops_can_be_interrupted(runner: Runner) -> None:
    runner.run(
        "import asyncio\n"
        "async def spin():\n"
        "    await asyncio.sleep(0)\n    print('spins')\n    while True: pass\n"
        "task = asyncio.create_task(spin())"
    )
    number = runner.begin_run("1 + 1")
    wait_for_text(runner, "spins")
    runner.interrupt()
    assert runner.finish(number).reply.number == number
    assert runner.run("1 + 1").result["text/plain"] == "2"


def test_interrupt_of_a_completion_gives_an_empty_answer(runner: Runner) -> None:
    runner.run(
        "class Slow:\n"
        "    def __dir__(self):\n"
        "        print('started')\n"
        "        while True: pass\n"
        "slow = Slow()"
    )
    number = runner.begin("complete_request", {"code": "slow.", "cursor_pos": 5})
    wait_for_text(runner, "started")
    runner.interrupt()
    reply = runner.finish(number).reply.content
    assert (reply["status"], reply["matches"]) == ("ok", [])
    assert runner.run("1").status == "ok"


@pytest.mark.parametrize(
    "code",
    [
        "sum(range(3000))",
        "import threading\nfor i in range(20): threading.Event().set()\nprint(i)",
        "import asyncio\nawait asyncio.sleep(0)\nx = 1",
        "display('shown')\n[str(i) for i in range(500)][-1]",
    ],
)
def test_storm_of_interrupts_around_short_cells(runner: Runner, code: str) -> None:
    """Nothing hangs, nothing but user code is interrupted, and every cell is answered."""
    stop = threading.Event()
    sent = 0

    def storm() -> None:
        nonlocal sent
        while not stop.is_set():
            runner.interrupt()
            sent += 1
            stop.wait(0.0003)

    thread = threading.Thread(target=storm)
    thread.start()
    interrupted = 0
    try:
        for _ in range(400):
            outcome = runner.run(code)
            if outcome.status != "ok":
                assert outcome.reply.content["ename"] == "KeyboardInterrupt", outcome
                assert len(outcome.frames("error")) == 1
                assert outcome.interrupted
                interrupted += 1
    finally:
        stop.set()
        thread.join()
    runner.ping()
    assert sent > 100
    assert interrupted > 0
    assert runner.run("6 * 7").result["text/plain"] == "42"
