"""What a websocket's connection needs of whatever carries it."""

from __future__ import annotations

from typing import Protocol

from .ends import Headers


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
    def send_close(self, code: int, reason: str) -> None: ...
    def flush(self) -> None: ...
    def resume_receiving(self) -> None: ...
    def abort(self) -> None: ...

    async def finish(self) -> None:
        """Wait until what is buffered is sent and the transport is closed."""
