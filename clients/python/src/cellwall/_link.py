# SPDX-License-Identifier: MIT
"""The socket of a client, and the one thread that touches it.

Others hand their requests to that thread through a queue without locks, so that this may
be done anywhere: in a destructor, in a signal handler, under another lock.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import zmq
from zmq.utils.monitor import recv_monitor_message

from ._core import Call, Core, Frames, Item
from ._errors import (
    CellwallError,
    ClientClosed,
    ConnectionLost,
    NotAllowed,
    ServerNotFound,
)
from ._finding import ServerFile
from ._wire import MESSAGE_BYTES_MAX, Wire

_LINGER_MS = 1000
_AUTH = zmq.EVENT_HANDSHAKE_FAILED_AUTH
_HANDSHAKE = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_MONITORED = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED | _AUTH | _HANDSHAKE


class Link:
    """A connection to one server, for any number of threads."""

    def __init__(self, server: ServerFile, request_timeout: float) -> None:
        self.server = server
        self._pid = os.getpid()
        self._core = Core(Wire(server.key), request_timeout)
        self._posted: deque[Callable[[], None]] = deque()
        self._unsent: deque[Frames] = deque()
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self._is_closing = False
        self._has_ended = False
        self._refused: CellwallError | None = None
        self.why_lost: Callable[[ConnectionLost], CellwallError] = lambda error: error
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._socket = self._new_socket()
            self._monitor = self._socket.get_monitor_socket(_MONITORED)
            self._connect()  # after that: a refusal may come at once, and comes once
        except BaseException:
            self._context.destroy(linger=0)
            self._ours.close()
            self._theirs.close()
            raise
        self._thread = threading.Thread(
            target=self._serve, name="cellwall-client", daemon=True
        )
        self._thread.start()

    def _new_socket(self) -> zmq.Socket[bytes]:
        dealer = self._context.socket(zmq.DEALER)
        dealer.linger = _LINGER_MS
        dealer.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
        dealer.setsockopt(zmq.RECONNECT_IVL, 100)
        dealer.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        server = self.server
        if server.server_public_key:
            if not server.public_key or not server.secret_key:
                raise ServerNotFound(
                    f"{server.path} has no key of this client's own",
                    suggestion='make one with "cellwall keygen --client"',
                )
            dealer.curve_serverkey = server.server_public_key
            dealer.curve_publickey = server.public_key
            dealer.curve_secretkey = server.secret_key
        return dealer

    def _connect(self) -> None:
        endpoint = self.server.endpoint
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise ConnectionLost(f"{endpoint}: {error.strerror}") from None

    # For any thread.

    def prepare(
        self,
        kind: str,
        content: dict[str, Any],
        buffers: Sequence[bytes] = (),
        *,
        deliver: Callable[[Item], None],
        wants_events: bool,
    ) -> Call:
        """A request that is not sent yet."""
        id, frames = self._core.wire.build(kind, content, buffers)
        return Call(kind, id, frames, deliver, wants_events=wants_events)

    def begin(self, call: Call) -> None:
        """Sends a request; its `deliver` gets what comes of it, in the link's thread."""
        self._check()
        self._post(lambda: self._begin(call))
        if self._has_ended:  # maybe before it saw this one
            call.deliver(ClientClosed("the client was closed"))

    def abandon(self, call: Call) -> None:
        """Nobody waits for CALL any more: code that it runs is interrupted."""
        if not self._is_closing and self._pid == os.getpid():
            self._post(lambda: self._unsent.extend(self._core.abandon(call)))

    def send(self, kind: str, content: dict[str, Any]) -> None:
        """Sends a message that has no reply."""
        self._check()
        frames = self._core.wire.build(kind, content)[1]
        self._post(lambda: self._unsent.append(frames))

    def close(self) -> None:
        """Sends what was to be sent and ends the thread. May be repeated."""
        if self._pid != os.getpid():
            return  # the thread and the sockets are the parent's
        self._is_closing = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _check(self) -> None:
        if self._pid != os.getpid():
            raise ClientClosed(
                "the client was made before this process was forked",
                suggestion="make a client in each process",
            )
        if self._is_closing:
            raise ClientClosed("the client is closed")

    def _post(self, action: Callable[[], None]) -> None:
        self._posted.append(action)
        self._wake()

    def _wake(self) -> None:
        try:
            self._ours.send(b"\0")
        except BlockingIOError:
            pass  # it has enough to wake up for
        except OSError:
            pass  # it has ended

    # For the link's own thread.

    def _begin(self, call: Call) -> None:
        if self._refused is not None:
            call.deliver(self._refused)
            return
        self._core.begin(call, time.monotonic())
        self._unsent.append(call.frames)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        poller.register(self._theirs.fileno(), zmq.POLLIN)
        try:
            while not self._is_closing:
                wanted = zmq.POLLIN | (zmq.POLLOUT if self._unsent else 0)
                poller.modify(self._socket, wanted)
                self._turn(dict(poller.poll(self._wait_ms())))
        finally:
            self._is_closing = self._has_ended = True
            self._end()

    def _turn(self, ready: Mapping[Any, int]) -> None:
        if self._socket in ready:
            self._receive()
        if self._monitor in ready:
            self._observe()
        if self._theirs.fileno() in ready:
            self._take_posted()
        if self._unsent:
            self._flush()
        self._core.expire(time.monotonic())

    def _wait_ms(self) -> int | None:
        deadline = self._core.deadline()
        if deadline is None:
            return None
        return max(0, int((deadline - time.monotonic()) * 1000) + 1)

    def _take_posted(self) -> None:
        try:
            self._theirs.recv(4096)  # before the look: what comes later wakes again
        except BlockingIOError:
            pass
        while self._posted:
            self._posted.popleft()()

    def _receive(self) -> None:
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._unsent.extend(self._core.receive(frames, time.monotonic()))

    def _flush(self) -> None:
        while self._unsent:
            try:
                self._socket.send_multipart(self._unsent[0], zmq.NOBLOCK)
            except zmq.Again:
                return
            self._unsent.popleft()

    def _observe(self) -> None:
        """What became of the connection itself: known long before silence shows it."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            endpoint = self.server.endpoint
            if event == zmq.EVENT_DISCONNECTED:
                self._receive()  # what came before it
                self._lose(f"the server at {endpoint} has closed the connection")
            elif event & _AUTH:
                self._refused = NotAllowed(
                    f"the server at {endpoint} does not know this client's key",
                    suggestion='"cellwall keygen --client" authorises one',
                )
                self._core.fail(self._refused)
            elif event & _HANDSHAKE:
                self._lose(f"the handshake with {endpoint} failed")
            elif event == zmq.EVENT_CONNECT_RETRIED:
                self._lose(f"no server answers at {endpoint}")

    def _lose(self, message: str) -> None:
        if not self._core.is_idle:
            self._core.fail(self.why_lost(ConnectionLost(message)))

    def _end(self) -> None:
        self._take_posted()
        self._flush()
        self._core.fail(ClientClosed("the client was closed"))
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close()
        self._context.term()
        self._ours.close()
        self._theirs.close()
