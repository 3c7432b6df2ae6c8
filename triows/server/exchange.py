"""One request and its response on an HTTP/1.1 connection: the body comes in, and the response goes out."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Protocol

import trio

from ..connection.http import BodyTooLarge, HTTPConnection
from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..protocol.http1.errors import BadRequest
from ..protocol.http1.request_body import BodyReader, body_reader
from ..protocol.http1.request_head import RequestHead
from ..protocol.http1.response import CONTINUE, ResponseFraming
from ..protocol.websocket.close_codes import ABNORMAL, PROTOCOL_ERROR
from ..tasks.progress import ProgressWatch
from ..tasks.timers import Timer, yield_if_late
from .http_date import date
from .links.link import PROGRESS_CHECKS, Link
from .service import Service

LINGER = 2.0  # seconds that a client may go on sending after its last response
PATIENCE = 30.0  # seconds for a client that is still sending a body: many read the response only after it
_PIECES_AT_ONCE = 16  # of a streamed response between two checkpoints, each of which is a pass of the scheduler
_SEND_BUFFER = 65536  # response bytes above which sending waits
_DRAIN_UP_TO = 262144  # bytes of an unread body that are awaited and dropped, so that the connection is kept
_LEAST_IDLE = 1.0  # seconds; with a shorter keep_alive_timeout no client is asked for another request


class HTTP1(Protocol):
    """The client's connection, as far as an exchange on it uses it: :class:`.HTTP1Connection`.

    :ivar input: bytes that arrived, and that neither a request's head nor its body has taken.
    :ivar lost: whether the client's end, or a reset, has arrived.
    :ivar closing: whether the connection ends after this response. An exchange may set it.
    """

    input: bytearray
    closing: bool

    @property
    def lost(self) -> bool: ...
    @property
    def link(self) -> Link: ...
    @property
    def service(self) -> Service: ...

    async def wait_for_bytes(self) -> None:
        """Wait until bytes arrive, or the link is lost."""

    async def wait_for_progress(self) -> None:
        """Wait until the client has taken some of what is buffered, or the link is lost."""

    def respond_and_close(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the connection's last response, and log it."""

    def close(self, patience: float = 0.0) -> None:
        """Close the link when everything is sent; a client that still sends has ``patience`` seconds to finish."""

    def log_access(self, status: int | None, size: int | None = None, kind: str | None = None) -> None:
        """Log the response, and why it did not come to its end, if it did not."""


class Exchange(HTTPConnection):
    """One request and its response on a connection of HTTP/1.1."""

    __slots__ = (
        "_body",
        "_body_size",
        "_body_waited",
        "_http",
        "_logged",
        "_overtime",
        "_owes_continue",
        "_pieces",
        "_response",
    )

    def __init__(self, http: HTTP1, parsed: RequestHead, head: Head) -> None:
        super().__init__(head, http.service.limits)
        self._http = http
        self._response = ResponseFraming(parsed.method, parsed.http_version, parsed.keep_alive, date)
        self._body: BodyReader | None = None  # None: there is no more of it
        if parsed.framing is not None:
            self._body = body_reader(parsed.framing, self.limits)
            self.content_length: int = self._body.announced
        self._owes_continue = parsed.expects_continue
        self._logged = False
        self._overtime: Timer | None = None  # bounds a handler whose client has left with the whole response
        self._body_size = 0  # bytes that were read of it
        self._body_waited = 0.0  # seconds that its reader has waited for it
        self._pieces = 0  # sent of a streamed response

    # The request's body

    async def receive_body(self) -> bytes:
        if self._owes_continue and not self.response_started:
            self._owes_continue = False
            self._http.link.write(CONTINUE)
        return await self._next_piece()

    async def _next_piece(self) -> bytes:
        http = self._http
        if http.input and self._body_size:
            await trio.lowlevel.checkpoint()  # other tasks get their turn between two portions of tiny chunks
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
        while (body := self._body) is not None:
            if http.input:
                self._owes_continue = False
                try:
                    piece = body.take(http.input, self._limit)
                except BadRequest as error:
                    self._fail_body(error.status, Disconnect(PROTOCOL_ERROR, str(error), "protocol_error"))
                    # Cancelled here, the handler does not take b"" for the body's end.
                    await trio.lowlevel.checkpoint()
                    break
                if self._is_too_large():
                    raise BodyTooLarge
                if body.ended:
                    self._body = None
                if piece:
                    self._body_size += len(piece)
                    return piece
            if self._body is None:
                break
            if http.lost:
                # The link was lost before the handler could be cancelled: half a body must not pass for a whole one.
                self._body = None
                self.end_by(Disconnect(ABNORMAL, "", "lost"))
                await trio.lowlevel.checkpoint()
            elif self._response.ended and http.closing:
                break  # the shutdown does not wait for a body that is only dropped
            else:
                await self._wait_for_body()
        return b""

    @property
    def _limit(self) -> float:
        return inf if self.max_body_size is None else self.max_body_size

    def _is_too_large(self) -> bool:
        """Whether the body, as far as its length is known, is over the limit."""
        return (self.content_length if self._body is None else self._body.announced) > self._limit

    async def _wait_for_body(self) -> None:
        """Wait for more of the body. A client that keeps its handler waiting for too long gets 408, or is dropped."""
        timeout, rate = self.limits.body_timeout, self.limits.min_body_rate
        patience = inf if timeout is None else timeout
        if rate is not None:
            patience = max(patience + self._body_size / rate - self._body_waited, 0.0)
        began = trio.current_time()
        with trio.move_on_after(patience) as scope:
            await self._http.wait_for_bytes()
        late = await yield_if_late(began + patience)
        self._body_waited += patience if late else trio.current_time() - began
        if scope.cancelled_caught and not (late and (self._http.input or self._http.lost)):
            self._fail_body(408, Disconnect(ABNORMAL, "the request body came too slowly", "timeout"))
            await trio.lowlevel.checkpoint()  # as above

    def _fail_body(self, status: int, disconnect: Disconnect) -> None:
        self._body = None
        self._http.closing = True
        self._response.keep_alive = False
        if not self.response_started:
            self.status: int | None = status
            self._response.ended = self._logged = True
            self._http.respond_and_close(status, [(b"content-type", b"text/plain")], disconnect.reason.encode() + b"\n")
        self.end_by(disconnect)

    # The response

    async def send_response(self, status: int, headers: Headers, body: bytes) -> None:
        self._check_start()
        data = self._response.whole(status, headers, body)
        self.status = status
        self._http.link.write(data)
        await self._wait_for_room()
        self._log()

    async def start_response(self, status: int, headers: Headers) -> None:
        self._check_start()
        data = self._response.begin(status, headers)
        self.status = status
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
        self._pieces += 1
        if self._pieces % _PIECES_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()  # the handler of a client that takes everything must not starve the others

    async def end_response(self) -> None:
        if not self._response.ended:
            try:
                data = self._response.end()
            except ValueError:
                self._http.link.abort()
                raise
            if data:
                self._http.link.write(data)
        await self._wait_for_room()
        self._log()

    def _check_start(self) -> None:
        if self.response_started:
            raise RuntimeError(f"the response to {self.head.method} {self.head.raw_path!r} was begun already")
        if self._http.closing or not self._leaves_time() or self._is_too_large() or not self._can_be_drained():
            self._response.keep_alive = False  # which the response says (RFC 9112, section 9.6)

    def _leaves_time(self) -> bool:
        """Whether the client has time to send another request before ``keep_alive_timeout``."""
        timeout = self._http.service.limits.keep_alive_timeout
        return timeout is None or timeout >= _LEAST_IDLE

    def _can_be_drained(self) -> bool:
        """Whether the rest of the request's body has arrived, or is known to be little."""
        body, arrived = self._body, self._http.input
        if body is None:
            return True
        if self._owes_continue and not arrived:
            return False  # without 100 Continue the client may or may not send its body
        return body.ends_within(arrived, _DRAIN_UP_TO, self._limit)

    async def _wait_for_room(self) -> None:
        """Wait while the client does not keep up; one that takes nothing for ``send_timeout`` is gone."""
        link, service = self._http.link, self._http.service
        timeout = service.send_timeout
        while link.buffered >= _SEND_BUFFER and self.disconnect is None:
            with (
                trio.CancelScope() as scope,
                ProgressWatch(service.timers, link.seconds_stalled, scope.cancel, timeout, PROGRESS_CHECKS),
            ):
                await self._http.wait_for_progress()
            if scope.cancelled_caught:
                self.end_by(Disconnect(ABNORMAL, f"took nothing of the response for {timeout:g} s", "timeout"))
                link.abort()
        if link.broken:
            # Whoever only sends, and never waits, keeps the reactor from finding the end of the input.
            self.end_by(Disconnect(ABNORMAL, "", "lost"))
        await trio.lowlevel.checkpoint_if_cancelled()

    # The end

    @property
    def draining(self) -> bool:
        return self._http.service.is_stopping()

    def keep_out_of_log(self) -> None:
        self._logged = True

    def _log(self, kind: str | None = None) -> None:
        if not self._logged:
            self._logged = True
            size = None if self.status is None else self._response.size
            self._http.log_access(self.status, size, kind if self.disconnect is None else self.disconnect.kind)

    def end_by(self, disconnect: Disconnect) -> None:
        link = self._http.link
        if disconnect.kind == "lost" and self._response.complete and not link.buffered and not link.dropped:
            # The client has left with the whole response, and not too early. Its handler has drain_timeout to end.
            self._log()
            timeout = self._http.service.drain_timeout
            if timeout is not None and self._overtime is None:
                self._overtime = self._http.service.timers.call_later(timeout, partial(super().end_by, disconnect))
        else:
            super().end_by(disconnect)

    def log_end(self) -> None:
        """Log the response, and why it did not come to its end, unless it is logged already."""
        self._log("error")
        if self._overtime is not None:
            self._overtime.cancel()

    def abort(self) -> None:
        self._http.link.abort()

    async def _finish(self) -> None:
        if self.disconnect is not None:
            self._http.closing = True
            self._response.keep_alive = False
        elif not self.response_started:
            self._http.closing = True
            await self.send_response(500, [(b"content-type", b"text/plain")], b"Internal Server Error\n")
        elif not self._response.ended:
            self._http.link.abort()  # a truncated response must not look like a whole one

    async def can_be_followed(self) -> bool:
        """Whether the client may send another request, as the response told it.

        Reads and drops the rest of the body: the client has as long for it as if a handler read it.
        """
        if not self._response.ended:
            return False
        while self._response.keep_alive and self._body is not None:
            try:
                if not await self._next_piece():
                    break
            except BodyTooLarge:
                return False  # the limit was lowered after the response
        if self._body is not None:
            self._http.close(patience=PATIENCE)
        return self._response.keep_alive and self._body is None and not self._http.lost
