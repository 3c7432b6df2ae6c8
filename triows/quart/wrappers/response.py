"""Quart's ``quart.wrappers.response``. Its bodies may be given to a :class:`~triows.Response` too."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from werkzeug.exceptions import RequestedRangeNotSatisfiable

from ...tasks.functions import run_sync_iterable
from ...web.file_body import in_file_thread, open_regular
from ...web.response import Response as Response
from ..utils import file_path_to_path


class ResponseBody(ABC):
    """A body that is iterated over once: ``async with body as pieces:``, then ``async for piece in pieces:``."""

    def __init__(self) -> None:
        self._iterator: AsyncGenerator[Any, None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._iterator is None:
            self._iterator = self._pieces()
        return self._iterator

    @abstractmethod
    def _pieces(self) -> AsyncGenerator[Any, None]:
        """Yield the pieces."""

    async def aclose(self) -> None:
        """End the iteration, so that what is open is closed now."""
        if self._iterator is not None:
            await self._iterator.aclose()


class _SizedBody(ResponseBody):
    """A body whose size is known, so that it may be cut to one range.

    :ivar begin: the first byte that is sent.
    :ivar end: the byte behind the last one.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size: int = size
        self.begin: int = 0
        self.end: int = size

    async def make_conditional(self, begin: int, end: int | None) -> int:
        """Cut the body to a range, before it is iterated over, and return the size of the whole.

        :param begin: the first byte; below 0 it is counted from the end.
        :param end: the byte behind the last one; None: the body's end.
        :raises werkzeug.exceptions.RequestedRangeNotSatisfiable: if the body has nothing of the range.
        """
        self.begin = begin if begin >= 0 else self.size + begin
        self.end = self.size if end is None else min(end, self.size)
        if not 0 <= self.begin < self.end:
            raise RequestedRangeNotSatisfiable()
        return self.size


class DataBody(_SizedBody):
    """A body of bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self.data: bytes = data

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        yield self.data[self.begin : self.end]


class IterableBody(ResponseBody):
    """A body of pieces. An iterable that is not asynchronous is iterated over in worker threads."""

    def __init__(self, iterable: AsyncIterable[Any] | Iterable[Any]) -> None:
        super().__init__()
        self.iter: AsyncIterator[Any] = (
            aiter(iterable) if isinstance(iterable, AsyncIterable) else run_sync_iterable(iter(iterable))
        )

    async def _pieces(self) -> AsyncGenerator[Any, None]:
        async for piece in self.iter:
            yield piece

    async def aclose(self) -> None:
        """End the iteration, and that of the iterable."""
        await super().aclose()
        if isinstance(self.iter, AsyncGenerator):
            await self.iter.aclose()


class IOBody(_SizedBody):
    """A body from a file in memory.

    :param buffer_size: bytes that are read at a time.
    """

    buffer_size: int = 8192

    def __init__(self, io_stream: Any, *, buffer_size: int | None = None) -> None:
        super().__init__(io_stream.getbuffer().nbytes)
        self.io_stream: Any = io_stream
        self.buffer_size = buffer_size or self.buffer_size

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        self.io_stream.seek(self.begin)
        left = self.end - self.begin
        while left and (piece := self.io_stream.read(min(self.buffer_size, left))):
            left -= len(piece)
            yield piece


class FileBody(_SizedBody):
    """A body from a file, which is read in threads, and open while it is iterated over.

    :param buffer_size: bytes that are read at a time.
    """

    buffer_size: int = 8192

    def __init__(self, file_path: str | os.PathLike[str], *, buffer_size: int | None = None) -> None:
        self.file_path: Path = file_path_to_path(file_path)
        super().__init__(self.file_path.stat().st_size)
        self._file: BinaryIO | None = None
        self.buffer_size = buffer_size or self.buffer_size

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        self._file = file = await in_file_thread(open_regular, os.fspath(self.file_path))
        file.seek(self.begin)
        left = self.end - self.begin
        while left and (piece := await in_file_thread(file.read, min(self.buffer_size, left))):
            left -= len(piece)
            yield piece
        file.close()

    async def aclose(self) -> None:
        """End the iteration, and close the file."""
        await super().aclose()
        if self._file is not None:
            self._file.close()
