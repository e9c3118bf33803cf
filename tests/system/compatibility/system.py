# SPDX-License-Identifier: MIT
"""Programs that ask the system: networks, limits, locales, terminals, time."""

from __future__ import annotations

from tests.system.compatibility.program import Program

PROGRAMS = [
    Program(
        "sockets: TCP, UDP, Unix, pairs, on localhost",
        """
        import socket, threading
        with socket.create_server(("localhost", 0)) as server:
            def serve():
                peer, _ = server.accept()
                with peer: peer.sendall(peer.recv(100)[::-1])
            t = threading.Thread(target=serve); t.start()
            with socket.create_connection(server.getsockname(), 20) as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.sendall(b"tcp"); print(s.recv(100))
            t.join()
        a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        a.bind(("127.0.0.1", 0)); b.sendto(b"udp", a.getsockname()); print(a.recv(100))
        a.close(); b.close()
        a, b = socket.socketpair(); a.send(b"pair"); print(b.recv(9))
        a.close(); b.close()
        s = socket.socket(socket.AF_UNIX); s.bind("u.sock"); s.listen()
        c = socket.socket(socket.AF_UNIX); c.connect("u.sock"); peer, _ = s.accept()
        socket.send_fds(c, [b"fd"], [1]); print(len(socket.recv_fds(peer, 9, 1)[1]))
        s.close(); c.close(); peer.close()
        print(socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4])
        """,
        """
        b'pct'
        b'udp'
        b'pair'
        1
        ('127.0.0.1', 80)
        """,
    ),
    Program(
        "http: a server and its clients on localhost",
        """
        import http.server, threading, urllib.request, requests
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *a): pass
        open("page.txt", "w").write("a page")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_port}/page.txt"
        print(urllib.request.urlopen(url, timeout=20).read())
        print(requests.get(url).status_code)
        server.shutdown(); server.server_close()
        """,
        """
        b'a page'
        200
        """,
        ("import requests",),
    ),
    Program(
        "ssl: contexts, certificates, ciphers, hashes",
        """
        import hashlib, hmac, secrets, ssl
        context = ssl.create_default_context()
        print(context.verify_mode == ssl.CERT_REQUIRED, len(context.get_ciphers()) > 5)
        print(context.cert_store_stats()["x509_ca"] > 10)
        print(hashlib.sha256(b"x").hexdigest()[:8])
        print(len(hashlib.scrypt(b"p", salt=b"s", n=2, r=1, p=1)))
        print(hmac.compare_digest(b"a", b"a"), len(secrets.token_hex()))
        """,
        """
        True True
        True
        2d711642
        64
        True 64
        """,
    ),
    Program(
        "a network that is not there fails fast and with an OSError",
        """
        import socket, urllib.request
        try:
            socket.create_connection(("192.0.2.1", 80), 20)
        except OSError as e:
            print(e.strerror)
        try:
            urllib.request.urlopen("http://example.org", timeout=20)
        except OSError as e:
            print(type(e).__name__)
        """,
        """
        Network is unreachable
        URLError
        """,
        outside=None,
        why="there may be a network",
    ),
    Program(
        "processors: every library counts the same",
        """
        import concurrent.futures, multiprocessing, os, joblib, psutil, subprocess
        count = os.cpu_count()
        print(count >= 1, count == int(subprocess.check_output(["nproc"])))
        print(count == psutil.cpu_count(), count == joblib.cpu_count())
        print(count <= len(os.sched_getaffinity(0)))
        os.sched_setaffinity(0, os.sched_getaffinity(0))
        """,
        """
        True True
        True True
        True
        """,
        ("import joblib", "import psutil"),
    ),
    Program(
        "resource: limits are told, and may be lowered",
        """
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        print(soft >= 1024, resource.getrlimit(resource.RLIMIT_CORE))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft - 1)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0)
        """,
        """
        True (0, 0)
        True
        True
        """,
        outside=None,
        why="core files may be allowed there",
    ),
    Program(
        "locales and encodings",
        """
        import locale, sys, subprocess
        print(sys.getfilesystemencoding(), locale.getpreferredencoding(False))
        print(locale.setlocale(locale.LC_ALL, "C.UTF-8"))
        print(locale.format_string("%.2f", 1234.5), sys.stdout.encoding.lower())
        print(subprocess.check_output(["echo", "ünï"]).decode().strip())
        """,
        """
        utf-8 UTF-8
        C.UTF-8
        1234.50 utf-8
        ünï
        """,
    ),
    Program(
        "time zones",
        """
        import datetime, os, time, zoneinfo
        berlin = zoneinfo.ZoneInfo("Europe/Berlin")
        print(datetime.datetime(2024, 7, 1, 12, tzinfo=berlin).utcoffset())
        print(len(zoneinfo.available_timezones()) > 400)
        old = os.environ.get("TZ")
        os.environ["TZ"] = "America/New_York"; time.tzset()
        print(time.strftime("%H %Z", time.localtime(0)))
        os.environ.pop("TZ")
        if old is not None: os.environ["TZ"] = old
        time.tzset()
        """,
        """
        2:00:00
        True
        19 EST
        """,
    ),
    Program(
        "who and where: getpass, pwd, platform, home",
        """
        import getpass, grp, os, platform, pwd, socket
        print(getpass.getuser())
        print(pwd.getpwuid(os.getuid()).pw_dir == os.path.expanduser("~"))
        print(platform.system(), platform.machine() != "", socket.gethostname())
        print(grp.getgrgid(os.getgid()).gr_name != "", os.getlogin.__name__)
        """,
        """
        user
        True
        Linux True cellwall
        True getlogin
        """,
        outside=None,
        why="names are the machine's there",
    ),
    Program(
        "getpass and input without a front end fail at once",
        """
        import getpass
        for ask in (input, getpass.getpass):
            try:
                ask("? ")
            except Exception as e:
                print(type(e).__name__)
        """,
        """
        StdinNotImplementedError
        StdinNotImplementedError
        """,
    ),
    Program(
        "curses: terminfo, a screen in a terminal",
        """
        import os, pty, sys
        pid, fd = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(sys.executable, [sys.executable, "-c",
                "import curses\\n"
                "def main(screen):\\n"
                "    screen.addstr(1, 1, 'on screen'); screen.refresh()\\n"
                "    return curses.tigetnum('cols')\\n"
                "curses.wrapper(main)\\n"
                "print('closed')"])
        said = b""
        while True:
            try:
                said += os.read(fd, 4096)
            except OSError:
                break
        os.close(fd)
        print(os.waitpid(pid, 0)[1], b"on screen" in said, b"closed" in said)
        """,
        "0 True True",
    ),
    Program(
        "readline",
        """
        import readline, os
        readline.add_history("one"); readline.write_history_file("h")
        print(open("h").read().split())
        readline.clear_history()
        """,
        "['one']",
    ),
    Program(
        "webbrowser and a display that are not there",
        """
        import os, webbrowser
        print(os.environ.get("DISPLAY"), webbrowser.open("http://localhost:1/"))
        """,
        "None False",
        outside=None,
        why="it might open one",
    ),
    Program(
        "tkinter without a display says so",
        """
        import tkinter
        try:
            tkinter.Tk()
        except tkinter.TclError as e:
            print("no display" in str(e))
        """,
        "True",
        ("import tkinter",),
        outside=None,
        why="it might open a window",
    ),
    Program(
        "faulthandler, traceback, tracemalloc, gc",
        """
        import faulthandler, gc, io, subprocess, sys, tracemalloc
        with open("trace", "w") as f: faulthandler.dump_traceback(f)
        print("most recent call first" in open("trace").read())
        done = subprocess.run([sys.executable, "-X", "faulthandler", "-c",
            "import ctypes; ctypes.string_at(0)"], capture_output=True, text=True)
        print(done.returncode, "Segmentation fault" in done.stderr)
        tracemalloc.start(); x = [0] * 10000
        print(tracemalloc.get_traced_memory()[0] > 10000); tracemalloc.stop()
        print(gc.collect() >= 0)
        """,
        """
        True
        -11 True
        True
        True
        """,
    ),
    Program(
        "ctypes: libraries, callbacks, struct",
        """
        import ctypes, ctypes.util
        print(ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6") is not None)
        libc = ctypes.CDLL("libc.so.6")
        compare = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
        array = (ctypes.c_int * 4)(3, 1, 4, 1)
        libc.qsort(array, 4, 4, compare(lambda a, b: a[0] - b[0])); print(list(array))
        """,
        """
        True
        [1, 1, 3, 4]
        """,
    ),
    Program(
        "cffi: calls and callbacks",
        """
        import cffi
        ffi = cffi.FFI()
        ffi.cdef("int abs(int); double atof(const char *);")
        c = ffi.dlopen(None); print(c.abs(-4), c.atof(b"2.5"))
        print(ffi.callback("int(int)", lambda n: n + 1)(41))
        """,
        """
        4 2.5
        42
        """,
        ("import cffi",),
    ),
    Program(
        "memory: large arrays, huge pages, locked pages",
        """
        import mmap, resource, numpy as np
        a = np.ones(16_000_000); print(int(a.sum())); del a
        m = mmap.mmap(-1, 8 << 20); m.madvise(mmap.MADV_HUGEPAGE); m[0] = 1; m.close()
        import ctypes
        buffer = ctypes.create_string_buffer(4096)
        print(ctypes.CDLL(None).mlock(buffer, 4096))
        """,
        """
        16000000
        0
        """,
    ),
    Program(
        "code made at run time: executable memory",
        """
        import ctypes, mmap, platform
        codes = {"x86_64": b"\\xb8\\x2a\\x00\\x00\\x00\\xc3",
                 "aarch64": b"\\x40\\x05\\x80\\x52\\xc0\\x03\\x5f\\xd6"}
        code = codes[platform.machine()]
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        at = ctypes.addressof(ctypes.c_char.from_buffer(page))
        print(ctypes.CFUNCTYPE(ctypes.c_int)(at)())
        """,
        "42",
    ),
    Program(
        "uuid, random, environment, uname",
        """
        import os, random, uuid
        print(len(str(uuid.uuid4())), len(str(uuid.uuid1())), os.uname().sysname)
        print(random.Random(1).randint(1, 100), len(os.urandom(8)))
        print({"HOME", "PATH"} <= set(os.environ))
        print(len(os.getrandom(4)), os.sysconf("SC_PAGE_SIZE"))
        """,
        """
        36 36 Linux
        18 8
        True
        4 4096
        """,
    ),
    Program(
        "/proc: oneself, memory, load",
        """
        import os
        print(os.readlink("/proc/self/exe") != "")
        print("VmRSS" in open("/proc/self/status").read())
        print(len(os.listdir("/proc/self/fd")) > 3, open("/proc/self/maps").read() != "")
        print("MemTotal" in open("/proc/meminfo").read(), len(os.getloadavg()))
        print("processor" in open("/proc/cpuinfo").read())
        print("cpu" in open("/proc/stat").read())
        print(open("/proc/sys/kernel/pid_max").read().strip().isdigit())
        """,
        """
        True
        True
        True True
        True 3
        True
        True
        True
        """,
    ),
]
