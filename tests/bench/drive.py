# SPDX-License-Identifier: MIT
"""Drives the benchmark's programs: one command a line, answered by one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from jupyter_client import KernelManager
from jupyter_client.connect import write_connection_file


class Program:
    """A program that obeys commands; ends with the `with` block."""

    def __init__(
        self,
        *command: str | Path,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )

    def ask(self, name: str, *words: int | str, code: str | None = None) -> Any:
        """CODE goes last, as JSON, which is what the programs put into requests."""
        assert self.process.stdin and self.process.stdout
        parts = [name, *(str(word) for word in words)]
        if code is not None:
            parts.append(json.dumps(code))
        try:
            self.process.stdin.write(" ".join(parts) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.process.args} has ended during {parts[0]}")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and said why
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Kernel(Program):
    """The lean client with the kernel NAME of Jupyter's, which it will start; its
    working directory is FOLDER/work, as a folder of notebooks."""

    def __init__(
        self, client: Path, name: str, folder: Path, env: dict[str, str] | None = None
    ) -> None:
        self.file = folder / f"lean-{name}-{os.urandom(4).hex()}.json"
        write_connection_file(str(self.file), key=os.urandom(16).hex().encode())
        manager = KernelManager(kernel_name=name, connection_file=str(self.file))
        assert manager.kernel_spec is not None
        super().__init__(
            client,
            self.file,
            *manager.format_kernel_cmd(),
            env={**manager.kernel_spec.env, **(env or {})},
            cwd=folder / "work",
        )

    def execute(self, code: str) -> float:
        """Milliseconds since the kernel was started."""
        return self.ask("first", code=code)["us"] / 1000

    def close(self) -> None:
        super().close()
        self.file.unlink(missing_ok=True)
