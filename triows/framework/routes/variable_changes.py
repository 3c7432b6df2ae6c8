"""Whether something may change the variables of a URL before a view is called, so that they need not suit the view.

A ``url_value_preprocessor`` is there to change them. A before hook is mostly there for something else, so that its code
has to show a change of ``view_args``. So has the code of a replaced method of the app. The functions that these call
are not looked into.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dis import get_instructions
from types import CodeType, FrameType
from typing import Any

from ...tasks.functions import unwrap
from .hooks import Kind

_OWN_PACKAGE = __name__.partition(".")[0]
_PREPROCESSORS = frozenset(("app_url_value_preprocessor", "url_value_preprocessor", "url_value_preprocessors"))
_STAGES_BEFORE_VIEW = ("full_dispatch", "preprocess", "dispatch")
_CHANGING_METHODS = frozenset(("clear", "pop", "popitem", "setdefault", "update"))
_CHANGING_INSTRUCTIONS = frozenset(("DELETE_SUBSCR", "STORE_SUBSCR"))


def preprocessor_may_change(function: Callable[..., Any]) -> bool:
    """Whether a ``url_value_preprocessor`` may change the variables: the package's own ones do not."""
    return not _is_own(getattr(function, "__module__", None))


def hook_may_change(hook: Callable[..., Any]) -> bool:
    """Whether a before hook may change the variables. One whose code cannot be read may."""
    plain: Any = unwrap(hook)
    call = getattr(type(plain), "__call__", None)  # noqa: B004  (of an instance)
    code = getattr(plain, "__code__", None) or getattr(call, "__code__", None)
    return not isinstance(code, CodeType) or _changes(code)


def override_may_change(app: object, kind: Kind) -> bool:
    """Whether a method of the app that a subclass or an assignment has replaced may change the variables.

    Each class is looked into, since the method of one may call that of the next by ``super()``.
    """
    names = [f"{stage}_{kind}" for stage in _STAGES_BEFORE_VIEW]
    owners = [app, *(owner for owner in type(app).__mro__ if not _is_own(owner.__module__))]
    return any(hook_may_change(vars(owner)[name]) for owner in owners for name in names if name in vars(owner))


def may_be_changed_later() -> bool:
    """Whether the code that registers a route now may go on to register what changes the variables."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not _is_own(frame.f_globals.get("__name__")):
            own, *functions = _nested(frame.f_code)
            if any(not _PREPROCESSORS.isdisjoint(code.co_names) for code in (own, *functions)):
                return True
            if any(map(_changes, functions)):
                return True
        frame = frame.f_back
    return False


def _is_own(module: object) -> bool:
    return str(module).partition(".")[0] == _OWN_PACKAGE


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Yield a code, and those of the functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _changes(code: CodeType) -> bool:
    """Whether a code names ``view_args`` and changes something, though that may be another thing."""
    codes = [*_nested(code)]
    names = {name for each in codes for name in each.co_names}
    if "view_args" not in names:
        return False
    return not names.isdisjoint(_CHANGING_METHODS) or any(
        instruction.opname in _CHANGING_INSTRUCTIONS
        or (instruction.opname == "STORE_ATTR" and instruction.argval == "view_args")
        for each in codes
        for instruction in get_instructions(each)
    )
