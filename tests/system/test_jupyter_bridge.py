# SPDX-License-Identifier: MIT
"""Other languages' kernels in the sandbox: what users and agents see of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cellwall
import pytest
from jupyter_client.manager import KernelManager

from tests.system.conftest import BINARY, BRIDGED_R, KERNEL, install_bridged
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall
TIMEOUT_S = 60


class Notebook:
    """A stock client on a kernel that a kernelspec starts."""

    def __init__(self, kernel_name: str, folder: Path) -> None:
        self.manager = KernelManager(kernel_name=kernel_name)
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT_S)

    def run(self, code: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        outputs: list[dict[str, Any]] = []
        reply = self.client.execute_interactive(
            code, output_hook=outputs.append, timeout=TIMEOUT_S, allow_stdin=False
        )
        return reply["content"], outputs

    def text(self, code: str) -> str:
        _, outputs = self.run(code)
        return "".join(o["content"].get("text", "") for o in outputs)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()


@pytest.fixture
def notebook(bridged_kernelspecs: dict[str, Path], tmp_path: Path) -> Iterator[Notebook]:
    found = Notebook(BRIDGED_R, tmp_path)
    yield found
    found.close()


# Installing.


def test_the_kernelspec_is_named_as_the_kernel(
    bridged_kernelspecs: dict[str, Path],
) -> None:
    spec = json.loads((bridged_kernelspecs[BRIDGED_R] / "kernel.json").read_text())
    assert spec["display_name"] == "R (Cellwall)"
    assert spec["language"] == "R"
    assert (bridged_kernelspecs[BRIDGED_R] / "logo-svg.svg").exists()
    environment = (bridged_kernelspecs[BRIDGED_R] / "environment.json").read_text()
    assert json.loads(environment)["language_info"]["name"] == "R"


def refuse(*options: str) -> str:
    done = subprocess.run(
        [BINARY, "install-kernelspec", "--runtime", "jupyter", *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "it must be told which interpreter is wanted; here are: "),
        (["--interpreter", "nix"], "there is no interpreter nix; here are: "),
        (["--interpreter", "/nowhere"], "there is no interpreter /nowhere; here are: "),
    ],
)
def test_who_names_no_kernel_is_told_which_there_are(
    bridged_kernelspecs: dict[str, Path], options: list[str], why: str
) -> None:
    said = refuse(*options)
    assert why in said
    names = said.strip().rsplit(": ", 1)[1].split(", ")
    assert "ir" in names
    assert KERNEL not in names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "kernel.json: "),
        ("[]", "kernel.json: "),
        ("{}", '"argv" must be an array'),
        ('{"argv": ["/nowhere/program"]}', "its program /nowhere/program is not there"),
        ('{"argv": ["/bin/false"]}', "ended before it answered (status 1)"),
        (
            '{"argv": ["/bin/sh", "-c", "echo no library >&2; exit 4"]}',
            "ended before it answered (status 4): no library",
        ),
        ("[" * 100000, "kernel.json: "),
        ("x" * 300000, "not a file of a usual size"),
    ],
)
def test_a_kernelspec_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/kernel.json").write_text(text)
    assert why in refuse("--interpreter", str(tmp_path / "bad"))


def test_a_kernel_of_an_environment_brings_its_packages(
    kernelspecs: Path, tmp_path: Path
) -> None:
    prefix = Path(sys.prefix)
    folder = tmp_path / "env"
    folder.mkdir()
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    install_bridged(tmp_path, folder)
    kept = tmp_path / "share/jupyter/kernels/cellwall-env/environment.json"
    assert str(prefix) in json.loads(kept.read_text())["mounts"]


# A notebook.


def test_r_runs_in_the_sandbox(notebook: Notebook, tmp_path: Path) -> None:
    assert notebook.text("cat(getwd())") == str(tmp_path)
    assert "uid=1000" in notebook.text("cat(system('id', intern = TRUE))") or (
        os.geteuid() != 0
    )
    reply, _ = notebook.run("readLines(url('http://127.0.0.1:1/'))")
    assert reply["status"] == "error"
    assert notebook.text("cat(file.exists('/root/.bashrc'))") == "FALSE"
    notebook.run("writeLines('kept', 'file.txt')")
    assert (tmp_path / "file.txt").read_text() == "kept\n"


def test_a_crash_of_r_is_told_and_a_fresh_one_takes_over(notebook: Notebook) -> None:
    notebook.run("x <- 1")
    reply, outputs = notebook.run("tools::pskill(Sys.getpid(), 11); Sys.sleep(60)")
    assert reply["status"] == "error"
    assert reply["ename"] == "SegmentationFault"
    assert any("caught segfault" in str(o["content"]) for o in outputs)
    assert notebook.text("cat(exists('x'))") == "FALSE"


def test_r_is_interrupted(notebook: Notebook) -> None:
    number = notebook.client.execute("kept <- 3; cat('on\\n'); Sys.sleep(60)")
    while notebook.client.get_iopub_msg(timeout=TIMEOUT_S)["msg_type"] != "stream":
        pass
    notebook.manager.interrupt_kernel()
    reply = notebook.client.get_shell_msg(timeout=TIMEOUT_S)
    while reply["parent_header"]["msg_id"] != number:  # a kernel_info_reply, asked twice
        reply = notebook.client.get_shell_msg(timeout=TIMEOUT_S)
    assert reply["content"]["status"] == "error"
    assert notebook.text("cat(kept)") == "3"


# Agents.


@pytest.fixture(scope="module")
def agent(
    bridged_kernelspecs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[cellwall.Client]:
    config = tmp_path_factory.mktemp("config") / "serve.json"
    config.write_text(json.dumps({"interpreters": {"jupyter": ["ir"]}}))
    with (
        Server(BINARY, "--config", str(config)) as server,
        cellwall.Client(server.file) as client,
    ):
        yield client


def test_an_agent_finds_the_language(agent: cellwall.Client) -> None:
    rows = {row["language"]: row for row in agent.server_info().raw["languages"]}
    assert rows["R"]["runtime"] == "ir"
    assert rows["R"]["display_name"] == "R"
    assert rows["R"]["version"].count(".") == 2
    assert rows["python"]["runtime"] == "python"


@pytest.mark.parametrize("name", ["R", "r"])
def test_an_agent_runs_code_in_it(agent: cellwall.Client, name: str) -> None:
    with agent.create_context(language=name) as context:
        context.run_code("x <- 20")
        execution = context.run_code("cat(x + 1, '\\n'); x * 2")
        assert execution.logs.stdout.strip() == "21"
        assert execution.results[0].text == "[1] 40"
        failed = context.run_code("stop('on purpose')")
        assert failed.error is not None
        assert "on purpose" in failed.error.value
        assert context.info.language == "R"


def test_an_agents_time_limit_stops_r_and_keeps_its_variables(
    agent: cellwall.Client,
) -> None:
    with agent.create_context(language="R") as context:
        context.run_code("kept <- 5")
        execution = context.run_code("Sys.sleep(60)", timeout=1)
        assert execution.reason is not None
        assert (execution.reason.kind, execution.reason.state) == ("timeout", "kept")
        assert context.run_code("cat(kept)").logs.stdout == "5"


def test_an_agents_memory_limit_ends_r_with_a_reason(agent: cellwall.Client) -> None:
    limits = {"memory_bytes": 400 << 20}
    with agent.create_context(language="R", limits=limits) as context:
        execution = context.run_code("x <- lapply(1:1000, function(i) rnorm(1e6))")
        assert execution.reason is not None
        assert execution.reason.kind == "memory"
        assert context.run_code("cat('again')").logs.stdout == "again"


def test_a_server_has_what_was_installed_for_this_user(
    bridged_kernelspecs: dict[str, Path], tmp_path: Path
) -> None:
    env = {"JUPYTER_DATA_DIR": str(tmp_path)}
    subprocess.run(
        [BINARY, "install-kernelspec", "--runtime", "jupyter", "--interpreter", "ir"],
        check=True,
        timeout=120,
        env={**os.environ, **env},
    )
    with Server(BINARY, env=env) as server, cellwall.Client(server.file) as client:
        assert "R" in client.server_info().languages
