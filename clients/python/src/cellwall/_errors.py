# SPDX-License-Identifier: MIT
"""What can go wrong, as exceptions: one class for each code of the agent protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ._execution import Execution


class CellwallError(Exception):
    """Base of all exceptions of this package.

    Attributes:
        code: a stable word, such as `CONTEXT_NOT_FOUND`.
        message: one sentence for a person.
        suggestion: what may help; may be empty.
        details: what is useful for the code; may be empty.
    """

    code: str = "ERROR"

    def __init__(
        self, message: str, *, suggestion: str = "", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion
        self.details: dict[str, Any] = details or {}

    def __str__(self) -> str:
        return f"{self.message} ({self.suggestion})" if self.suggestion else self.message


# Of this side.


class ConnectionLost(CellwallError):
    """The server is gone, or silent for longer than `request_timeout`. What was asked may
    have been done or not; executions that were detached go on in a server that lives."""

    code = "CONNECTION_LOST"


class ServerNotFound(CellwallError):
    """No server runs for this user, or its server.json cannot be trusted."""

    code = "SERVER_NOT_FOUND"


class ServerStartFailed(CellwallError):
    """`local` could not start a server; `details["log"]` has its last lines."""

    code = "SERVER_START_FAILED"


class ProtocolError(CellwallError):
    """The server's answer is not one that the agent protocol allows."""

    code = "PROTOCOL_ERROR"


class ClientClosed(CellwallError):
    """The client was closed, or was made in the process that this one was forked from."""

    code = "CLIENT_CLOSED"


class ExecutionFailed(CellwallError):
    """Raised by `Execution.raise_for_error` alone: the code failed or was ended."""

    code = "EXECUTION_FAILED"

    def __init__(self, execution: Execution, message: str) -> None:
        super().__init__(message)
        self.execution = execution


# Refusals of the server. The code is made of the class's name.


class RefusedError(CellwallError):
    """The server refused the request; codes that this package does not know, too."""

    code = "REFUSED"
    by_code: ClassVar[dict[str, type[RefusedError]]] = {}

    def __init_subclass__(cls) -> None:
        words = "".join(f"_{c}" if c.isupper() else c.upper() for c in cls.__name__)
        cls.code = words[1:]
        RefusedError.by_code[cls.code] = cls


class InvalidArgument(RefusedError):
    """A member is missing, unknown, of a wrong type or out of bounds."""


class UnknownRequest(RefusedError):
    """The server does not know this request: it is older than this package."""


class ContextNotFound(RefusedError):
    """There is no such context of this owner."""


class StaleContext(RefusedError):
    """The context's interpreter was replaced: its variables are gone. `refresh` the
    context to go on with the fresh one."""


class ContextDeleted(RefusedError):
    """The context was deleted while the request waited."""


class ExecutionNotFound(RefusedError):
    """There is no such execution of this owner, or not any more."""


class LanguageNotFound(RefusedError):
    """No runtime of the server has this language."""


class NameTaken(RefusedError):
    """Another context has the name."""


class LimitTooHigh(RefusedError):
    """A limit is above what the server allows."""


class QuotaExceeded(RefusedError):
    """This owner has as many contexts or executions as it may."""


class QueueFull(RefusedError):
    """Too many executions wait in this context."""


class ContextBusy(RefusedError):
    """`reject_if_busy` was set, and something runs."""


class RateLimited(RefusedError):
    """Too many requests a second."""


class TooLarge(RefusedError):
    """The request or the file is larger than it may be."""


class StartFailed(RefusedError):
    """The interpreter could not be started."""


class Cancelled(RefusedError):
    """The execution was cancelled while it waited."""


class Aborted(RefusedError):
    """An earlier execution failed with `stop_on_error`, or the interpreter was replaced
    while this one waited."""


class NotAllowed(RefusedError):
    """The server's configuration forbids it."""


class NotWaiting(RefusedError):
    """The execution does not wait for input."""


class FileNotFound(RefusedError):
    """There is no such file in the workspace."""


class FileExists(RefusedError):
    """There is such a file already."""


class NotAFile(RefusedError):
    """The path is of something else than a file."""


class IsADirectory(RefusedError):
    """The path is of a directory."""


class NotEmpty(RefusedError):
    """The directory is not empty; see `recursive`."""


class PathInvalid(RefusedError):
    """The path leads out of the workspace, or cannot be one."""


class NoSpace(RefusedError):
    """The workspace is full."""


class PermissionDenied(RefusedError):
    """The code has taken the permissions of the file away."""


class FilesUnavailable(RefusedError):
    """The context has no workspace that the server can see."""


class ServerStopping(RefusedError):
    """The server ends."""


class InternalError(RefusedError):
    """A failure of the server's own; its log says more."""


def refusal(content: dict[str, Any]) -> RefusedError:
    """The exception for a reply's CONTENT that has a code."""

    def text(name: str) -> str:
        value = content.get(name)
        return value if isinstance(value, str) else ""

    code = text("code")
    details = content.get("details")
    error = RefusedError.by_code.get(code, RefusedError)(
        text("message") or f"the server refused the request: {code[:100]}",
        suggestion=text("suggestion"),
        details=details if isinstance(details, dict) else None,
    )
    if type(error) is RefusedError:
        error.code = code or RefusedError.code
    return error
