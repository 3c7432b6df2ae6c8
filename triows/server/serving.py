"""Servers: listeners, the tasks around connections, and the order in which everything ends.

The scopes, from outside in: the app's own life (lifespan), services (reactor, timers, links), connections, one task
each. They end from the inside out, so that a handler's ``finally:`` can still use its socket, and the app's shutdown
begins when no handler runs any more. Cancelling :func:`serve` begins an orderly shutdown too: connections are shielded
from the cancellation, and have ``shutdown_timeout`` to end.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

import trio

from ..connection.app import App
from ..connection.logs import RequestLine, log_response
from ..protocol.http1.response import head_bytes
from ..tasks.error_log import error_log as logger
from ..tasks.exception_groups import leaves
from ..tasks.shields import FORCE_EVERY
from ..tasks.timers import Timers
from .accepting import Acceptor, OwnName
from .clients import ClientCounts
from .exchange import LINGER
from .http1 import HTTP1Connection
from .links import reactor
from .links.link import Link
from .links.socket import SocketLink
from .links.stream import StreamLink
from .links.tls import TLSLink
from .listeners import SocketFile, address_of, client_name, open_listeners, own_name, unix_path
from .mounting import mounted
from .service import ClientConnection, Endpoints, Service

_REJECTED_AT_ONCE = 100  # clients beyond max_connections that may send their request before they read the 503
_FORCE_TIMES = 3  # attempts to end a handler that does not end, before the last resort
_KEPT_MEMORY = 8 * 1024 * 1024


class Server:
    """A running server.

    :ivar addresses: where it listens, as the sockets name it: ``(host, port)``, or a path for a Unix socket.
    :ivar last_resort: called if forced handlers do not end either.
    """

    def __init__(
        self,
        app: App,
        *,
        ssl_context: ssl.SSLContext | None = None,
        access_log: bool = True,
        root_path: str = "",
        use_reactor: bool | None = None,
    ) -> None:
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise TypeError(f"ssl_context is of the type {type(ssl_context).__name__}; it must be an ssl.SSLContext")
        self.addresses: list[tuple[str, int] | str] = []
        self._app = app
        self._ssl_context = ssl_context
        self._timers = Timers()
        self._use_reactor = reactor.AVAILABLE if use_reactor is None else use_reactor
        self._reactor: reactor.Reactor | None = None
        self._connections: set[ClientConnection] = set()
        self._asked_to_stop = trio.Event()
        self._stopping = trio.Event()
        self._connection_nursery: trio.Nursery
        self._services: trio.Nursery
        self._ended_by: BaseException | None = None
        self._forced: Counter[ClientConnection] = Counter()  # attempts to end each by force
        self._clients = ClientCounts()
        self._rejected: list[SocketLink] = []  # clients that have their 503, and may still be sending
        self.last_resort: Callable[[], None] | None = None
        self.service: Service = Service(
            handle=mounted(app.handle, root_path),
            timers=self._timers,
            counters=app.counters,
            access_log=access_log,
            begin=lambda connection: self._connection_nursery.start_soon(connection.serve),
            gone=self._disconnect,
            is_stopping=lambda: self._asked_to_stop.is_set() or self._stopping.is_set(),
            end_program=self._end_program,
            **_settings(app),
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
        """How many clients are connected."""
        return len(self._connections)

    def shutdown(self) -> None:
        """Ask for an orderly shutdown: no new clients, then the connections, then the app. Returns at once."""
        self._asked_to_stop.set()

    # Life

    async def run(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
        *,
        file: SocketFile | None = None,
    ) -> None:
        """Serve until :meth:`shutdown` or a cancellation; ends when everything has ended.

        :param file: that of the listening Unix socket, removed before the listeners are closed.
        """
        _keep_freed_memory()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._run_services)
                remove_file = (lambda: None) if file is None else file.remove
                acceptor = Acceptor(self._start_connection, self._start_stream, remove_file)
                try:
                    async with trio.open_nursery() as accepting:
                        for listener in listeners:
                            self.addresses.append(address_of(listener))
                            accepting.start_soon(acceptor.accept_from, listener)
                        task_status.started(self)
                        await self._asked_to_stop.wait()
                        accepting.cancel_scope.cancel()
                finally:
                    self._stop()
        finally:
            self._raise_end()

    async def run_stream(self, stream: trio.abc.Stream) -> None:
        """Serve the client at the other end of a stream, and no other one, until it is gone."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._run_services)
                try:
                    await self.serve_stream(stream)
                finally:
                    self._stop()
        finally:
            self._raise_end()

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve a client over a stream, beside those that this running server accepts, until it is gone.

        A cancellation leaves the client to the server, whose shutdown ends it.
        """
        ended = trio.Event()

        async def run() -> None:
            try:
                await self._run_stream(stream)
            finally:
                ended.set()

        self._connection_nursery.start_soon(run)
        await ended.wait()

    async def _run_stream(self, stream: trio.abc.Stream, endpoints: Endpoints | None = None) -> None:
        link = StreamLink(stream, self._timers)
        await self._services.start(link.run)
        await self._connect(link, endpoints or _stream_endpoints(stream), begun=True).serve()

    async def _run_services(self, task_status: trio.TaskStatus[None]) -> None:
        """Run the services and the connections, shielded: a cancellation of the server must not cut these off.

        The shutdown ends the connections first, then the services.
        """
        # This checkpoint is outside of the shield: inside, a server that is cancelled as it starts would wait for ever.
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
                        await self._stopping.wait()
                    self._services.cancel_scope.cancel()
            finally:
                for link in self._rejected:
                    link.abort()
                if self._reactor is not None:
                    self._reactor.close()

    def _end_program(self, error: BaseException) -> bool:
        """Shut down in order, and then raise the error of a handler that ends the program, such as SystemExit.

        Returns False for a KeyboardInterrupt during that shutdown: the caller raises it at once.
        """
        if self._ended_by is None:
            self._ended_by = error
            self.shutdown()
            return True
        return not any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves(error))

    def _raise_end(self) -> None:
        if self._ended_by is not None:
            raise self._ended_by

    def _stop(self) -> None:
        """Begin the shutdown: let every connection end in order, within ``shutdown_timeout``."""
        timeout = self._app.limits.shutdown_timeout
        if timeout is not None:
            self._timers.call_later(timeout, self._cut_off)
        self._stopping.set()
        for connection in list(self._connections):
            connection.shut_down()

    def _cut_off(self) -> None:
        """The shutdown timeout has expired: cancel what is left, and soon force handlers that ignore cancellation."""
        for connection in list(self._connections):
            connection.cut_off()
        self._connection_nursery.cancel_scope.cancel()
        self._timers.call_later(FORCE_EVERY, self._force)

    def _force(self) -> None:
        """Log each handler that still runs, once, and open its shields."""
        for connection in list(self._connections):
            name = connection.force_end()
            if name is not None:
                if connection not in self._forced:
                    timeout = self._app.limits.shutdown_timeout
                    logger.error(
                        "%s has not ended within shutdown_timeout, %s seconds; ending it by force", name, timeout
                    )
                self._forced[connection] += 1
        if self.last_resort is not None and max(self._forced.values(), default=0) >= _FORCE_TIMES:
            self.last_resort()
        self._timers.call_later(FORCE_EVERY, self._force)

    # Clients

    def _start_stream(self, stream: trio.abc.Stream) -> None:
        """Serve the client at the other end of a stream that a listener has accepted."""
        self._connection_nursery.start_soon(self._run_stream, stream)

    def _start_connection(self, client: socket.socket, address: Any, server: OwnName | None) -> None:
        """Serve a client that connected to ``server`` (None: its socket knows); beyond ``max_connections``, refuse it.

        :raises OSError: if the client is gone already, or the system has no room for it.
        """
        limits = self._app.limits
        if len(self._connections) >= limits.max_connections:
            self._app.counters.connections_refused += 1
            self._reject(client, address, 503)
            return
        client.setblocking(False)
        if client.family != socket.AF_UNIX and sys.platform != "linux":
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server is None:
            server = own_name(client.getsockname())
        endpoints = Endpoints(client_name(address), server, self._ssl_context is not None)
        if limits.max_connections_per_client is not None and not self._clients.admit(endpoints, limits):
            self._app.counters.client_connections_refused += 1
            self._reject(client, address, 429)
            return
        if self._reactor is None:
            self._connection_nursery.start_soon(self._serve_by_tasks, client, endpoints)
            return
        if self._ssl_context is not None:
            link: Link = TLSLink(client, self._reactor, self._timers, self._ssl_context)
        else:
            link = SocketLink(client, self._reactor, self._timers)
        self._connect(link, endpoints)

    def _reject(self, client: socket.socket, address: Any, status: int) -> None:
        """Answer 503 or 429. The client may send its request before it reads that, unless too many do so already."""
        if self.service.logs:
            name = client_name(address)
            log_response(None if name is None else name[0], RequestLine("", ""), status, 0, 0.0)
        client.setblocking(False)
        answer = head_bytes(status, [(b"retry-after", b"10"), (b"content-length", b"0"), (b"connection", b"close")])
        self._rejected = [link for link in self._rejected if not link.is_closed]
        if self._reactor is not None and len(self._rejected) < _REJECTED_AT_ONCE:
            link = SocketLink(client, self._reactor, self._timers)
            self._rejected.append(link)
            link.write(answer)
            link.close(linger=LINGER, timeout=LINGER)
            return
        with client, suppress(OSError):  # the answer may be lost
            client.send(answer)

    async def _serve_by_tasks(self, client: socket.socket, endpoints: Endpoints) -> None:
        stream: trio.abc.Stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
        if self._ssl_context is not None:
            stream = trio.SSLStream(stream, self._ssl_context, server_side=True, https_compatible=True)
        try:
            await self._run_stream(stream, endpoints)
        finally:
            self._clients.remove(endpoints)

    def _connect(self, link: Link, endpoints: Endpoints, *, begun: bool = False) -> HTTP1Connection:
        """Make a client's connection, with the app's settings of now; the server keeps it until it has ended."""
        if self._app.limits is not self.service.limits:
            self.service = replace(self.service, **_settings(self._app))
        connection = HTTP1Connection(link, self.service, endpoints, begun=begun)
        self._connections.add(connection)
        self._app.counters.connections_open += 1
        if self._stopping.is_set():
            connection.shut_down()
        return connection

    def _disconnect(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)
        self._clients.remove(connection.endpoints)
        self._app.counters.connections_open -= 1


def _settings(app: App) -> dict[str, Any]:
    """What a connection takes from the app's settings when it begins, and keeps."""
    return {
        "limits": app.limits,
        "websocket_limits": app.websocket_limits(),
        "send_timeout": app.config["SEND_TIMEOUT"],
        "drain_timeout": app.config["DRAIN_TIMEOUT"],
        "log_query": bool(app.config["ACCESS_LOG_QUERY"]),
    }


def _keep_freed_memory() -> None:
    """Let the process keep freed memory, up to twice ``_KEPT_MEMORY``: it does not return it after each large message.

    glibc takes the largest block that was ever freed as its measure (mallopt(3), M_MMAP_THRESHOLD); the block itself is
    never touched. Without this, most of the time of a message of 1 MiB goes into page faults. Elsewhere it does
    nothing.
    """
    bytes(_KEPT_MEMORY)


def _stream_endpoints(stream: object) -> Endpoints:
    """The two ends of a stream, as far as it tells."""
    secure = False
    while isinstance(stream, trio.SSLStream):
        stream, secure = stream.transport_stream, True
    if not isinstance(stream, trio.SocketStream):
        return Endpoints(secure=secure)
    try:
        client, own = stream.socket.getpeername(), stream.socket.getsockname()
        return Endpoints(client_name(client), own_name(own), secure)
    except OSError:
        return Endpoints(secure=secure)  # the client is gone already


async def serve(
    app: App,
    host: str | None = "127.0.0.1",
    port: int = 8000,
    *,
    fds: Sequence[int] = (),
    reuse_port: bool = False,
    socket_mode: int | None = None,
    ssl_context: ssl.SSLContext | None = None,
    access_log: bool = True,
    root_path: str = "",
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen and serve; see :meth:`triows.Triows.serve`."""
    listeners = await open_listeners(host, port, fds=fds, reuse_port=reuse_port, socket_mode=socket_mode)
    path = None if fds else unix_path(host)
    file = None if path is None else SocketFile(path)
    try:
        await serve_listeners(
            app,
            listeners,
            ssl_context=ssl_context,
            access_log=access_log,
            root_path=root_path,
            file=file,
            task_status=task_status,
        )
    finally:
        if file is not None:
            file.remove()


async def serve_listeners(
    app: App,
    listeners: Sequence[trio.abc.Listener[Any]],
    *,
    ssl_context: ssl.SSLContext | None = None,
    access_log: bool = True,
    root_path: str = "",
    file: SocketFile | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve on listeners; see :meth:`triows.Triows.serve_listeners`."""
    async with AsyncExitStack() as stack:
        for listener in listeners:
            await stack.enter_async_context(listener)
        await stack.enter_async_context(app.serving())
        server = Server(app, ssl_context=ssl_context, access_log=access_log, root_path=root_path)
        await server.run(listeners, task_status, file=file)


async def serve_stream(app: App, stream: trio.abc.Stream, *, access_log: bool = True) -> None:
    """Serve one client; see :meth:`triows.Triows.serve_stream`."""
    try:
        async with app.serving():
            await Server(app, access_log=access_log).run_stream(stream)
    finally:
        await trio.aclose_forcefully(stream)  # for an app that did not start: else the link has closed it in order
