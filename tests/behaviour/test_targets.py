"""What may stand in a request's target and in its Host, and the answer to what may not (RFC 3986; RFC 9112, section 3).

An answer is a status, then K where the connection is kept: the next request on it is answered. C is where it is closed,
which the response says.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from triows import Triows

from ..support.asgi import http
from ..support.served import served
from ..support.wire import Wire, upgrade
from .conftest import Target

GOOD = b"GET /name/good HTTP/1.1\r\nHost: localhost\r\n\r\n"

BROKEN = ["%", "%z", "%zz", "%0", "%0z", "%%41", "%u0041", "a%", "%41%"]
NOT_IN_URLS = '"<>\\^`{|}[]'


async def answer(wire: Wire, data: bytes) -> tuple[str, bytes]:
    """Status and K or C, and the body."""
    async with wire.stream:
        await wire.send(data)
        response = await wire.read_response()
        if response.headers.get("connection") == "close":
            await wire.read_end()
            return f"{response.status} C", response.body
        await wire.send(GOOD)
        following = await wire.read_response()
        assert (following.status, json.loads(following.body)) == (200, {"name": "good"})
        return f"{response.status} K", response.body


async def got(target: Target, request_target: str, host: str = "localhost") -> tuple[str, bytes]:
    data = f"GET {request_target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")
    return await answer(await target.connect(), data)


@pytest.mark.parametrize("place", ["/name/a{}b", "/name/a?b={}", "http://localhost/name/{}", "http://localhost?{}"])
async def test_bytes_beyond_ascii_are_400_wherever_they_stand(target: Target, place: str) -> None:
    for byte in ("\x80", "\xe9", "\xff", "\xc3\xa4"):
        assert (await got(target, place.format(byte)))[0] == "400 C", byte


async def test_broken_percent_encoding_in_a_path_is_400(target: Target) -> None:
    for text in BROKEN:
        assert (await got(target, f"/name/{text}"))[0] == "400 C", text
    assert await target.log() == []


async def test_broken_percent_encoding_in_the_path_of_an_absolute_form_is_400(target: Target) -> None:
    for text in BROKEN:
        assert (await got(target, f"http://localhost/name/{text}"))[0] == "400 C", text


async def test_broken_percent_encoding_in_a_query_is_text(target: Target) -> None:
    for text in ("%", "%z", "%zz", "%0", "100%", "%u0041"):
        assert await got(target, f"/fields?missing={text}") == ("200 K", text.encode()), text


async def test_good_percent_encoding_is_let_through(target: Target) -> None:
    for text, name in (("%41%7a", "Az"), ("%e9", "�"), ("%C3%A4", "ä"), ("%00", "\0"), ("%25", "%"), ("%2525", "%25")):
        answered, body = await got(target, f"/name/{text}")
        assert (answered, json.loads(body)) == ("200 K", {"name": name}), text


async def test_what_browsers_send_unencoded_is_let_through(target: Target) -> None:
    for character in NOT_IN_URLS:
        answered, body = await got(target, f"/name/a{character}b")
        assert (answered, json.loads(body)) == ("200 K", {"name": f"a{character}b"}), character
        assert await got(target, f"/fields?missing=a{character}b") == ("200 K", f"a{character}b".encode()), character


# The absolute-form (RFC 9112, section 3.2.2)


async def test_an_absolute_form_is_routed_by_its_path(target: Target) -> None:
    for form in ("http://localhost/name/a%20b", "HTTP://localhost:80/name/a%20b?c=d", "wss://localhost/name/a%20b"):
        answered, body = await got(target, form)
        assert (answered, json.loads(body)) == ("200 K", {"name": "a b"}), form


async def test_the_host_of_an_absolute_form_takes_the_place_of_the_host_field(target: Target) -> None:
    for form in ("http://example.com:8080/host", "http://example.com:8080/host?a=b"):
        assert await got(target, form) == ("200 K", b"example.com:8080 /host"), form


async def test_an_absolute_form_without_a_path_is_the_root(target: Target) -> None:
    for form in ("http://example.com", "http://example.com/", "http://example.com?a=b"):
        assert await got(target, form) == ("200 K", b"example.com /"), form


async def test_an_absolute_form_without_a_host_is_400(target: Target) -> None:
    for form in ("http:///name/x", "http://", "ftp://localhost/name/x", "http:/name/x", "name/x"):
        assert (await got(target, form))[0] == "400 C", form


async def test_a_websocket_may_be_asked_for_in_absolute_form(target: Target) -> None:
    for form in ("http://localhost/both", "ws://localhost/both"):
        wire = await target.websocket(form)
        assert await wire.read_text() == "websocket"
        await wire.stream.aclose()


# Hosts

NO_HOSTS = ["a~b", "a..b", ".", "..", ".a", "~", ":", ":80", "x:0", "x:00080", "A" * 64, "A" * 64 + ".b"]
NO_HOSTS += ["a%41", "a,b", "a'b", "u@x", "x:65536", "[::1", "[]", "[::1]x", "[v1.a]", "a\xe9b"]


async def test_what_is_no_host_closes_the_connection(target: Target) -> None:
    for host in NO_HOSTS:
        assert (await got(target, "/name/x", host))[0] == "400 C", host


async def test_what_is_no_host_in_an_absolute_form_closes_the_connection(target: Target) -> None:
    for host in NO_HOSTS:
        assert (await got(target, f"http://{host}/name/x"))[0] == "400 C", host


async def test_what_is_no_host_closes_the_connection_of_a_handshake(target: Target) -> None:
    for host in NO_HOSTS:
        wire = await target.connect()
        assert (await answer(wire, upgrade("/both", host=host)))[0] == "400 C", host


def proxied(**limits: Any) -> Triows:
    app = Triows(__name__, **limits)

    @app.get("/name/<name>")
    async def name(name: str) -> dict[str, str]:
        return {"name": name}

    return app


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-Host: a~b",
        "X-Forwarded-Host: a, a..b",
        "X-Forwarded-Host: a%41",
        "X-Forwarded-Port: 0",
        "X-Forwarded-Proto: gopher",
        "X-Forwarded-For: nobody@home",
        "Forwarded: host=a~b",
        'Forwarded: host="a..b"',
        "Forwarded: host",
    ],
)
async def test_what_a_trusted_proxy_says_malformed_closes_the_connection(field: str) -> None:
    app = proxied(trusted_proxies=["127.0.0.1"])
    async with http(app, path="/name/x", headers=[(b"host", b"a"), field_line(field)], client=("127.0.0.1", 1)) as asgi:
        asgi.put("http.request")
        start, _ = await asgi.rest()
    assert (start["status"], dict(start["headers"])[b"connection"]) == (400, b"close")


def field_line(field: str) -> tuple[bytes, bytes]:
    name, _, value = field.partition(": ")
    return name.lower().encode(), value.encode()


async def test_under_http_2_no_connection_field_is_sent() -> None:
    async with http(proxied(), path="/name/x", headers=[(b"host", b"a~b")], http_version="2") as asgi:
        asgi.put("http.request")
        start, _ = await asgi.rest()
    assert start["status"] == 400
    assert b"connection" not in dict(start["headers"])


async def test_a_good_host_that_is_none_of_the_trusted_ones_keeps_the_connection() -> None:
    async with served(proxied(trusted_hosts=["localhost"])) as server:
        assert (await answer(server.connect(), b"GET / HTTP/1.1\r\nHost: other\r\n\r\n"))[0] == "400 K"
        assert (await answer(server.connect(), b"GET / HTTP/1.1\r\nHost: a~b\r\n\r\n"))[0] == "400 C"


# OPTIONS *


async def test_options_of_the_server_names_its_methods(target: Target) -> None:
    wire = await target.connect()
    async with wire.stream:
        await wire.send(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n" + GOOD)
        response = await wire.read_response()
        assert response.status == 204
        assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert "content-length" not in response.headers
        assert (await wire.read_response()).status == 200
    assert await target.log() == []


async def test_options_of_a_url_without_a_path_is_for_the_server(target: Target) -> None:
    answered, _ = await answer(await target.connect(), b"OPTIONS http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answered == "204 K"


@pytest.mark.parametrize("line", ["OPTIONS *?a", "OPTIONS **", "OPTIONS */", "GET *", "POST *", "HEAD *"])
async def test_an_asterisk_is_400_where_it_does_not_belong(target: Target, line: str) -> None:
    wire = await target.connect()
    async with wire.stream:
        await wire.send(f"{line} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        response = await wire.read_response(has_body=not line.startswith("HEAD"))
        assert (response.status, response.headers["connection"]) == (400, "close")
        await wire.read_end()


async def test_options_of_the_server_is_answered_without_the_app() -> None:
    app = Triows(__name__)
    ran: list[str] = []
    app.before_request(lambda: ran.append("before"))
    app.after_request(lambda _: ran.append("after"))
    app.teardown_request(lambda _: ran.append("teardown"))
    app.url_value_preprocessor(lambda *_: ran.append("preprocessor"))

    @app.route("/<path:path>", methods=["GET", "OPTIONS", "PURGE"])
    async def everything(path: str) -> str:
        ran.append("handler")
        return path

    async with served(app) as server:
        wire = server.connect()
        async with wire.stream:
            await wire.send(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
            response = await wire.read_response()
            assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, PURGE")
            assert ran == []
            await wire.send(b"OPTIONS /* HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await wire.read_response()).body == b"*"
