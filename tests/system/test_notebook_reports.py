# SPDX-License-Identifier: MIT
"""What `cellwall test` shows to people: on a terminal, into a pipe, and as a page."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import PIL.Image
import pytest

from tests.system.conftest import MARK
from tests.system.madebooks import TIMEOUT_S, code, command, result, shown, stream, write
from tests.system.terminal import Terminal

pytestmark = pytest.mark.cellwall

TITLE = "\x1b]0;owned\x07"  # renames the window of a terminal that obeys
EVIL = "</script></pre><script>evil()</script><img src=x onerror=evil()>"
VOID = {"br", "col", "hr", "img", "input", "link", "meta"}
DRAWN = """
import base64, io, PIL.Image
from IPython.display import display
out = io.BytesIO()
PIL.Image.new("RGB", (8, 6), (0, 0, 255)).save(out, "PNG")
display({"image/png": base64.b64encode(out.getvalue()).decode()}, raw=True)
"""
HTML = """
from IPython.display import display
display({"text/html": "<p>new<script>evil()</script><img src='http://x.invalid'></p>"},
        raw=True)
"""


def picture(colour: tuple[int, int, int]) -> dict[str, str]:
    out = io.BytesIO()
    PIL.Image.new("RGB", (8, 6), colour).save(out, "PNG")
    return {"image/png": base64.b64encode(out.getvalue()).decode()}


class Page(HTMLParser):
    """Reads a page, and fails where a browser would have to guess."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [a[attribute] for _, a in self.elements if attribute in a]


@dataclass
class Shown:
    folder: Path
    env: dict[str, str]
    stdout: str
    stderr: str
    page: Page
    text: str


def write_books(folder: Path) -> None:
    write(folder / "good.ipynb", code("1 + 1", result("2")))
    write(
        folder / "bad.ipynb",
        code("print('mean', 1.5)", stream("mean 1.25\n")),
        code(f"print({TITLE + EVIL!r})", stream("nothing\n")),
        code(DRAWN, shown(picture((255, 0, 0)))),
        code(HTML, shown({"text/html": "<p>old</p>"})),
        code(f"raise ValueError({TITLE + EVIL!r})"),
        code("never = 1", tags=["nbval-skip"]),
    )


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = Path(tempfile.mkdtemp(prefix="cellwall-books-"))
    without = ("GITHUB_ACTIONS", "NO_COLOR")
    yield {
        **{k: v for k, v in os.environ.items() if k not in without},
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        MARK: uuid.uuid4().hex,
    }
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shown_books(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("books")
    write_books(folder)
    done = subprocess.run(
        command("--report", "html=page.html", "."),
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    text = (folder / "page.html").read_text()
    return Shown(folder, env, done.stdout, done.stderr, Page(text), text)


def test_a_pipe_gets_lines_without_any_escape_sequence(shown_books: Shown) -> None:
    said = shown_books.stdout
    assert "\x1b" not in said and "\a" not in said and "\r" not in said
    assert shown_books.stderr == ""
    assert re.search(r"^passed   good\.ipynb +1 cell ", said, re.M)
    assert re.search(r"^FAILED   bad\.ipynb +6 cells .* 5 failed, 1 skipped$", said, re.M)
    assert "    - mean 1.25\n    + mean 1.5\n" in said
    assert re.search(r"^    difference: (.*\.png)$", said, re.M)
    assert "ValueError" in said
    assert said.splitlines()[-1].startswith(
        "1 notebook failed, 1 passed; 4 cells differ, "
    )


def test_the_page_holds_together(shown_books: Shown) -> None:
    ids = shown_books.page.values("id")
    assert len(set(ids)) == len(ids)
    links = shown_books.page.values("href")
    assert links and {link[1:] for link in links} <= set(ids)
    assert all(a.get("alt") for a in shown_books.page.of("img"))
    words = "".join(shown_books.page.words)
    for word in ("1 of 2 notebooks failed", "good.ipynb", "never = 1"):
        assert word in words


def test_the_page_runs_its_own_script_alone_and_loads_nothing(shown_books: Shown) -> None:
    page = shown_books.page
    (policy,) = [m["content"] for m in page.of("meta") if "http-equiv" in m]
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert page.of("script") == [{}] and page.of("link") == []
    assert not [a for _, at in page.elements for a in at if a.startswith("on")]
    assert all(source.startswith("data:image/") for source in page.values("src"))


def test_hostile_text_stays_text_on_the_page(shown_books: Shown) -> None:
    assert EVIL in "".join(shown_books.page.words)
    assert "\x1b" not in shown_books.text and "\a" not in shown_books.text


def test_html_of_notebooks_has_no_rights_on_the_page(shown_books: Shown) -> None:
    frames = shown_books.page.of("iframe")
    assert len(frames) == 2
    assert [frame["sandbox"] for frame in frames] == ["", ""]
    assert "old" in frames[0]["srcdoc"] and "new" in frames[1]["srcdoc"]


def test_pictures_are_on_the_page_as_they_are(shown_books: Shown) -> None:
    images = {a["class"]: a["src"] for a in shown_books.page.of("img")}
    assert set(images) == {"expected", "actual", "difference"}
    for role, colour in (("expected", (255, 0, 0)), ("actual", (0, 0, 255))):
        data = base64.b64decode(images[role].removeprefix("data:image/png;base64,"))
        with PIL.Image.open(io.BytesIO(data)) as image:
            assert image.size == (8, 6)
            assert image.convert("RGB").getpixel((3, 3)) == colour


def test_the_time_that_notebooks_took_is_remembered(shown_books: Shown) -> None:
    file = Path(shown_books.env["XDG_CACHE_HOME"]) / "cellwall/durations.json"
    known = dict(json.loads(file.read_text())["notebooks"])
    assert set(known) == {
        str((shown_books.folder / name).resolve()) for name in ("good.ipynb", "bad.ipynb")
    }
    assert all(seconds > 0 for seconds in known.values())


@pytest.mark.parametrize("columns", [100, 160])
def test_a_terminal_shows_progress_and_colours_but_obeys_no_notebook(
    shown_books: Shown, tmp_path: Path, columns: int
) -> None:
    write_books(tmp_path)
    with Terminal(
        ["sh", "-c", 'read go; "$@"', "sh", *command(".")], shown_books.env, tmp_path
    ) as terminal:
        terminal.resize(columns)
        terminal.type("\n")
        assert terminal.wait() == 1
    said = terminal.text
    assert re.search(r"\r(\x1b\[2m)?\[[#-]{20}\] +\d+ %", said)
    assert "\x1b[1;31mFAILED \x1b[0m" in said
    assert "\x1b]" not in said and "\a" not in said
    changed = r"\x1b\[1;7;31m1\.25\x1b\[0m"
    assert re.search(changed + (r".*\|.*1\.5" if columns > 140 else r"\r\n"), said)
    assert re.sub(r"\x1b\[[0-9;]*[mKAJ]", "", said).count("\x1b") == 0


def test_no_color_means_that_there_is_none(shown_books: Shown, tmp_path: Path) -> None:
    write(tmp_path / "a.ipynb", code("print(1)", stream("2\n")))
    with Terminal(
        command("."), {**shown_books.env, "NO_COLOR": "1"}, tmp_path
    ) as terminal:
        assert terminal.wait() == 1
    assert re.search(r"\x1b\[[0-9;]*m", terminal.text) is None
