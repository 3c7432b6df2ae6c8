"""The same bytes read by wsproto: it takes the same messages out of them, but where the difference has a name.

Tests triows/protocol/websocket/reader.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from wsproto.extensions import PerMessageDeflate

from triows.protocol.websocket.compression import Agreement
from triows.protocol.websocket.deflate import Inflater
from triows.protocol.websocket.inbox import Inbox
from triows.protocol.websocket.reader import MessageReader

from ...support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame
from .streams import (
    MIB,
    compressed_streams,
    cut,
    mutated_streams,
    outcome_of,
    places,
    streams,
    take_all,
    texts,
)
from .wsproto_reader import explain, frames_taken, outcome_of_wsproto


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
    receiving = MessageReader(Inbox(), MIB, Inflater(agreement))
    assert take_all(receiving, cut(data, places), streamed=False) == theirs.messages
    assert theirs.failure is None
