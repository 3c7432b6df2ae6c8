"""A message whose frames are still coming: what is there can be taken at any time, and never half a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triows.protocol.websocket.close_codes import Fault
from triows.protocol.websocket.compression import Agreement, Compression
from triows.protocol.websocket.deflate import Deflater, Inflater
from triows.protocol.websocket.partial_message import STEP, PartialMessage

BOTH = Agreement(15, 15, True, True)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), st.lists(st.integers(0, 200), max_size=10))
def test_text_is_taken_in_whole_characters(text: str, places: list[int]) -> None:
    message = PartialMessage(True, 1000, None)
    data = text.encode()
    taken = ""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    for start, end in zip([0, *ends], ends, strict=False):
        message.begin_frame()
        message.add(data[start:end])
        unread = message.unread
        piece = message.take()
        assert isinstance(piece, str)
        assert len(piece.encode()) == unread
        assert message.unread == 0
        taken += piece
    message.end()
    assert taken == text
    assert message.ended
    assert message.take() == ""


def test_what_was_collected_can_still_be_taken_in_pieces() -> None:
    message = PartialMessage(False, 1000, None)
    message.add(b"ab")
    message.add(b"cd")
    assert message.take() == b"abcd"
    message.add(b"e")
    message.end()
    assert message.whole() == b"e"
    assert message.size == 5


def test_a_dropped_message_is_counted_and_checked_and_not_kept() -> None:
    message = PartialMessage(True, 10, None)
    message.add("a€".encode()[:2])
    message.drop()
    message.add("€".encode()[1:])
    assert message.unread == 0
    assert message.size == 4
    with pytest.raises(Fault, match="message is over 10 bytes"):
        message.check_frame(7, False)
    with pytest.raises(Fault, match="text is not UTF-8"):
        message.add(b"\xff")


@pytest.mark.parametrize("streamed", [False, True])
def test_it_is_inflated_in_steps(streamed: bool) -> None:
    message = PartialMessage(False, 10 * STEP, Inflater(BOTH))
    message.streamed = streamed
    message.add(Deflater(BOTH, Compression()).deflate(bytes(3 * STEP)))
    message.end()
    sizes = []
    while not message.ended:
        assert message.pending
        sizes.append(message.size)
        message.inflate_more()
    assert all(size % STEP == 0 for size in sizes)
    assert message.whole() == bytes(3 * STEP)


def test_a_bomb_is_found_out_one_byte_beyond_the_limit() -> None:
    message = PartialMessage(False, 1000, Inflater(BOTH))
    with pytest.raises(Fault, match="message is over 1000 bytes") as caught:
        message.add(Deflater(BOTH, Compression()).deflate(bytes(1 << 20)))
    assert caught.value.code == 1009
    assert message.unread == 0
