# SPDX-License-Identifier: MIT
"""ipykernel as the measure: the same cells through the bridge to it, through a stock
client, and through the Python runtime lead to the same outputs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from jupyter_client.manager import KernelManager

from tests.runtimes import framelib
from tests.runtimes.framelib import Frame, Outcome, Raw, Runner
from tests.runtimes.test_jupyter_bridge import answer_run, bridge_argv

ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
Said = list[tuple[Any, ...]]


def write_spec(folder: Path) -> Path:
    folder = folder / "ipykernel"
    folder.mkdir()
    spec = {"argv": ARGV, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    return folder / "kernel.json"


def add(said: Said, kind: str, *what: Any) -> None:
    """Adjacent text of the same stream is one piece, however it came."""
    if kind == "stream" and said and said[-1][:2] == ("stream", what[0]):
        said[-1] = ("stream", what[0], said[-1][2] + what[1])
    else:
        said.append((kind, *what))


def add_content(said: Said, kind: str, content: dict[str, Any]) -> None:
    if kind == "error":
        text = re.sub(r"\x1b\[[0-9;]*m", "", content["traceback"][-1])
        add(said, kind, content["ename"], content["evalue"], text)
    elif kind == "clear_output":
        add(said, kind, content["wait"])
    elif kind == "execute_result":
        add(said, kind, content["data"], content["metadata"])
    elif kind in ("display_data", "update_display_data"):
        has_id = "display_id" in content.get("transient", {})
        add(said, kind, content["data"], content["metadata"], has_id)


class Way(Protocol):
    def run(self, code: str) -> tuple[Said, dict[str, Any]]: ...


class ByFrames:
    def __init__(self, argv: list[str], folder: Path) -> None:
        self.runner = Runner(argv, cwd=folder)
        self.runner.hello()

    def run(self, code: str) -> tuple[Said, dict[str, Any]]:
        outcome: Outcome = self.runner.run(code, user_expressions={"e": "1 + 1"})
        said: Said = []
        for item in outcome.items:
            if isinstance(item, Raw):
                add(
                    said,
                    "stream",
                    "stdout" if item.fd == 1 else "stderr",
                    item.data.decode(),
                )
            elif item.type == "stream":
                add(said, "stream", item.stream, item.text)
            else:
                add_content(said, item.type, item.content)
        return said, outcome.reply.content

    def close(self) -> None:
        self.runner.close()


class ByStockClient:
    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=framelib.TIMEOUT_SECONDS)

    def run(self, code: str) -> tuple[Said, dict[str, Any]]:
        said: Said = []

        def on_output(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                add(said, "stream", content["name"], content["text"])
            else:
                add_content(said, message["msg_type"], content)

        reply = self.client.execute_interactive(
            code,
            allow_stdin=False,
            user_expressions={"e": "1 + 1"},
            output_hook=on_output,
            timeout=framelib.TIMEOUT_SECONDS,
        )
        return said, reply["content"]

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Way]]:
    folder = tmp_path_factory.mktemp("ways")
    found = {
        "bridge": ByFrames(bridge_argv(write_spec(folder)), folder),
        "runtime": ByFrames(framelib.python_argv(), folder),
        "stock": ByStockClient(),
    }
    yield found
    for way in found.values():
        way.close()


CELLS = {
    "result": "6 * 7",
    "none": "x = 1",
    "print": "print('a'); print('b', end=''); print('ü🎉\\x00')",
    "both streams": "import sys; print('o'); print('e', file=sys.stderr)",
    "error": "def f():\n    raise ValueError('on purpose')\nf()",
    "syntax error": "x = (",
    "exception with unicode": "raise KeyError('ü\\n')",
    "display": "from IPython.display import HTML, display; display(HTML('<b>x</b>'), 5)",
    "update": "h = display('a', display_id=True); h.update('b')",
    "clear": "from IPython.display import clear_output as c; print(1); c(wait=True)",
    "bundle": (
        "class R:\n"
        "    def _repr_mimebundle_(self, **k):\n"
        "        return {'text/plain': 'p', 'application/json': {'n': 2**70}}, {'m': 1}\n"
        "R()"
    ),
    "svg": "from IPython.display import SVG; SVG('<svg></svg>')",
    "latex": "from IPython.display import Latex; Latex('$x$')",
    "magic": "%who_ls",
    "await": "import asyncio; await asyncio.sleep(0.01); 'done'",
    "shell": "!echo from the shell",
    "last expressions": "1\n2;",
    "payload": "get_ipython().set_next_input('x = 2')",
    "exit of a block": "raise SystemExit(3)",
    "long output": "for i in range(2000): print(i)",
    "user expressions": "1",
    "pandas": "import pandas; pandas.DataFrame({'a': [1, 2]})",
}


KERNELS_OWN = {"shell", "exit of a block"}
"""Where ipykernel has a terminal's line ends, and warns of its own name for a file."""


@pytest.mark.parametrize("name", CELLS)
def test_outputs_agree(ways: dict[str, Way], name: str) -> None:
    told = {who: way.run(CELLS[name]) for who, way in ways.items()}
    said = {who: outputs for who, (outputs, _) in told.items()}
    assert said["bridge"] == said["stock"]
    if name not in KERNELS_OWN:
        assert said["bridge"] == said["runtime"]
    replies = {who: reply for who, (_, reply) in told.items()}
    for member in ("status", "payload", "user_expressions", "ename", "evalue"):
        stock = replies["stock"].get(member)
        assert replies["bridge"].get(member) == stock, member
        if member != "payload":
            assert replies["runtime"].get(member) == stock, member


@pytest.fixture(scope="module")
def bridge(ways: dict[str, Way]) -> Runner:
    way = ways["bridge"]
    assert isinstance(way, ByFrames)
    return way.runner


def test_input_and_getpass(bridge: Runner) -> None:
    outcome, asked = answer_run(
        bridge, "import getpass; input('a? ') + getpass.getpass('b? ')", "x", "y"
    )
    assert asked == [
        {"prompt": "a? ", "password": False},
        {"prompt": "b? ", "password": True},
    ]
    assert outcome.result["text/plain"] == "'xy'"


def test_comms_go_both_ways(bridge: Runner) -> None:
    outcome = bridge.run(
        "from comm import create_comm\n"
        "c = create_comm(target_name='t', data={'d': 1}, buffers=[b'raw'])\n"
        "c.on_msg(lambda m: c.send(m['content']['data'], buffers=m['buffers']))"
    )
    (opened,) = outcome.frames("comm_open")
    assert (opened.content["data"], opened.buffers) == ({"d": 1}, [b"raw"])
    comm_id = opened.content["comm_id"]
    outcome = bridge.request(
        "comm_msg", {"comm_id": comm_id, "data": {"e": 2}}, buffers=[b"back"]
    )
    (message,) = outcome.frames("comm_msg")
    assert (message.content["data"], message.buffers) == ({"e": 2}, [b"back"])
    assert outcome.reply.content == {}


def test_questions_about_code(bridge: Runner) -> None:
    bridge.run("some_name = 5")
    reply = bridge.request("complete_request", {"code": "some_n"}).reply.content
    assert "some_name" in reply["matches"]
    reply = bridge.request("inspect_request", {"code": "zip"}).reply.content
    assert reply["found"]
    reply = bridge.request("is_complete_request", {"code": "for x in y:"}).reply.content
    assert reply == {"status": "incomplete", "indent": "    "}


def test_an_interrupt_is_a_keyboard_interrupt(bridge: Runner) -> None:
    number = bridge.begin_run("import time; print('on', flush=True); time.sleep(60)")
    bridge.until(number, "stream")
    bridge.interrupt()
    outcome = bridge.finish(number)
    assert outcome.interrupted
    assert outcome.error.content["ename"] == "KeyboardInterrupt"
    bridge.ping()


def test_one_cell_after_a_failure_is_not_aborted(bridge: Runner) -> None:
    for _ in range(20):
        assert bridge.run("1/0").status == "error"
        assert bridge.run("1").status == "ok"


def test_output_that_the_kernel_captures_itself_is_shown_once(bridge: Runner) -> None:
    outcome = bridge.run("import os; os.system('echo raw'); time.sleep(0.3)")
    assert outcome.stdout == "raw\n"


def test_a_crash_ends_the_bridge_likewise(tmp_path: Path) -> None:
    runner = Runner(bridge_argv(write_spec(tmp_path)), cwd=tmp_path)
    runner.hello()
    runner.begin_run("import ctypes; ctypes.string_at(0)")
    list(runner.items())
    assert runner.process.wait(20) == -11
    runner.close()


def test_shutdown_is_in_order(tmp_path: Path) -> None:
    runner = Runner(bridge_argv(write_spec(tmp_path)), cwd=tmp_path)
    runner.hello()
    runner.run("import atexit; atexit.register(open, 'ended', 'w')")
    runner.send(Frame("shutdown", 0))
    assert runner.process.wait(20) == 0
    assert (tmp_path / "ended").exists()
    runner.close()
