"""The body of a response that comes from a file: read in pieces, in threads of its own kind.

A descriptor of a path is open only while the body is iterated over. Between two pieces no thread is held, so that a
client that reads slowly costs its piece and no more.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Protocol, Self, TypeVar

import trio

from ..protocol.ranges import ByteRange

T = TypeVar("T")

PIECE = 262144  # bytes that are read at a time: half of it costs twice the processor time of switching threads
_THREADS = 16  # that read files at a time: a file system that hangs leaves the threads of synchronous views free
_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("the threads that read files")


async def in_file_thread(function: Callable[..., T], *args: Any) -> T:
    """Call ``function(*args)`` in one of the threads for files. Cancelled, it waits for the function's end."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(_THREADS)
        _limiter.set(limiter)
    return await trio.to_thread.run_sync(function, *args, limiter=limiter)


class NoRegularFile(OSError):
    """What has the path is a folder, a pipe, a device, or another thing without content of its own."""


def open_regular(path: str) -> BinaryIO:
    """Open a file for reading, without a buffer.

    :raises NoRegularFile: if it is none. It is not opened then: a pipe would wait for somebody who writes into it.
    """
    _check_regular(path, os.stat(path))
    file = open(path, "rb", buffering=0, opener=_open_without_waiting)  # noqa: SIM115 - the caller closes it
    try:
        _check_regular(path, os.fstat(file.fileno()))  # it may be another one by now
    except BaseException:
        file.close()
        raise
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check_regular(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NoRegularFile(f"{path!r} is no regular file, so that it cannot be sent")


class FileObject(Protocol):
    """An open file, or what can be read like one."""

    def read(self, size: int, /) -> bytes: ...


class FileBody:
    """The body of a response from a file.

    :param open_file: opens the file.
    :param size: bytes of the whole file; None: it is read to its end, as far as that may be.
    """

    def __init__(self, open_file: Callable[[], Any], size: int | None, *, name: str = "the file") -> None:
        self.size: int | None = size
        self._name = name
        self._open = open_file
        self._file: Any = None
        self._parts: list[bytes | ByteRange] = [(0, size)] if size else []
        self._position: int | None = None  # in the file; None: before the part that comes

    @classmethod
    def of_object(cls, file: FileObject, size: int | None) -> FileBody:
        """Return the body of a file that is open already. It is closed with the response, sent or not."""
        body = cls(lambda: file, size)
        body._file = file
        return body

    def select(self, parts: Sequence[bytes | ByteRange]) -> int:
        """Make the body of these parts, bytes as they are and ranges of the file; return its length."""
        self._parts = [*parts]
        return sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in parts)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._parts and isinstance(self._parts[0], bytes):
            return self._parts.pop(0)  # type: ignore[return-value]
        if not self._parts and self.size is not None:
            raise StopAsyncIteration
        piece = await in_file_thread(self._read)
        if not piece:
            raise StopAsyncIteration
        return piece

    def _read(self) -> bytes:
        """Read the next piece; behind the last one the file is closed in this thread too."""
        if self._file is None:
            self._file = self._open()
        if self.size is None:
            return self._check(self._file.read(PIECE))
        start, stop = self._parts[0]
        if self._position is None:
            self._file.seek(start)
            self._position = start
        piece = self._check(self._file.read(min(PIECE, stop - self._position)))
        if not piece:
            raise OSError(f"{self._name} became shorter while it was sent: {stop - self._position} bytes are missing")
        self._position += len(piece)
        if self._position == stop:
            self._position = None
            del self._parts[0]
            if all(isinstance(part, bytes) for part in self._parts):
                self._close()
        return piece

    def _check(self, piece: object) -> bytes:
        if not isinstance(piece, bytes):
            raise TypeError(f"{self._name} is read as {type(piece).__name__}; open it in binary mode")
        return piece

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def aclose(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            # Shielded: whoever was cancelled must not leave a descriptor behind.
            with trio.CancelScope(shield=True):
                await in_file_thread(self._close)
