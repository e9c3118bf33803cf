# SPDX-License-Identifier: MIT
"""Cells of bash: what stays, how they end, and what cannot break the shell."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.runtimes import framelib
from tests.runtimes.framelib import Frame, Outcome, Runner


def printed(runner: Runner, code: str) -> str:
    outcome = runner.run(code)
    assert outcome.status == "ok", outcome.reply
    return outcome.stdout


def status(outcome: Outcome) -> int:
    return outcome.reply.content["exit_status"]


def test_everything_stays_from_cell_to_cell(bash: Runner, tmp_path: Path) -> None:
    bash.run(
        "x=1; export y=2; a=(3 4); declare -A m=([k]=5); f() { echo f$1; }\n"
        "alias say='echo said'; shopt -s extglob; set -o pipefail; mkdir d; cd d\n"
        "exec 7>../seven; trap 'echo usr' USR1; umask 027"
    )
    outcome = bash.run(
        "echo $x ${a[1]} ${m[k]}; f 6; say; sh -c 'echo $y'; pwd; shopt -q extglob; "
        "echo $?; false | true; echo $?; echo to7 >&7; kill -USR1 $$; umask"
    )
    assert outcome.stdout == (f"1 4 5\nf6\nsaid\n2\n{tmp_path}/d\n0\n1\nusr\n0027\n")
    assert (tmp_path / "seven").read_text() == "to7\n"


def test_status_of_the_last_command_is_told_and_kept(shell: Runner) -> None:
    outcome = shell.run("true; (exit 7)")
    assert outcome.status == "ok" and status(outcome) == 7
    assert not outcome.frames("error")
    assert printed(shell, "echo $?") == "7\n"
    outcome = shell.run("(exit 9)", user_expressions={"s": "$?", "two": "a $((1 + 1))"})
    values = outcome.reply.content["user_expressions"]
    assert values["s"]["data"] == {"text/plain": "9"}
    assert values["two"]["data"] == {"text/plain": "a 2"}


def test_an_expression_that_fails_is_an_error_of_its_own(shell: Runner) -> None:
    outcome = shell.run("x=1", user_expressions={"bad": "${", "x": "$x"})
    values = outcome.reply.content["user_expressions"]
    assert values["bad"]["status"] == "error" and values["bad"]["ename"]
    assert values["x"]["data"] == {"text/plain": "1"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("cat <<E\na $((1+1))\nE\ncat <<< b", "a 2\nb\n"),
        ("diff <(echo a) <(echo a) && echo same", "same\n"),
        ("for i in 1 2\ndo\n  echo $i\ndone | tac", "2\n1\n"),
        ("printf '%s|' \"$@\" $# $0", "0|bash|"),
        ("echo a \\\n b", "a b\n"),
        ("coproc cat; echo c >&${COPROC[1]}; read l <&${COPROC[0]}; echo $l", "c\n"),
        ("sleep 0 & wait $!; echo $?", "0\n"),
        ("# nothing", ""),
        ("", ""),
        ("echo $BASH_SUBSHELL $LINENO\n\necho $LINENO", "0 1\n3\n"),
    ],
)
def test_constructs(shell: Runner, code: str, expected: str) -> None:
    assert printed(shell, code) == expected


@pytest.mark.parametrize(
    ("code", "name", "value", "number"),
    [
        ("exit 3", "SystemExit", "3", 3),
        ("f() { exit 4; }; f; echo no", "SystemExit", "4", 4),
        ("eval 'exit 5'; echo no", "SystemExit", "5", 5),
        ("set -e; false; echo no", "CommandFailed", "line 1: exit status 1", 1),
        ("set -e; f() { false; echo no; }; f", "CommandFailed", "line 1", 1),
        ("set -e; f() { false; }; eval 'f'; echo no", "CommandFailed", "line 1", 1),
        ("set -u\necho $nope; echo no", "ShellError", "line 2: nope: unbound", 1),
        ("echo ${nope:?gone}; echo no", "ShellError", "line 1: nope: gone", 1),
        ("echo a\nif true; then )\necho no", "SyntaxError", "line 2: syntax error", 2),
        ("echo 'abc", "SyntaxError", "unexpected EOF while looking for", 2),
        ("set -e\nif", "SyntaxError", "syntax error: unexpected end of file", 2),
    ],
)
def test_what_ends_a_script_ends_the_cell_alone(
    shell: Runner, code: str, name: str, value: str, number: int
) -> None:
    shell.run("kept=yes")
    outcome = shell.run(code)
    assert outcome.error.content["ename"] == name
    assert value in outcome.error.content["evalue"]
    assert outcome.reply.flags & framelib.FLAG_ERROR
    assert status(outcome) == number
    assert "no" not in outcome.stdout.split()
    assert printed(shell, "set +eu; echo $? $kept $# $FUNCNAME.") == "0 yes 0 .\n"


def test_set_e_goes_on_in_the_next_cell(bash: Runner) -> None:
    bash.run("set -e; x=1; false")
    outcome = bash.run("echo $x; false; echo no")
    assert outcome.stdout == "1\n" and outcome.status == "error"


def test_exit_0_is_no_error(shell: Runner) -> None:
    outcome = shell.run("echo a; exit; echo b")
    assert (outcome.stdout, outcome.status) == ("a\n", "ok")


def test_the_trap_on_exit_runs_once_when_a_script_would_end(bash: Runner) -> None:
    assert bash.run("trap 'echo bye $?' EXIT; exit 2").stdout == "bye 2\n"
    assert bash.run("exit 2").stdout == ""
    assert bash.run("trap 'echo bye' EXIT; set -e; false").stdout == "bye\n"


def test_the_trap_on_exit_runs_at_shutdown(bash: Runner) -> None:
    bash.run("set +e; trap 'echo bye' EXIT")
    bash.send(Frame("shutdown", 0))
    assert [item.text for item in bash.items() if isinstance(item, Frame)] == ["bye\n"]
    assert bash.process.wait(20) == 0


@pytest.mark.parametrize(
    "code",
    [
        "exec >/dev/null 2>&1",
        "exec >&- 2>&- <&-",
        'for fd in {3..1100}; do eval "exec $fd>&-"; done',
        'for fd in {3..1100}; do eval "exec $fd</dev/null"; done; exec {3..9}>&-',
        "read() { :; }; printf() { :; }; eval() { :; }; builtin() { :; }; exit() { :; }",
        "unset() { :; }; trap() { :; }; return() { :; }; command() { :; }",
        "unset IFS PATH HOME PWD BASH_VERSION; IFS=x; PATH=; TMPDIR=/nowhere",
        "trap 'true' DEBUG ERR RETURN; set -T; set -E",
        "PS1='$(exit 3)'; PROMPT_COMMAND='exit 4'; PS4='$(exit 5)'; PS0=x",
        "kill $$; kill -TERM $BASHPID; kill -INT 0",
        "suspend; kill -STOP $$",
        "set -n; echo no",
        "set -v; set -x; set -f",
        "return 3; break; continue",
        "enable -n eval read printf exec; enable -d cellwall",
        "set -o posix; set -r",
        "exec /no/such/program",
        "trap '' INT TERM HUP CHLD",
        "ulimit -n 30; ulimit -f 0",
        "disown -a; set +m; stty raw -echo </dev/tty; wait",
        "f() { f; }; FUNCNEST=50; f",
        "x=$(head -c 3000000 /dev/zero | tr '\\0' x)",
        "time { :; }; BASH_XTRACEFD=9; shopt -s failglob; echo /no*match",
    ],
)
def test_the_shell_survives(bash: Runner, code: str) -> None:
    bash.run("kept=1")
    bash.run(code)
    bash.run("set +nvx; trap - DEBUG ERR RETURN")
    outcome = bash.run("builtin echo $kept; builtin echo e >&2")
    if "builtin()" in code:
        bash.run("\\unset -f builtin command unset")
        outcome = bash.run("command echo $kept; command echo e >&2")
    assert outcome.stdout == "1\n"
    assert "e" in outcome.stderr


@pytest.mark.parametrize(
    ("code", "end"),
    [("kill -9 $$", -signal.SIGKILL), ("exec sh -c 'exit 6'", 6), ("kill -ABRT $$", -6)],
)
def test_the_runner_ends_as_its_shell(bash: Runner, code: str, end: int) -> None:
    number = bash.begin_run(f"echo out; {code}")
    assert bash.until(number, "stream").text == "out\n"
    assert [item for item in bash.items() if isinstance(item, Frame)] == []
    assert bash.process.wait(20) == end


def test_variables_of_one_run(bash: Runner) -> None:
    bash.run("A=old; export B=old; declare -i N=3; R=(1 2); readonly C=1")
    env = {"A": "new", "B": "ü\n", "N": "4", "D": "made"}
    outcome = bash.run(
        "sh -c 'echo \"$A.$B.$N.$D\"'; A=changed; unset B; readonly D; E=stays",
        metadata={"cellwall": {"env": env}},
    )
    assert outcome.stdout == "new.ü\n.4.made\n"
    assert (
        printed(
            bash, "echo $A.$B.$N.${D-unset}.$E; sh -c 'echo ${A-no}.$B'; N+=1; echo $N"
        )
        == "old.old.3.unset.stays\nno.old\n4\n"
    )


@pytest.mark.parametrize(
    "env",
    [{"": "x"}, {"A=B": "x"}, {"A.B": "x"}, {"A": 1}, {"A": "\0"}, {"UID": "1"}, [1]],
)
def test_variables_that_cannot_be_set_fail_the_run(shell: Runner, env: object) -> None:
    outcome = shell.run("echo ran", metadata={"cellwall": {"env": env}})
    assert outcome.status == "error" and outcome.stdout == ""
    assert printed(shell, "echo next") == "next\n"


def test_code_with_a_nul_is_refused(shell: Runner) -> None:
    assert shell.run("echo a\0b").error.content["ename"] == "ValueError"


def test_large_code_runs(shell: Runner) -> None:
    assert printed(shell, "x='" + "ü" * 500_000 + "'; echo ${#x}") == "500000\n"
