"""The test app: it starts the app up, and shuts it down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from triows import Triows
from triows.testing import LifespanError, TestApp


async def test_the_client_does_not_start_the_app_up(app: Triows) -> None:
    started = []

    @app.before_serving
    async def start() -> None:
        started.append(True)

    @app.get("/nursery")
    async def nursery() -> str:
        app.nursery.start_soon(trio.sleep, 0)
        return ""

    with pytest.raises(RuntimeError, match="test_app"):
        await app.test_client().get("/nursery")
    assert not started


async def test_the_test_app_starts_up_and_shuts_down(app: Triows) -> None:
    events = []

    @app.lifespan
    async def life() -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    @app.get("/nursery")
    async def nursery() -> str:
        app.nursery.start_soon(trio.sleep_forever)
        return ""

    async with app.test_app() as test_app:
        assert events == ["up"]
        assert (await test_app.test_client().get("/nursery")).status_code == 200
        async with test_app.test_client().websocket("/echo") as ws:
            await ws.send("x")
    assert events == ["up", "down"]

    test_app = app.test_app()
    await test_app.startup()
    await test_app.shutdown()
    await test_app.shutdown()
    assert events == ["up", "down"] * 2


async def test_failures_to_start_and_to_stop_are_lifespan_errors(app: Triows) -> None:
    @app.before_serving
    async def start() -> None:
        if app.config.get("FAIL") == "start":
            raise OSError("no database")

    @app.after_serving
    async def stop() -> None:
        raise OSError("no goodbye")

    app.config["FAIL"] = "start"
    with pytest.raises(LifespanError, match="no database") as caught:
        async with app.test_app():
            pytest.fail("unreachable")
    assert isinstance(caught.value.__cause__, OSError)
    app.config["FAIL"] = None
    with pytest.raises(LifespanError, match="no goodbye"):
        async with app.test_app():
            pass
    with pytest.raises(KeyError):
        async with app.test_app():
            raise KeyError


async def test_a_start_up_beyond_its_timeout_is_an_error(app: Triows, autojump_clock: MockClock) -> None:
    app.before_serving(partial(trio.sleep, 10))
    with pytest.raises(LifespanError, match="within startup_timeout, 6 seconds"):
        await TestApp(app, startup_timeout=6).startup()
    async with TestApp(app, startup_timeout=11):
        await trio.sleep(100)


async def test_a_shutdown_beyond_its_timeout_is_cut(
    app: Triows, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @app.after_serving
    async def stop() -> None:
        await trio.sleep(5)

    async with TestApp(app, shutdown_timeout=3):
        began = trio.current_time()
    assert trio.current_time() == began + 3
    assert "longer than shutdown_timeout, 3.0 seconds" in caplog.text
    assert app.config["SHUTDOWN_TIMEOUT"] == 10
