"""The part of a body that nobody has read yet: it takes the memory of its bytes, however small its pieces were."""

from __future__ import annotations

from collections import deque

# Pieces from this size on, in bytes, are kept as they arrived, and not copied.
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
