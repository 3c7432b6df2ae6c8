"""Requests over one connection, entered in its page where books are kept."""

from __future__ import annotations

from typing import Protocol

from ..support.wire import Response
from .books import Due, Visit
from .peer import Peer


class Connects(Protocol):
    """What makes a connection."""

    async def connect(self, *, narrow: bool = False) -> Peer: ...


class connected:
    def __init__(self, who: Connects, *, narrow: bool = False) -> None:
        self._who = who
        self._narrow = narrow
        self._peer: Peer | None = None

    async def __aenter__(self) -> Peer:
        self._peer = await self._who.connect(narrow=self._narrow)
        return self._peer

    async def __aexit__(self, *_: object) -> None:
        assert self._peer is not None
        await self._peer.drop()


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def due(peer: Peer, line: str) -> Due:
    """Enter a request that is about to be sent. Until the response was read, the client may be gone before it is."""
    assert peer.page is not None
    one = peer.page.due(line)
    one.left()
    return one


async def request(peer: Peer, line: str, data: bytes, *visits: Visit) -> Response:
    """Send a request, enter it as ``line``, and read its response."""
    one = due(peer, line)
    await peer.send(data)
    response = await peer.read_response(has_body=not data.startswith(b"HEAD"))
    one.got(response.status, *visits)
    return response
