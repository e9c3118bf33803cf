# SPDX-License-Identifier: MIT
"""ipywidgets: models and views in step, callbacks, the output widget, binary state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.system.rawclient import Client, Message, Run, merged

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
PROTOCOL = {"version": "2.1.0"}


class Widgets:
    """A front end that keeps a copy of every model, as a page does."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.models: dict[str, dict[str, Any]] = {}
        client.execute("%reset -f\nimport ipywidgets as w\nfrom IPython.display import *")

    def note(self, messages: list[Message]) -> None:
        for message in messages:
            content = message.content
            if message.type == "comm_open":
                assert content["target_name"] == "jupyter.widget"
                self.models[content["comm_id"]] = dict(content["data"]["state"])
            elif message.type == "comm_msg" and "state" in content["data"]:
                self.models[content["comm_id"]].update(content["data"]["state"])
            elif message.type == "comm_close":
                del self.models[content["comm_id"]]

    def run(self, code: str) -> Run:
        run = self.client.execute(code)
        assert run.content["status"] == "ok", run.content
        self.note(run.iopub)
        return run

    def shown(self, run: Run) -> str:
        """The id of the model whose view RUN shows."""
        bundles = [m.content["data"] for m in run.of("display_data", "execute_result")]
        [view] = [bundle[VIEW] for bundle in bundles if VIEW in bundle]
        assert view["version_major"] == 2
        assert view["model_id"] in self.models
        return view["model_id"]

    def find(self, name: str) -> str:
        """The only model of the class NAME."""
        [found] = [m for m, s in self.models.items() if s.get("_model_name") == name]
        return found

    def tell(self, comm: str, data: dict[str, Any], buffers: tuple = ()) -> list[Message]:
        """Sends a comm message, as a view does; what it brings until idle."""
        asked = self.client.send(
            "shell",
            "comm_msg",
            {"comm_id": comm, "data": data},
            metadata=PROTOCOL,
            buffers=buffers,
        )
        messages = self.client.until_idle(asked)
        assert messages[0].content == {"execution_state": "busy"}
        assert all(m.parent_id == asked for m in messages)
        self.note(messages)
        return messages

    def set(self, comm: str, **state: Any) -> list[Message]:
        """Moves a view: the models get STATE."""
        return self.tell(comm, {"method": "update", "state": state, "buffer_paths": []})


@pytest.fixture
def page(client: Client) -> Widgets:
    return Widgets(client)


def printed(messages: list[Message]) -> str:
    return "".join(m.content["text"] for m in messages if m.type == "stream")


def of(messages: list[Message], *types: str) -> list[Message]:
    return [m for m in messages if m.type in types]


def test_a_slider_opens_models_and_shows_its_view(page: Widgets) -> None:
    run = page.run("s = w.IntSlider(value=3, max=9)\ns")

    model = page.models[page.shown(run)]
    assert model["_model_name"] == "IntSliderModel"
    assert (model["value"], model["max"]) == (3, 9)
    references = [model["layout"], model["style"]]
    assert all(r.removeprefix("IPY_MODEL_") in page.models for r in references)
    opened = of(run.iopub, "comm_open")
    assert all(m.metadata["version"].startswith("2.") for m in opened)
    assert "IntSlider" in run.result()


def test_a_moved_view_sets_the_value_and_calls_back(page: Widgets) -> None:
    slider = page.shown(page.run("s = w.IntSlider()\ns"))
    page.run(
        "def moved(change):\n    print(change.old, '->', change.new)\n"
        "s.observe(moved, 'value')"
    )

    messages = page.set(slider, value=42)

    assert printed(messages) == "0 -> 42\n"
    assert page.client.evaluate("s.value") == 42


def test_a_value_that_code_sets_reaches_the_view(page: Widgets) -> None:
    slider = page.shown(page.run("s = w.IntSlider()\ns"))

    run = page.run("s.value = 7\ns.max = 8")

    updates = [m.content["data"]["state"] for m in run.of("comm_msg")]
    assert updates == [{"value": 7}, {"max": 8}]
    assert page.models[slider]["value"] == 7


def test_a_value_that_code_corrects_is_sent_back(page: Widgets) -> None:
    slider = page.shown(page.run("s = w.IntSlider(max=10)\ns"))

    page.set(slider, value=99)

    assert page.models[slider]["value"] == 10


def test_linked_widgets_move_together(page: Widgets) -> None:
    page.run(
        "a = w.IntSlider()\nb = w.IntText()\nlink = w.link((a, 'value'), (b, 'value'))"
    )

    page.set(page.find("IntSliderModel"), value=5)

    assert page.models[page.find("IntTextModel")]["value"] == 5
    assert page.client.evaluate("b.value") == 5


def test_interact_runs_the_function_again_for_each_move(page: Widgets) -> None:
    page.run("w.interact(lambda x: print('x is', x) or x * 2, x=(0, 10))")
    slider, output = page.find("IntSliderModel"), page.find("OutputModel")

    messages = page.set(slider, value=8)

    # The output widget asks the page to take what this message prints and shows.
    captured = [m.content["data"]["state"] for m in of(messages, "comm_msg")]
    asked = messages[0].parent_id
    assert {"msg_id": asked} in captured
    assert {"msg_id": ""} in captured
    assert page.models[output]["msg_id"] == ""
    assert printed(messages) == "x is 8\n"
    assert of(messages, "clear_output")
    results = of(messages, "display_data")
    assert [m.content["data"]["text/plain"] for m in results] == ["16"]


def test_a_button_calls_back(page: Widgets) -> None:
    button = page.shown(page.run("b = w.Button(description='Go')\nb"))
    page.run(
        "n = [0]\ndef go(_):\n    n[0] += 1\n    print('clicked', n[0])\nb.on_click(go)"
    )

    for number in (1, 2):
        messages = page.tell(button, {"method": "custom", "content": {"event": "click"}})
        assert printed(messages) == f"clicked {number}\n"


def test_an_error_in_a_callback_is_shown_and_harms_nothing(page: Widgets) -> None:
    slider = page.shown(page.run("s = w.IntSlider()\ns"))
    page.run(
        "def bad(change):\n    raise ValueError('in a callback')\ns.observe(bad, 'value')"
    )

    messages = page.set(slider, value=1)

    shown = "".join(
        "\n".join(m.content["traceback"]) if m.type == "error" else m.content["text"]
        for m in of(messages, "error", "stream")
    )
    assert "in a callback" in shown
    assert page.client.evaluate("s.value") == 1


def test_an_output_widget_takes_what_is_printed_within(page: Widgets) -> None:
    run = page.run("o = w.Output()\nwith o:\n    print('inside')\nprint('outside')")

    output = page.find("OutputModel")
    kinds = [
        m.content["data"]["state"]["msg_id"]
        if m.type == "comm_msg"
        else m.content["text"]
        for m in of(merged(run.iopub), "comm_msg", "stream")
        if m.type == "stream" or m.content["comm_id"] == output
    ]
    # Switched on, the text, switched off, the other text: in this order on the wire.
    assert kinds == [run.reply.parent_id, "inside\n", "", "outside\n"]


def test_binary_state_goes_both_ways(page: Widgets) -> None:
    blob = bytes(range(256)) * 40
    run = page.run(f"i = w.Image(value=bytes(range(256)) * {len(blob) // 256})\ni")
    image = page.shown(run)

    [opened] = [m for m in run.of("comm_open") if m.content["comm_id"] == image]
    assert opened.content["data"]["buffer_paths"] == [["value"]]
    assert opened.buffers == [blob]

    update = {"method": "update", "state": {}, "buffer_paths": [["value"]]}
    page.tell(image, update, buffers=(blob[::-1],))
    assert page.client.evaluate("bytes(i.value) == bytes(range(256))[::-1] * 40")


def test_a_new_page_asks_for_all_states(page: Widgets) -> None:
    slider = page.shown(page.run("s = w.IntSlider(value=6)\ns"))
    opening = {
        "comm_id": "control",
        "target_name": "jupyter.widget.control",
        "data": {},
    }
    asked = page.client.send("shell", "comm_open", opening, metadata={"version": "1.0.0"})
    page.client.until_idle(asked)

    asked = page.client.send(
        "shell",
        "comm_msg",
        {"comm_id": "control", "data": {"method": "request_states"}},
    )
    messages = page.client.until_idle(asked)

    [answer] = [m for m in of(messages, "comm_msg") if m.content["comm_id"] == "control"]
    assert answer.content["data"]["method"] == "update_states"
    assert answer.content["data"]["states"][slider]["state"]["value"] == 6


def test_comm_info_lists_open_widgets_and_forgets_closed_ones(page: Widgets) -> None:
    slider = page.shown(page.run("s = w.IntSlider()\ns"))
    asked = {"target_name": "jupyter.widget"}

    opened = page.client.request("comm_info_request", asked).content["comms"]
    run = page.run("s.close()")
    closed = page.client.request("comm_info_request", asked).content["comms"]

    assert opened[slider] == {"target_name": "jupyter.widget"}
    assert [m.content["comm_id"] for m in run.of("comm_close")] == [slider]
    assert slider not in closed
    assert slider not in page.models


def test_a_comm_of_an_unknown_target_is_closed(client: Client) -> None:
    content = {"comm_id": "nobody", "target_name": "no.such.target", "data": {}}
    asked = client.send("shell", "comm_open", content)

    messages = client.until_idle(asked)

    [closed] = of(messages, "comm_close")
    assert closed.content["comm_id"] == "nobody"


def test_messages_to_an_unknown_comm_are_ignored(page: Widgets) -> None:
    page.tell("nobody", {"method": "update", "state": {}, "buffer_paths": []})

    assert page.client.evaluate("6 * 7") == 42


@pytest.mark.cellwall
def test_comms_are_closed_when_the_interpreter_dies(
    fresh: tuple[Any, Client],
) -> None:
    page = Widgets(fresh[1])
    slider = page.shown(page.run("s = w.IntSlider()\ns"))

    run = page.client.execute("import os\nos._exit(1)")

    closed = [m.content["comm_id"] for m in run.of("comm_close")]
    assert slider in closed
    assert page.client.request("comm_info_request", {}).content["comms"] == {}


# --- without a page: nbclient keeps the state in the notebook --------------------------


@pytest.fixture
def executed(kernel_name: str, tmp_path: Path) -> Callable[..., Any]:
    def run(*sources: str) -> Any:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=cells)
        resources = {"metadata": {"path": str(tmp_path)}}
        client = NotebookClient(
            notebook,
            resources=resources,
            kernel_name=kernel_name,
            timeout=60,
            store_widget_state=True,
        )
        client.execute()
        nbformat.validate(notebook)
        return notebook

    return run


def models_of(notebook: Any, name: str) -> list[dict[str, Any]]:
    states = notebook.metadata.widgets[STATE].state
    return [s["state"] for s in states.values() if s["model_name"] == name]


def test_nbclient_stores_the_state_of_widgets(executed: Callable[..., Any]) -> None:
    notebook = executed(
        "import ipywidgets as w\ns = w.FloatSlider(value=0.5)\ns", "s.value = 2.5"
    )

    [model] = models_of(notebook, "FloatSliderModel")
    view = notebook.cells[0].outputs[0].data[VIEW]
    assert model["value"] == 2.5
    assert view["model_id"] in notebook.metadata.widgets[STATE].state


def test_nbclient_captures_the_output_of_interact(executed: Callable[..., Any]) -> None:
    notebook = executed(
        "import ipywidgets as w\nfrom IPython.display import HTML, display",
        "def f(x):\n    print('x is', x)\n    display(HTML(f'<b>{x}</b>'))\n"
        "i = w.interact(f, x=(0, 10))",
        "i.widget.children[0].value = 9",
    )

    [model] = models_of(notebook, "OutputModel")
    text, html = model["outputs"]
    assert text["text"] == "x is 9\n"
    assert html["data"]["text/html"] == "<b>9</b>"
    assert all(o.output_type == "display_data" for o in notebook.cells[1].outputs)


def test_nbclient_captures_an_output_widget(executed: Callable[..., Any]) -> None:
    notebook = executed(
        "import ipywidgets as w\no = w.Output()\no",
        "with o:\n    print('inside')\n    display(6 * 7)\nprint('outside', end='')",
        "o.outputs",
    )

    [model] = models_of(notebook, "OutputModel")
    assert [o.get("text") for o in model["outputs"]] == ["inside\n", None]
    assert [o.text for o in notebook.cells[1].outputs] == ["outside"]
    # The front end tells the kernel what it captured.
    assert "inside" in notebook.cells[2].outputs[0].data["text/plain"]


def test_progress_bars_of_tqdm_are_widgets(executed: Callable[..., Any]) -> None:
    notebook = executed(
        "from tqdm.notebook import tqdm\nfor _ in tqdm(range(5), desc='work'):\n    pass"
    )

    [bar] = models_of(notebook, "FloatProgressModel")
    assert (bar["value"], bar["max"], bar["bar_style"]) == (5.0, 5.0, "success")
    labels = [model["value"] for model in models_of(notebook, "HTMLModel")]
    assert any("5/5" in label for label in labels)
