"""Bad offers of permessage-deflate, bad compressed messages, and the answer due (RFC 7692): see :mod:`.bad_input`."""

from __future__ import annotations

import logging
import zlib

import pytest
import trio
from trio.testing import MockClock

from triows import Compression

from ..support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Wire, close_frame, frame
from .bad_input import FIN, LONG, PROBE, SEGMENTS, Watched, complaints, messages, send, watched
from .conftest import Target

KIB, MIB = 1 << 10, 1 << 20
RSV1 = 0x40
NOT_COMPRESSED = Compression(min_size=1 << 40)  # what the server sends, so that it can be read without inflating


class Deflater:
    """A client's compressor, whose flush leaves out the four bytes that every message ends with."""

    def __init__(self, bits: int = 15, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> None:
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, -bits, 9, strategy)

    def __call__(self, data: bytes) -> bytes:
        return (self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def end(self, data: bytes) -> bytes:
        """With a final block (BFINAL), and nothing left out."""
        return self._compressor.compress(data) + self._compressor.flush()


def deflated(data: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    return Deflater(15, level, strategy)(data)


def text(payload: bytes, *, fin: bool = True) -> bytes:
    return frame(TEXT, payload, fin=fin, reserved=RSV1)


def binary(payload: bytes, *, fin: bool = True) -> bytes:
    return frame(BINARY, payload, fin=fin, reserved=RSV1)


def in_fragments(payload: bytes, size: int, opcode: int = BINARY) -> bytes:
    parts = [payload[start : start + size] for start in range(0, len(payload), size)]
    return b"".join(
        frame(
            CONTINUATION if number else opcode,
            part,
            fin=number == len(parts) - 1,
            reserved=0 if number else RSV1,
        )
        for number, part in enumerate(parts)
    )


def in_a_row(*payloads: bytes) -> bytes:
    deflate = Deflater()
    return b"".join(text(deflate(payload)) for payload in payloads)


def final_then_more() -> bytes:
    """C06: a message that ends its DEFLATE stream, and another one."""
    return text(Deflater().end(b"one") + b"\x00") + text(deflated(b"two"))


def stored(data: bytes) -> bytes:
    """One stored block, not final, and the empty one behind it without its last four bytes."""
    return b"\x00" + len(data).to_bytes(2, "little") + (len(data) ^ 0xFFFF).to_bytes(2, "little") + data + b"\x00"


# A fixed block of one reference, to where nothing has been (RFC 1951, section 3.2.6).
LOOKS_BACK = bytes([0b00000010, 0b00000010, 0b00000000])


def bomb() -> bytes:
    """64 MiB of zeros."""
    deflate = Deflater()
    first, further = deflate(bytes(MIB)), deflate(bytes(MIB))
    return b"\x00\x00\xff\xff".join([first, *[further] * 63])


def ignoring_the_window() -> bytes:
    """A second message that refers to the start of the first one, 2 KiB before."""
    deflate = Deflater()
    start = bytes(range(256))
    return binary(deflate(start + bytes(2048))) + binary(deflate(start))


BOMB = bomb()

OFFER = "permessage-deflate"
EXT, NOEXT = "ext", "noext"

# The offer; whether it is taken; what is sent then; the answer.
ROWS: dict[str, tuple[str, str, bytes, str]] = {
    "a good message": (OFFER, EXT, text(deflated(b"hello")), "hello K"),
    "C02 RSV1 on a Ping": (OFFER, EXT, frame(PING, b"x", reserved=RSV1), "close:1002 C"),
    "C02 RSV1 on a Pong": (OFFER, EXT, frame(PONG, b"x", reserved=RSV1), "close:1002 C"),
    "C02 RSV1 on a Close": (OFFER, EXT, frame(CLOSE, b"\x03\xe8", reserved=RSV1), "close:1002 C"),
    "C02 a compressed Ping": (OFFER, EXT, frame(PING, deflated(b"x"), reserved=RSV1), "close:1002 C"),
    "RSV1 on a continuation": (
        OFFER,
        EXT,
        text(deflated(b"hello")[:3], fin=False) + frame(CONTINUATION, deflated(b"hello")[3:], reserved=RSV1),
        "close:1002 C",
    ),
    "RSV1 on the continuation of a plain message": (
        OFFER,
        EXT,
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", reserved=RSV1),
        "close:1002 C",
    ),
    "RSV1 and RSV2": (OFFER, EXT, frame(TEXT, deflated(b"x"), reserved=0x60), "close:1002 C"),
    "RSV1 and RSV3": (OFFER, EXT, frame(TEXT, deflated(b"x"), reserved=0x50), "close:1002 C"),
    "RSV1 on opcode 3": (OFFER, EXT, frame(3, b"x", reserved=RSV1), "close:1002 C"),
    "RSV1 where nothing was agreed on": ("foo", NOEXT, text(deflated(b"x")), "close:1002 C"),
    "RSV1 where the offer was declined": (OFFER + "; a", NOEXT, text(deflated(b"x")), "close:1002 C"),
    "C03 not DEFLATE": (OFFER, EXT, binary(b"\xff" * 30), "close:1007 C"),
    "C03 not DEFLATE, in text": (OFFER, EXT, text(b"\x07"), "close:1007 C"),
    "C03 a stored block with a wrong length": (OFFER, EXT, binary(b"\x00\x05\x00\x00\x00hello\x00"), "close:1007 C"),
    "C03 zlib's format": (OFFER, EXT, binary(zlib.compress(b"hello")), "close:1007 C"),
    "C03 gzip's format": (OFFER, EXT, binary(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), "close:1007 C"),
    "C03 no DEFLATE in the second fragment, no FIN": (
        OFFER,
        EXT,
        binary(deflated(b"a"), fin=False) + frame(CONTINUATION, b"\xff" * 30, fin=False),
        "close:1007 C",
    ),
    "C03 cut off": (OFFER, EXT, binary(deflated(bytes(range(200)))[:-9]), "close:1007 C"),
    "C03 cut off, and the next message": (
        OFFER,
        EXT,
        binary(deflated(bytes(range(200)))[:-9]) + text(deflated(b"next")),
        "close:1007 C",
    ),
    "C03 a reference to before the first byte": (OFFER, EXT, binary(LOOKS_BACK), "close:1007 C"),
    "C03 a reference to before a final block": (
        OFFER,
        EXT,
        text(Deflater().end(b"aaaa") + b"\x00") + binary(LOOKS_BACK),
        "aaaa close:1007 C",
    ),
    "a reference to the message before": (
        OFFER,
        EXT,
        in_a_row(b"hello-hello", b"hello-hello"),
        "hello-hello hello-hello K",
    ),
    "a reference to the message before, without takeover": (
        OFFER + "; client_no_context_takeover",
        EXT,
        in_a_row(b"hello-hello", b"hello-hello"),
        "hello-hello close:1007 C",
    ),
    "the four bytes of the tail sent too": (OFFER, EXT, text(deflated(b"tail") + b"\x00\x00\xff\xff"), "close:1007 C"),
    "a stored block": (OFFER, EXT, text(stored(b"stored")), "stored K"),
    "stored blocks in a row": (OFFER, EXT, text(stored(b"st")[:-1] + stored(b"ored")), "stored K"),
    "a fixed block": (OFFER, EXT, text(deflated(b"fixed", strategy=zlib.Z_FIXED)), "fixed K"),
    "a dynamic block": (OFFER, EXT, binary(deflated(bytes(range(256)) * 3, 9)), "[768] K"),
    "not compressed at all": (OFFER, EXT, frame(TEXT, b"plain"), "plain K"),
    "C04 bomb of 64 MiB": (OFFER, EXT, binary(BOMB), "close:1009 C"),
    "C04 bomb in fragments of 1 KiB": (OFFER, EXT, in_fragments(BOMB, KIB), "close:1009 C"),
    "C04 bomb of text": (OFFER, EXT, text(BOMB), "close:1009 C"),
    "C04 bomb without FIN": (OFFER, EXT, binary(BOMB, fin=False), "close:1009 C"),
    "C04 bomb of stored blocks": (OFFER, EXT, binary(deflated(bytes(MIB + 1), 0)), "close:1009 C"),
    "C04 one byte over the limit": (OFFER, EXT, binary(deflated(bytes(MIB + 1))), "close:1009 C"),
    "the limit": (OFFER, EXT, binary(deflated(bytes(MIB))), f"[{MIB}] K"),
    "the limit in fragments of 100 bytes": (OFFER, EXT, in_fragments(deflated(bytes(MIB)), 100), f"[{MIB}] K"),
    "a frame that declares 2^62 bytes": (
        OFFER,
        EXT,
        frame(BINARY, reserved=RSV1, length=b"\x7f" + (1 << 62).to_bytes(8, "big")),
        "close:1009 C",
    ),
    "a frame that declares twice the limit": (
        OFFER,
        EXT,
        frame(BINARY, b"\xff" * 30, reserved=RSV1, length=b"\x7f" + (2 * MIB).to_bytes(8, "big")),
        "close:1007 C",
    ),
    "C06 final block, then a second message": (OFFER, EXT, final_then_more(), "one two K"),
    "C06 final block without the empty one": (OFFER, EXT, text(Deflater().end(b"one")) + in_a_row(b"two"), "one two K"),
    "C06 garbage behind a final block": (OFFER, EXT, text(Deflater().end(b"one") + b"\xff\xff\xff"), "close:1007 C"),
    "C06 10,000 final blocks": (OFFER, EXT, text(b"\x03\x00" * 10_000), "close:1007 C"),
    "C07 inflates to invalid UTF-8": (OFFER, EXT, text(deflated(b"abc\xff")), "close:1007 C"),
    "C07 inflates to cut UTF-8": (OFFER, EXT, text(deflated("€".encode()[:2])), "close:1007 C"),
    "C07 inflates to a surrogate": (OFFER, EXT, text(deflated(b"\xed\xa0\x80")), "close:1007 C"),
    "C07 a bomb of invalid UTF-8": (OFFER, EXT, text(deflated(b"\xff" * 64 * KIB)), "close:1007 C"),
    "a character in two fragments": (OFFER, EXT, in_fragments(deflated("€".encode()), 1, TEXT), "€ K"),
    "C08 empty message": (OFFER, EXT, text(b"\x00"), "[0] K"),
    "C08 no payload": (OFFER, EXT, text(b""), "[0] K"),
    "C08 no payload in fragments": (OFFER, EXT, text(b"", fin=False) + frame(CONTINUATION), "[0] K"),
    "C08 an empty fixed block": (OFFER, EXT, text(b"\x02\x00"), "[0] K"),
    "300 tiny messages": (OFFER, EXT, text(b"\x00") * 300, "[0] " * 300 + "K"),
    "a Ping between compressed fragments": (
        OFFER,
        EXT,
        text(deflated(b"hello")[:3], fin=False) + frame(PING, b"p") + frame(CONTINUATION, deflated(b"hello")[3:]),
        "pong hello K",
    ),
    "Close between compressed fragments": (OFFER, EXT, text(b"\xf2", fin=False) + close_frame(1000), "close:1000 C"),
    "FIN between compressed fragments": (OFFER, EXT, text(b"\xf2", fin=False) + FIN, "C"),
    "C10 server_max_window_bits=8": (OFFER + "; server_max_window_bits=8", NOEXT, frame(TEXT, b"plain"), "plain K"),
    "C10 client_max_window_bits=8": (
        OFFER + "; client_max_window_bits=8",
        EXT,
        text(Deflater(9)(b"hello")),
        "hello K",
    ),
    **{
        f"{name}": (OFFER + "; " + parameters, NOEXT, frame(TEXT, b"plain"), "plain K")
        for name, parameters in {
            "C11 server_max_window_bits=7": "server_max_window_bits=7",
            "C11 client_max_window_bits=7": "client_max_window_bits=7",
            "C11 server_max_window_bits=0": "server_max_window_bits=0",
            "C11 server_max_window_bits=-10": "server_max_window_bits=-10",
            "C12 server_max_window_bits=16": "server_max_window_bits=16",
            "C12 client_max_window_bits=16": "client_max_window_bits=16",
            "C12 client_max_window_bits of 2^32+10": "client_max_window_bits=4294967306",
            "C12 server_max_window_bits of 1,000 digits": "server_max_window_bits=" + "1" * 1000,
            "C12 server_max_window_bits=010": "server_max_window_bits=010",
            "C12 server_max_window_bits=+10": "server_max_window_bits=+10",
            "C12 server_max_window_bits=1e1": "server_max_window_bits=1e1",
            "C12 server_max_window_bits=1_0": "server_max_window_bits=1_0",
            "C12 server_max_window_bits without a value": "server_max_window_bits",
            "C14 server_no_context_takeover=1": "server_no_context_takeover=1",
            "C14 client_no_context_takeover=true": "client_no_context_takeover=true",
            "C15 server_no_context_takeover twice": "server_no_context_takeover; server_no_context_takeover",
            "C15 server_max_window_bits twice": "server_max_window_bits=10; server_max_window_bits=10",
            "C16 unknown parameter": "unknown",
            "C16 unknown parameter with a value": "unknown=1",
            "C16 a parameter of another case": "Server_No_Context_Takeover",
        }.items()
    },
    "an extension of another case": ("Permessage-Deflate", NOEXT, frame(TEXT, b"plain"), "plain K"),
    "an extension in another's quoted value": (
        'x; y=",permessage-deflate; client_max_window_bits,"',
        NOEXT,
        frame(TEXT, b"plain"),
        "plain K",
    ),
    "C18 a bad offer, then a good one": (OFFER + "; a, " + OFFER, EXT, text(deflated(b"hello")), "hello K"),
    "C18 the bad one in another line": (
        f"{OFFER}; a\r\nSec-WebSocket-Extensions: {OFFER}",
        EXT,
        text(deflated(b"hello")),
        "hello K",
    ),
    "C18 200 bad offers, then a good one": (
        ", ".join(["p; a"] * 200) + ", " + OFFER,
        EXT,
        text(deflated(b"hello")),
        "hello K",
    ),
    "C19 quoted value": (OFFER + '; server_max_window_bits="10"', EXT, text(deflated(b"hello")), "hello K"),
    "C19 quoted value with escapes": (
        OFFER + '; server_max_window_bits="\\1\\0"',
        EXT,
        text(deflated(b"hello")),
        "hello K",
    ),
    "C20 a client that ignores its window": (
        OFFER + "; client_max_window_bits=9",
        EXT,
        ignoring_the_window(),
        "[2304] close:1007 C",
    ),
}


async def check(server: Watched, row: str, segments: int | None) -> None:
    offer, taken, data, due = ROWS[row]
    wire = await server.connect(segments)
    async with wire.stream:
        response = await wire.handshake("/ws", f"Sec-WebSocket-Extensions: {offer}")
        assert ("sec-websocket-extensions" in response.headers) == (taken == EXT), (row, segments)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, wire, data if due.endswith("C") else data + PROBE)
            answer = await messages(wire)
    assert answer == due, (row, segments)
    echoed = [word for word in due.split() if word not in ("C", "K", "pong") and not word.startswith("close:")]
    assert len([message for message in server.received if message != "probe"]) == len(echoed), (row, segments)
    server.received.clear()


@pytest.mark.parametrize("row", ROWS)
async def test_bad_compression_gets_the_answer_due_however_it_is_cut(
    row: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.fail_after(1000):
        async with watched(caplog, compression=NOT_COMPRESSED) as server:
            for segments in SEGMENTS if len(ROWS[row][2]) < LONG else [None, 16_384]:
                await check(server, row, segments)
            await server.still_serves()


@pytest.mark.transports("tcp", "tasks", "tls")
async def test_bad_compression_gets_the_answer_due_on_sockets(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    assert target.app is not None

    async def connect(segments: int | None) -> Wire:
        return await target.connect()

    with caplog.at_level(logging.WARNING), trio.fail_after(60):
        server = Watched(target.app, connect, compression=NOT_COMPRESSED)
        for row in ROWS:
            await check(server, row, None)
        await server.still_serves()
    assert complaints(caplog) == []
