# SPDX-License-Identifier: MIT
"""Starts the runner, or the zygote that forks runners.

`prepare` is what can be done before a fork, `serve` what only the runner itself can do:
each page that it touches for the first time is copied, in every context.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Callable

import _cellwall  # while the runtime's folder is on sys.path

if TYPE_CHECKING:
    from .kernel import Kernel

_starter = sys.modules["__main__"]
"""Kept alive: IPython puts another module in its place while its code still runs."""


def _require_ipython() -> None:
    try:
        import IPython
    except ImportError as error:
        if error.name != "IPython":
            sys.exit(f"IPython cannot be imported by {sys.executable}: {error}")
        sys.exit(
            f"IPython is not installed for {sys.executable}: "
            f"run {sys.executable} -m pip install ipython"
        )
    if IPython.version_info < (7, 23):
        sys.exit(
            f"IPython {IPython.__version__} is too old, 7.23 is needed: "
            f"run {sys.executable} -m pip install --upgrade ipython"
        )


def _look_like_a_notebook() -> None:
    """Leaves no trace of how the runner was started in what user code looks at."""
    sys.path.pop(0)  # the runtime's folder
    sys.argv[:] = [""]


def _find_what_pip_installs() -> None:
    """%pip installs into a folder of the context's own; it goes before the environment's
    packages, which cannot be changed, so that it can also bring a newer version."""
    folder = os.environ.get("PIP_TARGET")
    if folder:
        packages = ("site-packages", "dist-packages")
        at = [i for i, path in enumerate(sys.path) if path.endswith(packages)]
        sys.path.insert(at[0] if at else len(sys.path), folder)


def begin() -> None:
    """Must come first. SystemExit: there is no IPython to go on with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing runs that it could be for
    _look_like_a_notebook()
    _require_ipython()


def prepare() -> Kernel:
    """Makes all that a runner needs."""
    from . import forks, inputs, interrupts, requests, standins
    from .kernel import Kernel

    faulthandler.enable()
    forks.install()
    requests.install()
    inputs.install()
    kernel = Kernel()
    standins.install()
    interrupts.install()
    return kernel


def serve(kernel: Kernel, get_set: Callable[[], None] | None = None) -> None:
    """Serves the server on fd 3 until it ends the conversation. GET_SET is for what is
    left to do between the hello and the first request."""
    configure = json.loads(_cellwall.connect())
    _cellwall.send(_cellwall.HELLO, 0, kernel.hello)
    if get_set is not None:
        get_set()
    sys.path.insert(0, "")
    _find_what_pip_installs()
    kernel.shell.enter_directory()
    session = configure.get("session") or os.environ.get("JPY_SESSION_NAME")
    if session:
        kernel.shell.name_session(str(session))
    # Not before: the hello must be the first frame, and warnings so far go out raw.
    kernel.streams.install()
    kernel.loop.run(kernel.serve())


def main() -> None:
    """The runner, started by exec."""
    begin()
    serve(prepare())


def zygote() -> None:
    """A process that forks runners."""
    _cellwall.gather_arenas()
    from . import starter

    starter.run(begin)
