"""A websocket on a link: joins the sans-I/O protocol to bytes in and out (RFC 6455).

It is the link's receiver and the connection's transport at once, and has the two clocks of the wire: keepalive, and the
progress of sending.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol as Interface

import trio

from ..connection import WebSocketConnection
from ..ends import Disconnect, Headers
from ..protocol import handshake
from ..protocol.frames import BINARY, PING, PONG, TEXT, encode, encode_close
from ..protocol.messages import Protocol
from ..waiting import Timer
from .link import Link

# Bytes that may wait before the handshake is answered.
_MAX_EARLY_DATA = 65536


class Upgradable(Interface):
    """The HTTP/1.1 connection that the handshake came on."""

    link: Link

    def switch_protocols(self, headers: Headers) -> None:
        """Send the response 101; bytes that arrive go to the link's new receiver."""

    def respond_and_close(self, status: int, headers: Headers, body: bytes) -> None:
        """Refuse the handshake with this response."""


class WireTransport:
    """See the module's docstring. ``early_data`` came right behind the request's head."""

    __slots__ = (
        "_close_sent",
        "_early",
        "_http",
        "_key",
        "_link",
        "_ping_sent",
        "_ping_timer",
        "_pings",
        "_pong_timer",
        "_protocol",
        "_reads",
        "_send_timer",
        "_unproved",
        "connection",
    )

    def __init__(self, http: Upgradable, key: bytes, early_data: bytes) -> None:
        self.connection: WebSocketConnection
        self._http = http
        self._link: Link = http.link
        self._key = key
        self._early = early_data
        self._protocol: Protocol | None = None  # made on accept, with the limits of the route
        self._close_sent = False
        self._reads = 0  # how often bytes arrived: the signs of life
        self._unproved: deque[tuple[float, int]] = deque()  # Pings: when sent, and the reads until then
        self._pings = 0
        self._ping_sent: float | None = None
        self._ping_timer: Timer | None = None
        self._pong_timer: Timer | None = None
        self._send_timer: Timer | None = None

    # The connection's transport

    @property
    def buffered(self) -> int:
        return self._link.buffered

    def accept(self, headers: Headers, subprotocol: str | None) -> None:
        connection = self.connection
        fields = [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", handshake.accept_token(self._key)),
        ]
        if subprotocol is not None:
            fields.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
        self._http.switch_protocols([*fields, *headers])
        self._protocol = Protocol(connection.inbox, connection.limits.max_message_size)
        self._schedule_ping()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        self._link.resume()

    async def reject(self, status: int, headers: Headers, body: bytes) -> None:
        self._http.respond_and_close(status, headers, body)

    def send(self, message: str | bytes) -> None:
        frame = encode(TEXT, message.encode()) if isinstance(message, str) else encode(BINARY, message)
        link = self._link
        if self.connection.inbox:
            # More messages wait for the handler: its answers to them will be joined to this one.
            link.write_later(frame)
        else:
            link.write(frame)
        if link.buffered:
            if self._send_timer is None:
                self._watch_sending()
            if link.buffered >= self.connection.limits.send_buffer:
                self.connection.congested = True

    def send_close(self, code: int, reason: str) -> None:
        if not self._close_sent:
            self._close_sent = True
            self._link.write(encode_close(code, reason))
            self._link.flush()
            if self._protocol is not None and self._protocol.failure is not None:
                # The client may not have noticed its fault yet: let it send on until it has read the Close frame.
                self._link.close(linger=self._close_timeout, timeout=self._close_timeout)

    def flush(self) -> None:
        self._link.flush()

    def resume_receiving(self) -> None:
        self._link.resume()

    def abort(self) -> None:
        self._stop_timers()
        self._link.abort()

    async def finish(self) -> None:
        self._stop_timers()
        self._link.close(timeout=self._close_timeout)
        await self._link.wait_closed()

    # The link's receiver

    @property
    def full(self) -> bool:
        if self._protocol is None:
            return len(self._early) >= _MAX_EARLY_DATA
        connection = self.connection
        if connection.disconnect is not None and connection.disconnect.kind == "shutdown":
            return not connection.closed  # at shutdown nothing is read but the client's Close
        return connection.inbox.size >= connection.limits.receive_buffer

    def data_received(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol is None:
            self._early += data
            return
        connection = self.connection
        self._reads += 1
        protocol.receive_data(data)
        if connection.inbox:
            connection.messages_arrived()
        if protocol.pings:
            self._answer_pings()
        if protocol.pong is not None:
            self._pong_arrived(protocol.pong)
            protocol.pong = None
        if protocol.close is not None:
            self._close_arrived(protocol.close.code, protocol.close.reason)
        elif protocol.failure is not None:
            self._stop_timers()
            connection.lose(Disconnect(protocol.failure.code, protocol.failure.reason, "protocol_error"))

    def link_lost(self) -> None:
        self._stop_timers()
        self.connection.lose(Disconnect(1006, "", "lost"))

    def link_progressed(self) -> None:
        self._answer_pings()
        self.connection.room_made()

    def _answer_pings(self) -> None:
        """Answer each Ping; to a client that does not read its answers only the latest, as RFC 6455, 5.5.3 allows."""
        protocol = self._protocol
        if protocol is not None and protocol.pings and not self._close_sent:
            if self._link.buffered < self.connection.limits.send_buffer:
                self._link.write_later(b"".join([encode(PONG, payload) for payload in protocol.pings]))
                protocol.pings.clear()
            else:
                del protocol.pings[:-1]

    # Closing

    @property
    def _close_timeout(self) -> float:
        timeout = self.connection.limits.close_timeout
        return 3600.0 if timeout is None else timeout

    def _close_arrived(self, code: int, reason: str) -> None:
        """Answer the client's Close frame with the same code, and end the stream (RFC 6455, 5.5.1 and 7.1.1)."""
        self._stop_timers()
        if not self._close_sent:
            self._close_sent = True
            self._link.write(encode_close(code))
        self._link.close(timeout=self._close_timeout)
        self.connection.lose(Disconnect(code, reason, "closed"))

    # Keepalive

    def _schedule_ping(self) -> None:
        interval = self.connection.limits.ping_interval
        if interval is not None:
            self._ping_timer = self.connection.timers.call_later(interval, self._send_ping)

    def _send_ping(self) -> None:
        now = trio.current_time()
        self._pings += 1
        self._link.write(encode(PING, b"%d" % self._pings))
        self._link.flush()
        self._schedule_ping()
        self._unproved.append((now, self._reads))
        if len(self._unproved) == 1:
            self._await_sign_of_life()
        self._ping_sent = now

    def _await_sign_of_life(self) -> None:
        timeout = self.connection.limits.ping_timeout
        if timeout is None:
            self._unproved.clear()
        else:
            self._pong_timer = self.connection.timers.call_at(self._unproved[0][0] + timeout, self._check_life)

    def _check_life(self) -> None:
        """Time is over for the oldest Ping: did anything arrive since it was sent?"""
        _, reads = self._unproved.popleft()
        if self._link.paused:
            # Nobody listens for signs of life while the handler has not taken what is there.
            self._unproved.clear()
        elif self._reads == reads:
            self._time_out(f"no sign of life for {self.connection.limits.ping_timeout:g} s after a ping")
        elif self._unproved:
            self._await_sign_of_life()

    def _pong_arrived(self, payload: bytes) -> None:
        if self._ping_sent is not None and payload == b"%d" % self._pings:
            self.connection.latency = trio.current_time() - self._ping_sent
            self._ping_sent = None  # the same Pong twice is measured once

    # Progress of sending

    def _watch_sending(self) -> None:
        timeout = self.connection.limits.send_timeout
        if timeout is not None and self._send_timer is None:
            self._send_timer = self.connection.timers.call_later(timeout, self._check_sending)

    def _check_sending(self) -> None:
        timeout = self.connection.limits.send_timeout
        assert timeout is not None
        self._send_timer = None
        if not self._link.buffered:
            return
        stalled = trio.current_time() - self._link.progressed
        if stalled >= timeout:
            self._time_out(f"took nothing of what was sent for {timeout:g} s")
        else:
            self._send_timer = self.connection.timers.call_later(timeout - stalled, self._check_sending)

    def _time_out(self, reason: str) -> None:
        self._stop_timers()
        self.connection.lose(Disconnect(1006, reason, "timeout"))
        self._link.abort()

    def _stop_timers(self) -> None:
        for timer in (self._ping_timer, self._pong_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
