# SPDX-License-Identifier: MIT
"""How the running server of this user is found: its server.json."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ._errors import CellwallError, ServerNotFound
from ._fields import Fields

_FILE_BYTES_MAX = 256 * 1024
_NOWHERE = "none"
_START_ONE = 'start one with "cellwall serve", or use cellwall.local()'


@dataclass(frozen=True)
class ServerFile:
    """What a client needs to know of a server. Keys are not shown."""

    path: Path
    endpoint: str
    key: bytes = field(repr=False)
    server_public_key: bytes = b""
    public_key: bytes = field(default=b"", repr=False)
    secret_key: bytes = field(default=b"", repr=False)


def server_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder where a server of this user writes its server.json."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        try:
            if os.stat(runtime).st_uid == os.geteuid():
                return Path(runtime, "cellwall")
        except OSError:
            pass  # there is none: as if it were not set
    temporary = environ.get("TMPDIR", "")
    if not temporary.startswith("/"):
        temporary = "/tmp"
    return Path(temporary, f"cellwall-{os.geteuid()}")


def _check(info: os.stat_result, path: Path, *, is_kind: bool, kind: str) -> None:
    if not is_kind or info.st_uid != os.geteuid():
        raise ServerNotFound(f"{path} is not a {kind} of this user")
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise ServerNotFound(f"{path} is open to other users, and it holds a key")


def _read_private(path: Path) -> bytes:
    """The bytes of a file that only this user can read and write."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ServerNotFound(
            f"no server runs: there is no {path}", suggestion=_START_ONE
        ) from None
    except OSError as error:
        raise ServerNotFound(f"{path} cannot be opened: {error.strerror}") from None
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(file.fileno())
        _check(info, path, is_kind=stat.S_ISREG(info.st_mode), kind="file")
        data = file.read(_FILE_BYTES_MAX + 1)
    if len(data) > _FILE_BYTES_MAX:
        raise ServerNotFound(f"{path} is too large to be a server's")
    return data


def read_server_file(path: Path) -> ServerFile:
    """Reads a server.json. ServerNotFound: it is missing, not private or malformed."""
    data = _read_private(path)
    try:
        fields = Fields(json.loads(data.decode("utf-8")), str(path))
        scheme = fields.text("signature_scheme", "hmac-sha256")
        if scheme != "hmac-sha256":
            raise ServerNotFound(f"{path}: signature scheme {scheme!r:.100} is not known")
        return ServerFile(
            path=path,
            endpoint=fields.text("endpoint"),
            key=fields.text("key", "").encode("utf-8"),
            server_public_key=fields.text("server_public_key", "").encode("utf-8"),
            public_key=fields.text("public_key", "").encode("utf-8"),
            secret_key=fields.text("secret_key", "").encode("utf-8"),
        )
    except (ValueError, RecursionError) as error:
        raise ServerNotFound(f"{path} is malformed: {error}") from None
    except ServerNotFound:
        raise
    except CellwallError as error:
        raise ServerNotFound(error.message) from None


def find_server(
    named: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ
) -> ServerFile:
    """The server.json NAMED, else the one of `CELLWALL_SERVER`, else the one in this
    user's runtime folder. It is not tried whether the server is alive."""
    chosen = named or environ.get("CELLWALL_SERVER")
    if chosen == _NOWHERE:
        raise ServerNotFound("CELLWALL_SERVER says to ask no server")
    if chosen:
        return read_server_file(Path(chosen))
    folder = server_folder(environ)
    try:
        info = os.lstat(folder)
    except OSError:
        raise ServerNotFound(
            f"no server runs for this user: there is no {folder}/server.json",
            suggestion=_START_ONE,
        ) from None
    _check(info, folder, is_kind=stat.S_ISDIR(info.st_mode), kind="folder")
    return read_server_file(folder / "server.json")
