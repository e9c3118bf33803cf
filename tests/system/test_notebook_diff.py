# SPDX-License-Identifier: MIT
"""`cellwall diff`: what two notebooks, or two folders of them, have stored."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from tests.system.commandline import heed_signals
from tests.system.conftest import BINARY
from tests.system.madebooks import (
    TIMEOUT_S,
    Outcome,
    code,
    error,
    read_events,
    result,
    shown,
    stream,
    write,
)

pytestmark = pytest.mark.cellwall


def run(
    folder: Path, *words: str | Path, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BINARY, "diff", *words],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def diff(folder: Path, *words: str | Path) -> Outcome:
    """Calls it in FOLDER, for the events, too."""
    file = folder / "events.jsonl"
    done = run(folder, "--report", f"jsonl={file}", *words)
    return Outcome(done.returncode, done.stdout, done.stderr, read_events(file))


def two(folder: Path, *words: str | Path) -> Outcome:
    return diff(folder, *words, "a.ipynb", "b.ipynb")


def kinds(outcome: Outcome, name: str = "b.ipynb") -> list[str | None]:
    """Of each cell's reason."""
    return [c["reason"] and c["reason"]["kind"] for c in outcome.cells(name)]


def configure(folder: Path, **members: object) -> Path:
    file = folder / "cellwall-test.json"
    file.write_text(json.dumps(members))
    return file


def without_ids(path: Path) -> None:
    book = json.loads(path.read_text())
    for cell in book["cells"]:
        del cell["id"]
    path.write_text(json.dumps({**book, "nbformat_minor": 4}))


def picture(colour: tuple[int, int, int]) -> dict[str, str]:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return {"image/png": base64.b64encode(out.getvalue()).decode()}


# --- two notebooks ---


def test_a_notebook_is_the_same_as_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1", result("1")), code("print(2)", stream("2\n")))
    outcome = diff(tmp_path, "a.ipynb", "a.ipynb")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.statuses("a.ipynb") == ["passed", "passed"]
    assert "1 notebook is the same; 2 cells are the same" in outcome.stdout
    (begin,) = outcome.of("begin")
    assert (begin["mode"], begin["jobs"]) == ("diff", 1)
    assert begin["notebooks"] == [
        {"path": "a.ipynb", "cells": 2, "expected_seconds": None}
    ]
    assert outcome.of("notebook_begin")[0]["kernel"] == "python3"
    assert (outcome.end["status"], outcome.end["cells"]) == ("passed", {"passed": 2})


def test_what_means_nothing_does_not_differ(tmp_path: Path) -> None:
    write(
        tmp_path / "a.ipynb",
        code("o", result("<X at 0x7f0011223344>"), count=1),
        code("f", result("0.30000000000000004")),
        code("h", result({"text/html": "<b class='x' id='i'>1</b>", "text/plain": "1"})),
    )
    write(
        tmp_path / "b.ipynb",
        code("o", result("<X at 0x7fffffffffff>"), count=9),
        code("f", result("0.3")),
        code("h", result({"text/html": '<b  id="i" class="x">1</b>', "text/plain": "1"})),
    )
    assert two(tmp_path).statuses("b.ipynb") == ["passed"] * 3
    assert two(tmp_path).status == 0


def test_outputs_that_differ_are_told_with_their_lines_and_numbers(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.ipynb", code("x", stream("one\nmean 1.5\n")), code("y"))
    write(tmp_path / "b.ipynb", code("x", stream("one\nmean 2.5\n")), code("y"))
    outcome = two(tmp_path)
    cell = outcome.cell("b.ipynb")
    assert outcome.status == 1
    assert outcome.statuses("b.ipynb") == ["failed", "passed"]
    assert (cell["reason"]["kind"], cell["compared"]) == ("differs", True)
    (difference,) = cell["differences"]
    assert difference["type"] == "stdout"
    assert ["-", "mean 1.5"] in difference["lines"]
    assert difference["numbers"][0]["distance"] == pytest.approx(1)
    assert "- mean 1.5" in outcome.stdout and "+ mean 2.5" in outcome.stdout
    assert outcome.notebook("b.ipynb")["counts"] == {"passed": 1, "failed": 1}


def test_errors_are_outputs_like_others(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1", error("ValueError", "old")))
    write(tmp_path / "b.ipynb", code("1", error("ValueError", "new")))
    assert kinds(two(tmp_path)) == ["differs"]


def test_a_source_that_has_changed_is_told_with_its_lines(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("x = 1.0\ny"), code("print(1)", stream("1\n")))
    write(tmp_path / "b.ipynb", code("x = 1.00\ny"), code("print(2)", stream("2\n")))
    outcome = two(tmp_path)
    assert (outcome.status, kinds(outcome)) == (1, ["changed", "changed"])
    (source,) = outcome.cell("b.ipynb", 0)["differences"]
    assert (source["type"], source["expected"]) == ("source", "x = 1.0\ny")
    assert source["actual"] == "x = 1.00\ny"
    both = outcome.cell("b.ipynb", 1)["differences"]
    assert [d["type"] for d in both] == ["source", "stdout"]
    assert both[0]["lines"] == [["-", "print(1)"], ["+", "print(2)"]]


def test_sources_may_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("x = 1", result("3")))
    write(tmp_path / "b.ipynb", code("x = 2", result("3")))
    assert kinds(two(tmp_path)) == ["changed"]
    assert two(tmp_path, "--source", "yes").status == 1
    assert two(tmp_path, "--source", "no").status == 0


def test_cells_are_matched_by_id_else_by_source(tmp_path: Path) -> None:
    first, last, new = code("first", result("1")), code("last"), code("new", result("9"))
    write(tmp_path / "a.ipynb", first, code("gone"), last)
    write(tmp_path / "b.ipynb", new, first, last)
    for name in "a.ipynb", "b.ipynb":
        without_ids(tmp_path / name)
    outcome = two(tmp_path)
    assert kinds(outcome) == ["added", None, "removed", None]
    removed = outcome.cells("b.ipynb")[2]
    assert (removed["source"], removed["line"]) == ("gone", None)
    assert removed["reason"]["text"] == "it is only in a.ipynb"
    assert outcome.cell("b.ipynb", 0)["source"] == "new"


def test_text_cells_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", nbformat.v4.new_markdown_cell("old"), code("1"))
    write(tmp_path / "b.ipynb", nbformat.v4.new_markdown_cell("new"), code("1"))
    outcome = two(tmp_path)
    assert (outcome.status, outcome.cell("b.ipynb")["position"]) == (0, 1)


def test_pictures_that_differ_are_saved(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("p", shown(picture((250, 0, 0)))))
    write(tmp_path / "b.ipynb", code("p", shown(picture((0, 0, 250)))))
    (difference,) = two(tmp_path, "--results", "saved").cell("b.ipynb")["differences"]
    image = difference["image"]
    assert difference["type"] == "image/png" and image["rms"] > 100
    for role in "expected", "actual", "difference":
        path = tmp_path / image[role]
        assert path.parent == tmp_path / "saved"
        assert Image.open(path).size[0] >= 8


# --- settings ---


def test_tags_and_comments_of_b_count(tmp_path: Path) -> None:
    write(
        tmp_path / "a.ipynb",
        code("1", result("1.0"), tags=["cellwall-ignore"]),
        code("# cellwall: rtol=0.5\n2", result("1.0")),
        code("3", result("1.0"), stream("a", "stderr")),
        code("4", result("1.0")),
    )
    write(
        tmp_path / "b.ipynb",
        code("1", result("1.1")),
        code("# cellwall: rtol=0.5\n2", result("1.1")),
        code("3", result("1.0"), stream("b", "stderr"), tags=["cellwall-ignore=stderr"]),
        code("4", result("1.1"), tags=["nbval-ignore-output"]),
    )
    outcome = two(tmp_path)
    assert kinds(outcome) == ["differs", None, None, None]
    assert [c["compared"] for c in outcome.cells("b.ipynb")] == [True, True, True, False]


def test_the_configuration_of_b_and_its_metadata_count(tmp_path: Path) -> None:
    write(tmp_path / "old/n.ipynb", code("1", result("1.0")))
    write(tmp_path / "new/n.ipynb", code("1", result("1.1")))
    words = ["old/n.ipynb", "new/n.ipynb"]
    configure(tmp_path / "old", rtol=1)
    assert diff(tmp_path, *words).status == 1
    configure(tmp_path / "new", rtol=1)
    assert diff(tmp_path, *words).status == 0
    other = configure(tmp_path, rtol=0)
    assert diff(tmp_path, "--config", other, *words).status == 1
    write(tmp_path / "new/n.ipynb", code("1", result("1.1")), cellwall={"rtol": 1})
    assert diff(tmp_path, "--config", other, *words).status == 0


@pytest.mark.parametrize(
    ("compare", "compared"),
    [("all", [True, True]), ("marked", [False, True]), ("none", [False, False])],
)
def test_the_configuration_says_the_outputs_of_which_cells(
    tmp_path: Path, compare: str, compared: list[bool]
) -> None:
    cells = [code("1", result("1")), code("2", result("2"), tags=["nbval-check-output"])]
    write(tmp_path / "a.ipynb", *cells)
    write(tmp_path / "b.ipynb", *cells)
    configure(tmp_path, compare=compare)
    assert [c["compared"] for c in two(tmp_path).cells("b.ipynb")] == compared


def test_rules_of_nbval_are_applied(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1", stream("run 4711\n")))
    write(tmp_path / "b.ipynb", code("1", stream("run 4712\n")))
    (tmp_path / "rules").write_text("[runs]\nregex: run \\d+\nreplace: run N\n")
    assert two(tmp_path).status == 1
    assert two(tmp_path, "--sanitize", "rules").status == 0


# --- folders ---


def test_folders_are_compared_by_the_paths_below_them(tmp_path: Path) -> None:
    for name in "same.ipynb", "deep/er/same.ipynb", "removed.ipynb":
        write(tmp_path / "old" / name, code("1", result("1")))
    for name in "same.ipynb", "deep/er/same.ipynb", "added.ipynb":
        write(tmp_path / "new" / name, code("1", result("1")))
    write(tmp_path / "old/x.ipynb", code("1", result("1")))
    write(tmp_path / "new/x.ipynb", code("1", result("2")))
    outcome = diff(tmp_path, "old", "new/")
    assert outcome.status == 1
    told = [
        (e["path"], e["status"], e["reason"] and e["reason"]["kind"])
        for e in outcome.of("notebook")
    ]
    assert told == [
        ("new/added.ipynb", "failed", "added"),
        ("new/deep/er/same.ipynb", "passed", None),
        ("old/removed.ipynb", "failed", "removed"),
        ("new/same.ipynb", "passed", None),
        ("new/x.ipynb", "failed", None),
    ]
    assert outcome.end["notebooks"] == {"passed": 2, "failed": 3}


def test_a_folder_may_be_the_working_directory(tmp_path: Path) -> None:
    write(tmp_path / "old/a.ipynb", code("1", result("1")))
    write(tmp_path / "new/a.ipynb", code("1", result("1")))
    for words in ("../old", "."), (".", "../old"):
        outcome = diff(tmp_path / "new", *words)
        assert (outcome.status, outcome.end["notebooks"]) == (0, {"passed": 1})


def test_what_the_configuration_excludes_is_left_out(tmp_path: Path) -> None:
    for folder in "old", "new":
        for name in "a.ipynb", "drafts/b.ipynb":
            write(tmp_path / folder / name, code("1", result(folder)))
    write(tmp_path / "old/a.ipynb", code("1", result("new")))
    configure(tmp_path, exclude=["*/drafts"])
    outcome = diff(tmp_path, "old", "new")
    assert (outcome.status, outcome.end["notebooks"]) == (0, {"passed": 1})


# --- what goes wrong ---


def test_what_cannot_be_read_is_an_error_of_its_notebook(tmp_path: Path) -> None:
    for folder in "old", "new":
        write(tmp_path / folder / "a.ipynb", code("1", result("1")))
        write(tmp_path / folder / "b.ipynb", code("1", result("1")))
    (tmp_path / "old/b.ipynb").write_text('{"cells": [')
    outcome = diff(tmp_path, "old", "new")
    assert outcome.status == 3
    assert outcome.notebook("a.ipynb")["status"] == "passed"
    broken = outcome.notebook("b.ipynb")
    assert (broken["status"], broken["reason"]["kind"]) == ("error", "notebook")
    assert broken["reason"]["text"].startswith("old/b.ipynb: ")
    write(tmp_path / "new/a.ipynb", code("1", result("2")))
    assert diff(tmp_path, "old", "new").status == 1


def test_settings_that_are_wrong_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1", result("1")))
    write(tmp_path / "b.ipynb", code("1", result("2"), tags=["cellwall-rtoll=1"]))
    outcome = two(tmp_path)
    assert (outcome.status, kinds(outcome)) == (3, ["settings"])
    assert "cellwall-rtoll" in outcome.cell("b.ipynb")["reason"]["text"]
    configure(tmp_path, rtol="much")
    outcome = two(tmp_path)
    assert (outcome.status, outcome.cells("b.ipynb")) == (3, [])
    assert "cellwall-test.json: rtol: " in outcome.notebook("b.ipynb")["reason"]["text"]
    configure(tmp_path, sanitize=[{"pattern": "(", "replace": ""}])
    write(tmp_path / "b.ipynb", code("1", result("2")))
    outcome = two(tmp_path)
    assert (outcome.status, kinds(outcome)) == (3, ["comparison"])


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        ([], 2, "it takes two notebooks, or two folders"),
        (["a.ipynb"], 2, "it takes two notebooks, or two folders"),
        (["a.ipynb", "a.ipynb", "a.ipynb"], 2, "it takes two notebooks"),
        (["a.ipynb", "."], 2, "not one of each"),
        (["a.ipynb", "none.ipynb"], 3, "none.ipynb: No such file"),
        (["empty", "."], 3, "empty: there are no notebooks in it"),
        (["--source", "maybe", "a.ipynb", "a.ipynb"], 2, "--source"),
        (["--sanitize", "none", "a.ipynb", "a.ipynb"], 2, "none"),
        (["--report", "pdf=x", "a.ipynb", "a.ipynb"], 2, "--report pdf=x"),
        (["--report", "tap=no/x", "a.ipynb", "a.ipynb"], 125, "no/x: No such file"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    tmp_path: Path, words: list[str], status: int, why: str
) -> None:
    write(tmp_path / "a.ipynb", code("1"))
    (tmp_path / "empty").mkdir()
    done = run(tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert done.stderr.startswith("cellwall: diff: ") and why in done.stderr


def test_nothing_of_a_notebook_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    bad = "\x1b]0;title\x07\x1b[2J\x9b\x00"
    write(tmp_path / "a.ipynb", code(bad, stream(bad + "1")))
    write(tmp_path / "b.ipynb", code(bad + "2", stream(bad + "2")))
    outcome = two(tmp_path)
    assert outcome.status == 1
    assert not any(c < " " and c != "\n" for c in outcome.stdout + outcome.stderr)
    assert "\x9b" not in outcome.stdout


def test_names_that_are_no_text_are_shown_as_well_as_can_be(tmp_path: Path) -> None:
    for folder in "old", "new":
        write(tmp_path / folder / "a.ipynb", code("1", result(folder)), code("2"))
        os.rename(
            tmp_path / folder / "a.ipynb", os.fsencode(tmp_path / folder) + b"/\xff.ipynb"
        )
    write(tmp_path / "new/\udcfe.ipynb", code("1"))
    outcome = diff(tmp_path, "old", "new")
    assert (outcome.status, outcome.stderr) == (1, "")
    told = [(e["path"], e["status"]) for e in outcome.of("notebook")]
    assert len(outcome.of("begin")[0]["notebooks"]) == 2
    assert told == [("new/\ufffd.ipynb", "failed"), ("new/\ufffd.ipynb", "failed")]


def test_long_names_are_cut_between_characters_or_told(tmp_path: Path) -> None:
    folder = Path(*["\N{SNOWMAN}" * 50] * 3)
    for name in "a.ipynb", "b.ipynb":
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        write(tmp_path / folder / name, code("1", result(name)), code(name))
        without_ids(tmp_path / folder / name)
    book = tmp_path / folder / "b.ipynb"
    book.write_text('{"cells": [')
    outcome = diff(tmp_path, folder / "a.ipynb", folder / "b.ipynb")
    assert (outcome.status, outcome.stderr) == (3, "")
    write(book, code("1", result("a.ipynb")))
    without_ids(book)
    outcome = diff(tmp_path, folder / "a.ipynb", folder / "b.ipynb")
    assert (outcome.status, kinds(outcome)) == (1, [None, "removed"])


def test_a_reader_that_leaves_ends_it(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1"))
    read, written = os.pipe()
    os.close(read)
    try:
        done = run(tmp_path, "a.ipynb", "a.ipynb", stdout=written)
    finally:
        os.close(written)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_interrupt_ends_it_even_while_nobody_reads(tmp_path: Path) -> None:
    for name in "a.ipynb", "b.ipynb":  # more than a pipe holds
        write(tmp_path / name, *(code("x" * 10_000 + name) for _ in range(100)))
    with subprocess.Popen(
        [BINARY, "diff", "--report", "jsonl=-", "a.ipynb", "b.ipynb"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=heed_signals,
    ) as process:
        assert process.stdout is not None
        assert b'"begin"' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130


# --- what it prints ---


def test_quiet_prints_nothing_and_verbose_prints_all(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1"), code("2"))
    assert run(tmp_path, "-q", "a.ipynb", "a.ipynb").stdout == ""
    assert "cell 1" not in run(tmp_path, "a.ipynb", "a.ipynb").stdout
    assert "cell 1" in run(tmp_path, "-v", "a.ipynb", "a.ipynb").stdout


def test_every_kind_of_report_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1", result("1")), code("gone"))
    write(tmp_path / "b.ipynb", code("1", result("2")))
    words = [f"--report={kind}=r.{kind}" for kind in ("html", "junit", "tap", "github")]
    assert two(tmp_path, *words).status == 1
    (suite,) = ElementTree.parse(tmp_path / "r.junit").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert "not ok" in (tmp_path / "r.tap").read_text()
    assert "::error file=b.ipynb,line=" in (tmp_path / "r.github").read_text()
    assert "<html" in (tmp_path / "r.html").read_text()
