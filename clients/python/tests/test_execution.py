# SPDX-License-Identifier: MIT
"""What a reply is made of, and what of it is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from clients.python.tests.conftest import outcome

from cellwall import Execution, ExecutionFailed, ProtocolError, Result

PNG = base64.b64encode(b"\x89PNG\r\n").decode()


def test_text_is_that_of_the_main_result() -> None:
    execution = Execution.parse(
        outcome(
            results=[
                {"data": {"text/plain": "shown"}, "metadata": {}},
                {
                    "data": {"text/plain": "'a'"},
                    "metadata": {},
                    "is_main_result": True,
                },
            ]
        )
    )
    assert execution.text == "'a'"  # quotes stay: it is a string
    assert [result.is_main_result for result in execution.results] == [False, True]
    assert execution.ok
    assert execution.raise_for_error() is execution


def test_run_without_a_result_has_no_text() -> None:
    assert Execution.parse(outcome()).text is None


def test_result_has_an_attribute_for_each_known_format() -> None:
    result = Result(
        {
            "text/plain": "t",
            "text/html": "<b>",
            "image/png": PNG,
            "application/json": {"a": [1]},
            "application/vnd.plotly.v1+json": {"data": []},
        }
    )
    assert (result.text, result.html, result.png) == ("t", "<b>", PNG)
    assert result.json == {"a": [1]}
    assert result.jpeg is None
    assert result.extra == {"application/vnd.plotly.v1+json": {"data": []}}
    assert result.formats() == [
        "text",
        "html",
        "png",
        "json",
        "application/vnd.plotly.v1+json",
    ]
    assert result._repr_mimebundle_() == (result.raw, {})


def test_result_is_saved_in_the_format_of_the_suffix(tmp_path: Path) -> None:
    result = Result({"text/plain": "ü", "image/png": PNG, "application/json": [1]})
    assert result.save(tmp_path / "a.PNG").read_bytes() == b"\x89PNG\r\n"
    assert result.save(tmp_path / "a.txt").read_text("utf-8") == "ü"
    assert json.loads(result.save(tmp_path / "a.json").read_bytes()) == [1]
    for name in ("a.svg", "a", "a.exe"):
        with pytest.raises(KeyError):
            result.save(tmp_path / name)


def test_binary_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ProtocolError):
        Result({"image/png": "é"}).as_bytes("png")


def test_error_has_its_traceback_plain_and_coloured() -> None:
    lines = ["\x1b[31mValueError\x1b[39m", "x"]
    execution = Execution.parse(
        outcome(
            status="error",
            error={"ename": "ValueError", "evalue": "x", "traceback": lines},
        )
    )
    assert execution.error is not None
    assert (execution.error.name, execution.error.value) == ("ValueError", "x")
    assert execution.error.traceback == "ValueError\nx"
    assert execution.error.traceback_lines == lines
    assert not execution.ok
    with pytest.raises(ExecutionFailed, match="ValueError: x") as raised:
        execution.raise_for_error()
    assert raised.value.execution is execution


def test_reason_says_whether_the_variables_are_lost() -> None:
    execution = Execution.parse(
        outcome(
            status="error",
            reason={
                "kind": "memory",
                "state": "lost",
                "text": "more than 64 MiB",
                "limit": 67108864,
                "observed": 67112960,
                "signal": 9,
            },
        )
    )
    assert execution.reason is not None
    assert execution.reason.kind == "memory"
    assert execution.reason.variables_lost
    assert execution.reason.limit == 67108864
    with pytest.raises(ExecutionFailed, match="more than 64 MiB"):
        execution.raise_for_error()


def test_usage_and_truncation_are_told() -> None:
    execution = Execution.parse(
        outcome(truncated={"stdout": {"total_bytes": 10, "kept_bytes": 4}})
    )
    assert execution.usage.wall_ms == 1.5
    assert execution.usage.cpu_ms is None
    assert execution.truncated["stdout"].total_bytes == 10
    assert json.loads(execution.to_json()) == execution.to_dict()


ODD: list[Any] = [None, 1, "x", [], [None], {}, True, {"a": None}, [[]], -1.5]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", sorted(outcome()))
def test_odd_member_is_read_or_refused(name: str, value: Any) -> None:
    content = {**outcome(), name: value}
    try:
        execution = Execution.parse(content)
    except ProtocolError:
        return
    repr(execution), execution.text, execution.ok


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["data", "metadata", "display_id", "transient"])
def test_odd_result_is_read_or_refused(name: str, value: Any) -> None:
    try:
        result = Result.parse({"data": {"text/plain": "x"}, name: value})
    except ProtocolError:
        return
    repr(result), str(result), result.formats(), result.extra


@pytest.mark.parametrize("value", ODD)
def test_odd_bundle_can_be_shown(value: Any) -> None:
    result = Result({"text/plain": value, "image/png": value, "x/y": value})
    result.formats()
    try:
        repr(result)
        result.as_bytes("text")
        result.as_bytes("png")
    except ProtocolError:
        pass


@pytest.mark.parametrize("name", ["results", "logs", "context"])
def test_reply_without_its_core_is_refused(name: str) -> None:
    content = outcome()
    del content[name]
    with pytest.raises(ProtocolError):
        Execution.parse(content)
