# SPDX-License-Identifier: MIT
"""What a kernel has on the machine: processes, descriptors, threads, memory, folders."""

from __future__ import annotations

import operator
import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
SETTLED_S = 1.0  # without a change: the baseline
SETTLED_TAKES = 25  # and so many looks, where each one takes long
SETTLE_S = 40.0  # for what must go; never reached when all is well


def _stat(pid: int) -> tuple[int, str, int] | None:
    """Its parent, state and threads; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[0], int(fields[17])


def memory_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def _marked(mark: bytes) -> set[int]:
    """Processes that have MARK in their environment."""
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            if mark in Path(f"/proc/{name}/environ").read_bytes():
                found.add(int(name))
        except OSError:
            continue  # not ours to read, or gone
    return found


def cgroup_folders(owners: list[int]) -> int:
    """How many cgroups the processes OWNERS have made: those in their own folders."""
    names = {f"cellwall-{pid}" for pid in owners}
    return sum(
        len(folders) + 1
        for top, tops, _ in os.walk(CGROUPS)
        for name in names.intersection(tops)
        for _, folders, _ in os.walk(os.path.join(top, name))
    )


@dataclass(frozen=True)
class Census:
    processes: int  # of the servers and all below them
    zombies: int
    strays: int  # started by them, and no longer below them
    descriptors: tuple[int, ...]  # of the servers and their launchers
    threads: tuple[int, ...]
    temporary: frozenset[str]
    cgroups: int

    def fits(self, before: Census) -> bool:
        """All is as it was. Kernels and servers hang up when they are not asked."""
        return (
            len(self.descriptors) == len(before.descriptors)
            and all(map(operator.le, self.descriptors, before.descriptors))
            and replace(self, descriptors=before.descriptors) == before
        )


class Registrar:
    """Counts what belongs to the servers ROOTS; FOLDERS are those they may litter."""

    def __init__(self, roots: list[int], folders: list[Path], mark: str) -> None:
        self.roots = roots
        self.folders = folders
        self.mark = mark.encode()

    def _tree(self) -> dict[int, tuple[int, str, int]]:
        stats = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and (stat := _stat(int(name))) is not None:
                stats[int(name)] = stat
        tree = {pid: stats[pid] for pid in self.roots if pid in stats}
        added = set(tree)
        while added:
            added = {p for p, s in stats.items() if s[0] in added and p not in tree}
            tree.update({pid: stats[pid] for pid in added})
        return tree

    def take(self) -> Census:
        tree = self._tree()
        hosts = sorted(p for p in tree if p in self.roots or tree[p][0] in self.roots)
        return Census(
            processes=len(tree),
            zombies=sum(stat[1] == "Z" for stat in tree.values()),
            strays=len(_marked(self.mark) - set(tree)),
            descriptors=tuple(self._descriptors(pid) for pid in hosts),
            threads=tuple(tree[pid][2] for pid in hosts),
            temporary=frozenset(
                str(path) for folder in self.folders for path in folder.rglob("*")
            ),
            cgroups=cgroup_folders(hosts),
        )

    @staticmethod
    def _descriptors(pid: int) -> int:
        try:
            return len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return -1  # it cannot be dumped, and we are not root

    def memory_bytes(self) -> int:
        return sum(memory_bytes(pid) for pid in self.roots)

    def settled(self) -> Census:
        """The census, once it has been the same for a while: servers refill reserves."""
        before, since, takes = self.take(), time.monotonic(), 1
        while time.monotonic() - since < SETTLED_S or takes < SETTLED_TAKES:
            time.sleep(0.02)
            takes += 1
            if (now := self.take()) != before:
                before, since, takes = now, time.monotonic(), 1
        return before

    def wait_until(self, wanted: Census) -> None:
        """Until all is as it was; AssertionError with what is not."""
        end = time.monotonic() + SETTLE_S
        while not (now := self.take()).fits(wanted):
            assert time.monotonic() < end, (
                f"left behind:\n  now    {now}\n  before {wanted}"
            )
            time.sleep(0.02)
