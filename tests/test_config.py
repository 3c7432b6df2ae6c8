from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from triows import Compression, Config, Triows, WebSocketLimits
from triows.limits import DEFAULTS, LIMITS


class Settings:
    PING_INTERVAL = 3
    other = 1


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


@pytest.mark.parametrize(("text", "value"), [("true", Compression()), ("false", False)])
def test_compression_is_switched_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, value: Any) -> None:
    monkeypatch.setenv("TRIOWS_COMPRESSION", text)
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.config["COMPRESSION"] == app.websocket_limits().compression == value


@pytest.mark.parametrize("text", ["True", "yes", "1", "null"])
def test_what_is_no_json_boolean_does_not_switch_compression(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TRIOWS_COMPRESSION", text)
    with pytest.raises(TypeError, match=r"it must be True, False or a triows\.Compression"):
        Triows(__name__).config.from_prefixed_env()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_message_size", -1, ValueError),
        ("max_message_size", 0, ValueError),
        ("max_message_size", "1", TypeError),
        ("max_message_size", 1.5, TypeError),
        ("max_connections", True, TypeError),
        ("max_body_size", None, TypeError),
        ("ping_interval", 0, ValueError),
        ("ping_interval", math.nan, ValueError),
        ("close_timeout", "5", TypeError),
        ("compression", 1, TypeError),
        ("compression", None, TypeError),
        ("compression", "deflate", TypeError),
        ("compression", {"level": 9}, TypeError),
        ("origins", "https://example.com", TypeError),
        ("origins", ["example.com"], ValueError),
        ("origins", ["https://example.com/"], ValueError),
        ("subprotocols", "chat", TypeError),
        ("subprotocols", ["a b"], ValueError),
        ("subprotocols", [1], TypeError),
    ],
)
def test_wrong_limits_are_refused_by_name(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        Triows(__name__, **{name: value})
    with pytest.raises(error, match=name):
        Triows(__name__).config[name.upper()] = value


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


def test_the_environment_is_read_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOWS_PING_INTERVAL", "5")
    monkeypatch.setenv("TRIOWS_NAME", "plain text")
    monkeypatch.setenv("TRIOWS_DATABASE__HOST", "db")
    monkeypatch.setenv("OTHER_NAME", "1")
    config = Config()
    config.from_prefixed_env()
    assert config == {"PING_INTERVAL": 5, "NAME": "plain text", "DATABASE": {"HOST": "db"}}


def test_mappings_objects_and_files_give_their_capitals(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"B": 2, "c": 3}')
    config = Config()
    config.from_mapping({"A": 1, "a": 2})
    config.from_object(Settings)
    config.from_file(tmp_path / "config.json", json.load)
    assert config == {"A": 1, "PING_INTERVAL": 3, "B": 2}


def test_namespaces_become_keyword_arguments() -> None:
    assert Config({"DB_HOST": "h", "DB_PORT": 1, "X": 2}).get_namespace("DB_") == {"host": "h", "port": 1}
