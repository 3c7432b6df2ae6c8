"""What views may return, as the client receives it; what they may not is an error that names the view."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest
import trio
from markupsafe import Markup
from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.wrappers import Response as WSGIResponse
from werkzeug.wrappers import Response as WerkzeugResponse

from triows import JSONProvider, Response, Triows, redirect, request, websocket
from triows.testing import TestHTTPConnection, WebsocketResponseError

from ...support.rejections import rejection
from ...support.views import answer

# Bodies


async def test_text_is_html() -> None:
    response = await answer("grüße")
    assert response.content_type == "text/html; charset=utf-8"
    assert await response.get_data() == "grüße".encode()


@pytest.mark.parametrize("body", [b"\x00\xff", bytearray(b"\x00\xff")])
async def test_bytes_are_sent_as_they_are(body: bytes) -> None:
    assert await (await answer(body)).get_data() == b"\x00\xff"


@pytest.mark.parametrize("value", [{"b": [1, None]}, [1, {"a": 2}], {}, []])
async def test_dicts_and_lists_are_json(value: Any) -> None:
    response = await answer(value)
    assert response.mimetype == "application/json"
    assert await response.get_json() == value


async def test_json_comes_from_the_apps_provider() -> None:
    class Shouting(JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps(obj, **kwargs).upper()

    app = Triows(__name__)
    app.json = Shouting()
    app.get("/", endpoint="view")(lambda: {"a": "b"})
    assert await (await app.test_client().get("/")).get_json() == {"A": "B"}


async def test_an_empty_body_has_length_zero() -> None:
    response = await answer("")
    assert (response.status_code, response.headers["content-length"]) == (200, "0")


async def test_a_response_is_sent_as_it_is() -> None:
    response = await answer(lambda: Response("made", 202, {"X-Name": "value"}, content_type="text/plain"))
    assert (response.status_code, response.headers["x-name"]) == (202, "value")
    assert response.content_type == "text/plain"


async def test_a_werkzeug_response_is_taken_over() -> None:
    response = await answer(lambda: WSGIResponse("made", 202, {"X-Name": "value"}, content_type="text/x"))
    assert (response.status_code, response.headers["x-name"], response.mimetype) == (202, "value", "text/x")
    assert await response.get_data() == b"made"


async def test_an_http_exception_may_be_returned() -> None:
    response = await answer(lambda: NotFound("not here"))
    assert response.status_code == 404
    assert b"not here" in await response.get_data()


async def test_the_apps_own_response_class_is_used() -> None:
    class Own(Response):
        default_mimetype = "text/x-own"

    app = Triows(__name__)
    app.response_class = Own
    app.get("/", endpoint="view")(lambda: "body")
    assert (await app.test_client().get("/")).mimetype == "text/x-own"


# Status and headers


@pytest.mark.parametrize("status", [201, "201", "201 CREATED", HTTPStatus.CREATED])
async def test_a_status_may_follow_the_body(status: object) -> None:
    assert (await answer(("body", status))).status_code == 201


@pytest.mark.parametrize("headers", [{"X-A": "1", "X-B": "2"}, [("X-A", "1"), ("X-B", "2")]])
async def test_headers_may_follow_the_body(headers: Any) -> None:
    response = await answer(("body", headers))
    assert (response.headers["x-a"], response.headers["x-b"]) == ("1", "2")


async def test_status_and_headers_may_follow_the_body() -> None:
    response = await answer(({"a": 1}, 418, {"X-A": "1"}))
    assert (response.status_code, response.headers["x-a"], await response.get_json()) == (418, "1", {"a": 1})


async def test_a_header_may_have_several_values() -> None:
    response = await answer(("body", {"X-A": ["1", "2"]}))
    assert response.headers.getlist("x-a") == ["1", "2"]


async def test_headers_of_a_tuple_replace_those_of_a_response() -> None:
    response = await answer(lambda: (Response("", headers={"X-A": "1", "X-B": "1"}), {"X-A": "2"}))
    assert (response.headers.getlist("x-a"), response.headers["x-b"]) == (["2"], "1")


async def test_the_content_type_may_be_set_by_a_header() -> None:
    assert (await answer(("body", {"Content-Type": "text/plain"}))).content_type == "text/plain"


async def test_a_wrong_content_length_is_put_right() -> None:
    assert (await answer(("body", {"Content-Length": "3"}))).headers.getlist("content-length") == ["4"]


@pytest.mark.parametrize("status", [204, 304])
async def test_responses_that_have_no_body_are_sent_without(status: int) -> None:
    response = await answer(("body", status))
    assert await response.get_data() == b""


async def test_a_head_request_gets_no_body() -> None:
    response = await answer("body", method="HEAD")
    assert (response.headers["content-length"], await response.get_data()) == ("4", b"")


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b", "\ud83d"])
async def test_a_header_value_that_cannot_be_sent_is_a_500(value: str) -> None:
    app = Triows(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.get("/", endpoint="view")(lambda: Response("", headers=[("X-A", "1")]))

    @app.after_request
    async def spoil(response: Response) -> Response:
        response.headers._list.append(("X-B", value))  # past werkzeug's own check
        return response

    response = await app.test_client().get("/")
    assert response.status_code == 500
    assert "x-injected" not in response.headers


# Streams


async def test_an_async_generator_is_streamed() -> None:
    async def pieces() -> AsyncIterator[str | bytes]:
        yield "a"
        await trio.lowlevel.checkpoint()
        yield b"b"

    response = await answer(lambda: pieces())
    assert "content-length" not in response.headers
    assert await response.get_data() == b"ab"


async def test_a_view_may_be_an_async_generator() -> None:
    app = Triows(__name__)

    @app.get("/<name>")
    async def view(name: str) -> AsyncIterator[str]:
        yield name
        yield request.path

    assert await (await app.test_client().get("/x")).get_data() == b"x/x"


async def test_a_view_may_be_a_plain_generator() -> None:
    app = Triows(__name__)

    @app.get("/")
    def view() -> Iterator[str]:
        yield "a"
        yield request.path

    assert await (await app.test_client().get("/")).get_data() == b"a/"


async def test_a_stream_may_have_status_and_headers() -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "data: 1\n\n"

    response = await answer(lambda: (pieces(), 202, {"Content-Type": "text/event-stream"}))
    assert (response.status_code, response.mimetype) == (202, "text/event-stream")


async def test_pieces_arrive_as_they_are_made() -> None:
    app = Triows(__name__)
    go_on = trio.Event()

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield "first"
        await go_on.wait()
        yield "second"

    connection: TestHTTPConnection
    async with app.test_client().request("/") as connection:
        assert await connection.receive() == b"first"
        go_on.set()
        assert await connection.receive() == b"second"


async def test_a_stream_with_a_known_length_says_it() -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "ab"
        yield "c"

    response = await answer(lambda: (pieces(), {"Content-Length": "3"}))
    assert (response.headers["content-length"], await response.get_data()) == ("3", b"abc")
    assert "transfer-encoding" not in response.headers


async def test_empty_pieces_do_not_end_a_stream() -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "a"
        yield ""
        yield "b"

    assert await (await answer(lambda: pieces())).get_data() == b"ab"


async def test_a_head_request_does_not_run_the_stream_and_closes_it() -> None:
    class Stream:
        closed = iterated = False

        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> str:
            self.iterated = True
            raise StopAsyncIteration

        async def aclose(self) -> None:
            self.closed = True

    stream = Stream()
    response = await answer(lambda: stream, method="HEAD")
    assert await response.get_data() == b""
    assert (stream.iterated, stream.closed) == (False, True)


@pytest.mark.parametrize(("status", "header"), [(204, "a"), (304, "a"), (200, "a\0")])
async def test_a_stream_that_is_not_sent_is_closed(status: int, header: str) -> None:
    closed = []

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            raise AssertionError("it is not to be sent")

        def close(self) -> None:
            closed.append(self)

    app = Triows(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.get("/", endpoint="view")(lambda: (Response(Stream()), status, {"X-A": header}))
    await app.test_client().get("/")
    assert len(closed) == 1


async def test_a_finished_stream_has_run_its_finally() -> None:
    events: list[str] = []

    async def pieces() -> AsyncIterator[str]:
        try:
            yield "a"
        finally:
            await trio.lowlevel.checkpoint()
            events.append("closed")

    await answer(lambda: pieces())
    assert events == ["closed"]


async def test_tasks_of_the_handler_may_feed_its_stream() -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> Any:
        sender, receiver = trio.open_memory_channel[str](0)

        async def produce() -> None:
            async with sender:
                for text in "abc":
                    await sender.send(text)

        request.nursery.start_soon(produce)
        return receiver

    assert await (await app.test_client().get("/")).get_data() == b"abc"


async def test_a_handlers_tasks_end_before_its_response_is_sent() -> None:
    app = Triows(__name__)
    events: list[str] = []

    @app.get("/")
    async def view() -> str:
        async def child() -> None:
            await trio.lowlevel.checkpoint()
            events.append("child")

        request.nursery.start_soon(child)
        return "body"

    @app.after_request
    async def after(response: Response) -> Response:
        events.append("after")
        return response

    await app.test_client().get("/")
    assert events == ["child", "after"]


# What cannot be returned


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned None"),
        (5, "returned int 5"),
        (object, "returned type"),
        (("body", 200, {}, "more"), "a tuple of 4"),
        (("body",), "a tuple of 1"),
        ((), "a tuple of 0"),
        (("body", True), "True as status"),
        (("body", 1.5), "1.5 as status"),
        ((None, 200), "returned None"),
        ({1, 2}, "returned set"),
    ],
)
async def test_a_wrong_return_value_is_an_error_that_names_the_view(value: Any, message: str) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def forgetful() -> Any:
        return value

    with pytest.raises(TypeError, match=message) as caught:
        await app.test_client().get("/")
    assert "forgetful()" in str(caught.value)
    assert "test_make_response.py" in str(caught.value)


async def test_a_piece_of_a_stream_must_be_text_or_bytes() -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> AsyncIterator[Any]:
        yield 5

    with pytest.raises(TypeError, match="int 5"):
        await app.test_client().get("/")


async def test_what_json_does_not_know_is_an_error() -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        await answer({"a": object()})


# The same for websockets that reject


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        (("Invalid password", 403), 403, b"Invalid password"),
        ({"error": "who?"}, 200, b'{"error":"who?"}\n'),
        (Response("mine", 401), 401, b"mine"),
        (NotFound("x").get_response(), 404, None),
        ("", 200, b""),
    ],
)
async def test_a_rejection_may_be_whatever_views_return(value: Any, status: int, body: bytes | None) -> None:
    app = Triows(__name__)

    @app.websocket("/")
    async def handler() -> Any:
        assert websocket.path == "/"
        return value

    response = await rejection(app)
    assert response.status_code == status
    assert body is None or await response.get_data() == body


async def test_a_rejection_may_be_streamed() -> None:
    app = Triows(__name__)

    @app.websocket("/")
    async def handler() -> Any:
        async def pieces() -> AsyncIterator[str]:
            yield "a"
            yield "b"

        return pieces(), 403

    assert await (await rejection(app)).get_data() == b"ab"


# An app's own make_response()


class Wrapping(Triows):
    async def make_response(self, value: Any) -> Response:
        response = await super().make_response(("wrapped", 299) if value == "plain" else value)
        response.headers["X-Made"] = "1"
        return response


def with_assigned() -> Triows:
    app = Triows(__name__)
    app.make_response = Wrapping.make_response.__get__(Wrapping(__name__))  # type: ignore[method-assign]
    return app


def with_class_assigned() -> Triows:
    class App(Triows):
        pass

    app = App(__name__)
    App.make_response = Wrapping.make_response.__get__(Wrapping(__name__))  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize("make", [lambda: Wrapping(__name__), with_assigned, with_class_assigned])
async def test_an_apps_own_make_response_is_asked(make: Callable[[], Triows]) -> None:
    app = make()
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.get("/view", endpoint="view")(lambda: "plain")
    app.get("/hook", endpoint="hook")(lambda: "")
    app.get("/after", endpoint="after")(lambda: "")
    app.get("/handled", endpoint="handled")(lambda: 1 / 0)
    app.get("/unhandled", endpoint="unhandled")(lambda: [][0])
    app.errorhandler(ZeroDivisionError)(lambda error: "plain")

    @app.websocket("/ws")
    async def ws() -> str:
        return "plain"

    @app.before_request
    async def before() -> str | None:
        return "plain" if request.path == "/hook" else None

    @app.after_request
    async def after(response: Response) -> Any:
        return "plain" if request.path == "/after" else response

    client = app.test_client()
    for path in ("/view", "/hook", "/after", "/handled"):
        response = await client.get(path)
        assert (response.status_code, await response.get_data(), response.headers["X-Made"]) == (299, b"wrapped", "1")
    for path, method, status in (("/nowhere", "GET", 404), ("/view", "OPTIONS", 200), ("/unhandled", "GET", 500)):
        response = await client.open(path, method=method)
        assert (response.status_code, response.headers["X-Made"]) == (status, "1")
    with pytest.raises(WebsocketResponseError) as caught:
        async with client.websocket("/ws") as socket:
            await socket.receive()
    assert caught.value.response.status_code == 299


async def test_what_an_apps_own_make_response_returns_is_a_response() -> None:
    class Forgetful(Triows):
        async def make_response(self, value: Any) -> Any:
            await super().make_response(value)

    app = Forgetful(__name__)
    app.get("/", endpoint="view")(lambda: "")
    with pytest.raises(TypeError, match=r"Forgetful\.make_response\(\) \(.*\) returned NoneType None, not a Response"):
        await app.test_client().get("/")


async def test_an_error_in_an_apps_own_make_response_is_500() -> None:
    class Failing(Triows):
        async def make_response(self, value: Any) -> Response:
            raise ValueError("cannot")

    app = Failing(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.get("/", endpoint="view")(lambda: "")
    assert (await app.test_client().get("/")).status_code == 500


async def test_a_redirect_is_of_the_apps_class() -> None:
    class MyResponse(Response):
        pass

    app = Triows(__name__)
    app.response_class = MyResponse
    async with app.app_context():
        assert isinstance(redirect("/"), MyResponse)
    assert not isinstance(redirect("/"), MyResponse)


@pytest.mark.parametrize(
    ("value", "status", "body", "header"),
    [
        ("text", 200, b"text", None),
        (b"bytes", 200, b"bytes", None),
        ({"a": 1}, 200, b'{"a":1}\n', None),
        ([1, 2], 200, b"[1,2]\n", None),
        (("text", 201), 201, b"text", None),
        (("text", "202 Fine"), 202, b"text", None),
        (("text", {"X-A": "b"}), 200, b"text", "b"),
        (("text", [("X-A", "b")]), 200, b"text", "b"),
        (("text", 201, {"X-A": "b"}), 201, b"text", "b"),
        ((Response("inner", 202), 203), 203, b"inner", None),
        (WerkzeugResponse("outer", 202, {"X-A": "b"}), 202, b"outer", "b"),
        ((letter for letter in "abc"), 200, b"abc", None),
    ],
)
async def test_views_may_return(value: object, status: int, body: bytes, header: str | None) -> None:
    response = await Triows(__name__).make_response(value)
    assert (response.status_code, await response.get_data()) == (status, body)
    assert response.headers.get("X-A") == header


@pytest.mark.parametrize("value", [None, (None, 201), int, 5, ("a", 1, {}, 2), ("a", 1.5)])
async def test_views_may_not_return(value: object) -> None:
    with pytest.raises(TypeError, match="returned"):
        await Triows(__name__).make_response(value)


async def test_the_description_of_an_error_may_be_markup() -> None:
    response = await Triows(__name__).make_response(Forbidden(Markup("<b>no</b> &")))
    assert "<p><b>no</b> &</p>" in await response.get_data(as_text=True)


async def test_the_description_of_an_error_may_be_a_property() -> None:
    class Ours(Forbidden):
        @property
        def description(self) -> str:  # type: ignore[override]
            return "Members only"

        @description.setter
        def description(self, value: str) -> None:
            raise AssertionError

    response = await Triows(__name__).make_response(Ours())
    assert "<p>Members only</p>" in await response.get_data(as_text=True)
