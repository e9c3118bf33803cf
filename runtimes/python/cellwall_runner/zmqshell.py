# SPDX-License-Identifier: MIT
"""IPython's shell as notebooks know it.

Libraries look at the name of the class, and some at this module's, to find out whether
they run in a notebook.
"""

from __future__ import annotations

import bdb
import builtins
import contextlib
import inspect
import os
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import _cellwall
from IPython.core import page, payloadpage
from IPython.core.autocall import ExitAutocall
from IPython.core.events import EventManager, available_events
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Any as AnyTrait
from traitlets import Instance, Type
from traitlets.config import Config

from . import content, forks, interrupts, requests
from .compiler import CellCompiler
from .display import FrameDisplayHook, FramePublisher
from .formats import QuickDisplayFormatter
from .magics import NotebookMagics
from .transforms import QuickTransformerManager

_TERMINATE_SECONDS = 1.0
_EVENT_LOOPS = (None, "", "inline", "asyncio", "agg", "nbagg", "widget", "ipympl")


def notebook_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a notebook adds to ENVIRONMENT: that colours are shown, but by no pager."""
    added = {
        "TERM": "xterm-color",
        "CLICOLOR": "1",
        "FORCE_COLOR": "1",
        "CLICOLOR_FORCE": "1",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
    }
    if not environment.get("MPLBACKEND"):
        added["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    return added


class UserEvents(EventManager):
    """Callbacks are user code. An interrupt of one is one of the whole cell."""

    def trigger(self, event: str, *args: Any, **kwargs: Any) -> None:
        interrupts.call(self._run_callbacks, event, *args, **kwargs)

    def _run_callbacks(self, event: str, *args: Any, **kwargs: Any) -> None:
        for function in list(self.callbacks[event]):
            try:
                function(*args, **kwargs)
            except Exception:
                print(f"Error in callback {function} (for {event}):")
                self.shell.showtraceback()


class Exiter(ExitAutocall):
    """`exit` and `quit`, with ipykernel's option to keep the kernel."""

    def __call__(self, keep_kernel: bool = False) -> None:
        self._ip.keepkernel_on_exit = keep_kernel
        self._ip.ask_exit()


class ZMQInteractiveShell(InteractiveShell):
    """The shell of one context."""

    displayhook_class = Type(FrameDisplayHook)
    display_pub_class = Type(FramePublisher)
    compiler_class = Type(CellCompiler)
    input_transformer_manager = Instance(QuickTransformerManager, ())
    exiter = Instance(ExitAutocall)
    kernel = AnyTrait()

    keepkernel_on_exit = False
    shown_error: BaseException | None = None
    """The last exception that was shown as an error."""
    shown_traceback: list[str] = []

    def _exiter_default(self) -> ExitAutocall:
        return Exiter(self)

    # What the base class would do for a terminal.

    def init_environment(self) -> None:
        os.environ.update(notebook_environment(os.environ))

    def init_virtualenv(self) -> None:
        """Does nothing: the environment is the interpreter's own."""

    def init_hooks(self) -> None:
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(payloadpage.page), 99)

    def init_magics(self) -> None:
        super().init_magics()
        self.register_magics(NotebookMagics)

    def init_display_formatter(self) -> None:
        self.display_formatter = QuickDisplayFormatter(parent=self)
        self.configurables.append(self.display_formatter)

    def init_events(self) -> None:
        super().init_events()
        events = UserEvents(self, available_events)
        events.callbacks = self.events.callbacks
        self.events = events

    def enable_gui(self, gui: str | None = None) -> None:
        """There are no windows; the backends that draw into the notebook need no loop."""
        if gui not in _EVENT_LOOPS:
            raise RuntimeError(f"no event loop for {gui!r}: there is no display here")
        self.active_eventloop = gui

    def ask_exit(self) -> None:
        """Asks the frontend to end the kernel."""
        self.payload_manager.write_payload(
            {"source": "ask_exit", "keepkernel": self.keepkernel_on_exit}
        )

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Asks the frontend to put TEXT into the next cell, or to replace this one."""
        self.payload_manager.write_payload(
            {"source": "set_next_input", "text": text, "replace": replace}
        )

    # Commands of the operating system.

    def system(self, cmd: str) -> None:
        """Runs a command whose output goes to fds 1 and 2."""
        command = self.var_expand(cmd, depth=1)
        process = subprocess.Popen(
            command, shell=True, executable=shutil.which(os.environ.get("SHELL", ""))
        )
        try:
            status = process.wait()
        except BaseException:
            _end_process(process)
            raise
        finally:
            self.user_ns["_exit_code"] = process.returncode
        # The shell reports the signal that ended a command as 128 and its number.
        self.user_ns["_exit_code"] = 128 - status if status > 128 else status

    system_raw = system_piped = system

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        interrupts_before = interrupts.delivered
        output = super().getoutput(cmd, split=split, depth=depth + 1)
        if interrupts.delivered != interrupts_before:
            raise KeyboardInterrupt  # IPython makes an empty output of it
        return output

    # What it is told where it runs.

    def name_session(self, name: str) -> None:
        """Tells user code the name of its notebook."""
        os.environ["JPY_SESSION_NAME"] = name
        self.user_ns["__session__"] = name
        self.user_ns_hidden["__session__"] = name

    def make_folders(self) -> None:
        """Makes IPython's folders, where HOME is another than when the shell was made."""
        with contextlib.suppress(OSError):
            os.makedirs(self.profile_dir.location, exist_ok=True)
            self.profile_dir.check_dirs()

    def enter_directory(self) -> None:
        """Starts in the working directory as it is now."""
        self.starting_dir = os.getcwd()
        past = self.history_manager.dir_hist
        past[:] = [type(first)(self.starting_dir) for first in past[:1]]

    # Errors.

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self.shown_error = evalue
        self.shown_traceback = [str(line) for line in stb]
        if forks.is_child:
            print("\n".join(self.shown_traceback), file=sys.stderr)
            return
        name = getattr(etype, "__name__", str(etype))
        message = content.error_content(
            name, content.describe(evalue), self.shown_traceback
        )
        _cellwall.send(
            _cellwall.ERROR, requests.current().number, content.encode(message)
        )

    def show_usage_error(self, exc: BaseException) -> None:
        self._showtraceback(type(exc), exc, [f"UsageError: {exc}"])

    def show_plain(self, error: BaseException) -> None:
        """Shows ERROR in Python's own way."""
        tb = _without_machinery(error.__traceback__)
        text = "".join(traceback.format_exception(type(error), error, tb))
        self._showtraceback(type(error), error, text.splitlines())

    def _get_exc_info(self, exc_tuple: Any = None) -> Any:
        etype, value, tb = super()._get_exc_info(exc_tuple)
        return etype, value, _without_machinery(tb)

    def showtraceback(
        self,
        exc_tuple: Any = None,
        filename: Any = None,
        tb_offset: Any = None,
        **options: Any,
    ) -> None:
        _, error, tb = exc_tuple or sys.exc_info()
        without = _without_machinery(tb)
        if without is not tb:
            tb_offset = 0  # IPython would leave out the first frame as its own
        if _has_group(error) or (without is None and tb is not None):
            # IPython prints a group instead of handing it on, and needs some frame.
            self._get_exc_info(exc_tuple)
            self.show_plain(error)
            return
        try:
            super().showtraceback(exc_tuple, filename, tb_offset, **options)
        except Exception:
            # IPython 7 cannot format all that there is.
            if error is None:
                raise
            self.show_plain(error)

    def debugger(self, force: bool = False) -> None:
        interrupts.call(super().debugger, force)

    def reset(self, *args: Any, **kwargs: Any) -> None:
        super().reset(*args, **kwargs)
        # multiprocessing looks at these of the main module.
        for name in ("__spec__", "__loader__", "__package__", "__doc__"):
            self.user_module.__dict__.setdefault(name, None)

    # Running cells.

    async def run_code(
        self, code_obj: Any, result: Any = None, *, async_: bool = False
    ) -> bool:
        """Runs one piece of a cell; True: it failed, and the error was shown."""
        __tracebackhide__ = "__ipython_bottom__"
        hook, sys.excepthook = sys.excepthook, self.excepthook
        self.sys_excepthook = hook
        try:
            if async_:
                coroutine = eval(code_obj, self.user_global_ns, self.user_ns)
                await interrupts.UserCoroutine(coroutine)
            else:
                interrupts.call(exec, code_obj, self.user_global_ns, self.user_ns)
        except BaseException as error:
            if forks.is_child:
                forks.leave_child(error)
            sys.excepthook = hook
            if result is not None:
                result.error_in_exec = error
            self._show_failure(error)
            return True
        finally:
            sys.excepthook = hook
        return False

    async def run_ast_nodes(self, *args: Any, **kwargs: Any) -> bool:
        failed = await super().run_ast_nodes(*args, **kwargs)
        if forks.is_child:
            forks.leave_child(None)
        return bool(failed)

    def _show_failure(self, error: BaseException) -> None:
        if isinstance(error, SystemExit):
            self.showtraceback(exception_only=True)
            warnings.warn("To exit: use 'exit', 'quit', or Ctrl-D.", stacklevel=1)
        elif isinstance(error, bdb.BdbQuit):
            pass  # the user left the debugger, and knows
        elif isinstance(error, self.custom_exceptions):
            self.CustomTB(type(error), error, error.__traceback__)
        else:
            self.showtraceback(running_compiled_code=True)

    async def run_request(
        self,
        code: str,
        *,
        execution_count: int,
        store_history: bool,
        silent: bool,
        cell_id: str | None,
    ) -> BaseException | None:
        """Runs a cell as `run_cell` does, and returns what it raised."""
        self.execution_count = execution_count if store_history else execution_count + 1
        self._align_history()
        self.shown_error = None
        problem = None
        try:
            transformed = self.transform_cell(code)
        except Exception:
            transformed, problem = code, sys.exc_info()
        options = {"cell_id": cell_id} if _TAKES_CELL_ID else {}
        result, failure = None, None
        try:
            result = await self.run_cell_async(
                code,
                store_history=store_history,
                silent=silent,
                transformed_cell=transformed,
                preprocessing_exc_tuple=problem,
                **options,
            )
            failure = result.error_before_exec or result.error_in_exec
        except BaseException as error:
            # Before or behind the user's code: IPython failed to store its error, say.
            failure = self.shown_error or error
        for event, arguments in (("post_execute", ()), ("post_run_cell", (result,))):
            if event == "post_run_cell" and (silent or result is None):
                continue
            try:
                self.events.trigger(event, *arguments)
            except KeyboardInterrupt as error:
                failure = failure or error
        return failure

    def _align_history(self) -> None:
        """The server counts; after a restart of the interpreter it counts on."""
        inputs = self.history_manager.input_hist_parsed
        missing = self.execution_count - len(inputs)
        inputs.extend([""] * missing)
        raw = self.history_manager.input_hist_raw
        raw.extend([""] * (self.execution_count - len(raw)))


_TAKES_CELL_ID = (
    "cell_id" in inspect.signature(InteractiveShell.run_cell_async).parameters
)


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """Ends a command that was interrupted; as a rule the signal has reached it too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            process.wait(_TERMINATE_SECONDS if number != signal.SIGINT else 0)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(number)
    process.wait()


def _without_machinery(tb: Any) -> Any:
    """TB from the first frame of user code on, without the handler of interrupts."""
    if tb is not None and tb.tb_frame.f_code is ZMQInteractiveShell.run_code.__code__:
        tb = tb.tb_next
        while tb is not None and interrupts.is_machinery(tb.tb_frame.f_code):
            tb = tb.tb_next
    entry = tb
    while entry is not None and entry.tb_next is not None:
        if interrupts.is_machinery(entry.tb_next.tb_frame.f_code):
            entry.tb_next = entry.tb_next.tb_next
        else:
            entry = entry.tb_next
    return tb


def _has_group(error: BaseException | None) -> bool:
    """Whether ERROR or what led to it is an exception group."""
    group = getattr(builtins, "BaseExceptionGroup", None)
    seen: set[int] = set()
    while group is not None and error is not None and id(error) not in seen:
        if isinstance(error, group):
            return True
        seen.add(id(error))
        error = error.__context__
    return False


def make_shell() -> ZMQInteractiveShell:
    """The shell, without anything of the user's configuration."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.IPKernelApp.parent_appname = "cellwall"  # tqdm looks for this section
    return ZMQInteractiveShell.instance(config=config)
