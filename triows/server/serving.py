"""Servers: listeners, the tasks around connections, and the order in which everything ends.

The scopes, from outside in: the app's own life (lifespan), services (reactor, timers, links), connections, one task
each. They end from the inside out, so that a handler's ``finally:`` can still use its socket, and the app's shutdown
comes when no handler runs any more. Cancelling :func:`serve` is asking for an orderly shutdown too: the connections
are shielded from it and get ``shutdown_timeout`` to end.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import trio

from ..connection import Connection
from ..limits import ServerLimits, WebSocketLimits
from ..waiting import Timers
from . import reactor
from .framing import head_bytes
from .http1 import Endpoints, HTTP1Connection, Service
from .link import Link
from .socket_link import SocketLink
from .stream_link import StreamLink
from .tls import TLSLink

logger = logging.getLogger("triows.error")

_ACCEPT_AT_ONCE = 64
_BACKLOG = 1024
_PAUSE_WITHOUT_DESCRIPTORS = 0.1  # seconds
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_KEPT_MEMORY = 8 * 1024 * 1024
_ALL_ADDRESSES = ("0.0.0.0", "::")
_UNIX_PREFIX = "unix:"


class App(Protocol):
    """What a server needs of an app."""

    @property
    def limits(self) -> ServerLimits: ...
    def handle(self, connection: Connection) -> Awaitable[None]: ...
    def serving(self) -> AbstractAsyncContextManager[object]: ...
    def websocket_limits(self) -> WebSocketLimits: ...


class Server:
    """A running server.

    :ivar addresses: where it listens, as the sockets name it: ``(host, port)``, or a path for a Unix socket.
    """

    def __init__(
        self,
        app: App,
        *,
        ssl_context: ssl.SSLContext | None = None,
        access_log: bool = True,
        use_reactor: bool | None = None,
    ) -> None:
        self.addresses: list[tuple[str, int] | str] = []
        self._app = app
        self._ssl_context = ssl_context
        self._timers = Timers()
        self._use_reactor = reactor.AVAILABLE if use_reactor is None else use_reactor
        self._reactor: reactor.Reactor | None = None
        self._connections: set[HTTP1Connection] = set()
        self._asked_to_stop = trio.Event()
        self._connection_nursery: trio.Nursery
        self._services: trio.Nursery
        self._last_complaint = -math.inf
        self.service = Service(
            handle=app.handle,
            limits=app.limits,
            websocket_limits=app.websocket_limits(),
            timers=self._timers,
            access_log=access_log,
            begin=lambda connection: self._connection_nursery.start_soon(connection.serve),
            gone=self._connections.discard,
        )

    @property
    def port(self) -> int:
        """The port of the first TCP listener."""
        for address in self.addresses:
            if not isinstance(address, str):
                return address[1]
        raise RuntimeError("this server has no TCP listener")

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    def shutdown(self) -> None:
        """Ask for an orderly shutdown: no new clients, then the connections, then the app. Returns at once."""
        self._asked_to_stop.set()

    # Life

    async def run(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until asked to stop or cancelled; returns, or is cancelled, when everything has ended."""
        _keep_freed_memory()
        async with trio.open_nursery() as nursery:
            await nursery.start(self._run_services)
            try:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        self.addresses.append(_address(listener))
                        accepting.start_soon(self._accept_from, listener)
                    task_status.started(self)
                    await self._asked_to_stop.wait()
                    accepting.cancel_scope.cancel()
            finally:
                self._stop()

    async def run_stream(self, stream: trio.abc.Stream) -> None:
        """Serve the one client at the other end of a stream until it is gone."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._run_services)
            try:
                await self.serve_stream(stream)
            finally:
                self._stop()

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve a client over a stream, beside those that this running server accepts, until it is gone.

        Cancelled, it leaves the client to the server, whose shutdown ends it.
        """
        ended = trio.Event()

        async def run() -> None:
            try:
                await self._run_stream(stream)
            finally:
                ended.set()

        self._connection_nursery.start_soon(run)
        await ended.wait()

    async def _run_stream(self, stream: trio.abc.Stream) -> None:
        link = StreamLink(stream, self._timers)
        await self._services.start(link.run)
        await self._connect(link, _stream_endpoints(stream)).serve()

    async def _run_services(self, task_status: trio.TaskStatus[None]) -> None:
        """Everything that an outer cancellation must not tear down before the connections have ended."""
        # Not yet behind the shield: cancelled while it starts this, the server would wait for it forever.
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):
            try:
                async with trio.open_nursery() as self._services:
                    self._services.start_soon(self._timers.run)
                    if self._use_reactor:
                        self._reactor = reactor.Reactor()
                        self._services.start_soon(self._reactor.run)
                    async with trio.open_nursery() as self._connection_nursery:
                        task_status.started()
                        await self._asked_to_stop.wait()
                    self._services.cancel_scope.cancel()
            finally:
                if self._reactor is not None:
                    self._reactor.close()

    def _stop(self) -> None:
        """Begin the shutdown: let every connection end, and bound the time that they have for it."""
        self._asked_to_stop.set()
        timeout = self._app.limits.shutdown_timeout
        if timeout is not None:
            self._connection_nursery.cancel_scope.deadline = trio.current_time() + timeout
        for connection in list(self._connections):
            connection.shut_down()

    # Clients

    async def _accept_from(self, listener: trio.abc.Listener[Any]) -> None:
        async with listener:
            if isinstance(listener, trio.SocketListener):
                await self._accept_sockets(listener)
            else:
                while True:
                    stream = await listener.accept()
                    self._connection_nursery.start_soon(self._run_stream, stream)

    async def _accept_sockets(self, listener: trio.SocketListener) -> None:
        # A second descriptor for the same socket, to accept many clients a wake-up without Trio's stream for each.
        with socket.socket(fileno=os.dup(listener.socket.fileno())) as listening:
            own = listening.getsockname()
            server = None if own[0] in _ALL_ADDRESSES else _own_name(own)
            if listening.family != socket.AF_UNIX:
                # Linux hands this on to the sockets of the clients.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                await trio.lowlevel.wait_readable(listening)
                try:
                    for _ in range(_ACCEPT_AT_ONCE):
                        client, address = listening.accept()
                        self._welcome(client, address, server)
                except BlockingIOError:
                    pass
                except ConnectionAbortedError:
                    pass  # that client is gone; the next may not be
                except OSError as error:
                    if error.errno not in _NO_DESCRIPTORS:
                        raise
                    self._complain(error)
                    await trio.sleep(_PAUSE_WITHOUT_DESCRIPTORS)

    def _complain(self, error: OSError) -> None:
        """Say that no client can be accepted now, once a second at most."""
        if trio.current_time() - self._last_complaint >= 1:
            self._last_complaint = trio.current_time()
            logger.error("cannot accept clients (%s); trying on", error.strerror)

    def _welcome(self, client: socket.socket, address: Any, server: tuple[str, int | None] | None) -> None:
        """Serve a client that connected to ``server``, which is None where that is for its socket to tell."""
        if len(self._connections) >= self._app.limits.max_connections:
            _turn_away(client)
            return
        client.setblocking(False)
        if client.family != socket.AF_UNIX and sys.platform != "linux":
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._reactor is None:
            self._connection_nursery.start_soon(self._serve_by_tasks, client)
            return
        if server is None:
            server = _own_name(client.getsockname())
        endpoints = Endpoints(_client_name(address), server, self._ssl_context is not None)
        if self._ssl_context is not None:
            link: Link = TLSLink(client, self._reactor, self._timers, self._ssl_context)
        else:
            link = SocketLink(client, self._reactor, self._timers)
        self._connect(link, endpoints)

    async def _serve_by_tasks(self, client: socket.socket) -> None:
        stream: trio.abc.Stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
        if self._ssl_context is not None:
            stream = trio.SSLStream(stream, self._ssl_context, server_side=True, https_compatible=True)
        await self._run_stream(stream)

    def _connect(self, link: Link, endpoints: Endpoints) -> HTTP1Connection:
        """Make a client's connection; it is among those of the server until it has ended."""
        connection = HTTP1Connection(link, self.service, endpoints)
        self._connections.add(connection)
        if self._asked_to_stop.is_set():
            connection.shut_down()
        return connection


def _keep_freed_memory() -> None:
    """Let the process keep freed memory, up to twice this size, instead of giving it back after each large message.

    glibc takes the largest block that was ever freed as its measure (mallopt(3), M_MMAP_THRESHOLD); the block itself is
    never touched. Without this, most of the time of a message of 1 MiB goes into page faults. Elsewhere it does
    nothing.
    """
    bytes(_KEPT_MEMORY)


def _turn_away(client: socket.socket) -> None:
    """There are too many clients: say so as far as that goes without waiting."""
    with client:
        client.setblocking(False)
        try:
            client.send(
                head_bytes(503, [(b"retry-after", b"10"), (b"content-length", b"0"), (b"connection", b"close")])
            )
        except OSError:
            pass  # the client would not have heard it


def _address(listener: object) -> tuple[str, int] | str:
    while isinstance(listener, trio.SSLListener):
        listener = listener.transport_listener
    return _name(listener.socket.getsockname()) if isinstance(listener, trio.SocketListener) else repr(listener)


def _name(address: Any) -> tuple[str, int] | str:
    return (address[0], address[1]) if isinstance(address, tuple) else os.fsdecode(address)


def _client_name(address: Any) -> tuple[str, int] | None:
    return (address[0], address[1]) if isinstance(address, tuple) else None


def _own_name(address: Any) -> tuple[str, int | None]:
    return (address[0], address[1]) if isinstance(address, tuple) else (os.fsdecode(address), None)


def _stream_endpoints(stream: object) -> Endpoints:
    """Who talks over a stream, as far as it is known."""
    secure = False
    while isinstance(stream, trio.SSLStream):
        stream, secure = stream.transport_stream, True
    if not isinstance(stream, trio.SocketStream):
        return Endpoints(secure=secure)
    try:
        client, own = stream.socket.getpeername(), stream.socket.getsockname()
        return Endpoints(_client_name(client), _own_name(own), secure)
    except OSError:
        return Endpoints(secure=secure)  # the client is gone already


# What the app's methods of the same names do


async def open_listeners(host: str | None, port: int) -> list[trio.SocketListener]:
    """Listen on a host name or address (None: on all), or on ``unix:PATH``."""
    if host is not None and host.startswith(_UNIX_PREFIX):
        return [_open_unix_listener(host.removeprefix(_UNIX_PREFIX))]
    return list(await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG))


def _open_unix_listener(path: str) -> trio.SocketListener:
    sock = socket.socket(socket.AF_UNIX)
    try:
        if Path(path).is_socket() and sock.connect_ex(path) == errno.ECONNREFUSED:
            Path(path).unlink()  # left behind by a server that is gone
            sock.close()
            sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


async def serve(
    app: App,
    host: str | None = "127.0.0.1",
    port: int = 8000,
    *,
    ssl_context: ssl.SSLContext | None = None,
    access_log: bool = True,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen and serve; see :meth:`triows.Triows.serve`."""
    listeners = await open_listeners(host, port)
    with ExitStack() as stack:
        if host is not None and host.startswith(_UNIX_PREFIX):
            stack.callback(Path(host.removeprefix(_UNIX_PREFIX)).unlink, missing_ok=True)
        await serve_listeners(app, listeners, ssl_context=ssl_context, access_log=access_log, task_status=task_status)


async def serve_listeners(
    app: App,
    listeners: Sequence[trio.abc.Listener[Any]],
    *,
    ssl_context: ssl.SSLContext | None = None,
    access_log: bool = True,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on listeners; see :meth:`triows.Triows.serve_listeners`."""
    async with AsyncExitStack() as stack:
        for listener in listeners:
            await stack.enter_async_context(listener)
        await stack.enter_async_context(app.serving())
        await Server(app, ssl_context=ssl_context, access_log=access_log).run(listeners, task_status)


async def serve_stream(app: App, stream: trio.abc.Stream, *, access_log: bool = True) -> None:
    """Serve one client; see :meth:`triows.Triows.serve_stream`."""
    async with app.serving():
        await Server(app, access_log=access_log).run_stream(stream)


def run(
    app: App,
    host: str | None = "127.0.0.1",
    port: int = 8000,
    *,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    access_log: bool = True,
    announce: Callable[[str], object] = print,
) -> None:
    """Run a program that serves the app until SIGINT or SIGTERM; see :meth:`triows.Triows.run`."""
    if certfile is not None:
        if ssl_context is not None:
            raise ValueError("give either ssl_context or certfile and keyfile, not both")
        ssl_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ssl_context.load_cert_chain(certfile, keyfile)
    elif keyfile is not None:
        raise ValueError("keyfile is given without certfile")
    # Does nothing where the program has set up its own logging.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    trio.run(partial(_run, app, host, port, ssl_context, access_log, announce))


async def _run(
    app: App,
    host: str | None,
    port: int,
    ssl_context: ssl.SSLContext | None,
    access_log: bool,
    announce: Callable[[str], object],
) -> None:
    async with trio.open_nursery() as nursery:
        start = partial(serve, app, host, port, ssl_context=ssl_context, access_log=access_log)
        stop = trio.CancelScope()
        if threading.current_thread() is threading.main_thread():
            await nursery.start(_stop_on_signals, stop)
        with stop:
            async with trio.open_nursery() as serving:
                server = await serving.start(start)
                for address in server.addresses:
                    announce(f"Running on {url(address, ssl_context is not None)} (CTRL + C to quit)")
        nursery.cancel_scope.cancel()


async def _stop_on_signals(stop: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
    """The first signal begins an orderly shutdown, the second one ends the process at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            if stop.cancel_called:
                sys.stderr.flush()
                os._exit(128 + number)
            stop.cancel(reason=f"received {signal.Signals(number).name}")


def url(address: tuple[str, int] | str, secure: bool) -> str:
    """The address as a browser takes it; a Unix socket as ``unix:PATH``."""
    if isinstance(address, str):
        return _UNIX_PREFIX + address
    host, port = address
    if ":" in host:
        host = f"[{host}]"
    return f"{'https' if secure else 'http'}://{host}:{port}"
