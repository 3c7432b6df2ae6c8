"""Who is let in: what is judged of a request before the app sees anything of it.

What is no host, a host that is not in TRUSTED_HOSTS, and what makes no sense of a trusted proxy's, are answered here:
hooks and error handlers might take the host for one of the app's own, or make URLs of it. A page of another origin is
refused as any other websocket is, so that the app's error handlers may say it in their words; but no before hook runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .connection import Connection, HTTPConnection
from .forwarded import ForwardedError, forwarded
from .logs import error_log, printable
from .origins import host_trusted, is_host, origin_allowed
from .websocket_connection import WebSocketConnection

if TYPE_CHECKING:
    from .config import Config

_LOGGED = 200  # characters of a client's word in a record


def admit(config: Config, connection: Connection) -> str | None:
    """Take into the head what a trusted proxy says of the client. Return why the request is refused, if it is."""
    proxies, hosts = config["TRUSTED_PROXIES"], config["TRUSTED_HOSTS"]
    if proxies:
        try:
            connection.head = forwarded(connection.head, proxies)
        except ForwardedError as error:
            peer = connection.head.client
            error_log.warning("refused a request of the proxy %s: %s", "unix" if peer is None else peer[0], error)
            return str(error)
    host = connection.head.host
    if hosts is None:
        # Most ASGI servers let anything through; a request of HTTP/1.0 needs none.
        return None if not host or is_host(host) else "the Host field is no host"
    if host_trusted(host, hosts):
        return None
    error_log.debug("refused a request to the host '%s', which is none of trusted_hosts", printable(host, _LOGGED))
    return "the Host is none of this server's"


async def refuse(connection: Connection, fault: str) -> None:
    """Answer 400, whatever the app would say."""
    headers, body = [(b"content-type", b"text/plain; charset=utf-8")], fault.encode() + b"\n"
    if isinstance(connection, WebSocketConnection):
        await connection.reject(400, headers, body)
    else:
        await cast(HTTPConnection, connection).send_response(400, headers, body)


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
