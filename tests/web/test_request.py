"""Requests: their heads, bodies and hosts; triows/web/lazy.py too."""

from __future__ import annotations

import pytest
import trio
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from triows import Request
from triows.protocol.head import Head

from .requests import PiecewiseConnection, make_request


def test_the_head_is_readable() -> None:
    request = make_request(target="/root/a%20b?x=1&x=2")
    assert request.path == "/a b"
    assert request.args.getlist("x") == ["1", "2"]
    assert request.url == "http://example.com/root/a%20b?x=1&x=2"
    assert request.host == "example.com"
    assert request.headers["X-Name"] == "one"
    assert request.cookies["b"] == "2"
    assert request.remote_addr == "1.2.3.4"
    assert request.script_root == "/root"
    assert request.http_version == "1.1"
    assert request.endpoint is request.blueprint is request.disconnect is None


@pytest.mark.parametrize(("version", "host"), [("1.0", ""), ("1.1", None), ("2", None)])
def test_http_1_0_without_a_host_has_an_empty_one(version: str, host: str | None) -> None:
    request = Request("GET", "http", "/", b"", {}, "", version, {"server": ("10.0.0.1", 80)})
    assert request.headers.get("host") == host
    assert request.host == "10.0.0.1"


def test_a_query_of_raw_bytes_is_quoted() -> None:
    assert make_request(target="/?a=\xff").args["a"] == "%FF"


async def test_the_body_is_read_whole_and_kept() -> None:
    request = make_request(b"ab", b"cd")
    assert await request.get_data() == b"abcd"
    assert await request.get_data(as_text=True) == "abcd"
    assert await request.body == b"abcd"


async def test_an_uncached_body_is_gone() -> None:
    request = make_request(b"ab")
    assert await request.get_data(cache=False) == b"ab"
    assert await request.get_data() == b""


async def test_the_body_is_streamed() -> None:
    assert [piece async for piece in make_request(b"ab", b"cd").body] == [b"ab", b"cd"]


async def test_a_cancelled_read_loses_nothing() -> None:
    request = make_request(b"ab", b"cd")
    with trio.CancelScope() as scope:
        scope.cancel()
        await request.get_data()
    assert await request.get_data() == b"abcd"


async def test_tasks_may_read_at_once() -> None:
    request = make_request(b"ab", b"cd", b"ef")
    read: list[bytes] = []

    async def reader() -> None:
        read.append(await request.get_data())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(reader)
    assert read == [b"abcdef"] * 3


async def test_a_content_length_beyond_the_limit_is_refused_at_once() -> None:
    request = make_request(b"abc", length=11)
    request.max_content_length = 10
    with pytest.raises(RequestEntityTooLarge):
        await request.get_data()
    assert request.connection.pieces == [b"abc"]  # type: ignore[attr-defined]


async def test_a_body_beyond_the_limit_is_refused_while_streaming() -> None:
    request = make_request(b"abcdef", b"ghijkl", b"mnopqr")
    request.max_content_length = 10
    with pytest.raises(RequestEntityTooLarge):
        await request.get_data()
    assert request.connection.pieces == [b"mnopqr"]  # type: ignore[attr-defined]


async def test_the_limit_of_a_body_may_be_set_after_the_body_was_looked_at() -> None:
    request = make_request(b"abcdef", b"ghijkl")
    body = request.body
    request.max_content_length = 10
    with pytest.raises(RequestEntityTooLarge):
        await body


async def test_json_is_parsed_and_kept() -> None:
    request = make_request(b'{"a": [1]}', content_type="application/json")
    assert await request.get_json() == {"a": [1]}
    assert await request.json is await request.get_json()


@pytest.mark.parametrize("body", [b"{", b"\xff", b"", b"[" * 100_000])
async def test_bad_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        await make_request(body, content_type="application/json").get_json()
    assert await make_request(body, content_type="application/json").get_json(silent=True) is None


async def test_json_of_another_type_is_read_by_force_only() -> None:
    assert await make_request(b"1").get_json() is None
    assert await make_request(b"1").get_json(force=True) == 1


async def test_text_that_is_not_utf8_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        await make_request(b"\xff").get_data(as_text=True)


@pytest.mark.parametrize("value", [b"Basic \xff\xff", b"Basic !", b"Basic /w==", b"Basic", b"Digest =", b"\xff"])
def test_credentials_that_cannot_be_read_are_none(value: bytes) -> None:
    request = make_request()
    request.head.headers.append((b"authorization", value))
    assert request.authorization is None or not request.authorization.username


def test_the_nursery_exists_only_while_the_handler_runs() -> None:
    with pytest.raises(RuntimeError, match="nursery"):
        _ = make_request().nursery


def host_request(host: bytes | None, scheme: str = "http", server: tuple[str, int | None] | None = None) -> Request:
    headers = [] if host is None else [(b"host", host)]
    head = Head("GET", b"/a%20b", b"q=1", headers, "1.1", scheme, root_path="/root", server=server)
    return Request(PiecewiseConnection(head, []))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"Example.com", "Example.com"),
        (b"example.com:80", "example.com"),
        (b"example.com:443", "example.com:443"),
        (b"example.com:", "example.com"),
        (b"[::1]:8000", "[::1]:8000"),
        (b"my_app:8000", "my_app:8000"),
    ],
)
def test_the_host_is_the_clients_without_a_port_that_goes_without_saying(host: bytes, expected: str) -> None:
    assert host_request(host).host == expected
    assert host_request(host, "ws").host_url == f"ws://{expected.lower()}/"


@pytest.mark.parametrize("host", [b"example.com:0", b"example.com:080", b"~x", b".", b"a..b", b"\xe4", b"a@b"])
def test_what_is_no_host_is_bad_input(host: bytes) -> None:
    with pytest.raises(BadRequest):
        _ = host_request(host, server=("127.0.0.1", 8000)).host


@pytest.mark.parametrize("host", [None, b""])
def test_without_a_host_the_address_of_the_server_stands_for_it(host: bytes | None) -> None:
    assert host_request(host, server=("127.0.0.1", 8000)).host == "127.0.0.1:8000"
    assert host_request(host, server=("::1", 80)).host == "[::1]"
    assert host_request(host, server=("/run/app.sock", None)).host == ""


@pytest.mark.parametrize("host", ["xn--strae-oqa.example", "xn--a", "xn--9999999999", "xn--a-.example:81", "a.xn--"])
def test_a_name_that_punycode_makes_nothing_of_stays_as_it_is_in_urls(host: str) -> None:
    request = host_request(host.encode())
    assert request.host == host
    assert request.url == f"http://{host}/root/a%20b?q=1"
    assert request.base_url == f"http://{host}/root/a%20b"
    assert (request.root_url, request.host_url) == (f"http://{host}/root/", f"http://{host}/")


def test_a_name_in_punycode_is_shown_as_it_is_meant_in_urls() -> None:
    assert host_request(b"xn--n3h.example").host_url == "http://\N{SNOWMAN}.example/"
