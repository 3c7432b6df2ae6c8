"""Handlers that do not end when they are cancelled: they swallow the cancellation, or they shield themselves from it.

Swallowing is found out by a generator-based coroutine that drives the handler's coroutine: it passes on what Trio sends
in and what the handler traps out, and so sees each ``Cancelled`` that is raised at an await of the handler's own task.
The disconnect's is known by its reason. One way in it does not see: a nursery that was waited for raises the
``Cancelled`` of its children by itself. Trio has no public view of that, so the nurseries of the task are looked at
when the task wakes after the cancellation.

Shields keep a cancellation off for as long as the cleanup behind them takes. When the time for a shutdown is over,
:func:`open_shields` ends that. Trio has no public view of the scopes inside a scope either.
"""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import trio
from outcome import Error

from ..errors import CancelledSwallowedError
from .exception_groups import leaves
from .functions import describe
from .trio_internals import innermost_status

T = TypeVar("T")

# A handler may meet its cancellation several times on its way out: each `finally:` that awaits raises it again.
_PATIENCE = 100
_PAUSE = 0.05  # seconds
_PAUSES = 20


def _keep_for_ever(coroutines: list[object]) -> None:
    """Leak them on purpose. They swallow even GeneratorExit: whoever collects them runs their endless loop again.

    A reference of this module's would not do: the interpreter drops it at exit, and would then never exit.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutines))


class Watch:
    """Watches one handler for one cancellation.

    :ivar reason: the reason text of the disconnect's cancellation; None until there is one.
    :ivar swallowed: the error to report, once the handler has swallowed it.
    """

    __slots__ = ("_depth", "_met", "_outside", "_task", "function", "reason", "swallowed")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.reason: str | None = None
        self.swallowed: CancelledSwallowedError | None = None
        self._met = 0  # how often the cancellation was raised in the handler
        self._task = trio.lowlevel.current_task()
        self._depth = len(self._task.child_nurseries)
        self._outside = innermost_status(self._task)

    @types.coroutine
    def drive(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run the handler's coroutine in this task, looking at what goes in once there is a ``reason`` to look for."""
        resume: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                trap = resume(value)
            except StopIteration as stop:
                if self._met:
                    self._report()
                return stop.value  # type: ignore[no-any-return]
            try:
                value = yield trap
                resume = coroutine.send
            except BaseException as error:  # noqa: ASYNC103 - thrown into the handler's coroutine
                value = error
                resume = coroutine.throw
            if self.reason is not None and self._meets_cancellation(value):
                self._met += 1
                if self._met > _PATIENCE and (yield from self._slow_down(coroutine)):
                    return None  # type: ignore[return-value]

    def _meets_cancellation(self, value: object) -> bool:
        if type(value) is Error:
            met = self._is_ours(value.error)
        else:
            met = any(
                self._is_ours(error)
                for nursery in self._task.child_nurseries[self._depth :]
                if not nursery.child_tasks
                for pending in getattr(nursery, "_pending_excs", ())
                for error in leaves(pending)
            )
        return met and not self._is_shielded()

    def _is_shielded(self) -> bool:
        """Whether the handler is behind a shield of its own, so that what is raised is not the disconnect's.

        The reason does not tell: a scope that is entered after the cancellation takes its reason over, and keeps it
        for its own when it is shielded then.
        """
        status = innermost_status(self._task)
        while status is not None:
            if status._scope.shield:
                return True
            status = None if status is self._outside else status.parent
        return False

    def _is_ours(self, error: BaseException) -> bool:
        return isinstance(error, trio.Cancelled) and error.reason == self.reason

    def _report(self) -> None:
        if self.swallowed is None:
            self.swallowed = CancelledSwallowedError(
                f"{describe(self.function)} swallowed trio.Cancelled ({self.reason}): catch Exception instead of "
                "BaseException, or raise Cancelled again after the cleanup"
            )

    def _slow_down(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, bool]:
        """Hold back a handler that swallows in a loop, so that it takes no processor time, and in the end give it up.

        Only a handler without open nurseries can be given up: they would be left behind with their tasks.
        """
        self._report()
        # In a generator-based coroutine the linter does not see that this waits.
        with trio.CancelScope(shield=True):  # noqa: ASYNC100
            yield from trio.sleep(_PAUSE).__await__()  # noqa: ASYNC101, ASYNC105
        if self._met < _PATIENCE + _PAUSES or len(self._task.child_nurseries) > self._depth:
            return False
        chain: list[object] = [coroutine]
        while (awaited := getattr(chain[-1], "cr_await", None)) is not None:
            chain.append(awaited)
        try:
            coroutine.close()
        except RuntimeError:
            _keep_for_ever(chain)
        return True
