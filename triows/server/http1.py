"""HTTP/1.1 on a link (RFC 9112): one request after the other, in one task, until the connection ends or is upgraded.

h11 parses and frames. Beside it stand the input that it has not been given yet (so that pipelined requests and bytes
behind an upgrade are never mixed up with a body), the clocks, and what becomes of a client that goes away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus

import h11
import trio

from ..connection import Connection, HTTPConnection, WebSocketConnection
from ..ends import Disconnect, Head, Headers
from ..limits import ServerLimits, WebSocketLimits
from ..protocol import handshake
from ..waiting import Timer, Timers
from .head import BadRequest, check, find_end
from .link import Link
from .websocket import WireTransport

access_log = logging.getLogger("triows.access")

_MAX_INPUT = 65536  # raw bytes held back while the handler does not read
_FEED = 32768  # bytes of a body that h11 is given at once
_SEND_BUFFER = 65536  # response bytes above which sending waits
_BODY_GRACE = 10.0  # seconds that a client may keep its handler waiting for the body,
_BODY_SPEED = 1024  # and how many bytes must come for each second more
_DRAIN_UP_TO = 65536  # bytes of an unread body that are dropped to keep the connection
_LOGGED = 200  # bytes of a request line that is refused before it is whole
_LINGER = 2.0  # seconds that a client is let send on after the last response

Handle = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a server share."""

    handle: Handle
    limits: ServerLimits
    websocket_limits: WebSocketLimits
    timers: Timers
    access_log: bool = True
    ended: Callable[[Connection], None] = lambda connection: None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Who talks to whom on a connection."""

    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    secure: bool = False


def head_bytes(status: int, headers: Headers) -> bytes:
    """A response's head."""
    lines = [b"HTTP/1.1 %d %s" % (status, _phrase(status))]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


class HTTP1Connection:
    """One client's connection, from its first byte on; :meth:`serve` is its task."""

    def __init__(self, link: Link, service: Service, endpoints: Endpoints) -> None:
        self.link = link
        self.service = service
        self.endpoints = endpoints
        self.closing = False  # no further request is wanted
        self.h11 = h11.Connection(h11.SERVER)
        self.input = bytearray()
        self.lost = False
        self._searched = 0  # bytes of the input known not to end the head
        self._waiting = trio.lowlevel.ParkingLot()  # reading and sending tasks of a handler may both wait
        self._timer: Timer | None = None
        self._current: Connection | None = None
        self._request_line = ""
        self._started = time.perf_counter()
        link.receiver = self

    # The link's receiver

    @property
    def full(self) -> bool:
        return len(self.input) >= max(_MAX_INPUT, self.service.limits.max_head_size)

    def data_received(self, data: bytes) -> None:
        self.input += data
        self._waiting.unpark_all()

    def link_lost(self) -> None:
        self.lost = True
        if self._current is not None:
            self._current.lose(Disconnect(1006, "", "lost"))  # type: ignore[attr-defined]
        self._waiting.unpark_all()

    def link_progressed(self) -> None:
        self._waiting.unpark_all()

    async def wait(self) -> None:
        """Wait until bytes arrive, room is made, or the link is lost."""
        self.link.resume()
        await self._waiting.park()

    # The task

    async def serve(self) -> None:
        """Serve the client's requests until the connection ends."""
        try:
            first = True
            while (head := await self._next_head(first)) is not None:
                first = False
                self._started = time.perf_counter()
                if handshake.wants_websocket(head.headers):
                    await self._serve_websocket(head)
                    return
                if not await self._serve_request(head):
                    break
            self.link.close(linger=_LINGER, timeout=self.service.websocket_limits.send_timeout)
            await self.link.wait_closed()
        finally:
            self._stop_timer()
            self.link.abort()

    def shut_down(self) -> None:
        """End in order: an idle connection now, a request after its response, a websocket as its handler allows."""
        self.closing = True
        if isinstance(self._current, WebSocketConnection):
            self._current.lose(Disconnect(1001, "", "shutdown"))
        else:
            self._waiting.unpark_all()

    async def _serve_request(self, head: Head) -> bool:
        """Serve one request; returns whether the connection can take another."""
        exchange = Exchange(self, head)
        self._current = exchange
        try:
            await exchange.serve(self.service.handle)
        finally:
            self._current = None
            self.service.ended(exchange)
        if self.closing or not await exchange.can_be_followed():
            return False
        self.input[:0] = self.h11.trailing_data[0]
        self.h11 = h11.Connection(h11.SERVER)
        return True

    async def _serve_websocket(self, head: Head) -> None:
        try:
            key = handshake.check(head.method, head.http_version, head.headers)
        except handshake.HandshakeError as error:
            self._refuse(error.status, str(error), error.headers)
            await self.link.wait_closed()
            return
        head = replace(head, scheme="wss" if self.endpoints.secure else "ws")
        transport = WireTransport(self, key, bytes(self.input))
        connection = WebSocketConnection(head, transport, self.service.websocket_limits, self.service.timers)
        transport.connection = connection
        self._current = connection
        self.link.receiver = transport
        if self.closing:
            connection.lose(Disconnect(1001, "", "shutdown"))
        try:
            await connection.serve(self.service.handle)
        finally:
            self._log_websocket(connection)
            self.service.ended(connection)

    # Reading heads

    async def _next_head(self, first: bool) -> Head | None:
        """The next request's head, or None when there will be none."""
        limits = self.service.limits
        self._searched = 0
        self._request_line = ""
        self._started = time.perf_counter()
        timeout = limits.head_timeout if first or self.input else limits.keep_alive_timeout
        self._start_timer(timeout)
        waiting_idle = not first and not self.input
        try:
            while True:
                while self.input.startswith(b"\r\n"):
                    del self.input[:2]  # a client may send empty lines before a request (RFC 9112, 2.2)
                end = find_end(self.input, self._searched, limits.max_head_size) if self.input else None
                if end is not None:
                    return self._parse_head(end)
                if self.lost or self.closing:
                    return None
                if waiting_idle and self.input:
                    waiting_idle = False
                    self._start_timer(limits.head_timeout)
                self._searched = len(self.input)
                await self.wait()
        except BadRequest as error:
            self._refuse(error.status, str(error))
            return None
        finally:
            self._stop_timer()

    def _parse_head(self, end: int) -> Head:
        raw = bytes(self.input[:end])
        del self.input[:end]
        self._request_line = _printable(raw)
        target, host = check(raw, self.service.limits.max_headers)
        self.h11.receive_data(raw)
        try:
            event = self.h11.next_event()
        except h11.RemoteProtocolError as error:
            raise BadRequest(error.error_status_hint, str(error)) from error
        assert isinstance(event, h11.Request)
        headers = [(name, host if name == b"host" else value) for name, value in event.headers]
        path, _, query = target.partition(b"?")
        endpoints = self.endpoints
        return Head(
            method=event.method.decode("ascii"),
            raw_path=path,
            query_string=query,
            headers=headers,
            http_version=event.http_version.decode("ascii"),
            scheme="https" if endpoints.secure else "http",
            client=endpoints.client,
            server=endpoints.server,
        )

    def _start_timer(self, timeout: float | None) -> None:
        self._stop_timer()
        if timeout is not None:
            self._timer = self.service.timers.call_later(timeout, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        if self.input:
            self._refuse(408, "the request head did not come in time")
        self.closing = True
        self._waiting.unpark_all()

    # Responses of the server's own

    def _refuse(self, status: int, message: str, headers: Headers | None = None) -> None:
        self._request_line = self._request_line or _printable(self.input[:_LOGGED])
        self.respond_and_close(status, [(b"content-type", b"text/plain"), *(headers or [])], message.encode() + b"\n")

    def respond_and_close(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with the connection's last response."""
        self.closing = True
        names = {name.lower() for name, _ in headers}
        fields = [(b"date", date()), (b"connection", b"close"), *headers]
        if b"content-length" not in names:
            fields.append((b"content-length", b"%d" % len(body)))
        self.link.write(head_bytes(status, fields) + body)
        self.link.close(linger=_LINGER, timeout=self.service.websocket_limits.send_timeout)
        self.log_access(status)

    def switch_protocols(self, headers: Headers) -> None:
        """Answer a handshake with 101; what comes from now on are frames."""
        self.link.write(head_bytes(101, headers))
        self.log_access(101)

    def log_access(self, status: int, size: int | None = None) -> None:
        """One line for a response (and one for the end of a websocket)."""
        if self.service.access_log and access_log.isEnabledFor(logging.INFO):
            milliseconds = (time.perf_counter() - self._started) * 1000
            access_log.info(
                '%s "%s" %d %s %.1f ms',
                self._client(),
                self._request_line,
                status,
                "-" if size is None else size,
                milliseconds,
            )

    def _log_websocket(self, connection: WebSocketConnection) -> None:
        if self.service.access_log and connection.accepted and access_log.isEnabledFor(logging.INFO):
            end = connection.disconnect
            how = f"{end.kind} {ascii(end.describe())[1:-1]}" if end else "closed by the server"
            seconds = time.perf_counter() - self._started
            access_log.info('%s "%s" %s after %.1f s', self._client(), self._request_line, how, seconds)

    def _client(self) -> str:
        return self.endpoints.client[0] if self.endpoints.client else "-"


def _printable(head: bytes | bytearray) -> str:
    """The first line for the log, so that no client can write a line or a field of its own into it."""
    return ascii(head.partition(b"\r\n")[0].decode("latin-1"))[1:-1].replace('"', '\\"')


_date = (0, b"")


def date() -> bytes:
    """The value of ``Date`` now, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode("ascii"))
    return _date[1]


class Exchange(HTTPConnection):
    """One request and its response on an :class:`HTTP1Connection`."""

    __slots__ = ("_body_ended", "_body_size", "_body_waited", "_http", "_response_ended", "_size", "_status")

    def __init__(self, http: HTTP1Connection, head: Head) -> None:
        super().__init__(head)
        self._http = http
        self._body_ended = False
        self._body_size = 0
        self._body_waited = 0.0  # seconds that the handler waited for it
        self._response_ended = False
        self._status = 0
        self._size = 0

    # The request's body

    async def receive_body(self) -> bytes:
        http = self._http
        if not self._body_ended and http.h11.they_are_waiting_for_100_continue and not self.response_started:
            http.link.write(http.h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        return await self._next_piece()

    async def _next_piece(self) -> bytes:
        http = self._http
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._body_ended:
            event = self._next_event()
            if isinstance(event, h11.Data):
                self._body_size += len(event.data)
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                self._body_ended = True
            elif self._body_ended or (http.lost and not http.input):
                # The cancellation of the disconnect is under way, unless a shield keeps it off.
                self._body_ended = True
                await trio.lowlevel.checkpoint()
            elif http.input:
                # In parts, since h11 does not measure a line that it gets whole.
                http.h11.receive_data(bytes(http.input[:_FEED]))
                del http.input[:_FEED]
            else:
                await self._wait_for_body()
        return b""

    async def _wait_for_body(self) -> None:
        """Wait for more of the body. A client that keeps its handler waiting for too long is given up."""
        began = trio.current_time()
        with trio.move_on_after(_BODY_GRACE + self._body_size / _BODY_SPEED - self._body_waited) as scope:
            await self._http.wait()
        self._body_waited += trio.current_time() - began
        if scope.cancelled_caught:
            self._fail_body(408, Disconnect(1006, "the request body came too slowly", "timeout"))
            await trio.lowlevel.checkpoint()  # cancelled here, the handler does not take what there is for all

    def _next_event(self) -> object:
        """h11's next event; None if the body is at fault, which is its end and the connection's."""
        try:
            return self._http.h11.next_event()
        except h11.RemoteProtocolError as error:
            self._fail_body(error.error_status_hint, Disconnect(1002, str(error), "protocol_error"))
            return None

    def _fail_body(self, status: int, disconnect: Disconnect) -> None:
        self._body_ended = True
        self._http.closing = True
        if not self.response_started:
            self.response_started = self._response_ended = True
            self._http.respond_and_close(status, [(b"content-type", b"text/plain")], disconnect.reason.encode() + b"\n")
        self.lose(disconnect)

    # The response

    async def send_response(self, status: int, headers: Headers, body: bytes) -> None:
        data = self._start(status, headers, len(body))
        if body and self.head.method != "HEAD" and status not in (204, 304):
            data += self._http.h11.send(h11.Data(data=body)) or b""
            self._size = len(body)
        data += self._end()
        self._http.link.write(data)
        await self._wait_for_room()

    async def start_response(self, status: int, headers: Headers) -> None:
        self._http.link.write(self._start(status, headers, None))
        await trio.lowlevel.checkpoint()

    async def send_body(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if data and self.head.method != "HEAD" and not self._response_ended:
            try:
                framed = self._http.h11.send(h11.Data(data=data)) or b""
            except h11.LocalProtocolError:
                self._http.link.abort()  # the client must not take a body of the wrong length for whole
                raise
            self._http.link.write(framed)
            self._size += len(data)
        await self._wait_for_room()

    async def end_response(self) -> None:
        try:
            data = self._end()
        except h11.LocalProtocolError:
            self._http.link.abort()
            raise
        self._http.link.write(data)
        await self._wait_for_room()

    def _start(self, status: int, headers: Headers, size: int | None) -> bytes:
        if self.response_started:
            raise RuntimeError(f"the response to {self.head.method} {self.head.raw_path!r} was begun already")
        self.response_started = True
        self._status = status
        names = {name.lower() for name, _ in headers}
        fields = list(headers)
        if b"date" not in names:
            fields.append((b"date", date()))
        if size is not None and b"content-length" not in names and status >= 200 and status not in (204, 304):
            fields.append((b"content-length", b"%d" % size))
        if self._http.closing and b"connection" not in names:
            fields.append((b"connection", b"close"))
        response = h11.Response(status_code=status, headers=fields, reason=_phrase(status))
        return self._http.h11.send(response) or b""

    def _end(self) -> bytes:
        if self._response_ended:
            return b""
        self._response_ended = True
        self._http.log_access(self._status, self._size)
        return self._http.h11.send(h11.EndOfMessage()) or b""

    async def _wait_for_room(self) -> None:
        """Wait while the client does not keep up; one that takes nothing for ``send_timeout`` is gone."""
        link = self._http.link
        timeout = self._http.service.websocket_limits.send_timeout
        while link.buffered >= _SEND_BUFFER and not self._http.lost:
            before = link.buffered
            with trio.CancelScope() as scope:
                if timeout is not None:
                    scope.deadline = trio.current_time() + timeout
                await self._http.wait()
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
        elif not self._response_ended:
            self._http.link.abort()  # a truncated response must not look like a whole one

    async def can_be_followed(self) -> bool:
        """Whether another request can come after this one; reads the rest of a small body away."""
        machine = self._http.h11
        if self._http.lost or machine.our_state is not h11.DONE or machine.they_are_waiting_for_100_continue:
            return False
        dropped = 0
        while not self._body_ended and dropped <= _DRAIN_UP_TO:
            with trio.move_on_after(_LINGER) as scope:
                dropped += len(await self._next_piece())
            if scope.cancelled_caught or self._http.lost:
                return False
        return self._body_ended and machine.their_state is h11.DONE
