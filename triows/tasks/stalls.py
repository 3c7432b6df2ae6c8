"""Finding out who holds up the event loop: a call that blocks, or a computation that takes long.

This costs a message nothing. One thread for the whole process asks each watched event loop for a heartbeat, four times
in ``stall_timeout``. If a heartbeat is late, the thread looks which task is running, and where. A computation that
keeps the interpreter's lock holds up this thread as well. The thread finds it out as soon as it can run again: the
thread itself is late, and the task is still where it was.

An event loop may have run very many tasks between two heartbeats. That is a stall too, but no single handler's, and
the log says so.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import FrameType

import trio

from .context import context_of
from .error_log import error_log as logger
from .trio_internals import is_loop

_HEARTBEATS = 4  # in the time that a stall may last
_WARN_AFTER = 10.0  # seconds after which a stall that goes on is logged, once, before its end

_OURS = (str(Path(__file__).parent.parent), str(Path(trio.__file__).parent), "<frozen ")
_STDLIB = str(Path(os.__file__).parent)


background_task: ContextVar[str] = ContextVar("triows.background_task")
"""The name of the background task that a task belongs to. The task may have inherited a handler's context as well."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What an event loop is doing.

    :ivar task: the task that is running, None between two tasks.
    :ivar name: the handler or background task that the task belongs to.
    :ivar place: the line that is running, of the user's own code if there is any: ``file:line in function``.
    """

    task: trio.lowlevel.Task | None
    name: str
    place: str


class EventLoop:
    """The event loop of the calling task, for other threads to look at."""

    def __init__(self) -> None:
        self.token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()
        self._root = trio.lowlevel.current_root_task()
        self._thread = threading.get_ident()

    def activity(self) -> Activity:
        """Look what the event loop is doing now. Any thread may call this."""
        task = self._running_task()
        return Activity(task, _name(task), _place(sys._current_frames().get(self._thread), task))

    def _running_task(self) -> trio.lowlevel.Task | None:
        to_do = [] if self._root is None else [self._root]
        try:
            while to_do:
                task = to_do.pop()
                if getattr(task.coro, "cr_running", False):
                    return task
                for nursery in task.child_nurseries:
                    to_do += nursery.child_tasks
        except RuntimeError:
            pass  # a set of tasks has changed during the iteration, so the loop is running
        return None


def _name(task: trio.lowlevel.Task | None) -> str:
    if task is None:
        return "something outside of all tasks"
    background = task.context.get(background_task)
    if background is not None:
        return f"background task {background}"
    context = context_of(task)
    name = None if context is None else context.name
    return f"task {task.name}" if name is None else name


def _place(frame: FrameType | None, task: trio.lowlevel.Task | None) -> str:
    """Return the place of the innermost of the user's own frames, from ``frame`` up to the event loop's."""
    outermost = getattr(task.coro, "cr_frame", None) if task is not None else None
    frames = []
    while frame is not None and not is_loop(frame):
        frames.append(frame)
        frame = frame.f_back if frame is not outermost else None
    if not frames:
        return "nowhere"
    best = min(frames, key=lambda frame: _frame_rank(frame.f_code.co_filename))
    return f"{best.f_code.co_filename}:{best.f_lineno} in {best.f_code.co_qualname}"


def _frame_rank(file: str) -> int:
    """Return how far code in this file is from the user's own, which is 0.

    Installed packages come next, and before the standard library: the user's app may be installed too.
    """
    if file.startswith(_OURS):
        return 3
    if "site-packages" in file or "dist-packages" in file:
        return 1
    return 2 if file.startswith(_STDLIB) else 0


class _Heartbeat:
    """A heartbeat that the event loop was asked for. Times are of :func:`time.monotonic`.

    :ivar due: when it was due, at the earliest.
    :ivar beat_at: when the loop has run :meth:`beat`; None: it has not yet.
    """

    __slots__ = ("beat_at", "due")

    def __init__(self, due: float) -> None:
        self.due = due
        self.beat_at: float | None = None

    def beat(self) -> None:
        """Called by the loop."""
        self.beat_at = time.monotonic()


User = tuple[float, Callable[[], None]]
"""For whom a loop is watched: the ``stall_timeout``, and what is called after each stall."""


class Watched:
    """An event loop, its last heartbeat, and those for whom it is watched.

    :ivar users: those for whom it is watched.
    """

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.users: list[User] = []
        self._heartbeat: _Heartbeat | None = None
        self._activity: Activity | None = None  # the last one seen while the heartbeat was late
        self._same_task = True  # whether the task was the same each time
        self._warned = False  # of the stall that goes on
        self._failed = False  # whether a check has failed

    @property
    def timeout(self) -> float:
        """The shortest ``stall_timeout`` of all users."""
        return min((timeout for timeout, _ in self.users), default=inf)

    def check(self, due: float, now: float) -> None:
        """Look whether the loop has given its heartbeat. If so, ask for the next one, due at ``due``.

        :raises trio.RunFinishedError: if the loop has ended.
        """
        heartbeat = self._heartbeat
        if heartbeat is None or heartbeat.beat_at is not None:
            self._end_stall(heartbeat)
            heartbeat = self._heartbeat = _Heartbeat(due)
            self.loop.token.run_sync_soon(heartbeat.beat)
        late = now - heartbeat.due
        if late < self.timeout / 2:
            return
        activity = self.loop.activity()
        if heartbeat.beat_at is not None or activity.task is None:
            return  # the loop runs
        self._same_task = self._same_task and (self._activity is None or self._activity.task is activity.task)
        self._activity = activity
        if late >= _WARN_AFTER and not self._warned:
            self._warned = True
            logger.warning(
                "%s has held up the event loop for %.1f s and still does, at %s", activity.name, late, activity.place
            )

    def log_failure(self) -> None:
        """Log the exception that :meth:`check` has raised, the first time: it may do so each time."""
        if not self._failed:
            self._failed = True
            logger.exception("looking for stalls failed; it goes on, and this is not logged again")

    def _end_stall(self, heartbeat: _Heartbeat | None) -> None:
        """Log how late the heartbeat was, if it was too late."""
        activity, self._activity = self._activity, None
        same_task, self._same_task = self._same_task, True
        self._warned = False
        if activity is None or heartbeat is None or heartbeat.beat_at is None:
            return
        seconds = heartbeat.beat_at - heartbeat.due
        if seconds < self.timeout:
            return
        if same_task:
            logger.warning("%s held up the event loop for %.1f s, at %s", activity.name, seconds, activity.place)
        else:
            logger.warning(
                "many tasks together held up the event loop for %.1f s; the last one seen was %s, at %s",
                seconds,
                activity.name,
                activity.place,
            )
        for _, on_stall in self.users:
            try:
                on_stall()
            except Exception:
                logger.exception("counting a stall failed")


class _Watcher:
    """The thread that watches event loops, for the whole process. It ends with the last one that is watched."""

    def __init__(self) -> None:
        self._watched: dict[trio.lowlevel.TrioToken, Watched] = {}
        self._changed = threading.Condition()
        self._runs = False

    def add(self, user: User) -> None:
        """Watch the event loop of the calling task for this user."""
        loop = EventLoop()
        with self._changed:
            self._watched.setdefault(loop.token, Watched(loop)).users.append(user)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="triows stalls", daemon=True).start()
            self._changed.notify()

    def remove(self, user: User) -> None:
        """Watch the event loop of the calling task no longer for this user."""
        token = trio.lowlevel.current_trio_token()
        with self._changed:
            watched = self._watched[token]
            watched.users.remove(user)
            if not watched.users:
                del self._watched[token]
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._watched:
                    self._runs = False
                    return
                pause = min(watched.timeout for watched in self._watched.values()) / _HEARTBEATS
                due, worked = time.monotonic() + pause, time.process_time()
                self._changed.wait(pause)
                everybody = list(self._watched.items())
            now = time.monotonic()
            if now - due > pause and time.process_time() - worked < (now - due) / 2:
                due = now  # no task has held this thread up: the process was stopped, or got no processor time
            for token, watched in everybody:
                try:
                    watched.check(min(due, now), now)
                except trio.RunFinishedError:
                    with self._changed:
                        self._watched.pop(token, None)
                except Exception:  # this thread has to go on, for all event loops
                    watched.log_failure()


_watcher = _Watcher()


@contextmanager
def stalls_watched(timeout: float | None, on_stall: Callable[[], None]) -> Iterator[None]:
    """While the block runs, log what holds up the calling task's event loop for longer than ``timeout`` seconds.

    ``on_stall()`` is called after each stall, in the watching thread. With a timeout of None nothing is watched. Nor is
    it on a virtual clock: nobody waits for its seconds.
    """
    testing = sys.modules.get("trio.testing")
    if timeout is None or (testing is not None and isinstance(trio.lowlevel.current_clock(), testing.MockClock)):
        yield
        return
    user = (timeout, on_stall)
    _watcher.add(user)
    try:
        yield
    finally:
        _watcher.remove(user)
