# SPDX-License-Identifier: MIT
"""The magics that a notebook has and a bare IPython shell has not."""

from __future__ import annotations

import os
import subprocess

from IPython.core import page
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class


@magics_class
class NotebookMagics(Magics):
    """Magics that show a file or a manual in the frontend's pager."""

    @line_magic
    def less(self, line: str) -> None:
        """Shows a file in the pager; names without a suffix may be those of modules."""
        if not line:
            raise UsageError("Missing filename.")
        name = os.path.expanduser(line.strip())
        if name.endswith(".py"):
            text = self.shell.pycolorize(self._read(name))
        else:
            text = self._read(name)
        page.page(text)

    more = line_magic("more")(less)

    @line_magic
    def man(self, line: str) -> None:
        """Shows a manual page in the pager."""
        shown = subprocess.run(
            ["sh", "-c", 'man -- "$1" | col -b', "sh", line.strip()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        page.page(shown.stdout or shown.stderr)

    @staticmethod
    def _read(name: str) -> str:
        try:
            with open(name, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError as error:
            raise UsageError(f"{name}: {error.strerror}") from None
