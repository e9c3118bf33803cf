# SPDX-License-Identifier: MIT
"""Completion, inspection and completeness of the runtimes on Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.framelib import Runner

STATE = """
let shape = {
  width: 2, area() { return 4 }, get boom() { globalThis.touched = true; return 1 }
};
/** Adds two numbers.
 * And no more. */
function add(a, b = (1)) { return a + b }
// The short way.
const half = (n) => n / 2;
class Point { constructor(x, y) {} static origin() {} }
let list = [{deep: {deeper: 1}}];
globalThis.proxy = new Proxy({}, {ownKeys() { globalThis.touched = true; return [] },
    getPrototypeOf() { globalThis.touched = true; return null }});
undefined
"""


@pytest.fixture(scope="module")
def state(javascript: Runner) -> Runner:
    javascript.run(STATE)
    return javascript


def complete(runner: Runner, code: str, cursor: int | None = None) -> dict[str, Any]:
    content = {"code": code, "cursor_pos": len(code) if cursor is None else cursor}
    reply = runner.request("complete_request", content).reply.content
    assert reply["status"] == "ok"
    return reply


@pytest.mark.parametrize(
    ("code", "matches"),
    [
        ("shape.wi", ["width"]),
        ("shape?.ar", ["area"]),
        ("list[0].deep.", None),
        ("list.map((x) => x).fil", ["fill", "filter"]),
        ("'text'.padS", ["padStart"]),
        ("JSON.pars", ["parse"]),
        ("(1).toF", ["toFixed"]),
        ("Point.orig", ["origin"]),
        ("x = shape.wi", ["width"]),
        ("f(shape.wi", ["width"]),
        ("shap", ["shape"]),
        ("hal", ["half"]),
        ("instanceo", ["instanceof"]),
        ("shape.boom.", []),
        ("nosuch.", []),
        ("proxy.", []),
        ("process.exit(1).", []),
        ("1.", []),
        ("require('fs/pro", ["fs/promises"]),
        ("import x from 'node:fs/pro", ["node:fs/promises"]),
    ],
)
def test_completion(state: Runner, code: str, matches: list[str] | None) -> None:
    found = complete(state, code)["matches"]
    if matches is None:
        assert found[0] == "deeper"
    else:
        assert found == matches
    assert state.run("globalThis.touched").items == []


def test_completion_counts_in_characters(state: Runner) -> None:
    reply = complete(state, "'\U0001f600'; shape.wi + 1", 13)
    assert reply["matches"] == ["width"]
    assert (reply["cursor_start"], reply["cursor_end"]) == (11, 13)


def test_completion_of_files(node: Runner, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/one.mjs").write_text("")
    (tmp_path / "node_modules/@scope/pack").mkdir(parents=True)
    assert complete(node, "import('./l")["matches"] == ["./lib/"]
    assert complete(node, "import('./lib/")["matches"] == ["./lib/one.mjs"]
    assert complete(node, "require('@sc")["matches"] == ["@scope/pack"]


def inspected(runner: Runner, code: str, detail: int = 0) -> str | None:
    content = {"code": code, "cursor_pos": len(code), "detail_level": detail}
    reply = runner.request("inspect_request", content).reply.content
    assert reply["status"] == "ok"
    return reply["data"]["text/plain"] if reply["found"] else None


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("add", "Signature: add(a, b = (1))\nType: function\n"),
        ("add(1, ", "Signature: add(a, b = (1))"),
        ("half", "Doc: The short way."),
        ("Point", "Signature: class Point(x, y)\nType: class"),
        ("shape.width", "Type: number\nValue: 2"),
        ("shape", "boom: [Getter]"),
        ("Math.max", "Signature: max, 2 parameters"),
        ("list", "Type: Array\nLength: 1"),
        ("null", "Type: null"),
    ],
)
def test_inspection(state: Runner, code: str, text: str) -> None:
    assert text in (inspected(state, code) or "")


def test_inspection_in_detail_shows_the_source(state: Runner) -> None:
    assert "Adds two numbers.\nAnd no more." in (inspected(state, "add") or "")
    assert "Source: function add(a" in (inspected(state, "add", 1) or "")
    assert "Source" not in (inspected(state, "add") or "")


def test_inspection_has_no_side_effects(state: Runner) -> None:
    for code in ("shape.boom", "proxy", "nosuch", "process.exit(1)", "list.push(1)"):
        inspected(state, code)
    assert state.run("[globalThis.touched, list.length]").result["text/plain"] == (
        "[ undefined, 1 ]"
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", "complete"),
        ("1", "complete"),
        ("await fetch(x)", "complete"),
        ("{a: 1}", "complete"),
        ("import {a} from 'b'", "complete"),
        ("export const a = 1", "complete"),
        ("let x = (", "incomplete"),
        ("let x =", "incomplete"),
        ("function f() {", "incomplete"),
        ("for (;;) {\n  a", "incomplete"),
        ("for await (const x of y) {", "incomplete"),
        ("`text", "incomplete"),
        ("`${", "incomplete"),
        ("[1, 2", "incomplete"),
        ("f(1,", "incomplete"),
        ("a.b.", "incomplete"),
        ("if (1)", "incomplete"),
        ("/* open", "incomplete"),
        ("import {a", "incomplete"),
        ("class A {\n  m() {", "incomplete"),
        ("f)", "invalid"),
        ("'open", "invalid"),
        ("x = = 3", "invalid"),
        ("let let = 1", "invalid"),
    ],
)
def test_completeness(either: Runner, code: str, status: str) -> None:
    reply = either.request("is_complete_request", {"code": code}).reply.content
    assert reply["status"] == status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("let x: number = 1", "complete"),
        ("enum A { B }", "complete"),
        ("interface A {", "incomplete"),
        ("let x: number =", "incomplete"),
        ("const f = (a: number): string =>", "incomplete"),
        ("x: = 3", "invalid"),
    ],
)
def test_completeness_of_typescript(typescript: Runner, code: str, status: str) -> None:
    reply = typescript.request("is_complete_request", {"code": code}).reply.content
    assert reply["status"] == status


def test_indent_of_the_next_line(javascript: Runner) -> None:
    content = {"code": "if (x) {\n  for (;;) {"}
    reply = javascript.request("is_complete_request", content).reply.content
    assert reply == {"status": "incomplete", "indent": "    "}
