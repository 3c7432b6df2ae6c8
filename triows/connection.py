"""The core of a connection, whatever carries it: what a handler holds on to and what cancels it.

A :class:`Connection` is one HTTP request or one websocket. Servers make it and call :meth:`Connection.serve` in its
task; the app's callable runs inside its cancel scope, and the handler inside a nursery in there.

How a websocket ends (DESIGN, "Disconnect"), all through :meth:`WebSocketConnection.lose`, which is idempotent:

- the value is set first, and only then is anybody cancelled;
- with unread messages the scope stays whole until ``receive()`` is called with none left, or nobody asks for them
  for ``drain_timeout``;
- a local close does not cancel: ``receive()`` and ``send()`` raise :exc:`WebSocketClosed` from then on.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from math import inf
from time import perf_counter
from typing import Any, TypeVar

import trio
from trio.lowlevel import ParkingLot, checkpoint, checkpoint_if_cancelled, current_task, wait_task_rescheduled

from .ends import Disconnect, Head, Headers
from .errors import WebSocketClosed, WebSocketStateError
from .limits import WebSocketLimits
from .protocol.frames import GOING_AWAY, INTERNAL_ERROR, NORMAL, check_close
from .protocol.messages import Inbox
from .supervision import Watch
from .transport import WebSocketTransport
from .waiting import Timer, Timers, Waiter

T = TypeVar("T")

logger = logging.getLogger("triows.error")

# receive() and send() let other tasks run at the latest after this many calls or seconds of uninterrupted run.
_CALLS_PER_RUN = 64
_SECONDS_PER_RUN = 0.001


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

        Raises what escapes the handler or a child, in groups as nurseries do. ``name`` is the function to name in
        messages, if it is another.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._watch = watch = Watch(name or function)
                if self.scope.cancel_called:
                    watch.reason = self._cancel_reason()
                return await watch.drive(function(*args))  # noqa: ASYNC121 - children come first
        finally:
            self._nursery = None

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


_CONNECTING, _OPEN, _CLOSED, _REJECTED = "connecting", "open", "closed", "rejected"

# After these kinds of disconnect nobody reads what is sent; after the others the client still does.
_UNHEARD = ("closed", "lost", "timeout")


class WebSocketConnection(Connection):
    """One websocket: inbox, sending, closing.

    :ivar inbox: whole messages that arrived and were not received yet.
    :ivar limits: the limits that hold for it.
    :ivar transport: what carries it.
    :ivar congested: set by the transport when it buffers as much as ``send_buffer``: send() waits until there is room.
    :ivar latency: the last round trip of a Ping in seconds, or None.
    :ivar implied_accept: called when the first ``receive()`` or ``send()`` finds the handshake unanswered.
    """

    _kind = "websocket"

    __slots__ = (
        "_calls_left",
        "_close_deadline",
        "_drain_timer",
        "_gone",
        "_last_receive",
        "_peer_done",
        "_reader",
        "_receiving",
        "_run_ends",
        "_senders",
        "_sends",
        "_state",
        "congested",
        "implied_accept",
        "inbox",
        "latency",
        "limits",
        "timers",
        "transport",
    )

    def __init__(self, head: Head, transport: WebSocketTransport, limits: WebSocketLimits, timers: Timers) -> None:
        super().__init__(head)
        self.transport = transport
        self.limits = limits
        self.timers = timers
        self.inbox = Inbox()
        self.latency: float | None = None
        self.congested = False
        self.implied_accept: Callable[[], object] = lambda: self.accept([], None)
        self._state = _CONNECTING
        self._gone = False  # nobody reads any more what is sent
        self._sends = False  # open, and somebody is there to read: send() needs to look at nothing else
        self._receiving = False
        self._reader = Waiter()
        self._senders = ParkingLot()
        self._close_deadline = inf
        self._peer_done: trio.Event | None = None  # made by a local close, set by the client's answer
        self._drain_timer: Timer | None = None
        self._last_receive = 0.0
        self._calls_left = _CALLS_PER_RUN
        self._run_ends = 0.0

    # What the handler calls

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted."""
        return self._state in (_OPEN, _CLOSED)

    @property
    def closed(self) -> bool:
        """Whether this side has closed or rejected the websocket."""
        return self._state in (_CLOSED, _REJECTED)

    def accept(self, headers: Headers, subprotocol: str | None) -> None:
        """Accept the handshake; messages that came with it are in the inbox afterwards."""
        if self._state is not _CONNECTING:
            raise WebSocketStateError(f"the websocket cannot be accepted any more: it is {self._state}")
        self._state = _OPEN
        if not self._gone:
            self._sends = True
            self.transport.accept(headers, subprotocol)

    async def reject(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer the handshake with an HTTP response instead."""
        if self._state is not _CONNECTING:
            raise WebSocketStateError(f"the handshake cannot be rejected any more: the websocket is {self._state}")
        self._state = _REJECTED
        if not self._gone:
            await self.transport.reject(status, headers, body)

    async def receive(self) -> str | bytes:
        """The next message. A cancellation loses none."""
        if self._receiving:
            raise trio.BusyResourceError("another task is already in receive() of this websocket")
        if self._state is not _OPEN or self._drain_timer is not None:
            self._prepare_to_receive()
        inbox = self.inbox
        if inbox and self._may_run_on():
            await checkpoint_if_cancelled()
        else:
            self._receiving = True
            try:
                await self._wait_for_message()
            finally:
                self._receiving = False
        # No checkpoint between the wait and here: what is taken out is handed out.
        message = inbox.popleft()
        if not inbox:
            self._inbox_emptied()
        return message

    def _prepare_to_receive(self) -> None:
        if self._state is _CONNECTING:
            self.implied_accept()
        self._check_open("receive")
        self._last_receive = trio.current_time()

    async def _wait_for_message(self) -> None:
        """Return with something in the inbox; a checkpoint that lets other tasks run."""
        if self.inbox:
            await self._yield()
        while not self.inbox:
            if self._state is not _OPEN:
                self._check_open("receive")
            if self.disconnect is not None:
                await self._end_of_messages()
            self.transport.flush()
            # Waiter.park(), spelled out: each coroutine on the way is resumed for each message.
            reader = self._reader
            reader.task = current_task()
            await wait_task_rescheduled(reader.leave)
            self._start_run()
        self._check_open("receive")

    async def _end_of_messages(self) -> None:
        """Nothing is left to receive: let the cancellation that was held back for it go on."""
        self.cancel_handler()
        await checkpoint()
        # Only a shield, or a task that is not the connection's, comes here.
        raise WebSocketClosed(f"receive(): {self._cancel_reason()}", self)

    def _inbox_emptied(self) -> None:
        inbox = self.inbox
        if inbox.size >= self.limits.receive_buffer:
            self.transport.resume_receiving()
        inbox.size = 0

    async def send(self, message: str | bytes) -> None:
        """Put the message whole into the outgoing buffer, after waiting while that is above the high-water mark.

        Cancelled, it has not sent anything.
        """
        if not isinstance(message, (str, bytes)):
            if not isinstance(message, (bytearray, memoryview)):
                raise TypeError(f"a websocket message is str or bytes, not {type(message).__name__}: use send_json()?")
            message = bytes(message)
        if self._may_run_on():
            await checkpoint_if_cancelled()
        else:
            await self._yield()
        if self._sends and not self.congested:
            self.transport.send(message)
        else:
            await self._send_slowly(message)

    async def _send_slowly(self, message: str | bytes) -> None:
        if self._state is _CONNECTING:
            self.implied_accept()
        while self.congested and self._sends:
            self.transport.flush()
            self.room_made()  # what was only put off may be sent now; for the rest the transport will say so
            if self.congested:
                await self._senders.park()
        if self._sends:
            self.transport.send(message)
        else:
            self._check_open("send")  # open, and the client is gone: nobody can get it
        if not self.congested:
            self._senders.unpark()  # one wakes the next, as long as there is room

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Perform the closing handshake, for ``close_timeout`` seconds at most.

        Cancelled, it leaves the rest of the handshake to the end of the connection.
        """
        check_close(code, reason)
        if self._state is _CONNECTING:
            await self.reject(403, [], b"")
        elif self._state is _OPEN:
            self._close(code, reason)
        await self._wait_for_peer()

    def _close(self, code: int, reason: str) -> None:
        self._state = _CLOSED
        self._sends = False
        self._reader.wake()
        self._senders.unpark_all()
        if not self._gone:
            self._peer_done = trio.Event()
            timeout = self.limits.close_timeout
            self._close_deadline = inf if timeout is None else trio.current_time() + timeout
            self.inbox.clear()
            self.transport.send_close(code, reason)
            self.transport.resume_receiving()

    async def _wait_for_peer(self) -> None:
        if self._peer_done is None:
            await checkpoint()
        else:
            with trio.CancelScope(deadline=self._close_deadline):
                await self._peer_done.wait()

    def _check_open(self, call: str) -> None:
        if self._state is not _OPEN:
            raise WebSocketClosed(f"{call}(): the websocket is {self._state}", self)

    # Fairness: calls that find their message or their room at once do not go through the scheduler each

    def _may_run_on(self) -> bool:
        self._calls_left -= 1
        return self._calls_left > 0 and perf_counter() < self._run_ends

    def _start_run(self) -> None:
        self._calls_left = _CALLS_PER_RUN
        self._run_ends = perf_counter() + _SECONDS_PER_RUN

    async def _yield(self) -> None:
        await checkpoint()
        self._start_run()

    # What the transport calls

    def messages_arrived(self) -> None:
        """There is something in the inbox."""
        if self._state is _CLOSED:
            self.inbox.clear()  # after a local close they are read only to find the client's Close
        else:
            self._reader.wake()

    def room_made(self) -> None:
        """Some of what was buffered has been sent."""
        if self.congested and self.transport.buffered < self.limits.send_buffer:
            self.congested = False
            self._senders.unpark()

    def lose(self, disconnect: Disconnect) -> None:
        """The connection ends from outside. The first call gives the reason; after a local close only shutdown does."""
        if disconnect.kind in _UNHEARD:
            self._gone = True
            self._sends = False
            self._senders.unpark_all()
            if self._peer_done is not None:
                self._peer_done.set()
        if self.disconnect is not None or (self.closed and disconnect.kind != "shutdown"):
            return
        self.disconnect = disconnect
        if self.inbox and not self.closed:
            self._start_draining()
        else:
            self.cancel_handler()

    def cancel_handler(self) -> None:
        super().cancel_handler()
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        if self._sends and self.disconnect is not None and self.disconnect.kind == "protocol_error":
            # What came before the fault has been handed out and answered: the fault's Close frame comes now.
            self._sends = False
            self._gone = True
            self.transport.send_close(self.disconnect.code, self.disconnect.reason)
        self._reader.wake()

    def _start_draining(self) -> None:
        self._last_receive = trio.current_time()
        if self.limits.drain_timeout is not None:
            self._drain_timer = self.timers.call_later(self.limits.drain_timeout, self._check_draining)

    def _check_draining(self) -> None:
        timeout = self.limits.drain_timeout
        assert timeout is not None
        if trio.current_time() - self._last_receive >= timeout:
            self.cancel_handler()
        else:
            self._drain_timer = self.timers.call_at(self._last_receive + timeout, self._check_draining)

    # The end

    def abort(self) -> None:
        self._sends = False
        self.transport.abort()

    async def _finish(self) -> None:
        disconnect = self.disconnect
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        if self._state is _CONNECTING:
            await self.reject(500 if self.error else 503 if disconnect else 403, [], b"")
        elif self._state is _OPEN:
            if disconnect is None:
                self._close(INTERNAL_ERROR if self.error else NORMAL, "")
            elif disconnect.kind == "shutdown":
                self._close(GOING_AWAY, disconnect.reason)
            else:
                self.cancel_handler()
                self._close(disconnect.code, disconnect.reason)
        await self._wait_for_peer()
        await self.transport.finish()
