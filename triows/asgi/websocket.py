"""A websocket of an ASGI server."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from time import perf_counter

import trio

from ..connection.app import App
from ..connection.logs import RequestLine, access_log, log_websocket
from ..connection.transport import CarriedWebSocket, RoundTrip
from ..connection.websocket import WebSocketConnection
from ..protocol.content import has_content
from ..protocol.disconnect import Disconnect
from ..protocol.headers import Headers
from ..protocol.websocket.close_codes import ABNORMAL, GOING_AWAY, NO_STATUS, NORMAL, too_big
from ..tasks.progress import ProgressWatch
from ..tasks.timers import Timers
from ..tasks.waiter import Waiter
from .scope import GONE, Event, Receive, Scope, Send, head_of, response_start

_FINAL_CLOSE = 1.0  # seconds for the Close frame of a server that goes away


# The timers of all websockets run in one system task, since no server of ours is there to run them.
_timers: trio.lowlevel.RunVar[Timers] = trio.lowlevel.RunVar("triows.timers")


def _timers_of_this_run() -> Timers:
    try:
        return _timers.get()
    except LookupError:
        timers = Timers()
        _timers.set(timers)
        trio.lowlevel.spawn_system_task(timers.run, name="triows timers")
        return timers


async def serve_websocket(app: App, scope: Scope, receive: Receive, send: Send) -> BaseException | None:
    """Serve a websocket, and return the error that no error handler took."""
    transport = ASGITransport(receive, send, denial="websocket.http.response" in (scope.get("extensions") or {}))
    head = head_of(scope)
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
            if connection.accepted and (transport.undelivered_close is not None or not connection.closed):
                # The server goes away without a Close frame to its clients: send one (RFC 6455, section 7.4.1).
                with trio.move_on_after(_FINAL_CLOSE, shield=True), suppress(*GONE):
                    await send(
                        transport.undelivered_close or {"type": "websocket.close", "code": GOING_AWAY, "reason": ""}
                    )
            raise
        finally:
            transport.stop_timer()
            _log_end(connection, perf_counter() - began, show_query=app.config["ACCESS_LOG_QUERY"])
        services.cancel_scope.cancel()
    return connection.error


def _log_end(connection: WebSocketConnection, seconds: float, *, show_query: bool) -> None:
    """Log the end of a websocket. Responses are in the log of the server, which does not know how a websocket ended."""
    if connection.status == 101 and access_log.isEnabledFor(logging.INFO):
        head = connection.head
        target = b"%b?%b" % (head.raw_path, head.query_string) if head.query_string else head.raw_path
        line = RequestLine.of(head.method, target, head.http_version, show_query=show_query)
        ending, traffic = connection.ending, connection.traffic
        log_websocket(head.client and head.client[0], line, ending, traffic, seconds, connection.request_id)


class ASGITransport:
    """Carries a websocket as the events of an ASGI server: one task receives, one sends.

    :ivar buffered: bytes of messages that the server has not taken yet.
    :ivar undelivered_close: the websocket's close, if the transport was dropped before the server had taken it.
    :ivar has_deferred_io: always False: what is sent is handed to the server at once.
    """

    has_deferred_io = False

    __slots__ = (
        "_all_taken",
        "_denial",
        "_ended",
        "_fragments",
        "_last_progress",
        "_outgoing",
        "_receive",
        "_receiver",
        "_send",
        "_sender",
        "_sending",
        "_watch",
        "buffered",
        "bytes_sent",
        "connection",
        "messages_sent",
        "undelivered_close",
    )

    def __init__(self, receive: Receive, send: Send, *, denial: bool) -> None:
        self.connection: CarriedWebSocket
        self.buffered: int = 0
        self.messages_sent: int = 0
        self.bytes_sent: int = 0
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
        self.undelivered_close: Event | None = None
        self._last_progress = 0.0
        self._watch: ProgressWatch | None = None  # over what is sent; made for the first event

    # The connection's transport

    def accept(self, headers: Headers, subprotocol: str | None) -> None:
        self._put({"type": "websocket.accept", "headers": headers, "subprotocol": subprotocol})

    async def reject(self, status: int, headers: Headers, body: bytes) -> None:
        if self._denial:
            event, _ = response_start("websocket.http.response.start", status, headers, len(body))
            self._put(event)
            content = body if has_content("GET", status) else b""
            self._put({"type": "websocket.http.response.body", "body": content, "more_body": False})
        else:
            self._put({"type": "websocket.close", "code": NORMAL, "reason": ""})  # the server answers 403
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

    def run_deferred_io(self) -> None:
        """Nothing is put off here."""

    def resume_receiving(self) -> None:
        self._receiver.wake()

    def stop_receiving(self) -> None:
        """At its shutdown the server cancels the application itself."""

    def stream_next(self) -> None:
        """Messages come whole."""

    def stop_streaming(self) -> None:
        """Messages come whole."""

    def abort(self) -> None:
        self._ended = True
        if self._outgoing and self._outgoing[-1][0]["type"] == "websocket.close":
            self.undelivered_close = self._outgoing[-1][0]
        self._outgoing.clear()
        self._set_taken()

    async def finish(self) -> None:
        timeout = self.connection.limits.close_timeout
        with trio.CancelScope() as scope:
            if timeout is not None:
                scope.deadline = trio.current_time() + timeout
            await self._wait_until_taken()

    async def _wait_until_taken(self) -> None:
        while self._sending:
            await self._all_taken.park()

    def _set_taken(self) -> None:
        """The server has taken everything, or will take nothing more: wake whoever waits for that."""
        self._sending = False
        self._all_taken.wake()

    def stop_timer(self) -> None:
        """Stop the watch over sending: the timers belong to all connections, and go on."""
        if self._watch is not None:
            self._watch.stop()

    # The tasks

    def _put(self, event: Event, size: int = 0) -> None:
        if self._ended:
            return
        if not self._sending:
            self._sending = True
            self._last_progress = trio.current_time()
        self._outgoing.append((event, size))
        self.buffered += size
        if self.buffered >= self.connection.limits.send_buffer:
            self.connection.buffer_filled()
        self._sender.wake()
        if self._watch is None:
            connection = self.connection
            timeout = connection.limits.send_timeout
            self._watch = ProgressWatch(connection.timers, self._seconds_stalled, self._sending_timed_out, timeout)
        if self._watch.timer is None:
            self._watch.start()

    async def send_events(self) -> None:
        """Hand the outgoing events to the server, in order."""
        while True:
            if not self._outgoing:
                self._set_taken()
                await self._sender.park()
                continue
            event, size = self._outgoing.popleft()
            try:
                await self._send(event)
            except GONE:
                # The client is gone. The server tells it by websocket.disconnect, after the messages that arrived
                # before: receive_events() fetches them, and no task waits to send.
                self.abort()
                self.buffered = 0
                self.connection.room_made()
                self._receiver.wake()
                return
            self.buffered -= size
            self._last_progress = trio.current_time()
            self.connection.room_made()

    async def receive_events(self) -> None:
        """Take events from the server, while the inbox has room."""
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
                connection.end_by(Disconnect(code, event.get("reason") or "", "lost" if code == ABNORMAL else "closed"))
                return
            message = event.get("text")
            if message is None:
                message = bytes(event["bytes"])
            size = len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())
            if size > connection.limits.max_message_size:
                connection.end_by(Disconnect(*too_big(connection.limits.max_message_size), "protocol_error"))
                continue
            if connection.disconnect is None:
                inbox.put(message, size)
                connection.messages_arrived()

    def _seconds_stalled(self) -> float | None:
        """Seconds since the server last took an event, or None when it has taken all."""
        return trio.current_time() - self._last_progress if self._sending else None

    def _sending_timed_out(self) -> None:
        timeout = self.connection.limits.send_timeout
        self.abort()
        self.connection.end_by(Disconnect(ABNORMAL, f"took nothing of what was sent for {timeout:g} s", "timeout"))
