"""Protection against cross-site request forgery, by what browsers say of where a request comes from.

No token is needed: since 2023 every common browser sends ``Sec-Fetch-Site`` with each request to a secure host (W3C
Fetch Metadata, section 2.3), and for longer ``Origin`` with each unsafe one (RFC 6454, section 7.3). No page can set
either. A request with neither comes from no browser, or from one too old to protect. The rules are those of Go's
http.CrossOriginProtection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from werkzeug.exceptions import Forbidden

from ..connection.checks import names, parsed_names
from ..connection.logs import Notices
from ..protocol.origins import origin_allowed, parse_origin_pattern
from ..protocol.text import MAX_EXCERPT, printable
from ..tasks.error_log import error_log
from ..web.globals import request
from ..web.request import Request

_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110, section 9.2.1
_OWN = ("same-origin", "none")  # of the app's own page, or typed by the user
_TOO_WIDE = ("*", "null")


class GuardedApp(Protocol):
    """The app that is protected."""

    notices: Notices


class CrossOriginGuard:
    """Refuses unsafe requests that pages of other origins make.

    :param trusted_origins: origins whose pages may make them, as for ``origins``.
    :param exempt: the endpoints that anybody's page may use.
    """

    def __init__(self, app: GuardedApp, trusted_origins: Iterable[str], exempt: Iterable[str]) -> None:
        self._app = app
        self._trusted = parsed_names("trusted_origins", trusted_origins, parse_origin_pattern, "https://example.com")
        self._exempt: Collection[str] = frozenset(names("exempt", exempt, "webhook"))
        for origin in self._trusted:
            if origin in _TOO_WIDE:
                raise ValueError(f"trusted_origins holds {origin!r}, which any page can have; name the origins")

    async def check(self) -> None:
        """The before hook."""
        current = request.current()
        if current.method in _SAFE or current.endpoint in self._exempt or self._admits(current):
            return
        if self._app.notices.is_due("cross-origin", current.endpoint):
            origin = current.headers.get("Origin", "")
            error_log.warning(
                "refused a cross-origin %s of the route %r, from a page of '%s'; if that page may make it, name its"
                " origin in csrf_protect(trusted_origins=...)",
                printable(current.method),
                current.endpoint,
                printable(origin, MAX_EXCERPT),
            )
        raise Forbidden("Requests of this kind from pages of other origins are not allowed.")

    def _admits(self, request: Request) -> bool:
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        host = request.head.host
        if site in _OWN:
            return True
        if not site and (origin is None or origin_allowed(origin, host, None)):
            return True
        return bool(self._trusted) and origin is not None and origin_allowed(origin, host, self._trusted)
