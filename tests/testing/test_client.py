"""The test client: its requests, cookies, sessions and shared connections.

Tests triows/testing/content.py and triows/testing/cookies.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from io import BytesIO
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import Response, Triows, current_app, g, redirect, request, session, websocket
from triows.quart.testing.utils import sentinel
from triows.testing import FileStorage, TestClient, WebsocketResponseError

# HTTP


@pytest.mark.parametrize("method", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"])
async def test_each_verb_has_a_method(app: Triows, method: str) -> None:
    @app.route("/verb", methods=[method])
    async def verb() -> tuple[str, dict[str, str]]:
        return request.method, {"x-method": request.method}

    response = await getattr(app.test_client(), method.lower())("/verb")
    assert response.headers["X-Method"] == method
    assert await response.get_data(as_text=True) == ("" if method == "HEAD" else method)


async def test_a_response_is_the_apps_and_has_no_header_that_was_not_sent(app: Triows) -> None:
    class OwnResponse(Response):
        pass

    app.response_class = OwnResponse

    @app.get("/bare")
    async def bare() -> Response:
        response = OwnResponse(b"x", 207)
        del response.headers["content-type"]
        return response

    response = await app.test_client().get("/bare")
    assert isinstance(response, OwnResponse)
    assert response.status_code == 207
    assert "content-type" not in response.headers
    assert await response.data == b"x"


async def test_what_a_request_is_made_of_arrives(app: Triows) -> None:
    @app.post("/<path:name>")
    async def seen(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "args": request.args.to_dict(flat=False),
            "agent": request.headers["User-Agent"],
            "own": request.headers["X-Own"],
            "user": request.authorization and request.authorization.username,
            "json": await request.get_json(),
            "url": request.url,
            "address": request.remote_addr,
        }

    response = await app.test_client().post(
        "/a%2Fb/❤️",
        query_string={"a": ["1", "2"], "ü": "&"},
        headers={"X-Own": "yes"},
        auth=("me", "secret"),
        json={"x": [1]},
        scheme="https",
        subdomain="api",
        scope_base={"client": ("192.0.2.1", 1234)},
    )
    seen_there = await response.get_json()
    assert seen_there.pop("url").startswith("https://api.localhost/")
    assert seen_there == {
        "name": "a/b/❤️",
        "args": {"a": ["1", "2"], "ü": ["&"]},
        "agent": "triows",
        "own": "yes",
        "user": "me",
        "json": {"x": [1]},
        "address": "192.0.2.1",
    }


async def test_forms_and_files_arrive(app: Triows) -> None:
    @app.post("/form")
    async def form() -> dict[str, Any]:
        files = {name: [file.filename, file.read().decode()] for name, file in (await request.files).items(multi=True)}
        return {"form": (await request.form).to_dict(flat=False), "files": files}

    client = app.test_client()
    response = await client.post("/form", form={"a": ["b", "c"]})
    assert await response.get_json() == {"form": {"a": ["b", "c"]}, "files": {}}
    response = await client.post("/form", form={"a": "ü"}, files={"f": FileStorage(BytesIO(b"abc"), filename="f.txt")})
    assert await response.get_json() == {"form": {"a": ["ü"]}, "files": {"f": ["f.txt", "abc"]}}


async def test_a_query_given_twice_is_refused(app: Triows) -> None:
    with pytest.raises(ValueError, match="query"):
        await app.test_client().get("/hello?a=b", query_string={"c": "d"})


async def test_a_body_given_twice_is_refused(app: Triows) -> None:
    with pytest.raises(ValueError, match="one of"):
        await app.test_client().post("/hello", json={}, data=b"")


async def test_a_large_body_that_the_handler_does_not_read_does_not_block(app: Triows) -> None:
    @app.post("/unread")
    async def unread() -> str:
        return "no thanks"

    response = await app.test_client().post("/unread", data=b"x" * 5_000_000)
    assert await response.get_data() == b"no thanks"


async def test_a_large_body_and_response_pass(app: Triows) -> None:
    @app.post("/mirror")
    async def mirror() -> AsyncIterator[bytes]:
        async for piece in request.body:
            yield piece

    response = await app.test_client().post("/mirror", data=b"x" * 3_000_000)
    assert await response.get_data() == b"x" * 3_000_000


async def test_a_request_that_the_server_refuses_itself_has_a_response(app: Triows) -> None:
    response = await app.test_client().get("/hello", headers={f"X-{number}": "x" for number in range(200)})
    assert response.status_code == 431


async def test_the_exchange_is_over_when_the_response_is_there(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    done = []

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        await trio.sleep(1)
        done.append(request.disconnect)

    await app.test_client().get("/hello")
    assert done == [None]


async def test_redirects_are_followed_when_asked(app: Triows) -> None:
    @app.post("/from")
    async def start() -> Any:
        response = redirect("../to?x=1", 303)
        response.set_cookie("seen", "from")
        return response

    @app.get("/to")
    async def end() -> dict[str, Any]:
        return {"args": request.args, "cookies": request.cookies, "length": request.content_length}

    client = app.test_client()
    assert (await client.post("/from", form={"a": "b"})).status_code == 303
    response = await client.post("/from", form={"a": "b"}, query_string={"y": "2"}, follow_redirects=True)
    assert await response.get_json() == {"args": {"x": "1"}, "cookies": {"seen": "from"}, "length": None}


async def test_a_redirect_that_keeps_the_method_keeps_the_body(app: Triows) -> None:
    @app.post("/from")
    async def start() -> Any:
        return redirect("/to", 307)

    @app.post("/to")
    async def end() -> bytes:
        return await request.get_data()

    response = await app.test_client().post("/from", data="body", follow_redirects=True)
    assert await response.get_data() == b"body"


class Capitals(TestClient):
    """Sends text as JSON in capitals, as an extension's client sends its models."""

    async def _make_request(self, path: str, method: str, *arguments: Any) -> Response:
        headers, data, form, files, query_string, json, *others = arguments
        json = json if json is sentinel else json.upper()
        return await super()._make_request(path, method, headers, data, form, files, query_string, json, *others)


async def test_what_a_subclass_makes_of_a_request_is_sent(app: Triows) -> None:
    @app.post("/")
    async def described() -> Any:
        return {"json": await request.get_json(silent=True), "args": request.args}

    app.test_client_class = Capitals
    client = app.test_client()
    assert await (await client.post("/", json="a", query_string={"b": "c"})).get_json() == {
        "json": "A",
        "args": {"b": "c"},
    }
    assert await (await client.post("/", data="no json")).get_json() == {"json": None, "args": {}}


async def test_what_a_subclass_makes_of_a_request_is_sent_after_a_redirect_too(app: Triows) -> None:
    @app.post("/<any('from', 'to'):place>")
    async def moved(place: str) -> Any:
        return redirect("to?x=1", 307) if place == "from" else {"json": await request.get_json()}

    response = await Capitals(app).post("/from", json="a", follow_redirects=True)
    assert await response.get_json() == {"json": "A"}


async def test_a_subclass_may_answer_by_itself(app: Triows) -> None:
    class Offline(TestClient):
        async def _make_request(self, *arguments: Any) -> Response:
            return redirect("/elsewhere")

    assert (await Offline(app).get("/", follow_redirects=True)).location == "/elsewhere"


async def test_a_subclass_asks_for_no_other_http_version(app: Triows) -> None:
    class Newer(TestClient):
        async def _make_request(self, *arguments: Any) -> Response:
            return await super()._make_request(*(("2" if value == "1.1" else value) for value in arguments))

    with pytest.raises(ValueError, match=r"http_version is '2'; the test client speaks HTTP/1\.1"):
        await Newer(app).get("/")


async def test_redirects_in_a_circle_end(app: Triows) -> None:
    @app.get("/circle")
    async def circle() -> Any:
        return redirect("/circle")

    with pytest.raises(RuntimeError, match="redirects"):
        await app.test_client().get("/circle", follow_redirects=True)


# Cookies, sessions, contexts


async def test_cookies_are_kept_between_requests_and_websockets(app: Triows) -> None:
    @app.websocket("/count")
    async def count() -> None:
        session["count"] = session.get("count", 0) + 1
        websocket.accept({"Set-Cookie": "accepted=yes; Path=/"})
        await websocket.send(str(session["count"]))

    @app.get("/count")
    async def count_requests() -> dict[str, Any]:
        session["count"] = session.get("count", 0) + 1
        return {"count": session["count"], "accepted": request.cookies.get("accepted")}

    client = app.test_client()
    assert await (await client.get("/count")).get_json() == {"count": 1, "accepted": None}
    async with client.websocket("/count") as ws:
        assert await ws.receive() == "2"
    assert await (await client.get("/count")).get_json() == {"count": 3, "accepted": "yes"}
    stranger = app.test_client(use_cookies=False)
    assert await (await stranger.get("/count")).get_json() == {"count": 1, "accepted": None}


async def test_cookies_can_be_set_and_deleted(app: Triows) -> None:
    @app.get("/cookies")
    async def cookies() -> dict[str, str]:
        return dict(request.cookies)

    client = app.test_client()
    client.set_cookie("localhost", "a", "1", secure=True)
    client.set_cookie("localhost", "elsewhere", "2", path="/elsewhere")
    client.set_cookie("example.com", "other", "3")
    response = await client.get("/cookies", headers={"Cookie": "own=4"})
    assert await response.get_json() == {"own": "4", "a": "1"}
    client.delete_cookie("localhost", "a")
    assert await (await client.get("/cookies")).get_json() == {}


async def test_a_rejection_can_set_cookies(app: Triows) -> None:
    @app.websocket("/reject")
    async def reject() -> Any:
        return "no", 403, {"Set-Cookie": "rejected=yes"}

    client = app.test_client()
    with pytest.raises(WebsocketResponseError):
        async with client.websocket("/reject") as ws:
            await ws.receive()
    assert client.cookie_jar is not None
    assert [cookie.name for cookie in client.cookie_jar] == ["rejected"]


async def test_a_session_can_be_prepared_and_looked_at(app: Triows) -> None:
    @app.get("/session")
    async def look() -> str:
        session["seen"] = True
        return str(session["user"])

    client = app.test_client()
    async with client.session_transaction() as prepared:
        prepared["user"] = "me"
    assert await (await client.get("/session")).get_data() == b"me"
    async with client.session_transaction() as found:
        assert dict(found) == {"user": "me", "seen": True}


async def test_a_session_transaction_without_a_key_says_so(app: Triows) -> None:
    app.secret_key = None
    with pytest.raises(RuntimeError, match="secret key"):
        async with app.test_client().session_transaction():
            pass


def count_connections(app: Triows) -> list[object]:
    """The clients' connections that the app has served, by their requests."""
    seen: list[object] = []

    @app.before_request
    async def see() -> None:
        seen.append(request.connection._http.link)  # type: ignore[attr-defined]

    return seen


async def test_requests_can_share_a_connection(app: Triows) -> None:
    seen = count_connections(app)
    user: ContextVar[str] = ContextVar("user", default="nobody")

    @app.post("/login")
    async def login() -> str:
        user.set((await request.form)["name"])
        return user.get()

    @app.get("/who")
    async def who() -> str:
        return user.get()

    client = app.test_client()
    async with client.keep_alive():
        assert await (await client.post("/login", form={"name": "alice"})).get_data() == b"alice"
        assert await (await client.get("/who")).get_data() == b"nobody"
        assert await (await client.get("/nowhere")).get_data()
        assert await (await client.head("/who")).get_data() == b""
        assert len(seen) == 4
        assert len(set(seen)) == 1
    assert client.app.stats().connections_open == 0
    await client.get("/who")
    assert len(set(seen)) == 2


async def test_a_shared_connection_that_the_server_closes_is_replaced(app: Triows) -> None:
    seen = count_connections(app)

    @app.get("/last")
    async def last() -> tuple[str, dict[str, str]]:
        return "goodbye", {"Connection": "close"}

    client = app.test_client()
    async with client.keep_alive():
        for _ in range(2):
            assert await (await client.get("/last")).get_data() == b"goodbye"
        await client.get("/hello", scheme="https")
    assert len(set(seen)) == 3


async def test_an_error_over_a_shared_connection_is_raised_by_its_own_request(app: Triows) -> None:
    @app.get("/fail")
    async def fail() -> str:
        raise ValueError("in the handler")

    client = app.test_client()
    async with client.keep_alive():
        assert (await client.get("/hello")).status_code == 200
        with pytest.raises(ValueError, match="in the handler"):
            await client.get("/fail")
        assert (await client.get("/hello")).status_code == 200


async def test_a_shared_connection_is_for_one_request_at_a_time(app: Triows) -> None:
    @app.get("/wait")
    async def wait() -> str:
        await trio.sleep_forever()
        return "unreachable"

    client = app.test_client()
    async with client.keep_alive(), trio.open_nursery() as nursery:
        nursery.start_soon(client.get, "/wait")
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError, match="another task is making a request"):
            await client.get("/hello")
        with pytest.raises(RuntimeError, match="keeps a connection alive already"):
            async with client.keep_alive():
                pass
        nursery.cancel_scope.cancel()


async def test_the_context_of_the_last_request_stays_in_a_clients_block(app: Triows) -> None:
    @app.get("/note/<text>")
    async def note(text: str) -> str:
        g.text = session["text"] = text
        return ""

    async with app.test_client() as client:
        await client.get("/note/first")
        await client.get("/note/second")
        assert (request.path, session["text"], g.text, current_app.name) == (
            "/note/second",
            "second",
            "second",
            "tested",
        )
    assert not request
    assert app.teardown_functions == []


async def test_response_headers_beyond_ascii_are_read_as_the_app_gave_them(app: Triows) -> None:
    app.get("/")(lambda: ("", {"X-Name": "naïve €"}))
    assert (await app.test_client().get("/")).headers["x-name"] == "naïve €"

    @app.websocket("/")
    async def ws() -> Any:
        if "reject" in websocket.args:
            return "", 403, {"X-Name": "naïve €"}
        websocket.accept({"X-Name": "naïve €"})
        return None

    async with app.test_client().websocket("/") as accepted:
        await accepted.wait_closed()
    assert accepted.headers is not None
    assert accepted.headers["x-name"] == "naïve €"
    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/?reject=1") as rejected:
            await rejected.receive()
    assert caught.value.response.headers["x-name"] == "naïve €"


async def test_request_headers_in_latin_1_are_read_back_as_they_are(app: Triows) -> None:
    app.get("/")(lambda: {"name": request.headers["x-name"]})
    client = app.test_client()
    assert await (await client.get("/", headers={"X-Name": "naïve"})).get_json() == {"name": "naïve"}
    async with app.test_request_context("/", headers={"X-Name": "naïve"}):
        assert request.headers["x-name"] == "naïve"


async def test_request_headers_beyond_latin_1_are_sent_in_utf_8(app: Triows) -> None:
    app.get("/")(lambda: {"name": request.headers["x-name"].encode("latin-1").decode()})
    response = await app.test_client().get("/", headers={"X-Name": "€"})
    assert await response.get_json() == {"name": "€"}
    async with app.test_request_context("/", headers={"X-Name": "€"}):
        assert request.headers["x-name"] == "€".encode().decode("latin-1")


async def test_a_path_outside_of_the_root_path_is_404(app: Triows) -> None:
    app.get("/page")(lambda: request.root_path)
    client = app.test_client()
    assert (await client.get("/mounted/page", root_path="/mounted")).status_code == 200
    assert (await client.get("/page", root_path="/mounted")).status_code == 404

    @app.websocket("/room")
    async def room() -> None:
        await websocket.accept()

    with pytest.raises(WebsocketResponseError) as caught:
        async with client.websocket("/room", root_path="/mounted") as ws:
            await ws.receive()
    assert caught.value.response.status_code == 404


@pytest.mark.parametrize("name", ["http_connection_class", "websocket_connection_class"])
def test_the_classes_of_a_clients_connections_cannot_be_replaced(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Mine defines '{name}', which has no effect in triows: wrap what client"):
        type("Mine", (TestClient,), {name: object})
