"""Bad frames, and the answer due (RFC 6455, sections 5 to 8), as :mod:`.bad_input` writes it."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from ..support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Wire, close_frame, frame
from .bad_input import FIN, LONG, PROBE, SEGMENTS, Watched, complaints, messages, send, watched
from .conftest import Target

KIB, MIB = 1 << 10, 1 << 20
EURO = "€".encode()


def declaring(size: int, *, opcode: int = BINARY, fin: bool = True, payload: bytes = b"") -> bytes:
    """A frame whose header announces so many bytes."""
    field = size.to_bytes(2, "big") if size < 65536 else size.to_bytes(8, "big")
    return frame(opcode, payload, fin=fin, length=(b"\x7e" if size < 65536 else b"\x7f") + field)


def fragments(*parts: bytes, opcode: int = TEXT) -> bytes:
    last = len(parts) - 1
    return b"".join(
        frame(CONTINUATION if number else opcode, part, fin=number == last) for number, part in enumerate(parts)
    )


def with_mask(mask: bytes, opcode: int, payload: bytes) -> bytes:
    body = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + body


ROWS: dict[str, tuple[bytes, str]] = {
    "F01 unmasked frame": (frame(TEXT, b"x", masked=False), "close:1002 C"),
    "F01 unmasked empty frame": (frame(TEXT, masked=False), "close:1002 C"),
    "F01 unmasked Close": (frame(CLOSE, b"\x03\xe8", masked=False), "close:1002 C"),
    "F01 unmasked Ping": (frame(PING, b"x", masked=False), "close:1002 C"),
    "F01 unmasked continuation": (frame(TEXT, b"a", fin=False) + frame(0, b"b", masked=False), "close:1002 C"),
    "F01 unmasked frame of 64 KiB": (frame(BINARY, bytes(65536), masked=False), "close:1002 C"),
    "a mask of zeros": (with_mask(bytes(4), TEXT, b"plain"), "plain K"),
    "RSV1 without an extension": (frame(TEXT, b"x", reserved=0x40), "close:1002 C"),
    "RSV1 on a continuation": (frame(TEXT, b"x", fin=False) + frame(0, b"y", reserved=0x40), "close:1002 C"),
    "RSV1 on a Ping": (frame(PING, b"x", reserved=0x40), "close:1002 C"),
    "F03 RSV2": (frame(TEXT, b"x", reserved=0x20), "close:1002 C"),
    "F03 RSV2 on a Close": (frame(CLOSE, b"\x03\xe8", reserved=0x20), "close:1002 C"),
    "F04 RSV3": (frame(TEXT, b"x", reserved=0x10), "close:1002 C"),
    "F04 all of them": (frame(TEXT, b"x", reserved=0x70), "close:1002 C"),
    **{f"F05 opcode {opcode}": (frame(opcode, b"x"), "close:1002 C") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "F05 opcode 3, not final": (frame(3, b"x", fin=False), "close:1002 C"),
    "F07 fragmented Ping": (frame(PING, b"x", fin=False), "close:1002 C"),
    "F07 fragmented Pong": (frame(PONG, b"x", fin=False), "close:1002 C"),
    "F07 fragmented Close": (frame(CLOSE, b"\x03\xe8", fin=False), "close:1002 C"),
    "F08 Ping of 126 bytes": (frame(PING, b"x" * 126), "close:1002 C"),
    "F08 Pong of 126 bytes": (frame(PONG, b"x" * 126), "close:1002 C"),
    "F08 Close of 126 bytes": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), "close:1002 C"),
    "F08 Ping that declares 2^62 bytes": (declaring(1 << 62, opcode=PING), "close:1002 C"),
    "F08 Ping with its 5 bytes in 16 bits": (frame(PING, b"12345", length=b"\x7e\x00\x05"), "close:1002 C"),
    "F09 nothing to continue": (frame(CONTINUATION, b"x"), "close:1002 C"),
    "F09 nothing to continue, not final": (frame(CONTINUATION, b"x", fin=False), "close:1002 C"),
    "F09 nothing to continue any more": (fragments(b"a", b"b") + frame(CONTINUATION), "ab close:1002 C"),
    "F10 a text within a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), "close:1002 C"),
    "F10 a binary within a text": (frame(TEXT, b"a", fin=False) + frame(BINARY, b"b", fin=False), "close:1002 C"),
    "F10 a second beginning": (frame(TEXT, fin=False) * 2, "close:1002 C"),
    "F11 the length's top bit": (declaring(1 << 63), "close:1002 C"),
    "F11 all bits of the length": (declaring((1 << 64) - 1), "close:1002 C"),
    "F11 top bit in a continuation": (
        frame(BINARY, b"a", fin=False) + declaring(1 << 63, opcode=0),
        "close:1002 C",
    ),
    "F12 declares 2^62 bytes": (declaring(1 << 62), "close:1009 C"),
    "F12 declares 2^63-1 bytes": (declaring((1 << 63) - 1), "close:1009 C"),
    "F12 declares 2^32 bytes": (declaring(1 << 32), "close:1009 C"),
    "F12 declares 2^32-1 bytes": (declaring((1 << 32) - 1), "close:1009 C"),
    "F12 declares 2^31 bytes": (declaring(1 << 31), "close:1009 C"),
    "F12 declares a text of 2^62 bytes, not final": (declaring(1 << 62, opcode=TEXT, fin=False), "close:1009 C"),
    "F12 declares one byte over the limit": (declaring(MIB + 1), "close:1009 C"),
    "F12 a continuation that makes 2^63 together": (
        frame(BINARY, b"a", fin=False) + declaring((1 << 63) - 1, opcode=0),
        "close:1009 C",
    ),
    "F12 declares the limit, and ends": (declaring(MIB) + FIN, "C"),
    "F13 5 in 16 bits": (frame(BINARY, b"12345", length=b"\x7e\x00\x05"), "close:1002 C"),
    "F13 0 in 16 bits": (frame(BINARY, b"", length=b"\x7e\x00\x00"), "close:1002 C"),
    "F13 125 in 16 bits": (frame(BINARY, b"x" * 125, length=b"\x7e\x00\x7d"), "close:1002 C"),
    "F13 125 in 64 bits": (frame(BINARY, b"x" * 125, length=b"\x7f" + (125).to_bytes(8, "big")), "close:1002 C"),
    "F13 65535 in 64 bits": (frame(BINARY, bytes(65535), length=b"\x7f" + (65535).to_bytes(8, "big")), "close:1002 C"),
    **{f"{size} bytes": (frame(BINARY, bytes(size)), f"[{size}] K") for size in (0, 125, 126, 65535, 65536, MIB)},
    "F15 invalid UTF-8": (frame(TEXT, b"\xff"), "close:1007 C"),
    "F15 a lone continuation byte": (frame(TEXT, b"a\x80"), "close:1007 C"),
    "F15 overlong solidus": (frame(TEXT, b"\xc0\xaf"), "close:1007 C"),
    "F15 overlong NUL": (frame(TEXT, b"\xc0\x80"), "close:1007 C"),
    "F15 overlong in 3 bytes": (frame(TEXT, b"\xe0\x80\xaf"), "close:1007 C"),
    "F15 overlong in 4 bytes": (frame(TEXT, b"\xf0\x80\x80\xaf"), "close:1007 C"),
    "F15 beyond U+10FFFF": (frame(TEXT, b"\xf4\x90\x80\x80"), "close:1007 C"),
    "F15 of 5 bytes": (frame(TEXT, b"\xf8\x88\x80\x80\x80"), "close:1007 C"),
    "F15 in the middle of a long text": (frame(TEXT, b"a" * 1000 + b"\xff" + b"a" * 1000), "close:1007 C"),
    "F16 UTF-8 cut at message end": (frame(TEXT, EURO[:2]), "close:1007 C"),
    "F16 cut at the end of fragments": (fragments(EURO[:1], EURO[1:2]), "close:1007 C"),
    "F16 cut at an empty last fragment": (fragments(EURO[:2], b""), "close:1007 C"),
    "F16 the next message does not complete it": (frame(TEXT, EURO[:2]) + frame(TEXT, EURO[2:]), "close:1007 C"),
    "F17 surrogate ED A0 80": (frame(TEXT, b"\xed\xa0\x80"), "close:1007 C"),
    "F17 surrogate ED BF BF": (frame(TEXT, b"\xed\xbf\xbf"), "close:1007 C"),
    "F17 a pair of surrogates": (frame(TEXT, b"\xed\xa0\xbd\xed\xb8\x80"), "close:1007 C"),
    "F17 a surrogate in fragments": (fragments(b"\xed", b"\xa0", b"\x80"), "close:1007 C"),
    "F19 bad UTF-8 in the first fragment, no FIN": (frame(TEXT, b"\xff", fin=False), "close:1007 C"),
    "F19 overlong begun in a fragment, no FIN": (frame(TEXT, b"\xe0\x80", fin=False), "close:1007 C"),
    "F19 bad UTF-8 in a continuation, no FIN": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"\xff", fin=False),
        "close:1007 C",
    ),
    "F19 bad UTF-8 in the part of a frame that is there": (
        frame(TEXT, b"\xff" + bytes(999), length=b"\x7e\xff\xff"),
        "close:1007 C",
    ),
    "noncharacters": (frame(TEXT, "\ufffe\uffff\U0010ffff".encode()), "\ufffe\uffff\U0010ffff K"),
    "a byte order mark": (frame(TEXT, "\ufeffa".encode()), "\ufeffa K"),
    "NUL in a text": (frame(TEXT, b"a\x00b"), "a\x00b K"),
    **{
        f"a character cut over fragments at {place}": (
            fragments("a€\U0001f600b".encode()[:place], "a€\U0001f600b".encode()[place:]),
            "a€\U0001f600b K",
        )
        for place in range(10)
    },
    "F20 close with 1-byte payload": (frame(CLOSE, b"\x03"), "close:1002 C"),
    **{
        f"F21-F29 close code {code}": (close_frame(code), "close:1002 C")
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "a close reason that is no UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), "close:1007 C"),
    "a close reason that is cut": (frame(CLOSE, b"\x03\xe8" + EURO[:2]), "close:1007 C"),
    "a close reason of a surrogate": (frame(CLOSE, b"\x03\xe8\xed\xa0\x80"), "close:1007 C"),
    "a close reason of 123 bytes": (close_frame(1000, "x" * 123), "close:1000 C"),
    "F31 close 1000": (close_frame(1000, "bye"), "close:1000 C"),
    **{
        f"F32 close {code}": (close_frame(code), f"close:{code} C")
        for code in (1001, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 4999)
    },
    "F33 empty close": (frame(CLOSE), "close: C"),
    "F34 a text behind Close": (close_frame(1000) + frame(TEXT, b"late"), "close:1000 C"),
    "F34 a second Close": (close_frame(1000) + close_frame(3000), "close:1000 C"),
    "F34 a Ping behind Close": (close_frame(1000) + frame(PING, b"late"), "close:1000 C"),
    "F34 garbage behind Close": (close_frame(1000) + b"\xff" * 100, "close:1000 C"),
    "F34 a megabyte behind Close": (close_frame(1000) + frame(BINARY, bytes(MIB)), "close:1000 C"),
    "Close between fragments": (frame(TEXT, b"a", fin=False) + close_frame(1000), "close:1000 C"),
    "a text behind a fault": (frame(3) + frame(TEXT, b"late"), "close:1002 C"),
    "Close behind a fault": (frame(3) + close_frame(1000), "close:1002 C"),
    "a Ping behind a fault": (frame(3) + frame(PING, b"late"), "close:1002 C"),
    "texts before a fault": (frame(TEXT, b"one") + frame(TEXT, b"two") + frame(3), "one two close:1002 C"),
    "F35 Ping of 125 bytes": (frame(PING, b"p" * 125), "pong K"),
    "F35 empty Ping": (frame(PING), "pong K"),
    "F36 unsolicited Pong": (frame(PONG, b"x"), "K"),
    "F36 Pong of 125 bytes between fragments": (
        frame(TEXT, b"ec", fin=False) + frame(PONG, b"p" * 125) + frame(CONTINUATION, b"ho"),
        "echo K",
    ),
    "F37 Ping between fragments": (
        frame(TEXT, b"ec", fin=False) + frame(PING, b"p" * 125) + frame(CONTINUATION, b"ho"),
        "pong echo K",
    ),
    "F39 2 x 600 KiB fragments": (fragments(bytes(600 * KIB), bytes(600 * KIB), opcode=BINARY), "close:1009 C"),
    "F39 one byte over the limit": (frame(BINARY, bytes(MIB + 1)), "close:1009 C"),
    "F39 one byte over the limit in fragments": (fragments(bytes(MIB), b"x", opcode=BINARY), "close:1009 C"),
    "F39 a text of bytes over the limit": (frame(TEXT, EURO * (MIB // 3 + 1)), "close:1009 C"),
    "the limit in fragments": (fragments(bytes(MIB - 1), b"", b"x", b"", opcode=BINARY), f"[{MIB}] K"),
    "F40 FIN without close frame": (FIN, "C"),
    "F40 FIN within a header": (frame(TEXT, b"echo")[:1] + FIN, "C"),
    "F40 FIN within a payload": (frame(TEXT, b"echo")[:-1] + FIN, "C"),
    "F40 FIN between fragments": (frame(TEXT, b"a", fin=False) + FIN, "C"),
    "F41 a frame": (frame(TEXT, b"echo"), "echo K"),
    "F41 frames of all kinds": (
        frame(TEXT, b"one") + frame(BINARY, bytes(300)) + fragments(b"t", b"w", b"", b"o") + frame(TEXT),
        "one [300] two [0] K",
    ),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "close:1002 C"),
    "zeros": (bytes(1000), "close:1002 C"),
}


def said(message: str | bytes) -> str:
    return message if isinstance(message, str) and message and len(message) < 20 else f"[{len(message)}]"


async def check(server: Watched, row: str, segments: int | None) -> None:
    data, due = ROWS[row]
    wire = await server.connect(segments)
    async with wire.stream:
        await wire.handshake("/ws")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, wire, data if due.endswith("C") else data + PROBE)
            answer = await messages(wire)
    assert answer == due, (row, segments)
    # The handler got what was echoed, and nothing else.
    echoed = [word for word in due.split(" ")[:-1] if word != "pong" and not word.startswith("close:")]
    assert [said(message) for message in server.received if message != "probe"] == echoed, (row, segments)
    server.received.clear()


@pytest.mark.parametrize("row", ROWS)
async def test_a_bad_frame_gets_the_answer_due_however_it_is_cut(
    row: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.fail_after(1000):
        async with watched(caplog) as server:
            for segments in SEGMENTS if len(ROWS[row][0]) < LONG else [None, 65537]:
                await check(server, row, segments)
            await server.still_serves()


@pytest.mark.transports("tcp", "tasks", "tls")
async def test_a_bad_frame_gets_the_answer_due_on_sockets(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    assert target.app is not None

    async def connect(segments: int | None) -> Wire:
        return await target.connect()

    with caplog.at_level(logging.WARNING), trio.fail_after(60):
        server = Watched(target.app, connect)
        for row in ROWS:
            await check(server, row, None)
        await server.still_serves()
    assert complaints(caplog) == []
