"""What a test is told of when something fails, and that nothing is left behind.

Tests triows/testing/serving.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import (
    CancelledSwallowedError,
    Triows,
    websocket,
)
from triows.testing import (
    WebsocketDisconnectError,
    WebsocketResponseError,
)


@pytest.fixture
def app(app: Triows) -> Triows:
    @app.get("/broken")
    async def broken() -> str:
        raise ValueError("out of order")

    @app.websocket("/broken")
    async def broken_websocket() -> None:
        raise ValueError(await websocket.receive())

    return app


# Errors


async def test_a_handlers_error_is_raised_unwrapped_by_a_request(app: Triows) -> None:
    with pytest.raises(ValueError, match="out of order"):
        await app.test_client().get("/broken")


async def test_a_handlers_error_is_raised_unwrapped_by_receive(app: Triows) -> None:
    async with app.test_client().websocket("/broken") as ws:
        await ws.send("first")
        with pytest.raises(ValueError, match="first"):
            await ws.receive()
        assert ws.close_code == 1011
        # It was seen: from here on the connection is just over.
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()


@pytest.mark.parametrize("call", ["send", "close", "wait_closed", "nothing"])
async def test_a_handlers_error_is_raised_at_the_latest_at_the_end(app: Triows, call: str) -> None:
    with pytest.raises(ValueError, match="first"):
        async with app.test_client().websocket("/broken") as ws:
            await ws.send("first")
            await wait_all_tasks_blocked()
            if call != "nothing":
                await getattr(ws, call)(*(["x"] if call == "send" else []))
                pytest.fail("unreachable")


async def test_an_error_before_accepting_wins_over_the_rejection_that_it_made(app: Triows) -> None:
    @app.websocket("/early")
    async def early() -> None:
        raise ValueError("early")

    async with app.test_client().websocket("/early") as ws:
        with pytest.raises(ValueError, match="early"):
            await ws.receive()
        assert ws.status_code == 500
    with pytest.raises(ValueError, match="early"):
        async with app.test_client().websocket("/early"):
            pass


async def test_an_error_of_a_child_task_is_raised_unwrapped(app: Triows) -> None:
    async def child() -> None:
        await trio.sleep(0)
        raise KeyError("child")

    @app.websocket("/parent")
    async def parent() -> None:
        websocket.nursery.start_soon(child)
        await websocket.receive()

    with pytest.raises(KeyError, match="child"):
        async with app.test_client().websocket("/parent") as ws:
            await ws.receive()


async def test_a_failure_of_the_test_comes_out_as_it_is(app: Triows) -> None:
    class Stop(BaseException):
        pass

    for error in (AssertionError("wrong"), Stop(), KeyError("x"), StopAsyncIteration()):
        with pytest.raises(type(error)) as caught:
            async with app.test_client().websocket("/echo"):
                raise error
        assert caught.value is error
        assert error.__context__ is None
        with pytest.raises(type(error)) as caught:
            async with app.test_client().request("/hello"):
                raise error
        assert caught.value is error


async def test_a_group_that_the_test_raises_stays_a_group(app: Triows) -> None:
    async def fail() -> None:
        raise ValueError("in a child")

    with pytest.raises(ExceptionGroup) as caught:
        async with app.test_client().websocket("/echo"), trio.open_nursery() as nursery:
            nursery.start_soon(fail)
    assert [str(error) for error in caught.value.exceptions] == ["in a child"]


async def test_a_failure_of_the_test_is_told_of_the_handlers_error(app: Triows) -> None:
    with pytest.raises(AssertionError) as caught:
        async with app.test_client().websocket("/broken") as ws:
            await ws.send("first")
            await wait_all_tasks_blocked()
            raise AssertionError("the test's own")
    assert caught.value.__notes__ == ["The handler failed too: ValueError('first')"]


async def test_the_handlers_error_wins_over_what_the_test_met_because_of_it(app: Triows) -> None:
    with pytest.raises(ValueError, match="first") as caught:
        async with app.test_client().websocket("/broken") as ws:
            await ws.send("first")
            await wait_all_tasks_blocked()
            raise WebsocketDisconnectError(1011)
    assert isinstance(caught.value.__context__, WebsocketDisconnectError)


async def test_a_swallowed_cancellation_is_raised(app: Triows) -> None:
    @app.websocket("/swallow")
    async def swallow() -> None:
        try:
            await websocket.receive()
        except BaseException:
            pass

    with pytest.raises(CancelledSwallowedError, match="swallow"):
        async with app.test_client().websocket("/swallow"):
            pass


async def test_what_an_error_handler_takes_is_not_raised(app: Triows) -> None:
    @app.errorhandler(ValueError)
    async def handle(error: ValueError) -> Any:
        return f"handled {error}", 400

    response = await app.test_client().get("/broken")
    assert (response.status_code, await response.get_data()) == (400, b"handled out of order")


async def test_errors_can_be_seen_as_a_client_sees_them(app: Triows) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    assert (await client.get("/broken")).status_code == 500
    async with client.websocket("/broken") as ws:
        await ws.send("x")
        with pytest.raises(WebsocketDisconnectError) as caught:
            await ws.receive()
        assert caught.value.code == 1011


async def test_what_stops_the_test_from_inside_a_handler_stops_it(app: Triows) -> None:
    @app.websocket("/fail")
    async def failing() -> None:
        pytest.fail("from inside")

    @app.get("/fail")
    async def failing_request() -> str:
        pytest.fail("from inside")

    with pytest.raises(pytest.fail.Exception, match="from inside"):
        await app.test_client().get("/fail")
    with pytest.raises(pytest.fail.Exception, match="from inside"):
        async with app.test_client().websocket("/fail") as ws:
            await ws.receive()


# Cancellation, and what is left behind


async def test_a_timeout_round_everything_cancels_everything(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    ends = []

    @app.websocket("/wait")
    async def wait() -> None:
        try:
            await websocket.receive()
        finally:
            ends.append("websocket")

    @app.get("/wait")
    async def wait_request() -> str:
        try:
            await trio.sleep_forever()
        finally:
            ends.append("request")

    with pytest.raises(trio.TooSlowError), trio.fail_after(5):
        async with app.test_client().websocket("/wait") as ws:
            await ws.receive()
    with pytest.raises(trio.TooSlowError), trio.fail_after(5):
        await app.test_client().get("/wait")
    with trio.move_on_after(5) as scope:
        async with app.test_client().request("/wait") as connection:
            await connection.receive()
    assert scope.cancelled_caught
    assert ends == ["websocket", "request", "request"]


async def test_what_is_cancelled_before_it_begins_ends_at_once(app: Triows) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await app.test_client().get("/hello")
    with trio.CancelScope() as websocket_scope:
        websocket_scope.cancel()
        async with app.test_client().websocket("/echo"):
            pass
    assert scope.cancelled_caught
    assert websocket_scope.cancelled_caught


class _Running(trio.abc.Instrument):
    """The tasks that were started since, and have not ended."""

    def __init__(self) -> None:
        self.tasks: set[trio.lowlevel.Task] = set()

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.tasks.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.tasks.discard(task)


async def test_no_task_outlives_its_block(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    running = _Running()
    trio.lowlevel.add_instrument(running)
    client = app.test_client()
    await client.get("/hello")
    for end in ("close", "disconnect", "reset", "ping"):
        async with client.websocket("/echo") as ws:
            await ws.send("x")
            await getattr(ws, end)()
    with pytest.raises(KeyError):
        async with client.websocket("/echo"):
            raise KeyError
    with trio.move_on_after(1):
        async with client.websocket("/echo") as ws:
            await ws.receive()
    with pytest.raises(ValueError, match="x"):
        async with client.websocket("/broken") as ws:
            await ws.send("x")
            await ws.receive()
    with pytest.raises(WebsocketResponseError):
        async with client.websocket("/nowhere"):
            pass
    trio.lowlevel.remove_instrument(running)
    assert not running.tasks


async def test_connections_may_be_open_beside_each_other(app: Triows) -> None:
    client = app.test_client()
    async with client.websocket("/echo") as one, client.websocket("/echo") as two:
        await one.send("one")
        await two.send("two")
        assert await (await client.get("/hello")).get_data() == b"hello"
        assert await two.receive() == "two"
        assert await one.receive() == "one"
