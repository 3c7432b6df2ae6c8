"""What a client's frames may not do to :class:`triows.protocol.websocket.reader.MessageReader`.

The first byte of an input chooses the settings (see :class:`_Settings`), the others are the client's. Whatever they
are: nothing is raised; the close code is one of those that a server sends for a fault; what is delivered is within the
limit; no more is kept than may be; and the outcome is the same in any cut, and for a message read in pieces. Without
compression it is wsproto's too, but for the differences that have a name. (The client's window is the largest: whether
zlib notices that a client reaches further back than it may depends on the cut.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from triows.protocol.websocket.close_codes import NO_STATUS, Close, may_be_sent
from triows.protocol.websocket.compression import Agreement
from triows.protocol.websocket.deflate import Inflater
from triows.protocol.websocket.inbox import Inbox
from triows.protocol.websocket.partial_message import STEP, PartialMessage
from triows.protocol.websocket.reader import MessageReader

from ..protocol.websocket.streams import Outcome as SimpleOutcome
from ..protocol.websocket.wsproto_reader import explain, frames_taken, outcome_of_wsproto
from .cuts import other_cuts

_FAULTS = (1002, 1007, 1008, 1009)
_WAITING = 14 + 125  # bytes of a frame that is not handled in parts: the longest header, or a control frame


class _Settings:
    """The settings that a byte stands for."""

    def __init__(self, byte: int) -> None:
        self.compressed = bool(byte & 1)
        self.takeover = not byte & 2
        self.limit = 1000 if byte & 4 else 200_000
        self.receive_buffer = 100 if byte & 8 else STEP

    def protocol(self) -> MessageReader:
        inflater = Inflater(Agreement(15, 15, True, self.takeover)) if self.compressed else None
        return MessageReader(
            Inbox(), max_message_size=self.limit, inflater=inflater, receive_buffer=self.receive_buffer
        )


@dataclass
class _Outcome:
    messages: list[str | bytes] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    close: Close | None = None
    failure: int | None = None  # the code: of several faults at once, any may be named


def run(data: bytes) -> None:
    if not data:
        return
    settings = _Settings(data[0])
    wire = data[1:]
    outcome = _collect([wire], settings)
    _check(outcome, settings)
    for pieces in other_cuts(wire):
        other = _collect(pieces, settings)
        assert other == outcome, (other, outcome)
        other = _stream(pieces, settings)
        assert other == outcome, (other, outcome)
    if not settings.compressed and settings.limit > len(wire):
        _compare_with_wsproto(wire, outcome)


def _check(outcome: _Outcome, settings: _Settings) -> None:
    assert outcome.close is None or outcome.failure is None
    if outcome.close is not None:
        assert outcome.close.code == NO_STATUS or may_be_sent(outcome.close.code)
    assert outcome.failure is None or outcome.failure in _FAULTS
    for message in outcome.messages:
        assert len(message.encode() if isinstance(message, str) else message) <= settings.limit
    assert all(len(payload) <= 125 for payload in outcome.pings + outcome.pongs)


def _collect(pieces: Iterable[bytes], settings: _Settings) -> _Outcome:
    """Receive messages as a whole, each as soon as it is there."""
    protocol = settings.protocol()
    messages: list[str | bytes] = []
    for piece in pieces:
        protocol.receive_data(piece)
        while True:
            _check_memory(protocol, piece, settings)
            messages += protocol.inbox
            protocol.inbox.clear()
            if not protocol.holds_bytes:
                break
            protocol.read_on()
    return _outcome(protocol, messages)


def _stream(pieces: Iterable[bytes], settings: _Settings) -> _Outcome:
    """Receive messages in pieces, and stop receiving whenever something is there."""
    protocol = settings.protocol()
    messages: list[str | bytes] = []
    current: PartialMessage | None = None
    taken: list[str | bytes] = []
    protocol.stream_next()
    for piece in pieces:
        protocol.receive_data(piece)
        while True:
            _check_memory(protocol, piece, settings)
            if current is None and protocol.streamed is not None:
                current, taken = protocol.streamed, []
            progress = False
            if current is not None:
                while part := current.take():
                    taken.append(part)
                    progress = True
                if current.ended:
                    messages.append("".join(taken) if current.is_text else b"".join(taken))  # type: ignore[arg-type]
                    current = None
                    progress = True
                    protocol.stop_streaming()
            if current is None:
                progress |= bool(protocol.inbox)
                messages += protocol.inbox
                protocol.inbox.clear()
                protocol.stream_next()
            if protocol.holds_bytes:
                protocol.receive_data(b"")
            elif not progress:
                break
    return _outcome(protocol, messages)


def _outcome(protocol: MessageReader, messages: list[str | bytes]) -> _Outcome:
    assert not protocol.inbox
    failure = protocol.failure
    assert failure is None or 0 < len(failure.reason.encode()) <= 123
    return _Outcome(messages, protocol.pings, protocol.pongs, protocol.close, failure.code if failure else None)


def _check_memory(protocol: MessageReader, piece: bytes, settings: _Settings) -> None:
    message = protocol.message
    unread = protocol.inbox.size + (0 if message is None else message.unread)
    if settings.compressed:
        assert unread <= max(settings.receive_buffer, settings.limit) + STEP
    assert message is None or message.size <= settings.limit
    if not protocol.holds_bytes and not protocol.finished:
        assert len(protocol._held) <= _WAITING


def _compare_with_wsproto(wire: bytes, outcome: _Outcome) -> None:
    if outcome.failure in (1008, 1009):
        return  # it has no such limits
    ours = SimpleOutcome(
        outcome.messages,
        outcome.pings[-1] if outcome.pings else None,
        outcome.pongs[-1] if outcome.pongs else None,
        outcome.close,
        outcome.failure,
    )
    theirs = outcome_of_wsproto(frames_taken(wire)[0])
    if ours != theirs:
        explain(wire, ours, theirs)
