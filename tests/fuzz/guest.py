"""A Trio program that stands still between the calls into it: an input costs no start of a run of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import outcome
import trio
from trio.testing import MockClock

_Job = Callable[[], Awaitable[Any]]


class Guest:
    """Runs async functions, one after the other, in one Trio run on a virtual clock that only they set forward.

    It is the guest of whoever calls :meth:`run`. It never waits for time or descriptors, so that it needs no thread.
    """

    def __init__(self, background: Callable[..., Awaitable[Any]] | None = None) -> None:
        self.clock = MockClock()
        self._background = background
        self._calls: deque[Callable[[], object]] = deque()
        self._job: _Job | None = None
        self._result: outcome.Outcome[Any] | None = None
        self._stopping = False
        self._ended: outcome.Outcome[None] | None = None
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._calls.append,
            done_callback=self._done,
            host_uses_signal_set_wakeup_fd=True,
            clock=self.clock,
        )

    def run(self, job: _Job) -> Any:
        """Run it to its end, and return or raise what it does."""
        self._job, self._result = job, None
        while self._result is None:
            if self._ended is not None:
                self._ended.unwrap()
                raise RuntimeError("the run is over")
            self._calls.popleft()()
        return self._result.unwrap()

    def close(self) -> None:
        """End the run."""
        self._stopping = True
        while self._ended is None:
            self._calls.popleft()()
        self._ended.unwrap()

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            if self._background is not None:
                await nursery.start(self._background)
            while not self._stopping:
                if self._job is None:
                    await trio.lowlevel.checkpoint()
                else:
                    job, self._job = self._job, None
                    self._result = await outcome.acapture(job)
            nursery.cancel_scope.cancel()

    def _done(self, ended: outcome.Outcome[None]) -> None:
        self._ended = ended
