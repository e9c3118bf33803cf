# SPDX-License-Identifier: MIT
"""JavaScript and TypeScript as agents use them: in the real sandbox, by a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cellwall
import pytest

from tests.system.conftest import BINARY
from tests.system.servers import Server

pytestmark = [pytest.mark.cellwall, pytest.mark.usefixtures("node_kernelspecs")]

LANGUAGES = ["javascript", "typescript"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(BINARY, "--python", sys.executable) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[cellwall.Client]:
    with cellwall.Client(server.file) as client:
        yield client


@pytest.fixture(params=LANGUAGES)
def context(
    request: pytest.FixtureRequest, client: cellwall.Client
) -> Iterator[cellwall.Context]:
    with client.create_context(language=request.param) as context:
        yield context


def test_server_lists_both_languages(client: cellwall.Client) -> None:
    assert {"python", *LANGUAGES} <= set(client.server_info().languages)


def test_variables_survive_and_output_is_told_apart(context: cellwall.Context) -> None:
    context.run_code("let x = 20")
    execution = context.run_code("console.log('out'); console.error('err'); x + 1")
    assert execution.text == "21"
    assert (execution.logs.stdout, execution.logs.stderr) == ("out\n", "err\n")


def test_error_names_the_line(context: cellwall.Context) -> None:
    execution = context.run_code("let y = 1;\ny.no.such")
    assert execution.error is not None
    assert execution.error.name == "TypeError"
    assert "y.no.such" in execution.error.traceback
    assert "runtimes/" not in execution.error.traceback


@pytest.mark.parametrize(
    "code",
    ["for (;;);", "while (true) await null", "await new Promise(() => {})"],
)
def test_timeout_keeps_the_variables(context: cellwall.Context, code: str) -> None:
    context.run_code("let kept = 1")
    execution = context.run_code(code, timeout=0.5)
    assert execution.reason is not None
    assert (execution.reason.kind, execution.reason.state) == ("timeout", "kept")
    assert context.run_code("kept").text == "1"


def test_full_heap_is_an_error_and_keeps_the_variables(client: cellwall.Client) -> None:
    with client.create_context(
        language="javascript", limits={"memory_bytes": 512 << 20}
    ) as context:
        context.run_code("globalThis.all = []; let kept = 1")
        execution = context.run_code("for (;;) all.push(new Array(1e4).fill(1.5))")
        assert execution.error is not None
        assert "heap out of memory" in execution.error.value
        assert context.run_code("all = null; kept").text == "1"


def test_memory_beyond_the_limit_has_a_reason(client: cellwall.Client) -> None:
    with client.create_context(
        language="javascript", limits={"memory_bytes": 256 << 20}
    ) as context:
        execution = context.run_code(
            "let all = []; for (;;) all.push(Buffer.alloc(1e6, 1))"
        )
        assert execution.reason is not None
        assert (execution.reason.kind, execution.reason.state) == ("memory", "lost")
        assert context.run_code("1 + 1").text == "2"


def test_workers_children_and_files_work_inside(context: cellwall.Context) -> None:
    context.files.write("lib.mjs", b"export const word = 'from a file'")
    execution = context.run_code(
        """
        import {word} from './lib.mjs';
        const child = child_process.execFileSync('node', ['-e', 'console.log("child")']);
        const worker = new worker_threads.Worker(
          "require('worker_threads').parentPort.postMessage(1 + 1)", {eval: true});
        const answer = await new Promise((done) => worker.on('message', done));
        const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
        const wasm = new WebAssembly.Module(empty);
        await require('fs').promises.writeFile('made.txt', word);
        [String(child).trim(), answer, wasm instanceof WebAssembly.Module]
        """
    )
    assert execution.text == "[ 'child', 2, true ]"
    assert context.files.read("made.txt") == b"from a file"


def test_sandbox_holds(context: cellwall.Context) -> None:
    execution = context.run_code(
        """
        const failed = (work) => {
          try { work(); return 'done' } catch (error) { return error.code }
        };
        [process.getuid() === 0, failed(() => fs.writeFileSync('/usr/x', '')),
         failed(() => fs.readFileSync('/etc/shadow')),
         fs.readdirSync('/proc').filter(Number).length < 9]
        """
    )
    assert execution.text == "[ false, 'EROFS', 'ENOENT', true ]"
    execution = context.run_code("await fetch('http://192.0.2.1/')")
    assert execution.error is not None


def test_end_of_the_process_loses_the_variables_and_says_so(
    context: cellwall.Context,
) -> None:
    execution = context.run_code("process.kill(process.pid, 'SIGKILL'); for (;;);")
    assert execution.reason is not None
    assert (execution.reason.kind, execution.reason.state) == ("killed", "lost")
    assert context.run_code("1 + 1").text == "2"


def test_variables_of_a_run(context: cellwall.Context) -> None:
    assert context.run_code("process.env.ONE", env={"ONE": "1"}).text == "'1'"
    assert context.run_code("process.env.ONE").text is None


@pytest.mark.parametrize(
    ("name", "code", "status", "out"),
    [
        ("a.js", "console.log(6 * 7)", 0, "42\n"),
        ("a.ts", "enum E { A = 42 }\nconsole.log(E.A as number)", 0, "42\n"),
        ("b.js", "process.exit(3)", 3, ""),
        ("c.js", "throw new Error('boo')", 1, ""),
    ],
)
def test_cellwall_run_knows_the_suffix(
    server: Server, tmp_path: Path, name: str, code: str, status: int, out: str
) -> None:
    (tmp_path / name).write_text(code)
    done = subprocess.run(
        [BINARY, "run", name],
        cwd=tmp_path,
        env={**os.environ, "CELLWALL_SERVER": str(server.file)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (status, out)
