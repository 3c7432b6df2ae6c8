"""What a websocket handler holds: the request that the handshake was, and the messages."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Generator, Iterable, Mapping
from typing import Any

import trio
from werkzeug.datastructures import Headers

from ..connection.streaming import MessageStream, send_pieces
from ..connection.websocket import WebSocketConnection
from ..errors import JSONMessageError, WebSocketStateError
from .headers import WireHeaders, encode_headers
from .request import RequestBase

# What the handshake's answer is made of by the server itself (RFC 6455, section 4.2.2).
_RESERVED = {b"upgrade", b"connection", b"content-length", b"transfer-encoding"}


class _Checkpoint:
    """What ``accept()`` returns: awaiting it is a checkpoint, leaving it alone is fine too."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return trio.lowlevel.checkpoint().__await__()  # noqa: ASYNC105 - whoever awaits this awaits it


_CHECKPOINT = _Checkpoint()


class WebSocket(RequestBase):
    """A websocket, as its handler uses it, usually through the global :data:`triows.websocket`.

    It is a request too: ``headers``, ``args``, ``cookies``, ``path`` and the like are the handshake's.

    When the client disconnects, everything that the handler does is cancelled with :exc:`trio.Cancelled`, which must
    propagate; ``websocket.disconnect`` then says why.
    """

    connection: WebSocketConnection  # pyright: ignore[reportIncompatibleVariableOverride]  # only read
    accept_headers: Callable[[], WireHeaders] | None = None
    """What the app adds to the headers of an accepted websocket: its session's cookie."""

    def __init__(self, connection: WebSocketConnection) -> None:
        super().__init__(connection)
        self._accepted_with: tuple[WireHeaders, str | None] | None = None
        connection.implied_accept = self.accept

    def accept(
        self,
        headers: Mapping[str, str] | Headers | Iterable[tuple[str, str]] | None = None,
        subprotocol: str | None = None,
    ) -> _Checkpoint:
        """Accept the handshake, with more headers and one of the subprotocols that the client offers.

        It takes effect when it is called; awaiting it is a checkpoint and may be left out. The first ``receive()``,
        ``send()`` or iteration accepts too. Once accepted, a call without arguments does nothing.

        :raises WebSocketStateError: when the websocket was accepted in another way, or rejected.
        :raises ValueError: for a subprotocol that the client did not offer, or a header that is not the app's to set.
        """
        fields = encode_headers(Headers(headers)) if headers is not None else []
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

    def _preferred_subprotocol(self) -> str | None:
        """The first subprotocol of the route's that the client offers."""
        return next((name for name in self.connection.limits.subprotocols if name in self.subprotocols), None)

    def receive(self) -> Coroutine[Any, Any, str | bytes]:
        """Wait for the next message: ``str`` or ``bytes``, as the client sent it.

        After the last message of a client that is gone, it is cancelled with the whole handler. A checkpoint; it lets
        other tasks run at least every 64 calls or millisecond. A cancellation (a timeout of your own) loses no message.

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
        waits for the message to begin, and reading from the client pauses while ``receive_buffer`` bytes wait to be
        iterated over. ``max_message_size`` holds for it as for every message: raise it for the route. A message that
        is there as a whole, or comes from an ASGI server, is one piece.

        Leaving the block drops what was not iterated over, as does a cancellation inside it; one while entering
        loses nothing. When the client goes away before the end of the message, the pieces that came are handed out,
        and then the handler is cancelled.

        :raises trio.BusyResourceError: on entering, when another task is receiving from this websocket.
        :raises WebSocketClosed: after ``close()``.
        """
        return MessageStream(self.connection)

    def send(self, message: str | bytes | AsyncIterable[str | bytes]) -> Coroutine[Any, Any, None]:
        """Send a message: text from ``str``, binary from ``bytes``. Any number of tasks may send at once.

        It waits while more than ``send_buffer`` bytes wait to be sent. A checkpoint. Cancelled, it has not sent
        anything; once it has returned, the message is sent whole, or the connection ends. To a client that is gone
        nothing is sent.

        An async iterable of ``str`` or of ``bytes`` is sent as one message in as many fragments (RFC 6455, section
        5.4), each as it comes; other tasks' messages wait until it has ended. Without any piece there is no message.
        What was begun cannot be taken back: if it is cancelled, or the iterable raises, the connection is closed with
        1011. An ASGI server takes messages only whole, so there the pieces are collected first.

        :raises WebSocketClosed: after ``close()``.
        :raises TypeError: for anything else than str, bytes-like objects and async iterables of them.
        """
        if isinstance(message, (str, bytes)) or not isinstance(message, AsyncIterable):
            return self.connection.send(message)
        return send_pieces(self.connection, message)

    async def receive_json(self) -> Any:
        """Wait for the next message and decode it with the app's JSON provider.

        :raises JSONMessageError: when it is not JSON; if that escapes the handler, the client gets Close 1007.
        """
        message = await self.connection.receive()
        try:
            return self.json_provider.loads(message)
        except (ValueError, RecursionError) as error:
            raise JSONMessageError(f"the message is not JSON: {error}", message) from error

    async def send_json(self, *args: Any, **kwargs: Any) -> None:
        """Send one value, or the arguments as an array or object, as JSON text.

        :raises TypeError: for positional and keyword arguments together, or a value that JSON does not know.
        """
        if args and kwargs:
            raise TypeError("send_json() takes positional or keyword arguments, not both")
        value = args[0] if len(args) == 1 else args or kwargs
        await self.connection.send(self.json_provider.dumps(value))

    def __aiter__(self) -> WebSocket:
        return self

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        return self.connection.receive()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the websocket: send Close, and wait for the client's, ``close_timeout`` seconds at most.

        Before accepting, it answers the handshake with 403. The handler runs on; ``receive()`` and ``send()`` raise
        :exc:`WebSocketClosed` from now on. Closing again does nothing. Cancelled, it has sent Close all the same.

        :param code: 1000-1003, 1007-1014 or 3000-4999 (RFC 6455, section 7.4).
        :param reason: at most 123 bytes of UTF-8.
        :raises ValueError: for a code or reason that may not be sent.
        """
        await self.connection.close(code, reason)

    async def ping(self) -> float:
        """Send a Ping and wait for the client's Pong; returns the round trip in seconds.

        Any number of tasks may ping at once. The disconnect ends it, as a cancellation; a client that does not answer
        and is not gone is found out by the keepalive, or by a timeout of your own. Cancelled, it leaves nothing behind.

        :raises WebSocketClosed: after ``close()``, or when the client is gone and left messages that are still unread.
        :raises RuntimeError: under an ASGI server, which gives no access to Pings.
        """
        return await self.connection.ping()

    @property
    def latency(self) -> float | None:
        """The last round trip of a Ping, one of the keepalive or of :meth:`ping`, in seconds; None before the first."""
        return self.connection.latency
