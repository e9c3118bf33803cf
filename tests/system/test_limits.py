# SPDX-License-Identifier: MIT
"""Limits hold, and say so: in the error, in the reply, and to programs that ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import BINARY, KERNEL
from tests.system.rawclient import Client, KernelProcess, Run

pytestmark = pytest.mark.cellwall

MIB = 1024 * 1024
LIMITS = (
    "memory=320M,cpus=0.5,processes=40,files=128,disk=24M,disk-files=500,tmp=16M,"
    "tmp-files=300,file=20M,output=64K,time=20"
)
HAS_GROUPS = Path("/sys/fs/cgroup").is_dir()


def without_groups(argv: list[str]) -> list[str]:
    """The kernel on a machine that shows no control groups."""
    script = 'umount -R /sys/fs/cgroup && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", *argv]


@pytest.fixture(
    scope="module",
    params=[
        "groups",
        pytest.param(
            "no groups",
            marks=pytest.mark.skipif(
                os.geteuid() != 0, reason="hiding control groups needs root"
            ),
        ),
    ],
)
def limited(
    request: pytest.FixtureRequest,
    kernel_argv: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KernelProcess]:
    argv = [*kernel_argv, "--profile", "agent", "--limits", LIMITS]
    if request.param == "no groups":
        argv = without_groups(argv)
    with KernelProcess(argv, tmp_path_factory.mktemp("limited")) as kernel:
        yield kernel


@pytest.fixture
def agent(limited: KernelProcess) -> Iterator[Client]:
    with Client(limited.info) as client:
        client.wait_ready()
        yield client
        assert client.evaluate("1 + 1") == 2


def reason_of(run: Run) -> dict[str, object]:
    """The same in the reply and in the error message, but for its words and the clock."""
    assert run.reply is not None
    reason = run.reply.metadata["cellwall"]["reason"]
    (error,) = run.of("error")
    told = error.metadata["cellwall"]["reason"]
    for name in ("kind", "state", "limit"):
        assert told[name] == reason[name]
    return reason


def printed(client: Client, code: str) -> str:
    run = client.execute(code)
    assert run.content["status"] == "ok", run.output()
    return run.stream().strip()


EAT_ALONE = "eaten = []\nwhile True: eaten.append(bytearray(b'x' * (8 << 20)))"
EAT_TOGETHER = """
import os, time
for _ in range(30):
    if os.fork() == 0:
        eaten = bytearray(b'x' * (20 << 20))
        time.sleep(60)
time.sleep(60)
"""


@pytest.mark.parametrize("code", [EAT_ALONE, EAT_TOGETHER])
def test_too_much_memory_ends_the_whole_context_and_says_so(
    agent: Client, code: str
) -> None:
    run = agent.execute(code, timeout=60)

    (error,) = run.of("error")
    assert run.content["ename"] == error.content["ename"] == "OutOfMemory"
    assert "320 MiB" in error.content["evalue"]
    assert run.content["evalue"] == error.content["evalue"]
    reason = reason_of(run)
    assert reason["kind"] == "memory"
    assert reason["limit"] == 320 * MIB
    assert reason["observed"] >= 300 * MIB
    assert reason["state"] == "lost"


def test_forks_that_share_memory_are_not_counted_twice(agent: Client) -> None:
    code = """
    import os, time
    kept = bytearray(b'x') * (150 << 20)
    children = []
    for _ in range(5):
        child = os.fork()
        if child == 0:
            time.sleep(1)
            os._exit(0)
        children.append(child)
    print([os.waitpid(child, 0)[1] for child in children], len(kept) >> 20)
    del kept
    """
    assert printed(agent, "if True:" + code) == "[0, 0, 0, 0, 0] 150"


def test_processes_are_bounded(agent: Client) -> None:
    code = """
    import os, signal, time
    children = []
    try:
        while len(children) < 100:
            child = os.fork()
            if child == 0:
                time.sleep(60)
            children.append(child)
    except OSError as error:
        print(error.errno, 30 <= len(children) < 40)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    """
    assert printed(agent, "if True:" + code) == "11 True"


@pytest.mark.parametrize(
    ("folder", "size_mib", "files"), [("/workspace", 24, 500), ("/tmp", 16, 300)]
)
def test_disks_are_bounded_in_bytes_and_files(
    agent: Client, folder: str, size_mib: int, files: int
) -> None:
    code = f"""
    import os
    written = 0
    for part in range(9):
        try:
            with open('{folder}/big' + str(part), 'wb', buffering=0) as file:
                while written < 100 << 20 and file.tell() < 8 << 20:
                    written += file.write(bytes(1 << 16))
        except OSError as error:
            print(error.errno, {size_mib} - 1 <= written >> 20 <= {size_mib})
            break
    for part in range(9):
        if os.path.exists('{folder}/big' + str(part)):
            os.unlink('{folder}/big' + str(part))
    made = 0
    try:
        while made < 1000:
            open('{folder}/file' + str(made), 'w').close()
            made += 1
    except OSError as error:
        print(error.errno, {files} - 50 < made <= {files})
    for i in range(made):
        os.unlink('{folder}/file' + str(i))
    """
    assert printed(agent, "if True:" + code).split() == ["28", "True"] * 2


def test_one_file_and_open_files_are_bounded(agent: Client) -> None:
    code = """
    import os, signal
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with open('/workspace/sparse', 'wb') as file:
            os.ftruncate(file.fileno(), 21 << 20)
    except OSError as error:
        print(error.errno)
    signal.signal(signal.SIGXFSZ, before)
    os.unlink('/workspace/sparse')
    opened = []
    try:
        while len(opened) < 1000:
            opened.append(open('/dev/null'))
    except OSError as error:
        print(error.errno, len(opened) < 128)
    for file in opened:
        file.close()
    """
    assert printed(agent, "if True:" + code).split() == ["27", "24", "True"]


def test_output_is_cut_in_the_middle_and_counted(agent: Client) -> None:
    run = agent.execute("for i in range(100_000): print(i)")

    assert len(run.stream()) < 80_000
    assert run.stream().startswith("0\n1\n")
    assert run.stream().endswith("99999\n")
    assert run.reply is not None
    cut = run.reply.metadata["cellwall"]["truncated"]["stdout"]
    assert cut["total_bytes"] == 588890
    assert cut["kept_bytes"] < 80_000


def test_time_is_bounded_and_state_kept(kernel_argv: list[str], tmp_path: Path) -> None:
    argv = [*kernel_argv, "--limits", "time=3"]
    with KernelProcess(argv, tmp_path) as kernel, Client(kernel.info) as client:
        client.wait_ready()
        run = client.execute("kept = 7\nwhile True: pass")
        assert run.content["ename"] == "KeyboardInterrupt"
        assert reason_of(run)["kind"] == "timeout"
        assert reason_of(run)["limit"] == 3000
        assert reason_of(run)["state"] == "kept"
        assert client.evaluate("kept") == 7


def test_libraries_are_told_of_the_limits(agent: Client) -> None:
    code = """
    import multiprocessing, os
    print(os.cpu_count(), multiprocessing.cpu_count(), os.environ['OMP_NUM_THREADS'])
    print(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 20)
    print(open('/proc/meminfo').readline().split()[1])
    print(open('/sys/fs/cgroup/cpu.max').read(), open('/sys/fs/cgroup/memory.max').read())
    """
    said = printed(agent, "if True:" + code).split()
    assert said[:3] == ["1", "1", "1"]
    assert said[4:] == [str(320 * 1024), "50000", "100000", str(320 * MIB)]


def test_an_agents_context_has_a_workspace_and_no_file_of_the_user(
    agent: Client, limited: KernelProcess
) -> None:
    outside = limited.file.parent / "secret"
    outside.write_text("secret")
    code = f"""
    import os
    print(os.getcwd(), os.environ['HOME'], os.path.expanduser('~'), os.listdir('.'))
    open('mine', 'w').close()
    print(os.path.exists({str(outside)!r}), os.listdir('.'))
    os.unlink('mine')
    """
    assert printed(agent, "if True:" + code).splitlines() == [
        "/workspace /workspace /workspace []",
        "False ['mine']",
    ]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("memory=1K", "limit memory"),
        ("colour=1", "no limit 'colour'"),
        ("", "NAME=VALUE"),
    ],
)
def test_wrong_limits_are_refused_in_one_line(
    kernel_argv: list[str], tmp_path: Path, limits: str, said: str
) -> None:
    with KernelProcess([*kernel_argv, "--limits", limits], tmp_path) as kernel:
        assert kernel.wait() == 125
        assert len(kernel.stderr().splitlines()) == 1
        assert said in kernel.stderr()


def test_a_kernelspec_can_have_limits(tmp_path: Path) -> None:
    subprocess.run(
        [BINARY, "install-kernelspec", "--python", sys.executable]
        + ["--prefix", tmp_path, "--profile", "agent", "--limits", "memory=1G"],
        check=True,
        timeout=60,
    )
    spec = tmp_path / "share/jupyter/kernels" / KERNEL / "kernel.json"
    argv = json.loads(spec.read_text())["argv"]
    assert argv[argv.index("--profile") + 1] == "agent"
    assert argv[argv.index("--limits") + 1] == "memory=1G"
    wrong = subprocess.run(
        [BINARY, "install-kernelspec", "--prefix", tmp_path, "--limits", "memory=1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert wrong.returncode != 0
    assert "limit memory" in wrong.stderr
