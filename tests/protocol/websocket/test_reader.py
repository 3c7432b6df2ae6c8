"""The sans-I/O protocol: any cut of the bytes gives the same messages, any fault its close code."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from triows.protocol.websocket.close_codes import Close
from triows.protocol.websocket.compression import Agreement
from triows.protocol.websocket.deflate import Inflater
from triows.protocol.websocket.inbox import MESSAGE_COST, Inbox
from triows.protocol.websocket.reader import MessageReader

from ...support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame
from .streams import (
    MIB,
    Outcome,
    bounded,
    compressed,
    cut,
    in_bytes,
    inflating,
    mutated_streams,
    outcome_of,
    outcomes,
    places,
    protocol,
    streams,
)

# Messages


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
    within, beyond = MessageReader(Inbox(), max_fragments=limit), MessageReader(Inbox(), max_fragments=limit)
    within.receive_data(data + frame(CONTINUATION, b"end"))
    assert list(within.inbox) == [payload * limit + b"end"]
    beyond.receive_data(data)
    assert beyond.failure is None
    beyond.receive_data(frame(CONTINUATION, payload, fin=False)[:2])  # the header says it
    assert beyond.failure == Close(1008, f"message is in over {limit} fragments")


def test_fragments_are_counted_for_each_message_by_itself() -> None:
    receiving = MessageReader(Inbox(), max_fragments=2)
    data = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) + frame(CONTINUATION, b"c")
    receiving.receive_data(data * 5)
    assert list(receiving.inbox) == ["abc"] * 5


def test_a_message_in_one_frame_is_no_fragment_of_anything() -> None:
    receiving = MessageReader(Inbox(), max_fragments=1)
    for byte in frame(BINARY, b"x" * 200) * 3:
        receiving.receive_data(bytes([byte]))
    assert list(receiving.inbox) == [b"x" * 200] * 3


def test_fragments_of_a_compressed_message_are_counted_too() -> None:
    receiving = MessageReader(Inbox(), MIB, Inflater(Agreement(15, 15, True, True)), max_fragments=3)
    receiving.receive_data(frame(BINARY, b"", fin=False, reserved=0x40) + frame(CONTINUATION, fin=False) * 3)
    assert receiving.failure is not None
    assert receiving.failure.code == 1008


def test_65536_fragments_are_the_default() -> None:
    data = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * 65_535
    assert outcome_of([data + frame(CONTINUATION)]).messages == [b""]
    assert outcome_of([data + frame(CONTINUATION, fin=False)]).failure == 1008


def test_control_frames_do_not_count_as_fragments() -> None:
    receiving = MessageReader(Inbox(), max_fragments=1)
    receiving.receive_data(frame(TEXT, b"a", fin=False) + frame(PING) * 50 + frame(CONTINUATION, b"b"))
    assert list(receiving.inbox) == ["ab"]


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
        receiving = MessageReader(Inbox(), MIB, Inflater(Agreement(15, 15, True, True)), turn=turn)
        receiving.receive_data(data[:place])
        receiving.inbox.clear()
        receiving.pings.clear()
        receiving.drop_messages()
        for piece in cut(data[place:], range(0, len(data), size)):
            receiving.receive_data(piece)
        while receiving.holds_bytes:
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
    assert not receiving.holds_bytes


def test_a_large_text_in_one_frame_that_is_not_utf8_is_1007() -> None:
    receiving = MessageReader(Inbox())
    receiving.receive_data(frame(TEXT, b"x" * 70_000 + b"\xff"))
    assert (receiving.failure, list(receiving.inbox)) == (Close(1007, "text is not UTF-8"), [])
