# SPDX-License-Identifier: MIT
"""What a fork of the zygote is told about its place, and whether it fits there.

Some of what was imported ahead has read variables and files when it was imported. Where a
context has others, its runner starts anew, by exec, and finds out for itself.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable

from .zmqshell import notebook_environment

_READ_AT_IMPORT = (
    "HOME",
    "IPYTHONDIR",
    "MATPLOTLIBRC",
    "MPL",
    "NPY_",
    "NUMPY_",
    "PANDAS_",
    "XDG_",
)
_SETTINGS = "matplotlibrc"


def top_names(modules: Iterable[str]) -> frozenset[str]:
    """The packages of MODULES."""
    return frozenset(name.partition(".")[0] for name in modules)


def adopt(variables: Iterable[str]) -> set[str]:
    """Replaces the environment by VARIABLES ("NAME=value"), for C code too, and by what a
    notebook adds to it. Returns the names of those that are not as they were."""
    wanted = dict(variable.split("=", 1) for variable in variables)
    wanted.update(notebook_environment(wanted))
    changed = {name for name in os.environ if name not in wanted}
    for name in changed:
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
            changed.add(name)
    if "TZ" in changed:
        time.tzset()
    return changed


def _installed() -> set[str]:
    """What %pip has installed for this context."""
    try:
        names = os.listdir(os.environ.get("PIP_TARGET") or "/dev/null")
    except OSError:
        return set()
    return {name.partition(".")[0] for name in names}


def is_fit(changed: set[str], preloaded: frozenset[str]) -> bool:
    """Whether the imports of PRELOADED would give the same here."""
    if not preloaded:
        return True
    return (
        not any(name.startswith(_READ_AT_IMPORT) for name in changed)
        and not preloaded & _installed()
        and not ("matplotlib" in preloaded and os.path.exists(_SETTINGS))
    )


def start_anew(folder: str) -> None:
    """Becomes a runner that exec has started. FOLDER is the runtime's."""
    os.set_inheritable(3, True)
    code = (
        "import sys; sys.path[:] = [sys.argv.pop(), *filter(None, sys.path)]; "
        "import cellwall_runner.main as m; m.main()"
    )
    os.execv(sys.executable, [sys.executable, "-c", code, folder])
