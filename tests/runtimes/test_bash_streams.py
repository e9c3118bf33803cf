# SPDX-License-Identifier: MIT
"""What programs in bash print."""

from __future__ import annotations

from tests.runtimes.framelib import Frame, Runner


def numbers(count: int) -> str:
    return "".join(f"{i}\n" for i in range(count))


def test_stdout_and_stderr_keep_their_order(shell: Runner) -> None:
    outcome = shell.run(
        "for ((i = 0; i < 2000; i++)); do\n"
        "  if ((RANDOM % 2)); then echo $i; else echo $i >&2; fi\n"
        "done"
    )
    assert outcome.both == numbers(2000)
    assert outcome.stdout and outcome.stderr


def test_programs_and_builtins_keep_their_order(shell: Runner) -> None:
    outcome = shell.run(
        "for ((i = 0; i < 200; i += 4)); do echo $i; /bin/echo $((i + 1)) >&2\n"
        '(echo $((i + 2))); sh -c "echo $((i + 3)) >&2"; done'
    )
    assert outcome.both == numbers(200)


def test_output_comes_while_the_cell_runs(bash: Runner) -> None:
    number = bash.begin_run("printf part; mkfifo wait; read x <wait; echo end")
    assert bash.until(number, "stream").text == "part"
    bash.interrupt()
    assert bash.finish(number).interrupted


def test_late_output_belongs_to_the_cell_that_started_it(bash: Runner) -> None:
    bash.run("mkfifo go")
    first = bash.begin_run("{ read x <go; echo late; echo err >&2; echo 1 >go; } &")
    assert bash.finish(first).status == "ok"
    outcome = bash.run("echo second; echo 1 >go; read x <go; echo third")
    texts = [(f.number, f.stream, f.text) for f in outcome.frames("stream")]
    assert (first, "stdout", "late\n") in texts
    assert (first, "stderr", "err\n") in texts
    assert [t for n, _, t in texts if n != first] == ["second\n", "third\n"]


def test_late_output_comes_while_nothing_runs(bash: Runner) -> None:
    number = bash.begin_run("(while kill -0 $$ && test ! -e go; do :; done; echo late) &")
    bash.finish(number)
    late = bash.run("touch go").frames("stream")
    while not late:
        item = next(bash.items())
        assert isinstance(item, Frame)
        late.append(item)
    assert (late[0].number, late[0].text) == (number, "late\n")


def test_a_trap_between_cells_prints(bash: Runner) -> None:
    number = bash.begin_run("trap 'echo trapped' USR1; (kill -USR1 $$) & :")
    outcome = bash.finish(number)
    text = outcome.stdout
    while "trapped" not in text:
        item = next(bash.items())
        assert isinstance(item, Frame)
        text += item.text


def test_any_bytes_become_text(shell: Runner) -> None:
    outcome = shell.run("printf 'a\\0\\xff\\xe4\\xf0\\x9f\\x8e'; printf '\\x89b\\n\\xe2'")
    assert outcome.stdout == "a\0\ufffd\ufffd🎉b\n\ufffd"


def test_much_output_is_whole(shell: Runner) -> None:
    outcome = shell.run("seq 0 99999; head -c 1000000 /dev/zero | tr '\\0' x >&2")
    assert outcome.stdout == numbers(100_000)
    assert outcome.stderr == "x" * 1_000_000


def test_pipes_that_were_made_larger_lose_nothing(shell: Runner) -> None:
    outcome = shell.run(
        "python3 -c 'import fcntl, os; fcntl.fcntl(1, 1031, 1 << 20); "
        'os.write(1, b"x" * 500000); os.write(1, b"y" * 500000)\''
    )
    assert outcome.stdout == "x" * 500_000 + "y" * 500_000


def test_output_is_non_blocking_for_one_cell_at_most(shell: Runner) -> None:
    shell.run("python3 -c 'import os; os.set_blocking(1, False)'")
    assert shell.run("seq 0 9999").stdout == numbers(10_000)


def test_many_cells_may_have_their_pipes_held(bash: Runner) -> None:
    for i in range(80):
        assert bash.run(f"sleep 1000 & echo {i}").stdout == f"{i}\n"
    assert bash.run("kill $(jobs -p); wait; echo done").stdout == "done\n"
    assert bash.run("echo after").stdout == "after\n"


def test_dev_stdout_and_dev_stderr_can_be_opened(shell: Runner) -> None:
    outcome = shell.run("echo a >/dev/stdout; echo b | tee /dev/stderr")
    assert outcome.stdout == "a\nb\n" and outcome.stderr == "b\n"
