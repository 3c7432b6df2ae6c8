"""What a client's bytes may not do to the parsers below the server and the app: each answers, or refuses as it says."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from werkzeug.exceptions import BadRequest as BadForm
from werkzeug.exceptions import RequestEntityTooLarge

from triows.protocol.forwarded import ForwardedError, forwarded
from triows.protocol.grammar import FIELD
from triows.protocol.head import Head
from triows.protocol.headers import list_values
from triows.protocol.origins import origin_allowed
from triows.protocol.websocket.compression import Agreement, Compression, negotiate
from triows.protocol.websocket.deflate import Deflater, InflateError, Inflater
from triows.protocol.websocket.handshake import HandshakeError, check, wants_websocket
from triows.web.forms import MultipartForm, UrlencodedForm

from .cuts import other_cuts

# Handshakes: the input is header lines


def _headers(data: bytes) -> list[tuple[bytes, bytes]]:
    lines = b"\n" + b"".join(line + b"\r\n" for line in data.split(b"\r\n"))
    return [(name.lower(), value) for name, value in FIELD.findall(lines)]


def run_handshake(data: bytes) -> None:
    """Only :exc:`HandshakeError` refuses; what is agreed on was offered."""
    headers = _headers(data)
    wants_websocket(headers)
    for member in list_values(headers, b"sec-websocket-protocol"):
        assert member == member.strip(" \t")
    try:
        key = check("GET", "1.1", headers)
    except HandshakeError as error:
        assert error.status in (400, 426)
        assert str(error).isprintable()
    else:
        assert len(base64.b64decode(key)) == 16
        assert dict(headers)[b"sec-websocket-version"] == b"13"
    offers = [value.decode("latin-1") for name, value in headers if name == b"sec-websocket-extensions"]
    for settings in (Compression(), Compression(context_takeover=False, client_window_bits=15, window_bits=15)):
        agreement = negotiate(offers, settings)
        if agreement is not None:
            _check_agreement(agreement, ",".join(offers), settings)


def _check_agreement(agreement: Agreement, offered: str, settings: Compression) -> None:
    assert "permessage-deflate" in offered
    assert 9 <= agreement.server_window_bits <= settings.window_bits
    assert 8 <= agreement.client_window_bits <= 15
    answered = dict(re.findall(r"; (\w+)(?:=(\d+))?", agreement.header))
    assert ("server_no_context_takeover" in answered) != agreement.server_context_takeover
    assert ("client_no_context_takeover" in answered) != agreement.client_context_takeover
    # Unasked, the server does not limit the client's window, and need not name its own.
    for name, bits in (
        ("server_max_window_bits", agreement.server_window_bits),
        ("client_max_window_bits", agreement.client_window_bits),
    ):
        if name in answered:
            assert name in offered
            assert int(answered[name]) == bits
        elif name.startswith("client"):
            assert bits == 15


# Proxies: the input is header lines


def run_forwarded(data: bytes) -> None:
    """Only :exc:`ForwardedError` refuses; what is taken is well-formed, and nothing that its sender could invent."""
    headers = _headers(data)
    proxies = ("10.0.0.0/8",)
    stranger = Head("GET", b"/", b"", headers, "1.1", "http", client=("192.0.2.1", 5))
    assert forwarded(stranger, proxies) is stranger
    via_proxy = replace(stranger, client=("10.0.0.1", 5))
    try:
        taken = forwarded(via_proxy, proxies)
    except ForwardedError as error:
        assert str(error).isprintable()
        return
    assert taken.scheme in ("http", "https")
    names = {name for name, value in headers if value.strip(b" \t,")}
    if taken.client is None or not names & {b"forwarded", b"x-forwarded-for"}:
        return
    assert 0 <= taken.client[1] <= 65535
    if ip_address(taken.client[0]) not in ip_network("10.0.0.0/8") and b"x-forwarded-for" in names:
        # Put in front by the client itself, as in a request of its own through the same proxy.
        spoofed = [(b"x-forwarded-for", b"203.0.113.66"), *headers]
        assert forwarded(replace(via_proxy, headers=spoofed), proxies).client == taken.client
    for origin in (value.decode("latin-1") for name, value in headers if name == b"origin"):
        origin_allowed(origin, "example.com", None)


# Compression: the first byte of an input chooses settings, the others are DEFLATE data, and data to be compressed


def run_deflate(data: bytes) -> None:
    """Only :exc:`InflateError` refuses; zlib agrees on what is inflated; steps keep to their size."""
    if not data:
        return
    choice, payload = data[0], data[1:]
    agreement = Agreement(9 + (choice >> 3 & 7) % 7, 15, bool(choice & 64), bool(choice & 128))
    step = (1, 7, 100, 65536)[choice & 3]
    whole = _inflated([payload], agreement, 65536)
    if isinstance(whole, bytes):
        known = zlib.decompressobj(-15).decompress(payload)
        assert whole[: len(known)] == known
    for pieces in [[payload], *other_cuts(payload)]:
        other = _inflated(pieces, agreement, step)
        assert other == whole or whole is _LARGE or other is _LARGE
    _round_trip(payload, agreement)


_MOST = 20_000  # bytes that are looked at
_LARGE = "over that"


def _inflated(pieces: Sequence[bytes], agreement: Agreement, step: int) -> bytes | str | None:
    """The message, :data:`_LARGE`, or None if it cannot be inflated."""
    inflater = Inflater(agreement)
    inflated = b""
    try:
        for number in range(len(pieces) + 1):
            part = inflater.inflate(pieces[number], step) if number < len(pieces) else inflater.end(step)
            while True:
                assert len(part) <= step
                inflated += part
                if len(inflated) > _MOST:
                    return _LARGE
                if not inflater.pending:
                    break
                part = inflater.inflate(b"", step)
    except InflateError:
        return None
    return inflated


def _round_trip(payload: bytes, agreement: Agreement) -> None:
    deflater = Deflater(agreement, Compression())
    both_ways = Agreement(
        agreement.server_window_bits, agreement.server_window_bits, True, agreement.server_context_takeover
    )
    inflater = Inflater(both_ways)
    half = len(payload) // 2
    in_pieces = deflater.piece(payload[:half]) + deflater.piece(payload[half:]) + deflater.end()
    for message in (in_pieces, deflater.deflate(payload), deflater.deflate(b"")):
        room = len(payload) + 1
        assert inflater.inflate(message, room) + inflater.end(room) in (payload, b"")


# Forms: the input is a body; its boundary is a word


BOUNDARY = b"boundary"


def run_forms(data: bytes) -> None:
    """Refused as malformed or too large, or read; the same in any cut, unless lines end with half a CRLF."""
    assert len(_result_of(_urlencoded([data])) or ()) <= len(data) + 1
    whole_lines = not re.search(rb"\r(?!\n)|(?<!\r)\n", data)
    for parse in (_multipart, _urlencoded) if whole_lines else (_urlencoded,):
        whole = _result_of(parse([data]))
        for pieces in other_cuts(data):
            assert _result_of(parse(pieces)) == whole, parse


async def _pieces(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _urlencoded(pieces: Sequence[bytes]) -> list[Any]:
    form = UrlencodedForm(max_size=2000)
    await form.read(_pieces(pieces))
    return form.fields


async def _multipart(pieces: Sequence[bytes]) -> list[Any]:
    form = MultipartForm(BOUNDARY, max_field_size=300, max_parts=10)
    await form.read(_pieces(pieces))
    fields, files = form.fields, form.files
    assert all(isinstance(name, str) for name, _ in fields + files)
    assert len(fields) + len(files) <= 10
    read = [(name, file.filename, file.content_type, file.read()) for name, file in files]
    for _, file in files:
        file.close()
    return [fields, read]


def _result_of(parsing: Coroutine[Any, Any, list[Any]]) -> list[Any] | None:
    """What it returns, without an event loop: it waits only for the disk, and these bodies are small."""
    try:
        parsing.send(None)
    except StopIteration as end:
        result: list[Any] = end.value
        return result
    except (BadForm, RequestEntityTooLarge):
        return None
    raise AssertionError("a small form had to wait")
