"""Background tasks: when they start and end, and what becomes of their crashes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, current_app, g, request, session, url_for


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
        "ending it by force"
    ]


async def test_a_function_that_yields_is_no_background_task() -> None:
    app = Triows(__name__)

    async def task() -> AsyncIterator[None]:
        yield

    async with app.test_app():
        with pytest.raises(TypeError, match=r"yields, .* iterate over it in an async function"):
            app.add_background_task(task)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_background_function_has_an_app_context_of_its_own_and_the_request(is_async: bool) -> None:
    app = Triows(__name__)
    app.secret_key = "secret"
    seen: list[object] = []
    closed: set[str | None] = set()
    request_over, all_over = trio.Event(), trio.Event()

    def look() -> None:
        seen.extend([current_app.name, request.path, session["user"], "user" in g, url_for("view")])
        g.connection = "opened"

    async def look_later() -> None:
        await request_over.wait()
        look()

    @app.teardown_appcontext
    async def close(error: BaseException | None) -> None:
        closed.add(g.pop("connection", None))
        if len(closed) == 2:
            all_over.set()

    @app.get("/view", endpoint="view")
    async def view() -> str:
        g.user = session["user"] = "Ann"
        app.add_background_task(look_later if is_async else look)
        return ""

    async with app.test_app() as tested:
        assert (await tested.test_client().get("/view")).status_code == 200
        request_over.set()
        await all_over.wait()
    assert seen == [__name__, "/view", "Ann", False, "/view"]
    assert closed == {None, "opened"}


async def test_the_teardown_of_a_background_function_gets_its_error(caplog: pytest.LogCaptureFixture) -> None:
    app = Triows(__name__)
    failure, errors = ValueError("crashed"), list[BaseException | None]()
    app.teardown_appcontext(errors.append)

    async def crash(name: str) -> None:
        raise failure

    async with app.test_app():
        app.add_background_task(crash, name="Ann")
        await wait_all_tasks_blocked()
    assert errors == [failure, None]
    [record] = caplog.records
    assert record.getMessage().startswith("background task test_the_teardown")
    assert "crash() (" in record.getMessage()


async def test_a_view_that_is_not_async_may_start_a_background_function() -> None:
    app = Triows(__name__)
    done, seen = trio.Event(), list[str]()

    async def work(word: str) -> None:
        seen.append(f"{word} {request.path}")
        done.set()

    @app.get("/view")
    def view() -> str:
        app.add_background_task(work, word="done")
        return ""

    async with app.test_app() as tested:
        assert (await tested.test_client().get("/view")).status_code == 200
        await done.wait()
    assert seen == ["done /view"]


async def test_a_background_function_without_a_serving_app_says_how() -> None:
    app = Triows(__name__)

    async def work() -> None: ...

    @app.get("/")
    async def view() -> str:
        app.add_background_task(work)
        return ""

    with pytest.raises(RuntimeError, match=r"add_background_task\(.*work\(\) .*'async with app\.test_app\(\):'"):
        await app.test_client().get("/")


async def test_the_log_names_the_function_of_a_background_task_that_failed(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    async def takes_one(one: int) -> None: ...

    async with app.test_app():
        app.add_background_task(takes_one)
        app.add_background_task(partial(takes_one))
        await wait_all_tasks_blocked()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert all("takes_one() (" in message for message in messages)


async def test_a_view_of_an_app_that_does_not_serve_is_told_how_to_add_a_background_task(app: Triows) -> None:
    app.get("/", endpoint="index")(lambda: app.add_background_task(trio.sleep, 0) or "added")  # type: ignore[func-returns-value]
    remedy = r"no task outlives what started it; in tests, use 'async with app\.test_app\(\):' around the client"
    with pytest.raises(RuntimeError, match=remedy):
        await app.test_client().get("/")
    async with app.test_app() as test_app:
        assert (await test_app.test_client().get("/")).status_code == 200
