# SPDX-License-Identifier: MIT
"""A program on a pseudo terminal, as a person has it in front of them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

from tests.system.commandline import heed_signals

TIMEOUT_S = 60.0  # for what must come; never reached when all is well
PROGRESS = re.compile(
    r"\r(\x1b\[2m)?(starting|running) \d+ s; \^C interrupts(\x1b\[0m)?\x1b\[K|\r\x1b\[K"
)


class Terminal:
    """Runs COMMAND with a terminal of 80 x 24 as its stdin, stdout and stderr."""

    def __init__(
        self, command: list[str | Path], env: dict[str, str], cwd: Path | None = None
    ) -> None:
        self.master, slave = pty.openpty()
        self.slave = slave  # kept, so that its attributes can be asked for at the end
        self.resize(80)
        self.before = termios.tcgetattr(slave)
        self.output = b""
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm", **env},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=self._take_terminal,
        )
        self.ended = os.pidfd_open(self.process.pid)

    @staticmethod
    def _take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        heed_signals()

    @property
    def text(self) -> str:
        return self.output.decode()

    @property
    def said(self) -> str:
        """The text, without lines that said how long it took and were taken back."""
        return PROGRESS.sub("", self.text)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def _read_some(self, timeout: float) -> bool:
        readable, _, _ = select.select([self.master], [], [], timeout)
        if readable:
            self.output += os.read(self.master, 65536)
        return bool(readable)

    def wait_for(self, pattern: str) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not re.search(pattern, self.output.decode(errors="replace")):
            assert time.monotonic() < end, self.output
            assert self.process.poll() is None or self._read_some(0), self.output
            self._read_some(0.1)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def press_interrupt(self) -> None:
        self.type("\x03")

    def press_stop(self) -> None:
        self.type("\x1a")

    def resize(self, columns: int) -> None:
        fcntl.ioctl(
            self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0)
        )

    def wait(self) -> int:
        """Its exit status; all output has been read."""
        end = time.monotonic() + TIMEOUT_S
        either = [self.master, self.ended]
        while not select.select([self.ended], [], [], 0)[0]:
            assert time.monotonic() < end, self.output
            if self.master in select.select(either, [], [], TIMEOUT_S)[0]:
                self._read_some(0)
        self.process.wait()
        while self._read_some(0):
            pass
        return self.process.returncode

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(TIMEOUT_S)
        for end in (self.master, self.slave, self.ended):
            os.close(end)
