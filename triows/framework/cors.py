"""CORS of apps, blueprints and routes: which policy holds for a request, its preflights, and its response's headers."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter, RequestRedirect

from ..connection.base import Connection
from ..connection.http import HTTPConnection
from ..web.cors import CORS, wanted_method
from ..web.outgoing import Outgoing
from ..web.request import Request
from ..web.response import Response
from .config import Config
from .routes.rules import Rule, URLMap


class WithCORS:
    """What apps and blueprints have for CORS.

    :ivar cors_policies: the policies by the names of blueprints; None: of all routes of the owner.
    """

    cors_policies: dict[str | None, CORS]

    def cors(
        self,
        origins: str | Iterable[str],
        *,
        methods: Iterable[str] | None = None,
        headers: Iterable[str] | None = None,
        expose_headers: Iterable[str] = (),
        credentials: bool = False,
        max_age: int | None = 600,
    ) -> None:
        """Let pages of other origins read the responses of all routes that have no policy of their own.

        The parameters are those of :class:`~triows.CORS`. A blueprint's policy goes before the app's, and that of a
        route, ``@app.get(..., cors=CORS(...))``, before both; ``cors=False`` leaves a route out. Preflights are
        answered before any hook. The responses to errors have the headers too. Called again, it replaces the policy.
        """
        policy = CORS(
            origins,
            methods=methods,
            headers=headers,
            expose_headers=expose_headers,
            credentials=credentials,
            max_age=max_age,
        )
        self._check_setup()
        self.add_cors(None, policy)

    def add_cors(self, name: str | None, policy: CORS) -> None:
        """Set the policy of a blueprint, or of all routes of the owner."""
        self.cors_policies[name] = policy

    def _check_setup(self) -> None: ...


class CORSApp(Protocol):
    """The app of a request."""

    url_map: URLMap
    subdomain_matching: bool
    cors_policies: dict[str | None, CORS]
    request_class: type[Request]

    @property
    def config(self) -> Config: ...


def policy_of(app: CORSApp, rule: Rule | None) -> CORS | None:
    """Return the policy of a route; None: of requests that have no route."""
    if rule is not None:
        if rule.cors is not None:
            return rule.cors or None
        name = f"{rule.endpoint}"
        while "." in name:
            name = name.rpartition(".")[0]
            if name in app.cors_policies:
                return app.cors_policies[name]
    return app.cors_policies.get(None)


def add_headers(app: CORSApp, request: Request, response: Response, outgoing: Outgoing) -> None:
    """Add the headers of CORS to a response."""
    rule = cast("Rule | None", request.url_rule)
    if rule is None and request.routing_exception is not None:
        rule = _nearest_rule(app, request, cast(HTTPException, request.routing_exception))
    policy = policy_of(app, rule)
    if policy is not None:
        policy.add_to(request.head, outgoing.headers)


def answer_preflight(app: CORSApp, connection: Connection) -> Coroutine[Any, Any, None] | None:
    """Return what sends the answer to a preflight.

    None if the request is no preflight, or if its route has no policy: it is an OPTIONS like any other then.
    """
    head = connection.head
    method = wanted_method(head)
    if method is None:
        return None
    request = app.request_class(cast(HTTPConnection, connection))
    request.method = method
    rule: Rule | None = None
    methods: Iterable[str] | None = None
    try:
        rule, _ = app.url_map.match(_adapter(app, request), request, websocket=False)
        methods = rule.methods
    except HTTPException as error:
        rule = _nearest_rule(app, request, error)
        if isinstance(error, MethodNotAllowed):
            methods = error.valid_methods
    policy = policy_of(app, rule)
    if policy is None:
        return None
    return cast(HTTPConnection, connection).send_response(*policy.answer_preflight(head, methods))


def _adapter(app: CORSApp, request: Request) -> MapAdapter:
    return app.url_map.adapter_for(request, app.config["SERVER_NAME"], app.subdomain_matching)


def _nearest_rule(app: CORSApp, request: Request, error: HTTPException) -> Rule | None:
    """Return the rule whose policy holds for a redirect to its path, or for a method that its path does not take."""
    try:
        adapter = _adapter(app, request)
        if isinstance(error, RequestRedirect):
            path = urlsplit(error.new_url).path.removeprefix(request.root_path)
            return cast(Rule, adapter.match(path, request.method, return_rule=True)[0])
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            return cast(Rule, adapter.match(request.path, next(iter(error.valid_methods)), return_rule=True)[0])
    except HTTPException:
        pass
    return None
