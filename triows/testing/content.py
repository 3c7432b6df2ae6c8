"""The target, headers and body of a request of the test client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from mimetypes import guess_type
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import idna
from werkzeug.datastructures import Authorization, FileStorage, Headers, iter_multi_items
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

from ..framework.application import App
from ..protocol.hosts import USES_TLS, default_port
from ..protocol.plain import plain
from ..web.json import JSONProvider
from ..web.json_codec import encode
from ..web.suggestions import suggests_arguments
from .headers import Auth, HeadersLike, encode_headers, make_headers
from .serving import Endpoint

UNSET: Any = object()

_BOUNDARY = "----TriowsBoundary"
_READ_SIZE = 16384
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?[]"
_ABSOLUTE = re.compile(r"(?i)(?:http|ws)s?://")

Query = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | bytes
Form = Mapping[str, Any] | Iterable[tuple[str, Any]]
Files = Mapping[str, "FileStorage | Iterable[FileStorage]"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: ``resource`` is the path, percent-encoded, with the query."""

    scheme: str
    host: str
    resource: str

    @property
    def url(self) -> str:
        """The URL, with an HTTP scheme for websockets too."""
        return f"{'https' if USES_TLS.get(self.scheme) else 'http'}://{self.host}{self.resource}"

    def endpoint(self, root_path: str, base: Mapping[str, Any] | None) -> Endpoint:
        """Return the connection's data for the server; ``base`` overrides it, with the keys of an ASGI scope.

        :raises ValueError: if ``base`` has other keys than ``client``, ``server``, ``scheme`` and ``root_path``.
        """
        port = urlsplit(self.url).port or default_port(self.scheme)
        values: dict[str, Any] = {
            "scheme": self.scheme,
            "root_path": root_path,
            "client": ("127.0.0.1", 50000),
            "server": (urlsplit(self.url).hostname or "localhost", port),
        }
        for key, value in (base or {}).items():
            if key not in values:
                raise ValueError(f"scope_base has {key!r}; the test client can set {', '.join(values)}")
            values[key] = tuple(value) if isinstance(value, list) else value
        return Endpoint(**values)


def make_target(
    app: App, path: str, query_string: Query | None, scheme: str, subdomain: str | None, headers: Headers
) -> Target:
    """Return the target of a request and set the Host header, and Authorization if a URL has a user's name.

    :param path: a path, with its query or without, or a URL. What follows a ``#`` is not sent.
    :raises ValueError: if there is a query in the path and in ``query_string`` as well.
    """
    host = headers.get("host")
    scheme = plain(scheme)
    path = plain(path).partition("#")[0]
    if _ABSOLUTE.match(path):
        url = urlsplit(path)
        scheme = url.scheme.replace("http", "ws") if scheme in ("ws", "wss") else url.scheme.replace("ws", "http")
        user, _, place = url.netloc.rpartition("@")
        if user:
            name, _, password = map(unquote, user.partition(":"))
            headers.setdefault(
                "Authorization", Authorization("basic", {"username": name, "password": password}).to_header()
            )
        host = host or _ascii_host(place)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    elif scheme not in ("http", "https", "ws", "wss"):
        raise ValueError(f"scheme is {scheme!r}; the test client speaks http, https, ws and wss")
    host = host or _default_host(app, subdomain)
    headers["host"] = host
    path, query = _split_query(path, query_string)
    if not path.startswith("/") and path != "*":
        path = f"/{path}"
    resource = _quoted(path, _PATH_SAFE)
    return Target(scheme, host, f"{resource}?{query}" if query else resource)


def _default_host(app: App, subdomain: str | None) -> str:
    host = app.config["SERVER_NAME"] or "localhost"
    return _ascii_host(f"{plain(subdomain)}.{host}" if subdomain else host)


def _ascii_host(host: str) -> str:
    """Return a host, with its port or without, as clients send it (RFC 5891, UTS 46)."""
    if host.isascii():
        return host
    name, colon, port = host.partition(":")
    return idna.encode(name, uts46=True).decode("ascii") + colon + port


def jar_url(server_name: str, path: str) -> str:
    """Return the URL of a path on a host, as cookie jars know it."""
    return f"http://{_ascii_host(server_name)}{_quoted(path, _PATH_SAFE)}"


def _split_query(path: str, query_string: Query | None) -> tuple[str, str]:
    if query_string is None:
        path, _, query = path.partition("?")
        return path, _quoted(query, _QUERY_SAFE)
    if "?" in path:
        raise ValueError(f"the path {path!r} has a query, and query_string is given too; use one of them")
    if isinstance(query_string, bytes):
        query_string = query_string.decode("utf-8", "surrogateescape")
    if isinstance(query_string, str):
        return path, _quoted(query_string, _QUERY_SAFE)
    return path, urlencode([*_items(query_string)])


def _quoted(text: str, safe: str) -> str:
    """Percent-encode what may not be in a URL, but for percent signs, which may have encoded something already."""
    return quote(text, safe=safe, errors="surrogateescape")


def _items(values: Form) -> Iterator[tuple[str, Any]]:
    """Yield each name with each of its values; None is left out, as clients do."""
    for name, value in iter_multi_items(values):
        if value is not None:
            yield plain(name), plain(value)


@suggests_arguments
def make_test_headers_path_and_query_string(
    app: App,
    path: str,
    headers: HeadersLike | None = None,
    query_string: Query | None = None,
    auth: Auth | None = None,
    subdomain: str | None = None,
) -> tuple[Headers, str, bytes]:
    """Return the headers, the decoded path and the query that the test client would use.

    :raises ValueError: if there is a query in the path and in ``query_string`` as well.
    """
    made = make_headers(headers, auth)
    made.setdefault("host", _default_host(app, subdomain))
    path, query = _split_query(path, query_string)
    return made, unquote(path), query.encode("ascii")


@suggests_arguments
def make_test_body_with_headers(
    *,
    data: str | bytes | None = None,
    form: Form | None = None,
    files: Files | None = None,
    json: Any = UNSET,
    app: App | None = None,
) -> tuple[bytes, Headers]:
    """Return the body of a request and the headers that describe it.

    :raises ValueError: if the body is given in several ways; ``form`` and ``files`` go together.
    :raises TypeError: if ``data`` is neither str nor bytes.
    """
    given = [data is not None, json is not UNSET, form is not None or files is not None]
    if given.count(True) > 1:
        raise ValueError("give the body as one of data, json, or form and files")
    if json is not UNSET:
        provider = JSONProvider() if app is None else app.json
        return encode(provider, json).encode(), Headers({"Content-Type": "application/json"})
    if files is not None:
        return _multipart(form or {}, files), Headers({"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"})
    if form is not None:
        body = urlencode([*_items(form)]).encode()
        return body, Headers({"Content-Type": "application/x-www-form-urlencoded"})
    if isinstance(data, str):
        return data.encode(), Headers()
    if data is not None and not isinstance(data, bytes | bytearray):
        raise TypeError(f"data is {type(data).__name__} {data!r:.100}; it is str or bytes: use form= or json=")
    return bytes(data or b""), Headers()


def _multipart(form: Form, files: Files) -> bytes:
    encoder = MultipartEncoder(_BOUNDARY.encode())
    pieces = [encoder.send_event(Preamble(data=b""))]
    for name, file in _files(files):
        headers = file.headers.copy()
        if (kind := guess_type(file.filename or "")[0]) is not None:
            headers.setdefault("Content-Type", kind)
        filename = _in_quotes(file.filename or "")
        pieces.append(encoder.send_event(File(name=_in_quotes(name), filename=filename, headers=headers)))
        while piece := file.read(_READ_SIZE):
            pieces.append(encoder.send_event(Data(data=piece, more_data=True)))
        pieces.append(encoder.send_event(Data(data=b"", more_data=False)))
    for name, value in _items(form):
        pieces.append(encoder.send_event(Field(name=_in_quotes(name), headers=Headers())))
        data = value if isinstance(value, bytes) else str(value).encode()
        pieces.append(encoder.send_event(Data(data=data, more_data=False)))
    pieces.append(encoder.send_event(Epilogue(data=b"")))
    return b"".join(pieces)


def _files(files: Files) -> Iterator[tuple[str, FileStorage]]:
    given: Any
    for name, given in iter_multi_items(files):
        for file in [given] if isinstance(given, FileStorage | str | bytes) else given:
            if not isinstance(file, FileStorage):
                raise TypeError(f"the file {name!r} is {type(file).__name__} {file!r:.100}; it is a triows.FileStorage")
            yield name, file


def _in_quotes(text: str) -> str:
    """Escape a name for a part's header, as browsers do; and backslashes, which servers take for escapes."""
    return text.replace("\\", "\\\\").replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


@suggests_arguments
def make_test_scope(
    type_: str,
    path: str,
    method: str,
    headers: Headers,
    query_string: bytes,
    scheme: str,
    root_path: str,
    http_version: str,
    scope_base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an ASGI scope, to call the app as an ASGI application with; ``scope_base`` overrides parts of it."""
    scope: dict[str, Any] = {
        "type": type_,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": http_version,
        "scheme": scheme,
        "path": path,
        "raw_path": quote(path, safe=_PATH_SAFE).encode("ascii"),
        "query_string": query_string,
        "root_path": root_path,
        "headers": [(name.lower(), value) for name, value in encode_headers(headers)],
        "extensions": {"websocket.http.response": {}} if type_ == "websocket" else {},
    }
    if type_ == "http":
        scope["method"] = method
    return {**scope, **(scope_base or {})}
