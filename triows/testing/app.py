"""An app that lives for the time of a test, without a server."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from math import inf
from types import TracebackType
from typing import Any, Protocol, Self

import trio

from ..errors import LifespanError
from .client import TestClient


class AppUnderTest(Protocol):
    """A :class:`triows.Triows`: it lives in ``serving()``, and makes the clients that talk to it."""

    @property
    def config(self) -> MutableMapping[str, Any]: ...
    def serving(self) -> AbstractAsyncContextManager[object]: ...
    def test_client(self, **options: Any) -> TestClient: ...


class TestApp:
    """The app between its start-up and its shutdown: ``async with app.test_app() as test_app:``.

    In the block, the start-up functions have run and ``app.nursery`` is available. An error that ends the app in the
    middle of the block is raised as it is. Enter and leave the block in one task.

    :param startup_timeout: seconds that the start-up may take; None: as long as it likes.
    :param shutdown_timeout: seconds that each part of the shutdown may take, in place of SHUTDOWN_TIMEOUT.
    """

    __test__ = False  # pytest takes any class named Test... for a collection of tests

    def __init__(
        self, app: AppUnderTest, startup_timeout: float | None = None, shutdown_timeout: float | None = None
    ) -> None:
        self.app = app
        self.startup_timeout: float | None = startup_timeout
        self.shutdown_timeout: float | None = shutdown_timeout
        self._life = AsyncExitStack()

    def test_client(self, **options: Any) -> TestClient:
        """Return a client of the app."""
        return self.app.test_client(**options)

    async def startup(self) -> None:
        """Start the app up.

        :raises LifespanError: from the error with which a start-up function failed, and beyond the timeout.
        """
        timeout = self.startup_timeout
        # Around the whole life, as scopes are nested: one that ends with the start-up would be inside of the app's.
        scope = self._life.enter_context(trio.CancelScope())
        scope.deadline = inf if timeout is None else trio.current_time() + timeout
        try:
            await self._life.enter_async_context(self.app.serving())
        except BaseException as error:
            if await self._life.__aexit__(type(error), error, error.__traceback__):  # noqa: ASYNC102 - only the scope's
                text = f"the app failed to start within startup_timeout, {timeout} seconds"
                raise LifespanError(text) from None  # noqa: ASYNC104 - the cancellation was the scope's
            if isinstance(error, Exception):
                raise LifespanError(f"the app failed to start: {error!r}") from error  # noqa: ASYNC104 - no Cancelled
            raise
        scope.deadline = inf

    async def shutdown(self) -> None:
        """Shut the app down; calling it again does nothing.

        :raises LifespanError: from the error with which a shutdown function failed.
        """
        await self.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        await self.startup()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            with self._shutdown_limited():
                return await self._life.__aexit__(kind, error, traceback)  # noqa: ASYNC102 - shields itself
        except Exception as failure:
            if failure is error or isinstance(error, trio.Cancelled):
                raise  # the block's own error, or the one that ended the app, and with it the block
            raise LifespanError(f"the app failed to stop: {failure!r}") from failure

    @contextmanager
    def _shutdown_limited(self) -> Iterator[None]:
        if self.shutdown_timeout is None:
            yield
            return
        config = self.app.config
        former = config["SHUTDOWN_TIMEOUT"]
        config["SHUTDOWN_TIMEOUT"] = self.shutdown_timeout
        try:
            yield
        finally:
            config["SHUTDOWN_TIMEOUT"] = former
