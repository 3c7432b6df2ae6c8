"""The same bytes, read by wsproto, and the names of the differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from triows.protocol.websocket.close_codes import Close

from ...support.wire import CLOSE
from .streams import Outcome, protocol


def outcome_of_wsproto(data: bytes, extensions: Sequence[Any] = ()) -> Outcome:
    """What wsproto makes of the bytes, up to and including a Close frame, as this protocol's outcome."""
    outcome = Outcome()
    theirs = FrameProtocol(client=False, extensions=list(extensions))
    theirs.receive_bytes(data)
    parts: list[Any] = []
    try:
        for received in theirs.received_frames():
            if received.opcode is Opcode.CLOSE:
                code, reason = received.payload
                outcome.close = Close(int(code), str(reason))
                break
            if received.opcode is Opcode.PING:
                outcome.ping = bytes(received.payload)  # type: ignore[arg-type]
            elif received.opcode is Opcode.PONG:
                outcome.pong = bytes(received.payload)  # type: ignore[arg-type]
            else:
                parts.append(received.payload)
                if received.message_finished:
                    text = received.opcode is Opcode.TEXT
                    outcome.messages.append("".join(parts) if text else b"".join(parts))
                    parts = []
    except ParseFailed as error:
        outcome.failure = int(error.code)
    return outcome


def frames_taken(data: bytes) -> tuple[bytes, bytes]:
    """What there is up to the end of the frame at which this protocol ended, or all of it; and that frame."""
    receiving = protocol(None)
    start = end = 0
    while len(data) - end >= 2 and not receiving.finished:
        start = end
        size, end = data[start + 1] & 0x7F, start + 2
        if size >= 126:
            extra = 2 if size == 126 else 8
            size = int.from_bytes(data[end : end + extra], "big")
            end += extra
        end += (4 if data[start + 1] & 0x80 else 0) + size
        receiving.receive_data(data[start:end])
    if not receiving.finished:
        start, end = end, len(data)
    return data[:end], data[start:end]


def explain(data: bytes, ours: Outcome, theirs: Outcome) -> str:
    """The name of the known reason why the outcomes differ; an unknown one fails the test."""
    if ours.messages != theirs.messages or ours.ping != theirs.ping or ours.pong != theirs.pong:
        raise AssertionError("what came before the end differs")
    last = frames_taken(data)[1]
    if ours.failure == 1002 and theirs.failure is None and theirs.close is None:
        if len(last) == 1:
            return "the first byte is judged before the second is there"
        if last[1] & 0x7F >= 126 and len(last) < 10:
            return "reserved bits and mask bit are judged before the extended length is there"
        return "the order of messages is judged on the header, before a payload is there"
    if ours.close is not None and ours.close.code == 1014 and theirs.failure == 1002:
        return "1014 (bad gateway) was registered after wsproto's table of codes was made"
    if {ours.failure, theirs.failure} == {1002, 1007} and last[0] == 0x80 | CLOSE:
        return "of a Close frame with a bad code and a bad reason, either fault may be named"
    if ours.failure == 1007 and theirs.failure is None and theirs.close is None:
        return "a surrogate is refused at its second byte"
    raise AssertionError("this difference has no name")
