"""Websockets of an ASGI server: what is made of its events, and which events it is sent.

A real server under it is tested in ``tests/behaviour`` (hypercorn).
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Disconnect, Triows, abort, websocket

from ..support.asgi import accepted, gone, ws
from ..support.records import complaints


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
    assert complaints(caplog) == []
