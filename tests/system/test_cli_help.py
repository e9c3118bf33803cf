# SPDX-License-Identifier: MIT
"""What the program says of itself: complete, and every example typed as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.commandline import TIMEOUT_S, Run
from tests.system.conftest import BINARY, ROOT
from tests.system.madebooks import code, write
from tests.system.servers import Server

pytest_plugins = ["tests.system.commandline_fixtures"]
pytestmark = pytest.mark.cellwall

COMMANDS = [
    *("kernel", "serve", "run", "context", "test", "diff"),
    *("install-kernelspec", "doctor", "keygen"),
]
PARTS = ["create", "list", "show", "delete", "restart", "interrupt"] + [
    *("files", "put", "get", "rm", "jupyter")
]
ALL = [*([command] for command in COMMANDS), *(["context", part] for part in PARTS)]
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS"]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_is_complete(cellwall: Run, words: list[str]) -> None:
    run = cellwall(*words, "--help")
    assert (run.returncode, run.stderr) == (0, "")
    headings = re.findall(r"^[A-Z ]+$", run.stdout, re.MULTILINE)
    assert set(SECTIONS) - set(headings) == set()
    assert ("ENVIRONMENT" in headings) is (words != ["keygen"])
    assert run.stdout.startswith(f"NAME\n      cellwall {' '.join(words)} - ")
    assert all(
        len(line) <= 97 and line == line.rstrip() for line in run.stdout.split("\n")
    )
    assert cellwall(*words, "-h").stdout == run.stdout


def test_the_program_lists_its_commands(cellwall: Run) -> None:
    text = cellwall("--help").stdout
    assert re.findall(r"^  ([a-z-]+) {2,}", text, re.MULTILINE) == COMMANDS
    assert cellwall("-h").stdout == text
    assert re.fullmatch(r"cellwall \d+\.\d+\.\d+\n", cellwall("--version").stdout)


def test_a_wrong_command_leads_to_help(cellwall: Run) -> None:
    for words in [], ["help"], ["run "], ["--verbose"], ["context"], ["context", "ls"]:
        run = cellwall(*words)
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.count("\n") == 1 and '--help" lists them' in run.stderr


def examples(text: str) -> list[str]:
    """The lines of the last section EXAMPLES, with those that go on put together."""
    section = text.split("EXAMPLES\n")[1].split("\n\n")[0]
    return [line.strip() for line in section.replace("\\\n", "").splitlines()]


class Typist:
    """Types lines into a shell, in a folder with the files that the examples name."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin/cellwall").symlink_to(BINARY)
        (folder / "script.py").write_text("print('ran')")
        (folder / "data.csv").write_text("a,b\n")
        self.env = {**env, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        self.folder = folder

    def __call__(self, line: str) -> str:
        """What it prints."""
        run = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert run.stderr == "" and run.returncode in (0, 1), (line, run)
        # Where the code fails, the reply says so.
        assert run.returncode == 0 or "1 / 0" in line, (line, run)
        return run.stdout


@pytest.fixture
def typed(env: dict[str, str], tmp_path: Path) -> Typist:
    return Typist(env, tmp_path)


def test_examples_of_run_do_what_they_say(cellwall: Run, typed: Typist) -> None:
    said = [typed(line) for line in examples(cellwall("run", "--help").stdout)]
    assert said == ["2\n", "ran\n", "", "42\n", "42\n", "ZeroDivisionError\n"]
    typed("cellwall context delete notes")


def test_examples_of_context_do_what_they_say(cellwall: Run, typed: Typist) -> None:
    lines = {part: examples(cellwall("context", part, "--help").stdout) for part in PARTS}
    for line in lines["create"]:
        typed(line)
    typed("cellwall run -c notes -e 'import os; os.mkdir(\"out\")'")
    for name in "out/result.csv", "log.txt":
        typed(f'cellwall run -c notes -e \'n = open("{name}", "w").write("done")\'')
    said = {
        part: "".join(typed(line) for line in lines[part])
        for part in ["list", "show", "put", "files", "get", "rm", "interrupt"]
        + ["restart", "jupyter", "delete"]
    }
    assert "job=7" in said["list"] and "limits.run_ms" in said["show"]
    assert "in/numbers.txt" in said["files"] and "data.csv" in said["files"]
    assert said["get"] == "done" and (typed.folder / "result.csv").read_text() == "done"
    assert ".json" in said["jupyter"]
    assert "notes" not in typed("cellwall context list")
    for line in examples(cellwall("context", "--help").stdout):
        typed(line)
    typed("cellwall context list --json | jq -r .[].id | xargs cellwall context delete")


def test_examples_of_diff_do_what_they_say(cellwall: Run, typed: Typist) -> None:
    book = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}'
    for name in "before", "after", "results-3.11/a", "results-3.12/a":
        (typed.folder / name).parent.mkdir(exist_ok=True)
        (typed.folder / f"{name}.ipynb").write_text(book)
    for line in examples(cellwall("diff", "--help").stdout):
        assert "1 notebook is the same" in typed(line)
    assert (typed.folder / "diff.html").exists()


def test_examples_of_test_do_what_they_say(cellwall: Run, typed: Typist) -> None:
    typed.env["JUPYTER_PATH"] = str(Path(sys.prefix, "share/jupyter"))
    cells = [code(text, count=None) for text in ("x = 6 * 7", "x", "x + 1", "x + 2")]
    for name in "analysis.ipynb", "notebooks/a.ipynb":
        write(typed.folder / name, *cells)
    said = [typed(line) for line in examples(cellwall("test", "--help").stdout)]
    assert len(said) == 6 and "1 accepted" in said[3]
    assert all("failed" not in text for text in said)
    assert (typed.folder / "report.html").exists()
    assert (typed.folder / "report.xml").exists()


def test_examples_of_doctor_do_what_they_say(cellwall: Run, typed: Typist) -> None:
    first, second = examples(cellwall("doctor", "--help").stdout)
    assert typed(first).startswith("tier: ")
    assert typed(second).startswith("{")


def test_examples_of_keygen_and_serve_fit_together(
    cellwall: Run, typed: Typist, env: dict[str, str]
) -> None:
    server_keys, client_keys, use = examples(cellwall("keygen", "--help").stdout)
    typed(server_keys)
    typed(client_keys.replace("tcp://box.example:7777", "tcp://127.0.0.1:1"))
    serve = examples(cellwall("serve", "--help").stdout)[-1]
    words = serve.replace(":7777", ":*").split()
    assert words[:2] == ["cellwall", "serve"]
    before = os.getcwd()
    os.chdir(typed.folder)
    try:
        own = Server(BINARY, *words[2:], "--no-zygote", "--reserve", "0")
    finally:
        os.chdir(before)
    with own:
        endpoint = own.description()["endpoint"]
        file = typed.folder / "ann.json"
        file.write_text(file.read_text().replace("tcp://127.0.0.1:1", endpoint))
        assert typed(use) == "2\n"


def test_the_readme_shows_what_happens(typed: Typist) -> None:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, said = example.split("\n", 1)
            assert typed(line) == said
