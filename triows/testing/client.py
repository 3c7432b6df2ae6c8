"""The test client: requests and websockets to an app, each over a connection of its own."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from http.cookiejar import CookieJar
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urldefrag, urljoin, urlsplit

import h11
import trio
from werkzeug.datastructures import Headers
from werkzeug.http import dump_cookie

from ..connection.base import Connection
from ..framework.application import App
from ..protocol.plain import plain
from ..tasks.context import TaskContext
from ..web.context import BackgroundContext, Context, current_context
from ..web.quart_names import CLIENT, refuse_definitions
from ..web.response import Response
from ..web.sessions import SessionMixin, open_session, save_session
from ..web.suggestions import suggests_arguments
from . import cookies
from .content import UNSET, Files, Form, Query, Target, jar_url, make_target, make_test_body_with_headers
from .headers import Auth, HeadersLike, encode_headers, make_headers, offered_subprotocols
from .http import KeptConnection, TestHTTPConnection
from .request_context import pipeline_for
from .serving import serve
from .websocket import TestWebSocket

_MAX_REDIRECTS = 20
_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
_HTTP_VERSION = "1.1"
_SameSite = Literal["Strict", "Lax", "None"]


@dataclass(frozen=True)
class _Request:
    """A request as it is sent, but for its cookies."""

    target: Target
    method: str
    headers: Headers
    body: bytes
    root_path: str
    scope_base: Mapping[str, Any] | None


_sent: ContextVar[list[_Request]] = ContextVar("triows.testing.sent")
"""The requests of the call of ``open()`` that runs: a redirect is relative to the last, and repeats its body."""


class TestClient:
    """A client for tests: ``app.test_client()``. It keeps its cookies from one request to the next.

    An error of a handler that no error handler took is raised by the client's call, as it was raised in the handler.
    With ``app.config["PROPAGATE_EXCEPTIONS"] = False`` the client gets a 500 or a Close with 1011, as a real one does.

    In ``async with app.test_client() as client:``, the context of the last request stays current, so that the test can
    read ``request``, ``session`` and ``g``.

    :ivar cookie_jar: an :class:`http.cookiejar.CookieJar`, or None with ``use_cookies=False``.
    """

    __test__ = False  # pytest takes any class named Test... for a collection of tests

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_definitions(cls, CLIENT)

    @suggests_arguments
    def __init__(self, app: App, use_cookies: bool = True) -> None:
        self.app = app
        self.cookie_jar: CookieJar | None = cookies.make_jar() if use_cookies else None
        self._block: contextvars.Context | None = None  # of the task that is in the client's block
        self._token: Token[TaskContext] | None = None
        self._first: Context | None = None
        self._preserving = False
        self._contexts: dict[Connection, Context] = {}
        self._kept: KeptConnection | None = None

    # Requests

    @suggests_arguments
    async def open(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: HeadersLike | None = None,
        data: str | bytes | None = None,
        form: Form | None = None,
        files: Files | None = None,
        query_string: Query | None = None,
        json: Any = UNSET,
        scheme: str = "http",
        follow_redirects: bool = False,
        root_path: str = "",
        scope_base: Mapping[str, Any] | None = None,
        auth: Auth | None = None,
        subdomain: str | None = None,
    ) -> Response:
        """Make a request and return the whole response, when the app has handled the request.

        :param path: the path, with its query or without, or a URL. The client percent-encodes it where needed.
        :param headers: a mapping, or pairs. A value beyond latin-1 is sent as UTF-8.
        :param data: the body. Instead of it: ``json``, a value; ``form``, a mapping or pairs, and ``files``, a mapping
            of :class:`~triows.FileStorage`.
        :param query_string: a mapping, pairs, or text. Values that are None are left out, of forms too.
        :param scheme: the scheme that the app sees, ``http`` or ``https``; there is no encryption.
        :param root_path: the path under which the app seems to be mounted; ``path`` begins with it.
        :param scope_base: ``{"client": (host, port)}`` sets the client's address, ``"server"`` the server's.
        :param auth: user and password, or a :class:`werkzeug.datastructures.Authorization`.
        :param subdomain: put before the app's SERVER_NAME, else before ``localhost``.
        :raises HTTPDisconnectError: if the connection ends before the response is complete.
        """
        sent: list[_Request] = []
        token = _sent.set(sent)
        try:
            response = await self._make_request(
                path,
                method,
                headers,
                data,
                form,
                files,
                query_string,
                json,
                scheme,
                root_path,
                _HTTP_VERSION,
                scope_base,
                auth,
                subdomain,
            )
        finally:
            _sent.reset(token)
        if not follow_redirects or not sent:  # without a request, an override has made the response by itself
            return response
        request = sent[-1]
        for _ in range(_MAX_REDIRECTS):
            location = response.headers.get("location")
            if response.status_code not in (301, 302, 303, 307, 308) or location is None:
                return response
            request = self._redirected(request, response.status_code, location)
            response = await self._exchange(request)
        raise RuntimeError(
            f"{path!r} led to more than {_MAX_REDIRECTS} redirects, the last to {request.target.resource!r}"
        )

    async def _make_request(
        self,
        path: str,
        method: str,
        headers: HeadersLike | None,
        data: str | bytes | None,
        form: Form | None,
        files: Files | None,
        query_string: Query | None,
        json: Any,
        scheme: str,
        root_path: str,
        http_version: str,
        scope_base: Mapping[str, Any] | None,
        auth: Auth | None = None,
        subdomain: str | None = None,
    ) -> Response:
        """Make the first request of :meth:`open`.

        Name and parameters are Quart's: extensions override the method to take other values, and call it with these.

        :param json: ``quart.testing.utils.sentinel`` stands for no value.
        :raises ValueError: if ``http_version`` is another than 1.1.
        """
        if http_version != _HTTP_VERSION:
            raise ValueError(f"http_version is {http_version!r}; the test client speaks HTTP/{_HTTP_VERSION}")
        body, body_headers = make_test_body_with_headers(data=data, form=form, files=files, json=json, app=self.app)
        made = make_headers(headers, auth)
        for name, value in body_headers:
            made.setdefault(name, value)
        target = make_target(self.app, path, query_string, scheme, subdomain, made)
        request = _Request(target, method, made, body, root_path, scope_base)
        if (sent := _sent.get(None)) is not None:
            sent.append(request)
        return await self._exchange(request)

    def _redirected(self, request: _Request, status: int, location: str) -> _Request:
        """Return the request that follows a redirect."""
        url = urldefrag(urljoin(request.target.url, location)).url
        headers = request.headers.copy()
        headers["host"] = urlsplit(url).netloc
        target = make_target(self.app, url, None, request.target.scheme, None, headers)
        if target.host != request.target.host:
            headers.remove("authorization")  # the credentials are for the other host
        request = replace(request, target=target, headers=headers)
        if status == 303 or (status in (301, 302) and request.method == "POST"):
            # RFC 9110, section 15.4: for 303 as it says, for 301 and 302 as browsers do.
            for name in ("content-type", "content-length"):
                headers.remove(name)
            request = replace(request, method="HEAD" if request.method == "HEAD" else "GET", body=b"")
        return request

    async def _exchange(self, request: _Request) -> Response:
        target, headers, body = request.target, request.headers.copy(), request.body
        cookies.add_cookies(self.cookie_jar, headers, target.url)
        if (body or request.method in _METHODS_WITH_BODY) and "transfer-encoding" not in headers:
            headers.setdefault("Content-Length", str(len(body)))
        head = h11.Request(method=request.method, target=target.resource, headers=encode_headers(headers))
        keep_cookies = partial(cookies.keep_cookies, self.cookie_jar, url=target.url)
        endpoint = target.endpoint(request.root_path, request.scope_base)
        if self._kept is not None:
            served, connection = await self._kept.exchange(endpoint, head, body, keep_cookies)
        else:
            async with serve(self.app, endpoint) as served:
                connection = TestHTTPConnection(self.app, served, head, keep_cookies)
                await connection.exchange(body)
                await connection.close()
        if served.connection is not None:
            self._enter_context_of(served.connection)
        return await connection.as_response()

    @asynccontextmanager
    async def keep_alive(self) -> AsyncIterator[Self]:
        """Make the requests in the block over one connection, one after the other, as browsers and proxies do.

        Another connection takes its place if the server has closed it, or if a request has another ``scheme``,
        ``root_path`` or ``scope_base``. Requests by :meth:`request`, and websockets, have connections of their own.

        :raises RuntimeError: within such a block of the same client.
        """
        if self._kept is not None:
            raise RuntimeError("this test client keeps a connection alive already")
        raised: BaseException | None = None
        async with trio.open_nursery() as nursery:
            self._kept = kept = KeptConnection(self.app, nursery)
            try:
                yield self
            except BaseException as error:  # noqa: ASYNC103 - raised below, outside of the nursery and its groups
                raised = error
            finally:
                self._kept = None
                kept.close()
        if raised is not None:
            raise raised

    @suggests_arguments
    @asynccontextmanager
    async def request(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: HeadersLike | None = None,
        query_string: Query | None = None,
        scheme: str = "http",
        root_path: str = "",
        scope_base: Mapping[str, Any] | None = None,
        auth: Auth | None = None,
        subdomain: str | None = None,
    ) -> AsyncIterator[TestHTTPConnection]:
        """Make a request in the block, piece by piece; see :class:`TestHTTPConnection`.

        The parameters are those of :meth:`open`. The body is sent in chunks, unless ``headers`` has a Content-Length.
        """
        made = make_headers(headers, auth)
        target = make_target(self.app, path, query_string, scheme, subdomain, made)
        cookies.add_cookies(self.cookie_jar, made, target.url)
        if not any(name in made for name in ("content-length", "transfer-encoding", "upgrade")):
            made["Transfer-Encoding"] = "chunked"
        request = h11.Request(method=method, target=target.resource, headers=encode_headers(made))
        keep_cookies = partial(cookies.keep_cookies, self.cookie_jar, url=target.url)
        async with serve(self.app, target.endpoint(root_path, scope_base)) as served:
            connection = TestHTTPConnection(self.app, served, request, keep_cookies)
            await connection.send_head()
            yield connection
            await connection.finish()
        if served.connection is not None:
            self._enter_context_of(served.connection)

    async def delete(self, path: str, **options: Any) -> Response:
        """Make a DELETE request; see :meth:`open`."""
        return await self.open(path, method="DELETE", **options)

    async def get(self, path: str, **options: Any) -> Response:
        """Make a GET request; see :meth:`open`."""
        return await self.open(path, method="GET", **options)

    async def head(self, path: str, **options: Any) -> Response:
        """Make a HEAD request; see :meth:`open`."""
        return await self.open(path, method="HEAD", **options)

    async def options(self, path: str, **options: Any) -> Response:
        """Make an OPTIONS request; see :meth:`open`."""
        return await self.open(path, method="OPTIONS", **options)

    async def patch(self, path: str, **options: Any) -> Response:
        """Make a PATCH request; see :meth:`open`."""
        return await self.open(path, method="PATCH", **options)

    async def post(self, path: str, **options: Any) -> Response:
        """Make a POST request; see :meth:`open`."""
        return await self.open(path, method="POST", **options)

    async def put(self, path: str, **options: Any) -> Response:
        """Make a PUT request; see :meth:`open`."""
        return await self.open(path, method="PUT", **options)

    async def trace(self, path: str, **options: Any) -> Response:
        """Make a TRACE request; see :meth:`open`."""
        return await self.open(path, method="TRACE", **options)

    # Websockets

    @suggests_arguments
    @asynccontextmanager
    async def websocket(
        self,
        path: str,
        *,
        headers: HeadersLike | None = None,
        query_string: Query | None = None,
        scheme: str = "ws",
        subprotocols: Sequence[str] | None = None,
        root_path: str = "",
        scope_base: Mapping[str, Any] | None = None,
        auth: Auth | None = None,
        subdomain: str | None = None,
    ) -> AsyncIterator[TestWebSocket]:
        """Open a websocket for the block; see :class:`TestWebSocket`. The parameters are those of :meth:`open`.

        The block begins when the handshake is answered, or when the app waits for something else before it.

        :param subprotocols: the subprotocols to offer, the preferred one first.
        :raises WebsocketResponseError: at the end of the block, if the handshake was answered with an HTTP response
            and no call in the block has raised the error.
        """
        made = make_headers(headers, auth)
        target = make_target(self.app, path, query_string, scheme, subdomain, made)
        cookies.add_cookies(self.cookie_jar, made, target.url)
        # trio-websocket sends these itself, and checks the server's subprotocol against its own list.
        offered = offered_subprotocols(subprotocols, made)
        for name in ("host", "sec-websocket-protocol"):
            made.remove(name)
        keep_cookies = partial(cookies.keep_cookies, self.cookie_jar, url=target.url)
        async with serve(self.app, target.endpoint(root_path, scope_base)) as served:
            ws = TestWebSocket(self.app, served, target, encode_headers(made), offered, keep_cookies)
            await ws.open()
            yield ws
            await ws.leave()
        ws.raise_rejection()

    # Cookies and sessions

    @suggests_arguments
    def set_cookie(
        self,
        server_name: str | None,
        key: str,
        value: str = "",
        max_age: int | timedelta | None = None,
        expires: int | float | datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: _SameSite | None = None,
    ) -> None:
        """Put a cookie into the jar, as if the server of that name had set it.

        :param server_name: None is ``localhost``, the host of requests that name none.
        :raises RuntimeError: if the client has no cookies.
        """
        self._require_cookies()
        cookie = dump_cookie(
            plain(key),
            plain(value),
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )
        cookies.keep_cookies(
            self.cookie_jar, Headers([("set-cookie", cookie)]), url=jar_url(server_name or "localhost", path)
        )

    @suggests_arguments
    def delete_cookie(self, server_name: str | None, key: str, path: str = "/", domain: str | None = None) -> None:
        """Remove a cookie from the jar."""
        self.set_cookie(server_name, key, expires=0, max_age=0, path=path, domain=domain)

    @asynccontextmanager
    async def session_transaction(
        self, path: str = "/", *, headers: HeadersLike | None = None, **options: Any
    ) -> AsyncIterator[SessionMixin]:
        """Open the session of the next request, to read and to change it in the block.

        :param options: what :meth:`triows.Triows.test_request_context` takes, for sessions that depend on the request.
        :raises RuntimeError: if the client has no cookies or the app no secret key.
        """
        self._require_cookies()
        made = make_headers(headers, None)
        where = (options.get("query_string"), options.get("scheme", "http"), options.get("subdomain"))
        url = make_target(self.app, path, *where, made).url
        cookies.add_cookies(self.cookie_jar, made, url)
        context = pipeline_for(self.app, path, headers=made, **options).context
        interface = self.app.session_interface
        assert context.request is not None
        token = context.push()
        try:
            session = await open_session(interface, self.app, context.request)
        finally:
            context.pop(token)
        if interface.is_null_session(session):
            raise RuntimeError("the app has no session here; does it have a secret key?")
        yield session
        response = self.app.response_class()
        token = context.push()
        try:
            await save_session(interface, self.app, session, response)
        finally:
            context.pop(token)
        cookies.keep_cookies(self.cookie_jar, response.headers, url)

    def _require_cookies(self) -> None:
        if self.cookie_jar is None:
            raise RuntimeError("this test client has no cookies; make it without use_cookies=False")

    # The context of the last request. In other tasks it is set too, and ends with them.

    async def __aenter__(self) -> Self:
        if self._preserving:
            raise RuntimeError("this test client is in use in an 'async with' block already; make another one")
        self._preserving = True
        self._block = trio.lowlevel.current_task().context
        self.app.teardown_functions.append(self._note_context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._preserving = False
        self.app.teardown_functions.remove(self._note_context)
        self._contexts.clear()
        token, self._token = self._token, None
        if token is not None and self._first is not None and self._block is trio.lowlevel.current_task().context:
            self._first.pop(token)

    async def _note_context(self, error: BaseException | None) -> None:
        """Keep the context of a request; the app calls this at the request's end, inside of its context."""
        context = current_context()
        if context is not None and context.request is not None and not isinstance(context, BackgroundContext):
            self._contexts[context.request.connection] = context

    def _enter_context_of(self, connection: Connection) -> None:
        context = self._contexts.pop(connection, None)
        if context is not None:
            token = context.push()
            if self._token is None and self._block is trio.lowlevel.current_task().context:
                self._token, self._first = token, context
