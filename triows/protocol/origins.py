"""Hosts and origins, compared: whose pages may open a websocket, and under which names the app may be asked for.

Text is split strictly. What is not plainly a host, or the origin of a page, equals nothing. Two names are one if they
differ in case, in a dot at their end, or in how they write an IPv6 address; nothing else is decoded.
"""

from __future__ import annotations

import re

from .hosts import _HOST_CHARACTERS, DEFAULT_PORTS, split_authority

_OTHER_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._~:-]*")


def origin_allowed(origin: str, host: str, allowed: tuple[str, ...] | None) -> bool:
    """Whether a browser's page from ``origin`` may open a websocket (RFC 6455, section 10.2).

    Without ``allowed`` only a page of the same host and port may. The schemes are not compared there: behind a proxy
    that ends TLS the page's is https and the request's is http. A port that is missing is the default one of the
    page's scheme, on both sides.

    :param origin: the Origin header.
    :param host: the Host header.
    :param allowed: the allowed origins, each as :func:`parse_origin_pattern` returns it; ``"*"`` allows all.
    """
    if allowed is None:
        return _is_same(origin, host)
    if "*" in allowed:
        return True
    page = _normalised(origin)
    return page is not None and (page in allowed or any(_is_below(page, pattern) for pattern in allowed))


def _is_same(origin: str, host: str) -> bool:
    scheme, _, authority = origin.partition("://")
    default = DEFAULT_PORTS.get(scheme.lower())
    page, own = split_authority(authority), split_authority(host)
    if default is None or page is None or own is None:
        return False
    return page[0] == own[0] and (page[1] or default) == (own[1] or default)


def _normalised(origin: str) -> str | None:
    """An origin in the form that two equal ones share; None if it is none that can be listed."""
    origin = origin.lower()
    scheme, _, rest = origin.partition("://")
    if scheme not in DEFAULT_PORTS:
        return origin if origin == "null" or _OTHER_ORIGIN.fullmatch(origin) else None
    authority = split_authority(rest)
    if authority is None:
        return None
    host, port = authority
    return f"{scheme}://{host}" if port in (None, DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def _is_below(page: str, pattern: str) -> bool:
    scheme, star, suffix = pattern.partition("*")
    return bool(star) and page.startswith(scheme) and page.endswith(suffix)


def parse_origin_pattern(text: str) -> str:
    """Return an item of ``origins`` as :func:`origin_allowed` takes it: an origin, ``https://*.name``, null or ``*``.

    :raises ValueError: if it is none of these; the message says what one looks like.
    """
    if text == "*":
        return text
    scheme, wildcard, rest = text.partition("://*.")
    # What stands below a name is found by its end: an IPv6 address has nothing below it.
    page = None if wildcard and rest.startswith("[") else _normalised(f"{scheme}://{rest}" if wildcard else text)
    if page is None or (wildcard and scheme.lower() not in DEFAULT_PORTS):
        raise ValueError(
            "an origin is a scheme and a host without a path, like 'https://example.com' or 'http://localhost:8000';"
            f" 'https://*.example.com' stands for what is below that name; a host is {_HOST_CHARACTERS}"
        )
    return page.replace("://", "://*.", 1) if wildcard else page
