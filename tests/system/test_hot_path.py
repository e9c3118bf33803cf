# SPDX-License-Identifier: MIT
"""What one small execute costs the server, counted and not timed."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.conftest import StartKernel
from tests.system.rawclient import Client, KernelProcess

pytestmark = pytest.mark.cellwall

PTRACE_SYSCALL = 24
PTRACE_DETACH = 17
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_O_TRACESYSGOOD = 1
SYSTEM_CALL_STOP = signal.SIGTRAP | 0x80
END = signal.SIGURG  # which the kernel does not use

ROUNDS = 50
# About 35 of them, most of them libzmq's: each look into a socket takes it two.
CALLS_MAX = 50
IDLE_CALLS_MAX = 30  # what the last cell has left to do, and our own interruption

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, pid: int, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace request {request:#x}: {os.strerror(number)}")


class SystemCalls:
    """Counts those of the main thread of process PID, from one thread of ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.count = 0
        self.failure: BaseException | None = None
        self.is_seized = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _trace(self) -> None:
        stops = 0
        ptrace(PTRACE_SEIZE, self.pid, PTRACE_O_TRACESYSGOOD)
        ptrace(PTRACE_INTERRUPT, self.pid)
        while True:
            _, status = os.waitpid(self.pid, 0)
            assert os.WIFSTOPPED(status), "the kernel has ended"
            self.is_seized.set()
            number = os.WSTOPSIG(status)
            if number == END:
                break
            stops += number == SYSTEM_CALL_STOP
            # A stop that is neither has a signal for the kernel, or is the first one.
            passed = 0 if number in (SYSTEM_CALL_STOP, signal.SIGTRAP) else number
            ptrace(PTRACE_SYSCALL, self.pid, passed)
        ptrace(PTRACE_DETACH, self.pid)
        self.count = stops // 2  # one before, one behind

    def _run(self) -> None:
        try:
            self._trace()
        except BaseException as e:
            self.failure = e
        finally:
            self.is_seized.set()


@contextmanager
def counted(pid: int) -> Iterator[SystemCalls]:
    calls = SystemCalls(pid)
    calls.thread.start()
    calls.is_seized.wait()
    try:
        yield calls
    finally:
        os.kill(pid, END)
        calls.thread.join()
    if calls.failure is not None:
        raise calls.failure


def test_a_warm_execute_takes_few_system_calls(
    fresh: tuple[KernelProcess, Client],
) -> None:
    kernel, client = fresh
    for _ in range(ROUNDS):
        client.execute("1+1")
    with counted(kernel.pid) as calls:
        for _ in range(ROUNDS):
            client.execute("1+1")
    assert client.evaluate("1+1") == 2
    assert 0 < calls.count / ROUNDS <= CALLS_MAX


def test_an_idle_kernel_does_nothing(
    fresh: tuple[KernelProcess, Client], start_kernel: StartKernel
) -> None:
    kernel, client = fresh
    client.execute("print(1)")
    client.execute("pass")
    with counted(kernel.pid) as calls:
        with Client(start_kernel().info) as other:
            other.wait_ready()  # another one's start is a while, however long
    assert calls.count <= IDLE_CALLS_MAX
