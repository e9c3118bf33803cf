# SPDX-License-Identifier: MIT
"""Names of ipykernel that libraries look for, whether it is installed or not.

Some find out by `ipykernel.zmqshell` in `sys.modules` that they run in a notebook; older
ones take their Comm from `ipykernel.comm`.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from . import comms, zmqshell

_REAL_COMM = "ipykernel.comm.comm"


class _CommPatcher(MetaPathFinder, Loader):
    """Lets the comms of an installed ipykernel, which finds no kernel, send frames."""

    def __init__(self) -> None:
        self._loader: Any = None

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == _REAL_COMM else None
        if spec is not None:
            self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        self._loader.exec_module(module)
        base = getattr(module, "BaseComm", None) or module.Comm
        base.publish_msg = comms.Comm.publish_msg


def install() -> None:
    """Puts the stand-ins into place, before any user code runs."""
    sys.modules["ipykernel.zmqshell"] = zmqshell
    if importlib.util.find_spec("ipykernel") is not None:
        sys.meta_path.insert(0, _CommPatcher())
    elif comms.comm_package is not None:
        module = types.ModuleType("ipykernel.comm")
        module.Comm = comms.Comm  # type: ignore[attr-defined]
        module.CommManager = comms.Manager  # type: ignore[attr-defined]
        sys.modules["ipykernel.comm"] = module
