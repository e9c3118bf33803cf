# SPDX-License-Identifier: MIT
"""Three defects that code interpreters have had, each kept out by a test."""

from __future__ import annotations

import pytest

from tests.system.rawclient import Client


@pytest.mark.parametrize(
    ("code", "ename"),
    [
        ("x = = 1", "SyntaxError"),
        ("def f(:\n  pass", "SyntaxError"),
        ("if True:\npass", "IndentationError"),
        ("'unclosed", "SyntaxError"),
        ("print('never')\n(", "SyntaxError"),
        ("return 5", "SyntaxError"),
        ("x = 1\n\ty = 2", "IndentationError"),
        ("a\0b", "SyntaxError"),
    ],
)
def test_syntax_error_is_an_error_and_not_output(
    client: Client, code: str, ename: str
) -> None:
    run = client.execute(code)

    assert run.content["status"] == "error"
    assert run.content["ename"] in (ename, "ValueError")
    (error,) = run.of("error")
    assert error.content["ename"] == run.content["ename"]
    assert run.of("stream") == []
    assert client.evaluate("1 + 1") == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"status": "ready"}',
        '{"status": "ok", "execution_count": 1}\\n',
        "<IDS|MSG>",
        "\\0" * 100,
        "\\xff\\xfe\\x00\\x01" * 50,
        "x" * 200_000,
    ],
)
def test_output_of_a_subprocess_cannot_corrupt_the_protocol(
    client: Client, text: str
) -> None:
    run = client.execute(
        "import os, subprocess, sys\n"
        f"data = b'{text}'\n"
        "open('noise', 'wb').write(data)\n"
        "subprocess.run(['cat', 'noise'])\n"
        "os.system('cat noise noise >&2')\n"
        "subprocess.Popen('sleep 0; cat noise', shell=True).wait()\n"
        "'the result'"
    )

    assert run.content["status"] == "ok"
    assert run.result() == "'the result'"
    assert client.evaluate("len(data)") * 2 <= len(run.stream("stdout")) * 4
    assert client.evaluate("1 + 1") == 2


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdin.read()",
        "import sys; sys.stdin.readline()",
        "import os; os.read(0, 1000)",
        "import subprocess; subprocess.run(['cat'])",
        "!cat",
        "%%bash\nread x; true",
    ],
)
def test_reading_stdin_does_not_eat_the_next_request(client: Client, code: str) -> None:
    first = client.start(code)
    second = client.start("'the second request'", stop_on_error=False)
    got = {m.parent_id: m for m in (client.receive("shell"), client.receive("shell"))}
    client.until_idle(first)
    heard = client.until_idle(second)

    if got[first].content["status"] == "ok":
        assert got[second].content["status"] == "ok"
        assert any(m.type == "execute_result" for m in heard)
    else:  # then the second was aborted, as any queued cell after a failure
        assert got[second].content["status"] == "aborted"
    assert client.evaluate("1 + 1") == 2


def test_input_does_not_eat_the_next_request(client: Client) -> None:
    first = client.start("value = input()", allow_stdin=True)
    second = client.start("value + '!'")
    client.receive("stdin")
    client.send("stdin", "input_reply", {"value": "typed"})
    client.finish(first)
    run = client.finish(second)

    assert run.result() == "'typed!'"


def test_a_run_never_gets_the_result_of_an_earlier_one(client: Client) -> None:
    asked = client.start("print('started')\nimport time\ntime.sleep(1000)\n'late'")
    client.until_text("started")
    client.request("interrupt_request", channel="control")
    client.finish(asked)
    for i in range(50):
        assert client.evaluate(f"{i} * 2") == i * 2
