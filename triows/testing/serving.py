"""The server's side of the test client: one server for one connection, and the choice of the error that a test sees.

Several things may fail at once: the handler, the server's tasks, the test's own block. The first of these is raised:

1. an exception that ends the program or the test from within the server's tasks (KeyboardInterrupt, ``pytest.fail()``);
2. the exception of the test's block, unless it only says that the connection ended;
3. the handler's error that no error handler took, if it was not raised in the block already;
4. the exception of the block that says that the connection ended.

None of them is wrapped into an exception group of the client's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from math import inf
from typing import NoReturn

import trio
from trio_websocket import ConnectionClosed

from ..connection.base import Connection
from ..connection.limits import ServerLimits, WebSocketLimits
from ..connection.stats import Counters
from ..errors import HTTPDisconnectError, WebsocketDisconnectError, WebsocketResponseError
from ..framework.application import App
from ..framework.config import Config
from ..server.serving import Server
from ..tasks.exception_groups import leaves, unwrap_group
from .streams import MemoryStream, memory_stream_pair

# Exceptions which only say that the connection has ended. The reason may be an error of the handler.
_CONSEQUENCES = (
    WebsocketDisconnectError,
    WebsocketResponseError,
    HTTPDisconnectError,
    ConnectionClosed,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a real server would learn from its socket and from the proxy in front of it."""

    scheme: str
    root_path: str
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None


class Served:
    """One connection of a client and the server of it. To the server, it is the app.

    :ivar stream: the client's end of the connection.
    :ivar connection: the request or websocket that the app handles, or has handled last; None until one has arrived.
    :ivar nursery: the nursery for tasks that end with the connection.
    :ivar handled: set when the app has handled :attr:`connection`.
    :ivar ended: set when the server has ended the connection.
    """

    nursery: trio.Nursery
    stream: MemoryStream

    def __init__(self, app: App, endpoint: Endpoint) -> None:
        self._app = app
        self._endpoint = endpoint
        self.limits: ServerLimits = app.limits
        self.config: Config = app.config
        self.counters: Counters = app.counters
        self.stream, self._server_stream = memory_stream_pair()
        self.connection: Connection | None = None
        self.handled: trio.Event = trio.Event()
        self.ended: trio.Event = trio.Event()
        self._raised: Connection | None = None  # the one whose error was raised in the test
        self._shield = trio.CancelScope(shield=True)

    async def run(self) -> None:
        """Serve the connection until it has ended. What becomes of a cancellation of the client, :meth:`lose` says."""
        try:
            with self._shield:
                await Server(self, access_log=False, use_reactor=False).run_stream(self._server_stream)
        finally:
            self.ended.set()

    async def lose(self, *, cancelled: bool) -> None:
        """Lose the connection, and wait for its end.

        :param cancelled: whether the client was cancelled. The server is stopped then, if the app's handler has not
            ended within ``shutdown_timeout``.
        """
        self.stream.reset()
        timeout = self.limits.shutdown_timeout if cancelled else None
        # Raised before the server has seen that the client is gone, the error would cancel the server.
        with trio.move_on_after(inf if timeout is None else timeout, shield=cancelled):
            await self.ended.wait()
        self._shield.shield = False

    def pending_error(self) -> BaseException | None:
        """Return the handler's error, once, if it has one that the test should see."""
        connection = self.connection
        if connection is None or connection is self._raised or self._app.config["PROPAGATE_EXCEPTIONS"] is False:
            return None
        if connection.error is not None:
            self._raised = connection
        return connection.error

    # The server's side: see triows.connection.app

    async def handle(self, connection: Connection) -> None:
        head, endpoint = connection.head, self._endpoint
        head.scheme, head.root_path = endpoint.scheme, endpoint.root_path
        head.client, head.server = endpoint.client, endpoint.server
        self.connection = connection
        self.handled = handled = trio.Event()
        try:
            await self._app.handle(connection)
        finally:
            handled.set()

    def websocket_limits(self) -> WebSocketLimits:
        return self._app.websocket_limits()

    def serving(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()


@asynccontextmanager
async def serve(app: App, endpoint: Endpoint) -> AsyncIterator[Served]:
    """Serve one connection while the block runs, and wait for its end; the block closes ``stream`` in its own way.

    If the block raises, or is cancelled, the connection is lost. The module's docstring says what is raised then.
    """
    with app.served_natively():
        async with _serve(Served(app, endpoint)) as served:
            yield served


@asynccontextmanager
async def _serve(served: Served) -> AsyncIterator[Served]:
    raised: BaseException | None = None
    in_block: BaseException | None = None
    try:
        async with trio.open_nursery() as served.nursery:
            served.nursery.start_soon(served.run)
            try:
                yield served
                await served.ended.wait()
            except BaseException as error:
                in_block = error
                await served.lose(cancelled=isinstance(error, trio.Cancelled))  # noqa: ASYNC102 - shields itself
                raise
    except BaseException as error:  # noqa: ASYNC103 - raised below
        raised = error
    # Outside of the clause above, so that the nursery's group does not become the __context__ of the error.
    chosen = _choose(raised, in_block, served)
    if chosen is not None:
        _raise(chosen)


def _choose(raised: BaseException | None, in_block: BaseException | None, served: Served) -> BaseException | None:
    if raised is None:
        return served.pending_error()
    known = [] if in_block is None else [*leaves(in_block)]
    others = [
        error
        for error in leaves(raised)
        if not isinstance(error, trio.Cancelled) and not any(error is other for other in known)
    ]
    if others:
        return others[0] if len(others) == 1 else BaseExceptionGroup("the server of a test client failed", others)
    if in_block is None:
        return unwrap_group(raised)  # a cancellation from outside, during the wait for the end
    if isinstance(in_block, _CONSEQUENCES):
        return served.pending_error() or in_block
    if isinstance(in_block, Exception) and (error := served.pending_error()) is not None and error is not in_block:
        in_block.add_note(f"The handler failed too: {error!r}")
    return in_block


def _raise(error: BaseException) -> NoReturn:
    """Raise an error without losing the context that it was first raised in."""
    context = error.__context__
    try:
        raise error
    finally:
        if context is not None:
            error.__context__ = context
        del error, context
