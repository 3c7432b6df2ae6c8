"""A message whose frames are still coming: inflated, checked as UTF-8 and counted as they come.

It is either collected, for ``receive()``, or streamed: then what is there is taken piece by piece, and what DEFLATE
packed small is unpacked in steps, so that neither kind of message costs more memory than its reader allows.
"""

from __future__ import annotations

from codecs import getincrementaldecoder

from ..pieces import LARGE_PIECE
from .close_codes import INVALID_DATA, POLICY_VIOLATION, Fault, too_big
from .deflate import InflateError, Inflater

# The default. The final frame is not counted, since that of a stream of fragments is often empty.
MAX_FRAGMENTS = 65_536

NOT_UTF8 = "text is not UTF-8"

#: Bytes that a message is inflated to in one step: zlib takes twice the memory of what it returns, and whether there is
#: room for more is looked at between two steps.
STEP = 65_536

_utf8_decoder = getincrementaldecoder("utf-8")


class PartialMessage:
    """See the module's docstring. ``inflater`` is given for a compressed message.

    :ivar is_text: whether it is text.
    :ivar size: bytes of it that arrived, after inflation.
    :ivar ended: whether all of it is there.
    :ivar streamed: whether it is taken in pieces, or dropped, instead of collected.
    """

    __slots__ = (
        "_decoder",
        "_dropped",
        "_ending",
        "_fragments",
        "_inflater",
        "_kept",
        "_limit",
        "_max_fragments",
        "_pieces",
        "ended",
        "is_text",
        "size",
        "streamed",
    )

    def __init__(
        self, is_text: bool, limit: int, inflater: Inflater | None, max_fragments: int = MAX_FRAGMENTS
    ) -> None:
        self.is_text: bool = is_text
        self.size: int = 0
        self.ended: bool = False
        self.streamed: bool = False
        self._limit = limit
        self._inflater = inflater
        self._max_fragments = max_fragments
        self._pieces: list[bytes | bytearray] = []  # what is there and was not taken: large pieces as they came
        self._kept = 0  # the bytes of them
        self._decoder = _utf8_decoder() if is_text else None
        self._fragments = 0
        self._ending = False
        self._dropped = False

    @property
    def arrived(self) -> bool:
        """Whether all frames of the message have arrived; some may still have to be inflated."""
        return self._ending

    @property
    def unread(self) -> int:
        """Bytes that are there and were not taken; of text those of whole characters."""
        if self._decoder is None or self._dropped:
            return self._kept
        return self._kept - len(self._decoder.getstate()[0])

    # What the message reader calls. What a client does wrong is raised as Fault

    def check_frame(self, length: int, final: bool) -> None:
        """A further frame of ``length`` bytes is coming."""
        if length > (self._limit - self.size if self._inflater is None else most_compressed(self._limit)):
            raise Fault(*too_big(self._limit))
        if not final and self._fragments >= self._max_fragments:
            raise Fault(POLICY_VIOLATION, f"message is in over {self._max_fragments} fragments")

    def begin_frame(self) -> None:
        """A frame has begun."""
        self._fragments += 1

    def add(self, payload: bytes) -> None:
        """Take unmasked bytes of a frame's payload."""
        if self._inflater is None:
            self._append(payload)
        else:
            self._inflate(payload)

    def end(self) -> None:
        """The final frame has ended."""
        self._ending = True
        if self._inflater is not None:
            self._inflate(None)
        self._end_if_whole()

    @property
    def pending(self) -> bool:
        """Whether :meth:`inflate_more` can give more of the message, without further bytes."""
        return self._inflater is not None and self._inflater.pending

    def inflate_more(self) -> None:
        """Make the next step of what is ``pending``."""
        self._inflate(b"")
        self._end_if_whole()

    def whole(self) -> str | bytes:
        """The message."""
        data = b"".join(self._pieces)
        return data.decode() if self.is_text else data

    # What a handler's stream calls

    def take(self) -> str | bytes:
        """Return the bytes that arrived and were not taken, or of text the whole characters; may be empty."""
        data = b"".join(self._pieces)
        size = self.unread
        self._pieces = [data[size:]] if size < len(data) else []
        self._kept -= size
        return data[:size].decode() if self.is_text else data

    def drop(self) -> None:
        """Drop what was not taken, and what is still to come."""
        self._dropped = True
        self._pieces = []
        self._kept = 0

    # Both

    def _inflate(self, payload: bytes | None) -> None:
        """Inflate one step more of the message; None: its last frame is over."""
        assert self._inflater is not None
        # One byte beyond the limit shows that there is more, and is all that a message too big costs.
        step = min(self._limit - self.size + 1, STEP)
        try:
            inflated = self._inflater.end(step) if payload is None else self._inflater.inflate(payload, step)
        except InflateError as error:
            raise Fault(INVALID_DATA, str(error)) from error
        if self.size + len(inflated) > self._limit:
            raise Fault(*too_big(self._limit))
        self._append(inflated)

    def _append(self, data: bytes) -> None:
        self.size += len(data)
        if self._decoder is not None:
            self._check_text(data, False)
        if self._dropped:
            return
        self._kept += len(data)
        # Large pieces are kept as they came, and joined once. Smaller ones are put together, so that a message in many
        # fragments costs no more than its bytes.
        if len(data) >= LARGE_PIECE:
            self._pieces.append(data)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += data
        else:
            self._pieces.append(bytearray(data))

    def _end_if_whole(self) -> None:
        if self._ending and not self.pending:
            if self._decoder is not None:
                self._check_text(b"", True)
            self.ended = True

    def _check_text(self, data: bytes, final: bool) -> None:
        assert self._decoder is not None
        try:
            self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            raise Fault(INVALID_DATA, NOT_UTF8) from error
        # Of a surrogate (ED A0 to ED BF) the decoder would wait for the third byte.
        if b"\xed\xa0" <= self._decoder.getstate()[0] < b"\xee":
            raise Fault(INVALID_DATA, NOT_UTF8)


class PartialFrame:
    """A data frame whose payload is still coming."""

    __slots__ = ("final", "mask", "remaining")

    def __init__(self, final: bool, length: int, mask: bytes) -> None:
        self.final: bool = final
        self.remaining: int = length
        self.mask: bytes = mask  # turned so that it fits the next byte


def most_compressed(limit: int) -> int:
    """The longest frame of a compressed message that may be within the limit.

    With a flush behind each single byte DEFLATE makes eleven of it. What is longer is known by its header.
    """
    return 12 * limit + 1024


class WholeMessage(PartialMessage):
    """A message that is there already, for one who takes messages in pieces: it is one."""

    __slots__ = ("_message",)

    def __init__(self, message: str | bytes) -> None:
        super().__init__(isinstance(message, str), 0, None)
        self.ended = self.streamed = True
        self._message = message

    @property
    def unread(self) -> int:
        """Characters or bytes that were not taken."""
        return len(self._message)

    def take(self) -> str | bytes:
        """Return the whole message; at the second call, an empty one."""
        message = self._message
        self._message = message[:0]
        return message

    def drop(self) -> None:
        """Drop what was not taken."""
        self._message = self._message[:0]
