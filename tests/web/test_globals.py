"""The globals of handlers: what they say outside of a context, and what they do like that which they stand for."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import triows
from triows import (
    Request,
    Triows,
    current_app,
    g,
    has_app_context,
    has_request_context,
    has_websocket_context,
    request,
    session,
    websocket,
)
from triows.web.globals import app_ctx, request_ctx, websocket_ctx


async def get(app: Triows, path: str = "/") -> Any:
    return await (await app.test_client().get(path)).get_json()


# Outside of any context


@pytest.mark.parametrize(
    ("proxy", "name", "words"),
    [
        (request, "path", "test_request_context"),
        (websocket, "path", r"websocket\.current\(\)"),
        (session, "new", "'session' is only available while"),
        (g, "user", "app_context"),
        (current_app, "name", r"app\.nursery"),
        (app_ctx, "app", "app_context"),
        (request_ctx, "app", "while a request is handled"),
        (websocket_ctx, "app", "while a websocket is handled"),
    ],
)
def test_a_proxy_outside_of_its_context_says_what_to_do(proxy: Any, name: str, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        getattr(proxy, name)


def test_setting_an_attribute_outside_of_the_context_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="'g' is only available"):
        g.word = "x"


def test_calling_a_method_outside_of_the_context_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="'websocket' is only available"):
        websocket.send("x")


def test_iterating_outside_of_the_context_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="'websocket' is only available"):
        aiter(websocket)


async def test_request_in_a_websocket_handler_points_to_websocket() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler() -> None:
        _ = request.path

    with pytest.raises(RuntimeError, match="in a websocket handler use 'websocket'"):
        async with app.test_client().websocket("/") as ws:
            await ws.receive()


async def test_websocket_in_a_request_is_not_there() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view() -> Any:
        return [websocket.path]

    with pytest.raises(RuntimeError, match="'websocket' is only available"):
        await get(app)


@pytest.mark.parametrize("proxy", [request, websocket, session, g, current_app])
def test_tools_may_look_at_proxies_outside_of_the_context(proxy: Any) -> None:
    assert not hasattr(proxy, "__wrapped__")
    assert inspect.unwrap(proxy) is proxy
    assert "none here" in repr(proxy)
    assert "none here" in str(proxy)
    assert not proxy
    assert dir(proxy) == []


async def test_the_context_of_a_request_has_its_attributes() -> None:
    app = Triows("tested")
    async with app.app_context():
        assert app_ctx.app is app
        assert not request_ctx
    async with app.test_request_context("/here") as context:
        assert request_ctx.request.path == "/here"  # type: ignore[union-attr]
        assert request_ctx == app_ctx == context
        assert not websocket_ctx


async def test_the_context_of_a_websocket_has_its_attributes() -> None:
    app = Triows("tested")

    @app.websocket("/here")
    async def handler() -> None:
        assert websocket_ctx.websocket is not None
        await websocket.send(f"{websocket_ctx.websocket.path} {bool(request_ctx)}")

    async with app.test_client().websocket("/here") as ws:
        assert await ws.receive() == "/here False"


async def test_what_is_in_the_context_can_be_asked() -> None:
    app = Triows("tested")

    def contexts() -> list[bool]:
        return [has_app_context(), has_request_context(), has_websocket_context()]

    @app.get("/")
    async def view() -> Any:
        return contexts()

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send_json(contexts())

    assert contexts() == [False, False, False]
    assert await get(app) == [True, True, False]
    async with app.test_client().websocket("/") as ws:
        assert await ws.receive_json() == [True, False, True]
    async with app.app_context():
        assert contexts() == [True, False, False]


# What proxies do like the object


async def test_a_missing_attribute_is_an_attribute_error() -> None:
    app = Triows("tested")
    async with app.test_request_context("/"):
        with pytest.raises(AttributeError, match="nothing"):
            _ = request.nothing
        assert not hasattr(request, "nothing")
        assert getattr(current_app, "nothing", 5) == 5


async def test_an_attribute_error_inside_of_a_property_is_not_hidden() -> None:
    class Broken(Request):
        @property
        def user(self) -> str:
            return self.no_such_thing

    app = Triows("tested")
    app.request_class = Broken
    async with app.test_request_context("/"):
        with pytest.raises(AttributeError, match="no_such_thing"):
            _ = request.user


async def test_a_runtime_error_inside_of_a_property_is_its_own() -> None:
    app = Triows("tested")
    async with app.test_request_context("/"):
        with pytest.raises(RuntimeError, match="nursery"):
            _ = request.nursery


async def test_a_proxy_is_what_it_stands_for() -> None:
    app = Triows("tested")
    async with app.test_request_context("/"):
        real = request._get_current_object()
        assert request.current() is real
        assert isinstance(real, Request)
        assert (request == real, request != real, hash(request) == hash(real)) == (True, False, True)
        assert (repr(request), str(request), bool(current_app)) == (repr(real), str(real), True)
        assert "path" in dir(request)


async def test_g_is_a_namespace() -> None:
    app = Triows("tested")
    async with app.app_context():
        g.one = 1
        assert ("one" in g, "two" in g, list(g)) == (True, False, ["one"])
        assert (g.get("one"), g.get("two"), g.get("two", 2)) == (1, None, 2)
        assert (g.setdefault("one", 5), g.setdefault("three", 3), g.three) == (1, 3, 3)
        assert (g.pop("three"), g.pop("three", None)) == (3, None)
        with pytest.raises(KeyError):
            g.pop("three")
        del g.one
        with pytest.raises(AttributeError, match=r"set g\.one in this context first"):
            _ = g.one
        assert repr(g) == "<g {}>"


async def test_the_session_is_a_dict() -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        session["a"] = 1
        assert (session["a"], len(session), "a" in session, list(session)) == (1, 1, True, ["a"])
        del session["a"]
        assert not session
        assert (session | {"b": 2}, {"b": 2} | session) == ({"b": 2}, {"b": 2})
        session.update(c=3)
        assert dict(session) == {"c": 3}


async def test_the_session_may_be_updated_in_place() -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        triows.session |= {"a": 1}
        assert triows.session["a"] == 1
        assert triows.session is session


async def test_current_app_may_be_called_like_the_app() -> None:
    app = Triows("tested")
    async with app.app_context():
        with pytest.raises(ValueError, match="unknown"):
            await current_app({"type": "unknown"}, None, None)  # type: ignore[arg-type]


async def test_a_websocket_proxy_is_iterated_like_the_websocket() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler() -> None:
        async for message in websocket:
            await websocket.send(message)

    async with app.test_client().websocket("/") as ws:
        await ws.send("x")
        assert await ws.receive() == "x"


async def test_isinstance_sees_the_object() -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        assert isinstance(request, Request)
        assert isinstance(current_app, Triows)
        assert isinstance(session, dict)
    assert not isinstance(request, Request)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda proxy: pickle.loads(pickle.dumps(proxy))])
async def test_a_copy_of_a_proxy_is_one_of_the_object(copied: Callable[[Any], Any]) -> None:
    app = Triows("tested")
    app.secret_key = "key"
    async with app.test_request_context("/"):
        session["a"] = 1
        g.word = "x"
        copies = copied(session), copied(g)
        session["a"] = 2
        g.word = "y"
    assert copies[0] == {"a": 1}
    assert copies[1].word == "x"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_proxy_is_not_copied_outside_of_its_context(copied: Callable[[Any], Any]) -> None:
    with pytest.raises(RuntimeError, match="'g' is only available"):
        copied(g)


# Parameters in place of the globals


async def test_the_context_is_gone_for_those_who_kept_a_proxy() -> None:
    app = Triows("tested")

    @asynccontextmanager
    async def connected() -> AsyncIterator[None]:
        async with app.test_request_context("/"):
            yield

    async with connected():
        assert request.path == "/"
    with pytest.raises(RuntimeError):
        _ = request.path
