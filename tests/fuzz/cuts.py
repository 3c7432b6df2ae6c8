"""Cuts of an input into the segments that it may arrive in, the same ones each time."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from zlib import crc32

_BYTE_BY_BYTE_UP_TO = 64


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in segments that end at these places."""
    ends = sorted({place for place in places if 0 < place < len(data)} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def other_cuts(data: bytes) -> list[list[bytes]]:
    """A few places that follow from the data; and, if it is short, every byte by itself."""
    if len(data) < 2:
        return []
    random = Random(crc32(data))
    cuts = [cut(data, random.choices(range(1, len(data)), k=4))]
    if len(data) <= _BYTE_BY_BYTE_UP_TO:
        cuts.append(cut(data, range(1, len(data))))
    return cuts
