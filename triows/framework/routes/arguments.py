"""What registered functions are called with, compared when they are registered with what they take.

Only a mistake that is certain raises. Where a decorator, a hook or a preprocessor may change the arguments, or a
signature cannot be read, nothing is said: the call itself will tell.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Protocol

from ...tasks.functions import describe, forgotten_await
from ...web.request import Request
from ...web.websocket import WebSocket
from .class_views import check_no_class, methods_of, undecorated_class_of
from .hooks import Hooks, HookTable, Kind
from .rules import Rule
from .variable_changes import hook_may_change, may_be_changed_later, override_may_change, preprocessor_may_change
from .views import injected_parameters

_GIVEN_ALONE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class ChangingApp(Protocol):
    """The app whose preprocessors and hooks may change the variables of a URL.

    :ivar unsettled_rules: the rules whose variables do not suit their views, unless what comes later changes them.
    """

    hooks: dict[Kind, Hooks]
    url_value_preprocessors: HookTable
    unsettled_rules: list[Rule]

    @property
    def view_functions(self) -> Mapping[str, Callable[..., Any]]: ...


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature that a call of the function meets; None if it cannot be told.

    It is a wrapper's own, and not that of the function inside, which the wrapper may call with other arguments.
    """
    plain: Any = function
    while isinstance(plain, partial):
        plain = plain.func
    plain = getattr(plain, "__func__", plain) if isinstance(plain, MethodType) else plain
    called = plain if isinstance(plain, FunctionType) else getattr(type(plain), "__call__", None)  # noqa: B004
    if not isinstance(called, FunctionType) or hasattr(plain, "__signature__"):
        return None
    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return None


def check_called_with(function: Callable[..., Any], caller: str, *names: str) -> None:
    """Raise TypeError if the function cannot be called with positional arguments of these names."""
    signature = signature_of(function)
    if signature is None:
        return
    try:
        signature.bind(*names)
    except TypeError:
        bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
        hint = ""
        for name in signature.parameters.keys() - {*names}:
            hint = _GLOBALS.get(name.lower(), hint)
        raise TypeError(
            f"{describe(function)} takes {inspect.Signature(bare)}, and {caller} calls it with"
            f" ({', '.join(names)}){hint}"
        ) from None


_REQUEST = "; import 'request' from triows in place of a parameter"
_WEBSOCKET = "; import 'websocket' from triows in place of a parameter"
_GLOBALS = {
    **dict.fromkeys(("request", "req", "_request"), _REQUEST),
    **dict.fromkeys(("websocket", "ws", "socket", "sock", "_websocket"), _WEBSOCKET),
    **{name: f"; import {name!r} from triows in place of a parameter" for name in ("session", "g")},
    **dict.fromkeys(("self", "cls"), "; it is a method: give that of an object"),
    **dict.fromkeys(("app", "application"), "; import 'current_app' from triows in place of a parameter"),
}


def check_view_arguments(app: ChangingApp, function: Callable[..., Any], rule: Rule, *, last: bool = False) -> None:
    """Raise TypeError if a view cannot be called with the variables of its rule.

    Where the program goes on to register what may change the variables, the rule is noted for another check.

    :param rule: the rule, bound to a map. One that is never matched, or of a class of the user's, is passed over.
    :param last: whether this is that other check, after which nothing is registered.
    """
    if rule.build_only or rule.redirect_to is not None or type(rule) is not Rule:
        return
    class_ = undecorated_class_of(function)
    # A class view's methods get the URL's variables alone, and no request or websocket by an annotation.
    injected = None if class_ is not None else WebSocket if rule.websocket else Request
    for called in (function,) if class_ is None else methods_of(class_, rule):
        _check_call(app, called, rule, injected, last=last)


def check_unsettled_rules(app: ChangingApp) -> None:
    """Raise TypeError if a view still cannot be called with the variables of its rule."""
    while app.unsettled_rules:
        rule = app.unsettled_rules[-1]
        if rule.endpoint in app.view_functions:
            check_view_arguments(app, app.view_functions[rule.endpoint], rule, last=True)
        app.unsettled_rules.pop()


def _check_call(
    app: ChangingApp, function: Callable[..., Any], rule: Rule, injected: type | None, *, last: bool
) -> None:
    """Raise TypeError if a function cannot be called with the variables of a rule.

    :param injected: the class of the object that the function's parameters of this annotation get.
    """
    signature = signature_of(function)
    if signature is None:
        return
    parameters = signature.parameters.values()
    given = rule.arguments
    takes = {parameter.name for parameter in parameters if parameter.kind in _GIVEN_ALONE}
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    unknown = [] if takes_all else sorted(given - takes)
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and (parameter.name not in takes or parameter.name not in given)
    ]
    if missing and injected is not None:
        names = injected_parameters(function, injected)
        missing = [name for name in missing if name not in names]
    if not (missing or unknown) or _may_change(app, str(rule.endpoint), "websocket" if rule.websocket else "request"):
        return
    if not last and may_be_changed_later():
        app.unsettled_rules.append(rule)
    else:
        raise TypeError(
            _mistake(describe(function), rule.rule, missing, unknown, injected, websocket=bool(rule.websocket))
        )


_WAY_OUT = " (if a before hook changes the variables, let a url_value_preprocessor do it, registered before the route)"


def _mistake(
    view: str, rule: str, missing: list[str], unknown: list[str], injected: type | None, *, websocket: bool
) -> str:
    """Return what is wrong, and what to write instead."""
    if not missing:
        return (
            f"the rule {rule!r} gives {_listed(unknown)}, which {view} does not take;"
            f" add {'it' if len(unknown) == 1 else 'them'} to its parameters{_WAY_OUT}"
        )
    if not {*missing}.isdisjoint(unknown):
        return f"{view} takes {_listed(missing)} by position alone, and views get keyword arguments; take out the '/'"
    if unknown:
        return (
            f"{view} takes {_listed(missing)}, and the rule {rule!r} gives {_listed(unknown)}; give both the same name"
            f"{_WAY_OUT}"
        )
    text = f"{view} takes {_listed(missing)}, which the rule {rule!r} does not give"
    (name, *_) = missing
    kind = "websocket" if websocket else "request"
    if f":{name}" in rule:
        return f"{text}; did you mean '<{name}>' in place of ':{name}'?"
    if name.lower() in _GLOBALS:
        annotated = _GLOBALS[name.lower()] in (_REQUEST, _WEBSOCKET)
        own = f", or annotate it: '{name}: triows.{injected.__name__}'" if injected is not None and annotated else ""
        return f"{text}{_GLOBALS[name.lower()]}{own}"
    return f"{text}; write '<{name}>' into the rule, or give the parameter a default; a query is in {kind}.args" + (
        _WAY_OUT if websocket else f", a body in await request.get_json() or request.form{_WAY_OUT}"
    )


def _listed(names: Iterable[str]) -> str:
    return " and ".join(map(repr, names))


def _may_change(app: ChangingApp, endpoint: str, kind: Kind) -> bool:
    """Whether what is registered may give or take variables before a view is called."""
    parts = endpoint.split(".")[:-1]
    owners = [None, *(".".join(parts[: count + 1]) for count in range(len(parts)))]
    preprocessors = [function for owner in owners for function in app.url_value_preprocessors.get(owner, ())]
    hooks = [hook for owner in owners for hook in app.hooks[kind].before.get(owner, ())]
    return (
        any(map(preprocessor_may_change, preprocessors))
        or any(map(hook_may_change, hooks))
        or override_may_change(app, kind)
    )


def check_callable(function: object, decorator: str) -> None:
    """Raise TypeError if a decorator without parentheses got no function, or a class view."""
    if not callable(function):
        hint = forgotten_await(function)
        raise TypeError(
            f"{decorator} stands before a function, and got {type(function).__name__} {function!r:.100}"
            + (f": {hint}" if hint else "; write it without parentheses")
        )
    check_no_class(function, decorator)
