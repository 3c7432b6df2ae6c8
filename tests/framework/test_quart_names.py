"""What Quart has and triows has not: it is refused where it is defined, assigned or asked for, never in silence.

Tests triows/web/quart_names.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from triows import Blueprint, Config, Request, Response, Triows, WebSocket, g, websocket
from triows.framework import quart_names as absent
from triows.quart.routing import QuartMap
from triows.web import quart_names as of_web

from ..support import quart_names


def public(owner: Any) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


# The tables are complete, and hold nothing that is there


@pytest.mark.parametrize(
    ("theirs", "ours", "names"),
    [
        (quart_names.APP, Triows("name"), absent.APP.keys() | absent.APP_CALLS.keys()),
        (quart_names.BLUEPRINT, Blueprint("name", "name"), absent.BLUEPRINT.keys()),
    ],
)
def test_every_name_of_quarts_is_there_or_has_a_remedy(theirs: list[str], ours: object, names: set[str]) -> None:
    there = public(ours)
    assert set(theirs) - there <= names
    assert there & names == set()


def test_every_setting_of_quarts_is_there_or_has_a_remedy() -> None:
    assert set(quart_names.SETTINGS) <= set(Triows("name").config) | absent.SETTINGS.keys()
    assert set(Triows("name").config) & absent.SETTINGS.keys() == set()


def test_quarts_defaults_are_accepted() -> None:
    config = Config()
    for name in absent.SETTINGS:
        config[name] = quart_names.SETTINGS[name]


# Apps and blueprints


@pytest.mark.parametrize("name", sorted(absent.APP))
def test_a_subclass_of_the_app_cannot_define_what_is_never_looked_at(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^App defines '{name}', which has no effect in triows: \w"):
        type("App", (Triows,), {name: lambda *args: None})


def test_a_mixin_of_the_app_cannot_either() -> None:
    mixin = type("Mixin", (), {"handle_request": lambda self, request: "oops"})
    with pytest.raises(TypeError, match=r"'handle_request'.*full_dispatch_request"):
        type("App", (mixin, Triows), {})


async def test_what_a_class_has_got_since_it_was_made_is_refused_when_the_app_is_served() -> None:
    class App(Triows):
        pass

    app = App(__name__)
    App.handle_request = lambda self, request: "oops"  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="'handle_request'"):
        await app.test_client().get("/")
    with pytest.raises(TypeError, match="'handle_request'"):
        async with app.serving():
            pass


@pytest.mark.parametrize("name", sorted(absent.APP))
def test_what_is_never_looked_at_cannot_be_set_on_the_app(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^'{name}' of a Triows has no effect in triows: \w"):
        setattr(Triows(__name__), name, lambda *args: None)


@pytest.mark.parametrize("name", sorted(absent.BLUEPRINT))
def test_what_is_never_looked_at_cannot_be_set_on_a_blueprint(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^'{name}' of a Blueprint has no effect in triows: \w"):
        setattr(Blueprint("name", __name__), name, lambda *args: None)
    with pytest.raises(TypeError, match=f"'{name}'"):
        type("Part", (Blueprint,), {name: lambda *args: None})


@pytest.mark.parametrize("name", sorted({**absent.APP, **absent.APP_CALLS}))
def test_whoever_asks_the_app_for_it_is_told_what_to_do(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^'{name}' of a Triows is Quart's and not there: \w"):
        getattr(Triows(__name__), name)


@pytest.mark.parametrize("name", sorted(absent.BLUEPRINT))
def test_whoever_asks_a_blueprint_for_it_is_told_what_to_do(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^'{name}' of a Blueprint is Quart's and not there: \w"):
        getattr(Blueprint("name", __name__), name)


@pytest.mark.parametrize("name", sorted(absent.APP_CALLS))
def test_a_subclass_may_define_for_itself_what_only_its_users_call(name: str) -> None:
    app = type("App", (Triows,), {name: "mine"})(__name__)
    assert getattr(app, name) == "mine"


@pytest.mark.parametrize("name", sorted(absent.APP_READ_WHEN_MADE))
def test_what_is_read_while_the_app_is_made_cannot_be_set_later(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^'{name}' of a Triows is read while it is made: \w"):
        setattr(Triows(__name__), name, None)


def test_attributes_of_ones_own_may_be_set() -> None:
    app = Triows(__name__)
    app.database = "here"  # type: ignore[attr-defined]
    assert app.database == "here"  # type: ignore[attr-defined]
    assert not hasattr(app, "other")
    with pytest.raises(AttributeError, match="'Triows' object has no attribute 'other'"):
        app.other  # type: ignore[attr-defined]  # noqa: B018


def test_an_error_inside_of_a_property_is_not_hidden() -> None:
    class App(Triows):
        @property
        def database(self) -> Any:
            return self.connection.database  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="'connection'"):
        App(__name__).database  # noqa: B018


# Requests, websockets and responses


@pytest.mark.parametrize(
    ("base", "name"),
    [
        *((base, name) for base in (Request, WebSocket) for name in of_web.REQUEST),
        *((Request, name) for name in of_web.SET_BY_APP),
        *((Response, name) for name in of_web.RESPONSE),
    ],
)
def test_a_subclass_cannot_define_what_is_never_looked_at(base: type, name: str) -> None:
    with pytest.raises(TypeError, match=rf"^Mine defines '{name}', which has no effect in triows: \w"):
        type("Mine", (base,), {name: 5})


def test_a_response_has_no_timeout() -> None:
    response = Response("")
    response.timeout = None  # as in Quart for a stream that takes long
    with pytest.raises(ValueError, match=r"cannot have 5; use trio\.fail_after\(\)"):
        response.timeout = 5  # type: ignore[assignment]
    assert response.timeout is None


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKGROUND_TASK_SHUTDOWN_TIMEOUT", 30),
        ("PREFER_SECURE_URLS", True),
        ("PRESERVE_CONTEXT_ON_EXCEPTION", True),
        ("RESPONSE_TIMEOUT", 1),
    ],
)
def test_a_setting_without_effect_is_refused_by_name(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    message = rf"^{name} is .*, which has no effect in triows: \w"
    config = Triows(__name__).config
    with pytest.raises(ValueError, match=message):
        config[name] = value
    with pytest.raises(ValueError, match=message):
        config.from_mapping({name: value})
    monkeypatch.setenv(f"TRIOWS_{name}", "77")
    with pytest.raises(ValueError, match=f"TRIOWS_{name}"):
        config.from_prefixed_env()
    config[name] = None


@pytest.mark.parametrize(("name", "value"), [("STRIPE_KEY", "sk"), ("RESPONSE_TIMEOUTS", 5), ("ENV", "testing")])
def test_settings_of_ones_own_may_be_set(name: str, value: Any) -> None:
    config = Triows(__name__).config
    config.from_mapping({name: value})
    assert config[name] == value


# What is there, on the class and on the app


async def test_classes_may_be_set_on_the_class_and_on_the_app() -> None:
    class MyRequest(Request):
        mine = "request"

    class MyResponse(Response):
        mine = "response"

    class MyWebSocket(WebSocket):
        mine = "websocket"

    class MyG:
        mine = "g"

    class OnTheClass(Triows):
        request_class = MyRequest
        response_class = MyResponse
        websocket_class = MyWebSocket
        app_ctx_globals_class = MyG

    on_the_app = Triows(__name__)
    apps = [OnTheClass(__name__), on_the_app]
    for app in apps:

        @app.get("/")
        async def view(request: Request) -> Any:
            return {"all": [request.mine, g.mine]}  # type: ignore[attr-defined]

        @app.websocket("/ws")
        async def ws() -> None:
            await websocket.send(websocket.mine)  # type: ignore[attr-defined]

    on_the_app.request_class = MyRequest
    on_the_app.response_class = MyResponse
    on_the_app.websocket_class = MyWebSocket
    on_the_app.app_ctx_globals_class = MyG
    for app in apps:
        response = await app.test_client().get("/")
        assert await response.get_json() == {"all": ["request", "g"]}
        async with app.test_client().websocket("/ws") as socket:
            assert await socket.receive() == "websocket"
        assert isinstance(await app.make_response("text"), MyResponse)
        assert isinstance(await app.make_response({"a": 1}), MyResponse)


# What is there to be called, and not to be overridden


@pytest.mark.parametrize("name", sorted(absent.APP_ONLY_CALLED))
def test_what_triows_never_calls_cannot_be_overridden(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^App overrides '{name}', .* no effect: \w"):
        type("App", (Triows,), {name: lambda *args: None})
    with pytest.raises(AttributeError, match=rf"^'{name}' of a Triows cannot be replaced: \w"):
        setattr(Triows(__name__), name, lambda *args: None)


def test_a_map_cannot_bind_requests_itself() -> None:
    with pytest.raises(TypeError, match=r"^Map defines 'bind_to_request'.*create_url_adapter"):
        type("Map", (QuartMap,), {"bind_to_request": lambda *args: None})


@pytest.mark.parametrize("name", sorted(of_web.RESPONSE_ONLY_CALLED))
def test_a_response_cannot_replace_what_is_never_called(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^Mine defines '{name}', which has no effect in triows: \w"):
        type("Mine", (Response,), {name: lambda *args: None})


@pytest.mark.parametrize("owner", [Triows("name"), Blueprint("name", "name")])
def test_attributes_are_read_without_getattr_which_would_slow_all_of_them(owner: Any) -> None:
    assert not hasattr(type(owner), "__getattr__")
