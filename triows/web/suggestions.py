"""What Python 3.13 adds to the error of an unknown keyword argument, for the versions before: what was meant.

It is for functions that take no ``**options``; those that do check the names themselves. Left out are functions that
run for each request or message, where Python's own message has to do.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from ..connection.checks import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


def suggests_arguments(function: F) -> F:
    """Let a function's TypeError for an unknown keyword argument name the one that was probably meant."""
    if sys.version_info >= (3, 13):
        return function

    def call(args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            return function(*args, **options)
        except TypeError as error:
            known = inspect.signature(function).parameters
            for name in options:
                if name not in known:
                    raise TypeError(f"{error}{did_you_mean(name, known)}") from None
            raise

    @wraps(function)
    def decorated(*args: Any, **options: Any) -> Any:
        return call(args, options)

    @wraps(function)
    async def decorated_async(*args: Any, **options: Any) -> Any:
        return await call(args, options)

    # Mocks and registrations ask whether a function is async.
    return cast(F, decorated_async if inspect.iscoroutinefunction(function) else decorated)
