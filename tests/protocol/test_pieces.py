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
    pieces = Pieces()
    for piece in came:
        pieces.append(piece)
    assert pieces.size == sum(lengths)
    out = given_out(pieces)
    assert b"".join(out) == b"".join(came)
    assert b"" not in out


def test_a_large_piece_is_not_copied() -> None:
    pieces, data = Pieces(), b"x" * 4096
    pieces.append(data)
    assert pieces.popleft() is data


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
