"""Contexts that an app makes: of its own, of a request, of a websocket. ``async with`` makes one current."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import Token
from logging import Logger
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from ..tasks.context import TaskContext
from ..web import signals
from ..web.context import Context
from ..web.sessions import SessionMixin
from .routes.hooks import run_teardown


class ContextApp(Protocol):
    """The app of a context."""

    @property
    def overrides(self) -> frozenset[str]: ...
    @property
    def teardown_functions(self) -> Sequence[Callable[..., Any]]: ...
    @property
    def logger(self) -> Logger: ...
    def do_teardown_appcontext(self, exc: BaseException | None) -> Awaitable[None]: ...


class ContextStages(Protocol):
    """The stages of a request or websocket that make its context, and end it."""

    context: Context

    def match(self) -> None: ...
    async def open_session(self) -> None: ...
    async def tear_down(self, error: BaseException | None) -> None: ...


async def tear_down_app_context(app: ContextApp, error: BaseException | None) -> None:
    """Call the teardown hooks of an app context, or what the app has in their place, and signal it."""
    if app.overrides:
        await run_teardown(app.logger, [app.do_teardown_appcontext], error)
    elif app.teardown_functions:
        await run_teardown(app.logger, app.teardown_functions, error)
    if signals.appcontext_tearing_down.receivers:
        await signals.send_shielded(app.logger, signals.appcontext_tearing_down, app, exc=error)


class AsyncContext:
    """The context of an app, which ``async with`` or :meth:`push` makes current in the calling task.

    It has the attributes of the context inside: ``app``, ``g``, and for requests and websockets ``request`` or
    ``websocket``, ``session`` and ``url_adapter``.

    :param context: the context inside; by default a new one of the app alone.
    :ivar context: the context inside, which ``async with`` gives.
    """

    def __init__(self, app: ContextApp, context: Context | None = None) -> None:
        self._app = app
        self.context: Context = Context(app) if context is None else context
        self._tokens: list[Token[TaskContext]] = []

    async def push(self) -> None:
        """Make this the current context of the task. For each push there is a :meth:`pop` in the same task.

        An error of a receiver of ``appcontext_pushed`` is raised, and the context is popped then.
        """
        self._tokens.append(self.context.push())
        try:
            await self._begin()
        except BaseException as error:
            await self.pop(error)  # noqa: ASYNC102 - the teardown shields itself
            raise

    async def _begin(self) -> None:
        if signals.appcontext_pushed.receivers:
            await signals.send(signals.appcontext_pushed, self._app)

    async def pop(self, exc: BaseException | None = None) -> None:
        """Make the context current that was so before; with the last pop, the teardown hooks are called before.

        A cancellation waits for them.

        :param exc: the error by which the block ends, for the teardown hooks.
        :raises RuntimeError: if the context is not pushed.
        """
        if not self._tokens:
            raise RuntimeError("the context is popped and was not pushed: there is one pop() for each push()")
        token = self._tokens.pop()
        try:
            if not self._tokens:
                await self._tear_down(exc)
        finally:
            self.context.pop(token)
            if signals.appcontext_popped.receivers:
                await signals.send_shielded(  # noqa: ASYNC102 - shields itself
                    self._app.logger, signals.appcontext_popped, self._app
                )

    async def auto_pop(self, exc: BaseException | None) -> None:
        """Do what :meth:`pop` does: nothing preserves a context in triows but the test client, which has its own."""
        await self.pop(exc)

    def copy(self) -> Self:
        """Return a context like this one, with the same ``g``, which is not pushed."""
        other = self._copy()
        other.context.g = self.context.g
        return other

    def _copy(self) -> Self:
        return type(self)(self._app)

    async def _tear_down(self, error: BaseException | None) -> None:
        await tear_down_app_context(self._app, error)

    async def __aenter__(self) -> Context:
        await self.push()
        return self.context

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.pop(error)  # noqa: ASYNC102 - the teardown shields itself

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "context":  # while it is copied or unpickled
                raise AttributeError(name)
            return getattr(self.context, name)


class SubjectContext(AsyncContext):
    """The context of one request or websocket. The first push finds the route and opens the session.

    :param session: in place of the one that would be opened.
    """

    def __init__(self, app: ContextApp, stages: ContextStages, session: SessionMixin | None) -> None:
        super().__init__(app, stages.context)
        self.context.session = session
        self._stages = stages

    async def _begin(self) -> None:
        await super()._begin()
        if len(self._tokens) > 1:
            return
        self.match_request()
        if self.context.session is None:
            await self._stages.open_session()

    def match_request(self) -> None:
        """Find the rule for the URL. The first push calls it; a subclass may override it."""
        self._stages.match()

    async def _tear_down(self, error: BaseException | None) -> None:
        await self._stages.tear_down(error)
