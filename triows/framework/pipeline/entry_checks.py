"""Checks of a request before a handler is looked for: forwarding headers, Host and path; and Origin of a websocket.

- Invalid or untrusted hosts, paths with broken percent-encoding, and malformed forwarding headers of a trusted proxy
  are answered here with 400. Hooks and error handlers never see them: they might trust the host, or build URLs from it.
- A malformed request also ends its connection: a proxy in front may have read the request in another way. A well-formed
  request for another host does not.
- Handshakes beyond ``max_handshake_rate`` are answered here with 429.
- A websocket from a page of another origin is refused by its pipeline (:mod:`.websocket`) with 403, so that the app's
  error handlers may answer it. No before hook runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import ceil
from typing import NamedTuple, cast

from ...connection.base import Connection
from ...connection.http import HTTPConnection
from ...connection.limits import ServerLimits
from ...connection.rates import Buckets, Rate
from ...connection.websocket import WebSocketConnection
from ...protocol.clients import client_network
from ...protocol.forwarded import ForwardedError, forwarded, trusts_peer
from ...protocol.head import Head
from ...protocol.hosts import host_trusted, is_host
from ...protocol.origins import origin_allowed
from ...protocol.text import MAX_EXCERPT, printable
from ...tasks.error_log import error_log
from ..config import Config

_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Refusal(NamedTuple):
    """The refusal of a request: the reason, for the response, and whether it ends the connection.

    :ivar retry_after: seconds until it may be made again; None if it never may.
    """

    reason: str
    closes: bool = True
    status: int = 400
    retry_after: int | None = None


def admit(config: Config, connection: Connection) -> Refusal | None:
    """Check a request, and replace its head by the one that a trusted proxy's headers describe.

    Return None if the app may see the request.
    """
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
    # Most ASGI servers pass on any Host. A request of HTTP/1.0 may have none.
    if host and not is_host(host):
        return Refusal("the Host field is no host")
    if hosts is None or host_trusted(host, hosts):
        return None
    error_log.debug("refused a request to the host '%s', which is none of trusted_hosts", printable(host, MAX_EXCERPT))
    return Refusal("the Host is none of this server's", closes=False)


def admit_handshake(limits: ServerLimits, buckets: Buckets, connection: WebSocketConnection) -> Refusal | None:
    """Check ``max_handshake_rate``. A trusted proxy that names no client stands for many, and is not limited."""
    head = connection.head
    network = None if head.client is None else client_network(head.client[0])
    if limits.max_handshake_rate is None or network is None:
        return None
    if head.received is None and trusts_peer(head, limits.trusted_proxies):
        return None
    wait = buckets.take(network, Rate(limits.max_handshake_rate))
    if not wait:
        return None
    return Refusal("too many websocket handshakes", status=429, retry_after=ceil(wait))


def _fault_of_target(head: Head) -> str | None:
    path = head.raw_path
    # Servers differ on a bare '%' in a path. In a query, browsers send it, and parsers of forms agree on it.
    if b"%" in path and _BROKEN_PERCENT.search(path):
        return "the path has a '%' without two hexadecimal digits behind it"
    if not path.startswith(b"/") and (path != b"*" or head.query_string or head.method != "OPTIONS"):
        return "the target is neither a path nor a URL"
    return None


async def refuse(connection: Connection, refusal: Refusal) -> None:
    """Answer with the status of the refusal, without the app's error handlers."""
    headers, body = [(b"content-type", b"text/plain; charset=utf-8")], refusal.reason.encode() + b"\n"
    if refusal.closes and connection.head.http_version.startswith("1"):  # later versions have no such field
        headers.append((b"connection", b"close"))
    if refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after))
    await connection.refuse(refusal.status, headers, body)


def is_server_options(connection: Connection) -> bool:
    """Whether this is ``OPTIONS *``, which asks for the options of the server, and not of a resource of the app."""
    return connection.head.raw_path == b"*"


async def answer_server_options(connection: Connection, methods: Iterable[str]) -> None:
    """Answer ``OPTIONS *`` with the methods of all routes (RFC 9110, section 9.3.7)."""
    allowed = ", ".join(sorted({*methods, "OPTIONS"})).encode("ascii")
    await cast(HTTPConnection, connection).send_response(204, [(b"allow", allowed)], b"")


def forbidden_origin(connection: WebSocketConnection) -> str | None:
    """Return the Origin of a websocket's handshake, if it is none of those that are allowed."""
    host, allowed = connection.head.host, connection.limits.origins
    # The websocket's headers object would stay in memory for as long as the websocket: the head's lines are enough.
    for field, value in connection.head.headers:
        origin = value.decode("latin-1") if field == b"origin" else None
        if origin is not None and not origin_allowed(origin, host, allowed):
            return origin
    return None


def log_forbidden_origin(connection: WebSocketConnection, name: str, origin: str) -> None:
    """Log under ``name`` that a websocket is refused for its Origin."""
    host, allowed = connection.head.host, connection.limits.origins
    error_log.warning(
        "%s: refused a page of the origin '%s', %s",
        name[:MAX_EXCERPT],
        printable(origin, MAX_EXCERPT),
        f"which is not that of the host '{printable(host, MAX_EXCERPT)}'"
        if allowed is None
        else f"which is none of '{printable(', '.join(allowed), MAX_EXCERPT)}'",
    )
