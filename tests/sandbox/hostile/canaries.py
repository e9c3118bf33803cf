# SPDX-License-Identifier: MIT
"""What lies outside and must stay as it is: files, a process, ports, shared trees."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Blocks every signal, so that one that came stays pending, and holds a secret.
SLEEPER = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 65)) - {32, 33})
secret = sys.stdin.readline()
print("ready", flush=True)
sys.stdin.read()
"""
READ_BYTES = 1 << 20


class Canaries:
    """Files that only the walls protect, not their modes, and a process of USER."""

    def __init__(self, folders: list[Path], user: int) -> None:
        self.secret = secrets.token_hex(16)
        self.files = [folder / f"canary-{secrets.token_hex(4)}" for folder in folders]
        for file in self.files:
            file.write_text(self.secret)
            file.chmod(0o666)
        self.before = self._states()
        self.name = f"cellwall-canary-{secrets.token_hex(8)}"
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name)
        self.abstract.listen()
        for listener in (self.tcp, self.udp, self.abstract):
            listener.setblocking(False)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **({"user": user, "group": user, "extra_groups": []} if user else {}),
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(self.secret + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"
        self.sleeper = self._sleeper()

    def _states(self) -> list[tuple[object, ...]]:
        states = []
        for file in self.files:
            s = file.stat()
            states.append((s.st_mode, s.st_uid, s.st_nlink, s.st_mtime_ns, s.st_atime_ns))
        return states

    def _sleeper(self) -> dict[str, str]:
        wanted = ("SigPnd", "ShdPnd", "SigBlk", "TracerPid", "Uid", "Threads")
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        facts = {name: status[name] for name in wanted}
        facts["stopped"] = str(status["State"][0] in "TtZX")
        facts["nice"] = str(os.getpriority(os.PRIO_PROCESS, self.process.pid))
        return facts

    def facts(self) -> dict[str, object]:
        """What the programs are told, so that they need not guess."""
        return {
            "CANARIES": [str(file) for file in self.files],
            "CANARY_PID": self.process.pid,
            "CANARY_PORT": self.tcp.getsockname()[1],
            "CANARY_UDP_PORT": self.udp.getsockname()[1],
            "CANARY_NAME": self.name,
        }

    def check(self) -> None:
        """Nobody has read, changed, called or signalled any of them."""
        assert self._states() == self.before, "a canary file was touched"
        assert self.process.poll() is None, "the canary process has ended"
        assert self._sleeper() == self.sleeper, "the canary process was touched"
        for listener in (self.tcp, self.abstract):
            try:
                listener.accept()
            except BlockingIOError:
                continue
            raise AssertionError("somebody called a canary socket")
        try:
            data = self.udp.recv(100)
        except BlockingIOError:
            pass
        else:
            raise AssertionError(f"a canary socket was sent {data!r}")
        assert [file.read_text() for file in self.files] == [self.secret] * len(
            self.files
        )
        self.before = self._states()  # with our own reading

    def close(self) -> None:
        self.process.communicate("", timeout=20)
        for listener in (self.tcp, self.udp, self.abstract):
            listener.close()
        for file in self.files:
            file.unlink()


# --- shared trees ---------------------------------------------------------------------


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(READ_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _files(tree: str, left_out: tuple[str, ...]) -> list[str]:
    if os.path.isfile(tree):
        return [tree]
    found = []
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name not in left_out]
        paths = (os.path.join(folder, name) for name in names)
        found += [p for p in paths if os.path.isfile(p) and not os.path.islink(p)]
    return found


def digests(trees: list[str], left_out: tuple[str, ...]) -> dict[str, str]:
    """The sha-256 of every regular file of TREES, folders named in LEFT_OUT aside."""
    paths = [path for tree in trees for path in _files(tree, left_out)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(paths, pool.map(_digest, paths), strict=True))
