"""The test client's websockets: what a test sends, sees, and can do to a connection.

Tests triows/testing/wire.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import (
    Disconnect,
    Triows,
    abort,
    websocket,
)
from triows.testing import (
    WebsocketDisconnectError,
    WebsocketResponseError,
)

# Websockets


async def test_messages_come_back_as_they_were_sent(app: Triows) -> None:
    async with app.test_client().websocket("/echo") as ws:
        for message in ("text", b"bytes", "", b"", "❤️" * 100_000, bytes(500_000)):
            await ws.send(message)
            received = await ws.receive()
            assert received == message
            assert type(received) is type(message)
        await ws.send_json({"a": [1, None]})
        assert await ws.receive_json() == {"a": [1, None]}
        await ws.ping()


async def test_the_handshake_is_seen_on_both_sides(app: Triows) -> None:
    @app.websocket("/handshake/<name>", subprotocols=["v2"])
    async def handshake(name: str) -> None:
        await websocket.accept({"X-Answer": "yes"})
        await websocket.send_json(
            [
                name,
                websocket.url,
                websocket.headers["X-Own"],
                websocket.args["q"],
                websocket.subprotocols,
                websocket.host,
            ]
        )

    client = app.test_client()
    options: dict[str, Any] = {"headers": {"X-Own": "1", "Host": "example.com:8000"}, "query_string": {"q": "ü"}}
    async with client.websocket("/handshake/a b", subprotocols=["v1", "v2"], scheme="wss", **options) as ws:
        assert ws.accepted
        assert ws.status_code == 101
        assert ws.headers is not None
        assert ws.headers["X-Answer"] == "yes"
        assert ws.headers["Upgrade"] == "websocket"
        assert ws.subprotocol == "v2"
        name, url, own, query, offered, host = await ws.receive_json()
        assert (name, own, query, offered, host) == ("a b", "1", "ü", ["v1", "v2"], "example.com:8000")
        assert url.startswith("wss://example.com:8000/handshake/a")


async def test_subprotocols_may_be_offered_in_the_headers(app: Triows) -> None:
    @app.websocket("/chosen")
    async def chosen() -> None:
        await websocket.accept(subprotocol="b")

    async with app.test_client().websocket("/chosen", headers={"Sec-WebSocket-Protocol": "a, b"}) as ws:
        assert ws.subprotocol == "b"


async def test_the_block_begins_although_the_handler_has_not_answered(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    go_on = trio.Event()

    @app.websocket("/late")
    async def late() -> None:
        await go_on.wait()
        await websocket.send("at last")

    async with app.test_client().websocket("/late") as ws:
        assert not ws.accepted
        assert (ws.headers, ws.status_code, ws.close_code) == (None, None, None)
        go_on.set()
        assert await ws.receive() == "at last"
        assert ws.accepted


@pytest.mark.parametrize("leave", ["close", "disconnect", "reset", "leave"])
async def test_leaving_before_the_answer_loses_the_connection(app: Triows, leave: str) -> None:
    ends = []

    @app.websocket("/never")
    async def never() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/never") as ws:
        if leave != "leave":
            await getattr(ws, leave)()
            await ws.wait_closed()
            assert ws.close_code == 1006
            with pytest.raises(WebsocketDisconnectError):
                await ws.receive()
    assert ends == [Disconnect(1006, "", "lost")]


async def test_iterating_ends_with_the_server_closing(app: Triows) -> None:
    @app.websocket("/three")
    async def three() -> None:
        for number in range(3):
            await websocket.send(str(number))

    async with app.test_client().websocket("/three") as ws:
        assert [message async for message in ws] == ["0", "1", "2"]
        assert (ws.close_code, ws.close_reason) == (1000, "")


async def test_iterating_over_an_abnormal_end_raises(app: Triows) -> None:
    @app.websocket("/four")
    async def four() -> None:
        await websocket.send("one")
        await websocket.close(4000, "enough")

    async with app.test_client().websocket("/four") as ws:
        with pytest.raises(WebsocketDisconnectError) as caught:
            async for message in ws:
                assert message == "one"
        assert (caught.value.code, caught.value.reason) == (4000, "enough")
        assert (ws.close_code, ws.close_reason) == (4000, "enough")
        with pytest.raises(WebsocketDisconnectError):
            await ws.send("too late")
        await ws.close()


async def test_close_performs_the_closing_handshake(app: Triows) -> None:
    ends = []

    @app.websocket("/noting")
    async def noting() -> None:
        try:
            await websocket.receive()
        finally:
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/noting") as ws:
        await ws.close(4001, "bye")
        assert ws.close_code == 4001
        await ws.wait_closed()
        assert ends == [Disconnect(4001, "bye", "closed")]
        await ws.close()
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()


async def test_leaving_the_block_closes_in_order_and_waits_for_the_handler(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    ends = []

    @app.websocket("/slow")
    async def slow() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/slow"):
        pass
    assert ends == [Disconnect(1000, "", "closed")]


async def test_disconnecting_delivers_what_was_sent(app: Triows) -> None:
    seen: list[Any] = []

    @app.websocket("/collect")
    async def collect() -> None:
        try:
            async for message in websocket:
                seen.append(message)
        finally:
            seen.append(websocket.disconnect)

    async with app.test_client().websocket("/collect") as ws:
        await ws.send("a")
        await ws.send("b")
        await ws.disconnect()
        assert ws.close_code == 1006
        await ws.wait_closed()
        assert seen == ["a", "b", Disconnect(1006, "", "lost")]


async def test_resetting_loses_what_was_under_way(app: Triows) -> None:
    seen: list[Any] = []

    @app.websocket("/collect")
    async def collect() -> None:
        try:
            async for message in websocket:
                seen.append(message)
        finally:
            seen.append(websocket.disconnect)

    async with app.test_client().websocket("/collect") as ws:
        await wait_all_tasks_blocked()
        await ws.send("lost")
        await ws.reset()
        with pytest.raises(WebsocketDisconnectError):
            await ws.send("later")
    assert seen == [Disconnect(1006, "", "lost")]


async def test_a_stalled_client_is_felt_by_the_server_until_it_resumes(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    sent = 0

    @app.websocket("/flood")
    async def flood() -> None:
        nonlocal sent
        for _ in range(100):
            await websocket.send(bytes(10_000))
            sent += 1

    async with app.test_client().websocket("/flood") as ws:
        ws.stall()
        await trio.sleep(10)
        assert sent < 30
        ws.resume()
        assert len([message async for message in ws]) == sent == 100


async def test_a_client_that_stays_stalled_is_given_up(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    ends = []

    @app.websocket("/flood")
    async def flood() -> None:
        try:
            while True:
                await websocket.send(bytes(10_000))
        finally:
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/flood") as ws:
        ws.stall()
        await ws.wait_closed()
        assert [end and end.kind for end in ends] == ["timeout"]
        assert ws.close_code == 1006


async def test_closing_while_stalled_ends(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    async with app.test_client().websocket("/echo") as ws:
        ws.stall()
        await ws.close()
        assert ws.close_code == 1006


async def test_a_flooding_handler_does_not_keep_the_block_from_beginning(app: Triows) -> None:
    @app.websocket("/flood")
    async def flood() -> None:
        while True:
            await websocket.send("x")

    async with app.test_client().websocket("/flood") as ws:
        assert await ws.receive() == "x"


async def test_sending_waits_for_a_handler_that_does_not_receive(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    received = []

    @app.websocket("/lazy")
    async def lazy() -> None:
        await websocket.accept()
        await trio.sleep(10)
        async for message in websocket:
            received.append(len(message))
            await websocket.send(str(len(received)))

    async with app.test_client().websocket("/lazy") as ws:
        sent = 0
        with trio.move_on_after(5) as scope:
            while True:
                await ws.send(bytes(10_000))
                sent += 1
        assert scope.cancelled_caught
        assert 5 < sent < 50
        for _ in range(sent):
            await ws.receive()
    # The send that was cancelled has left no torn frame behind.
    assert received == [10_000] * sent


async def test_a_timeout_round_receive_takes_no_time_and_loses_nothing(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    @app.websocket("/later")
    async def later() -> None:
        for number in range(3):
            await trio.sleep(10)
            await websocket.send(str(number))

    received: list[str | bytes] = []
    async with app.test_client().websocket("/later") as ws:
        while len(received) < 3:
            with trio.move_on_after(0.7):
                received.append(await ws.receive())
    assert received == ["0", "1", "2"]


async def test_an_idle_connection_outlives_its_keepalive(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    async with app.test_client().websocket("/echo") as ws:
        await trio.sleep(3600)
        await ws.send("still there")
        assert await ws.receive() == "still there"


async def test_a_ping_that_crosses_the_clients_close_does_no_harm(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    @app.websocket("/pinging", ping_interval=5)
    async def pinging() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    async with app.test_client().websocket("/pinging") as ws:
        ws.stall()
        await trio.sleep(6)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.close, 4000)
            await wait_all_tasks_blocked()
            ws.resume()
        assert ws.close_code == 4000
        assert trio.current_time() < 10


# Rejections


@pytest.mark.parametrize("call", ["receive", "send", "close", "nothing"])
async def test_a_rejected_handshake_is_raised_with_its_response(app: Triows, call: str) -> None:
    @app.websocket("/reject")
    async def reject() -> Any:
        return {"error": "Who are you?"}, 401, {"X-Reason": "no name"}

    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/reject") as ws:
            assert not ws.accepted
            assert ws.status_code == 401
            if call != "nothing":
                await getattr(ws, call)(*(["x"] if call == "send" else []))
                pytest.fail("unreachable")
    response = caught.value.response
    assert response.status_code == 401
    assert response.headers["X-Reason"] == "no name"
    assert await response.get_json() == {"error": "Who are you?"}


async def test_a_rejection_that_was_met_in_the_block_is_not_raised_again(app: Triows) -> None:
    async with app.test_client().websocket("/nowhere") as ws:
        with pytest.raises(WebsocketResponseError) as caught:
            await ws.receive()
        assert caught.value.response.status_code == 404
        with pytest.raises(WebsocketResponseError):
            await ws.send("x")
        await ws.close()


async def test_abort_rejects(app: Triows) -> None:
    @app.websocket("/abort")
    async def aborting() -> None:
        abort(418)

    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/abort"):
            pass
    assert caught.value.response.status_code == 418
