"""Links with their clients at the other ends, and what hears from them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from triows.server.links import reactor
from triows.server.links.link import Link
from triows.server.links.reactor import Reactor
from triows.server.links.socket import SocketLink
from triows.server.links.stream import StreamLink
from triows.tasks.timers import Timers
from triows.testing.streams import memory_stream_pair

from .guard import fail_when_it_hangs

needs_reactor = pytest.mark.skipif(not reactor.AVAILABLE, reason="there is no reactor on this platform")


class Recorder:
    """A receiver that remembers what it hears."""

    def __init__(self, link: Link, when_received: Callable[[bytes], None] | None = None) -> None:
        self.full = False
        self.data = b""
        self.lost = 0
        self.progressed = 0
        self._when_received = when_received
        link.receiver = self

    def data_received(self, data: bytes) -> None:
        assert not self.lost
        self.data += data
        if self._when_received is not None:
            self._when_received(data)

    def link_lost(self) -> None:
        self.lost += 1

    def link_progressed(self) -> None:
        self.progressed += 1


class Links:
    """Makes links of one kind, and the streams of their clients."""

    def __init__(self, kind: str, nursery: trio.Nursery) -> None:
        self.kind = kind
        self.nursery = nursery
        self.timers = Timers()
        self.reactor = Reactor() if kind == "socket" else None
        self.made: list[Link] = []
        self.streams: list[trio.abc.Stream] = []

    async def make(self, wrap: Callable[[Any], Any] = lambda sock: sock) -> tuple[Link, Any, Recorder]:
        """A link, its client's stream, and what hears from the link. What the client does not read is soon too much."""
        link: Link
        mine: trio.abc.Stream
        if self.reactor is not None:
            ours, theirs = socket.socketpair()
            for sock in (ours, theirs):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            ours.setblocking(False)
            mine = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
            link = SocketLink(wrap(ours), self.reactor, self.timers)
        else:
            mine, its = memory_stream_pair(capacity=8192)
            link = StreamLink(its, self.timers)
            await self.nursery.start(link.run)
        self.made.append(link)
        self.streams.append(mine)
        return link, mine, Recorder(link)


@asynccontextmanager
async def running(kind: str) -> AsyncIterator[Links]:
    async with trio.open_nursery() as nursery:
        links = Links(kind, nursery)
        nursery.start_soon(fail_when_it_hangs)
        nursery.start_soon(links.timers.run)
        if links.reactor is not None:
            nursery.start_soon(links.reactor.run)
        try:
            yield links
        finally:
            for link in links.made:
                link.abort()
            if links.reactor is not None:
                links.reactor.close()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                for stream in links.streams:
                    await trio.aclose_forcefully(stream)


async def read(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        assert piece, f"the end came after {len(data)} bytes"
        data += bytes(piece)
    return data


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """What comes until the end, which may be a reset."""
    data = b""
    try:
        while piece := await stream.receive_some(65536):
            data += bytes(piece)
    except trio.BrokenResourceError:
        pass
    return data


LARGE = bytes(range(256)) * 4000  # more than any buffer of these takes at once
