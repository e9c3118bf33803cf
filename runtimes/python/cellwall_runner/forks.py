# SPDX-License-Identifier: MIT
"""What happens in processes that user code forks.

Such a process has no channel: it prints plain text to fds 1 and 2, and it must never come
back to the loop that serves requests.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

import _cellwall

is_child = False
"""True in forks of the runner's process."""


def _enter_child() -> None:
    global is_child
    is_child = True


def become_runner() -> None:
    """This fork is not user code's: it goes on as the runner."""
    global is_child
    is_child = False


def install() -> None:
    """Notices forks made by `os.fork` and `multiprocessing`."""
    os.register_at_fork(after_in_child=_enter_child)


def write_all(fd: int, data: bytes) -> None:
    """Writes all of DATA to FD. Raises OSError when nobody reads it any more."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _exit_status(error: BaseException | None) -> int:
    """The status that `python` itself would end with, after printing what it would."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        traceback.print_exception(type(error), error, error.__traceback__)
        return 1
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def leave_child(error: BaseException | None) -> NoReturn:
    """Ends a forked process whose user code has ended, with ERROR or without."""
    status = 1
    try:
        status = _exit_status(error)
        sys.stdout.flush()
        sys.stderr.flush()
        _cellwall.flush()
    finally:
        os._exit(status & 0xFF)
