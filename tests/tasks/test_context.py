"""The context: which tasks and threads have it, and what is left of it afterwards.

Tests triows/web/context.py.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import (
    Triows,
    copy_current_app_context,
    copy_current_request_context,
    copy_current_websocket_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    stream_with_context,
    websocket,
)


async def get(app: Triows, path: str = "/") -> Any:
    return await (await app.test_client().get(path)).get_json()


# Child tasks


async def test_child_tasks_of_the_handlers_nursery_see_the_context() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler() -> None:
        async def child() -> None:
            await websocket.send_json([current_app.name, websocket.path, g.word])

        g.word = "shared"
        websocket.nursery.start_soon(child)

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive_json() == ["tested", "/", "shared"]


async def test_child_tasks_of_any_depth_see_the_context() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        found = []

        async def child(depth: int) -> None:
            if depth:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(child, depth - 1)
            else:
                found.extend([current_app.name, request.path, g.word])

        g.word = "shared"
        await child(3)
        return found

    assert await get(app) == ["tested", "/", "shared"]


async def test_child_tasks_started_with_start_see_the_context() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        async def child(task_status: trio.TaskStatus[str]) -> None:
            task_status.started(request.path)

        return [await request.nursery.start(child)]

    assert await get(app) == ["/"]


async def test_tasks_in_a_nursery_from_elsewhere_see_the_context() -> None:
    app = Triows("tested")
    seen = []

    async with trio.open_nursery() as elsewhere:

        @app.get("/")
        async def view() -> Any:
            async def child() -> None:
                seen.append((request.path, current_app.name))

            elsewhere.start_soon(child)
            return {}

        await get(app)
    assert seen == [("/", "tested")]


async def test_tasks_in_the_apps_nursery_see_the_handlers_context() -> None:
    app = Triows("tested")
    done = trio.Event()
    seen = []

    @app.get("/")
    async def view() -> Any:
        async def child() -> None:
            seen.append((request.path, current_app.name))
            done.set()

        app.nursery.start_soon(child)
        return {}

    async with app.test_app() as test_app:
        await test_app.test_client().get("/")
        await done.wait()
    assert seen == [("/", "tested")]


async def test_tasks_that_start_up_starts_see_the_app() -> None:
    app = Triows("tested")
    seen = []

    @app.before_serving
    async def start() -> None:
        async def child() -> None:
            seen.append((current_app.name, has_request_context()))

        app.nursery.start_soon(child)

    async with app.test_app():
        await wait_all_tasks_blocked()
    assert seen == [("tested", False)]


async def test_what_a_child_sets_in_g_its_parent_sees() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        async def child() -> None:
            g.word = "from the child"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        return [g.word]

    assert await get(app) == ["from the child"]


async def test_a_stream_sees_the_context() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield request.path
        await trio.lowlevel.checkpoint()
        yield current_app.name

    assert await (await app.test_client().get("/")).get_data() == b"/tested"


async def test_stream_with_context_changes_nothing() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        @stream_with_context
        async def pieces() -> AsyncIterator[str]:
            yield request.path

        return pieces()

    assert await (await app.test_client().get("/")).get_data() == b"/"


async def test_a_synchronous_view_sees_the_context_in_its_thread() -> None:
    app = Triows("tested")
    main = threading.get_ident()

    @app.get("/<name>")
    def view(name: str) -> Any:
        g.word = name
        return [current_app.name, request.path, g.word, threading.get_ident() != main]

    assert await get(app, "/x") == ["tested", "/x", "x", True]


async def test_a_thread_that_a_handler_starts_sees_the_context() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        return [await trio.to_thread.run_sync(lambda: request.path)]

    assert await get(app) == ["/"]


async def test_a_thread_may_call_back_into_the_context() -> None:
    app = Triows("tested")

    @app.post("/")
    def view() -> Any:
        return trio.from_thread.run(request.get_json)

    assert await (await app.test_client().post("/", json=[1])).get_json() == [1]


# Concurrent connections


async def test_concurrent_websockets_do_not_see_each_other() -> None:
    app = Triows("tested")

    @app.websocket("/<name>")
    async def handler(name: str) -> None:
        g.name = name
        async for _ in websocket:
            await websocket.send_json([g.name, websocket.path])

    client = app.test_client()
    async with client.websocket("/a") as a, client.websocket("/b") as b:
        for ws, name in ((a, "a"), (b, "b"), (a, "a")):
            await ws.send("")
            assert await ws.receive_json() == [name, f"/{name}"]


async def test_concurrent_requests_do_not_see_each_other() -> None:
    app = Triows("tested")
    both = trio.Event()
    waiting = []

    @app.get("/<name>")
    async def view(name: str) -> Any:
        g.name = name
        waiting.append(name)
        if len(waiting) == 2:
            both.set()
        await both.wait()
        return [g.name, request.path]

    answers = []

    async def ask(name: str) -> None:
        answers.append(await get(app, f"/{name}"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "a")
        nursery.start_soon(ask, "b")
    assert sorted(answers) == [["a", "/a"], ["b", "/b"]]


async def test_g_is_new_for_each_request() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        before = "word" in g
        g.word = "set"
        return [before]

    assert [await get(app), await get(app)] == [[False], [False]]


async def test_two_apps_are_told_apart() -> None:
    outer, inner = Triows("outer"), Triows("inner")
    inner.get("/", endpoint="view")(lambda: [current_app.name])

    @outer.get("/")
    async def view() -> Any:
        return [current_app.name, *await get(inner), current_app.name]

    assert await get(outer) == ["outer", "inner", "outer"]


async def test_nothing_is_left_in_the_context_afterwards() -> None:
    app = Triows("tested")
    app.get("/", endpoint="view")(dict)
    await get(app)
    assert not has_app_context()


# Contexts made by hand


async def test_an_app_context_is_entered_and_left() -> None:
    app = Triows("tested")
    errors = []
    app.teardown_appcontext(errors.append)
    async with app.app_context():
        assert current_app == app
    assert not has_app_context()
    assert errors == [None]


async def test_the_teardown_of_an_app_context_gets_its_error() -> None:
    app = Triows("tested")
    errors = []
    app.teardown_appcontext(errors.append)
    failure = ValueError()
    with pytest.raises(ValueError):
        async with app.app_context():
            raise failure
    assert errors == [failure]
    assert not has_app_context()


async def test_app_contexts_nest() -> None:
    one, two = Triows("one"), Triows("two")
    async with one.app_context():
        async with two.app_context():
            assert current_app.name == "two"
        assert current_app.name == "one"


async def test_a_copied_context_is_there_in_tasks_that_did_not_inherit_it() -> None:
    app = Triows("tested")
    jobs_in, jobs_out = trio.open_memory_channel[Any](1)
    seen: list[Any] = []

    async def worker() -> None:
        async with jobs_out:
            async for job in jobs_out:
                await job()
                assert not has_request_context()

    @app.get("/")
    async def view() -> Any:
        @copy_current_request_context
        async def job() -> None:
            seen.append(request.path)

        await jobs_in.send(job)
        return {}

    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker)
        await wait_all_tasks_blocked()
        await get(app)
        await jobs_in.aclose()
    assert seen == ["/"]


async def test_a_copied_context_serves_plain_functions_in_foreign_threads() -> None:
    app = Triows("tested")
    seen = []

    @app.websocket("/")
    async def handler() -> None:
        bound = copy_current_websocket_context(lambda: seen.append(websocket.path))
        thread = threading.Thread(target=bound)
        thread.start()
        await trio.to_thread.run_sync(thread.join)
        await websocket.send("done")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "done"
    assert seen == ["/"]


@pytest.mark.parametrize(
    "copied", [copy_current_app_context, copy_current_request_context, copy_current_websocket_context]
)
def test_copying_a_context_that_is_not_there_says_so(copied: Any) -> None:
    def work() -> None: ...

    with pytest.raises(RuntimeError, match=r"copying the context for work\(\)"):
        copied(work)


# Parameters in place of the globals


async def test_what_functions_in_threads_set_is_gone_and_g_stays() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="nothing")
    app = Triows(__name__)

    @app.before_request
    def set_in_a_thread() -> None:
        variable.set("set")
        g.value = "set"

    @app.before_request
    async def look() -> None:
        g.seen = variable.get()

    @app.get("/")
    async def view() -> list[str]:
        return [g.seen, g.value]

    assert await (await app.test_client().get("/")).get_json() == ["nothing", "set"]
