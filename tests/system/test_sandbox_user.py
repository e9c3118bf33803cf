# SPDX-License-Identifier: MIT
"""The walls, as a user of a notebook meets them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.rawclient import Client, KernelProcess

pytestmark = pytest.mark.cellwall


def error_of(client: Client, code: str) -> str:
    run = client.execute(code)
    assert run.content["status"] == "error", run.output()
    return run.content["ename"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port on the loopback that anyone outside of the sandbox can reach."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        with socket.create_connection(s.getsockname()):
            s.accept()[0].close()
        yield s


def test_a_port_of_the_machine_is_not_reached(
    client: Client, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    ename = error_of(
        client, f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
    )

    assert ename in ("ConnectionRefusedError", "OSError", "PermissionError")
    listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        listener.accept()


@pytest.mark.parametrize("kernel_port", ["shell_port", "control_port", "stdin_port"])
def test_the_kernels_own_ports_are_not_reached(
    shared_kernel: KernelProcess, client: Client, kernel_port: str
) -> None:
    port = shared_kernel.info[kernel_port]

    assert error_of(
        client, f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
    )


def test_abstract_and_file_sockets_of_the_machine_are_not_reached(
    client: Client, tmp_path: Path
) -> None:
    name = f"cellwall-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as file:
        abstract.bind("\0" + name)
        abstract.listen()
        path = tmp_path / "outside.sock"
        file.bind(str(path))
        file.listen()
        for address in ("\\0" + name, str(path)):
            assert error_of(
                client,
                f"import socket; socket.socket(socket.AF_UNIX).connect('{address}')",
            )


def test_names_are_not_resolved(client: Client) -> None:
    assert error_of(client, "import socket; socket.getaddrinfo('example.org', 80)")


def test_files_outside_are_not_there(client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    for path in (secret, Path.home() / ".bashrc", "/etc/shadow", "/root/.ssh", "/boot"):
        assert client.evaluate(f"__import__('os').path.exists({str(path)!r})") is False


def test_the_key_of_the_connection_is_not_there(
    shared_kernel: KernelProcess, client: Client
) -> None:
    key = shared_kernel.info["key"]
    run = client.execute(
        "import glob\n"
        "found = b''\n"
        "for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'):\n"
        "    try: found += open(path, 'rb').read()\n"
        "    except OSError: pass"
    )

    assert run.content["status"] == "ok"
    assert client.evaluate(f"b'{key[:16]}' + b'{key[16:]}' in found") is False


def test_the_working_directory_is_written_for_real(
    shared_kernel: KernelProcess, client: Client
) -> None:
    client.execute("open('made-inside.txt', 'w').write('by the cell')")
    made = shared_kernel.file.parent / "made-inside.txt"

    assert made.read_text() == "by the cell"
    assert made.stat().st_uid == os.getuid()
    (shared_kernel.file.parent / "made-outside.txt").write_text("by the user")
    assert client.evaluate("open('made-outside.txt').read()") == "by the user"


@pytest.mark.parametrize("path", ["/usr/made", "/etc/made", "/made", "/usr/bin/env"])
def test_the_system_is_read_only(client: Client, path: str) -> None:
    assert error_of(client, f"open({path!r}, 'a')") in ("OSError", "PermissionError")


def test_the_interpreters_environment_is_read_only(client: Client) -> None:
    prefix = client.evaluate("__import__('sys').prefix")

    assert error_of(client, f"open('{prefix}/made', 'w')") in (
        "OSError",
        "PermissionError",
    )


def test_tmp_is_private(client: Client) -> None:
    marker = Path("/tmp") / f"cellwall-outside-{os.getpid()}"
    client.execute(f"open('{marker}', 'w').write('inside')")

    assert not marker.exists()


def test_processes_of_the_machine_are_not_seen(client: Client) -> None:
    pids = client.evaluate(
        "[int(p) for p in __import__('os').listdir('/proc') if p.isdigit()]"
    )

    assert len(pids) < 20
    assert os.getpid() not in pids
    assert (
        error_of(client, f"import os; os.kill({os.getpid()}, 0)") == "ProcessLookupError"
    )


def test_the_environment_of_the_kernel_is_not_seen(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = client.evaluate("sorted(__import__('os').environ)")

    assert "CELLWALL_TEST_MARK" not in names
    assert not [n for n in names if "KEY" in n or "TOKEN" in n or "SECRET" in n]
    assert {"HOME", "PATH"} <= set(names)


SYSCALL = "import ctypes; assert ctypes.CDLL(None).syscall({}) >= 0"


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.setuid(0); os.chroot('/')",
        "import os; os.mkdir('m'); os.system('mount -t tmpfs none m') and 1 / 0",
        SYSCALL.format("272, 0x10000000"),  # unshare a user namespace
        "import ctypes; l = ctypes.CDLL(None); assert l.ptrace(16, 1, 0, 0) == 0",
        "import os; os.mknod('/tmp/d', 0o60600, os.makedev(8, 0))",
        "open('/proc/sys/kernel/hostname', 'w').write('x')",
        "open('/proc/sysrq-trigger', 'w').write('b')",
        "open('/dev/mem', 'rb').read(1)",
        "open('/sys/kernel/uevent_helper', 'w')",
        "import os; os.nice(-5)",
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW)",
        SYSCALL.format("321, 0, 0, 0"),  # bpf
        SYSCALL.format("425, 1, 0"),  # io_uring_setup
        SYSCALL.format("248, 0, 0, 0, 0, 0"),  # add_key
    ],
)
def test_what_only_an_attacker_needs_is_refused(client: Client, code: str) -> None:
    run = client.execute(code)

    assert run.content["status"] == "error"
    assert client.evaluate("1 + 1") == 2


def test_the_host_name_is_not_the_machines_and_cannot_be_set(client: Client) -> None:
    error_of(client, "import socket; socket.sethostname('owned')")


def test_threads_of_numpy_and_fork_work_as_usual(client: Client) -> None:
    client.execute("import numpy as np; a = np.random.default_rng(1).random((300, 300))")

    assert client.evaluate("bool(np.isfinite((a @ a).sum()))") is True
