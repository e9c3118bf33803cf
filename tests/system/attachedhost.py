# SPDX-License-Identifier: MIT
"""A program that owns a context, as the agent service does, with a Jupyter kernel in
front of it: tests/system/attached/host.c."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0  # for what must come; never reached when all is well

Told = dict[str, Any]


class Host:
    """Its context is made when it is; ends with the test."""

    def __init__(
        self,
        build: Path,
        runtime: str = "python",
        python: str = "-",
        *,
        connection_dir: Path | None = None,
        name: str = "ann",
        folder: Path | None = None,
    ) -> None:
        # A short path: there are sockets in it.
        self.runtime_dir = folder or Path(tempfile.mkdtemp(prefix="cellwall-run-"))
        self.keeps_folder = folder is not None
        self.sockets = self.runtime_dir / "cellwall/jupyter"
        self.told: list[Told] = []  # all so far
        self._queue: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [build / "tests/attached_host", build / "runtimes", runtime, python]
            + [str(connection_dir or "-"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "XDG_RUNTIME_DIR": str(self.runtime_dir)},
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)

    def do(self, what: str, **more: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()

    def until(self, told: str, wanted: Callable[[Told], bool] = lambda _: True) -> Told:
        """The next thing of that kind that is WANTED."""
        while True:
            one = self._queue.get(timeout=TIMEOUT_S)
            assert one is not None, "the host has ended"
            self.told.append(one)
            if one["told"] == told and wanted(one):
                return one

    def so_far(self, told: str) -> list[Told]:
        """What was told until now, and not yet looked at, too."""
        while not self._queue.empty():
            one = self._queue.get()
            if one is not None:
                self.told.append(one)
        return [one for one in self.told if one["told"] == told]

    def open(self) -> dict[str, Any]:
        """Opens a Jupyter kernel; its connection, and its file as FILE."""
        self.do("open")
        opened = self.until("opened")
        self.file = Path(opened["file"])
        return opened["connection"]

    def start(self, code: str, adopt: bool = True, **content: Any) -> tuple[str, int]:
        """Runs CODE for an agent; the msg_id of its request, and its number."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "run_code_request",
            "session": "agent",
            "username": "agent",
            "date": "2026-01-01T00:00:00.000Z",
            "version": "5.5",
        }
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "allow_stdin": False,
            **content,
        }
        self.do("run", header=header, content=content, adopt=adopt)
        return header["msg_id"], self.until("submitted")["number"]

    def finish(self, number: int) -> Told:
        return self.until("done", lambda told: told["number"] == number)

    def run(self, code: str, **content: Any) -> str:
        """As start, when it has ended well; the msg_id."""
        asked, number = self.start(code, **content)
        done = self.finish(number)
        assert done["reply"]["status"] == "ok", done
        return asked

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        if not self.keeps_folder:
            shutil.rmtree(self.runtime_dir, ignore_errors=True)
        return status

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            assert self.close() == 0
