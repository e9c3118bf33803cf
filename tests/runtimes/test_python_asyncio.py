# SPDX-License-Identifier: MIT
"""Top-level await and background tasks."""

from __future__ import annotations

from tests.runtimes.framelib import Runner


def test_await_at_top_level(shared: Runner) -> None:
    outcome = shared.run("import asyncio\nawait asyncio.sleep(0.01, 'slept')")
    assert outcome.result["text/plain"] == "'slept'"


def test_async_for_and_with_at_top_level(shared: Runner) -> None:
    outcome = shared.run(
        "import asyncio, contextlib\n"
        "async def numbers():\n    for i in range(3): await asyncio.sleep(0); yield i\n"
        "@contextlib.asynccontextmanager\n"
        "async def around():\n    print('in'); yield; print('out')\n"
        "async with around():\n    async for i in numbers(): print(i)"
    )
    assert outcome.stdout == "in\n0\n1\n2\nout\n"


def test_the_loop_is_one_for_all_cells(shared: Runner) -> None:
    shared.run("import asyncio\nloop = asyncio.get_running_loop()")
    assert shared.run("loop is asyncio.get_event_loop()").result["text/plain"] == "True"


def test_tasks_go_on_between_cells(runner: Runner) -> None:
    runner.run(
        "import asyncio, pathlib\n"
        "async def work():\n"
        "    await asyncio.sleep(0.05)\n"
        "    pathlib.Path('done').touch()\n"
        "    print('late')\n"
        "task = asyncio.create_task(work())"
    )
    for item in runner.items():  # nothing is sent to the runner meanwhile
        if getattr(item, "type", "") == "stream":
            assert (item.number, item.text) == (1, "late")
            break
    assert runner.run("task.done()").result["text/plain"] == "True"


def test_callbacks_from_threads_run_between_cells(runner: Runner) -> None:
    runner.run(
        "import asyncio, threading, time\n"
        "loop = asyncio.get_running_loop()\n"
        "async def work(): print('from thread')\n"
        "def start():\n"
        "    time.sleep(0.05)\n    asyncio.run_coroutine_threadsafe(work(), loop)\n"
        "threading.Thread(target=start).start()"
    )
    for item in runner.items():
        if getattr(item, "type", "") == "stream":
            assert item.text == "from thread"
            break
    assert runner.run("1").status == "ok"


def test_server_in_the_loop_answers_between_cells(runner: Runner) -> None:
    outcome = runner.run(
        "import asyncio\n"
        "async def answer(reader, writer):\n"
        "    writer.write(await reader.readline())\n"
        "    await writer.drain(); writer.close()\n"
        "server = await asyncio.start_server(answer, '127.0.0.1', 0)\n"
        "server.sockets[0].getsockname()[1]"
    )
    import socket

    port = int(outcome.result["text/plain"])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"echo\n")
        assert client.recv(100) == b"echo\n"
    assert runner.run("server.close()").status == "ok"


def test_executors_and_subprocesses_of_the_loop_work(shared: Runner) -> None:
    outcome = shared.run(
        "import asyncio\n"
        "print(await asyncio.get_running_loop().run_in_executor(None, sum, [1, 2]))\n"
        "async def main():\n"
        "    p = await asyncio.create_subprocess_exec('echo', 'hi', stdout=-1)\n"
        "    return (await p.communicate())[0]\n"
        "await main()"
    )
    assert outcome.stdout == "3\n"
    assert outcome.result["text/plain"] == "b'hi\\n'"


def test_cancelled_tasks_do_not_end_the_runner(runner: Runner) -> None:
    runner.run("import asyncio\nfor t in asyncio.all_tasks(): t.cancel()")
    runner.run("asyncio.current_task().cancel()")
    outcome = runner.run("asyncio.current_task().cancel(); await asyncio.sleep(1)")
    assert outcome.error.content["ename"] == "CancelledError"
    runner.run(
        "async def cancel():\n    for t in asyncio.all_tasks(): t.cancel()\n"
        "asyncio.get_running_loop().call_later(0.01, lambda:"
        " asyncio.ensure_future(cancel()))"
    )
    assert runner.run("await asyncio.sleep(0.05, 'ok')").status in ("ok", "error")
    assert runner.run("await asyncio.sleep(0.01, 'ok')").result["text/plain"] == "'ok'"


def test_stopped_loop_does_not_end_the_runner(runner: Runner) -> None:
    runner.run("import asyncio\nasyncio.get_running_loop().stop()")
    assert runner.run("await asyncio.sleep(0.01, 'ok')").result["text/plain"] == "'ok'"
    runner.run("asyncio.get_running_loop().call_soon(exit_now := lambda: 1/0)")
    assert runner.run("1").status == "ok"
    runner.run("import sys\nasyncio.get_running_loop().call_soon(sys.exit)")
    assert runner.run("await asyncio.sleep(0, 'ok')").status == "ok"


def test_failed_task_is_told_by_asyncio(runner: Runner) -> None:
    runner.run(
        "import asyncio\nasync def fail(): raise ValueError('in task')\n"
        "task = asyncio.create_task(fail())"
    )
    outcome = runner.run("await asyncio.sleep(0.01); del task")
    assert "in task" in outcome.stderr


def test_await_can_be_turned_off(runner: Runner) -> None:
    runner.run("%autoawait off")
    assert runner.run("await x").error.content["ename"] == "SyntaxError"
