"""One connection in ASGI's sense: one HTTP request (:mod:`.http`) or one websocket (:mod:`.websocket`).

It is not a TCP connection, which may carry many requests: that is :mod:`triows.server.http1`.

A server makes a :class:`Connection` and calls :meth:`Connection.serve` in a task. The app's callable runs inside the
connection's cancel scope, and the handler inside a nursery in that scope.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from secrets import token_hex
from traceback import walk_tb
from typing import Any, TypeVar

import trio

from ..errors import CancelledSwallowedError
from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..tasks.cancellation import HandlerWatch
from ..tasks.error_log import error_log as logger
from ..tasks.exception_groups import ends_program, foreign_cancellation, leaves, split_cancelled
from ..tasks.functions import describe
from ..tasks.shields import open_shields
from .stats import Counters

T = TypeVar("T")


class NoNurseryError(RuntimeError, AttributeError):
    """There is no nursery now.

    It is an AttributeError as well, so that ``hasattr()`` is False, and tools that read every attribute pass it by.
    """


class Connection(ABC):
    """One HTTP request or one websocket.

    :ivar head: the request's head.
    :ivar scope: the cancel scope around everything that the app does for this connection.
    :ivar disconnect: why the client is gone, or None; set before anything is cancelled.
    :ivar error: the handler's error that nobody handled; the test client raises it.
    :ivar status: of the HTTP response that was begun, 101 for a websocket that was accepted; None until then.
    :ivar request_id: the id of the request or websocket in logs; None as long as nobody has asked for one.
    :ivar counters: where the connection is counted; None until the app has it.
    """

    _kind = "request"

    __slots__ = (
        "__weakref__",
        "_nursery",
        "_watch",
        "counters",
        "disconnect",
        "error",
        "head",
        "request_id",
        "scope",
        "status",
    )

    def __init__(self, head: Head) -> None:
        self.head: Head = head
        self.scope: trio.CancelScope = trio.CancelScope()
        self.disconnect: Disconnect | None = None
        self.error: BaseException | None = None
        self.status: int | None = None
        self.counters: Counters | None = None
        self.request_id: str | None = None
        self._nursery: trio.Nursery | None = None
        self._watch: HandlerWatch | None = None

    @property
    def swallowed_error(self) -> CancelledSwallowedError | None:
        """The error to report if the handler has swallowed the disconnect's ``Cancelled``, else None."""
        return None if self._watch is None else self._watch.swallowed_error

    def identify(self) -> str:
        """Return the id, a random one of 128 bits if there is none yet."""
        if self.request_id is None:
            self.request_id = token_hex(16)
        return self.request_id

    def count(self, counters: Counters) -> None:
        """Count this connection in ``counters`` until it ends."""
        self.counters = counters

    def _count_end(self, counters: Counters) -> None:
        if self.swallowed_error is not None:
            counters.swallowed_cancellations += 1
        if self.error is not None and self.error is not self.swallowed_error:
            counters.handler_errors += 1

    @property
    def nursery(self) -> trio.Nursery:
        """The nursery that the handler runs in; its tasks live as long as the handler and its children do."""
        if self._nursery is None:
            raise NoNurseryError("there is a nursery only while the handler of this connection runs")
        return self._nursery

    @property
    def name(self) -> str:
        """What runs for this connection: the handler, with file and line, or the path while no handler runs."""
        if self._nursery is None or self._watch is None:
            return f"{self._kind} for {self.head.raw_path!r}"
        return describe(self._watch.function)

    async def run_handler(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, name: Callable[..., Any] | None = None
    ) -> T:
        """Run ``function(*args)`` as the handler, in its own nursery, and wait for its children.

        Raises what escapes the handler or a child task: in an exception group, as the nursery raises it, if child tasks
        are left at that moment or the nursery was cancelled; otherwise bare. Returns None if a cancellation of the
        nursery's own scope ended the handler. ``name`` is the function that messages name, if it is not ``function``.
        """
        error: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._watch = watch = HandlerWatch(name or function)
                if self.scope.cancel_called:
                    watch.reason = self._cancel_reason()
                try:
                    return await watch.drive(function(*args))  # noqa: ASYNC121 - children come first
                except BaseException as raised:  # noqa: ASYNC103 - raised below
                    if nursery.child_tasks or nursery.cancel_scope.cancel_called:
                        raise
                    # No child is left to cancel or to wait for: raised outside of the nursery, it needs no group.
                    error = raised
        finally:
            self._nursery = None
        if error is None:
            return None
        try:
            raise error
        finally:
            del error  # it refers to this frame

    async def serve(self, handle: Callable[[Connection], Awaitable[None]]) -> None:
        """Run the app's callable for this connection and bring the connection to its end, in the calling task.

        An exception that ends the program is raised at once; the caller then calls :meth:`finish` or :meth:`abort`.
        """
        try:
            try:
                with self.scope:
                    await handle(self)
            except BaseException as raised:  # noqa: ASYNC103 - raised again, unless it is an error
                cancelled, error = split_cancelled(raised)
                if error is not None:
                    self._take_error(error)
                if cancelled is not None:
                    self._take_cancellation(cancelled)
            swallowed_error = self.swallowed_error
            if swallowed_error is not None:
                logger.error("%s", swallowed_error, extra={"request_id": self.request_id})
                self.error = self.error or swallowed_error
            await self.finish()
        finally:
            if self.counters is not None:
                self._count_end(self.counters)

    def _take_error(self, error: BaseException) -> None:
        """Keep the error as ``error``, and log it. One that ends the program is raised instead of logged."""
        if ends_program(error):
            self._log_exits(error)
            self.error = error
            raise error
        self._log_error("handling %.1000r failed outside of its handler", error)
        self.error = error

    def _log_exits(self, error: BaseException) -> None:
        """Name who ends the program by SystemExit, of which Python says nothing."""
        for leaf in leaves(error):
            if isinstance(leaf, SystemExit):
                text = "%s %.1000a: %.1000r in %s ends the program"
                details = (ascii(self.head.method)[1:-1], self.head.path, leaf, _raiser(leaf))
                logger.error(text, *details, extra={"request_id": self.request_id})

    def _log_error(self, message: str, error: BaseException) -> None:
        # The context of the request, where records get their id from, is over.
        logger.error(message, self.head.raw_path, exc_info=error, extra={"request_id": self.request_id})

    def _take_cancellation(self, raised: BaseException) -> None:
        """Handle a ``Cancelled`` that has left the connection's scope.

        If a scope around that is cancelled, drop the connection and raise the ``Cancelled``. If none is, somebody kept
        the exception and raised it again: log that as the handler's error.
        """
        foreign = foreign_cancellation(raised)
        if foreign is None:
            self.abort()
            raise raised from None
        self._log_error("handling %.1000r failed", foreign)
        self.error = foreign

    def cancel_handler(self) -> None:
        """Cancel everything that the app does for this connection, with the disconnect as the reason."""
        if not self.scope.cancel_called:
            reason = self._cancel_reason()
            if self._watch is not None:
                self._watch.reason = reason
            self.scope.cancel(reason=reason)

    def force_end(self) -> str | None:
        """End by force what has outlived its cancellation: open the shields inside the scope, and drop the connection.

        Returns the name of what still runs. If nothing does, or only teardown hooks, which have a timeout of their own,
        nothing is dropped, and it returns None.
        """
        if not open_shields(self.scope):
            return None
        self.abort()
        return self.name

    @abstractmethod
    def end_by(self, disconnect: Disconnect) -> None:
        """End the connection from outside, with ``disconnect`` as the reason; the first reason stays.

        The handler is cancelled: at once, or on a websocket with unread messages when it has received them or has not
        called ``receive()`` for ``drain_timeout``. The client may still be there: keepalive, limits and shutdown call
        this too.
        """

    @abstractmethod
    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with an HTTP response, to a request or websocket handshake that has no answer yet."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection at once."""

    async def finish(self) -> None:
        """Bring the connection to its end after the app's callable has returned; drop it if this is cancelled."""
        try:
            await self._finish()
        except BaseException:
            self.abort()
            raise

    @abstractmethod
    async def _finish(self) -> None: ...

    def _cancel_reason(self) -> str:
        return f"{self._kind} disconnected: {self.disconnect.describe() if self.disconnect else 'no reason'}"


def _raiser(error: BaseException) -> str:
    """The function that has raised an error, with its file and line."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f"{frame.f_code.co_qualname}() ({frame.f_code.co_filename}:{line})"
