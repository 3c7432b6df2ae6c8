"""The app's lifespan: its start-up, its background tasks and its shutdown.

A lifespan runs in a task of its own: several servers may use the app, and its lifespan must not end with the server
that has started it. Its order is Quart's, with the functions of ``app.lifespan`` around all of it:

    lifespans - before_serving - while_serving - the app serves - background tasks are cancelled and waited for -
    while_serving, in reverse - after_serving - teardown_appcontext - lifespans, in reverse

The shutdown functions are never cancelled half-way, except after ``shutdown_timeout``; the log says so then.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import copy_context
from functools import partial
from logging import Logger
from math import inf
from typing import Any, Protocol, TypeVar

import trio

from ..connection.base import NoNurseryError
from ..connection.limits import ServerLimits
from ..connection.stats import Counters
from ..tasks.exception_groups import leaves, unwrap_group
from ..tasks.functions import call, check_no_generator, describe
from ..tasks.shields import FORCE_EVERY, open_shields
from ..tasks.stalls import stalls_watched
from ..web import signals
from ..web.context import Context
from .background import BackgroundNursery
from .contexts import tear_down_app_context

F = TypeVar("F", bound=Callable[..., Any])
_Steps = list[Callable[..., Any]]
_OpenContext = Callable[[], AbstractAsyncContextManager[Any]]


class LifespanApp(Protocol):
    """The app that starts up and shuts down: where its errors go, and what bounds the shutdown."""

    counters: Counters

    @property
    def logger(self) -> Logger: ...
    @property
    def app_ctx_globals_class(self) -> type[Any]: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def limits(self) -> ServerLimits: ...
    @property
    def overrides(self) -> frozenset[str]: ...
    @property
    def teardown_functions(self) -> Sequence[Callable[..., Any]]: ...
    def do_teardown_appcontext(self, exc: BaseException | None) -> Awaitable[None]: ...


class Lifespan:
    """The functions that an app has for its start-up and shutdown, and their run while at least one server uses it."""

    def __init__(self, app: LifespanApp) -> None:
        self._app = app
        self.before: _Steps = []
        self.after: _Steps = []
        self.around: list[_OpenContext] = []
        self.during: list[_OpenContext] = []
        self._current: _LifespanRun | None = None

    def add_before(self, function: F) -> F:
        """Add a function for the start-up.

        :raises RuntimeError: if the app has started up.
        :raises TypeError: if it yields.
        """
        self._check_not_started()
        check_no_generator(function, "use @app.while_serving")
        self.before.append(function)
        return function

    def add_after(self, function: F) -> F:
        """Add a function for the shutdown.

        :raises TypeError: if it yields.
        """
        check_no_generator(function, "use @app.while_serving")
        self.after.append(function)
        return function

    def _check_not_started(self) -> None:
        run = self._current
        if run is not None and run.started.is_set() and not run.stopping:
            raise RuntimeError(
                "the app has started up already, so that this function would never run;"
                " register it before the app serves, or start a task in app.nursery"
            )

    def add_around(self, function: F) -> F:
        """Add a context around all other steps; see :meth:`add_during`.

        :raises RuntimeError: if the app starts up or has started up.
        """
        self._check_not_started()
        run = self._current
        if run is not None and run.lifespans_open and not run.stopping:
            raise RuntimeError(
                f"{describe(function)} is a lifespan, which begins before the app's other start-up functions; register"
                " it before the app serves"
            )
        self.around.append(self._context(function))
        return function

    def add_during(self, function: F) -> F:
        """Add an async generator function, or one that returns an async context manager; it may take the app.

        :raises TypeError: if it is another kind of function.
        :raises RuntimeError: if the app has started up.
        """
        self._check_not_started()
        self.during.append(self._context(function))
        return function

    def _context(self, function: Callable[..., Any]) -> _OpenContext:
        return partial(_open_context, _context_factory(function), self._app)

    @property
    def nursery(self) -> BackgroundNursery:
        """The background tasks.

        :raises RuntimeError: if the app does not serve.
        """
        if self._current is None or self._current.nursery is None:
            raise NoNurseryError(
                "app.nursery is only available while the app serves (and in its start-up functions);"
                " in tests, use 'async with app.test_app():'"
            )
        return self._current.nursery

    @property
    def is_ready(self) -> bool:
        """Whether the start-up is over and the shutdown has not begun; also where no server tells of either."""
        return self._current is None or (self._current.started.is_set() and not self._current.stopping)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Keep the app started up in the block: the first of several users starts it up, the last one shuts it down.

        Errors of the start-up and of the shutdown are raised here, as is the error of a background task that ends the
        app. A cancellation waits for the shutdown, which is shielded. Its two parts have ``shutdown_timeout`` each: the
        end of the background tasks, and the functions.
        """
        while (run := self._current) is not None and run.stopping:
            await run.ended.wait()
        if run is None:
            run = self._current = _LifespanRun(self._app, self)
            run.spawn()
        run.users += 1
        scope = trio.CancelScope()
        try:
            await run.started.wait()
            if run.failure is not None:
                raise run.failure
            run.scopes.add(scope)
            with scope:
                yield
        except BaseException as error:
            await self._leave(run, scope)  # noqa: ASYNC102 - shields itself
            if run.failure is not None and run.failure is not error:
                self._app.logger.error("the app's lifespan ended with an error too", exc_info=run.failure)
            raise
        await self._leave(run, scope)
        if run.failure is not None:
            raise run.failure

    async def _leave(self, run: _LifespanRun, scope: trio.CancelScope) -> None:
        run.scopes.discard(scope)
        run.users -= 1
        if run.users == 0:
            run.stop()
            with trio.CancelScope(shield=True):
                await run.ended.wait()
            if self._current is run:
                self._current = None


class _LifespanRun:
    """One run from start-up to shutdown, in a system task: a task that belongs to no user of the app."""

    def __init__(self, app: LifespanApp, lifespan: Lifespan) -> None:
        self.app = app
        self.lifespan = lifespan
        self.users = 0
        self.scopes: set[trio.CancelScope] = set()
        self.nursery: BackgroundNursery | None = None
        self.failure: BaseException | None = None
        self.stopping = False
        self.lifespans_open = False
        self._shutdown_begun = False
        self._is_cut = False
        self.started = trio.Event()
        self.ended = trio.Event()
        self._stop = trio.Event()
        self._background_ended = trio.Event()
        self._outer: trio.Nursery | None = None

    def spawn(self) -> None:
        """Start the task, with a copy of the caller's context variables."""
        trio.lowlevel.spawn_system_task(self._run, name=f"the lifespan of {self.app!r}", context=copy_context())

    def stop(self) -> None:
        """Ask for the shutdown; :attr:`ended` is set at its end. A start-up that still runs is cancelled."""
        self.stopping = True
        self._stop.set()
        if not self.started.is_set() and self._outer is not None:
            self._outer.cancel_scope.cancel(reason="the app stops serving")

    async def _run(self) -> None:
        token = (context := Context(self.app)).push()
        try:
            if signals.appcontext_pushed.receivers:
                await signals.send(signals.appcontext_pushed, self.app)
            with stalls_watched(self.app.limits.stall_timeout, self.app.counters.count_stall):
                await self._start_and_stop()
        except BaseException as raised:  # noqa: ASYNC103 - Cancelled is raised again
            error = unwrap_group(raised)
            if any(isinstance(leaf, trio.Cancelled) for leaf in leaves(error)):
                # The program ends before the app's users have left: they are cancelled too, and do not wait for it.
                self._fail(RuntimeError("the app's lifespan was cancelled from outside"))
                raise
            # SystemExit and its like too: the app's users raise them. Raised in a system task, they would be a
            # TrioInternalError.
            if error is not self.failure and isinstance(error, Exception):
                await self._signal(error)  # noqa: ASYNC102 - shields itself
            self._fail(error)
        finally:
            context.pop(token)
            if signals.appcontext_popped.receivers:
                await signals.send_shielded(  # noqa: ASYNC102 - shields itself
                    self.app.logger, signals.appcontext_popped, self.app
                )
            self.nursery = None
            self.stopping = True
            self.started.set()
            self.ended.set()

    async def _start_and_stop(self) -> None:
        async with trio.open_nursery() as self._outer:
            if self._stop.is_set():
                return  # noqa: ASYNC121 - nothing was started
            self.nursery = await self._outer.start(self._run_background_tasks)
            # Each scope is around everything that is opened in it, so that it can shield the exits later. They are
            # two: the nursery of a lifespan that has crashed cancels what is inside of the outer one.
            inner = trio.CancelScope()
            with trio.CancelScope() as outer:
                async with AsyncExitStack() as stack:
                    self.lifespans_open = True
                    try:
                        for open_context in self.lifespan.around:
                            await stack.enter_async_context(open_context())
                        with inner:
                            await self._live_inside(outer, inner)
                    finally:
                        await self._begin_shutdown(outer)  # noqa: ASYNC102 - shields itself
            if outer.cancelled_caught or inner.cancelled_caught:
                self._log_timeout()

    async def _live_inside(self, *scopes: trio.CancelScope) -> None:
        """Live inside of the lifespans. The scopes are those around this call."""
        error: BaseException | None = None
        try:
            async with AsyncExitStack() as stack:
                try:
                    await self._start_up(stack)
                    self.started.set()
                    await self._stop.wait()
                finally:
                    await self._begin_shutdown(*scopes)  # noqa: ASYNC102 - shields itself
        except BaseException as raised:
            error = raised
            raise
        finally:
            await self._call_last_functions(scopes[0].deadline, error)  # noqa: ASYNC102 - shields itself

    async def _start_up(self, stack: AsyncExitStack) -> None:
        for function in self.lifespan.before:
            await call(function)
        for open_context in self.lifespan.during:
            await stack.enter_async_context(open_context())

    async def _begin_shutdown(self, *scopes: trio.CancelScope) -> None:
        """End the background tasks, and shield the scopes for as long as the shutdown may take; do it once."""
        if self._shutdown_begun:
            return
        self._shutdown_begun = True
        assert self.nursery is not None
        self.nursery.cancel_scope.cancel(reason="the app stops serving")
        timeout = self.app.limits.shutdown_timeout
        with trio.move_on_after(inf if timeout is None else timeout, shield=True):
            await self._background_ended.wait()
        with trio.CancelScope(shield=True):
            await self._force_background_tasks(self.nursery)
        for scope in scopes:
            scope.deadline = inf if timeout is None else trio.current_time() + timeout
            scope.shield = True

    async def _call_last_functions(self, deadline: float, error: BaseException | None) -> None:
        if self.started.is_set():
            with trio.CancelScope(shield=True, deadline=deadline) as scope:
                for function in self.lifespan.after:
                    await self._call_after_serving(function)
            if scope.cancelled_caught:
                self._log_timeout()
        await tear_down_app_context(self.app, error or self.failure)

    async def _force_background_tasks(self, nursery: BackgroundNursery) -> None:
        """Log the background tasks that are left, and break their shields until they have ended."""
        for task in nursery.child_tasks:
            timeout = self.app.limits.shutdown_timeout
            self.app.logger.error(
                "background task %s has not ended within shutdown_timeout, %s seconds; ending it by force",
                task.name,
                timeout,
            )
        while not self._background_ended.is_set():
            open_shields(nursery.cancel_scope)
            with trio.move_on_after(FORCE_EVERY):
                await self._background_ended.wait()

    async def _call_after_serving(self, function: Callable[..., Any]) -> None:
        try:
            await call(function)
        except Exception as error:
            if self.failure is not None:
                self.app.logger.error("after_serving function %s failed too", describe(function), exc_info=error)
            error = unwrap_group(error)
            self.failure = self.failure or error
            await self._signal(error)

    async def _signal(self, error: BaseException) -> None:
        if signals.got_serving_exception.receivers:
            await signals.send_shielded(self.app.logger, signals.got_serving_exception, self.app, exception=error)

    def _log_timeout(self) -> None:
        if self._is_cut:
            return
        self._is_cut = True
        timeout = self.app.limits.shutdown_timeout
        self.app.logger.error("the app's shutdown was cut: it took longer than shutdown_timeout, %s seconds", timeout)

    async def _run_background_tasks(self, task_status: trio.TaskStatus[BackgroundNursery]) -> None:
        try:
            async with trio.open_nursery() as nursery:
                task_status.started(BackgroundNursery(nursery, self._handle_crash))
                await trio.sleep_forever()
        finally:
            self._background_ended.set()

    async def _handle_crash(self, function: Callable[..., Any], error: BaseException) -> None:
        """Log a background task's error, and end the app if the config asks for that."""
        error = unwrap_group(error)
        self.app.logger.error("background task %s failed", describe(function), exc_info=error)
        if signals.got_background_exception.receivers:
            await signals.send_shielded(self.app.logger, signals.got_background_exception, self.app, exception=error)
        if self.app.config["BACKGROUND_TASK_CRASH_STOPS"]:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        for scope in self.scopes:
            scope.cancel(reason=f"the app's lifespan ended with {error!r}")


def _context_factory(function: Callable[..., Any]) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Return what makes the context manager of a lifespan function."""
    if inspect.isasyncgenfunction(function):
        return asynccontextmanager(function)
    if inspect.isasyncgenfunction(inspect.unwrap(function)) or (
        isinstance(function, type) and hasattr(function, "__aenter__")
    ):
        return function  # decorated with @asynccontextmanager already
    raise TypeError(
        f"{describe(function)} is no lifespan: write an async function with one 'yield', between start-up and shutdown"
    )


def _open_context(
    factory: Callable[..., AbstractAsyncContextManager[Any]], app: LifespanApp
) -> AbstractAsyncContextManager[Any]:
    takes_app = any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in inspect.signature(factory).parameters.values()
    )
    return factory(app) if takes_app else factory()
