"""Handlers that swallow their cancellation are found out, and named.

A generator-based coroutine drives the handler's coroutine. It passes on what Trio sends in and what the handler yields
to Trio, and so sees each ``Cancelled`` that is raised at an await of the handler's own task. The ``Cancelled`` of a
disconnect is known by its reason. One kind never passes: a nursery raises the ``Cancelled`` of its children by itself,
in the task that waits for it. So the watch looks into the task's nurseries too, each time that the task resumes.

Shields, which keep a cancellation off, are in :mod:`.shields`.
"""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import trio

from ..errors import CancelledSwallowedError
from .functions import describe
from .trio_internals import error_sent, held_back, innermost_scope, is_shielded

T = TypeVar("T")

# A handler's cancellation may be raised several times on its way out: each `finally:` that awaits raises it again.
_MAX_RAISES = 100
# Each time beyond that, the handler is paused. After the last pause it is given up.
_PAUSE = 0.05  # seconds
_MAX_PAUSES = 20


def _leak(coroutines: list[object]) -> None:
    """Keep coroutines for ever. They swallow even GeneratorExit, so that collecting them would run their endless loop.

    A reference from this module is not enough: the interpreter drops it at exit, and would then never exit.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutines))


class HandlerWatch:
    """Watches one handler for the cancellation of its disconnect.

    :ivar function: the handler.
    :ivar reason: the reason text of the disconnect's cancellation; None until there is a disconnect.
    :ivar swallowed_error: the error to report, once the handler has swallowed the cancellation.
    """

    __slots__ = (
        "_depth",
        "_raised_unshielded",
        "_scope_outside_handler",
        "_task",
        "_times_raised",
        "function",
        "reason",
        "swallowed_error",
    )

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Callable[..., Any] = function
        self.reason: str | None = None
        self.swallowed_error: CancelledSwallowedError | None = None
        self._times_raised = 0  # how often the cancellation was raised in the handler
        self._raised_unshielded = False  # whether one of these times was certainly behind no shield of the handler's
        self._task = trio.lowlevel.current_task()
        self._depth = len(self._task.child_nurseries)
        self._scope_outside_handler = innermost_scope(self._task)

    @types.coroutine
    def drive(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run the handler's coroutine in this task. Once there is a ``reason``, look at what Trio sends in."""
        resume: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                trap = resume(value)
            except StopIteration as stop:
                if self._raised_unshielded:
                    self._report()
                return stop.value  # type: ignore[no-any-return]
            try:
                value = yield trap
                resume = coroutine.send
            except BaseException as error:  # noqa: ASYNC103 - thrown into the handler's coroutine
                value = error
                resume = coroutine.throw
            if self.reason is not None and self._raises_cancellation(value):
                self._times_raised += 1
                if self._times_raised > _MAX_RAISES and (yield from self._slow_down(coroutine)):
                    return None  # type: ignore[return-value]

    def _raises_cancellation(self, value: object) -> bool:
        """Whether ``value``, which the handler's coroutine is resumed with, makes its await raise the cancellation."""
        error = error_sent(value)
        errors = held_back(self._task.child_nurseries[self._depth :]) if error is None else [error]
        if not any(map(self._is_ours, errors)):
            return False
        # Behind a shield of the handler's own, the reason does not tell whose Cancelled it is. A scope that is entered
        # after the cancellation inherits the reason. If the handler shields and cancels that scope, its Cancelled has
        # the same reason.
        # None: Trio does not show the scopes. The raise is counted then, but only a handler that swallows in a loop is
        # reported.
        shielded = is_shielded(self._task, self._scope_outside_handler)
        self._raised_unshielded = self._raised_unshielded or shielded is False
        return not shielded

    def _is_ours(self, error: BaseException) -> bool:
        return isinstance(error, trio.Cancelled) and error.reason == self.reason

    def _report(self) -> None:
        if self.swallowed_error is None:
            self.swallowed_error = CancelledSwallowedError(
                f"{describe(self.function)} swallowed trio.Cancelled ({self.reason}): catch Exception instead of "
                "BaseException, or raise Cancelled again after the cleanup"
            )

    def _slow_down(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, bool]:
        """Pause a handler that swallows in a loop, so that it takes no processor time. In the end, give it up.

        Returns whether the handler is given up. One with open nurseries is not: its child tasks would be left behind.
        """
        self._report()
        # In a generator-based coroutine the linter does not see that this waits.
        with trio.CancelScope(shield=True):  # noqa: ASYNC100
            yield from trio.sleep(_PAUSE).__await__()  # noqa: ASYNC101, ASYNC105
        if self._times_raised < _MAX_RAISES + _MAX_PAUSES or len(self._task.child_nurseries) > self._depth:
            return False
        chain: list[object] = [coroutine]
        while (awaited := getattr(chain[-1], "cr_await", None)) is not None:
            chain.append(awaited)
        try:
            coroutine.close()
        except RuntimeError:
            _leak(chain)
        return True
