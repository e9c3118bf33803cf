# SPDX-License-Identifier: MIT
"""E: files and the workspace."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tests.sandbox.hostile.program import Lost, Program, Refused, Says
from tests.system.rawclient import Run

if TYPE_CHECKING:
    from tests.sandbox.hostile.way import Way

CLOSED = "EROFS EACCES EPERM"


def none_is_a_device(run: Run, way: Way) -> None:
    for path in (way.folder / "work").iterdir():
        mode = path.lstat().st_mode
        assert not stat.S_ISBLK(mode) and not stat.S_ISCHR(mode)


def belongs_to_the_user(run: Run, way: Way) -> None:
    """What set-user-id bits the program left are those of the notebook's owner."""
    for path in (way.folder / "work").iterdir():
        assert path.lstat().st_uid == (way.user or os.getuid())


def work_is_there(run: Run, way: Way) -> None:
    assert (way.folder / "work").is_dir()
    assert sorted(p.name for p in way.folder.iterdir()) == [
        *("environment.json", "home", "logs", "outside", "run", "tmp", "work")
    ]


PROGRAMS = [
    Program(
        81,
        "links-out",
        "leaves links to secrets, and follows them",
        """
for i, target in enumerate(
    ["/etc/shadow", CANARIES[0], "/proc/1/root", "../" * 40 + CANARIES[0]]
):
    os.symlink(target, f"l{i}")
    tell_open(f"l{i}", f"l{i}")
    tell_open(f"write-l{i}", f"l{i}", os.O_WRONLY | os.O_CREAT)
""",
        Refused(
            {
                **dict.fromkeys(("l0", "l1", "l2", "l3"), "ENOENT EACCES EPERM"),
                **{f"write-l{i}": "ENOENT EROFS EACCES EPERM EISDIR" for i in range(4)},
            }
        ),
    ),
    Program(
        81,
        "links-as-standard-places",
        "leaves links where its next interpreter will look for its files",
        """
home = os.path.expanduser("~")
for name in (".ipython", ".cache", ".config", ".local", ".jupyter"):
    try:
        os.rename(os.path.join(home, name), "/tmp/" + name[1:])
    except OSError:
        pass
    for place in (home, os.getcwd()):
        try:
            os.symlink(
                "/proc/1/root" + os.path.dirname(CANARIES[0]), os.path.join(place, name)
            )
        except OSError:
            pass
print("left")
""",
        Says("left"),
        unclean=True,
    ),
    Program(
        82,
        "swap-race",
        "swaps a folder for a link as fast as it can, and walks through it",
        """
import threading

os.makedirs("real", exist_ok=True)
open("real/canary", "w").write("mine")
os.symlink(os.path.dirname(CANARIES[0]), "other")
stop, leaked = False, []


def swap():
    while not stop:
        try:
            os.rename("real", "t")
            os.rename("other", "real")
            os.rename("real", "other")
            os.rename("t", "real")
        except OSError:
            pass


t = threading.Thread(target=swap)
t.start()
name = os.path.basename(CANARIES[0])
for _ in range(5000):
    try:
        with open("real/" + name) as f:
            leaked.append(f.read())
    except OSError:
        pass
stop = True
t.join()
print("leaked", leaked)
""",
        Says(r"leaked \[\]"),
    ),
    Program(
        83,
        "replace-the-workspace",
        "moves its workspace away, and walks out of it by a descriptor",
        """
here = os.getcwd()
up = os.path.dirname(here)
tell("rename", os.rename, here, "/tmp/moved")
tell("rename-up", os.rename, here, up + "/moved")
tell("remove", os.rmdir, here)
tell("make-beside", os.mkdir, up + "/beside")
os.makedirs("a/b", exist_ok=True)
fd = os.open("a/b", os.O_RDONLY)
os.rename("a/b", "b")
tell("walk", lambda: os.open("../../.." + CANARIES[0], os.O_RDONLY, dir_fd=fd))
tell(
    "walk-far",
    lambda: os.open("../" * 50 + CANARIES[0].lstrip("/"), os.O_RDONLY, dir_fd=fd),
)
os.close(fd)
""",
        Says(
            r"rename (EXDEV|EBUSY|EROFS|EACCES|EPERM)\n",
            r"rename-up (EXDEV|EBUSY|EROFS|EACCES|EPERM)\n",
            r"remove (EBUSY|EROFS|EACCES|EPERM|ENOTEMPTY)\n",
            r"make-beside (EROFS|EACCES|EPERM|done)\n",  # done: in a tmpfs of its own
            r"walk ENOENT\n",
            r"walk-far ENOENT\n",
            also=work_is_there,
        ),
    ),
    Program(
        84,
        "hard-links",
        "links to what it may only read, to write through the link",
        """
exe = os.path.realpath("/proc/self/exe")
for what, path in (
    ("exe", exe),
    ("passwd", "/etc/passwd"),
    ("libc", "/usr/lib"),
    ("null", "/dev/null"),
):
    tell(what, os.link, path, "hard")
    tell(what + "-tmp", os.link, path, "/tmp/hard")
fd = os.open(exe, os.O_PATH)
tell("by-fd", os.link, f"/proc/self/fd/{fd}", "hard", follow_symlinks=True)
tell("empty", call, "linkat", fd, b"", -100, b"hard", 0x1000)
os.close(fd)
""",
        Refused(
            {
                **{
                    what + place: "EXDEV EPERM EACCES EROFS"
                    for what in ("exe", "passwd", "libc", "null")
                    for place in ("", "-tmp")
                },
                "by-fd": "EXDEV EPERM EACCES EROFS",
                "empty": "ENOENT EXDEV EPERM",
            }
        ),
    ),
    Program(
        85,
        "special-files",
        "leaves pipes, sockets and devices where the server might open them",
        """
import stat

os.mkfifo("pipe")
s = socket.socket(socket.AF_UNIX)
s.bind("sock")
s.close()
tell("device", os.mknod, "device", stat.S_IFCHR | 0o666, os.makedev(1, 8))
for name in ("kernel.json", ".ipython", "nbconfig"):
    try:
        os.mkfifo(name)
    except OSError:
        pass
""",
        Refused({"device": "EPERM"}),
        unclean=True,
    ),
    Program(
        85,
        "special-files-in-the-workspace",
        "the same, seen from outside",
        """
os.mkfifo("pipe")
for kind in (0o20000, 0o60000):
    try:
        os.mknod("device", kind | 0o666, os.makedev(1, 1))
    except OSError:
        pass
print("made")
""",
        Says("made", also=none_is_a_device),
        profiles=("notebook",),
    ),
    Program(
        86,
        "names",
        "makes files whose names are options, escapes, no text, and very long",
        """
names = [
    b"-rf",
    b"--help",
    b"a\\nb",
    b"\\x1b[2J",
    b"\\xff\\xfe",
    b"\\xed\\xa0\\x80",
    b" ",
    b"~",
    b"x" * 255,
    "\\u202egnp.exe".encode(),
    b"$(reboot)",
    b"`id`",
    b"con",
    b"...",
]
for name in names:
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
assert set(names) <= set(os.listdir(b"."))
print(sorted(os.listdir(".")))
tell("too-long", os.mkdir, "x" * 256)
""",
        Says("too-long ENAMETOOLONG"),
    ),
    Program(
        87,
        "shrinking-file",
        "truncates a file that it has mapped, and touches it",
        """
import mmap

with open("shrinks", "w+b") as f:
    f.write(bytes(1 << 16))
    f.flush()
    m = mmap.mmap(f.fileno(), 1 << 16)

    def touch():
        f.truncate(0)
        m[1 << 15]

    print("status", in_child(touch))
    m.close()
""",
        Says("status 7"),
    ),
    Program(
        88,
        "hard-to-remove",
        "takes all rights from its files, and hangs attributes on them",
        """
os.makedirs("closed/inner", exist_ok=True)
open("closed/inner/file", "w").close()
for i in range(200):
    try:
        os.setxattr("closed/inner/file", f"user.x{i}", b"y" * 1000)
    except OSError as e:
        break
print("attributes", i)
tell("trusted", os.setxattr, "closed", "trusted.overlay.opaque", b"y")
tell("security", os.setxattr, "closed", "security.capability", bytes(20))
FLAGS = (ctypes.c_int)(0x10)
fd = os.open("closed/inner/file", os.O_RDONLY)
tell(
    "immutable",
    call,
    "ioctl",
    fd,
    0x40086602,
    ctypes.cast(ctypes.pointer(FLAGS), ctypes.c_void_p),
)
os.close(fd)
os.chmod("closed/inner/file", 0)
os.chmod("closed/inner", 0)
os.chmod("closed", 0)
""",
        Says(
            "trusted (EPERM|EOPNOTSUPP)",
            "security (EPERM|EINVAL|EOPNOTSUPP)",
            "immutable (ENOSYS|EPERM)",
        ),
        unclean=True,
    ),
    Program(
        89,
        "leases-and-locks",
        "takes leases on what others read, to hold them up",
        """
import fcntl

exe = os.path.realpath("/proc/self/exe")
fd = os.open(exe, os.O_RDONLY)
tell("write-lease", fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
tell("read-lease", fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
tell("mandatory", os.chmod, exe, 0o2755)
os.close(fd)
fd = os.open("/", os.O_RDONLY)
tell("quota", call, "quotactl_fd", fd, 0, 0, None)
os.close(fd)
""",
        Refused(
            {
                "write-lease": "EACCES EAGAIN EPERM EINVAL",
                "read-lease": "EACCES EAGAIN EPERM EINVAL",
                "mandatory": CLOSED,
                "quota": "ENOSYS",
            }
        ),
    ),
    Program(
        90,
        "poison-the-next",
        "leaves code in every place that the next interpreter may run it from",
        """
import site, sysconfig

home = os.path.expanduser("~")
places = {
    home,
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    site.getusersitepackages(),
    *site.getsitepackages(),
    *(p for p in sys.path if p),
    *sysconfig.get_paths().values(),
    os.environ.get("PIP_TARGET") or "/tmp",
    home + "/.ipython/profile_default/startup",
    os.environ.get("IPYTHONDIR", "/tmp") + "/profile_default/startup",
}
here = os.getcwd()
for place in places:
    if place == here:
        continue  # the notebook's own folder is its own business
    for name in (
        "sitecustomize.py",
        "usercustomize.py",
        "json.py",
        "poison.pth",
        "00-poison.py",
    ):
        try:
            os.makedirs(place, exist_ok=True)
            with open(os.path.join(place, name), "w") as f:
                f.write("import builtins; builtins.poisoned = True\\n")
        except OSError:
            pass
os._exit(1)
""",
        Lost("crashed", names="KernelDied"),
    ),
    Program(
        90,
        "is-poisoned",
        "looks whether the last one has left anything",
        """
import builtins, json

print(
    "poisoned",
    hasattr(builtins, "poisoned"),
    "poison" in str(sys.path),
    [p for p in ("/tmp", "/var/tmp", "/dev/shm") if "json.py" in os.listdir(p)],
)
""",
        Says(r"poisoned False False \[\]"),
    ),
    Program(
        91,
        "write-to-the-installation",
        "writes to the interpreter's packages, its caches and the runner",
        """
import json, numpy, site
import cellwall_runner

for what, folder in (
    ("numpy", os.path.dirname(numpy.__file__)),
    ("json", os.path.dirname(json.__file__)),
    ("runner", os.path.dirname(cellwall_runner.__file__)),
    ("prefix", sys.prefix),
    ("base", sys.base_prefix),
    ("site", site.getsitepackages()[0]),
    ("usr", "/usr"),
    ("etc", "/etc"),
    ("cache", os.path.dirname(json.__file__) + "/__pycache__"),
):
    tell_open(what, folder + "/made", os.O_WRONLY | os.O_CREAT)
    tell(what + "-mode", os.chmod, folder, 0o777)
    tell(what + "-time", os.utime, folder)
tell_open("runner-file", cellwall_runner.__file__, os.O_WRONLY)
tell_open("numpy-file", numpy.__file__, os.O_RDWR)
""",
        Refused(
            {
                **{
                    what + how: CLOSED
                    for what in (
                        *("numpy", "json", "runner", "prefix", "base", "site", "usr"),
                        *("etc", "cache"),
                    )
                    for how in ("", "-mode", "-time")
                },
                "runner-file": CLOSED,
                "numpy-file": CLOSED,
            }
        ),
    ),
    Program(
        92,
        "cover-the-workspace",
        "mounts over its workspace and its /proc, by every program there is for it",
        """
import shutil, subprocess

failed = []
for command in (
    ["mount", "-t", "tmpfs", "none", "."],
    ["mount", "--bind", "/", "/proc"],
    ["umount", "/proc"],
    ["fusermount", "-u", "."],
    ["unshare", "-Urm", "true"],
    ["nsenter", "-t", "1", "-a", "true"],
    ["chroot", "/", "/bin/true"],
    ["bwrap", "--ro-bind", "/", "/", "true"],
    ["losetup", "-f"],
    ["newuidmap", "1", "0", "0", "1"],
):
    if shutil.which(command[0]):
        done = subprocess.run(command, capture_output=True, timeout=20)
        failed.append(done.returncode != 0)
print("failed", all(failed))
""",
        Says("failed True"),
    ),
    Program(
        88,
        "set-user-id-for-outside",
        "leaves set-user-id programs for somebody outside to run",
        """
import shutil

shutil.copy("/usr/bin/id", "id")
os.chmod("id", 0o6777)
print("left")
""",
        Says("left", also=belongs_to_the_user),
        profiles=("notebook",),
    ),
]
