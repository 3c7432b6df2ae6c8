"""Requests of an ASGI server: what is made of its events, and which events it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Disconnect, Triows, request

from ..support.asgi import gone, http


async def test_a_response_is_a_start_and_a_body(app: Triows) -> None:
    app.get("/", endpoint="view")(lambda: ("hello", 202, {"X-A": "1"}))
    async with http(app) as server:
        server.put("http.request")
        start, body = await server.rest()
    assert (start["type"], start["status"]) == ("http.response.start", 202)
    assert sorted(start["headers"]) == [
        (b"content-length", b"5"),
        (b"content-type", b"text/html; charset=utf-8"),
        (b"x-a", b"1"),
    ]
    assert body == {"type": "http.response.body", "body": b"hello", "more_body": False}


async def test_header_names_are_lower_case_bytes_and_values_utf_8(app: Triows) -> None:
    app.get("/", endpoint="view")(lambda: ("", {"X-UPPER": "Ü"}))
    async with http(app) as server:
        server.put("http.request")
        start, _ = await server.rest()
    assert (b"x-upper", b"\xc3\x9c") in start["headers"]


async def test_a_body_is_read_from_its_events(app: Triows) -> None:
    @app.post("/")
    async def view() -> bytes:
        return await request.get_data()

    async with http(app, method="POST") as server:
        server.put("http.request", body=b"ab", more_body=True)
        server.put("http.request", body=b"", more_body=True)
        server.put("http.request", body=b"cd", more_body=False)
        assert (await server.rest())[1]["body"] == b"abcd"


async def test_a_body_that_is_not_read_is_not_fetched_whole(app: Triows) -> None:
    may_read = trio.Event()

    @app.post("/")
    async def view() -> str:
        await may_read.wait()
        return str(len(await request.get_data()))

    async with http(app, method="POST") as server:
        for _ in range(100):
            server.put("http.request", body=bytes(10_000), more_body=True)
        server.put("http.request", body=b"")
        await wait_all_tasks_blocked()
        assert server.taken < 10
        may_read.set()
        assert (await server.rest())[1]["body"] == b"1000000"


async def test_a_body_beyond_the_limit_is_413(app: Triows) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 3

    @app.post("/")
    async def view() -> bytes:
        return await request.get_data()

    async with http(app, method="POST") as server:
        server.put("http.request", body=b"1234", more_body=True)
        assert (await server.rest())[0]["status"] == 413


async def test_a_stream_is_sent_piece_by_piece(app: Triows) -> None:
    go_on = trio.Event()

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield "a"
        await go_on.wait()
        yield "b"

    async with http(app) as server:
        server.put("http.request")
        assert (await server.next())["type"] == "http.response.start"
        assert await server.next() == {"type": "http.response.body", "body": b"a", "more_body": True}
        go_on.set()
        assert [(one["body"], one["more_body"]) for one in await server.rest()] == [(b"b", True), (b"", False)]


async def test_a_stream_waits_for_the_server(app: Triows, seen: list[Any]) -> None:
    @app.get("/")
    async def view() -> AsyncIterator[str]:
        for number in range(100):
            seen.append(number)
            yield str(number)

    async with http(app) as server:
        server.put("http.request")
        await server.next()
        server.room = 0
        await wait_all_tasks_blocked()
        assert len(seen) < 5
        server.resume()
        assert len(await server.rest()) >= 98


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_head_request_is_answered_without_a_body(app: Triows, streamed: bool) -> None:
    @app.get("/")
    async def view() -> Any:
        async def pieces() -> AsyncIterator[str]:
            yield "hello"

        return pieces() if streamed else "hello"

    async with http(app, method="HEAD") as server:
        server.put("http.request")
        start, body = await server.rest()
    assert ((b"content-length", b"5") in start["headers"]) is not streamed
    assert body == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_content_has_no_length(app: Triows, status: int) -> None:
    app.get("/", endpoint="view")(lambda: ("", status))
    async with http(app) as server:
        server.put("http.request")
        start, body = await server.rest()
    assert b"content-length" not in dict(start["headers"])
    assert body["body"] == b""


async def test_an_error_is_a_500_that_tells_nothing(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def view() -> str:
        raise ValueError("secret")

    async with http(app) as server:
        server.put("http.request")
        start, body = await server.rest()
    assert start["status"] == 500
    assert b"secret" not in body["body"]
    assert len(caplog.records) == 1


async def test_an_error_in_a_stream_is_not_ended_in_order(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield "a"
        raise ValueError("secret")

    with pytest.raises(RuntimeError, match="broke off"):
        async with http(app) as server:
            server.put("http.request")
            sent = await server.rest()
            assert [event.get("more_body") for event in sent] == [None, True]


async def test_a_client_that_goes_away_cancels_the_handler(app: Triows, seen: list[Any]) -> None:
    @app.get("/")
    async def view() -> str:
        try:
            await trio.sleep_forever()
        finally:
            seen.append(request.disconnect)
        return ""

    async with http(app) as server:
        server.put("http.request")
        await wait_all_tasks_blocked()
        server.put("http.disconnect")
        assert await server.rest() == []
    assert seen == [Disconnect(1006, "", "lost")]


async def test_a_client_that_goes_away_cancels_an_upload(app: Triows, seen: list[Any]) -> None:
    @app.post("/")
    async def view() -> str:
        seen.append(await request.get_data())
        return ""

    async with http(app, method="POST") as server:
        server.put("http.request", body=b"half", more_body=True)
        await wait_all_tasks_blocked()
        server.put("http.disconnect")
        assert await server.rest() == []
    assert seen == []


@pytest.mark.parametrize(("seconds", "end"), [(4, None), (6, Disconnect(1006, "", "lost"))])
async def test_what_follows_a_whole_response_has_its_time_when_the_client_has_left(
    app: Triows, seen: list[Any], autojump_clock: MockClock, seconds: float, end: Disconnect | None
) -> None:
    @app.get("/")
    async def view() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"all of it"
                await trio.sleep(seconds)
            finally:
                seen.append((trio.current_time() - began, request.disconnect))

        return pieces(), {"Content-Length": "9"}

    async with http(app) as server:
        server.put("http.request")
        await wait_all_tasks_blocked()
        began = trio.current_time()
        server.put("http.disconnect")
        await server.rest()
    assert seen == [(min(seconds, 5), end)]


async def test_a_client_that_goes_away_closes_a_stream(app: Triows, seen: list[Any]) -> None:
    @app.get("/")
    async def view() -> AsyncIterator[str]:
        try:
            yield "a"
            await trio.sleep_forever()
        finally:
            seen.append("closed")

    async with http(app) as server:
        server.put("http.request")
        await wait_all_tasks_blocked()
        server.put("http.disconnect")
        await server.rest()
    assert seen == ["closed"]


@gone
async def test_a_server_that_takes_nothing_any_more_cancels_the_handler(
    app: Triows, seen: list[Any], error: Exception
) -> None:
    @app.get("/")
    async def view() -> AsyncIterator[str]:
        try:
            while True:
                yield "piece"
                await trio.lowlevel.checkpoint()
        finally:
            seen.append(request.disconnect)

    async with http(app) as server:
        server.put("http.request")
        await server.next()
        server.gone = error
    assert seen == [Disconnect(1006, "", "lost")]


async def test_a_disconnect_after_the_response_cancels_nothing(app: Triows, seen: list[Any]) -> None:
    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await wait_all_tasks_blocked()
        seen.append(request.disconnect)

    app.get("/", endpoint="view")(lambda: "hello")
    async with http(app) as server:
        server.put("http.request")
        await server.next()
        await server.next()
        server.put("http.disconnect")
    assert seen == [None]


async def test_a_server_that_cancels_the_app_cancels_the_handler(app: Triows, seen: list[Any]) -> None:
    @app.get("/")
    async def view() -> str:
        try:
            await trio.sleep_forever()
        finally:
            seen.append("cancelled")
        return ""

    async with http(app) as server:
        server.put("http.request")
        await wait_all_tasks_blocked()
        server.cancel_scope.cancel()
    assert seen == ["cancelled"]
