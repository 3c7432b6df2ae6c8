"""A coroutine where a value belongs: the error asks for the forgotten ``await``, and Python warns of nothing besides.

Tests triows/tasks/functions.py and triows/framework/pipeline/base.py, and all that takes values of handlers.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
import trio
from werkzeug.exceptions import BadRequest

from triows import (
    JSONProvider,
    Response,
    Triows,
    WebsocketResponseError,
    abort,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template_string,
    request,
    send_file,
    session,
    stream_template_string,
    url_for,
    websocket,
)

from ...support.records import complaints

Made = Callable[[], Any]


async def load() -> str:
    return "loaded"


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


question = pytest.raises(TypeError, match=r"did you forget 'await' before load\(\)\?")


async def answered(app: Triows) -> None:
    with question:
        await app.test_client().get("/")


def stream(value: Any) -> AsyncIterator[Any]:
    async def pieces() -> AsyncIterator[Any]:
        yield "first"
        yield value

    return pieces()


RETURNED: dict[str, Made] = {
    "alone": load,
    "with a status": lambda: (load(), 201),
    "with headers": lambda: (load(), {"X-A": "b"}),
    "with both": lambda: (load(), 201, {"X-A": "b"}),
    "as the status": lambda: ("body", load()),
    "as body and as status": lambda: (load(), load()),
    "in a header": lambda: ("body", 200, {"X-A": load()}),
    "in a header without a status": lambda: ("body", {"X-A": "b", "X-B": load()}),
    "in a dict": lambda: {"a": load()},
    "in a list": lambda: [1, load()],
    "deep in JSON": lambda: {"a": [{"b": (1, load())}]},
    "many in JSON": lambda: {"a": load(), "b": [load(), load()]},
    "in JSON with a status": lambda: ({"a": load()}, 201),
    "to jsonify": lambda: jsonify(load()),
    "to jsonify by name": lambda: jsonify(a=load()),
    "to a Response": lambda: Response(load()),  # type: ignore[arg-type]
    "in the pieces of a Response": lambda: Response([load()]),  # type: ignore[list-item]
}


@pytest.mark.parametrize("make", RETURNED.values(), ids=RETURNED)
async def test_a_coroutine_that_a_view_returns(app: Triows, make: Made) -> None:
    @app.get("/")
    async def view() -> Any:
        return make()

    await answered(app)


def with_response(use: Callable[[Response], Any]) -> Made:
    def make() -> Response:
        response = Response("body", headers={"X-A": "a"})
        use(response)
        return response

    return make


PUT: dict[str, Made] = {
    "headers[]": with_response(lambda response: response.headers.__setitem__("X-A", load())),
    "headers.add": with_response(lambda response: response.headers.add("X-A", load())),
    "headers.add_header": with_response(lambda response: response.headers.add_header("X-A", load())),
    "headers.add with a parameter": with_response(lambda response: response.headers.add("X-A", "a", name=load())),
    "headers.set": with_response(lambda response: response.headers.set("X-A", load())),
    "headers.set with a parameter": with_response(lambda response: response.headers.set("X-A", "a", name=load())),
    "headers.setlist": with_response(lambda response: response.headers.setlist("X-A", ["a", load()])),
    "headers.setdefault": with_response(lambda response: response.headers.setdefault("X-B", load())),
    "headers.setlistdefault": with_response(lambda response: response.headers.setlistdefault("X-B", [load()])),
    "headers.extend": with_response(lambda response: response.headers.extend({"X-A": load(), "X-B": "b"})),
    "headers.extend with pairs": with_response(lambda response: response.headers.extend([("X-A", load())])),
    "headers.extend by name": with_response(lambda response: response.headers.extend(a=load())),
    "headers.update": with_response(lambda response: response.headers.update({"X-A": ["a", load()]})),
    "headers |=": with_response(lambda response: response.headers.__ior__({"X-A": load()})),
    "headers of a Response": lambda: Response("", headers={"X-A": load(), "X-B": "b"}),  # type: ignore[dict-item]
    "pairs of headers of a Response": lambda: Response("", headers=[("X-A", load())]),  # type: ignore[list-item]
    "all headers of a Response": lambda: Response("", headers=load()),  # type: ignore[arg-type]
    "status of a Response": lambda: Response("", load()),  # type: ignore[arg-type]
    "mimetype of a Response": lambda: Response("", mimetype=load()),  # type: ignore[arg-type]
    "mimetype of a Response with headers": lambda: Response("", 200, {"X-A": "a"}, load()),  # type: ignore[arg-type]
    "status": with_response(lambda response: setattr(response, "status", load())),
    "status_code": with_response(lambda response: setattr(response, "status_code", load())),
    "mimetype": with_response(lambda response: setattr(response, "mimetype", load())),
    "content_type assigned": with_response(lambda response: setattr(response, "content_type", load())),
    "headers[number]": with_response(lambda response: response.headers.__setitem__(0, ("X-A", load()))),
    "headers[slice]": with_response(lambda response: response.headers.__setitem__(slice(1), [("X-A", load())])),
    "pairs of headers": lambda: ("body", 200, [("X-A", "a"), ("X-B", load())]),
    "headers of the class itself": with_response(lambda response: type(response.headers)({"X-A": load()})),
    "location": with_response(lambda response: setattr(response, "location", load())),
    "content_type": lambda: Response("", content_type=load()),  # type: ignore[arg-type]
    "set_data": with_response(lambda response: response.set_data(load())),  # type: ignore[arg-type]
    "set_cookie": with_response(lambda response: response.set_cookie("a", load())),  # type: ignore[arg-type]
    "set_cookie's key": with_response(lambda response: response.set_cookie(load(), "b")),  # type: ignore[arg-type]
    "set_cookie's path": with_response(
        lambda response: response.set_cookie("a", "b", path=load())  # type: ignore[arg-type]
    ),
    "delete_cookie": with_response(lambda response: response.delete_cookie(load())),  # type: ignore[arg-type]
    "redirect": lambda: redirect(load()),  # type: ignore[arg-type]
    "redirect's code": lambda: redirect("/", load()),  # type: ignore[arg-type]
    "abort": lambda: abort(load()),  # type: ignore[arg-type]
    "abort's description": lambda: abort(400, load()),
    "abort's description by name": lambda: abort(400, description=load()),
    "url_for": lambda: url_for("view", key=load()),
    "url_for a variable": lambda: url_for("other", key=load()),
    "url_for with lists": lambda: url_for("view", key=[load()], other=load()),
    "url_for with an anchor": lambda: url_for("view", _anchor=load()),  # type: ignore[arg-type]
    "url_for's endpoint": lambda: url_for(load()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("make", PUT.values(), ids=PUT)
async def test_a_coroutine_that_is_put_where_a_value_belongs(app: Triows, make: Made) -> None:
    app.add_url_rule("/other/<key>", "other")

    @app.get("/")
    async def view() -> Any:
        return make()

    await answered(app)


async def test_a_coroutine_for_send_file(app: Triows) -> None:
    @app.get("/")
    async def view() -> Any:
        return await send_file(load())  # type: ignore[arg-type]

    await answered(app)


@pytest.mark.parametrize("raises", [True, False])
async def test_a_coroutine_for_an_http_error(app: Triows, raises: bool) -> None:
    @app.get("/")
    async def view() -> Any:
        error = BadRequest(load())  # type: ignore[arg-type]
        if raises:
            raise error
        return error

    await answered(app)


async def test_a_coroutine_for_flash(app: Triows) -> None:
    app.secret_key = "k"

    @app.get("/")
    async def view() -> Any:
        await flash(load())  # type: ignore[arg-type]

    await answered(app)


@pytest.mark.parametrize("source", ["{{ x }}", "{{ x|upper }}", "{% for y in [x] %}{{ y }}{% endfor %}", "unused"])
async def test_a_coroutine_that_is_a_variable_of_a_template(app: Triows, source: str) -> None:
    @app.get("/")
    async def view() -> str:
        return await render_template_string(source, x=load(), y=load())

    await answered(app)


async def test_a_coroutine_that_is_a_variable_of_a_streamed_template(app: Triows) -> None:
    @app.get("/")
    async def view() -> Any:
        return await stream_template_string("{{ x }}", x=load())

    await answered(app)


@pytest.mark.parametrize("source", ["{{ f() }}", "{{ holder.x }}", "{{ x|default('') }}", "{{ x|awaited }}"])
async def test_a_coroutine_that_a_template_awaits_is_let_through(app: Triows, source: str) -> None:
    @app.template_filter()
    async def awaited(value: Any) -> Any:
        return await value

    @app.get("/")
    async def view() -> str:
        variables = {"f": load} if "f()" in source else {"holder": {"x": load()}} if "." in source else {"x": load()}
        return await render_template_string(source, **variables)

    assert await (await app.test_client().get("/")).get_data() == b"loaded"


@pytest.mark.parametrize("make", [RETURNED["alone"], RETURNED["many in JSON"]])
async def test_a_coroutine_that_a_hook_or_an_error_handler_returns(app: Triows, make: Made) -> None:
    async def give(*_: Any) -> Any:
        return make()

    app.before_request(give)
    app.get("/", endpoint="view")(lambda: "")
    await answered(app)
    app.hooks["request"].before.clear()
    app.after_request(give)
    await answered(app)


async def test_an_error_handlers_coroutine(app: Triows) -> None:
    @app.errorhandler(404)
    async def handler(error: Any) -> Any:
        return load()

    with question:
        await app.test_client().get("/nowhere")


async def test_a_coroutine_for_make_response(app: Triows) -> None:
    @app.get("/")
    async def view() -> Any:
        return await make_response(load(), 201)

    await answered(app)


async def test_make_response_itself_is_to_be_awaited(app: Triows) -> None:
    @app.get("/")
    async def view() -> Any:
        return make_response("text")

    with pytest.raises(TypeError, match=r"view\(\) .* returned a coroutine: did you forget 'await' before make_resp"):
        await app.test_client().get("/")


async def test_a_coroutine_in_a_stream(app: Triows) -> None:
    @app.get("/")
    async def view() -> Any:
        return stream(load())

    await answered(app)


async def test_a_coroutine_in_the_session(app: Triows) -> None:
    app.secret_key = "k"

    @app.get("/")
    async def view() -> str:
        session["user"] = load()
        return ""

    await answered(app)


@pytest.mark.parametrize("value", [load, object])
async def test_a_session_that_cannot_be_saved_is_logged_once(
    app: Triows, value: Made, caplog: pytest.LogCaptureFixture
) -> None:
    app.secret_key = "k"
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.get("/")
    async def view() -> str:
        session["a"] = {"b": [value(), value()]}
        return ""

    @app.websocket("/")
    async def ws() -> None:
        session["a"] = value()
        await websocket.accept()

    assert (await app.test_client().get("/")).status_code == 500
    assert [record.getMessage() for record in complaints(caplog)] == ["GET '/': unhandled TypeError"]
    caplog.clear()
    with pytest.raises(WebsocketResponseError):
        async with app.test_client().websocket("/"):
            pass
    assert [record.getMessage() for record in complaints(caplog)] == ["WEBSOCKET '/': unhandled TypeError"]


async def test_a_coroutine_for_another_json_library(app: Triows) -> None:
    class Other(JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            raise TypeError("no such type")

    app.json = Other(app)

    @app.get("/")
    async def view() -> Any:
        return {"a": load(), "b": load()}

    await answered(app)


async def test_a_plain_view_may_return_the_coroutine_of_an_async_function(app: Triows) -> None:
    app.get("/", endpoint="view")(lambda: load())
    assert await (await app.test_client().get("/")).get_data() == b"loaded"


# Websockets


SENT: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
    "send": lambda: websocket.send(load()),  # type: ignore[arg-type]
    "send_json": lambda: websocket.send_json(load()),
    "send_json by name": lambda: websocket.send_json(user=load(), other=load()),
    "a piece of a message": lambda: websocket.send(stream(load())),
    "close": lambda: websocket.close(1000, load()),  # type: ignore[arg-type]
    "close's code": lambda: websocket.close(load()),  # type: ignore[arg-type]
    "what receive() gives": lambda: websocket.send(websocket.receive()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("send", SENT.values(), ids=SENT)
async def test_a_coroutine_that_is_sent(app: Triows, send: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        await send()

    with pytest.raises(TypeError, match=r"did you forget 'await' before (load|.*receive)\(\)\?"):
        async with app.test_client().websocket("/") as client:
            while True:
                await client.receive()


@pytest.mark.parametrize(
    "arguments", [lambda: {"headers": {"X-A": load()}}, lambda: {"subprotocol": load()}], ids=["headers", "subprotocol"]
)
async def test_a_coroutine_that_a_handler_accepts_with(app: Triows, arguments: Made) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept(**arguments())

    with question:
        async with app.test_client().websocket("/"):
            pass


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_coroutine_that_a_handler_returns(app: Triows, accepts: bool) -> None:
    @app.websocket("/")
    async def ws() -> Any:
        if accepts:
            await websocket.accept()
        return load()

    with pytest.raises(TypeError, match=r"ws\(\) .* returned a coroutine: did you forget 'await' before load\(\)\?"):
        async with app.test_client().websocket("/") as client:
            await client.receive()


async def test_a_coroutine_that_the_test_client_sends(app: Triows) -> None:
    @app.websocket("/")
    async def ws() -> None:
        async for _ in websocket:
            pass

    async with app.test_client().websocket("/") as client:
        with question:
            await client.send(load())  # type: ignore[arg-type]
        with question:
            await client.send_json(load())
    with question:
        await app.test_client().post("/", json={"a": load()})


# Tasks


@pytest.mark.parametrize("start", ["start_soon", "start", "add_background_task"])
async def test_a_task_is_started_with_a_function(app: Triows, start: str) -> None:
    async with app.test_app():
        with pytest.raises(TypeError, match="give the function and its arguments, without calling it"):
            if start == "add_background_task":
                app.add_background_task(load())  # type: ignore[arg-type]
            elif start == "start":
                await app.nursery.start(load())  # type: ignore[arg-type]
            else:
                app.nursery.start_soon(load())  # type: ignore[arg-type]


# What Python says, and the log adds


async def use_json() -> Any:
    return request.get_json()["a"]  # type: ignore[index]


async def use_form() -> Any:
    return request.form["a"]  # type: ignore[index]


async def use_response() -> Any:
    make_response("text").set_cookie("a", "b")  # type: ignore[attr-defined]


async def use_asyncio() -> Any:
    await asyncio.sleep(1)


async def use_a_task() -> Any:
    asyncio.get_running_loop()


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize(
    ("view", "hint"),
    [
        (use_json, "did you forget 'await'?"),
        (use_form, "did you forget 'await'?"),
        (use_response, "did you forget 'await'?"),
        (use_asyncio, "asyncio does not run here"),
        (use_a_task, "asyncio does not run here"),
    ],
)
def test_the_log_adds_what_an_error_of_pythons_means(
    app: Triows, view: Any, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.get("/")(view)

    async def ask() -> int:
        return (await app.test_client().get("/")).status_code

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert trio.run(ask) == 500
        gc.collect()
    (record,) = complaints(caplog)
    assert record.getMessage().startswith(f"GET '/': unhandled {record.exc_info[0].__name__}; {hint}")  # type: ignore


async def test_the_log_adds_nothing_to_other_errors(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.get("/")
    async def view() -> None:
        raise TypeError("unsupported operand")

    await app.test_client().get("/")
    assert [record.getMessage() for record in complaints(caplog)] == ["GET '/': unhandled TypeError"]
