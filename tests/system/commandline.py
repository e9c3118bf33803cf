# SPDX-License-Identifier: MIT
"""Ways to call the program, for the tests of the command line."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.system.conftest import BINARY, MARK, wait_for_no_process

TIMEOUT_S = 120
WAITS = "import time\nprint('begun', flush=True)\ntime.sleep(1000)"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
EMBEDDED = ["run", "--python", sys.executable]
Run = Callable[..., subprocess.CompletedProcess[str]]


def heed_signals() -> None:
    """Whoever runs the tests in the background has them ignore some."""
    for number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTSTP:
        signal.signal(number, signal.SIG_DFL)


def start(env: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [BINARY, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )


def display(data: dict[str, str], display_id: str | None = None) -> str:
    return (
        "from IPython.display import display\n"
        f"display({data!r}, raw=True, display_id={display_id!r})\n"
    )


def assert_nothing_is_left(alone: dict[str, str]) -> None:
    assert wait_for_no_process(set(), mark=alone[MARK]) == {}
    assert list(Path(alone["XDG_RUNTIME_DIR"]).iterdir()) == []
