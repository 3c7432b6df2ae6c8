"""The last resort of a process whose shutdown does not come to its end: it is ended all the same, and says why.

What can be cancelled has been cancelled by then, and every shield has been opened. What is left is a thread that a
handler waits for, or a handler that blocks the event loop itself, so that nothing in there can do anything about it.
"""

from __future__ import annotations

import os
import threading
import time

import trio

from ...tasks.error_log import error_log as logger
from ...tasks.stalls import EventLoop

_GRACE = 1.0  # seconds
_TEARDOWN = 5.0  # seconds that a connection's teardown hooks have of their own


class ShutdownWatchdog:
    """Enter it in the event loop. ``timeout`` is ``shutdown_timeout``; with None no process is ended by force."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._loop = EventLoop()
        self._begun = threading.Event()
        self._over = False

    def __enter__(self) -> ShutdownWatchdog:
        # Before it is needed: the signal may come while the program itself is starting a thread, and holds the lock.
        if self._timeout is not None:
            threading.Thread(target=self._run, args=(self._timeout,), name="triows shutdown", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over = True
        self._begun.set()

    def begin(self) -> None:
        """The shutdown begins: from now on look whether it goes on. For signal handlers."""
        self._begun.set()

    def end(self) -> None:
        """End the process, because handlers that the log has named did not end."""
        _end_process("what was to be forced to end did not end")

    def _run(self, timeout: float) -> None:
        self._begun.wait()
        # Connections, background tasks and the app's own shutdown have this time each, one after the other.
        latest = time.monotonic() + 3 * timeout + _TEARDOWN + _GRACE
        while not self._over:
            lives = threading.Event()
            try:
                self._loop.token.run_sync_soon(lives.set)
            except trio.RunFinishedError:
                return
            if not lives.wait(timeout + _GRACE / 2):
                activity = self._loop.activity()
                _end_process(f"{activity.name} holds up the event loop, at {activity.place}")
            if time.monotonic() > latest:
                _end_process("its shutdown takes too long")
            time.sleep(_GRACE / 4)


def _end_process(why: str) -> None:
    # What is stuck may be stuck in the log, and hold its lock.
    message = threading.Thread(
        target=logger.error, args=("the process is ended at once: %s", why), name="triows last words", daemon=True
    )
    message.start()
    message.join(_GRACE / 4)
    os._exit(1)
