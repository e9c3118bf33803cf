# SPDX-License-Identifier: MIT
"""A real JupyterLab server with our kernel, asked as its page asks: REST, WebSockets."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket
from PIL import Image

from tests.system.conftest import marked_processes, wait_for_no_process

TIMEOUT_S = 60.0  # for what must come
V1 = "v1.kernel.websocket.jupyter.org"
Message = dict[str, Any]


class Lab:
    """A running server."""

    def __init__(self, folder: Path, runtime: Path, **options: str) -> None:
        self.token = uuid.uuid4().hex
        self.folder = folder
        self.log = folder.parent / "lab.log"
        arguments = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": "0",
            "IdentityProvider.token": self.token,
            "ServerApp.root_dir": str(folder),
            "LabApp.user_settings_dir": str(folder.parent / "settings"),
            "LabApp.workspaces_dir": str(folder.parent / "workspaces"),
            "LabApp.news_url": "",
            **{f"ServerApp.{name}": value for name, value in options.items()},
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
                + [f"--{name}={value}" for name, value in arguments.items()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.port = self._port(runtime / f"jpserver-{self.process.pid}.json")

    def _port(self, info: Path) -> int:
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                port = json.loads(info.read_text())["port"]
                self.request("GET", "/api/status", port=port)
                return port
            except (OSError, ValueError):
                time.sleep(0.05)
        self.close()
        raise AssertionError(self.log.read_text())

    def request(
        self, method: str, path: str, body: Any = None, *, port: int | None = None
    ) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return response.read()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self.request(method, path, body) or "null")

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Page:
    """One browser page's WebSocket to a kernel."""

    def __init__(self, lab: Lab, kernel: str, protocol: str = V1, session: str = ""):
        self.session = session or uuid.uuid4().hex
        self.v1 = protocol == V1
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{lab.port}/api/kernels/{kernel}/channels"
            f"?session_id={self.session}",
            header=[f"Authorization: token {lab.token}"],
            subprotocols=[V1] if self.v1 else None,
            timeout=TIMEOUT_S,
        )
        self.seen: list[Message] = []

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        channel: str,
        kind: str,
        content: Message,
        parent: Message | None = None,
        buffers: tuple[bytes, ...] = (),
    ) -> str:
        """Sends a message and returns its id."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self.session,
            "username": "tester",
            "date": "2026-01-01T00:00:00.000Z",
            "version": "5.2",
        }
        parts = (header, parent or {}, {}, content)
        if self.v1:
            self.socket.send_binary(packed(channel, parts, buffers))
        else:
            assert not buffers
            names = ("header", "parent_header", "metadata", "content")
            message = dict(zip(names, parts, strict=True))
            self.socket.send(json.dumps({**message, "channel": channel, "buffers": []}))
        return header["msg_id"]

    def receive(self) -> Message:
        data = self.socket.recv()
        message = unpacked(data) if self.v1 else json.loads(data)
        self.seen.append(message)
        return message

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The next message that is WANTED; what comes before is kept in `seen`."""
        while True:
            message = self.receive()
            if wanted(message):
                return message

    def until_text(self, text: str) -> None:
        """Until the streams have said TEXT; how it is cut is chance."""
        said = ""
        while text not in said:
            said += stdout([self.receive()])

    def finish(
        self, asked: str, reply: str | None
    ) -> tuple[Message | None, list[Message]]:
        """The reply to ASKED and its IOPub messages, when both have ended."""
        answer: Message | None = None
        published: list[Message] = []
        while (reply is not None and answer is None) or not is_idle(published):
            message = self.receive()
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["channel"] == "iopub":
                published.append(message)
            elif message["header"]["msg_type"] == reply:
                answer = message
        return answer, published

    def run(self, code: str) -> tuple[Message, list[Message]]:
        """Executes CODE; the content of the reply and what was published."""
        answer, published = self.finish(self.execute(code), "execute_reply")
        assert answer is not None
        return answer["content"], published

    def execute(self, code: str) -> str:
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
        }
        return self.send("shell", "execute_request", content)

    def value(self, code: str) -> str:
        """The text of the value of CODE."""
        [result] = of(self.run(code)[1], "execute_result")
        return result["content"]["data"]["text/plain"]


def kernels(lab: Lab) -> list[dict[str, Any]]:
    return lab.json("GET", "/api/kernels")


@contextmanager
def page_on_the_kernel(lab: Lab) -> Iterator[Page]:
    """A notebook on the one kernel that there is."""
    [kernel] = kernels(lab)
    body = {
        "path": f"{uuid.uuid4().hex}.ipynb",
        "name": "",
        "type": "notebook",
        "kernel": {"id": kernel["id"]},
    }
    session = lab.json("POST", "/api/sessions", body)
    assert session["kernel"]["id"] == kernel["id"]
    with Page(lab, kernel["id"]) as one:
        one.finish(one.send("shell", "kernel_info_request", {}), "kernel_info_reply")
        yield one


def packed(channel: str, parts: tuple[Message, ...], buffers: tuple[bytes, ...]) -> bytes:
    blobs = [channel.encode(), *(json.dumps(part).encode() for part in parts), *buffers]
    count = len(blobs) + 1
    offsets = [8 * (count + 1)]
    for blob in blobs:
        offsets.append(offsets[-1] + len(blob))
    return b"".join([n.to_bytes(8, "little") for n in (count, *offsets)] + blobs)


def unpacked(data: bytes) -> Message:
    count = int.from_bytes(data[:8], "little")
    numbers = (data[8 * i : 8 * i + 8] for i in range(1, count + 1))
    offsets = [int.from_bytes(number, "little") for number in numbers]
    blobs = [data[a:b] for a, b in itertools.pairwise(offsets)]
    names = ("header", "parent_header", "metadata", "content")
    message = dict(zip(names, (json.loads(blob) for blob in blobs[1:5]), strict=True))
    return {**message, "channel": blobs[0].decode(), "buffers": blobs[5:]}


def is_idle(published: list[Message]) -> bool:
    return bool(published) and published[-1]["content"].get("execution_state") == "idle"


def of(messages: list[Message], *kinds: str) -> list[Message]:
    return [m for m in messages if m["header"]["msg_type"] in kinds]


def stdout(published: list[Message]) -> str:
    return "".join(m["content"]["text"] for m in of(published, "stream"))


@pytest.fixture(scope="module")
def lab(kernelspecs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab") / "files"
    folder.mkdir()
    before = set(marked_processes())
    server = Lab(folder, Path(os.environ["JUPYTER_RUNTIME_DIR"]))
    yield server
    server.close()
    assert wait_for_no_process(before) == {}


@pytest.fixture
def session(lab: Lab, kernel_name: str) -> Iterator[Message]:
    """A notebook session of the test's own; its kernel ends with it."""
    body = {
        "path": f"{uuid.uuid4().hex}.ipynb",
        "name": "",
        "type": "notebook",
        "kernel": {"name": kernel_name},
    }
    before = set(marked_processes())
    created = lab.json("POST", "/api/sessions", body)
    yield created
    try:
        lab.request("DELETE", f"/api/sessions/{created['id']}")
    except urllib.error.HTTPError as error:
        assert error.code == 404  # the test has done it
    assert wait_for_no_process(before) == {}


@pytest.fixture
def page_of(lab: Lab, session: Message) -> Iterator[Callable[..., Page]]:
    """Opens pages on the session's kernel, each with its kernel_info answered."""
    opened: list[Page] = []

    def open_page(**options: Any) -> Page:
        page = Page(lab, session["kernel"]["id"], **options)
        opened.append(page)
        asked = page.send("shell", "kernel_info_request", {})
        answer, _ = page.finish(asked, "kernel_info_reply")
        assert answer is not None
        assert answer["content"]["status"] == "ok"
        return page

    yield open_page
    for page in opened:
        page.close()


def test_the_page_is_served(lab: Lab) -> None:
    assert b"jupyter-config-data" in lab.request("GET", "/lab")


def test_the_kernelspec_is_listed_with_logos_that_are_served(
    lab: Lab, kernel_name: str
) -> None:
    spec = lab.json("GET", "/api/kernelspecs")["kernelspecs"][kernel_name]

    assert spec["name"] == kernel_name
    assert spec["spec"]["language"] == "python"
    for name, side in (("logo-32x32", 32), ("logo-64x64", 64)):
        image = Image.open(io.BytesIO(lab.request("GET", spec["resources"][name])))
        assert (image.format, image.size) == ("PNG", (side, side))
    if "logo-svg" in spec["resources"]:
        assert b"<svg" in lab.request("GET", spec["resources"]["logo-svg"])


@pytest.mark.cellwall
def test_the_kernelspec_is_called_python_cellwall(lab: Lab, kernel_name: str) -> None:
    spec = lab.json("GET", "/api/kernelspecs")["kernelspecs"][kernel_name]["spec"]

    assert spec["display_name"] == "Python (Cellwall)"
    assert spec["interrupt_mode"] == "message"
    assert "{connection_file}" in spec["argv"]


@pytest.mark.parametrize("protocol", ["", V1], ids=["json", "v1"])
def test_cells_run_with_rich_output(page_of: Callable[..., Page], protocol: str) -> None:
    page = page_of(protocol=protocol)

    content, published = page.run(
        "import pandas as pd, matplotlib.pyplot as plt\n"
        "print('text')\nplt.plot([1, 2])\nplt.show()\n"
        "pd.DataFrame({'a': ['cell']})"
    )

    assert content["status"] == "ok"
    # A text may be cut: neighbours of one kind are one, and then counted.
    kinds = [k for k, _ in itertools.groupby(m["header"]["msg_type"] for m in published)]
    assert kinds == ["status", "execute_input", "stream", "display_data"] + [
        "execute_result",
        "status",
    ]
    assert stdout(published) == "text\n"
    [figure] = of(published, "display_data")
    [frame] = of(published, "execute_result")
    png = base64.b64decode(figure["content"]["data"]["image/png"])
    Image.open(io.BytesIO(png)).load()
    assert "<td>cell</td>" in frame["content"]["data"]["text/html"]
    assert frame["content"]["execution_count"] == content["execution_count"] == 1


def test_an_error_comes_with_its_traceback(page_of: Callable[..., Page]) -> None:
    content, published = page_of().run("{}['key']")

    [error] = of(published, "error")
    assert content["status"] == "error"
    assert error["content"]["ename"] == content["ename"] == "KeyError"
    assert "key" in "".join(error["content"]["traceback"])


def test_completion_and_inspection(page_of: Callable[..., Page]) -> None:
    page = page_of()
    page.run("planets = ['Mars']")

    asked = page.send("shell", "complete_request", {"code": "plan", "cursor_pos": 4})
    completed, _ = page.finish(asked, "complete_reply")
    content = {"code": "len", "cursor_pos": 3, "detail_level": 0}
    asked = page.send("shell", "inspect_request", content)
    inspected, _ = page.finish(asked, "inspect_reply")

    assert completed is not None
    assert completed["content"]["matches"] == ["planets"]
    assert inspected is not None
    assert inspected["content"]["found"] is True
    assert "text/plain" in inspected["content"]["data"]


def test_input_is_asked_of_the_page(page_of: Callable[..., Page]) -> None:
    page = page_of()
    asked = page.execute("name = input('Who? ')\nprint('Hello', name)")

    request = page.until(lambda m: m["channel"] == "stdin")
    page.send("stdin", "input_reply", {"value": "Ada"}, parent=request["header"])
    answer, _ = page.finish(asked, "execute_reply")

    assert request["content"] == {"prompt": "Who? ", "password": False}
    assert answer is not None
    assert answer["content"]["status"] == "ok"
    assert stdout([m for m in page.seen if m["channel"] == "iopub"]) == "Hello Ada\n"


def test_an_interrupt_by_rest_keeps_the_variables(
    lab: Lab, session: Message, page_of: Callable[..., Page]
) -> None:
    page = page_of()
    page.run("kept = 6")
    asked = page.execute("print('began', flush=True)\nwhile True:\n    pass")
    page.until_text("began\n")

    lab.request("POST", f"/api/kernels/{session['kernel']['id']}/interrupt")
    answer, _ = page.finish(asked, "execute_reply")

    assert answer is not None
    assert answer["content"]["ename"] == "KeyboardInterrupt"
    assert page.value("kept * 7") == "42"


def test_a_restart_by_rest_forgets_the_variables(
    lab: Lab, session: Message, page_of: Callable[..., Page]
) -> None:
    page = page_of()
    page.run("lost = 1")
    before = page.seen[-1]["header"]["session"]

    lab.request("POST", f"/api/kernels/{session['kernel']['id']}/restart")
    again = page_of()

    assert again.value("'lost' in globals()") == "False"
    assert again.seen[-1]["header"]["session"] != before


def test_two_pages_see_one_kernel(page_of: Callable[..., Page]) -> None:
    first, second = page_of(), page_of()

    asked = first.execute("shared = 5\nprint('for both')")
    answer, published = first.finish(asked, "execute_reply")
    _, overheard = second.finish(asked, None)

    assert answer is not None
    assert stdout(published) == stdout(overheard) == "for both\n"
    assert second.value("shared") == "5"
    assert not of(second.seen, "execute_reply")[1:]  # only its own


def test_a_page_that_comes_back_gets_what_it_missed(
    page_of: Callable[..., Page], lab: Lab, session: Message
) -> None:
    page = page_of()
    page.execute(
        "import os, time\nprint('began', flush=True)\n"
        "while not os.path.exists('go'):\n    time.sleep(0.01)\n"
        "os.remove('go')\nprint('done meanwhile')"
    )
    page.until_text("began\n")
    page.close()
    wait_until(lab, session, lambda kernel: kernel["connections"] == 0)

    (lab.folder / "go").touch()
    wait_until(lab, session, lambda kernel: kernel["execution_state"] == "idle")
    with Page(lab, session["kernel"]["id"], session=page.session) as again:
        again.until_text("done meanwhile\n")
        again.until(lambda m: m["content"].get("execution_state") == "idle")


def wait_until(lab: Lab, session: Message, wanted: Callable[[Message], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not wanted(
        kernel := lab.json("GET", f"/api/kernels/{session['kernel']['id']}")
    ):
        assert time.monotonic() < end, kernel
        time.sleep(0.02)


def test_comms_carry_binary_buffers(page_of: Callable[..., Page]) -> None:
    page = page_of()
    page.run(
        "import comm\n"
        "def opened(c, message):\n"
        "    buffers = [bytes(b)[::-1] for b in message['buffers']]\n"
        "    c.send({'echo': message['content']['data']}, buffers=buffers)\n"
        "comm.get_comm_manager().register_target('echo', opened)"
    )

    content = {"comm_id": "c1", "target_name": "echo", "data": {"a": 1}}
    blobs = (b"\x00\xff\x01", b"", bytes(range(256)) * 64)
    asked = page.send("shell", "comm_open", content, buffers=blobs)
    _, published = page.finish(asked, None)

    [echo] = of(published, "comm_msg")
    assert echo["content"] == {"comm_id": "c1", "data": {"echo": {"a": 1}}}
    assert echo["buffers"] == [blob[::-1] for blob in blobs]


def test_the_state_of_the_kernel_is_told_by_rest(
    lab: Lab, session: Message, page_of: Callable[..., Page]
) -> None:
    kernel = f"/api/kernels/{session['kernel']['id']}"
    page = page_of()
    page.run("1")
    wait_until(lab, session, lambda told: told["execution_state"] == "idle")
    asked = page.execute("input()")
    page.until(lambda m: m["channel"] == "stdin")
    wait_until(lab, session, lambda told: told["execution_state"] == "busy")
    assert lab.json("GET", kernel)["connections"] == 1
    lab.request("POST", f"{kernel}/interrupt")
    page.finish(asked, "execute_reply")


def test_a_kernel_that_is_killed_is_restarted_by_the_server(
    lab: Lab, session: Message, page_of: Callable[..., Page]
) -> None:
    page = page_of()
    page.run("lost = 1")
    name = f"kernel-{session['kernel']['id']}.json"
    children = psutil.Process(lab.process.pid).children()
    [kernel] = [child for child in children if name in " ".join(child.cmdline())]

    kernel.kill()
    page.until(lambda m: "restart" in m["content"].get("execution_state", ""))
    again = page_of()

    assert again.value("'lost' in globals()") == "False"


@pytest.mark.cellwall
def test_the_death_of_the_interpreter_does_not_restart_the_kernel(
    page_of: Callable[..., Page],
) -> None:
    page = page_of()
    page.run("lost = 1")
    session = page.seen[-1]["header"]["session"]

    content, published = page.run("import os\nos._exit(7)")

    [error] = of(published, "error")
    assert content["status"] == "error"
    assert "7" in error["content"]["evalue"]
    assert page.value("'lost' in globals()") == "False"
    assert page.seen[-1]["header"]["session"] == session


def test_a_deleted_session_ends_its_kernel(
    lab: Lab, session: Message, page_of: Callable[..., Page]
) -> None:
    page_of().run("import subprocess\np = subprocess.Popen(['sleep', '600'])")

    lab.request("DELETE", f"/api/sessions/{session['id']}")

    running = [kernel["id"] for kernel in lab.json("GET", "/api/kernels")]
    assert session["kernel"]["id"] not in running
