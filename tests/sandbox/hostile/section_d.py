# SPDX-License-Identifier: MIT
"""D: processes and kernel interfaces."""

from __future__ import annotations

import re
from pathlib import Path

from tests.sandbox.hostile.program import Answers, Lost, Program, Refused, Says

# Which of the walls is met first differs by profile, user and kernel.
GONE = "ENOENT ENOTDIR"
CLOSED = "EROFS EACCES EPERM ENOENT"

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
        54,
        "trace-init",
        "reads, stops and rewrites its init and itself by ptrace",
        """
tell("attach", call, "ptrace", 16, 1, 0, 0)
tell("seize", call, "ptrace", 0x4206, 1, 0, 0)
tell("traceme", call, "ptrace", 0, 0, 0, 0)
tell("poke", call, "ptrace", 4, 1, 0x1000, 0x41)
tell("high", call, "ptrace", (1 << 32) | 16, 1, 0, 0)
""",
        Refused(dict.fromkeys(("attach", "seize", "traceme", "poke", "high"), "EPERM")),
    ),
    Program(
        54,
        "trace-a-child",
        "traces its own child, to run calls in its name",
        """
pid = os.fork()
if pid == 0:
    time.sleep(60)
    os._exit(0)
tell("attach", call, "ptrace", 16, pid, 0, 0)
data = (ctypes.c_char * 8)()
class Vec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
v = Vec(ctypes.addressof(data), 8)
p = ctypes.cast(ctypes.pointer(v), ctypes.c_void_p)
tell("read", call, "process_vm_readv", pid, p, 1, p, 1, 0)
tell("write", call, "process_vm_writev", pid, p, 1, p, 1, 0)
tell("madvise", call, "process_madvise", pid, p, 1, 0, 0)
tell("mrelease", call, "process_mrelease", pid, 0)
os.kill(pid, 9)
os.waitpid(pid, 0)
""",
        Refused(
            {
                "attach": "EPERM",
                "read": "EPERM",
                "write": "EPERM",
                "madvise": "ENOSYS",
                "mrelease": "ENOSYS",
            }
        ),
    ),
    Program(
        55,
        "files-of-init",
        "memory, root, environment and descriptors of init and of the host",
        """
for what in ("mem", "environ", "root/etc/shadow", "cwd", "exe", "maps", "fd/0",
             "fd/3", "ns/mnt", "stack", "syscall"):
    tell_open(what, f"/proc/1/{what}")
tell_open("canary", f"/proc/{CANARY_PID}/mem")
tell_open("server", f"/proc/{KERNEL_PID}/environ")
tell_open("own-root", "/proc/self/root" + CANARIES[0])
tell_open("dots", "/proc/self/cwd/../../../../../../../.." + CANARIES[0])
tell_open("task", "/proc/thread-self/root" + CANARIES[0])
""",
        Refused(
            {
                **dict.fromkeys(
                    (
                        *("mem", "environ", "root/etc/shadow", "cwd", "exe", "maps"),
                        *("fd/0", "fd/3", "ns/mnt", "stack", "syscall"),
                        *("canary", "server", "own-root", "dots", "task"),
                    ),
                    "ENOENT EACCES EPERM",
                )
            }
        ),
    ),
    Program(
        55,
        "who-else",
        "looks for any process but its own",
        """
pids = sorted(int(p) for p in os.listdir("/proc") if p.isdigit())
for pid in range(1, 70000):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        continue
    except PermissionError:
        pass
    if pid not in pids:
        pids.append(pid)
print("seen", [p for p in pids if p not in (1, os.getpid())])
print("parent", os.getppid())
print("secret", os.environ.get("SECRET_OF_THE_SERVER"))
""",
        Says(r"seen \[\]", r"parent [01]\n", r"secret None"),
    ),
    Program(
        56,
        "rewrite-the-interpreter",
        "writes to the program that runs it, by every path it has",
        """
exe = os.path.realpath("/proc/self/exe")
tell_open("self", "/proc/self/exe", os.O_WRONLY)
tell_open("path", exe, os.O_WRONLY)
tell_open("truncate", exe, os.O_RDWR | os.O_TRUNC)
fd = os.open("/proc/self/exe", os.O_PATH)
tell_open("by-fd", f"/proc/self/fd/{fd}", os.O_WRONLY)
os.close(fd)
tell("chmod", os.chmod, exe, 0o777)
tell("unlink", os.unlink, exe)
tell("rename", os.rename, "/tmp", exe)
""",
        Refused(
            {
                **dict.fromkeys(("self", "path", "truncate", "by-fd"), "EROFS ETXTBSY EACCES"),
                "chmod": "EROFS EPERM",
                "unlink": "EROFS EACCES EPERM",
                "rename": "EXDEV EROFS EACCES EBUSY ENOTDIR EPERM",
            }
        ),
    ),
    Program(
        56,
        "script-as-interpreter",
        "runs a script whose interpreter is /proc/self/exe, which then opens itself",
        """
import subprocess
path = "/tmp/script"
with open(path, "w") as f:
    f.write("#!/proc/self/exe\\nimport os\\n"
            "os.open('/proc/self/exe', os.O_RDWR)\\n")
os.chmod(path, 0o755)
try:
    print("ended", subprocess.run([path], capture_output=True, timeout=20).returncode != 0)
except OSError as e:
    print("ended True")
os.unlink(path)
""",
        Says("ended True"),
    ),
    Program(
        57,
        "inherited-descriptors",
        "walks out by a directory that it was left",
        """
import stat
left = []
for name in os.listdir("/proc/self/fd"):
    fd = int(name)
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        continue
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        link = os.readlink(f"/proc/self/fd/{fd}")
        if not link.startswith(("/proc", "/tmp", "/dev", "/memfd")):
            left.append(link)
    for path in CANARIES:
        try:
            os.open("../../../../../.." + path, os.O_RDONLY, dir_fd=fd)
            left.append(path)
        except OSError:
            pass
print("left", left)
""",
        Says(r"left \[\]"),
    ),
    Program(
        58,
        "settings-of-the-machine",
        "changes the machine by /proc/sys and its neighbours",
        """
for what in ("sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/hostname",
             "sys/vm/overcommit_memory", "sys/kernel/ns_last_pid", "sysrq-trigger",
             "sys/user/max_user_namespaces", "sys/net/ipv4/ip_forward",
             "sys/fs/binfmt_misc/register", "sys/kernel/randomize_va_space",
             "irq/0/smp_affinity", "mtrr", "scsi/scsi", "acpi/wakeup"):
    tell_open(what, "/proc/" + what, os.O_WRONLY)
""",
        Refused(
            dict.fromkeys(
                (
                    *("sys/kernel/core_pattern", "sys/kernel/modprobe"),
                    *("sys/kernel/hostname", "sys/vm/overcommit_memory"),
                    *("sys/kernel/ns_last_pid", "sysrq-trigger"),
                    *("sys/user/max_user_namespaces", "sys/net/ipv4/ip_forward"),
                    *("sys/fs/binfmt_misc/register", "sys/kernel/randomize_va_space"),
                    *("irq/0/smp_affinity", "mtrr", "scsi/scsi", "acpi/wakeup"),
                ),
                CLOSED,
            )
        ),
    ),
    Program(
        58,
        "secrets-of-the-kernel",
        "reads keys, symbols and memory of the kernel",
        """
found = []
for what in ("kcore", "keys", "key-users", "kallsyms", "timer_list", "sched_debug",
             "kmsg", "kpageflags", "kpagecount", "vmallocinfo", "slabinfo", "1/stack"):
    try:
        with open("/proc/" + what, "rb") as f:
            data = f.read(4096)
    except OSError:
        continue
    if data.strip(b"\\0 0\\n"):
        found.append(what)
print("found", found)
""",
        Says(r"found \[\]"),
    ),
    Program(
        59,
        "control-groups",
        "lifts its limits, or starts a program as the host by release_agent",
        """
for what in ("/sys/kernel", "/sys/fs/bpf", "/sys/kernel/debug", "/sys/kernel/tracing",
             "/sys/firmware/efi/efivars", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
             "/sys/fs/cgroup/release_agent", "/sys/kernel/uevent_helper",
             "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cgroup.kill"):
    tell_open(what, what, os.O_RDONLY)
for what in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/cpu.max"):
    tell(what, lambda: open(what, "w", buffering=1).write("max"))
tell("own", os.mkdir, "/sys/fs/cgroup/own")
tell("chmod", os.chmod, "/sys/fs/cgroup", 0o777)
os.makedirs("/tmp/group", exist_ok=True)
for kind in (b"cgroup", b"cgroup2", b"sysfs", b"debugfs", b"tracefs"):
    tell(kind.decode(), call, "mount", kind, b"/tmp/group", kind, 0, None)
os.rmdir("/tmp/group")
""",
        Refused(
            {
                **dict.fromkeys(
                    (
                        *("/sys/kernel", "/sys/fs/bpf", "/sys/kernel/debug"),
                        *("/sys/kernel/tracing", "/sys/firmware/efi/efivars"),
                        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                        *("/sys/fs/cgroup/release_agent", "/sys/kernel/uevent_helper"),
                        *("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cgroup.kill"),
                    ),
                    GONE,
                ),
                # What is there is made up, for libraries that ask how much they have.
                **dict.fromkeys(
                    (
                        *("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"),
                        *("/sys/fs/cgroup/cpu.max", "own", "chmod"),
                    ),
                    CLOSED,
                ),
                **dict.fromkeys(("cgroup", "cgroup2", "sysfs", "debugfs", "tracefs"), "EPERM"),
            }
        ),
    ),
    Program(
        60,
        "devices",
        "makes and opens devices",
        """
import stat
for name, kind, major, minor in (("mem", stat.S_IFCHR, 1, 1), ("disk", stat.S_IFBLK, 8, 0),
                                 ("null", stat.S_IFCHR, 1, 3), ("white", stat.S_IFCHR, 0, 0)):
    tell("make-" + name, os.mknod, "/tmp/" + name, kind | 0o666, os.makedev(major, minor))
tell("make-high", call, "mknod", b"/tmp/high", (1 << 32) | stat.S_IFCHR | 0o666, 0x101)
for name in ("mem", "kmem", "port", "kvm", "sda", "vda", "kmsg", "fuse", "net/tun", "tty",
             "console", "tty0", "vhost-net", "vsock", "userfaultfd", "loop-control",
             "mapper/control", "cpu/0/msr", "nvme0", "dri/card0", "uinput", "watchdog"):
    tell_open(name, "/dev/" + name, os.O_RDWR)
""",
        Refused(
            {
                **dict.fromkeys(
                    ("make-mem", "make-disk", "make-null", "make-white", "make-high"), "EPERM"
                ),
                **dict.fromkeys(
                    (
                        *("mem", "kmem", "port", "kvm", "sda", "vda", "kmsg", "fuse"),
                        *("net/tun", "tty", "console", "tty0", "vhost-net", "vsock"),
                        *("userfaultfd", "loop-control", "mapper/control", "cpu/0/msr"),
                        *("nvme0", "dri/card0", "uinput", "watchdog"),
                    ),
                    "ENOENT",
                ),
            }
        ),
    ),
    Program(
        61,
        "old-mounts",
        "mounts, moves and unmounts by the old calls",
        """
os.makedirs("/tmp/m", exist_ok=True)
m = b"/tmp/m"
for what, source, target, kind, flags in (
    ("tmpfs", b"none", m, b"tmpfs", 0), ("proc", b"none", m, b"proc", 0),
    ("bind", b"/", m, None, 4096), ("rebind", None, b"/usr", None, 4096 | 32),
    ("shared", None, b"/", None, 1 << 20), ("move", b"/tmp", m, None, 8192),
    ("overlay", b"overlay", m, b"overlay", 0), ("fuse", b"f", m, b"fuse", 0)):
    tell(what, call, "mount", source, target, kind, flags, None)
tell("umount", call, "umount2", b"/tmp", 2)
tell("umount-proc", call, "umount2", b"/proc", 2)
tell("pivot", call, "pivot_root", b"/tmp", m)
tell("chroot", os.chroot, "/tmp")
os.rmdir("/tmp/m")
""",
        Refused(
            dict.fromkeys(
                (
                    *("tmpfs", "proc", "bind", "rebind", "shared", "move", "overlay"),
                    *("fuse", "umount", "umount-proc", "pivot", "chroot"),
                ),
                "EPERM",
            )
        ),
    ),
    Program(
        61,
        "new-mounts",
        "the same by the new calls",
        """
tell("fsopen", call, "fsopen", b"tmpfs", 0)
tell("fspick", call, "fspick", -100, b"/", 0)
tell("fsmount", call, "fsmount", 0, 0, 0)
tell("fsconfig", call, "fsconfig", 0, 0, None, None, 0)
tell("open_tree", call, "open_tree", -100, b"/", 1)
tell("move_mount", call, "move_mount", -100, b"/tmp", -100, b"/usr", 0)
tell("mount_setattr", call, "mount_setattr", -100, b"/", 0, None, 0)
tell("statmount", call, "statmount", None, None, 0, 0)
tell("listmount", call, "listmount", None, None, 0, 0)
""",
        Refused(
            dict.fromkeys(
                (
                    *("fsopen", "fspick", "fsmount", "fsconfig", "open_tree"),
                    *("move_mount", "mount_setattr", "statmount", "listmount"),
                ),
                "ENOSYS",
            )
        ),
    ),
    Program(
        62,
        "new-namespaces",
        "becomes root of namespaces of its own",
        """
FLAGS = {"user": 0x10000000, "mnt": 0x20000, "net": 0x40000000, "pid": 0x20000000,
         "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000, "time": 0x80,
         "user+net": 0x50000000}
for what, flag in FLAGS.items():
    tell("unshare-" + what, call, "unshare", flag)
    if what != "time":
        tell("clone-" + what, call, "clone", flag | 17, 0, 0, 0, 0)
tell("clone-high", call, "clone", (1 << 32) | 0x10000000 | 17, 0, 0, 0, 0)
args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
tell("clone3", call, "clone3", ctypes.cast(args, ctypes.c_void_p), 88)
""",
        Refused(
            {
                **{
                    f"unshare-{what}": "EPERM"
                    for what in (
                        *("user", "mnt", "net", "pid", "ipc", "uts", "cgroup", "time"),
                        "user+net",
                    )
                },
                **{
                    f"clone-{what}": "ENOSYS EPERM"
                    for what in (
                        *("user", "mnt", "net", "pid", "ipc", "uts", "cgroup"),
                        *("user+net", "high"),
                    )
                },
                "clone3": "ENOSYS",
            }
        ),
    ),
    Program(
        63,
        "join-namespaces",
        "joins the namespaces of init, by files and by a pidfd",
        """
for what in ("user", "mnt", "net", "pid", "ipc", "uts"):
    fd = os.open(f"/proc/self/ns/{what}", os.O_RDONLY)
    tell(what, call, "setns", fd, 0)
    os.close(fd)
tell("pidfd", lambda: call("setns", call("pidfd_open", 1, 0), 0x10000000))
tell("number", call, "setns", 3, 0)
""",
        Refused(
            {
                **dict.fromkeys(("user", "mnt", "net", "pid", "ipc", "uts"), "EPERM"),
                "pidfd": "EPERM ENOSYS ESRCH",
                "number": "EPERM",
            }
        ),
    ),
    Program(
        64,
        "set-user-id",
        "gains root by su, mount, and a set-user-id program of its own",
        """
import shutil, subprocess
before = os.getresuid()
own = "/tmp/own"
shutil.copy("/usr/bin/id", own)
os.chmod(own, 0o6755)
uids = set()
for command in ([own, "-u"], ["su", "-c", "id -u", "root"], ["/usr/bin/newgrp", "root"],
                ["passwd", "-d", "root"], ["sudo", "-n", "id", "-u"]):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=20)
        uids.add(done.stdout.decode().strip())
    except OSError:
        pass
os.unlink(own)
print("root", "0" in uids, "same", os.getresuid() == before)
tell("setuid", os.setuid, 0)
tell("setgid", os.setgid, 0)
tell("setresuid", os.setresuid, 0, 0, 0)
tell("setgroups", os.setgroups, [0])
tell("filecap", os.setxattr, "/tmp", "security.capability", bytes(20))
""",
        Says(
            "root False same True",
            "setuid (EPERM|EINVAL)",
            "setgid (EPERM|EINVAL)",
            "setresuid (EPERM|EINVAL)",
            "setgroups EPERM",
            "filecap (EPERM|EINVAL|EOPNOTSUPP)",
        ),
    ),
    Program(
        65,
        "keys",
        "leaves and takes keys in key rings",
        """
tell("add", call, "add_key", b"user", b"x", b"y", 1, -3)
tell("request", call, "request_key", b"user", b"x", None, -3)
for what, operation in (("join", 1), ("describe", 6), ("search", 10), ("link", 8),
                        ("persistent", 22), ("session-to-parent", 18)):
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
        "asks the kernel as a 32-bit and as an x32 program, whose calls have other numbers",
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
    r = ctypes.c_int(r & 0xffffffff).value
    if -4096 < r < 0:
        raise OSError(-r, "refused")
    return r
# push rbx; mov eax, N; xor ebx, ebx; xor ecx, ecx; int 0x80; pop rbx; ret
def int80(n):
    return answer(b"\\x53\\xb8" + n.to_bytes(4, "little") + b"\\x31\\xdb\\x31\\xc9\\xcd\\x80\\x5b\\xc3")
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
header = b"\\x7fELF\\x01\\x01\\x01" + bytes(9) + struct.pack(
    "<HHIIIIIHHHHHH", 2, 3, 1, base + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
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
    for what, command in (("sti", 0x5412), ("high", 0x5412 | 1 << 32), ("linux", 0x541c),
                          ("setd", 0x5423), ("cons", 0x541d)):
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
tell("sizes", call, "seccomp", 3, 0, ctypes.cast(ctypes.create_string_buffer(8), ctypes.c_void_p))
tell("prctl", call, "prctl", 22, 2, None)
tell("dispatch", call, "prctl", 59, 1, 0, 0, 0)
""",
        Refused(
            dict.fromkeys(
                ("filter", "notify", "strict", "tsync", "sizes", "prctl", "dispatch"), "ENOSYS"
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
tell("ptracer", call, "prctl", 0x59616d61, -1, 0, 0, 0)
tell("ambient", call, "prctl", 47, 2, 21, 0, 0)
tell("bounding", call, "prctl", 24, 21, 0, 0, 0)
tell("keepcaps", call, "prctl", 8, 1, 0, 0, 0)
tell("high", call, "prctl", (1 << 32) | 28, 0, 0, 0, 0)
head = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)
tell("capset", call, "capset", ctypes.cast(head, ctypes.c_void_p), ctypes.cast(data, ctypes.c_void_p))
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
NAMES = {"unspec": 0, "ax25": 3, "ipx": 4, "appletalk": 5, "x25": 9, "key": 15, "packet": 17,
         "rds": 21, "pppox": 24, "llc": 26, "ib": 27, "can": 29, "tipc": 30, "bluetooth": 31,
         "rxrpc": 33, "phonet": 35, "ieee802154": 36, "caif": 37, "alg": 38, "nfc": 39,
         "vsock": 40, "kcm": 41, "qipcrtr": 42, "smc": 43, "xdp": 44, "mctp": 45, "none": 255}
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
for what, protocol in (("sock_diag", 4), ("xfrm", 6), ("audit", 9), ("netfilter", 12),
                       ("uevent", 15), ("generic", 16), ("crypto", 21)):
    tell("netlink-" + what, call, "socket", 16, 3, protocol)
tell("pair", call, "socketpair", 30, 1, 0, ctypes.cast((ctypes.c_int * 2)(), ctypes.c_void_p))
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
                **dict.fromkeys(("packet-old", "sctp", "dccp", "ping", "udplite"), "ENOSYS"),
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
for what, kind, body in (("newlink", 16, bytes(16)), ("dellink", 17, struct.pack("BxHiII", 0, 0, 1, 0, 0)),
                         ("setlink", 19, struct.pack("BxHiII", 0, 0, 1, 0, 1)),
                         ("newaddr", 20, struct.pack("BBBBi", 2, 8, 0, 0, 1) + struct.pack("HH4s", 8, 2, b"\\x0a\\0\\0\\1")),
                         ("newroute", 24, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0)),
                         ("newrule", 32, struct.pack("BBBBBBBBI", 2, 0, 0, 0, 0, 0, 0, 1, 0)),
                         ("newqdisc", 36, struct.pack("BxxxiIII", 0, 1, 0, 0, 0)),
                         ("newnsid", 88, struct.pack("Bxxx", 0))):
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
tell("shared-map", lambda: mmap.mmap(source, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
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
    os.execve(fd, ["sh", "-c",
        "cat /proc/self/status | grep -e ^Seccomp: -e ^NoNewPrivs -e ^CapEff;"
        "cat " + CANARIES[0] + " || echo unseen"], {"PATH": "/usr/bin:/bin"})
r, w = os.pipe()
in_child(run)
os.close(w)
said = os.read(r, 10000).decode()
print(said)
os.close(r)
os.close(fd)
done = subprocess.run(["/lib64/ld-linux-x86-64.so.2", "--preload", "/tmp/none.so", "/bin/true"],
                      capture_output=True)
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
    tell(what, lambda: open("/proc/self/attr/" + what, "w", buffering=1).write("unconfined\\n"))
for what in ("/sys/kernel/security", "/sys/fs/selinux/enforce", "/proc/self/attr/apparmor/exec"):
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
tell("adjtimex", call, "adjtimex", ctypes.cast(ctypes.create_string_buffer(256), ctypes.c_void_p))
tell("clock_adjtime", call, "clock_adjtime", 0, ctypes.cast(ctypes.create_string_buffer(256), ctypes.c_void_p))
tell("offsets", lambda: open("/proc/self/timens_offsets", "w", buffering=1).write("1 1 0\\n"))
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
        Refused({**dict.fromkeys(("root", "usr", "tmp", "cwd"), "EPERM"), "name": "ENOSYS EPERM"}),
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
