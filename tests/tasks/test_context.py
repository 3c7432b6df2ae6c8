"""The context: what its proxies stand for in which task, what they say elsewhere, and parameters in their place."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import triows
from triows import (
    Request,
    Triows,
    WebSocket,
    copy_current_app_context,
    copy_current_request_context,
    copy_current_websocket_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    has_websocket_context,
    request,
    session,
    stream_with_context,
    websocket,
)

if TYPE_CHECKING:
    from somewhere import Unknown  # a name that exists for type checkers only


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


# Outside of any context


@pytest.mark.parametrize(
    ("proxy", "name", "words"),
    [
        (request, "path", "test_request_context"),
        (websocket, "path", r"websocket\.current\(\)"),
        (session, "new", "'session' is only available while"),
        (g, "user", "app_context"),
        (current_app, "name", r"app\.nursery"),
    ],
)
def test_a_proxy_outside_of_its_context_says_what_to_do(proxy: Any, name: str, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        getattr(proxy, name)


def test_setting_an_attribute_outside_of_the_context_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="'g' is only available"):
        g.word = "x"


def test_calling_a_method_outside_of_the_context_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="'websocket' is only available"):
        websocket.send("x")


def test_iterating_outside_of_the_context_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="'websocket' is only available"):
        aiter(websocket)


async def test_request_in_a_websocket_handler_points_to_websocket() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler() -> None:
        _ = request.path

    with pytest.raises(RuntimeError, match="in a websocket handler use 'websocket'"):
        async with app.test_client().websocket("/") as ws:
            await ws.receive()


async def test_websocket_in_a_request_is_not_there() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        return [websocket.path]

    with pytest.raises(RuntimeError, match="'websocket' is only available"):
        await get(app)


@pytest.mark.parametrize("proxy", [request, websocket, session, g, current_app])
def test_tools_may_look_at_proxies_outside_of_the_context(proxy: Any) -> None:
    assert not hasattr(proxy, "__wrapped__")
    assert inspect.unwrap(proxy) is proxy
    assert "none here" in repr(proxy)
    assert "none here" in str(proxy)
    assert not proxy
    assert dir(proxy) == []


async def test_what_is_in_the_context_can_be_asked() -> None:
    app = Triows("tested")

    def contexts() -> list[bool]:
        return [has_app_context(), has_request_context(), has_websocket_context()]

    @app.get("/")
    async def view() -> Any:
        return contexts()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send_json(contexts())

    assert contexts() == [False, False, False]
    assert await get(app) == [True, True, False]
    async with app.test_client().websocket("/") as ws:
        assert await ws.receive_json() == [True, False, True]
    async with app.app_context():
        assert contexts() == [True, False, False]


# What proxies do like the object


async def test_a_missing_attribute_is_an_attribute_error() -> None:
    app = Triows("tested")
    async with app.test_request_context("/"):
        with pytest.raises(AttributeError, match="nothing"):
            _ = request.nothing
        assert not hasattr(request, "nothing")
        assert getattr(current_app, "nothing", 5) == 5


async def test_an_attribute_error_inside_of_a_property_is_not_hidden() -> None:
    class Broken(Request):
        @property
        def user(self) -> str:
            return self.no_such_thing

    app = Triows("tested")
    app.request_class = Broken
    async with app.test_request_context("/"):
        with pytest.raises(AttributeError, match="no_such_thing"):
            _ = request.user


async def test_a_runtime_error_inside_of_a_property_is_its_own() -> None:
    app = Triows("tested")
    async with app.test_request_context("/"):
        with pytest.raises(RuntimeError, match="nursery"):
            _ = request.nursery


async def test_a_proxy_is_what_it_stands_for() -> None:
    app = Triows("tested")
    async with app.test_request_context("/"):
        real = request._get_current_object()
        assert request.current() is real
        assert isinstance(real, Request)
        assert (request == real, request != real, hash(request) == hash(real)) == (True, False, True)
        assert (repr(request), str(request), bool(current_app)) == (repr(real), str(real), True)
        assert "path" in dir(request)


async def test_g_is_a_namespace() -> None:
    app = Triows("tested")
    async with app.app_context():
        g.one = 1
        assert ("one" in g, "two" in g, list(g)) == (True, False, ["one"])
        assert (g.get("one"), g.get("two"), g.get("two", 2)) == (1, None, 2)
        assert (g.setdefault("one", 5), g.setdefault("three", 3), g.three) == (1, 3, 3)
        assert (g.pop("three"), g.pop("three", None)) == (3, None)
        with pytest.raises(KeyError):
            g.pop("three")
        del g.one
        with pytest.raises(AttributeError, match=r"set g\.one in this context first"):
            _ = g.one
        assert repr(g) == "<g {}>"


async def test_the_session_is_a_dict() -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        session["a"] = 1
        assert (session["a"], len(session), "a" in session, list(session)) == (1, 1, True, ["a"])
        del session["a"]
        assert not session
        assert (session | {"b": 2}, {"b": 2} | session) == ({"b": 2}, {"b": 2})
        session.update(c=3)
        assert dict(session) == {"c": 3}


async def test_the_session_may_be_updated_in_place() -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        triows.session |= {"a": 1}
        assert triows.session["a"] == 1
        assert triows.session is session


async def test_current_app_may_be_called_like_the_app() -> None:
    app = Triows("tested")
    async with app.app_context():
        with pytest.raises(ValueError, match="unknown"):
            await current_app({"type": "unknown"}, None, None)  # type: ignore[arg-type]


async def test_a_websocket_proxy_is_iterated_like_the_websocket() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler() -> None:
        async for message in websocket:
            await websocket.send(message)

    async with app.test_client().websocket("/") as ws:
        await ws.send("x")
        assert await ws.receive() == "x"


async def test_isinstance_sees_the_object() -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        assert isinstance(request, Request)
        assert isinstance(current_app, Triows)
        assert isinstance(session, dict)
    assert not isinstance(request, Request)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda proxy: pickle.loads(pickle.dumps(proxy))])
async def test_a_copy_of_a_proxy_is_one_of_the_object(copied: Callable[[Any], Any]) -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        session["a"] = 1
        g.word = "x"
        copies = copied(session), copied(g)
        session["a"] = 2
        g.word = "y"
    assert copies[0] == {"a": 1}
    assert copies[1].word == "x"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_proxy_is_not_copied_outside_of_its_context(copied: Callable[[Any], Any]) -> None:
    with pytest.raises(RuntimeError, match="'g' is only available"):
        copied(g)


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


async def test_a_test_request_context_is_like_a_request() -> None:
    app = Triows("tested")
    app.put("/<name>", endpoint="view")(lambda name: "")
    options: dict[str, Any] = {"method": "PUT", "headers": {"X-A": "1"}, "json": {"b": 2}, "scheme": "https"}
    async with app.test_request_context("/a?c=3", **options):
        assert (request.method, request.path, request.headers["x-a"]) == ("PUT", "/a", "1")
        assert (request.endpoint, request.view_args) == ("view", {"name": "a"})
        assert (request.args["c"], request.url) == ("3", "https://localhost/a?c=3")
        assert await request.get_json() == {"b": 2}


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"data": "text"}, b"text"),
        ({"data": b"\xff"}, b"\xff"),
        ({"form": {"a": "1"}}, b"a=1"),
        ({"json": None}, b""),
        ({}, b""),
    ],
)
async def test_a_test_request_context_has_a_body(options: dict[str, Any], body: bytes) -> None:
    async with Triows("tested").test_request_context("/", method="POST", **options):
        assert await request.get_data() == body


async def test_a_test_request_context_takes_a_query() -> None:
    async with Triows("tested").test_request_context("/", query_string={"a": ["1", "2"]}):
        assert request.args.getlist("a") == ["1", "2"]


async def test_a_test_request_context_without_a_route_says_why() -> None:
    async with Triows("tested").test_request_context("/nowhere"):
        assert getattr(request.routing_exception, "code", None) == 404


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


async def test_a_websocket_is_given_to_an_annotated_parameter() -> None:
    app = Triows("tested")

    @app.websocket("/<int:room>")
    async def handler(socket: WebSocket, room: int) -> None:
        assert socket is websocket.current()
        await socket.send_json(room)

    async with app.test_client().websocket("/3") as ws:
        assert await ws.receive_json() == 3


async def test_a_request_is_given_to_an_annotated_parameter() -> None:
    app = Triows("tested")

    @app.get("/<name>")
    async def view(name: str, req: Request) -> Any:
        return [name, req.path, req is request.current()]

    assert await get(app, "/x") == ["x", "/x", True]


async def test_a_synchronous_view_may_take_the_request() -> None:
    app = Triows("tested")

    @app.get("/")
    def view(req: Request) -> Any:
        return [req.path]

    assert await get(app) == ["/"]


async def test_a_generator_may_take_the_request() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view(req: Request) -> AsyncIterator[str]:
        yield req.path

    assert await (await app.test_client().get("/")).get_data() == b"/"


async def test_a_subclass_is_given_to_its_parameter() -> None:
    class Own(Request):
        word = "own"

    app = Triows("tested")
    app.request_class = Own

    async def view(req: Any) -> Any:
        return [req.word]

    view.__annotations__["req"] = Own
    app.add_url_rule("/", "view", view)
    assert await get(app) == ["own"]


@pytest.mark.parametrize("text", ["Request", "triows.Request", "'Request'", '"Request"'])
async def test_an_annotation_may_be_text(text: str) -> None:
    app = Triows("tested")

    async def view(req: Any, other: Unknown | None = None) -> Any:
        return [req.path]

    view.__annotations__["req"] = text
    app.add_url_rule("/", "view", view)
    assert await get(app) == ["/"]


async def test_names_for_type_checkers_only_do_not_hide_the_parameter() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler(socket: WebSocket, other: Unknown | None = None) -> None:
        await socket.send("given")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "given"


async def test_an_annotation_with_metadata_is_seen_through() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view(req: Annotated[Request, "the request"]) -> Any:
        return [req.path]

    assert await get(app) == ["/"]


async def test_the_return_annotation_is_no_parameter() -> None:
    app = Triows("tested")

    async def view() -> Any:
        return ["fine"]

    view.__annotations__["return"] = Request
    app.add_url_rule("/", "view", view)
    assert await get(app) == ["fine"]


async def test_methods_may_take_the_websocket() -> None:
    class Room:
        async def handler(self, socket: WebSocket) -> None:
            await socket.send(type(self).__name__)

    app = Triows("tested")
    app.add_websocket("/", view_func=Room().handler)
    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "Room"


async def test_the_context_is_gone_for_those_who_kept_a_proxy() -> None:
    app = Triows("tested")

    @asynccontextmanager
    async def connected() -> AsyncIterator[None]:
        async with app.test_request_context("/"):
            yield

    async with connected():
        assert request.path == "/"
    with pytest.raises(RuntimeError):
        _ = request.path


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
