# SPDX-License-Identifier: MIT
"""The Node client: its own tests, and its examples as a user would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import nodejs
from tests.system.conftest import BINARY
from tests.system.servers import Server

pytestmark = [pytest.mark.cellwall, pytest.mark.timeout(600)]

UNITS = sorted(path.name for path in (nodejs.CLIENT / "test").glob("*.test.mjs"))
LIVE = sorted(path.name for path in (nodejs.CLIENT / "test/live").glob("*.test.mjs"))
EXAMPLES = {
    "quickstart": ["265252859812191058636308480000000"],
    "agent-loop": ["error: NameError", "value: 122.15", "The four orders"],
    "data-question": ["a result as text, png", "a result as text, html", "north  south"],
    "parallel": ["squares: 0 1 4 9 16 25 36 49 64 81"],
    "streaming": ["[####################] 100 %", "value: 20", "took"],
    "timeout": ["timeout; the variables are kept", "working", "has 1000 items"],
    "input": ["Ada will be 37 next year"],
    "detach": ["leaving", "part 1 is done", "part 5 is done", "done: 'all done'"],
    "files": ["ONE\nTWO\nTHREE\n", "sees 5 bytes", "data/bytes.bin 5", "gone: FILE_NOT"],
}


@pytest.fixture(scope="session")
def node() -> dict[str, str]:
    """The environment in which the client's programs run, when it has been built."""
    try:
        env = nodejs.environment()
        nodejs.install(env)
    except nodejs.Unusable as why:
        pytest.skip(str(why))
    run(env, "npm", "run", "build")
    return env


@pytest.fixture(scope="module")
def served(node: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same, with a server to be found, and the program for servers of their own."""
    with Server(BINARY, "--python", sys.executable) as server:
        bin_folder = Path(sys.executable).parent
        yield {
            **node,
            **server.env,
            "CELLWALL_SERVER": str(server.file),
            "CELLWALL_PROGRAM": str(BINARY),
            # A server that a client starts looks its Python up there.
            "PATH": f"{bin_folder}{os.pathsep}{node['PATH']}",
        }


def run(env: dict[str, str], *command: str) -> str:
    """Its output; a failure shows all of it."""
    done = subprocess.run(
        command,
        cwd=nodejs.CLIENT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("name", UNITS)
def test_units(node: dict[str, str], name: str) -> None:
    run(node, "node", "--test", "--test-reporter=tap", f"test/{name}")


@pytest.mark.parametrize("name", LIVE)
def test_against_the_server(served: dict[str, str], name: str) -> None:
    run(served, "node", "--test", "--test-reporter=tap", f"test/live/{name}")


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(served: dict[str, str], name: str, tmp_path: Path) -> None:
    told = run(served, "node", f"examples/{name}.mjs", str(tmp_path))
    for words in EXAMPLES[name]:
        assert words in told, told
    if name == "data-question":
        assert (tmp_path / "sales.png").read_bytes().startswith(b"\x89PNG")


def test_every_example_is_run() -> None:
    there = {path.stem for path in (nodejs.CLIENT / "examples").glob("*.mjs")}
    assert there == set(EXAMPLES)
