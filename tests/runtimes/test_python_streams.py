# SPDX-License-Identifier: MIT
"""Output of the Python runtime: order, encodings, threads, tasks, forks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtimes.framelib import Frame, Outcome, Raw, Runner

MIXED = """
import os, subprocess, sys, ctypes, random
from IPython.display import display, HTML
libc = ctypes.CDLL(None)
rng = random.Random({seed})
ways = [
    lambda t: print(t, end=''),
    lambda t: print(t, end='', file=sys.stderr),
    lambda t: os.write(1, t.encode()),
    lambda t: sys.stdout.buffer.write(t.encode()),
    lambda t: display({{'text/plain': t}}, raw=True),
    lambda t: libc.write(1, t.encode(), len(t)),
]
for i in range({count}):
    token = f'<{{i}}>'
    if {children} and i % 500 == 250:
        if i % 1000 == 250:
            subprocess.run(['printf', '%s', token])
        else:
            os.system('printf "%s" "' + token + '"')
    else:
        rng.choice(ways)(token)
"""


def tokens(outcome: Outcome) -> str:
    """All output in order, displayed data too."""
    pieces = []
    for item in outcome.items:
        if isinstance(item, Raw):
            pieces.append(item.data.decode())
        elif item.type == "stream":
            pieces.append(item.text)
        else:
            pieces.append(item.content["data"]["text/plain"])
    return "".join(pieces)


@pytest.mark.parametrize("children", [0, 1])
@pytest.mark.parametrize("seed", [1, 2])
def test_mixed_output_keeps_the_programs_order(
    shared: Runner, seed: int, children: int
) -> None:
    count = 6000
    outcome = shared.run(MIXED.format(seed=seed, count=count, children=children))
    assert outcome.status == "ok"
    assert tokens(outcome) == "".join(f"<{i}>" for i in range(count))


def test_c_stdio_is_flushed_by_lines_and_at_the_end(shared: Runner) -> None:
    outcome = shared.run(
        "import ctypes; libc = ctypes.CDLL(None)\n"
        "libc.printf(b'one\\n'); print('two'); libc.printf(b'three');"
    )
    assert outcome.stdout == "one\ntwo\nthree"


def test_text_is_utf8_whatever_it_is(shared: Runner) -> None:
    outcome = shared.run(r"print('é€🎉', '\udc80', '\0')")
    assert outcome.stdout == "é€🎉 \\udc80 \0\n"


def test_lone_surrogates_in_data_are_escaped(shared: Runner) -> None:
    outcome = shared.run("display({'text/plain': f'a{chr(0xdc80)}b'}, raw=True)")
    assert outcome.displays == [{"text/plain": "a\\udc80b"}]
    error = shared.run(r"raise ValueError('\ud800')").error
    assert error.content["evalue"] == "\\ud800"


def test_large_writes_are_split_between_characters(shared: Runner) -> None:
    outcome = shared.run("print('é🎉' * 2_000_000, end='')")
    frames = outcome.frames("stream")
    assert len(frames) > 1
    assert max(len(frame.buffers[0]) for frame in frames) <= 1 << 20
    assert outcome.stdout == "é🎉" * 2_000_000


def test_streams_look_like_text_files(shared: Runner) -> None:
    shown = shared.run(
        "import sys\n"
        "s = sys.stdout\n"
        "[s.encoding, s.errors, s.isatty(), s.fileno(), sys.stderr.fileno(),"
        " s.writable(), s.readable(), s.closed, s.name]"
    ).result["text/plain"]
    assert eval(shown) == [
        "utf-8",
        "backslashreplace",
        False,
        1,
        2,
        True,
        False,
        False,
        "<stdout>",
    ]
    assert shared.run("print(1); sys.stdout.close(); print(2)").stdout == "1\n2\n"
    assert shared.run("sys.stdout.write(b'x')").error.content["ename"] == "TypeError"
    assert shared.run("print(file=sys.__stdout__)").stdout == "\n"
    written = shared.run("sys.stdout.write('four') + sys.stdout.buffer.write(b'6')")
    assert written.result["text/plain"] == "5"


def test_output_can_be_redirected(shared: Runner) -> None:
    outcome = shared.run(
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()) as text: print('hidden')\n"
        "text.getvalue()"
    )
    assert outcome.result["text/plain"] == "'hidden\\n'"
    assert outcome.stdout == ""


def test_closed_output_is_restored_for_the_next_cell(shared: Runner) -> None:
    shared.run("import os; os.close(1); os.close(2)")
    outcome = shared.run("os.write(1, b'out'); os.write(2, b'err');")
    assert (outcome.stdout, outcome.stderr) == ("out", "err")


def test_redirected_descriptor_is_restored_for_the_next_cell(shared: Runner) -> None:
    shared.run(
        "import os, tempfile; f = tempfile.TemporaryFile(); os.dup2(f.fileno(), 1)"
    )
    assert shared.run("os.write(1, b'back');").stdout == "back"


def test_thread_prints_into_the_cell_that_started_it(runner: Runner) -> None:
    first = runner.run(
        "import threading\n"
        "go, done = threading.Event(), threading.Event()\n"
        "def work():\n"
        "    print('early'); go.wait(); print('late')\n"
        "    t = threading.Thread(target=lambda: print('inner')); t.start(); t.join()\n"
        "    display('shown'); done.set()\n"
        "thread = threading.Thread(target=work); thread.start()\n"
    )
    number = first.reply.number
    outcome = runner.run("print('mine'); go.set(); done.wait()\nthread.join()")
    late = [frame for frame in outcome.frames() if frame.number == number]
    texts = [frame.text for frame in late if frame.type == "stream"]
    assert "".join(texts).endswith("late\ninner\n")
    assert [frame.type for frame in late][-1] == "display_data"
    mine = [frame for frame in outcome.frames("stream") if frame.number != number]
    assert "".join(frame.text for frame in mine) == "mine\n"


def test_thread_subclasses_and_timers_belong_to_their_cell(runner: Runner) -> None:
    runner.run(
        "import threading\n"
        "class Mine(threading.Thread):\n"
        "    def run(self): go.wait(); print('subclass')\n"
        "go = threading.Event(); thread = Mine(); thread.start()\n"
    )
    outcome = runner.run("go.set(); thread.join()")
    assert {frame.number for frame in outcome.frames("stream")} == {1}


def test_work_of_a_thread_pool_prints_into_the_cell_that_gave_it(runner: Runner) -> None:
    runner.run(
        "import asyncio\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1); pool.submit(print, 'one').result()"
    )
    outcome = runner.run("pool.submit(print, 'two', end='', flush=True).result()")
    assert {frame.number for frame in outcome.frames("stream")} == {outcome.reply.number}
    for _ in range(2):
        outcome = runner.run(
            "await asyncio.get_running_loop().run_in_executor(None, print, 'x')\n"
            "await asyncio.get_running_loop().run_in_executor(None, print, 'y')"
        )
        numbers = {frame.number for frame in outcome.frames("stream")}
        assert numbers == {outcome.reply.number}


def test_task_prints_into_the_cell_that_created_it(runner: Runner) -> None:
    runner.run(
        "import asyncio\n"
        "go = asyncio.Event()\n"
        "async def work(): await go.wait(); print('late')\n"
        "task = asyncio.create_task(work())"
    )
    outcome = runner.run("print('mine'); go.set(); await task")
    numbers = {frame.text: frame.number for frame in outcome.frames("stream")}
    assert (numbers["late"], numbers["mine"]) == (1, 2)


def test_output_between_cells_belongs_to_the_last(runner: Runner, tmp_path: Path) -> None:
    runner.run(
        "import os, threading, time\n"
        "def work():\n"
        "    while not os.path.exists('go'): time.sleep(0.001)\n"
        "    for i in range(100): print(i)\n"
        "t = threading.Thread(target=work); t.start()"
    )
    (tmp_path / "go").touch()
    outcome = runner.run("t.join()")
    frames: list[Frame] = outcome.frames("stream")
    assert "".join(frame.text for frame in frames).split() == [str(i) for i in range(100)]
    assert {frame.number for frame in frames} == {1}


def test_threads_may_print_at_the_same_time(shared: Runner) -> None:
    outcome = shared.run(
        "import threading\n"
        "def work(name):\n    for i in range(2000): print(f'<{name}{i}>', end='')\n"
        "ts = [threading.Thread(target=work, args=(n,)) for n in 'abcd']\n"
        "[t.start() for t in ts]; [t.join() for t in ts];"
    )
    for name in "abcd":
        own = [part for part in outcome.stdout.split(">") if part.startswith(f"<{name}")]
        assert own == [f"<{name}{i}" for i in range(2000)]


def test_forked_child_prints_and_ends_with_its_cell(runner: Runner) -> None:
    outcome = runner.run(
        "import os, sys\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('child'); display('shown in child')\n"
        "    sys.stdout.flush()\n"
        "else:\n"
        "    print('status', os.waitpid(pid, 0)[1])"
    )
    assert outcome.stdout == "child\n'shown in child'\nstatus 0\n"
    assert outcome.frames("display_data") == []
    assert runner.run("1").status == "ok"


@pytest.mark.parametrize(
    ("ending", "status", "text"),
    [
        ("raise ValueError('in child')", 1, "ValueError: in child"),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('bye')", 1, "bye"),
        ("1 + 1", 0, ""),
        ("input('?')", 1, "StdinNotImplementedError"),
    ],
)
def test_forked_child_ends_as_python_would(
    shared: Runner, ending: str, status: int, text: str
) -> None:
    outcome = shared.run(
        "import os, sys\npid = os.fork()\n"
        f"if pid == 0:\n    {ending}\n"
        "else:\n    print('status', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert f"status {status}\n" in outcome.both
    assert text in outcome.both
    assert outcome.status == "ok"


def test_forked_child_of_an_async_cell_ends(shared: Runner) -> None:
    outcome = shared.run(
        "import asyncio, os\n"
        "await asyncio.sleep(0)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    print('child')\n"
        "else:\n    print('status', os.waitpid(pid, 0)[1])"
    )
    assert outcome.stdout == "child\nstatus 0\n"


WORKER = "import os\ndef work(x):\n    os.write(1, b'worker\\n')\n    return x * x\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(runner: Runner, tmp_path: object, method: str) -> None:
    runner.run(f"open('worker.py', 'w').write({WORKER!r})")
    outcome = runner.run(
        "import multiprocessing, worker\n"
        f"context = multiprocessing.get_context({method!r})\n"
        "with context.Pool(2) as pool: print(pool.map(worker.work, range(4)))\n"
        "q = context.Queue(); p = context.Process(target=q.put, args=(5,))\n"
        "p.start(); print(q.get()); p.join(); print(p.exitcode)"
    )
    assert outcome.stdout.count("worker\n") == 4
    assert outcome.stdout.endswith("[0, 1, 4, 9]\n5\n0\n")
    assert outcome.status == "ok"
    assert runner.run("1").status == "ok"


def test_forked_pool_runs_functions_of_the_cell(runner: Runner) -> None:
    outcome = runner.run(
        "import multiprocessing\n"
        "def double(x):\n    return 2 * x\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    print(pool.map(double, range(3)))"
    )
    assert outcome.stdout == "[0, 2, 4]\n"


def test_spawned_processes_work_after_a_reset(runner: Runner) -> None:
    runner.run("x = 1")
    runner.run("%reset -f")
    assert runner.run("x").error.content["ename"] == "NameError"
    outcome = runner.run(
        "import multiprocessing, os\n"
        "p = multiprocessing.get_context('spawn').Process(target=os.getpid)\n"
        "p.start(); p.join(); p.exitcode"
    )
    assert outcome.result["text/plain"] == "0"


def test_process_pool_executor_works(runner: Runner) -> None:
    outcome = runner.run(
        "import concurrent.futures, math, multiprocessing\n"
        "with concurrent.futures.ProcessPoolExecutor(\n"
        "        2, mp_context=multiprocessing.get_context('spawn')) as pool:\n"
        "    print(list(pool.map(math.factorial, [3, 4])))"
    )
    assert outcome.stdout == "[6, 24]\n"


def test_subprocess_output_is_shown_and_captured(shared: Runner) -> None:
    outcome = shared.run(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'print(1); import sys; print(2,"
        " file=sys.stderr)'])\n"
        "subprocess.run('yes | head -c 1000000', shell=True, capture_output=True)"
        ".stdout.__len__()"
    )
    assert (outcome.stdout, outcome.stderr) == ("1\n", "2\n")
    assert outcome.result["text/plain"] == "1000000"


def test_output_of_a_background_command_does_not_block(runner: Runner) -> None:
    assert runner.run("import subprocess; p = subprocess.Popen(['sleep', '60'])").status
    assert runner.run("p.kill(); p.wait()").result["text/plain"] == "-9"
