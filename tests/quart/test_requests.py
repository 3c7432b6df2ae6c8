"""Requests, websockets and sessions as Quart's own tests make them, by hand and by ``test_request_context()``.

Tests triows/web/request.py, triows/web/response.py and triows/web/sessions.py from the names of Quart.
"""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any
from unittest.mock import Mock

import pytest
import trio
from trio.testing import MockClock
from werkzeug.datastructures import Headers
from werkzeug.exceptions import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    RequestedRangeNotSatisfiable,
    RequestEntityTooLarge,
)

from triows.quart import (
    Quart,
    Request,
    Response,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
    url_for,
    websocket,
)
from triows.quart.ctx import RequestContext, after_this_request, copy_current_app_context, copy_current_request_context
from triows.quart.routing import QuartRule
from triows.quart.sessions import SecureCookieSession, SecureCookieSessionInterface
from triows.quart.testing import WebsocketResponseError, no_op_push

from ..support.asgi import http


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    app.secret_key = "secret"
    return app


# Contexts


async def test_a_request_is_matched_when_its_context_begins(app: Quart) -> None:
    @app.get("/books/<int:number>")
    async def book(number: int) -> str:
        return str(number)

    async with app.test_request_context("/books/3"):
        assert request.url_rule is not None
        assert (request.url_rule.rule, request.endpoint) == ("/books/<int:number>", "book")
        assert request.view_args == {"number": 3}


@pytest.mark.parametrize(
    ("path", "method", "error"),
    [("/", "POST", MethodNotAllowed), ("/nowhere", "GET", NotFound), ("/ws", "GET", BadRequest)],
)
async def test_a_request_without_a_route_says_why(app: Quart, path: str, method: str, error: type[Exception]) -> None:
    app.add_url_rule("/", "index", lambda: "", methods=["GET"])

    @app.websocket("/ws")
    async def ws() -> None:
        pass

    async with app.test_request_context(path, method=method):
        assert isinstance(request.routing_exception, error)


async def test_a_request_context_has_an_app_context_and_takes_it_away(app: Quart) -> None:
    async with app.test_request_context("/"):
        assert has_request_context()
        assert has_app_context()
    assert not has_request_context()
    assert not has_app_context()


def _by_hand(path: str = "/", headers: Any = ()) -> Request:
    return Request(
        "GET",
        "http",
        path,
        b"",
        Headers([("host", "quart.com"), *headers]),
        "",
        "1.1",
        {},
        send_push_promise=no_op_push,
    )


async def test_a_request_that_is_made_by_hand_has_a_context(app: Quart) -> None:
    app.add_url_rule("/books/<int:number>", "book", lambda number: str(number))
    async with RequestContext(app, _by_hand("/books/3")) as context:
        assert request.view_args == {"number": 3}
        assert url_for("book", number=4, _external=True) == "http://quart.com/books/4"
        assert has_app_context()
        response = await app.full_dispatch_request(context)
    assert await response.get_data() == b"3"
    assert not has_request_context()


async def test_the_rule_of_a_request_that_is_made_by_hand_may_be_given_by_the_app(app: Quart) -> None:
    adapter = Mock(**{"match.return_value": (QuartRule("/", endpoint="index"), {"arg": "value"})})
    app.create_url_adapter = lambda request: adapter  # type: ignore[method-assign]
    async with app.request_context(_by_hand()):
        assert (request.endpoint, request.view_args) == ("index", {"arg": "value"})


async def test_a_session_is_opened_for_a_cookie_that_is_put_into_a_request_made_by_hand(app: Quart) -> None:
    interface, response, session = SecureCookieSessionInterface(), Response(""), SecureCookieSession()
    session["a"] = "b"
    await interface.save_session(app, session, response)
    cookie = response.headers["Set-Cookie"]
    assert await interface.open_session(app, _by_hand()) == {}
    assert await interface.open_session(app, _by_hand(headers=[("Cookie", cookie)])) == {"a": "b"}
    changed = _by_hand()
    changed.headers["Cookie"] = cookie
    assert await interface.open_session(app, changed) == {"a": "b"}


async def test_an_app_context_has_no_request(app: Quart) -> None:
    async with app.app_context():
        assert has_app_context()
        assert not has_request_context()
        with pytest.raises(RuntimeError):
            request.method  # noqa: B018
    assert not has_app_context()


async def test_what_is_registered_after_this_request_is_called_once(app: Quart) -> None:
    @app.get("/")
    async def index() -> str:
        @after_this_request
        def mark(response: Any) -> Any:
            response.headers["X-Mark"] = "yes"
            return response

        return ""

    @app.get("/other")
    async def other() -> str:
        return ""

    client = app.test_client()
    assert (await client.get("/")).headers["X-Mark"] == "yes"
    assert "X-Mark" not in (await client.get("/other")).headers


@pytest.mark.parametrize("copy", [copy_current_app_context, copy_current_request_context])
async def test_a_context_is_copied_for_a_task(app: Quart, copy: Any) -> None:
    @app.get("/")
    async def index() -> str:
        g.word = "hello"
        heard = []

        @copy
        async def task() -> None:
            heard.append(g.word)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
        return heard[0]

    assert await (await app.test_client().get("/")).get_data() == b"hello"


@pytest.mark.parametrize("copy", [copy_current_app_context, copy_current_request_context])
def test_there_is_no_context_to_copy_outside_of_one(copy: Any) -> None:
    with pytest.raises(RuntimeError):
        copy(lambda: None)()


# Requests


@pytest.mark.parametrize(
    ("scheme", "path", "query", "full_path", "url", "base_url", "root"),
    [
        ("http", "/", "", "/?", "http://quart.com/", "http://quart.com/", "http://quart.com/"),
        ("http", "/", "a=b", "/?a=b", "http://quart.com/?a=b", "http://quart.com/", "http://quart.com/"),
        (
            "https",
            "/branch/leaf",
            "a=b",
            "/branch/leaf?a=b",
            "https://quart.com/branch/leaf?a=b",
            "https://quart.com/branch/leaf",
            "https://quart.com/",
        ),
    ],
)
async def test_a_request_knows_its_url(
    app: Quart, scheme: str, path: str, query: str, full_path: str, url: str, base_url: str, root: str
) -> None:
    target = f"{path}?{query}" if query else path
    async with app.test_request_context(target, scheme=scheme, headers={"Host": "quart.com"}):
        assert (request.path, request.full_path, request.query_string) == (path, full_path, query.encode())
        assert (request.url, request.base_url, request.host) == (url, base_url, "quart.com")
        assert request.url_root == request.host_url == root
        assert (request.scheme, request.is_secure) == (scheme, scheme == "https")


async def test_a_request_has_the_scope_of_the_asgi_server(app: Quart) -> None:
    @app.get("/")
    async def index() -> Any:
        return [request.scope["mark"], await request.get_data(as_text=True)]

    async with http(app, mark="yes") as server:
        server.put("http.request", more_body=False)  # ASGI lets a server leave out an empty body
        sent = await server.rest()
    assert sent[1]["body"] == b'["yes",""]\n'


async def test_a_query_may_repeat_a_name_and_leave_out_a_value(app: Quart) -> None:
    async with app.test_request_context("/?a=b&a=c&f"):
        assert request.query_string == b"a=b&a=c&f"
        assert request.args.getlist("a") == ["b", "c"]
        assert request.args["f"] == ""


async def test_a_request_has_basic_credentials(app: Quart) -> None:
    async with app.test_request_context("/", headers={"Authorization": "Basic aWRlbnRpdHk6c2VjcmV0"}):
        assert request.authorization is not None
        assert (request.authorization.username, request.authorization.password) == ("identity", "secret")


async def test_a_request_has_digest_credentials(app: Quart) -> None:
    header = 'Digest username="me", realm="r@r", nonce="n", uri="/path", response="s", opaque="o"'
    async with app.test_request_context("/", headers={"Authorization": header}):
        found = request.authorization
        assert found is not None
        assert (found.username, found.realm, found.nonce, found.uri, found.response, found.opaque) == (
            ("me", "r@r", "n", "/path", "s", "o")
        )


@pytest.mark.parametrize(("method", "expected"), [("GET", ["b", "c"]), ("POST", ["b", "c", "d"])])
async def test_values_are_those_of_the_query_and_of_a_form(app: Quart, method: str, expected: list[str]) -> None:
    form = {} if method == "GET" else {"form": {"a": "d"}}
    async with app.test_request_context("/?a=b&a=c", method=method, **form):
        assert (await request.values).getlist("a") == expected


async def test_a_body_over_the_limit_is_refused_when_it_is_read(app: Quart) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 5
    async with app.test_request_context("/", method="POST", data=b"123456"):
        with pytest.raises(RequestEntityTooLarge):
            await request.get_data()


async def test_a_body_that_does_not_come_is_408(app: Quart, autojump_clock: MockClock) -> None:
    app.config["BODY_TIMEOUT"] = 1

    @app.post("/")
    async def index() -> Any:
        return await request.get_data()

    async with app.test_client().request("/", method="POST", headers={"Content-Length": "3"}) as connection:
        await connection.send(b"1")
        response = await connection.as_response()
    assert response.status_code == 408


# Conditional responses


async def test_a_range_is_answered(app: Quart) -> None:
    response = Response(b"abcdef")
    async with app.test_request_context("/", headers={"Range": "bytes=0-3"}):
        await response.make_conditional(request, accept_ranges=True, complete_length=6)
    assert (response.status_code, await response.get_data()) == (206, b"abcd")
    found = response.content_range
    assert (response.accept_ranges, found.units, found.start, found.stop, found.length) == ("bytes", "bytes", 0, 4, 6)


async def test_a_range_beyond_the_end_stops_there(app: Quart) -> None:
    response = Response(b"abcdef")
    async with app.test_request_context("/", headers={"Range": "bytes=0-666"}):
        await response.make_conditional(request, complete_length=6)
    assert (response.status_code, await response.get_data()) == (206, b"abcdef")


async def test_a_request_without_conditions_gets_everything(app: Quart) -> None:
    response = Response(b"abcdef")
    async with app.test_request_context("/"):
        await response.make_conditional(request, complete_length=6)
    assert (response.status_code, await response.get_data()) == (200, b"abcdef")


async def test_what_the_client_has_is_not_sent_again(app: Quart) -> None:
    response = Response(b"abcdef")
    await response.add_etag()
    async with app.test_request_context("/", headers={"If-None-Match": response.headers["ETag"]}):
        await response.make_conditional(request)
    assert (response.status_code, await response.get_data()) == (304, b"")
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("value", ["second=0-3", "bytes=8-16"])
async def test_a_range_that_is_not_there_cannot_be_satisfied(app: Quart, value: str) -> None:
    response = Response(b"abcdef")
    async with app.test_request_context("/", headers={"Range": value}):
        with pytest.raises(RequestedRangeNotSatisfiable):
            await response.make_conditional(request, complete_length=6)


# Sessions


async def saved(app: Quart, **attributes: Any) -> Response:
    """The response in which a session was saved."""
    values = SecureCookieSession({"something": "else"})
    for name, value in attributes.items():
        setattr(values, name, value)
    response = Response("")
    await SecureCookieSessionInterface().save_session(app, values, response)
    return response


async def test_a_session_is_opened_from_the_cookie_that_it_was_saved_in(app: Quart) -> None:
    response = await saved(app, modified=True)
    async with app.test_request_context("/", headers={"Cookie": response.headers["Set-Cookie"]}):
        assert await SecureCookieSessionInterface().open_session(app, request) == {"something": "else"}


async def test_the_cookie_of_a_session_has_the_attributes_of_its_interface(app: Quart) -> None:
    response = await saved(app, modified=True, accessed=True)
    cookie = SimpleCookie(response.headers["Set-Cookie"])["session"]
    assert (cookie["path"], cookie["httponly"], cookie["secure"]) == ("/", True, "")
    assert (cookie["samesite"], cookie["domain"], cookie["expires"]) == ("", "", "")
    assert response.headers["Vary"] == "Cookie"


async def test_a_session_that_did_not_change_is_not_saved(app: Quart) -> None:
    assert "Set-Cookie" not in (await saved(app, modified=False)).headers


async def test_a_session_that_nobody_has_read_varies_nothing(app: Quart) -> None:
    response = await saved(app, modified=False, accessed=False)
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


@pytest.mark.parametrize("path", ["/", "/ws", "/refused"])
async def test_a_session_is_opened_and_saved_by_its_interface(app: Quart, path: str) -> None:
    calls: list[str] = []

    class Interface(SecureCookieSessionInterface):
        async def open_session(self, app: Any, request: Any) -> Any:
            calls.append("open")
            return SecureCookieSession()

        async def save_session(self, app: Any, session: Any, response: Any) -> None:
            calls.append(f"save {session['a']}")

    app.session_interface = Interface()

    @app.get("/")
    async def index() -> str:
        session["a"] = "b"
        return ""

    @app.websocket("/ws")
    async def ws() -> None:
        session["a"] = "b"
        await websocket.accept()
        await websocket.send("")

    @app.websocket("/refused")
    async def refused() -> str:
        session["a"] = "b"
        return ""

    client = app.test_client()
    if path == "/":
        await client.get(path)
    else:
        async with client.websocket(path) as ws_client:
            if path == "/ws":
                assert await ws_client.receive() == ""
            else:
                with pytest.raises(WebsocketResponseError):
                    await ws_client.receive()
    assert calls == ["open", "save b"]


# Errors


@pytest.mark.parametrize("where", ["view", "before_request", "after_request"])
async def test_an_error_is_answered_500_wherever_it_is_raised(app: Quart, where: str) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def fail(*args: Any) -> Any:
        raise ValueError("no")

    app.add_url_rule("/", "index", fail if where == "view" else lambda: "")
    if where != "view":
        getattr(app, where)(fail)
    assert (await app.test_client().get("/")).status_code == 500


@pytest.mark.parametrize("switch", ["debug", "testing", "PROPAGATE_EXCEPTIONS"])
async def test_an_error_is_raised_in_a_test_that_asks_for_it(app: Quart, switch: str) -> None:
    def fail() -> Any:
        raise ValueError("no")

    app.add_url_rule("/", "index", fail)
    if switch == "PROPAGATE_EXCEPTIONS":
        app.config[switch] = True
    else:
        setattr(app, switch, True)
    with pytest.raises(ValueError, match="no"):
        await app.test_client().get("/")
