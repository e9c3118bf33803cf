# SPDX-License-Identifier: MIT
"""C: signals and lifecycle."""

from __future__ import annotations

from tests.sandbox.hostile.program import (
    Interrupted,
    Lost,
    Program,
    Refused,
    Says,
)

STOPPED = Lost("timeout", names="TimeLimit")

PROGRAMS = [
    Program(
        42,
        "kill-init",
        "kills its init, with every signal there is",
        """
for number in range(1, 65):
    try:
        os.kill(1, number)
    except OSError:
        pass
try:
    os.kill(os.getppid() or 1, signal.SIGKILL)
except OSError:
    pass
print("init is there")
""",
        Says("init is there"),
    ),
    Program(
        42,
        "kill-strangers",
        "signals the kernel, its launcher and a stranger by their numbers outside",
        """
for what, pid in (
    ("kernel", KERNEL_PID),
    ("launcher", KERNEL_PID + 1),
    ("canary", CANARY_PID),
):
    tell(what, os.kill, pid, signal.SIGKILL)
    tell(what + "-group", os.killpg, pid, signal.SIGKILL)
    tell(what + "-thread", call, "tgkill", pid, pid, 9)
    tell(
        what + "-queue",
        call,
        "rt_sigqueueinfo",
        pid,
        9,
        ctypes.cast(ctypes.create_string_buffer(128), ctypes.c_void_p),
    )
    tell(what + "-pidfd", call, "pidfd_open", pid, 0)
""",
        Refused(
            {
                what + how: "ESRCH" if how != "-pidfd" else "ESRCH ENOSYS"
                for what in ("kernel", "launcher", "canary")
                for how in ("", "-group", "-thread", "-pidfd")
            }
            | {
                f"{what}-queue": "ESRCH EPERM"
                for what in ("kernel", "launcher", "canary")
            }
        ),
    ),
    Program(
        42,
        "kill-everybody",
        "kills everybody it may",
        """
for _ in range(5):
    if os.fork() == 0:
        while True:
            time.sleep(1000)
os.kill(-1, signal.SIGKILL)
dead = [os.waitpid(-1, 0)[1] for _ in range(5)]
print("dead", dead)
""",
        Says(r"dead \[9, 9, 9, 9, 9\]"),
    ),
    Program(
        42,
        "kill-everybody-else-first",
        "has a child kill everybody, the interpreter too",
        """
if os.fork() == 0:
    os.kill(-1, signal.SIGKILL)
    os._exit(0)
time.sleep(1000)
""",
        Lost("killed", signal=9, names="KernelDied"),
    ),
    Program(
        43,
        "stop-itself",
        "stops itself, for nobody to wake it",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        STOPPED,
        never_ends=True,
    ),
    Program(
        43,
        "stop-everybody",
        "has a child stop everybody, over and over",
        """
if os.fork() == 0:
    while True:
        try:
            os.kill(-1, signal.SIGSTOP)
        except OSError:
            pass
time.sleep(1000)
""",
        STOPPED,
        never_ends=True,
    ),
    Program(
        43,
        "stop-by-terminal",
        "takes the terminal's way to be stopped",
        """
import pty, subprocess

os.kill(os.getpid(), signal.SIGTSTP)
os.kill(os.getpid(), signal.SIGTTIN)
os.kill(os.getpid(), signal.SIGTTOU)
print("the end")
""",
        Says("the end"),  # no job control: an orphaned group is not stopped
    ),
    Program(
        44,
        "swallow-interrupts",
        "catches every exception and goes on",
        """
while True:
    try:
        while True:
            time.sleep(0.01)
    except BaseException:
        pass
""",
        STOPPED,
        never_ends=True,
    ),
    Program(
        44,
        "deaf-to-signals",
        "ignores every signal that can be ignored",
        """
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    time.sleep(1000)
""",
        STOPPED,
        never_ends=True,
    ),
    Program(
        44,
        "handler-of-its-own",
        "handles SIGINT itself, by doing nothing",
        """
signal.signal(signal.SIGINT, lambda *_: None)
while True:
    time.sleep(1000)
""",
        STOPPED,
        never_ends=True,
    ),
    Program(
        45,
        "daemon-that-outlives-its-cell",
        "leaves a daemon that writes for ever, and ends the interpreter",
        """
pid = os.fork()
if pid == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            try:
                os.write(1, b"daemon\\n")
            except OSError:
                pass
            time.sleep(0.01)
    os._exit(0)
os.waitpid(pid, 0)
os._exit(3)
""",
        Lost("crashed", names="KernelDied"),
    ),
    Program(
        46,
        "child-holds-the-output",
        "dies while a child of another session holds its pipes and its channel",
        """
os.set_inheritable(channel(), True)
if os.fork() == 0:
    os.setsid()
    while True:
        time.sleep(1000)
os.kill(os.getpid(), signal.SIGKILL)
""",
        Lost("killed", signal=9, names="KernelDied"),
    ),
    Program(
        47,
        "shared-memory-children",
        "makes children that share its memory or are no children, and exec loops",
        """
CLONE = {
    "vm": 0x100,
    "parent": 0x8000,
    "thread-alone": 0x10000,
    "untraced": 0x800000,
    "pidfd": 0x1000,
    "io": 0x80000000,
    "sysvsem": 0x40000,
}
import subprocess

tell("thread-alone", call, "clone", CLONE["thread-alone"], 0, 0, 0, 0)
if call("clone", CLONE["parent"], 0, 0, 0, 0) == 0:
    time.sleep(1000)
for what in ("pidfd", "io", "sysvsem"):

    def one():
        pid = call("clone", CLONE[what] | 17, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)

    if what != "pidfd":
        tell(what, one)
step = '[ $1 -lt 200 ] && exec sh -c "$2" x $(($1 + 1)) "$2"; exit 0'
done = subprocess.run(["sh", "-c", step, "x", "0", step])
print("loop", done.returncode)
""",
        Says("thread-alone EINVAL", "loop 0"),
        unclean=True,
    ),
    Program(
        48,
        "no-death-signal",
        "takes away the signal that it would be sent at its parent's death",
        """
tell("clear", call, "prctl", 1, 0, 0, 0, 0)
tell("subreaper", call, "prctl", 36, 1, 0, 0, 0)
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            call("prctl", 1, 0, 0, 0, 0)
            os.setsid()
            time.sleep(1000)
        os._exit(0)
print("left")
""",
        Says("clear done", "subreaper done", "left"),
        unclean=True,
    ),
    Program(
        49,
        "reuse-numbers",
        "dies and lets others take its number, while it is interrupted",
        """
print("under way", flush=True)
while True:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    time.sleep(0.005)
""",
        Interrupted(again=True),
        unclean=True,  # the last one is nobody's to wait for
    ),
    Program(
        50,
        "slow-to-die",
        "forks and waits when it is to end, in every hook that Python has",
        """
import atexit, threading, weakref


def linger():
    try:
        if os.fork() == 0:
            time.sleep(1000)
    except OSError:
        pass
    while True:
        time.sleep(1000)


class Undead:
    def __del__(self):
        linger()


atexit.register(linger)
threading._register_atexit(linger)
undead = Undead()
weakref.finalize(Undead, linger)
signal.signal(signal.SIGTERM, lambda *_: linger())
print("ready to linger")
""",
        Says("ready to linger"),
        unclean=True,
    ),
    Program(
        51,
        "terminals",
        "takes a controlling terminal, and steps into the background of it",
        """
import pty

master, slave = pty.openpty()
pid = os.fork()
if pid == 0:
    os.setsid()
    call("ioctl", slave, 0x540E, 0)
    os.tcsetpgrp(slave, os.getpgrp())
    if os.fork() == 0:
        os.setpgid(0, 0)
        os.read(slave, 1)
        os._exit(0)
    time.sleep(0.1)
    os._exit(0)
os.waitpid(pid, 0)
os.close(master)
os.close(slave)
tell_open("tty", "/dev/tty", os.O_RDWR)
print("the end")
""",
        Says("tty (ENXIO|ENOENT)", "the end"),
        unclean=True,
    ),
    Program(
        52,
        "traced-and-stopped",
        "lets itself be traced, and is stopped by the first signal, for ever",
        """
pid = os.fork()
if pid == 0:
    tell("traceme", call, "ptrace", 0, 0, 0, 0)
    os._exit(0)
os.waitpid(pid, 0)
""",
        Refused({"traceme": "EPERM"}),
    ),
    Program(
        53,
        "uninterruptible",
        "sleeps where no signal reaches: in a vfork whose child waits",
        """
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    # A vfork'ed child shares its parent's stack: it must make no call of C's.
    libc.vfork()
    while True:
        libc.pause()
time.sleep(0.05)
os.kill(pid, signal.SIGKILL)
tell_open("fuse", "/dev/fuse", os.O_RDWR)
print("the end")
""",
        Says("fuse ENOENT", "the end"),
        unclean=True,
    ),
]
