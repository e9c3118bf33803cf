# SPDX-License-Identifier: MIT
"""Jupyter's own conformance suite, with every attribute set."""

from __future__ import annotations

import jupyter_kernel_test as jkt
import pytest

from tests.system import conformance
from tests.system.conftest import (
    BRIDGED_PYTHON,
    BRIDGED_R,
    KERNEL,
    SERVED_KERNEL,
)

SUITE = {name for name in dir(jkt.KernelTests) if name.startswith("test_")}


@pytest.mark.cellwall
@pytest.mark.usefixtures("kernelspecs")
class TestKernel(conformance.KernelTests):
    kernel_name = KERNEL
    language_name = "python"
    file_extension = ".py"

    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "isinstanc", "matches": {"isinstance"}},
    ]
    complete_code_samples = [
        "1",
        "print('hello, world')",
        "def f(x):\n  return x*2\n\n\n",
    ]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('on purpose')"
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
        {"code": "b'bytes'", "mime": "text/plain"},
    ]
    code_display_data = [
        {"code": f"from IPython.display import *; display({shown})", "mime": mime}
        for shown, mime in [
            ("HTML('<b>test</b>')", "text/html"),
            ("Math('x')", "text/latex"),
            ("JSON({'a': 1})", "application/json"),
        ]
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


@pytest.mark.cellwall
@pytest.mark.usefixtures("served_kernelspec")
class TestServedKernel(TestKernel):
    kernel_name = SERVED_KERNEL


@pytest.mark.cellwall
@pytest.mark.usefixtures("bridged_kernelspecs")
class TestBridgedPython(TestKernel):
    kernel_name = BRIDGED_PYTHON


@pytest.mark.cellwall
@pytest.mark.usefixtures("bridged_kernelspecs")
class TestBridgedR(conformance.KernelTests):
    kernel_name = BRIDGED_R
    language_name = "R"
    file_extension = ".r"

    code_hello_world = "cat('hello, world\\n')"
    code_stderr = "message('test')"
    completion_samples = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "read.cs", "matches": {"read.csv", "read.csv2"}},
    ]
    complete_code_samples = ["1", "print('hello, world')", "f <- function(x) {x*2}"]
    incomplete_code_samples = ["print('hello", "f <- function(x) {x*2"]
    invalid_code_samples = ["import x 7q"]
    code_page_something = "?cat"
    code_generate_error = "stop('on purpose')"
    code_execute_result = [{"code": "1+2+3"}, {"code": "nchar('abc')"}]
    code_display_data = [
        {"code": "1:3", "mime": "text/plain"},
        {"code": "data.frame(x = 1:3)", "mime": "text/html"},
        {"code": "plot(1:3)", "mime": "image/png"},
        {"code": "matrix(1:4, 2)", "mime": "text/latex"},
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "IRdisplay::clear_output()"

    def test_execute_result(self) -> None:
        """IRkernel shows values as displays: that is what is asked for here."""
        self.flush_channels()
        _, outputs = self.execute_helper("1 + 1")
        assert outputs[0]["msg_type"] == "display_data"
        assert outputs[0]["content"]["data"]["text/plain"] == "[1] 2"


@pytest.mark.cellwall
@pytest.mark.usefixtures("node_kernelspecs")
class TestJavascript(conformance.KernelTests):
    kernel_name = "cellwall-javascript"
    language_name = "javascript"
    file_extension = ".js"

    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('test')"
    completion_samples = [
        {"text": "parseF", "matches": {"parseFloat"}},
        {"text": "JSON.str", "matches": {"stringify"}},
    ]
    complete_code_samples = ["1", "console.log('hello, world')", "function f(x) {\n}\n"]
    incomplete_code_samples = ["console.log(`hello", "function f(x) {\n  x * 2"]
    invalid_code_samples = ["import = 7q"]
    code_generate_error = "throw new Error('on purpose')"
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[1, 2, 3].map((n) => n * n)", "result": "[ 1, 4, 9 ]"},
        {"code": "({outerHTML: '<b>bold</b>'})", "mime": "text/html"},
    ]
    code_display_data = [
        {"code": "display.html('<b>test</b>')", "mime": "text/html"},
        {"code": "display.latex('$x$')", "mime": "text/latex"},
        {"code": "display.json({a: 1})", "mime": "application/json"},
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "parseInt"
    code_clear_output = "console.clear()"
    test_pager = None  # JavaScript has no such habit


@pytest.mark.cellwall
@pytest.mark.usefixtures("node_kernelspecs")
class TestTypescript(TestJavascript):
    kernel_name = "cellwall-typescript"
    language_name = "typescript"
    file_extension = ".ts"

    code_hello_world = "const hello: string = 'hello, world'; console.log(hello)"
    code_generate_error = "throw new Error('on purpose' as string)"


@pytest.mark.cellwall
@pytest.mark.usefixtures("kernelspecs")
class TestWelcome(jkt.IopubWelcomeTests):
    kernel_name = KERNEL
    support_iopub_welcome = True


# A test of the suite that skips itself proves nothing: the driver of the tests counts
# skips as such, and this holds the list of what the suite has.
def test_the_suite_is_known_in_full() -> None:
    assert {
        "test_kernel_info",
        "test_execute_stdout",
        "test_execute_stderr",
        "test_completion",
        "test_is_complete",
        "test_pager",
        "test_error",
        "test_execute_result",
        "test_display_data",
        "test_history",
        "test_inspect",
        "test_clear_output",
    } == SUITE
