"""Hosts, split and compared: those of requests, of trusted hosts, of origins and of what proxies forward.

RFC 3986 has more in a registered name (percent, comma, quotes, '~'). No name of a host has it, and some proxies would
read a list or a user in it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}
USES_TLS = {"http": False, "https": True, "ws": False, "wss": True}
"""Whether a request of this scheme comes over TLS."""

_LABEL = "[a-z0-9_-]{1,63}"  # RFC 1035, section 2.3.4
_AUTHORITY = re.compile(rf"(?:({_LABEL}(?:\.{_LABEL})*)\.?|\[([0-9a-f:.]+)\])(?::([1-9][0-9]{{0,4}}))?")
HOST_CHARACTERS = "letters, digits, '-', '_' and dots, or an IPv6 address in brackets (other alphabets as 'xn--...')"


def split_authority(text: str) -> tuple[str, int | None] | None:
    """Split ``host:port`` (RFC 3986, section 3.2). The host is normalised; None if this is no host and port."""
    # lower() makes ASCII letters of some that are none.
    match = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    name, address, port = match.groups()
    if port is not None and int(port) > 65535:
        return None
    if address is not None:
        try:
            name = f"[{IPv6Address(address)}]"
        except ValueError:
            return None
    return name, int(port) if port else None


def default_port(scheme: str) -> int:
    """The port of a URL that names none. An unknown scheme counts as one without TLS."""
    return DEFAULT_PORTS["https" if USES_TLS.get(scheme) else "http"]


@lru_cache(maxsize=64)  # a request asks twice for its host
def is_host(text: str) -> bool:
    """Whether this is a host, with or without a port; the port may be empty (RFC 3986, section 3.2.3)."""
    return split_authority(text.removesuffix(":")) is not None


def host_trusted(host: str, trusted: tuple[str, ...]) -> bool:
    """Whether a Host header names one of these hosts, whatever its port is.

    :param trusted: the hosts, each as :func:`parse_trusted_host` returns it.
    """
    authority = split_authority(host)
    if authority is None:
        return False
    name = authority[0]
    for entry in trusted:
        if entry.startswith("*"):
            matches = name.endswith(entry[1:])
        elif entry.startswith("."):
            matches = name == entry[1:] or name.endswith(entry)
        else:
            matches = name == entry
        if matches:
            return True
    return False


def parse_trusted_host(text: str) -> str:
    """Return an item of ``trusted_hosts`` as :func:`host_trusted` takes it: a host, ``.name`` or ``*.name``.

    :raises ValueError: if it is none of these; the message says what one looks like.
    """
    prefix = next((prefix for prefix in ("*.", ".") if text.startswith(prefix)), "")
    authority = split_authority(text.removeprefix(prefix))
    if authority is None or (prefix and authority[0].startswith("[")):
        raise ValueError(
            "a trusted host is a name without a scheme, like 'example.com', '.example.com' (and all below it) or"
            f" '*.example.com' (all below it); a host is {HOST_CHARACTERS}"
        )
    return prefix + authority[0]
