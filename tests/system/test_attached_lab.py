# SPDX-License-Identifier: MIT
"""An agent's context in a real JupyterLab server, as an external kernel."""

from __future__ import annotations

import contextlib
import os
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.attachedhost import Host
from tests.system.conftest import BINARY, marked_processes, wait_for_no_process
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
def external(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("external")


@pytest.fixture(scope="module")
def lab(
    external: Path, kernelspecs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab") / "files"
    folder.mkdir()
    before = set(marked_processes())
    server = Lab(
        folder,
        Path(os.environ["JUPYTER_RUNTIME_DIR"]),
        allow_external_kernels="True",
        external_connection_dir=str(external),
    )
    yield server
    server.close()
    assert wait_for_no_process(before) == {}


@pytest.fixture
def host(lab: Lab, external: Path) -> Iterator[Host]:
    """With an open Jupyter kernel."""
    build = BINARY.parent
    with Host(build, python=sys.executable, connection_dir=external) as one:
        one.open()
        yield one


@pytest.fixture
def page(lab: Lab, host: Host) -> Iterator[Page]:
    """A notebook on the agent's context."""
    with page_on_the_kernel(lab) as one:
        yield one


def published_for(page: Page, asked: str) -> list[dict[str, Any]]:
    """What was published for somebody else's run, up to idle."""
    return page.finish(asked, None)[1]


def test_a_context_is_listed_while_its_file_is_there(lab: Lab, host: Host) -> None:
    [kernel] = kernels(lab)

    assert kernel["name"] == "cellwall-python"
    host.do("close")
    host.until("closed")
    assert kernels(lab) == []


def test_a_notebook_and_the_agent_share_variables(page: Page, host: Host) -> None:
    host.run("agent = 6")

    assert page.value("agent * 7") == "42"
    page.run("person = [1]")
    host.run("assert person == [1]")


def test_a_notebook_sees_what_the_agent_does(page: Page, host: Host) -> None:
    published = published_for(page, host.run("print('by the agent')\n'value'"))

    assert stdout(published) == "by the agent\n"
    assert len(of(published, "execute_input", "execute_result")) == 2


def test_a_notebook_can_interrupt_the_agent(page: Page, host: Host) -> None:
    _, number = host.start("print('on', flush=True)\nwhile True: pass")
    page.until_text("on\n")
    page.send("control", "interrupt_request", {})

    assert host.finish(number)["reply"]["ename"] == "KeyboardInterrupt"


def test_a_notebook_can_restart_the_interpreter(page: Page, host: Host) -> None:
    page.run("gone = 1")
    page.send("control", "shutdown_request", {"restart": True})
    host.until("state", lambda told: told["epoch"] == 2 and told["state"] == "idle")

    assert page.run("gone")[0]["ename"] == "NameError"


def test_shutting_it_down_in_jupyterlab_leaves_the_context_alone(
    lab: Lab, host: Host
) -> None:
    [kernel] = kernels(lab)
    host.run("kept = 1")
    lab.request("DELETE", f"/api/kernels/{kernel['id']}")

    assert kernels(lab) == []
    host.run("assert kept == 1")
    assert host.file.exists()
    host.do("close")
    host.until("closed")
    # Where the file of a kernel that was shut down goes, this server of Jupyter's fails
    # once to list kernels.
    with contextlib.suppress(urllib.error.HTTPError):
        kernels(lab)
    assert kernels(lab) == []


def test_a_context_is_found_again_when_it_is_opened_again(
    lab: Lab, page: Page, host: Host
) -> None:
    [before] = kernels(lab)
    host.do("close")
    host.until("closed")
    host.open()
    [after] = kernels(lab)

    assert before["id"] != after["id"]
    with Page(lab, after["id"]) as again:
        assert again.value("1 + 1") == "2"
