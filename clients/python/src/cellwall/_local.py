# SPDX-License-Identifier: MIT
"""A server of this program's own, which ends with it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

from ._errors import CellwallError, ConnectionLost, ServerStartFailed
from ._finding import ServerFile, read_server_file

_LOG_LINES = 50
_STOP_SECONDS = 10.0
_READY = "cellwall: ready: "


def find_program(program: str | os.PathLike[str] | None = None) -> str:
    """The `cellwall` program: PROGRAM, else what CELLWALL_PROGRAM names, else on PATH."""
    named = os.fspath(program or os.environ.get("CELLWALL_PROGRAM") or "cellwall")
    found = shutil.which(named)
    if found is None:
        raise ServerStartFailed(
            f"there is no program {named}",
            suggestion="install Cellwall, or set CELLWALL_PROGRAM to its path",
        )
    return found


def _interpreter(python: str | os.PathLike[str] | None) -> list[str]:
    if python is not None:
        return ["--python", os.fspath(python)]
    has_runner_needs = importlib.util.find_spec("IPython") is not None
    return ["--python", sys.executable] if has_runner_needs else []


class LocalServer:
    """A `cellwall serve` with a folder of its own. Ends when `stop` is called, when this
    object or the program ends, in whatever way."""

    def __init__(
        self,
        program: str | os.PathLike[str] | None,
        python: str | os.PathLike[str] | None,
        options: Sequence[str],
        start_timeout: float,
    ) -> None:
        self._argv = [find_program(program), "serve", "--die-with-parent"]
        self._argv += [*_interpreter(python), *options]
        self._start_timeout = start_timeout
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._news = threading.Condition()
        self._is_ready = self._is_silent = False
        self._is_stopped = False
        self._stop: Callable[[], object] = lambda: None

    @property
    def log(self) -> list[str]:
        """The last lines that it has logged."""
        with self._news:
            return list(self._log)

    def start(self) -> ServerFile:
        """Starts it and waits until it is ready. ServerStartFailed."""
        # A short path: there are sockets in it, whose paths have at most 107 bytes.
        folder = tempfile.mkdtemp(prefix="cellwall-")
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        environment.pop("CELLWALL_SERVER", None)
        try:
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C is for this program alone
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise ServerStartFailed(f"{self._argv[0]}: {error.strerror}") from None
        reader = threading.Thread(
            target=self._read, args=(process,), name="cellwall-log", daemon=True
        )
        reader.start()
        self._stop = weakref.finalize(
            self, _stop_process, process, reader, folder, os.getpid()
        )
        try:
            if self._is_stopped:
                raise ServerStartFailed("it was not wanted any more")
            self._wait_ready()
            return read_server_file(Path(folder, "cellwall/server.json"))
        except BaseException as error:
            self.stop()
            if isinstance(error, CellwallError):
                raise self._failed(error.message) from None
            raise

    def stop(self) -> None:
        """Ends it and waits for its end. May be repeated."""
        self._is_stopped = True
        self._stop()

    def why_lost(self, error: ConnectionLost) -> ConnectionLost:
        """ERROR, with what the server said last."""
        log = self.log
        error.details["log"] = log
        if log:
            error.message += f"; it said last: {log[-1]}"
        return error

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._news:
                self._log.append(line.rstrip("\n"))
                self._is_ready |= line.startswith(_READY)
                self._news.notify_all()
        process.stderr.close()
        with self._news:
            self._is_silent = True
            self._news.notify_all()

    def _wait_ready(self) -> None:
        with self._news:
            came = self._news.wait_for(
                lambda: self._is_ready or self._is_silent, self._start_timeout
            )
            if self._is_ready:
                return
        if came:
            raise ServerStartFailed("the server ended before it was ready")
        raise ServerStartFailed(f"no server was ready in {self._start_timeout:g} s")

    def _failed(self, message: str) -> ServerStartFailed:
        log = self.log
        said = "\n".join(log[-5:])
        return ServerStartFailed(
            f"{message}\n{said}" if said else message, details={"log": log}
        )


def _stop_process(
    process: subprocess.Popen[str], reader: threading.Thread, folder: str, pid: int
) -> None:
    if pid != os.getpid():
        return  # this process is a fork: the server is the parent's
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    reader.join(_STOP_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
