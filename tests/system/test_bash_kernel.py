# SPDX-License-Identifier: MIT
"""Bash as a Jupyter kernel: Jupyter's own conformance suite, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.system import conformance

KERNEL = "cellwall-bash"
TIMEOUT = 60


@pytest.fixture
def client(bash_kernelspec: None) -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name=KERNEL)
    yield client
    client.stop_channels()
    manager.shutdown_kernel()


@pytest.mark.cellwall
@pytest.mark.usefixtures("bash_kernelspec")
class TestBashKernel(conformance.KernelTests):
    kernel_name = KERNEL
    language_name = "bash"
    file_extension = ".sh"

    code_hello_world = "echo 'hello, world'"
    code_stderr = "echo test >&2"
    completion_samples = [
        {"text": "decla", "matches": {"declare"}},
        {"text": "echo $BASH_VERSI", "matches": {"$BASH_VERSION", "$BASH_VERSINFO"}},
    ]
    complete_code_samples = [
        "echo",
        "if true; then echo; fi",
        "f() { :; }",
        "cat <<E\nx\nE",
    ]
    incomplete_code_samples = ["if true", "echo 'abc", "cat <<E\nx", "f() {", "ls |"]
    invalid_code_samples = ["fi", "echo )", "for do done"]
    code_generate_error = "exit 3"
    code_display_data = [
        {"code": "display --html '<b>test</b>'", "mime": "text/html"},
        {
            "code": "echo '{}' | display --mime application/json",
            "mime": "application/json",
        },
    ]
    # Codes for the history; there is no value of a cell in this language, and no pager
    # that asks for a page.
    code_execute_result = [{"code": f"echo {n}", "result": ""} for n in range(3)]
    test_execute_result = None
    test_pager = None
    code_history_pattern = "echo 2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "cd"
    code_clear_output = "clear"


@pytest.mark.cellwall
def test_kernel_info_names_the_language(client: BlockingKernelClient) -> None:
    info = client.kernel_info(reply=True, timeout=TIMEOUT)["content"]
    assert info["language_info"]["name"] == "bash"
    assert info["language_info"]["version"].startswith("5.")
    assert "bash" in info["banner"].lower()


@pytest.mark.cellwall
def test_a_status_other_than_0_is_no_error(client: BlockingKernelClient) -> None:
    reply = client.execute_interactive("false", timeout=TIMEOUT)["content"]
    assert (reply["status"], reply["exit_status"]) == ("ok", 1)


@pytest.mark.cellwall
def test_the_loss_of_the_shell_is_told_and_a_fresh_one_goes_on(
    client: BlockingKernelClient,
) -> None:
    reply = client.execute_interactive("x=1; kill -9 $$", timeout=TIMEOUT)
    assert reply["content"]["status"] == "error"
    assert reply["metadata"]["cellwall"]["reason"]["state"] == "lost"
    reply = client.execute_interactive(
        "test -z $x", user_expressions={"s": "$?"}, timeout=TIMEOUT
    )["content"]
    assert reply["user_expressions"]["s"]["data"]["text/plain"] == "0"


@pytest.mark.cellwall
def test_questions_reach_the_client(client: BlockingKernelClient) -> None:
    asked = []

    def answer(message: dict) -> None:
        asked.append(message["content"])
        client.input("Ada")

    printed: list[str] = []
    reply = client.execute_interactive(
        'read -p "who? " who; echo "hello $who"',
        allow_stdin=True,
        stdin_hook=answer,
        output_hook=lambda m: printed.append(m["content"].get("text", "")),
        timeout=TIMEOUT,
    )
    assert reply["content"]["status"] == "ok"
    assert len(asked) == 1 and not asked[0]["password"]
    assert "hello Ada" in "".join(printed)
