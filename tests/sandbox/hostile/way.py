# SPDX-License-Identifier: MIT
"""One way to run hostile programs: a profile, and who starts the kernels.

One kernel runs the programs, another one beside it is their neighbour, which must never
notice. After each program all of the machine that may show a trace is looked at.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.sandbox.hostile.canaries import Canaries
from tests.sandbox.hostile.census import Registrar
from tests.sandbox.hostile.kit import cell
from tests.sandbox.hostile.program import UNDER_WAY, Program
from tests.system.rawclient import Client, KernelProcess, Run, connection_info
from tests.system.servers import Server

MIB = 1024 * 1024
OTHER_USER = 1741  # nobody else's, so that what it is granted is ours
DEADLINE_S = 60.0  # of anything; never reached when all is well
MARK = "CELLWALL_HOSTILE_MARK"
# Sanitizers keep freed memory for a while.
GROWTH_MAX = 400 * MIB
LIMITS = {
    "memory": "512M",
    "cpus": "1",
    "processes": "64",
    "disk": "32M",
    "tmp": "32M",
    "files": "512",
    "disk-files": "3000",
    "tmp-files": "3000",
    "output": "2M",
}
PID = "__import__('os').getpid()"
FORKED_PID = 3  # of a runner that a zygote has forked
STUCK_S = 6.0  # by then it is told that the code does not react
BOMB_BYTES = 3 << 30  # several times the limit; no more, should nothing hold it
SHORT_S = 3  # for programs that never end


class Way:
    def __init__(self, who: str, profile: str, binary: Path, environment: Path) -> None:
        self.stack = ExitStack()
        try:
            self._begin(who, profile, binary, environment)
        except BaseException:
            self.close()
            raise

    def _begin(self, who: str, profile: str, binary: Path, environment: Path) -> None:
        self.who, self.profile, self.binary = who, profile, binary
        self.user = 0 if who == "root" else OTHER_USER if os.getuid() == 0 else 0
        self.folder = Path(tempfile.mkdtemp(prefix="cwh-"))
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)
        for name in ("home", "work", "outside", "run", "tmp", "logs"):
            (self.folder / name).mkdir()
            if self.user:
                os.chown(self.folder / name, self.user, self.user)
        (self.folder / "run").chmod(0o700)
        (self.folder / "outside").chmod(0o777)
        self.environment = self.folder / "environment.json"
        shutil.copy(environment, self.environment)
        self.environment.chmod(0o644)
        self.canaries = Canaries(
            [self.folder / "outside", self.folder / "home", Path(tempfile.gettempdir())],
            self.user,
        )
        self.stack.callback(self.canaries.close)
        self.mark = uuid.uuid4().hex
        self.env = {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "SECRET_OF_THE_SERVER": self.canaries.secret,
            MARK: self.mark,
        }
        self.server: Server | None = None
        if (who == "root") == (profile == "agent"):
            self._start_server()
        self.kernel: KernelProcess | None = None
        self.neighbour = self.start_kernel()
        self.neighbour_client = self.ready(self.neighbour)
        self.warm_up(self.neighbour_client)
        self.sentinel = secrets.token_hex(8)
        self.neighbour_client.execute(f"sentinel = {self.sentinel!r}")
        self.replace()

    # --- kernels ----------------------------------------------------------------------

    def _start_server(self) -> None:
        self.server = Server(
            self.binary,
            *("--environment", str(self.environment)),
            folder=self.folder / "run",
            env=self.env,
            user=self.user or None,
        )
        self.stack.callback(self.server.close)
        self.server.wait_said("zygote of .*: ready")

    def start_kernel(self, *before: str, **limits: str) -> KernelProcess:
        """A kernel as this way has them, with LIMITS changed; ends with the way.

        BEFORE are the words of a command that runs another, and is given it.
        """
        info = connection_info()
        argv = [str(self.binary), "kernel", "-f", "{connection_file}"]
        argv += ["--python", sys.executable, "--environment", str(self.environment)]
        argv += ["--server", "none" if self.server is None else str(self.server.file)]
        argv += ["--profile", self.profile]
        argv += [
            "--limits",
            ",".join(f"{k}={v}" for k, v in {**LIMITS, **limits}.items()),
        ]
        if self.user:
            argv = [
                *("sh", "-c"),
                f'chown {self.user}:{self.user} "$0" && exec setpriv '
                f'--reuid={self.user} --regid={self.user} --clear-groups "$@"',
                "{connection_file}",
                *before,
                *argv,
            ]
        else:
            argv = [*before, *argv]
        kernel = KernelProcess(
            argv, self.folder / "logs", info=info, env=self.env, cwd=self.folder / "work"
        )
        self.stack.callback(kernel.close)
        return kernel

    def ready(self, kernel: KernelProcess) -> Client:
        client = self.stack.enter_context(Client(kernel.info))
        try:
            client.wait_ready(DEADLINE_S)
        except AssertionError as failure:
            raise AssertionError(kernel.stderr()) from failure
        return client

    def warm_up(self, client: Client) -> None:
        """Until the interpreter is one like all that follow: a zygote's, if there is one.

        The first wish of its kind is granted by exec, for its zygote is made then.
        """
        while self.server is not None and client.evaluate(PID) != FORKED_PID:
            client.execute("import os; os._exit(0)", timeout=DEADLINE_S)
        client.evaluate("1 + 1")

    def replace(self) -> None:
        """A fresh kernel for the programs, and the machine as it must be found again."""
        if self.kernel is not None:
            self.client.close()
            self.kernel.close()
        self.kernel = self.start_kernel()
        self.client = self.ready(self.kernel)
        self.warm_up(self.client)
        roots = [self.kernel.pid, self.neighbour.pid]
        roots += [self.server.pid] if self.server is not None else []
        folders = [self.folder / "tmp", self.folder / "run", self.folder / "home"]
        self.registrar = Registrar(roots, folders, f"{MARK}={self.mark}")
        self.baseline = self.registrar.settled()
        self.memory = self.registrar.memory_bytes()

    def close(self) -> None:
        self.stack.close()

    def has_cgroups(self) -> bool:
        return self.baseline.cgroups > 0

    # --- programs ---------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        assert self.kernel is not None
        own = self.kernel.info
        return {
            **self.canaries.facts(),
            "PROFILE": self.profile,
            "BOMB_BYTES": BOMB_BYTES,
            "PORTS": [port for name, port in own.items() if name.endswith("_port")],
            "SERVER_SOCKET": str(self.folder / "run/cellwall/contexts.sock"),
            "KERNEL_PID": self.kernel.pid,
            "HOST_UID": self.user or os.getuid(),
            "KEPT": self.sentinel,
        }

    def neighbour_answers(self) -> None:
        said = self.neighbour_client.evaluate("(1 + 1, sentinel)")
        assert said == (2, self.sentinel), "the neighbour was touched"

    def run(self, program: Program) -> Run:
        """Runs PROGRAM and looks at everything. A failure costs the kernel."""
        try:
            return self._run(program)
        except BaseException:
            self._clean_work()
            self.replace()
            raise

    def _run(self, program: Program) -> Run:
        assert self.kernel is not None and self.kernel.alive()
        expect = program.expectation(self)
        asked = self.client.start(cell(program.code, self.facts()))
        said: list[Any] = []
        if expect.interrupted:
            said = self.client.until_text(UNDER_WAY, DEADLINE_S)
        self.neighbour_answers()
        if expect.interrupted:
            self._interrupt(expect.again)
        run = self.client.finish(asked, DEADLINE_S)
        run.iopub[:0] = [m for m in said if m.parent_id == asked]
        expect.check(run, self)
        if program.unclean or expect.loses:
            self.end_interpreter()
        else:
            assert self.client.evaluate("(1 + 1, KEPT)") == (2, self.sentinel)
        assert self.client.evaluate("1 + 1") == 2
        self.inspect()
        return run

    def run_to_limits(self, programs: list[Program]) -> dict[str, BaseException | None]:
        """Runs PROGRAMS at the same time until their time is up; what came of each."""
        started = []
        for program in programs:
            kernel = self.start_kernel(time=str(SHORT_S))
            client = self.ready(kernel)
            self.warm_up(client)
            asked = client.start(cell(program.code, self.facts()))
            started.append((program, kernel, client, asked))
        outcomes: dict[str, BaseException | None] = {}
        for program, kernel, client, asked in started:
            try:
                self.neighbour_answers()
                run = client.finish(asked, DEADLINE_S)
                program.expectation(self).check(run, self)
                assert client.evaluate("1 + 1") == 2
                assert kernel.alive()
                outcomes[program.name] = None
            except AssertionError as failure:
                outcomes[program.name] = failure
        for _, kernel, client, _ in started:
            client.close()
            kernel.close()
        self.inspect()
        return outcomes

    def _interrupt(self, again: bool) -> None:
        """Once; and once more for each time that the cell is said not to react."""
        while True:
            self.client.request(
                "interrupt_request", channel="control", timeout=DEADLINE_S
            )
            if not again or self.client.shell.poll(STUCK_S * 1000):
                return

    def end_interpreter(self) -> None:
        """A program may have left an interpreter that ends with the next cell."""
        self.client.execute("import os; os._exit(0)", timeout=DEADLINE_S)

    def inspect(self) -> None:
        assert self.kernel is not None and self.kernel.alive()
        self.neighbour_answers()
        self._clean_work()
        self.registrar.wait_until(self.baseline)
        grown = self.registrar.memory_bytes() - self.memory
        assert grown < GROWTH_MAX, f"the servers grew by {grown // MIB} MiB"
        self.canaries.check()
        self.client.kept.clear()
        self.neighbour_client.kept.clear()

    def _clean_work(self) -> None:
        """What programs left where the notebook is; its names and depth are hostile."""
        work = self.folder / "work"
        if any(work.iterdir()):
            subprocess.run(
                ["find", str(work), "-mindepth", "1", "-delete"], check=True, timeout=60
            )
