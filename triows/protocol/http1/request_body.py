"""Request bodies, taken out of what the client sends: of a known length, or chunked (RFC 9112, sections 6 and 7.1).

The rules of the chunked coding:

- A chunk's size is 1 to 16 hexadecimal digits and nothing else; behind it are extensions that follow the grammar, or
  CRLF. Every line ends with CRLF, a bare CR or LF is nowhere, and CRLF follows a chunk's data (7.1, 7.1.1).
- Extensions are dropped. Chunk lines may be 16 KiB longer in all than the data gives a reason for.
- Trailer fields are validated as header fields are, and dropped: none becomes a header (RFC 9110, section 6.5).

What a proxy in front may read another way is refused, so that both see the same end of the body.
"""

from __future__ import annotations

import re
from contextlib import suppress
from copy import copy
from typing import Protocol

from ..grammar import BYTES_TOKEN, FIELD
from .errors import BadRequest
from .limits import HeadLimits

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
_EXTENSION = rb"[ \t]*+;[ \t]*+TOKEN(?:[ \t]*+=[ \t]*+(?:TOKEN|QUOTED))?+"
_EXTENSION = _EXTENSION.replace(b"TOKEN", BYTES_TOKEN).replace(b"QUOTED", _QUOTED)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + _EXTENSION + rb")*+\r\n")
# The beginning of such a line: most faults are found without waiting for its end.
_CHUNK_START = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[ \t;]|\r?\Z|\r\n)")

_MAX_OVERHEAD = 16 * 1024  # bytes of chunk lines beyond the free ones (CVE-2023-39326)
_FREE_OVERHEAD_PER_CHUNK = 16  # bytes
_FREE_OVERHEAD_PER_BYTE = 2  # bytes, for each of the chunk's data
_LINES_AT_ONCE = 2048  # lines that one call reads: 1,024 tiny chunks, 2 ms, in which the other clients wait


class BodyReader(Protocol):
    """Takes one request's body out of what a client sends.

    :ivar ended: whether nothing is missing any more.
    :ivar announced: bytes that the body has at least, going by what has been read of it.
    """

    ended: bool
    announced: int

    def take(self, data: bytearray, limit: float) -> bytes:
        """Take what there is of the body out of ``data``; ``b""`` if more has to come first, or the body has ended.

        Nothing is read behind the size of the chunk with which more than ``limit`` bytes are announced. Of many tiny
        chunks some may be left for the next call.

        :raises BadRequest: as early as the bytes allow it. The body cannot be read any further then.
        """
        ...

    def ends_within(self, data: bytearray, more: int, limit: float) -> bool:
        """Whether ``data``, with ``more`` bytes behind it at most, is known to end the body. Takes nothing."""
        ...


def body_reader(framing: tuple[bytes, bytes], limits: HeadLimits) -> BodyReader:
    """What reads a body that is framed like this: by a Content-Length, or chunked."""
    name, value = framing
    return ChunkedBody(limits) if name == b"transfer-encoding" else SizedBody(int(value))


class SizedBody:
    """A body whose length is known."""

    __slots__ = ("_left", "announced", "ended")

    def __init__(self, size: int) -> None:
        self.ended: bool = False
        self.announced: int = size
        self._left = size

    def take(self, data: bytearray, limit: float) -> bytes:
        # Through a view, since a bytearray's slice is a copy already.
        piece = bytes(data) if len(data) <= self._left else bytes(memoryview(data)[: self._left])
        del data[: len(piece)]
        self._left -= len(piece)
        self.ended = not self._left
        return piece

    def ends_within(self, data: bytearray, more: int, limit: float) -> bool:
        return self._left <= len(data) + more


class ChunkedBody:
    """A body that comes in chunks."""

    __slots__ = (
        "_behind_data",
        "_in_trailers",
        "_left",
        "_limits",
        "_overhead",
        "_trailer_lines",
        "_trailer_size",
        "announced",
        "ended",
    )

    def __init__(self, limits: HeadLimits) -> None:
        self.ended: bool = False
        self.announced: int = 0
        self._limits = limits
        self._left = 0  # bytes of the chunk's data still to come
        self._behind_data = False  # where the CRLF is due
        self._in_trailers = False
        self._overhead = 0
        self._trailer_lines = 0
        self._trailer_size = 0

    def take(self, data: bytearray, limit: float) -> bytes:
        taken = bytearray()
        position = lines = 0
        view = memoryview(data)  # of which a slice is no copy
        try:
            while position < len(data) and not self.ended and self.announced <= limit and lines < _LINES_AT_ONCE:
                if self._left:
                    piece = view[position : position + self._left]
                    taken += piece
                    position += len(piece)
                    self._left -= len(piece)
                    self._behind_data = not self._left
                    piece.release()
                    continue
                size = self._read_line(data, position)
                if not size:
                    break
                position += size
                lines += 1
        finally:
            view.release()
            del data[:position]  # once, since each time has its price
        return bytes(taken)

    def ends_within(self, data: bytearray, more: int, limit: float) -> bool:
        """As above. Chunks that have not arrived may be of any length, and the end of very many is not looked for."""
        ahead = copy(self)  # which is moved on in place of this one
        with suppress(BadRequest):
            ahead.take(bytearray(data), limit)
        return ahead.ended

    def _read_line(self, data: bytearray, start: int) -> int:
        """Read the line at ``start``, of a chunk or of a trailer, or the CRLF behind a chunk's data.

        Returns the length with the CRLF; 0 while the line is not whole.
        """
        if self._behind_data:
            if not b"\r\n".startswith(data[start : start + 2]):
                raise BadRequest(400, "a chunk's data is not followed by CRLF")
            self._behind_data = len(data) < start + 2
            return 0 if self._behind_data else 2
        end = data.find(b"\n", start) + 1
        size = (end or len(data)) - start
        if self._in_trailers:
            return self._read_trailer(data, start, size, whole=end > 0)
        if self._overhead + size > _MAX_OVERHEAD:
            raise BadRequest(400, "the chunk extensions are too long")
        if not _CHUNK_START.match(data, start):
            raise BadRequest(400, "a chunk's size is malformed")
        if not end:
            return 0
        match = _CHUNK_LINE.fullmatch(data, start, end)
        if match is None:
            raise BadRequest(400, "a chunk's size or extension is malformed")
        self._left = int(match[1], 16)
        self._in_trailers = not self._left
        self._overhead = max(self._overhead + size - _FREE_OVERHEAD_PER_CHUNK - _FREE_OVERHEAD_PER_BYTE * self._left, 0)
        self.announced += self._left
        return size

    def _read_trailer(self, data: bytearray, start: int, size: int, *, whole: bool) -> int:
        if self._trailer_size + size > self._limits.max_head_size:
            raise BadRequest(431, f"the trailers are over {self._limits.max_head_size} bytes")
        if not whole:
            return 0
        line = bytes(data[start : start + size])
        if line == b"\r\n":
            self.ended = True
            return size
        if not FIELD.fullmatch(b"\n" + line, 1):
            raise BadRequest(400, "a trailer line is malformed")
        self._trailer_size += size
        self._trailer_lines += 1
        if self._trailer_lines > self._limits.max_headers:
            raise BadRequest(431, f"there are over {self._limits.max_headers} trailer lines")
        return size
