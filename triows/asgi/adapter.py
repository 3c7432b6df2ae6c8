"""The app as an ASGI 3 application: the same connections, carried by the events of a server such as hypercorn.

Of a websocket, an ASGI server keeps the protocol to itself: Pings and keepalive, fragments and the text's encoding
are its own, and it may report any disconnect as 1006. What it hands over is bounded here as it is on a link: its
``receive()`` is not asked for more while the inbox is full, and ``send()`` waits above the high-water mark.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, suppress
from math import inf
from time import perf_counter
from typing import Any, Protocol

import trio

from .connection import Connection, HTTPConnection
from .ends import Disconnect, Head, Headers
from .limits import ServerLimits, WebSocketLimits
from .logs import RequestLine, access_log, log_websocket
from .pieces import Pieces
from .protocol.frames import ABNORMAL, GOING_AWAY, NO_STATUS, TOO_BIG
from .protocol.messages import MESSAGE_COST
from .transport import RoundTrip
from .waiting import Timer, Timers, Waiter
from .websocket_connection import WebSocketConnection

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

_BODY_BUFFER = 65536  # bytes of a request's body that are fetched before the handler reads them
_LAST_WORDS = 1.0  # seconds for the Close frame of a server that goes away

# What ``send()`` may raise when the client is gone: ASGI has OSError, and hypercorn lets through what Trio says of a
# stream that it is just closing in another task.
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)


class App(Protocol):
    """What the adapter needs of an app."""

    @property
    def config(self) -> Mapping[str, Any]: ...
    def handle(self, connection: Connection) -> Awaitable[None]: ...
    def serving(self) -> AbstractAsyncContextManager[object]: ...
    def websocket_limits(self) -> WebSocketLimits: ...
    @property
    def limits(self) -> ServerLimits: ...


async def asgi_app(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one ASGI scope: ``http``, ``websocket`` or ``lifespan``."""
    match scope["type"]:
        case "http":
            await _serve_http(app, scope, receive, send)
        case "websocket":
            await _serve_websocket(app, scope, receive, send)
        case "lifespan":
            await _serve_lifespan(app, receive, send)
        case other:
            raise ValueError(f"the ASGI scope {other!r} is not known here")


def _head(scope: Scope) -> Head:
    raw_path = scope.get("raw_path")
    client, server = scope.get("client"), scope.get("server")
    return Head(
        method=scope.get("method", "GET"),
        raw_path=raw_path.partition(b"?")[0] if raw_path is not None else _quote(scope["path"]),
        query_string=scope.get("query_string", b""),
        headers=[(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]],
        http_version=scope.get("http_version", "1.1"),
        scheme=scope.get("scheme", "http" if scope["type"] == "http" else "ws"),
        root_path=scope.get("root_path", ""),
        client=(client[0], client[1]) if client else None,
        server=(server[0], server[1]) if server else None,
        asgi_scope=dict(scope),
    )


def _quote(path: str) -> bytes:
    return path.replace("%", "%25").encode()


# Lifespan


async def _serve_lifespan(app: App, receive: Receive, send: Send) -> None:
    await receive()  # lifespan.startup
    phase = "startup"
    try:
        async with app.serving():
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()  # lifespan.shutdown
    except Exception as error:
        await send({"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"})
    else:
        await send({"type": "lifespan.shutdown.complete"})


# HTTP


async def _serve_http(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    connection = ASGIHTTPConnection(_head(scope), app.limits, receive, send)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.listen, app.config["DRAIN_TIMEOUT"])
        try:
            await connection.serve(app.handle)
        except BaseException:
            connection.abort()
            raise
        nursery.cancel_scope.cancel()
    if connection.broke_off:
        # Returning would end the response in order, and the client would take it for whole.
        raise RuntimeError(f"the response to {connection.head.raw_path!r} broke off")


class ASGIHTTPConnection(HTTPConnection):
    """One HTTP request of an ASGI server.

    :ivar broke_off: whether the response was begun and never will be ended.
    """

    __slots__ = (
        "_body",
        "_body_ended",
        "_fetching",
        "_left",
        "_receive",
        "_response_ended",
        "_send",
        "_waiting",
        "broke_off",
    )

    def __init__(self, head: Head, limits: ServerLimits, receive: Receive, send: Send) -> None:
        super().__init__(head, limits)
        for name, value in head.headers:
            if name == b"content-length" and value.isdigit():
                self.content_length = int(value[:20])  # no matter which of those that are too long
        self._receive = receive
        self._send = send
        self._body = Pieces()
        self._body_ended = False
        self._response_ended = False
        self._left: int | None = None  # bytes of the response still to come, if that is known
        self.broke_off = False
        self._waiting = trio.lowlevel.ParkingLot()  # for a piece of the body
        self._fetching = Waiter()

    async def listen(self, drain_timeout: float | None) -> None:
        """Fetch the body, and then wait for the client to go away: too early, or with the whole response."""
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
                    self.lose(Disconnect(ABNORMAL, "", "lost"))
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
        if (
            status >= 200
            and status not in (204, 304)
            and not any(name.lower() == b"content-length" for name, _ in headers)
        ):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        await self.start_response(status, headers)
        await self._send_last(b"" if self.head.method == "HEAD" else body)

    async def start_response(self, status: int, headers: Headers) -> None:
        if self.response_started:
            raise RuntimeError(f"the response to {self.head.method} {self.head.raw_path!r} was begun already")
        self.status = status
        lengths = [value for name, value in headers if name.lower() == b"content-length" and value.isdigit()]
        self._left = int(lengths[0]) if lengths else None
        await self._send_event({"type": "http.response.start", "status": status, "headers": headers})

    async def send_body(self, data: bytes) -> None:
        if data and self.head.method != "HEAD":
            await self._send_event({"type": "http.response.body", "body": data, "more_body": True})
            if self._left is not None:
                self._left -= len(data)

    async def end_response(self) -> None:
        await self._send_last(b"")

    async def _send_last(self, data: bytes) -> None:
        if not self._response_ended:
            self._response_ended = True
            await self._send_event({"type": "http.response.body", "body": data, "more_body": False})

    async def _send_event(self, event: Event) -> None:
        try:
            await self._send(event)
        except _GONE:
            self.lose(Disconnect(ABNORMAL, "", "lost"))

    def abort(self) -> None:
        """The server drops what was begun when the application returns."""

    async def _finish(self) -> None:
        if self.disconnect is None and not self.response_started:
            await self.send_response(500, [(b"content-type", b"text/plain")], b"Internal Server Error\n")
        else:
            self.broke_off = self.disconnect is None and not self._response_ended


# WebSockets


# The timers of all websockets, in one task: there is no server here that could run it.
_timers: trio.lowlevel.RunVar[Timers] = trio.lowlevel.RunVar("triows.timers")


def _timers_of_this_run() -> Timers:
    try:
        return _timers.get()
    except LookupError:
        timers = Timers()
        _timers.set(timers)
        trio.lowlevel.spawn_system_task(timers.run, name="triows timers")
        return timers


async def _serve_websocket(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    transport = ASGITransport(receive, send, denial="websocket.http.response" in (scope.get("extensions") or {}))
    head = _head(scope)
    if scope.get("subprotocols") and not head.subprotocols:
        offered = ", ".join(scope["subprotocols"]).encode("latin-1")
        head.headers.append((b"sec-websocket-protocol", offered))
    connection = WebSocketConnection(head, transport, app.websocket_limits(), _timers_of_this_run())
    transport.connection = connection
    began = perf_counter()
    async with trio.open_nursery() as services:
        services.start_soon(transport.receive_events)
        services.start_soon(transport.send_events)
        try:
            await connection.serve(app.handle)
        except BaseException:
            connection.abort()
            if connection.accepted and (transport.unsaid is not None or not connection.closed):
                # The server goes away and says nothing to its clients: say it for it (RFC 6455, section 7.4.1).
                with trio.move_on_after(_LAST_WORDS, shield=True), suppress(*_GONE):
                    await send(transport.unsaid or {"type": "websocket.close", "code": GOING_AWAY, "reason": ""})
            raise
        finally:
            transport.stop_timer()
            _log_end(connection, perf_counter() - began, show_query=app.config["ACCESS_LOG_QUERY"])
        services.cancel_scope.cancel()


def _log_end(connection: WebSocketConnection, seconds: float, *, show_query: bool) -> None:
    """Log the end of a websocket. Responses are in the log of the server, which does not know how a websocket ended."""
    if connection.status == 101 and access_log.isEnabledFor(logging.INFO):
        head = connection.head
        target = b"%b?%b" % (head.raw_path, head.query_string) if head.query_string else head.raw_path
        line = RequestLine.of(head.method, target, head.http_version, show_query=show_query)
        log_websocket(head.client and head.client[0], line, connection.ending, connection.traffic, seconds)


class ASGITransport:
    """Carries a websocket as the events of an ASGI server: one task receives, one sends.

    :ivar buffered: bytes of messages that the server has not taken yet.
    :ivar unsaid: the websocket's close, if the transport was dropped before the server had taken it.
    """

    __slots__ = (
        "_all_taken",
        "_denial",
        "_ended",
        "_fragments",
        "_outgoing",
        "_progressed",
        "_receive",
        "_receiver",
        "_send",
        "_send_timer",
        "_sender",
        "_sending",
        "buffered",
        "bytes_sent",
        "connection",
        "messages_sent",
        "unsaid",
    )

    def __init__(self, receive: Receive, send: Send, *, denial: bool) -> None:
        self.connection: WebSocketConnection
        self.buffered = 0
        self.messages_sent = 0
        self.bytes_sent = 0
        self._receive = receive
        self._send = send
        self._denial = denial
        self._outgoing: deque[tuple[Event, int]] = deque()
        self._fragments: list[str | bytes] = []  # of a message that is sent in pieces
        self._sender = Waiter()
        self._receiver = Waiter()
        self._all_taken = Waiter()
        self._sending = False  # the server has not taken everything yet
        self._ended = False
        self.unsaid: Event | None = None
        self._progressed = 0.0
        self._send_timer: Timer | None = None

    # The connection's transport

    def accept(self, headers: Headers, subprotocol: str | None) -> None:
        self._put({"type": "websocket.accept", "headers": headers, "subprotocol": subprotocol})

    async def reject(self, status: int, headers: Headers, body: bytes) -> None:
        if self._denial:
            # RFC 9110 section 8.6: where there may be no content, its length is not told.
            if status not in (204, 304) and not any(name.lower() == b"content-length" for name, _ in headers):
                headers = [*headers, (b"content-length", b"%d" % len(body))]
            self._put({"type": "websocket.http.response.start", "status": status, "headers": headers})
            self._put({"type": "websocket.http.response.body", "body": body, "more_body": False})
        else:
            self._put({"type": "websocket.close", "code": 1000, "reason": ""})  # the server answers 403
        await self._wait_until_taken()

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            # A text that is not Unicode must fail here, in the handler.
            size = len(message) if message.isascii() else len(message.encode())
            self._put({"type": "websocket.send", "text": message}, size)
        else:
            size = len(message)
            self._put({"type": "websocket.send", "bytes": message}, size)
        self.messages_sent += 1
        self.bytes_sent += size

    def send_fragment(self, piece: str | bytes, first: bool, final: bool) -> None:
        # ASGI knows whole messages only.
        if first:
            self._fragments = []
        self._fragments.append(piece)
        if final:
            self.send(piece[:0].join(self._fragments))  # type: ignore[arg-type]  # all are of one type
            self._fragments = []

    def ping(self, round_trip: RoundTrip) -> None:
        raise RuntimeError("ping(): an ASGI server gives no access to Pings; it may send its own to keep clients alive")

    def send_close(self, code: int, reason: str) -> None:
        self._put({"type": "websocket.close", "code": code, "reason": reason})

    def flush(self) -> None:
        """Nothing is put off here."""

    def resume_receiving(self) -> None:
        self._receiver.wake()

    def stop_receiving(self) -> None:
        """At its shutdown the server cancels the application itself."""

    def stream_next(self) -> None:
        """Messages come whole."""

    def collect_next(self) -> None:
        """As ever."""

    def abort(self) -> None:
        self._ended = True
        if self._outgoing and self._outgoing[-1][0]["type"] == "websocket.close":
            self.unsaid = self._outgoing[-1][0]
        self._outgoing.clear()
        self._is_taken()

    async def finish(self) -> None:
        timeout = self.connection.limits.close_timeout
        with trio.CancelScope() as scope:
            if timeout is not None:
                scope.deadline = trio.current_time() + timeout
            await self._wait_until_taken()

    async def _wait_until_taken(self) -> None:
        while self._sending:
            await self._all_taken.park()

    def _is_taken(self) -> None:
        self._sending = False
        self._all_taken.wake()

    def stop_timer(self) -> None:
        """The connection has ended; the timers of others go on."""
        if self._send_timer is not None:
            self._send_timer.cancel()

    # The tasks

    def _put(self, event: Event, size: int = 0) -> None:
        if self._ended:
            return
        if not self._sending:
            self._sending = True
            self._progressed = trio.current_time()
        self._outgoing.append((event, size))
        self.buffered += size
        if self.buffered >= self.connection.limits.send_buffer:
            self.connection.congested = True
        self._sender.wake()
        timeout = self.connection.limits.send_timeout
        if timeout is not None and self._send_timer is None:
            self._send_timer = self.connection.timers.call_later(timeout, self._check_sending)

    async def send_events(self) -> None:
        """Hand to the server what is put, in order."""
        while True:
            if not self._outgoing:
                self._is_taken()
                await self._sender.park()
                continue
            event, size = self._outgoing.popleft()
            try:
                await self._send(event)
            except _GONE:
                # The server knows, and says so by websocket.disconnect, behind the messages that came before: all that
                # it has are fetched, and nobody waits to send.
                self.abort()
                self.buffered = 0
                self.connection.room_made()
                self._receiver.wake()
                return
            self.buffered -= size
            self._progressed = trio.current_time()
            self.connection.room_made()

    async def receive_events(self) -> None:
        """Take from the server what arrives, while there is room for it."""
        await self._receive()  # websocket.connect
        connection = self.connection
        inbox = connection.inbox
        while True:
            if inbox.size >= connection.limits.receive_buffer and not self._ended:
                await self._receiver.park()
                continue
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                code = event.get("code") or NO_STATUS
                self.abort()
                connection.lose(Disconnect(code, event.get("reason") or "", "lost" if code == ABNORMAL else "closed"))
                return
            message = event.get("text")
            if message is None:
                message = bytes(event["bytes"])
            size = len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())
            if size > connection.limits.max_message_size:
                reason = f"message is over {connection.limits.max_message_size} bytes"
                connection.lose(Disconnect(TOO_BIG, reason, "protocol_error"))
                continue
            if connection.disconnect is None:
                inbox.append(message)
                inbox.size += size + MESSAGE_COST
                inbox.messages += 1
                inbox.bytes += size
                connection.messages_arrived()

    def _check_sending(self) -> None:
        timeout = self.connection.limits.send_timeout
        assert timeout is not None
        self._send_timer = None
        if not self._sending:
            return
        stalled = trio.current_time() - self._progressed
        if stalled >= timeout:
            self.abort()
            self.connection.lose(Disconnect(ABNORMAL, f"took nothing of what was sent for {timeout:g} s", "timeout"))
        else:
            self._send_timer = self.connection.timers.call_later(timeout - stalled, self._check_sending)
