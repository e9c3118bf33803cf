# SPDX-License-Identifier: MIT
"""Cells of the runtimes on Node: what a console does, errors, modules, variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.framelib import FLAG_ERROR, Frame, Runner

# Cells that are run one after the other, and the text of the last one's result; None:
# there is none. docs/javascript.md has the same table for a person.
CONSOLE: list[tuple[list[str], str | None]] = [
    (["1 + 1"], "2"),
    (["let a = 1"], None),
    (["undefined"], None),
    (["null"], "null"),
    (["'text'"], "'text'"),
    (["let a = 1", "a + 1"], "2"),
    (["let a = 1", "let a = 2", "a"], "2"),
    (["const b = 1", "const b = 2", "b"], "2"),
    (["const b = 1", "let b = 2; b = 3", "b"], "3"),
    (["let a = 1", "const a = 5; a"], "5"),
    (
        ["class C { m() { return 1 } }", "class C { m() { return 2 } }", "new C().m()"],
        "2",
    ),
    (["class D {}", "let D = 4", "D"], "4"),
    (["let f = () => 1", "function f() { return 2 }", "f()"], "2"),
    (["function g() { return 1 }", "const g = 7", "g"], "7"),
    (["var v = 1", "let v = 2", "v"], "2"),
    (["let v2 = 1", "var v2 = 2", "v2"], "2"),
    (["await 5"], "5"),
    (["const t = await Promise.resolve(6)", "t"], "6"),
    (["Promise.resolve(7)"], "7"),
    (["for (let i = 0; i < 3; i++) i * 10"], "20"),
    (["if (true) { 'yes' }"], "'yes'"),
    (["{a: 1}"], "{ a: 1 }"),
    (["{ 1; 2 }"], "2"),
    (["10n ** 20n"], "100000000000000000000n"),
    (["-0"], "-0"),
    (["NaN"], "NaN"),
    (["Symbol('s')"], "Symbol(s)"),
    (["new Map([[1, {a: 2}]])"], "Map(1) { 1 => { a: 2 } }"),
    (["new Set('ab')"], "Set(2) { 'a', 'b' }"),
    (["new Date(0)"], "1970-01-01T00:00:00.000Z"),
    (["new Float32Array(2)"], "Float32Array(2) [ 0, 0 ]"),
    (["let o = {}; o.self = o; o"], "<ref *1> { self: [Circular *1] }"),
    (["(() => {})"], "[Function (anonymous)]"),
    (["class E2 extends Error {}"], None),
    (["import fs from 'fs'; typeof fs.readFileSync"], "'function'"),
    (["import {join as j} from 'node:path'", "j('a', 'b')"], "'a/b'"),
    (["import * as ns from 'node:os'; ns.EOL"], "'\\n'"),
    (["import d, {sep} from 'path'; [typeof d.join, sep]"], "[ 'function', '/' ]"),
    (["(await import('node:path')).sep"], "'/'"),
    (["const load = () => import('node:path'); (await load()).sep"], "'/'"),
    (["require('path').sep"], "'/'"),
    (["export const exported = 3", "exported"], "3"),
    (["typeof import.meta.url"], "'string'"),
    (["path.sep"], "'/'"),
    (["this === globalThis"], "true"),
    (["process.argv.length"], "1"),
]


@pytest.mark.parametrize(("cells", "text"), CONSOLE)
def test_a_console_case(either: Runner, cells: list[str], text: str | None) -> None:
    for code in cells:
        outcome = either.run(code)
        assert outcome.status == "ok", outcome.reply.content
    if text is None:
        assert outcome.frames("execute_result") == []
    else:
        assert outcome.result["text/plain"] == text


def test_value_of_a_cell_is_its_result(either: Runner) -> None:
    outcome = either.run("[1, 2]")
    (result,) = outcome.frames("execute_result")
    assert result.content == {
        "execution_count": either.count,
        "data": {"text/plain": "[ 1, 2 ]"},
        "metadata": {},
    }
    assert outcome.reply.content == {
        "status": "ok",
        "execution_count": either.count,
        "user_expressions": {},
        "payload": [],
    }
    assert outcome.reply.flags == 0


def test_silent_cell_shows_nothing(either: Runner) -> None:
    outcome = either.run("globalThis.quiet = 5", silent=True)
    assert outcome.items == []
    assert either.run("quiet", store_history=False).result["text/plain"] == "5"


def test_constant_of_a_cell_stays_constant_in_it(either: Runner) -> None:
    assert either.run("const fixed = 1; fixed = 2").error.content["ename"] == "TypeError"


@pytest.mark.parametrize(
    ("code", "name", "value", "line"),
    [
        ("throw new TypeError('why')", "TypeError", "why", 1),
        ("\nnosuch.thing", "ReferenceError", "nosuch is not defined", 2),
        ("1;\n\nlet = ;", "SyntaxError", "", 3),
        ("JSON.parse('x')", "SyntaxError", "x", 1),
        ("throw 5", "Uncaught", "5", None),
        ("throw null", "Uncaught", "null", None),
        ("class Own extends Error { name = 'Own' }\nthrow new Own('m')", "Own", "m", 2),
        ("await Promise.reject(new RangeError('late'))", "RangeError", "late", 1),
        ("Promise.reject(new RangeError('last'))", "RangeError", "last", 1),
        ("import {nosuch} from 'node:fs'", "SyntaxError", "'nosuch'", None),
        ("import 'no-such-package'", "Error", "no-such-package", None),
        ("process.exit(3)", "SystemExit", "3", None),
        ("process.exit()", "SystemExit", "0", None),
    ],
)
def test_error_is_sent_once_and_repeated_in_the_reply(
    either: Runner, code: str, name: str, value: str, line: int | None
) -> None:
    outcome = either.run(code)
    error = outcome.error.content
    assert error["ename"] == name
    assert value in error["evalue"]
    if line is not None:
        assert error["traceback"][0] == f"In[{either.count}]:{line}"
    assert outcome.reply.flags == FLAG_ERROR
    reply = outcome.reply.content
    assert {key: reply[key] for key in ("ename", "evalue", "traceback")} == error
    assert reply["status"] == "error"
    assert either.run("1").status == "ok"


def test_traceback_shows_the_line_and_nothing_of_the_runner(either: Runner) -> None:
    either.run("function divide(a, b) {\n  throw new Error('no')\n}")
    count = either.count
    traceback = either.run("let x1 = 1\ndivide(x1, 0)").error.content["traceback"]
    assert traceback == [
        f"In[{count}]:2",
        "  throw new Error('no')",
        "        ^",
        "",
        "Error: no",
        f"    at divide (In[{count}]:2:9)",
        f"    at In[{count + 1}]:2:1",
    ]


def test_stack_that_code_reads_is_clean_too(either: Runner) -> None:
    outcome = either.run(
        "async function w() { await 1; return new Error('s').stack }\nawait w()"
    )
    text = outcome.result["text/plain"]
    assert "src/" not in text and "node:" not in text
    assert "at async In[" in text


def test_cause_is_part_of_the_traceback(either: Runner) -> None:
    outcome = either.run("throw new Error('outer', {cause: new TypeError('inner')})")
    assert "TypeError: inner" in "\n".join(outcome.error.content["traceback"])


def test_error_that_cannot_be_shown_is_an_error_all_the_same(either: Runner) -> None:
    code = "throw new Proxy({}, {get() { throw 1 }})"
    assert either.run(code).status == "error"
    code = "throw Object.defineProperty(new Error, 'message', {get() { throw 1 }})"
    assert either.run(code).status == "error"
    assert either.run("throw Object.create(null)").status == "error"


def test_exit_ends_the_cell_and_keeps_the_variables(either: Runner) -> None:
    outcome = either.run("let before = 1; process.exit(2); before = 2")
    assert outcome.error.content["evalue"] == "2"
    assert either.run("before").result["text/plain"] == "1"


def test_exit_of_a_timer_that_the_cell_waits_for(either: Runner) -> None:
    code = "setTimeout(() => process.exit(4), 1); await new Promise(() => {})"
    assert either.run(code).error.content["evalue"] == "4"


def test_late_exit_ends_nothing(either: Runner) -> None:
    either.run("setTimeout(() => process.exit(4), 1)")
    outcome = either.run("await new Promise((r) => setTimeout(r, 50)); 'alive'")
    assert outcome.result["text/plain"] == "'alive'"
    assert "process.exit(4)" in outcome.stderr


def test_unhandled_rejection_is_reported_and_nothing_lost(either: Runner) -> None:
    either.run("let safe = 1; Promise.reject(new Error('nobody cares')); 0")
    outcome = either.run("await new Promise((r) => setTimeout(r, 20)); safe")
    assert outcome.result["text/plain"] == "1"


def test_uncaught_error_of_a_timer_is_reported(either: Runner) -> None:
    either.run("setTimeout(() => { throw new Error('in a timer') }, 1); 0")
    outcome = either.run("await new Promise((r) => setTimeout(r, 50))")
    assert "Uncaught Error: in a timer" in outcome.stderr
    assert "src/" not in outcome.stderr


def test_expressions_of_the_user(either: Runner) -> None:
    either.run("let e1 = 20")
    wanted = {"sum": "e1 + 1", "bad": "nosuch", "wait": "Promise.resolve(3)"}
    answers = either.run("1", user_expressions=wanted).reply.content["user_expressions"]
    assert answers["sum"] == {
        "status": "ok",
        "data": {"text/plain": "21"},
        "metadata": {},
    }
    assert answers["wait"]["data"] == {"text/plain": "3"}
    assert answers["bad"]["ename"] == "ReferenceError"


# Modules.


def test_modules_of_the_working_directory(node: Runner, tmp_path: Path) -> None:
    (tmp_path / "own.mjs").write_text("export const own = 1; export default 2;")
    (tmp_path / "common.cjs").write_text("exports.word = __filename;")
    (tmp_path / "data.json").write_text('{"a": [1]}')
    package = tmp_path / "node_modules/pack"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "pack", "main": "main.js"}')
    (package / "main.js").write_text("exports.packed = true;")
    run = [
        ("import two, {own} from './own.mjs'; [two, own]", "[ 2, 1 ]"),
        ("import {packed} from 'pack'; packed", "true"),
        ("require('pack').packed", "true"),
        ("require('./common.cjs').word", f"'{tmp_path}/common.cjs'"),
        ("import data from './data.json'; data.a", "[ 1 ]"),
        ("import data from './data.json' with {type: 'json'}; data.a", "[ 1 ]"),
        ("(await import('./data.json', {with: {type: 'json'}})).default.a", "[ 1 ]"),
        ("import.meta.dirname", f"'{tmp_path}'"),
    ]
    for code, text in run:
        assert node.run(code).result["text/plain"] == text, code


def test_import_follows_the_working_directory(node: Runner, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/m.mjs").write_text("export default 'below'")
    outcome = node.run("process.chdir('below'); import m from './m.mjs'; m")
    assert outcome.result["text/plain"] == "'below'"


def test_error_in_a_module_names_its_line(node: Runner, tmp_path: Path) -> None:
    (tmp_path / "bad.mjs").write_text("\nthrow new Error('in the module')")
    error = node.run("import './bad.mjs'").error.content
    assert f"{tmp_path}/bad.mjs:2" in "\n".join(error["traceback"])


# Environment variables of one run.


def given(**variables: Any) -> dict[str, Any]:
    return {"cellwall": {"env": variables}}


def test_variables_of_a_run_are_its_own(node: Runner) -> None:
    code = "[process.env.ONE, require('child_process').execSync('echo $ONE')+'']"
    outcome = node.run(code, metadata=given(ONE="1"))
    assert outcome.result["text/plain"] == "[ '1', '1\\n' ]"
    assert node.run("process.env.ONE").items == []
    node.run("process.env.ONE = 'kept'")
    node.run(
        "process.env.ONE = 'changed'; process.env.TWO = '2'", metadata=given(ONE="x")
    )
    outcome = node.run("[process.env.ONE, process.env.TWO]")
    assert outcome.result["text/plain"] == "[ 'kept', '2' ]"


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_variables_that_cannot_be_set_fail_the_run(node: Runner, name: str) -> None:
    outcome = node.run("console.log('ran')", metadata=given(**{name: "1"}))
    assert outcome.status == "error"
    assert outcome.stdout == ""


# What is not JavaScript's.


def test_comm_that_nobody_answers_is_closed(node: Runner) -> None:
    outcome = node.request("comm_open", {"comm_id": "c1", "target_name": "t", "data": {}})
    (frame,) = outcome.frames("comm_close")
    assert frame.content["comm_id"] == "c1"
    assert node.request("comm_msg", {"comm_id": "c1", "data": {}}).reply.content == {}


def test_hello_tells_the_language(start_node: Any) -> None:
    for language, suffix in (("javascript", ".js"), ("typescript", ".ts")):
        runner = start_node(language)
        info = runner.greeting["language_info"]
        assert (info["name"], info["file_extension"]) == (language, suffix)


def test_reply_that_is_too_large_is_an_error(node: Runner) -> None:
    shown = "({'text/plain': 'x'.repeat(1.4e8)})"
    wanted = {"big": f"({{[Symbol.for('Jupyter.display')]: () => {shown}}})"}
    outcome = node.run("1", user_expressions=wanted)
    assert outcome.status == "error"
    assert "cannot be sent" in outcome.reply.content["evalue"]
    assert node.run("2").status == "ok"


def test_result_that_is_too_large_is_an_error(node: Runner) -> None:
    assert node.run("display.text('x'.repeat(1.4e8))").status == "error"
    assert node.run("2").status == "ok"


def test_end_of_the_conversation_runs_exit_listeners(
    node: Runner, tmp_path: Path
) -> None:
    node.run("process.on('exit', () => fs.writeFileSync('ended', ''))")
    node.send(Frame("shutdown", 0))
    assert node.process.wait(20) == 0
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    "code",
    [
        "JSON.stringify = JSON.parse = undefined",
        "globalThis.Promise = globalThis.Error = undefined",
        "delete globalThis.console; process.stdout = null",
        "Error.prepareStackTrace = () => { throw 1 }; Error.stackTraceLimit = 0",
        "Object.freeze(globalThis)",
    ],
)
def test_runner_lives_on_when_user_code_breaks_what_there_is(
    node: Runner, code: str
) -> None:
    node.run(code)
    assert node.run("2").status == "ok"
    assert node.run("throw 'x'").status == "error"
