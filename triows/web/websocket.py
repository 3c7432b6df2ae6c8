"""The websocket as its handler uses it: the request of the handshake, and the messages."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Generator, Iterable, Mapping
from typing import Any, cast

import trio
from werkzeug import datastructures

from ..connection.pacing import PacedConnection, PacedMessageStream
from ..connection.streaming import MessageStream, send_pieces
from ..connection.websocket import WebSocketConnection
from ..errors import JSONMessageError, WebSocketStateError
from ..protocol.headers import Headers
from ..protocol.plain import plain_text
from ..tasks.functions import check_awaited
from .foreign_names import WEBSOCKET as FOREIGN
from .headers import ResponseHeaders, encode_headers
from .json_codec import encode
from .request import RequestBase
from .suggestions import suggests_arguments

# Headers that the server itself sets in the answer to the handshake (RFC 6455, section 4.2.2).
_RESERVED = {b"upgrade", b"connection", b"content-length", b"transfer-encoding"}


class _Checkpoint:
    """The result of ``accept()``. Awaiting it is a checkpoint, and it need not be awaited."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return trio.lowlevel.checkpoint().__await__()  # noqa: ASYNC105 - the caller awaits it


_CHECKPOINT = _Checkpoint()


class WebSocket(RequestBase):
    """A websocket, as its handler uses it, usually through the global :data:`triows.websocket`.

    It is a request too: ``headers``, ``args``, ``cookies``, ``path`` and the like are the handshake's.

    When the client disconnects, the handler and its tasks are cancelled. :exc:`trio.Cancelled` must propagate;
    ``websocket.disconnect`` then says why.
    """

    _foreign = FOREIGN
    connection: WebSocketConnection  # pyright: ignore[reportIncompatibleVariableOverride]  # only read
    _stream_class: type[MessageStream] = MessageStream
    accept_headers: Callable[[], Headers] | None = None
    """What the app adds to the headers of an accepted websocket: its session's cookie."""

    def __init__(self, connection: WebSocketConnection) -> None:
        super().__init__(connection)
        self._accepted_with: tuple[Headers, str | None] | None = None
        connection.implied_accept = self.accept

    @suggests_arguments
    def accept(
        self,
        headers: Mapping[str, str] | datastructures.Headers | Iterable[tuple[str, str]] | None = None,
        subprotocol: str | None = None,
    ) -> _Checkpoint:
        """Accept the handshake, with more headers and one of the subprotocols that the client offers.

        The call takes effect at once. Awaiting the result is a checkpoint, and may be left out. The first
        ``receive()``, ``send()`` or iteration accepts too. Once accepted, a call without arguments does nothing.

        :raises WebSocketStateError: if the websocket was accepted with other arguments, or rejected.
        :raises ValueError: for a subprotocol that the client did not offer, or a header that only the server may set.
        """
        if isinstance(headers, str | bytes):
            raise TypeError(
                f"accept() got {headers!r:.100} as headers; for a subprotocol write subprotocol={headers!r:.100}"
            )
        fields = encode_headers(ResponseHeaders(headers)) if headers is not None else []
        check_awaited("accept()", subprotocol)
        subprotocol = None if subprotocol is None else plain_text(subprotocol)
        if self._accepted_with is not None:
            if (fields or subprotocol is not None) and (fields, subprotocol) != self._accepted_with:
                raise WebSocketStateError(
                    "accept() was called before with other arguments; receive() and send() accept too, so call it first"
                )
            return _CHECKPOINT
        if self.connection.closed:
            raise WebSocketStateError("accept(): the handshake was rejected already")
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise ValueError(
                f"accept(): the client does not offer subprotocol {subprotocol!r}, only {self.subprotocols!r}"
            )
        for name, _ in fields:
            if name.lower() in _RESERVED or name.lower().startswith(b"sec-websocket-"):
                raise ValueError(f"accept(): {name.decode()} is set by the server; for a subprotocol use subprotocol=")
        self._accepted_with = (fields, subprotocol)
        if subprotocol is None:
            subprotocol = self._preferred_subprotocol()
        if self.accept_headers is not None:
            fields = [*fields, *self.accept_headers()]
        self.connection.accept(fields, subprotocol)
        return _CHECKPOINT

    def limit_rate(self, per_second: float) -> None:
        """Hand out at most so many messages a second from now on, as ``max_message_rate`` has it."""
        paced = PacedConnection(self.connection, per_second)
        self.connection = cast(WebSocketConnection, paced)  # pyright: ignore[reportIncompatibleVariableOverride]
        self._stream_class = PacedMessageStream

    def _preferred_subprotocol(self) -> str | None:
        """Return the first of the route's subprotocols that the client offers."""
        return next((name for name in self.connection.limits.subprotocols if name in self.subprotocols), None)

    def receive(self) -> Coroutine[Any, Any, str | bytes]:
        """Wait for the next message: ``str`` or ``bytes``, as the client sent it.

        If the client is gone, the messages that arrived are returned first; the next call is cancelled, with the whole
        handler. ``receive()`` checks for cancellation at each call, and lets other tasks run at least every 64 calls or
        millisecond. A cancellation, by a timeout for instance, loses no message.

        :raises trio.BusyResourceError: when another task is in ``receive()`` of this websocket.
        :raises WebSocketClosed: after ``close()``.
        """
        return self.connection.receive()

    def receive_stream(self) -> MessageStream:
        """Receive the next message in pieces, as they arrive, so that it need not fit into memory::

            async with websocket.receive_stream() as pieces:
                async for piece in pieces:
                    ...

        The pieces are ``str`` or ``bytes``, as the message is, none of them empty; a character is never cut. Entering
        waits for the message to begin. Reading from the client pauses while ``receive_buffer`` bytes wait to be
        iterated over. ``max_message_size`` limits this message too: raise it for the route. A message that has arrived
        whole before, or comes from an ASGI server, is one piece.

        Leaving the block drops the rest of the message, as does a cancellation inside the block; a cancellation while
        entering loses nothing. If the client goes away in the middle of the message, the pieces that arrived are
        returned, and then the handler is cancelled.

        :raises trio.BusyResourceError: on entering, when another task is receiving from this websocket.
        :raises WebSocketClosed: after ``close()``.
        """
        return self._stream_class(self.connection)

    def send(self, data: str | bytes | AsyncIterable[str | bytes]) -> Coroutine[Any, Any, None]:
        """Send a message: text from ``str``, binary from ``bytes``. Any number of tasks may send at once.

        ``send()`` waits while more than ``send_buffer`` bytes wait to be sent, and checks for cancellation at each
        call. If it is cancelled, nothing was sent. Once it has returned, the message is sent whole, or the connection
        ends. Messages to a client that is gone are discarded.

        An async iterable of ``str`` or of ``bytes`` is sent as one message, each piece in a fragment of its own (RFC
        6455, section 5.4). Other tasks' messages wait for its end. Without any piece, no message is sent. A message
        that has begun cannot be taken back: if ``send()`` is cancelled, or the iterable raises, the connection is
        closed with 1011. An ASGI server takes only whole messages, so that the pieces are collected first.

        :raises WebSocketClosed: after ``close()``.
        :raises TypeError: for anything else than str, bytes-like objects and async iterables of them.
        """
        if isinstance(data, (str, bytes)) or not isinstance(data, AsyncIterable):
            return self.connection.send(data)
        return send_pieces(self.connection, data)

    async def receive_json(self) -> Any:
        """Wait for the next message and decode it with the app's JSON provider.

        :raises JSONMessageError: if the message is not JSON. If the error escapes the handler, the client gets Close
            1007.
        """
        message = await self.connection.receive()
        try:
            return self.json_provider.loads(message)
        except (ValueError, RecursionError) as error:
            raise JSONMessageError(f"the message is not JSON: {error}", message) from error

    async def send_json(self, *args: Any, **kwargs: Any) -> None:
        """Send one value, or the arguments as an array or object, as JSON text.

        :raises TypeError: for positional and keyword arguments together, or a value without a JSON form.
        """
        if args and kwargs:
            raise TypeError("send_json() takes positional or keyword arguments, not both")
        value = args[0] if len(args) == 1 else args or kwargs
        await self.connection.send(encode(self.json_provider, value))

    def __aiter__(self) -> WebSocket:
        return self

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        return self.connection.receive()

    @suggests_arguments
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the websocket: send Close, and wait for the client's, ``close_timeout`` seconds at most.

        Before accepting, it answers the handshake with 403. The handler runs on; from now on ``receive()`` and
        ``send()`` raise :exc:`WebSocketClosed`. Closing again does nothing. If it is cancelled, Close was sent
        nevertheless.

        :param code: 1000-1003, 1007-1014 or 3000-4999 (RFC 6455, section 7.4).
        :param reason: at most 123 bytes of UTF-8.
        :raises ValueError: for a code or reason that may not be sent.
        :raises TypeError: for a code that is no number, or a reason that is no text.
        """
        check_awaited("close()", code, reason)
        await self.connection.close(code, reason)

    async def ping(self) -> float:
        """Send a Ping and wait for the client's Pong; returns the round trip in seconds.

        Any number of tasks may ping at once. A disconnect cancels the call. It does not time out by itself: the
        keepalive ends a connection whose client does not answer. A cancellation leaves nothing behind.

        :raises WebSocketClosed: after ``close()``, or when the client is gone and some of its messages are unread.
        :raises RuntimeError: under an ASGI server, which gives no access to Pings.
        """
        return await self.connection.ping()

    @property
    def latency(self) -> float | None:
        """The round trip of the last Ping, by the keepalive or by :meth:`ping`, in seconds; None before the first."""
        return self.connection.latency
