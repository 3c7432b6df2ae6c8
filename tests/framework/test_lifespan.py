"""The app's life: what runs at its start and end and in which order, and what becomes of errors and cancellations."""

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
        assert events == ["life", "before", "while"]
    assert events[3:] == ["end while", "after", "end life"]


async def test_the_order_at_the_end_is_quarts() -> None:
    app = Triows(__name__)
    events: list[str] = []

    async def background() -> None:
        try:
            await trio.sleep_forever()
        finally:
            events.append("background")

    def around(name: str) -> Any:
        async def context() -> AsyncIterator[None]:
            yield
            events.append(name)

        return context

    for number in (1, 2):
        app.teardown_appcontext(lambda error, number=number: events.append(f"teardown {number}"))
        app.after_serving(lambda number=number: events.append(f"after {number}"))
        app.while_serving(around(f"while {number}"))
        app.lifespan(around(f"lifespan {number}"))
    async with app.test_app():
        app.add_background_task(background)
        app.nursery.start_soon(background)
        await wait_all_tasks_blocked()
    # The function of add_background_task() has an app context of its own, and the app's life has one.
    assert sorted(events[:4]) == ["background", "background", "teardown 1", "teardown 2"]
    assert events[4:] == [
        *("while 2", "while 1"),
        *("after 1", "after 2"),
        *("teardown 1", "teardown 2"),
        *("lifespan 2", "lifespan 1"),
    ]


async def test_what_follows_a_failure_at_the_end_still_runs() -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.while_serving
    async def fails() -> AsyncIterator[None]:
        yield
        raise OSError("flush failed")

    @app.lifespan
    async def life() -> AsyncIterator[None]:
        try:
            yield
        finally:
            events.append("lifespan")

    app.after_serving(lambda: events.append("after"))
    app.teardown_appcontext(lambda error: events.append(f"teardown {error!r}"))
    with pytest.raises(OSError, match="flush failed"):
        async with app.serving():
            pass
    assert events == ["after", "teardown OSError('flush failed')", "lifespan"]


async def test_a_failed_start_up_ends_the_background_tasks_before_what_was_opened() -> None:
    app = Triows(__name__)
    events: list[str] = []

    async def background() -> None:
        try:
            await trio.sleep_forever()
        finally:
            events.append("background")

    @app.lifespan
    async def first() -> AsyncIterator[None]:
        app.nursery.start_soon(background)
        await wait_all_tasks_blocked()
        try:
            yield
        finally:
            events.append("lifespan")

    @app.lifespan
    async def second() -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    app.after_serving(lambda: events.append("after"))
    with pytest.raises(OSError, match="no database"):
        async with app.serving():
            pytest.fail("the app must not serve")
    assert events == ["background", "lifespan"]


async def test_a_lifespan_whose_nursery_crashes_leaves_the_others_time_for_their_end() -> None:
    app = Triows(__name__)
    events: list[str] = []

    async def crash() -> None:
        raise ValueError("crashed")

    @app.while_serving
    async def during() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await trio.lowlevel.checkpoint()
            events.append("while")

    @app.lifespan
    async def life() -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash)
            yield

    @app.after_serving
    async def after() -> None:
        await trio.lowlevel.checkpoint()
        events.append("after")

    with pytest.raises(ValueError, match="crashed"):
        async with app.serving():
            await trio.sleep_forever()
    assert events == ["while", "after"]


async def test_a_shutdown_is_cut_once(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    app = Triows(__name__, shutdown_timeout=3)

    @app.while_serving
    @app.lifespan
    async def slow() -> AsyncIterator[None]:
        yield
        await trio.sleep(100)

    app.after_serving(trio.sleep_forever)
    start = trio.current_time()
    async with app.serving():
        pass
    assert trio.current_time() - start == pytest.approx(3, abs=0.1)
    assert len(caplog.records) == 1


async def test_a_lifespan_cannot_be_added_by_what_begins_after_it() -> None:
    app = Triows(__name__)

    async def late() -> AsyncIterator[None]:
        yield

    app.before_serving(lambda: app.lifespan(late))
    with pytest.raises(RuntimeError, match=r"late\(\).* register it before the app serves"):
        async with app.serving():
            pytest.fail("the app must not serve")


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
