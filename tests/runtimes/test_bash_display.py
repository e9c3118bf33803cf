# SPDX-License-Identifier: MIT
"""Rich output by the programs `display` and `clear`."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.runtimes.framelib import Runner

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def test_files_and_pipes_are_shown(bash: Runner, tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(PNG)
    (tmp_path / "note.md").write_text("# ü")
    outcome = bash.run("display plot.png; cat plot.png | display; display note.md")
    first, second, third = outcome.displays
    assert base64.b64decode(first["image/png"]) == PNG
    assert first == second
    assert third["text/markdown"] == "# ü"


@pytest.mark.parametrize(
    ("command", "mime", "value"),
    [
        ("display --html '<b>x</b>'", "text/html", "<b>x</b>"),
        ("display --json '{\"a\": [1]}'", "application/json", {"a": [1]}),
        ("echo 1 | display --mime application/vnd.x+json", "application/vnd.x+json", 1),
        ("printf a | display --mime image/png", "image/png", "YQ=="),
        ("printf abcd | display --mime image/png", "image/png", "YWJjZA=="),
        ("display --latex x", "text/latex", "x"),
        ("display --text x", "text/plain", "x"),
        ("display --svg '<svg/>'", "image/svg+xml", "<svg/>"),
    ],
)
def test_types(shell: Runner, command: str, mime: str, value: object) -> None:
    (shown,) = shell.run(command).displays
    assert shown[mime] == value


def test_displays_keep_their_place(shell: Runner) -> None:
    outcome = shell.run(
        "for i in 1 2 3; do echo o$i; display --text d$i; echo e$i >&2; clear; done"
    )
    kinds = [frame.type for frame in outcome.frames()]
    assert kinds == ["stream", "display_data", "stream", "clear_output"] * 3


def test_updates_and_sizes(shell: Runner) -> None:
    outcome = shell.run(
        "display --id p --text a; display --id p --update --text b\n"
        "printf x | display --mime image/png --width 5 --height 6; display --clear --wait"
    )
    first, update, sized, cleared = outcome.frames()
    assert (
        first.content["transient"] == update.content["transient"] == {"display_id": "p"}
    )
    assert update.type == "update_display_data"
    assert sized.content["metadata"] == {"image/png": {"width": 5, "height": 6}}
    assert cleared.content == {"wait": True}


@pytest.mark.parametrize(
    "command",
    [
        "display no_such_file",
        "display --json '{'",
        "display --mime 'image png' --text x",
        "display --mime text/plain --update --text x",
        "printf '\\xff' | display",
        "head -c 70000000 /dev/zero | display --mime image/png",
        "display --no-such-option",
        "display --width 0 --text x",
        "env -u CELLWALL_DISPLAY display --text x",
        "CELLWALL_DISPLAY=/dev/null display --text x; false",
    ],
)
def test_what_cannot_be_shown_is_refused_with_words(shell: Runner, command: str) -> None:
    outcome = shell.run(command)
    assert outcome.displays == []
    assert outcome.reply.content["exit_status"] != 0
    assert outcome.stderr or "CELLWALL_DISPLAY=" in command


def test_nonsense_to_the_runner_is_dropped(shell: Runner, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text('{"data": 1}')
    program = (
        "import os, struct, sys\n"
        "fd = os.open(os.environ['CELLWALL_DISPLAY'], os.O_WRONLY)\n"
        "for kind in range(5):\n"
        "    for path in sys.argv[1:]:\n"
        "        os.write(fd, struct.pack('IIQQ1024s', kind, 0, 0, 0, path.encode()))\n"
        "os.write(fd, b'x' * 3000); os.write(fd, b'y')\n"
    )
    (tmp_path / "forge.py").write_text(program)
    outcome = shell.run(
        f"python3 {tmp_path}/forge.py {tmp_path}/bad /dev/zero /nowhere {tmp_path} ''"
    )
    assert outcome.displays == [] and outcome.status == "ok"
    assert shell.run("display --text after").displays == [{"text/plain": "after"}]


def test_a_late_display_belongs_to_its_cell(bash: Runner) -> None:
    bash.run("mkfifo go")
    number = bash.begin_run("{ read x <go; display --text late; echo 1 >go; } &")
    bash.finish(number)
    outcome = bash.run("echo 1 >go; read x <go")
    (shown,) = outcome.frames("display_data")
    assert shown.number == number


def test_nothing_is_left_behind(bash: Runner, tmp_path: Path) -> None:
    bash.run("export TMPDIR=$PWD; display --text x; clear")
    assert list(tmp_path.iterdir()) == []
