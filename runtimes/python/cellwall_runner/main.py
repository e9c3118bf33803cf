# SPDX-License-Identifier: MIT
"""Starts the runner. The server's end of fd 3 must be there."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import sys
import traceback

import _cellwall  # while the runtime's folder is on sys.path

from . import interrupts

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


def _run_until_done(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    while not task.done():
        try:
            loop.run_until_complete(task)
        except KeyboardInterrupt:
            interrupts.escaped()
        except BaseException:
            # A callback of the user's has stopped the loop, or raised what stops it.
            if not task.done():
                traceback.print_exc()
    task.result()  # raises what is a fault of ours


def main() -> None:
    """Serves the server on fd 3 until it ends the conversation."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing runs that it could be for
    _look_like_a_notebook()
    _require_ipython()
    import IPython

    from . import describe, forks, inputs, requests, standins, streams, waiting
    from .kernel import Kernel, hello
    from .zmqshell import make_shell

    json.loads(_cellwall.connect())
    faulthandler.enable()
    forks.install()
    requests.install()
    inputs.install()
    loop = waiting.make_loop()
    sys.path.insert(0, "")
    _find_what_pip_installs()
    kernel = Kernel(make_shell())
    standins.install()
    task = loop.create_task(kernel.serve())
    interrupts.install(loop, task)
    # Not before: the hello must be the first frame, and warnings so far go out raw.
    streams.install(lambda: inputs.ask(""))
    hello(describe.language_info(), describe.banner(), IPython.__version__)
    _run_until_done(loop, task)
