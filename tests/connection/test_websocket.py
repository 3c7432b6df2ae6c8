"""The life of a websocket: messages both ways, closing, and disconnects.

What goes over the wire is tested on every transport in ``tests/behaviour``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import (
    CancelledSwallowedError,
    Disconnect,
    Triows,
    WebSocket,
    WebSocketClosed,
    WebSocketStateError,
    websocket,
)
from triows.testing import WebsocketDisconnectError

from ..support.served import served
from ..support.wire import PING, PONG, TEXT, close_frame, frame, upgrade

# Messages


@pytest.mark.parametrize("message", ["text", "", "grüße", b"bytes", b"", "x" * 100_000, bytes(100_000)])
async def test_messages_keep_their_kind_and_content(app: Triows, message: str | bytes) -> None:
    @app.websocket("/")
    async def handler() -> None:
        received = await websocket.receive()
        assert type(received) is type(message)
        await websocket.send(received)

    async with app.test_client().websocket("/") as ws:
        await ws.send(message)
        answer = await ws.receive()
    assert answer == message
    assert type(answer) is type(message)


@pytest.mark.parametrize("message", [bytearray(b"ab"), memoryview(b"ab")])
async def test_bytes_like_objects_are_binary_messages(app: Triows, message: Any) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.send(message)

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == b"ab"


@pytest.mark.parametrize("message", [3, None, {"a": 1}, ["a"], 1.5])
async def test_other_objects_are_no_messages(app: Triows, message: Any) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(TypeError, match=f"not {type(message).__name__}: use send_json"):
            await websocket.send(message)
        await websocket.send("fine")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "fine"


async def test_text_that_is_no_unicode_is_not_sent_in_half(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(UnicodeEncodeError):
            await websocket.send("\ud800")
        await websocket.send("fine")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "fine"


async def test_iterating_is_receiving(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        async for message in websocket:
            await websocket.send(message)

    async with app.test_client().websocket("/") as ws:
        for message in ("a", b"b", ""):
            await ws.send(message)
            assert await ws.receive() == message


async def test_two_tasks_may_not_receive_at_once(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(websocket.receive)
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await websocket.receive()
            nursery.cancel_scope.cancel()
        await websocket.send(await websocket.receive())

    async with app.test_client().websocket("/") as ws:
        await wait_all_tasks_blocked()
        await ws.send("x")
        assert await ws.receive() == "x"


async def test_tasks_may_receive_in_turn(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        lock = trio.Lock()

        async def worker() -> None:
            while True:
                async with lock:
                    message = await websocket.receive()
                await websocket.send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker)
            nursery.start_soon(worker)

    async with app.test_client().websocket("/") as ws:
        for number in range(10):
            await ws.send(str(number))
            assert await ws.receive() == str(number)


async def test_many_tasks_may_send_at_once(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(websocket.send, str(number) * 1000)

    async with app.test_client().websocket("/") as ws:
        messages = {await ws.receive() for _ in range(100)}
    assert messages == {str(number) * 1000 for number in range(100)}


async def test_sending_and_receiving_are_independent(app: Triows, autojump_clock: MockClock) -> None:
    @app.websocket("/")
    async def handler() -> None:
        received: list[str | bytes] = []

        async def sending() -> None:
            while True:
                await websocket.send_json([trio.current_time() - start, received])
                await trio.sleep(10)

        async def receiving() -> None:
            async for message in websocket:
                received.append(message)

        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sending)
            nursery.start_soon(receiving)

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive_json() == [0, []]
        await ws.send("a")
        await ws.send("b")
        assert await ws.receive_json() == [10, ["a", "b"]]
        assert await ws.receive_json() == [20, ["a", "b"]]


async def test_a_timeout_round_receive_loses_nothing(app: Triows, autojump_clock: MockClock) -> None:
    @app.websocket("/")
    async def handler() -> None:
        timeouts = 0
        while True:
            with trio.move_on_after(1):
                await websocket.send_json([await websocket.receive(), timeouts])
                continue
            timeouts += 1

    async with app.test_client().websocket("/") as ws:
        await trio.sleep(3.5)
        await ws.send("a")
        assert await ws.receive_json() == ["a", 3]


async def test_a_flood_does_not_starve_other_tasks(app: Triows) -> None:
    turns = 0

    @app.websocket("/")
    async def handler() -> None:
        async def counting() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        websocket.nursery.start_soon(counting)
        for _ in range(1000):
            await websocket.send("x")
        websocket.nursery.cancel_scope.cancel()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    assert turns >= 10  # at the latest every 64 calls


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another task"])
@pytest.mark.parametrize("by_child", [False, True], ids=["by itself", "by a child"])
async def test_a_handler_that_its_own_nursery_cancels_has_ended(
    by_child: bool, others: int, app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    async def end() -> None:
        websocket.nursery.cancel_scope.cancel()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        for _ in range(others):
            websocket.nursery.start_soon(trio.sleep_forever)
        if by_child:
            websocket.nursery.start_soon(end)
        else:
            await end()
        await trio.sleep_forever()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
        assert ws.close_code == 1000
    assert caplog.records == []


# Closing


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (1011, "é" * 61), (3000, ""), (4999, "x" * 123)]
)
async def test_close_sends_code_and_reason(app: Triows, code: int, reason: str) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(code, reason)

    async with app.test_client().websocket("/") as ws:
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()
        assert (ws.close_code, ws.close_reason) == (code, reason)


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536])
async def test_codes_that_may_not_be_sent_are_refused(app: Triows, code: int) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        with pytest.raises(ValueError, match=str(code)):
            await websocket.close(code)
        await websocket.send("still open")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "still open"


@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62])
async def test_reasons_that_are_too_long_are_refused(app: Triows, reason: str) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        with pytest.raises(ValueError, match="123"):
            await websocket.close(4000, reason)
        await websocket.send("still open")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "still open"


async def test_a_wrong_code_before_accepting_is_refused_too(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(ValueError, match="1005"):
            await websocket.close(1005)
        await websocket.send("accepted")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "accepted"


async def test_after_close_receive_and_send_raise(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close()
        for call in (websocket.receive(), websocket.send("x"), websocket.receive_json(), websocket.send_json(1)):
            with pytest.raises(WebSocketClosed, match="is closed"):
                await call

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()


async def test_closing_again_does_nothing(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4000)
        await websocket.close(4001)

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
        assert ws.close_code == 4000


async def test_closing_ends_receive_in_another_task(app: Triows) -> None:
    ends: list[str] = []

    @app.websocket("/")
    async def handler() -> None:
        async def child() -> None:
            with pytest.raises(WebSocketClosed):
                await websocket.receive()
            ends.append("receive")

        websocket.nursery.start_soon(child)
        await wait_all_tasks_blocked()
        await websocket.close()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    assert ends == ["receive"]


async def test_the_handler_runs_on_after_its_own_close(app: Triows) -> None:
    ended = trio.Event()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close()
        await trio.lowlevel.checkpoint()
        assert websocket.disconnect is None
        ended.set()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    assert ended.is_set()


@pytest.mark.parametrize("grouped", [False, True])
async def test_websocket_closed_that_escapes_is_the_normal_end(
    app: Triows, grouped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await websocket.close(4000)
        if grouped:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(websocket.send, "x")
                nursery.start_soon(websocket.send, "y")
        await websocket.send("x")

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
        assert ws.close_code == 4000
    assert caplog.records == []


async def test_websocket_closed_of_another_connection_is_an_error(app: Triows) -> None:
    others: list[WebSocket] = []
    closed, may_end = trio.Event(), trio.Event()

    @app.websocket("/closed")
    async def closing() -> None:
        await websocket.accept()
        others.append(websocket.current())
        await websocket.close()
        closed.set()
        await may_end.wait()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await closed.wait()
        await others[0].send("x")

    client = app.test_client()
    async with client.websocket("/closed"):
        with pytest.raises(WebSocketClosed):
            async with client.websocket("/") as ws:
                await ws.receive()
        assert ws.close_code == 1011
        may_end.set()


async def test_a_handler_that_returns_closes_with_1000(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1000, "")


async def test_a_handlers_children_keep_the_websocket_open(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        async def child() -> None:
            await websocket.send(await websocket.receive())

        await websocket.accept()
        websocket.nursery.start_soon(child)

    async with app.test_client().websocket("/") as ws:
        await wait_all_tasks_blocked()
        await ws.send("x")
        assert await ws.receive() == "x"
        await ws.wait_closed()
        assert ws.close_code == 1000


# Disconnects


async def test_a_disconnect_is_a_value_and_a_cancellation(app: Triows) -> None:
    seen: list[Any] = []

    @app.websocket("/")
    async def handler() -> None:
        assert websocket.disconnect is None
        try:
            await websocket.receive()
        except trio.Cancelled as error:
            seen.extend([websocket.disconnect, error.reason])
            raise

    async with app.test_client().websocket("/") as ws:
        await ws.close(4001, "bye")
    assert seen == [Disconnect(4001, "bye", "closed"), "websocket disconnected: 4001: bye"]


async def test_a_lost_connection_is_1006(app: Triows) -> None:
    seen: list[Any] = []

    @app.websocket("/")
    async def handler() -> None:
        try:
            await websocket.receive()
        finally:
            seen.append(websocket.disconnect)

    async with app.test_client().websocket("/") as ws:
        await ws.disconnect()
    assert [(one.code, one.kind) for one in seen] == [(1006, "lost")]


async def test_a_shielded_cleanup_may_look_and_send_in_vain(app: Triows) -> None:
    seen: list[Any] = []

    @app.websocket("/")
    async def handler() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True):
                await websocket.send("to nobody")
                await trio.lowlevel.checkpoint()
                seen.append(websocket.disconnect is not None)

    async with app.test_client().websocket("/") as ws:
        await ws.disconnect()
    assert seen == [True]


async def test_receiving_in_a_shield_after_the_end_is_closed(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def handler() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True), pytest.raises(WebSocketClosed, match="disconnected"):
                await websocket.receive()

    async with app.test_client().websocket("/") as ws:
        await ws.disconnect()
    assert caplog.records == []


async def test_a_swallowed_cancellation_is_an_error_that_names_the_handler(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/")
    async def greedy() -> None:
        try:
            await websocket.receive()
        except BaseException:
            pass

    with pytest.raises(CancelledSwallowedError, match="greedy"):
        async with app.test_client().websocket("/") as ws:
            await ws.disconnect()
            await ws.wait_closed()
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "greedy" in record.getMessage()
    assert "test_websocket.py" in record.getMessage()


async def test_the_nursery_is_there_for_the_handler_only(app: Triows) -> None:
    kept: list[WebSocket] = []

    @app.websocket("/")
    async def handler() -> None:
        assert isinstance(websocket.nursery, trio.Nursery)
        await websocket.accept()
        kept.append(websocket.current())

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    with pytest.raises(RuntimeError, match="nursery only while"):
        _ = kept[0].nursery


# What the handshake tells


async def test_there_is_no_latency_before_the_first_ping(app: Triows, autojump_clock: MockClock) -> None:
    app.config["PING_INTERVAL"] = 20
    seen: list[float | None] = []

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        seen.append(websocket.latency)
        await trio.sleep(30)
        seen.append(websocket.latency)

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    assert seen == [None, pytest.approx(0, abs=0.1)]


# The connection itself, without the websocket of a handler


async def test_a_connection_is_accepted_once(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        connection = websocket.connection
        with pytest.raises(WebSocketStateError, match="cannot be accepted any more: it is open"):
            connection.accept([], None)
        with pytest.raises(WebSocketStateError, match="cannot be rejected any more: the websocket is open"):
            await connection.reject(403, [], b"")
        await websocket.send("open")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "open"


async def test_a_connection_that_nobody_accepted_is_accepted_by_the_first_call(app: Triows) -> None:
    async def echo(connection: Any) -> None:
        await connection.send(await connection.receive())

    app.handle = echo  # type: ignore[method-assign, assignment]
    async with app.test_client().websocket("/") as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"


# Messages in pieces


async def test_a_message_of_an_iterator_that_fails_is_aborted(app: Triows) -> None:
    class Broken:
        given = 0

        def __aiter__(self) -> Broken:
            return self

        async def __anext__(self) -> str:
            self.given += 1
            if self.given > 1:
                raise LookupError("no second piece")
            return "first"

    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(LookupError):
            await websocket.send(Broken())

    async with app.test_client().websocket("/") as ws:
        with pytest.raises(WebsocketDisconnectError) as end:
            await ws.receive()
    assert end.value.code == 1011


async def test_a_message_in_pieces_ends_where_the_handler_closes_the_websocket(app: Triows) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "first"
        await websocket.close(1000, "enough")
        yield "second"

    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(WebSocketClosed, match="the websocket is closed"):
            await websocket.send(pieces())

    async with app.test_client().websocket("/") as ws:
        with pytest.raises(WebsocketDisconnectError) as end:
            await ws.receive()
    assert (end.value.code, end.value.reason) == (1000, "enough")


async def test_a_message_in_pieces_is_found_behind_more_than_can_be_read_in_one_turn(app: Triows) -> None:
    received: list[str | bytes] = []

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        async with websocket.receive_stream() as pieces:
            received.extend([piece async for piece in pieces])

    async with served(app) as server:
        wire = server.connect()
        await wire.send(upgrade() + frame(PING) * 4000 + frame(TEXT, b"behind"))
        await wire.read_head()
        while (await wire.read_frame())[0] == PONG:
            pass
        await wire.send(close_frame(1000))
    assert received == ["behind"]
