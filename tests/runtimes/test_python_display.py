# SPDX-License-Identifier: MIT
"""Rich output and comms of the Python runtime, with the libraries that people use."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tests.runtimes.framelib import Frame, Runner

PNG = b"\x89PNG\r\n\x1a\n"


def test_display_ids_name_what_is_updated(shared: Runner) -> None:
    outcome = shared.run(
        "from IPython.display import display\n"
        "handle = display('one', display_id=True)\nhandle.update('two')"
    )
    shown, updated = outcome.frames()
    assert (shown.type, updated.type) == ("display_data", "update_display_data")
    assert shown.content["data"] == {"text/plain": "'one'"}
    assert updated.content["data"] == {"text/plain": "'two'"}
    assert shown.content["transient"] == updated.content["transient"]
    assert shown.content["transient"]["display_id"]


def test_clear_output_has_a_boolean(shared: Runner) -> None:
    outcome = shared.run(
        "from IPython.display import clear_output\nclear_output(); clear_output(wait=1)"
    )
    assert [frame.content for frame in outcome.frames("clear_output")] == [
        {"wait": False},
        {"wait": True},
    ]


def test_bundles_are_sent_as_jupyter_wants_them(shared: Runner) -> None:
    outcome = shared.run(
        "from IPython.display import JSON, HTML, Latex, SVG, Image, Markdown\n"
        "png = b'\\x89PNG\\r\\n\\x1a\\n'\n"
        "display(JSON({'a': [1, None]}), HTML('<b>x</b>'), Latex('$x$'),\n"
        "        SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'), Markdown('*m*'),\n"
        "        Image(png, format='png'))\n"
        "display({'image/png': png, 'text/plain': 'raw'}, raw=True)\n"
        "display({'application/x+json': (1, 2)}, raw=True)"
    )
    found = {}
    for data in outcome.displays:
        found.update(data)
    assert found["application/json"] == {"a": [1, None]}
    assert found["text/html"] == "<b>x</b>"
    assert found["text/latex"] == "$x$"
    assert found["text/markdown"] == "*m*"
    assert found["image/svg+xml"].startswith("<svg")
    assert base64.b64decode(found["image/png"]) == PNG
    assert found["application/x+json"] == [1, 2]


def test_values_that_json_has_not_become_what_it_has(shared: Runner) -> None:
    outcome = shared.run(
        "import datetime, numpy\n"
        "display({'application/json': {'nan': float('nan'), 'inf': [float('-inf')],\n"
        "  'int': numpy.int64(3), 'float': numpy.float32(0.5),\n"
        "  'nan32': numpy.float32('nan'),\n"
        "  'array': numpy.arange(3), 'day': datetime.date(2020, 1, 2), 'set': {1},\n"
        "  1: 'key', 'bytes': b'ab', 'big': 2**70}}, raw=True,\n"
        "  metadata={'n': numpy.int8(1), (1, 2): 3})"
    )
    (frame,) = outcome.frames("display_data")
    assert frame.content["data"]["application/json"] == {
        "nan": None,
        "inf": [None],
        "int": 3,
        "float": 0.5,
        "nan32": None,
        "array": [0, 1, 2],
        "day": "2020-01-02",
        "set": [1],
        "1": "key",
        "bytes": "YWI=",
        "big": 2**70,
    }
    assert frame.content["metadata"] == {"n": 1, "(1, 2)": 3}


@pytest.mark.parametrize(
    ("code", "name", "text"),
    [
        (
            "display({'text/plain; charset=utf-8': 'x'}, raw=True)",
            "ValueError",
            "text/plain",
        ),
        ("display({'nomime': 'x'}, raw=True)", "ValueError", "nomime"),
        ("display({'text/plain': 'x' * 140_000_000}, raw=True)", "ValueError", "at most"),
        ("display({'image/png': b'x' * 140_000_000}, raw=True)", "ValueError", "at most"),
        (
            "x = {}; x['x'] = x\ndisplay({'application/json': x}, raw=True)",
            "ValueError",
            "itself",
        ),
        (
            "x = []\nfor _ in range(200): x = [x]\n"
            "display({'application/json': x}, raw=True)",
            "ValueError",
            "nest",
        ),
        ("display({'application/json': object()}, raw=True)", "TypeError", "object"),
        ("'x' * 140_000_000", "ValueError", "at most"),
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_cell(
    runner: Runner, code: str, name: str, text: str
) -> None:
    outcome = runner.run(code)
    assert outcome.error.content["ename"] == name
    assert text in outcome.error.content["evalue"]
    assert outcome.frames("display_data", "execute_result") == []
    assert runner.run("1").status == "ok"


def test_large_display_arrives_whole(runner: Runner) -> None:
    outcome = runner.run("display({'text/plain': 'é' * 30_000_000}, raw=True)")
    assert outcome.displays == [{"text/plain": "é" * 30_000_000}]


def test_representation_that_fails_is_told(shared: Runner) -> None:
    outcome = shared.run(
        "class Bad:\n    def __repr__(self): raise ValueError('no')\nBad()"
    )
    assert "no" in json.dumps([frame.content for frame in outcome.frames("error")])


def test_figures_are_shown_at_the_end_of_the_cell(runner: Runner) -> None:
    outcome = runner.run(
        "import matplotlib.pyplot as plt\n"
        "plt.plot([1, 2])\nprint('before')\nplt.figure(); plt.plot([3]);"
    )
    *_, first, second = outcome.frames()
    assert outcome.stdout == "before\n"
    for frame in (first, second):
        png = base64.b64decode(frame.content["data"]["image/png"])
        assert png.startswith(PNG)
    assert runner.run("plt.get_backend()").result["text/plain"].endswith("inline'")
    again = runner.run("%matplotlib inline\nplt.plot([3]); plt.show(); print('after')")
    assert again.frames()[0].type == "display_data"


def test_figure_settings_are_kept(runner: Runner) -> None:
    runner.run("%config InlineBackend.figure_formats = ['svg']")
    outcome = runner.run("import matplotlib.pyplot as plt\nplt.plot([1]);")
    assert "image/svg+xml" in outcome.displays[-1]


def test_other_gui_loops_are_refused(shared: Runner) -> None:
    assert "no event loop" in shared.run("%gui qt").stderr
    assert shared.run("%gui").status == "ok"


def test_data_frames_are_tables(shared: Runner) -> None:
    outcome = shared.run("import pandas as pd\npd.DataFrame({'a': [1, 2]})")
    assert "<table" in outcome.result["text/html"]
    assert "a" in outcome.result["text/plain"]


def test_formulas_are_latex(shared: Runner) -> None:
    outcome = shared.run(
        "import sympy\nsympy.init_printing()\nsympy.sqrt(sympy.Symbol('x'))"
    )
    assert "sqrt" in outcome.result["text/latex"]


def test_images_are_images(shared: Runner) -> None:
    outcome = shared.run("from PIL import Image\nImage.new('RGB', (2, 2))")
    assert base64.b64decode(outcome.result["image/png"]).startswith(PNG)


def test_progress_bars_know_the_notebook(shared: Runner) -> None:
    outcome = shared.run("from tqdm import tqdm\nfor _ in tqdm(range(3)): pass")
    assert "3/3" in outcome.stderr
    outcome = shared.run(
        "import warnings\nwarnings.simplefilter('ignore')\n"
        "from tqdm.autonotebook import tqdm as auto\nauto"
    )
    assert "notebook" in outcome.result["text/plain"]
    outcome = shared.run("for _ in auto(range(3)): pass")
    assert outcome.status == "ok"
    assert outcome.frames("comm_open")
    assert "application/vnd.jupyter.widget-view+json" in outcome.displays[0]


def opened(frames: list[Frame]) -> dict[str, Frame]:
    """Frames of widgets by the name of their model."""
    return {
        frame.content["data"]["state"].get("_model_name", ""): frame for frame in frames
    }


def test_widgets_work(runner: Runner) -> None:
    outcome = runner.run(
        "import ipywidgets as w\n"
        "slider = w.IntSlider(value=3)\n"
        "seen = []\n"
        "slider.observe(lambda change: (seen.append(change.new), print(change.new)),"
        " 'value')\nslider"
    )
    assert "application/vnd.jupyter.widget-view+json" in outcome.result
    frame = opened(outcome.frames("comm_open"))["IntSliderModel"]
    assert frame.content["target_name"] == "jupyter.widget"
    assert frame.metadata["version"].startswith("2.")
    comm_id = frame.content["comm_id"]

    update = {"method": "update", "state": {"value": 7}, "buffer_paths": []}
    outcome = runner.request("comm_msg", {"comm_id": comm_id, "data": update})
    assert outcome.stdout == "7\n"
    assert outcome.reply.content == {}
    assert runner.run("seen, slider.value").result["text/plain"] == "([7], 7)"

    outcome = runner.run("slider.value = 9")
    (sent,) = outcome.frames("comm_msg")
    assert sent.content["comm_id"] == comm_id
    assert sent.content["data"]["state"] == {"value": 9}
    assert outcome.stdout == "9\n"

    outcome = runner.run("slider.close()")
    assert outcome.frames("comm_close")[0].content["comm_id"] == comm_id


def test_widgets_send_and_get_buffers(runner: Runner) -> None:
    outcome = runner.run(
        "import ipywidgets as w\nimage = w.Image(value=b'\\x00\\xff' * 10)\n"
        "upload = w.FileUpload()"
    )
    frames = opened(outcome.frames("comm_open"))
    assert frames["ImageModel"].buffers == [b"\x00\xff" * 10]
    assert frames["ImageModel"].content["data"]["buffer_paths"] == [["value"]]
    state = {"value": [{"name": "f", "type": "", "size": 3, "last_modified": 0}]}
    update = {
        "method": "update",
        "state": state,
        "buffer_paths": [["value", 0, "content"]],
    }
    runner.request(
        "comm_msg",
        {"comm_id": frames["FileUploadModel"].content["comm_id"], "data": update},
        buffers=[b"\x01\x02\x03"],
    )
    shown = runner.run("bytes(upload.value[0].content)").result["text/plain"]
    assert shown == "b'\\x01\\x02\\x03'"


def test_output_widget_names_its_request(runner: Runner) -> None:
    outcome = runner.run(
        "import ipywidgets as w\nout = w.Output()\n"
        "with out: print('inside')\nprint('outside')"
    )
    states = [
        frame.content["data"].get("state", {}).get("msg_id")
        for frame in outcome.frames("comm_msg")
    ]
    assert states == [f"m{outcome.reply.number}", ""]
    kinds = [frame.type for frame in outcome.frames("comm_msg", "stream")]
    assert kinds[0] == "comm_msg"


def test_interact_shows_a_figure_in_its_output(runner: Runner) -> None:
    outcome = runner.run(
        "import ipywidgets as w, matplotlib.pyplot as plt\n"
        "@w.interact(x=(0, 10))\ndef f(x=3):\n    plt.plot([x]); plt.show()"
    )
    assert outcome.status == "ok"
    assert any("image/png" in data for data in outcome.displays)
    slider = opened(outcome.frames("comm_open"))["IntSliderModel"].content["comm_id"]
    update = {"method": "update", "state": {"value": 5}, "buffer_paths": []}
    outcome = runner.request("comm_msg", {"comm_id": slider, "data": update})
    assert any("image/png" in data for data in outcome.displays)


def test_error_in_a_widget_callback_is_shown(runner: Runner) -> None:
    outcome = runner.run(
        "import ipywidgets as w\nb = w.Button()\nb.on_click(lambda _: 1/0)\n"
    )
    button = opened(outcome.frames("comm_open"))["ButtonModel"].content["comm_id"]
    click = {"method": "custom", "content": {"event": "click"}}
    outcome = runner.request("comm_msg", {"comm_id": button, "data": click})
    assert "ZeroDivisionError" in outcome.stderr + json.dumps(
        [frame.content for frame in outcome.frames("error")]
    )
    assert outcome.reply.content == {}
    assert runner.run("1").status == "ok"


def test_widget_state_can_be_asked_for(runner: Runner) -> None:
    runner.run("import ipywidgets as w\nslider = w.IntSlider()")
    runner.request(
        "comm_open",
        {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}},
        metadata={"version": "1.0.0"},
    )
    outcome = runner.request(
        "comm_msg", {"comm_id": "control", "data": {"method": "request_states"}}
    )
    states = outcome.frames("comm_msg")[0].content["data"]["states"]
    assert "IntSliderModel" in {state["model_name"] for state in states.values()}


def test_own_comm_targets_work(runner: Runner) -> None:
    runner.run(
        "def target(comm, message):\n"
        "    comm.on_msg(lambda m: comm.send({'echo': m['content']['data']},\n"
        "        metadata={'m': 1}, buffers=[memoryview(b'ab'), bytearray(b'c')]))\n"
        "    comm.on_close(lambda m: print('closed'))\n"
        "    print('opened', message['content']['data'], message['metadata'])\n"
        "get_ipython().kernel.comm_manager.register_target('mine', target)"
    )
    outcome = runner.request(
        "comm_open",
        {"comm_id": "c1", "target_name": "mine", "data": {"a": 1}},
        metadata={"x": 2},
    )
    assert outcome.stdout == "opened {'a': 1} {'x': 2}\n"
    outcome = runner.request("comm_msg", {"comm_id": "c1", "data": "hello"})
    (frame,) = outcome.frames("comm_msg")
    assert frame.content == {"comm_id": "c1", "data": {"echo": "hello"}}
    assert (frame.metadata, frame.buffers) == ({"m": 1}, [b"ab", b"c"])
    assert frame.number == outcome.reply.number
    outcome = runner.request("comm_close", {"comm_id": "c1", "data": {}})
    assert outcome.stdout == "closed\n"


def test_unknown_comm_target_is_closed(shared: Runner) -> None:
    outcome = shared.request(
        "comm_open", {"comm_id": "c9", "target_name": "nobody", "data": {}}
    )
    assert outcome.frames("comm_close")[0].content["comm_id"] == "c9"
    assert outcome.reply.content == {}


def test_message_to_an_unknown_comm_is_answered(shared: Runner) -> None:
    assert shared.request("comm_msg", {"comm_id": "no", "data": {}}).reply.content == {}
    assert shared.request("comm_close", {"comm_id": "no", "data": {}}).reply.content == {}


def test_interrupted_comm_handler_is_answered(runner: Runner) -> None:
    runner.run(
        "def target(comm, message):\n    print('started')\n    while True: pass\n"
        "get_ipython().kernel.comm_manager.register_target('slow', target)"
    )
    number = runner.begin(
        "comm_open", {"comm_id": "c", "target_name": "slow", "data": {}}
    )
    runner.until(number, "stream")
    runner.interrupt()
    outcome = runner.finish(number)
    assert outcome.interrupted
    assert outcome.frames("error")[0].content["ename"] == "KeyboardInterrupt"
    runner.ping()
    assert runner.run("1").status == "ok"


def test_libraries_that_look_for_a_notebook_find_one(shared: Runner) -> None:
    shown = shared.run(
        "shell = get_ipython()\n"
        "[type(shell).__name__, 'IPKernelApp' in shell.config,\n"
        " 'zmqshell' in str(type(shell)),\n"
        " shell.kernel.get_parent()['header']['msg_id'],\n"
        " shell.kernel.get_parent()['content']['code'][:5], shell.kernel.shell is shell]"
    ).result["text/plain"]
    assert re.sub(r"m\d+", "m", shown) == (
        "['ZMQInteractiveShell', True, True, 'm', 'shell', True]"
    )


def test_comm_class_of_ipykernel_is_found(runner: Runner) -> None:
    outcome = runner.run(
        "from ipykernel.comm import Comm\n"
        "comm = Comm(target_name='t', data={'a': 1}); comm.send({'b': 2})"
    )
    kinds = [frame.type for frame in outcome.frames("comm_open", "comm_msg")]
    assert kinds == ["comm_open", "comm_msg"]
