# SPDX-License-Identifier: MIT
"""B: output, and the protocol between the interpreter and its server."""

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
from tests.system.rawclient import Run

if TYPE_CHECKING:
    from tests.sandbox.hostile.way import Way

MIB = 1024 * 1024
OUTPUT_MAX = 3 * MIB  # the limit, and what is said about the rest


def is_cut(run: Run, way: Way) -> None:
    assert len(run.output()) < OUTPUT_MAX
    assert run.reply is not None
    cut = run.reply.metadata["cellwall"]["truncated"]
    assert any(s["total_bytes"] > s["kept_bytes"] for s in cut.values())


def is_small(run: Run, way: Way) -> None:
    assert len(run.output()) < OUTPUT_MAX


def has_few_messages(run: Run, way: Way) -> None:
    assert len(run.iopub) < 2000, len(run.iopub)


# FRAME forges packets, each field at will; FAIR says what it likes with all that makes
# a frame valid: order, markers, nonce.
FRAME = """
import struct

s = socket.socket(fileno=os.dup(channel()))
s.setblocking(False)


def packet(kind, number, content=b"", size=None, sequence=1, buffers=0, metadata=0):
    size = len(content) if size is None else size
    return (
        struct.pack(
            "<BBHIQQIIIIII",
            1,
            kind,
            0,
            0,
            number,
            sequence,
            0,
            0,
            metadata,
            size,
            buffers,
            0,
        )
        + content
    )


def forge(*args, **kw):
    try:
        s.send(packet(*args, **kw))
    except OSError as e:
        return e.errno != errno.EPIPE
    return True
"""
FAIR = """
import _cellwall


def number():
    requests = sys.modules["cellwall_runner.requests"]
    return requests.current().number
"""

# INSIDER knows all that the runner does: it finds the nonce of the markers in its own
# memory, and the sequence before it, and counts on where the runner stopped.
INSIDER = (
    FRAME
    + """
import re

import _cellwall


def number():
    return sys.modules["cellwall_runner.requests"].current().number


def regions():
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if "rw" not in line.split()[1] or end - start > 1 << 28:
                continue
            try:
                memory.seek(start)
                yield start, memory.read(end - start)
            except OSError:
                continue


def find_nonce():
    for _, data in regions():
        if found := re.search(rb'nonce": ?"([0-9a-f]{32})', data):
            return bytes.fromhex(found[1].decode())
    raise SystemError("no nonce")


def find_sequence(nonce):
    for start, data in regions():
        at = data.find(nonce)
        while at >= 8:
            value = int.from_bytes(data[at - 8 : at], "little")
            if 0 < value < 1 << 20:
                return ctypes.c_uint64.from_address(start + at - 8)
            at = data.find(nonce, at + 1)
    raise SystemError("no sequence")


NONCE = find_nonce()
SEQUENCE = find_sequence(NONCE)


def say(kind, number, content, **kw):
    SEQUENCE.value += 1
    marker = NONCE + struct.pack("<Q", SEQUENCE.value)
    os.write(1, marker)
    os.write(2, marker)
    s.setblocking(True)
    s.send(packet(kind, number, content, sequence=SEQUENCE.value, **kw))
"""
)

PROGRAMS = [
    Program(
        21,
        "flood",
        "prints as fast as it can",
        'line = "x" * 9999\nfor _ in range(5000): print(line)\nprint("the end")',
        Says("the end", also=is_cut),
    ),
    Program(
        21,
        "flood-of-a-child",
        "has a child print as fast as it can",
        """
import subprocess

subprocess.run("yes | head -c 60000000; echo the end", shell=True)
""",
        Says("the end", also=is_cut),
    ),
    Program(
        21,
        "flood-interrupted",
        "prints without end until it is interrupted",
        """
print("under way", flush=True)
while True:
    os.write(1, b"y" * 65536)
""",
        Interrupted(also=is_small),
    ),
    Program(
        22,
        "one-great-write",
        "writes all it can by one call",
        """
import mmap

m = mmap.mmap(-1, 100 << 20)
os.write(1, m)
sys.stdout.write("z" * (50 << 20))
sys.stdout.flush()
print("\\nthe end")
""",
        Says("the end", also=is_cut),
    ),
    Program(
        23,
        "byte-by-byte",
        "writes its output byte by byte",
        """
for _ in range(100_000):
    os.write(1, b".")
for _ in range(20_000):
    sys.stdout.write(",")
    sys.stdout.flush()
print("the end")
""",
        Says("the end", also=has_few_messages),
    ),
    Program(
        24,
        "one-endless-line",
        "prints without newlines, with returns, bells and escapes",
        """
for i in range(20_000):
    sys.stdout.write(f"\\r{i}\\x1b[2J\\x1b]0;title\\x07\\x07\\b\\x1b[{i}C")
print("\\nthe end")
""",
        Says("the end", also=is_small),
    ),
    Program(
        25,
        "bytes-that-are-no-text",
        "prints what is no UTF-8, split in the middle",
        """
os.write(1, bytes(range(256)))
os.write(1, b"\\xed\\xa0\\x80 \\xc0\\xaf \\xf8\\x88\\x80\\x80\\x80 \\xf4\\x90\\x80\\x80")
for b in "\\u20ac\\U0001f600".encode():
    os.write(1, bytes([b]))
os.write(2, b"\\xf0\\x9f")
print("\\ud800 lone \\udfff", "\\0", "\\u2028")
print("the end")
""",
        Says("the end", "\u20ac\U0001f600", "\ufffd"),
    ),
    Program(
        25,
        "surrogates-in-every-field",
        "puts lone surrogates and NUL into names, errors and results",
        """
from IPython.display import display

display({"text/plain": "\\udfff", "text/\\ud800": "x"}, raw=True)


class Odd(Exception):
    pass


Odd.__name__ = "O\\udc00dd\\0"
raise Odd("\\ud83d\\0\\udc00")
""",
        AnyOf(
            Raises("O\ufffddd\0 O\udc00dd\0 Odd"), Raises("UnicodeEncodeError ValueError")
        ),
    ),
    Program(
        26,
        "great-display",
        "displays thirty megabytes, and a hundred thousand kinds",
        """
from IPython.display import display

display({"text/plain": "z" * (30 << 20)}, raw=True)
display({f"text/x-{i}": "x" for i in range(100_000)}, raw=True)
print("the end")
""",
        AnyOf(Says("the end"), Raises("ValueError OverflowError RuntimeError")),
    ),
    Program(
        27,
        "json-that-is-none",
        "sends deep, double, endless and infinite JSON",
        """
from IPython.display import display

deep = []
for _ in range(900):
    deep = [deep]
for value in (
    deep,
    float("nan"),
    float("inf"),
    10**4000,
    {1: 2},
    {None: 1},
    b"x",
    object(),
    {"a" * 100_000: 1},
):
    for bundle, meta in (
        ({"application/json": value}, {}),
        ({"text/plain": "x"}, {"m": value}),
    ):
        try:
            display(bundle, metadata=meta, raw=True)
        except Exception:
            pass
print("the end")
""",
        Says("the end"),
    ),
    Program(
        27,
        "json-forged",
        "sends frames with deep, double and broken JSON past the interpreter's checks",
        FAIR
        + """
for body in (
    b"[" * 100_000,
    b"{" + b'"a":1,' * 1000 + b'"a":2}',
    b'{"name":"stdout","text":NaN}',
    b'{"a":' + b"9" * 4000 + b"}",
    b'{"\\ud800":1}',
    b"{}x",
    b"",
    b'"\\xff\\xfe"',
):
    for kind in (_cellwall.DISPLAY_DATA, _cellwall.ERROR, _cellwall.CLEAR_OUTPUT):
        tell("json", _cellwall.send, kind, number(), body)
""",
        AnyOf(
            Says(r"^(json (ValueError|done)\n)+$"),
            Lost("protocol", names="ProtocolError"),
        ),
        unclean=True,
    ),
    Program(
        28,
        "late-output",
        "prints from a grandchild when the cell has long ended",
        """
r, w = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        os.close(w)
        os.read(r, 1)
        for _ in range(1000):
            os.write(1, b"late\\n")
        os._exit(0)
    os._exit(0)
os.wait()
os.close(w)
print("the end")
""",
        Says("the end"),
        unclean=True,
    ),
    Program(
        29,
        "close-everything",
        "closes what the interpreter and its server speak by, and puts others there",
        """
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 1, 2):
    os.close(fd)
    os.dup2(null, fd)
sys.stdout = sys.stderr = None
""",
        Says(),
        unclean=True,
    ),
    Program(
        29,
        "close-the-channel",
        "closes its channel and goes on",
        "os.closerange(3, 1000)\ntime.sleep(1000)",
        Lost("protocol crashed killed"),
    ),
    Program(
        30,
        "forge-replies",
        "answers its own request and others', in packets on its channel",
        FRAME
        + """
body = (
    b'{"status":"ok","execution_count":999,"payload":[],"user_expressions":{"forged":1}}'
)
for kind in range(40):
    for number in (0, 1, 2, 3, 1 << 40, (1 << 64) - 1):
        for sequence in (0, 1, 2, 1 << 63):
            forge(kind, number, body, sequence=sequence)
print("the end")
time.sleep(1000)
""",
        Lost("protocol", names="ProtocolError"),
    ),
    *(
        Program(
            30,
            f"insider-{name}",
            f"sends {tries}, with the right nonce and sequence",
            f"{INSIDER}\nsay({frame})\ntime.sleep(1000)\n",
            Lost("protocol", names="ProtocolError"),
        )
        for name, tries, frame in (
            ("no-json", "what is no JSON", "15, number(), b'{x}'"),
            ("no-text", "what is no UTF-8", '15, number(), b\'{"a":"\\xff"}\''),
            ("nan", "what only Python takes for JSON", "15, number(), b'{\"a\":NaN}'"),
            ("deep", "JSON without end", "15, number(), b'[' * 100_000"),
            ("tail", "JSON with a tail", "15, number(), b'{}{}'"),
            ("no-object", "JSON that is no object", "13, number(), b'[1]'"),
            ("request", "a request to the server", "2, number(), b'{}'"),
            ("type", "a type that is none", "200, number(), b'{}'"),
            ("lie", "more than it announces", "15, number(), b'{}' * 9, size=2"),
            ("stranger", "a reply to a request that is none", "13, 1 << 50, b'{}'"),
        )
    ),
    Program(
        30,
        "insider-speaks-well",
        "says what the runner could have said, with the right nonce and sequence",
        INSIDER
        + """
say(15, number(), b'{"data":{"text/plain":"forged"},"metadata":{},"transient":{}}')
print("the end")
""",
        Says("the end", also=is_small),  # only itself is fooled
    ),
    Program(
        30,
        "forge-its-own-reply",
        "answers its own request twice: it may fool nobody but itself",
        FAIR
        + """
body = b'{"status":"ok","execution_count":7,"payload":[],"user_expressions":{"forged":1}}'
_cellwall.send(_cellwall.REPLY, number(), body)
""",
        AnyOf(Says(), Lost("protocol")),
        unclean=True,
    ),
    Program(
        30,
        "forge-the-replies-of-others",
        "answers requests that are not its own, or not yet there",
        FAIR
        + """
for other in (number() + 1, 0, (1 << 64) - 1, number() - 1):
    _cellwall.send(_cellwall.REPLY, other, b'{"status":"ok"}')
time.sleep(1000)
""",
        Lost("protocol", names="ProtocolError"),
    ),
    Program(
        30,
        "say-hello-again",
        "introduces itself once more, as another runtime",
        FAIR
        + """
_cellwall.send(_cellwall.HELLO, 0, b'{"frame_version":2,"build":"","banner":"other"}')
time.sleep(1000)
""",
        Lost("protocol", names="ProtocolError"),
    ),
    Program(
        30,
        "speak-of-nobody",
        "sends outputs of requests that never were",
        FAIR
        + """
for other in (0, 1 << 40, number() + 5):
    _cellwall.send(
        _cellwall.DISPLAY_DATA, other, b'{"data":{},"metadata":{},"transient":{}}'
    )
    _cellwall.stream(other, False, b"of nobody")
print("the end")
""",
        AnyOf(Says("the end"), Lost("protocol")),
        unclean=True,
    ),
    Program(
        31,
        "shut-the-channel",
        "shuts its channel for writing and for reading",
        """
s = socket.socket(fileno=channel())
s.shutdown(socket.SHUT_RDWR)
time.sleep(1000)
""",
        Lost("protocol crashed killed"),
    ),
    Program(
        31,
        "another-channel",
        "puts a socket that nobody reads in its channel's place",
        """
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.dup2(a.fileno(), channel())
a.close()
time.sleep(1000)
""",
        Lost("protocol crashed killed timeout"),
    ),
    Program(
        32,
        "half-a-frame",
        "sends the head of a frame whose rest never comes",
        FRAME
        + """
forge(13, 1, size=1 << 20)
while True:
    time.sleep(1000)
""",
        Lost("timeout", names="TimeLimit"),
        never_ends=True,
    ),
    Program(
        33,
        "lengths-that-lie",
        "announces more than there is, as much as numbers can say",
        FRAME
        + """
for size in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 1 << 28):
    for count in (0, 1, 0xFFFF, 0xFFFFFFFF):
        for kind in range(24):
            forge(kind, 1, b"\\xff" * 64, size=size, buffers=count, metadata=size)
time.sleep(1000)
""",
        Lost("protocol", names="ProtocolError"),
    ),
    Program(
        34,
        "steal-requests",
        "reads its channel before the interpreter does",
        """
import threading

s = socket.socket(fileno=os.dup(channel()))


def steal():
    while True:
        try:
            s.recv(1 << 20)
        except OSError:
            time.sleep(0.001)


for _ in range(4):
    threading.Thread(target=steal, daemon=True).start()
time.sleep(0.05)
os._exit(7)
""",
        Lost("crashed protocol"),
    ),
    Program(
        35,
        "send-descriptors",
        "sends folders, polls, itself and 253 descriptors at once by its channel",
        """
import array, select

s = socket.socket(fileno=os.dup(channel()))
s.setblocking(False)
root = os.open("/", os.O_RDONLY)
poll = select.epoll()
poll.register(s.fileno(), 1)
for fds in ([root], [poll.fileno()], [s.fileno()], [root] * 253):
    for data in (b"", b"x", bytes(64)):
        try:
            s.sendmsg(
                [data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            )
            print("sent")
        except OSError as e:
            print(errno.errorcode[e.errno])
os.close(root)
poll.close()
""",
        AnyOf(Says(), Lost("protocol crashed killed")),
        unclean=True,
    ),
    Program(
        36,
        "false-credentials",
        "says that it is somebody else",
        """
import struct

s = socket.socket(fileno=os.dup(channel()))
s.setblocking(False)
for what, pid, uid in (
    ("init", 1, os.getuid()),
    ("root", os.getpid(), 0),
    ("server", KERNEL_PID, 0),
):
    tell(
        what,
        s.sendmsg,
        [b"x"],
        [(socket.SOL_SOCKET, 2, struct.pack("iII", pid, uid, uid))],
    )
""",
        # As an ordinary user, there is no other id inside to say.
        Refused(
            {
                "init": "EPERM ESRCH",
                "root": "EPERM EINVAL",
                "server": "EPERM ESRCH EINVAL",
            }
        ),
        unclean=True,
    ),
    Program(
        37,
        "never-read",
        "does not read what it is sent: the server's writes pile up",
        'print("under way", flush=True)\nwhile True: time.sleep(0.01)',
        Interrupted(),
    ),
    Program(
        38,
        "flood-of-comms",
        "opens comms, and tells them things, by the ten thousand",
        """
from comm import create_comm

for i in range(3000):
    create_comm(target_name="t", data={"i": i}).send({"x": "y" * 100})
print("the end")
""",
        AnyOf(Says("the end"), Raises("RuntimeError OSError ValueError")),
        unclean=True,
    ),
    Program(
        38,
        "flood-of-frames",
        "sends replies and results that nobody asked for",
        FRAME
        + """
for i in range(50_000):
    if not forge(i % 24, i, b"{}", sequence=i):
        break
time.sleep(1000)
""",
        Lost("protocol", names="ProtocolError"),
    ),
    Program(
        38,
        "flood-of-displays",
        "displays without end, faster than anybody reads",
        """
from IPython.display import display

print("under way", flush=True)
while True:
    display({"text/plain": "x" * 10_000}, raw=True)
""",
        Interrupted(),
    ),
    Program(
        39,
        "ask-without-end",
        "asks for input where there is nobody to give it, over and over",
        """
refused = 0
for _ in range(2000):
    try:
        input("?" * 1000)
    except Exception:
        refused += 1
print("refused", refused)
""",
        Says("refused 2000"),
    ),
    Program(
        40,
        "monstrous-names",
        "has a repr and an error of fifty megabytes, and a repr that fails",
        """
class Monster(Exception):
    def __str__(self):
        return "m" * (20 << 20)

    __repr__ = __str__


class Broken:
    def __repr__(self):
        raise Monster()


try:
    repr(Broken())
except Monster:
    pass
raise Monster()
""",
        AnyOf(Raises("Monster ValueError"), Lost("protocol memory")),
    ),
    Program(
        40,
        "repr-without-end",
        "returns what never says what it is, and is interrupted",
        """
class Endless:
    def __repr__(self):
        print("under way", flush=True)
        while True:
            pass


Endless()
""",
        Interrupted(),
    ),
    Program(
        41,
        "poisoned-modules",
        "replaces what the interpreter's own machinery uses",
        """
import builtins, io, json, struct, threading


class Poison:
    def __getattr__(self, name):
        raise SystemExit

    def __call__(self, *a, **k):
        raise SystemExit


for module in (json, struct, io, threading, socket, signal, time):
    for name in list(vars(module)):
        if not name.startswith("__"):
            setattr(module, name, Poison())
for name in list(sys.modules):
    if name.startswith(("cellwall", "IPython", "traitlets")):
        for key in list(vars(sys.modules[name])):
            try:
                setattr(sys.modules[name], key, Poison())
            except Exception:
                pass
sys.stdout = sys.stderr = sys.stdin = Poison()
sys.excepthook = sys.displayhook = sys.unraisablehook = Poison()
builtins.print = builtins.len = builtins.isinstance = Poison()
""",
        AnyOf(
            Says(),
            Raises("SystemExit TypeError AttributeError Exception KernelDied"),
            Lost("crashed protocol killed"),
        ),
        unclean=True,
    ),
    Program(
        41,
        "exit-at-once",
        "ends the interpreter as no interpreter ends",
        "os._exit(0)",
        Lost("crashed", names="KernelDied"),
    ),
    Program(
        41,
        "abort",
        "aborts",
        "import faulthandler; faulthandler.enable(); os.abort()",
        Lost("crashed", signal=6, names="Aborted"),
    ),
    Program(
        41,
        "illegal-instruction",
        "runs what is no program, in writable memory",
        """
import mmap

page = mmap.mmap(-1, 4096, prot=7)
page.write(b"\\x0f\\x0b")
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
""",
        Lost("crashed", signal=4, names="IllegalInstruction"),
    ),
    Program(
        41,
        "another-program",
        "becomes another program in the interpreter's place",
        'os.execv("/bin/sleep", ["sleep", "1000"])',
        Lost("crashed protocol killed"),
    ),
]
