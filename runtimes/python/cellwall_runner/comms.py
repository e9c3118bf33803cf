# SPDX-License-Identifier: MIT
"""Comms: the channel between widgets and their views, by the `comm` package."""

from __future__ import annotations

from typing import Any

import _cellwall

from . import content, forks, interrupts, requests

try:
    import comm as comm_package
    from comm.base_comm import BaseComm, CommManager
except ImportError:  # an environment without widgets needs none
    comm_package = None  # type: ignore[assignment]
    BaseComm = CommManager = object  # type: ignore[assignment,misc]

_TYPES = {
    "comm_open": _cellwall.COMM_OPEN,
    "comm_msg": _cellwall.COMM_MSG,
    "comm_close": _cellwall.COMM_CLOSE,
}


class Comm(BaseComm):  # type: ignore[misc,valid-type]
    """A comm whose messages are frames."""

    kernel: Any = None

    def publish_msg(
        self,
        msg_type: str,
        data: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: list[Any] | None = None,
        **keys: Any,
    ) -> None:
        """Sends one message. ValueError: it is larger than a frame may be."""
        if forks.is_child:
            return
        message = {"comm_id": self.comm_id, "data": data or {}, **keys}
        _cellwall.send(
            _TYPES[msg_type],
            requests.current().number,
            content.encode(message),
            metadata=content.encode(metadata or {}),
            buffers=buffers or (),
        )


class Manager(CommManager):  # type: ignore[misc,valid-type]
    """The comms of this interpreter."""

    def handle(self, request: requests.Request) -> None:
        """Lets user code answer a comm message. May raise KeyboardInterrupt."""
        handler = getattr(self, request.type_name)
        interrupts.call(handler, None, None, request.message)


def install(kernel: Any) -> Manager | None:
    """Makes ours the manager of the `comm` package. None: it is not installed."""
    if comm_package is None:
        return None
    manager = Manager()
    Comm.kernel = kernel
    comm_package.create_comm = Comm
    comm_package.get_comm_manager = lambda: manager
    return manager


def refuse(request: requests.Request) -> None:
    """Closes a comm that nobody here can answer."""
    message = {"comm_id": request.content.get("comm_id", ""), "data": {}}
    _cellwall.send(_cellwall.COMM_CLOSE, request.number, content.encode(message))
