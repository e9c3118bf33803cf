# SPDX-License-Identifier: MIT
"""How the server is found, and which files are trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cellwall import ServerNotFound, find_server
from cellwall._finding import server_folder

DOCUMENT = {
    "endpoint": "ipc:///run/user/1/cellwall/agent.sock",
    "key": "0123",
    "signature_scheme": "hmac-sha256",
    "pid": 7,
}


def write(folder: Path, mode: int = 0o600, **members: object) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "server.json"
    path.write_text(json.dumps({**DOCUMENT, **members}))
    path.chmod(mode)
    return path


def test_file_in_the_runtime_folder_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "cellwall")
    found = find_server(environ={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert found.path == path
    assert found.endpoint == DOCUMENT["endpoint"]
    assert found.key == b"0123"  # its characters, not decoded


def test_without_a_runtime_folder_the_temporary_one_is_used(tmp_path: Path) -> None:
    write(tmp_path / f"cellwall-{os.geteuid()}")
    for runtime in ("", "relative", str(tmp_path / "missing")):
        environ = {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": runtime}
        assert find_server(environ=environ).key == b"0123"
    assert server_folder({}) == Path(f"/tmp/cellwall-{os.geteuid()}")


def test_runtime_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    folder = server_folder({"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": "/var/tmp"})
    assert folder == Path(f"/var/tmp/cellwall-{somebody}")


def test_variable_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere")
    environ = {"CELLWALL_SERVER": str(path), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert find_server(environ=environ).path == path
    other = write(tmp_path / "other", key="4567")
    assert find_server(other, environ=environ).key == b"4567"


def test_variable_may_say_none() -> None:
    with pytest.raises(ServerNotFound, match="no server"):
        find_server(environ={"CELLWALL_SERVER": "none"})


def test_missing_server_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ServerNotFound, match="cellwall serve") as raised:
        find_server(environ={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert raised.value.code == "SERVER_NOT_FOUND"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "cellwall", mode=mode)
    with pytest.raises(ServerNotFound, match="open to other users"):
        find_server(path)


def test_folder_that_others_can_use_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "cellwall")
    (tmp_path / "cellwall").chmod(0o755)
    with pytest.raises(ServerNotFound, match="open to other users"):
        find_server(environ={"XDG_RUNTIME_DIR": str(tmp_path)})


def test_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "real")
    (tmp_path / "cellwall").symlink_to(tmp_path / "real")
    with pytest.raises(ServerNotFound, match="not a folder"):
        find_server(environ={"XDG_RUNTIME_DIR": str(tmp_path)})


def test_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "cellwall")
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with pytest.raises(ServerNotFound, match="not a file of this user"):
        find_server(path)


def test_fifo_is_refused_without_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ServerNotFound, match="not a file"):
        find_server(tmp_path / "fifo")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"endpoint": 1}',
        '{"endpoint": "ipc://x", "key": 5}',
        '{"endpoint": "ipc://x", "signature_scheme": "md5"}',
        "[" * 100_000,
        " " * (300 * 1024),
    ],
)
def test_malformed_file_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "cellwall")
    path.write_text(text)
    with pytest.raises(ServerNotFound):
        find_server(path)


def test_keys_are_not_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "cellwall", secret_key="hidden", key="hidden")
    assert "hidden" not in repr(find_server(path))
