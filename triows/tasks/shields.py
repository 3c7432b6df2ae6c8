"""Shields against cancellation, opened when the time for a shutdown is over.

A handler may shield its cleanup, and the cleanup may take as long as it wants, up to ``shutdown_timeout``. What is
entered later may be shielded again: call :func:`open_shields` every :data:`FORCE_EVERY` seconds until nobody is left.
"""

from __future__ import annotations

from weakref import WeakSet

import trio

from .trio_internals import scopes_inside

FORCE_EVERY = 0.25
"""Seconds between two attempts to end handlers or background tasks that do not end."""

_timed: WeakSet[trio.CancelScope] = WeakSet()


def keep_shielded(scope: trio.CancelScope) -> None:
    """Keep :func:`open_shields` away from this scope, and from all inside it, until the scope itself is cancelled."""
    _timed.add(scope)


def _has_time(scope: trio.CancelScope) -> bool:
    return scope in _timed and not scope.cancel_called


def open_shields(scope: trio.CancelScope) -> bool:
    """Open every shield inside ``scope``, so that its cancellation reaches the tasks behind them.

    Returns whether any task is inside; those in a scope that :func:`keep_shielded` keeps do not count. If Trio does
    not show the scopes inside, no shield is opened and the answer is True.
    """
    inside = scopes_inside(scope, leave_out=_has_time)
    if inside is None:
        return True
    for inner, _ in inside:
        if inner is not scope and inner.shield:
            inner.shield = False
    return any(occupied for _, occupied in inside)
