"""Watchdog: terminates the process, and logs why, if its shutdown hangs.

By then everything that can be cancelled has been cancelled, and every shield is open. What is left is a thread that a
handler waits for, or a handler that blocks the event loop itself: no task can do anything about either.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import trio

from ...connection.limits import TEARDOWN_TIMEOUT
from ...tasks.error_log import error_log as logger
from ...tasks.stalls import EventLoop

_GRACE = 1.0  # seconds


class ShutdownWatchdog:
    """Enter it in the event loop.

    :param timeout: returns ``shutdown_timeout``. It is asked when the shutdown begins; with None no process is ended by
        force.
    """

    def __init__(self, timeout: Callable[[], float | None]) -> None:
        self._timeout = timeout
        self._loop = EventLoop()
        self._begun = threading.Event()
        self._over = False

    def __enter__(self) -> ShutdownWatchdog:
        # Before it is needed: the signal may come while the program itself is starting a thread, and holds the lock.
        threading.Thread(target=self._run, name="triows shutdown", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over = True
        self._begun.set()

    def begin(self) -> None:
        """The shutdown begins: watch it from now on. For signal handlers."""
        self._begun.set()

    def end(self) -> None:
        """End the process, because handlers that the log has named did not end."""
        _end_process("handlers did not end, although the log has named them and their shields were opened")

    def _run(self) -> None:
        self._begun.wait()
        timeout = None if self._over else self._timeout()
        if timeout is None:
            return
        # Connections, background tasks and the app's own shutdown have this time each, one after the other.
        latest = time.monotonic() + 3 * timeout + TEARDOWN_TIMEOUT + _GRACE
        while not self._over:
            alive = threading.Event()
            try:
                self._loop.token.run_sync_soon(alive.set)
            except trio.RunFinishedError:
                return
            if not alive.wait(timeout + _GRACE / 2):
                activity = self._loop.activity()
                _end_process(f"{activity.name} holds up the event loop, at {activity.place}")
            if time.monotonic() > latest:
                _end_process("its shutdown takes too long")
            time.sleep(_GRACE / 4)


def _end_process(why: str) -> None:
    # From a thread of its own: the log may be what hangs, or hold a lock that does.
    message = threading.Thread(
        target=logger.error, args=("the process is ended at once: %s", why), name="triows last words", daemon=True
    )
    message.start()
    message.join(_GRACE / 4)
    os._exit(1)
