"""Building the URLs of endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

from werkzeug.routing import BuildError, MapAdapter

from ...tasks.functions import check_awaited
from ...web.context import current_context
from ...web.request import RequestBase
from .hooks import HookTable
from .rules import URLMap


class URLApp(Protocol):
    """The app whose endpoints the URLs lead to."""

    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def url_map(self) -> URLMap: ...
    def create_url_adapter(self, request: RequestBase | None) -> MapAdapter | None: ...
    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None: ...
    def handle_url_build_error(self, error: Exception, endpoint: str, values: dict[str, Any]) -> str: ...


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
    app.inject_url_defaults(endpoint, values)
    try:
        url = adapter.build(endpoint, values, method=method, url_scheme=scheme, force_external=external)
    except BuildError as error:
        error.args = (*error.args, f"url_for({endpoint!r})")
        return app.handle_url_build_error(error, endpoint, values)
    return url if anchor is None else url + "#" + quote(anchor, safe="%!#$&'()*+,/:;=?@")


def _offline_adapter(app: URLApp) -> MapAdapter:
    adapter = app.create_url_adapter(None)
    if adapter is None:
        raise RuntimeError(
            "url_for() outside of a request needs the server's name: set app.config['SERVER_NAME'] = 'example.com'"
        )
    return adapter


def adapter_of_server_name(app: URLApp) -> MapAdapter | None:
    """Return the adapter that builds URLs outside of requests; None without a SERVER_NAME."""
    config = app.config
    if config["SERVER_NAME"] is None:
        return None
    return app.url_map.bind(
        config["SERVER_NAME"], config["APPLICATION_ROOT"], url_scheme=config["PREFERRED_URL_SCHEME"]
    )


def inject_defaults(table: HookTable, endpoint: str, values: dict[str, Any]) -> None:
    """Call the functions of ``url_defaults`` for an endpoint."""
    if table:
        parts = endpoint.split(".")[:-1]
        for name in (None, *(".".join(parts[: count + 1]) for count in range(len(parts)))):
            for function in table.get(name, ()):
                function(endpoint, values)
