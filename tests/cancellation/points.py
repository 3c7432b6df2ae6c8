"""One checkpoint of a coroutine, and something that happens exactly there.

A generator-based coroutine drives the one under test and counts what it yields to Trio, each yield being a point at
which its task may wait and can be cancelled. At the chosen point something is done: once the task is parked (or has
been put back into the run queue, by a checkpoint that waits for nothing), or when it has been woken and goes on.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import trio

MAX_POINTS = 400  # no operation here has so many


class Point(trio.abc.Instrument):
    """The ``number``-th point of what is run through :meth:`run`: 0 is before it starts.

    ``late`` happens when the action has taken effect on the task, and the task has not noticed it yet.

    :ivar scope: the user's own cancel scope around it.
    :ivar reached: whether there was such a point.
    :ivar error: what the action raised; Trio would only log it.
    """

    def __init__(
        self,
        number: int,
        action: Callable[[Point], None],
        *,
        woken: bool = False,
        late: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = number
        self.scope = trio.CancelScope()
        self.reached = False
        self.error: BaseException | None = None
        self._action = action
        self._woken = woken
        self._late = late
        self._count = 0
        self._armed_for: trio.lowlevel.Task | None = None

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Await it inside the scope; the result, or None if the scope was cancelled."""
        with self.scope:
            if self.number == 0:
                self._act()
            return await self.drive(coroutine)

    @types.coroutine
    def drive(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Run it without a scope of its own."""
        resume: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                trap = resume(value)
            except StopIteration as stop:
                return stop.value
            self._count += 1
            here = self._count == self.number
            if here and not self._woken:
                self._armed_for = trio.lowlevel.current_task()
                trio.lowlevel.add_instrument(self)
            try:
                value = yield trap
                resume = coroutine.send
            except BaseException as error:
                value = error
                resume = coroutine.throw
            if here and self._woken:
                self._act()
            elif here:
                self._late()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """The task waits now. Trio calls this for every task."""
        if task is self._armed_for:
            self._armed_for = None
            trio.lowlevel.remove_instrument(self)
            self._act()

    def _act(self) -> None:
        self.reached = True
        try:
            self._action(self)
        except BaseException as error:
            self.error = error


def cancel(point: Point) -> None:
    """The user's own cancellation."""
    point.scope.cancel(reason="the test's own")


def expire(point: Point) -> None:
    """The user's own timeout."""
    point.scope.deadline = trio.current_time()
