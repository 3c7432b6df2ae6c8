"""Timers that need no task each."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from time import perf_counter

import trio

from .error_log import error_log as logger

_SWEEP_FROM = 1024  # timers in the heap from which on cancelled ones are swept out

# Seconds for which one task serves many connections without a checkpoint.
PASS = 0.005

_LATE = 1.0  # seconds after a deadline from which on the event loop itself counts as late
_PASSES_TO_READ = 16  # of the scheduler, before the deadline counts: each reads from up to a thousand sockets


async def yield_if_late(deadline: float) -> bool:
    """If the event loop itself is late for a deadline, process input that has arrived before the deadline counts.

    The delay is not the client's: the process was stopped for a while, or a handler has held up the loop. Returns
    whether the loop was late. A checkpoint only then.
    """
    late = trio.current_time() - deadline > _LATE
    if late:
        for _ in range(_PASSES_TO_READ):
            await trio.lowlevel.checkpoint()
    return late


class Timer:
    """One call in the future. :meth:`cancel` may be called at any time, also after the call."""

    __slots__ = ("callback", "deadline")

    def __init__(self, deadline: float, callback: Callable[[], None]) -> None:
        self.deadline: float = deadline
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return self.deadline < other.deadline


class Timers:
    """Calls callbacks at points of Trio's clock, all from one task, which runs :meth:`run`.

    Callbacks are synchronous. An exception of one is logged, and the other timers fire all the same. A cancelled timer
    stays in the heap until its deadline, or until the heap has doubled and is swept. So whoever moves a deadline often
    lets the old timer fire and sets the next one then: in between, moving costs no heap operation.
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
        # An earlier deadline of its scope wakes the sleeping task in time, without a task switch now. Trio's setter
        # takes as long as all else here, even for the same value.
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
            await yield_if_late(self._scope.deadline)
            await self._fire(trio.current_time())

    async def _fire(self, now: float) -> None:
        due = []
        while self._heap and (self._heap[0].callback is None or self._heap[0].deadline <= now):
            due.append(heappop(self._heap))
        ends = perf_counter() + PASS
        for timer in due:  # without those that callbacks set, which may be due at once: other tasks run before them
            if perf_counter() > ends:
                await trio.lowlevel.checkpoint()
                ends = perf_counter() + PASS
            if timer.callback is not None:
                try:
                    timer.callback()
                except Exception:
                    logger.exception("a timer's callback failed")
