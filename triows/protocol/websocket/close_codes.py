"""Close codes and what a Close frame says (RFC 6455, sections 5.5.1 and 7.4)."""

from __future__ import annotations

from difflib import get_close_matches
from operator import index
from typing import NamedTuple, SupportsIndex

from ..plain import plain_text

MAX_CONTROL_PAYLOAD = 125  # section 5.5
MAX_CLOSE_REASON = MAX_CONTROL_PAYLOAD - 2

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
NO_STATUS = 1005
ABNORMAL = 1006
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011

#: The registered names of close codes (IANA, WebSocket Close Code Number Registry).
CLOSE_CODE_NAMES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status received",
    1006: "abnormal closure",
    1007: "invalid frame payload data",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS handshake failure",
}


class Close(NamedTuple):
    """What a Close frame says; code 1005 stands for a frame without a code (section 7.1.5)."""

    code: int
    reason: str


def too_big(limit: int) -> Close:
    """What the Close frame says to the sender of a message over ``limit`` bytes."""
    return Close(TOO_BIG, f"message is over {limit} bytes")


class Fault(Exception):
    """What a client did wrong, as the Close frame that it is due. It does not leave this package."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def may_be_sent(code: int) -> bool:
    """Whether a Close frame may carry this code (section 7.4): 1000-1003, 1007-1014, 3000-4999."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def read_close(payload: bytes) -> Close:
    """What a client's Close frame says.

    :raises Fault: if it may not say that (sections 5.5.1 and 7.4).
    """
    if not payload:
        return Close(NO_STATUS, "")
    if len(payload) == 1:
        raise Fault(PROTOCOL_ERROR, "Close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise Fault(INVALID_DATA, "close reason is not UTF-8") from None
    if not may_be_sent(code):
        raise Fault(PROTOCOL_ERROR, f"close code {code} may not be sent")
    return Close(code, reason)


def plain_close(code: SupportsIndex, reason: str) -> Close:
    """Return a code and a reason as an int and a str of no subclasses.

    :raises TypeError: if the code is no whole number, or the reason no text.
    """
    if not isinstance(code, SupportsIndex) or not isinstance(reason, str):
        raise TypeError(
            f"close({code!r:.100}, {reason!r:.100}): the code is a number, and the reason a text after it{_meant(code)}"
        )
    return Close(index(code), plain_text(reason))


def checked_close(code: SupportsIndex, reason: str) -> Close:
    """Return what a Close frame is to say, as :func:`plain_close` does.

    :raises TypeError: if the code is no whole number, or the reason no text.
    :raises ValueError: if a Close frame may not carry them.
    """
    close = plain_close(code, reason)
    if not may_be_sent(close.code):
        raise ValueError(
            f"close code {close.code} may not be sent: use 1000-1003, 1007-1014 or 3000-4999 (RFC 6455, 7.4)"
        )
    size = len(close.reason.encode())
    if size > MAX_CLOSE_REASON:
        raise ValueError(
            f"the close reason is {size} bytes of UTF-8: at most {MAX_CLOSE_REASON} fit into a Close frame"
        )
    return close


def _meant(code: object) -> str:
    """Return the end of a message that says which code a text in its place is, or is the name of; empty if none."""
    if not isinstance(code, str):
        return ""
    if code.strip().isdecimal():
        return f"; write {code.strip():.100} without quotes"
    numbers = {name.lower(): number for number, name in CLOSE_CODE_NAMES.items()}
    close = get_close_matches(code.lower().replace("_", " "), numbers, n=1)
    return f"; the code of {close[0]!r} is {numbers[close[0]]}" if close and may_be_sent(numbers[close[0]]) else ""


def shortened(reason: str) -> str:
    """The reason, cut at a character so that it fits into a Close frame."""
    return reason.encode()[:MAX_CLOSE_REASON].decode(errors="ignore")
