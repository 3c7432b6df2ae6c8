"""Event streams: how events are written, and read back by the rules of HTML, 9.2.6."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triows.protocol.event_stream import Block, EventReader, encode


def read(stream: bytes) -> list[Block]:
    return EventReader().feed(stream)


def test_each_line_of_a_value_is_a_field() -> None:
    assert encode([("", "note"), ("data", "a\r\nb\rc\nd"), ("id", "5")]) == (
        b": note\ndata: a\ndata: b\ndata: c\ndata: d\nid: 5\n\n"
    )


def test_what_str_splitlines_splits_at_ends_no_line() -> None:
    assert encode([("data", "a\x0b\x1c\x85\u2028b")]) == "data: a\x0b\x1c\x85\u2028b\n\n".encode()


# The streams that HTML, 9.2.6, has as examples.
@pytest.mark.parametrize(
    ("stream", "blocks"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Block("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [Block("first event", id="1"), Block("second event", id=""), Block(" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [Block(""), Block("\n")]),
        (b"data:test\n\ndata: test\n\n", [Block("test"), Block("test")]),
    ],
)
def test_the_examples_of_the_standard(stream: bytes, blocks: list[Block]) -> None:
    assert read(stream) == blocks


@pytest.mark.parametrize(
    ("stream", "block"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", Block("a")),
        (b"event: e\nretry: 15\ndata: a\n\n", Block("a", "e", None, 15)),
        (b"retry: soon\nretry: -1\nretry: 1" + b"0" * 5000 + b"\ndata: a\n\n", Block("a")),
        (b"id: a\0b\ndata: a\n\n", Block("a")),
        (b"data: \xff\n\n", Block("�")),
        (b"unknown: x\ndata: a\n\n", Block("a")),
    ],
)
def test_fields(stream: bytes, block: Block) -> None:
    assert read(stream) == [block]


def test_a_byte_order_mark_may_come_in_pieces() -> None:
    reader = EventReader()
    assert [reader.feed(piece) for piece in (b"", b"\xef", b"\xbb", b"\xbfdata: a\n\n")] == [[], [], [], [Block("a")]]


def test_empty_lines_without_anything_between_them_are_no_events() -> None:
    assert read(b"\n\ndata: a\n\n\n\ndata: b\n\n") == [Block("a"), Block("b")]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=1, max_size=4),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
    st.integers(1, 5),
)
def test_however_a_stream_is_cut_it_is_read_as_it_was_written(values: list[str], line_end: bytes, size: int) -> None:
    stream = b"".join(encode([("data", value)]) for value in values).replace(b"\n", line_end) + b":" + line_end
    reader = EventReader()
    blocks = [block for start in range(0, len(stream), size) for block in reader.feed(stream[start : start + size])]
    joined = [value.replace("\r\n", "\n").replace("\r", "\n") for value in values]
    assert blocks == [Block(value) for value in joined]
