# SPDX-License-Identifier: MIT
"""Inside an ordinary container: what is refused, what the nested tier gives."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.conftest import BINARY, MARK, wait_for_no_process
from tests.system.rawclient import Client, KernelProcess

pytestmark = pytest.mark.cellwall

CONTAINER = BINARY.parent / "tests/sandbox/sandbox_container"
USER = 64322
SKIPPED = 77


@dataclass
class Place:
    """A container, and a directory that whoever runs in it can use."""

    argv: list[str]
    directory: Path
    environment: Path
    who: str

    @property
    def mark(self) -> str:
        """What tells its processes from those of the other tests' server."""
        return str(self.directory)

    def env(self) -> dict[str, str]:
        # The parent's number means nothing among the container's processes.
        return {
            "JPY_PARENT_PID": "",
            MARK: self.mark,
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory.parent / "tmp"),
            "JUPYTER_RUNTIME_DIR": str(self.directory),
            "XDG_RUNTIME_DIR": str(self.directory),
            # It traces the process, which takes a capability that containers lack.
            "ASAN_OPTIONS": os.environ["ASAN_OPTIONS"] + ":detect_leaks=0",
        }

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.argv, str(BINARY), *args],
            env={**os.environ, **self.env()},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def kernel(self, *args: str, stays: bool = False) -> KernelProcess:
        """STAYS: the container outlives the kernel, which would take all along."""
        (self.directory / "nb").mkdir(exist_ok=True)
        (self.directory / "nb").chmod(0o777)
        return KernelProcess(
            [*self.argv, *(("sh", "-c", '"$@"; sleep 1000', "sh") if stays else ())]
            + [str(BINARY), "kernel", "-f", "{connection_file}"]
            + ["--environment", str(self.environment), *args],
            self.directory,
            env=self.env(),
            cwd=self.directory / "nb",
            owner=self.owner(),
        )

    def owner(self) -> int | None:
        """Whose its files are, if that is not who runs the tests."""
        return self.directory.stat().st_uid if os.geteuid() == 0 else None

    def leftovers(self) -> list[str]:
        return sorted(p.name for p in (self.directory.parent / "tmp").iterdir())


@pytest.fixture(params=["root", "user"])
def place(request: pytest.FixtureRequest, kernel_argv: list[str]) -> Iterator[Place]:
    if not CONTAINER.exists():
        pytest.skip(f"{CONTAINER} is not built")
    argv = [str(CONTAINER)]
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("root's container needs root")
    if request.param == "user" and os.geteuid() == 0:
        argv += ["--user", str(USER)]
    tried = subprocess.run([*argv, "true"], capture_output=True, text=True, timeout=20)
    if tried.returncode == SKIPPED:
        pytest.skip(tried.stderr.strip())
    # Not pytest's own directory: that is closed to all others.
    top = Path(tempfile.mkdtemp(prefix="cellwall-tiers-"))
    top.chmod(0o755)
    for name in ("home", "tmp"):
        (top / name).mkdir()
        if request.param == "user" and os.geteuid() == 0:
            os.chown(top / name, USER, USER)
    (top / "tmp").chmod(0o1777)
    environment = top / "environment.json"
    shutil.copy(kernel_argv[kernel_argv.index("--environment") + 1], environment)
    environment.chmod(0o644)
    yield Place(argv, top / "home", environment, request.param)
    shutil.rmtree(top)


@dataclass
class Nested:
    """A kernel in the nested tier, and a client of it."""

    place: Place
    kernel: KernelProcess
    client: Client


@pytest.fixture
def nested(place: Place) -> Iterator[Nested]:
    """Nothing of it may be left."""
    with place.kernel("--tier", "nested") as kernel, Client(kernel.info) as client:
        client.wait_ready()
        yield Nested(place, kernel, client)
    assert wait_for_no_process(set(), mark=place.mark) == {}
    assert place.leftovers() == []


def test_the_full_tier_is_refused_with_the_layer_and_the_remedy(place: Place) -> None:
    with place.kernel() as kernel, Client(kernel.info) as client:
        client.wait_ready()
        run = client.execute("1")
        text = "\n".join(run.content["traceback"])

        assert run.content["status"] == "error"
        assert run.content["ename"] == "KernelStartFailed"
        for words in (
            "this machine gives no full sandbox: ",
            "user namespaces are forbidden here",
            "--tier nested accepts a weaker one (docs/sandbox.md)",
        ):
            assert words in text
            assert words in kernel.stderr()
    assert place.leftovers() == []


def test_a_notebook_runs_in_the_nested_tier(nested: Nested) -> None:
    assert nested.client.evaluate("sum(range(10))") == 45
    run = nested.client.execute(
        "import numpy as np\na = np.random.default_rng(1).random((200, 200))\n"
        "print(bool(np.isfinite((a @ a).sum())))"
    )
    assert run.stream() == "True\n"
    run = nested.client.execute(
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);"
    )
    assert run.of("display_data")[0].content["data"]["image/png"], run.output()
    run = nested.client.execute(
        "import subprocess\n"
        "print(subprocess.run(['sh', '-c', 'echo from a shell'], capture_output=True,"
        " text=True, check=True).stdout)"
    )
    assert run.stream() == "from a shell\n\n"
    assert "nested sandbox" in nested.kernel.stderr()


def test_the_private_places_are_private_and_work(nested: Nested) -> None:
    home = nested.client.evaluate("__import__('os').environ['HOME']")
    tmp = nested.client.evaluate("__import__('tempfile').gettempdir()")

    assert home.startswith(str(nested.place.directory.parent / "tmp"))
    assert tmp.startswith(str(nested.place.directory.parent / "tmp"))
    run = nested.client.execute(
        "import os, tempfile, pathlib\n"
        "pathlib.Path.home().joinpath('x').write_text('y')\n"
        "tempfile.NamedTemporaryFile().write(b'z')\n"
        "print(oct(os.stat(os.environ['HOME']).st_mode & 0o777))"
    )
    assert run.stream() == "0o700\n", run.output()


def test_the_working_directory_is_written(nested: Nested) -> None:
    run = nested.client.execute(
        "open('made', 'w').write('x'); print(open('made').read())"
    )

    assert run.stream() == "x\n"
    assert (nested.place.directory / "nb/made").read_text() == "x"


def test_input_and_interrupt_work(nested: Nested) -> None:
    client = nested.client
    asked = client.start("print(input('name? ')[::-1])", allow_stdin=True)
    assert client.receive("stdin").content["prompt"] == "name? "
    client.send("stdin", "input_reply", {"value": "ann"})
    assert client.finish(asked).stream() == "nna\n"

    started = client.start("print('in', flush=True); import time; time.sleep(60)")
    client.until_text("in")
    client.request("interrupt_request", channel="control")
    assert client.finish(started).content["ename"] == "KeyboardInterrupt"


def test_death_is_reported_and_the_next_cell_runs(nested: Nested) -> None:
    run = nested.client.execute("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")

    assert run.content["ename"] == "SegmentationFault"
    assert nested.client.evaluate("1 + 1") == 2


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/shadow').read()",
        "open({outside!r}).read()",
        "open({outside!r}, 'w')",
        "import os; os.kill({pid}, 0)",
        "import socket; socket.create_connection(('127.0.0.1', {port}), 5)",
        "import socket; socket.socket(socket.AF_UNIX)",
        "import os; os.listdir('/tmp')",
        "import ctypes; assert ctypes.CDLL(None).syscall(272, 0x10000000) >= 0",
    ],
)
def test_what_is_outside_stays_out_of_reach(nested: Nested, code: str) -> None:
    outside = nested.place.directory / "outside.txt"
    outside.write_text("secret")
    code = code.format(outside=str(outside), pid=1, port=nested.kernel.info["shell_port"])

    assert nested.client.execute(code).content["status"] == "error"
    assert outside.read_text() == "secret"


def test_daemons_end_with_the_kernel(nested: Nested) -> None:
    run = nested.client.execute(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        for fd in (0, 1, 2): os.close(fd)\n"
        "        time.sleep(1000)\n"
        "    os._exit(0)\n"
        "os.wait(); print('left')"
    )

    assert run.stream() == "left\n"


def kernels_of(file: Path) -> list[int]:
    """The process that serves FILE, not its launcher nor who started it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            is_ours = (entry / "comm").read_text() == "cellwall\n"
            if is_ours and str(file).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended
    return found


def test_nothing_is_left_when_the_kernel_is_killed(place: Place) -> None:
    with (
        place.kernel("--tier", "nested", stays=True) as kernel,
        Client(kernel.info) as client,
    ):
        client.wait_ready()
        client.execute("import subprocess; subprocess.Popen(['sleep', '999.5'])")
        (pid,) = kernels_of(kernel.file)
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while time.monotonic() < end and (place.leftovers() or sleepers()):
            time.sleep(0.05)
        assert place.leftovers() == []
        assert sleepers() == []
    assert wait_for_no_process(set(), mark=place.mark) == {}


def sleepers() -> list[int]:
    """What the cell has started; its environment is not the tests'."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if (entry / "cmdline").read_bytes() == b"sleep\x00999.5\x00":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_server_that_requires_the_full_tier_does_not_start(place: Place) -> None:
    done = place.run("serve", "--environment", str(place.environment))

    assert done.returncode == 125
    assert "this machine gives no full sandbox: " in done.stderr
    assert "--tier nested accepts a weaker one" in done.stderr


def test_a_server_makes_nested_sandboxes_for_kernels(place: Place) -> None:
    """One container for both: a kernel's server is in its own namespaces."""
    script = (
        '"$0" serve --tier nested --environment "$1" 2> server.log & '
        "until grep -qs ready server.log; do sleep 0.05; done; "
        'shift; exec "$0" kernel "$@"'
    )
    with KernelProcess(
        [*place.argv, "sh", "-c", script, str(BINARY), str(place.environment)]
        + ["-f", "{connection_file}", "--environment", str(place.environment)]
        + ["--tier", "nested", "--profile", "agent"],
        place.directory,
        env=place.env(),
        owner=place.owner(),
    ) as kernel:
        with Client(kernel.info) as client:
            client.wait_ready()
            assert client.evaluate("6 * 7") == 42
            run = client.execute("import os; print(os.getcwd())")
            assert run.stream().startswith(str(place.directory.parent / "tmp"))
        log = (place.directory / "server.log").read_text()
        assert "nested ones are made, by exec" in log
        # Full ones were wished first, and neither of them could make one.
        alone = [n for n in kernel.stderr().splitlines() if "without a server" in n]
        assert [line for line in alone if "new namespaces" not in line] == []
        for pid in kernels_of(place.environment):
            if (
                pid != kernel.pid
                and b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ):
                os.kill(pid, signal.SIGTERM)
    assert wait_for_no_process(set(), mark=place.mark) == {}


def test_the_doctor_says_what_the_container_lacks(place: Place) -> None:
    person = place.run("doctor")
    machine = place.run("doctor", "--json")
    report = json.loads(machine.stdout)

    assert person.returncode == machine.returncode == 1
    assert person.stdout.splitlines()[0].startswith("tier: nested")
    assert "user namespaces are forbidden here" in person.stdout
    assert report["tier"] == "nested"
    assert report["full"]["works"] is False
    assert report["nested"]["works"] is True


def test_the_doctor_is_content_outside(kernelspecs: Path) -> None:
    done = subprocess.run(
        [str(BINARY), "doctor", "--json", "--python", sys.executable],
        capture_output=True,
        text=True,
        timeout=120,
    )
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stdout
    assert report["tier"] == "full"
    assert report["full"]["works"] is True
    assert any(k["name"] == "cellwall-python" for k in report["kernelspecs"])
    (python,) = [r for r in report["runtimes"] if r["name"] == "python"]
    assert python["state"] == "ok"
    assert ", zygote ready" in python["detail"]
