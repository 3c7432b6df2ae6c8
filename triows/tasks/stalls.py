"""Finding out who holds up the event loop: a call that blocks, or a computation that takes long.

Nothing is done for this on the way of a message. One thread a process asks each event loop that is watched for a sign
of life, four times in ``stall_timeout``. Where none comes, it looks which task is running, and where. A computation
that keeps the interpreter's lock holds up this thread as well; it is found out when the thread can run again, because
the thread is late, and the task is still where it was.

Between two signs of life a loop may have run very many tasks. That is a stall too, but no single handler's, and
the log says so.
"""

from __future__ import annotations

import logging
import sys
import sysconfig
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

logger = logging.getLogger("triows.error")

_SIGNS = 4  # of life, in the time that a stall may last
_STILL = 10.0  # seconds after which a stall that goes on is logged, once, before its end

_OURS = (str(Path(__file__).parent.parent), str(Path(trio.__file__).parent), "<frozen ")
_STDLIB = sysconfig.get_path("stdlib")


background_task: ContextVar[str] = ContextVar("triows.background_task")
"""The name of the background task that a task belongs to; it may have inherited the context of a handler."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What an event loop is doing.

    :ivar task: the task that is running, None between two tasks.
    :ivar name: the handler or background task that it belongs to.
    :ivar place: where it is, in the user's own code if it has been called from there: ``file:line in function``.
    """

    task: trio.lowlevel.Task | None
    name: str
    place: str


class EventLoop:
    """The event loop of the calling task, for other threads to look at."""

    def __init__(self) -> None:
        self.token = trio.lowlevel.current_trio_token()
        self._root = trio.lowlevel.current_root_task()
        self._thread = threading.get_ident()

    def activity(self) -> Activity:
        """Look what it is doing now."""
        task = self._running_task()
        return Activity(task, _name(task), _place(sys._current_frames().get(self._thread)))

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
            pass  # a set of tasks changed under the look at it: the loop lives
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


def _place(frame: FrameType | None) -> str:
    """The innermost of the user's own frames. The app may be installed where libraries are."""
    frames = []
    while frame is not None and frame.f_code.co_name != "unrolled_run":  # Trio's loop; around it is who started it
        frames.append(frame)
        frame = frame.f_back
    if not frames:
        return "nowhere"
    best = min(frames, key=lambda frame: _strangeness(frame.f_code.co_filename))
    return f"{best.f_code.co_filename}:{best.f_lineno} in {best.f_code.co_qualname}"


def _strangeness(file: str) -> int:
    if file.startswith(_OURS):
        return 3
    if "site-packages" in file or "dist-packages" in file:
        return 1
    return 2 if file.startswith(_STDLIB) else 0


class _Sign:
    """A sign of life that was asked for. Times are of :func:`time.monotonic`.

    :ivar due: when it was due, at the earliest.
    :ivar given: when the loop gave it; None: it has not. The loop sets it, and nothing else.
    """

    __slots__ = ("due", "given")

    def __init__(self, due: float) -> None:
        self.due = due
        self.given: float | None = None

    def give(self) -> None:
        """Called by the loop."""
        self.given = time.monotonic()


User = tuple[float, Callable[[], None]]
"""For whom a loop is watched: the ``stall_timeout``, and what is called after each stall."""


class Watched:
    """An event loop, what is known of its life, and for whom.

    :ivar users: who wants to know: each with its ``stall_timeout``.
    """

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.users: list[User] = []
        self._sign: _Sign | None = None
        self._activity: Activity | None = None  # while the sign is late
        self._alone = True  # whether every look has found the same task
        self._told = False  # of a stall that goes on

    @property
    def timeout(self) -> float:
        """The shortest ``stall_timeout`` of all users."""
        return min((timeout for timeout, _ in self.users), default=inf)

    def look(self, due: float, now: float) -> None:
        """See whether the sign of life has come; if so, ask for the next, which was due then.

        :raises trio.RunFinishedError: if the loop has ended.
        """
        sign = self._sign
        if sign is None or sign.given is not None:
            self._end_stall(sign)
            sign = self._sign = _Sign(due)
            self.loop.token.run_sync_soon(sign.give)
        late = now - sign.due
        if late < self.timeout / 2:
            return
        activity = self.loop.activity()
        if sign.given is not None or activity.task is None:
            return  # it lives
        self._alone = self._alone and (self._activity is None or self._activity.task is activity.task)
        self._activity = activity
        if late >= _STILL and not self._told:
            self._told = True
            logger.warning(
                "%s has held up the event loop for %.1f s and still does, at %s", activity.name, late, activity.place
            )

    def _end_stall(self, sign: _Sign | None) -> None:
        """The sign has come: say how long that took, if it was too long."""
        activity, self._activity = self._activity, None
        alone, self._alone = self._alone, True
        self._told = False
        if activity is None or sign is None or sign.given is None:
            return
        seconds = sign.given - sign.due
        if seconds < self.timeout:
            return
        if alone:
            logger.warning("%s held up the event loop for %.1f s, at %s", activity.name, seconds, activity.place)
        else:
            logger.warning(
                "many tasks together held up the event loop for %.1f s; the last one seen was %s, at %s",
                seconds,
                activity.name,
                activity.place,
            )
        for _, on_stall in self.users:
            on_stall()


class _Watcher:
    """The thread that looks at all event loops of the process. It ends with the last of them."""

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
                pause = min(watched.timeout for watched in self._watched.values()) / _SIGNS
                due, worked = time.monotonic() + pause, time.process_time()
                self._changed.wait(pause)
                everybody = list(self._watched.items())
            now = time.monotonic()
            if now - due > pause and time.process_time() - worked < (now - due) / 2:
                due = now  # nobody held this thread up: the process was stopped, or got no processor
            for token, watched in everybody:
                try:
                    watched.look(min(due, now), now)
                except trio.RunFinishedError:
                    with self._changed:
                        self._watched.pop(token, None)


_watcher = _Watcher()


@contextmanager
def stalls_watched(timeout: float | None, on_stall: Callable[[], None]) -> Iterator[None]:
    """Log in the block what holds up the calling task's event loop for longer than ``timeout`` seconds.

    ``on_stall()`` is called after each stall, in the watching thread. A timeout of None looks for nothing; so does a
    virtual clock, whose seconds nobody has to wait for.
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
