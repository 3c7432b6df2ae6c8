"""The watch over progress: a client that takes nothing of what is sent to it, and the like, is found out in time."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from .timers import Timer, Timers


class ProgressWatch:
    """Calls ``timed_out`` once there was no progress for a time; a timer of :class:`Timers` looks.

    The watch ends by itself when nothing waits for progress any more, and can be started again. As a context manager
    it watches until the block is left.

    :param stalled: returns the seconds without progress, or None when nothing waits for any.
    :param timeout: seconds without progress that are too many, or None for any number: nothing is watched then.
    :param looks: how often progress is looked for within ``timeout``. A source that knows the moment of its last
        progress needs one look; one that compares two states needs several.
    :ivar timer: the next look, or None while nothing is watched. Only to be read: whoever sends asks it each time.
    """

    __slots__ = ("_looks", "_stalled", "_timed_out", "_timeout", "_timers", "timer")

    def __init__(
        self,
        timers: Timers,
        stalled: Callable[[], float | None],
        timed_out: Callable[[], None],
        timeout: float | None,
        looks: int = 1,
    ) -> None:
        self._timers = timers
        self._stalled = stalled
        self._timed_out = timed_out
        self._timeout = timeout
        self._looks = looks
        self.timer: Timer | None = None

    def start(self) -> None:
        """Watch from now on. Nothing changes if the watch goes on already."""
        if self.timer is None and self._timeout is not None:
            self.timer = self._timers.call_later(self._timeout / self._looks, self._look)

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

    def _look(self) -> None:
        timeout = self._timeout
        assert timeout is not None
        self.timer = None
        stalled = self._stalled()
        if stalled is None:
            return
        if stalled >= timeout:
            self._timed_out()
        else:
            self.timer = self._timers.call_later(min(timeout - stalled, timeout / self._looks), self._look)
