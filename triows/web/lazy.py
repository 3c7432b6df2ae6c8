"""Attributes that are computed when they are first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Lazy(Generic[T]):
    """An attribute that is computed when it is first read, and is then a plain attribute of the instance."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function: Callable[[Any], T] = function
        self.name: str = function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.function(instance)
        return value


def lazy(function: Callable[[Any], T]) -> T:
    """Make such an attribute of a method."""
    # Werkzeug declares plain attributes of these names, so that type checkers must see plain ones here too.
    return cast(T, Lazy(function))
