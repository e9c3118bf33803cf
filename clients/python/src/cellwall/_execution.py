# SPDX-License-Identifier: MIT
"""What a run of code led to."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._errors import ExecutionFailed, ProtocolError
from ._fields import Fields
from ._models import ContextState

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

FORMATS = {
    "text": "text/plain",
    "html": "text/html",
    "markdown": "text/markdown",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "pdf": "application/pdf",
    "latex": "text/latex",
    "json": "application/json",
    "javascript": "application/javascript",
}
"""The attributes of a `Result` and the MIME types that they stand for."""

_SUFFIXES = {
    **{f".{name}": name for name in FORMATS},
    ".txt": "text",
    ".htm": "html",
    ".md": "markdown",
    ".jpg": "jpeg",
    ".tex": "latex",
    ".js": "javascript",
}
_BINARY = ("png", "jpeg", "pdf")


def _text_of(value: object) -> str | None:
    """Text of a bundle, which may come in lines, as in a notebook's file. Code can
    display anything: what is no text is None."""
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        return "".join(value)
    return value if isinstance(value, str) else None


class Result:
    """One thing that the code displayed, in all the formats that it has.

    Text formats are str; `png`, `jpeg` and `pdf` are base64 text (`as_bytes` decodes
    them); `json` is the value itself. A format that the result does not have is None.

    Attributes:
        raw: the MIME bundle, as it came.
        metadata: what Jupyter's front ends know of it, such as the size of an image.
        is_main_result: whether it is the value of the last expression.
        display_id: the name under which the code can update it, or None.
    """

    text: str | None
    html: str | None
    markdown: str | None
    svg: str | None
    png: str | None
    jpeg: str | None
    pdf: str | None
    latex: str | None
    json: Any
    javascript: str | None

    def __init__(
        self,
        raw: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        is_main_result: bool = False,
        display_id: str | None = None,
    ) -> None:
        self.raw = raw
        self.metadata = metadata or {}
        self.is_main_result = is_main_result
        self.display_id = display_id
        for name, mime in FORMATS.items():
            value = raw.get(mime)
            setattr(self, name, value if name == "json" else _text_of(value))

    @property
    def extra(self) -> dict[str, Any]:
        """What has a MIME type that no attribute stands for, by that type."""
        known = FORMATS.values()
        return {mime: value for mime, value in self.raw.items() if mime not in known}

    def formats(self) -> list[str]:
        """The names of the attributes that it has, then the MIME types in `extra`."""
        named = [name for name in FORMATS if getattr(self, name) is not None]
        return named + list(self.extra)

    def as_bytes(self, format: str) -> bytes:
        """FORMAT, an attribute's name or a MIME type, as the bytes of a file. KeyError:
        the result does not have it."""
        mime = FORMATS.get(format, format)
        value = _text_of(self.raw[mime])
        if value is None or mime == FORMATS["json"]:
            return json.dumps(self.raw[mime], ensure_ascii=False).encode("utf-8")
        is_text = mime.startswith("text/") or mime in FORMATS.values()
        if format in _BINARY or not (is_text or mime.endswith(("+xml", "+json"))):
            try:
                return base64.b64decode(value)
            except (binascii.Error, ValueError):
                raise ProtocolError(f"{mime} is not base64") from None
        return value.encode("utf-8", "replace")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes it to PATH, in the format that its suffix says: `.png`, `.svg`, `.html`
        and so on. KeyError: the result does not have that format."""
        target = Path(path)
        format = _SUFFIXES.get(target.suffix.lower())
        if format is None or getattr(self, format) is None:
            raise KeyError(
                f"{target.suffix or 'no suffix'}: the result has {self.formats()}"
            )
        target.write_bytes(self.as_bytes(format))
        return target

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """A notebook shows the result as if its own code had displayed it."""
        return self.raw, self.metadata

    def to_dict(self) -> dict[str, Any]:
        """As in a reply of the server."""
        told: dict[str, Any] = {
            "data": self.raw,
            "metadata": self.metadata,
            "is_main_result": self.is_main_result,
        }
        if self.display_id is not None:
            told["display_id"] = self.display_id
        return told

    def __repr__(self) -> str:
        shown = self.text if self.text is not None else ""
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return f"<Result {', '.join(self.formats())}: {shown}>"

    def __str__(self) -> str:
        return self.text if self.text is not None else repr(self)

    @classmethod
    def parse(cls, value: object, *, is_main_result: bool | None = None) -> Result:
        """A member of `results`, or the content of a display message."""
        fields = Fields(value, "result")
        transient = fields.object("transient", {})
        display_id = fields.text("display_id", None) or transient.get("display_id")
        if is_main_result is None:
            is_main_result = fields.boolean("is_main_result", False)
        return cls(
            fields.object("data"),
            fields.object("metadata", {}),
            is_main_result=bool(is_main_result),
            display_id=display_id if isinstance(display_id, str) else None,
        )


@dataclass(frozen=True)
class ExecutionError:
    """The exception that the code raised.

    Attributes:
        name: its type, such as `ZeroDivisionError`.
        value: its text.
        traceback_lines: as a terminal shows them, with colours.
    """

    name: str
    value: str
    traceback_lines: list[str] = field(default_factory=list, repr=False)

    @property
    def traceback(self) -> str:
        """The whole traceback as plain text, without colours: for logs and models."""
        return _ANSI.sub("", "\n".join(self.traceback_lines))

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.value else self.name

    @classmethod
    def parse(cls, value: object) -> ExecutionError:
        fields = Fields(value, "error")
        return cls(
            fields.text("ename"), fields.text("evalue", ""), fields.texts("traceback", [])
        )


@dataclass(frozen=True)
class Reason:
    """Why the platform ended a run, and what is left.

    Attributes:
        kind: `timeout`, `memory`, `cpu`, `pids`, `disk`, `killed`, `crashed`,
            `interrupted`, `protocol` or `start`.
        state: `kept`: the variables are still there; `lost`: they are not.
        text: one sentence for a person.
        limit, observed: of the limit that was met, in its own unit.
        signal, exit_status: how the interpreter ended, if it did.
        peak_bytes: the most memory that it had, if that is why.
    """

    kind: str
    state: str
    text: str = ""
    limit: float | None = None
    observed: float | None = None
    signal: int | str | None = None
    exit_status: int | None = None
    peak_bytes: int | None = None

    @property
    def variables_lost(self) -> bool:
        return self.state == "lost"

    def __str__(self) -> str:
        return self.text or self.kind

    @classmethod
    def parse(cls, value: object) -> Reason:
        fields = Fields(value, "reason")
        signal = fields.all.get("signal")
        return cls(
            kind=fields.text("kind"),
            state=fields.text("state", "lost"),
            text=fields.text("text", ""),
            limit=fields.number("limit", None),
            observed=fields.number("observed", None),
            signal=signal if isinstance(signal, (int, str)) else None,
            exit_status=fields.integer("exit_status", None),
            peak_bytes=fields.integer("peak_bytes", None),
        )


@dataclass(frozen=True)
class Logs:
    """All text of the two streams, in order within each."""

    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True)
class Usage:
    """What a run took. None where the machine does not tell it."""

    wall_ms: float | None = None
    queued_ms: float | None = None
    cpu_ms: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class Truncation:
    """How much of an output there was, and how much of it is here."""

    total_bytes: int
    kept_bytes: int


@dataclass(frozen=True)
class Execution:
    """What one run led to.

    Attributes:
        id: its name at the server.
        results: what was displayed, in order; updates of displays are applied.
        logs: the text of stdout and stderr.
        error: the exception that ended the code, or None.
        reason: why the platform ended the run, or None. A run that timed out is not an
            exception of this package: its `reason.kind` is `timeout`.
        execution_count: the number of the run in its context.
        usage: time and memory.
        truncated: of `stdout`, `stderr` and `results`, those that are not here whole.
        user_expressions: values of the expressions that were asked for.
        context: where it ran, as it was at the end.
        exit_status: of a shell: that of its last command; other languages have None.
        missed_events: of a job's stream: how many events were not there any more.
        raw: the server's reply.
    """

    id: str
    results: list[Result]
    logs: Logs
    error: ExecutionError | None
    reason: Reason | None
    execution_count: int | None
    usage: Usage
    truncated: dict[str, Truncation]
    user_expressions: dict[str, Any]
    context: ContextState
    missed_events: int = 0
    exit_status: int | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the code came to its end without an exception."""
        return self.error is None and self.reason is None

    @property
    def text(self) -> str | None:
        """The text of the value of the last expression, or None."""
        main = (result.text for result in self.results if result.is_main_result)
        return next(main, None)

    def raise_for_error(self) -> Execution:
        """Raises ExecutionFailed when the run is not `ok`; else returns itself."""
        if self.reason is not None:
            raise ExecutionFailed(self, str(self.reason))
        if self.error is not None:
            raise ExecutionFailed(self, str(self.error))
        return self

    def to_dict(self) -> dict[str, Any]:
        """The server's reply: JSON types only."""
        return self.raw

    def to_json(self) -> str:
        """The server's reply as JSON text."""
        return json.dumps(self.raw, ensure_ascii=False)

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Execution:
        """The content of a `run_code_reply`. ProtocolError: it is none."""
        fields = Fields(content, "run_code_reply")
        logs = fields.fields("logs")
        usage = Fields(fields.object("usage", {}), "usage")
        error, reason = content.get("error"), content.get("reason")
        return cls(
            id=fields.text("execution_id", ""),
            results=[Result.parse(item) for item in fields.array("results")],
            logs=Logs(logs.text("stdout"), logs.text("stderr")),
            error=None if error is None else ExecutionError.parse(error),
            reason=None if reason is None else Reason.parse(reason),
            execution_count=fields.integer("execution_count", None),
            usage=Usage(
                wall_ms=usage.number("wall_ms", None),
                queued_ms=usage.number("queued_ms", None),
                cpu_ms=usage.number("cpu_ms", None),
                peak_memory_bytes=usage.integer("peak_memory_bytes", None),
            ),
            truncated=_parse_truncated(fields.object("truncated", {})),
            user_expressions=fields.object("user_expressions", {}),
            context=ContextState.parse(fields.object("context")),
            missed_events=fields.integer("missed_events", 0),
            exit_status=fields.integer("exit_status", None),
            raw=content,
        )


def _parse_truncated(value: dict[str, Any]) -> dict[str, Truncation]:
    found = {}
    for name, item in value.items():
        if item is None:
            continue
        fields = Fields(item, f"truncated: {name}")
        found[name] = Truncation(
            fields.integer("total_bytes"), fields.integer("kept_bytes")
        )
    return found
