# SPDX-License-Identifier: MIT
"""Questions that Python cells ask the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.framelib import Frame, Outcome, Raw, Runner


def ask(runner: Runner, code: str, *answers: str) -> tuple[Outcome, list[dict[str, Any]]]:
    """Runs CODE and answers its questions in turn."""
    number = runner.begin_run(code, allow_stdin=True)
    asked = []
    items: list[Frame | Raw] = []
    for answer in answers:
        asked.append(runner.until(number, "input_request", items).content)
        runner.send(Frame("input_reply", number, {"value": answer}))
    outcome = runner.finish(number)
    outcome.items[:0] = items
    return outcome, asked


def test_input_asks_and_returns_the_line(shared: Runner) -> None:
    outcome, asked = ask(shared, "input('name? '), input()", "Ada", "ü🎉")
    assert asked == [
        {"prompt": "name? ", "password": False},
        {"prompt": "", "password": False},
    ]
    assert outcome.result["text/plain"] == "('Ada', 'ü🎉')"


def test_getpass_asks_for_a_password(shared: Runner) -> None:
    outcome, asked = ask(shared, "import getpass; getpass.getpass('secret: ')", "pw")
    assert asked == [{"prompt": "secret: ", "password": True}]
    assert outcome.result["text/plain"] == "'pw'"


def test_end_of_input_is_eof(shared: Runner) -> None:
    outcome, _ = ask(shared, "input()", "\x04")
    assert outcome.error.content["ename"] == "EOFError"


def test_stdin_asks_line_by_line(shared: Runner) -> None:
    outcome, _ = ask(
        shared,
        "import sys; sys.stdin.readline(), sys.stdin.read(2), sys.stdin.readline()",
        "one",
        "two",
    )
    assert outcome.result["text/plain"] == "('one\\n', 'tw', 'o\\n')"
    outcome, _ = ask(shared, "[line for line in sys.stdin]", "a", "b", "\x04")
    assert outcome.result["text/plain"] == "['a\\n', 'b\\n']"


def test_pdb_asks_for_commands(shared: Runner) -> None:
    outcome, asked = ask(shared, "x = 5\nbreakpoint()\ny = 6", "p x + 1", "c")
    assert "6" in outcome.stdout
    assert all("db" in question["prompt"] for question in asked)
    assert outcome.status == "ok"


def test_post_mortem_debugger_asks_for_commands(shared: Runner) -> None:
    shared.run("def f():\n    inner = 41\n    1/0\nf()")
    outcome, _ = ask(shared, "%debug", "p inner + 1", "q")
    assert "42" in outcome.stdout


@pytest.mark.parametrize(
    "code",
    ["input()", "import getpass; getpass.getpass()", "import sys; sys.stdin.read()"],
)
def test_input_is_refused_when_nobody_can_be_asked(shared: Runner, code: str) -> None:
    outcome = shared.run(code)
    assert outcome.error.content["ename"] == "StdinNotImplementedError"
    assert "input" in outcome.error.content["evalue"]


def test_input_in_a_thread_is_refused(shared: Runner) -> None:
    outcome, _ = ask(
        shared,
        "import threading\n"
        "def work():\n"
        "    try: input()\n"
        "    except NotImplementedError as e: print(e)\n"
        "t = threading.Thread(target=work); t.start(); t.join()",
    )
    assert "only the main thread" in outcome.stdout


def test_interrupt_breaks_the_wait(runner: Runner) -> None:
    for _ in range(20):
        number = runner.begin_run("input()", allow_stdin=True)
        runner.until(number, "input_request")
        runner.interrupt()
        outcome = runner.finish(number)
        assert outcome.interrupted
    assert runner.run("1").status == "ok"


def test_answer_to_an_interrupted_question_is_dropped(
    runner: Runner, tmp_path: Path
) -> None:
    number = runner.begin_run(
        "import os, time\n"
        "try: input('first')\n"
        "except KeyboardInterrupt: print('caught')\n"
        "while not os.path.exists('sent'): time.sleep(0.001)\n"
        "print('got', input('second'))",
        allow_stdin=True,
    )
    runner.until(number, "input_request")
    runner.interrupt()
    runner.until(number, "stream")
    runner.send(Frame("input_reply", number, {"value": "stale"}))
    (tmp_path / "sent").touch()
    assert runner.until(number, "input_request").content["prompt"] == "second"
    runner.send(Frame("input_reply", number, {"value": "fresh"}))
    assert runner.finish(number).stdout == "got fresh\n"


def test_answer_to_another_request_is_dropped(runner: Runner) -> None:
    number = runner.begin_run("input()", allow_stdin=True)
    runner.until(number, "input_request")
    runner.send(Frame("input_reply", number + 7, {"value": "other"}))
    runner.send(Frame("input_reply", number, {"value": "mine"}))
    assert runner.finish(number).result["text/plain"] == "'mine'"


def test_requests_behind_a_question_are_served_later(runner: Runner) -> None:
    number = runner.begin_run("input()", allow_stdin=True)
    runner.until(number, "input_request")
    ping = runner.begin("ping", None)
    runner.send(Frame("input_reply", number, {"value": "x"}))
    runner.finish(number)
    assert runner.finish(ping).reply.content == {}


def test_shutdown_during_a_question_ends_the_runner(runner: Runner) -> None:
    number = runner.begin_run("input()", allow_stdin=True)
    runner.until(number, "input_request")
    runner.send(Frame("shutdown", 0))
    assert runner.finish(number).error.content["ename"] == "EOFError"
    assert list(runner.items()) == []
    assert runner.process.wait(20) == 0


def test_background_task_may_not_ask_in_another_cell(runner: Runner) -> None:
    runner.run(
        "import asyncio\n"
        "go = asyncio.Event()\n"
        "async def work():\n"
        "    await go.wait()\n"
        "    try: input()\n"
        "    except NotImplementedError as e: return str(e)\n"
        "task = asyncio.create_task(work())",
        allow_stdin=True,
    )
    outcome = runner.run("go.set(); await task", allow_stdin=True)
    assert "input was asked for" in outcome.result["text/plain"]
