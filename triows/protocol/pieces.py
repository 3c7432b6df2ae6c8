"""The part of a body that nobody has read yet: it takes the memory of its bytes, however small its pieces were."""

from __future__ import annotations

from collections import deque

# Pieces from this size on, in bytes, are kept as they arrived, and not copied until they are joined.
LARGE_PIECE = 4096
# Smaller ones are put together up to this size: an object for each would take some forty bytes more.
_FULL = 65_536


class Pieces:
    """Bytes in the order in which they arrived.

    :ivar size: how many there are.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self.size: int = 0
        self._pieces: deque[bytes | bytearray] = deque()

    def append(self, data: bytes) -> None:
        """Add a piece at the end."""
        self.size += len(data)
        pieces = self._pieces
        if len(data) >= LARGE_PIECE:
            pieces.append(data)
        elif pieces and isinstance(last := pieces[-1], bytearray) and len(last) < _FULL:
            last += data
        elif data:
            pieces.append(bytearray(data))

    def popleft(self) -> bytes:
        """Take the first bytes: one large piece, or the small ones in front of the next large one."""
        data = bytes(self._pieces.popleft())
        self.size -= len(data)
        return data

    def joined(self) -> bytes:
        """All bytes; they are kept, as one piece."""
        pieces = self._pieces
        if not self.size:
            return b""
        if len(pieces) != 1 or isinstance(pieces[0], bytearray):
            data = b"".join(pieces)
            pieces.clear()
            pieces.append(data)
        return bytes(pieces[0])

    def clear(self) -> None:
        """Drop all bytes."""
        self.size = 0
        self._pieces.clear()
