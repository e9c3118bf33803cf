# SPDX-License-Identifier: MIT
"""Interrupts of the runtimes on Node: all is stopped, and variables are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runtimes.conftest import StartRunner
from tests.runtimes.framelib import FLAG_ERROR, FLAG_INTERRUPTED, Frame, Outcome, Runner

MARK = "console.log('go'); "
SLEEP = "new Promise((r) => setTimeout(r, 20))"

# The mark is printed before that which is to be stopped.
ENDLESS = {
    "loop": MARK + "while (true);",
    "loop that catches": MARK + "for (;;) { try { for (;;); } catch {} finally {} }",
    "microtasks": MARK + "while (true) await null",
    "stuck promise": MARK + "await new Promise(() => {})",
    "stuck value": MARK + "new Promise(() => {})",
    "sleeps": f"for (;;) {{ console.log('go'); await {SLEEP} }}",
    "sleeps of timers/promises": "const {setTimeout: nap} = require('timers/promises');"
    + "for (;;) { console.log('go'); await nap(20) }",
    "timer": MARK + "setTimeout(() => { for (;;); }, 1); await new Promise(() => {})",
    "interval": MARK + "setInterval(() => {}, 1); await new Promise(() => {})",
    "immediate": MARK + "setImmediate(() => { for (;;); }); await new Promise(() => {})",
    "next tick": MARK
    + "process.nextTick(() => { for (;;); }); await new Promise(() => {})",
    "a tick that waits": "process.nextTick(() => { for (;;); });" + MARK + "for (;;);",
    "many ticks that wait": "for (let i = 0; i < 1000; i++)"
    " process.nextTick(() => { for (;;); });" + MARK + "for (;;);",
    "ticks after ticks": MARK + "(function next() { process.nextTick(next) })();"
    "await new Promise(() => {})",
    "a microtask that waits": "queueMicrotask(() => { for (;;); });" + MARK + "for (;;);",
    "microtasks after microtasks": MARK + "(function next() { queueMicrotask(next) })();"
    "await new Promise(() => {})",
    "immediates after immediates": MARK + "(function next() { setImmediate(next) })();"
    "await new Promise(() => {})",
    "then": MARK + "await Promise.resolve().then(() => { for (;;); })",
    "Atomics.wait": MARK + "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
    "execSync": "globalThis.children = require('child_process');"
    + MARK
    + "children.execSync('sleep 600')",
    "spawnSync": "globalThis.children = require('child_process');"
    + MARK
    + "children.spawnSync('sleep', ['600'])",
    "regular expression": MARK + "/(a+)+$/.test('a'.repeat(50) + 'b')",
    "garbage": MARK
    + "for (let all = []; ; ) { all.push({}); if (all.length > 1e5) all = [] }",
    "worker": "globalThis.workers = require('worker_threads');"
    + MARK
    + "new workers.Worker('for (;;);', {eval: true}); await new Promise(() => {})",
    "display": MARK + "({[Symbol.for('Jupyter.display')]() { for (;;); }})",
    "getter while it is shown": MARK + "({get [Symbol.toStringTag]() { for (;;); }})",
    "generator": MARK + "function* all() { for (;;) yield 1 }; for (const one of all());",
    "module": "import './endless.mjs'",
    "prints": "for (;;) console.log('go')",
    "eval": MARK + "eval('for (;;);')",
}


def busy_until(told: Path) -> str:
    """Code that looks for the file, and for some milliseconds more when it is there."""
    return (
        MARK
        + "for (let rest = 2000; rest > 0;)"
        + f" if (require('fs').existsSync({str(told)!r})) rest--;"
    )


def interrupted(runner: Runner, code: str) -> Outcome:
    number = runner.begin_run(code)
    runner.until(number, "stream")
    runner.interrupt()
    outcome = runner.finish(number)
    assert runner.ping().reply.content == {}
    return outcome


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS.keys())
def test_it_is_stopped_and_variables_are_kept(
    javascript: Runner, tmp_path: Path, code: str
) -> None:
    (tmp_path / "endless.mjs").write_text("console.log('go'); for (;;);")
    javascript.run(f"process.chdir({str(tmp_path)!r}); globalThis.kept = 'kept'")
    outcome = interrupted(javascript, code)
    assert outcome.error.content["ename"] == "Interrupted"
    assert outcome.reply.flags == FLAG_ERROR | FLAG_INTERRUPTED
    assert javascript.run("kept").result["text/plain"] == "'kept'"
    assert javascript.run(f"await {SLEEP}; 1").result["text/plain"] == "1"


def test_it_is_stopped_in_typescript_too(typescript: Runner) -> None:
    typescript.run("let kept: number = 1")
    assert interrupted(typescript, "console.log('go' as string); for (;;);").interrupted
    assert typescript.run("kept").result["text/plain"] == "1"


def test_stopped_cell_does_not_go_on(javascript: Runner) -> None:
    javascript.run("globalThis.steps = 0")
    code = f"for (;;) {{ console.log('go'); steps++; await {SLEEP} }}"
    assert interrupted(javascript, code).interrupted
    before = javascript.run("steps").result
    javascript.run("await new Promise((r) => setTimeout(r, 100))")
    assert javascript.run("steps").result == before


def test_what_an_earlier_cell_has_left_is_stopped_for_the_next(
    javascript: Runner, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    number = javascript.begin_run(
        "const clock = setInterval(() => {"
        f" if (!require('fs').existsSync({str(told)!r})) return;"
        " clearInterval(clock); console.log('go'); for (;;); }, 5)"
    )
    assert javascript.finish(number).status == "ok"
    told.touch()
    javascript.until(number, "stream")
    waiting = javascript.begin_run("1")
    javascript.interrupt()
    assert javascript.finish(waiting).interrupted
    assert javascript.run("2").result["text/plain"] == "2"


def test_ticks_that_the_stopped_cell_has_left_run_if_they_end(javascript: Runner) -> None:
    javascript.run("globalThis.ticks = 0")
    code = "process.nextTick(() => ticks++);" + MARK + "for (;;);"
    assert interrupted(javascript, code).interrupted
    assert javascript.run("ticks").result["text/plain"] == "1"


def test_other_cells_go_on(javascript: Runner) -> None:
    javascript.run(
        "globalThis.ticks = 0; globalThis.clock = setInterval(() => ticks++, 1);"
        "globalThis.rounds = 0; const nap = () => new Promise((r) => setTimeout(r, 1));"
        "void (async () => { for (;; rounds++) {"
        " await new Promise(setImmediate); await nap() } })()"
    )
    code = (
        "const before = { ticks, rounds };"
        " while (ticks === before.ticks || rounds === before.rounds)"
        " await new Promise(setImmediate); 1"
    )
    for _ in range(100):
        assert interrupted(javascript, MARK + "await new Promise(() => {})").interrupted
        assert javascript.run(code).status == "ok"


def test_timer_that_is_being_started_is_started_to_the_end(
    javascript: Runner, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    javascript.run(
        "globalThis.told = false; globalThis.delay = { valueOf() {"
        f" {busy_until(told)} told = true; return 1; }} }}"
    )
    number = javascript.begin_run("setTimeout(() => {}, delay); for (;;);")
    javascript.until(number, "stream")
    javascript.interrupt()
    told.touch()
    assert javascript.finish(number).interrupted
    assert javascript.run("told").result["text/plain"] == "true"


def test_callback_of_another_cell_ends_its_work_and_is_called_again(
    javascript: Runner, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    javascript.run(
        "globalThis.ticks = 0; globalThis.wanted = false;"
        "globalThis.clock = setInterval(() => { if (wanted) { wanted = false;"
        f" {busy_until(told)} }} ticks++; }}, 1)"
    )
    number = javascript.begin_run("wanted = true; await new Promise(() => {})")
    javascript.until(number - 1, "stream")
    javascript.interrupt()
    told.touch()
    assert javascript.finish(number).interrupted
    code = (
        "const since = ticks; while (ticks === since) await new Promise(setImmediate); 1"
    )
    assert javascript.run(code).status == "ok"


def test_half_loaded_module_is_loaded_anew(javascript: Runner, tmp_path: Path) -> None:
    told = tmp_path / "told"
    (tmp_path / "half.cjs").write_text(f"{busy_until(told)} exports.whole = true")
    path = str(tmp_path / "half.cjs")
    assert interrupted(javascript, f"require({path!r})").interrupted
    told.touch()
    assert javascript.run(f"require({path!r}).whole").result["text/plain"] == "true"


@pytest.mark.parametrize("name", ["dgram", "http2", "repl", "tls", "worker_threads"])
def test_modules_of_node_are_loaded_whole(javascript: Runner, name: str) -> None:
    interrupted(javascript, f"{MARK} require({name!r})")
    code = f"Object.keys(require({name!r})).length > 0"
    assert javascript.run(code).result["text/plain"] == "true"


def test_fetch_is_loaded_whole(javascript: Runner) -> None:
    code = "await (await fetch('data:,here')).text()"
    interrupted(javascript, MARK + code)
    assert javascript.run(code).result["text/plain"] == "'here'"


@pytest.mark.parametrize(
    "wait",
    [MARK + "require('child_process').execSync('sleep 600')", "prompt('go')"],
    ids=["child", "question"],
)
def test_what_has_waited_without_the_event_loop_does_not_go_on(
    javascript: Runner, wait: str
) -> None:
    javascript.run("require('child_process'); globalThis.steps = []")
    number = javascript.begin_run(
        "await require('fs/promises').readFile('/dev/null');"
        f"try {{ {wait}; steps.push('next') }} catch {{ steps.push('catch') }}",
        allow_stdin=True,
    )
    javascript.until(number, "input_request" if "prompt" in wait else "stream")
    javascript.interrupt()
    assert javascript.finish(number).interrupted
    assert javascript.run("steps").result["text/plain"] == "[]"


def test_child_that_interrupts_itself_is_an_error_of_the_cell(javascript: Runner) -> None:
    code = (
        "try { require('child_process').execSync('kill -INT $$') } catch (e) { e.signal }"
    )
    assert javascript.run(code).result["text/plain"] == "'SIGINT'"


def test_early_interrupt_is_remembered_and_late_one_forgotten(javascript: Runner) -> None:
    for _ in range(100):
        number = javascript.begin_run("1 + 1")
        javascript.interrupt()
        outcome = javascript.finish(number)
        assert outcome.status == "ok" or outcome.interrupted
        javascript.ping()
        assert javascript.run("1").status == "ok"


def test_listener_of_the_users_does_not_take_the_interrupt_away(
    javascript: Runner,
) -> None:
    javascript.run("process.on('SIGINT', () => process.exit(1)); globalThis.kept = 1")
    assert interrupted(javascript, MARK + "for (;;);").interrupted
    javascript.run("process.removeAllListeners('SIGINT')")
    assert interrupted(javascript, MARK + "for (;;);").interrupted
    assert javascript.run("kept").result["text/plain"] == "1"


def test_question_about_code_can_be_interrupted(javascript: Runner) -> None:
    for _ in range(100):
        content = {"code": "globalThis.", "cursor_pos": 11}
        number = javascript.begin("complete_request", content)
        javascript.interrupt()
        reply = javascript.finish(number).reply.content
        assert reply["status"] == "ok" or reply["ename"] == "Interrupted"
        javascript.ping()
        assert javascript.request("complete_request", content).status == "ok"


def test_promise_that_nothing_can_end_survives_the_collector(javascript: Runner) -> None:
    code = (
        "setTimeout(() => { for (let i = 0; i < 300; i++) new Array(1e5).fill(i);"
        " console.log('go') }, 10); await new Promise(() => {})"
    )
    assert interrupted(javascript, code).interrupted


def test_full_heap_stops_the_cell_and_keeps_the_rest(start_node: StartRunner) -> None:
    env = {**os.environ, "NODE_OPTIONS": "--max-old-space-size=64"}
    runner = start_node(env=env)
    runner.run("globalThis.kept = 1; globalThis.all = []")
    outcome = runner.run("for (;;) all.push(new Array(1e4).fill(1.5))")
    assert outcome.error.content["ename"] == "RangeError"
    assert "heap out of memory" in outcome.error.content["evalue"]
    assert runner.run("all = null; kept").result["text/plain"] == "1"


@pytest.mark.parametrize("code", ["for (;;);", "await new Promise(() => {})"])
def test_runner_ends_with_its_server_whatever_runs(
    start_node: StartRunner, code: str
) -> None:
    runner = start_node()
    number = runner.begin_run(MARK + code)
    runner.until(number, "stream")
    runner.send(Frame("shutdown", 0))
    assert runner.process.wait(20) == 0
