"""How a client's end reaches the handler (the contract's "Disconnect"; RFC 6455, section 7).

Tests triows/protocol/disconnect.py.
"""

from __future__ import annotations

import json

import pytest
import trio

from triows import websocket

from ..support.wire import CLOSE, PING, PONG, TEXT, Gone, close_frame, frame, upgrade
from .conftest import Target, native_only, virtual_clock


async def test_a_close_code_and_reason_reach_the_handler(target: Target) -> None:
    wire = await target.websocket("/sleep")
    await target.record("asleep")
    assert (await wire.close(4001, "bye"))[0] == 4001
    assert await target.record("disconnect") == target.disconnect_as_seen(4001, "bye", "closed")


async def test_a_close_frame_without_a_code_is_1005(target: Target) -> None:
    wire = await target.websocket("/sleep")
    await target.record("asleep")
    await wire.send(frame(CLOSE))
    assert await target.record("disconnect") == target.disconnect_as_seen(1005, "", "closed")
    await wire.stream.aclose()


async def test_messages_sent_before_close_are_delivered(target: Target) -> None:
    wire = await target.websocket("/work")
    messages = [f"message {number}" for number in range(8)]
    await wire.send(b"".join(frame(TEXT, text.encode()) for text in messages) + close_frame(1000))
    assert await target.record("done") == messages
    assert await target.record("disconnect") == target.disconnect_as_seen(1000, "", "closed")
    await wire.stream.aclose()


async def test_messages_sent_before_the_transport_is_lost_are_delivered(target: Target) -> None:
    wire = await target.websocket("/work")
    messages = [f"message {number}" for number in range(8)]
    await wire.send(b"".join(frame(TEXT, text.encode()) for text in messages))
    await wire.stream.aclose()
    assert await target.record("done") == messages
    assert (await target.record("disconnect"))[2] == "lost"


async def test_the_cancellation_carries_the_reason(target: Target) -> None:
    wire = await target.websocket("/work")
    await wire.close(1001, "reading on")
    expected = "websocket disconnected: " + (
        "1006 abnormal closure" if target.kind == "hypercorn" else "1001 going away: reading on"
    )
    assert await target.record("reason") == [expected]


async def test_a_handler_that_only_pushes_answers_pings_and_is_cancelled(target: Target) -> None:
    wire = await target.websocket("/push-impatiently")
    assert await wire.read_text() == "hello"
    await wire.send(b"".join(frame(TEXT, b"unread %d" % n) for n in range(40)) + frame(PING, b"are you there?"))
    assert await wire.read_frame() == (PONG, b"are you there?")
    await wire.stream.aclose()
    assert await target.record("disconnect") == [1006, "", "lost"]


@virtual_clock
async def test_unread_messages_hold_the_cancellation_back_for_the_drain_timeout(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.websocket("/push")
    assert await wire.read_text() == "hello"
    start = trio.current_time()
    await wire.send(frame(TEXT, b"unread") * 40 + close_frame(1000))
    assert await target.record("disconnect") == [1000, "", "closed"]
    assert trio.current_time() - start == pytest.approx(5)


@virtual_clock
async def test_a_handler_that_goes_on_receiving_is_given_more_than_the_drain_timeout(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.websocket("/work?seconds=4")
    messages = [f"message {number}" for number in range(8)]
    await wire.send(b"".join(frame(TEXT, text.encode()) for text in messages) + close_frame(1000))
    assert await target.record("done") == messages


async def test_a_sleeping_handler_is_cancelled_when_the_client_is_lost(target: Target) -> None:
    wire = await target.websocket("/sleep")
    await target.record("asleep")
    await wire.stream.aclose()
    assert await target.record("disconnect") == [1006, "", "lost"]


async def test_a_handler_is_cancelled_before_it_has_accepted(target: Target) -> None:
    wire = await target.connect()
    await wire.send(upgrade(target.with_key("/sleep-before-accept")))
    await target.record("asleep")
    await wire.stream.aclose()
    assert await target.record("disconnect") == [1006, "", "lost"]


async def test_every_task_of_the_handler_is_cancelled_with_the_reason(target: Target) -> None:
    wire = await target.websocket("/children")
    await target.record("started")
    await wire.close(1000)
    for name in ("outer", "inner1", "inner2"):
        reason, kind = await target.record(name)
        assert reason.startswith("websocket disconnected: 100")
        assert kind == target.disconnect_as_seen(1000, "", "closed")[2]


async def test_normal_ends_are_not_logged(target: Target) -> None:
    for end in ("close", "lost"):
        wire = await target.websocket("/echo")
        await wire.send_text("hello")
        assert await wire.read_text() == "hello"
        if end == "close":
            await wire.close()
        else:
            await wire.stream.aclose()
    assert await target.log() == []


async def test_an_error_while_being_cancelled_is_logged(target: Target) -> None:
    wire = await target.websocket("/raise-in-finally")
    await target.record("started")
    await wire.close()
    log = await first_log(target)
    assert len(log) == 1
    assert "RuntimeError: while being cancelled" in log[0]


async def test_the_server_lives_after_each_kind_of_end(target: Target) -> None:
    for path in ("/echo", "/sleep", "/raise", "/swallow", "/return"):
        wire = await target.websocket(path)
        await wire.send(frame(PING, b"y") + b"\xff\xff")
        await wire.stream.aclose()
    wire = await target.websocket("/echo")
    await wire.send_text("alive")
    assert await wire.read_text() == "alive"
    await wire.close()


@native_only  # hypercorn pings, and never looks for the answer
@virtual_clock
async def test_a_client_that_has_vanished_times_out(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    wire = await target.websocket("/sleep")
    start = trio.current_time()
    assert await target.record("disconnect") == [1006, "no sign of life for 20 s after a ping", "timeout"]
    assert trio.current_time() - start == pytest.approx(40)
    assert (await wire.read_frame())[0] == PING
    with pytest.raises(Gone):
        while True:
            await wire.read_frame()


@virtual_clock
async def test_a_client_that_answers_pings_stays_while_the_handler_is_slow(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.websocket("/work?seconds=300")
    await wire.send_text("slow")
    with trio.move_on_after(993):
        while True:
            opcode, payload = await wire.read_frame()
            assert opcode == PING
            await wire.send(frame(PONG, payload))
    await wire.close()
    assert await target.record("done") == ["slow"]


@virtual_clock
@pytest.mark.parametrize(("interval", "timeout"), [(20, 20), (5, 30), (30, 5)])
async def test_an_idle_client_that_answers_pings_at_once_stays(
    target: Target, autojump_clock: trio.testing.MockClock, interval: float, timeout: float
) -> None:
    assert target.app is not None

    @target.app.websocket("/idle", ping_interval=interval, ping_timeout=timeout)
    async def idle() -> None:
        await websocket.receive()

    wire = await target.websocket("/idle")
    with trio.move_on_after(993):
        while True:
            opcode, payload = await wire.read_frame()
            assert opcode == PING
            await wire.send(frame(PONG, payload))
    await wire.send_text("still here")
    assert await wire.read_close() == (1000, "")


@virtual_clock
async def test_any_byte_counts_as_a_sign_of_life(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    wire = await target.websocket("/echo")
    for _ in range(20):
        await trio.sleep(15)
        await wire.send(frame(PONG, b"not asked for"))
    await wire.send_text("still here")
    while (received := await wire.read_frame())[0] == PING:
        pass
    assert received == (TEXT, b"still here")


@virtual_clock
async def test_keepalive_stands_still_while_reading_is_paused(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.websocket("/deaf")
    # More than the inbox takes: the server stops reading, and so does not see this client's Pongs.
    await wire.send(frame(TEXT, b"x" * 30_000) * 10)
    await trio.sleep(500)
    await target.set_event()
    await wire.send_text("end")
    while (received := await wire.read_frame())[0] == PING:
        pass
    assert received == (TEXT, b"10")


@virtual_clock
async def test_latency_is_the_last_round_trip(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    assert target.app is not None

    @target.app.websocket("/latency")
    async def latency() -> None:
        await websocket.receive()
        await websocket.send(repr(websocket.latency))

    wire = await target.websocket("/latency")
    opcode, payload = await wire.read_frame()
    assert opcode == PING
    await trio.sleep(0.25)
    await wire.send(frame(PONG, b"another") + frame(PONG, payload))
    await wire.send_text("how long?")
    assert float(await wire.read_text()) == pytest.approx(0.25)


# Swallowed cancellation


@pytest.mark.parametrize("path", ["/swallow", "/swallow-around-a-nursery"])
async def test_a_swallowed_cancellation_is_found_out_and_named(target: Target, path: str) -> None:
    wire = await target.websocket(path)
    await target.record("asleep")  # before that, the cancellation has nowhere to be swallowed
    await wire.close()
    assert_names_the_handler(await first_log(target), path)


@virtual_clock  # the loop is slowed down by pauses
async def test_a_handler_that_swallows_in_a_loop_is_ended(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.websocket("/swallow-in-a-loop")
    await wire.close()
    await trio.sleep(60)
    assert_names_the_handler(await target.log(), "/swallow-in-a-loop")
    await trio.testing.wait_all_tasks_blocked()
    assert target.server is not None
    assert target.server.connections == 0


async def first_log(target: Target) -> list[str]:
    while not (log := await target.log()):
        pass
    return log


def assert_names_the_handler(log: list[str], path: str) -> None:
    assert len(log) == 1, log
    assert f"{path[1:].replace('-', '_')}() (" in log[0]
    assert "app.py:" in log[0]
    assert "swallowed trio.Cancelled" in log[0]


async def test_cleaning_up_in_shields_and_with_timeouts_is_no_swallowing(target: Target) -> None:
    wire = await target.websocket("/cleanup")
    await wire.close()
    await target.record("cleaned")
    assert await target.log() == []


async def test_timeouts_around_receive_lose_no_message(target: Target) -> None:
    wire = await target.websocket("/patience")
    messages = [f"trickle {number}" for number in range(30)] + ["end"]
    for message in messages:
        data = frame(TEXT, message.encode())
        for cut in range(0, len(data), 5):
            await wire.send(data[cut : cut + 5])
            await trio.sleep(0)
    assert json.loads(await wire.read_text()) == messages
    assert (await wire.read_close())[0] == 1000
    await wire.stream.aclose()


async def test_each_of_several_pings_in_a_segment_is_answered(target: Target) -> None:
    wire = await target.websocket("/sleep")
    await wire.send(b"".join(frame(PING, b"%d" % number) for number in range(10)))
    for number in range(10):
        assert await wire.read_frame() == (PONG, b"%d" % number)
    await wire.close()
