"""The body of an HTTP request, as a whole or in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import Any, NoReturn, Self

import trio
from werkzeug.exceptions import RequestEntityTooLarge

from ..connection.http import BodyTooLarge, HTTPConnection
from .kept_body import KeptBody


class Body:
    """The body of a request: ``await`` it for the whole, or iterate over its pieces as they arrive.

    The whole is kept: each later reader gets the same bytes, one that iterates too. Iteration before that does not keep
    anything: each piece is available once. More bytes than the connection's ``max_body_size`` raise werkzeug's
    :exc:`~werkzeug.exceptions.RequestEntityTooLarge` (413) each time, at once if the Content-Length says so.
    """

    def __init__(self, connection: HTTPConnection, content_length: int | None) -> None:
        self._connection = connection
        self._content_length = content_length
        self._lock: trio.Lock | None = None
        self._received = 0
        self._ended = False
        self._too_large = False
        self._kept: KeptBody | None = None
        self._is_wanted_whole = False  # and is kept in memory then
        self._pieces: BodyPieces | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return BodyPieces(self)

    async def __anext__(self) -> bytes:
        """Return the next piece. A cancellation loses none."""
        if self._pieces is None:
            self._pieces = BodyPieces(self)
        return await self._pieces.__anext__()

    def __await__(self) -> Generator[Any, Any, bytes]:
        return self.read().__await__()

    def __call__(self) -> NoReturn:
        """Say that the body is no method, as it is in other frameworks.

        :raises TypeError: always.
        """
        raise TypeError("request.body is no method: write 'await request.body', or 'await request.get_data()'")

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
        if self._ended and self._keep().is_in_memory:
            return await self._keep().whole()
        async with self.lock:
            kept = self._keep()
            self._is_wanted_whole = True
            while piece := await self._next():
                kept.append(piece)
            return await kept.whole()

    def kept_pieces(self) -> BodyPieces:
        """Return an iterator over the pieces that keeps them. Much of what it keeps is on disk.

        Cancelled, it has lost nothing: it goes on where it was.
        """
        self._keep()
        return BodyPieces(self)

    def clear(self) -> None:
        """Drop what was kept."""
        self.close()
        self._kept = None

    def close(self) -> None:
        """Drop what was kept on disk. The app calls it at the request's end."""
        if self._kept is not None:
            self._kept.close()

    def _keep(self) -> KeptBody:
        if self._kept is None:
            self._kept = KeptBody()
        return self._kept

    async def _piece_at(self, position: int) -> tuple[bytes, int]:
        """Return the kept bytes at this position, else the next piece, and the position behind either."""
        async with self.lock:
            kept = self._kept
            if kept is None:
                return await self._next(), position
            if position >= kept.size or self._too_large:
                kept.append(await self._next())
            if not self._is_wanted_whole:
                await kept.spill()
            piece = await kept.read(position)
            return piece, position + len(piece)

    async def _next(self) -> bytes:
        limit = self._connection.max_body_size
        if self._too_large or (limit is not None and (self._content_length or 0) > limit):
            raise RequestEntityTooLarge()
        if self._ended:
            return b""
        try:
            piece = await self._connection.receive_body()
        except BodyTooLarge:
            self._too_large = True  # the carrier has lost a piece, so that there is no whole any more
            raise RequestEntityTooLarge() from None
        self._received += len(piece)
        if not piece:
            self._ended = True
        elif limit is not None and self._received > limit:
            self._too_large = True
            raise RequestEntityTooLarge()
        return piece


class BodyPieces:
    """An iterator over the pieces of a body: those that are kept, from the first on, then those that arrive."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._position = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece, self._position = await self._body._piece_at(self._position)
        if not piece:
            raise StopAsyncIteration
        return piece
