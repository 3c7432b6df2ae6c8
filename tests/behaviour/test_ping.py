"""Pings of the handler's own, and what becomes of them when the client is gone (RFC 6455, sections 5.5.2 and 5.5.3).

Tests triows/server/keepalive.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any

import pytest
import trio

from triows import WebSocketClosed, websocket

from ..support.wire import PING, PONG, TEXT, Wire, close_frame, frame
from .conftest import Target, native_only, virtual_clock

Handler = Callable[[], Awaitable[None]]


async def served(target: Target, handler: Handler, **limits: Any) -> Wire:
    assert target.app is not None
    target.app.websocket("/handler", **limits)(handler)
    return await target.websocket("/handler")


async def test_a_pong_answers_a_ping_and_an_asgi_server_has_none(target: Target) -> None:
    wire = await target.websocket("/ping")
    if target.kind == "hypercorn":
        assert "gives no access to Pings" in await wire.read_text()
    else:
        opcode, payload = await wire.read_frame()
        assert opcode == PING
        await wire.send(frame(PONG, payload))
        assert await wire.read_text() == "True True"
    await wire.read_close()
    await wire.stream.aclose()


@virtual_clock
async def test_no_ping_follows_a_close_frame(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(1000)

    wire = await served(target, handler, ping_interval=1, close_timeout=10)
    assert await wire.read_close() == (1000, "")
    await wire.read_end()
    await wire.stream.aclose()


@virtual_clock
async def test_the_round_trip_is_exact(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    async def handler() -> None:
        assert websocket.latency is None
        seconds = await websocket.ping()
        assert seconds == websocket.latency
        await websocket.send(repr(seconds))

    wire = await served(target, handler)
    opcode, payload = await wire.read_frame()
    assert opcode == PING
    await trio.sleep(0.25)
    # What does not answer it changes nothing, before or behind what does.
    await wire.send(frame(PONG, b"other") + frame(PONG, payload) + frame(PONG, b"another"))
    assert float(await wire.read_text()) == pytest.approx(0.25)
    await wire.stream.aclose()


@virtual_clock
async def test_a_later_pong_answers_the_earlier_pings(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    answers: list[tuple[int, float]] = []

    async def one(number: int) -> None:
        await trio.sleep(number)
        answers.append((number, await websocket.ping()))

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(one, number)
        await websocket.send("done")

    wire = await served(target, handler)
    pings = [await wire.read_frame() for _ in range(3)]
    assert len(set(pings)) == 3
    await trio.sleep(1)
    await wire.send(frame(PONG, pings[1][1]))
    await trio.sleep(1)
    assert sorted(answers) == [(0, pytest.approx(3)), (1, pytest.approx(2))]
    await wire.send(frame(PONG, pings[2][1]))
    assert await wire.read_text() == "done"
    assert sorted(answers)[2] == (2, pytest.approx(2))
    await wire.stream.aclose()


@native_only  # an ASGI server gives no access to Pings
async def test_a_flood_of_pongs_is_not_taken_for_the_answer_and_costs_no_more_than_its_length(target: Target) -> None:
    async def handler() -> None:
        websocket.nursery.start_soon(websocket.ping)
        async for message in websocket:
            await websocket.send(message)

    wire = await served(target, handler)
    assert (await wire.read_frame())[0] == PING
    costs = []
    for count in (10_000, 20_000):
        flood = b"".join(frame(PONG, b"x%d" % number) for number in range(count))
        started = process_time()
        await wire.send(flood + frame(TEXT, b"through"))
        assert await wire.read_text() == "through"
        costs.append(process_time() - started)
    assert costs[1] < 5 * costs[0] + 0.1
    await trio.aclose_forcefully(wire.stream)


@virtual_clock
async def test_a_ping_to_a_vanished_peer_ends_with_the_keepalive(
    target: Target, autojump_clock: trio.testing.MockClock
) -> None:
    reasons: list[str | None] = []

    async def handler() -> None:
        try:
            await websocket.ping()
        except trio.Cancelled as cancelled:
            reasons.append(cancelled.reason)
            raise

    wire = await served(target, handler)
    start = trio.current_time()
    while not reasons:
        await trio.sleep(1)
    assert trio.current_time() - start == pytest.approx(40, abs=2)
    assert reasons == ["websocket disconnected: 1006 abnormal closure: no sign of life for 20 s after a ping"]
    await trio.aclose_forcefully(wire.stream)


@native_only  # an ASGI server gives no access to Pings
async def test_the_disconnect_ends_a_ping_as_a_cancellation(target: Target) -> None:
    reasons: list[str | None] = []

    async def handler() -> None:
        try:
            await websocket.ping()
        except trio.Cancelled as cancelled:
            reasons.append(cancelled.reason)
            raise

    wire = await served(target, handler)
    assert (await wire.read_frame())[0] == PING
    assert (await wire.close(4001, "tired"))[0] == 4001
    while not reasons:
        await trio.sleep(0)
    assert reasons == ["websocket disconnected: 4001: tired"]


@native_only  # an ASGI server gives no access to Pings
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_with_messages_unread_a_ping_to_a_client_that_is_gone_fails(target: Target, when: str) -> None:
    outcome: list[str] = []

    async def handler() -> None:
        await websocket.accept()
        if when == "before":
            while websocket.disconnect is None:
                await trio.sleep(0)
        try:
            await websocket.ping()
        except WebSocketClosed:
            outcome.append(await websocket.receive())  # type: ignore[arg-type]

    wire = await served(target, handler)
    if when == "meanwhile":
        assert (await wire.read_frame())[0] == PING
    await wire.send(frame(TEXT, b"unread") + close_frame(1000))
    while not outcome:
        await trio.sleep(0)
    assert outcome == ["unread"]
    await trio.aclose_forcefully(wire.stream)


@native_only  # an ASGI server gives no access to Pings
async def test_a_local_close_ends_pings(target: Target) -> None:
    outcome: list[str] = []

    async def pinging() -> None:
        try:
            await websocket.ping()
        except WebSocketClosed as error:
            outcome.append(str(error))

    async def handler() -> None:
        websocket.nursery.start_soon(pinging)
        await websocket.receive()
        await websocket.close(4000)
        with pytest.raises(WebSocketClosed):
            await websocket.ping()

    wire = await served(target, handler)
    assert (await wire.read_frame())[0] == PING
    await wire.send_text("close")
    assert (await wire.read_close())[0] == 4000
    await wire.send(close_frame(4000))
    await wire.read_end()
    assert len(outcome) == 1
    await wire.stream.aclose()


@virtual_clock
async def test_a_ping_given_up_leaves_nothing_behind(target: Target, autojump_clock: trio.testing.MockClock) -> None:
    left: list[int] = []

    async def handler() -> None:
        connection = websocket.current().connection
        transport: Any = connection.transport
        for _ in range(10):
            with trio.move_on_after(1):
                await websocket.ping()
        left.append(len(connection._round_trips))
        left.append(len(transport._keepalive._round_trips))
        await websocket.send("done")

    wire = await served(target, handler)
    for _ in range(10):
        assert (await wire.read_frame())[0] == PING
    assert await wire.read_text() == "done"
    assert left[0] == 0
    assert left[1] <= 1
    await wire.stream.aclose()
