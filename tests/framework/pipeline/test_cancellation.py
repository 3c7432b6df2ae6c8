"""HTTP handlers are cancelled when their client goes away, whatever they do; a client that stays cancels nothing.

Tests triows/connection/base.py and triows/framework/pipeline/http.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import CancelledSwallowedError, Response, Triows, request
from triows.testing import TestHTTPConnection


@pytest.fixture
def events() -> list[Any]:
    return []


async def leave(connection: TestHTTPConnection) -> None:
    await wait_all_tasks_blocked()
    await connection.disconnect()


async def sleep_noting(events: list[Any], name: str) -> None:
    try:
        await trio.sleep_forever()
    finally:
        events.append(name)


# Waiting


async def test_a_long_poll_is_cancelled(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> str:
        await sleep_noting(events, "cancelled")
        return "unreachable"

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await leave(connection)
    assert events == ["cancelled"]


async def test_the_cancellation_has_its_reason_and_the_disconnect_its_kind(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> str:
        assert request.disconnect is None
        try:
            await trio.sleep_forever()
        except trio.Cancelled as error:
            assert request.disconnect is not None
            events.extend([request.disconnect.kind, request.disconnect.code, error.reason])
            raise
        return "unreachable"

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await leave(connection)
    kind, code, reason = events
    assert (kind, code) == ("lost", 1006)
    assert reason.startswith("request disconnected: 1006")


async def test_every_task_of_the_handler_is_cancelled(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> str:
        request.nursery.start_soon(sleep_noting, events, "own nursery")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleep_noting, events, "another nursery")
        return "unreachable"

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await leave(connection)
    assert sorted(events) == ["another nursery", "own nursery"]


async def test_a_handler_that_waits_for_its_children_is_cancelled(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> str:
        request.nursery.start_soon(sleep_noting, events, "child")
        return "held back by the child"

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await leave(connection)
    assert events == ["child"]


@pytest.mark.parametrize("hook", ["before_request", "after_request"])
async def test_hooks_are_cancelled(app: Triows, events: list[Any], hook: str) -> None:
    @getattr(app, hook)
    async def waiting(*args: Any) -> None:
        await sleep_noting(events, hook)

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await leave(connection)
    assert events == [hook]


async def test_a_client_that_only_ends_its_side_is_gone_too(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> str:
        await sleep_noting(events, "cancelled")
        return "unreachable"

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await wait_all_tasks_blocked()
        await connection._stream.send_eof()
        await wait_all_tasks_blocked()
        assert events == ["cancelled"]
        await connection.disconnect()


async def test_a_cleanup_may_take_its_time_in_a_shield(
    app: Triows, events: list[Any], autojump_clock: MockClock
) -> None:
    @app.get("/")
    async def view() -> str:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
                events.append("cleaned up")
        return "unreachable"

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await leave(connection)
    assert events == ["cleaned up"]


async def test_a_swallowed_cancellation_is_found_out(app: Triows) -> None:
    @app.get("/")
    async def greedy() -> str:
        try:
            await trio.sleep_forever()
        except BaseException:  # the mistake under test
            pass
        return "too late"

    with pytest.raises(CancelledSwallowedError, match="greedy"):
        async with app.test_client().request("/") as connection:
            await connection.send_complete()
            await leave(connection)


async def test_a_disconnect_is_not_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def view() -> str:
        await trio.sleep_forever()
        return "unreachable"

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await leave(connection)
    assert caplog.records == []


async def test_a_thread_is_waited_for_and_then_the_handler_cancelled(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    def view() -> str:
        trio.from_thread.run_sync(working.set)
        trio.from_thread.run(may_end.wait, trio_token=token)
        events.append("thread ended")
        return "too late"

    @app.after_request
    async def after(response: Response) -> Response:
        await trio.lowlevel.checkpoint()
        events.append("unreachable")
        return response

    token = trio.lowlevel.current_trio_token()
    working, may_end = trio.Event(), trio.Event()
    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await working.wait()
        await connection.disconnect()
        may_end.set()
    assert events == ["thread ended"]


# Uploading


async def upload(app: Triows, read: Callable[[], Awaitable[object]], events: list[Any]) -> None:
    """Leave in the middle of an upload to a view that reads the body in this way."""

    @app.post("/")
    async def view() -> str:
        try:
            await read()
        except trio.Cancelled:
            assert request.disconnect is not None
            events.append(request.disconnect.kind)
            raise
        return "unreachable"

    async with app.test_client().request("/", method="POST") as connection:
        await connection.send(b"half of ")
        await leave(connection)


async def test_an_upload_in_progress_is_cancelled(app: Triows, events: list[Any]) -> None:
    await upload(app, lambda: request.get_data(), events)
    assert events == ["lost"]


async def test_a_body_that_is_iterated_is_cancelled_after_what_arrived(app: Triows, events: list[Any]) -> None:
    async def read() -> None:
        async for piece in request.body:
            events.append(piece)

    await upload(app, read, events)
    assert events == [b"half of ", "lost"]


async def test_a_handler_that_does_not_read_its_upload_is_cancelled(app: Triows, events: list[Any]) -> None:
    await upload(app, trio.sleep_forever, events)
    assert events == ["lost"]


async def test_an_upload_that_is_cut_short_is_never_taken_for_whole(app: Triows, events: list[Any]) -> None:
    @app.post("/")
    async def view() -> str:
        events.append(await request.get_data())
        return "unreachable"

    async with app.test_client().request("/", method="POST", headers={"Content-Length": "10"}) as connection:
        await connection.send(b"12345")
        await leave(connection)
    assert events == []


# Streaming


async def test_a_stream_is_cancelled_and_runs_its_finally(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> AsyncIterator[str]:
        try:
            yield "first"
            await trio.sleep_forever()
        finally:
            assert request.disconnect is not None
            events.append(request.disconnect.kind)

    async with app.test_client().request("/") as connection:
        assert await connection.receive() == b"first"
        await leave(connection)
    assert events == ["lost"]


async def test_a_stream_that_waits_for_a_slow_client_is_cancelled(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            events.append("closed")

    async with app.test_client().request("/") as connection:
        connection.stall()
        await connection.send_complete()
        await leave(connection)
    assert events == ["closed"]


async def test_the_finally_of_a_stream_may_wait_in_a_shield(
    app: Triows, events: list[Any], autojump_clock: MockClock
) -> None:
    @app.get("/")
    async def view() -> AsyncIterator[str]:
        try:
            yield "first"
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
                events.append("cleaned up")

    async with app.test_client().request("/") as connection:
        assert await connection.receive() == b"first"
        await leave(connection)
    assert events == ["cleaned up"]


async def test_a_stream_that_has_not_begun_is_closed(app: Triows, events: list[Any]) -> None:
    class Stream:
        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> str:
            await sleep_noting(events, "cancelled")
            return ""

        async def aclose(self) -> None:
            events.append("closed")

    app.get("/", endpoint="view")(lambda: Stream())
    async with app.test_client().request("/") as connection:
        await connection.receive_head()
        await leave(connection)
    assert events == ["cancelled", "closed"]


async def test_server_sent_events_are_cancelled(app: Triows, events: list[Any], autojump_clock: MockClock) -> None:
    @app.get("/")
    async def view() -> Any:
        async def ticks() -> AsyncIterator[str]:
            number = 0
            try:
                while True:
                    yield f"data: {number}\n\n"
                    number += 1
                    await trio.sleep(1)
            finally:
                events.append(number)

        return ticks(), {"Content-Type": "text/event-stream"}

    async with app.test_client().request("/") as connection:
        for number in range(3):
            assert await connection.receive() == b"data: %d\n\n" % number
        await connection.disconnect()
    assert events == [3]


async def test_tasks_that_feed_a_stream_are_cancelled(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    async def view() -> Any:
        sender, receiver = trio.open_memory_channel[str](0)

        async def produce() -> None:
            async with sender:
                await sender.send("first")
                await sleep_noting(events, "producer")

        request.nursery.start_soon(produce)
        return receiver

    async with app.test_client().request("/") as connection:
        assert await connection.receive() == b"first"
        await leave(connection)
    assert events == ["producer"]


async def test_a_synchronous_stream_is_closed(app: Triows, events: list[Any]) -> None:
    @app.get("/")
    def view() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            events.append("closed")

    async with app.test_client().request("/") as connection:
        assert await connection.receive()
        connection.stall()
        await connection.disconnect()
    assert events == ["closed"]


# What does not cancel


async def test_a_client_that_waits_cancels_nothing(app: Triows, autojump_clock: MockClock) -> None:
    @app.get("/")
    async def view() -> str:
        await trio.sleep(3600)
        return "at last"

    assert await (await app.test_client().get("/")).get_data() == b"at last"


async def test_a_pipelined_request_is_no_disconnect(app: Triows) -> None:
    go_on = trio.Event()

    @app.get("/slow")
    async def slow() -> str:
        await go_on.wait()
        return "slow"

    async with app.test_client().request("/slow") as connection:
        await connection.send_complete()
        await connection._stream.send_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await wait_all_tasks_blocked()
        go_on.set()
        assert await connection.receive() == b"slow"


async def test_a_timeout_of_the_views_own_is_its_own_affair(app: Triows, autojump_clock: MockClock) -> None:
    @app.get("/")
    async def view() -> Any:
        with trio.move_on_after(1) as scope:
            await trio.sleep_forever()
        return [scope.cancelled_caught, request.disconnect]

    assert await (await app.test_client().get("/")).get_json() == [True, None]
