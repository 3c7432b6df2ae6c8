"""From bytes to messages, and the closing handshake, on the server's side (RFC 6455, sections 5, 7 and 8).

The rules that the parser keeps:

- It never raises at its caller. Whatever the client does wrong becomes ``failure``: the close code and reason to send.
- What was whole before the failure stays in the inbox; after a failure or a Close frame nothing is read any more.
- It fails as early as the bytes allow: a header is judged when it is there, a length before its payload comes, text
  byte by byte as UTF-8.
- Control frames never wait for anybody to read messages.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import deque

from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    INVALID_DATA,
    MASKED,
    MAX_CONTROL_PAYLOAD,
    NO_STATUS,
    PING,
    POLICY_VIOLATION,
    PONG,
    PROTOCOL_ERROR,
    RESERVED,
    TEXT,
    TOO_BIG,
    Close,
    may_be_sent,
    shortened,
)
from .masks import unmask

# A message may come in this many frames and one: the final frame of a stream of fragments is often empty.
MAX_FRAGMENTS = 65_536

_SHORT_MASKED = range(MASKED, MASKED + 126)  # second bytes of frames whose length needs no further bytes
_utf8_decoder = getincrementaldecoder("utf-8")


class Inbox(deque[str | bytes]):
    """Whole messages that nobody has received yet, oldest first, with the bytes of payload they came in."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    def clear(self) -> None:
        super().clear()
        self.size = 0


class Protocol:
    """The receiving half of a server's websocket: feed it with :meth:`receive_data`, then look at its attributes.

    :ivar inbox: where whole messages go.
    :ivar pings: the payloads of the Pings to be answered; clear it when they are.
    :ivar pong: the payload of the latest Pong, or None.
    :ivar close: what the client's Close frame said, or None.
    :ivar failure: what to send in the Close frame because the client broke the protocol, or None.
    """

    __slots__ = (
        "_buffer",
        "_fragments",
        "_frame",
        "_message",
        "_opcode",
        "_utf8",
        "close",
        "failure",
        "inbox",
        "max_message_size",
        "pings",
        "pong",
    )

    def __init__(self, inbox: Inbox, max_message_size: int | None = None) -> None:
        self.inbox = inbox
        self.max_message_size = max_message_size
        self.pings: list[bytes] = []
        self.pong: bytes | None = None
        self.close: Close | None = None
        self.failure: Close | None = None
        self._buffer = b""  # the start of a frame whose header is not whole, or a control frame that is not
        self._frame: _PartialFrame | None = None  # a data frame whose payload is still coming
        self._opcode = CONTINUATION  # of the message in progress; CONTINUATION: there is none
        self._message = bytearray()  # its payload so far
        self._fragments = 0
        self._utf8 = _utf8_decoder()  # checks the text in progress

    @property
    def finished(self) -> bool:
        """Whether nothing more will be read."""
        return self.close is not None or self.failure is not None

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes from the client, in any cut."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        position = 0
        size = len(data)
        while position < size and self.close is None and self.failure is None:
            if self._frame is not None:
                position = self._continue_frame(self._frame, data, position)
                continue
            if self._opcode == CONTINUATION:
                position = self._take_short_messages(data, position, size)
                if position == size or self.failure is not None:
                    break
            taken = self._take_frame(data, position, size)
            if taken == position:
                self._buffer = data[position:]
                break
            position = taken

    def _take_short_messages(self, data: bytes, position: int, size: int) -> int:
        """The straight path for what most traffic is: whole, final, masked text and binary frames below 126 bytes.

        It stops, before the frame, at anything else.
        """
        inbox = self.inbox
        limit = self.max_message_size
        while size - position >= 6:
            opcode = data[position] ^ FIN
            if (opcode != TEXT and opcode != BINARY) or data[position + 1] not in _SHORT_MASKED:
                break
            length = data[position + 1] ^ MASKED
            start = position + 6
            end = start + length
            if end > size or (limit is not None and length > limit):
                break
            # unmask() spelled out: at these sizes a call costs as much as the work.
            mask = data[start - 4 : start]
            key = (mask * ((length >> 2) + 1))[:length]
            payload = (int.from_bytes(data[start:end], "little") ^ int.from_bytes(key, "little")).to_bytes(
                length, "little"
            )
            if opcode == TEXT:
                try:
                    inbox.append(payload.decode())
                except UnicodeDecodeError:
                    self._fail(INVALID_DATA, "text is not UTF-8")
                    return position
            else:
                inbox.append(payload)
            inbox.size += length
            position = end
        return position

    def _take_frame(self, data: bytes, position: int, size: int) -> int:
        """Take one frame of any kind, or the start of a data frame.

        Returns the new position: the old one if bytes are missing.
        """
        first = data[position]
        opcode = first & 0x0F
        if not self._first_byte_is_right(first, opcode):
            return size
        if size - position < 2:
            return position
        second = data[position + 1]
        if not second & MASKED:
            return self._fail(PROTOCOL_ERROR, "frame is not masked")
        length = second & 127
        start = position + 2
        if opcode >= CLOSE and length > MAX_CONTROL_PAYLOAD:
            return self._fail(PROTOCOL_ERROR, "control frame is longer than 125 bytes")
        if length >= 126:
            extra = 2 if length == 126 else 8
            if size - start < extra:
                return position
            length = int.from_bytes(data[start : start + extra], "big")
            start += extra
            if length < 126 or (extra == 8 and length < 65536):
                return self._fail(PROTOCOL_ERROR, "length is not in its shortest form")
            if length >> 63:
                return self._fail(PROTOCOL_ERROR, "length has its top bit set")
        if opcode < CLOSE and not self._fits(length):
            return size
        if size - start < 4:
            return position
        mask = data[start : start + 4]
        start += 4
        if opcode >= CLOSE:
            end = start + length
            if end > size:
                return position
            self._control(opcode, unmask(data[start:end], mask))
            return end
        if opcode != CONTINUATION:
            self._opcode = opcode
        self._frame = _PartialFrame(bool(first & FIN), length, mask)
        return self._continue_frame(self._frame, data, start)

    def _first_byte_is_right(self, first: int, opcode: int) -> bool:
        in_message = self._opcode != CONTINUATION
        if first & RESERVED:
            self._fail(PROTOCOL_ERROR, "reserved bits are set")
        elif opcode >= CLOSE:
            if opcode > PONG:
                self._fail(PROTOCOL_ERROR, f"unknown opcode {opcode}")
            elif not first & FIN:
                self._fail(PROTOCOL_ERROR, "control frame is fragmented")
        elif opcode > BINARY:
            self._fail(PROTOCOL_ERROR, f"unknown opcode {opcode}")
        elif opcode == CONTINUATION and not in_message:
            self._fail(PROTOCOL_ERROR, "continuation frame with nothing to continue")
        elif opcode != CONTINUATION and in_message:
            self._fail(PROTOCOL_ERROR, "new message within a fragmented one")
        return self.failure is None

    def _fits(self, length: int) -> bool:
        limit = self.max_message_size
        if limit is not None and len(self._message) + length > limit:
            self._fail(TOO_BIG, f"message is over {limit} bytes")
        elif self._fragments > MAX_FRAGMENTS:
            self._fail(POLICY_VIOLATION, f"message is in over {MAX_FRAGMENTS} fragments")
        return self.failure is None

    def _continue_frame(self, frame: _PartialFrame, data: bytes, position: int) -> int:
        """Take what is there of a data frame's payload; the memory taken is what arrived, not what was announced."""
        piece = data[position : position + frame.remaining]
        if piece:
            mask = frame.mask
            plain = unmask(piece, mask)
            if self._opcode == TEXT and not self._is_utf8(plain, False):
                return len(data)
            self._message += plain
            frame.remaining -= len(piece)
            turn = len(piece) & 3
            frame.mask = mask[turn:] + mask[:turn]
        if not frame.remaining:
            self._frame = None
            self._fragments += 1
            if frame.final:
                self._finish_message()
        return position + len(piece)

    def _finish_message(self) -> None:
        if self._opcode == TEXT:
            if not self._is_utf8(b"", True):
                return
            self.inbox.append(self._message.decode())
        else:
            self.inbox.append(bytes(self._message))
        self.inbox.size += len(self._message)
        self._message = bytearray()
        self._opcode = CONTINUATION
        self._fragments = 0

    def _is_utf8(self, piece: bytes, final: bool) -> bool:
        try:
            self._utf8.decode(piece, final)
            # Of a surrogate (ED A0 to ED BF) the decoder would wait for the third byte.
            if b"\xed\xa0" <= self._utf8.getstate()[0] < b"\xee":
                self._fail(INVALID_DATA, "text is not UTF-8")
        except UnicodeDecodeError:
            self._fail(INVALID_DATA, "text is not UTF-8")
        return self.failure is None

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.pings.append(payload)
        elif opcode == PONG:
            self.pong = payload
        elif not payload:
            self.close = Close(NO_STATUS, "")
        elif len(payload) == 1:
            self._fail(PROTOCOL_ERROR, "Close frame with half a code")
        else:
            code = int.from_bytes(payload[:2], "big")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                self._fail(INVALID_DATA, "close reason is not UTF-8")
            else:
                if may_be_sent(code):
                    self.close = Close(code, reason)
                else:
                    self._fail(PROTOCOL_ERROR, f"close code {code} may not be sent")

    def _fail(self, code: int, reason: str) -> int:
        """Remember the failure, drop what is half-read; returns a position beyond any data."""
        self.failure = Close(code, shortened(reason))
        self._buffer = b""
        self._frame = None
        self._message = bytearray()
        return 1 << 63


class _PartialFrame:
    """A data frame whose payload is still coming."""

    __slots__ = ("final", "mask", "remaining")

    def __init__(self, final: bool, length: int, mask: bytes) -> None:
        self.final = final
        self.remaining = length
        self.mask = mask  # turned so that it fits the next byte
