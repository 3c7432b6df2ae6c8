"""What Quart's own tests of websockets and of the test client ask for, where triows promises the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import trio
from werkzeug.datastructures import Headers

from triows import (
    Blueprint,
    Response,
    Triows,
    abort,
    copy_current_websocket_context,
    current_app,
    g,
    jsonify,
    redirect,
    request,
    session,
    websocket,
)
from triows.testing import (
    FileStorage,
    TestClient,
    WebsocketResponseError,
    make_test_body_with_headers,
    make_test_headers_path_and_query_string,
    make_test_scope,
)
from triows.web.sessions import SecureCookieSession, SessionInterface


@pytest.fixture
def app() -> Triows:
    app = Triows(__name__)
    app.secret_key = "secret"
    return app


async def _answer(app: Triows, path: str, **options: Any) -> str:
    response = await app.test_client().open(path, **options)
    return await response.get_data(as_text=True)


# Requests


async def test_a_client_may_be_made_without_the_apps_help(app: Triows) -> None:
    @app.route("/", methods=["POST"])
    async def index() -> Response:
        return jsonify(await request.get_json())

    response = await TestClient(app).post("/", json={"a": "b"})
    assert await response.get_json() == {"a": "b"}


async def test_paths_that_are_no_ascii_are_found(app: Triows) -> None:
    @app.get("/❤️")
    async def heart() -> str:
        return "💔"

    assert await _answer(app, "/❤️") == "💔"


async def test_synchronous_views_answer(app: Triows) -> None:
    @app.get("/sync")
    def sync() -> str:
        return "from a thread"

    assert await _answer(app, "/sync") == "from a thread"


async def test_options_name_the_methods(app: Triows) -> None:
    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        return ""

    response = await app.test_client().options("/")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_what_is_not_there_is_not_found_and_what_is_not_allowed_is_not_allowed(app: Triows) -> None:
    @app.get("/")
    async def index() -> str:
        return ""

    client = app.test_client()
    assert (await client.get("/not_found/")).status_code == 404
    assert (await client.post("/", json={"a": 1})).status_code == 405


async def test_redirects_tell_where_to(app: Triows) -> None:
    @app.get("/redirect")
    async def start() -> Any:
        return redirect("/target")

    response = await app.test_client().get("/redirect")
    assert (response.status_code, response.headers["Location"]) == (302, "/target")


async def test_cookies_set_by_a_redirect_are_sent_to_its_target(app: Triows) -> None:
    @app.get("/a")
    async def a() -> Any:
        response = redirect("/b")
        response.set_cookie("bar", "foo")
        return response

    @app.get("/b")
    async def b() -> dict[str, Any]:
        return {"bar": request.cookies.get("bar")}

    response = await app.test_client().get("/a", follow_redirects=True)
    assert await response.get_json() == {"bar": "foo"}


async def test_generators_are_streamed(app: Triows) -> None:
    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield "Hello "
        await trio.sleep(0)
        yield "World"

    assert await _answer(app, "/stream") == "Hello World"


async def test_a_root_path_is_in_front_of_the_path(app: Triows) -> None:
    @app.get("/")
    async def index() -> str:
        return f"{request.root_path} {request.path}"

    assert await _answer(app, "/bob/", root_path="/bob") == "/bob /"


async def test_hosts_and_subdomains_are_matched() -> None:
    by_host = Triows(__name__, host_matching=True)

    @by_host.get("/", host="quart.example")
    async def index() -> str:
        return "host"

    client = by_host.test_client()
    assert (await client.get("/", headers={"host": "quart.example"})).status_code == 200
    assert (await client.get("/", headers={"host": "localhost"})).status_code == 404

    by_subdomain = Triows(__name__, subdomain_matching=True)
    by_subdomain.config["SERVER_NAME"] = "quart.example"

    @by_subdomain.get("/", subdomain="<name>")
    async def named(name: str) -> str:
        return name

    assert await _answer(by_subdomain, "/", subdomain="sub") == "sub"


async def test_the_clients_address_can_be_given(app: Triows) -> None:
    @app.get("/")
    async def index() -> str:
        return str(request.remote_addr)

    assert await _answer(app, "/", scope_base={"client": ("127.0.0.2", "1234")}) == "127.0.0.2"
    assert await _answer(app, "/") == "127.0.0.1"
    with pytest.raises(ValueError, match="scope_base"):
        await _answer(app, "/", scope_base={"type": "websocket"})


async def test_an_error_of_a_hook_is_answered_by_its_error_handler(app: Triows) -> None:
    class OwnError(Exception):
        pass

    @app.before_request
    async def before() -> None:
        raise OwnError("before")

    @app.errorhandler(OwnError)
    async def handle(error: OwnError) -> tuple[str, int]:
        return str(error), 418

    @app.get("/")
    async def index() -> str:
        return ""

    response = await app.test_client().get("/")
    assert (response.status_code, await response.get_data(as_text=True)) == (418, "before")


# Websockets


async def test_a_websocket_echoes(app: Triows) -> None:
    @app.websocket("/ws/")
    async def ws() -> None:
        while True:
            await websocket.send(await websocket.receive())

    async with app.test_client().websocket("/ws/") as test_websocket:
        await test_websocket.send(b"bob")
        assert await test_websocket.receive() == b"bob"


async def test_a_websocket_speaks_json(app: Triows) -> None:
    @app.websocket("/ws/")
    async def ws() -> None:
        await websocket.send_json(await websocket.receive_json())

    async with app.test_client().websocket("/ws/") as test_websocket:
        await test_websocket.send_json({"foo": "bar"})
        assert await test_websocket.receive_json() == {"foo": "bar"}


async def test_a_websocket_that_aborts_is_a_response(app: Triows) -> None:
    @app.websocket("/ws/abort/")
    async def ws_abort() -> None:
        abort(401)

    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/ws/abort/") as test_websocket:
            await test_websocket.receive()
    assert caught.value.response.status_code == 401


async def test_a_websocket_to_a_route_is_a_bad_request_and_the_other_way_round(app: Triows) -> None:
    @app.get("/")
    async def index() -> str:
        return ""

    @app.websocket("/ws")
    async def ws() -> None:
        pass

    client = app.test_client()
    with pytest.raises(WebsocketResponseError) as caught:
        async with client.websocket("/"):
            pass
    assert caught.value.response.status_code == 400
    assert (await client.get("/ws")).status_code == 400


async def test_blueprints_have_websockets(app: Triows) -> None:
    blueprint = Blueprint("blueprint", __name__)

    @blueprint.websocket("/ws/")
    async def ws() -> None:
        while True:
            await websocket.send(str(websocket.blueprint))

    app.register_blueprint(blueprint)
    async with app.test_client().websocket("/ws/") as test_websocket:
        assert await test_websocket.receive() == "blueprint"


async def test_hooks_run_round_a_websocket(app: Triows) -> None:
    events = []

    @app.before_websocket
    async def before() -> None:
        g.word = "from the hook"
        events.append("before")

    @app.after_websocket
    async def after(response: Response | None) -> None:
        events.append("after")

    @app.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        events.append("teardown")

    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send(g.word)

    async with app.test_client().websocket("/ws") as test_websocket:
        assert await test_websocket.receive() == "from the hook"
    assert events == ["before", "after", "teardown"]


async def test_a_websockets_context_can_be_copied(app: Triows) -> None:
    @app.websocket("/path")
    async def ws() -> None:
        @copy_current_websocket_context
        async def within_context() -> str:
            return websocket.path

        await websocket.send(await within_context())

    async with app.test_client().websocket("/path") as test_websocket:
        assert await test_websocket.receive() == "/path"


class _Sessions(SessionInterface):
    """Opens a session for everyone, and counts."""

    def __init__(self) -> None:
        self.opened = 0
        self.saved: list[Response | None] = []

    async def open_session(self, app: Triows, request: Any) -> SecureCookieSession:
        self.opened += 1
        return SecureCookieSession()

    async def save_session(self, app: Triows, session: Any, response: Response | None) -> None:
        self.saved.append(response)


@pytest.mark.parametrize("path", ["/", "/ws/", "/ws_return/"])
async def test_sessions_are_opened_and_saved(app: Triows, path: str) -> None:
    sessions = app.session_interface = _Sessions()

    @app.get("/")
    async def index() -> str:
        session["a"] = "b"
        return ""

    @app.websocket("/ws/")
    async def ws() -> None:
        session["a"] = "b"
        await websocket.accept()
        await websocket.send("")

    @app.websocket("/ws_return/")
    async def ws_return() -> str:
        session["a"] = "b"
        return ""

    client = app.test_client()
    if path == "/":
        await client.get("/")
    else:
        async with client.websocket(path) as test_websocket:
            if path == "/ws/":
                assert await test_websocket.receive() == ""
            else:
                with pytest.raises(WebsocketResponseError):
                    await test_websocket.receive()
    assert sessions.opened == 1
    assert [response is None for response in sessions.saved] == [path == "/ws/"]


# The test app


async def test_the_test_app_serves_between_start_and_shutdown(app: Triows) -> None:
    events = []

    @app.before_serving
    async def startup() -> None:
        events.append(f"startup {current_app.name == app.name}")

    @app.after_serving
    async def shutdown() -> None:
        events.append("shutdown")

    @app.while_serving
    async def lifespan() -> AsyncIterator[None]:
        events.append("lifespan begins")
        yield
        events.append("lifespan ends")

    @app.get("/")
    async def index() -> str:
        return ""

    async with app.test_app() as test_app:
        assert events == ["startup True", "lifespan begins"]
        assert (await test_app.test_client().get("/")).status_code == 200
    assert sorted(events[2:]) == ["lifespan ends", "shutdown"]


# The helpers


@pytest.mark.parametrize(
    ("path", "query_string", "subdomain", "expected"),
    [
        ("/path", {"a": "b"}, None, ("/path", b"a=b", "localhost")),
        ("/path", {"a": ["b", "c"]}, None, ("/path", b"a=b&a=c", "localhost")),
        ("/path?b=c", None, None, ("/path", b"b=c", "localhost")),
        ("/path%20", None, None, ("/path ", b"", "localhost")),
        ("/path", None, "api", ("/path", b"", "api.localhost")),
    ],
)
def test_headers_path_and_query_are_made(
    app: Triows, path: str, query_string: dict[str, Any] | None, subdomain: str | None, expected: tuple[str, bytes, str]
) -> None:
    headers, *rest = make_test_headers_path_and_query_string(app, path, None, query_string, None, subdomain)
    assert (*rest, headers["host"]) == expected


def test_headers_that_are_given_are_kept(app: Triows) -> None:
    given = Headers({"User-Agent": "own", "host": "quart.example"})
    headers, *_ = make_test_headers_path_and_query_string(app, "/path", given)
    assert headers == given
    headers, *_ = make_test_headers_path_and_query_string(app, "/", None, None, ("user", "pass"))
    assert headers["Authorization"] == "Basic dXNlcjpwYXNz"
    with pytest.raises(ValueError, match="query"):
        make_test_headers_path_and_query_string(app, "/?a=b", None, {"c": "d"})


def test_bodies_are_made_with_their_headers() -> None:
    assert make_test_body_with_headers(data="data") == (b"data", Headers())
    assert make_test_body_with_headers(json={"a": "b"}) == (
        b'{"a": "b"}',
        Headers({"Content-Type": "application/json"}),
    )
    form = Headers({"Content-Type": "application/x-www-form-urlencoded"})
    assert make_test_body_with_headers(form={"a": "b"}) == (b"a=b", form)
    body, headers = make_test_body_with_headers(
        form={"b": "c"}, files={"a": FileStorage(BytesIO(b"abc"), filename="name")}
    )
    boundary = headers["Content-Type"].removeprefix("multipart/form-data; boundary=")
    assert body.split(f"--{boundary}".encode())[1:] == [
        b'\r\nContent-Disposition: form-data; name="a"; filename="name"\r\n\r\nabc\r\n',
        b'\r\nContent-Disposition: form-data; name="b"\r\n\r\nc\r\n',
        b"--\r\n",
    ]
    with pytest.raises(ValueError, match="one of"):
        make_test_body_with_headers(json={}, data="", form={}, files={})


def test_a_scope_is_made() -> None:
    scope = make_test_scope("http", "/❤", "GET", Headers(), b"", "http", "", "1.1", {"client": ("127.0.0.2", 1234)})
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/❤",
        "raw_path": b"/%E2%9D%A4",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "extensions": {},
        "client": ("127.0.0.2", 1234),
    }
