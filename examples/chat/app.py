"""Chat: one room, any number of people, in the browser.

Run it::

    triows run examples/chat/app.py:app

and try it: open http://127.0.0.1:8000/ in two windows, give two names, and talk. Reload one; stop the server and start
it again: the page comes back by itself.

Client and server exchange JSON objects with a ``type``. The client sends ``join`` (name, key) first and ``say`` (text)
from then on; the server sends ``welcome`` (name, history), ``here`` (names), whenever that changes, and ``said``
(id, name, text, time). A key is the secret by which a browser proves that a name is still its own.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import normalize
from uuid import uuid4

import trio

from triows import Response, Triows, abort, websocket

HERE = Path(__file__).parent
FILES = {"chat.css": "text/css", "chat.js": "text/javascript"}

HISTORY = 200  # messages that a newcomer is shown
BACKLOG = 64  # messages that may wait for a slow client
MAX_NAME = 32  # characters
MAX_TEXT = 2000  # characters
JOIN_TIMEOUT = 10.0  # seconds
PAUSE = 0.05  # seconds from one message of a client to its next

REFUSED = 4000  # the close code for a name that cannot be had; the reason is for the user
TRY_AGAIN_LATER = 1013

app = Triows(__name__)


class Refused(Exception):
    """Somebody may not join; the message is for them."""


class Member:
    """A window in the room, with its own queue of what it is to be told.

    The queue is bounded: a member that falls behind is cancelled, and nobody else waits for it.
    """

    def __init__(self, name: str, key: str, queue: trio.MemorySendChannel[str]) -> None:
        self.name = name
        self.key = key
        self.scope = trio.CancelScope()
        self._queue = queue

    def tell(self, message: str) -> None:
        try:
            self._queue.send_nowait(message)
        except trio.WouldBlock:
            self.scope.cancel(reason=f"{self.name} is {BACKLOG} messages behind")


class Room:
    """Who is here, and what was said. Nothing in here waits, so nobody ever sees a change half done."""

    def __init__(self) -> None:
        self.history: deque[dict[str, str]] = deque(maxlen=HISTORY)
        self._members: set[Member] = set()

    @property
    def names(self) -> list[str]:
        return sorted({member.name for member in self._members}, key=str.casefold)

    @contextmanager
    def joined(self, name: str, key: str) -> Iterator[tuple[Member, trio.MemoryReceiveChannel[str]]]:
        """Have somebody in the room for as long as the block runs, and hand out what they are told.

        :raises Refused: if the name belongs to somebody else who is here.
        """
        if any(_same_name(member.name, name) and member.key != key for member in self._members):
            raise Refused("Somebody here has that name already. Please choose another.")
        queue, messages = trio.open_memory_channel[str](BACKLOG)
        member = Member(name, key, queue)
        with queue, messages:
            member.tell(_message("welcome", name=name, history=list(self.history)))
            self._members.add(member)
            self._tell_everybody("here", names=self.names)
            try:
                yield member, messages
            finally:
                self._members.remove(member)
                self._tell_everybody("here", names=self.names)

    def say(self, member: Member, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        said = {"id": uuid4().hex, "name": member.name, "text": text, "time": now}
        self.history.append(said)
        self._tell_everybody("said", **said)

    def _tell_everybody(self, kind: str, **content: Any) -> None:
        message = _message(kind, **content)
        for member in self._members:
            member.tell(message)


room = Room()


@app.websocket("/ws", max_message_size=16 * 1024, receive_buffer=16 * 1024)
async def ws() -> None:
    try:
        name, key = await introduction()
        with room.joined(name, key) as (member, messages), member.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(deliver, messages)
                nursery.start_soon(listen, member)
    except Refused as refusal:
        await websocket.close(REFUSED, str(refusal))
    else:
        # A client that is gone does not come here: that cancels this whole function, not just the member's scope.
        await websocket.close(TRY_AGAIN_LATER, "You were too far behind.")


async def introduction() -> tuple[str, str]:
    """Wait until the client has said who it is; return its name and key."""
    with trio.move_on_after(JOIN_TIMEOUT):
        match await websocket.receive_json():
            case {"type": "join", "name": str(name), "key": str(key)}:
                return _clean_name(name), key
    raise Refused("Please say who you are.")


async def deliver(messages: trio.MemoryReceiveChannel[str]) -> None:
    """Send what the member is told, as fast as its client takes it."""
    async for message in messages:
        await websocket.send(message)


async def listen(member: Member) -> None:
    """Pass on what the client says, and no faster than one message a pause.

    Faster clients are made to wait: beyond ``receive_buffer`` unread bytes the server stops reading from them.
    """
    while True:
        match await websocket.receive_json():
            case {"type": "say", "text": str(text)} if text.strip():
                room.say(member, text.strip()[:MAX_TEXT])
        await trio.sleep(PAUSE)


def _message(kind: str, **content: Any) -> str:
    return json.dumps({"type": kind, **content})


def _clean_name(name: str) -> str:
    """The name without anything that cannot be seen, and on one line."""
    seen = "".join(character for character in normalize("NFC", name) if character.isprintable() or character.isspace())
    name = " ".join(seen.split())[:MAX_NAME].strip()
    if not name:
        raise Refused("Please choose a name that can be read.")
    return name


def _same_name(one: str, other: str) -> bool:
    return normalize("NFKC", one).casefold() == normalize("NFKC", other).casefold()


# The page


@app.get("/")
def index() -> str:
    return (HERE / "index.html").read_text("utf-8")


@app.get("/<name>")
def file(name: str) -> tuple[bytes, dict[str, str]]:
    if name not in FILES:
        abort(404)
    return (HERE / name).read_bytes(), {"Content-Type": f"{FILES[name]}; charset=utf-8"}


@app.after_request
async def harden(response: Response) -> Response:
    """Let the browser load nothing but what comes from here, and run no script inside a page."""
    response.headers["Content-Security-Policy"] = "default-src 'self'; img-src data:; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-cache"
    return response


if __name__ == "__main__":
    app.run()
