"""``app.nursery``: the app's background tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import trio

from ..tasks.exception_groups import closes_coroutine, ends_program, foreign_cancellation, split_cancelled
from ..tasks.functions import call, check_no_generator, forgotten_await
from ..tasks.stalls import background_task

_OnCrash = Callable[[Callable[..., Any], BaseException], Awaitable[None]]


class BackgroundNursery:
    """``app.nursery``: tasks that live as long as the app serves.

    :meth:`start_soon` and :meth:`start` start tasks, as those of a :class:`trio.Nursery` do. Unlike in a nursery, the
    error of a task is logged and the other tasks run on; with ``BACKGROUND_TASK_CRASH_STOPS`` in the config it ends the
    app.
    """

    def __init__(self, nursery: trio.Nursery, on_crash: _OnCrash) -> None:
        self._nursery = nursery
        self._on_crash = on_crash

    @property
    def cancel_scope(self) -> trio.CancelScope:
        """The scope around all tasks."""
        return self._nursery.cancel_scope

    @property
    def child_tasks(self) -> frozenset[trio.lowlevel.Task]:
        """The tasks that have not ended."""
        return self._nursery.child_tasks

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any, name: object = None) -> None:
        """Start a task that runs ``async_fn(*args)`` until it ends or the app stops serving.

        :raises RuntimeError: if the app is shutting down.
        """
        _check_callable(async_fn)
        self._nursery.start_soon(partial(self._guard, async_fn, *args), name=name or async_fn)

    def start_call(
        self, function: Callable[..., Any], args: Any, kwargs: Any, within: AbstractAsyncContextManager[object]
    ) -> None:
        """Start a task that calls ``function(*args, **kwargs)``, in a worker thread if it is not async.

        :param within: around the call.
        """
        _check_callable(function)
        check_no_generator(function, "iterate over it in an async function")
        self._nursery.start_soon(self._guard_call, function, args, kwargs, within, name=function)

    async def start(self, async_fn: Callable[..., Awaitable[Any]], *args: Any, name: object = None) -> Any:
        """Start a task and wait until it calls ``task_status.started(value)``; return the value.

        An error of the task before ``started()`` is raised here. A cancellation of this wait cancels the task.
        """
        _check_callable(async_fn)
        return await self._nursery.start(partial(self._guard_start, async_fn, *args), name=name or async_fn)

    async def _guard(self, async_fn: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> None:
        background_task.set(trio.lowlevel.current_task().name)
        try:
            await async_fn(*args, **kwargs)
        except BaseException as raised:  # noqa: ASYNC103 - raised again by the call below, unless it is an error
            await self._report_failure(async_fn, raised)  # noqa: ASYNC102 - shields itself

    async def _guard_call(
        self, function: Callable[..., Any], args: Any, kwargs: Any, within: AbstractAsyncContextManager[object]
    ) -> None:
        background_task.set(trio.lowlevel.current_task().name)
        try:
            async with within:
                await call(function, *args, **kwargs)
        except BaseException as raised:  # noqa: ASYNC103 - raised again by the call below, unless it is an error
            await self._report_failure(function, raised)  # noqa: ASYNC102 - shields itself

    async def _guard_start(
        self, async_fn: Callable[..., Awaitable[Any]], *args: Any, task_status: trio.TaskStatus[Any]
    ) -> None:
        background_task.set(trio.lowlevel.current_task().name)
        status = _Status(task_status)
        try:
            await async_fn(*args, task_status=status)
        except BaseException as raised:  # noqa: ASYNC103 - raised again by the call below, unless it is an error
            if not status.is_started:
                raise
            await self._report_failure(async_fn, raised)  # noqa: ASYNC102 - shields itself

    async def _report_failure(self, async_fn: Callable[..., Any], raised: BaseException) -> None:
        """Report the errors of a task; raise a cancellation, or an exception that ends the program, again."""
        cancelled, error = split_cancelled(raised)
        if error is not None:
            if ends_program(error) or closes_coroutine(error):
                raise raised
            await self._on_crash(async_fn, error)
        if cancelled is not None:
            foreign = foreign_cancellation(cancelled)
            if foreign is None:
                raise cancelled from None
            await self._on_crash(async_fn, foreign)


def _check_callable(function: object) -> None:
    """Raise TypeError here, and not in the background, for a coroutine in place of its function."""
    if not callable(function):
        coroutine = bool(forgotten_await(function))
        raise TypeError(
            f"a background task is started with a function, not with {type(function).__name__} {function!r:.100}"
            + ("; give the function and its arguments, without calling it" if coroutine else "")
        )


class _Status:
    """A task status that remembers whether the task has started."""

    def __init__(self, status: trio.TaskStatus[Any]) -> None:
        self._status = status
        self.is_started = False

    def started(self, value: Any = None) -> None:
        self._status.started(value)
        self.is_started = True
