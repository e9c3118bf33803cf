# SPDX-License-Identifier: MIT
"""A `cellwall serve` of a test's own, in a runtime folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

READY = r"zygote of .* \(home (?!/workspace\))[^)]*\): ready"  # for notebooks
READY_FOR_AGENTS = r"zygote of .* \(home /workspace\): ready"
TIMEOUT_S = 60.0  # for what must come; never reached when all is well


class Server:
    """Ready when it is made, unless EXPECT_START is False. Ends with the test."""

    def __init__(
        self,
        binary: Path,
        *options: str,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        user: int | None = None,
        expect_start: bool = True,
    ) -> None:
        # A short path: there is a socket in it.
        self.runtime = folder or Path(tempfile.mkdtemp(prefix="cellwall-run-"))
        if user is not None:
            os.chown(self.runtime, user, user)
        self.file = self.runtime / "cellwall/server.json"
        self.lines: list[str] = []
        self._said = threading.Condition()
        identity: dict[str, Any] = {}
        if user is not None:
            identity = {"user": user, "group": user, "extra_groups": []}
        self.process = subprocess.Popen(
            [binary, "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "XDG_RUNTIME_DIR": str(self.runtime), **(env or {})},
            start_new_session=True,
            text=True,
            **identity,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if expect_start:
            self.wait_said("cellwall: ready: ")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self.lines.append("(end)")
            self._said.notify_all()

    def wait_said(self, pattern: str, times: int = 1) -> str:
        """The line of its log that has PATTERN, the TIMES-th one."""

        def found() -> list[str]:
            return [line for line in self.lines if re.search(pattern, line)]

        with self._said:
            self._said.wait_for(
                lambda: len(found()) >= times or self.lines[-1:] == ["(end)"], TIMEOUT_S
            )
            assert len(found()) >= times, self.lines
            return found()[times - 1]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def env(self) -> dict[str, str]:
        """For programs that shall find it."""
        return {"XDG_RUNTIME_DIR": str(self.runtime)}

    def description(self) -> dict[str, Any]:
        return json.loads(self.file.read_text())

    def wait(self) -> int:
        status = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return status

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def close(self) -> int:
        """Its exit status; the folder stays."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        shutil.rmtree(self.runtime, ignore_errors=True)


def wait_until(is_so: Callable[[], bool]) -> bool:
    """Asks again and again, since no event tells: bounded by TIMEOUT_S."""
    end = time.monotonic() + TIMEOUT_S
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def no_launcher(server: Server) -> Iterator[None]:
    """Nothing can be started meanwhile."""
    (launcher,) = psutil.Process(server.pid).children()
    launcher.suspend()
    try:
        yield
    finally:
        launcher.resume()


def is_below(pid: int, ancestor: int) -> bool:
    while pid > 1 and pid != ancestor:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return pid == ancestor


def processes_below(ancestor: int, name: str) -> list[int]:
    """Those that the kernel calls NAME."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_named = (entry / "comm").read_text().strip() == name[:15]
            if is_named and is_below(int(entry.name), ancestor):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def groups_of(pids: set[int]) -> set[Path]:
    """Control groups that the spawners PIDS have made, and those of their contexts."""
    name = re.compile(r"/cellwall-(\d+)(-\d+)?(?=/|$)")
    folders = (folder for folder, _, _ in os.walk("/sys/fs/cgroup"))
    return {
        Path(folder)
        for folder in folders
        if pids & {int(m[1]) for m in name.finditer(folder)}
    }
