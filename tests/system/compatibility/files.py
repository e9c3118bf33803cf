# SPDX-License-Identifier: MIT
"""Programs that keep things: files, databases, archives, shared memory."""

from __future__ import annotations

from tests.system.compatibility.program import Program

PROGRAMS = [
    Program(
        "sqlite3: in memory, in a file, by two connections",
        """
        import sqlite3
        with sqlite3.connect(":memory:") as db:
            db.execute("create virtual table notes using fts5(text)")
            db.execute("insert into notes values ('the quick fox')")
            print(db.execute("select text from notes where notes match 'fox'").fetchone())
        one = sqlite3.connect("t.db", timeout=0.01)
        one.execute("create table t (n)")
        two = sqlite3.connect("t.db", timeout=0.01)
        one.execute("begin immediate"); one.execute("insert into t values (1)")
        try:
            two.execute("begin immediate")
        except sqlite3.OperationalError as e:
            print(e)
        one.commit(); print(two.execute("select n from t").fetchall())
        one.close(); two.close()
        """,
        """
        ('the quick fox',)
        database is locked
        [(1,)]
        """,
    ),
    Program(
        "sqlite3: write-ahead log, with a reader in another process",
        """
        import sqlite3, subprocess, sys, os
        db = sqlite3.connect("w.db")
        print(db.execute("pragma journal_mode=wal").fetchone())
        db.execute("create table t (n)")
        with db:
            db.executemany("insert into t values (?)", [(n,) for n in range(1000)])
        print(os.path.exists("w.db-shm"))
        print(subprocess.check_output([sys.executable, "-c",
            "import sqlite3; print(sqlite3.connect('w.db')"
            ".execute('select sum(n) from t').fetchone())"], text=True).strip())
        print(db.execute("pragma wal_checkpoint(truncate)").fetchone()); db.close()
        """,
        """
        ('wal',)
        True
        (499500,)
        (0, 0, 0)
        """,
    ),
    Program(
        "sqlite3: the program",
        """
        !sqlite3 c.db "create table t(a); insert into t values (6), (7)"
        !sqlite3 c.db "select sum(a) from t"
        """,
        "13",
        ("sqlite3",),
    ),
    Program(
        "dbm, shelve, pickle",
        """
        import dbm.dumb, pickle, shelve
        with shelve.open("kept") as kept: kept["a"] = [1, {2}]
        with shelve.open("kept") as kept: print(kept["a"])
        print(pickle.loads(pickle.dumps({"x": 1.5}, protocol=5)))
        """,
        """
        [1, {2}]
        {'x': 1.5}
        """,
    ),
    Program(
        "mmap: files, anonymous, shared with a child",
        """
        import mmap, os
        open("m", "wb").write(b"abc" * 5000)
        with open("m", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
            m[0:3] = b"XYZ"; m.flush(); print(m.find(b"abc"), len(m))
        print(open("m", "rb").read(4))
        m = mmap.mmap(-1, 4096)
        pid = os.fork()
        if pid == 0:
            m[:5] = b"child"; os._exit(0)
        os.waitpid(pid, 0); print(m[:5])
        m.madvise(mmap.MADV_DONTNEED); m.close()
        print(len(mmap.mmap(-1, 1 << 20, prot=mmap.PROT_READ | mmap.PROT_EXEC)))
        """,
        """
        3 15000
        b'XYZa'
        b'child'
        1048576
        """,
    ),
    Program(
        "tempfile: files, folders, spools",
        """
        import os, tempfile
        with tempfile.NamedTemporaryFile("w+", suffix=".txt") as f:
            f.write("x"); f.flush()
            print(os.path.getsize(f.name), f.name.startswith("/tmp"))
        with tempfile.TemporaryDirectory() as d:
            open(os.path.join(d, "a"), "w").close(); print(os.listdir(d))
        with tempfile.SpooledTemporaryFile(10) as f:
            f.write(b"y" * 100); f.seek(0); print(len(f.read()))
        with tempfile.TemporaryFile(dir=".") as f: print(f.write(b"z"))
        """,
        """
        1 True
        ['a']
        100
        1
        """,
    ),
    Program(
        "pathlib, shutil, glob, os.walk, scandir",
        """
        import glob, os, shutil
        from pathlib import Path
        (Path("a/b/c")).mkdir(parents=True)
        Path("a/b/one.txt").write_text("eins"); Path("a/ünï ☃.txt").write_text("zwei")
        print(sorted(str(p) for p in Path("a").rglob("*.txt")))
        shutil.copytree("a", "copy"); print(len(list(os.walk("copy"))))
        shutil.move("copy/b", "moved"); print(os.listdir("moved") != [])
        shutil.rmtree("a")
        print(sorted(glob.glob("*")), Path("moved/one.txt").stat().st_size)
        print(Path.home().is_dir(), os.access(Path.home(), os.W_OK))
        Path.home().joinpath(".config-of-a-program").write_text("x")
        print(Path("~/.config-of-a-program").expanduser().read_text())
        Path("~/.config-of-a-program").expanduser().unlink()
        """,
        """
        ['a/b/one.txt', 'a/ünï ☃.txt']
        3
        True
        ['copy', 'moved'] 4
        True True
        x
        """,
    ),
    Program(
        "links, modes, times, attributes, renames",
        """
        import os, stat
        open("f", "w").write("text")
        os.symlink("f", "s"); os.link("f", "h")
        print(os.readlink("s"), os.stat("f").st_nlink, os.path.samefile("s", "h"))
        os.chmod("f", 0o640); print(oct(stat.S_IMODE(os.stat("f").st_mode)))
        os.utime("f", (1, 2)); print(os.stat("f").st_mtime)
        os.replace("h", "r"); print(os.path.exists("h"), os.stat("r").st_nlink)
        os.mkfifo("p"); print(stat.S_ISFIFO(os.stat("p").st_mode))
        try:
            os.setxattr("f", "user.note", b"kept"); print(os.getxattr("f", "user.note"))
        except OSError as e:
            print(e.strerror)
        print(os.stat("f").st_uid == os.getuid(), os.stat("f").st_gid == os.getgid())
        umask = os.umask(0o077); open("g", "w"); os.umask(umask)
        print(oct(os.stat("g").st_mode), oct(umask))
        """,
        """
        f 2 True
        0o640
        2.0
        False 2
        True
        b'kept'
        True True
        0o100600 0o22
        """,
    ),
    Program(
        "executable files of the workspace",
        """
        import os, subprocess
        open("run.sh", "w").write("#!/bin/sh\\necho ran with $1\\n")
        os.chmod("run.sh", 0o755)
        print(subprocess.check_output(["./run.sh", "me"], text=True).strip())
        os.chmod("run.sh", 0o644)
        try:
            subprocess.run(["./run.sh"])
        except PermissionError as e:
            print(e.strerror)
        """,
        """
        ran with me
        Permission denied
        """,
    ),
    Program(
        "locks: flock, lockf, open file description",
        """
        import fcntl, os, struct
        a, b = open("l", "w"), open("l", "w")
        fcntl.flock(a, fcntl.LOCK_EX)
        try:
            fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("locked")
        fcntl.flock(a, fcntl.LOCK_UN); fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pid = os.fork()
        if pid == 0:
            try:
                fcntl.lockf(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os._exit(3)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        a.close(); b.close()
        """,
        """
        locked
        3
        """,
    ),
    Program(
        "large and sparse files",
        """
        import os
        block = os.urandom(1 << 20)
        with open("big", "wb") as f:
            for _ in range(32): f.write(block)
            os.fsync(f.fileno())
        print(os.path.getsize("big"), open("big", "rb").read(9) == block[:9])
        with open("sparse", "wb") as f:
            f.seek(200 << 20); f.write(b"end")
        print(os.path.getsize("sparse") >> 20, os.stat("sparse").st_blocks < 1000)
        with open("sparse", "rb") as f:
            print(os.lseek(f.fileno(), 0, os.SEEK_DATA) >= (199 << 20))
        with open("kept", "wb") as f:
            os.posix_fallocate(f.fileno(), 0, 1 << 20)
        print(os.path.getsize("kept"))
        with open("big", "rb") as i, open("copy", "wb") as o:
            print(os.sendfile(o.fileno(), i.fileno(), 0, 1000))
            print(os.copy_file_range(i.fileno(), o.fileno(), 1000))
        """,
        """
        33554432 True
        200 True
        True
        1048576
        1000
        1000
        """,
    ),
    Program(
        "many small files",
        """
        import os
        os.mkdir("d")
        for n in range(2000): open(f"d/{n}", "w").close()
        print(len(os.listdir("d"))); [os.unlink(e.path) for e in os.scandir("d")]
        os.rmdir("d")
        """,
        "2000",
    ),
    Program(
        "many open files",
        """
        import os
        files = [open("/dev/null") for _ in range(400)]
        print(len({f.fileno() for f in files})); [f.close() for f in files]
        """,
        "400",
    ),
    Program(
        "devices: null, zero, full, random",
        """
        print(open("/dev/null").read() == "", open("/dev/zero", "rb").read(3))
        print(len(open("/dev/urandom", "rb").read(16)))
        try:
            with open("/dev/full", "w") as f: f.write("x")
        except OSError as e:
            print(e.strerror)
        """,
        r"""
        True b'\x00\x00\x00'
        16
        No space left on device
        """,
    ),
    Program(
        "/dev/stdout, /dev/fd, and what C prints, come in order",
        """
        import ctypes, os
        print("first")
        with open("/dev/stdout", "w") as f: f.write("second\\n")
        ctypes.CDLL(None).puts(b"third"); ctypes.CDLL(None).fflush(None)
        os.write(1, b"fourth\\n"); os.system("echo fifth > /dev/fd/1")
        """,
        """
        first
        second
        third
        fourth
        fifth
        """,
        outside=None,
        why="ipykernel promises no order",
    ),
    Program(
        "inotify: a change is told",
        """
        import ctypes, os, select, struct
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.inotify_init1(0)
        print(libc.inotify_add_watch(fd, b".", 0x100) >= 0)
        open("new", "w").close()
        print(select.select([fd], [], [], 20)[0] == [fd])
        data = os.read(fd, 4096); print(data[16:19]); os.close(fd)
        """,
        """
        True
        True
        b'new'
        """,
    ),
    Program(
        "zip, tar, gzip, bzip2, xz: Python's",
        """
        import bz2, gzip, io, lzma, shutil, tarfile, zipfile
        open("a.txt", "w").write("text" * 1000)
        with zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED) as z: z.write("a.txt")
        print(zipfile.ZipFile("z.zip").read("a.txt")[:4])
        for mode in ("gz", "bz2", "xz"):
            with tarfile.open(f"t.{mode}", f"w:{mode}") as t: t.add("a.txt")
            with tarfile.open(f"t.{mode}") as t: print(mode, t.getnames())
        print(len(shutil.make_archive("arch", "zip", ".", "a.txt")) > 0)
        print(all(m.decompress(m.compress(b"q" * 99)) == b"q" * 99
                  for m in (bz2, gzip, lzma)))
        """,
        """
        b'text'
        gz ['a.txt']
        bz2 ['a.txt']
        xz ['a.txt']
        True
        True
        """,
    ),
    Program(
        "tar, gzip: the programs",
        """
        %%bash
        mkdir d; echo text > d/a; chmod 640 d/a
        tar czf d.tar.gz d && rm -r d && tar xzf d.tar.gz && cat d/a
        gzip d/a && zcat d/a.gz && stat -c %a d/a.gz
        """,
        """
        text
        text
        640
        """,
        ("tar", "gzip"),
    ),
    Program(
        "zip, xz, bzip2: the programs",
        """
        %%bash
        echo text > a; xz -k a; bzip2 -k a; zip -q a.zip a
        xzcat a.xz; bzcat a.bz2
        python -c 'import zipfile; print(zipfile.ZipFile("a.zip").namelist())'
        """,
        """
        text
        text
        ['a']
        """,
        ("zip", "xz", "bzip2"),
    ),
    Program(
        "shared memory of System V and POSIX",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        key = libc.shmget(0, 4096, 0o1600); at = libc.shmat(key, None, 0)
        ctypes.memmove(at, b"sysv", 4); print(ctypes.string_at(at, 4))
        libc.shmctl(key, 0, None); print(libc.shmdt(ctypes.c_void_p(at)))
        fd = os.memfd_create("m"); os.write(fd, b"memfd"); print(os.pread(fd, 9, 0))
        os.close(fd)
        open("/dev/shm/compat", "w").write("shm"); print(open("/dev/shm/compat").read())
        os.unlink("/dev/shm/compat")
        """,
        """
        b'sysv'
        0
        b'memfd'
        shm
        """,
    ),
    Program(
        "%%writefile, %run, %load_ext, %cd, %env, %timeit",
        """
        get_ipython().run_cell_magic(
            "writefile", "made.py", "value = 6 * 7\\nprint(value)")
        get_ipython().run_line_magic("run", "made.py")
        import os
        os.mkdir("sub")
        here = os.getcwd()
        get_ipython().run_line_magic("cd", "-q sub"); print(os.path.basename(os.getcwd()))
        os.chdir(here)
        get_ipython().run_line_magic("env", "COMPAT=yes"); print(os.environ["COMPAT"])
        get_ipython().system("echo $COMPAT")
        result = get_ipython().run_line_magic("timeit", "-q -o -n1 -r1 sum(range(10))")
        print(result.best > 0)
        del os.environ["COMPAT"]
        """,
        """
        Writing made.py
        42
        sub
        env: COMPAT=yes
        yes
        yes
        True
        """,
    ),
    Program(
        "what is outside is read-only or not there",
        """
        import errno, os
        for path in ("/usr/made", "/etc/made", "/made"):
            try:
                open(path, "w")
            except OSError as e:
                print(path, errno.errorcode[e.errno] in ("EROFS", "EACCES"))
        print([p for p in ("/root", "/var/lib", "/sys/kernel", "/boot", "/mnt")
               if os.path.isdir(p) and os.listdir(p)], os.listdir("/run"))
        """,
        """
        /usr/made True
        /etc/made True
        /made True
        [] ['cellwall']
        """,
        outside=None,
        why="that is the difference",
    ),
]
