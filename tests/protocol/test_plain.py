"""Subclasses of str and bytes as the text and the bytes that they are, whatever they make of themselves."""

from __future__ import annotations

import enum

import pytest

from triows.protocol.plain import plain, plain_bytes, plain_text


class Kind(str, enum.Enum):  # noqa: UP042 - whose str() is not its text
    PING = "ping"


class Loud(str):
    def __str__(self) -> str:
        return self.upper()


class Sealed(bytes):
    def __bytes__(self) -> bytes:
        return b"sealed"


class SealedArray(bytearray):
    def __bytes__(self) -> bytes:
        return b"sealed"


@pytest.mark.parametrize("value", [Kind.PING, Loud("ping"), "ping"])
def test_a_text_of_a_subclass_is_the_text(value: str) -> None:
    text = plain_text(value)
    assert text == "ping"
    assert type(text) is str


@pytest.mark.parametrize(
    "value", [Sealed(b"ping"), SealedArray(b"ping"), bytearray(b"ping"), memoryview(b"p-i-n-g")[::2], b"ping"]
)
def test_bytes_of_a_subclass_are_the_bytes(value: bytes) -> None:
    data = plain_bytes(value)
    assert data == b"ping"
    assert type(data) is bytes


def test_what_is_no_text_stays_as_it_is() -> None:
    text = plain(Kind.PING)
    assert (text, type(text)) == ("ping", str)
    for value in (Sealed(b"ping"), 1, None):
        assert plain(value) is value


def test_bytes_of_no_subclass_are_not_copied() -> None:
    data = b"ping" * 1000
    assert plain_bytes(data) is data
