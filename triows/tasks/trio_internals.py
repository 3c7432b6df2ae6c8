"""Every part of Trio that triows uses and Trio does not document. Trio may rename any of them in any release.

Nothing here raises, whatever is missing. Each function says what it returns then, and its callers go on without.

==============================  ==========================================  ==========================================
private part                    what it is for                              what happens without it
==============================  ==========================================  ==========================================
``Task._cancel_status``         Whether a handler is behind a shield of     Nobody knows whose ``Cancelled`` it is: a
                                its own: :func:`is_shielded`.               handler is reported as swallowing only if
                                                                            it does so in a loop.
``CancelStatus.parent``         The same: the scopes around a scope.        The same.
``CancelStatus._scope``         The same, and the shields inside a scope:   The same, and no shield is opened when the
                                :func:`scopes_inside`.                      time for a shutdown is over: the log names
                                                                            the handler, its connection is dropped,
                                                                            and the watchdog ends the process.
``CancelScope._cancel_status``  The shields inside a scope.                 No shield is opened, as above.
``CancelStatus.children``       The same: the scopes inside a scope.        No shield is opened, as above.
``CancelStatus.tasks``          Whether a scope has tasks inside.           Shields are opened. Teardown hooks are
                                                                            taken for a handler, and named in the log.
``Nursery._pending_excs``       What a nursery is about to raise in the     A handler that swallows the ``Cancelled``
                                task that waits for it: :func:`held_back`.  of a nursery is not reported.
``coro.send(Error)``            What is raised in a task that resumes:      If Trio throws the exception into the
                                :func:`error_sent`.                         coroutine instead: nothing is missing.
``WaitTaskRescheduled``         What a waiting task yields, made once for   A ``Waiter`` calls the public function each
                                each :class:`.Waiter`: :func:`trap_type`.   time: 1.4 microseconds more a wait.
``unrolled_run``                Where the event loop begins among the       The place of what runs between two tasks
                                frames of its thread: :func:`is_loop`.      may be where ``trio.run()`` was called.
==============================  ==========================================  ==========================================
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from types import FrameType
from typing import Any

import trio
from outcome import Error, Value
from trio.lowlevel import Abort, Task, wait_task_rescheduled

from .exception_groups import leaves


def innermost_scope(task: Task) -> Any:
    """Return what stands for the innermost cancel scope of a task, for :func:`is_shielded`; None if it is unknown."""
    return getattr(task, "_cancel_status", None)


def is_shielded(task: Task, outside: Any) -> bool | None:
    """Whether a shield is among the cancel scopes of a task, from the innermost one up to ``outside``, included.

    ``outside`` is what :func:`innermost_scope` has returned earlier. None: it is unknown.
    """
    status = innermost_scope(task)
    if status is None:
        return None
    try:
        while status is not None:
            if status._scope.shield:
                return True
            status = None if status is outside else status.parent
    except Exception:
        return None
    return False


def scopes_inside(
    scope: trio.CancelScope, leave_out: Callable[[trio.CancelScope], bool]
) -> list[tuple[trio.CancelScope, bool]] | None:
    """Return ``scope`` and the cancel scopes inside it, each with whether tasks are in it and in none further inside.

    A scope for which ``leave_out`` is true is not among them, and nothing inside it. None: they are unknown.
    """
    found = []
    try:
        status: Any = scope._cancel_status
        to_do = [] if status is None else [status]
        while to_do:
            status = to_do.pop()
            inner = status._scope
            if not leave_out(inner):
                found.append((inner, bool(getattr(status, "tasks", True))))
                to_do += status.children
    except Exception:
        return None
    return found


def held_back(nurseries: Iterable[trio.Nursery]) -> list[BaseException]:
    """Return the exceptions that nurseries have collected and are about to raise: no child of theirs runs any more.

    Those of a nursery where they are unknown are missing.
    """
    found: list[BaseException] = []
    for nursery in nurseries:
        if not nursery.child_tasks:
            try:
                for pending in nursery._pending_excs:
                    found += leaves(pending)
            except Exception:
                continue
    return found


def error_sent(value: object) -> BaseException | None:
    """Return the exception that a task is resumed with, None for anything else.

    ``value`` is what Trio has sent into the task's coroutine, or an exception that was thrown into it.
    """
    if type(value) is Error:
        return value.error
    return value if isinstance(value, BaseException) else None


def trap_type() -> Callable[[Callable[[Any], Abort]], Any] | None:
    """Return the class of what ``wait_task_rescheduled()`` yields to Trio; None if it has another shape than this.

    One argument makes it, the abort function. Trio sends an :class:`outcome.Outcome` back, and leaves its ``unwrap()``
    to whoever has yielded.
    """

    def abort(_: Any) -> Abort:
        return Abort.SUCCEEDED  # pragma: no cover - Trio never gets it

    try:
        waiting = wait_task_rescheduled(abort)  # noqa: ASYNC105 - only what it yields is wanted
        trap = waiting.send(None)
        type_: Callable[[Callable[[Any], Abort]], Any] = type(trap)
        return type_ if type_(abort) == trap and _unwraps(waiting) else None
    except Exception:
        return None


def _unwraps(waiting: Coroutine[Any, Any, Any]) -> bool:
    """Whether a coroutine that waits unwraps the outcome that is sent in, and ends."""
    try:
        waiting.send(Value(None))
    except StopIteration as stop:
        return stop.value is None
    return False


def is_loop(frame: FrameType) -> bool:
    """Whether a frame is the event loop's own; the frames around it belong to whoever has called ``trio.run()``."""
    return frame.f_code.co_name == "unrolled_run"
