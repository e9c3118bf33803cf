# SPDX-License-Identifier: MIT
"""`cellwall run` where no server runs: one for the call, which leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.system.commandline import (
    EMBEDDED,
    TIMEOUT_S,
    WAITS,
    Run,
    assert_nothing_is_left,
    start,
)

pytest_plugins = ["tests.system.commandline_fixtures"]
pytestmark = pytest.mark.cellwall


def test_a_server_is_started_for_the_call_alone(
    cellwall: Run, alone: dict[str, str]
) -> None:
    run = cellwall(*EMBEDDED, "-e", "1 + 1", env=alone)
    assert (run.returncode, run.stdout, run.stderr) == (0, "2\n", "")
    # It has waited for all to go: nothing is waited for here.
    assert list(Path(alone["XDG_RUNTIME_DIR"]).iterdir()) == []
    assert_nothing_is_left(alone)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
)
def test_nothing_is_left_when_a_signal_ends_the_call(
    alone: dict[str, str], number: int
) -> None:
    with start(alone, *EMBEDDED, "--timeout", "0", "-e", WAITS) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        status = process.wait(TIMEOUT_S)
        assert status == (-number if number == signal.SIGKILL else 130)
    assert_nothing_is_left(alone)


@pytest.mark.parametrize(
    ("words", "status"),
    [(["run", "-e", "1"], 130), (["doctor"], -signal.SIGINT), (["serve"], 0)],
)
def test_nothing_is_left_when_an_interpreter_that_hangs_is_given_up(
    alone: dict[str, str], tmp_path: Path, words: list[str], status: int
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho begun >'{pipe}'\nexec sleep 1000\n")
    python.chmod(0o755)
    with start(alone, *words, "--python", str(python)) as process:
        assert pipe.read_text() == "begun\n"
        process.send_signal(signal.SIGTERM if status == 0 else signal.SIGINT)
        assert process.wait(TIMEOUT_S) == status
    shutil.rmtree(Path(alone["XDG_RUNTIME_DIR"]) / "cellwall", ignore_errors=True)
    assert_nothing_is_left(alone)


def test_a_server_that_does_not_start_says_why(
    cellwall: Run, alone: dict[str, str], tmp_path: Path
) -> None:
    env = {**alone, "CELLWALL_RUNTIMES": str(tmp_path / "nothing")}
    run = cellwall("run", "-e", "1", env=env)
    assert run.returncode in (2, 125)
    assert run.stderr.count("\n") == 1 and run.stdout == ""
    assert_nothing_is_left(alone)


def test_a_stale_server_file_counts_as_none(cellwall: Run, alone: dict[str, str]) -> None:
    folder = Path(alone["XDG_RUNTIME_DIR"]) / "cellwall"
    folder.mkdir(mode=0o700)
    endpoint = f"ipc://{folder}/agent.sock"
    (folder / "server.json").write_text(json.dumps({"endpoint": endpoint, "key": "k"}))
    assert cellwall(*EMBEDDED, "-e", "1", env=alone).stdout == "1\n"
    run = cellwall("context", "list", env=alone)
    assert run.returncode == 125 and "cellwall serve" in run.stderr
    shutil.rmtree(folder)
    assert_nothing_is_left(alone)
