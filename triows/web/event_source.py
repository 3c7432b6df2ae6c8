"""The response that a browser's ``EventSource`` reads: server-sent events (HTML, section 9.2).

The events come from an async iterator, in the handler's own task. A second task sends a comment when nothing was sent
for a while, so that proxies keep the connection, and a client that is silently gone is noticed.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Any, cast

import trio

from ..connection.checks import seconds, short_repr
from ..protocol.event_stream import COMMENT
from ..tasks.context import current
from ..tasks.functions import describe, forgotten_await
from .json_codec import STANDARD_JSON
from .response import BodySink, Response
from .server_sent_events import ServerSentEvent, as_event

Event = ServerSentEvent | str | dict[Any, Any] | list[Any]
"""What an event stream is made of."""


class EventSourceResponse(Response):
    """A stream of server-sent events: ``return EventSourceResponse(events())``.

    The response begins at once, with an empty comment, and has no end but that of ``source``. When the client leaves,
    the handler is cancelled, and with it the source; when the server shuts down, the source is cancelled and the
    response ends in order. The headers keep caches and proxies from holding events back; those given in ``headers`` go
    before them.

    :param source: an async iterator, such as an async generator or a :class:`trio.MemoryReceiveChannel`, of
        :class:`~triows.ServerSentEvent`; str, dict and list are messages without a type and an id. Its ``aclose()`` is
        called at the end, if it has one.
    :param keepalive: seconds without an event after which a comment is sent. None: never.
    :raises TypeError: if ``source`` is no async iterator.
    :raises ValueError: if ``keepalive`` is not more than 0.
    """

    default_mimetype: str | None = "text/event-stream"

    def __init__(
        self,
        source: AsyncIterable[Event],
        status: int | str | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        *,
        keepalive: float | None = 15.0,
    ) -> None:
        self._keepalive = seconds("keepalive", keepalive)
        super().__init__(_EncodedEvents(_checked(source)), status, headers)
        self.headers.setdefault("Cache-Control", "no-cache")
        self.headers.setdefault("X-Accel-Buffering", "no")  # nginx's

    async def send_to(self, sink: BodySink) -> None:
        """Send the events until the source ends, or the server shuts down."""
        async with trio.open_nursery() as nursery:
            sink.until_shutdown(nursery.cancel_scope)
            stream = _KeptAlive(sink)
            # Under an ASGI server this is what sends the head, which the browser waits for.
            await stream.send_body(COMMENT)
            if self._keepalive is not None:
                nursery.start_soon(stream.keep_alive, self._keepalive)
            await super().send_to(stream)
            nursery.cancel_scope.cancel()


class _KeptAlive:
    """Sends events, and comments when there are none."""

    def __init__(self, sink: BodySink) -> None:
        self._sink = sink
        self._turn = trio.Lock()  # one task at a time hands its bytes to the connection
        self._sent = trio.current_time()

    def until_shutdown(self, scope: trio.CancelScope) -> None:
        self._sink.until_shutdown(scope)

    async def send_body(self, data: bytes) -> None:
        async with self._turn:
            await self._sink.send_body(data)
            self._sent = trio.current_time()

    async def keep_alive(self, interval: float) -> None:
        while True:
            await trio.sleep_until(self._sent + interval)
            if trio.current_time() >= self._sent + interval:
                await self.send_body(COMMENT)


class _EncodedEvents:
    """The events of a source as bytes. It is no generator, so that nothing but the source has to be closed."""

    def __init__(self, source: AsyncIterable[Event]) -> None:
        self._source = source
        self._events: AsyncIterator[Event] | None = None

    def __aiter__(self) -> _EncodedEvents:
        return self

    async def __anext__(self) -> bytes:
        if self._events is None:
            self._events = aiter(self._source)
        event = as_event(await anext(self._events))
        context = current.get(None)
        return event.encode(STANDARD_JSON if context is None else context.app.json)

    async def aclose(self) -> None:
        close = getattr(self._source if self._events is None else self._events, "aclose", None)
        if close is not None:
            await close()


def _checked(source: object) -> AsyncIterable[Event]:
    if isinstance(source, AsyncIterable):
        return cast("AsyncIterable[Event]", source)
    if inspect.isasyncgenfunction(source):
        raise TypeError(f"EventSourceResponse() got the function {describe(source)}; call it, and give what it returns")
    if hint := forgotten_await(source):
        raise TypeError(f"EventSourceResponse() got a coroutine: {hint}")
    raise TypeError(
        f"EventSourceResponse() got {type(source).__name__} {short_repr(source)}; it takes an async iterator of events,"
        " such as an async generator"
    )
