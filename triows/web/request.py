"""Requests: the head, which HTTP requests and websockets have in common, and the body of an HTTP request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self, TypeVar, cast, overload
from urllib.parse import quote

import trio
from werkzeug.datastructures import Authorization, CombinedMultiDict, Headers, MultiDict
from werkzeug.exceptions import BadHost, BadRequest
from werkzeug.routing import Rule
from werkzeug.sansio.utils import get_current_url, get_host

from ..connection.base import Connection
from ..connection.http import HTTPConnection
from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.hosts import default_port, is_host
from .body import Body, BodyPieces
from .clientless import ClientlessConnection, FedBody, head_of_parts
from .foreign_names import REQUEST as FOREIGN
from .foreign_names import ForeignNameGuard
from .forms import FileStorage, FormParser, UrlencodedForm, multipart_form
from .json_codec import STANDARD_JSON, JSONCodec
from .lazy import lazy
from .quart_names import REQUEST, SET_BY_APP, refuse_definitions
from .scope import scope_of
from .werkzeug_fixes import SafeRequest

T = TypeVar("T")
Fields = Headers | Mapping[str, str] | Iterable[tuple[str, str]]
PushPromise = Callable[[str, Headers], Awaitable[None]]

_UNSET: Any = object()
_PUSHED_HEADERS = ("accept", "accept-encoding", "accept-language", "cache-control", "user-agent")


class RequestBase(ForeignNameGuard, SafeRequest):
    """The common base of HTTP requests and websockets: the head of the request.

    A server makes one of a connection; tests may make one of its parts, in Quart's order.

    :ivar connection: the connection underneath.
    :ivar url_rule: the rule that matched; None if no rule did.
    :ivar view_args: the URL variables for the view.
    :ivar routing_exception: why no rule matched: 404, 405, a redirect ...
    :ivar json_provider: the app's JSON provider.
    """

    connection: Connection
    url_rule: Rule | None = None
    view_args: dict[str, Any] | None = None
    routing_exception: Exception | None = None
    json_provider: JSONCodec = STANDARD_JSON

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_definitions(cls, REQUEST)

    @overload
    def __init__(self, connection: Connection, /) -> None: ...

    @overload
    def __init__(
        self,
        method: str,
        scheme: str,
        path: str,
        query_string: bytes,
        headers: Fields,
        root_path: str,
        http_version: str,
        scope: Mapping[str, Any],
    ) -> None: ...

    def __init__(self, method: Any = None, *parts: Any, **named: Any) -> None:
        self._begin(_clientless(method, *parts, **named) if parts or named else method)

    def _begin(self, connection: Connection) -> None:
        # Not super().__init__(): it would build headers and other objects that most handlers never use.
        self.connection = connection
        head: Head = connection.head
        self.head: Head = head
        self.method: str = head.method
        self.scheme: str = head.scheme
        self.server: tuple[str, int | None] | None = head.server
        self.path: str = "/" + head.path.lstrip("/")
        self.root_path: str = head.root_path.rstrip("/")
        self.query_string: bytes = head.query_string if head.query_string.isascii() else _quote_query(head.query_string)
        self.http_version: str = head.http_version

    @lazy
    def headers(self) -> Headers:
        """The request's headers; names compare without regard to case.

        ``Host``, which HTTP/1.0 does not have, is empty in a request of HTTP/1.0 without it.
        """
        headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.head.headers])
        if self.http_version == "1.0":
            headers.setdefault("Host", "")
        return headers

    @lazy
    def host(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The host that the request was made to, with its port unless that is the scheme's default.

        Without a Host header it is the server's address, and empty at a Unix socket (RFC 9112, section 3.3).

        :raises werkzeug.exceptions.BadHost: if it is no host and port.
        :raises werkzeug.exceptions.SecurityError: if it is none of ``trusted_hosts``.
        """
        # Not through self.headers, which most handlers never use, so that it need not be built.
        named = self.head.host
        if named and not self.trusted_hosts:
            return _host(named, self.scheme)
        return get_host(self.scheme, named or None, self.server, self.trusted_hosts)

    @lazy
    def url(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The whole URL of the request, as an IRI: characters outside of ASCII stay unquoted where possible."""
        return self._url(self.root_path, self.path, self.query_string)

    @lazy
    def base_url(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """:attr:`url` without the query."""
        return self._url(self.root_path, self.path)

    @lazy
    def root_url(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The URL of the app's root."""
        return self._url(self.root_path)

    @lazy
    def host_url(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The URL of the host's root."""
        return self._url()

    def _url(self, *parts: Any) -> str:
        try:
            return get_current_url(self.scheme, self.host, *parts)
        except (UnicodeError, IndexError):
            # Python's IDNA codec (of 2003) raises for some hosts: they stay in ASCII.
            url = get_current_url(self.scheme, "_", *parts)
            return url.replace("_", self.host.lower(), 1)

    @lazy
    def remote_addr(self) -> str | None:
        """The client's address, None if it is not known.

        Behind a proxy of ``trusted_proxies`` it is the address that the proxy's headers name.
        """
        client = self.head.client
        return client[0] if client else None

    @lazy
    def authorization(self) -> Authorization | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The credentials in the ``Authorization`` header; None if there are none, or they are malformed."""
        try:
            return Authorization.from_header(self.headers.get("Authorization"))
        except ValueError:  # b64decode() raises it for credentials outside ASCII, and Werkzeug does not catch it
            return None

    @property
    def id(self) -> str:
        """The id of this request or websocket, for logs and for other services: 128 random bits in hexadecimal digits.

        It is made when it is first asked for. After :meth:`app.request_ids() <triows.Triows.request_ids>` every request
        has one from its beginning, which a trusted proxy may have given it. Records that are logged for the request
        have it as ``request_id``.
        """
        return self.connection.identify()

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the connection's other end, which may be a proxy; None if the transport has none."""
        return (self.head.received or self.head).client

    def current(self) -> Self:
        """Return this object itself.

        Through the proxies ``triows.request`` and ``triows.websocket`` that is the real object, which is quicker to use
        and may be given to tasks of other connections.
        """
        return self

    @property
    def disconnect(self) -> Disconnect | None:
        """Why the client is gone; None while it is connected. It is set before anything is cancelled."""
        return self.connection.disconnect

    @property
    def nursery(self) -> trio.Nursery:
        """The handler's nursery. A disconnect cancels its tasks, and the handler's end waits for them.

        :raises RuntimeError: while no handler runs.
        """
        return self.connection.nursery

    @lazy
    def scope(self) -> dict[str, Any]:
        """The ASGI scope of the connection; elsewhere than under an ASGI server, what one would give. To be read."""
        return scope_of(self.head) if self.head.asgi_scope is None else self.head.asgi_scope

    @property
    def endpoint(self) -> str | None:
        """The endpoint of the matched rule."""
        return None if self.url_rule is None else cast("str | None", self.url_rule.endpoint)

    @property
    def blueprint(self) -> str | None:
        """The name of the endpoint's blueprint; None if it has none."""
        endpoint = self.endpoint
        return endpoint.rpartition(".")[0] or None if endpoint is not None else None

    @property
    def blueprints(self) -> list[str]:
        """The names of the endpoint's blueprints, from the innermost outwards."""
        names = []
        name = self.blueprint
        while name:
            names.append(name)
            name = name.rpartition(".")[0]
        return names

    @property
    def requested_subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, in its order of preference (RFC 6455, 11.3.4)."""
        return self.head.subprotocols

    @property
    def subprotocols(self) -> list[str]:
        """The same as :attr:`requested_subprotocols`."""
        return self.head.subprotocols

    @property
    def script_root(self) -> str:
        """The path that the app is mounted under, without a trailing slash."""
        return self.root_path

    @property
    def url_root(self) -> str:
        """The URL of the app's root."""
        return self.root_url


@lru_cache(maxsize=64)
def _host(named: str, scheme: str) -> str:
    # Not Werkzeug's get_host(): it returns an empty host for a name with an underscore, which private networks use.
    if not is_host(named):
        raise BadHost()
    return named.removesuffix(":").removesuffix(f":{default_port(scheme)}")


def _quote_query(query: bytes) -> bytes:
    # Clients send raw non-ASCII bytes, although RFC 3986, section 2.1, forbids them; args and url need text.
    return quote(query, safe="%!$&'()*+,/:;=?@[]~-._\"<>\\^`{|}# ").encode("ascii")


def _clientless(*parts: Any, **named: Any) -> ClientlessConnection:
    return ClientlessConnection(head_of_parts(*parts, **named))


class Request(RequestBase):
    """An HTTP request. Whatever reads its body is awaited: ``await request.get_json()``, ``await request.form``.

    One that a test makes of its parts has a body that the test feeds: ``request.body.append(data)``, and then
    ``request.body.set_complete()``.
    """

    _foreign = FOREIGN
    connection: HTTPConnection  # pyright: ignore[reportIncompatibleVariableOverride]
    max_form_memory_size: int | None = 500_000
    """Most bytes of one form field that is not a file, or of a whole URL-encoded form (413 beyond)."""
    max_form_parts: int | None = 1_000
    """The most fields and files of a form (413 beyond)."""
    _send_push_promise: PushPromise | None = None
    _overrides_close: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_definitions(cls, SET_BY_APP, Request)
        cls._overrides_close = cls.close is not Request.close

    @overload
    def __init__(self, connection: HTTPConnection, /) -> None: ...

    @overload
    def __init__(
        self,
        method: str,
        scheme: str,
        path: str,
        query_string: bytes,
        headers: Fields,
        root_path: str,
        http_version: str,
        scope: Mapping[str, Any],
        *,
        max_content_length: int | None = None,
        body_timeout: float | None = None,
        send_push_promise: PushPromise | None = None,
    ) -> None: ...

    def __init__(self, method: Any = None, *parts: Any, **named: Any) -> None:
        if parts or named:
            self._make(method, *parts, **named)
        else:
            self._begin(method)
        self._json: Any = _UNSET
        self._form_parser: FormParser | None = None
        self._form_pieces: BodyPieces | None = None
        self._form: MultiDict[str, str] | None = None
        self._files: MultiDict[str, FileStorage] | None = None

    def _make(
        self,
        *parts: Any,
        max_content_length: int | None = None,
        body_timeout: float | None = None,
        send_push_promise: PushPromise | None = None,
        **named: Any,
    ) -> None:
        """Begin as a request without a client, whose body is fed: ``request.body.append(data)``."""
        connection = _clientless(*parts, **named)
        connection.body_timeout = body_timeout
        self._begin(connection)
        self.body = FedBody(self.content_length, max_content_length, connection=connection)
        self._send_push_promise = send_push_promise

    @property
    def max_content_length(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The largest body, in bytes (413 beyond), None for any: the route's ``max_body_size``, by Quart's name.

        Set it before the body is read. Set a larger one before the handler is called, in a ``before_request`` hook: a
        request whose Content-Length is over the limit does not reach the handler.
        """
        return self.connection.max_body_size

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self.connection.max_body_size = value

    @property
    def last_event_id(self) -> str | None:
        """The id of the last server-sent event that the client has got (``Last-Event-ID``); None if it tells none."""
        value = self.headers.get("Last-Event-ID")
        # UTF-8 (HTML, 9.2.4), and the headers are decoded as latin-1.
        return None if value is None else value.encode("latin-1").decode("utf-8", "replace")

    @lazy
    def body(self) -> Body:
        """The body: ``await`` it, or ``async for piece in request.body``."""
        return Body(self.connection, self.content_length)

    @overload
    async def get_data(
        self, cache: bool = True, as_text: Literal[False] = False, parse_form_data: bool = False
    ) -> bytes: ...

    @overload
    async def get_data(self, cache: bool = True, *, as_text: Literal[True], parse_form_data: bool = False) -> str: ...

    async def get_data(self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False) -> str | bytes:
        """Return the whole body: each call the same bytes, before and after :meth:`get_json`, a form and its files.

        :param cache: keep it for the next call; False: drop it, and what asks for the body next finds it empty.
        :param as_text: return text (UTF-8) instead of bytes.
        :param parse_form_data: parse a form first, so that a malformed one raises here.
        :raises werkzeug.exceptions.RequestEntityTooLarge: beyond :attr:`max_content_length`.
        :raises werkzeug.exceptions.BadRequest: if text was asked for and the body is not UTF-8.
        """
        if parse_form_data:
            await self._load_form()
        data = await self.body.read()
        if not cache:
            self.body.clear()
        if not as_text:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise BadRequest("The body is not UTF-8 text.") from None

    @property
    async def data(self) -> bytes:
        """The whole body, of a form too: ``await request.data``."""
        return await self.get_data()

    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the value of the body's JSON; None if the mimetype is another one and ``force`` is False.

        :param silent: return None instead of raising if the body is not JSON.
        :param cache: keep the result for the next call; the body is kept in any case.
        :raises werkzeug.exceptions.BadRequest: if the body is not JSON; :meth:`on_json_loading_failed` may change that.
        """
        if cache and self._json is not _UNSET:
            return self._json
        if not (force or self.is_json):
            return None
        data = await self.get_data()
        try:
            value = self.json_provider.loads(data)
        except (ValueError, RecursionError) as error:
            return None if silent else self.on_json_loading_failed(error)
        if cache:
            self._json = value
        return value

    def on_json_loading_failed(self, error: Exception) -> Any:
        """Raise a 400; a subclass may return a value for ``get_json()`` instead."""
        raise BadRequest("The body is not valid JSON.") from error

    @property
    async def json(self) -> Any:
        """``await request.json``: the same as :meth:`get_json`."""
        return await self.get_json()

    @property
    async def form(self) -> MultiDict[str, str]:
        """The form's fields, without its files: ``await request.form``.

        A cancellation loses nothing: the next call reads on.
        """
        await self._load_form()
        return cast("MultiDict[str, str]", self._form)

    @property
    async def files(self) -> MultiDict[str, FileStorage]:
        """The form's files: ``await request.files``."""
        await self._load_form()
        return cast("MultiDict[str, FileStorage]", self._files)

    @property
    async def values(self) -> CombinedMultiDict[str, str]:
        """The query's and the form's values together: ``await request.values``. A GET has no form."""
        sources: list[MultiDict[str, str]] = [self.args]
        if self.method != "GET":
            sources.append(await self.form)
        return CombinedMultiDict(sources)

    async def _load_form(self) -> None:
        if self._form is not None:
            return
        async with self._form_lock:
            if self._form is not None:
                return
            parser = self._form_parser = self._form_parser or self._make_form_parser()
            if parser is not None:
                self._form_pieces = self._form_pieces or self.body.kept_pieces()
                await parser.read(self._form_pieces)
            class_ = self.parameter_storage_class
            self._files = cast(Any, class_(parser.files if parser is not None else ()))
            # Last, since it says that the form is parsed.
            self._form = class_(parser.fields if parser is not None else ())

    def _make_form_parser(self) -> FormParser | None:
        if self.mimetype == "multipart/form-data":
            boundary = self.mimetype_params.get("boundary", "").encode("latin-1", "replace")
            return multipart_form(boundary, max_field_size=self.max_form_memory_size, max_parts=self.max_form_parts)
        if self.mimetype == "application/x-www-form-urlencoded":
            return UrlencodedForm(max_size=self.max_form_memory_size, max_fields=self.max_form_parts)
        return None

    @lazy
    def _form_lock(self) -> trio.Lock:
        return trio.Lock()

    async def send_push_promise(self, path: str) -> None:
        """Do nothing, since browsers have given up HTTP/2 push, but for a request that was made with a function.

        That is called with the path, and with those headers that say what the client would accept.
        """
        if self._send_push_promise is not None:
            headers = Headers([field for field in self.headers if field[0].lower() in _PUSHED_HEADERS])
            await self._send_push_promise(path, headers)

    @property
    def needs_close(self) -> bool:
        """Whether there is something to :meth:`close`; always, if a subclass overrides it."""
        return self._form_parser is not None or self._overrides_close

    async def close(self) -> None:
        """Close the form's files, which removes the temporary ones. The app calls it at the request's end."""
        if self._form_parser is not None:
            self._form_parser.close()
            self.body.close()


__all__ = ["Body", "FileStorage", "Head", "Request", "RequestBase"]
