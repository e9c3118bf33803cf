# SPDX-License-Identifier: MIT
"""Jobs, sizes and colours: the command line on terminals of several kinds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.system.commandline import EMBEDDED, Run
from tests.system.conftest import BINARY
from tests.system.terminal import TIMEOUT_S, Terminal

pytest_plugins = ["tests.system.commandline_fixtures"]
pytestmark = pytest.mark.cellwall

ASK_SECRET = "import getpass\nprint(len(getpass.getpass('Secret: ')))"


def in_a_shell(script: str, *words: str) -> list[str | Path]:
    """A shell with job control; $CW in SCRIPT is the command."""
    return ["sh", "-m", "-c", script.replace("$CW", '"$0" "$@"'), BINARY, *words]


def test_a_stopped_question_leaves_the_terminal_to_the_shell(
    env: dict[str, str],
) -> None:
    script = "$CW; echo stopped $?; read line; fg >/dev/null; echo ended $?"
    command = in_a_shell(script, "run", "--timeout", "0", "-e", ASK_SECRET)
    with Terminal(command, env) as terminal:
        terminal.wait_for("Secret: ")
        assert not terminal.echoes()
        terminal.press_stop()
        terminal.wait_for(r"stopped 1\d\d")
        assert terminal.echoes()
        terminal.type("\n")
        end = time.monotonic() + TIMEOUT_S
        while terminal.echoes():  # until it has the terminal again
            assert time.monotonic() < end
        terminal.type("hunter2\n")
        terminal.wait_for("ended 0")
        assert terminal.wait() == 0
        assert terminal.is_as_before()
    assert "hunter2" not in terminal.text and "\r\n7\r\n" in terminal.text


def test_a_stopped_run_goes_on(env: dict[str, str]) -> None:
    code = "print('begun', flush=True)\nprint('got', input())"
    script = "$CW; echo stopped $?; fg >/dev/null; echo ended $?"
    command = in_a_shell(script, "run", "--timeout", "0", "-e", code)
    with Terminal(command, env) as terminal:
        terminal.wait_for("begun")
        terminal.press_stop()
        terminal.wait_for("stopped")
        terminal.type("a line\n")
        terminal.wait_for("got a line")
        assert terminal.wait() == 0
        terminal.wait_for("ended 0")


def test_a_run_in_the_background_shows_no_progress(env: dict[str, str]) -> None:
    code = "import time\ntime.sleep(3.5)\nprint('done')"
    with Terminal(in_a_shell("$CW & wait", "run", "-e", code), env) as terminal:
        assert terminal.wait() == 0
    assert "done" in terminal.text
    assert "running" not in terminal.text and "\x1b[K" not in terminal.text


def test_progress_fits_into_a_terminal_that_is_made_smaller(env: dict[str, str]) -> None:
    code = "print('begun', flush=True)\nimport time\ntime.sleep(1000)"
    with Terminal([BINARY, "run", "--timeout", "0", "-e", code], env) as terminal:
        terminal.wait_for(r"running \d+ s; \^C interrupts")
        terminal.resize(12)
        terminal.wait_for(r"\x1b\[2mrunning \d+ ?s?\x1b\[0m")
        terminal.press_interrupt()
        assert terminal.wait() == 130


COLOURLESS = [{"NO_COLOR": "1"}, {"TERM": "dumb"}]


@pytest.mark.parametrize("extra", COLOURLESS)
def test_a_terminal_without_colours_gets_none(
    env: dict[str, str], extra: dict[str, str]
) -> None:
    code = "import time\nprint('a')\ntime.sleep(2.5)\n1 / 0"
    with Terminal([BINARY, "run", "-e", code], {**env, **extra}) as terminal:
        assert terminal.wait() == 1
    assert "\x1b[3" not in terminal.text and "\x1b[0m" not in terminal.text
    assert ("\x1b" in terminal.text) is ("TERM" not in extra)  # progress, without colours


def test_no_colour_is_wanted_when_the_variable_is_empty(env: dict[str, str]) -> None:
    with Terminal([BINARY, "run", "-e", "1 / 0"], {**env, "NO_COLOR": ""}) as terminal:
        assert terminal.wait() == 1
    assert "\x1b[" in terminal.text


def test_whose_message_it_is_stands_out(env: dict[str, str]) -> None:
    for extra, begins in (
        ({}, "\x1b[1mcellwall:\x1b[0m run: "),
        *((extra, "cellwall: run: ") for extra in COLOURLESS),
    ):
        with Terminal([BINARY, "run", "no\x1b[2Jne"], {**env, **extra}) as terminal:
            assert terminal.wait() == 2
        assert terminal.text.startswith(begins) and "\x1b[2J" not in terminal.text


def test_code_is_typed_on_a_terminal(env: dict[str, str]) -> None:
    with Terminal([BINARY, "run", "-"], env) as terminal:
        terminal.wait_for("Ctrl-D")
        terminal.type("print(6 *\n7)\n\x04")
        assert terminal.wait() == 0
    assert terminal.said.endswith("7)\r\n42\r\n")


def test_json_on_a_terminal_is_indented_and_harmless(env: dict[str, str]) -> None:
    code = "print('\\x1b]0;t\\x07\\x9b6n')"
    with Terminal([BINARY, "run", "--json", "-e", code], env) as terminal:
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.said and "\x9b" not in terminal.said
    reply = json.loads(terminal.said)
    assert reply["logs"]["stdout"] == "\x1b]0;t\x07\x9b6n\n"
    assert "\r\n  " in terminal.said


def test_doctor_has_colours_on_a_terminal_alone(
    cellwall: Run, env: dict[str, str]
) -> None:
    with Terminal([BINARY, "doctor"], env) as terminal:
        status = terminal.wait()
    assert "\x1b[1mtier: " in terminal.text and "\x1b[32mok\x1b[0m" in terminal.text
    for extra in COLOURLESS:
        with Terminal([BINARY, "doctor"], {**env, **extra}) as terminal:
            assert terminal.wait() == status
        assert "\x1b" not in terminal.text
    with Terminal([BINARY, "doctor", "--json"], env) as terminal:
        assert terminal.wait() == status
    assert "\x1b" not in terminal.text and json.loads(terminal.text)["layers"]
    assert "\x1b" not in cellwall("doctor").stdout


def test_a_server_is_started_and_ended_by_a_person(alone: dict[str, str]) -> None:
    words = ["--reserve", "0", "--no-zygote", *EMBEDDED[1:]]
    with Terminal([BINARY, "serve", *words], alone) as terminal:
        terminal.wait_for("\x1b\\[1mcellwall:\x1b\\[0m ready: .*agent.sock")
        with Terminal([BINARY, "serve", *words], {**alone, "TERM": "dumb"}) as second:
            assert second.wait() == 125
        assert second.text.count("\n") == 1 and second.text.startswith("cellwall: serve")
        terminal.press_interrupt()
        assert terminal.wait() == 0
