"""Messages in pieces: received as they arrive, and sent as they are made; neither is ever held as a whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from types import TracebackType

import trio
from trio.lowlevel import checkpoint, current_task

from ..errors import WebSocketStateError
from ..protocol.websocket.partial_message import WholeMessage
from .transport import as_message
from .websocket import WebSocketConnection


class MessageStream:
    """One message, received in pieces: see :meth:`WebSocket.receive_stream`. Iterate over it inside its block."""

    __slots__ = ("_connection", "_open")

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection
        self._open = False

    async def __aenter__(self) -> MessageStream:
        connection = self._connection
        if connection.receiving:
            raise trio.BusyResourceError("another task is already receiving from this websocket")
        connection.prepare_to_receive("receive_stream")
        connection.receiving = connection.streaming = True
        try:
            await checkpoint()
            if not connection.inbox:
                connection.transport.stream_next()
            while not connection.inbox and connection.streamed is None:
                await connection.wait()
        except BaseException:
            self._give_back()
            self._end()
            raise
        if connection.streamed is None:
            connection.transport.stop_streaming()  # a whole message has come; one that begins now is the next
            connection.streamed = WholeMessage(connection.inbox.popleft())
        self._open = True
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop what was not iterated over. No checkpoint, so the handler cannot be cancelled after its last piece."""
        self._open = False
        assert self._connection.streamed is not None
        self._connection.streamed.drop()
        self._end()

    def _give_back(self) -> None:
        """The message started between the request to cancel and its delivery; leave it for the next receiver."""
        connection = self._connection
        message = connection.streamed
        if message is not None:
            message.streamed = False
            if message.ended:
                connection.inbox.put_back(message.whole(), message.size)

    def _end(self) -> None:
        connection = self._connection
        connection.receiving = connection.streaming = False
        if not connection.inbox:
            connection.inbox.reset_size()
        connection.transport.stop_streaming()
        connection.transport.resume_receiving()
        connection.streamed = None  # last: if resuming finds the end, the handler of this message is not cancelled yet

    def __aiter__(self) -> MessageStream:
        return self

    async def __anext__(self) -> str | bytes:
        if not self._open:
            raise WebSocketStateError("iterate over it inside of 'async with websocket.receive_stream() as pieces:'")
        connection = self._connection
        await connection.pass_checkpoint()
        message = connection.streamed
        assert message is not None
        connection.prepare_to_receive("receive_stream")
        while not (piece := message.take()):
            if message.ended:
                raise StopAsyncIteration
            await connection.wait()
        connection.transport.resume_receiving()
        return piece


async def send_pieces(connection: WebSocketConnection, pieces: AsyncIterable[str | bytes]) -> None:
    """Send one message in pieces as they come; other messages wait for its end. Without pieces there is no message.

    A message that has begun cannot be taken back: an error or a cancellation ends the connection, and closes
    ``pieces`` where that is a generator.
    """
    connection.require_open("send")
    kind: type[str] | type[bytes] | None = None
    has_turn = False
    try:
        async for given in pieces:
            piece = as_message(given)
            if kind is None:
                await connection.wait_for_turn()
                connection.set_fragment_sender(current_task())
                has_turn = True
                await _send_piece(connection, piece, first=True, final=False)
                kind = type(piece)
            elif type(piece) is kind:
                await _send_piece(connection, piece, first=False, final=False)
            else:
                raise TypeError(
                    f"the pieces of a message are all of one type: {kind.__name__}, then {type(piece).__name__}"
                )
        if kind is None:
            await checkpoint()
        else:
            await _send_piece(connection, kind(), first=False, final=True)
    except BaseException:
        if kind is not None:
            connection.abort_message()
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()  # noqa: ASYNC102 - nobody else has it; what it waits for is cancelled as it is
        raise
    finally:
        if has_turn:
            connection.set_fragment_sender(None)


async def _send_piece(connection: WebSocketConnection, piece: str | bytes, *, first: bool, final: bool) -> None:
    await connection.pass_checkpoint()
    await connection.wait_for_room()
    if connection.peer_reads:
        connection.transport.send_fragment(piece, first, final)
    else:
        connection.check_open("send")
