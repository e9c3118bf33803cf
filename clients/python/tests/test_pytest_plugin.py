# SPDX-License-Identifier: MIT
"""`pytest --cellwall`, as a program of its own, with the real `cellwall test`.

CELLWALL names the binary under test (default: build/asan/cellwall).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("CELLWALL", ROOT / "build/asan/cellwall")).resolve()
MARK = "CELLWALL_TEST_MARK"
BLOCKED = ("-p", "no:cellwall", "-p", "no:nbval")  # as if neither were installed
PLUGIN = ("-p", "pytest_cellwall.plugin")

pytest_plugins = ("pytester",)

Verdicts = dict[str, str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a pytest of these tests inherits: the plugin's sources, the program, and no
    server of a developer's."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(0o700)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "clients/python/src"))
    monkeypatch.setenv("CELLWALL_PROGRAM", os.fspath(BINARY))
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(runtime))
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "cache"))
    monkeypatch.setenv("CELLWALL_SERVER", "none")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def stdout(text: str) -> Any:
    return new_output("stream", name="stdout", text=text)


def result(text: str) -> Any:
    data = {"text/plain": text}
    return new_output("execute_result", data=data, execution_count=1)


def cell(source: str, *outputs: Any, tags: tuple[str, ...] = ()) -> Any:
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(
        source, outputs=list(outputs), execution_count=1, metadata=metadata
    )


def write(path: Path, *cells: Any) -> Path:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, path)
    return path


def verdicts(report: Path) -> Verdicts:
    """By "FILE::Cell N", how a JUnit report says that it went."""
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        kinds = [part.tag for part in case if part.tag in ("failure", "error", "skipped")]
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = kinds[0] if kinds else "passed"
    return found


class Runner:
    """pytest in a folder of its own, as a child."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.folder = pytester.path
        self.result: pytest.RunResult

    def __call__(self, *arguments: str) -> Verdicts:
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        words = ("-m", "pytest", *BLOCKED, *PLUGIN, f"--junitxml={report}", *arguments)
        self.result = self.pytester.run(sys.executable, *words)
        return verdicts(report) if report.exists() else {}

    @property
    def text(self) -> str:
        return "\n".join(self.result.outlines + self.result.errlines)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Runner:
    return Runner(pytester)


def test_each_cell_of_code_is_a_test_with_nbval_s_name(run: Runner) -> None:
    write(
        run.folder / "a.ipynb",
        new_markdown_cell("# Not code"),
        cell("x = 20"),
        new_markdown_cell("nor this"),
        cell("print(x + 1)\nx", stdout("21\n"), result("20")),
        cell("x", result("21")),
        cell("1 / 0", tags=("nbval-skip",)),
    )
    (run.folder / "test_other.py").write_text("def test_other(): pass\n")

    assert run("--cellwall", "-ra") == {
        "a.ipynb::Cell 0": "passed",
        "a.ipynb::Cell 1": "passed",
        "a.ipynb::Cell 2": "failure",
        "a.ipynb::Cell 3": "skipped",
        "test_other::test_other": "passed",
    }
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    lines = (run.folder / "a.ipynb").read_text().splitlines()
    line = max(number for number, text in enumerate(lines, 1) if text == '    "x"')
    run.result.stdout.fnmatch_lines(
        [
            "*_ a.ipynb, cell 2 _*",
            f"a.ipynb:{line}: cell 2",
            "    x",
            "E   *",
            "text/plain:",
            "  - 21",
            "  + 20",
            "SKIPPED * a.ipynb:*: *skip*",
            "FAILED a.ipynb::Cell 2 - *",
        ]
    )


def test_installed_package_has_the_plugin() -> None:
    project = (ROOT / "clients/python/pyproject.toml").read_text()

    assert f'entry-points.pytest11.cellwall = "{PLUGIN[1]}"' in project.splitlines()


def test_without_the_option_no_notebook_is_read_and_no_client_imported(
    run: Runner,
) -> None:
    (run.folder / "a.ipynb").write_text("no notebook at all")
    (run.folder / "test_it.py").write_text(
        "import sys\ndef test_it(): assert not {'cellwall', 'zmq'} & set(sys.modules)\n"
    )

    assert run() == {"test_it::test_it": "passed"}
    assert "cellwall:" not in run.text


def test_lax_compares_marked_cells_alone(run: Runner) -> None:
    write(
        run.folder / "a.ipynb",
        cell("print(1)", stdout("2\n")),
        cell("# NBVAL_CHECK_OUTPUT\nprint(1)", stdout("2\n")),
        cell("print(1)", stdout("2\n"), tags=("nbval-check-output",)),
        cell("1 / 0"),
    )

    assert list(run("--cellwall-lax").values()) == [
        "passed",
        "failure",
        "failure",
        "failure",
    ]
    run.result.stdout.fnmatch_lines(["*1 / 0*", "*ZeroDivisionError: division by zero"])


def test_output_is_sanitized_with_nbval_s_file(run: Runner) -> None:
    write(
        run.folder / "a.ipynb",
        cell("print('run 7')", stdout("run 6\n")),
        cell("print('ran 7')", stdout("ran 6\n")),
    )
    rules = run.folder / "rules.cfg"
    rules.write_text("[regex1]\nregex: run \\d+\nreplace: run N\n")

    assert run("--cellwall", "--cellwall-sanitize-with=rules.cfg") == {
        "a.ipynb::Cell 0": "passed",
        "a.ipynb::Cell 1": "failure",
    }


def test_ini_file_has_the_same_options(run: Runner) -> None:
    write(run.folder / "a.ipynb", cell("print('run 7')", stdout("run 6\n")))
    (run.folder / "rules.cfg").write_text("regex: \\d+\nreplace: N\n")
    (run.folder / "pytest.ini").write_text(
        "[pytest]\ncellwall = true\ncellwall_jobs = 2\ncellwall_timeout = 60\n"
        f"cellwall_sanitize_with = rules.cfg\ncellwall_program = {BINARY}\n"
    )
    (run.folder / "elsewhere").mkdir()
    os.chdir(run.folder / "elsewhere")  # the file's paths are relative to itself

    assert run("..") == {"a.ipynb::Cell 0": "passed"}
    assert run("..", "-o", "cellwall=false") == {}


def test_some_cells_of_a_notebook_run_with_all_others(run: Runner) -> None:
    write(
        run.folder / "a.ipynb",
        cell("x = 1"),
        cell("x", result("2")),
        cell("x + 1", result("2")),
    )

    assert run("--cellwall", "a.ipynb::Cell 2") == {"a.ipynb::Cell 2": "passed"}
    some = ("-k", "a.ipynb and not 0", "--deselect", "a.ipynb::Cell 2")
    assert run("--cellwall", *some) == {"a.ipynb::Cell 1": "failure"}


def test_expected_failures_are_those_of_a_list(run: Runner) -> None:
    write(run.folder / "a.ipynb", cell("1", result("2")), cell("1", result("1")))
    (run.folder / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.add_marker(pytest.mark.xfail('True', reason='k', strict=True))\n"
    )

    run("--cellwall", "-ra")
    run.result.assert_outcomes(xfailed=1, failed=1)
    run.result.stdout.fnmatch_lines(["FAILED a.ipynb::Cell 1 - *XPASS(strict)*"])


def test_first_failure_stops_and_last_failures_are_run_again(run: Runner) -> None:
    path = write(run.folder / "a.ipynb", cell("1", result("2")), cell("2", result("2")))

    assert run("--cellwall", "-x") == {"a.ipynb::Cell 0": "failure"}
    write(path, cell("1", result("1")), cell("2", result("2")))
    assert run("--cellwall", "--lf") == {"a.ipynb::Cell 0": "passed"}


def test_cell_that_ends_the_interpreter_fails_and_those_behind_it_are_skipped(
    run: Runner,
) -> None:
    write(
        run.folder / "a.ipynb",
        cell("import os"),
        cell("os._exit(3)"),
        cell("print(1)", stdout("1\n")),
    )
    write(run.folder / "b.ipynb", cell("1", result("1")))

    assert run("--cellwall", "-rs") == {
        "a.ipynb::Cell 0": "passed",
        "a.ipynb::Cell 1": "failure",
        "a.ipynb::Cell 2": "skipped",
        "b.ipynb::Cell 0": "passed",
    }
    run.result.stdout.fnmatch_lines(["SKIPPED * a.ipynb:*: *cell 1*"])


def test_cell_that_takes_too_long_fails(run: Runner) -> None:
    write(run.folder / "a.ipynb", cell("while True: pass"))

    assert run("--cellwall", "--cellwall-timeout=0.5") == {"a.ipynb::Cell 0": "failure"}
    run.result.stdout.fnmatch_lines(["E   *500 ms*"])


def test_contradicting_marks_are_a_warning(run: Runner) -> None:
    tags = ("nbval-check-output", "nbval-ignore-output")
    write(run.folder / "a.ipynb", cell("1", result("1"), tags=tags))

    run("--cellwall")
    run.result.assert_outcomes(passed=1, warnings=1)
    run.result.stdout.fnmatch_lines(["*a.ipynb:*CellwallNote: *"])


def test_file_that_is_no_notebook_is_an_error_of_collecting_it(run: Runner) -> None:
    (run.folder / "a.ipynb").write_text("{")
    write(run.folder / "b.ipynb", cell("1", result("1")))

    run("--cellwall", "--continue-on-collection-errors")
    run.result.assert_outcomes(errors=1, passed=1)
    run.result.stdout.fnmatch_lines(["*ERROR collecting a.ipynb*", "*a.ipynb*"])


def test_recorded_notebooks_wait_unless_they_are_named(run: Runner) -> None:
    for name in ("a/a.ipynb", "a/a.pending.ipynb", "b/b.pending.ipynb"):
        (run.folder / name).parent.mkdir(exist_ok=True)
        write(run.folder / name, cell("1", result("1")))

    assert run("--cellwall", "a", "b/b.pending.ipynb") == {
        "a.a.ipynb::Cell 0": "passed",
        "b.b.pending.ipynb::Cell 0": "passed",
    }


def test_workers_of_xdist_tell_the_same(run: Runner) -> None:
    pytest.importorskip("xdist")
    for name in ("a", "b"):
        write(run.folder / f"{name}.ipynb", cell("x = 1"), cell("x", result("2")))
    expected = {
        f"{name}.ipynb::Cell {number}": ("passed", "failure")[number]
        for name in ("a", "b")
        for number in (0, 1)
    }

    assert run("--cellwall", "-n2") == expected
    run.result.stdout.fnmatch_lines(
        ["a.ipynb:*: cell 1", "  - 2", "  + 1", "FAILED a.ipynb::Cell 1 - ?*"]
    )


def test_missing_program_is_one_error(run: Runner) -> None:
    write(run.folder / "a.ipynb", cell("1"))
    write(run.folder / "b.ipynb", cell("1"))

    assert run("--cellwall", "--cellwall-program=no-such-program") == {}
    assert run.result.ret == pytest.ExitCode.USAGE_ERROR
    assert run.text.count("there is no program no-such-program") == 1


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("kill -KILL $$", "*ended by signal 9*"),
        ("echo nonsense", "*is not understood*"),
    ],
)
def test_program_that_gives_up_is_one_failure(run: Runner, does: str, said: str) -> None:
    for name in ("a", "b"):
        write(run.folder / f"{name}.ipynb", cell("1"), cell("2"))
    program = run.folder / "gives-up"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *--list*) exec "{BINARY}" "$@";; esac\n'
        f"echo out of luck >&2\n{does}\n"
    )
    program.chmod(0o755)

    run("--cellwall", "--cellwall-program=./gives-up")
    run.result.assert_outcomes(failed=1, skipped=3)
    run.result.stdout.fnmatch_lines([said, "out of luck"])


@pytest.mark.parametrize("option", ["jobs=0", "timeout=nan", "config=no-such-file"])
def test_option_without_a_meaning_is_refused(run: Runner, option: str) -> None:
    assert run("--cellwall", f"--cellwall-{option}") == {}
    assert run.result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--cellwall-{option.partition('=')[0]}: " in run.text


def marked(value: str) -> list[int]:
    """The processes that have VALUE as their mark."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if f"{MARK}={value}".encode() in (entry / "environ").read_bytes().split(
                b"\0"
            ):
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue  # it ended while we looked, or is no process
    return found


def test_interrupt_leaves_nothing_behind(run: Runner) -> None:
    write(run.folder / "a.ipynb", cell("1", result("1")))
    write(run.folder / "b.ipynb", cell("while True: pass"))
    mark = uuid.uuid4().hex
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", *BLOCKED, *PLUGIN, "-v", "--cellwall"],
        cwd=run.folder,
        env={**os.environ, MARK: mark, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if "a.ipynb::Cell 0 PASSED" in line:
                break
        assert len(marked(mark)) > 1
        child.send_signal(signal.SIGINT)  # to pytest alone
        rest = child.stdout.read()
    assert child.returncode == pytest.ExitCode.INTERRUPTED, rest
    deadline = time.monotonic() + 60  # what was killed takes a moment to be gone
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marked(mark) == []


def test_failure_is_harmless_to_a_terminal() -> None:
    from pytest_cellwall._cells import Cell
    from pytest_cellwall._show import CellReport

    hostile = "\x1b]0;title\x07\x1b[2Jtext\x1b[31m\x07"
    difference = {
        "type": "stdout",
        "message": "another " + hostile,
        "lines": [["-", hostile], ["+", hostile], [".", ""]],
        "numbers": [{"expected": 1.5, "actual": 2, "distance": 0.5, "relative": 0.25}],
        "image": {"expected": None, "actual": "/a.png", "difference": "/d.png"},
    }
    event = {
        "event": "cell",
        "cell": 3,
        "line": 7,
        "source": hostile,
        "status": "failed",
        "reason": {"kind": "raised", "text": hostile},
        "traceback": [hostile],
        "stderr_tail": hostile,
        "differences": [difference],
    }
    report = CellReport("a.ipynb", Cell.parse(event))
    copy = CellReport.from_json(json.loads(json.dumps(report.to_json())))
    said = str(copy)

    assert said == str(report)
    assert said.count("text") == 7
    assert not set(said) - {"\n"} & {chr(code) for code in range(32)}
    for part in ("2 instead of 1.5: 0.5 apart", "actual: /a.png", "difference: /d.png"):
        assert part in said
    assert str(report.reprcrash).startswith("a.ipynb:7: text")


def both(run: Runner, *options: str) -> tuple[Verdicts, Verdicts]:
    """How nbval and this plugin judge the notebooks of a folder."""
    pytest.importorskip("nbval")
    report = run.folder / "nbval.xml"
    words = ("-m", "pytest", "-p", "no:cellwall", f"--junitxml={report}")
    nbval = ("--nbval-current-env", *(f"--nbval{option}" for option in options))
    run.pytester.run(sys.executable, *words, *nbval)
    return verdicts(report), run(*(f"--cellwall{option}" for option in options))


TAGGED: list[tuple[str, Any]] = [
    ("agrees", cell("print(1)", stdout("1\n"))),
    ("differs", cell("print(1)", stdout("2\n"))),
    ("is missing", cell("pass", stdout("2\n"))),
    ("is extra", cell("print(1)")),
    ("value differs", cell("1", result("2"))),
    ("raises", cell("1 / 0")),
    ("is ignored by a tag", cell("3", result("4"), tags=("nbval-ignore-output",))),
    ("is ignored by a comment", cell("# NBVAL_IGNORE_OUTPUT\n3", result("4"))),
    ("is ignored as of old", cell("#PYTEST_VALIDATE_IGNORE_OUTPUT\n3", result("4"))),
    ("is compared by a tag", cell("3", result("4"), tags=("nbval-check-output",))),
    ("is compared by a comment", cell("  ## NBVAL_CHECK_OUTPUT\n3", result("4"))),
    ("comment beats tag", cell("#NBVAL_CHECK_OUTPUT\n3", tags=("nbval-ignore-output",))),
    ("is skipped by a tag", cell("1 / 0", tags=("nbval-skip",))),
    ("is skipped by a comment", cell("# NBVAL_SKIP\n1 / 0")),
    ("not a mark", cell("# NBVAL_SKIP it\n1 / 0")),
    ("not a tag", cell("3", result("4"), tags=("NBVAL_IGNORE_OUTPUT",))),
    ("must raise", cell("1 / 0", tags=("raises-exception", "nbval-ignore-output"))),
    ("must raise, nbval's", cell("# NBVAL_RAISES_EXCEPTION\n# NBVAL_IGNORE_OUTPUT\n1/0")),
    ("streams are one", cell("print(1)\nprint(2)", stdout("1\n"), stdout("2\n"))),
    ("carriage return", cell("print('a\\rb')", stdout("b\n"))),
]


@pytest.mark.parametrize("options", [(""), ("-lax")])
def test_tags_and_comments_mean_what_nbval_says(run: Runner, options: str) -> None:
    write(run.folder / "tags.ipynb", *(entry for _, entry in TAGGED))
    theirs, ours = both(run, options)

    assert len(ours) == len(TAGGED)
    different = [
        (name, theirs.get(key), ours.get(key))
        for key, (name, _) in zip(theirs, TAGGED)
        if theirs[key] != ours.get(key)
    ]
    assert different == []
    assert theirs.keys() == ours.keys()
