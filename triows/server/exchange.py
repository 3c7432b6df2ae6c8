"""One request and its response on an HTTP/1.1 connection: the body in, through h11, and the response out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11
import trio

from ..connection import HTTPConnection
from ..ends import Disconnect, Head, Headers
from .framing import CONTINUE, ResponseFraming
from .head import RequestHead

if TYPE_CHECKING:
    from .http1 import HTTP1Connection

LINGER = 2.0  # seconds that a client is let send on after a response that is its last, or came before its body
_FEED = 32768  # bytes of a body that h11 is given at once
_SEND_BUFFER = 65536  # response bytes above which sending waits
_BODY_GRACE = 10.0  # seconds that a client may keep its handler waiting for the body,
_BODY_SPEED = 1024  # and how many bytes must come for each second more
_DRAIN_UP_TO = 65536  # bytes of an unread body that are dropped to keep the connection


class Exchange(HTTPConnection):
    """One request and its response on an :class:`HTTP1Connection`."""

    __slots__ = ("_body", "_body_size", "_body_waited", "_http", "_owes_continue", "_response")

    def __init__(self, http: HTTP1Connection, parsed: RequestHead, head: Head) -> None:
        super().__init__(head)
        self._http = http
        self._response = ResponseFraming(parsed.method, parsed.http_version, parsed.keep_alive)
        self._body = None if parsed.framing is None else _body_reader(parsed.framing)  # None: there is no more of it
        self._owes_continue = parsed.expects_continue
        self._body_size = 0
        self._body_waited = 0.0  # seconds that the handler waited for it

    # The request's body

    async def receive_body(self) -> bytes:
        if self._owes_continue and not self.response_started:
            self._owes_continue = False
            self._http.link.write(CONTINUE)
        return await self._next_piece()

    async def _next_piece(self) -> bytes:
        http = self._http
        await trio.lowlevel.checkpoint_if_cancelled()
        while (body := self._body) is not None:
            event = self._next_event(body)
            if isinstance(event, h11.Data):
                self._body_size += len(event.data)
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                http.input[:0] = body.trailing_data[0]
                self._body = None
            elif self._body is None or (http.lost and not http.input):
                # The cancellation of the disconnect is under way, unless a shield keeps it off.
                self._body = None
                await trio.lowlevel.checkpoint()
            elif http.input:
                # In parts, since h11 does not measure a line that it gets whole.
                self._owes_continue = False
                body.receive_data(bytes(http.input[:_FEED]))
                del http.input[:_FEED]
            else:
                await self._wait_for_body()
        return b""

    async def _wait_for_body(self) -> None:
        """Wait for more of the body. A client that keeps its handler waiting for too long is given up."""
        began = trio.current_time()
        with trio.move_on_after(_BODY_GRACE + self._body_size / _BODY_SPEED - self._body_waited) as scope:
            await self._http.wait_for_bytes()
        self._body_waited += trio.current_time() - began
        if scope.cancelled_caught:
            self._fail_body(408, Disconnect(1006, "the request body came too slowly", "timeout"))
            await trio.lowlevel.checkpoint()  # cancelled here, the handler does not take what there is for all

    def _next_event(self, body: h11.Connection) -> object:
        """h11's next event; None if the body is at fault, which is its end and the connection's."""
        try:
            return body.next_event()
        except h11.RemoteProtocolError as error:
            self._fail_body(error.error_status_hint, Disconnect(1002, str(error), "protocol_error"))
            return None

    def _fail_body(self, status: int, disconnect: Disconnect) -> None:
        self._body = None
        self._http.closing = True
        if not self.response_started:
            self.response_started = self._response.ended = True
            self._http.respond_and_close(status, [(b"content-type", b"text/plain")], disconnect.reason.encode() + b"\n")
        self.lose(disconnect)

    # The response

    async def send_response(self, status: int, headers: Headers, body: bytes) -> None:
        self._check_start()
        data = self._response.whole(status, headers, body)
        self.response_started = True
        self._http.link.write(data)
        self._http.log_access(status, self._response.size)
        await self._wait_for_room()

    async def start_response(self, status: int, headers: Headers) -> None:
        self._check_start()
        data = self._response.begin(status, headers)
        self.response_started = True
        self._http.link.write(data)
        await trio.lowlevel.checkpoint()

    async def send_body(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._response.ended:
            try:
                framed = self._response.data(data)
            except ValueError:
                self._http.link.abort()  # the client must not take a body of the wrong length for whole
                raise
            if framed:
                self._http.link.write(framed)
        await self._wait_for_room()

    async def end_response(self) -> None:
        if not self._response.ended:
            try:
                data = self._response.end()
            except ValueError:
                self._http.link.abort()
                raise
            if data:
                self._http.link.write(data)
            self._http.log_access(self._response.status, self._response.size)
        await self._wait_for_room()

    def _check_start(self) -> None:
        if self.response_started:
            raise RuntimeError(f"the response to {self.head.method} {self.head.raw_path!r} was begun already")
        if self._http.closing or self._owes_continue:
            # A client that was not told to send its body may or may not do so: what comes next could be either.
            self._response.keep_alive = False

    async def _wait_for_room(self) -> None:
        """Wait while the client does not keep up; one that takes nothing for ``send_timeout`` is gone."""
        link = self._http.link
        timeout = self._http.service.websocket_limits.send_timeout
        while link.buffered >= _SEND_BUFFER and not self._http.lost:
            before = link.buffered
            with trio.CancelScope() as scope:
                if timeout is not None:
                    scope.deadline = trio.current_time() + timeout
                await self._http.wait_for_progress()
            if scope.cancelled_caught and link.buffered >= before:
                self.lose(Disconnect(1006, f"took nothing of the response for {timeout:g} s", "timeout"))
                link.abort()
        await trio.lowlevel.checkpoint_if_cancelled()

    # The end

    def abort(self) -> None:
        self._http.link.abort()

    async def _finish(self) -> None:
        if self.disconnect is not None:
            self._http.closing = True
        elif not self.response_started:
            self._http.closing = True
            await self.send_response(500, [(b"content-type", b"text/plain")], b"Internal Server Error\n")
        elif not self._response.ended:
            self._http.link.abort()  # a truncated response must not look like a whole one

    async def can_be_followed(self) -> bool:
        """Whether another request can come after this one; reads the rest of a small body away."""
        http = self._http
        if http.closing or http.lost or not (self._response.ended and self._response.keep_alive):
            return False
        dropped = 0
        while self._body is not None and dropped <= _DRAIN_UP_TO:
            with trio.move_on_after(LINGER) as scope:
                dropped += len(await self._next_piece())
            if scope.cancelled_caught or http.lost:
                return False
        return self._body is None and not http.closing


def _body_reader(framing: tuple[bytes, bytes]) -> h11.Connection:
    """What reads a body that is framed like this. The head that it is given says that and nothing else."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(b"POST / HTTP/1.1\r\nhost:\r\n%b: %b\r\n\r\n" % framing)
    reader.next_event()
    return reader
