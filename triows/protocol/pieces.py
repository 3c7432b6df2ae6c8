"""What has come of a body, kept until it is taken: it costs the memory of its bytes, however small its pieces were."""

from __future__ import annotations

from collections import deque

# Pieces from this size on are kept as they came, and not copied until they are joined. Smaller ones are put together,
_LARGE = 4096
_FULL = 65_536  # up to this size: an object of its own for each byte would take forty


class Pieces:
    """Bytes in the order in which they came.

    :ivar size: how many there are.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self.size = 0
        self._pieces: deque[bytes | bytearray] = deque()

    def append(self, data: bytes) -> None:
        """Keep what has come."""
        self.size += len(data)
        pieces = self._pieces
        if len(data) >= _LARGE:
            pieces.append(data)
        elif pieces and isinstance(last := pieces[-1], bytearray) and len(last) < _FULL:
            last += data
        elif data:
            pieces.append(bytearray(data))

    def popleft(self) -> bytes:
        """Take the first ones: a large piece, or the small ones up to the next."""
        data = bytes(self._pieces.popleft())
        self.size -= len(data)
        return data

    def joined(self) -> bytes:
        """All of them, which are kept as one piece."""
        pieces = self._pieces
        if not self.size:
            return b""
        if len(pieces) != 1 or isinstance(pieces[0], bytearray):
            data = b"".join(pieces)
            pieces.clear()
            pieces.append(data)
        return bytes(pieces[0])

    def clear(self) -> None:
        """Forget them."""
        self.size = 0
        self._pieces.clear()
