# SPDX-License-Identifier: MIT
"""What a hostile program is: a cell, what it tries, and what must come of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.system.rawclient import Run

if TYPE_CHECKING:
    from tests.sandbox.hostile.way import Way

UNDER_WAY = "under way"  # what a cell prints that waits to be interrupted


class Expectation:
    """What must come of a program; `loses` when its interpreter does not survive."""

    loses = False
    interrupted = False
    again = False

    def check(self, run: Run, way: Way) -> None:
        raise NotImplementedError


def succeeded(run: Run) -> None:
    assert run.content["status"] == "ok", run.content.get("traceback") or run.content


@dataclass
class Refused(Expectation):
    """Each thing tried answered one of the errnos (separated by spaces) in ANSWERS."""

    answers: dict[str, str]

    def check(self, run: Run, way: Way) -> None:
        succeeded(run)
        said = dict(line.split(" ", 1) for line in run.stream().splitlines() if line)
        wrong = {
            what: f"{said.get(what)}, not {wanted}"
            for what, wanted in self.answers.items()
            if said.get(what) not in wanted.split()
        }
        assert not wrong, wrong
        assert set(said) == set(self.answers)


@dataclass
class Answers(Refused):
    """As Refused, but what this machine's libraries have no number for is left out."""

    def check(self, run: Run, way: Way) -> None:
        said = {line.split()[0] for line in run.stream().splitlines() if line}
        assert len(said) > 100
        Refused({k: v for k, v in self.answers.items() if k in said}).check(run, way)


@dataclass
class Says(Expectation):
    """The cell ends well, and has printed what the patterns look for."""

    patterns: tuple[str, ...] = ()
    also: Callable[[Run, Way], None] | None = None

    def __init__(
        self, *patterns: str, also: Callable[[Run, Way], None] | None = None
    ) -> None:
        self.patterns = patterns
        self.also = also

    def check(self, run: Run, way: Way) -> None:
        succeeded(run)
        for pattern in self.patterns:
            assert re.search(pattern, run.stream()), (pattern, run.stream()[:2000])
        if self.also is not None:
            self.also(run, way)


def told(run: Run) -> None:
    """A failure is told twice alike: by the error message and by the reply."""
    errors = run.of("error")
    assert len(errors) == 1, run.types()
    for key in ("ename", "evalue", "traceback"):
        assert errors[0].content[key] == run.content[key]


@dataclass
class Raises(Expectation):
    """The cell fails with one of the exceptions in NAMES, and the state is kept."""

    names: str

    def check(self, run: Run, way: Way) -> None:
        assert run.content["status"] == "error", run.output()[:2000]
        assert run.content["ename"] in self.names.split(), run.content
        told(run)


@dataclass
class Lost(Expectation):
    """The interpreter ended; the reason is of one of KINDS. A fresh one follows."""

    kinds: str
    signal: int | None = None
    names: str | None = None
    interrupted: bool = False  # it ends by what it does when it is interrupted
    loses = True

    def check(self, run: Run, way: Way) -> None:
        assert run.content["status"] == "error", run.output()[:2000]
        told(run)
        reason = run.reply.metadata["cellwall"].get("reason")
        assert reason is not None, run.content
        assert reason["kind"] in self.kinds.split(), reason
        assert reason["state"] == "lost"
        assert run.of("error")[0].metadata["cellwall"]["reason"] == reason
        if self.signal is not None:
            assert reason["signal"] == self.signal
        if self.names is not None:
            assert run.content["ename"] in self.names.split(), run.content


@dataclass
class Interrupted(Expectation):
    """An interrupt ends the cell, which said UNDER_WAY, and the state is kept."""

    also: Callable[[Run, Way], None] | None = None
    again: bool = False  # a person may have to press twice
    interrupted = True

    def check(self, run: Run, way: Way) -> None:
        assert run.content["status"] == "error", run.output()[:2000]
        assert run.content["ename"] == "KeyboardInterrupt", run.content
        told(run)
        if self.also is not None:
            self.also(run, way)


@dataclass
class AnyOf(Expectation):
    """One of several, where which wall is met first is not determined."""

    choices: tuple[Expectation, ...]

    def __init__(self, *choices: Expectation) -> None:
        self.choices = choices

    @property
    def loses(self) -> bool:  # type: ignore[override]
        return any(choice.loses for choice in self.choices)

    def check(self, run: Run, way: Way) -> None:
        failures = []
        for choice in self.choices:
            try:
                return choice.check(run, way)
            except AssertionError as failure:
                failures.append(failure)
        raise AssertionError("none of what may come came") from failures[-1]


@dataclass(frozen=True)
class Program:
    """One row of a section's table.

    ROW is its number in the catalogue of hostile programs. A cell that leaves processes
    or broken modules behind is `unclean`: its interpreter is replaced before the machine
    is looked at. NEEDS asks the way whether the machine has what it takes; a text is the
    reason why not.
    """

    row: int
    name: str
    tries: str
    code: str
    expect: Expectation | Callable[[Way], Expectation]
    unclean: bool = False
    needs: Callable[[Way], str | None] | None = None
    profiles: tuple[str, ...] = ("notebook", "agent")
    never_ends: bool = False  # runs until its time limit, in a kernel of its own

    def expectation(self, way: Way) -> Expectation:
        return self.expect if isinstance(self.expect, Expectation) else self.expect(way)
