# SPDX-License-Identifier: MIT
"""A: resources. Each kernel has the limits of `way.LIMITS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sandbox.hostile.program import (
    AnyOf,
    Interrupted,
    Lost,
    Program,
    Raises,
    Refused,
    Says,
)

if TYPE_CHECKING:
    from tests.sandbox.hostile.way import Way

MEMORY = AnyOf(Lost("memory", names="OutOfMemory"), Raises("MemoryError"))


OUT_OF_MEMORY = Lost("memory", names="OutOfMemory")


def memory_is_only_watched(way: Way) -> str | None:
    """Without a cgroup, processes are looked at; that sees no files of memory."""
    if way.has_cgroups():
        return None
    return "without a cgroup, memory that files hold is not counted"


PROGRAMS = [
    Program(
        1,
        "fork-bomb",
        "forks without end, in every child",
        """
def bomb():
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.05)


if os.fork() == 0:
    bomb()
made = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(1000)
        made += 1
    except OSError as e:
        print(errno.errorcode[e.errno], made < 200)
        break
""",
        Says("EAGAIN True"),
        unclean=True,
    ),
    Program(
        1,
        "fork-bomb-interrupted",
        "the same, and is interrupted",
        """
told = False
while True:
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError:
        if not told:
            print("under way", flush=True)
        told = True
        time.sleep(0.01)
""",
        Interrupted(again=True),  # Python loses one that comes in its hooks of fork
        unclean=True,
    ),
    Program(
        2,
        "daemons",
        "forks twice into new sessions, deaf to all signals, to outlive the kernel",
        """
for _ in range(10):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        try:
            if os.fork() == 0:
                os.closerange(0, 100)
                while True:
                    time.sleep(1000)
        except OSError:
            pass
        os._exit(0)
    os.waitpid(pid, 0)
print("made")
""",
        Says("made"),
        unclean=True,
    ),
    Program(
        3,
        "thread-bomb",
        "starts threads without end",
        """
import threading

stop = threading.Event()
made = 0
try:
    while made < 5000:
        threading.Thread(target=stop.wait, daemon=True).start()
        made += 1
except RuntimeError as e:
    print("refused", made < 200)
finally:
    stop.set()
while threading.active_count() > 2:
    time.sleep(0.01)
""",
        Says("refused True"),
        unclean=True,
    ),
    Program(
        4,
        "memory-bomb",
        "fills memory from its own heap",
        """
hog = []
for _ in range(BOMB_BYTES >> 22):
    hog.append(b"x" * (1 << 22))
time.sleep(1000)
""",
        OUT_OF_MEMORY,
    ),
    Program(
        4,
        "memory-bomb-by-mapping",
        "fills memory by mappings that it touches",
        """
import mmap

hog = []
for _ in range(BOMB_BYTES >> 24):
    page = mmap.mmap(-1, 1 << 24)
    for i in range(0, 1 << 24, 4096):
        page[i] = 1
    hog.append(page)
time.sleep(1000)
""",
        OUT_OF_MEMORY,
    ),
    Program(
        5,
        "memory-bomb-of-many",
        "fills memory in many children, so that the end of one helps nobody",
        """
for _ in range(20):
    try:
        if os.fork() == 0:
            hog = [b"x" * (1 << 22) for _ in range(15)]
            signal.pause()
    except OSError:
        break
while True:
    time.sleep(0.05)
""",
        OUT_OF_MEMORY,
    ),
    Program(
        6,
        "fill-shared-memory",
        "fills /dev/shm, which is memory",
        """
def fill():
    with open("/dev/shm/fill", "wb", buffering=0) as f:
        for _ in range(4096):
            f.write(bytes(1 << 20))


tell("shm", fill)
os.unlink("/dev/shm/fill")
""",
        AnyOf(Refused({"shm": "ENOSPC"}), Lost("memory", names="OutOfMemory")),
    ),
    Program(
        6,
        "fill-tmp",
        "fills every tmpfs it finds, one by one",
        """
places = ["/tmp", "/var/tmp", os.path.expanduser("~")]
places += [
    line.split()[4]
    for line in open("/proc/self/mountinfo")
    if " - tmpfs " in line and line.split()[5].startswith("rw")
]
answers = set()
for place in sorted(set(places)):
    if not os.access(place, os.W_OK) or PROFILE == "notebook" and place == os.getcwd():
        continue
    path = os.path.join(place, "fill")
    try:
        with open(path, "wb", buffering=0) as f:
            for _ in range(4096):
                f.write(bytes(1 << 20))
        answers.add("done")
    except OSError as e:
        answers.add(errno.errorcode[e.errno])
    finally:
        try:
            os.unlink(path)
        except OSError:
            pass
print("answers", *sorted(answers))
""",
        Says("answers (ENOSPC|EFBIG ENOSPC)$"),
    ),
    Program(
        7,
        "memory-of-files-without-names",
        "fills memory by memfd, which no folder's limit counts",
        """
fds = []
for _ in range(BOMB_BYTES >> 24):
    fd = os.memfd_create("hog")
    fds.append(fd)
    os.posix_fallocate(fd, 0, 1 << 24)
    for i in range(0, 1 << 24, 1 << 20):
        os.pwrite(fd, bytes(1 << 20), i)
""",
        OUT_OF_MEMORY,
        needs=memory_is_only_watched,
        unclean=True,
    ),
    Program(
        7,
        "memory-of-system-v",
        "fills memory by SysV shared memory, attached to nobody",
        """
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
libc.shmdt.argtypes = [ctypes.c_void_p]
for _ in range(BOMB_BYTES >> 24):
    i = libc.shmget(0, 1 << 24, 0o1600)
    if i < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    p = libc.shmat(i, None, 0)
    ctypes.memset(p, 1, 1 << 24)
    libc.shmdt(p)
""",
        OUT_OF_MEMORY,
        needs=memory_is_only_watched,
        unclean=True,
    ),
    Program(
        7,
        "memory-of-the-kernel",
        "fills the kernel's memory by full pipes and sockets",
        """
import fcntl

kept, total = [], 0
try:
    while True:
        r, w = os.pipe()
        kept += [r, w]
        os.set_blocking(w, False)
        try:
            while True:
                total += os.write(w, bytes(65536))
        except BlockingIOError:
            pass
except OSError as e:
    print(errno.errorcode[e.errno])
try:
    while True:
        a, b = socket.socketpair()
        kept += [a, b]
        a.setblocking(False)
        a.send(bytes(65536))
except OSError as e:
    print(errno.errorcode[e.errno])
print("bounded", total < 1 << 28)
for fd in kept:
    os.close(fd) if isinstance(fd, int) else fd.close()
""",
        Says("EMFILE", "bounded True"),
    ),
    Program(
        8,
        "absurd-sizes",
        "asks for more than there can be",
        """
import mmap

tell("bytearray", lambda: bytearray(1 << 62))
tell("list", lambda: [0] * (1 << 60))
tell("int", lambda: 1 << (1 << 60))
tell("map", lambda: mmap.mmap(-1, 1 << 50))
print("mlock", "done" if libc.mlockall(1) == 0 else errno.errorcode[ctypes.get_errno()])


def lock():
    page = mmap.mmap(-1, 1 << 26)
    a = ctypes.addressof(ctypes.c_char.from_buffer(page))
    call("mlock", a, 1 << 26)


tell("lock", lock)
""",
        Says(
            "bytearray MemoryError",
            "list MemoryError",
            "int (MemoryError|OverflowError)",
            "map (ENOMEM|EINVAL)",
            "mlock (ENOSYS|EPERM|ENOMEM)",
            "lock (ENOMEM|EPERM|EAGAIN)",
        ),
    ),
    Program(
        8,
        "stack-without-end",
        "recurses until the stack ends",
        """
def deep(n):
    return deep(n + 1) + 1


deep(0)
""",
        Raises("RecursionError"),
    ),
    Program(
        8,
        "stack-really-without-end",
        "the same, with the interpreter's own guard taken away",
        """
sys.setrecursionlimit(1 << 30)


class Deep:
    def __repr__(self):
        return repr(self)


def f(n):
    return [f(n + 1) for _ in (0,)]


import functools

g = functools.partial(map, str)
x = []
for _ in range(10_000_000):
    x = [x]
repr(x)
""",
        AnyOf(
            Lost("crashed memory", names="SegmentationFault OutOfMemory"),
            Raises("RecursionError MemoryError"),
        ),
    ),
    Program(
        9,
        "descriptors-without-end",
        "opens descriptors until there are none left, and leaves them open",
        """
hoard = []
try:
    while True:
        hoard.append(os.dup(0))
except OSError as e:
    print(errno.errorcode[e.errno], len(hoard) < 1024)
""",
        Says("EMFILE True"),
        unclean=True,
    ),
    Program(
        10,
        "descriptors-in-flight",
        "hides descriptors in sockets, where no limit of open files counts them",
        """
import array

hoard, sent = [], 0
try:
    while sent < 200_000:
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        a.setblocking(False)
        hoard += [a, b]
        while True:
            a.sendmsg(
                [b"x"],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))],
            )
            sent += 250
            if sent % 25000 == 0:
                break
except OSError as e:
    print(errno.errorcode[e.errno], sent < 200_000)
for s in hoard:
    s.close()
""",
        Says("(ETOOMANYREFS|EAGAIN|EMFILE|ENOBUFS) True"),
    ),
    Program(
        10,
        "sockets-in-themselves",
        "makes rings of sockets that hold each other, for the kernel to collect",
        """
import array

for _ in range(300):
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for s, t in ((a, b), (b, a)):
        try:
            s.sendmsg(
                [b"x"],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [t.fileno()]))],
            )
        except OSError as e:
            assert e.errno == errno.ETOOMANYREFS
    a.close()
    b.close()
print("made")
""",
        Says("made"),
    ),
    Program(
        11,
        "fill-the-workspace",
        "fills its workspace",
        """
def fill():
    with open("fill", "wb", buffering=0) as f:
        for _ in range(4096):
            f.write(bytes(1 << 20))


tell("fill", fill)
os.unlink("fill")
tell("again", lambda: open("small", "w").write("x"))
os.unlink("small")
""",
        Refused({"fill": "ENOSPC", "again": "done"}),
        profiles=("agent",),
    ),
    Program(
        12,
        "files-without-end",
        "uses up the inodes of its places",
        """
places = ["/tmp", "/dev/shm"] + (["."] if PROFILE == "agent" else [])
for place in places:
    made = 0
    try:
        for made in range(300_000):
            os.close(os.open(f"{place}/f{made}", os.O_CREAT | os.O_WRONLY))
        print(place, "done")
    except OSError as e:
        print(place, errno.errorcode[e.errno])
    for i in range(made):
        os.unlink(f"{place}/f{i}")
""",
        Says("/tmp ENOSPC", "/dev/shm (ENOSPC|ENOMEM)"),
    ),
    Program(
        13,
        "sparse-files",
        "makes files of exabytes, and lists them",
        """
for place in {".", "/tmp", "/dev/shm"}:
    path = os.path.join(place, "sparse")
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    for size in (1 << 40, 1 << 62):
        try:
            os.ftruncate(fd, size)
        except OSError:
            pass
    try:
        os.posix_fallocate(fd, 0, 1 << 45)
        print("allocated")
    except OSError as e:
        pass
    os.close(fd)
    assert os.stat(path).st_blocks < 1 << 20
    os.unlink(path)
print("end")
""",
        Says("^end"),
    ),
    Program(
        14,
        "deep-folders",
        "leaves folders of thousands of levels, with names of 255 bytes",
        """
here = os.open(".", os.O_RDONLY)
os.chdir(f"/proc/self/fd/{here}")
depth = 0
try:
    for depth in range(3000):
        name = "d" * 255 if depth % 100 == 0 else "d"
        os.mkdir(name)
        os.chdir(name)
except OSError as e:
    print("refused", errno.errorcode[e.errno])
os.fchdir(here)
os.close(here)
print("depth", depth)
""",
        Says(r"depth \d+"),
        unclean=True,
    ),
    Program(
        15,
        "spin",
        "computes without end",
        'print("under way", flush=True)\nwhile True: pass',
        Interrupted(),
    ),
    Program(
        15,
        "spin-in-threads",
        "computes without end in many threads",
        """
import threading


def spin():
    while not ended:
        pass


ended = False
threads = [threading.Thread(target=spin, daemon=True) for _ in range(8)]
for t in threads:
    t.start()
try:
    print("under way", flush=True)
    while True:
        time.sleep(0.01)
finally:
    ended = True
""",
        Interrupted(),
    ),
    Program(
        15,
        "spin-deaf",
        "computes without end in C, with every signal blocked",
        """
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
sum(range(1 << 62))
""",
        Lost("timeout", names="TimeLimit"),
        never_ends=True,
    ),
    Program(
        16,
        "more-than-its-share",
        "takes real-time and higher priority, and disk priority",
        """
class Param(ctypes.Structure):
    _fields_ = [("priority", ctypes.c_int)]


p = ctypes.cast(ctypes.pointer(Param(1)), ctypes.c_void_p)
tell("fifo", call, "sched_setscheduler", 0, 1, p)
tell("rr", call, "sched_setscheduler", 0, 2, p)
tell(
    "deadline",
    call,
    "sched_setattr",
    0,
    ctypes.cast(ctypes.create_string_buffer(56), ctypes.c_void_p),
    0,
)
tell("nice", os.nice, -5)
tell("priority", os.setpriority, os.PRIO_PROCESS, 0, -20)
tell("user", os.setpriority, os.PRIO_USER, 0, -20)
tell("ioprio", call, "ioprio_set", 1, 0, 1 << 13)
tell("init", os.setpriority, os.PRIO_PROCESS, 1, 19)
tell("server", os.setpriority, os.PRIO_PROCESS, KERNEL_PID, 19)
tell("canary", os.setpriority, os.PRIO_PROCESS, CANARY_PID, 19)
""",
        Refused(
            {
                **dict.fromkeys(("fifo", "rr", "deadline"), "EPERM"),
                **dict.fromkeys(("nice", "priority", "user"), "EPERM EACCES"),
                "ioprio": "ENOSYS EPERM",
                "init": "EPERM EACCES ESRCH done",  # its own user's: harmless
                **dict.fromkeys(("server", "canary"), "ESRCH"),
            }
        ),
    ),
    Program(
        16,
        "affinity",
        "binds itself to all processors, and to none",
        """
tell("all", os.sched_setaffinity, 0, range(1024))
tell("none", os.sched_setaffinity, 0, [])
tell("init", os.sched_setaffinity, 1, [0])
tell("canary", os.sched_setaffinity, CANARY_PID, [0])
""",
        Refused(
            {
                "all": "done EINVAL",
                "none": "EINVAL",
                "init": "EPERM ESRCH done",
                "canary": "ESRCH",
            }
        ),
        unclean=True,
    ),
    Program(
        17,
        "kernel-objects",
        "hoards timers, events, polls, watches",
        """
import select

counts, kept = {}, []


def hoard(what, make):
    made = 0
    try:
        while made < 20_000:
            kept.append(make())
            made += 1
    except OSError as e:
        counts[what] = errno.errorcode[e.errno]
    else:
        counts[what] = "done"
    while kept:
        x = kept.pop()
        if isinstance(x, int) and x > 2:
            os.close(x)
        elif hasattr(x, "close"):
            x.close()


hoard("eventfd", lambda: call("eventfd2", 0, 0))
hoard("timerfd", lambda: call("timerfd_create", 1, 0))
hoard("epoll", lambda: select.epoll())
hoard("inotify", lambda: call("inotify_init1", 0))
t = ctypes.c_int()
made = 0
try:
    for made in range(20_000):
        call("timer_create", 1, None, ctypes.cast(ctypes.pointer(t), ctypes.c_void_p))
    counts["timer"] = "done"
except OSError as e:
    counts["timer"] = errno.errorcode[e.errno]
for what, answer in counts.items():
    print(what, answer)
""",
        Refused(
            {
                "eventfd": "EMFILE",
                "timerfd": "EMFILE",
                "epoll": "EMFILE",
                "inotify": "EMFILE",
                "timer": "EAGAIN ENOMEM",
            }
        ),
        unclean=True,
    ),
    Program(
        17,
        "semaphores-and-segments",
        "hoards SysV semaphores and segments, which outlive processes",
        """
made = []
try:
    for _ in range(40_000):
        made.append(call("semget", 0, 1, 0o1600))
    print("sem", "done")
except OSError as e:
    print("sem", errno.errorcode[e.errno])
segments = []
try:
    for _ in range(10_000):
        segments.append(call("shmget", 0, 4096, 0o1600))
    print("shm", "done")
except OSError as e:
    print("shm", errno.errorcode[e.errno])
for i in made:
    call("semctl", i, 0, 0)
for i in segments:
    call("shmctl", i, 0, None)
""",
        AnyOf(
            Refused({"sem": "ENOSPC ENOMEM", "shm": "ENOSPC ENOMEM"}),
            Lost("memory", names="OutOfMemory"),
        ),
    ),
    Program(
        18,
        "disk-flood",
        "writes to disk synchronously, over and over",
        """
fd = os.open("flood", os.O_CREAT | os.O_WRONLY | os.O_DSYNC)
for i in range(200):
    os.pwrite(fd, bytes(65536), (i % 16) * 65536)
os.close(fd)
os.unlink("flood")
print("end")
""",
        Says("end"),
    ),
    Program(
        19,
        "compressed-bomb",
        "unpacks a bomb: a gigabyte from a megabyte",
        """
import io, zlib

c = zlib.compressobj(1)
packed = b"".join(c.compress(bytes(1 << 22)) for _ in range(160)) + c.flush()
zlib.decompress(packed)
""",
        MEMORY,
    ),
    Program(
        19,
        "billion-laughs",
        "unpickles a bomb, and folds lists until nothing fits",
        """
import pickle

x = ["lol"]
for _ in range(40):
    x = [x, x]


def unfold(x):
    return [unfold(i) if isinstance(i, list) else i * 64 for i in x]


unfold(pickle.loads(pickle.dumps(x)))
""",
        MEMORY,
    ),
    Program(
        20,
        "zombies",
        "leaves its dead children to others",
        """
made = 0
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        for _ in range(3):
            try:
                if os.fork() == 0:
                    os._exit(0)
            except OSError:
                pass
        os._exit(0)
    os.waitpid(pid, 0)
    made += 1
left = 0
for _ in range(30):
    if os.fork() == 0:
        os._exit(0)
print("made", made)
while True:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        break
""",
        Says("made 100"),
    ),
]
