"""From bytes to messages, and the closing handshake, on the server's side (RFC 6455, sections 5, 7 and 8).

The rules that the parser keeps:

- It never raises at its caller. Whatever the client does wrong becomes ``failure``: the close code and reason to send.
- Messages that were whole before the failure stay in the inbox. After a failure or a Close frame nothing is read.
- It fails as early as the bytes allow: a header is checked when it has arrived, a length before its payload comes, text
  byte by byte as UTF-8, a compressed message while it is inflated.
- Control frames never wait for the handler to receive messages.
- Little data can be much work. The work of one call is bounded. When some is left, the parser ``holds_bytes``, and the
  caller lets other connections have their turn first.
- After the local Close frame only the client's Close frame is wanted: of all other frames the parser reads the header
  and skips the payload.
- Most traffic is short messages in one frame that arrive whole. They take the fast path, which stops before any other
  frame. The general path reads those, and finds every fault. The fast path finds one itself: text that is not UTF-8.
"""

from __future__ import annotations

from .close_codes import INVALID_DATA, MAX_CONTROL_PAYLOAD, PROTOCOL_ERROR, Close, Fault, read_close, shortened, too_big
from .deflate import Inflater
from .frames import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTINUATION,
    FIN,
    MASKED,
    PING,
    PONG,
    RESERVED,
    TEXT,
    WHOLE,
    WHOLE_OR_COMPRESSED,
    skip_short,
)
from .inbox import MESSAGE_COST, Inbox
from .masking import unmask
from .partial_message import MAX_FRAGMENTS, NOT_UTF8, STEP, PartialFrame, PartialMessage, most_compressed

_FINAL_TEXT = FIN | TEXT
_FINAL_BINARY = FIN | BINARY
_SHORT = 125  # the longest payload whose length needs no further bytes
_NO_LIMIT = 1 << 62

#: The work of one call, in bytes that are inflated: about a millisecond, after which other connections have their turn.
TURN = 2 * STEP
# The same measure for other work, by the time that it takes: rough figures, not measured.
_FRAME_WORK = 256  # a frame that is not on the fast path
_SKIP_WORK = 32  # a frame that is only skipped
_SLICE = 16_384  # bytes that waited and that one call looks at: as empty messages they are 2,700

# After the local close: stands for a fragmented message that is being skipped, so that its continuation frames are not
# taken for a fault.
_UNWANTED = PartialMessage(False, 0, None)


class MessageReader:
    """The receiving half of a server's websocket: feed it with :meth:`receive_data`, then look at its attributes.

    ``inflater`` is given if permessage-deflate was agreed on. A few bytes may then inflate to many, so the reader
    ``holds_bytes`` back while ``receive_buffer`` bytes are unread. It does so too when one call has done the work of a
    ``turn``.

    :ivar inbox: where whole messages go.
    :ivar message: the message whose frames are still coming, or None.
    :ivar streamed: the message that is handed out in pieces, or None; see :meth:`stream_next`.
    :ivar pings: the payloads of unanswered Pings. Whoever answers the Pings clears the list.
    :ivar pongs: the payloads of the Pongs that arrived. Whoever reads the list clears it.
    :ivar close: what the client's Close frame said, or None.
    :ivar failure: what to send in the Close frame because the client broke the protocol, or None.
    :ivar holds_bytes: whether bytes have arrived that were not looked at. If the reader :attr:`is_full` they wait until
        unread messages are taken, else until other connections have had their turn. ``receive_data(b"")`` then goes on.
    """

    __slots__ = (
        "_dropping",
        "_fast",
        "_frame",
        "_held",
        "_inflater",
        "_later",
        "_limit",
        "_max_fragments",
        "_reading_on",
        "_receive_buffer",
        "_stream_next",
        "_taken",
        "_to_skip",
        "_turn",
        "close",
        "failure",
        "holds_bytes",
        "inbox",
        "message",
        "pings",
        "pongs",
        "streamed",
    )

    def __init__(
        self,
        inbox: Inbox,
        max_message_size: int | None = None,
        inflater: Inflater | None = None,
        receive_buffer: int = STEP,
        max_fragments: int = MAX_FRAGMENTS,
        turn: int = _NO_LIMIT,
    ) -> None:
        self.inbox: Inbox = inbox
        self.message: PartialMessage | None = None
        self.streamed: PartialMessage | None = None
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.close: Close | None = None
        self.failure: Close | None = None
        self.holds_bytes: bool = False
        self._inflater = inflater
        self._receive_buffer = receive_buffer
        self._turn = turn
        self._reading_on = False  # in read_on(): the next message may exceed receive_buffer
        self._dropping = False  # no message is wanted any more
        self._to_skip = 0  # bytes of a frame that is being dropped, and that have yet to come
        self._limit = _NO_LIMIT if max_message_size is None else max_message_size
        self._max_fragments = max_fragments
        self._fast = True  # between two messages: the fast path may be tried
        self._held = b""  # the start of a header or control frame; if holds_bytes, what was not looked at
        self._taken = 0  # bytes at the start of _held that have been read
        self._later = bytearray()  # if holds_bytes, the bytes that arrived after those of _held
        self._frame: PartialFrame | None = None  # a data frame whose payload is still coming
        self._stream_next = False

    @property
    def finished(self) -> bool:
        """Whether nothing more will be read."""
        return self.close is not None or self.failure is not None

    def receive_data(self, data: bytes) -> bool:
        """Feed the next bytes, split at any point.

        Returns False if nothing but whole messages arrived, so that the inbox is all there is to look at.
        """
        position = 0
        if self.holds_bytes:
            self._receive_held(data)
            return True
        if self._held:
            data = self._held + data
            self._held = b""
        # Counting the messages of one call together costs each of them less. Until this call ends, the inbox's size has
        # their payload without MESSAGE_COST for each, and the inbox's other counters do not have them at all.
        inbox = self.inbox
        unread, size = len(inbox), inbox.size
        try:
            if self._fast:
                position = self._take_whole_messages(data, position)
            if position == len(data) and self._fast:
                return False
            if self.failure is None:
                self._take_frames(data, position)
        except Fault as fault:
            self.failure = Close(fault.code, shortened(str(fault)))
            self._frame = self.message = self._inflater = None
            self._fast = self.holds_bytes = False
        finally:
            arrived = len(inbox) - unread
            inbox.messages += arrived
            inbox.bytes += inbox.size - size
            inbox.size += arrived * MESSAGE_COST
        return True

    def receive_later(self, data: bytes) -> None:
        """Hold bytes for later."""
        self._later += data
        self.holds_bytes = True

    def _receive_held(self, data: bytes) -> None:
        """Go on with the bytes that are held, one slice of them in one call."""
        self._later += data
        if self.is_full:
            return
        data, start = self._held, self._taken
        if self._later:
            data, start = b"".join((memoryview(data)[start:], self._later)), 0
            self._later.clear()
        end = min(start + _SLICE, len(data))
        self._held = b""
        self.holds_bytes = False
        self.receive_data(data[start:end])
        if end < len(data) and not self.finished:
            self.holds_bytes = True
            self._wait(data, end - len(self._held) + self._taken)

    def _wait(self, data: bytes, position: int) -> None:
        """Hold the bytes from the position on. They are copied when half of them are done with, not at each step."""
        if self.holds_bytes and position < len(data) // 2:
            self._held, self._taken = data, position
        else:
            self._held, self._taken = data[position:], 0

    def read_on(self) -> None:
        """Go on with the bytes that are held, for a handler that waits for a whole message; one turn at most.

        Until the inbox has a message, ``receive_buffer`` does not bound what is read.
        """
        self._reading_on = True
        self.receive_data(b"")
        self._reading_on = False

    def drop_messages(self) -> None:
        """Skip messages from now on, and look for the client's Close frame alone."""
        self._dropping = True
        self._fast = False
        frame, message = self._frame, self.message
        if frame is not None:
            self._to_skip = frame.remaining
            self._frame = None
        if message is not None:
            self.message = None if message.arrived or (frame is not None and frame.final) else _UNWANTED
        if self._inflater is not None:
            self._inflater.forget()

    def _take_whole_messages(self, data: bytes, position: int) -> int:
        """The fast path: whole, final, uncompressed text and binary messages below 64 KiB.

        It stops before a frame that is anything else.

        XOR with the MASK bit leaves the length of a masked frame, and makes that of an unmasked one 128 or more. So one
        comparison says "masked and short": ``81 85`` is FIN and text, masked, 5 bytes: ``0x85 ^ 0x80 == 5``. ``81 05``,
        not masked, is ``0x05 ^ 0x80 == 133``, which is over 125 and not 126, and is left to the general path.
        """
        inbox = self.inbox
        limit = self._limit
        size = len(data)
        while size - position >= 6:
            length = data[position + 1] ^ MASKED
            start = position + 6
            if length > _SHORT:
                if length != 126:
                    break
                length = data[position + 2] << 8 | data[position + 3]
                start = position + 8
                if length <= _SHORT:
                    break
            end = start + length
            if end > size or length > limit:
                break
            first = data[position]
            if first == _FINAL_TEXT:
                try:
                    inbox.append(unmask(data[start:end], data[start - 4 : start]).decode())
                except UnicodeDecodeError:
                    raise Fault(INVALID_DATA, NOT_UTF8) from None
            elif first == _FINAL_BINARY:
                inbox.append(unmask(data[start:end], data[start - 4 : start]))
            else:
                break
            inbox.size += length
            position = end
        return position

    def _take_frames(self, data: bytes, position: int) -> None:
        """The general path: frames of any kind, whole or in parts, until the bytes, the turn or the connection end."""
        if self._dropping:
            self._skip_frames(data, position)
            return
        inflater = self._inflater
        # What is left of this turn. With an inflater: the value of its ``work`` at which the turn is over. Each frame
        # lowers either one.
        turn = self._turn if inflater is None else self._turn + inflater.work
        while self.close is None:
            message = self.message
            pending = message is not None and message.pending
            if (pending or position < len(data)) and (
                turn <= 0 if inflater is None else inflater.work >= turn or self.is_full
            ):
                self.holds_bytes = True
                break
            turn -= _FRAME_WORK
            if message is not None and pending:
                message.inflate_more()
                self._message_ended(message)
            elif self._frame is not None:
                position = self._continue_frame(self._frame, data, position)
                if self._frame is not None and not (message is not None and message.pending):
                    break
            else:
                if self._fast:
                    position = self._take_whole_messages(data, position)
                start = position
                position = self._begin_frame(data, position)
                if position == start:
                    break
        if self.close is None:
            self._wait(data, position)

    def _skip_frames(self, data: bytes, position: int) -> None:
        """The general path after the local close: headers alone, until the bytes, the turn or the connection end."""
        size = len(data)
        turn = self._turn
        unwanted = WHOLE if self._inflater is None else WHOLE_OR_COMPRESSED
        while self.close is None:
            skipped = min(self._to_skip, size - position)
            self._to_skip -= skipped
            position += skipped
            if self.message is None and not self._to_skip:
                position, count = skip_short(data, position, turn // _SKIP_WORK, unwanted)
                turn -= count * _SKIP_WORK
            if turn <= 0 and position < size:
                self.holds_bytes = True
                break
            turn -= _FRAME_WORK
            start = position
            position = self._begin_frame(data, position)
            if position == start:
                break
        if self.close is None:
            self._wait(data, position)

    @property
    def is_full(self) -> bool:
        """Whether ``receive_buffer`` bytes are unread, so that nothing more is taken."""
        # Within receive_data() the size is without the cost of the messages that have just arrived.
        unread = max(self.inbox.size, len(self.inbox) * MESSAGE_COST)
        unread += 0 if self.message is None else self.message.unread
        return unread >= self._receive_buffer and not (self._reading_on and not self.inbox)

    def _begin_frame(self, data: bytes, position: int) -> int:
        """Take the header of a frame, and the payload of a control frame or of a message that has arrived whole.

        Returns the new position: the old one if bytes are missing.
        """
        size = len(data)
        if size == position:
            return position
        first = data[position]
        opcode = first & 0x0F
        self._check_first_byte(first, opcode)
        if size - position < 2:
            return position
        second = data[position + 1]
        if not second & MASKED:
            raise Fault(PROTOCOL_ERROR, "frame is not masked")
        length = second & 127
        start = position + 2
        if opcode >= CLOSE and length > MAX_CONTROL_PAYLOAD:
            raise Fault(PROTOCOL_ERROR, f"control frame is longer than {MAX_CONTROL_PAYLOAD} bytes")
        if length >= 126:
            extra = 2 if length == 126 else 8
            if size - start < extra:
                return position
            length = int.from_bytes(data[start : start + extra], "big")
            start += extra
            if length < 126 or (extra == 8 and length < 65536):
                raise Fault(PROTOCOL_ERROR, "length is not in its shortest form")
            if length >> 63:
                raise Fault(PROTOCOL_ERROR, "length has its top bit set")
        if opcode >= CLOSE:
            if start + 4 + length > size:
                return position
            self._control(opcode, unmask(data[start + 4 : start + 4 + length], data[start : start + 4]))
            return start + 4 + length
        if self._dropping:
            self.message = None if first & FIN else _UNWANTED
            self._to_skip = 4 + length
            return start
        message = self.message
        if message is not None:
            message.check_frame(length, bool(first & FIN))
        elif length > (most_compressed(self._limit) if first & COMPRESSED else self._limit):
            raise Fault(*too_big(self._limit))
        if size - start < 4:
            return position
        mask = data[start : start + 4]
        start += 4
        if message is None:
            if first & FIN and not first & COMPRESSED and start + length <= size:
                self._take_message(opcode, unmask(data[start : start + length], mask))
                return start + length
            message = self._begin_message(opcode == TEXT, self._inflater if first & COMPRESSED else None)
        message.begin_frame()
        self._frame = PartialFrame(bool(first & FIN), length, mask)
        return start

    def _check_first_byte(self, first: int, opcode: int) -> None:
        reserved = first & RESERVED
        if reserved == COMPRESSED and self._inflater is not None and opcode in (TEXT, BINARY):
            reserved = 0
        if reserved:
            raise Fault(PROTOCOL_ERROR, "reserved bits are set")
        if opcode > PONG or BINARY < opcode < CLOSE:
            raise Fault(PROTOCOL_ERROR, f"unknown opcode {opcode}")
        if opcode >= CLOSE:
            if not first & FIN:
                raise Fault(PROTOCOL_ERROR, "control frame is fragmented")
        elif opcode == CONTINUATION:
            if self.message is None:
                raise Fault(PROTOCOL_ERROR, "continuation frame with nothing to continue")
        elif self.message is not None:
            raise Fault(PROTOCOL_ERROR, "new message within a fragmented one")

    def _take_message(self, opcode: int, payload: bytes) -> None:
        try:
            self.inbox.append(payload.decode() if opcode == TEXT else payload)
        except UnicodeDecodeError:
            raise Fault(INVALID_DATA, NOT_UTF8) from None
        self.inbox.size += len(payload)

    def _begin_message(self, is_text: bool, inflater: Inflater | None) -> PartialMessage:
        self._fast = False
        self.message = message = PartialMessage(is_text, self._limit, inflater, self._max_fragments)
        if self._stream_next and not self.inbox:
            self._stream(message)
        return message

    def _continue_frame(self, frame: PartialFrame, data: bytes, position: int) -> int:
        """Take the bytes of a data frame's payload that have arrived; the announced length reserves no memory."""
        assert self.message is not None
        piece = data[position : position + frame.remaining]
        if piece:
            self.message.add(unmask(piece, frame.mask))
            frame.remaining -= len(piece)
            rotation = len(piece) & 3
            frame.mask = frame.mask[rotation:] + frame.mask[:rotation]
        if not frame.remaining:
            self._frame = None
            if frame.final:
                self.message.end()
                self._message_ended(self.message)
        return position + len(piece)

    def _message_ended(self, message: PartialMessage) -> None:
        """The last frame of the message has ended: put it into the inbox, unless some of it is still to be inflated."""
        if message.ended:
            if message.streamed:
                self.inbox.count_streamed(message.size)
            else:
                self.inbox.append(message.whole())
                self.inbox.size += message.size
            self.message = None
            self._fast = True

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self._end(read_close(payload))
        elif not self._dropping:
            (self.pings if opcode == PING else self.pongs).append(payload)

    def _end(self, close: Close) -> None:
        self.close = close
        self._inflater = None
        self._fast = False

    # Streaming

    def stream_next(self) -> None:
        """Stream the message in progress, or else the next one that does not come whole: it will be ``streamed``.

        Call it with an empty inbox. A message that comes whole goes to the inbox, and is to be taken instead.
        """
        message = self.message
        if message is not None and not message.streamed:
            self._stream(message)
        else:
            self._stream_next = True  # a message in progress is the rest of an earlier stream, which is not wanted

    def stop_streaming(self) -> None:
        """Take :meth:`stream_next` back.

        Whether the rest of a message in progress is dropped or kept, the caller has decided by its ``drop()`` or its
        ``streamed``.
        """
        self._stream_next = False
        self.streamed = None

    def _stream(self, message: PartialMessage) -> None:
        message.streamed = True
        self.streamed = message
        self._stream_next = False
