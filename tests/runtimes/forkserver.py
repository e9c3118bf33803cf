# SPDX-License-Identifier: MIT
"""Runs inside a zygote in place of the C code that forks into sandboxes: plain forks.

A request on fd 3 is JSON with the fork's directory and environment, and its fds 0 to 3.
The answer is the fork's pid; it becomes a child of the next process above the zygote that
adopts orphans.
"""

from __future__ import annotations

import json
import os
import socket

import _cellwall  # type: ignore[import-not-found]

_FDS = 4


def _become_runner(request: dict, fds: list[int]) -> list[str]:
    os.setsid()
    os.chdir(request["cwd"])
    os.write(3, str(os.getpid()).encode())
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.closerange(_FDS, 256)
    return request["env"]


def serve_forks() -> list[str] | None:
    server = socket.socket(fileno=3)
    while True:
        data, fds, _, _ = socket.recv_fds(server, 1 << 20, _FDS)
        if not data:
            return None
        middle = os.fork()
        if middle != 0:
            os.waitpid(middle, 0)
            for fd in fds:
                os.close(fd)
        elif os.fork() != 0:
            os._exit(0)
        else:
            server.detach()
            return _become_runner(json.loads(data), fds)


_cellwall.serve_forks = serve_forks
