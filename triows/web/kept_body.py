"""The bytes of a request's body that are kept: in memory while they are few, and mostly on disk after a large form."""

from __future__ import annotations

from io import SEEK_END, BytesIO
from tempfile import TemporaryFile
from typing import IO

import trio

_MAX_IN_MEMORY = 500 * 1024  # bytes that a form leaves in memory, as of one of its files
_STEP = 64 * 1024  # bytes that are read at once


class KeptBody:
    """What has arrived of a body, for all who read it. One task at a time may call the methods.

    :ivar size: bytes that were appended.
    """

    def __init__(self) -> None:
        self.size: int = 0
        self._disk: IO[bytes] | None = None  # has the first bytes, the memory the others
        self._on_disk = 0  # bytes
        self._memory = BytesIO()

    def append(self, data: bytes) -> None:
        """Add bytes at the end, in memory."""
        self._memory.seek(0, SEEK_END)
        self._memory.write(data)
        self.size += len(data)

    async def spill(self) -> None:
        """Move what is in memory to the disk if it is much. Cancelled, it has moved nothing."""
        if self.size - self._on_disk > _MAX_IN_MEMORY:
            await trio.to_thread.run_sync(self._write_to_disk)
            # Not in the thread: a task that looks meanwhile sees all of it either here or there.
            self._memory = BytesIO()
            self._on_disk = self.size

    def _write_to_disk(self) -> None:
        if self._disk is None:
            self._disk = TemporaryFile("w+b")  # noqa: SIM115  (close() closes it)
        # A write that has failed half-way, on a full disk for one, is made again from the same position.
        self._disk.seek(self._on_disk)
        self._disk.write(self._memory.getbuffer())
        self._disk.flush()

    async def read(self, position: int) -> bytes:
        """Return some bytes from this position on; ``b""`` if there are none."""
        if position < self._on_disk:
            return await trio.to_thread.run_sync(self._read_from_disk, position, _STEP)
        self._memory.seek(position - self._on_disk)
        return self._memory.read(_STEP)

    def _read_from_disk(self, position: int, size: int) -> bytes:
        if self._disk is None:
            raise RuntimeError(
                "the body was on disk, and is gone with its request; read it with get_data() before the request ends"
            )
        self._disk.seek(position)
        return self._disk.read(min(size, self._on_disk - position))

    @property
    def is_in_memory(self) -> bool:
        """Whether :meth:`whole` has nothing to wait for."""
        return not self._on_disk

    async def whole(self) -> bytes:
        """Return all bytes, which are in memory from then on. Cancelled, it changes nothing."""
        if self._on_disk:
            first = await trio.to_thread.run_sync(self._read_from_disk, 0, self._on_disk)
            self._memory = BytesIO(b"".join((first, self._memory.getbuffer())))
            self._on_disk = 0
            self.close()
        return self._memory.getvalue()

    def close(self) -> None:
        """Close the file, which removes it: what is on disk alone is gone."""
        if self._disk is not None:
            self._disk.close()
            self._disk = None
