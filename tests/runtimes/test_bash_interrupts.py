# SPDX-License-Identifier: MIT
"""Interrupts of bash: they end what runs, and the shell goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.runtimes import framelib
from tests.runtimes.framelib import Runner

StartSlow = Callable[[str], Runner]


@pytest.mark.parametrize(
    "code",
    [
        "sleep 1000",
        "while :; do :; done",
        "while :; do sleep 0.01; done",
        "sleep 1000 | cat | cat",
        "x=$(sleep 1000)",
        "f() { sleep 1000; }; f",
        "eval 'for i in 1 2 3; do sleep 1000; done'",
        "source <(echo sleep 1000)",
        "sleep 1000 & wait",
        "read x <fifo",
        "(sleep 1000; echo no)",
        "python3 -c 'while True: pass' 2>/dev/null",
        # Those that end by their own decision, and well: the rest is not run.
        "python3 -c 'import signal, time; signal.signal(2, lambda *a: exit(0)); "
        "time.sleep(1000)'",
        # Those that have no ear for it.
        "python3 -c 'import signal, time; signal.signal(2, signal.SIG_IGN); "
        "time.sleep(1000)'",
        "(trap '' INT; sleep 1000)",
        "trap '' INT; while :; do :; done",
    ],
)
def test_interrupt_ends_the_cell_and_keeps_the_shell(bash: Runner, code: str) -> None:
    bash.run("kept=1; mkfifo fifo")
    number = bash.begin_run(f"echo begun\n{code}\necho no")
    assert bash.until(number, "stream").text == "begun\n"
    bash.interrupt()
    outcome = bash.finish(number)
    assert outcome.interrupted
    assert outcome.error.content["ename"] == "KeyboardInterrupt"
    assert "no" not in outcome.stdout
    assert bash.ping().reply.content == {}
    assert (
        bash.run("trap - INT; echo $kept $FUNCNAME; jobs -r | grep -v sleep").stdout
        == "1\n"
    )


def sleepers(seconds: int) -> list[psutil.Process]:
    command = ["sleep", str(seconds)]
    return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == command]


@pytest.mark.parametrize(
    "code",
    [
        "(echo begun; sleep 98765; echo no)",
        "f() { (echo begun; sleep 98765); }; f",
        "echo begun; (sleep 98765; echo no)",
        "(echo begun; (sleep 98765; echo no); echo no)",
        "(echo begun; x=$(sleep 98765); echo no)",
        "(echo begun; sleep 98765 | cat; echo no)",
        "(echo begun; sleep 98765; echo no) | cat",
    ],
)
def test_no_process_overlooks_an_interrupt(bash: Runner, code: str) -> None:
    """It comes while processes are made: one that is not yet what it will be, or that is
    made a moment later, neither runs on nor keeps others waiting."""
    for _ in range(200):
        number = bash.begin_run(f"{code}\necho no")
        assert bash.until(number, "stream").text == "begun\n"
        bash.interrupt()
        outcome = bash.finish(number)
        assert outcome.interrupted and "no" not in outcome.stdout
    assert psutil.wait_procs(sleepers(98765), timeout=60)[1] == []


@pytest.fixture
def start_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartSlow]:
    """Starts a runner of a bash that is slow at a place that slowbash.c knows."""
    source, library = Path(__file__).with_name("slowbash.c"), tmp_path / "slowbash.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    *argv, real = framelib.bash_argv()
    slow = tmp_path / "bash"
    # What is to be preloaded is also the last argument, and is no longer in LD_PRELOAD.
    slow.write_text(
        f'#!{real}\nexport LD_PRELOAD="${{@: -1}}:{library}"\nexec {real} "$@"\n'
    )
    slow.chmod(0o755)
    runners = []

    def start(place: str) -> Runner:
        monkeypatch.setenv("SLOWBASH", place)
        runners.append(Runner([*argv, str(slow)], cwd=tmp_path))
        runners[0].hello()
        return runners[0]

    yield start
    for runner in runners:
        for process in descendants(runner):
            process.kill()
        runner.close()


def session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def descendants(runner: Runner) -> list[psutil.Process]:
    """What RUNNER's shell has started, whoever has it now."""
    (shell,) = psutil.Process(runner.process.pid).children()
    return [
        p
        for p in psutil.process_iter()
        if p.pid != shell.pid and session_of(p) == shell.pid
    ]


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("fork", "(echo begun; (sleep 98764; echo no); echo no)"),
        ("job", "echo begun; sleep 98764"),
        ("job", "echo begun; sleep 98764 | cat"),
        ("job", "echo begun; (sleep 98764; echo no)"),
    ],
)
def test_slow_process_does_not_overlook_an_interrupt(
    start_slow: StartSlow, place: str, code: str
) -> None:
    bash = start_slow(place)
    number = bash.begin_run(f"{code}\necho no")
    assert bash.until(number, "stream").text == "begun\n"
    bash.interrupt()
    outcome = bash.finish(number)
    assert outcome.interrupted and "no" not in outcome.stdout
    assert psutil.wait_procs(descendants(bash), timeout=60)[1] == []
    # The next job is one of its own.
    outcome = bash.run("(exit 3); echo $?")
    assert outcome.stdout == "3\n" and outcome.stderr == ""


@pytest.mark.parametrize("trap", ["trap 'echo bye' EXIT", "trap : INT; trap - INT"])
def test_traps_of_a_cell_leave_its_interrupt_alone(bash: Runner, trap: str) -> None:
    bash.run("kept=1")
    number = bash.begin_run(f"{trap}; sh -c 'echo begun; exec sleep 1000'; echo no")
    assert bash.until(number, "stream").text == "begun\n"
    bash.interrupt()
    outcome = bash.finish(number)
    assert outcome.interrupted and outcome.stdout == ""
    assert bash.run("trap - EXIT; echo $kept").stdout == "1\n"


def test_a_trap_on_int_decides(bash: Runner) -> None:
    # What says "begun" is what gets the signal; the shell's trap then runs in any case.
    number = bash.begin_run(
        "trap 'echo mine' INT; sh -c 'echo begun; exec sleep 1000'; echo after"
    )
    bash.until(number, "stream")
    bash.interrupt()
    outcome = bash.finish(number)
    assert outcome.stdout == "mine\nafter\n" and not outcome.interrupted


def test_the_second_interrupt_is_stronger(bash: Runner) -> None:
    number = bash.begin_run(
        "python3 -uc 'import signal, time\n"
        'signal.signal(2, lambda *a: print("again"))\n'
        'print("begun")\n'
        "while True: time.sleep(1000)'; echo no"
    )
    while not bash.until(number, "stream").text.endswith("\n"):
        pass
    bash.interrupt()
    assert "again" in bash.until(number, "stream").text
    bash.interrupt()
    outcome = bash.finish(number)
    assert outcome.interrupted and "no" not in outcome.stdout


def test_an_interrupt_before_the_run_is_remembered(bash: Runner) -> None:
    bash.interrupt()
    outcome = bash.run("echo no")
    assert outcome.interrupted and outcome.stdout == ""


def test_an_interrupt_after_the_run_is_forgotten_by_ping(bash: Runner) -> None:
    bash.run("true")
    bash.interrupt()
    bash.ping()
    assert bash.run("echo yes").stdout == "yes\n"


def test_many_interrupts_at_any_time(bash: Runner) -> None:
    for i in range(100):
        number = bash.begin_run("for ((i = 0; i < 1000; i++)); do /bin/true; done")
        if i % 2:
            bash.interrupt()
        bash.interrupt()
        bash.finish(number)
        bash.ping()
    assert bash.run("echo on").stdout == "on\n"
