# SPDX-License-Identifier: MIT
"""What a row of the compatibility list is."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """A cell, and what it prints.

    It starts in an empty workspace, and may leave there what it likes. NEEDS are programs
    (`node`) and Python's modules (`import scipy`) without which it cannot be run.
    """

    name: str
    code: str
    expect: str
    needs: tuple[str, ...] = ()
    #  What it prints outside of a sandbox, where that is something else; None: it is not
    #  run there, WHY tells the reason.
    outside: str | None = ""
    why: str = ""

    @property
    def cell(self) -> str:
        return textwrap.dedent(self.code).strip("\n")

    def expected(self, confined: bool) -> str | None:
        """The lines that it shall print, or None: do not run it."""
        text = self.expect if confined or self.outside == "" else self.outside
        return None if text is None else textwrap.dedent(text).strip("\n")
