"""Responses, and what reads them."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any, assert_type

from werkzeug.sansio.response import Response as SansIOResponse

from triows import (
    CORS,
    Blueprint,
    EventSourceResponse,
    JSONProvider,
    Response,
    ServerSentEvent,
    Triows,
    request,
    websocket,
)


async def later() -> AsyncIterator[bytes]:
    yield b"piece"


def in_a_thread() -> Iterator[str]:
    yield "piece"


Response("text", 201, {"X-Header": "value"})
Response(b"bytes", "404 Not Found", [("X-Header", "value")])
Response([b"one", b"two"], HTTPStatus.OK, mimetype="text/plain")
Response(later(), content_type="application/octet-stream")
Response(in_a_thread())
Response(headers={"Set-Cookie": ["a=1", "b=2"]})
Response(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Response("text", headers={"X-Header": 5})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Response("text", status=None, timeout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def use(response: Response) -> None:
    assert_type(response.status_code, int)
    assert_type(response.status, str)
    assert_type(response.headers["X-Header"], str)
    assert_type(response.mimetype, str | None)
    assert_type(response.is_streamed, bool)
    assert_type(await response.get_data(), bytes)
    assert_type(await response.get_data(as_text=False), bytes)
    assert_type(await response.get_data(as_text=True), str)
    assert_type(await response.get_json(force=True, silent=True), Any)
    assert_type(response.set_data("text"), None)
    assert_type(response.iter_body(), AsyncGenerator[bytes, None])
    assert_type(await response.aclose(), None)
    assert_type(Response.from_sansio(SansIOResponse()), Response)
    assert_type(await response.freeze(), None)
    assert_type(await response.add_etag(overwrite=True, weak=True), None)
    assert_type(await response.make_conditional(request, accept_ranges=True, complete_length=5), Response)
    await response.make_conditional(websocket)
    await response.make_conditional("GET")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    response.status_code = 404
    response.set_cookie("name", "value", max_age=60, samesite="Lax")
    response.response = later()
    response.status_code = "404"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    response.set_data(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    response.get_data().decode()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    response.max_age = 5  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


# Server-sent events


async def events() -> AsyncIterator[ServerSentEvent | str]:
    yield ServerSentEvent({"a": 1}, event="news", id="1", retry=1000, comment="why")
    yield "text"


EventSourceResponse(events(), keepalive=None)
EventSourceResponse(events(), 200, {"X-Header": "value"}, keepalive=30)
EventSourceResponse(later())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
EventSourceResponse(events)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
EventSourceResponse(events(), timeout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
assert_type(ServerSentEvent("text").data, str | dict[Any, Any] | list[Any] | None)
assert_type(ServerSentEvent("text").id, str | None)
assert_type(ServerSentEvent("text").encode(), bytes)
ServerSentEvent(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ServerSentEvent("text", "news")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
assert_type(request.last_event_id, str | None)

# CORS and compression

app = Triows(__name__)
policy = CORS(["https://example.com"], methods=["PUT"], headers=["X-Token"], credentials=True, max_age=None)
assert_type(policy.origins, tuple[str, ...])
assert_type(policy.methods, tuple[str, ...] | None)
assert_type(app.cors("*", expose_headers=["X-Total"]), None)
assert_type(Blueprint("part", __name__).cors(["https://example.com"]), None)
assert_type(app.compress(codings=["gzip"], mimetypes=["text/*"], min_size=100, gzip_level=6), None)
app.cors()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
app.cors(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.compress(level=6)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
CORS("*", credentials="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# JSON

json = JSONProvider(Triows(__name__))
assert_type(JSONProvider(Response).response({"a": 1}), Response)
assert_type(json.dumps({"a": 1}, indent=2), str)
assert_type(json.loads(b"{}"), Any)
assert_type(json.response([1, 2]), Response)
assert_type(json.response_class, type[Response])
assert_type(json.ensure_ascii, bool)
assert_type(json.compact, bool | None)
json.loads(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
JSONProvider(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
