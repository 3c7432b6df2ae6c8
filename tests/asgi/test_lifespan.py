"""The lifespan scope: an ASGI server starts the app and shuts it down.

Tests triows/asgi/adapter.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import Triows

from ..support.asgi import serving


async def test_the_lifespan_starts_and_stops_the_app(app: Triows, seen: list[Any]) -> None:
    @app.while_serving
    async def during() -> AsyncIterator[None]:
        seen.append("start")
        yield
        seen.append("stop")

    async with serving(app, "lifespan") as server:
        await wait_all_tasks_blocked()
        assert (seen, server.sent) == ([], [])
        server.put("lifespan.startup")
        assert await server.next() == {"type": "lifespan.startup.complete"}
        assert seen == ["start"]
        server.put("lifespan.shutdown")
        assert await server.next() == {"type": "lifespan.shutdown.complete"}
    assert seen == ["start", "stop"]


async def test_the_apps_nursery_lives_between_them(app: Triows, seen: list[Any]) -> None:
    async def background() -> None:
        try:
            await trio.sleep_forever()
        finally:
            seen.append("background ended")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        app.nursery.start_soon(background)
        await wait_all_tasks_blocked()
        server.put("lifespan.shutdown")
        await server.next()
    assert seen == ["background ended"]


async def test_a_failed_startup_is_told_to_the_server(app: Triows) -> None:
    @app.before_serving
    async def fails() -> None:
        raise OSError("no database")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        assert await server.next() == {"type": "lifespan.startup.failed", "message": "OSError: no database"}


async def test_a_failed_shutdown_is_told_to_the_server(app: Triows) -> None:
    @app.after_serving
    async def fails() -> None:
        raise OSError("flush failed")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        server.put("lifespan.shutdown")
        assert await server.next() == {"type": "lifespan.shutdown.failed", "message": "OSError: flush failed"}


async def test_a_background_crash_that_ends_the_app_is_told_to_the_server(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["BACKGROUND_TASK_CRASH_STOPS"] = True

    async def crash() -> None:
        raise OSError("crashed")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        app.nursery.start_soon(crash)
        assert await server.next() == {"type": "lifespan.shutdown.failed", "message": "OSError: crashed"}


async def test_a_server_that_is_cancelled_shuts_the_app_down(app: Triows, seen: list[Any]) -> None:
    app.after_serving(lambda: seen.append("after"))
    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        server.cancel_scope.cancel()
    assert seen == ["after"]
