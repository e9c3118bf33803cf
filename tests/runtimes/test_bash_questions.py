# SPDX-License-Identifier: MIT
"""Completion, inspection and completeness, by bash's own means."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runtimes.framelib import Runner


def complete(runner: Runner, code: str, at: int | None = None) -> dict[str, Any]:
    cursor = len(code) if at is None else at
    content = {"code": code, "cursor_pos": cursor}
    return runner.request("complete_request", content).reply.content


def completed(runner: Runner, code: str) -> list[str]:
    """CODE with each completion put in."""
    found = complete(runner, code)
    start, end = found["cursor_start"], found["cursor_end"]
    return [code[:start] + match + code[end:] for match in found["matches"]]


def test_words_are_completed(bash: Runner) -> None:
    bash.run(
        "mkdir -p dir/sub; touch 'dir/a file' dir/ab; my_variable=1; my_func() { :; }"
    )
    bash.run("alias my_alias=ls")
    assert completed(bash, "declar") == ["declare"]
    assert completed(bash, "echo $my_v") == ["echo $my_variable"]
    assert completed(bash, "my_f") == ["my_func"]
    assert completed(bash, "my_al") == ["my_alias"]
    assert completed(bash, "cat dir/s") == ["cat dir/sub/"]
    assert sorted(completed(bash, "cat dir/a")) == ["cat dir/a\\ file", "cat dir/ab"]


def test_programmable_completion_is_asked(bash: Runner) -> None:
    bash.run(
        "_fruit() { COMPREPLY=($(compgen -W 'apple apricot banana' -- \"$2\")); }\n"
        "complete -F _fruit fruit; complete -W 'one two' words"
    )
    assert completed(bash, "fruit ap") == ["fruit apple", "fruit apricot"]
    assert completed(bash, "words t") == ["words two"]


def test_positions_are_characters(bash: Runner) -> None:
    bash.run("my_variable=1")
    code = "echo 'ü🎉'\necho $my_var; echo"
    found = complete(bash, code, code.index(";"))
    assert found["matches"] == ["$my_variable"]
    assert code[found["cursor_start"] : found["cursor_end"]] == "$my_var"


def test_nothing_is_found_and_nothing_is_left(bash: Runner) -> None:
    assert complete(bash, "no_such_command_")["matches"] == []
    assert complete(bash, "")["status"] == "ok"
    bash.run("f() { x=changed; exit 3; }; complete -F f broken; x=1; (exit 5)")
    assert complete(bash, "broken x")["matches"] == []
    assert bash.run("echo $? $x").stdout == "5 1\n"


def test_a_completion_that_never_ends_can_be_interrupted(bash: Runner) -> None:
    bash.run("f() { touch asked; while :; do :; done; }; complete -F f endless")
    number = bash.begin("complete_request", {"code": "endless x", "cursor_pos": 9})
    bash.interrupt()
    assert bash.finish(number).reply.content["matches"] == []


def inspect(runner: Runner, code: str, at: int | None = None) -> str:
    cursor = len(code) if at is None else at
    content = {"code": code, "cursor_pos": cursor, "detail_level": 0}
    reply = runner.request("inspect_request", content).reply.content
    return reply["data"]["text/plain"] if reply["found"] else ""


def test_names_are_explained(bash: Runner) -> None:
    bash.run("x='a b'; m=(1 2); f() { echo source; }; alias l='ls -l'; type() { :; }")
    assert inspect(bash, "echo $x") == 'declare -- x="a b"\n'
    assert "([0]=" in inspect(bash, "m")
    assert "echo source" in inspect(bash, "f")
    assert "ls -l" in inspect(bash, "l")
    assert "Change the shell working directory" in inspect(bash, "cd /tmp", 1)
    assert "/ls" in inspect(bash, "ls | cat", 2)
    assert "keyword" in inspect(bash, "if")
    assert inspect(bash, "no_such_thing") == ""
    assert inspect(bash, "") == ""


def test_long_answers_are_whole(bash: Runner) -> None:
    bash.run("words=$(printf 'w%059d ' {1..900}); complete -W \"$words\" long")
    assert len(completed(bash, "long w")) == 900
    assert len(inspect(bash, "$words")) > 900 * 61


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("echo a", "complete"),
        ("", "complete"),
        ("if true; then echo; fi", "complete"),
        ("cat <<E\nx\nE", "complete"),
        ("echo \\\\", "complete"),
        ("if true; then", "incomplete"),
        ("for x in a; do\n  echo", "incomplete"),
        ("f() {", "incomplete"),
        ("echo 'a", "incomplete"),
        ('echo "a', "incomplete"),
        ("echo $(ls", "incomplete"),
        ("cat <<E\nx", "incomplete"),
        ("ls |", "incomplete"),
        ("true &&", "incomplete"),
        ("echo \\", "incomplete"),
        ("fi", "invalid"),
        ("echo )", "invalid"),
        ("if true; then; fi", "invalid"),
    ],
)
def test_completeness(shell: Runner, code: str, status: str) -> None:
    reply = shell.request("is_complete_request", {"code": code}).reply.content
    assert reply["status"] == status


def test_completeness_follows_the_shell(bash: Runner) -> None:
    content = {"code": "echo !(a)"}
    assert (
        bash.request("is_complete_request", content).reply.content["status"] == "invalid"
    )
    bash.run("shopt -s extglob; set -e")
    assert (
        bash.request("is_complete_request", content).reply.content["status"] == "complete"
    )
    assert bash.run("echo on").stdout == "on\n"
