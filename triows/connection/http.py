"""One HTTP request and its response, whatever carries it."""

from __future__ import annotations

from abc import abstractmethod

import trio

from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.headers import Headers
from .base import Connection
from .limits import ServerLimits
from .stats import Counters

_DEFAULT_LIMITS = ServerLimits()


class BodyTooLarge(Exception):
    """A request's body is over its limit."""


class HTTPConnection(Connection):
    """One HTTP request and its response.

    :ivar limits: those of the request's route, once it is found; until then those of the app.
    :ivar content_length: bytes of the body; 0 while its length is not known.
    :ivar max_body_size: bytes that the body may have; None for any number.
    """

    __slots__ = ("_endless", "_shutting_down", "content_length", "limits", "max_body_size")

    def __init__(self, head: Head, limits: ServerLimits = _DEFAULT_LIMITS) -> None:
        super().__init__(head)
        self.limits: ServerLimits = limits
        self.content_length: int = 0
        self.max_body_size: int | None = limits.max_body_size
        self._endless: trio.CancelScope | None = None
        self._shutting_down = False

    @property
    def response_started(self) -> bool:
        """Whether a response was begun; from then on no other can be sent."""
        return self.status is not None

    @property
    def draining(self) -> bool:
        """Whether the server that carries the request shuts down. A carrier that is not told of that says False."""
        return False

    def keep_out_of_log(self) -> None:
        """Write no record of the response into the access log, where the carrier has one."""

    def count(self, counters: Counters) -> None:
        super().count(counters)
        counters.requests_open += 1

    def _count_end(self, counters: Counters) -> None:
        super()._count_end(counters)
        counters.requests_open -= 1
        counters.count_response(self.status)

    @abstractmethod
    async def receive_body(self) -> bytes:
        """The next piece of the request's body, ``b""`` at its end. Cancellation loses nothing.

        A carrier that learns the body's length from its framing raises :exc:`BodyTooLarge` as soon as that is over
        :attr:`max_body_size`.
        """

    @abstractmethod
    async def send_response(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response; the body is left out for HEAD, 204 and 304. The carrier tells its length."""

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        await self.send_response(status, headers, body)

    @abstractmethod
    async def start_response(self, status: int, headers: Headers) -> None:
        """Begin a streamed response. The carrier frames its body, by the Content-Length if the headers have one."""

    @abstractmethod
    async def send_body(self, data: bytes) -> None:
        """Send a piece of a streamed body. Waits while the client does not keep up."""

    @abstractmethod
    async def end_response(self) -> None:
        """End a streamed response."""

    def until_shutdown(self, scope: trio.CancelScope) -> None:
        """Cancel ``scope`` when the server shuts down: the response's body, which is sent in there, has no end.

        Under an ASGI server nothing is known of the shutdown, and that server cancels the request.
        """
        self._endless = scope
        if self._shutting_down:
            self.shut_down()

    def shut_down(self) -> None:
        """End a body that has no end of its own: the server shuts down. All others may be sent to their end."""
        self._shutting_down = True
        if self._endless is not None:
            self._endless.cancel(reason="the server shuts down")

    def end_by(self, disconnect: Disconnect) -> None:
        """See :meth:`Connection.end_by`. A second call does nothing."""
        if self.disconnect is None:
            self.disconnect: Disconnect | None = disconnect
            self.cancel_handler()
