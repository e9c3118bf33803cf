# SPDX-License-Identifier: MIT
"""The text check must see what it is for."""

import pytest

from tests.checks.text import LINES_MAX, complaints_of

HEAD = "/* SPDX-License-Identifier: MIT */\n"


def test_a_clean_file_passes() -> None:
    assert complaints_of("kernel/a.c", (HEAD + "int a;\n").encode()) == []


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"int a;\n", "SPDX"),
        (HEAD.encode() + b"int a;", "newline"),
        (HEAD.encode() + b"int a; \n", "white space"),
        (HEAD.encode() + b"int a;\r\n", "control character"),
        (HEAD.encode() + b"/* /work/here */\n", "one machine"),
        (HEAD.encode() + b"/* \xff */\n", "UTF-8"),
        (HEAD.encode() + b"\n" * LINES_MAX, "lines"),
    ],
)
def test_a_fault_is_found(data: bytes, complaint: str) -> None:
    found = complaints_of("kernel/a.c", data)

    assert len(found) >= 1
    assert complaint in found[0]
