# SPDX-License-Identifier: MIT
"""Programs that mean harm, in the real sandbox: none gets out, none silences a kernel.

Each program of tests/sandbox/hostile runs in four ways: in both profiles, with kernels
that root has started and an ordinary user. After each, `Way.run` looks that the kernel
and its neighbour answer, that the machine is as it was, and that no canary was touched.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.hostile import (
    section_a,
    section_b,
    section_c,
    section_d,
    section_d_calls,
    section_e,
    section_f,
    section_g,
)
from tests.sandbox.hostile.canaries import digests
from tests.sandbox.hostile.kit import cell
from tests.sandbox.hostile.program import Program
from tests.sandbox.hostile.way import Way
from tests.system.conftest import BINARY, KERNEL
from tests.system.rawclient import Client, KernelProcess, NothingCame

pytestmark = pytest.mark.cellwall

WAYS = [
    f"{who}-{profile}" for who in ("root", "user") for profile in ("notebook", "agent")
]
SECTIONS = {
    "A": section_a.PROGRAMS,
    "B": section_b.PROGRAMS,
    "C": section_c.PROGRAMS,
    "D": [*section_d.PROGRAMS, *section_d_calls.PROGRAMS],
    "E": section_e.PROGRAMS,
    "F": section_f.PROGRAMS,
    "G": section_g.PROGRAMS,
}
SHARED_TREES = [
    str(BINARY),
    str(BINARY.parent / "runtimes"),
    sys.prefix,
    os.path.dirname(os.__file__),
    "/usr/bin",
    "/lib/x86_64-linux-gnu",
]
# Nothing of these is ever run by a kernel, and they are large.
LEFT_OUT = ("share", "clang_format", "clang_tidy", "debugpy")


@pytest.fixture(scope="module", autouse=True)
def shared_files_are_untouched() -> Iterator[None]:
    before = digests(SHARED_TREES, LEFT_OUT)
    yield
    after = digests(SHARED_TREES, LEFT_OUT)
    changed = {p for p in {*before, *after} if before.get(p) != after.get(p)}
    assert changed == set()


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, kernelspecs: Path) -> Iterator[Way]:
    who, profile = request.param.split("-")
    if who == "root" and os.getuid() != 0:
        pytest.skip("only root can start kernels as root")
    environment = kernelspecs / "share/jupyter/kernels" / KERNEL / "environment.json"
    way = Way(who, profile, BINARY, environment)
    yield way
    way.close()


class Limits:
    """The programs that never end: they wait for their limit of time together."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.outcomes: dict[str, BaseException | None] | None = None

    def check(self, program: Program) -> None:
        if self.outcomes is None:
            programs = [p for ps in SECTIONS.values() for p in ps if p.never_ends]
            self.outcomes = self.way.run_to_limits(programs)
        if (failure := self.outcomes[program.name]) is not None:
            raise failure


@pytest.fixture(scope="module")
def way_at_its_limits(way: Way) -> Limits:
    return Limits(way)


ALL = [
    pytest.param(program, id=f"{section}{program.row}-{program.name}")
    for section, programs in SECTIONS.items()
    for program in programs
]


@pytest.mark.parametrize("program", ALL)
def test_program_is_contained(
    way: Way, way_at_its_limits: Limits, program: Program
) -> None:
    if way.profile not in program.profiles:
        pytest.skip(f"not for the profile {way.profile}")
    if program.needs is not None and (lacking := program.needs(way)) is not None:
        pytest.skip(lacking)
    if program.never_ends:
        way_at_its_limits.check(program)
    else:
        way.run(program)


@pytest.mark.parametrize("limit", ["--nproc=1", "--nofile=20", "--memlock=0 --nofile=32"])
def test_a_kernel_that_lacks_the_means_says_so_or_is_confined(
    way: Way, limit: str
) -> None:
    """Number 109 of the catalogue: what is short may end a start, never weaken it."""
    kernel = way.start_kernel("prlimit", *limit.split())
    client = way.stack.enter_context(Client(kernel.info))
    if not became_ready(kernel, client):
        assert kernel.wait() != 0
        assert kernel.stderr() != ""
        return
    run = client.execute(cell("print('confined')", way.facts()))
    if run.content["status"] == "ok":
        assert run.stream() == "confined\n"  # or the kit had refused to go on
    else:
        assert run.content["ename"] == "KernelStartFailed", run.content
    client.close()
    kernel.close()
    way.inspect()


def became_ready(kernel: KernelProcess, client: Client) -> bool:
    """Whether it answers; False: it has ended instead."""
    while kernel.alive():
        try:
            client.wait_ready(1)
        except NothingCame:
            continue
        return True
    return False
