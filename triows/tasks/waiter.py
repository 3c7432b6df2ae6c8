"""A parked task, and what wakes it."""

from __future__ import annotations

import types
from collections.abc import AsyncGenerator, Generator
from typing import Any

from outcome import Outcome
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from .trio_internals import trap_type

_TRAP = trap_type()


class _Woken(Outcome[None]):
    """The outcome None, to be unwrapped any number of times; an :class:`outcome.Value` can be unwrapped only once."""

    __slots__ = ()

    def unwrap(self) -> None:
        return None

    def send(self, gen: Generator[Any, None, Any]) -> Any:
        return gen.send(None)

    async def asend(self, agen: AsyncGenerator[Any, None]) -> Any:
        return await agen.asend(None)


_WOKEN = _Woken()


class Waiter:
    """A place where one task waits to be woken. Waking when nobody waits does nothing and is not remembered.

    :ivar task: the task that waits, None if there is none.

    Most messages park a task once, so a waiter saves what it can. The plain ``wait_task_rescheduled()`` takes 4.2
    microseconds a switch between two tasks (CPython 3.11, Trio 0.35). If what it yields to Trio is made once and kept,
    it is 3.4. If ``reschedule()`` gets the same outcome each time too, rather than a new :class:`outcome.Value`, it is
    2.8: Trio's loop hands the outcome through, in ``task.context.run(next_send_fn, next_send)``. Where Trio yields
    something else (:func:`.trap_type`), a waiter uses the plain call.
    """

    __slots__ = ("_trap", "task")

    def __new__(cls) -> Waiter:
        return object.__new__(Waiter if _TRAP is not None else _PlainWaiter)

    def __init__(self) -> None:
        self.task: Task | None = None
        self._trap = None if _TRAP is None else _TRAP(self._leave)

    @types.coroutine
    def park(self) -> Generator[Any, Any, None]:
        """Wait for :meth:`wake`. A checkpoint; a cancellation leaves the place free."""
        self.task = current_task()
        outcome = yield self._trap
        if outcome is not _WOKEN:
            outcome.unwrap()

    def wake(self) -> None:
        """Let the task that waits run on, if there is one."""
        task = self.task
        if task is not None:
            self.task = None
            reschedule(task, _WOKEN)

    def _leave(self, _raise_cancel: Any) -> Abort:
        self.task = None
        return Abort.SUCCEEDED


class _PlainWaiter(Waiter):
    """A waiter that relies on nothing but Trio's public functions."""

    __slots__ = ()

    @types.coroutine
    def park(self) -> Generator[Any, Any, None]:
        self.task = current_task()
        # In a generator-based coroutine the linter does not see that this waits.
        yield from wait_task_rescheduled(self._leave).__await__()  # noqa: ASYNC105
