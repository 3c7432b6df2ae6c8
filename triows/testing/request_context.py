"""Requests without a client and a server, for ``app.test_request_context()`` and ``client.session_transaction()``."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from werkzeug.datastructures import Headers

from ..connection.http import HTTPConnection
from ..framework.application import App
from ..framework.pipeline.http import RequestPipeline
from ..protocol.head import Head
from ..web.context import Context
from ..web.json_codec import encode


class ClientlessConnection(HTTPConnection):
    """A request whose body is given, and whose response is dropped but for its status."""

    __slots__ = ("_body",)

    def __init__(self, head: Head, body: bytes) -> None:
        super().__init__(head)
        self._body = body

    async def receive_body(self) -> bytes:
        """Return the body, then ``b""``."""
        body, self._body = self._body, b""
        return body

    async def send_response(self, status: int, headers: Any, body: bytes) -> None:
        """Keep the status."""
        self.status: int | None = status

    async def start_response(self, status: int, headers: Any) -> None:
        """Keep the status."""
        self.status = status

    async def send_body(self, data: bytes) -> None:
        """Do nothing."""

    async def end_response(self) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""

    async def _finish(self) -> None:
        pass


def pipeline_for(
    app: App,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    query_string: str | Mapping[str, Any] | None = None,
    data: str | bytes | None = None,
    json: Any = None,
    form: Mapping[str, Any] | None = None,
    scheme: str = "http",
    root_path: str = "",
    auth: tuple[str, str] | None = None,
) -> RequestPipeline:
    """Return the pipeline of such a request, before its first stage."""
    url = urlsplit(path)
    query = url.query if query_string is None else query_string
    if not isinstance(query, str):
        query = urlencode(query, doseq=True)
    body = data.encode() if isinstance(data, str) else data or b""
    all_headers = Headers({"Host": app.config["SERVER_NAME"] or "localhost"})
    if json is not None:
        body, all_headers["Content-Type"] = encode(app.json, json).encode(), "application/json"
    elif form is not None:
        body, all_headers["Content-Type"] = urlencode(form, doseq=True).encode(), "application/x-www-form-urlencoded"
    if body:
        all_headers["Content-Length"] = str(len(body))
    if auth is not None:
        all_headers["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode("ascii")
    all_headers.update(headers or {})
    head = Head(
        method=method,
        raw_path=quote(url.path or "/", safe="/%:@!$&'()*+,;=~").encode("ascii"),
        query_string=query.encode("ascii", "replace"),
        headers=[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in all_headers],
        http_version="1.1",
        scheme=scheme,
        root_path=root_path,
    )
    return RequestPipeline(app, ClientlessConnection(head, body))


@asynccontextmanager
async def request_context(app: App, path: str, **options: Any) -> AsyncIterator[Context]:
    """See :meth:`triows.Triows.test_request_context`."""
    pipeline = pipeline_for(app, path, **options)
    token = pipeline.context.push()
    try:
        pipeline.match()
        await pipeline.open_session()
        pipeline.preprocess_url_values()
        yield pipeline.context
    finally:
        pipeline.context.pop(token)
