"""What a websocket's connection needs of whatever carries it."""

from __future__ import annotations

from typing import Protocol

import trio

from .ends import Headers


class RoundTrip:
    """A Ping on its way.

    :ivar ended: set when the Pong has arrived, or will not.
    :ivar seconds: the time between the two, or None.
    """

    __slots__ = ("ended", "seconds")

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.seconds: float | None = None


class WebSocketTransport(Protocol):
    """What carries a websocket: bytes on a link, or events of an ASGI server.

    Nothing here waits but :meth:`reject` and :meth:`finish`; what cannot be sent at once is buffered and counted.

    :ivar buffered: bytes that wait to be sent.
    """

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
