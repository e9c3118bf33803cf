# SPDX-License-Identifier: MIT
"""A context of a real server in a real JupyterLab server: its external kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.agentclient import Agent, main_text
from tests.system.conftest import BINARY
from tests.system.servers import Server
from tests.system.test_jupyterlab import (
    Lab,
    Page,
    kernels,
    of,
    page_on_the_kernel,
    stdout,
)

pytestmark = pytest.mark.cellwall


@pytest.fixture(scope="module")
def folder(kernelspecs: Path) -> Path:
    """JupyterLab's own default."""
    return Path(os.environ["JUPYTER_RUNTIME_DIR"]) / "external_kernels"


def serve(folder: Path, runtime: Path | None = None) -> Server:
    options = ["--python", sys.executable, "--connection-dir", str(folder)]
    return Server(BINARY, *options, "--no-zygote", folder=runtime)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serve(folder) as one:
        yield one


@pytest.fixture(scope="module")
def lab(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab") / "files"
    folder.mkdir()
    runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"])
    one = Lab(folder, runtime, allow_external_kernels="True")
    yield one
    one.close()


@pytest.fixture
def agent(server: Server) -> Iterator[Agent]:
    with Agent(server.file) as one:
        yield one


@pytest.fixture
def context(agent: Agent) -> Iterator[str]:
    """With an open kernel."""
    one = agent.create(jupyter=True)
    yield one
    if one in [c["id"] for c in agent.get("list_contexts_request")["contexts"]]:
        agent.get("delete_context_request", context=one)


@pytest.fixture
def page(lab: Lab, context: str) -> Iterator[Page]:
    """A notebook on the agent's context."""
    with page_on_the_kernel(lab) as one:
        yield one


def test_context_is_listed_while_it_lives(lab: Lab, agent: Agent, context: str) -> None:
    [kernel] = kernels(lab)
    assert kernel["name"] == "cellwall-python"
    agent.get("delete_context_request", context=context)
    agent.get("server_info_request")

    assert kernels(lab) == []


def test_notebook_and_agent_share_all(agent: Agent, context: str, page: Page) -> None:
    asked = agent.send(
        "run_code_request", {"code": "x = 6; print('by the agent')", "context": context}
    )
    assert stdout(page.finish(asked, None)[1]) == "by the agent\n"
    watch = agent.send("watch_context_request", {"context": context})
    agent.reply(watch)
    assert page.value("x * 7") == "42"
    agent.get("server_info_request")  # what was told before has come
    assert "execute_result" in [event.type for event in agent.events[watch]]
    page.run("person = [1]")
    assert main_text(agent.run("person", context=context)) == "[1]"


def test_restart_by_the_agent_keeps_the_notebook_connected(
    lab: Lab, agent: Agent, context: str, page: Page
) -> None:
    before = kernels(lab)
    page.run("gone = 1")
    agent.get("restart_context_request", context=context)
    reply, published = page.run("gone")
    assert reply["ename"] == "NameError"
    assert len(of(published, "error")) == 1
    assert [k["id"] for k in kernels(lab)] == [k["id"] for k in before]
    assert page.value("1 + 1") == "2"


def test_context_of_a_killed_server_is_gone_when_the_next_one_is_there(
    lab: Lab, server: Server, tmp_path: Path, folder: Path
) -> None:
    with serve(folder) as doomed:
        with Agent(doomed.file) as agent:
            agent.create(jupyter=True)
        [before] = kernels(lab)
        doomed.kill()
        # Nobody has removed the file: JupyterLab can't know that the kernel is dead.
        assert [kernel["id"] for kernel in kernels(lab)] == [before["id"]]
        with serve(folder, doomed.runtime) as following:
            assert kernels(lab) == []
            with Agent(following.file) as agent:
                agent.create(jupyter=True)
            [after] = kernels(lab)
            assert after["id"] != before["id"]
            with Page(lab, after["id"]) as page:
                assert page.value("1 + 1") == "2"
            assert following.close() == 0
        assert kernels(lab) == []
