"""max_handshake_rate: triows/framework/pipeline/entry_checks.py."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from triows import Triows, websocket
from triows.errors import WebsocketResponseError

from ...support.asgi import ws


def make_app(rate: float | None = 1, **options: Any) -> Triows:
    app = Triows(__name__, max_handshake_rate=rate, **options)

    @app.websocket("/")
    async def echo() -> None:
        await websocket.send("hello")

    @app.get("/")
    async def index() -> str:
        return "hello"

    return app


async def status(app: Triows, address: str | None = "192.0.2.7", **headers: str) -> int:
    client = None if address is None else (address, 1)
    try:
        async with app.test_client().websocket("/", headers=headers, scope_base={"client": client}) as ws:
            await ws.receive()
            return 101
    except WebsocketResponseError as error:
        return error.response.status_code


async def test_handshakes_beyond_the_rate_get_429(autojump_clock: MockClock) -> None:
    app = make_app(rate=2)
    assert [await status(app) for _ in range(4)] == [101, 101, 429, 429]
    assert await status(app, "192.0.2.8") == 101
    await trio.sleep(0.5)
    assert [await status(app) for _ in range(2)] == [101, 429]
    assert (app.stats().handshakes_over_rate, app.stats().handshakes_refused) == (3, 3)
    assert (await app.test_client().get("/", scope_base={"client": ("192.0.2.7", 1)})).status_code == 200


async def test_the_answer_says_when_to_come_again(autojump_clock: MockClock) -> None:
    app = make_app(rate=0.1)
    await status(app)
    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/", scope_base={"client": ("192.0.2.7", 1)}) as ws:
            await ws.receive()
    assert caught.value.response.headers["Retry-After"] == "10"


async def test_a_proxy_s_client_counts_and_not_the_proxy(autojump_clock: MockClock) -> None:
    app = make_app(trusted_proxies=["10.0.0.1"])
    told = [await status(app, "10.0.0.1", **{"X-Forwarded-For": address}) for address in ("192.0.2.7", "192.0.2.8") * 2]
    assert told == [101, 101, 429, 429]
    assert [await status(app, "10.0.0.1") for _ in range(3)] == [101] * 3  # it names no client


async def test_clients_without_an_address_are_not_limited(autojump_clock: MockClock) -> None:
    app = make_app()
    assert [await status(app, None) for _ in range(3)] == [101] * 3


async def test_an_app_that_overrides_a_stage(autojump_clock: MockClock) -> None:
    class App(Triows):
        async def dispatch_websocket(self, websocket_context: Any = None) -> Any:
            return await super().dispatch_websocket(websocket_context)

    app = App(__name__, max_handshake_rate=1)

    @app.websocket("/")
    async def echo() -> None:
        await websocket.send("hello")

    assert [await status(app) for _ in range(2)] == [101, 429]


async def test_asgi(autojump_clock: MockClock) -> None:
    app = make_app()
    statuses = []
    for _ in range(2):
        async with ws(app) as server:
            server.put("websocket.connect")
            event = await server.next()
            statuses.append(event.get("status", 101))
            server.put("websocket.disconnect", code=1000)
    assert statuses == [101, 429]


async def test_the_limit_may_be_changed_and_switched_off(autojump_clock: MockClock) -> None:
    app = make_app(rate=None)
    assert [await status(app) for _ in range(3)] == [101] * 3
    app.config["MAX_HANDSHAKE_RATE"] = 1
    assert [await status(app) for _ in range(2)] == [101, 429]
