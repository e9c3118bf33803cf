# SPDX-License-Identifier: MIT
"""Kernels whose interpreters come from a server: the same, only sooner."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyter_client import KernelManager

from tests.system.conftest import BINARY, KERNEL
from tests.system.rawclient import Client, KernelProcess
from tests.system.servers import READY, Server, is_below

pytestmark = pytest.mark.cellwall

OTHER_USER = 1000
FORKED = "__import__('os').getpid() == 3"  # who has forked it was there before


@contextmanager
def kernel_of(
    argv: list[str],
    folder: Path,
    env: dict[str, str],
    *extra: str,
    cwd: Path | None = None,
) -> Iterator[tuple[KernelProcess, Client]]:
    with KernelProcess(argv, folder, env=env, cwd=cwd, extra=extra) as kernel:
        with Client(kernel.info) as client:
            client.wait_ready()
            yield kernel, client


@pytest.fixture(scope="session")
def environment_file(kernelspecs: Path) -> str:
    return str(kernelspecs / "share/jupyter/kernels" / KERNEL / "environment.json")


@pytest.fixture(scope="module")
def server(environment_file: str) -> Iterator[Server]:
    """One for the tests that leave it as they found it."""
    with Server(BINARY, "--environment", environment_file) as s:
        s.wait_said(READY)
        yield s


@pytest.fixture
def own_server(environment_file: str) -> Iterator[Server]:
    with Server(BINARY, "--reserve", "0", "--environment", environment_file) as s:
        s.wait_said(READY)
        yield s


# --- the same kernel ------------------------------------------------------------------

LOOK = """
import os, sys, resource, signal, locale, threading, re
def status():
    wanted = ("Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp:", "SigBlk", "SigIgn")
    return [l.strip() for l in open("/proc/self/status") if l.startswith(wanted)]
def mounts():
    rows = [l.split() for l in open("/proc/self/mountinfo")]
    return sorted((r[4], r[5], r[r.index("-") + 1]) for r in rows)
seen = {
    "environ": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "argv": sys.argv,
    "executable": sys.executable, "flags": str(sys.flags), "prefix": sys.prefix,
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource)
               if n.startswith("RLIMIT_")},
    "status": status(), "mounts": mounts(), "uname": os.uname()[1:2],
    "fds": sorted(os.listdir("/proc/self/fd"))[:4], "locale": locale.getlocale(),
    "threads": threading.active_count(),
    "sigint": signal.getsignal(signal.SIGINT).__name__,
    "home": sorted(os.listdir(os.path.expanduser("~"))), "tmp": os.listdir("/tmp"),
    "main": sorted(k for k in globals() if not k.startswith("_")),
    "encoding": [sys.stdout.encoding, sys.getfilesystemencoding()],
}
print(repr(seen))
"""


def look(argv: list[str], folder: Path, env: dict[str, str], *extra: str) -> dict:
    with kernel_of(argv, folder, env, *extra) as (_, client):
        said = client.execute(LOOK).stream()
        return eval(said, {"nan": None})  # what our own code has printed


@pytest.mark.parametrize("network", ["none", "host"])
def test_what_code_sees_is_the_same_without_a_server_and_with_one(
    server: Server, kernel_argv: list[str], tmp_path: Path, network: str
) -> None:
    env = {**server.env, "LC_TIME": "C", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "1"}
    options = ["--network", network]
    alone = look(kernel_argv, tmp_path, {**env, "CELLWALL_SERVER": "none"}, *options)
    ready = len([line for line in server.lines if re.search(READY, line)])
    by_exec = look(kernel_argv, tmp_path, env, *options)
    assert by_exec == alone
    if network == "none":  # with a network there is no zygote
        server.wait_said(READY, ready + 1)
        by_fork = look(kernel_argv, tmp_path, env, *options)
        assert by_fork == alone


def test_a_kernel_is_forked_with_the_packages_imported(
    server: Server, kernel_argv: list[str], tmp_path: Path
) -> None:
    with kernel_of(kernel_argv, tmp_path, server.env) as (kernel, client):
        assert client.evaluate(FORKED) is True
        assert client.evaluate("'numpy' in __import__('sys').modules") is True
        assert kernel.stderr() == ""


def test_kernels_at_the_same_time_know_nothing_of_each_other(
    server: Server, kernel_argv: list[str], tmp_path: Path
) -> None:
    with (
        kernel_of(kernel_argv, tmp_path, server.env) as (_, a),
        kernel_of(kernel_argv, tmp_path, server.env) as (_, b),
    ):
        a.execute("secret = 1; open('/tmp/mine', 'w').write('x')")
        assert b.evaluate("'secret' in globals()") is False
        assert b.evaluate("__import__('os').path.exists('/tmp/mine')") is False
        for expression in (
            "__import__('random').random()",
            "float(__import__('numpy').random.rand())",
            "str(__import__('uuid').uuid4())",
            "str(__import__('uuid').uuid1())",
            "__import__('tempfile').mktemp()",
            "__import__('os').urandom(8)",
            "__import__('secrets').token_hex()",
        ):
            assert a.evaluate(expression) != b.evaluate(expression), expression
        pids = "[p for p in __import__('os').listdir('/proc') if p.isdigit()]"
        assert len(a.evaluate(pids)) < 5


def test_variables_restart_and_interrupt_by_a_stock_client(
    served_kernelspec: Path, tmp_path: Path
) -> None:
    manager = KernelManager(kernel_name=served_kernelspec.name)
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)

        def run(code: str) -> str:
            said: list[str] = []

            def hook(message: dict) -> None:
                if message["msg_type"] == "stream":
                    said.append(message["content"]["text"])
                    if "waiting" in said[-1]:
                        manager.interrupt_kernel()

            client.execute_interactive(code, output_hook=hook, timeout=60)
            return "".join(said)

        run("x = 41")
        assert run("x += 1; print(x)") == "42\n"
        run("import time; print('waiting', flush=True); time.sleep(1000)")
        assert run("print(x)") == "42\n"
        manager.restart_kernel()
        client.wait_for_ready(timeout=60)
        assert run("print('x' in globals())") == "False\n"
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def test_the_session_is_the_notebooks_own(
    server: Server, kernel_argv: list[str], tmp_path: Path
) -> None:
    for name in ("first.ipynb", "second.ipynb"):
        env = {**server.env, "JPY_SESSION_NAME": name}
        with kernel_of(kernel_argv, tmp_path, env) as (_, client):
            assert client.evaluate("__session__") == name


def test_home_as_the_notebooks_directory(
    server: Server, kernel_argv: list[str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/key").write_text("secret")
    (home / "note").write_text("seen")
    env = {**server.env, "HOME": str(home)}
    with kernel_of(kernel_argv, tmp_path, env, cwd=home) as (_, client):
        assert client.evaluate("open('note').read()") == "seen"
        assert client.evaluate("__import__('os').listdir('.ssh')") == []


def test_die_with_child_ends_the_kernel(
    server: Server, kernel_argv: list[str], tmp_path: Path
) -> None:
    with kernel_of(kernel_argv, tmp_path, server.env, "--die-with-child") as (kernel, c):
        c.start("import os; os._exit(3)")
        assert kernel.wait() == 1


# --- environments ---------------------------------------------------------------------


def test_new_kernels_see_what_was_installed_since(
    server: Server, venv: Path, tmp_path: Path
) -> None:
    argv = [str(BINARY), "kernel", "-f", "{connection_file}"]
    argv += ["--python", str(venv / "bin/python")]
    name = re.escape(str(venv))
    site = next(venv.glob("lib/python*/site-packages"))
    with kernel_of(argv, tmp_path, server.env):
        server.wait_said(f"zygote of {name}.*: ready")
    (site / "fresh_module.py").write_text("answer = 42\n")
    for forked in (False, True):
        with kernel_of(argv, tmp_path, server.env) as (_, client):
            assert client.evaluate("__import__('fresh_module').answer") == 42
            assert client.evaluate(FORKED) is forked
            server.wait_said(f"zygote of {name}.*: ready", 2)
    server.wait_said(f"zygote of {name}.*environment has changed")


def test_new_kernels_see_what_was_changed_in_a_package_that_is_imported_ahead(
    venv: Path, tmp_path: Path
) -> None:
    python = str(venv / "bin/python")
    argv = [str(BINARY), "kernel", "-f", "{connection_file}", "--python", python]
    package = next(venv.glob("lib/python*/site-packages")) / "package"
    package.mkdir()
    (package / "__init__.py").write_text("answer = 'old'\n")
    settings = {"reserve": 1, "python": python, "preload": {"python": ["package"]}}
    file = tmp_path / "serve.json"
    file.write_text(json.dumps(settings))
    with Server(BINARY, "--config", str(file)) as server:
        server.wait_said(READY)
        with kernel_of(argv, tmp_path, server.env) as (_, client):
            assert client.evaluate(FORKED) is True
            assert client.evaluate("__import__('package').answer") == "old"
        (package / "__init__.py").write_text("answer = 'changed'\n")
        for forked in (False, True):
            with kernel_of(argv, tmp_path, server.env) as (_, client):
                assert client.evaluate("__import__('package').answer") == "changed"
                assert client.evaluate(FORKED) is forked
                server.wait_said(READY, 2)


def test_a_notebook_in_the_folder_of_its_environment(
    server: Server, venv: Path, tmp_path: Path
) -> None:
    argv = [str(BINARY), "kernel", "-f", "{connection_file}"]
    argv += ["--python", str(venv / "bin/python")]
    for _ in range(2):
        with kernel_of(argv, tmp_path, server.env, cwd=venv.parent) as (_, client):
            assert client.evaluate("__import__('sys').prefix") == str(venv)
            assert (
                client.execute(f"open({str(venv / 'pyvenv.cfg')!r}, 'a')").content[
                    "status"
                ]
                == "error"
            )


# --- ends -----------------------------------------------------------------------------


def zygote_of(server: Server) -> int:
    """That of notebooks: the oldest with its command; the others are its forks."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            command = (stat.parent / "cmdline").read_bytes()
            environ = (stat.parent / "environ").read_bytes().split(b"\0")
            fields = (stat.parent / "stat").read_text().rsplit(")", 1)[1].split()
            is_the_servers = is_below(int(stat.parent.name), server.pid)
        except OSError:
            continue
        if b"m.zygote()" not in command or b"HOME=/workspace" in environ:
            continue
        if is_the_servers:
            found.append((int(fields[19]), int(stat.parent.name)))
    return min(found)[1]


def test_when_the_zygote_dies_kernels_live_on_and_another_comes(
    own_server: Server, kernel_argv: list[str], tmp_path: Path
) -> None:
    with kernel_of(kernel_argv, tmp_path, own_server.env) as (_, before):
        before.execute("x = 1")
        os.kill(zygote_of(own_server), signal.SIGKILL)
        own_server.wait_said("it has ended; until there is another")
        assert before.evaluate("x") == 1
        with kernel_of(kernel_argv, tmp_path, own_server.env) as (_, between):
            assert between.evaluate(FORKED) is False
            own_server.wait_said(READY, 2)
        with kernel_of(kernel_argv, tmp_path, own_server.env) as (_, after):
            assert after.evaluate(FORKED) is True
        assert before.evaluate("x") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_server_ends_the_kernel_goes_on_by_itself(
    own_server: Server, kernel_argv: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    with kernel_of(kernel_argv, tmp_path, own_server.env) as (kernel, client):
        client.execute("x = 1")
        os.kill(own_server.pid, number)
        status = own_server.wait()
        assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert own_server.file.exists() == (number == signal.SIGKILL)
        client.iopub_until(lambda m: m.type == "error" or "ended" in str(m.content))
        client.kept = []
        assert client.evaluate("'x' in globals()") is False
        assert client.evaluate(FORKED) is False
        assert "the sandbox was ended from outside" in kernel.stderr()


def test_a_server_that_was_killed_is_replaced_and_asked_at_the_next_start(
    own_server: Server, kernel_argv: list[str], tmp_path: Path, environment_file: str
) -> None:
    with kernel_of(kernel_argv, tmp_path, own_server.env) as (_, client):
        own_server.kill()
        with Server(
            BINARY, "--environment", environment_file, folder=own_server.runtime
        ) as second:
            second.wait_said(READY)
            assert second.description()["pid"] == second.pid
            client.execute("import os; os._exit(1)")
            assert client.evaluate("1 + 1") == 2
            with kernel_of(kernel_argv, tmp_path, second.env) as (_, other):
                assert other.evaluate(FORKED) is True


def test_a_second_server_of_the_same_user_is_refused(server: Server) -> None:
    second = Server(BINARY, folder=server.runtime, expect_start=False)

    assert second.wait() == 125
    assert second.lines[0].startswith(
        f"cellwall: serve: a server of this user is running already (process {server.pid}"
    )
    assert server.file.exists()


# --- who is asked ---------------------------------------------------------------------


def test_no_server_is_asked_when_none_is_wanted(
    server: Server, kernel_argv: list[str], tmp_path: Path
) -> None:
    for env, extra in (({"CELLWALL_SERVER": "none"}, ()), ({}, ("--server", "none"))):
        with kernel_of(kernel_argv, tmp_path, {**server.env, **env}, *extra) as (_, c):
            assert c.evaluate(FORKED) is False


@pytest.mark.parametrize("name", ["cellwall/server.json", "cellwall/contexts.sock"])
def test_a_server_is_named_by_its_file_or_its_socket(
    server: Server, kernel_argv: list[str], tmp_path: Path, name: str
) -> None:
    address = str(server.runtime / name)
    for env, extra in (({"CELLWALL_SERVER": address}, ()), ({}, ("--server", address))):
        with kernel_of(kernel_argv, tmp_path, env, *extra) as (_, client):
            assert client.evaluate(FORKED) is True


def test_a_server_that_is_insisted_on_and_not_there_is_an_error(
    kernel_argv: list[str], tmp_path: Path
) -> None:
    for name in ("nothing.sock", "nothing.json"):
        kernel = KernelProcess(
            kernel_argv, tmp_path, extra=["--server", str(tmp_path / name)]
        )
        assert kernel.wait() == 125
        assert re.fullmatch(
            r"cellwall: kernel: .*no server.*No such file.*\n", kernel.stderr()
        )


def test_a_server_that_is_not_there_is_done_without(
    kernel_argv: list[str], tmp_path: Path
) -> None:
    env = {"CELLWALL_SERVER": str(tmp_path / "nothing.sock")}
    with kernel_of(kernel_argv, tmp_path, env) as (kernel, client):
        assert client.evaluate("1 + 1") == 2
        assert "no server at" in kernel.stderr()


@pytest.mark.parametrize("member", ["version", "namespaces"])
def test_a_server_of_another_version_or_container_is_done_without(
    own_server: Server, kernel_argv: list[str], tmp_path: Path, member: str
) -> None:
    description = own_server.description()
    description[member] = "0.0.0" if member == "version" else {"mnt": "mnt:[1]"}
    own_server.file.write_text(json.dumps(description))
    with kernel_of(kernel_argv, tmp_path, own_server.env) as (kernel, client):
        assert client.evaluate(FORKED) is False
        assert kernel.stderr().count("the interpreter is started without a server") == 1


# --- the folder -----------------------------------------------------------------------


def refused(folder: Path) -> str:
    server = Server(BINARY, folder=folder, expect_start=False)
    assert server.wait() == 125
    return server.lines[0]


@pytest.fixture
def runtime_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cellwall-run-"))
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_others_can_enter_is_refused(
    runtime_folder: Path, kernel_argv: list[str], tmp_path: Path
) -> None:
    (runtime_folder / "cellwall").mkdir()
    (runtime_folder / "cellwall").chmod(0o755)
    assert "is open to other users" in refused(runtime_folder)
    env = {"XDG_RUNTIME_DIR": str(runtime_folder)}
    with kernel_of(kernel_argv, tmp_path, env) as (kernel, client):
        assert client.evaluate("1 + 1") == 2
        assert "is open to other users" in kernel.stderr()


def test_a_folder_of_another_user_or_behind_a_link_is_refused(
    runtime_folder: Path, tmp_path: Path
) -> None:
    place = runtime_folder / "cellwall"
    place.symlink_to(tmp_path)
    assert "is not a folder of this user" in refused(runtime_folder)
    place.unlink()
    if os.getuid() == 0:
        place.mkdir(mode=0o700)
        os.chown(place, OTHER_USER, OTHER_USER)
        assert "is not a folder of this user" in refused(runtime_folder)


def test_without_a_runtime_folder_there_is_one_in_the_temporary_directory(
    runtime_folder: Path,
) -> None:
    env = {"XDG_RUNTIME_DIR": "", "TMPDIR": str(runtime_folder)}
    with Server(BINARY, env=env) as server:
        place = runtime_folder / f"cellwall-{os.getuid()}"
        assert server.wait_said("ready").endswith(f"{place}/contexts.sock")
        assert place.stat().st_mode & 0o777 == 0o700
        assert (place / "server.json").stat().st_mode & 0o777 == 0o600


# --- settings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "expected an object, got an array"),
        ('{"reserve": -1}', '"reserve": must be a number from 0 to 64'),
        ('{"reserve": 1.5}', '"reserve": must be a number'),
        ('{"runtimes": "python"}', '"runtimes": must be an array'),
        ('{"runtimes": [1]}', '"runtimes": must have strings alone'),
        ('{"python": ""}', '"python": must be a string'),
        ('{"preload": []}', '"preload": must be an object'),
        ('{"preload": {"python": [1]}}', '"preload": "python" must have strings alone'),
        ('{"endpoint": "x"}', '"endpoint" is not known'),
    ],
)
def test_a_wrong_configuration_is_named_by_its_member(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "serve.json"
    file.write_text(text)
    server = Server(BINARY, "--config", str(file), expect_start=False)

    assert server.wait() == 2
    assert server.lines[0].startswith(f"cellwall: serve: {file}")
    assert complaint in server.lines[0]
    shutil.rmtree(server.runtime)


def test_the_configuration_says_what_is_imported_ahead(
    tmp_path: Path, environment_file: str, kernel_argv: list[str]
) -> None:
    file = tmp_path / "serve.json"
    settings = {
        "environments": [environment_file],
        "reserve": 0,
        "preload": {"python": ["xml.dom"]},
    }
    file.write_text(json.dumps(settings))
    with Server(BINARY, "--config", str(file)) as server:
        assert server.wait_said(READY).endswith("ready with xml.dom")
        with kernel_of(kernel_argv, tmp_path, server.env) as (_, client):
            assert client.evaluate(FORKED) is True
            assert client.evaluate("'numpy' in __import__('sys').modules") is False


def test_a_runtime_that_was_asked_for_and_is_not_there_is_an_error() -> None:
    server = Server(BINARY, "--runtime", "cobol", expect_start=False)

    assert server.wait() == 125
    assert "cobol" in server.lines[0]
    shutil.rmtree(server.runtime)


# --- walls ----------------------------------------------------------------------------

CONNECT = """
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(20)
try:
    s.connect({path!r})
    print(s.recv(100))
except OSError as e:
    print("refused", type(e).__name__)
"""


def test_an_ordinary_user_has_a_server_which_contexts_cannot_ask(
    kernel_argv: list[str], environment_file: str
) -> None:
    """The socket is in the notebook's directory, and the code is the same user's."""
    if os.getuid() != 0:
        pytest.fail("only root can become another user")
    folder = Path(tempfile.mkdtemp(prefix="cellwall-user-"))
    shutil.copy(environment_file, folder / "environment.json")
    os.chmod(folder / "environment.json", 0o644)
    env = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    argv = [environment_file_at(a, folder) for a in kernel_argv]
    try:
        with Server(
            BINARY, "--environment", str(folder / "environment.json"),
            folder=folder, env=env, user=OTHER_USER,
        ) as server:  # fmt: skip
            server.wait_said(READY)
            with user_kernel(argv, folder, env) as client:
                assert client.evaluate(FORKED) is True
                code = CONNECT.format(path=str(folder / "cellwall/contexts.sock"))
                said = client.execute(code).stream()
                assert said == "b''\n" or said.startswith("refused"), said
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment_file_at(word: str, folder: Path) -> str:
    return str(folder / "environment.json") if word.endswith("environment.json") else word


@contextmanager
def user_kernel(argv: list[str], folder: Path, env: dict[str, str]) -> Iterator[Client]:
    """A kernel of OTHER_USER: started by a helper that becomes this user."""
    drop = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
    with (
        KernelProcess([*drop, *argv], folder, env=env, owner=OTHER_USER) as kernel,
        Client(kernel.info) as client,
    ):
        client.wait_ready()
        yield client
