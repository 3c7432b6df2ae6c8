"""Server-sent events by themselves: what they may hold, and how they are sent."""

from __future__ import annotations

import re
from typing import Any

import pytest

from triows import ServerSentEvent


def test_an_event_with_everything() -> None:
    event = ServerSentEvent("a\nb", event="tick", id="5", retry=1000, comment="why")
    assert event.encode() == b": why\nevent: tick\ndata: a\ndata: b\nid: 5\nretry: 1000\n\n"


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (ServerSentEvent(""), b"data: \n\n"),
        (ServerSentEvent({"b": 1, "a": [2]}), b'data: {"a": [2], "b": 1}\n\n'),
        (ServerSentEvent([]), b"data: []\n\n"),
        (ServerSentEvent(comment=""), b": \n\n"),
        (ServerSentEvent(id=""), b"id: \n\n"),
        (ServerSentEvent(retry=0), b"retry: 0\n\n"),
    ],
)
def test_less_than_everything(event: ServerSentEvent, sent: bytes) -> None:
    assert event.encode() == sent


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "an event needs data, an id, retry or a comment"),
        ({"event": "tick"}, ValueError, "an event 'tick' without data is dispatched by no client; give it data=''"),
        (
            {"data": 5},
            TypeError,
            "the data of an event is int 5; it must be a string, or a dict or list, which is sent as JSON",
        ),
        (
            {"data": b"x"},
            TypeError,
            "the data of an event is bytes b'x'; it must be a string, or a dict or list, which is sent as JSON",
        ),
        ({"data": "", "event": "a\nb"}, ValueError, r"the event of an event is 'a\nb'; CR, LF and NUL cannot be in it"),
        ({"data": "", "id": "a\rb"}, ValueError, r"the id of an event is 'a\rb'; CR, LF and NUL cannot be in it"),
        ({"data": "", "id": "\0"}, ValueError, r"the id of an event is '\x00'; CR, LF and NUL cannot be in it"),
        ({"data": "", "id": 5}, TypeError, "the id of an event is 5; it must be a string"),
        ({"retry": 1.5}, TypeError, "the retry of an event is 1.5; it must be a whole number of milliseconds"),
        ({"retry": True}, TypeError, "the retry of an event is True; it must be a whole number of milliseconds"),
        ({"retry": -1}, ValueError, "the retry of an event is -1; it must be 0 or more milliseconds"),
        ({"comment": 5}, TypeError, "the comment of an event is 5; it must be a string"),
    ],
)
def test_what_no_event_is(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        ServerSentEvent(**arguments)


def test_a_forgotten_await_is_named() -> None:
    async def message() -> str:
        return ""

    with pytest.raises(TypeError, match=r"^the data of an event cannot be a coroutine: .*message\(\)"):
        ServerSentEvent(message())  # type: ignore[arg-type]
