# SPDX-License-Identifier: MIT
"""input() and getpass(): who is asked, what may be answered, and how it ends."""

from __future__ import annotations

import socket
import time

import pytest

from tests.system.conftest import StartKernel
from tests.system.rawclient import Client, KernelProcess, port_address


def ask(client: Client, code: str) -> tuple[str, dict]:
    """Starts CODE, which asks for input; its id and the content of the question."""
    asked = client.start(code, allow_stdin=True)
    question = client.receive("stdin")
    assert question.type == "input_request"
    assert question.parent_id == asked
    return asked, question.content


def answer(client: Client, value: str) -> None:
    client.send("stdin", "input_reply", {"value": value})


def test_input_asks_and_takes_the_answer(client: Client) -> None:
    asked, question = ask(client, "name = input('Who? '); print('Hello', name)")
    answer(client, "Ada é☃")
    run = client.finish(asked)

    assert question == {"prompt": "Who? ", "password": False}
    assert run.stream() == "Hello Ada é☃\n"
    assert client.evaluate("name") == "Ada é☃"


@pytest.mark.cellwall
def test_a_client_whose_stdin_connects_late_is_asked_all_the_same(
    start_kernel: StartKernel,
) -> None:
    kernel = start_kernel()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        elsewhere = {**kernel.info, "stdin_port": nobody.getsockname()[1]}
        with Client(elsewhere) as client:
            client.wait_ready()
            asked = client.start("name = input('Who? ')", allow_stdin=True)
            while "will be asked when it is" not in kernel.stderr():
                time.sleep(0.01)
            client.stdin.disconnect(port_address(elsewhere, "stdin"))
            client.stdin.connect(port_address(kernel.info, "stdin"))
            question = client.receive("stdin")
            assert question.type == "input_request"
            assert question.content == {"prompt": "Who? ", "password": False}
            answer(client, "Ada")
            client.finish(asked)
            assert client.evaluate("name") == "Ada"


def test_getpass_asks_for_a_password(client: Client) -> None:
    asked, question = ask(client, "import getpass; secret = getpass.getpass('Key: ')")
    answer(client, "s3cret")
    client.finish(asked)

    assert question == {"prompt": "Key: ", "password": True}
    assert client.evaluate("secret") == "s3cret"


def test_several_questions_of_one_cell(client: Client) -> None:
    asked, question = ask(client, "said = [input(str(i)) for i in range(3)]")
    answer(client, "a")
    for value in "bc":
        question = client.receive("stdin").content
        answer(client, value)
    client.finish(asked)

    assert question["prompt"] == "2"
    assert client.evaluate("said") == ["a", "b", "c"]


def test_output_before_the_question_is_out_before_it(client: Client) -> None:
    asked, _ = ask(client, "print('first'); input('then')")
    client.until_text("first")
    answer(client, "")

    assert client.finish(asked).content["status"] == "ok"


def test_question_without_allow_stdin_fails_at_once(client: Client) -> None:
    for code in ("input('?')", "import getpass; getpass.getpass()"):
        run = client.execute(code, allow_stdin=False)
        assert run.content["ename"] == "StdinNotImplementedError"
    assert not client.stdin.poll(0)


def test_interrupt_ends_the_question(client: Client) -> None:
    asked, _ = ask(client, "kept = 1; input('never')")
    client.request("interrupt_request", channel="control")
    run = client.finish(asked)

    assert run.content["ename"] == "KeyboardInterrupt"
    assert client.evaluate("kept") == 1


def test_answer_that_came_too_late_is_not_taken_for_the_next(client: Client) -> None:
    asked, _ = ask(client, "input('never')")
    client.request("interrupt_request", channel="control")
    client.finish(asked)
    answer(client, "stale")
    client.request("kernel_info_request")
    asked, _ = ask(client, "value = input('now')")
    answer(client, "current")
    client.finish(asked)

    assert client.evaluate("value") == "current"


def test_malformed_answers_are_passed_over(client: Client) -> None:
    asked, _ = ask(client, "value = input('?')")
    frames = client.frames("input_reply", {"value": "forged"})
    client.send_frames("stdin", [frames[0], b"0" * 64, *frames[2:]])
    client.send_frames("stdin", [b"garbage"])
    answer(client, "true")
    client.finish(asked)

    assert client.evaluate("value") == "true"


@pytest.mark.cellwall
@pytest.mark.parametrize("content", [{}, {"value": 5}, {"value": None}, []])
def test_answer_without_a_text_is_passed_over(client: Client, content: object) -> None:
    asked, _ = ask(client, "value = input('?')")
    client.send("stdin", "input_reply", content)
    answer(client, "text")
    client.finish(asked)

    assert client.evaluate("value") == "text"


def test_only_the_client_that_runs_the_cell_is_asked(
    shared_kernel: KernelProcess, client: Client
) -> None:
    with Client(shared_kernel.info) as other:
        other.wait_ready()
        asked, _ = ask(client, "value = input('?')")
        assert not other.stdin.poll(100)
        answer(client, "mine")
        client.finish(asked)

    assert client.evaluate("value") == "mine"


@pytest.mark.cellwall
def test_another_client_may_not_answer(
    shared_kernel: KernelProcess, client: Client
) -> None:
    with Client(shared_kernel.info) as other:
        other.wait_ready()
        asked, _ = ask(client, "value = input('?')")
        answer(other, "theirs")
        other.request("kernel_info_request", channel="control")
        answer(client, "mine")
        client.finish(asked)

    assert client.evaluate("value") == "mine"


def test_end_of_file_is_told_as_such(client: Client) -> None:
    asked, _ = ask(client, "input('?')")
    answer(client, "\x04")

    assert client.finish(asked).content["ename"] == "EOFError"


def test_reading_stdin_itself_sees_no_protocol(client: Client) -> None:
    run = client.execute("import os; os.read(0, 100)", allow_stdin=True)

    assert run.content["status"] == "ok"
    assert run.result() == "b''"


@pytest.mark.cellwall
def test_requests_are_answered_while_a_question_is_open(client: Client) -> None:
    asked, _ = ask(client, "input('?')")
    info = client.request("kernel_info_request")
    answer(client, "")

    assert info.content["status"] == "ok"
    assert client.finish(asked).content["status"] == "ok"
