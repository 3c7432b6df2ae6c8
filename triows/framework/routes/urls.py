"""Building the URLs of endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

from werkzeug.routing import BuildError, MapAdapter

from ...tasks.functions import check_awaited
from ...web.context import current_context
from .hooks import HookTable
from .rules import URLMap


class URLApp(Protocol):
    """The app whose endpoints the URLs lead to."""

    url_default_functions: HookTable

    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def url_map(self) -> URLMap: ...


def url_for(
    app: URLApp,
    endpoint: str,
    values: dict[str, Any],
    *,
    anchor: str | None,
    external: bool | None,
    method: str | None,
    scheme: str | None,
) -> str:
    """Return the URL of an endpoint; see :meth:`triows.Triows.url_for`."""
    check_awaited("url_for()", endpoint, anchor, method, scheme, *values.values())
    context = current_context()
    subject = context.subject if context is not None else None
    if subject is not None and endpoint.startswith("."):
        endpoint = f"{subject.blueprint}{endpoint}" if subject.blueprint else endpoint[1:]
    if external is None:
        external = scheme is not None or subject is None
    if scheme is not None and not external:
        raise ValueError("url_for() was given a _scheme for a URL without one; leave out _external=False")
    adapter = context.url_adapter if context is not None and context.url_adapter else _offline_adapter(app)
    _inject_defaults(app, endpoint, values)
    try:
        url = adapter.build(endpoint, values, method=method, url_scheme=scheme, force_external=external)
    except BuildError as error:
        error.args = (*error.args, f"url_for({endpoint!r})")
        raise
    return url if anchor is None else url + "#" + quote(anchor, safe="%!#$&'()*+,/:;=?@")


def _offline_adapter(app: URLApp) -> MapAdapter:
    server_name = app.config["SERVER_NAME"]
    if server_name is None:
        raise RuntimeError(
            "url_for() outside of a request needs the server's name: set app.config['SERVER_NAME'] = 'example.com'"
        )
    return app.url_map.bind(server_name, app.config["APPLICATION_ROOT"], url_scheme=app.config["PREFERRED_URL_SCHEME"])


def _inject_defaults(app: URLApp, endpoint: str, values: dict[str, Any]) -> None:
    if app.url_default_functions:
        parts = endpoint.split(".")[:-1]
        for name in (None, *(".".join(parts[: count + 1]) for count in range(len(parts)))):
            for function in app.url_default_functions.get(name, ()):
                function(endpoint, values)
