"""The streams between the test client and the server: in memory, with the faults of a network.

Each direction holds a bounded number of bytes, so that sending waits if the other side does not read. Unlike a
socket's, ``send_all()`` sends all or nothing: if it is cancelled while it waits for room, nothing was sent, so that a
timeout in a test cannot tear a message in two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from operator import index

import trio
from trio.lowlevel import ParkingLot, checkpoint

CAPACITY = 65536
"""Bytes that a direction holds before sending waits. The last ``send_all()`` before may exceed it."""


class _Pipe:
    """One direction.

    :ivar ended: the sending side has ended; the bytes in the pipe can still be read.
    :ivar reader_gone: the receiving side was closed.
    :ivar broken: the connection was reset.
    :ivar held: the receiving side is stalled.
    """

    ended: bool
    reader_gone: bool
    broken: bool
    held: bool

    def __init__(self, capacity: int) -> None:
        self.ended = self.reader_gone = self.broken = self.held = False
        self._capacity = capacity
        self._data = bytearray()
        self._changed = ParkingLot()

    def change(self, *, ended: bool = False, reader_gone: bool = False, broken: bool = False) -> None:
        self.ended |= ended
        self.reader_gone |= reader_gone
        self.broken |= broken
        if self.reader_gone or self.broken:
            self._data.clear()
        self._changed.unpark_all()

    def hold(self, held: bool) -> None:
        self.held = held
        self._changed.unpark_all()

    async def put(self, data: bytes) -> None:
        await checkpoint()
        await self.wait_for_room()
        # No checkpoint from here on: the data is sent whole or not at all.
        self._data += data
        self._changed.unpark_all()

    async def wait_for_room(self) -> None:
        while True:
            if self.ended:
                raise trio.ClosedResourceError("this end of the stream was closed")
            if self.reader_gone or self.broken:
                raise trio.BrokenResourceError("the other end of the stream is gone")
            if len(self._data) < self._capacity:
                return
            await self._changed.park()

    async def get(self, max_bytes: int) -> bytes:
        await checkpoint()
        while True:
            if self.reader_gone:
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
        """Send the data whole, after waiting for room. If it is cancelled, nothing was sent."""
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
        """Receive at most ``max_bytes`` bytes; ``b""`` is the end. A cancellation loses nothing."""
        max_bytes = CAPACITY if max_bytes is None else index(max_bytes)
        if max_bytes < 1:
            raise ValueError(f"max_bytes is {max_bytes!r}; it must be at least 1")
        with self._only_one("receive_some"):
            return await self._incoming.get(max_bytes)

    async def aclose(self) -> None:
        self.close()
        await checkpoint()

    def close(self) -> None:
        """End the stream in order: the other side reads all that was sent, then the end, and can send no more."""
        self._outgoing.change(ended=True)
        self._incoming.change(reader_gone=True)

    def reset(self) -> None:
        """Break the connection: unread bytes are lost, and the other side's next call raises an error."""
        self._outgoing.change(ended=True, broken=True)
        self._incoming.change(reader_gone=True, broken=True)

    def stall(self) -> None:
        """Receive nothing until :meth:`resume`, so that the other side's sending waits in the end."""
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
