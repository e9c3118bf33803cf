# SPDX-License-Identifier: MIT
"""The zygote: a process that has everything ready and forks runners.

On fd 3 it says once what it has, and then C code takes requests from there. A fork comes
back from that call in its own sandbox, with fds 0 to 3 as a runner finds them, and goes
on as if it had just been started.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

import _cellwall

from . import blas, environment, forks, main, memory, preload, rehearsal
from .kernel import Kernel

_SOCKET = 3
_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PRELOAD = "CELLWALL_PRELOAD"  # names of modules, with commas between
_LEFT_OUT = "CELLWALL_LEFT_OUT"  # JSON, from a life that they have spoiled: [name, why]
_ROUNDS = 20


def _start_without(name: str, why: str, wanted: list[str], left_out: list[Any]) -> None:
    """Begins again: module NAME cannot be taken out of this process."""
    os.environ[_PRELOAD] = ",".join(one for one in wanted if one != name)
    os.environ[_LEFT_OUT] = json.dumps([*left_out, [name, why]])
    os.set_inheritable(_SOCKET, True)
    with open("/proc/self/cmdline", "rb") as file:
        argv = file.read().split(b"\0")[:-1]
    os.execv(sys.executable, argv)


def _preload(kernel: Kernel, left_out: list[Any]) -> list[str]:
    """Imports what is wanted, each so that it can be told which one is unfit."""
    wanted = [name for name in os.environ.pop(_PRELOAD, "").split(",") if name]
    loaded = []

    def run_cell(code: str) -> None:
        rehearsal.play(kernel, [rehearsal.cell(code)])

    preload.ask_for_no_threads()
    for name in filter(preload.is_there, wanted):
        try:
            why = preload.load(name, run_cell)
        except preload.UnfitError as error:
            _start_without(name, str(error), wanted, left_out)
        if why is None:
            loaded.append(name)
        else:
            left_out.append([name, why])
    return loaded


def _watched(loaded: list[str]) -> list[str]:
    """What tells by its time of change that the environment is no longer this one, where
    the modules LOADED are imported already."""
    names = [path for path in sys.path if path]
    for name in loaded:
        file = getattr(sys.modules[name.partition(".")[0]], "__file__", None)
        names.extend((file, os.path.dirname(file)) if file else ())
    names.append(os.path.join(sys.prefix, "pyvenv.cfg"))
    names.extend((sys.executable, os.path.realpath(sys.executable)))
    return [
        name
        for name in dict.fromkeys(map(os.path.abspath, names))
        if os.path.exists(name)
    ]


def _close_devnull() -> None:
    """Older IPython keeps it open and has no use for it."""
    from IPython.utils import io

    if hasattr(io, "devnull"):
        io.devnull.close()


def _check() -> None:
    if preload.count_threads() > 1:
        sys.exit("the Python zygote has more than one thread")
    others = sorted(preload.open_fds() - {0, 1, 2, _SOCKET})
    if others:
        names = ", ".join(os.readlink(f"/proc/self/fd/{fd}") for fd in others)
        sys.exit(f"the Python zygote has files open that its forks would share: {names}")


class Zygote:
    """What there is before the fork."""

    def __init__(self) -> None:
        self._left_out = json.loads(os.environ.pop(_LEFT_OUT, "[]"))
        blas.restrain()
        self._kernel = main.prepare()
        _close_devnull()
        before = environment.top_names(sys.modules)
        self._loaded = _preload(self._kernel, self._left_out)
        self._packages = environment.top_names(sys.modules) - before
        self._state = rehearsal.State(self._kernel)
        self._setters = blas.find_setters()
        for _ in range(_ROUNDS):
            self._rehearse()
        self._state.narrow()
        self._state.forget_process()
        self._kernel.loop.release_fds()
        _check()
        memory.settle()

    def _rehearse(self) -> None:
        """The life of a fork as far as it can be had without one."""
        environment.adopt([f"{name}={value}" for name, value in os.environ.items()])
        environment.is_fit({"TERM"}, self._packages)
        self._kernel.loop.release_fds()
        self._kernel.loop.make_fds()
        self._kernel.shell.make_folders()
        rehearsal.play(self._kernel, rehearsal.ALL, self._state)
        preload.reseed()

    def describe(self) -> dict[str, Any]:
        """What is told to who has started it."""
        return {
            "ready": True,
            "left_out": self._left_out,
            "preloaded": self._loaded,
            "paths": _watched(self._loaded),
        }

    def live(self, variables: list[str]) -> None:
        """The life of a fork, with VARIABLES as its environment."""
        forks.become_runner()
        changed = environment.adopt(variables)
        if not environment.is_fit(changed, self._packages):
            environment.start_anew(_FOLDER)
        if self._setters:
            self._kernel.release_threads = self._release_threads
        is_early = not _is_readable(_SOCKET)
        if is_early:  # one of a reserve: the server has time
            self._get_set(True)
        main.serve(
            self._kernel,
            lambda: None if is_early else self._get_set(not _cellwall.readable()),
        )

    def _get_set(self, has_time: bool) -> None:
        """What must be done before user code runs, and what can be."""
        self._kernel.loop.make_fds()
        self._kernel.shell.make_folders()
        preload.reseed()
        if has_time:
            rehearsal.play(self._kernel, rehearsal.FIRST, self._state)

    def _release_threads(self) -> None:
        blas.release(self._setters, os.environ)


def _is_readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])
