# SPDX-License-Identifier: MIT
"""TypeScript: what is more than JavaScript."""

from __future__ import annotations

import pytest

from tests.runtimes.framelib import Runner


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (["const n: number = 1", "n"], "1"),
        (["interface A { b: string }\nlet a: A = {b: 'x'}; a.b"], "'x'"),
        (["type T<K> = {k: K}; ({k: 1}) as T<number>"], "{ k: 1 }"),
        (["function id<T>(x: T): T { return x }\nid<number>(3)"], "3"),
        (["let v: string | undefined; v!; 4 satisfies number"], "4"),
        (["enum Color { Red, Green }", "Color.Green", "Color[0]"], "'Red'"),
        (["namespace N { export const q = 5 }", "N.q"], "5"),
        (
            [
                "class P { constructor(private x: number) {} get y() { return this.x }}\n"
                "new P(3).y"
            ],
            "3",
        ),
        (
            [
                "abstract class Q { abstract m(): void; n = 2 }\n"
                "class R extends Q { m() {} }\nnew R().n"
            ],
            "2",
        ),
        (["const c = <any>3; c"], "3"),
        (
            ["import type {Stats} from 'node:fs'; import {sep} from 'node:path'", "sep"],
            "'/'",
        ),
        (["import p = require('path'); p.sep"], "'/'"),
        (["await (Promise.resolve(6) as Promise<number>)"], "6"),
        (["declare const nothing: number; typeof nothing"], "'undefined'"),
    ],
)
def test_a_case(typescript: Runner, cells: list[str], text: str) -> None:
    for code in cells:
        outcome = typescript.run(code)
        assert outcome.status == "ok", outcome.reply.content
    assert outcome.result["text/plain"] == text


def test_types_are_not_checked(typescript: Runner) -> None:
    assert (
        typescript.run("let wrong: number = 'text'; wrong").result["text/plain"]
        == "'text'"
    )


@pytest.mark.parametrize("extra", ["", "enum Extra { One }\n"], ids=["types", "more"])
def test_error_names_the_line_that_was_written(typescript: Runner, extra: str) -> None:
    code = f"{extra}interface A {{\n  a: number\n}}\n\nfunction bad(a: A): never {{\n"
    code += "  throw new Error('bad' as string);\n}\nbad({a: 1})"
    line = 6 + extra.count("\n")
    traceback = typescript.run(code).error.content["traceback"]
    name = f"In[{typescript.count}]"
    assert traceback[:3] == [
        f"{name}:{line}",
        "  throw new Error('bad' as string);",
        "        ^",
    ]
    assert f"    at bad ({name}:{line}:9)" in traceback


def test_what_is_no_typescript_is_told_with_its_place(typescript: Runner) -> None:
    error = typescript.run("let a = 1;\nlet b: = 3").error.content
    assert error["ename"] == "SyntaxError"
    assert error["traceback"][:3] == [
        f"In[{typescript.count}]:2",
        "let b: = 3",
        "       ^",
    ]


def test_decorators_are_refused(typescript: Runner) -> None:
    assert typescript.run("@dec class A {}").error.content["ename"] == "SyntaxError"
