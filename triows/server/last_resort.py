"""The last resort of a process whose shutdown does not come to its end: it is ended all the same, and says why.

What can be cancelled has been cancelled by then, and every shield has been opened. What is left is a thread that a
handler waits for, or a handler that blocks the event loop itself, so that nothing in there can do anything about it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import NoReturn

import trio

from ..stalls import EventLoop

logger = logging.getLogger("triows.error")

_GRACE = 1.0  # seconds
_TEARDOWN = 5.0  # seconds that a connection's teardown hooks have of their own


class LastResort:
    """Make it in the event loop. ``timeout`` is ``shutdown_timeout``; with None nothing is ever ended by force."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._loop = EventLoop()

    def begin(self) -> None:
        """The shutdown begins: from now on look whether it goes on. May be called in a signal handler."""
        if self._timeout is not None:
            threading.Thread(target=self._run, args=(self._timeout,), name="triows shutdown", daemon=True).start()

    def end(self) -> NoReturn:
        """End the process, because handlers that the log has named did not end."""
        self._end("what was to be forced to end did not end")

    def _run(self, timeout: float) -> None:
        # Connections, background tasks and the app's own shutdown have this time each, one after the other.
        latest = time.monotonic() + 3 * timeout + _TEARDOWN + _GRACE
        while time.monotonic() < latest:
            lives = threading.Event()
            try:
                self._loop.token.run_sync_soon(lives.set)
            except trio.RunFinishedError:
                return
            if not lives.wait(timeout + _GRACE / 2):
                activity = self._loop.activity()
                self._end(f"{activity.name} holds up the event loop, at {activity.place}")
            time.sleep(_GRACE / 4)
        self._end("its shutdown takes too long")

    def _end(self, why: str) -> NoReturn:
        logger.error("the process is ended at once: %s", why)
        os._exit(1)
