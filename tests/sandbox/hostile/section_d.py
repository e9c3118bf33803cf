# SPDX-License-Identifier: MIT
"""D, first part: processes, files of the kernel, mounts and namespaces."""

from __future__ import annotations

from tests.sandbox.hostile.program import Program, Refused, Says

# Which of the walls is met first differs by profile, user and kernel.
GONE = "ENOENT ENOTDIR"
CLOSED = "EROFS EACCES EPERM ENOENT"

PROGRAMS = [
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
for what in (
    "mem",
    "environ",
    "root/etc/shadow",
    "cwd",
    "exe",
    "maps",
    "fd/0",
    "fd/3",
    "ns/mnt",
    "stack",
    "syscall",
):
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
                **dict.fromkeys(
                    ("self", "path", "truncate", "by-fd"), "EROFS ETXTBSY EACCES"
                ),
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
    f.write("#!/proc/self/exe\\nimport os\\nos.open('/proc/self/exe', os.O_RDWR)\\n")
os.chmod(path, 0o755)
try:
    print(
        "ended", subprocess.run([path], capture_output=True, timeout=20).returncode != 0
    )
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
for what in (
    "sys/kernel/core_pattern",
    "sys/kernel/modprobe",
    "sys/kernel/hostname",
    "sys/vm/overcommit_memory",
    "sys/kernel/ns_last_pid",
    "sysrq-trigger",
    "sys/user/max_user_namespaces",
    "sys/net/ipv4/ip_forward",
    "sys/fs/binfmt_misc/register",
    "sys/kernel/randomize_va_space",
    "irq/0/smp_affinity",
    "mtrr",
    "scsi/scsi",
    "acpi/wakeup",
):
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
for what in (
    "kcore",
    "keys",
    "key-users",
    "kallsyms",
    "timer_list",
    "sched_debug",
    "kmsg",
    "kpageflags",
    "kpagecount",
    "vmallocinfo",
    "slabinfo",
    "1/stack",
):
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
for what in (
    "/sys/kernel",
    "/sys/fs/bpf",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/firmware/efi/efivars",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/release_agent",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/cgroup.kill",
):
    tell_open(what, what, os.O_RDONLY)
for what in (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/pids.max",
    "/sys/fs/cgroup/cpu.max",
):
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
                **dict.fromkeys(
                    ("cgroup", "cgroup2", "sysfs", "debugfs", "tracefs"), "EPERM"
                ),
            }
        ),
    ),
    Program(
        60,
        "devices",
        "makes and opens devices",
        """
import stat

for name, kind, major, minor in (
    ("mem", stat.S_IFCHR, 1, 1),
    ("disk", stat.S_IFBLK, 8, 0),
    ("null", stat.S_IFCHR, 1, 3),
    ("white", stat.S_IFCHR, 0, 0),
):
    tell("make-" + name, os.mknod, "/tmp/" + name, kind | 0o666, os.makedev(major, minor))
tell("make-high", call, "mknod", b"/tmp/high", (1 << 32) | stat.S_IFCHR | 0o666, 0x101)
for name in (
    "mem",
    "kmem",
    "port",
    "kvm",
    "sda",
    "vda",
    "kmsg",
    "fuse",
    "net/tun",
    "tty",
    "console",
    "tty0",
    "vhost-net",
    "vsock",
    "userfaultfd",
    "loop-control",
    "mapper/control",
    "cpu/0/msr",
    "nvme0",
    "dri/card0",
    "uinput",
    "watchdog",
):
    tell_open(name, "/dev/" + name, os.O_RDWR)
""",
        Refused(
            {
                **dict.fromkeys(
                    ("make-mem", "make-disk", "make-null", "make-white", "make-high"),
                    "EPERM",
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
    ("tmpfs", b"none", m, b"tmpfs", 0),
    ("proc", b"none", m, b"proc", 0),
    ("bind", b"/", m, None, 4096),
    ("rebind", None, b"/usr", None, 4096 | 32),
    ("shared", None, b"/", None, 1 << 20),
    ("move", b"/tmp", m, None, 8192),
    ("overlay", b"overlay", m, b"overlay", 0),
    ("fuse", b"f", m, b"fuse", 0),
):
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
FLAGS = {
    "user": 0x10000000,
    "mnt": 0x20000,
    "net": 0x40000000,
    "pid": 0x20000000,
    "ipc": 0x8000000,
    "uts": 0x4000000,
    "cgroup": 0x2000000,
    "time": 0x80,
    "user+net": 0x50000000,
}
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
for command in (
    [own, "-u"],
    ["su", "-c", "id -u", "root"],
    ["/usr/bin/newgrp", "root"],
    ["passwd", "-d", "root"],
    ["sudo", "-n", "id", "-u"],
):
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20
        )
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
]
