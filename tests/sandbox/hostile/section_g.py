# SPDX-License-Identifier: MIT
"""G: other contexts, the zygote, the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sandbox.hostile.program import Lost, Program, Refused, Says
from tests.system.rawclient import Run

if TYPE_CHECKING:
    from tests.sandbox.hostile.way import Way

RANDOM = """
import random, secrets, tempfile, uuid
import numpy

drawn = [
    uuid.uuid4().hex,
    random.random(),
    secrets.token_hex(8),
    random.getrandbits(64),
    float(numpy.random.default_rng().random()),
    float(numpy.random.random()),
    tempfile.mktemp(),
]
"""


def neighbour_draws_others(run: Run, way: Way) -> None:
    """The same lines, in two contexts that one zygote may have made."""
    way.neighbour_client.execute(RANDOM)
    mine = way.client.evaluate("drawn")
    theirs = way.neighbour_client.evaluate("drawn")
    assert [a for a, b in zip(mine, theirs, strict=True) if a == b] == []


def neighbour_finds_nothing(run: Run, way: Way) -> None:
    """What the program has left in every place that could be shared."""
    seen = way.neighbour_client.execute(
        "import os, socket, ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "found = []\n"
        "for place in ('/tmp', '/var/tmp', '/dev/shm', os.path.expanduser('~')):\n"
        "    found += [n for n in os.listdir(place) if 'left-for-you' in n]\n"
        "if libc.shmget(4711, 0, 0) >= 0: found.append('shm')\n"
        "if libc.semget(4711, 0, 0) >= 0: found.append('sem')\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "if s.connect_ex('\\0left-for-you') == 0: found.append('abstract')\n"
        "s.close()\n"
        "t = socket.socket()\n"
        "if t.connect_ex(('127.0.0.1', 4711)) == 0: found.append('port')\n"
        "t.close()\n"
        "found += [p for p in os.listdir('/proc') if p.isdigit()\n"
        "          and int(p) != os.getpid()]\n"
        "found"
    )
    assert seen.content["status"] == "ok", seen.content
    assert seen.result() == "[]"


PROGRAMS = [
    Program(
        103,
        "remnants-of-the-server",
        "scans all of its memory for what the server and the zygote know",
        """
import re

found = []
# Not as a whole, or this very cell would be found.
wanted = (
    b"SECRET_OF_THE_" + b"SERVER=",
    b"signature" + b"_scheme",
    b"hmac-" + b"sha256",
    b"JPY_PARENT" + b"_PID=",
)
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as mem:
    for line in maps:
        a, b = (int(x, 16) for x in line.split()[0].split("-"))
        if line.split()[1][0] != "r" or "[v" in line or b - a > 1 << 28:
            continue
        try:
            mem.seek(a)
            data = mem.read(b - a)
        except (OSError, ValueError, OverflowError):
            continue
        for w in wanted:
            at = data.find(w)
            while at >= 0:
                after = data[at + len(w) : at + len(w) + 4]
                # Names of settings, in the code of libraries, are no secrets.
                if w.endswith(b"=") and re.fullmatch(rb"[0-9a-f]{4}", after):
                    found.append(w + after)
                at = data.find(w, at + 1)
del data
print("found", found)
""",
        Says(r"found \[\]"),
    ),
    Program(
        103,
        "remnants-of-requests",
        "looks into its environment, arguments and limits for secrets of the server",
        """
text = b"".join(
    open(f"/proc/self/{n}", "rb").read()
    for n in ("environ", "cmdline", "mountinfo", "cgroup")
)
print("secret", b"SECRET" in text, "kernel" in os.environ, str(PORTS[0]).encode() in text)
""",
        Says("secret False False False"),
    ),
    Program(
        104,
        "predictable-numbers",
        "draws random numbers that its neighbour draws, too",
        RANDOM + "print('drawn')",
        Says("drawn", also=neighbour_draws_others),
    ),
    Program(
        105,
        "call-the-zygote",
        "looks for its zygote and for the sockets that it is called by",
        """
found = []
for pid in range(1, os.getpid()):
    for what in ("ns/user", "root", "fd", "mem", "cwd"):
        try:
            os.listdir(f"/proc/{pid}/{what}") if what == "fd" else os.stat(
                f"/proc/{pid}/{what}/."
            )
            found.append((pid, what))
        except OSError:
            pass
    try:
        os.kill(pid, 0)
        found.append(pid)
    except OSError:
        pass
own = {"/dev/null"}
for fd in range(3, 600):
    try:
        link = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        continue
    if not link.startswith(
        ("socket:", "anon_inode:[event", "pipe:", "/proc/", "/dev/", "/memfd:")
    ):
        found.append(link)
print("found", [f for f in found if f != 1])
""",
        Says(r"found \[\]"),
    ),
    Program(
        105,
        "signal-the-zygote",
        "signals whoever made it, by its number, its group and its session",
        """
print(
    "parent",
    os.getppid(),
    "group",
    os.getpgrp() == os.getpid(),
    "session",
    os.getsid(0) == os.getpid(),
)
tell("group-of-init", os.killpg, 1, 9)
for pid in range(2, os.getpid()):
    tell("below", os.kill, pid, 9)
print("below ESRCH")
""",
        Says(
            "group True session True", "group-of-init (ESRCH|EPERM|done)", "below ESRCH"
        ),
    ),
    Program(
        106,
        "leave-for-the-neighbour",
        "leaves things in every place that contexts might share",
        """
for place in ("/tmp", "/var/tmp", "/dev/shm", os.path.expanduser("~")):
    try:
        open(place + "/left-for-you", "w").write("x")
    except OSError:
        pass
call("shmget", 4711, 4096, 0o1666)
call("semget", 4711, 1, 0o1666)
listening = []
a = socket.socket(socket.AF_UNIX)
a.bind("\\0left-for-you")
a.listen()
t = socket.socket()
t.bind(("127.0.0.1", 4711))
t.listen()
tell("mq", call, "mq_open", b"left", os.O_CREAT | os.O_RDWR, 0o666, None)
""",
        Says("mq ENOSYS", also=neighbour_finds_nothing),
        unclean=True,
    ),
    Program(
        106,
        "see-the-neighbour",
        "looks for traces of other contexts in /proc",
        """
text = ""
for what in (
    "self/mountinfo",
    "self/cgroup",
    "net/unix",
    "net/tcp",
    "sysvipc/shm",
    "locks",
    "self/mountstats",
):
    try:
        text += open("/proc/" + what).read()
    except OSError:
        pass
tcp = open("/proc/net/tcp").read().splitlines()[1:]
print(
    "tcp", len(tcp), "canary", CANARY_NAME in text, os.path.dirname(CANARIES[0]) in text
)
""",
        Says(r"tcp \d+ canary False False"),
    ),
    Program(
        107,
        "first-to-be-spared",
        "makes itself the last that the kernel ends for want of memory",
        """
def write(value):
    with open("/proc/self/oom_score_adj", "w") as f:
        f.write(value)


print("score", open("/proc/self/oom_score_adj").read().strip())
tell("spared", write, "-1000")
tell("less", write, "0")
tell("old", lambda: open("/proc/self/oom_adj", "w", buffering=1).write("-17\\n"))
tell("init", lambda: open("/proc/1/oom_score_adj", "w", buffering=1).write("1000\\n"))
""",
        Says(
            r"score [1-9]\d*\n",
            "spared (EACCES|EPERM|EROFS|EINVAL)",
            "less (EACCES|EPERM|EROFS|EINVAL)",
            "init (ENOENT|EACCES|EPERM)",
        ),
    ),
    Program(
        111,
        "fine-clocks",
        "takes away and uses the processor's counters",
        """
tell("tsc", call, "prctl", 26, 2, 0, 0, 0)
tell("perf", call, "perf_event_open", None, 0, -1, -1, 0)
tell("speculation", call, "prctl", 53, 0, 2, 0, 0)
tell_open("msr", "/dev/cpu/0/msr")
tell("rdpmc", lambda: open("/sys/bus/event_source/devices/cpu/rdpmc", "w"))
""",
        Refused(
            {
                "tsc": "ENOSYS",
                "perf": "EPERM",
                "speculation": "ENOSYS",
                "msr": "ENOENT",
                "rdpmc": "ENOENT",
            }
        ),
    ),
    Program(
        112,
        "end-and-come-back",
        "ends itself again and again: each time a fresh context must come",
        "os.kill(os.getpid(), signal.SIGKILL)",
        Lost("killed", signal=9, names="KernelDied"),
    ),
]
