"""Requests that are made of a method, a path and headers, in Quart's order, without a client."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from triows import Request
from triows.web.clientless import FedBody
from triows.web.request import RequestBase


def _request(method: str = "POST", headers: Any = (), **options: Any) -> Request:
    return Request(method, "http", "/", b"", Headers(headers), "", "1.1", {}, **options)


def test_a_request_is_made_of_its_parts() -> None:
    scope = {"client": ("1.2.3.4", 5), "server": ("example.com", 80), "own": 1}
    fields = [("Host", "example.com"), ("X-Name", "é")]
    request = Request("GET", "https", "/a b", b"x=1", fields, "/root", "2", scope)
    assert (request.method, request.path, request.root_path, request.http_version) == ("GET", "/a b", "/root", "2")
    assert request.url == "https://example.com/root/a%20b?x=1"
    assert request.headers["X-Name"] == "é"
    assert request.remote_addr == "1.2.3.4"
    assert request.scope == scope
    assert request.endpoint is request.disconnect is None


def test_parts_may_be_given_by_name() -> None:
    request = RequestBase(
        method="GET",
        scheme="http",
        path="/",
        query_string=b"a=b&a=c&f",
        headers={"Authorization": "Basic aWRlbnRpdHk6c2VjcmV0"},
        root_path="",
        http_version="1.1",
        scope={},
    )
    assert (request.args.getlist("a"), request.args["f"]) == (["b", "c"], "")
    assert request.authorization is not None
    assert (request.authorization.username, request.authorization.password) == ("identity", "secret")


def test_a_part_that_is_missing_is_named() -> None:
    with pytest.raises(TypeError, match=r"missing .* 'http_version' and 'scope'"):
        Request("GET", "http", "/", b"", Headers(), "")  # type: ignore[call-overload]


def test_headers_that_no_client_could_send_are_refused() -> None:
    with pytest.raises(ValueError, match="newline"):
        Request("GET", "http", "/", b"", {"X-Name": "a\nb"}, "", "1.1", {})


def test_the_headers_may_be_changed() -> None:
    request = _request()
    request.headers["Cookie"] = "a=1"
    assert request.cookies["a"] == "1"


async def test_a_body_is_fed() -> None:
    request = _request(headers=[("Content-Type", "application/x-www-form-urlencoded")])
    request.body.append(b"a=")  # type: ignore[attr-defined]
    request.body.set_result(b"d")  # type: ignore[attr-defined]
    assert (await request.form)["a"] == "d"
    assert await request.get_data() == b"a=d"


async def test_a_reader_waits_for_the_pieces_of_a_body() -> None:
    body = FedBody(None, None)
    pieces: list[bytes] = []

    async def read() -> None:
        async for piece in body:
            pieces.append(piece)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for piece in (b"1", b"2"):
            body.append(piece)
            await trio.testing.wait_all_tasks_blocked()
        body.set_complete()
    assert pieces == [b"1", b"2"]
    assert await body == b""


async def test_a_cancelled_reader_of_a_fed_body_loses_nothing() -> None:
    body = FedBody(None, None)
    body.append(b"1")
    with trio.CancelScope() as scope:
        scope.cancel()
        await body
    body.set_result(b"2")
    assert await body == b"12"


async def test_a_fed_body_over_its_limit_is_too_large() -> None:
    body = FedBody(None, 5)
    body.append(b"123456")
    with pytest.raises(RequestEntityTooLarge):
        await body
    request = _request(headers=[("Content-Length", "6")], max_content_length=5)
    assert request.max_content_length == 5
    with pytest.raises(RequestEntityTooLarge):
        await request.get_data()


async def test_a_fed_body_has_its_time_as_a_whole(autojump_clock: MockClock) -> None:
    request = _request(body_timeout=1)

    async def feed() -> None:
        await trio.sleep(0.6)
        request.body.append(b"1")  # type: ignore[attr-defined]
        await trio.sleep(0.6)
        request.body.append(b"2")  # type: ignore[attr-defined]

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        with pytest.raises(RequestTimeout):
            await request.get_data()
    assert trio.current_time() - start == pytest.approx(1.2)


async def test_a_promise_is_given_to_the_function_of_the_request() -> None:
    promises: list[tuple[str, Headers]] = []

    async def push(path: str, headers: Headers) -> None:
        promises.append((path, headers))

    fields = [("Host", "example.com"), ("Accept", "*/*"), ("User-Agent", "me"), ("Content-Type", "text/plain")]
    await _request(headers=fields, send_push_promise=push).send_push_promise("/style.css")
    assert promises == [("/style.css", Headers([("Accept", "*/*"), ("User-Agent", "me")]))]
    await _request(headers=fields).send_push_promise("/style.css")
    assert len(promises) == 1
