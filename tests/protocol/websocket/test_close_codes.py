"""Close codes and reasons: which may be sent, and how long a reason may be."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triows.protocol.websocket.close_codes import (
    CLOSE_CODE_NAMES,
    MAX_CLOSE_REASON,
    checked_close,
    may_be_sent,
    shortened,
)
from triows.protocol.websocket.frames import encode_close

SENDABLE = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
NOT_SENDABLE = [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535, 65536]


@pytest.mark.parametrize("code", SENDABLE)
def test_these_codes_may_be_sent(code: int) -> None:
    assert may_be_sent(code)
    checked_close(code, "")


@pytest.mark.parametrize("code", NOT_SENDABLE)
def test_these_codes_may_not_be_sent(code: int) -> None:
    assert not may_be_sent(code)
    with pytest.raises(ValueError, match=f"close code {code} may not be sent: use 1000-1003"):
        checked_close(code, "")


def test_every_named_code_below_3000_may_be_sent_unless_it_is_only_for_reports() -> None:
    assert {code for code in CLOSE_CODE_NAMES if not may_be_sent(code)} == {1005, 1006, 1015}


@pytest.mark.parametrize("reason", ["x" * 123, "€" * 41])
def test_a_reason_of_123_bytes_fits(reason: str) -> None:
    checked_close(1000, reason)
    assert len(encode_close(1000, reason)) == 2 + 125


@pytest.mark.parametrize(("reason", "size"), [("x" * 124, 124), ("€" * 42, 126)])
def test_a_longer_reason_is_refused_and_its_size_named(reason: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"the close reason is {size} bytes of UTF-8: at most 123 fit"):
        checked_close(1000, reason)


@pytest.mark.parametrize(("code", "reason"), [("bye", ""), (1000, b"bye"), (1000, None), (None, "bye"), (1e3, "")])
def test_a_code_is_a_number_and_a_reason_text(code: Any, reason: Any) -> None:
    with pytest.raises(TypeError, match="the code is a number, and the reason a text after it"):
        checked_close(code, reason)


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("going_away", "the code of 'going away' is 1001"),
        ("GOING_AWAY", "the code of 'going away' is 1001"),
        ("Normal closure", "the code of 'normal closure' is 1000"),
        ("try_again", "the code of 'try again later' is 1013"),
        ("1008", "write 1008 without quotes"),
    ],
)
def test_a_text_in_place_of_a_code_is_told_the_code(code: Any, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"close\('{code}', ''\): the code is a number.*; {meant}$"):
        checked_close(code, "")


@pytest.mark.parametrize("code", ["bye", "abnormal closure", "TLS handshake failure"])
def test_a_text_that_names_no_code_that_may_be_sent_is_told_none(code: Any) -> None:
    with pytest.raises(TypeError, match=r"the reason a text after it$"):
        checked_close(code, "")


def test_what_is_sent_is_of_no_subclass() -> None:
    class Code(IntEnum):
        BUSY = 4000

    class Reason(str): ...

    close = checked_close(Code.BUSY, Reason("busy"))
    assert (close, type(close.code), type(close.reason)) == ((4000, "busy"), int, str)


def test_a_reason_that_fits_is_not_shortened() -> None:
    assert shortened("é" * 61) == "é" * 61


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_reason_is_shortened_at_a_character(reason: str) -> None:
    short = shortened(reason)
    size = len(short.encode())
    assert reason.startswith(short)
    assert size <= MAX_CLOSE_REASON
    if short != reason:
        assert size + len(reason[len(short)].encode()) > MAX_CLOSE_REASON  # not one character too short
