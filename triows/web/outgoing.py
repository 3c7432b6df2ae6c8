"""A response on its way to the connection, behind all hooks: what CORS and compression still change of it."""

from __future__ import annotations

from typing import Protocol

from ..protocol.headers import Headers
from .response import BodySink


class ResponseSink(BodySink, Protocol):
    """Where a streamed response goes."""

    async def end_response(self) -> None: ...


class Outgoing:
    """A response as it goes to the connection. The response's own object stays as it is: it may be sent again.

    :ivar headers: the lines of the head.
    :ivar body: the whole body; None if it is streamed.
    :ivar sink: where a streamed body goes.
    """

    __slots__ = ("body", "headers", "sink")

    def __init__(self, headers: Headers, body: bytes | None, sink: ResponseSink) -> None:
        self.headers: Headers = headers
        self.body: bytes | None = body
        self.sink: ResponseSink = sink
