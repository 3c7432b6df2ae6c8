"""Who is let in: what is judged of a request before the app sees anything of it.

What is no host, a host that is not in TRUSTED_HOSTS, a path that is not percent-encoded as it should be, and what makes
no sense of a trusted proxy's, are answered here: hooks and error handlers might take the host for one of the app's own,
or make URLs of it. What is malformed ends its connection, since a proxy in front may have read the request another way;
a good request for another host does not. A page of another origin is refused as any other websocket is, so that the
app's error handlers may say it in their words; but no before hook runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, cast

from ...connection.base import Connection
from ...connection.http import HTTPConnection
from ...connection.logs import error_log
from ...connection.websocket import WebSocketConnection
from ...protocol.forwarded import ForwardedError, forwarded
from ...protocol.head import Head
from ...protocol.hosts import host_trusted, is_host
from ...protocol.origins import origin_allowed
from ...protocol.text import printable
from ..config import Config

_LOGGED = 200  # characters of a client's word in a record
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Refusal(NamedTuple):
    """Why a request is refused, and whether that ends its connection."""

    reason: str
    closes: bool = True


def admit(config: Config, connection: Connection) -> Refusal | None:
    """Take into the head what a trusted proxy says of the client. Return why the request is refused, if it is."""
    proxies, hosts = config["TRUSTED_PROXIES"], config["TRUSTED_HOSTS"]
    if proxies:
        try:
            connection.head = forwarded(connection.head, proxies)
        except ForwardedError as error:
            peer = connection.head.client
            error_log.warning("refused a request of the proxy %s: %s", "unix" if peer is None else peer[0], error)
            return Refusal(str(error))
    if fault := _fault_of_target(connection.head):
        return Refusal(fault)
    host = connection.head.host
    # Most ASGI servers let anything through; a request of HTTP/1.0 needs none.
    if host and not is_host(host):
        return Refusal("the Host field is no host")
    if hosts is None or host_trusted(host, hosts):
        return None
    error_log.debug("refused a request to the host '%s', which is none of trusted_hosts", printable(host, _LOGGED))
    return Refusal("the Host is none of this server's", closes=False)


def _fault_of_target(head: Head) -> str | None:
    path = head.raw_path
    # In a query, browsers leave a '%' as it is, and all forms know how to read it; in a path, servers differ.
    if b"%" in path and _BROKEN_PERCENT.search(path):
        return "the path has a '%' without two hexadecimal digits behind it"
    if path.startswith(b"*") and (path != b"*" or head.query_string or head.method != "OPTIONS"):
        return "the target is neither a path nor a URL"
    return None


async def refuse(connection: Connection, refusal: Refusal) -> None:
    """Answer 400, whatever the app would say."""
    headers, body = [(b"content-type", b"text/plain; charset=utf-8")], refusal.reason.encode() + b"\n"
    if refusal.closes and connection.head.http_version.startswith("1"):  # later versions have no such field
        headers.append((b"connection", b"close"))
    await connection.refuse(400, headers, body)


def concerns_server(connection: Connection) -> bool:
    """Whether this is ``OPTIONS *``, which asks for the server's abilities, and for no resource of the app's."""
    return connection.head.raw_path == b"*"


async def tell_methods(connection: Connection, methods: Iterable[str]) -> None:
    """Answer ``OPTIONS *`` (RFC 9110, section 9.3.7)."""
    allowed = ", ".join(sorted({*methods, "OPTIONS"})).encode("ascii")
    await cast(HTTPConnection, connection).send_response(204, [(b"allow", allowed)], b"")


def admits_origin(connection: WebSocketConnection, name: str) -> bool:
    """Whether the page that opens this websocket may; if not, that is logged, with ``name`` for the websocket."""
    host, allowed = connection.head.host, connection.limits.origins
    # Not through the websocket's headers: an idle one would keep what these are made of.
    for field, value in connection.head.headers:
        origin = value.decode("latin-1") if field == b"origin" else None
        if origin is not None and not origin_allowed(origin, host, allowed):
            error_log.warning(
                "%s: refused a page of the origin '%s', %s",
                name[:_LOGGED],
                printable(origin, _LOGGED),
                f"which is not that of the host '{printable(host, _LOGGED)}'"
                if allowed is None
                else f"which is none of '{printable(', '.join(allowed), _LOGGED)}'",
            )
            return False
    return True
