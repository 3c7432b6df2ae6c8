"""Functions that users register: what kind each is, how to call it, and how to name it in messages."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from functools import partial, wraps
from types import CoroutineType, FunctionType
from typing import Any, ParamSpec, TypeVar

import trio

P = ParamSpec("P")
T = TypeVar("T")

TEARDOWN_REMEDY = "write it without 'yield'; what comes before belongs in a before hook"


def check_not_async(function: Callable[..., Any], remedy: str) -> None:
    """Raise TypeError if calling the function gives a coroutine."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        raise TypeError(f"{describe(function)} is async, and nobody would await it here: {remedy}")


def check_no_generator(function: Callable[..., Any], remedy: str) -> None:
    """Raise TypeError if calling the function gives a generator."""
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{describe(function)} yields, and nothing of it would run here: {remedy}")


def forgotten_await(value: object) -> str:
    """Return a question for a message if the value is, or holds, a coroutine that nobody awaits; else an empty text.

    The coroutines are closed, so that Python does not warn of each of them besides. Lists, tuples and dicts are looked
    into.
    """
    found: list[CoroutineType[Any, Any, Any]] = []
    seen: set[int] = set()
    values = [value]
    while values:
        value = values.pop()
        if isinstance(value, CoroutineType):
            # One that has begun is somebody's, who awaits it.
            if inspect.getcoroutinestate(value) == inspect.CORO_CREATED:
                found.append(value)
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            values.extend(value.values() if isinstance(value, dict) else value)
    for coroutine in found:
        coroutine.close()
    return f"did you forget 'await' before {found[0].__qualname__}()?" if found else ""


_MAY_HOLD_COROUTINE = frozenset((CoroutineType, dict, list, tuple))


def check_awaited(taker: str, *values: object) -> None:
    """Raise TypeError if one of the values is, or holds, a coroutine that nobody awaits; see :func:`forgotten_await`.

    :param taker: what got the values, for the message.
    """
    if not _MAY_HOLD_COROUTINE.isdisjoint(map(type, values)) and (hint := forgotten_await(values)):
        raise TypeError(f"{taker} got a coroutine: {hint}")


def describe(function: Callable[..., Any]) -> str:
    """Return how messages name a function: by its qualified name, file and line, if it has them.

    A class view's function is one that all such views have, and is named by the class.
    """
    plain = unwrap(function)
    if isinstance(plain, FunctionType):
        plain = vars(plain).get("view_class", plain)
    code = getattr(plain, "__code__", None)
    name = getattr(plain, "__qualname__", None) or _repr(plain)
    return f"{name}() ({code.co_filename}:{code.co_firstlineno})" if code is not None else name


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # of a user's __repr__
        return object.__repr__(value)


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
    """Whether calling the function gives an async generator."""
    while isinstance(function, partial):
        function = function.func
    return inspect.isasyncgenfunction(function)


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a user's hook. An async one runs in the calling task, any other one in a worker thread, in the same context.

    A cancellation waits for the thread to end.
    """
    bound = partial(function, *args, **kwargs)
    result = bound() if is_async(function) else await _call_in_thread(bound)
    return await result if inspect.isawaitable(result) else result


def run_sync(func: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return an async function that calls ``func`` in a worker thread, in the context of its caller.

    A cancellation waits for the thread to end. The items of a generator are made in threads too, one call for each.
    """

    @wraps(func)
    async def in_thread(*args: P.args, **kwargs: P.kwargs) -> Any:
        result = await _call_in_thread(partial(func, *args, **kwargs))
        if inspect.isawaitable(result):
            return await result
        return run_sync_iterable(result) if inspect.isgenerator(result) else result

    return in_thread


async def run_sync_iterable(iterable: Iterator[T]) -> AsyncGenerator[T, None]:
    """Iterate asynchronously over an iterator, each of whose items is made in a worker thread."""
    end: Any = object()
    while (item := await trio.to_thread.run_sync(next, iterable, end)) is not end:
        yield item


async def _call_in_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a worker thread. It may return a coroutine, as plain decorators of async functions do."""
    # Trio takes a coroutine that a thread returns for a mistake, but not one in a tuple.
    (result,) = await trio.to_thread.run_sync(lambda: (function(),))
    return result
