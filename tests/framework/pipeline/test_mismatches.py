"""A request of one kind at a path of the other: what the client is told, and what the log says.

Tests triows/framework/pipeline/mismatches.py.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
import trio

from triows import Blueprint, Triows, websocket

from ...support.asgi import http
from ...support.records import complaints, lines
from ...support.rejections import rejection

PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def app(app: Triows) -> Triows:
    @app.websocket("/ws")
    async def ws() -> None:
        await websocket.send("hello")

    @app.get("/page")
    async def page() -> str:
        return "a page"

    @app.post("/form")
    async def form() -> str:
        return "taken"

    return app


# An HTTP request for a websocket


async def get(app: Triows, path: str, **options: Any) -> tuple[str | None, str]:
    """The type and the text of a 400."""
    response = await app.test_client().get(path, **options)
    assert response.status_code == 400
    return response.mimetype, await response.get_data(as_text=True)


async def test_a_terminal_is_told_how_to_reach_the_websocket_in_plain_text(app: Triows) -> None:
    mimetype, text = await get(app, "/ws", headers={"Accept": "*/*"})
    assert mimetype == "text/plain"
    assert "This is a websocket" in text
    assert 'new WebSocket("ws://localhost/ws")' in text


async def test_a_browser_is_told_it_in_a_page(app: Triows) -> None:
    mimetype, text = await get(app, "/ws", headers=PAGE)
    assert mimetype == "text/html"
    assert 'new WebSocket("ws://localhost/ws")' in html.unescape(text)


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, "text/plain"),
        ("text/plain", "text/plain"),
        ("text/html", "text/html"),
        ("text/plain;q=0.5, text/html", "text/html"),
        ("text/html;q=0.5, text/plain", "text/plain"),
        ("application/json", "text/plain"),
        ("nonsense", "text/plain"),
    ],
)
async def test_the_accept_header_decides_between_the_two(app: Triows, accept: str | None, mimetype: str) -> None:
    assert (await get(app, "/ws", headers={} if accept is None else {"Accept": accept}))[0] == mimetype


async def test_over_tls_the_url_begins_with_wss(app: Triows) -> None:
    client = app.test_client()
    response = await client.get("/ws", scheme="https", headers={"Host": "chat.example:8443"})
    assert 'new WebSocket("wss://chat.example:8443/ws")' in await response.get_data(as_text=True)


async def test_behind_a_trusted_proxy_the_url_is_the_clients(app: Triows) -> None:
    app.config["TRUSTED_PROXIES"] = ["10.0.0.1"]
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example", "X-Forwarded-For": "192.0.2.1"}
    client = app.test_client()
    response = await client.get("/ws", headers=headers, scope_base={"client": ("10.0.0.1", 40000)})
    assert 'new WebSocket("wss://chat.example/ws")' in await response.get_data(as_text=True)


async def test_the_url_keeps_the_query_and_the_variables(app: Triows) -> None:
    @app.websocket("/rooms/<name>")
    async def room(name: str) -> None: ...

    text = (await get(app, "/rooms/caf%C3%A9%20au%20lait?nick=Ada%26co"))[1]
    assert 'new WebSocket("ws://localhost/rooms/caf%C3%A9%20au%20lait?nick=Ada%26co")' in text


@pytest.mark.parametrize("accept", [PAGE, {}])
async def test_what_the_client_wrote_into_the_url_stays_inside_the_string(app: Triows, accept: dict[str, str]) -> None:
    @app.websocket("/rooms/<path:name>")
    async def room(name: str) -> None: ...

    path = "/rooms/%22);alert(1);//%3C/code%3E%3Cscript%3Ealert(1)%3C/script%3E?q=\"');<script>'&amp;"
    mimetype, text = await get(app, path, headers=accept)
    if mimetype == "text/html":
        assert "<script" not in text
        text = html.unescape(text)
    (argument,) = re.findall(r'new WebSocket\((".*?[^\\]")\)', text)
    assert json.loads(argument).startswith("ws://localhost/rooms/%22")


async def test_head_gets_the_same_without_the_body(app: Triows) -> None:
    response = await app.test_client().head("/ws")
    assert (response.status_code, await response.get_data()) == (400, b"")


async def test_the_error_handlers_may_answer_it(app: Triows) -> None:
    @app.errorhandler(400)
    async def bad_request(error: Any) -> tuple[dict[str, str], int]:
        return {"error": error.description}, 400

    _, text = await get(app, "/ws")
    assert 'new WebSocket("ws://localhost/ws")' in json.loads(text)["error"]


async def test_a_before_hook_may_answer_it(app: Triows) -> None:
    app.before_request(lambda: "a page of our own")
    response = await app.test_client().get("/ws")
    assert (response.status_code, await response.get_data()) == (200, b"a page of our own")


async def test_a_path_with_both_kinds_is_not_concerned(app: Triows) -> None:
    app.get("/ws", endpoint="both")(lambda: "a page")
    assert await (await app.test_client().get("/ws")).get_data() == b"a page"


async def test_a_handshake_whose_upgrade_a_proxy_has_dropped_is_told_so(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    _, text = await get(app, "/ws", headers=headers)
    assert "a proxy in between has to pass both on" in text
    (line,) = lines(complaints(caplog))
    assert line.startswith("GET '/ws': a websocket handshake came without its Upgrade or its Connection")
    assert "a proxy in between has to pass both on" in line


async def test_a_plain_get_is_not_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    await get(app, "/ws")
    assert complaints(caplog) == []


async def test_an_asgi_server_gives_the_same_answer(app: Triows) -> None:
    scope = {"scheme": "https", "root_path": "/mounted", "query_string": b"a=b"}
    headers = [(b"host", b"chat.example"), (b"accept", b"text/html")]
    async with http(app, "/mounted/ws", headers=headers, **scope) as server:
        await server.ended.wait()
    sent = server.sent
    assert sent[0]["status"] == 400
    body = b"".join(event.get("body", b"") for event in sent[1:]).decode()
    assert 'new WebSocket("wss://chat.example/mounted/ws?a=b")' in html.unescape(body)


# A handshake for an HTTP route


async def test_the_log_says_that_a_route_takes_no_websocket(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    response = await rejection(app, "/page?token=secret")
    assert response.status_code == 400
    (line,) = lines(complaints(caplog))
    assert line.startswith("WEBSOCKET '/page': ")
    assert "is HTTP's alone" in line
    assert "page()" in line
    assert "@app.websocket('/page')" in line
    assert "secret" not in line


async def test_the_client_is_told_too(app: Triows) -> None:
    assert "no websocket" in await (await rejection(app, "/page")).get_data(as_text=True)


async def test_the_log_names_a_route_of_another_method_too(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    assert (await rejection(app, "/form")).status_code == 405
    (line,) = lines(complaints(caplog))
    assert "form()" in line
    assert "@app.websocket('/form')" in line


async def test_the_log_names_a_blueprints_route(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    part.get("/<name>", endpoint="view")(lambda name: name)
    app.register_blueprint(part)
    await rejection(app, "/part/x")
    (line,) = lines(complaints(caplog))
    assert "@app.websocket('/part/<name>')" in line


async def test_the_log_says_that_a_redirect_is_not_followed(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/folder/")
    async def folder() -> None: ...

    assert (await rejection(app, "/folder")).status_code == 308
    (line,) = lines(complaints(caplog))
    assert "redirected to 'http://localhost/folder/'" in line.replace("ws:", "http:")
    assert "websocket clients do not follow" in line


async def test_an_unknown_path_is_not_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    assert (await rejection(app, "/nowhere")).status_code == 404
    assert complaints(caplog) == []


async def test_a_client_that_repeats_itself_gets_a_line_a_minute(
    app: Triows, caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    app.get("/users/<name>", endpoint="user")(lambda name: name)
    for number in range(100):
        await rejection(app, f"/users/{number}")
    await rejection(app, "/page")
    assert len(complaints(caplog)) == 2  # one for each route, however many its paths
    await trio.sleep(60)
    await rejection(app, "/users/101")
    assert len(complaints(caplog)) == 3


async def test_the_path_in_the_log_is_escaped(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/users/<name>", endpoint="user")(lambda name: name)
    await rejection(app, "/users/%0Aroot%20logged%20in")
    (line,) = lines(complaints(caplog))
    assert "\n" not in line


# A handler that returns before it accepts


async def test_the_log_names_a_handler_that_returned_before_accepting(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/forgetful")
    async def forgetful() -> None: ...

    assert (await rejection(app, "/forgetful")).status_code == 403
    (line,) = lines(complaints(caplog))
    assert line.startswith("WEBSOCKET '/forgetful': ")
    assert "forgetful()" in line
    assert __file__ in line
    assert "before it accepted" in line
    assert "403" in line


async def refuse_by_closing() -> None:
    await websocket.close()


async def refuse_by_answering() -> tuple[str, int]:
    return "no", 403


@pytest.mark.parametrize("handler", [refuse_by_closing, refuse_by_answering])
async def test_a_handler_that_refuses_on_purpose_is_not_logged(
    app: Triows, handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app.websocket("/purpose")(handler)
    assert (await rejection(app, "/purpose")).status_code == 403
    assert complaints(caplog) == []


async def test_a_handler_whose_child_accepts_is_not_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/child")
    async def parent() -> None:
        websocket.nursery.start_soon(websocket.send, "from the child")

    async with app.test_client().websocket("/child") as ws:
        assert await ws.receive() == "from the child"
    assert complaints(caplog) == []


async def test_a_forgetful_handler_gets_a_line_a_minute(
    app: Triows, caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    @app.websocket("/forgetful")
    async def forgetful() -> None: ...

    for _ in range(10):
        await rejection(app, "/forgetful")
    assert len(complaints(caplog)) == 1
