# SPDX-License-Identifier: MIT
"""What this interpreter tells of itself. Used by the probe too, outside of a runner."""

from __future__ import annotations

import sys
from typing import Any


def language_info() -> dict[str, Any]:
    """Jupyter's language_info."""
    return {
        "name": "python",
        "version": ".".join(str(part) for part in sys.version_info[:3]),
        "mimetype": "text/x-python",
        "file_extension": ".py",
        "pygments_lexer": "ipython3",
        "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
        "nbconvert_exporter": "python",
    }


def banner() -> str:
    """IPython's banner. ImportError: there is no IPython."""
    from IPython.core.usage import default_banner

    return str(default_banner)
