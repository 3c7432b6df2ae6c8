"""Contexts that an app makes, by ``async with`` and by push and pop.

Tests triows/framework/contexts.py and triows/framework/pipeline/contexts.py.
"""

from __future__ import annotations

import copy

import pytest

from triows import Triows, current_app, g, has_app_context, has_request_context, request, session, websocket
from triows.quart.ctx import AppContext, RequestContext
from triows.web.sessions import SecureCookieSession


@pytest.fixture
def app() -> Triows:
    app = Triows("tested")
    app.secret_key = "key"

    @app.get("/users/<int:number>")
    async def user(number: int) -> str:
        return str(number)

    return app


async def test_an_app_context_is_pushed_and_popped(app: Triows) -> None:
    ended: list[BaseException | None] = []
    app.teardown_appcontext(lambda error: ended.append(error))
    context = app.app_context()
    assert not has_app_context()
    await context.push()
    assert current_app.name == "tested"
    g.value = 1
    await context.push()
    await context.pop()
    assert (g.value, ended) == (1, [])
    error = ValueError()
    await context.pop(error)
    assert not has_app_context()
    assert ended == [error]


async def test_a_context_popped_too_often_is_an_error(app: Triows) -> None:
    with pytest.raises(RuntimeError, match="was not pushed"):
        await app.app_context().pop()


def test_a_context_can_be_copied(app: Triows) -> None:
    context = app.app_context()
    assert copy.copy(context).context is context.context


async def test_the_context_of_a_request_has_its_route_and_its_session(app: Triows) -> None:
    events: list[str] = []
    app.teardown_request(lambda error: events.append("request"))
    app.teardown_appcontext(lambda error: events.append("app"))
    async with app.test_request_context("/users/3") as made:
        assert made.request is not None
    events.clear()
    context = app.request_context(made.request)
    assert context.request is made.request
    await context.push()
    assert request.view_args == {"number": 3}
    session["a"] = 1
    await context.pop()
    assert not has_request_context()
    assert events == ["request", "app"]


async def test_the_context_of_a_websocket_has_its_route(app: Triows) -> None:
    kept = []

    @app.websocket("/ws")
    async def ws() -> None:
        kept.append(websocket.current())
        await websocket.send("hello")

    async with app.test_client().websocket("/ws") as client:
        await client.receive()
    async with app.websocket_context(kept[0]):
        assert websocket.endpoint == "ws"


async def test_a_context_takes_the_session_that_is_given(app: Triows) -> None:
    async with app.test_request_context("/users/3") as made:
        assert made.request is not None
    given = SecureCookieSession({"a": 1})
    async with RequestContext(app, made.request, given):
        assert session["a"] == 1
        assert session._get_current_object() is given  # type: ignore[attr-defined]


async def test_an_app_context_is_made_of_its_app_alone(app: Triows) -> None:
    async with AppContext(app):
        assert current_app.name == "tested"


async def test_a_session_that_cannot_be_opened_leaves_no_context(app: Triows) -> None:
    class Sessions(type(app.session_interface)):
        async def open_session(self, app: object, request: object) -> None:
            raise OSError("no store")

    app.session_interface = Sessions()
    with pytest.raises(OSError, match="no store"):
        async with app.test_request_context("/"):
            pass
    assert not has_app_context()


async def test_a_test_request_has_the_http_version_that_is_asked_for(app: Triows) -> None:
    async with app.test_request_context("/", http_version="1.0"):
        assert request.http_version == "1.0"


async def test_a_test_request_has_the_client_that_is_asked_for(app: Triows) -> None:
    async with app.test_request_context("/", scope_base={"client": ("192.0.2.1", 5), "root_path": "/below"}):
        assert request.remote_addr == "192.0.2.1"
        assert request.root_path == "/below"
    with pytest.raises(ValueError, match="scope_base has 'other'"):
        app.test_request_context("/", scope_base={"other": 1})


async def test_a_test_request_is_of_the_subdomain_that_is_asked_for(app: Triows) -> None:
    app.config["SERVER_NAME"] = "example.com"
    async with app.test_request_context("/", subdomain="sub"):
        assert request.host == "sub.example.com"


async def test_a_copy_of_an_app_context_has_the_same_g(app: Triows) -> None:
    context = app.app_context()
    context.g.value = 1
    async with context.copy():
        assert g.value == 1
        assert current_app.name == "tested"
    assert not has_app_context()


async def test_a_copy_of_a_request_context_has_the_same_request_and_session(app: Triows) -> None:
    context = app.test_request_context("/users/7")
    async with context:
        session["name"] = "ann"
        g.value = 1
        copied = context.copy()
    assert not has_request_context()
    async with copied:
        assert (request.view_args, session["name"], g.value) == ({"number": 7}, "ann", 1)


async def test_match_request_may_be_overridden(app: Triows) -> None:
    class Matched(RequestContext):
        def match_request(self) -> None:
            super().match_request()
            calls.append(self.request.endpoint)

    calls: list[str | None] = []
    async with app.test_request_context("/users/7") as other:
        context = Matched(app, other.request)
        await context.push()
        await context.auto_pop(None)
    assert calls == ["user"]


async def test_a_copy_of_a_websocket_context_has_the_same_websocket(app: Triows) -> None:
    @app.websocket("/ws")
    async def ws() -> None:
        here = websocket.current()
        copied = app.websocket_context(here).copy()
        async with copied:
            await websocket.send("same" if websocket.current() is here else "other")

    async with app.test_client().websocket("/ws") as client:
        assert await client.receive() == "same"
