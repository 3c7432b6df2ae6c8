"""What is assigned to an app is checked at once: a wrong object would fail at the next request, far from its cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..web.request import Request
from ..web.response import Response
from ..web.websocket import WebSocket
from .config import DEFAULT_CONFIG, Config

_CLASSES: Mapping[str, type] = {"request_class": Request, "response_class": Response, "websocket_class": WebSocket}
_METHODS: Mapping[str, tuple[str, ...]] = {
    "json": ("dumps", "loads", "response"),
    "session_interface": ("open_session", "save_session"),
}
"""Attributes that hold an instance of any class with these methods."""


def check_definitions(app: object) -> None:
    """Check what a class defines for its apps, as :func:`check_assignment` does what is assigned to one."""
    for name in (*_CLASSES, "session_interface"):
        check_assignment(name, getattr(app, name))


def check_assignment(name: str, value: Any) -> None:
    """Check the value of ``app.name``, and give a config the settings that it lacks.

    :raises TypeError: if the value cannot be used there; the message says what can.
    """
    if name == "config":
        _check_config(value)
    elif name in _CLASSES:
        base = _CLASSES[name]
        if not (isinstance(value, type) and issubclass(value, base)):
            raise TypeError(f"app.{name} is a subclass of triows.{base.__name__}, and cannot be {value!r:.100}")
    elif name == "aborter" and not callable(value):
        raise TypeError(f"app.aborter is called with a code, and cannot be {value!r:.100}")
    elif name in _METHODS:
        if isinstance(value, type):
            raise TypeError(f"app.{name} is an instance, and cannot be the class {value.__name__}; call it first")
        missing = [method for method in _METHODS[name] if not hasattr(value, method)]
        if missing:
            raise TypeError(f"app.{name} cannot be {value!r:.100}, which has no {missing[0]}()")


def _check_config(value: Any) -> None:
    if not isinstance(value, Config):
        raise TypeError(
            f"app.config is a triows.Config, and cannot be {type(value).__name__}: change it by app.config.update(...)"
            " or app.config.from_mapping(...)"
        )
    for key, default in DEFAULT_CONFIG.items():
        value.setdefault(key, default)
