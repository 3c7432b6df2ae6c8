"""Opening handshakes, judged (RFC 6455, 4.2): the key of a good one, and the answer to a bad one."""

from __future__ import annotations

import time

import pytest

from triows.protocol.headers import Headers
from triows.protocol.websocket.handshake import HandshakeError, accept_token, check, subprotocols, wants_websocket

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

GOOD: Headers = [
    (b"host", b"example.com"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", KEY),
    (b"sec-websocket-version", b"13"),
]


def changed(name: bytes, *new: bytes) -> Headers:
    """The good handshake with other fields of one name."""
    return [field for field in GOOD if field[0] != name] + [(name, value) for value in new]


def refusal(headers: Headers, method: str = "GET", version: str = "1.1") -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        check(method, version, headers)
    return caught.value


def test_the_accept_token_of_the_rfc() -> None:
    assert accept_token(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3


def test_a_good_handshake_gives_its_key() -> None:
    assert check("GET", "1.1", GOOD) == KEY


def test_a_length_of_zero_is_no_body() -> None:
    assert check("GET", "1.1", [*GOOD, (b"content-length", b"0")]) == KEY


@pytest.mark.parametrize("version", ["1.0", "2", "0.9"])
def test_another_http_version_is_400(version: str) -> None:
    error = refusal(GOOD, version=version)
    assert error.status == 400
    assert str(error) == f"a websocket handshake needs HTTP/1.1, not HTTP/{version}"


@pytest.mark.parametrize("method", ["POST", "HEAD", "get"])
def test_another_method_is_400(method: str) -> None:
    error = refusal(GOOD, method=method)
    assert error.status == 400
    assert method in str(error)


def test_no_key_is_400() -> None:
    assert refusal(changed(b"sec-websocket-key")).status == 400


def test_two_keys_are_400() -> None:
    error = refusal(changed(b"sec-websocket-key", KEY, KEY))
    assert error.status == 400
    assert str(error) == "a websocket handshake has one Sec-WebSocket-Key, not 2"


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"not base64!",
        b"dGhlIHNhbXBsZSBub25jZQ",  # not padded
        b"dGhlIHNhbXBsZSBub25jZQ= =",
        b"dGhlIHNhbXBsZSBub25jZQ==dGhl",
        b"dGhlIHNhbXBsZSBub25j",  # 15 bytes
        b"dGhlIHNhbXBsZSBub25jZWQh",  # 18 bytes
        b"dGhlIHNhbXBsZSBub25j\xff\xff==",
        KEY + b", " + KEY,
    ],
)
def test_a_key_that_is_not_16_bytes_in_base64_is_400(key: bytes) -> None:
    assert refusal(changed(b"sec-websocket-key", key)).status == 400


@pytest.mark.parametrize("versions", [[], [b"8"], [b"013"], [b"13, 8"], [b"13", b"13"], [b""], [b"\xff"]])
def test_another_websocket_version_is_426_with_the_one_spoken(versions: list[bytes]) -> None:
    error = refusal(changed(b"sec-websocket-version", *versions))
    assert error.status == 426
    assert error.headers == [(b"sec-websocket-version", b"13")]


@pytest.mark.parametrize("field", [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
def test_a_body_is_400(field: tuple[bytes, bytes]) -> None:
    error = refusal([*GOOD, field])
    assert error.status == 400
    assert str(error) == "a websocket handshake has no body"


def test_only_the_426_has_headers_of_its_own() -> None:
    assert refusal(GOOD, method="POST").headers == []


@pytest.mark.parametrize(
    "offer",
    [[b"chat"], [b"chat, superchat"], [b"a", b"b"], [b" a ,, b "], [b"a, a"], [b"!#$%&'*+-.^_`|~09azAZ"], [b","]],
)
def test_lists_of_tokens_are_subprotocols(offer: list[bytes]) -> None:
    assert check("GET", "1.1", changed(b"sec-websocket-protocol", *offer)) == KEY


@pytest.mark.parametrize("offer", [b"a b", b'"a"', b"a/b", b"a;b", b"(a)", b"\xe9", b"a, b=c", b"a\x0bb", b"{}"])
def test_a_subprotocol_that_is_no_token_is_400(offer: bytes) -> None:
    error = refusal(changed(b"sec-websocket-protocol", offer))
    assert error.status == 400
    assert str(error) == "Sec-WebSocket-Protocol is no list of tokens"


@pytest.mark.parametrize(
    "offer",
    [
        [b"permessage-deflate"],
        [b"permessage-deflate; client_max_window_bits"],
        [b'a; b=c; d="10", e', b"f ; g = h"],
        [b"permessage-deflate; client_max_window_bits=abc"],
        [b'a; b="\\1\\0"'],
        [b", a,, b ,"],
        [b", ".join([b"permessage-deflate"] * 1000)],
        [b""],
    ],
)
def test_lists_of_extensions_are_passed_over(offer: list[bytes]) -> None:
    assert check("GET", "1.1", changed(b"sec-websocket-extensions", *offer)) == KEY


@pytest.mark.parametrize(
    "offer", [b";;=", b"a;", b"a; b=", b"a; =b", b'a; b="', b'a; b=""', b"a b", b'"a"', b"a; b=c d"]
)
def test_what_is_no_list_of_extensions_is_400(offer: bytes) -> None:
    error = refusal(changed(b"sec-websocket-extensions", offer))
    assert error.status == 400
    assert str(error) == "Sec-WebSocket-Extensions is no list of extensions"


@pytest.mark.parametrize("filler", [b"\\a", b" ", b"a; ", b"a=", b'a="a"; ', b'"', b", a", b"\t;", b"x"])
@pytest.mark.parametrize("start", [b"", b"a; ", b'a; b="'])
def test_judging_extensions_costs_no_more_than_the_header_is_long(start: bytes, filler: bytes) -> None:
    headers = changed(b"sec-websocket-extensions", start + filler * (16_000 // len(filler)) + b"\x80")
    begin = time.process_time()
    assert refusal(headers).status == 400
    assert time.process_time() - begin < 0.1  # milliseconds; a quadratic search takes seconds


def test_two_origins_are_400() -> None:
    assert check("GET", "1.1", changed(b"origin", b"http://a")) == KEY
    assert refusal(changed(b"origin", b"http://a", b"http://b")).status == 400


def test_subprotocols_come_in_the_clients_order_from_all_lines() -> None:
    headers = [(b"sec-websocket-protocol", b"b, a"), (b"other", b"x"), (b"sec-websocket-protocol", b"c")]
    assert subprotocols(headers) == ["b", "a", "c"]


def test_no_subprotocols_are_an_empty_list() -> None:
    assert subprotocols(GOOD) == []


@pytest.mark.parametrize(
    ("upgrade", "connection"),
    [
        ([b"websocket"], [b"Upgrade"]),
        ([b"WebSocket"], [b"upgrade"]),
        ([b"websocket"], [b"keep-alive, Upgrade"]),
        ([b"websocket"], [b"keep-alive", b"UPGRADE"]),
        ([b"h2c, websocket"], [b"Upgrade, HTTP2-Settings"]),
    ],
)
def test_these_requests_ask_for_a_websocket(upgrade: list[bytes], connection: list[bytes]) -> None:
    assert wants_websocket([*((b"upgrade", one) for one in upgrade), *((b"connection", one) for one in connection)])


@pytest.mark.parametrize(
    ("upgrade", "connection"),
    [
        ([], []),
        ([b"websocket"], []),
        ([], [b"Upgrade"]),
        ([b"foo"], [b"Upgrade"]),
        ([b"h2c"], [b"Upgrade"]),
        ([b"websocket"], [b"close"]),
        ([b"websockets"], [b"Upgrade"]),
        ([b"websocket"], [b"Upgrades"]),
    ],
)
def test_these_requests_ask_for_none(upgrade: list[bytes], connection: list[bytes]) -> None:
    assert not wants_websocket([*((b"upgrade", one) for one in upgrade), *((b"connection", one) for one in connection)])
