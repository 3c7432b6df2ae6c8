"""URL rules, on werkzeug's map: HTTP and websocket rules side by side, and the adapters that match them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, MapAdapter, RuleFactory
from werkzeug.routing import Rule as WerkzeugRule

from .limits import LIMITS, REQUEST_LIMITS, WEBSOCKET_LIMITS, ServerLimits, WebSocketLimits

if TYPE_CHECKING:
    from .request import RequestBase

# Adapters are kept per host, and rules per path and method; these are the client's choice.
_MAX_ADAPTERS = 64
_MAX_FOUND = 1024

_OPTIONS = frozenset(inspect.signature(WerkzeugRule).parameters)


class Rule(WerkzeugRule):
    """A rule of the app's URL map.

    :ivar provide_automatic_options: whether the app answers OPTIONS itself.
    :ivar own_limits: the limits that this route sets for itself.
    """

    def __init__(
        self,
        string: str,
        *,
        provide_automatic_options: bool = False,
        own_limits: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        for name in options.keys() - _OPTIONS:
            raise TypeError(f"the route {string!r} has no option {name!r}{_whose(name)}")
        super().__init__(string, **options)
        self.provide_automatic_options = provide_automatic_options
        self.own_limits = own_limits or {}
        # With the config revision that they were made from:
        self.limits: tuple[int, WebSocketLimits] | None = None
        self.request_limits: tuple[int, ServerLimits] | None = None

    def get_empty_kwargs(self) -> dict[str, Any]:
        """What a copy of this rule is made with (werkzeug's rule factories ask for it)."""
        return {
            **super().get_empty_kwargs(),
            "provide_automatic_options": self.provide_automatic_options,
            "own_limits": self.own_limits,
        }


def _whose(name: str) -> str:
    """Whose option it is, for a message; empty for what is no limit."""
    if name not in LIMITS:
        return ""
    kind = "websocket routes and " if name in WEBSOCKET_LIMITS else "HTTP routes and " if name in REQUEST_LIMITS else ""
    return f"; it is a limit of {kind}the app: Triows(..., {name}=...)"


class URLMap(Map):
    """The app's URL map."""

    def __init__(self, rules: Iterable[Any] | None = None, **options: Any) -> None:
        self._adapters: dict[tuple[str, str, str, str | None], MapAdapter] = {}
        self._found: dict[tuple[MapAdapter, str, str, bool], Rule] = {}
        super().__init__(rules, **options)

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule."""
        self._found.clear()
        super().add(rulefactory)

    def adapter_for(self, subject: RequestBase, server_name: str | None, subdomains: bool) -> MapAdapter:
        """Return the adapter that matches this request and builds URLs for it.

        :param server_name: the configured SERVER_NAME, if any.
        :param subdomains: whether rules may name subdomains of it.
        :raises werkzeug.exceptions.NotFound: if the host is none of the server's.
        """
        key = (subject.host, subject.root_path, subject.scheme, server_name if subdomains else None)
        adapter = self._adapters.get(key)
        if adapter is None:
            adapter = self._bind(subject, server_name if subdomains else None)
            if len(self._adapters) >= _MAX_ADAPTERS:
                self._adapters.clear()
                self._found.clear()
            self._adapters[key] = adapter
        return adapter

    def match(self, adapter: MapAdapter, subject: RequestBase, *, websocket: bool) -> tuple[Rule, dict[str, Any]]:
        """Return the rule for a request, and the values of its variables.

        A rule without variables is found once, and then remembered until rules are added: with the same adapter, path
        and method there is nothing else that the search looks at.

        :raises werkzeug.exceptions.HTTPException: if there is none, or it redirects.
        """
        # Over HTTP/2 a websocket's method is CONNECT (RFC 8441).
        method = "GET" if websocket else subject.method
        if method != method.upper():  # methods are case-sensitive (RFC 9110, section 9.1), and werkzeug's search is not
            raise MethodNotAllowed(adapter.allowed_methods(subject.path) or None)
        key = (adapter, subject.path, method, websocket)
        rule = self._found.get(key)
        if rule is not None:
            return rule, {}
        query = subject.query_string.decode("ascii") or None
        match = adapter.match(subject.path, method, return_rule=True, query_args=query, websocket=websocket)
        rule, values = cast("tuple[Rule, dict[str, Any]]", match)
        if not values:
            if len(self._found) >= _MAX_FOUND:
                self._found.clear()
            self._found[key] = rule
        return rule, values

    def methods(self) -> set[str]:
        """The methods of all rules together."""
        return {method for rule in self.iter_rules() for method in rule.methods or ()}

    def _bind(self, subject: RequestBase, server_name: str | None) -> MapAdapter:
        host = subject.host.lower()
        subdomain = None
        if server_name is not None and not self.host_matching:
            server_name = _without_default_port(server_name.lower(), subject.scheme)
            if host != server_name and not host.endswith(f".{server_name}"):
                raise NotFound()
            subdomain, host = host[: -len(server_name)].rstrip("."), server_name
        return self.bind(host, subject.root_path, subdomain, subject.scheme)


def _without_default_port(host: str, scheme: str) -> str:
    return host.removesuffix(":80" if scheme in ("http", "ws") else ":443")
