"""Unmasking (RFC 6455, section 5.3): in C where the ``speedups`` extra is installed, in Python otherwise."""

from __future__ import annotations

from collections.abc import Callable

# Up to this many bytes one big-integer XOR is quicker than four translations (CPython 3.11: 1-2 µs up to 128 bytes).
_SMALL = 3072

_TABLES: list[bytes] = [bytes(byte ^ key for byte in range(256)) for key in range(256)]


def unmask_in_python(data: bytes, mask: bytes) -> bytes:
    """``data`` XORed with ``mask`` (4 bytes) repeated."""
    size = len(data)
    if size <= _SMALL:
        key = (mask * ((size >> 2) + 1))[:size]
        return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")
    # Every fourth byte meets the same byte of the mask: one table look-up in C for each of the four strides.
    result = bytearray(size)
    for offset in range(4):
        result[offset::4] = data[offset::4].translate(_TABLES[mask[offset]])
    return bytes(result)


def _choose() -> Callable[[bytes, bytes], bytes]:
    try:
        from websockets.speedups import apply_mask
    except ImportError:
        return unmask_in_python
    return apply_mask


unmask: Callable[[bytes, bytes], bytes] = _choose()
