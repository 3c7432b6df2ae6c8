"""Who is let in: hosts that are not trusted, and pages of foreign origins, meet neither hook nor handler."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from triows import Request, Triows, request, session, websocket
from triows.testing import TestClient, WebsocketResponseError

from ...support.asgi import http, ws
from ...support.rejections import rejection
from ...support.served import served
from ...support.wire import upgrade


def make_app(ran: list[str], **options: Any) -> Triows:
    """An app that says which of its functions ran."""
    app = Triows(__name__, **options)

    def saying(word: str) -> Callable[..., None]:
        return lambda *_: ran.append(word)

    app.before_request(saying("before"))
    app.before_websocket(saying("before"))
    app.after_request(saying("after"))
    app.teardown_request(saying("teardown"))
    app.url_value_preprocessor(saying("preprocessor"))
    app.register_error_handler(400, saying("error handler"))

    @app.get("/")
    async def index() -> str:
        ran.append("handler")
        return request.host

    @app.websocket("/ws")
    async def ws() -> None:
        ran.append("handler")
        await websocket.send(websocket.host)

    return app


async def status(app: Triows, host: str) -> int:
    return (await app.test_client().get("/", headers={"Host": host})).status_code


async def websocket_status(app: Triows, host: str, path: str = "/ws") -> int:
    try:
        async with app.test_client().websocket(path, headers={"Host": host}) as client:
            await client.receive()
    except WebsocketResponseError as error:
        return error.response.status_code
    return 101


# Hosts


async def test_another_host_gets_400_and_nothing_of_the_app_runs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "triows.error")
    ran: list[str] = []
    app = make_app(ran, trusted_hosts=["example.com"])
    response = await app.test_client().get("/", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert await response.get_data() == b"the Host is none of this server's\n"
    assert await status(app, "evil.example") == 400
    assert await websocket_status(app, "evil.example") == 400
    assert await websocket_status(app, "evil.example", "/nowhere") == 400
    assert ran == []
    assert {(record.name, record.levelno) for record in caplog.records} == {("triows.error", logging.DEBUG)}
    assert "'evil.example'" in caplog.messages[0]


async def test_a_trusted_host_is_served() -> None:
    ran: list[str] = []
    app = make_app(ran, trusted_hosts=[".example.com"])
    assert await status(app, "a.example.com:8000") == 200
    assert await websocket_status(app, "example.com") == 101
    assert "handler" in ran


async def test_without_a_list_all_hosts_are_served() -> None:
    assert await status(make_app([]), "any.example") == 200
    assert await websocket_status(make_app([]), "any.example") == 101


@pytest.mark.parametrize("host", ["a..b", ".", "~a", "example.com:0", "example.com:080", "a" * 64, "a b", "\xe4"])
async def test_what_is_no_host_gets_400_and_nothing_of_the_app_runs(host: str) -> None:
    ran: list[str] = []
    app = make_app(ran)
    field = (b"host", host.encode("latin-1"))
    async with http(app, headers=[field]) as server:
        server.put("http.request", body=b"", more_body=False)
        assert (await server.rest())[0]["status"] == 400
    async with ws(app, "/ws", headers=[field]) as server:
        server.put("websocket.connect")
        assert (await server.rest())[0]["status"] == 400
    async with served(app) as native:
        wire = native.connect()
        await wire.send(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % field[1])
        assert (await wire.read_response()).status == 400
        await wire.stream.aclose()
    assert ran == []


async def test_the_host_of_a_target_in_absolute_form_is_the_one_that_counts() -> None:
    async with served(make_app([], trusted_hosts=["example.com"])) as server:
        for target, host, expected in (("evil.example", "example.com", 400), ("example.com", "evil.example", 200)):
            wire = server.connect()
            await wire.send(f"GET http://{target}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await wire.read_response()).status == expected
            await wire.stream.aclose()


async def test_an_http_1_0_request_without_a_host_names_no_trusted_one() -> None:
    async with served(make_app([], trusted_hosts=["example.com"])) as server:
        wire = server.connect()
        await wire.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await wire.read_response()).status == 400
        await wire.stream.aclose()


async def test_the_host_that_a_trusted_proxy_names_is_the_one_that_counts() -> None:
    app = make_app([], trusted_hosts=["example.com"], trusted_proxies=["127.0.0.1"])
    client = TestClient(app)
    for inner, outer, expected in (("inner", "example.com", 200), ("example.com", "evil.example", 400)):
        response = await client.get("/", headers={"Host": inner, "X-Forwarded-Host": outer})
        assert response.status_code == expected


async def test_under_an_asgi_server_the_same_holds() -> None:
    app = make_app([], trusted_hosts=["trusted.example"])
    async with http(app) as server:
        server.put("http.request", body=b"", more_body=False)
        assert (await server.rest())[0]["status"] == 400
    async with ws(app, "/ws") as server:
        server.put("websocket.connect")
        start, *_ = await server.rest()
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 400)


async def test_a_request_class_may_have_trusted_hosts_of_its_own() -> None:
    class Strict(Request):
        trusted_hosts = ("example.com",)

    app = make_app([])
    app.request_class = Strict
    app.error_handlers.clear()
    assert await status(app, "example.com") == 200
    assert await status(app, "evil.example") == 400


# Origins

FOREIGN = {"Origin": "https://evil.example"}


def greeting_app(**options: Any) -> Triows:
    app = Triows(__name__)

    @app.websocket("/", **options)
    async def handler() -> None:
        await websocket.send("hello")

    return app


async def refused_with(app: Triows, headers: Any, path: str = "/") -> int:
    """The status that the handshake is rejected with."""
    return (await rejection(app, path, headers=headers)).status_code


async def greets(app: Triows, origin: str | None, host: str = "localhost") -> bool:
    headers = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    async with app.test_client().websocket("/", headers=headers) as client:
        return await client.receive() == "hello"


async def test_a_foreign_page_is_refused_before_hooks_and_handler(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []
    app = Triows(__name__)
    app.before_websocket(lambda: ran.append("hook"))

    @app.websocket("/")
    async def handler() -> None:
        ran.append("handler")

    assert await refused_with(app, FOREIGN | {"Host": "example.com"}) == 403
    assert ran == []
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("triows.error", logging.WARNING)
    assert "'https://evil.example'" in record.getMessage()
    assert "'example.com'" in record.getMessage()


async def test_a_foreign_page_meets_no_hook_where_there_is_no_route() -> None:
    app = Triows(__name__)
    app.before_websocket(lambda: ("hooked", 418))
    assert await refused_with(app, {}, "/nowhere") == 418
    assert await refused_with(app, FOREIGN, "/nowhere") == 403


async def test_what_is_logged_of_an_origin_is_escaped_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async with served(greeting_app()) as server:
        for origin in ("https://a\x9b31m\u00e9'\"", "https://" + "a" * 5000):
            wire = server.connect()
            await wire.send(upgrade("/", f"Origin: {origin}"))
            assert (await wire.read_response()).status == 403
            await wire.stream.aclose()
    assert len(caplog.records) == 2
    for record in caplog.records:
        message = record.getMessage()
        assert message.isascii()
        assert message.isprintable()
        assert len(message) < 1000


async def test_the_log_names_the_origins_that_are_allowed(caplog: pytest.LogCaptureFixture) -> None:
    app = greeting_app(origins=["https://friend.example", "https://*.example.com"])
    assert await refused_with(app, FOREIGN) == 403
    (message,) = caplog.messages
    assert "'https://evil.example'" in message
    assert "'https://friend.example, https://*.example.com'" in message


async def test_a_route_may_allow_an_origin() -> None:
    app = greeting_app(origins=["https://friend.example"])
    assert await greets(app, "https://friend.example")
    assert await refused_with(app, FOREIGN) == 403


async def test_an_app_may_allow_origins_and_a_route_others() -> None:
    app = greeting_app(origins="https://route.example")
    app.config["ORIGINS"] = ["https://app.example"]

    @app.websocket("/other")
    async def other() -> Any:
        return "rejected by the handler", 418

    assert await greets(app, "https://route.example")
    assert await refused_with(app, {"Origin": "https://app.example"}) == 403
    assert await refused_with(app, {"Origin": "https://app.example"}, "/other") == 418
    assert await refused_with(app, {"Origin": "https://route.example"}, "/other") == 403


async def test_a_client_without_an_origin_is_no_browser_and_allowed() -> None:
    assert await greets(greeting_app(), None)
    assert await greets(greeting_app(origins=["https://friend.example"]), None)


async def test_an_error_handler_may_answer_a_foreign_page() -> None:
    app = greeting_app()
    app.secret_key = "secret"

    @app.errorhandler(403)
    async def forbidden(error: Exception) -> Any:
        return f"not from there; session {dict(session)}", 451

    response = await rejection(app, headers=FOREIGN)
    assert (response.status_code, await response.get_data()) == (451, b"not from there; session {}")


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b""])
async def test_two_origins_from_an_asgi_server_must_both_be_allowed(origin: bytes) -> None:
    headers = [(b"host", b"example.com"), (b"origin", b"https://example.com"), (b"origin", origin)]
    async with ws(greeting_app(), headers=headers) as server:
        server.put("websocket.connect")
        assert (await server.rest())[0]["status"] == 403


async def test_an_asgi_request_without_a_host_has_no_origin_of_its_own() -> None:
    async with ws(greeting_app(), headers=[(b"origin", b"http://5.6.7.8")]) as server:
        server.put("websocket.connect")
        assert (await server.rest())[0]["status"] == 403
