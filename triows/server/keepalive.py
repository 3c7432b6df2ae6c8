"""The Pings of a websocket on a link: keepalive, and round trips that a handler asks for (RFC 6455, section 5.5.2).

A Ping goes out every ``ping_interval``. Any byte that arrives within ``ping_timeout`` of it shows that the client is
there. Silence proves nothing where this side is to blame for it: while reading is paused by backpressure, while bytes
wait in the system that nobody has read, and while the client takes what was sent before the Ping.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import trio

from ..connection.transport import CarriedWebSocket, RoundTrip
from ..protocol.websocket.frames import PING, encode
from ..tasks.timers import Timer
from .links.link import Link

_MUCH = 4096  # bytes: more than a few Pings and other frames without a payload


class Pinged(Protocol):
    """The transport that the Pings are sent on.

    :ivar reads: how often bytes have arrived.
    """

    connection: CarriedWebSocket
    reads: int

    @property
    def link(self) -> Link: ...

    def watch_sending(self) -> None:
        """Watch from now on whether the client takes what is sent."""

    def time_out(self, reason: str) -> None:
        """End the connection of a client that does nothing."""


class Keepalive:
    """See the module's docstring."""

    __slots__ = ("_ping_timer", "_pings", "_pong_timer", "_round_trips", "_transport", "_unanswered_pings")

    def __init__(self, transport: Pinged) -> None:
        self._transport = transport
        self._pings = 0  # sent so far: a Ping's payload is its number
        self._round_trips: list[tuple[bytes, float, RoundTrip | None]] = []  # open ones: payload, when sent, whose
        # The keepalive's Pings: when each was sent, the transport's reads until then, and the bytes that the client's
        # side had taken. Made for the first one, since a short connection needs none.
        self._unanswered_pings: deque[tuple[float, int, int | None]] | None = None
        self._ping_timer: Timer | None = None
        self._pong_timer: Timer | None = None

    def ping(self, round_trip: RoundTrip | None) -> None:
        """Send a Ping: for a handler that waits for the answer, or as keepalive."""
        self._pings += 1
        payload = b"%d" % self._pings
        link = self._transport.link
        link.write(encode(PING, payload))
        link.flush()
        if link.buffered:
            self._transport.watch_sending()
        # Round trips that were given up are forgotten, and of the keepalive's own the latest is enough to measure by.
        waiting = [trip for trip in self._round_trips if trip[2] is not None and not trip[2].ended.is_set()]
        self._round_trips = [*waiting, (payload, trio.current_time(), round_trip)]

    def pongs_arrived(self, payloads: list[bytes]) -> None:
        """A Pong answers its Ping, and those before it (RFC 6455, 5.5.3); one with other bytes answers nothing."""
        arrived = set(payloads)
        answered = max((number for number, trip in enumerate(self._round_trips, 1) if trip[0] in arrived), default=0)
        now = trio.current_time()
        for _, sent, round_trip in self._round_trips[:answered]:
            self._transport.connection.latency = now - sent
            if round_trip is not None:
                round_trip.seconds = now - sent
                round_trip.ended.set()
        del self._round_trips[:answered]

    def schedule_ping(self) -> None:
        """Send a Ping after ``ping_interval``, and so on."""
        connection = self._transport.connection
        interval = connection.limits.ping_interval
        if interval is not None:
            self._ping_timer = connection.timers.call_later(interval, self._send_ping)

    def stop_pinging(self) -> None:
        """Send no further Ping; those that were sent still have to be answered in time."""
        if self._ping_timer is not None:
            self._ping_timer.cancel()

    def stop(self) -> None:
        """Send no further Ping, and expect no Pong."""
        self.stop_pinging()
        if self._pong_timer is not None:
            self._pong_timer.cancel()

    def _send_ping(self) -> None:
        self.ping(None)
        self.schedule_ping()
        if self._unanswered_pings is None:
            self._unanswered_pings = deque()
        self._unanswered_pings.append((trio.current_time(), self._transport.reads, self._transport.link.taken))
        if len(self._unanswered_pings) == 1:
            self._schedule_pong_check()

    def _schedule_pong_check(self) -> None:
        connection, unanswered = self._transport.connection, self._unanswered_pings
        assert unanswered
        timeout = connection.limits.ping_timeout
        if timeout is None:
            unanswered.clear()
        else:
            self._pong_timer = connection.timers.call_at(unanswered[0][0] + timeout, self._check_pong)

    def _check_pong(self) -> None:
        """Time is over for the oldest Ping: has anything arrived since it was sent?"""
        transport, unanswered = self._transport, self._unanswered_pings
        assert unanswered
        sent, reads, taken = unanswered.popleft()
        link = transport.link
        silent = transport.reads == reads and not link.unread
        if link.paused:
            # Reading is paused by backpressure, so silence proves nothing.
            unanswered.clear()
        elif silent and self._took_some(sent, taken):
            # The client is taking what was sent before the Ping, and has not got to it yet.
            unanswered.appendleft((trio.current_time(), reads, link.taken))
            self._schedule_pong_check()
        elif silent:
            transport.time_out(f"no sign of life for {transport.connection.limits.ping_timeout:g} s after a ping")
        elif unanswered:
            self._schedule_pong_check()

    def _took_some(self, since: float, taken_then: int | None) -> bool:
        """Whether the client has taken some of what was sent since then, and has much of it still to take."""
        link = self._transport.link
        taken = link.taken
        if taken is None or taken_then is None or (link.on_the_way or 0) <= _MUCH:
            return False
        return taken > taken_then or (link.buffered > 0 and link.last_progress > since)
