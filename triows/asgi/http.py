"""An HTTP request of an ASGI server."""

from __future__ import annotations

from math import inf

import trio

from ..connection.app import App
from ..connection.http import HTTPConnection
from ..connection.limits import ServerLimits
from ..protocol.content import has_content
from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..protocol.pieces import Pieces
from ..protocol.websocket.close_codes import ABNORMAL
from ..tasks.waiter import Waiter
from .scope import GONE, Event, Receive, Scope, Send, head_of, response_start

_BODY_BUFFER = 65536  # bytes of a request's body that are fetched before the handler reads them


async def serve_http(app: App, scope: Scope, receive: Receive, send: Send) -> BaseException | None:
    """Serve a request, and return the error that no error handler took."""
    connection = ASGIHTTPConnection(head_of(scope), app.limits, receive, send)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.listen, app.config["DRAIN_TIMEOUT"])
        try:
            await connection.serve(app.handle)
        except BaseException:
            connection.abort()
            raise
        nursery.cancel_scope.cancel()
    if connection.truncated:
        # Returning would end the response in order, and the client would take it for whole.
        raise RuntimeError(f"the response to {connection.head.raw_path!r} broke off")
    return connection.error


class ASGIHTTPConnection(HTTPConnection):
    """One HTTP request of an ASGI server.

    :ivar truncated: whether the response has begun and will never end.
    """

    __slots__ = (
        "_body",
        "_body_ended",
        "_fetching",
        "_has_content",
        "_left",
        "_receive",
        "_response_ended",
        "_send",
        "_waiting",
        "truncated",
    )

    def __init__(self, head: Head, limits: ServerLimits, receive: Receive, send: Send) -> None:
        super().__init__(head, limits)
        for name, value in head.headers:
            if name == b"content-length" and value.isdigit():
                self.content_length: int = int(value[:20])  # a longer number is over any limit as well
        self._receive = receive
        self._send = send
        self._body = Pieces()
        self._body_ended = False
        self._response_ended = False
        self._has_content = True  # known when the response begins
        self._left: int | None = None  # bytes of the response still to be sent, if its length is known
        self.truncated: bool = False
        self._waiting = trio.lowlevel.ParkingLot()  # for a piece of the body
        self._fetching = Waiter()

    async def listen(self, drain_timeout: float | None) -> None:
        """Receive the body, and then wait for the client's disconnect: too early, or behind the whole response."""
        while True:
            if self._body.size >= _BODY_BUFFER:
                await self._fetching.park()
                continue
            event = await self._receive()
            if event["type"] == "http.disconnect":
                self._body_ended = True
                if not self._response_ended and self._left == 0:
                    self._waiting.unpark_all()
                    await trio.sleep(inf if drain_timeout is None else drain_timeout)
                if not self._response_ended:
                    self.end_by(Disconnect(ABNORMAL, "", "lost"))
                self._waiting.unpark_all()
                return
            self._body.append(bytes(event.get("body", b"")))
            self._body_ended = not event.get("more_body", False)
            self._waiting.unpark_all()

    async def receive_body(self) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._body.size and not self._body_ended:
            await self._waiting.park()
        if not self._body.size:
            return b""
        piece = self._body.popleft()
        self._fetching.wake()
        return piece

    async def send_response(self, status: int, headers: Headers, body: bytes) -> None:
        await self._start(status, headers, len(body))
        await self._send_last(body)

    async def start_response(self, status: int, headers: Headers) -> None:
        await self._start(status, headers, None)

    async def _start(self, status: int, headers: Headers, size: int | None) -> None:
        if self.response_started:
            raise RuntimeError(f"the response to {self.head.method} {self.head.raw_path!r} was begun already")
        event, self._left = response_start("http.response.start", status, headers, size)
        self.status: int | None = status
        self._has_content = has_content(self.head.method, status)
        await self._send_event(event)

    async def send_body(self, data: bytes) -> None:
        if data and self._has_content:
            await self._send_event({"type": "http.response.body", "body": data, "more_body": True})
            if self._left is not None:
                self._left -= len(data)

    async def end_response(self) -> None:
        await self._send_last(b"")

    async def _send_last(self, data: bytes) -> None:
        if not self._response_ended:
            self._response_ended = True
            content = data if self._has_content else b""
            await self._send_event({"type": "http.response.body", "body": content, "more_body": False})

    async def _send_event(self, event: Event) -> None:
        try:
            await self._send(event)
        except GONE:
            self.end_by(Disconnect(ABNORMAL, "", "lost"))

    def abort(self) -> None:
        """Does nothing: when the application returns, the server drops a response that has begun."""

    async def _finish(self) -> None:
        if self.disconnect is None and not self.response_started:
            await self.send_response(500, [(b"content-type", b"text/plain")], b"Internal Server Error\n")
        else:
            self.truncated = self.disconnect is None and not self._response_ended
