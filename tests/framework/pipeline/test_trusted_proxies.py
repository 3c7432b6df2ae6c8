"""What an app sees of a request that came through a proxy: the client and the host that the proxy names.

Tests triows/framework/pipeline/entry_checks.py.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import trio

from triows import Triows, request, session, url_for, websocket
from triows.testing import TestClient, WebsocketResponseError

from ...support.asgi import http, ws
from ...support.served import served
from ...support.wire import Wire, upgrade

PROXY = "10.0.0.1"

FIELDS = {
    "Host": "inner.example:8000",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "example.com",
    "X-Forwarded-Prefix": "/app",
}
BASE = {"client": (PROXY, 40000)}


def telling_app(**options: Any) -> Triows:
    """An app that tells what its handlers see."""
    app = Triows(__name__, **options)
    app.secret_key = "secret"

    def seen(subject: Any) -> dict[str, Any]:
        return {
            "remote_addr": subject.remote_addr,
            "peer": subject.peer and subject.peer[0],
            "secure": subject.is_secure,
            "url": subject.url,
            "host_url": subject.host_url,
            "root_path": subject.root_path,
            "external": url_for("tell", _external=True),
        }

    @app.get("/tell")
    async def tell() -> Any:
        session["seen"] = True
        return seen(request)

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send_json(seen(websocket))

    return app


SEEN = {
    "remote_addr": "192.0.2.1",
    "peer": PROXY,
    "secure": True,
    "host_url": "https://example.com/",
    "root_path": "/app",
    "external": "https://example.com/app/tell",
}


async def test_a_request_shows_the_client_and_what_it_asked_for() -> None:
    client = TestClient(telling_app(trusted_proxies=[PROXY]))
    response = await client.get("/tell", headers=FIELDS, scope_base=BASE)
    assert await response.get_json() == SEEN | {"url": "https://example.com/app/tell"}


async def test_a_websocket_does_so_too() -> None:
    client = TestClient(telling_app(trusted_proxies=[PROXY]))
    async with client.websocket("/ws", headers=FIELDS, scope_base=BASE) as ws:
        assert await ws.receive_json() == SEEN | {
            "url": "wss://example.com/app/ws",
            "host_url": "wss://example.com/",
            "external": "https://example.com/app/tell",
        }


@pytest.mark.parametrize("trusted", [(), ("10.0.0.2",)])
async def test_without_trust_the_fields_mean_nothing(trusted: tuple[str, ...]) -> None:
    client = TestClient(telling_app(trusted_proxies=trusted))
    seen = await (await client.get("/tell", headers=FIELDS, scope_base=BASE)).get_json()
    assert (seen["remote_addr"], seen["peer"], seen["secure"]) == (PROXY, PROXY, False)
    assert seen["external"] == "http://inner.example:8000/tell"


async def test_each_request_of_a_connection_is_its_own_clients() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(telling_app(trusted_proxies="127.0.0.1").serve, "127.0.0.1", 0)
        wire = Wire(await trio.open_tcp_stream("127.0.0.1", server.port))
        for address in ("192.0.2.1", "192.0.2.2"):
            await wire.send(f"GET /tell HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n".encode())
            assert f'"{address}"'.encode() in (await wire.read_response()).body
        await wire.send(upgrade("/ws", "X-Forwarded-For: 192.0.2.3"))
        await wire.read_response()
        assert '"192.0.2.3"' in await wire.read_text()
        await wire.stream.aclose()
        nursery.cancel_scope.cancel()


async def test_a_proxy_at_a_unix_socket_is_believed(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(telling_app(trusted_proxies="unix").serve, f"unix:{tmp_path}/s")
        wire = Wire(await trio.open_unix_socket(f"{tmp_path}/s"))
        await wire.send(b"GET /tell HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        assert b'"192.0.2.1"' in (await wire.read_response()).body
        await wire.stream.aclose()
        nursery.cancel_scope.cancel()


async def test_under_an_asgi_server_the_same_holds() -> None:
    app = telling_app(trusted_proxies=["1.2.3.4"])
    headers = [(name.lower().encode(), value.encode()) for name, value in FIELDS.items()]
    async with http(app, "/tell", headers=headers) as server:
        server.put("http.request", body=b"", more_body=False)
        _, body, *_ = await server.rest()
        assert b'"https://example.com/app/tell"' in body["body"]
        assert b'"peer":"1.2.3.4"' in body["body"]


@pytest.mark.parametrize("host", [b"no host", b"a..b", b"user@example.com"])
async def test_a_port_of_a_proxy_makes_no_host_of_what_is_none(host: bytes) -> None:
    app = telling_app(trusted_proxies=["1.2.3.4"])
    async with http(app, "/tell", headers=[(b"host", host), (b"x-forwarded-port", b"8443")]) as server:
        server.put("http.request", body=b"", more_body=False)
        start, body, *_ = await server.rest()
        assert (start["status"], body["body"]) == (400, b"the Host field is no host\n")


@pytest.mark.parametrize(("origin", "status"), [("https://example.com", 101), ("http://inner.example:8000", 403)])
async def test_the_origin_of_a_page_is_compared_with_the_forwarded_host(origin: str, status: int) -> None:
    client = TestClient(telling_app(trusted_proxies=[PROXY]))
    try:
        async with client.websocket("/ws", headers=FIELDS | {"Origin": origin}, scope_base=BASE) as ws:
            await ws.receive()
            found = 101
    except WebsocketResponseError as error:
        found = error.response.status_code
    assert found == status


@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded"])
async def test_what_is_malformed_is_400_and_logged_without_being_quoted(
    field: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = telling_app(trusted_proxies=[PROXY])
    app.before_request(lambda: ("hooked", 418))
    app.before_websocket(lambda: ("hooked", 418))
    client = TestClient(app)
    headers = {field: "for=<secret>"}
    response = await client.get("/tell", headers=headers, scope_base=BASE)
    assert response.status_code == 400
    assert field.encode() in await response.get_data()
    with pytest.raises(WebsocketResponseError) as caught:
        async with client.websocket("/ws", headers=headers, scope_base=BASE):
            pass
    assert caught.value.response.status_code == 400
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert (record.name, record.levelno) == ("triows.error", logging.WARNING)
        assert PROXY in record.getMessage()
        assert "secret" not in record.getMessage()


async def test_after_a_request_that_was_refused_the_connection_serves_on() -> None:
    app = telling_app(trusted_hosts=["a"])
    async with served(app) as server:
        wire = server.connect()
        for host, status in (("b", 400), ("a", 200)):
            await wire.send(f"GET /tell HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await wire.read_response()).status == status
        await wire.stream.aclose()


async def test_an_asgi_websocket_from_a_malformed_proxy_is_denied() -> None:
    app = telling_app(trusted_proxies=["1.2.3.4"])
    async with ws(app, "/ws", headers=[(b"host", b"a"), (b"forwarded", b"for")]) as server:
        server.put("websocket.connect")
        assert (await server.rest())[0]["status"] == 400
