#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what no formatter checks: licence lines, sizes, stray bytes, forbidden words.

Looks at every file that git knows or would add.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LINES_MAX = 800
FILE_BYTES_MAX = 1_000_000
SPDX = "SPDX-License-Identifier: MIT"
SPDX_SUFFIXES = {".c", ".h", ".py", ".sh", ".cmake", ".mjs", ".ts"}
BINARY_SUFFIXES = {".png", ".jpg", ".ico", ".gz"}
# Fuzz inputs may hold anything.
ANYTHING = ("tests/fuzz/corpus/", "tests/fuzz/")
# Paths of one developer's machine have no place in the project.
FORBIDDEN = re.compile(r"(?<![\w.])/(?:work|tmp/tools|root/\.pyenv)/|\.\./shared")


def needs_spdx(path: str, text: str) -> bool:
    return (
        Path(path).suffix in SPDX_SUFFIXES
        or Path(path).name == "CMakeLists.txt"
        or text.startswith("#!")
    )


def complaints_of(path: str, data: bytes) -> list[str]:
    """What is wrong with the file PATH that holds DATA."""
    found = []
    if len(data) > FILE_BYTES_MAX:
        found.append(f"{path}: {len(data)} bytes, at most {FILE_BYTES_MAX}")
    if Path(path).suffix in BINARY_SUFFIXES:
        return found
    if path.startswith(ANYTHING) and Path(path).suffix not in SPDX_SUFFIXES:
        return found
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return [*found, f"{path}: is not UTF-8 ({error.reason})"]
    lines = text.split("\n")
    if needs_spdx(path, text) and not any(SPDX in line for line in lines[:2]):
        found.append(f"{path}:1: has no line {SPDX}")
    if Path(path).suffix in (".c", ".h", ".py") and len(lines) > LINES_MAX:
        found.append(f"{path}: {len(lines)} lines, at most {LINES_MAX}")
    if text and not text.endswith("\n"):
        found.append(f"{path}:{len(lines)}: does not end in a newline")
    for number, line in enumerate(lines, 1):
        if "\r" in line or "\0" in line:
            found.append(f"{path}:{number}: control character")
        if line != line.rstrip() and Path(path).suffix not in (".md", ".ipynb", ".svg"):
            found.append(f"{path}:{number}: white space at the end of the line")
        if FORBIDDEN.search(line) and not path.startswith("tests/checks/"):
            found.append(f"{path}:{number}: names a path of one machine")
    return found


def project_files(root: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(name for name in listed.split("\0") if name and (root / name).is_file())


if __name__ == "__main__":
    project = Path(__file__).resolve().parents[2]
    wrong = [
        line
        for name in project_files(project)
        for line in complaints_of(name, (project / name).read_bytes())
    ]
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)
