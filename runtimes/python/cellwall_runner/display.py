# SPDX-License-Identifier: MIT
"""Rich output: `display()`, updates, `clear_output` and the value of a cell."""

from __future__ import annotations

from typing import Any

import _cellwall
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher

from . import content, forks, requests


def _print_text(data: dict[str, Any]) -> None:
    if "text/plain" in data:
        print(data["text/plain"])


class FramePublisher(DisplayPublisher):
    """Sends displayed data as frames."""

    def publish(  # type: ignore[override]
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: str | None = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_others: Any,
    ) -> None:
        """Sends DATA. ValueError: a key is no MIME type, or all is too large."""
        self._validate_data(data, metadata)
        if forks.is_child:
            _print_text(data)
            return
        message = {
            "data": content.encode_bundle(data),
            "metadata": metadata or {},
            "transient": transient or {},
        }
        _cellwall.send(
            _cellwall.UPDATE_DISPLAY_DATA if update else _cellwall.DISPLAY_DATA,
            requests.current().number,
            content.encode(message),
        )

    def clear_output(self, wait: bool = False) -> None:
        if not forks.is_child:
            _cellwall.send(
                _cellwall.CLEAR_OUTPUT,
                requests.current().number,
                content.encode({"wait": bool(wait)}),
            )


class FrameDisplayHook(DisplayHook):
    """Sends the value of a cell as a frame."""

    def quiet(self) -> bool:
        """Whether the cell ends with a semicolon; as a rule there is none in it."""
        past = self.shell.history_manager.input_hist_parsed
        return bool(past) and ";" in past[-1] and bool(super().quiet())

    def write_output_prompt(self) -> None:
        """Does nothing: the execution count is in the frame."""

    def write_format_data(
        self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None
    ) -> None:
        if forks.is_child:
            _print_text(format_dict)
            return
        request = requests.current()
        message = {
            "execution_count": request.execution_count,
            "data": content.encode_bundle(format_dict),
            "metadata": md_dict or {},
        }
        _cellwall.send(_cellwall.EXECUTE_RESULT, request.number, content.encode(message))

    def finish_displayhook(self) -> None:
        self._is_active = False
