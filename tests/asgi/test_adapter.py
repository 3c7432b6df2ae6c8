"""Which scopes the ASGI adapter takes, and ASGI middleware around it."""

from __future__ import annotations

from typing import Any

import pytest

from triows import Triows

from ..support.asgi import http, serving


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
