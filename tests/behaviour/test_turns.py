"""What one client's bytes may cost in one go, so that the others have their turn. Work is counted, never timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows import Disconnect, websocket
from triows.protocol.websocket import deflate
from triows.protocol.websocket.compression import Agreement, Compression
from triows.protocol.websocket.deflate import Deflater, Inflater
from triows.protocol.websocket.partial_message import STEP
from triows.protocol.websocket.reader import TURN, MessageReader

from ..support.wire import BINARY, CONTINUATION, PING, PONG, TEXT, Wire, close_frame, frame
from .conftest import Target, virtual_clock

KIB, MIB = 1 << 10, 1 << 20

# A turn ends behind the step that fills it, and one that waits in receive() has a turn of its own besides.
MOST = 2 * (TURN + 2 * STEP)


def compressed(size: int, opcode: int = BINARY) -> bytes:
    payload = Deflater(Agreement(15, 15, False, True), Compression()).deflate(bytes(size))
    return frame(opcode, payload, reserved=0x40)


class Turns(trio.abc.Instrument):
    """The most work that the tasks did between two of their checkpoints."""

    def __init__(self, work: Callable[[], int]) -> None:
        self._work = work
        self._before = 0
        self.most = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._before = self._work()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.most = max(self.most, self._work() - self._before)


@contextmanager
def turns(work: Callable[[], int]) -> Iterator[Turns]:
    instrument = Turns(work)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield instrument
    finally:
        trio.lowlevel.remove_instrument(instrument)


@pytest.fixture
def inflated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what was inflated."""
    sizes: list[int] = []
    inflate = Inflater.inflate

    def counting(self: Inflater, data: bytes, max_size: int) -> bytes:
        output = inflate(self, data, max_size)
        sizes.append(len(output))
        return output

    monkeypatch.setattr(Inflater, "inflate", counting)
    return sizes


async def serve(target: Target, handler: Any, **limits: Any) -> Wire:
    assert target.app is not None
    target.app.websocket("/handler", endpoint="handler", **{"compression": True, **limits})(handler)
    return await target.websocket("/handler", "Sec-WebSocket-Extensions: permessage-deflate")


def transport_of(target: Target) -> Any:
    assert target.server is not None
    (connection,) = [http._current for http in target.server._connections if http._current is not None]
    return connection.transport


async def forever() -> None:
    await websocket.accept()
    await trio.sleep_forever()


async def leave() -> None:
    await websocket.accept()
    await trio.sleep(1)


async def close() -> None:
    await websocket.accept()
    await trio.sleep(1)
    await websocket.close()


async def read_one_and_leave() -> None:
    await websocket.receive()


async def break_off_a_stream() -> None:
    async with websocket.receive_stream() as pieces:
        async for _ in pieces:
            break


BEHIND_THE_CLOSE = {
    "messages": compressed(MIB) * 50,
    "text": compressed(MIB, TEXT) * 50,
    "a message in fragments": compressed(MIB)[:1].replace(b"\xc2", b"\x42") + compressed(MIB)[1:] + frame(CONTINUATION),
    "messages and Pings": (compressed(MIB) + frame(PING, b"p" * 125)) * 50,
    "tiny messages": frame(BINARY, b"\x00", reserved=0x40) * 20_000,
    "what is no DEFLATE": compressed(MIB) * 5 + frame(BINARY, b"\xff" * 1000, reserved=0x40) * 5,
}


@pytest.mark.parametrize("handler", [leave, close, read_one_and_leave, break_off_a_stream])
@pytest.mark.parametrize("data", BEHIND_THE_CLOSE.values(), ids=BEHIND_THE_CLOSE)
@virtual_clock
async def test_nothing_is_inflated_after_the_local_close(
    target: Target, autojump_clock: MockClock, inflated: list[int], data: bytes, handler: Any
) -> None:
    wire = await serve(target, handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.send, data + close_frame(1000))
        while (await wire.read_frame())[0] == PONG:
            pass  # Pongs, then the Close frame
        before = sum(inflated)
        begin = trio.current_time()
        await wire.read_end()
    assert trio.current_time() - begin < 1  # the client's Close was found behind it all
    assert sum(inflated) == before
    await wire.stream.aclose()


@pytest.mark.transports("memory", "tcp", "tls", "tasks")
async def test_shutdown_drops_what_is_unread_without_inflating_it(
    target: Target, autojump_clock: MockClock, inflated: list[int]
) -> None:
    autojump_clock.autojump_threshold = 0.01
    wire = await serve(target, forever, ping_interval=None)
    await wire.send(compressed(MIB) * 30)
    while not transport_of(target)._protocol.holds_bytes:
        await trio.sleep(0.1)
    before = sum(inflated)
    assert before <= MOST
    assert target.server is not None
    target.server.shutdown()
    assert await wire.read_close() == (1001, "")
    await wire.send(close_frame(1001))
    await wire.read_end()
    assert sum(inflated) == before
    await wire.stream.aclose()


@virtual_clock
async def test_pings_after_the_local_close_are_not_kept(target: Target, autojump_clock: MockClock) -> None:
    wire = await serve(target, close)
    assert (await wire.read_close())[0] == 1000
    transport = transport_of(target)
    for _ in range(20):
        await wire.send(frame(PING, b"p" * 125) * 1000)
        await trio.testing.wait_all_tasks_blocked()
    assert transport._protocol.pings == []
    await wire.send(close_frame(1000))
    await wire.read_end()
    await wire.stream.aclose()


# Turns


async def collect() -> None:
    await websocket.send(str(len(await websocket.receive())))


async def drop() -> None:
    async with websocket.receive_stream() as pieces:
        async for _ in pieces:
            break
    await trio.sleep(1)
    await websocket.send("dropped")


@pytest.mark.parametrize(("handler", "answer"), [(collect, str(16 * MIB)), (drop, "dropped")])
@virtual_clock
async def test_a_large_message_is_inflated_in_turns(
    target: Target, autojump_clock: MockClock, inflated: list[int], handler: Any, answer: str
) -> None:
    wire = await serve(target, handler, max_message_size=64 * MIB)
    with turns(lambda: sum(inflated)) as measured:
        await wire.send(compressed(16 * MIB))
        assert await wire.read_text() == answer
    assert sum(inflated) == 16 * MIB
    assert measured.most <= MOST
    await wire.close()


@virtual_clock
async def test_a_stream_of_which_nothing_is_wanted_any_more_does_not_hide_what_follows(
    target: Target, autojump_clock: MockClock
) -> None:
    async def drop_and_stay() -> None:
        async with websocket.receive_stream():
            pass
        await trio.sleep_forever()

    wire = await serve(target, drop_and_stay, max_message_size=64 * MIB)
    await wire.send(compressed(16 * MIB) + frame(PING, b"ping") + close_frame(4000))
    assert await wire.read_frame() == (PONG, b"ping")
    assert (await wire.read_close())[0] == 4000
    await wire.stream.aclose()


@pytest.mark.parametrize("receives", [True, False])
@virtual_clock
async def test_what_a_client_left_behind_is_inflated_in_turns(
    target: Target, autojump_clock: MockClock, inflated: list[int], receives: bool
) -> None:
    seen: list[Any] = []

    async def listen() -> None:
        await websocket.accept()
        try:
            if not receives:
                await trio.sleep(1)
            async for message in websocket:
                seen.append(len(message))
        finally:
            seen.append(websocket.disconnect)

    wire = await serve(target, listen, max_message_size=64 * MIB)
    with turns(lambda: sum(inflated)) as measured:
        await wire.send(compressed(16 * MIB) + compressed(8 * MIB))
        await wire.stream.aclose()
        await trio.sleep(3)
    assert seen == [16 * MIB, 8 * MIB, Disconnect(1006, "", "lost")]
    assert measured.most <= MOST


@virtual_clock
async def test_a_receive_that_is_cancelled_while_it_inflates_loses_nothing(
    target: Target, autojump_clock: MockClock
) -> None:
    async def impatient() -> None:
        await websocket.accept()
        await trio.sleep(1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await websocket.receive()
        assert scope.cancelled_caught
        while True:
            with trio.move_on_after(0):
                await websocket.receive()
                raise AssertionError("it came at once")
            await websocket.send(str(len(await websocket.receive())))

    wire = await serve(target, impatient, max_message_size=64 * MIB)
    await wire.send(compressed(16 * MIB) * 2)
    assert await wire.read_text() == str(16 * MIB)
    assert await wire.read_text() == str(16 * MIB)
    await wire.close()


FLOODS = {
    "empty compressed messages": frame(BINARY, b"\x00", reserved=0x40) * 9000,
    "DEFLATE streams": frame(BINARY, b"\x03\x00" * 1024, reserved=0x40) * 40,
    "Pings": frame(PING) * 9000,
    "fragments": frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * 9000,
}


@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("early", [False, True])
@virtual_clock
async def test_a_flood_is_taken_in_turns_and_all_of_it(
    target: Target, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, data: bytes, early: bool
) -> None:
    steps = 0
    begin_frame, decompress = MessageReader._begin_frame, deflate._decompress

    def counting(self: MessageReader, data: bytes, position: int) -> int:
        nonlocal steps
        steps += 1
        return begin_frame(self, data, position)

    def counting_too(*args: Any) -> bytes:
        nonlocal steps
        steps += 1
        return decompress(*args)

    monkeypatch.setattr(MessageReader, "_begin_frame", counting)
    monkeypatch.setattr(deflate, "_decompress", counting_too)

    async def listen() -> None:
        if early:
            await trio.sleep(1)
        async for _ in websocket:
            pass

    assert target.app is not None
    target.app.websocket("/handler", endpoint="handler", compression=True)(listen)
    with turns(lambda: steps) as measured:
        wire = await target.connect()
        await wire.handshake("/handler", "Sec-WebSocket-Extensions: permessage-deflate", early=data if early else b"")
        if not early:
            await wire.send(data)
        await wire.send(close_frame(4001))
        while (await wire.read_frame())[0] == PONG:
            pass
        await wire.read_end()
    assert steps >= 9000
    assert measured.most <= 2200
    await wire.stream.aclose()
