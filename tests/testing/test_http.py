"""A request of a test, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import Disconnect, Triows, request
from triows.testing import HTTPDisconnectError


async def test_a_request_is_streamed_both_ways(app: Triows) -> None:
    @app.post("/mirror")
    async def mirror() -> AsyncIterator[bytes]:
        async for piece in request.body:
            yield piece.upper()

    async with app.test_client().request("/mirror", method="POST") as connection:
        assert connection.status_code is None
        await connection.send(b"a")
        assert await connection.receive() == b"A"
        assert connection.status_code == 200
        await connection.send(b"b")
        assert await connection.receive() == b"B"
        await connection.send(b"c")
        await connection.send_complete()
    response = await connection.as_response()
    assert await response.get_data() == b"C"


async def test_a_client_that_goes_away_cancels_the_handler(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    ends = []

    @app.get("/ticks")
    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await trio.sleep(1)
        finally:
            ends.append(request.disconnect)

    async with app.test_client().request("/ticks") as connection:
        assert [await connection.receive() for _ in range(3)] == [b"tick"] * 3
        await connection.disconnect()
    assert ends == [Disconnect(1006, "", "lost")]


async def test_a_stalled_client_holds_up_a_streamed_response(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    sent = 0

    @app.get("/flood")
    async def flood() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            yield bytes(10_000)
            sent += 10_000

    async with app.test_client().request("/flood") as connection:
        connection.stall()
        await wait_all_tasks_blocked()
        assert 0 < sent < 300_000
    assert sent == 1_000_000
    assert len(await (await connection.as_response()).get_data()) == 1_000_000


async def test_a_truncated_response_is_no_response(app: Triows) -> None:
    @app.get("/half")
    async def half() -> Any:
        async def pieces() -> AsyncIterator[str]:
            yield "half"
            await trio.sleep(0)
            raise ValueError("the other half is lost")

        return pieces()

    with pytest.raises(ValueError, match="other half"):
        await app.test_client().get("/half")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with pytest.raises(HTTPDisconnectError):
        await app.test_client().get("/half")


async def test_a_handshake_can_be_tried_as_a_plain_request(app: Triows) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    response = await app.test_client().get("/echo", headers=headers)
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Accept"]
