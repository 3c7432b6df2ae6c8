"""The claims of trusted proxies about the client in front of them: RFC 7239's Forwarded, and the X-Forwarded- fields.

Anybody can send these fields; they count only if the other end of the connection is a trusted proxy. Each proxy adds
its claims at the right end, so a chain is read from there: past each address that is a trusted proxy's own, up to the
first that is not. That one is the client; addresses further left come from the client and are ignored.

- Of X-Forwarded-Proto, -Host, -Port and -Prefix the last value counts: proxies set them and do not add to them.
- X-Forwarded-Port is used if the host has no port. The prefix was taken off the path, and is put back.
- A malformed claim raises :exc:`ForwardedError`: if it were ignored, the proxy would pass for the client.
- So do Forwarded and X-Forwarded- fields that differ: one of them is not the proxy's, and nobody knows which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from .grammar import TOKEN
from .head import Head
from .hosts import USES_TLS, default_port, split_authority

UNIX = "unix"
"""Stands among trusted proxies for those that connect over a Unix socket."""

Claims = dict[str, str]
"""What a proxy claims of the client, by ``for``, ``proto``, ``host``, ``port`` and ``prefix``."""

_FORWARDED = b"forwarded"
_FOR = b"x-forwarded-for"
_LAST_COUNTS = {b"x-forwarded-" + name.encode(): name for name in ("proto", "host", "port", "prefix")}
_FIELDS = frozenset({_FORWARDED, _FOR, *_LAST_COUNTS})
_SPACES = " \t"  # RFC 9110, section 5.6.3; str.strip() alone takes more off

# Quoted pairs, and delimiters in quotes, have no place in addresses, hosts and schemes (RFC 7239, section 4).
_PAIR = re.compile(rf'[ \t]*({TOKEN})=(?:"([^"\\]*)"|([^\s"\\]+))[ \t]*')
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}|_[\w.-]+))?", re.ASCII)
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+")
_HIDDEN_NODE = re.compile(r"(?:unknown|_[\w.-]+)(?::(?:[0-9]{1,5}|_[\w.-]+))?", re.ASCII | re.IGNORECASE)
_UNIX_NODE = "unix:"  # nginx's word for a client at a Unix socket
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+;=:@-]+)*/?")


class ForwardedError(ValueError):
    """A trusted proxy's claim is malformed, or contradicts another one. The message names the field, quotes nothing."""


class _Node(NamedTuple):
    """A client or proxy, as proxies name it (RFC 7239, section 6). The address is None if it is kept back."""

    address: str | None
    port: int = 0


class _Proxies(NamedTuple):
    networks: tuple[IPv4Network | IPv6Network, ...]
    unix: bool

    def trust(self, address: str | None) -> bool:
        if address is None or address == UNIX:
            return address is not None and self.unix
        try:
            ip = _unmapped(ip_address(address))
        except ValueError:
            return False  # an ASGI server may have a word of its own here
        return any(ip in network for network in self.networks)


def parse_proxy(text: str) -> str:
    """Return an item of ``trusted_proxies`` as :func:`forwarded` takes it.

    :raises ValueError: if it is no address, network or ``unix``; the message says what one looks like.
    """
    if text.lower() == UNIX:
        return UNIX
    try:
        if "%" not in text:
            return str(_unmapped_network(ip_network(text)) if "/" in text else _unmapped(ip_address(text)))
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"as a network it is {ip_network(text, strict=False)}") from None
    raise ValueError(f"a proxy is an address ('10.0.0.7', '::1'), a network ('10.0.0.0/8') or {UNIX!r}")


def forwarded(head: Head, trusted: tuple[str, ...]) -> Head:
    """Return the head as the client sent it to the first trusted proxy; the same head if no proxy sent it on.

    :param trusted: the proxies, each as :func:`parse_proxy` returns it.
    :raises ForwardedError: if the claims of a trusted proxy are malformed.
    """
    proxies = _parse(trusted)
    if not proxies.trust(_peer(head)):
        return head
    fields: dict[bytes, list[str]] = {}
    for name, value in head.headers:
        if name in _FIELDS and value:
            fields.setdefault(name, []).append(value.decode("latin-1"))
    if not fields:
        return head
    standard = fields.pop(_FORWARDED, None)
    found = [] if standard is None else [_with_claims(head, _client_element(_elements(standard), proxies))]
    if fields:
        found.append(_with_claims(head, _by_fields(fields, proxies)))
    if len(found) == 2 and _identity(found[0]) != _identity(found[1]):
        raise ForwardedError("Forwarded and X-Forwarded-... do not say the same")
    return found[-1]


def trusts(address: str, trusted: tuple[str, ...]) -> bool:
    """Whether this is the address of a trusted proxy."""
    return bool(trusted) and _parse(trusted).trust(address)


def trusts_peer(head: Head, trusted: tuple[str, ...]) -> bool:
    """Whether the other end of the request's connection is one of the trusted proxies."""
    return bool(trusted) and _parse(trusted).trust(_peer(head.received or head))


@lru_cache(maxsize=16)
def _parse(trusted: tuple[str, ...]) -> _Proxies:
    return _Proxies(tuple(ip_network(entry) for entry in trusted if entry != UNIX), UNIX in trusted)


def _peer(head: Head) -> str | None:
    """The address of the other end of the connection; ``unix`` for one at a Unix socket."""
    if head.client is not None:
        return head.client[0]
    # A memory stream has no address either, but is no Unix socket. An ASGI scope lacks the client of Unix sockets only.
    at_unix_socket = head.asgi_scope is not None or (head.server is not None and head.server[1] is None)
    return UNIX if at_unix_socket else None


def _unmapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    # A dual-stack socket shows IPv4 clients as mapped IPv6 addresses.
    return getattr(ip, "ipv4_mapped", None) or ip


def _unmapped_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    address = _unmapped(network.network_address)
    return network if address.version == network.version else IPv4Network((int(address), network.prefixlen - 96))


def _client_element(hops: Iterable[Claims], proxies: _Proxies) -> Claims:
    """The claims of the last proxy, replaced by those of each trusted proxy before it, back to the client's."""
    claims: Claims = {}
    for element in hops:
        claims.update(element)
        if "for" not in element or not proxies.trust(_node(element["for"]).address):
            break
    return claims


def _by_fields(fields: dict[bytes, list[str]], proxies: _Proxies) -> Claims:
    claims = _client_element(({"for": node} for node in reversed(_members(fields.get(_FOR, [])))), proxies)
    for field, name in _LAST_COUNTS.items():
        if members := _members(fields.get(field, [])):
            claims[name] = members[-1]
    return claims


def _members(values: list[str]) -> list[str]:
    """The members of a list field; empty ones do not count (RFC 9110, section 5.6.1)."""
    return [stripped for member in ",".join(values).split(",") if (stripped := member.strip(_SPACES))]


def _elements(values: list[str]) -> Iterator[Claims]:
    """The elements of Forwarded, the last one first (RFC 7239, section 4)."""
    for element in reversed(_members(values)):
        claims: Claims = {}
        for text in element.split(";"):
            if not text.strip(_SPACES):
                continue
            pair = _PAIR.fullmatch(text)
            name = pair[1].lower() if pair is not None else ""
            if pair is None or name in claims:
                raise ForwardedError("Forwarded is malformed")
            claims[name] = pair[3] if pair[2] is None else pair[2]
        yield {name: claims[name] for name in ("for", "proto", "host") if name in claims}


@lru_cache(maxsize=64)  # a request asks for its client's twice
def _node(text: str) -> _Node:
    """An address with or without a port, or a word in its place (RFC 7239, section 6)."""
    if _HIDDEN_NODE.fullmatch(text):
        return _Node(None)
    if text == _UNIX_NODE:
        return _Node(UNIX)
    match = _NODE.fullmatch(text)
    try:
        if match is not None:
            ip = IPv6Address(match[1]) if match[1] else IPv4Address(match[2])
            port = int(match[3]) if match[3] and match[3].isdigit() else 0
            if port <= 65535:
                return _Node(str(_unmapped(ip)), port)
        elif _BARE_IPV6.fullmatch(text):
            return _Node(str(_unmapped(IPv6Address(text))))
    except ValueError:
        pass
    raise ForwardedError("X-Forwarded-For, or Forwarded's for=, names no address")


def _with_claims(head: Head, claims: Claims) -> Head:
    """The head with the claims about the client in place of what the connection shows."""
    client, headers = head.client, head.headers
    if "for" in claims:
        node = _node(claims["for"])
        client = None if node.address in (None, UNIX) else (str(node.address), node.port)
    scheme = _scheme(head, claims.get("proto"))
    host = _host(head, scheme, claims)
    if host is not None:
        headers = [(b"host", host.encode("ascii")), *((name, value) for name, value in headers if name != b"host")]
    prefix = _prefix(claims.get("prefix", ""))
    return replace(
        head,
        client=client,
        scheme=scheme,
        headers=headers,
        root_path=prefix + head.root_path,
        raw_path=prefix.encode("ascii") + head.raw_path if head.raw_path.startswith(b"/") else head.raw_path,
        received=head,
    )


def _scheme(head: Head, proto: str | None) -> str:
    if proto is None:
        return head.scheme
    secure = USES_TLS.get(proto.lower())
    if secure is None:
        raise ForwardedError("X-Forwarded-Proto, or Forwarded's proto=, is neither http nor https")
    plain = "ws" if head.scheme in ("ws", "wss") else "http"
    return f"{plain}s" if secure else plain


def _host(head: Head, scheme: str, claims: Claims) -> str | None:
    """The Host field, if it is to be another."""
    if "host" not in claims and "port" not in claims:
        return None
    authority = split_authority(claims.get("host", head.host))
    if authority is None:
        if "host" not in claims:
            return None  # the client's own Host field is no host: that is not the proxy's fault
        raise ForwardedError("X-Forwarded-Host, or Forwarded's host=, is no host")
    host, port = authority
    if "port" in claims:
        _, given = split_authority(f"port:{claims['port']}") or ("", None)
        if given is None:
            raise ForwardedError("X-Forwarded-Port is no port")
        if port is None and given != default_port(scheme):
            port = given
    return host if port is None else f"{host}:{port}"


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ForwardedError("X-Forwarded-Prefix is no path")
    return text.removesuffix("/")


def _identity(head: Head) -> tuple[object, ...]:
    """Address, scheme and host, normalised: what Forwarded and X-Forwarded- must agree on."""
    host, port = split_authority(head.host) or (None, None)
    return head.client and head.client[0], head.scheme, host, port or default_port(head.scheme)
