"""What a websocket's connection needs of whatever carries it."""

from __future__ import annotations

from typing import Protocol

import trio

from ..protocol.headers import Headers


class RoundTrip:
    """A Ping on its way.

    :ivar ended: set when the Pong has arrived, or will not.
    :ivar seconds: the time between the two, or None.
    """

    __slots__ = ("ended", "seconds")

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.seconds: float | None = None


class RoundTrips(list[RoundTrip]):
    """Those that somebody waits for."""

    __slots__ = ()

    async def make(self, transport: WebSocketTransport) -> float | None:
        """Send a Ping; return the seconds to its Pong, or None if there will be none."""
        round_trip = RoundTrip()
        transport.ping(round_trip)
        self.append(round_trip)
        try:
            await round_trip.ended.wait()
        finally:
            round_trip.ended.set()  # given up, if it was not ended
            self.remove(round_trip)
        return round_trip.seconds

    def end(self) -> None:
        """There will be no Pong any more."""
        for round_trip in self:
            round_trip.ended.set()


def as_message(message: object) -> str | bytes:
    """The str or bytes that a message is, for a subclass or what is like bytes too."""
    if isinstance(message, str):
        return str(message)
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise TypeError(f"a websocket message is str or bytes, not {type(message).__name__}: use send_json()?")


class WebSocketTransport(Protocol):
    """What carries a websocket: bytes on a link, or events of an ASGI server.

    Nothing here waits but :meth:`reject` and :meth:`finish`; what cannot be sent at once is buffered and counted.

    :ivar buffered: bytes that wait to be sent.
    :ivar messages_sent: how many messages were put into the buffer so far.
    :ivar bytes_sent: their payload, before compression.
    """

    messages_sent: int
    bytes_sent: int

    @property
    def buffered(self) -> int: ...
    def accept(self, headers: Headers, subprotocol: str | None) -> None: ...
    async def reject(self, status: int, headers: Headers, body: bytes) -> None: ...
    def send(self, message: str | bytes) -> None: ...

    def send_fragment(self, piece: str | bytes, first: bool, final: bool) -> None:
        """Send a piece of a message. No other piece or message comes between."""

    def send_close(self, code: int, reason: str) -> None: ...

    def ping(self, round_trip: RoundTrip) -> None:
        """Send a Ping; the Pong ends the round trip. Raises RuntimeError where there are none to be had."""

    def flush(self) -> None: ...
    def resume_receiving(self) -> None: ...

    def stop_receiving(self) -> None:
        """Nothing is wanted any more but the client's Close, and that after the local one."""

    def stream_next(self) -> None:
        """Hand the message in progress, or else the next one that does not come whole, out in pieces.

        It becomes the connection's ``streamed``.
        """

    def collect_next(self) -> None:
        """Take :meth:`stream_next` back."""

    def abort(self) -> None: ...

    async def finish(self) -> None:
        """Wait until what is buffered is sent and the transport is closed."""
