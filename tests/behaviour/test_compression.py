"""permessage-deflate on the wire (RFC 7692)."""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from triows import Compression, websocket

from ..support.wire import BINARY, CONTINUATION, PING, PONG, TEXT, Wire, close_frame, frame
from .conftest import Target, native_only

pytestmark = native_only  # compression under an ASGI server is that server's

MIB = 1 << 20
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
TAIL = b"\x00\x00\xff\xff"


class Deflating:
    """The client's side of the agreement."""

    def __init__(self, wire: Wire, bits: int = 15) -> None:
        self.wire = wire
        self._deflater = zlib.compressobj(6, zlib.DEFLATED, -bits)
        self._inflater = zlib.decompressobj(-15)

    def deflate(self, data: bytes) -> bytes:
        return (self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]

    async def send(self, message: str | bytes) -> None:
        payload = message.encode() if isinstance(message, str) else message
        await self.wire.send(frame(TEXT if isinstance(message, str) else BINARY, self.deflate(payload), reserved=0x40))

    async def read(self) -> tuple[int, bytes]:
        """The first byte of the next frame and its payload as it is on the wire."""
        first, size = await self.wire.read(2)
        if size == 126:
            size = int.from_bytes(await self.wire.read(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.wire.read(8), "big")
        return first, await self.wire.read(size)

    def inflate(self, payload: bytes, tail: bytes = TAIL) -> bytes:
        return self._inflater.decompress(payload + tail)


async def mirror() -> None:
    async for message in websocket:
        await websocket.send(message)


async def connect(target: Target, *headers: str, handler: Any = mirror, **limits: Any) -> tuple[Wire, str | None]:
    assert target.app is not None
    target.app.websocket("/handler", **{"compression": True, **limits})(handler)
    wire = await target.connect()
    response = await wire.handshake("/handler", *headers)
    return wire, response.headers.get("sec-websocket-extensions")


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ("", ""),
        ("; server_max_window_bits=8", None),  # C10
        ("; server_max_window_bits=7", None),  # C11
        ("; server_max_window_bits=16", None),  # C12
        ("; server_no_context_takeover=1", None),  # C14
        ("; client_no_context_takeover; client_no_context_takeover", None),  # C15
        ("; unknown", None),  # C16
        ("; unknown, permessage-deflate", ""),  # C18
        ('; server_max_window_bits="10"', "; server_max_window_bits=10"),  # C19
        ("; client_max_window_bits", "; client_max_window_bits=12"),
        ("; server_no_context_takeover", "; server_no_context_takeover"),
    ],
)
async def test_an_offer_is_answered(target: Target, parameters: str, answer: str | None) -> None:
    wire, extensions = await connect(target, OFFER + parameters)
    assert extensions == (None if answer is None else "permessage-deflate" + answer)
    client = Deflating(wire)
    text = "hello " * 50
    if answer is None:
        await wire.send_text(text)
        assert await wire.read_text() == text
    else:
        await client.send(text)
        first, payload = await client.read()
        assert first == 0xC1
        assert client.inflate(payload).decode() == text
    await wire.close()


async def test_it_is_off_unless_it_is_switched_on_for_app_or_route(target: Target) -> None:
    assert target.app is not None
    target.app.websocket("/on", compression=Compression(level=9))(mirror)
    for path, expected in (("/echo", False), ("/on", True)):
        wire = await target.connect()
        response = await wire.handshake(path, OFFER)
        assert ("sec-websocket-extensions" in response.headers) == expected
        await wire.close()
    target.app.config["COMPRESSION"] = True
    target.app.websocket("/off", compression=False)(mirror)
    for path, expected in (("/echo", True), ("/off", False)):
        wire = await target.connect()
        response = await wire.handshake(path, OFFER)
        assert ("sec-websocket-extensions" in response.headers) == expected
        await wire.close()


async def test_contexts_are_kept_from_message_to_message(target: Target) -> None:
    wire, _ = await connect(target, OFFER)
    client = Deflating(wire)
    message = bytes(range(256)) * 2
    sizes = []
    for _ in range(3):
        await client.send(message)
        first, payload = await client.read()
        assert first == 0xC2
        assert client.inflate(payload) == message
        sizes.append(len(payload))
    assert sizes[1] < sizes[0] / 5
    await wire.close()


async def test_short_messages_are_sent_as_they_are(target: Target) -> None:
    wire, _ = await connect(target, OFFER, compression=Compression(min_size=100))
    client = Deflating(wire)
    for size, first in ((99, 0x82), (100, 0xC2), (0, 0x82)):
        await client.send(bytes(size))
        assert (await client.read())[0] == first
    await wire.close()


async def test_messages_need_not_be_compressed(target: Target) -> None:
    wire, _ = await connect(target, OFFER)
    await wire.send(frame(TEXT, b"plain") + frame(PING, b"p") + frame(BINARY, b"x" * 128))
    received = [await Deflating(wire).read() for _ in range(3)]
    assert sorted(first for first, _ in received) == [0x81, 0x8A, 0xC2]
    await wire.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(PING, b"x", reserved=0x40), 1002),  # C02
        (frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", reserved=0x40), 1002),
        (frame(TEXT, b"x", reserved=0x60), 1002),
        (frame(BINARY, b"\xff" * 30, reserved=0x40), 1007),  # C03
    ],
    ids=["Ping", "continuation", "other bit", "not DEFLATE"],
)
async def test_faults_have_their_close_codes(target: Target, data: bytes, code: int) -> None:
    wire, _ = await connect(target, OFFER)
    await wire.send(data)
    assert (await wire.read_close())[0] == code
    await wire.stream.aclose()


async def test_the_reserved_bit_without_an_agreement_is_a_fault(target: Target) -> None:
    wire, extensions = await connect(target)
    assert extensions is None
    await wire.send(frame(TEXT, b"x", reserved=0x40))
    assert (await wire.read_close())[0] == 1002
    await wire.stream.aclose()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_bomb_costs_no_more_than_the_limit(target: Target, streamed: bool) -> None:
    """C04 and Q2."""

    async def take() -> None:
        while True:
            async with websocket.receive_stream() as pieces:
                async for _ in pieces:
                    pass

    wire, _ = await connect(target, OFFER, handler=take if streamed else mirror)
    await Deflating(wire).send(bytes(64 * MIB))
    assert (await wire.read_close())[0] == 1009
    await wire.stream.aclose()


async def test_text_that_inflates_to_no_utf8_is_a_fault(target: Target) -> None:
    """C07."""
    wire, _ = await connect(target, OFFER)
    client = Deflating(wire)
    await wire.send(frame(TEXT, client.deflate(b"abc\xff"), reserved=0x40))
    assert (await wire.read_close())[0] == 1007
    await wire.stream.aclose()


async def test_final_blocks_and_empty_messages_are_fine(target: Target) -> None:
    """C06 and C08."""
    wire, _ = await connect(target, OFFER)
    final = zlib.compressobj(6, zlib.DEFLATED, -15)
    payload = final.compress(b"final") + final.flush() + b"\x00"
    await wire.send(frame(TEXT, payload, reserved=0x40) + frame(TEXT, b"\x00", reserved=0x40))
    await wire.send(frame(TEXT, Deflating(wire).deflate(b"after"), reserved=0x40))
    assert [await wire.read_text() for _ in range(3)] == ["final", "", "after"]
    await wire.close()


async def test_a_client_that_ignores_its_window_is_found_out_or_understood(target: Target) -> None:
    """C20."""
    wire, extensions = await connect(target, OFFER + "; client_max_window_bits=9")
    assert extensions is not None
    assert "client_max_window_bits=9" in extensions
    message = bytes(range(256)) * 2 + bytes(2000) + bytes(range(256))
    await Deflating(wire, 15).send(message)
    first, payload = await Deflating(wire).read()
    assert first == 0xC2 or int.from_bytes(payload[:2], "big") in (1002, 1007)
    await trio.aclose_forcefully(wire.stream)


async def test_streams_are_compressed_both_ways(target: Target) -> None:
    async def streams() -> None:
        while True:
            async with websocket.receive_stream() as pieces:
                await websocket.send(pieces)

    wire, _ = await connect(target, OFFER, handler=streams)
    client = Deflating(wire)
    for _ in range(2):
        whole = client.deflate(b"0123456789" * 1000)
        await wire.send(frame(BINARY, whole[:20], fin=False, reserved=0x40) + frame(PING, b"?"))
        await wire.send(frame(CONTINUATION, whole[20:]))
        payload = b""
        first = 0
        firsts = []
        while first != 0x80:
            first, part = await client.read()
            if first == 0x80 | PONG:
                first = 0
                continue
            firsts.append(first)
            payload += part
        assert firsts[0] == 0x42
        assert set(firsts[1:-1]) <= {0}
        assert client.inflate(payload) == b"0123456789" * 1000
    await wire.close()


async def received_whole() -> int:
    return len(await websocket.receive())


async def received_in_pieces() -> int:
    async with websocket.receive_stream() as pieces:
        return sum([len(piece) async for piece in pieces])


@pytest.mark.parametrize("end", [close_frame(1000), frame(3)], ids=["Close", "fault"])
@pytest.mark.parametrize("receive", [received_whole, received_in_pieces])
async def test_the_last_message_is_handled_before_what_comes_right_behind_it(
    receive: Callable[[], Awaitable[int]], end: bytes, target: Target
) -> None:
    """What is inflated fills the buffer, and the rest is looked at when the handler takes the message."""
    handled = []
    ended = trio.Event()

    async def handle_slowly() -> None:
        try:
            while True:
                size = await receive()
                for _ in range(5):
                    await trio.lowlevel.checkpoint()
                handled.append(size)
        finally:
            ended.set()

    wire, _ = await connect(target, OFFER, handler=handle_slowly)
    client = Deflating(wire)
    await wire.send(b"".join([frame(BINARY, client.deflate(bytes(65536)), reserved=0x40) for _ in range(2)]) + end)
    with trio.fail_after(30):
        assert (await wire.read_close())[0] == (1000 if end == close_frame(1000) else 1002)
        await wire.read_end()
        await ended.wait()
    assert handled == [65536] * 2
    await wire.stream.aclose()


async def test_between_messages_that_are_inflated_one_by_one_others_have_their_turn(target: Target) -> None:
    """A few bytes become megabytes: they must not be handled in one go because they are all there."""
    turn = 0
    turns: list[int] = []

    async def count_turns() -> None:
        nonlocal turn
        while len(turns) < 32:
            turn += 1
            await trio.lowlevel.checkpoint()

    async def note_turns() -> None:
        async for _ in websocket:
            turns.append(turn)

    wire, _ = await connect(target, OFFER, handler=note_turns)
    client = Deflating(wire)
    await wire.send(b"".join([frame(BINARY, client.deflate(bytes(MIB // 4)), reserved=0x40) for _ in range(32)]))
    with trio.fail_after(30):
        await count_turns()
    assert max(turns.count(number) for number in turns) <= 2  # the order within a turn changes
    await wire.close()


async def test_a_large_message_right_behind_another_one_is_received(target: Target) -> None:
    """The handler waits for the first one, and has not taken it yet when the second one stops for want of room."""
    wire, _ = await connect(target, OFFER)
    client = Deflating(wire)
    for _ in range(2):
        with trio.fail_after(30):
            await wire.send(frame(TEXT, b"first") + frame(BINARY, client.deflate(bytes(MIB)), reserved=0x40))
            assert await client.read() == (0x81, b"first")
            first, payload = await client.read()
            assert (first, client.inflate(payload)) == (0xC2, bytes(MIB))
    await wire.close()


async def test_many_large_messages_that_were_small_wait_their_turn(target: Target) -> None:
    """Each is within the limit, and the inbox is bounded all the same; what was sent before Close is delivered."""
    sizes: list[int] = []
    inboxes: list[int] = []
    ended = trio.Event()

    async def slow() -> None:
        try:
            async for message in websocket:
                inboxes.append(websocket.current().connection.inbox.size)
                sizes.append(len(message))
                await trio.sleep(0)
        finally:
            ended.set()

    wire, _ = await connect(target, OFFER, handler=slow)
    client = Deflating(wire)
    data = b"".join(frame(BINARY, client.deflate(bytes(MIB)), reserved=0x40) for _ in range(30))
    await wire.send(data)
    await wire.stream.aclose()
    await ended.wait()
    assert sizes == [MIB] * 30
    assert max(inboxes) <= 2 * MIB


async def test_a_closed_connection_holds_no_contexts(target: Target) -> None:
    connections: list[Any] = []

    async def keep() -> None:
        connections.append(websocket.current().connection)
        await mirror()

    wire, _ = await connect(target, OFFER, handler=keep)
    client = Deflating(wire)
    await client.send(bytes(1000))
    await client.read()
    await wire.close()
    transport = connections[0].transport
    assert transport._deflater is None
    assert transport._protocol._inflater is None


# Against a server in a process of its own


@asynccontextmanager
async def serving(*, compression: bool) -> AsyncIterator[tuple[int, int]]:
    """The process and the port of a server."""
    program = Path(__file__).with_name("streaming_server.py")
    process = await trio.lowlevel.open_process([sys.executable, str(program), str(int(compression))], stdout=-1)
    assert process.stdout is not None
    try:
        yield process.pid, int(await process.stdout.receive_some())
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdout.aclose()


@pytest.mark.parametrize("library", ["websockets", "aiohttp"])
async def test_other_clients_understand_it(library: str) -> None:
    program = Path(__file__).with_name("compressing_client.py")
    async with serving(compression=True) as (_, port):
        command = [sys.executable, str(program), library, f"ws://127.0.0.1:{port}/mirror"]
        done = await trio.run_process(command, capture_stdout=True)
    assert done.stdout.strip() == b"understood"


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("path", ["/take", "/give", "/echo"])
async def test_a_stream_of_64_mib_takes_little_memory(path: str, compression: bool) -> None:
    assert await growth(path, 64, compression=compression) < 20 * MIB


@pytest.mark.huge  # pytest -m huge
@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("path", ["/take", "/give", "/echo"])
async def test_a_stream_of_1_gib_takes_little_memory(path: str, compression: bool) -> None:
    assert await growth(path, 1024, compression=compression) < 20 * MIB


async def growth(path: str, mib: int, *, compression: bool) -> int:
    """Let a server take, give or echo so many MiB of zeros in one message; the bytes that its peak memory grew by."""
    async with served_apart(path, mib, compression=compression) as (wire, pid):
        before = peak_memory(pid)
        async with trio.open_nursery() as nursery:
            if path != "/give":
                nursery.start_soon(send_zeros, wire, mib, compression)
            if path == "/take":
                assert await wire.read_text() == str(mib * MIB)
            else:
                assert await read_size(wire, compression) == mib * MIB
        return peak_memory(pid) - before


@asynccontextmanager
async def served_apart(path: str, mib: int, *, compression: bool) -> AsyncIterator[tuple[Wire, int]]:
    """A client of a server in a process of its own, and the process."""
    async with (
        serving(compression=compression) as (pid, port),
        await trio.open_tcp_stream("127.0.0.1", port) as stream,
    ):
        wire = Wire(stream)
        await wire.handshake(f"{path}?mib={mib}", *([OFFER] if compression else []))
        yield wire, pid


@pytest.mark.parametrize("path", ["/limited", "/deaf"])
async def test_bombs_take_no_more_memory_than_the_limit(path: str) -> None:
    """Q2; and many messages within the limit, to a handler that receives none of them."""
    async with served_apart(path, 0, compression=True) as (wire, pid):
        before = peak_memory(pid)
        client = Deflating(wire)
        if path == "/limited":
            await client.send(bytes(256 * MIB))
            assert (await wire.read_close())[0] == 1009
        else:
            small = client.deflate(bytes(MIB))
            await wire.send(frame(PING, b"?") + frame(BINARY, small, reserved=0x40) * 60)
            assert await wire.read_frame() == (PONG, b"?")
        assert peak_memory(pid) - before < 5 * MIB


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


async def send_zeros(wire: Wire, mib: int, compressed: bool) -> None:
    deflater = zlib.compressobj(1, zlib.DEFLATED, -15)
    for number in range(mib):
        data = bytes(MIB)
        if compressed:
            data = deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
        reserved = 0x40 if compressed and not number else 0
        await wire.send(frame(CONTINUATION if number else BINARY, data, fin=False, reserved=reserved))
    await wire.send(frame(CONTINUATION, b"\x00" if compressed else b""))


async def read_size(wire: Wire, compressed: bool) -> int:
    client = Deflating(wire)
    size = first = 0
    while not first & 0x80:
        first, payload = await client.read()
        size += len(client.inflate(payload, b"") if compressed else payload)
    return size + (len(client.inflate(b"")) if compressed else 0)
