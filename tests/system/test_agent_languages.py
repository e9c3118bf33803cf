# SPDX-License-Identifier: MIT
"""What the agent service promises, in each language that there is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import pytest

from tests.system.agentclient import Agent, gate
from tests.system.agentserver import start
from tests.system.conftest import need_node
from tests.system.servers import Server

pytestmark = pytest.mark.cellwall


@dataclass(frozen=True)
class Language:
    """Code of one language for each promise. None: the language has no such thing."""

    sets: str  # x to 41
    tells: str  # prints x + 1
    value: str | None  # an expression that is x + 1, as the last one
    complains: str  # "hm" on stderr
    fails: str  # with an error
    loops: str  # for ever, once it has printed "begun"
    waits: str  # prints "begun", and then until the file "go" is there
    asks: str  # for a line with the prompt "name? ", and prints it
    reads: str  # prints the file note.txt
    writes: str  # "from inside" to made.txt
    env: str  # prints the variable A
    where: str  # prints the working directory
    dies: str  # ends the interpreter from within, not by an error
    shows: str  # "<b>x</b>" as text/html
    complete: tuple[str, str]  # code, and what completes it
    unfinished: str
    has_env_of_runs: bool = True  # a kernel behind the bridge has one environment


PYTHON = Language(
    sets="x = 41",
    tells="print(x + 1)",
    value="x + 1",
    complains="import sys; print('hm', file=sys.stderr)",
    fails="1 / 0",
    loops="print('begun', flush=True)\nwhile True: pass",
    waits="print('begun', flush=True)\n" + gate("go"),
    asks="print(input('name? '))",
    reads="print(open('note.txt').read())",
    writes="with open('made.txt', 'w') as f: f.write('from inside')",
    env="import os; print(os.environ.get('A', 'none'))",
    where="import os; print(os.getcwd())",
    dies="import os; os._exit(3)",
    shows="from IPython.display import HTML, display; display(HTML('<b>x</b>'))",
    complete=("impor", "import"),
    unfinished="def f(",
)

JAVASCRIPT = Language(
    sets="let x = 41",
    tells="console.log(x + 1)",
    value="x + 1",
    complains="console.error('hm')",
    fails="null.nothing",
    loops="console.log('begun'); while (true);",
    waits="""console.log('begun');
while (!require('fs').existsSync('/workspace/go'))
    await new Promise((resume) => setTimeout(resume, 5));""",
    asks="console.log(prompt('name? '))",
    reads="console.log(require('fs').readFileSync('note.txt', 'utf8'))",
    writes="require('fs').writeFileSync('made.txt', 'from inside')",
    env="console.log(process.env.A ?? 'none')",
    where="console.log(process.cwd())",
    dies="process.kill(process.pid, 'SIGSEGV')",
    shows="display.html('<b>x</b>')",
    complete=("parseF", "parseFloat"),
    unfinished="function f(",
)

BASH = Language(
    sets="x=41",
    tells="echo $((x + 1))",
    value=None,
    complains="echo hm >&2",
    fails="echo 'unclosed",
    loops="echo begun; while :; do :; done",
    waits="echo begun; until [ -e /workspace/go ]; do sleep 0.005; done",
    asks="read -p 'name? ' name; echo $name",
    reads="cat note.txt; echo",
    writes="echo 'from inside' > made.txt",
    env="echo ${A:-none}",
    where="pwd",
    dies="kill -SEGV $$",
    shows="display --html '<b>x</b>'",
    complete=("ech", "echo"),
    unfinished="if true; then",
)

R = Language(
    sets="x <- 41",
    tells="cat(x + 1, '\\n', sep = '')",
    value=None,  # IRkernel shows values as displays
    complains="cat('hm\\n', file = stderr())",
    fails="stop('on purpose')",
    loops="cat('begun\\n'); flush.console(); repeat {}",
    waits="""cat('begun\\n'); flush.console()
while (!file.exists('/workspace/go')) Sys.sleep(0.005)""",
    asks="cat(readline('name? '), '\\n', sep = '')",
    reads="writeLines(readLines('note.txt', warn = FALSE))",
    writes="cat('from inside', file = 'made.txt')",
    env="cat(Sys.getenv('A', 'none'), '\\n', sep = '')",
    where="cat(getwd(), '\\n', sep = '')",
    dies="tools::pskill(Sys.getpid(), 11)",
    shows="IRdisplay::display_html('<b>x</b>')",
    complete=("read.cs", "read.csv"),
    unfinished="f <- function(",
    has_env_of_runs=False,
)

ON_NODE = ("javascript", "typescript")
LANGUAGES = {
    "python": PYTHON,
    "javascript": JAVASCRIPT,
    "typescript": replace(JAVASCRIPT, sets="let x: number = 41"),
    "bash": BASH,
    "R": R,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("languages")
    with start(folder, interpreters={"jupyter": ["ir"]}) as server:
        yield server


@pytest.fixture(params=LANGUAGES)
def name(request: pytest.FixtureRequest) -> str:
    if request.param in ON_NODE:
        need_node()
    return request.param


@pytest.fixture
def code(name: str) -> Language:
    return LANGUAGES[name]


@pytest.fixture
def context(agent: Agent, name: str) -> Iterator[str]:
    context = agent.create(language=name)
    yield context
    agent.ask("delete_context_request", context=context)


def test_each_language_that_is_there_is_tested(agent: Agent) -> None:
    there = {item["language"] for item in agent.get("server_info_request")["languages"]}
    assert there - {"example"} <= set(LANGUAGES)
    assert "python" in there


def test_variables_stay(agent: Agent, context: str, code: Language) -> None:
    agent.run(code.sets, context=context)
    reply = agent.run(code.tells, context=context)
    assert (reply["status"], reply["error"], reply["reason"]) == ("ok", None, None)
    assert reply["logs"] == {"stdout": "42\n", "stderr": ""}
    assert reply["execution_count"] == 2


def test_the_last_value_is_the_result(agent: Agent, context: str, code: Language) -> None:
    if code.value is None:
        return  # a language without values of statements
    agent.run(code.sets, context=context)
    (result,) = agent.run(code.value, context=context)["results"]
    assert result["is_main_result"] and "42" in result["data"]["text/plain"]


def test_streams_are_told_apart(agent: Agent, context: str, code: Language) -> None:
    logs = agent.run(code.complains, context=context)["logs"]
    assert logs == {"stdout": "", "stderr": "hm\n"}


def test_an_error_keeps_the_variables(agent: Agent, context: str, code: Language) -> None:
    agent.run(code.sets, context=context)
    reply = agent.run(code.fails, context=context)
    assert reply["status"] == "error" and reply["reason"] is None
    assert reply["error"]["ename"] and isinstance(reply["error"]["traceback"], list)
    assert agent.run(code.tells, context=context)["logs"]["stdout"] == "42\n"


def test_output_comes_while_code_runs(agent: Agent, context: str, code: Language) -> None:
    asked = agent.send(
        "run_code_request", {"code": code.waits, "context": context, "stream": True}
    )
    agent.event(asked, "stream", text="begun")
    agent.open_gate(context)
    assert agent.reply(asked).content["status"] == "ok"


def test_an_interrupt_keeps_the_variables(
    agent: Agent, context: str, code: Language
) -> None:
    agent.run(code.sets, context=context)
    asked = agent.send(
        "run_code_request", {"code": code.loops, "context": context, "stream": True}
    )
    agent.event(asked, "stream", text="begun")
    assert agent.get("interrupt_context_request", context=context)["interrupted"]
    reply = agent.reply(asked).content
    assert reply["status"] == "error"
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("interrupted", "kept")
    assert agent.run(code.tells, context=context)["logs"]["stdout"] == "42\n"


def test_a_time_limit_keeps_the_variables(
    agent: Agent, context: str, code: Language
) -> None:
    agent.run(code.sets, context=context)
    reply = agent.run(code.loops, context=context, timeout_ms=1000)
    assert reply["status"] == "error"
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("timeout", "kept")
    assert agent.run(code.tells, context=context)["logs"]["stdout"] == "42\n"


def test_code_asks_and_is_answered(agent: Agent, context: str, code: Language) -> None:
    members = {"context": context, "stream": True, "allow_stdin": True}
    asked = agent.send("run_code_request", {"code": code.asks, **members})
    question = agent.event(asked, "input_request")
    assert question.content["prompt"] == "name? "
    answer = {"value": "Ada", "execution": question.execution}
    agent.send("input_reply", answer)
    reply = agent.reply(asked).content
    assert reply["status"] == "ok" and "Ada" in reply["logs"]["stdout"]


def test_files_go_in_and_out(agent: Agent, context: str, code: Language) -> None:
    agent.write(context, "note.txt", b"from outside")
    assert agent.run(code.reads, context=context)["logs"]["stdout"] == "from outside\n"
    assert agent.run(code.writes, context=context)["status"] == "ok"
    assert agent.read(context, "made.txt").rstrip(b"\n") == b"from inside"


def test_variables_of_the_environment_of_a_context_and_of_a_run(
    agent: Agent, name: str, code: Language
) -> None:
    context = agent.create(language=name, env={"A": "of the context"}, cwd="deep/down")
    runs = [{}, {"env": {"A": "of the run"}}, {}]
    said = [
        agent.run(code.env, context=context, **members)["logs"]["stdout"]
        for members in runs
    ]
    second = "of the run\n" if code.has_env_of_runs else "of the context\n"
    assert said == ["of the context\n", second, "of the context\n"]
    where = agent.run(code.where, context=context)["logs"]["stdout"]
    assert where == "/workspace/deep/down\n"


def test_the_death_of_an_interpreter_is_told(
    agent: Agent, context: str, code: Language
) -> None:
    agent.run(code.sets, context=context)
    reply = agent.run(code.dies, context=context)
    assert reply["status"] == "error"
    assert (reply["reason"]["kind"], reply["reason"]["state"]) == ("crashed", "lost")
    assert reply["context"]["epoch"] == 2
    assert agent.run(code.complains, context=context)["status"] == "ok"


def test_html_is_shown(agent: Agent, context: str, code: Language) -> None:
    (shown,) = agent.run(code.shows, context=context)["results"]
    assert shown["data"]["text/html"].strip() == "<b>x</b>"


def test_code_is_completed(agent: Agent, context: str, code: Language) -> None:
    begun, whole = code.complete
    asked = {"context": context, "code": begun, "cursor_pos": len(begun)}
    reply = agent.get("complete_request", **asked)
    assert whole in [match.strip() for match in reply["matches"]]


def test_unfinished_code_is_known(agent: Agent, context: str, code: Language) -> None:
    asked = {"context": context, "code": code.unfinished}
    assert agent.get("is_complete_request", **asked)["status"] == "incomplete"
    asked["code"] = code.tells
    assert agent.get("is_complete_request", **asked)["status"] in ("complete", "unknown")


def test_every_promise_has_its_code() -> None:
    for name, code in LANGUAGES.items():
        for field in fields(code):
            if field.name not in ("value", "has_env_of_runs"):
                assert getattr(code, field.name), (name, field.name)
