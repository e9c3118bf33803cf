# SPDX-License-Identifier: MIT
"""IPython's own syntax, which most cells have none of."""

from __future__ import annotations

import ast

from IPython.core.inputtransformer2 import TransformerManager

_SPECIAL = frozenset("%!?\\")
"""What magics, commands and help are written with; and the backslash, for the parser
warns of those that escape nothing, and should do so once."""
_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_STOCK = TransformerManager().token_transformers


class QuickTransformerManager(TransformerManager):
    """IPython's, which does not look for its syntax where Python's parser is content."""

    def do_token_transforms(self, lines: list[str]) -> list[str]:
        if self.token_transformers == _STOCK and _is_python("".join(lines)):
            return lines
        return list(super().do_token_transforms(lines))


def _is_python(code: str) -> bool:
    if not _SPECIAL.isdisjoint(code):
        return False
    try:
        compile(code, "<cell>", "exec", _FLAGS, dont_inherit=True)
    except Exception:
        return False
    return True
