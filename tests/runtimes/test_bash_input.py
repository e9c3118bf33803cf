# SPDX-License-Identifier: MIT
"""Questions that programs in bash ask the user."""

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


@pytest.mark.parametrize(
    ("code", "answers", "expected"),
    [
        ("read a b; echo $b $a", ["one two"], "two one\n"),
        ("read -r a; read -r b; echo $a$b", ["ü\\", "🎉"], "ü\\🎉\n"),
        ("cat", ["one", "two", "\4"], "one\ntwo\n"),
        ("cat; echo $?", ["\4"], "0\n"),
        ("sort | head -1", ["b", "a", "\4"], "a\n"),
        ('while read l; do echo "<$l>"; done', ["", "x", "\4"], "<>\n<x>\n"),
        ("python3 -c 'print(input())'", ["x y"], "x y\n"),
        ("(read a; echo sub $a)", ["s"], "sub s\n"),
        ("f() { read a; }; f; bash -c 'read b; echo $0 $b' $a", ["p", "q"], "p q\n"),
        ("select o in a b; do echo got $o; break; done 2>/dev/null", ["2"], "got b\n"),
        ("read -t 60 a; echo $a", ["timed"], "timed\n"),
        (
            "python3 -c 'import select, sys; select.select([0], [], []); "
            "print(sys.stdin.readline().strip())'",
            ["selected"],
            "selected\n",
        ),
    ],
)
def test_who_reads_stdin_asks(
    shell: Runner, code: str, answers: list[str], expected: str
) -> None:
    outcome, asked = ask(shell, code, *answers)
    assert outcome.stdout == expected
    assert len(asked) == len(answers) and not any(a["password"] for a in asked)


def test_the_unfinished_line_is_the_question_or_printed(shell: Runner) -> None:
    outcome, asked = ask(shell, "echo first; read -p 'name? ' n; echo $n", "Ada")
    assert outcome.stdout == "first\nAda\n"
    assert outcome.stderr + asked[0]["prompt"] == "name? "


@pytest.mark.parametrize(
    "code",
    [
        "read -s p; echo $p",
        "stty -echo; head -1; stty echo",
        "python3 -c 'import getpass; print(getpass.getpass(\"\"))' 2>/dev/null",
    ],
)
def test_without_echo_it_is_a_password(shell: Runner, code: str) -> None:
    outcome, asked = ask(shell, code, "secret")
    assert asked[0]["password"]
    assert outcome.stdout.strip() == "secret"


@pytest.mark.parametrize("code", ["read x", "cat", "python3 -c 'input()' 2>/dev/null"])
def test_input_is_at_its_end_when_nobody_can_be_asked(shell: Runner, code: str) -> None:
    outcome = shell.run(f"x=; {code}; echo end $x; tty")
    assert outcome.stdout == "end\nnot a tty\n"


def test_interrupt_breaks_the_wait(bash: Runner) -> None:
    for _ in range(5):
        number = bash.begin_run("read x", allow_stdin=True)
        bash.until(number, "input_request")
        bash.interrupt()
        assert bash.finish(number).interrupted
    assert bash.run("echo on").stdout == "on\n"


def test_an_answer_that_comes_too_late_is_dropped(bash: Runner, tmp_path: Path) -> None:
    number = bash.begin_run(
        "mkfifo go; python3 -c 'import os, select; "
        'select.select([0, os.open("go", os.O_RDWR)], [], [])\'',
        allow_stdin=True,
    )
    bash.until(number, "input_request")
    (tmp_path / "go").write_text("on")
    bash.finish(number)
    bash.send(Frame("input_reply", number, {"value": "stale"}))
    outcome, _ = ask(bash, "read x; echo $x", "fresh")
    assert outcome.stdout == "fresh\n"


def test_what_is_left_unread_is_not_the_next_cells(bash: Runner) -> None:
    ask(bash, "stty -icanon; head -c 1 >/dev/null", "too much")
    outcome, _ = ask(bash, "read x; echo $x", "mine")
    assert outcome.stdout == "mine\n"


def test_requests_behind_a_question_are_served_later(bash: Runner) -> None:
    number = bash.begin_run("read x", allow_stdin=True)
    bash.until(number, "input_request")
    ping = bash.begin("ping", None)
    bash.send(Frame("input_reply", number, {"value": "x"}))
    bash.finish(number)
    assert bash.finish(ping).reply.content == {}


def test_shutdown_during_a_question_ends_the_runner(bash: Runner) -> None:
    number = bash.begin_run("read x", allow_stdin=True)
    bash.until(number, "input_request")
    bash.send(Frame("shutdown", 0))
    list(bash.items())
    assert bash.process.wait(20) == 0


def test_a_job_in_the_background_may_not_ask(bash: Runner) -> None:
    outcome, _ = ask(bash, "cat & sleep 0; while ! jobs -s | grep -q .; do :; done; jobs")
    assert "Stopped" in outcome.stdout
