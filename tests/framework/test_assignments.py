"""What is assigned to an app works, or fails at once and says what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from triows import Config, JSONProvider, Request, Response, SessionInterface, Triows, WebSocket


@pytest.mark.parametrize("value", [{"DEBUG": True}, dict(Triows("x").config), None, "config.toml"])
def test_a_config_that_is_none_is_refused(value: Any) -> None:
    app = Triows(__name__)
    config = app.config
    with pytest.raises(TypeError, match=r"app\.config\.update\(\.\.\.\)"):
        app.config = value
    assert app.config is config


@pytest.mark.parametrize("make", [Config, lambda: Config(defaults={"MAX_BODY_SIZE": 10}), lambda: Triows("x").config])
async def test_another_config_has_the_settings_that_it_lacks(make: Any) -> None:
    app = Triows(__name__)
    app.config = config = make()
    assert app.config is config
    assert app.limits.max_body_size == config["MAX_BODY_SIZE"]
    app.secret_key = "secret"
    app.post("/", endpoint="view")(lambda: "")
    assert (await app.test_client().post("/", data=b"x" * 11)).status_code == (
        413 if config["MAX_BODY_SIZE"] == 10 else 200
    )


@pytest.mark.parametrize("name", ["request_class", "response_class", "websocket_class"])
@pytest.mark.parametrize("value", [None, dict, object(), "Request"])
def test_a_class_that_cannot_be_used_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"app.{name} is a subclass of triows"):
        setattr(Triows(__name__), name, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("json", JSONProvider, "the class JSONProvider; call it first"),
        ("json", __import__("json"), r"has no response\(\)"),
        ("session_interface", SessionInterface, "the class SessionInterface; call it first"),
        ("session_interface", object(), r"has no open_session\(\)"),
    ],
)
def test_an_object_that_cannot_be_used_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        setattr(Triows(__name__), name, value)


def test_subclasses_and_instances_are_taken() -> None:
    app = Triows(__name__)
    for name, base in (("request_class", Request), ("response_class", Response), ("websocket_class", WebSocket)):
        derived = type("Derived", (base,), {})
        setattr(app, name, derived)
        assert getattr(app, name) is derived
    for name, value in (("json", JSONProvider()), ("session_interface", SessionInterface())):
        setattr(app, name, value)
        assert getattr(app, name) is value


@pytest.mark.parametrize(
    ("name", "value"), [("response_class", dict), ("request_class", None), ("session_interface", SessionInterface)]
)
def test_what_a_subclass_defines_is_checked_when_an_app_is_made(name: str, value: Any) -> None:
    class_ = type("App", (Triows,), {name: value})
    with pytest.raises(TypeError, match=f"app.{name} is"):
        class_(__name__)
