"""The ASGI adapter, driven by hand: what it makes of a server's events, and which events it sends.

A real server under it is tested in tests/behaviour (hypercorn).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Disconnect, Triows, abort, current_app, request, websocket

Event = dict[str, Any]

# How a server says that the client is gone: as ASGI has it, or as hypercorn lets through what Trio says of a stream
# that another task is just closing.
gone = pytest.mark.parametrize("error", [OSError("the client is gone"), trio.BusyResourceError("closing")])


class ASGIServer:
    """The server's side of one scope.

    :ivar sent: the events that the app has sent, beyond those that were taken with :meth:`next`.
    :ivar taken: how many events the app has received.
    :ivar room: how many more events the server takes.
    :ivar gone: the error with which sending fails, or None.
    """

    def __init__(self, app: Triows, kind: str, **scope: Any) -> None:
        self.app = app
        self.scope: dict[str, Any] = {"type": kind, "asgi": {"version": "3.0"}, **scope}
        self.sent: list[Event] = []
        self.taken = 0
        self.ended = trio.Event()
        self.error: BaseException | None = None
        self.cancel_scope = trio.CancelScope()
        self.room = inf
        self.gone: Exception | None = None
        self._changed = trio.lowlevel.ParkingLot()
        self._incoming_in, self._incoming_out = trio.open_memory_channel[Event](inf)

    async def run(self) -> None:
        try:
            with self.cancel_scope:
                await self.app(self.scope, self._receive, self._send)
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()
            self._changed.unpark_all()

    async def _receive(self) -> Event:
        event = await self._incoming_out.receive()
        self.taken += 1
        return event

    async def _send(self, event: Event) -> None:
        await trio.lowlevel.checkpoint()
        while self.room < 1:
            await self._changed.park()
        if self.gone is not None:
            raise self.gone
        self.room -= 1
        self.sent.append(event)
        self._changed.unpark_all()

    def put(self, kind: str, **event: Any) -> None:
        """Have an event received."""
        self._incoming_in.send_nowait({"type": kind, **event})

    async def next(self) -> Event:
        """Wait for an event and take it."""
        while not self.sent:
            assert not self.ended.is_set(), f"the app has returned ({self.error!r})"
            await self._changed.park()
        return self.sent.pop(0)

    async def rest(self) -> list[Event]:
        """Wait for the app to return, and take all events."""
        await self.ended.wait()
        sent, self.sent = self.sent, []
        return sent

    def resume(self, room: float = inf) -> None:
        self.room = room
        self._changed.unpark_all()


@asynccontextmanager
async def serving(app: Triows, kind: str, **scope: Any) -> AsyncIterator[ASGIServer]:
    """Run the app for one scope; it must have returned by itself, without an error, when the block is over."""
    server = ASGIServer(app, kind, **scope)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        with trio.fail_after(3600):
            yield server
            await server.ended.wait()
    if server.error is not None:
        raise server.error


def http(app: Triows, path: str = "/", method: str = "GET", **scope: Any) -> Any:
    defaults = {
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.com")],
        "client": ("1.2.3.4", 5678),
        "server": ("5.6.7.8", 80),
    }
    return serving(app, "http", **{**defaults, **scope})


def ws(app: Triows, path: str = "/", **scope: Any) -> Any:
    defaults = {
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.com")],
        "client": ("1.2.3.4", 5678),
        "server": ("5.6.7.8", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    return serving(app, "websocket", **{**defaults, **scope})


@asynccontextmanager
async def accepted(app: Triows, **scope: Any) -> AsyncIterator[ASGIServer]:
    """A websocket whose handshake has been accepted."""
    async with ws(app, **scope) as server:
        server.put("websocket.connect")
        assert (await server.next())["type"] == "websocket.accept"
        yield server


@pytest.fixture
def app() -> Triows:
    return Triows("tested")


@pytest.fixture
def seen() -> list[Any]:
    return []


def echo(app: Triows, **limits: Any) -> None:
    @app.websocket("/", **limits)
    async def handler() -> None:
        async for message in websocket:
            await websocket.send(message)


def receiving(app: Triows, seen: list[Any], **limits: Any) -> None:
    """A handler that notes what it receives, and how it ends."""

    @app.websocket("/", **limits)
    async def handler() -> None:
        try:
            async for message in websocket:
                seen.append(message)
        finally:
            seen.append(websocket.disconnect)


# HTTP


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


async def test_header_names_are_lower_case_bytes(app: Triows) -> None:
    app.get("/", endpoint="view")(lambda: ("", {"X-UPPER": "Ü"}))
    async with http(app) as server:
        server.put("http.request")
        start, _ = await server.rest()
    assert (b"x-upper", b"\xdc") in start["headers"]


async def test_the_head_is_taken_from_the_scope(app: Triows, seen: list[Any]) -> None:
    @app.put("/<name>")
    async def view(name: str) -> str:
        seen.extend([name, request.method, request.url, request.remote_addr, request.http_version])
        seen.extend([request.headers["x-a"], request.server, request.scope])
        return ""

    scope = {
        "scheme": "https",
        "query_string": b"q=%20",
        "http_version": "2",
        "headers": [(b"host", b"example.com"), (b"X-A", b"\xe4")],
    }
    async with http(app, "/a%20b", "PUT", **scope) as server:
        server.put("http.request")
        await server.rest()
    assert seen[:5] == ["a b", "PUT", "https://example.com/a%20b?q=%20", "1.2.3.4", "2"]
    assert seen[5:7] == ["ä", ("5.6.7.8", 80)]
    assert seen[7]["scheme"] == "https"


async def test_the_smallest_scope_that_asgi_allows_is_served(app: Triows, seen: list[Any]) -> None:
    @app.get("/ä b")
    async def view() -> str:
        seen.extend([request.path, request.remote_addr, request.scheme, request.root_path])
        return ""

    scope = {"http_version": "1.1", "method": "GET", "path": "/ä b", "query_string": b"", "headers": []}
    async with serving(app, "http", **scope) as server:
        server.put("http.request")
        start, _ = await server.rest()
    assert start["status"] == 200
    assert seen == ["/ä b", None, "http", ""]


async def test_a_percent_sign_of_the_decoded_path_stays_one(app: Triows, seen: list[Any]) -> None:
    app.get("/<name>", endpoint="view")(lambda name: seen.append(name) or "")
    async with http(app, "/100%", raw_path=None) as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["100%"]


async def test_a_raw_path_with_a_query_is_cut(app: Triows, seen: list[Any]) -> None:
    app.get("/<name>", endpoint="view")(lambda name: seen.append(name) or "")
    async with http(app, "/a", raw_path=b"/a?b=c") as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["a"]


@pytest.mark.parametrize("prefixed", [True, False])
async def test_a_root_path_is_taken_off_the_path(app: Triows, seen: list[Any], prefixed: bool) -> None:
    @app.get("/page")
    async def page() -> str:
        seen.extend([request.path, request.root_path, request.url, current_app.url_for("page")])
        return ""

    path = "/mounted/page" if prefixed else "/page"  # servers differ; the ASGI specification wants it in the path
    async with http(app, path, root_path="/mounted") as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["/page", "/mounted", "http://example.com/mounted/page", "/mounted/page"]


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


# Websockets


async def test_a_websocket_is_accepted_with_headers_and_subprotocol(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        assert websocket.subprotocols == ["v1", "v2"]
        await websocket.accept(headers={"X-A": "1"}, subprotocol="v2")

    async with ws(app, subprotocols=["v1", "v2"]) as server:
        server.put("websocket.connect")
        accept, close = await server.next(), await server.next()
        server.put("websocket.disconnect", code=1000)
    assert accept == {"type": "websocket.accept", "headers": [(b"x-a", b"1")], "subprotocol": "v2"}
    assert close == {"type": "websocket.close", "code": 1000, "reason": ""}


async def test_a_subprotocol_header_is_not_counted_twice(app: Triows, seen: list[Any]) -> None:
    @app.websocket("/")
    async def handler() -> None:
        seen.append(websocket.subprotocols)

    headers = [(b"host", b"example.com"), (b"sec-websocket-protocol", b"v1, v2")]
    async with ws(app, subprotocols=["v1", "v2"], headers=headers) as server:
        server.put("websocket.connect")
        await server.rest()
    assert seen == [["v1", "v2"]]


async def test_messages_go_both_ways(app: Triows) -> None:
    echo(app)
    async with accepted(app) as server:
        server.put("websocket.receive", text="a")
        server.put("websocket.receive", bytes=b"b")
        assert await server.next() == {"type": "websocket.send", "text": "a"}
        assert await server.next() == {"type": "websocket.send", "bytes": b"b"}
        server.put("websocket.disconnect", code=1000)


async def test_empty_messages_are_messages(app: Triows) -> None:
    echo(app)
    async with accepted(app) as server:
        server.put("websocket.receive", text="", bytes=None)
        server.put("websocket.receive", text=None, bytes=b"")
        assert await server.next() == {"type": "websocket.send", "text": ""}
        assert await server.next() == {"type": "websocket.send", "bytes": b""}
        server.put("websocket.disconnect", code=1000)


async def test_close_is_sent_with_code_and_reason(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4001, "bye")

    async with accepted(app) as server:
        assert await server.next() == {"type": "websocket.close", "code": 4001, "reason": "bye"}
        server.put("websocket.disconnect", code=4001)


async def test_close_does_not_wait_for_a_client_that_never_answers(app: Triows, autojump_clock: MockClock) -> None:
    @app.websocket("/", close_timeout=5)
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4001)

    start = trio.current_time()
    async with accepted(app) as server:
        await server.next()
    assert trio.current_time() - start <= 5.1


async def test_an_error_closes_with_1011(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        raise ValueError("secret")

    async with accepted(app) as server:
        assert await server.next() == {"type": "websocket.close", "code": 1011, "reason": ""}
        server.put("websocket.disconnect", code=1011)
    assert len(caplog.records) == 1


async def test_a_denial_is_sent_where_the_server_can(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> Any:
        return "Who are you?", 401, {"X-A": "1"}

    async with ws(app) as server:
        server.put("websocket.connect")
        start, body = await server.rest()
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert {(b"x-a", b"1"), (b"content-length", b"12")} <= set(start["headers"])
    assert body == {"type": "websocket.http.response.body", "body": b"Who are you?", "more_body": False}


@pytest.mark.parametrize("status", [204, 304])
async def test_a_denial_that_has_no_content_tells_no_length_of_it(app: Triows, status: int) -> None:
    @app.websocket("/")
    async def handler() -> Any:
        return "", status

    async with ws(app) as server:
        server.put("websocket.connect")
        start, _ = await server.rest()
    assert [name for name, _ in start["headers"]] == [b"content-type"]


@pytest.mark.parametrize("extensions", [{}, None])
async def test_elsewhere_a_denial_is_a_close(app: Triows, extensions: Any) -> None:
    @app.websocket("/")
    async def handler() -> None:
        abort(401)

    async with ws(app, extensions=extensions) as server:
        server.put("websocket.connect")
        assert [event["type"] for event in await server.rest()] == ["websocket.close"]


async def test_an_unknown_path_is_denied(app: Triows) -> None:
    async with ws(app, "/nowhere") as server:
        server.put("websocket.connect")
        assert (await server.rest())[0]["status"] == 404


async def test_a_foreign_origin_is_denied(app: Triows) -> None:
    echo(app)
    async with ws(app, headers=[(b"host", b"example.com"), (b"origin", b"http://evil.example")]) as server:
        server.put("websocket.connect")
        assert (await server.rest())[0]["status"] == 403


async def test_a_websocket_over_http2_is_routed_though_its_method_is_connect(app: Triows) -> None:
    echo(app)
    async with accepted(app, method="CONNECT", http_version="2", scheme="wss") as server:
        server.put("websocket.receive", text="a")
        assert (await server.next())["text"] == "a"
        server.put("websocket.disconnect", code=1000)


async def test_a_root_path_is_taken_off_a_websockets_path(app: Triows, seen: list[Any]) -> None:
    @app.websocket("/room")
    async def room() -> None:
        seen.append(websocket.path)

    async with ws(app, "/mounted/room", root_path="/mounted") as server:
        server.put("websocket.connect")
        await server.rest()
    assert seen == ["/room"]


@pytest.mark.parametrize(
    ("event", "disconnect"),
    [
        ({"code": 1000}, Disconnect(1000, "", "closed")),
        ({"code": 4001, "reason": "bye"}, Disconnect(4001, "bye", "closed")),
        ({"code": 1001, "reason": None}, Disconnect(1001, "", "closed")),
        ({"code": 1006}, Disconnect(1006, "", "lost")),
        ({"code": None}, Disconnect(1005, "", "closed")),
        ({}, Disconnect(1005, "", "closed")),
    ],
)
async def test_a_disconnect_is_told_as_the_server_tells_it(
    app: Triows, seen: list[Any], event: dict[str, Any], disconnect: Disconnect
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        try:
            await trio.sleep_forever()
        finally:
            seen.append(websocket.disconnect)

    async with accepted(app) as server:
        server.put("websocket.disconnect", **event)
        assert await server.rest() == []
    assert seen == [disconnect]


async def test_messages_before_the_disconnect_are_delivered(
    app: Triows, seen: list[Any], autojump_clock: MockClock
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        async for message in websocket:
            await trio.sleep(1)
            seen.append(message)

    async with accepted(app) as server:
        for text in "abc":
            server.put("websocket.receive", text=text)
        server.put("websocket.disconnect", code=1000)
        await server.ended.wait()
    assert seen == ["a", "b", "c"]


async def test_a_handler_that_does_not_drain_is_cancelled_after_drain_timeout(
    app: Triows, seen: list[Any], autojump_clock: MockClock
) -> None:
    @app.websocket("/", drain_timeout=7)
    async def handler() -> None:
        await websocket.accept()
        start = trio.current_time()
        try:
            await trio.sleep_forever()
        finally:
            seen.append(trio.current_time() - start)

    async with accepted(app) as server:
        server.put("websocket.receive", text="unread")
        server.put("websocket.disconnect", code=1000)
        await server.ended.wait()
    assert seen == [pytest.approx(7, abs=0.1)]


async def test_a_client_that_leaves_before_the_answer_cancels_the_handler(app: Triows, seen: list[Any]) -> None:
    @app.websocket("/")
    async def handler() -> None:
        try:
            await trio.sleep_forever()
        finally:
            seen.append(websocket.disconnect)

    async with ws(app) as server:
        server.put("websocket.connect")
        await wait_all_tasks_blocked()
        server.put("websocket.disconnect", code=1006)
        assert await server.rest() == []
    assert seen == [Disconnect(1006, "", "lost")]


async def test_nothing_is_sent_after_the_disconnect(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await websocket.send("to nobody")

    async with accepted(app) as server:
        server.put("websocket.disconnect", code=1000)
        assert await server.rest() == []


async def test_a_flood_that_is_not_received_is_left_with_the_server(app: Triows, seen: list[Any]) -> None:
    may_receive = trio.Event()

    @app.websocket("/", receive_buffer=10_000)
    async def handler() -> None:
        await websocket.accept()
        await may_receive.wait()
        async for message in websocket:
            seen.append(len(message))

    async with accepted(app) as server:
        for _ in range(100):
            server.put("websocket.receive", bytes=bytes(1000))
        server.put("websocket.disconnect", code=1000)
        await wait_all_tasks_blocked()
        assert server.taken <= 12
        may_receive.set()
        await server.ended.wait()
    assert seen == [1000] * 100


async def test_text_is_counted_in_bytes(app: Triows) -> None:
    @app.websocket("/", receive_buffer=9000)
    async def handler() -> None:
        await websocket.accept()
        await trio.sleep_forever()

    async with accepted(app) as server:
        for _ in range(100):
            server.put("websocket.receive", text="€" * 1000)
        await wait_all_tasks_blocked()
        assert server.taken == 1 + 3
        server.cancel_scope.cancel()


async def test_empty_messages_that_are_not_received_are_left_with_the_server_too(app: Triows) -> None:
    @app.websocket("/", receive_buffer=640)
    async def handler() -> None:
        await websocket.accept()
        await trio.sleep_forever()

    async with accepted(app) as server:
        for _ in range(100):
            server.put("websocket.receive", text="")
        await wait_all_tasks_blocked()
        assert server.taken == 1 + 10
        server.cancel_scope.cancel()


async def test_send_waits_for_a_server_that_takes_nothing(app: Triows, seen: list[Any]) -> None:
    @app.websocket("/", send_buffer=10_000)
    async def handler() -> None:
        await websocket.accept()
        for number in range(100):
            await websocket.send(bytes(1000))
            seen.append(number)

    async with ws(app) as server:
        server.room = 1
        server.put("websocket.connect")
        assert (await server.next())["type"] == "websocket.accept"
        await wait_all_tasks_blocked()
        assert len(seen) == 10
        server.resume()
        assert [(await server.next())["type"] for _ in range(101)] == ["websocket.send"] * 100 + ["websocket.close"]
        server.put("websocket.disconnect", code=1000)


async def test_a_send_that_is_cancelled_has_sent_nothing(app: Triows, autojump_clock: MockClock) -> None:
    @app.websocket("/", send_buffer=1000)
    async def handler() -> None:
        await websocket.accept()
        await websocket.send(bytes(1000))
        with trio.move_on_after(1) as scope:
            await websocket.send("cancelled")
        assert scope.cancelled_caught
        server.resume()
        await websocket.send("whole")

    async with ws(app) as server:
        server.room = 1
        server.put("websocket.connect")
        await server.next()
        assert "bytes" in await server.next()
        assert (await server.next())["text"] == "whole"
        server.put("websocket.disconnect", code=1000)


async def test_text_that_is_no_unicode_fails_in_the_handler(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(UnicodeEncodeError):
            await websocket.send("\ud800")
        await websocket.send("fine")

    async with accepted(app) as server:
        assert (await server.next())["text"] == "fine"
        server.put("websocket.disconnect", code=1000)


@gone
async def test_a_server_that_takes_no_message_any_more_leaves_the_inbox(
    app: Triows, seen: list[Any], error: Exception
) -> None:
    receiving(app, seen)
    may_send = trio.Event()

    @app.before_websocket
    async def push() -> None:
        async def pushing() -> None:
            await may_send.wait()
            await websocket.send("to nobody")

        nursery.start_soon(pushing)

    async with trio.open_nursery() as nursery, accepted(app) as server:
        server.gone = error
        may_send.set()
        await wait_all_tasks_blocked()
        server.put("websocket.receive", text="sent before")
        server.put("websocket.disconnect", code=1006)
    assert seen == ["sent before", Disconnect(1006, "", "lost")]


@gone
@pytest.mark.parametrize("pushes", [True, False])
async def test_a_server_that_takes_no_message_any_more_is_asked_why_though_the_inbox_is_full(
    app: Triows, seen: list[Any], autojump_clock: MockClock, error: Exception, pushes: bool
) -> None:
    @app.websocket("/", receive_buffer=1000, send_buffer=1000, drain_timeout=5)
    async def deaf() -> None:
        await websocket.receive()
        await websocket.send("to nobody")
        try:
            while pushes:
                await websocket.send("x" * 1000)
                await trio.sleep(1)
            await trio.sleep_forever()
        finally:
            seen.append(websocket.disconnect)

    async with accepted(app) as server:
        server.room = 0
        for _ in range(50):
            server.put("websocket.receive", text="x" * 100)
        await trio.sleep(0.5)
        server.gone = error
        server.resume()
        server.put("websocket.disconnect", code=1006)
    assert seen == [Disconnect(1006, "", "lost")]
    assert trio.current_time() < 10


async def test_a_client_that_takes_nothing_for_send_timeout_is_given_up(
    app: Triows, seen: list[Any], autojump_clock: MockClock
) -> None:
    @app.websocket("/", send_buffer=1000, send_timeout=30)
    async def handler() -> None:
        await websocket.accept()
        start = trio.current_time()
        try:
            while True:
                await websocket.send(bytes(1000))
        finally:
            assert websocket.disconnect is not None
            seen.extend([websocket.disconnect.kind, trio.current_time() - start])

    async with ws(app) as server:
        server.put("websocket.connect")
        await server.next()
        server.room = 0
        await server.ended.wait()
    assert seen == ["timeout", pytest.approx(30, abs=0.1)]


async def test_a_client_that_takes_a_little_now_and_then_is_kept(
    app: Triows, seen: list[Any], autojump_clock: MockClock
) -> None:
    @app.websocket("/", send_buffer=1000, send_timeout=30)
    async def handler() -> None:
        await websocket.accept()
        for _ in range(10):
            await websocket.send(bytes(1000))
        seen.append(websocket.disconnect)
        await websocket.receive()

    async with ws(app) as server:
        server.room = 1
        server.put("websocket.connect")
        for _ in range(11):
            await server.next()
            await trio.sleep(20)
            server.resume(1)
        server.put("websocket.disconnect", code=1000)
    assert seen == [None]


async def test_an_idle_websocket_outlives_its_send_timeout(app: Triows, autojump_clock: MockClock) -> None:
    echo(app, send_timeout=30)
    async with accepted(app) as server:
        server.put("websocket.receive", text="a")
        await server.next()
        await trio.sleep(100)
        server.put("websocket.receive", text="b")
        assert (await server.next())["text"] == "b"
        server.put("websocket.disconnect", code=1000)


async def test_a_message_that_is_too_big_closes_with_1009(app: Triows, seen: list[Any]) -> None:
    receiving(app, seen, max_message_size=10)
    async with accepted(app) as server:
        server.put("websocket.receive", bytes=bytes(10))
        server.put("websocket.receive", bytes=bytes(11))
        close = await server.next()
        server.put("websocket.disconnect", code=1009)
    assert (close["type"], close["code"]) == ("websocket.close", 1009)
    assert seen == [bytes(10), Disconnect(1009, "message is over 10 bytes", "protocol_error")]


async def test_a_text_that_is_too_big_in_bytes_closes_with_1009(app: Triows, seen: list[Any]) -> None:
    receiving(app, seen, max_message_size=10)
    async with accepted(app) as server:
        server.put("websocket.receive", text="€€€")
        server.put("websocket.receive", text="€€€€")
        assert (await server.next())["code"] == 1009
        server.put("websocket.disconnect", code=1009)


async def test_what_came_after_the_fault_is_dropped(app: Triows, seen: list[Any]) -> None:
    receiving(app, seen, max_message_size=10)
    async with accepted(app) as server:
        server.put("websocket.receive", text="before")
        server.put("websocket.receive", bytes=bytes(11))
        server.put("websocket.receive", text="after")
        assert (await server.next())["code"] == 1009
        server.put("websocket.disconnect", code=1009)
    assert seen[0] == "before"
    assert "after" not in seen


async def test_a_server_that_goes_away_has_its_clients_told(app: Triows, seen: list[Any]) -> None:
    receiving(app, seen)
    async with accepted(app) as server:
        await wait_all_tasks_blocked()
        server.cancel_scope.cancel()
        assert await server.rest() == [{"type": "websocket.close", "code": 1001, "reason": ""}]
    assert seen == [None]


async def test_a_server_that_goes_away_and_takes_nothing_is_not_waited_for(
    app: Triows, autojump_clock: MockClock
) -> None:
    echo(app)
    start = trio.current_time()
    async with accepted(app) as server:
        await wait_all_tasks_blocked()
        server.room = 0
        server.cancel_scope.cancel()
    assert trio.current_time() - start < 10


async def test_a_normal_websocket_is_not_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    echo(app)
    async with accepted(app) as server:
        server.put("websocket.receive", text="a")
        await server.next()
        server.put("websocket.disconnect", code=1001)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Lifespan


async def test_the_lifespan_starts_and_stops_the_app(app: Triows, seen: list[Any]) -> None:
    @app.while_serving
    async def during() -> AsyncIterator[None]:
        seen.append("start")
        yield
        seen.append("stop")

    async with serving(app, "lifespan") as server:
        await wait_all_tasks_blocked()
        assert (seen, server.sent) == ([], [])
        server.put("lifespan.startup")
        assert await server.next() == {"type": "lifespan.startup.complete"}
        assert seen == ["start"]
        server.put("lifespan.shutdown")
        assert await server.next() == {"type": "lifespan.shutdown.complete"}
    assert seen == ["start", "stop"]


async def test_the_apps_nursery_lives_between_them(app: Triows, seen: list[Any]) -> None:
    async def background() -> None:
        try:
            await trio.sleep_forever()
        finally:
            seen.append("background ended")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        app.nursery.start_soon(background)
        await wait_all_tasks_blocked()
        server.put("lifespan.shutdown")
        await server.next()
    assert seen == ["background ended"]


async def test_a_failed_startup_is_told_to_the_server(app: Triows) -> None:
    @app.before_serving
    async def fails() -> None:
        raise OSError("no database")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        assert await server.next() == {"type": "lifespan.startup.failed", "message": "OSError: no database"}


async def test_a_failed_shutdown_is_told_to_the_server(app: Triows) -> None:
    @app.after_serving
    async def fails() -> None:
        raise OSError("flush failed")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        server.put("lifespan.shutdown")
        assert await server.next() == {"type": "lifespan.shutdown.failed", "message": "OSError: flush failed"}


async def test_a_background_crash_that_ends_the_app_is_told_to_the_server(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["BACKGROUND_TASK_CRASH_STOPS"] = True

    async def crash() -> None:
        raise OSError("crashed")

    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        app.nursery.start_soon(crash)
        assert await server.next() == {"type": "lifespan.shutdown.failed", "message": "OSError: crashed"}


async def test_a_server_that_is_cancelled_shuts_the_app_down(app: Triows, seen: list[Any]) -> None:
    app.after_serving(lambda: seen.append("after"))
    async with serving(app, "lifespan") as server:
        server.put("lifespan.startup")
        await server.next()
        server.cancel_scope.cancel()
    assert seen == ["after"]


# Other scopes, and middleware


async def test_an_unknown_scope_is_refused_by_name(app: Triows) -> None:
    with pytest.raises(ValueError, match="'webtransport'"):
        async with serving(app, "webtransport"):
            pass


async def test_middleware_wraps_asgi_app(app: Triows, seen: list[Any]) -> None:
    app.get("/", endpoint="view")(lambda: "hello")
    inner = app.asgi_app

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await inner(scope, receive, send)

    app.asgi_app = middleware
    async with http(app) as server:
        server.put("http.request")
        await server.rest()
    assert seen == ["/"]
