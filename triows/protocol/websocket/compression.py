"""permessage-deflate: its settings, and what server and client agree on (RFC 7692, sections 5 and 7.1).

An offer with a parameter that is unknown, repeated, or of a wrong value is declined, and the next one is looked at (5,
7.1). What a client asks of the server is in the answer, or the offer is declined (7.1.1.1, 7.1.2.1). The answer limits
the client's window only if the client offers that (7.1.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..grammar import TOKEN

NAME = "permessage-deflate"


@dataclass(frozen=True, slots=True)
class Compression:
    """How messages are compressed with permessage-deflate (RFC 7692), where a client offers it.

    The memory of a connection follows from these settings: see the guide to compression. A value of the wrong type
    raises :exc:`TypeError`, one out of range :exc:`ValueError`; both name it.
    """

    min_size: int = 128
    """Bytes (of UTF-8, for text) below which a message is sent as it is."""
    level: int = 3
    """zlib's level, from 1 (fastest) to 9 (smallest)."""
    mem_level: int = 5
    """zlib's memLevel, from 1 to 9; a compressor takes ``2 ** (mem_level + 9)`` bytes for it."""
    window_bits: int = 12
    """Largest window of the compressor, from 9 to 15 bits; it takes ``2 ** (window_bits + 2)`` bytes for it. A client
    may ask for a smaller one."""
    client_window_bits: int = 12
    """Largest window of a client's compressor, from 9 to 15 bits, if the client lets us say; else it is 15. Inflating
    takes ``2 ** client_window_bits`` bytes for it."""
    context_takeover: bool = True
    """Whether the server's window is kept from one message to the next. A client may forbid it."""
    client_context_takeover: bool = True
    """Whether clients may keep their window from one message to the next."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))


_RANGES = {"level": (1, 9), "mem_level": (1, 9), "window_bits": (9, 15), "client_window_bits": (9, 15)}


def _check(name: str, value: Any) -> None:
    if name.endswith("context_takeover"):
        if not isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}; it must be True or False")
    elif isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; it must be a whole number (int)")
    elif name == "min_size":
        if value < 0:
            raise ValueError(f"{name} is {value!r}; it must be a number of bytes, or 0 to compress every message")
    else:
        low, high = _RANGES[name]
        if not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; it must be from {low} to {high}")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What client and server have agreed on."""

    server_window_bits: int
    """Largest window of the server's compressor."""
    client_window_bits: int
    """Largest window of the client's compressor."""
    server_context_takeover: bool
    client_context_takeover: bool
    header: str = NAME
    """The value of ``Sec-WebSocket-Extensions`` to answer with."""


# The grammar of an offer (RFC 6455, section 9.1), possessive throughout, so that no header makes the search long. No
# group captures within a possessive repetition: for some texts CPython 3.11 raises SystemError then.
_QUOTED = r'"(?:[^"\\]|\\.)*+'
_VALUE = rf'(?:{TOKEN}|{_QUOTED}")'
_OFFER = re.compile(rf"[ \t]*+({TOKEN})(?:[ \t]*+;[ \t]*+{TOKEN}(?:[ \t]*+=[ \t]*+{_VALUE})?+)*+[ \t]*+", re.DOTALL)
_PARAMETER = re.compile(rf";[ \t]*+({TOKEN})(?:[ \t]*+=[ \t]*+({_VALUE}))?", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# What lies between commas; an open quote ends with the text.
_MEMBER = re.compile(rf'(?:[^,"]|{_QUOTED}"?+)++', re.DOTALL)

# Each parameter's values and what they mean; "" stands for the bare name. Decimal, without leading zeros (7.1.2).
# zlib has no raw window of 8 bits, and does not promise that its window of 9 reaches no further back than 8 would: a
# server_max_window_bits of 8 cannot be honoured, so that such an offer is declined. A client's own 8 is read as 9.
_BITS: dict[str, int] = {str(bits): bits for bits in range(8, 16)}
_ALLOWED: dict[str, dict[str, int]] = {
    "server_no_context_takeover": {"": 1},
    "client_no_context_takeover": {"": 1},
    "server_max_window_bits": {value: bits for value, bits in _BITS.items() if bits > 8},
    "client_max_window_bits": {**_BITS, "": 15},
}


def negotiate(offers: Sequence[str], settings: Compression) -> Agreement | None:
    """Accept the first offer that can be; None if there is none, and messages are not compressed.

    :param offers: the values of all ``Sec-WebSocket-Extensions`` lines of the handshake.
    """
    for line in offers:
        for member in _MEMBER.findall(line):
            offer = _OFFER.fullmatch(member)
            if offer is not None and offer[1] == NAME:
                agreement = _accept(_PARAMETER.findall(member, offer.end(1)), settings)
                if agreement is not None:
                    return agreement
    return None


def _accept(parameters: Sequence[tuple[str, str]], settings: Compression) -> Agreement | None:
    asked: dict[str, int] = {}
    for name, value in parameters:
        if value.startswith('"'):
            value = _ESCAPE.sub(r"\1", value[1:-1]) or value
        if name in asked or value not in _ALLOWED.get(name, ()):
            return None
        asked[name] = _ALLOWED[name][value]
    server_bits = min(asked.get("server_max_window_bits", 15), settings.window_bits)
    client_bits = 15
    if "client_max_window_bits" in asked:
        client_bits = min(asked["client_max_window_bits"], settings.client_window_bits)
    server_takeover = settings.context_takeover and "server_no_context_takeover" not in asked
    client_takeover = settings.client_context_takeover and "client_no_context_takeover" not in asked
    answer = [NAME]
    if not server_takeover:
        answer.append("server_no_context_takeover")
    if not client_takeover:
        answer.append("client_no_context_takeover")
    # Allowed unasked, but some clients refuse it then, and few make use of it.
    if "server_max_window_bits" in asked:
        answer.append(f"server_max_window_bits={server_bits}")
    if client_bits < 15:
        answer.append(f"client_max_window_bits={client_bits}")
    return Agreement(server_bits, client_bits, server_takeover, client_takeover, "; ".join(answer))
