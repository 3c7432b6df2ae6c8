"""Exception groups, as nurseries raise them, taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar, cast

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
