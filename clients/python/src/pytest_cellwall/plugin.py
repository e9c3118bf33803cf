# SPDX-License-Identifier: MIT
"""What pytest loads each time: the options. All else is imported with --cellwall."""

from __future__ import annotations

import pytest

# Each is an option of the command line and, with underscores, one of the ini file.
_OPTIONS = {
    "sanitize-with": ("FILE", "regular expressions that outputs are sanitized with"),
    "jobs": ("N", "how many notebooks run at once"),
    "timeout": ("S", "seconds a cell may take"),
    "config": ("FILE", "the configuration, in place of the nearest cellwall-test.json"),
    "program": ("PATH", "the cellwall program: else $CELLWALL_PROGRAM, else on PATH"),
    "python": ("PATH", "the Python of the notebooks: else the one that runs pytest"),
}
_FLAGS = {
    "cellwall": "run notebooks, and compare what they show with what they have stored",
    "cellwall-lax": "the same, but compare only the cells that are marked for it",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cellwall", "notebooks as tests, with Cellwall")
    for name, about in _FLAGS.items():
        group.addoption(f"--{name}", action="store_true", default=None, help=about)
        parser.addini(name.replace("-", "_"), f"--{name}", type="bool", default=False)
    group.addoption(
        "--cellwall-current-env",
        action="store_true",
        help="run notebooks on the Python that runs pytest: as without it",
    )
    for name, (value, about) in _OPTIONS.items():
        group.addoption(f"--cellwall-{name}", metavar=value, help=about)
        parser.addini(f"cellwall_{name.replace('-', '_')}", f"--cellwall-{name}")


def _is_set(config: pytest.Config, name: str) -> bool:
    given = config.getoption(name)
    return bool(config.getini(name) if given is None else given)


def pytest_configure(config: pytest.Config) -> None:
    is_lax = _is_set(config, "cellwall_lax")
    if not is_lax and not _is_set(config, "cellwall"):
        return
    from ._notebooks import Notebooks  # imports the client

    config.pluginmanager.register(Notebooks(config, is_lax), "cellwall-notebooks")
