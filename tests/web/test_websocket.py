"""The websocket object, as handlers use it. What goes over the wire is tested on every transport in tests/behaviour."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from werkzeug.datastructures import Headers

from triows import (
    CancelledSwallowedError,
    Disconnect,
    JSONMessageError,
    JSONProvider,
    Response,
    Triows,
    WebSocket,
    WebSocketClosed,
    WebSocketStateError,
    abort,
    websocket,
)
from triows.testing import WebsocketDisconnectError, WebsocketResponseError


@pytest.fixture
def app() -> Triows:
    return Triows("tested")


async def rejection(app: Triows) -> Response:
    """The response that the handshake is rejected with."""
    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/") as ws:
            await ws.receive()
    response: Response = caught.value.response
    return response


# Accepting


@pytest.mark.parametrize("awaited", [True, False])
async def test_accept_takes_effect_awaited_or_not(app: Triows, awaited: bool) -> None:
    @app.websocket("/")
    async def handler() -> None:
        accepting = websocket.accept(headers={"X-A": "1"})
        if awaited:
            await accepting
        assert websocket.connection.accepted
        await trio.sleep_forever()

    async with app.test_client().websocket("/") as ws:
        assert ws.accepted
        assert ws.headers is not None
        assert ws.headers["x-a"] == "1"


async def test_an_accept_that_is_not_awaited_gives_no_warning(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        websocket.accept()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with app.test_client().websocket("/") as ws:
            await ws.wait_closed()
    assert caught == []


async def test_awaiting_accept_is_a_checkpoint(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with trio.testing.assert_checkpoints():
            await websocket.accept()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()


async def test_accept_may_be_called_in_a_child_task(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        async def child() -> None:
            await websocket.accept()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        await websocket.send("accepted")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "accepted"


@pytest.mark.parametrize("call", ["receive", "send", "iteration", "receive_json", "send_json"])
async def test_the_first_use_accepts(app: Triows, call: str) -> None:
    @app.websocket("/")
    async def handler() -> None:
        match call:
            case "receive":
                await websocket.receive()
            case "send":
                await websocket.send("x")
            case "iteration":
                async for _ in websocket:
                    break
            case "receive_json":
                await websocket.receive_json()
            case "send_json":
                await websocket.send_json(1)

    async with app.test_client().websocket("/") as ws:
        assert ws.accepted
        if not call.startswith("send"):
            await ws.send("1")
        await ws.wait_closed()
        assert ws.close_code == 1000


async def test_a_second_bare_accept_does_nothing(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept(headers={"X-A": "1"}, subprotocol="chat")
        await websocket.accept()
        await websocket.send("fine")

    async with app.test_client().websocket("/", subprotocols=["chat"]) as ws:
        assert await ws.receive() == "fine"


async def test_the_same_accept_again_does_nothing(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept(headers={"X-A": "1"}, subprotocol="chat")
        await websocket.accept(headers={"X-A": "1"}, subprotocol="chat")
        await websocket.send("fine")

    async with app.test_client().websocket("/", subprotocols=["chat"]) as ws:
        assert await ws.receive() == "fine"


@pytest.mark.parametrize("arguments", [{"headers": {"X-A": "2"}}, {"subprotocol": "chat"}])
@pytest.mark.parametrize("first", ["accept", "send"])
async def test_another_accept_with_other_arguments_is_an_error(
    app: Triows, first: str, arguments: dict[str, Any]
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        if first == "accept":
            await websocket.accept()
        else:
            await websocket.send("x")
        with pytest.raises(WebSocketStateError, match="other arguments"):
            await websocket.accept(**arguments)
        await websocket.send("end")

    async with app.test_client().websocket("/", subprotocols=["chat"]) as ws:
        while await ws.receive() != "end":
            pass


async def test_accepting_after_rejecting_is_an_error(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.close()
        with pytest.raises(WebSocketStateError, match="rejected already"):
            await websocket.accept()

    assert (await rejection(app)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1", "X-B": "2"},
        [("X-A", "1"), ("X-B", "2")],
        Headers([("X-A", "1"), ("X-B", "2")]),
        (("x-a", "1"), ("x-b", "2")),
    ],
)
async def test_headers_of_acceptance_may_have_any_form(app: Triows, headers: Any) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept(headers=headers)

    async with app.test_client().websocket("/") as ws:
        assert ws.headers is not None
        assert (ws.headers["x-a"], ws.headers["x-b"]) == ("1", "2")


@pytest.mark.parametrize(
    "name",
    [
        "Upgrade",
        "connection",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Accept",
        "sec-websocket-protocol",
        "Sec-WebSocket-Extensions",
    ],
)
async def test_headers_of_the_servers_are_refused(app: Triows, name: str) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(ValueError, match="set by the server"):
            websocket.accept(headers={name: "x"})
        assert not websocket.connection.accepted
        await websocket.accept()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-B: 1"}, {"X A": "1"}, {"X-A": "€"}])
async def test_headers_that_cannot_be_sent_are_refused(app: Triows, headers: Mapping[str, str]) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(ValueError, match=r"X.A|newline"):
            websocket.accept(headers=headers)
        assert not websocket.connection.accepted
        await websocket.accept()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()


# Subprotocols


async def test_the_offered_subprotocols_are_known_and_one_is_chosen(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        assert websocket.subprotocols == websocket.requested_subprotocols == ["v1", "v2"]
        await websocket.accept(subprotocol="v2")

    async with app.test_client().websocket("/", subprotocols=["v1", "v2"]) as ws:
        assert ws.subprotocol == "v2"


async def test_without_a_choice_there_is_no_subprotocol(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()

    async with app.test_client().websocket("/", subprotocols=["v1", "v2"]) as ws:
        assert ws.accepted
        assert ws.subprotocol is None


async def test_a_subprotocol_that_is_not_offered_is_refused(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(ValueError, match=r"'v3'.*\['v1'\]"):
            websocket.accept(subprotocol="v3")
        await websocket.accept(subprotocol="v1")

    async with app.test_client().websocket("/", subprotocols=["v1"]) as ws:
        assert ws.subprotocol == "v1"


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["v1", "v2"], "v2"), (["v1"], "v1"), (["v3"], None), (None, None), (["V2"], None)]
)
async def test_a_route_prefers_its_own_order(app: Triows, offered: list[str] | None, chosen: str | None) -> None:
    @app.websocket("/", subprotocols=["v2", "v1"])
    async def handler() -> None:
        await websocket.send("x")

    async with app.test_client().websocket("/", subprotocols=offered) as ws:
        assert (ws.accepted, ws.subprotocol) == (True, chosen)


async def test_a_handler_may_choose_against_its_route(app: Triows) -> None:
    @app.websocket("/", subprotocols=["v2", "v1"])
    async def handler() -> None:
        await websocket.accept(subprotocol="v1")

    async with app.test_client().websocket("/", subprotocols=["v2", "v1"]) as ws:
        assert ws.subprotocol == "v1"


# Rejecting


async def test_returning_nothing_rejects_with_403(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None: ...

    assert (await rejection(app)).status_code == 403


async def test_closing_before_accepting_rejects_with_403(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.close(4000, "reason")

    assert (await rejection(app)).status_code == 403


async def test_returning_a_response_rejects_with_it(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> Any:
        return "Who are you?", 401, {"WWW-Authenticate": 'Basic realm="x"'}

    response = await rejection(app)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Basic realm="x"')
    assert await response.get_data() == b"Who are you?"


@pytest.mark.parametrize("status", [101, 199, 1000])
async def test_a_status_that_no_response_can_have_is_an_error_of_the_handler(app: Triows, status: int) -> None:
    @app.websocket("/")
    async def handler() -> Any:
        return "", status

    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert (await rejection(app)).status_code == 500


async def test_aborting_rejects_with_its_status(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        abort(404)

    assert (await rejection(app)).status_code == 404


async def test_a_handler_runs_on_after_it_has_rejected(app: Triows) -> None:
    ended = trio.Event()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.close()
        for call in (websocket.receive(), websocket.send("x")):
            with pytest.raises(WebSocketClosed):
                await call
        ended.set()

    await rejection(app)
    await ended.wait()


async def test_credentials_may_be_checked_before_accepting(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> Any:
        credentials = websocket.authorization
        if credentials is None or (credentials.username, credentials.password) != ("ann", "secret"):
            return "Invalid password", 403
        await websocket.send("welcome")
        return None

    assert await (await rejection(app)).get_data() == b"Invalid password"
    async with app.test_client().websocket("/", auth=("ann", "secret")) as ws:
        assert await ws.receive() == "welcome"


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


# JSON


@pytest.mark.parametrize(
    ("args", "kwargs", "value"),
    [((1,), {}, 1), ((1, 2), {}, [1, 2]), ((), {"a": 1}, {"a": 1}), (([],), {}, []), ((None,), {}, None)],
)
async def test_json_is_sent_in_the_forms_of_jsonify(app: Triows, args: Any, kwargs: Any, value: Any) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.send_json(*args, **kwargs)

    async with app.test_client().websocket("/") as ws:
        message = await ws.receive()
    assert isinstance(message, str)
    assert app.json.loads(message) == value


async def test_values_and_keywords_together_are_refused(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(TypeError, match="not both"):
            await websocket.send_json(1, a=2)
        await websocket.send("fine")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "fine"


@pytest.mark.parametrize("message", ['{"a": [1, null]}', b'{"a": [1, null]}'])
async def test_json_is_received_from_text_and_bytes(app: Triows, message: str | bytes) -> None:
    @app.websocket("/")
    async def handler() -> None:
        assert await websocket.receive_json() == {"a": [1, None]}
        await websocket.send("fine")

    async with app.test_client().websocket("/") as ws:
        await ws.send(message)
        assert await ws.receive() == "fine"


async def test_the_apps_json_provider_is_used(app: Triows) -> None:
    class Shouting(JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps(obj, **kwargs).upper()

        def loads(self, text: str | bytes, **kwargs: Any) -> Any:
            return [super().loads(text, **kwargs)]

    app.json = Shouting()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send_json(await websocket.receive_json())

    async with app.test_client().websocket("/") as ws:
        await ws.send('"a"')
        assert await ws.receive() == '["A"]'


@pytest.mark.parametrize("message", ["{", "", b"\xff", "[" * 100_000])
async def test_broken_json_may_be_caught(app: Triows, message: str | bytes) -> None:
    @app.websocket("/")
    async def handler() -> None:
        with pytest.raises(JSONMessageError, match="not JSON") as caught:
            await websocket.receive_json()
        assert caught.value.message == message
        assert isinstance(caught.value, ValueError)
        await websocket.send("fine")

    async with app.test_client().websocket("/") as ws:
        await ws.send(message)
        assert await ws.receive() == "fine"


async def test_broken_json_that_is_not_caught_closes_with_1007(app: Triows) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.receive_json()

    async with app.test_client().websocket("/") as ws:
        await ws.send("{")
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()
        assert ws.close_code == 1007


async def test_broken_json_of_a_client_that_is_gone_is_no_error(
    app: Triows, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await trio.sleep(1)
        await websocket.receive_json()

    async with app.test_client().websocket("/") as ws:
        await ws.send("{")
        await ws.close(1000)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


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


async def test_the_handshake_is_a_request(app: Triows) -> None:
    seen: dict[str, Any] = {}

    @app.websocket("/rooms/<room>")
    async def handler(room: str) -> None:
        await websocket.accept()
        for name in ("path", "host", "scheme", "remote_addr", "view_args", "endpoint", "url", "method", "args"):
            seen[name] = getattr(websocket, name)
        seen["header"] = websocket.headers["X-A"]
        seen["cookie"] = websocket.cookies["c"]

    client = app.test_client()
    client.set_cookie("localhost", "c", "d")
    async with client.websocket(
        "/rooms/5?q=1", headers={"X-A": "1"}, scheme="wss", scope_base={"client": ("1.2.3.4", 5)}
    ) as ws:
        await ws.wait_closed()
    assert seen.pop("args")["q"] == "1"
    assert seen == {
        "path": "/rooms/5",
        "host": "localhost",
        "scheme": "wss",
        "remote_addr": "1.2.3.4",
        "view_args": {"room": "5"},
        "endpoint": "handler",
        "url": "wss://localhost/rooms/5?q=1",
        "method": "GET",
        "header": "1",
        "cookie": "d",
    }


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


async def test_the_apps_own_websocket_class_is_used(app: Triows) -> None:
    class Own(WebSocket):
        word = "own"

    app.websocket_class = Own

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send(websocket.word)

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "own"
