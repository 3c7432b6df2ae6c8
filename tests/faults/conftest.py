"""A server on a real socket, in each way in which it can serve one, and clients that treat it badly."""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trustme

from triows import Disconnect, Triows, request, websocket
from triows.server.listeners import open_listeners
from triows.server.serving import Server

from ..support import tls
from ..support.wire import Wire

RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes close() a reset


@dataclass
class Mode:
    """How a server serves: whether with the reactor, and over TLS."""

    name: str
    use_reactor: bool
    server_context: ssl.SSLContext | None
    client_context: ssl.SSLContext


class Client(Wire):
    """A client on a socket, perhaps with TLS between."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        super().__init__(stream)
        self.transport = stream if isinstance(stream, trio.SocketStream) else stream.transport_stream

    async def reset(self) -> None:
        """Close the socket with a reset."""
        self.transport.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        await self.transport.aclose()

    async def vanish(self) -> None:
        """Close the socket in order, without a word of any protocol above it."""
        await self.transport.aclose()


@dataclass
class Target:
    """A running server of :func:`make_app`.

    :ivar disconnects: what each handler found when it ended.
    """

    server: Server
    mode: Mode
    app: Triows
    disconnects: list[Disconnect | None] = field(default_factory=list)
    path: str | None = None  # of its Unix socket

    async def connect_socket(self) -> trio.SocketStream:
        if self.path is not None:
            return await trio.open_unix_socket(self.path)
        return await trio.open_tcp_stream("127.0.0.1", self.server.port)

    async def connect(self) -> Client:
        transport = await self.connect_socket()
        if self.mode.server_context is None:
            return Client(transport)
        stream = trio.SSLStream(transport, self.mode.client_context, server_hostname="localhost", https_compatible=True)
        await stream.do_handshake()
        return Client(stream)

    async def until(self, connections: int) -> None:
        """Wait until the server has so many connections."""
        with trio.fail_after(20):
            while self.server.connections != connections:
                await trio.sleep(0)

    async def until_handlers_ended(self, count: int = 1) -> None:
        with trio.fail_after(20):
            while len(self.disconnects) < count:
                await trio.sleep(0)

    def kinds(self) -> list[str | None]:
        return [None if disconnect is None else disconnect.kind for disconnect in self.disconnects]

    async def serves(self) -> None:
        """See that the server serves others as if nothing had happened, and has forgotten those before them."""
        await self.until(0)
        client = await self.connect()
        await client.handshake("/echo")
        await client.send_text("still there?")
        assert (await client.read_frame())[1] == b"still there?"
        await client.vanish()
        await self.until(0)


def make_app(disconnects: list[Disconnect | None], **limits: Any) -> Triows:
    app = Triows(__name__, **limits)

    @app.route("/")
    async def index() -> str:
        return "hello"

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.websocket("/ws")
    async def ws() -> None:
        try:
            async for message in websocket:
                await websocket.send(message)
        finally:
            disconnects.append(websocket.disconnect)

    @app.websocket("/push")
    async def push() -> None:
        try:
            while True:
                await websocket.send(b"x" * 16384)
        finally:
            disconnects.append(websocket.disconnect)

    @app.post("/body")
    async def body() -> str:
        try:
            return str(len(await request.get_data()))
        finally:
            disconnects.append(request.disconnect)

    @app.route("/stream")
    async def stream() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 16384
        finally:
            disconnects.append(request.disconnect)

    @app.route("/wait")
    async def wait() -> str:
        try:
            await trio.sleep_forever()
        finally:
            disconnects.append(request.disconnect)

    @app.route("/large")
    async def large() -> bytes:
        return b"x" * 8_000_000

    return app


@asynccontextmanager
async def target_of(mode: Mode, *, path: str | None = None, **limits: Any) -> AsyncIterator[Target]:
    """Serve while the block runs, over TCP or at this Unix socket, then see that no task is left."""
    disconnects: list[Disconnect | None] = []
    app = make_app(disconnects, **limits)
    async with trio.open_nursery() as nursery:
        listeners = await open_listeners("127.0.0.1" if path is None else f"unix:{path}", 0)
        server = Server(app, ssl_context=mode.server_context, use_reactor=mode.use_reactor)
        await nursery.start(server.run, listeners)
        yield Target(server, mode, app, disconnects, path)
        await _until_idle(server)
        server.shutdown()


async def _until_idle(server: Server) -> None:
    """Wait until nothing is left of any connection: the services without one are the timers and the reactor."""
    with trio.fail_after(20):
        while server.connections or server._connection_nursery.child_tasks or len(server._services.child_tasks) > 2:
            await trio.sleep(0)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def modes(authority: trustme.CA) -> dict[str, Mode]:
    server_context, client_context = tls.server_context(authority), tls.client_context(authority)
    return {
        name: Mode(name, name.startswith("reactor"), server_context if name.endswith("TLS") else None, client_context)
        for name in ("reactor", "tasks", "reactor TLS", "tasks TLS")
    }


@pytest.fixture(params=["reactor", "tasks", "reactor TLS", "tasks TLS"])
def mode(request: pytest.FixtureRequest, modes: dict[str, Mode]) -> Mode:
    return modes[request.param]


@pytest.fixture
async def target(mode: Mode) -> AsyncIterator[Target]:
    async with target_of(mode) as target:
        yield target


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A client's fault is none of the server's: there is no traceback, and nothing above the level of information."""
    yield
    records = [record for record in caplog.get_records("call") if record.name != "triows.access"]
    assert [record.getMessage() for record in records if record.levelno > logging.INFO] == []
