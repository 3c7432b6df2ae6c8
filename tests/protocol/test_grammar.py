"""Tokens and header lines: what they are, and that no text makes the search for them long."""

from __future__ import annotations

import re

import pytest

from triows.protocol.grammar import BYTES_TOKEN, FIELD, TOKEN, is_token

CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # RFC 9110, section 5.6.2


def test_a_token_has_the_characters_of_the_rfc_and_no_others() -> None:
    assert {chr(code) for code in range(256) if is_token(chr(code))} == set(CHARACTERS)
    assert {bytes([code]) for code in range(256) if re.fullmatch(BYTES_TOKEN, bytes([code]))} == {
        character.encode() for character in CHARACTERS
    }
    assert is_token(CHARACTERS)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "\na", "é", "a:"])
def test_what_is_only_partly_a_token_is_none(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"name: value\r\n", (b"name", b"value")),
        (b"name:value \t \r\n", (b"name", b"value")),
        (b"name: a  b\r\n", (b"name", b"a  b")),
        (b"name:\r\n", (b"name", b"")),
        (b"name: \xe9\r\n", (b"name", b"\xe9")),
        (b"name : value\r\n", None),
        (b" name: value\r\n", None),
        (b"name: a\0b\r\n", None),
        (b"name: value\n", None),
        (b": value\r\n", None),
    ],
)
def test_a_header_line_is_a_token_a_colon_and_a_value(line: bytes, field: tuple[bytes, bytes] | None) -> None:
    match = FIELD.fullmatch(b"\n" + line, 1)
    assert (None if match is None else match.groups()) == field


def test_a_token_gives_no_character_back() -> None:
    """Else a text of such characters alone would be tried at each of its lengths, and each of these at each."""
    assert re.match(f"{TOKEN}{TOKEN}", "x" * 100_000) is None
