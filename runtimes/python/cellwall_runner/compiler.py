# SPDX-License-Identifier: MIT
"""Compiles cells under file names that a debugger can compute from their code."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import _cellwall
from IPython.core.compilerop import CachingCompiler

_HASH_SEED = 0xC70F6907  # Jupyter's clients use it too


def cell_folder() -> str:
    """The folder in which cells seem to be; it need not exist."""
    return os.path.join(tempfile.gettempdir(), f"ipykernel_{os.getpid()}")


class CellCompiler(CachingCompiler):
    """IPython's compiler with ipykernel's names."""

    _folder = ""

    @classmethod
    def forget_folder(cls) -> None:
        """For a fork that goes on as the runner: its cells get a folder of their own."""
        CellCompiler._folder = ""

    def get_code_name(self, raw_code: Any, transformed_code: Any, number: Any) -> str:
        # Once: neither a forked child nor a changed TMPDIR should rename cells.
        if not CellCompiler._folder:
            CellCompiler._folder = cell_folder()
        code = raw_code.encode("utf-8", "surrogatepass")
        name = f"{_cellwall.murmur2(code, _HASH_SEED)}.py"
        return os.path.join(CellCompiler._folder, name)
