"""HTTP/1.1 on a link (RFC 9112): one request after the other, in one task, until the connection ends or is upgraded.

The parsers are in :mod:`triows.protocol.http1`; each request and its response is an :mod:`.exchange`. Here are the
bytes that no head and no body has taken (so that pipelined requests and bytes behind an upgrade never get mixed up with
a body), the deadlines of heads and of idle connections, and the log.
"""

from __future__ import annotations

import time
from contextvars import copy_context
from math import inf

import trio

from ..connection.base import Connection
from ..connection.logs import RequestLine, log_response, log_websocket
from ..connection.websocket import WebSocketConnection
from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..protocol.http1.errors import BadRequest
from ..protocol.http1.request_head import HeadReader, RequestHead
from ..protocol.http1.response import ResponseFraming, head_bytes
from ..protocol.text import MAX_EXCERPT
from ..protocol.websocket import handshake
from ..protocol.websocket.close_codes import ABNORMAL, GOING_AWAY
from ..tasks.error_log import error_log as logger
from ..tasks.exception_groups import ends_program
from ..tasks.timers import Timer
from ..tasks.waiter import Waiter
from .exchange import LINGER, PATIENCE, Exchange
from .http_date import date
from .links.link import Link
from .service import Endpoints, Service
from .websocket import WireTransport

_MAX_INPUT = 65536  # bytes read ahead while the handler does not read; or twice max_head_size, if that is more
_LAST_CHANCE = 0.5  # seconds that a shutdown waits for a request which has not arrived, or only in part
# A deadline that is checked this many seconds late may have passed because the event loop was held up: bytes that wait
# in the socket may have come in time. The check is put off by as much, so that they are read first.
_TIME_TO_READ = 0.05


class HTTP1Connection:
    """One client's connection. Its task runs :meth:`serve`; it starts with the first bytes, or with the client's end.

    After an upgrade it only waits for the websocket to end, and holds no parser state.

    :param begun: whether the caller is that task, and will call :meth:`serve` itself.

    :ivar closing: whether no further request is read.
    :ivar input: bytes that arrived, and that neither a head nor a body has taken.
    :ivar lost: whether the end of the stream, or a reset, has arrived.
    """

    __slots__ = (
        "_arrival",
        "_begun",
        "_current",
        "_deadline",
        "_fresh",
        "_last_chance",
        "_overdue",
        "_progress",
        "_request_line",
        "_started",
        "_timer",
        "closing",
        "endpoints",
        "input",
        "link",
        "lost",
        "service",
    )

    def __init__(self, link: Link, service: Service, endpoints: Endpoints, *, begun: bool = False) -> None:
        self.link: Link = link
        self.service: Service = service
        self.endpoints: Endpoints = endpoints
        self.closing: bool = False
        self.input: bytearray = bytearray()
        self.lost: bool = False
        self._arrival: Waiter | None = None  # for bytes: this task awaits a head, or one task of the handler a body
        self._progress: trio.lowlevel.ParkingLot | None = None  # for room in the link: any task may send
        self._deadline = inf  # of the head, or of the idle connection
        self._timer: Timer | None = None  # due at the deadline or before
        self._current: Connection | None = None
        self._request_line = b""
        self._started = 0.0
        self._begun = begun
        self._fresh = True  # no request has come yet
        self._last_chance = False  # at shutdown: the request that may be on the way is still served
        self._overdue = False  # the deadline passed, and only a part of a head was there
        link.receiver = self
        self._set_deadline(service.limits.head_timeout)

    # The link's receiver

    @property
    def full(self) -> bool:
        return len(self.input) >= _MAX_INPUT and len(self.input) >= 2 * self.service.limits.max_head_size

    def data_received(self, data: bytes) -> None:
        self.input += data
        self._wake_reader()

    def link_lost(self) -> None:
        self.lost = True
        if self._current is not None:
            self._current.end_by(Disconnect(ABNORMAL, "", "lost"))
        self._wake_reader()
        self.link_progressed()

    def link_progressed(self) -> None:
        if self._progress is not None:
            self._progress.unpark_all()

    def _wake_reader(self) -> None:
        if self._arrival is not None:
            self._arrival.wake()
        elif not self._begun:
            self._begun = True
            self.service.begin(self)

    async def wait_for_bytes(self) -> None:
        """Wait until bytes arrive, or the link is lost."""
        if self._arrival is None:
            self._arrival = Waiter()
        self.link.resume()
        await self._arrival.park()

    async def wait_for_progress(self) -> None:
        """Wait until the client has taken some of what is buffered, or the link is lost."""
        if self._progress is None:
            self._progress = trio.lowlevel.ParkingLot()
        self.link.resume()
        await self._progress.park()

    # The task

    async def serve(self) -> None:
        """Serve the client's requests until the connection ends."""
        self._begun = True
        try:
            websocket = await self._serve_requests()
            if websocket is not None:
                try:
                    await websocket.serve(self.service.handle)
                except BaseException as error:  # noqa: ASYNC103 - the server raises it
                    if not self._end_program(error):
                        raise
                    await websocket.finish()  # noqa: ASYNC102 - not cancelled
                finally:
                    self._log_websocket(websocket)
            else:
                self.close()
                await self.link.wait_closed()
        except Exception:
            logger.exception("a connection ended with an error of the server")
        finally:
            self._stop_timer()
            self.link.abort()
            self.service.gone(self)

    def _end_program(self, error: BaseException) -> bool:
        """Begin the server's shutdown if the error ends the program.

        Returns True if the server raises the error at the end; if False, the caller raises it at once.
        """
        return ends_program(error) and self.service.end_program(error)

    def shut_down(self) -> None:
        """End in order: an idle connection now, a request after its response, a websocket as its handler allows."""
        self.closing = True
        self.link.hurry()
        if isinstance(self._current, WebSocketConnection):
            self._current.end_by(Disconnect(GOING_AWAY, "", "shutdown"))
        else:
            if isinstance(self._current, Exchange):
                self._current.shut_down()
            elif self._fresh or self.input:
                # The client has just connected, or sent half a head, and cannot know of the shutdown: serve it still.
                self._grant_last_chance()
            self._wake_reader()

    def _grant_last_chance(self) -> None:
        self._last_chance = True
        if self._deadline > trio.current_time() + _LAST_CHANCE:
            self._set_deadline(_LAST_CHANCE)

    def cut_off(self) -> None:
        """Cancel the handler: ``shutdown_timeout`` has passed since :meth:`shut_down`."""
        current = self._current
        if current is not None:
            current.end_by(Disconnect(GOING_AWAY, "", "shutdown"))
            current.cancel_handler()

    def force_end(self) -> str | None:
        """Drop the connection although its handler does not end; see :meth:`Connection.force_end`."""
        return None if self._current is None else self._current.force_end()

    async def _serve_requests(self) -> WebSocketConnection | None:
        """Serve one request after the other; returns the websocket that the connection has become, if it has."""
        heads = HeadReader(self.service.limits)
        context = copy_context()  # the server's: no code of the app has run in this task yet
        first = True
        while (parsed := await self._next_head(heads, first)) is not None:
            first = self._fresh = False
            if handshake.wants_websocket(parsed.headers):
                return self._upgrade(parsed)
            exchange = Exchange(self, parsed, self._head(parsed, "https" if self.endpoints.secure else "http"))
            self._current = exchange
            if self._last_chance:
                exchange.shut_down()
            if self.lost:
                exchange.end_by(Disconnect(ABNORMAL, "", "lost"))  # the link reported it before the exchange began
            try:
                await exchange.serve(self.service.handle)
            except BaseException as error:  # noqa: ASYNC103 - the server raises it
                if not self._end_program(error):
                    raise
                await exchange.finish()  # noqa: ASYNC102 - not cancelled
            finally:
                exchange.log_end()
                self._current = None
            if not await exchange.can_be_followed():
                return None
            if self.closing and self.input:
                # The response left before the shutdown began, so it had no "Connection: close" that told the client.
                self._grant_last_chance()
            # A proxy sends requests of several clients on one connection: the context variables of this request are not
            # for the next one. Trio applies the new context when it next resumes the task: after the wait for bytes or,
            # if some are there, after this checkpoint, in which other tasks get their turn.
            trio.lowlevel.current_task().context = context.copy()
            if self.input:
                await trio.lowlevel.checkpoint()
        if self.link.on_the_way == 0:
            self.link.close()  # without lingering: the client's side has acknowledged everything
        return None

    def _upgrade(self, parsed: RequestHead) -> WebSocketConnection | None:
        """Make a websocket of the connection; a handshake that is invalid is refused."""
        try:
            key = handshake.check(parsed.method, parsed.http_version, parsed.headers)
        except handshake.HandshakeError as error:
            self.service.counters.handshakes_refused += 1
            self._refuse(error.status, str(error), error.headers)
            return None
        transport = WireTransport(self, key, bytes(self.input))
        head = self._head(parsed, "wss" if self.endpoints.secure else "ws")
        connection = WebSocketConnection(head, transport, self.service.websocket_limits, self.service.timers)
        transport.connection = connection
        self._current = connection
        self.link.receiver = transport
        self.input.clear()
        self._arrival = None
        self._stop_timer()
        if self.lost:
            connection.end_by(Disconnect(ABNORMAL, "", "lost"))  # the link reported it before the upgrade
        elif self.closing:
            connection.end_by(Disconnect(GOING_AWAY, "", "shutdown"))
        return connection

    def _head(self, parsed: RequestHead, scheme: str) -> Head:
        path, _, query = parsed.target.partition(b"?")
        return Head(
            method=parsed.method,
            raw_path=path,
            query_string=query,
            headers=parsed.headers,
            http_version=parsed.http_version,
            scheme=scheme,
            client=self.endpoints.client,
            server=self.endpoints.server,
        )

    # Reading heads

    async def _next_head(self, heads: HeadReader, first: bool) -> RequestHead | None:
        """The next request's head, or None when there will be none."""
        limits = self.service.limits
        heads.begin()
        self._request_line = b""
        self._started = time.perf_counter()
        idle: bool | None = None  # whether no byte of the next request has arrived; None before the first wait
        try:
            while (parsed := heads.take(self.input)) is None:
                if self._overdue:
                    raise BadRequest(408, "the request head did not come in time")
                if self.lost or (self.closing and not self._last_chance):
                    return None
                if not first and not self.closing and (idle is None or (idle and self.input)):
                    # A head's time begins with its first byte, the first head's with the connection. Later bytes give
                    # it no more time.
                    idle = not self.input
                    self._set_deadline(limits.keep_alive_timeout if idle else limits.head_timeout)
                await self.wait_for_bytes()
        except BadRequest as error:
            self._request_line = heads.request_line
            self.service.counters.count_response(error.status)
            self._refuse(error.status, str(error))
            return None
        finally:
            self._deadline = inf
        self._request_line = heads.request_line
        self._started = time.perf_counter()
        return parsed

    def _set_deadline(self, timeout: float | None) -> None:
        """Set the client's deadline. One timer serves all requests: when it is due too early, it is set again."""
        if timeout is not None:
            self._deadline = trio.current_time() + timeout
            if self._timer is None or self._timer.deadline > self._deadline:
                self._stop_timer()
                self._timer = self.service.timers.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        late = trio.current_time() - self._deadline
        if late >= _TIME_TO_READ and self.link.unread and not self.link.paused:
            self._timer = self.service.timers.call_later(_TIME_TO_READ, self._check_deadline)
        elif late >= 0:
            # The last bytes of a head may have arrived in this very pass: _next_head() sees whether it is whole.
            self._overdue = bool(self.input) and not self._last_chance
            self.closing = True
            self._last_chance = False
            self._wake_reader()
        elif self._deadline < inf:
            self._timer = self.service.timers.call_at(self._deadline, self._check_deadline)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Responses of the server's own

    def _refuse(self, status: int, message: str, headers: Headers | None = None) -> None:
        self._request_line = self._request_line or bytes(self.input[:MAX_EXCERPT])
        self.respond_and_close(status, [(b"content-type", b"text/plain"), *(headers or [])], message.encode() + b"\n")

    def respond_and_close(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the connection's last response, and log it."""
        self.closing = True
        method = "HEAD" if self._request_line.startswith(b"HEAD ") else "GET"
        response = ResponseFraming(method, "1.1", keep_alive=False, date=date)
        self.link.write(response.whole(status, headers, body))
        self.close(patience=0.0 if status == 408 else PATIENCE)
        self.log_access(status, response.size)

    def close(self, patience: float = 0.0) -> None:
        """Close the link when everything is sent; a client that still sends has ``patience`` seconds to finish."""
        send_timeout = self.service.send_timeout
        self.link.close(linger=LINGER, send_timeout=send_timeout, patience=patience)

    def switch_protocols(self, headers: Headers) -> None:
        """Answer a handshake with 101; from now on both sides send frames."""
        self.link.write(head_bytes(101, headers))
        self.log_access(101)

    # The log

    def log_access(self, status: int | None, size: int | None = None, kind: str | None = None) -> None:
        """Log the response, and why it did not come to its end, if it did not."""
        if self.service.logs:
            seconds = time.perf_counter() - self._started
            request_id = None if self._current is None else self._current.request_id
            log_response(self._client(), self._line(), status, size, seconds, kind, request_id)

    def _log_websocket(self, connection: WebSocketConnection) -> None:
        if connection.status == 101:
            if self.service.logs:
                seconds = time.perf_counter() - self._started
                ending, traffic = connection.ending, connection.traffic
                log_websocket(self._client(), self._line(), ending, traffic, seconds, connection.request_id)
        elif connection.status is None:
            self.log_access(None, kind=connection.ending.kind)  # the client was gone before there was an answer

    def _line(self) -> RequestLine:
        return RequestLine.read(self._request_line, show_query=self.service.log_query)

    def _client(self) -> str | None:
        # The head of the current request names the client behind a trusted proxy.
        client = self.endpoints.client if self._current is None else self._current.head.client
        return None if client is None else client[0]
