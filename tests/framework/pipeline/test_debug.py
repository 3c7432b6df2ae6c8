"""What debug mode answers unhandled errors with, and no other mode.

Tests triows/framework/pipeline/base.py and triows/framework/pipeline/overrides.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from werkzeug.exceptions import InternalServerError

from triows import Response, Triows, abort

from ...support.asgi import http
from ...support.http import ask, get
from ...support.served import served
from ...support.wire import Response as WireResponse
from ...support.wire import upgrade


async def lost() -> Any:
    raise LookupError("lost")


@pytest.fixture
def app() -> Triows:
    app = Triows(__name__)
    app.debug = True
    app.add_url_rule("/", "index", lost)
    return app


async def answer(app: Triows, *headers: str) -> WireResponse:
    async with served(app) as server:
        return await ask(server.connect(), get("/", *headers))


async def test_a_browser_gets_a_page(app: Triows) -> None:
    response = await answer(app, "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
    assert (response.status, response.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert b"<h1>LookupError</h1>" in response.body
    assert b"GET &#39;/&#39;" in response.body


@pytest.mark.parametrize("headers", [(), ("Accept: */*",), ("Accept: application/json",)])
async def test_other_clients_get_text(app: Triows, headers: tuple[str, ...]) -> None:
    response = await answer(app, *headers)
    assert (response.status, response.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    assert response.body.endswith(b"LookupError: lost\n")


async def test_under_an_asgi_server_it_is_the_same(app: Triows) -> None:
    async with http(app) as server:
        start, body, *_ = await server.rest()
    assert start["status"] == 500
    assert body["body"].endswith(b"LookupError: lost\n")


@pytest.mark.parametrize("hide", [{"DEBUG": False}, {"PROPAGATE_EXCEPTIONS": False}])
async def test_without_debug_mode_or_where_it_is_said_nothing_is_shown(app: Triows, hide: dict[str, Any]) -> None:
    app.config.update(hide)
    response = await answer(app, "Accept: text/html")
    assert response.status == 500
    assert b"LookupError" not in response.body


async def test_several_errors_are_shown_as_a_tree(app: Triows) -> None:
    async def view() -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lost)
            nursery.start_soon(lost)
        return ""

    app.view_functions["index"] = view
    body = (await answer(app, "Accept: text/html")).body
    assert b"1 of 2: LookupError" in body
    assert b"2 of 2: LookupError" in body


async def test_the_handler_of_500_is_not_asked_but_for_abort(app: Triows) -> None:
    app.register_error_handler(500, lambda error: ("the app's own page", 500))
    app.add_url_rule("/aborted", "aborted", lambda: abort(500))
    async with served(app) as server:
        assert b"LookupError" in (await ask(server.connect())).body
        assert (await ask(server.connect(), get("/aborted"))).body == b"the app's own page"


async def test_handlers_of_the_error_itself_are_asked(app: Triows) -> None:
    app.register_error_handler(LookupError, lambda error: "found")
    assert (await answer(app)).body == b"found"


async def test_after_hooks_see_the_response(app: Triows) -> None:
    @app.after_request
    async def tag(response: Response) -> Response:
        response.headers["X-Seen"] = str(response.status_code)
        return response

    assert (await answer(app)).headers["x-seen"] == "500"


async def test_an_app_that_overrides_how_errors_are_handled_shows_them_too() -> None:
    class Own(Triows):
        async def handle_exception(self, error: Exception) -> Response:
            return await super().handle_exception(error)

    app = Own(__name__)
    app.debug = True
    app.add_url_rule("/", "index", lost)
    app.register_error_handler(InternalServerError, lambda error: ("own", 500))
    assert (await answer(app)).body.endswith(b"LookupError: lost\n")


async def test_a_handshake_that_fails_before_it_is_accepted_shows_it(app: Triows) -> None:
    app.add_websocket("/ws", "ws", lost)
    async with served(app) as server:
        response = await ask(server.connect(), upgrade("/ws"))
    assert response.status == 500
    assert response.body.endswith(b"LookupError: lost\n")
