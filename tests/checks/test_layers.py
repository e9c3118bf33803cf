# SPDX-License-Identifier: MIT
"""The layer check must see each kind of turned arrow; else it proves nothing."""

from pathlib import Path

import pytest

from tests.checks.layers import complaints


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "protocol/error.h",
        "protocol/frame.h",
        "protocol/wire.h",
        "contexts/context.h",
        "contexts/sandbox/spec.h",
        "kernel/server.h",
        "runtimes/lib/runner.h",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#include <stddef.h>\n")
    return tmp_path


def with_include(tree: Path, path: str, include: str) -> list[str]:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(f"#include <stdio.h>\n#include {include}\n")
    return complaints(tree)


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("protocol/wire.c", '"contexts/context.h"'),
        ("protocol/frame.c", '"protocol/wire.h"'),
        ("protocol/error.c", "<jansson.h>"),
        ("protocol/wire.c", "<zmq.h>"),
        ("contexts/context.c", '"kernel/server.h"'),
        ("contexts/context.c", '"runtimes/lib/runner.h"'),
        ("contexts/context.c", "<zmq.h>"),
        ("contexts/sandbox/init.c", '"contexts/context.h"'),
        ("contexts/sandbox/init.c", '"protocol/wire.h"'),
        ("contexts/sandbox/init.c", "<seccomp.h>"),
        ("runtimes/python/module.c", '"contexts/context.h"'),
        ("runtimes/python/module.c", "<sodium.h>"),
        ("runtimes/example/example.c", '"kernel/server.h"'),
        ("runtimes/example/example.c", "<Python.h>"),
        ("kernel/main.c", '"runtimes/lib/runner.h"'),
        ("kernel/main.c", '"server.h"'),
    ],
)
def test_a_turned_arrow_is_found(tree: Path, path: str, include: str) -> None:
    found = with_include(tree, path, include)

    assert len(found) == 1
    assert found[0].startswith(f"{path}:2:")


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("protocol/wire.c", "<jansson.h>"),
        ("contexts/sandbox/init.c", '"protocol/error.h"'),
        ("contexts/sandbox/policy.c", "<seccomp.h>"),
        ("contexts/context.c", '"contexts/sandbox/spec.h"'),
        ("runtimes/lib/runner.c", '"protocol/frame.h"'),
        ("runtimes/python/module.c", "<Python.h>"),
        ("kernel/main.c", '"contexts/context.h"'),
        ("kernel/main.c", "<zmq.h>"),
    ],
)
def test_an_arrow_that_points_down_is_allowed(
    tree: Path, path: str, include: str
) -> None:
    assert with_include(tree, path, include) == []
