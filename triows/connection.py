"""The core of a connection, whatever carries it: what a handler holds on to and what cancels it.

A :class:`Connection` is one HTTP request or one websocket (:mod:`triows.websocket_connection`). Servers make it and
call :meth:`Connection.serve` in its task; the app's callable runs inside its cancel scope, and the handler inside a
nursery in there.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import trio

from .ends import Disconnect, Head, Headers
from .supervision import Watch

T = TypeVar("T")

logger = logging.getLogger("triows.error")


class Connection(ABC):
    """One HTTP request or one websocket.

    :ivar head: the request's head.
    :ivar scope: the cancel scope around everything that the app does for this connection.
    :ivar disconnect: why the client is gone, or None; set before anything is cancelled.
    :ivar error: the handler's error that nobody handled; the test client raises it.
    """

    _kind = "request"

    __slots__ = ("__weakref__", "_nursery", "_watch", "disconnect", "error", "head", "scope")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.scope = trio.CancelScope()
        self.disconnect: Disconnect | None = None
        self.error: BaseException | None = None
        self._nursery: trio.Nursery | None = None
        self._watch: Watch | None = None

    @property
    def nursery(self) -> trio.Nursery:
        """The nursery that the handler runs in; its tasks live as long as the handler and its children do."""
        if self._nursery is None:
            raise RuntimeError("there is a nursery only while the handler of this connection runs")
        return self._nursery

    async def run_handler(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, name: Callable[..., Any] | None = None
    ) -> T:
        """Run ``function(*args)`` as the handler, in its own nursery, and wait for its children.

        Raises what escapes the handler or a child: in groups as nurseries do, if the handler has any children then.
        ``name`` is the function to name in messages, if it is another.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._watch = watch = Watch(name or function)
                if self.scope.cancel_called:
                    watch.reason = self._cancel_reason()
                try:
                    return await watch.drive(function(*args))  # noqa: ASYNC121 - children come first
                except BaseException as raised:  # noqa: ASYNC103 - raised below
                    if nursery.child_tasks:
                        raise
                    # Nobody is left to be cancelled or waited for: no group is made, only to be taken apart again.
                    error = raised
        finally:
            self._nursery = None
        try:
            raise error
        finally:
            del error  # it refers to this frame

    async def serve(self, handle: Callable[[Connection], Awaitable[None]]) -> None:
        """Run the app's callable for this connection and bring the connection to its end, in the calling task."""
        try:
            with self.scope:
                await handle(self)
        except Exception as error:
            logger.exception("handling %r failed outside of its handler", self.head.raw_path)
            self.error = error
        except BaseExceptionGroup as group:
            self.abort()
            cancelled, errors = group.split(trio.Cancelled)
            if errors is not None:
                if not isinstance(errors, Exception):
                    raise  # KeyboardInterrupt and its like stop the program
                logger.error("handling %r failed outside of its handler", self.head.raw_path, exc_info=errors)
            if cancelled is not None:
                raise cancelled from None
        except BaseException:
            self.abort()
            raise
        watch = self._watch
        if watch is not None and watch.swallowed is not None:
            logger.error("%s", watch.swallowed)
            self.error = self.error or watch.swallowed
        try:
            await self._finish()
        except BaseException:
            self.abort()
            raise

    def cancel_handler(self) -> None:
        """Cancel everything that the app does for this connection, with the disconnect as the reason."""
        if not self.scope.cancel_called:
            reason = self._cancel_reason()
            if self._watch is not None:
                self._watch.reason = reason
            self.scope.cancel(reason=reason)

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection at once."""

    @abstractmethod
    async def _finish(self) -> None:
        """Bring the connection to its end after the app's callable has returned."""

    def _cancel_reason(self) -> str:
        return f"{self._kind} disconnected: {self.disconnect.describe() if self.disconnect else 'no reason'}"


class HTTPConnection(Connection):
    """One HTTP request and its response.

    :ivar response_started: whether a response was begun; from then on no other can be sent.
    """

    __slots__ = ("response_started",)

    def __init__(self, head: Head) -> None:
        super().__init__(head)
        self.response_started = False

    @abstractmethod
    async def receive_body(self) -> bytes:
        """The next piece of the request's body, ``b""`` at its end. Cancellation loses nothing."""

    @abstractmethod
    async def send_response(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response; the body is left out for HEAD."""

    @abstractmethod
    async def start_response(self, status: int, headers: Headers) -> None:
        """Begin a streamed response; its body is chunked unless the headers tell its length."""

    @abstractmethod
    async def send_body(self, data: bytes) -> None:
        """Send a piece of a streamed body. Waits while the client does not keep up."""

    @abstractmethod
    async def end_response(self) -> None:
        """End a streamed response."""

    def lose(self, disconnect: Disconnect) -> None:
        """The client is gone: cancel the handler."""
        if self.disconnect is None:
            self.disconnect = disconnect
            self.cancel_handler()
