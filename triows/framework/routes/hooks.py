"""The tables of hooks and error handlers, and how teardown hooks run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from logging import Logger
from typing import Any, Literal, TypeVar

import trio
from werkzeug.exceptions import HTTPException, default_exceptions

from ...connection.limits import TEARDOWN_TIMEOUT
from ...tasks.exception_groups import is_error, unwrap_group
from ...tasks.functions import call, describe
from ...tasks.shields import keep_shielded

F = TypeVar("F", bound=Callable[..., Any])
Kind = Literal["request", "websocket"]
Hook = Callable[..., Any]
HookTable = dict[str | None, list[Hook]]
"""Functions by the name of the blueprint that they belong to; None: the whole app."""
ErrorHandler = Callable[[Any], Any | Awaitable[Any]]
HandlerTable = dict[str | None, dict[int | None, dict[type[BaseException], ErrorHandler]]]
"""Error handlers by blueprint, by HTTP status (None: for other exceptions), by class."""


def hook_table() -> HookTable:
    """Return an empty table. To ask it for a name makes a list for the name, as in Quart."""
    return defaultdict(list)


def handler_table() -> HandlerTable:
    """Return an empty table, whose inner tables are made as they are asked for."""
    return defaultdict(lambda: defaultdict(dict))


class Hooks:
    """The hooks of one kind of connection: HTTP requests, or websockets."""

    __slots__ = ("after", "before", "teardown")

    def __init__(self) -> None:
        self.before: HookTable = hook_table()
        self.after: HookTable = hook_table()
        self.teardown: HookTable = hook_table()

    def merge(self, other: Hooks, name: str) -> None:
        """Add a blueprint's hooks under its registered name."""
        for mine, theirs in ((self.before, other.before), (self.after, other.after), (self.teardown, other.teardown)):
            mine.setdefault(name, []).extend(theirs.get(None, ()))


def add_hook(table: HookTable, function: F) -> F:
    """Add a function that runs for all routes of the table's owner."""
    table.setdefault(None, []).append(function)
    return function


def error_key(key: type[BaseException] | int) -> tuple[type[BaseException], int | None]:
    """Return the class and the status code under which a handler for ``key`` is kept.

    :raises TypeError: if ``key`` is neither an exception class nor a number.
    :raises ValueError: if it is a number that is no HTTP error status.
    """
    if isinstance(key, int):
        if key not in default_exceptions:
            raise ValueError(f"{key} is no HTTP error status with an exception; register a handler for a class instead")
        return default_exceptions[key], key
    if not isinstance(key, type) or not issubclass(key, BaseException):
        raise TypeError(f"an error handler is registered for an exception class or a status code, not for {key!r}")
    return key, key.code if issubclass(key, HTTPException) else None


def register_handler(table: HandlerTable, key: type[BaseException] | int, function: ErrorHandler) -> None:
    """Add an error handler for all routes of the table's owner."""
    class_, code = error_key(key)
    table.setdefault(None, {}).setdefault(code, {})[class_] = function


async def run_teardown(logger: Logger, functions: Sequence[Any], error: BaseException | None) -> None:
    """Call teardown hooks; what one raises is logged, so that the others run too."""
    # Connections are mostly cancelled in the end; what the hooks give back must be given back all the same.
    with trio.move_on_after(TEARDOWN_TIMEOUT, shield=True) as scope:
        keep_shielded(scope)
        for function in functions:
            try:
                await call(function, error)
            except BaseException as raised:  # noqa: ASYNC103 - raised again, unless it is an error
                if not is_error(raised):
                    raise
                logger.error("teardown hook %s failed", describe(function), exc_info=unwrap_group(raised))
    if scope.cancelled_caught:
        logger.error("the teardown hooks took longer than %s seconds and were cancelled", TEARDOWN_TIMEOUT)
