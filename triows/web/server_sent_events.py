"""One server-sent event, as a handler makes it and a test receives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..connection.checks import short_repr
from ..protocol.event_stream import encode
from ..tasks.functions import forgotten_await
from .json_codec import STANDARD_JSON, JSONCodec
from .json_codec import encode as encode_json


@dataclass(frozen=True, slots=True, init=False)
class ServerSentEvent:
    """An event of an :class:`~triows.EventSourceResponse` (HTML, section 9.2).

    :param data: the message: text, or a dict or list, which is sent as JSON. None: there is no message, and browsers
        dispatch no event.
    :param event: the type of the event, by which a page listens to it; "message" by default.
    :param id: what a browser sends as ``Last-Event-ID`` when it connects again; ``""`` makes it forget the last one.
    :param retry: milliseconds that the browser waits before it connects again.
    :param comment: text that clients read past.
    :raises TypeError: if a value has another type.
    :raises ValueError: if ``event`` or ``id`` holds CR, LF or NUL, ``retry`` is negative, or the event has nothing to
        say.
    """

    data: str | dict[Any, Any] | list[Any] | None = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __init__(
        self,
        data: str | dict[Any, Any] | list[Any] | None = None,
        *,
        event: str | None = None,
        id: str | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> None:
        _check_data(data)
        _check_line("event", event)
        _check_line("id", id)
        _check_retry(retry)
        if comment is not None and not isinstance(comment, str):
            raise TypeError(f"the comment of an event is {short_repr(comment)}; it must be a string")
        if data is None and event is not None:
            raise ValueError(f"an event {event!r} without data is dispatched by no client; give it data=''")
        if data is None and id is None and retry is None and comment is None:
            raise ValueError("an event needs data, an id, retry or a comment")
        for name, value in (("data", data), ("event", event), ("id", id), ("retry", retry), ("comment", comment)):
            object.__setattr__(self, name, value)

    def encode(self, json: JSONCodec = STANDARD_JSON) -> bytes:
        """Return the event as it is sent.

        :param json: encodes a dict or list.
        :raises TypeError: if a value in there has no JSON form.
        """
        fields = []
        if self.comment is not None:
            fields.append(("", self.comment))
        if self.event is not None:
            fields.append(("event", self.event))
        if self.data is not None:
            text = self.data if isinstance(self.data, str) else encode_json(json, self.data)
            fields.append(("data", text))
        if self.id is not None:
            fields.append(("id", self.id))
        if self.retry is not None:
            fields.append(("retry", f"{self.retry}"))
        return encode(fields)


def as_event(value: object) -> ServerSentEvent:
    """Return an event as it is, and a message as an event.

    :raises TypeError: for anything else.
    """
    if isinstance(value, ServerSentEvent):
        return value
    if isinstance(value, str | dict | list):
        return ServerSentEvent(value)
    if hint := forgotten_await(value):
        raise TypeError(f"an event stream got a coroutine: {hint}")
    raise TypeError(
        f"an event stream got {type(value).__name__} {short_repr(value)}; it takes ServerSentEvent, str, dict or list"
    )


def _check_data(data: object) -> None:
    if data is not None and not isinstance(data, str | dict | list):
        if hint := forgotten_await(data):
            raise TypeError(f"the data of an event cannot be a coroutine: {hint}")
        raise TypeError(
            f"the data of an event is {type(data).__name__} {short_repr(data)}; it must be a string, or a dict or list,"
            " which is sent as JSON"
        )


def _check_line(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"the {name} of an event is {short_repr(value)}; it must be a string")
    if not {"\r", "\n", "\0"}.isdisjoint(value):
        raise ValueError(f"the {name} of an event is {short_repr(value)}; CR, LF and NUL cannot be in it")


def _check_retry(value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"the retry of an event is {short_repr(value)}; it must be a whole number of milliseconds")
    if value < 0:
        raise ValueError(f"the retry of an event is {value}; it must be 0 or more milliseconds")
