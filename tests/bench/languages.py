# SPDX-License-Identifier: MIT
"""Rows: other languages, each beside a stock kernel of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import nodejs
from tests.bench.kernels import (
    CELLWALL,
    TIMEOUT_S,
    Bench,
    stock_execute,
    stock_kernel,
    turns,
)
from tests.bench.results import STOCK_KERNEL, Results, Spec

GROUP = "Other languages, by a stock client"
DENO = "deno@2.9.6"
WARM_UP = 5


@dataclass(frozen=True)
class Language:
    name: str
    runtime: tuple[str, ...]  # for install-kernelspec
    ours: str  # Jupyter's name of it
    peer: str  # likewise
    code: str
    install: Callable[[Path], None]  # the peer's kernelspec, into a prefix


def kernels_of(prefix: Path) -> Path:
    return prefix / "share/jupyter/kernels"


def install_bash(prefix: Path) -> None:
    command = [sys.executable, "-m", "bash_kernel.install", "--prefix", str(prefix)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)


def install_deno(prefix: Path) -> None:
    """Deno's own kernel; nodejs.Unusable: there is no npm."""
    env = nodejs.environment()
    npm = shutil.which("npm", path=env["PATH"])
    assert npm is not None
    folder = Path(sys.prefix).parent / "bench-deno"
    subprocess.run(
        [npm, "install", "--prefix", folder, "--no-audit", "--no-fund", DENO],
        env=env,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=10 * TIMEOUT_S,
    )
    program = str(folder / "node_modules/.bin/deno")
    spec = {
        "argv": [program, "jupyter", "--kernel", "--conn", "{connection_file}"],
        "display_name": "Deno",
        "language": "typescript",
    }
    target = kernels_of(prefix) / "deno"
    target.mkdir(parents=True)
    (target / "kernel.json").write_text(json.dumps(spec))


def install_r(prefix: Path) -> None:
    theirs = Path("/usr/share/jupyter/kernels/ir")
    if not theirs.exists():
        raise FileNotFoundError("there is no IRkernel on this machine")
    (kernels_of(prefix) / "ir").symlink_to(theirs)


LANGUAGES = (
    Language("bash", ("bash",), "cellwall-bash", "bash", "echo 42", install_bash),
    Language(
        *("JavaScript", ("javascript",), "cellwall-javascript", "deno", "6 * 7"),
        install_deno,
    ),
    Language(
        *("R", ("jupyter", "--interpreter", "ir"), "cellwall-ir", "ir", "6 * 7"),
        install_r,
    ),
)


def prepare(bench: Bench, language: Language) -> None:
    prefix = bench.folder / "jupyter"
    subprocess.run(
        [bench.build / "cellwall", "install-kernelspec", "--runtime", *language.runtime]
        + ["--prefix", prefix],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    )
    language.install(prefix)
    bench.names[language.ours] = language.ours
    bench.names[language.peer] = language.peer
    bench.env[language.ours] = bench.env[CELLWALL]


def measure_one(bench: Bench, results: Results, language: Language) -> None:
    first = Spec(GROUP, f"{language.name}: ready, and the first result")
    trip = Spec(GROUP, f"{language.name}: another result")
    columns = {language.ours: CELLWALL, language.peer: STOCK_KERNEL}
    for name in turns(list(columns), bench.rounds(6, 2)):
        began = time.perf_counter()
        with stock_kernel(bench, name) as (_, client):
            stock_execute(client, language.code)
            elapsed = (time.perf_counter() - began) * 1000
            results.note(f"language.{language.name}.first", first, columns[name], elapsed)
            for _ in range(WARM_UP):
                stock_execute(client, language.code)
            times = [stock_execute(client, language.code) for _ in range(20)]
            results.note(f"language.{language.name}.trip", trip, columns[name], *times)


def measure(bench: Bench, results: Results) -> None:
    os.environ.setdefault("NO_COLOR", "1")
    for language in LANGUAGES:
        try:
            prepare(bench, language)
        except (nodejs.Unusable, OSError) as why:
            results.remark(f"{language.name} is left out: {why}")
            continue
        measure_one(bench, results, language)
