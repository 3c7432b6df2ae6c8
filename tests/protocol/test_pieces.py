"""Bytes that come in pieces cost the memory of the bytes."""

from __future__ import annotations

import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triows.protocol.pieces import Pieces

sizes = st.lists(st.sampled_from([0, 1, 2, 100, 4095, 4096, 70_000]), max_size=20)


def given_out(pieces: Pieces) -> list[bytes]:
    taken = []
    while pieces.size:
        taken.append(pieces.popleft())
    return taken


@given(sizes)
def test_what_came_is_given_out_in_order(lengths: list[int]) -> None:
    came = [bytes([number]) * length for number, length in enumerate(lengths)]
    joined, taken = Pieces(), Pieces()
    for piece in came:
        joined.append(piece)
        taken.append(piece)
        assert joined.size == taken.size
    out = given_out(taken)
    assert joined.joined() == b"".join(out) == b"".join(came)
    assert b"" not in out
    assert len(given_out(joined)) == (1 if out else 0)


def test_what_was_joined_is_one_object_from_then_on() -> None:
    pieces = Pieces()
    pieces.append(b"a" * 10)
    pieces.append(b"b" * 10_000)
    assert pieces.joined() is pieces.joined()
    assert type(pieces.joined()) is bytes


def test_a_large_piece_is_not_copied() -> None:
    pieces, data = Pieces(), b"x" * 4096
    pieces.append(data)
    assert pieces.joined() is data
    assert pieces.popleft() is data


def test_after_it_is_cleared_nothing_is_there() -> None:
    pieces = Pieces()
    pieces.append(b"x")
    pieces.clear()
    assert (pieces.size, pieces.joined()) == (0, b"")


@pytest.mark.parametrize("piece", [1, 2, 100, 4095, 4096])
def test_the_pieces_cost_little_more_than_their_bytes(piece: int) -> None:
    size = 512 * 1024 // piece * piece
    tracemalloc.start()
    pieces = Pieces()
    for number in range(size // piece):
        pieces.append(bytes([number % 256]) * piece)
    cost, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pieces.size == size
    assert cost < 1.5 * size + sys.getsizeof(pieces)
