"""The tables of hooks and error handlers, with Quart's names: each is the one that the pipeline reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .hooks import HandlerTable, Hooks, HookTable, Kind


class _Table:
    """The table of the hooks of one kind and time: ``before_request_funcs`` and so on."""

    def __init__(self, time: str, kind: Kind) -> None:
        self._time = time
        self._kind: Kind = kind

    def __get__(self, owner: Any, class_: type) -> HookTable:
        if owner is None:
            return self  # type: ignore[return-value]
        table: HookTable = getattr(owner.hooks[self._kind], self._time)
        return table

    def __set__(self, owner: Any, table: HookTable) -> None:
        if not isinstance(table, Mapping):
            raise TypeError(
                f"{self._time}_{self._kind}_funcs is a dict of lists of functions by the names of blueprints, None for"
                f" all, and cannot be {table!r:.100}"
            )
        setattr(owner.hooks[self._kind], self._time, table)


class WithTables:
    """The tables of an app or a blueprint. Each is a dict by the name of the blueprint; None: all routes of the owner.

    The functions in them are called as those that the decorators add. What a blueprint's tables hold is copied to the
    app when the blueprint is registered.
    """

    hooks: dict[Kind, Hooks]
    error_handlers: HandlerTable

    before_request_funcs: _Table = _Table("before", "request")
    after_request_funcs: _Table = _Table("after", "request")
    teardown_request_funcs: _Table = _Table("teardown", "request")
    before_websocket_funcs: _Table = _Table("before", "websocket")
    after_websocket_funcs: _Table = _Table("after", "websocket")
    teardown_websocket_funcs: _Table = _Table("teardown", "websocket")

    @property
    def error_handler_spec(self) -> HandlerTable:
        """The error handlers by blueprint, by HTTP status (None: for other exceptions), by class."""
        return self.error_handlers

    @error_handler_spec.setter
    def error_handler_spec(self, table: HandlerTable) -> None:
        if not isinstance(table, Mapping):
            raise TypeError(
                f"error_handler_spec is a dict of dicts of dicts of functions, and cannot be {table!r:.100}"
            )
        self.error_handlers = table
