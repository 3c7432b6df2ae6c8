"""The test client: what a test sends, sees and is told of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from triows import (
    CancelledSwallowedError,
    Disconnect,
    Response,
    Triows,
    abort,
    current_app,
    g,
    redirect,
    request,
    session,
    websocket,
)
from triows.testing import (
    FileStorage,
    HTTPDisconnectError,
    LifespanError,
    WebsocketDisconnectError,
    WebsocketResponseError,
    memory_stream_pair,
)


@pytest.fixture
def app() -> Triows:
    app = Triows("tested")
    app.secret_key = "secret"

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    @app.get("/broken")
    async def broken() -> str:
        raise ValueError("out of order")

    @app.websocket("/broken")
    async def broken_websocket() -> None:
        raise ValueError(await websocket.receive())

    return app


@pytest.fixture(autouse=True)
def _no_task_is_left() -> Any:
    """Checked from inside of each run, when the test's own function is the last thing that it runs."""
    counts: dict[str, int] = {}

    class Count(trio.abc.Instrument):
        def task_spawned(self, task: trio.lowlevel.Task) -> None:
            counts[task.name] = counts.get(task.name, 0) + 1

        def task_exited(self, task: trio.lowlevel.Task) -> None:
            counts[task.name] -= 1

    counting = Count()

    def start() -> None:
        trio.lowlevel.add_instrument(counting)

    yield start
    assert not {name: count for name, count in counts.items() if count > 0}


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


async def test_redirects_in_a_circle_end(app: Triows) -> None:
    @app.get("/circle")
    async def circle() -> Any:
        return redirect("/circle")

    with pytest.raises(RuntimeError, match="redirects"):
        await app.test_client().get("/circle", follow_redirects=True)


# HTTP piece by piece


async def test_a_request_is_streamed_both_ways(app: Triows) -> None:
    @app.post("/mirror")
    async def mirror() -> AsyncIterator[bytes]:
        async for piece in request.body:
            yield piece.upper()

    async with app.test_client().request("/mirror", method="POST") as connection:
        assert connection.status_code is None
        await connection.send(b"a")
        assert await connection.receive() == b"A"
        assert connection.status_code == 200
        await connection.send(b"b")
        assert await connection.receive() == b"B"
        await connection.send(b"c")
        await connection.send_complete()
    response = await connection.as_response()
    assert await response.get_data() == b"C"


async def test_a_client_that_goes_away_cancels_the_handler(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    ends = []

    @app.get("/ticks")
    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await trio.sleep(1)
        finally:
            ends.append(request.disconnect)

    async with app.test_client().request("/ticks") as connection:
        assert [await connection.receive() for _ in range(3)] == [b"tick"] * 3
        await connection.disconnect()
    assert ends == [Disconnect(1006, "", "lost")]


async def test_a_stalled_client_holds_up_a_streamed_response(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    sent = 0

    @app.get("/flood")
    async def flood() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            yield bytes(10_000)
            sent += 10_000

    async with app.test_client().request("/flood") as connection:
        connection.stall()
        await wait_all_tasks_blocked()
        assert 0 < sent < 300_000
    assert sent == 1_000_000
    assert len(await (await connection.as_response()).get_data()) == 1_000_000


async def test_a_truncated_response_is_no_response(app: Triows) -> None:
    @app.get("/half")
    async def half() -> Any:
        async def pieces() -> AsyncIterator[str]:
            yield "half"
            await trio.sleep(0)
            raise ValueError("the other half is lost")

        return pieces()

    with pytest.raises(ValueError, match="other half"):
        await app.test_client().get("/half")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with pytest.raises(HTTPDisconnectError):
        await app.test_client().get("/half")


async def test_a_handshake_can_be_tried_as_a_plain_request(app: Triows) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    response = await app.test_client().get("/echo", headers=headers)
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Accept"]


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


# Websockets


async def test_messages_come_back_as_they_were_sent(app: Triows) -> None:
    async with app.test_client().websocket("/echo") as ws:
        for message in ("text", b"bytes", "", b"", "❤️" * 100_000, bytes(500_000)):
            await ws.send(message)
            received = await ws.receive()
            assert received == message
            assert type(received) is type(message)
        await ws.send_json({"a": [1, None]})
        assert await ws.receive_json() == {"a": [1, None]}
        await ws.ping()


async def test_the_handshake_is_seen_on_both_sides(app: Triows) -> None:
    @app.websocket("/handshake/<name>", subprotocols=["v2"])
    async def handshake(name: str) -> None:
        await websocket.accept({"X-Answer": "yes"})
        await websocket.send_json(
            [
                name,
                websocket.url,
                websocket.headers["X-Own"],
                websocket.args["q"],
                websocket.subprotocols,
                websocket.host,
            ]
        )

    client = app.test_client()
    options: dict[str, Any] = {"headers": {"X-Own": "1", "Host": "example.com:8000"}, "query_string": {"q": "ü"}}
    async with client.websocket("/handshake/a b", subprotocols=["v1", "v2"], scheme="wss", **options) as ws:
        assert ws.accepted
        assert ws.status_code == 101
        assert ws.headers is not None
        assert ws.headers["X-Answer"] == "yes"
        assert ws.headers["Upgrade"] == "websocket"
        assert ws.subprotocol == "v2"
        name, url, own, query, offered, host = await ws.receive_json()
        assert (name, own, query, offered, host) == ("a b", "1", "ü", ["v1", "v2"], "example.com:8000")
        assert url.startswith("wss://example.com:8000/handshake/a")


async def test_subprotocols_may_be_offered_in_the_headers(app: Triows) -> None:
    @app.websocket("/chosen")
    async def chosen() -> None:
        await websocket.accept(subprotocol="b")

    async with app.test_client().websocket("/chosen", headers={"Sec-WebSocket-Protocol": "a, b"}) as ws:
        assert ws.subprotocol == "b"


async def test_the_block_begins_although_the_handler_has_not_answered(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    go_on = trio.Event()

    @app.websocket("/late")
    async def late() -> None:
        await go_on.wait()
        await websocket.send("at last")

    async with app.test_client().websocket("/late") as ws:
        assert not ws.accepted
        assert ws.headers is ws.status_code is ws.close_code is None
        go_on.set()
        assert await ws.receive() == "at last"
        assert ws.accepted


@pytest.mark.parametrize("leave", ["close", "disconnect", "reset", "leave"])
async def test_leaving_before_the_answer_loses_the_connection(app: Triows, leave: str) -> None:
    ends = []

    @app.websocket("/never")
    async def never() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/never") as ws:
        if leave != "leave":
            await getattr(ws, leave)()
            await ws.wait_closed()
            assert ws.close_code == 1006
            with pytest.raises(WebsocketDisconnectError):
                await ws.receive()
    assert ends == [Disconnect(1006, "", "lost")]


async def test_iterating_ends_with_the_server_closing(app: Triows) -> None:
    @app.websocket("/three")
    async def three() -> None:
        for number in range(3):
            await websocket.send(str(number))

    async with app.test_client().websocket("/three") as ws:
        assert [message async for message in ws] == ["0", "1", "2"]
        assert (ws.close_code, ws.close_reason) == (1000, "")


async def test_iterating_over_an_abnormal_end_raises(app: Triows) -> None:
    @app.websocket("/four")
    async def four() -> None:
        await websocket.send("one")
        await websocket.close(4000, "enough")

    async with app.test_client().websocket("/four") as ws:
        with pytest.raises(WebsocketDisconnectError) as caught:
            async for message in ws:
                assert message == "one"
        assert (caught.value.code, caught.value.reason) == (4000, "enough")
        assert (ws.close_code, ws.close_reason) == (4000, "enough")
        with pytest.raises(WebsocketDisconnectError):
            await ws.send("too late")
        await ws.close()


async def test_close_performs_the_closing_handshake(app: Triows) -> None:
    ends = []

    @app.websocket("/noting")
    async def noting() -> None:
        try:
            await websocket.receive()
        finally:
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/noting") as ws:
        await ws.close(4001, "bye")
        assert ws.close_code == 4001
        await ws.wait_closed()
        assert ends == [Disconnect(4001, "bye", "closed")]
        await ws.close()
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()


async def test_leaving_the_block_closes_in_order_and_waits_for_the_handler(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    ends = []

    @app.websocket("/slow")
    async def slow() -> None:
        try:
            await websocket.receive()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/slow"):
        pass
    assert ends == [Disconnect(1000, "", "closed")]


async def test_disconnecting_delivers_what_was_sent(app: Triows) -> None:
    seen: list[Any] = []

    @app.websocket("/collect")
    async def collect() -> None:
        try:
            async for message in websocket:
                seen.append(message)
        finally:
            seen.append(websocket.disconnect)

    async with app.test_client().websocket("/collect") as ws:
        await ws.send("a")
        await ws.send("b")
        await ws.disconnect()
        assert ws.close_code == 1006
        await ws.wait_closed()
        assert seen == ["a", "b", Disconnect(1006, "", "lost")]


async def test_resetting_loses_what_was_under_way(app: Triows) -> None:
    seen: list[Any] = []

    @app.websocket("/collect")
    async def collect() -> None:
        try:
            async for message in websocket:
                seen.append(message)
        finally:
            seen.append(websocket.disconnect)

    async with app.test_client().websocket("/collect") as ws:
        await wait_all_tasks_blocked()
        await ws.send("lost")
        await ws.reset()
        with pytest.raises(WebsocketDisconnectError):
            await ws.send("later")
    assert seen == [Disconnect(1006, "", "lost")]


async def test_a_stalled_client_is_felt_by_the_server_until_it_resumes(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    sent = 0

    @app.websocket("/flood")
    async def flood() -> None:
        nonlocal sent
        for _ in range(100):
            await websocket.send(bytes(10_000))
            sent += 1

    async with app.test_client().websocket("/flood") as ws:
        ws.stall()
        await trio.sleep(10)
        assert sent < 30
        ws.resume()
        assert len([message async for message in ws]) == sent == 100


async def test_a_client_that_stays_stalled_is_given_up(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    ends = []

    @app.websocket("/flood")
    async def flood() -> None:
        try:
            while True:
                await websocket.send(bytes(10_000))
        finally:
            ends.append(websocket.disconnect)

    async with app.test_client().websocket("/flood") as ws:
        ws.stall()
        await ws.wait_closed()
        assert [end.kind for end in ends] == ["timeout"]
        assert ws.close_code == 1006


async def test_closing_while_stalled_ends(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    async with app.test_client().websocket("/echo") as ws:
        ws.stall()
        await ws.close()
        assert ws.close_code == 1006


async def test_a_flooding_handler_does_not_keep_the_block_from_beginning(app: Triows) -> None:
    @app.websocket("/flood")
    async def flood() -> None:
        while True:
            await websocket.send("x")

    async with app.test_client().websocket("/flood") as ws:
        assert await ws.receive() == "x"


async def test_sending_waits_for_a_handler_that_does_not_receive(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    received = []

    @app.websocket("/lazy")
    async def lazy() -> None:
        await websocket.accept()
        await trio.sleep(10)
        async for message in websocket:
            received.append(len(message))
            await websocket.send(str(len(received)))

    async with app.test_client().websocket("/lazy") as ws:
        sent = 0
        with trio.move_on_after(5) as scope:
            while True:
                await ws.send(bytes(10_000))
                sent += 1
        assert scope.cancelled_caught
        assert 5 < sent < 50
        for _ in range(sent):
            await ws.receive()
    # The send that was cancelled has left no torn frame behind.
    assert received == [10_000] * sent


async def test_a_timeout_round_receive_takes_no_time_and_loses_nothing(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    @app.websocket("/later")
    async def later() -> None:
        for number in range(3):
            await trio.sleep(10)
            await websocket.send(str(number))

    received = []
    async with app.test_client().websocket("/later") as ws:
        while len(received) < 3:
            with trio.move_on_after(0.7):
                received.append(await ws.receive())
    assert received == ["0", "1", "2"]


async def test_an_idle_connection_outlives_its_keepalive(app: Triows, autojump_clock: trio.testing.MockClock) -> None:
    async with app.test_client().websocket("/echo") as ws:
        await trio.sleep(3600)
        await ws.send("still there")
        assert await ws.receive() == "still there"


# Rejections


@pytest.mark.parametrize("call", ["receive", "send", "close", "nothing"])
async def test_a_rejected_handshake_is_raised_with_its_response(app: Triows, call: str) -> None:
    @app.websocket("/reject")
    async def reject() -> Any:
        return {"error": "Who are you?"}, 401, {"X-Reason": "no name"}

    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/reject") as ws:
            assert not ws.accepted
            assert ws.status_code == 401
            if call != "nothing":
                await getattr(ws, call)(*(["x"] if call == "send" else []))
                pytest.fail("unreachable")
    response = caught.value.response
    assert response.status_code == 401
    assert response.headers["X-Reason"] == "no name"
    assert await response.get_json() == {"error": "Who are you?"}


async def test_a_rejection_that_was_met_in_the_block_is_not_raised_again(app: Triows) -> None:
    async with app.test_client().websocket("/nowhere") as ws:
        with pytest.raises(WebsocketResponseError) as caught:
            await ws.receive()
        assert caught.value.response.status_code == 404
        with pytest.raises(WebsocketResponseError):
            await ws.send("x")
        await ws.close()


async def test_abort_rejects(app: Triows) -> None:
    @app.websocket("/abort")
    async def aborting() -> None:
        abort(418)

    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/abort"):
            pass
    assert caught.value.response.status_code == 418


# Errors


async def test_a_handlers_error_is_raised_unwrapped_by_a_request(app: Triows) -> None:
    with pytest.raises(ValueError, match="out of order"):
        await app.test_client().get("/broken")


async def test_a_handlers_error_is_raised_unwrapped_by_receive(app: Triows) -> None:
    async with app.test_client().websocket("/broken") as ws:
        await ws.send("first")
        with pytest.raises(ValueError, match="first"):
            await ws.receive()
        assert ws.close_code == 1011
        # It was seen: from here on the connection is just over.
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()


@pytest.mark.parametrize("call", ["send", "close", "wait_closed", "nothing"])
async def test_a_handlers_error_is_raised_at_the_latest_at_the_end(app: Triows, call: str) -> None:
    with pytest.raises(ValueError, match="first"):
        async with app.test_client().websocket("/broken") as ws:
            await ws.send("first")
            await wait_all_tasks_blocked()
            if call != "nothing":
                await getattr(ws, call)(*(["x"] if call == "send" else []))
                pytest.fail("unreachable")


async def test_an_error_before_accepting_wins_over_the_rejection_that_it_made(app: Triows) -> None:
    @app.websocket("/early")
    async def early() -> None:
        raise ValueError("early")

    async with app.test_client().websocket("/early") as ws:
        with pytest.raises(ValueError, match="early"):
            await ws.receive()
        assert ws.status_code == 500
    with pytest.raises(ValueError, match="early"):
        async with app.test_client().websocket("/early"):
            pass


async def test_an_error_of_a_child_task_is_raised_unwrapped(app: Triows) -> None:
    async def child() -> None:
        await trio.sleep(0)
        raise KeyError("child")

    @app.websocket("/parent")
    async def parent() -> None:
        websocket.nursery.start_soon(child)
        await websocket.receive()

    with pytest.raises(KeyError, match="child"):
        async with app.test_client().websocket("/parent") as ws:
            await ws.receive()


async def test_a_failure_of_the_test_comes_out_as_it_is(app: Triows) -> None:
    class Stop(BaseException):
        pass

    for error in (AssertionError("wrong"), Stop(), KeyError("x"), StopAsyncIteration()):
        with pytest.raises(type(error)) as caught:
            async with app.test_client().websocket("/echo"):
                raise error
        assert caught.value is error
        assert error.__context__ is None
        with pytest.raises(type(error)) as caught:
            async with app.test_client().request("/hello"):
                raise error
        assert caught.value is error


async def test_a_group_that_the_test_raises_stays_a_group(app: Triows) -> None:
    async def fail() -> None:
        raise ValueError("in a child")

    with pytest.raises(ExceptionGroup) as caught:
        async with app.test_client().websocket("/echo"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail)
    assert [str(error) for error in caught.value.exceptions] == ["in a child"]


async def test_a_failure_of_the_test_is_told_of_the_handlers_error(app: Triows) -> None:
    with pytest.raises(AssertionError) as caught:
        async with app.test_client().websocket("/broken") as ws:
            await ws.send("first")
            await wait_all_tasks_blocked()
            raise AssertionError("the test's own")
    assert caught.value.__notes__ == ["The handler failed too: ValueError('first')"]


async def test_the_handlers_error_wins_over_what_the_test_met_because_of_it(app: Triows) -> None:
    with pytest.raises(ValueError, match="first") as caught:
        async with app.test_client().websocket("/broken") as ws:
            await ws.send("first")
            await wait_all_tasks_blocked()
            raise WebsocketDisconnectError(1011)
    assert isinstance(caught.value.__context__, WebsocketDisconnectError)


async def test_a_swallowed_cancellation_is_raised(app: Triows) -> None:
    @app.websocket("/swallow")
    async def swallow() -> None:
        try:
            await websocket.receive()
        except BaseException:
            pass

    with pytest.raises(CancelledSwallowedError, match="swallow"):
        async with app.test_client().websocket("/swallow"):
            pass


async def test_what_an_error_handler_takes_is_not_raised(app: Triows) -> None:
    @app.errorhandler(ValueError)
    async def handle(error: ValueError) -> Any:
        return f"handled {error}", 400

    response = await app.test_client().get("/broken")
    assert (response.status_code, await response.get_data()) == (400, b"handled out of order")


async def test_errors_can_be_seen_as_a_client_sees_them(app: Triows) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    assert (await client.get("/broken")).status_code == 500
    async with client.websocket("/broken") as ws:
        await ws.send("x")
        with pytest.raises(WebsocketDisconnectError) as caught:
            await ws.receive()
        assert caught.value.code == 1011


async def test_what_stops_the_test_from_inside_a_handler_stops_it(app: Triows) -> None:
    @app.websocket("/fail")
    async def failing() -> None:
        pytest.fail("from inside")

    @app.get("/fail")
    async def failing_request() -> str:
        pytest.fail("from inside")

    with pytest.raises(pytest.fail.Exception, match="from inside"):
        await app.test_client().get("/fail")
    with pytest.raises(pytest.fail.Exception, match="from inside"):
        async with app.test_client().websocket("/fail") as ws:
            await ws.receive()


# Cancellation, and what is left behind


async def test_a_timeout_round_everything_cancels_everything(
    app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    ends = []

    @app.websocket("/wait")
    async def wait() -> None:
        try:
            await websocket.receive()
        finally:
            ends.append("websocket")

    @app.get("/wait")
    async def wait_request() -> str:
        try:
            await trio.sleep_forever()
        finally:
            ends.append("request")

    with pytest.raises(trio.TooSlowError), trio.fail_after(5):
        async with app.test_client().websocket("/wait") as ws:
            await ws.receive()
    with pytest.raises(trio.TooSlowError), trio.fail_after(5):
        await app.test_client().get("/wait")
    with trio.move_on_after(5) as scope:
        async with app.test_client().request("/wait") as connection:
            await connection.receive()
    assert scope.cancelled_caught
    assert ends == ["websocket", "request", "request"]


async def test_no_task_outlives_its_block(
    app: Triows, _no_task_is_left: Any, autojump_clock: trio.testing.MockClock
) -> None:
    _no_task_is_left()
    client = app.test_client()
    await client.get("/hello")
    for end in ("close", "disconnect", "reset", "ping"):
        async with client.websocket("/echo") as ws:
            await ws.send("x")
            await getattr(ws, end)()
    with pytest.raises(KeyError):
        async with client.websocket("/echo"):
            raise KeyError
    with trio.move_on_after(1):
        async with client.websocket("/echo") as ws:
            await ws.receive()
    with pytest.raises(ValueError, match="x"):
        async with client.websocket("/broken") as ws:
            await ws.send("x")
            await ws.receive()
    with pytest.raises(WebsocketResponseError):
        async with client.websocket("/nowhere"):
            pass


async def test_connections_may_be_open_beside_each_other(app: Triows) -> None:
    client = app.test_client()
    async with client.websocket("/echo") as one, client.websocket("/echo") as two:
        await one.send("one")
        await two.send("two")
        assert await (await client.get("/hello")).get_data() == b"hello"
        assert await two.receive() == "two"
        assert await one.receive() == "one"


# The app's life


async def test_the_client_does_not_start_the_app_up(app: Triows) -> None:
    started = []

    @app.before_serving
    async def start() -> None:
        started.append(True)

    @app.get("/nursery")
    async def nursery() -> str:
        app.nursery.start_soon(trio.sleep, 0)
        return ""

    with pytest.raises(RuntimeError, match="test_app"):
        await app.test_client().get("/nursery")
    assert not started


async def test_the_test_app_starts_up_and_shuts_down(app: Triows) -> None:
    events = []

    @app.lifespan
    async def life() -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    @app.get("/nursery")
    async def nursery() -> str:
        app.nursery.start_soon(trio.sleep_forever)
        return ""

    async with app.test_app() as test_app:
        assert events == ["up"]
        assert (await test_app.test_client().get("/nursery")).status_code == 200
        async with test_app.test_client().websocket("/echo") as ws:
            await ws.send("x")
    assert events == ["up", "down"]

    test_app = app.test_app()
    await test_app.startup()
    await test_app.shutdown()
    await test_app.shutdown()
    assert events == ["up", "down"] * 2


async def test_failures_to_start_and_to_stop_are_lifespan_errors(app: Triows) -> None:
    @app.before_serving
    async def start() -> None:
        if app.config.get("FAIL") == "start":
            raise OSError("no database")

    @app.after_serving
    async def stop() -> None:
        raise OSError("no goodbye")

    app.config["FAIL"] = "start"
    with pytest.raises(LifespanError, match="no database") as caught:
        async with app.test_app():
            pytest.fail("unreachable")
    assert isinstance(caught.value.__cause__, OSError)
    app.config["FAIL"] = None
    with pytest.raises(LifespanError, match="no goodbye"):
        async with app.test_app():
            pass
    with pytest.raises(KeyError):
        async with app.test_app():
            raise KeyError


# The stream in memory


async def test_the_stream_takes_all_or_nothing(autojump_clock: trio.testing.MockClock) -> None:
    one, other = memory_stream_pair(10)
    await one.send_all(b"x" * 10)
    with trio.move_on_after(1) as scope:
        await one.send_all(b"lost")
    assert scope.cancelled_caught
    assert await other.receive_some() == b"x" * 10
    await one.send_all(b"y" * 100)
    await one.send_eof()
    assert [await other.receive_some(60), await other.receive_some(60)] == [b"y" * 60, b"y" * 40]
    assert await other.receive_some() == b""
    await other.send_all(b"back")
    assert await one.receive_some() == b"back"


async def test_the_stream_keeps_the_rules_of_streams() -> None:
    await trio.testing.check_half_closeable_stream(_pair, _clogged_pair)


async def _pair() -> Any:
    return memory_stream_pair()


async def _clogged_pair() -> Any:
    one, other = memory_stream_pair(1)
    await one.send_all(b"x")
    await other.send_all(b"x")
    return one, other
