from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, current_app, request


async def test_start_up_and_shutdown_nest() -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.before_serving
    async def before() -> None:
        assert current_app.name == __name__
        events.append("before")

    @app.after_serving
    def after() -> None:
        events.append("after")

    @app.while_serving
    async def during() -> AsyncIterator[None]:
        events.append("while")
        yield
        events.append("end while")

    @app.lifespan
    @asynccontextmanager
    async def life(app: Triows) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            events.append("life")
            yield
            events.append("end life")
            nursery.cancel_scope.cancel()

    async with app.test_app() as tested:
        assert tested.app is app
        assert events == ["before", "while", "life"]
    assert events[3:] == ["after", "end life", "end while"]


async def test_background_tasks_end_before_the_shutdown_functions_run() -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.after_serving
    async def after() -> None:
        await trio.lowlevel.checkpoint()
        events.append("after")

    async def background(name: str, *, loud: bool = False) -> None:
        try:
            await trio.sleep_forever()
        finally:
            events.append(name + "!" * loud)

    async with app.serving():
        app.nursery.start_soon(background, "one")
        await wait_all_tasks_blocked()
        app.add_background_task(background, "two", loud=True)
        await wait_all_tasks_blocked()
    assert sorted(events[:2]) == ["one", "two!"]
    assert events[2:] == ["after"]


async def test_start_up_functions_may_start_background_tasks() -> None:
    app = Triows(__name__)
    started = trio.Event()

    @app.before_serving
    async def before() -> None:
        async def background() -> None:
            started.set()

        app.nursery.start_soon(background)

    async with app.serving():
        await started.wait()


async def test_a_background_crash_is_logged_and_leaves_the_rest_alone(caplog: pytest.LogCaptureFixture) -> None:
    app = Triows(__name__)

    async def crash() -> None:
        raise ValueError("crashed")

    async with app.serving():
        app.nursery.start_soon(crash)
        await wait_all_tasks_blocked()
        await trio.lowlevel.checkpoint()
    [record] = caplog.records
    assert "crash" in record.message
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


@pytest.mark.parametrize("awaited", [False, True])
async def test_an_error_of_a_background_task_that_is_no_exception_ends_no_other(
    awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__)

    class Unusual(BaseException):
        pass

    async def crash(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        raise Unusual

    async with app.serving():
        app.nursery.start_soon(trio.sleep_forever)
        if awaited:
            await app.nursery.start(crash)
        else:
            app.nursery.start_soon(crash)
        await wait_all_tasks_blocked()
        assert len(app.nursery.child_tasks) == 1
        app.nursery.cancel_scope.cancel()
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is Unusual


@pytest.mark.parametrize("in_group", [False, True])
async def test_a_cancellation_that_is_none_of_a_background_task_is_its_crash_and_ends_no_other(
    in_group: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__)
    running = trio.Event()

    async def reuse() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                kept = cancelled
        raise BaseExceptionGroup("both", [ValueError("beside it"), kept]) if in_group else kept

    async def other() -> None:
        with trio.CancelScope(shield=True):
            await running.wait()

    async with app.serving():
        app.nursery.start_soon(other)
        app.nursery.start_soon(reuse)
        await wait_all_tasks_blocked()
        app.nursery.start_soon(trio.sleep, 0)  # it is open still
        running.set()
    assert len(caplog.records) == 1 + in_group
    assert all("reuse" in record.message for record in caplog.records)
    [*_, last] = caplog.records
    assert last.exc_info is not None
    assert "was kept, and raised again" in str(last.exc_info[1])


@pytest.mark.parametrize("where", ["before", "lifespan", "background", "after", "lifespan exit"])
async def test_what_ends_a_program_does_so_from_the_apps_life_too(where: str) -> None:
    app = Triows(__name__)

    async def leave() -> None:
        raise SystemExit("no database")

    if where == "before":
        app.before_serving(leave)
    if where == "after":
        app.after_serving(leave)
    if where == "background":

        @app.before_serving
        async def start() -> None:
            app.nursery.start_soon(leave)

    if where.startswith("lifespan"):

        @app.lifespan
        async def life() -> AsyncIterator[None]:
            if where == "lifespan":
                await leave()
            yield
            await leave()

    with pytest.raises(SystemExit, match="no database"):
        async with app.serving():
            if where == "background":
                await trio.sleep_forever()


async def test_a_background_crash_ends_the_app_if_asked() -> None:
    app = Triows(__name__)
    app.config["BACKGROUND_TASK_CRASH_STOPS"] = True

    async def crash() -> None:
        raise ValueError("crashed")

    with pytest.raises(ValueError, match="crashed"):
        async with app.serving():
            app.nursery.start_soon(crash)
            await trio.sleep_forever()


async def test_starting_a_background_task_waits_for_it() -> None:
    app = Triows(__name__)

    async def background(value: int, task_status: trio.TaskStatus[int]) -> None:
        if value < 0:
            raise ValueError(value)
        task_status.started(value)
        await trio.sleep_forever()

    async with app.serving():
        assert await app.nursery.start(background, 3) == 3
        with pytest.raises(ValueError, match="-1"):
            await app.nursery.start(background, -1)


async def test_start_up_errors_are_raised_unwrapped_and_undo_what_was_done() -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.while_serving
    async def first() -> AsyncIterator[None]:
        try:
            yield
        finally:
            events.append("undone")

    @app.while_serving
    async def second() -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(OSError, match="no database"):
        async with app.serving():
            pytest.fail("the app must not serve")
    assert events == ["undone"]


async def test_shutdown_errors_are_raised() -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.after_serving
    async def fails() -> None:
        raise OSError("flush failed")

    @app.after_serving
    async def follows() -> None:
        events.append("follows")

    with pytest.raises(OSError, match="flush failed"):
        async with app.serving():
            pass
    assert events == ["follows"]


async def test_the_body_error_is_the_one_that_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    app = Triows(__name__)

    @app.after_serving
    async def fails() -> None:
        raise OSError("flush failed")

    with pytest.raises(ValueError, match="body"):
        async with app.serving():
            raise ValueError("body")
    assert "flush failed" in caplog.text


async def test_several_servers_share_one_life() -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.while_serving
    async def during() -> AsyncIterator[None]:
        events.append("start")
        yield
        events.append("stop")

    async def server(ends: trio.Event) -> None:
        async with app.serving():
            await ends.wait()

    first, second = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server, first)
        nursery.start_soon(server, second)
        await wait_all_tasks_blocked()
        first.set()
        await wait_all_tasks_blocked()
        assert events == ["start"]
        second.set()
    assert events == ["start", "stop"]
    async with app.serving():
        pass
    assert events == ["start", "stop", "start", "stop"]


async def test_cancellation_waits_for_the_shutdown(autojump_clock: MockClock) -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.after_serving
    async def after() -> None:
        await trio.sleep(2)
        events.append("after")

    with trio.move_on_after(1):
        async with app.serving():
            await trio.sleep_forever()
    assert events == ["after"]
    assert trio.current_time() == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("kind", ["after_serving", "while_serving"])
async def test_a_shutdown_that_takes_too_long_is_cut_and_says_so(
    kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=3)

    async def after() -> None:
        await trio.sleep(100)

    async def during() -> Any:
        yield
        await trio.sleep(100)

    getattr(app, kind)(after if kind == "after_serving" else during)
    start = trio.current_time()
    async with app.serving():
        pass
    assert trio.current_time() - start == pytest.approx(3, abs=0.1)
    assert "shutdown was cut" in caplog.text


async def test_cancellation_ends_a_start_up_that_hangs(autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.before_serving
    async def before() -> None:
        await trio.sleep_forever()

    with trio.move_on_after(1) as scope:
        async with app.serving():
            pytest.fail("the app must not serve")
    assert scope.cancelled_caught


async def test_a_lifespan_whose_nursery_crashes_ends_the_app() -> None:
    app = Triows(__name__)

    async def crash() -> None:
        raise ValueError("crashed")

    @app.lifespan
    async def life() -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash)
            yield

    with pytest.raises(ValueError, match="crashed"):
        async with app.serving():
            await trio.sleep_forever()


def test_a_lifespan_is_an_async_generator() -> None:
    async def life() -> None: ...

    with pytest.raises(TypeError, match="yield"):
        Triows(__name__).lifespan(life)


def test_the_nursery_needs_a_serving_app() -> None:
    with pytest.raises(RuntimeError, match=r"app\.nursery"):
        _ = Triows(__name__).nursery


async def test_a_background_task_behind_a_shield_is_named_and_ended_when_the_time_is_over(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__, shutdown_timeout=7)

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    async with app.test_app():
        app.nursery.start_soon(stubborn)
        app.nursery.start_soon(trio.sleep_forever)
        start = trio.current_time()
    assert trio.current_time() - start == pytest.approx(7, abs=0.5)
    assert [record.getMessage() for record in caplog.records] == [
        f"background task {__name__}.{stubborn.__qualname__} has not ended within shutdown_timeout, 7.0 seconds; "
        "it is forced to"
    ]


async def test_what_is_for_the_start_up_cannot_be_added_after_it() -> None:
    app = Triows(__name__)

    async def around() -> AsyncIterator[None]:
        yield

    async with app.test_app():
        for add in (app.before_serving, app.while_serving, app.lifespan):
            with pytest.raises(RuntimeError, match="has started up already"):
                add(around)
    app.while_serving(around)


async def test_what_is_for_the_start_up_may_be_added_during_it() -> None:
    app = Triows(__name__)
    events: list[str] = []

    async def around() -> AsyncIterator[None]:
        events.append("around")
        yield

    @app.before_serving
    async def before() -> None:
        app.before_serving(lambda: events.append("before"))
        app.while_serving(around)

    async with app.test_app():
        assert events == ["before", "around"]


async def test_what_is_for_the_shutdown_may_be_added_until_then() -> None:
    app = Triows(__name__)
    events: list[str] = []
    async with app.test_app():
        app.after_serving(lambda: events.append("after"))
    assert events == ["after"]


async def test_a_function_that_yields_is_no_background_task() -> None:
    app = Triows(__name__)

    async def task() -> AsyncIterator[None]:
        yield

    async with app.test_app():
        with pytest.raises(TypeError, match=r"yields, .* iterate over it in an async function"):
            app.add_background_task(task)


async def test_tools_may_look_at_all_of_an_app_that_is_not_served() -> None:
    app = Triows(__name__)
    assert not hasattr(app, "nursery")
    assert "nursery" not in dict(inspect.getmembers(app))
    assert mock.create_autospec(app).name is not None
    async with app.test_app():
        assert hasattr(app, "nursery")
    with pytest.raises(RuntimeError, match=r"in tests, use 'async with app\.test_app"):
        app.nursery.start_soon(trio.sleep_forever)
    async with app.test_request_context("/"):
        assert not hasattr(request, "nursery")
        with pytest.raises(RuntimeError, match="only while the handler of this connection runs"):
            request.nursery.start_soon(trio.sleep_forever)
