"""The cookies of a test client go where those of a browser go (RFC 6265)."""

from __future__ import annotations

from typing import Any

import pytest

from triows import Response, Triows, request, session, websocket


@pytest.fixture
def app(app: Triows) -> Triows:
    @app.get("/set")
    async def set_cookie() -> Response:
        response = Response()
        names = ("domain", "path", "secure", "max_age", "expires")
        options: dict[str, Any] = {name: request.args[name] for name in names if name in request.args}
        if "max_age" in options:
            options["max_age"] = int(options["max_age"])
        response.set_cookie("c", request.args.get("value", "1"), **options)
        return response

    @app.get("/", defaults={"path": ""})
    @app.get("/<path:path>")
    async def see(path: str) -> str | None:
        return request.cookies.get("c", "none")

    @app.websocket("/")
    async def socket() -> None:
        await websocket.send(websocket.cookies.get("c", "none"))

    return app


@pytest.mark.parametrize(
    ("setter", "urls", "others"),
    [
        ("http://example.com/set", ["http://example.com/", "https://example.com:81/"], ["http://www.example.com/"]),
        (
            "http://api.example.com/set?domain=example.com",
            ["http://www.example.com/", "http://example.com/", "http://EXAMPLE.com/", "http://api.example.com/"],
            ["http://other.com/", "http://notexample.com/"],
        ),
        ("http://example.com/set?domain=other.com", [], ["http://other.com/", "http://example.com/"]),
        ("http://example.com/set?domain=www.example.com", [], ["http://www.example.com/", "http://example.com/"]),
        ("http://example.com/set?domain=com", [], ["http://other.com/", "http://example.com/"]),
        ("/set", ["/", "/a"], ["http://sub.localhost/", "http://example.com/"]),
        ("/set?domain=localhost", ["/"], ["http://sub.localhost/"]),
        ("/set?path=/a", ["/a", "/a/b"], ["/", "/ab"]),
        ("/set?path=/ü", ["/ü", "/%C3%BC/x"], ["/"]),
        ("http://127.0.0.1/set", ["http://127.0.0.1/", "http://127.0.0.1:8000/"], ["http://127.0.0.2/"]),
        ("http://[::1]/set", ["http://[::1]/", "http://[::1]:8000/"], ["http://[::2]/"]),
        (
            "http://bücher.example/set",
            ["http://bücher.example/", "http://xn--bcher-kva.example/"],
            ["http://b.example/"],
        ),
        ("http://my_app/set", ["http://my_app/"], ["http://other_app/"]),
    ],
)
async def test_a_cookie_goes_to_its_domain_and_path(
    app: Triows, setter: str, urls: list[str], others: list[str]
) -> None:
    client = app.test_client()
    await client.get(setter)
    for url in (*urls, *others):
        response = await client.get(url)
        assert await response.get_data(as_text=True) == ("1" if url in urls else "none"), url


@pytest.mark.parametrize(
    ("host", "plain"),
    [("example.com", "none"), ("localhost", "1"), ("api.localhost:8000", "1"), ("127.0.0.1", "1"), ("[::1]", "1")],
)
async def test_a_secure_cookie_goes_over_tls_or_to_this_machine(app: Triows, host: str, plain: str) -> None:
    client = app.test_client()
    await client.get(f"https://{host}/set?secure=1")
    assert await (await client.get(f"https://{host}/")).get_data(as_text=True) == "1"
    assert await (await client.get(f"http://{host}/")).get_data(as_text=True) == plain
    async with client.websocket(f"wss://{host}/") as ws:
        assert await ws.receive() == "1"
    async with client.websocket(f"ws://{host}/") as ws:
        assert await ws.receive() == plain


@pytest.mark.parametrize("over", ["max_age=0", "max_age=-5", "expires=Thu,%2001%20Jan%201970%2000:00:01%20GMT"])
async def test_a_cookie_that_is_over_is_gone(app: Triows, over: str) -> None:
    client = app.test_client()
    await client.get("/set?value=kept&max_age=60")
    assert await (await client.get("/")).get_data() == b"kept"
    await client.get(f"/set?{over}")
    assert await (await client.get("/")).get_data() == b"none"


@pytest.mark.parametrize("value", ["ü→", 'x y;"\\,', "%3D=", ""])
async def test_text_in_a_cookie_comes_back(app: Triows, value: str) -> None:
    client = app.test_client()
    await client.get("/set", query_string={"value": value})
    assert await (await client.get("/")).get_data(as_text=True) == value
    async with client.websocket("/") as ws:
        assert await ws.receive() == value
    client = app.test_client()
    client.set_cookie("localhost", "c", value)
    assert await (await client.get("/")).get_data(as_text=True) == value
    client.delete_cookie("localhost", "c")
    assert await (await client.get("/")).get_data(as_text=True) == "none"


async def test_a_cookie_may_be_set_for_a_host_and_a_path_beyond_ascii(app: Triows) -> None:
    client = app.test_client()
    client.set_cookie("bücher.example", "c", "host")
    client.set_cookie("localhost", "c", "path", path="/ü")
    assert await (await client.get("http://bücher.example/")).get_data() == b"host"
    assert await (await client.get("/ü/x")).get_data() == b"path"
    assert await (await client.get("/")).get_data() == b"none"


async def test_the_host_header_decides_whose_cookies_are_sent(app: Triows) -> None:
    client = app.test_client()
    await client.get("/set", headers={"Host": "a.example"})
    assert await (await client.get("/", headers={"Host": "a.example"})).get_data() == b"1"
    assert await (await client.get("http://a.example/")).get_data() == b"1"
    assert await (await client.get("/")).get_data() == b"none"


async def test_cookies_in_the_headers_are_sent_beside_those_of_the_jar(app: Triows) -> None:
    client = app.test_client()
    await client.get("/set")
    response = await client.get("/", headers={"Cookie": "a=ü"})
    assert await response.get_data() == b"1"


@pytest.mark.parametrize("domain", [None, "example.com"])
async def test_a_session_is_kept_for_the_server_name_and_its_subdomains(app: Triows, domain: str | None) -> None:
    app.config.update(SERVER_NAME="example.com", SESSION_COOKIE_DOMAIN=domain)

    @app.get("/count")
    async def count() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    client = app.test_client()
    assert await (await client.get("/count")).get_data() == b"1"
    async with client.session_transaction() as opened:
        assert opened["count"] == 1
        opened["count"] = 10
    assert await (await client.get("/count")).get_data() == b"11"
    below = await client.get("/count", subdomain="api")
    assert await below.get_data() == (b"12" if domain else b"1")
    async with client.session_transaction(subdomain="api") as opened:
        assert opened["count"] == (12 if domain else 1)


async def test_a_cookie_of_no_server_is_one_of_localhost(app: Triows) -> None:
    client = app.test_client()
    client.set_cookie(None, "c", "1")
    assert await (await client.get("/")).get_data(as_text=True) == "1"
    client.delete_cookie(None, "c")
    assert await (await client.get("/")).get_data(as_text=True) == "none"


IDN = ["http://bücher.example/x", "http://xn--bcher-kva.example/x"]


@pytest.mark.parametrize("url", [*IDN, "http://example.com:8080/x"])
@pytest.mark.parametrize("prepared", IDN)
async def test_a_session_transaction_prepares_the_session_of_its_host(app: Triows, prepared: str, url: str) -> None:
    app.secret_key = "secret"

    @app.get("/x")
    async def read_session() -> str:
        return str(session.get("a"))

    client = app.test_client()
    async with client.session_transaction(prepared) as opened:
        opened["a"] = 1
    assert await (await client.get(url)).get_data() == (b"1" if url in IDN else b"None")
    async with client.session_transaction(url) as opened:
        assert opened.get("a") == (1 if url in IDN else None)
