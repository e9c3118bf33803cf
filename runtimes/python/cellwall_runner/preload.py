# SPDX-License-Identifier: MIT
"""What a zygote imports ahead, and what it does with it ahead.

A module that starts threads or leaves files open cannot be had: both are lost in a fork.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys
from typing import Any, Callable

_TABLE = (
    "__import__('pandas').DataFrame("
    "{'number': [1, 2], 'real': [0.5, 1.5], 'text': ['a', 'b'], 'truth': [True, False]})"
)


# Read by libraries when they are loaded, so that they start no threads by themselves.
_WITHOUT_THREADS = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's, which pandas imports
}

_MT19937_WORDS = 624


class UnfitError(Exception):
    """A module that no fork can use; it cannot be taken back either."""


def count_threads() -> int:
    """All of this process, those of C libraries too."""
    return len(os.listdir("/proc/self/task"))


def open_fds() -> set[int]:
    """The descriptors in use."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:
            continue  # the one of listdir itself
        found.add(int(name))
    return found


def ask_for_no_threads() -> None:
    """Before anything is imported; forks get variables of their own."""
    for name, value in _WITHOUT_THREADS.items():
        os.environ.setdefault(name, value)


def is_there(name: str) -> bool:
    """Whether the environment has the package of module NAME."""
    try:
        return importlib.util.find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _check(before: set[int]) -> None:
    if count_threads() > 1:
        raise UnfitError("it starts threads")
    if open_fds() - before:
        raise UnfitError("it leaves files open")


def load(name: str, run_cell: Callable[[str], None]) -> str | None:
    """Imports module NAME and uses it once. None, or why it is not there.

    UnfitError: it was imported, and spoils the process.
    """
    before = open_fds()
    try:
        importlib.import_module(name)
        use = _USES.get(name)
        if use is not None:
            use(run_cell)
    except (Exception, SystemExit) as error:
        _check(before)
        return f"{type(error).__name__}: {error}"[:300]
    _check(before)
    return None


# The first use of each.


def _use_numpy(run_cell: Callable[[str], None]) -> None:
    run_cell("__import__('numpy').arange(6).reshape(2, 3) * 0.5")


def _use_pandas(run_cell: Callable[[str], None]) -> None:
    for _ in range(3):
        run_cell(_TABLE)


def _use_pyplot(_run_cell: Callable[[str], None]) -> None:
    # Not by pyplot itself, which would choose its backend: that is for the first cell.
    from IPython.core.pylabtools import print_figure
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for _ in range(2):
        figure = Figure()
        FigureCanvasAgg(figure)
        axes: Any = figure.subplots()
        axes.plot([1, 2, 3], [1, 4, 9], label="x")
        axes.set_title("Title")
        axes.legend()
        figure.savefig(io.BytesIO(), format="png")
        print_figure(figure, fmt="png", bbox_inches="tight")
    # The fonts, whose files are open: a fork without them would crash on closing them.
    font_manager._get_font.cache_clear()  # type: ignore[attr-defined]


_USES = {
    "numpy": _use_numpy,
    "pandas": _use_pandas,
    "matplotlib.pyplot": _use_pyplot,
}


# What the runners must do for what was loaded.


def reseed() -> None:
    """Gives the loaded libraries random numbers that no other runner has."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        # Its generator's whole state; seed() would write to many pages for the same.
        key = numpy.frombuffer(os.urandom(_MT19937_WORDS * 4), numpy.uint32)
        numpy.random.set_state(("MT19937", key, _MT19937_WORDS))
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        uuid._node = uuid._last_timestamp = None
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)
