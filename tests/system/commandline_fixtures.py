# SPDX-License-Identifier: MIT
"""What the tests of the command line have: a server of their own, or none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.commandline import TIMEOUT_S, Run
from tests.system.conftest import BINARY, MARK
from tests.system.servers import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(BINARY, "--python", sys.executable) as s:
        yield s


@pytest.fixture
def env(server: Server) -> dict[str, str]:
    """That of a program which finds the server."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TMUX", "STY")}
    return {**kept, **server.env, "TERM_PROGRAM": ""}


@pytest.fixture
def cellwall(env: dict[str, str], tmp_path: Path) -> Run:
    def call(*words: str | bytes, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BINARY, *words],
            **{  # type: ignore[call-overload]
                "env": env,
                "cwd": tmp_path,
                "stdin": None if "input" in options else subprocess.DEVNULL,
                "capture_output": True,
                "text": True,
                "timeout": TIMEOUT_S,
                "check": False,
                **options,
            },
        )

    return call


@pytest.fixture
def alone(env: dict[str, str]) -> Iterator[dict[str, str]]:
    """An environment without a server, with a mark and a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="cellwall-alone-"))
    yield {**env, "XDG_RUNTIME_DIR": str(folder), MARK: uuid.uuid4().hex}
    shutil.rmtree(folder)
