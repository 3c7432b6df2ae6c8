"""Frames as bytes: their heads, and what a Close frame carries."""

from __future__ import annotations

import pytest

from triows.protocol.websocket.close_codes import NO_STATUS
from triows.protocol.websocket.frames import BINARY, CLOSE, PING, TEXT, encode, encode_close


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (1, b"\x82\x01"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_length_is_encoded_in_its_shortest_form(size: int, head: bytes) -> None:
    payload = b"x" * size
    assert encode(BINARY, payload) == head + payload


@pytest.mark.parametrize(("opcode", "first"), [(TEXT, 0x81), (BINARY, 0x82), (CLOSE, 0x88), (PING, 0x89)])
def test_a_frame_is_final_and_unmasked(opcode: int, first: int) -> None:
    assert encode(opcode, b"abc") == bytes([first, 3]) + b"abc"


def test_a_close_frame_carries_code_and_reason() -> None:
    assert encode_close(1001, "bye €") == b"\x88\x09\x03\xe9bye \xe2\x82\xac"


def test_the_code_1005_stands_for_a_close_frame_without_one() -> None:
    assert encode_close(NO_STATUS) == b"\x88\x00"
