"""Sending, backpressure and cancellation (the contract's "Sending", "Receiving" and "A user's own cancel scopes").

Tests triows/connection/senders.py and triows/connection/transport.py.
"""

from __future__ import annotations

import pytest
import trio

from triows import websocket
from triows.server.links.link import READ_SIZE

from ..support.wire import BINARY, PING, PONG, TEXT, Gone, frame
from .conftest import Target, native_only, virtual_clock


async def test_a_thousand_tasks_send_whole_messages(target: Target) -> None:
    wire = await target.websocket("/many-senders")
    seen = set()
    for _ in range(1000):
        number, _, rest = (await wire.read_text()).partition(":")
        assert rest == "x" * int(number)
        seen.add(int(number))
    assert seen == set(range(1000))
    assert (await wire.read_close())[0] == 1000
    await wire.stream.aclose()


async def test_a_huge_message_whose_sending_was_cancelled_arrives_whole_or_not_at_all(target: Target) -> None:
    wire = await target.websocket("/huge")
    received = []
    try:
        while not received or received[-1] != b"hello":
            received.append((await wire.read_frame())[1])
    except Gone:
        pass
    assert received[-1:] in ([b"hello"], []), "a send after a cancelled one arrives, or the connection has ended"
    assert all(message in (b"x" * 20_000_000, b"y" * 20_000_000) for message in received[:-1])
    await wire.stream.aclose()


async def test_send_times_out_when_the_client_does_not_read(target: Target) -> None:
    wire = await target.websocket("/flood")
    (sent,) = await target.record("full")
    # What was sent is in the kernel's buffers and in the connection's, which is bounded.
    await wire.send_text("go on")
    for _ in range(sent):
        assert (await wire.read_frame())[0] == BINARY
    await wire.stream.aclose()


async def test_two_receivers_at_once_are_found_out(target: Target) -> None:
    wire = await target.websocket("/two-receivers")
    assert "another task is already receiving" in await wire.read_text()
    await wire.send_text("mine")
    assert await wire.read_text() == "mine"
    await wire.stream.aclose()


async def test_a_ping_is_answered_while_the_inbox_is_full(target: Target) -> None:
    wire = await target.websocket("/deaf")
    await wire.send(frame(TEXT, b"x" * 20_000) * 3 + frame(PING, b"now?"))
    assert await wire.read_frame() == (PONG, b"now?")
    await target.set_event()
    await wire.send_text("end")
    assert await wire.read_text() == "3"
    await wire.stream.aclose()


async def test_a_flood_to_a_deaf_handler_stays_bounded_and_arrives_whole(target: Target) -> None:
    wire = await target.websocket("/deaf")
    other = await target.websocket("/echo")
    count = 400
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.send, frame(BINARY, b"x" * 50_000) * count + frame(TEXT, b"end"))
        await other.send_text("unharmed")
        assert await other.read_text() == "unharmed"
        if target.server is not None:
            (inbox,) = [
                connection._current.inbox  # type: ignore[union-attr]
                for connection in target.server._connections
                if connection._current is not None and connection._current.head.raw_path == b"/deaf"
            ]
            assert inbox.size < 64 * 1024 + READ_SIZE
        await target.set_event()
        assert await wire.read_text() == str(count)
    await wire.stream.aclose()
    await other.close()


async def test_messages_keep_their_order_under_backpressure_both_ways(target: Target) -> None:
    wire = await target.websocket("/echo")
    count = 300

    async def send() -> None:
        for number in range(count):
            await wire.send(frame(BINARY, b"%06d" % number + b"." * 20_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        for number in range(count):
            opcode, payload = await wire.read_frame()
            assert (opcode, payload[:6], len(payload)) == (BINARY, b"%06d" % number, 20_006)
    await wire.close()


async def test_replies_to_a_batch_keep_their_order(target: Target) -> None:
    wire = await target.websocket("/echo")
    await wire.send(b"".join(frame(TEXT, b"%d" % number) for number in range(1000)))
    for number in range(1000):
        assert await wire.read_text() == str(number)
    await wire.close()


@native_only
async def test_one_stalled_client_does_not_hold_up_a_broadcast(target: Target) -> None:
    assert target.app is not None
    members: list[object] = []

    @target.app.websocket("/join")
    async def join() -> None:
        await websocket.accept()
        members.append(websocket.current())
        await websocket.receive()

    wires = [await target.websocket("/join") for _ in range(20)]
    stalled = wires[0]
    del stalled
    while len(members) < 20:
        await trio.sleep(0)

    async def send(member: object) -> None:
        for _ in range(30):
            await member.send(b"x" * 100_000)  # type: ignore[attr-defined]

    async with trio.open_nursery() as nursery:
        for member in members:
            nursery.start_soon(send, member)
        # The first one does not read; the others get everything.
        for wire in wires[1:]:
            for _ in range(30):
                assert (await wire.read_frame())[1] == b"x" * 100_000
        nursery.cancel_scope.cancel()
    for wire in wires:
        await trio.aclose_forcefully(wire.stream)


@virtual_clock
async def test_an_uninterrupted_run_of_receives_lets_other_tasks_run(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    """At the latest every 64 calls, counted in passes of the scheduler."""
    assert target.app is not None
    passes = 0
    runs: list[int] = []

    @target.app.websocket("/run")
    async def run() -> None:
        await websocket.accept()
        await trio.testing.wait_all_tasks_blocked()
        last = passes
        length = 0
        for _ in range(500):
            await websocket.receive()
            length += 1
            if passes != last:
                runs.append(length)
                last, length = passes, 0
        await websocket.send("done")

    async def count() -> None:
        nonlocal passes
        while True:
            await trio.lowlevel.checkpoint()
            passes += 1

    wire = await target.websocket("/run")
    await wire.send(frame(TEXT, b"x") * 500)
    await trio.testing.wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        assert await wire.read_text() == "done"
        nursery.cancel_scope.cancel()
    # Trio shuffles the tasks of a pass: the counting task may run first in one and last in the next;
    # and the first message of all is handed out by the wait for it.
    assert max(runs) <= 2 * 64 + 1
    await wire.stream.aclose()


@native_only  # passes of another process's scheduler cannot be counted
async def test_a_connection_that_floods_does_not_delay_the_echo_of_another(target: Target) -> None:
    """Counted in passes of the scheduler, which run every task once, and in messages of the flood."""
    assert target.app is not None
    count = 20_000
    passes = handled = worst_passes = worst_handled = 0
    flooded = False

    @target.app.websocket("/flooded")
    async def echo_and_count() -> None:
        nonlocal handled
        async for message in websocket:
            handled += 1
            await websocket.send(message)

    flooder = await target.websocket("/flooded")
    quiet = await target.websocket("/echo")

    async def flood() -> None:
        await flooder.send(frame(TEXT, b"x") * count)

    async def read_answers() -> None:
        nonlocal flooded
        for _ in range(count):
            await flooder.read_frame()
        flooded = True

    async def count_passes() -> None:
        nonlocal passes
        while True:
            await trio.lowlevel.checkpoint()
            passes += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        nursery.start_soon(read_answers)
        nursery.start_soon(count_passes)
        echoes = 0
        while not flooded:
            before = passes, handled
            await quiet.send_text("now")
            assert await quiet.read_text() == "now"
            worst_passes = max(worst_passes, passes - before[0])
            worst_handled = max(worst_handled, handled - before[1])
            echoes += 1
        nursery.cancel_scope.cancel()
    assert echoes > 1, "the flood was over before anybody could be delayed"
    # Reading, handling, writing, and the client's own tasks: a few passes each, in which the flood has 64 calls each.
    assert worst_passes <= 25
    assert worst_handled <= 25 * 64 // 2
    for wire in (flooder, quiet):
        await trio.aclose_forcefully(wire.stream)


@virtual_clock
async def test_receive_and_send_check_for_cancellation_also_when_they_need_not_wait(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    assert target.app is not None
    outcome: list[str] = []

    @target.app.websocket("/cancelled")
    async def cancelled() -> None:
        await websocket.receive()
        for call in (websocket.receive, lambda: websocket.send("never")):
            with trio.CancelScope() as scope:
                scope.cancel()
                await call()
                outcome.append("not cancelled")
        await websocket.send(await websocket.receive())

    wire = await target.websocket("/cancelled")
    await wire.send(frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert await wire.read_text() == "two"
    assert outcome == []
    await wire.stream.aclose()


@native_only  # it needs the object in this process
@pytest.mark.parametrize("kind", ["send", "receive"])
async def test_calls_after_the_end_from_another_task_fail_clearly(target: Target, kind: str) -> None:
    assert target.app is not None
    kept: list[object] = []

    @target.app.websocket("/keep")
    async def keep() -> None:
        await websocket.accept()
        kept.append(websocket.current())

    wire = await target.websocket("/keep")
    await wire.read_close()
    await wire.stream.aclose()
    while not kept:
        await trio.sleep(0)
    call = kept[0].send("late") if kind == "send" else kept[0].receive()  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="the websocket is closed"):
        await call


@native_only  # joining answers is the wire's
@pytest.mark.parametrize("send_buffer", [1, 100, 65_536])
async def test_a_batch_is_answered_whole_with_any_high_water_mark(target: Target, send_buffer: int) -> None:
    assert target.app is not None

    @target.app.websocket("/mark", send_buffer=send_buffer)
    async def mark() -> None:
        async for message in websocket:
            await websocket.send(message)

    wire = await target.websocket("/mark")
    # Answers of 2 KiB to messages that wait: 32 of them are 65,536 bytes, to the byte.
    await wire.send(frame(BINARY, b"x" * 2044) * 200)
    for _ in range(200):
        assert await wire.read_frame() == (BINARY, b"x" * 2044)
    await wire.close()
