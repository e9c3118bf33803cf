# SPDX-License-Identifier: MIT
"""`cellwall run`, as typed by a person and as used by a script."""

from __future__ import annotations

import base64
import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.commandline import PNG, TIMEOUT_S, WAITS, Run, display, start
from tests.system.conftest import BINARY
from tests.system.servers import Server
from tests.system.terminal import Terminal

pytest_plugins = ["tests.system.commandline_fixtures"]
pytestmark = pytest.mark.cellwall


def test_the_result_and_the_streams_go_where_they_belong(cellwall: Run) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); 6 * 7"
    run = cellwall("run", "-e", code)
    assert (run.returncode, run.stdout, run.stderr) == (0, "out\n42\n", "err\n")


def test_a_file_and_stdin_are_run(cellwall: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("\ufeffprint('été')\n", encoding="utf-8")
    assert cellwall("run", "script.py").stdout == "été\n"
    assert cellwall("run", "-", input="print(6 * 7)").stdout == "42\n"


def test_output_comes_when_it_is_printed(env: dict[str, str]) -> None:
    with start(env, "run", "-e", WAITS) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["-e", "1 / 0"], 1, "ZeroDivisionError: division by zero"),
        (["-e", "raise SystemExit"], 0, ""),
        (["-e", "import sys; sys.exit(3)"], 3, ""),
        (["-e", "import sys; sys.exit('why')"], 1, "why"),
        ([], 2, "what is to be run is missing"),
        (["-e", "1", "a.py"], 2, "not several"),
        (["--nonsense"], 2, "unknown argument --nonsense"),
        (["missing.py"], 2, "missing.py: No such file"),
        (["--timeout", "soon", "-e", "1"], 2, "--timeout soon"),
        (["--limits", "memory=much", "-e", "1"], 2, "limit memory"),
        (["--env", "NAME", "-e", "1"], 2, "NAME is not NAME=VALUE"),
        (["--language", "cobol", "-e", "1"], 2, 'no runtime for "cobol"'),
        (["script.rb"], 2, 'no runtime for "ruby"'),
        (["--timeout", "0.2", "-e", "while True: pass"], 124, "time limit"),
        (["--limits", "memory=128M", "-e", "bytearray(1 << 30)"], 137, "memory"),
        (["-e", "import os; os._exit(5)"], 137, "exited with status 5"),
        (["-e", "import os; os.abort()"], 137, "abort|SIGABRT|signal 6"),
        (["--server", "none", "--context", "c", "-e", "1"], 125, "cellwall serve"),
        (["--server", "/nowhere/server.json", "-e", "1"], 125, "there is no server"),
    ],
)
def test_each_end_has_its_exit_status(
    cellwall: Run, tmp_path: Path, words: list[str], status: int, said: str
) -> None:
    (tmp_path / "script.rb").write_text("1\n")
    run = cellwall("run", *words)
    assert run.returncode == status, run.stderr
    assert said in run.stderr or any(one in run.stderr for one in said.split("|"))
    assert "\x1b" not in run.stderr
    ours = [line for line in run.stderr.splitlines() if line.startswith("cellwall: ")]
    assert len(ours) == (0 if status in (0, 1, 3) else 1), run.stderr


@pytest.fixture
def forgiven(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """For who sends a message and closes its socket while others come in: libzmq can then
    lose the parts of one that is not whole yet (4.3: pipe_t::process_pipe_term does not
    roll back after a delimiter), which the leak sanitizer tells of now and then."""
    suppressions = tmp_path / "suppressions"
    suppressions.write_text("leak:libzmq.so\n")
    options = f"suppressions={suppressions}:print_suppressions=0"
    return {**env, "LSAN_OPTIONS": options}


def test_a_reader_that_goes_ends_it_quietly(forgiven: dict[str, str]) -> None:
    code = "while True: print('x' * 1000)"
    with start(forgiven, "run", "--timeout", "0", "-e", code) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        process.stdout.close()
        status = process.wait(TIMEOUT_S)
        said = process.stderr.read()
    assert (line[:1], status) == ("x", 141), said
    assert said == ""


def test_an_unwritable_stdout_is_told(cellwall: Run) -> None:
    with open("/dev/full", "w") as full:
        run = cellwall("run", "-e", "1", capture_output=False, stdout=full, stderr=-1)
    assert run.returncode == 1
    assert "cannot write to stdout" in run.stderr


def test_json_is_the_reply_and_nothing_else(cellwall: Run) -> None:
    run = cellwall("run", "--json", "-e", "print('a'); 1 + 1")
    reply = json.loads(run.stdout)
    assert run.returncode == 0 and run.stderr == ""
    assert reply["logs"]["stdout"] == "a\n"
    assert reply["results"][0]["data"]["text/plain"] == "2"

    run = cellwall("run", "--json", "-e", "1 / 0")
    assert run.returncode == 1 and run.stderr == ""
    assert json.loads(run.stdout)["error"]["ename"] == "ZeroDivisionError"

    run = cellwall("run", "--json", "--language", "cobol", "-e", "1")
    assert run.returncode == 2
    assert json.loads(run.stdout)["code"] == "LANGUAGE_NOT_FOUND"


def test_a_named_context_is_kept(cellwall: Run) -> None:
    assert cellwall("run", "--context", "kept", "-e", "x = 41").returncode == 0
    assert cellwall("run", "--context", "kept", "-e", "x + 1").stdout == "42\n"
    assert cellwall("context", "delete", "kept").returncode == 0


def test_a_fresh_context_does_not_stay(cellwall: Run, env: dict[str, str]) -> None:
    with Server(BINARY, "--python", sys.executable) as own:
        assert cellwall("run", "-e", "1", env={**env, **own.env}).returncode == 0
        end = time.monotonic() + TIMEOUT_S
        while cellwall("context", "list", "--json", env={**env, **own.env}).stdout != (
            "[]\n"
        ):
            assert time.monotonic() < end


def test_a_time_limit_keeps_the_variables_of_a_named_context(cellwall: Run) -> None:
    assert cellwall("run", "--context", "limited", "-e", "x = 1").returncode == 0
    code = "while True: pass"
    run = cellwall("run", "--context", "limited", "--timeout", "0.2", "-e", code)
    assert run.returncode == 124
    assert run.stderr.endswith("; variables are kept\n")
    assert cellwall("run", "--context", "limited", "-e", "x").stdout == "1\n"
    assert cellwall("context", "delete", "limited").returncode == 0


def test_variables_of_the_environment_reach_the_code(cellwall: Run) -> None:
    code = "import os; print(os.environ['A'], os.environ['B'])"
    words = ["--env", "A=1", "--env", "B=x=y", "-e", code]
    assert cellwall("run", *words).stdout == "1 x=y\n"
    assert cellwall("run", "--context", "env", *words).stdout == "1 x=y\n"
    assert cellwall("context", "delete", "env").returncode == 0


def test_input_reads_lines_of_a_pipe(cellwall: Run) -> None:
    code = "a = input('? ')\nb = input()\nprint(a, b)\ninput()"
    run = cellwall("run", "-e", code, input="one\ntwo")
    assert run.stdout == "one two\n"
    assert run.returncode == 1 and "EOFError" in run.stderr
    run = cellwall("run", "--no-stdin", "-e", "input()", input="one\n")
    assert run.returncode == 1 and "StdinNotImplementedError" in run.stderr


def test_images_become_files(cellwall: Run, tmp_path: Path) -> None:
    data = {"image/png": PNG, "text/plain": "<Figure size 1x1>"}
    (tmp_path / "image-1.png").write_text("mine")
    run = cellwall("run", "-e", display(data))
    assert run.stdout == "[image/png: image-2.png]\n"
    assert (tmp_path / "image-1.png").read_text() == "mine"
    assert (tmp_path / "image-2.png").read_bytes() == base64.b64decode(PNG)

    html = {"text/html": "<b>x</b>", "text/plain": "<HTML object>"}
    run = cellwall("run", "-e", display(html))
    assert "text/html" in run.stdout and "--json" in run.stdout
    run = cellwall("run", "--image-dir", "new/out", "-e", display(html))
    assert run.stdout == "[text/html: new/out/result-1.html]\n"
    assert (tmp_path / "new/out/result-1.html").read_text() == "<b>x</b>"


def test_a_pipe_gets_bytes_as_they_are(cellwall: Run) -> None:
    text = "\x1b]0;title\x07\x1b[2J\x1b[31mred\r50%\x9b6n"
    run = cellwall("run", "-e", f"print({text!r})", text=False)
    assert run.stdout == text.encode() + b"\n"


HOSTILE = (
    "\\x1b]0;title\\x07\\x1b]52;c;aGk=\\x1b\\\\\\x1b[6n\\x1b[2J\\x9b6n"
    "\\x1bc\\x1b[?1049h\\x1b[31mred\\x1b[0m\\r\\tx\\x07"
)


@pytest.mark.parametrize(
    "code",
    [
        f"print('A{HOSTILE}Z')",
        f"import sys; print('A{HOSTILE}Z', file=sys.stderr)",
        f"raise ValueError('A{HOSTILE}Z')",
        f"from IPython.display import display; display("
        f"{{'text/plain': 'A{HOSTILE}Z'}}, raw=True)",
        f"from IPython.display import display; display("
        f"{{'text/plain': '<A>', 'application/x{HOSTILE}': 'AZ'}}, raw=True); print('Z')",
        f"input('A{HOSTILE}Z')",
    ],
)
def test_a_terminal_obeys_nothing_but_colours(env: dict[str, str], code: str) -> None:
    with Terminal([BINARY, "run", "-e", code], env) as terminal:
        terminal.wait_for("Z")
        terminal.type("\n")
        terminal.wait()
    rest = terminal.output.replace(b"\x1b[31m", b"")
    for sequence in (b"\x1b]", b"\x1b[6n", b"\x1b[2J", b"\x1bc", b"\x1b[?", b"\xc2\x9b"):
        assert sequence not in rest
    assert b"\x07" not in rest


def test_tracebacks_have_colours_on_a_terminal_unless_not_wanted(
    env: dict[str, str],
) -> None:
    for extra, coloured in ({}, True), ({"NO_COLOR": "1"}, False):
        with Terminal([BINARY, "run", "-e", "1 / 0"], {**env, **extra}) as terminal:
            assert terminal.wait() == 1
        assert ("\x1b[" in terminal.said) is coloured
        assert "ZeroDivisionError" in terminal.text


def test_a_display_is_rewritten_on_a_terminal(env: dict[str, str]) -> None:
    code = (
        "from IPython.display import display, update_display\n"
        "display({'text/plain': '1 of 2'}, raw=True, display_id='d')\n"
        "update_display({'text/plain': '2 of 2'}, raw=True, display_id='d')\n"
    )
    with Terminal([BINARY, "run", "-e", code], env) as terminal:
        assert terminal.wait() == 0
    assert terminal.said == "1 of 2\r\n\r\x1b[1A\x1b[J2 of 2\r\n"


def test_images_are_shown_by_a_terminal_that_can(
    env: dict[str, str], tmp_path: Path
) -> None:
    command = [BINARY, "run", "-e", display({"image/png": PNG})]
    with Terminal(command, {**env, "TERM": "xterm-kitty"}, cwd=tmp_path) as terminal:
        assert terminal.wait() == 0
    assert terminal.said == f"\x1b_Ga=T,f=100,q=2,m=0;{PNG}\x1b\\\r\n"
    assert list(tmp_path.iterdir()) == []


def test_a_long_run_says_how_long_and_takes_it_back(env: dict[str, str]) -> None:
    with Terminal([BINARY, "run", "--timeout", "0", "-e", WAITS], env) as terminal:
        terminal.wait_for(r"running \d+ s")
        terminal.press_interrupt()
        assert terminal.wait() == 130
    after = terminal.text[terminal.text.rindex("running ") :]
    assert "\r\x1b[K" in after
    assert "KeyboardInterrupt" in after


def test_a_person_is_asked_on_the_terminal(env: dict[str, str]) -> None:
    code = "name = input('Who? ')\nprint('Hello', name)"
    with Terminal([BINARY, "run", "-e", code], env) as terminal:
        terminal.wait_for(r"Who\? ")
        assert terminal.echoes()
        terminal.type("Ada é\n")
        assert terminal.wait() == 0
    assert terminal.said == "Who? Ada é\r\nHello Ada é\r\n"


ASK_SECRET = "import getpass\nprint(len(getpass.getpass('Secret: ')))"


def test_a_password_is_not_shown(env: dict[str, str]) -> None:
    with Terminal([BINARY, "run", "-e", ASK_SECRET], env) as terminal:
        terminal.wait_for("Secret: ")
        assert not terminal.echoes()
        terminal.type("hunter2\n")
        assert terminal.wait() == 0
        assert terminal.is_as_before()
    assert terminal.said == "Secret: \r\n7\r\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_the_terminal_is_put_right_when_a_signal_ends_it(
    env: dict[str, str], number: int
) -> None:
    with Terminal([BINARY, "run", "-e", ASK_SECRET], env) as terminal:
        terminal.wait_for("Secret: ")
        assert not terminal.echoes()
        terminal.process.send_signal(number)
        assert terminal.wait() == 130
        assert terminal.is_as_before()


def test_the_terminal_is_put_right_when_the_time_is_over(env: dict[str, str]) -> None:
    command = [BINARY, "run", "--timeout", "1", "-e", ASK_SECRET]
    with Terminal(command, env) as terminal:
        assert terminal.wait() == 124
        assert terminal.is_as_before()


def test_one_interrupt_keeps_the_variables(cellwall: Run, env: dict[str, str]) -> None:
    with start(env, "run", "--context", "int", "-e", "x = 7\n" + WAITS) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130
        assert process.stderr.read().endswith("; variables are kept\n")
    assert cellwall("run", "--context", "int", "-e", "x").stdout == "7\n"
    assert cellwall("context", "delete", "int").returncode == 0


DEAF = """
import time
while True:
    try:
        print('again', flush=True)
        time.sleep(1000)
    except KeyboardInterrupt:
        pass
"""


def press_until_it_kills(process: subprocess.Popen[str]) -> None:
    """On a busy machine a second press comes too late to count as one."""
    assert process.stdout is not None and process.stderr is not None
    said = process.stdout
    while said is process.stdout:
        assert process.stdout.readline() == "again\n"
        process.send_signal(signal.SIGINT)
        said = select.select([process.stderr, process.stdout], [], [], TIMEOUT_S)[0][0]
    assert "killing the interpreter" in process.stderr.readline()


def test_a_second_interrupt_kills(cellwall: Run, env: dict[str, str]) -> None:
    words = ["run", "--context", "deaf", "--timeout", "0", "-e", DEAF]
    with start(env, *words) as process:
        press_until_it_kills(process)
        assert process.stderr is not None
        assert process.wait(TIMEOUT_S) == 130
        assert "variables are lost" in process.stderr.read()
    assert cellwall("context", "delete", "deaf").returncode == 0


def test_a_third_interrupt_leaves_at_once(env: dict[str, str]) -> None:
    with Server(BINARY, "--python", sys.executable) as own:
        words = ["run", "--context", "deaf", "--timeout", "0", "-e", DEAF]
        with start({**env, **own.env}, *words) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == "again\n"
            own.process.send_signal(signal.SIGSTOP)  # it will not answer
            process.send_signal(signal.SIGINT)
            while not select.select([process.stderr], [], [], 0.1)[0]:
                process.send_signal(signal.SIGINT)
            assert "killing the interpreter" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT_S) == 130
            assert process.stderr.read() == ""
        own.process.send_signal(signal.SIGCONT)


def test_a_server_that_dies_is_noticed(env: dict[str, str]) -> None:
    with Server(BINARY, "--python", sys.executable) as own:
        with start({**env, **own.env}, "run", "-e", WAITS) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == "begun\n"
            own.kill()
            assert process.wait(TIMEOUT_S) == 125
            assert "has ended" in process.stderr.read()
