"""A websocket on a link: joins the sans-I/O protocol to bytes in and out (RFC 6455).

The transport is the link's receiver as well. The two clocks of the wire are :mod:`.keepalive` and the watch over the
progress of sending.
"""

from __future__ import annotations

from typing import Protocol

from ..connection.transport import CarriedWebSocket, RoundTrip
from ..protocol.disconnect import Disconnect
from ..protocol.headers import Headers, values
from ..protocol.websocket import handshake
from ..protocol.websocket.close_codes import ABNORMAL
from ..protocol.websocket.compression import Compression, negotiate
from ..protocol.websocket.deflate import Deflater, Inflater
from ..protocol.websocket.frames import (
    BINARY,
    COMPRESSED,
    CONTINUATION,
    FIN,
    PONG,
    SHORT_BINARY,
    SHORT_TEXT,
    TEXT,
    encode,
    encode_close,
    header,
)
from ..protocol.websocket.reader import TURN, MessageReader
from ..tasks.progress import ProgressWatch
from ..tasks.timers import Timer
from .keepalive import Keepalive
from .links.link import LARGE, PROGRESS_CHECKS, Link

_MAX_EARLY_DATA = 65536  # bytes that may wait before the handshake is answered


class Upgradable(Protocol):
    """The HTTP/1.1 connection that the handshake came on."""

    link: Link

    def switch_protocols(self, headers: Headers) -> None:
        """Send the response 101."""

    def respond_and_close(self, status: int, headers: Headers, body: bytes) -> None:
        """Refuse the handshake with this response."""


class WireTransport:
    """See the module's docstring. ``early_data`` arrived right behind the request's head."""

    __slots__ = (
        "_close_sent",
        "_deflater",
        "_early",
        "_http",
        "_keepalive",
        "_key",
        "_lost",
        "_min_size",
        "_protocol",
        "_receive_buffer",
        "_send_watch",
        "_stopped",
        "_turn_timer",
        "_update_from",
        "bytes_sent",
        "connection",
        "full",
        "has_deferred_io",
        "link",
        "messages_sent",
        "reads",
    )

    def __init__(self, http: Upgradable, key: bytes, early_data: bytes) -> None:
        self.connection: CarriedWebSocket
        self.link: Link = http.link
        self.has_deferred_io: bool = False
        self.full: bool = len(early_data) >= _MAX_EARLY_DATA
        self.messages_sent: int = 0
        self.bytes_sent: int = 0
        self._http = http
        self._key = key
        self._early = early_data
        self._protocol: MessageReader | None = None  # made on accept, with the limits of the route
        self._receive_buffer = 0
        self._deflater: Deflater | None = None
        self._min_size = 0
        self._close_sent = False
        self._stopped = False  # reading has stopped until the local close
        self._lost = False  # the link is lost, and a last message is still being inflated
        self.reads: int = 0  # how often bytes arrived: the signs of life
        self._keepalive: Keepalive | None = None  # made on accept
        self._send_watch: ProgressWatch | None = None  # made when something first has to wait
        # How many bytes that wait to be sent need _update_congestion(): send() compares with it for each message.
        self._update_from = 1
        self._turn_timer: Timer | None = None  # the next turn of a message reader that holds bytes

    # The connection's transport

    @property
    def buffered(self) -> int:
        return self.link.buffered

    def accept(self, headers: Headers, subprotocol: str | None) -> None:
        connection = self.connection
        limits = connection.limits
        fields = [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", handshake.accept_token(self._key)),
        ]
        if subprotocol is not None:
            fields.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
        inflater = None
        if isinstance(limits.compression, Compression):
            offers = values(connection.head.headers, b"sec-websocket-extensions")
            agreement = negotiate([offer.decode("latin-1") for offer in offers], limits.compression)
            if agreement is not None:
                fields.append((b"sec-websocket-extensions", agreement.header.encode("ascii")))
                inflater = Inflater(agreement)
                self._deflater = Deflater(agreement, limits.compression)
                self._min_size = limits.compression.min_size
        self._http.switch_protocols([*fields, *headers])
        self._receive_buffer = limits.receive_buffer
        self._protocol = MessageReader(
            connection.inbox, limits.max_message_size, inflater, limits.receive_buffer, limits.max_fragments, TURN
        )
        self._keepalive = Keepalive(self)
        self._keepalive.schedule_ping()
        early, self._early = self._early, b""
        self.full = False
        if early:
            self._protocol.receive_later(early)
            self.resume_receiving()
        else:
            self.link.resume()

    async def reject(self, status: int, headers: Headers, body: bytes) -> None:
        self._http.respond_and_close(status, headers, body)

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            payload, opcode, headers = message.encode(), TEXT, SHORT_TEXT
        else:
            payload, opcode, headers = message, BINARY, SHORT_BINARY
        size = len(payload)
        self.messages_sent += 1
        self.bytes_sent += size
        link = self.link
        if self._deflater is not None and size >= self._min_size:
            payload = self._deflater.deflate(payload)
            size = len(payload)
            head = header(FIN | COMPRESSED | opcode, size)
        else:
            head = headers[size] if size < 126 else header(FIN | opcode, size)
        if size >= LARGE:
            link.write_both(head, payload)
        elif self.connection.inbox:
            # The handler has more messages to answer: join the answers.
            link.write_later(head + payload)
            self.has_deferred_io = True
        else:
            link.write(head + payload)
        if link.buffered >= self._update_from:
            self._update_congestion()

    def send_fragment(self, piece: str | bytes, first: bool, final: bool) -> None:
        payload = piece if isinstance(piece, bytes) else piece.encode()
        self.messages_sent += final
        self.bytes_sent += len(payload)
        byte = CONTINUATION if not first else TEXT if isinstance(piece, str) else BINARY
        if self._deflater is not None:
            payload = self._deflater.end() if final else self._deflater.piece(payload)
            if first:
                byte |= COMPRESSED
        if final:
            byte |= FIN
        self.link.write_both(header(byte, len(payload)), payload)
        if self.link.buffered:
            self._update_congestion()

    def _update_congestion(self) -> None:
        """Bytes wait to be sent: watch their progress, and let senders wait from ``send_buffer`` bytes on."""
        self.watch_sending()
        self._update_from = self.connection.limits.send_buffer
        if self.link.buffered >= self._update_from:
            self.connection.buffer_filled()

    def send_close(self, code: int, reason: str) -> None:
        if not self._close_sent:
            self._close_sent = True
            self._deflater = None  # no message follows
            if self._keepalive is not None:
                # A client that has read the Close frame answers no Ping (RFC 6455, section 5.5.2).
                self._keepalive.stop_pinging()
            if self._protocol is not None:
                self._protocol.drop_messages()
            self.link.write(encode_close(code, reason))
            self.link.flush()
            if self._protocol is not None and self._protocol.failure is not None:
                # Let the client send on until it has read the Close frame: an early reset could destroy that.
                self.link.close(linger=self._close_timeout, timeout=self._close_timeout)

    def flush(self) -> None:
        self.link.flush()

    def run_deferred_io(self) -> None:
        self.has_deferred_io = False
        self.link.flush()
        self.resume_receiving()

    def abort(self) -> None:
        self._stop()
        self.link.abort()

    async def finish(self) -> None:
        self._stop()
        at_fault = self._protocol is not None and self._protocol.failure is not None
        self.link.close(linger=self._close_timeout if at_fault else 0.0, timeout=self._close_timeout)
        await self.link.wait_closed()

    # Receiving, and pausing it

    def resume_receiving(self) -> None:
        protocol = self._protocol
        if protocol is None or (self._stopped and not self.connection.closed):
            return
        if protocol.holds_bytes:
            more = protocol.receive_data(b"")
            if self.connection.inbox:
                self.connection.messages_arrived()
            if more:
                self._take_events(protocol)
        self._update_reading()
        if not self.full:
            self.link.resume()

    def stop_receiving(self) -> None:
        self._stopped = self.full = True

    def stream_next(self) -> None:
        protocol = self._protocol
        if protocol is not None:
            protocol.stream_next()
            self.connection.streamed = protocol.streamed
            self.resume_receiving()

    def stop_streaming(self) -> None:
        if self._protocol is not None:
            self._protocol.stop_streaming()

    def _update_reading(self) -> None:
        """Reading pauses while ``receive_buffer`` bytes are unread, in whole messages or in a part of one.

        Only the message that the handler waits for may become larger: the handler cannot take it before its end.
        """
        protocol = self._protocol
        connection = self.connection
        assert protocol is not None
        message = protocol.message
        unread = connection.inbox.memory(self._receive_buffer)
        if connection.inbox.size < self._receive_buffer <= unread:
            self.has_deferred_io = True  # receive() resumes reading by the size alone, which is below
        waits = protocol.holds_bytes  # even if receive() is about to return a message
        if message is not None and not connection.wants_whole_message:
            unread += message.unread
            waits = True
        turn_is_over = protocol.holds_bytes and not protocol.is_full
        if waits and (turn_is_over or not connection.streaming):
            self.has_deferred_io = True  # receive() may have to ask for the rest
        if turn_is_over and self._turn_timer is None:
            self._turn_timer = connection.timers.call_later(0, self._next_turn)
        self.full = unread >= self._receive_buffer or protocol.holds_bytes or (self._stopped and not connection.closed)

    def _next_turn(self) -> None:
        """Go on after other connections had their turn, even if the handler does not receive: a Ping may come next."""
        self._turn_timer = None
        if self._lost:
            self.link_lost()
        else:
            self.resume_receiving()

    # The link's receiver

    def data_received(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol is None:
            self._early += data
            self.full = len(self._early) >= _MAX_EARLY_DATA
            return
        connection = self.connection
        self.reads += 1
        more = protocol.receive_data(data)
        inbox = connection.inbox
        if inbox:
            connection.messages_arrived()
            if 4 * inbox.size >= self._receive_buffer:
                self._update_reading()
        if more:
            self._take_events(protocol)

    def _take_events(self, protocol: MessageReader) -> None:
        """Take what arrived beside whole messages: the start of a stream, Pings, Pongs, a Close frame or a fault."""
        connection = self.connection
        if protocol.holds_bytes and connection.wants_whole_message and not connection.inbox:
            protocol.read_on()
            if connection.inbox or protocol.holds_bytes:
                connection.messages_arrived()  # where nothing did, receive() asks for the rest, turn by turn
        if protocol.streamed is not None:
            connection.streamed = protocol.streamed
            connection.messages_arrived()
        if protocol.pings:
            self._answer_pings()
        if protocol.pongs:
            assert self._keepalive is not None
            self._keepalive.pongs_arrived(protocol.pongs)
            protocol.pongs.clear()
        if protocol.close is not None:
            self._close_arrived(protocol.close.code, protocol.close.reason)
        elif protocol.failure is not None:
            self._stop_timers()
            connection.end_by(Disconnect(protocol.failure.code, protocol.failure.reason, "protocol_error"))
        else:
            self._update_reading()

    def link_lost(self) -> None:
        protocol = self._protocol
        if protocol is not None and self._may_hold_a_message(protocol):
            # All of a message may have arrived, with some of it to be inflated: it is delivered as an unread one.
            protocol.read_on()
            if self.connection.inbox:
                self.connection.messages_arrived()
            self._take_events(protocol)
            if self._may_hold_a_message(protocol):
                self._lost = True
                if self._turn_timer is None:
                    self._turn_timer = self.connection.timers.call_later(0, self._next_turn)
                return
        self._stop()
        self.connection.end_by(Disconnect(ABNORMAL, "", "lost"))

    def _may_hold_a_message(self, protocol: MessageReader) -> bool:
        waits = protocol.holds_bytes and protocol.streamed is None
        return waits and not (self._stopped or self.connection.closed or self.connection.inbox)

    def link_progressed(self) -> None:
        self._answer_pings()
        self.connection.room_made()

    def _answer_pings(self) -> None:
        """Answer each Ping; to a client that does not read its answers only the latest, as RFC 6455, 5.5.3 allows."""
        protocol = self._protocol
        if protocol is not None and protocol.pings and not self._close_sent:
            if self.link.buffered < self.connection.limits.send_buffer:
                self.link.write_later(b"".join([encode(PONG, payload) for payload in protocol.pings]))
                self.has_deferred_io = True
                protocol.pings.clear()
            else:
                del protocol.pings[:-1]
                self.watch_sending()

    # Closing

    @property
    def _close_timeout(self) -> float:
        timeout = self.connection.limits.close_timeout
        return 3600.0 if timeout is None else timeout

    def _close_arrived(self, code: int, reason: str) -> None:
        """Answer the client's Close frame with the same code, and end the stream (RFC 6455, 5.5.1 and 7.1.1)."""
        self._stop()
        if not self._close_sent:
            self._close_sent = True
            self.link.write(encode_close(code))
        self.link.close(timeout=self._close_timeout)
        self.connection.end_by(Disconnect(code, reason, "closed"))

    def ping(self, round_trip: RoundTrip) -> None:
        assert self._keepalive is not None  # the connection pings only once it is accepted
        self._keepalive.ping(round_trip)

    # Progress of sending

    def watch_sending(self) -> None:
        """Watch from now on whether the client takes what is sent."""
        if self._send_watch is None:
            timers, timeout = self.connection.timers, self.connection.limits.send_timeout
            self._send_watch = ProgressWatch(
                timers, self._seconds_stalled, self._sending_timed_out, timeout, PROGRESS_CHECKS
            )
        self._send_watch.start()

    def _seconds_stalled(self) -> float | None:
        seconds = self.link.seconds_stalled()
        if self.link.buffered:
            return seconds
        self._update_from = 1  # the watch ends
        return None

    def _sending_timed_out(self) -> None:
        self.time_out(f"took nothing of what was sent for {self.connection.limits.send_timeout:g} s")

    def time_out(self, reason: str) -> None:
        """End the connection of a client that does nothing."""
        self._stop()
        self.connection.end_by(Disconnect(ABNORMAL, reason, "timeout"))
        self.link.abort()

    def _stop(self) -> None:
        """Nothing more is sent or received: stop the timers, and free the compressor."""
        self._stop_timers()
        self._deflater = None

    def _stop_timers(self) -> None:
        if self._keepalive is not None:
            self._keepalive.stop()
        if self._turn_timer is not None:
            self._turn_timer.cancel()
        if self._send_watch is not None:
            self._send_watch.stop()
