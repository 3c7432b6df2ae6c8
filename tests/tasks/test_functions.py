"""Functions that users register: how they are described in messages, what kind each is, and how they are called."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any

import pytest

from triows.tasks.functions import (
    call,
    check_awaited,
    check_no_generator,
    check_not_async,
    describe,
    forgotten_await,
    is_async,
    is_async_generator,
    run_sync,
    unwrap,
)


def test_a_function_is_described_by_its_name_and_place() -> None:
    line = test_a_function_is_described_by_its_name_and_place.__code__.co_firstlineno
    expected = f"test_a_function_is_described_by_its_name_and_place() ({__file__}:{line})"
    assert describe(test_a_function_is_described_by_its_name_and_place) == expected


def test_the_function_of_a_class_view_is_described_by_the_class() -> None:
    class Users: ...

    def view() -> None: ...

    view.view_class = Users  # type: ignore[attr-defined]
    assert describe(partial(view)) == Users.__qualname__


def test_a_callable_without_code_is_described_by_its_representation() -> None:
    class Callable_:
        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            return "<a callable>"

    assert describe(Callable_()) == "<a callable>"


def test_a_callable_whose_representation_fails_is_described_all_the_same() -> None:
    class Callable_:
        def method(self) -> None: ...

        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            raise ValueError("no representation")

    assert describe(Callable_()).startswith("<")
    assert "Callable_.method() (" in describe(Callable_().method)


def plain() -> str:
    return "plain"


def generator() -> Iterator[int]:
    yield 1


async def coroutine() -> str:
    return "async"


async def async_generator() -> AsyncIterator[int]:
    yield 1


class AsyncCallable:
    async def __call__(self) -> str:
        return "instance"


@wraps(coroutine)
def wrapped() -> Any:
    return coroutine()


def test_a_partial_is_of_the_kind_of_its_function() -> None:
    assert is_async(partial(partial(coroutine)))
    assert is_async_generator(partial(async_generator))
    assert not is_async(partial(plain))
    assert not is_async_generator(partial(coroutine))


def test_an_instance_with_an_async_call_is_async() -> None:
    assert is_async(AsyncCallable())


def test_partials_and_wrapped_functions_are_unwrapped() -> None:
    assert unwrap(partial(wrapped)) is coroutine
    assert unwrap(plain) is plain


@pytest.mark.parametrize("function", [coroutine, AsyncCallable()])
def test_an_async_function_is_refused_where_nobody_awaits_it(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="is async, and nobody would await it here: write 'def'"):
        check_not_async(function, "write 'def'")
    check_not_async(plain, "")


@pytest.mark.parametrize("function", [generator, async_generator])
def test_a_generator_is_refused_where_nothing_of_it_would_run(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="yields, and nothing of it would run here: write 'return'"):
        check_no_generator(function, "write 'return'")
    check_no_generator(plain, "")


@pytest.mark.parametrize(
    ("function", "result"), [(plain, "plain"), (coroutine, "async"), (AsyncCallable(), "instance"), (wrapped, "async")]
)
async def test_a_hook_of_any_kind_is_called_for_its_result(function: Callable[..., Any], result: str) -> None:
    assert await call(function) == result


async def test_a_plain_hook_runs_in_another_thread_with_the_same_context() -> None:
    variable: ContextVar[int] = ContextVar("variable")
    variable.set(1)
    here = threading.get_ident()
    assert await call(lambda: (threading.get_ident() != here, variable.get())) == (True, 1)


async def load() -> None: ...


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [1, value], lambda value: {"a": (value,)}])
def test_a_forgotten_await_is_asked_for_and_the_coroutine_closed(wrap: Callable[[Any], Any]) -> None:
    coroutine = load()
    assert forgotten_await(wrap(coroutine)) == "did you forget 'await' before load()?"
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


@pytest.mark.parametrize("value", [None, "text", load, [], {"a": [1]}])
def test_of_other_values_no_question_is_asked(value: object) -> None:
    assert forgotten_await(value) == ""


@pytest.mark.parametrize("values", [(), ("text", 1), ([1], {"a": ()})])
def test_values_without_a_coroutine_are_let_through(values: tuple[object, ...]) -> None:
    check_awaited("redirect()", *values)


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [{"a": (value,)}]])
def test_what_took_a_coroutine_is_named(wrap: Callable[[Any], Any]) -> None:
    async def load() -> None: ...

    coroutine = load()
    with pytest.raises(TypeError, match=r"^redirect\(\) got a coroutine: did you forget 'await' before .*load\(\)\?$"):
        check_awaited("redirect()", "text", wrap(coroutine))
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_a_value_that_holds_itself_has_an_end() -> None:
    value: list[Any] = []
    value.append(value)
    assert forgotten_await(value) == ""


async def test_a_coroutine_that_runs_is_not_closed() -> None:
    async def ask() -> str:
        return forgotten_await(running[0])

    running = [ask()]
    assert await running[0] == ""


async def test_a_function_made_async_runs_in_a_worker_thread_and_keeps_its_name() -> None:
    def ident(value: int) -> tuple[int, int]:
        return value, threading.get_ident()

    in_thread = run_sync(ident)
    value, thread = await in_thread(3)
    assert (value, in_thread.__name__) == (3, "ident")
    assert thread != threading.get_ident()


async def test_a_function_made_async_may_return_a_coroutine() -> None:
    async def answer() -> str:
        return "answer"

    assert await run_sync(lambda: answer())() == "answer"


async def test_the_items_of_a_generator_made_async_are_made_in_worker_threads() -> None:
    def items() -> Iterator[int]:
        yield threading.get_ident()
        yield threading.get_ident()

    threads = [thread async for thread in await run_sync(items)()]
    assert len(threads) == 2
    assert threading.get_ident() not in threads
