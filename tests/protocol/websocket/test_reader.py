"""The sans-I/O protocol: any cut of the bytes gives the same messages, any fault its close code."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from triows.protocol.deflate import Agreement, Compression, Deflater, Inflater
from triows.protocol.frames import Close
from triows.protocol.messages import MESSAGE_COST, Inbox, Protocol

from ...support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame

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


def protocol(max_message_size: int | None = MIB) -> Protocol:
    return Protocol(Inbox(), max_message_size)


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


# Messages

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


@bounded
@given(streams(), places)
def test_messages_arrive_whatever_the_segments_and_fragments(
    stream: tuple[list[str | bytes], bytes, list[tuple[int, bytes]]], places: list[int]
) -> None:
    sent, data, controls = stream
    outcome = outcome_of(cut(data, places))
    assert outcome.messages == sent
    assert [type(message) for message in outcome.messages] == [type(message) for message in sent]
    assert outcome.failure is None
    assert outcome.close is None
    for opcode, latest in ((PING, outcome.ping), (PONG, outcome.pong)):
        assert latest == next((payload for kind, payload in reversed(controls) if kind == opcode), None)


@bounded
@given(streams())
def test_messages_arrive_byte_by_byte(stream: tuple[list[str | bytes], bytes, Any]) -> None:
    sent, data, _ = stream
    assert outcome_of(in_bytes(data)).messages == sent


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65535, 65536, 65537, MIB])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_every_form_of_length_arrive(size: int, opcode: int) -> None:
    data = frame(opcode, b"x" * size) * 2
    expected = b"x" * size if opcode == BINARY else "x" * size
    for pieces in ([data], cut(data, range(0, len(data), 65536)), cut(data, [1, 2, 3, 9, 13, 14, 15])):
        assert outcome_of(pieces).messages == [expected, expected]


def test_empty_messages_are_messages() -> None:
    assert outcome_of([frame(TEXT) + frame(BINARY)]).messages == ["", b""]


def test_an_empty_message_in_empty_fragments_is_one() -> None:
    data = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION)
    for outcome in outcomes(data):
        assert outcome == Outcome(messages=[""])


def test_a_character_may_be_cut_by_fragments_and_segments() -> None:
    euro = "€".encode()
    data = b"".join(
        frame(TEXT if index == 0 else CONTINUATION, euro[index : index + 1], fin=index == 2) for index in range(3)
    )
    for outcome in outcomes(data):
        assert outcome == Outcome(messages=["€"])


def test_each_frame_may_have_a_mask_of_its_own() -> None:
    masks = (b"\0\0\0\0", b"\xff\0\xff\0", b"abcd")
    data = b""
    for number, mask in enumerate(masks):
        plain = b"0123456789"
        first = (BINARY if number == 0 else CONTINUATION) | (0x80 if number == 2 else 0)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(plain))
        data += bytes([first, 0x80 | len(plain)]) + mask + masked
    for outcome in outcomes(data):
        assert outcome == Outcome(messages=[b"0123456789" * 3])


def test_no_data_changes_nothing() -> None:
    receiving = protocol()
    receiving.receive_data(b"")
    receiving.receive_data(frame(TEXT, b"a")[:3])
    receiving.receive_data(b"")
    receiving.receive_data(frame(TEXT, b"a")[3:])
    assert list(receiving.inbox) == ["a"]


def test_a_cleared_inbox_is_of_no_size() -> None:
    receiving = protocol()
    receiving.receive_data(frame(TEXT, "€".encode()))
    assert receiving.inbox.size == 3 + MESSAGE_COST
    receiving.inbox.clear()
    assert receiving.inbox.size == 0


# Any bytes at all


@bounded
@given(st.lists(st.binary(max_size=100), max_size=20))
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    outcome_of(pieces)


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


@bounded
@given(mutated_streams(), places)
def test_the_cut_does_not_change_what_comes_of_broken_bytes(data: bytes, places: list[int]) -> None:
    whole, bytewise, segmented = outcome_of([data]), outcome_of(in_bytes(data)), outcome_of(cut(data, places))
    event(f"failure {whole.failure}")
    assert whole == segmented == bytewise


@bounded
@given(mutated_streams(), st.binary(max_size=200))
def test_nothing_is_read_after_the_end(data: bytes, more: bytes) -> None:
    receiving = protocol()
    receiving.receive_data(data)
    receiving.receive_data(b"\xff\xff")  # ends it, or completes something
    receiving.receive_data(close_frame(1000))
    receiving.receive_data(b"\xff" * 200)
    if not receiving.finished:
        return  # a long frame swallows all of these
    before = (list(receiving.inbox), list(receiving.pings), list(receiving.pongs), receiving.close, receiving.failure)
    for piece in (more, frame(TEXT, b"late"), close_frame(1001)):
        receiving.receive_data(piece)
    after = (list(receiving.inbox), list(receiving.pings), list(receiving.pongs), receiving.close, receiving.failure)
    assert after == before


@pytest.mark.parametrize("end", [close_frame(1000), b"\xff\xff", frame(TEXT, b"\xff")])
def test_what_was_whole_before_the_end_stays_in_the_inbox(end: bytes) -> None:
    before = (
        frame(TEXT, b"one") + frame(BINARY, b"two" * 100) + frame(TEXT, b"thr", fin=False) + frame(CONTINUATION, b"ee")
    )
    for outcome in outcomes(before + end + frame(TEXT, b"never")):
        assert outcome.messages == ["one", b"two" * 100, "three"]
        assert outcome.close or outcome.failure


def test_a_half_message_before_the_end_is_dropped() -> None:
    for outcome in outcomes(frame(TEXT, b"half", fin=False) + close_frame(1000)):
        assert outcome == Outcome(close=Close(1000, ""))


# Faults, each with its close code (the rows of a table of bad input)

FAULTS: dict[str, tuple[bytes, int]] = {
    "F01 unmasked": (frame(TEXT, b"hello", masked=False), 1002),
    "F01 unmasked Close": (frame(CLOSE, b"\x03\xe8", masked=False), 1002),
    "RSV1 without an extension": (frame(TEXT, b"x", reserved=0x40), 1002),
    "F03 RSV2": (frame(TEXT, b"x", reserved=0x20), 1002),
    "F04 RSV3": (frame(TEXT, b"x", reserved=0x10), 1002),
    "F04 RSV1 on a control frame": (frame(PING, b"x", reserved=0x40), 1002),
    **{f"F05 opcode {opcode}": (frame(opcode, b"x"), 1002) for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)},
    "F07 fragmented Ping": (frame(PING, b"x", fin=False), 1002),
    "F07 fragmented Pong": (frame(PONG, b"x", fin=False), 1002),
    "F07 fragmented Close": (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    "F08 Ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "F08 Close of 126 bytes": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
    "F08 Pong of 64 KiB": (frame(PONG, b"x" * 65536), 1002),
    "F09 nothing to continue": (frame(CONTINUATION, b"x"), 1002),
    "F09 nothing to continue, not final": (frame(CONTINUATION, b"x", fin=False), 1002),
    "F09 nothing to continue any more": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(CONTINUATION, b"c"),
        1002,
    ),
    "a message within a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "another kind within a message": (frame(BINARY, b"a", fin=False) + frame(TEXT, b"b", fin=False), 1002),
    "F11 top bit of the length": (frame(BINARY, b"", length=b"\x7f\x80" + bytes(7)), 1002),
    "F11 all bits of the length": (frame(BINARY, b"", length=b"\x7f" + b"\xff" * 8), 1002),
    "F12 declares 2^62 bytes": (frame(BINARY, b"", length=b"\x7f\x40" + bytes(7)), 1009),
    "F13 5 in 16 bits": (frame(BINARY, b"12345", length=b"\x7e\x00\x05"), 1002),
    "F13 125 in 16 bits": (frame(BINARY, b"x" * 125, length=b"\x7e\x00\x7d"), 1002),
    "F13 5 in 64 bits": (frame(BINARY, b"12345", length=b"\x7f" + (5).to_bytes(8, "big")), 1002),
    "F13 65535 in 64 bits": (frame(BINARY, b"x" * 65535, length=b"\x7f" + (65535).to_bytes(8, "big")), 1002),
    "F15 invalid UTF-8": (frame(TEXT, b"abc\xff"), 1007),
    "F15 invalid UTF-8, long": (frame(TEXT, b"a" * 1000 + b"\xff"), 1007),
    "F15 overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "F15 beyond U+10FFFF": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "F16 cut at the end": (frame(TEXT, "€".encode()[:2]), 1007),
    "F16 cut at the end of fragments": (
        frame(TEXT, "€".encode()[:1], fin=False) + frame(CONTINUATION, "€".encode()[1:2]),
        1007,
    ),
    "F16 cut at the end of fragments, empty last one": (
        frame(TEXT, "€".encode()[:2], fin=False) + frame(CONTINUATION),
        1007,
    ),
    "F17 surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "F19 invalid UTF-8 in the first fragment": (frame(TEXT, b"\xff", fin=False), 1007),
    "F20 half a close code": (frame(CLOSE, b"\x03"), 1002),
    **{
        f"F21-F29 close code {code}": (close_frame(code), 1002)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "close reason is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "close reason is cut": (frame(CLOSE, b"\x03\xe8" + "€".encode()[:2]), 1007),
    "F39 fragments over 1 MiB together": (
        frame(BINARY, b"x" * 600 * 1024, fin=False) + frame(CONTINUATION, b"x" * 600 * 1024),
        1009,
    ),
    "F39 one byte over the limit": (frame(BINARY, b"x" * (MIB + 1)), 1009),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_close_code(name: str) -> None:
    data, code = FAULTS[name]
    cuts = [[data], cut(data, range(0, len(data), 100))]
    if len(data) < 10_000:
        cuts.append(in_bytes(data))
    for pieces in cuts:
        outcome = outcome_of(pieces)
        assert outcome.failure == code
        assert outcome.close is None


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_behind_good_messages_has_the_same_close_code(name: str) -> None:
    data, code = FAULTS[name]
    outcome = outcome_of([frame(TEXT, b"good") + frame(BINARY, b"x" * 200) + data])
    assert outcome.messages[:2] == ["good", b"x" * 200]
    assert outcome.failure == code


# As early as the bytes allow it


def failure_after(data: bytes, max_message_size: int | None = MIB) -> tuple[int, int]:
    """How many bytes it took to fail, and the code."""
    receiving = protocol(max_message_size)
    for count in range(len(data)):
        receiving.receive_data(data[count : count + 1])
        if receiving.failure is not None:
            return count + 1, receiving.failure.code
    raise AssertionError("it did not fail")


@pytest.mark.parametrize(
    ("data", "count", "code"),
    [
        (frame(TEXT, b"x", reserved=0x40), 1, 1002),
        (frame(3, b"x"), 1, 1002),
        (frame(CONTINUATION, b"x"), 1, 1002),
        (frame(PING, b"x", fin=False), 1, 1002),
        (frame(TEXT, b"x", masked=False), 2, 1002),
        (frame(PING, b"x" * 126), 2, 1002),
        (frame(BINARY, b"12345", length=b"\x7e\x00\x05"), 4, 1002),
        (frame(BINARY, b"", length=b"\x7f\x80" + bytes(7)), 10, 1002),
        (frame(BINARY, b"", length=b"\x7f\x40" + bytes(7)), 10, 1009),
        (frame(BINARY, b"x" * 300), 4, 1009),
        (frame(BINARY, b"x" * 101), 2, 1009),
    ],
)
def test_a_header_is_judged_as_soon_as_it_is_there(data: bytes, count: int, code: int) -> None:
    assert failure_after(data, 100) == (count, code)


def test_the_sum_of_the_fragments_is_judged_on_the_header_that_exceeds_it() -> None:
    first = frame(BINARY, b"x" * 60, fin=False)
    assert failure_after(first + frame(CONTINUATION, b"x" * 41), 100) == (len(first) + 2, 1009)


@pytest.mark.parametrize("size", [20, 1000, 100_000])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc0", b"\xed\xa0", b"\xf4\x90", b"\xe2\x28"])
def test_a_bad_byte_in_an_unfinished_frame_fails_at_once(size: int, bad: bytes) -> None:
    data = frame(TEXT, "é".encode() * 5 + bad + b"x" * size)
    header = len(data) - (10 + len(bad) + size)
    receiving = protocol()
    receiving.receive_data(data[: header + 10])
    assert receiving.failure is None
    receiving.receive_data(data[header + 10 : header + 10 + len(bad)])
    assert receiving.failure is not None
    assert receiving.failure.code == 1007


def test_a_bad_byte_in_an_unfinished_fragment_fails_at_once() -> None:
    first = frame(TEXT, "€".encode()[:1], fin=False)
    assert failure_after(first + frame(CONTINUATION, b"\x41" + b"x" * 100, fin=False)) == (len(first) + 7, 1007)


def test_binary_messages_may_be_any_bytes() -> None:
    data = bytes(range(256))
    assert outcome_of([frame(BINARY, data)]).messages == [data]


# Limits


def test_a_message_of_exactly_the_limit_passes() -> None:
    for data in (frame(BINARY, b"x" * 100), frame(BINARY, b"x" * 60, fin=False) + frame(CONTINUATION, b"x" * 40)):
        for outcome in outcomes(data, 100):
            assert outcome == Outcome(messages=[b"x" * 100])


def test_the_limit_counts_bytes_not_characters() -> None:
    assert outcome_of([frame(TEXT, ("€" * 33).encode())], 99).messages == ["€" * 33]
    assert outcome_of([frame(TEXT, ("€" * 34).encode())], 99).failure == 1009


def test_the_limit_holds_for_each_message_by_itself() -> None:
    fragments = frame(BINARY, b"x" * 60, fin=False) + frame(CONTINUATION, b"x" * 40)
    assert outcome_of([fragments * 5], 100).messages == [b"x" * 100] * 5


def test_without_a_limit_a_huge_length_is_no_failure() -> None:
    assert outcome_of([frame(BINARY, b"", length=b"\x7f\x40" + bytes(7)) + b"x" * 1000], None) == Outcome()


def test_memory_is_not_taken_from_the_announced_length() -> None:
    receiving = protocol(1 << 40)
    tracemalloc.start()
    try:
        receiving.receive_data(frame(BINARY, b"", length=b"\x7f" + (1 << 39).to_bytes(8, "big")) + b"x" * 1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert receiving.failure is None
    assert peak < 100_000


@pytest.mark.parametrize("limit", [1, 2, 10])
@pytest.mark.parametrize("payload", [b"x", b""])
def test_the_final_fragment_is_not_counted(limit: int, payload: bytes) -> None:
    data = frame(BINARY, payload, fin=False) + frame(CONTINUATION, payload, fin=False) * (limit - 1)
    within, beyond = Protocol(Inbox(), max_fragments=limit), Protocol(Inbox(), max_fragments=limit)
    within.receive_data(data + frame(CONTINUATION, b"end"))
    assert list(within.inbox) == [payload * limit + b"end"]
    beyond.receive_data(data)
    assert beyond.failure is None
    beyond.receive_data(frame(CONTINUATION, payload, fin=False)[:2])  # the header says it
    assert beyond.failure == Close(1008, f"message is in over {limit} fragments")


def test_fragments_are_counted_for_each_message_by_itself() -> None:
    receiving = Protocol(Inbox(), max_fragments=2)
    data = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) + frame(CONTINUATION, b"c")
    receiving.receive_data(data * 5)
    assert list(receiving.inbox) == ["abc"] * 5


def test_a_message_in_one_frame_is_no_fragment_of_anything() -> None:
    receiving = Protocol(Inbox(), max_fragments=1)
    for byte in frame(BINARY, b"x" * 200) * 3:
        receiving.receive_data(bytes([byte]))
    assert list(receiving.inbox) == [b"x" * 200] * 3


def test_fragments_of_a_compressed_message_are_counted_too() -> None:
    receiving = Protocol(Inbox(), MIB, Inflater(Agreement(15, 15, True, True)), max_fragments=3)
    receiving.receive_data(frame(BINARY, b"", fin=False, reserved=0x40) + frame(CONTINUATION, fin=False) * 3)
    assert receiving.failure is not None
    assert receiving.failure.code == 1008


def test_65536_fragments_are_the_default() -> None:
    data = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * 65_535
    assert outcome_of([data + frame(CONTINUATION)]).messages == [b""]
    assert outcome_of([data + frame(CONTINUATION, fin=False)]).failure == 1008


def test_control_frames_do_not_count_as_fragments() -> None:
    receiving = Protocol(Inbox(), max_fragments=1)
    receiving.receive_data(frame(TEXT, b"a", fin=False) + frame(PING) * 50 + frame(CONTINUATION, b"b"))
    assert list(receiving.inbox) == ["ab"]


# Compressed messages, and messages in pieces


def take_all(receiving: Protocol, pieces: Iterable[bytes], *, streamed: bool) -> list[str | bytes]:
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
                    receiving.collect_next()
            while receiving.streamed is None and receiving.inbox:
                received.append(receiving.inbox.popleft())
                receiving.inbox.size = 0 if not receiving.inbox else receiving.inbox.size
            if streamed and receiving.streamed is None:
                receiving.stream_next()
            if not receiving.stalled:
                if receiving.streamed is None or not receiving.streamed.unread:
                    return
            elif streamed:
                receiving.receive_data(b"")
            else:
                receiving.collect_message()

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


@bounded
@given(compressed_streams(), places, st.booleans())
def test_compressed_and_streamed_messages_arrive_whatever_the_segments_and_fragments(
    stream: tuple[Agreement, list[str | bytes], bytes], places: list[int], streamed: bool
) -> None:
    agreement, sent, data = stream
    receiving = Protocol(Inbox(), MIB, Inflater(agreement))
    assert take_all(receiving, cut(data, places), streamed=streamed) == sent
    assert receiving.failure is None
    assert not receiving.stalled


@bounded
@given(streams(), places)
def test_plain_messages_arrive_streamed(stream: tuple[list[str | bytes], bytes, Any], places: list[int]) -> None:
    sent, data, _ = stream
    assert take_all(protocol(), cut(data, places), streamed=True) == sent


@bounded
@given(st.data(), places, st.booleans())
def test_no_bytes_make_an_inflating_one_raise_or_hang(data: st.DataObject, places: list[int], streamed: bool) -> None:
    raw = bytearray(data.draw(st.one_of(compressed_streams().map(lambda stream: stream[2]), st.binary(max_size=300))))
    for _ in range(data.draw(st.integers(0, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    receiving = Protocol(Inbox(), MIB, Inflater(Agreement(15, 15, True, True)))
    take_all(receiving, cut(bytes(raw), places), streamed=streamed)
    event(f"failure {receiving.failure.code if receiving.failure else None}")


def compressed(payload: bytes) -> bytes:
    return Deflater(Agreement(15, 15, True, True), Compression()).deflate(payload)


def inflating(max_message_size: int = MIB, receive_buffer: int = 65536) -> Protocol:
    return Protocol(Inbox(), max_message_size, Inflater(Agreement(15, 15, True, True)), receive_buffer)


@pytest.mark.parametrize("streamed", [False, True])
def test_all_that_the_bytes_of_half_a_frame_hold_is_inflated(streamed: bool) -> None:
    payload = compressed(bytes(200_000) + b"end")
    data = frame(BINARY, payload + b"what is not there yet", reserved=0x40)[: -len(b"what is not there yet")]
    receiving = inflating()
    if streamed:
        receiving.stream_next()
    receiving.receive_data(data)
    while receiving.stalled:
        assert receiving.message is not None
        if streamed:
            receiving.message.take()
        receiving.collect_message()
    assert receiving.message is not None
    assert receiving.message.size == 200_003


def test_what_is_inflated_waits_while_the_buffer_is_full() -> None:
    receiving = inflating(64 * MIB)
    receiving.receive_data(frame(BINARY, compressed(bytes(16 * MIB)), reserved=0x40) + frame(TEXT, b"next"))
    assert receiving.stalled
    assert receiving.message is not None
    assert 65536 <= receiving.message.unread <= 3 * 65536
    receiving.collect_message()
    assert [len(message) for message in receiving.inbox] == [16 * MIB]
    receiving.inbox.clear()
    receiving.receive_data(b"")
    assert list(receiving.inbox) == ["next"]
    assert not receiving.stalled


def test_many_small_messages_that_are_large_inflated_are_not_all_inflated_at_once() -> None:
    receiving = inflating()
    small = frame(BINARY, compressed(bytes(60_000)), reserved=0x40)
    receiving.receive_data(small + frame(BINARY, b"\0", reserved=0x40) * 3 + small * 100)
    assert receiving.inbox.size <= 2 * 60_000 + 5 * MESSAGE_COST
    assert receiving.stalled


def test_many_empty_messages_of_a_client_that_compresses_wait_too() -> None:
    """What a client left behind is read to its end, and may be megabytes of them."""
    receiving = inflating()
    receiving.receive_data(frame(BINARY, b"\0", reserved=0x40) * 10_000)
    assert receiving.stalled
    assert len(receiving.inbox) == 65536 // MESSAGE_COST


def test_an_abandoned_message_is_not_the_next_one() -> None:
    receiving = protocol()
    receiving.stream_next()
    receiving.receive_data(frame(TEXT, b"left", fin=False))
    assert receiving.streamed is not None
    receiving.streamed.drop()
    receiving.collect_next()
    receiving.stream_next()
    assert receiving.streamed is None
    receiving.receive_data(frame(CONTINUATION, b"over") + frame(TEXT, b"the ", fin=False))
    assert receiving.streamed is not None
    assert receiving.streamed.take() == "the "


COMPRESSED_FAULTS = {
    "C02 RSV1 on a Ping": (frame(PING, b"x", reserved=0x40), 1002),
    "RSV1 on a Pong": (frame(PONG, b"x", reserved=0x40), 1002),
    "RSV1 on a Close": (frame(CLOSE, b"\x03\xe8", reserved=0x40), 1002),
    "RSV1 on a continuation": (frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", reserved=0x40), 1002),
    "RSV2 on a compressed message": (frame(TEXT, compressed(b"x"), reserved=0x60), 1002),
    "C03 not DEFLATE": (frame(BINARY, b"\xff" * 20, reserved=0x40), 1007),
    "C03 cut off": (frame(BINARY, compressed(bytes(range(200)))[:-9], reserved=0x40), 1007),
    "C04 over the limit inflated": (frame(BINARY, compressed(bytes(MIB + 1)), reserved=0x40), 1009),
    "C04 over the limit before it is inflated": (frame(BINARY, bytes(MIB + 2), fin=False), 1009),
    "a frame that no message within the limit needs": (
        frame(BINARY, b"", reserved=0x40, length=b"\x7f" + (12 * MIB + 1025).to_bytes(8, "big")),
        1009,
    ),
    "a continuation that no message within the limit needs": (
        frame(BINARY, b"", fin=False, reserved=0x40) + frame(0, b"", length=b"\x7f" + (1 << 62).to_bytes(8, "big")),
        1009,
    ),
    "C07 not UTF-8": (frame(TEXT, compressed(b"abc\xff"), reserved=0x40), 1007),
    "C07 UTF-8 cut at the end": (frame(TEXT, compressed("€".encode()[:2]), reserved=0x40), 1007),
}


@pytest.mark.parametrize("name", COMPRESSED_FAULTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_fault_of_compression_has_its_close_code(name: str, streamed: bool) -> None:
    data, code = COMPRESSED_FAULTS[name]
    for pieces in ([data], cut(data, range(0, len(data), 100))):
        receiving = inflating()
        take_all(receiving, pieces, streamed=streamed)
        assert receiving.failure is not None
        assert receiving.failure.code == code


def test_a_compressed_message_of_exactly_the_limit_passes() -> None:
    data = frame(BINARY, compressed(bytes(MIB)), reserved=0x40)
    assert take_all(inflating(), [data], streamed=False) == [bytes(MIB)]


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_message_that_deflate_makes_much_longer_passes(level: int) -> None:
    noise = Random(0).randbytes(10_000)
    compressor = zlib.compressobj(level, zlib.DEFLATED, -9, 1)
    pieces = [compressor.compress(noise[at : at + 1]) + compressor.flush(zlib.Z_SYNC_FLUSH) for at in range(10_000)]
    payload = b"".join(pieces) + b"\x00"
    assert len(payload) > 65_536
    assert take_all(inflating(10_000), [frame(BINARY, payload, reserved=0x40)], streamed=False) == [noise]


# Control frames


@pytest.mark.parametrize("size", [0, 1, 125])
def test_a_ping_is_kept_to_be_answered(size: int) -> None:
    for outcome in outcomes(frame(PING, b"p" * size)):
        assert outcome == Outcome(ping=b"p" * size)


def test_every_ping_is_kept_in_order() -> None:
    receiving = protocol()
    receiving.receive_data(b"".join(frame(PING, b"%d" % number) for number in range(100)))
    assert receiving.pings == [b"%d" % number for number in range(100)]


def test_an_answered_ping_is_forgotten_until_the_next() -> None:
    receiving = protocol()
    receiving.receive_data(frame(PING, b"1"))
    receiving.pings.clear()
    receiving.receive_data(frame(TEXT, b"a"))
    assert receiving.pings == []
    receiving.receive_data(frame(PING, b"2"))
    assert receiving.pings == [b"2"]


def test_an_unsolicited_pong_is_no_fault() -> None:
    assert outcome_of([frame(PONG, b"nobody asked") + frame(TEXT, b"a")]) == Outcome(["a"], pong=b"nobody asked")


def test_a_ping_between_fragments_disturbs_nothing() -> None:
    data = frame(TEXT, b"he", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b"llo")
    for outcome in outcomes(data):
        assert outcome == Outcome(["hello"], ping=b"?")


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1012, 1014, 3000, 3999, 4000, 4999])
def test_a_close_code_is_taken_with_its_reason(code: int) -> None:
    for outcome in outcomes(close_frame(code, "bye €")):
        assert outcome == Outcome(close=Close(code, "bye €"))


def test_a_close_frame_without_a_payload_is_1005() -> None:
    for outcome in outcomes(frame(CLOSE)):
        assert outcome == Outcome(close=Close(1005, ""))


def test_a_close_reason_may_fill_the_frame() -> None:
    assert outcome_of([close_frame(1000, "x" * 123)]).close == Close(1000, "x" * 123)


def test_a_close_frame_may_come_between_fragments() -> None:
    assert outcome_of([frame(TEXT, b"a", fin=False) + close_frame(1000)]).close == Close(1000, "")


# Against wsproto


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


def compare_with_wsproto(data: bytes, pieces: Sequence[bytes]) -> None:
    ours, theirs = outcome_of(pieces, None), outcome_of_wsproto(frames_taken(data)[0])
    event("same" if ours == theirs else explain(data, ours, theirs))


@settings(deadline=None, max_examples=300)
@given(streams(), places)
def test_valid_streams_are_what_they_are_to_wsproto(stream: tuple[Any, bytes, Any], places: list[int]) -> None:
    data = stream[1]
    assert outcome_of(cut(data, places), None) == outcome_of_wsproto(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff", "the first byte is judged before the second is there"),
        (
            frame(BINARY, b"x" * 126, masked=False)[:2],
            "reserved bits and mask bit are judged before the extended length is there",
        ),
        (frame(CONTINUATION, b"12345")[:4], "the order of messages is judged on the header, before a payload is there"),
        (close_frame(1014), "1014 (bad gateway) was registered after wsproto's table of codes was made"),
        (
            frame(CLOSE, b"\x03\xec\xff"),
            "of a Close frame with a bad code and a bad reason, either fault may be named",
        ),
        (frame(TEXT, b"\xed\xa0", fin=False), "a surrogate is refused at its second byte"),
    ],
)
def test_the_known_differences_from_wsproto_are_there(data: bytes, name: str) -> None:
    assert explain(data, outcome_of([data], None), outcome_of_wsproto(data)) == name


@settings(deadline=None, max_examples=300)
@given(mutated_streams(), places)
def test_broken_streams_differ_from_wsproto_only_where_it_has_a_name(data: bytes, places: list[int]) -> None:
    compare_with_wsproto(data, cut(data, places))


any_frame = st.builds(
    frame,
    st.sampled_from([TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, 3, 11]),
    st.one_of(
        st.binary(max_size=130),
        texts.map(str.encode),
        st.builds(lambda code, reason: code.to_bytes(2, "big") + reason, st.integers(990, 5010), st.binary(max_size=5)),
    ),
    fin=st.booleans(),
    reserved=st.sampled_from([0] * 20 + [0x10, 0x20, 0x40]),
    masked=st.sampled_from([True] * 20 + [False]),
    length=st.sampled_from(
        [None] * 20 + [b"\x7e\x00\x05", b"\x7e\x01\x05", b"\x7f" + bytes(8), b"\x7f\x80" + bytes(7)]
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(any_frame, max_size=6).map(b"".join), places)
def test_any_frames_differ_from_wsproto_only_where_it_has_a_name(data: bytes, places: list[int]) -> None:
    compare_with_wsproto(data, cut(data, places))


def wsproto_extension(agreement: Agreement) -> PerMessageDeflate:
    """The extension as the server of wsproto has it after the same agreement."""
    extension = PerMessageDeflate(
        client_no_context_takeover=not agreement.client_context_takeover,
        client_max_window_bits=agreement.client_window_bits,
        server_no_context_takeover=not agreement.server_context_takeover,
        server_max_window_bits=agreement.server_window_bits,
    )
    extension._enabled = True
    return extension


@settings(deadline=None, max_examples=200)
@given(compressed_streams(pings=0), places)  # after a control frame between fragments wsproto inflates no more
def test_compressed_streams_are_what_they_are_to_wsproto(
    stream: tuple[Agreement, list[str | bytes], bytes], places: list[int]
) -> None:
    agreement, _, data = stream
    theirs = outcome_of_wsproto(data, [wsproto_extension(agreement)])
    receiving = Protocol(Inbox(), MIB, Inflater(agreement))
    assert take_all(receiving, cut(data, places), streamed=False) == theirs.messages
    assert theirs.failure is None


# After the local close


STRUCTURE = (
    frame(TEXT, b"short")
    + frame(BINARY, compressed(bytes(70_000)), reserved=0x40)
    + frame(PING, b"ping")
    + frame(BINARY, bytes(300))
    + frame(TEXT, b"a", fin=False)
    + frame(PONG)
    + frame(CONTINUATION, bytes(700), fin=False)
    + frame(CONTINUATION)
    + frame(TEXT, compressed(b"x" * 200), reserved=0x40, fin=False)[:-3]
    + frame(TEXT, compressed(b"x" * 200), reserved=0x40, fin=False)[-3:]
    + frame(CONTINUATION, b"")
    + frame(BINARY, b"\x00", reserved=0x40)
)


@pytest.mark.parametrize("turn", [1, 1000, 1 << 62])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_the_clients_close_is_found_whenever_the_local_one_came(turn: int, size: int) -> None:
    data = STRUCTURE + close_frame(4000, "bye") + frame(3)
    for place in (*range(60), *range(60, len(STRUCTURE), 53), len(STRUCTURE)):
        receiving = Protocol(Inbox(), MIB, Inflater(Agreement(15, 15, True, True)), turn=turn)
        receiving.receive_data(data[:place])
        receiving.inbox.clear()
        receiving.pings.clear()
        receiving.drop_messages()
        for piece in cut(data[place:], range(0, len(data), size)):
            receiving.receive_data(piece)
        while receiving.stalled:
            receiving.receive_data(b"")
        assert receiving.close == Close(4000, "bye"), (place, receiving.failure)
        assert receiving.failure is None
        assert not receiving.inbox
        assert receiving.pings == []
        assert receiving.message is None or receiving.message.unread == 0


NOT_JUDGED = {
    "text that is not UTF-8": frame(TEXT, b"\xff" * 200),
    "what is not DEFLATE": frame(BINARY, b"\xff" * 200, reserved=0x40),
    "a message over the limit": frame(BINARY, bytes(2 * MIB)),
    "fragments over the limit": frame(BINARY, bytes(MIB), fin=False) + frame(CONTINUATION, bytes(MIB)),
    "too many fragments": frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 70_000 + frame(CONTINUATION),
    "a bomb": frame(BINARY, compressed(bytes(64 * MIB)), reserved=0x40),
}


@pytest.mark.parametrize("name", NOT_JUDGED)
def test_what_is_in_messages_is_not_judged_after_the_local_close(name: str) -> None:
    receiving = inflating()
    receiving.drop_messages()
    receiving.receive_data(NOT_JUDGED[name] + close_frame(1000))
    assert receiving.close == Close(1000, "")


MISPLACED = {
    "RSV2": frame(TEXT, b"x", reserved=0x20),
    "opcode 3": frame(3),
    "no mask": frame(TEXT, b"x", masked=False),
    "a control frame that is too long": frame(PING, bytes(126)),
    "a Ping in fragments": frame(PING, fin=False),
    "a continuation of nothing": frame(CONTINUATION),
    "a message within a message": frame(TEXT, fin=False) + frame(TEXT),
    "a length that is not in its shortest form": frame(TEXT, b"x", length=b"\x7e\x00\x01"),
    "a Close frame with half a code": frame(CLOSE, b"\x03"),
}


@pytest.mark.parametrize("name", MISPLACED)
def test_frames_are_judged_after_the_local_close(name: str) -> None:
    receiving = inflating()
    receiving.drop_messages()
    receiving.receive_data(frame(TEXT, b"before") * 3 + MISPLACED[name] + close_frame(1000))
    assert receiving.failure is not None
    assert receiving.failure.code == 1002
    assert not receiving.stalled
