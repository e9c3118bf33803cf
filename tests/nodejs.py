# SPDX-License-Identifier: MIT
"""Node.js for the tests of its client and its runtimes: where it is, and their packages.

As a program: installs what the runtimes bring along, where npm can.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIENT = ROOT / "clients/node"
RUNTIME = ROOT / "runtimes/node"
MAJOR_MIN = 18
# First what PATH has, then what scripts/setup puts beside the tests' Python.
FOLDERS = (None, Path(sys.executable).parent)


class Unusable(Exception):
    """There is no Node here that the client can be tested with; the text says why."""


def environment() -> dict[str, str]:
    """For programs that use node and npm: these come first in PATH. Unusable: none."""
    complaints = []
    for folder in FOLDERS:
        path = os.environ.get("PATH", "")
        path = f"{folder}{os.pathsep}{path}" if folder else path
        if shutil.which("node", path=path) is None:
            complaints.append("there is no node")
        elif shutil.which("npm", path=path) is None:
            complaints.append("there is no npm")
        else:
            env = {**os.environ, "PATH": path, "NO_COLOR": "1"}
            version = _output(env, "node", "--version")
            found = re.match(r"v(\d+)", version)
            if found and int(found[1]) >= MAJOR_MIN:
                return env
            complaints.append(f"node is {version}, older than {MAJOR_MIN}")
    raise Unusable(complaints[0])


def install(env: dict[str, str], folder: Path = CLIENT) -> str:
    """Puts FOLDER's packages in their place, if they are not; npm's output.
    CalledProcessError: npm failed. Unusable: npm's packages cannot be had here."""
    marker = folder / "node_modules/.package-lock.json"
    lock = folder / "package-lock.json"
    if marker.exists() and marker.stat().st_mtime >= lock.stat().st_mtime:
        return ""
    try:
        return _output(
            env, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder
        )
    except subprocess.CalledProcessError as error:
        if re.search("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH", error.output):
            raise Unusable("npm reaches no registry") from None
        raise


def _output(env: dict[str, str], *command: str, folder: Path = ROOT) -> str:
    program = shutil.which(command[0], path=env["PATH"])
    assert program is not None
    return subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=600,
    ).stdout.strip()


if __name__ == "__main__":
    try:
        print(install(environment(), RUNTIME))
    except Unusable as reason:
        sys.exit(str(reason))
    except subprocess.CalledProcessError as failure:
        sys.exit(failure.output)
