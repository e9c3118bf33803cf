# SPDX-License-Identifier: MIT
"""`cellwall context`: the contexts of a server from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.system.commandline import TIMEOUT_S, WAITS, Run, start
from tests.system.conftest import BINARY
from tests.system.terminal import Terminal

pytest_plugins = ["tests.system.commandline_fixtures"]
pytestmark = pytest.mark.cellwall


def listed(cellwall: Run, label: str) -> list[dict[str, object]]:
    return json.loads(cellwall("context", "list", "--json", "--label", label).stdout)


def test_contexts_are_made_listed_shown_and_deleted(cellwall: Run) -> None:
    made = cellwall(
        "context", "create", "--name", "one", "--label", "job=7", "--limits", "time=60"
    )
    assert made.returncode == 0, made.stderr
    name = made.stdout.strip()
    assert name.startswith("ctx_")
    again = cellwall("context", "create", "--name", "one")
    assert again.returncode == 1 and "one" in again.stderr
    assert cellwall("context", "create", "--name", "one", "--use").stdout == made.stdout

    table = cellwall("context", "list", "--label", "job=7").stdout.splitlines()
    assert table[0].split() == ["ID", "NAME", "LANGUAGE", "STATE", "RUNS", "USED"] + [
        "LABELS"
    ]
    assert [line.split()[:3] for line in table[1:]] == [[name, "one", "python"]]
    assert cellwall("context", "list", "--label", "job=8").stdout.count("\n") == 1
    (found,) = listed(cellwall, "job=7")
    assert found["id"] == name and found["limits"]["run_ms"] == 60000  # type: ignore

    shown = dict(
        line.split(None, 1)
        for line in cellwall("context", "show", "one").stdout.splitlines()
    )
    assert shown["id"] == name
    assert shown["limits.run_ms"] == "60000"
    assert shown["isolation"] in ("full", "nested")
    assert shown["files"] == "0, 0 bytes"
    shown = json.loads(cellwall("context", "show", "--json", name).stdout)
    assert shown["context"]["name"] == "one" and shown["executions"] == []

    gone = cellwall("context", "delete", "nobody", name)
    assert gone.returncode == 1 and '"cellwall context list"' in gone.stderr
    assert listed(cellwall, "job=7") == []


def test_contexts_are_restarted_and_interrupted(
    cellwall: Run, env: dict[str, str]
) -> None:
    assert cellwall("run", "--context", "two", "-e", "x = 1").returncode == 0
    idle = json.loads(cellwall("context", "interrupt", "--json", "two").stdout)
    assert [one["interrupted"] for one in idle] == [False]
    with start(env, "run", "--context", "two", "-e", WAITS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert cellwall("context", "interrupt", "two").returncode == 0
        assert process.wait(TIMEOUT_S) == 130
    assert cellwall("run", "--context", "two", "-e", "x").stdout == "1\n"
    assert cellwall("context", "restart", "two").returncode == 0
    assert cellwall("run", "--context", "two", "-e", "x").returncode == 1
    assert cellwall("context", "delete", "two").returncode == 0


def test_files_go_in_and_out(cellwall: Run, tmp_path: Path) -> None:
    assert cellwall("context", "create", "--name", "files").returncode == 0
    data = os.urandom(9 * 1024 * 1024)  # more than one message has
    (tmp_path / "in.bin").write_bytes(data)
    assert cellwall("context", "put", "files", "in.bin").returncode == 0
    assert cellwall("context", "put", "files", "in.bin", "a/b.bin").returncode == 0
    put = cellwall("context", "put", "files", "-", "empty", input="")
    assert put.returncode == 0, put.stderr
    code = "import hashlib; hashlib.sha256(open('a/b.bin', 'rb').read()).hexdigest()"
    assert cellwall("run", "--context", "files", "-e", code).returncode == 0
    assert cellwall("context", "get", "files", "a/b.bin", "out.bin").returncode == 0
    assert (tmp_path / "out.bin").read_bytes() == data
    get = cellwall("context", "get", "files", "in.bin", "-", text=False)
    assert get.stdout == data
    entries = json.loads(cellwall("context", "files", "--json", "-r", "files").stdout)
    sizes = {entry["path"]: entry["size"] for entry in entries if entry["type"] == "file"}
    assert sizes == {"in.bin": len(data), "a/b.bin": len(data), "empty": 0}
    assert "a/b.bin" in cellwall("context", "files", "-r", "files").stdout
    assert "b.bin" in cellwall("context", "files", "files", "a").stdout
    assert cellwall("context", "rm", "-r", "files", "a", "in.bin").returncode == 0
    missing = cellwall("context", "get", "files", "in.bin")
    assert missing.returncode == 1 and "in.bin" in missing.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.bin", "out.bin"]
    assert cellwall("context", "delete", "files").returncode == 0


def test_names_of_files_are_harmless_on_a_terminal(
    cellwall: Run, env: dict[str, str]
) -> None:
    code = "open('evil\\x1b]0;t\\x07\\x9b6n', 'w').close()"
    assert cellwall("run", "--context", "names", "-e", code).returncode == 0
    with Terminal([BINARY, "context", "files", "names"], env) as terminal:
        assert terminal.wait() == 0
    assert "evil" in terminal.text
    assert "\x1b" not in terminal.text and "\x9b" not in terminal.text
    assert cellwall("context", "delete", "names").returncode == 0


def test_a_context_is_opened_to_jupyter(cellwall: Run) -> None:
    assert cellwall("context", "create", "--name", "lab").returncode == 0
    opened = cellwall("context", "jupyter", "lab")
    assert opened.returncode == 0, opened.stderr
    file = Path(opened.stdout.splitlines()[0])
    assert json.loads(file.read_text())["transport"]
    assert f"jupyter console --existing {file}" in opened.stdout
    assert cellwall("context", "jupyter", "--close", "lab").returncode == 0
    assert not file.exists()
    assert cellwall("context", "delete", "lab").returncode == 0


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["show"], ["show", "a", "b"], ["put", "a"], ["list", "x"]]
)
def test_wrong_usage_of_context_is_told_in_a_line(
    cellwall: Run, words: list[str]
) -> None:
    run = cellwall("context", *words)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1 and "--help" in run.stderr
