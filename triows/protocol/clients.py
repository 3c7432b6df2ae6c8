"""Clients as limits tell them apart: by their address or, where that costs a client nothing to change, its network."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

_IPV6_PREFIX = 8  # bytes: a client of IPv6 has mostly a /64 of its own, and any address in it (RFC 6177, section 2)


def client_network(address: str) -> bytes | None:
    """Return what a client is counted under: an IPv4 address, or the /64 of an IPv6 address; None if it is neither."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None  # an ASGI server may have a word of its own here
    if not isinstance(ip, IPv6Address):
        return ip.packed
    # A dual-stack socket shows IPv4 clients as mapped IPv6 addresses.
    return ip.packed[:_IPV6_PREFIX] if ip.ipv4_mapped is None else ip.ipv4_mapped.packed
