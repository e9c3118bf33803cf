# SPDX-License-Identifier: MIT
"""The client over a real socket, with a server that says what a test wants to hear."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest
from clients.python.tests.conftest import Peer, context, outcome

import cellwall
from cellwall._wire import Message

Connect = Callable[..., tuple[Peer, cellwall.Client]]
WHERE = {"cellwall": {"context": "ctx_x", "epoch": 1, "execution": "run_1", "seq": 1}}


def events(peer: Peer) -> None:
    """What a run says, one of each kind, and some that nobody knows."""
    data = {"data": {"text/plain": "x"}, "metadata": {}, "transient": {"display_id": "d"}}
    error = {"ename": "E", "evalue": "v", "traceback": []}
    for kind, content in [
        ("execution_queued", {"execution": {"id": "run_1", "state": "queued"}}),
        ("status", {"execution_state": "busy"}),
        ("execute_input", {"code": "c", "execution_count": 1}),
        ("stream", {"name": "stdout", "text": "o"}),
        ("stream", {"name": "stderr", "text": "e"}),
        ("news_of_tomorrow", {"a": 1}),
        ("display_data", data),
        ("update_display_data", data),
        ("clear_output", {"wait": True}),
        ("execute_result", {**data, "execution_count": 1}),
        ("error", error),
        ("status", {"execution_state": "idle"}),
    ]:
        peer.say(kind, content, metadata=WHERE)


def run(peer: Peer, _: Message) -> None:
    events(peer)
    peer.say("run_code_reply", outcome())


def test_stream_gives_typed_events_in_order(connect: Connect) -> None:
    _, client = connect(run)
    with client.stream("c") as stream:
        seen = list(stream)
    assert [type(event).__name__ for event in seen] == [
        "Queued",
        "Status",
        "Input",
        "Stdout",
        "Stderr",
        "Display",
        "UpdateDisplay",
        "ClearOutput",
        "ResultEvent",
        "ErrorEvent",
        "Status",
    ]
    assert all(event.execution_id == "run_1" and event.seq == 1 for event in seen)
    assert stream.id == "run_1"
    assert stream.execution.execution_count == 1


def test_callbacks_get_what_they_are_for(connect: Connect) -> None:
    _, client = connect(run)
    told: list[Any] = []
    client.run_code(
        "c",
        on_stdout=lambda event: told.append(("out", event.text)),
        on_stderr=lambda event: told.append(("err", str(event))),
        on_result=lambda result: told.append(("result", result.is_main_result)),
        on_error=lambda error: told.append(("error", error.name)),
    )
    assert told == [
        ("out", "o"),
        ("err", "e"),
        ("result", False),
        ("result", True),
        ("error", "E"),
    ]


def test_request_has_what_was_asked_for_and_nothing_else(connect: Connect) -> None:
    peer, client = connect(run)
    client.run_code("c", "python", timeout=1.5, env={"A": "b"}, stop_on_error=True)
    client.run_code("c", context="ctx_x", timeout=0, on_input=lambda request: "")
    assert [request.content for request in peer.requests] == [
        {
            "code": "c",
            "language": "python",
            "timeout_ms": 1500,
            "env": {"A": "b"},
            "stop_on_error": True,
            "stream": True,
        },
        {
            "code": "c",
            "context": "ctx_x",
            "timeout_ms": 0,
            "allow_stdin": True,
            "stream": True,
        },
    ]


def test_wrong_arguments_are_noticed_here(connect: Connect) -> None:
    peer, client = connect(run)
    with pytest.raises(TypeError, match="no option envs"):
        client.run_code("c", envs={})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="not both"):
        client.run_code("c", "python", context="x")
    assert peer.requests == []


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"status": "ok"},
        {"status": "ok", "results": 5},
        outcome(results=[5]),
        outcome(logs=[]),
        outcome(context=None),
    ],
)
def test_malformed_reply_is_a_protocol_error(connect: Connect, content: Any) -> None:
    _, client = connect(lambda peer, _: peer.say("run_code_reply", content))
    with pytest.raises(cellwall.ProtocolError):
        client.run_code("c")


@pytest.mark.parametrize("kind", ["stream", "display_data", "error", "execution_queued"])
def test_malformed_event_is_a_protocol_error(connect: Connect, kind: str) -> None:
    def script(peer: Peer, _: Message) -> None:
        peer.say(kind, {"name": "other", "text": 1, "data": 2, "execution": 3})

    _, client = connect(script)
    with pytest.raises(cellwall.ProtocolError):
        client.stream("c").finish()


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"<IDS|MSG>"],
        [b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}", b"{}"],
        [b"x"] * 100,
    ],
)
def test_messages_that_are_not_the_servers_are_dropped(
    connect: Connect, frames: list[bytes]
) -> None:
    def script(peer: Peer, message: Message) -> None:
        peer.send(frames)
        run(peer, message)

    _, client = connect(script)
    assert client.run_code("c").ok


def test_refusal_is_the_exception_of_its_code(connect: Connect) -> None:
    def refuse(peer: Peer, message: Message) -> None:
        reply = message.type.replace("request", "reply")
        content = {"status": "error", "code": "QUEUE_FULL", "message": "full"}
        peer.say(reply, {**content, "details": {"limit": 64}})

    _, client = connect(refuse)
    for call in (lambda: client.run_code("c"), client.list_contexts):
        with pytest.raises(cellwall.QueueFull, match="full") as raised:
            call()
        assert raised.value.details == {"limit": 64}


def test_silent_server_is_lost(connect: Connect) -> None:
    _, client = connect(lambda peer, message: None, request_timeout=0.2)
    with pytest.raises(cellwall.ConnectionLost, match="silent"):
        client.run_code("c")


def test_keepalives_keep_a_long_run(connect: Connect) -> None:
    def script(peer: Peer, message: Message) -> None:
        for _ in range(10):
            peer.say("keepalive", {}, parent={})
            time.sleep(0.3)  # what is tested is that time alone does not end it
        run(peer, message)

    _, client = connect(script, request_timeout=2)
    assert client.run_code("c").ok


def test_closed_connection_is_lost_at_once(connect: Connect) -> None:
    def script(peer: Peer, _: Message) -> None:
        raise ConnectionAbortedError

    peer, client = connect(script)
    with pytest.raises(cellwall.ConnectionLost, match="closed the connection"):
        client.run_code("c")
    peer.failure = None


def test_missing_server_is_told_at_once(tmp_path: Any) -> None:
    file = cellwall.ServerFile(tmp_path, f"ipc://{tmp_path}/none.sock", b"")
    with cellwall.Client(file) as client:
        with pytest.raises(cellwall.ConnectionLost, match="no server answers"):
            client.server_info()


def test_address_that_is_none_is_refused(tmp_path: Any) -> None:
    with pytest.raises(cellwall.ConnectionLost):
        cellwall.Client(cellwall.ServerFile(tmp_path, "no-address", b""))


def test_calls_of_a_closed_client_are_refused(connect: Connect) -> None:
    _, client = connect(lambda peer, message: None)
    client.close()
    client.close()
    with pytest.raises(cellwall.ClientClosed):
        client.run_code("c")


def test_close_ends_calls_of_other_threads(connect: Connect) -> None:
    asked = threading.Event()
    _, client = connect(lambda peer, message: asked.set())
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.run_code, "c")
        assert asked.wait(30)
        client.close()
        with pytest.raises(cellwall.ClientClosed):
            call.result(30)


def test_threads_wait_side_by_side(connect: Connect) -> None:
    """None is answered before all have asked."""
    count = 10
    waiting: list[tuple[dict[str, Any], str]] = []

    def script(peer: Peer, message: Message) -> None:
        waiting.append((peer.parent(), message.content["code"]))
        if len(waiting) == count:
            for parent, code in reversed(waiting):
                content = outcome(logs={"stdout": code, "stderr": ""})
                peer.say("run_code_reply", content, parent=parent)

    _, client = connect(script)
    codes = [str(i) for i in range(count)]
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda code: client.run_code(code).logs.stdout, codes))
    assert found == codes


def test_keyboard_interrupt_cancels_the_run_once(connect: Connect) -> None:
    main = threading.main_thread().ident
    assert main is not None
    cancelled = threading.Event()

    def script(peer: Peer, message: Message) -> None:
        if message.type == "run_code_request" and len(peer.requests) == 1:
            peer.say(
                "execution_queued", {"execution": {"id": "run_9", "state": "queued"}}
            )
            signal.pthread_kill(main, signal.SIGINT)
        elif message.type == "run_code_request":
            run(peer, message)
        elif message.type == "cancel_request":
            cancelled.set()

    peer, client = connect(script)
    with pytest.raises(KeyboardInterrupt):
        client.run_code("c")
    assert client.run_code("c").ok  # it is as it was
    assert cancelled.wait(30)
    cancels = [m.content for m in peer.requests if m.type == "cancel_request"]
    assert cancels == [{"execution": "run_9"}]


@pytest.mark.parametrize("how", ["close", "drop", "raise"])
def test_stream_that_is_left_cancels_the_run(connect: Connect, how: str) -> None:
    cancelled = threading.Event()

    def script(peer: Peer, message: Message) -> None:
        if message.type == "run_code_request":
            events(peer)
        elif message.type == "cancel_request":
            cancelled.set()

    _, client = connect(script)
    stream = client.stream("c")
    next(stream)
    if how == "close":
        stream.close()
        assert list(stream) == []
        with pytest.raises(cellwall.CellwallError, match="not come to the end"):
            _ = stream.execution
    elif how == "drop":
        del stream
    else:

        def fail(event: object) -> None:
            raise RuntimeError("the callback's own")

        stream.close()
        cancelled.clear()
        with pytest.raises(RuntimeError, match="own"):
            client.run_code("c", on_stdout=fail)
    assert cancelled.wait(30)


def test_input_is_answered(connect: Connect) -> None:
    def script(peer: Peer, message: Message) -> None:
        if message.type == "run_code_request":
            peer.say("input_request", {"prompt": "name? "}, metadata=WHERE)
            script.parent = peer.parent()  # type: ignore[attr-defined]
        else:
            logs = {"stdout": message.content["value"], "stderr": ""}
            assert message.content["execution"] == "run_1"
            parent = script.parent  # type: ignore[attr-defined]
            peer.say("run_code_reply", outcome(logs=logs), parent=parent)

    _, client = connect(script)
    prompts: list[str] = []

    def answer(request: cellwall.InputRequest) -> str:
        prompts.append(request.prompt)
        return "Ada"

    assert client.run_code("input()", on_input=answer).logs.stdout == "Ada"
    assert prompts == ["name? "]
    for event in client.stream("input()", allow_stdin=True):
        if isinstance(event, cellwall.InputRequest):
            event.reply("Grace")


def test_context_follows_the_epoch_that_it_was_told(connect: Connect) -> None:
    where = {"id": context()["id"], "epoch": 2, "state": "idle"}

    def script(peer: Peer, message: Message) -> None:
        if message.type == "create_context_request":
            peer.say("create_context_reply", {"status": "ok", "context": context()})
        elif message.type == "run_code_request":
            reason = {"kind": "memory", "state": "lost", "text": "t"}
            peer.say("run_code_reply", outcome(context=where, reason=reason))

    peer, client = connect(script)
    ctx = client.create_context()
    ctx.run_code("a")
    assert ctx.epoch == 2
    ctx.run_code("b")
    handles = [m.content.get("context") for m in peer.requests[1:]]
    assert [handle["epoch"] for handle in handles] == [1, 2]


def test_files_travel_in_pieces(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellwall._operations.CHUNK_BYTES", 4)
    stored = bytearray()
    modes: list[tuple[str, int | None]] = []

    def script(peer: Peer, message: Message) -> None:
        asked = message.content
        if message.type == "write_file_request":
            modes.append((asked["mode"], asked.get("offset")))
            stored.extend(message.buffers[0])
            told = {"bytes_written": len(message.buffers[0]), "size": len(stored)}
            peer.say("write_file_reply", told)
        else:
            piece = bytes(stored[asked["offset"] :][: asked["length"]])
            eof = asked["offset"] + len(piece) >= len(stored)
            peer.say("read_file_reply", {"eof": eof, "size": len(stored)}, piece)

    _, client = connect(script)
    files = cellwall.Context(client, cellwall.ContextInfo.parse(context())).files
    assert files.write("f", b"0123456789") == 10
    assert modes == [("replace", None), ("at", 4), ("at", 8)]
    assert files.read("f") == b"0123456789"
    assert files.read("f", offset=3, length=6) == b"345678"
    stored.clear()
    assert files.write("f", "") == 0
    assert files.read_text("f") == ""


def test_forked_process_is_told_that_the_client_is_not_its_own(connect: Connect) -> None:
    _, client = connect(run)
    assert client.run_code("c").ok
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            client.run_code("c")
        except cellwall.ClientClosed as error:
            os.write(theirs, error.message.encode())
        client.close()  # does nothing to the parent's
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.close(theirs)
    assert b"forked" in os.read(ours, 1000)
    os.close(ours)
    assert client.run_code("c").ok


def test_no_thread_is_left(connect: Connect) -> None:
    before = set(threading.enumerate())
    _, client = connect(run)
    client.run_code("c")
    client.close()
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name == "cellwall-client"]


def test_client_that_is_dropped_is_closed(connect: Connect) -> None:
    peer, client = connect(run)
    with_own = cellwall.Client(peer.file)
    thread = with_own._link._thread
    del with_own
    thread.join(30)
    assert not thread.is_alive()
    assert client.run_code("c").ok


def test_async_client_has_the_same_surface() -> None:
    for ours, theirs in [
        (cellwall.Client, cellwall.AsyncClient),
        (cellwall.Context, cellwall.AsyncContext),
        (cellwall.Files, cellwall.AsyncFiles),
        (cellwall.Job, cellwall.AsyncJob),
        (cellwall.Stream, cellwall.AsyncStream),
        (cellwall.Watch, cellwall.AsyncWatch),
    ]:
        public = {name for name in dir(ours) if not name.startswith("_")}
        assert public == {name for name in dir(theirs) if not name.startswith("_")}


def test_async_calls_and_streams(connect: Connect) -> None:
    peer, _ = connect(run)

    async def work() -> None:
        async with cellwall.AsyncClient(peer.file) as client:
            told: list[str] = []

            async def on_stdout(event: cellwall.Stdout) -> None:
                await asyncio.sleep(0)
                told.append(event.text)

            assert (await client.run_code("c", on_stdout=on_stdout)).ok
            assert told == ["o"]
            async with client.stream("c") as stream:
                kinds = [type(event).__name__ async for event in stream]
            assert kinds[0] == "Queued" and kinds[-1] == "Status"
            assert stream.execution.ok
            assert (await client.stream("c").finish()).ok

    asyncio.run(work())


def test_cancelled_task_cancels_the_run(connect: Connect) -> None:
    cancelled = threading.Event()

    def script(peer: Peer, message: Message) -> None:
        if message.type == "run_code_request":
            peer.say(
                "execution_queued", {"execution": {"id": "run_3", "state": "queued"}}
            )
        elif message.content == {"execution": "run_3"}:
            cancelled.set()

    peer, _ = connect(script)

    async def work() -> None:
        async with cellwall.AsyncClient(peer.file) as client:
            begun = asyncio.Event()
            task = asyncio.create_task(
                client.run_code("c", on_event=lambda event: begun.set())
            )
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(work())
    assert cancelled.wait(30)
