"""Origins, compared: whose pages may open a websocket (RFC 6455, section 10.2).

Text is split strictly: a text that is no host, or no origin of a page, equals no other one. Two names are equal if they
differ only in case, in a dot at the end, or in the spelling of an IPv6 address; nothing else is decoded.
"""

from __future__ import annotations

import re

from .hosts import DEFAULT_PORTS, HOST_CHARACTERS, split_authority

_DEFAULT_PORTS = {**DEFAULT_PORTS, "ws": 80, "wss": 443}
_OTHER_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._~:-]*")


def origin_allowed(origin: str, host: str, allowed: tuple[str, ...] | None) -> bool:
    """Whether a browser's page from ``origin`` may open a websocket.

    Without ``allowed`` only a page of the same host and port may. The schemes are not compared then: behind a proxy
    that ends TLS the page has https and the request http, and clients that are no browsers send ws or wss. A missing
    port is the default of the page's scheme, on both sides.

    :param origin: the Origin header.
    :param host: the Host header.
    :param allowed: the allowed origins, each as :func:`parse_origin_pattern` returns it; ``"*"`` allows all, and
        ``"self"`` what is allowed without them.
    """
    if allowed is None:
        return _is_same(origin, host)
    if "*" in allowed or ("self" in allowed and _is_same(origin, host)):
        return True
    page = _normalised(origin)
    return page is not None and (page in allowed or any(_is_below(page, pattern) for pattern in allowed))


def _is_same(origin: str, host: str) -> bool:
    scheme, _, authority = origin.partition("://")
    default = _DEFAULT_PORTS.get(scheme.lower())
    page, own = split_authority(authority), split_authority(host)
    if default is None or page is None or own is None:
        return False
    return page[0] == own[0] and (page[1] or default) == (own[1] or default)


def _normalised(origin: str) -> str | None:
    """The normal form of an origin; None if it is no origin that can be listed."""
    origin = origin.lower()
    scheme, _, rest = origin.partition("://")
    if scheme not in _DEFAULT_PORTS:
        return origin if origin == "null" or _OTHER_ORIGIN.fullmatch(origin) else None
    authority = split_authority(rest)
    if authority is None:
        return None
    host, port = authority
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def _is_below(page: str, pattern: str) -> bool:
    scheme, star, suffix = pattern.partition("*")
    return bool(star) and page.startswith(scheme) and page.endswith(suffix)


def parse_origin_pattern(text: str) -> str:
    """Return an item of ``origins`` as :func:`origin_allowed` takes it: an origin, ``https://*.name``, null, self or *.

    :raises ValueError: if it is none of these; the message says what one looks like.
    """
    if text in ("*", "self"):
        return text
    scheme, wildcard, rest = text.partition("://*.")
    # Names below another one are found by their end: an IPv6 address has none below it.
    page = None if wildcard and rest.startswith("[") else _normalised(f"{scheme}://{rest}" if wildcard else text)
    if page is None or (wildcard and scheme.lower() not in _DEFAULT_PORTS):
        raise ValueError(
            "an origin is a scheme and a host without a path, like 'https://example.com' or 'http://localhost:8000';"
            f" 'https://*.example.com' stands for what is below that name; a host is {HOST_CHARACTERS}"
        )
    return page.replace("://", "://*.", 1) if wildcard else page
