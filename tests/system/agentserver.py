# SPDX-License-Identifier: MIT
"""Servers for tests of the agent service, and what its document says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.system.agentclient import Agent
from tests.system.conftest import BINARY, ROOT
from tests.system.servers import Server

DOCUMENT = (ROOT / "docs/agent-protocol.md").read_text()


def documented_requests() -> set[str]:
    """Each that the document names; input_request is the server's."""
    found = set(re.findall(r"`([a-z][a-z_]*_request)`", DOCUMENT))
    return found - {"input_request"}


def documented_codes() -> set[str]:
    """Of the table of error codes."""
    rows = re.findall(r"^\|((?: `[A-Z_]+`,?)+) \|", DOCUMENT, re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([A-Z_]+)`", row)}


def start(folder: Path, *options: str, **settings: Any) -> Server:
    """A server with SETTINGS as its configuration."""
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    return Server(BINARY, "--python", sys.executable, "--config", str(config), *options)


# Not the one of tests/sandbox: a limit there counts a user's processes.
ORDINARY_USER = 64322 if os.geteuid() == 0 else os.geteuid()


def ordinary(*options: str) -> Server:
    """A server that is not root's."""
    user = ORDINARY_USER if os.geteuid() == 0 else None
    return Server(BINARY, "--python", sys.executable, *options, user=user)


CLIENT = """
import json, sys
from pathlib import Path
from tests.system.agentclient import Agent
with Agent(Path(sys.argv[1])) as agent:
    print(json.dumps({expression}))
"""


def as_ordinary_user(server: Server, expression: str) -> Any:
    """The value of EXPRESSION in a process of that user's, where agent is a client."""
    user = ORDINARY_USER if os.geteuid() == 0 else None
    done = subprocess.run(
        [sys.executable, "-B", "-c", CLIENT.format(expression=expression), server.file],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    return json.loads(done.stdout)


def keygen(folder: Path, *arguments: str) -> None:
    subprocess.run(
        [BINARY, "keygen", *arguments], cwd=folder, check=True, capture_output=True
    )


class Keyed:
    """A server at ipc and tcp, and clients of many owners, in a folder of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        keygen(folder, "--server", "server.keys")
        (folder / "clients").touch(mode=0o600)
        self.server = start(
            folder,
            *("--endpoint", f"ipc://{folder}/agent.sock"),
            *("--endpoint", "tcp://127.0.0.1:*"),
            *("--keys", str(folder / "server.keys")),
            *("--authorised", str(folder / "clients")),
            **settings,
        )

    def add(self, name: str) -> Path:
        """A file for clients of the owner NAME."""
        endpoints = self.server.description()["endpoints"]
        (tcp,) = (e for e in endpoints if e.startswith("tcp:"))
        file = self.folder / f"{name}.json"
        if not file.exists():
            arguments = ["--client", name, "--server", "server.keys"]
            arguments += ["--endpoint", tcp, "--authorise", "clients"]
            keygen(self.folder, *arguments)
        return file

    def connect(self, name: str, **more: Any) -> Agent:
        return Agent(self.add(name), **more)

    def __enter__(self) -> Keyed:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()
