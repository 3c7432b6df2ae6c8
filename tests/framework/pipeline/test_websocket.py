"""Errors of a websocket's handler: which response or Close frame they make, and what is logged."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from werkzeug.exceptions import NotFound

from triows import (
    JSONMessageError,
    Response,
    Triows,
    WebSocketClosed,
    WebSocketStateError,
    abort,
    websocket,
)
from triows.testing import WebsocketDisconnectError
from triows.web.helpers import after_this_websocket

from ...support.records import logged
from ...support.rejections import rejection
from ...support.views import SECRET, Ours, raising, raising_in_children


@pytest.fixture
def app(app: Triows) -> Triows:
    """An app whose client sees what a real one would."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


async def test_an_error_before_accepting_is_answered_by_its_handler(app: Triows) -> None:
    app.websocket("/")(raising(Ours("early")))
    app.errorhandler(Ours)(lambda error: (f"handled {error}", 418))
    response = await rejection(app)
    assert response.status_code == 418
    assert await response.get_data() == b"handled early"


async def test_an_error_before_accepting_is_a_500(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    error = Ours(SECRET)
    app.websocket("/")(raising(error))
    response = await rejection(app)
    assert response.status_code == 500
    assert SECRET not in await response.get_data(as_text=True)
    assert logged(caplog) == [error]


async def end_of(app: Triows) -> tuple[list[str | bytes], int, str]:
    """What a websocket receives, and what it is closed with."""
    messages = []
    with pytest.raises(WebsocketDisconnectError) as caught:
        async with app.test_client().websocket("/") as ws:
            while True:
                messages.append(await ws.receive())
    return messages, caught.value.code, caught.value.reason


async def test_an_error_after_accepting_closes_with_1011_and_tells_nothing(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    error = Ours(SECRET)

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        raise error

    assert await end_of(app) == ([], 1011, "")
    assert logged(caplog) == [error]


async def test_a_handler_after_accepting_may_send(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        raise Ours("oh")

    @app.errorhandler(Ours)
    async def handler(error: Ours) -> None:
        await websocket.send(f"handled {error}")

    assert await end_of(app) == (["handled oh"], 1011, "")
    assert logged(caplog) == []


async def test_a_handler_after_accepting_may_close(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        raise Ours("oh")

    @app.errorhandler(Ours)
    async def handler(error: Ours) -> None:
        await websocket.close(4000, str(error))

    assert await end_of(app) == ([], 4000, "oh")
    assert logged(caplog) == []


async def test_a_response_that_comes_too_late_leaves_the_error_logged(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    error = Ours("oh")

    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        raise error

    app.errorhandler(Ours)(lambda error: ("a page", 500))
    assert await end_of(app) == ([], 1011, "")
    assert logged(caplog) == [error]


async def test_a_handler_that_fails_after_accepting_is_logged_too(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    error, second = Ours("oh"), KeyError("second")

    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        raise error

    @app.errorhandler(Ours)
    async def handler(error: Ours) -> None:
        raise second

    assert await end_of(app) == ([], 1011, "")
    assert logged(caplog) == [error, second]


async def test_abort_after_accepting_is_an_error(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        abort(404)

    assert await end_of(app) == ([], 1011, "")
    assert [type(error) for error in logged(caplog)] == [NotFound]


async def test_a_response_after_accepting_is_an_error_that_names_the_handler(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/")
    async def talkative() -> Any:
        await websocket.accept()
        return "Bye", 200

    assert await end_of(app) == ([], 1011, "")
    [error] = logged(caplog)
    assert isinstance(error, WebSocketStateError)
    assert "talkative()" in str(error)
    assert "test_websocket.py" in str(error)


async def test_a_hooks_response_after_accepting_is_an_error_that_names_the_hook(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    @app.before_websocket
    async def check_token() -> Any:
        return None if await websocket.receive() == "good" else ("bad token", 401)

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("welcome")

    async with app.test_client().websocket("/") as ws:
        await ws.send("good")
        assert await ws.receive() == "welcome"
    assert logged(caplog) == []

    async with app.test_client().websocket("/") as ws:
        await ws.send("bad")
        with pytest.raises(WebsocketDisconnectError) as caught:
            await ws.receive()
    assert (caught.value.code, caught.value.reason) == (1011, "")
    [error] = logged(caplog)
    assert isinstance(error, WebSocketStateError)
    assert "check_token()" in str(error)
    assert "bad token" in str(error)


async def test_a_hooks_response_after_closing_is_an_error(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.before_websocket
    async def turn_away() -> Any:
        await websocket.accept()
        await websocket.close(4001)
        return "bad token", 401

    app.websocket("/")(raising(Ours("is called")))
    assert await end_of(app) == ([], 4001, "")
    assert [type(error) for error in logged(caplog)] == [WebSocketStateError]


@pytest.mark.parametrize("way", ["after_websocket", "after_this_websocket"])
async def test_an_after_hooks_response_to_an_accepted_websocket_is_an_error_that_names_the_hook(
    app: Triows, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    async def too_late(response: Response | None) -> Any:
        return response or "too late"

    if way == "after_websocket":
        app.after_websocket(too_late)

    @app.websocket("/")
    async def handler() -> None:
        if way == "after_this_websocket":
            after_this_websocket(too_late)
        await websocket.accept()

    assert await end_of(app) == ([], 1011, "")
    [error] = logged(caplog)
    assert isinstance(error, WebSocketStateError)
    assert "too_late()" in str(error)


async def test_a_response_of_an_error_handler_that_accepts_is_an_error_that_names_it(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    app.websocket("/")(raising(Ours("early")))

    @app.errorhandler(Ours)
    async def apologise(error: Ours) -> Any:
        await websocket.send("sorry")
        return "a page", 500

    assert await end_of(app) == (["sorry"], 1011, "")
    [error] = logged(caplog)
    assert isinstance(error, WebSocketStateError)
    assert "apologise()" in str(error)


async def test_a_response_after_closing_is_an_error(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def handler() -> Any:
        await websocket.accept()
        await websocket.close(4000)
        return "Bye"

    assert await end_of(app) == ([], 4000, "")
    assert [type(error) for error in logged(caplog)] == [WebSocketStateError]


async def test_several_errors_after_accepting_are_all_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    errors = [ValueError("one"), KeyError("two")]
    children = raising_in_children(*errors)

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await children()

    assert await end_of(app) == ([], 1011, "")
    assert logged(caplog) == errors


async def test_broken_json_has_an_answer_of_its_own(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def handler() -> None:
        await websocket.receive_json()

    async with app.test_client().websocket("/") as ws:
        await ws.send("{")
        with pytest.raises(WebsocketDisconnectError) as caught:
            await ws.receive()
    assert caught.value.code == 1007
    assert logged(caplog) == []


async def test_broken_json_finds_its_error_handler(app: Triows) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.receive_json()

    @app.errorhandler(JSONMessageError)
    async def handler(error: JSONMessageError) -> None:
        await websocket.close(4000, str(error.message))

    async with app.test_client().websocket("/") as client:
        await client.send("{")
        with pytest.raises(WebsocketDisconnectError) as caught:
            await client.receive()
    assert (caught.value.code, caught.value.reason) == (4000, "{")


async def test_broken_json_beside_another_error_is_an_error(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    errors = [JSONMessageError("text", "{"), KeyError("two")]
    children = raising_in_children(*errors)

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await children()

    assert await end_of(app) == ([], 1011, "")
    assert logged(caplog) == errors


async def test_websocket_closed_in_a_child_is_the_normal_end(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/")
    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(websocket.receive)
            await wait_all_tasks_blocked()
            await websocket.close(4000)

    app.errorhandler(WebSocketClosed)(lambda error: pytest.fail("a normal end has no error handler"))
    assert await end_of(app) == ([], 4000, "")
    assert logged(caplog) == []


async def test_an_error_beside_websocket_closed_is_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    error = Ours("beside")

    @app.websocket("/")
    async def handler() -> None:
        async def child() -> None:
            try:
                await websocket.receive()
            finally:
                raise error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            await wait_all_tasks_blocked()
            await websocket.close(4000)

    assert await end_of(app) == ([], 4000, "")
    assert logged(caplog) == [error]


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("overridden", [False, True])
async def test_the_after_hooks_are_called_after_a_handler_that_has_failed(
    app: Triows, handled: bool, overridden: bool
) -> None:
    calls: list[Any] = []
    finalize, postprocess = app.finalize_websocket, app.postprocess_websocket
    if overridden:

        async def finalize_websocket(result: Any, *args: Any) -> Response | None:
            calls.append("finalize")
            return await finalize(result, *args)

        async def postprocess_websocket(response: Response | None, *args: Any) -> Response | None:
            calls.append("postprocess")
            return await postprocess(response, *args)

        app.finalize_websocket = finalize_websocket  # type: ignore[method-assign]
        app.postprocess_websocket = postprocess_websocket  # type: ignore[method-assign]

    @app.websocket("/")
    async def failing() -> None:
        await websocket.accept()
        raise Ours("late")

    @app.after_websocket
    async def after(response: Response | None) -> None:
        calls.append(response)

    if handled:
        app.errorhandler(Ours)(lambda error: None)
    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    assert calls == (["finalize", "postprocess", None] if overridden else [None])
