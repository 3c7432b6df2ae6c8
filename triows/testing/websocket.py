"""One websocket of the test client. The client side is trio-websocket: two implementations that check each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, Self, cast

import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream
from werkzeug.datastructures import Headers
from wsproto.utilities import LocalProtocolError

from ..connection.transport import as_message
from ..errors import WebsocketDisconnectError, WebsocketResponseError
from ..framework.application import App
from ..protocol.websocket.close_codes import ABNORMAL, GOING_AWAY, NORMAL, plain_close
from ..tasks.exception_groups import leaves
from ..web.foreign_names import MESSAGES, ForeignNameGuard
from ..web.headers import decode_headers
from ..web.json_codec import encode
from ..web.suggestions import suggests_arguments
from .content import Target
from .http import make_response
from .serving import Served
from .streams import MemoryStream
from .wire import ServerBytes

# With this many messages that the test has not received, the client stops reading.
_MAX_UNREAD_MESSAGES = 1024
_MAX_MESSAGE_SIZE = 1 << 30
_NORMAL_ENDS = (NORMAL, GOING_AWAY)


class _ClientStream(trio.abc.Stream):
    """The client's end of the stream for trio-websocket. It shows the bytes that arrive, and the end, to the test."""

    def __init__(self, stream: MemoryStream, seen: ServerBytes, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._seen = seen
        self._ended = ended

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._ended()
            raise
        if data:
            self._seen.feed(data)
        else:
            self._ended()
        return data

    async def aclose(self) -> None:
        self._ended()
        await self._stream.aclose()


class TestWebSocket(ForeignNameGuard):
    """A websocket of a test: ``async with client.websocket(path) as ws:``.

    An error of the handler that no error handler took is raised here: by the first call after it has ended the
    connection, at the latest at the end of the block. Leaving the block closes with 1000 and waits for the handler.
    """

    __test__ = False  # pytest takes any class named Test... for a collection of tests
    _foreign = MESSAGES

    def __init__(
        self,
        app: App,
        served: Served,
        target: Target,
        headers: list[tuple[bytes, bytes]],
        subprotocols: Sequence[str],
        keep_cookies: Callable[[Headers], None],
    ) -> None:
        self._app = app
        self._served = served
        self._target = target
        self._request_headers = headers
        self._offered = subprotocols
        self._keep_cookies = keep_cookies
        self._seen = ServerBytes()
        self._opening = trio.CancelScope()
        self._answered = trio.Event()
        self._wire: WebSocketConnection | None = None
        self._rejection: WebsocketResponseError | None = None
        self._rejection_raised = False
        self._bounded: set[trio.CancelScope] = set()
        self._closing: trio.Event | None = None  # set when the closing handshake of this side is over

    # The handshake

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted."""
        return self._wire is not None

    @property
    def status_code(self) -> int | None:
        """The HTTP status that the handshake was answered with: 101 if accepted; None while it is unanswered."""
        if self._rejection is not None:
            return cast(int, self._rejection.response.status_code)
        return 101 if self.accepted else None

    @property
    def headers(self) -> Headers | None:
        """The headers of the handshake's answer; None while it is unanswered."""
        if self._rejection is not None:
            return cast(Headers, self._rejection.response.headers)
        return self._seen.headers if self.accepted else None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose."""
        return None if self._wire is None else self._wire.subprotocol

    async def open(self) -> None:
        """Send the handshake and wait for the answer, or until all tasks wait for something else."""
        self._served.nursery.start_soon(self._run)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wait_for_quiet, nursery.cancel_scope)
            await self._answered.wait()
            nursery.cancel_scope.cancel()

    async def _wait_for_quiet(self, scope: trio.CancelScope) -> None:
        await wait_all_tasks_blocked()
        scope.cancel()

    async def _run(self) -> None:
        """Run the client's side until the connection ends."""
        stream = _ClientStream(self._served.stream, self._seen, self._note_end)
        try:
            async with trio.open_nursery() as nursery:
                with self._opening:
                    self._wire = await wrap_client_stream(
                        nursery,
                        cast(Any, stream),
                        self._target.host,
                        self._target.resource,
                        subprotocols=self._offered,
                        extra_headers=self._request_headers,
                        message_queue_size=_MAX_UNREAD_MESSAGES,
                        max_message_size=_MAX_MESSAGE_SIZE,
                    )
                    self._keep_cookies(cast(Headers, self._seen.headers))
                self._answered.set()
        except BaseExceptionGroup as group:
            errors = [error for error in leaves(group) if not isinstance(error, trio.Cancelled)]
            if errors and isinstance(errors[0], ConnectionRejected):
                self._keep_rejection(errors[0])
            elif errors and isinstance(errors[0], LocalProtocolError) and self._wire is not None:
                # A Ping that arrives after our Close ends trio-websocket's reader: it tries to answer, and may not.
                await self._read_to_close(stream)  # noqa: ASYNC120 - a cancellation may replace the error
            else:
                raise
        finally:
            self._answered.set()

    def _note_end(self) -> None:
        self._seen.ended = True
        self._opening.cancel()

    async def _read_to_close(self, stream: _ClientStream) -> None:
        """Read until the server's Close: trio-websocket has stopped reading, and would wait for it for ever."""
        try:
            while self._seen.close is None and await stream.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        for scope in self._bounded:
            scope.cancel()

    def _keep_rejection(self, rejection: ConnectionRejected) -> None:
        headers = decode_headers(rejection.headers or ())
        self._keep_cookies(headers)
        response = make_response(self._app, bytes(rejection.body or b""), rejection.status_code, headers)
        self._rejection = WebsocketResponseError(response)
        self._served.stream.close()

    # Messages

    async def receive(self) -> str | bytes:
        """Wait for the next message. A cancellation loses none.

        :raises WebsocketDisconnectError: when there is none left and the connection has ended.
        :raises WebsocketResponseError: if the handshake was answered with an HTTP response.
        """
        wire = await self._opened()
        try:
            return await wire.get_message()
        except ConnectionClosed:
            await self._raise_end_in_order()

    async def send(self, data: str | bytes) -> None:
        """Send a message. Waits while the server takes nothing. If it is cancelled, nothing was sent.

        :raises WebsocketDisconnectError: if the connection has ended.
        :raises WebsocketResponseError: if the handshake was answered with an HTTP response.
        """
        message = as_message(data)
        wire = await self._opened()
        try:
            await wire.send_message(message)
        except ConnectionClosed:
            await self._raise_end_in_order()

    async def receive_json(self) -> Any:
        """Wait for the next message and decode it with the app's JSON provider."""
        return self._app.json.loads(await self.receive())

    async def send_json(self, data: Any) -> None:
        """Send a value as JSON text, encoded with the app's JSON provider."""
        await self.send(encode(self._app.json, data))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """The next message; the iteration ends when the server closes with 1000 or 1001."""
        try:
            return await self.receive()
        except WebsocketDisconnectError as error:
            if error.code in _NORMAL_ENDS:
                raise StopAsyncIteration from None
            raise

    async def ping(self) -> None:
        """Send a Ping and wait for its Pong.

        :raises WebsocketDisconnectError: if the connection ends before.
        """
        wire = await self._opened()
        try:
            if await self._while_served(wire.ping):
                return
        except ConnectionClosed:
            pass
        self._raise_end()

    # The end

    @property
    def close_code(self) -> int | None:
        """The code of the server's Close frame (1005: the frame had none); None before the end.

        1006 if the connection was lost without one.
        """
        if self._seen.close is not None:
            return self._seen.close.code
        return ABNORMAL if self._over else None

    @property
    def close_reason(self) -> str | None:
        """The reason in the Close frame that the server sent; None before the end."""
        if self._seen.close is not None:
            return self._seen.close.reason
        return "" if self._over else None

    @property
    def _over(self) -> bool:
        if self._served.ended.is_set() or self._seen.ended:
            return True
        return self._answered.is_set() and self._wire is None

    @suggests_arguments
    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send Close and wait for the server's, whose code is :attr:`close_code` then; unread messages are lost.

        The handler may run on for a while: see :meth:`wait_closed`. Before the handshake is answered the connection is
        lost instead. After the end it does nothing.
        """
        code, reason = plain_close(code, reason)
        if self._wire is not None:
            await self._close_wire(self._wire, code, reason or None)
        await self.disconnect()

    async def disconnect(self) -> None:
        """Lose the connection: all that was sent arrives, then the stream ends without a Close frame."""
        self._note_end()
        await self._served.stream.aclose()
        self._raise_pending()

    async def reset(self) -> None:
        """Break the connection: bytes that the server has not read are lost too."""
        self._note_end()
        self._served.stream.reset()
        await trio.lowlevel.checkpoint()
        self._raise_pending()

    def stall(self) -> None:
        """Read nothing from the server until :meth:`resume`. Sending goes on."""
        self._served.stream.stall()

    def resume(self) -> None:
        """Read again after :meth:`stall`."""
        self._served.stream.resume()

    async def wait_closed(self) -> None:
        """Wait until the server has ended the connection, and the handler and its tasks with it."""
        await self._served.ended.wait()
        self._raise_pending()

    async def leave(self) -> None:
        """End the connection at the end of the block, with a closing handshake if that is possible."""
        self.resume()
        if self._wire is not None and not self._seen.ended:
            await self._close_wire(self._wire)
        await self._served.stream.aclose()

    def raise_rejection(self) -> None:
        """Raise the rejection of the handshake, if there is one that was not raised yet."""
        if self._rejection is not None and not self._rejection_raised:
            self._rejection_raised = True
            raise self._rejection

    async def _opened(self) -> WebSocketConnection:
        await self._answered.wait()
        if self._wire is None:
            self._raise_end()
        return self._wire

    def _raise_pending(self) -> None:
        error = self._served.pending_error()
        if error is not None:
            self._rejection_raised = True
            raise error
        self.raise_rejection()

    def _raise_end(self) -> NoReturn:
        self._raise_pending()
        if self._rejection is not None:
            raise self._rejection
        self._seen.ended = True
        raise WebsocketDisconnectError(self.close_code or ABNORMAL, self.close_reason or "")

    async def _close_wire(self, wire: WebSocketConnection, *args: Any) -> None:
        self._closing = closing = trio.Event()
        try:
            await self._while_served(wire.aclose, *args)
        finally:
            closing.set()

    async def _raise_end_in_order(self) -> NoReturn:
        """Raise the end of the connection, if another task closes it when its closing handshake is over."""
        if self._closing is not None:
            await self._closing.wait()
        self._raise_end()

    async def _while_served(self, function: Callable[..., Awaitable[object]], *args: Any) -> bool:
        """Await ``function(*args)`` until the server has ended the connection; return whether it has completed."""
        watching = trio.CancelScope()
        with trio.CancelScope() as scope:
            self._bounded.add(scope)
            self._served.nursery.start_soon(self._cancel_at_end, scope, watching)
            try:
                await function(*args)
            finally:
                watching.cancel()
                self._bounded.discard(scope)
        return not scope.cancelled_caught

    async def _cancel_at_end(self, scope: trio.CancelScope, watching: trio.CancelScope) -> None:
        with watching:
            await self._served.ended.wait()
            scope.cancel()
