# SPDX-License-Identifier: MIT
"""`cellwall test` on notebooks that fail, in every way that a notebook can."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import PIL.Image
import pytest
import yaml

from tests.system.commandline import assert_nothing_is_left, heed_signals
from tests.system.conftest import MARK
from tests.system.gallery import GALLERY, UNTESTED, hang
from tests.system.madebooks import (
    TIMEOUT_S,
    Outcome,
    call_test,
    code,
    command,
    read_events,
    result,
    stream,
    write,
)

pytestmark = pytest.mark.cellwall

FOLDER = "gallery"
STATUSES = ("passed", "failed", "error", "skipped", "not_run")
# Says that it runs by a file, and goes on when there is another.
WAITS = """
import pathlib, time
pathlib.Path("begun").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment without a server, with a mark and folders of its own."""
    folder = Path(tempfile.mkdtemp(prefix="cellwall-books-"))
    yield {
        **{k: v for k, v in os.environ.items() if k != "GITHUB_ACTIONS"},
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        MARK: uuid.uuid4().hex,
    }
    shutil.rmtree(folder)


def wait_for(file: Path) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- the gallery, in one run ---


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def tested(place: Path, env: dict[str, str]) -> Outcome:
    hang(place / FOLDER)
    reports = []
    for kind in "junit", "tap", "github":
        reports += ["--report", f"{kind}={place / kind}"]
    tested = call_test(env, place, "--jobs", "4", *reports, FOLDER)
    assert_nothing_is_left(env)
    return tested


@pytest.mark.parametrize("name", GALLERY)
def test_each_cell_gets_the_verdict_that_it_deserves(tested: Outcome, name: str) -> None:
    case = GALLERY[name]
    cells = tested.cells(f"{name}.ipynb")
    assert " ".join(c["status"] for c in cells) == case.statuses, cells
    bad = [c for c in cells if c["status"] in ("failed", "error")]
    assert [c["reason"]["kind"] for c in bad[:1]] == ([case.kind] if case.kind else [])
    for cell in cells:
        assert (cell["reason"] is None) == (cell["status"] == "passed")
        assert cell["reason"] is None or cell["reason"]["text"]
    if bad:
        assert re.search(case.said, json.dumps(bad[0], ensure_ascii=False)), bad[0]
        assert bad[0]["differences"] or case.kind != "differs"


def test_a_notebook_that_fails_does_not_touch_the_others(tested: Outcome) -> None:
    assert tested.status == 1, tested.stderr
    assert tested.end["status"] == "failed"
    passed = {
        Path(event["path"]).stem
        for event in tested.of("notebook")
        if event["status"] == "passed"
    }
    assert passed == {
        name
        for name, case in GALLERY.items()
        if set(case.statuses.split()) <= {"passed", "skipped"}
    }


def test_the_counts_are_those_of_the_cells(tested: Outcome) -> None:
    counts = dict.fromkeys(STATUSES, 0)
    for event in tested.of("notebook"):
        cells = tested.statuses(Path(event["path"]).name)
        for status in STATUSES:
            assert event["counts"].get(status, 0) == cells.count(status), event
            counts[status] += cells.count(status)
    assert tested.end["cells"] == {k: n for k, n in counts.items() if n > 0}
    assert sum(tested.end["notebooks"].values()) == len(GALLERY) + len(UNTESTED)
    (begin,) = tested.of("begin")
    assert len(begin["notebooks"]) == len(GALLERY) + len(UNTESTED)
    assert begin["mode"] == "test" and begin["version"] == 1


@pytest.mark.parametrize("name", UNTESTED)
def test_what_cannot_be_tested_says_why(tested: Outcome, name: str) -> None:
    event = tested.notebook(f"{name}.ipynb")
    assert event["status"] == "error"
    assert re.search(UNTESTED[name], event["reason"]["text"]), event
    assert tested.cells(f"{name}.ipynb") == []


def test_a_cell_knows_its_line_in_the_file(tested: Outcome, place: Path) -> None:
    for name in "raised", "tags_nbval":
        lines = (place / FOLDER / f"{name}.ipynb").read_text().splitlines()
        for cell in tested.cells(f"{name}.ipynb"):
            assert '"source"' in "".join(lines[cell["line"] - 2 : cell["line"]])
            first = json.dumps(cell["source"].split("\n")[0])[1:-1]
            assert first in "".join(lines[cell["line"] - 1 : cell["line"] + 1])


def test_a_number_is_told_with_its_distance(tested: Outcome) -> None:
    (difference,) = tested.cell("number.ipynb")["differences"]
    (number,) = difference["numbers"]
    assert float(number["expected"]) == 0.5 and float(number["actual"]) == 0.75
    assert number["distance"] == 0.25
    assert "0.25" in tested.stdout


def size_of(file: Path) -> tuple[int, int]:
    with PIL.Image.open(file, formats=["PNG"]) as image:
        image.load()
        return image.size


def test_pictures_are_left_as_files(tested: Outcome, place: Path) -> None:
    (difference,) = tested.cell("picture.ipynb")["differences"]
    image = difference["image"]
    assert image["expected_size"] == image["actual_size"] == [20, 10]
    assert image["rms"] > image["rms_limit"]
    for which in "expected", "actual", "difference":
        assert size_of(place / image[which]) == (20, 10)
    assert str(image["difference"]) in tested.stdout


def test_pictures_of_other_sizes_tell_them(tested: Outcome, place: Path) -> None:
    (difference,) = tested.cell("picture_size.ipynb")["differences"]
    image = difference["image"]
    assert (image["expected_size"], image["actual_size"]) == ([10, 20], [20, 10])
    assert size_of(place / image["expected"]) == (10, 20)
    assert size_of(place / image["actual"]) == (20, 10)


def test_an_exception_comes_with_its_traceback(tested: Outcome) -> None:
    traceback = "".join(tested.cell("raised.ipynb")["traceback"])
    assert "ZeroDivisionError" in traceback and "1 / 0" in re.sub(
        r"\x1b\[[0-9;]*m", "", traceback
    )


def test_what_was_printed_before_an_exception_is_told_by_its_end(tested: Outcome) -> None:
    printed = tested.cell("raised.ipynb")["printed"]
    assert printed.endswith("ä there\n") and "nearly" not in printed
    assert 4000 < len(printed.encode()) <= 4096
    assert "printed" not in tested.cell("raised.ipynb", 1)


def test_a_dead_interpreter_leaves_its_last_words(tested: Outcome) -> None:
    dead = tested.cell("crashes.ipynb", 1)
    assert re.search("Fatal Python error|Extension modules", dead["stderr_tail"])
    left = tested.cell("crashes.ipynb", 2)
    assert "cell 1" in left["reason"]["text"]


def test_a_person_is_told_what_matters(tested: Outcome) -> None:
    said = tested.stdout
    for name in (*GALLERY, *UNTESTED):
        assert f"{FOLDER}/{name}.ipynb" in said
    for words in (
        "ZeroDivisionError",
        "6 * 7",
        "careful",
        "cobol-85",
        "1 / 0",
        "not run",
    ):
        assert words in said, words
    assert "\x1b" not in said, "no colours where nobody sees them"
    assert tested.stderr == ""


# --- reports for machines ---

JUNIT = {  # by element: attributes it must have, those that it may have, children
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"skipped"}),
    "testsuite": ({"name", "tests", "failures", "errors", "time"}, {"skipped"}),
    "testcase": ({"name", "classname", "time"}, {"file", "line"}),
    "failure": ({"message"}, {"type"}),
    "error": ({"message"}, {"type"}),
    "skipped": (set(), {"message", "type"}),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "system-out": (set(), set()),
}
JUNIT_CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out"},
    "testcase": {"failure", "error", "skipped"},
    "properties": {"property"},
}


def check_junit(element: ElementTree.Element) -> None:
    """What the schemas of those who read JUnit's XML have in common."""
    needed, allowed = JUNIT[element.tag]
    assert needed <= set(element.attrib) <= needed | allowed
    for name in "tests", "failures", "errors", "skipped", "line":
        assert element.get(name, "0").isdecimal()
    assert re.fullmatch(r"\d+\.\d{3}", element.get("time", "0.000"))
    for child in element:
        assert child.tag in JUNIT_CHILDREN[element.tag]
        check_junit(child)
    if element.tag in ("testsuites", "testsuite"):
        for name, tag in ("failures", "failure"), ("errors", "error"):
            assert int(element.get(name, "")) == len(list(element.iter(tag)))
        assert int(element.get("tests", "")) == len(list(element.iter("testcase")))


def test_junit_has_a_case_for_each_cell(tested: Outcome, place: Path) -> None:
    root = ElementTree.parse(place / "junit").getroot()
    check_junit(root)
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {event["path"] for event in tested.of("notebook")}
    expected = {"failed": "failure", "error": "error", "skipped": "skipped"}
    for event in tested.of("notebook"):
        cases = list(suites[event["path"]].iter("testcase"))
        cells = tested.cells(Path(event["path"]).name)
        if not cells:
            assert [c.get("name") for c in cases] == ["Notebook"]
            assert cases[0].find("error") is not None
            continue
        assert len(cases) == len(cells)
        for case, cell in zip(cases, cells, strict=True):
            assert case.get("name") == f"Cell {cell['cell']} ({cell['id']})"
            assert case.get("line") == str(cell["line"])
            tag = expected.get(cell["status"].replace("not_run", "skipped"))
            assert [child.tag for child in case] == ([tag] if tag else [])
            if tag:
                assert case[0].get("type") == cell["reason"]["kind"]


def read_block(lines: list[str], indent: str) -> dict[str, Any]:
    """Takes the block of YAML that LINES begin with, if they do."""
    if not lines or lines[0] != indent + "---":
        return {}
    end = lines.index(indent + "...")
    block = "\n".join(line[len(indent) :] for line in lines[1:end])
    del lines[: end + 1]
    return dict(yaml.safe_load(block))


def read_points(lines: list[str], indent: str) -> list[tuple[bool, str, dict[str, Any]]]:
    """Takes a plan and its points, with subtests within them, from LINES."""
    points: list[tuple[bool, str, dict[str, Any]]] = []
    plan = re.fullmatch(rf"{indent}1\.\.(\d+)", lines.pop(0))
    assert plan
    while lines and lines[0].startswith(indent):
        if lines[0].startswith(indent + "    1.."):
            subtest = read_points(lines, indent + "    ")
            assert subtest
            continue
        line = lines.pop(0)[len(indent) :]
        if line.startswith("# "):
            continue
        point = re.fullmatch(r"(not )?ok (\d+) - (.*)", line)
        assert point, line
        assert int(point[2]) == len(points) + 1
        points.append((not point[1], point[3], read_block(lines, indent + "  ")))
    assert len(points) == int(plan[1])
    return points


def test_tap_can_be_read(tested: Outcome, place: Path) -> None:
    lines = (place / "tap").read_text().splitlines()
    assert lines.pop(0) == "TAP version 14"
    points = read_points(lines, "")
    assert lines == []
    verdicts = {name: is_ok for is_ok, name, _ in points}
    for event in tested.of("notebook"):
        assert verdicts[event["path"]] == (event["status"] == "passed")
    blocks = {name: block for _, name, block in points}
    assert "cobol-85" in blocks[f"{FOLDER}/no_kernel.ipynb"]["details"]


def test_github_gets_an_annotation_for_each_failure(tested: Outcome, place: Path) -> None:
    lines = (place / "github").read_text().splitlines()
    shape = r"::(error|warning) file=[^,:]+(,line=\d+)?(,title=[^,:]+)?::.+"
    for line in lines:
        assert re.fullmatch(shape, line), line
    bad = [c for c in tested.of("cell") if c["status"] in ("failed", "error")]
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == len(bad) + len(UNTESTED)
    cell = tested.cell("value.ipynb")
    start = f"::error file={cell['path']},line={cell['line']},title=Cell 0"
    assert any(line.startswith(start) and "41" in line for line in errors)


def test_a_report_on_stdout_stands_there_alone(
    env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "a.ipynb", code("print('::error::forged\\nnot ok 1')"))
    for kind, first in ("github", "::error file=a.ipynb,"), ("tap", "TAP version 14"):
        tested = call_test(env, tmp_path, "--report", f"{kind}=-", "a.ipynb")
        assert tested.status == 1
        assert tested.stdout.startswith(first)
        for line in tested.stdout.splitlines():
            assert not line.strip().startswith(("::error::forged", "not ok 1 1"))


# --- one notebook at a time ---


def test_only_timeouts_and_the_like_are_failures_too(
    env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "slow.ipynb", code("import time; time.sleep(1000)"))
    tested = call_test(env, tmp_path, "--cell-timeout", "0.5", "slow.ipynb")
    assert (tested.status, tested.statuses("slow.ipynb")) == (1, ["error"])


def test_what_cannot_be_tested_is_told_apart_from_failures(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.ipynb").write_text("[]")
    write(tmp_path / "b.ipynb", code("1", result("1")))
    tested = call_test(env, tmp_path, "--jobs", "64", ".")
    assert (tested.status, tested.end["status"]) == (3, "error")
    assert tested.statuses("b.ipynb") == ["passed"]


def test_paths_without_notebooks_are_wrong_usage(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "nothing").mkdir()
    write(tmp_path / "folder.ipynb/a.ipynb", code("1", result("1")))
    for words, said in (
        (["missing.ipynb"], "missing.ipynb"),
        (["nothing"], "nothing"),
        ([], "missing"),
        (["--jobs", "0", "folder.ipynb"], "--jobs 0"),
        (["--flaky", "1", "folder.ipynb"], "--flaky 1"),
        (["--record", "--flaky", "3", "folder.ipynb"], "only one of"),
    ):
        tested = call_test(env, tmp_path, *words)
        assert (tested.status, tested.stdout) == (2, ""), words
        assert said in tested.stderr and tested.events == []
    tested = call_test(env, tmp_path, "folder.ipynb")
    assert (tested.status, tested.statuses("a.ipynb")) == (0, ["passed"])


def test_any_name_of_a_file_will_do(env: dict[str, str], tmp_path: Path) -> None:
    names = [
        b"\xff\xfe.ipynb",
        b"a\nnot ok 1 # b:c%,d\\.ipynb",
        "é\x1b[31m.ipynb".encode(),
    ]
    for name in names:
        write(tmp_path / "books" / os.fsdecode(name), code("1", result("2")))
    reports = []
    for kind in "junit", "tap", "github":
        reports += ["--report", f"{kind}={tmp_path / kind}"]
    tested = call_test(env, tmp_path, *reports, "books")
    assert (tested.status, tested.end["notebooks"]) == (1, {"failed": 3}), tested.stderr
    assert "\x1b" not in tested.stdout
    check_junit(ElementTree.parse(tmp_path / "junit").getroot())
    lines = (tmp_path / "tap").read_text().splitlines()[1:]
    assert [is_ok for is_ok, _, _ in read_points(lines, "")] == [False] * 3
    annotations = (tmp_path / "github").read_text().splitlines()
    assert len(annotations) == 3
    assert all(line.startswith("::error file=books/") for line in annotations)


def test_a_pipe_is_not_waited_for(env: dict[str, str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ipynb")
    tested = call_test(env, tmp_path, "pipe.ipynb")
    assert tested.status in (2, 3)
    assert "pipe.ipynb" in tested.stdout + tested.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it_and_leaves_nothing(
    env: dict[str, str], tmp_path: Path, number: int
) -> None:
    write(tmp_path / "a.ipynb", code(WAITS), code("1"))
    file, junit = tmp_path / "events.jsonl", tmp_path / "junit.xml"
    process = subprocess.Popen(
        command("--report", f"jsonl={file}", "--report", f"junit={junit}", "a.ipynb"),
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=heed_signals,
    )
    wait_for(tmp_path / "begun")
    process.send_signal(number)
    status = process.wait(TIMEOUT_S)
    assert_nothing_is_left(env)
    if number == signal.SIGKILL:
        assert status == -number
        return
    assert status == 130
    assert read_events(file)[-1]["status"] == "interrupted"
    check_junit(ElementTree.parse(junit).getroot())


def test_it_ends_with_its_parent_where_it_is_told_to(
    env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "a.ipynb", code(WAITS))
    words = command("--die-with-parent", "--quiet", "a.ipynb")
    parent = subprocess.Popen(
        ["sh", "-c", '"$@" & wait', "sh", *words],
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    wait_for(tmp_path / "begun")
    parent.kill()
    parent.wait(TIMEOUT_S)
    assert_nothing_is_left(env)


def test_a_reader_that_goes_away_ends_it(env: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("1", result("2")))
    ours, theirs = os.pipe()
    os.close(ours)
    process = subprocess.Popen(
        command("--report", "jsonl=-", "a.ipynb"), env=env, cwd=tmp_path, stdout=theirs
    )
    os.close(theirs)
    assert process.wait(TIMEOUT_S) == 141
    assert_nothing_is_left(env)


def test_a_report_that_cannot_be_written_is_told_before_anything_runs(
    env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "a.ipynb", code("open('ran', 'w')"))
    tested = call_test(env, tmp_path, "--report", "junit=nowhere/a.xml", "a.ipynb")
    assert tested.status == 125 and "nowhere/a.xml" in tested.stderr
    unknown = call_test(env, tmp_path, "--report", "cobol=a", "a.ipynb")
    assert unknown.status == 2 and "cobol" in unknown.stderr
    assert not (tmp_path / "ran").exists()


def test_what_is_compared_can_be_chosen(env: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / "a.ipynb",
        code("1", result("2")),
        code("1", result("2"), tags=["nbval-check-output"]),
    )
    for words, expected in (
        (["--compare", "none"], ["passed", "passed"]),
        (["--compare", "marked"], ["passed", "failed"]),
        (["--list"], ["listed", "listed"]),
        (["--quiet"], ["failed", "failed"]),
    ):
        tested = call_test(env, tmp_path, *words, "a.ipynb")
        assert tested.statuses("a.ipynb") == expected, words
        assert tested.status == int("failed" in expected)
    assert (tested.stdout, tested.stderr) == ("", "")
    (book,) = tested.of("begin")[0]["notebooks"]
    assert book["expected_seconds"] > 0, "it was run before"


def test_code_cannot_put_other_notebooks_or_folders_in_the_place_of_those_behind_it(
    env: dict[str, str], tmp_path: Path
) -> None:
    books, other = tmp_path / "books", tmp_path / "other"
    write(other / "b.ipynb", code("open('touched', 'w').close()"))
    write(books / "sub/b.ipynb", code("1", result("1")))
    write(books / "c.ipynb", code("1", result("1")))
    moves = f"import os; os.rename('sub', 'gone'); os.symlink({str(other)!r}, 'sub')"
    write(
        books / "a.ipynb",
        *(code(moves), code("os.remove('c.ipynb'); os.mkfifo('c.ipynb')"), code("None")),
    )
    tested = call_test(env, tmp_path, "--jobs", "1", "books")
    reasons = {
        event["path"]: (event["reason"] or {"text": ""})["text"]
        for event in tested.events
        if event["event"] == "notebook"
    }
    assert "a link was put there" in reasons["books/sub/b.ipynb"]
    assert "not a regular file" in reasons["books/c.ipynb"]
    assert reasons["books/a.ipynb"] == "" and tested.status == 3
    assert not (other / "touched").exists()


def test_code_sees_what_is_shown_and_cannot_write_it(
    env: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.txt").write_text("here")
    reads = code("open('../data/x.txt').read()", result("'here'"))
    tags = ["cellwall-raises", "cellwall-ignore"]
    writes = code("open('../data/x.txt', 'w')", tags=tags)
    write(folder / "a.ipynb", reads, writes)

    assert call_test(env, tmp_path, "books").status == 1
    assert call_test(env, tmp_path, "--show", "data", "books").status == 0
    (tmp_path / "cellwall-test.json").write_text('{"show": ["data"]}')
    assert call_test(env, tmp_path, "books").status == 0
    (tmp_path / "cellwall-test.json").unlink()
    (folder / "cellwall-test.json").write_text('{"show": ["../data"]}')
    refused = call_test(env, tmp_path, "books")
    assert refused.status == 3 and "outside of its folder" in refused.stdout
    assert (tmp_path / "data/x.txt").read_text() == "here"


def test_what_the_notebook_says_to_nbclient_counts(
    env: dict[str, str], tmp_path: Path
) -> None:
    sleep = "import time; time.sleep(1000)"
    write(tmp_path / "a.ipynb", code("1 / 0"), execution={"allow_errors": True})
    write(tmp_path / "b.ipynb", code(sleep), execution={"timeout": 0.5})
    tested = call_test(env, tmp_path, "--compare", "none", ".")
    assert tested.statuses("a.ipynb") == ["passed"]
    assert tested.statuses("b.ipynb") == ["error"]
    assert "500 ms" in tested.cell("b.ipynb")["reason"]["text"]


def test_a_flaky_cell_is_found_and_a_rule_makes_it_equal(
    env: dict[str, str], tmp_path: Path
) -> None:
    book = tmp_path / "dice.ipynb"
    dice = "import random\nprint('rolled', random.randrange(10**9, 10**10))"
    write(book, code(dice), code("print('same')", stream("stored\n")))
    tested = call_test(env, tmp_path, "--flaky", "3", "dice.ipynb")
    assert (tested.status, tested.statuses("dice.ipynb")) == (1, ["failed", "passed"])
    rules = [
        rule
        for difference in tested.cell("dice.ipynb")["differences"]
        for rule in difference["rules"]
    ]
    assert rules and json.dumps(rules[0]["pattern"]) in tested.stdout
    settings = json.dumps({"sanitize": rules})
    (tmp_path / "cellwall-test.json").write_text(settings)
    assert call_test(env, tmp_path, "--flaky", "2", "dice.ipynb").status == 0


def test_what_a_hash_seed_changes_is_flaky(env: dict[str, str], tmp_path: Path) -> None:
    words = " ".join(f"word{i}" for i in range(20))
    write(tmp_path / "a.ipynb", code(f"print(set({words!r}.split()))"))
    tested = call_test(env, tmp_path, "--flaky", "4", "a.ipynb")
    assert (tested.status, tested.statuses("a.ipynb")) == (1, ["failed"])


def test_another_kernel_is_compared_with_ours(
    env: dict[str, str], tmp_path: Path
) -> None:
    kernel = tmp_path / "jupyter/kernels/stock"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps(
            {
                "argv": [sys.executable, "-m", "ipykernel_launcher"]
                + ["-f", "{connection_file}"],
                "display_name": "stock",
                "language": "python",
            }
        )
    )
    who = "import sys\nprint('ipykernel' in sys.modules)"
    write(tmp_path / "a.ipynb", code(who), code("print(6 * 7)", stream("stored\n")))
    own = {**env, "JUPYTER_PATH": str(tmp_path / "jupyter")}
    tested = call_test(own, tmp_path, "--against", "stock", "a.ipynb")
    assert tested.statuses("a.ipynb") == ["failed", "passed"], tested.events
    assert "stock" in tested.cell("a.ipynb")["reason"]["text"]
    unknown = call_test(own, tmp_path, "--against", "nobody", "a.ipynb")
    assert unknown.status == 3
    assert "nobody" in unknown.stdout + unknown.stderr


# --- recording ---


def lines_of(*values: Any) -> set[str]:
    return {
        line.strip().rstrip(",")
        for value in values
        for line in json.dumps(value, indent=1).splitlines()
    }


def test_what_is_recorded_is_accepted_cell_by_cell(
    env: dict[str, str], tmp_path: Path
) -> None:
    book, pending = tmp_path / "a.ipynb", tmp_path / "a.pending.ipynb"
    write(
        book,
        code("print('é')", stream("é\n")),
        code("print('new')", stream("old\n")),
        code("6 * 7", count=None),
    )
    original = book.read_text()
    tested = call_test(env, tmp_path, "--record", "a.ipynb")
    assert book.read_text() == original, "nothing is changed before it is accepted"
    assert tested.notebook("a.ipynb")["recorded"] == 2
    nbformat.validate(nbformat.read(pending, as_version=4))
    assert call_test(env, tmp_path, "--accept", "a.ipynb:1").status == 0
    assert pending.exists()
    half = json.loads(book.read_text())
    assert half["cells"][1]["outputs"][0]["text"] == ["new\n"]
    assert half["cells"][2]["outputs"] == []
    assert call_test(env, tmp_path, "--accept").status == 0
    assert not pending.exists()
    accepted = json.loads(book.read_text())
    nbformat.validate(nbformat.from_dict(accepted))
    before = json.loads(original)
    may_change = lines_of(*(c["outputs"] for c in (*before["cells"], *accepted["cells"])))
    for removed in set(original.splitlines()) - set(book.read_text().splitlines()):
        stripped = removed.strip().rstrip(",")
        assert stripped in may_change or re.match('"(outputs|execution_count)"', stripped)
    for cells in before["cells"], accepted["cells"]:
        for cell in cells:
            del cell["outputs"], cell["execution_count"]
    assert accepted == before
    assert call_test(env, tmp_path, "a.ipynb").status == 0


def test_a_run_that_fails_is_not_recorded(env: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("print('new')", stream("old\n")), code("1 / 0"))
    tested = call_test(env, tmp_path, "--record", "a.ipynb")
    assert tested.status == 1
    assert tested.notebook("a.ipynb")["pending"] is None
    assert "not recorded" in " ".join(tested.notebook("a.ipynb")["notes"])
    assert not (tmp_path / "a.pending.ipynb").exists()


def test_a_cell_that_was_edited_since_is_not_accepted(
    env: dict[str, str], tmp_path: Path
) -> None:
    book = write(tmp_path / "a.ipynb", code(WAITS), code("print(1)", stream("0\n")))
    process = subprocess.Popen(
        command("--record", "a.ipynb"),
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    wait_for(tmp_path / "begun")
    edited = book.read_text().replace("print(1)", "print(2)")
    book.write_text(edited)
    (tmp_path / "go").touch()
    assert process.wait(TIMEOUT_S) in (0, 1)
    tested = call_test(env, tmp_path, "--accept", "a.ipynb")
    assert tested.status != 0
    assert "a.ipynb" in tested.stderr
    assert book.read_text() == edited
