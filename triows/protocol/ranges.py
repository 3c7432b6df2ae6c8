"""Byte ranges: what a ``Range`` header asks for, and the body that answers it (RFC 9110, sections 14 and 15.3.7)."""

from __future__ import annotations

import re

MAX_RANGES = 16
"""Ranges of one request; nobody who plays or resumes a download asks for more."""

ByteRange = tuple[int, int]
"""The first byte, and the one behind the last."""

_RANGE = re.compile(r"(\d+)-(\d*)|-(\d+)", re.ASCII)
_DIGITS = 20  # of a number that is larger than any file, whatever follows them


def byte_ranges(header: str, size: int) -> list[ByteRange]:
    """Return the ranges that a ``Range`` header asks for and that are there, in its order; none: it is answered by 416.

    A header that is malformed, of another unit, or asks for too many ranges has none. Ranges that overlap are put
    together, so that no byte is sent twice.

    :param size: bytes of the whole representation.
    """
    unit, _, text = header.partition("=")
    wanted = [one.strip(" \t") for one in text.split(",")]
    wanted = [one for one in wanted if one]  # RFC 9110, section 5.6.1: empty elements of a list are skipped
    if unit.strip(" \t").lower() != "bytes" or len(wanted) > MAX_RANGES:
        return []
    found = []
    for one in wanted:
        if (match := _RANGE.fullmatch(one)) is None:
            return []
        first, last, suffix = match.groups()
        if suffix is not None:
            start, stop = max(size - _number(suffix), 0), size
        else:
            start, stop = _number(first), _number(last) + 1 if last else size
            if last and start >= stop:
                return []
        if start < min(stop, size):
            found.append((start, min(stop, size)))
    return _put_together(found)


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:_DIGITS] or "0")


def _put_together(ranges: list[ByteRange]) -> list[ByteRange]:
    together: list[ByteRange] = []
    for start, stop in sorted(ranges):
        if together and start < together[-1][1]:
            together[-1] = (together[-1][0], max(stop, together[-1][1]))
        else:
            together.append((start, stop))
    return ranges if len(together) == len(ranges) else together


def content_range(part: ByteRange, size: int) -> str:
    """The ``Content-Range`` of a part."""
    return f"bytes {part[0]}-{part[1] - 1}/{size}"


def multipart(ranges: list[ByteRange], size: int, content_type: str | None, boundary: str) -> list[bytes | ByteRange]:
    """Return a ``multipart/byteranges`` body: bytes as they are, and the ranges whose content stands there."""
    body: list[bytes | ByteRange] = []
    for part in ranges:
        head = f"\r\n--{boundary}\r\n"
        if content_type is not None:
            head += f"Content-Type: {content_type}\r\n"
        head += f"Content-Range: {content_range(part, size)}\r\n\r\n"
        body += [head.encode(), part]
    return [*body, f"\r\n--{boundary}--\r\n".encode()]
