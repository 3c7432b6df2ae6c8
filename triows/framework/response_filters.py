"""What an app does to each response last, behind all hooks: the headers of CORS, and compression."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from ..web.cors import CORS
from ..web.outgoing import Outgoing
from ..web.request import Request
from ..web.response import Response
from . import cors
from .routes.rules import Rule, URLMap

ResponseFilter = Callable[[Request, Response, Outgoing], Awaitable[None]]


class WithResponseFilters(cors.WithCORS):
    """The filters of an app. An app that uses none of them has none.

    :ivar response_filters: called with each response to a request, in this order.
    :ivar answers_preflights: whether a route may have a policy for CORS.
    """

    response_filters: tuple[ResponseFilter, ...] = ()
    answers_preflights: bool = False

    if TYPE_CHECKING:
        url_map: URLMap

    def note_rule(self, rule: Rule) -> None:
        """Begin with what a rule asks for. The URL map calls this for each rule that is added."""
        if rule.cors:
            self._use_cors()

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
