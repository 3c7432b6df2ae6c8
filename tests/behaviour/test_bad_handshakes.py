"""Bad opening handshakes, and the answer due (RFC 6455, sections 4.2 and 9.1), as :mod:`.bad_input` writes it."""

from __future__ import annotations

import logging
import socket

import pytest
import trio
from trio.testing import MockClock

from ..support.wire import PING, TEXT, Wire, close_frame, frame, upgrade
from .bad_input import LONG, SEGMENTS, Watched, complaints, responses, send, watched
from .conftest import Target

KEY, VERSION = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"
UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"


def handshake(*lines: str, line: str = "GET /ws HTTP/1.1", host: str | None = "localhost") -> bytes:
    head = [line, *([] if host is None else [f"Host: {host}"]), *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


def asking(*, key: str = KEY, version: str = VERSION, upgrade: str = UPGRADE, connection: str = CONNECTION) -> bytes:
    return handshake(upgrade, connection, key, version)


def with_key(key: str) -> bytes:
    return asking(key=f"Sec-WebSocket-Key: {key}")


def with_version(version: str) -> bytes:
    return asking(version=f"Sec-WebSocket-Version: {version}")


def extensions(offer: str) -> bytes:
    return upgrade("/ws", f"Sec-WebSocket-Extensions: {offer}")


def subprotocols(offer: str) -> bytes:
    return upgrade("/ws", f"Sec-WebSocket-Protocol: {offer}")


def lined(line: str) -> bytes:
    return handshake(UPGRADE, CONNECTION, KEY, VERSION, line=line)


GET = b"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
MANY = ", ".join(["permessage-deflate"] * 1000)

ROWS: dict[str, tuple[bytes, str]] = {
    "a good one": (upgrade("/ws"), "101 K"),
    "W02 HTTP/1.0": (lined("GET /ws HTTP/1.0"), "400 C"),
    "W03 no Sec-WebSocket-Key": (handshake(UPGRADE, CONNECTION, VERSION), "400 C"),
    "W04 key is not base64": (with_key("!"), "400 C"),
    "W04 empty key": (with_key(""), "400 C"),
    "W04 key without its padding": (with_key("dGhlIHNhbXBsZSBub25jZQ"), "400 C"),
    "W04 key with a space in it": (with_key("dGhlIHNhbXBs ZSBub25jZQ=="), "400 C"),
    "W04 key in the alphabet of URLs": (with_key("-_hlIHNhbXBsZSBub25jZQ=="), "400 C"),
    "W04 key of 15 bytes": (with_key("dGhlIHNhbXBsZSBub25j"), "400 C"),
    "W04 key of 17 bytes": (with_key("dGhlIHNhbXBsZSBub25jZWQ="), "400 C"),
    "W04 key in quotes": (with_key('"dGhlIHNhbXBsZSBub25jZQ=="'), "400 C"),
    "W04 key beyond ASCII": (with_key("\xe9GhlIHNhbXBsZSBub25jZQ=="), "400 C"),
    "W04 key of 2 kB": (with_key("dGhl" * 500), "400 C"),
    "W06 two keys": (handshake(UPGRADE, CONNECTION, KEY, KEY, VERSION), "400 C"),
    "W06 two keys in a line": (with_key("dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), "400 C"),
    "W07 no version": (handshake(UPGRADE, CONNECTION, KEY), "426 C"),
    "W08 version 8": (with_version("8"), "426 C"),
    "W08 version 0": (with_version("0"), "426 C"),
    "W08 version 013": (with_version("013"), "426 C"),
    "W08 version +13": (with_version("+13"), "426 C"),
    "W08 version 13.0": (with_version("13.0"), "426 C"),
    "W08 versions 13, 8": (with_version("13, 8"), "426 C"),
    "W08 an empty version": (with_version(""), "426 C"),
    "W08 two versions": (handshake(UPGRADE, CONNECTION, KEY, VERSION, "Sec-WebSocket-Version: 8"), "426 C"),
    "spaces around key and version": (
        handshake(UPGRADE, CONNECTION, KEY.replace(":", ": \t ") + " \t", VERSION + "  "),
        "101 K",
    ),
    # A request that does not ask for a websocket is one for a page; the path has none.
    "W10 Upgrade: foo": (asking(upgrade="Upgrade: foo"), "400 K"),
    "W10 no Upgrade": (handshake(CONNECTION, KEY, VERSION), "400 K"),
    "W10 Upgrade: websockets": (asking(upgrade="Upgrade: websockets"), "400 K"),
    "W10 Upgrade: websocket/13": (asking(upgrade="Upgrade: websocket/13"), "400 K"),
    "W10 Upgrade: web socket": (asking(upgrade="Upgrade: web socket"), "400 K"),
    "W10 an empty Upgrade": (asking(upgrade="Upgrade: "), "400 K"),
    "W10 Upgrade: h2c": (asking(upgrade="Upgrade: h2c"), "400 K"),
    "W10 no Connection": (handshake(UPGRADE, KEY, VERSION), "400 K"),
    "W10 Connection: keep-alive": (asking(connection="Connection: keep-alive"), "400 K"),
    "W10 Connection: Upgrades": (asking(connection="Connection: Upgrades"), "400 K"),
    "W10 Connection: Up grade": (asking(connection="Connection: Up grade"), "400 K"),
    "W10 Connection: close": (asking(connection="Connection: close"), "400 C"),
    "Upgrade: WEBSOCKET": (asking(upgrade="Upgrade: WEBSOCKET", connection="Connection: uPGRADE"), "101 K"),
    "Upgrade: h2c, websocket": (asking(upgrade="Upgrade: h2c, websocket"), "101 K"),
    "Upgrade in two lines": (asking(upgrade="Upgrade: h2c\r\nUpgrade: websocket"), "101 K"),
    "Connection: ,, keep-alive ,Upgrade,": (asking(connection="Connection: ,, keep-alive ,Upgrade,"), "101 K"),
    "Connection in two lines": (asking(connection="Connection: keep-alive\r\nConnection: Upgrade"), "101 K"),
    "W11 no Host": (handshake(UPGRADE, CONNECTION, KEY, VERSION, host=None), "400 C"),
    "W11 two Hosts": (upgrade("/ws", "Host: localhost"), "400 C"),
    "W12 Content-Length: 5": (upgrade("/ws", "Content-Length: 5") + b"hello", "400 C"),
    "W12 Content-Length: 5, and no body": (upgrade("/ws", "Content-Length: 5"), "400 C"),
    "W12 Content-Length with Expect": (upgrade("/ws", "Content-Length: 5", "Expect: 100-continue"), "400 C"),
    "W12 a body that is a frame": (upgrade("/ws", "Content-Length: 9") + frame(TEXT, b"abc"), "400 C"),
    "Content-Length: 0": (upgrade("/ws", "Content-Length: 0"), "101 K"),
    "Expect without a body": (upgrade("/ws", "Expect: 100-continue"), "101 K"),
    "W13 Transfer-Encoding: chunked": (upgrade("/ws", "Transfer-Encoding: chunked") + b"0\r\n\r\n", "400 C"),
    "W13 Transfer-Encoding: identity": (upgrade("/ws", "Transfer-Encoding: identity"), "501 C"),
    "W14 ;;=": (extensions(";;="), "400 C"),
    "W14 a parameter without a name": (extensions("permessage-deflate;"), "400 C"),
    "W14 a parameter without a value": (extensions("permessage-deflate; a="), "400 C"),
    "W14 an empty quoted value": (extensions('permessage-deflate; a=""'), "400 C"),
    "W14 an open quote": (extensions('permessage-deflate; a="10'), "400 C"),
    "W14 two words": (extensions("permessage deflate"), "400 C"),
    "W14 a quoted name": (extensions('"permessage-deflate"'), "400 C"),
    "W14 beyond ASCII": (extensions("p\xe9rmessage-deflate"), "400 C"),
    "W14 a semicolon in a second line": (
        upgrade("/ws", "Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: ;b"),
        "400 C",
    ),
    "names of Python's": (extensions("__class__; __init__=__dict__, constructor"), "101 K"),
    "an offer of nothing": (extensions(" , ,"), "101 K"),
    "W15 ReDoS string of 20 kB": (extensions('a; b="' + '\\"' * 10_000), "400 C"),
    "W15 ReDoS string of 2 kB": (extensions('a; b="' + "\\a" * 1_000), "400 C"),
    "W15 2,000 spaces": (extensions("a" + " " * 2_000 + "b"), "400 C"),
    "W15 2,000 spaces in subprotocols": (subprotocols("b" + " " * 2_000 + "x"), "400 C"),
    "W15 2,000 spaces in Connection": (asking(connection="Connection: Upgrade" + " " * 2_000 + "x"), "400 K"),
    "W16 1000 offers": (extensions(MANY), "101 K"),
    "W16 1000 offers in 10 lines": (
        upgrade("/ws", *["Sec-WebSocket-Extensions: " + ", ".join(["permessage-deflate"] * 100)] * 10),
        "101 K",
    ),
    "101 header lines": (upgrade("/ws", *["A: b"] * 96), "431 C"),
    "W18 duplicate subprotocol": (subprotocols("a, a"), "101 K"),
    "no subprotocol": (subprotocols(""), "101 K"),
    "W18 two words for a subprotocol": (subprotocols("a b"), "400 C"),
    "W18 quoted subprotocol": (subprotocols('"a"'), "400 C"),
    "W18 subprotocol beyond ASCII": (subprotocols("\xe9"), "400 C"),
    "W18 space beyond ASCII around a subprotocol": (subprotocols("a\xa0"), "400 C"),
    "W18 control byte in a subprotocol": (subprotocols("a\x01b"), "400 C"),
    "W19 foreign Origin": (upgrade("/ws", "Origin: http://evil.example"), "403 C"),
    "W19 Origin: null": (upgrade("/ws", "Origin: null"), "403 C"),
    "W20 two Origins": (upgrade("/ws", "Origin: http://localhost", "Origin: http://evil.example"), "400 C"),
    "W20 the other way round": (upgrade("/ws", "Origin: http://evil.example", "Origin: http://localhost"), "400 C"),
    "W20 the same twice": (upgrade("/ws", "Origin: http://localhost", "Origin: http://localhost"), "400 C"),
    "own Origin": (upgrade("/ws", "Origin: http://localhost"), "101 K"),
    "W21 Host beyond ASCII": (handshake(UPGRADE, CONNECTION, KEY, VERSION, host="\xff.x"), "400 C"),
    "W22 unknown path": (lined("GET /no/ws HTTP/1.1"), "404 C"),
    "W22 a path of pages": (lined("GET /page HTTP/1.1"), "400 C"),
    "W23 frames in the same segment": (upgrade("/ws") + frame(TEXT, b"early"), "101 early K"),
    "W23 a Ping in the same segment": (upgrade("/ws") + frame(PING, b"p"), "101 pong K"),
    "W23 a Close frame in the same segment": (upgrade("/ws") + close_frame(1000), "101 close:1000 C"),
    "W23 an unmasked frame in the same segment": (upgrade("/ws") + frame(TEXT, b"x", masked=False), "101 close:1002 C"),
    "W23 a request in the same segment": (upgrade("/ws") + GET, "101 close:1002 C"),
    "W23 a second handshake in the same segment": (upgrade("/ws") * 2, "101 close:1002 C"),
    "frames behind a refused one": (upgrade("/refused") + frame(TEXT, b"early") * 10, "403 C"),
    "a request behind a refused one": (upgrade("/refused") + GET, "403 C"),
    "a request behind a bad one": (with_version("8") + GET, "426 C"),
    "a request behind one to nowhere": (lined("GET /nowhere HTTP/1.1") + GET, "404 C"),
    "a request behind one with a foreign Origin": (upgrade("/ws", "Origin: http://evil.example") + GET, "403 C"),
    "POST": (lined("POST /ws HTTP/1.1"), "400 C"),
    "HEAD": (lined("HEAD /ws HTTP/1.1"), "400 C"),
    "get": (lined("get /ws HTTP/1.1"), "400 C"),
    "OPTIONS": (lined("OPTIONS /ws HTTP/1.1"), "400 C"),
    "an absolute target": (lined("GET ws://localhost/ws HTTP/1.1"), "101 K"),
    "a fragment": (lined("GET /ws#a HTTP/1.1"), "400 C"),
    "an answer's header": (upgrade("/ws", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "101 K"),
    "behind a request": (GET + upgrade("/ws"), "200 101 K"),
    "behind a body": (POST + upgrade("/ws"), "200 101 K"),
    "behind one for a page": (asking(upgrade="Upgrade: foo") + upgrade("/ws"), "400 101 K"),
}


async def check(server: Watched, row: str, segments: int | None) -> None:
    data, due = ROWS[row]
    wire = await server.connect(segments)
    async with wire.stream, trio.open_nursery() as nursery:
        nursery.start_soon(send, wire, data)
        answer = await responses(wire, due, has_body=not data.startswith(b"HEAD"))
    assert answer == due, (row, segments)
    expected = ["early"] if " early" in due else []
    got = [message for message in server.received if message != "probe"]
    assert got == expected, row
    server.received.clear()


@pytest.mark.parametrize("row", ROWS)
async def test_a_bad_handshake_gets_the_answer_due_however_it_is_cut(
    row: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.fail_after(1000):
        async with watched(caplog) as server:
            for segments in SEGMENTS if len(ROWS[row][0]) < LONG else SEGMENTS[:2]:
                await check(server, row, segments)
            await server.still_serves()


@pytest.mark.transports("tcp", "tasks", "tls")
async def test_a_bad_handshake_gets_the_answer_due_on_sockets(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    assert target.app is not None

    async def connect(segments: int | None) -> Wire:
        return await target.connect()

    with caplog.at_level(logging.WARNING), trio.fail_after(60):
        server = Watched(target.app, connect)
        for row in ROWS:
            await check(server, row, None)
        await server.still_serves()
    assert complaints(caplog) == []


@pytest.mark.parametrize("early", [b"", frame(TEXT, b"early"), frame(TEXT, b"early")[:4]], ids=["", "frame", "half"])
@pytest.mark.transports("tcp", "tasks")
async def test_a_client_that_is_gone_before_its_handshake_is_looked_at_is_not_kept(
    target: Target, early: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even until the keepalive finds out."""
    assert target.server is not None
    client = socket.create_connection(("127.0.0.1", target.server.port))
    client.sendall(upgrade("/echo") + early)
    client.shutdown(socket.SHUT_WR)
    # All of it is there before the server has run once.
    async with trio.SocketStream(trio.socket.from_stdlib_socket(client)) as stream:
        with trio.fail_after(10):
            await Wire(stream).read_rest()
            while target.server._connections:
                await trio.sleep(0.001)
    assert complaints(caplog) == []
