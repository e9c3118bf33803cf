# SPDX-License-Identifier: MIT
"""What the server tells of itself, of contexts, executions and files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._fields import Fields

if TYPE_CHECKING:
    from typing_extensions import TypedDict

    class Limits(TypedDict, total=False):
        """Limits of a context; those that are missing are the server's defaults."""

        memory_bytes: int
        cpus: float
        processes: int
        open_files: int
        file_bytes: int
        disk_bytes: int
        disk_files: int
        tmp_bytes: int
        tmp_files: int
        output_bytes: int
        run_ms: int

else:
    Limits = dict


@dataclass(frozen=True)
class ContextState:
    """Where a run took place."""

    id: str
    epoch: int
    state: str

    @classmethod
    def parse(cls, value: object) -> ContextState:
        fields = Fields(value, "context")
        return cls(
            fields.text("id"), fields.integer("epoch"), fields.text("state", "idle")
        )


@dataclass(frozen=True)
class ContextInfo:
    """A context as the server describes it; times are ISO 8601 text."""

    id: str
    epoch: int
    state: str
    name: str | None
    language: str
    runtime: str
    owner: str
    created: str
    last_used: str
    execution_count: int
    queued: int
    labels: dict[str, str]
    cwd: str
    network: str
    workspace: str | None
    idle_timeout: float
    isolation: str
    limits: dict[str, float]
    jupyter: dict[str, Any] | None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, value: object) -> ContextInfo:
        fields = Fields(value, "context")
        return cls(
            id=fields.text("id"),
            epoch=fields.integer("epoch"),
            state=fields.text("state"),
            name=fields.text("name", None),
            language=fields.text("language"),
            runtime=fields.text("runtime", ""),
            owner=fields.text("owner", ""),
            created=fields.text("created", ""),
            last_used=fields.text("last_used", ""),
            execution_count=fields.integer("execution_count", 0),
            queued=fields.integer("queued", 0),
            labels=fields.object("labels", {}),
            cwd=fields.text("cwd", ""),
            network=fields.text("network", ""),
            workspace=fields.text("workspace", None),
            idle_timeout=fields.number("idle_timeout_s", 0),
            isolation=fields.text("isolation", ""),
            limits=fields.object("limits", {}),
            jupyter=fields.object("jupyter", None),
            raw=fields.all,
        )


@dataclass(frozen=True)
class ExecutionInfo:
    """An execution as the server describes it.

    Attributes:
        state: `queued`, `running` or `done`.
        position: how many executions are before it, the running one included.
        seq: the number of its last event.
    """

    id: str
    context_id: str
    epoch: int
    state: str
    position: int = 0
    created: str = ""
    seq: int = 0

    @classmethod
    def parse(cls, value: object) -> ExecutionInfo:
        fields = Fields(value, "execution")
        return cls(
            id=fields.text("id"),
            context_id=fields.text("context", ""),
            epoch=fields.integer("epoch", 0),
            state=fields.text("state"),
            position=fields.integer("position", 0),
            created=fields.text("created", ""),
            seq=fields.integer("seq", 0),
        )


@dataclass(frozen=True)
class FileInfo:
    """One file of a workspace.

    Attributes:
        path: relative to the workspace.
        type: `file`, `directory`, `link` or `other`.
        modified: seconds since 1970.
        mode: its permission bits.
    """

    path: str
    type: str
    size: int
    modified: float
    mode: int

    @classmethod
    def parse(cls, value: object) -> FileInfo:
        fields = Fields(value, "entry")
        return cls(
            path=fields.text("path"),
            type=fields.text("type"),
            size=fields.integer("size", 0),
            modified=fields.number("modified_ms", 0) / 1000,
            mode=fields.integer("mode", 0),
        )


@dataclass(frozen=True)
class ServerInfo:
    """What the server is and allows; `raw` has all of it."""

    version: str
    protocol: int
    owner: str
    languages: list[str]
    contexts: int
    executions: int
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, content: dict[str, Any]) -> ServerInfo:
        fields = Fields(content, "server_info_reply")
        languages = [
            Fields(item, "language").text("language")
            for item in fields.array("languages", [])
        ]
        return cls(
            version=fields.text("version"),
            protocol=fields.integer("protocol"),
            owner=fields.text("owner", ""),
            languages=languages,
            contexts=fields.integer("contexts", 0),
            executions=fields.integer("executions", 0),
            raw=content,
        )


@dataclass(frozen=True)
class Completions:
    """What can stand in place of `code[cursor_start:cursor_end]`."""

    matches: list[str]
    cursor_start: int
    cursor_end: int
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Completions:
        fields = Fields(content, "complete_reply")
        return cls(
            fields.texts("matches", []),
            fields.integer("cursor_start", 0),
            fields.integer("cursor_end", 0),
            fields.object("metadata", {}),
        )


@dataclass(frozen=True)
class Inspection:
    """What is known of a name: a MIME bundle."""

    found: bool
    data: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        value = self.data.get("text/plain")
        return value if isinstance(value, str) else ""

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Inspection:
        fields = Fields(content, "inspect_reply")
        return cls(
            fields.boolean("found", False),
            fields.object("data", {}),
            fields.object("metadata", {}),
        )


@dataclass(frozen=True)
class Completeness:
    """Whether code is `complete`, `incomplete`, `invalid` or `unknown`; `indent` is what
    the next line of incomplete code may begin with."""

    status: str
    indent: str = ""

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Completeness:
        fields = Fields(content, "is_complete_reply")
        return cls(fields.text("status"), fields.text("indent", ""))


@dataclass(frozen=True)
class JupyterConnection:
    """A Jupyter endpoint in front of a context; `file` is its connection file."""

    file: str
    connection: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, content: dict[str, Any]) -> JupyterConnection:
        fields = Fields(content, "open_jupyter_reply")
        return cls(fields.text("file"), fields.object("connection"))
