"""The target, headers and body of a request of the test client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from werkzeug.datastructures import Authorization, FileStorage, Headers
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

from ..framework.application import App
from ..web.json import JSONProvider
from ..web.json_codec import encode
from .serving import Endpoint

UNSET: Any = object()
USER_AGENT = "triows"

_BOUNDARY = "----TriowsBoundary"
_READ_SIZE = 16384
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?[]"
_ABSOLUTE = re.compile(r"(?i)(?:http|ws)s?://")
_SECURE = ("https", "wss")

HeadersLike = Mapping[str, Any] | Headers | Iterable[tuple[str, str]]
Query = Mapping[str, Any] | str
Auth = Authorization | tuple[str, str]
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
        return f"{'https' if self.scheme in _SECURE else 'http'}://{self.host}{self.resource}"

    def endpoint(self, root_path: str, base: Mapping[str, Any] | None) -> Endpoint:
        """Return the connection's data for the server; ``base`` overrides it, with the keys of an ASGI scope.

        :raises ValueError: if ``base`` has other keys than ``client``, ``server``, ``scheme`` and ``root_path``.
        """
        port = urlsplit(self.url).port or (443 if self.scheme in _SECURE else 80)
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
    """Return the target of a request and set the Host header.

    :param path: a path, with its query or without, or a URL.
    :raises ValueError: if there is a query in the path and in ``query_string`` as well.
    """
    host = headers.get("host")
    if _ABSOLUTE.match(path):
        url = urlsplit(path)
        scheme = url.scheme.replace("http", "ws") if scheme in ("ws", "wss") else url.scheme.replace("ws", "http")
        host = host or url.netloc
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    elif scheme not in ("http", "https", "ws", "wss"):
        raise ValueError(f"scheme is {scheme!r}; the test client speaks http, https, ws and wss")
    host = host or _default_host(app, subdomain)
    headers["host"] = host
    path, query = _split_query(path, query_string)
    if not path.startswith("/") and path != "*":
        path = f"/{path}"
    resource = quote(path, safe=_PATH_SAFE)
    return Target(scheme, host, f"{resource}?{query}" if query else resource)


def _default_host(app: App, subdomain: str | None) -> str:
    host = app.config["SERVER_NAME"] or "localhost"
    return f"{subdomain}.{host}" if subdomain is not None else host


def _split_query(path: str, query_string: Query | None) -> tuple[str, str]:
    if query_string is None:
        path, _, query = path.partition("?")
        return path, quote(query, safe=_QUERY_SAFE)
    if "?" in path:
        raise ValueError(f"the path {path!r} has a query, and query_string is given too; use one of them")
    if isinstance(query_string, str):
        return path, quote(query_string, safe=_QUERY_SAFE)
    return path, urlencode(query_string, doseq=True)


def make_headers(headers: HeadersLike | None, auth: Auth | None) -> Headers:
    """Return a copy of the headers, with the client's own headers added."""
    made = Headers(headers)
    if auth is not None:
        if isinstance(auth, tuple):
            auth = Authorization("basic", {"username": auth[0], "password": auth[1]})
        made.setdefault("Authorization", auth.to_header())
    made.setdefault("User-Agent", USER_AGENT)
    return made


def wire_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers as bytes, Host first."""
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return sorted(lines, key=lambda line: line[0].lower() != b"host")


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


def make_test_body_with_headers(
    *,
    data: str | bytes | None = None,
    form: Mapping[str, Any] | None = None,
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
        body = urlencode(form, doseq=True).encode()
        return body, Headers({"Content-Type": "application/x-www-form-urlencoded"})
    if isinstance(data, str):
        return data.encode(), Headers()
    if data is not None and not isinstance(data, bytes | bytearray):
        raise TypeError(f"data is {type(data).__name__} {data!r:.100}; it is str or bytes: use form= or json=")
    return bytes(data or b""), Headers()


def _multipart(form: Mapping[str, Any], files: Files) -> bytes:
    encoder = MultipartEncoder(_BOUNDARY.encode())
    pieces = [encoder.send_event(Preamble(data=b""))]
    for name, given in files.items():
        for file in [given] if isinstance(given, FileStorage) else given:
            pieces.append(encoder.send_event(File(name=name, filename=file.filename or "", headers=file.headers)))
            while piece := file.read(_READ_SIZE):
                pieces.append(encoder.send_event(Data(data=piece, more_data=True)))
            pieces.append(encoder.send_event(Data(data=b"", more_data=False)))
    for name, value in form.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            pieces.append(encoder.send_event(Field(name=name, headers=Headers())))
            pieces.append(encoder.send_event(Data(data=str(item).encode(), more_data=False)))
    pieces.append(encoder.send_event(Epilogue(data=b"")))
    return b"".join(pieces)


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
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "extensions": {"websocket.http.response": {}} if type_ == "websocket" else {},
    }
    if type_ == "http":
        scope["method"] = method
    return {**scope, **(scope_base or {})}
