"""max_message_rate: messages are handed out at a rate, and none is lost."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, WebSocketClosed, websocket

from ..support.asgi import accepted
from ..support.served import served
from ..support.wire import TEXT, close_frame, frame


def make_app(rate: float | None = 2, **limits: Any) -> tuple[Triows, list[tuple[float, Any]]]:
    app = Triows(__name__)
    log: list[tuple[float, Any]] = []

    @app.websocket("/", max_message_rate=rate, **limits)
    async def ws() -> None:
        began = trio.current_time()
        try:
            async for message in websocket:
                log.append((trio.current_time() - began, message))
        finally:
            log.append((trio.current_time() - began, websocket.disconnect and websocket.disconnect.kind))

    return app, log


MESSAGES = b"".join(frame(TEXT, b"%d" % number) for number in range(5))


async def test_a_second_s_worth_comes_at_once_and_then_one_by_one(autojump_clock: MockClock) -> None:
    app, log = make_app()
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/", early=MESSAGES)
        await trio.sleep(10)
        await wire.close()
    assert log == [(0, "0"), (0, "1"), (0.5, "2"), (1, "3"), (1.5, "4"), (10, "closed")]
    assert app.stats().receive_pauses == 3


async def test_the_client_s_sending_is_held_up(autojump_clock: MockClock) -> None:
    app, log = make_app(receive_buffer=1024, ping_interval=None)
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/")
        sent = 0
        with trio.move_on_after(20):
            while True:
                await wire.send(frame(TEXT, b"x" * 512))
                await trio.testing.wait_all_tasks_blocked()
                sent += 1
                if target.server.service.counters.stats().messages_received < sent:
                    break
        assert len(log) < sent < 20
        await trio.sleep(20)
        await wire.close()
    assert len(log) == sent + 1  # nothing is lost


async def test_an_asgi_server(autojump_clock: MockClock) -> None:
    app, log = make_app()
    async with accepted(app) as server:
        for number in range(4):
            server.put("websocket.receive", text=str(number))
        await trio.sleep(5)
        server.put("websocket.disconnect", code=1000)
    assert log == [(0, "0"), (0, "1"), (0.5, "2"), (1, "3"), (5, "closed")]


async def test_a_cancellation_loses_nothing(autojump_clock: MockClock) -> None:
    app = Triows(__name__, max_message_rate=1)
    got = []

    @app.websocket("/")
    async def ws() -> None:
        while len(got) < 3:
            with trio.move_on_after(0.3):
                got.append(await websocket.receive())
        await websocket.send("done")

    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/", early=MESSAGES)
        assert await wire.read_text() == "done"
        await wire.stream.aclose()
    assert got == ["0", "1", "2"]


async def test_what_arrived_before_a_disconnect_is_delivered(autojump_clock: MockClock) -> None:
    app, log = make_app(rate=0.01, drain_timeout=1)
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/", early=MESSAGES)
        await wait_all_tasks_blocked()
        assert len(log) == 1
        await wire.send(close_frame(1000))
        await wire.read_close()
        await wire.stream.aclose()
    assert [message for _, message in log] == ["0", "1", "2", "3", "4", "closed"]
    assert log[-1][0] <= 0.5


async def test_a_handler_that_waits_is_cancelled_when_nothing_is_unread(autojump_clock: MockClock) -> None:
    app, log = make_app(rate=0.01)
    async with served(app) as target:
        wire = target.connect()
        await wire.handshake("/", early=frame(TEXT, b"0"))
        await trio.sleep(1)
        await wire.close()
    assert log == [(0, "0"), (1, "closed")]


async def test_two_tasks_may_not_receive_and_close_ends_the_wait(autojump_clock: MockClock) -> None:
    app = Triows(__name__, max_message_rate=0.1)
    ends = []

    @app.websocket("/")
    async def ws() -> None:
        await websocket.receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await websocket.receive()
            await websocket.close()

    async def receive() -> None:
        with pytest.raises(WebSocketClosed):
            await websocket.receive()
        ends.append(trio.current_time())

    async with app.test_client().websocket("/") as client:
        await client.send("hello")
        began = trio.current_time()
        await client.wait_closed()
    assert ends[0] - began <= 0.5


async def test_a_message_in_pieces_counts_as_one(autojump_clock: MockClock) -> None:
    app = Triows(__name__, max_message_rate=1)
    times = []

    @app.websocket("/")
    async def ws() -> None:
        began = trio.current_time()
        for _ in range(3):
            async with websocket.receive_stream() as pieces:
                async for _piece in pieces:
                    times.append(trio.current_time() - began)
        await websocket.send_json(await websocket.receive_json())

    async with app.test_client().websocket("/") as client:
        for _ in range(4):
            await client.send("1")
        assert await client.receive() == "1"
    assert times == [0, 1, 2]


async def test_it_costs_other_websockets_nothing() -> None:
    app, _ = make_app(rate=None)
    connections = []

    @app.websocket("/other")
    async def other() -> None:
        connections.append(websocket.connection)
        await websocket.receive()

    async with app.test_client().websocket("/other") as client:
        await client.send("hello")
    assert type(connections[0]).__name__ == "WebSocketConnection"
