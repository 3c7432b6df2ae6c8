"""The server's own close (the contract's "Closing"; RFC 6455, section 7).

Tests triows/server/websocket.py.
"""

from __future__ import annotations

import pytest
import trio

from triows import Disconnect, websocket

from ..support.wire import CLOSE, PING, PONG, TEXT, close_frame, frame
from .conftest import Target, native_only, virtual_clock


async def test_a_handler_that_returns_closes_with_1000(target: Target) -> None:
    wire = await target.websocket("/both")
    assert await wire.read_text() == "websocket"
    assert await wire.read_close() == (1000, "")
    await wire.send(close_frame(1000))
    await wire.read_end()
    await wire.stream.aclose()


async def test_a_handler_that_raises_closes_with_1011_and_is_logged_once(target: Target) -> None:
    wire = await target.websocket("/raise")
    await wire.send_text("go")
    code, reason = await wire.read_close()
    assert code == 1011
    assert "own error" not in reason
    await wire.stream.aclose()
    (line,) = await target.log()
    assert "ValueError: the handler's own error" in line


async def test_a_generator_exit_of_the_handlers_own_is_an_error_like_any_other(target: Target) -> None:
    assert (await target.get("/generator-exit")).status == 500
    wire = await target.websocket("/generator-exit")
    assert (await wire.read_close())[0] == 1011
    await wire.stream.aclose()
    assert ["GeneratorExit: the handler's own" in line for line in await target.log()] == [True, True]
    assert (await target.get("/who")).status == 200  # the server lives


async def test_a_child_that_raises_closes_with_1011_and_is_logged_once(target: Target) -> None:
    wire = await target.websocket("/child-raises")
    await wire.send_text("go")
    assert (await wire.read_close())[0] == 1011
    await wire.stream.aclose()
    (line,) = await target.log()
    assert "LookupError: the child's own error" in line


async def test_close_sends_code_and_reason_and_the_handler_runs_on(target: Target) -> None:
    wire = await target.websocket("/close")
    assert await wire.read_close() == (4002, "done here")
    await wire.send(close_frame(4002))
    await wire.stream.aclose()
    assert await target.record("disconnect") == [None]
    said = [what[1] for what in await target.records() if what[0] == "closed"]
    assert said == ["receive(): the websocket is closed", "send(): the websocket is closed"]
    assert await target.log() == []


async def test_a_child_that_closes_ends_receive_in_the_other_task(target: Target) -> None:
    wire = await target.websocket("/close-from-child")
    assert await wire.read_close() == (4003, "child")
    await wire.send(close_frame(4003))
    await wire.stream.aclose()
    assert await target.log() == []


async def test_a_handler_may_return_with_unread_messages_and_pings_in_flight(target: Target) -> None:
    wire = await target.websocket("/return")
    await wire.send(frame(TEXT, b"unread") * 4 + frame(PING, b"ping"))
    assert await wire.read_frame() == (PONG, b"ping")
    await target.set_event()
    assert await wire.read_close() == (1000, "")
    await wire.send(close_frame(1000))
    await wire.stream.aclose()
    assert await target.log() == []
    other = await target.websocket("/echo")
    await other.send_text("alive")
    assert await other.read_text() == "alive"
    await other.close()


@native_only
async def test_messages_after_the_close_of_the_server_are_dropped(target: Target) -> None:
    wire = await target.websocket("/both")
    assert await wire.read_text() == "websocket"
    assert (await wire.read_close())[0] == 1000
    await wire.send(frame(TEXT, b"late") * 100 + close_frame(1000))
    await wire.read_end()
    await wire.stream.aclose()


@native_only
async def test_the_stream_ends_after_both_close_frames(target: Target) -> None:
    wire = await target.websocket("/echo")
    await wire.send(close_frame(3000, "bye"))
    assert await wire.read_close() == (3000, "")
    await wire.read_end()
    await wire.stream.aclose()


@virtual_clock
async def test_a_client_that_never_answers_close_is_dropped_after_close_timeout(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    wire = await target.websocket("/close")
    assert await wire.read_close() == (4002, "done here")
    start = trio.current_time()
    await wire.read_end()
    assert trio.current_time() - start == pytest.approx(5)
    assert await target.record("disconnect") == [None]


@virtual_clock
async def test_a_close_that_is_cancelled_has_sent_its_frame(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    assert target.app is not None

    @target.app.websocket("/impatient")
    async def impatient() -> None:
        await websocket.accept()
        with trio.move_on_after(1):
            await websocket.close(4004)

    wire = await target.websocket("/impatient")
    assert await wire.read_frame() == (CLOSE, (4004).to_bytes(2, "big"))
    start = trio.current_time()
    await wire.read_end()
    assert trio.current_time() - start == pytest.approx(5)


@virtual_clock
async def test_shutdown_cancels_a_handler_that_lives_on_after_its_close(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    assert target.app is not None
    assert target.server is not None
    ended: list[object] = []

    @target.app.websocket("/afterlife")
    async def afterlife() -> None:
        await websocket.accept()
        await websocket.close(4005)
        try:
            await trio.sleep_forever()
        finally:
            ended.append(websocket.disconnect)

    wire = await target.websocket("/afterlife")
    assert (await wire.read_close())[0] == 4005
    await wire.stream.aclose()
    await trio.sleep(60)
    assert ended == []
    target.server.shutdown()
    await trio.testing.wait_all_tasks_blocked()
    assert ended == [Disconnect(1001, "", "shutdown")]
