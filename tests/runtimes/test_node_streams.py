# SPDX-License-Identifier: MIT
"""What the runtimes on Node print, and what they ask the user."""

from __future__ import annotations

import pytest

from tests.runtimes.framelib import Frame, Raw, Runner


@pytest.mark.parametrize(
    ("code", "stdout", "stderr"),
    [
        ("console.log('a', {b: [1]}, 'c')", "a { b: [ 1 ] } c\n", ""),
        ("console.info('%s is %d', 'x', 4)", "x is 4\n", ""),
        ("console.error('e'); console.warn('w')", "", "e\nw\n"),
        ("console.log('%cred', 'color: red')", "red\n", ""),
        ("console.log('\\x1b[31mred\\x1b[0m')", "\x1b[31mred\x1b[0m\n", ""),
        ("console.group('g'); console.log('in'); console.groupEnd()", "g\n  in\n", ""),
        ("console.dir({a: {b: {c: {}}}}, {depth: 0})", "{ a: [Object] }\n", ""),
        ("console.assert(1 === 2, 'unequal')", "", "Assertion failed: unequal\n"),
        ("console.count(); console.count('x')", "default: 1\nx: 1\n", ""),
        ("process.stdout.write('no newline')", "no newline", ""),
        ("process.stderr.write('e')", "", "e"),
        ("console.log('\\ud83d\\ude00 \\ud800')", "\U0001f600 \ufffd\n", ""),
        ("process.stdout.end('end\\n'); console.log('goes on')", "end\ngoes on\n", ""),
    ],
)
def test_console(javascript: Runner, code: str, stdout: str, stderr: str) -> None:
    outcome = javascript.run(f"{code}; undefined")
    assert (outcome.stdout, outcome.stderr) == (stdout, stderr)


def test_console_table_trace_and_time(javascript: Runner) -> None:
    outcome = javascript.run(
        "console.table([{a: 1}]); console.time('t'); console.timeEnd('t')"
    )
    assert "(index)" in outcome.stdout and "│ 1 │" in outcome.stdout
    assert "t: " in outcome.stdout
    trace = javascript.run("console.trace('here')").stderr
    assert trace == f"Trace: here\n    at In[{javascript.count}]:1:9\n"


def test_raw_output_and_children_keep_their_place(javascript: Runner) -> None:
    code = (
        "console.log('1'); fs.writeSync(1, '2\\n');"
        "process.stdout.write(Buffer.from('3\\n'));"
        "child_process.execSync('echo 4', {stdio: 'inherit'}); console.log('5')"
    )
    assert javascript.run(code).stdout == "1\n2\n3\n4\n5\n"


def test_large_output_is_whole(javascript: Runner) -> None:
    outcome = javascript.run("console.log('\\u{1f600}'.repeat(200_000))")
    assert outcome.stdout == "\U0001f600" * 200_000 + "\n"


@pytest.mark.parametrize(
    "late",
    [
        "setTimeout(() => console.log('late'), 20)",
        "setImmediate(() => setImmediate(() => console.log('late')))",
        "(async () => { await new Promise((r) => setTimeout(r, 20));"
        "console.log('late') })()"
        "; 0",
        "fs.promises.readdir('.').then(() => console.log('late')); 0",
        "new worker_threads.Worker('console.log(\"late\")', {eval: true}); 0",
        "child_process.exec('echo late', (e, out) => console.log(out.trim())); 0",
    ],
)
def test_late_output_belongs_to_its_cell(javascript: Runner, late: str) -> None:
    started = javascript.begin_run(f"{late}; undefined")
    first = javascript.finish(started)
    items = list(first.items)
    for _ in range(100):
        if any(isinstance(item, Frame) and item.type == "stream" for item in items):
            break
        items += javascript.run("await new Promise((r) => setTimeout(r, 20))").items
    texts = [item for item in items if isinstance(item, Frame) and item.type == "stream"]
    assert [(item.number, item.text) for item in texts] == [(started, "late\n")]


def test_worker_prints_while_its_cell_waits(javascript: Runner) -> None:
    code = (
        "await new Promise((done) => new (require('worker_threads').Worker)("
        "'console.log(1 + 1)', {eval: true}).on('exit', done)); undefined"
    )
    assert javascript.run(code).stdout == "2\n"


def test_closed_output_is_open_again_in_the_next_cell(javascript: Runner) -> None:
    javascript.run("fs.closeSync(1); fs.closeSync(2); 0")
    outcome = javascript.run("console.log('a'); fs.writeSync(1, 'b\\n'); 0")
    assert outcome.stdout == "a\nb\n"


# Questions to the user.


def ask(runner: Runner, code: str, *answers: str) -> tuple[list[str], list[Frame | Raw]]:
    number = runner.begin_run(code, allow_stdin=True)
    prompts = []
    for answer in answers:
        frame = runner.until(number, "input_request")
        prompts.append(frame.content["prompt"])
        runner.send(Frame("input_reply", number, {"value": answer}))
    return prompts, runner.finish(number).items


def result(items: list[Frame | Raw]) -> str:
    (frame,) = [i for i in items if isinstance(i, Frame) and i.type == "execute_result"]
    return frame.content["data"]["text/plain"]


def test_prompt_and_confirm_ask_the_user(javascript: Runner) -> None:
    prompts, items = ask(javascript, "prompt('Name? ') + prompt()", "Ada", "!")
    assert prompts == ["Name? ", ""]
    assert result(items) == "'Ada!'"
    assert result(ask(javascript, "prompt('?', 'given')", "")[1]) == "'given'"
    assert result(ask(javascript, "prompt('?')", "\x04")[1]) == "null"
    prompts, items = ask(javascript, "[confirm('Sure?'), confirm('Sure?')]", "y", "no")
    assert prompts[0] == "Sure? [y/N] "
    assert result(items) == "[ true, false ]"


def test_prompt_is_an_error_where_nobody_can_be_asked(javascript: Runner) -> None:
    outcome = javascript.run("prompt('x')", allow_stdin=False)
    assert "does not support" in outcome.error.content["evalue"]


def test_prompt_can_be_interrupted(javascript: Runner) -> None:
    number = javascript.begin_run("prompt('x')", allow_stdin=True)
    javascript.until(number, "input_request")
    javascript.interrupt()
    assert javascript.finish(number).interrupted
    javascript.send(Frame("input_reply", number, {"value": "too late"}))
    javascript.ping()
    assert result(ask(javascript, "prompt('y')", "second")[1]) == "'second'"
