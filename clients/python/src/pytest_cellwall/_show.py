# SPDX-License-Identifier: MIT
"""How a cell that failed reads in pytest's report."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import Any

from _pytest._code.code import TerminalRepr
from _pytest._io import TerminalWriter

from ._cells import Cell, Difference, Number

_LINES_MAX = 400  # of one text
_NUMBERS_MAX = 10
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """TEXT without what a terminal would obey: it is a notebook's."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _ESCAPE.sub("", text))


def _coloured(text: str) -> str:
    """The same, but colours stay."""
    parts = _COLOUR.split(text)
    parts[::2] = [harmless(part) for part in parts[::2]]
    return "".join(parts)


@dataclass(frozen=True)
class Place:
    """What pytest takes a failure's line of the summary from."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


class CellReport(TerminalRepr):
    """What is told of a cell that failed. PATH: as it is shown."""

    def __init__(self, path: str, cell: Cell) -> None:
        self.path = path
        self.cell = cell
        self.reprcrash = Place(path, cell.line, harmless(cell.summary()))

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "cell": self.cell.event}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CellReport:
        return cls(data["path"], Cell.parse(data["cell"]))

    def toterminal(self, tw: TerminalWriter) -> None:
        cell = self.cell
        tw.line(f"{self.path}:{cell.line}: cell {cell.number}", bold=True)
        tw.line()
        _lines(tw, "    ", cell.source)
        tw.line()
        _lines(tw, "E   ", cell.reason or cell.summary(), red=True, bold=True)
        if cell.traceback:
            tw.line()
            _traceback(tw, cell.traceback)
        for difference in cell.differences:
            tw.line()
            _difference(tw, difference, cell.reason)
        if cell.stderr_tail:
            tw.line()
            tw.line("The last that the interpreter wrote:", bold=True)
            _lines(tw, "    ", cell.stderr_tail)


def _bounded(text: str) -> list[str]:
    lines = text.splitlines()
    more = len(lines) - _LINES_MAX
    return lines if more <= 0 else [*lines[:_LINES_MAX], f"[{more} more lines]"]


def _lines(tw: TerminalWriter, prefix: str, text: str, **markup: bool) -> None:
    for line in _bounded(text):
        tw.line((prefix + harmless(line)).rstrip(), **markup)


def _traceback(tw: TerminalWriter, text: str) -> None:
    clean = _coloured if tw.hasmarkup else harmless
    for line in _bounded(text):
        tw.line("    " + clean(line))
    if tw.hasmarkup:
        tw.write("\x1b[0m")  # whatever it left on


def _difference(tw: TerminalWriter, difference: Difference, told: str) -> None:
    """TOLD: what need not be said again."""
    new = difference.message if difference.message not in told else ""
    said = harmless(": ".join((difference.what, new)) if difference.what else new)
    tw.line(said.rstrip(), red=True)
    if difference.lines:
        for mark, text in difference.lines[:_LINES_MAX]:
            _marked(tw, mark, text)
        more = len(difference.lines) - _LINES_MAX
        if more > 0:
            tw.line(f"  [{more} more lines]")
    else:
        for mark, text in (("-", difference.expected), ("+", difference.actual)):
            for line in _bounded(text):
                _marked(tw, mark, line)
    for number in difference.numbers[:_NUMBERS_MAX]:
        _number(tw, number, difference.message)
    more = len(difference.numbers) - _NUMBERS_MAX
    if more > 0:
        tw.line(f"  [{more} more numbers]")
    for name, path in difference.pictures.items():
        tw.line(f"  {name}: {harmless(path)}")


def _marked(tw: TerminalWriter, mark: str, text: str) -> None:
    sign = {"=": " ", ".": " "}.get(mark, mark)
    line = "..." if mark == "." and not text else harmless(text)
    line = textwrap.indent(line, f"  {sign} ", lambda _: True)
    tw.line(line.rstrip(), red=mark == "-", green=mark == "+", light=mark == ".")


def _number(tw: TerminalWriter, number: Number, told: str) -> None:
    both = f"{number.actual:.15g} instead of {number.expected:.15g}"
    if both not in told:
        far = f"{number.distance:.4g} apart, relatively {number.relative:.2g}"
        tw.line(f"  {both}: {far}")
