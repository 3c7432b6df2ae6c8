"""permessage-deflate (RFC 7692): compressing and inflating the messages of a connection.

The rules, by section of the RFC:

- A message is a sequence of DEFLATE blocks that ends with an empty stored one, of which the last four bytes are left
  out (7.2.1). The receiver puts them back (7.2.2). An empty message is one zero byte (7.2.3.6).
- With context takeover the window outlives the message, without it each message begins anew (7.1.1).
- A block with BFINAL set ends a DEFLATE stream, not the message: what follows, be it in the same message or in the
  next one, is the next stream (7.2.1, 7.2.3.4).
"""

from __future__ import annotations

import zlib

from .compression import Agreement, Compression

# What every flush ends with, and no message does.
_TAIL = b"\x00\x00\xff\xff"
# Empty stored blocks: nothing to a stream that is between two blocks. One that is elsewhere takes them for something
# else, and shows it by output or an error; many of them, since the header of a dynamic block swallows some. (zlib
# could say where it is, but not through Python.)
_PROBE = b"\x00\x00\x00\xff\xff" * 32

# Input is handed to zlib in steps of this size, because zlib copies what it leaves of it.
_STEP = 16 * 1024

# DEFLATE streams in one message. Each takes a new decompressor, as much work as a small message of its own, and no
# message may hold up the others for long. Senders that cannot flush otherwise end one per message, or per fragment.
MAX_STREAMS = 1024
# Bytes of output that take about as long as a new decompressor, and as the beginning and end of a message.
_STREAM_WORK = 512
_MESSAGE_WORK = 1024


class InflateError(ValueError):
    """The payload of a compressed message is not DEFLATE data, or is cut off."""


class Deflater:
    """Compresses the messages of a connection: each either whole or in pieces, one after the other.

    What it gives must reach the client, in order: with context takeover the client needs it to read what follows.
    """

    __slots__ = ("_agreement", "_compressor", "_settings", "_tail")

    def __init__(self, agreement: Agreement, settings: Compression) -> None:
        self._agreement = agreement
        self._settings = settings
        self._compressor: zlib._Compress | None = None
        self._tail = b""  # what the last piece of an unfinished message ended with

    def deflate(self, payload: bytes) -> bytes:
        """Compress a whole message."""
        compressed = self._flushed(payload)[:-4] if payload else b"\x00"
        if not self._agreement.server_context_takeover:
            self._compressor = None
        return compressed

    def piece(self, data: bytes) -> bytes:
        """Compress the next piece of a message, so that the client can read all of it at once.

        Four bytes are held back until the next piece, or for good.
        """
        if not data:
            return b""
        compressed = self._tail + self._flushed(data)
        self._tail = _TAIL
        return compressed[:-4]

    def end(self) -> bytes:
        """End a message that was given in pieces; returns what is missing of its payload."""
        rest = b"" if self._tail else b"\x00"
        self._tail = b""
        if not self._agreement.server_context_takeover:
            self._compressor = None
        return rest

    def _flushed(self, data: bytes) -> bytes:
        compressor = self._compressor
        if compressor is None:
            settings = self._settings
            bits = self._agreement.server_window_bits
            compressor = zlib.compressobj(settings.level, zlib.DEFLATED, -bits, settings.mem_level)
            self._compressor = compressor
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


class Inflater:
    """Inflates the messages of a connection, in pieces of a size that the caller chooses.

    After an :exc:`InflateError` it is of no more use.

    :ivar pending: whether there may be more output without more input. If so, ``inflate(b"", max_size)`` goes on.
    :ivar work: what it has done so far, in bytes of output; each DEFLATE stream and message counts as some more.
    """

    __slots__ = (
        "_agreement",
        "_decompressor",
        "_ending",
        "_held",
        "_position",
        "_rest",
        "_started",
        "_streams",
        "pending",
        "work",
    )

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._decompressor: zlib._Decompress | None = None
        self._rest = b""  # input, of which zlib has taken what is before the position
        self._position = 0
        self._held = False  # whether zlib stopped for want of room, and so may hold back output
        self._started = False  # whether the message has had any input
        self._ending = False  # whether it has had all
        self._streams = 0  # DEFLATE streams that have ended in it
        self.pending: bool = False
        self.work: int = 0

    def inflate(self, data: bytes, max_size: int) -> bytes:
        """Inflate the next bytes of a message's payload, to at most ``max_size`` bytes (1 or more).

        Input that does not fit stays for the next call, as does what is behind many DEFLATE streams; then ``pending``
        is true. While it runs it takes about twice the memory of what it returns.

        :raises InflateError: if this is not DEFLATE data.
        """
        if max_size < 1:
            raise ValueError(f"max_size is {max_size!r}; it must be at least 1 byte")
        if data:
            self._started = True
            self._rest = self._rest[self._position :] + data if self._rest else data
            self._position = 0
        pieces = []
        room = max_size
        while room > 0 and (self._held or self._position < len(self._rest)):
            streams = self._streams
            piece = self._step(room)
            room -= len(piece) + (self._streams - streams) * _STREAM_WORK
            pieces.append(piece)
        self.work += max_size - room
        if self._position == len(self._rest):
            self._rest = b""
            self._position = 0
        self.pending = self._held or bool(self._rest)
        if self._ending and not self.pending:
            self._finish()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self, max_size: int) -> bytes:
        """Say that the message's payload is complete; like :meth:`inflate`, and once nothing is pending it is done.

        :raises InflateError: if this is not DEFLATE data, or is cut off.
        """
        if self.pending:
            self._ending = True
            return self.inflate(b"", max_size)
        self._finish()
        return b""

    def forget(self) -> None:
        """Let go of the window and of what is pending. What comes from now on cannot be inflated any more."""
        self._decompressor = None
        self._rest = b""
        self._position = 0
        self._held = self.pending = False

    def _step(self, room: int) -> bytes:
        data = self._rest[self._position : self._position + _STEP]
        decompressor = self._decompressor
        if decompressor is None:
            # zlib writes no window of 8 bits, and reads it as one of 9.
            decompressor = zlib.decompressobj(-max(self._agreement.client_window_bits, 9))
            self._decompressor = decompressor
        output = _decompress(decompressor, data, room)
        # At the end of a stream, what is left is in both, or in the first alone.
        left = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
        self._position += len(data) - len(left)
        self._held = len(output) == room
        if decompressor.eof:
            self._decompressor = None
            self._held = False
            self._streams += 1
            if self._streams > MAX_STREAMS:
                raise InflateError(f"message has over {MAX_STREAMS} final DEFLATE blocks")
        return output

    def _finish(self) -> None:
        """Put back what the sender left out, check that a block ended there, and be ready for the next message."""
        decompressor = self._decompressor
        # Without a decompressor the message ended a stream, and needs no more: some senders leave out the empty block.
        if decompressor is not None and self._started:
            if _decompress(decompressor, _TAIL + _PROBE, 1) or decompressor.eof:
                raise InflateError("message is cut off within a DEFLATE block")
        if not self._agreement.client_context_takeover:
            self._decompressor = None
        self._started = self._ending = False
        self._streams = 0
        self.work += _MESSAGE_WORK


def _decompress(decompressor: zlib._Decompress, data: bytes, room: int) -> bytes:
    try:
        return decompressor.decompress(data, room)
    except zlib.error as error:
        # "Error -3 while decompressing data: invalid block type"
        raise InflateError(f"message is not DEFLATE: {str(error).rpartition(': ')[2]}") from None
