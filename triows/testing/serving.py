"""The server's side of the test client: one server for one connection, and whose error a test gets to see.

An exchange may fail in several places at once. What is raised, from the first that applies:

1. what ends the program or the test from within the server's tasks (KeyboardInterrupt, ``pytest.fail()``);
2. what the test's own block raised, as it is, unless it only says that the connection ended;
3. the handler's error that no error handler took, and that was not raised in the block already;
4. what the block raised because the connection ended.

None of them is wrapped into an exception group of the client's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import NoReturn

import trio
from trio_websocket import ConnectionClosed

from ..connection.base import Connection
from ..connection.limits import WebSocketLimits
from ..errors import HTTPDisconnectError, WebsocketDisconnectError, WebsocketResponseError
from ..framework.application import App
from ..server.serving import Server
from ..tasks.exception_groups import leaves, unwrap_group
from .streams import memory_stream_pair

# What a test meets because the connection has ended, for a reason that may lie in the handler.
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
    """What a server would know of a client from its socket and its own place behind a proxy."""

    scheme: str
    root_path: str
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None


class Served:
    """One connection and the server that serves it; towards the server it stands for the app.

    :ivar stream: the client's end of the connection.
    :ivar connection: what the app was asked to handle last; None until a request has arrived.
    :ivar nursery: for tasks that end with the connection.
    :ivar handled: set when the app is done with that.
    :ivar ended: set when the server is, too.
    """

    nursery: trio.Nursery

    def __init__(self, app: App, endpoint: Endpoint) -> None:
        self._app = app
        self._endpoint = endpoint
        self.limits = app.limits
        self.config = app.config
        self.counters = app.counters
        self.stream, self._server_stream = memory_stream_pair()
        self.connection: Connection | None = None
        self.handled = trio.Event()
        self.ended = trio.Event()
        self._raised: Connection | None = None  # that whose error the test has got to see

    async def run(self) -> None:
        """Serve the connection until it has ended."""
        try:
            await Server(self, access_log=False, use_reactor=False).run_stream(self._server_stream)
        finally:
            self.ended.set()

    def pending_error(self) -> BaseException | None:
        """Return the handler's error, once, if it has one that the test should see."""
        connection = self.connection
        if connection is None or connection is self._raised or self._app.config["PROPAGATE_EXCEPTIONS"] is False:
            return None
        if connection.error is not None:
            self._raised = connection
        return connection.error

    # What the server asks of an app

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

    When the block raises, or is cancelled, the connection is lost. What is raised then: see the module's text.
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
            except BaseException as error:
                in_block = error
                served.stream.reset()
                if not isinstance(error, trio.Cancelled):
                    # Raised right now, it would cancel the server before it sees that the client is gone.
                    await served.ended.wait()  # noqa: ASYNC102 - not cancelled
                raise
    except BaseException as error:  # noqa: ASYNC103 - raised below
        raised = error
    # Outside of the clause above, so that the group of the nursery does not become the context of what is raised.
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
        return unwrap_group(raised)  # a cancellation from outside, while the end was waited for
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
