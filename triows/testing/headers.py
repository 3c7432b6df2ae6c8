"""The headers of the test client, from what a test gives to the wire and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from werkzeug.datastructures import Authorization, Headers, iter_multi_items

from ..protocol.grammar import is_token
from ..protocol.plain import plain
from ..web.headers import encode_value

USER_AGENT = "triows"

HeadersLike = Mapping[str, Any] | Headers | Iterable[tuple[str, Any]]
Auth = Authorization | tuple[str, str]


def make_headers(headers: HeadersLike | None, auth: Auth | None) -> Headers:
    """Return a copy of the headers, with the client's own headers added. Values may be bytes."""
    made = Headers()
    for name, value in iter_multi_items(headers or {}):
        made.add(name, value.decode("latin-1") if isinstance(value, bytes) else value)
    if auth is not None:
        if isinstance(auth, tuple):
            auth = Authorization("basic", {"username": plain(auth[0]), "password": plain(auth[1])})
        made.setdefault("Authorization", auth.to_header())
    made.setdefault("User-Agent", USER_AGENT)
    return made


def offered_subprotocols(subprotocols: Sequence[str] | None, headers: Headers) -> list[str]:
    """Return the subprotocols that a handshake offers: those that are given, then those in the headers.

    :raises TypeError: if ``subprotocols`` is a string.
    :raises ValueError: if a given one is none that a client could offer (RFC 6455, section 4.1).
    """
    if isinstance(subprotocols, str):
        raise TypeError(f"subprotocols is the string {subprotocols!r}; it must be a list, like [{subprotocols!r}]")
    for name in subprotocols or ():
        if not is_token(name):
            raise ValueError(f"the subprotocol {name!r} is not a token; use letters, digits, dots and hyphens")
    in_headers = (name.strip() for name in headers.get("sec-websocket-protocol", "").split(","))
    return [*(subprotocols or ()), *filter(None, in_headers)]


def encode_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers as bytes, Host first. A value beyond latin-1 is sent as UTF-8."""
    lines = [(name.encode("latin-1"), encode_value(value)) for name, value in headers]
    return sorted(lines, key=lambda line: line[0].lower() != b"host")
