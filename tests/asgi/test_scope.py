"""What an ASGI server's scope says of a request: its path, host and client, also where it says little.

Tests triows/protocol/head.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from triows import Triows, current_app, request, websocket

from ..support.asgi import http, serving, ws


async def test_the_head_is_taken_from_the_scope(app: Triows, seen: list[Any]) -> None:
    @app.put("/<name>")
    async def view(name: str) -> str:
        seen.extend([name, request.method, request.url, request.remote_addr, request.http_version])
        seen.extend([request.headers["x-a"], request.server, request.scope])
        return ""

    scope = {
        "scheme": "https",
        "query_string": b"q=%20",
        "http_version": "2",
        "headers": [(b"host", b"example.com"), (b"X-A", b"\xe4")],
    }
    async with http(app, "/a%20b", "PUT", **scope) as server:
        server.put("http.request")
        await server.rest()
    assert seen[:5] == ["a b", "PUT", "https://example.com/a%20b?q=%20", "1.2.3.4", "2"]
    assert seen[5:7] == ["ä", ("5.6.7.8", 80)]
    assert seen[7]["scheme"] == "https"


async def test_the_smallest_scope_that_asgi_allows_is_served(app: Triows, seen: list[Any]) -> None:
    @app.get("/ä b")
    async def view() -> str:
        seen.extend([request.path, request.remote_addr, request.scheme, request.root_path])
        return ""

    scope = {"http_version": "1.1", "method": "GET", "path": "/ä b", "query_string": b"", "headers": []}
    async with serving(app, "http", **scope) as server:
        server.put("http.request")
        start, _ = await server.rest()
    assert start["status"] == 200
    assert seen == ["/ä b", None, "http", ""]


async def test_a_percent_sign_of_the_decoded_path_stays_one(app: Triows, seen: list[Any]) -> None:
    app.get("/<name>", endpoint="view")(lambda name: seen.append(name) or "")
    async with http(app, "/100%", raw_path=None) as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["100%"]


async def test_a_raw_path_with_a_query_is_cut(app: Triows, seen: list[Any]) -> None:
    app.get("/<name>", endpoint="view")(lambda name: seen.append(name) or "")
    async with http(app, "/a", raw_path=b"/a?b=c") as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["a"]


@pytest.mark.parametrize("prefixed", [True, False])
async def test_a_root_path_is_taken_off_the_path(app: Triows, seen: list[Any], prefixed: bool) -> None:
    @app.get("/page")
    async def page() -> str:
        seen.extend([request.path, request.root_path, request.url, current_app.url_for("page")])
        return ""

    path = "/mounted/page" if prefixed else "/page"  # servers differ; the ASGI specification wants it in the path
    async with http(app, path, root_path="/mounted") as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["/page", "/mounted", "http://example.com/mounted/page", "/mounted/page"]


async def test_a_root_path_is_taken_off_a_websockets_path(app: Triows, seen: list[Any]) -> None:
    @app.websocket("/room")
    async def room() -> None:
        seen.append(websocket.path)

    async with ws(app, "/mounted/room", root_path="/mounted") as server:
        server.put("websocket.connect")
        await server.rest()
    assert seen == ["/room"]
