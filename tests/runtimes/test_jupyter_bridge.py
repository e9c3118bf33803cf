# SPDX-License-Identifier: MIT
"""The bridge, in front of a kernel that does what a test says: see trickykernel.py."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes import framelib
from tests.runtimes.framelib import Frame, Raw, Runner

KERNEL = Path(__file__).with_name("trickykernel.py")
StartBridge = Callable[..., Runner]


def bridge_argv(kernel_json: Path | str) -> list[str]:
    program = framelib.runtimes_folder() / "jupyter/jupyter-bridge"
    return [str(program), "run", str(kernel_json)]


def write_spec(folder: Path, how: str = "", **members: Any) -> Path:
    """A kernelspec of the tricky kernel."""
    folder = folder / "tricky"
    folder.mkdir(exist_ok=True)
    spec = {
        "argv": [sys.executable, str(KERNEL), "{connection_file}"],
        "display_name": "Tricky",
        "language": "tricky",
        "env": {"TRICKY": how},
        **members,
    }
    path = folder / "kernel.json"
    path.write_text(json.dumps(spec))
    return path


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[StartBridge]:
    """Starts bridges that end with the test; their hello has not been awaited."""
    runners: list[Runner] = []
    temporary = tmp_path / "t"
    temporary.mkdir()

    def begin_one(how: str = "", **members: Any) -> Runner:
        spec = write_spec(tmp_path, how, **members)
        env = {**os.environ, "TMPDIR": str(temporary)}
        if len(str(temporary)) > 40:  # the sockets' paths would be too long
            env["TMPDIR"] = "/tmp"
        runners.append(Runner(bridge_argv(spec), cwd=tmp_path, env=env))
        return runners[-1]

    yield begin_one
    for runner in runners:
        runner.close()


@pytest.fixture
def bridge(begin: StartBridge) -> Runner:
    runner = begin()
    runner.hello()
    return runner


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One bridge for tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("shared")
    runner = Runner(bridge_argv(write_spec(folder)), cwd=folder)
    runner.hello()
    yield runner
    runner.close()


# The start.


def test_hello_tells_what_the_kernel_says_of_itself(begin: StartBridge) -> None:
    hello = begin().hello().content
    assert hello["language_info"] == {"name": "tricky", "version": "1"}
    assert hello["banner"] == "Tricky"
    assert hello["implementation_version"] == "1"


def said_before_hello(runner: Runner) -> bytes:
    text = b""
    for item in runner.items():
        if isinstance(item, Frame):
            assert item.type == "hello"
            return text
        text += item.data
    raise AssertionError("no hello")


def test_what_a_kernel_says_at_its_start_is_nobodys_output(begin: StartBridge) -> None:
    text = said_before_hello(begin("chatty"))
    assert b"starting\n" in text
    assert b"welcome\n" in text


def test_an_answer_of_which_only_the_end_was_heard_is_asked_for_again(
    begin: StartBridge,
) -> None:
    assert b"welcome\n" in said_before_hello(begin("halfheard"))


def test_a_kernel_that_never_answers_is_given_up(begin: StartBridge) -> None:
    runner = begin("mute", metadata={"cellwall": {"start_timeout_s": 1}})
    items = list(runner.items())
    assert runner.process.wait(20) == 1
    assert b"the kernel tricky has not made its sockets within 1 s" in items[0].data


def test_a_kernel_that_dies_at_its_start_ends_the_bridge_likewise(
    begin: StartBridge,
) -> None:
    runner = begin("dies")
    items = list(runner.items())
    assert runner.process.wait(20) == 3
    assert items == [Raw(2, b"cannot find my library\n")]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"argv": ["/nowhere/kernel"]}, "its program /nowhere/kernel is not there"),
        ({"argv": ["no-such-program"]}, "its program no-such-program is not there"),
        ({"argv": []}, '"argv" must be an array'),
        ({"argv": "python"}, '"argv" must be an array'),
        ({"argv": ["x"] * 300}, '"argv" must be an array'),
        ({"env": {"A": 1}}, '"env" must be an object'),
        ({"metadata": {"cellwall": {"transport": "udp"}}}, '"ipc" or "tcp"'),
        ({"metadata": {"cellwall": {"mounts": "/x"}}}, "an array of paths"),
        ({"metadata": {"cellwall": {"start_timeout_s": 99}}}, "1 to 55"),
    ],
)
def test_a_kernelspec_that_cannot_be_used_says_why(
    begin: StartBridge, members: dict[str, Any], why: str
) -> None:
    runner = begin(**members)
    items = list(runner.items())
    assert runner.process.wait(20) == 1
    assert why in items[0].data.decode()


@pytest.mark.parametrize(
    ("how", "members"),
    [("colon", {}), ("tcp", {"metadata": {"cellwall": {"transport": "tcp"}}})],
)
def test_kernels_with_habits_of_their_own_are_found(
    begin: StartBridge, how: str, members: dict[str, Any]
) -> None:
    runner = begin(how, **members)
    runner.hello()
    assert runner.run("say('hello')").stdout == "hello"


def test_templates_are_filled_in(begin: StartBridge, tmp_path: Path) -> None:
    argv = [sys.executable, str(KERNEL), "{connection_file}", "<{resource_dir}>", "{x}"]
    env = {"TRICKY": "", "A": "<${CELLWALL_TEST_A}>", "B": "${CELLWALL_TEST_NONE}"}
    os.environ["CELLWALL_TEST_A"] = "a"
    runner = begin(argv=argv, env=env)
    runner.hello()
    outcome = runner.run("result(sys.argv[2:] + [os.environ['A'], os.environ['B']])")
    wanted = [f"<{tmp_path}/tricky>", "{x}", "<a>", "${CELLWALL_TEST_NONE}"]
    assert outcome.result["text/plain"] == repr(wanted)


# Runs.


def test_execution_counts_are_the_servers(bridge: Runner) -> None:
    for count in (1, 2):
        outcome = bridge.run("result(1)")
        (frame,) = outcome.frames("execute_result")
        assert frame.content["execution_count"] == count
        assert outcome.reply.content["execution_count"] == count


def test_a_request_gets_the_defaults_that_a_client_may_leave_out(
    shared: Runner,
) -> None:
    outcome = shared.run("result(cell.content | {'code': ''})", store_history=False)
    assert eval(outcome.result["text/plain"]) == {
        "code": "",
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }
    outcome = shared.request("complete_request", {"code": "ü🎉x"})
    assert json.loads(outcome.reply.content["matches"][0])["cursor_pos"] == 3


def test_what_comes_after_the_reply_belongs_to_the_run(shared: Runner) -> None:
    outcome = shared.run(
        "reply(cell.rest); time.sleep(0.2); say('late'); result(5); idle()"
    )
    assert outcome.stdout == "late"
    assert outcome.result == {"text/plain": "5"}


def test_a_reply_after_idle_is_waited_for(shared: Runner) -> None:
    outcome = shared.run(
        "idle(); time.sleep(0.2); reply(cell.rest | {'payload': [{'source': 'x'}]})"
    )
    assert outcome.reply.content["payload"] == [{"source": "x"}]


def test_a_run_whose_idle_is_lost_ends(shared: Runner) -> None:
    outcome = shared.run("say('x'); no_idle()")
    assert (outcome.stdout, outcome.status) == ("x", "ok")
    assert shared.run("say('y')").stdout == "y"


def test_a_run_without_a_reply_ends_with_an_error(shared: Runner) -> None:
    outcome = shared.run("no_reply()")
    assert outcome.error.content["ename"] == "KernelError"
    assert outcome.status == "error"
    assert "sent no reply" in outcome.reply.content["evalue"]


def test_a_second_reply_is_nobodys(shared: Runner) -> None:
    outcome = shared.run("reply(cell.rest); reply({'status': 'error'})")
    assert outcome.status == "ok"
    assert shared.run("").status == "ok"


@pytest.mark.parametrize("status", ["abort", "aborted", "error", "nonsense", None])
def test_a_reply_that_is_not_ok_is_an_error(shared: Runner, status: str | None) -> None:
    outcome = shared.run(f"reply({{'status': {status!r}}})")
    assert outcome.reply.flags == framelib.FLAG_ERROR
    assert outcome.status == "error"
    assert outcome.error.content == {"ename": "Error", "evalue": "", "traceback": []}
    assert outcome.reply.content["ename"] == "Error"


def test_an_error_is_told_once(shared: Runner) -> None:
    outcome = shared.run(
        "error = {'ename': 'E', 'evalue': 'v', 'traceback': ['one', 'two']}\n"
        "publish('error', error); publish('error', error)\n"
        "reply({'status': 'error', **error})"
    )
    assert outcome.error.content["ename"] == "E"
    assert outcome.stderr == "one\ntwo\n"
    assert outcome.reply.content["evalue"] == "v"


def test_displays_and_clears_pass(shared: Runner) -> None:
    outcome = shared.run(
        "bundle = {'data': {'text/plain': 'x'}, 'metadata': {},"
        " 'transient': {'display_id': 'd'}}\n"
        "publish('display_data', bundle, metadata={'m': 1})\n"
        "publish('update_display_data', bundle)\n"
        "publish('clear_output', {'wait': True})"
    )
    display, update, clear = outcome.frames()
    assert display.content["transient"] == {"display_id": "d"}
    assert display.metadata == {"m": 1}
    assert update.type == "update_display_data"
    assert clear.content == {"wait": True}


def test_bundles_of_careless_kernels_are_mended(shared: Runner) -> None:
    outcome = shared.run(
        "publish('display_data', {'data': {'text/plain': 'a'}})\n"
        "publish('display_data', {'data': {'text/plain': 'b'}, 'metadata': [],"
        " 'transient': None})"
    )
    assert [frame.content for frame in outcome.frames()] == [
        {"data": {"text/plain": text}, "metadata": {}} for text in "ab"
    ]


def test_numbers_and_strings_stay_as_the_kernel_wrote_them(shared: Runner) -> None:
    text = (
        '{"data":{"application/json":{"a":1E400,"b":123456789012345678901234567890,'
        '"c":"\\ud800\\u0000"}},"metadata":{},"execution_count":7}'
    )
    outcome = shared.run(f"publish('execute_result', {text.encode()!r})")
    (frame,) = outcome.frames()
    value = frame.content["data"]["application/json"]
    assert value["b"] == 123456789012345678901234567890
    assert value["c"] == "\ud800\u0000"


# Whose output it is.


def test_late_output_keeps_its_request(bridge: Runner) -> None:
    first = bridge.begin_run("say('now')")
    bridge.finish(first)
    number = bridge.begin_run("say('late', parent=cell.kernel.parents[0]); say('own')")
    outcome = bridge.finish(number)
    assert [(frame.text, frame.number) for frame in outcome.frames("stream")] == [
        ("late", first),
        ("own", number),
    ]


def test_a_late_result_is_a_display_and_a_late_error_text(bridge: Runner) -> None:
    first = bridge.begin_run("")
    bridge.finish(first)
    outcome = bridge.run(
        "parent = cell.kernel.parents[0]\n"
        "publish('execute_result', {'data': {'text/plain': '1'}, 'metadata': {},"
        " 'execution_count': 1}, parent)\n"
        "publish('error', {'ename': 'E', 'evalue': '', 'traceback': ['tb']}, parent)"
    )
    display, text = outcome.frames()
    assert (display.type, display.number) == ("display_data", first)
    assert (text.text, text.number) == ("tb\n", first)
    assert outcome.status == "ok"


@pytest.mark.parametrize(
    "parent",
    [
        "{}",
        "{'msg_id': 'x'}",
        "cell.header | {'msg_id': cell.header['msg_id'] + '9'}",
        "cell.header | {'msg_id': cell.header['msg_id'] + '9' * 40}",
    ],
)
def test_output_of_no_request_so_far_is_nobodys(shared: Runner, parent: str) -> None:
    outcome = shared.run(f"say('x', parent={parent})")
    (frame,) = outcome.frames("stream")
    assert (frame.text, frame.number) == ("x", 0)


def test_output_of_programs_is_in_its_place(shared: Runner, tmp_path: Path) -> None:
    number = shared.begin_run(
        f"folder = {str(tmp_path)!r}\n"
        "for i in range(3):\n"
        "    os.system(f'echo raw {i}')\n"
        "    say(f'said {i}\\n')\n"
        "    while not os.path.exists(f'{folder}/go{i}'): time.sleep(0.001)\n"
        "os.system('echo bad >&2')"
    )
    items: list[Frame | Raw] = []
    for i in range(3):
        items.append(shared.until(number, "stream", items))
        (tmp_path / f"go{i}").touch()
    outcome = shared.finish(number)
    outcome.items[:0] = items
    assert outcome.stdout == "".join(f"raw {i}\nsaid {i}\n" for i in range(3))
    assert outcome.stderr == "bad\n"


# Hostile kernels.


@pytest.mark.parametrize(
    "code",
    [
        "raw(b'')",
        "raw(b'x' * 1000)",
        "raw(b'<IDS|MSG>')",
        "raw(*[b'x'] * 2000)",
        "raw(b'<IDS|MSG>', b'bad', b'{}', b'{}', b'{}', b'{}')",
        "frames = cell.kernel.frames('stream', {}, cell.header)\n"
        "frames[1] = b'0' * 64; raw(*frames)",
        'publish(\'stream\', b\'{"name": "stdout", "text": "\\xff"}\')',
        "publish('stream', b'[' * 100000)",
        "publish('stream', b'nothing')",
        "publish('stream', [])",
        "publish('stream', {'name': 'stdout'})",
        "publish('stream', {'name': 'stdout', 'text': 5})",
        "publish('display_data', {'data': {'no type': 1}, 'metadata': {}})",
        "publish('display_data', {}, metadata=[])",
        "publish('comm_msg', {}, buffers=(b'',) * 1024 + (b'',))",
    ],
)
def test_a_message_that_is_none_is_left_out_and_told(shared: Runner, code: str) -> None:
    outcome = shared.run(code)
    assert outcome.status == "ok"
    assert outcome.stderr.startswith("[cellwall: a message of the kernel was left out: ")
    assert shared.run("say('fine')").stdout == "fine"


@pytest.mark.parametrize(
    "code",
    [
        "publish('unknown_type', {})",
        "publish('status', {'execution_state': 7})",
        "publish('status', {})",
        "publish('stream', {'name': 'stdout', 'text': ''})",
        "publish('shutdown_reply', {})",
        "raw(*cell.kernel.frames('input_reply', {}, cell.header), channel='stdin')",
        "raw(*cell.kernel.frames('execute_request', {}, cell.header), channel='shell')",
        "raw(*cell.kernel.frames('x', {}, cell.header), channel='control')",
    ],
)
def test_messages_that_mean_nothing_are_ignored(shared: Runner, code: str) -> None:
    outcome = shared.run(code)
    assert (outcome.status, outcome.items) == ("ok", [])


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("publish('stream', {'name': 'stdout', 'text': 'x' * (65 << 20)})", "ok"),
        ("reply({'status': 'ok', 'x': 'x' * (65 << 20)})", "error"),
    ],
)
def test_a_message_that_is_too_large_is_left_out_and_told(
    shared: Runner, tmp_path: Path, code: str, status: str
) -> None:
    # What large messages are followed by may overtake them on another socket.
    told = tmp_path / "told"
    number = shared.begin_run(
        f"{code}\nwhile not os.path.exists({str(told)!r}): time.sleep(0.01)"
    )
    text = shared.until(number, "stream").text
    assert text.startswith("[cellwall: a message of the kernel was left out: ")
    assert "larger" in text or "at most" in text
    told.touch()
    assert shared.finish(number).status == status
    assert shared.run("say('fine')").stdout == "fine"


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] == "T"


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + framelib.TIMEOUT_SECONDS
    while not holds():
        assert time.monotonic() < until
        os.sched_yield()


def test_a_kernel_stands_still_while_the_server_does_not_read(bridge: Runner) -> None:
    pid = int(bridge.run("result(os.getpid())").result["text/plain"])
    number = bridge.begin_run(
        "for i in range(4000):\n"
        "    say(f'{i} ' + 'x' * 2000 + '\\n')\n"
        "    time.sleep(0.0005)"  # it is its own loss if it publishes still faster
    )
    wait_until(lambda: is_stopped(pid))
    outcome = bridge.finish(number)
    wait_until(lambda: not is_stopped(pid))
    lines = outcome.stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(4000))


# Questions.


def answer_run(runner: Runner, code: str, *answers: str) -> tuple[Any, list[Any]]:
    number = runner.begin_run(code, allow_stdin=True)
    asked = []
    for answer in answers:
        asked.append(runner.until(number, "input_request").content)
        runner.send(Frame("input_reply", number, {"value": answer}))
    return runner.finish(number), asked


def test_a_question_is_answered(shared: Runner) -> None:
    outcome, asked = answer_run(
        shared, "result(ask('who? ') + ask('', password=True))", "Ada", "ü🎉"
    )
    assert asked == [
        {"prompt": "who? ", "password": False},
        {"prompt": "", "password": True},
    ]
    assert outcome.result["text/plain"] == "'Adaü🎉'"


def test_text_before_a_question_is_shown_before_it(shared: Runner) -> None:
    number = shared.begin_run("say('prompt'); ask()", allow_stdin=True)
    passed: list[Any] = []
    shared.until(number, "input_request", passed)
    assert [frame.text for frame in passed] == ["prompt"]
    shared.send(Frame("input_reply", number, {"value": ""}))
    shared.finish(number)


def test_who_may_not_ask_gets_no_line(shared: Runner) -> None:
    outcome = shared.run("result(ask('who? '))")
    assert outcome.result["text/plain"] == "''"


def test_a_second_question_at_a_time_gets_no_line(shared: Runner) -> None:
    number = shared.begin_run(
        "question('1'); question('2'); refused = answer(); say('refused')\n"
        "result([refused, answer()])",
        allow_stdin=True,
    )
    said = [next(shared.items()) for _ in range(2)]  # in either order
    (question,) = [item for item in said if item.type == "input_request"]
    assert question.content["prompt"] == "1"
    shared.send(Frame("input_reply", number, {"value": "one"}))
    outcome = shared.finish(number)
    assert eval(outcome.result["text/plain"]) == ["", "one"]


# Comms, and questions about code.


def test_comm_messages_go_both_ways_with_buffers(shared: Runner) -> None:
    outcome = shared.request(
        "comm_msg", {"comm_id": "c", "data": {"x": 1}}, buffers=[b"a\0b", b""]
    )
    (frame,) = outcome.frames()
    assert frame.type == "comm_msg"
    assert frame.content["data"]["data"] == {"x": 1}
    assert frame.buffers == [b"a\0b", b""]
    assert outcome.reply.content == {}


@pytest.mark.parametrize(
    ("kind", "content", "reply"),
    [
        ("complete_request", {"code": "x", "cursor_pos": 1}, ("matches", [])),
        ("inspect_request", {"code": "x", "cursor_pos": 1}, ("found", False)),
        ("is_complete_request", {"code": "x"}, ("status", "unknown")),
        ("comm_msg", {"comm_id": "c", "data": {}}, None),
    ],
)
def test_what_a_kernel_does_not_know_is_answered_for_it(
    begin: StartBridge, kind: str, content: Any, reply: tuple[str, Any] | None
) -> None:
    runner = begin("deaf")
    runner.hello()
    answer = runner.request(kind, content).reply
    assert answer.flags == 0
    if reply is not None:
        assert answer.content[reply[0]] == reply[1]
    assert runner.run("say('x')").stdout == "x"


# Interrupts and ends.


WAIT = (
    "say('on')\n"
    "try:\n"
    "    time.sleep(60)\n"
    "except KeyboardInterrupt:\n"
    "    reply({'status': 'abort'})"
)


def test_an_interrupt_is_a_signal_to_the_kernels_group(bridge: Runner) -> None:
    number = bridge.begin_run(WAIT)
    bridge.until(number, "stream")
    bridge.interrupt()
    outcome = bridge.finish(number)
    assert outcome.interrupted
    assert outcome.error.content["ename"] == "Interrupted"
    assert bridge.ping().reply.content == {}


def test_an_interrupt_before_the_run_waits_for_it(bridge: Runner) -> None:
    bridge.interrupt()
    number = bridge.begin_run(WAIT)
    assert bridge.finish(number).interrupted
    bridge.ping()
    assert bridge.run("say('x')").stdout == "x"


def test_an_interrupted_question_is_closed(bridge: Runner) -> None:
    code = "try:\n    result(ask())\nexcept KeyboardInterrupt:\n    reply({})"
    number = bridge.begin_run(code, allow_stdin=True)
    bridge.until(number, "input_request")
    bridge.interrupt()
    assert bridge.finish(number).interrupted
    bridge.send(Frame("input_reply", number, {"value": "too late"}))
    bridge.ping()
    outcome, _ = answer_run(bridge, code, "in time")
    assert outcome.result["text/plain"] == "'in time'"


def test_an_interrupt_that_came_too_late_is_forgotten(bridge: Runner) -> None:
    bridge.run("")
    bridge.interrupt()
    bridge.ping()
    outcome = bridge.run("time.sleep(0.6); say('whole')")
    assert (outcome.stdout, outcome.status) == ("whole", "ok")


def test_a_kernel_can_be_interrupted_by_message(begin: StartBridge) -> None:
    runner = begin(interrupt_mode="message")
    runner.hello()
    number = runner.begin_run(
        "say('on')\n"
        "identities, header, *_ = cell.kernel.receive('control')\n"
        "reply({'status': 'error', 'ename': header['msg_type']})"
    )
    runner.until(number, "stream")
    runner.interrupt()
    outcome = runner.finish(number)
    assert outcome.reply.content["ename"] == "interrupt_request"
    assert outcome.interrupted


def test_an_exit_of_the_kernel_is_the_bridges(bridge: Runner) -> None:
    bridge.begin_run("say('last\\n'); print('words', file=sys.stderr); os._exit(7)")
    items = list(bridge.items())
    assert bridge.process.wait(20) == 7
    raw = [item for item in items if isinstance(item, Raw)]
    assert b"".join(item.data for item in raw if item.fd == 2) == b"words\n", items


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_that_ends_the_kernel_ends_the_bridge(
    bridge: Runner, number: int
) -> None:
    bridge.begin_run(f"os.kill(os.getpid(), {int(number)})")
    list(bridge.items())
    assert bridge.process.wait(20) == -number


@pytest.mark.parametrize("how", ["", "stay"])
def test_shutdown_ends_the_kernel_and_leaves_nothing(
    begin: StartBridge, tmp_path: Path, how: str
) -> None:
    runner = begin(how)
    runner.hello()
    pid = int(runner.run("result(os.getpid())").result["text/plain"])
    folder = runner.run("result(os.path.dirname(sys.argv[1]))").result["text/plain"]
    runner.send(Frame("shutdown", 0))
    assert runner.process.wait(20) == 0
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(eval(folder)).exists()


def test_the_kernel_ends_when_the_bridge_is_killed(bridge: Runner) -> None:
    pid = int(bridge.run("result(os.getpid())").result["text/plain"])
    pidfd = os.pidfd_open(pid)
    bridge.process.kill()
    assert framelib.select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)
