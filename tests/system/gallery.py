# SPDX-License-Identifier: MIT
"""A gallery of notebooks: what can become of a cell, each in a small notebook."""

from __future__ import annotations

import base64
import itertools
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from tests.system.madebooks import Cell, code, error, result, shown, stream, write

DISPLAY = "from IPython.display import clear_output, display\n"
PICTURES = """
import base64, struct, zlib
def picture(width, height, colour):
    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check
    rows = (b"\\0" + bytes(colour) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
    data = b"\\x89PNG\\r\\n\\x1a\\n" + parts + chunk(b"IEND", b"")
    return {"image/png": base64.b64encode(data).decode(), "text/plain": "<picture>"}
"""
made: dict[str, Any] = {}
exec(PICTURES, made)
picture = made["picture"]


def show_picture(width: int, height: int, colour: tuple[int, int, int]) -> str:
    return f"{DISPLAY}{PICTURES}display(picture({width}, {height}, {colour}), raw=True)"


def show(data: dict[str, Any]) -> str:
    return f"{DISPLAY}display({data!r}, raw=True)"


def frame(value: int) -> pandas.DataFrame:
    return pandas.DataFrame({"name": ["one", "two"], "value": [1, value]})


def shown_frame(value: int) -> dict[str, str]:
    table = frame(value)
    return {"text/plain": repr(table), "text/html": table._repr_html_()}


def drawing(radius: int, mark: str) -> dict[str, str]:
    circle = f'<circle id="{mark}" cx="9" cy="9" r="{radius}"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="18">{circle}</svg>'
    return {"image/svg+xml": svg, "text/plain": "<drawing>"}


def tree(leaf: int) -> dict[str, Any]:
    return {"application/json": {"a": [1, {"b": leaf}]}, "text/plain": "<tree>"}


FRAME = "import pandas\npandas.DataFrame({'name': ['one', 'two'], 'value': [1, 3]})"
DEAF = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass
"""
AFTER = "print('after')"
after = stream("after\n")
division = error("ZeroDivisionError", "division by zero")
slider = result(
    {
        "text/plain": "IntSlider(value=5)",
        "application/vnd.jupyter.widget-view+json": {
            "model_id": "0123456789abcdef0123456789abcdef",
            "version_major": 2,
            "version_minor": 0,
        },
    }
)
damaged = {"image/png": base64.b64encode(b"\x89PNG\r\n\x1a\nno more").decode()}
# The beginning of a picture that would take 30 GB.
head = b"IHDR" + struct.pack(">IIBBBBB", 100000, 100000, 8, 2, 0, 0, 0)
enormous = {
    "image/png": base64.b64encode(
        b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + struct.pack(">I", zlib.crc32(head))
    ).decode()
}
entities = "".join(
    f'<!ENTITY {b} "{f"&{a};" * 100}">' for a, b in itertools.pairwise("abcdefgh")
)
laughs = {
    "image/svg+xml": f'<!DOCTYPE svg [<!ENTITY a "ha">{entities}]>'
    '<svg xmlns="http://www.w3.org/2000/svg"><text>&h;</text></svg>'
}


@dataclass(frozen=True)
class Case:
    """A notebook, and what is to become of it."""

    cells: list[Cell]
    statuses: str = "passed"  # of its cells
    kind: str | None = None  # of the reason of the first that did not pass
    said: str = ""  # a regular expression: somewhere in its event


GALLERY = {
    "value": Case([code("6 * 7", result("41"))], "failed", "differs", '"41".*"42"'),
    "text": Case(
        [code("print('a\\nb\\nc')", stream("a\nB\nc\n"))],
        "failed",
        "differs",
        r'\["-", "B.*\["\+", "b',
    ),
    "number": Case(
        [code("[1.5, 0.75]", result("[1.5, 0.5]"))],
        "failed",
        "differs",
        '"distance": 0.25',
    ),
    "near": Case([code("1.001", result("1.0"), tags=["cellwall-rtol=0.01"])]),
    "extra": Case([code("print('new')")], "failed", "differs", '"kind": "extra"'),
    "missing": Case(
        [code("None", result("1"))], "failed", "differs", '"kind": "missing"'
    ),
    "missing_text": Case(
        [code("None", stream("gone\n"))], "failed", "differs", '"kind": "missing"'
    ),
    "missing_type": Case(
        [code("1", result({"text/plain": "1", "text/latex": "$1$"}))],
        "failed",
        "differs",
        '"text/latex"',
    ),
    "frame": Case(
        [code(FRAME, result(shown_frame(2)))], "failed", "differs", '"text/html"'
    ),
    "same_frame": Case([code(FRAME, result(shown_frame(3)))]),
    "picture": Case(
        [code(show_picture(20, 10, (255, 0, 0)), shown(picture(20, 10, (0, 0, 255))))],
        "failed",
        "differs",
        '"image/png"',
    ),
    "picture_size": Case(
        [code(show_picture(20, 10, (9, 9, 9)), shown(picture(10, 20, (9, 9, 9))))],
        "failed",
        "differs",
        '"image/png"',
    ),
    "same_picture": Case(
        [code(show_picture(20, 10, (9, 9, 9)), shown(picture(20, 10, (9, 9, 9))))]
    ),
    "drawing": Case(
        [code(show(drawing(5, "x1")), shown(drawing(8, "x1")))],
        "failed",
        "differs",
        r'"image/svg\+xml"',
    ),
    "json": Case(
        [code(show(tree(2)), shown(tree(3)))],
        "failed",
        "differs",
        "/a/1/b",
    ),
    "raised": Case(
        [code("print('nearly', '\\u00e4' * 5000, 'there')\n1 / 0"), code(AFTER, after)],
        "failed passed",
        "raised",
        "ZeroDivisionError: division by zero",
    ),
    "nothing_in_it": Case(
        [code("  \n", result("1")), code("# only said", result("1")), code("")],
        "failed failed passed",
        "differs",
    ),
    "no_exception": Case(
        [
            code("None", tags=["cellwall-raises"]),
            code("None", tags=["raises-exception"]),
            code(AFTER, after),
        ],
        "failed passed passed",
        "no_exception",
    ),
    "other_exception": Case(
        [
            code(
                "int('x')",
                error("ZeroDivisionError", "division by zero"),
                tags=["raises-exception"],
            )
        ],
        "failed",
        "differs",
        "ValueError",
    ),
    "stderr": Case(
        [code("import sys\nprint('careful', file=sys.stderr)")],
        "failed",
        "differs",
        '"stderr".*careful|careful.*"stderr"',
    ),
    "cell_timeout": Case(
        [code("import time; time.sleep(1000)"), code(AFTER, after)],
        "error not_run",
        "timeout",
        "1000 ms",
    ),
    "notebook_timeout": Case(
        [code("import time; time.sleep(1000)"), code(AFTER, after)],
        "error not_run",
        "notebook_timeout",
        "2 s",
    ),
    "exits": Case(
        [code("import os; os._exit(7)"), code(AFTER, after)],
        "error not_run",
        "died",
        "7",
    ),
    "crashes": Case(
        [
            code("print('before')", stream("before\n")),
            code("import ctypes; ctypes.string_at(0)"),
            code(AFTER, after),
        ],
        "passed error not_run",
        "died",
        "SIGSEGV|signal 11|[Ss]egmentation",
    ),
    "memory": Case(
        [code("len(b'x' * (1 << 30))", result("1073741824")), code(AFTER, after)],
        "error not_run",
        "memory",
        "256 MiB",
    ),
    "much_output": Case(
        [code("print('x' * 1000000)"), code(AFTER, after)],
        "error not_run",
        "output",
        "--limits output=",
    ),
    "endless_output": Case(
        [code("while True: print('y' * 1000)"), code(AFTER, after)],
        "error not_run",
        "timeout",
    ),
    "deaf": Case([code(DEAF), code(AFTER, after)], "error not_run", "timeout"),
    "asks": Case([code("input('name? ')")], "failed", "raised", "StdinNotImplemented"),
    "tags_nbval": Case(
        [
            code("1", result("2"), tags=["nbval-ignore-output"]),
            code("# NBVAL_IGNORE_OUTPUT\n1", result("2")),
            code("1 / 0", tags=["nbval-skip"]),
            code("# NBVAL_SKIP\n1 / 0"),
            code("1 / 0", division, tags=["nbval-raises-exception"]),
            code("# NBVAL_RAISES_EXCEPTION\n1 / 0", division),
            code("1", result("2"), tags=["nbval-check-output"]),
        ],
        "passed passed skipped skipped passed passed failed",
        "differs",
    ),
    "tags_nbclient": Case(
        [
            code("1 / 0", tags=["skip-execution"]),
            code("1 / 0", division, tags=["raises-exception"]),
        ],
        "skipped passed",
    ),
    "updates": Case(
        [
            code(f"{DISPLAY}handle = display('old', display_id='d')", shown("'new'")),
            code("handle.update('new')"),
        ],
        "passed passed",
    ),
    "cleared": Case(
        [
            code(
                f"{DISPLAY}print('gone')\nclear_output(wait=True)\nprint('stays')",
                stream("stays\n"),
            )
        ]
    ),
    "progress": Case(
        [
            code(
                "for i in range(101): print(f'\\r{i}%', end='', flush=True)\nprint()",
                stream("100%\n"),
            )
        ]
    ),
    "widgets": Case([code("import ipywidgets\nipywidgets.IntSlider(5)", slider)]),
    "tag_timeout": Case(
        [code("import time; time.sleep(1000)", tags=["cellwall-timeout=0.5"])],
        "error",
        "timeout",
        "500 ms",
    ),
    "killed": Case(
        [code("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")],
        "error",
        "died",
        "SIGKILL|signal 9",
    ),
    "leaves": Case(
        [code("import os, sys; sys.exit(3)")], "failed", "raised", "SystemExit"
    ),
    "servants": Case(
        [code("import subprocess\nsubprocess.Popen(['sleep', '1000']); None")]
    ),
    "damaged": Case(
        [code(show(damaged), shown(picture(2, 2, (9, 9, 9))))],
        "failed",
        "differs",
        '"kind": "invalid"',
    ),
    "enormous": Case(
        [code(show(enormous), shown(picture(2, 2, (9, 9, 9))))],
        "failed",
        "differs",
        '"kind": "invalid"',
    ),
    "laughs": Case(
        [code(show(laughs), shown(drawing(5, "x1")))], "failed", "differs", "svg"
    ),
    "regex": Case(
        [
            code(
                "print('a' * 64 + 'b')",
                stream("a" * 63 + "b\n"),
                metadata={
                    "cellwall": {"sanitize": [{"pattern": "(a+)+$", "replace": ""}]}
                },
            )
        ],
        "failed",
        "differs",
        "too many steps",
    ),
    "escapes": Case(
        [code("print('\\x1b]0;owned\\x07\\x1b[2Jseen')", stream("other\n"))],
        "failed",
        "differs",
        "seen",
    ),
    "long_message": Case(
        [code("raise ValueError('a' + 'é' * 1000)")], "failed", "raised", "aéé"
    ),
    "bad_words": Case(
        [code("import os; os.write(2, b'\\xff words'); os._exit(1)")],
        "error",
        "died",
        '"stderr_tail": .* words',
    ),
    "odd_text": Case([code("print('a\\0b\\x7f')", stream("a\0b\x7f\n"))]),
    "many_lines": Case(
        [code("for i in range(20000): print('new', i)", stream("old\n" * 20000))],
        "failed",
        "differs",
        "20000",
    ),
}
CONFIG = {
    "notebooks": {
        "cell_timeout.ipynb": {"cell_timeout": 1},
        "notebook_timeout.ipynb": {"notebook_timeout": 2},
        "memory.ipynb": {"limits": "memory=256M"},
        "much_output.ipynb": {"limits": "output=64K"},
        "endless_output.ipynb": {"limits": "output=64K", "cell_timeout": 1},
        "deaf.ipynb": {"cell_timeout": 1},
    }
}

# Files that are no notebooks which can be tested, and why.
UNTESTED = {
    "no_json": "JSON|json|expected",
    "empty": "empty|JSON|end",
    "format_2": "nbformat 2|nbformat",
    "no_kernel": "cobol-85",
    "odd_tag": "cellwall-nonsense",
    "odd_settings": "rtol",
}


def hang(folder: Path) -> None:
    """Writes the gallery's notebooks, and beside them files that are none."""
    for name, case in GALLERY.items():
        write(folder / f"{name}.ipynb", *case.cells)
    (folder / "cellwall-test.json").write_text(json.dumps(CONFIG))
    (folder / "no_json.ipynb").write_text("{'cells': []}")
    (folder / "empty.ipynb").write_text("")
    (folder / "format_2.ipynb").write_text(
        json.dumps({"nbformat": 2, "nbformat_minor": 0, "metadata": {}, "worksheets": []})
    )
    unknown = {"name": "cobol-85", "display_name": "COBOL", "language": "cobol"}
    write(folder / "no_kernel.ipynb", code("STOP RUN."), kernelspec=unknown)
    write(folder / "odd_tag.ipynb", code("1", tags=["cellwall-nonsense"]))
    write(folder / "odd_settings.ipynb", code("1"), cellwall={"rtol": "much"})
