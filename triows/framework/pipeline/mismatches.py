"""A request of one kind at a path that has only the other: an HTTP request for a websocket, and the other way round.

Both are answered with 400, as in Quart. The client of an HTTP request is told how to reach the websocket. The client of
a websocket shows nobody the answer to its handshake, so that the log says what is wrong. As a client may repeat its
handshake for ever, each route has one such record a minute at most.
"""

from __future__ import annotations

import json
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter, RequestRedirect, Rule, WebsocketMismatch
from werkzeug.urls import iri_to_uri

from ...protocol.text import printable
from ...tasks.functions import describe
from ...web.request import Request
from ...web.websocket import WebSocket
from ..application import App

_PASS_ON = "a proxy in between has to pass both on"


class WebSocketExpected(WebsocketMismatch):
    """An HTTP request came for a path where only a websocket is. The answer is a page for browsers, else plain text."""

    def __init__(self, description: str, *, html: bool) -> None:
        super().__init__(description)
        self._html = html

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        headers = Headers(super().get_headers(*args, **kwargs))
        if not self._html:
            headers["Content-Type"] = "text/plain; charset=utf-8"
        headers["Vary"] = "Accept"
        return list(headers)

    def get_body(self, *args: Any, **kwargs: Any) -> str:
        return super().get_body(*args, **kwargs) if self._html else f"{self.description}\n"


def explain_websocket(app: App, request: Request, adapter: MapAdapter) -> WebSocketExpected:
    """Return the error that says how to reach the websocket at the path of a request."""
    url = "ws" + iri_to_uri(request.url).removeprefix("http")
    text = (
        "This is a websocket, and the request was a plain HTTP one. In a browser, from a page of the same host:\n"
        f"const socket = new WebSocket({json.dumps(url)})"
    )
    if "sec-websocket-key" in request.headers:
        text += f"\nThe request has a Sec-WebSocket-Key, but not the Upgrade and Connection of a handshake: {_PASS_ON}."
        rule = _rule_of(adapter, request.path, "GET", websocket=True)
        if rule is not None and app.notices.is_due("no upgrade", rule.endpoint):
            app.logger.warning(
                "%s %s: a websocket handshake came without its Upgrade or its Connection, and got 400: %s",
                request.method,
                _shown(request.path),
                _PASS_ON,
            )
    # Not "*/*" but only a type that is named: a terminal accepts anything, and shows text better than a page.
    accepted = request.accept_mimetypes
    html = "text/html" in accepted.values() and accepted.best_match(["text/html", "text/plain"]) == "text/html"
    return WebSocketExpected(text, html=html)


def explain_route(app: App, websocket: WebSocket, adapter: MapAdapter, error: HTTPException) -> None:
    """Log why no handler gets a handshake whose path has a route, and tell it to the client as well as may be."""
    path = _shown(websocket.path)
    if isinstance(error, RequestRedirect):
        if app.notices.is_due("redirect", None):
            app.logger.warning(
                "WEBSOCKET %s: the handshake is redirected to '%s', and websocket clients do not follow: let the"
                " client connect there, or register the rule with strict_slashes=False",
                path,
                printable(error.new_url),
            )
    elif isinstance(error, WebsocketMismatch | MethodNotAllowed):
        rule = _http_rule(adapter, websocket.path)
        if isinstance(error, WebsocketMismatch):
            error.description = "There is no websocket at this path, which takes plain HTTP requests only."
        if rule is not None and app.notices.is_due("no websocket", rule.endpoint):
            view = app.views.get(rule.endpoint)
            app.logger.warning(
                "WEBSOCKET %s: the handshake got %s, since the route of %s is HTTP's alone; for websockets register a"
                " handler with @app.websocket(%r)",
                path,
                error.code,
                rule.endpoint if view is None else describe(view.function),
                rule.rule,
            )


def _http_rule(adapter: MapAdapter, path: str) -> Rule | None:
    for method in ("GET", *sorted(adapter.allowed_methods(path))):
        rule = _rule_of(adapter, path, method, websocket=False)
        if rule is not None:
            return rule
    return None


def _rule_of(adapter: MapAdapter, path: str, method: str, *, websocket: bool) -> Rule | None:
    try:
        return adapter.match(path, method, return_rule=True, websocket=websocket)[0]
    except HTTPException:
        return None


def _shown(path: str) -> str:
    return f"{path!a:.1000}"
