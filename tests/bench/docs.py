# SPDX-License-Identifier: MIT
"""Writes the figures of a run into docs/benchmarks.md, and draws its plots."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.results import (
    budget_texts,
    cell,
    columns_of,
    groups_of,
    label_of,
    ratio_text,
)

# Rows are written where they belong; what was not measured stays as it was.
MARKS = {  # by the beginning of a row's key; the others are the last one's
    "agent.": "<!-- rows of agents, written by scripts/bench --write-docs -->",
    "language.": "<!-- rows of languages, written by scripts/bench --write-docs -->",
    "notebooks.": "<!-- rows of notebooks, written by scripts/bench --write-docs -->",
    "": "<!-- written by scripts/bench --write-docs -->",
}
END = "<!-- end of what scripts/bench wrote -->"
COLORS = {"cellwall": "#0b6e4f", "cellwall + serve": "#08a045", "echo": "#b0b0b0"}
KERNELS = ("cellwall", "cellwall + serve", "ipykernel", "xeus-python")
OTHER = ("#4c6a92", "#8aa1c1", "#c9a26b", "#8c6bb1")
TEXT = "#222222"
TRIPS = ("trip.one", "trip.frame", "trip.text", "trip.figure")


def part_of(key: str) -> str:
    return next(part for part in MARKS if key.startswith(part))


def markdown_table(rows: list[dict[str, Any]]) -> list[str]:
    columns = columns_of(rows)
    lines = [
        "| | " + " | ".join(columns) + " | budget |",
        "|---|" + "---:|" * len(columns) + "---|",
    ]
    if not any(row["budgets"] for row in rows):
        lines = [line.removesuffix(" budget |").removesuffix("---|") for line in lines]
        lines[1] = "|---|" + "---:|" * len(columns)
    for row in rows:
        cells = [
            cell(row, name) + ratio_text(row, name) if name in row["columns"] else ""
            for name in columns
        ]
        line = f"| {indented(label_of(row))} | " + " | ".join(cells) + " |"
        if any(other["budgets"] for other in rows):
            line += " " + "; ".join(budget_texts(row)) + " |"
        lines.append(line)
    return lines


def indented(label: str) -> str:
    """Markdown drops blanks; a part of a part stays visible as such."""
    text = label.lstrip(" ")
    return "&nbsp;" * (len(label) - len(text)) + text.replace("|", "\\|")


def section(report: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    about = report["machine"]
    versions = ", ".join(f"{name} {text}" for name, text in about["versions"].items())
    lines = [
        "",
        f"Measured {about['time'][:10]} at commit {about['commit']}"
        f"{' (--quick)' if about['quick'] else ''}, on {about['processors']} processors "
        f"({about['processor']}), {about['memory_gib']} GiB, {about['system']}, as "
        f"{'root' if about['user'] == 'root' else 'an ordinary user'}; load "
        f"{about['load_before']} before and {about['load_after']} after. Python "
        f"{about['python']}, {versions}.",
        "",
        "Medians; in brackets p99, or the maximum where there are fewer than 100 "
        "samples (the minimum where more is better). *N*x: how many times better the "
        "first column is.",
    ]
    for group, group_rows in groups_of(rows).items():
        lines += ["", f"### {group}", "", *markdown_table(group_rows)]
    if report["notes"]:
        lines += ["", *(f"* {note}" for note in report["notes"])]
    return "\n".join([*lines, "", ""])


def color(column: str, place: int) -> str:
    return COLORS.get(column) or OTHER[place % len(OTHER)]


def first_result_bars(rows: dict[str, dict[str, Any]]) -> list[tuple[str, str, float]]:
    """What makes an interpreter, its column, and milliseconds; the fastest first."""
    bars = []
    for key, what in (
        ("ctx.reserve_first", "{}: context from the reserve"),
        ("ctx.first", "{}: new context"),
        ("start.imports", "{}: new kernel"),
    ):
        for column, samples in rows.get(key, {"columns": {}})["columns"].items():
            if key == "ctx.first" and column in ("cellwall + serve", "ipykernel"):
                continue  # the same again, from a server; and among the kernels
            label = what.format(column) if column in KERNELS else column
            bars.append((label, column, samples["p50"]))
    return sorted(bars, key=lambda bar: bar[2])


def milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def wrapped(label: str) -> str:
    return label.replace(", ", ",\n", 1)


def prepare_plots() -> Any:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {
            "svg.hashsalt": "cellwall",
            "font.size": 11,
            "text.color": TEXT,
            "axes.labelcolor": TEXT,
            "xtick.color": TEXT,
            "ytick.color": TEXT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "white",
            "axes.facecolor": "white",
        }
    )
    return pyplot


def save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.15)
    # The project's files end their lines without blanks.
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def plot_first_result(pyplot: Any, rows: dict[str, dict[str, Any]], path: Path) -> None:
    bars = first_result_bars(rows)
    if not bars:
        return
    figure, axes = pyplot.subplots(figsize=(8.5, 0.5 * len(bars) + 1.3))
    labels, columns, values = zip(*bars, strict=True)
    places = range(len(bars))
    colors = [
        color(column, 0) if column.startswith("cellwall") else OTHER[1]
        for column in columns
    ]
    axes.barh(places, values, color=colors, height=0.62)
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 3)
    axes.set_xticks([])
    axes.minorticks_off()
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)
    for place, value in zip(places, values, strict=True):
        axes.text(value * 1.08, place, milliseconds(value), va="center", color=TEXT)
    axes.set_title(
        "From nothing to the first result, with numpy, pandas and matplotlib imported\n"
        "(median, logarithmic scale)",
        loc="left",
        fontsize=11.5,
    )
    save(figure, path)


def plot_round_trips(pyplot: Any, rows: dict[str, dict[str, Any]], path: Path) -> None:
    trips = [rows[key] for key in TRIPS if key in rows]
    if not trips:
        return
    columns = [name for name in columns_of(trips) if name != "cellwall + serve"]
    figure, axes = pyplot.subplots(figsize=(8.5, 4.2))
    width = 0.8 / len(columns)
    for place, column in enumerate(columns):
        spots = [
            (i + (place - (len(columns) - 1) / 2) * width, row["columns"][column]["p50"])
            for i, row in enumerate(trips)
            if column in row["columns"]
        ]
        xs, ys = zip(*spots, strict=True)
        axes.bar(xs, ys, width * 0.92, label=column, color=color(column, place))
        for x, y in spots:
            text = f"{y:.2f}" if y < 1 else f"{y:.1f}" if y < 10 else f"{y:.0f}"
            axes.text(x, y * 1.06, text, ha="center", fontsize=8.5, color=TEXT)
    axes.set_yscale("log")
    axes.set_xticks(range(len(trips)), [wrapped(row["label"]) for row in trips])
    axes.set_ylabel("ms")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(bottom=False)
    axes.set_ylim(bottom=0.1)
    axes.legend(
        frameon=False, ncols=len(columns), loc="upper center", bbox_to_anchor=(0.5, -0.14)
    )
    axes.set_title(
        "One request to a warm kernel and its whole answer, by the same client\n"
        "(median, logarithmic scale)",
        loc="left",
        fontsize=11.5,
    )
    save(figure, path)


def write(folder: Path, report: dict[str, Any]) -> None:
    """Replaces the parts of FOLDER/benchmarks.md between the marks, and the plots."""
    page = folder / "benchmarks.md"
    for part, mark in MARKS.items():
        rows = [row for row in report["rows"] if part_of(row["key"]) == part]
        if rows:
            before, rest = page.read_text().split(mark, 1)
            after = rest[rest.index(END) :]
            page.write_text(f"{before}{mark}\n{section(report, rows)}{after}")
    plots = folder / "benchmarks"
    plots.mkdir(exist_ok=True)
    rows = {row["key"]: row for row in report["rows"]}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MPLCONFIGDIR"] = cache  # the run's is gone
        pyplot = prepare_plots()
        plot_first_result(pyplot, rows, plots / "first-result.svg")
        plot_round_trips(pyplot, rows, plots / "round-trips.svg")
