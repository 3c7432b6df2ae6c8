"""What handlers use: the globals, and the functions beside them."""

from collections.abc import AsyncIterator
from typing import Any, Never, assert_type

from triows import (
    Request,
    Response,
    Triows,
    WebSocket,
    abort,
    after_this_request,
    after_this_websocket,
    copy_current_app_context,
    copy_current_request_context,
    copy_current_websocket_context,
    current_app,
    g,
    has_app_context,
    has_request_context,
    has_websocket_context,
    jsonify,
    make_response,
    redirect,
    request,
    session,
    stream_with_context,
    url_for,
    websocket,
)

assert_type(request, Request)
assert_type(websocket, WebSocket)
assert_type(current_app, Triows)
assert_type(request.current(), Request)
assert_type(websocket.current(), WebSocket)

assert_type(g.anything, Any)
assert_type(g.get("user", None), Any)
assert_type(g.pop("user"), Any)
assert_type(g.setdefault("user", 1), Any)
assert_type("user" in g, bool)
g.user = "me"

assert_type(session["user"], Any)
assert_type(session.get("user"), Any | None)
assert_type(session.permanent, bool)
session["user"] = "me"
session.permanent = True
session.permanent = "yes"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
session[5] = "me"  # type: ignore[index]  # pyright: ignore[reportArgumentType]

assert_type(has_app_context(), bool)
assert_type(has_request_context(), bool)
assert_type(has_websocket_context(), bool)


def never_returns(wanted: bool) -> str:  # noqa: RET503 - abort() raises
    if wanted:
        return "here"
    abort(404, "not here")


def refuse() -> Never:
    abort(Response("no", 403))


def mistakes() -> None:
    abort("404")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def responses() -> None:
    assert_type(redirect("/", 303), Response)
    assert_type(jsonify({"a": 1}), Response)
    assert_type(jsonify(a=1), Response)
    assert_type(await make_response("text", 201), Response)
    assert_type(url_for("index", _anchor="top", page=2), str)
    redirect()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    redirect("/", "303")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    make_response("text").status_code  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    url_for("index", _scheme=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def functions_keep_their_types() -> None:
    @after_this_request
    async def add_header(response: Response) -> Response:
        response.headers["X-Header"] = "value"
        return response

    @after_this_websocket
    async def note(response: Response | None) -> None: ...

    assert_type(await note(None), None)

    @stream_with_context
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    @copy_current_request_context
    def later(number: int) -> str:
        return str(number)

    @copy_current_websocket_context
    async def much_later(number: int) -> str:
        return str(number)

    assert_type(await add_header(Response()), Response)
    assert_type(pieces(), AsyncIterator[bytes])
    assert_type(later(1), str)
    assert_type(await much_later(1), str)
    assert_type(copy_current_app_context(later)(1), str)
    later("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    after_this_request(5)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
