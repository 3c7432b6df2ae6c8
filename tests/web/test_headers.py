"""Headers of responses as bytes: what would not be read as it was given is refused."""

from __future__ import annotations

import pytest

from triows.web.headers import ResponseHeaders, encode_headers


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=1", "a\nb", "a\0b", "\udc80"])
def test_header_values_cannot_break_out(value: str) -> None:
    with pytest.raises(ValueError, match="X-Name"):
        encode_headers([("X-Name", value)])


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é"])
def test_header_names_are_tokens(name: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        encode_headers([(name, "value")])


@pytest.mark.parametrize("value", ["naïve", "€", "\x85\xa0"])
def test_header_values_are_utf_8(value: str) -> None:
    assert encode_headers([("X-Name", value)]) == [(b"x-name", value.encode())]


def test_pairs_are_replaced_by_an_index_or_a_slice() -> None:
    headers = ResponseHeaders([("A", "1"), ("B", "2"), ("C", "3")])
    headers[0] = ("D", 4)
    headers[1:] = (pair for pair in [("E", "5")])
    headers["F"] = "6"
    assert [*headers] == [("D", "4"), ("E", "5"), ("F", "6")]
