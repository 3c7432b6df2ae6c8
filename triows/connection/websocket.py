"""One websocket, whatever carries it: its inbox, sending, streaming, closing, and how it ends.

What the handler's calls and a disconnect do in each state. "Raises" means: raises :exc:`WebSocketClosed`.

============  =====================  =====================  ====================  =====================================
state         receive()              send(), ping()         close()               disconnect
============  =====================  =====================  ====================  =====================================
connecting    accepts: open          accepts: open          sends 403: rejected   cancels the handler
open          waits for a message    sends                  sends Close: closed   draining, or cancels the handler
draining      takes a message, or    sends if the peer      sends Close: closed   stops output, if the peer is gone
              cancels the handler    reads; ping() raises
closed        raises                 raises                 waits for the peer's  ends that wait; at shutdown, cancels
                                                            Close                 the handler
rejected      raises                 raises                 does nothing          at shutdown, cancels the handler
============  =====================  =====================  ====================  =====================================

- "Draining" is open with a disconnect and unread messages. It ends when ``receive()`` finds no message, or when nobody
  calls it for ``drain_timeout``.
- Every disconnect comes through :meth:`WebSocketConnection.end_by`. The first one sets ``disconnect``, before anybody
  is cancelled. A later one does not replace it.
- The peer counts as reading until a ``closed``, ``lost`` or ``timeout`` disconnect, the first one or a later one.
  Then output is dropped.

``receive()`` and ``send()`` run for every message. Rare states leave them early, through ``prepare_to_receive()`` and
``_send_slowly()``. Small helpers are inlined, since each call or coroutine costs for each message.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import inf
from time import perf_counter
from typing import Any

import trio
from trio.lowlevel import Task, checkpoint, checkpoint_if_cancelled

from ..errors import WebSocketClosed, WebSocketStateError
from ..protocol.disconnect import Disconnect
from ..protocol.head import Head
from ..protocol.headers import Headers
from ..protocol.websocket.close_codes import GOING_AWAY, INTERNAL_ERROR, NORMAL, checked_close
from ..protocol.websocket.inbox import Inbox
from ..protocol.websocket.partial_message import PartialMessage
from ..tasks.progress import ProgressWatch
from ..tasks.timers import Timers
from ..tasks.waiter import Waiter
from .base import Connection
from .limits import WebSocketLimits
from .senders import Senders
from .stats import Counters, Ending, Traffic
from .transport import RoundTrips, WebSocketTransport, as_message

# A call of receive() or send() that need not wait passes through Trio's scheduler once in 64 calls, or after 1 ms. Both
# are promised in the docs; they were chosen for fairness, and no bench found them.
_CALLS_PER_BURST = 63
_SECONDS_PER_BURST = 0.001


class _State(Enum):
    """The rows of the table above; the values are the words of error messages. Members are compared with ``is``."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"
    REJECTED = "rejected"


_CONNECTING, _OPEN, _CLOSED, _REJECTED = _State

_PEER_IS_GONE = ("closed", "lost", "timeout")  # kinds of disconnect after which nobody reads what is sent
_ENDED_HERE = ("shutdown", "server")  # kinds after which the client still reads, and nothing more is read from it
_MESSAGE_TYPES = frozenset((str, bytes))


class WebSocketConnection(Connection):
    """One websocket: inbox, sending, closing.

    :ivar inbox: whole messages that arrived and were not received yet.
    :ivar receiving: whether a task is receiving, a whole message or one in pieces.
    :ivar streaming: whether that task receives in pieces.
    :ivar streamed: the message that is received in pieces, once it has begun; or None.
    :ivar senders: the tasks that send, and those that wait for room.
    :ivar context: the app's, which the connection only keeps.
    :ivar implied_accept: called when the first ``receive()`` or ``send()`` finds the handshake unanswered.
    """

    _kind = "websocket"

    __slots__ = (
        *("transport", "limits", "timers", "context", "latency", "_round_trips"),
        *("_state", "implied_accept"),
        *("inbox", "receiving", "streaming", "streamed", "_reader"),
        *("_can_send", "_gone", "senders"),
        *("_own_close", "_close_deadline", "_peer_done"),
        *("_draining", "_last_receive"),
        *("_calls_left", "_burst_ends"),
    )

    def __init__(self, head: Head, transport: WebSocketTransport, limits: WebSocketLimits, timers: Timers) -> None:
        super().__init__(head)
        self.transport = transport
        self.limits = limits
        self.timers = timers
        self.context: Any = None
        self.latency: float | None = None
        self._round_trips = RoundTrips()
        # The state: with ``disconnect``, the row of the table.
        self._state = _CONNECTING
        self.implied_accept: Callable[[], object] = self._accept_plainly
        # Reading. The reader is the one task that may receive.
        self.inbox: Inbox = Inbox()
        self.receiving: bool = False
        self.streaming: bool = False
        self.streamed: PartialMessage | None = None
        self._reader = Waiter()
        # Writing. send() looks at _can_send alone: open, not _gone, and no sender has to wait.
        self._can_send = False
        self._gone = False  # nobody reads any more what is sent
        self.senders: Senders = Senders()
        # The closing handshake that this side began.
        self._own_close: Ending | None = None  # by this side's Close frame; None if the client's disconnect came first
        self._close_deadline = inf
        self._peer_done: trio.Event | None = None  # made by a local close; set when the peer's has come, or cannot come
        # Draining.
        self._draining: ProgressWatch | None = None  # over the handler's calls of receive()
        self._last_receive = 0.0
        # Fairness: what is left of the burst of calls that return without a pass through Trio's scheduler.
        self._calls_left = _CALLS_PER_BURST
        self._burst_ends = 0.0

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
        """Accept the handshake, and receive: messages that came right behind it may be in the inbox afterwards."""
        if self._state is not _CONNECTING:
            raise WebSocketStateError(f"the websocket cannot be accepted any more: it is {self._state.value}")
        self._state = _OPEN
        if not self._gone:
            self.status = 101
            self._update_can_send()
            self.transport.accept(headers, subprotocol)

    def _accept_plainly(self) -> None:
        self.accept([], None)

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        await self.reject(status, headers, body)

    async def reject(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer the handshake with an HTTP response instead."""
        if self._state is not _CONNECTING:
            raise WebSocketStateError(
                f"the handshake cannot be rejected any more: the websocket is {self._state.value}"
            )
        self._state = _REJECTED
        if not self._gone:
            self.status: int | None = status
            await self.transport.reject(status, headers, body)

    # Receiving

    async def receive(self) -> str | bytes:
        """The next message. A cancellation loses none."""
        if self.receiving:
            raise trio.BusyResourceError("another task is already receiving from this websocket")
        if self._state is not _OPEN or self._draining is not None:
            self.prepare_to_receive("receive")
        inbox = self.inbox
        if inbox and self._calls_left > 0 and perf_counter() < self._burst_ends:
            self._calls_left -= 1
            await checkpoint_if_cancelled()
        else:
            self.receiving = True
            try:
                if inbox:
                    await checkpoint()
                # wait() and _start_burst(), inlined.
                while not inbox:
                    transport = self.transport
                    if transport.has_deferred_io:
                        transport.run_deferred_io()
                        # Going on with held bytes is up to a millisecond of work: let other tasks run after it.
                        if inbox or transport.has_deferred_io:
                            await checkpoint()
                    elif self.disconnect is not None or self._state is not _OPEN:
                        await self._end_of_messages()
                    else:
                        await self._reader.park()
            finally:
                self.receiving = False
            self._calls_left = _CALLS_PER_BURST
            self._burst_ends = perf_counter() + _SECONDS_PER_BURST
        # No checkpoint from here to the return: a message removed from the inbox is always delivered.
        if len(inbox) == 1:
            size, inbox.size = inbox.size, 0  # reset_size(), inlined
            if size >= self.limits.receive_buffer:
                # Resuming may find the end of the connection: the message is in the inbox, and is delivered first.
                self.transport.resume_receiving()
        return inbox.popleft()

    @property
    def wants_whole_message(self) -> bool:
        """Whether the handler waits for a whole message, so that it may become as large as the limit allows."""
        return self.receiving and not self.streaming

    def require_open(self, call: str) -> None:
        """Accept the handshake if it is unanswered; raise WebSocketClosed unless the websocket is open then."""
        if self._state is _CONNECTING:
            self.implied_accept()
        self.check_open(call)

    def prepare_to_receive(self, call: str) -> None:
        """The same as :meth:`require_open`, and note the time of the call for ``drain_timeout``."""
        self.require_open(call)
        self._last_receive = trio.current_time()

    async def wait(self) -> None:
        """Wait until something may have arrived, or for the cancellation by the disconnect."""
        if self.transport.has_deferred_io:
            self.transport.run_deferred_io()
            if self.transport.has_deferred_io:
                await checkpoint()
        elif self.disconnect is not None or self._state is not _OPEN:
            await self._end_of_messages()
        else:
            await self._reader.park()
            self._start_burst()

    async def _end_of_messages(self) -> None:
        """No message is left: let the cancellation go on, which was held back while messages were unread."""
        self.check_open("receive")
        self.cancel_handler()
        await checkpoint()
        # Only a shielded task, or one outside of the connection's scope, is not cancelled by now.
        raise WebSocketClosed(f"receive(): {self._cancel_reason()}", self)

    # Sending

    async def send(self, message: str | bytes) -> None:
        """Put the message whole into the outgoing buffer, after waiting while that is above the high-water mark.

        If it is cancelled, nothing was sent.
        """
        if self._calls_left > 0 and perf_counter() < self._burst_ends:
            self._calls_left -= 1
            await checkpoint_if_cancelled()
        else:
            await checkpoint()
            self._start_burst()
        if self._can_send and type(message) in _MESSAGE_TYPES:
            self.transport.send(message)
        else:
            await self._send_slowly(message)

    async def _send_slowly(self, message: str | bytes) -> None:
        message = as_message(message)
        if self._state is _CONNECTING:
            self.implied_accept()
        await self.wait_for_turn()
        if not self.senders.congested:
            self.senders.wake()  # each wakes the next, as long as there is room
        if self.peer_reads:
            self.transport.send(message)
        else:
            self.check_open("send")  # open, and the client is gone: the message is dropped

    async def wait_for_turn(self) -> None:
        """Wait for room to send a new message."""
        self.senders.check_message_is_own()
        await self.wait_for_room()

    async def wait_for_room(self) -> None:
        """Wait while there is no room to send, or another task is sending a message in pieces."""
        while self.peer_reads and self.senders.must_wait:
            self.transport.flush()
            self.room_made()  # by the flush; later the transport calls this itself
            if self.senders.must_wait:
                await self.senders.park()

    def set_fragment_sender(self, task: Task | None) -> None:
        """Only ``task`` may send from now on, a message in pieces. With None every task may again."""
        self.senders.fragment_sender = task
        self._update_can_send()
        if task is None:
            self.senders.wake()

    def abort_message(self) -> None:
        """A message in pieces will not be completed: nothing can follow it but the Close frame."""
        if self.peer_reads:
            if self.disconnect is None:
                self.close_now(INTERNAL_ERROR, "a message was broken off")
            else:
                self.close_now(self.disconnect.code, self.disconnect.reason)

    @property
    def peer_reads(self) -> bool:
        """Whether what is sent can reach the peer."""
        return self._state is _OPEN and not self._gone

    def _update_can_send(self) -> None:
        self._can_send = self.peer_reads and not self.senders.congested and self.senders.fragment_sender is None

    # Pinging

    async def ping(self) -> float:
        """Return the seconds from a Ping to its Pong. Raises WebSocketClosed if the connection ends first."""
        self.require_open("ping")
        await checkpoint()
        self.check_open("ping")
        if self.disconnect is None:
            seconds = await self._round_trips.make(self.transport)
            if seconds is not None:
                return seconds
            self.check_open("ping")
        raise WebSocketClosed(f"ping(): {self._cancel_reason()}", self)

    # Closing

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Perform the closing handshake, for ``close_timeout`` seconds at most.

        If it is cancelled, the rest of the handshake is left to the end of the connection.
        """
        code, reason = checked_close(code, reason)
        if self._state is _CONNECTING:
            await self.reject(403, [], b"")
        elif self._state is _OPEN:
            self.close_now(code, reason)
        await self._wait_for_peer()

    def close_now(self, code: int, reason: str) -> None:
        """Send the Close frame, and wait for nothing: :meth:`close` without the rest of the handshake."""
        self._state = _CLOSED
        self._can_send = False
        self._reader.wake()
        self.senders.wake_all()
        self._round_trips.end()
        if not self._gone:
            if self.disconnect is None or self.disconnect.kind == "shutdown":
                self._own_close = Ending(code, reason, "shutdown" if self.disconnect else "server")
            self._peer_done = trio.Event()
            timeout = self.limits.close_timeout
            self._close_deadline = inf if timeout is None else trio.current_time() + timeout
            self.inbox.clear()
            if self.streamed is not None:
                self.streamed.drop()
            self.transport.send_close(code, reason)
            self.transport.resume_receiving()

    async def _wait_for_peer(self) -> None:
        if self._peer_done is None:
            await checkpoint()
        else:
            with trio.CancelScope(deadline=self._close_deadline):
                await self._peer_done.wait()

    def check_open(self, call: str) -> None:
        if self._state is not _OPEN:
            raise WebSocketClosed(f"{call}(): the websocket is {self._state.value}", self)

    # Fairness

    async def pass_checkpoint(self) -> None:
        if self._calls_left > 0 and perf_counter() < self._burst_ends:
            self._calls_left -= 1
            await checkpoint_if_cancelled()
        else:
            await checkpoint()
            self._start_burst()

    def _start_burst(self) -> None:
        self._calls_left = _CALLS_PER_BURST
        self._burst_ends = perf_counter() + _SECONDS_PER_BURST

    # What the transport calls: see CarriedWebSocket

    def messages_arrived(self) -> None:
        if self._state is _CLOSED:
            self.inbox.clear()  # after a local close, messages are read only to find the client's Close
        else:
            self._reader.wake()

    def buffer_filled(self) -> None:
        self.senders.congested = True
        self._can_send = False

    def room_made(self) -> None:
        if self.senders.congested and self.transport.buffered < self.limits.send_buffer:
            self.senders.congested = False
            self._update_can_send()
            self.senders.wake()

    def end_by(self, disconnect: Disconnect) -> None:
        """See :meth:`Connection.end_by`. After a local close, no disconnect but that of a shutdown is recorded."""
        if disconnect.kind in _PEER_IS_GONE:
            self._gone = True
            self._can_send = False
            self.senders.wake_all()
        if self._peer_done is not None and disconnect.kind != "shutdown":
            self._peer_done.set()  # the client's Close has arrived, or never will
        if self.disconnect is not None or (self.closed and disconnect.kind != "shutdown"):
            return
        self.disconnect: Disconnect | None = disconnect
        if disconnect.kind in _ENDED_HERE and not self.closed:
            self.transport.stop_receiving()
        if self._has_unread and not self.closed:
            self._start_draining()
        else:
            self.cancel_handler()
        # Only now: a task in ping() that the cancellation has reached must not raise WebSocketClosed.
        self._round_trips.end()

    @property
    def _has_unread(self) -> bool:
        message = self.streamed
        return bool(self.inbox) or (message is not None and (message.unread > 0 or message.ended))

    def cancel_handler(self) -> None:
        super().cancel_handler()
        if self._draining is not None:
            self._draining.stop()
            self._draining = None
        if self.peer_reads and self.disconnect is not None and self.disconnect.kind == "protocol_error":
            # Nothing holds back the end any more: send the Close frame for the client's fault. No message may follow.
            self._can_send = False
            self._gone = True
            self.transport.send_close(self.disconnect.code, self.disconnect.reason)
        self._reader.wake()

    def _start_draining(self) -> None:
        self._last_receive = trio.current_time()
        timeout = self.limits.drain_timeout
        self._draining = ProgressWatch(self.timers, self._since_last_receive, self.cancel_handler, timeout)
        self._draining.start()

    def _since_last_receive(self) -> float:
        return trio.current_time() - self._last_receive

    # The end, and what is told of it

    @property
    def ending(self) -> Ending:
        """How it ended, or would if the handler ended now."""
        disconnect, ending = self.disconnect, self._own_close
        if ending is None:
            if disconnect is not None:
                return Ending(disconnect.code, disconnect.reason, disconnect.kind)
            ending = Ending(INTERNAL_ERROR if self.error else NORMAL, "", "server")
        return ending._replace(kind="error") if self.error and ending.kind == "server" else ending

    @property
    def traffic(self) -> Traffic:
        """The messages so far."""
        inbox, transport = self.inbox, self.transport
        return Traffic(inbox.messages, inbox.bytes, transport.messages_sent, transport.bytes_sent)

    def count(self, counters: Counters) -> None:
        super().count(counters)
        counters.websockets.add(self)

    def _count_end(self, counters: Counters) -> None:
        super()._count_end(counters)
        counters.count_end(self)

    def abort(self) -> None:
        self._can_send = False
        self.transport.abort()

    async def _finish(self) -> None:
        disconnect = self.disconnect
        if self._draining is not None:
            self._draining.stop()
        if self._state is _CONNECTING:
            gone = disconnect is not None and disconnect.kind != "server"
            await self.reject(500 if self.error else 503 if gone else 403, [], b"")
        elif self._state is _OPEN:
            if disconnect is None:
                self.close_now(INTERNAL_ERROR if self.error else NORMAL, "")
            elif disconnect.kind == "shutdown":
                self.close_now(GOING_AWAY, disconnect.reason)
            else:
                # Sends the Close of a protocol error, if that is still due. close_now() then only sets the state: after
                # a fault the client's Close is not read, so there is nothing to wait for.
                self.cancel_handler()
                self.close_now(disconnect.code, disconnect.reason)
        if self._peer_done is not None:
            await self._wait_for_peer()
        await self.transport.finish()
