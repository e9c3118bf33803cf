#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the steps of the test suite, each to its end, and counts what passed.

A step prints one line, and its output only when it failed; the whole output of each is in
build/test-logs/. The last line tells the sums: of checks, of cmocka's tests and of
pytest's. Tests that run programs wait more than they work; what analyses the sources goes
on beside them.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import nodejs

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "build/test-logs"
BIN = Path(sys.executable).parent
CORES = os.cpu_count() or 2
BY_FILE = ("-p", "xdist", "-n", str(CORES), "--dist", "loadfile")
FUZZ_SECONDS = 5
OUTPUT_LINES_MAX = 200  # of a failed step; the log has all
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:quarantine_size_mb=16",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class Counts(NamedTuple):
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:  # type: ignore[override]
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


def one_test(passed: bool) -> Counts:
    return Counts(1, 0) if passed else Counts(0, 1)


class Outcome(NamedTuple):
    counts: Counts
    output: str


class Step(NamedTuple):
    name: str
    run: Callable[[], Outcome]
    needs: tuple[str, ...] = ()  # steps without which it cannot be run
    is_aside: bool = False  # goes on beside those that follow, and gives way to them


GENTLY = ("nice", "-n", "19")


def call(*command: str | Path, **env: str) -> tuple[int, str]:
    """Runs COMMAND in the project's folder; its exit status and output."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, f"$ {shlex.join(words)}\n" + done.stdout.decode(
        errors="replace"
    )


def check(*command: str | Path) -> Callable[[], Outcome]:
    """A step that is one test: it passes when COMMAND exits with 0."""

    def run() -> Outcome:
        status, output = call(*command)
        return Outcome(one_test(status == 0), output)

    return run


def project_files(*patterns: str) -> list[str]:
    """Files that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        + ["--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def check_format() -> Outcome:
    results = [
        call(BIN / "clang-format", "--dry-run", "-Werror", *project_files("*.[ch]")),
        call(BIN / "ruff", "format", "--check", "."),
        call(BIN / "ruff", "check", "."),
    ]
    failed = sum(status != 0 for status, _ in results)
    return Outcome(
        Counts(len(results) - failed, failed), "".join(text for _, text in results)
    )


def build(preset: str, before: tuple[str, ...] = ()) -> Callable[[], Outcome]:
    """Configures and builds one preset; any warning fails it where it says -Werror."""

    def run() -> Outcome:
        status, output = call(*before, "cmake", "--preset", preset)
        if status == 0:
            command = ("cmake", "--build", "--preset", preset, "--", "-k", "0")
            status, text = call(*before, *command)
            output += text
        return Outcome(one_test(status == 0), output)

    return run


def run_tidy() -> Outcome:
    """clang-tidy over every C file, each file a test."""
    sources = project_files("*.c")

    def one(source: str) -> tuple[int, str]:
        tidy = (BIN / "clang-tidy", "--quiet", "-p", "build/clang", source)
        return call(*GENTLY, *tidy)

    with ThreadPoolExecutor(max(1, CORES // 2)) as pool:  # tests run beside it
        results = list(pool.map(one, sources))
    failed = [text for status, text in results if status != 0]
    return Outcome(Counts(len(results) - len(failed), len(failed)), "".join(failed))


def check_node() -> Outcome:
    """Types and format of the Node client, format of the runtimes on Node."""
    try:
        env = nodejs.environment()
        output = nodejs.install(env)
    except nodejs.Unusable as why:
        return Outcome(Counts(0, 0, 1), f"skipped: {why}")
    except subprocess.CalledProcessError as error:
        return Outcome(Counts(0, 1), error.output)
    npm = ("npm", "--prefix", nodejs.CLIENT, "run")
    results = [call(*npm, script, **env) for script in ("types", "format:check")]
    prettier = nodejs.CLIENT / "node_modules/.bin/prettier"
    results.append(call(prettier, "--check", nodejs.RUNTIME, **env))
    failed = sum(status != 0 for status, _ in results)
    output += "".join(text for _, text in results)
    return Outcome(Counts(len(results) - failed, failed), output)


TAP = re.compile(r"^(ok|not ok) \d+(?:.*(# SKIP))?", re.MULTILINE)


def count_tap(output: str, ended_well: bool) -> Counts:
    """The tests that one program reported; 1 for a program that reports none."""
    found = TAP.findall(output)
    skipped = sum(1 for _, skip in found if skip)
    failed = sum(1 for word, skip in found if word == "not ok" and not skip)
    passed = len(found) - skipped - failed
    if not found:
        return one_test(ended_well)
    if not ended_well and failed == 0:
        failed = 1  # it reported no failure, but crashed
    return Counts(passed, failed, skipped)


def run_units() -> Outcome:
    """The cmocka programs, through ctest, under the sanitizers."""
    report = LOGS / "units.xml"
    report.unlink(missing_ok=True)
    status, output = call(
        *("ctest", "--test-dir", "build/asan", "--output-on-failure", "-j", str(CORES)),
        *("--test-output-size-passed", "10000000"),
        *("--test-output-size-failed", "10000000"),
        *("--timeout", "300", "--output-junit", report),
        CMOCKA_MESSAGE_OUTPUT="TAP",
        **SANITIZERS,
    )
    counts = Counts()
    if report.exists():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            state = case.get("status")
            if state == "disabled" or state == "notrun":
                counts += Counts(0, 0, 1)
                continue
            said = case.findtext("system-out") or ""
            counts += count_tap(said, state == "run")
    if counts.passed == 0 or (status != 0 and counts.failed == 0):
        counts += Counts(0, 1)
    return Outcome(counts, output)


def pytest(name: str, *arguments: str) -> Callable[[], Outcome]:
    def run() -> Outcome:
        report = LOGS / f"{name}.xml"
        report.unlink(missing_ok=True)
        status, output = call(
            *(sys.executable, "-m", "pytest", "-q", "--durations=10"),
            *(f"--junitxml={report}", *arguments),
            CELLWALL=str(ROOT / "build/asan/cellwall"),
            **SANITIZERS,
        )
        counts = Counts()
        if report.exists():
            for suite in ElementTree.parse(report).getroot().iter("testsuite"):
                total, errors, failures, skipped = (
                    int(suite.get(key, "0"))
                    for key in ("tests", "errors", "failures", "skipped")
                )
                bad = errors + failures
                counts += Counts(max(total - bad - skipped, 0), bad, skipped)
        if status != 0 and counts.failed == 0:
            counts += Counts(0, 1)
        return Outcome(counts, output)

    return run


STEPS = (
    Step("format", check_format),
    Step("layers", check(sys.executable, "tests/checks/layers.py")),
    Step("node", check_node),
    Step(
        "types",
        check(
            *(BIN / "mypy", "--cache-dir", "build/mypy"),
            *("--config-file", "clients/python/pyproject.toml", "clients/python/src"),
        ),
    ),
    Step("text", check(sys.executable, "tests/checks/text.py")),
    Step("checks", pytest("checks", "tests/checks")),
    Step("build-asan", build("asan")),
    Step("client", pytest("client", "clients/python/tests"), needs=("build-asan",)),
    Step("units", run_units, needs=("build-asan",)),
    Step(
        "runtimes", pytest("runtimes", "tests/runtimes", *BY_FILE), needs=("build-asan",)
    ),
    Step("kernel", pytest("kernel", "tests/kernel"), needs=("build-asan",)),
    Step("build-clang", build("clang", GENTLY), is_aside=True),
    Step("tidy", run_tidy, needs=("build-clang",), is_aside=True),
    Step("build-analyze", build("analyze", GENTLY), is_aside=True),
    Step("build-fuzz", build("fuzz", GENTLY), is_aside=True),
    Step(
        "fuzz",
        check(*GENTLY, "tests/fuzz/run", str(FUZZ_SECONDS), "build/fuzz"),
        needs=("build-fuzz",),
        is_aside=True,
    ),
    Step("system", pytest("system", "tests/system", *BY_FILE), needs=("build-asan",)),
)


def tail(output: str) -> str:
    lines = output.rstrip().splitlines()
    if len(lines) > OUTPUT_LINES_MAX:
        left_out = len(lines) - OUTPUT_LINES_MAX
        lines = [f"[{left_out} lines left out]", *lines[-OUTPUT_LINES_MAX:]]
    return "\n".join(lines)


def run_step(step: Step, failed: set[str]) -> Counts:
    start = time.monotonic()
    missing = [name for name in step.needs if name in failed]
    if missing:
        # Not run is not passed: what could not be tested counts as a failure.
        outcome = Outcome(Counts(0, 1), f"not run, for {', '.join(missing)} failed")
    else:
        outcome = step.run()
    seconds = time.monotonic() - start
    (LOGS / f"{step.name}.log").write_text(outcome.output)
    counts = outcome.counts
    told = f"{counts.passed} passed"
    told += f", {counts.failed} failed" if counts.failed else ""
    told += f", {counts.skipped} skipped" if counts.skipped else ""
    said = ""
    if counts.failed:
        failed.add(step.name)
        said = tail(outcome.output) + "\n"
    word = "FAILED" if counts.failed else "ok"
    said += f"{word} {step.name} ({seconds:.0f} s): {told}\n"
    print(said, end="", flush=True)
    return counts


def run_steps(steps: Sequence[Step]) -> Counts:
    """Those that go on beside the others, one after the other, too."""
    failed: set[str] = set()
    counts = Counts()
    with ThreadPoolExecutor(1) as aside:
        begun = []
        for step in steps:
            if step.is_aside:
                begun.append(aside.submit(run_step, step, failed))
            else:
                counts += run_step(step, failed)
        for future in begun:
            counts += future.result()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help="run only these")
    parser.add_argument("--list", action="store_true", help="name the steps and exit")
    options = parser.parse_args()
    known = [step.name for step in STEPS]
    if options.list:
        print("\n".join(known))
        return 0
    for name in options.steps:
        if name not in known:
            parser.error(f"no step {name}; there are {', '.join(known)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    # In the background of a script it is ignored, by what tests start, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    counts = run_steps(
        [step for step in STEPS if not options.steps or step.name in options.steps]
    )
    print(
        f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped",
        flush=True,
    )
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
