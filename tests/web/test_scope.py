"""The ASGI scope of requests and websockets that no ASGI server has sent."""

from __future__ import annotations

from typing import Any

from triows import Triows, request, websocket

PROXIED = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}


async def test_a_request_has_the_scope_that_an_asgi_server_gives() -> None:
    app = Triows(__name__)
    seen: list[dict[str, Any]] = []

    @app.post("/<path:name>")
    async def view(name: str) -> str:
        assert request.scope is request.scope
        seen.append(request.scope)
        return name

    response = await app.test_client().post("/app/a%20b/\u00e9?x=1", headers={"X-Name": "one"}, root_path="/app")
    assert response.status_code == 200
    (scope,) = seen
    headers = scope.pop("headers")
    assert (b"x-name", b"one") in headers
    assert all(name == name.lower() for name, _ in headers)
    client, server = scope.pop("client"), scope.pop("server")
    assert (client[0], server) == ("127.0.0.1", ("localhost", 80))
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/app/a b/\u00e9",
        "raw_path": b"/app/a%20b/%C3%A9",
        "query_string": b"x=1",
        "root_path": "/app",
        "state": {},
        "extensions": {},
    }


async def test_a_websocket_has_the_scope_that_an_asgi_server_gives() -> None:
    app = Triows(__name__)

    @app.websocket("/ws")
    async def ws() -> None:
        scope = websocket.scope
        await websocket.send_json(scope["type"], scope["scheme"], scope["subprotocols"], "method" in scope)

    async with app.test_client().websocket("/ws", subprotocols=["a", "b"]) as client:
        assert await client.receive_json() == ["websocket", "ws", ["a", "b"], False]


async def test_the_scope_shows_the_connection_and_not_what_a_trusted_proxy_claims() -> None:
    app = Triows(__name__, trusted_proxies="127.0.0.1")

    @app.get("/")
    async def index() -> list[Any]:
        return [request.remote_addr, request.scheme, request.scope["client"][0], request.scope["scheme"]]

    response = await app.test_client().get("/", headers=PROXIED)
    assert await response.get_json() == ["192.0.2.1", "https", "127.0.0.1", "http"]


async def test_the_context_of_a_test_has_a_scope() -> None:
    async with Triows(__name__).test_request_context("/page?x=1") as context:
        assert context.request is not None
        scope = context.request.scope
    assert (scope["path"], scope["query_string"], scope["client"]) == ("/page", b"x=1", None)
