"""The config: where its values come from, which are refused, and whose it is."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from triows import Compression, Config, Triows, session
from triows.connection.limits import DEFAULTS, LIMITS
from triows.framework.routes.rules import Rule, URLMap
from triows.testing import TestApp, TestClient


class Settings:
    PING_INTERVAL = 3
    other = 1


@pytest.mark.parametrize(("text", "value"), [("true", Compression()), ("false", False)])
def test_compression_is_switched_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, value: Any) -> None:
    monkeypatch.setenv("TRIOWS_COMPRESSION", text)
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.config["COMPRESSION"] == app.websocket_limits().compression == value


@pytest.mark.parametrize("text", ["True", "yes", "1", "null"])
def test_what_is_no_json_boolean_does_not_switch_compression(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TRIOWS_COMPRESSION", text)
    with pytest.raises(TypeError, match=r"^TRIOWS_COMPRESSION is .* it must be True, False or a triows\.Compression"):
        Triows(__name__).config.from_prefixed_env()


def from_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Config:
    for name, text in variables.items():
        monkeypatch.setenv(f"TRIOWS_{name}", text)
    config = Triows(__name__).config
    config.from_prefixed_env()
    return config


def test_the_settings_of_compression_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_environment(monkeypatch, COMPRESSION='{"level": 9}')["COMPRESSION"] == Compression(level=9)


@pytest.mark.parametrize("text", ["chat.v2,chat.v1", " chat.v2 , chat.v1", '["chat.v2", "chat.v1"]'])
def test_lists_come_from_the_environment_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert from_environment(monkeypatch, SUBPROTOCOLS=text)["SUBPROTOCOLS"] == ("chat.v2", "chat.v1")


TEXTS = {
    "compression": "true",
    "origins": "*",
    "subprotocols": "a",
    "trusted_proxies": "127.0.0.1",
    "trusted_hosts": "example.com",
}


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    config = from_environment(monkeypatch, **{name.upper(): TEXTS.get(name, "7")})
    assert config[name.upper()] != DEFAULTS[name]


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("PING_INTERVAL", "soon", TypeError, "is 'soon'; it must be a number of seconds"),
        ("PING_INTERVAL", "NaN", ValueError, "is nan; it must be more than 0 seconds"),
        ("PING_INTERVAL", "Infinity", ValueError, "is inf; it must be at most 1,000,000,000 seconds"),
        ("PING_INTERVAL", "-1", ValueError, "is -1; it must be more than 0 seconds"),
        ("PING_INTERVAL", "None", TypeError, "in the environment None is null"),
        ("MAX_HEADERS", "true", TypeError, "is True; it must be a whole number"),
        ("MAX_HEADERS", "1.5", TypeError, "is 1.5; it must be a whole number"),
        ("MAX_HEADERS", "9" * 5000, TypeError, "it must be a whole number"),
        ("MAX_FORM_PARTS", "0", ValueError, "is 0; it must be at least 1"),
        ("MIN_BODY_RATE", '"5"', TypeError, "is '5'; it must be a number of bytes a second"),
        ("SUBPROTOCOLS", "a b,c", ValueError, "holds 'a b'"),
        ("COMPRESSION", '{"level": 10}', ValueError, "level"),
        ("COMPRESSION", '{"strength": 1}', TypeError, "strength"),
        ("COMPRESSION__LEVEL", "6", TypeError, "sets an item of COMPRESSION, which is no dict: it is of the type bool"),
        ("SUBPROTOCOLS", '{"chat": 1}', TypeError, "is {'chat': 1}; it must be a list or tuple"),
        ("MAX_HEADERS", "[" * 100_000, TypeError, "it must be a whole number"),
        ("ACCESS_LOG_QUERY", "never", TypeError, "is 'never'; it must be True or False (in the environment"),
        ("SECRET_KEY", "12345", TypeError, "is of the type int; it must be text or bytes, or None"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        from_environment(monkeypatch, **{name: text})
    assert str(caught.value).startswith(f"TRIOWS_{name} ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["MAX_CONTENT_LENGTH", "MAX_COOKIE_SIZE", "MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS"])
@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), ("1", TypeError), (1.5, TypeError), (True, TypeError)])
def test_the_limits_of_forms_and_cookies_are_checked_too(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{name} is "):
        Triows(__name__).config[name] = value


def test_the_limits_of_forms_are_switched_off_by_none() -> None:
    config = Triows(__name__).config
    for name in ("MAX_CONTENT_LENGTH", "MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS"):
        config[name] = None
    config["MAX_COOKIE_SIZE"] = 0


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        *(
            (name, value, TypeError)
            for name in (
                "ACCESS_LOG_QUERY",
                "BACKGROUND_TASK_CRASH_STOPS",
                "DEBUG",
                "SESSION_COOKIE_HTTPONLY",
                "SESSION_COOKIE_PARTITIONED",
                "SESSION_COOKIE_SECURE",
                "SESSION_REFRESH_EACH_REQUEST",
                "TESTING",
            )
            for value in ("maybe", b"", (), 2)
        ),
        ("PERMANENT_SESSION_LIFETIME", "1 day", TypeError),
        ("PERMANENT_SESSION_LIFETIME", None, TypeError),
        ("PERMANENT_SESSION_LIFETIME", math.nan, ValueError),
        ("PERMANENT_SESSION_LIFETIME", -1, ValueError),
        ("SESSION_COOKIE_SAMESITE", "lacks", ValueError),
        ("SESSION_COOKIE_SAMESITE", True, ValueError),
        ("SECRET_KEY", 987654321, TypeError),
        ("SECRET_KEY_FALLBACKS", "987654321", TypeError),
        ("SECRET_KEY_FALLBACKS", [987654321], TypeError),
    ],
)
def test_a_setting_that_is_no_limit_is_checked_too(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"{name} is ") as caught:
        Triows(__name__).config[name] = value
    assert "987654321" not in str(caught.value)  # a secret


def test_settings_that_are_on_or_off_may_be_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_environment(monkeypatch, DEBUG="1")["DEBUG"] is True
    assert from_environment(monkeypatch, DEBUG="0")["DEBUG"] is False


@pytest.mark.parametrize("name", ["SESSION_COOKIE_SECURE", "TRAP_BAD_REQUEST_ERRORS"])
@pytest.mark.parametrize("text", ["1", "true", "True", "yes", " on "])
def test_texts_that_mean_true_are_true(name: str, text: str) -> None:
    config = Config(defaults={name: text})
    assert config[name] is True


@pytest.mark.parametrize("name", ["SESSION_COOKIE_SECURE", "TRAP_BAD_REQUEST_ERRORS"])
@pytest.mark.parametrize("text", ["", "0", "False", "no", "off", "None"])
def test_texts_that_mean_false_are_false(name: str, text: str) -> None:
    assert Config(defaults={name: text})[name] is False


def test_none_switches_off() -> None:
    assert Config(defaults={"DEBUG": None})["DEBUG"] is False


@pytest.mark.parametrize("name", ["MAX_CONTENT_LENGTH", "MAX_BODY_SIZE", "MAX_MESSAGE_SIZE"])
@pytest.mark.parametrize(("value", "size"), [(1.5 * 1024, 1536), (16e6, 16_000_000), (1.1 * 1024 * 1024, 1_153_433)])
def test_a_size_may_be_computed(name: str, value: float, size: int) -> None:
    config = Config(defaults={name: value})
    assert (config[name], type(config[name])) == (size, int)


@pytest.mark.parametrize(
    ("value", "error"), [(1.5, TypeError), (math.nan, TypeError), (math.inf, TypeError), (0.0, ValueError)]
)
def test_a_float_that_is_no_size_is_refused(value: float, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^MAX_CONTENT_LENGTH is "):
        Config(defaults={"MAX_CONTENT_LENGTH": value})


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


# Files


def test_a_python_file_gives_its_capitals(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("A = 1\nB = A + 1\nc = 3\nFILE = __file__\n")
    config = Config(tmp_path)
    assert config.from_pyfile("settings.py") is True
    assert config == {"A": 1, "B": 2, "FILE": str(tmp_path / "settings.py")}


def test_an_error_in_a_python_file_is_raised_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("A = 1\nB = 1 / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        Config(tmp_path).from_pyfile("settings.py")
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(tmp_path / "settings.py"), 2)


def test_an_environment_variable_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("A = 1\n")
    monkeypatch.setenv("SETTINGS", "settings.py")
    config = Config(tmp_path)
    assert config.from_envvar("SETTINGS") is True
    assert config == {"A": 1}


def test_an_environment_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SETTINGS", raising=False)
    with pytest.raises(RuntimeError, match="the environment variable SETTINGS is not set or empty"):
        Config().from_envvar("SETTINGS")
    assert Config().from_envvar("SETTINGS", silent=True) is False


def fill(how: str, config: Config, filename: str, silent: bool) -> bool:
    if how == "from_pyfile":
        return config.from_pyfile(filename, silent)
    return config.from_file(filename, json.load, silent)


@pytest.mark.parametrize("how", ["from_pyfile", "from_file"])
@pytest.mark.parametrize("filename", ["missing", "folder", "file/below"])
def test_a_missing_file_raises_or_is_passed_over(tmp_path: Path, how: str, filename: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    config = Config(tmp_path)
    assert fill(how, config, filename, True) is False
    with pytest.raises(OSError, match="there is no configuration file") as caught:
        fill(how, config, filename, False)
    assert caught.value.filename == str(tmp_path / filename)


@pytest.mark.parametrize("relative", [False, True])
def test_files_are_looked_for_in_the_folder_of_the_app_or_its_instance(tmp_path: Path, relative: bool) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "config.json").write_text('{"WHERE": "root"}')
    (tmp_path / "instance" / "config.json").write_text('{"WHERE": "instance"}')
    app = Triows(
        __name__,
        root_path=str(tmp_path),
        instance_path=tmp_path / "instance",
        instance_relative_config=relative,
    )
    app.config.from_file("config.json", json.load)
    assert app.config["WHERE"] == ("instance" if relative else "root")


def test_a_config_class_is_made_with_the_folder_and_the_defaults(tmp_path: Path) -> None:
    class MyConfig(Config):
        def __init__(self, root_path: str, defaults: dict[str, Any]) -> None:
            super().__init__(root_path, {**defaults, "MINE": root_path})

    class App(Triows):
        config_class = MyConfig

    assert App(__name__, root_path=str(tmp_path)).config["MINE"] == str(tmp_path)


def test_make_config_may_be_overridden() -> None:
    class App(Triows):
        def make_config(self, instance_relative: bool = False) -> Config:
            config = super().make_config(instance_relative)
            config["MINE"] = instance_relative
            return config

    assert App(__name__, instance_relative_config=True).config["MINE"] is True


def test_settings_in_the_place_of_the_folder_are_refused() -> None:
    with pytest.raises(TypeError, match=r"write Config\(defaults="):
        Config({"A": 1})  # type: ignore[arg-type]


def test_a_loader_of_variables_may_fail_in_any_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def loads(text: str) -> Any:
        raise LookupError(text)

    monkeypatch.setenv("APP_NAME", "text")
    config = Config()
    config.from_prefixed_env("APP", loads=loads)
    assert config == {"NAME": "text"}


def test_namespaces_become_keyword_arguments() -> None:
    assert Config(defaults={"DB_HOST": "h", "DB_PORT": 1, "X": 2}).get_namespace("DB_") == {"host": "h", "port": 1}


def test_a_subclass_may_have_defaults_and_a_config_of_its_own() -> None:
    class MyConfig(Config):
        pass

    class App(Triows):
        config_class = MyConfig
        default_config: ClassVar[dict[str, Any]] = {"MAX_HEADERS": 7}

    app = App(__name__)
    assert isinstance(app.config, MyConfig)
    assert (app.limits.max_headers, app.config["MAX_FORM_PARTS"]) == (7, 1_000)


async def test_test_clients_and_apps_may_be_of_another_class() -> None:
    class MyClient(TestClient):
        pass

    class MyTestApp(TestApp):
        pass

    class App(Triows):
        test_client_class = MyClient
        test_app_class = MyTestApp

    app = Triows(__name__)
    assert (app.test_client_class, Triows.test_client_class, app.test_app_class) == (TestClient, TestClient, TestApp)
    app.test_client_class = MyClient
    app.test_app_class = MyTestApp
    for one in (app, App(__name__)):
        async with one.test_app() as test_app:
            assert isinstance(test_app, MyTestApp)
            assert isinstance(test_app.test_client(), MyClient)


def test_rules_and_url_maps_may_be_of_another_class() -> None:
    class MyRule(Rule):
        pass

    class MyMap(URLMap):
        pass

    class App(Triows):
        url_rule_class = MyRule
        url_map_class = MyMap

    app = App(__name__, static_folder=None)
    app.get("/", endpoint="view")(print)
    assert isinstance(app.url_map, MyMap)
    assert [type(rule) for rule in app.url_map.iter_rules()] == [MyRule]


async def test_a_secret_of_the_environment_need_not_be_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOWS_SECRET_KEY", os.fsdecode(b"a\xff"))
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.secret_key == b"a\xff"
    app.get("/")(lambda: str(session.setdefault("count", 1)))
    assert "session=" in (await app.test_client().get("/")).headers["set-cookie"]
