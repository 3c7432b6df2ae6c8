"""Where operations are tried: a running server on each transport, and what can befall a connection of its."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from time import perf_counter
from typing import Any

import trio
import trustme

from triows import Triows
from triows.asgi.websocket import _timers_of_this_run
from triows.server.serving import Server
from triows.testing.streams import MemoryStream, memory_stream_pair

from ..support import tls
from ..support.wire import TEXT, close_frame, frame
from .peers import ASGIPeer, Peer, WirePeer

NATIVE = ["memory", "tcp", "tasks", "tls", "tls-tasks"]
TRANSPORTS = [*NATIVE, "asgi"]
VIRTUAL = ["memory", "asgi"]  # those that can be on a virtual clock

_PATIENCE = 60  # seconds
_KERNEL_BUFFER = 16384  # bytes: so that a client which does not read is soon felt


class Stage:
    """A running server and its clients.

    :ivar kind: the name of the transport.
    :ivar handling: when it is set, what runs the app's own callable for each connection.
    """

    def __init__(self, kind: str, app: Triows, nursery: trio.Nursery, server: Server | None) -> None:
        self.kind = kind
        self.app = app
        self.server = server
        self.port = 0
        self.client_context: ssl.SSLContext | None = None
        self._nursery = nursery

    async def open(self) -> trio.abc.Stream:
        """A stream to the server."""
        assert self.server is not None
        if self.kind == "memory":
            mine, its = memory_stream_pair()
            self._nursery.start_soon(self.server.serve_stream, its)
            return mine
        client = trio.socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)
        await client.connect(("127.0.0.1", self.port))
        stream = trio.SocketStream(client)
        if self.client_context is None:
            return stream
        secure = trio.SSLStream(stream, self.client_context, server_hostname="localhost", https_compatible=True)
        await secure.do_handshake()
        return secure

    @asynccontextmanager
    async def websocket(self) -> AsyncIterator[Peer]:
        """A client of a websocket, to its end. Nothing may be left behind then."""
        tasks = living()
        if self.server is None:
            peer: Peer = ASGIPeer(self.app)
        else:
            peer = WirePeer(await self.open())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)  # type: ignore[attr-defined]
            yield peer
        await self.wait_gone(tasks)

    async def wait_gone(self, tasks: int) -> None:
        """Wait until the server has forgotten its clients, and no task is left but those that were there before."""
        began = perf_counter()
        while (self.server is not None and self.server.connections) or living() > tasks:
            assert perf_counter() - began < 20, f"left behind: {living() - tasks} tasks"
            await trio.lowlevel.checkpoint()

    # What befalls a connection, without waiting

    def befall(self, fault: str, peer: Peer) -> None:
        """Let the only connection end in this way, now."""
        if isinstance(peer, ASGIPeer):
            _ASGI_FAULTS[fault](peer)
            return
        _FAULTS[fault](self._http())

    def feed(self, data: bytes) -> None:
        """Let these bytes arrive at the only connection, now."""
        _feed(data, self._http())

    def _http(self) -> Any:
        assert self.server is not None
        (http,) = self.server._connections
        return http


def leave(peer: Peer, *, reset: bool) -> None:
    """Let the client go away by itself: in the middle of whatever it does, with a reset or without."""
    assert isinstance(peer, WirePeer)
    stream = peer.stream
    if isinstance(stream, MemoryStream):
        if reset:
            stream.reset()
        else:
            stream.close()
        return
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    assert isinstance(stream, trio.SocketStream)
    if reset:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


def living() -> int:
    return trio.lowlevel.current_statistics().tasks_living


def _feed(data: bytes, http: Any) -> None:
    if http.link.receiver is not None:  # else the end has come already
        http.link.receiver.data_received(data)


def _lose(http: Any) -> None:
    if http.link.receiver is not None:
        http.link.receiver.link_lost()


def _time_out(http: Any) -> None:
    if http.link.receiver is not None:
        http.link.receiver.time_out("no sign of life")


_FAULTS: dict[str, Callable[[Any], None]] = {
    "closed": partial(_feed, close_frame(1001, "bye")),
    "lost": _lose,
    "protocol_error": partial(_feed, frame(TEXT, b"unmasked", masked=False)),
    "timeout": _time_out,
    "shutdown": lambda http: http.shut_down(),
}
# An ASGI server keeps the protocol to itself, and cancels the app when it shuts down.
_ASGI_FAULTS: dict[str, Callable[[ASGIPeer], None]] = {
    "closed": lambda peer: peer.give("websocket.disconnect", code=1001, reason="bye"),
    "lost": lambda peer: peer.give("websocket.disconnect", code=1006),
    "protocol_error": lambda peer: peer.give("websocket.receive", bytes=bytes(3_000_000)),
}
REASONS = {
    "closed": "websocket disconnected: 1001 going away: bye",
    "lost": "websocket disconnected: 1006 abnormal closure",
    "protocol_error": "websocket disconnected: 10",
    "timeout": "websocket disconnected: 1006 abnormal closure: no sign of life",
    "shutdown": "websocket disconnected: 1001 going away",
}


def faults_of(kind: str) -> list[str]:
    return [*(_ASGI_FAULTS if kind == "asgi" else _FAULTS)]


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        # Both are handed on to the clients' sockets.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        yield listening


@asynccontextmanager
async def stage(kind: str, app: Triows, authority: trustme.CA | None, *, virtual: bool = False) -> AsyncIterator[Stage]:
    """Serve the app on a transport. It must not have ended when the block does, and ends then in order."""
    if kind == "asgi":
        _timers_of_this_run()  # a task that stays for the whole run
        async with trio.open_nursery() as nursery:
            with trio.fail_after(10_000 if virtual else _PATIENCE):
                yield Stage(kind, app, nursery, None)
        return
    server_context = client_context = None
    if kind.startswith("tls"):
        assert authority is not None
        server_context, client_context = tls.server_context(authority), tls.client_context(authority)
    async with trio.open_nursery() as nursery:
        server = Server(app, ssl_context=server_context, use_reactor=not kind.endswith("tasks"), access_log=False)
        result = Stage(kind, app, nursery, server)
        result.client_context = client_context
        with trio.fail_after(10_000 if virtual else _PATIENCE), _listening() as listening:
            listeners = []
            if kind != "memory":
                result.port = listening.getsockname()[1]
                listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup())))
            await nursery.start(server.run, listeners)
            yield result
            server.shutdown()
