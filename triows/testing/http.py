"""One HTTP request of the test client, spoken through h11."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn

import h11
import trio
from werkzeug.datastructures import Headers

from ..errors import HTTPDisconnectError
from ..framework.application import App
from ..protocol.event_stream import EventReader
from ..web.headers import decode_headers
from ..web.response import Response
from ..web.server_sent_events import ServerSentEvent
from .serving import Endpoint, Served, serve

_MAX_HEAD = 1 << 20  # bytes
_SWITCHING_PROTOCOLS = 101
_SEND_SIZE = 65536


def make_response(app: App, body: bytes, status: int, headers: Headers) -> Response:
    """Return a received response as one of the app's class."""
    response = app.response_class(body, status)
    response.headers = headers.copy()  # not those of the class: what it adds is not on the wire
    response.json_provider = app.json
    return response


def new_protocol() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)


class KeptConnection:
    """One connection for several requests, replaced when the server or an incomplete request has ended it."""

    def __init__(self, app: App, nursery: trio.Nursery) -> None:
        self._app = app
        self._nursery = nursery
        self._endpoint: Endpoint | None = None
        self._served: Served
        self._h11: h11.Connection
        self._done = trio.Event()
        self._busy = False

    async def exchange(
        self, endpoint: Endpoint, request: h11.Request, body: bytes, keep_cookies: Callable[[Headers], None]
    ) -> tuple[Served, TestHTTPConnection]:
        """Make a request, and leave the connection open after it."""
        if self._busy:
            raise trio.BusyResourceError("another task is making a request over this connection")
        self._busy = True
        try:
            await self._connect(endpoint)
            connection = TestHTTPConnection(self._app, self._served, request, keep_cookies, self._h11)
            await connection.exchange(body)
            await self._served.handled.wait()
        finally:
            self._busy = False
        error = self._served.pending_error()
        if error is not None:
            raise error
        return self._served, connection

    async def _connect(self, endpoint: Endpoint) -> None:
        if endpoint == self._endpoint:
            if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
                self._h11.start_next_cycle()
                return
        self.close()
        self._h11 = new_protocol()
        self._done = trio.Event()
        self._served = await self._nursery.start(self._hold, endpoint, self._done)
        self._endpoint = endpoint

    async def _hold(self, endpoint: Endpoint, done: trio.Event, task_status: trio.TaskStatus[Served]) -> None:
        async with serve(self._app, endpoint) as served:
            task_status.started(served)
            await done.wait()
            await served.stream.aclose()

    def close(self) -> None:
        """End the connection in order."""
        self._done.set()
        self._endpoint = None


class _Events:
    """The events of a response. It is no generator, which would have to be closed."""

    def __init__(self, receive: Callable[[], Awaitable[ServerSentEvent | None]]) -> None:
        self._receive = receive

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> ServerSentEvent:
        event = await self._receive()
        if event is None:
            raise StopAsyncIteration
        return event


class TestHTTPConnection:
    """A request under way: ``async with client.request(path, method="POST") as connection:``.

    The head of the request is sent when the block begins. The response is read only as far as the test receives it, so
    that the app's sending waits for a slow client. At the end of the block the request is completed and the rest of the
    response is read, unless :meth:`disconnect` was called; :meth:`as_response` returns it then.

    :ivar status_code: the status of the response; None until its head was received.
    :ivar headers: the headers of the response; None until then.
    """

    __test__ = False  # pytest takes any class named Test... for a collection of tests

    def __init__(
        self,
        app: App,
        served: Served,
        request: h11.Request,
        keep: Callable[[Headers], None],
        protocol: h11.Connection | None = None,
    ) -> None:
        self.status_code: int | None = None
        self.headers: Headers | None = None
        self._app = app
        self._served = served
        self._stream = served.stream
        self._keep_cookies = keep
        self._h11 = protocol or new_protocol()
        self._request = request
        self._rest: list[bytes] = []
        self._ended = False
        self._reader = EventReader()
        self._events: deque[ServerSentEvent] = deque()

    # The request

    async def send_head(self) -> None:
        await self._send(self._request)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body. Waits while the app does not read. If it is cancelled, nothing was sent.

        :raises HTTPDisconnectError: if the connection is gone.
        """
        await self._send(h11.Data(data=data))

    async def send_complete(self) -> None:
        """End the body.

        :raises HTTPDisconnectError: if the connection is gone.
        """
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        try:
            await self._write(event)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._raise_end()

    async def _write(self, event: h11.Event) -> None:
        await self._stream.send_all(self._h11.send(event) or b"")

    async def exchange(self, body: bytes) -> None:
        """Send everything and receive the response, which may come before the server has taken the whole body."""
        sending = trio.CancelScope()
        self._served.nursery.start_soon(self._send_whole, body, sending)
        await self.read_rest()
        sending.cancel()

    async def _send_whole(self, body: bytes, scope: trio.CancelScope) -> None:
        with scope:
            try:
                await self._write(self._request)
                for start in range(0, len(body), _SEND_SIZE):
                    await self._write(h11.Data(data=body[start : start + _SEND_SIZE]))
                await self._write(h11.EndOfMessage())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the server may have answered before it had the whole request

    # The response

    async def receive_head(self) -> None:
        """Wait for the status and the headers of the response. A cancellation loses nothing.

        :raises HTTPDisconnectError: if the connection ends before.
        """
        while self.status_code is None:
            event = await self._next_event()
            if isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING_PROTOCOLS
            ):
                self.headers = decode_headers(event.headers.raw_items())
                self.status_code = event.status_code
                self._ended = isinstance(event, h11.InformationalResponse)
                self._keep_cookies(self.headers)

    async def receive(self) -> bytes:
        """Wait for the next piece of the response's body; ``b""`` is its end. A cancellation loses nothing.

        :raises HTTPDisconnectError: if the connection ends before the response does.
        """
        await self.receive_head()
        while not self._ended:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            self._ended = isinstance(event, h11.EndOfMessage)
        return b""

    async def receive_event(self) -> ServerSentEvent | None:
        """Wait for the next server-sent event; None is the end of the response. A cancellation loses nothing.

        What a browser would not dispatch, but for an id or ``retry`` in it, comes without ``data``; comments do not.

        :raises HTTPDisconnectError: if the connection ends before the response does.
        """
        while not self._events:
            piece = await self.receive()
            if not piece:
                return None
            for data, event, identity, retry in self._reader.feed(piece):
                if (data, identity, retry) != (None, None, None):
                    type_ = None if data is None else event
                    self._events.append(ServerSentEvent(data, event=type_, id=identity, retry=retry))
        return self._events.popleft()

    def events(self) -> AsyncIterator[ServerSentEvent]:
        """Iterate over the server-sent events of the response: ``async for event in connection.events():``.

        The iteration may end early, and go on later.
        """
        return _Events(self.receive_event)

    async def _next_event(self) -> object:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                await self._raise_end(error)
            if event is not h11.NEED_DATA:
                if isinstance(event, h11.ConnectionClosed):
                    await self._raise_end()
                return event
            try:
                data = await self._stream.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            self._h11.receive_data(data)

    async def _raise_end(self, cause: Exception | None = None) -> NoReturn:
        """Raise the reason why the connection ended early: the handler's error, if there is one."""
        self._stream.close()
        await self._served.ended.wait()
        error = self._served.pending_error()
        if error is not None:
            raise error
        raise HTTPDisconnectError("the connection ended before the response was complete") from cause

    async def as_response(self) -> Response:
        """Return the response, with the part of its body that :meth:`receive` has not taken.

        :raises HTTPDisconnectError: if there is none, since the connection ended before.
        """
        await self.read_rest()
        assert self.status_code is not None
        assert self.headers is not None
        return make_response(self._app, b"".join(self._rest), self.status_code, self.headers)

    async def read_rest(self) -> None:
        """Read the response to its end."""
        await self.receive_head()
        while piece := await self.receive():
            self._rest.append(piece)

    # The end

    async def disconnect(self) -> None:
        """Go away in the middle: the app's handler is cancelled."""
        self._ended = True
        await self._stream.aclose()

    def stall(self) -> None:
        """Receive nothing until :meth:`resume`; the app's sending waits when the connection is full."""
        self._stream.stall()

    def resume(self) -> None:
        """End a :meth:`stall`."""
        self._stream.resume()

    async def finish(self) -> None:
        """Complete the request, read the rest of the response, and wait until the app has handled the request."""
        self._stream.resume()
        if not self._ended:
            if self._h11.our_state is h11.SEND_BODY:
                await self.send_complete()
            await self.read_rest()
        await self.close()

    async def close(self) -> None:
        """Close the connection when the app has handled the request: before, a close would cancel the handler."""
        if self.status_code != _SWITCHING_PROTOCOLS and self._served.connection is not None:
            await self._served.handled.wait()
        await self._stream.aclose()
