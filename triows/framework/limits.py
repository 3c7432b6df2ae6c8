"""The limits of an app and of its routes: made from the config, and kept until the config changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..connection.checks import did_you_mean
from ..connection.limits import (
    KEYS,
    LIMITS,
    SERVER_LIMITS,
    WEBSOCKET_LIMITS,
    ServerLimits,
    WebSocketLimits,
    from_checked,
)
from ..web.cors import CORS
from .config import DEFAULT_CONFIG, Config
from .routes.rules import Rule


class LimitedApp(Protocol):
    """The app whose limits these are. Its config may be replaced by another."""

    config: Config

    def cors_of(self, rule: Rule | None) -> CORS | None: ...


class ConfiguredLimits:
    """Makes the limits of an app; a route's own limits take the place of the app's."""

    def __init__(self, app: LimitedApp) -> None:
        self._app = app
        self._server: tuple[int, ServerLimits] | None = None  # with the revision of the config

    def for_server(self) -> ServerLimits:
        """Return the limits for the server, and for the requests of routes without limits of their own."""
        config = self._app.config
        if self._server is None or self._server[0] != config.revision:
            values = _values(config, SERVER_LIMITS)
            if config["MAX_CONTENT_LENGTH"] is not None:
                values["max_body_size"] = config["MAX_CONTENT_LENGTH"]
            self._server = config.revision, from_checked(ServerLimits, values)
        return self._server[1]

    def for_websockets(self) -> WebSocketLimits:
        """Return the limits for websockets of routes without limits of their own."""
        return from_checked(WebSocketLimits, _values(self._app.config, WEBSOCKET_LIMITS))

    def for_websocket_rule(self, rule: Rule) -> WebSocketLimits:
        """Return the limits for the websockets of a route."""
        config = self._app.config
        if rule.limits is None or rule.limits[0] != config.revision:
            values = {**_values(config, WEBSOCKET_LIMITS), **rule.own_limits}
            policy = self._app.cors_of(rule)
            # A handshake carries the visitor's cookies: a policy without credentials says nothing of it.
            if values["origins"] is None and policy is not None and policy.credentials:
                values["origins"] = ("self", *policy.origins)
            rule.limits = config.revision, from_checked(WebSocketLimits, values)
        return rule.limits[1]

    def for_request_rule(self, rule: Rule | None) -> ServerLimits:
        """Return the limits for the requests of a route; None: of requests without a route."""
        limits = self.for_server()
        if rule is None or not rule.own_limits:
            return limits
        revision = self._app.config.revision
        if rule.request_limits is None or rule.request_limits[0] != revision:
            values = {name: getattr(limits, name) for name in SERVER_LIMITS}
            rule.request_limits = revision, from_checked(ServerLimits, {**values, **rule.own_limits})
        return rule.request_limits[1]


def argument_hint(name: str, function: Callable[..., None]) -> str:
    """Return the end of a message on an argument that is none of an app's: what was meant, or what there is.

    :param function: takes an app's arguments, with its limits in ``**limits``.
    """
    if name.upper() in DEFAULT_CONFIG:
        return f"; it is a setting: app.config[{name.upper()!r}] = ..."
    known = inspect.signature(function).parameters.keys() - {"self", "limits"}
    return did_you_mean(name, [*known, *LIMITS]) or f"; its limits are {', '.join(LIMITS)}"


def _values(config: Config, names: Iterable[str]) -> dict[str, Any]:
    return {name: config[KEYS[name]] for name in names}
