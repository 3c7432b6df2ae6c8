"""What an ASGI server's scope says of a request: its path, host and client, also where it says little.

Tests triows/protocol/head.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from triows import Triows, current_app, request, websocket

from ..support.asgi import http, serving, ws
from ..support.views import raising


async def answer(app: Triows, path: str, method: str = "GET", **scope: Any) -> tuple[int, bytes]:
    """The status and the body of the response to a request."""
    async with http(app, path, method, **scope) as server:
        server.put("http.request")
        start, body = await server.rest()
    return start["status"], body["body"]


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


async def test_a_root_path_is_taken_off_the_path(app: Triows, seen: list[Any]) -> None:
    @app.get("/page")
    async def page() -> str:
        seen.extend([request.path, request.root_path, request.url, current_app.url_for("page")])
        return ""

    async with http(app, "/mounted/page", root_path="/mounted") as server:
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


@pytest.mark.parametrize("root_path", ["/mounted", "/mounted/", "mounted"])
@pytest.mark.parametrize("path", ["/mounted", "/mounted/"])
async def test_the_root_path_itself_is_the_root(app: Triows, path: str, root_path: str) -> None:
    app.get("/")(lambda: [request.path, request.root_path, current_app.url_for("page")])
    app.get("/page", endpoint="page")(lambda: "")
    assert await answer(app, path, root_path=root_path) == (200, b'["/","/mounted","/mounted/page"]\n')


@pytest.mark.parametrize("path", ["/page", "/mountedpage", "/mounte", "/", "/other/mounted/page", "/Mounted/page"])
async def test_a_path_outside_of_the_root_path_is_404(app: Triows, path: str) -> None:
    app.route("/<path:path>", methods=["GET", "POST"])(lambda path: "served")
    app.get("/", endpoint="root")(lambda: "served")
    app.errorhandler(404)(lambda error: (f"no {request.path} in {request.root_path}", 404))
    for method in ("GET", "POST", "OPTIONS", "PUT", "get"):
        expected = (404, f"no {path} in /mounted".encode())
        assert await answer(app, path, method, root_path="/mounted") == expected, method


async def test_a_websockets_path_outside_of_the_root_path_is_404(app: Triows) -> None:
    @app.websocket("/room")
    async def room() -> None:
        await websocket.accept()

    async with ws(app, "/room", root_path="/mounted") as server:
        server.put("websocket.connect")
        start, _ = await server.rest()
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)


async def test_a_websockets_path_outside_of_the_root_path_is_closed_where_no_response_can_be_sent(app: Triows) -> None:
    app.websocket("/room")(raising(AssertionError("called")))
    async with ws(app, "/room", root_path="/mounted", extensions={}) as server:
        server.put("websocket.connect")
        (close,) = await server.rest()
    assert close["type"] == "websocket.close"


# Paths that middleware has changed


@pytest.mark.parametrize(
    ("path", "raw_path", "expected"),
    [
        ("/page", b"/de/page", "/page"),
        ("/pagé", b"/de/pag%C3%A9", "/pagé"),
        ("/100%", b"/de/100%25", "/100%"),
        ("/a%20b", b"/a%2520b", "/a%20b"),
        ("/a%2Fb", b"/a%2Fb", "/a%2Fb"),
        ("/a?b", b"/de/a%3Fb", "/a?b"),
        ("/page/", b"/page", "/page/"),
        ("/page", b"http://example.com/de/page", "/page"),
        ("http://example.com/page", b"http://example.com/de/page", "/page"),
        ("/page", b"/%zz", "/page"),
    ],
)
async def test_the_path_of_the_scope_is_routed_and_the_raw_path_is_not(
    app: Triows, path: str, raw_path: bytes, expected: str
) -> None:
    @app.get("/<path:path>/")
    @app.get("/<path:path>", endpoint="leaf")
    async def view(path: str) -> list[Any]:
        assert request.scope is not None
        return [request.path, request.scope["raw_path"].decode()]

    status, body = await answer(app, path, raw_path=raw_path)
    assert (status, json.loads(body)) == (200, [expected, raw_path.decode()])


async def test_middleware_may_move_a_path_below_the_root_path(app: Triows) -> None:
    app.get("/page")(lambda: request.url)
    found = await answer(app, "/mounted/page", root_path="/mounted", raw_path=b"/de/page")
    assert found == (200, b"http://example.com/mounted/page")


async def test_middleware_may_change_the_path_of_a_websocket(app: Triows, seen: list[Any]) -> None:
    @app.websocket("/room")
    async def room() -> None:
        seen.append(websocket.path)

    async with ws(app, "/room", raw_path=b"/de/room") as server:
        server.put("websocket.connect")
        await server.rest()
    assert seen == ["/room"]


async def test_the_host_of_an_absolute_form_counts_whatever_middleware_makes_of_the_path(app: Triows) -> None:
    app.get("/page")(lambda: request.host)
    assert await answer(app, "/page", raw_path=b"http://other.example/de/page") == (200, b"other.example")


@pytest.mark.parametrize("path", ["page", "host:443", "http:///page", "ftp://example.com/page"])
async def test_what_is_no_path_is_400(app: Triows, path: str) -> None:
    app.get("/<path:path>")(lambda path: "served")
    assert (await answer(app, path))[0] == 400
