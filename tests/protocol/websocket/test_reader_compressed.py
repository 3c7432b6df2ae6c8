"""Compressed messages and messages in pieces: any cut of the bytes gives the same, any fault its close code.

Tests triows/protocol/websocket/reader.py.
"""

from __future__ import annotations

import zlib
from random import Random
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from triows.protocol.websocket.compression import Agreement
from triows.protocol.websocket.deflate import Inflater
from triows.protocol.websocket.inbox import MESSAGE_COST, Inbox
from triows.protocol.websocket.reader import MessageReader

from ...support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from .streams import MIB, bounded, compressed, compressed_streams, cut, inflating, places, protocol, streams, take_all


@bounded
@given(compressed_streams(), places, st.booleans())
def test_compressed_and_streamed_messages_arrive_whatever_the_segments_and_fragments(
    stream: tuple[Agreement, list[str | bytes], bytes], places: list[int], streamed: bool
) -> None:
    agreement, sent, data = stream
    receiving = MessageReader(Inbox(), MIB, Inflater(agreement))
    assert take_all(receiving, cut(data, places), streamed=streamed) == sent
    assert receiving.failure is None
    assert not receiving.holds_bytes


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
    receiving = MessageReader(Inbox(), MIB, Inflater(Agreement(15, 15, True, True)))
    take_all(receiving, cut(bytes(raw), places), streamed=streamed)
    event(f"failure {receiving.failure.code if receiving.failure else None}")


@pytest.mark.parametrize("streamed", [False, True])
def test_all_that_the_bytes_of_half_a_frame_hold_is_inflated(streamed: bool) -> None:
    payload = compressed(bytes(200_000) + b"end")
    data = frame(BINARY, payload + b"what is not there yet", reserved=0x40)[: -len(b"what is not there yet")]
    receiving = inflating()
    if streamed:
        receiving.stream_next()
    receiving.receive_data(data)
    while receiving.holds_bytes:
        assert receiving.message is not None
        if streamed:
            receiving.message.take()
        receiving.read_on()
    assert receiving.message is not None
    assert receiving.message.size == 200_003


def test_what_is_inflated_waits_while_the_buffer_is_full() -> None:
    receiving = inflating(64 * MIB)
    receiving.receive_data(frame(BINARY, compressed(bytes(16 * MIB)), reserved=0x40) + frame(TEXT, b"next"))
    assert receiving.holds_bytes
    assert receiving.message is not None
    assert 65536 <= receiving.message.unread <= 3 * 65536
    receiving.read_on()
    assert [len(message) for message in receiving.inbox] == [16 * MIB]
    receiving.inbox.clear()
    receiving.receive_data(b"")
    assert list(receiving.inbox) == ["next"]
    assert not receiving.holds_bytes


def test_many_small_messages_that_are_large_inflated_are_not_all_inflated_at_once() -> None:
    receiving = inflating()
    small = frame(BINARY, compressed(bytes(60_000)), reserved=0x40)
    receiving.receive_data(small + frame(BINARY, b"\0", reserved=0x40) * 3 + small * 100)
    assert receiving.inbox.size <= 2 * 60_000 + 5 * MESSAGE_COST
    assert receiving.holds_bytes


def test_many_empty_messages_of_a_client_that_compresses_wait_too() -> None:
    """What a client left behind is read to its end, and may be megabytes of them."""
    receiving = inflating()
    receiving.receive_data(frame(BINARY, b"\0", reserved=0x40) * 10_000)
    assert receiving.holds_bytes
    assert len(receiving.inbox) == 65536 // MESSAGE_COST


def test_an_abandoned_message_is_not_the_next_one() -> None:
    receiving = protocol()
    receiving.stream_next()
    receiving.receive_data(frame(TEXT, b"left", fin=False))
    assert receiving.streamed is not None
    receiving.streamed.drop()
    receiving.stop_streaming()
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
