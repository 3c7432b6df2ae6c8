"""CORS: which pages of other origins may read an app's responses (Fetch, section 3.3).

https://fetch.spec.whatwg.org/#http-cors-protocol

A policy works on the headers of the wire, so that no response object ever holds what depended on one request's origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..connection.checks import names, parsed_names, short_repr, size, split_at_commas
from ..protocol.grammar import is_token
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..protocol.origins import origin_allowed, parse_origin_pattern
from .headers import add_vary

# Of these a browser asks no preflight, or not for them alone (Fetch, 2.2.2).
_SAFELISTED_HEADERS = frozenset(("accept", "accept-language", "content-language", "content-type", "range"))


class CORS:
    """Which pages of other origins may read the responses, and send what a form could not send.

    :param origins: the origins, as a websocket's ``origins`` has them: ``"https://example.com"``,
        ``"https://*.example.com"`` for all hosts below that name, ``"null"``, or ``"*"`` for all.
    :param methods: the methods that pages may use; None: those of the route.
    :param headers: the request headers that pages may set, beside the few that they always may; None: any.
    :param expose_headers: the response headers that pages may read, beside the few that they always may.
    :param credentials: whether pages may send and get cookies, and act as the visitor. Websockets, which always carry
        the cookies, take ``origins`` only then.
    :param max_age: seconds for which a browser keeps the answer to a preflight. None: as long as it likes.
    :raises TypeError: if a value has a wrong type.
    :raises ValueError: if one makes no sense, ``"*"`` with ``credentials`` for one.
    """

    __slots__ = ("credentials", "expose_headers", "headers", "max_age", "methods", "origins")

    def __init__(
        self,
        origins: str | Iterable[str],
        *,
        methods: Iterable[str] | None = None,
        headers: Iterable[str] | None = None,
        expose_headers: Iterable[str] = (),
        credentials: bool = False,
        max_age: int | None = 600,
    ) -> None:
        parsed = parsed_names("origins", origins, parse_origin_pattern, "https://example.com")
        if not parsed:
            raise ValueError("origins is empty, so that no page could read anything; leave CORS out instead")
        if not isinstance(credentials, bool):
            raise TypeError(f"credentials is {short_repr(credentials)}; it must be True or False")
        if credentials and "*" in parsed:
            raise ValueError(
                "origins is '*' with credentials=True, so that every page on the web could act as the visitor, which"
                " browsers refuse (Fetch, 3.3.5); list the origins, or leave credentials out"
            )
        self.origins: tuple[str, ...] = parsed
        self.methods: tuple[str, ...] | None = None if methods is None else _names("methods", methods, "PUT", str.upper)
        self.headers: tuple[str, ...] | None = (
            None if headers is None else _names("headers", headers, "X-Token", str.lower)
        )
        self.expose_headers: tuple[str, ...] = _tokens("expose_headers", expose_headers, "X-Total")
        self.credentials: bool = credentials
        self.max_age: int | None = None if max_age is None else size("max_age", max_age, least=0)
        if credentials and "*" in self.expose_headers:
            raise ValueError("expose_headers holds '*', which has no meaning with credentials=True; list the headers")

    def __repr__(self) -> str:
        return f"CORS({', '.join(f'{name}={getattr(self, name)!r}' for name in sorted(self.__slots__))})"

    @property
    def takes_all(self) -> bool:
        """Whether every page may read the responses, so that they are the same for all."""
        return "*" in self.origins

    def allows(self, origin: str, host: str) -> bool:
        """Whether pages of this origin may read the responses."""
        return origin_allowed(origin, host, self.origins)

    def add_to(self, head: Head, headers: Headers) -> None:
        """Add to a response's headers what the browser of this request looks for.

        A response that has its own Access-Control-Allow-Origin is left alone.
        """
        if any(name == b"access-control-allow-origin" for name, _ in headers):
            return
        origin = origin_of(head)
        # Also without an Origin: caches keep that response too, and would give it to a page (Fetch, 3.3.4).
        headers += self._allow_origin(origin, head.host)
        if not self.takes_all:
            add_vary(headers, b"Origin")
        if self.expose_headers and (self.takes_all or (origin is not None and self.allows(origin, head.host))):
            headers.append((b"access-control-expose-headers", _joined(self.expose_headers)))

    def _allow_origin(self, origin: str | None, host: str) -> Headers:
        if self.takes_all:
            return [(b"access-control-allow-origin", b"*")]
        if origin is None or not self.allows(origin, host):
            return []
        headers = [(b"access-control-allow-origin", origin.encode("latin-1"))]
        if self.credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        return headers

    # Preflights

    def answer_preflight(self, head: Head, methods: Iterable[str] | None) -> tuple[int, Headers, bytes]:
        """Return status, headers and body of the answer to a preflight: 204, or 403 with what is not allowed.

        :param methods: those that the route takes; None: there is no route, and any method may learn so.
        """
        headers: Headers = [] if self.takes_all else [(b"vary", b"Origin")]
        origin, wanted = origin_of(head), wanted_method(head)
        assert origin is not None
        assert wanted is not None
        if not is_token(wanted):
            return _refusal(headers, "Access-Control-Request-Method is malformed")
        if not self.allows(origin, head.host):
            return _refusal(headers, "pages of this origin may not read this")
        if self.methods is not None:
            methods = self.methods
        if methods is not None and wanted not in methods:
            return _refusal(headers, f"pages may not use this method here; they may use {', '.join(sorted(methods))}")
        asked = _asked_headers(head)
        if asked is None:
            return _refusal(headers, "Access-Control-Request-Headers is malformed")
        if self.headers is not None:
            for name in asked:
                if name not in self.headers and name not in _SAFELISTED_HEADERS:
                    return _refusal(headers, f"pages may not set the header {name} here")
        headers += self._allow_origin(origin, head.host)
        headers.append((b"access-control-allow-methods", _joined(sorted({wanted} if methods is None else methods))))
        if asked:
            headers.append((b"access-control-allow-headers", _joined(asked)))
            add_vary(headers, b"Access-Control-Request-Headers")
        if self.max_age is not None:
            headers.append((b"access-control-max-age", b"%d" % self.max_age))
        return 204, headers, b""


def origin_of(head: Head) -> str | None:
    """The Origin of a request; None if it has none."""
    return _field(head, b"origin")


def wanted_method(head: Head) -> str | None:
    """The method that a preflight asks for; None if the request is no preflight (Fetch, 3.3.2)."""
    if head.method != "OPTIONS" or origin_of(head) is None:
        return None
    return _field(head, b"access-control-request-method")


def _field(head: Head, field: bytes) -> str | None:
    for name, value in head.headers:
        if name == field:
            return value.decode("latin-1")
    return None


def _asked_headers(head: Head) -> list[str] | None:
    """The headers that a preflight asks for, in lower case; None if one of them is no name of a header."""
    text = _field(head, b"access-control-request-headers")
    asked = [] if text is None else [name for item in text.split(",") if (name := item.strip().lower())]
    return asked if all(map(is_token, asked)) else None


def _refusal(headers: Headers, reason: str) -> tuple[int, Headers, bytes]:
    return 403, [*headers, (b"content-type", b"text/plain; charset=utf-8")], f"CORS: {reason}\n".encode()


def _joined(items: Iterable[str]) -> bytes:
    return ", ".join(items).encode("ascii")


def _tokens(name: str, value: object, example: str) -> tuple[str, ...]:
    items = names(name, split_at_commas(value), example)
    for item in items:
        if not is_token(item):
            raise ValueError(f"{name} holds {short_repr(item)}; it must be a name, like {example!r}")
    return items


def _names(name: str, value: object, example: str, normalise: Callable[[str], str]) -> tuple[str, ...]:
    items = _tokens(name, value, example)
    if "*" in items:
        raise ValueError(f"{name} holds '*'; leave it out to allow all")
    return tuple(dict.fromkeys(map(normalise, items)))
