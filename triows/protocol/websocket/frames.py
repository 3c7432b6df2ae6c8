"""Frames: opcodes, first bytes, and the encoding of the frames that a server sends (RFC 6455, section 5.2)."""

from __future__ import annotations

from .close_codes import MAX_CONTROL_PAYLOAD, NO_STATUS

CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA

FIN = 0x80
RESERVED = 0x70
COMPRESSED = 0x40  # RSV1, in the first frame of a message (RFC 7692, section 6)
MASKED = 0x80


#: The first bytes of messages in one frame, and of Pings and Pongs; and those of compressed messages too.
WHOLE = frozenset((FIN | TEXT, FIN | BINARY, FIN | PING, FIN | PONG))
WHOLE_OR_COMPRESSED = WHOLE | {FIN | COMPRESSED | TEXT, FIN | COMPRESSED | BINARY}


def skip_short(data: bytes, position: int, most: int, first_bytes: frozenset[int]) -> tuple[int, int]:
    """Skip up to ``most`` masked frames that have arrived whole, with a payload of at most 125 bytes.

    Returns the new position and the number of frames. It stops before the first frame that is anything else, or that
    does not begin with one of ``first_bytes``.
    """
    size = len(data)
    count = 0
    while count < most and size - position >= 6 and data[position] in first_bytes:
        length = data[position + 1] ^ MASKED  # 128 or more for an unmasked frame
        end = position + 6 + length
        if end > size or length > MAX_CONTROL_PAYLOAD:
            break
        position = end
        count += 1
    return position, count


#: The headers of all short text and binary messages, by payload size: most messages are short.
SHORT_TEXT = [bytes((FIN | TEXT, size)) for size in range(126)]
SHORT_BINARY = [bytes((FIN | BINARY, size)) for size in range(126)]


def header(first: int, size: int) -> bytes:
    """The header of an unmasked frame, as a server sends it, the length in its shortest form.

    ``first`` is its first byte: the opcode, with FIN and RSV1 as they apply.
    """
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126, size >> 8, size & 255))
    return bytes((first, 127)) + size.to_bytes(8, "big")


def encode(opcode: int, payload: bytes) -> bytes:
    """One whole frame, final and uncompressed."""
    return header(FIN | opcode, len(payload)) + payload


def encode_close(code: int, reason: str = "") -> bytes:
    """A Close frame; 1005 stands for one without a code."""
    if code == NO_STATUS:
        return encode(CLOSE, b"")
    return encode(CLOSE, code.to_bytes(2, "big") + reason.encode())
