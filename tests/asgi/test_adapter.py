"""Which scopes the ASGI adapter takes, and ASGI middleware around it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from triows import Triows, websocket

from ..support.asgi import http, serving, ws


async def test_an_unknown_scope_is_refused_by_name(app: Triows) -> None:
    with pytest.raises(ValueError, match="'webtransport'"):
        async with serving(app, "webtransport"):
            pass


async def test_middleware_wraps_asgi_app(app: Triows, seen: list[Any]) -> None:
    app.get("/", endpoint="view")(lambda: "hello")
    inner = app.asgi_app

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await inner(scope, receive, send)

    app.asgi_app = middleware
    async with http(app) as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["/"]


@pytest.mark.parametrize("setting", [None, False, True])
async def test_errors_are_raised_to_the_middleware_if_they_are_to_propagate(app: Triows, setting: bool | None) -> None:
    @app.get("/")
    async def view() -> str:
        raise ValueError("out of order")

    @app.websocket("/")
    async def socket() -> None:
        await websocket.accept()
        raise ValueError("out of order")

    app.config["PROPAGATE_EXCEPTIONS"] = setting
    raised = pytest.raises(ValueError, match="out of order") if setting else nullcontext()
    with raised:
        async with http(app) as server:
            server.put("http.request")
            assert (await server.next())["status"] == 500
    raised = pytest.raises(ValueError, match="out of order") if setting else nullcontext()
    with raised:
        async with ws(app) as server:
            server.put("websocket.connect")
            assert (await server.next())["type"] == "websocket.accept"
            assert (await server.next())["code"] == 1011
            server.put("websocket.disconnect", code=1011)
