# SPDX-License-Identifier: MIT
"""Programs that do several things at once: processes, threads, tasks, signals."""

from __future__ import annotations

from tests.system.compatibility.program import Program

# Spawned processes import their functions, which must be in a file, as in any kernel.
WORK = '''
open("work_{method}.py", "w").write("""
def square(n): return n * n
def put(queue): queue.put("from the child")
def fill(name, size):
    from multiprocessing.shared_memory import SharedMemory
    block = SharedMemory(name)
    block.buf[:size] = b"x" * size
    block.close()
def add(total, lock):
    for _ in range(1000):
        with lock: total.value += 1
def note(shared): shared["done"] = True
def answer(pipe): pipe.send(pipe.recv() + 1)
def wait(barrier): barrier.wait(20)
""")
import importlib; importlib.invalidate_caches()
import multiprocessing, work_{method} as work
from multiprocessing.shared_memory import SharedMemory
mp = multiprocessing.get_context("{method}")
with mp.Pool(2) as pool:
    print(pool.map(work.square, range(5)), pool.apply_async(work.square, (9,)).get(20))
queue = mp.Queue()
child = mp.Process(target=work.put, args=(queue,))
child.start(); print(queue.get(timeout=20)); child.join(); print(child.exitcode)
block = SharedMemory(create=True, size=4096)
child = mp.Process(target=work.fill, args=(block.name, 3))
child.start(); child.join(); print(bytes(block.buf[:4])); block.close(); block.unlink()
total, lock = mp.Value("i", 0, lock=False), mp.Lock()
children = [mp.Process(target=work.add, args=(total, lock)) for _ in range(2)]
[c.start() for c in children]; [c.join() for c in children]; print(total.value)
with mp.Manager() as manager:
    shared = manager.dict()
    child = mp.Process(target=work.note, args=(shared,)); child.start(); child.join()
    print(dict(shared))
ours, theirs = mp.Pipe()
child = mp.Process(target=work.answer, args=(theirs,)); child.start()
ours.send(41); print(ours.recv()); child.join()
barrier = mp.Barrier(2)
child = mp.Process(target=work.wait, args=(barrier,)); child.start()
barrier.wait(20); child.join(); print(child.exitcode)
'''
WORKED = r"""
[0, 1, 4, 9, 16] 81
from the child
0
b'xxx\x00'
2000
{'done': True}
42
0
"""

PROGRAMS = [
    *(
        Program(f"multiprocessing: {method}", WORK.replace("{method}", method), WORKED)
        for method in ("fork", "spawn", "forkserver")
    ),
    Program(
        "multiprocessing: functions of a cell, by fork",
        """
        import multiprocessing
        offset = 10
        def shifted(n): return n + offset
        with multiprocessing.get_context("fork").Pool(3) as pool:
            print(sum(pool.imap_unordered(shifted, range(100), chunksize=7)))
        """,
        "5950",
    ),
    Program(
        "concurrent.futures: threads and processes",
        """
        import concurrent.futures as cf, math
        with cf.ThreadPoolExecutor() as pool:
            print(sum(pool.map(math.isqrt, range(100))))
        with cf.ProcessPoolExecutor(2) as pool:
            futures = [pool.submit(math.factorial, n) for n in (3, 4, 5)]
            print([f.result(timeout=20) for f in futures])
        """,
        """
        615
        [6, 24, 120]
        """,
    ),
    Program(
        "asyncio: await at the top of a cell, tasks, queues",
        """
        import asyncio
        queue = asyncio.Queue()
        async def produce():
            for n in range(3):
                await queue.put(n)
                await asyncio.sleep(0)
        task = asyncio.create_task(produce())
        print([await queue.get() for _ in range(3)])
        await task
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:
            print("timeout")
        print(await asyncio.to_thread(sum, [1, 2, 3]))
        """,
        """
        [0, 1, 2]
        timeout
        6
        """,
    ),
    Program(
        "asyncio: a server and a client on localhost",
        """
        import asyncio
        async def echo(reader, writer):
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()
        for address in ("127.0.0.1", "localhost", "::1"):
            try:
                server = await asyncio.start_server(echo, address, 0)
            except OSError as e:
                print(address, e.errno); continue
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(b"hello\\n")
            print(address, await reader.readline())
            writer.close(); server.close()
        server = await asyncio.start_unix_server(echo, "s.sock")
        reader, writer = await asyncio.open_unix_connection("s.sock")
        writer.write(b"unix\\n"); print(await reader.readline())
        writer.close(); server.close()
        """,
        r"""
        127.0.0.1 b'HELLO\n'
        localhost b'HELLO\n'
        ::1 b'HELLO\n'
        b'UNIX\n'
        """,
    ),
    Program(
        "asyncio: subprocesses",
        """
        import asyncio
        child = await asyncio.create_subprocess_exec(
            "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        print(await child.communicate(b"through cat"), child.returncode)
        child = await asyncio.create_subprocess_shell("exit 3")
        print(await child.wait())
        child = await asyncio.create_subprocess_exec("sleep", "1000")
        child.terminate()
        print(await child.wait())
        """,
        """
        (b'through cat', None) 0
        3
        -15
        """,
    ),
    Program(
        "threads: locks, conditions, locals, timers, daemons",
        """
        import threading, queue
        total, lock = 0, threading.Lock()
        def add():
            global total
            for _ in range(10_000):
                with lock: total += 1
        threads = [threading.Thread(target=add) for _ in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        print(total)
        went = threading.Event()
        threading.Timer(0.001, went.set).start(); print(went.wait(20))
        threading.Thread(target=threading.Event().wait, args=(60,), daemon=True).start()
        ids = set()
        t = threading.Thread(target=lambda: ids.add(threading.get_native_id()))
        t.start(); t.join(); print(ids != {threading.get_native_id()})
        """,
        """
        80000
        True
        True
        """,
    ),
    Program(
        "threads: fifty at once",
        """
        import threading
        gate, done = threading.Barrier(51), []
        def pass_gate():
            gate.wait(20); done.append(1)
        threads = [threading.Thread(target=pass_gate) for _ in range(50)]
        [t.start() for t in threads]
        gate.wait(20)
        [t.join() for t in threads]
        print(len(done))
        """,
        "50",
    ),
    Program(
        "os.fork, waitpid, pipes, exec",
        """
        import os
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(w, b"hello from %d" % (os.getppid() > 0))
            os._exit(7)
        os.close(w)
        print(os.read(r, 100), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.close(r)
        print(os.spawnlp(os.P_WAIT, "true", "true"), os.system("exit 5") >> 8)
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], os.environ)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
        """
        b'hello from 1' 7
        0 5
        9
        """,
    ),
    Program(
        "os.fork: a double fork's orphan ends unseen",
        """
        import os, time
        r, w = os.pipe()
        if os.fork() == 0:
            if os.fork() == 0:
                os.setsid()
                while os.getppid() == os.getpgrp(): pass
                os.write(w, b"orphan")
                os._exit(0)
            os._exit(0)
        os.wait(); os.close(w)
        print(os.read(r, 10)); os.close(r)
        """,
        "b'orphan'",
    ),
    Program(
        "os.pidfd_open and waitid",
        """
        import os, select, signal
        pid = os.fork()
        if pid == 0:
            signal.pause()
        try:
            fd = os.pidfd_open(pid)
        except OSError as e:
            print(e.errno == 38)
            os.kill(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
            print(select.select([fd], [], [], 20)[0] == [fd])
            os.close(fd)
        print(os.waitid(os.P_PID, pid, os.WEXITED).si_status)
        """,
        """
        True
        9
        """,
    ),
    Program(
        "subprocess: pipes, shells, timeouts, groups",
        """
        import subprocess as sp, os, signal, sys
        print(sp.run(["tr", "a-z", "A-Z"], input="text", text=True,
                     capture_output=True).stdout)
        print(sp.check_output("echo $((6 * 7)) | cat", shell=True, text=True).strip())
        print(sp.run("echo out; echo err >&2", shell=True, text=True, stdout=sp.PIPE,
                     stderr=sp.STDOUT).stdout.split())
        try:
            sp.run(["sleep", "100"], timeout=0.05)
        except sp.TimeoutExpired:
            print("timeout")
        try:
            sp.run(["no-such-program"])
        except FileNotFoundError:
            print("not found")
        child = sp.Popen("sleep 1000 & sleep 1000", shell=True, start_new_session=True)
        os.killpg(child.pid, signal.SIGTERM); print(child.wait())
        a = sp.Popen(["yes"], stdout=sp.PIPE)
        b = sp.run(["head", "-n", "2"], stdin=a.stdout, capture_output=True, text=True)
        a.stdout.close(); print(b.stdout.split(), a.wait())
        print(sp.run([sys.executable, "-c", "import numpy; print(numpy.arange(3))"],
                     capture_output=True, text=True).stdout.strip())
        print(sp.run(["env", "-i", "A=b", "env"], capture_output=True).stdout)
        """,
        r"""
        TEXT
        42
        ['out', 'err']
        timeout
        not found
        -15
        ['y', 'y'] -13
        [0 1 2]
        b'A=b\n'
        """,
    ),
    Program(
        "!command: output, lists, variables, status",
        """
        word = "braces"
        !echo hello from the shell
        !echo {word} | tr b B
        lines = !printf 'one\\ntwo\\n'
        print(lines, lines.n == "one\\ntwo")
        !exit 3
        print(_exit_code)
        """,
        r"""
        hello from the shell
        Braces
        ['one', 'two'] True
        3
        """,
    ),
    Program(
        "%%bash: loops, functions, arrays, a child in the background",
        """
        %%bash
        set -eu
        for n in 1 2 3; do echo -n "$n "; done; echo
        words=(alpha beta); echo "${#words[@]} ${words[1]}"
        f() { local x=$1; echo $((x * 2)); }; f 21
        (sleep 0.01; echo late) & wait
        cat <(echo substituted) <<< "unused"
        trap 'echo trapped' EXIT
        """,
        """
        1 2 3
        2 beta
        42
        late
        substituted
        trapped
        """,
    ),
    Program(
        "bash: job control in an interactive shell",
        """
        import fcntl, os, pty, subprocess, termios
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            ["bash", "--norc", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY),
            start_new_session=True, env={**os.environ, "PS1": "", "TERM": "dumb"})
        os.close(theirs)
        os.write(ours, b"sleep 1000 &\\njobs\\nkill %1; wait %1; echo over-$?\\nexit\\n")
        said = b""
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:
                break
        os.close(ours)
        print(child.wait(), b"[1]+  Running" in said, b"over-143" in said,
              b"no job control" in said)
        """,
        "0 True True False",
    ),
    Program(
        "pty: openpty, spawn, window size, raw mode",
        """
        import fcntl, os, pty, struct, termios, tty
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        print(os.get_terminal_size(ours), os.isatty(theirs))
        tty.setraw(theirs)
        os.write(ours, b"key"); print(os.read(theirs, 10))
        os.close(ours); os.close(theirs)
        pid, fd = pty.fork()
        if pid == 0:
            os.execvp("sh", ["sh", "-c", "tty >/dev/null && echo has a terminal"])
        said = b""
        while True:
            try:
                said += os.read(fd, 100)
            except OSError:
                break
        print(said); os.waitpid(pid, 0); os.close(fd)
        """,
        r"""
        os.terminal_size(columns=99, lines=33) True
        b'key'
        b'has a terminal\r\n'
        """,
    ),
    Program(
        "pexpect: a conversation with a program",
        """
        import pexpect, sys
        child = pexpect.spawn(sys.executable, ["-q"], encoding="utf-8", timeout=20)
        child.expect(">>> "); child.sendline("6 * 7")
        child.expect("42"); child.expect(">>> ")
        child.sendeof(); child.expect(pexpect.EOF)
        child.close()
        print(child.exitstatus)
        """,
        "0",
        ("import pexpect",),
    ),
    Program(
        "signal: handlers, alarms, masks, timers",
        """
        import os, signal, time
        got = []
        old = signal.signal(signal.SIGUSR1, lambda n, f: got.append(n))
        os.kill(os.getpid(), signal.SIGUSR1); signal.raise_signal(signal.SIGUSR1)
        print(got == [signal.SIGUSR1] * 2)
        signal.signal(signal.SIGUSR1, old)
        def ring(n, f): raise TimeoutError("rang")
        old = signal.signal(signal.SIGALRM, ring)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            time.sleep(20)
        except TimeoutError as e:
            print(e)
        signal.alarm(100); print(signal.alarm(0)); signal.signal(signal.SIGALRM, old)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        signal.raise_signal(signal.SIGUSR2)
        print(signal.sigwait({signal.SIGUSR2}) == signal.SIGUSR2)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        print(signal.getsignal(signal.SIGINT) is not None)
        """,
        """
        True
        rang
        100
        True
        True
        """,
    ),
    Program(
        "signal: a KeyboardInterrupt that a cell sends itself",
        """
        import os, signal, time
        try:
            os.kill(os.getpid(), signal.SIGINT); time.sleep(20)
        except KeyboardInterrupt:
            print("interrupted")
        """,
        "interrupted",
    ),
    Program(
        "selectors, select, poll, epoll, eventfd",
        """
        import os, select, selectors, socket
        a, b = socket.socketpair()
        b.send(b"x")
        for kind in (selectors.SelectSelector, selectors.PollSelector,
                     selectors.EpollSelector):
            with kind() as s:
                s.register(a, selectors.EVENT_READ)
                print(kind.__name__, len(s.select(20)))
        fd = os.eventfd(0); os.eventfd_write(fd, 5); print(os.eventfd_read(fd))
        os.close(fd); a.close(); b.close()
        """,
        """
        SelectSelector 1
        PollSelector 1
        EpollSelector 1
        5
        """,
    ),
    Program(
        "sched, time, monotonic clocks, cpu time",
        """
        import sched, time
        s = sched.scheduler(); got = []
        now = s.timefunc()
        s.enterabs(now + 0.002, 1, got.append, (2,))
        s.enterabs(now + 0.001, 1, got.append, (1,)); s.run()
        print(got, time.monotonic() <= time.monotonic(), time.process_time() > 0)
        print(time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) > 0)
        """,
        """
        [1, 2] True True
        True
        """,
    ),
    Program(
        "psutil: one's own processes",
        """
        import os, psutil, subprocess
        me = psutil.Process()
        child = subprocess.Popen(["sleep", "1000"])
        print(me.pid == os.getpid(), "sleep" in [c.name() for c in me.children()])
        print(me.memory_info().rss > 0, me.num_threads() > 0, me.num_fds() > 0)
        print(psutil.virtual_memory().total > 0, psutil.cpu_count() >= 1)
        child.kill(); print(psutil.wait_procs([child], 20)[0][0].returncode)
        print(me.username() != "", psutil.disk_usage(".").total > 0)
        """,
        """
        True True
        True True True
        True True
        -9
        True True
        """,
        ("import psutil",),
    ),
    Program(
        "psutil: who else is there",
        """
        import os, psutil
        print(len(psutil.pids()) < 20)
        try:
            psutil.Process(1).kill()
        except psutil.Error:
            print("refused, or not seen")
        """,
        """
        True
        refused, or not seen
        """,
        ("import psutil",),
        outside=None,
        why="it counts the sandbox's processes and signals the first",
    ),
]
