# SPDX-License-Identifier: MIT
"""Rows: what each layer of a sandbox costs, step by step."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.bench.kernels import Bench
from tests.bench.results import Results, Spec

GROUP = "What each layer of a sandbox costs (the notebook's profile, by exec)"
PAUSE_MS = 20  # a sandbox is seldom made with everything in the caches
LABELS = {
    "all": "the whole: until /bin/true is started in it",
    "clone": "the spawner: group, processes and namespaces, ids",
    "order": "the spawner: sources opened, the order sent",
}


def label_of(name: str) -> str:
    """Steps are put below those who take them; these work at the same time."""
    who, _, step = name.partition(": ")
    return f"    {step}" if step else LABELS.get(name, f"{who}: all steps")


def measure(bench: Bench, results: Results) -> None:
    done = subprocess.run(
        [
            bench.program("bench-layers"),
            *(str(bench.rounds(300, 100)), str(PAUSE_MS)),
            *(bench.build / "runtimes", sys.executable, bench.folder / "work"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    for name, us in json.loads(done.stdout).items():
        results.note(f"layers.{name}", Spec(GROUP, label_of(name), "us"), "time", *us)
