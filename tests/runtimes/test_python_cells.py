# SPDX-License-Identifier: MIT
"""Cells of the Python runtime: results, errors, history, payloads, expressions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.runtimes.framelib import FLAG_ERROR, FLAG_INTERRUPTED, Runner

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def plain(lines: list[str]) -> str:
    return ANSI.sub("", "\n".join(lines))


def test_value_of_a_cell_is_its_result(shared: Runner) -> None:
    outcome = shared.run("1 + 1")
    (result,) = outcome.frames("execute_result")
    assert result.content["data"] == {"text/plain": "2"}
    assert result.content["execution_count"] == shared.count
    assert outcome.reply.content == {
        "status": "ok",
        "execution_count": shared.count,
        "user_expressions": {},
        "payload": [],
    }
    assert outcome.reply.flags == 0


def test_none_and_semicolon_give_no_result(shared: Runner) -> None:
    assert shared.run("None").items == []
    assert shared.run("3;").items == []


def test_empty_cell_is_ok(shared: Runner) -> None:
    outcome = shared.run("", silent=True)
    assert outcome.status == "ok"
    assert outcome.reply.content["execution_count"] == shared.count


def test_variables_survive(shared: Runner) -> None:
    shared.run("kept = 41")
    assert shared.run("kept + 1").result["text/plain"] == "42"


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        ("1/0", "ZeroDivisionError", "division by zero"),
        ("raise ValueError('why')", "ValueError", "why"),
        ("%nosuchmagic", "UsageError", "nosuchmagic"),
        ("%%nosuchmagic\n1", "UsageError", "nosuchmagic"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("import sys; sys.exit('bye')", "SystemExit", "bye"),
        ("def f(:\n  pass", "SyntaxError", "invalid syntax"),
        ("x = 1\n  y = 2", "IndentationError", "unexpected indent"),
        ("exec('def (')", "SyntaxError", "invalid syntax"),
        ("import bdb; raise bdb.BdbQuit('left')", "BdbQuit", "left"),
        ("raise asyncio.CancelledError", "NameError", "asyncio"),
        ("return 1", "SyntaxError", "return"),
        ("raise BaseException('base')", "BaseException", "base"),
        ("raise GeneratorExit('gen')", "GeneratorExit", "gen"),
        ("raise StopIteration('stop')", "StopIteration", "stop"),
    ],
)
def test_error_is_sent_once_and_repeated_in_the_reply(
    shared: Runner, code: str, name: str, value: str
) -> None:
    outcome = shared.run(code)
    error = outcome.error.content
    assert error["ename"] == name
    assert value in error["evalue"]
    assert outcome.reply.flags == FLAG_ERROR
    reply = outcome.reply.content
    assert {key: reply[key] for key in ("ename", "evalue", "traceback")} == error
    assert reply["status"] == "error"
    assert reply["execution_count"] == shared.count
    assert shared.run("1").status == "ok"


def test_traceback_shows_the_cell_and_nothing_of_the_runner(shared: Runner) -> None:
    shared.run("def divide(a, b):\n    return a / b")
    text = plain(shared.run("x = 1\ndivide(x, 0)").error.content["traceback"])
    assert "return a / b" in text
    assert "----> 2 divide(x, 0)" in text
    assert "cellwall_runner" not in text
    assert "Cell In[" in text or "/ipykernel_" in text


def test_traceback_of_awaited_code_shows_nothing_of_the_runner(shared: Runner) -> None:
    outcome = shared.run("import asyncio\nawait asyncio.sleep(0)\n1/0")
    text = plain(outcome.error.content["traceback"])
    assert "1/0" in text
    assert "cellwall_runner" not in text


def test_chained_errors_show_the_cause(shared: Runner) -> None:
    outcome = shared.run(
        "try:\n    1/0\nexcept Exception as e:\n    raise KeyError from e"
    )
    text = plain(outcome.error.content["traceback"])
    assert "ZeroDivisionError" in text
    assert "KeyError" in text


def test_exception_group_shows_its_members(shared: Runner) -> None:
    outcome = shared.run(
        "import sys\n"
        "if sys.version_info >= (3, 11):\n"
        "    raise ExceptionGroup('several', [ValueError('inner')])\n"
        "raise ValueError('several inner')"
    )
    text = plain(outcome.error.content["traceback"])
    assert "inner" in text
    assert "several" in outcome.error.content["evalue"]


def test_error_whose_text_fails_is_an_error_all_the_same(shared: Runner) -> None:
    outcome = shared.run(
        "class Bad(Exception):\n"
        "    def __str__(self): raise RuntimeError('no text')\n"
        "raise Bad"
    )
    assert outcome.error.content["ename"] == "Bad"


def test_huge_error_is_cut(shared: Runner) -> None:
    outcome = shared.run("raise ValueError('x' * 200_000_000)")
    error = outcome.error.content
    assert len(error["evalue"]) < 2_000_000
    assert "characters left out" in error["evalue"]
    assert outcome.status == "error"


def test_deep_recursion_is_an_error(shared: Runner) -> None:
    outcome = shared.run("def f(): f()\nf()")
    assert outcome.error.content["ename"] == "RecursionError"


def test_custom_exception_handler_is_used(runner: Runner) -> None:
    runner.run(
        "def handler(shell, etype, value, tb, tb_offset=None):\n"
        "    print('handled', value)\n"
        "get_ipython().set_custom_exc((LookupError,), handler)"
    )
    outcome = runner.run("raise LookupError('mine')")
    assert "handled mine" in outcome.stdout
    assert outcome.status == "error"
    assert outcome.error.content["ename"] == "LookupError"


def test_silent_run_has_no_result_but_prints(runner: Runner) -> None:
    outcome = runner.run("print('seen'); 5", silent=True)
    assert outcome.stdout == "seen\n"
    assert outcome.frames("execute_result") == []
    assert outcome.reply.content["execution_count"] == 0
    assert runner.run("1").frames("execute_result")[0].content["execution_count"] == 1


def test_run_that_is_not_stored_leaves_history_alone(runner: Runner) -> None:
    runner.run("'first'")
    outcome = runner.run("'not stored'", store_history=False)
    assert outcome.result == {"text/plain": "'not stored'"}
    assert outcome.reply.content["execution_count"] == 1
    assert runner.run("In[1:]").result["text/plain"] == "[\"'first'\", 'In[1:]']"


def test_history_variables_follow_the_servers_count(runner: Runner) -> None:
    runner.count = 7  # as after a restart of the interpreter
    runner.run("'eight'")
    assert runner.run("_8, Out[8], In[8], _i, _").result["text/plain"] == (
        "('eight', 'eight', \"'eight'\", \"'eight'\", 'eight')"
    )


def test_history_magic_shows_this_session(runner: Runner) -> None:
    runner.run("a = 1")
    assert "a = 1" in runner.run("%history -n").stdout


def test_history_is_kept_in_no_file(runner: Runner) -> None:
    runner.run("secret = 1")
    code = "import threading, os\n[t.name for t in threading.enumerate()]"
    assert runner.run(code).result["text/plain"] == "['MainThread']"
    found = runner.run(
        "!find $IPYTHONDIR ~/.ipython -name 'history.sqlite' -newer /proc/$$"
    )
    assert found.stdout == ""


def test_pager_is_a_payload(shared: Runner) -> None:
    (payload,) = shared.run("?len").reply.content["payload"]
    assert payload["source"] == "page"
    assert "Return the number of items" in payload["data"]["text/plain"]
    assert shared.run("1").reply.content["payload"] == []


def test_set_next_input_is_a_payload(shared: Runner) -> None:
    outcome = shared.run("get_ipython().set_next_input('next', replace=True)")
    assert outcome.reply.content["payload"] == [
        {"source": "set_next_input", "text": "next", "replace": True}
    ]


@pytest.mark.parametrize("code", ["exit", "quit()"])
def test_exit_asks_the_frontend(shared: Runner, code: str) -> None:
    assert shared.run(code).reply.content["payload"] == [
        {"source": "ask_exit", "keepkernel": False}
    ]
    assert shared.run("1").status == "ok"


def test_user_expressions_are_evaluated(shared: Runner) -> None:
    outcome = shared.run("n = 3", user_expressions={"good": "n + 1", "bad": "1/0"})
    found = outcome.reply.content["user_expressions"]
    assert found["good"]["data"] == {"text/plain": "4"}
    assert found["good"]["status"] == "ok"
    assert found["bad"]["status"] == "error"
    assert found["bad"]["ename"] == "ZeroDivisionError"
    assert outcome.status == "ok"


def test_user_expressions_are_not_evaluated_after_an_error(shared: Runner) -> None:
    outcome = shared.run("1/0", user_expressions={"a": "1"})
    assert outcome.reply.content["user_expressions"] == {}


def test_reply_that_is_too_large_is_an_error(runner: Runner) -> None:
    outcome = runner.run("big = 'x' * 140_000_000", user_expressions={"big": "big"})
    assert outcome.status == "error"
    assert outcome.reply.flags == FLAG_ERROR
    assert "at most" in outcome.reply.content["evalue"]
    assert runner.run("1").status == "ok"


def test_raised_keyboard_interrupt_is_flagged(shared: Runner) -> None:
    outcome = shared.run("raise KeyboardInterrupt")
    assert outcome.reply.flags == FLAG_ERROR | FLAG_INTERRUPTED
    assert outcome.error.content["ename"] == "KeyboardInterrupt"


def test_ping_is_answered(shared: Runner) -> None:
    assert shared.ping().reply.content == {}


def test_completion_matches_have_types(shared: Runner) -> None:
    shared.run("import os")
    outcome = shared.request(
        "complete_request", {"code": "os.getcw", "cursor_pos": len("os.getcw")}
    )
    reply = outcome.reply.content
    assert reply["status"] == "ok"
    matches = [match.rsplit(".", 1)[-1] for match in reply["matches"]]
    assert matches[:2] == ["getcwd", "getcwdb"]
    assert reply["cursor_end"] == len("os.getcw")
    types = reply["metadata"]["_jupyter_types_experimental"]
    assert len(types) == len(reply["matches"])
    assert types[0]["type"] == "function"


def test_completion_counts_code_points(shared: Runner) -> None:
    shared.run("prächtig = 1")
    code = "'🎉🎉'; prächt"
    reply = shared.request(
        "complete_request", {"code": code, "cursor_pos": len(code)}
    ).reply.content
    assert reply["matches"] == ["prächtig"]
    assert (reply["cursor_start"], reply["cursor_end"]) == (6, len(code))


@pytest.mark.parametrize("code", ["", "((((", "%%", "\n\n", "import ", "x = '"])
def test_completion_of_odd_code_is_answered(shared: Runner, code: str) -> None:
    outcome = shared.request("complete_request", {"code": code, "cursor_pos": len(code)})
    assert outcome.status == "ok"


def test_completion_survives_objects_that_fail(shared: Runner) -> None:
    shared.run(
        "class Bad:\n    def __dir__(self): raise SystemExit\n"
        "    def __getattr__(self, name): raise RuntimeError\nbad = Bad()"
    )
    shared.request("complete_request", {"code": "bad.", "cursor_pos": 4})
    assert shared.run("1").status == "ok"


def test_inspection_has_two_levels(shared: Runner) -> None:
    shared.run("def documented():\n    'It says so.'\n    return 'source'")
    for level, text in ((0, "It says so."), (1, "return 'source'")):
        reply = shared.request(
            "inspect_request",
            {"code": "documented()", "cursor_pos": 5, "detail_level": level},
        ).reply.content
        assert reply["found"] is True
        assert text in plain([reply["data"]["text/plain"]])
        assert "text/html" not in reply["data"]


def test_inspection_of_nothing_finds_nothing(shared: Runner) -> None:
    reply = shared.request("inspect_request", {"code": "nosuchname"}).reply.content
    assert reply == {"status": "ok", "found": False, "data": {}, "metadata": {}}


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("1 + 1", {"status": "complete"}),
        ("for x in y:", {"status": "incomplete", "indent": "    "}),
        ("1 +* 2", {"status": "invalid"}),
    ],
)
def test_completeness_is_told(shared: Runner, code: str, answer: dict[str, str]) -> None:
    reply = shared.request("is_complete_request", {"code": code}).reply.content
    assert reply == answer


def test_shell_commands_run_without_a_terminal(shared: Runner) -> None:
    outcome = shared.run("!echo out; echo err >&2; exit 3")
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    assert shared.run("_exit_code").result["text/plain"] == "3"
    shared.run("!kill -9 $$")
    assert shared.run("_exit_code").result["text/plain"] == "-9"


def test_shell_output_can_be_captured(shared: Runner) -> None:
    assert (
        shared.run("files = !echo a; echo b\nfiles").result["text/plain"] == "['a', 'b']"
    )
    shared.run("word = 'expanded'")
    assert shared.run("!echo {word} $word").stdout == "expanded expanded\n"
    assert shared.run("def f(local):\n    !echo {local}\nf('inner')").stdout == "inner\n"


def test_bash_magic_runs(shared: Runner) -> None:
    outcome = shared.run("%%bash\necho out\necho err >&2")
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    again = shared.run("%%bash\necho again")
    assert {frame.number for frame in again.frames("stream")} == {again.reply.number}
    assert shared.run("%%bash\nexit 3").error.content["ename"] == "CalledProcessError"


def test_capture_keeps_output_from_the_cell(shared: Runner) -> None:
    shared.run("%%capture got\nprint('inside')\ndisplay('shown')")
    assert shared.run("got.stdout").result["text/plain"] == "'inside\\n'"
    assert shared.run("len(got.outputs)").result["text/plain"] == "1"


def test_run_magic_runs_a_file(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print(__name__, __file__)\nvalue = 5\n")
    outcome = runner.run("%run script.py")
    assert outcome.stdout.startswith("__main__")
    assert runner.run("value").result["text/plain"] == "5"
    assert runner.run("__name__").result["text/plain"] == "'__main__'"


def test_magics_of_ipykernel_that_page_are_there(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a page\n")
    (payload,) = runner.run("%less text.txt").reply.content["payload"]
    assert payload["data"]["text/plain"] == "a page\n"


def test_decimal_precision_survives_the_cell(runner: Runner) -> None:
    runner.run("import decimal, contextvars\ndecimal.getcontext().prec = 5")
    runner.run("var = contextvars.ContextVar('var'); token = var.set('kept')")
    shown = runner.run("str(decimal.Decimal(1) / 3), var.get()").result["text/plain"]
    assert shown == "('0.33333', 'kept')"


def test_warnings_name_the_cell(shared: Runner) -> None:
    outcome = shared.run("import warnings\nwarnings.warn('careful')")
    assert "careful" in outcome.stderr
    assert "UserWarning" in outcome.stderr
    assert "careful" in shared.run("import warnings\nwarnings.warn('careful')").stderr


def test_callbacks_that_fail_do_not_fail_the_cell(runner: Runner) -> None:
    runner.run("get_ipython().events.register('post_execute', lambda: 1/0)")
    outcome = runner.run("1")
    assert outcome.status == "ok"
    assert outcome.error.content["ename"] == "ZeroDivisionError"


def test_late_input_reply_is_ignored(shared: Runner) -> None:
    from tests.runtimes.framelib import Frame

    shared.send(Frame("input_reply", 1, {"value": "nobody asked"}))
    assert shared.run("1").status == "ok"
