"""Requests without a client and a server, for ``app.test_request_context()`` and ``client.session_transaction()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..framework.application import App
from ..framework.pipeline.contexts import RequestContext
from ..framework.pipeline.http import RequestPipeline
from ..protocol.head import Head
from ..protocol.plain import plain
from ..web.clientless import ClientlessConnection
from ..web.suggestions import suggests_arguments
from .content import UNSET, Form, Query, make_target, make_test_body_with_headers
from .headers import Auth, HeadersLike, encode_headers, make_headers


@suggests_arguments
def pipeline_for(
    app: App,
    path: str,
    *,
    method: str = "GET",
    headers: HeadersLike | None = None,
    query_string: Query | None = None,
    data: str | bytes | None = None,
    json: Any = None,
    form: Form | None = None,
    scheme: str = "http",
    root_path: str = "",
    http_version: str = "1.1",
    auth: Auth | None = None,
    subdomain: str | None = None,
    scope_base: Mapping[str, Any] | None = None,
) -> RequestPipeline:
    """Return the pipeline of such a request, before its first stage."""
    given_json = UNSET if json is None else json
    body, body_headers = make_test_body_with_headers(data=data, form=form, json=given_json, app=app)
    made = make_headers(headers, auth)
    for name, value in body_headers:
        made.setdefault(name, value)
    if body:
        made.setdefault("Content-Length", str(len(body)))
    target = make_target(app, path, query_string, scheme, subdomain, made)
    endpoint = target.endpoint(root_path, scope_base)
    raw_path, _, query = target.resource.partition("?")
    head = Head(
        method=plain(method),
        raw_path=_mounted(raw_path, quote(endpoint.root_path)).encode("ascii"),
        query_string=query.encode("ascii"),
        headers=[(name.lower(), value) for name, value in encode_headers(made)],
        http_version=http_version,
        scheme=endpoint.scheme,
        root_path=endpoint.root_path,
        client=None if scope_base is None else endpoint.client,
        server=None if scope_base is None else endpoint.server,
    )
    return RequestPipeline(app, ClientlessConnection(head, body))


def _mounted(path: str, root_path: str) -> str:
    """The path with ``root_path`` in front of it, both percent-encoded. As Quart adds it."""
    root = root_path.rstrip("/")
    return path if f"{path}/".startswith(f"{root}/") else root + path


def request_context(app: App, path: str, **options: Any) -> RequestContext:
    """See :meth:`triows.Triows.test_request_context`."""
    connection = pipeline_for(app, path, **options).connection
    return RequestContext(app, app.request_class(connection))
