# SPDX-License-Identifier: MIT
"""sys.stdout, sys.stderr and sys.stdin of the runner.

Text goes out at once, as a frame of the current request; what is written to the binary
`buffer` goes raw to the file descriptor. Nothing is held back here, or the order against
the output of C code and subprocesses would be lost: the server merges small pieces.
"""

from __future__ import annotations

import io
import sys
from typing import Any, Callable

import _cellwall

from . import forks, requests

# As UTF-8 a piece has at most 1 MiB, escapes of lone surrogates included.
_PIECE_CHARACTERS = 1 << 17
_ERRORS = "backslashreplace"


class RawOutput(io.RawIOBase):
    """The `buffer` of an output stream: bytes straight to a file descriptor."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self.name = name
        self.mode = "wb"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        forks.write_all(self._fd, view)
        return len(view)

    def close(self) -> None:
        """Does nothing: the descriptor is not the stream's."""


class OutputStream(io.TextIOBase):
    """A text stream whose writes are frames of the current request."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._is_stderr = fd == 2
        self._buffer = RawOutput(fd, name)
        self._line = ""  # what a forked child has printed of its last line
        self.name = name
        self.mode = "w"

    encoding = "utf-8"  # type: ignore[assignment]
    errors = _ERRORS  # type: ignore[assignment]
    newlines = None
    line_buffering = True
    write_through = True

    @property
    def buffer(self) -> RawOutput:  # type: ignore[override]
        return self._buffer

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def reconfigure(self, **_options: Any) -> None:
        """Accepted as from a text file, without effect: frames are UTF-8."""

    def close(self) -> None:
        """Does nothing: later cells print too."""

    def _write_in_child(self, text: str) -> None:
        """By lines, so that those of several children do not mix."""
        text = self._line + text
        end = text.rfind("\n") + 1
        self._line = text[end:]
        forks.write_all(self._fd, text[:end].encode("utf-8", _ERRORS))

    def flush(self) -> None:
        if forks.is_child:
            line, self._line = self._line, ""
            forks.write_all(self._fd, line.encode("utf-8", _ERRORS))

    def _write_piece(self, text: str) -> None:
        if forks.is_child:
            self._write_in_child(text)
        else:
            data = text.encode("utf-8", _ERRORS)
            _cellwall.stream(requests.current().number, self._is_stderr, data)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if len(text) <= _PIECE_CHARACTERS:
            if text:
                self._write_piece(text)
        else:
            for start in range(0, len(text), _PIECE_CHARACTERS):
                self._write_piece(text[start : start + _PIECE_CHARACTERS])
        return len(text)

    def writelines(self, lines: Any) -> None:
        self.write("".join(lines))

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.OutputStream name={self.name!r}>"


class InputStream(io.TextIOBase):
    """sys.stdin: every line is asked of the user, as by `input`."""

    encoding = "utf-8"  # type: ignore[assignment]
    errors = "strict"  # type: ignore[assignment]
    newlines = None
    name = "<stdin>"
    mode = "r"

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._rest = ""

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def isatty(self) -> bool:
        return False

    def close(self) -> None:
        """Does nothing: later cells read too."""

    def readline(self, size: Any = -1) -> str:  # type: ignore[override]
        if not self._rest:
            try:
                self._rest = self._ask() + "\n"
            except EOFError:
                return ""
        size = len(self._rest) if size is None or size < 0 else size
        line, self._rest = self._rest[:size], self._rest[size:]
        return line

    def read(self, size: Any = -1) -> str:  # type: ignore[override]
        if size is not None and size >= 0:
            return self.readline(size)
        return "".join(self)


class Streams:
    """The three streams. ASK returns one line of input or raises EOFError."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._output = OutputStream(1, "<stdout>"), OutputStream(2, "<stderr>")
        self._input = InputStream(ask)
        if sys.__stdout__ is not None:
            # Unused by us, but some libraries print to it.
            sys.__stdout__.flush()
            sys.__stdout__.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    def install(self) -> None:
        """Replaces Python's own; not before frames can be sent."""
        sys.stdout, sys.stderr = self._output
        sys.stdin = self._input

    def remove(self) -> None:
        """Brings Python's own back."""
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        sys.stdin = sys.__stdin__
