"""Masks, taken off in Python and by the C extension."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from triows.protocol.websocket import masking as masks
from triows.protocol.websocket.masking import unmask, unmask_in_python

MASKS = st.binary(min_size=4, max_size=4)
AROUND_THE_CHANGE = [masks._SMALL + offset for offset in range(-5, 6)]


def naive(data: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=2000), MASKS)
@example(b"", b"abcd")
def test_unmasking_in_python_is_an_exclusive_or(data: bytes, mask: bytes) -> None:
    assert unmask_in_python(data, mask) == naive(data, mask)


@pytest.mark.parametrize("size", [*range(10), *AROUND_THE_CHANGE, 65535, 65536, 65537])
@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x12\x34\x56\x78", b"\0\0\0\x80"])
def test_every_size_is_unmasked_by_both_ways(size: int, mask: bytes) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    expected = naive(data, mask)
    assert unmask_in_python(data, mask) == expected
    assert unmask(data, mask) == expected


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=2000), MASKS)
def test_unmasking_in_python_equals_the_c_extension(data: bytes, mask: bytes) -> None:
    speedups = pytest.importorskip("websockets.speedups")
    assert unmask_in_python(data, mask) == speedups.apply_mask(data, mask)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=2000), MASKS)
def test_unmasking_twice_gives_the_data_back(data: bytes, mask: bytes) -> None:
    assert unmask(unmask(data, mask), mask) == data


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=1500), MASKS, st.integers(0, 1500))
def test_data_can_be_unmasked_from_any_offset_with_a_turned_mask(data: bytes, mask: bytes, cut: int) -> None:
    turn = cut & 3
    rest = unmask_in_python(data[cut:], mask[turn:] + mask[:turn])
    assert unmask_in_python(data[:cut], mask) + rest == naive(data, mask) or cut > len(data)


def test_the_result_is_bytes_whatever_the_size() -> None:
    for size in (0, 1, masks._SMALL, masks._SMALL + 1):
        assert type(unmask_in_python(b"x" * size, b"abcd")) is bytes
        assert type(unmask(b"x" * size, b"abcd")) is bytes


def choose_with(monkeypatch: pytest.MonkeyPatch, speedups: Any) -> Callable[[bytes, bytes], bytes]:
    monkeypatch.setitem(sys.modules, "websockets.speedups", speedups)
    return masks._choose()


def test_without_the_c_extension_python_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_with(monkeypatch, None) is unmask_in_python


def test_the_c_extension_is_chosen_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    speedups = pytest.importorskip("websockets.speedups")
    assert choose_with(monkeypatch, speedups) is speedups.apply_mask
