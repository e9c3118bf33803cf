# SPDX-License-Identifier: MIT
"""Jupyter's own conformance suite, for a machine that is busy.

It gives each message a tenth of a second after the reply, and takes whatever comes for an
answer to what it has asked.
"""

from __future__ import annotations

from typing import Any

import jupyter_kernel_test as jkt
from jupyter_kernel_test.msgspec_v5 import validate_message

TIMEOUT_S = 60.0  # for what must come


class KernelTests(jkt.KernelTests):
    def get_non_kernel_info_reply(self, timeout: float | None = None) -> Any:
        return super().get_non_kernel_info_reply(timeout=TIMEOUT_S)

    def execute_helper(
        self,
        code: str,
        timeout: float = TIMEOUT_S,
        silent: bool = False,
        store_history: bool = True,
        stop_on_error: bool = True,
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The reply and what was published, without states and the code itself."""
        asked = self.kc.execute(
            code, silent=silent, store_history=store_history, stop_on_error=stop_on_error
        )
        reply = self.get_non_kernel_info_reply()
        validate_message(reply, "execute_reply", asked)

        states, outputs = [], []
        while "idle" not in states:
            message = self.kc.get_iopub_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") != asked:
                continue
            validate_message(message, message["msg_type"], asked)
            if message["msg_type"] == "status":
                states.append(message["content"]["execution_state"])
            elif message["msg_type"] == "execute_input":
                assert message["content"]["code"] == code
            else:
                assert states == ["busy"]
                outputs.append(message)
        assert states == ["busy", "idle"]
        return reply, outputs
