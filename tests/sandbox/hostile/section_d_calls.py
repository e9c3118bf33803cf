# SPDX-License-Identifier: MIT
"""D, second part: calls of the kernel."""

from __future__ import annotations

import re
from pathlib import Path

from tests.sandbox.hostile.program import Answers, Lost, Program, Refused, Says

# The table that the probe program is checked with: CALL(name, errno).
CALLS: dict[str, str] = dict(
    re.findall(
        r"^CALL\((\w+), (\w+)\)$",
        (Path(__file__).parents[1] / "calls.def").read_text(),
        re.MULTILINE,
    )
)

PROGRAMS = [
    Program(
        67,
        "every-refused-call",
        "each system call that is refused whatever it is given",
        "".join(
            f'if NR["{name}"] >= 0: tell("{name}", call, "{name}", *[-1] * 6)\n'
            for name in CALLS
        ),
        Answers(CALLS),
    ),
    Program(
        65,
        "keys",
        "leaves and takes keys in key rings",
        """
tell("add", call, "add_key", b"user", b"x", b"y", 1, -3)
tell("request", call, "request_key", b"user", b"x", None, -3)
for what, operation in (
    ("join", 1),
    ("describe", 6),
    ("search", 10),
    ("link", 8),
    ("persistent", 22),
    ("session-to-parent", 18),
):
    tell(what, call, "keyctl", operation, -3, 0, 0, 0)
""",
        Refused(
            dict.fromkeys(
                (
                    *("add", "request", "join", "describe", "search", "link"),
                    *("persistent", "session-to-parent"),
                ),
                "ENOSYS",
            )
        ),
    ),
    Program(
        66,
        "io-uring",
        "goes around the filter by a ring of requests",
        """
params = ctypes.create_string_buffer(120)
tell("setup", call, "io_uring_setup", 4, ctypes.cast(params, ctypes.c_void_p))
tell("enter", call, "io_uring_enter", 0, 1, 0, 0, None, 0)
tell("register", call, "io_uring_register", 0, 0, None, 0)
tell("aio", call, "io_setup", 1, ctypes.cast(params, ctypes.c_void_p))
import subprocess, shutil

if shutil.which("node"):
    done = subprocess.run(["node", "-e", "console.log(1 + 1)"], capture_output=True)
    assert b"2" in done.stdout, done.stderr
""",
        Refused(dict.fromkeys(("setup", "enter", "register", "aio"), "ENOSYS")),
    ),
    Program(
        67,
        "large-interfaces",
        "the calls in which most holes of the kernel were",
        """
tell("bpf", call, "bpf", 0, None, 0)
tell("bpf-prog", call, "bpf", 5, None, 0)
tell("perf", call, "perf_event_open", None, 0, -1, -1, 0)
tell("userfaultfd", call, "userfaultfd", 1)
tell("kcmp", call, "kcmp", os.getpid(), os.getpid(), 0, 0, 0)
tell("getfd", call, "pidfd_getfd", 0, 0, 0)
tell("secret", call, "memfd_secret", 0)
tell("ldt", call, "modify_ldt", 1, None, 0)
tell("vmsplice", call, "vmsplice", 1, None, 0, 0)
tell("personality", call, "personality", 0x400000)
tell("fanotify", call, "fanotify_init", 0, 0)
tell("move_pages", call, "move_pages", 1, 0, None, None, None, 0)
tell("lookup_dcookie", call, "lookup_dcookie", 0, None, 0)
tell("mbind", call, "mbind", None, 0, 0, None, 0, 0)
tell("remap", call, "remap_file_pages", None, 0, 0, 0, 0)
tell("iopl", call, "iopl", 3)
tell("ioperm", call, "ioperm", 0, 1, 1)
""",
        Refused(
            {
                **dict.fromkeys(("bpf", "bpf-prog", "perf"), "EPERM"),
                **dict.fromkeys(
                    (
                        *("userfaultfd", "kcmp", "getfd", "secret", "ldt", "vmsplice"),
                        *("personality", "fanotify", "move_pages", "lookup_dcookie"),
                        *("mbind", "remap", "iopl", "ioperm"),
                    ),
                    "ENOSYS",
                ),
            }
        ),
    ),
    Program(
        68,
        "other-architectures",
        "asks as a 32-bit and as an x32 program, whose calls have other numbers",
        """
import mmap


def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address), page


def answer(code):
    function, page = machine_code(code)
    r = function()
    r = ctypes.c_int(r & 0xFFFFFFFF).value
    if -4096 < r < 0:
        raise OSError(-r, "refused")
    return r


# push rbx; mov eax, N; xor ebx, ebx; xor ecx, ecx; int 0x80; pop rbx; ret
def int80(n):
    rest = b"\\x31\\xdb\\x31\\xc9\\xcd\\x80\\x5b\\xc3"
    return answer(b"\\x53\\xb8" + n.to_bytes(4, "little") + rest)


# mov eax, N; syscall; ret
def x32(n):
    return answer(b"\\xb8" + (0x40000000 | n).to_bytes(4, "little") + b"\\x0f\\x05\\xc3")


tell("int80-getpid", int80, 20)
tell("int80-unshare", int80, 310)
tell("int80-mount", int80, 21)
tell("x32-getpid", x32, 39)
tell("x32-ptrace", x32, 521)
tell("x32-execve", x32, 520)
""",
        Refused(
            dict.fromkeys(
                (
                    *("int80-getpid", "int80-unshare", "int80-mount"),
                    *("x32-getpid", "x32-ptrace", "x32-execve"),
                ),
                "ENOSYS",
            )
        ),
    ),
    Program(
        68,
        "i386-program",
        "runs a 32-bit program",
        """
import struct, subprocess

# mov eax, 1; mov ebx, 42; int 0x80: exit(42)
code = b"\\xb8\\x01\\0\\0\\0\\xbb\\x2a\\0\\0\\0\\xcd\\x80"
base = 0x8048000
header = (
    b"\\x7fELF\\x01\\x01\\x01"
    + bytes(9)
    + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
)
segment = struct.pack("<IIIIIIII", 1, 0, base, base, 96, 96, 5, 4096)
with open("/tmp/i386", "wb") as f:
    f.write(header + segment + code)
os.chmod("/tmp/i386", 0o755)
try:
    status = subprocess.run(["/tmp/i386"]).returncode
except OSError as e:
    status = e.errno
os.unlink("/tmp/i386")
print("exit was not called:", status != 42)
""",
        Says("exit was not called: True"),
    ),
    Program(
        69,
        "type-for-others",
        "types into terminals by ioctl",
        """
import pty

master, slave = pty.openpty()
for where, fd in (("stdin", 0), ("stdout", 1), ("stderr", 2), ("pty", slave)):
    data = ctypes.create_string_buffer(b"x")
    p = ctypes.cast(data, ctypes.c_void_p)
    for what, command in (
        ("sti", 0x5412),
        ("high", 0x5412 | 1 << 32),
        ("linux", 0x541C),
        ("setd", 0x5423),
        ("cons", 0x541D),
    ):
        tell(f"{where}-{what}", call, "ioctl", fd, command, p)
tell_open("tty", "/dev/tty", os.O_RDWR)
os.close(master)
os.close(slave)
""",
        Refused(
            {
                **{
                    f"{where}-{what}": "ENOSYS"
                    for where in ("stdin", "stdout", "stderr", "pty")
                    for what in ("sti", "high", "linux", "setd", "cons")
                },
                "tty": "ENOENT ENXIO",
            }
        ),
    ),
    Program(
        70,
        "filters-of-its-own",
        "loads filters that answer for the kernel",
        """
tell("filter", call, "seccomp", 1, 0, None)
tell("notify", call, "seccomp", 1, 8, None)
tell("strict", call, "seccomp", 0, 0, None)
tell("tsync", call, "seccomp", 1, 1, None)
tell(
    "sizes",
    call,
    "seccomp",
    3,
    0,
    ctypes.cast(ctypes.create_string_buffer(8), ctypes.c_void_p),
)
tell("prctl", call, "prctl", 22, 2, None)
tell("dispatch", call, "prctl", 59, 1, 0, 0, 0)
""",
        Refused(
            dict.fromkeys(
                ("filter", "notify", "strict", "tsync", "sizes", "prctl", "dispatch"),
                "ENOSYS",
            )
        ),
    ),
    Program(
        71,
        "regain-rights",
        "regains rights by prctl and capset",
        """
tell("dumpable", call, "prctl", 4, 1, 0, 0, 0)
tell("securebits", call, "prctl", 28, 0, 0, 0, 0)
tell("mm", call, "prctl", 35, 1, 0, 0, 0)
tell("ptracer", call, "prctl", 0x59616D61, -1, 0, 0, 0)
tell("ambient", call, "prctl", 47, 2, 21, 0, 0)
tell("bounding", call, "prctl", 24, 21, 0, 0, 0)
tell("keepcaps", call, "prctl", 8, 1, 0, 0, 0)
tell("high", call, "prctl", (1 << 32) | 28, 0, 0, 0, 0)
head = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
tell(
    "capset",
    call,
    "capset",
    ctypes.cast(head, ctypes.c_void_p),
    ctypes.cast(data, ctypes.c_void_p),
)
""",
        Refused(
            {
                **dict.fromkeys(
                    (
                        *("dumpable", "securebits", "mm", "ptracer", "ambient"),
                        *("bounding", "keepcaps", "high"),
                    ),
                    "ENOSYS",
                ),
                "capset": "ENOSYS EPERM",
            }
        ),
    ),
    Program(
        72,
        "raise-limits",
        "raises its limits, and those of others",
        """
import resource

for what in ("NOFILE", "NPROC", "MEMLOCK", "CORE", "RTPRIO", "MSGQUEUE"):
    number = getattr(resource, "RLIMIT_" + what)
    soft, hard = resource.getrlimit(number)
    if hard == -1:
        print(what, "unlimited")
        continue
    tell(what, resource.setrlimit, number, (soft, hard + 1))
tell("init", resource.prlimit, 1, resource.RLIMIT_NOFILE, (1, 1))
tell("canary", resource.prlimit, CANARY_PID, resource.RLIMIT_NOFILE, (1, 1))
""",
        Says(
            *(
                f"{what} (EPERM|ValueError)"
                for what in ("NOFILE", "NPROC", "MEMLOCK", "CORE", "RTPRIO", "MSGQUEUE")
            ),
            "init ENOSYS",
            "canary ENOSYS",
        ),
    ),
    Program(
        73,
        "rare-sockets",
        "opens sockets of families in which the kernel is weak",
        """
NAMES = {
    "unspec": 0,
    "ax25": 3,
    "ipx": 4,
    "appletalk": 5,
    "x25": 9,
    "key": 15,
    "packet": 17,
    "rds": 21,
    "pppox": 24,
    "llc": 26,
    "ib": 27,
    "can": 29,
    "tipc": 30,
    "bluetooth": 31,
    "rxrpc": 33,
    "phonet": 35,
    "ieee802154": 36,
    "caif": 37,
    "alg": 38,
    "nfc": 39,
    "vsock": 40,
    "kcm": 41,
    "qipcrtr": 42,
    "smc": 43,
    "xdp": 44,
    "mctp": 45,
    "none": 255,
}
for what, family in NAMES.items():
    for kind in (1, 2, 3, 5):
        try:
            os.close(call("socket", family, kind, 0))
            print(what, "done")
            break
        except OSError as e:
            if e.errno != errno.EAFNOSUPPORT:
                print(what, errno.errorcode[e.errno])
                break
    else:
        print(what, "EAFNOSUPPORT")
tell("alg-high", call, "socket", 1 << 32 | 38, 5, 0)
tell("raw", call, "socket", 2, 3, 1)
tell("raw6", call, "socket", 10, 3, 58)
tell("packet-old", call, "socket", 2, 10, 3)
tell("sctp", call, "socket", 2, 1, 132)
tell("dccp", call, "socket", 2, 6, 33)
tell("ping", call, "socket", 2, 2, 1)
tell("udplite", call, "socket", 2, 2, 136)
for what, protocol in (
    ("sock_diag", 4),
    ("xfrm", 6),
    ("audit", 9),
    ("netfilter", 12),
    ("uevent", 15),
    ("generic", 16),
    ("crypto", 21),
):
    tell("netlink-" + what, call, "socket", 16, 3, protocol)
tell(
    "pair",
    call,
    "socketpair",
    30,
    1,
    0,
    ctypes.cast((ctypes.c_int * 2)(), ctypes.c_void_p),
)
""",
        Refused(
            {
                **dict.fromkeys(
                    (
                        *("unspec", "ax25", "ipx", "appletalk", "x25", "key", "packet"),
                        *("rds", "pppox", "llc", "ib", "can", "tipc", "bluetooth"),
                        *("rxrpc", "phonet", "ieee802154", "caif", "alg", "nfc"),
                        *("vsock", "kcm", "qipcrtr", "smc", "xdp", "mctp", "none"),
                        "alg-high",
                    ),
                    "EAFNOSUPPORT",
                ),
                **dict.fromkeys(("raw", "raw6"), "EPERM"),
                **dict.fromkeys(
                    ("packet-old", "sctp", "dccp", "ping", "udplite"), "ENOSYS"
                ),
                **{
                    f"netlink-{what}": "ENOSYS"
                    for what in (
                        *("sock_diag", "xfrm", "audit", "netfilter", "uevent"),
                        *("generic", "crypto"),
                    )
                },
                "pair": "ENOSYS",
            }
        ),
    ),
    Program(
        73,
        "netlink-of-interfaces",
        "uses the one netlink that there is to change interfaces, routes and rules",
        """
import struct

s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
s.bind((0, 0))
s.settimeout(20)
# (message, body): newlink, setlink, newaddr, newroute, newrule, newqdisc, newnetconf
for what, kind, body in (
    ("newlink", 16, bytes(16)),
    ("dellink", 17, struct.pack("BxHiII", 0, 0, 1, 0, 0)),
    ("setlink", 19, struct.pack("BxHiII", 0, 0, 1, 0, 1)),
    (
        "newaddr",
        20,
        struct.pack("BBBBi", 2, 8, 0, 0, 1) + struct.pack("HH4s", 8, 2, bytes(4)),
    ),
    ("newroute", 24, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0)),
    ("newrule", 32, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 0, 0, 0, 1, 0)),
    ("newqdisc", 36, struct.pack("BxxxiIII", 0, 1, 0, 0, 0)),
    ("newnsid", 88, struct.pack("Bxxx", 0)),
):
    s.send(struct.pack("IHHII", 16 + len(body), kind, 0x5 | 0x400, 1, 0) + body)
    answer = s.recv(8192)
    error = -struct.unpack_from("i", answer, 16)[0]
    print(what, errno.errorcode.get(error, error))
s.close()
""",
        Refused(
            dict.fromkeys(
                (
                    *("newlink", "dellink", "setlink", "newaddr", "newroute"),
                    *("newrule", "newqdisc", "newnsid"),
                ),
                "EPERM",
            )
        ),
    ),
    Program(
        74,
        "page-cache",
        "splices read-only files around, to write to their pages",
        """
import mmap

path = os.path.realpath("/proc/self/exe")
source = os.open(path, os.O_RDONLY)
r, w = os.pipe()
copied = os.splice(source, w, 4096, offset_src=0)
tell("into-file", lambda: os.splice(r, source, 16))
os.read(r, 4096)
a, b = socket.socketpair()
os.sendfile(a.fileno(), source, 0, 4096)
b.recv(65536)
# The pipe keeps the page: a write to it may not merge into that (dirty pipe).
os.splice(source, w, 1, offset_src=0)
os.write(w, b"X" * 100)
os.read(r, 200)
tell(
    "shared-map",
    lambda: mmap.mmap(source, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
)
page = mmap.mmap(source, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
page[0] = 0
page.close()
page = mmap.mmap(source, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
address = id(page)
tell("range-copy", lambda: os.copy_file_range(source, source, 16, 0, 4096))
tell("truncate", os.truncate, path, 0)
tell("write", os.write, source, b"x")
tell("allocate", os.posix_fallocate, source, 0, 16)
page.close()
for fd in (source, r, w):
    os.close(fd)
""",
        Refused(
            {
                "into-file": "EBADF",
                "shared-map": "EACCES EPERM PermissionError",
                "range-copy": "EBADF",
                "truncate": "EROFS EACCES ETXTBSY",
                "write": "EBADF",
                "allocate": "EBADF",
            }
        ),
    ),
    Program(
        75,
        "programs-from-memory",
        "runs a program from memory, and libraries of its own: still confined",
        """
import subprocess

fd = os.memfd_create("program", 0)
os.write(fd, open("/bin/sh", "rb").read())


def run():
    os.dup2(w, 1)
    os.execve(
        fd,
        [
            "sh",
            "-c",
            "cat /proc/self/status | grep -e ^Seccomp: -e ^NoNewPrivs -e ^CapEff;"
            "cat " + CANARIES[0] + " || echo unseen",
        ],
        {"PATH": "/usr/bin:/bin"},
    )


r, w = os.pipe()
in_child(run)
os.close(w)
said = os.read(r, 10000).decode()
print(said)
os.close(r)
os.close(fd)
done = subprocess.run(
    ["/lib64/ld-linux-x86-64.so.2", "--preload", "/tmp/none.so", "/bin/true"],
    capture_output=True,
)
print("linker", done.returncode)
""",
        Says(r"CapEff:\s+0{16}", r"NoNewPrivs:\s+1", r"Seccomp:\s+2", "unseen", "linker"),
    ),
    Program(
        76,
        "security-modules",
        "changes its label",
        """
for what in ("current", "exec", "fscreate", "keycreate", "sockcreate"):
    tell(
        what,
        lambda: open("/proc/self/attr/" + what, "w", buffering=1).write("unconfined\\n"),
    )
for what in (
    "/sys/kernel/security",
    "/sys/fs/selinux/enforce",
    "/proc/self/attr/apparmor/exec",
):
    tell_open(what, what, os.O_WRONLY)
for what in ("uid_map", "gid_map", "setgroups", "projid_map"):
    tell(what, lambda: open("/proc/self/" + what, "w", buffering=1).write("0 0 1\\n"))
tell("oom", lambda: open("/proc/self/oom_score_adj", "w", buffering=1).write("-1000\\n"))
tell("lsm", call, "lsm_set_self_attr", 100, None, 0, 0)
""",
        Refused(
            {
                **dict.fromkeys(
                    ("current", "exec", "fscreate", "keycreate", "sockcreate"),
                    "EINVAL EACCES EPERM ENOENT EROFS EOPNOTSUPP",
                ),
                **dict.fromkeys(
                    (
                        *("/sys/kernel/security", "/sys/fs/selinux/enforce"),
                        "/proc/self/attr/apparmor/exec",
                    ),
                    "ENOENT EACCES EROFS",
                ),
                **dict.fromkeys(
                    ("uid_map", "gid_map", "setgroups", "projid_map", "oom"),
                    "EPERM EACCES EROFS EINVAL",
                ),
                "lsm": "ENOSYS",
            }
        ),
    ),
    Program(
        77,
        "clocks",
        "sets the machine's clocks",
        """
before = time.time()
spec = (ctypes.c_long * 2)(0, 0)
p = ctypes.cast(spec, ctypes.c_void_p)
tell("settimeofday", call, "settimeofday", p, None)
tell("clock_settime", call, "clock_settime", 0, p)
tell(
    "adjtimex",
    call,
    "adjtimex",
    ctypes.cast(ctypes.create_string_buffer(256), ctypes.c_void_p),
)
tell(
    "clock_adjtime",
    call,
    "clock_adjtime",
    0,
    ctypes.cast(ctypes.create_string_buffer(256), ctypes.c_void_p),
)
tell(
    "offsets",
    lambda: open("/proc/self/timens_offsets", "w", buffering=1).write("1 1 0\\n"),
)
tell_open("rtc", "/dev/rtc0", os.O_RDWR)
assert time.time() >= before
""",
        Refused(
            {
                "settimeofday": "EPERM",
                "clock_settime": "EPERM",
                "adjtimex": "ENOSYS",
                "clock_adjtime": "ENOSYS",
                "offsets": "EACCES EPERM EROFS ENOENT EINVAL",
                "rtc": "ENOENT",
            }
        ),
    ),
    Program(
        78,
        "the-machine",
        "reboots, swaps, loads modules, reads the log",
        """
tell("reboot", call, "reboot", 0, 0, 0, None)
tell("kexec", call, "kexec_load", 0, 0, None, 0)
tell("kexec-file", call, "kexec_file_load", -1, -1, 0, None, 0)
tell("swapon", call, "swapon", b"/tmp/none", 0)
tell("swapoff", call, "swapoff", b"/tmp/none")
tell("init_module", call, "init_module", None, 0, b"")
tell("finit_module", call, "finit_module", -1, b"", 0)
tell("delete_module", call, "delete_module", b"none", 0)
tell("syslog", call, "syslog", 3, None, 0)
tell("quotactl", call, "quotactl", 0, None, 0, None)
tell("acct", call, "acct", b"/tmp/none")
tell("vhangup", call, "vhangup")
tell("hostname", socket.sethostname, "owned")
tell("domain", call, "setdomainname", b"owned", 5)
""",
        Refused(
            {
                **dict.fromkeys(
                    (
                        *("reboot", "swapon", "swapoff", "init_module", "finit_module"),
                        *("delete_module", "syslog", "acct", "hostname", "domain"),
                    ),
                    "EPERM",
                ),
                **dict.fromkeys(("kexec", "kexec-file", "quotactl", "vhangup"), "ENOSYS"),
            }
        ),
    ),
    Program(
        79,
        "files-by-handle",
        "opens the host's files by their inode numbers",
        """
import struct

handle = struct.pack("Ii", 8, 1) + struct.pack("II", 2, 0)
p = ctypes.cast(ctypes.create_string_buffer(handle + bytes(120)), ctypes.c_void_p)
for what, path in (("root", "/"), ("usr", "/usr"), ("tmp", "/tmp"), ("cwd", ".")):
    fd = os.open(path, os.O_RDONLY)
    tell(what, call, "open_by_handle_at", fd, p, 0)
    os.close(fd)
tell("name", call, "name_to_handle_at", -100, b"/usr", p, None, 0)
""",
        Refused(
            {
                **dict.fromkeys(("root", "usr", "tmp", "cwd"), "EPERM"),
                "name": "ENOSYS EPERM",
            }
        ),
    ),
    Program(
        80,
        "crash-storm",
        "crashes over and over, to leave cores or to run the machine's handler of them",
        """
import resource

tell("limit", resource.setrlimit, resource.RLIMIT_CORE, (1 << 30, 1 << 30))
os.chdir("/tmp")
dumped = [os.WCOREDUMP(in_child(os.abort)) for _ in range(50)]
dumped += [os.WCOREDUMP(in_child(lambda: ctypes.string_at(0))) for _ in range(20)]
print("dumped", any(dumped), [n for n in os.listdir("/tmp") if n.startswith("core")])
""",
        Says("limit (ValueError|EPERM)", r"dumped False \[\]"),
    ),
    Program(
        80,
        "crash-itself",
        "dies by a null pointer",
        "import ctypes\nctypes.string_at(0)",
        Lost("crashed", signal=11, names="SegmentationFault"),
    ),
]
