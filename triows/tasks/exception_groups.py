"""Exception groups, as nurseries raise them, taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TypeVar, cast

import trio

E = TypeVar("E", bound=BaseException)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions inside a group of any depth, in order; an exception that is no group is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def unwrap_group(error: E) -> E:
    """Return the one exception inside of groups of one; several stay a group."""
    inner: BaseException = error
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return cast(E, inner)  # a group of Exception holds nothing but Exception


def split_cancelled(raised: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """The cancellation in it, and everything else; None for what is not there."""
    if isinstance(raised, BaseExceptionGroup):
        return raised.split(trio.Cancelled)
    return (raised, None) if isinstance(raised, trio.Cancelled) else (None, raised)


def ends_program(raised: BaseException) -> bool:
    """Whether somebody wants the program to end, and has not just failed."""
    return any(isinstance(leaf, KeyboardInterrupt | SystemExit) for leaf in leaves(raised))


def closes_coroutine(raised: BaseException) -> bool:
    """Whether the calling coroutine is being closed, so that it must not wait any more.

    A ``GeneratorExit`` that is raised while Trio runs a task is an error like any other: nobody closes a coroutine that
    runs. The interpreter closes those that were left behind when the program had ended.
    """
    return isinstance(raised, GeneratorExit) and not trio.lowlevel.in_trio_task()


def is_error(raised: BaseException) -> bool:
    """Whether something has just failed: nothing in it is a cancellation, or ends the program."""
    return not (ends_program(raised) or closes_coroutine(raised) or split_cancelled(raised)[0] is not None)


def foreign_cancellation(raised: BaseException) -> RuntimeError | None:
    """What a ``Cancelled`` is that no scope around the caller has asked for: an error. None: it is nothing of the kind.

    Somebody has kept it where it belonged, with the result of a shared computation perhaps, and raised it again in
    another task. No scope would catch it there, and it would end everything up to the program.
    """
    if trio.current_effective_deadline() == -inf:
        return None
    if not all(isinstance(leaf, trio.Cancelled) for leaf in leaves(raised)):
        return None
    error = RuntimeError("a trio.Cancelled was raised where nothing is cancelled: it was kept, and raised again")
    error.__cause__ = raised
    return error
