# SPDX-License-Identifier: MIT
"""What `cellwall test` says of a cell, looked at before it is believed.

docs/notebook-tests.md has the events and their members.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cellwall._fields import Fields


@dataclass(frozen=True)
class Number:
    """Two numbers that are too far apart."""

    expected: float
    actual: float
    distance: float
    relative: float

    @classmethod
    def parse(cls, event: object) -> Number:
        fields = Fields(event, "a difference of numbers")
        names = cls.__dataclass_fields__
        return cls(*(float(fields.number(name, math.nan)) for name in names))


@dataclass(frozen=True)
class Difference:
    what: str  # a MIME type, "stdout", ...; empty: a whole output
    message: str
    expected: str
    actual: str
    lines: list[tuple[str, str]]
    numbers: list[Number]
    pictures: dict[str, str]  # "expected", "actual", "difference": the path of a file

    @classmethod
    def parse(cls, event: object) -> Difference:
        fields = Fields(event, "a difference")
        image = Fields(fields.object("image", {}), "a difference of pictures")
        paths = {name: image.text(name, "") for name in ("expected", "actual")}
        paths["difference"] = image.text("difference", "")
        return cls(
            what=fields.text("type", ""),
            message=fields.text("message", ""),
            expected=fields.text("expected", ""),
            actual=fields.text("actual", ""),
            lines=[_line(line) for line in fields.array("lines", [])],
            numbers=[Number.parse(number) for number in fields.array("numbers", [])],
            pictures={name: path for name, path in paths.items() if path},
        )


@dataclass(frozen=True)
class Cell:
    """A cell of code, and how it went. `event` is what all else was read from."""

    number: int
    line: int
    source: str
    status: str
    seconds: float
    reason: str
    traceback: str
    stderr_tail: str
    differences: list[Difference]
    event: dict[str, Any]

    @classmethod
    def parse(cls, event: object) -> Cell:
        """ProtocolError: EVENT is none of a cell."""
        fields = Fields(event, "the event of a cell")
        return cls(
            number=fields.integer("cell"),
            line=max(fields.integer("line", 1), 1),
            source=fields.text("source", ""),
            status=fields.text("status"),
            seconds=float(fields.number("seconds", 0.0)),
            reason=reason_of(fields),
            traceback="\n".join(fields.texts("traceback", [])),
            stderr_tail=fields.text("stderr_tail", ""),
            differences=[Difference.parse(d) for d in fields.array("differences", [])],
            event=fields.all,
        )

    def summary(self) -> str:
        """One line."""
        return " ".join((self.reason or f"it is {self.status}").split())


def reason_of(fields: Fields) -> str:
    """The sentence of an event that may have a reason; else nothing."""
    text: str = Fields(fields.object("reason", {}), "a reason").text("text", "")
    return text


def _line(line: object) -> tuple[str, str]:
    mark, text = Fields({"line": line}, "a difference").texts("line")
    return mark, text
