"""Bad input on the wire, and the answer due: a table, each row whole, in segments of 100 bytes and byte by byte.

An answer is the HTTP statuses in order (``-``: none), then K where the connection is kept, C where it is closed;
``101`` is followed by ``echo`` where the websocket works. Heads by themselves are in ``test_head``, frames in
``test_protocol``.
"""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from triows import Triows, request, websocket

from .served import served
from .wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Gone,
    Wire,
    close_frame,
    frame,
    upgrade,
)

QUIET = 5.0  # seconds of the virtual clock after which nothing more is expected


def make_app() -> Triows:
    app = Triows(__name__)

    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        return str(len(await request.get_data()))

    @app.route("/a<rest>")
    async def other(rest: str) -> str:
        return rest

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


def get(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes | None = b"Host: localhost") -> bytes:
    head = [line, *([] if host is None else [host]), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return get(*lines, line=b"POST / HTTP/1.1") + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


FIN = b"<FIN>"  # at the end of an input: the client's end of the stream

HTTP: dict[str, tuple[bytes, str]] = {
    "H01 bare LF ends request line": (b"GET / HTTP/1.1\nHost: localhost\r\n\r\n", "400 C"),
    "H02 bare LF ends a header line": (get(b"A: b\nC: d"), "400 C"),
    "H04 NUL in field value": (get(b"A: b\x00c"), "400 C"),
    "H05 0x01 in field value": (get(b"A: b\x01c"), "400 C"),
    "H05 0x7f in field value": (get(b"A: b\x7fc"), "400 C"),
    "H06 obs-fold": (get(b"A: b", b" c"), "400 C"),
    "H08 space before first header line": (get(host=b" Host: localhost"), "400 C"),
    "H09 header line without colon": (get(b"Abc"), "400 C"),
    "H10 empty header name": (get(b": b"), "400 C"),
    "H12 no Host in HTTP/1.1": (get(host=None), "400 C"),
    "H13 two Host fields": (get(b"Host: localhost"), "400 C"),
    "H14 invalid Host": (get(host=b"Host: a b/c@d"), "400 C"),
    "H15 Content-Length and Transfer-Encoding": (
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "400 C",
    ),
    "H16 two different Content-Length": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), "400 C"),
    "H17 Content-Length: 5, 5": (post(b"Content-Length: 5, 5", body=b"hello"), "400 C"),
    "H18 Content-Length: +5": (post(b"Content-Length: +5", body=b"hello"), "400 C"),
    "H20 Content-Length: 1_0": (post(b"Content-Length: 1_0", body=b"hellohello"), "400 C"),
    "H21 Content-Length with 5000 digits": (post(b"Content-Length: " + b"1" * 5000), "400 C|413 C"),
    "H22 Content-Length: 10^15, no body follows": (post(b"Content-Length: 1000000000000000"), "413 C"),
    "H24 chunked, chunked": (post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), "400 C|501 C"),
    "H25 Transfer-Encoding twice": (
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "400 C|501 C",
    ),
    "H26 Transfer-Encoding: \\x0bchunked": (post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), "400 C|501 C"),
    "H28 chunk-size 0x5": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H29 chunk-size +5": (chunked(b"+5\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H30 chunk-size 1_0": (chunked(b"1_0\r\nhellohellohello!\r\n0\r\n\r\n"), "400 C"),
    "H33 chunk-size line ended by bare LF": (chunked(b"5\nhello\r\n0\r\n\r\n"), "400 C"),
    "H34 bare LF in chunk-ext": (chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H36 chunk data not followed by CRLF": (chunked(b"5\r\nhelloXX0\r\n\r\n"), "400 C"),
    "H37 64 KiB chunk-ext": (chunked(b"5;" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n"), "400 C|413 C|431 C"),
    "H38 trailers of 200 KiB": (chunked(b"0\r\n" + b"A: bcde\r\n" * 23000 + b"\r\n"), "400 C|413 C|431 C"),
    "H40 FIN inside chunked body": (chunked(b"5\r\nhe") + FIN, "400 C|- C"),
    "H41 FIN inside Content-Length body": (post(b"Content-Length: 5", body=b"he") + FIN, "400 C|- C"),
    "H42 request line of 8000 octets": (get(line=b"GET /" + b"a" * 7986 + b" HTTP/1.1"), "200 K"),
    "H44 one 70 kB header": (get(b"A: " + b"b" * 70_000), "431 C"),
    "H45 2000 short headers": (get(*[b"a: b"] * 2000), "431 C"),
    "H46 unknown method FOO": (get(line=b"FOO / HTTP/1.1"), "501 K|405 K"),
    "H48 version HTTP/2.0": (get(line=b"GET / HTTP/2.0"), "505 C"),
    "H49 version HTTP/1.10": (get(line=b"GET / HTTP/1.10"), "400 C|505 C"),
    "H50 version http/1.1": (get(line=b"GET / http/1.1"), "400 C"),
    "H52 two SP before target": (get(line=b"GET  / HTTP/1.1"), "400 C"),
    "H53 relative target": (get(line=b"GET foo HTTP/1.1"), "400 C"),
    "H54 fragment in target": (get(line=b"GET /a#b HTTP/1.1"), "400 C"),
    "H56 GET *": (get(line=b"GET * HTTP/1.1"), "400 C"),
    "H57 CONNECT a:443": (get(line=b"CONNECT a:443 HTTP/1.1"), "501 C|405 C|400 C|501 K|405 K"),
    "H58 absolute-form, other Host": (get(line=b"GET http://other.org/ HTTP/1.1"), "200 K|400 C"),
    "H60 h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 C|400 C|- C"),
    "H61 TLS ClientHello": (bytes.fromhex("16030100c8010000c40303") + bytes(180), "400 C|- C"),
    "H62 100 kB of zeros": (bytes(100_000), "400 C|- C"),
    "H64 50 leading CRLF": (b"\r\n" * 50 + get(), "400 C|200 K"),
    "H65 space inside field name": (post(b"Content Length: 5", body=b"hello"), "400 C"),
    "H66 underscore alias": (post(b"Content_Length: 7", b"Content-Length: 5", body=b"hello"), "200 K"),
    "H68 Upgrade: h2c": (get(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: "), "200 K"),
    "H69 100 pipelined GETs": (get() * 100, " ".join(["200"] * 100) + " K"),
    "H70 bytes after Connection: close": (get(b"Connection: close") + get() + b"more", "200 C"),
    "empty lines between requests": (get() + b"\r\n\r\n" + get(), "200 200 K"),
    "a good chunked body": (chunked(b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n"), "200 K"),
    "a good body, and a bad request behind": (
        post(b"Content-Length: 5", body=b"hello") + b"GET  / \r\n\r\n",
        "200 400 C",
    ),
}

KEY, VERSION = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"
UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"


def handshake(*lines: str, line: str = "GET /ws HTTP/1.1", host: str | None = "localhost") -> bytes:
    head = [line, *([] if host is None else [f"Host: {host}"]), *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


def offering(*lines: str) -> bytes:
    return upgrade("/ws", *lines)


HANDSHAKES: dict[str, tuple[bytes, str]] = {
    "W01 good": (offering(), "101 echo"),
    "W02 HTTP/1.0": (handshake(UPGRADE, CONNECTION, KEY, VERSION, line="GET /ws HTTP/1.0"), "505 C|400 C|426 C"),
    "W03 no Sec-WebSocket-Key": (handshake(UPGRADE, CONNECTION, VERSION), "400 C|400 K"),
    "W04 key is not base64": (handshake(UPGRADE, CONNECTION, "Sec-WebSocket-Key: !", VERSION), "400 C|400 K"),
    "W06 two keys": (handshake(UPGRADE, CONNECTION, KEY, KEY, VERSION), "400 C|400 K"),
    "W07 no version": (handshake(UPGRADE, CONNECTION, KEY), "426 C|426 K|400 C|400 K"),
    "W08 version 8": (handshake(UPGRADE, CONNECTION, KEY, "Sec-WebSocket-Version: 8"), "426 C|426 K"),
    "W10 Upgrade: foo": (
        handshake("Upgrade: foo", CONNECTION, KEY, VERSION),
        "400 C|400 K|426 C|426 K",
    ),
    "W11 no Host": (handshake(UPGRADE, CONNECTION, KEY, VERSION, host=None), "400 C"),
    "W12 body of 5": (offering("Content-Length: 5") + b"hello", "400 C|400 K"),
    "W13 chunked": (offering("Transfer-Encoding: chunked") + b"0\r\n\r\n", "400 C|400 K|501 C"),
    "W14 malformed extension header": (offering("Sec-WebSocket-Extensions: ;;="), "400 C|400 K"),
    "W15 ReDoS string of 20 kB": (
        offering('Sec-WebSocket-Extensions: a; b="' + '\\"' * 10_000),
        "400 C|400 K|431 C",
    ),
    "W15 ReDoS string that fits": (offering('Sec-WebSocket-Extensions: a; b="' + "\\a" * 7_000), "400 C|400 K|431 C"),
    "W16 as many offers as fit into a head": (
        offering("Sec-WebSocket-Extensions: " + ", ".join(["permessage-deflate"] * 700)),
        "101 echo",
    ),
    "W18 duplicate subprotocol": (offering("Sec-WebSocket-Protocol: a, a"), "400 C|400 K|101 echo"),
    "W19 foreign Origin": (offering("Origin: http://evil.example"), "403 C|403 K"),
    "W20 two Origins": (offering("Origin: http://localhost", "Origin: http://evil.example"), "403 C|403 K|400 C|400 K"),
    "W20 two Origins, the other way round": (
        offering("Origin: http://evil.example", "Origin: http://localhost"),
        "403 C|403 K|400 C|400 K",
    ),
    "W21 Host beyond ASCII": (handshake(UPGRADE, CONNECTION, KEY, VERSION, host="\xff.x"), "400 C"),
    "W22 unknown path": (
        handshake(UPGRADE, CONNECTION, KEY, VERSION, line="GET /no/ws HTTP/1.1"),
        "404 C|404 K|403 C|403 K",
    ),
    "W23 frames in the same segment": (offering() + frame(TEXT, b"early"), "101 early echo"),
    "own Origin": (offering("Origin: http://localhost"), "101 echo"),
}

SEGMENTS = [1 << 20, 100, 1]


async def send(wire: Wire, data: bytes) -> None:
    try:
        await wire.send(data.removesuffix(FIN))
        if data.endswith(FIN):
            await wire.stream.send_eof()  # type: ignore[attr-defined]
    except trio.BrokenResourceError:
        pass  # answered and closed already


async def answer_to(wire: Wire, data: bytes) -> str:
    """Send it, and read what comes until the end, or until nothing comes any more."""
    await send(wire, data)
    statuses = []
    try:
        while True:
            with trio.move_on_after(QUIET) as scope:
                response = await wire.read_response()
                if response.status == 101:
                    return " ".join(["101", *(await echoes(wire))])
                if response.status >= 200:
                    statuses.append(str(response.status))
            if scope.cancelled_caught:
                break
    except Gone:
        assert wire._buffer == b""
        return " ".join(statuses or ["-"]) + " C"
    # Kept means that the next request is answered.
    await wire.send(get())
    assert (await wire.read_response()).status == 200
    return " ".join(statuses or ["-"]) + " K"


async def echoes(wire: Wire) -> list[str]:
    texts = []
    await wire.send_text("echo")
    while texts[-1:] != ["echo"]:
        texts.append(await wire.read_text())
    await wire.close()
    return texts


async def check_row(data: bytes, due: str, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    with caplog.at_level(logging.WARNING), trio.fail_after(1000):
        async with served(app) as target:
            # What is long is long for the sake of a limit, which a segment of 100 bytes meets as well.
            sizes = SEGMENTS if len(data) < 20_000 else SEGMENTS[:2]
            answers = []
            for size in sizes:
                wire = target.connect(size)
                answers.append(await answer_to(wire, data))
                await wire.stream.aclose()
            assert answers[0] in due.split("|")
            assert set(answers) == {answers[0]}
            # The server lives.
            wire = target.connect()
            await wire.send(get())
            assert (await wire.read_response()).status == 200
            await wire.stream.aclose()
    assert caplog.records == []


@pytest.mark.parametrize("row", HTTP)
async def test_a_bad_request_gets_the_answer_due(
    row: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    await check_row(*HTTP[row], caplog)


@pytest.mark.parametrize("row", HANDSHAKES)
async def test_a_bad_handshake_gets_the_answer_due(
    row: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    await check_row(*HANDSHAKES[row], caplog)


@pytest.mark.parametrize("status", [400, 413, 414, 431, 501, 505])
async def test_a_refusal_says_why_and_that_the_connection_closes(status: int, autojump_clock: MockClock) -> None:
    heads = {
        400: get(b": b"),
        413: post(b"Content-Length: " + b"1" * 20),
        414: get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1"),
        431: get(b"A: " + b"b" * 20_000),
        501: post(b"Transfer-Encoding: gzip"),
        505: get(line=b"GET / HTTP/2.0"),
    }
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(heads[status])
        response = await wire.read_response()
        assert response.status == status
        assert response.headers["connection"] == "close"
        assert response.headers["content-type"] == "text/plain"
        assert "date" in response.headers
        assert response.body.endswith(b"\n")
        assert len(response.body) > 10
        await wire.read_end()
        await wire.stream.aclose()


async def test_a_refused_websocket_version_names_the_one_spoken(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        await wire.send(HANDSHAKES["W08 version 8"][0])
        response = await wire.read_response()
        assert response.status == 426
        assert response.headers["sec-websocket-version"] == "13"
        await wire.stream.aclose()


@pytest.mark.parametrize("row", ["H01 bare LF ends request line", "H15 Content-Length and Transfer-Encoding"])
async def test_nothing_behind_a_refused_head_is_taken_for_a_request(row: str, autojump_clock: MockClock) -> None:
    calls = []
    app = make_app()

    @app.before_request
    async def count() -> None:
        calls.append(request.path)

    async with served(app) as target:
        wire = target.connect()
        await send(wire, HTTP[row][0] + get())
        assert (await wire.read_response()).status == 400
        await wire.read_end()
        await wire.stream.aclose()
    assert calls == []


# Frames: `close:CODE` with the code on the wire, then the end; `echo`, `pong`, `-`: nothing, then K

FRAMES: dict[str, tuple[bytes, str]] = {
    "F01 unmasked frame": (frame(TEXT, b"x", masked=False), "close:1002 C"),
    "F03 RSV2": (frame(TEXT, b"x", reserved=0x20), "close:1002 C"),
    "F05 opcode 3": (frame(3, b"x"), "close:1002 C"),
    "F07 fragmented ping": (frame(PING, b"x", fin=False), "close:1002 C"),
    "F08 ping with 126 bytes": (frame(PING, b"x" * 126), "close:1002 C"),
    "F09 continuation with nothing to continue": (frame(CONTINUATION, b"x"), "close:1002 C"),
    "F11 top bit of the length": (frame(BINARY, b"", length=b"\x7f\x80" + bytes(7)), "close:1002 C"),
    "F12 declares 2^62 bytes": (frame(BINARY, b"", length=b"\x7f\x40" + bytes(7)), "close:1009 C"),
    "F13 non-minimal length": (frame(BINARY, b"12345", length=b"\x7e\x00\x05"), "close:1002 C"),
    "F15 invalid UTF-8": (frame(TEXT, b"\xff"), "close:1007 C"),
    "F19 bad UTF-8 in the first fragment": (frame(TEXT, b"\xff", fin=False), "close:1007 C"),
    "F20 close with 1-byte payload": (frame(CLOSE, b"\x03"), "close:1002 C"),
    **{
        f"F21-F29 close code {code}": (close_frame(code), "close:1002 C")
        for code in (0, 1004, 1005, 1006, 1016, 2999, 5000)
    },
    "F31 close 1000": (close_frame(1000, "bye"), "close:1000 C"),
    **{f"F32 close {code}": (close_frame(code), f"close:{code} C") for code in (1012, 3000, 4999)},
    "F33 empty close": (frame(CLOSE), "close: C"),
    "F35 ping of 125 bytes": (frame(PING, b"p" * 125), "pong K"),
    "F36 unsolicited pong": (frame(PONG, b"x"), "- K"),
    "F37 ping between fragments": (
        frame(TEXT, b"ec", fin=False) + frame(PING, b"p" * 125) + frame(CONTINUATION, b"ho"),
        "pong echo K",
    ),
    "F39 2 x 600 KiB fragments": (
        frame(BINARY, b"x" * 614_400, fin=False) + frame(CONTINUATION, b"x" * 614_400),
        "close:1009 C",
    ),
    "F40 FIN without close frame": (FIN, "- C"),
    "F41 a frame": (frame(TEXT, b"echo"), "echo K"),
}


async def answer_to_frames(wire: Wire, data: bytes) -> str:
    await wire.handshake("/ws")
    await send(wire, data)
    said = []
    try:
        while True:
            with trio.move_on_after(QUIET) as scope:
                opcode, payload = await wire.read_frame()
                if opcode == CLOSE:
                    said.append(f"close:{int.from_bytes(payload[:2], 'big') if payload else ''}")
                elif opcode == PONG:
                    assert payload == b"p" * 125
                    said.append("pong")
                else:
                    said.append(payload.decode())
            if scope.cancelled_caught:
                break
    except Gone:
        return " ".join(said or ["-"]) + " C"
    await wire.send_text("kept")
    assert await wire.read_text() == "kept"
    return " ".join(said or ["-"]) + " K"


@pytest.mark.parametrize("row", FRAMES)
async def test_bad_frames_get_the_answer_due(
    row: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    data, due = FRAMES[row]
    with caplog.at_level(logging.WARNING), trio.fail_after(1000):
        async with served(make_app()) as target:
            for size in SEGMENTS if len(data) < 20_000 else [1 << 20, 65536]:
                wire = target.connect(size)
                assert await answer_to_frames(wire, data) == due
                await wire.stream.aclose()
    assert caplog.records == []
