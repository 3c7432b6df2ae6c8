"""Streams of frames, good and broken, and what a reader makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from triows.protocol.websocket.close_codes import Close
from triows.protocol.websocket.compression import Agreement, Compression
from triows.protocol.websocket.deflate import Deflater, Inflater
from triows.protocol.websocket.inbox import MESSAGE_COST, Inbox
from triows.protocol.websocket.reader import MessageReader

from ...support.wire import BINARY, CONTINUATION, PING, PONG, TEXT, frame

MIB = 1 << 20

bounded = settings(deadline=None, max_examples=200)


@dataclass
class Outcome:
    """What came of a stream of bytes."""

    messages: list[str | bytes] = field(default_factory=list)
    ping: bytes | None = None
    pong: bytes | None = None
    close: Close | None = None
    failure: int | None = None


def protocol(max_message_size: int | None = MIB) -> MessageReader:
    return MessageReader(Inbox(), max_message_size)


def outcome_of(pieces: Iterable[bytes], max_message_size: int | None = MIB) -> Outcome:
    receiving = protocol(max_message_size)
    for piece in pieces:
        receiving.receive_data(piece)
    failure = receiving.failure
    assert receiving.finished == (failure is not None or receiving.close is not None)
    assert failure is None or (failure.reason and len(failure.reason.encode()) <= 123)
    sizes = sum(len(message.encode() if isinstance(message, str) else message) for message in receiving.inbox)
    assert receiving.inbox.size == sizes + len(receiving.inbox) * MESSAGE_COST
    return Outcome(
        list(receiving.inbox),
        receiving.pings[-1] if receiving.pings else None,
        receiving.pongs[-1] if receiving.pongs else None,
        receiving.close,
        failure.code if failure else None,
    )


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in segments that end at these places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def in_bytes(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def outcomes(data: bytes, max_message_size: int | None = MIB) -> list[Outcome]:
    """What comes of the bytes whole, one by one, and in a few other cuts."""
    cuts = [[data], in_bytes(data), *(cut(data, range(0, len(data), size)) for size in (2, 3, 7, 100))]
    return [outcome_of(pieces, max_message_size) for pieces in cuts]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
binaries = st.binary(max_size=700)
messages_to_send = st.lists(st.one_of(texts, binaries), max_size=8)
control_frames = st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2)
places = st.lists(st.integers(0, 10_000), max_size=20)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str | bytes], bytes, list[tuple[int, bytes]]]:
    """Messages, the frames that carry them in any fragmentation, and the control frames in between."""
    sent = draw(messages_to_send)
    controls: list[tuple[int, bytes]] = []
    data = b""

    def control() -> bytes:
        frames = draw(control_frames)
        controls.extend(frames)
        return b"".join(frame(opcode, payload) for opcode, payload in frames)

    for message in sent:
        payload = message.encode() if isinstance(message, str) else message
        opcode = TEXT if isinstance(message, str) else BINARY
        pieces = cut(payload, draw(st.lists(st.integers(0, 700), max_size=3)))
        for number, piece in enumerate(pieces):
            data += control()
            data += frame(opcode if number == 0 else CONTINUATION, piece, fin=number == len(pieces) - 1)
    return sent, data + control(), controls


@st.composite
def mutated_streams(draw: st.DrawFn) -> bytes:
    """A valid stream of frames with a few bytes changed, or cut out, or put in."""
    data = bytearray(draw(streams())[1])
    for _ in range(draw(st.integers(0, 4))):
        if not data:
            break
        place = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["change", "flip", "remove", "insert", "truncate"])):
            case "change":
                data[place] = draw(st.integers(0, 255))
            case "flip":
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "remove":
                del data[place]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=4))
            case "truncate":
                del data[place:]
    return bytes(data)


def take_all(receiving: MessageReader, pieces: Iterable[bytes], *, streamed: bool) -> list[str | bytes]:
    """The messages that come of the pieces, each received as a whole or in pieces."""
    received: list[str | bytes] = []
    parts: list[str | bytes] = []

    def take() -> None:
        while True:
            message = receiving.streamed
            if message is not None:
                if piece := message.take():
                    parts.append(piece)
                if message.ended:
                    empty: Any = "" if message.is_text else b""
                    received.append(empty.join(parts))
                    parts.clear()
                    receiving.stop_streaming()
            while receiving.streamed is None and receiving.inbox:
                received.append(receiving.inbox.popleft())
                if not receiving.inbox:
                    receiving.inbox.reset_size()
            if streamed and receiving.streamed is None:
                receiving.stream_next()
            if not receiving.holds_bytes:
                if receiving.streamed is None or not receiving.streamed.unread:
                    return
            elif streamed:
                receiving.receive_data(b"")
            else:
                receiving.read_on()

    if streamed:
        receiving.stream_next()
    for piece in pieces:
        receiving.receive_data(piece)
        take()
    return received


agreements = st.builds(Agreement, st.integers(9, 15), st.integers(9, 15), st.booleans(), st.booleans())
compressible = st.one_of(
    texts,
    st.binary(max_size=700),
    st.builds(lambda size: "a€" * size, st.integers(0, 60_000)),
    st.builds(bytes, st.integers(0, 200_000)),
)


@st.composite
def compressed_streams(draw: st.DrawFn, pings: int = 1) -> tuple[Agreement, list[str | bytes], bytes]:
    """Messages, some of them compressed, in any fragmentation, with Pings between the fragments."""
    agreement = draw(agreements)
    # What deflates on the client's side is made of the server's half with the roles exchanged.
    mirrored = Agreement(
        agreement.client_window_bits, agreement.server_window_bits, agreement.client_context_takeover, True
    )
    deflater = Deflater(mirrored, Compression(window_bits=15))
    sent = draw(st.lists(compressible, max_size=5))
    data = b""
    for message in sent:
        payload = message.encode() if isinstance(message, str) else message
        opcode = TEXT if isinstance(message, str) else BINARY
        reserved = draw(st.sampled_from([0x40, 0x40, 0]))
        if reserved:
            payload = deflater.deflate(payload)
        pieces = cut(payload, draw(st.lists(st.integers(0, 700), max_size=3)))
        for number, piece in enumerate(pieces):
            first = number == 0
            data += frame(PING) * draw(st.integers(0, pings))
            data += frame(
                opcode if first else CONTINUATION,
                piece,
                fin=number == len(pieces) - 1,
                reserved=reserved if first else 0,
            )
    return agreement, sent, data


def compressed(payload: bytes) -> bytes:
    return Deflater(Agreement(15, 15, True, True), Compression()).deflate(payload)


def inflating(max_message_size: int = MIB, receive_buffer: int = 65536) -> MessageReader:
    return MessageReader(Inbox(), max_message_size, Inflater(Agreement(15, 15, True, True)), receive_buffer)
