"""Byte ranges: what is asked for, what of it is there, and the body that has several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triows.protocol.ranges import MAX_RANGES, byte_ranges, content_range, multipart

HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("bytes=0-3", [(0, 4)]),
        ("bytes=3-3", [(3, 4)]),
        ("bytes=3-", [(3, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-99", [(0, 10)]),
        ("bytes=3-99", [(3, 10)]),
        (f"bytes=3-{HUGE}", [(3, 10)]),
        (f"bytes=-{HUGE}", [(0, 10)]),
        (f"bytes={'0' * 5000}3-4", [(3, 5)]),
        ("BYTES=0-0", [(0, 1)]),
        ("bytes= 0-0 ,\t2-2", [(0, 1), (2, 3)]),
        ("bytes=,0-0,,2-2,", [(0, 1), (2, 3)]),
        ("bytes=8-9,0-1", [(8, 10), (0, 2)]),
        ("bytes=0-1,2-3", [(0, 2), (2, 4)]),
        ("bytes=0-1,20-30,-1", [(0, 2), (9, 10)]),
    ],
)
def test_ranges_are_those_that_are_there_in_the_order_of_the_header(header: str, ranges: list[tuple[int, int]]) -> None:
    assert byte_ranges(header, 10) == ranges


@pytest.mark.parametrize(
    "header",
    [
        "bytes=10-",
        "bytes=10-20",
        f"bytes={HUGE}-",
        "bytes=-0",
        "bytes=3-2",
        "bytes=0-1,3-2",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=+1-2",
        "bytes=1--2",
        "bytes=0x1-2",
        "bytes=١-٢",
        "bytes 0-3",
        "",
        "seconds=0-3",
        "bytes=0-1;2-3",
    ],
)
def test_a_header_that_is_malformed_or_asks_for_nothing_there_has_no_ranges(header: str) -> None:
    assert byte_ranges(header, 10) == []


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("bytes=0-,0-,0-,0-", [(0, 10)]),
        ("bytes=5-9,0-5", [(0, 10)]),
        ("bytes=0-8,2-3,9-9", [(0, 9), (9, 10)]),
        ("bytes=-5,-6,1-2", [(1, 3), (4, 10)]),
    ],
)
def test_ranges_that_overlap_are_put_together(header: str, ranges: list[tuple[int, int]]) -> None:
    assert byte_ranges(header, 10) == ranges


def test_the_number_of_ranges_is_limited() -> None:
    many = [f"{number * 2}-{number * 2}" for number in range(MAX_RANGES + 1)]
    assert len(byte_ranges(f"bytes={','.join(many[:-1])}", 1000)) == MAX_RANGES
    assert byte_ranges(f"bytes={','.join(many)}", 1000) == []


@given(header=st.text("0123456789-, =bytes"), size=st.integers(1, 50))
def test_any_header_has_ranges_of_the_body_that_do_not_overlap(header: str, size: int) -> None:
    ranges = byte_ranges(f"bytes={header}", size)
    assert all(0 <= start < stop <= size for start, stop in ranges)
    assert len({byte for start, stop in ranges for byte in range(start, stop)}) == sum(b - a for a, b in ranges)


def test_content_range_names_the_last_byte_and_the_whole() -> None:
    assert content_range((0, 4), 10) == "bytes 0-3/10"


def test_several_ranges_are_parts_of_one_body() -> None:
    assert multipart([(0, 2), (8, 10)], 10, "text/plain", "limit") == [
        b"\r\n--limit\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n",
        (0, 2),
        b"\r\n--limit\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n",
        (8, 10),
        b"\r\n--limit--\r\n",
    ]
    assert multipart([(0, 2)], 10, None, "limit")[0] == b"\r\n--limit\r\nContent-Range: bytes 0-1/10\r\n\r\n"
