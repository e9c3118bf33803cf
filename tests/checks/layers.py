#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails on an include that turns an arrow between the layers.

The table is docs/architecture.md's: each part may include its own headers, the project's
headers and the libraries that its row names, and nothing else. A file belongs to the
first row that matches its path.
"""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

FLOOR = tuple(f"protocol/{name}.h" for name in ("buffer", "cleanup", "error", "text"))
# Frames, and the scanner that checks what they carry: runners link them.
FRAMES = (*FLOOR, *(f"protocol/{n}.h" for n in ("frame", "json", "json_lex", "mime")))
STEPS = ("contexts/sandbox/*",)
LIBRARIES = {
    "jansson.h": "jansson",
    "sodium.h": "sodium",
    "sodium/*": "sodium",
    "zmq.h": "zmq",
    "seccomp.h": "seccomp",
    "Python.h": "python",
    "cmocka.h": "cmocka",
    "libxml/*": "xml",
    "png.h": "png",
    "jerror.h": "jpeg",
    "jpeglib.h": "jpeg",
    "pcre2.h": "pcre",
}


class Layer(NamedTuple):
    files: tuple[str, ...]  # patterns of paths from the project's root
    ours: tuple[str, ...]  # headers of the project that it may include
    libraries: tuple[str, ...]  # beside libc


LAYERS = (
    Layer(
        ("protocol/json_scan.c", *(p.removesuffix(".h") + ".[ch]" for p in FRAMES)),
        FRAMES,
        (),
    ),
    Layer(("protocol/*",), ("protocol/*",), ("jansson", "sodium")),
    Layer(("contexts/sandbox/policy*",), (*FLOOR, "contexts/sandbox/*"), ("seccomp",)),
    Layer(("contexts/sandbox/*",), (*FLOOR, "contexts/sandbox/*"), ()),
    Layer(("runtimes/python/*",), (*FRAMES, *STEPS, "runtimes/*"), ("python",)),
    Layer(("runtimes/example/*",), (*FRAMES, *STEPS, "runtimes/*"), ("jansson",)),
    # A client of Jupyter kernels, so it speaks the whole protocol.
    Layer(("runtimes/jupyter/*",), ("protocol/*", "runtimes/*"), ("jansson", "zmq")),
    Layer(("runtimes/*",), (*FRAMES, *STEPS, "runtimes/*"), ()),
    Layer(("contexts/*",), ("protocol/*", "contexts/*"), ("jansson",)),
    # Decodes untrusted outputs, in a process of its own.
    Layer(
        ("kernel/compare/*",),
        ("protocol/*", "kernel/compare/*"),
        ("jansson", "sodium", "xml", "png", "jpeg", "pcre", "seccomp"),
    ),
    Layer(
        ("kernel/*",),
        ("protocol/*", "contexts/*", "kernel/*"),
        ("jansson", "sodium", "zmq", "seccomp"),
    ),
    Layer(("tests/*",), ("*",), tuple(LIBRARIES.values())),
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def layer_of(path: str) -> Layer | None:
    return next((layer for layer in LAYERS if matches(path, layer.files)), None)


def complaints(root: Path) -> list[str]:
    """One line for each include that the table forbids, over all C files under ROOT."""
    found = []
    sources = sorted(
        path
        for folder in ("protocol", "contexts", "runtimes", "kernel", "tests")
        for path in (root / folder).rglob("*.[ch]")
    )
    for source in sources:
        path = source.relative_to(root).as_posix()
        layer = layer_of(path)
        if layer is None:
            found.append(f"{path}: belongs to no layer")
            continue
        for match in INCLUDE.finditer(source.read_text(encoding="utf-8")):
            bracket, name = match.groups()
            line = source.read_text(encoding="utf-8")[: match.start(2)].count("\n") + 1
            if bracket == '"':
                if not (root / name).is_file():
                    # Rooted at the source folder: the layer shows in each include.
                    found.append(f'{path}:{line}: "{name}" is not a path from the root')
                elif not matches(name, layer.ours):
                    found.append(f'{path}:{line}: may not include "{name}"')
            else:
                library = next(
                    (lib for pat, lib in LIBRARIES.items() if fnmatch(name, pat)), None
                )
                if library is not None and library not in layer.libraries:
                    found.append(f"{path}:{line}: may not use {library} (<{name}>)")
    return found


if __name__ == "__main__":
    wrong = complaints(Path(__file__).resolve().parents[2])
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)
