"""The two things that everything above waits with: one parked task, and timers without a task each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from time import perf_counter

import trio

logger = logging.getLogger("triows.error")

# Below this many timers the heap is not looked through for cancelled ones.
_SWEEP_FROM = 1024

# Seconds that one task runs on with what many connections want, before it lets others run.
PASS = 0.005

_LATE = 1.0  # seconds by which the event loop must be late for a deadline, so that it waits,
_PASSES_TO_READ = 16  # and for how many of the scheduler's passes: each reads from a thousand sockets


async def catch_up(deadline: float) -> bool:
    """Where the event loop is late for a deadline, let it read first what has arrived: no client is late for that.

    So it is after the process was stopped for a while, or a handler has held the loop up. Returns whether it was late.
    """
    late = trio.current_time() - deadline > _LATE
    if late:
        for _ in range(_PASSES_TO_READ):
            await trio.lowlevel.checkpoint()
    return late


class Timer:
    """One call in the future; :meth:`cancel` may be called at any time, also after it ran."""

    __slots__ = ("callback", "deadline")

    def __init__(self, deadline: float, callback: Callable[[], None]) -> None:
        self.deadline = deadline
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return self.deadline < other.deadline


class Timers:
    """Calls at points of Trio's clock, all from one task, which :meth:`run` is.

    The callbacks are synchronous; what one raises is an error of ours, and costs no other its timer. Timers are lazy: a
    moved deadline is found out when the old one fires, so that traffic costs no heap operation. Cancelled ones stay
    until they are due, or are swept out when the heap has doubled.
    """

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._sweep_at = _SWEEP_FROM
        self._scope = trio.CancelScope()

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback()`` when :func:`trio.current_time` reaches ``deadline``."""
        timer = Timer(deadline, callback)
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        heappush(self._heap, timer)
        # Moving the deadline of the sleeping task's scope wakes it in time without a task switch now.
        # Only where it is earlier: setting it costs as much as the rest, even to the same value.
        if deadline < self._scope.deadline:
            self._scope.deadline = deadline
        return timer

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback()`` ``seconds`` from now."""
        return self.call_at(trio.current_time() + seconds, callback)

    def _sweep(self) -> None:
        self._heap = [timer for timer in self._heap if timer.callback is not None]
        heapify(self._heap)
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._heap))

    async def run(self) -> None:
        """Fire the timers, for ever."""
        while True:
            self._scope = trio.CancelScope(deadline=self._heap[0].deadline if self._heap else inf)
            with self._scope:
                await trio.sleep_forever()
            await catch_up(self._scope.deadline)
            await self._fire(trio.current_time())

    async def _fire(self, now: float) -> None:
        due = []
        while self._heap and (self._heap[0].callback is None or self._heap[0].deadline <= now):
            due.append(heappop(self._heap))
        ends = perf_counter() + PASS
        for timer in due:  # and none that these set: with a virtual clock that may be due too, and others come first
            if perf_counter() > ends:
                await trio.lowlevel.checkpoint()
                ends = perf_counter() + PASS
            if timer.callback is not None:
                try:
                    timer.callback()
                except Exception:
                    logger.exception("a timer's callback failed")
