# SPDX-License-Identifier: MIT
"""One exception for each code of the protocol's table."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import cellwall
from cellwall._errors import RefusedError, refusal

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/agent-protocol.md"


def codes_of_the_document() -> set[str]:
    text = DOCUMENT.read_text()
    table = text[text.index("| code | the request") : text.index("`details` has what")]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return set(re.findall(r"`([A-Z_]+)`", " ".join(rows)))


def test_each_code_has_a_class_and_no_other_has() -> None:
    assert set(RefusedError.by_code) == codes_of_the_document()


def test_each_class_is_public_and_documented() -> None:
    for error in RefusedError.by_code.values():
        assert getattr(cellwall, error.__name__) is error
        assert error.__doc__


def test_refusal_has_all_that_the_server_said() -> None:
    error = refusal(
        {
            "status": "error",
            "code": "STALE_CONTEXT",
            "message": "the interpreter was replaced",
            "suggestion": "get_context_request tells the epoch",
            "details": {"epoch": 2},
        }
    )
    assert type(error) is cellwall.StaleContext
    assert error.code == "STALE_CONTEXT"
    assert error.details == {"epoch": 2}
    assert str(error) == (
        "the interpreter was replaced (get_context_request tells the epoch)"
    )


def test_unknown_code_is_kept() -> None:
    error = refusal({"code": "NEW_CODE", "message": "m"})
    assert type(error) is RefusedError
    assert error.code == "NEW_CODE"


def test_odd_refusal_is_one() -> None:
    for content in ({}, {"code": 5, "message": [], "details": "x", "suggestion": None}):
        assert isinstance(refusal(content), RefusedError)


def test_errors_can_be_pickled() -> None:
    error = refusal({"code": "QUEUE_FULL", "message": "m", "details": {"limit": 4}})
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cellwall.QueueFull
    assert copy.details == {"limit": 4}
