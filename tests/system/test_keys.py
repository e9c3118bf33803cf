# SPDX-License-Identifier: MIT
"""`cellwall keygen`, and a server on tcp that listens to clients with keys alone."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.system.conftest import BINARY
from tests.system.servers import TIMEOUT_S, Server

pytestmark = pytest.mark.cellwall

OWN_KEY = "0000000000000000000000000000000000000000"  # a public key, in Z85


def keygen(folder: Path, *arguments: str, umask: int = 0o022) -> tuple[int, str]:
    """Exit status, and what it says."""
    done = subprocess.run(
        [BINARY, "keygen", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        umask=umask,
    )
    return done.returncode, done.stdout + done.stderr


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with a server's file: server.keys."""
    assert keygen(tmp_path, "--server", "server.keys")[0] == 0
    return tmp_path


CLIENT = ("--client", "ann", "--server", "server.keys")
WHERE = ("--endpoint", "tcp://box.example:7777")


def test_a_servers_file_is_for_its_user_alone(tmp_path: Path) -> None:
    status, said = keygen(tmp_path, "--server", "server.keys", umask=0)
    assert status == 0
    assert mode(tmp_path / "server.keys") == 0o600
    made = json.loads((tmp_path / "server.keys").read_text())
    assert set(made) == {"public_key", "secret_key", "key"}
    assert zmq.curve_public(made["secret_key"].encode()).decode() == made["public_key"]
    assert re.fullmatch("[0-9a-f]{64}", made["key"])
    assert made["secret_key"] not in said and made["key"] not in said


def test_no_two_servers_have_the_same_keys(keys: Path) -> None:
    assert keygen(keys, "--server", "other")[0] == 0
    one, other = (json.loads((keys / n).read_text()) for n in ("server.keys", "other"))
    assert all(one[member] != other[member] for member in one)


def test_a_clients_file_is_like_a_servers_description(keys: Path) -> None:
    server = json.loads((keys / "server.keys").read_text())
    status, said = keygen(keys, *CLIENT, *WHERE, "--authorise", "clients", umask=0)
    assert (status, mode(keys / "ann.json"), mode(keys / "clients")) == (0, 0o600, 0o600)
    made = json.loads((keys / "ann.json").read_text())
    assert made == {
        "endpoint": "tcp://box.example:7777",
        "key": server["key"],
        "signature_scheme": "hmac-sha256",
        "server_public_key": server["public_key"],
        "public_key": zmq.curve_public(made["secret_key"].encode()).decode(),
        "secret_key": made["secret_key"],
        "name": "ann",
    }
    assert (keys / "clients").read_text() == f"ann {made['public_key']}\n"
    assert made["secret_key"] not in said and server["secret_key"] not in said


def test_a_client_that_made_its_own_pair_is_only_authorised(keys: Path) -> None:
    (keys / "clients").write_text("# who may come in")  # without an end of line
    before = set(keys.iterdir())
    own = ("--client", "bob", "--public-key", OWN_KEY, "--authorise", "clients")
    assert keygen(keys, *own)[0] == 0
    assert set(keys.iterdir()) == before
    assert (keys / "clients").read_text() == f"# who may come in\nbob {OWN_KEY}\n"


def test_a_client_that_made_its_own_pair_gets_a_file_without_a_secret(
    keys: Path,
) -> None:
    assert keygen(keys, *CLIENT, *WHERE, "--public-key", OWN_KEY)[0] == 0
    made = json.loads((keys / "ann.json").read_text())
    assert made["public_key"] == OWN_KEY and "secret_key" not in made


@pytest.mark.parametrize(
    "arguments, untouched",
    [
        (("--server", "server.keys"), "server.keys"),
        ((*CLIENT, *WHERE, "-o", "server.keys"), "server.keys"),
        ((*CLIENT, *WHERE, "-o", "dangling"), "dangling"),
    ],
)
def test_nothing_is_overwritten(
    keys: Path, arguments: tuple[str, ...], untouched: str
) -> None:
    (keys / "dangling").symlink_to("nowhere")
    before = (keys / "server.keys").read_text()
    status, said = keygen(keys, *arguments)
    assert status == 1 and said.count("\n") == 1
    assert f"{untouched} is there already" in said
    assert (keys / "server.keys").read_text() == before
    assert not (keys / "nowhere").exists()


def test_a_client_that_cannot_be_authorised_gets_no_file(keys: Path) -> None:
    (keys / "clients").write_text(f"ann {OWN_KEY}\n")
    for name, text, told in (
        ("ann", f"ann {OWN_KEY}\n", "ann has a key already"),
        ("bob", "bob is here\n", "line 1"),
        ("bob", f"ann {OWN_KEY}\nann {OWN_KEY}\n", "have the same key"),
    ):
        (keys / "clients").write_text(text)
        arguments = ("--client", name, "--server", "server.keys", *WHERE)
        status, said = keygen(keys, *arguments, "--authorise", "clients")
        assert (status, said.count("\n")) == (1, 1) and told in said
        assert not (keys / f"{name}.json").exists()
        assert (keys / "clients").read_text() == text
    (keys / "clients").write_text("")
    (keys / "clients").chmod(0o666)
    status, said = keygen(keys, *CLIENT, *WHERE, "--authorise", "clients")
    assert status == 1 and "open to other users" in said
    own = ("--client", "eve", "--public-key", OWN_KEY, "--authorise", "clients")
    (keys / "clients").chmod(0o600)
    assert keygen(keys, "--client", "bob", *own[2:])[0] == 0
    status, said = keygen(keys, *own)
    assert status == 1 and "the key of bob already" in said


def test_a_file_that_failed_to_be_made_leaves_nobody_authorised(keys: Path) -> None:
    (keys / "ann.json").write_text("mine")
    assert keygen(keys, *CLIENT, *WHERE, "--authorise", "clients")[0] == 1
    assert (keys / "ann.json").read_text() == "mine"
    assert (keys / "clients").read_text() == ""


@pytest.mark.parametrize(
    "arguments, told",
    [
        ((), "--server FILE or --client NAME is missing"),
        (("--server", "new", "--endpoint", "tcp://a:1"), "--client NAME is missing"),
        (("--client", "ann"), "--server FILE is missing"),
        (CLIENT, "--endpoint ADDRESS is missing"),
        (("--client", "a/b", "--server", "server.keys", *WHERE), "letters, digits"),
        (("--client", "", "--server", "server.keys", *WHERE), "letters, digits"),
        (("--client", "a" * 64, "--server", "server.keys", *WHERE), "letters, digits"),
        ((*CLIENT, "--endpoint", "ipc:///run/a"), "tcp://HOST:PORT"),
        ((*CLIENT, "--endpoint", "tcp://*:1"), "tcp://HOST:PORT"),
        ((*CLIENT, "--endpoint", "tcp://a:*"), "tcp://HOST:PORT"),
        ((*CLIENT, "--endpoint", "tcp://a:65536"), "tcp://HOST:PORT"),
        ((*CLIENT, "--endpoint", "tcp://:1"), "tcp://HOST:PORT"),
        ((*CLIENT, "--endpoint", 'tcp://a", "x": "b:1'), "tcp://HOST:PORT"),
        (("--client", "ann", "--public-key", OWN_KEY), "--authorise FILE is missing"),
        (("--client", "ann", "--public-key", OWN_KEY[1:], "--authorise", "c"), "Z85"),
        (("--client", "ann", "--public-key", "~" * 40, "--authorise", "c"), "Z85"),
        (("--server", "new", "--no-such-option"), "--no-such-option"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    keys: Path, arguments: tuple[str, ...], told: str
) -> None:
    before = set(keys.iterdir())
    status, said = keygen(keys, *arguments)
    assert (status, said.count("\n")) == (2, 1) and told in said, said
    assert set(keys.iterdir()) == before


def test_files_that_cannot_be_used_are_told(keys: Path) -> None:
    (keys / "server.keys").chmod(0o640)
    status, said = keygen(keys, *CLIENT, *WHERE)
    assert status == 1 and "open to other users" in said
    status, said = keygen(keys, "--client", "ann", "--server", "none", *WHERE)
    assert status == 1 and "cannot open none" in said
    status, said = keygen(keys, "--server", "no/such/folder")
    assert status == 1 and "cannot create no/such/folder" in said


def test_the_help_names_all() -> None:
    said = subprocess.run(
        [BINARY, "keygen", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for word in ("--server", "--client", "--endpoint", "--authorise", "--public-key"):
        assert word in said
    assert "EXIT STATUS" in said and "EXAMPLES" in said


# A server on tcp


class Caller:
    """A client with nothing but a key file and pyzmq."""

    def __init__(self, file: Path, **changes: str | None) -> None:
        info: dict[str, Any] = {**json.loads(file.read_text()), **changes}
        self.key = info["key"].encode()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(TIMEOUT_S * 1000)
        self.socket.routing_id = os.urandom(16)
        if info["secret_key"] is not None:
            self.socket.curve_serverkey = info["server_public_key"].encode()
            self.socket.curve_publickey = info["public_key"].encode()
            self.socket.curve_secretkey = info["secret_key"].encode()
        self.socket.connect(info["endpoint"])

    def send(self, msg_type: str, content: dict[str, Any], flags: int = 0) -> None:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "session": "s",
            "username": "",
            "date": "2026-01-31T12:00:00.000000Z",
            "version": "5.5",
        }
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        signature = hmac.new(self.key, b"".join(parts), hashlib.sha256).hexdigest()
        self.socket.send_multipart([b"<IDS|MSG>", signature.encode(), *parts], flags)

    def receive(self) -> dict[str, Any]:
        while True:
            frames = self.socket.recv_multipart()
            if json.loads(frames[2])["msg_type"] != "keepalive":
                return json.loads(frames[5])

    def ask(self, msg_type: str, **content: Any) -> dict[str, Any]:
        self.send(msg_type, content)
        return self.receive()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.destroy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    assert keygen(folder, "--server", "server.keys")[0] == 0
    (folder / "clients").touch(mode=0o600)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(
        BINARY,
        *("--endpoint", "tcp://127.0.0.1:*", "--python", sys.executable, "--no-zygote"),
        *("--keys", str(folder / "server.keys")),
        *("--authorised", str(folder / "clients")),
    ) as server:
        yield server


def make_client(folder: Path, server: Server, name: str, authorised: bool = True) -> Path:
    endpoint = server.description()["endpoint"]
    arguments = ["--client", name, "--server", "server.keys", "--endpoint", endpoint]
    if authorised:
        arguments += ["--authorise", "clients"]
    status, said = keygen(folder, *arguments)
    assert status == 0, said
    return folder / f"{name}.json"


def test_a_client_with_a_key_runs_code(folder: Path, server: Server) -> None:
    with Caller(make_client(folder, server, "ann")) as ann:
        assert ann.ask("server_info_request")["status"] == "ok"
        reply = ann.ask("create_context_request")
        assert reply["status"] == "ok", reply
        assert reply["context"]["owner"] == "key:ann"
        reply = ann.ask("run_code_request", context=reply["context"]["id"], code="6 * 7")
        assert reply["results"][0]["data"]["text/plain"] == "42"


def test_the_contexts_of_one_key_are_not_anothers(folder: Path, server: Server) -> None:
    with (
        Caller(make_client(folder, server, "carl")) as carl,
        Caller(make_client(folder, server, "dora")) as dora,
    ):
        mine = carl.ask("create_context_request")["context"]["id"]
        assert dora.ask("list_contexts_request")["contexts"] == []
        reply = dora.ask("run_code_request", context=mine, code="1")
        assert reply["code"] == "CONTEXT_NOT_FOUND"
        assert carl.ask("delete_context_request", context=mine)["status"] == "ok"


def test_who_has_no_authorised_key_is_not_heard(folder: Path, server: Server) -> None:
    with (
        Caller(make_client(folder, server, "eve", authorised=False)) as eve,
        Caller(folder / "eve.json", secret_key=None) as plain,
        Caller(make_client(folder, server, "finn")) as finn,
    ):
        for stranger in (eve, plain):
            with contextlib.suppress(zmq.Again):  # it is refused before it has spoken
                stranger.send("server_info_request", {}, zmq.NOBLOCK)
        server.wait_said("refused a client at 127.0.0.1: its key is not authorised")
        assert finn.ask("server_info_request")["status"] == "ok"
        assert eve.socket.poll(0) == 0 and plain.socket.poll(0) == 0


def test_a_key_that_is_taken_away_is_not_heard_any_more(
    folder: Path, server: Server
) -> None:
    with (
        Caller(make_client(folder, server, "gina")) as gina,
        Caller(make_client(folder, server, "hugo")) as hugo,
    ):
        assert gina.ask("server_info_request")["status"] == "ok"
        assert hugo.ask("server_info_request")["status"] == "ok"
        lines = (folder / "clients").read_text().splitlines(keepends=True)
        left = [line for line in lines if not line.startswith("gina ")]
        assert len(left) == len(lines) - 1
        (folder / "clients").write_text("".join(left))
        gina.send("server_info_request", {})
        for _ in range(3):  # what gina said has come long before the last answer
            assert hugo.ask("server_info_request")["status"] == "ok"
        assert gina.socket.poll(0) == 0


def test_tcp_without_keys_is_refused_with_the_remedy() -> None:
    with Server(BINARY, "--endpoint", "tcp://127.0.0.1:*", expect_start=False) as server:
        said = server.wait_said("needs keys")
        assert "cellwall keygen" in said
        assert "--tcp-without-keys-anyone-can-run-code" in said
        assert server.wait() == 125
