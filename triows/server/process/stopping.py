"""Saying what a shutdown waits for, when it begins and every second until it is over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from ...connection.base import NoNurseryError
from ...connection.limits import ServerLimits
from ...connection.stats import Counters
from ...tasks.terminal import styled

_SAY_EVERY = 1.0  # seconds


class BackgroundTasks(Protocol):
    """The background tasks, as far as they are counted."""

    @property
    def child_tasks(self) -> frozenset[trio.lowlevel.Task]: ...


class StoppingApp(Protocol):
    """What is left of an app, and how long it may take."""

    @property
    def counters(self) -> Counters: ...
    @property
    def limits(self) -> ServerLimits: ...
    @property
    def nursery(self) -> BackgroundTasks: ...


class StopReport:
    """Run :meth:`run` in the scope whose cancellation begins the shutdown.

    Connections, background tasks, and the app's own shutdown have ``shutdown_timeout`` each, one after the other. The
    time that is said is what all that is named may take: connections and background tasks together have two of them.

    :param say: prints a line.
    """

    def __init__(self, app: StoppingApp, say: Callable[[str], object]) -> None:
        self._app = app
        self._say = say
        self._over = trio.Event()
        self._step = ""
        self._step_began = 0.0
        self._steps_left = 1

    def end(self) -> None:
        """The shutdown is over."""
        self._over.set()

    async def run(self) -> None:
        """Wait for the shutdown, and say what it waits for until :meth:`end`."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await self._report()  # noqa: ASYNC102 - ends with the shutdown, which is bounded

    async def _report(self) -> None:
        first, begin = True, "Stopping: waiting for"
        while not self._over.is_set():
            left = self._left()
            # The app's own shutdown is mostly over at once, and then not worth a word.
            if left or not first:
                self._tell(left, begin)
                begin = "Still waiting for"
            first = False
            with trio.move_on_after(_SAY_EVERY):
                await self._over.wait()

    def _left(self) -> str:
        """What is waited for, in words; also notes which step of the shutdown this is."""
        counters = self._app.counters
        counts = {"request": counters.requests_open, "websocket": len(counters.websockets)}
        if not any(counts.values()) and self._step:  # at the beginning they are idle, and go at once
            counts["closing connection"] = counters.connections_open
        step = "connections" if any(counts.values()) else "tasks"
        try:
            counts["background task"] = len(self._app.nursery.child_tasks)
        except NoNurseryError:
            step = "app"
        self._steps_left = 2 if step == "connections" and counts.get("background task") else 1
        if step != self._step:
            self._step, self._step_began = step, trio.current_time()
        words = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
        return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))

    def _tell(self, left: str, begin: str) -> None:
        timeout = self._app.limits.shutdown_timeout
        if timeout is None:
            until = "for as long as it takes"
        else:
            remaining = max(1, round(self._step_began + self._steps_left * timeout - trio.current_time()))
            until = f"at most {remaining} second{'' if remaining == 1 else 's'}"
        with suppress(OSError):  # a terminal that is gone
            begin = styled(begin, "warning", sys.stdout)
            self._say(f"{begin} {left or 'the app to shut down'}, {until} (a second signal, CTRL + C, ends at once)")
