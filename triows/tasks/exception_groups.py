"""What is in an exception, which may be an exception group of a nursery's: cancellations, errors, the program's end."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TypeVar, cast

import trio

E = TypeVar("E", bound=BaseException)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in a group and the groups inside it, in order. Of another exception, yield itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def unwrap_group(error: E) -> E:
    """Return the one exception in a group of one, through any number of such groups; several stay in their group."""
    inner: BaseException = error
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return cast(E, inner)  # an ExceptionGroup has no other BaseException in it


def split_cancelled(raised: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Return the cancellation in an exception or group, and the rest; None for the one that it does not have."""
    if isinstance(raised, BaseExceptionGroup):
        return raised.split(trio.Cancelled)
    return (raised, None) if isinstance(raised, trio.Cancelled) else (None, raised)


def ends_program(raised: BaseException) -> bool:
    """Whether there is a KeyboardInterrupt or SystemExit in it."""
    return any(isinstance(leaf, KeyboardInterrupt | SystemExit) for leaf in leaves(raised))


def closes_coroutine(raised: BaseException) -> bool:
    """Whether the interpreter is closing the calling coroutine, so that it must not wait any more.

    The interpreter does so with the coroutines that are left when the program has ended. A ``GeneratorExit`` that is
    raised while Trio runs a task is an error like any other: nobody closes a running coroutine.
    """
    return isinstance(raised, GeneratorExit) and not trio.lowlevel.in_trio_task()


def is_error(raised: BaseException) -> bool:
    """Whether it is an error and nothing else: it has no cancellation in it, and does not end the program."""
    return not (ends_program(raised) or closes_coroutine(raised) or split_cancelled(raised)[0] is not None)


def foreign_cancellation(raised: BaseException) -> RuntimeError | None:
    """Return the error to report for a ``Cancelled`` that no cancel scope around the caller has caused; else None.

    Somebody has caught the exception in another task, perhaps with the result of a shared computation, and has raised
    it again in this one. No scope would catch it here: it would end every task up to the main one.
    """
    if trio.current_effective_deadline() == -inf:
        return None
    if not all(isinstance(leaf, trio.Cancelled) for leaf in leaves(raised)):
        return None
    error = RuntimeError("a trio.Cancelled was raised where nothing is cancelled: it was kept, and raised again")
    error.__cause__ = raised
    return error
