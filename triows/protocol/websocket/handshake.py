"""The opening handshake of a server (RFC 6455, section 4.2)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from hashlib import sha1

from ..grammar import TOKEN, is_token
from ..headers import Headers, has_member, list_values

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# The grammar of Sec-WebSocket-Extensions (section 9.1). Possessive everywhere: there is one way to read it, and no
# header of a client's may make the search for another one long.
_EXTENSION = r"""TOKEN(?:[ \t]*+;[ \t]*+TOKEN(?:[ \t]*+=[ \t]*+(?:TOKEN|"(?:[^"\\]|\\.)++"))?+)*+""".replace(
    "TOKEN", TOKEN
)
_EXTENSIONS = re.compile(f"{_EXTENSION}(?:[ \t]*+,[ \t]*+{_EXTENSION})*+")


class HandshakeError(Exception):
    """The request is no valid handshake.

    :ivar status: the HTTP status to answer with.
    :ivar headers: headers of that answer.
    """

    def __init__(self, status: int, message: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers: list[tuple[bytes, bytes]] = list(headers)


def wants_websocket(headers: Headers) -> bool:
    """Whether a request asks for a websocket: ``Upgrade`` names ``websocket``, and ``Connection`` names ``Upgrade``."""
    return has_member(headers, b"upgrade", b"websocket") and has_member(headers, b"connection", b"upgrade")


def subprotocols(headers: Headers) -> list[str]:
    """The subprotocols that the client offers, in its order of preference."""
    return list_values(headers, b"sec-websocket-protocol")


def check(method: str, http_version: str, headers: Headers) -> bytes:
    """Check a handshake request and return its ``Sec-WebSocket-Key``.

    Raises :exc:`HandshakeError` with the status to answer (section 4.2.1; 426 with the version spoken, section 4.4).
    """
    if http_version != "1.1":
        raise HandshakeError(400, f"a websocket handshake needs HTTP/1.1, not HTTP/{http_version}")
    if method != "GET":
        raise HandshakeError(400, f"a websocket handshake is a GET request, not {method}")
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    if b"transfer-encoding" in fields or any(length != b"0" for length in fields.get(b"content-length", ())):
        raise HandshakeError(400, "a websocket handshake has no body")
    if fields.get(b"sec-websocket-version") != [b"13"]:
        spoken = [(b"sec-websocket-version", b"13")]
        raise HandshakeError(426, "the websocket version spoken here is 13", spoken)
    keys = fields.get(b"sec-websocket-key", [])
    if len(keys) != 1:
        raise HandshakeError(400, f"a websocket handshake has one Sec-WebSocket-Key, not {len(keys)}")
    try:
        nonce = base64.b64decode(keys[0], validate=True)
    except binascii.Error:
        nonce = b""
    if len(nonce) != 16:
        raise HandshakeError(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    if len(fields.get(b"origin", ())) > 1:
        raise HandshakeError(400, "a websocket handshake has at most one Origin")
    if b"sec-websocket-extensions" in fields:
        extensions = ", ".join(list_values(headers, b"sec-websocket-extensions"))
        if extensions and not _EXTENSIONS.fullmatch(extensions):
            raise HandshakeError(400, "Sec-WebSocket-Extensions is no list of extensions")
    if b"sec-websocket-protocol" in fields and not all(map(is_token, subprotocols(headers))):
        raise HandshakeError(400, "Sec-WebSocket-Protocol is no list of tokens")
    return keys[0]


def accept_token(key: bytes) -> bytes:
    """The value of ``Sec-WebSocket-Accept`` for a key (section 4.2.2)."""
    return base64.b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
