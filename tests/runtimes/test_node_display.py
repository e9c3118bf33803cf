# SPDX-License-Identifier: MIT
"""Rich output of the runtimes on Node."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.framelib import Runner

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ"
    "RU5ErkJggg=="
)
PNG64 = base64.b64encode(PNG).decode()
SYMBOL = 'Symbol.for("Jupyter.display")'


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (
            f"({{[{SYMBOL}]: () => ({{'text/html': '<b>1</b>'}})}})",
            {"text/html": "<b>1</b>"},
        ),
        (
            f"({{async [{SYMBOL}]() {{ return {{'text/latex': '$x$'}} }}}})",
            {"text/latex": "$x$"},
        ),
        (f"({{[{SYMBOL}]: () => undefined, a: 1}})['a']", {"text/plain": "1"}),
        (
            f"class Shown {{ [{SYMBOL}]() {{"
            " return {'application/json': {n: 10n}} } }\n"
            "new Shown",
            {"application/json": {"n": "10"}},
        ),
        (
            f"({{[{SYMBOL}]: () => ({{'image/png': new Uint8Array([1, 2])}})}})",
            {"image/png": "AQI="},
        ),
        (
            "({outerHTML: '<p>1</p>'})",
            {"text/html": "<p>1</p>", "text/plain": "<p>1</p>"},
        ),
        (
            "({outerHTML: '<svg></svg>'})",
            {"image/svg+xml": "<svg></svg>", "text/plain": "<svg></svg>"},
        ),
        ("({toDataURL: () => 'data:image/png;base64,AQI='})", {"image/png": "AQI="}),
        (
            "({$schema: 'https://vega.github.io/schema/vega-lite/v5.json', mark: 'bar'})",
            {
                "application/vnd.vegalite.v5+json": {
                    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
                    "mark": "bar",
                }
            },
        ),
    ],
)
def test_values_that_show_themselves(
    javascript: Runner, code: str, data: dict[str, Any]
) -> None:
    assert javascript.run(code).result == data


def test_bytes_of_an_image_are_the_image(javascript: Runner) -> None:
    code = f"let bytes = Buffer.from('{PNG64}', 'base64'); bytes"
    assert javascript.run(code).result["image/png"] == PNG64
    assert javascript.run("new Uint8Array(bytes)").result["image/png"] == PNG64
    assert javascript.run("Buffer.from([0xff, 0xd8, 0xff, 0])").result["image/jpeg"]
    assert javascript.run("Buffer.from('no image')").result.keys() == {"text/plain"}


def test_data_frame_is_a_table(javascript: Runner) -> None:
    code = """
    ({
      schema: {}, head() { return this }, toRecords: () => [{a: 1, b: '<x>'}],
    })
    """
    html = javascript.run(code).result["text/html"]
    assert "<th>a</th><th>b</th>" in html
    assert "<td>1</td><td>&#60;x&#62;</td>" in html


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (f"({{[{SYMBOL}]: () => ({{'no mime': 1}})}})", "'no mime' is not a MIME type"),
        (f"({{[{SYMBOL}]() {{ throw new Error('own') }}}})", "own"),
        ("let c = {}; c.c = c; display.json(c)", "circular"),
        ("display(1, {update: true})", "display_id"),
        ("display.image(Buffer.from('no'))", "neither PNG"),
    ],
)
def test_what_cannot_be_shown_is_an_error(
    javascript: Runner, code: str, message: str
) -> None:
    assert message in javascript.run(code).error.content["evalue"]


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("display({a: 1})", {"text/plain": "{ a: 1 }"}),
        ("display.html('<i>1</i>')", {"text/html": "<i>1</i>"}),
        ("display.html`<i>${1 + 1}</i>`", {"text/html": "<i>2</i>"}),
        ("display.svg('<svg/>')", {"image/svg+xml": "<svg/>"}),
        ("display.latex`\\frac{1}{2}`", {"text/latex": "\\frac{1}{2}"}),
        ("display.markdown('# 1')", {"text/markdown": "# 1"}),
        ("display.json({a: [1]})", {"application/json": {"a": [1]}}),
        ("display.javascript('1')", {"application/javascript": "1"}),
        ("display.text('1')", {"text/plain": "1"}),
        ("display.png(Buffer.from([1, 2]))", {"image/png": "AQI="}),
        ("display.mime({'a/b': '1', 'c/d': null})", {"a/b": "1"}),
        ("display({'text/html': 'r'}, {raw: true})", {"text/html": "r"}),
        (
            f"display({{async [{SYMBOL}]() {{ return {{'a/b': 'async'}} }}}})",
            {"a/b": "async"},
        ),
    ],
)
def test_display(javascript: Runner, code: str, data: dict[str, Any]) -> None:
    outcome = javascript.run(code)
    assert outcome.displays == [data]
    assert outcome.frames("execute_result") == []


def test_display_reads_files_and_tables(node: Runner, tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(PNG)
    assert node.run("display.image('dot.png')").displays == [{"image/png": PNG64}]
    (shown,) = node.run("display.table([{a: 1}, {b: 2}])").displays
    assert "<th>a</th><th>b</th>" in shown["text/html"]
    assert shown["text/plain"] == "[ { a: 1 }, { b: 2 } ]"


def test_display_is_updated_by_its_id(javascript: Runner) -> None:
    outcome = javascript.run("let h = display(1, {display_id: 'mine'}); h")
    (shown,) = outcome.frames("display_data")
    assert shown.content["transient"] == {"display_id": "mine"}
    assert outcome.frames("execute_result") == []
    outcome = javascript.run("h.update(2); display.update('mine', 3); 0")
    updates = outcome.frames("update_display_data")
    assert [u.content["data"]["text/plain"] for u in updates] == ["2", "3"]
    assert {u.content["transient"]["display_id"] for u in updates} == {"mine"}
    made = javascript.run("display(1, {display_id: true}); 0").frames("display_data")
    assert made[0].content["transient"]["display_id"]


def test_clear(javascript: Runner) -> None:
    code = "display.clear(); display.clear({wait: true}); console.clear()"
    cleared = javascript.run(code).frames("clear_output")
    assert [frame.content for frame in cleared] == [
        {"wait": False},
        {"wait": True},
        {"wait": False},
    ]


def test_displays_and_prints_keep_their_order(javascript: Runner) -> None:
    code = (
        "for (let i = 0; i < 50; i++) { console.log(i); display(i);"
        " fs.writeSync(1, `raw ${i}\\n`); console.error(i) }"
    )
    seen = [
        item.type if hasattr(item, "type") else item.data.decode().split()[0]
        for item in javascript.run(code).items
    ]
    assert seen == ["stream", "display_data", "raw", "stream"] * 50


def test_large_display(javascript: Runner) -> None:
    code = "display.text('x'.repeat(3_000_000))"
    assert len(javascript.run(code).displays[0]["text/plain"]) == 3_000_000
