"""Time and quantity: clients that flood, stall or never end, and what they cost.

Clocks are virtual, also with real sockets; memory is counted, by tracemalloc or in bytes that are buffered.
"""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from sys import getsizeof
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows import Disconnect, websocket
from triows.protocol.websocket.compression import Agreement
from triows.protocol.websocket.deflate import Inflater
from triows.protocol.websocket.inbox import MESSAGE_COST, Inbox
from triows.protocol.websocket.reader import MessageReader
from triows.server.links.link import READ_SIZE

from ..support.wire import BINARY, CONTINUATION, PING, PONG, TEXT, Wire, close_frame, frame, upgrade
from .conftest import Target, virtual_clock

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def patient_clock(autojump_clock: MockClock) -> MockClock:
    """For real sockets: what was sent on one end may need a moment to arrive at the other."""
    autojump_clock.autojump_threshold = 0.01
    return autojump_clock


class Growth:
    """Bytes by which the memory of Python's objects grew at most."""

    peak = 0


@contextmanager
def growth() -> Iterator[Growth]:
    measured = Growth()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield measured
        measured.peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


async def serve(target: Target, handler: Any, **limits: Any) -> Wire:
    assert target.app is not None
    target.app.websocket("/handler", endpoint="handler", **limits)(handler)
    return await target.websocket("/handler")


def connection_of(target: Target) -> Any:
    """The one websocket that the server has."""
    assert target.server is not None
    (connection,) = [http._current for http in target.server._connections if http._current is not None]
    return connection


def connections(target: Target) -> int:
    assert target.server is not None
    return len(target.server._connections)


async def nothing_is_left(target: Target, within: float = 100) -> None:
    with trio.fail_after(within):
        while connections(target):
            await trio.sleep(within / 10)


# Time


@pytest.mark.transports("memory", "tcp", "tls")
async def test_t06_a_client_that_never_reads_is_disconnected_and_bounds_what_is_buffered(
    target: Target, patient_clock: MockClock
) -> None:
    message = bytes(60 * KIB)
    buffered: list[int] = []
    ends: list[tuple[Disconnect | None, float]] = []

    async def push() -> None:
        connection = websocket.current().connection
        try:
            while True:
                await websocket.send(message)
                buffered.append(connection.transport.buffered)
        finally:
            ends.append((websocket.disconnect, trio.current_time()))

    wire = await serve(target, push, ping_interval=None)
    begin = trio.current_time()
    await nothing_is_left(target)
    ((disconnect, ended),) = ends
    assert disconnect == Disconnect(1006, "took nothing of what was sent for 30 s", "timeout")
    if target.kind == "memory":  # a socket's buffers may take a little more later, while the virtual clock runs on
        assert ended - begin == pytest.approx(30, abs=1)
    assert max(buffered) <= (64 + 64) * KIB
    await trio.aclose_forcefully(wire.stream)


@pytest.mark.transports("memory", "tcp", "tls")
async def test_t06_so_is_one_that_sends_pings_and_reads_no_pongs(target: Target, patient_clock: MockClock) -> None:
    ends: list[Disconnect | None] = []

    async def listen() -> None:
        try:
            await websocket.receive()
        finally:
            ends.append(websocket.disconnect)

    wire = await serve(target, listen)
    connection = connection_of(target)
    pings = frame(PING, b"p" * 125) * 500
    with trio.fail_after(100):
        while not ends:
            try:
                await wire.send(pings)
            except trio.BrokenResourceError:
                pass
            if connection.transport.buffered >= 64 * KIB:
                await trio.sleep(10)
            await trio.sleep(0)
    assert ends == [Disconnect(1006, "took nothing of what was sent for 30 s", "timeout")]
    await nothing_is_left(target)
    await trio.aclose_forcefully(wire.stream)


@virtual_clock
async def test_t08_a_flood_of_pongs_with_other_payloads_answers_no_ping(
    target: Target, autojump_clock: MockClock
) -> None:
    async def ping() -> None:
        await websocket.send(f"{await websocket.ping():.1f}")

    wire = await serve(target, ping)
    opcode, payload = await wire.read_frame()
    assert opcode == PING
    await wire.send(b"".join(frame(PONG, b"%d" % number) for number in range(2, 20_000)) + frame(PONG))
    await trio.sleep(7)
    await wire.send(frame(PONG, payload))
    assert await wire.read_text() == "7.0"
    await trio.aclose_forcefully(wire.stream)


@pytest.mark.transports("memory", "tcp", "tls")
async def test_t09_a_client_that_never_answers_close_is_gone_at_the_close_timeout(
    target: Target, patient_clock: MockClock
) -> None:
    async def leave() -> None:
        await websocket.accept()

    wire = await serve(target, leave)
    tasks = trio.lowlevel.current_statistics().tasks_living
    begin = trio.current_time()
    assert await wire.read_close() == (1000, "")
    await wire.read_end()
    assert trio.current_time() - begin == pytest.approx(5, abs=0.1)
    await nothing_is_left(target)
    assert trio.lowlevel.current_statistics().tasks_living < tasks
    await trio.aclose_forcefully(wire.stream)


@pytest.mark.transports("memory", "tcp", "tls")
async def test_t10_after_close_the_server_ends_the_stream_although_the_client_does_not(
    target: Target, patient_clock: MockClock
) -> None:
    wire = await target.websocket("/echo")
    begin = trio.current_time()
    await wire.send(close_frame(1000))
    assert await wire.read_close() == (1000, "")
    await wire.read_end()
    assert trio.current_time() - begin < 0.1
    await nothing_is_left(target)
    await trio.aclose_forcefully(wire.stream)


@pytest.mark.transports("memory", "tcp", "tls")
async def test_t11_what_a_client_sends_after_close_reaches_nobody(target: Target, patient_clock: MockClock) -> None:
    received: list[object] = []

    async def listen() -> None:
        async for message in websocket:
            received.append(message)

    wire = await serve(target, listen)
    await wire.send(frame(TEXT, b"before") + close_frame(1000) + frame(TEXT, b"late") * 1000)
    try:
        for _ in range(100):
            await wire.send(frame(BINARY, bytes(64 * KIB)))
    except trio.BrokenResourceError:
        pass  # gone
    await nothing_is_left(target, within=5)
    assert received == ["before"]
    await trio.aclose_forcefully(wire.stream)


@pytest.mark.transports("memory", "tcp", "tls")
async def test_t12_a_payload_that_never_comes_ends_with_the_keepalive(target: Target, patient_clock: MockClock) -> None:
    """That no memory is taken from the declared length is in ``protocol/websocket/test_reader``."""
    ends: list[tuple[Disconnect | None, float]] = []

    async def listen() -> None:
        try:
            await websocket.receive()
        finally:
            ends.append((websocket.disconnect, trio.current_time()))

    wire = await serve(target, listen)
    begin = trio.current_time()
    await wire.send(frame(BINARY, b"", length=b"\x7f" + MIB.to_bytes(8, "big")))
    await nothing_is_left(target)
    ((disconnect, ended),) = ends
    assert disconnect == Disconnect(1006, "no sign of life for 20 s after a ping", "timeout")
    assert ended - begin == pytest.approx(40, abs=1)
    await trio.aclose_forcefully(wire.stream)


# Quantity


@pytest.mark.parametrize("payload", [b"x", b""], ids=["one byte", "empty"])
@virtual_clock
async def test_q1_300_000_fragments_are_refused(payload: bytes, target: Target, autojump_clock: MockClock) -> None:
    wire = await target.websocket("/echo")
    fragment = frame(CONTINUATION, payload, fin=False)
    await wire.send(frame(TEXT, payload, fin=False))
    await wire.send(fragment * 65_535)
    await trio.testing.wait_all_tasks_blocked()
    pieces = connection_of(target).transport._protocol.message._pieces
    assert sum(map(getsizeof, pieces)) + getsizeof(pieces) < 2 * MIB
    await wire.send(fragment * 234_464)
    assert await wire.read_close() == (1008, "message is in over 65536 fragments")
    await wire.stream.aclose()


@virtual_clock
async def test_q1_a_message_of_4_mib_in_65_537_fragments_passes(target: Target, autojump_clock: MockClock) -> None:
    async def measure() -> None:
        await websocket.send(str(len(await websocket.receive())))

    wire = await serve(target, measure, max_message_size=4 * MIB)
    piece = frame(CONTINUATION, bytes(64), fin=False)
    await wire.send(frame(BINARY, bytes(64), fin=False))
    for count in (10_000,) * 6 + (5_535,):
        await wire.send(piece * count)
    await wire.send(frame(CONTINUATION))
    assert await wire.read_text() == str(4 * MIB)
    await wire.close()


@pytest.mark.parametrize("limit", [1, 100])
@virtual_clock
async def test_q1_a_route_has_its_own_limit_of_fragments(limit: int, target: Target, autojump_clock: MockClock) -> None:
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    wire = await serve(target, echo, max_fragments=limit)
    data = frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", fin=False) * (limit - 1)
    await wire.send(data + frame(CONTINUATION))
    assert await wire.read_text() == "x" * limit
    await wire.send(data + frame(CONTINUATION, fin=False))
    assert await wire.read_close() == (1008, f"message is in over {limit} fragments")
    await wire.stream.aclose()


def test_q2_a_bomb_of_256_mib_takes_no_more_than_the_limit() -> None:
    """Against a server in a process of its own: ``test_compression``. Here is what zlib returns and Python keeps."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    first, further = (compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in range(2))
    bomb = first + further * 255
    assert len(bomb) < 300 * KIB
    receiving = MessageReader(Inbox(), MIB, Inflater(Agreement(15, 15, True, True)))
    data = frame(BINARY, bomb[:-4], reserved=0x40)
    with growth() as measured:
        while not receiving.finished and data:
            receiving.receive_data(data[:READ_SIZE])
            data = data[READ_SIZE:]
            while receiving.holds_bytes:
                receiving.read_on()
    assert receiving.failure is not None
    assert receiving.failure.code == 1009
    assert measured.peak < MIB + 4 * MIB


@pytest.mark.transports("memory", "tcp", "tls")
async def test_q3_pings_of_a_client_that_never_reads_cost_a_buffer_and_one_pong(
    target: Target, patient_clock: MockClock
) -> None:
    wire = await target.websocket("/echo")
    pings = frame(PING, b"p" * 125) * 1000
    connection = connection_of(target)
    buffered = []
    for _ in range(100 if target.kind in ("memory", "tcp") else 30):
        await wire.send(pings)
        buffered.append(connection.transport.buffered)
    assert max(buffered) < 64 * KIB + 2 * READ_SIZE
    assert len(connection.transport._protocol.pings) <= 1
    await trio.aclose_forcefully(wire.stream)


@pytest.mark.parametrize("payload", [b"", b"a", b"ab"], ids=["empty", "1 byte", "2 bytes"])
@pytest.mark.transports("memory", "tcp", "tls")
async def test_tiny_messages_that_nobody_receives_are_bounded_too(
    payload: bytes, target: Target, patient_clock: MockClock
) -> None:
    wire = await target.websocket("/deaf")
    connection = connection_of(target)
    data = frame(TEXT, payload) * 10_000
    sent = 0
    with trio.move_on_after(60):
        for _ in range(100 if target.kind == "memory" else 300):
            await wire.send(data)
            sent += 1
    at_once = READ_SIZE
    if target.kind.startswith("tls"):
        at_once += 16 * KIB  # a record of which all but the last byte was there already (RFC 8446, section 5.1)
    assert connection.inbox.size < 64 * KIB + at_once // 6 * (MESSAGE_COST + 2)
    assert len(connection.inbox) <= 64 * KIB // MESSAGE_COST + at_once // 6
    await trio.aclose_forcefully(wire.stream)


@pytest.mark.parametrize("text", ["\U0001f600" + "x" * 1000, "\u20ac" + "x" * 1000], ids=["four", "two"])
@pytest.mark.transports("memory", "tcp", "tls")
async def test_text_counts_as_what_python_keeps_of_it(text: str, target: Target, patient_clock: MockClock) -> None:
    received: list[int] = []

    async def listen_late() -> None:
        await websocket.accept()
        await trio.sleep(10)
        async for message in websocket:
            assert message == text
            received.append(len(message))

    wire = await serve(target, listen_late, ping_interval=None)
    connection = connection_of(target)
    data = frame(TEXT, text.encode())
    at_once = 4 * KIB // len(data)
    count = 64 * at_once

    async def send() -> None:
        for _ in range(64):
            await wire.send(data * at_once)
            await trio.sleep(0.05)  # each of these is a read of its own

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(5)
        kept = sum(map(getsizeof, connection.inbox))
        assert 32 * KIB <= kept < 64 * KIB + 2 * getsizeof(text) * at_once
    assert await wire.close() == (1000, "")
    assert len(received) == count


@pytest.mark.transports("memory", "tcp", "tls")
async def test_frames_that_come_before_accepting_are_bounded_and_delivered(
    target: Target, patient_clock: MockClock
) -> None:
    accepting = trio.Event()
    sizes: list[int] = []

    async def later() -> None:
        await accepting.wait()
        await websocket.accept()
        for _ in range(200):
            sizes.append(len(await websocket.receive()))

    assert target.app is not None
    target.app.websocket("/handler", endpoint="handler")(later)
    wire = await target.connect()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.send, upgrade("/handler") + frame(BINARY, bytes(50_000)) * 200)
        await trio.sleep(1)
        assert len(connection_of(target).transport._early) <= 64 * KIB + READ_SIZE
        accepting.set()
        assert (await wire.read_response()).status == 101
        assert (await wire.read_close())[0] == 1000
    assert sizes == [50_000] * 200
    await trio.aclose_forcefully(wire.stream)


FAULTS = {
    1002: frame(3, b"fault"),
    1007: frame(TEXT, b"\xff"),
    1008: frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) * 100,
    1009: frame(BINARY, b"", length=b"\x7f" + (1 << 40).to_bytes(8, "big")),
}


@pytest.mark.transports("tcp", "tasks", "tls")
@pytest.mark.parametrize("code", FAULTS)
async def test_q5_the_close_code_of_a_fault_is_on_the_wire_although_the_client_sends_on(
    target: Target, code: int
) -> None:
    """What is sent behind it must not reset the connection before the Close frame is read."""
    junk = random.Random(code).randbytes(64 * KIB)

    async def flood(wire: Wire) -> None:
        try:
            for _ in range(256):  # 16 MiB
                await wire.send(junk)
        except trio.BrokenResourceError:
            pass

    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    assert target.app is not None
    target.app.websocket("/handler", endpoint="handler", max_fragments=99)(echo)
    with trio.fail_after(60):
        for number in range(30):
            wire = await target.websocket("/handler")
            async with wire.stream, trio.open_nursery() as nursery:
                await wire.send(FAULTS[code] + junk)
                nursery.start_soon(flood, wire)
                assert (await wire.read_close())[0] == code, number
                nursery.cancel_scope.cancel()
