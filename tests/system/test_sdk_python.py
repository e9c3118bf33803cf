# SPDX-License-Identifier: MIT
"""The Python client and its examples, with the real server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

import cellwall
import pytest

from tests.system.conftest import BINARY, ROOT, wait_for_no_process
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall

CLIENT = ROOT / "clients/python"
EXAMPLES = {
    "quickstart": ["hello", "265252859812191058636308480000000"],
    "agent_loop": ["NameError", "TypeError", "in euros? 12.5"],
    "data_question": ["a result with text, png", "wrote visitors.png", "Lisbon  Oslo"],
    "parallel": ["context 10: ", "asyncio says the same"],
    "streaming": ["[####################] 100 %", "all parts are there", "value 100"],
    "timeout": ["working on it", "timeout: the variables are kept", "has 1001 items"],
    "ask_for_input": ["Ada knows a word of 6 letters", "StdinNotImplementedError"],
    "detach": ["began", "part 1 is done", "part 5 is done", "outcome: 'all of it'"],
    "files": ["ONE TWO THREE", "the same: True", "restart: False", "FILE_NOT_FOUND"],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(BINARY, "--python", sys.executable) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[cellwall.Client]:
    with cellwall.Client(server.file) as client:
        yield client


@pytest.fixture
def context(client: cellwall.Client) -> Iterator[cellwall.Context]:
    with client.create_context() as context:
        yield context


def environment(**more: str) -> dict[str, str]:
    """In which a user's program finds the client."""
    return {**os.environ, "PYTHONPATH": str(CLIENT / "src"), **more}


# Runs.


def test_default_context_keeps_its_variables(client: cellwall.Client) -> None:
    client.run_code("x = 20")
    execution = client.run_code("print('out'); x + 1")
    assert execution.text == "21"
    assert execution.logs.stdout == "out\n"
    assert execution.ok and execution.error is None and execution.reason is None
    assert execution.usage.wall_ms is not None
    assert execution.id.startswith("run_")


def test_exception_of_the_code_is_told(context: cellwall.Context) -> None:
    execution = context.run_code("def f():\n    1/0\nf()")
    assert execution.error is not None
    assert execution.error.name == "ZeroDivisionError"
    assert execution.error.value == "division by zero"
    assert "\x1b" not in execution.error.traceback
    assert "1/0" in execution.error.traceback
    with pytest.raises(cellwall.ExecutionFailed, match="division by zero"):
        execution.raise_for_error()


def test_displays_are_results(context: cellwall.Context) -> None:
    execution = context.run_code(
        "from IPython.display import HTML, display\n"
        "display(HTML('<b>x</b>')); display({'x/y': 'z', 'text/plain': 'p'}, raw=True)\n"
        "'main'"
    )
    first, second, main = execution.results
    assert first.html == "<b>x</b>"
    assert second.extra == {"x/y": "z"}
    assert main.is_main_result and main.text == "'main'"


def test_updates_of_a_display_are_applied(context: cellwall.Context) -> None:
    events = []
    execution = context.run_code(
        "from IPython.display import display\n"
        "h = display('one', display_id='d'); h.update('two')",
        on_event=events.append,
    )
    assert [result.text for result in execution.results] == ["'two'"]
    kinds = [type(event).__name__ for event in events]
    assert kinds[0] == "Queued"
    assert "Display" in kinds and "UpdateDisplay" in kinds


def test_timeout_is_a_reason_and_keeps_the_variables(context: cellwall.Context) -> None:
    context.run_code("x = 5")
    execution = context.run_code("while True: pass", timeout=0.3)
    assert execution.reason is not None
    assert (execution.reason.kind, execution.reason.state) == ("timeout", "kept")
    assert context.run_code("x").text == "5"


def test_lost_variables_move_the_context_to_the_next_epoch(
    context: cellwall.Context,
) -> None:
    before = context.epoch
    execution = context.run_code("import os, signal; os.kill(os.getpid(), 9)")
    assert execution.reason is not None
    assert execution.reason.variables_lost
    assert context.epoch > before
    assert context.run_code("'os' in globals()").text == "False"


def test_memory_limit_is_told_as_the_reason(client: cellwall.Client) -> None:
    limits = {"memory_bytes": 256 << 20}
    with client.create_context(limits=limits) as context:
        execution = context.run_code("b = b'x' * (1 << 30)")
        if execution.error is not None and execution.reason is None:
            assert execution.error.name == "MemoryError"
        else:
            assert execution.reason is not None
            assert execution.reason.kind == "memory"


def test_environment_is_that_of_the_run_alone(context: cellwall.Context) -> None:
    code = "import os; os.environ.get('RUN_VARIABLE')"
    assert context.run_code(code, env={"RUN_VARIABLE": "it's"}).text == '"it\'s"'
    assert context.run_code(code).text is None


def test_context_has_what_it_was_made_with(client: cellwall.Client) -> None:
    with client.create_context(
        name="sdk-python", cwd="sub", env={"A": "b"}, labels={"k": "v"}, idle_timeout=60
    ) as context:
        assert context.name == "sdk-python"
        assert context.info.labels == {"k": "v"}
        assert context.info.idle_timeout == 60
        text = context.run_code("import os; os.environ['A'], os.getcwd()").text
        assert text == "('b', '/workspace/sub')"
        assert [c.id for c in client.list_contexts({"k": "v"})] == [context.id]
        assert client.get_context("sdk-python").id == context.id
        with pytest.raises(cellwall.NameTaken) as raised:
            client.create_context(name="sdk-python")
        assert raised.value.details["context"] == context.id
        again = client.create_context(name="sdk-python", if_exists="use")
        assert again.id == context.id
    with pytest.raises(cellwall.ContextNotFound):
        client.get_context("sdk-python")


def test_refusals_are_typed(client: cellwall.Client, context: cellwall.Context) -> None:
    with pytest.raises(cellwall.LanguageNotFound) as raised:
        client.run_code("1", "klingon")
    assert "python" in raised.value.details["languages"]
    with pytest.raises(cellwall.InvalidArgument) as invalid:
        client.create_context(limits={"memory": 1})
    assert invalid.value.suggestion or invalid.value.details
    with pytest.raises(cellwall.ExecutionNotFound):
        client.attach("run_none")
    with pytest.raises(cellwall.FileNotFound):
        context.files.read("none")


def test_stale_handle_is_refused_until_it_is_refreshed(
    client: cellwall.Client, context: cellwall.Context
) -> None:
    client.get_context(context).restart()
    with pytest.raises(cellwall.StaleContext):
        context.run_code("1")
    context.refresh()
    assert context.run_code("1").text == "1"


def test_questions_about_code_are_answered(context: cellwall.Context) -> None:
    context.run_code("def greeting():\n    'Says hello.'")
    assert "greeting" in context.complete("greet").matches
    assert "Says hello." in context.inspect("greeting").text
    assert context.is_complete("for x in y:").status == "incomplete"


def test_server_says_what_it_is(client: cellwall.Client) -> None:
    info = client.server_info()
    assert info.protocol == 1
    assert "python" in info.languages


# Streams, input, interrupts.


def test_stream_gives_events_while_the_code_runs(context: cellwall.Context) -> None:
    """The code waits for the answer to what the stream has shown."""
    shown = []
    with context.stream("print('before')\ninput('? ')", allow_stdin=True) as stream:
        for event in stream:
            if isinstance(event, cellwall.Stdout):
                shown.append(event.text)
            elif isinstance(event, cellwall.InputRequest):
                assert "".join(shown) == "before\n"
                event.reply("answer")
    assert stream.execution.text == "'answer'"


def test_events_are_numbered_without_gaps(context: cellwall.Context) -> None:
    code = (
        "import sys\nfor i in range(50): print(i, file=(sys.stdout, sys.stderr)[i % 2])"
    )
    numbers = [event.seq for event in context.stream(code)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_shell_tells_the_exit_status_of_its_last_command(
    client: cellwall.Client,
) -> None:
    with client.create_context("bash") as shell:
        missing = shell.run_code("false; ls missing")
        assert (missing.ok, missing.exit_status) == (True, 2)
        assert shell.run_code("true").exit_status == 0
    assert client.run_code("1").exit_status is None


def test_stream_that_is_left_interrupts_the_code(context: cellwall.Context) -> None:
    with context.stream("print('on')\nwhile True: pass") as stream:
        for event in stream:
            if isinstance(event, cellwall.Stdout):
                break
    assert context.run_code("1").text == "1"


def test_interrupt_ends_the_run_of_another_thread(context: cellwall.Context) -> None:
    assert not context.interrupt()  # nothing runs
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(
            context.run_code,
            "print('on')\nwhile True: pass",
            on_stdout=lambda event: begun.set(),
        )
        assert begun.wait(60)
        assert context.interrupt()
        execution = run.result(60)
    assert execution.reason is not None
    assert execution.reason.kind == "interrupted"


def test_ctrl_c_interrupts_the_code_and_leaves_the_client(server: Server) -> None:
    program = (
        "import cellwall, os, signal\n"
        "client = cellwall.Client()\n"
        "context = client.create_context()\n"
        "stop = lambda event: os.kill(os.getpid(), signal.SIGINT)\n"
        "code = 'x = 7; print(1, end=str())\\nwhile True: pass'  # stopped once\n"
        "try:\n"
        "    context.run_code(code, on_stdout=stop)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
        "print(context.run_code('x').text)\n"
        "context.delete()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(**server.env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n7\n", "")


# Jobs.


def test_detached_run_ends_without_its_client(server: Server) -> None:
    with cellwall.Client(server.file) as client:
        context = client.create_context()
        job = context.detach("import time\nfor i in range(3): print(i)\n'end'")
    with cellwall.Client(server.file) as other:
        again = other.attach(job.id)
        assert again.wait().text == "'end'"
        assert again.status().state == "done"
        events = list(again.stream())
        text = "".join(e.text for e in events if isinstance(e, cellwall.Stdout))
        assert text == "0\n1\n2\n"
        late = list(again.stream(after_seq=events[-2].seq))
        assert [event.seq for event in late] == [events[-1].seq]
        other.delete_context(context.id)


def test_job_is_cancelled_in_the_queue_and_while_it_runs(
    context: cellwall.Context,
) -> None:
    running = context.detach("print('on')\nwhile True: pass")
    for event in running.stream():
        if isinstance(event, cellwall.Stdout):
            break
    queued = context.detach("never = 1")
    assert {info.id for info in context.executions()} == {running.id, queued.id}
    assert queued.status().state == "queued"
    assert queued.cancel() == "queued"
    with pytest.raises(cellwall.Cancelled):
        queued.wait()
    assert running.cancel() == "running"
    reason = running.wait().reason
    assert reason is not None and reason.kind == "interrupted"
    assert context.run_code("'never' in globals()").text == "False"


def test_busy_context_can_be_refused(context: cellwall.Context) -> None:
    with context.stream("print(1)\nwhile True: pass") as stream:
        for event in stream:
            if isinstance(event, cellwall.Stdout):
                break
        with pytest.raises(cellwall.ContextBusy):
            context.run_code("1", reject_if_busy=True)


def test_watch_shows_what_others_run(server: Server, context: cellwall.Context) -> None:
    with cellwall.Client(server.file) as other:
        with other.get_context(context).watch() as watch:
            context.run_code("print('seen')")
            said = ""
            for event in watch:
                if isinstance(event, cellwall.Stdout):
                    assert event.context_id == context.id
                    said += event.text
                    if said.endswith("\n"):
                        break
            assert said == "seen\n"
            with pytest.raises(cellwall.CellwallError, match="watches"):
                other.get_context(context).watch()
        assert list(watch) == []


# Files.


def test_files_go_in_and_come_out(context: cellwall.Context) -> None:
    files = context.files
    blob = os.urandom(1 << 20) * 40  # more than one message holds
    assert files.write("a/b.bin", blob) == len(blob)
    assert files.read("a/b.bin") == blob
    assert files.read("a/b.bin", offset=len(blob) - 3, length=10) == blob[-3:]
    assert context.run_code("import os; os.path.getsize('a/b.bin')").text == str(
        len(blob)
    )
    files.write("t.txt", "ü\n")
    assert files.write("t.txt", "x", mode="append") == 4
    assert files.read_text("t.txt") == "ü\nx"
    with pytest.raises(cellwall.FileExists):
        files.write("t.txt", "", mode="create")
    files.mkdir("c/d")
    entries = {entry.path: entry for entry in files.list(recursive=True)}
    assert set(entries) >= {"a", "a/b.bin", "t.txt", "c", "c/d"}
    assert entries["a/b.bin"].size == len(blob)
    assert entries["c"].type == "directory"
    with pytest.raises(cellwall.NotEmpty):
        files.remove("a")
    files.remove("a", recursive=True)
    files.remove("t.txt")
    assert [entry.path for entry in files.list()] == ["c"]
    for path in ("../x", "/etc/passwd"):
        with pytest.raises(cellwall.PathInvalid):
            files.read(path)


def test_contexts_with_one_workspace_share_their_files(client: cellwall.Client) -> None:
    with client.create_context(workspace="sdk") as one:
        with client.create_context(workspace="sdk") as two:
            one.run_code("open('shared', 'w').write('x')")
            assert two.files.read("shared") == b"x"


# Many at once.


def test_threads_run_side_by_side(client: cellwall.Client) -> None:
    """Each waits for a file of the next one: none ends unless all run at once."""
    count = 6

    def run(n: int) -> str | None:
        with client.create_context(workspace="side-by-side") as context:
            return context.run_code(
                "import os, time\n"
                f"open('at-{n}', 'w').close()\n"
                f"while not all(os.path.exists(f'at-{{i}}') for i in range({count})):\n"
                "    time.sleep(0.01)\n"
                f"{n}",
                timeout=30,
            ).text

    with ThreadPoolExecutor(count) as pool:
        assert list(pool.map(run, range(count))) == [str(n) for n in range(count)]


def test_async_client_does_the_same(server: Server) -> None:
    async def work() -> None:
        async with cellwall.AsyncClient(server.file) as client:
            async with await client.create_context() as context:
                assert (await context.run_code("1 + 1")).text == "2"
                async with context.stream("print('a')") as stream:
                    kinds = [type(event).__name__ async for event in stream]
                assert "Stdout" in kinds
                job = await context.detach("'job'")
                assert (await job.wait()).text == "'job'"
                await context.files.write("f", b"x")
                assert await context.files.read_text("f") == "x"
                async with context.watch() as watch:
                    async with cellwall.AsyncClient(server.file) as other:
                        await other.run_code("print('seen')", context=context.id)
                    async for event in watch:
                        if isinstance(event, cellwall.Stdout):
                            break
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(context.run_code("while True: pass"), 0.5)
                assert (await context.run_code("2")).text == "2"  # it was cancelled

    asyncio.run(work())


# Servers.


def test_server_that_dies_is_lost_at_once() -> None:
    with Server(BINARY, "--python", sys.executable) as server:
        with cellwall.Client(server.file) as client:
            stream = client.stream("print(1)\nwhile True: pass")
            next(stream)
            server.kill()
            with pytest.raises(cellwall.ConnectionLost):
                stream.finish()
            with pytest.raises(cellwall.ConnectionLost):
                client.server_info()


def test_local_server_ends_with_its_client() -> None:
    with cellwall.local(BINARY, python=sys.executable) as client:
        assert client.run_code("1 + 1").text == "2"
        folder = client.server_file.path.parent.parent
        assert any("ready" in line for line in client.server_log)
    assert not folder.exists()


def test_local_server_ends_with_its_program() -> None:
    """However that ends: nothing is left, neither of the server nor of its contexts."""
    program = (
        "import cellwall, os, sys\n"
        "client = cellwall.local()\n"
        "client.run_code('1')\n"
        "print(client.server_file.path.parent.parent, flush=True)\n"
        "sys.stdin.read(1)\n"
    )
    for kill in (True, False):
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment(
                CELLWALL_PROGRAM=str(BINARY), CELLWALL_TEST_MARK=f"local-{os.getpid()}"
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.name.startswith("cellwall-")
        if kill:
            process.kill()
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        assert wait_for_no_process(set(), mark=f"local-{os.getpid()}") == {}
        if kill:
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            folder.rmdir()
        assert not folder.exists()


def test_local_server_that_dies_tells_its_last_words() -> None:
    with cellwall.local(BINARY, python=sys.executable) as client:
        stream = client.stream("print(1)\nwhile True: pass")
        next(stream)
        assert client._local is not None
        pid = next(
            pid
            for pid, command in _processes().items()
            if "serve --die-with-parent" in command
        )
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(cellwall.ConnectionLost) as raised:
            stream.finish()
        assert raised.value.details["log"]


def _processes() -> dict[int, str]:
    """This process's children."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {
        int(line.split(None, 1)[0]): line.split(None, 1)[1]
        for line in listed.splitlines()
    }


def test_program_that_cannot_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(cellwall.ServerStartFailed, match="CELLWALL_PROGRAM"):
        cellwall.local(tmp_path / "none")
    with pytest.raises(cellwall.ServerStartFailed) as raised:
        cellwall.local(BINARY, options=["--no-such-option"])
    assert "no-such-option" in str(raised.value)


def test_local_async_is_a_client_of_its_own() -> None:
    async def work() -> None:
        async with cellwall.local_async(BINARY, python=sys.executable) as client:
            assert (await client.run_code("6 * 7")).text == "42"

    asyncio.run(work())


# Keys.


def keygen(*words: str | Path) -> None:
    subprocess.run([BINARY, "keygen", *words], check=True, timeout=60)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files of clients of a server on tcp."""
    folder = tmp_path_factory.mktemp("keys")
    keygen("--server", folder / "keys")
    (folder / "authorised").touch(0o600)
    with Server(
        *(BINARY, "--python", sys.executable, "--endpoint", "tcp://127.0.0.1:*"),
        *("--keys", str(folder / "keys"), "--authorised", str(folder / "authorised")),
    ) as server:
        (folder / "server.json").symlink_to(server.file)
        endpoint = server.description()["endpoint"]
        for name in ("ann", "bob", "eve"):
            more = ["--authorise", folder / "authorised"] if name != "eve" else []
            keygen(
                *("--client", name, "--server", folder / "keys", *more),
                *("--endpoint", endpoint, "-o", folder / f"{name}.json"),
            )
        yield folder


def test_client_with_a_key_owns_what_it_makes(keys: Path) -> None:
    with (
        cellwall.Client(keys / "ann.json") as ann,
        cellwall.Client(keys / "bob.json") as bob,
    ):
        assert ann.server_info().owner == "key:ann"
        with ann.create_context() as context:
            assert context.run_code("2 ** 10").text == "1024"
            assert bob.list_contexts() == []
            with pytest.raises(cellwall.ContextNotFound):
                bob.get_context(context.id)


def test_key_that_the_server_does_not_know_is_refused_at_once(keys: Path) -> None:
    with cellwall.Client(keys / "eve.json") as eve:
        for _ in range(2):
            with pytest.raises(cellwall.NotAllowed, match="does not know"):
                eve.server_info()


def test_servers_own_file_says_that_a_client_needs_keys(keys: Path) -> None:
    with pytest.raises(cellwall.ServerNotFound, match="keygen"):
        cellwall.Client(keys / "server.json")


# Jupyter.


def test_jupyter_client_shares_the_context(context: cellwall.Context) -> None:
    from jupyter_client.blocking import BlockingKernelClient

    context.run_code("shared = 41")
    jupyter = BlockingKernelClient()
    jupyter.load_connection_file(context.open_jupyter().file)
    jupyter.start_channels()
    try:
        jupyter.wait_for_ready(timeout=60)
        with context.watch() as watch:
            reply = jupyter.execute_interactive(
                "shared += 1; print('from Jupyter')",
                timeout=60,
                output_hook=lambda m: None,
            )
            assert reply["content"]["status"] == "ok"
            texts = (e.text for e in watch if isinstance(e, cellwall.Stdout))
            lines = (said for said in accumulate(texts) if said.endswith("\n"))
            assert next(lines) == "from Jupyter\n"
    finally:
        jupyter.stop_channels()
    assert context.run_code("shared").text == "42"
    context.close_jupyter()


# Examples.


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example_shows_what_it_is_about(
    name: str, server: Server, tmp_path: Path
) -> None:
    output = run_example(name, tmp_path, CELLWALL_SERVER=str(server.file))
    for piece in EXAMPLES[name]:
        assert piece in output, output


def test_example_runs_without_a_server(tmp_path: Path) -> None:
    env = {"XDG_RUNTIME_DIR": str(tmp_path), "CELLWALL_PROGRAM": str(BINARY)}
    output = run_example("quickstart", tmp_path, **env)
    for piece in EXAMPLES["quickstart"]:
        assert piece in output, output


def test_each_example_is_tested() -> None:
    assert {path.stem for path in (CLIENT / "examples").glob("*.py")} == set(EXAMPLES)


def run_example(name: str, folder: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, CLIENT / f"examples/{name}.py"],
        cwd=folder,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
