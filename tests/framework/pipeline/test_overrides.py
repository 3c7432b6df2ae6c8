"""What an app replaces of Quart's methods is called: where Quart calls it, and never for a cancellation.

Tests triows/framework/overridables.py and triows/framework/pipeline/overrides.py.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from werkzeug.exceptions import Aborter, HTTPException, NotFound
from werkzeug.routing import BuildError

from triows import Config, Response, Triows, abort, request, url_for, websocket
from triows.testing import WebsocketDisconnectError, WebsocketResponseError

ASYNC = {
    "request": [
        "full_dispatch_request",
        "preprocess_request",
        "dispatch_request",
        "finalize_request",
        "process_response",
        "do_teardown_request",
        "do_teardown_appcontext",
    ],
    "websocket": [
        "full_dispatch_websocket",
        "preprocess_websocket",
        "dispatch_websocket",
        "finalize_websocket",
        "postprocess_websocket",
        "do_teardown_websocket",
        "do_teardown_appcontext",
    ],
}


def noting(app: Triows, calls: list[str], name: str) -> None:
    """Replace a method by one that notes its name and calls the former one."""
    former: Callable[..., Any] = getattr(app, name)

    async def replacement(*args: Any) -> Any:
        calls.append(name)
        return await former(*args)

    setattr(app, name, replacement)


def served(app: Triows) -> Triows:
    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.get("/fail")
    async def fail() -> str:
        raise ValueError("oops")

    @app.get("/child")
    async def child() -> str:
        async def failing() -> None:
            raise ValueError("of a child")

        request.nursery.start_soon(failing)
        await trio.sleep_forever()
        raise AssertionError

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send("hello")

    @app.websocket("/refused")
    async def refused() -> None:
        raise ValueError("early")

    @app.websocket("/late")
    async def late() -> None:
        await websocket.accept()
        raise ValueError("late")

    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.fixture
def app() -> Triows:
    return served(Triows("tested"))


async def body(app: Triows, path: str) -> tuple[int, bytes]:
    response = await app.test_client().get(path)
    return response.status_code, await response.get_data()


# What is called, and in which order


def test_an_app_that_replaces_nothing_has_no_overrides() -> None:
    app = Triows("tested")
    assert app.overrides == frozenset()
    assert not app.overrides_pipeline


async def test_the_methods_of_a_request_are_called_in_quarts_order(app: Triows) -> None:
    calls: list[str] = []
    for name in ASYNC["request"]:
        noting(app, calls, name)
    assert await body(app, "/") == (200, b"hello")
    assert calls == ASYNC["request"]


async def test_the_methods_of_a_websocket_are_called_in_quarts_order(app: Triows) -> None:
    calls: list[str] = []
    for name in ASYNC["websocket"]:
        noting(app, calls, name)
    async with app.test_client().websocket("/ws") as client:
        assert await client.receive() == "hello"
    assert calls == ASYNC["websocket"]


@pytest.mark.parametrize("path", ["/fail", "/child"])
async def test_an_error_is_given_to_handle_user_exception_and_then_to_handle_exception(
    app: Triows, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    for name in ("handle_user_exception", "handle_exception"):
        noting(app, calls, name)
    assert (await body(app, path))[0] == 500
    assert calls == ["handle_user_exception", "handle_exception"]
    assert len(caplog.records) == 1


async def test_handle_exception_answers_in_place_of_500() -> None:
    class App(Triows):
        async def handle_exception(self, error: Exception) -> Response:
            return await self.make_response((f"sorry: {error}", 503))

    assert await body(served(App("tested")), "/fail") == (503, b"sorry: oops")


async def test_handle_user_exception_may_answer_what_a_view_may_return(app: Triows) -> None:
    async def handle(error: Exception) -> Any:
        return {"error": str(error)}, 400

    app.handle_user_exception = handle
    assert (await body(app, "/fail"))[0] == 400


async def test_a_partial_around_the_former_method_is_called(app: Triows) -> None:
    async def route(former: Callable[..., Any], error: Exception) -> Any:
        return ("not here", 404) if isinstance(error, NotFound) else await former(error)

    app.handle_user_exception = functools.partial(route, app.handle_user_exception)
    assert await body(app, "/nowhere") == (404, b"not here")
    assert (await body(app, "/fail"))[0] == 500


async def test_handle_http_exception_is_called_for_http_errors_alone(app: Triows) -> None:
    async def handle(error: HTTPException) -> Any:
        return f"code {error.code}", error.code

    app.handle_http_exception = handle
    assert await body(app, "/nowhere") == (404, b"code 404")
    assert (await body(app, "/fail"))[0] == 500


async def test_handle_websocket_exception_may_answer_a_handshake(app: Triows) -> None:
    async def handle(error: Exception) -> Response:
        return Response("sorry", 503)

    app.handle_websocket_exception = handle
    with pytest.raises(WebsocketResponseError) as raised:
        async with app.test_client().websocket("/refused") as client:
            await client.receive()
    assert raised.value.response.status_code == 503


async def test_handle_websocket_exception_is_told_of_errors_after_accepting(app: Triows) -> None:
    calls: list[str] = []
    noting(app, calls, "handle_websocket_exception")
    async with app.test_client().websocket("/late") as client:
        with pytest.raises(WebsocketDisconnectError):
            await client.receive()
    assert client.close_code == 1011
    assert calls == ["handle_websocket_exception"]


async def test_a_replacement_that_fails_is_logged_and_answered_with_500(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(error: Exception) -> Response:
        raise KeyError("mine")

    app.handle_exception = handle
    assert (await body(app, "/fail"))[0] == 500
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [KeyError]


async def test_a_replacement_that_returns_no_response_is_an_error_that_names_it(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(error: Exception) -> Any:
        return "text"

    app.handle_exception = handle
    assert (await body(app, "/fail"))[0] == 500
    assert "app.handle_exception() returned str 'text'" in caplog.text


async def test_log_exception_gets_what_is_not_handled(app: Triows) -> None:
    logged: list[Any] = []
    app.log_exception = logged.append
    await body(app, "/fail")
    assert [str(info[1]) for info in logged] == ["oops"]


async def test_a_cancellation_is_given_to_no_method(app: Triows) -> None:
    calls: list[str] = []
    for name in ("handle_user_exception", "handle_exception"):
        noting(app, calls, name)
    ended = trio.Event()

    @app.get("/wait")
    async def wait() -> str:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    async with trio.open_nursery() as nursery:
        nursery.start_soon(body, app, "/wait")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await ended.wait()
    assert calls == []


async def test_a_stream_is_fed_by_the_handlers_nursery(app: Triows) -> None:
    noting(app, [], "dispatch_request")

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        sender, receiver = trio.open_memory_channel[str](0)

        async def feed() -> None:
            async with sender:
                await sender.send("fed")

        request.nursery.start_soon(feed)

        async def pieces() -> AsyncIterator[str]:
            async for piece in receiver:
                yield piece

        return pieces()

    assert await body(app, "/stream") == (200, b"fed")


async def test_create_url_adapter_and_raise_routing_exception_are_called() -> None:
    class App(Triows):
        def create_url_adapter(self, request: Any) -> Any:
            return super().create_url_adapter(request) if request is None or request.path != "/" else None

        def raise_routing_exception(self, request: Any) -> Any:
            abort(410)

    assert (await body(served(App("tested")), "/"))[0] == 410
    assert (await body(served(App("tested")), "/nowhere"))[0] == 410


def _without_version(adapter: Any) -> None:
    adapter.path_info = adapter.path_info.removeprefix("/v1")


def _as_post(adapter: Any) -> None:
    adapter.default_method = "POST"


@pytest.mark.parametrize(("change", "expected"), [(_without_version, b"read /page"), (_as_post, b"write /new")])
async def test_the_adapter_that_an_override_changes_is_matched(change: Callable[[Any], None], expected: bytes) -> None:
    class App(Triows):
        def create_url_adapter(self, request: Any) -> Any:
            adapter = super().create_url_adapter(request)
            change(adapter)
            return adapter

    app = App("tested")
    app.get("/page", endpoint="page")(lambda: f"read {url_for('page')}")
    app.post("/v1/page", endpoint="new")(lambda: f"write {url_for('made')}")
    app.get("/old", endpoint="made")(lambda: "")
    app.post("/new", endpoint="made")(app.view_functions["made"])
    for _ in range(2):
        assert await body(app, "/v1/page") == (200, expected)


async def test_the_adapter_that_an_override_makes_is_matched() -> None:
    class App(Triows):
        def create_url_adapter(self, request: Any) -> Any:
            return self.url_map.bind("example.com", path_info="/page/3", default_method=request.method)

    app = App("tested")
    app.get("/page/<int:number>")(lambda number: str(number))
    assert await body(app, "/elsewhere") == (200, b"3")
    response = await app.test_client().options("/elsewhere")
    assert response.allow.as_set() == {"get", "head", "options"}
    assert (await app.test_client().open("/", method="get")).status_code == 405
    assert (await app.test_client().get("/", root_path="/app")).status_code == 404


async def test_ensure_async_is_asked_for_views_and_hooks(app: Triows) -> None:
    asked: list[str] = []

    class App(Triows):
        def ensure_async(self, func: Callable[..., Any]) -> Callable[..., Any]:
            asked.append(func.__name__)
            return super().ensure_async(func)

    app = served(App("tested"))

    @app.before_request
    def before() -> None: ...

    @app.teardown_request
    def teardown(error: Any) -> None: ...

    await body(app, "/")
    assert asked == ["before", "index", "teardown"]


# Without a pipeline


async def test_the_methods_may_be_called_in_a_test_request_context(app: Triows) -> None:
    app.before_request(lambda: "early" if request.args else None)
    async with app.test_request_context("/?a=1") as context:
        assert await app.preprocess_request() == "early"
        assert await app.dispatch_request(context) == "hello"
        response = await app.full_dispatch_request()
        assert await response.get_data() == b"early"
        assert (await app.handle_exception(ValueError())).status_code == 500
        assert isinstance(await app.handle_http_exception(NotFound()), NotFound)
        with pytest.raises(ValueError, match="mine"):
            await app.handle_user_exception(ValueError("mine"))
        assert (await app.process_response(Response("x"))).status_code == 200


async def test_outside_of_a_request_they_say_what_they_need(app: Triows) -> None:
    with pytest.raises(RuntimeError, match="needs a request or a websocket"):
        await app.preprocess_request()


def test_log_exception_outside_of_a_request_logs_too(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError()
    app.log_exception((ValueError, error, None))
    assert caplog.records[0].exc_info == (ValueError, error, None)


async def test_functions_that_are_not_async_run_in_threads(app: Triows) -> None:
    main = trio.lowlevel.current_trio_token()

    def in_thread(value: int) -> tuple[int, bool]:
        try:
            return value, trio.lowlevel.current_trio_token() is main
        except RuntimeError:
            return value, False

    async def already() -> None: ...

    assert await app.ensure_async(in_thread)(3) == (3, False)
    assert await app.sync_to_async(in_thread)(3) == (3, False)
    assert app.ensure_async(already) is already
    generator = await app.sync_to_async(lambda: (number for number in range(3)))()
    assert [number async for number in generator] == [0, 1, 2]


# When the app is made, and URLs


def test_make_config_and_make_aborter_are_called_when_the_app_is_made() -> None:
    class MyAborter(Aborter):
        def __call__(self, code: Any, *args: Any, **kwargs: Any) -> Any:
            raise KeyError(code)

    class App(Triows):
        aborter_class = MyAborter

        def make_config(self, instance_relative: bool = False) -> Config:
            return Config(self.root_path, {**super().make_config(instance_relative), "MINE": 1})

    app = App("tested")
    assert app.config["MINE"] == 1
    assert isinstance(app.aborter, MyAborter)


async def test_abort_asks_the_apps_aborter(app: Triows) -> None:
    class MyAborter(Aborter):
        def __call__(self, code: Any, *args: Any, **kwargs: Any) -> Any:
            return super().__call__(418, *args, **kwargs)

    app.aborter = MyAborter()
    with pytest.raises(HTTPException) as raised:
        async with app.app_context():
            abort(404)
    assert raised.value.code == 418
    with pytest.raises(TypeError, match=r"app\.aborter"):
        app.aborter = 3


async def test_an_aborter_that_returns_is_an_error(app: Triows) -> None:
    app.aborter = lambda code: None
    with pytest.raises(RuntimeError, match="never returns"):
        async with app.app_context():
            abort(404)


async def test_url_build_errors_go_to_the_handlers(app: Triows) -> None:
    def of_another(error: Exception, endpoint: str, values: dict[str, Any]) -> str | None:
        return f"/other/{endpoint}?{values}" if endpoint == "outside" else None

    app.url_build_error_handlers.append(of_another)
    async with app.test_request_context("/"):
        assert url_for("outside", page=2, _anchor="end") == "/other/outside?{'page': 2}"
        with pytest.raises(BuildError):
            url_for("nowhere")


async def test_inject_url_defaults_may_be_replaced() -> None:
    class App(Triows):
        def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
            values["a"] = 1

    async with served(App("tested")).test_request_context("/"):
        assert url_for("index") == "/?a=1"


@pytest.mark.parametrize("name", ["handle_exception", "make_response", "ensure_async"])
def test_what_cannot_be_called_is_refused(app: Triows, name: str) -> None:
    with pytest.raises(TypeError, match=rf"app\.{name} is a method, and cannot be 3"):
        setattr(app, name, 3)


# OPTIONS


async def test_a_view_answers_options_itself_with_what_the_app_would_answer(app: Triows) -> None:
    @app.route("/own", methods=["GET", "OPTIONS"])
    async def own() -> Response:
        response = await app.make_default_options_response()
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    response = await app.test_client().options("/own")
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert set(response.allow) == {"GET", "HEAD", "OPTIONS"}


async def test_an_overridden_answer_to_options_is_the_answer() -> None:
    class Own(Triows):
        async def make_default_options_response(self) -> Response:
            response = await super().make_default_options_response()
            response.headers["X-Own"] = "yes"
            return response

    app = Own(__name__)
    app.get("/")(dict)
    assert (await app.test_client().options("/")).headers["X-Own"] == "yes"
