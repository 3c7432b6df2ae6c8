"""TRUSTED_HOSTS: under which names an app may be asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from triows import Request, Triows, request, websocket
from triows.limits import ServerLimits
from triows.origins import host_trusted
from triows.testing import TestClient, WebsocketResponseError

from ...asgi.test_websocket import http, ws
from ...support.served import served


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


@pytest.mark.parametrize(
    ("trusted", "host"),
    [
        ("example.com", "example.com"),
        ("example.com", "Example.COM:8000"),
        ("Example.com:9000", "example.com"),
        ("example.com", "example.com."),
        ("example.com.", "example.com"),
        (".example.com", "example.com"),
        (".example.com", "a.example.com"),
        (".example.com", "a.b.example.com:80"),
        ("*.example.com", "a.b.example.com"),
        ("127.0.0.1", "127.0.0.1:8000"),
        ("[::1]", "[0:0::1]:8000"),
        ("my_service", "my_service:8000"),
    ],
)
def test_a_trusted_host_is_let_in_at_any_port(trusted: str, host: str) -> None:
    hosts = ServerLimits(trusted_hosts=("other.example", trusted)).trusted_hosts
    assert hosts is not None
    assert host_trusted(host, hosts)
    assert ServerLimits(trusted_hosts=hosts).trusted_hosts == hosts


@pytest.mark.parametrize(
    ("trusted", "host"),
    [
        ("example.com", "a.example.com"),
        ("example.com", "evilexample.com"),
        ("example.com", "example.com.evil.org"),
        ("example.com", "example.com@evil.org"),
        ("example.com", "evil.org#example.com"),
        ("example.com", "example.com:99999"),
        ("example.com", "example.com:80:80"),
        ("example.com", ""),
        (".example.com", "evilexample.com"),
        (".example.com", ".example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "evilexample.com"),
        ("*.example.com", "evil.org/.example.com"),
        ("[::1]", "[::2]"),
    ],
)
def test_any_other_is_not(trusted: str, host: str) -> None:
    hosts = ServerLimits(trusted_hosts=(trusted,)).trusted_hosts
    assert hosts is not None
    assert not host_trusted(host, hosts)


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


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("example.com", ("example.com",)),
        ("Example.com, .example.org,*.example.net:80", ("example.com", ".example.org", "*.example.net")),
        ('["example.com"]', ("example.com",)),
        ("null", None),
    ],
)
def test_hosts_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, hosts: Any) -> None:
    monkeypatch.setenv("TRIOWS_TRUSTED_HOSTS", text)
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.config["TRUSTED_HOSTS"] == app.limits.trusted_hosts == hosts


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        ".",
        "*.",
        "*example.com",
        "a.*.example.com",
        "https://example.com",
        "example.com/",
        "::1",
        ".[::1]",
        "b\xfccher.example",
        "user@example.com",
    ],
)
def test_what_is_no_host_cannot_be_trusted(host: str) -> None:
    with pytest.raises(ValueError, match="a trusted host is a name without a scheme") as caught:
        Triows(__name__, trusted_hosts=["example.com", host])
    assert f"trusted_hosts holds {host!r}" in str(caught.value)


def test_an_empty_list_is_refused_since_it_would_let_nobody_in() -> None:
    with pytest.raises(ValueError, match="trusted_hosts is empty"):
        Triows(__name__, trusted_hosts=[])


@pytest.mark.parametrize("value", [1, True, b"example.com", [b"example.com"], [None]])
def test_hosts_are_strings(value: Any) -> None:
    with pytest.raises(TypeError, match="trusted_hosts"):
        Triows(__name__, trusted_hosts=value)
