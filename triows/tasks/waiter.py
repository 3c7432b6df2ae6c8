"""A parked task, and what wakes it."""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any

from trio.lowlevel import Abort, Task, current_task, reschedule

from .trio_internals import Trap


class Waiter:
    """A place where one task waits to be woken. Waking when nobody waits does nothing and is not remembered.

    Each message parks a task once, so this departs from the plain ``wait_task_rescheduled()``: what that yields to Trio
    is made once and kept, and a task is woken with None instead of a new :class:`outcome.Value` (which Trio hands
    through as it is).
    """

    __slots__ = ("_trap", "task")

    def __init__(self) -> None:
        self.task: Task | None = None
        self._trap = Trap(self._leave)

    @types.coroutine
    def park(self) -> Generator[Any, Any, None]:
        """Wait for :meth:`wake`. A checkpoint; a cancellation leaves the place free."""
        self.task = current_task()
        outcome = yield self._trap
        if outcome is not None:
            outcome.unwrap()

    def wake(self) -> None:
        task = self.task
        if task is not None:
            self.task = None
            reschedule(task, None)  # type: ignore[arg-type]  # see park()

    def _leave(self, _raise_cancel: Any) -> Abort:
        self.task = None
        return Abort.SUCCEEDED
