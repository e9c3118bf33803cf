# SPDX-License-Identifier: MIT
"""Rows of samples, their budgets, and the table that a person reads."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

AGENT_PYTHON, AGENT_NODE = "cellwall, Python client", "cellwall, Node client"
AGENT_STOCK = "ipykernel, jupyter_client"
STOCK_KERNEL = "a stock kernel"
NBVAL, NBVAL_TWO = "pytest --nbval", "pytest --nbval -n 2"
NBMAKE, NBMAKE_AUTO = "pytest --nbmake", "pytest --nbmake -n auto"
EXECUTE = "jupyter execute"

# From left to right.
COLUMNS = (
    *("time", "cellwall", "cellwall + serve", "ipykernel", "xeus-python"),
    *("bwrap + python", "fork of a warm python", "echo"),
    *(AGENT_PYTHON, AGENT_NODE, AGENT_STOCK, STOCK_KERNEL),
    *(NBVAL, NBVAL_TWO, NBMAKE, NBMAKE_AUTO, EXECUTE),
)
P99_SAMPLES = 100  # with fewer, the highest of them says as much: the maximum is shown


@dataclass(frozen=True)
class Budget:
    """At most LIMIT, in the row's unit; or, with THEIRS, at least LIMIT times better."""

    ours: str  # column
    limit: float
    part: str = "p50"  # or p99
    theirs: str = ""  # column


@dataclass(frozen=True)
class Spec:
    """What a row is, before anything is measured."""

    group: str
    label: str
    unit: str = "ms"
    more_is_better: bool = False
    compare: bool = True  # ratios to the first column make sense
    budgets: tuple[Budget, ...] = ()


@dataclass
class Row:
    key: str
    spec: Spec
    columns: dict[str, list[float]] = field(default_factory=dict)


def percentile(samples: list[float], part: float) -> float:
    """By nearest rank."""
    return sorted(samples)[max(0, math.ceil(part * len(samples)) - 1)]


def summary(samples: list[float]) -> dict[str, Any]:
    """p99 is None where there are too few samples for it."""
    many = len(samples) >= P99_SAMPLES
    return {
        "n": len(samples),
        "min": round(min(samples), 4),
        "p50": round(statistics.median(samples), 4),
        "p99": round(percentile(samples, 0.99), 4) if many else None,
        "max": round(max(samples), 4),
    }


class Results:
    """All rows of a run, in the order in which they are first noted."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.notes: list[str] = []

    def note(self, key: str, spec: Spec, column: str, *values: float) -> None:
        row = self.rows.setdefault(key, Row(key, spec))
        row.columns.setdefault(column, []).extend(values)

    def remark(self, sentence: str) -> None:
        """What a reader must know; once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def median(self, key: str, column: str) -> float | None:
        row = self.rows.get(key)
        if row is None or column not in row.columns:
            return None
        return statistics.median(row.columns[column])

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "key": row.key,
                "group": row.spec.group,
                "label": row.spec.label,
                "unit": row.spec.unit,
                "more_is_better": row.spec.more_is_better,
                "compare": row.spec.compare,
                "columns": {name: summary(v) for name, v in row.columns.items()},
                "budgets": [verdict(row, budget) for budget in row.spec.budgets],
            }
            for row in self.rows.values()
        ]


def verdict(row: Row, budget: Budget) -> dict[str, Any]:
    """What was allowed, what was measured; met is None when it could not be said."""
    ours = row.columns.get(budget.ours)
    unit = row.spec.unit
    if budget.theirs:
        text = f"at least {budget.limit:g} times better than {budget.theirs}"
        theirs = row.columns.get(budget.theirs)
        if ours is None or theirs is None:
            return {"text": text, "value": None, "met": None}
        value = ratio(row, budget.theirs, budget.ours)
        return {"text": text, "value": round(value, 2), "met": value >= budget.limit}
    text = f"{budget.ours}: {budget.part} {budget.limit:g} {unit}"
    if ours is None:
        return {"text": text, "value": None, "met": None}
    if budget.part == "p99" and len(ours) < P99_SAMPLES:
        text += " (against the maximum)"
    value = percentile(ours, 0.99) if budget.part == "p99" else statistics.median(ours)
    met = value >= budget.limit if row.spec.more_is_better else value <= budget.limit
    return {"text": text, "value": round(value, 4), "met": met}


def ratio(row: Row, theirs: str, ours: str) -> float:
    """How many times better the median of OURS is."""
    mine = statistics.median(row.columns[ours])
    other = statistics.median(row.columns[theirs])
    if row.spec.more_is_better:
        mine, other = other, mine
    return other / mine if mine else math.inf


def number(value: float) -> str:
    """About three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def cell(row: dict[str, Any], column: str) -> str:
    """The median, and in brackets how bad it gets."""
    samples = row["columns"][column]
    text = number(samples["p50"])
    if samples["n"] > 1 and row["more_is_better"]:
        return f"{text} (min {number(samples['min'])})"
    if samples["p99"] is not None:
        return f"{text} ({number(samples['p99'])})"
    if samples["n"] > 1:
        return f"{text} (max {number(samples['max'])})"
    return text


def ratio_text(row: dict[str, Any], column: str) -> str:
    """How many times better the first column is, to be put behind another's cell."""
    columns = row["columns"]
    first = next(iter(columns))
    peers = not column.startswith("cellwall") and column != "echo"
    if not row["compare"] or not peers or not first.startswith("cellwall"):
        return ""
    ours, theirs = columns[first]["p50"], columns[column]["p50"]
    if row["more_is_better"]:
        ours, theirs = theirs, ours
    if not ours:
        return ""
    times = theirs / ours
    return f" {times:.2g}x" if times < 1 else f" {times:.1f}x"


def label_of(row: dict[str, Any]) -> str:
    return f"{row['label']}, {row['unit']}" if row["unit"] else row["label"]


def budget_texts(row: dict[str, Any]) -> list[str]:
    words = {True: "met", False: "NOT MET", None: "not measured"}
    texts = []
    for budget in row["budgets"]:
        value = "" if budget["value"] is None else f": {number(budget['value'])}"
        texts.append(f"{budget['text']}{value}, {words[budget['met']]}")
    return texts


def groups_of(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return groups


def columns_of(rows: list[dict[str, Any]]) -> list[str]:
    found = dict.fromkeys(name for row in rows for name in row["columns"])
    return sorted(found, key=lambda name: COLUMNS.index(name))


def table(report: dict[str, Any]) -> str:
    """The whole report as text of fixed width."""
    lines = []
    for group, rows in groups_of(report["rows"]).items():
        lines += ["", group, "=" * len(group)]
        columns = columns_of(rows)
        labels = [label_of(row) for row in rows]
        width = max(len(label) for label in labels)
        cells = [
            [
                cell(row, name) + ratio_text(row, name) if name in row["columns"] else "-"
                for name in columns
            ]
            for row in rows
        ]
        widths = [
            max([len(name), *(len(line[i]) for line in cells)]) + 2
            for i, name in enumerate(columns)
        ]
        head = "".join(f"{n:>{w}}" for n, w in zip(columns, widths, strict=True))
        lines.append(" " * width + head)
        for row, label, line in zip(rows, labels, cells, strict=True):
            text = "".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True))
            lines.append(f"{label:{width}}{text}")
            lines += [f"{'':4}budget: {text}" for text in budget_texts(row)]
    if report["notes"]:
        lines += ["", *(f"note: {note}" for note in report["notes"])]
    return "\n".join(lines).lstrip("\n")
