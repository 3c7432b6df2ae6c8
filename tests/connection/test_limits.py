"""Limits: where they are set, for the app and for a route, and what is none.

Tests triows/connection/checks.py and triows/framework/limits.py.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from triows import Blueprint, Compression, ServerLimits, Triows, WebSocketLimits, request
from triows.connection.limits import DEFAULTS, LIMITS, SERVER_LIMITS
from triows.framework.routes.rules import Rule


def test_limits_have_their_defaults() -> None:
    app = Triows(__name__)
    assert app.websocket_limits() == WebSocketLimits()
    assert app.limits.max_body_size == 16 * 1024 * 1024
    assert {name.upper() for name in LIMITS} <= set(app.config)


def test_limits_are_keyword_arguments_of_the_app() -> None:
    app = Triows(__name__, max_message_size=10, ping_timeout=None, max_connections=5)
    assert app.config["MAX_MESSAGE_SIZE"] == 10
    assert app.websocket_limits().ping_timeout is None
    assert app.limits.max_connections == 5


def test_limits_follow_the_config() -> None:
    app = Triows(__name__)
    assert app.limits.head_timeout == 10
    app.config["HEAD_TIMEOUT"] = 2
    assert app.limits.head_timeout == 2.0


def test_routes_set_limits_of_their_own() -> None:
    app = Triows(__name__, ping_interval=5)
    limits = app.websocket_limits({"max_message_size": 7, "subprotocols": ["chat"], "origins": ["https://A.example"]})
    assert (limits.max_message_size, limits.ping_interval) == (7, 5)
    assert (limits.subprotocols, limits.origins) == (("chat",), ("https://a.example",))


def test_compression_is_off_unless_it_is_asked_for() -> None:
    assert Triows(__name__).websocket_limits().compression is False
    assert Triows(__name__, compression=False).config["COMPRESSION"] is False


def test_compression_is_held_as_its_settings() -> None:
    app = Triows(__name__, compression=True)
    assert app.config["COMPRESSION"] == app.websocket_limits().compression == Compression()
    settings = Compression(level=9)
    app.config["COMPRESSION"] = settings
    assert app.websocket_limits().compression is settings
    assert app.websocket_limits({"compression": True}).compression == Compression()
    assert app.websocket_limits({"compression": False}).compression is False


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_message_size", -1, ValueError),
        ("max_message_size", 0, ValueError),
        ("max_message_size", "1", TypeError),
        ("max_message_size", 1.5, TypeError),
        ("max_message_size", 2**63, ValueError),
        pytest.param("max_message_size", 10**5000, ValueError, id="5000 digits"),
        ("max_fragments", "many", TypeError),
        ("max_request_line", 0, ValueError),
        ("max_head_size", False, TypeError),
        ("max_connections", True, TypeError),
        ("max_headers", [], TypeError),
        ("body_timeout", -1, ValueError),
        ("body_timeout", math.inf, ValueError),
        ("min_body_rate", 0, ValueError),
        ("max_message_rate", 0, ValueError),
        ("max_message_rate", "10", TypeError),
        ("max_handshake_rate", -1, ValueError),
        ("max_connections_per_client", 0, ValueError),
        ("max_connections_per_client", 1.5, TypeError),
        ("min_body_rate", "1024", TypeError),
        ("min_body_rate", True, TypeError),
        ("head_timeout", -math.inf, ValueError),
        ("head_timeout", 10**400, ValueError),
        ("max_body_size", None, TypeError),
        ("ping_interval", 0, ValueError),
        ("ping_interval", math.nan, ValueError),
        ("close_timeout", "5", TypeError),
        ("compression", 1, TypeError),
        ("compression", None, TypeError),
        ("compression", "deflate", TypeError),
        ("compression", {"level": 9}, TypeError),
        ("origins", 1, TypeError),
        ("origins", ["example.com"], ValueError),
        ("origins", ["https://example.com/"], ValueError),
        ("subprotocols", "chat", TypeError),
        ("subprotocols", ["a b"], ValueError),
        ("subprotocols", [1], TypeError),
        ("trusted_hosts", [], ValueError),
    ],
)
def test_wrong_limits_are_refused_by_name(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        Triows(__name__, **{name: value})
    with pytest.raises(error, match=name):
        Triows(__name__).config[name.upper()] = value
    with pytest.raises(error, match=name):
        (ServerLimits if name in SERVER_LIMITS else WebSocketLimits)(**{name: value})


@pytest.mark.parametrize("name", ["max_headers", "origins", "trusted_proxies", "trusted_hosts"])
def test_a_long_value_does_not_flood_the_message(name: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        Triows(__name__, **{name: "*" * 100_000})
    assert len(str(caught.value)) < 400


def test_http_routes_set_limits_of_their_own() -> None:
    app = Triows(__name__, static_folder=None, max_body_size=5, body_timeout=6)
    blueprint = Blueprint("b", __name__)
    blueprint.post("/b", endpoint="b", max_body_size=7)(print)
    app.register_blueprint(blueprint)
    app.put("/a", endpoint="a", min_body_rate=None)(print)
    app.add_url_rule("/c", "c", print, body_timeout=None)
    limits = {rule.endpoint: rule.own_limits for rule in app.url_map.iter_rules()}
    assert limits == {"b.b": {"max_body_size": 7}, "a": {"min_body_rate": None}, "c": {"body_timeout": None}}


async def test_requests_have_the_limits_of_their_route() -> None:
    app = Triows(__name__, static_folder=None, max_body_size=5, body_timeout=6)

    @app.post("/own", max_body_size=7)
    @app.post("/")
    async def body_limits() -> list[Any]:
        limits = request.connection.limits
        return [request.max_content_length, limits.max_body_size, limits.body_timeout]

    client = app.test_client()
    assert await (await client.post("/")).get_json() == [5, 5, 6]
    assert await (await client.post("/own")).get_json() == [7, 7, 6]
    app.config["BODY_TIMEOUT"] = 8
    assert await (await client.post("/own")).get_json() == [7, 7, 8]


def test_max_content_length_takes_the_place_of_max_body_size() -> None:
    app = Triows(__name__, max_body_size=5)
    app.config["MAX_CONTENT_LENGTH"] = 7
    assert app.limits.max_body_size == 7


def test_a_rule_checks_its_own_limits() -> None:
    with pytest.raises(ValueError, match="max_body_size"):
        Rule("/", own_limits={"max_body_size": -1})


@pytest.mark.parametrize("owner", [Triows(__name__), Blueprint("name", __name__)])
@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"max_body_size": None}, TypeError),
        ({"body_timeout": 0}, ValueError),
        ({"min_body_rate": math.nan}, ValueError),
    ],
)
def test_wrong_limits_of_an_http_route_are_refused_where_they_stand(
    owner: Triows | Blueprint, limits: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(limits))):
        owner.post("/", **limits)(print)


@pytest.mark.parametrize("name", ["ping_interval", "max_headers", "no_such_limit"])
def test_an_http_route_has_no_other_limits(name: str) -> None:
    with pytest.raises(TypeError, match=f"the route '/' has no option '{name}'"):
        Triows(__name__).get("/", **{name: 5})(print)


@pytest.mark.parametrize(
    ("name", "owner"),
    [("max_headers", "the app"), ("max_body_size", "HTTP routes and the app"), ("no_such_limit", "")],
)
def test_a_websocket_route_has_no_other_limits(name: str, owner: str) -> None:
    async def ws() -> None: ...

    with pytest.raises(TypeError) as caught:
        Triows(__name__).websocket("/", **{name: 5})(ws)
    hint = f"; it is a limit of {owner}: Triows(..., {name}=...)" if owner else ""
    assert str(caught.value) == f"the route '/' has no option '{name}'{hint}"


def test_wrong_limits_of_a_blueprints_websocket_are_refused_where_they_stand() -> None:
    with pytest.raises(ValueError, match="drain_timeout"):

        @Blueprint("name", __name__).websocket("/", drain_timeout=-1)
        async def ws() -> None: ...


def test_wrong_limits_of_a_route_are_refused_where_they_stand() -> None:
    app = Triows(__name__)
    with pytest.raises(ValueError, match="drain_timeout"):

        @app.websocket("/", drain_timeout=-1)
        async def ws() -> None: ...


def test_unknown_limits_are_refused() -> None:
    with pytest.raises(TypeError, match="max_mesage_size"):
        Triows(__name__, max_mesage_size=1)


@pytest.mark.parametrize("name", [name for name in LIMITS if name.endswith(("_timeout", "_interval"))])
def test_none_switches_times_off(name: str) -> None:
    assert Triows(__name__, **{name: None}).config[name.upper()] is None
    assert DEFAULTS[name] is not None


def test_limits_follow_another_config() -> None:
    app = Triows(__name__)
    other = Triows(__name__, max_headers=7).config
    assert app.limits.max_headers == 100
    app.config = other
    assert app.limits.max_headers == 7


def test_limits_follow_a_key_that_is_taken_out() -> None:
    app = Triows(__name__)
    assert app.limits.max_headers == 100
    app.config.pop("MAX_HEADERS")
    with pytest.raises(KeyError, match="MAX_HEADERS"):
        app.limits  # noqa: B018


@pytest.mark.parametrize("name", LIMITS)
def test_a_limits_key_is_in_capitals(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' has no effect in the config; its key is '{name.upper()}'"):
        Triows(__name__).config[name] = 5
