"""The response of server-sent events: what it sends, when it sends comments, and how it ends."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import EventSourceResponse, ServerSentEvent, Triows, request

from ..support.asgi import ASGIServer
from ..support.http import get
from ..support.served import served

Source = Callable[[], AsyncIterator[Any]]


def serve(app: Triows, source: Source, **options: Any) -> None:
    @app.get("/events")
    async def events() -> EventSourceResponse:
        return EventSourceResponse(source(), **options)


async def two() -> AsyncIterator[Any]:
    yield "one"
    yield ServerSentEvent({"n": 2}, id="2")


async def quiet() -> AsyncIterator[str]:
    await trio.sleep(40)
    yield "at last"


async def test_it_is_sent_as_an_event_stream_that_nobody_keeps_back(app: Triows) -> None:
    serve(app, two)
    response = await app.test_client().get("/events")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in response.headers
    assert await response.get_data() == b':\n\ndata: one\n\ndata: {"n": 2}\nid: 2\n\n'


async def test_its_headers_may_be_others(app: Triows) -> None:
    serve(app, two, headers={"Cache-Control": "no-store"}, status=201)
    response = await app.test_client().get("/events")
    assert (response.status_code, response.headers["Cache-Control"]) == (201, "no-store")


async def test_a_test_receives_one_event_after_the_other(app: Triows) -> None:
    serve(app, two)
    async with app.test_client().request("/events") as connection:
        await connection.send_complete()
        assert await connection.receive_event() == ServerSentEvent("one")
        assert await connection.receive_event() == ServerSentEvent('{"n": 2}', id="2")
        assert await connection.receive_event() is None
    async with app.test_client().request("/events") as connection:
        await connection.send_complete()
        assert [event.id async for event in connection.events()] == [None, "2"]


async def test_the_apps_json_encodes_the_data(app: Triows) -> None:
    app.json.sort_keys = False

    async def source() -> AsyncIterator[dict[str, int]]:
        yield {"b": 1, "a": 2}

    serve(app, source)
    assert b'data: {"b": 1, "a": 2}\n' in await (await app.test_client().get("/events")).get_data()


async def test_a_memory_channel_is_a_source(app: Triows) -> None:
    sending, receiving = trio.open_memory_channel[str](1)

    @app.get("/events")
    async def events() -> EventSourceResponse:
        return EventSourceResponse(receiving)

    await sending.send("one")
    async with app.test_client().request("/events") as connection:
        await connection.send_complete()
        assert await connection.receive_event() == ServerSentEvent("one")
        await connection.disconnect()
    with pytest.raises(trio.BrokenResourceError):  # closed with the response
        sending.send_nowait("two")


async def test_a_comment_is_sent_when_nothing_was_for_keepalive_seconds(app: Triows, autojump_clock: MockClock) -> None:
    serve(app, quiet)
    times = []
    async with app.test_client().request("/events") as connection:
        await connection.send_complete()
        while piece := await connection.receive():
            times.append((trio.current_time(), piece))
    assert times == [(0, b":\n\n"), (15, b":\n\n"), (30, b":\n\n"), (40, b"data: at last\n\n")]


async def test_an_event_puts_the_comment_off(app: Triows, autojump_clock: MockClock) -> None:
    async def source() -> AsyncIterator[str]:
        for _ in range(3):
            await trio.sleep(9)
            yield "tick"

    serve(app, source, keepalive=10)
    assert await (await app.test_client().get("/events")).get_data() == b":\n\n" + 3 * b"data: tick\n\n"


async def test_without_keepalive_there_are_no_comments(app: Triows, autojump_clock: MockClock) -> None:
    serve(app, quiet, keepalive=None)
    assert await (await app.test_client().get("/events")).get_data() == b":\n\ndata: at last\n\n"


async def test_the_source_is_cancelled_when_the_client_leaves(app: Triows) -> None:
    seen = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "one"
            await trio.sleep_forever()
        except trio.Cancelled:
            assert request.disconnect is not None
            seen.append(request.disconnect.kind)
            raise
        finally:
            seen.append("closed")

    serve(app, source)
    async with app.test_client().request("/events") as connection:
        await connection.send_complete()
        await connection.receive_event()
        await connection.disconnect()
    assert seen == ["lost", "closed"]


async def test_a_source_that_fails_is_an_error_of_the_handler(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    async def source() -> AsyncIterator[str]:
        yield "one"
        raise KeyError("fault")

    serve(app, source)
    with pytest.raises(KeyError, match="fault"):
        await app.test_client().get("/events")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_the_answer_to_head_takes_nothing_from_the_source(app: Triows) -> None:
    async def source() -> AsyncIterator[str]:
        raise AssertionError("asked for an event")
        yield

    serve(app, source)
    response = await app.test_client().head("/events")
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")


# The server's end


async def test_a_shutdown_cancels_the_source_and_ends_the_response_in_order(
    app: Triows, autojump_clock: MockClock
) -> None:
    seen = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "one"
            await trio.sleep_forever()
        finally:
            seen.append((trio.current_time(), request.disconnect))

    serve(app, source)
    async with served(app) as server:
        wire = server.connect()
        await wire.send(get("/events"))
        await wait_all_tasks_blocked()
        server.server.shutdown()
        assert (await wire.read_response()).body == b":\n\ndata: one\n\n"
    assert seen == [(0, None)]


async def test_a_stream_that_begins_during_the_shutdown_ends_at_once(app: Triows, autojump_clock: MockClock) -> None:
    begun, going_on = trio.Event(), trio.Event()

    @app.get("/events")
    async def events() -> EventSourceResponse:
        begun.set()
        await going_on.wait()
        return EventSourceResponse(quiet())

    async with served(app) as server:
        wire = server.connect()
        await wire.send(get("/events"))
        await begun.wait()
        server.server.shutdown()
        await wait_all_tasks_blocked()
        going_on.set()
        assert (await wire.read_response()).status == 200
        assert trio.current_time() == 0


async def test_under_an_asgi_server_the_head_goes_out_with_the_first_comment(app: Triows) -> None:
    serve(app, quiet, keepalive=None)
    scope = {
        "method": "GET",
        "path": "/events",
        "headers": [(b"host", b"x")],
        "query_string": b"",
        "http_version": "1.1",
    }
    async with trio.open_nursery() as nursery:
        server = ASGIServer(app, "http", scheme="http", **scope)
        nursery.start_soon(server.run)
        server.put("http.request", body=b"", more_body=False)
        assert (await server.next())["type"] == "http.response.start"
        assert await server.next() == {"type": "http.response.body", "body": b":\n\n", "more_body": True}
        server.put("http.disconnect")
        await server.ended.wait()
    assert server.sent == []


# Bad input


async def messages() -> AsyncIterator[str]:
    yield ""


async def no_generator() -> str:
    return ""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            ["a"],
            "EventSourceResponse() got list ['a']; it takes an async iterator of events, such as an async generator",
        ),
        (
            messages,
            "EventSourceResponse() got the function messages() (",
        ),
    ],
)
def test_what_is_no_source(source: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        EventSourceResponse(source)


def test_a_forgotten_await_is_named() -> None:
    with pytest.raises(TypeError, match=r"^EventSourceResponse\(\) got a coroutine: .*no_generator\(\)"):
        EventSourceResponse(no_generator())  # type: ignore[arg-type]


@pytest.mark.parametrize("keepalive", [0, -1, float("nan")])
def test_what_is_no_keepalive(keepalive: float) -> None:
    with pytest.raises(
        ValueError, match=r"^keepalive is .*; it must be more than 0 seconds, or None to switch it off$"
    ):
        EventSourceResponse(messages(), keepalive=keepalive)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "an event stream got int 5; it takes ServerSentEvent, str, dict or list"),
        (b"x", "an event stream got bytes b'x'; it takes ServerSentEvent, str, dict or list"),
        (None, "an event stream got NoneType None; it takes ServerSentEvent, str, dict or list"),
    ],
)
async def test_what_is_no_event(app: Triows, value: Any, message: str) -> None:
    async def source() -> AsyncIterator[Any]:
        yield value

    serve(app, source)
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        await app.test_client().get("/events")


async def test_a_generator_of_events_without_the_response_says_what_is_missing(app: Triows) -> None:
    @app.get("/events")
    async def events() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent("one")

    message = "^a response body holds a ServerSentEvent; give the generator to EventSourceResponse\\(\\)$"
    with pytest.raises(TypeError, match=message):
        await app.test_client().get("/events")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Last-Event-ID": "5"}, "5"),
        ({"Last-Event-ID": "n\xc3\xa9e"}, "n\xe9e"),
        ({"Last-Event-ID": ""}, ""),
    ],
)
async def test_the_last_event_id_is_the_requests(app: Triows, headers: dict[str, str], expected: str | None) -> None:
    @app.get("/")
    async def index() -> dict[str, str | None]:
        return {"id": request.last_event_id}

    assert await (await app.test_client().get("/", headers=headers)).get_json() == {"id": expected}
