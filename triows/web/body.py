"""The body of an HTTP request, as a whole or in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import Any

import trio
from werkzeug.exceptions import RequestEntityTooLarge

from ..connection.http import BodyTooLarge, HTTPConnection
from ..protocol.pieces import Pieces


class Body:
    """The body of a request: ``await`` it for the whole, or iterate over its pieces as they arrive.

    Iteration does not buffer: each piece is available once. More bytes than the connection's ``max_body_size`` raise
    werkzeug's :exc:`~werkzeug.exceptions.RequestEntityTooLarge` (413), at once if the Content-Length says so.
    """

    def __init__(self, connection: HTTPConnection, content_length: int | None) -> None:
        self._connection = connection
        self._content_length = content_length
        self._lock: trio.Lock | None = None
        self._received = 0
        self._ended = False
        self._pieces = Pieces()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece. A cancellation loses none."""
        async with self.lock:
            if self._pieces.size:
                # A cancelled read() has left the pieces that it had received.
                return self._pieces.popleft()
            piece = await self._next()
        if not piece:
            raise StopAsyncIteration
        return piece

    def __await__(self) -> Generator[Any, Any, bytes]:
        return self.read().__await__()

    @property
    def lock(self) -> trio.Lock:
        """The lock that the reading task holds, so that other tasks wait for it."""
        if self._lock is None:
            self._lock = trio.Lock()
        return self._lock

    async def read(self) -> bytes:
        """Return the whole body, without the pieces that iteration has taken; each call returns the same.

        If it is cancelled, what it has received is kept for the next call.
        """
        if self._ended:
            return self._pieces.joined()
        async with self.lock:
            while piece := await self._next():
                self._pieces.append(piece)
            return self._pieces.joined()

    def clear(self) -> None:
        """Drop what :meth:`read` has kept."""
        self._pieces.clear()

    async def _next(self) -> bytes:
        limit = self._connection.max_body_size
        if limit is not None and (self._content_length or 0) > limit:
            raise RequestEntityTooLarge()
        if self._ended:
            return b""
        try:
            piece = await self._connection.receive_body()
        except BodyTooLarge:
            raise RequestEntityTooLarge() from None
        self._received += len(piece)
        if not piece:
            self._ended = True
        elif limit is not None and self._received > limit:
            raise RequestEntityTooLarge()
        return piece
