"""The border between a websocket's connection and its transport: what each of the two may touch of the other.

A connection asks of its transport what :class:`WebSocketTransport` declares, and a transport touches of its connection
what :class:`CarriedWebSocket` declares. Neither knows the other's class.
"""

from __future__ import annotations

from typing import Protocol

import trio

from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..protocol.plain import plain_bytes, plain_text
from ..protocol.websocket.inbox import Inbox
from ..protocol.websocket.partial_message import PartialMessage
from ..tasks.functions import forgotten_await
from ..tasks.timers import Timers
from .limits import WebSocketLimits


class RoundTrip:
    """A Ping on its way.

    :ivar ended: set when the Pong has arrived, or will not.
    :ivar seconds: the time between the two, or None.
    """

    __slots__ = ("ended", "seconds")

    def __init__(self) -> None:
        self.ended: trio.Event = trio.Event()
        self.seconds: float | None = None


class RoundTrips(list[RoundTrip]):
    """The round trips that a task waits for."""

    __slots__ = ()

    async def make(self, transport: WebSocketTransport) -> float | None:
        """Send a Ping; return the seconds to its Pong, or None if there will be none."""
        round_trip = RoundTrip()
        transport.ping(round_trip)
        self.append(round_trip)
        try:
            await round_trip.ended.wait()
        finally:
            round_trip.ended.set()  # if this was cancelled, the transport forgets it
            self.remove(round_trip)
        return round_trip.seconds

    def end(self) -> None:
        """There will be no Pong any more."""
        for round_trip in self:
            round_trip.ended.set()


def as_message(message: object) -> str | bytes:
    """The message as str or bytes, which may be given as a subclass or as another bytes-like object."""
    if isinstance(message, str):
        return plain_text(message)
    if isinstance(message, (bytes, bytearray, memoryview)):
        return plain_bytes(message)
    hint = forgotten_await(message) or "use send_json()?"
    raise TypeError(f"a websocket message is str or bytes, not {type(message).__name__}: {hint}")


class WebSocketTransport(Protocol):
    """What carries a websocket: bytes on a link, or events of an ASGI server.

    Nothing here waits but :meth:`reject` and :meth:`finish`; what cannot be sent at once is buffered and counted.

    :ivar buffered: bytes that wait to be sent.
    :ivar messages_sent: how many messages were put into the buffer so far.
    :ivar bytes_sent: their payload, before compression.
    :ivar has_deferred_io: whether :meth:`run_deferred_io` is to be called before the handler waits for a message.
    """

    messages_sent: int
    bytes_sent: int

    @property
    def buffered(self) -> int: ...
    @property
    def has_deferred_io(self) -> bool: ...
    def accept(self, headers: Headers, subprotocol: str | None) -> None: ...
    async def reject(self, status: int, headers: Headers, body: bytes) -> None: ...

    def send(self, message: str | bytes) -> None:
        """Send a message, or put it into the buffer. While the inbox is not empty, it may wait for the next."""

    def send_fragment(self, piece: str | bytes, first: bool, final: bool) -> None:
        """Send a piece of a message. No other piece or message comes between."""

    def send_close(self, code: int, reason: str) -> None: ...

    def ping(self, round_trip: RoundTrip) -> None:
        """Send a Ping; the Pong ends the round trip. Raises RuntimeError where there are none to be had."""

    def flush(self) -> None:
        """Send what was put off to be joined with later messages."""

    def resume_receiving(self) -> None:
        """Read from the client again, if ``receive_buffer`` has room."""

    def run_deferred_io(self) -> None:
        """Flush, and go on reading; what arrives by that is in the inbox afterwards."""

    def stop_receiving(self) -> None:
        """Stop reading until the local close; after it, read on for the client's Close."""

    def stream_next(self) -> None:
        """Hand the message in progress, or else the next one that does not come whole, out in pieces.

        It becomes the connection's ``streamed``.
        """

    def stop_streaming(self) -> None:
        """Take :meth:`stream_next` back."""

    def abort(self) -> None: ...

    async def finish(self) -> None:
        """Wait until what is buffered is sent and the transport is closed."""


class CarriedWebSocket(Protocol):
    """What a transport may touch of the websocket that it carries.

    :ivar inbox: the transport puts whole messages there, and then calls :meth:`messages_arrived`.
    :ivar streamed: set by the transport: the message that is handed out in pieces, once it has begun.
    :ivar latency: set by the transport: the last round trip of a Ping, in seconds.
    :ivar limits: the limits of the route; final when the handshake is accepted.
    :ivar timers: where the transport sets its timers.
    :ivar closed: whether this side has closed or rejected the websocket: no message is wanted any more.
    :ivar streaming: whether the handler receives a message in pieces.
    :ivar wants_whole_message: whether the handler waits for a whole message, so that it may become as large as the
        limit allows.
    """

    streamed: PartialMessage | None
    latency: float | None

    @property
    def head(self) -> Head: ...
    @property
    def limits(self) -> WebSocketLimits: ...
    @property
    def timers(self) -> Timers: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def disconnect(self) -> Disconnect | None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def streaming(self) -> bool: ...
    @property
    def wants_whole_message(self) -> bool: ...

    def messages_arrived(self) -> None:
        """There is something in the inbox, or more of the streamed message."""

    def buffer_filled(self) -> None:
        """The transport buffers ``send_buffer`` bytes or more: senders wait until there is room."""

    def room_made(self) -> None:
        """Some of what was buffered has been sent."""

    def end_by(self, disconnect: Disconnect) -> None:
        """End the websocket: the client is gone, or is to be disconnected. The first reason stays."""
