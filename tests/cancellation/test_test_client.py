"""The test client's own calls, cancelled at each point: a timeout in a test loses nothing and leaves nothing behind."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from triows import Triows, websocket
from triows.testing import TestWebSocket

from .points import MAX_POINTS, Point, cancel, expire
from .stages import living


def make_app(received: list[Any]) -> Triows:
    app = Triows("tested", ping_interval=None)

    @app.websocket("/")
    async def handler() -> None:
        for message in ("one", b"two", "three"):
            await websocket.send(message)
        async for message in websocket:
            received.append(message)

    @app.get("/")
    async def view() -> str:
        await trio.lowlevel.checkpoint()
        return "x" * 100_000

    return app


async def receive(ws: TestWebSocket, ledger: list[Any]) -> None:
    ledger.append(await ws.receive())


async def send(ws: TestWebSocket, ledger: list[Any]) -> None:
    await ws.send("sent")
    ledger.append("sent")


async def close(ws: TestWebSocket, ledger: list[Any]) -> None:
    await ws.close(3000, "enough")


@pytest.mark.parametrize("action", [cancel, expire])
@pytest.mark.parametrize("call", [receive, send, close])
async def test_calls_are_cancelled_at_each_point(
    call: Callable[..., Awaitable[None]], action: Callable[[Point], None], warnings: list[logging.LogRecord]
) -> None:
    received: list[Any] = []
    client = make_app(received).test_client()
    for number in range(MAX_POINTS):
        tasks = living()
        received.clear()
        ledger: list[Any] = []
        point = Point(number, action)
        with trio.fail_after(60):
            async with client.websocket("/") as ws:
                await point.run(call(ws, ledger))  # type: ignore[arg-type]
                if call is not close:
                    while len([message for message in ledger if message != "sent"]) < 3:
                        ledger.append(await ws.receive())
                    await ws.send("last")
        assert living() == tasks, f"point {number}"
        if call is receive:
            assert ledger == ["one", b"two", "three"], f"point {number}"
        if call is not close:
            assert received == [message for message in ledger if message == "sent"] + ["last"], f"point {number}"
        if not point.reached:
            break
    assert warnings == []


@pytest.mark.parametrize("what", ["websocket", "get", "request"])
async def test_connecting_is_cancelled_at_each_point(what: str, warnings: list[logging.LogRecord]) -> None:
    client = make_app([]).test_client()

    async def connect() -> Any:
        if what == "websocket":
            async with client.websocket("/") as ws:
                return await ws.receive()
        if what == "get":
            return (await client.get("/")).status_code
        async with client.request("/") as connection:
            await connection.send_complete()
            await connection.receive_head()
            return connection.status_code

    for number in range(MAX_POINTS):
        tasks = living()
        point = Point(number, cancel)
        with trio.fail_after(60):
            result = await point.run(connect())
        assert living() == tasks, f"point {number}"
        assert result in (None, 200, "one"), f"point {number}"
        if not point.reached:
            break
    assert result is not None
    assert warnings == []
