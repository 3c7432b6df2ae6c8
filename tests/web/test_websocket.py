"""The websocket object, as handlers use it: accepting, rejecting, JSON, and what the handshake tells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from werkzeug.datastructures import Headers

from triows import (
    JSONMessageError,
    JSONProvider,
    Triows,
    WebSocket,
    WebSocketClosed,
    WebSocketStateError,
    abort,
    websocket,
)
from triows.testing import WebsocketDisconnectError

from ..support.records import complaints
from ..support.rejections import rejection

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


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-B: 1"}, {"X A": "1"}, {"X-A": "\ud83d"}])
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
    assert complaints(caplog) == []


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


async def test_the_apps_own_websocket_class_is_used(app: Triows) -> None:
    class Own(WebSocket):
        word = "own"

    app.websocket_class = Own

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send(websocket.word)

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "own"
