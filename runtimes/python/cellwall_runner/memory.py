# SPDX-License-Identifier: MIT
"""Leaves a process that is about to fork with memory that its forks hardly write to."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator

_SIZE_CLASSES = range(16, 513, 16)
_FILLERS = 500
_HUGE_PAGE_BYTES = 2 * 1024 * 1024
_MADV_COLLAPSE = 25

_fillers: list[bytes] = []


def _fill_gaps() -> None:
    """Lets new objects go to fresh memory, rather than between those that are shared."""
    for size in _SIZE_CLASSES:
        length = max(size - sys.getsizeof(b""), 2)
        _fillers.extend(bytes(length) for _ in range(_FILLERS))


def _anonymous() -> Iterator[tuple[int, int]]:
    """Where private memory without a file is, as far as it can be in huge pages."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        lines = [line.split() for line in maps]
    for fields in lines:
        if fields[1] == "rw-p" and fields[5:] in ([], ["[heap]"]):
            start, end = (int(number, 16) for number in fields[0].split("-"))
            start = -(-start // _HUGE_PAGE_BYTES) * _HUGE_PAGE_BYTES
            end = end // _HUGE_PAGE_BYTES * _HUGE_PAGE_BYTES
            if start < end:
                yield start, end


def _collapse() -> None:
    """Puts what there is into huge pages: a fork copies one entry for each, not 512.
    Without effect where the kernel cannot."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, end in list(_anonymous()):
        madvise(start, end - start, _MADV_COLLAPSE)


def settle() -> None:
    """Must be the last thing before the first fork."""
    gc.collect()
    _fill_gaps()
    gc.freeze()
    _collapse()
