# SPDX-License-Identifier: MIT
"""Environment variables that one run alone has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runtimes.framelib import Outcome, Runner


def run(runner: Runner, env: Any, code: str, **options: Any) -> Outcome:
    return runner.run(code, metadata={"cellwall": {"env": env}}, **options)


def value(runner: Runner, code: str) -> str:
    return runner.run(code).result["text/plain"]


def test_run_has_its_variables_and_the_next_one_has_not(shared: Runner) -> None:
    outcome = run(shared, {"RUN_A": 'it\'s "here"\n'}, "import os; os.environ['RUN_A']")
    assert outcome.result["text/plain"] == repr('it\'s "here"\n')
    assert value(shared, "'RUN_A' in os.environ") == "False"


def test_child_processes_and_c_code_see_them(shared: Runner) -> None:
    code = (
        "import ctypes, subprocess\n"
        "libc = ctypes.CDLL(None); libc.getenv.restype = ctypes.c_char_p\n"
        "subprocess.run('echo $RUN_B', shell=True)\n"
        "print(libc.getenv(b'RUN_B'))"
    )
    assert run(shared, {"RUN_B": "ü"}, code).stdout == "ü\nb'\\xc3\\xbc'\n"
    assert value(shared, "libc.getenv(b'RUN_B') is None") == "True"


def test_variables_are_put_back_to_what_they_were(shared: Runner) -> None:
    shared.run("import os; os.environ['RUN_C'] = 'before'")
    run(shared, {"RUN_C": "meanwhile"}, "assert os.environ['RUN_C'] == 'meanwhile'")
    assert value(shared, "os.environ['RUN_C']") == "'before'"


def test_a_failed_run_is_put_back_too(shared: Runner) -> None:
    outcome = run(shared, {"RUN_D": "x"}, "1/0")
    assert outcome.error.content["ename"] == "ZeroDivisionError"
    assert value(shared, "import os; 'RUN_D' in os.environ") == "False"


def test_an_interrupted_run_is_put_back_too(runner: Runner) -> None:
    number = runner.begin_run(
        "print('on')\nwhile True: pass", metadata={"cellwall": {"env": {"RUN_E": "x"}}}
    )
    runner.until(number, "stream")
    runner.interrupt()
    assert runner.finish(number).interrupted
    assert value(runner, "import os; 'RUN_E' in os.environ") == "False"


def test_given_names_are_put_back_and_others_stay(shared: Runner) -> None:
    run(
        shared,
        {"RUN_F": "x", "RUN_G": "y"},
        "import os; os.environ['RUN_F'] = 'own'; del os.environ['RUN_G']\n"
        "os.environ['RUN_H'] = 'kept'",
    )
    assert value(
        shared, "[os.environ.get(name) for name in ('RUN_F', 'RUN_G', 'RUN_H')]"
    ) == str([None, None, "kept"])


def test_they_are_put_back_when_the_code_replaces_environ(runner: Runner) -> None:
    run(runner, {"RUN_I": "x"}, "import os, subprocess; os.environ = {}")
    outcome = runner.run("subprocess.run(['/bin/sh', '-c', 'echo ${RUN_I-none}'])")
    assert "none" in outcome.stdout


def test_expressions_of_the_run_see_them(shared: Runner) -> None:
    outcome = run(
        shared,
        {"RUN_J": "x"},
        "import os",
        user_expressions={"v": "os.environ['RUN_J']"},
    )
    expressions = outcome.reply.content["user_expressions"]
    assert expressions["v"]["data"]["text/plain"] == "'x'"


def test_time_zone_is_that_of_the_run(shared: Runner) -> None:
    code = "import time; time.strftime('%H', time.localtime(0))"
    before = value(shared, code)
    there = run(shared, {"TZ": "XYZ-5"}, code).result["text/plain"]
    assert there == "'05'"
    assert value(shared, code) == before


@pytest.mark.parametrize(
    "env",
    [
        {"": "x"},
        {"A=B": "x"},
        {"A\0": "x"},
        {"A": "x\0"},
        {"A": "\ud800"},
        {"A": 1},
        {"A": None},
        ["A"],
        "A=B",
        {f"N{i}": "" for i in range(257)},
    ],
)
def test_variables_that_cannot_be_set_fail_the_run(shared: Runner, env: Any) -> None:
    outcome = run(shared, env, "print('ran')")
    assert outcome.error.content["ename"] in (
        "ValueError",
        "TypeError",
        "UnicodeEncodeError",
    )
    assert outcome.stdout == ""
    assert outcome.status == "error"


def test_no_variable_is_set_when_one_cannot_be(shared: Runner) -> None:
    run(shared, {"RUN_K": "x", "=": "x"}, "")
    assert value(shared, "import os; 'RUN_K' in os.environ") == "False"


@pytest.mark.parametrize("metadata", [{}, {"cellwall": None}, {"cellwall": {"env": {}}}])
def test_other_metadata_changes_nothing(shared: Runner, metadata: Any) -> None:
    assert shared.run("1", metadata=metadata).result == {"text/plain": "1"}
