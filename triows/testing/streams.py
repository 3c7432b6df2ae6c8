"""The wire between the test client and the server: two ends of a stream in memory, with its faults.

Each direction holds a bounded number of bytes, so that a side that does not read is felt by the other one. Unlike a
socket's, ``send_all()`` takes all or nothing: cancelled while it waits for room, it has sent nothing, so that a timeout
in a test cannot tear a message in two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from operator import index

import trio
from trio.lowlevel import ParkingLot, checkpoint

CAPACITY = 65536
"""Bytes that a direction holds before sending waits; what is sent then may overshoot it once."""


class _Pipe:
    """One direction.

    :ivar ended: the sending side is done; what is in the pipe can still be read.
    :ivar unheard: the receiving side is gone.
    :ivar broken: the connection was reset.
    :ivar held: the receiving side takes nothing for now.
    """

    def __init__(self, capacity: int) -> None:
        self.ended = self.unheard = self.broken = self.held = False
        self._capacity = capacity
        self._data = bytearray()
        self._changed = ParkingLot()

    def change(self, *, ended: bool = False, unheard: bool = False, broken: bool = False) -> None:
        self.ended |= ended
        self.unheard |= unheard
        self.broken |= broken
        if self.unheard or self.broken:
            self._data.clear()
        self._changed.unpark_all()

    def hold(self, held: bool) -> None:
        self.held = held
        self._changed.unpark_all()

    async def put(self, data: bytes) -> None:
        await checkpoint()
        await self.wait_for_room()
        # No checkpoint from here on: what is sent is sent whole.
        self._data += data
        self._changed.unpark_all()

    async def wait_for_room(self) -> None:
        while True:
            if self.ended:
                raise trio.ClosedResourceError("this end of the stream was closed")
            if self.unheard or self.broken:
                raise trio.BrokenResourceError("the other end of the stream is gone")
            if len(self._data) < self._capacity:
                return
            await self._changed.park()

    async def get(self, max_bytes: int) -> bytes:
        await checkpoint()
        while True:
            if self.unheard:
                raise trio.ClosedResourceError("this end of the stream was closed")
            if not self.held:
                if self.broken:
                    raise trio.BrokenResourceError("the connection was reset")
                if self._data:
                    data = bytes(self._data[:max_bytes])
                    del self._data[:max_bytes]
                    self._changed.unpark_all()
                    return data
                if self.ended:
                    return b""
            await self._changed.park()


class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a stream in memory; :func:`memory_stream_pair` makes both."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._busy: set[str] = set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send the data whole, after waiting for room. Cancelled, it has sent nothing."""
        with self._only_one("send_all"):
            await self._outgoing.put(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        with self._only_one("send_all"):
            await checkpoint()
            await self._outgoing.wait_for_room()

    async def send_eof(self) -> None:
        """Send no more; receiving goes on."""
        with self._only_one("send_all"):
            self._outgoing.change(ended=True)
            await checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what is there. Cancelled, it has taken nothing."""
        max_bytes = CAPACITY if max_bytes is None else index(max_bytes)
        if max_bytes < 1:
            raise ValueError(f"max_bytes is {max_bytes!r}; it must be at least 1")
        with self._only_one("receive_some"):
            return await self._incoming.get(max_bytes)

    async def aclose(self) -> None:
        self.close()
        await checkpoint()

    def close(self) -> None:
        """End the stream in order: the other side reads what was sent, then the end, and cannot send any more."""
        self._outgoing.change(ended=True)
        self._incoming.change(unheard=True)

    def reset(self) -> None:
        """Break the connection: what is under way is lost, and the other side gets an error at its next call."""
        self._outgoing.change(ended=True, broken=True)
        self._incoming.change(unheard=True, broken=True)

    def stall(self) -> None:
        """Take nothing from the other side until :meth:`resume`."""
        self._incoming.hold(True)

    def resume(self) -> None:
        """Receive again."""
        self._incoming.hold(False)

    @contextmanager
    def _only_one(self, call: str) -> Iterator[None]:
        if call in self._busy:
            raise trio.BusyResourceError(f"another task is in {call}() of this end of the stream")
        self._busy.add(call)
        try:
            yield
        finally:
            self._busy.discard(call)


def memory_stream_pair(capacity: int = CAPACITY) -> tuple[MemoryStream, MemoryStream]:
    """Return the two ends of a new stream that holds about ``capacity`` bytes each way."""
    there, back = _Pipe(capacity), _Pipe(capacity)
    return MemoryStream(back, there), MemoryStream(there, back)
