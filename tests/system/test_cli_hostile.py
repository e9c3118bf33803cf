# SPDX-License-Identifier: MIT
"""What careless people type, and hostile code prints."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from tests.system.commandline import (
    EMBEDDED,
    PNG,
    TIMEOUT_S,
    WAITS,
    Run,
    assert_nothing_is_left,
    display,
    start,
)
from tests.system.conftest import BINARY
from tests.system.servers import Server

pytest_plugins = ["tests.system.commandline_fixtures"]
pytestmark = pytest.mark.cellwall


def with_closed(closing: str, env: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of the program, started by a shell that closes some."""
    script = f'exec "$0" "$@" {closing}'
    run = subprocess.run(
        ["sh", "-c", script, BINARY, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


UNWRITABLE = "cellwall: run: cannot write to stdout: Bad file descriptor\n"


def test_closed_streams_are_noticed(env: dict[str, str]) -> None:
    assert with_closed("<&-", env, "run", "-e", "1") == (0, "1\n", "")
    status, _, said = with_closed("<&-", env, "run", "-e", "input()")
    assert status == 1 and "EOFError" in said
    status, _, said = with_closed("<&-", env, "run", "-")
    assert status == 2 and "cannot read stdin" in said
    assert with_closed(">&-", env, "run", "-e", "1") == (1, "", UNWRITABLE)
    code = "import sys; print('lost', file=sys.stderr); 7"
    assert with_closed("2>&-", env, "run", "-e", code) == (0, "7\n", "")
    assert with_closed("2>&-", env, "run", "-e", "1 / 0") == (1, "", "")
    assert with_closed("<&- >&- 2>&-", env, "run", "-e", "1") == (1, "", "")
    assert with_closed("<&- >&- 2>&-", env, "run", "-e", "") == (0, "", "")
    status, _, said = with_closed(">&-", env, "context", "list")
    assert status == 1 and "cannot write to stdout" in said


def test_a_server_for_the_call_needs_no_streams(alone: dict[str, str]) -> None:
    assert with_closed("<&- >&- 2>&-", alone, *EMBEDDED, "-e", "") == (0, "", "")
    assert with_closed("<&- 2>&-", alone, *EMBEDDED, "-e", "6 * 7") == (0, "42\n", "")
    assert_nothing_is_left(alone)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["doctor"],
        ["doctor", "--json"],
        ["context", "list"],
        ["run", "-e", "1"],
        ["run", "--json", "-e", "1"],
    ],
)
def test_a_full_disk_behind_stdout_is_told(cellwall: Run, words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        run = cellwall(*words, capture_output=False, stdout=full, stderr=-1)
    assert run.returncode == 1
    assert re.search("cannot write to stdout(: No space left on device)?$", run.stderr)
    assert run.stderr.count("\n") == 1


def test_what_cannot_be_code_is_told_in_a_line(cellwall: Run, tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_bytes(b"\x7fELF\x02\x01\x01\x00\xff\xfe")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "dangling.py").symlink_to("nowhere")
    with open(tmp_path / "huge.py", "wb") as file:
        file.truncate(33 << 20)
    for name, why in {
        "binary.py": "not UTF-8 text",
        "folder.py": "Is a directory",
        "dangling.py": "No such file",
        "huge.py": "larger than",
        "/dev/zero": "larger than",
        "/proc/self/mem": "Input/output error",
        "": "empty",
        "new\x9bline\n\x1b[2J.py": "new??line??[2J.py",
    }.items():
        run = cellwall("run", name)
        assert (run.returncode, run.stdout) == (2, ""), name
        assert why in run.stderr and run.stderr.count("\n") == 1, run.stderr
        assert "\x1b" not in run.stderr and "\x9b" not in run.stderr


def test_a_file_may_have_the_name_of_an_option(cellwall: Run, tmp_path: Path) -> None:
    (tmp_path / "-e").write_text("print('minus e')")
    (tmp_path / "--json").write_text("print('json')")
    assert cellwall("run", "--", "-e").stdout == "minus e\n"
    assert cellwall("run", "./--json").stdout == "json\n"
    assert cellwall("run", "/dev/null").returncode == 0


def test_code_is_given_once(cellwall: Run) -> None:
    run = cellwall("run", "-e", "1", "-e", "2")
    assert run.returncode == 2 and "not several" in run.stderr


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a/b", "letters, digits"),
        ("../../etc", "letters, digits"),
        ("two\nlines\x1b[2J", "letters, digits"),
        ("ctx_forged", "ctx_"),
        ("x" * 500, "64 bytes"),
        (b"\xff\xfe", "not UTF-8"),
        ("", "empty"),
    ],
)
def test_a_name_that_is_none_makes_no_context(
    cellwall: Run, name: str | bytes, why: str
) -> None:
    before = cellwall("context", "list", "--json").stdout
    run = cellwall("run", "--context", name, "-e", "1", errors="replace")
    assert (run.returncode, run.stdout) == (2, "")
    assert why in run.stderr and run.stderr.count("\n") == 1
    assert "\x1b" not in run.stderr and "protocol" not in run.stderr
    assert cellwall("context", "list", "--json").stdout == before


@pytest.mark.parametrize(
    "words",
    [
        ["run", "-e", b"'\xff'"],
        ["run", "--language", b"\xff", "-e", "1"],
        ["run", "--env", b"A=\xff", "-e", "1"],
        ["run", "--limits", b"\xff", "-e", "1"],
        ["run", b"\xff"],
        ["context", "show", b"\xff"],
        ["context", "create", "--name", b"\xff"],
        ["context", "create", "--label", b"a=\xff"],
        ["context", "delete", b"\xff"],
    ],
)
def test_bytes_that_are_no_text_are_wrong_usage(
    cellwall: Run, words: list[str | bytes]
) -> None:
    run = cellwall(*words, errors="replace")
    assert (run.returncode, run.stdout) == (2, ""), run.stderr
    assert run.stderr.count("\n") == 1


def test_a_server_that_cannot_be_used_is_told_in_a_line(
    cellwall: Run, tmp_path: Path
) -> None:
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "odd.json").write_text('{"endpoint": "gopher://x", "key": "k"}')
    for name, why in {
        "/etc/shadow": "not JSON",
        "list.json": "list.json",
        "odd.json": "gopher://x is not ipc:// or tcp://",
        "/tmp": "Is a directory",
        "tcp://127.0.0.1:7411": "is an address",
        "/nowhere/server.json": 'start it with "cellwall serve"',
    }.items():
        run = cellwall("run", "--server", name, "-e", "1")
        assert (run.returncode, run.stdout) == (125, ""), name
        assert why in run.stderr and run.stderr.count("\n") == 1, run.stderr
        assert "root:" not in run.stderr


def test_why_a_server_does_not_answer_is_guessed(
    server: Server, env: dict[str, str], tmp_path: Path
) -> None:
    described = server.description() | {"key": "another"}
    (tmp_path / "key.json").write_text(json.dumps(described))
    (tmp_path / "old.json").write_text(json.dumps(described | {"version": "0.0.1"}))
    words = ["run", "-e", "1", "--server"]
    with (
        start(env, *words, str(tmp_path / "key.json")) as key,
        start(env, *words, str(tmp_path / "old.json")) as old,
    ):
        _, said = key.communicate(timeout=TIMEOUT_S)
        assert key.returncode == 125 and "the key in your file" in said
        _, said = old.communicate(timeout=TIMEOUT_S)
        assert old.returncode == 125 and "it is Cellwall 0.0.1" in said


def test_pictures_that_are_none_are_told(cellwall: Run, tmp_path: Path) -> None:
    code = display({"image/png": "", "text/plain": "<x>"})
    code += display({"image/png": "?!", "text/plain": "<x>"})
    code += display({"image/png": PNG[:-8] + "====", "text/plain": "<x>"})
    code += "display({'image/png': 5, 'image/jpeg': None}, raw=True)\n"
    run = cellwall("run", "-e", code)
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.splitlines()) == {"[image/png: its data is damaged]"}
    assert list(tmp_path.iterdir()) == []


def test_a_flood_of_pictures_ends(cellwall: Run, tmp_path: Path) -> None:
    code = display({"image/png": PNG})
    code += f"for i in range(249): display({{'image/png': {PNG!r}}}, raw=True)"
    run = cellwall("run", "--image-dir", "new", "-e", code)
    assert len(list((tmp_path / "new").iterdir())) == 200
    assert run.stdout.count("not saved: more than 200 files") == 50
    assert run.returncode == 1
    assert run.stderr.startswith("cellwall: run: 50 of its images could not be saved")


def test_a_picture_that_cannot_be_saved_is_told(cellwall: Run, tmp_path: Path) -> None:
    code = display({"image/png": PNG}) + "print('after')"
    run = cellwall("run", "-e", code, cwd="/proc")  # not even root can write there
    assert run.stdout.startswith("[image/png: cannot save image-1.png: ")
    assert run.stdout.endswith("]\nafter\n")
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1 and "--image-dir" in run.stderr
    (tmp_path / "taken").write_text("")
    run = cellwall("run", "--image-dir", "taken", "-e", code)
    assert run.returncode == 1 and "taken" in run.stdout


def test_a_full_disk_leaves_no_half_picture(cellwall: Run, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4, resource.RLIM_INFINITY))

    run = cellwall("run", "-e", display({"image/png": PNG}), preexec_fn=limit)
    assert run.stdout == "[image/png: cannot write image-1.png: File too large]\n"
    assert run.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_pictures_follow_no_links(cellwall: Run, tmp_path: Path) -> None:
    (tmp_path / "image-1.png").symlink_to("elsewhere.png")
    run = cellwall("run", "-e", display({"image/png": PNG}))
    assert run.stdout == "[image/png: image-2.png]\n"
    assert not (tmp_path / "elsewhere.png").exists()


def test_a_flood_of_text_is_cut_and_that_is_told(cellwall: Run) -> None:
    code = "for i in range(2000): print('x' * 50000)"
    run = cellwall("run", "-e", code)
    assert run.returncode == 0
    assert 1 << 20 < len(run.stdout) < 10 << 20
    assert "of 100002000 bytes are kept" in run.stderr
    assert run.stderr.count("\n") == 1


def start_ignoring(number: int, env: dict[str, str]) -> subprocess.Popen[str]:
    words = ["run", "--timeout", "0", "-e", WAITS]
    before = signal.signal(number, signal.SIG_IGN)
    try:
        return subprocess.Popen(
            [BINARY, *words],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_signals_that_it_was_started_to_ignore_are(
    env: dict[str, str], number: int
) -> None:
    with start_ignoring(number, env) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        other = signal.SIGTERM if number == signal.SIGINT else signal.SIGINT
        process.send_signal(other)
        assert process.wait(TIMEOUT_S) == 130
        # Only the interrupt lets the code say something.
        assert ("KeyboardInterrupt" in process.stderr.read()) is (other == signal.SIGINT)


def test_a_server_behind_nohup_stays(cellwall: Run, env: dict[str, str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        own = Server(BINARY, "--reserve", "0", "--no-zygote")
    finally:
        signal.signal(signal.SIGHUP, before)
    with own:
        os.kill(own.pid, signal.SIGHUP)
        for _ in range(3):
            assert cellwall("context", "list", env={**env, **own.env}).returncode == 0
        assert own.process.poll() is None
        assert own.close() == 0
