"""URL rules of HTTP and of websockets in one werkzeug map, and the adapters that match them."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, cast

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, MapAdapter, RuleFactory
from werkzeug.routing import Rule as WerkzeugRule

from ...connection.checks import did_you_mean, short_repr
from ...connection.limits import (
    LIMITS,
    REQUEST_LIMITS,
    WEBSOCKET_LIMITS,
    ServerLimits,
    WebSocketLimits,
    check_limits,
)
from ...tasks.functions import describe
from ...web.cors import CORS
from ...web.quart_names import refuse_definitions
from ...web.request import RequestBase
from ..quart_names import URL_MAP

# Clients choose the host, path and method that adapters and rules are cached by, so that the caches need a bound.
_MAX_ADAPTERS = 64
_MAX_FOUND = 1024

_OPTIONS = frozenset(inspect.signature(WerkzeugRule).parameters)


class Rule(WerkzeugRule):
    """A rule of the app's URL map.

    :ivar provide_automatic_options: whether the app answers OPTIONS itself.
    :ivar cors: the policy of its requests; False: none; None: that of its blueprint or app.
    :ivar compress: whether its responses are compressed, with what may hold secrets; None: as the app has it.
    :ivar own_limits: the limits that this route sets for itself, checked.
    :ivar limits: the limits of its websockets, with the revision of the config that they were made from.
    :ivar request_limits: the limits of its HTTP requests, likewise.
    :raises TypeError: if there is no such option, or one of its own limits has a wrong type.
    :raises ValueError: if one of its own limits makes no sense.
    """

    def __init__(
        self,
        string: str,
        *,
        provide_automatic_options: bool = False,
        own_limits: dict[str, Any] | None = None,
        cors: CORS | Literal[False] | None = None,
        compress: bool | None = None,
        **options: Any,
    ) -> None:
        for name in options.keys() - _OPTIONS:
            hint = _limit_hint(name) or did_you_mean(name, _options(websocket=bool(options.get("websocket"))))
            raise TypeError(f"the route {string!r} has no option {name!r}{hint}")
        if not (cors is None or cors is False or isinstance(cors, CORS)):
            raise TypeError(
                f"the route {string!r} has cors={short_repr(cors)}; it must be a triows.CORS, or False for a route"
                " without"
            )
        if not (compress is None or isinstance(compress, bool)):
            raise TypeError(f"the route {string!r} has compress={short_repr(compress)}; it must be True or False")
        super().__init__(string, **options)
        self.cors: CORS | Literal[False] | None = cors
        self.compress: bool | None = compress
        self.provide_automatic_options = provide_automatic_options
        self.own_limits: dict[str, Any] = check_limits(own_limits or {})
        self.limits: tuple[int, WebSocketLimits] | None = None
        self.request_limits: tuple[int, ServerLimits] | None = None

    def bind(self, map: Map, rebind: bool = False) -> None:
        """Compile the rule for a map. A rule that is bound to the map already stays as it is.

        So a rule can be checked before it is added, without being compiled twice.
        """
        if rebind or self.map is not map:
            super().bind(map, rebind)

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        """Leave the code that builds URLs to be compiled when the first is built.

        It takes two thirds of the time of a registration, and most rules are never built. The method is Werkzeug's own:
        a Werkzeug that calls it no more compiles at once. Rules with defaults do so too, since a default may be wrong.
        """
        compile_builder = super()._compile_builder
        if self.defaults:
            return compile_builder(append_unknown)
        builder: Callable[..., tuple[str, str]] | None = None

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            nonlocal builder
            if builder is None:
                builder = compile_builder(append_unknown)
            return builder(rule, **values)

        return build

    def get_converter(
        self, variable_name: str, converter_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> BaseConverter:
        """Return the converter of a variable. Werkzeug calls it when the rule is added.

        :raises LookupError: if there is no such converter.
        :raises ValueError: if the code that builds URLs, which is compiled later, cannot have a variable of this name.
        """
        assert self.map is not None
        if variable_name in self._converters:
            where = (
                f" and its {'host' if self.map.host_matching else 'subdomain'}" if self.subdomain or self.host else ""
            )
            raise ValueError(
                f"the rule {self.rule!r}{where} has the variable {variable_name!r} twice; give each another name"
            )
        if variable_name in _NO_VARIABLES:
            raise ValueError(
                f"the rule {self.rule!r} has the variable {variable_name!r}, which Python cannot assign to"
            )
        known = self.map.converters
        if converter_name not in known:
            raise LookupError(_converter_mistake(self.rule, variable_name, converter_name, known))
        return super().get_converter(variable_name, converter_name, args, kwargs)

    def get_empty_kwargs(self) -> dict[str, Any]:
        """Return the arguments for a copy of this rule. Werkzeug's rule factories call it."""
        return {
            **super().get_empty_kwargs(),
            "provide_automatic_options": self.provide_automatic_options,
            "own_limits": self.own_limits,
            "cors": self.cors,
            "compress": self.compress,
        }


# A variable in the syntax of other frameworks, and what rules of werkzeug's have between angle brackets.
_BRACES = re.compile(r"\{([^\W\d]\w*)(?::([^{}]*))?\}")
_ANGLES = re.compile(r"""<(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_NO_VARIABLES = ("None", "True", "False", "__debug__")
# What other frameworks and Python call the converters.
_CONVERTERS = {"str": "string", "text": "string", "integer": "int", "number": "int", "decimal": "float"}


def check_rule(rule: object, decorator: str) -> None:
    """Raise an error for what is no rule: a function, for want of parentheses, or another framework's syntax.

    :param decorator: how it is written, like ``@app.get``.
    """
    if not isinstance(rule, str):
        if callable(rule):
            raise TypeError(
                f"{decorator} stands without a rule before {describe(rule)}; write {decorator}('/path') there"
            )
        raise TypeError(f"{decorator} got the rule {rule!r:.100}; a rule is text, like '/path'")
    _check_syntax("rule", rule)


def check_parts(parts: Mapping[str, Any]) -> None:
    """Raise an error if a part of rules that is given by a name, like ``url_prefix``, is in another framework's syntax.

    :param parts: the parts, and anything else, by their names.
    """
    for name in _PARTS & parts.keys():
        part = parts[name]
        if isinstance(part, str):
            _check_syntax(name, part)
        elif part is not None:
            raise TypeError(f"{name} is {part!r:.100}; it is text, or None")


_PARTS = {"host", "subdomain", "url_prefix"}


def _check_syntax(name: str, text: str) -> None:
    plain = _ANGLES.sub("", text)
    if (braces := _BRACES.search(plain)) is not None:
        variable, kind = f"<{braces[1]}>", braces[2]
        if kind in ("int", "float", "path", "uuid"):
            variable = f"<{kind}:{braces[1]}>"
        raise ValueError(
            f"the {name} {text!r} has {braces[0]!r}, which would match these characters alone; did you mean"
            f" {variable!r}?"
        )
    if "?" in plain:
        raise ValueError(
            f"the {name} {text!r} has a '?', and rules match paths alone; read the query from request.args,"
            " or from websocket.args"
        )


def _converter_mistake(rule: str, name: str, converter: str, known: Iterable[str]) -> str:
    """Return what is wrong with a converter that there is not, and what was meant."""
    meant = _CONVERTERS.get(name, name)
    if meant in known:  # <id:int>
        hint = f"did you mean '<{meant}:{converter}>'?" if meant != "string" else f"did you mean '<{converter}>'?"
    else:
        close = _CONVERTERS.get(converter) or next(iter(get_close_matches(converter, known, n=1)), None)
        hint = (f"did you mean {close!r}? " if close else "") + f"The converters are {', '.join(sorted(known))}"
    return f"the rule {rule!r} has the converter {converter!r} for its variable {name!r}, and there is none; {hint}"


_NO_METHODS: Iterable[str] = ()
# Options of werkzeug's rules that the kind of a route decides, by whether it is a websocket's; and what to do instead.
_DECIDED = {
    False: {"websocket": "for websockets use websocket() instead of route()"},
    True: {
        **dict.fromkeys(("methods", "provide_automatic_options", "websocket"), "a handshake is always a GET"),
        "compress": "give it compression=",
        "cors": "give it origins=",
    },
}


def check_options(rule: str, options: dict[str, Any], *, websocket: bool = False) -> None:
    """Raise an error if a route has an option that its kind decides, or one in another framework's syntax.

    So does one that was meant to be the view function.
    """
    check_parts(options)
    for name in options.keys() - _options(websocket=websocket) - _DECIDED[websocket].keys():
        if hint := did_you_mean(name, ("view_func",)):
            raise TypeError(f"the route {rule!r} has no option {name!r}{hint}")
    for name, remedy in _DECIDED[websocket].items():
        if name in options:
            raise TypeError(f"the {'websocket ' if websocket else ''}route {rule!r} has no option {name!r}: {remedy}")


@cache
def _options(*, websocket: bool) -> set[str]:
    """Return the options of a kind of route."""
    options = {
        *_OPTIONS,
        "compress",
        "cors",
        "provide_automatic_options",
        *(WEBSOCKET_LIMITS if websocket else REQUEST_LIMITS),
    }
    return options - {"string", *_DECIDED[websocket]}


def wanted_methods(function: Callable[..., Any] | None, methods: Iterable[str] | None) -> set[str]:
    """Return the methods of a route: ``methods``, else the view function's ``methods`` attribute, else GET."""
    own: Any = methods if methods is not None else getattr(function, "methods", None) or ("GET",)
    place = "methods is" if methods is not None or function is None else f"the methods of {describe(function)} are"
    if isinstance(own, str):
        raise TypeError(f"{place} the string {own!r}; it must be a list of strings, like [{own!r}]")
    own = [*own] if isinstance(own, Iterable) else [own]
    if not all(isinstance(method, str) for method in own):
        raise TypeError(f"{place} {own!r:.100}; it must be a list of strings, like ['GET']")
    return {method.upper() for method in (*own, *getattr(function, "required_methods", _NO_METHODS))}


def check_endpoint(endpoint: object, decorator: str) -> None:
    """Raise TypeError for a function in place of an endpoint's name."""
    if inspect.isroutine(endpoint):
        if decorator.startswith("@"):
            raise TypeError(
                f"{decorator} stands without parentheses before {describe(endpoint)}; write {decorator}('name') there"
            )
        raise TypeError(f"{decorator} got the function {describe(endpoint)} as endpoint; give it as view_func=")


def endpoint_name(endpoint: str | None, function: Callable[..., Any] | None) -> str:
    """Return the name of an endpoint: ``endpoint``, else the view function's name."""
    if endpoint is not None:
        return endpoint
    name = getattr(function, "__name__", None)
    if name is None:
        raise TypeError(f"{function!r} has no name to be the endpoint; give endpoint='name'")
    return str(name)


def _limit_hint(name: str) -> str:
    """Return a hint on where a limit of this name may be set; empty if there is no such limit."""
    if name not in LIMITS:
        return ""
    kind = "websocket routes and " if name in WEBSOCKET_LIMITS else "HTTP routes and " if name in REQUEST_LIMITS else ""
    return f"; it is a limit of {kind}the app: Triows(..., {name}=...)"


class URLMap(Map):
    """The app's URL map.

    :ivar has_subdomains: whether a rule is for a subdomain.
    :ivar note_rule: called with each rule that is added; None: nobody asks.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_definitions(cls, URL_MAP)

    def __init__(self, rules: Iterable[Any] | None = None, **options: Any) -> None:
        self.has_subdomains: bool = False
        self.note_rule: Callable[[Rule], None] | None = None
        self._has_warned = False
        self._adapters: dict[tuple[str, str, str, str, str | None, bool], MapAdapter] = {}
        self._found: dict[tuple[MapAdapter, str, str, bool], Rule] = {}
        super().__init__(rules, **options)

    def add(self, rulefactory: RuleFactory) -> None:
        """Add a rule, or the rules of one of werkzeug's factories. Rules of werkzeug's own class are HTTP rules.

        :raises ValueError: if a rule has a host or a subdomain that would not be matched.
        """
        # Each call of a factory's get_rules() makes new rules, so it is called once.
        rules = [*rulefactory.get_rules(self)]
        for rule in rules:
            if not isinstance(rule, Rule):
                vars(rule).update(dict.fromkeys(("compress", "cors", "limits", "request_limits")))
                vars(rule).update(provide_automatic_options=False, own_limits={})
            if rule.host is not None and not self.host_matching:
                raise ValueError(
                    f"the route {rule.rule!r} is for the host {rule.host!r}, and hosts are not matched;"
                    " make the app with Triows(..., host_matching=True)"
                )
            if rule.subdomain not in (None, self.default_subdomain) and self.host_matching:
                raise ValueError(
                    f"the route {rule.rule!r} is for the subdomain {rule.subdomain!r}, and the app matches hosts;"
                    " give it host= instead, or make the app without host_matching"
                )
            self.has_subdomains = self.has_subdomains or bool(rule.subdomain)
        self._found.clear()
        for rule in rules:
            super().add(rule)
            if self.note_rule is not None:
                self.note_rule(cast(Rule, rule))

    def check(self, server_name: str | None) -> None:
        """Raise RuntimeError if there are rules for subdomains, which match no request without a SERVER_NAME."""
        if self.has_subdomains and server_name is None:
            raise RuntimeError(
                "there are routes for subdomains, and nothing says of what; set app.config['SERVER_NAME'] ="
                " 'example.com', or leave subdomain= out of routes and blueprints"
            )

    def adapter_for(self, subject: RequestBase, server_name: str | None, subdomains: bool) -> MapAdapter:
        """Return the adapter that matches this request and builds URLs for it, by rules of its method before others.

        :param server_name: the configured SERVER_NAME, if any, below which the rules' subdomains are. A request
            without a Host field is for it.
        :param subdomains: whether a host below the SERVER_NAME needs rules for its subdomain where no rule has one.
        :raises werkzeug.exceptions.NotFound: if the host is neither the SERVER_NAME nor below it; the first such host
            is the subject of a :exc:`UserWarning`.
        """
        subdomains = subdomains or self.has_subdomains
        host = subject.host if server_name is None or subject.head.host else ""
        key = (host, subject.root_path, subject.scheme, subject.method, server_name, subdomains)
        adapter = self._adapters.get(key)
        if adapter is None:
            adapter = self._bind(subject, host, server_name, subdomains)
            if len(self._adapters) >= _MAX_ADAPTERS:
                self._adapters.clear()
                self._found.clear()
            self._adapters[key] = adapter
        return adapter

    def match(self, adapter: MapAdapter, subject: RequestBase, *, websocket: bool) -> tuple[Rule, dict[str, Any]]:
        """Return the rule for a request, and the values of its variables.

        A rule without variables is cached until rules are added: the search depends on nothing but the adapter, the
        path and the method.

        :raises werkzeug.exceptions.HTTPException: if there is no rule, or the rule redirects.
        """
        if subject.root_path and not subject.head.is_below_root:
            raise NotFound()
        # Over HTTP/2 a websocket's method is CONNECT (RFC 8441).
        method = "GET" if websocket else subject.method
        if method != method.upper():  # werkzeug's search ignores case, and RFC 9110, section 9.1, does not
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
        """Return the methods of all rules together."""
        return {method for rule in self.iter_rules() for method in rule.methods or ()}

    def _bind(self, subject: RequestBase, host: str, server_name: str | None, subdomains: bool) -> MapAdapter:
        host = host.lower()
        subdomain = None
        if server_name is not None and not self.host_matching:
            server_name = _without_default_port(server_name.lower(), subject.scheme)
            host = host or server_name
            if host != server_name and not host.endswith(f".{server_name}"):
                self._warn_of_foreign_host(host, server_name)
                raise NotFound()
            if subdomains:
                subdomain, host = host[: -len(server_name)].rstrip("."), server_name
        return self.bind(host, subject.root_path, subdomain, subject.scheme, subject.method)

    def _warn_of_foreign_host(self, host: str, server_name: str) -> None:
        # Once: clients choose their hosts, and each other text would be another warning.
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the host {host!r:.100} of a request is neither app.config['SERVER_NAME'], {server_name!r}, nor below"
                " it: such requests are answered with 404. There is no warning for the next ones",
                stacklevel=2,
            )


def _without_default_port(host: str, scheme: str) -> str:
    return host.removesuffix(":80" if scheme in ("http", "ws") else ":443")
