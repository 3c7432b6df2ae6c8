"""A server in the test's own program, reached over streams in memory, for tests of what is on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import memory_stream_pair

from triows import Triows
from triows.server.serving import Server

from .guard import fail_when_it_hangs
from .wire import Wire


class Segmented(trio.abc.HalfCloseableStream):
    """A stream that gives out what it receives in segments of at most so many bytes."""

    def __init__(self, stream: trio.abc.HalfCloseableStream, size: int) -> None:
        self._stream = stream
        self._size = size

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(self._size)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Served:
    """A running server, and clients of it."""

    def __init__(self, server: Server, nursery: trio.Nursery) -> None:
        self.server = server
        self.nursery = nursery

    def connect(self, segments: int | None = None) -> Wire:
        """A new client, whose bytes reach the server in segments of this size."""
        mine, its = memory_stream_pair()
        self.nursery.start_soon(self.server.serve_stream, its if segments is None else Segmented(its, segments))
        return Wire(mine)


@asynccontextmanager
async def served(app: Triows, **options: Any) -> AsyncIterator[Served]:
    """Serve while the block runs, then shut down in order."""
    async with trio.open_nursery() as nursery:
        guard = trio.CancelScope()
        nursery.start_soon(fail_when_it_hangs, guard)
        server = Server(app, **options)
        await nursery.start(server.run, [])
        yield Served(server, nursery)
        server.shutdown()
        guard.cancel()
