# SPDX-License-Identifier: MIT
"""R through the bridge: IRkernel, as Debian installs it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtimes.framelib import Frame, Raw, Runner
from tests.runtimes.test_jupyter_bridge import answer_run, bridge_argv

SPEC = Path("/usr/share/jupyter/kernels/ir/kernel.json")

if not SPEC.exists():
    pytest.fail(f"there is no {SPEC}: run scripts/setup --tests", pytrace=False)


@pytest.fixture
def ir(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(bridge_argv(SPEC), cwd=tmp_path)
    runner.hello()
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(bridge_argv(SPEC), cwd=tmp_path_factory.mktemp("r"))
    hello = runner.hello()
    assert hello.content["language_info"]["name"] == "R"
    assert hello.content["banner"].startswith("R version")
    yield runner
    runner.close()


def test_values_and_variables(shared: Runner) -> None:
    shared.run("x <- 6")
    (display,) = shared.run("x * 7").displays
    assert display["text/plain"] == "[1] 42"


def test_data_frames_are_tables(shared: Runner) -> None:
    (display,) = shared.run("data.frame(n = 1:2, s = c('a', 'ü'))").displays
    assert display["text/html"].startswith('<table class="dataframe">')
    assert "ü" in display["text/html"]
    assert {"text/markdown", "text/latex", "text/plain"} <= set(display)


@pytest.mark.parametrize(
    "code",
    [
        "plot(1:3)",
        "library(ggplot2); ggplot(mtcars, aes(mpg, wt)) + geom_point()",
    ],
)
def test_plots_are_pictures(shared: Runner, code: str) -> None:
    (display,) = shared.run(code).displays
    assert base64.b64decode(display["image/png"]).startswith(b"\x89PNG")


def test_plots_can_be_svg(shared: Runner) -> None:
    shared.run("options(jupyter.plot_mimetypes = c('image/svg+xml'))")
    (display,) = shared.run("plot(1:3)").displays
    assert "<svg" in display["image/svg+xml"]
    shared.run("options(jupyter.plot_mimetypes = c('image/png'))")


def test_streams_messages_and_warnings(shared: Runner) -> None:
    outcome = shared.run("cat('out\\n'); message('note'); print(1:3); warning('hm')")
    assert outcome.stdout == "out\n[1] 1 2 3\n"
    assert "note" in outcome.stderr
    assert "hm" in outcome.stderr
    assert outcome.status == "ok"


def test_output_of_programs_is_shown(shared: Runner) -> None:
    assert shared.run("invisible(system('echo raw'))").stdout == "raw\n"


def test_errors_have_a_traceback(shared: Runner) -> None:
    outcome = shared.run("f <- function() stop('on purpose')\nf()")
    assert "on purpose" in outcome.error.content["evalue"]
    assert any("f()" in line for line in outcome.error.content["traceback"])
    assert outcome.status == "error"
    assert shared.run("1").status == "ok"


def test_readline_asks(shared: Runner) -> None:
    outcome, asked = answer_run(shared, "cat(toupper(readline('who? ')))", "ada")
    assert asked == [{"prompt": "who? ", "password": False}]
    assert outcome.stdout == "ADA"


def test_completion_inspection_and_is_complete(shared: Runner) -> None:
    reply = shared.request("complete_request", {"code": "read.cs"}).reply.content
    assert "read.csv" in reply["matches"]
    reply = shared.request("inspect_request", {"code": "paste"}).reply.content
    assert reply["found"]
    assert "Concatenate" in reply["data"]["text/plain"]
    for code, status in (("f <- function(", "incomplete"), ("1 + 1", "complete")):
        reply = shared.request("is_complete_request", {"code": code}).reply.content
        assert reply["status"] == status


def test_a_comm_is_opened_answered_and_closed(shared: Runner) -> None:
    shared.run(
        "cm <- IRkernel::comm_manager()\n"
        "cm$register_target('echo', function(comm, message) {\n"
        "  comm$on_msg(function(data) comm$send(list(got = data)))\n"
        "})"
    )
    shared.request(
        "comm_open", {"comm_id": "c1", "target_name": "echo", "data": {"a": 1}}
    )
    outcome = shared.request("comm_msg", {"comm_id": "c1", "data": {"x": 5}})
    (message,) = outcome.frames("comm_msg")
    assert message.content["data"]["got"]["x"] == 5
    shared.request("comm_close", {"comm_id": "c1", "data": {}})


def test_an_interrupt_stops_the_code_and_keeps_the_variables(ir: Runner) -> None:
    ir.run("kept <- 5")
    number = ir.begin_run("cat('on\\n'); flush.console(); Sys.sleep(60)")
    ir.until(number, "stream")
    ir.interrupt()
    outcome = ir.finish(number)
    assert outcome.interrupted
    assert outcome.error.content["ename"] == "Interrupted"
    ir.ping()
    (display,) = ir.run("kept").displays
    assert display["text/plain"] == "[1] 5"


def test_a_question_can_be_interrupted(ir: Runner) -> None:
    number = ir.begin_run("cat(readline('who? '))", allow_stdin=True)
    ir.until(number, "input_request")
    ir.interrupt()
    assert ir.finish(number).interrupted
    ir.ping()
    outcome, _ = answer_run(ir, "cat(readline('who? '))", "ada")
    assert outcome.stdout == "ada"


def test_a_crash_tells_its_last_words(ir: Runner) -> None:
    ir.begin_run("tools::pskill(Sys.getpid(), 11); Sys.sleep(10)")
    said = "".join(
        item.data.decode() if isinstance(item, Raw) else item.text
        for item in ir.items()
        if isinstance(item, Raw) or item.type == "stream"
    )
    assert ir.process.wait(20) == -11
    assert "caught segfault" in said


def test_shutdown_ends_in_order(ir: Runner) -> None:
    ir.send(Frame("shutdown", 0))
    assert ir.process.wait(20) == 0
