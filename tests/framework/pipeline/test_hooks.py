"""Hooks before, after and at the end of requests and websockets: order, what they may change, and when they run.

Tests triows/framework/routes/hooks.py and triows/framework/pipeline/dispatch.py.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Blueprint, Response, Triows, abort, after_this_request, g, request, session, websocket
from triows.testing import WebsocketDisconnectError, WebsocketResponseError
from triows.web.helpers import after_this_websocket

from ...support.rejections import rejection


class Ours(Exception):
    pass


@pytest.fixture
def events() -> list[str]:
    return []


def noting(events: list[str], name: str) -> Callable[..., Any]:
    """A hook that notes that it ran, and leaves everything as it is."""

    async def hook(*args: Any) -> Any:
        await trio.lowlevel.checkpoint()
        events.append(name)

    return hook


def register(owner: Any, kind: str, events: list[str], name: str) -> None:
    """Register a hook of each sort, for requests or websockets, under a name."""
    for sort in ("before", "after", "teardown"):
        getattr(owner, f"{sort}_{kind}")(noting(events, f"{sort} {name}"))


# Order


async def test_hooks_of_requests_go_inwards_and_then_outwards(events: list[str]) -> None:
    app = Triows(__name__)
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    for owner, name in ((app, "app 1"), (app, "app 2"), (outer, "outer"), (inner, "inner")):
        register(owner, "request", events, name)
    app.teardown_appcontext(noting(events, "teardown context"))

    @inner.get("/")
    async def view() -> str:
        events.append("view")
        return ""

    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    await app.test_client().get("/")
    assert events == [
        *("before app 1", "before app 2", "before outer", "before inner"),
        "view",
        *("after inner", "after outer", "after app 2", "after app 1"),
        *("teardown inner", "teardown outer", "teardown app 2", "teardown app 1"),
        "teardown context",
    ]


async def test_hooks_of_websockets_go_inwards_and_then_outwards(events: list[str]) -> None:
    app = Triows(__name__)
    part = Blueprint("part", __name__)
    for owner, name in ((app, "app 1"), (app, "app 2"), (part, "part")):
        register(owner, "websocket", events, name)
    app.teardown_appcontext(noting(events, "teardown context"))

    @part.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        events.append("handler")

    app.register_blueprint(part)
    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    assert events == [
        *("before app 1", "before app 2", "before part"),
        "handler",
        *("after part", "after app 2", "after app 1"),
        *("teardown part", "teardown app 2", "teardown app 1"),
        "teardown context",
    ]


async def test_hooks_of_one_kind_do_not_run_for_the_other(events: list[str]) -> None:
    app = Triows(__name__)
    register(app, "websocket", events, "websocket")
    app.get("/", endpoint="view")(lambda: "")
    await app.test_client().get("/")
    assert events == []


async def test_hooks_of_a_blueprint_do_not_run_for_other_routes(events: list[str]) -> None:
    app = Triows(__name__)
    part = Blueprint("part", __name__)
    register(part, "request", events, "part")
    app.register_blueprint(part)
    app.get("/", endpoint="view")(lambda: "")
    await app.test_client().get("/")
    assert events == []


async def test_a_blueprints_hooks_for_the_app_run_for_all_routes(events: list[str]) -> None:
    app = Triows(__name__)
    part = Blueprint("part", __name__)
    part.before_app_request(noting(events, "before"))
    part.after_app_request(noting(events, "after"))
    part.teardown_app_request(noting(events, "teardown"))
    app.register_blueprint(part)
    app.get("/", endpoint="view")(lambda: "")
    await app.test_client().get("/")
    assert events == ["before", "after", "teardown"]


async def test_a_blueprints_hooks_for_the_app_run_for_all_websockets(events: list[str]) -> None:
    app = Triows(__name__)
    part = Blueprint("part", __name__)
    part.before_app_websocket(noting(events, "before"))
    part.after_app_websocket(noting(events, "after"))
    part.teardown_app_websocket(noting(events, "teardown"))
    app.register_blueprint(part)

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()

    async with app.test_client().websocket("/") as ws:
        await ws.wait_closed()
    assert events == ["before", "after", "teardown"]


async def test_hooks_for_the_app_are_registered_once(events: list[str]) -> None:
    app = Triows(__name__)
    part = Blueprint("part", __name__)
    part.before_app_request(noting(events, "before"))
    app.register_blueprint(part)
    app.register_blueprint(part, name="again")
    await app.test_client().get("/")
    assert events == ["before"]


async def test_hooks_run_for_paths_that_are_not_there(events: list[str]) -> None:
    app = Triows(__name__)
    register(app, "request", events, "app")
    assert (await app.test_client().get("/nowhere")).status_code == 404
    assert events == ["before app", "after app", "teardown app"]


async def test_hooks_run_for_options(events: list[str]) -> None:
    app = Triows(__name__)
    register(app, "request", events, "app")
    app.get("/", endpoint="view")(lambda: "")
    await app.test_client().options("/")
    assert events == ["before app", "after app", "teardown app"]


# Before


async def test_what_a_before_hook_returns_is_the_response(events: list[str]) -> None:
    app = Triows(__name__)
    app.before_request(lambda: ("closed", 503))
    app.before_request(noting(events, "second"))
    app.after_request(noting(events, "after"))
    app.get("/", endpoint="view")(noting(events, "view"))
    response = await app.test_client().get("/")
    assert (response.status_code, await response.get_data()) == (503, b"closed")
    assert events == ["after"]


async def test_a_before_hook_may_answer_for_a_path_that_is_not_there() -> None:
    app = Triows(__name__)
    app.before_request(lambda: "instead")
    assert (await app.test_client().get("/nowhere")).status_code == 200


async def test_an_empty_response_of_a_before_hook_is_a_response() -> None:
    app = Triows(__name__)
    app.before_request(lambda: "")
    app.get("/", endpoint="view")(lambda: "view")
    assert await (await app.test_client().get("/")).get_data() == b""


async def test_what_a_before_hook_returns_rejects_a_websocket(events: list[str]) -> None:
    app = Triows(__name__)

    @app.before_websocket
    async def refuse() -> Any:
        return "Who are you?", 401

    app.websocket("/")(noting(events, "handler"))
    assert (await rejection(app)).status_code == 401
    assert events == []


async def test_a_before_hook_may_abort() -> None:
    app = Triows(__name__)

    @app.before_websocket
    async def refuse() -> None:
        abort(403)

    assert (await rejection(app)).status_code == 403


async def test_a_before_hook_may_accept() -> None:
    app = Triows(__name__)

    @app.before_websocket
    async def greet() -> None:
        await websocket.send("welcome")

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("hello")

    async with app.test_client().websocket("/") as ws:
        assert [await ws.receive(), await ws.receive()] == ["welcome", "hello"]


async def test_before_hooks_share_the_context_with_the_view() -> None:
    app = Triows(__name__)

    @app.before_request
    async def load_user() -> None:
        g.user = request.args["user"]

    app.get("/", endpoint="view")(lambda: g.user)
    assert await (await app.test_client().get("/?user=ann")).get_data() == b"ann"


async def test_before_hooks_see_session_and_rule() -> None:
    app = Triows(__name__)
    app.secret_key = "key"
    seen: list[Any] = []

    @app.before_request
    async def look() -> None:
        seen.extend([request.endpoint, request.view_args, dict(session)])

    app.get("/<int:number>", endpoint="view")(lambda number: "")
    await app.test_client().get("/5")
    assert seen == ["view", {"number": 5}, {}]


# After


async def test_after_hooks_may_change_the_response() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: "view")

    @app.after_request
    async def change(response: Response) -> Response:
        response.headers["X-After"] = "1"
        return response

    assert (await app.test_client().get("/")).headers["x-after"] == "1"


async def test_after_hooks_may_replace_the_response() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: "view")

    @app.after_request
    async def replace(response: Response) -> Any:
        return "other", 202

    response = await app.test_client().get("/")
    assert (response.status_code, await response.get_data()) == (202, b"other")


async def test_after_hooks_run_before_a_stream() -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield "piece"

    @app.after_request
    async def change(response: Response) -> Response:
        response.headers["X-Streamed"] = str(response.is_streamed)
        return response

    assert (await app.test_client().get("/")).headers["x-streamed"] == "True"


async def test_after_this_request_runs_once_and_first(events: list[str]) -> None:
    app = Triows(__name__)

    @app.get("/<int:number>")
    async def view(number: int) -> str:
        if number:

            @after_this_request
            async def change(response: Response) -> Response:
                events.append("this")
                response.headers["X-This"] = "1"
                return response

        return ""

    app.after_request(noting(events, "after"))
    client = app.test_client()
    assert "x-this" in (await client.get("/1")).headers
    assert "x-this" not in (await client.get("/0")).headers
    assert events == ["this", "after", "after"]


async def test_after_this_request_reaches_error_responses() -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> str:
        @after_this_request
        def change(response: Response) -> Response:
            response.headers["X-This"] = "1"
            return response

        abort(403)

    response = await app.test_client().get("/")
    assert (response.status_code, response.headers["x-this"]) == (403, "1")


async def test_after_this_websocket_reaches_a_rejection() -> None:
    app = Triows(__name__)

    @app.websocket("/")
    async def handler() -> Any:
        @after_this_websocket
        async def change(response: Response) -> None:
            response.headers["X-This"] = "1"

        return "no", 403

    assert (await rejection(app)).headers["x-this"] == "1"


def test_after_this_request_outside_of_one_says_so() -> None:
    with pytest.raises(RuntimeError, match="only available while a request"):
        after_this_request(lambda response: response)


async def test_after_websocket_gets_the_rejection_or_none() -> None:
    app = Triows(__name__)
    seen: list[Any] = []

    @app.after_websocket
    async def after(response: Response | None) -> Response | None:
        seen.append(response and response.status_code)
        return response

    @app.websocket("/<word>")
    async def handler(word: str) -> Any:
        if word == "reject":
            return "no", 403
        await websocket.accept()
        return None

    client = app.test_client()
    with pytest.raises(WebsocketResponseError):
        async with client.websocket("/reject"):
            pass
    async with client.websocket("/accept") as ws:
        await ws.wait_closed()
    assert seen == [403, None]


async def test_an_error_in_an_after_hook_of_a_websocket_is_raised() -> None:
    app = Triows(__name__)

    @app.after_websocket
    async def after(response: Response | None) -> Any:
        raise Ours

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()

    with pytest.raises(Ours):
        async with app.test_client().websocket("/") as ws:
            await ws.wait_closed()


async def test_the_session_is_saved_after_the_hooks() -> None:
    app = Triows(__name__)
    app.secret_key = "key"
    app.get("/", endpoint="view")(lambda: session.get("word", ""))

    @app.after_request
    async def remember(response: Response) -> Response:
        session["word"] = "remembered"
        return response

    client = app.test_client()
    await client.get("/")
    assert await (await client.get("/")).get_data() == b"remembered"


# Teardown


async def test_teardown_hooks_get_none_after_success() -> None:
    app = Triows(__name__)
    seen: list[Any] = []

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen.append(error)

    app.get("/", endpoint="view")(lambda: "")
    await app.test_client().get("/")
    assert seen == [None]


async def test_teardown_hooks_get_the_unhandled_error() -> None:
    app = Triows(__name__)
    seen: list[Any] = []
    failure = Ours()
    app.teardown_request(seen.append)

    @app.get("/")
    async def view() -> str:
        raise failure

    with pytest.raises(Ours):
        await app.test_client().get("/")
    assert seen == [failure]


async def test_teardown_hooks_do_not_get_a_handled_error() -> None:
    app = Triows(__name__)
    seen: list[Any] = []
    app.teardown_request(seen.append)
    app.errorhandler(Ours)(lambda error: "")

    @app.get("/")
    async def view() -> str:
        raise Ours

    await app.test_client().get("/")
    assert seen == [None]


async def test_teardown_hooks_run_when_a_before_hook_fails(events: list[str]) -> None:
    app = Triows(__name__)
    app.teardown_request(noting(events, "teardown"))

    @app.before_request
    async def before() -> None:
        raise Ours

    with pytest.raises(Ours):
        await app.test_client().get("/")
    assert events == ["teardown"]


async def test_a_failing_teardown_hook_is_logged_and_the_others_run(
    events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: "fine")
    app.teardown_request(noting(events, "first"))

    @app.teardown_request
    async def failing(error: BaseException | None) -> None:
        raise Ours

    app.teardown_request(noting(events, "last"))
    assert (await app.test_client().get("/")).status_code == 200
    assert events == ["last", "first"]
    [record] = caplog.records
    assert "failing()" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is Ours


async def test_teardown_hooks_still_have_the_context(events: list[str]) -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: setattr(g, "word", "kept") or "")

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        events.extend([request.path, g.word])

    await app.test_client().get("/")
    assert events == ["/", "kept"]


async def test_teardown_hooks_run_after_the_response_was_streamed(events: list[str]) -> None:
    app = Triows(__name__)
    app.teardown_request(noting(events, "teardown"))

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield ""
        await trio.lowlevel.checkpoint()
        events.append("streamed")

    await app.test_client().get("/")
    assert events == ["streamed", "teardown"]


async def test_teardown_hooks_of_a_cancelled_request_may_wait(events: list[str], autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        assert error is None
        await trio.sleep(1)
        events.append("teardown")

    @app.get("/")
    async def view() -> str:
        await trio.sleep_forever()
        return ""

    async with app.test_client().request("/") as connection:
        await connection.send_complete()
        await wait_all_tasks_blocked()
        await connection.disconnect()
    assert events == ["teardown"]


async def test_teardown_hooks_of_a_cancelled_websocket_may_wait(events: list[str], autojump_clock: MockClock) -> None:
    app = Triows(__name__)

    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        assert error is None
        assert websocket.disconnect is not None
        await trio.sleep(1)
        events.append(f"teardown {websocket.disconnect.code}")

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("ready")
        await trio.sleep_forever()

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "ready"
        await ws.close(4001)
    assert events == ["teardown 4001"]


async def test_teardown_hooks_that_hang_are_cut_and_named(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> str:
        return ""

    @app.teardown_request
    async def hanging(error: BaseException | None) -> None:
        await trio.sleep_forever()

    await app.test_client().get("/")
    assert trio.current_time() < 60
    [message] = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert "teardown hooks took longer" in message


async def test_after_hooks_do_not_run_for_a_client_that_is_gone(events: list[str]) -> None:
    app = Triows(__name__)
    app.after_websocket(noting(events, "after"))
    app.teardown_websocket(noting(events, "teardown"))

    @app.websocket("/")
    async def handler() -> None:
        await websocket.accept()
        await trio.sleep_forever()

    async with app.test_client().websocket("/") as ws:
        await ws.disconnect()
    assert events == ["teardown"]


async def test_an_error_in_a_teardown_hook_does_not_reach_a_websocket(caplog: pytest.LogCaptureFixture) -> None:
    app = Triows(__name__)

    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        raise Ours

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send("hello")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "hello"
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()
        assert ws.close_code == 1000
    assert "teardown()" in caplog.text


# Synchronous hooks


async def test_synchronous_hooks_run_in_a_thread_with_the_context() -> None:
    app = Triows(__name__)
    main = threading.get_ident()
    seen: list[Any] = []

    def look(*args: Any) -> None:
        seen.append((threading.get_ident() != main, request.path))

    app.before_request(look)
    app.after_request(look)
    app.teardown_request(look)
    app.get("/", endpoint="view")(lambda: "")
    await app.test_client().get("/")
    assert seen == [(True, "/")] * 3


async def test_a_plain_function_that_returns_a_coroutine_is_awaited(events: list[str]) -> None:
    app = Triows(__name__)
    hook = noting(events, "before")
    app.before_request(lambda: hook())
    await app.test_client().get("/")
    assert events == ["before"]


# What would never run


async def yielding(*args: Any) -> AsyncIterator[None]:
    yield


def yielding_plainly(*args: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize("function", [yielding, yielding_plainly])
@pytest.mark.parametrize(
    "register",
    [
        lambda app, part: app.before_serving,
        lambda app, part: app.after_serving,
        lambda app, part: app.teardown_request,
        lambda app, part: app.teardown_websocket,
        lambda app, part: app.teardown_appcontext,
        lambda app, part: part.teardown_request,
        lambda app, part: part.teardown_websocket,
        lambda app, part: part.teardown_app_request,
        lambda app, part: part.teardown_app_websocket,
        lambda app, part: part.before_app_serving,
        lambda app, part: part.after_app_serving,
    ],
)
def test_functions_that_yield_are_refused_where_nothing_iterates_over_them(register: Any, function: Any) -> None:
    add = register(Triows(__name__), Blueprint("part", __name__))
    with pytest.raises(TypeError, match=r"yielding.* yields, and nothing of it would run here: (use|write)"):
        add(function)


@pytest.mark.parametrize("method", ["record", "record_once"])
def test_what_a_blueprint_records_is_not_async(method: str) -> None:
    async def function(setup: Any) -> None: ...

    with pytest.raises(TypeError, match="is async, and nobody would await it here: write 'def'"):
        getattr(Blueprint("part", __name__), method)(function)


@pytest.mark.parametrize("place", ["teardown", "stream"])
async def test_after_this_request_is_too_late_when_the_response_has_begun(place: str) -> None:
    app = Triows(__name__)
    caught: list[str] = []

    def too_late() -> None:
        with pytest.raises(RuntimeError, match="comes too late: the response has begun") as error:
            after_this_request(lambda response: response)
        caught.append(str(error.value))

    if place == "teardown":
        app.teardown_request(lambda error: too_late())

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        if place == "stream":
            too_late()
        yield "body"

    assert await (await app.test_client().get("/")).get_data() == b"body"
    assert len(caught) == 1
