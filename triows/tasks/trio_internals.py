"""TODO"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import trio
from trio.lowlevel import Abort, wait_task_rescheduled

_timed: WeakSet[trio.CancelScope] = WeakSet()


def innermost_status(task: trio.lowlevel.Task) -> Any:
    """The innermost scope of a task, as Trio keeps it; None where Trio does not show it."""
    return getattr(task, "_cancel_status", None)


def keep_shielded(scope: trio.CancelScope) -> None:
    """Keep :func:`open_shields` away from this scope, and from all inside it, until the scope itself is cancelled."""
    _timed.add(scope)


def open_shields(scope: trio.CancelScope) -> bool:
    """Open every shield inside ``scope``, so that its cancellation reaches what is behind them.

    What is entered later may be shielded again: repeat this until nobody is left. Returns whether any task was inside,
    those apart that have time of their own (:func:`keep_shielded`). Where Trio does not show what is inside, this
    opens nothing, and takes it that somebody is.
    """
    try:
        status = scope._cancel_status
        to_do = [] if status is None else [status]
        occupied = False
        while to_do:
            status = to_do.pop()
            inner: trio.CancelScope = status._scope
            if inner in _timed and not inner.cancel_called:
                continue
            if inner is not scope and inner.shield:
                inner.shield = False
            occupied = occupied or bool(status.tasks)
            to_do += status.children
    except AttributeError:
        return True
    return occupied


def _trap_type() -> Callable[[Callable[[Any], Abort]], Any]:
    """The class of what ``wait_task_rescheduled()`` yields to Trio, which has no public name."""
    waiting = wait_task_rescheduled(lambda _: Abort.SUCCEEDED)  # noqa: ASYNC105 - only what it yields is wanted
    trap = waiting.send(None)
    waiting.close()
    return type(trap)


Trap = _trap_type()
