"""Whether something may change the variables of a URL before a view is called. The code of the functions shows it.

A ``url_value_preprocessor`` gets the variables as a dict; a before hook finds them in ``request.view_args``. A function
that only reads them changes nothing. One whose code cannot be read may change them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dis import Instruction, get_instructions
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from ...tasks.functions import unwrap

_VIEW_ARGS = "view_args"
_CHANGING_METHODS = frozenset(("clear", "pop", "popitem", "setdefault", "update"))
_CHANGING_INSTRUCTIONS = frozenset(("DELETE_SUBSCR", "STORE_SUBSCR"))
_ATTRIBUTES = frozenset(("LOAD_ATTR", "LOAD_METHOD"))
_NO_USE = frozenset(("CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "TO_BOOL"))
_PREPROCESSORS = frozenset(("url_value_preprocessor", "url_value_preprocessors"))
_APP_HOOKS = frozenset(("before_app_request", "before_app_websocket"))  # of blueprints
_HOOKS = frozenset(("before_request", "before_websocket", "hooks")) | _APP_HOOKS
_OWN_PACKAGE = __name__.partition(".")[0]
_MAX_FUNCTIONS = 64  # that are followed from one hook


def preprocessor_may_change(function: Callable[..., Any]) -> bool:
    """Whether a function that gets an endpoint and the variables may change the variables."""
    plain = _readable(function)
    index = 1 if isinstance(plain, FunctionType) else 2  # behind self
    if plain is None or plain is not function or plain.__code__.co_argcount <= index:
        return True
    name = plain.__code__.co_varnames[index]
    return _may_change(plain, name)


def hook_may_change(hook: Callable[..., Any]) -> bool:
    """Whether a before hook, or a function that it calls, may change the variables."""
    plain = _readable(hook)
    return plain is None or any(_may_change(function, _VIEW_ARGS) for function in _followed(plain))


def may_be_changed_later(app: object) -> bool:
    """Whether the code that registers a route now goes on to give the app a function that may change the variables."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        own = str(frame.f_globals.get("__name__", "")).partition(".")[0] == _OWN_PACKAGE
        if not own and _goes_on_to_register(frame, app):
            return True
        frame = frame.f_back
    return False


# Functions


def _readable(function: Callable[..., Any]) -> Any:
    """Return the function or the bound method that a call runs; None if its code cannot be read."""
    plain: Any = unwrap(function)
    if not isinstance(plain, FunctionType | MethodType):
        plain = getattr(plain, "__call__", None)  # noqa: B004  (of an instance)
    return plain if isinstance(getattr(plain, "__code__", None), CodeType) else None


def _followed(function: Any) -> Iterator[Any]:
    """Yield a function, the functions that it names, and so on."""
    seen, waiting = {id(function)}, [function]
    while waiting and len(seen) < _MAX_FUNCTIONS:
        plain = waiting.pop()
        yield plain
        for named in _named_functions(plain):
            if id(named) not in seen:
                seen.add(id(named))
                waiting.append(named)


def _named_functions(function: Any) -> Iterator[Any]:
    """Yield the user's functions that a function may call by their names, or as methods of its own object."""
    code: CodeType = function.__code__
    owner = type(function.__self__) if isinstance(function, MethodType) else None
    namespace = {**getattr(function, "__globals__", {})}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            namespace[name] = cell.cell_contents
        except ValueError:  # not filled yet
            pass
    for nested in _nested(code):
        for name in (*nested.co_names, *nested.co_freevars):
            for value in (namespace.get(name), getattr(owner, name, None)):
                if isinstance(value, FunctionType | MethodType):
                    if str(value.__module__).partition(".")[0] != _OWN_PACKAGE:
                        yield value


def _may_change(function: Any, name: str) -> bool:
    """Whether a function may change the dict that it has as a variable or an attribute of this name."""
    uses = {use for code in _nested(function.__code__) for use in _uses(code, name)}
    if None not in uses:
        return True in uses
    return any(_changes_anything(code) for plain in _followed(function) for code in _nested(plain.__code__))


# Code


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Yield a code, and those of the functions and classes in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _uses(code: CodeType, name: str) -> Iterator[bool | None]:
    """Yield for each use of the dict of this name whether it is a change; None where the dict gets out of sight."""
    instructions = [instruction for instruction in get_instructions(code) if instruction.opname not in _NO_USE]
    for position, instruction in enumerate(instructions):
        value, kind = instruction.argval, instruction.opname
        following = instructions[position + 1 : position + 3]
        if value == name and name == _VIEW_ARGS:
            if kind in _ATTRIBUTES:
                yield _use(following)
            elif kind in ("STORE_ATTR", "DELETE_ATTR") or (kind == "LOAD_CONST" and "setattr" in code.co_names):
                yield True
        elif kind.startswith("LOAD_") and name != _VIEW_ARGS:
            if value == name or (isinstance(value, tuple) and value[-1] == name):
                yield _use(following)
            elif isinstance(value, tuple) and name in value:  # two variables are loaded at once
                yield _use([instruction, *following])


def _use(following: list[Instruction]) -> bool | None:
    """Return whether what follows the loading of a dict changes the dict."""
    first, second = (*following, None)[:2]  # something always follows: a code ends with a return or a raise
    assert first is not None
    if first.opname in _ATTRIBUTES:
        return first.argval in _CHANGING_METHODS
    if first.opname.startswith(("POP_JUMP", "CONTAINS_OP", "POP_TOP")):
        return False
    if first.opname.startswith("LOAD_") and second is not None:  # a key, or what the dict is compared with
        if second.opname in _CHANGING_INSTRUCTIONS:
            return True
        if second.opname in ("BINARY_SUBSCR", "COMPARE_OP", "IS_OP") or second.argrepr == "[]":
            return False
    return None


def _changes_anything(code: CodeType) -> bool:
    return not _CHANGING_METHODS.isdisjoint(code.co_names) or any(
        instruction.opname in _CHANGING_INSTRUCTIONS or instruction.argrepr == "|="
        for instruction in get_instructions(code)
    )


def _goes_on_to_register(frame: FrameType, app: object) -> bool:
    """Whether a frame's code, from where it is now, or a function in it registers what may change the variables."""
    for code in _nested(frame.f_code):
        if (_PREPROCESSORS | _HOOKS).isdisjoint(code.co_names):
            continue
        previous: Instruction | None = None
        for instruction in get_instructions(code):
            later = code is not frame.f_code or instruction.offset > frame.f_lasti
            if later and instruction.opname in _ATTRIBUTES and _is_for(app, instruction, _value(previous, code, frame)):
                if instruction.argval in _PREPROCESSORS or (
                    instruction.argval in _HOOKS and _has_changing_function(frame.f_code)
                ):
                    return True
            if instruction.opname not in _NO_USE:
                previous = instruction
    return False


def _value(loading: Instruction | None, code: CodeType, frame: FrameType) -> Any:
    """Return what an instruction in a frame's code, or of a function in it, loads; None if it cannot be told."""
    if loading is None or loading.opname in _ATTRIBUTES or not isinstance(loading.argval, str):
        return None
    if code is not frame.f_code and loading.opname.startswith("LOAD_FAST"):
        return None  # a variable of a function that does not run yet
    return frame.f_locals.get(loading.argval, frame.f_globals.get(loading.argval))


def _is_for(app: object, attribute: Instruction, owner: object) -> bool:
    """Whether the object with this attribute may be the app; another app and a blueprint are not."""
    return attribute.argval in _APP_HOOKS or owner is app or not hasattr(owner, "url_value_preprocessors")


def _has_changing_function(code: CodeType) -> bool:
    for nested in _nested(code):
        uses = {*_uses(nested, _VIEW_ARGS)}
        if True in uses or (None in uses and _changes_anything(nested)):
            return True
    return False
