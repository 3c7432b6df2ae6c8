"""Quart-CORS's checks of a websocket's origin, which take the place of the same-origin check.

``@websocket_cors(allow_origin=...)`` on a route, and ``cors(app, allow_origin=...)``, say which pages may connect, and
refuse all others with 400. So the same-origin check, which is there for those who have said nothing, leaves the origin
to them. Where ``origins`` is given, that holds as well. What is not recognised is not trusted: with functions of other
names than these, the same-origin check stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import FunctionType
from typing import Any

_MODULE = "quart_cors"
_VIEW = "websocket_cors.<locals>.decorator.<locals>.wrapper"
_BEFORE_HOOK = "_before_websocket"
_EXEMPT = "_quart_cors_exempt"
"""The attribute that ``cors_exempt`` sets: the hook does not check the origin of such a view's websockets."""


def checks_origin(view: Callable[..., Any] | None, hooks: Iterable[Callable[..., Any]]) -> bool:
    """Whether Quart-CORS checks the origin of a websocket.

    :param view: the function of the websocket's route, if there is one.
    :param hooks: the functions that run before it.
    """
    if view is not None and any(_is(function, _VIEW) for function in _layers(view)):
        return True
    return not getattr(view, _EXEMPT, False) and any(_is(hook, _BEFORE_HOOK) for hook in hooks)


def _layers(function: Callable[..., Any] | None) -> Iterable[Callable[..., Any]]:
    """Yield a function, and those that it wraps."""
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def _is(function: Callable[..., Any], name: str) -> bool:
    """Whether a function is Quart-CORS's of that name; its own ``__module__`` may be that of what it wraps."""
    if isinstance(function, partial):
        function = function.func
    return (
        isinstance(function, FunctionType)
        and function.__globals__.get("__name__") == _MODULE
        and function.__code__.co_qualname == name
    )
