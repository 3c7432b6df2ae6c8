"""What an app does to each response last, behind all hooks: the headers of CORS, and compression."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from ..web.cors import CORS
from ..web.outgoing import Outgoing
from ..web.request import Request
from ..web.response import Response
from . import cors
from .routes.rules import Rule, URLMap

if TYPE_CHECKING:
    from ..web.content_coding import ContentCoding

ResponseFilter = Callable[[Request, Response, Outgoing], Awaitable[None]]


class WithResponseFilters(cors.WithCORS):
    """The filters of an app. An app that uses none of them has none.

    :ivar response_filters: called with each response to a request, in this order.
    :ivar answers_preflights: whether a route may have a policy for CORS.
    :ivar content_coding: compresses responses; None: no route asks for that.
    :ivar compresses_all: whether it is for all routes that do not say otherwise.
    """

    response_filters: tuple[ResponseFilter, ...] = ()
    answers_preflights: bool = False
    content_coding: ContentCoding | None = None
    compresses_all: bool = False

    if TYPE_CHECKING:
        url_map: URLMap

    def note_rule(self, rule: Rule) -> None:
        """Begin with what a rule asks for. The URL map calls this for each rule that is added."""
        if rule.cors:
            self._use_cors()
        if rule.compress:
            self._use_content_coding(self.content_coding or _content_coding({}))

    def add_cors(self, name: str | None, policy: CORS) -> None:
        """Set the policy of a blueprint, or of the app, for the websockets too."""
        super().add_cors(name, policy)
        self._use_cors()
        for rule in self.url_map.iter_rules():
            cast(Rule, rule).limits = None  # made with the former origins

    def cors_of(self, rule: Rule | None) -> CORS | None:
        """Return the policy of a route; None: of requests that have no route."""
        return cors.policy_of(cast(Any, self), rule)

    def _use_cors(self) -> None:
        if not self.answers_preflights:
            self.answers_preflights = True
            self.response_filters += (self._add_cors_headers,)

    async def _add_cors_headers(self, request: Request, response: Response, outgoing: Outgoing) -> None:
        cors.add_headers(cast(Any, self), request, response, outgoing)

    # Compression

    def compress(
        self,
        *,
        codings: Iterable[str] | None = None,
        mimetypes: Iterable[str] | None = None,
        min_size: int = 1024,
        gzip_level: int = 4,
        zstd_level: int = 3,
    ) -> None:
        """Compress HTTP responses for clients that accept it.

        Not compressed is what may hold a secret: the response to a request with a ``Cookie`` or an ``Authorization``
        header, unless it is a file, and a response that sets a cookie. ``@app.get(..., compress=True)`` compresses
        those of a route too, and ``compress=False`` none of it. Called again, it replaces the settings.

        :param codings: ``"zstd"`` and ``"gzip"``, the preferred one first. None: both; zstd needs Python 3.14 or
            ``triows[zstd]``, and is left out without.
        :param mimetypes: the types that are compressed, with patterns such as ``"text/*"``; None: those that compress
            well. An event stream is among them only by its full name, ``"text/event-stream"``.
        :param min_size: bytes below which a response is sent as it is.
        :param gzip_level: from 1 (fastest) to 9 (smallest).
        :param zstd_level: from 1 (fastest) to 19 (smallest).
        :raises TypeError: if a value has a wrong type.
        :raises ValueError: if one makes no sense.
        :raises RuntimeError: if zstd is asked for and not installed.
        """
        settings = {
            "codings": codings,
            "mimetypes": mimetypes,
            "min_size": min_size,
            "gzip_level": gzip_level,
            "zstd_level": zstd_level,
        }
        self._use_content_coding(_content_coding(settings))
        self.compresses_all = True

    def _use_content_coding(self, content_coding: ContentCoding) -> None:
        if self.content_coding is None:
            self.response_filters += (self._compress,)
        self.content_coding = content_coding

    async def _compress(self, request: Request, response: Response, outgoing: Outgoing) -> None:
        rule = cast("Rule | None", request.url_rule)
        wanted = None if rule is None else rule.compress
        if wanted or (wanted is None and self.compresses_all):
            assert self.content_coding is not None
            await self.content_coding.apply(request, response, outgoing, beside_secrets=bool(wanted))


def _content_coding(settings: dict[str, Any]) -> ContentCoding:
    from ..web.content_coding import ContentCoding

    return ContentCoding(**settings)
