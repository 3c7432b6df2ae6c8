"""The functions that users register: what kind each is, how it is called, and what it is called in messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import trio

TEARDOWN_REMEDY = "write it without 'yield'; what comes before belongs into a before hook"


def check_not_async(function: Callable[..., Any], remedy: str) -> None:
    """Raise TypeError if calling the function gives a coroutine."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        raise TypeError(f"{function!r} is async, and nobody would await it here: {remedy}")


def check_no_generator(function: Callable[..., Any], remedy: str) -> None:
    """Raise TypeError if calling the function gives a generator."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function!r} yields, and nothing of it would run here: {remedy}")


def describe(function: Callable[..., Any]) -> str:
    """Return a function for messages: its name, file and line."""
    plain = unwrap(function)
    code = getattr(plain, "__code__", None)
    name = getattr(plain, "__qualname__", repr(plain))
    return f"{name}() ({code.co_filename}:{code.co_firstlineno})" if code is not None else name


def unwrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside partials and decorators that used :func:`functools.wraps`."""
    while isinstance(function, partial):
        function = function.func
    plain: Callable[..., Any] = inspect.unwrap(function)
    return plain


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling the function gives a coroutine."""
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  (an instance with an async __call__)
    )


def is_async_generator(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.isasyncgenfunction(function)


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a user's hook: await it if it is async, else run it in a worker thread, with the same context variables.

    A cancellation waits for the thread to end.
    """
    bound = partial(function, *args, **kwargs)
    result = bound() if is_async(function) else await _call_in_thread(bound)
    return await result if inspect.isawaitable(result) else result


async def _call_in_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a worker thread. It may return a coroutine, as plain decorators of async functions do."""
    # In a tuple: Trio takes a coroutine that comes out of a thread for a mistake.
    (result,) = await trio.to_thread.run_sync(lambda: (function(),))
    return result
