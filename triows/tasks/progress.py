"""The watch over progress, above all that of sending: it finds a client that takes nothing for too long."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from .timers import Timer, Timers


class ProgressWatch:
    """Calls ``timed_out`` when there was no progress for ``timeout`` seconds. A timer of :class:`Timers` checks that.

    The watch ends by itself when nothing waits for progress any more, and can be started again. As a context manager
    it watches until the block is left.

    :param seconds_stalled: returns the seconds without progress, or None when nothing waits for any.
    :param timeout: in seconds; with None nothing is watched.
    :param checks: how often progress is checked within ``timeout``. One check is enough if ``seconds_stalled`` knows
        the moment of the last progress. If it compares the states of two calls, several are needed.
    :ivar timer: the timer of the next check, None while nothing is watched. Only to be read: senders read it each time.
    """

    __slots__ = ("_checks", "_seconds_stalled", "_timed_out", "_timeout", "_timers", "timer")

    def __init__(
        self,
        timers: Timers,
        seconds_stalled: Callable[[], float | None],
        timed_out: Callable[[], None],
        timeout: float | None,
        checks: int = 1,
    ) -> None:
        self._timers = timers
        self._seconds_stalled = seconds_stalled
        self._timed_out = timed_out
        self._timeout = timeout
        self._checks = checks
        self.timer: Timer | None = None

    def start(self) -> None:
        """Watch from now on. Nothing changes if the watch goes on already."""
        if self.timer is None and self._timeout is not None:
            self.timer = self._timers.call_later(self._timeout / self._checks, self._check)

    def stop(self) -> None:
        """Watch no longer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def __enter__(self) -> ProgressWatch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _check(self) -> None:
        timeout = self._timeout
        assert timeout is not None
        self.timer = None
        seconds = self._seconds_stalled()
        if seconds is None:
            return
        if seconds >= timeout:
            self._timed_out()
        else:
            self.timer = self._timers.call_later(min(timeout - seconds, timeout / self._checks), self._check)
