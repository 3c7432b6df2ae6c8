"""A websocket whose messages are handed out at a limited rate: ``max_message_rate``.

It takes the place of the connection for a websocket that has the limit: no message of any other passes through here.
The handler waits in ``receive()``. Meanwhile messages fill the inbox, and from ``receive_buffer`` bytes on nothing more
is read: the client's sending blocks, and nothing is lost.
"""

from __future__ import annotations

from math import inf
from typing import Any, cast

import trio

from .rates import Rate
from .streaming import MessageStream
from .websocket import WebSocketConnection

_LOOK_EVERY = 0.5  # seconds until a waiting handler learns of a disconnect that left messages, or of a close()


class WrappedConnection:
    """A websocket's connection with other ways to receive or to send."""

    __slots__ = ("_connection",)
    _connection: WebSocketConnection

    def __init__(self, connection: WebSocketConnection) -> None:
        object.__setattr__(self, "_connection", connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)


class _Pace:
    """The state of the rate.

    :ivar full_at: when there are no messages to wait for any more.
    :ivar waiting: whether a task waits for the next one to be due.
    """

    __slots__ = ("full_at", "rate", "waiting")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.full_at = -inf
        self.waiting = False

    def wait(self) -> float:
        return self.rate.wait(self.full_at, trio.current_time())

    def take(self) -> None:
        self.full_at = self.rate.take(self.full_at, trio.current_time())


class PacedConnection(WrappedConnection):
    """A connection that hands out so many messages a second."""

    __slots__ = ("_pace",)
    _pace: _Pace

    def __init__(self, connection: WebSocketConnection, per_second: float) -> None:
        super().__init__(connection)
        object.__setattr__(self, "_pace", _Pace(Rate(per_second)))

    async def receive(self) -> str | bytes:
        """The next message, once it is due. A cancellation loses none."""
        await self.wait_until_due("receive")
        message = await self._connection.receive()
        self.count_message()
        return message

    async def wait_until_due(self, call: str) -> None:
        """Wait until the next message may be handed out; after a disconnect, what is left may be at once."""
        pace, connection = self._pace, self._connection
        if pace.waiting or connection.receiving:
            raise trio.BusyResourceError("another task is already receiving from this websocket")
        if pace.wait() <= 0:
            return
        pace.waiting = True
        try:
            while (wait := pace.wait()) > 0 and connection.disconnect is None:
                connection.prepare_to_receive(call)
                await trio.sleep(min(wait, _LOOK_EVERY))
        finally:
            pace.waiting = False
            if connection.inbox and connection.counters is not None:
                connection.counters.receive_pauses += 1

    def count_message(self) -> None:
        """A message was handed out."""
        self._pace.take()


class PacedMessageStream(MessageStream):
    """A message in pieces of a :class:`PacedConnection`; it counts as one."""

    __slots__ = ()

    async def __aenter__(self) -> MessageStream:
        connection = cast(PacedConnection, self._connection)
        await connection.wait_until_due("receive_stream")
        stream = await super().__aenter__()
        connection.count_message()
        return stream
